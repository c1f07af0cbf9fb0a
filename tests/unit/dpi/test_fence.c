/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fences against policy_judge(): whoever is within one is refused whatever the application; random policies, and what should be fenced is. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dpi/fence.h"
#include "tests/unit/unit.h"

static uint32_t seed;
static uint32_t roll(uint32_t n) { return (seed = seed * 1664525u + 1013904223u) / 65536u % n; }

static const char *const nets[] = { "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3", "192.0.2.0/24", "0.0.0.0/0", "::/0", "fd00::/8", "fd00:1::/32", "fd00:1::7" };
#define NETS (sizeof nets / sizeof nets[0])

static struct addr parse(const char *text)
{
	struct addr a;

	CU_ASSERT_EQUAL_FATAL(addr_parse(text, &a), 0);
	return a;
}

/* Two groups of workloads (bits 1, 2), four of prefixes; a rule list at random. */
static struct policy *policy_at_random(void)
{
	static const enum app apps[] = { APP_HTTP, APP_SSH };
	struct policy_builder *b = policy_begin((enum policy_mode)(1 + roll(2)));
	struct err err = { "" };
	unsigned rules = 1 + roll(6);

	for (unsigned g = 0; g < 6; g++) {
		char name[8];
		int no;

		snprintf(name, sizeof name, "g%u", g);
		no = policy_add_group(b, name, roll(3) ? -1 : (int)(1 + roll(2)), &err);
		if (g < 2) {
			policy_group_needs_workload(b, (unsigned)no);
		} else {
			struct cidr c;

			cidr_parse(nets[roll(NETS)], &c);
			policy_group_cidr(b, (unsigned)no, &c, false, &err);
		}
	}
	for (unsigned i = 0; i < rules; i++) {
		uint16_t from = (uint16_t)roll(7), to = (uint16_t)roll(7), lo = (uint16_t)(roll(4) ? roll(200) : roll(65536));
		struct port_range ports = { roll(3) ? IPPROTO_TCP : IPPROTO_UDP, lo, (uint16_t)(lo + roll(65536u - lo)) };
		struct rule_spec r = {
			.id = i + 1, .from = &from, .to = &to, .nfrom = 1, .nto = 1, .ports = &ports, .nports = roll(2), .apps = apps, .napps = roll(3) ? 0 : 1 + roll(2),
			.action = roll(2) ? VERDICT_ALLOW : roll(3) ? VERDICT_DENY : VERDICT_DROP, .mode = RULE_MODE_NONE,
		};

		CU_ASSERT_EQUAL_FATAL(policy_add_rule(b, &r, &err), 0);
	}
	return policy_build(b);
}

static struct group_set bits(bool one, bool two) { return (struct group_set){ { (uint64_t)one << 1 | (uint64_t)two << 2 } }; }

/* Verdict at the first packet. */
static bool refused(const struct policy *p, const struct addr *from, const struct group_set *fb, const struct addr *to, const struct group_set *tb, uint16_t port)
{
	struct group_set f, t;
	struct policy_query q = { .from = &f, .to = &t, .ipproto = IPPROTO_TCP, .port = port, .mode = MODE_DISCOVER };
	struct policy_answer a;

	policy_groups(p, from, fb, &f);
	policy_groups(p, to, tb, &t);
	if (fb)
		q.mode = policy_mode_of(p, &f);
	if (tb && policy_mode_of(p, &t) > q.mode)
		q.mode = policy_mode_of(p, &t);
	a = policy_judge(p, &q);
	return a.enforce && verdict_stops(a.verdict);
}

static bool fenced(const struct tcp_fence *f, unsigned n, const struct addr *peer, uint16_t port)
{
	for (unsigned i = 0; i < n; i++)
		if (addr_is_v4(peer) == (f[i].peer.len >= 96 && addr_is_v4(&f[i].peer.net)) && cidr_has(&f[i].peer, peer) && port >= f[i].lo && port <= f[i].hi)
			return true;
	return false;
}

