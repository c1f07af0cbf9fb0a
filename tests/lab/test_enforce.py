# SPDX-License-Identifier: GPL-2.0-or-later
"""What the mirror denies is stopped: filters that redirect the flow, and both ends are told."""
import re, signal, socket, struct, threading, time

import lablib
from lablib import Lab, in_netns, plain_build_only, run, wait_for
from traffic import Echo, connect, http_get

REQUESTS = '''version: 1
default: {mode: protect}
rules:
  - {id: 30, from: any, to: any, apps: [http], http: {paths: ["/denied*"]}, action: %s}
  - {id: 90, from: any, to: any, action: allow}
'''


class Stream(threading.Thread):
    """A server that answers its first request without an end; knows when and how the connection ended."""
    def __init__(self, ns, addr, port):
        super().__init__(daemon=True)
        with in_netns(ns):
            self.s = socket.socket(socket.AF_INET6 if ':' in addr else socket.AF_INET, socket.SOCK_STREAM)
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.s.bind((addr, port))
        self.s.listen(1)
        self.ended, self.how, self.sent = None, None, 0
        self.start()

    def run(self):
        c, _ = self.s.accept()
        c.recv(4096)
        block = b'x' * 65536
        try:
            c.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 99999999999\r\n\r\n')
            while True:
                c.sendall(block)
                self.sent += len(block)
        except OSError as e:
            self.how = type(e).__name__
        self.ended = time.monotonic()
        c.close()
        self.s.close()


class Download(threading.Thread):
    """The client of a Stream."""
    def __init__(self, ns, addr, port):
        super().__init__(daemon=True)
        self.s = connect(ns, addr, port)
        self.port = self.s.getsockname()[1]
        self.s.settimeout(10)
        self.ended, self.how, self.got, self.last = None, None, 0, 0
        self.s.sendall(b'GET /stream HTTP/1.1\r\nHost: test.example\r\n\r\n')
        self.start()

    def run(self):
        try:
            while True:
                n = len(self.s.recv(1 << 18))
                self.got += n
                self.last = time.monotonic()
                if not n:
                    self.how = 'end'
                    break
        except OSError as e:
            self.how = type(e).__name__
        self.ended = time.monotonic()

    def denied(self):
        """Asks for what is denied while the answer to the first request runs; returns when."""
        t = time.monotonic()
        self.s.sendall(b'GET /denied HTTP/1.1\r\nHost: test.example\r\n\r\n')
        return t


def ours(lab, name):
    """Filters of denied flows on a container's veth."""
    out = [run('tc', 'filter', 'show', 'dev', lab.veth(name), hook, ns=lab.ns('node')).stdout for hook in ('ingress', 'egress')]
    return sum(len(re.findall(r'fh 7[56][0-5]:[0-9a-f]*:[0-9a-f]+ ', o)) for o in out)


def stopped(lab, v4, v6):
    """So many flows are stopped: filters for both ways, IPv6 takes a second one for fragments; in the bpf engine entries of its map, and no filter."""
    filters = sum(ours(lab, c) for c in lab.containers)
    if lablib.ENGINE == 'bpf':
        return not filters and (lab.tapqd.poll() is not None or lab.counter('enforce.standing') == v4 + v6)
    return filters == v4 * 2 + v6 * 4


