# SPDX-License-Identifier: GPL-2.0-or-later
"""What single options do to real traffic: shared blocks, overrides, all ports, fail: closed, workloads by pid, exclude, reload."""
import json, os, re, signal, socket, threading

from lablib import Lab, flow_counts, flow_key, in_netns, run, wait_for
from traffic import Echo, KeptAlive, connect, http_get
from test_ownership import one_connection, udp_exchange
from test_policy import tried
from test_switch import snapshot


def told(lab, proto=('TCP', 'UDP')):
    out = {}
    for e in lab.events('flow'):
        if e['proto'] in proto:
            out.setdefault(flow_key(e), []).append(e)
    return out


def check_told(lab, made, wire):
    """made: {key: path}; each in one flow event of that path with the wire's counters, and nothing else."""
    flows = told(lab)
    assert set(flows) == set(made), 'only told: %s, only made: %s' % (list(set(flows) - set(made))[:3], list(set(made) - set(flows))[:3])
    for key, path in made.items():
        assert len(flows[key]) == 1 and flows[key][0]['tapq']['path'] == path, (key, path, flows[key])
        assert flow_counts(flows[key][0]) == wire[key], (key, flow_counts(flows[key][0]), wire[key])


def wire_of(truths):
    wire = {}
    for t in truths:
        wire.update(t.stop())
    return wire


def chains(lab, name, tool='iptables-nft'):
    return lab.exec(name, tool, '-S').stdout


# ---- tc.blocks: shared ----

def blocks_of(lab, name):
    """The pair of shared blocks that a container's veth is in: (ingress, egress) or None."""
    m = re.search(r'clsact.*ingress_block (\d+) egress_block (\d+)', run('tc', 'qdisc', 'show', 'dev', lab.veth(name), ns=lab.ns('node')).stdout)
    return m and m.groups()


def test_shared_blocks():
    """Three containers on one pair of blocks, one with a clsact of somebody else's apart; one leaves the pair while traffic is seen."""
    with Lab(containers=('web', 'client', 'db', 'odd')) as lab:
        node = lab.ns('node')
        run('tc', 'qdisc', 'add', 'dev', lab.veth('odd'), 'clsact', ns=node)
        before = snapshot(lab)
        echoes = [Echo(lab.ns(c), p) for c in lab.containers for p in (8080, 9090)]
        lab.start_tapqd(mode='mixed', extra='tc: {blocks: shared}\n', per={c: 'side: server' for c in lab.containers})
        assert blocks_of(lab, 'web') and blocks_of(lab, 'web') == blocks_of(lab, 'client') == blocks_of(lab, 'db'), [blocks_of(lab, c) for c in lab.containers]
        assert blocks_of(lab, 'odd') is None
        truths = [lab.truth(c) for c in lab.containers]
        made = {}

        def talk(owned):
            for v6 in (False, True):
                for c, s in (('client', 'web'), ('web', 'db'), ('odd', 'client'), ('db', 'odd'), ('outside', 'web')):
                    for port in (8080, 9090):
                        made[one_connection(lab, c, s, port, v6)] = 'nfq' if owned(s, port) else 'tc'
        talk(lambda s, port: port == 8080)
        lab.tapq('apps', 'web', 'add', 'tcp/9090')
        lab.wait_ready()
        wait_for('the switch is over', lambda: not lab.tapq_json('status')['switching'])
        assert blocks_of(lab, 'web') and blocks_of(lab, 'web') != blocks_of(lab, 'client') == blocks_of(lab, 'db'), 'what is excluded differs, the block does not'
        talk(lambda s, port: port == 8080 or s == 'web')
        # What was taken by hand from a block is missing at each that shares it, and put back.
        run('tc', 'filter', 'del', 'block', blocks_of(lab, 'client')[0], ns=node)
        r = lab.tapq('status', check=False)
        assert r.returncode == 1 and 'missing: client' in r.stdout and 'missing: db' in r.stdout, r.stdout
        lab.wait_ready()
        talk(lambda s, port: port == 8080 or s == 'web')
        wire = wire_of(truths)
        assert lab.stop_tapqd() == 0, lab.log()
        for e in echoes:
            e.close()
        check_told(lab, made, wire)
        assert snapshot(lab) == before, [(a, b) for a, b in zip(before, snapshot(lab)) if a != b]


# ---- overrides, all, fail ----

