# SPDX-License-Identifier: GPL-2.0-or-later
"""A workload is cut off at once, on every path and family, open connections included; what it tries is still seen; others go on; `off` restores."""
import os, signal, socket, struct, threading, time

from lablib import BUILD, Lab, in_netns, run, wait_for
from test_policy import refused
from traffic import Echo, KeptAlive, connect, http_get

TALK = 'tcp or udp or icmp or (icmp6 and ip6[40] != 133 and ip6[40] != 134 and ip6[40] != 135 and ip6[40] != 136)'


class Watch:
    """Every packet at an interface that is not ARP or neighbour discovery, with its time."""
    def __init__(self, lab, name, what):
        self.file = lab.path('watch-%s.pcap' % name)
        self.p = lab.start('tcpdump', '--immediate-mode', '-i', 'eth0', '-s', '96', '-U', '-w', self.file, '(%s) and %s' % (TALK, what), on=name, log='watch.log')
        wait_for('tcpdump runs', lambda: os.path.exists(self.file) and os.path.getsize(self.file) >= 24)

    def times(self):
        text = run('tcpdump', '-tt', '-nn', '-r', self.file, check=False).stdout
        return [float(line.split()[0]) for line in text.splitlines() if line and line[0].isdigit()]


class Pulse(threading.Thread):
    """Says something each 5 ms over UDP and keeps the times of the answers."""
    def __init__(self, ns, addr, port):
        super().__init__(daemon=True)
        self.s = connect(ns, addr, port, kind=socket.SOCK_DGRAM, timeout=0.005)
        self.answers, self.over = [], False
        self.start()

    def run(self):
        while not self.over:
            try:
                self.s.send(b'hello')
                self.s.recv(100)
                self.answers.append(time.time())
            except OSError:
                pass
            time.sleep(0.005)


def answered(lab, client, addr, port):
    s = connect(lab.ns(client), addr, port, kind=socket.SOCK_DGRAM, timeout=0.5)
    try:
        s.send(b'x')
        return s.recv(10) == b'x'
    except OSError:
        return False
    finally:
        s.close()


def pings(lab, client, addr):
    return lab.exec(client, 'ping', '-c', '1', '-W', '0.5', addr, check=False).returncode == 0


def download(lab, addr):
    """A connection that is sent to without end; how much came."""
    s = connect(lab.ns('client'), addr, 9100)
    got = [0]

    def take():
        try:
            while True:
                d = s.recv(65536)
                if not d:
                    break
                got[0] += len(d)
        except OSError:
            pass
    threading.Thread(target=take, daemon=True).start()
    wait_for('the download runs', lambda: got[0] > 100000)
    return s, got


def all_silent(kept):
    for k in kept:
        k.s.settimeout(0.4)
        try:
            k.get()
            raise AssertionError('a kept connection answered')
        except (TimeoutError, socket.timeout):
            pass


class Source:
    def __init__(self, ns):
        with in_netns(ns):
            self.l = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
            self.l.bind(('::', 9100))
            self.l.listen(8)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            c, _ = self.l.accept()
            threading.Thread(target=self.send, args=(c,), daemon=True).start()

    def send(self, c):
        try:
            while True:
                c.sendall(b'x' * 20000)
                time.sleep(0.002)
        except OSError:
            pass


