/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which packets are copied, to which bridge, how often: crafted frames through a real clsact, counted on the ring.
 *
 * Every frame carries its number in its source MAC. What should be copied is computed from how the frame was made. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <linux/if_ether.h>

#include "tests/unit/tc/lab.h"
#include "tests/unit/unit.h"

#define FRAMES_MAX 2048

enum shape { SHAPE_PLAIN, SHAPE_OPTIONS, SHAPE_FRAGMENT_FIRST, SHAPE_FRAGMENT_LATER, SHAPE_VLAN, SHAPE_QINQ, SHAPE_SHORT, SHAPE_COUNT };

struct made {
	unsigned want;		/* copies */
	unsigned got[2];	/* by bridge */
	char what[64];
};

struct traffic {
	struct made frame[FRAMES_MAX];
	unsigned n, strange;
	int64_t last;
	unsigned back;		/* times that went back */
};

/* Ports of test_wants(): what is owned by hook, as source and as destination. */
static bool owned(int hook, uint8_t proto, unsigned sport, unsigned dport)
{
	unsigned served = proto == IPPROTO_TCP ? 8080 : 53, used = proto == IPPROTO_TCP ? 443 : 5353;

	if (hook == 0)	/* leaving: answers of our servers, questions of our clients */
		return sport == served || dport == used || (proto == IPPROTO_TCP && sport == 8080 + 64);
	return dport == served || sport == used || (proto == IPPROTO_TCP && dport == 8080 + 64);
}

static struct tc_want test_want(const struct lab *l)
{
	const struct app_ports server = { .n = 3, .port = { { IPPROTO_TCP, 8080 }, { IPPROTO_UDP, 53 }, { IPPROTO_TCP, 8080 + 64 } } };
	const struct app_ports client = { .n = 2, .port = { { IPPROTO_TCP, 443 }, { IPPROTO_UDP, 5353 } } };
	struct tc_want w = lab_want(l);

	w.exclude_sport[0] = w.exclude_dport[1] = server;
	w.exclude_dport[0] = w.exclude_sport[1] = client;
	return w;
}

/* ---- frames ---- */

static size_t put16(uint8_t *p, size_t at, unsigned v)
{
	p[at] = (uint8_t)(v >> 8);
	p[at + 1] = (uint8_t)v;
	return at + 2;
}

static size_t ethernet(uint8_t *p, unsigned number, unsigned type, enum shape s)
{
	size_t at;

	memset(p, 0, 6);
	p[0] = 0x02;		/* to nobody: the stacks on both sides leave it alone */
	p[5] = 0x99;
	memcpy(p + 6, "\x02\xaa\x5a\x5a", 4);
	put16(p, 10, number);
	at = 12;
	if (s == SHAPE_QINQ) {
		at = put16(p, at, 0x88a8);
		at = put16(p, at, 7);
	}
	if (s == SHAPE_VLAN || s == SHAPE_QINQ) {
		at = put16(p, at, 0x8100);
		at = put16(p, at, 0x2005);
	}
	return put16(p, at, type);
}

static size_t transport(uint8_t *p, size_t at, uint8_t proto, unsigned sport, unsigned dport, uint8_t flags, enum shape s)
{
	size_t begin = at;

	memset(p + at, 0, 60);
	at = put16(p, at, sport);
	put16(p, at, dport);
	if (proto == IPPROTO_UDP)
		put16(p, begin + 4, 20);
	p[begin + 12] = proto == IPPROTO_TCP ? 5 << 4 : 0;
	if (proto == IPPROTO_TCP)
		p[begin + 13] = flags;
	return begin + (s == SHAPE_SHORT ? 6 : proto == IPPROTO_TCP ? 32 : 20);
}

static size_t ipv4(uint8_t *p, size_t at, uint8_t proto, enum shape s)
{
	size_t begin = at, hl = s == SHAPE_OPTIONS ? 32 : 20;

	memset(p + at, 0, hl);
	p[at] = (uint8_t)(0x40 | hl / 4);
	put16(p, at + 2, (unsigned)hl + 20);
	put16(p, at + 6, s == SHAPE_FRAGMENT_FIRST ? 0x2000 : s == SHAPE_FRAGMENT_LATER ? 0x0003 : 0x4000);
	p[at + 8] = 64;
	p[at + 9] = proto;
	memcpy(p + at + 12, "\x0a\x09\x00\x07\x0a\x09\x00\x08", 8);
	memset(p + at + 20, 1, hl - 20);	/* no-operation options */
	return begin + hl;
}

