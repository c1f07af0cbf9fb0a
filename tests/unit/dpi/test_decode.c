/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "dpi/packet.h"
#include "tests/unit/dpi/packets.h"
#include "tests/unit/unit.h"

static const struct pk_ip v4 = { .src = "10.0.0.1", .dst = "10.0.0.2", .proto = 6 };
static const struct pk_ip v6 = { .src = "fd00::1", .dst = "fd00::2", .proto = 6 };

/* Decodes at a guard page; what was decoded points into a copy that is gone afterwards, so only numbers may be looked at. */
static enum decode_result decode_at(const uint8_t *b, size_t n, enum linktype link, uint32_t flags, struct packet *p, enum dpi_counter *why)
{
	uint8_t *g = guard_copy(b, n);
	struct frame f = pk_frame(g, n, link);
	enum decode_result r;

	f.flags = flags;
	r = decode_frame(&f, p, why);
	guard_free(g, n);
	return r;
}

static enum decode_result decode(const struct pkt *k, struct packet *p, enum dpi_counter *why)
{
	return decode_at(k->b, k->n, LINK_ETHERNET, 0, p, why);
}

static struct pkt tcp_packet(bool six, const char *payload)
{
	static struct pkt k;
	size_t ip;

	k.n = 0;
	pk_ether(&k, six ? 0x86dd : 0x0800);
	ip = k.n;
	if (six)
		pk_ip6(&k, &v6);
	else
		pk_ip4(&k, &v4);
	pk_tcp(&k, 1234, 80, 1000, 2000, TCP_ACK | TCP_PSH, "\x01\x01\x08\x0a\0\0\0\x07\0\0\0\x09", 12);
	pk_bytes(&k, payload, strlen(payload));
	pk_finish(&k, ip, ip + (six ? 40 : 20), 6);
	return k;
}

static void test_tcp(void)
{
	for (int six = 0; six < 2; six++) {
		struct pkt k = tcp_packet(six, "hello");
		struct packet p;
		enum dpi_counter why;
		struct addr a;

		CU_ASSERT_EQUAL(decode(&k, &p, &why), DECODE_OK);
		CU_ASSERT_EQUAL(p.family, six ? 6 : 4);
		addr_parse(six ? "fd00::1" : "10.0.0.1", &a);
		CU_ASSERT(addr_eq(&a, &p.t.src));
		CU_ASSERT_EQUAL(p.t.sport, 1234);
		CU_ASSERT_EQUAL(p.t.dport, 80);
		CU_ASSERT_EQUAL(p.t.ipproto, 6);
		CU_ASSERT_EQUAL(p.seq, 1000);
		CU_ASSERT_EQUAL(p.ack, 2000);
		CU_ASSERT_EQUAL(p.tcp_flags, TCP_ACK | TCP_PSH);
		CU_ASSERT_EQUAL(p.payload.n, 5);
		CU_ASSERT(p.has_ts && p.tsval == 7 && p.tsecr == 9);
		CU_ASSERT_EQUAL(p.iplen, (six ? 40 : 20) + 32 + 5);
		CU_ASSERT(p.l4_known && !p.bad_csum && !p.fragment);
	}
}

/* Ethernet pads short frames; the padding is no payload. */
static void test_padding(void)
{
	struct pkt k = tcp_packet(false, "");
	struct packet p;
	enum dpi_counter why;

	pk_bytes(&k, "PADDING", 7);
	CU_ASSERT_EQUAL(decode(&k, &p, &why), DECODE_OK);
	CU_ASSERT_EQUAL(p.payload.n, 0);
	CU_ASSERT_EQUAL(p.iplen, 52);
	CU_ASSERT(!p.bad_csum);
}

