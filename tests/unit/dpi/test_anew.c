/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Open flows under another policy: those that show no packet are judged as a packet of theirs would have them judged, told, and no call does more than it may. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/dpi/l7.h"
#include "tests/unit/unit.h"

#define UP DIR_TOSERVER
#define DOWN DIR_TOCLIENT
#define FLOWS 48u
#define ROUNDS 400u

static uint64_t seed;

static unsigned below(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 20) % n;
}

/* ---- flows of every kind ---- */

enum kind { SYN_ONLY, SHAKEN, HTTP, SSH, ODD, MIDSTREAM, UDP_DNS, UDP_ODD, ECHO, KINDS };

struct one {
	enum kind kind;
	bool v6, held, enforceable;
	uint16_t vlan, sport, dport;
	uint32_t view;
};

static struct spec of(const struct one *o, enum dir dir)
{
	return (struct spec){ .v6 = o->v6, .held = o->held, .fflags = o->enforceable ? FRAME_ENFORCEABLE : 0, .vlan = o->vlan, .sport = o->sport, .dport = o->dport, .dir = dir,
			      .view = o->view ^ (uint32_t)dir };
}

static void say(struct core *c, const struct one *o, enum dir dir, unsigned flags, uint32_t seq, uint32_t ack, const char *text)
{
	struct spec s = of(o, dir);

	s.flags = flags;
	s.seq = seq;
	s.ack = ack;
	s.p = text;
	s.n = text ? strlen(text) : 0;
	core_send(c, &s);
}

