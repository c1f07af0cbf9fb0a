# SPDX-License-Identifier: GPL-2.0-or-later
"""What is tried, as data: each case is a name, its segments, and what must be told.

A stream is HTTP requests; GOOD and EVIL are of one length and differ in their targets, so that a row of the table tells whose
bytes were taken. Offsets are those of the stream. NEXT follows and shows that both sides went on at the same place.

tells: the anomalies that must be told on both paths, and no other. inline: those of the inline path, where they differ.
got: what recv() must have returned, where the case would be worthless otherwise; the kernel decides the rest."""
import socket, struct
from dataclasses import dataclass

from raw import Called, Close, Hello, Seg, Sync, csum


def get(word):
    return b'GET /%s HTTP/1.1\r\nHost: a\r\n\r\n' % word.encode()


GOOD, EVIL, NEXT = get('good'), get('evil'), get('next')
N = len(GOOD)
OVERLAP, GAP, RST, SYN = 'stream.overlap_differs', 'stream.gap', 'stream.rst_not_exact', 'stream.syn_in_flow'
SIGNED, TTL, URG, UNKNOWN, MID = 'stream.signature', 'stream.ttl_fell', 'stream.urgent', 'stream.not_a_connection', 'midstream'
FRAG, DECODE, CSUM = 'defrag.overlap', 'decode.bad', 'stream.bad_checksum'
TUNNEL = 'tunnel'        # judged as a flow of its own, apart from the connection's
MD5 = b'\x01\x01\x13\x12' + b'\x5a' * 16
AO = b'\x1d\x10\x01\x01' + b'\x5a' * 12


@dataclass
class Case:
    name: str
    steps: list
    tells: tuple = ()
    inline: tuple = None
    got: tuple = None
    isn: int = 1000
    ts: bool = False
    families: tuple = (4, 6)
    way: str = 'in'         # out: the workload sends, to a kernel beyond the node; call: the workload's kernel connects, and asks for GOOD and NEXT
    tfo: bool = False       # the server takes data on a SYN
    late: int = 0           # so many steps come before tapqd is there
    edit: object = None     # the mirror's view is that of a capture of the run, changed by this: function([(time, frame)]) of the connection's own


def p(text, a, b=None, **kw):
    return Seg(a, text[a:b], **kw)


def nxt(**kw):
    return Seg(N, NEXT, **kw)


def after(seg_end, text=NEXT, **kw):
    return Seg(seg_end, text, **kw)


E = 7      # offset of the word's third byte: "GET /go" | "od"

ORDER = [
    Case('in order', [p(GOOD, 0), nxt()], got=('good', 'next')),
    Case('out of order, last first', [nxt()] + [p(GOOD, i, i + 4) for i in range(0, N, 4)][::-1], got=('good', 'next')),
    Case('one-byte segments', [p(GOOD, i, i + 1) for i in range(N)] + [nxt()], got=('good', 'next')),
    Case('one-byte segments, last first', [p(GOOD, i, i + 1) for i in range(N)][::-1] + [nxt()], got=('good', 'next')),
] + [Case('keyword split at every offset', [p(GOOD, 0, i), p(GOOD, i), nxt()], got=('good', 'next')) for i in range(1, N)
] + [Case('keyword split at every offset, second half first', [p(GOOD, i), p(GOOD, 0, i), nxt()], got=('good', 'next')) for i in range(1, N)]

OVERLAPS = [
    Case('overlap in what waits: same place', [p(GOOD, 5, 9), p(EVIL, 5, 9), p(GOOD, 0, 5), p(GOOD, 9), nxt()], (OVERLAP,)),
    Case('overlap in what waits: head', [p(GOOD, 6, 20), p(EVIL, 2, 8), p(GOOD, 0, 2), p(GOOD, 20), nxt()], (OVERLAP,)),
    Case('overlap in what waits: tail', [p(GOOD, 2, 8), p(EVIL, 6, 20), p(GOOD, 0, 2), p(GOOD, 20), nxt()], (OVERLAP,)),
    Case('overlap in what waits: middle', [p(GOOD, 2, 20), p(EVIL, 5, 9), p(GOOD, 0, 2), p(GOOD, 20), nxt()], (OVERLAP,)),
    Case('overlap in what waits: covers', [p(GOOD, 5, 9), p(EVIL, 2, 20), p(GOOD, 0, 2), p(GOOD, 20), nxt()], (OVERLAP,)),
    Case('overlap in what waits: same start, longer', [p(GOOD, 5, 8), p(EVIL, 5, 20), p(GOOD, 0, 5), p(GOOD, 20), nxt()], (OVERLAP,)),
    Case('overlap in what waits: same end, longer', [p(GOOD, 7, 20), p(EVIL, 3, 20), p(GOOD, 0, 3), p(GOOD, 20), nxt()], (OVERLAP,)),
    Case('overlap in what waits: two at once', [p(GOOD, 4, 7), p(GOOD, 8, 12), p(EVIL, 6, 10), p(GOOD, 0, 4), p(GOOD, 7), nxt()], (OVERLAP,)),
    Case('overlap in what waits: bytes that fill the hole cover it', [p(GOOD, 5, 9), p(EVIL, 0), nxt()], (OVERLAP,)),
    Case('overlap with what was taken: head of new bytes', [p(GOOD, 0, 9), p(EVIL, 3), nxt()], (OVERLAP,)),
    Case('overlap with what was taken: nothing new', [p(GOOD, 0, 9), p(EVIL, 3, 9), p(GOOD, 9), nxt()], (OVERLAP,)),
    Case('overlap with what was judged: the request again, other target', [p(GOOD, 0), p(EVIL, 0), nxt()]),
    Case('overlap with what was judged: and the next one behind it', [p(GOOD, 0), Seg(0, EVIL + NEXT)]),
    Case('overlap, same bytes', [p(GOOD, 5, 20), p(GOOD, 2, 12), p(GOOD, 0), nxt()], got=('good', 'next')),
]

