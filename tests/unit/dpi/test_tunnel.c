/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tunnels carry: one inner datagram, written once, in each encapsulation; what it is told to be, at every length, at a guard page. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dpi/tunnel.h"
#include "tests/unit/dpi/coretest.h"
#include "tests/unit/dpi/packets.h"
#include "tests/unit/unit.h"

/* A DNS query of a.b, so that the inner flow has a name that only its bytes can give. */
static const uint8_t query[] = { 0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 1, 'b', 0, 0, 1, 0, 1 };

struct ends { const char *src, *dst; uint16_t sport, dport; };
static const struct ends in4 = { "192.168.7.1", "192.168.7.2", 5555, 53 }, in6 = { "2001:db8::1", "2001:db8::2", 5555, 53 };
static const struct ends back4 = { "192.168.7.2", "192.168.7.1", 53, 5555 };

static void put_ip(struct pkt *k, bool six, const char *src, const char *dst, uint8_t proto)
{
	struct pk_ip h = { .src = src, .dst = dst, .proto = proto };

	if (six)
		pk_ip6(k, &h);
	else
		pk_ip4(k, &h);
}

/* An inner packet of its own: datagram with the query. */
static struct pkt inner_of(bool six, const struct ends *e)
{
	static struct pkt k;
	size_t l4;

	k.n = 0;
	put_ip(&k, six, e->src, e->dst, 17);
	l4 = k.n;
	pk_udp(&k, e->sport, e->dport, sizeof query);
	pk_bytes(&k, query, sizeof query);
	pk_finish(&k, 0, l4, 17);
	return k;
}

/* b carried in IP of the given protocol between 10.0.0.1 and 10.0.0.2 (or fd00::), in an Ethernet frame. ports[0]: UDP. */
static struct pkt outer_of(bool six, bool back, uint8_t proto, const uint16_t ports[2], const struct pkt *b)
{
	static struct pkt k;
	const char *a[2] = { six ? "fd00::1" : "10.0.0.1", six ? "fd00::2" : "10.0.0.2" };
	size_t l4;

	k.n = 0;
	pk_ether(&k, six ? 0x86dd : 0x0800);
	put_ip(&k, six, a[back], a[!back], proto);
	l4 = k.n;
	if (proto == 17)
		pk_udp(&k, ports[0], ports[1], b->n);
	pk_bytes(&k, b->b, b->n);
	pk_finish(&k, 14, proto == 17 ? l4 : 0, proto);
	return k;
}

/* A header written in hexadecimal. */
static void put_hex(struct pkt *k, const char *hex)
{
	for (; *hex; hex++) {
		unsigned v;

		if (*hex == ' ')
			continue;
		if (sscanf(hex, "%2x", &v) != 1)
			abort();
		pk_u8(k, v);
		hex++;
	}
}

struct capsule {
	const char *name, *head;	/* before the inner Ethernet or IP header */
	uint16_t port;			/* UDP; 0: proto */
	uint8_t proto;
	bool ethernet, six_in;
	uint8_t kind;
	uint32_t id;
	const char *app;		/* of the outer flow; NULL: any */
};