OVERRIDES = '''
  overrides:
    - {match: {workload: "we*"}, apps: [tcp/9090], side: server}
    - {match: {labels: {app: store}}, mode: tc, fail: closed}
    - {match: {workload: "*"}, mode: nfq, side: client}
'''


def test_overrides():
    """First match by name glob or labels; what an override does not say comes from the nfq section."""
    with Lab() as lab:
        echoes = [Echo(lab.ns(c), p) for c in ('web', 'db') for p in (8080, 9090)]
        path = lab.config(mode='mixed', per={'db': 'labels: {app: store, tier: back}'})
        with open(path) as f:
            text = f.read()
        with open(path, 'w') as f:
            f.write(text.replace('events:', OVERRIDES.strip('\n') + '\nevents:'))
        lab.start_tapqd()
        w = {x['name']: x for x in lab.tapq_json('workloads')['workloads']}
        assert (w['web']['mode'], w['web']['apps'], w['web']['side'], w['web']['fail']) == ('mixed', ['tcp/9090'], 'server', 'open'), w['web']
        assert (w['db']['mode'], w['db']['fail'], w['db']['labels'], w['db']['queue']['state']) == ('tc', 'closed', {'app': 'store', 'tier': 'back'}, 'off'), w['db']
        assert (w['client']['mode'], w['client']['apps'], w['client']['side']) == ('nfq', ['tcp/8080'], 'client'), w['client']
        assert 'dport 9090' in chains(lab, 'web') and '8080' not in chains(lab, 'web').replace('NV_', '')
        assert 'NV_' not in chains(lab, 'db')
        truths = [lab.truth(c) for c in ('web', 'client', 'db')]
        made = {}
        for v6 in (False, True):
            for c, s, port, on in (('client', 'web', 9090, 'nfq'), ('client', 'web', 8080, 'nfq'), ('outside', 'web', 8080, 'tc'), ('outside', 'web', 9090, 'nfq'),
                                   ('outside', 'db', 8080, 'tc'), ('client', 'db', 8080, 'nfq'), ('client', 'db', 9090, 'tc')):
                made[one_connection(lab, c, s, port, v6)] = on
        wire = wire_of(truths)
        assert lab.stop_tapqd() == 0, lab.log()
        for e in echoes:
            e.close()
        check_told(lab, made, wire)
        labels = {json.dumps(e['tapq'].get('dest_labels')) for e in lab.events('flow') if e['tapq'].get('dest_workload') == 'db'}
        assert labels == {'{"app": "store", "tier": "back"}'}, labels


def all_ports(mode):
    with Lab() as lab:
        echoes = [Echo(lab.ns('web'), p) for p in (8080, 6000)]
        lab.start_tapqd(mode=mode, extra='nfq: {apps: all}\n')
        truths = [lab.truth(c) for c in ('web', 'client')]
        made = {}
        for v6 in (False, True):
            for c in ('client', 'outside'):
                for port in (8080, 6000):
                    made[one_connection(lab, c, 'web', port, v6)] = 'nfq'
                dst, src = (lab.v6('web'), lab.v6(c)) if v6 else (lab.v4('web'), lab.v4(c))
                local = udp_exchange(lab, c, dst, 6000, 300)
                made[('UDP',) + tuple(sorted(((src, local), (dst, 6000))))] = 'nfq'
                lab.exec(c, 'ping', '-c', '1', '-W', '2', dst)
        wire = wire_of(truths)
        assert lab.stop_tapqd() == 0, lab.log()
        for e in echoes:
            e.close()
        check_told(lab, made, wire)
        icmp = [(e['proto'], e['tapq']['path'], e['flow']['pkts_toserver'], e['flow']['pkts_toclient']) for e in lab.events('flow') if 'ICMP' in e['proto']
                and e['tapq'].get('dest_workload') == 'web' and e['flow']['pkts_toclient']]
        want = [('ICMP', 'tc', 1, 1), ('IPv6-ICMP', 'tc', 1, 1)] if mode == 'mixed' else []
        assert sorted(set(icmp)) == want, icmp


def test_all_ports_mixed():
    all_ports('mixed')


def test_all_ports_nfq():
    all_ports('nfq')