IGNORED = [      # the kernel throws the first one away
    Case('wrong checksum on data', [p(EVIL, 0, bad=True), p(GOOD, 0), nxt()], (CSUM,), got=('good', 'next')),
    Case('wrong checksum on data that waits', [p(EVIL, 5, bad=True), p(GOOD, 0), nxt()], (CSUM,), got=('good', 'next')),
    Case('wrong checksum on FIN', [Seg(0, flags='FA', bad=True), p(GOOD, 0), nxt()], (CSUM,), got=('good', 'next')),
    Case('wrong checksum on RST', [Seg(0, flags='R', bad=True), p(GOOD, 0), nxt()], (CSUM,), got=('good', 'next')),
    Case('wrong checksum on SYN', [Seg(0, flags='S', seq=77777, bad=True), Hello(), p(GOOD, 0), nxt()], got=('good', 'next')),
    Case('wrong checksum on the request before its parts', [p(GOOD, 0, 9), p(EVIL, 9, bad=True), p(GOOD, 9), nxt()], (CSUM,), got=('good', 'next')),
    Case('acknowledges what was not sent', [p(EVIL, 0, ack=100), p(GOOD, 0), nxt()], got=('good', 'next')),
    Case('acknowledges what is long gone', [p(EVIL, 0, ack=-200000), p(GOOD, 0), nxt()], got=('good', 'next')),
    Case('acknowledges what was not sent, bytes that wait', [p(EVIL, 5, ack=100), p(GOOD, 0), nxt()], got=('good', 'next')),
    Case('no ACK flag', [p(EVIL, 0, flags='P'), p(GOOD, 0), nxt()], got=('good', 'next')),
    Case('no flag at all', [p(EVIL, 0, flags=''), p(GOOD, 0), nxt()], got=('good', 'next')),
    Case('FIN without ACK', [p(EVIL, 0, flags='F'), p(GOOD, 0), nxt()], got=('good', 'next')),
    Case('MD5 option', [p(EVIL, 0, opt=MD5), p(GOOD, 0), nxt()], (SIGNED,), got=('good', 'next')),
    Case('AO option', [p(EVIL, 0, opt=AO), p(GOOD, 0), nxt()], (SIGNED,)),
    Case('MD5 and AO options', [p(EVIL, 0, opt=MD5 + AO), p(GOOD, 0), nxt()], (SIGNED,)),
    Case('MD5 option on FIN', [Seg(0, flags='FA', opt=MD5), p(GOOD, 0), nxt()], (SIGNED,), got=('good', 'next')),
    Case('MD5 option on RST', [Seg(0, flags='R', opt=MD5), p(GOOD, 0), nxt()], (SIGNED,)),
    Case('before the window', [Seg(-40, EVIL[:40]), p(GOOD, 0), nxt()], got=('good', 'next')),
    Case('beyond the window', [Seg(2000000, EVIL), p(GOOD, 0), nxt()], got=('good', 'next')),
    Case('old timestamp (PAWS)', [p(EVIL, 0, ts=-4000), p(GOOD, 0), nxt()], got=('good', 'next'), ts=True),
    Case('old timestamp (PAWS), bytes that wait', [p(EVIL, 5, ts=-4000), p(GOOD, 0), nxt()], got=('good', 'next'), ts=True),
    Case('timestamp one back', [p(GOOD, 0, ts=5), p(EVIL, 9, ts=-3), p(GOOD, 9), nxt(ts=9)], ts=True),
    Case('timestamp far ahead, then the true one', [p(GOOD, 0, 9, ts=1 << 30), p(EVIL, 9), p(GOOD, 9, ts=1 << 30), nxt(ts=1 << 30)], ts=True),
    Case('timestamp left out', [p(GOOD, 0, opt=b'\x01\x01\x01\x01'), nxt()], ts=True),
    Case('timestamp on a connection without', [p(GOOD, 0, opt=b'\x01\x01\x08\x0a\0\0\0\x01\0\0\0\0'), nxt()]),
    Case('old timestamp on RST', [p(GOOD, 0), Seg(N, flags='RA', ts=-4000), nxt()], ts=True),
]

