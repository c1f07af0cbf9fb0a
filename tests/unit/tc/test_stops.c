/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is stopped by a redirect: crafted frames through a real clsact; looked at on the ring (everything is seen once, stopped or not) and behind the filters.
 *
 * Behind: packet sockets bound to one ethertype, which the kernel asks after tc's ingress (those for all of them are asked before). */
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "tc/denied.h"
#include "tests/unit/tc/lab.h"
#include "tests/unit/unit.h"

#define SENT_MAX 1024

static const uint16_t types[] = { ETH_P_IP, ETH_P_IPV6, ETH_P_ARP, 0x88cc };
#define TYPES (sizeof types / sizeof types[0])

struct sent {
	bool passes;
	unsigned seen, behind;
	char what[96];
};

struct stops {
	struct lab *lab;
	struct source *ring;
	int behind[2][TYPES];
	struct sent sent[SENT_MAX];
	unsigned n;
};

static int behind_socket(struct lab *l, int hook, uint16_t type)
{
	int fd = hook ? lab_socket(l, AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0) : socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(type), .sll_ifindex = l->v0 };

	if (hook)
		ll.sll_ifindex = l->c0;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){ 1 << 22 }, sizeof(int));
	return fd < 0 || bind(fd, (struct sockaddr *)&ll, sizeof ll) ? -1 : fd;
}

static void open_stops(struct stops *s, struct lab *l)
{
	memset(s, 0, sizeof *s);
	s->lab = l;
	s->ring = lab_mirror(l, 1 << 18, 16);
	LAB_CHECK(l, s->ring != NULL);
	for (int h = 0; h < 2; h++)
		for (size_t i = 0; i < TYPES; i++) {
			s->behind[h][i] = behind_socket(l, h, types[i]);
			LAB_CHECK(l, s->behind[h][i] >= 0);
		}
}

static void close_stops(struct stops *s)
{
	for (int h = 0; h < 2; h++)
		for (size_t i = 0; i < TYPES; i++)
			close(s->behind[h][i]);
	if (s->ring)
		s->ring->ops->close(s->ring);
}

/* The frame's number is in its source MAC; to nobody, so that the stacks leave it alone. */
static void send_frame(struct stops *s, int hook, uint16_t type, const uint8_t *payload, size_t len, bool passes, const char *what)
{
	uint8_t p[256] = { 0x02, 0, 0, 0, 0, 0x99, 0x02, 0xaa, 0x5a, 0x5b, (uint8_t)(s->n >> 8), (uint8_t)s->n, (uint8_t)(type >> 8), (uint8_t)type };

	memcpy(p + 14, payload, len);
	LAB_CHECK(s->lab, s->n < SENT_MAX && lab_send(s->lab, hook, p, 14 + len));
	s->sent[s->n].passes = passes;
	snprintf(s->sent[s->n].what, sizeof s->sent[0].what, "%s %s", hook ? "entering" : "leaving", what);
	s->n++;
}

static struct sent *number(struct stops *s, const uint8_t *frame, size_t len)
{
	unsigned n = len >= 14 ? (unsigned)frame[10] << 8 | frame[11] : SENT_MAX;

	return n < s->n && !memcmp(frame + 6, "\x02\xaa\x5a\x5b", 4) ? &s->sent[n] : NULL;
}

static void see(void *ctx, const struct frame *f)
{
	struct sent *m = number(ctx, f->data, f->caplen);

	if (m)
		m->seen++;
}

static void read_behind(struct stops *s, int fd)
{
	uint8_t b[2048];
	ssize_t n;

	while ((n = recv(fd, b, sizeof b, MSG_DONTWAIT)) >= 0) {
		struct sent *m = number(s, b, (size_t)n);

		if (m)
			m->behind++;
	}
}

