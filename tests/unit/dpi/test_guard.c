/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who counts: owners, views, two paths during a switch; and what the policy's verdict does to held and other frames. */
#include <CUnit/CUnit.h>
#include <string.h>

#include "tests/unit/dpi/coretest.h"
#include "tests/unit/unit.h"

#define UP DIR_TOSERVER
#define DOWN DIR_TOCLIENT
enum { TC = 1, NFQ = 2 };

/* ---- owner ---- */

static enum dpi_own nfq_owns(struct core *c, const struct frame *f)
{
	(void)c;
	return f->path == NFQ ? OWN_YES : OWN_NO;
}

static enum dpi_own switching(struct core *c, const struct frame *f)
{
	(void)c;
	return f->path == NFQ ? OWN_YES : OWN_OVERLAP;
}

static void test_owner(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	c.owner = nfq_owns;
	CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 1, .path = TC }), VERDICT_ALLOW);
	CU_ASSERT_EQUAL(core_flows(&c), 0);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_GUARD_DROPPED), 1);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_INSPECTED), 0);
	core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 1, .path = NFQ });
	CU_ASSERT_EQUAL(c.asked_owner, 2);
	for (int i = 0; i < 5; i++)
		core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 1, .path = NFQ });
	CU_ASSERT_EQUAL(c.asked_owner, 2);	/* once per flow */
	core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 1, .path = TC });
	CU_ASSERT_EQUAL(c.asked_owner, 3);	/* another path */
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], 6);
	dpi_set_epoch(c.d, c.now, 0);
	core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 1, .path = NFQ });
	CU_ASSERT_EQUAL(c.asked_owner, 4);	/* another epoch */
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_GUARD_DROPPED), 2);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_INSPECTED), 7);
	core_close(&c);
}

/* ---- the witness ---- */

/* What leaves the workload went through its queue first. */
static enum dpi_own queue_first(struct core *c, const struct frame *f)
{
	(void)c;
	return f->path == NFQ ? OWN_YES : f->flags & FRAME_LEAVING ? OWN_SHOWN : OWN_NO;
}

static void ticks(struct core *c, unsigned n)
{
	while (n--)
		core_tick(c, SEC / 20);
}

static unsigned bypasses(const struct core *c)
{
	unsigned n = 0;

	for (const char *p = c->text; p && (p = strstr(p, "\"event\":\"bypass\"")); p++)
		n++;
	return n;
}

#define MIRROR_SYN(s) { .flags = TCP_SYN, .seq = s, .path = TC, .view = 10, .fflags = FRAME_LEAVING | FRAME_CSUM_VALID }
#define QUEUE_SYN(s) { .flags = TCP_SYN, .seq = s, .path = NFQ, .held = true, .fflags = FRAME_LEAVING | FRAME_CSUM_VALID }

/* The queue was never shown it: told within two ticks, with its handshake, and the rest of it is taken from the mirror. */
static void test_bypass(void)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct core c = { 0 };
		struct spec syn = MIRROR_SYN(100);

		core_open(&c, NULL);
		c.owner = queue_first;
		syn.v6 = v6;
		core_send(&c, &syn);
		core_send(&c, &syn);	/* sent again */
		core_send(&c, &(struct spec){ .v6 = v6, .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101, .path = TC, .view = 11 });
		ticks(&c, 1);
		CU_ASSERT_EQUAL(bypasses(&c), 0);
		CU_ASSERT_EQUAL(core_flows(&c), 0);
		ticks(&c, 1);
		CU_ASSERT_EQUAL(bypasses(&c), 1);
		CU_ASSERT_EQUAL(core_counter(&c, DPI_C_BYPASS), 1);
		CU_ASSERT_EQUAL(core_flow(&c)->state, FLOW_OPENING);
		core_send(&c, &(struct spec){ .v6 = v6, .flags = TCP_ACK, .seq = 101, .ack = 701, .path = TC, .view = 10, .fflags = FRAME_LEAVING, .p = "GET / HTTP/1.1\r\n\r\n", .n = 18 });
		CU_ASSERT_EQUAL(core_flow(&c)->app, APP_HTTP);
		dpi_set_epoch(c.d, c.now, 0);	/* whoever asks anew: still taken here */
		core_send(&c, &(struct spec){ .v6 = v6, .dir = DOWN, .flags = TCP_ACK, .seq = 701, .ack = 119, .path = TC, .view = 11, .p = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", .n = 38 });
		CU_ASSERT_EQUAL(c.told[EV_HTTP], 1);
		ticks(&c, 10);
		CU_ASSERT_EQUAL(bypasses(&c), 1);
		/* its queue has it again: what the mirror shows is a copy */
		core_send(&c, &(struct spec){ .v6 = v6, .flags = TCP_ACK, .seq = 119, .ack = 739, .path = NFQ, .held = true, .fflags = FRAME_LEAVING });
		CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], 3);
		core_send(&c, &(struct spec){ .v6 = v6, .flags = TCP_ACK, .seq = 119, .ack = 739, .path = TC, .view = 10, .fflags = FRAME_LEAVING });
		CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], 3);
		CU_ASSERT_PTR_NULL(c.d->witness.entry);
		core_close(&c);
	}
}