@plain_build_only
def test_running_downloads_stop():
    """Within 50 ms at both ends; local to local, from and to outside; both families. Another download goes on."""
    with Lab(containers=('web', 'client')) as lab:
        lab.start_tapqd(mode='tc', policy=REQUESTS % 'deny')
        calm_server = Stream(lab.ns('web'), lab.v4('web'), 7000)
        calm = Download(lab.ns('client'), lab.v4('web'), 7000)
        times, port = [], 7001
        for server, client in (('web', 'client'), ('web', 'outside'), ('outside', 'client')):
            for addr in (lab.v4(server), lab.v6(server)):
                port += 1
                s = Stream(lab.ns(server), addr, port)
                d = Download(lab.ns(client), addr, port)
                wait_for('the download runs', lambda: d.got > 1 << 20)
                t = d.denied()
                wait_for(lambda: '%s to %s %s: both ends were told: %s, %s; %d flows stopped, %d packets lost by rings' %
                         (server, client, addr, d.how, s.how, lab.counter('enforce.flows'), lab.counter('source.tc.kernel_drops')), lambda: d.ended and s.ended, 5)
                assert d.how == 'ConnectionResetError' and s.how in ('ConnectionResetError', 'BrokenPipeError'), (d.how, s.how)
                times.append(((d.ended - t) * 1000, (s.ended - t) * 1000))
                before = calm.got
                wait_for('the other one goes on', lambda: calm.got > before)
        print('    ms until the ends knew (client, server): %s' % ', '.join('%.0f %.0f' % t for t in times))
        flat = sorted(x for t in times for x in t)
        assert flat[len(flat) * 3 // 4] < 50 and flat[-1] < 300, times      # the machine's other work shows in the slowest
        assert calm.how is None
        assert lab.counter('enforce.flows') == 6 and lab.counter('enforce.failed') == 0 and lab.counter('enforce.nowhere') == 0
        assert stopped(lab, 3, 3)
        live = [f for f in lab.tapq_json('flows')['flows'] if f['verdict'] == 'deny']
        assert len(live) == 6 and all(f['enforced'] for f in live), live
        print('    %d packets had passed, %.1f ms a flow from the packet to the filter' % (lab.counter('enforce.passed'), lab.counter('enforce.latency_us') / 6000))
        assert lab.stop_tapqd() == 0
        assert calm_server.how is None
        alerts = lab.events('alert')
        assert len(alerts) == 6 and all(a['alert']['action'] == 'blocked' and a['tapq']['enforced'] is True and a['tapq']['rule'] == 30 and a['tapq']['path'] == 'tc' for a in alerts), alerts
        flows = [f for f in lab.events('flow') if f['tapq']['verdict'] == 'deny']
        assert len(flows) == 6 and all(f['tapq']['enforced'] and f['flow']['bytes_toclient'] > 1 << 20 for f in flows), flows


PORTS = '''version: 1
default: {mode: protect}
groups:
  - {name: client, match: {workload: client}}
  - {name: outside, match: {cidr: [192.0.2.2, "2001:db8:77::2"]}}
rules:
  - {id: 10, from: client, to: any, ports: [tcp/8080], action: deny}
  - {id: 11, from: outside, to: any, ports: [tcp/8081], action: drop}
  - {id: 90, from: any, to: any, action: allow}
'''


def how(lab, client, addr, port, timeout=1.2):
    try:
        connect(lab.ns(client), addr, port, timeout=timeout).close()
        return 'open'
    except ConnectionRefusedError:
        return 'refused'
    except (TimeoutError, socket.timeout):
        return 'timed out'


def test_ports_and_addresses_before_the_first_packet():
    """Not one SYN arrives; the rest goes on; both families, local to local, from and to outside."""
    with Lab(containers=('web', 'client', 'other')) as lab:
        for name in ('web', 'outside'):
            for port in (8080, 8081, 8082):
                Echo(lab.ns(name), port)
        lab.start_tapqd(mode='tc', policy=PORTS)
        web, outside = lab.truth('web'), lab.truth('outside')
        for v in (lab.v4, lab.v6):
            assert how(lab, 'client', v('web'), 8080) == 'refused'
            assert how(lab, 'client', v('outside'), 8080) == 'refused'
            assert how(lab, 'outside', v('web'), 8081) == 'timed out'
            for client, server, port in (('client', 'web', 8082), ('client', 'outside', 8082), ('client', 'web', 8081), ('other', 'web', 8080), ('outside', 'web', 8080), ('outside', 'web', 8082),
                                         ('other', 'outside', 8080)):
                assert how(lab, client, v(server), port) == 'open', (client, server, port)
        at = web.stop()
        assert not [k for k in at if 8080 in (k[1][1], k[2][1]) and (lab.v4('client') in (k[1][0], k[2][0]) or lab.v6('client') in (k[1][0], k[2][0]))], at
        assert not [k for k in at if 8081 in (k[1][1], k[2][1]) and (lab.v4('outside') in (k[1][0], k[2][0]) or lab.v6('outside') in (k[1][0], k[2][0]))], at
        at = outside.stop()
        assert not [k for k in at if 8080 in (k[1][1], k[2][1]) and (lab.v4('client') in (k[1][0], k[2][0]) or lab.v6('client') in (k[1][0], k[2][0]))], at
        lab.tapq('status')
        assert lab.stop_tapqd() == 0
        alerts = sorted((a['alert']['signature_id'], a['alert']['action'], a['tapq']['enforced'], a['tapq']['verdict']) for a in lab.events('alert'))
        assert alerts == [(10, 'blocked', True, 'deny')] * 4 + [(11, 'blocked', True, 'drop')] * 2, alerts


ONE_PORT = '''version: 1
default: {mode: protect}
groups:
  - {name: client, match: {workload: client}}
rules:
  - {id: 10, from: client, to: any, ports: [tcp/8080], action: %s}
  - {id: 20, from: client, to: any, ports: [tcp], action: %s}
'''


def test_what_passed_and_what_was_denied_change_places():
    """The same addresses and ports, the other way round: what stands before the first packet follows."""
    with Lab(containers=('web', 'client'), outside=False) as lab:
        for port in (8080, 8081):
            Echo(lab.ns('web'), port)
        lab.start_tapqd(mode='tc', policy=ONE_PORT % ('deny', 'allow'))
        for port, rest in ((8081, 8080), (8080, 8081)):
            web = lab.truth('web')
            for v in (lab.v4, lab.v6):
                assert how(lab, 'client', v('web'), port) == 'open', port
                assert how(lab, 'client', v('web'), rest) == 'refused', rest
            assert not [k for k in web.stop() if rest in (k[1][1], k[2][1])], rest
            with open(lab.path('policy.yaml'), 'w') as f:
                f.write(ONE_PORT % ('allow', 'deny'))
            lab.tapq('reload')
        lab.tapq('status')
        assert lab.stop_tapqd() == 0


BEHIND = '''version: 1
default: {mode: protect}
groups:
  - {name: behind, match: {cidr: [10.99.0.0/24, "fd99::/64"]}}
rules:
  - {id: 10, from: behind, to: any, ports: [tcp/8080], action: allow}
'''


def test_what_a_container_forwards_is_judged_by_its_own_addresses():
    """A container sends from an address that its interface does not have (a router, a service's address on lo): allowed where that address is."""
    with Lab(containers=('web', 'client'), outside=False) as lab:
        Echo(lab.ns('web'), 8080)
        for v, behind, net in ((lab.v4, '10.99.0.1', '10.99.0.1/32'), (lab.v6, 'fd99::1', 'fd99::1/128')):
            lab.exec('client', 'ip', 'addr', 'add', net, 'dev', 'lo')
            lab.exec('web', 'ip', 'route', 'add', net, 'via', v('client'))
        lab.start_tapqd(mode='tc', policy=BEHIND)
        for v, behind in ((lab.v4, '10.99.0.1'), (lab.v6, 'fd99::1')):
            assert how(lab, 'client', v('web'), 8080) == 'refused'
            connect(lab.ns('client'), v('web'), 8080, source=(behind, 0), timeout=2).close()
        assert lab.stop_tapqd() == 0


def test_drop_is_silent():
    with Lab(containers=('web', 'client')) as lab:
        lab.start_tapqd(mode='tc', policy=REQUESTS % 'drop')
        for n, addr in enumerate((lab.v4('web'), lab.v6('web'))):
            s = Stream(lab.ns('web'), addr, 7000 + n)
            d = Download(lab.ns('client'), addr, 7000 + n)
            wait_for('the download runs', lambda: d.got > 1 << 20)
            t = d.denied()
            wait_for('it stops', lambda: time.monotonic() - d.last > 0.4)
            assert d.last - t < 0.1, d.last - t
            assert d.how is None and s.how is None, (d.how, s.how)
            d.s.shutdown(socket.SHUT_RDWR)
        assert lab.stop_tapqd() == 0
        assert {(a['tapq']['verdict'], a['tapq']['enforced']) for a in lab.events('alert')} == {('drop', True)}


def test_datagrams():
    """The first passes and is told; what follows is stopped, and its sender hears of it."""
    policy = PORTS.replace('tcp/8080', 'udp/5000')
    with Lab(containers=('web', 'client')) as lab:
        for name in ('web', 'outside'):
            Echo(lab.ns(name), 5000)
            Echo(lab.ns(name), 5001)
        lab.start_tapqd(mode='tc', policy=policy)
        for server in ('web', 'outside'):
            for addr in (lab.v4(server), lab.v6(server)):
                s = connect(lab.ns('client'), addr, 5000, timeout=0.3, kind=socket.SOCK_DGRAM)
                heard = []

                def told():
                    try:
                        s.send(b'x')
                        heard.append(s.recv(100))
                    except ConnectionRefusedError:
                        return True
                    except (TimeoutError, socket.timeout):
                        return False
                wait_for('%s: port unreachable' % addr, told, 3)
                assert len(heard) <= 2, heard
                n = len(heard)
                for i in range(5):
                    told()
                assert len(heard) == n, 'datagrams passed the filter'
                s.close()
                ok = connect(lab.ns('client'), addr, 5001, timeout=2, kind=socket.SOCK_DGRAM)
                ok.send(b'hello')
                assert ok.recv(100) == b'hello'
                ok.close()
        assert lab.stop_tapqd() == 0
        assert [(a['tapq']['rule'], a['alert']['action']) for a in lab.events('alert')] == [(10, 'blocked')] * 4


STATELESS = '''version: 1
default: {mode: protect}
groups:
  - {name: client, match: {workload: client}}
  - {name: web, match: {workload: web}}
rules:
  - {id: 10, from: client, to: any, ports: [udp/5001], action: allow}
  - {id: 11, from: web, to: client, ports: [udp/6000, icmp, icmp6], action: allow}
  - {id: 20, from: client, to: any, ports: [icmp, icmp6], action: deny}
  - {id: 21, from: client, to: any, ports: [udp], action: deny}
'''


def test_datagrams_and_echoes_before_the_first_packet():
    """What is refused whoever began does not arrive once: datagrams by both their ports, echo requests. What may be an answer passes."""
    with Lab(containers=('web', 'client')) as lab:
        for name in ('web', 'outside'):
            Echo(lab.ns(name), 5000)
            Echo(lab.ns(name), 5001)
        service = Echo(lab.ns('client'), 6000)
        lab.start_tapqd(mode='tc', policy=STATELESS)
        at = [(name, lab.path('seen-' + name), lab.start('tcpdump', '--immediate-mode', '-l', '-nn', '-i', 'eth0', 'udp port 5000 or icmp[0] == 8 or (ip6 and icmp6 and ip6[40] == 128)',
                                                         on=name, stdout=open(lab.path('seen-' + name), 'wb'), log='tcpdump-' + name)) for name in ('web', 'outside')]
        wait_for('tcpdump runs', lambda: all('listening' in open(lab.path('tcpdump-' + name)).read() for name, _, _ in at))
        for v in (lab.v4, lab.v6):
            for server in ('web', 'outside'):
                s = connect(lab.ns('client'), v(server), 5000, timeout=1, kind=socket.SOCK_DGRAM)
                for i in range(3):
                    try:
                        s.send(b'x')
                        assert not s.recv(100)
                    except ConnectionRefusedError:
                        pass        # told at once; the flow's own filters came meanwhile
                s.close()
                assert lab.exec('client', 'ping', '-c', '2', '-i', '0.2', '-W', '0.5', v(server), check=False).returncode == 1
                ok = connect(lab.ns('client'), v(server), 5001, timeout=2, kind=socket.SOCK_DGRAM)
                ok.send(b'hello')
                assert ok.recv(100) == b'hello'
                ok.close()
            back = connect(lab.ns('web'), v('client'), 6000, timeout=2, kind=socket.SOCK_DGRAM)
            back.send(b'hello')
            assert back.recv(100) == b'hello'
            back.close()
        for name, path, p in at:
            p.terminate()
            p.wait()
            with open(path) as f:
                seen = f.read().strip()
            assert not seen, (name, seen)
        service.close()
        for v in (lab.v4, lab.v6):
            assert lab.exec('web', 'ping', '-c', '2', '-i', '0.2', '-W', '1', v('client'), check=False).returncode == 0
            twice = connect(lab.ns('client'), v('web'), 5000, source=('::' if v == lab.v6 else '0.0.0.0', 6000), timeout=1, kind=socket.SOCK_DGRAM)
            twice.send(b'x')        # from the port of a service: it might be its answer, and is judged when it was seen
            assert twice.recv(100) == b'x'
            twice.close()
        lab.tapq('status')
        assert lab.stop_tapqd() == 0
        alerts = {(a['tapq']['rule'], a['proto'], a['alert']['action'], a['tapq']['enforced']) for a in lab.events('alert')}
        assert alerts == {(21, 'UDP', 'blocked', True), (20, 'ICMP', 'blocked', True), (20, 'IPv6-ICMP', 'blocked', True)}, alerts


SCTP = '''version: 1
default: {mode: protect}
groups:
  - {name: web, match: {workload: web}}
rules:
  - {id: 20, from: any, to: web, ports: [sctp/9], action: deny}
  - {id: 90, from: any, to: any, action: allow}
'''


def sctp_init(port):
    """A packet that begins an association, with its CRC32c."""
    p = bytearray(struct.pack('>HHIIBBHIIHHI', 4000, port, 0, 0, 1, 0, 20, 7, 65536, 1, 1, 1))
    crc = 0xffffffff
    for byte in p:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    p[8:12] = struct.pack('<I', crc ^ 0xffffffff)
    return bytes(p)


def test_sctp():
    """The first packet shows the flow; from then on a filter stops it, and no other port's."""
    def raw(name, family):
        with in_netns(lab.ns(name)):
            return socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_SCTP)

    with Lab(containers=('web', 'client'), outside=False) as lab:
        lab.start_tapqd(mode='tc', policy=SCTP)
        for n, (family, addr) in enumerate(((socket.AF_INET, lab.v4('web')), (socket.AF_INET6, lab.v6('web')))):
            server, client = raw('web', family), raw('client', family)
            server.settimeout(0.3)

            def arrives(port):
                client.sendto(sctp_init(port), (addr, 0))
                try:
                    while True:
                        got = server.recv(2048)[20 if family == socket.AF_INET else 0:]
                        if got[:4] == struct.pack('>HH', 4000, port):
                            return True
                except socket.timeout:
                    return False
            assert arrives(9) and arrives(10)
            wait_for('it is stopped', lambda: lab.counter('enforce.flows') == n + 1, 2)
            wait_for('filters stand', lambda: stopped(lab, 1, n), 2)
            assert not arrives(9) and arrives(10)
            server.close()
            client.close()
        lab.tapq('status')
        assert lab.stop_tapqd() == 0
        alerts = [(a['alert']['signature_id'], a['proto'], a['dest_port'], a['alert']['action'], a['tapq']['enforced'], ':' in a['src_ip']) for a in lab.events('alert')]
        assert sorted(alerts) == [(20, 'SCTP', 9, 'blocked', True, False), (20, 'SCTP', 9, 'blocked', True, True)], alerts