/* All were seen once; behind the filters are those that pass. */
static void judge(struct stops *s)
{
	unsigned wrong = 0;

	lab_read(s->ring, s->n, 500, see, s);
	lab_read(s->ring, ~0u, 60, see, s);
	for (int h = 0; h < 2; h++)
		for (size_t i = 0; i < TYPES; i++)
			read_behind(s, s->behind[h][i]);
	for (unsigned i = 0; i < s->n; i++) {
		const struct sent *m = &s->sent[i];

		if (m->seen == 1 && m->behind == m->passes)
			continue;
		if (wrong++ < 10)
			fprintf(stderr, "    %s: seen %u, behind %u, should %s\n", m->what, m->seen, m->behind, m->passes ? "pass" : "be stopped");
	}
	LAB_CHECK(s->lab, !wrong);
	s->n = 0;
	memset(s->sent, 0, sizeof s->sent);
}

static bool ensure(struct lab *l, struct tc *tc, const struct tc_want *w)
{
	struct tc_state st;
	struct err err = { "" };
	unsigned changes;
	int rc = tc_ensure(tc, w, &st, &changes, &err);

	if (rc || !st.complete)
		fprintf(stderr, "    tc_ensure: %s %s\n", err.text, st.differs);
	if (!rc && (tc_ensure(tc, w, &st, &changes, &err) || changes))
		fprintf(stderr, "    tc_ensure again: %u changes: %s\n", changes, st.differs);
	return !rc && st.complete && !changes && l;
}

/* The set of denied flows of this want, in the engine's own shape. */
static struct deny_set *lab_denies(struct tc_want *w, struct tc *tc)
{
	static const struct hash_key by = { { 1, 2 } };
	bool bpf = w->engine == TC_ENGINE_BPF;
	struct deny_set *set = deny_new(bpf ? &by : NULL);

	w->deny = set;
	w->denied = bpf ? tc_denied(tc, NULL) : NULL;
	return set;
}

/* ---- quarantine ---- */

static void send_kinds(struct stops *s, bool cut)
{
	uint8_t p[64];
	char what[96];

	for (int hook = 0; hook < 2; hook++) {
		memset(p, 0, sizeof p);
		send_frame(s, hook, ETH_P_ARP, p, 28, true, "ARP");
		send_frame(s, hook, 0x88cc, p, 3, !cut, "LLDP of three bytes");
		p[0] = 0x45;
		for (unsigned proto = 0; proto < 256; proto += 17) {
			p[9] = (uint8_t)proto;
			snprintf(what, sizeof what, "IPv4 protocol %u", proto);
			send_frame(s, hook, ETH_P_IP, p, 20 + proto % 3, !cut, what);
		}
		memset(p, 0, sizeof p);
		p[0] = 0x60;
		for (unsigned next = 0; next < 256; next += 29) {	/* 58 is one of them */
			p[6] = (uint8_t)next;
			for (unsigned type = 0; type < 256; type += next == 58 ? 1 : 51) {
				p[40] = (uint8_t)type;
				snprintf(what, sizeof what, "IPv6 next header %u type %u", next, type);
				if (s->n < SENT_MAX)
					send_frame(s, hook, ETH_P_IPV6, p, 41, !cut || (next == 58 && type >= 133 && type <= 136), what);
			}
		}
	}
}

static void quarantine(struct lab *l)
{
	static struct stops s;
	struct err err = { "" };
	struct tc *tc = tc_open(&err);
	struct tc_want w = lab_want(l);
	struct tc_state st;

	open_stops(&s, l);
	LAB_CHECK(l, ensure(l, tc, &w));
	send_kinds(&s, false);
	judge(&s);
	w.exclude_sport[0].all = w.exclude_dport[1].all = true;		/* owned ports are cut off too */
	LAB_CHECK(l, ensure(l, tc, &w));
	w.quarantine = true;
	LAB_CHECK(l, !tc_check(tc, &w, &st, &err) && !st.complete);
	LAB_CHECK(l, ensure(l, tc, &w));
	send_kinds(&s, true);
	judge(&s);
	LAB_CHECK(l, lab_sh_in(l, "ping -c 1 -W 1 10.9.0.1 >/dev/null") && lab_sh_in(l, "ping -c 1 -W 1 fd09::1 >/dev/null"));
	LAB_CHECK(l, !lab_sh("tc filter del dev v0 ingress pref 49020"));
	LAB_CHECK(l, !tc_check(tc, &w, &st, &err) && !st.complete);
	LAB_CHECK(l, ensure(l, tc, &w));
	w.quarantine = false;
	w.exclude_sport[0].all = w.exclude_dport[1].all = false;
	LAB_CHECK(l, ensure(l, tc, &w));
	send_kinds(&s, false);
	judge(&s);
	LAB_CHECK(l, !lab_sh_in(l, "ping -c 1 -W 1 10.9.0.1 >/dev/null") && !lab_sh_in(l, "ping -c 1 -W 1 fd09::1 >/dev/null"));
	close_stops(&s);
	tc_close(tc);
}

