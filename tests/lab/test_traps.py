# SPDX-License-Identifier: GPL-2.0-or-later
"""Traps of the datapath (TRAPS.md) that no other file shows: foreign filters, UDP GSO, what FAIL_OPEN lets by, replay and live."""
import json, os, signal, socket, struct, subprocess, time
from collections import Counter

from lablib import BUILD, Lab, flow_key, in_netns, run, wait_for
from traffic import Transfer, http_get


def test_foreign_clsact_behind_ours_gets_every_packet():
    with Lab(outside=False) as lab:
        node, v = lab.ns('node'), lab.veth('web')
        run('ip', 'link', 'add', 'sink0', 'type', 'bridge', ns=node)
        run('ip', 'link', 'set', 'sink0', 'up', ns=node)
        run('tc', 'qdisc', 'add', 'dev', v, 'clsact', ns=node)
        prefs = (('ingress', '50000'), ('egress', '50001'))     # apart: a dump of one hook also shows the other's u32 filters of the same preference
        for hook, pref in prefs:
            run('tc', 'filter', 'add', 'dev', v, hook, 'pref', pref, 'protocol', 'all', 'u32', 'match', 'u32', '0', '0', 'action', 'mirred', 'egress', 'mirror', 'dev', 'sink0', ns=node)
        lab.nginx('web')
        lab.start_tapqd(mode='mixed')

        def foreign():
            out = ''.join(run('tc', '-s', 'filter', 'show', 'dev', v, hook, 'pref', pref, ns=node).stdout for hook, pref in prefs)
            return sum(int(l.split(' pkt')[0].split()[-1]) for l in out.split('\n') if 'Sent' in l)

        def on_wire():
            s = json.loads(run('ip', '-s', '-j', 'link', 'show', v, ns=node).stdout)[0]['stats64']
            return s['rx']['packets'] + s['tx']['packets']

        def both():
            """(wire, foreign) at one moment: nothing passed between the two looks."""
            w, f = on_wire(), foreign()
            return (w, f) if on_wire() == w else None
        w0, f0 = wait_for('a quiet moment', both)
        for i in range(50):
            http_get(lab.ns('client'), lab.v6('web') if i & 1 else lab.v4('web'), 8080)
        wait_for('counters settle', lambda: foreign() - f0 == on_wire() - w0, 3)
        assert on_wire() - w0 > 400
        w = {x['name']: x for x in lab.tapq_json('workloads')['workloads']}['web']
        assert w['interfaces'][0]['foreign_filters'] == 2, w
        assert lab.stop_tapqd() == 0
        flows = [e for e in lab.events('flow') if e['proto'] == 'TCP']
        assert len(flows) == 50 and all(e['tapq']['path'] == 'nfq' for e in flows)
        left = run('tc', 'filter', 'show', 'dev', v, 'ingress', ns=node).stdout
        assert 'pref 50000' in left and 'neuv' not in left


def test_foreign_ingress_qdisc_is_told():
    with Lab(outside=False) as lab:
        run('tc', 'qdisc', 'add', 'dev', lab.veth('web'), 'ingress', ns=lab.ns('node'))
        lab.start_tapqd(mode='tc', ready=False)
        wait_for('the others are covered', lambda: lab.tapq_json('status', check=False).get('covered') == 2 if os.path.exists(lab.path('control.sock')) else False)
        r = lab.tapq('status', check=False)
        assert r.returncode == 1 and 'missing: web' in r.stdout and 'ingress' in r.stdout, r.stdout
        assert lab.stop_tapqd() == 0
        assert 'ingress' in run('tc', 'qdisc', 'show', 'dev', lab.veth('web'), ns=lab.ns('node')).stdout


def dns_query(ident, name='gso.example'):
    labels = b''.join(bytes([len(p)]) + p.encode() for p in name.split('.'))
    return struct.pack('!HHHHHH', ident, 0x0100, 1, 0, 0, 0) + labels + b'\0\0\1\0\1'


def udp_gso(apps, path):
    """Ten datagrams sent as one (UDP_SEGMENT) are ten queries, whatever the path."""
    with Lab(outside=False) as lab:
        lab.dnsmasq('db', records=(('example', '10.9.8.7'),))
        lab.start_tapqd(mode='mixed', apps=apps)
        with in_netns(lab.ns('client')):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(3)
        s.connect((lab.v4('db'), 53))
        queries = [dns_query(100 + i) for i in range(10)]
        s.sendmsg([b''.join(queries)], [(socket.SOL_UDP, 103, struct.pack('@H', len(queries[0])))])     # UDP_SEGMENT
        answers = {struct.unpack('!H', s.recv(2000)[:2])[0] for _ in range(10)}
        s.close()
        assert answers == set(range(100, 110))
        assert lab.stop_tapqd() == 0
        told = Counter((e['dns']['type'], e['dns']['id'], e['tapq']['path']) for e in lab.events('dns'))
        want = Counter({(t, i, path): 1 for t in ('query', 'answer') for i in range(100, 110)})
        assert told == want, told
        assert len([e for e in lab.events('flow') if e['proto'] == 'UDP']) == 1


