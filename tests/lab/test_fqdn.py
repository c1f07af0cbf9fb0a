# SPDX-License-Identifier: GPL-2.0-or-later
"""Groups by DNS names: dnsmasq in `db` is asked by `client` with dig, over UDP and TCP; nginx, openssl and sshd in `web` have an address for several names. What
was resolved may be reached under an allowed name, nothing else: on the queue before it passes, on the mirror from the verdict on."""
import socket, struct, threading, time

from lablib import Lab, in_netns, plain_build_only
from test_policy import refused
from traffic import connect, http_get

POLICY = '''version: 1
default: {mode: protect}
groups:
  - {name: client, match: {workload: client}}
  - {name: names, match: {workload: db}}
  - {name: pay, match: {fqdn: ["*.pay.example"]}}
rules:
  - {id: 10, from: client, to: names, ports: [udp/53, tcp/53], action: allow}
  - {id: 20, from: client, to: pay, ports: [tcp/443, tcp/8080, tcp/22], action: allow}
  - {id: 80, from: client, to: any, action: deny}
  - {id: 90, from: any, to: any, action: allow}
'''
SIDE_BY_SIDE = 3        # one of them waits a minute
APPS = ('udp/53', 'tcp/53', 'tcp/443', 'tcp/8080', 'tcp/22')


def dnsmasq(lab, ttl=300):
    records = ['--host-record=%s,%s,%s,%d' % (n, lab.v4('web'), lab.v6('web'), ttl) for n in ('www.pay.example', 'site.evil.example')]
    p = lab.start('dnsmasq', '-k', '--no-resolv', '--no-hosts', '--conf-file=/dev/null', '--user=root', '--pid-file=', '--port=53', '--bind-interfaces',
                  '--cname=shop.pay.example,lb.cdn.example', '--host-record=lb.cdn.example,%s,%s,%d' % (lab.v4('web'), lab.v6('web'), ttl), *records, on='db')
    lab.wait_listening('db', 53, 'udp')
    return p


def dig(lab, name, kind='A', *more, server=None):
    """The last line that dig +short prints: the address."""
    lines = lab.exec('client', 'dig', '+short', '+tries=2', '+time=2', '@' + (server or lab.v4('db')), name, kind, *more).stdout.split()
    return lines[-1] if lines else None


def https(lab, name, addr):
    """curl to that address under that name: True when the server answered."""
    r = lab.exec('client', 'curl', '-sk', '--max-time', '3', '--resolve', '%s:443:%s' % (name, '[%s]' % addr if ':' in addr else addr), 'https://%s/' % name, check=False)
    return r.returncode == 0 and 'Cipher' in r.stdout


def http(lab, name, addr):
    try:
        return http_get(lab.ns('client'), addr, 8080, host=name)[1] == 200
    except (ConnectionError, socket.timeout, TimeoutError, IndexError, ValueError):
        return False


def ssh_begun(ns, addr):
    """A connection to sshd of which its first line is read: what comes next is an answer to the client's."""
    s = connect(ns, addr, 22)
    line = b''
    while not line.endswith(b'\n'):
        d = s.recv(1)
        assert d, line
        line += d
    assert line.startswith(b'SSH-'), line
    return s


def ssh_answers(s):
    s.sendall(b'SSH-2.0-client\r\n')
    return s.recv(4)


def rules_of(lab, port):
    """What became of the client's flows to that port: {(app, verdict, rule)}."""
    return {(e['app_proto'], e['tapq']['verdict'], e['tapq']['rule']) for e in lab.events('flow') if e['dest_port'] == port and e['tapq'].get('src_workload') == 'client'}


