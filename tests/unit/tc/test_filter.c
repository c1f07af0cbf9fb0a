/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tc_ensure, tc_check, tc_remove on a real device: idempotence, repair, other people's qdiscs and filters, blocks, leaving no trace. */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "tc/plan.h"
#include "tc/watch.h"
#include "tests/unit/tc/lab.h"
#include "tests/unit/unit.h"

static struct tc_want full_want(const struct lab *l)
{
	struct tc_want w = lab_want(l);
	struct app_ports p = { .n = 3, .port = { { IPPROTO_TCP, 8080 }, { IPPROTO_UDP, 53 }, { IPPROTO_TCP, 443 } } };

	w.exclude_sport[0] = w.exclude_dport[1] = p;
	w.exclude_dport[0] = w.exclude_sport[1] = p;
	return w;
}

static struct tc_want widest_want(const struct lab *l)
{
	struct tc_want w = lab_want(l);
	struct app_ports p = { .n = APP_PORTS_MAX };

	for (unsigned i = 0; i < APP_PORTS_MAX; i++)
		p.port[i] = (struct app_port){ i % 3 ? IPPROTO_TCP : IPPROTO_UDP, (uint16_t)(1 + i * 1031) };
	w.exclude_sport[0] = w.exclude_dport[1] = w.exclude_dport[0] = w.exclude_sport[1] = p;
	return w;
}

static void idempotent(struct lab *l)
{
	struct lab_tc u = { .tc = tc_open(NULL) };
	struct tc_want wants[] = { lab_want(l), full_want(l), widest_want(l), lab_want(l), full_want(l) };
	char *before = lab_shows();

	wants[4].exclude_sport[0].all = wants[4].exclude_dport[1].all = true;
	for (size_t i = 0; i < sizeof wants / sizeof wants[0]; i++) {
		struct tc *fresh;

		LAB_CHECK(l, lab_ensures(&u, &wants[i], true));
		LAB_CHECK(l, lab_ensures(&u, &wants[i], false));
		LAB_CHECK(l, u.st.clsact && u.st.ours && !u.st.shared && !u.st.ingress_qdisc && !u.st.foreign[0] && !u.st.foreign[1]);
		fresh = tc_open(NULL);	/* another process after a crash finds all as it should be */
		LAB_CHECK(l, tc_ensure(fresh, &wants[i], &u.st, &u.changes, &u.err) == 0 && u.st.complete && !u.changes && u.st.ours);
		tc_close(fresh);
	}
	LAB_CHECK(l, tc_remove(u.tc, l->v0, &u.err) == 0);
	LAB_CHECK(l, tc_remove(u.tc, l->v0, &u.err) == 0);
	LAB_CHECK(l, lab_as_before(before));
	tc_close(u.tc);
}

/* Counts what is told of the lab's device; another one's and the blocks' number would be wrong here. */
struct told {
	int v0;
	unsigned of_it, of_others;
};

static void on_told(void *ctx, int ifindex)
{
	struct told *t = ctx;

	*(ifindex == t->v0 ? &t->of_it : &t->of_others) += 1;
}

static struct told told_of(struct lab *l, struct tc_watch *w)
{
	struct told t = { .v0 = l->v0 };
	struct err err = { "" };

	LAB_CHECK(l, tc_watch_read(w, on_told, &t, &err) == 0);
	return t;
}