/* The queue showed it, before or a little later, or under another port: nothing is told. */
static void test_no_bypass(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	c.owner = queue_first;
	core_send(&c, &(struct spec)QUEUE_SYN(100));
	core_send(&c, &(struct spec)MIRROR_SYN(100));
	CU_ASSERT_EQUAL(c.d->witness.used, 0);	/* the usual case costs nothing */
	ticks(&c, 5);
	core_close(&c);

	core_open(&c, NULL);
	c.owner = queue_first;
	core_send(&c, &(struct spec)MIRROR_SYN(100));
	ticks(&c, 1);
	core_send(&c, &(struct spec)QUEUE_SYN(100));
	ticks(&c, 5);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_BYPASS), 0);
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], 1);
	/* translated inside the workload: the mirror shows another port of its own, but the same number to the same end */
	core_send(&c, &(struct spec){ .sport = 41000, .flags = TCP_SYN, .seq = 100, .path = TC, .view = 10, .fflags = FRAME_LEAVING });
	ticks(&c, 5);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_BYPASS), 0);
	/* what enters may never get as far as the queue */
	core_send(&c, &(struct spec){ .sport = 42000, .flags = TCP_SYN, .seq = 5, .path = TC, .view = 11, .fflags = FRAME_ENTERING });
	ticks(&c, 5);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_BYPASS), 0);
	CU_ASSERT_EQUAL(bypasses(&c), 0);
	/* the same ports with another number: not what the queue showed */
	core_send(&c, &(struct spec)MIRROR_SYN(9100));
	ticks(&c, 3);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_BYPASS), 1);
	core_close(&c);
}

/* The mirror shows the answer to a connection whose ports are used again by then, with a thousand others before it and thousands behind it:
 * its queue had it. */
static void ports_again(bool v6)
{
	struct spec answer = { .v6 = v6, .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101, .path = NFQ, .held = true, .fflags = FRAME_LEAVING | FRAME_CSUM_VALID };
	struct spec other = QUEUE_SYN(0);
	struct core c = { 0 };

	other.sport = 1000;
	other.v6 = v6;
	core_open(&c, NULL);
	c.owner = queue_first;
	for (unsigned i = 0; i < 2; i++) {
		core_send(&c, &(struct spec){ .v6 = v6, .flags = TCP_SYN, .seq = 100, .path = NFQ, .held = true, .fflags = FRAME_ENTERING | FRAME_CSUM_VALID });
		answer.seq = 700 + i;
		core_send(&c, &answer);
		core_send(&c, &(struct spec){ .v6 = v6, .flags = TCP_RST, .seq = 101, .path = NFQ, .held = true, .fflags = FRAME_ENTERING | FRAME_CSUM_VALID });
	}
	for (unsigned i = 0; i < 5000; i++) {
		if (i == 1000)
			core_send(&c, &(struct spec){ .v6 = v6, .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101, .path = TC, .view = 10, .fflags = FRAME_LEAVING | FRAME_CSUM_VALID });
		other.seq = 9000 + i;
		core_send(&c, &other);
	}
	CU_ASSERT_EQUAL(core_flows(&c), 2);
	ticks(&c, 5);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_BYPASS), 0);
	CU_ASSERT_PTR_NULL(c.d->witness.entry);
	core_close(&c);
}

static void test_no_bypass_ports_again(void)
{
	ports_again(false);
	ports_again(true);
}

/* Many at once: bounded, counted, told at most so often a second. */
static void test_bypass_flood(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	c.owner = queue_first;
	for (unsigned i = 0; i < 5000; i++) {
		struct spec syn = MIRROR_SYN(100 + i);

		syn.sport = (uint16_t)(1000 + i);
		core_send(&c, &syn);
	}
	ticks(&c, 3);
	CU_ASSERT(core_counter(&c, DPI_C_WITNESS_CAP) > 4000);
	CU_ASSERT(core_counter(&c, DPI_C_BYPASS) > 50);
	CU_ASSERT(bypasses(&c) >= 50 && bypasses(&c) <= 2 * ANOMALIES_A_SECOND);
	CU_ASSERT(mem_used(c.d->mem) <= flow_table_bytes(&c.d->flows) + MEM_PIECE_MAX);
	core_tick(&c, 300 * SEC);
	core_tick(&c, SEC);
	core_tick(&c, 300 * SEC);
	CU_ASSERT_PTR_NULL(c.d->witness.entry);
	core_close(&c);
}

/* ---- views ---- */