def test_two_hundred_at_once_and_the_end_of_flows():
    with Lab(containers=('web', 'client'), outside=False) as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='tc', policy=REQUESTS % 'deny')
        conns = [connect(lab.ns('client'), lab.v6('web') if i & 1 else lab.v4('web'), 8080) for i in range(200)]
        ports = [c.getsockname()[1] for c in conns]
        for c in conns:
            c.sendall(b'GET /denied HTTP/1.1\r\nHost: test.example\r\n\r\n')
        wait_for('filters for all', lambda: stopped(lab, 100, 100), 5)
        ended = 0
        for c in conns:
            c.settimeout(1)
            try:
                while c.recv(4096):
                    pass
            except ConnectionResetError:
                ended += 1
            c.close()
        assert ended == 200, ended
        assert http_get(lab.ns('client'), lab.v4('web'), 8080)[1] == 200
        assert lab.counter('enforce.flows') == 200 and lab.counter('enforce.lost') == 0 and lab.counter('enforce.failed') == 0
        # The same ports again: a new connection ends the old flow, and its filters go.
        again = connect(lab.ns('client'), lab.v4('web'), 8080, source=('0.0.0.0', ports[0]), timeout=5)
        wait_for('its filters are gone', lambda: stopped(lab, 99, 100), 2)
        again.close()
        lab.tapq('status')
        assert lab.stop_tapqd() == 0
        assert not re.search('clsact', run('tc', 'qdisc', 'show', ns=lab.ns('node')).stdout)


