# SPDX-License-Identifier: GPL-2.0-or-later
"""Who owns a flow (DESIGN section 5), shown with exact counts: sides, different app lists, a workload without a queue,
fragments, IP options, bridged, routed and NATed traffic between local containers."""
import socket, struct, time
from collections import Counter

from lablib import Lab, flow_counts, flow_key, flows_of_pcap, in_netns, run, wait_for
from traffic import Echo, connect, http_get


def one_connection(lab, client, server, port, v6):
    """Connects, says something, is echoed, closes. Returns the flow's key."""
    dst = lab.v6(server) if v6 else lab.v4(server)
    src = lab.v6(client) if v6 else lab.v4(client)
    s = connect(lab.ns(client), dst, port)
    local = s.getsockname()[1]
    for _ in range(3):
        s.sendall(b'hello ' * 20)
        got = b''
        while len(got) < 120:
            got += s.recv(1000)
    s.close()
    return ('TCP',) + tuple(sorted(((src, local), (dst, port))))


def sides(per, expect, mode='mixed'):
    """expect: {(client, server, port): path or None}. Each flow exactly once, on its path, with the wire's counters."""
    with Lab() as lab:
        ports = sorted({p for _, _, p in expect})
        echoes = [Echo(lab.ns(s), p) for s in sorted({s for _, s, _ in expect}) for p in ports]
        lab.start_tapqd(mode=mode, per=per)
        truths = [lab.truth(c) for c in lab.containers]
        made = {}
        for (c, s, p), path in expect.items():
            for v6 in (False, True):
                for _ in range(3):
                    made[one_connection(lab, c, s, p, v6)] = (path, c, s)
        wire = {}
        for t in truths:
            wire.update(t.stop())
        assert lab.stop_tapqd() == 0, lab.log()
        for e in echoes:
            e.close()
        flows = {}
        for e in lab.events('flow'):
            if e['proto'] == 'TCP':
                flows.setdefault(flow_key(e), []).append(e)
        for key, (path, c, s) in made.items():
            told = flows.pop(key, [])
            assert len(told) == (1 if path else 0), (key, c, s, path, told)
            if path:
                assert told[0]['tapq']['path'] == path, (key, c, s, path, told)
                assert flow_counts(told[0]) == wire[key], (key, flow_counts(told[0]), wire[key])
        assert not flows, 'flows that nobody made: %s' % list(flows)[:3]


def test_side_server():
    sides({c: 'side: server, apps: [tcp/8080]' for c in ('web', 'client', 'db')},
          {('client', 'web', 8080): 'nfq', ('outside', 'web', 8080): 'nfq', ('client', 'web', 9090): 'tc', ('client', 'outside', 8080): 'tc'})


def test_side_client():
    sides({c: 'side: client, apps: [tcp/8080]' for c in ('web', 'client', 'db')},
          {('client', 'web', 8080): 'nfq', ('outside', 'web', 8080): 'tc', ('client', 'outside', 8080): 'nfq', ('client', 'web', 9090): 'tc'})


def test_side_both():
    sides({c: 'side: both, apps: [tcp/8080]' for c in ('web', 'client', 'db')},
          {('client', 'web', 8080): 'nfq', ('outside', 'web', 8080): 'nfq', ('client', 'outside', 8080): 'nfq', ('web', 'client', 9090): 'tc'})


def test_two_app_lists():
    sides({'web': 'side: both, apps: [tcp/8080]', 'client': 'side: both, apps: [tcp/9090]', 'db': 'side: server, apps: [tcp/8080, tcp/9090]'},
          {('client', 'web', 8080): 'nfq', ('client', 'web', 9090): 'nfq', ('web', 'client', 8080): 'nfq', ('web', 'client', 9090): 'nfq',
           ('client', 'db', 8080): 'nfq', ('outside', 'web', 9090): 'tc', ('outside', 'client', 8080): 'tc', ('db', 'outside', 8080): 'tc'})


