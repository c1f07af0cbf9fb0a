# SPDX-License-Identifier: GPL-2.0-or-later
"""Allow and deny on both paths, and a workload's own firewall that stays in force."""
import signal, socket, threading
from collections import Counter

from lablib import Lab, in_netns, run
from traffic import Echo, connect, http_get

DENY = '''version: 1
default: {mode: protect}
groups:
  - {name: web, match: {workload: "web*"}}
  - {name: client, match: {workload: "client"}}
rules:
  - {id: 10, from: client, to: web, ports: [tcp/8080], action: deny}
  - {id: 90, from: any, to: any, action: allow}
'''

APP = '''version: 1
default: {mode: protect}
groups:
  - {name: web, match: {workload: web}}
rules:
  - {id: 20, from: any, to: web, apps: [http], action: allow}
  - {id: 21, from: any, to: web, action: deny}
  - {id: 90, from: any, to: any, action: allow}
'''


def refused(lab, client, addr, port, timeout=1.2):
    try:
        s = connect(lab.ns(client), addr, port, timeout=timeout)
        s.close()
        return None
    except ConnectionRefusedError:
        return 'refused'
    except (TimeoutError, socket.timeout):
        return 'timed out'


def tried(lab, client, ends, timeout=1.2):
    """Connects to all of these (address, port) at once: {end: open, refused, timed out}. As long as the slowest, not as all of them."""
    out, lock = {}, threading.Lock()

    def one(addr, port):
        got = refused(lab, client, addr, port, timeout) or 'open'
        with lock:
            out[addr, port] = got
    threads = [threading.Thread(target=one, args=e) for e in ends]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return out


def test_deny_inline():
    with Lab() as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='mixed', policy=DENY)
        for addr in (lab.v4('web'), lab.v6('web')):
            assert refused(lab, 'client', addr, 8080) == 'refused'
            assert http_get(lab.ns('outside'), addr, 8080)[1] == 200
        assert lab.stop_tapqd() == 0
        alerts = lab.events('alert')
        assert len(alerts) == 2 and {a['alert']['signature_id'] for a in alerts} == {10}, alerts
        assert all(a['alert']['action'] == 'blocked' and a['tapq']['enforced'] and a['tapq']['verdict'] == 'deny' and a['tapq']['path'] == 'nfq' for a in alerts), alerts
        flows = [e for e in lab.events('flow') if e['tapq']['verdict'] == 'deny']
        assert {(f['tapq']['src_workload'], f['tapq']['dest_workload'], f['tapq']['rule']) for f in flows} == {('client', 'web', 10)}


def test_deny_on_the_mirror():
    with Lab() as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='tc', policy=DENY)
        for addr in (lab.v4('web'), lab.v6('web')):
            assert refused(lab, 'client', addr, 8080) == 'refused'
        assert lab.stop_tapqd() == 0
        alerts = lab.events('alert')
        assert len(alerts) == 2, alerts
        assert all(a['alert']['action'] == 'blocked' and a['tapq']['enforced'] is True and a['tapq']['verdict'] == 'deny' and a['tapq']['rule'] == 10 for a in alerts), alerts


def test_app_rule_inline():
    """HTTP may pass on the port, anything else may not: told by content."""
    with Lab() as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='mixed', policy=APP)
        assert http_get(lab.ns('client'), lab.v4('web'), 8080)[1] == 200
        s = connect(lab.ns('client'), lab.v4('web'), 8080)
        s.sendall(b'SSH-2.0-Intruder_1.0\r\n' + b'x' * 200)
        try:
            d = s.recv(100)
        except ConnectionResetError:
            d = b'reset'
        assert d in (b'', b'reset'), d
        s.close()
        assert lab.stop_tapqd() == 0
        verdicts = {(e.get('app_proto'), e['tapq']['verdict'], e['tapq']['rule']) for e in lab.events('flow') if e['dest_port'] == 8080}
        assert verdicts == {('http', 'allow', 20), ('ssh', 'deny', 21)}, verdicts


class Listener:
    """A server that keeps what it got and how the connection ended."""
    def __init__(self, ns, addr, port):
        with in_netns(ns):
            self.s = socket.socket(socket.AF_INET6 if ':' in addr else socket.AF_INET, socket.SOCK_STREAM)
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.s.bind((addr, port))
        self.s.listen(1)
        self.got, self.end = b'', None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        c, _ = self.s.accept()
        c.settimeout(10)
        try:
            while True:
                d = c.recv(65536)
                if not d:
                    self.end = 'closed'
                    break
                self.got += d
                c.sendall(b'+')
        except ConnectionResetError:
            self.end = 'reset'
        except OSError as e:
            self.end = str(e)
        c.close()
        self.s.close()