static void repaired(struct lab *l)
{
	static const char *const harm[] = {
		"tc filter del dev v0 ingress",
		"tc filter del dev v0 egress",
		"tc filter del dev v0 ingress pref 49000",
		"tc filter del dev v0 egress pref 49051 protocol ipv6",
		"tc filter del dev v0 ingress pref 49040",
		"tc filter del dev v0 ingress pref 49000 protocol ip handle 741:10:7f u32",
		"tc filter del dev v0 egress pref 49050 protocol ip handle 748::1 u32",
		"tc filter change dev v0 ingress pref 49040 protocol all handle $(tc filter show dev v0 ingress pref 49040 | sed -n 's/.*fh \\(8[0-9a-f]*::1\\) .*/\\1/p') u32 match u32 0 0 action mirred egress mirror dev vbr-in",
		"tc filter replace dev v0 ingress pref 49000 protocol ip handle 741:3b:7 u32 ht 741:3b: match u16 99 0xffff at 0 classid 9:9",
		"tc filter add dev v0 ingress pref 49000 protocol ip u32 match u32 0 0 classid 7471:",
		"tc filter add dev v0 egress pref 49050 protocol ip u32 ht 749:1: match u16 1 0xffff at 0 classid 7471:",
		"tc filter del dev v0 ingress && tc filter del dev v0 egress",
		"tc qdisc del dev v0 clsact",
		"ip link del vbr && ip link add vbr type bridge && ip link set vbr up",
	};
	struct lab_tc u = { .tc = tc_open(NULL) };
	struct tc_want w = full_want(l);
	struct tc_watch *watch = tc_watch_open(u.tc, &u.err);

	LAB_CHECK(l, watch && lab_ensures(&u, &w, true));
	for (size_t i = 0; watch && i < sizeof harm / sizeof harm[0]; i++) {
		unsigned failed = l->failed;
		struct told t = told_of(l, watch);

		LAB_CHECK(l, !t.of_it && !t.of_others);		/* what this tc itself does is not told */
		LAB_CHECK(l, !lab_sh("%s", harm[i]));
		t = told_of(l, watch);
		LAB_CHECK(l, (t.of_it || strstr(harm[i], "ip link del")) && !t.of_others);
		w.to_leaving = (int)if_nametoindex("vbr");
		LAB_CHECK(l, lab_wrong(&u, &w));
		LAB_CHECK(l, lab_ensures(&u, &w, true));
		LAB_CHECK(l, lab_ensures(&u, &w, false));
		LAB_CHECK(l, u.st.ours);
		if (l->failed != failed)
			fprintf(stderr, "    after: %s\n", harm[i]);
	}
	LAB_CHECK(l, tc_remove(u.tc, l->v0, &u.err) == 0);
	tc_watch_close(watch);
	tc_close(u.tc);
}

/* More than the socket holds, and an action that no device is named with: any device may be another. */
static void told_of_all(struct lab *l)
{
	struct lab_tc u = { .tc = tc_open(NULL) };
	struct tc_watch *watch = tc_watch_open(u.tc, &u.err);
	struct told t;

	LAB_CHECK(l, watch != NULL);
	LAB_CHECK(l, !lab_sh("tc qdisc add dev v0 clsact"));
	LAB_CHECK(l, !lab_sh("tc actions add action mirred egress mirror dev vbr index 7"));
	t = told_of(l, watch);
	LAB_CHECK(l, t.of_it == 1 && t.of_others == 1);
	LAB_CHECK(l, !lab_sh("for i in $(seq 1 3000); do echo filter add dev v0 ingress pref 3 protocol ip u32 match u32 $i 0xffffffff at 12 classid 1:1; done | tc -batch -"));
	t = told_of(l, watch);
	LAB_CHECK(l, t.of_it > 10 && t.of_others >= 1);
	t = told_of(l, watch);
	LAB_CHECK(l, !t.of_it && !t.of_others);
	tc_watch_close(watch);
	tc_close(u.tc);
}

/* A clsact of somebody else's: used, and left as it was found, with his filters and without. */
static void foreign_clsact(struct lab *l)
{
	static const char *const theirs[] = {
		"true",
		"tc filter add dev v0 ingress pref 50000 protocol all u32 match u32 0 0 action mirred egress mirror dev lo",
		"tc filter add dev v0 egress pref 50000 protocol all u32 match u32 0 0 action mirred egress mirror dev lo",
		"tc filter add dev v0 egress pref 7 protocol ip handle 5: u32 divisor 16",
		"tc filter add dev v0 egress protocol ip u32 match ip protocol 6 0xff classid 1:1",
	};
	struct lab_tc u = { .tc = tc_open(NULL) };
	struct tc_want w = full_want(l);

	LAB_CHECK(l, !lab_sh("tc qdisc add dev v0 clsact"));
	for (size_t i = 0; i < sizeof theirs / sizeof theirs[0]; i++) {
		char *before;

		LAB_CHECK(l, !lab_sh("%s", theirs[i]));
		before = lab_shows();
		for (int mode = 0; mode < 2; mode++) {
			w.blocks = mode ? TC_BLOCKS_SHARED : TC_BLOCKS_DEVICE;
			LAB_CHECK(l, lab_ensures(&u, &w, mode == 0));
			LAB_CHECK(l, lab_ensures(&u, &w, false));
			LAB_CHECK(l, u.st.clsact && !u.st.ours && !u.st.shared);
		}
		LAB_CHECK(l, u.st.foreign[0] + u.st.foreign[1] == (i == 0 ? 0 : i == 1 ? 1 : i < 4 ? 2 : 3));
		LAB_CHECK(l, tc_remove(u.tc, l->v0, &u.err) == 0);
		LAB_CHECK(l, lab_as_before(before));
	}
	tc_close(u.tc);
}