static void test_checksums(void)
{
	for (int six = 0; six < 2; six++) {
		struct pkt k = tcp_packet(six, "hello");
		struct packet p;
		enum dpi_counter why;

		k.b[k.n - 1] ^= 1;
		CU_ASSERT_EQUAL(decode(&k, &p, &why), DECODE_OK);
		CU_ASSERT(p.bad_csum);
		decode_at(k.b, k.n, LINK_ETHERNET, FRAME_CSUM_PARTIAL, &p, &why);
		CU_ASSERT(!p.bad_csum);
		decode_at(k.b, k.n, LINK_ETHERNET, FRAME_CSUM_VALID, &p, &why);
		CU_ASSERT(!p.bad_csum);
	}
	struct pkt k = tcp_packet(false, "x");
	struct packet p;
	enum dpi_counter why;

	k.b[14 + 8] ^= 1;	/* TTL: only the IPv4 header's own sum covers it */
	CU_ASSERT_EQUAL(decode(&k, &p, &why), DECODE_OK);
	CU_ASSERT(p.bad_csum);
}

/* Every packet at every shorter length, whole on the wire or not: nothing past the end is read, and nothing is OK that lacks a header. */
static void test_every_length(void)
{
	for (int six = 0; six < 2; six++) {
		struct pkt k = tcp_packet(six, "hello");

		for (size_t n = 0; n <= k.n; n++) {
			struct packet p;
			enum dpi_counter why;
			enum decode_result r = decode_at(k.b, n, LINK_ETHERNET, 0, &p, &why);

			CU_ASSERT_EQUAL(r, n < k.n ? DECODE_BAD : DECODE_OK);	/* cut on the wire: lengths contradict */

			uint8_t *g = guard_copy(k.b, n);
			struct frame f = pk_frame(g, n, LINK_ETHERNET);

			f.wirelen = (uint32_t)k.n;	/* cut by the capture: what is there counts */
			f.flags = FRAME_TRUNCATED;
			r = decode_frame(&f, &p, &why);
			if (n >= 14u + (six ? 40 : 20) + 20u) {
				CU_ASSERT(r == DECODE_OK && p.t.dport == 80 && !p.bad_csum && p.iplen == (six ? 40u : 20u) + 37u);
			} else {
				CU_ASSERT(r == DECODE_BAD);
			}
			guard_free(g, n);
		}
	}
}

struct bend {
	const char *name;
	size_t at;
	uint8_t value;
	enum dpi_counter why;
};

static void test_bent(void)
{
	static const struct bend four[] = {
		{ "version", 14, 0x55, DPI_C_DECODE_IPV4_VERSION },
		{ "header length", 14, 0x44, DPI_C_DECODE_IPV4_HLEN },
		{ "total length past the frame", 16, 0xff, DPI_C_DECODE_IPV4_LEN },
		{ "total length within the header", 17, 19, DPI_C_DECODE_IPV4_LEN },
		{ "data offset within the header", 14 + 20 + 12, 0x40, DPI_C_DECODE_TCP_HLEN },
		{ "data offset past the packet", 14 + 20 + 12, 0xf0, DPI_C_DECODE_TCP_HLEN },
	};
	static const struct bend six[] = {
		{ "version", 14, 0x40, DPI_C_DECODE_IPV6_VERSION },
		{ "payload length past the frame", 18, 0xff, DPI_C_DECODE_IPV6_LEN },
		{ "an extension header past the end", 20, 43, DPI_C_DECODE_IPV6_EXT_SHORT },
	};

	for (size_t i = 0; i < sizeof four / sizeof *four + sizeof six / sizeof *six; i++) {
		bool is_six = i >= sizeof four / sizeof *four;
		const struct bend *b = is_six ? &six[i - sizeof four / sizeof *four] : &four[i];
		struct pkt k = tcp_packet(is_six, "hello");
		struct packet p;
		enum dpi_counter why = DPI_C_COUNT;

		k.b[b->at] = b->value;
		if (is_six && b->value == 43)
			k.b[14 + 40 + 1] = 200;
		if (decode(&k, &p, &why) != DECODE_BAD || why != b->why)
			CU_FAIL("a bent header is told by another name");
	}
}

