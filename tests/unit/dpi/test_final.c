/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When the rest of a flow may go by, and what becomes of it meanwhile. */
#include <CUnit/CUnit.h>
#include <string.h>

#include <netinet/in.h>

#include "tests/unit/dpi/coretest.h"
#include "tests/unit/unit.h"

#define UP DIR_TOSERVER
#define DOWN DIR_TOCLIENT
#define QUIET (UINT64_C(1) << EV_FLOW | UINT64_C(1) << EV_ALERT)

/* ---- the decision, for everything that it is asked with ---- */

static bool needs_nothing(const struct final_in *in)
{
	bool refused = (in->verdict == VERDICT_DENY || in->verdict == VERDICT_DROP) && in->enforced;

	if (!in->counted || in->carries)
		return false;
	if (refused)
		return in->verdict == VERDICT_DROP || in->refusals >= FINAL_REFUSALS;
	if (in->verdict == VERDICT_PENDING || in->by_facts || !in->app_known || in->sought || in->anomalies_taken)
		return false;
	return !in->parsed || (in->for_events && !in->events_taken && !in->learned && in->answered);
}

static void test_every_case(void)
{
	unsigned yes = 0, why[FINAL_COUNT] = { 0 };

	for (unsigned bits = 0; bits < 1u << 13; bits++) {
		for (unsigned v = 0; v < VERDICT_COUNT; v++) {
			struct final_in in = {
				.verdict = (enum verdict)v, .enforced = bits & 1, .refusals = bits & 2 ? FINAL_REFUSALS : FINAL_REFUSALS - 1,
				.counted = bits >> 2 & 1, .carries = bits >> 3 & 1, .app_known = bits >> 4 & 1, .by_facts = bits >> 5 & 1,
				.sought = bits >> 6 & 1, .parsed = bits >> 7 & 1, .for_events = bits >> 8 & 1, .events_taken = bits >> 9 & 1,
				.anomalies_taken = bits >> 10 & 1, .answered = bits >> 11 & 1, .learned = bits >> 12 & 1,
			};
			enum final f = final_of(&in);

			if ((f == FINAL_YES) != needs_nothing(&in))
				CU_FAIL("a case is decided wrongly");
			yes += f == FINAL_YES;
			why[f]++;
		}
	}
	CU_ASSERT(yes > 0);
	for (unsigned f = 0; f < FINAL_COUNT; f++)
		CU_ASSERT(why[f] > 0);
	CU_ASSERT(final_of(&(struct final_in){ .verdict = VERDICT_ALLOW }) != FINAL_YES);	/* of nothing known */
}

/* ---- in the core ---- */

struct talk {
	struct core c;
	bool v6;
	unsigned fflags;
	uint32_t up, down, label;
	uint16_t vlan;
};

static bool final_now(const struct talk *t) { return t->c.answer.flags & ANSWER_FINAL; }

static enum verdict say(struct talk *t, enum dir dir, unsigned flags, const char *text)
{
	size_t n = strlen(text);
	uint32_t *seq = dir == UP ? &t->up : &t->down, *other = dir == UP ? &t->down : &t->up;
	enum verdict v = core_send(&t->c, &(struct spec){ .dir = dir, .v6 = t->v6, .flags = flags, .seq = *seq, .ack = flags & TCP_ACK ? *other : 0, .p = n ? text : NULL,
							  .n = n, .held = true, .path = 2, .fflags = t->fflags, .vlan = t->vlan, .label = t->label });

	*seq += (uint32_t)n + (flags & (TCP_SYN | TCP_FIN) ? 1 : 0);
	return v;
}