def test_udp_gso_mirrored():
    udp_gso(('tcp/8080',), 'tc')


def test_udp_gso_queued():
    udp_gso(('udp/53',), 'nfq')


def test_what_fail_open_lets_by_is_counted():
    """tapqd hangs: packets fill the queue, the kernel lets the rest by unseen; both are in the counters afterwards."""
    with Lab(outside=False) as lab:
        lab.start_tapqd(mode='nfq', apps=('udp/6000',))
        with in_netns(lab.ns('web')):
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            server.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)      # SO_RCVBUFFORCE
            server.bind((lab.v4('web'), 6000))
        with in_netns(lab.ns('client')):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        lab.tapqd.send_signal(signal.SIGSTOP)
        sent = 12000
        for i in range(sent):
            s.sendto(b'x' * 64, (lab.v4('web'), 6000))
        lab.tapqd.send_signal(signal.SIGCONT)
        server.settimeout(1)
        got = 0
        try:
            while got < sent:
                server.recv(100)
                got += 1
        except socket.timeout:
            pass
        assert got == sent, 'fail: open, and %d of %d arrived' % (got, sent)

        def seen():
            p = lab.tapq_json('status', check=False)['paths']['nfq']
            return p['packets'], p['passed_unseen']
        # client's OUTPUT queues each, web's INPUT too; client rules let pass what web's queue owns
        wait_for(lambda: 'seen and unseen are all there is: %s of %d' % (seen(), sent), lambda: sum(seen()) == sent, 10)
        assert seen()[1] > 0, 'nothing was let by: the test shows nothing'
        server.close()
        s.close()


def test_own_firewall_holds_when_the_queue_is_full():
    """A full queue lets packets jump over the rest of its table: what the workload's own DROP forbids does not arrive all the same."""
    with Lab(outside=False) as lab:
        for tool in ('iptables-nft', 'ip6tables-nft'):
            lab.exec('web', tool, '-A', 'INPUT', '-p', 'udp', '--dport', '6000', '-j', 'DROP')
        lab.start_tapqd(mode='nfq', apps=('udp/6000', 'udp/6001'))
        servers = {}
        with in_netns(lab.ns('web')):
            for port in (6000, 6001):
                servers[port] = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
                servers[port].setsockopt(socket.SOL_SOCKET, 33, 64 << 20)      # SO_RCVBUFFORCE
                servers[port].bind(('::', port))
                servers[port].settimeout(1)
        with in_netns(lab.ns('client')):
            s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        lab.tapqd.send_signal(signal.SIGSTOP)
        for i in range(12000):
            s.sendto(b'x' * 64, (lab.v6('web'), 6001))
        got = 0
        try:
            while servers[6001].recv(100):
                got += 1
        except socket.timeout:
            pass
        assert got > 0, 'the queue is not full: the test shows nothing'
        for addr in ('::ffff:' + lab.v4('web'), lab.v6('web')):
            for i in range(100):
                s.sendto(b'forbidden', (addr, 6000))
        try:
            servers[6000].recv(100)
            raise AssertionError('a forbidden packet arrived while tapqd hung')
        except socket.timeout:
            pass
        lab.tapqd.send_signal(signal.SIGCONT)
        servers[6000].settimeout(0.5)
        try:
            servers[6000].recv(100)
            raise AssertionError('a forbidden packet arrived when tapqd answered')
        except socket.timeout:
            pass
        for x in (s, *servers.values()):
            x.close()


