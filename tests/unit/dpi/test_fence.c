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

static const char *const kind_name[] = { "TCP", "UDP", "echo" };

static uint8_t proto_of(enum fence_kind kind, bool v4) { return kind == FENCE_TCP ? IPPROTO_TCP : kind == FENCE_UDP ? IPPROTO_UDP : v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6; }

/* Verdict at the first packet. */
static bool refused(const struct policy *p, enum fence_kind kind, const struct addr *from, const struct group_set *fb, const struct addr *to, const struct group_set *tb, uint16_t port)
{
	struct group_set f, t;
	struct policy_query q = { .from = &f, .to = &t, .ipproto = proto_of(kind, addr_is_v4(from)), .port = kind == FENCE_ECHO ? 0 : port, .mode = MODE_DISCOVER };
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

/* Is a packet between it and this peer stopped? */
static bool fenced(const struct fence *f, unsigned n, enum fence_kind kind, const struct addr *peer, uint16_t to, uint16_t from)
{
	for (unsigned i = 0; i < n; i++)
		if (f[i].ipproto == proto_of(kind, addr_is_v4(peer)) && addr_is_v4(peer) == (f[i].peer.len >= 96 && addr_is_v4(&f[i].peer.net)) && cidr_has(&f[i].peer, peer) &&
		    to >= f[i].lo && to <= f[i].hi && from >= f[i].from_lo && from <= f[i].from_hi)
			return !f[i].pass;
	return false;
}

/* What a packet of these ports is, told without a state: refused whoever began. */
static bool stops(const struct fence_want *w, const struct addr *me, const struct addr *peer, const struct group_set *bits, uint16_t to, uint16_t from)
{
	const struct group_set *mine = w->groups;
	bool v4 = addr_is_v4(me), is = w->entering ? refused(w->policy, w->kind, peer, bits, me, mine, to) : refused(w->policy, w->kind, me, mine, peer, bits, to);

	if (w->kind != FENCE_UDP)
		return is;
	if (v4 ? to == 67 || to == 68 : to == 546 || to == 547)
		return false;
	return is && (w->entering ? refused(w->policy, w->kind, me, mine, peer, bits, from) : refused(w->policy, w->kind, peer, bits, me, mine, from));
}

struct seen { unsigned many, peers, partial, answers; };

static void try_kind(uint32_t again, const struct fence_want *w, struct seen *seen)
{
	static const char *const others[] = { "10.1.2.2", "10.1.3.4", "10.200.0.1", "8.8.8.8", "192.0.2.255", "192.0.3.0", "9.255.255.255", "11.0.0.0", "fd00:1::8", "fd00:2::", "2001:db8::1", "fc00::1" };
	static const uint16_t ports[] = { 0, 1, 22, 66, 67, 68, 80, 100, 199, 200, 546, 8080, 8081, 40000, 65535 };
	static struct fence out[FENCE_OUT_MAX];
	const unsigned nports = sizeof ports / sizeof ports[0], nothers = sizeof others / sizeof others[0];
	struct fence_left left;
	unsigned n = fence_find(w, out, &left);
	bool part = left.out || left.capped;

	seen->partial += part;
	seen->many += n > 0;
	for (unsigned k = 0; k < nports * (w->kind == FENCE_UDP ? nports : 1); k++) {
		uint16_t to = ports[k % nports], from = ports[(k + k / nports) % nports];

		for (unsigned i = 0; i < nothers + w->npeers; i++) {	/* peers' queues own what they own */
			const struct fence_peer *peer = i < nothers ? NULL : &w->peers[i - nothers];
			struct addr a = peer ? peer->addr : parse(others[i]);
			bool is = stops(w, &w->addrs[!addr_is_v4(&a)], &a, peer ? peer->groups : NULL, to, from), owned = false;
			bool in = fenced(out, n, w->kind, &a, to, from);

			if (peer && peer->queued && w->kind == FENCE_TCP)
				owned = peer->queued->all || to == 8080;
			else if (peer && peer->queued && w->kind == FENCE_UDP)
				owned = peer->queued->all;
			is = is && !owned && (!part || in);
			CU_ASSERT_EQUAL(in, is);
			if (in != is)
				fprintf(stderr, "    seed %u %s %s %s ports %u > %u: stopped %d\n", again, kind_name[w->kind], w->entering ? "from" : "to", i < nothers ? others[i] : "a peer", from, to, in);
			seen->peers += is && peer;
			seen->answers += !is && w->kind == FENCE_UDP && stops(&(struct fence_want){ .policy = w->policy, .groups = w->groups, .kind = FENCE_TCP, .entering = w->entering }, &w->addrs[!addr_is_v4(&a)], &a,
									   peer ? peer->groups : NULL, to, from);
		}
	}
}

/* What is stopped is what is refused whoever began, and nothing else. */
static void test_exact(void)
{
	struct seen seen[FENCE_KINDS] = { { 0 } };

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

		for (unsigned kind = 0; kind < FENCE_KINDS; kind++) {
			w.kind = (enum fence_kind)kind;
			if (again % (kind == FENCE_UDP ? 4 : 1) == 0)
				try_kind(again, &w, &seen[kind]);
		}
		policy_unref(p);
	}
	CU_ASSERT(seen[FENCE_TCP].many > 100 && seen[FENCE_TCP].peers > 100 && seen[FENCE_TCP].partial < 10);
	CU_ASSERT(seen[FENCE_UDP].many > 30 && seen[FENCE_UDP].peers > 100 && seen[FENCE_UDP].answers > 100 && seen[FENCE_UDP].partial < 30);
	CU_ASSERT(seen[FENCE_ECHO].many > 100 && seen[FENCE_ECHO].peers > 100 && !seen[FENCE_ECHO].partial);
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
	static struct fence out[FENCE_OUT_MAX];
	struct addr self = parse("10.0.0.2"), six = parse("fe80::1");
	struct app_ports queued = { .n = 2, .port = { { IPPROTO_TCP, 443 }, { IPPROTO_UDP, 53 } } }, all = { .all = true };
	struct group_set none = { { 0 } };
	static struct fence_peer crowd[FENCE_PEERS_MAX + 1];
	struct fence_want w = { .policy = deny_all_but(80, APP_UNKNOWN), .groups = &none, .addrs = &self, .naddrs = 1, .entering = true };
	struct fence_left left;
	unsigned n = fence_find(&w, out, &left);

	/* Nothing of IPv6: it has no address there. In IPv4 one port passes, the rest does not. */
	CU_ASSERT(n == 2 && !left.out && !left.capped);
	for (unsigned i = 0; i < n; i++)
		CU_ASSERT(out[i].peer.len == 96 && addr_is_v4(&out[i].peer.net) && out[i].pass == !i && out[i].lo == (i ? 0 : 80) && out[i].hi == (i ? 65535 : 80));
	w.addrs = &six;
	CU_ASSERT_EQUAL(fence_find(&w, out, &left), 0);		/* link-local says nothing */
	w.addrs = &self;
	w.queued = &queued;
	n = fence_find(&w, out, &left);
	self.b[15]++;
	CU_ASSERT(n == 3 && !fenced(out, n, FENCE_TCP, &self, 443, 9) && !fenced(out, n, FENCE_TCP, &self, 80, 9) && fenced(out, n, FENCE_TCP, &self, 53, 9));
	self.b[15]--;
	w.kind = FENCE_UDP;	/* DHCP passes, what its queue owns passes in both directions */
	n = fence_find(&w, out, &left);
	self.b[15]++;
	CU_ASSERT(n == 4 && !fenced(out, n, FENCE_UDP, &self, 53, 9) && !fenced(out, n, FENCE_UDP, &self, 9, 53) && !fenced(out, n, FENCE_UDP, &self, 67, 68) && !fenced(out, n, FENCE_UDP, &self, 68, 67) &&
		  fenced(out, n, FENCE_UDP, &self, 9, 9));
	self.b[15]--;
	w.kind = FENCE_TCP;
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