def cut_off(mode):
    with Lab(outside=False) as lab:
        lab.nginx('web', ports=(8080, 8081))
        echoes = [Echo(lab.ns(name), 7000) for name in ('web', 'db', 'client')]
        Source(lab.ns('web'))
        lab.start_tapqd(mode=mode, apps=('tcp/8080',))
        before = lab.exec('web', 'nft', 'list', 'ruleset').stdout
        families = (lab.v4, lab.v6)
        kept = [KeptAlive(lab.ns('client'), f('web'), port) for f in families for port in (8080, 8081)]
        others = [connect(lab.ns('client'), f('db'), 7000) for f in families]
        assert all(k.get() == 200 for k in kept)
        runs = [download(lab, f('web')) for f in families]
        pulses = [Pulse(lab.ns('client'), f('web'), 7000) for f in families]
        watches = [Watch(lab, 'client', 'ether src %s' % lab.mac('web')), Watch(lab, 'web', 'ether dst %s' % lab.mac('web'))]
        wait_for('the pulses beat', lambda: all(len(p.answers) > 10 for p in pulses))
        start = time.time()
        assert lab.tapq_json('quarantine', 'web', 'on') == {'workload': 'web', 'quarantine': 'on'}
        done = time.time()
        had = [got[0] for _, got in runs]
        all_silent(kept)
        for f in families:
            web, client = f('web'), f('client')
            for port in (8080, 8081):
                assert refused(lab, 'client', web, port, timeout=0.5) == 'timed out'
            assert refused(lab, 'web', client, 7000, timeout=0.5) == 'timed out'
            assert not answered(lab, 'client', web, 7000) and not answered(lab, 'web', client, 7000)
            assert not pings(lab, 'client', web) and not pings(lab, 'web', client)
            assert http_get(lab.ns('web'), '::1' if ':' in web else '127.0.0.1', 8081)[1] == 200       # what it says to itself is its own affair
        for s in others:
            s.sendall(b'still here')
            assert s.recv(100) == b'still here'
        assert answered(lab, 'db', lab.v4('client'), 7000) and pings(lab, 'db', lab.v6('client'))
        assert [got[0] for _, got in runs] == had
        late = [max(w.times()) - start for w in watches]
        print('%s: %.1f ms for the command; the last packet out after %.1f ms, in after %.1f ms' % (mode, (done - start) * 1e3, late[0] * 1e3, late[1] * 1e3))
        assert max(late) < done - start + 0.01, (late, done - start)
        for p in pulses:
            p.over = True
        status = lab.tapq_json('status')
        assert status['quarantined'] == ['web'] and status['ready'] and not status['missing'], status
        assert {w['name']: w['quarantined'] for w in lab.tapq_json('workloads')['workloads']} == {'web': True, 'client': False, 'db': False}
        lab.tapq('reload')
        assert refused(lab, 'client', lab.v4('web'), 8081, timeout=0.5) == 'timed out'
        # over every family and direction it was seen, and told as carried out
        wait_for('what it tried is told', lambda: {(e['src_ip'], e['dest_ip'], e['proto']) for e in lab.events('alert')} >=
                 {(f(a), f(b), p) for f in families for a, b in (('client', 'web'), ('web', 'client')) for p in ('TCP', 'UDP')})
        alerts = lab.events('alert')
        assert all(e['tapq']['reason'] == 'quarantine' and e['tapq']['verdict'] == 'drop' and e['tapq']['enforced'] and e['alert']['action'] == 'blocked' and
                   e['alert']['signature'] == 'workload in quarantine' and 'web' in (e['tapq'].get('src_workload'), e['tapq'].get('dest_workload')) for e in alerts), alerts
        lab.tapq('quarantine', 'web', 'off')
        for f in families:
            assert http_get(lab.ns('client'), f('web'), 8080)[1] == 200 and http_get(lab.ns('client'), f('web'), 8081)[1] == 200
            assert refused(lab, 'web', f('client'), 7000) is None and answered(lab, 'client', f('web'), 7000) and pings(lab, 'web', f('client'))
        assert lab.exec('web', 'nft', 'list', 'ruleset').stdout.count('QUAR') == 0
        if mode == 'tc':
            assert lab.exec('web', 'nft', 'list', 'ruleset').stdout == before
        assert lab.tapq_json('status')['ready'] and lab.tapq_json('status')['quarantined'] == []
        for s in others + [k.s for k in kept] + [s for s, _ in runs]:
            s.close()
        for e in echoes:
            e.close()
        assert lab.stop_tapqd() == 0


def test_cut_off_tc():
    cut_off('tc')


def test_cut_off_nfq():
    cut_off('nfq')


def test_cut_off_mixed():
    cut_off('mixed')


