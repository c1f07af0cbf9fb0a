# SPDX-License-Identifier: GPL-2.0-or-later
"""Past the queue: a workload that sends on an owned port by AF_PACKET, or flushes its own chains, is told within 200 ms of its SYN, and the
rest of the connection is judged from the mirror. (That nothing of this is told elsewhere, every other lab test sees: Lab.stop_tapqd.)"""
import os, random, signal, socket, struct, time

from lablib import Lab, in_netns, plain_build_only, run, wait_for
from traffic import connect, http_get, read_all


def checksum(b):
    b += b'\0' * (len(b) % 2)
    s = sum(struct.unpack('!%dH' % (len(b) // 2), b))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff


class RawTcp:
    """A TCP of its own over AF_PACKET, past the workload's netfilter, from an address that its kernel does not know (and so never resets)."""
    def __init__(self, lab, name, src, dst, port):
        self.six = ':' in dst
        self.family = socket.AF_INET6 if self.six else socket.AF_INET
        self.src, self.dst = socket.inet_pton(self.family, src), socket.inet_pton(self.family, dst)
        self.sport, self.dport = random.randrange(20000, 30000), port
        self.seq, self.ack = random.randrange(1 << 32), 0
        node = lab.ns('node')
        run('ip', 'neigh', 'replace', src, 'lladdr', lab.mac(name), 'dev', 'cbr0', 'nud', 'permanent', ns=node)
        self.eth = bytes.fromhex(run('cat', '/sys/class/net/cbr0/address', ns=node).stdout.strip().replace(':', '')) + bytes.fromhex(lab.mac(name).replace(':', ''))
        with in_netns(lab.ns(name)):
            self.s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.s.bind(('eth0', 0))
        self.s.settimeout(5)

    def send(self, flags, data=b''):
        tcp = struct.pack('!HHIIBBHHH', self.sport, self.dport, self.seq, self.ack, 0x50, flags, 65535, 0, 0) + data
        n = len(tcp)
        pseudo = self.src + self.dst + (struct.pack('!IHBB', n, 0, 0, 6) if self.six else struct.pack('!BBH', 0, 6, n))
        tcp = tcp[:16] + struct.pack('!H', checksum(pseudo + tcp)) + tcp[18:]
        if self.six:
            ip = struct.pack('!IHBB', 6 << 28, n, 6, 64) + self.src + self.dst
        else:
            ip = struct.pack('!BBHHHBBH', 0x45, 0, 20 + n, random.randrange(65536), 0x4000, 64, 6, 0) + self.src + self.dst
            ip = ip[:10] + struct.pack('!H', checksum(ip)) + ip[12:]
        self.s.send(self.eth + struct.pack('!H', 0x86dd if self.six else 0x800) + ip + tcp)
        self.seq = (self.seq + len(data) + bool(flags & 2) + bool(flags & 1)) & 0xffffffff

    def receive(self):
        """The next segment to this end: (flags, data); acknowledged."""
        while True:
            d = self.s.recv(65536)[14:]
            head, proto, src, dst = (40, d[6], d[8:24], d[24:40]) if self.six else ((d[0] & 15) * 4, d[9], d[12:16], d[16:20])
            if len(d) < head + 20 or d[0] >> 4 != (6 if self.six else 4) or proto != 6 or (src, dst) != (self.dst, self.src):
                continue
            sport, dport, seq, _, off, flags = struct.unpack('!HHIIBB', d[head:head + 14])
            length = struct.unpack('!H', d[4:6])[0] if self.six else struct.unpack('!H', d[2:4])[0] - head
            data = d[head + (off >> 4) * 4:head + length]
            if (sport, dport) != (self.dport, self.sport) or (not data and not flags & 3):
                continue
            self.ack = (seq + len(data) + bool(flags & 2) + bool(flags & 1)) & 0xffffffff
            return flags, data

    def connect(self):
        self.send(2)
        started = time.monotonic()
        flags, _ = self.receive()
        assert flags == 0x12, flags
        self.send(0x10)
        return started

    def ask(self, path):
        self.send(0x18, ('GET %s HTTP/1.1\r\nHost: past.example\r\n\r\n' % path).encode())
        answer = b''
        while b'\r\n\r\n' not in answer or len(answer) < 200:
            answer += self.receive()[1]
            self.send(0x10)
        assert answer.startswith(b'HTTP/1.1 200'), answer[:40]

    def close(self):
        self.send(4)
        self.s.close()


def bypasses(lab, port=None):
    return [e for e in lab.events('anomaly') if e['anomaly']['event'] == 'bypass' and (port is None or e['src_port'] == port)]


def told_in_time(lab, port, started):
    """Waits for the event of the connection from this port; how long it took since its SYN."""
    wait_for('bypass is told', lambda: bypasses(lab, port), 5, 0.002)
    took = time.monotonic() - started
    told = bypasses(lab, port)
    assert len(told) == 1, told
    assert took < 0.2, 'bypass was told after %.0f ms' % (took * 1000)
    assert told[0]['anomaly']['layer'] == 'path' and told[0]['tapq']['path'] == 'tc' and told[0]['tapq']['src_workload'] == 'client', told
    assert told[0]['flow_id'], told
    return told[0]


def asked(lab, path):
    return [e for e in lab.events('http') if e['http'].get('url') == path]


def opened(lab):
    """The exclusions are off the client's mirror."""
    return '74710000' not in run('tc', 'filter', 'show', 'dev', lab.veth('client'), 'ingress', ns=lab.ns('node')).stdout and lab.counter('workload.bypassed')


@plain_build_only
def test_past_the_queue():
    """AF_PACKET with a TCP of its own, IPv4 and IPv6, to a server outside."""
    with Lab() as lab:
        lab.bypass_expected = True
        lab.nginx('outside', ports=(8080,), size=300)
        lab.start_tapqd(mode='mixed', per={c: 'apps: [tcp/8080]' for c in lab.containers})
        http_get(lab.ns('client'), lab.v4('outside'), 8080, '/queued')
        for n, (src, dst) in enumerate((('10.77.0.99', lab.v4('outside')), ('fd77::99', lab.v6('outside')))):
            raw = RawTcp(lab, 'client', src, dst, 8080)
            started = raw.connect()
            event = told_in_time(lab, raw.sport, started)
            wait_for('the mirror is opened', lambda: opened(lab))
            for i in range(3):
                raw.ask('/?past=%d%d' % (n, i))
            wait_for('its requests are judged from the mirror', lambda: all(asked(lab, '/?past=%d%d' % (n, i)) for i in range(3)))
            told = [e for i in range(3) for e in asked(lab, '/?past=%d%d' % (n, i))]
            assert len(told) == 3 and all(e['tapq']['path'] == 'tc' and e['flow_id'] == event['flow_id'] for e in told), told
            raw.close()
        # what goes through the queue meanwhile is the queue's, once
        http_get(lab.ns('client'), lab.v4('outside'), 8080, '/?queued=2')
        wait_for('the queued request is told', lambda: asked(lab, '/?queued=2'))
        assert [e['tapq']['path'] for e in asked(lab, '/?queued=2')] == ['nfq']
        assert len(bypasses(lab)) == 2 and lab.counter('dpi.guard.bypass') == 2
        assert lab.stop_tapqd() == 0, lab.log()
        flows = [e for e in lab.events('flow') if e['src_ip'] in ('10.77.0.99', 'fd77::99')]
        assert len(flows) == 2 and all(e['tapq']['path'] == 'tc' and e['app_proto'] == 'http' for e in flows), flows


@plain_build_only
def test_chains_flushed():
    """The workload flushes its chains: the next connection is told in time, though the rules are only read back each two seconds; then they stand again."""
    with Lab() as lab:
        lab.bypass_expected = True
        lab.nginx('outside', ports=(8080,), size=300)
        lab.start_tapqd(mode='mixed', per={c: 'apps: [tcp/8080]' for c in lab.containers})
        for tool, v6 in (('iptables', False), ('ip6tables', True)):
            dst = lab.v6('outside') if v6 else lab.v4('outside')
            backend = 'nft' if 'NV_OUTPUT' in run(tool + '-nft', '-S', ns=lab.ns('client'), check=False).stdout else 'legacy'
            lab.exec('client', '%s-%s' % (tool, backend), '-F')
            started = time.monotonic()
            s = connect(lab.ns('client'), dst, 8080)
            port = s.getsockname()[1]
            told_in_time(lab, port, started)
            wait_for('the mirror is opened', lambda: opened(lab))
            s.sendall(b'GET /?flushed=%d HTTP/1.1\r\nHost: flushed.example\r\nConnection: close\r\n\r\n' % v6)
            assert read_all(s).startswith(b'HTTP/1.1 200')
            s.close()
            wait_for('its request is told', lambda: asked(lab, '/?flushed=%d' % v6))
            wait_for('the rules stand again', lambda: 'NFQUEUE' in lab.exec('client', '%s-%s' % (tool, backend), '-S').stdout and lab.tapq('status', check=False).returncode == 0)
            path = '/?repaired=%d' % v6
            wait_for('the switch is over', lambda: time.monotonic() > started + 3)
            http_get(lab.ns('client'), dst, 8080, path)
            wait_for('the next one is queued', lambda: asked(lab, path))
            assert [e['tapq']['path'] for e in asked(lab, path)] == ['nfq'], asked(lab, path)
        assert len(bypasses(lab)) == 2
        assert lab.stop_tapqd() == 0, lab.log()


def test_full_queue_is_no_bypass():
    """What FAIL_OPEN lets by while tapqd stands still was not shown, but its workload did nothing wrong."""
    with Lab() as lab:
        lab.nginx('outside', ports=(8080,))
        lab.start_tapqd(mode='mixed', per={c: 'apps: [tcp/8080]' for c in lab.containers})
        pid = lab.tapq_json('status')['pid']
        socks = []
        os.kill(pid, signal.SIGSTOP)
        try:
            with in_netns(lab.ns('client')):
                for i in range(6000):      # the queue holds 4096
                    s = socket.socket()
                    s.setblocking(False)
                    s.connect_ex((lab.v4('outside'), 8080))
                    socks.append(s)
            wait_for('some got through', lambda: run('ss', '-Htn', 'state', 'established', ns=lab.ns('client')).stdout.count(':8080') > 50)
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_for('tapqd goes on', lambda: lab.tapq('status', check=False).returncode == 0)
        for s in socks:
            s.close()
        # the queue may be full a moment longer, and let the first of these by too
        wait_for('a later request is told', lambda: http_get(lab.ns('client'), lab.v4('outside'), 8080, '/?after') and asked(lab, '/?after'), 20, 0.3)
        assert not bypasses(lab), bypasses(lab)[:2]
        assert lab.stop_tapqd() == 0, lab.log()