static void test_vlan(void)
{
	struct pkt k = tcp_packet(false, "hello"), q;
	struct packet p;
	enum dpi_counter why;
	struct frame f;

	for (int tags = 0; tags <= 3; tags++) {
		q.n = 0;
		pk_bytes(&q, k.b, 12);
		for (int i = 0; i < tags; i++) {
			pk_be16(&q, i + 1 < tags ? 0x88a8 : 0x8100);
			pk_be16(&q, 0xe000u | (unsigned)(100 + i));
		}
		pk_bytes(&q, k.b + 12, k.n - 12);
		enum decode_result r = decode(&q, &p, &why);
		if (tags == 3) {
			CU_ASSERT(r == DECODE_BAD && why == DPI_C_DECODE_VLAN_DEEP);
			continue;
		}
		CU_ASSERT(r == DECODE_OK && p.nvlan == tags && p.t.dport == 80);
		CU_ASSERT(tags < 1 || p.vlan[0] == 100);
		CU_ASSERT(tags < 2 || p.vlan[1] == 101);
	}
	/* The outer one in the metadata, the inner one in the bytes; a priority tag is none. */
	q.n = 0;
	pk_bytes(&q, k.b, 12);
	pk_be16(&q, 0x8100);
	pk_be16(&q, 7);
	pk_bytes(&q, k.b + 12, k.n - 12);
	f = pk_frame(q.b, q.n, LINK_ETHERNET);
	f.flags = FRAME_VLAN;
	f.vlan_tci = 42;
	CU_ASSERT(decode_frame(&f, &p, &why) == DECODE_OK && p.nvlan == 2 && p.vlan[0] == 42 && p.vlan[1] == 7);
	f.vlan_tci = 0xe000;
	CU_ASSERT(decode_frame(&f, &p, &why) == DECODE_OK && p.nvlan == 1 && p.vlan[0] == 7);
}

static void test_ipv6_extensions(void)
{
	static const uint8_t exts[] = { 0, 60, 43, 51, 44 };	/* hop-by-hop, destination options, routing, AH, atomic fragment */
	struct pkt k = { .n = 0 };
	struct pk_ip h = v6;
	struct packet p;
	enum dpi_counter why;
	size_t l4;

	h.proto = exts[0];
	pk_ether(&k, 0x86dd);
	pk_ip6(&k, &h);
	for (size_t i = 0; i < sizeof exts; i++) {
		pk_u8(&k, i + 1 < sizeof exts ? exts[i + 1] : 17);
		pk_u8(&k, exts[i] == 51 ? 4 : 0);
		pk_zero(&k, exts[i] == 51 ? 22 : 6);
	}
	l4 = k.n;
	pk_udp(&k, 53, 5353, 4);
	pk_bytes(&k, "data", 4);
	pk_finish(&k, 14, l4, 17);
	CU_ASSERT(decode(&k, &p, &why) == DECODE_OK);
	CU_ASSERT(p.t.ipproto == 17 && p.t.sport == 53 && p.payload.n == 4 && !p.fragment && !p.bad_csum);
	for (size_t n = 0; n < k.n; n++)
		CU_ASSERT(decode_at(k.b, n, LINK_ETHERNET, 0, &p, &why) == DECODE_BAD);

	/* more than are followed */
	k.n = 0;
	h.proto = 60;
	pk_ether(&k, 0x86dd);
	pk_ip6(&k, &h);
	for (int i = 0; i < 40; i++) {
		pk_u8(&k, i < 39 ? 60 : 17);
		pk_zero(&k, 7);
	}
	l4 = k.n;
	pk_udp(&k, 1, 2, 0);
	pk_finish(&k, 14, l4, 17);
	CU_ASSERT(decode(&k, &p, &why) == DECODE_BAD && why == DPI_C_DECODE_IPV6_EXT_DEEP);
	CU_ASSERT(p.family == 6 && p.t.src.b[15] == 1);	/* what is told has addresses */
}

/* One header with these bytes behind its first, before a UDP packet. */
static enum decode_result one_header(uint8_t number, const char *bytes, size_t n, struct packet *p, enum dpi_counter *why)
{
	static struct pkt k;
	struct pk_ip h = v6;
	size_t l4;

	k.n = 0;
	h.proto = number;
	pk_ether(&k, 0x86dd);
	pk_ip6(&k, &h);
	pk_u8(&k, 17);
	pk_bytes(&k, bytes, n);
	l4 = k.n;
	pk_udp(&k, 53, 5353, 0);
	pk_finish(&k, 14, l4, 17);
	return decode(&k, p, why);
}