def test_names_inline():
    """Never resolved: refused at the SYN. Resolved: by SNI and Host; what shows none by its address. Both families, CNAME, DNS over TCP."""
    with Lab(outside=False) as lab:
        dnsmasq(lab)
        lab.nginx('web')
        lab.tls_server('web')
        lab.sshd('web')
        lab.start_tapqd(mode='nfq', apps=APPS, policy=POLICY, extra='dpi: {workers: 2}\n')    # the worker that sees DNS need not be the one that judges
        for addr in (lab.v4('web'), lab.v6('web')):
            assert refused(lab, 'client', addr, 443) == 'refused'
        assert dig(lab, 'site.evil.example') == lab.v4('web')
        assert refused(lab, 'client', lab.v4('web'), 443) == 'refused'      # resolved, but by no name of the group
        for kind, more, addr in (('A', [], lab.v4('web')), ('AAAA', ['+tcp'], lab.v6('web'))):
            assert dig(lab, 'www.pay.example', kind, *more) == addr
            assert https(lab, 'www.pay.example', addr) and https(lab, 'WWW.pay.example', addr) and http(lab, 'www.pay.example:8080', addr)
            assert https(lab, 'other.pay.example', addr)                    # the address and the name are the group's
            assert not https(lab, 'site.evil.example', addr) and not http(lab, 'site.evil.example', addr) and not http(lab, addr, addr)
            s = ssh_begun(lab.ns('client'), addr)                           # shows no name
            assert ssh_answers(s)
            flows = [f for f in lab.tapq_json('flows', '--app', 'ssh')['flows'] if f['dest_ip'] == addr]
            assert [f['dest_names'][-1] for f in flows] == ['www.pay.example'], flows
            s.close()
        text = lab.tapq('policy', 'test', '--from', 'client', '--to', 'www.pay.example', '--port', 'tcp/443').stdout
        assert 'allow' in text and '20' in text, text
        text = lab.tapq('policy', 'test', '--from', 'client', '--to', 'www.evil.example', '--port', 'tcp/443').stdout
        assert 'deny' in text and '80' in text, text
        text = lab.tapq('policy', 'test', '--from', 'client', '--to', lab.v4('web'), '--port', 'tcp/443', 'tls.sni=site.evil.example').stdout
        assert 'deny' in text, text
        text = lab.tapq('policy', 'test', '--from', 'client', '--to', lab.v4('web'), '--port', 'tcp/443').stdout
        assert 'pending' in text, text
        assert lab.stop_tapqd() == 0
        assert rules_of(lab, 443) == {('unknown', 'deny', 80), ('tls', 'allow', 20), ('tls', 'deny', 80)}, rules_of(lab, 443)
        assert rules_of(lab, 8080) == {('http', 'allow', 20), ('http', 'deny', 80)}, rules_of(lab, 8080)
        assert rules_of(lab, 22) == {('ssh', 'allow', 20)}, rules_of(lab, 22)
        assert all(a['alert']['action'] == 'blocked' and a['alert']['signature_id'] == 80 for a in lab.events('alert')), lab.events('alert')
        named = [e['tapq'].get('dest_names') for e in lab.events('flow') if e['dest_port'] == 22 and e['dest_ip'] == lab.v4('web')]
        assert named == [['site.evil.example', 'www.pay.example']], named


def test_cname_reload_and_other_workloads():
    """Every name of a chain is one of the address; a reload and another policy forget nothing; what one workload learned is nothing to another."""
    with Lab(outside=False) as lab:
        dnsmasq(lab)
        lab.nginx('web')
        lab.start_tapqd(mode='nfq', apps=APPS, policy=POLICY.replace('from: client, to', 'from: [client, names], to'))
        assert dig(lab, 'shop.pay.example') == lab.v4('web')
        assert http(lab, 'shop.pay.example', lab.v4('web'))
        assert refused(lab, 'db', lab.v4('web'), 8080) == 'refused'
        lab.tapq('reload')
        assert http(lab, 'shop.pay.example', lab.v4('web'))
        with open(lab.path('other.yaml'), 'w') as f:
            f.write(POLICY.replace('*.pay.example', 'lb.cdn.example'))
        lab.tapq('policy', 'load', lab.path('other.yaml'))
        assert http(lab, 'lb.cdn.example', lab.v4('web')) and not http(lab, 'shop.pay.example', lab.v4('web'))
        assert lab.counter('fqdn.learned') == 2
        assert lab.stop_tapqd() == 0


def test_restart():
    """A connection that was open when tapqd starts goes on; a new one needs an answer that was seen."""
    with Lab(outside=False) as lab:
        dnsmasq(lab)
        lab.sshd('web')
        lab.start_tapqd(mode='nfq', apps=APPS, policy=POLICY)
        for kind, addr in (('A', lab.v4('web')), ('AAAA', lab.v6('web'))):
            assert dig(lab, 'www.pay.example', kind) == addr
        open_before = []
        for addr in (lab.v4('web'), lab.v6('web')):
            open_before.append(ssh_begun(lab.ns('client'), addr))
        assert lab.stop_tapqd() == 0
        lab.start_tapqd()
        for s in open_before:
            assert ssh_answers(s)
            s.close()
        for kind, addr in (('A', lab.v4('web')), ('AAAA', lab.v6('web'))):
            assert refused(lab, 'client', addr, 22) == 'refused'
            assert dig(lab, 'www.pay.example', kind) == addr
            assert refused(lab, 'client', addr, 22) is None
        assert lab.stop_tapqd() == 0


