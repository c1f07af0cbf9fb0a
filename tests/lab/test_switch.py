# SPDX-License-Identifier: GPL-2.0-or-later
"""Mode switches under traffic, death and restart under load."""
import fcntl, os, signal, threading, time

from lablib import BUILD, Lab, flow_counts, flow_key, run, wait_for
from test_enforce import PORTS, REQUESTS
from test_policy import tried
from traffic import KeptAlive, Transfer, http_get


def snapshot(lab):
    """What a cleanup must leave as it was: links, filters, chains, names."""
    out = []
    for ns in [lab.ns('node')] + [lab.ns(c) for c in lab.containers]:
        out.append(run('ip', '-o', 'link', ns=ns).stdout.replace(' state UP', '').split('\n'))
        for tool in ('iptables-nft-save', 'ip6tables-nft-save'):
            out.append([l for l in run(tool, ns=ns).stdout.split('\n') if not l.startswith('#')])
        for dev in [l.split(':')[1].split('@')[0].strip() for l in run('ip', '-o', 'link', ns=ns).stdout.split('\n') if l]:
            out.append(run('tc', 'qdisc', 'show', 'dev', dev, ns=ns, check=False).stdout)
            for hook in ('ingress', 'egress'):
                out.append(run('tc', 'filter', 'show', 'dev', dev, hook, ns=ns, check=False).stdout)
    out.append(sorted(n for n in run('ip', 'netns', 'list').stdout.split() if n.startswith(lab.prefix)))
    return out


def how_denied(k):
    try:
        return k.get('/denied')
    except (OSError, AssertionError):
        return 'reset'


def test_ten_switches_under_load():
    with Lab() as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='tc')
        truth = lab.truth('web')
        kept = [KeptAlive(lab.ns('client' if i % 2 else 'outside'), lab.v6('web') if i % 4 > 1 else lab.v4('web'), 8080) for i in range(50)]
        transfer = Transfer(lab.ns('web'), lab.ns('client'), lab.v4('web'), 8081, 64 << 20, pace=0.02)
        lab.tapq('apps', 'web', 'add', 'tcp/8081')
        stop = threading.Event()
        broken = []

        def ask():
            while not stop.is_set():
                for k in kept:
                    try:
                        assert k.get('/?kept') == 200
                    except BaseException as e:
                        broken.append(e)
                        return
        asker = threading.Thread(target=ask, daemon=True)
        asker.start()
        for i in range(10):
            mode = ('nfq', 'mixed', 'tc')[i % 3]
            assert lab.tapq('mode', mode).stdout.strip() == mode
            lab.tapq('status', '--wait', '5')
            if mode != 'nfq':       # nothing but owned ports is seen in nfq mode
                time.sleep(0.5)
        stop.set()
        asker.join(20)
        transfer.whole()
        assert not broken, broken
        for k in kept:
            k.close()
        seen = truth.stop()
        assert lab.stop_tapqd() == 0, lab.log()
        flows = {}
        for e in lab.events('flow'):
            if e['proto'] == 'TCP':
                flows.setdefault(flow_key(e), []).append(e)
        assert len(flows) == 51, 'connections told: %d' % len(flows)
        assert all(len(v) == 1 for v in flows.values()), 'a connection is in several flow events: %s' % [v for v in flows.values() if len(v) != 1][:1]
        wrong = [(k, flow_counts(v[0]), seen[k]) for k, v in flows.items() if flow_counts(v[0]) != seen[k]]
        assert not wrong, '%d of 51 flows miss or repeat packets, e.g. %s' % (len(wrong), wrong[:2])
        assert sum(k.asked for k in kept) > 200


def test_the_first_mirror():
    """From nfq, where no bridge stands yet: the queue goes when the mirror is there, and what is denied stays denied."""
    with Lab(outside=False, containers=('web', 'client')) as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='nfq', policy=REQUESTS % 'deny')
        kept = [KeptAlive(lab.ns('client'), a, 8080) for a in (lab.v4('web'), lab.v6('web'))]
        assert all(k.get() == 200 for k in kept)
        lab.tapq('mode', 'tc')
        lab.tapq('status')
        for k in kept:
            assert k.get('/?mirrored') == 200
        assert lab.counter('bridge.remade') == 0
        for k in kept:
            wait_for('it is reset', lambda: how_denied(k) == 'reset', 2)
        assert lab.stop_tapqd() == 0
        told = [e['tapq']['path'] for e in lab.events('http') if e['http']['url'] == '/?mirrored']
        assert told == ['tc', 'tc'], told


def test_kill_under_load_and_restart():
    """kill -9: the transfer goes on; the next start adopts and covers everything; cleanup leaves nothing."""
    with Lab() as lab:
        before = snapshot(lab)
        lab.start_tapqd(mode='mixed')
        t = Transfer(lab.ns('web'), lab.ns('client'), lab.v4('web'), 8080, 256 << 20, pace=0.002)
        wait_for('the transfer runs', lambda: t.received > 4 << 20)
        lab.tapqd.kill()
        lab.tapqd.wait()
        at = t.received
        wait_for('the transfer goes on without tapqd', lambda: t.received > at + (16 << 20))
        assert 'NV_INPUT_PROXYMESH' in run('iptables-nft-save', ns=lab.ns('web')).stdout
        lab.start_tapqd(mode='mixed')
        t.whole()
        lab.tapqd.kill()
        lab.tapqd.wait()
        r = lab.tapq('cleanup')
        assert snapshot(lab) == before, 'cleanup left something: %s' % [(a, b) for a, b in zip(before, snapshot(lab)) if a != b]
        assert 'filters on' in r.stdout