RESETS = [
    Case('RST, exact', [p(GOOD, 0), Seg(N, flags='R'), nxt()]),
    Case('RST and ACK, exact', [p(GOOD, 0), Seg(N, flags='RA'), nxt()]),
    Case('RST, in the window, not exact', [p(GOOD, 0), Seg(N + 10, flags='R'), nxt()], (RST,), got=('good', 'next')),
    Case('RST, one before', [p(GOOD, 0), Sync(), Seg(N - 1, flags='R'), nxt()]),
    Case('RST, beyond the window', [p(GOOD, 0), Seg(N + 2000000, flags='R'), nxt()], got=('good', 'next')),
    Case('RST that acknowledges what was not sent', [p(GOOD, 0), Seg(N, flags='RA', ack=1000), nxt()]),
    Case('RST at the end of what waits (SACK)', [p(GOOD, 0, 9), p(GOOD, 12), Seg(N, flags='R'), p(GOOD, 9, 12), nxt()]),
    Case('RST with bytes', [p(GOOD, 0), Seg(N, EVIL, flags='RA'), nxt()]),
    Case('RST with a wrong number before a hole is filled', [p(GOOD, 9), Seg(9, flags='R'), p(GOOD, 0, 9), nxt()], (RST,)),
    Case('RST, exact, then the ports again', [p(GOOD, 0), Seg(N, flags='R'), Hello(isn=900000), p(NEXT, 0)], got=('good', 'next')),
    Case('RST, exact, then the ports again, under the same number', [p(GOOD, 0), Seg(N, flags='R'), Hello(isn=1000), p(NEXT, 0)], got=('good', 'next')),
    Case('RST, exact, then bytes of the old connection, then the ports again', [p(GOOD, 0), Seg(N, flags='R'), Seg(N, EVIL), Hello(isn=900000), p(NEXT, 0)], got=('good', 'next')),
    Case('FIN, in the window, not exact', [p(GOOD, 0), Seg(N + 10, flags='FA'), nxt()]),
    Case('FIN, beyond the window', [p(GOOD, 0), Seg(N + 2000000, flags='FA'), nxt()], got=('good', 'next')),
    Case('FIN, before the window', [p(GOOD, 0), Seg(N - 10, flags='FA'), nxt()], got=('good', 'next')),
    Case('FIN at the place of bytes', [p(GOOD, 0, 9), Seg(9, flags='FA'), p(GOOD, 9), nxt()]),
    Case('FIN after a hole, then the hole with other bytes behind', [Seg(9, flags='FA'), p(GOOD, 0), nxt()]),
]

SYNS = [
    Case('a second SYN, same number', [Hello(), Seg(0, flags='S'), p(GOOD, 0), nxt()], (SYN,)),
    Case('a second SYN, other number', [Hello(), Seg(0, flags='S', seq=777777), p(GOOD, 0), nxt()], (SYN,), got=('good', 'next')),
    Case('a second SYN with bytes', [p(GOOD, 0), Seg(N, EVIL, flags='S'), nxt()], (SYN,)),
    Case('a second SYN in the window', [p(GOOD, 0), Seg(100, flags='S'), nxt()], (SYN,)),
    Case('two SYNs before the answer', [Seg(0, flags='S', seq=777), Hello(), p(GOOD, 0), nxt()]),
    Case('SYN/ACK first', [Seg(0, flags='SA', seq=777), Hello(), p(GOOD, 0), nxt()], got=('good', 'next')),
    Case('ACK first', [Seg(0, EVIL, flags='A', seq=777), Hello(), p(GOOD, 0), nxt()], (UNKNOWN, MID), inline=(MID,), got=('good', 'next')),
    Case('RST first', [Seg(0, flags='R', seq=777), Hello(), p(GOOD, 0), nxt()], got=('good', 'next')),
    Case('SYN/ACK inside', [p(GOOD, 0), Seg(N, flags='SA'), nxt()], got=('good', 'next')),
    Case('bytes on the SYN, not taken', [Hello(EVIL), p(GOOD, 0), nxt()], got=('good', 'next')),
    Case('bytes on the SYN, not taken, and others behind them', [Hello(EVIL), Seg(N, NEXT), p(GOOD, 0)], got=('good', 'next')),
    Case('bytes on the SYN, asked for, not taken', [Hello(EVIL, tfo=True), p(GOOD, 0), nxt()], got=('good', 'next')),
    Case('bytes on the SYN, taken (TFO)', [Hello(GOOD, tfo=True), nxt()], tfo=True, got=('good', 'next')),
    Case('bytes on the SYN, taken, and again with others', [Hello(GOOD, tfo=True), p(EVIL, 0), nxt()], tfo=True, got=('good', 'next')),
    Case('bytes on the SYN, taken without the option', [Hello(GOOD), nxt()], tfo=True),
    Case('bytes on the third segment', [Seg(0, flags='S'), Sync(), p(GOOD, 0), nxt()], got=('good', 'next')),
    Case('SYN and FIN', [Seg(0, flags='SF', seq=777), Hello(), p(GOOD, 0), nxt()], got=('good', 'next')),
    Case('SYN and FIN as the SYN', [Seg(0, flags='SF'), Sync(), p(GOOD, 0), nxt()], (UNKNOWN, MID), inline=(MID,)),
    Case('SYN, FIN, PSH and URG with bytes', [Seg(0, EVIL, flags='SFPU'), Sync(), p(GOOD, 0), nxt()], (UNKNOWN, MID), inline=(MID,)),
]