def test_a_device_that_went_is_no_failure():
    """What was denied of a container that is gone by the time: nothing is left to stop, and the flows of others are stopped as ever."""
    with Lab(containers=('web', 'client', 'other'), outside=False) as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='tc', policy=REQUESTS % 'deny')
        conns = [connect(lab.ns('client'), a, 8080) for a in (lab.v4('web'), lab.v6('web'))]
        wait_for('they are known', lambda: len(lab.tapq_json('flows')['flows']) >= 2)
        lab.tapqd.send_signal(signal.SIGSTOP)       # so that the packets wait in the ring
        for c in conns:
            c.sendall(b'GET /denied HTTP/1.1\r\nHost: test.example\r\n\r\n')
            c.settimeout(5)
            assert c.recv(100)
        run('ip', 'link', 'del', lab.veth('client'), ns=lab.ns('node'))
        lab.tapqd.send_signal(signal.SIGCONT)
        wait_for('they were judged', lambda: len([a for a in lab.events('alert') if a['alert']['signature_id'] == 30]) == 2)
        c = connect(lab.ns('other'), lab.v4('web'), 8080)
        c.sendall(b'GET /denied HTTP/1.1\r\nHost: test.example\r\n\r\n')
        wait_for('it is stopped', lambda: [f for f in lab.tapq_json('flows')['flows'] if f['src_port'] == c.getsockname()[1] and f['enforced']], 5)
        assert lab.counter('enforce.failed') == 0
        c.close()
        assert lab.stop_tapqd() == 0


