# SPDX-License-Identifier: GPL-2.0-or-later
"""A policy is changed while connections are open and busy: all are judged again, and those that may go on lose nothing."""
import selectors, signal, socket, threading, time

from lablib import Lab, flow_counts, flow_key, in_netns, plain_build_only, wait_for
from test_enforce import Keeps, REQUESTS
from test_policy import tried
from traffic import connect

STAYS, GOES, STAYS_MIRRORED, GOES_MIRRORED = 7001, 7002, 7003, 7004
PORTS = (STAYS, GOES, STAYS_MIRRORED, GOES_MIRRORED)
APPS = ('tcp/7001', 'tcp/7002')

TOP = '''version: 1
default: {mode: protect}
groups:
  - {name: web, match: {workload: web}}
rules:
'''
ALL = '  - {id: 90, from: any, to: any, action: allow}\n'
OPEN = TOP + '  - {id: 10, from: any, to: web, ports: tcp/7000-7100, action: allow}\n' + ALL
SHUT = TOP + '  - {id: 20, from: any, to: web, ports: [tcp/7002, tcp/7004], action: deny}\n' + ALL


def many(rules):
    """A policy of so many rules that allows everything by its last one."""
    return TOP + ''.join('  - {id: %d, from: any, to: web, ports: [tcp/%d, udp/%d-%d], apps: [http], action: deny}\n' % (i, 10000 + i, i, i + 50) for i in range(1, rules)) + \
        '  - {id: %d, from: any, to: any, action: allow}\n' % rules


class Busy:
    """Connections that each send a line and wait for it to come back, again and again: clients and servers in one thread of one loop."""
    def __init__(self, lab, ends, each):
        self.sel = selectors.DefaultSelector()
        self.stop, self.servers = threading.Event(), {}
        self.clients, self.ended = {}, {}        # socket: [end, port of its own, asked, when]; {(end, port): (why, when)}
        self.answered, self.times = {}, []       # {(end, port): lines}; [(when, seconds)]
        for port in {port for _, port in ends}:
            with in_netns(lab.ns('web')):
                s = socket.socket(socket.AF_INET6)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(('::', port))
            s.listen(256)
            s.setblocking(False)
            self.sel.register(s, selectors.EVENT_READ, self._accept)
            self.servers[port] = s
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        for end in ends:
            for _ in range(each):
                with in_netns(lab.ns('client')):
                    c = socket.socket(socket.AF_INET6 if ':' in end[0] else socket.AF_INET)
                c.settimeout(5)
                c.connect(end)
                c.setblocking(False)
                self.clients[c] = [end, c.getsockname()[1], 0, 0]
        for c, state in self.clients.items():
            self.answered[state[0], state[1]] = 0
        for c in list(self.clients):
            self._ask(c)
            self.sel.register(c, selectors.EVENT_READ, self._answer)

    def _run(self):
        while not self.stop.is_set():
            for key, _ in self.sel.select(0.05):
                key.data(key.fileobj)

    def _accept(self, s):
        try:
            c, _ = s.accept()
        except OSError:
            return
        c.setblocking(False)
        self.sel.register(c, selectors.EVENT_READ, self._echo)

    def _drop(self, s):
        self.sel.unregister(s)
        s.close()

    def _echo(self, s):
        try:
            d = s.recv(65536)
            if d:
                s.send(d)
        except OSError:
            d = b''
        if not d:
            self._drop(s)

    def _ask(self, c):
        state = self.clients[c]
        state[2], state[3] = state[2] + 1, time.monotonic()
        c.send(b'line %d of a protocol that nobody knows\n' % state[2])

    def _answer(self, c):
        end, port, asked, when = self.clients[c]
        try:
            d = c.recv(65536)
            if d:
                now = time.monotonic()
                self.times.append((now, now - when))
                self.answered[end, port] += 1
                self._ask(c)
                return
            why = 'closed'
        except ConnectionResetError:
            why = 'reset'
        except OSError as e:
            why = str(e)
        self.ended[end, port] = (why, time.monotonic())
        self._drop(c)

    def moves(self, seconds=5):
        """Each connection that is open gets an answer to something that it asks from now on."""
        before = dict(self.answered)
        wait_for('every connection goes on', lambda: all(self.answered[k] > before[k] + 1 or k in self.ended for k in before), seconds)

    def close(self):
        self.stop.set()
        self.thread.join(10)
        for key in list(self.sel.get_map().values()):
            key.fileobj.close()
        self.sel.close()


def lost(lab):
    """Packets that the queue, the ring or a stream lost: 0."""
    paths = lab.tapq_json('status')['paths'].values()
    return sum(p.get(what, 0) for p in paths for what in ('kernel_drops', 'user_drops', 'passed_unseen')) + lab.counter('stream.gaps')


def ends_of(lab, ports):
    return [(addr, port) for addr in (lab.v4('web'), lab.v6('web')) for port in ports]