#define ETHER_HEAD "020000000001 020000000002 0800"
static const struct capsule capsules[] = {
	{ "VXLAN", "08000000 00002a00", 4789, 17, true, false, TUNNEL_VXLAN, 42, "vxlan" },
	{ "VXLAN on Linux's first port", "08000000 00002a00", 8472, 17, true, false, TUNNEL_VXLAN, 42, "vxlan" },
	{ "VXLAN on a port of nobody's", "08000000 00002a00", 23456, 17, true, false, TUNNEL_VXLAN, 42, "vxlan" },
	{ "VXLAN-GPE with IPv4", "0c000001 00002a00", 4790, 17, false, false, TUNNEL_VXLAN, 42, NULL },
	{ "VXLAN-GPE with NSH", "0c000004 00002a00 0fc2 01 01 000001ff", 4790, 17, false, false, TUNNEL_VXLAN, 42, NULL },
	{ "Geneve", "00006558 00002a00", 6081, 17, true, false, TUNNEL_GENEVE, 42, "geneve" },
	{ "Geneve with options and IPv6", "020086dd 00002a00 0102030100000000", 6081, 17, false, true, TUNNEL_GENEVE, 42, "geneve" },
	{ "Geneve on a port of nobody's", "00006558 00002a00", 23456, 17, true, false, TUNNEL_GENEVE, 42, "geneve" },
	{ "GTP-U", "30ff0031 00000007", 2152, 17, false, false, TUNNEL_GTP, 7, "gtp" },
	{ "GTP-U with a sequence number and two extension headers", "36ff003d 00000007 00010085 01100040 01080000", 2152, 17, false, false, TUNNEL_GTP, 7, "gtp" },
	{ "GTP-U on a port of nobody's", "30ff0031 00000007", 23456, 17, false, false, TUNNEL_GTP, 7, "gtp" },
	{ "Teredo", "", 3544, 17, false, true, TUNNEL_TEREDO, 0, "teredo" },
	{ "Teredo with authentication and origin", "0001 0000 0102030405060708 00 0000 1234 0a000001", 3544, 17, false, true, TUNNEL_TEREDO, 0, "teredo" },
	{ "GRE", "00000800", 0, 47, false, false, TUNNEL_GRE, 0, NULL },
	{ "GRE with a key and a sequence number", "30000800 0000002a 00000001", 0, 47, false, false, TUNNEL_GRE, 42, NULL },
	{ "GRE with IPv6", "000086dd", 0, 47, false, true, TUNNEL_GRE, 0, NULL },
	{ "GRE with Ethernet", "00006558", 0, 47, true, false, TUNNEL_GRE, 0, NULL },
	{ "GRE with MPLS", "00008847 00010140", 0, 47, false, false, TUNNEL_GRE, 0, NULL },
	{ "GRE with WCCP's header", "0000883e 00000000", 0, 47, false, false, TUNNEL_GRE, 0, NULL },
	{ "GRE over UDP", "00000800", 4754, 17, false, false, TUNNEL_GRE, 0, NULL },
	{ "PPTP", "3001880b 0033 0007 00000001 0021", 0, 47, false, false, TUNNEL_PPTP, 7, NULL },
	{ "PPTP with an acknowledgement and HDLC's address", "3081880b 0035 0007 00000001 00000001 ff03 0021", 0, 47, false, false, TUNNEL_PPTP, 7, NULL },
	{ "ERSPAN I", "000088be", 0, 47, true, false, TUNNEL_ERSPAN, 0, NULL },
	{ "ERSPAN II", "100088be 00000001 1000002a 00000000", 0, 47, true, false, TUNNEL_ERSPAN, 42, NULL },
	{ "ERSPAN III", "100022eb 00000001 2000002a 00000000 00000000", 0, 47, true, false, TUNNEL_ERSPAN, 42, NULL },
	{ "ERSPAN III with a subheader", "100022eb 00000001 2000002a 00000000 00000001 0000000000000000", 0, 47, true, false, TUNNEL_ERSPAN, 42, NULL },
	{ "IPv4 in IP", "", 0, 4, false, false, TUNNEL_IPIP, 0, NULL },
	{ "IPv6 in IP", "", 0, 41, false, true, TUNNEL_6IN4, 0, NULL },
	{ "EtherIP", "3000", 0, 97, true, false, TUNNEL_ETHERIP, 0, NULL },
	{ "MPLS in IP", "00010140", 0, 137, false, false, TUNNEL_MPLS, 16, NULL },
	{ "MPLS in UDP, two labels, Ethernet behind a control word", "00010040 00011140 00000000", 6635, 17, true, false, TUNNEL_MPLS, 17, NULL },
	{ "L2TPv2", "0002 00010002 ff03 0021", 1701, 17, false, false, TUNNEL_L2TP, 0x10002, NULL },
	{ "L2TPv2 with all fields", "4a02 0041 00010002 00010002 0000 0021", 1701, 17, false, false, TUNNEL_L2TP, 0x10002, NULL },
	{ "L2TPv3 over IP with a cookie", "00000007 01020304", 0, 115, true, false, TUNNEL_L2TP, 7, NULL },
	{ "L2TPv3 over UDP", "00030000 00000007", 1701, 17, true, false, TUNNEL_L2TP, 7, NULL },
};
#define CAPSULES (sizeof capsules / sizeof *capsules)