def test_policy_change_frees_and_kill_is_cleaned_up():
    with Lab(containers=('web', 'client'), outside=False) as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='tc', policy=REQUESTS % 'drop')
        conns = [connect(lab.ns('client'), a, 8080) for a in (lab.v4('web'), lab.v6('web'))]
        for c in conns:
            c.sendall(b'GET /denied HTTP/1.1\r\nHost: test.example\r\n\r\n')
        wait_for('filters', lambda: stopped(lab, 1, 1))
        with open(lab.path('policy.yaml'), 'w') as f:
            f.write(REQUESTS % 'allow')
        lab.tapq('reload')
        assert stopped(lab, 0, 0)
        for c in conns:         # what was held up by the filter is sent again by itself
            c.settimeout(5)
            c.sendall(b'GET /index.html HTTP/1.1\r\nHost: test.example\r\nConnection: close\r\n\r\n')
            got = b''
            while True:
                d = c.recv(4096)
                if not d:
                    break
                got += d
            assert b'200 OK' in got, got[:200]
        with open(lab.path('policy.yaml'), 'w') as f:
            f.write(REQUESTS % 'deny')
        lab.tapq('reload')
        for again in range(2):
            c = connect(lab.ns('client'), lab.v4('web'), 8080)
            c.sendall(b'GET /denied HTTP/1.1\r\nHost: test.example\r\n\r\n')
            wait_for('a filter', lambda: stopped(lab, 1, 0))
            lab.tapqd.send_signal(signal.SIGKILL)
            lab.tapqd.wait(10)
            assert stopped(lab, 1, 0)
            if again:
                lab.tapq('cleanup')
                assert not re.search('clsact', run('tc', 'qdisc', 'show', ns=lab.ns('node')).stdout)
            else:
                lab.start_tapqd()
                assert stopped(lab, 0, 0)
            c.close()
        lab.start_tapqd()
        assert http_get(lab.ns('client'), lab.v4('web'), 8080)[1] == 200
        assert lab.stop_tapqd() == 0


