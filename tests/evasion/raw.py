# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets by hand, and one end of a TCP connection that lives in them: the other end is a kernel's.

A Seg says what differs from an ordinary segment; Peer fills in the rest from the connection's state and sends it by AF_PACKET
(with a virtio header, so that super-packets and unfinished checksums can be sent as well) or, out of a workload, by a raw socket
with the IP header included, so that it passes the workload's own netfilter."""
import select, socket, struct, time
from dataclasses import dataclass, field

FLAGS = {'F': 1, 'S': 2, 'R': 4, 'P': 8, 'A': 16, 'U': 32, 'E': 64, 'C': 128}
VNET = struct.Struct('<BBHHHH')     # flags, gso_type, hdr_len, gso_size, csum_start, csum_offset
SOL_PACKET, PACKET_VNET_HDR = 263, 15
MASK = 0xffffffff


@dataclass
class Seg:
    """One segment. Numbers are relative: off to the first byte after the SYN, ack to what is owed, ts to the running clock."""
    off: int
    data: bytes = b''
    flags: str = 'AP'
    ack: int = 0            # added to the acknowledgement
    opt: bytes = b''        # options, in place of the usual ones
    ts: int = 0             # added to the timestamp (connections with timestamps)
    ttl: int = 64
    bad: bool = False       # wrong TCP checksum
    win: int = 0xffff
    urg: int = 0
    doff: int = None        # data offset as written, in words
    lie: int = 0            # added to the IP length as written
    pad: bytes = b''        # after the IP packet, in the frame
    frags: tuple = ()       # pieces of the IP payload: (start, end[, {more, id, bytes}])
    ext: tuple = ()         # IPv6: extension headers as (number, bytes); IPv4: () or options as one (None, bytes)
    gso: int = 0            # sent as one super-packet of segments of so many bytes
    partial: bool = False   # the checksum is left to the device
    wrap: object = None     # what the IP packet is put into (tunnels): function(peer, packet) in cases.py; gives it back, or (family, packet) of another
    seq: int = None         # absolute


@dataclass
class Sync:
    """Waits until the other end has taken everything that was sent, as its answer to a keep-alive tells."""


@dataclass
class Hello:
    """The ordinary handshake. data: on the SYN; tfo: asks for it by the option."""
    data: bytes = b''
    tfo: bool = False
    opt: bytes = b''
    isn: int = None         # another connection on the same ports


@dataclass
class Called:
    """The kernel's end calls: its SYN was seen. how: what it is answered by, before the answers to its requests."""
    how: str                # simultaneous, split


@dataclass
class Close:
    """The kernel's end shuts down its side."""