/* Options are a destination options header, fragments a fragment header. */
static size_t ipv6(uint8_t *p, size_t at, uint8_t proto, enum shape s)
{
	bool frag = s == SHAPE_FRAGMENT_FIRST || s == SHAPE_FRAGMENT_LATER, ext = frag || s == SHAPE_OPTIONS;

	memset(p + at, 0, 48);
	p[at] = 0x60;
	put16(p, at + 4, 40);
	p[at + 6] = frag ? 44 : s == SHAPE_OPTIONS ? 60 : proto;
	p[at + 7] = 64;
	p[at + 8] = p[at + 24] = 0xfd;
	p[at + 23] = 7;
	p[at + 39] = 8;
	at += 40;
	if (!ext)
		return at;
	p[at] = proto;
	if (frag)
		put16(p, at + 2, s == SHAPE_FRAGMENT_FIRST ? 1 : 8);
	else
		memcpy(p + at + 2, "\x01\x04", 2);	/* PadN */
	return at + 8;
}

static void send_one(struct lab *l, struct traffic *t, int hook, const uint8_t *p, size_t len, unsigned want, const char *what)
{
	struct made *m = &t->frame[t->n];

	m->want = want;
	snprintf(m->what, sizeof m->what, "%s %s", hook ? "entering" : "leaving", what);
	LAB_CHECK(l, lab_send(l, hook, p, len));
	t->n++;
}

/* u32 cannot walk extension headers. */
static bool walks(bool v6) { return !v6 || lab_engine == TC_ENGINE_BPF; }

static void send_ip(struct lab *l, struct traffic *t, int hook, bool v6, uint8_t proto, enum shape s, unsigned sport, unsigned dport, uint8_t flags, bool excluding)
{
	static const char *const shapes[] = { "plain", "options", "first fragment", "later fragment", "tagged", "two tags", "short" };
	uint8_t p[256];
	size_t at = ethernet(p, t->n, v6 ? ETH_P_IPV6 : ETH_P_IP, s);
	bool readable = s == SHAPE_PLAIN || (s == SHAPE_OPTIONS && walks(v6)) || (s == SHAPE_SHORT && proto == IPPROTO_UDP);
	bool syn = proto == IPPROTO_TCP && flags & 2;
	char what[64];

	at = v6 ? ipv6(p, at, proto, s) : ipv4(p, at, proto, s);
	at = transport(p, at, proto, sport, dport, flags, s);
	snprintf(what, sizeof what, "IPv%d %s %s %u>%u flags %02x", v6 ? 6 : 4, proto == IPPROTO_TCP ? "TCP" : proto == IPPROTO_UDP ? "UDP" : "other", shapes[s], sport, dport, flags);
	send_one(l, t, hook, p, at, !(excluding && readable && !syn && (proto == IPPROTO_TCP || proto == IPPROTO_UDP) && owned(hook, proto, sport, dport)), what);
}