/* Somebody else's filters behind: they get what passes, and all of it again afterwards. What a crash left is taken away. */
static void quarantine_foreign(struct lab *l)
{
	static struct stops s;
	struct err err = { "" };
	struct tc *tc = tc_open(&err), *next;
	struct tc_want w = lab_want(l);
	unsigned cut = 0;
	char *out;

	open_stops(&s, l);
	LAB_CHECK(l, !lab_sh("ip link add sink type bridge && ip link set sink up && tc qdisc add dev v0 clsact &&"
			     "tc filter add dev v0 ingress pref 50000 protocol all u32 match u32 0 0 action mirred egress mirror dev sink"));
	w.quarantine = true;
	LAB_CHECK(l, ensure(l, tc, &w));
	send_kinds(&s, true);
	judge(&s);
	out = lab_output("tc -s filter show dev v0 ingress pref 50000");
	LAB_CHECK(l, strstr(out, "Sent ") && sscanf(strstr(out, "Sent "), "Sent %*u bytes %u pkt", &cut) == 1 && cut >= 5 && cut < 20);
	free(out);
	tc_close(tc);
	next = tc_open(&err);
	LAB_CHECK(l, tc_remove_all(next, &err) == 1);
	out = lab_output("tc filter show dev v0 ingress; tc filter show dev v0 egress");
	LAB_CHECK(l, strstr(out, "pref 50000") && !strstr(out, "pref 49"));
	free(out);
	tc_close(next);
	close_stops(&s);
}

/* ---- denied flows ---- */

struct pkt { bool v6, frag, later, ext; uint8_t proto, words, flags; uint8_t src, dst; uint16_t sport, dport; };	/* last bytes of addresses; words of IPv4's header; of ICMP flags is the type, sport the id */

static bool is_icmp(uint8_t proto) { return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6; }

static size_t build(const struct pkt *k, uint8_t p[128])
{
	size_t at;

	memset(p, 0, 128);
	if (k->v6) {
		p[0] = 0x60;
		p[6] = k->frag ? 44 : k->proto;
		p[8] = p[24] = 0xfd;
		p[23] = k->src;
		p[39] = k->dst;
		at = 40;
		if (k->ext) {		/* hop by hop and destination options of 8 and 16 bytes, of PadN */
			p[6] = 0;
			p[40] = 60;
			p[42] = 1, p[43] = 4;
			p[49] = 1;
			p[50] = 1, p[51] = 12;
			p[48] = k->frag ? 44 : k->proto;
			at = 64;
		}
		if (k->frag) {
			p[at] = k->proto;
			p[at + 3] = k->later ? 9 : 1;
			at += 8;
		}
	} else {
		at = 4u * k->words;
		p[0] = (uint8_t)(0x40 | k->words);
		p[6] = k->frag && !k->later ? 0x20 : 0;
		p[7] = k->later ? 3 : 0;
		p[9] = k->proto;
		p[12] = p[16] = 10;
		p[15] = k->src;
		p[19] = k->dst;
		memset(p + 20, 1, at - 20);
	}
	if (is_icmp(k->proto)) {
		p[at] = k->flags;
		p[at + 1] = 3;		/* a code that nobody looks at */
		p[at + 4] = (uint8_t)(k->sport >> 8);
		p[at + 5] = (uint8_t)k->sport;
		return at + 8;
	}
	p[at] = (uint8_t)(k->sport >> 8);
	p[at + 1] = (uint8_t)k->sport;
	p[at + 2] = (uint8_t)(k->dport >> 8);
	p[at + 3] = (uint8_t)k->dport;
	p[at + 12] = 0x50;
	p[at + 13] = k->flags;
	return at + 20;
}