static struct pkt carried(const struct capsule *c, bool six_in, const struct ends *e)
{
	static struct pkt k;
	struct pkt in = inner_of(six_in, e);

	k.n = 0;
	put_hex(&k, c->head);
	if (c->ethernet)
		put_hex(&k, six_in ? "020000000001 020000000002 86dd" : ETHER_HEAD);
	pk_bytes(&k, in.b, in.n);
	return k;
}

static struct pkt capsule(const struct capsule *c, bool six_out, bool back, const struct ends *e)
{
	struct pkt b = carried(c, c->six_in, e);
	uint16_t ports[2] = { 40001, c->port };

	if (back && c->kind == TUNNEL_GTP)
		ports[0] = c->port;
	return outer_of(six_out, back, c->proto, ports, &b);
}

static struct flow *flow_in(struct core *c, bool inner)
{
	for (uint32_t i = 0; i < c->d->flows.nchunks; i++)
		for (uint32_t j = 0; j < FLOWS_PER_CHUNK; j++) {
			struct flow *f = &c->d->flows.chunk[i][j];

			if (f->state != FLOW_FREE && flow_tunnelled(f) == inner)
				return f;
		}
	return NULL;
}

static enum verdict send(struct core *c, const struct pkt *k)
{
	struct frame f = pk_frame(k->b, k->n, LINK_ETHERNET);

	return core_raw(c, &f);
}

static void check_one(const struct capsule *t, bool six_out)
{
	struct core c = { 0 };
	struct pkt k = capsule(t, six_out, false, t->six_in ? &in6 : &in4);
	struct flow *in, *out;

	core_open(&c, NULL);
	send(&c, &k);
	in = flow_in(&c, true);
	out = flow_in(&c, false);
	if (!in || core_flows(&c) != 2)
		printf("\n%s (%s): %u flows, %s\n", t->name, six_out ? "v6" : "v4", core_flows(&c), c.text);
	CU_ASSERT_PTR_NOT_NULL(in);
	CU_ASSERT_EQUAL(core_flows(&c), 2);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_TUNNEL_OPENED), 1);
	if (in && out) {
		uint8_t kind = t->kind == TUNNEL_IPIP && six_out ? TUNNEL_4IN6 : t->kind == TUNNEL_6IN4 && six_out ? TUNNEL_6IN6 : t->kind;

		CU_ASSERT_EQUAL(in->app, APP_DNS);
		CU_ASSERT_EQUAL(in->pkts[DIR_TOSERVER], 1);
		CU_ASSERT_EQUAL(in->bytes[DIR_TOSERVER], (t->six_in ? 40u : 20u) + 8 + sizeof query);
		CU_ASSERT_EQUAL(out->pkts[DIR_TOSERVER], 1);
		CU_ASSERT_EQUAL(in->tunnel->outer.kind, kind);
		CU_ASSERT_EQUAL(in->tunnel->outer.id, t->id);
		CU_ASSERT_EQUAL(in->tunnel->outer.depth, 1);
		CU_ASSERT_EQUAL(in->tunnel->outer.flow_id, out->id);
		CU_ASSERT_EQUAL(in->tunnel->outer.ipproto, t->proto);
		CU_ASSERT_EQUAL(in->tunnel->outer.src.b[15], 1);
		CU_ASSERT_EQUAL(in->tunnel->outer.dport, t->port);
		if (t->app && strcmp(app_name((enum app)out->app), t->app))
			printf("\n%s: the outer flow is %s\n", t->name, app_name((enum app)out->app));
		if (t->app)
			CU_ASSERT_STRING_EQUAL(app_name((enum app)out->app), t->app);
	}
	core_close(&c);
}

static void test_each(void)
{
	for (size_t i = 0; i < CAPSULES; i++) {
		check_one(&capsules[i], false);
		check_one(&capsules[i], true);
	}
}

