# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures as the runner needs them: read, made neutral (time, addresses of cards), moved to other ports, turned into seeds of the fuzzer.

Only what a lab writes is understood: classic pcap, Ethernet, IPv4 without options or IPv6 without extensions, TCP and UDP."""
import struct

START = 1700000000


def read(path):
    """[(microseconds, frame)]"""
    with open(path, 'rb') as f:
        data = f.read()
    if data[:4] != b'\xd4\xc3\xb2\xa1' or struct.unpack_from('<I', data, 20)[0] != 1:
        raise ValueError('%s: no capture of Ethernet in little endian' % path)
    out, at = [], 24
    while at + 16 <= len(data):
        sec, usec, cap, wire = struct.unpack_from('<IIII', data, at)
        if cap != wire or at + 16 + cap > len(data):
            raise ValueError('%s: a frame is cut' % path)
        out.append((sec * 1000000 + usec, data[at + 16:at + 16 + cap]))
        at += 16 + cap
    return out


def write(path, frames):
    out = [struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1)]
    for usec, d in frames:
        out.append(struct.pack('<IIII', usec // 1000000, usec % 1000000, len(d), len(d)) + d)
    with open(path, 'wb') as f:
        f.write(b''.join(out))


def parts(d):
    """(protocol, address, port, address, port, where the transport header begins, where the data begins, where they end) or None."""
    kind = d[12:14]
    if kind == b'\x08\x00' and d[14] == 0x45:
        proto, src, dst, l4, end = d[23], d[26:30], d[30:34], 34, 14 + struct.unpack('>H', d[16:18])[0]
    elif kind == b'\x86\xdd':
        proto, src, dst, l4, end = d[20], d[22:38], d[38:54], 54, 54 + struct.unpack('>H', d[18:20])[0]
    else:
        return None
    if proto not in (6, 17):
        return None
    sport, dport = struct.unpack('>HH', d[l4:l4 + 4])
    return proto, src, sport, dst, dport, l4, l4 + (d[l4 + 12] >> 4) * 4 if proto == 6 else l4 + 8, end


def neutral(frames):
    """The same talk at a time that tells nothing."""
    first = frames[0][0] if frames else 0
    return [(START * 1000000 + t - first, d) for t, d in frames]


def checksum(data):
    data += b'\0' * (len(data) & 1)
    total = sum(struct.unpack('>%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def move(frames, ports):
    """The same talk on other ports, with checksums that are right again; what the data says stays."""
    out = []
    for t, d in frames:
        p = parts(d)
        if p:
            proto, src, sport, dst, dport, l4, _, end = p
            at = l4 + (16 if proto == 6 else 6)
            seg = struct.pack('>HH', ports.get((proto, sport), sport), ports.get((proto, dport), dport)) + d[l4 + 4:at] + b'\0\0' + d[at + 2:end]
            pseudo = src + dst + (struct.pack('>BBH', 0, proto, len(seg)) if len(src) == 4 else struct.pack('>II', len(seg), proto))
            sum16 = checksum(pseudo + seg) or (0xffff if proto == 17 else 0)
            d = d[:l4] + seg[:at - l4] + struct.pack('>H', sum16) + seg[at - l4 + 2:] + d[end:]
        out.append((t, d))
    return out


def conversations(frames):
    """Of each flow what was said, in order: [((protocol, port of the server), [(down, bytes)])]. A byte that came twice is there once."""
    flows, order = {}, []
    for _, d in frames:
        p = parts(d)
        if not p:
            continue
        proto, src, sport, dst, dport, l4, data, end = p
        key, back = (proto, src, sport, dst, dport), (proto, dst, dport, src, sport)
        down = back in flows
        if not down and key not in flows:
            flows[key] = {'port': dport, 'proto': proto, 'next': [None, None], 'said': []}
            order.append(key)
        flow, body = flows[back if down else key], d[data:end]
        if proto == 6:
            seq, syn = struct.unpack('>I', d[l4 + 4:l4 + 8])[0], d[l4 + 13] & 2
            if syn:
                flow['next'][down] = (seq + 1) & 0xffffffff
                continue
            if flow['next'][down] is not None:
                known = (flow['next'][down] - seq) & 0xffffffff
                if known:
                    body = body[known:] if known < 1 << 31 else b''
                flow['next'][down] = (flow['next'][down] + len(body)) & 0xffffffff
        if body:
            flow['said'].append((down, body))
    return [((flows[k]['proto'], flows[k]['port']), flows[k]['said']) for k in order]


def seed(said, both=None, most=16000):
    """A conversation as tests/fuzz reads it; both: which of the two (UDP: true) where a protocol speaks over both."""
    out = b'' if both is None else bytes((both,))
    for down, data in said:
        for i in range(0, len(data), 0x3fff):
            piece = data[i:i + 0x3fff]
            if len(out) + 2 + len(piece) > most:
                return out
            out += struct.pack('>H', down << 15 | len(piece)) + piece
    return out