static void test_views(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	for (int i = 0; i < 10; i++) {
		core_send(&c, &(struct spec){ .udp = true, .p = "q", .n = 1, .view = 10 });	/* leaving one workload, */
		core_send(&c, &(struct spec){ .udp = true, .p = "q", .n = 1, .view = 21 });	/* entering the other */
		core_send(&c, &(struct spec){ .udp = true, .dir = DOWN, .p = "a", .n = 1, .view = 20 });
		core_send(&c, &(struct spec){ .udp = true, .dir = DOWN, .p = "a", .n = 1, .view = 11 });
	}
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], 10);
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[DOWN], 10);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_GUARD_VIEW), 20);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_INSPECTED), 20);
	/* a pause, and the other copy comes first this time: still one of the two counts, for good */
	c.now += 5 * SEC;
	for (int i = 0; i < 10; i++) {
		core_send(&c, &(struct spec){ .udp = true, .p = "q", .n = 1, .view = 21 });
		core_send(&c, &(struct spec){ .udp = true, .p = "q", .n = 1, .view = 10 });
	}
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], 20);
	/* the chosen view is gone; the other takes its place when it has been silent for a second */
	for (int i = 0; i < 21; i++) {
		c.now += SEC / 20 * 3;
		core_send(&c, &(struct spec){ .udp = true, .p = "q", .n = 1, .view = 10 });
	}
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], 20 + 15);
	core_send(&c, &(struct spec){ .udp = true, .p = "q", .n = 1 });	/* without a view: counts */
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], 36);
	core_close(&c);
}

/* Copies of packets without a flow: one event. */
static void test_views_without_flow(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_send(&c, &(struct spec){ .icmp = true, .icmp_type = 3, .view = 10, .p = "abcd", .n = 4 });
	core_send(&c, &(struct spec){ .icmp = true, .icmp_type = 3, .view = 21, .p = "abcd", .n = 4, .ttl = 63 });
	core_send(&c, &(struct spec){ .icmp = true, .icmp_type = 3, .view = 10, .p = "abcd", .n = 4 });	/* sent again */
	CU_ASSERT_EQUAL(c.told[EV_ICMP], 2);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_GUARD_VIEW), 1);
	core_close(&c);
}

/* ---- two paths at once ---- */

static void test_overlap(void)
{
	struct core c = { 0 };
	struct spec data = { .flags = TCP_ACK, .seq = 101, .ack = 701, .p = "abc", .n = 3, .ipid = 77 };
	struct mem_stats before, after;

	core_open(&c, NULL);
	core_handshake(&c, 100, 700);
	core_speak(&c, &proto_toy);
	mem_get_stats(c.d->mem, &before);
	c.owner = switching;
	dpi_set_epoch(c.d, c.now, SEC);
	for (int k = 0; k < 3; k++) {	/* the packet, sent three times: each shown by both paths, in either order */
		data.path = k == 1 ? NFQ : TC;
		data.held = data.path == NFQ;
		data.ttl = 64;
		core_send(&c, &data);
		data.path = k == 1 ? TC : NFQ;
		data.held = data.path == NFQ;
		data.ttl = 63;
		core_send(&c, &data);
	}
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], 2 + 3);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_GUARD_OVERLAP), 3);
	CU_ASSERT_EQUAL(toy_log.n[UP], 3);
	/* two views on one path, one on the other: still once */
	data.seq = 104;
	data.ipid = 78;
	data.path = TC;
	data.held = false;
	data.view = 10;
	core_send(&c, &data);
	data.view = 21;
	core_send(&c, &data);
	data.path = NFQ;
	data.view = 30;
	core_send(&c, &data);
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], 2 + 4);
	CU_ASSERT_EQUAL(toy_log.n[UP], 6);
	/* over: the owner is asked, the other path's are not looked at, the memory is given back */
	c.now += 3 * SEC;
	data.seq = 107;
	data.path = TC;
	core_send(&c, &data);
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], 2 + 4);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_GUARD_DROPPED), 1);
	data.path = NFQ;
	core_send(&c, &data);
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], 2 + 5);
	mem_get_stats(c.d->mem, &after);
	CU_ASSERT_EQUAL(before.used, after.used);
	core_close(&c);
}

/* A flow that began during the switch, on the path that does not own it; and views are chosen anew on the new path, at once. */
static void test_overlap_new_flow(void)
{
	struct core c = { 0 };
	struct spec s = { .udp = true, .p = "q", .n = 1, .path = TC, .view = 10, .ipid = 1 };

	core_open(&c, NULL);
	c.owner = switching;
	dpi_set_epoch(c.d, c.now, SEC / 10);
	core_send(&c, &s);		/* counts */
	c.now += SEC / 5;
	s.ipid++;
	core_send(&c, &s);		/* over, and not this path's */
	c.now += 2 * SEC;
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_GUARD_DROPPED), 1);
	s.path = NFQ;
	s.view = 30;
	core_send(&c, &s);
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], 2);
	s.view = 31;
	core_send(&c, &s);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_GUARD_VIEW), 1);
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], 2);
	CU_ASSERT_EQUAL(core_flow(&c)->path, NFQ);
	core_close(&c);
}