ENDS = [
    Case('bytes on the FIN', [p(GOOD, 0), nxt(flags='FAP')], got=('good', 'next')),
    Case('bytes after the FIN', [p(GOOD, 0, flags='FAP'), Seg(N + 1, NEXT), nxt()], got=('good',)),
    Case('bytes at the place of the FIN', [p(GOOD, 0, flags='FAP'), nxt()], got=('good',)),
    Case('bytes after a FIN that waits', [nxt(flags='FAP'), Seg(N + len(NEXT), get('more')), p(GOOD, 0)]),
    Case('FIN twice, the second further on', [p(GOOD, 0), Seg(N + len(NEXT), flags='FA'), Seg(N, flags='FA'), nxt()]),
    Case('the kernel closed, bytes come', [p(GOOD, 0), Close(), nxt(), ]),
]

URGENT = [
    Case('urgent byte in the middle', [Seg(0, GOOD[:7] + b'X' + GOOD[7:], flags='AUP', urg=8), Seg(N + 1, NEXT)], (URG,), got=('good', 'next')),
    Case('urgent pointer 0', [Seg(0, GOOD, flags='AUP', urg=0), nxt()], (URG,)),
    Case('urgent pointer 1', [Seg(0, b'X' + GOOD, flags='AUP', urg=1), Seg(N + 1, NEXT)], (URG,)),
    Case('urgent pointer beyond the segment', [Seg(0, GOOD[:7], flags='AUP', urg=8), Seg(7, b'X' + GOOD[7:]), Seg(N + 1, NEXT)], (URG,), got=('good', 'next')),
    Case('urgent pointer far beyond', [Seg(0, GOOD, flags='AUP', urg=60000), nxt()], (URG,), got=('good', 'next')),
    Case('urgent pointer without the flag', [Seg(0, GOOD, urg=3), nxt()], got=('good', 'next')),
    Case('urgent twice', [Seg(0, GOOD[:6] + b'X', flags='AUP', urg=7), Seg(7, b'Y' + GOOD[6:], flags='AUP', urg=1), Seg(N + 2, NEXT)], (URG,)),
    Case('urgent twice, bytes between', [Seg(0, GOOD[:3] + b'X', flags='AUP', urg=4), Seg(4, GOOD[3:6] + b'Y' + GOOD[6:], flags='AUP', urg=4), Seg(N + 2, NEXT)], (URG,)),
    Case('urgent three times, the last sent again', [Seg(0, GOOD[:6] + b'X', flags='AUP', urg=7), Seg(7, b'Y', flags='AUP', urg=1), Seg(8, b'Z' + GOOD[6:], flags='AUP', urg=1),
                                                     Seg(8, b'Z' + GOOD[6:], flags='AUP', urg=1), Seg(N + 3, NEXT)], (URG,)),
    Case('urgent byte of a segment that waits', [Seg(7, b'X' + GOOD[7:], flags='AUP', urg=1), p(GOOD, 0, 7), Seg(N + 1, NEXT)], (URG,)),
    Case('urgent byte told by a retransmission', [Seg(0, GOOD[:7] + b'X' + GOOD[7:]), Seg(0, GOOD[:7] + b'X', flags='AUP', urg=8), Seg(N + 1, NEXT)]),
    Case('urgent byte told before by an empty segment', [Seg(0, flags='AU', urg=8), Seg(0, GOOD[:7] + b'X' + GOOD[7:]), Seg(N + 1, NEXT)], (URG,)),
]

