# SPDX-License-Identifier: GPL-2.0-or-later
"""Inputs that are made to hurt: each grows with n by what a careless parser would look at again and again. Below the caps where there are any:
what lies beyond them is no work at all. all(talk): name, the capture of n, (app, may it break)."""
import ctypes, ctypes.util, hashlib, hmac, struct


def pipeline(talk, port, steps, size=1400):
    return talk.Capture(port, False, 4).talk([(down, data[i:i + size]) for down, data in steps for i in range(0, len(data), size)])


# ---- http ----

def http_fold(n):
    return [(0, b'GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n' + b' b\r\n' * (2000 * n) + b'\r\n')]


def http_fields(n):
    return [(0, b'GET / HTTP/1.1\r\nHost: a\r\n' + b''.join(b'X-%d: %d\r\n' % (i, i) for i in range(200 * n)) + b'\r\n')]


def http_line(n):
    return [(0, b'GET /' + b'a' * (10000 * n) + b' HTTP/1.1\r\nHost: a\r\n\r\n')]


def http_pipelined(n):
    return [(0, b'GET /a HTTP/1.1\r\nHost: a\r\n\r\n' * (300 * n)), (1, b'HTTP/1.1 204 No\r\n\r\n' * (300 * n))]


def http_chunks(n):
    return [(0, b'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n' + b'1\r\na\r\n' * (2000 * n) + b'0\r\n\r\n'), (1, b'HTTP/1.1 204 No\r\n\r\n')]


def http_trailer(n):
    return [(0, b'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n' + b'X: y\r\n' * (200 * n) + b'\r\n'), (1, b'HTTP/1.1 204 No\r\n\r\n')]


# ---- http2 ----

PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + b'\0\0\0\4\0\0\0\0\0'


def h2(kind, flags, stream, body):
    return struct.pack('>I', len(body))[1:] + struct.pack('>BBI', kind, flags, stream) + body


def h2_streams(n):
    return [(0, PREFACE + b''.join(h2(1, 5, 2 * i + 1, b'\x82\x86\x84\x41\x01a') for i in range(30 * n)))]


def h2_continuation(n):
    fields = b'\x00\x01a\x01b' * (12 * n)
    return [(0, PREFACE + h2(1, 1, 1, b'\x82\x86\x84\x41\x01a') + b''.join(h2(9, 4 if i == len(fields) - 1 else 0, 1, fields[i:i + 1]) for i in range(len(fields))))]


def h2_fields(n):
    return [(0, PREFACE + h2(1, 5, 1, b'\x82\x86\x84\x41\x01a' + b''.join(b'\x00\x05' + b'%05d' % i + b'\x01v' for i in range(200 * n))))]


def h2_evictions(n):
    """Each request adds 20 entries to a table that holds about a hundred: each one pushes one out."""
    return [(0, PREFACE + b''.join(h2(1, 5, 2 * i + 1, b'\x82\x86\x84\x41\x01a' + b''.join(b'\x40\x05' + b'%05d' % (i * 20 + k) + b'\x01v' for k in range(20)))
                                   for i in range(40 * n)))]


def h2_tiny(n):
    return [(0, PREFACE + h2(1, 4, 1, b'\x83\x86\x84\x41\x01a') + h2(0, 0, 1, b'x') * (1000 * n))]


# ---- dns ----

def dns_tcp(answers, count):
    body = b'\x12\x34\x81\x80\0\1' + struct.pack('>H', count) + b'\0\0\0\0\1a\0\0\1\0\1' + answers
    return [(0, b'\0\x13\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1'), (1, struct.pack('>H', len(body)) + body)]


def dns_answers(n):
    return dns_tcp(b'\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x0a\0\0\1' * (800 * n), 800 * n)


def dns_pointers(n):
    """Names that point to a name that points to a name: as deep as the place allows."""
    out, at, before = b'', 12 + 7, 12
    for _ in range(250 * n):
        out += b'\1b' + struct.pack('>H', 0xc000 | before) + b'\0\1\0\1\0\0\0\1\0\4\x0a\0\0\1'
        before, at = at, at + 18
    return dns_tcp(out, 250 * n)