/* Options and routing headers as the receiver takes them (RFC 8200, 4.2 and 4.4; net/ipv6/exthdrs.c). */
static void test_ipv6_refused(void)
{
	static const struct { const char *what; uint8_t number; const char *bytes; size_t n; bool good; } t[] = {
		{ "PadN", 60, "\0\1\4\0\0\0\0", 7, true },
		{ "padding of 8 bytes", 60, "\1\1\6\0\0\0\0\0\0\1\4\0\0\0\0", 15, false },
		{ "padding that is not zero", 60, "\0\1\4\0\0\0\7", 7, false },
		{ "unknown, pass over", 60, "\0\x1e\4\0\0\0\0", 7, true },
		{ "unknown, throw away", 60, "\0\x5e\4\0\0\0\0", 7, false },
		{ "unknown, throw away and tell", 0, "\0\x9e\4\0\0\0\0", 7, false },
		{ "an option past the end", 60, "\0\x1e\5\0\0\0\0", 7, false },
		{ "an option without length", 60, "\0\x1e\3\0\0\0\x1e", 7, false },
		{ "eight options", 60, "\4\x1e\2\0\0\x1e\2\0\0\x1e\2\0\0\x1e\2\0\0\x1e\2\0\0\x1e\2\0\0\x1e\2\0\0\x1e\2\0\0\1\4\0\0\0\0", 39, true },
		{ "nine options", 60, "\4\x1e\2\0\0\x1e\2\0\0\x1e\2\0\0\x1e\2\0\0\x1e\2\0\0\x1e\2\0\0\x1e\2\0\0\x1e\2\0\0\x1e\2\0\0\0\0", 39, false },
		{ "router alert", 0, "\0\5\2\0\0\1\0", 7, true },
		{ "router alert of a wrong length", 0, "\0\5\3\0\0\0\0", 7, false },
		{ "routing, nothing left", 43, "\0\0\0\0\0\0\0", 7, true },
		{ "routing, one left", 43, "\0\0\1\0\0\0\0", 7, false },
		{ "segment routing", 43, "\0\4\0\0\0\0\0", 7, false },
		{ "mobility", 43, "\2\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 23, false },
	};

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		enum dpi_counter why = DPI_C_COUNT;
		struct packet p;
		enum decode_result r = one_header(t[i].number, t[i].bytes, t[i].n, &p, &why);

		bool taken = r == DECODE_OK && p.t.dport == 5353;

		if (taken != t[i].good)
			fprintf(stderr, "%s: %d\n", t[i].what, (int)r);
		CU_ASSERT(taken == t[i].good && (r == DECODE_OK || why == (t[i].number == 43 ? DPI_C_DECODE_IPV6_ROUTING : DPI_C_DECODE_IPV6_OPTION)));
	}
}

/* As ip_options_compile() has them; a source route is refused unless the packet is held: then its stack has judged. */
static void test_ipv4_options(void)
{
	static const struct { const char *what; uint8_t bytes[8]; bool good, held; } t[] = {
		{ "no-operation and end", { 1, 1, 0, 0x83, 1 }, true, true },
		{ "record route", { 7, 7, 4 }, true, true },
		{ "record route, full", { 7, 7, 8 }, true, true },
		{ "record route, no room for an address", { 7, 7, 6 }, false, false },
		{ "an option past the end", { 7, 9, 4 }, false, false },
		{ "an option of one byte", { 7, 1, 4 }, false, false },
		{ "an option without length", { 1, 1, 1, 1, 1, 1, 1, 7 }, false, false },
		{ "loose source route", { 0x83, 7, 4 }, false, true },
		{ "strict source route", { 0x89, 7, 4 }, false, true },
		{ "source route before its bytes", { 0x83, 7, 3 }, false, false },
		{ "timestamps", { 68, 8, 5, 0 }, true, true },
		{ "timestamps with addresses, no room", { 68, 8, 5, 1 }, false, false },
		{ "timestamps that overflowed", { 68, 8, 9, 0xf0 }, false, false },
		{ "router alert", { 148, 4, 0, 0 }, true, true },
		{ "unknown", { 0x99, 8 }, true, true },
	};
	struct pk_ip h = v4;

	h.opts = 8;
	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		for (int held = 0; held < 2; held++) {
			struct pkt k = { .n = 0 };
			enum dpi_counter why = DPI_C_COUNT;
			struct packet p;
			struct frame f;
			enum decode_result r;
			bool good = held ? t[i].held : t[i].good;

			pk_ether(&k, 0x0800);
			pk_ip4(&k, &h);
			memcpy(k.b + 34, t[i].bytes, 8);
			pk_tcp(&k, 1234, 80, 1000, 2000, TCP_ACK, NULL, 0);
			pk_finish(&k, 14, 42, 6);
			f = pk_frame(k.b, k.n, LINK_ETHERNET);
			f.held = held;
			r = decode_frame(&f, &p, &why);
			if (r != (good ? DECODE_OK : DECODE_BAD))
				fprintf(stderr, "%s: %d\n", t[i].what, (int)r);
			CU_ASSERT(good ? r == DECODE_OK && !p.bad_csum : r == DECODE_BAD && why == DPI_C_DECODE_IPV4_OPTION);
			/* what the stack wrote into the options since it checked the header */
			k.b[41] ^= 1;
			if (good && decode_frame(&f, &p, &why) == DECODE_OK)
				CU_ASSERT_EQUAL(p.bad_csum, !held);
		}
	}
}

