# SPDX-License-Identifier: GPL-2.0-or-later
"""DNS by BIND, Knot, Unbound and dnsmasq; mDNS by Avahi."""

from pki import certificate
from stage import CLIENT, SERVER, talk, wait_for

ZONE = '''$ORIGIN lab.example.
$TTL 300
@ SOA ns.lab.example. admin.lab.example. 7 3600 600 86400 300
@ NS ns
@ MX 10 mx
@ CAA 0 issue "ca.example"
ns A 10.0.0.2
www A 10.0.0.80
www AAAA fd00::80
alias CNAME www
mx A 10.0.0.25
txt TXT "v=spf1 -all"
_sip._udp SRV 1 2 5060 ns
host SSHFP 4 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
svc HTTPS 1 . alpn=h2 ipv4hint=10.0.0.80
big TXT ''' + ' '.join('"%s"' % (c * 200) for c in 'abcdefgh') + '\n'


def bind(s, more='', zone=''):
    s.file('zone', ZONE)
    s.file('named.conf', '''options { directory "%s"; listen-on { any; }; listen-on-v6 { any; }; pid-file none; session-keyfile none; recursion no; allow-transfer { any; };
managed-keys-directory "%s"; dnssec-validation no; %s };
controls {};
zone "lab.example" { type primary; file "%s"; %s };
''' % (s.dir, s.dir, more, s.path('zone'), zone))
    s.start('named', '-f', '-g', '-c', s.path('named.conf'))
    s.listening(53)


def dig(s, *words, port=53):
    return s.say('dig', '+tries=1', '+timeout=3', '+nocookie', '-p', str(port), *words)


def answer(name, kind, rcode='NOERROR', **more):
    return 'dns', dict({'type': 'answer', 'rrname': name, 'rrtype': kind, 'rcode': rcode}, **more)


@talk(app='dns', ports={'53/udp': 'dns', 53: 'dns'}, needs=['named', 'dig'], facts=[
    ('dns', {'type': 'query', 'rrname': 'www.lab.example', 'rrtype': 'A'}),
    answer('www.lab.example', 'A', aa=True, answers=[{'rrname': 'www.lab.example', 'rrtype': 'A', 'ttl': 300, 'rdata': '10.0.0.80'}]),
    answer('www.lab.example', 'AAAA', answers=[{'rdata': 'fd00::80'}]),
    answer('alias.lab.example', 'A', answers=[{'rrtype': 'CNAME', 'rdata': 'www.lab.example'}, {'rrname': 'www.lab.example', 'rdata': '10.0.0.80'}]),
    answer('lab.example', 'MX', answers=[{'rdata': 'mx.lab.example'}]),
    answer('txt.lab.example', 'TXT', answers=[{'rdata': 'v=spf1 -all'}]),
    answer('_sip._udp.lab.example', 'SRV', answers=[{'srv': {'priority': 1, 'weight': 2, 'port': 5060, 'name': 'ns.lab.example'}}]),
    answer('host.lab.example', 'SSHFP', answers=[{'sshfp': {'algo': 4, 'type': 2, 'fingerprint': ...}}]),
    answer('svc.lab.example', 'HTTPS', answers=[{'rdata': '1 . alpn=h2 ipv4hint=10.0.0.80'}]),
    answer('lab.example', 'SOA', answers=[{'soa': {'mname': 'ns.lab.example', 'rname': 'admin.lab.example', 'serial': 7, 'refresh': 3600, 'retry': 600, 'expire': 86400, 'minimum': 300}}]),
    answer('lab.example', 'CAA', answers=[{'rdata': '0 issue "ca.example"'}]),
    answer('nothere.lab.example', 'A', 'NXDOMAIN', authorities=[{'rrtype': 'SOA'}]),
    answer('other.example', 'A', 'REFUSED'),
    answer('3.2.1.10.in-addr.arpa', 'PTR', 'REFUSED'),
    answer('big.lab.example', 'TXT', tc=True),
    answer('big.lab.example', 'TXT', answers=[...]),
    ('dns', {'type': 'query', 'rrname': 'lab.example', 'rrtype': 'AXFR'}),
    answer('lab.example', 'AXFR', answers=[{'rrname': 'www.lab.example', 'rdata': '10.0.0.80'}]),
    ('dns', {'type': 'query', 'opcode': 5, 'rrname': 'lab.example'}),
    ('dns', {'type': 'answer', 'opcode': 5, 'rcode': 'REFUSED'}),
], tshark={'dns.qry.name': ('dns', 'rrname')})
def dns_bind(s):
    bind(s)
    with s.capture():
        for words in ('www A', 'www AAAA', 'alias A', ' MX', 'txt TXT', '_sip._udp SRV', 'host SSHFP', 'svc HTTPS', ' SOA', ' CAA', 'nothere A'):
            name, kind = words.split(' ')
            dig(s, '@fd00::2' if kind == 'AAAA' else '@' + SERVER, (name + '.' if name else '') + 'lab.example', kind)
        for words in ('other.example A', '-x 10.1.2.3', 'big.lab.example TXT +bufsize=512', 'lab.example AXFR'):
            dig(s, '@' + SERVER, *words.split())
        s.say('nsupdate', input='server %s\nzone lab.example\nupdate add dyn.lab.example 60 A 10.9.9.9\nsend\n' % SERVER, check=False)


