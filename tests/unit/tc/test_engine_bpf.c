/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bpf engine's filters on a real device: idempotence, repair, from engine to engine, after a crash, leaving no trace. What it copies: test_copies.c. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "tc/bpf/maps.h"
#include "tc/engine_bpf.h"
#include "tests/unit/tc/lab.h"
#include "tests/unit/unit.h"

static struct tc_want want_of(const struct lab *l, enum tc_engine engine)
{
	struct tc_want w = lab_want(l);
	struct app_ports p = { .n = 3, .port = { { IPPROTO_TCP, 8080 }, { IPPROTO_UDP, 53 }, { IPPROTO_TCP, 443 } } };

	w.exclude_sport[0] = w.exclude_dport[1] = p;
	w.engine = engine;
	return w;
}

/* How many of our kinds of filters stand on the device. */
static bool stands(unsigned programs, unsigned mirrors)
{
	return !lab_sh("test $({ tc filter show dev v0 ingress; tc filter show dev v0 egress; } | grep -c direct-action) = %u && "
		       "test $({ tc filter show dev v0 ingress; tc filter show dev v0 egress; } | grep -c 'Egress Mirror') = %u", programs, mirrors);
}

static void idempotent(struct lab *l)
{
	struct lab_tc u = { .tc = tc_open(NULL) };
	struct tc_want w = want_of(l, TC_ENGINE_BPF), none = lab_want(l);
	char *before = lab_shows();

	none.engine = TC_ENGINE_BPF;
	LAB_CHECK(l, lab_ensures(&u, &w, true) && lab_ensures(&u, &w, false) && u.st.ours && u.st.filters[0] == 1 && u.st.filters[1] == 1);
	LAB_CHECK(l, stands(2, 0));
	LAB_CHECK(l, lab_wrong(&u, &none));			/* other ports: the maps tell */
	LAB_CHECK(l, lab_ensures(&u, &none, true) && lab_ensures(&u, &none, false));
	none.to_entering = l->vbr;
	LAB_CHECK(l, lab_wrong(&u, &none) && lab_ensures(&u, &none, true) && lab_ensures(&u, &none, false));
	LAB_CHECK(l, tc_remove(u.tc, l->v0, &u.err) == 0);
	LAB_CHECK(l, lab_as_before(before));
	LAB_CHECK(l, lab_wrong(&u, &none));			/* the device's rows went too */
	tc_close(u.tc);
}

static void repaired(struct lab *l)
{
	static const char *const harm[] = {
		"tc filter del dev v0 ingress",
		"tc filter del dev v0 egress pref 49080",
		"tc qdisc del dev v0 clsact",
		"tc filter add dev v0 ingress pref 49040 protocol all u32 match u32 0 0 action mirred egress mirror dev vbr",	/* would copy twice */
	};
	struct lab_tc u = { .tc = tc_open(NULL) };
	struct tc_want w = want_of(l, TC_ENGINE_BPF);

	LAB_CHECK(l, lab_ensures(&u, &w, true));
	for (size_t i = 0; i < sizeof harm / sizeof harm[0]; i++) {
		LAB_CHECK(l, !lab_sh("%s", harm[i]));
		LAB_CHECK(l, lab_wrong(&u, &w));
		LAB_CHECK(l, lab_ensures(&u, &w, true) && lab_ensures(&u, &w, false) && u.st.ours && stands(2, 0));
	}
	tc_close(u.tc);
}

static void engines(struct lab *l)
{
	struct lab_tc u = { .tc = tc_open(NULL) };
	struct tc_want bpf = want_of(l, TC_ENGINE_BPF), u32 = want_of(l, TC_ENGINE_U32);
	char *before = lab_shows();

	for (int i = 0; i < 3; i++) {
		LAB_CHECK(l, lab_ensures(&u, &bpf, true) && lab_ensures(&u, &bpf, false) && stands(2, 0));
		LAB_CHECK(l, lab_wrong(&u, &u32));
		LAB_CHECK(l, lab_ensures(&u, &u32, true) && lab_ensures(&u, &u32, false) && stands(0, 2) && u.st.filters[0] > 5);
		LAB_CHECK(l, lab_wrong(&u, &bpf));
	}
	bpf.blocks = TC_BLOCKS_SHARED;
	LAB_CHECK(l, lab_ensures(&u, &bpf, true) && lab_ensures(&u, &bpf, false) && u.st.shared);
	LAB_CHECK(l, tc_remove(u.tc, l->v0, &u.err) == 0);
	LAB_CHECK(l, lab_as_before(before));
	tc_close(u.tc);
}