/* Our clsact, and somebody puts a filter on it: it stays with it. */
static void foreign_filter_on_ours(struct lab *l)
{
	struct lab_tc u = { .tc = tc_open(NULL) };
	struct tc_want w = full_want(l);
	char *after;

	LAB_CHECK(l, lab_ensures(&u, &w, true));
	LAB_CHECK(l, !lab_sh("tc filter add dev v0 ingress protocol ip u32 match ip protocol 6 0xff classid 1:1"));	/* the kernel picks a preference */
	LAB_CHECK(l, lab_wrong(&u, &w) && u.st.foreign[0] == 1 && u.st.ours);
	LAB_CHECK(l, lab_ensures(&u, &w, true));
	LAB_CHECK(l, lab_ensures(&u, &w, false));
	LAB_CHECK(l, u.st.filters[0] == 1 && u.st.filters[1] > 5);
	LAB_CHECK(l, tc_remove(u.tc, l->v0, &u.err) == 0);
	after = lab_shows();
	LAB_CHECK(l, strstr(after, "clsact") && strstr(after, "flowid 1:1") && !strstr(after, "pref 49040") && !strstr(after, "mirred"));
	free(after);
	tc_close(u.tc);
}

/* Somebody's u32 table has a number that ours would need: all is mirrored. */
static void number_taken(struct lab *l)
{
	struct lab_tc u = { .tc = tc_open(NULL) };
	struct tc_want w = full_want(l);

	LAB_CHECK(l, !lab_sh("tc qdisc add dev v0 clsact && tc filter add dev v0 egress pref 7 protocol ip handle 741: u32 divisor 16"));
	LAB_CHECK(l, lab_ensures(&u, &w, true));
	LAB_CHECK(l, lab_ensures(&u, &w, false));
	LAB_CHECK(l, u.st.filters[0] == 1 && u.st.filters[1] == 1 && u.st.foreign[0] + u.st.foreign[1] > 0);
	LAB_CHECK(l, tc_remove(u.tc, l->v0, &u.err) == 0);
	LAB_CHECK(l, !lab_sh("tc filter show dev v0 egress | grep -q 'fh 741: ht divisor 16'"));
	tc_close(u.tc);
}

/* The bridge is gone, the veth is not: no error that says "the veth is gone". */
static void no_bridge(struct lab *l)
{
	struct lab_tc u = { .tc = tc_open(NULL) };
	struct tc_want w = full_want(l);

	w.to_entering = 9999;
	LAB_CHECK(l, tc_ensure(u.tc, &w, &u.st, &u.changes, &u.err) == -EIO && !u.st.complete && strstr(u.err.text, "v0: egress pref 49090"));
	LAB_CHECK(l, u.st.filters[0] > 5);
	w.to_entering = l->vbr_in;
	LAB_CHECK(l, lab_ensures(&u, &w, true));
	tc_close(u.tc);
}

static void ingress_refused(struct lab *l)
{
	struct lab_tc u = { .tc = tc_open(NULL) };
	struct tc_want w = full_want(l);
	char *before;

	LAB_CHECK(l, !lab_sh("tc qdisc add dev v0 ingress"));
	before = lab_shows();
	LAB_CHECK(l, tc_ensure(u.tc, &w, &u.st, &u.changes, &u.err) == -EBUSY);
	LAB_CHECK(l, u.st.ingress_qdisc && !u.st.complete && !u.changes && strstr(u.err.text, "ingress") && strstr(u.err.text, "v0"));
	LAB_CHECK(l, tc_check(u.tc, &w, &u.st, &u.err) == -EBUSY && u.st.ingress_qdisc);
	LAB_CHECK(l, tc_remove(u.tc, l->v0, &u.err) == 0);
	LAB_CHECK(l, lab_as_before(before));
	tc_close(u.tc);
}

static void gone(struct lab *l)
{
	struct lab_tc u = { .tc = tc_open(NULL) };
	struct tc_want w = full_want(l);

	LAB_CHECK(l, lab_ensures(&u, &w, true));
	LAB_CHECK(l, !lab_sh("ip link del v0"));
	LAB_CHECK(l, tc_ensure(u.tc, &w, &u.st, &u.changes, &u.err) == -ENODEV);
	LAB_CHECK(l, tc_check(u.tc, &w, &u.st, &u.err) == -ENODEV);
	LAB_CHECK(l, tc_remove(u.tc, w.ifindex, &u.err) == 0);
	tc_close(u.tc);
}

static bool same_blocks(const char *a, const char *b)
{
	char *x = lab_output("tc qdisc show dev %s clsact", a), *y = lab_output("tc qdisc show dev %s clsact", b);
	char *bx = strstr(x, "ingress_block"), *by = strstr(y, "ingress_block");
	bool same = bx && by && !strcmp(bx, by);

	free(x);
	free(y);
	return same;
}