def test_it_outlives_the_agent():
    """Killed, the kernel goes on cutting; the next start takes over; cleanup ends it and leaves nothing."""
    with Lab(outside=False) as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='mixed')
        lab.tapq('quarantine', 'web', 'on')
        lab.tapqd.send_signal(signal.SIGKILL)
        lab.tapqd.wait(5)
        for addr in (lab.v4('web'), lab.v6('web')):
            assert refused(lab, 'client', addr, 8080, timeout=0.5) == 'timed out'
        lab.start_tapqd()
        assert lab.tapq_json('status')['quarantined'] == ['web']
        assert refused(lab, 'client', lab.v4('web'), 8080, timeout=0.5) == 'timed out'
        assert lab.stop_tapqd() == 0        # on_stop: remove takes everything away ...
        assert http_get(lab.ns('client'), lab.v4('web'), 8080)[1] == 200
        lab.start_tapqd()                   # ... but the next start has not forgotten
        assert refused(lab, 'client', lab.v6('web'), 8080, timeout=0.5) == 'timed out'
        assert lab.tapq('quarantine', 'nobody', 'on', check=False).returncode == 1
        lab.tapqd.send_signal(signal.SIGKILL)
        lab.tapqd.wait(5)
        run(os.path.join(BUILD, 'tapq'), '-s', lab.path('control.sock'), 'cleanup', ns=lab.ns('node'))
        assert 'PROXYMESH' not in lab.exec('web', 'nft', 'list', 'ruleset').stdout
        assert 'u32' not in lab.exec('node', 'tc', 'filter', 'show', 'dev', 'v-web', 'ingress').stdout
        assert http_get(lab.ns('client'), lab.v4('web'), 8080)[1] == 200
        lab.start_tapqd()
        assert lab.tapq_json('status')['quarantined'] == []
        assert http_get(lab.ns('client'), lab.v6('web'), 8080)[1] == 200
        assert lab.stop_tapqd() == 0


def test_repaired_and_switched():
    """Filters and chains that somebody takes away come back, and the mode may change meanwhile."""
    with Lab(outside=False) as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='tc')
        lab.tapq('quarantine', 'web', 'on')
        lab.exec('web', 'nft', 'flush', 'ruleset')
        lab.exec('node', 'tc', 'filter', 'del', 'dev', 'v-web', 'ingress')
        wait_for('both are back', lambda: 'QUAR' in lab.exec('web', 'nft', 'list', 'ruleset').stdout and
                 'redirect' in lab.exec('node', 'tc', 'filter', 'show', 'dev', 'v-web', 'ingress').stdout.lower())
        for mode in ('mixed', 'nfq', 'tc'):
            lab.tapq('mode', mode)
            lab.wait_ready()
            for addr in (lab.v4('web'), lab.v6('web')):
                assert refused(lab, 'client', addr, 8080, timeout=0.4) == 'timed out', mode
            assert 'QUAR' in lab.exec('web', 'nft', 'list', 'ruleset').stdout
        # the container is started again under its name: cut off before anybody says so
        run('ip', 'netns', 'del', lab.ns('web'))
        lab.procs[0].terminate()        # nginx, which kept it
        wait_for('it is gone', lambda: len(lab.tapq_json('workloads')['workloads']) == 2 and 'v-web' not in lab.exec('node', 'ip', '-br', 'link').stdout)
        lab.add_container('web', known=True)
        lab.wait_ready()
        for addr in (lab.v4('web'), lab.v6('web')):
            assert refused(lab, 'client', addr, 8080, timeout=0.4) == 'timed out'
        lab.tapq('quarantine', 'web', 'off')
        for addr in (lab.v4('web'), lab.v6('web')):
            assert refused(lab, 'client', addr, 8080, timeout=2) == 'refused'       # there is nobody, but it says so
        assert lab.stop_tapqd() == 0


def test_chains_alone_over_mode_switches():
    """Where filters cannot stand the chains cut alone, and nothing passes while the mode changes under them and connections are open."""
    with Lab(outside=False, containers=('web', 'client')) as lab:
        lab.nginx('web')
        echo = Echo(lab.ns('web'), 7000)
        run('tc', 'qdisc', 'add', 'dev', lab.veth('web'), 'ingress', ns=lab.ns('node'))
        lab.start_tapqd(mode='nfq')
        families = (lab.v4, lab.v6)
        kept = [KeptAlive(lab.ns('client'), f('web'), 8080) for f in families]
        assert all(k.get() == 200 for k in kept)
        lab.tapq('quarantine', 'web', 'on', check=False)
        pulses = [Pulse(lab.ns('client'), f('web'), 7000) for f in families]
        for mode in ('tc', 'nfq', 'tc', 'mixed', 'tc'):
            lab.tapq('mode', mode)
            wait_for('its chains stand', lambda: 'QUAR' in lab.exec('web', 'nft', 'list', 'ruleset').stdout)
            assert not any(p.answers for p in pulses), (mode, [len(p.answers) for p in pulses])
        lab.tapq('quarantine', 'web', 'off')
        wait_for('it answers', lambda: all(p.answers for p in pulses))
        for p in pulses:
            p.over = True
        echo.close()
        assert lab.stop_tapqd() == 0


