# SPDX-License-Identifier: GPL-2.0-or-later
"""Decided flows of a queue skip it by their connection's mark; what goes by is counted by the kernel, told exactly, and taken back."""
import hashlib, json, os, re, signal, socket, struct, threading, time

from lablib import BUILD, Lab, Skip, flow_counts, flow_key, in_netns, run, wait_for
from traffic import Echo, KeptAlive, Transfer, connect, http_get

QUIET = 'events:\n  - {type: file, path: %s, types: [%s]}\n'

ALLOW = '''version: 1
default: {mode: protect}
groups:
  - {name: web, match: {workload: "web"}}
rules:
  - {id: 10, from: any, to: web, apps: [http], action: allow}
  - {id: 11, from: any, to: web, action: deny}
  - {id: 90, from: any, to: any, action: allow}
'''


def start(lab, types='flow, alert', mode='nfq', offload=True, policy=ALLOW, nfq='', **kw):
    extra = 'nfq: {apps: [tcp/8080, udp/9000], offload: %s%s}\n' % ('true' if offload else 'false', nfq)
    return lab.start_tapqd(mode=mode, sinks=False, policy=policy, extra=extra + QUIET % (lab.path('eve.json'), types), **kw)


def sysctl(lab, name, key):
    return int(lab.exec(name, 'cat', '/proc/sys/net/netfilter/nf_conntrack_' + key).stdout)


def queued(lab):
    """Packets that came out of the queues."""
    return lab.counter('source.nfq.packets')


def rules(lab, name, tool='iptables-nft', table=None):
    out = ''
    for t in (table,) if table else ('filter', 'security'):
        out += lab.exec(name, tool + '-save', '-t', t, check=False).stdout
    return '\n'.join(l for l in out.split('\n') if 'NV_' in l or 'CONNMARK' in l)


def offloaded(lab):
    return [f for f in lab.tapq_json('flows')['flows'] if f.get('offloaded')]


def exact(lab, truth, n):
    """Each TCP connection at the interface was told by one flow event, with the interface's own numbers."""
    wire = {k: v for k, v in truth.stop().items() if k[0] == 'TCP'}
    assert lab.stop_tapqd() == 0, lab.log()
    flows = lab.events('flow')
    assert len(wire) == n and len(flows) == n, (len(wire), len(flows), flows)
    for e in flows:
        assert flow_counts(e) == wire[flow_key(e)], (flow_counts(e), wire[flow_key(e)], e)
        assert e['flow']['state'] == 'closed' and e['flow']['reason'] == 'closed', e
    return flows


def ask(k, n=8):
    """As many requests as it takes until a connection is worth it."""
    return all(k.get() == 200 for _ in range(n))


def prepare(lab, tool):
    """The back end that the workload uses already."""
    if tool == 'iptables-legacy':
        for t in ('iptables-legacy', 'ip6tables-legacy'):
            lab.exec('web', t, '-t', 'filter', '-S')


def bulk_and_kept_alive(tool):
    with Lab(outside=False, containers=('web', 'client')) as lab:
        prepare(lab, tool)
        lab.nginx('web', size=4 << 20)
        start(lab)
        assert 'CONNMARK' in rules(lab, 'web', tool) and sysctl(lab, 'web', 'acct') == 1
        truth = lab.truth('web')
        for addr in (lab.v4('web'), lab.v6('web')):
            before = queued(lab)
            k = KeptAlive(lab.ns('client'), addr, 8080)
            assert k.get() == 200
            first = queued(lab) - before
            for _ in range(20):
                assert k.get() == 200
            assert queued(lab) - before <= first, 'requests were queued after the first: %d, then %d' % (first, queued(lab) - before)
            assert [f['app_proto'] for f in offloaded(lab)] == ['http'], lab.tapq_json('flows')
            k.close()
            wait_for('it is over', lambda: not offloaded(lab))
        assert lab.counter('offload.flows') == 2 and lab.counter('offload.lost') == 0
        for e in exact(lab, truth, 2):
            assert e['app_proto'] == 'http' and e['tapq']['rule'] == 10, e
        assert sysctl(lab, 'web', 'acct') == 0 and rules(lab, 'web', tool) == ''


