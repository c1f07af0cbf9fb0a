# SPDX-License-Identifier: GPL-2.0-or-later
"""mongod.py PORT LOG: as much of a MongoDB server as its driver needs for insert, find, delete, drop and count of whole collections; each command that
arrives becomes a line `name collection` of LOG. Its answers are held by what the driver accepts."""
import itertools, socketserver, struct, sys, threading

import bson

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
WIRE = {'ismaster': True, 'maxBsonObjectSize': 1 << 24, 'maxMessageSizeBytes': 48000000, 'maxWriteBatchSize': 1000, 'minWireVersion': 0, 'maxWireVersion': 8, 'readOnly': False}
stored, lock, numbers = {}, threading.Lock(), itertools.count(1)


def command(c, documents):
    """A command's document and those of its section of documents: the answer."""
    name, target = next(iter(c.items()))
    with lock, open(sys.argv[2], 'a') as f:
        print(name, target, file=f)
        if name.lower() in ('ismaster', 'hello'):
            return WIRE
        here = stored.setdefault(target, []) if isinstance(target, str) else []
        if name == 'insert':
            here += documents
            return {'n': len(documents)}
        if name == 'find':
            return {'cursor': {'id': 0, 'ns': '%s.%s' % (c['$db'], target), 'firstBatch': here}}
        if name == 'count':
            return {'n': len(here)}
        if name == 'delete':
            n = len(here)
            here.clear()
            return {'n': n}
        if name == 'drop':
            return {'ns': target} if stored.pop(target, None) else {'ok': 0.0, 'errmsg': 'ns not found', 'code': 26}
        return {} if name in ('ping', 'endSessions') else {'ok': 0.0, 'errmsg': 'no such command', 'code': 59}


class Connection(socketserver.StreamRequestHandler):
    def handle(self):
        while len(head := self.rfile.read(16)) == 16:
            length, number, _, opcode = struct.unpack('<iiii', head)
            body = self.rfile.read(length - 16)
            if opcode == OP_QUERY:      # flags, "db.$cmd", skip, count, document
                answer = command(bson.decode(body[body.index(b'\0', 4) + 9:]), [])
                out, opcode = struct.pack('<iqii', 8, 0, 0, 1), OP_REPLY
            elif opcode == OP_MSG:
                c, documents, at = None, [], 4
                while at < len(body):
                    kind, size = body[at], struct.unpack_from('<i', body, at + 1)[0]
                    part = body[at + 1:at + 1 + size]
                    if kind == 0:
                        c = bson.decode(part)
                    else:
                        documents = bson.decode_all(part[part.index(b'\0', 4) + 1:])
                    at += 1 + size
                answer, out = command(c, documents or c.get('documents', [])), struct.pack('<iB', 0, 0)
            else:
                return
            out += bson.encode(dict({'ok': 1.0}, **answer))
            self.wfile.write(struct.pack('<iiii', 16 + len(out), next(numbers), number, opcode) + out)


class Server(socketserver.ThreadingTCPServer):
    address_family, allow_reuse_address, daemon_threads = socketserver.socket.AF_INET6, True, True


Server(('::', int(sys.argv[1])), Connection).serve_forever()