def app_in_the_middle(v6):
    """The application shows in the third segment: what went before was let pass, that segment and all after never arrive, both ends are reset."""
    with Lab(outside=False) as lab:
        lab.start_tapqd(mode='mixed', policy=APP)
        addr = lab.v6('web') if v6 else lab.v4('web')
        server = Listener(lab.ns('web'), addr, 8080)
        s = connect(lab.ns('client'), addr, 8080)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (b'S', b'SH'):
            s.sendall(piece)
            assert s.recv(10) == b'+'
        s.sendall(b'-2.0-Intruder_1.0\r\nsecret')
        try:
            d = s.recv(10)
        except ConnectionResetError:
            d = 'reset'
        assert d == 'reset', d
        server.thread.join(5)
        assert server.end == 'reset' and server.got == b'SSH', (server.end, server.got)
        s.close()
        assert lab.stop_tapqd() == 0
        flows = [e for e in lab.events('flow') if e['dest_port'] == 8080]
        assert [(e.get('app_proto'), e['tapq']['verdict'], e['tapq']['rule'], e['tapq']['enforced'], e['tapq']['path']) for e in flows] == [('ssh', 'deny', 21, True, 'nfq')], flows
        alerts = lab.events('alert')
        assert [(a['alert']['signature_id'], a['alert']['action']) for a in alerts] == [(21, 'blocked')], alerts


def test_app_in_the_middle_v4():
    app_in_the_middle(False)


def test_app_in_the_middle_v6():
    app_in_the_middle(True)


UDP = '''version: 1
default: {mode: protect}
groups:
  - {name: client, match: {workload: client}}
  - {name: web, match: {workload: web}}
rules:
  - {id: 30, from: client, to: web, ports: [udp/6000], action: deny}
  - {id: 31, from: client, to: web, ports: [udp/6001, tcp/6001], action: drop}
  - {id: 32, from: client, to: web, ports: [udp/6002], action: alert}
  - {id: 90, from: any, to: any, action: allow}
'''


