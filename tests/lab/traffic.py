# SPDX-License-Identifier: GPL-2.0-or-later
"""Small clients and servers for lab tests. Sockets are opened inside a netns by the calling thread and stay there."""
import hashlib, os, socket, threading
from lablib import in_netns


def connect(ns, addr, port, timeout=5, source=None, kind=socket.SOCK_STREAM):
    with in_netns(ns):
        s = socket.socket(socket.AF_INET6 if ':' in addr else socket.AF_INET, kind)
        s.settimeout(timeout)
        try:
            if source:
                s.bind(source)
            s.connect((addr, port))
        except BaseException:
            s.close()
            raise
    return s


def read_all(s):
    out = b''
    while True:
        d = s.recv(65536)
        if not d:
            return out
        out += d


def http_get(ns, addr, port, path='/', host='test.example'):
    """One connection, one request. Returns (local port, status)."""
    s = connect(ns, addr, port)
    try:
        local = s.getsockname()[1]
        s.sendall(('GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: lab\r\nConnection: close\r\n\r\n' % (path, host)).encode())
        answer = read_all(s)
    finally:
        s.close()
    assert answer.startswith(b'HTTP/1.1 '), answer[:60]
    return local, int(answer[9:12])


class KeptAlive:
    """A connection that asks again and again."""
    def __init__(self, ns, addr, port):
        self.s = connect(ns, addr, port)
        self.port = self.s.getsockname()[1]
        self.asked = 0

    def get(self, path='/'):
        self.s.sendall(('GET %s HTTP/1.1\r\nHost: kept.example\r\n\r\n' % path).encode())
        self.asked += 1
        head = b''
        while b'\r\n\r\n' not in head:
            d = self.s.recv(65536)
            assert d, 'the connection was closed'
            head += d
        head, body = head.split(b'\r\n\r\n', 1)
        length = int([l for l in head.split(b'\r\n') if l.lower().startswith(b'content-length:')][0].split(b':')[1])
        while len(body) < length:
            d = self.s.recv(65536)
            assert d, 'the connection was closed in a body'
            body += d
        return int(head[9:12])

    def close(self):
        self.s.close()


class Echo:
    """A TCP server that returns what it gets, and a UDP one on the same port."""
    def __init__(self, ns, port, addr='::'):
        with in_netns(ns):
            self.tcp = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.tcp.bind((addr, port))
            self.tcp.listen(128)
            self.udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            self.udp.bind((addr, port))
        for fn in (self._tcp, self._udp):
            threading.Thread(target=fn, daemon=True).start()

    def _tcp(self):
        while True:
            try:
                c, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(c,), daemon=True).start()

    def _one(self, c):
        try:
            while True:
                d = c.recv(65536)
                if not d:
                    break
                c.sendall(d)
        except OSError:
            pass
        c.close()

    def _udp(self):
        while True:
            try:
                d, a = self.udp.recvfrom(65536)
                if a is None:       # shut down
                    return
                self.udp.sendto(d, a)
            except OSError:
                return

    def close(self):
        for s in (self.tcp, self.udp):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()


class Transfer(threading.Thread):
    """size bytes from a server in one netns to a client in another; both ends hash them."""
    def __init__(self, server_ns, client_ns, addr, port, size, pace=0.0):
        super().__init__(daemon=True)
        self.size, self.pace, self.sent, self.got, self.error = size, pace, hashlib.sha256(), hashlib.sha256(), None
        self.received = 0
        with in_netns(server_ns):
            self.listener = socket.socket(socket.AF_INET6 if ':' in addr else socket.AF_INET, socket.SOCK_STREAM)
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind((addr, port))
            self.listener.listen(1)
        self.server = threading.Thread(target=self._serve, daemon=True)
        self.server.start()
        self.client = connect(client_ns, addr, port, timeout=30)
        self.local_port = self.client.getsockname()[1]
        self.start()

    def _serve(self):
        try:
            c, _ = self.listener.accept()
            block, left = os.urandom(1 << 18), self.size
            while left:
                d = block[:min(left, len(block))]
                c.sendall(d)
                self.sent.update(d)
                left -= len(d)
                if self.pace:
                    threading.Event().wait(self.pace)
            c.close()
            self.listener.close()
        except OSError as e:
            self.error = e

    def run(self):
        try:
            while True:
                d = self.client.recv(1 << 18)
                if not d:
                    break
                self.got.update(d)
                self.received += len(d)
            self.client.close()
        except OSError as e:
            self.error = e

    def whole(self, seconds=120):
        self.join(seconds)
        self.server.join(5)
        assert not self.is_alive(), 'the transfer did not end: %d of %d bytes' % (self.received, self.size)
        assert self.error is None, self.error
        assert self.received == self.size, (self.received, self.size)
        assert self.sent.digest() == self.got.digest(), 'other bytes arrived than were sent'