NUMBERS = [
    Case('sequence wrap', [p(GOOD, i, i + 5) for i in range(0, N, 5)] + [nxt()], isn=0xfffffff4, got=('good', 'next')),
    Case('sequence wrap, last first', [nxt()] + [p(GOOD, i, i + 5) for i in range(0, N, 5)][::-1], isn=0xfffffff4, got=('good', 'next')),
    Case('sequence wrap, overlap', [p(GOOD, 5, 20), p(EVIL, 5, 20), p(GOOD, 0, 5), p(GOOD, 20), nxt()], (OVERLAP,), isn=0xfffffff4),
    Case('sequence wrap at the SYN', [p(GOOD, 0), nxt()], isn=0xffffffff, got=('good', 'next')),
]

FLAGS = [
    Case('every flag but SYN and RST', [p(GOOD, 0, flags='APUEC', urg=0), nxt()], (URG,)),
    Case('SYN and RST', [p(GOOD, 0), Seg(N + 6, flags='SR'), nxt()], (RST,)),
    Case('FIN and RST', [p(GOOD, 0), Seg(N + 5, flags='FRA'), nxt()], (RST,)),
    Case('FIN, PSH, URG without ACK', [p(EVIL, 0, flags='FPU'), p(GOOD, 0), nxt()], got=('good', 'next')),
    Case('all flags', [p(GOOD, 0), Seg(N, EVIL, flags='FSRPAUEC'), nxt()], (RST,)),
    Case('SYN, FIN and ACK with bytes', [p(GOOD, 0), Seg(N, EVIL, flags='SFA'), nxt()]),
    Case('ECN flags', [p(GOOD, 0, flags='APEC'), nxt(flags='APC')], got=('good', 'next')),
]

LENGTHS = [
    Case('data offset too small', [p(EVIL, 0, doff=4), p(GOOD, 0), nxt()], (DECODE,), got=('good', 'next')),
    Case('data offset 0', [p(EVIL, 0, doff=0), p(GOOD, 0), nxt()], (DECODE,), got=('good', 'next')),
    Case('data offset past the packet', [Seg(0, EVIL[:20], doff=15), p(GOOD, 0), nxt()], (DECODE,), got=('good', 'next')),
    Case('data offset swallows bytes as options', [Seg(0, b'\x01' * 8 + GOOD, doff=7), nxt()], got=('good', 'next')),
    Case('options that run over their end', [p(GOOD, 0, opt=b'\x08\x20\x01\x01'), nxt()], got=('good', 'next')),
    Case('IP length past the frame', [p(EVIL, 0, lie=10), p(GOOD, 0), nxt()], (DECODE,), got=('good', 'next'), inline=()),
    Case('IP length cuts off bytes', [p(EVIL, 0, lie=-4), p(GOOD, 0), nxt()], (CSUM,), got=('good', 'next')),
    Case('IP length shorter than the TCP header', [p(EVIL, 0, lie=-N - 4), p(GOOD, 0), nxt()], (DECODE,), got=('good', 'next')),
    Case('Ethernet padding', [p(GOOD, 0, pad=EVIL), nxt(pad=b'\0' * 6)], got=('good', 'next')),
    Case('Ethernet padding on small segments', [p(GOOD, i, i + 1, pad=b'X' * 5) for i in range(N)] + [nxt()], got=('good', 'next')),
    Case('padding on FIN', [p(GOOD, 0), nxt(), Seg(2 * N, flags='FA', pad=EVIL)], got=('good', 'next')),
]

