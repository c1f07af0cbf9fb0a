# SPDX-License-Identifier: GPL-2.0-or-later
"""tnsd.py PORT LOG: as much of an Oracle server (its version 12.2) as python-oracledb needs to log in and to have statements done that return no rows; each
connect, login and statement that arrives becomes a line of LOG. The password is PASSWORD for everybody, and it is checked: both ends work out the
session's key from it. What is answered is held by what the client accepts."""
import hashlib, re, secrets, socketserver, struct, sys

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

PASSWORD = b'open sesame'
CONNECT, ACCEPT, REFUSE, DATA = 1, 2, 4, 6
AUTH_ONE, AUTH_TWO, EXECUTE, LOGOFF = 0x76, 0x73, 0x5e, 9
SHA1_VERIFIER = 0x1b25
ROUNDS = 64
MAGIC = b'\xde\xad\xbe\xef'


def aes(key, encrypt, data):
    c = Cipher(algorithms.AES(key), modes.CBC(bytes(16)))
    c = c.encryptor() if encrypt else c.decryptor()
    return c.update(data) + c.finalize()


def number(n):
    """How many bytes, and these."""
    b = n.to_bytes((n.bit_length() + 7) // 8, 'big')
    return bytes((len(b),)) + b


def text(s):
    return bytes((len(s),)) + s


def pairs(values, verifier=0):
    out = b'\x08' + number(len(values))
    for k, v in values.items():
        out += number(len(k)) + text(k.encode()) + number(len(v)) + (text(v.encode()) if v else b'') + number(verifier if k == 'AUTH_VFR_DATA' else 0)
    return out


def done(rows, code=0, message=b''):
    """The end of a call: 28 fields that are all nothing, each a byte of 0, and what came of it."""
    return b'\x04' + bytes(28) + number(code) + number(rows) + (text(message) if code else b'')


class Session(socketserver.StreamRequestHandler):
    def packet(self):
        head = self.rfile.read(8)
        if len(head) < 8:
            return 0, b''
        n = struct.unpack('>I' if self.large else '>H', head[:4 if self.large else 2])[0]
        return head[4], self.rfile.read(n - 8)

    def send(self, kind, body):
        n = 8 + len(body)
        self.wfile.write((struct.pack('>I', n) if self.large else struct.pack('>HH', n, 0)) + bytes((kind, 0, 0, 0)) + body)

    def say(self, message):
        self.send(DATA, b'\0\0' + message)

    def note(self, *words):
        with open(sys.argv[2], 'a') as f:
            print(*words, file=f)

    def handle(self):
        self.large = False
        kind, body = self.packet()
        if kind != CONNECT:
            return
        n, at = struct.unpack('>HH', body[16:20])
        descriptor = (body[at - 8:] or self.packet()[1][2:]).decode()
        service = re.search(r'SERVICE_NAME=(\w+)', descriptor)
        self.note('connect', service and service[1])
        if not service or service[1] not in ('shop', 'archive'):
            return self.send(REFUSE, b'\x22\0' + struct.pack('>H', 39) + b'(DESCRIPTION=(ERR=12514)(VSNNUM=0))    ')
        self.send(ACCEPT, struct.pack('>HHHHHHHH', 317, 0, 8192, 65535, 1, 0, 24, 0) + bytes(8))
        self.large = True
        while (kind := self.packet()) != (0, b''):
            if kind[0] == DATA and len(kind[1]) > 2 and not self.message(kind[1][2:]):
                return

    def message(self, m):
        if m.startswith(MAGIC):     # encryption and checksums: none of them
            self.say(MAGIC + struct.pack('>HIHB', 13, 0x0c200100, 0, 0))
        elif m[0] == 1:     # protocol: banner, character sets (the national one: 2000), what the server was compiled with
            compiled = bytearray(42)
            compiled[4], compiled[7] = 32, 8
            sets = bytes(9) + b'\x07\xd0'
            self.say(b'\x01\x06\0test\0' + struct.pack('<H', 873) + b'\0' + struct.pack('<H', 0) + struct.pack('>H', len(sets)) + sets + text(bytes(compiled)) + text(bytes(11)))
        elif m[0] == 2:     # data types
            self.say(b'\x02' + bytes(2))
        elif m[0] == 3 and m[1] == AUTH_ONE:
            self.salt, self.mix, self.mine = secrets.token_bytes(10), secrets.token_bytes(16), secrets.token_bytes(48)
            self.hash = hashlib.sha1(PASSWORD + self.salt).digest() + bytes(4)
            self.say(pairs({'AUTH_SESSKEY': aes(self.hash, True, self.mine).hex().upper(), 'AUTH_VFR_DATA': self.salt.hex().upper(),
                            'AUTH_PBKDF2_CSK_SALT': self.mix.hex().upper(), 'AUTH_PBKDF2_VGEN_COUNT': '4096', 'AUTH_PBKDF2_SDER_COUNT': str(ROUNDS)}, SHA1_VERIFIER) + done(0))
        elif m[0] == 3 and m[1] == AUTH_TWO:
            value = lambda key: bytes.fromhex(re.search(key.encode() + rb'.{1,4}?([0-9A-F]{64,})', m, re.S)[1].decode())
            theirs = aes(self.hash, False, value('AUTH_SESSKEY')[:32])
            key = hashlib.pbkdf2_hmac('sha512', (theirs[:24] + self.mine[:24]).hex().upper().encode(), self.mix, ROUNDS, 24)
            right = aes(key, False, value('AUTH_PASSWORD'))[16:].startswith(PASSWORD)
            self.note('login', 'right' if right else 'wrong')
            if not right:
                self.say(done(0, 1017, b'ORA-01017: invalid username/password; logon denied\n'))
            else:
                self.say(pairs({'AUTH_VERSION_NO': str(0x0c200100), 'AUTH_SESSION_ID': '7', 'AUTH_SERIAL_NUM': '9'}) + done(0))
        elif EXECUTE in m[1:] and (statement := re.search(rb'(?:INSERT|UPDATE|DELETE|DROP)[ -~]+', m)):
            self.note(statement[0].decode())
            self.say(done(1))
        else:               # logoff, rollback: its status
            self.say(b'\x09' + number(0) + number(0))
        return True


class Server(socketserver.ThreadingTCPServer):
    address_family, allow_reuse_address, daemon_threads = socketserver.socket.AF_INET6, True, True


Server(('::', int(sys.argv[1])), Session).serve_forever()