static void send_all(struct lab *l, struct traffic *t, bool excluding)
{
	static const struct { uint8_t proto; unsigned sport, dport; uint8_t flags; } f[] = {
		{ IPPROTO_TCP, 8080, 40000, 0x10 }, { IPPROTO_TCP, 40000, 8080, 0x18 }, { IPPROTO_TCP, 443, 40000, 0x11 }, { IPPROTO_TCP, 40000, 443, 0x04 },
		{ IPPROTO_TCP, 8080, 40000, 0x12 }, { IPPROTO_TCP, 40000, 8080, 0x02 }, { IPPROTO_TCP, 443, 40000, 0x12 }, { IPPROTO_TCP, 40000, 443, 0xc2 },
		{ IPPROTO_TCP, 8080 + 64, 40000, 0x10 }, { IPPROTO_TCP, 40000, 8080 + 64, 0x10 }, { IPPROTO_TCP, 8080 + 128, 40000, 0x10 }, { IPPROTO_TCP, 8081, 40000, 0x10 },
		{ IPPROTO_TCP, 53, 40000, 0x10 }, { IPPROTO_TCP, 40000, 40001, 0x10 }, { IPPROTO_TCP, 8080, 8080, 0x10 }, { IPPROTO_TCP, 443, 8080, 0x10 },
		{ IPPROTO_UDP, 53, 40000, 0 }, { IPPROTO_UDP, 40000, 53, 0 }, { IPPROTO_UDP, 5353, 5353, 0 }, { IPPROTO_UDP, 40000, 5353, 0 }, { IPPROTO_UDP, 8080, 8080, 0 },
		{ IPPROTO_SCTP, 8080, 8080, 0 }, { IPPROTO_ICMP, 8080, 8080, 0 },
	};
	uint8_t p[256];
	size_t at;

	for (int hook = 0; hook < 2; hook++) {
		for (int v6 = 0; v6 < 2; v6++)
			for (int s = 0; s < SHAPE_COUNT; s++)
				for (size_t i = 0; i < sizeof f / sizeof f[0]; i++)
					send_ip(l, t, hook, v6, f[i].proto, (enum shape)s, f[i].sport, f[i].dport, f[i].flags, excluding);
		at = ethernet(p, t->n, ETH_P_ARP, SHAPE_PLAIN);
		memset(p + at, 0, 28);
		send_one(l, t, hook, p, at + 28, 1, "ARP");
		at = ethernet(p, t->n, 0x88cc, SHAPE_PLAIN);
		send_one(l, t, hook, p, at + 1, 1, "one byte of payload");
		at = ethernet(p, t->n, 38, SHAPE_PLAIN);
		memset(p + at, 0x42, 38);
		send_one(l, t, hook, p, at + 38, 1, "802.3 length, LLC");
		at = ethernet(p, t->n, ETH_P_IP, SHAPE_PLAIN);
		memset(p + at, 0x45, 3);
		send_one(l, t, hook, p, at + 3, 1, "three bytes of IPv4");
	}
}

/* ---- counting ---- */

static void count(void *ctx, const struct frame *f)
{
	struct traffic *t = ctx;
	unsigned number;

	t->back += f->ts < t->last;
	t->last = f->ts;
	if (f->caplen < 14 || memcmp(f->data + 6, "\x02\xaa\x5a\x5a", 4) || (number = (unsigned)f->data[10] << 8 | f->data[11]) >= t->n) {
		t->strange++;
		return;
	}
	t->frame[number].got[(f->flags & FRAME_ENTERING) != 0]++;
}

static unsigned wanted_in_all(const struct traffic *t)
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->n; i++)
		n += t->frame[i].want;
	return n;
}

static void judge(struct lab *l, struct source *s, struct traffic *t)
{
	unsigned wrong = 0;

	lab_read(s, wanted_in_all(t), 500, count, t);
	lab_read(s, ~0u, 60, count, t);		/* nothing more may come */
	for (unsigned i = 0; i < t->n; i++) {
		const struct made *m = &t->frame[i];
		int hook = m->what[0] == 'e';

		if (m->got[hook] == m->want && !m->got[!hook])
			continue;
		if (wrong++ < 10)
			fprintf(stderr, "    %s: wanted %u, copied %u, to the other bridge %u\n", m->what, m->want, m->got[hook], m->got[!hook]);
	}
	LAB_CHECK(l, wrong == 0);
	LAB_CHECK(l, t->back == 0);
	LAB_CHECK(l, t->n > 600);
}

static void run(struct lab *l, struct tc_want *w, bool excluding)
{
	static struct traffic t;
	struct source *s = lab_mirror(l, 1 << 18, 16);
	struct err err = { "" };
	struct tc *tc = tc_open(&err);
	struct tc_state st;
	unsigned changes;

	memset(&t, 0, sizeof t);
	LAB_CHECK(l, s && tc);
	if (!s || !tc)
		return;
	LAB_CHECK(l, tc_ensure(tc, w, &st, &changes, &err) == 0 && st.complete);
	send_all(l, &t, excluding);
	judge(l, s, &t);
	s->ops->close(s);
	tc_close(tc);
}

static void exclusions(struct lab *l)
{
	struct tc_want w = test_want(l);

	run(l, &w, true);
}

static void nothing_excluded(struct lab *l)
{
	struct tc_want w = lab_want(l);

	run(l, &w, false);
}

static void shared_blocks(struct lab *l)
{
	struct tc_want w = test_want(l);

	w.blocks = TC_BLOCKS_SHARED;
	run(l, &w, true);
}