/* A long window with more packets than are remembered, a few at a time: each still counts once. */
static void test_overlap_long(void)
{
	struct core c = { 0 };
	const unsigned n = 150000;

	core_open(&c, NULL);
	c.owner = switching;
	dpi_set_epoch(c.d, c.now, 1000 * SEC);
	for (unsigned i = 0; i < n; i++) {
		struct spec s = { .udp = true, .p = &i, .n = sizeof i, .path = i & 1 ? NFQ : TC, .ipid = 5 };

		c.now += 50000;
		core_send(&c, &s);
		s.path = i & 1 ? TC : NFQ;
		core_send(&c, &s);
	}
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], n);
	dpi_set_epoch(c.d, c.now, 0);
	core_close(&c);
}

/* The window is told in steps, and the copies of one packet lie on both sides of a step or of its end. */
static void test_overlap_edges(void)
{
	struct core c = { 0 };
	struct spec s = { .udp = true, .p = "q", .n = 1, .ipid = 1 };

	core_open(&c, NULL);
	c.owner = switching;
	dpi_set_epoch(c.d, c.now, 60 * SEC);
	s.path = TC;
	core_send(&c, &s);
	dpi_set_epoch(c.d, c.now, 60 * SEC);
	s.path = NFQ;
	core_send(&c, &s);
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], 1);
	dpi_set_epoch(c.d, c.now, SEC / 10);
	s.ipid = 2;
	s.path = TC;
	core_send(&c, &s);
	c.now += SEC / 5;	/* the end is passed */
	s.path = NFQ;
	core_send(&c, &s);
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], 2);
	s.ipid = 3;
	core_send(&c, &s);
	s.path = TC;
	core_send(&c, &s);
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], 3);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_GUARD_OVERLAP), 2);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_GUARD_DROPPED), 1);
	core_close(&c);
}

/* A flood of different packets during the window: bounded, and the owner's count. */
static void test_overlap_full(void)
{
	struct dpi_conf conf = { .max_flows = 64, .memcap = 2 << 20, .midstream = true };
	struct core c = { 0 };
	const unsigned n = 20000;

	core_open(&c, &conf);
	c.owner = switching;
	dpi_set_epoch(c.d, c.now, 1000 * SEC);
	for (unsigned i = 0; i < n; i++) {
		core_send(&c, &(struct spec){ .udp = true, .p = &i, .n = sizeof i, .path = NFQ, .ipid = 5 });
		core_send(&c, &(struct spec){ .udp = true, .p = &i, .n = sizeof i, .path = TC, .ipid = 5 });
	}
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], n);
	dpi_set_epoch(c.d, c.now, 0);
	core_close(&c);
}

/* ---- domains, VLANs, loopback ---- */

static void test_keys(void)
{
	struct core c = { 0 };
	struct spec s = { .udp = true, .p = "x", .n = 1 };

	core_open(&c, NULL);
	core_send(&c, &s);
	s.domain = 3;
	core_send(&c, &s);
	s.domain = 0;
	s.vlan = 5;
	core_send(&c, &s);
	s.vlan = 0;
	s.workload = 9;		/* not for these addresses */
	core_send(&c, &s);
	CU_ASSERT_EQUAL(core_flows(&c), 3);
	s.dir = DOWN;
	core_send(&c, &s);
	CU_ASSERT_EQUAL(core_flows(&c), 3);
	core_close(&c);
}

/* ---- verdicts ---- */

static struct policy *policy_of(enum policy_mode mode, enum verdict action, enum app app, uint16_t port, int rule_mode)
{
	struct policy_builder *b = policy_begin(mode);
	uint16_t any = POLICY_GROUP_ANY;
	struct port_range pr = { .lo = port, .hi = port };
	struct rule_spec r = { .id = 20, .from = &any, .to = &any, .nfrom = 1, .nto = 1, .ports = &pr, .nports = port ? 1 : 0,
			       .apps = &app, .napps = app != APP_UNKNOWN ? 1 : 0, .action = action, .mode = rule_mode };
	struct err err;

	if (policy_add_rule(b, &r, &err))
		CU_FAIL("policy");
	return policy_build(b);
}

static void set_policy(struct core *c, struct policy *p)
{
	dpi_set_policy(c->d, p);
	policy_unref(p);
}

static void test_no_policy(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 1, .held = true });
	CU_ASSERT_EQUAL(core_flow(&c)->verdict, VERDICT_ALLOW);
	CU_ASSERT_EQUAL(core_flow(&c)->reason, REASON_NONE);
	CU_ASSERT_EQUAL(c.asked_ends, 1);
	core_close(&c);
}