H = 20      # bytes of a TCP header
FRAGS = [
    Case('fragments in order', [p(GOOD, 0, frags=((0, 32), (32, None))), nxt()], got=('good', 'next')),
    Case('fragments, last first', [p(GOOD, 0, frags=((40, None), (24, 40), (0, 24))), nxt()], got=('good', 'next')),
    Case('fragments of 8 bytes', [p(GOOD, 0, frags=tuple((i, min(i + 8, N + H)) for i in range(0, N + H, 8))), nxt()], families=(4,), got=('good', 'next')),
    Case('fragments of 8 bytes: IPv6 wants all headers in the first', [p(EVIL, 0, frags=tuple((i, min(i + 8, N + H)) for i in range(0, N + H, 8))), p(GOOD, 0), nxt()], (DECODE,),
         families=(6,), got=('good', 'next')),
    Case('fragments overlap with other bytes', [p(GOOD, 0, frags=((0, 32), (24, 40, {'bytes': b'evil HTTP/1.1\r\n!', 'more': True}), (40, None))), p(GOOD, 0), nxt()], (FRAG,)),
    Case('fragments overlap with the same bytes', [p(GOOD, 0, frags=((0, 32), (24, None))), p(GOOD, 0), nxt()], (FRAG,)),
    Case('a fragment twice, other bytes the second time', [p(GOOD, 0, frags=((0, 24), (24, 32), (24, 32, {'bytes': b'evilevil'}), (32, None))), p(GOOD, 0), nxt()]),
    Case('fragment id used again at once', [p(EVIL, 0, frags=((0, 32),)), p(GOOD, 0, frags=((0, 32, {'id': -1}), (32, None, {'id': -1}))), p(GOOD, 0), nxt()]),
    Case('hole at the end: last piece never comes', [p(EVIL, 0, frags=((0, 24), (24, 32))), p(GOOD, 0), nxt()], got=('good', 'next')),
    Case('hole in the middle', [p(EVIL, 0, frags=((0, 24), (32, None))), p(GOOD, 0), nxt()], got=('good', 'next')),
    Case('two ends', [p(GOOD, 0, frags=((32, 40, {'more': False}), (0, 32), (32, None))), p(GOOD, 0), nxt()], (CSUM,)),
    Case('end before what is there', [p(GOOD, 0, frags=((32, 48), (24, 32, {'more': False}), (0, 24), (48, None))), p(GOOD, 0), nxt()]),
    Case('pieces that are no multiple of 8', [p(GOOD, 0, frags=((0, 30, {'more': True}), (24, None))), p(GOOD, 0), nxt()]),
    Case('header in three fragments', [p(GOOD, 0, frags=((0, 8), (8, 16), (16, None))), nxt()], families=(4,), got=('good', 'next')),
    Case('atomic fragment', [p(GOOD, 0, frags=((0, None),)), nxt()], got=('good', 'next')),
    Case('fragment with a wrong checksum', [p(EVIL, 0, bad=True, frags=((0, 32), (32, None))), p(GOOD, 0), nxt()], (CSUM,), got=('good', 'next')),
]

NOP6 = b'\x00\x01\x04\0\0\0\0'      # length 0, PadN of 4
EXT = [
    Case('IPv4 options: NOPs', [p(GOOD, 0, ext=((None, b'\x01\x01\x01\x01'),)), nxt()], families=(4,), got=('good', 'next')),
    Case('IPv4 options: record route', [p(GOOD, 0, ext=((None, b'\x07\x07\x04\0\0\0\0\0'),)), nxt()], families=(4,), got=('good', 'next')),
    Case('IPv4 options: source route', [p(EVIL, 0, ext=((None, b'\x83\x07\x04\x0a\x4d\0\x0b\0'),)), p(GOOD, 0), nxt()], (DECODE,), families=(4,), inline=()),
    Case('IPv4 options: broken length', [p(EVIL, 0, ext=((None, b'\x07\x27\x04\0\0\0\0\0'),)), p(GOOD, 0), nxt()], (DECODE,), families=(4,), inline=()),
    Case('IPv4 options: unknown', [p(GOOD, 0, ext=((None, b'\x99\x04\0\0'),)), nxt()], families=(4,)),
    Case('IPv6 hop-by-hop', [p(GOOD, 0, ext=((0, NOP6),)), nxt()], families=(6,), got=('good', 'next')),
    Case('IPv6 destination options', [p(GOOD, 0, ext=((60, NOP6),)), nxt()], families=(6,), got=('good', 'next')),
    Case('IPv6 a chain of headers', [p(GOOD, 0, ext=((0, NOP6), (60, NOP6), (60, NOP6))), nxt()], families=(6,), got=('good', 'next')),
    Case('IPv6 a chain of eight', [p(GOOD, 0, ext=((60, NOP6),) * 8), nxt()], families=(6,)),
    Case('IPv6 a chain of nine', [p(GOOD, 0, ext=((60, NOP6),) * 9), nxt()], families=(6,)),
    Case('IPv6 a chain of thirty-two', [p(GOOD, 0, ext=((60, NOP6),) * 32), nxt()], families=(6,)),
    Case('IPv6 a chain of thirty-three', [p(EVIL, 0, ext=((60, NOP6),) * 33), p(GOOD, 0), nxt()], (DECODE,), families=(6,)),
    Case('IPv6 nine options in a header', [p(EVIL, 0, ext=((60, b'\x04' + b'\x1e\x02\0\0' * 9 + b'\x01\x01\0'),)), p(GOOD, 0), nxt()], (DECODE,), families=(6,)),
    Case('IPv6 eight bytes of padding', [p(EVIL, 0, ext=((60, b'\x01\x01\x06\0\0\0\0\0\0\x01\x04\0\0\0\0'),)), p(GOOD, 0), nxt()], (DECODE,), families=(6,)),
    Case('IPv6 padding that is not zero', [p(EVIL, 0, ext=((60, b'\x00\x01\x04\0\0\0\x07'),)), p(GOOD, 0), nxt()], (DECODE,), families=(6,)),
    Case('IPv6 hop-by-hop in second place', [p(EVIL, 0, ext=((60, NOP6), (0, NOP6))), p(GOOD, 0), nxt()], families=(6,)),
    Case('IPv6 unknown option, pass over', [p(GOOD, 0, ext=((60, b'\x00\x1e\x04\0\0\0\0'),)), nxt()], families=(6,)),
    Case('IPv6 unknown option, throw away', [p(EVIL, 0, ext=((60, b'\x00\x5e\x04\0\0\0\0'),)), p(GOOD, 0), nxt()], (DECODE,), families=(6,)),
    Case('IPv6 unknown hop-by-hop option, throw away', [p(EVIL, 0, ext=((0, b'\x00\x5e\x04\0\0\0\0'),)), p(GOOD, 0), nxt()], (DECODE,), families=(6,)),
    Case('IPv6 routing header, nothing left', [p(GOOD, 0, ext=((43, b'\x00\x00\0\0\0\0\0'),)), nxt()], families=(6,), got=('good', 'next')),
    Case('IPv6 routing header for segments, nothing left', [p(EVIL, 0, ext=((43, b'\x00\x04\0\0\0\0\0'),)), p(GOOD, 0), nxt()], (DECODE,), families=(6,)),
    Case('IPv6 routing header for mobility, nothing left', [p(EVIL, 0, ext=((43, b'\x02\x02\0\0\0\0\0' + b'\0' * 16),)), p(GOOD, 0), nxt()], (DECODE,), families=(6,)),
    Case('IPv6 routing header, segments left', [p(EVIL, 0, ext=((43, b'\x00\x04\x01\0\0\0\0'),)), p(GOOD, 0), nxt()], families=(6,)),
    Case('IPv6 authentication header', [p(EVIL, 0, ext=((51, b'\x04\0\0\0\0\x01\x01\0\0\0\x01' + b'\0' * 12),)), p(GOOD, 0), nxt()], (TUNNEL,), families=(6,), inline=()),
    Case('IPv6 mobility header', [p(EVIL, 0, ext=((135, b'\x00\0\0\0\0\0\0'),)), p(GOOD, 0), nxt()], families=(6,)),
    Case('IPv6 no next header', [p(EVIL, 0, ext=((59, b''),)), p(GOOD, 0), nxt()], families=(6,)),
]