def test_two_of_one_name():
    """A container chooses its host name, and with it its own in quarantine: all of that name are cut off."""
    with Lab(outside=False) as lab:
        for name in ('web', 'db'):
            lab.nginx(name)
        lab.start_tapqd(mode='tc', static=False, extra='workloads:\n  discover: [netns]\n  static:\n    - {name: %s, netns: /run/netns/%s, interface: eth0}\n' % (lab.ns('db'), lab.ns('web')))
        assert sorted(w['name'] for w in lab.tapq_json('workloads')['workloads']) == sorted([lab.ns('client'), lab.ns('db'), lab.ns('db')])
        addrs = [f(name) for f in (lab.v4, lab.v6) for name in ('web', 'db')]
        for op, expected in (('on', 'timed out'), ('off', None)):
            lab.tapq('quarantine', lab.ns('db'), op)
            for a in addrs:
                assert refused(lab, 'client', a, 8080, timeout=0.4) == expected, (op, a)
        assert lab.stop_tapqd() == 0


def test_queue_that_another_has():
    """Another program has the queue's number: the chains cut all the same, and go with the quarantine."""
    with Lab(outside=False, containers=('web', 'client')) as lab:
        lab.nginx('web')
        with in_netns(lab.ns('web')):
            other = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)       # NETLINK_NETFILTER
        # NFQNL_MSG_CONFIG of queue 0: NFQA_CFG_CMD, bind
        other.send(struct.pack('=IHHII', 28, 3 << 8 | 2, 1, 1, 0) + struct.pack('!BBH', 0, 0, 0) + struct.pack('=HHBBH', 8, 1, 1, 0, 0))
        lab.start_tapqd(mode='tc')
        families = (lab.v4, lab.v6)

        def cut():
            return 'QUAR' in lab.exec('web', 'nft', 'list', 'ruleset').stdout
        for first in ('tc', 'nfq'):
            lab.tapq('mode', first)
            lab.tapq('quarantine', 'web', 'on')
            lab.tapq('mode', 'nfq')
            assert cut() and 'another program' in lab.tapq('status', check=False).stdout
            for f in families:
                assert refused(lab, 'client', f('web'), 8080, timeout=0.4) == 'timed out'
            lab.tapq('quarantine', 'web', 'off')
            assert not cut(), first
            for f in families:
                assert http_get(lab.ns('client'), f('web'), 8080)[1] == 200
        other.close()
        lab.wait_ready()
        assert lab.stop_tapqd() == 0


def test_where_filters_cannot_stand():
    """Another's qdisc is where the filters' should be: the chains cut alone, the command says what is missing, and it is made good once there is room."""
    with Lab(outside=False, containers=('web', 'client')) as lab:
        lab.nginx('web')
        echo = Echo(lab.ns('client'), 7000)
        run('tc', 'qdisc', 'add', 'dev', lab.veth('web'), 'ingress', ns=lab.ns('node'))
        lab.start_tapqd(mode='nfq')
        families = (lab.v4, lab.v6)
        kept = [KeptAlive(lab.ns('client'), f('web'), 8080) for f in families]
        assert all(k.get() == 200 for k in kept)
        r = lab.tapq('quarantine', 'web', 'on', check=False)
        assert r.returncode == 1 and 'v-web' in r.stderr, r
        assert lab.tapq_json('status', check=False)['quarantined'] == ['web']
        all_silent(kept)
        for f in families:
            assert refused(lab, 'client', f('web'), 8080, timeout=0.5) == 'timed out'
            assert refused(lab, 'web', f('client'), 7000, timeout=0.5) == 'timed out'
        assert 'redirect' not in lab.exec('node', 'tc', 'filter', 'show', 'dev', 'v-web', 'ingress').stdout.lower()
        run('tc', 'qdisc', 'del', 'dev', lab.veth('web'), 'ingress', ns=lab.ns('node'))
        wait_for('the filters stand too', lambda: 'redirect' in lab.exec('node', 'tc', 'filter', 'show', 'dev', 'v-web', 'ingress').stdout.lower())
        lab.wait_ready()
        lab.tapq('quarantine', 'web', 'off')
        for f in families:
            assert http_get(lab.ns('client'), f('web'), 8080)[1] == 200 and refused(lab, 'web', f('client'), 7000) is None
        echo.close()
        assert lab.stop_tapqd() == 0