def test_bulk_and_kept_alive_nft():
    bulk_and_kept_alive('iptables-nft')


def test_bulk_and_kept_alive_legacy():
    bulk_and_kept_alive('iptables-legacy')


def test_offload_false_leaves_conntrack_alone():
    with Lab(outside=False, containers=('web', 'client')) as lab:
        lab.nginx('web')
        start(lab, offload=False)
        k = KeptAlive(lab.ns('client'), lab.v6('web'), 8080)
        before = queued(lab)
        for _ in range(10):
            assert k.get() == 200
        assert queued(lab) - before >= 20
        assert sysctl(lab, 'web', 'count') == 0 and sysctl(lab, 'web', 'acct') == 0 and 'CONNMARK' not in rules(lab, 'web')
        s = lab.tapq_json('status')['offload']
        assert s['flows'] == 0 and not s['wanted'] and s['why'] == ['nfq.offload is false'], s
        assert all('not count it' in f['inline_for'] and not f['offloaded'] for f in lab.tapq_json('flows')['flows'])
        # A reload turns it on, and off again.
        conf = lab.path('tapqueue.yaml')
        with open(conf) as f:
            text = f.read()
        for on in (True, False):
            with open(conf, 'w') as f:
                f.write(text.replace('offload: false', 'offload: %s' % str(on).lower()))
            lab.tapq('reload')
            lab.wait_ready()
            assert ('CONNMARK' in rules(lab, 'web')) == on and sysctl(lab, 'web', 'acct') == on
            other = KeptAlive(lab.ns('client'), lab.v4('web'), 8080)
            assert ask(other)
            wait_for('decided or not', lambda: bool(offloaded(lab)) == on)
            assert k.get() == 200
        assert lab.stop_tapqd() == 0


def test_udp():
    """Datagrams of an app that nobody knows: both directions are counted to the last."""
    with Lab(outside=False, containers=('web', 'client')) as lab:
        echo = Echo(lab.ns('web'), 9000)
        start(lab, policy='version: 1\nrules: [{id: 1, from: any, to: any, action: allow}]\n')
        truth = lab.truth('web')
        for addr in (lab.v4('web'), lab.v6('web')):
            s = connect(lab.ns('client'), addr, 9000, kind=socket.SOCK_DGRAM)
            for i in range(60):
                s.send(b'\x00\x01%04d nothing that is known' % i)
                assert s.recv(100)
            before = queued(lab)
            for i in range(200):
                s.send(b'\x00\x01%04d nothing that is known' % i)
                assert s.recv(100)
            assert queued(lab) == before
            s.close()
        assert len(offloaded(lab)) == 2
        wire = {k: v for k, v in truth.stop().items() if k[0] == 'UDP'}
        assert lab.stop_tapqd() == 0
        echo.close()
        flows = lab.events('flow')
        assert len(flows) == 2 and all(flow_counts(e) == wire[flow_key(e)] for e in flows), (flows, wire)
        assert all(e['flow']['pkts_toserver'] == 260 == e['flow']['pkts_toclient'] for e in flows)


DROP_SSH = '''version: 1
default: {mode: protect}
rules:
  - {id: 30, from: any, to: any, apps: [ssh], action: drop}
  - {id: 31, from: any, to: any, action: allow}
'''


def test_refused_in_the_middle_is_dropped_by_the_kernel():
    """A silent drop: what the client sends again and again reaches neither the server nor tapqd."""
    with Lab(outside=False, containers=('web', 'client')) as lab:
        echo = Echo(lab.ns('web'), 8080)
        start(lab, policy=DROP_SSH)
        for addr, n in ((lab.v4('web'), 1), (lab.v6('web'), 2)):
            s = connect(lab.ns('client'), addr, 8080, timeout=0.3)
            s.sendall(b'SSH-2.0-intruder\r\n')
            wait_for('it is refused', lambda: lab.counter('offload.refused') == n)
            before, sent = queued(lab), time.monotonic()
            for _ in range(5):
                s.sendall(b'again')
                try:
                    d = s.recv(100)
                    assert False, d
                except (TimeoutError, socket.timeout):
                    pass
            assert queued(lab) == before
            assert re.search(r'\[[1-9]\d*:\d+\] -A NV_INPUT_PROXYMESH -m connmark --mark 0x3000/0x3000 -j DROP', lab.exec('web', 'ip6tables-nft-save' if n == 2 else 'iptables-nft-save', '-c').stdout)
            s.close()
        # A new connection to the same port is asked for anew.
        assert http_get_or_echo(lab, lab.v4('web')) == b'hello, this is no ssh'
        assert lab.stop_tapqd() == 0
        echo.close()
        assert [(a['alert']['signature_id'], a['alert']['action']) for a in lab.events('alert')] == [(30, 'blocked')] * 2