def fail_closed(tool, backend):
    """The queued port stops with tapqd and starts with the next one; others never stop; SIGTERM opens all."""
    with Lab(outside=False) as lab:
        lab.nginx('web', ports=(8080, 8081))
        extra = 'nfq: {apps: [tcp/8080], fail: closed, iptables: %s}\n' % backend
        lab.start_tapqd(mode='mixed', extra=extra)
        assert 'NFQUEUE' in chains(lab, 'web', tool) and 'bypass' not in chains(lab, 'web', tool)
        addrs = (lab.v4('web'), lab.v6('web'))

        def see(owned):
            got = tried(lab, 'client', [(a, p) for a in addrs for p in (8080, 8081)])
            assert got == {(a, p): owned if p == 8080 else 'open' for a in addrs for p in (8080, 8081)}, got
        see('open')
        lab.tapqd.kill()
        lab.tapqd.wait()
        see('timed out')
        lab.start_tapqd()
        see('open')
        for a in addrs:
            assert http_get(lab.ns('client'), a, 8080, '/?again')[1] == 200
        assert lab.stop_tapqd() == 0
        see('open')
        again = [e for e in lab.events('http') if e['http']['url'] == '/?again']
        assert [e['tapq']['path'] for e in again] == ['nfq', 'nfq'], again


def test_fail_closed_nft():
    fail_closed('iptables-nft', 'nft')


def test_fail_closed_legacy():
    fail_closed('iptables-legacy', 'legacy')


def test_fail_closed_while_it_starts():
    """What comes out of the queue of a start that takes over is judged from the first packet on: nothing refused passes before, between, or after."""
    policy = 'version: 1\ndefault: {mode: protect}\nrules:\n  - {id: 10, from: any, to: any, ports: [udp/6000], action: drop}\n  - {id: 90, from: any, to: any, action: allow}\n'
    with Lab(outside=False) as lab:
        echo = Echo(lab.ns('web'), 7000)
        kept = connect(lab.ns('client'), lab.v6('web'), 7000)      # conntrack is turned on with a pause where connections are open
        with in_netns(lab.ns('web')):
            server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            server.bind(('::', 6000))
            server.setblocking(False)
        clients = [connect(lab.ns('client'), f('web'), 6000, kind=socket.SOCK_DGRAM) for f in (lab.v4, lab.v6)]
        over = threading.Event()

        def send():
            while not over.wait(0.001):
                for c in clients:
                    c.send(b'refused')
        sender = threading.Thread(target=send, daemon=True)
        for offload in ('false', 'true', 'true', 'true'):
            lab.start_tapqd(mode='nfq', policy=policy, extra='nfq: {apps: [udp/6000], fail: closed, offload: %s}\n' % offload)
            if not sender.is_alive():
                sender.start()
            wait_for('they are refused', lambda: lab.counter('verdict.drop') > 1)
            lab.tapqd.kill()
            lab.tapqd.wait()
        lab.start_tapqd()
        over.set()
        sender.join()
        try:
            assert not server.recv(100), 'one passed'
        except BlockingIOError:
            pass
        kept.close()
        echo.close()
        assert lab.stop_tapqd() == 0


# ---- who is watched ----

def test_static_by_pid():
    with Lab(outside=False, containers=('web', 'client')) as lab:
        lab.nginx('web')
        holder = lab.start('sleep', '600', on='web')
        wait_for('it is inside', lambda: os.readlink('/proc/%d/ns/net' % holder.pid) == lab.exec('web', 'readlink', '/proc/self/ns/net').stdout.strip())
        lab.start_tapqd(mode='mixed', static=False, extra='workloads: {discover: [], static: [{name: by-pid, pid: %d, interface: eth0, labels: {a: b}}]}\n' % holder.pid)
        w = lab.tapq_json('workloads')['workloads']
        assert [(x['name'], x['pid'], x['labels'], x['interfaces'][0]['host']) for x in w] == [('by-pid', holder.pid, {'a': 'b'}, lab.veth('web'))], w
        for a in (lab.v4('web'), lab.v6('web')):
            assert http_get(lab.ns('client'), a, 8080)[1] == 200
        assert lab.stop_tapqd() == 0
        assert [(e['tapq'].get('src_workload'), e['tapq']['dest_workload'], e['tapq']['path']) for e in lab.events('http')] == [(None, 'by-pid', 'nfq')] * 2


def rewrite(path, old, new):
    with open(path) as f:
        text = f.read()
    assert old in text, (old, text)
    with open(path, 'w') as f:
        f.write(text.replace(old, new))


def reloads(lab):
    return lab.counter('config.reloads')


