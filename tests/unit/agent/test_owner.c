/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every combination of who is local, which side it queues, which ports, which way: both directions of a flow have one owner, and it
 * is the one that the rules of owner.h name. */
#include <netinet/in.h>
#include <string.h>

#include "agent/owner.h"
#include "tests/unit/unit.h"

static bool apps_hold(unsigned kind, uint8_t proto, uint16_t port)
{
	return kind == 1 ? proto == IPPROTO_TCP && port == 80 : kind == 2 ? (proto == IPPROTO_UDP && port == 53) || (proto == IPPROTO_TCP && port == 40000) :
		kind == 3 ? proto == IPPROTO_TCP || proto == IPPROTO_UDP : false;
}

static void set_apps(struct app_ports *a, unsigned kind)
{
	*a = (struct app_ports){ 0 };
	if (kind == 1) {
		a->port[a->n++] = (struct app_port){ IPPROTO_TCP, 80 };
	} else if (kind == 2) {
		a->port[a->n++] = (struct app_port){ IPPROTO_UDP, 53 };
		a->port[a->n++] = (struct app_port){ IPPROTO_TCP, 40000 };
	} else if (kind == 3) {
		a->all = true;
	}
}

/* An end, spread out: local, queue stands, side, apps. */
struct end {
	bool local;
	unsigned kind;
	struct owner_row row;
};

static struct end end_of(unsigned code, uint32_t id)
{
	struct end e = { .local = code != 0 };

	if (!code)
		return e;
	code--;
	e.row.workload = id;
	e.row.mirror = true;
	e.row.queue = code & 1;
	e.row.side = (enum app_side)(1 + (code >> 1) % 3);
	e.kind = (code >> 1) / 3;
	set_apps(&e.row.apps, e.kind);
	return e;
}

#define CODES (1 + 2 * 3 * 4)

static bool serves(const struct end *e, uint8_t proto, uint16_t own) { return e->local && e->row.queue && (e->row.side & SIDE_SERVER) && apps_hold(e->kind, proto, own); }
static bool speaks(const struct end *e, uint8_t proto, uint16_t other) { return e->local && e->row.queue && (e->row.side & SIDE_CLIENT) && apps_hold(e->kind, proto, other); }

static void test_all(void)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP };
	static const uint16_t ports[] = { 80, 53, 40000, 50000 };
	unsigned queued = 0, mirrored = 0;

	for (unsigned a = 0; a < CODES; a++)
		for (unsigned b = 0; b < CODES; b++)
			for (unsigned p = 0; p < 4; p++)
				for (unsigned sp = 0; sp < 4; sp++)
					for (unsigned dp = 0; dp < 4; dp++) {
						struct end ea = end_of(a, 1), eb = end_of(b, 2);
						struct tuple t = { .ipproto = protos[p], .sport = ports[sp], .dport = ports[dp] }, back;
						struct owner there, here;
						uint32_t want;
						bool sa = serves(&ea, protos[p], ports[sp]), sb = serves(&eb, protos[p], ports[dp]);
						bool ca = speaks(&ea, protos[p], ports[dp]), cb = speaks(&eb, protos[p], ports[sp]);

						addr_parse("10.0.0.1", &t.src);
						addr_parse("10.0.0.2", &t.dst);
						back = (struct tuple){ .src = t.dst, .dst = t.src, .ipproto = t.ipproto, .sport = t.dport, .dport = t.sport };
						there = owner_of(ea.local ? &ea.row : NULL, eb.local ? &eb.row : NULL, &t);
						here = owner_of(eb.local ? &eb.row : NULL, ea.local ? &ea.row : NULL, &back);
						CU_ASSERT_FATAL(there.kind == here.kind && there.workload == here.workload);
						/* a server first, then a client; the lower address when both are */
						want = sa || sb ? (sa ? 1 : 2) : ca || cb ? (ca ? 1 : 2) : 0;
						CU_ASSERT_FATAL(there.workload == want && (there.kind == OWNER_QUEUE) == (want != 0));
						queued += there.kind == OWNER_QUEUE;
						mirrored += there.kind == OWNER_MIRROR;
					}
	CU_ASSERT(queued > 1000 && mirrored > 1000);
}

static void test_itself(void)
{
	struct owner_row r = { .workload = 5, .queue = true, .side = SIDE_CLIENT };
	struct tuple t = { .ipproto = IPPROTO_TCP, .sport = 50000, .dport = 80 }, back = { .ipproto = IPPROTO_TCP, .sport = 80, .dport = 50000 };

	set_apps(&r.apps, 1);
	CU_ASSERT_EQUAL(owner_of(&r, &r, &t).kind, OWNER_MIRROR);	/* its queue does not look at lo */
	r.loopback = true;
	CU_ASSERT_EQUAL(owner_of(&r, &r, &t).kind, OWNER_QUEUE);
	CU_ASSERT_EQUAL(owner_of(&r, &r, &back).kind, OWNER_QUEUE);
	r.queue = false;
	CU_ASSERT_EQUAL(owner_of(&r, &r, &t).kind, OWNER_MIRROR);
}

/* Whoever queues what: where an end is cut off, its veth shows it. What a workload says to itself does not get there. */
static void test_cut(void)
{
	struct tuple t = { .ipproto = IPPROTO_TCP, .sport = 40000, .dport = 80 };
	struct owner_row a = { .workload = 1, .queue = true, .mirror = true, .loopback = true, .side = SIDE_BOTH }, b = a;

	b.workload = 2;
	set_apps(&a.apps, 1);
	set_apps(&b.apps, 1);
	CU_ASSERT_EQUAL(owner_of(&a, &b, &t).kind, OWNER_QUEUE);
	for (int i = 0; i < 2; i++) {
		a.cut = !i;
		b.cut = i;
		CU_ASSERT_EQUAL(owner_of(&a, &b, &t).kind, OWNER_MIRROR);
		CU_ASSERT_EQUAL(owner_of(&b, &a, &t).kind, OWNER_MIRROR);
	}
	CU_ASSERT_EQUAL(owner_of(&b, &b, &t).kind, OWNER_QUEUE);
	CU_ASSERT_EQUAL(owner_of(NULL, &b, &t).kind, OWNER_MIRROR);
}

const struct unit_test tests_owner[] = {
	{ "every combination, both directions", test_all },
	{ "a workload with itself", test_itself },
	{ "an end that is cut off", test_cut },
	{ 0 },
};