/* RFC 7112: the first piece has all headers. */
static void test_first_piece(void)
{
	for (size_t n = 0; n <= 32; n += 8) {
		struct pkt k = { .n = 0 };
		struct pk_ip h = v6;
		struct packet p;
		enum dpi_counter why;

		h.proto = 44;
		pk_ether(&k, 0x86dd);
		pk_ip6(&k, &h);
		pk_bytes(&k, "\x3c\0\0\1\0\0\0\7", 8);
		pk_bytes(&k, "\6\0\1\4\0\0\0\0", 8);
		pk_zero(&k, n);
		pk_finish(&k, 14, 0, 0);
		CU_ASSERT_EQUAL(decode(&k, &p, &why), n >= 20 ? DECODE_OK : DECODE_BAD);
	}
}

static void test_fragment_fields(void)
{
	struct pkt k = { .n = 0 };
	struct pk_ip h = v4;
	struct packet p;
	enum dpi_counter why;

	h.frag = 0x2000 | 3;
	h.id = 77;
	pk_ether(&k, 0x0800);
	pk_ip4(&k, &h);
	pk_zero(&k, 64);
	pk_finish(&k, 14, 0, 0);
	CU_ASSERT(decode(&k, &p, &why) == DECODE_OK && p.fragment && !p.l4_known && p.frag_off == 24 && p.frag_more && p.frag_id == 77);

	k.n = 0;
	h = v6;
	h.proto = 44;
	pk_ether(&k, 0x86dd);
	pk_ip6(&k, &h);
	pk_u8(&k, 17);
	pk_u8(&k, 0);
	pk_be16(&k, 16 << 3 | 0);
	pk_be32(&k, 99);
	pk_zero(&k, 16);
	pk_finish(&k, 14, 0, 0);
	CU_ASSERT(decode(&k, &p, &why) == DECODE_OK && p.fragment && p.frag_off == 128 && !p.frag_more && p.frag_id == 99 && p.t.ipproto == 17 && p.frag_next == 6);
}

static void test_links(void)
{
	struct pkt k = tcp_packet(false, "hello"), q;
	struct packet p;
	enum dpi_counter why;

	CU_ASSERT(decode_at(k.b + 14, k.n - 14, LINK_RAW, 0, &p, &why) == DECODE_OK && p.t.dport == 80);
	q.n = 0;
	pk_zero(&q, 14);
	pk_be16(&q, 0x0800);
	pk_bytes(&q, k.b + 14, k.n - 14);
	CU_ASSERT(decode_at(q.b, q.n, LINK_SLL, 0, &p, &why) == DECODE_OK && p.t.dport == 80);
	q.n = 0;
	pk_be16(&q, 0x0800);
	pk_zero(&q, 18);
	pk_bytes(&q, k.b + 14, k.n - 14);
	CU_ASSERT(decode_at(q.b, q.n, LINK_SLL2, 0, &p, &why) == DECODE_OK && p.t.dport == 80);
	for (int swap = 0; swap < 2; swap++) {
		q.n = 0;
		pk_be32(&q, swap ? 2 : 2u << 24);
		pk_bytes(&q, k.b + 14, k.n - 14);
		CU_ASSERT(decode_at(q.b, q.n, LINK_NULL, 0, &p, &why) == DECODE_OK && p.t.dport == 80);
	}
	CU_ASSERT(decode_at(k.b, k.n, LINK_UNSUPPORTED, 0, &p, &why) == DECODE_BAD && why == DPI_C_DECODE_LINKTYPE);
	/* ARP and LLC are no IP */
	q.n = 0;
	pk_ether(&q, 0x0806);
	pk_zero(&q, 28);
	CU_ASSERT(decode(&q, &p, &why) == DECODE_NOT_IP && p.ethertype == 0x0806 && p.payload.n == 28);
	q.n = 0;
	pk_ether(&q, 38);
	pk_zero(&q, 38);
	CU_ASSERT(decode(&q, &p, &why) == DECODE_NOT_IP && p.ethertype == 0);
}