def http_get_or_echo(lab, addr):
    s = connect(lab.ns('client'), addr, 8080)
    s.sendall(b'hello, this is no ssh')
    d = s.recv(100)
    s.close()
    return d


DENY_ALL = '''version: 1
default: {mode: protect}
rules: [{id: 50, from: any, to: any, action: deny}]
'''


def load(lab, text):
    with open(lab.path('other.yaml'), 'w') as f:
        f.write(text)
    lab.tapq('policy', 'load', lab.path('other.yaml'))


def test_policy_change_takes_back():
    """Open connections that went by are judged again: a request within a second, a running download too."""
    with Lab(outside=False, containers=('web', 'client')) as lab:
        lab.nginx('web', ports=(8080,))
        start(lab)
        kept = [KeptAlive(lab.ns('client'), a, 8080) for a in (lab.v4('web'), lab.v6('web')) * 5]
        for k in kept:
            assert ask(k)
        wait_for('all went by', lambda: len(offloaded(lab)) == 10)
        # A policy that allows them too: they come back, and go again.
        load(lab, ALLOW.replace('10,', '12,'))
        for k in kept:
            assert ask(k)
        wait_for('all went by again', lambda: len(offloaded(lab)) == 10)
        assert {f['rule'] for f in offloaded(lab)} == {12} and {f['app_proto'] for f in offloaded(lab)} == {'http'}
        load(lab, DENY_ALL)
        began = time.monotonic()
        for k in kept:
            try:
                k.get()
                assert False, 'a request was answered after the policy denies it'
            except (ConnectionResetError, BrokenPipeError, AssertionError) as e:
                assert 'answered' not in str(e), e
        assert time.monotonic() - began < 2
        assert lab.stop_tapqd() == 0
        flows = lab.events('flow')
        assert len(flows) == 10 and {(f['app_proto'], f['tapq']['verdict'], f['tapq']['rule'], f['tapq']['enforced']) for f in flows} == {('http', 'deny', 50, True)}, flows


def test_policy_change_stops_a_download():
    with Lab(outside=False, containers=('web', 'client')) as lab:
        start(lab, policy='version: 1\ndefault: {mode: protect}\nrules: [{id: 1, from: any, to: any, action: allow}]\n')
        t = Transfer(lab.ns('web'), lab.ns('client'), lab.v6('web'), 8080, 1 << 40, pace=0.002)
        wait_for('it went by', lambda: offloaded(lab))
        before = queued(lab)
        got = t.received
        wait_for('it runs', lambda: t.received > got + (4 << 20))
        assert queued(lab) == before
        load(lab, DENY_ALL)
        wait_for('it was stopped', lambda: t.error is not None, 1.5)
        assert isinstance(t.error, (ConnectionResetError, BrokenPipeError)), t.error
        assert lab.stop_tapqd() == 0