def dns_questions(n):
    body = b'\x12\x34\1\0' + struct.pack('>H', 1000 * n) + b'\0\0\0\0\0\0' + b'\1a\0\0\1\0\1' * (1000 * n)
    return [(0, struct.pack('>H', len(body)) + body)]


# ---- ASN.1 and BSON ----

def ber(tag, *parts):
    body = b''.join(parts)
    n = len(body)
    return bytes((tag,)) + (bytes((n,)) if n < 128 else b'\x83' + struct.pack('>I', n)[1:]) + body


def ldap_search(filters):
    return ber(0x30, b'\2\1\1', ber(0x63, ber(4, b'dc=x'), b'\x0a\1\2\x0a\1\0\2\1\0\2\1\0\1\1\0', filters, b'\x30\0'))


LDAP_BIND = [(0, ber(0x30, b'\2\1\1', ber(0x60, b'\2\1\3\4\0\x80\0'))), (1, ber(0x30, b'\2\1\1', ber(0x61, b'\x0a\1\0\4\0\4\0')))]


def ldap_deep(n):
    f = ber(0x87, b'cn')
    for _ in range(300 * n):
        f = ber(0xa0, f)
    return LDAP_BIND + [(0, ldap_search(f)), (1, ber(0x30, b'\2\1\1', ber(0x65, b'\x0a\1\0\4\0\4\0')))]


def ldap_wide(n):
    return LDAP_BIND + [(0, ldap_search(ber(0xa0, ber(0x87, b'cn') * (800 * n)))), (1, ber(0x30, b'\2\1\1', ber(0x65, b'\x0a\1\0\4\0\4\0')))]


def snmp_wide(n):
    binds = ber(0x30, ber(6, b'\x2b\6\1\2\1\1\1\0'), b'\5\0') * (400 * n)
    return ber(0x30, b'\2\1\1', ber(4, b'public'), ber(0xa0, b'\2\1\1\2\1\0\2\1\0', ber(0x30, binds)))


def snmp_oid(n):
    return ber(0x30, b'\2\1\1', ber(4, b'public'), ber(0xa0, b'\2\1\1\2\1\0\2\1\0', ber(0x30, ber(0x30, ber(6, b'\x2b\6\1' + b'\1' * (3000 * n)), b'\5\0'))))


def kerberos_etypes(n):
    name = ber(0xa1, ber(0x30, ber(0xa0, b'\2\1\1'), ber(0xa1, ber(0x30, ber(0x1b, b'bob')))))
    sname = ber(0xa3, ber(0x30, ber(0xa0, b'\2\1\2'), ber(0xa1, ber(0x30, ber(0x1b, b'krbtgt') + ber(0x1b, b'X')))))
    body = ber(0x30, ber(0xa0, b'\3\5\0\0\0\0\0'), name, ber(0xa2, ber(0x1b, b'X')), sname, ber(0xa5, ber(0x18, b'20300101000000Z')), ber(0xa7, b'\2\1\1'),
               ber(0xa8, ber(0x30, b'\2\1\x12' * (2000 * n))))
    m = ber(0x6a, ber(0x30, ber(0xa1, b'\2\1\5'), ber(0xa2, b'\2\1\x0a'), ber(0xa4, body)))
    return [(0, struct.pack('>I', len(m)) + m)]


def bson(*items):
    body = b''.join(items) + b'\0'
    return struct.pack('<I', len(body) + 4) + body


def op_msg(doc, number=1):
    return struct.pack('<IIIII', 21 + len(doc), number, 0, 2013, 0) + b'\0' + doc


def mongodb_deep(n):
    doc = bson(b'\x10a\0\1\0\0\0')
    for _ in range(300 * n):
        doc = bson(b'\3a\0' + doc)
    return [(0, op_msg(bson(b'\2find\0\2\0\0\0t\0', b'\3filter\0' + doc, b'\2$db\0\2\0\0\0d\0')))]


def mongodb_wide(n):
    return [(0, op_msg(bson(b'\2find\0\2\0\0\0t\0', b'\x10a\0\1\0\0\0' * (1500 * n), b'\2$db\0\2\0\0\0d\0')))]