static void begin(struct talk *t, bool v6, unsigned fflags, uint64_t mask)
{
	*t = (struct talk){ .v6 = v6, .fflags = fflags, .up = 100, .down = 7000 };
	core_open(&t->c, NULL);
	dpi_set_event_mask(t->c.d, mask);
	say(t, UP, TCP_SYN, "");
	say(t, DOWN, TCP_SYN | TCP_ACK, "");
	say(t, UP, TCP_ACK, "");
	CU_ASSERT(!final_now(t));
}

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK_200 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static void test_http(void)
{
	static const struct { unsigned fflags; uint64_t mask; bool final; const char *why; } rows[] = {
		{ FRAME_TRACKED, QUIET, true, NULL },
		{ FRAME_TRACKED, QUIET | UINT64_C(1) << EV_TLS | UINT64_C(1) << EV_DNS, true, NULL },
		{ FRAME_TRACKED, QUIET | UINT64_C(1) << EV_HTTP, false, "events of its protocol are taken" },
		{ FRAME_TRACKED, QUIET | UINT64_C(1) << EV_ANOMALY, false, "anomaly events are taken" },
		{ 0, QUIET, false, "the kernel does not count it from its beginning on" },
	};

	for (int v6 = 0; v6 < 2; v6++) {
		for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
			struct dpi_decided w;
			struct talk t;

			begin(&t, v6, rows[i].fflags, rows[i].mask);
			say(&t, UP, TCP_ACK, GET);
			CU_ASSERT(!final_now(&t));	/* what answers may be another protocol */
			say(&t, DOWN, TCP_ACK, OK_200);
			CU_ASSERT_EQUAL(final_now(&t), rows[i].final);
			CU_ASSERT_EQUAL(dpi_decided(t.c.d, &w), rows[i].final);
			if (rows[i].final) {
				CU_ASSERT(w.flow_id == core_flow(&t.c)->id && w.tuple.sport == 40000 && w.tuple.dport == 80 && !w.stops);
			} else {
				CU_ASSERT_STRING_EQUAL(final_text(away_why(t.c.d, core_flow(&t.c))), rows[i].why);
			}
			core_close(&t.c);
		}
	}
}

/* Of what hands over nothing is final while the other protocol is sought; and nothing is once it may carry other packets or was not held. */
static void test_connect_is_not_final(void)
{
	struct talk t;

	begin(&t, false, FRAME_TRACKED, QUIET);
	say(&t, UP, TCP_ACK, "CONNECT a:22 HTTP/1.1\r\nHost: a\r\n\r\n");
	say(&t, DOWN, TCP_ACK, "HTTP/1.1 200 OK\r\n\r\n");
	CU_ASSERT(!final_now(&t));
	say(&t, DOWN, TCP_ACK, "SSH-2.0-x\r\n");
	CU_ASSERT_EQUAL(core_flow(&t.c)->app, APP_SSH);
	CU_ASSERT(!final_now(&t));
	core_close(&t.c);
}

static void test_unknown_app(void)
{
	struct talk t;

	begin(&t, true, FRAME_TRACKED, QUIET);
	for (int i = 0; i < 40 && !final_now(&t); i++)
		say(&t, i & 1 ? DOWN : UP, TCP_ACK, "\x01\x02\x03 nothing that anybody knows, again and again, until its time is over: 0123456789");
	CU_ASSERT(final_now(&t) && flow_hit(core_flow(&t.c), F_APP_KNOWN) && core_flow(&t.c)->app == APP_UNKNOWN);
	core_close(&t.c);
}

static struct dpi_decided decided(struct talk *t, bool v6)
{
	struct dpi_decided w = { NULL };

	begin(t, v6, FRAME_TRACKED, QUIET);
	say(t, UP, TCP_ACK, GET);
	say(t, DOWN, TCP_ACK, OK_200);
	CU_ASSERT_FATAL(dpi_decided(t->c.d, &w));
	CU_ASSERT(dpi_flow_away(t->c.d, &w, true));
	CU_ASSERT_EQUAL(t->c.d->flows_away, 1);
	CU_ASSERT(core_flow(&t->c)->away && core_flow(&t->c)->feed == FEED_OFF);
	return w;
}