def ask_udp(ns, addr, port, timeout):
    with in_netns(ns):
        s = socket.socket(socket.AF_INET6 if ':' in addr else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(timeout)
    s.connect((addr, port))
    try:
        s.send(b'anybody?')
        return s.recv(100)
    except ConnectionRefusedError:
        return 'refused'
    except socket.timeout:
        return 'timed out'
    finally:
        s.close()


def test_deny_drop_alert_udp_inline():
    """deny: the client gets port unreachable; drop: silence, TCP too; alert: it passes and is told. Both families."""
    with Lab() as lab:
        echoes = [Echo(lab.ns('web'), p) for p in (6000, 6001, 6002)]
        lab.start_tapqd(mode='mixed', policy=UDP, apps=('udp/6000', 'udp/6001', 'udp/6002', 'tcp/6001'))
        for addr in (lab.v4('web'), lab.v6('web')):
            assert ask_udp(lab.ns('client'), addr, 6000, 5) == 'refused'
            assert ask_udp(lab.ns('client'), addr, 6001, 0.7) == 'timed out'
            assert ask_udp(lab.ns('client'), addr, 6002, 5) == b'anybody?'
            assert ask_udp(lab.ns('outside'), addr, 6000, 5) == b'anybody?'
            assert refused(lab, 'client', addr, 6001) == 'timed out'
        assert lab.stop_tapqd() == 0
        for e in echoes:
            e.close()
        flows = Counter((e['proto'], e['dest_port'], e['tapq']['verdict'], e['tapq']['rule'], e['tapq']['enforced'], e['tapq']['path']) for e in lab.events('flow')
                        if e['proto'] in ('TCP', 'UDP') and e['tapq'].get('src_workload') == 'client')
        assert flows == {('UDP', 6000, 'deny', 30, True, 'nfq'): 2, ('UDP', 6001, 'drop', 31, True, 'nfq'): 2, ('TCP', 6001, 'drop', 31, True, 'nfq'): 2,
                         ('UDP', 6002, 'alert', 32, False, 'nfq'): 2}, flows
        alerts = Counter((a['alert']['signature_id'], a['alert']['action']) for a in lab.events('alert'))
        assert alerts == {(30, 'blocked'): 2, (31, 'blocked'): 4, (32, 'allowed'): 2}, alerts


def test_modes_of_groups():
    """discover and monitor stop nothing, even where the packet waits for a verdict; protect stops what no rule allows."""
    text = '''version: 1
default: {mode: discover}
groups:
  - {name: web, match: {workload: web}, mode: monitor}
  - {name: db, match: {workload: db}, mode: protect}
rules:
  - {id: 40, from: any, to: web, ports: [tcp/8081], action: deny}
'''
    with Lab() as lab:
        lab.nginx('web', ports=(8080, 8081))
        lab.nginx('db', ports=(8080,))
        lab.start_tapqd(mode='mixed', policy=text, apps=('tcp/8080', 'tcp/8081'))
        for port in (8080, 8081):
            assert http_get(lab.ns('client'), lab.v6('web'), port)[1] == 200
        assert refused(lab, 'client', lab.v6('db'), 8080) == 'refused'
        assert lab.stop_tapqd() == 0
        alerts = {(a['tapq']['dest_workload'], a['dest_port'], a['alert']['signature_id'], a['alert']['action'], a['tapq']['verdict'], a['tapq']['enforced']) for a in lab.events('alert')}
        assert {a for a in alerts if a[0] == 'db'} == {('db', 8080, 0, 'blocked', 'deny', True)}, alerts
        assert ('web', 8081, 40, 'allowed', 'deny', False) in alerts and len(alerts) == 3, alerts
        assert [a for a in alerts if a[1] == 8080 and a[0] == 'web'][0][3:5] == ('allowed', 'alert'), alerts
        # which policy was it? The groups of both ends, and what each end's own mode makes of it
        ends = {(a['tapq']['dest_workload'], a['dest_port']): (a['alert']['src'], a['alert']['dest']) for a in lab.events('alert')}
        client = {'groups': [], 'mode': 'discover', 'verdict': 'allow', 'enforced': False}
        assert ends['db', 8080] == (client, {'groups': ['db'], 'mode': 'protect', 'verdict': 'deny', 'enforced': True}), ends
        assert ends['web', 8081] == (dict(client, verdict='deny'), {'groups': ['web'], 'mode': 'monitor', 'verdict': 'deny', 'enforced': False}), ends


RULE_MODES = '''version: 1
default: {mode: discover}
groups:
  - {name: web, match: {workload: web}}
  - {name: db, match: {workload: db}, mode: protect}
rules:
  - {id: 40, from: any, to: web, ports: [tcp/8081], action: deny, mode: protect}
  - {id: 41, from: any, to: web, http: {paths: ["/admin*"]}, action: deny, mode: protect}
  - {id: 42, from: any, to: web, ports: [tcp/8082], action: deny}
  - {id: 43, from: any, to: db, ports: [tcp/8080], action: deny, mode: monitor}
  - {id: 44, from: any, to: db, ports: [tcp/8081], action: drop, mode: discover}
'''


def modes_of_rules(mode, path):
    """A rule's own mode holds for it, whatever the ends' is: it stops what else is only told, and lets pass what else is stopped."""
    ports = (8080, 8081, 8082)
    with Lab(outside=False) as lab:
        lab.nginx('web', ports=ports)
        lab.nginx('db', ports=ports)
        lab.start_tapqd(mode=mode, apps=('tcp/8080', 'tcp/8081', 'tcp/8082'), policy=RULE_MODES)
        for family in (lab.v4, lab.v6):
            web, db = family('web'), family('db')
            assert refused(lab, 'client', web, 8081) == 'refused' and refused(lab, 'client', db, 8082) == 'refused'
            for addr, port in ((web, 8080), (web, 8082), (db, 8080), (db, 8081)):
                assert http_get(lab.ns('client'), addr, port)[1] == 200, (addr, port)
            try:
                answered = http_get(lab.ns('client'), web, 8080, '/admin')[1]
            except ConnectionError:
                answered = None
            assert answered is None or path == 'tc', answered
        assert lab.stop_tapqd() == 0
        alerts = Counter((a['alert']['signature_id'], a['tapq']['verdict'], a['tapq']['enforced'], a['alert']['action'], a['tapq']['path'], ':' in a['src_ip']) for a in lab.events('alert'))
        want = {(40, 'deny', True, 'blocked'), (41, 'deny', True, 'blocked'), (42, 'deny', False, 'allowed'), (43, 'deny', False, 'allowed'), (44, 'drop', False, 'allowed'),
                (0, 'deny', True, 'blocked')}
        assert set(alerts) == {w + (path, v6) for w in want for v6 in (False, True)}, alerts


def test_modes_of_rules_inline():
    modes_of_rules('mixed', 'nfq')


def test_modes_of_rules_on_the_mirror():
    modes_of_rules('tc', 'tc')


def test_policy_load_judges_open_flows():
    with Lab() as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='mixed')
        assert http_get(lab.ns('client'), lab.v4('web'), 8080)[1] == 200
        with open(lab.path('deny.yaml'), 'w') as f:
            f.write(DENY)
        s = connect(lab.ns('client'), lab.v4('web'), 8080)
        lab.tapq('policy', 'load', lab.path('deny.yaml'))
        assert 'id: 10' in lab.tapq('policy', 'show').stdout
        s.settimeout(2)
        try:
            s.sendall(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
            d = s.recv(100)
        except (ConnectionResetError, socket.timeout):
            d = b''
        assert d == b'', d
        s.close()
        answer = lab.tapq_json('policy', 'test', '--from', 'client', '--to', 'web', '--port', 'tcp/8080')
        assert (answer['verdict'], answer['rule'], answer['enforced']) == ('deny', 10, True), answer
        bad = lab.path('bad.yaml')
        with open(bad, 'w') as f:
            f.write('version: 1\nrules:\n  - {id: 1, from: nobody, to: any, action: allow}\n')
        r = lab.tapq('policy', 'load', bad, check=False)
        assert r.returncode == 1 and 'bad.yaml:3' in r.stderr and r.stderr.count('\n') == 1, r.stderr
        assert 'id: 10' in lab.tapq('policy', 'show').stdout


def own_firewall(tool):
    """An INPUT DROP and an OUTPUT DROP of the workload's own hold while tapqd answers, hangs and is dead."""
    with Lab() as lab:
        for t in (tool, tool.replace('iptables', 'ip6tables')):
            lab.exec('web', t, '-A', 'INPUT', '-p', 'tcp', '--dport', '8081', '-j', 'DROP')
            lab.exec('web', t, '-A', 'OUTPUT', '-p', 'tcp', '--sport', '8082', '-j', 'DROP')
        lab.nginx('web', ports=(8080, 8081, 8082))
        extra = 'nfq: {apps: [tcp/8080, tcp/8081, tcp/8082]}\n'
        lab.start_tapqd(mode='mixed', extra=extra)
        assert lab.tapq_json('workloads')['workloads'] and \
            {w['name']: w['queue']['table'] for w in lab.tapq_json('workloads')['workloads']}['web'] == 'security'

        def dropped():
            """Packets that each of the workload's own DROP rules met."""
            out = []
            for t in (tool, tool.replace('iptables', 'ip6tables')):
                for hook in ('INPUT', 'OUTPUT'):
                    out += [int(l.split()[0]) for l in lab.exec('web', t, '-nvxL', hook).stdout.split('\n') if ' DROP ' in l and ' tcp ' in l]
            return out
        assert len(dropped()) == 4

        def holds(when):
            before = dropped()
            got = tried(lab, 'client', [(a, p) for a in (lab.v4('web'), lab.v6('web')) for p in (8081, 8082)])
            assert len(got) == 4 and set(got.values()) == {'timed out'}, '%s: %s' % (when, got)
            # Not only did nobody answer: the workload's own rules met what came, SYN and SYN/ACK, both families.
            assert all(a > b for a, b in zip(dropped(), before)), '%s: DROP rules counted %s, then %s' % (when, before, dropped())
        holds('running')
        assert http_get(lab.ns('client'), lab.v4('web'), 8080)[1] == 200
        lab.tapqd.send_signal(signal.SIGSTOP)
        holds('stopped')
        lab.tapqd.send_signal(signal.SIGCONT)
        assert http_get(lab.ns('client'), lab.v4('web'), 8080)[1] == 200
        lab.tapqd.kill()
        lab.tapqd.wait()
        holds('killed')
        assert http_get(lab.ns('client'), lab.v4('web'), 8080)[1] == 200


def test_own_firewall_holds_nft():
    own_firewall('iptables-nft')


def test_own_firewall_holds_legacy():
    own_firewall('iptables-legacy')


def test_legacy_backend():
    with Lab() as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='mixed', extra='nfq: {apps: [tcp/8080], iptables: legacy}\n')
        assert 'NV_INPUT_PROXYMESH' in run('iptables-legacy-save', ns=lab.ns('web')).stdout
        assert 'NV_INPUT_PROXYMESH' not in run('iptables-nft-save', ns=lab.ns('web')).stdout
        for addr in (lab.v4('web'), lab.v6('web')):
            assert http_get(lab.ns('client'), addr, 8080)[1] == 200
        assert lab.stop_tapqd() == 0
        flows = [e for e in lab.events('flow') if e['dest_port'] == 8080]
        assert [f['tapq']['path'] for f in flows] == ['nfq', 'nfq'], flows