def mongodb_many(n):
    return [(0, b''.join(op_msg(bson(b'\2find\0\2\0\0\0t\0', b'\2$db\0\2\0\0\0d\0'), i) for i in range(200 * n)))]


# ---- transactions ----

def redis_pipeline(n):
    return [(0, b'*2\r\n$3\r\nGET\r\n$1\r\na\r\n' * (500 * n)), (1, b'$-1\r\n' * (500 * n))]


def redis_keys(n):
    return [(0, b'*%d\r\n$4\r\nMGET\r\n' % (1000 * n + 1) + b'$1\r\na\r\n' * (1000 * n)), (1, b'*%d\r\n' % (1000 * n) + b'$-1\r\n' * (1000 * n))]


def redis_nested(n):
    return [(0, b'*2\r\n$3\r\nGET\r\n$1\r\na\r\n' * (50 * n)), (1, (b'*1\r\n' * 30 + b':1\r\n') * (50 * n))]


def redis_line(n):
    return [(0, b'*1\r\n$4\r\nPING\r\nGET ' + b'a' * (12000 * n) + b'\r\n')]


def postgresql_extended(n):
    start = b'\0\0\0\x10\0\3\0\0user\0b\0\0'
    one = b'P\0\0\0\x1cs\0select 1 from t,u,v\0\0\0' + b'B\0\0\0\x0d\0s\0\0\0\0\0\0\0' + b'E\0\0\0\x09\0\0\0\0\0' + b'S\0\0\0\4'
    answer = b'1\0\0\0\0042\0\0\0\4C\0\0\0\x0dSELECT 1\0Z\0\0\0\5I'
    return [(0, start), (1, b'R\0\0\0\x08\0\0\0\0Z\0\0\0\5I'), (0, one * (150 * n)), (1, answer * (150 * n))]


def sql(text):
    def make(n):
        query = text(n)
        return [(0, b'\0\0\0\x10\0\3\0\0user\0b\0\0'), (1, b'R\0\0\0\x08\0\0\0\0Z\0\0\0\5I'), (0, b'Q' + struct.pack('>I', 5 + len(query)) + query + b'\0')]
    return make


# ---- tls, quic ----

def client_hello(extra):
    sni = b'a.example'
    ext = struct.pack('>HHHBH', 0, len(sni) + 5, len(sni) + 3, 0, len(sni)) + sni + struct.pack('>HHH', 10, 4, 2) + b'\0\x1d' + struct.pack('>HHH', 13, 4, 2) + b'\4\3' \
        + b'\0\x2b\0\3\2\3\4' + extra
    body = b'\3\3' + bytes(range(32)) + b'\0' + b'\0\2\x13\1' + b'\1\0' + struct.pack('>H', len(ext)) + ext
    return b'\1' + struct.pack('>I', len(body))[1:] + body


def pad(n):
    return struct.pack('>HH', 21, n) + bytes(n)


def tls_records(n):
    m = client_hello(pad(600 * n))
    return [(0, b''.join(b'\x16\3\1' + struct.pack('>H', len(m[i:i + 40])) + m[i:i + 40] for i in range(0, len(m), 40)))]


def tls_extensions(n):
    return [(0, b'\x16\3\1' + struct.pack('>H', len(m)) + m) for m in (client_hello(b''.join(struct.pack('>HH', 0x5000 + i, 0) for i in range(500 * n))),)]


def tls_one_byte(n):
    m = client_hello(pad(1000 * n))
    record = b'\x16\3\1' + struct.pack('>H', len(m)) + m
    return [(0, record[:64])] + [(0, record[i:i + 1]) for i in range(64, len(record))]


def expand(secret, label, n):
    info = struct.pack('>HB', n, len(label) + 6) + b'tls13 ' + label + b'\0'
    out, block, i = b'', b'', 1
    while len(out) < n:
        block = hmac.new(secret, block + info + bytes((i,)), hashlib.sha256).digest()
        out, i = out + block, i + 1
    return out[:n]