def test_events_that_are_taken():
    """http events need every byte: nothing goes by and status says why. Somebody who begins to follow them takes open connections back."""
    with Lab(outside=False, containers=('web', 'client')) as lab:
        lab.nginx('web')
        start(lab, types='flow, alert, http')
        k = KeptAlive(lab.ns('client'), lab.v4('web'), 8080)
        for _ in range(5):
            assert k.get() == 200
        assert not offloaded(lab)
        s = lab.tapq_json('status')['offload']
        assert s['flows'] == 0 and s['why'] == ['http events are taken by %s' % lab.path('eve.json')], s
        assert 'http events are taken by' in lab.tapq('status').stdout
        assert [f['inline_for'] for f in lab.tapq_json('flows')['flows']] == ['events of its protocol are taken']
        k.close()
        assert lab.stop_tapqd() == 0
        assert len(lab.events('http')) == 5

        os.unlink(lab.path('eve.json'))
        start(lab)
        k = KeptAlive(lab.ns('client'), lab.v6('web'), 8080)
        assert ask(k)
        wait_for('it went by', lambda: offloaded(lab))
        follower = lab.start(os.path.join(BUILD, 'tapq'), '-s', lab.path('control.sock'), '--json', 'events', '-f', '--type', 'http', on='node', stdout=open(lab.path('followed'), 'wb'))
        wait_for('it is back', lambda: not offloaded(lab))
        for i in range(3):
            assert k.get('/?second/%d' % i) == 200

        def followed():
            with open(lab.path('followed')) as f:
                return [json.loads(l)['http']['url'] for l in f if l.endswith('\n')]
        wait_for('its requests are told', lambda: followed() == ['/?second/0', '/?second/1', '/?second/2'])
        follower.terminate()
        follower.wait(5)

        def asks_and_goes():
            assert k.get('/?third') == 200
            return offloaded(lab)
        wait_for('it went by again', asks_and_goes)
        assert lab.stop_tapqd() == 0
        assert [e['app_proto'] for e in lab.events('flow')] == ['http']


def own_firewall(tool, table):
    """What the workload's own firewall drops stays dropped for connections that go by, rules that come later too."""
    with Lab(outside=False, containers=('web', 'client')) as lab:
        lab.nginx('web')
        tools = (tool, tool.replace('iptables', 'ip6tables'))
        if table == 'auto':
            for t in tools:
                lab.exec('web', t, '-A', 'INPUT', '-p', 'tcp', '-m', 'string', '--string', 'secret', '--algo', 'bm', '-j', 'DROP')
        else:
            prepare(lab, tool)
        start(lab, nfq=', table: %s' % table)
        assert ('*security' if table == 'auto' else 'NV_') in lab.exec('web', tool + '-save').stdout
        kept = [KeptAlive(lab.ns('client'), a, 8080) for a in (lab.v4('web'), lab.v6('web'))]
        for k in kept:
            assert ask(k)
        wait_for('both went by', lambda: len(offloaded(lab)) == 2)
        if table != 'auto':     # behind our jump in the same table
            for t in tools:
                lab.exec('web', t, '-A', 'INPUT', '-p', 'tcp', '-m', 'string', '--string', 'secret', '--algo', 'bm', '-j', 'DROP')
        before = queued(lab)
        for k in kept:
            k.s.settimeout(0.6)
            try:
                k.get('/secret')
                assert False, 'the own firewall was passed by'
            except (TimeoutError, socket.timeout):
                pass
        assert queued(lab) == before and len(offloaded(lab)) == 2
        assert lab.stop_tapqd() == 0


def test_own_firewall_nft():
    own_firewall('iptables-nft', 'auto')


def test_own_firewall_legacy():
    own_firewall('iptables-legacy', 'auto')


def test_own_firewall_behind_ours_nft():
    own_firewall('iptables-nft', 'filter')


def test_own_firewall_behind_ours_legacy():
    own_firewall('iptables-legacy', 'filter')


def test_killed():
    """What a killed tapqd left behind: connections go on; cleanup, or the next start and its stop, put everything back as it was."""
    for way in ('cleanup', 'start'):
        for acct in (0, 1):
            with Lab(outside=False, containers=('web', 'client')) as lab:
                lab.nginx('web')
                if acct:
                    lab.exec('web', 'sysctl', '-qw', 'net.netfilter.nf_conntrack_acct=1')
                start(lab)
                k = KeptAlive(lab.ns('client'), lab.v6('web'), 8080)
                assert ask(k)
                wait_for('it went by', lambda: offloaded(lab))
                lab.tapqd.kill()
                lab.tapqd.wait()
                assert k.get() == 200 and sysctl(lab, 'web', 'acct') == 1
                if way == 'cleanup':
                    lab.tapq('cleanup')
                else:
                    start(lab, policy=DENY_ALL)
                    try:
                        k.get()
                        assert False, 'a mark of the run before let it by'
                    except (ConnectionResetError, BrokenPipeError, AssertionError) as e:
                        assert 'mark' not in str(e), e
                    assert lab.stop_tapqd() == 0
                assert 'NV_' not in lab.exec('web', 'iptables-nft-save').stdout and sysctl(lab, 'web', 'acct') == acct, (way, acct)