/* Cut on the wire at every length, with headers that say so or that lie: nothing past the end is read (core_raw puts a guard page there), no inner flow of a part. */
static void test_every_length(void)
{
	for (size_t i = 0; i < CAPSULES; i++) {
		struct pkt whole = capsule(&capsules[i], false, false, capsules[i].six_in ? &in6 : &in4);

		for (size_t n = 14; n < whole.n; n++) {
			struct pkt k = whole;
			struct core c = { 0 };
			struct frame f;

			k.n = n;
			if (n >= 34) {	/* the outer lengths are made right, so that the tunnel's own are what is cut */
				k.b[16] = (uint8_t)((n - 14) >> 8);
				k.b[17] = (uint8_t)(n - 14);
				if (capsules[i].proto == 17 && n >= 42)
					k.b[39] = (uint8_t)(n - 34);
			}
			core_open(&c, NULL);
			f = pk_frame(k.b, k.n, LINK_ETHERNET);
			f.flags = FRAME_CSUM_PARTIAL;
			core_raw(&c, &f);
			CU_ASSERT_PTR_NULL(flow_in(&c, true));
			core_close(&c);

			core_open(&c, NULL);	/* cut by the capture: what is there counts */
			f = pk_frame(whole.b, n, LINK_ETHERNET);
			f.wirelen = (uint32_t)whole.n;
			f.flags = FRAME_TRUNCATED;
			core_raw(&c, &f);
			core_close(&c);
		}
	}
}

static unsigned inner_flows(struct core *c)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < c->d->flows.nchunks; i++)
		for (uint32_t j = 0; j < FLOWS_PER_CHUNK; j++)
			n += c->d->flows.chunk[i][j].state != FLOW_FREE && flow_tunnelled(&c->d->flows.chunk[i][j]);
	return n;
}

/* The same inner tuple with another id is another flow; the answer joins the flow it answers. */
static void test_tenants(void)
{
	static const struct {
		const char *head[2], *back[2];	/* of two tenants */
		const struct capsule *c;
	} all[] = {
		{ { "08000000 00000100", "08000000 00000200" }, { "08000000 00000100", "08000000 00000200" }, &capsules[0] },
		{ { "00006558 00000100", "00006558 00000200" }, { "00006558 00000100", "00006558 00000200" }, &capsules[5] },
		/* ids of each direction's own, in both orders of answers, and the same in both directions */
		{ { "30ff0031 00000001", "30ff0031 00000002" }, { "30ff0031 0000000b", "30ff0031 0000000c" }, &capsules[8] },
		{ { "30ff0031 00000001", "30ff0031 00000002" }, { "30ff0031 00000001", "30ff0031 00000002" }, &capsules[8] },
		{ { "20000800 00000001", "20000800 00000002" }, { "20000800 00000001", "20000800 00000002" }, &capsules[13] },
	};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		for (int six = 0; six < 2; six++) {
			struct core c = { 0 };
			unsigned order = i == 3 || i == 4;	/* the second tenant is answered first */

			core_open(&c, NULL);
			for (int step = 0; step < 4; step++) {
				struct capsule t = *all[i].c;
				int tenant = step < 2 ? step : (step - 2) ^ (int)order;
				struct pkt k;

				t.head = step < 2 ? all[i].head[tenant] : all[i].back[tenant];
				k = capsule(&t, six, step >= 2, step < 2 ? &in4 : &back4);
				send(&c, &k);
			}
			CU_ASSERT_EQUAL(inner_flows(&c), 2);
			for (uint32_t j = 0; j < FLOWS_PER_CHUNK; j++) {
				struct flow *f = &c.d->flows.chunk[0][j];

				if (f->state == FLOW_FREE || !flow_tunnelled(f))
					continue;
				CU_ASSERT_EQUAL(f->pkts[DIR_TOSERVER], 1);
				CU_ASSERT_EQUAL(f->pkts[DIR_TOCLIENT], 1);
				CU_ASSERT_EQUAL(f->app, APP_DNS);
			}
			core_close(&c);
		}
	/* the same outside: not a flow of the tunnel's */
	struct core c = { 0 };
	struct pkt k = capsule(&capsules[0], false, false, &in4), plain = { .n = 0 }, in = inner_of(false, &in4);

	core_open(&c, NULL);
	send(&c, &k);
	pk_ether(&plain, 0x0800);
	pk_bytes(&plain, in.b, in.n);
	send(&c, &plain);
	CU_ASSERT_EQUAL(core_flows(&c), 3);
	core_close(&c);
}