static void test_deny(void)
{
	struct core c = { 0 };
	struct spec syn = { .flags = TCP_SYN, .seq = 1, .held = true };

	core_open(&c, NULL);
	set_policy(&c, policy_of(MODE_PROTECT, VERDICT_DENY, APP_UNKNOWN, 80, RULE_MODE_NONE));
	CU_ASSERT_EQUAL(core_send(&c, &syn), VERDICT_DENY);
	CU_ASSERT_EQUAL(core_send(&c, &syn), VERDICT_DENY);
	CU_ASSERT_EQUAL(c.told[EV_ALERT], 1);
	CU_ASSERT(strstr(c.text, "alert {\"action\":\"blocked\",\"signature_id\":20,\"signature\":\"policy rule 20\",\"category\":\"policy\",\"severity\":2,\"src\":{\"groups\":[]") != NULL);
	CU_ASSERT(c.last[EV_ALERT].enforced);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_VERDICT_DENY), 2);
	syn.held = false;	/* nobody waits for an answer */
	CU_ASSERT_EQUAL(core_send(&c, &syn), VERDICT_ALLOW);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_VERDICT_UNENFORCED), 1);
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], 3);	/* each counts, denied or not */
	/* another policy, another answer */
	set_policy(&c, policy_of(MODE_PROTECT, VERDICT_ALLOW, APP_UNKNOWN, 80, RULE_MODE_NONE));
	syn.held = true;
	CU_ASSERT(flow_hit(core_flow(&c), F_STOPPED));
	CU_ASSERT_EQUAL(core_send(&c, &syn), VERDICT_ALLOW);
	CU_ASSERT_EQUAL(c.asked_ends, 2);
	CU_ASSERT(!flow_hit(core_flow(&c), F_STOPPED));
	core_close(&c);
}

/* Asked again at a packet of the responder's: each end keeps its place. */
static void test_ends(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	c.workload[0] = 7;
	c.workload[1] = 8;
	core_handshake(&c, 100, 700);
	set_policy(&c, policy_of(MODE_DISCOVER, VERDICT_ALLOW, APP_UNKNOWN, 80, RULE_MODE_NONE));
	core_data(&c, DOWN, 701, 101, "x", 1);
	CU_ASSERT_EQUAL(c.asked_ends, 2);
	CU_ASSERT_EQUAL(core_flow(&c)->workload[0], 7);
	CU_ASSERT_EQUAL(core_flow(&c)->workload[1], 8);
	CU_ASSERT_EQUAL(core_flow(&c)->rule, 20);
	core_close(&c);
}

/* A mirror whose flows can be stopped: told so from the packet that is denied on, with the numbers that a reset takes; once more for each later
 * packet; over when the flow is. Not for what cannot be stopped by its tuple. */
static void test_deny_enforceable(void)
{
	static const struct { struct spec s; bool can; } t[] = {
		{ { .flags = TCP_SYN, .seq = 9, .fflags = FRAME_ENFORCEABLE }, true }, { { .v6 = true, .flags = TCP_SYN, .seq = 9, .fflags = FRAME_ENFORCEABLE }, true },
		{ { .udp = true, .p = "x", .n = 1, .fflags = FRAME_ENFORCEABLE }, true }, { { .flags = TCP_SYN, .seq = 9 }, false },
		{ { .flags = TCP_SYN, .seq = 9, .vlan = 5, .fflags = FRAME_ENFORCEABLE }, false }, { { .icmp = true, .icmp_type = 8, .p = "xxxx", .n = 4, .fflags = FRAME_ENFORCEABLE }, true },
	};
	struct core c = { 0 };
	struct spec up = { .flags = TCP_ACK | TCP_PSH, .seq = 101, .ack = 701, .p = "abc", .n = 3, .fflags = FRAME_ENFORCEABLE };
	struct spec down = { .dir = DOWN, .flags = TCP_ACK, .seq = 701, .ack = 104, .p = "answer", .n = 6, .fflags = FRAME_ENFORCEABLE };
	struct spec syn = { .flags = TCP_SYN, .seq = 5000, .fflags = FRAME_ENFORCEABLE };

	core_open(&c, NULL);
	core_handshake(&c, 100, 700);
	set_policy(&c, policy_of(MODE_PROTECT, VERDICT_DENY, APP_UNKNOWN, 80, RULE_MODE_NONE));
	CU_ASSERT_EQUAL(core_send(&c, &up), VERDICT_DENY);
	CU_ASSERT(c.refused == 1 && c.last[EV_ALERT].enforced && c.told[EV_ALERT] == 1);
	CU_ASSERT(!c.last_refused.to_client && c.last_refused.verdict == VERDICT_DENY && c.last_refused.tuple.dport == 80);
	CU_ASSERT(c.last_refused.sent[UP].known && c.last_refused.sent[UP].end == 104 && c.last_refused.sent[DOWN].end == 701 && c.last_refused.sent[UP].acked == 701);
	CU_ASSERT_EQUAL(core_send(&c, &down), VERDICT_DENY);
	CU_ASSERT(c.refused == 2 && c.last_refused.to_client && c.last_refused.sent[DOWN].end == 707 && c.last_refused.sent[DOWN].acked == 104);
	CU_ASSERT(core_flow(&c)->pkts[UP] == 3 && core_flow(&c)->pkts[DOWN] == 2 && c.told[EV_ALERT] == 1 && !c.released);
	CU_ASSERT_EQUAL(core_send(&c, &syn), VERDICT_DENY);	/* both ends were reset: another connection */
	CU_ASSERT(c.released == 1 && c.told[EV_FLOW] == 1 && c.told[EV_ALERT] == 2 && c.last[EV_FLOW].enforced);
	CU_ASSERT_EQUAL(core_send(&c, &syn), VERDICT_DENY);	/* the same once more */
	CU_ASSERT(c.released == 1 && c.told[EV_ALERT] == 2);
	dpi_flush(c.d);
	CU_ASSERT_EQUAL(c.released, 2);
	core_close(&c);
	/* Dropped silently: the ends may go on, and a SYN changes nothing. */
	core_open(&c, NULL);
	core_handshake(&c, 100, 700);
	set_policy(&c, policy_of(MODE_PROTECT, VERDICT_DROP, APP_UNKNOWN, 80, RULE_MODE_NONE));
	c.refused = c.released = 0;
	CU_ASSERT_EQUAL(core_send(&c, &up), VERDICT_DROP);
	CU_ASSERT_EQUAL(core_send(&c, &syn), VERDICT_DROP);
	CU_ASSERT(c.refused == 2 && !c.released);
	CU_ASSERT_EQUAL(flow_timeout(core_flow(&c)), 150 * SEC);
	core_close(&c);
	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		core_open(&c, NULL);
		set_policy(&c, policy_of(MODE_PROTECT, VERDICT_DENY, APP_UNKNOWN, 0, RULE_MODE_NONE));
		c.refused = c.released = 0;
		CU_ASSERT_EQUAL(core_send(&c, &t[i].s), t[i].can ? VERDICT_DENY : VERDICT_ALLOW);
		CU_ASSERT(c.refused == t[i].can && c.last[EV_ALERT].enforced == t[i].can);
		dpi_flush(c.d);
		CU_ASSERT_EQUAL(c.released, t[i].can);
		core_close(&c);
	}
}

