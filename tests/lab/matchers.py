# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of matchers share: a server in the lab's container `web`, its clients in `client`, a policy with one rule to each action that is asked for, and the
three places from which it is watched."""
import os, re, signal, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[1:1] = [os.path.join(HERE, '..', 'servers'), os.path.join(HERE, '..', 'servers', 'talks')]
import stage  # noqa: E402
from lablib import Lab, Skip  # noqa: E402


class OnContainer(stage.Stage):
    """A stage whose server lives in the lab's container `web` and whose clients live in `client`."""
    def __init__(self, lab):
        super().__init__('matchers')
        self.lab = lab

    def ns(self, who):
        return self.lab.ns({'server': 'web'}.get(who, who))

    def up(self):
        self.lab.exec('client', 'sysctl', '-qw', 'net.ipv4.tcp_syn_retries=2')
        return self

    def down(self):
        left = [int(pid) for pid in self.lab.exec('web', 'ip', 'netns', 'pids', self.ns('server'), check=False).stdout.split()]
        super().down()
        for pid in left:        # servers leave children behind
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def client_says(self, *argv, env=None, input=None, timeout=30):
        """A client's command: whether it succeeded, and what it printed."""
        try:
            r = subprocess.run(self._argv(argv, 'client', None), input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace', timeout=timeout,
                               env=self._env(env), cwd=self.dir, **({} if input is not None else {'stdin': subprocess.DEVNULL}))
        except subprocess.TimeoutExpired as e:
            return False, 'no end: %s' % (e.stdout or '')
        return r.returncode == 0, r.stdout


IDS = {'deny': 10, 'drop': 11, 'alert': 12}
NAMES = {'pgsql': 'postgresql', 'smb': 'smb, dcerpc'}       # of the applications, where the matcher has another


def policy(matcher, **actions):
    """deny=, drop=, alert=: what is asked of the facts; all else of the application is allowed."""
    return '''version: 1
default: {mode: protect}
groups:
  - {name: web, match: {workload: web}}
rules:
%s  - {id: 20, from: any, to: web, apps: [%s], action: allow}
  - {id: 90, from: web, to: any, action: allow}
''' % (''.join('  - {id: %d, from: any, to: web, %s: %s, action: %s}\n' % (IDS[action], matcher, asked, action) for action, asked in actions.items()),
       NAMES.get(matcher, matcher))


SIDES = (('server', {'web': 'side: server', 'client': 'mode: tc'}, 'nfq'), ('client', {'web': 'mode: tc', 'client': 'side: client'}, 'nfq'), ('mirror', {}, 'tc'))


def held(needs, serve, port, rules, talk, proto='tcp', request=None):
    """talk(s, host, inline): says what is allowed and what is denied, and asserts it. request: fields of the request that an alert shows; of a tuple each is shown."""
    class fn:
        pass
    fn.needs = needs
    gone = stage.missing(fn)
    acted = {IDS[action]: action for action in re.findall(r'id: 1\d,.* action: (\w+)', rules)}
    if gone:
        raise Skip('%s is not here (scripts/install-deps)' % gone)
    with Lab(outside=False) as lab, OnContainer(lab) as s:
        serve(s)
        for side, per, path in SIDES:
            if os.path.exists(lab.path('eve.json')):
                os.unlink(lab.path('eve.json'))
            lab.start_tapqd(mode='tc' if path == 'tc' else 'mixed', apps=('%s/%d' % (proto, port),), policy=rules, per=per)
            for host in (lab.v4('web'), lab.v6('web')):
                talk(s, host, path == 'nfq')
            if proto == 'tcp':      # what was dropped would be sent again, to a server that nobody guards then
                s.run('ss', '-K', 'state', 'connected', 'sport = %d' % port)
                s.say('ss', '-K', 'state', 'connected', 'dport = %d' % port)
            assert lab.stop_tapqd() == 0
            alerts = lab.events('alert')
            false = [a for a in alerts if a['alert']['signature_id'] not in acted]
            assert not false, '%s: %s' % (side, false)
            for family in (4, 6):
                mine = [a for a in alerts if (':' in a['src_ip']) == (family == 6)]
                assert all(a['tapq']['path'] == path for a in mine), mine
                for rule, action in acted.items():
                    by = [a for a in mine if a['alert']['signature_id'] == rule]
                    assert by and all(a['tapq']['verdict'] == action for a in by), '%s: rule %d on IPv%d: %s' % (side, rule, family, alerts)
                    if action == 'alert':
                        assert all(a['alert']['action'] == 'allowed' and not a['tapq']['enforced'] for a in by), by
                    elif path == 'nfq':
                        assert all(a['alert']['action'] == 'blocked' and a['tapq']['enforced'] for a in by), by
                for k, wanted in (request or {}).items():
                    told = [a['alert']['request'].get(k) for a in mine]
                    for v in wanted if isinstance(wanted, tuple) else (wanted,):
                        assert any(v == t or (isinstance(t, list) and v in t) for t in told), (side, k, v, mine)