/* NFLOG in both byte orders, cut at every length; PPP with and without HDLC's address, with a compressed protocol field. */
static void test_more_links(void)
{
	static const struct { enum linktype link; const char *head; size_t n; } all[] = {
		{ LINK_NFLOG, "\x02\0\0\0" "\x08\0\x01\0\x08\0\x03\0" "\x05\0\x0a\0x\0\0\0" "\x3d\0\x09\0", 24 },
		{ LINK_NFLOG, "\x02\0\0\0" "\0\x08\0\x01\x08\0\x03\0" "\0\x05\0\x0ax\0\0\0" "\0\x3d\0\x09", 24 },
		{ LINK_PPP, "\xff\x03\0\x21", 4 },
		{ LINK_PPP, "\x21", 1 },
		{ LINK_PPPOE, "\x11\0\0\x07\0\x3b\0\x21", 8 },
		{ LINK_ETHERNET, "\2\0\0\0\0\1\2\0\0\0\0\2\x88\x64\x11\0\0\x07\0\x3b\0\x21", 22 },
		{ LINK_ETHERNET, "\2\0\0\0\0\1\2\0\0\0\0\2\x88\x47\0\1\0\x40\0\1\x11\x40", 22 },
	};
	struct pkt k = tcp_packet(false, "hello");

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct pkt q = { .n = 0 };
		struct packet p;
		enum dpi_counter why;

		pk_bytes(&q, all[i].head, all[i].n);
		pk_bytes(&q, k.b + 14, k.n - 14);
		CU_ASSERT(decode_at(q.b, q.n, all[i].link, 0, &p, &why) == DECODE_OK && p.t.dport == 80 && p.payload.n == 5);
		for (size_t n = 0; n < q.n; n++)
			CU_ASSERT(decode_at(q.b, n, all[i].link, 0, &p, &why) != DECODE_OK);
	}
}