static void send_pkt(struct stops *s, int hook, const struct pkt *k, bool passes)
{
	char what[96];
	uint8_t p[128];
	size_t n = build(k, p);

	snprintf(what, sizeof what, "%s%s%s proto %u %u words .%u:%u > .%u:%u flags %02x", k->v6 ? "v6" : "v4", k->frag ? " frag" : "", k->later ? " later" : "", k->proto, k->words,
		 k->src, k->sport, k->dst, k->dport, k->flags);
	send_frame(s, hook, k->v6 ? ETH_P_IPV6 : ETH_P_IP, p, n, passes, what);
}

/* One flow in all its forms, and what differs from it in one thing. */
static void send_flow(struct stops *s, int hook, const struct pkt *flow, bool denied)
{
	struct pkt k = *flow;

	for (unsigned words = 5; words <= (k.v6 ? 5 : 15); words++) {
		k.words = (uint8_t)words;
		send_pkt(s, hook, &k, !denied);
	}
	k = *flow;
	k.frag = true;
	send_pkt(s, hook, &k, !denied);
	k.later = true;			/* no ports: it goes on, and is of no use */
	send_pkt(s, hook, &k, true);
	k = *flow;
	k.ext = k.v6;			/* u32 cannot walk them */
	for (int frag = 0; k.v6 && frag < 2; frag++) {
		k.frag = frag;
		send_pkt(s, hook, &k, !(denied && lab_engine == TC_ENGINE_BPF));
	}
	k = *flow;
	k.sport ^= 0x100;
	send_pkt(s, hook, &k, true);
	k = *flow;
	k.dport ^= 0x100;
	send_pkt(s, hook, &k, !(denied && is_icmp(k.proto)));
	if (is_icmp(k.proto)) {
		k.flags ^= k.v6 ? 1 : 8;	/* the reply */
		send_pkt(s, hook, &k, !denied);
		k.flags = k.v6 ? 1 : 3;		/* unreachable */
		send_pkt(s, hook, &k, true);
		k.flags = 13;
		send_pkt(s, hook, &k, true);
	}
	k = *flow;
	k.src ^= 1;
	send_pkt(s, hook, &k, true);
	k = *flow;
	k.dst ^= 1;
	send_pkt(s, hook, &k, true);
	k.words = 9;
	send_pkt(s, hook, &k, true);
	k = *flow;
	k.proto = k.proto == IPPROTO_TCP ? IPPROTO_UDP : IPPROTO_TCP;
	send_pkt(s, hook, &k, true);
	k = *flow;
	k.src = flow->dst;
	k.dst = flow->src;
	send_pkt(s, hook, &k, true);
	send_pkt(s, !hook, flow, true);
}

static const struct pkt flows[] = {
	{ .proto = IPPROTO_TCP, .words = 5, .src = 2, .dst = 8, .sport = 40000, .dport = 443, .flags = 0x10 },
	{ .proto = IPPROTO_UDP, .words = 5, .src = 2, .dst = 8, .sport = 40001, .dport = 53 },
	{ .proto = IPPROTO_SCTP, .words = 5, .src = 2, .dst = 8, .sport = 40002, .dport = 2905 },
	{ .v6 = true, .proto = IPPROTO_TCP, .words = 5, .src = 2, .dst = 8, .sport = 40000, .dport = 443, .flags = 0x02 },
	{ .v6 = true, .proto = IPPROTO_UDP, .words = 5, .src = 2, .dst = 8, .sport = 0x0600, .dport = 1 },
	{ .proto = IPPROTO_ICMP, .words = 5, .src = 2, .dst = 8, .sport = 0x1234, .dport = 0x1234, .flags = 8 },
	{ .v6 = true, .proto = IPPROTO_ICMPV6, .words = 5, .src = 2, .dst = 8, .sport = 0x0600, .dport = 0x0600, .flags = 128 },
};
#define FLOWS (sizeof flows / sizeof flows[0])