/* The kernel's numbers take the place of ours; the flow lives as long as they are told, and ends as TCP ends. */
static void test_counted(void)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct talk t;
		struct dpi_decided w = decided(&t, v6);
		struct dpi_counted n = { .pkts = { 50, 900 }, .bytes = { 5000, 1350000 } };

		say(&t, UP, TCP_ACK, GET);	/* was on its way when the flow went */
		CU_ASSERT(!final_now(&t));
		CU_ASSERT_EQUAL(core_flow(&t.c)->pkts[UP], 4);
		for (int i = 0; i < 100; i++) {	/* 100 hours */
			core_tick(&t.c, 3590 * SEC);
			CU_ASSERT(dpi_flow_counted(t.c.d, &w, &n));
		}
		CU_ASSERT_EQUAL(core_flows(&t.c), 1);
		CU_ASSERT(core_flow(&t.c)->pkts[UP] == 50 && core_flow(&t.c)->bytes[DOWN] == 1350000);
		n.pkts[UP] = 52;
		n.closed = true;
		CU_ASSERT(dpi_flow_counted(t.c.d, &w, &n));
		CU_ASSERT_EQUAL(core_flow(&t.c)->state, FLOW_CLOSED);
		n.pkts[DOWN] = 901;		/* the last acknowledgement */
		CU_ASSERT(dpi_flow_counted(t.c.d, &w, &n));
		CU_ASSERT_EQUAL(t.c.told[EV_FLOW], 0);
		core_tick(&t.c, 5 * SEC);
		CU_ASSERT_EQUAL(t.c.told[EV_FLOW], 1);
		CU_ASSERT_PTR_NOT_NULL(strstr(t.c.text, "\"pkts_toserver\":52,\"pkts_toclient\":901"));
		CU_ASSERT_PTR_NOT_NULL(strstr(t.c.text, "\"reason\":\"closed\""));
		CU_ASSERT_EQUAL(t.c.d->flows_away, 0);
		CU_ASSERT(!dpi_flow_counted(t.c.d, &w, &n) && !dpi_flow_away(t.c.d, &w, false));	/* it is over */
		core_close(&t.c);
	}
}

/* It comes back: its app is known still, requests are parsed from the next one on, and numbers are the kernel's. */
static void test_back(void)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct talk t;
		struct dpi_decided w = decided(&t, v6);
		struct dpi_counted n = { .pkts = { 30, 40 }, .bytes = { 3000, 4000 } };

		t.up += 123456;		/* what went by */
		t.down += 7654321;
		CU_ASSERT(dpi_flow_away(t.c.d, &w, false));
		dpi_set_event_mask(t.c.d, ~UINT64_C(0));
		CU_ASSERT_EQUAL(core_flow(&t.c)->app, APP_HTTP);
		CU_ASSERT(dpi_flow_counted(t.c.d, &w, &n));
		for (unsigned i = 1; i < 4; i++) {
			say(&t, UP, TCP_ACK, GET);
			say(&t, DOWN, TCP_ACK, OK_200);
			CU_ASSERT_EQUAL(t.c.told[EV_HTTP], i);
		}
		CU_ASSERT_EQUAL(core_flow(&t.c)->pkts[UP], 33);
		CU_ASSERT_EQUAL(core_flow(&t.c)->app, APP_HTTP);
		CU_ASSERT_EQUAL(t.c.told[EV_ANOMALY], 0);
		dpi_set_event_mask(t.c.d, QUIET);	/* nobody asks any more: it may go again */
		say(&t, UP, TCP_ACK, GET);
		say(&t, DOWN, TCP_ACK, OK_200);
		CU_ASSERT(final_now(&t));
		core_close(&t.c);
	}
}

/* A new connection on its ports, another path: it is back by itself. */
static void test_back_by_itself(void)
{
	struct talk t;
	struct dpi_decided w = decided(&t, false);
	struct dpi_counted n = { .pkts = { 30, 40 } };

	say(&t, UP, TCP_SYN, "");
	CU_ASSERT_EQUAL(t.c.d->flows_away, 0);
	core_close(&t.c);

	w = decided(&t, true);
	t.fflags = 0;
	say(&t, UP, TCP_ACK, GET);	/* from where nothing is counted */
	CU_ASSERT_EQUAL(t.c.d->flows_away, 0);
	CU_ASSERT(!dpi_flow_counted(t.c.d, &w, &n));
	CU_ASSERT_EQUAL(core_flow(&t.c)->pkts[UP], 4);
	core_close(&t.c);

	w = decided(&t, true);
	dpi_flow_lost(t.c.d, &w);
	CU_ASSERT_EQUAL(t.c.d->flows_away, 0);
	CU_ASSERT(!dpi_flow_away(t.c.d, &w, true) || !core_flow(&t.c)->tracked);
	core_close(&t.c);
}

/* ---- policies ---- */

