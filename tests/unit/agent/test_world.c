/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <netinet/in.h>
#include <string.h>

#include "agent/path.h"
#include "agent/world.h"
#include "tests/unit/unit.h"

static struct addr A(const char *s)
{
	struct addr a = { { 0 } };

	CU_ASSERT_EQUAL_FATAL(addr_parse(s, &a), 0);
	return a;
}

static struct world_port port(uint32_t workload, uint8_t mac, const char *v4, const char *v6)
{
	struct world_port p = { .row = { .workload = workload, .mirror = true }, .view = 2 * mac, .mac = { 2, 0, 0, 0, 0, mac }, .naddrs = 4 };

	p.addrs[0] = A(v4);
	p.addrs[1] = A(v6);
	p.addrs[2] = A("fe80::1");	/* the same on every one */
	p.addrs[3] = A("127.0.0.1");
	return p;
}

static void queue_80(struct world_port *p, enum app_side side)
{
	p->row.queue = true;
	p->row.side = side;
	p->row.apps = (struct app_ports){ .n = 1, .port = { { IPPROTO_TCP, 80 } } };
}

static void test_find(void)
{
	struct world_port p[2] = { port(1, 11, "10.0.0.1", "fd00::1"), port(2, 12, "10.0.0.2", "fd00::2") };
	struct world *w = world_new(p, 2, NULL, 0, 0), *ref;
	struct addr a = A("10.0.0.2");
	uint32_t id;

	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	CU_ASSERT_EQUAL(world_by_mac(w, p[0].mac)->row.workload, 1);
	CU_ASSERT_PTR_NULL(world_by_mac(w, (const uint8_t[]){ 2, 0, 0, 0, 0, 13 }));
	CU_ASSERT_EQUAL(world_by_addr(w, &a)->row.workload, 2);
	a = A("fd00::1");
	CU_ASSERT_EQUAL(world_by_addr(w, &a)->row.workload, 1);
	a = A("fe80::1");
	CU_ASSERT_PTR_NULL(world_by_addr(w, &a));
	a = A("127.0.0.1");
	CU_ASSERT_PTR_NULL(world_by_addr(w, &a));
	CU_ASSERT_EQUAL(world_by_workload(w, 2)->mac[5], 12);
	CU_ASSERT_PTR_NULL(world_by_workload(w, 3));
	CU_ASSERT_EQUAL(world_view(w, p[0].mac, p[1].mac, false, &id), 22);
	CU_ASSERT_EQUAL(id, 1);
	CU_ASSERT_EQUAL(world_view(w, p[0].mac, p[1].mac, true, &id), 25);
	CU_ASSERT_EQUAL(id, 2);
	CU_ASSERT(world_view(w, p[0].mac, (const uint8_t[]){ 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, true, &id) >= 0xfffffffeU && id == 0);
	ref = world_ref(w);
	world_unref(w);
	CU_ASSERT_EQUAL(world_by_workload(ref, 2)->mac[5], 12);	/* still there */
	world_unref(ref);
	world_unref(NULL);
	w = world_new(NULL, 0, NULL, 0, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	CU_ASSERT_PTR_NULL(world_by_addr(w, &a));
	world_unref(w);
}

/* Many ports: each is found by each of its names. */
static void test_many(void)
{
	enum { N = 3000 };
	static struct world_port p[N];
	struct world *w;

	for (unsigned i = 0; i < N; i++) {
		p[i] = (struct world_port){ .row.workload = i + 1, .view = 2 * (i + 1), .mac = { 2, 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i }, .naddrs = 1 };
		p[i].addrs[0] = addr_v4((const uint8_t[]){ 10, 1, (uint8_t)(i >> 8), (uint8_t)i });
	}
	w = world_new(p, N, NULL, 0, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	for (unsigned i = 0; i < N; i++) {
		CU_ASSERT_EQUAL_FATAL(world_by_mac(w, p[i].mac)->row.workload, i + 1);
		CU_ASSERT_EQUAL_FATAL(world_by_addr(w, &p[i].addrs[0])->row.workload, i + 1);
		CU_ASSERT_EQUAL_FATAL(world_by_workload(w, i + 1)->view, 2 * (i + 1));
	}
	world_unref(w);
}

static void test_ends(void)
{
	struct world_port p[2] = { port(1, 11, "10.0.0.1", "fd00::1"), port(2, 12, "10.0.0.2", "fd00::2") };
	struct world *w = world_new(p, 2, NULL, 0, 0);
	uint8_t eth[14] = { 2, 0, 0, 0, 0, 12, 2, 0, 0, 0, 0, 11 };
	struct frame f = { .data = eth, .caplen = 14, .link = LINK_ETHERNET };
	struct tuple t = { .src = A("10.0.0.1"), .dst = A("10.0.0.2"), .ipproto = IPPROTO_TCP };
	const struct world_port *end[2];

	world_ends(w, &f, &t, end);
	CU_ASSERT(end[0]->row.workload == 1 && end[1]->row.workload == 2);
	t.dst = A("8.8.8.8");
	world_ends(w, &f, &t, end);
	CU_ASSERT(end[0]->row.workload == 1 && !end[1]);
	t.src = t.dst = A("fe80::1");		/* nobody's own: the MACs tell */
	world_ends(w, &f, &t, end);
	CU_ASSERT(end[0]->row.workload == 1 && end[1]->row.workload == 2);
	f = (struct frame){ .workload = 2, .flags = FRAME_LEAVING, .link = LINK_RAW };
	t.src = A("9.9.9.9");			/* a forged source: the frame's own workload it is */
	t.dst = A("10.0.0.1");
	world_ends(w, &f, &t, end);
	CU_ASSERT(end[0]->row.workload == 2 && end[1]->row.workload == 1);
	t.src = t.dst = A("127.0.0.1");		/* with itself */
	world_ends(w, &f, &t, end);
	CU_ASSERT(end[0] && end[0] == end[1] && end[0]->row.workload == 2);
	f.flags = FRAME_ENTERING;
	t.src = A("10.0.0.1");
	t.dst = A("224.0.0.1");
	world_ends(w, &f, &t, end);
	CU_ASSERT(end[0]->row.workload == 1 && end[1]->row.workload == 2);
	world_unref(w);
}

/* One packet, shown by every source that could: exactly one says yes. */
static void test_one_owner(void)
{
	for (unsigned s1 = 0; s1 < 4; s1++) {
		for (unsigned s2 = 0; s2 < 4; s2++) {
			for (unsigned way = 0; way < 2; way++) {
				struct world_port p[2] = { port(1, 11, "10.0.0.1", "fd00::1"), port(2, 12, "10.0.0.2", "fd00::2") };
				struct tuple t = { .src = A("10.0.0.1"), .dst = A("10.0.0.2"), .ipproto = IPPROTO_TCP, .sport = 50000, .dport = 80 };
				struct frame tc = { .ts = 500, .path = PATH_TC, .link = LINK_RAW }, q1 = { .ts = 500, .path = PATH_NFQ, .workload = 1, .link = LINK_RAW, .flags = way ? FRAME_ENTERING : FRAME_LEAVING };
				struct frame q2 = { .ts = 500, .path = PATH_NFQ, .workload = 2, .link = LINK_RAW, .flags = way ? FRAME_LEAVING : FRAME_ENTERING };
				struct world *w;
				unsigned yes;

				if (s1)
					queue_80(&p[0], (enum app_side)s1);
				if (s2)
					queue_80(&p[1], (enum app_side)s2);
				if (way)
					t = (struct tuple){ .src = t.dst, .dst = t.src, .ipproto = IPPROTO_TCP, .sport = 80, .dport = 50000 };
				w = world_new(p, 2, NULL, 100, 200);
				yes = (unsigned)(world_owner(w, &tc, &t) == OWN_YES) + (world_owner(w, &q1, &t) == OWN_YES) + (world_owner(w, &q2, &t) == OWN_YES);
				CU_ASSERT_EQUAL(yes, 1);
				/* a copy that left the workload whose queue owns it was shown there first */
				for (uint32_t id = 0; id <= 2; id++) {
					struct frame copy = { .ts = 500, .path = PATH_TC, .workload = id, .link = LINK_RAW, .flags = FRAME_LEAVING };
					bool queued = id == 1 ? !(s2 & SIDE_SERVER) && (s1 & SIDE_CLIENT) : id == 2 && (s2 & SIDE_SERVER);

					if (id == (way ? 2u : 1u))
						CU_ASSERT_EQUAL(world_owner(w, &copy, &t) == OWN_SHOWN, queued);
				}
				CU_ASSERT_EQUAL(world_owner(w, &q2, &t) == OWN_YES, (s2 & SIDE_SERVER) != 0);
				CU_ASSERT_EQUAL(world_owner(w, &q1, &t) == OWN_YES, !(s2 & SIDE_SERVER) && (s1 & SIDE_CLIENT));
				tc.ts = q1.ts = q2.ts = 150;	/* while a switch is under way two may show it: told as an overlap, not refused */
				CU_ASSERT(world_owner(w, &tc, &t) != OWN_NO && world_owner(w, &q1, &t) != OWN_NO && world_owner(w, &q2, &t) != OWN_NO);
				world_unref(w);
			}
		}
	}
}

const struct unit_test tests_world[] = {
	{ "by MAC, address, workload, view", test_find },
	{ "many ports", test_many },
	{ "ends of a packet", test_ends },
	{ "one owner", test_one_owner },
	{ 0 },
};