/* A mirror only tells; parsing goes on. */
static void test_deny_mirrored(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	set_policy(&c, policy_of(MODE_PROTECT, VERDICT_DROP, APP_UNKNOWN, 80, RULE_MODE_NONE));
	core_handshake(&c, 100, 700);
	core_speak(&c, &proto_toy);
	CU_ASSERT_EQUAL(core_data(&c, UP, 101, 701, "abc", 3), VERDICT_ALLOW);
	CU_ASSERT_EQUAL(toy_log.n[UP], 3);
	CU_ASSERT_EQUAL(c.told[EV_ALERT], 1);
	CU_ASSERT(!c.last[EV_ALERT].enforced);
	CU_ASSERT_EQUAL(c.last[EV_ALERT].verdict, VERDICT_DROP);
	CU_ASSERT(strstr(c.text, "\"action\":\"allowed\"") != NULL);
	core_close(&c);
}

static void test_modes(void)
{
	static const struct { enum policy_mode mode; enum verdict flow, answer; bool learned; unsigned alerts; } cases[] = {
		{ MODE_DISCOVER, VERDICT_ALLOW, VERDICT_ALLOW, true, 0 },
		{ MODE_MONITOR, VERDICT_ALERT, VERDICT_ALERT, false, 1 },
		{ MODE_PROTECT, VERDICT_DENY, VERDICT_DENY, false, 1 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct core c = { 0 };

		core_open(&c, NULL);
		set_policy(&c, policy_of(cases[i].mode, VERDICT_ALLOW, APP_UNKNOWN, 443, RULE_MODE_NONE));	/* does not match */
		c.workload[1] = 4;
		CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 1, .held = true }), cases[i].answer);
		CU_ASSERT_EQUAL(core_flow(&c)->verdict, cases[i].flow);
		CU_ASSERT_EQUAL(core_flow(&c)->reason, REASON_NO_RULE);
		CU_ASSERT_EQUAL(flow_hit(core_flow(&c), F_LEARNED), cases[i].learned);
		CU_ASSERT_EQUAL(c.told[EV_ALERT], cases[i].alerts);
		CU_ASSERT_EQUAL(core_flow(&c)->workload[1], 4);
		core_close(&c);
	}
}