/* Copies: what is told of it comes on top of what still comes here, of a flow of any beginning. */
static void test_counted_beside(void)
{
	for (int how = 0; how < 3; how++) {	/* it ends by FIN, by RST, by age */
		struct dpi_counted c = { .beside = true, .pkts = { 5, 9 }, .bytes = { 500, 9000 } };
		struct dpi_decided w;
		const struct flow *f;
		struct talk t;

		begin(&t, how & 1, FRAME_SHUNTABLE, QUIET);
		say(&t, UP, TCP_ACK, GET);
		CU_ASSERT_FALSE(final_now(&t));
		say(&t, DOWN, TCP_ACK, OK_200);
		CU_ASSERT(final_now(&t) && dpi_decided(t.c.d, &w) && w.app == APP_HTTP);
		f = core_flow(&t.c);
		CU_ASSERT(f->pkts[UP] == 3 && f->pkts[DOWN] == 2 && w.bytes == f->bytes[UP] + f->bytes[DOWN]);
		CU_ASSERT_FALSE(dpi_flow_counted(t.c.d, &w, &c));	/* it is here */
		dpi_flow_away(t.c.d, &w, true);
		CU_ASSERT(dpi_flow_is_away(t.c.d, &w));
		say(&t, DOWN, TCP_ACK, "was on its way here");
		CU_ASSERT(dpi_flow_is_away(t.c.d, &w) && f->pkts[DOWN] == 3);
		CU_ASSERT(dpi_flow_counted(t.c.d, &w, &c) && dpi_flow_counted(t.c.d, &w, &c));
		CU_ASSERT(f->pkts[UP] == 13 && f->pkts[DOWN] == 21 && f->bytes[UP] + f->bytes[DOWN] > 19000);
		if (how < 2) {
			c = (struct dpi_counted){ .beside = true, .closed = true, .reset = how == 1 };
			CU_ASSERT(dpi_flow_counted(t.c.d, &w, &c) && f->state == FLOW_CLOSED && f->pkts[UP] == 13);
		} else {
			t.c.now += INT64_C(3600) * SEC * 24;
			dpi_tick(t.c.d, t.c.now);
			CU_ASSERT_FALSE(dpi_flow_is_away(t.c.d, &w) || dpi_flow_counted(t.c.d, &w, &c));
		}
		core_close(&t.c);
	}
}

/* Copies are told apart by their tuple alone: what has one behind a tag or a label must not let another flow by. */
static void test_tuple_of_another(void)
{
	for (int how = 0; how < 6; how++) {
		struct talk t = { .v6 = how & 1, .fflags = FRAME_SHUNTABLE, .up = 100, .down = 7000, .vlan = how / 2 == 1 ? 7 : 0, .label = how / 2 == 2 ? 16 : 0 };

		core_open(&t.c, NULL);
		dpi_set_event_mask(t.c.d, QUIET);
		say(&t, UP, TCP_SYN, "");
		say(&t, DOWN, TCP_SYN | TCP_ACK, "");
		say(&t, UP, TCP_ACK, GET);
		say(&t, DOWN, TCP_ACK, OK_200);
		CU_ASSERT(core_flow(&t.c)->app == APP_HTTP && final_now(&t) == (how < 2));
		core_close(&t.c);
	}
}

struct row { enum app app; enum verdict action; };

static void set_policy(struct core *c, const struct row *rows, unsigned n)
{
	struct policy_builder *b = policy_begin(MODE_PROTECT);
	uint16_t any = POLICY_GROUP_ANY;
	struct policy *p;
	struct err err;

	for (unsigned i = 0; i < n; i++) {
		struct rule_spec r = { .id = 20 + i, .from = &any, .to = &any, .nfrom = 1, .nto = 1, .apps = &rows[i].app, .napps = rows[i].app != APP_UNKNOWN, .action = rows[i].action,
				       .mode = RULE_MODE_NONE };

		CU_ASSERT_FATAL(policy_add_rule(b, &r, &err) == 0);
	}
	p = policy_build(b);
	dpi_set_policy(c->d, p);
	policy_unref(p);
}

/* HTTP may pass whatever it carries; or what it may turn out to carry is told apart. */
static void test_rules_for_apps(void)
{
	static const struct row plain[] = { { APP_HTTP, VERDICT_ALLOW }, { APP_UNKNOWN, VERDICT_DENY } };
	static const struct row apart[] = { { APP_WEBSOCKET, VERDICT_DENY }, { APP_HTTP, VERDICT_ALLOW } };

	for (int i = 0; i < 2; i++) {
		struct talk t;

		begin(&t, i, FRAME_TRACKED, QUIET);
		set_policy(&t.c, i ? apart : plain, 2);
		say(&t, UP, TCP_ACK, GET);
		CU_ASSERT_EQUAL(core_flow(&t.c)->verdict, VERDICT_ALLOW);
		say(&t, DOWN, TCP_ACK, OK_200);
		CU_ASSERT_EQUAL(final_now(&t), i == 0);
		CU_ASSERT_STRING_EQUAL(final_text(away_why(t.c.d, core_flow(&t.c))), i ? "rules ask for single requests of it" : "nothing");
		core_close(&t.c);
	}
}