def test_policy_taken_back_to_none():
    """Not confirmed: there was none before, so none is. What it had stopped goes on."""
    with Lab(containers=('web', 'client'), outside=False) as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='tc')
        with open(lab.path('trial.yaml'), 'w') as f:
            f.write(REQUESTS % 'drop')
        lab.tapq('policy', 'load', lab.path('trial.yaml'), '--confirm', '3')
        conns = [connect(lab.ns('client'), a, 8080) for a in (lab.v4('web'), lab.v6('web'))]
        for c in conns:
            c.sendall(b'GET /denied HTTP/1.1\r\nHost: test.example\r\n\r\n')
        wait_for('filters', lambda: stopped(lab, 1, 1), 3)
        wait_for('they go', lambda: stopped(lab, 0, 0), 10)
        for c in conns:
            c.settimeout(5)
            c.sendall(b'GET /index.html HTTP/1.1\r\nHost: test.example\r\nConnection: close\r\n\r\n')
            assert b'HTTP/1.1' in c.recv(4096)
        lab.tapq('status')
        assert lab.stop_tapqd() == 0


class Keeps(threading.Thread):
    """A server that takes one connection and keeps what it gets."""
    def __init__(self, ns, addr, port):
        super().__init__(daemon=True)
        with in_netns(ns):
            self.s = socket.socket(socket.AF_INET6 if ':' in addr else socket.AF_INET, socket.SOCK_STREAM)
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.s.bind((addr, port))
        self.s.listen(1)
        self.got = b''
        self.start()

    def run(self):
        c, _ = self.s.accept()
        try:
            while d := c.recv(65536):
                self.got += d
        except OSError:
            pass