static void blocks(struct lab *l)
{
	struct lab_tc u = { .tc = tc_open(NULL) };
	struct tc_want w[3];
	unsigned first;
	char *out;

	LAB_CHECK(l, !lab_sh("ip link add v1 type veth peer name p1 && ip link add v2 type veth peer name p2 && ip link set v1 up && ip link set v2 up"));
	for (int i = 0; i < 3; i++) {
		char name[4] = { 'v', (char)('0' + i), 0 };

		w[i] = full_want(l);
		w[i].ifindex = (int)if_nametoindex(name);
		w[i].blocks = TC_BLOCKS_SHARED;
	}
	LAB_CHECK(l, lab_ensures(&u, &w[0], true) && u.st.shared && u.st.ours && u.st.filters[0] > 5);
	first = u.changes;
	LAB_CHECK(l, lab_ensures(&u, &w[1], true) && u.changes == 1 && first > 20);	/* the qdisc only */
	LAB_CHECK(l, lab_ensures(&u, &w[2], true) && u.changes == 1);
	for (int i = 0; i < 3; i++)
		LAB_CHECK(l, lab_ensures(&u, &w[i], false));
	LAB_CHECK(l, same_blocks("v0", "v1") && same_blocks("v0", "v2"));
	/* One of them wants something else: a pair of its own; the others are as they were. */
	w[1].exclude_sport[0].n = w[1].exclude_dport[1].n = 1;
	LAB_CHECK(l, lab_ensures(&u, &w[1], true) && u.st.shared);
	LAB_CHECK(l, !same_blocks("v0", "v1") && same_blocks("v0", "v2"));
	LAB_CHECK(l, lab_ensures(&u, &w[0], false));
	/* Back, then to filters of its own, and back. */
	w[1] = w[0];
	w[1].ifindex = (int)if_nametoindex("v1");
	LAB_CHECK(l, lab_ensures(&u, &w[1], true) && same_blocks("v0", "v1"));
	w[1].blocks = TC_BLOCKS_DEVICE;
	LAB_CHECK(l, lab_ensures(&u, &w[1], true) && !u.st.shared && u.st.ours);
	LAB_CHECK(l, lab_ensures(&u, &w[1], false));
	w[1].blocks = TC_BLOCKS_SHARED;
	LAB_CHECK(l, lab_ensures(&u, &w[1], true) && same_blocks("v0", "v1"));
	/* A filter taken from the block is missed on every device, and put back for all. */
	LAB_CHECK(l, !lab_sh("tc filter del block $(tc qdisc show dev v0 clsact | sed -n 's/.*ingress_block \\([0-9]*\\).*/\\1/p') pref 49040"));
	LAB_CHECK(l, lab_wrong(&u, &w[0]) && lab_wrong(&u, &w[2]));
	LAB_CHECK(l, lab_ensures(&u, &w[2], true) && lab_ensures(&u, &w[0], false));
	/* The last device takes the blocks along. */
	for (int i = 0; i < 3; i++)
		LAB_CHECK(l, tc_remove(u.tc, w[i].ifindex, &u.err) == 0);
	out = lab_output("tc qdisc show; tc filter show block %u 2>&1", BLOCK(plan_key(&w[0]) % BLOCK_SLOTS, 0));
	LAB_CHECK(l, !strstr(out, "clsact") && !strstr(out, "u32"));
	free(out);
	tc_close(u.tc);
}

/* Blocks of somebody else's leave no place for filters. */
static void foreign_blocks(struct lab *l)
{
	struct lab_tc u = { .tc = tc_open(NULL) };
	struct tc_want w = full_want(l);

	LAB_CHECK(l, !lab_sh("tc qdisc add dev v0 ingress_block 31 egress_block 32 clsact"));
	for (int mode = 0; mode < 2; mode++) {
		w.blocks = mode ? TC_BLOCKS_SHARED : TC_BLOCKS_DEVICE;
		LAB_CHECK(l, tc_ensure(u.tc, &w, &u.st, &u.changes, &u.err) == -EBUSY && strstr(u.err.text, "31"));
	}
	LAB_CHECK(l, tc_remove(u.tc, l->v0, &u.err) == 0);
	LAB_CHECK(l, !lab_sh("tc qdisc show dev v0 | grep -q 'ingress_block 31'"));
	tc_close(u.tc);
}