static struct deny_way way_of(const struct pkt *k, bool to_client)
{
	uint8_t a[2][16] = { { 10, 0, 0, k->src }, { 10, 0, 0, k->dst } }, b[2][16] = { { 0xfd }, { 0xfd } };
	struct deny_way w = { .sport = k->sport, .dport = k->dport, .ipproto = k->proto, .to_client = to_client };

	b[0][15] = k->src;
	b[1][15] = k->dst;
	w.src = k->v6 ? addr_v6(b[0]) : addr_v4(a[0]);
	w.dst = k->v6 ? addr_v6(b[1]) : addr_v4(a[1]);
	return w;
}

static void put_way(struct lab *l, struct tc *tc, const struct tc_want *w, struct deny_set *set, int hook, const struct pkt *k, uint32_t *id)
{
	struct deny_way way = way_of(k, hook);
	struct err err = { "" };
	uint32_t oldest;

	LAB_CHECK(l, !deny_add(set, hook, &way, 1, id, &oldest));
	LAB_CHECK(l, !tc_deny(tc, w, hook, true, id, 1, &err));
	if (err.text[0])
		fprintf(stderr, "    tc_deny: %s\n", err.text);
}

static void take_from_map(const struct tc_want *w, const struct pkt *k, int hook)
{
	struct deny_way way = way_of(k, hook);

	denied_del(w->denied, w->ifindex, hook, &way);
}

static void denied_flows(struct lab *l)
{
	static struct stops s;
	struct err err = { "" };
	struct tc *tc = tc_open(&err);
	struct tc_want w = lab_want(l);
	struct deny_set *set = lab_denies(&w, tc);
	struct tc_state st;
	uint32_t id[FLOWS][2];
	bool bpf = w.engine == TC_ENGINE_BPF;

	open_stops(&s, l);
	w.exclude_sport[0] = (struct app_ports){ .n = 1, .port = { { IPPROTO_TCP, 8080 } } };
	LAB_CHECK(l, ensure(l, tc, &w));
	for (size_t i = 0; i < FLOWS; i++)
		send_flow(&s, (int)i & 1, &flows[i], false);
	judge(&s);
	for (size_t i = 0; i < FLOWS; i++)
		put_way(l, tc, &w, set, (int)i & 1, &flows[i], &id[i][0]);
	LAB_CHECK(l, !tc_check(tc, &w, &st, &err) && st.complete && st.ways[0] == (bpf ? 4 : 6) && st.ways[1] == (bpf ? 3 : 4));	/* u32: another one for IPv6's fragments */
	LAB_CHECK(l, ensure(l, tc, &w));
	for (size_t i = 0; i < FLOWS; i++)
		send_flow(&s, (int)i & 1, &flows[i], true);
	judge(&s);
	/* One goes, the others stay. */
	LAB_CHECK(l, !tc_deny(tc, &w, 0, false, &id[0][0], 1, &err));
	deny_del(set, id[0][0]);
	LAB_CHECK(l, !tc_check(tc, &w, &st, &err) && st.complete);
	for (size_t i = 0; i < FLOWS; i++)
		send_flow(&s, (int)i & 1, &flows[i], i != 0);
	judge(&s);
	/* Tampered with; a bridge of another number. */
	if (bpf)
		take_from_map(&w, &flows[2], 0);
	else
		LAB_CHECK(l, !lab_sh("tc filter del dev v0 ingress pref 49011; tc filter del dev v0 egress pref 49060"));
	LAB_CHECK(l, !tc_check(tc, &w, &st, &err) && !st.complete);
	LAB_CHECK(l, ensure(l, tc, &w));
	w.to_leaving = l->vbr_in;
	LAB_CHECK(l, ensure(l, tc, &w));
	w.to_leaving = l->vbr;
	LAB_CHECK(l, ensure(l, tc, &w));
	for (size_t i = 0; i < FLOWS; i++)
		send_flow(&s, (int)i & 1, &flows[i], i != 0);
	judge(&s);
	tc_close(tc);
	/* After a crash: another set, which has one of them. */
	deny_free(set);
	tc = tc_open(&err);
	set = lab_denies(&w, tc);
	LAB_CHECK(l, ensure(l, tc, &w));
	put_way(l, tc, &w, set, 1, &flows[1], &id[1][0]);
	for (size_t i = 0; i < FLOWS; i++)
		send_flow(&s, (int)i & 1, &flows[i], i == 1);
	judge(&s);
	if (!bpf) {		/* whoever wants no more denied flows takes them out of the map */
		w.deny = NULL;
		LAB_CHECK(l, ensure(l, tc, &w));
		LAB_CHECK(l, !tc_check(tc, &w, &st, &err) && st.complete && !st.ways[0] && !st.ways[1]);
		w.deny = set;
	}
	LAB_CHECK(l, ensure(l, tc, &w));
	LAB_CHECK(l, !tc_release(tc, l->v0, &err));
	for (size_t i = 0; i < FLOWS; i++)
		send_pkt(&s, (int)i & 1, &flows[i], true);
	s.n = 0;	/* no mirror any more */
	lab_read(s.ring, ~0u, 60, NULL, NULL);
	LAB_CHECK(l, ensure(l, tc, &w));
	LAB_CHECK(l, !tc_remove(tc, l->v0, &err) && !lab_sh("! tc qdisc show dev v0 | grep -q clsact"));
	deny_free(set);
	close_stops(&s);
	tc_close(tc);
}