class Quic:
    """Version 1 (RFC 9001, 5): the client's Initial packets, sealed by libcrypto."""
    def __init__(self, dcid):
        self.dcid, self.number = dcid, 0
        initial = hmac.new(bytes.fromhex('38762cf7f55934b34d179ae6a4c80cadccbb7f0a'), dcid, hashlib.sha256).digest()
        client = expand(initial, b'client in', 32)
        self.key, self.iv, self.hp = expand(client, b'quic key', 16), expand(client, b'quic iv', 12), expand(client, b'quic hp', 16)
        self.lib = ctypes.CDLL(ctypes.util.find_library('crypto') or 'libcrypto.so.3')
        for f in ('EVP_CIPHER_CTX_new', 'EVP_aes_128_gcm', 'EVP_aes_128_ecb'):
            getattr(self.lib, f).restype = ctypes.c_void_p

    def cipher(self, kind, key, iv, data, aad):
        ctx, n = ctypes.c_void_p(self.lib.EVP_CIPHER_CTX_new()), ctypes.c_int()
        out, tag = ctypes.create_string_buffer(len(data) + 16), ctypes.create_string_buffer(16)
        self.lib.EVP_EncryptInit_ex(ctx, ctypes.c_void_p(getattr(self.lib, kind)()), None, key, iv)
        if aad is not None:
            self.lib.EVP_EncryptUpdate(ctx, None, ctypes.byref(n), aad, len(aad))
        self.lib.EVP_EncryptUpdate(ctx, out, ctypes.byref(n), data, len(data))
        if aad is not None:
            self.lib.EVP_EncryptFinal_ex(ctx, ctypes.create_string_buffer(16), ctypes.byref(n))
            self.lib.EVP_CIPHER_CTX_ctrl(ctx, 0x10, 16, tag)
        self.lib.EVP_CIPHER_CTX_free(ctx)
        return out.raw[:len(data)] + (tag.raw if aad is not None else b'')

    def initial(self, frames):
        frames += bytes(max(0, 1162 - len(frames)))
        head = b'\xc3\0\0\0\1' + bytes((len(self.dcid),)) + self.dcid + b'\0\0' + struct.pack('>H', 0x4000 | (len(frames) + 20)) + struct.pack('>I', self.number)
        nonce = bytes(a ^ b for a, b in zip(self.iv, struct.pack('>Q', self.number).rjust(12, b'\0')))
        sealed = self.cipher('EVP_aes_128_gcm', self.key, nonce, frames, head)
        mask = self.cipher('EVP_aes_128_ecb', self.hp, None, sealed[:16], None)
        self.number += 1
        at = len(head) - 4
        return bytes((head[0] ^ mask[0] & 15,)) + head[1:at] + bytes(a ^ b for a, b in zip(head[at:], mask[1:])) + sealed


def quic_crypto(n):
    """CRYPTO frames of 20 bytes, the last one first, 30 of them in a packet."""
    m, q = client_hello(struct.pack('>HH', 0x39, 0) + pad(900 * n)), Quic(b'abcdefgh')
    pieces = [b'\6' + struct.pack('>H', 0x4000 | i) + bytes((len(m[i:i + 20]),)) + m[i:i + 20] for i in range(0, len(m), 20)][::-1]
    return [(0, q.initial(b''.join(pieces[i:i + 30]))) for i in range(0, len(pieces), 30)]


# ---- tcp, ip ----