def ids(lab):
    return {(f['src_ip'], f['src_port'], f['dest_port']): f['flow_id'] for f in lab.tapq_json('flows', '--limit', '100000')['flows'] if f['dest_port'] in PORTS}


def policy_of(lab, name, text):
    with open(lab.path(name), 'w') as f:
        f.write(text)
    return lab.path(name)


def change_under_load(mode, ports, queued):
    """200 connections. Those denied by the new policy are reset, within a second where the queue has them, and told; of the others each packet is
    counted in one flow event with the id that it had before."""
    with Lab() as lab:
        lab.start_tapqd(mode=mode, apps=APPS, policy=OPEN)
        truth = lab.truth('web')
        ends = ends_of(lab, ports)
        busy = Busy(lab, ends, 200 // len(ends))
        assert len(busy.clients) == 200
        busy.moves()
        before = ids(lab)
        assert len(before) == 200, len(before)
        lab.tapq('policy', 'load', policy_of(lab, 'shut.yaml', SHUT))
        at = time.monotonic()
        denied = {k for k in busy.answered if k[0][1] in (GOES, GOES_MIRRORED)}
        cut = {k for k in denied if k[0][1] in queued}
        wait_for('the denied connections are reset', lambda: denied <= set(busy.ended), 5)
        slow = [busy.ended[k] for k in denied if busy.ended[k][0] != 'reset' or (k in cut and busy.ended[k][1] > at + 1)]
        assert not slow, slow[:3]

        def alerts():
            return {e['flow_id']: e for e in lab.events('alert') if e['alert']['signature_id'] == 20}
        wait_for('each denied connection is told', lambda: len(alerts()) >= len(denied), 5)
        told = alerts()
        assert {before[a] for a in before if a[2] in (GOES, GOES_MIRRORED)} == set(told), (len(told), len(denied))
        assert all(e['tapq']['enforced'] for e in told.values())
        busy.moves()
        assert not set(busy.ended) - denied, list(set(busy.ended) - denied)[:3]
        assert lost(lab) == 0
        after = ids(lab)
        assert all(after[k] == before[k] for k in before if k[2] in (STAYS, STAYS_MIRRORED))
        busy.close()
        wire = truth.stop()
        assert lab.stop_tapqd() == 0, lab.log()
        flows = {}
        for e in lab.events('flow'):
            if e['proto'] == 'TCP':
                flows.setdefault(flow_key(e), []).append(e)
        assert len(flows) == 200 and all(len(v) == 1 for v in flows.values()), (len(flows), [v for v in flows.values() if len(v) != 1][:1])
        assert {v[0]['flow_id'] for v in flows.values()} == set(before.values())
        wrong = [(k, flow_counts(v[0]), wire[k]) for k, v in flows.items() if v[0]['dest_port'] in (STAYS, STAYS_MIRRORED) and flow_counts(v[0]) != wire[k]]
        assert not wrong, '%d flows miss or repeat packets, e.g. %s' % (len(wrong), wrong[:2])


def test_change_under_load_nfq():
    change_under_load('nfq', (STAYS, GOES), (STAYS, GOES))


def test_change_under_load_tc():
    change_under_load('tc', (STAYS_MIRRORED, GOES_MIRRORED), ())


def test_change_under_load_mixed():
    change_under_load('mixed', PORTS, (STAYS, GOES))


def test_fifty_loads_under_load():
    with Lab() as lab:
        lab.start_tapqd(mode='mixed', apps=APPS, policy=OPEN)
        busy = Busy(lab, ends_of(lab, (STAYS, STAYS_MIRRORED)), 50)
        busy.moves()
        before = ids(lab)
        files = policy_of(lab, 'a.yaml', SHUT), policy_of(lab, 'b.yaml', OPEN)
        for i in range(50):
            lab.tapq('policy', 'load', files[i % 2])
            if i % 10 == 0:     # what is in force: a new connection
                end = lab.v6('web') if i % 20 else lab.v4('web'), GOES
                assert tried(lab, 'client', [end])[end] == 'refused'
        busy.moves()
        assert not busy.ended, list(busy.ended.items())[:3]
        assert lost(lab) == 0
        after = ids(lab)
        assert {k: after.get(k) for k in before} == before
        busy.close()
        assert lab.stop_tapqd() == 0, lab.log()
        flows = [e['flow_id'] for e in lab.events('flow') if e['proto'] == 'TCP' and e['dest_port'] in (STAYS, STAYS_MIRRORED)]
        assert sorted(flows) == sorted(before.values()), (len(flows), len(set(flows)), len(before))


@plain_build_only
def test_sighup_frees_nothing():
    """A log that is rotated: the policy is the same, and what it refused does not get to the server, be it sent again, on either path."""
    for offload in ('false', 'true'):
        with Lab(outside=False, containers=('web', 'client')) as lab:
            lab.start_tapqd(mode='mixed', policy=REQUESTS % 'drop', extra='nfq: {apps: [tcp/8080], offload: %s}\n' % offload)
            ends = [(a, port) for port in (8080, 9091) for a in (lab.v4('web'), lab.v6('web'))]
            servers = [Keeps(lab.ns('web'), *e) for e in ends]
            conns = [connect(lab.ns('client'), *e) for e in ends]
            for c in conns:
                c.sendall(b'GET /denied HTTP/1.1\r\nHost: test.example\r\n\r\n')
            wait_for('filters', lambda: lab.counter('enforce.standing') == 2)
            for c in conns:
                c.sendall(b'SECOND')
            for _ in range(3):
                done = lab.counter('config.reloads')
                lab.tapqd.send_signal(signal.SIGHUP)
                wait_for('it was read', lambda: lab.counter('config.reloads') == done + 1)
                time.sleep(0.7)     # it is sent again
            got = [s.got for s in servers]
            assert got[:2] == [b'', b''] and all(g.count(b'GET') == 1 and b'SECOND' not in g for g in got[2:]), got
            assert lab.counter('enforce.standing') == 2
            # another one that may refuse such a request too: what the queue held back has not arrived yet, and does not
            with open(lab.path('other.yaml'), 'w') as f:
                f.write(REQUESTS.replace('rules:\n', 'rules:\n  - {id: 20, from: any, to: any, ports: [tcp/1], action: deny}\n') % 'drop')
            lab.tapq('policy', 'load', lab.path('other.yaml'))
            wait_for('they are stopped again', lambda: lab.counter('enforce.standing') == 2)
            time.sleep(2)
            assert [s.got for s in servers[:2]] == [b'', b''], [s.got for s in servers]
            assert lab.stop_tapqd() == 0


def test_load_of_ten_thousand_rules_does_not_stall():
    """While policies of 10,000 rules are read and taken over, answers keep coming: the 99th percentile stays within ten times of the quiet one, or 100 ms."""
    with Lab() as lab:
        lab.start_tapqd(mode='mixed', apps=APPS, policy=OPEN)
        busy = Busy(lab, ends_of(lab, (STAYS, STAYS_MIRRORED)), 50)
        busy.moves()

        def p99(start):
            times = sorted(t for when, t in list(busy.times) if when >= start)
            return times[len(times) * 99 // 100], times[-1]
        start = time.monotonic()
        time.sleep(1)
        quiet, _ = p99(start)
        big = policy_of(lab, 'big.yaml', many(10000))
        start = time.monotonic()
        for _ in range(5):
            answer = lab.tapq_json('policy', 'load', big)
            assert answer['rules'] == 10000, answer
        loading, longest = p99(start)
        assert loading <= max(10 * quiet, 0.1), 'p99 %.4f s while loading, %.4f s before' % (loading, quiet)
        assert longest < 2, longest
        busy.moves()
        assert not busy.ended and lost(lab) == 0, (list(busy.ended.items())[:3], lost(lab))
        busy.close()
        assert lab.stop_tapqd() == 0, lab.log()


STRICT = '''version: 1
strict: true
default: {mode: protect}
groups:
  - {name: web, match: {workload: web}}
rules:
  - {id: 20, from: any, to: web, ports: [%s], apps: [http], action: allow}
  - {id: 21, from: any, to: web, action: deny}
  - {id: 90, from: any, to: any, action: allow}
'''


def test_strict():
    """A strict policy that the mirror could not keep in time is refused: checked, loaded, and when the mode would become one in which it is so."""
    with Lab() as lab:
        lab.start_tapqd(mode='mixed', apps=APPS, policy=OPEN)
        config = lab.path('tapqueue.yaml')
        bad, good = policy_of(lab, 'bad.yaml', STRICT % 'tcp/7001, tcp/7003'), policy_of(lab, 'good.yaml', STRICT % 'tcp/7001')
        r = lab.tapq('policy', 'check', bad, '-c', config, check=False)
        assert r.returncode == 1 and 'bad.yaml:7: strict: rule 20' in r.stderr, r
        r = lab.tapq('policy', 'load', bad, check=False)
        assert r.returncode == 1 and 'bad.yaml:7: strict: rule 20' in r.stderr and r.stderr.count('\n') == 1, r
        assert 'id: 10' in lab.tapq('policy', 'show').stdout
        assert lab.tapq('policy', 'check', good, '-c', config).stderr == ''
        lab.tapq('policy', 'load', good)
        r = lab.tapq('mode', 'tc', check=False)
        assert r.returncode == 1 and 'good.yaml:7: strict: rule 20' in r.stderr, r
        assert lab.tapq('mode').stdout.strip() == 'mixed'
        # Another one is on trial: what comes back if nobody confirms it is strict as ever.
        lab.tapq('policy', 'load', policy_of(lab, 'open.yaml', OPEN), '--confirm', '60')
        r = lab.tapq('mode', 'tc', check=False)
        assert r.returncode == 1 and 'good.yaml:7: strict: rule 20' in r.stderr, r
        lab.tapq('policy', 'load', good)
        lab.tapq('mode', 'nfq')
        assert lab.tapq('mode').stdout.strip() == 'nfq'
        assert lab.stop_tapqd() == 0, lab.log()