static const char query[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\3www\7example\0\0\1\0\1";

static void begin(struct core *c, const struct one *o)
{
	const char *text = o->kind == HTTP ? "GET /a HTTP/1.1\r\nHost: x\r\n\r\n" : o->kind == SSH ? "SSH-2.0-OpenSSH_9.2\r\n" : "\1\2\3\4 nobody knows this";
	struct spec s = of(o, UP);

	switch (o->kind) {
	case SYN_ONLY:
		say(c, o, UP, TCP_SYN, 100, 0, NULL);
		break;
	case SHAKEN:
	case HTTP:
	case SSH:
	case ODD:
		say(c, o, UP, TCP_SYN, 100, 0, NULL);
		say(c, o, DOWN, TCP_SYN | TCP_ACK, 700, 101, NULL);
		say(c, o, UP, TCP_ACK, 101, 701, NULL);
		if (o->kind != SHAKEN)
			say(c, o, UP, TCP_ACK | TCP_PSH, 101, 701, text);
		break;
	case MIDSTREAM:
		say(c, o, UP, TCP_ACK, 101, 701, NULL);
		break;
	case UDP_DNS:
	case UDP_ODD:
		s.udp = true;
		s.p = o->kind == UDP_DNS ? query : "\xff\xfe odd";
		s.n = o->kind == UDP_DNS ? sizeof query - 1 : 6;
		core_send(c, &s);
		break;
	case ECHO:
		s.icmp = true;
		s.icmp_type = o->v6 ? 128 : 8;
		s.seq = (uint32_t)o->sport << 16;
		core_send(c, &s);
		break;
	case KINDS:
		break;
	}
}

/* A packet of it without anything new. */
static void nudge(struct core *c, const struct one *o)
{
	struct spec s = of(o, UP);

	s.flags = o->kind == SYN_ONLY ? TCP_SYN : TCP_ACK;
	s.seq = o->kind == SYN_ONLY ? 100 : 101;
	s.ack = o->kind == SYN_ONLY ? 0 : 701;
	s.udp = o->kind == UDP_DNS || o->kind == UDP_ODD;
	s.icmp = o->kind == ECHO;
	if (s.icmp) {
		s.icmp_type = o->v6 ? 128 : 8;
		s.seq = (uint32_t)o->sport << 16;
	}
	core_send(c, &s);
}

static struct policy *some_policy(void)
{
	static const struct l7_rule rules[] = {
		{ VERDICT_DENY, "http", { "methods=DELETE" } }, { VERDICT_DROP, "http", { "paths=/b*" } }, { VERDICT_ALERT, "dns", { "names=*.example" } }, { VERDICT_ALLOW, "http", { "methods=GET" } },
		{ VERDICT_DENY, NULL, { NULL } }, { VERDICT_ALLOW, NULL, { NULL } }, { VERDICT_ALERT, NULL, { NULL } }, { VERDICT_DENY, "ssh", { "versions=1*" } },
	};
	static const enum app apps[] = { APP_HTTP, APP_SSH, APP_DNS, APP_UNKNOWN };
	static const enum verdict actions[] = { VERDICT_ALLOW, VERDICT_ALERT, VERDICT_DENY, VERDICT_DROP };
	enum policy_mode mode = below(3) ? MODE_PROTECT : below(2) ? MODE_MONITOR : MODE_DISCOVER;
	uint16_t any = POLICY_GROUP_ANY;
	struct policy_builder *b;
	struct l7_rule some[5];
	struct err err;
	unsigned n = below(4);

	if (below(2)) {
		for (unsigned i = 0; i < n; i++)
			some[i] = rules[below(sizeof rules / sizeof *rules)];
		some[n] = (struct l7_rule)END;
		return l7_policy(mode, some);
	}
	b = policy_begin(mode);
	for (unsigned i = 0; i < n; i++) {
		uint16_t ports[] = { 80, 22, 5000, 53 }, port = ports[below(4)];
		struct port_range pr = { .lo = port, .hi = port };
		struct rule_spec r = { .id = i + 1, .from = &any, .to = &any, .nfrom = 1, .nto = 1, .ports = &pr, .nports = below(3) != 0, .apps = &apps[below(4)], .napps = below(2),
				       .action = actions[below(4)], .mode = below(3) ? RULE_MODE_NONE : (int)below(3) };

		if (policy_add_rule(b, &r, &err))
			CU_FAIL("rule");
	}
	return policy_build(b);
}

static void set_policy(struct core *c, struct policy *p)
{
	dpi_set_policy(c->d, p);
	policy_unref(p);
}

static void judge_all(struct core *c)
{
	while (dpi_judge_anew(c->d, 1 + below(9)))
		;
}

static bool same(const struct flow *a, const struct flow *b)
{
	const unsigned bits = F_ENFORCE | F_STOPPED | F_ALERTED | F_LEARNED | F_APP_KNOWN;

	return a->verdict == b->verdict && a->rule == b->rule && a->reason == b->reason && a->by_facts == b->by_facts && a->refusable == b->refusable && a->policy == b->policy &&
	       (a->bits & bits) == (b->bits & bits) && a->feed == b->feed && a->app == b->app && a->workload[0] == b->workload[0] && a->workload[1] == b->workload[1];
}

static struct flow *entry(struct core *c, unsigned i) { return flow_at(&c->d->flows, i + 1); }

/* Two cores see the same; then one gets packets and the other none. */
static void test_as_by_a_packet(void)
{
	const struct dpi_conf conf = { .max_flows = 64, .memcap = 16 << 20, .midstream = true };
	struct one o[FLOWS];
	unsigned wrong = 0, refused = 0;

	seed = 0x9e3779b97f4a7c15u;
	for (unsigned round = 0; round < ROUNDS; round++) {
		static const uint16_t ports[] = { 80, 22, 5000, 53 };
		struct core a = { .many = true }, b = { .many = true };
		struct policy *p = some_policy();

		core_open(&a, &conf);
		core_open(&b, &conf);
		a.workload[0] = b.workload[0] = 7;
		set_policy(&a, policy_ref(p));
		set_policy(&b, p);
		for (unsigned i = 0; i < FLOWS; i++) {
			o[i] = (struct one){ .kind = (enum kind)below(KINDS), .v6 = below(2), .held = below(2), .sport = (uint16_t)(40000 + i), .dport = ports[below(4)], .view = 10 };
			o[i].enforceable = !o[i].held && below(3);
			o[i].vlan = below(8) ? 0 : 5;
			if (o[i].kind == ECHO)
				o[i].v6 = i & 1;
			begin(&a, &o[i]);
			begin(&b, &o[i]);
		}
		p = some_policy();
		set_policy(&a, policy_ref(p));
		set_policy(&b, p);
		core_forget(&a);
		core_forget(&b);
		judge_all(&a);
		for (unsigned i = 0; i < FLOWS; i++)
			nudge(&b, &o[i]);
		CU_ASSERT_EQUAL(a.d->flows.used, b.d->flows.used);
		for (unsigned i = 0; i < FLOWS; i++) {
			if (entry(&a, i)->state == FLOW_FREE)
				continue;
			refused += flow_refused(entry(&a, i));
			if (!same(entry(&a, i), entry(&b, i)) && !wrong++)
				printf("\nround %u, flow %u of kind %d, held %d, enforceable %d: verdict %u of rule %u, bits %x; by a packet %u of rule %u, bits %x\n", round, i, (int)o[i].kind, o[i].held,
				       o[i].enforceable, entry(&a, i)->verdict, entry(&a, i)->rule, entry(&a, i)->bits, entry(&b, i)->verdict, entry(&b, i)->rule, entry(&b, i)->bits);
		}
		CU_ASSERT_EQUAL(a.told[EV_ALERT], b.told[EV_ALERT]);
		core_close(&a);
		core_close(&b);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(refused > ROUNDS);
}

/* ---- what is told, and how much at once ---- */

static struct policy *action_policy(enum verdict action, uint16_t port)
{
	struct policy_builder *b = policy_begin(MODE_PROTECT);
	uint16_t any = POLICY_GROUP_ANY;
	struct port_range pr = { .lo = port, .hi = port };
	struct rule_spec r = { .id = 20, .from = &any, .to = &any, .nfrom = 1, .nto = 1, .ports = &pr, .nports = 1, .action = action, .mode = RULE_MODE_NONE };
	struct rule_spec rest = { .id = 90, .from = &any, .to = &any, .nfrom = 1, .nto = 1, .action = VERDICT_ALLOW, .mode = RULE_MODE_NONE };
	struct err err;

	if (policy_add_rule(b, &r, &err) || policy_add_rule(b, &rest, &err))
		CU_FAIL("policy");
	return policy_build(b);
}

static void test_told(void)
{
	static const struct { bool held, enforceable; enum verdict action; unsigned told; bool stopped; } t[] = {
		{ true, false, VERDICT_DENY, 1, true }, { true, false, VERDICT_DROP, 0, true }, { false, true, VERDICT_DENY, 1, true }, { false, true, VERDICT_DROP, 1, true },
		{ false, false, VERDICT_DENY, 0, false }, { true, false, VERDICT_ALERT, 0, false },
	};

	for (unsigned i = 0; i < sizeof t / sizeof *t * 2; i++) {
		const struct one o = { .kind = HTTP, .v6 = i & 1, .held = t[i / 2].held, .enforceable = t[i / 2].enforceable, .sport = 40000, .dport = 80, .view = 10 };
		struct core c = { 0 };
		struct flow *f;

		core_open(&c, NULL);
		c.workload[0] = 7;
		c.workload[1] = 8;
		begin(&c, &o);
		set_policy(&c, action_policy(t[i / 2].action, 80));
		f = core_flow(&c);
		CU_ASSERT_EQUAL(f->verdict, VERDICT_ALLOW);
		while (dpi_judge_anew(c.d, 1))
			;
		CU_ASSERT_EQUAL(f->verdict, t[i / 2].action);
		CU_ASSERT(c.told[EV_ALERT] == 1 && c.last[EV_ALERT].enforced == t[i / 2].stopped);
		CU_ASSERT_EQUAL(c.refused, t[i / 2].told);
		CU_ASSERT_EQUAL(flow_hit(f, F_STOPPED) != 0, t[i / 2].stopped);
		CU_ASSERT_EQUAL(core_counter(&c, DPI_C_REFUSED_ANEW), t[i / 2].stopped);
		if (t[i / 2].told) {
			CU_ASSERT(!c.last_refused.frame && c.last_refused.held == t[i / 2].held && c.last_refused.verdict == t[i / 2].action && (c.last_refused.view & ~1u) == 10);
			CU_ASSERT(c.last_refused.workload[0] == 7 && c.last_refused.workload[1] == 8 && c.last_refused.tuple.dport == 80);
			CU_ASSERT(c.last_refused.sent[UP].known && c.last_refused.sent[UP].end == 101 + 28 && c.last_refused.sent[UP].acked == 701);
			CU_ASSERT(c.last_refused.sent[DOWN].known && c.last_refused.sent[DOWN].end == 701 && c.last_refused.sent[DOWN].acked == 101);
		}
		if (t[i / 2].stopped)	/* its entry lives on as one that is stopped */
			CU_ASSERT(f->timer.when <= c.d->now + flow_timeout(f) + SEC);
		/* Allowed again: whoever stops it is told. */
		set_policy(&c, action_policy(VERDICT_ALLOW, 80));
		while (dpi_judge_anew(c.d, 1))
			;
		CU_ASSERT(f->verdict == VERDICT_ALLOW && !flow_hit(f, F_STOPPED));
		CU_ASSERT_EQUAL(c.released, t[i / 2].enforceable);
		core_close(&c);
	}
}

/* Nobody has room for what is refused: the others are judged all the same, and it is told when there is some. */
static void test_no_room(void)
{
	const struct one o[] = { { .kind = SHAKEN, .enforceable = true, .sport = 40000, .dport = 80, .view = 10 }, { .kind = SHAKEN, .enforceable = true, .sport = 40001, .dport = 80, .view = 10 },
				 { .kind = SHAKEN, .enforceable = true, .sport = 40002, .dport = 81, .view = 10 } };
	struct core c = { .no_room = true, .many = true };

	core_open(&c, NULL);
	for (unsigned i = 0; i < 3; i++)
		begin(&c, &o[i]);
	set_policy(&c, action_policy(VERDICT_DENY, 80));
	for (unsigned i = 0; i < 20; i++)
		CU_ASSERT(dpi_judge_anew(c.d, 64));
	CU_ASSERT(entry(&c, 0)->verdict == VERDICT_DENY && entry(&c, 1)->verdict == VERDICT_DENY && entry(&c, 2)->policy == c.d->policy_version);
	CU_ASSERT(c.refused == 0 && !flow_hit(entry(&c, 0), F_STOPPED));
	nudge(&c, &o[1]);	/* which tells it by itself */
	CU_ASSERT_EQUAL(c.refused, 1);
	c.no_room = false;
	while (dpi_judge_anew(c.d, 64))
		;
	CU_ASSERT(c.refused == 2 && flow_hit(entry(&c, 0), F_STOPPED) && flow_hit(entry(&c, 1), F_STOPPED) && c.told[EV_ALERT] == 2);
	core_close(&c);
}

/* A call does what it may, and a policy that comes in the middle begins anew. Flows that are over are not asked about. */
static void test_bounds(void)
{
	struct dpi_conf conf = { .max_flows = 4096, .memcap = 64 << 20, .midstream = true };
	struct core c = { .many = true };
	unsigned calls = 0;

	core_open(&c, &conf);
	for (unsigned i = 0; i < 2000; i++)
		begin(&c, &(struct one){ .kind = SYN_ONLY, .held = true, .sport = (uint16_t)(20000 + i), .dport = 80 });
	say(&c, &(struct one){ .held = true, .sport = 20000, .dport = 80 }, DOWN, TCP_RST | TCP_ACK, 0, 101, NULL);
	CU_ASSERT_FALSE(dpi_judge_anew(c.d, 10));
	set_policy(&c, action_policy(VERDICT_DENY, 443));
	for (bool more = true; more && calls < 100; calls++) {
		uint64_t before = core_counter(&c, DPI_C_JUDGED_ANEW);

		more = dpi_judge_anew(c.d, 10);
		CU_ASSERT(core_counter(&c, DPI_C_JUDGED_ANEW) - before <= 10);
	}
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_JUDGED_ANEW), 1000);
	set_policy(&c, action_policy(VERDICT_DENY, 80));
	for (calls = 0; dpi_judge_anew(c.d, 16); calls++)
		;
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_JUDGED_ANEW), 1000 + 2000 - 1);
	CU_ASSERT_EQUAL(c.refused, 2000 - 1);
	CU_ASSERT(calls >= 1999 && calls < 1999 + 125 + 20);	/* one that is told is a call's worth */
	core_close(&c);
}