/* An alert names the groups of both ends, and what each local one's own mode makes of it. */
static void test_alert_ends(void)
{
	static const struct { bool local, rule; const char *told; } cases[] = {
		{ true, true, "\"src\":{\"groups\":[\"shop\",\"all\"],\"mode\":\"monitor\",\"verdict\":\"drop\",\"enforced\":false},"
			"\"dest\":{\"groups\":[\"all\",\"db\"],\"mode\":\"protect\",\"verdict\":\"drop\",\"enforced\":true}" },
		{ false, true, "\"src\":{\"groups\":[\"all\"]},\"dest\":{\"groups\":[\"all\",\"db\"],\"mode\":\"protect\",\"verdict\":\"drop\",\"enforced\":true}" },
		{ true, false, "\"src\":{\"groups\":[\"shop\",\"all\"],\"mode\":\"monitor\",\"verdict\":\"alert\",\"enforced\":false},"
			"\"dest\":{\"groups\":[\"all\",\"db\"],\"mode\":\"protect\",\"verdict\":\"deny\",\"enforced\":true}" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct policy_builder *b = policy_begin(MODE_DISCOVER);
		const struct port_range port = { .ipproto = 6, .lo = cases[i].rule ? 80 : 443, .hi = cases[i].rule ? 80 : 443 };
		struct group_set in[2] = { { { 0 } }, { { 0 } } };
		struct core c = { 0 };
		struct err e;
		uint16_t shop = (uint16_t)policy_add_group(b, "shop", MODE_MONITOR, &e), all = (uint16_t)policy_add_group(b, "all", -1, &e),
			db = (uint16_t)policy_add_group(b, "db", MODE_PROTECT, &e);
		struct rule_spec r = { .id = 7, .from = &all, .to = &db, .nfrom = 1, .nto = 1, .ports = &port, .nports = 1, .action = VERDICT_DROP, .mode = RULE_MODE_NONE };
		struct cidr everything;

		policy_group_needs_workload(b, shop);
		policy_group_needs_workload(b, db);
		CU_ASSERT_EQUAL(cidr_parse("0.0.0.0/0", &everything), 0);
		CU_ASSERT_EQUAL(policy_group_cidr(b, all, &everything, false, &e), 0);
		CU_ASSERT_EQUAL(policy_add_rule(b, &r, &e), 0);
		core_open(&c, NULL);
		set_policy(&c, policy_build(b));
		set_add(&in[0], shop);
		set_add(&in[1], db);
		c.groups[1] = &in[1];
		c.workload[1] = 4;
		if (cases[i].local) {
			c.groups[0] = &in[0];
			c.workload[0] = 3;
		}
		core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 1, .held = true });
		CU_ASSERT_EQUAL(c.told[EV_ALERT], 1);
		CU_ASSERT(strstr(c.text, cases[i].told) != NULL);
		core_close(&c);
	}
}

/* Of many groups the first 16 are named, and it is said that there are more. */
static void test_alert_of_many_groups(void)
{
	for (unsigned n = 16; n <= 17; n++) {
		struct policy_builder *b = policy_begin(MODE_PROTECT);
		struct cidr everything;
		struct core c = { 0 };
		struct err e;

		CU_ASSERT_EQUAL(cidr_parse("0.0.0.0/0", &everything), 0);
		for (unsigned g = 1; g <= n; g++) {
			char name[8];

			snprintf(name, sizeof name, "g%u", g);
			CU_ASSERT_EQUAL(policy_add_group(b, name, -1, &e), (int)g);
			CU_ASSERT_EQUAL(policy_group_cidr(b, g, &everything, false, &e), 0);
		}
		core_open(&c, NULL);
		set_policy(&c, policy_build(b));
		core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 1, .held = true });
		CU_ASSERT_EQUAL(c.told[EV_ALERT], 1);
		CU_ASSERT(strstr(c.text, "\"g16\"]},\"dest\"") != NULL && strstr(c.text, "\"g17\"") == NULL);
		CU_ASSERT_EQUAL(strstr(c.text, "\"partial\":true") != NULL, n == 17);
		core_close(&c);
	}
}

/* Whoever is not recognised by the first segment is unknown. */
static const struct dpi_conf hasty = { .max_flows = 64, .memcap = 16 << 20, .midstream = true, .pending_packets = 1 };

/* A rule that asks for the app: pending until it is known. */
static void test_pending(void)
{
	static const struct { const char *first; enum app app; enum verdict v; } cases[] = {
		{ "GET / HTTP/1.1\r\n\r\n", APP_HTTP, VERDICT_ALLOW }, { "SSH-2.0-x\r\n", APP_SSH, VERDICT_DENY }, { "((((((((((((((((((((", APP_UNKNOWN, VERDICT_DENY },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct core c = { 0 };
		struct spec s = { .flags = TCP_ACK, .seq = 101, .ack = 701, .held = true, .p = cases[i].first, .n = strlen(cases[i].first) };

		core_open(&c, &hasty);
		set_policy(&c, policy_of(MODE_PROTECT, VERDICT_ALLOW, APP_HTTP, 0, RULE_MODE_NONE));
		core_handshake(&c, 100, 700);
		CU_ASSERT_EQUAL(core_flow(&c)->verdict, VERDICT_PENDING);
		CU_ASSERT_EQUAL(c.told[EV_ALERT], 0);
		CU_ASSERT_EQUAL(core_send(&c, &s), cases[i].v);
		CU_ASSERT_EQUAL(core_flow(&c)->app, cases[i].app);
		CU_ASSERT_EQUAL(c.told[EV_ALERT], cases[i].v == VERDICT_DENY);
		s.seq += (uint32_t)s.n;
		CU_ASSERT_EQUAL(core_send(&c, &s), cases[i].v);	/* and stays */
		core_close(&c);
	}
}