def test_accounting_switched_off_by_hand():
    with Lab(outside=False, containers=('web', 'client')) as lab:
        lab.nginx('web')
        start(lab)
        lab.exec('web', 'sysctl', '-qw', 'net.netfilter.nf_conntrack_acct=0')
        wait_for('it is put back', lambda: sysctl(lab, 'web', 'acct') == 1, 6)
        assert lab.stop_tapqd() == 0
        assert sysctl(lab, 'web', 'acct') == 0


def test_conntrack_flushed():
    """The workload takes our marks away: its connections come back to the queue, and none is lost."""
    with Lab(outside=False, containers=('web', 'client')) as lab:
        lab.nginx('web')
        start(lab)
        k = KeptAlive(lab.ns('client'), lab.v4('web'), 8080)
        assert ask(k)
        wait_for('it went by', lambda: offloaded(lab))
        lab.exec('web', 'iptables-nft', '-t', 'mangle', '-A', 'INPUT', '-j', 'CONNMARK', '--set-mark', '0')
        assert k.get() == 200
        wait_for('it is back', lambda: lab.counter('offload.lost') == 1 and not offloaded(lab))
        before = queued(lab)
        assert k.get() == 200 and queued(lab) > before
        k.close()
        assert lab.stop_tapqd() == 0
        assert [e['app_proto'] for e in lab.events('flow')] == ['http']


def test_two_workers():
    """Flows that another worker inspects than the one that reads the queue."""
    with Lab(outside=False, containers=('web', 'client', 'db')) as lab:
        lab.nginx('web', size=1 << 20)
        lab.start_tapqd(mode='nfq', sinks=False, policy=ALLOW, extra='nfq: {apps: [tcp/8080]}\ndpi: {workers: 3}\n' + QUIET % (lab.path('eve.json'), 'flow, alert'))
        truth = lab.truth('web')
        kept = [KeptAlive(lab.ns(c), a, 8080) for c in ('client', 'db') for a in (lab.v4('web'), lab.v6('web'))]
        for k in kept:
            for _ in range(5):
                assert k.get() == 200
        wait_for('all went by', lambda: len(offloaded(lab)) == 4)
        for k in kept:
            k.close()
        wait_for('all are over', lambda: not lab.tapq_json('flows')['flows'], 15)
        exact(lab, truth, 4)


def test_mode_switches():
    """A connection that goes by is one flow through switches of the mode."""
    with Lab(outside=False, containers=('web', 'client')) as lab:
        lab.nginx('web')
        start(lab, mode='mixed')
        kept = [KeptAlive(lab.ns('client'), a, 8080) for a in (lab.v4('web'), lab.v6('web'))]

        def each(n):
            for k in kept:
                assert ask(k, n)
        each(8)
        wait_for('both went by', lambda: len(offloaded(lab)) == 2)
        for mode in ('tc', 'mixed', 'nfq', 'tc'):
            lab.tapq('mode', mode)
            lab.wait_ready()
            wait_for('the switch is over', lambda: not lab.tapq_json('status')['switching'])
            each(3)
            assert not offloaded(lab) and sysctl(lab, 'web', 'acct') == (mode != 'tc')
        for k in kept:
            k.close()
        assert lab.stop_tapqd() == 0
        flows = lab.events('flow')
        assert [(e['app_proto'], e['dest_port']) for e in flows] == [('http', 8080)] * 2, flows