/* 4,096 flows both ways: all stand, all are found again, and go. What somebody else put behind still runs. */
static void denied_full(struct lab *l)
{
	static uint32_t ids[2][DENY_MAX / 2];
	struct err err = { "" };
	struct tc *tc = tc_open(&err);
	struct tc_want w = lab_want(l);
	struct deny_set *set = lab_denies(&w, tc);
	struct tc_state st;
	uint32_t oldest;

	LAB_CHECK(l, !lab_sh("ip link add sink type bridge && ip link set sink up && tc qdisc add dev v0 clsact &&"
			     "tc filter add dev v0 ingress pref 50000 protocol all u32 match u32 0 0 action mirred egress mirror dev sink"));
	LAB_CHECK(l, ensure(l, tc, &w));
	for (unsigned i = 0; i < DENY_MAX / 2; i++)
		for (int h = 0; h < 2; h++) {
			struct pkt k = { .v6 = i & 1, .proto = IPPROTO_TCP, .src = (uint8_t)(2 + i / 1024), .dst = 8, .sport = (uint16_t)(30000 + i), .dport = 443 }, back = k;
			struct deny_way way;

			back.src = k.dst;
			back.dst = k.src;
			back.sport = k.dport;
			back.dport = k.sport;
			way = way_of(h ? &back : &k, h);
			LAB_CHECK(l, !deny_add(set, h, &way, i, &ids[h][i], &oldest));
		}
	for (int h = 0; h < 2; h++)
		LAB_CHECK(l, !tc_deny(tc, &w, h, true, ids[h], DENY_MAX / 2, &err));
	LAB_CHECK(l, !tc_check(tc, &w, &st, &err) && st.complete && st.ways[0] == (w.engine == TC_ENGINE_BPF ? DENY_MAX / 2 : DENY_MAX / 4 * 3) && st.foreign[0] == 1);
	for (int h = 0; h < 2; h++)
		LAB_CHECK(l, !tc_deny(tc, &w, h, false, ids[h], DENY_MAX / 2, &err));
	for (int h = 0; h < 2; h++)
		for (unsigned i = 0; i < DENY_MAX / 2; i++)
			deny_del(set, ids[h][i]);
	LAB_CHECK(l, !tc_check(tc, &w, &st, &err) && st.complete && !st.ways[0]);
	LAB_CHECK(l, tc_remove_all(tc, &err) == 1 && !lab_sh("tc filter show dev v0 ingress | grep -q 'pref 50000' && ! tc filter show dev v0 ingress | grep -q 'pref 49'"));
	deny_free(set);
	tc_close(tc);
}