def csum_add(b):
    if len(b) & 1:
        b += b'\0'
    return sum(struct.unpack('!%dH' % (len(b) // 2), b))


def fold(s):
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return s


def csum(b):
    return ~fold(csum_add(b)) & 0xffff


def frame_whole(vnet, frame):
    """A captured frame with the checksum that its device would have filled in."""
    flags, _, _, _, start, off = VNET.unpack(vnet)
    if not flags & 1 or start + off + 2 > len(frame):
        return frame
    return frame[:start + off] + struct.pack('!H', csum(frame[start:])) + frame[start + off + 2:]


class Wire:
    """A socket on an interface: sends frames, hands out TCP packets, keeps all of them for a capture file."""
    def __init__(self, dev, mac, gateway_mac=None, hdrincl=None):
        self.s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.s.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self.s.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)        # SO_RCVBUFFORCE
        self.s.bind((dev, 3))
        self.out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.out.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self.out.bind((dev, 0))
        self.mac = mac
        self.kept = []
        self.raw = {}
        if hdrincl:
            for fam in (socket.AF_INET, socket.AF_INET6):
                r = socket.socket(fam, socket.SOCK_RAW, socket.IPPROTO_RAW)
                r.setsockopt(socket.SOL_SOCKET, 36, hdrincl)       # SO_MARK: the kernel's own resets have none
                self.raw[4 if fam == socket.AF_INET else 6] = r

    def send(self, family, dst, dmac, packet, vnet, pad):
        if self.raw:
            self.raw[family].sendto(packet, (dst, 0))
            return
        frame = bytes.fromhex(dmac.replace(':', '')) + bytes.fromhex(self.mac.replace(':', '')) + struct.pack('!H', 0x0800 if family == 4 else 0x86dd) + packet + pad
        self.out.send(vnet + frame)

    def read(self, seconds):
        """The next TCP packets: [(family, src, sport, dst, dport, seq, ack, flags, window, payload length, options)]."""
        if not select.select([self.s], [], [], seconds)[0]:
            return []
        got = []
        while True:
            try:
                b, addr = self.s.recvfrom(70000, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return got
            frame = frame_whole(b[:10], b[10:])
            self.kept.append((time.time(), frame))
            p = parse(frame)
            if p and addr[2] != 4:      # PACKET_OUTGOING is kept, not answered
                got.append(p)

    def close(self):
        for s in (self.s, self.out, *self.raw.values()):
            s.close()


def parse(f):
    kind = struct.unpack('!H', f[12:14])[0]
    if kind == 0x0800 and f[23] == 6:
        src, dst = socket.inet_ntop(socket.AF_INET, f[26:30]), socket.inet_ntop(socket.AF_INET, f[30:34])
        l4, end = 14 + (f[14] & 15) * 4, 14 + struct.unpack('!H', f[16:18])[0]
        family = 4
    elif kind == 0x86dd and f[20] == 6:
        src, dst = socket.inet_ntop(socket.AF_INET6, f[22:38]), socket.inet_ntop(socket.AF_INET6, f[38:54])
        l4, end = 54, 54 + struct.unpack('!H', f[18:20])[0]
        family = 6
    else:
        return None
    if len(f) < l4 + 20:
        return None
    sp, dp, seq, ack, off, flags, win = struct.unpack('!HHIIBBH', f[l4:l4 + 16])
    hlen = (off >> 4) * 4
    return family, src, sp, dst, dp, seq, ack, flags, win, max(0, end - l4 - hlen), f[l4 + 20:l4 + hlen]


class Peer:
    """The hand-made end. `me` and `you` are addresses; isn and whether timestamps are used are the case's."""
    def __init__(self, wire, family, me, mport, you, yport, dmac, isn=1000, ts=False, ident=1):
        self.wire, self.family, self.me, self.mport, self.you, self.yport, self.dmac = wire, family, me, mport, you, yport, dmac
        self.isn, self.use_ts, self.tsval, self.tsecr = isn & MASK, ts, 5000, 0
        self.owed = 0           # what we acknowledge
        self.acked = None       # what the other end acknowledges
        self.your_isn = None
        self.resets = 0
        self.sent_end = 0
        self.ident = ident      # of fragments; a piece that a case leaves behind must not meet another's

    # ---- building ----
    def pack(self, fmt, a):
        return socket.inet_pton(socket.AF_INET if self.family == 4 else socket.AF_INET6, a)

    def pseudo(self, n):
        a, b = self.pack('', self.me), self.pack('', self.you)
        return a + b + (struct.pack('!BBH', 0, 6, n) if self.family == 4 else struct.pack('!II', n, 6))

    def options(self, g, syn):
        if g.opt:
            o = g.opt
        else:
            o = b''
            if syn:
                o += struct.pack('!BBH', 2, 4, 1440) + b'\x01\x03\x03\x07' + b'\x04\x02\x01\x01'
            if self.use_ts:
                o += b'\x01\x01\x08\x0a' + struct.pack('!II', (self.tsval + g.ts) & MASK, self.tsecr)
        return o + b'\0' * (-len(o) % 4)

    def tcp(self, g):
        flags = 0
        for c in g.flags:
            flags |= FLAGS[c]
        opts = self.options(g, flags & 2)
        seq = g.seq if g.seq is not None else (self.isn + (0 if flags & 2 else 1) + g.off) & MASK
        ack = (self.owed + g.ack) & MASK if flags & 16 else 0
        words = 5 + len(opts) // 4
        head = struct.pack('!HHIIBBHHH', self.mport, self.yport, seq, ack, (words if g.doff is None else g.doff) << 4, flags, g.win, 0, g.urg) + opts
        seg = head + g.data
        if g.gso or g.partial:
            c = fold(csum_add(self.pseudo(len(seg))))
        else:
            c = csum(self.pseudo(len(seg)) + seg)
            if g.bad:
                c = (c + 0x1111) & 0xffff or 0x2222
        if not flags & 4 and not g.bad:
            self.sent_end = max(self.sent_end, g.off + len(g.data))
        return seg[:16] + struct.pack('!H', c) + seg[18:], len(head)

    def ip(self, g, proto, body, frag=None, ident=None):
        if self.family == 4:
            opts = b''.join(b for _, b in g.ext)
            hlen = 20 + len(opts)
            h = struct.pack('!BBHHHBBH', 0x40 | hlen // 4, 0, (hlen + len(body) + g.lie) & 0xffff, ident or self.ident, frag or 0, g.ttl, proto, 0) + self.pack('', self.me) + self.pack('', self.you) + opts
            return h[:10] + struct.pack('!H', csum(h)) + h[12:] + body
        exts, nxt = b'', proto
        for number, b in reversed(g.ext):
            exts = bytes([nxt]) + b + exts
            nxt = number
        return struct.pack('!IHBB', 6 << 28, (len(exts) + len(body) + g.lie) & 0xffff, nxt, g.ttl) + self.pack('', self.me) + self.pack('', self.you) + exts + body

    def udp(self, sport, dport, data):
        h = struct.pack('!HHHH', sport, dport, 8 + len(data), 0)
        a, b = self.pack('', self.me), self.pack('', self.you)
        c = csum(a + b + struct.pack('!II', 8 + len(data), 17) + h + data) or 0xffff
        return h[:6] + struct.pack('!H', c) + data

    def send(self, g):
        seg, hlen = self.tcp(g)
        self.ident += 1
        self.tsval += 1
        vnet = VNET.pack(0, 0, 0, 0, 0, 0)
        iphl = 20 if self.family == 4 else 40
        if g.gso:
            vnet = VNET.pack(1, 1 if self.family == 4 else 4, 14 + iphl + hlen, g.gso, 14 + iphl, 16)
        elif g.partial:
            vnet = VNET.pack(1, 0, 0, 0, 14 + iphl, 16)
        if not g.frags:
            self._out(g, self.ip(g, 6, seg), vnet)
            return
        for piece in g.frags:
            start, end, how = piece[0], piece[1], piece[2] if len(piece) > 2 else {}
            end = len(seg) if end is None else end
            body = how.get('bytes', seg[start:end])
            more = how.get('more', end < len(seg))
            ident = (self.ident + how.get('id', 0)) & 0xffff
            if self.family == 4:
                p = self.ip(g, 6, body, frag=(0x2000 if more else 0) | start // 8, ident=ident)
            else:
                p = self.ip(g, 44, struct.pack('!BBHI', 6, 0, start | (1 if more else 0), ident) + body)
            self._out(g, p, vnet)

    def _out(self, g, packet, vnet):
        family = self.family
        if g.wrap:
            wrapped = g.wrap(self, packet)
            family, packet = wrapped if isinstance(wrapped, tuple) else (family, wrapped)
        self.wire.send(family, self.you, self.dmac, packet, vnet, g.pad)

    # ---- listening ----
    def listen(self, seconds, until):
        """Reads what comes for this connection until until(self, packet) is true. False: it never was."""
        end = time.monotonic() + seconds
        while True:
            for p in self.wire.read(max(0, end - time.monotonic())):
                if (p[0], p[1], p[2], p[3], p[4]) != (self.family, self.you, self.yport, self.me, self.mport):
                    continue
                hit = until and until(self, p)
                self.note(p)
                if hit:
                    return True
            if time.monotonic() >= end:
                return False

    def note(self, p):
        _, _, _, _, _, seq, ack, flags, win, n, opts = p
        if flags & 4:
            self.resets += 1
            return
        if flags & 2:
            self.your_isn = seq
            self.owed = (seq + 1) & MASK
        if flags & 16 and (self.acked is None or (ack - self.acked) & MASK < 1 << 31):
            self.acked = ack
        if flags & 1 or n:
            end = (seq + n + (flags & 1)) & MASK
            if (end - self.owed) & MASK < 1 << 31:
                self.owed = end
        i = 0
        while i < len(opts) and opts[i]:
            if opts[i] == 1:
                i += 1
                continue
            if opts[i] == 8 and len(opts) >= i + 10:
                self.tsecr = struct.unpack('!I', opts[i + 2:i + 6])[0]
            i += max(2, opts[i + 1] if i + 1 < len(opts) else 2)

    def hello(self, h):
        opt = h.opt
        if h.isn is not None:
            self.isn, self.acked, self.sent_end = h.isn, None, 0
        if h.tfo:
            opt = struct.pack('!BBH', 2, 4, 1440) + b'\x22\x02\x04\x02'
        self.send(Seg(0, h.data, 'S', opt=opt))
        ok = self.listen(3, lambda me, p: p[7] & 0x12 == 0x12)
        self.sent_end = 0
        if ok:
            self.send(Seg(0, flags='A'))
        return ok

    def called(self, how):
        """Answers the SYN of a kernel that connects by a SYN of our own (RFC 9293 3.5, figure 7), split: by an ACK before it. True: connected."""
        if not self.listen(3, lambda me, p: p[7] & 0x12 == 2):
            return False
        if how == 'split':
            self.send(Seg(0, flags='A', seq=(self.isn - 1) & MASK))
        self.send(Seg(0, flags='S'))
        if not self.listen(3, lambda me, p: p[7] & 0x12 == 0x12):
            return False
        self.send(Seg(0, flags='A'))
        return True

    def settled(self, seconds=1.0):
        """A byte at the SYN's place was received long ago: its D-SACK (RFC 2883) comes after everything before it was taken.
        False: nobody answers any more."""
        mine = struct.pack('!II', self.isn, (self.isn + 1) & MASK)
        self.listen(0, None)
        self.send(Seg(0, b'\0', 'A', seq=self.isn))
        return self.listen(seconds, lambda me, p: p[7] & 4 or mine in p[10])