/* Options for which Linux throws a packet away, and those for which it does not. */
static void test_options(void)
{
	static const struct { const char *opts; bool taken; } four[] = {
		{ "\x01\x01\x01\x00", true }, { "\x00\xff\xff\xff", true }, { "\x94\x04\0\0", true }, { "\x94\x03\0\0", false }, { "\x07\x03\x04\0", true }, { "\x07\x07\x04\0", false },
		{ "\x83\x03\x04\0", false }, { "\x89\x03\x04\0", false }, { "\x44\x04\x05\0", true }, { "\x44\x04\x04\0", false }, { "\x44\x04\x05\xf0", false }, { "\x1e\x01\0\0", false },
		{ "\x1e\x05\0\0", false }, { "\x1e\x04\0\0", true },
	}, six[] = {
		{ "\x01\x04\0\0\0\0", true }, { "\x01\x04\0\0\0\x01", false }, { "\x1e\x04\0\0\0\0", true }, { "\x5e\x04\0\0\0\0", false }, { "\x9e\x04\0\0\0\0", false },
		{ "\xde\x04\0\0\0\0", false }, { "\x1e\x05\0\0\0\0", false }, { "\0\0\0\0\0\0", true }, { "\xc2\x04\0\0\0\0", false }, { "\xc9\x04\0\0\0\0", false },
	};

	for (size_t i = 0; i < sizeof four / sizeof *four; i++) {
		struct pkt k = { .n = 0 };
		struct pk_ip h = { .src = "10.0.0.1", .dst = "10.0.0.2", .proto = 6, .opts = 4 };
		struct packet p;
		enum dpi_counter why = DPI_C_COUNT;
		enum decode_result r;

		pk_ether(&k, 0x0800);
		pk_ip4(&k, &h);
		memcpy(k.b + 34, four[i].opts, 4);
		pk_tcp(&k, 1, 2, 3, 4, TCP_SYN, NULL, 0);
		pk_finish(&k, 14, 38, 6);
		r = decode(&k, &p, &why);
		if (r != (four[i].taken ? DECODE_OK : DECODE_BAD))
			printf("\nIPv4 option %zu\n", i);
		CU_ASSERT(r == (four[i].taken ? DECODE_OK : DECODE_BAD) && (four[i].taken || why == DPI_C_DECODE_IPV4_OPTION));
	}
	for (size_t i = 0; i < sizeof six / sizeof *six; i++) {
		struct pkt k = { .n = 0 };
		struct pk_ip h = { .src = "fd00::1", .dst = "fd00::2", .proto = 60 };
		struct packet p;
		enum dpi_counter why = DPI_C_COUNT;
		enum decode_result r;

		pk_ether(&k, 0x86dd);
		pk_ip6(&k, &h);
		pk_bytes(&k, "\x06\0", 2);
		pk_bytes(&k, six[i].opts, 6);
		pk_tcp(&k, 1, 2, 3, 4, TCP_SYN, NULL, 0);
		pk_finish(&k, 14, 62, 6);
		r = decode(&k, &p, &why);
		if (r != (six[i].taken ? DECODE_OK : DECODE_BAD))
			printf("\nIPv6 option %zu\n", i);
		CU_ASSERT(r == (six[i].taken ? DECODE_OK : DECODE_BAD) && (six[i].taken || why == DPI_C_DECODE_IPV6_OPTION));
	}
}

/* Headers at which Linux ends the walk: what comes after them is no TCP that it would take. */
static void test_ipv6_ends(void)
{
	static const struct { uint8_t next; const char *head; uint8_t told; } all[] = {
		{ 43, "\x06\0\0\0\0\0\0\0", 6 },	/* a routing header that is done */
		{ 43, "\x06\0\0\1\0\0\0\0", 43 },	/* one that is not */
		{ 135, "\x06\0\0\0\0\0\0\0", 135 },	/* mobility */
		{ 139, "\x06\0\0\0\0\0\0\0", 139 },	/* HIP */
		{ 140, "\x06\0\0\0\0\0\0\0", 140 },	/* shim6 */
		{ 59, "\x06\0\0\0\0\0\0\0", 59 },	/* nothing */
		{ 50, "\0\0\0\1\0\0\0\1", 50 },		/* ESP */
	};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct pkt k = { .n = 0 };
		struct pk_ip h = { .src = "fd00::1", .dst = "fd00::2", .proto = all[i].next };
		struct packet p;
		enum dpi_counter why;

		pk_ether(&k, 0x86dd);
		pk_ip6(&k, &h);
		pk_bytes(&k, all[i].head, 8);
		pk_tcp(&k, 1, 2, 3, 4, TCP_SYN, NULL, 0);
		pk_finish(&k, 14, 62, 6);
		CU_ASSERT(decode(&k, &p, &why) == DECODE_OK && p.t.ipproto == all[i].told && p.l4_known == (all[i].told == 6));
	}
}

/* UDP over IPv6 without a checksum: thrown away, but for the tunnels that may leave it out. */
static void test_no_checksum(void)
{
	for (int tunnel = 0; tunnel < 2; tunnel++) {
		struct pkt k = { .n = 0 };
		struct pk_ip h = { .src = "fd00::1", .dst = "fd00::2", .proto = 17 };
		struct packet p;
		enum dpi_counter why;

		pk_ether(&k, 0x86dd);
		pk_ip6(&k, &h);
		pk_udp(&k, 40000, tunnel ? 4789 : 4788, 4);
		pk_bytes(&k, "data", 4);
		pk_finish(&k, 14, 0, 17);
		CU_ASSERT(decode(&k, &p, &why) == DECODE_OK && p.bad_csum == !tunnel);
	}
}