static void test_tenants_cap(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	for (unsigned i = 1; i <= TUNNEL_TENANTS + 2; i++) {
		struct capsule t = capsules[8];
		char head[32];
		struct pkt k;

		snprintf(head, sizeof head, "30ff0031 %08x", i);
		t.head = head;
		k = capsule(&t, false, false, &in4);
		send(&c, &k);
	}
	CU_ASSERT_EQUAL(inner_flows(&c), TUNNEL_TENANTS);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_TUNNEL_TENANTS), 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(c.text, "tunnel.tenants"));
	core_close(&c);
}

static void test_depth(void)
{
	struct core c = { 0 };
	struct pkt b = inner_of(false, &in4), k;

	for (unsigned i = 0; i < TUNNEL_DEPTH_MAX; i++) {	/* IP in IP: each around the one before */
		k.n = 0;
		put_ip(&k, false, "172.16.0.1", "172.16.0.2", 4);
		pk_bytes(&k, b.b, b.n);
		pk_finish(&k, 0, 0, 4);
		b = k;
	}
	core_open(&c, NULL);
	k = outer_of(false, false, 4, NULL, &b);
	send(&c, &k);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_TUNNEL_OPENED), TUNNEL_DEPTH_MAX);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_TUNNEL_DEEP), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(c.text, "tunnel.deep"));
	CU_ASSERT_PTR_NULL(strstr(c.text, "dns"));
	core_close(&c);
	core_open(&c, NULL);	/* one level less: the datagram is reached */
	k.n = 0;
	pk_ether(&k, 0x0800);
	pk_bytes(&k, b.b, b.n);
	send(&c, &k);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_TUNNEL_DEEP), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(c.text, "dns"));
	core_close(&c);
}

/* An inner datagram in two fragments, in two tunnels at once: each is made whole by its own. Then an outer datagram in fragments. */
static void test_fragments(void)
{
	struct pkt in = inner_of(false, &in4);
	struct core c = { 0 };

	core_open(&c, NULL);
	for (int piece = 0; piece < 2; piece++)
		for (int tenant = 0; tenant < 2; tenant++) {
			struct pk_ip h = { .src = in4.src, .dst = in4.dst, .proto = 17, .id = 9, .frag = piece ? 2 : 0x2000 };
			struct pkt b = { .n = 0 }, k;
			size_t ip;

			put_hex(&b, tenant ? "08000000 00000200" : "08000000 00000100");
			put_hex(&b, ETHER_HEAD);
			ip = b.n;
			pk_ip4(&b, &h);
			pk_bytes(&b, in.b + 20 + (piece ? 16 : 0), piece ? in.n - 36 : 16);
			pk_finish(&b, ip, 0, 0);
			k = outer_of(false, false, 17, (uint16_t[]){ 40001, 4789 }, &b);
			send(&c, &k);
		}
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_FRAG_DONE), 2);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_FRAG_OVERLAP), 0);
	CU_ASSERT_EQUAL(inner_flows(&c), 2);
	CU_ASSERT_EQUAL(flow_in(&c, true)->pkts[0], 2);
	core_close(&c);

	core_open(&c, NULL);
	for (int piece = 0; piece < 2; piece++) {
		struct pkt b = carried(&capsules[0], false, &in4), k = { .n = 0 };
		struct pk_ip h = { .src = "10.0.0.1", .dst = "10.0.0.2", .proto = 17, .id = 9, .frag = piece ? 5 : 0x2000 };
		struct pkt udp = { .n = 0 };

		pk_udp(&udp, 40001, 4789, b.n);
		pk_bytes(&udp, b.b, b.n);
		pk_ether(&k, 0x0800);
		pk_ip4(&k, &h);
		pk_bytes(&k, udp.b + (piece ? 40 : 0), piece ? udp.n - 40 : 40);
		pk_finish(&k, 14, 0, 0);
		send(&c, &k);
	}
	CU_ASSERT_EQUAL(inner_flows(&c), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(c.text, "dns"));
	core_close(&c);
}