#define EIGHT 8

/* For both families: one address of the prefix passes, one port of it does; the prefix, and a single address whatever the ports. */
static void eight_fences(struct fence out[EIGHT], uint8_t ipproto4, uint8_t ipproto6, const struct fence *ports)
{
	static const char *const peers[] = { "10.0.0.10/32", "fd00::a/128", "10.0.0.8/30", "fd00::8/126", "10.0.0.8/30", "fd00::8/126", "10.0.0.64/32", "fd00::40/128" };
	const struct fence all = { .hi = 65535, .from_hi = 65535 };
	bool echo = ipproto4 == IPPROTO_ICMP;

	for (unsigned i = 0; i < EIGHT; i++) {
		out[i] = i == 4 || i == 5 ? *ports : all;
		if ((i == 2 || i == 3) && !echo)
			out[i].lo = out[i].hi = 90;
		cidr_parse(peers[i == 2 && echo ? 0 : i == 3 && echo ? 1 : i], &out[i].peer);
		out[i].pass = i < 4;
		out[i].ipproto = i & 1 ? ipproto6 : ipproto4;
	}
}

/* A packet to or from who is in the prefix, beside it, and at the single address. */
static void send_around(struct stops *s, int hook, const struct pkt *like, bool in, bool at_all)
{
	struct pkt k = *like;
	uint8_t *peer = hook ? &k.src : &k.dst;

	*(hook ? &k.dst : &k.src) = 2;
	*peer = 9;
	for (k.words = 5; k.words <= (k.v6 ? 5 : 8); k.words = (uint8_t)(k.words + 3))
		send_pkt(s, hook, &k, !in);
	k.words = 5;
	k.frag = true;
	send_pkt(s, hook, &k, !in);
	k.frag = false;
	*peer = 12;
	send_pkt(s, hook, &k, true);
	*peer = 10;
	send_pkt(s, hook, &k, true);
	*peer = 64;
	send_pkt(s, hook, &k, !at_all);
	*(hook ? &k.dst : &k.src) = 3;		/* not the workload's own */
	send_pkt(s, hook, &k, true);
}

