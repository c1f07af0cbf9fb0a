# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules that ask for facts, held by real servers behind the queue: which requests they get, which they never see, what is told."""
import socket, struct, subprocess

from lablib import Lab, wait_for
from traffic import KeptAlive, connect

HTTP = '''version: 1
default: {mode: protect}
groups:
  - {name: web, match: {workload: web}}
rules:
  - {id: 20, from: any, to: web, http: {methods: [GET, HEAD], paths: ["/api/*", "/"], headers: {X-Env: prod}}, action: allow}
  - {id: 30, from: any, to: web, http: {methods: [DELETE]}, action: deny}
  - {id: 90, from: web, to: any, action: allow}
'''


class Requests:
    """An HTTP server that answers each complete head and keeps it."""
    def __init__(self, lab, name, port):
        self.lab, self.path = lab, lab.path('requests-%s.log' % name)
        code = '''
import socket, sys, threading
s = socket.socket(socket.AF_INET6); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('::', %d)); s.listen(64)
log = open(%r, 'ab', 0)
def serve(c):
    buf = b''
    try:
        while True:
            d = c.recv(65536)
            if not d:
                break
            buf += d
            while b'\\r\\n\\r\\n' in buf:
                head, buf = buf.split(b'\\r\\n\\r\\n', 1)
                log.write(head.split(b'\\r\\n')[0] + b'\\n')
                c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok')
    except ConnectionResetError:
        log.write(b'reset\\n')
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
''' % (port, self.path)
        self.p = lab.start('python3', '-c', code, on=name)
        lab.wait_listening(name, port)

    def lines(self):
        with open(self.path) as f:
            return f.read().split('\n')[:-1]


def ask(s, head, cut=0):
    """A request in segments of `cut` bytes: the status, or how the connection ended."""
    data = head.encode() + b'\r\n\r\n'
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        for at in range(0, len(data), cut or len(data)):
            s.sendall(data[at:at + (cut or len(data))])
        answer = b''
        while not answer.endswith(b'ok'):
            d = s.recv(4096)
            if not d:
                return 'closed'
            answer += d
        return int(answer[9:12])
    except (ConnectionResetError, BrokenPipeError):
        return 'reset'


def http_requests(side):
    with Lab() as lab:
        server = Requests(lab, 'web', 8080)
        extra = {'web': 'side: server', 'client': 'side: client'} if side == 'server' else {'web': 'mode: tc', 'client': 'side: client'}
        lab.start_tapqd(mode='mixed', policy=HTTP, per=extra)
        good, bad = 'GET /api/%d HTTP/1.1\r\nHost: shop\r\nX-Env: prod', 'DELETE /api/%d HTTP/1.1\r\nHost: shop\r\nX-Env: prod'
        for addr in (lab.v4('web'), lab.v6('web')):
            for cut in (0, 5, 40):
                s = connect(lab.ns('client'), addr, 8080)
                assert ask(s, good % 1, cut) == 200
                assert ask(s, good % 2, cut) == 200
                assert ask(s, bad % 3, cut) == 'reset'
                s.close()
            s = connect(lab.ns('client'), addr, 8080)      # no rule for it
            assert ask(s, 'GET /api/../etc HTTP/1.1\r\nHost: shop\r\nX-Env: prod') == 'reset'
            s.close()
            s = connect(lab.ns('client'), addr, 8080)
            assert ask(s, 'GET /api/1 HTTP/1.1\r\nHost: shop\r\nX-Env: test') == 'reset'
            s.close()
        wait_for('both ends are reset, the server as well', lambda: server.lines().count('reset') == 10, 5)
        assert lab.stop_tapqd() == 0
        got = server.lines()
        assert got.count('GET /api/1 HTTP/1.1') == 6 and got.count('GET /api/2 HTTP/1.1') == 6, got
        assert not [g for g in got if 'DELETE' in g or 'etc' in g], got
        alerts = lab.events('alert')
        assert len([a for a in alerts if a['alert']['signature_id'] == 30 and a['alert']['request']['http_method'] == 'DELETE']) == 6, alerts
        assert len([a for a in alerts if a['alert']['signature_id'] == 0]) == 4, alerts
        assert all(a['alert']['action'] == 'blocked' and a['tapq']['enforced'] and a['tapq']['path'] == 'nfq' for a in alerts), alerts
        flows = lab.events('flow')
        assert len([f for f in flows if f['tapq']['verdict'] == 'deny' and f['tapq']['rule'] == 30]) == 6, flows


def test_http_requests_at_the_server():
    http_requests('server')


def test_http_requests_at_the_client():
    http_requests('client')


def test_http_requests_on_the_mirror():
    """The denied one passes, for the mirror shows it too late; the connection ends with it."""
    with Lab(outside=False) as lab:
        server = Requests(lab, 'web', 8080)
        lab.start_tapqd(mode='tc', policy=HTTP)
        for addr in (lab.v4('web'), lab.v6('web')):
            s = connect(lab.ns('client'), addr, 8080)
            try:
                assert ask(s, 'DELETE / HTTP/1.1\r\nHost: shop') == 200
                s.settimeout(3)
                assert s.recv(100) is None, 'not reset'
            except ConnectionResetError:
                pass
            s.close()
        assert lab.stop_tapqd() == 0
        assert server.lines().count('DELETE / HTTP/1.1') == 2
        alerts = lab.events('alert')
        assert [(a['alert']['signature_id'], a['alert']['action'], a['tapq']['enforced']) for a in alerts] == [(30, 'blocked', True)] * 2, alerts