BIG = b''.join(get('%03d' % i * 80) for i in range(12))
GSO = [
    Case('super-packet', [Seg(0, BIG, gso=1000)], got=tuple('%03d' % i * 80 for i in range(12))),
    Case('super-packets, the second first', [Seg(3000, BIG[3000:], gso=700), Seg(0, BIG[:3000], gso=500)], got=tuple('%03d' % i * 80 for i in range(12))),
    Case('super-packet over what waits with other bytes', [p(EVIL, 5, 9), Seg(0, GOOD + BIG, gso=1000)], (OVERLAP,)),
    Case('unfinished checksum', [p(GOOD, 0, partial=True), nxt(partial=True)], got=('good', 'next')),
]

OUT = [
    Case('low TTL outbound', [p(EVIL, 0, ttl=1), p(GOOD, 0), nxt()], (OVERLAP, TTL), way='out', got=('good', 'next'), inline=(TTL,)),
    Case('low TTL outbound, bytes that wait', [p(EVIL, 5, ttl=1), p(GOOD, 0), nxt()], (OVERLAP, TTL), way='out', got=('good', 'next'), inline=(TTL,)),
    Case('low TTL outbound, within a request', [p(GOOD, 0, 5), p(EVIL, 5, ttl=1), p(GOOD, 5), nxt()], (OVERLAP, TTL), way='out', got=('good', 'next'), inline=(TTL,)),
    Case('low TTL outbound, FIN', [p(GOOD, 0), Seg(N, flags='FA', ttl=1), nxt()], (TTL,), way='out', got=('good', 'next')),
    Case('low TTL outbound, RST', [p(GOOD, 0), Seg(N, flags='R', ttl=1), nxt()], (TTL,), way='out', got=('good', 'next')),
    Case('low TTL outbound, same bytes again', [p(GOOD, 0, ttl=1), p(GOOD, 0), nxt()], (TTL,), way='out', got=('good', 'next')),
]

def in_ip(peer, packet):
    """The same in another header of its family: nobody there opens it."""
    return peer.ip(Seg(0), 4 if peer.family == 4 else 41, packet)