/* From or to a prefix: of TCP SYNs alone, to a range of ports; of UDP what comes from and goes to ranges; echo requests. */
static void fences(struct lab *l)
{
	static struct stops s;
	static const struct { uint8_t flags; bool syn; } f[] = { { 0x02, true }, { 0xc2, true }, { 0x12, false }, { 0x10, false }, { 0x18, false }, { 0x04, false } };
	static const struct { uint16_t port; bool in; } ports[] = { { 79, false }, { 80, true }, { 90, false }, { 95, true }, { 96, true }, { 97, false }, { 336, false } };
	static const struct { uint16_t port; bool in; } from[] = { { 999, false }, { 1000, true }, { 2000, true }, { 2001, false } };
	static const uint8_t icmp[2][6] = { { 8, 0, 3, 13, 9, 11 }, { 128, 129, 1, 144, 135, 130 } };
	const struct fence tcp = { .lo = 80, .hi = 96, .from_hi = 65535 }, udp = { .lo = 80, .hi = 96, .from_lo = 1000, .from_hi = 2000 }, echo = { .hi = 65535, .from_hi = 65535 };
	struct err err = { "" };
	struct tc *tc = tc_open(&err);
	struct tc_want w = lab_want(l);
	struct deny_set *set = lab_denies(&w, tc);
	struct fence fence[3 * EIGHT];
	struct addr own[3];

	addr_parse("10.0.0.2", &own[0]);
	addr_parse("10.0.0.250", &own[1]);
	addr_parse("fd00::2", &own[2]);
	w.own = own;
	w.nown = 3;
	eight_fences(fence, IPPROTO_TCP, IPPROTO_TCP, &tcp);
	eight_fences(fence + EIGHT, IPPROTO_UDP, IPPROTO_UDP, &udp);
	eight_fences(fence + 2 * EIGHT, IPPROTO_ICMP, IPPROTO_ICMPV6, &echo);
	open_stops(&s, l);
	for (int h = 0; h < 2; h++) {
		w.fence[h] = fence;
		w.nfence[h] = 3 * EIGHT;
	}
	LAB_CHECK(l, ensure(l, tc, &w));
	for (int hook = 0; hook < 2; hook++)
		for (unsigned v6 = 0; v6 < 2; v6++) {
			struct pkt k = { .v6 = v6, .proto = IPPROTO_TCP, .sport = 40000 };

			for (size_t p = 0; p < sizeof ports / sizeof ports[0]; p++) {
				k.dport = ports[p].port;
				for (size_t i = 0; i < sizeof f / sizeof f[0]; i++) {
					k.flags = f[i].flags;
					send_around(&s, hook, &k, f[i].syn && ports[p].in, f[i].syn);
				}
			}
			judge(&s);
			k.proto = IPPROTO_UDP;
			for (size_t p = 0; p < sizeof ports / sizeof ports[0]; p++)
				for (size_t i = 0; i < sizeof from / sizeof from[0]; i++) {
					k.dport = ports[p].port;
					k.sport = from[i].port;
					send_around(&s, hook, &k, ports[p].in && from[i].in, true);
				}
			k.proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
			for (size_t i = 0; i < 6; i++) {
				k.flags = icmp[v6][i];
				send_around(&s, hook, &k, !i, !i);
			}
			k.proto = IPPROTO_SCTP;
			send_around(&s, hook, &k, false, false);
			judge(&s);
		}
	w.nfence[0] = w.nfence[1] = 11;
	LAB_CHECK(l, ensure(l, tc, &w));
	addr_parse("10.0.0.3", &own[0]);
	LAB_CHECK(l, ensure(l, tc, &w));
	w.own++;
	w.nown--;
	LAB_CHECK(l, ensure(l, tc, &w));
	w.nfence[0] = w.nfence[1] = 0;
	LAB_CHECK(l, ensure(l, tc, &w));
	deny_free(set);
	close_stops(&s);
	tc_close(tc);
}

static void test_quarantine(void) { lab_run(quarantine); }
static void test_quarantine_foreign(void) { lab_run(quarantine_foreign); }
static void test_denied(void) { lab_run(denied_flows); }
static void test_full(void) { lab_run(denied_full); }
static void test_fences(void) { lab_run(fences); }

static void by_program(void (*fn)(void))
{
	lab_engine = TC_ENGINE_BPF;
	fn();
	lab_engine = TC_ENGINE_U32;
}

static void test_bpf_quarantine(void) { by_program(test_quarantine); }
static void test_bpf_quarantine_foreign(void) { by_program(test_quarantine_foreign); }
static void test_bpf_denied(void) { by_program(test_denied); }
static void test_bpf_full(void) { by_program(test_full); }
static void test_bpf_fences(void) { by_program(test_fences); }

const struct unit_test tests_stops[] = {
	{ "quarantine: on, tampered with, off", test_quarantine },
	{ "quarantine: foreign filters behind, and after a crash", test_quarantine_foreign },
	{ "denied flows: exactly they are stopped, options and fragments too", test_denied },
	{ "denied flows: 4,096 both ways", test_full },
	{ "fences: SYNs, datagrams and echo requests by prefix and ports", test_fences },
	{ "bpf: quarantine: on, tampered with, off", test_bpf_quarantine },
	{ "bpf: quarantine: foreign filters behind, and after a crash", test_bpf_quarantine_foreign },
	{ "bpf: denied flows: exactly they are stopped, extension headers too", test_bpf_denied },
	{ "bpf: denied flows: 4,096 both ways", test_bpf_full },
	{ "bpf: fences: SYNs, datagrams and echo requests by prefix and ports", test_bpf_fences },
	{ 0 },
};
