# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests in pieces: what a server's recv() returns of them, when they are refused, allowed, or not finished in time."""
import socket, time

from lablib import Lab, wait_for
from traffic import connect

POLICY = '''version: 1
default: {mode: protect}
%s
groups:
  - {name: web, match: {workload: web}}
rules:
  - {id: 10, from: any, to: web, http: {methods: [DELETE]}, action: deny}
  - {id: 20, from: any, to: web, redis: {commands: [FLUSHALL]}, action: deny}
  - {id: 90, from: any, to: any, action: allow}
'''

HTTP_DENIED, HTTP_ALLOWED = b'DELETE /x HTTP/1.1\r\nHost: shop\r\n\r\n', b'PUT /x/y HTTP/1.1\r\nHost: shop\r\n\r\n'
REDIS_DENIED, REDIS_ALLOWED = b'*1\r\n$8\r\nFLUSHALL\r\n', b'*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n'

WHOLE = (HTTP_DENIED, HTTP_ALLOWED, REDIS_DENIED, REDIS_ALLOWED)


class Received:
    """A server that writes down what recv() returned, by the client's port: one line a time. It answers a whole request, in however many pieces that came."""
    def __init__(self, lab, name, port):
        self.path = lab.path('received.log')
        code = '''
import socket, threading
s = socket.socket(socket.AF_INET6); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('::', %d)); s.listen(64)
log = open(%r, 'ab', 0)
def serve(c, port):
    request = b''
    try:
        while True:
            d = c.recv(65536)
            log.write(b'%%d %%s\\n' %% (port, d.hex().encode() or b'end'))
            if not d:
                break
            request += d
            if request in %r:
                c.sendall(b'+OK\\r\\n')
                request = b''
    except ConnectionResetError:
        log.write(b'%%d reset\\n' %% port)
while True:
    c, a = s.accept()
    threading.Thread(target=serve, args=(c, a[1]), daemon=True).start()
''' % (port, self.path, WHOLE)
        lab.start('python3', '-c', code, on=name)
        lab.wait_listening(name, port)

    def of(self, port):
        """The bytes, and how the connection ended."""
        with open(self.path) as f:
            lines = [l.split()[1] for l in f.read().split('\n')[:-1] if l.split()[0] == str(port)]
        return b''.join(bytes.fromhex(l) for l in lines if l not in ('end', 'reset')), (lines[-1] if lines and lines[-1] in ('end', 'reset') else None)


def say(s, pieces, pause=0):
    """Each piece in a segment of its own; how it ended: the answer, or 'reset'."""
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        for i, p in enumerate(pieces):
            if i and pause:
                time.sleep(pause)
            s.sendall(p)
        return s.recv(100) or 'closed'
    except (ConnectionResetError, BrokenPipeError):
        return 'reset'


def bytewise(b):
    return [b[i:i + 1] for i in range(len(b))]