def reverse(talk, n, size, most):
    """A request whose body comes in segments of `size`, in blocks of `most` that each arrive last one first."""
    c = talk.Capture(80, False, 4)
    c.packet(False, flags=2)
    c.packet(True, flags=0x12)
    c.packet(False, flags=0x10)
    c.packet(False, b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n' % (size * most * n))
    for _ in range(n):
        at = len(c.out)
        for _ in range(most):
            c.packet(False, b'x' * size)
        c.out[at:] = c.out[at:][::-1]
    return b''.join(c.out)


def fragments(talk, n, backwards):
    """Datagrams of DNS of which each comes in 100 fragments of 8 bytes."""
    c = talk.Capture(53, True, 4)
    query = b'\x12\x34\1\0\0\1\0\0\0\0\0\0' + (b'\x3f' + b'a' * 63) * 3 + b'\x3e' + b'a' * 60 + b'\0\0\0\1\0\1'
    query = b'\x12\x34\1\0\0\x2f\0\0\0\0\0\0' + b'\x0babcdefghijk\0\0\1\0\1' * 47
    for number in range(20 * n):
        c.packet(False, query)
        record = c.out.pop()
        stamp, ether, ip, payload = record[:8], record[16:30], record[30:50], record[50:]
        pieces = []
        for i in range(0, len(payload), 8):
            more = 0x2000 if i + 8 < len(payload) else 0
            head = ip[:2] + struct.pack('>HHH', 20 + len(payload[i:i + 8]), number, more | i // 8) + ip[8:10] + b'\0\0' + ip[12:]
            frame = ether + head[:10] + struct.pack('>H', talk.checksum(head)) + head[12:] + payload[i:i + 8]
            pieces.append(stamp + struct.pack('<II', len(frame), len(frame)) + frame)
        c.out += pieces[::-1] if backwards else pieces
    return b''.join(c.out)


def all(talk):
    streams = (
        ('http folding', http_fold, 'http'), ('http fields', http_fields, 'http'), ('http line', http_line, 'http'), ('http pipelined', http_pipelined, 'http'),
        ('http chunks', http_chunks, 'http'), ('http trailer', http_trailer, 'http'), ('http2 streams', h2_streams, 'http2'), ('http2 continuation', h2_continuation, 'http2'),
        ('http2 fields', h2_fields, 'http2'), ('http2 evictions', h2_evictions, 'http2'), ('http2 tiny data', h2_tiny, 'http2'), ('dns answers', dns_answers, 'dns'),
        ('dns pointers', dns_pointers, 'dns'), ('dns questions', dns_questions, 'dns'), ('ldap deep', ldap_deep, 'ldap'), ('ldap wide', ldap_wide, 'ldap'),
        ('kerberos etypes', kerberos_etypes, 'kerberos'), ('mongodb deep', mongodb_deep, 'mongodb'), ('mongodb wide', mongodb_wide, 'mongodb'),
        ('mongodb many', mongodb_many, 'mongodb'), ('redis pipeline', redis_pipeline, 'redis'), ('redis keys', redis_keys, 'redis'), ('redis nested', redis_nested, 'redis'),
        ('redis line', redis_line, 'redis'), ('postgresql extended', postgresql_extended, 'postgresql'), ('tls records', tls_records, 'tls'),
        ('tls extensions', tls_extensions, 'tls'), ('tls bytes', tls_one_byte, 'tls'),
        ('sql tables', sql(lambda n: b'select * from a' + b',b' * (1000 * n)), 'postgresql'),
        ('sql parentheses', sql(lambda n: b'select ' + b'(' * (1000 * n) + b'1' + b')' * (1000 * n)), 'postgresql'),
        ('sql subqueries', sql(lambda n: b'select * from (' * (200 * n) + b't' + b')' * (200 * n)), 'postgresql'),
        ('sql comments', sql(lambda n: b'select ' + b'/*' * (1000 * n) + b'1'), 'postgresql'),
        ('sql quotes', sql(lambda n: b"select '" + b"''" * (1500 * n)), 'postgresql'),
        ('sql statements', sql(lambda n: b'select 1;' * (400 * n)), 'postgresql'),
    )
    for name, make, app in streams:
        port = {'http': 80, 'http2': 80, 'dns': 53}.get(app, 7000)
        yield name, lambda n, make=make, port=port: pipeline(talk, port, make(n)), (app, False)
    for name, make, app, port in (('snmp wide', snmp_wide, 'snmp', 161), ('snmp oid', snmp_oid, 'snmp', 161)):
        yield name, lambda n, make=make, port=port: talk.Capture(port, True, 4).talk([(0, make(n))]), (app, False)
    yield 'quic crypto', lambda n: talk.Capture(443, True, 4).talk(quic_crypto(n)), ('quic', False)
    yield 'tcp reverse', lambda n: reverse(talk, n, 4, 200), ('http', False)
    yield 'tcp reverse, past the cap', lambda n: reverse(talk, 1, 4, 1000 * n), ('http', False)
    yield 'ip fragments', lambda n: fragments(talk, n, False), ('dns', False)
    yield 'ip fragments, last first', lambda n: fragments(talk, n, True), ('dns', False)
