#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes tls_vectors.h: handshakes that OpenSSL says to itself in memory, certificates made by python3-cryptography, and what must
be told of them, worked out here by other means than the code under test. Each run gives new keys and so other bytes; run it only
to add a vector.    tls_vectors.py > tls_vectors.h"""
import datetime, hashlib, ssl, struct, tempfile
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.name import _ASN1Type as T
from cryptography.x509.oid import NameOID as N, ObjectIdentifier as OID

alive = []
KEY = ec.generate_private_key(ec.SECP256R1())


def name(*rdns):
    return x509.Name([x509.RelativeDistinguishedName([x509.NameAttribute(o, v, t) for o, v, t in rdn]) for rdn in rdns])


def certificate(subject, issuer, serial, start, end):
    b = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(KEY.public_key()).serial_number(serial)
    return b.not_valid_before(start).not_valid_after(end).sign(KEY, hashes.SHA256())


def der(cert):
    return cert.public_bytes(serialization.Encoding.DER)


LEAF = certificate(name([(N.COUNTRY_NAME, 'CZ', T.PrintableString)], [(N.ORGANIZATION_NAME, 'Příklad, a.s.', T.UTF8String)], [(N.COMMON_NAME, 'secure.example', T.UTF8String)]),
                   name([(N.ORGANIZATION_NAME, 'Test CA', T.UTF8String)], [(N.COMMON_NAME, 'Test CA #1', T.UTF8String)]),
                   0x0abcdef123456789, datetime.datetime(2024, 1, 1), datetime.datetime(2049, 12, 31, 23, 59, 59))
ODD = certificate(name([(N.COMMON_NAME, 'multi', T.UTF8String), (N.USER_ID, 'u1', T.UTF8String)], [(N.DOMAIN_COMPONENT, 'example', T.IA5String)],
                       [(N.ORGANIZATION_NAME, 'BMP Ж', T.BMPString)], [(N.LOCALITY_NAME, 'T\xe9l\xe9', T.UTF8String)],
                       [(OID('1.3.6.1.4.1.99999.7'), 'own', T.UTF8String)], [(N.EMAIL_ADDRESS, 'a@b.example', T.IA5String)]),
                  name([(N.COMMON_NAME, '#1 "x" <y>; a+b\\c', T.UTF8String)], [(N.ORGANIZATIONAL_UNIT_NAME, ' spaces ', T.UTF8String)]),
                  (1 << 159) - 1, datetime.datetime(1970, 1, 1), datetime.datetime(2050, 1, 1))


def talk(client, server, hostname, session=None):
    """[(down, bytes)] of one handshake and a few bytes of data; the client's session; whether it was resumed"""
    ci, co, si, so = (ssl.MemoryBIO() for _ in range(4))
    c = client.wrap_bio(ci, co, server_hostname=hostname, session=session)
    s = server.wrap_bio(si, so, server_side=True)
    steps, done, failed = [], [False, False], False
    alive.append((c, s))    # a session whose end was not said is not resumed
    for _ in range(12):
        for i, (o, out, other) in enumerate(((c, co, si), (s, so, ci))):
            try:
                if not done[i]:
                    o.do_handshake()
                    done[i] = True
                    if i:
                        o.write(b'hello from the server')
                elif i == 0:
                    o.read(1)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                failed = True
            data = out.read()
            if data:
                steps.append((i, data))
                other.write(data)
        if failed:
            break
    return steps, None if failed else c.session, c.session_reused