def in_vxlan(peer, packet):
    inner = b'\x02\0\0\0\0\x01\x02\0\0\0\0\x02' + (b'\x08\0' if peer.family == 4 else b'\x86\xdd') + packet
    vxlan = b'\x08\0\0\0\0\0\x2a\0' + inner
    return peer.ip(Seg(0), 17, peer.udp(5555, 4789, vxlan))


def in_other(peer, packet):
    """In a header of the other family: IPv4 in IPv6, IPv6 in IPv4."""
    if peer.family == 4:
        ends = socket.inet_pton(socket.AF_INET6, 'fd77::200') + socket.inet_pton(socket.AF_INET6, 'fd77::b')
        return 6, struct.pack('!IHBB', 6 << 28, len(packet), 4, 64) + ends + packet
    head = struct.pack('!BBHHHBBH', 0x45, 0, 20 + len(packet), 1, 0, 64, 41, 0) + socket.inet_aton('10.77.0.200') + socket.inet_aton('10.77.0.11')
    return 4, head[:10] + struct.pack('!H', csum(head)) + head[12:] + packet


TUNNELS = [
    Case('IPv4 in IPv6, IPv6 in IPv4', [p(EVIL, 0, wrap=in_other), p(GOOD, 0), nxt()], (TUNNEL,), got=('good', 'next')),
    Case('IP in IP', [p(EVIL, 0, wrap=in_ip), p(GOOD, 0), nxt()], (TUNNEL,), got=('good', 'next')),
    Case('VXLAN', [p(EVIL, 0, wrap=in_vxlan), p(GOOD, 0), nxt()], (TUNNEL,), got=('good', 'next')),
]

ANSWER = b'HTTP/1.1 %d A\r\nContent-Length: 0\r\n\r\n'
CALLS = [       # what recv() returned and what was judged are the answers here
    Case('simultaneous open', [Called('simultaneous'), Seg(0, ANSWER % 201), Seg(len(ANSWER % 201), ANSWER % 202)], way='call', got=('201', '202')),
    Case('split handshake', [Called('split'), Seg(0, ANSWER % 201), Seg(len(ANSWER % 201), ANSWER % 202)], way='call', got=('201', '202')),
]


def idle(seconds):
    """So long a pause before the second request."""
    def edit(frames):
        cut = next(i for i, (_, f) in enumerate(frames) if b'/next' in f)
        return frames[:cut] + [(t + seconds, f) for t, f in frames[cut:]]
    return edit


def lost(word, again=False):
    """The tap missed the segments that hold the word. again: it saw the second one of them."""
    def edit(frames):
        out, seen = [], 0
        for t, f in frames:
            hit = word in f
            seen += hit
            if not hit or (again and seen > 1):
                out.append((t, f))
        return out
    return edit


REPLAYED = [
    Case('idle for half an hour, then on', [p(GOOD, 0), Sync(), nxt()], got=('good', 'next'), edit=idle(1800)),
    Case('idle for thirty days, then on', [p(GOOD, 0), Sync(), nxt()], (MID,), got=('good', 'next'), edit=idle(30 * 86400), inline=()),
    Case('a segment lost to the tap: a whole request', [p(GOOD, 0), Sync(), nxt(), Sync(), Seg(2 * N, get('more'))], (GAP,), got=('good', 'next', 'more'), edit=lost(b'/next'), inline=()),
    Case('a segment lost to the tap: in the middle of a request', [p(GOOD, 0, 9), p(GOOD, 9, 15), p(GOOD, 15), Sync(), nxt()], (GAP, MID), got=('good', 'next'), edit=lost(GOOD[9:15]), inline=()),
    Case('a segment lost to the tap, sent again', [p(GOOD, 0), p(GOOD, 0), nxt()], got=('good', 'next'), edit=lost(b'/good', again=True)),
]

LATE = [
    Case('mid-stream: the rest of a request first', [p(GOOD, 0, 9), Sync(), p(GOOD, 9), nxt()], (MID,), late=2),
    Case('mid-stream: at a request', [p(GOOD, 0), Sync(), nxt()], (MID,), late=2),
    Case('mid-stream: overlap with other bytes', [p(GOOD, 0), Sync(), Seg(N + 9, NEXT[9:]), Seg(N + 9, EVIL[9:]), Seg(N, NEXT[:9])], (MID,), late=2),
]

GROUPS = [('order', ORDER), ('overlap', OVERLAPS), ('thrown away', IGNORED), ('resets and ends in the middle', RESETS), ('handshakes', SYNS), ('ends', ENDS), ('urgent', URGENT),
          ('numbers', NUMBERS), ('flags', FLAGS), ('lengths', LENGTHS), ('fragments', FRAGS), ('headers', EXT), ('offloads', GSO), ('outbound', OUT), ('tunnels', TUNNELS), ('the kernel calls', CALLS), ('captures', REPLAYED),
          ('mid-stream', LATE)]