/* Taken up midstream and never recognised: addresses and ports decide. */
static void test_pending_midstream(void)
{
	struct core c = { 0 };
	struct spec s = { .flags = TCP_ACK, .seq = 101, .ack = 701, .held = true, .p = "((((((((((((((((((((", .n = 20 };

	core_open(&c, &hasty);
	set_policy(&c, policy_of(MODE_PROTECT, VERDICT_ALLOW, APP_HTTP, 80, RULE_MODE_NONE));
	CU_ASSERT_EQUAL(core_send(&c, &s), VERDICT_ALLOW);
	CU_ASSERT_EQUAL(core_flow(&c)->verdict, VERDICT_ALLOW);
	CU_ASSERT_EQUAL(core_flow(&c)->rule, 20);
	core_close(&c);
}

static void test_never_judged(void)
{
	static const struct spec free_[] = {
		{ .udp = true, .sport = 68, .dport = 67, .p = "x", .n = 1, .held = true },
		{ .v6 = true, .udp = true, .sport = 546, .dport = 547, .p = "x", .n = 1, .held = true },
		{ .v6 = true, .icmp = true, .icmp_type = 135, .held = true },
		{ .v6 = true, .icmp = true, .icmp_type = 143, .held = true },
		{ .icmp = true, .icmp_type = 11, .held = true },
	}, judged[] = {
		{ .udp = true, .sport = 68, .dport = 68, .p = "x", .n = 1, .held = true },
		{ .icmp = true, .icmp_type = 8, .held = true },
		{ .v6 = true, .icmp = true, .icmp_type = 128, .held = true },
		{ .v6 = true, .flags = TCP_SYN, .held = true },
	};
	struct core c = { 0 };

	core_open(&c, NULL);
	set_policy(&c, policy_of(MODE_PROTECT, VERDICT_DROP, APP_UNKNOWN, 0, RULE_MODE_NONE));
	for (size_t i = 0; i < sizeof free_ / sizeof *free_; i++)
		CU_ASSERT_EQUAL(core_send(&c, &free_[i]), VERDICT_ALLOW);
	for (size_t i = 0; i < sizeof judged / sizeof *judged; i++)
		CU_ASSERT_EQUAL(core_send(&c, &judged[i]), VERDICT_DROP);
	core_close(&c);
}

/* An error that quotes a denied flow shares its fate. */
static void test_icmp_error(void)
{
	/* an IPv4 header and eight bytes of UDP: 10.0.0.1:40000 -> 10.0.0.2:80, then :81 */
	uint8_t quote[28] = { 0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x9c, 0x40, 0, 80, 0, 9 };
	struct core c = { 0 };

	core_open(&c, NULL);
	set_policy(&c, policy_of(MODE_DISCOVER, VERDICT_DENY, APP_UNKNOWN, 80, MODE_PROTECT));
	CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ .udp = true, .p = "x", .n = 1, .held = true }), VERDICT_DENY);
	CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ .udp = true, .dport = 81, .p = "x", .n = 1, .held = true }), VERDICT_ALLOW);
	CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ .dir = DOWN, .icmp = true, .icmp_type = 3, .p = quote, .n = sizeof quote, .held = true }), VERDICT_DENY);
	quote[23] = 81;
	CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ .dir = DOWN, .icmp = true, .icmp_type = 3, .p = quote, .n = sizeof quote, .held = true }), VERDICT_ALLOW);
	core_close(&c);
}

const struct unit_test tests_guard[] = {
	{ "bypass", test_bypass },
	{ "no bypass", test_no_bypass },
	{ "no bypass, ports again", test_no_bypass_ports_again },
	{ "bypasses without end", test_bypass_flood },
	{ "owner", test_owner },
	{ "views", test_views },
	{ "views of packets without a flow", test_views_without_flow },
	{ "two paths", test_overlap },
	{ "two paths, a flow that began meanwhile", test_overlap_new_flow },
	{ "two paths, at the edges", test_overlap_edges },
	{ "two paths for long", test_overlap_long },
	{ "two paths, full", test_overlap_full },
	{ "domains and VLANs", test_keys },
	{ "no policy", test_no_policy },
	{ "deny", test_deny },
	{ "ends", test_ends },
	{ "ends in an alert", test_alert_ends },
	{ "an alert of ends in many groups", test_alert_of_many_groups },
	{ "deny on a mirror", test_deny_mirrored },
	{ "deny on a mirror whose flows can be stopped", test_deny_enforceable },
	{ "modes", test_modes },
	{ "pending", test_pending },
	{ "pending midstream", test_pending_midstream },
	{ "never judged", test_never_judged },
	{ "ICMP errors", test_icmp_error },
	{ 0 },
};