def test_paths_of_others_change():
    """A flow that is stopped stays so while queues of others come and go, their rules are put back, and they are cut off: not one segment passes."""
    with Lab(outside=False) as lab:
        lab.start_tapqd(mode='mixed', policy=REQUESTS % 'drop')
        addrs = (lab.v4('web'), lab.v6('web'))
        servers, held = ([Keeps(lab.ns('web'), a, port) for a in addrs] for port in (9091, 8080))
        conns = [connect(lab.ns('client'), a, port) for port in (9091, 8080) for a in addrs]
        for c in conns:
            c.sendall(b'GET /denied HTTP/1.1\r\nHost: test.example\r\n\r\n')
        wait_for('filters', lambda: stopped(lab, 1, 1))
        for i in range(6):
            for c in conns:
                c.sendall(b'SECOND')
            lab.tapq('apps', 'db', 'add' if i % 2 == 0 else 'del', 'tcp/7777')
            if i == 3:
                lab.exec('db', 'nft', 'flush', 'ruleset')
            if i > 3:
                lab.tapq('quarantine', 'db', 'on' if i == 4 else 'off')
            time.sleep(0.5)     # what was not acknowledged is sent again
        lab.wait_ready()
        assert [s.got.count(b'SECOND') for s in servers] == [0, 0], [s.got for s in servers]
        assert [s.got for s in held] == [b'', b''], [s.got for s in held]
        assert stopped(lab, 1, 1)
        # their own: their flows may be a queue's now
        lab.tapq('apps', 'web', 'add', 'tcp/9091')
        wait_for('filters go', lambda: stopped(lab, 0, 0))
        assert lab.stop_tapqd() == 0
        assert [s.got.count(b'SECOND') for s in servers] == [0, 0], [s.got for s in servers]