/* What no rule speaks of, in mode discover: its requests are learned, where somebody does. */
static void test_learned(void)
{
	for (int learns = 0; learns < 2; learns++) {
		struct policy_builder *b = policy_begin(MODE_DISCOVER);
		struct policy *p = policy_build(b);
		struct talk t;

		begin(&t, learns, FRAME_TRACKED, QUIET | (learns ? UINT64_C(1) << EV_LEARN : 0));
		dpi_set_policy(t.c.d, p);
		policy_unref(p);
		say(&t, UP, TCP_ACK, GET);
		say(&t, DOWN, TCP_ACK, OK_200);
		CU_ASSERT_EQUAL(final_now(&t), !learns);
		CU_ASSERT_STRING_EQUAL(final_text(away_why(t.c.d, core_flow(&t.c))), learns ? "its requests are learned (mode discover)" : "nothing");
		core_close(&t.c);
	}
}

/* A refused flow is answered some times, then dropped by the kernel; one that is dropped silently at once. */
static void test_refused(void)
{
	static const struct row deny[] = { { APP_HTTP, VERDICT_DENY }, { APP_UNKNOWN, VERDICT_ALLOW } }, drop[] = { { APP_HTTP, VERDICT_DROP }, { APP_UNKNOWN, VERDICT_ALLOW } };

	for (int silent = 0; silent < 2; silent++) {
		unsigned told = 0;
		struct dpi_decided w;
		struct talk t;

		begin(&t, silent, FRAME_TRACKED, QUIET);
		set_policy(&t.c, silent ? drop : deny, 2);
		do
			say(&t, UP, TCP_ACK, GET);
		while (!final_now(&t) && ++told < 20);
		CU_ASSERT_EQUAL(t.c.answer.verdict, silent ? VERDICT_DROP : VERDICT_DENY);
		CU_ASSERT_EQUAL(told, silent ? 0 : FINAL_REFUSALS);
		CU_ASSERT(dpi_decided(t.c.d, &w) && w.stops);
		CU_ASSERT(dpi_flow_away(t.c.d, &w, true));
		CU_ASSERT(verdict_stops(say(&t, UP, TCP_ACK, GET)));
		/* nobody sends any more: it goes, though the kernel knows it for days */
		for (int i = 0; i < 100; i++) {
			struct dpi_counted n = { .pkts = { 12, 1 } };

			dpi_flow_counted(t.c.d, &w, &n);
			core_tick(&t.c, SEC);
		}
		CU_ASSERT_EQUAL(core_flows(&t.c), 0);
		core_close(&t.c);
	}
}

/* Another policy: what is away is brought back and judged at its next packet. */
static void test_another_policy(void)
{
	static const struct row deny[] = { { APP_HTTP, VERDICT_DENY }, { APP_UNKNOWN, VERDICT_ALLOW } };
	struct talk t;
	struct dpi_decided w = decided(&t, false);

	dpi_flow_away(t.c.d, &w, false);
	set_policy(&t.c, deny, 2);
	t.up += 999;
	CU_ASSERT_EQUAL(say(&t, UP, TCP_ACK, GET), VERDICT_DENY);
	core_close(&t.c);
}

const struct unit_test tests_final[] = {
	{ "every case", test_every_case },
	{ "http: its events, anomalies, uncounted", test_http },
	{ "what CONNECT carries is not final", test_connect_is_not_final },
	{ "an app that is given up", test_unknown_app },
	{ "away: counted, alive, closed", test_counted },
	{ "away: counted beside what comes", test_counted_beside },
	{ "away: the tuple of another flow", test_tuple_of_another },
	{ "back: app kept, requests parsed", test_back },
	{ "back by itself", test_back_by_itself },
	{ "rules that tell apps apart", test_rules_for_apps },
	{ "learned in mode discover", test_learned },
	{ "refused", test_refused },
	{ "another policy", test_another_policy },
	{ NULL, NULL },
};