/* A super-packet of datagrams: one inner packet in each; or one tunnel packet around a super-packet. */
static void test_gso(void)
{
	struct pkt b = carried(&capsules[0], false, &in4), all = { .n = 0 }, k;
	struct core c = { 0 };
	struct frame f;

	for (int i = 0; i < 3; i++)
		pk_bytes(&all, b.b, b.n);
	k = outer_of(false, false, 17, (uint16_t[]){ 40001, 4789 }, &all);
	f = pk_frame(k.b, k.n, LINK_ETHERNET);
	f.flags = FRAME_GSO_UDP | FRAME_CSUM_PARTIAL;
	f.gso_size = (uint16_t)b.n;
	core_open(&c, NULL);
	core_raw(&c, &f);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_TUNNEL_OPENED), 3);
	CU_ASSERT_EQUAL(inner_flows(&c), 1);
	CU_ASSERT_EQUAL(flow_in(&c, true)->pkts[0], 3);
	core_close(&c);

	struct pkt in = inner_of(false, &in4), big = { .n = 0 };

	put_hex(&big, capsules[0].head);
	put_hex(&big, ETHER_HEAD);
	pk_bytes(&big, in.b, in.n);
	pk_bytes(&big, query, sizeof query);
	pk_finish(&big, 22, 42, 17);
	k = outer_of(false, false, 17, (uint16_t[]){ 40001, 4789 }, &big);
	f = pk_frame(k.b, k.n, LINK_ETHERNET);
	f.flags = FRAME_GSO_UDP | FRAME_CSUM_PARTIAL;
	f.gso_size = sizeof query;
	core_open(&c, NULL);
	core_raw(&c, &f);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_TUNNEL_OPENED), 1);
	CU_ASSERT_EQUAL(flow_in(&c, true)->pkts[0], 1);
	core_close(&c);
}

static enum dpi_own outer_only(struct core *c, const struct frame *f)
{
	(void)c;
	(void)f;
	return OWN_YES;
}

static enum dpi_own nobody(struct core *c, const struct frame *f)
{
	(void)c;
	(void)f;
	return OWN_NO;
}

static void test_guard(void)
{
	struct pkt k = capsule(&capsules[0], false, false, &in4);
	struct core c = { 0 };

	core_open(&c, NULL);
	c.owner = outer_only;
	send(&c, &k);
	CU_ASSERT_EQUAL(c.asked_owner, 1);
	CU_ASSERT_EQUAL(inner_flows(&c), 1);
	core_close(&c);
	core_open(&c, NULL);
	c.owner = nobody;
	send(&c, &k);
	CU_ASSERT_EQUAL(core_flows(&c), 0);
	core_close(&c);
	/* a copy of another view: neither counts twice */
	core_open(&c, NULL);
	for (unsigned view = 1; view < 3; view++) {
		struct frame f = pk_frame(k.b, k.n, LINK_ETHERNET);

		f.view = view;
		core_raw(&c, &f);
	}
	CU_ASSERT_EQUAL(flow_in(&c, true)->pkts[0], 1);
	CU_ASSERT_EQUAL(flow_in(&c, false)->pkts[0], 1);
	core_close(&c);
}

/* Headers that a receiver refuses, and bytes on a tunnel's port that are none. */
static void test_refused(void)
{
	static const struct { const char *what, *head; uint8_t proto; uint16_t port; bool told; } all[] = {
		{ "GRE with routing", "40000800 00000000 00000000", 47, 0, true },
		{ "GRE of another version", "00020800", 47, 0, true },
		{ "GRE with a wrong checksum", "80000800 12340000", 47, 0, true },
		{ "GRE around what is no IPv4", "00000800 ffffffff", 47, 0, true },
		{ "a GRE keepalive", "00000000", 47, 0, false },
		{ "PPTP without a key", "1001880b 00000001", 47, 0, true },
		{ "EtherIP of another version", "4000", 97, 0, true },
		{ "a VXLAN port without the flag", "00000000 00000100", 17, 4789, false },
		{ "a Geneve control packet", "80800800 00000100", 17, 6081, false },
		{ "GTP's echo", "32010004 00000000 00010000", 17, 2152, false },
		{ "an L2TP control message", "c8020014 0000 0000 0000 0000 800800000000 0001", 17, 1701, false },
		{ "nothing", "", 17, 4789, false },
	};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct pkt b = { .n = 0 }, k;
		struct core c = { 0 };

		put_hex(&b, all[i].head);
		if (!strstr(all[i].what, "GTP") && !strstr(all[i].what, "L2TP") && b.n) {
			struct pkt in = inner_of(false, &in4);

			pk_bytes(&b, in.b, in.n);
		}
		k = outer_of(false, false, all[i].proto, (uint16_t[]){ 40001, all[i].port }, &b);
		core_open(&c, NULL);
		send(&c, &k);
		if (inner_flows(&c) || (core_counter(&c, DPI_C_TUNNEL_BAD) > 0) != all[i].told)
			printf("\n%s: %u inner flows, %s\n", all[i].what, inner_flows(&c), c.text);
		CU_ASSERT_EQUAL(inner_flows(&c), 0);
		CU_ASSERT_EQUAL(core_counter(&c, DPI_C_TUNNEL_BAD) > 0, all[i].told);
		CU_ASSERT_EQUAL(strstr(c.text, "tunnel.bad") != NULL, all[i].told);
		core_close(&c);
	}
}