def contexts(low, high, ciphers=None, alpn=(), server_low=None, server_high=None, tickets=True):
    c, s = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    with tempfile.NamedTemporaryFile('wb', suffix='.pem') as f:
        f.write(KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        f.write(LEAF.public_bytes(serialization.Encoding.PEM))
        f.flush()
        s.load_cert_chain(f.name)
    for x, lo, hi in ((c, low, high), (s, server_low or low, server_high or high)):
        x.set_ciphers((ciphers or 'DEFAULT') + ':@SECLEVEL=0')
        x.minimum_version, x.maximum_version = lo, hi
        if not tickets:
            x.options |= ssl.OP_NO_TICKET
    if alpn:
        c.set_alpn_protocols(list(alpn))
        s.set_alpn_protocols(list(alpn[:1]))
    return c, s


def grease(v):
    return v & 0x0f0f == 0x0a0a and v >> 8 == v & 0xff


def numbers(b):
    return [v for v in struct.unpack('>%dH' % (len(b) // 2), b) if not grease(v)]


def messages(steps, down):
    """plain handshake messages of one side, from records"""
    data, out, hs = b''.join(d for i, d in steps if i == down), [], b''
    while len(data) >= 5:
        kind, n = data[0], struct.unpack('>H', data[3:5])[0]
        if kind == 20 and not (out and out[-1][0] == 2) and down == 0 and len(out) == 0:
            break
        if kind == 22:
            hs += data[5:5 + n]
        if kind == 23:
            break
        data = data[5 + n:]
    while len(hs) >= 4 and len(hs) >= 4 + int.from_bytes(hs[1:4], 'big'):
        n = int.from_bytes(hs[1:4], 'big')
        out.append((hs[0], hs[4:4 + n]))
        hs = hs[4 + n:]
    return out


def hello(body, server):
    at = 34
    at += 1 + body[at]
    if server:
        ciphers, at = [struct.unpack('>H', body[at:at + 2])[0]], at + 3
    else:
        n = struct.unpack('>H', body[at:at + 2])[0]
        ciphers, at = numbers(body[at + 2:at + 2 + n]), at + 2 + n
        at += 1 + body[at]
    exts, rest = [], body[at + 2:]
    while rest:
        t, n = struct.unpack('>HH', rest[:4])
        exts.append((t, rest[4:4 + n]))
        rest = rest[4 + n:]
    return struct.unpack('>H', body[:2])[0], ciphers, [(t, b) for t, b in exts if not grease(t)]


def dash(v):
    return '-'.join(str(x) for x in v)


def ja3(body):
    version, ciphers, exts = hello(body, False)
    e = dict(exts)
    text = '%d,%s,%s,%s,%s' % (version, dash(ciphers), dash(t for t, _ in exts), dash(numbers(e[10][2:]) if 10 in e else []), dash(e[11][1:] if 11 in e else []))
    return text, hashlib.md5(text.encode()).hexdigest()


def ja3s(body):
    version, ciphers, exts = hello(body, True)
    text = '%d,%d,%s' % (version, ciphers[0], dash(t for t, _ in exts))
    return text, hashlib.md5(text.encode()).hexdigest()


def ja4(body):
    version, ciphers, exts = hello(body, False)
    e = dict(exts)
    if 43 in e:
        version = max(numbers(e[43][1:]))
    sha = lambda s: hashlib.sha256(s.encode()).hexdigest()[:12]
    alpn = e[16][3:3 + e[16][2]].decode() if 16 in e else '00'
    c = ','.join(sorted('%04x' % t for t, _ in exts if t not in (0, 16)))
    if 13 in e:
        c += '_' + ','.join('%04x' % v for v in numbers(e[13][2:]))
    return 't%s%s%02d%02d%s%s_%s_%s' % ({0x301: '10', 0x302: '11', 0x303: '12', 0x304: '13'}[version], 'd' if 0 in e else 'i', len(ciphers), len(exts), alpn[0], alpn[-1],
                                        sha(','.join('%04x' % v for v in sorted(ciphers))), sha(c))


def put_bytes(label, data):
    print('static const uint8_t %s[%d] = {' % (label, len(data)))
    for i in range(0, len(data), 24):
        print('\t' + ' '.join('0x%02x,' % b for b in data[i:i + 24]))
    print('};')


def put_talk(label, steps, told):
    for i, (down, data) in enumerate(steps):
        put_bytes('%s_%d' % (label, i), data)
    print('static const struct flowtest_step %s[] = {' % label)
    for i, (down, data) in enumerate(steps):
        print('\t{ %s, %s_%d, sizeof(%s_%d) },' % ('DIR_TOCLIENT' if down else 'DIR_TOSERVER', label, i, label, i))
    print('};')
    print('static const char %s_told[] =' % label)
    for part in told:
        print('\t"%s"' % part.replace('\\', '\\\\'))
    print('\t;\n')


def told_client(steps, sni, alpn):
    body = messages(steps, 0)[0][1]
    text, md5 = ja3(body)
    out = ["'ja4':'%s'," % ja4(body)]
    if alpn:
        out.append("'client_alpns':[%s]," % ','.join("'%s'" % a for a in alpn))
    return out + ["'ja3':{'hash':'%s','string':'%s'}" % (md5, text)]


def told_server(steps, alpn):
    body = [b for t, b in messages(steps, 1) if t == 2 and b[2:34] != hashlib.sha256(b'HelloRetryRequest').digest()][0]
    text, md5 = ja3s(body)
    return [','] + (["'server_alpns':['%s']," % alpn] if alpn else []) + ["'ja3s':{'hash':'%s','string':'%s'}" % (md5, text)]


LEAF_TOLD = ["'issuerdn':'O=Test CA, CN=Test CA #1','subject':'C=CZ, O=Příklad\\\\, a.s., CN=secure.example',",
             "'serial':'0A:BC:DE:F1:23:45:67:89','fingerprint':'%s'," % LEAF.fingerprint(hashes.SHA1()).hex(':'),
             "'notbefore':'2024-01-01T00:00:00','notafter':'2049-12-31T23:59:59',"]


def main():
    V = ssl.TLSVersion
    print('/* SPDX-License-Identifier: GPL-2.0-or-later */')
    print('/* Made by tls_vectors.py: handshakes of OpenSSL with itself, certificates, and what is to be told of them. \' stands for ". */')
    print('#ifndef TQ_TESTS_TLS_VECTORS_H\n#define TQ_TESTS_TLS_VECTORS_H\n\n#include "tests/unit/dpi/flowtest.h"\n')
    put_bytes('cert_leaf', der(LEAF))
    print('#define CERT_LEAF_SHA1 "%s"' % LEAF.fingerprint(hashes.SHA1()).hex(':'))
    put_bytes('cert_odd', der(ODD))
    print()

    c, s = contexts(V.TLSv1_3, V.TLSv1_3, alpn=('h2', 'http/1.1'))
    steps, session, _ = talk(c, s, 'secure.example')
    put_talk('tls13', steps, ["tls {'sni':'secure.example','version':'TLS 1.3','cipher':'TLS_AES_256_GCM_SHA384',"] + told_client(steps, 1, ('h2', 'http/1.1')) + told_server(steps, None) + ["}"])
    steps, _, reused = talk(c, s, 'secure.example', session)
    assert reused
    put_talk('tls13_psk', steps, ["tls {'sni':'secure.example','version':'TLS 1.3','cipher':'TLS_AES_256_GCM_SHA384','session_resumed':true,"] + told_client(steps, 1, ('h2', 'http/1.1')) + told_server(steps, None) + ["}"])

    c, s = contexts(V.TLSv1_2, V.TLSv1_3)
    s.set_ecdh_curve('secp384r1')
    steps, _, _ = talk(c, s, 'again.example')
    assert len([1 for t, b in messages(steps, 1) if t == 2]) == 2
    put_talk('tls13_retry', steps, ["tls {'sni':'again.example','version':'TLS 1.3','cipher':'TLS_AES_256_GCM_SHA384',"] + told_client(steps, 1, ()) + told_server(steps, None) + ["}"])

    c, s = contexts(V.TLSv1_2, V.TLSv1_2, alpn=('http/1.1',))
    steps, session, _ = talk(c, s, 'secure.example')
    put_talk('tls12', steps, ["tls {'sni':'secure.example','version':'TLS 1.2','cipher':'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384',"] + LEAF_TOLD + told_client(steps, 1, ('http/1.1',)) + told_server(steps, 'http/1.1') + ["}"])
    steps, _, reused = talk(c, s, 'secure.example', session)
    assert reused
    put_talk('tls12_ticket', steps, ["tls {'sni':'secure.example','version':'TLS 1.2','cipher':'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384',"] + told_client(steps, 1, ('http/1.1',)) + told_server(steps, 'http/1.1') + [",'session_resumed':true}"])

    c, s = contexts(V.TLSv1_2, V.TLSv1_2, tickets=False)
    _, session, _ = talk(c, s, 'secure.example')
    steps, _, reused = talk(c, s, 'secure.example', session)
    assert reused
    put_talk('tls12_id', steps, ["tls {'sni':'secure.example','version':'TLS 1.2','cipher':'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384',"] + told_client(steps, 1, ()) + told_server(steps, None) + [",'session_resumed':true}"])

    c, s = contexts(V.TLSv1_2, V.TLSv1_2, ciphers='AECDH')
    steps, _, _ = talk(c, s, None)
    put_talk('tls12_anon', steps, ["tls {'version':'TLS 1.2','cipher':'TLS_ECDH_anon_WITH_AES_256_CBC_SHA',"] + told_client(steps, 0, ()) + told_server(steps, None) + ["}"])

    for label, v, text in (('tls11', V.TLSv1_1, 'TLS 1.1'), ('tls10', V.TLSv1, 'TLSv1')):
        c, s = contexts(v, v, ciphers='ECDHE-ECDSA-AES128-SHA')
        steps, _, _ = talk(c, s, 'old.example')
        put_talk(label, steps, ["tls {'sni':'old.example','version':'%s','cipher':'TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA'," % text] + LEAF_TOLD + told_client(steps, 1, ()) + told_server(steps, None) + ["}"])

    c, s = contexts(V.TLSv1_3, V.TLSv1_3, server_low=V.TLSv1_2, server_high=V.TLSv1_2)
    steps, _, _ = talk(c, s, 'refused.example')
    put_talk('refused', steps, ["tls {'sni':'refused.example',"] + told_client(steps, 1, ()) + [",'version':'TLS 1.3','alert':'protocol_version'}"])
    print('#endif')


main()