def test_short_connections():
    """Connections that are over a moment after they went by: each is told once, with every packet of it."""
    with Lab(outside=False, containers=('web', 'client')) as lab:
        lab.nginx('web')
        start(lab)
        truth = lab.truth('web')

        def come_and_go(addr):
            for i in range(75):
                k = KeptAlive(lab.ns('client'), addr, 8080)
                assert ask(k, 8 if i % 2 else 1)
                k.close()
        threads = [threading.Thread(target=come_and_go, args=(a,)) for a in (lab.v4('web'), lab.v6('web')) * 2]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        wait_for('all are over', lambda: not lab.tapq_json('flows')['flows'], 15)
        assert 100 < lab.counter('offload.flows') < 200 and lab.counter('offload.lost') == 0
        exact(lab, truth, 300)


def test_stop_while_some_end():
    """The last look at more connections than one question asks for, some of them just over: every packet of all of them is told."""
    with Lab(outside=False, containers=('web', 'client')) as lab:
        lab.nginx('web')
        start(lab)
        truth = lab.truth('web')
        kept = [KeptAlive(lab.ns('client'), a, 8080) for a in (lab.v4('web'), lab.v6('web')) * 100]
        assert all(ask(k) for k in kept)
        wait_for('all went by', lambda: len(offloaded(lab)) == 200)
        assert all(k.get() == 200 for k in kept)
        time.sleep(0.2)     # acknowledgements of the last answers: up to 40 ms later, where nothing else is to be said
        for k in kept[1::2]:
            k.close()
        wait_for('the server closed them too', lambda: len(run('ss', '-Htn', 'sport', '8080', ns=lab.ns('web')).stdout.splitlines()) == 100, every=0.002)
        assert lab.stop_tapqd() == 0, lab.log()
        wire = {k: v for k, v in truth.stop().items() if k[0] == 'TCP'}
        told = {flow_key(e): flow_counts(e) for e in lab.events('flow')}
        assert len(wire) == 200 and told == wire, {k: (v, told.get(k)) for k, v in wire.items() if told.get(k) != v}


def test_redirect_inside():
    """The workload changes ports inside itself: the kernel finds the connection all the same, and its directions are told apart."""
    with Lab(outside=False, containers=('web', 'client')) as lab:
        lab.nginx('web', ports=(15006,))
        for t in ('iptables-nft', 'ip6tables-nft'):
            lab.exec('web', t, '-t', 'nat', '-A', 'PREROUTING', '-p', 'tcp', '--dport', '8080', '-j', 'REDIRECT', '--to-ports', '15006')
        start(lab)
        for addr in (lab.v4('web'), lab.v6('web')):
            k = KeptAlive(lab.ns('client'), addr, 8080)
            for _ in range(10):
                assert k.get() == 200
            wait_for('it went by', lambda: offloaded(lab))
            time.sleep(0.5)     # looked at some times
            assert k.get() == 200 and len(offloaded(lab)) == 1 and lab.counter('offload.lost') == 0
            k.close()
            wait_for('it is over', lambda: not lab.tapq_json('flows')['flows'], 15)
        assert lab.stop_tapqd() == 0
        flows = lab.events('flow')
        assert len(flows) == 2 and all(e['flow']['reason'] == 'closed' and e['flow']['bytes_toclient'] > 11 * 1024 > e['flow']['bytes_toserver'] for e in flows), flows


def test_tls_after_its_handshake():
    """tls events need the handshake alone: they are told, and the rest goes by."""
    with Lab(outside=False, containers=('web', 'client')) as lab:
        lab.tls_server('web', 8080)
        start(lab, types='flow, alert, tls', policy='version: 1\nrules: [{id: 1, from: any, to: any, action: allow}]\n')
        for addr in (lab.v4('web'), lab.v6('web')):
            import ssl
            ctx = ssl._create_unverified_context()
            s = ctx.wrap_socket(connect(lab.ns('client'), addr, 8080), server_hostname='secure.example')
            for i in range(12):
                s.sendall(b'X-%d: y\r\n' % i)
                time.sleep(0.02)
            s.sendall(b'\r\n')
            s.close()
        wait_for('both went by', lambda: lab.counter('offload.flows') == 2)
        assert lab.tapq_json('status')['offload']['why'] == []
        assert lab.stop_tapqd() == 0
        assert [e['tls']['sni'] for e in lab.events('tls')] == ['secure.example'] * 2 and [e['app_proto'] for e in lab.events('flow')] == ['tls'] * 2