/* What a process left whose maps nobody can write any more: taken over by the next, taken away by a clean-up. */
static void crash(struct lab *l)
{
	struct lab_tc u = { .tc = tc_open(NULL) };
	struct tc_want w = want_of(l, TC_ENGINE_BPF);
	char *before = lab_shows();

	LAB_CHECK(l, lab_ensures(&u, &w, true));
	tc_close(u.tc);
	LAB_CHECK(l, stands(2, 0));
	u.tc = tc_open(NULL);
	LAB_CHECK(l, lab_wrong(&u, &w));
	LAB_CHECK(l, lab_ensures(&u, &w, true) && lab_ensures(&u, &w, false) && u.st.ours && stands(2, 0));
	tc_close(u.tc);
	u.tc = tc_open(NULL);	/* a clean-up loads no program */
	LAB_CHECK(l, tc_remove_all(u.tc, &u.err) == 1);
	LAB_CHECK(l, lab_as_before(before));
	tc_close(u.tc);
}

/* Released, the clsact stays and is known as ours; on somebody else's everything is as it was. */
static void released(struct lab *l)
{
	struct lab_tc u = { .tc = tc_open(NULL) };
	struct tc_want w = want_of(l, TC_ENGINE_BPF);
	char *before;

	LAB_CHECK(l, lab_ensures(&u, &w, true));
	LAB_CHECK(l, tc_release(u.tc, l->v0, &u.err) == 0 && stands(0, 0) && !lab_sh("tc qdisc show dev v0 | grep -q clsact"));
	LAB_CHECK(l, lab_ensures(&u, &w, true) && u.st.ours);
	LAB_CHECK(l, tc_remove(u.tc, l->v0, &u.err) == 0);
	LAB_CHECK(l, !lab_sh("tc qdisc add dev v0 clsact && tc filter add dev v0 ingress pref 50000 protocol all u32 match u32 0 0 action mirred egress mirror dev lo"));
	before = lab_shows();
	LAB_CHECK(l, lab_ensures(&u, &w, true) && !u.st.ours && u.st.foreign[0] == 1);
	LAB_CHECK(l, tc_release(u.tc, l->v0, &u.err) == 0);
	LAB_CHECK(l, lab_as_before(before));
	tc_close(u.tc);
}

static bool is_there(void *ctx, int ifindex) { return *(int *)ctx == ifindex; }

/* A device that went away by itself leaves no rows. */
static void kept(struct lab *l)
{
	struct lab_tc u = { .tc = tc_open(NULL) };
	struct tc_want w = want_of(l, TC_ENGINE_BPF);
	int other = l->v0 + 1000;

	LAB_CHECK(l, lab_ensures(&u, &w, true));
	tc_keep(u.tc, is_there, &l->v0);
	LAB_CHECK(l, lab_ensures(&u, &w, false));
	tc_keep(u.tc, is_there, &other);
	LAB_CHECK(l, lab_wrong(&u, &w) && strstr(u.st.differs, "maps"));
	LAB_CHECK(l, lab_ensures(&u, &w, true));
	tc_close(u.tc);
}

/* Another program on the hook is nobody's business of ours. */
static void foreign_program(struct lab *l)
{
	struct lab_tc u = { .tc = tc_open(NULL) };
	struct tc_want w = want_of(l, TC_ENGINE_BPF);

	LAB_CHECK(l, !lab_sh("tc qdisc add dev v0 clsact && tc filter add dev v0 ingress pref 50000 protocol all bpf bytecode '1,6 0 0 0,' flowid 1:1"));
	LAB_CHECK(l, lab_ensures(&u, &w, true) && u.st.foreign[0] == 1 && !u.st.ours);
	LAB_CHECK(l, tc_remove(u.tc, l->v0, &u.err) == 0);
	LAB_CHECK(l, !lab_sh("tc filter show dev v0 ingress | grep -q 'pref 50000'"));
	tc_close(u.tc);
}

/* Both hooks of a device of its own, each with as many ports as there can be. */
#define MOST (4 * APP_PORTS_MAX)

static int fill(struct tcbpf *b, int ifindex, struct err *err)
{
	struct app_ports p = { .n = APP_PORTS_MAX };
	int rc = 0;

	for (unsigned i = 0; i < p.n; i++)
		p.port[i] = (struct app_port){ IPPROTO_TCP, (uint16_t)(1 + i) };
	for (int h = 0; h < 2 && rc >= 0; h++)
		rc = tcbpf_hook(b, ifindex, h, 1, &p, &p, err);
	return rc;
}