def test_reload_changes_the_blocks():
    """On shared blocks no flow is stopped, and that is what is told; on blocks of a device's own it is: after a reload too, both ways."""
    with Lab(containers=('web', 'client'), outside=False) as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='tc', policy=REQUESTS % 'deny', extra='tc: {engine: u32, blocks: device}\n')

        def is_reset(addr):
            c = connect(lab.ns('client'), addr, 8080)
            try:
                for _ in range(10):
                    c.sendall(b'GET /denied HTTP/1.1\r\nHost: test.example\r\n\r\n')
                    c.recv(65536)
                    time.sleep(0.05)
                return False
            except OSError:
                return True
            finally:
                c.close()
        for blocks in ('device', 'shared', 'device'):
            with open(lab.path('tapqueue.yaml')) as f:
                text = f.read()
            with open(lab.path('tapqueue.yaml'), 'w') as f:
                f.write(re.sub('blocks: [a-z]*', 'blocks: ' + blocks, text))
            lab.tapq('reload')
            lab.wait_ready()
            for a in (lab.v4('web'), lab.v6('web')):
                assert is_reset(a) == (blocks == 'device'), (blocks, a)
        assert lab.counter('enforce.failed') == 0
        assert lab.stop_tapqd() == 0
        told = [(e['alert']['action'], e['tapq']['enforced']) for e in lab.events('alert')]
        per = [told.count(('blocked', True)), told.count(('allowed', False))]
        assert per[0] == 4 and per[1] == len(told) - 4 and per[1] >= 2, told


def test_mixed_and_foreign_filters():
    """Owned ports are the queue's, also where a fence would say the same; the mirror stops the rest; others' filters behind ours see what passes."""
    policy = PORTS.replace('[tcp/8080]', '[tcp/8080, tcp/9090]').replace('rules:\n', 'rules:\n  - {id: 30, from: any, to: any, apps: [http], http: {paths: ["/denied*"]}, action: deny}\n')
    with Lab(containers=('web', 'client', 'other'), outside=False) as lab:
        lab.nginx('web', ports=(8080, 9090, 9091))
        node = lab.ns('node')
        run('ip', 'link', 'add', 'sink', 'up', 'type', 'bridge', ns=node)
        run('tc', 'qdisc', 'add', 'dev', lab.veth('other'), 'clsact', ns=node)
        run('tc', 'filter', 'add', 'dev', lab.veth('other'), 'ingress', 'pref', '50000', 'protocol', 'all', 'u32', 'match', 'u32', '0', '0', 'action', 'mirred', 'egress', 'mirror', 'dev', 'sink', ns=node)
        lab.start_tapqd(mode='mixed', policy=policy)
        for v in (lab.v4, lab.v6):
            assert how(lab, 'client', v('web'), 8080) == 'refused'
            assert how(lab, 'client', v('web'), 9090) == 'refused'
            for client, port in (('client', 9091), ('other', 9091), ('other', 8080)):
                c = connect(lab.ns(client), v('web'), port)
                c.sendall(b'GET /denied HTTP/1.1\r\nHost: test.example\r\n\r\n')
                c.settimeout(3)
                try:
                    while c.recv(4096):
                        pass
                    assert False, 'not reset'
                except ConnectionResetError:
                    pass
                assert http_get(lab.ns(client), v('web'), 9091)[1] == 200
        seen = run('tc', '-s', 'filter', 'show', 'dev', lab.veth('other'), 'ingress', 'pref', '50000', ns=node).stdout
        assert int(re.search(r'Sent \d+ bytes (\d+) pkt', seen).group(1)) > 20, seen
        lab.tapq('status')
        assert lab.stop_tapqd() == 0
        alerts = sorted((a['tapq']['path'], a['tapq']['rule'], a['dest_port'], a['tapq']['enforced']) for a in lab.events('alert'))
        assert alerts == sorted(2 * [('nfq', 10, 8080, True), ('tc', 10, 9090, True), ('tc', 30, 9091, True), ('tc', 30, 9091, True), ('nfq', 30, 8080, True)]), alerts
        left = run('tc', 'filter', 'show', 'dev', lab.veth('other'), 'ingress', ns=node).stdout
        assert 'pref 50000' in left and 'pref 49' not in left, left