def test_names_on_the_mirror():
    """The same verdicts, carried out when they are there; a flow to a name is pending until it is shown."""
    with Lab(outside=False) as lab:
        dnsmasq(lab)
        lab.tls_server('web')
        lab.start_tapqd(mode='tc', policy=POLICY, extra='dpi: {workers: 2}\n')
        for kind, addr in (('A', lab.v4('web')), ('AAAA', lab.v6('web'))):
            assert dig(lab, 'www.pay.example', kind, server=lab.v6('db')) == addr
            assert https(lab, 'www.pay.example', addr)
            https(lab, 'site.evil.example', addr)
        assert lab.stop_tapqd() == 0
        got = [(e['tls'].get('sni'), e['tapq']['verdict'], e['tapq']['rule']) for e in lab.events('tls')]
        assert got.count(('www.pay.example', 'allow', 20)) == 2, got
        assert not [g for g in got if g[0] == 'site.evil.example' and g[1] != 'deny'], got
        assert {(a['alert']['signature_id'], a['dest_ip'], a['tapq']['enforced']) for a in lab.events('alert')} == {(80, lab.v4('web'), True), (80, lab.v6('web'), True)}, lab.events('alert')
        assert {tuple(e['tapq']['dest_names']) for e in lab.events('flow') if e['dest_port'] == 443} == {('www.pay.example',)}


def labels(name):
    return b''.join(bytes([len(p)]) + p.encode() for p in name.split('.')) + b'\0'


def answer(query, addr, name=None, ident=None):
    """An answer to the query with one address of `name` (the question's) in it."""
    end = query.index(b'\0', 12) + 5
    owner = labels(name) if name else b'\xc0\x0c'
    return (ident or query[:2]) + b'\x81\x80\0\1\0\1\0\0\0\0' + query[12:end] + owner + struct.pack('>HHIH', 1, 1, 300, 4) + socket.inet_aton(addr)


class Liar:
    """A DNS server that answers each query as its next `replies` say: functions of the query."""
    def __init__(self, ns, addr):
        with in_netns(ns):
            self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.bind((addr, 53))
        self.replies = []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                q, who = self.s.recvfrom(4096)
            except OSError:
                return
            for make in self.replies:
                self.s.sendto(make(q), who)


def ask(ns, server, name, tries=1):
    """One query, and what comes back within a second."""
    with in_netns(ns):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(1)
    s.connect((server, 53))
    s.send(b'\x12\x34\1\0\0\1\0\0\0\0\0\0' + labels(name) + b'\0\1\0\1')
    got = []
    try:
        for _ in range(tries):
            got.append(s.recv(4096))
    except socket.timeout:
        pass
    s.close()
    return got


def test_what_was_not_asked_for():
    """Answers out of the blue, with another id, to another question, and records of other names teach nothing."""
    with Lab(outside=False) as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='nfq', apps=APPS, policy=POLICY)
        liar, web = Liar(lab.ns('db'), lab.v4('db')), lab.v4('web')
        query = b'\x12\x34\1\0\0\1\0\0\0\0\0\0' + labels('www.pay.example') + b'\0\1\0\1'
        with in_netns(lab.ns('client')):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((lab.v4('client'), 5300))
        liar.s.sendto(answer(query, web), (lab.v4('client'), 5300))
        s.settimeout(2)
        assert s.recv(4096) == answer(query, web)       # it arrived
        liar.replies = [lambda q: answer(q, web, ident=b'\x12\x35'), lambda q: answer(query, web), lambda q: answer(q, web, name='www.pay.example')]
        assert len(ask(lab.ns('client'), lab.v4('db'), 'www.harmless.example', 3)) == 3
        assert lab.counter('names.not_believed') == 4 and lab.counter('names.believed') == 0
        assert refused(lab, 'client', web, 8080) == 'refused'
        liar.replies = [lambda q: answer(q, web)]
        assert len(ask(lab.ns('client'), lab.v4('db'), 'www.pay.example')) == 1
        assert http(lab, 'www.pay.example', web)
        liar.s.close()
        assert lab.stop_tapqd() == 0


@plain_build_only
def test_ttl_and_grace():
    """TTL 1: believed for a minute more, and by a connection that began in time as long as it lives."""
    with Lab(outside=False) as lab:
        dnsmasq(lab, ttl=1)
        lab.nginx('web')
        lab.start_tapqd(mode='nfq', apps=APPS, policy=POLICY)
        web = lab.v4('web')
        assert dig(lab, 'www.pay.example') == web
        begun = time.monotonic()
        s = connect(lab.ns('client'), web, 8080)

        def request():
            s.sendall(b'GET / HTTP/1.1\r\nHost: www.pay.example\r\n\r\n')
            got = b''
            while len(got.partition(b'\r\n\r\n')[2]) < 1024:
                d = s.recv(65536)
                assert d
                got += d
            return got[:12]
        assert request() == b'HTTP/1.1 200'
        time.sleep(max(0, begun + 55 - time.monotonic()))
        assert http(lab, 'www.pay.example', web)
        assert request() == b'HTTP/1.1 200'     # nginx closes after 75 idle seconds
        time.sleep(max(0, begun + 62.5 - time.monotonic()))
        assert refused(lab, 'client', web, 8080) == 'refused'
        assert request() == b'HTTP/1.1 200'
        s.close()
        assert lab.stop_tapqd() == 0
        assert rules_of(lab, 8080) == {('http', 'allow', 20), ('unknown', 'deny', 80)}, rules_of(lab, 8080)