REDIS = '''version: 1
default: {mode: protect}
groups:
  - {name: db, match: {workload: db}}
rules:
  - {id: 10, from: any, to: db, redis: {commands: [FLUSHALL, FLUSHDB, "CONFIG*"]}, action: deny}
  - {id: 20, from: any, to: db, apps: [redis], action: allow}
  - {id: 90, from: any, to: any, action: allow}
'''


def redis_cli(lab, addr, *words):
    r = subprocess.run(['ip', 'netns', 'exec', lab.ns('client'), 'redis-cli', '-h', addr, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=10)
    return r.stdout.strip()


def test_redis_flushall():
    with Lab(outside=False) as lab:
        lab.redis('db')
        lab.start_tapqd(mode='nfq', apps=('tcp/6379',), policy=REDIS)
        for n, addr in enumerate((lab.v4('db'), lab.v6('db'))):
            assert redis_cli(lab, addr, 'SET', 'key%d' % n, 'value') == 'OK'
            refused = redis_cli(lab, addr, 'FLUSHALL')
            assert 'OK' not in refused, refused
            refused = redis_cli(lab, addr, 'EVAL', "return 1", '0') + redis_cli(lab, addr, 'config', 'get', 'dir')
            assert 'dir' not in refused and '1' in refused, refused
            assert redis_cli(lab, addr, 'DBSIZE') == str(n + 1)
        assert lab.stop_tapqd() == 0
        alerts = lab.events('alert')
        assert {a['alert']['request']['command'].upper() for a in alerts} >= {'FLUSHALL'} and len(alerts) >= 4, alerts


TLS = '''version: 1
default: {mode: protect}
groups:
  - {name: secure, match: {workload: db}}
rules:
  - {id: 10, from: any, to: secure, tls: {sni: ["*.good.example"], versions: ["TLS 1.3", "TLS 1.2"]}, action: allow}
  - {id: 90, from: secure, to: any, action: allow}
'''


def test_sni_of_the_same_address():
    with Lab(outside=False) as lab:
        lab.tls_server('db')
        lab.start_tapqd(mode='nfq', apps=('tcp/443',), policy=TLS)
        for addr in (lab.v4('db'), '[%s]' % lab.v6('db')):
            for version in ('-tls1_2', '-tls1_3'):
                for name, works in (('www.good.example', True), ('www.evil.example', False), ('good.example', False)):
                    r = subprocess.run(['ip', 'netns', 'exec', lab.ns('client'), 'openssl', 's_client', version, '-connect', '%s:443' % addr, '-servername', name],
                                       input=b'GET / HTTP/1.0\r\n\r\n', stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=10)
                    assert (b'BEGIN CERTIFICATE' in r.stdout) == works, (addr, version, name, r.stdout[-300:])
        assert lab.stop_tapqd() == 0
        verdicts = sorted((e['tapq']['verdict'], e['tapq']['rule']) for e in lab.events('flow') if e['dest_port'] == 443)
        assert verdicts == sorted([('allow', 10)] * 4 + [('deny', 0)] * 8), verdicts


DNS = '''version: 1
default: {mode: protect}
groups:
  - {name: names, match: {workload: db}}
rules:
  - {id: 10, from: any, to: names, dns: {names: ["*.evil.example"]}, action: deny}
  - {id: 20, from: any, to: names, apps: [dns], action: allow}
  - {id: 90, from: names, to: any, action: allow}
'''


def query(s, number, name):
    s.send(struct.pack('>HHHHHH', number, 0x100, 1, 0, 0, 0) + b''.join(bytes((len(part),)) + part.encode() for part in name.split('.')) + b'\0\0\1\0\1')
    return struct.unpack('>H', s.recv(512)[:2])[0]


def test_dns_name_denied():
    with Lab(outside=False) as lab:
        lab.dnsmasq('db')
        lab.start_tapqd(mode='nfq', apps=('udp/53',), policy=DNS)
        for addr in (lab.v4('db'), lab.v6('db')):
            s = connect(lab.ns('client'), addr, 53, kind=socket.SOCK_DGRAM)
            s.settimeout(3)
            assert query(s, 1, 'api.example') == 1
            try:
                query(s, 2, 'x.Evil.example')
                raise AssertionError('a denied name was answered')
            except ConnectionRefusedError:      # an ICMP error came back
                pass
            assert query(s, 3, 'api.example') == 3          # the same socket asks something else
            s.close()
        assert lab.stop_tapqd() == 0
        alerts = lab.events('alert')
        assert [(a['alert']['signature_id'], a['alert']['request']['rrname'].lower()) for a in alerts] == [(10, 'x.evil.example')] * 2, alerts