def test_workload_without_a_queue():
    """web is only mirrored: what a client's own queue does not own is the mirror's."""
    sides({'web': 'mode: tc', 'client': 'mode: mixed, side: client, apps: [tcp/8080]', 'db': 'mode: mixed, side: server, apps: [tcp/8080]'},
          {('client', 'web', 8080): 'nfq', ('db', 'web', 8080): 'tc', ('outside', 'web', 8080): 'tc', ('client', 'web', 9090): 'tc'})


def test_workload_without_a_mirror():
    """web has only a queue: what it does not own is seen by nobody, unless the other end is mirrored."""
    sides({'web': 'mode: nfq, side: both, apps: [tcp/8080]', 'client': 'mode: mixed, apps: [tcp/7070]', 'db': 'mode: nfq, apps: [tcp/7070]'},
          {('client', 'web', 8080): 'nfq', ('client', 'web', 9090): 'tc', ('outside', 'web', 9090): None, ('db', 'web', 9090): None, ('db', 'web', 7070): 'nfq'})


def test_two_workers():
    """The same with flows spread over two workers: a queue's frames go to the worker that their flow belongs to."""
    with Lab() as lab:
        lab.nginx('web', ports=(8080, 8081))
        lab.start_tapqd(mode='mixed', extra='dpi: {workers: 2}\n')
        t = lab.truth('web')
        made = {}
        for i in range(200):
            c, port, v6 = ('client', 'db', 'outside')[i % 3], (8080, 8081)[i // 3 % 2], i // 6 % 2
            dst, src = (lab.v6('web'), lab.v6(c)) if v6 else (lab.v4('web'), lab.v4(c))
            local, status = http_get(lab.ns(c), dst, port, '/?%d' % i)
            assert status == 200
            made[('TCP',) + tuple(sorted(((src, local), (dst, port))))] = 'nfq' if port == 8080 else 'tc'
        lab.tapq('mode', 'tc')
        lab.tapq('mode', 'mixed')
        wire = t.stop()
        workers = lab.tapq_json('status')['workers']
        assert len(workers) == 2 and lab.counter('worker.not_relayed') == 0
        assert lab.stop_tapqd() == 0, lab.log()
        flows = {}
        for e in lab.events('flow'):
            if e['proto'] == 'TCP':
                flows.setdefault(flow_key(e), []).append(e)
        assert set(flows) == set(made), '%d told, %d made' % (len(flows), len(made))
        for key, path in made.items():
            assert len(flows[key]) == 1 and flows[key][0]['tapq']['path'] == path and flow_counts(flows[key][0]) == wire[key], (key, flows[key], wire[key])


# ---- fragments and options ----

def udp_exchange(lab, client, dst, port, size):
    with in_netns(lab.ns(client)):
        s = socket.socket(socket.AF_INET6 if ':' in dst else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5)
    s.connect((dst, port))
    data = bytes(i & 255 for i in range(size))
    s.send(data)
    got = s.recv(65536)
    local = s.getsockname()[1]
    s.close()
    assert got == data
    return local


def packets_between(pcap, v6):
    """Packets and IP bytes of UDP and its fragments in a capture, by source address."""
    out = {}
    with open(pcap, 'rb') as f:
        f.read(24)
        while True:
            h = f.read(16)
            if len(h) < 16:
                return out
            d = f.read(struct.unpack('<IIII', h)[2])
            eth = struct.unpack('!H', d[12:14])[0]
            if eth == 0x0800 and not v6 and d[23] == 17:
                src, n = socket.inet_ntoa(d[26:30]), struct.unpack('!H', d[16:18])[0]
            elif eth == 0x86dd and v6 and d[20] in (17, 44):
                src, n = socket.inet_ntop(socket.AF_INET6, d[22:38]), struct.unpack('!H', d[18:20])[0] + 40
            else:
                continue
            e = out.setdefault(src, [0, 0])
            e[0] += 1
            e[1] += n


def fragments(v6, apps, path):
    with Lab(outside=False) as lab:
        echo = Echo(lab.ns('web'), 6000)
        lab.start_tapqd(mode='mixed', apps=apps)
        truth = lab.truth('web')
        dst, src = (lab.v6('web'), lab.v6('client')) if v6 else (lab.v4('web'), lab.v4('client'))
        local = udp_exchange(lab, 'client', dst, 6000, 4000)
        truth.stop()
        wire = packets_between(truth.file, v6)
        assert lab.stop_tapqd() == 0
        echo.close()
        flows = [e for e in lab.events('flow') if e['proto'] == 'UDP']
        assert len(flows) == 1 and (flows[0]['src_port'], flows[0]['dest_port']) == (local, 6000), flows
        f = flows[0]['flow']
        assert flows[0]['tapq']['path'] == path, flows
        told = {src: [f['pkts_toserver'], f['bytes_toserver']], dst: [f['pkts_toclient'], f['bytes_toclient']]}
        if path == 'nfq' and wire != told:
            # The kernel makes a datagram whole before the INPUT hook sees it: then it is one packet there.
            whole = (4000 + 8 + (40 if v6 else 20))
            assert told == {src: [1, whole], dst: [1, whole]} or told == {src: [1, whole], dst: wire[dst]}, (told, wire)
        else:
            assert told == wire, (told, wire)


def test_fragments_mirrored_v4():
    fragments(False, ('tcp/8080',), 'tc')


def test_fragments_mirrored_v6():
    fragments(True, ('tcp/8080',), 'tc')


def test_fragments_of_an_owned_port_v4():
    fragments(False, ('udp/6000',), 'nfq')


def test_fragments_of_an_owned_port_v6():
    fragments(True, ('udp/6000',), 'nfq')


def test_ip_options():
    """Packets with IPv4 options on owned and other ports: inspected once each."""
    with Lab(outside=False) as lab:
        echoes = [Echo(lab.ns('web'), p) for p in (8080, 9090)]
        lab.start_tapqd(mode='mixed')
        truth = lab.truth('web')
        keys = {}
        for port in (8080, 9090):
            with in_netns(lab.ns('client')):
                s = socket.socket()
                s.setsockopt(socket.IPPROTO_IP, 4, b'\x01' * 8)     # IP_OPTIONS: no-operations
                s.settimeout(5)
                s.connect((lab.v4('web'), port))
            s.sendall(b'x' * 100)
            got = b''
            while len(got) < 100:
                got += s.recv(1000)
            keys[('TCP',) + tuple(sorted(((lab.v4('client'), s.getsockname()[1]), (lab.v4('web'), port))))] = 'nfq' if port == 8080 else 'tc'
            s.close()
        wire = truth.stop()
        assert lab.stop_tapqd() == 0
        for e in echoes:
            e.close()
        flows = {flow_key(e): e for e in lab.events('flow') if e['proto'] == 'TCP'}
        assert len([e for e in lab.events('flow') if e['proto'] == 'TCP']) == 2
        for k, path in keys.items():
            assert flows[k]['tapq']['path'] == path and flow_counts(flows[k]) == wire[k], (k, path, flows[k], wire[k])


# ---- bridged, routed, NATed ----

def test_bridged_and_routed_local_traffic_once():
    with Lab() as lab:
        lab.add_routed('far', 1)
        echoes = [Echo(lab.ns(c), p) for c in ('web', 'far') for p in (8080, 9090)]
        lab.start_tapqd(mode='mixed', per={c: 'side: server' for c in lab.containers})
        truths = [lab.truth(c) for c in ('web', 'far')]
        made = {}
        for v6 in (False, True):
            for c, s in (('client', 'web'), ('far', 'web'), ('client', 'far'), ('outside', 'far')):
                for port in (8080, 9090):
                    made[one_connection(lab, c, s, port, v6)] = ('nfq' if port == 8080 else 'tc', c, s)
        wire = {}
        for t in truths:
            wire.update(t.stop())
        guard = lab.counter('dpi.guard.second_view')
        assert lab.stop_tapqd() == 0
        for e in echoes:
            e.close()
        flows = {}
        for e in lab.events('flow'):
            if e['proto'] == 'TCP':
                flows.setdefault(flow_key(e), []).append(e)
        assert set(flows) == set(made), (set(flows) ^ set(made))
        for k, (path, c, s) in made.items():
            e = flows[k]
            assert len(e) == 1 and e[0]['tapq']['path'] == path and flow_counts(e[0]) == wire[k], (k, c, s, path, e, wire[k])
            assert (e[0]['tapq'].get('src_workload'), e[0]['tapq'].get('dest_workload')) == (c if c != 'outside' else None, s), e
        assert guard > 0, 'no second view was ever shown: the test shows nothing'


def dnat(tool, service, v6):
    with Lab() as lab:
        lab.add_routed('far', 1)
        node, web, far = lab.ns('node'), lab.v6('web') if v6 else lab.v4('web'), lab.v6('far') if v6 else lab.v4('far')
        run(tool, '-t', 'nat', '-A', 'PREROUTING', '-d', service, '-p', 'tcp', '--dport', '80', '-j', 'DNAT', '--to-destination', '[%s]:9090' % web if v6 else web + ':9090', ns=node)
        echo = Echo(lab.ns('web'), 9090)
        lab.start_tapqd(mode='mixed')
        truths = {c: lab.truth(c) for c in ('web', 'far')}
        s = connect(lab.ns('far'), service, 80)
        local = s.getsockname()[1]
        s.sendall(b'x' * 50)
        assert s.recv(100)
        s.close()
        wire = {c: t.stop() for c, t in truths.items()}
        assert lab.stop_tapqd() == 0
        echo.close()
        flows = {flow_key(e): e for e in lab.events('flow') if e['proto'] == 'TCP'}
        near = ('TCP',) + tuple(sorted(((far, local), (service, 80))))
        away = ('TCP',) + tuple(sorted(((far, local), (web, 9090))))
        assert set(flows) == {near, away} and len([e for e in lab.events('flow') if e['proto'] == 'TCP']) == 2, flows
        assert flow_counts(flows[near]) == wire['far'][near] and flow_counts(flows[away]) == wire['web'][away]
        assert flows[near]['tapq']['src_workload'] == 'far' and flows[away]['tapq']['dest_workload'] == 'web'


def test_dnat_service_address_v4():
    """Behind a service address the two ends see different tuples: two flows, each once (docs/LIMITS.md)."""
    dnat('iptables-nft', '10.96.0.1', False)


def test_dnat_service_address_v6():
    dnat('ip6tables-nft', 'fd96::1', True)


def test_container_that_redirects_inside_itself():
    """A mesh: the workload REDIRECTs 8080 to a port of its own; the queue still carries it, once."""
    for tool in ('iptables-nft', 'iptables-legacy'):
        with Lab(outside=False) as lab:
            for t in (tool, tool.replace('iptables', 'ip6tables')):
                lab.exec('web', t, '-t', 'nat', '-A', 'PREROUTING', '-p', 'tcp', '--dport', '8080', '-j', 'REDIRECT', '--to-ports', '18080')
            lab.nginx('web', ports=(18080,))
            lab.start_tapqd(mode='mixed', per={c: 'side: server' for c in lab.containers})
            for v6 in (False, True):
                assert http_get(lab.ns('client'), lab.v6('web') if v6 else lab.v4('web'), 8080, '/?v6=%d' % v6)[1] == 200
            assert lab.stop_tapqd() == 0
            http = [(e['http']['url'], e['tapq']['path'], e['tapq']['dest_workload']) for e in lab.events('http')]
            assert sorted(http) == [('/?v6=0', 'nfq', 'web'), ('/?v6=1', 'nfq', 'web')], http
            flows = [e for e in lab.events('flow') if e['proto'] == 'TCP']
            assert len(flows) == 2, flows