def hup(lab):
    """SIGHUP, until it was taken over."""
    n = reloads(lab)
    lab.tapqd.send_signal(signal.SIGHUP)
    wait_for('the file is read again', lambda: reloads(lab) == n + 1)
    lab.wait_ready()


def test_exclude_and_reload():
    """An excluded workload has no rule and no filter; SIGHUP takes a changed list over, both ways."""
    with Lab(outside=False) as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='mixed', static=False, extra='workloads: {discover: [netns], exclude: ["%s-d*"]}\n' % lab.prefix)

        def watched():
            return {w['name'] for w in lab.tapq_json('workloads')['workloads']}

        def touched(name):
            return 'NV_' in chains(lab, name), 'clsact' in run('tc', 'qdisc', 'show', 'dev', lab.veth(name), ns=lab.ns('node')).stdout
        assert watched() == {lab.ns('web'), lab.ns('client')} and touched('db') == (False, False) and touched('web') == (True, True)
        rewrite(lab.path('tapqueue.yaml'), '-d*', '-w*')
        hup(lab)
        wait_for('the lists are swapped', lambda: watched() == {lab.ns('db'), lab.ns('client')})
        lab.wait_ready()
        assert touched('db') == (True, True) and touched('web') == (False, False)
        rewrite(lab.path('tapqueue.yaml'), '-w*', '-none')
        hup(lab)
        wait_for('all are watched', lambda: len(watched()) == 3)
        lab.wait_ready()
        assert http_get(lab.ns('client'), lab.v6('web'), 8080)[1] == 200
        assert lab.stop_tapqd() == 0
        assert [(e['tapq']['src_workload'], e['tapq']['dest_workload']) for e in lab.events('http')] == [(lab.ns('client'), lab.ns('web'))]


def test_reload_changes_static_workloads():
    """A name that means another netns after a reload, and labels that changed, are taken over."""
    with Lab(outside=False) as lab:
        lab.nginx('web')
        lab.nginx('db')
        lab.start_tapqd(mode='mixed', static=False, extra='workloads: {discover: [], static: [{name: it, netns: /run/netns/%s, labels: {v: one}}]}\n' % lab.ns('web'))
        assert 'NV_' in chains(lab, 'web')
        rewrite(lab.path('tapqueue.yaml'), 'v: one', 'v: two')
        hup(lab)
        assert lab.tapq_json('workloads')['workloads'][0]['labels'] == {'v': 'two'}
        rewrite(lab.path('tapqueue.yaml'), lab.ns('web'), lab.ns('db'))
        hup(lab)
        assert 'NV_' not in chains(lab, 'web') and 'NV_' in chains(lab, 'db')
        assert [x['interfaces'][0]['host'] for x in lab.tapq_json('workloads')['workloads']] == [lab.veth('db')]
        for name in ('web', 'db'):
            assert http_get(lab.ns('client'), lab.v4(name), 8080, '/?' + name)[1] == 200
        # One that was discovered gets the name that it is given.
        rewrite(lab.path('tapqueue.yaml'), 'discover: []', 'discover: [netns]')
        hup(lab)
        wait_for('the others are found', lambda: {w['name'] for w in lab.tapq_json('workloads')['workloads']} == {lab.ns('web'), lab.ns('client'), 'it'})
        rewrite(lab.path('tapqueue.yaml'), 'static: [', 'static: [{name: front, netns: /run/netns/%s}, ' % lab.ns('web'))
        hup(lab)
        assert {w['name'] for w in lab.tapq_json('workloads')['workloads']} == {'front', lab.ns('client'), 'it'}
        assert http_get(lab.ns('client'), lab.v6('web'), 8080, '/?front')[1] == 200
        assert lab.stop_tapqd() == 0
        assert [(e['http']['url'], e['tapq']['dest_workload']) for e in lab.events('http')] == [('/?db', 'it'), ('/?front', 'front')], lab.events('http')