/* Refused for a request: not made good by a switch of paths, nor by the same policy once more (somebody's quarantine), nor by its own quarantine, nor by
 * another that may refuse such a request, but by one that does not. */
static void test_refused_for_a_request(void)
{
	static const struct l7_rule refuses[] = { { VERDICT_DROP, "http", { "paths=/a*" } }, { VERDICT_ALLOW, NULL, { NULL } }, END }, others[] = { { VERDICT_ALLOW, "http", { "methods=PUT" } }, { VERDICT_DENY, "http", { "paths=/b*" } }, { VERDICT_ALLOW, NULL, { NULL } }, END }, allows[] = { { VERDICT_ALLOW, NULL, { NULL } }, END };

	for (unsigned i = 0; i < 12; i++) {
		const struct one o = { .kind = HTTP, .v6 = i & 1, .held = i & 2, .enforceable = !(i & 2), .sport = 40000, .dport = 80, .view = 10 };
		struct policy *p = l7_policy(MODE_PROTECT, refuses);
		struct spec again = of(&o, UP);
		struct core c = { 0 };
		struct flow *f;
		unsigned told;

		core_open(&c, NULL);
		set_policy(&c, policy_ref(p));
		begin(&c, &o);
		f = core_flow(&c);
		CU_ASSERT(f->verdict == VERDICT_DROP && c.told[EV_ALERT] == 1);
		again.flags = TCP_ACK | TCP_PSH;
		again.seq = 101;
		again.ack = 701;
		again.p = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
		again.n = strlen(again.p);
		if (i & 4) {
			dpi_set_epoch(c.d, c.d->now, 0);
		} else {
			set_policy(&c, policy_ref(p));
			while (dpi_judge_anew(c.d, 1))
				;
		}
		if (i & 8) {
			c.quarantined = true;
			set_policy(&c, policy_ref(p));
			while (dpi_judge_anew(c.d, 1))
				;
			CU_ASSERT_EQUAL(core_send(&c, &again), VERDICT_DROP);
			c.quarantined = false;
			set_policy(&c, policy_ref(p));
		}
		CU_ASSERT_EQUAL(core_send(&c, &again), VERDICT_DROP);
		CU_ASSERT(f->verdict == VERDICT_DROP && c.told[EV_ALERT] == 1 && c.released == 0);
		told = c.refused;
		set_policy(&c, l7_policy(MODE_PROTECT, others));
		while (dpi_judge_anew(c.d, 1))
			;
		CU_ASSERT(c.refused == told + !(i & 2) && flow_hit(f, F_STOPPED));
		CU_ASSERT_EQUAL(core_send(&c, &again), VERDICT_DROP);
		CU_ASSERT(f->verdict == VERDICT_DROP && c.told[EV_ALERT] == 1 && c.released == 0);
		set_policy(&c, l7_policy(MODE_PROTECT, allows));
		dpi_set_epoch(c.d, c.d->now, 0);
		CU_ASSERT_EQUAL(core_send(&c, &again), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(c.released, !(i & 2));
		core_close(&c);
		policy_unref(p);
	}
}

/* Its numbers were forgotten while it went by. */
static void test_came_back(void)
{
	const struct one o = { .kind = HTTP, .held = true, .sport = 40000, .dport = 80, .view = 10 };
	struct core c = { 0 };
	struct dpi_decided who;

	core_open(&c, NULL);
	begin(&c, &o);
	who = (struct dpi_decided){ .flow = core_flow(&c), .flow_id = core_flow(&c)->id };
	core_flow(&c)->tracked = 1;
	CU_ASSERT(dpi_flow_away(c.d, &who, true));
	CU_ASSERT(dpi_flow_away(c.d, &who, false));
	set_policy(&c, action_policy(VERDICT_DENY, 80));
	while (dpi_judge_anew(c.d, 1))
		;
	CU_ASSERT(c.refused == 1 && !c.last_refused.sent[UP].known && !c.last_refused.sent[DOWN].known);
	core_close(&c);
}

const struct unit_test tests_anew[] = {
	{ "judged as by a packet", test_as_by_a_packet },
	{ "what is told", test_told },
	{ "no room", test_no_room },
	{ "bounds of a call", test_bounds },
	{ "refused for a request", test_refused_for_a_request },
	{ "came back", test_came_back },
	{ NULL, NULL },
};