static void remove_all(struct lab *l)
{
	struct lab_tc u = { .tc = tc_open(NULL) };
	struct tc_want w = full_want(l);

	LAB_CHECK(l, !lab_sh("for i in 1 2 3; do ip link add v$i type veth peer name p$i; done; tc qdisc add dev v2 clsact; tc qdisc add dev v3 clsact"));
	for (int i = 0; i < 3; i++) {
		char name[4] = { 'v', (char)('0' + i), 0 };

		w.ifindex = (int)if_nametoindex(name);
		w.blocks = i == 1 ? TC_BLOCKS_SHARED : TC_BLOCKS_DEVICE;
		LAB_CHECK(l, lab_ensures(&u, &w, true));
	}
	LAB_CHECK(l, tc_remove_all(u.tc, &u.err) == 3);
	LAB_CHECK(l, tc_remove_all(u.tc, &u.err) == 0);
	LAB_CHECK(l, !lab_sh("test \"$(tc qdisc show | grep -c clsact)\" = 2 && ! tc filter show dev v2 ingress | grep -q pref"));
	tc_close(u.tc);
}

/* The clsact stays, nothing is copied, a crash does not make us forget whose it is; and it goes in the end. */
static void released(struct lab *l)
{
	struct lab_tc u = { .tc = tc_open(NULL) };
	struct tc_want wants[] = { lab_want(l), full_want(l) };
	char *before = lab_shows();

	for (size_t i = 0; i < 2; i++) {
		LAB_CHECK(l, lab_ensures(&u, &wants[i], true));
		LAB_CHECK(l, tc_release(u.tc, l->v0, &u.err) == 0);
		LAB_CHECK(l, tc_release(u.tc, l->v0, &u.err) == 0);
		LAB_CHECK(l, !lab_sh("tc qdisc show dev v0 | grep -q clsact && ! tc filter show dev v0 ingress | grep -q mirred && ! tc filter show dev v0 egress | grep -q mirred"));
		LAB_CHECK(l, lab_wrong(&u, &wants[i]));
	}
	LAB_CHECK(l, lab_ensures(&u, &wants[1], true));
	LAB_CHECK(l, u.st.ours);
	LAB_CHECK(l, tc_release(u.tc, l->v0, &u.err) == 0);
	tc_close(u.tc);
	u.tc = tc_open(NULL);	/* another process after a crash */
	LAB_CHECK(l, tc_remove_all(u.tc, &u.err) == 1);
	LAB_CHECK(l, lab_as_before(before));
	/* somebody else's clsact is left as it was */
	LAB_CHECK(l, !lab_sh("tc qdisc add dev v0 clsact"));
	before = lab_shows();
	LAB_CHECK(l, lab_ensures(&u, &wants[1], true));
	LAB_CHECK(l, tc_release(u.tc, l->v0, &u.err) == 0);
	LAB_CHECK(l, lab_as_before(before));
	tc_close(u.tc);
}

static void test_released(void) { lab_run(released); }
static void test_idempotent(void) { lab_run(idempotent); }
static void test_repaired(void) { lab_run(repaired); }
static void test_told_of_all(void) { lab_run(told_of_all); }
static void test_foreign_clsact(void) { lab_run(foreign_clsact); }
static void test_foreign_filter(void) { lab_run(foreign_filter_on_ours); }
static void test_number_taken(void) { lab_run(number_taken); }
static void test_no_bridge(void) { lab_run(no_bridge); }
static void test_ingress(void) { lab_run(ingress_refused); }
static void test_gone(void) { lab_run(gone); }
static void test_blocks(void) { lab_run(blocks); }
static void test_foreign_blocks(void) { lab_run(foreign_blocks); }
static void test_remove_all(void) { lab_run(remove_all); }

static void test_probe(void)
{
	struct err err = { "" };
	char what[64] = "?";
	int rc = tc_probe(TC_ENGINE_U32, what, &err);

	CU_ASSERT((rc == 0) == (what[0] == 0));
	if (rc)
		fprintf(stderr, "    this machine lacks %s: %s\n", what, err.text);
}

const struct unit_test tests_filter[] = {
	{ "idempotent, leaves no trace", test_idempotent },
	{ "what was taken or altered is told, and put back", test_repaired },
	{ "what is told of all devices", test_told_of_all },
	{ "somebody else's clsact", test_foreign_clsact },
	{ "somebody else's filter on ours", test_foreign_filter },
	{ "a table's number is taken", test_number_taken },
	{ "no bridge", test_no_bridge },
	{ "an ingress qdisc is refused", test_ingress },
	{ "the device is gone", test_gone },
	{ "shared blocks", test_blocks },
	{ "somebody else's blocks", test_foreign_blocks },
	{ "released: the clsact stays, known as ours", test_released },
	{ "remove all", test_remove_all },
	{ "probe", test_probe },
	{ 0 },
};
