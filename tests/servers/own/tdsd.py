# SPDX-License-Identifier: GPL-2.0-or-later
"""tdsd.py PORT LOG: SQL Server's protocol (7.3) before SQLite: prelogin without encryption, login, batches, rows as text. The database is the file LOG.db, with
tables `orders` and `items`; each login and each batch that arrives becomes a line of LOG. What is answered is held by what FreeTDS accepts. The password is PASSWORD."""
import socketserver, sqlite3, struct, sys

PASSWORD = 'open sesame'
BATCH, ANSWER, LOGIN, PRELOGIN = 1, 4, 0x10, 0x12
NOT_SUPPORTED = 2


def text(s):
    return bytes((len(s),)) + s.encode('utf-16le')


def token(kind, body):
    return bytes((kind,)) + struct.pack('<H', len(body)) + body


def done(status, rows=0):
    return b'\xfd' + struct.pack('<HHQ', status, 0xc1, rows)


def error(number, words):
    said = struct.pack('<H', len(words)) + words.encode('utf-16le')
    return token(0xaa, struct.pack('<IBB', number, 1, 14) + said + text('test') + text('') + struct.pack('<I', 1)) + done(2)


def rows(cursor):
    if not cursor.description:
        return done(0x10, max(cursor.rowcount, 0))
    out = b'\x81' + struct.pack('<H', len(cursor.description))
    for column in cursor.description:       # text of up to 200 letters, that may be null
        out += struct.pack('<IHBH', 0, 1, 0xe7, 400) + b'\x09\x04\xd0\x00\x34' + text(column[0])
    n = 0
    for n, row in enumerate(cursor, 1):
        out += b'\xd1'
        for v in row:
            v = str(v).encode('utf-16le')
            out += struct.pack('<H', len(v)) + v
    return out + done(0x10, n)


class Session(socketserver.StreamRequestHandler):
    def message(self):
        kind, status, body = 0, 0, b''
        while not status & 1:
            head = self.rfile.read(8)
            if len(head) < 8:
                return 0, b''
            kind, status, n = struct.unpack('>BBH', head[:4])
            body += self.rfile.read(n - 8)
        return kind, body

    def say(self, body):
        self.wfile.write(struct.pack('>BBHHBB', ANSWER, 1, 8 + len(body), 0, 1, 0) + body)

    def note(self, *words):
        with open(sys.argv[2], 'a') as f:
            print(*words, file=f)

    def handle(self):
        db = sqlite3.connect(sys.argv[2] + '.db', isolation_level=None, timeout=5)
        while (m := self.message())[0]:
            if m[0] == PRELOGIN:
                self.say(struct.pack('>BHHBHHB', 0, 11, 6, 1, 17, 1, 0xff) + b'\x0a\x00\x00\x00\x00\x00' + bytes((NOT_SUPPORTED,)))
            elif m[0] == LOGIN:
                field = lambda i: (lambda at, n: m[1][at:at + 2 * n])(*struct.unpack_from('<HH', m[1], 36 + 4 * i))
                password = bytes((b ^ 0xa5) << 4 & 0xf0 | (b ^ 0xa5) >> 4 for b in field(2)).decode('utf-16le')
                user, name = field(1).decode('utf-16le'), field(8).decode('utf-16le')
                self.note('login', user, name)
                if password != PASSWORD:
                    return self.say(error(18456, "Login failed for user '%s'." % user))
                self.say(token(0xe3, b'\x01' + text(name or 'shop') + text('master')) + token(0xad, b'\x01\x73\x0b\x00\x03' + text('test') + b'\x0a\x00\x00\x00') + done(0))
            elif m[0] == BATCH:
                words = m[1][struct.unpack_from('<I', m[1])[0]:].decode('utf-16le').strip()
                self.note(words)
                try:
                    self.say(rows(db.execute(words)))
                except sqlite3.Error as e:
                    self.say(error(208, str(e)))
            else:       # a cancel
                self.say(done(0x20))


class Server(socketserver.ThreadingTCPServer):
    address_family, allow_reuse_address, daemon_threads = socketserver.socket.AF_INET6, True, True


first = sqlite3.connect(sys.argv[2] + '.db')
first.executescript("CREATE TABLE items (item, price); CREATE TABLE orders (item, n); INSERT INTO items VALUES ('book', 12), ('pen', 1);")
first.close()
Server(('::', int(sys.argv[1])), Session).serve_forever()