def test_killed_and_started_in_another_mode():
    """What a killed run left goes with a start that does not want it: rules without bypass and nobody to answer, filters of a policy that is not in force."""
    with Lab(outside=False, containers=('web', 'client')) as lab:
        lab.nginx('web', ports=(8080, 8081))
        before = snapshot(lab)
        ends = [(a, p) for a in (lab.v4('web'), lab.v6('web')) for p in (8080, 8081)]

        def filters():
            return run('tc', 'filter', 'show', 'dev', lab.veth('client'), 'ingress', ns=lab.ns('node')).stdout
        for backend in ('nft', 'legacy'):
            for mode in ('tc', 'nfq'):
                nfq = 'nfq: {apps: [tcp/8081], fail: closed, iptables: %s}\n' % backend
                lab.start_tapqd(mode='mixed', policy=PORTS, extra=nfq)
                lab.tapqd.kill()
                lab.tapqd.wait()
                got = tried(lab, 'client', ends)
                assert set(got.values()) == {'timed out'}, (backend, mode, got)
                lab.start_tapqd(mode=mode, extra=nfq)
                assert set(tried(lab, 'client', ends).values()) == {'open'}, (backend, mode)
                if mode == 'tc':
                    assert 'NV_' not in run('iptables-%s-save' % backend, ns=lab.ns('web')).stdout + run('ip6tables-%s-save' % backend, ns=lab.ns('web')).stdout
                else:
                    assert 'pref 49' not in filters()
                assert lab.stop_tapqd() == 0
                assert snapshot(lab) == before, (backend, mode, [(a, b) for a, b in zip(before, snapshot(lab)) if a != b])


def test_rules_that_cannot_be_taken_away():
    """Somebody has the lock of the legacy tools: the rules stay, that is told, and they go when it is free."""
    with Lab(outside=False, containers=('web',)) as lab:
        lab.nginx('web')
        for path in (lab.path('lock'), '/run/xtables.lock'):
            open(path, 'a').close()
        run('mount', '--bind', lab.path('lock'), '/run/xtables.lock')      # this run's own
        try:
            lab.start_tapqd(mode='nfq', extra='nfq: {apps: [tcp/8080], fail: closed, iptables: legacy}\n')
            with open(lab.path('lock')) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                lab.tapq('mode', 'tc')
                told = lab.tapq('status', check=False)
                assert told.returncode == 1 and 'web: nfq on eth0' in told.stdout and 'lock' in told.stdout, told
                assert 'NFQUEUE' in run('iptables-legacy-save', ns=lab.ns('web')).stdout
            lab.wait_ready(40)
            assert 'NV_' not in run('iptables-legacy-save', ns=lab.ns('web')).stdout + run('ip6tables-legacy-save', ns=lab.ns('web')).stdout
            assert lab.stop_tapqd() == 0
        finally:
            run('umount', '/run/xtables.lock')


def test_sigterm_removes_all():
    with Lab() as lab:
        lab.nginx('web')
        before = snapshot(lab)
        for mode in ('tc', 'nfq', 'mixed'):
            lab.start_tapqd(mode=mode)
            http_get(lab.ns('client'), lab.v4('web'), 8080)
            assert lab.stop_tapqd() == 0
            assert snapshot(lab) == before, [(a, b) for a, b in zip(before, snapshot(lab)) if a != b]


def test_on_stop_keep_is_adopted():
    with Lab() as lab:
        lab.nginx('web')
        before = snapshot(lab)
        lab.start_tapqd(mode='mixed', extra='on_stop: keep\n')
        kept = snapshot(lab)
        assert lab.stop_tapqd() == 0
        assert snapshot(lab) == kept, 'keep changed something'
        assert http_get(lab.ns('client'), lab.v4('web'), 8080)[1] == 200
        lab.start_tapqd()
        assert lab.stop_tapqd(signal.SIGINT) == 0
        assert snapshot(lab) == before


def test_second_agent_is_refused():
    with Lab(outside=False) as lab:
        lab.start_tapqd(mode='mixed')
        pid = lab.tapq_json('status')['pid']
        same = run(os.path.join(BUILD, 'tapqd'), '-c', lab.path('tapqueue.yaml'), ns=lab.ns('node'), check=False)
        assert same.returncode == 1 and str(pid) in same.stderr, same.stderr
        other = run(os.path.join(BUILD, 'tapqd'), '-c', lab.path('tapqueue.yaml'), '-o', 'control=' + lab.path('other.sock'), ns=lab.ns('node'), check=False)
        assert other.returncode == 1 and str(pid) in other.stderr, other.stderr
        busy = lab.tapq('cleanup', check=False)
        assert busy.returncode == 1 and 'running' in busy.stderr, busy
        assert lab.tapq('status').returncode == 0