def in_halves(b):
    return [b[:len(b) // 2], b[len(b) // 2:]]


def pieces(extra=''):
    with Lab(outside=False) as lab:
        server = Received(lab, 'web', 8080)
        lab.start_tapqd(mode='mixed', policy=POLICY % 'hold: {time: 1s}', per={'web': 'side: server', 'client': 'side: client'}, extra=extra)
        ports = []
        for addr in (lab.v4('web'), lab.v6('web')):
            for denied, allowed in ((HTTP_DENIED, HTTP_ALLOWED), (REDIS_DENIED, REDIS_ALLOWED)):
                for cut, pause in ((bytewise, 0), (in_halves, 0.1)):
                    s = connect(lab.ns('client'), addr, 8080)
                    port = s.getsockname()[1]
                    assert say(s, cut(allowed), pause) == b'+OK\r\n'
                    assert server.of(port) == (allowed, None)
                    assert say(s, cut(denied), pause) == 'reset'
                    s.close()
                    ports.append((port, allowed))
        for port, allowed in ports:
            wait_for('the server is reset as well', lambda: server.of(port)[1], 5)
            assert server.of(port) == (allowed, 'reset'), (port, server.of(port))
        assert lab.counter('hold.waited') >= len(ports) * 2
        assert lab.counter('hold.refused') >= len(ports)
        assert lab.counter('hold.limit') == 0
        assert lab.stop_tapqd() == 0
        alerts = lab.events('alert')
        assert len(alerts) == len(ports) and all(a['alert']['action'] == 'blocked' and a['tapq']['enforced'] for a in alerts), alerts
        assert not [a for a in lab.events('anomaly') if a['anomaly']['event'] == 'hold.limit']


def test_of_a_denied_request_the_server_gets_nothing():
    pieces()


def test_of_a_denied_request_the_server_gets_nothing_with_two_workers():
    pieces('dpi: {workers: 2}\n')


def test_an_unfinished_request_passes_in_time_and_is_told():
    with Lab(outside=False) as lab:
        server = Received(lab, 'web', 8080)
        lab.start_tapqd(mode='mixed', policy=POLICY % 'hold: {time: 400ms}', per={'web': 'side: server', 'client': 'side: client'})
        for n, addr in enumerate((lab.v4('web'), lab.v6('web')), 1):
            s = connect(lab.ns('client'), addr, 8080)
            port = s.getsockname()[1]
            s.sendall(HTTP_DENIED[:10])
            time.sleep(0.3)
            assert server.of(port) == (b'', None)
            wait_for('what came of it reaches the server', lambda: server.of(port)[0] == HTTP_DENIED[:10], 2)
            wait_for('that is told', lambda: len([a for a in lab.events('anomaly') if a['anomaly']['event'] == 'hold.limit']) == n, 5)
            assert say(s, [HTTP_DENIED[10:]]) == 'reset'       # and still it is not completed
            s.close()
            wait_for('the server is reset', lambda: server.of(port) == (HTTP_DENIED[:10], 'reset'), 5)
        assert lab.stop_tapqd() == 0


def test_what_waits_goes_on_at_the_end():
    """tapqd stops, or another policy comes, while a request waits."""
    with Lab(outside=False) as lab:
        server = Received(lab, 'web', 8080)
        for workers in (1, 2):
            lab.start_tapqd(mode='mixed', policy=POLICY % 'hold: {time: 1s}', per={'web': 'side: server', 'client': 'side: client'}, extra='dpi: {workers: %d}\n' % workers)
            conns = []
            for addr in (lab.v4('web'), lab.v6('web')):
                s = connect(lab.ns('client'), addr, 8080)
                assert say(s, [HTTP_ALLOWED]) == b'+OK\r\n'
                s.sendall(HTTP_ALLOWED[:10])
                conns.append((s, s.getsockname()[1]))
            wait_for('both wait', lambda: lab.counter('hold.waited') == 2, 2)
            assert all(server.of(port) == (HTTP_ALLOWED, None) for _, port in conns)
            t = time.monotonic()
            assert lab.stop_tapqd() == 0
            for s, port in conns:
                wait_for('what waited goes on', lambda: server.of(port)[0] == HTTP_ALLOWED + HTTP_ALLOWED[:10], 3)
                assert say(s, [HTTP_ALLOWED[10:]]) == b'+OK\r\n'
                s.close()
            assert time.monotonic() - t < 5


def test_rules_without_facts_hold_nothing():
    with Lab(outside=False) as lab:
        server = Received(lab, 'web', 8080)
        lab.start_tapqd(mode='mixed', policy='version: 1\ndefault: {mode: protect}\nrules:\n  - {id: 1, from: any, to: any, action: allow}\n', per={'web': 'side: server'})
        for addr in (lab.v4('web'), lab.v6('web')):
            s = connect(lab.ns('client'), addr, 8080)
            assert say(s, bytewise(HTTP_DENIED)) == b'+OK\r\n'
            wait_for('the server has kept it', lambda: server.of(s.getsockname()[1])[0] == HTTP_DENIED)
            s.close()
        assert lab.counter('hold.waited') == 0
        assert lab.stop_tapqd() == 0