static void test_tcp_options(void)
{
	static const uint8_t syn[] = { 2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 20 };
	static const uint8_t md5[] = { 1, 1, 19, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	static const uint8_t lying[] = { 2, 40, 0, 0 };
	static const struct { const uint8_t *o; size_t n; } all[] = { { syn, sizeof syn }, { md5, sizeof md5 }, { lying, sizeof lying } };

	for (size_t i = 0; i < 3; i++) {
		struct pkt k = { .n = 0 };
		struct packet p;
		enum dpi_counter why;

		pk_ether(&k, 0x0800);
		pk_ip4(&k, &v4);
		pk_tcp(&k, 1, 2, 3, 4, TCP_SYN, all[i].o, all[i].n);
		pk_finish(&k, 14, 34, 6);
		CU_ASSERT(decode(&k, &p, &why) == DECODE_OK);
		CU_ASSERT_EQUAL(p.mss, i == 0 ? 1460 : 0);
		CU_ASSERT_EQUAL(p.wscale, i == 0 ? 14 : -1);	/* RFC 7323: never more than 14 */
		CU_ASSERT_EQUAL(p.sack_ok, i == 0);
		CU_ASSERT_EQUAL(p.md5, i == 1);
	}
}

/* Super-packets: lengths that IPv4 and UDP headers cannot say, or say of one datagram only. */
static void test_gso(void)
{
	struct pkt k = { .n = 0 };
	struct packet p;
	enum dpi_counter why;
	struct pk_ip h = v4;

	h.proto = 17;
	pk_ether(&k, 0x0800);
	pk_ip4(&k, &h);
	pk_udp(&k, 7, 8, 100);
	pk_zero(&k, 1000);
	pk_finish(&k, 14, 0, 0);
	CU_ASSERT(decode_at(k.b, k.n, LINK_ETHERNET, FRAME_GSO_UDP | FRAME_CSUM_PARTIAL, &p, &why) == DECODE_OK && p.payload.n == 1000);
	CU_ASSERT(decode_at(k.b, k.n, LINK_ETHERNET, FRAME_CSUM_PARTIAL, &p, &why) == DECODE_OK && p.payload.n == 100);
}

static void test_random(void)
{
	uint64_t s = 12345;

	for (int i = 0; i < 20000; i++) {
		struct pkt k = tcp_packet(i & 1, "hello world");
		unsigned flips = (unsigned)(rnd(&s) % 6);
		struct packet p;
		enum dpi_counter why;

		for (unsigned f = 0; f < flips; f++)
			k.b[rnd(&s) % k.n] = (uint8_t)rnd(&s);
		if (decode_at(k.b, rnd(&s) % (k.n + 1), (enum linktype)(rnd(&s) % (LINK_UNSUPPORTED + 1)), (uint32_t)(rnd(&s) % 256), &p, &why) == DECODE_OK)
			CU_ASSERT(p.payload.n <= k.n && p.ip.n <= k.n && p.l4off <= p.ip.n);
	}
}

const struct unit_test tests_decode[] = {
	{ "TCP over both families", test_tcp },
	{ "Ethernet padding is no payload", test_padding },
	{ "checksums", test_checksums },
	{ "every shorter length", test_every_length },
	{ "bent headers are named", test_bent },
	{ "VLAN tags in bytes and metadata", test_vlan },
	{ "IPv6 extension headers", test_ipv6_extensions },
	{ "IPv6 headers that are refused", test_ipv6_refused },
	{ "IPv4 options", test_ipv4_options },
	{ "first pieces", test_first_piece },
	{ "fragments", test_fragment_fields },
	{ "link types", test_links },
	{ "NFLOG, PPP, PPPoE, MPLS", test_more_links },
	{ "options that Linux refuses", test_options },
	{ "where IPv6 headers end", test_ipv6_ends },
	{ "UDP without a checksum", test_no_checksum },
	{ "TCP options", test_tcp_options },
	{ "super-packets", test_gso },
	{ "random damage", test_random },
	{ 0 },
};
