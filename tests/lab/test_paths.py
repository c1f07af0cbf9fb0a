# SPDX-License-Identifier: GPL-2.0-or-later
"""The three modes on real traffic: every connection is one flow event, on the right path, with exact counters."""
import signal, socket
from collections import Counter

from lablib import Lab, flow_counts, flow_key, in_netns, run, wait_for
from traffic import KeptAlive, Transfer, connect, http_get, read_all

POLICY = None


def flows_by_key(lab):
    out = {}
    for e in lab.events('flow'):
        out.setdefault(flow_key(e), []).append(e)
    return out


def check_flows(lab, truth, expected, path_of):
    """expected: {key: (src workload, dest workload)}. Each is in exactly one flow event, with the capture's counters."""
    flows = flows_by_key(lab)
    missing = [k for k in expected if k not in flows]
    assert not missing, '%d of %d connections have no flow event, e.g. %s' % (len(missing), len(expected), missing[:3])
    double = [k for k in expected if len(flows[k]) != 1]
    assert not double, '%d connections have several flow events, e.g. %s' % (len(double), flows[double[0]])
    wrong = [(flow_counts(flows[k][0]), truth[k], k) for k in expected if flow_counts(flows[k][0]) != truth[k]]
    assert not wrong, '%d flows have other counters than the wire, e.g. told %s, seen %s: %s' % ((len(wrong),) + wrong[0])
    for k, (src, dst) in expected.items():
        t = flows[k][0]['tapq']
        assert t['path'] == path_of(k), (k, t)
        assert (t.get('src_workload'), t.get('dest_workload')) == (src, dst), (k, t)