/* Somebody else's filter behind ours, on one hook: all arrives behind. An exclusion of u32 would end there too, so all is mirrored there; the other hook excludes. */
static void foreign_behind(struct lab *l)
{
	static struct traffic t;
	struct tc_want w = test_want(l);
	struct source *s = lab_mirror(l, 1 << 18, 16);
	struct err err = { "" };
	struct tc *tc = tc_open(&err);
	struct tc_state st;
	unsigned changes;
	bool bpf = lab_engine == TC_ENGINE_BPF;
	unsigned leaving = 0, seen = 0;
	char *out, *at;

	memset(&t, 0, sizeof t);
	LAB_CHECK(l, !lab_sh("ip link add sink type bridge && ip link set sink up && tc qdisc add dev v0 clsact &&"
			     "tc filter add dev v0 ingress pref 50000 protocol all u32 match u32 0 0 action mirred egress mirror dev sink"));
	LAB_CHECK(l, tc_ensure(tc, &w, &st, &changes, &err) == 0 && st.complete);
	LAB_CHECK(l, st.foreign[0] == 1 && st.foreign[1] == 0 && !st.ours && st.filters[0] == 1 && (bpf || st.filters[1] > 5));
	send_all(l, &t, true);
	for (unsigned i = 0; i < t.n; i++)
		if (t.frame[i].what[0] == 'l') {
			t.frame[i].want |= !bpf;
			leaving++;
		}
	judge(l, s, &t);
	out = lab_output("tc -s filter show dev v0 ingress pref 50000");
	at = strstr(out, "Sent ");
	LAB_CHECK(l, at && sscanf(at, "Sent %*u bytes %u pkt", &seen) == 1);
	/* its own match needs four bytes of payload, and what c0 says by itself may be counted too */
	LAB_CHECK(l, seen >= leaving - 2 && seen < leaving + 8);
	free(out);
	/* It goes: exclusions come. */
	LAB_CHECK(l, !lab_sh("tc filter del dev v0 ingress pref 50000"));
	LAB_CHECK(l, tc_check(tc, &w, &st, &err) == 0 && st.complete == bpf);
	LAB_CHECK(l, tc_ensure(tc, &w, &st, &changes, &err) == 0 && st.complete && !changes == bpf && st.foreign[0] == 0 && (bpf || st.filters[0] > 5));
	memset(&t, 0, sizeof t);
	send_all(l, &t, true);
	judge(l, s, &t);
	s->ops->close(s);
	tc_close(tc);
}

/* `all`: nothing of unfragmented TCP and UDP but what has SYN set. */
static void all_ports(struct lab *l)
{
	static struct traffic t;
	struct tc_want w = lab_want(l);
	struct source *s = lab_mirror(l, 1 << 18, 16);
	struct err err = { "" };
	struct tc *tc = tc_open(&err);
	struct tc_state st;
	unsigned changes;

	memset(&t, 0, sizeof t);
	w.exclude_sport[0].all = w.exclude_dport[1].all = true;
	LAB_CHECK(l, tc_ensure(tc, &w, &st, &changes, &err) == 0 && st.complete);
	send_all(l, &t, false);
	for (unsigned i = 0; i < t.n; i++) {
		const char *what = t.frame[i].what;
		bool v6 = strstr(what, "IPv6") != NULL, tcp = strstr(what, "TCP") != NULL, udp = strstr(what, "UDP") != NULL;
		bool read = strstr(what, "plain") || (strstr(what, "options") && walks(v6)) || (strstr(what, "short") && udp);
		unsigned flags = 0;

		sscanf(strstr(what, "flags") ? strstr(what, "flags") : "", "flags %x", &flags);
		if ((tcp || udp) && read && !(tcp && flags & 2))
			t.frame[i].want = 0;
	}
	judge(l, s, &t);
	s->ops->close(s);
	tc_close(tc);
}

/* ---- changes under traffic ---- */

#define LIVE 30000u

struct live {
	struct lab *lab;
	_Atomic bool done;
	uint8_t got[LIVE];
	unsigned strange;
};

/* Odd numbers are on an owned port, even ones are not. */
static void *sender(void *arg)
{
	struct live *v = arg;
	uint8_t p[256];

	for (unsigned i = 0; i < LIVE; i++) {
		size_t at = ethernet(p, i, ETH_P_IP, SHAPE_PLAIN);

		at = ipv4(p, at, IPPROTO_TCP, SHAPE_PLAIN);
		at = transport(p, at, IPPROTO_TCP, i & 1 ? 8080 : 8081, 40000, 0x10, SHAPE_PLAIN);
		while (!lab_send(v->lab, 0, p, at))
			sched_yield();
	}
	v->done = true;
	return NULL;
}