/* What did not fit is tried again whole, and takes no place meanwhile. */
static void full(struct lab *l)
{
	struct app_ports one = { .n = 1, .port = { { IPPROTO_TCP, 1 } } }, two = { .n = 2, .port = { { IPPROTO_TCP, 1 }, { IPPROTO_UDP, 2 } } }, none = { .n = 0 };
	const int last = BPF_PORTS_MAX / MOST, late = last + 1;
	struct err err = { "" };
	struct tcbpf *b = tcbpf_open(&err);

	LAB_CHECK(l, b != NULL);
	if (!b)
		return;
	for (int i = 1; i < last; i++)
		LAB_CHECK(l, fill(b, i, &err) == 1);
	LAB_CHECK(l, tcbpf_hook(b, late, 0, 1, &one, &none, &err) == 1);
	LAB_CHECK(l, fill(b, last, &err) == -E2BIG);
	LAB_CHECK(l, tcbpf_hook(b, late, 0, 1, &two, &none, &err) == 1);	/* the other's second hook left its place */
	tcbpf_forget(b, last);
	tcbpf_forget(b, late);
	LAB_CHECK(l, fill(b, last, &err) == 1);
	LAB_CHECK(l, tcbpf_hook(b, late, 0, 1, &none, &none, &err) == 1);
	LAB_CHECK(l, tcbpf_hook(b, late, 0, 1, &two, &none, &err) == -E2BIG);
	LAB_CHECK(l, tcbpf_current(b, late, 0, 1, &none, &none) && !tcbpf_current(b, late, 0, 1, &two, &none));
	tcbpf_forget(b, last);
	LAB_CHECK(l, tcbpf_hook(b, late, 0, 1, &two, &none, &err) == 1 && tcbpf_current(b, late, 0, 1, &two, &none));
	LAB_CHECK(l, fill(b, last, &err) == -E2BIG);			/* its two ports are there */
	tcbpf_close(b);
}

/* A map of the engine's program. */
static int map_of(const struct tcbpf *b, const char *name)
{
	uint32_t id[8], len = sizeof(struct bpf_prog_info);
	struct bpf_prog_info prog = { .map_ids = (uintptr_t)id, .nr_map_ids = 8 };
	int fd = -1;

	if (bpf_obj_get_info_by_fd(tcbpf_prog_fd(b, 0), &prog, &len))
		return -1;
	for (uint32_t i = 0; fd < 0 && i < prog.nr_map_ids && i < 8; i++) {
		struct bpf_map_info map = { .type = 0 };

		len = sizeof map;
		fd = bpf_map_get_fd_by_id(id[i]);
		if (fd >= 0 && (bpf_obj_get_info_by_fd(fd, &map, &len) || strcmp(map.name, name))) {
			close(fd);
			fd = -1;
		}
	}
	return fd;
}

/* What somebody else wrote into the maps or took from them is seen and mended: they are read, not remembered. */
static void lost(struct lab *l)
{
	struct app_ports p = { .n = 2, .port = { { IPPROTO_TCP, 443 }, { IPPROTO_UDP, 53 } } };
	struct bpf_hook hook = { .ifindex = 5, .hook = 1 };
	struct bpf_hook_state other = { .to = 9 };
	struct bpf_port port = { .ifindex = 5, .port = htons(53), .ipproto = IPPROTO_UDP, .where = 1 << 1 | 1 };
	struct err err = { "" };
	struct tcbpf *b = tcbpf_open(&err);
	int hooks = b ? map_of(b, "hooks") : -1, ports = b ? map_of(b, "ports") : -1;

	LAB_CHECK(l, hooks >= 0 && ports >= 0);
	for (int i = 0; i < 3 && hooks >= 0 && ports >= 0; i++) {
		LAB_CHECK(l, tcbpf_hook(b, 5, 1, 7, &p, &p, &err) == 1 && tcbpf_hook(b, 5, 1, 7, &p, &p, &err) == 0 && tcbpf_current(b, 5, 1, 7, &p, &p));
		LAB_CHECK(l, !(i == 0 ? bpf_map_delete_elem(hooks, &hook) : i == 1 ? bpf_map_update_elem(hooks, &hook, &other, BPF_ANY) : bpf_map_delete_elem(ports, &port)));
		LAB_CHECK(l, !tcbpf_current(b, 5, 1, 7, &p, &p));
	}
	close(hooks);
	close(ports);
	tcbpf_close(b);
}

static void test_lost(void) { lab_run(lost); }
static void test_full(void) { lab_run(full); }
static void test_idempotent(void) { lab_run(idempotent); }
static void test_repaired(void) { lab_run(repaired); }
static void test_engines(void) { lab_run(engines); }
static void test_crash(void) { lab_run(crash); }
static void test_kept(void) { lab_run(kept); }
static void test_released(void) { lab_run(released); }
static void test_foreign_program(void) { lab_run(foreign_program); }

static void test_probe(void)
{
	struct err err = { "" };
	char what[64] = "?";

	CU_ASSERT_EQUAL(tc_probe(TC_ENGINE_BPF, what, &err), 0);	/* scripts/install-deps brings clang; the kernels that we test on take the program */
	CU_ASSERT_STRING_EQUAL(what, "");
}

const struct unit_test tests_engine_bpf[] = {
	{ "idempotent, leaves no trace", test_idempotent },
	{ "what was taken away is put back", test_repaired },
	{ "from engine to engine", test_engines },
	{ "after a crash", test_crash },
	{ "released; somebody else's clsact", test_released },
	{ "devices that are gone", test_kept },
	{ "somebody else's program", test_foreign_program },
	{ "the map of ports is full", test_full },
	{ "rows that somebody took away", test_lost },
	{ "probe", test_probe },
	{ 0 },
};