def make_traffic(lab, n):
    """HTTP on 8080 and 8081 from a local and the outside client, both families, then DNS, TLS and Redis. Returns {key: ends}."""
    expected, http = {}, Counter()
    for i in range(n):
        client = ('client', 'outside')[i % 2]
        port = (8080, 8081)[i // 2 % 2]
        v6 = i // 4 % 2
        dst = lab.v6('web') if v6 else lab.v4('web')
        src = lab.v6(client) if v6 else lab.v4(client)
        local, status = http_get(lab.ns(client), dst, port, '/?%d' % i)
        assert status == 200
        key = ('TCP',) + tuple(sorted(((src, local), (dst, port))))
        assert key not in expected
        expected[key] = (client if client != 'outside' else None, 'web')
        http['/?%d' % i] += 1
    return expected, http


def run_mode(mode, n, path_of, hear=None):
    with Lab() as lab:
        lab.nginx('web', ports=(8080, 8081))
        lab.start_tapqd(mode=mode)
        t = lab.truth('web')
        expected, http = make_traffic(lab, n)
        truth = t.stop()
        assert lab.stop_tapqd() == 0, lab.log()
        if hear:
            expected = {k: v for k, v in expected.items() if hear(k)}
        check_flows(lab, truth, expected, path_of)
        seen = Counter(e['http']['url'] for e in lab.events('http'))
        keys = {flow_key(e) for e in lab.events('http')}
        assert keys == set(expected), 'http events on other flows than expected'
        assert all(c == 1 for c in seen.values()) and len(seen) == len(expected), 'each request is one http event: %d told of %d' % (len(seen), len(expected))
        return lab


def owned(key):
    return 8080 in (key[1][1], key[2][1])


def test_mixed_every_connection_once():
    run_mode('mixed', 1200, lambda k: 'nfq' if owned(k) else 'tc')


def test_tc_every_connection_once():
    run_mode('tc', 400, lambda k: 'tc')


def test_nfq_every_connection_once():
    run_mode('nfq', 400, lambda k: 'nfq', hear=owned)


def test_mixed_protocols():
    """DNS, TLS, Redis and SSH from real servers, each told once with its names."""
    with Lab() as lab:
        lab.nginx('web')
        lab.dnsmasq('db')
        lab.redis('db')
        lab.tls_server('db')
        lab.sshd('db')
        lab.start_tapqd(mode='mixed', apps=('tcp/8080', 'tcp/6379', 'udp/53'))
        for dst in (lab.v4('db'), lab.v6('db')):
            assert lab.exec('client', 'dig', '+short', '+tries=1', '@' + dst, 'api.example', 'A').stdout.strip() == '10.9.8.7'
            assert lab.exec('client', 'dig', '+short', '+tcp', '@' + dst, 'tcp.api.example', 'A').stdout.strip() == '10.9.8.7'
            assert lab.exec('client', 'redis-cli', '-h', dst, 'set', 'colour', 'blue').stdout.strip() == 'OK'
            url = 'https://secure.example/'
            assert lab.exec('client', 'curl', '-sk', '-o', '/dev/null', '-w', '%{http_code}', '--resolve', 'secure.example:443:' + dst, url).stdout == '200'
            lab.exec('client', 'ssh', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', dst, 'true', check=False)
        assert lab.stop_tapqd() == 0
        dns = [e for e in lab.events('dns') if e['dns']['type'] == 'answer']
        assert sorted((e['proto'], e['dns']['rrname'], e['tapq']['path']) for e in dns) == \
            sorted([('UDP', 'api.example', 'nfq'), ('TCP', 'tcp.api.example', 'tc')] * 2), dns
        assert all(a['rdata'] == '10.9.8.7' for e in dns for a in e['dns']['answers'])
        redis = [e for e in lab.events('redis') if e['redis']['command'] == 'SET']
        assert [(e['redis']['key'], e['tapq']['path']) for e in redis] == [('colour', 'nfq')] * 2, redis
        tls = lab.events('tls')
        assert [(e['tls']['sni'], e['tapq']['path'], e['tapq']['dest_workload']) for e in tls] == [('secure.example', 'tc', 'db')] * 2, tls
        ssh = lab.events('ssh')
        assert len(ssh) == 2 and all('OpenSSH' in e['ssh']['server']['software_version'] and len(e['ssh']['client']['hassh']['hash']) == 32 for e in ssh), ssh
        apps = Counter(e.get('app_proto') for e in lab.events('flow') if e['proto'] in ('TCP', 'UDP'))
        assert apps == {'dns': 4, 'redis': 2, 'tls': 2, 'ssh': 2}, apps


def test_mode_option_wins_over_file():
    with Lab(outside=False) as lab:
        lab.start_tapqd('--mode', 'nfq', mode='tc')
        assert lab.tapq('mode').stdout.strip() == 'nfq'
        lab.tapqd.send_signal(signal.SIGHUP)
        wait_for('reloaded', lambda: 'reloaded' in lab.log())
        assert lab.tapq('mode').stdout.strip() == 'nfq'
        assert 'vbr-neuv' not in lab.exec('node', 'ip', '-br', 'link').stdout


def loop_back(addr):
    with Lab(containers=('solo',), outside=False) as lab:
        lab.nginx('solo')
        lab.start_tapqd(mode='mixed', extra='nfq: {apps: [tcp/8080], loopback: true}\n')
        t = lab.truth('solo', 'lo')
        ports = [http_get(lab.ns('solo'), addr, 8080, '/?%d' % i)[0] for i in range(50)]
        truth = t.stop()
        assert lab.stop_tapqd() == 0
        expected = {('TCP',) + tuple(sorted(((addr, p), (addr, 8080)))): ('solo', 'solo') for p in ports}
        check_flows(lab, truth, expected, lambda k: 'nfq')
        assert Counter(e['http']['url'] for e in lab.events('http')) == {'/?%d' % i: 1 for i in range(50)}


def test_loopback_each_packet_once_v4():
    loop_back('127.0.0.1')


def test_loopback_each_packet_once_v6():
    loop_back('::1')


def transfer(addr_of, client, loopback):
    with Lab(outside=False) as lab:
        lab.start_tapqd(mode='mixed', extra='nfq: {apps: [tcp/8080], loopback: %s}\n' % ('true' if loopback else 'false'))
        t = Transfer(lab.ns('web'), lab.ns(client), addr_of(lab), 8080, 100 << 20)
        t.whole()
        assert lab.stop_tapqd() == 0
        flow = [e for e in lab.events('flow') if e['dest_port'] == 8080]
        assert len(flow) == 1 and flow[0]['tapq']['path'] == 'nfq', flow
        assert flow[0]['flow']['bytes_toclient'] > 100 << 20


def test_100_mb_through_the_queue_eth0():
    transfer(lambda lab: lab.v4('web'), 'client', False)


def test_100_mb_through_the_queue_lo():
    transfer(lambda lab: '127.0.0.1', 'web', True)


def test_every_flow_is_told_at_the_end():
    """More flows are open when tapqd stops than the way to the sinks has room for at once."""
    flows = 25000
    with Lab(outside=False, containers=('web', 'client')) as lab:
        lab.start_tapqd(mode='tc')
        with in_netns(lab.ns('client')):
            for port in range(20000, 20000 + flows):
                s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
                s.bind(('::', port))
                s.sendto(b'one of many', (lab.v6('web'), 9))
                s.close()
        wait_for('all were seen', lambda: lab.counter('flow.new') >= flows, 20)
        assert lab.stop_tapqd() == 0
        told = {e['src_port'] for e in lab.events('flow') if e['dest_port'] == 9}
        assert len(told) == flows, len(told)