static void count_live(void *ctx, const struct frame *f)
{
	struct live *v = ctx;
	unsigned number = f->caplen > 14 ? (unsigned)f->data[10] << 8 | f->data[11] : LIVE;

	if (f->caplen > 14 && !memcmp(f->data + 6, "\x02\xaa\x5a\x5a", 4) && number < LIVE)
		v->got[number]++;
	else
		v->strange++;
}

/* Exclusions come and go, ports come and go, the mirror goes to the other bridge and back: what is not owned is copied once all the
 * time, what is owned at most once. */
static void live_changes(struct lab *l)
{
	static struct live v;
	struct source *s = lab_mirror(l, 1 << 18, 64);
	struct err err = { "" };
	struct tc *tc = tc_open(&err);
	struct tc_want wants[4] = { lab_want(l), test_want(l), test_want(l), lab_want(l) };
	unsigned rounds = 0, changes, once = 0, excluded = 0, wrong = 0;
	struct tc_state st;
	pthread_t thread;

	v = (struct live){ .lab = l };
	wants[1].exclude_dport[0].n = 0;
	wants[2].to_leaving = l->vbr_in;
	wants[3].to_leaving = l->vbr_in;
	LAB_CHECK(l, tc_ensure(tc, &wants[0], &st, &changes, &err) == 0 && st.complete);
	LAB_CHECK(l, !pthread_create(&thread, NULL, sender, &v));
	for (; !v.done && rounds < 100000; rounds++) {
		LAB_CHECK(l, tc_ensure(tc, &wants[rounds % 4], &st, &changes, &err) == 0 && st.complete && (changes || !rounds));
		lab_read(s, 64, 0, count_live, &v);
	}
	pthread_join(thread, NULL);
	lab_read(s, ~0u, 150, count_live, &v);
	for (unsigned i = 0; i < LIVE; i++) {
		wrong += i & 1 ? v.got[i] > 1 : v.got[i] != 1;
		once += (i & 1) && v.got[i] == 1;
		excluded += (i & 1) && v.got[i] == 0;
	}
	if (wrong)
		fprintf(stderr, "    %u wrong; of those owned %u copied, %u excluded; %u rounds\n", wrong, once, excluded, rounds);
	LAB_CHECK(l, wrong == 0 && rounds > 20 && once > 100 && excluded > 100);
	s->ops->close(s);
	tc_close(tc);
}

static void test_live(void) { lab_run(live_changes); }
static void test_exclusions(void) { lab_run(exclusions); }
static void test_nothing(void) { lab_run(nothing_excluded); }
static void test_blocks(void) { lab_run(shared_blocks); }
static void test_foreign(void) { lab_run(foreign_behind); }
static void test_all(void) { lab_run(all_ports); }

static void by_program(void (*fn)(void))
{
	lab_engine = TC_ENGINE_BPF;
	fn();
	lab_engine = TC_ENGINE_U32;
}

static void test_bpf_exclusions(void) { by_program(test_exclusions); }
static void test_bpf_nothing(void) { by_program(test_nothing); }
static void test_bpf_blocks(void) { by_program(test_blocks); }
static void test_bpf_foreign(void) { by_program(test_foreign); }
static void test_bpf_all(void) { by_program(test_all); }
static void test_bpf_live(void) { by_program(test_live); }

const struct unit_test tests_copies[] = {
	{ "owned ports excluded, the rest once", test_exclusions },
	{ "nothing excluded: everything once", test_nothing },
	{ "the same on shared blocks", test_blocks },
	{ "a foreign filter behind", test_foreign },
	{ "all ports excluded", test_all },
	{ "changes under traffic", test_live },
	{ "bpf: owned ports excluded, the rest once", test_bpf_exclusions },
	{ "bpf: nothing excluded: everything once", test_bpf_nothing },
	{ "bpf: the same on shared blocks", test_bpf_blocks },
	{ "bpf: a foreign filter behind", test_bpf_foreign },
	{ "bpf: all ports excluded", test_bpf_all },
	{ "bpf: changes under traffic", test_bpf_live },
	{ 0 },
};