def big_tcp(mode):
    """Super-packets over 64 KiB (gso_max_size): the queue would cut them, so it is opened without GSO; the transfer is whole and all of it is seen."""
    with Lab(outside=False) as lab:
        for name in ('web', 'client'):
            for ns, dev in ((lab.ns(name), 'eth0'), (lab.ns('node'), lab.veth(name))):
                run('ip', 'link', 'set', dev, 'gso_max_size', '180000', 'gro_max_size', '180000', ns=ns)
        lab.start_tapqd(mode=mode)
        t = Transfer(lab.ns('web'), lab.ns('client'), lab.v6('web'), 8080, 64 << 20)
        t.whole()
        path = lab.tapq_json('status')['paths']['tc' if mode == 'tc' else 'nfq']
        lost = path['kernel_drops'], path['user_drops'], path['passed_unseen'], lab.counter('stream.gaps')
        assert lab.stop_tapqd() == 0
        flow = [e for e in lab.events('flow') if e['dest_port'] == 8080]
        assert lost == (0, 0, 0, 0), 'kernel drops, user drops, unseen, gaps in the stream: %s' % (lost,)
        assert len(flow) == 1 and flow[0]['tapq']['path'] == ('tc' if mode == 'tc' else 'nfq'), flow
        f = flow[0]['flow']
        # What TCP carried, and a header of 72 bytes (IPv6, TCP with time stamps) for each packet seen; a little may have been sent again.
        assert 64 << 20 <= f['bytes_toclient'] - 72 * f['pkts_toclient'] <= 65 << 20, f
        assert not [e for e in lab.events('anomaly')], lab.events('anomaly')[:2]


def test_big_tcp_mirrored():
    big_tcp('tc')


def test_big_tcp_queued():
    big_tcp('mixed')


def strip(e):
    e = json.loads(json.dumps(e))
    for k in ('timestamp', 'flow_id', 'in_iface', 'pcap_cnt'):
        e.pop(k, None)
    for k in ('path', 'enforced', 'node'):
        e['tapq'].pop(k, None)
    if e['event_type'] == 'flow':
        for k in ('start', 'end', 'age', 'reason'):
            e['flow'].pop(k, None)
    return json.dumps(e, sort_keys=True)


def replay(lab, *args):
    return run(os.path.join(BUILD, 'tapq'), 'replay', *args).stdout


def test_replay_tells_what_live_told():
    with Lab(outside=False) as lab:
        lab.nginx('web')
        lab.dnsmasq('db')
        lab.redis('db')
        lab.tls_server('db')
        lab.sshd('db')
        lab.start_tapqd(mode='tc')
        with open(lab.path('workloads.json'), 'w') as f:
            f.write(lab.tapq('--json', 'workloads').stdout)
        truth = lab.path('all.pcap')
        p = lab.start('tcpdump', '--immediate-mode', '-i', 'eth0', '-s', '0', '-U', '-w', truth, on='client', log='tcpdump.log')
        wait_for('tcpdump runs', lambda: os.path.exists(truth) and os.path.getsize(truth) >= 24)
        for dst in ('v4', 'v6'):
            a = getattr(lab, dst)
            http_get(lab.ns('client'), a('web'), 8080, '/?replayed')
            lab.exec('client', 'dig', '+short', '+tries=1', '@' + a('db'), 'api.example', 'A')
            lab.exec('client', 'redis-cli', '-h', a('db'), 'set', 'colour', 'blue')
            lab.exec('client', 'curl', '-sk', '-o', '/dev/null', '--resolve', 'secure.example:443:' + a('db'), 'https://secure.example/')
            lab.exec('client', 'ssh', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', a('db'), 'true', check=False)
        time.sleep(0.3)
        p.send_signal(signal.SIGINT)
        p.wait(10)
        assert lab.stop_tapqd() == 0
        once = replay(lab, '--workloads', lab.path('workloads.json'), truth)
        again = replay(lab, '--workloads', lab.path('workloads.json'), truth)
        assert once == again, 'the same input gives other bytes'
        kinds = ('http', 'dns', 'tls', 'redis', 'ssh', 'flow')
        told = [json.loads(l) for l in once.split('\n') if l]
        live = Counter(strip(e) for e in lab.events() if e['event_type'] in kinds and e['proto'] in ('TCP', 'UDP'))
        offline = Counter(strip(e) for e in told if e['event_type'] in kinds and e['proto'] in ('TCP', 'UDP'))
        assert sum(live.values()) >= 20, live
        assert live == offline, 'only live: %s\n only in replay: %s' % (list((live - offline))[:3], list((offline - live))[:3])


def test_replay_of_bad_files_is_one_line():
    with Lab(outside=False, containers=()) as lab:
        bad = lab.path('bad.pcap')
        for content, words in ((b'', 'bad.pcap'), (b'not a capture at all, by far', 'bad.pcap')):
            with open(bad, 'wb') as f:
                f.write(content)
            r = run(os.path.join(BUILD, 'tapq'), 'replay', bad, check=False)
            assert r.returncode == 1 and words in r.stderr and r.stderr.count('\n') == 1 and not r.stdout, r
        r = run(os.path.join(BUILD, 'tapq'), 'replay', lab.path('none.pcap'), check=False)
        assert r.returncode == 1 and 'none.pcap' in r.stderr and r.stderr.count('\n') == 1, r