@talk(app='dns', ports={'53/udp': 'dns', 53: 'dns', 853: 'tls'}, needs=['named', 'kdig'], facts=[
    answer('www.lab.example', 'A', answers=[{'rrtype': 'A', 'rdata': '10.0.0.80'}, {'rrtype': 'RRSIG'}]),
    answer('lab.example', 'DNSKEY', answers=[{'rrtype': 'DNSKEY'}, {'rrtype': 'RRSIG'}]),
    answer('nothere.lab.example', 'A', 'NXDOMAIN', authorities=[{'rrtype': 'NSEC'}]),
    ('dns', {'type': 'query', 'rrname': 'www.lab.example', 'rrtype': 'AAAA'}),
    ('tls', {'version': 'TLS 1.3', 'client_alpns': ['dot']}),
])
def dns_dnssec(s):
    """Signed answers, several queries on one connection, DNS over TLS."""
    cert, key = certificate(s, 'dns.lab.example')
    bind_tls(s, cert, key)
    wait_for('the zone is signed', lambda: 'RRSIG' in s.say('dig', '@' + SERVER, '+dnssec', 'www.lab.example'), 20, 0.2)
    with s.capture():
        dig(s, '@' + SERVER, 'www.lab.example', '+dnssec')
        dig(s, '@' + SERVER, '+tcp', '+keepopen', 'lab.example', 'DNSKEY', '+dnssec', '@' + SERVER, '+tcp', '+keepopen', 'nothere.lab.example', '+dnssec', '@' + SERVER, 'www.lab.example', 'AAAA')
        s.say('kdig', '+tls', '+tls-ca=' + cert, '+tls-hostname=dns.lab.example', '@' + SERVER, 'www.lab.example')


def bind_tls(s, cert, key):
    s.file('zone', ZONE)
    s.file('named.conf', '''tls mine { cert-file "%s"; key-file "%s"; };
options { directory "%s"; listen-on { any; }; listen-on port 853 tls mine { any; }; pid-file none; session-keyfile none; recursion no; managed-keys-directory "%s"; dnssec-validation no; };
controls {};
zone "lab.example" { type primary; file "%s"; dnssec-policy default; inline-signing yes; key-directory "%s"; };
''' % (cert, key, s.dir, s.dir, s.path('zone'), s.dir))
    s.start('named', '-f', '-g', '-c', s.path('named.conf'))
    s.listening(53)


@talk(app='dns', port='53/udp', needs=['knotd', 'dig'], facts=[
    answer('www.lab.example', 'A', answers=[{'rdata': '10.0.0.80'}]),
    answer('nothere.lab.example', 'A', 'NXDOMAIN'),
    ('dns', {'type': 'query', 'rrname': 'version.bind', 'rrtype': 'TXT'}),
    answer('version.bind', 'TXT'),
    answer('lab.example', 'ANY'),
])
def dns_knot(s):
    s.file('zone', ZONE)
    s.file('knot.conf', 'server:\n  listen: [0.0.0.0@53]\n  rundir: %s\n  version: knot\ndatabase:\n  storage: %s/db\nzone:\n - domain: lab.example\n   file: %s\n   storage: %s\nlog:\n - target: stderr\n   any: info\n'
           % (s.dir, s.dir, s.path('zone'), s.dir))
    s.start('knotd', '-c', s.path('knot.conf'))
    s.listening(53)
    with s.capture():
        for words in ('www.lab.example A', 'nothere.lab.example A +dnssec +nsid +subnet=10.0.0.0/8', 'version.bind TXT CH', 'lab.example ANY +notcp'):
            dig(s, '@' + SERVER, *words.split())


@talk(app='dns', port='53/udp', needs=['unbound', 'dnsmasq', 'dig'], facts=[
    answer('a.un.example', 'A', ra=True, answers=[{'rdata': '10.0.0.9'}]),
    answer('b.un.example', 'A', 'NXDOMAIN'),
    answer('x.mask.example', 'A', answers=[{'rdata': '10.0.0.7'}]),
    answer('t.mask.example', 'TXT', answers=[{'rdata': 'hello'}]),
])
def dns_unbound_dnsmasq(s):
    s.file('unbound.conf', '''server:
 interface: 0.0.0.0@53
 access-control: 0.0.0.0/0 allow
 chroot: ""
 username: ""
 directory: "%s"
 pidfile: ""
 use-syslog: no
 module-config: "iterator"
 local-zone: "un.example." static
 local-data: "a.un.example. IN A 10.0.0.9"
remote-control:
 control-enable: no
''' % s.dir)
    s.start('unbound', '-d', '-c', s.path('unbound.conf'))
    s.listening(53, 'udp')
    with s.capture():
        dig(s, '@' + SERVER, 'a.un.example')
        dig(s, '@' + SERVER, 'b.un.example')
        s.end(s.procs[0])
        s.start('dnsmasq', '--no-daemon', '--no-resolv', '--no-hosts', '--port=53', '--address=/mask.example/10.0.0.7', '--txt-record=t.mask.example,hello',
                '--log-facility=-', '--pid-file=', '--user=root', '--conf-file=/dev/null')
        s.listening(53, 'udp')
        dig(s, '@' + SERVER, 'x.mask.example')
        dig(s, '@' + SERVER, 't.mask.example', 'TXT')