/* Between Ethernet and IP: no outer flow, but networks of their own. */
static void test_wraps(void)
{
	static const struct { const char *what, *head, *other; uint8_t kind; uint32_t id; } all[] = {
		{ "PPPoE", "8864 1100 0007 0033 0021", "8864 1100 0008 0033 0021", TUNNEL_PPPOE, 7 },
		{ "MPLS", "8847 00010140", "8847 00020140", TUNNEL_MPLS, 16 },
		{ "MPLS, two labels", "8848 00011040 00010140", "8848 00011040 00020140", TUNNEL_MPLS, 16 },
		{ "MPLS with Ethernet behind a control word", "8847 00010140 00000000 " ETHER_HEAD, "8847 00020140 00000000 " ETHER_HEAD, TUNNEL_MPLS, 16 },
		{ "MPLS with Ethernet", "8847 00010140 " ETHER_HEAD, "8847 00020140 " ETHER_HEAD, TUNNEL_MPLS, 16 },
		{ "PPPoE in a VLAN", "8100 0064 8864 1100 0007 0033 0021", "8100 0065 8864 1100 0007 0033 0021", TUNNEL_PPPOE, 7 },
	};
	struct pkt in = inner_of(false, &in4);

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct core c = { 0 };

		core_open(&c, NULL);
		for (int tenant = 0; tenant < 2; tenant++) {
			struct pkt k = { .n = 0 };

			put_hex(&k, "020000000001 020000000002");
			put_hex(&k, tenant ? all[i].other : all[i].head);
			pk_bytes(&k, in.b, in.n);
			for (size_t n = 14; !tenant && n < k.n; n++) {
				struct pkt cut = k;

				cut.n = n;
				send(&c, &cut);
			}
			CU_ASSERT_EQUAL(core_flows(&c), (unsigned)tenant);
			send(&c, &k);
			send(&c, &k);
		}
		CU_ASSERT_EQUAL(core_flows(&c), 2);
		for (uint32_t j = 0; j < FLOWS_PER_CHUNK; j++) {
			struct flow *f = &c.d->flows.chunk[0][j];

			if (f->state == FLOW_FREE)
				continue;
			CU_ASSERT_TRUE(flow_tunnelled(f));
			CU_ASSERT_EQUAL(f->pkts[0], 2);
			CU_ASSERT_EQUAL(f->app, APP_DNS);
			CU_ASSERT_EQUAL(f->tunnel->outer.kind, all[i].kind);
			CU_ASSERT_EQUAL(f->tunnel->outer.depth, 0);
		}
		dpi_flush(c.d);
		CU_ASSERT_EQUAL(c.last[EV_FLOW].outer.kind, all[i].kind);
		core_close(&c);
	}
}

/* An authentication header does not mix what it covers with what came plainly, in both families. */
static void test_ah(void)
{
	for (int six = 0; six < 2; six++) {
		struct core c = { 0 };

		core_open(&c, NULL);
		for (int ah = 0; ah < 2; ah++) {
			struct pkt k = { .n = 0 };
			size_t l4;

			pk_ether(&k, six ? 0x86dd : 0x0800);
			put_ip(&k, six, six ? in6.src : in4.src, six ? in6.dst : in4.dst, ah ? 51 : 17);
			if (ah)
				put_hex(&k, "11 04 0000 00000abc 00000001 000000000000000000000000");
			l4 = k.n;
			pk_udp(&k, 5555, 53, sizeof query);
			pk_bytes(&k, query, sizeof query);
			pk_finish(&k, 14, l4, 17);
			send(&c, &k);
			for (size_t n = 14; ah && n < k.n; n++) {
				struct pkt cut = k;

				cut.n = n;
				send(&c, &cut);
			}
		}
		CU_ASSERT_EQUAL(core_flows(&c), 2);
		CU_ASSERT_PTR_NOT_NULL(flow_in(&c, true));
		if (flow_in(&c, true)) {
			CU_ASSERT_EQUAL(flow_in(&c, true)->app, APP_DNS);
			CU_ASSERT_EQUAL(flow_in(&c, true)->tunnel->outer.id, 0xabc);
			CU_ASSERT_EQUAL(flow_in(&c, true)->tunnel->outer.kind, TUNNEL_AH);
		}
		core_close(&c);
	}
}