/* The same, once only: fences do not overlap. */
static void test_exact(void)
{
	static const char *const others[] = { "10.1.2.2", "10.1.3.4", "10.200.0.1", "8.8.8.8", "192.0.2.255", "192.0.3.0", "9.255.255.255", "11.0.0.0", "fd00:1::8", "fd00:2::", "2001:db8::1", "fc00::1" };
	static const uint16_t ports[] = { 0, 1, 22, 80, 100, 199, 200, 8080, 8081, 40000, 65535 };
	unsigned many = 0, peers_fenced = 0, partial = 0;

	for (uint32_t again = 1; again < 1500; again++) {
		seed = again * 7919;
		struct policy *p = policy_at_random();
		const struct group_set mine = bits(roll(2), roll(2)), theirs[2] = { bits(true, false), bits(false, true) };
		struct addr self[2] = { parse("10.1.2.3"), parse("fd00:1::7") };
		struct app_ports queued = { .n = 1, .port = { { IPPROTO_TCP, 8080 } } }, all = { .all = true };
		struct fence_peer peers[4] = {
			{ parse("10.1.2.9"), &theirs[0], NULL }, { parse("fd00:1::9"), &theirs[0], NULL }, { parse("172.16.0.1"), &theirs[1], &queued }, { parse("fd00:9::1"), &theirs[1], &all },
		};
		struct fence_want w = { .policy = p, .groups = &mine, .addrs = self, .naddrs = 2, .peers = peers, .npeers = 4, .entering = roll(2) };
		static struct tcp_fence out[FENCE_OUT_MAX];
		struct fence_left left;
		unsigned n = fence_find(&w, out, &left);

		partial += left.out || left.capped;
		many += n > 0;
		for (size_t k = 0; k < sizeof ports / sizeof ports[0]; k++) {
			for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
				struct addr a = parse(others[i]), *me = &self[!addr_is_v4(&a)];
				bool is = w.entering ? refused(p, &a, NULL, me, &mine, ports[k]) : refused(p, me, &mine, &a, NULL, ports[k]);

				is = is && (!(left.out || left.capped) || fenced(out, n, &a, ports[k]));
				CU_ASSERT_EQUAL(fenced(out, n, &a, ports[k]), is);
				if (fenced(out, n, &a, ports[k]) != is)
					fprintf(stderr, "    seed %u %s %s port %u: fenced %d\n", again, w.entering ? "from" : "to", others[i], ports[k], !is);
			}
			for (unsigned i = 0; i < 4; i++) {
				const struct addr *a = &peers[i].addr, *me = &self[!addr_is_v4(a)];
				bool is = w.entering ? refused(p, a, peers[i].groups, me, &mine, ports[k]) : refused(p, me, &mine, a, peers[i].groups, ports[k]);

				is = is && i != 3 && !(i == 2 && ports[k] == 8080);		/* a queue's */
				is = is && (!(left.out || left.capped) || fenced(out, n, a, ports[k]));
				CU_ASSERT_EQUAL(fenced(out, n, a, ports[k]), is);
				peers_fenced += is;
			}
		}
		policy_unref(p);
	}
	CU_ASSERT(many > 100 && peers_fenced > 100 && partial < 10);
}

static struct policy *deny_all_but(uint16_t port, enum app app)
{
	struct policy_builder *b = policy_begin(MODE_PROTECT);
	uint16_t any = POLICY_GROUP_ANY;
	struct port_range r = { IPPROTO_TCP, port, port };
	struct err err = { "" };

	policy_add_rule(b, &(struct rule_spec){ .id = 1, .from = &any, .to = &any, .nfrom = 1, .nto = 1, .ports = &r, .nports = port ? 1 : 0, .apps = &app, .napps = app ? 1 : 0,
			.action = VERDICT_ALLOW, .mode = RULE_MODE_NONE }, &err);
	return policy_build(b);
}

static void test_known(void)
{
	static struct tcp_fence out[FENCE_OUT_MAX];
	struct addr self = parse("10.0.0.2"), six = parse("fe80::1");
	struct app_ports queued = { .n = 2, .port = { { IPPROTO_TCP, 443 }, { IPPROTO_UDP, 53 } } }, all = { .all = true };
	struct group_set none = { { 0 } };
	static struct fence_peer crowd[FENCE_PEERS_MAX + 1];
	struct fence_want w = { .policy = deny_all_but(80, APP_UNKNOWN), .groups = &none, .addrs = &self, .naddrs = 1, .entering = true };
	struct fence_left left;
	unsigned n = fence_find(&w, out, &left);

	/* Nothing of IPv6: it has no address there. In IPv4 all ports but one. */
	CU_ASSERT(n == 2 && !left.out && !left.capped);
	for (unsigned i = 0; i < n; i++)
		CU_ASSERT(out[i].peer.len == 96 && addr_is_v4(&out[i].peer.net) && ((out[i].lo == 0 && out[i].hi == 79) || (out[i].lo == 81 && out[i].hi == 65535)));
	for (unsigned i = 1; i < n; i++)
		CU_ASSERT(out[i].peer.len >= out[i - 1].peer.len);
	w.addrs = &six;
	CU_ASSERT_EQUAL(fence_find(&w, out, &left), 0);		/* link-local says nothing */
	w.addrs = &self;
	w.queued = &queued;
	n = fence_find(&w, out, &left);
	for (unsigned i = 0; i < n; i++)
		CU_ASSERT(out[i].lo > 443 || out[i].hi < 443);
	CU_ASSERT(n > 2);
	w.queued = &all;
	CU_ASSERT(fence_find(&w, out, &left) == 0 && !left.capped);
	w.queued = NULL;
	w.peers = crowd;
	w.npeers = FENCE_PEERS_MAX + 1;			/* a cap is told */
	CU_ASSERT(fence_find(&w, out, &left) == 0 && left.capped);
	w.npeers = 0;
	policy_unref((struct policy *)(uintptr_t)w.policy);
	w.policy = deny_all_but(0, APP_HTTP);		/* an application may still be allowed: nothing is certain */
	CU_ASSERT_EQUAL(fence_find(&w, out, &left), 0);
	policy_unref((struct policy *)(uintptr_t)w.policy);
}

const struct unit_test tests_fence[] = {
	{ "random policies: exactly what is refused at the first packet", test_exact },
	{ "what is fenced and what is not", test_known },
	{ 0 },
};