def test_reload_changes_apps():
    """SIGHUP with other app ports: an open connection goes from the mirror to the queue and back, one flow event, nothing missed."""
    with Lab(outside=False) as lab:
        echo = Echo(lab.ns('web'), 9090)
        lab.start_tapqd(mode='mixed')
        truth = lab.truth('web')
        s = connect(lab.ns('client'), lab.v6('web'), 9090)
        key = ('TCP',) + tuple(sorted(((lab.v6('client'), s.getsockname()[1]), (lab.v6('web'), 9090))))

        def say():
            for _ in range(20):
                s.sendall(b'x' * 100)
                got = b''
                while len(got) < 100:
                    got += s.recv(1000)
        say()
        rewrite(lab.path('tapqueue.yaml'), 'tcp/8080', 'tcp/9090')
        hup(lab)
        assert 'dport 9090' in chains(lab, 'web') and 'dport 8080' not in chains(lab, 'web') and 'dport 9090' in chains(lab, 'web', 'ip6tables-nft')
        wait_for('the switch is over', lambda: not lab.tapq_json('status')['switching'])
        say()
        rewrite(lab.path('tapqueue.yaml'), 'tcp/9090', 'tcp/8080')
        hup(lab)
        say()
        s.close()
        wire = truth.stop()
        assert lab.stop_tapqd() == 0, lab.log()
        echo.close()
        flows = told(lab, ('TCP',))
        assert set(flows) == {key} and len(flows[key]) == 1, flows
        assert flow_counts(flows[key][0]) == wire[key], (flow_counts(flows[key][0]), wire[key])


def test_reload_changes_table_and_mark():
    """The rules go to the table that a reload names at once; the mark, which sockets and connections carry, waits for the next start, and so do the rules with it."""
    with Lab(outside=False, containers=('web', 'client')) as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='nfq', sinks=False, extra='nfq: {apps: [tcp/8080], mark: 0x1000/0x1000, table: filter}\nevents:\n  - {type: file, path: %s, types: [flow]}\n' % lab.path('eve.json'))

        def rules(table):
            return [lab.exec('web', tool, '-t', table, '-c').stdout for tool in ('iptables-nft-save', 'ip6tables-nft-save')]

        def goes_by(addr):
            k = KeptAlive(lab.ns('client'), addr, 8080)
            assert all(k.get() == 200 for _ in range(8))
            wait_for('it goes by', lambda: [f for f in lab.tapq_json('flows')['flows'] if f.get('offloaded')])
            before = lab.counter('source.nfq.packets')
            assert all(k.get() == 200 for _ in range(8)) and lab.counter('source.nfq.packets') == before
            k.close()
            wait_for('it is over', lambda: not lab.tapq_json('flows')['flows'])
        goes_by(lab.v6('web'))
        rewrite(lab.path('tapqueue.yaml'), 'table: filter', 'table: security')
        rewrite(lab.path('tapqueue.yaml'), '0x1000/0x1000', '0x2000/0x2000')
        rewrite(lab.path('tapqueue.yaml'), 'stats_interval: 0', 'stats_interval: 0\nflow_report: 10s')
        lab.tapq('reload')
        told = lab.log()
        assert all('%s takes effect at the next start' % k in told for k in ('nfq.mark', 'flow_report')) and 'dpi.workers' not in told, told
        assert all('NFQUEUE' in r for r in rules('security')) and not any('NV_' in r for r in rules('filter'))
        lab.tapq('apps', 'web', 'add', 'tcp/8081')
        assert all('dport 8081' in r and '0x1000' in r and '0x2000' not in r for r in rules('security')), rules('security')
        for a in (lab.v4('web'), lab.v6('web')):
            goes_by(a)
        assert lab.stop_tapqd() == 0


# ---- events ----

def lines(path):
    with open(path) as f:
        return [json.loads(l) for l in f]


def test_log_rotation():
    """The file is moved away: a new one is begun, by itself and by SIGHUP; no event is lost, none is cut."""
    with Lab(outside=False) as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='tc')
        eve = lab.path('eve.json')
        asked = []

        def get(n):
            for _ in range(n):
                asked.append('/?%d' % len(asked))
                assert http_get(lab.ns('client'), lab.v4('web'), 8080, asked[-1])[1] == 200
        get(20)
        os.rename(eve, eve + '.1')
        get(20)
        hup(lab)
        wait_for('SIGHUP begins a new file', lambda: os.path.exists(eve))
        get(20)
        os.rename(eve, eve + '.2')
        get(20)
        wait_for('a new file is begun without a signal', lambda: os.path.exists(eve))
        get(20)
        assert lab.stop_tapqd() == 0
        urls = [e['http']['url'] for f in (eve + '.1', eve + '.2', eve) for e in lines(f) if e['event_type'] == 'http']
        assert sorted(urls) == sorted(asked), 'told %d, asked %d' % (len(urls), len(asked))