/* protect: the rule stops UDP to this port, everything else is allowed. */
static struct policy *policy_against(uint16_t port, enum verdict action)
{
	struct policy_builder *b = policy_begin(MODE_PROTECT);
	const uint16_t any = POLICY_GROUP_ANY;
	const struct port_range range = { 17, port, port };
	const struct rule_spec rules[] = {
		{ .id = 7, .from = &any, .to = &any, .nfrom = 1, .nto = 1, .ports = &range, .nports = 1, .action = action, .mode = RULE_MODE_NONE },
		{ .id = 8, .from = &any, .to = &any, .nfrom = 1, .nto = 1, .action = VERDICT_ALLOW, .mode = RULE_MODE_NONE },
	};
	struct err err;

	for (int i = 0; i < 2; i++)
		if (policy_add_rule(b, &rules[i], &err))
			abort();
	return policy_build(b);
}

/* A held frame is stopped when what it carries is, the flow around it is not; silently: a reset would go to the tunnel's ends. What is stopped outside is not opened. */
static void test_verdict(void)
{
	static const struct { uint16_t port; enum verdict action, want; bool held; unsigned inner; } all[] = {
		{ 53, VERDICT_DENY, VERDICT_DROP, true, 1 },
		{ 53, VERDICT_DROP, VERDICT_DROP, true, 1 },
		{ 53, VERDICT_ALERT, VERDICT_ALERT, true, 1 },
		{ 53, VERDICT_DENY, VERDICT_ALLOW, false, 1 },	/* on the mirror it is only told */
		{ 4789, VERDICT_DENY, VERDICT_DENY, true, 0 },
		{ 9, VERDICT_DENY, VERDICT_ALLOW, true, 1 },
	};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct pkt k = capsule(&capsules[0], false, false, &in4);
		struct frame f = pk_frame(k.b, k.n, LINK_ETHERNET);
		struct policy *p = policy_against(all[i].port, all[i].action);
		struct core c = { 0 };

		core_open(&c, NULL);
		c.workload[0] = 5;
		c.workload[1] = 6;
		dpi_set_policy(c.d, p);
		policy_unref(p);
		f.held = all[i].held;
		CU_ASSERT_EQUAL(core_raw(&c, &f), all[i].want);
		CU_ASSERT_EQUAL(inner_flows(&c), all[i].inner);
		if (all[i].inner) {	/* the workloads are those of the tunnel's ends */
			CU_ASSERT_EQUAL(flow_in(&c, true)->workload[0], 5);
			CU_ASSERT_EQUAL(flow_in(&c, true)->workload[1], 6);
			CU_ASSERT_EQUAL(flow_in(&c, true)->verdict, all[i].port == 53 ? all[i].action : VERDICT_ALLOW);
		}
		core_close(&c);
	}
}

const struct unit_test tests_tunnel[] = {
	{ "each encapsulation in both families", test_each },
	{ "each at every length", test_every_length },
	{ "tenants with the same addresses", test_tenants },
	{ "more tenants than are kept apart", test_tenants_cap },
	{ "packets within packets end somewhere", test_depth },
	{ "fragments inside and outside", test_fragments },
	{ "super-packets of tunnels", test_gso },
	{ "the guard is asked about the outer packet", test_guard },
	{ "what is no tunnel, and what is refused", test_refused },
	{ "PPPoE and MPLS in a frame", test_wraps },
	{ "authentication headers", test_ah },
	{ "the stricter verdict of inside and outside", test_verdict },
	{ 0 },
};
