/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules in a netns of the test's own, by both back ends, read back by the programs themselves. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include "bridge/netns.h"
#include "nfq/conntrack.h"
#include "nfq/ipt.h"
#include "tests/unit/nfq/nslab.h"
#include "tests/unit/unit.h"

static struct rules_want wanted(enum ipt_backend b)
{
	struct rules_want w = { .interface = "eth0", .side = SIDE_BOTH, .loopback = true, .bypass = true, .mark = 0x1000, .mask = 0x1000, .backend = b };

	w.apps.n = 2;
	w.apps.port[0] = (struct app_port){ IPPROTO_TCP, 8080 };
	w.apps.port[1] = (struct app_port){ IPPROTO_UDP, 53 };
	return w;
}

static struct rules_state ensure(int ns, const struct rules_want *w, unsigned *changes)
{
	struct rules_state st;
	struct err err = { "" };
	int rc = rules_ensure(ns, w, &st, changes, &err);

	CU_ASSERT_EQUAL(rc, 0);
	CU_ASSERT(st.complete);
	CU_ASSERT_EQUAL(err.text[0], 0);
	if (rc || !st.complete)
		printf("\n%s %s\n", err.text, st.differs);
	return st;
}

/* All four saved texts without comments, counters and lines of ours, sorted by the programs' own order. */
static char *others(int ns)
{
	return ns_out(ns, "for p in ip ip6; do for b in nft legacy; do echo $p $b; [ $b = nft ] || grep -q . /proc/thread-self/net/${p}_tables_names || continue;"
			  " ${p}tables-$b-save 2>/dev/null | grep -v -e '^#' -e NV_ | sed 's/\\[.*//'; done; done");
}

static void test_ensure(void)
{
	for (int b = IPT_NFT; b <= IPT_LEGACY; b++) {
		struct rules_want w = wanted((enum ipt_backend)b);
		struct rules_state st;
		struct nslab l;
		struct err err = { "" };
		unsigned changes;

		if (!nslab_open(&l))
			return;
		st = ensure(l.a, &w, &changes);
		CU_ASSERT_EQUAL(changes, 8);	/* two chains and two jumps, twice */
		CU_ASSERT_EQUAL(st.backend, (enum ipt_backend)b);
		CU_ASSERT_EQUAL(st.table, IPT_TABLE_FILTER);
		CU_ASSERT_FALSE(st.own_firewall);
		ensure(l.a, &w, &changes);
		CU_ASSERT_EQUAL(changes, 0);
		/* every field of rules_want is in the kernel's rules */
		w.quarantine = true;
		ensure(l.a, &w, &changes);
		CU_ASSERT(changes > 0);
		ensure(l.a, &w, &changes);
		CU_ASSERT_EQUAL(changes, 0);
		w.quarantine = false;
		w.bypass = false;
		ensure(l.a, &w, &changes);
		CU_ASSERT(changes > 0);
		CU_ASSERT_EQUAL(rules_check(l.a, &w, &st, &err), 0);
		CU_ASSERT(st.complete);
		w.bypass = true;
		CU_ASSERT_EQUAL(rules_check(l.a, &w, &st, &err), 0);
		CU_ASSERT_FALSE(st.complete);
		CU_ASSERT_PTR_NOT_NULL(strstr(st.differs, "NV_INPUT_PROXYMESH"));
		nslab_close(&l);
	}
}

static void test_peers_and_all(void)
{
	for (int b = IPT_NFT; b <= IPT_LEGACY; b++) {
		struct rules_want w = wanted((enum ipt_backend)b);
		struct peer_port peers[4] = { { .ipproto = IPPROTO_TCP, .port = 8080 }, { .ipproto = IPPROTO_UDP, .port = 53 }, { .port = 0 }, { .ipproto = IPPROTO_TCP, .port = 1 } };
		struct nslab l;
		unsigned changes;

		if (!nslab_open(&l))
			return;
		addr_parse("10.9.0.7", &peers[0].addr);
		addr_parse("fd09::abcd", &peers[1].addr);
		addr_parse("10.9.0.8", &peers[2].addr);
		addr_parse("fe80::1:0:0:5", &peers[3].addr);
		w.peers = peers;
		w.npeers = 4;
		ensure(l.a, &w, &changes);
		ensure(l.a, &w, &changes);
		CU_ASSERT_EQUAL(changes, 0);
		w.apps.all = true;
		w.apps.n = 0;
		ensure(l.a, &w, &changes);
		CU_ASSERT(changes > 0);
		ensure(l.a, &w, &changes);
		CU_ASSERT_EQUAL(changes, 0);
		nslab_close(&l);
	}
}

/* What somebody does to our rules is seen by the generation, named by the check, and put right. */
static void test_tampering(void)
{
	static const char *const deeds[] = {
		"iptables-%s -D NV_INPUT_PROXYMESH 2", "ip6tables-%s -F NV_OUTPUT_PROXYMESH", "iptables-%s -D INPUT -j NV_INPUT_PROXYMESH",
		"iptables-%s -t %s -I OUTPUT 1 -p icmp -j ACCEPT", "ip6tables-%s -R NV_INPUT_PROXYMESH 2 -i eth0 -p tcp --dport 8080 -j NFQUEUE --queue-num 9 --queue-bypass",
		"iptables-%s -F", "iptables-%s -A NV_INPUT_PROXYMESH -j DROP",
	};

	for (int b = IPT_NFT; b <= IPT_LEGACY; b++) {
		struct rules_want w = wanted((enum ipt_backend)b);
		struct nslab l;

		if (!nslab_open(&l))
			return;
		w.table = IPT_TABLE_FILTER;
		for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++) {
			struct rules_state st;
			struct err err = { "" };
			uint64_t before = 0, after = 0, watched = 0;
			struct rules_watch *watch;
			unsigned changes;

			st = ensure(l.a, &w, &changes);
			watch = rules_watch_open(l.a, &err);
			CU_ASSERT_PTR_NOT_NULL_FATAL(watch);
			CU_ASSERT_EQUAL(rules_watch_generation(watch, rules_legacy_here(), &watched, &err), 0);
			CU_ASSERT_EQUAL(watched, st.generation);
			CU_ASSERT_EQUAL(rules_generation(l.a, &before, &err), 0);
			CU_ASSERT_EQUAL(st.generation, before);
			CU_ASSERT_EQUAL(rules_check(l.a, &w, &st, &err), 0);
			CU_ASSERT_EQUAL(rules_generation(l.a, &after, &err), 0);
			CU_ASSERT_EQUAL(before, after);		/* reading changes nothing */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			CU_ASSERT_EQUAL(ns_sh(l.a, deeds[i], ipt_backend_name((enum ipt_backend)b), "filter"), 0);
#pragma GCC diagnostic pop
			CU_ASSERT_EQUAL(rules_generation(l.a, &after, &err), 0);
			CU_ASSERT_NOT_EQUAL(before, after);
			CU_ASSERT_EQUAL(rules_watch_generation(watch, rules_legacy_here(), &watched, &err), 0);
			CU_ASSERT_EQUAL(watched, after);
			rules_watch_close(watch);
			CU_ASSERT_EQUAL(rules_check(l.a, &w, &st, &err), 0);
			CU_ASSERT_FALSE(st.complete);
			CU_ASSERT(strlen(st.differs) > 0);
			if (st.complete || before == after)
				printf("\n%s\n", deeds[i]);
			ensure(l.a, &w, &changes);
			CU_ASSERT(changes > 0);
		}
		nslab_close(&l);
	}
}

/* A workload with CAP_NET_ADMIN finds the ports by which its tables are watched and its connections are marked, and would answer in the kernel's place. */
static void test_forged_answers(void)
{
	struct { struct nlmsghdr h; struct nfgenmsg g; } m = { .h = { .nlmsg_len = sizeof m, .nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN } };
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	struct rules_watch *watch;
	struct err err = { "" };
	struct conntrack *ct;
	unsigned refused = 0;
	struct nslab l;
	char *ports;
	int fd;

	if (!nslab_open(&l))
		return;
	watch = rules_watch_open(l.a, &err);
	ct = conntrack_open(l.a, 0x1000, 0x1000, &err);
	fd = netns_socket(l.a, AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER, &err);
	CU_ASSERT(watch && ct && fd >= 0);
	ports = ns_out(l.a, "awk '$2 == %d && $3 { print $3 }' /proc/thread-self/net/netlink", NETLINK_NETFILTER);
	for (char *p = ports; p && *p; p = strchr(p, '\n') + 1) {
		to.nl_pid = (uint32_t)strtoul(p, NULL, 10);
		refused += sendto(fd, &m, sizeof m, 0, (struct sockaddr *)&to, sizeof to) < 0 && errno == ECONNREFUSED;
	}
	CU_ASSERT_EQUAL(refused, 2);
	CU_ASSERT_EQUAL(err.text[0], 0);
	free(ports);
	close(fd);
	conntrack_unref(ct);
	rules_watch_close(watch);
	nslab_close(&l);
}

/* The workload's own rules and policies are as before, while ours stand and after they went. */
static void test_others_untouched(void)
{
	for (int b = IPT_NFT; b <= IPT_LEGACY; b++) {
		const char *name = ipt_backend_name((enum ipt_backend)b);
		struct rules_want w = wanted(IPT_AUTO);
		struct rules_state st;
		struct nslab l;
		struct err err = { "" };
		char *before, *with, *after;
		unsigned changes;

		if (!nslab_open(&l))
			return;
		for (int f = 0; f < IPT_FAMILIES; f++)
			ns_sh(l.a, "for t in ip%stables-%s; do $t -P INPUT DROP; $t -A INPUT -p tcp --dport 22 -m comment --comment 'say \"-j X\"' -j ACCEPT; $t -N mine;"
			      " $t -A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j mine; $t -t mangle -A POSTROUTING -j MARK --set-mark 5;"
			      " $t -t security -A INPUT -j ACCEPT; done", f ? "6" : "", name);
		before = others(l.a);
		st = ensure(l.a, &w, &changes);
		CU_ASSERT_EQUAL(st.backend, (enum ipt_backend)b);
		CU_ASSERT(st.own_firewall);
		CU_ASSERT_EQUAL(st.table, IPT_TABLE_SECURITY);
		with = others(l.a);
		CU_ASSERT_STRING_EQUAL(before, with);
		CU_ASSERT_EQUAL(rules_remove(l.a, &err), 8);
		CU_ASSERT_EQUAL(rules_remove(l.a, &err), 0);
		after = others(l.a);
		CU_ASSERT_STRING_EQUAL(before, after);
		CU_ASSERT(strlen(before) > 600);
		free(before);
		free(with);
		free(after);
		nslab_close(&l);
	}
}

/* Tables that our first rule brought into being go with the last, in every table we stood in; one with a policy or rule of the workload's stays. */
static void test_empty_tables_go(void)
{
	struct rules_want w = wanted(IPT_NFT);
	struct nslab l;
	struct err err = { "" };
	unsigned changes;
	char *s;

	if (!nslab_open(&l))
		return;
	ensure(l.a, &w, &changes);
	w.table = IPT_TABLE_SECURITY;
	ensure(l.a, &w, &changes);
	CU_ASSERT(rules_remove(l.a, &err) > 0);
	CU_ASSERT_EQUAL(rules_drop_tables(l.a, &err), 0);
	s = ns_out(l.a, "nft list tables");
	CU_ASSERT_STRING_EQUAL(s, "");
	free(s);
	ns_sh(l.a, "iptables-nft -P OUTPUT DROP; ip6tables-nft -t security -N mine");
	w.table = IPT_TABLE_AUTO;
	ensure(l.a, &w, &changes);
	CU_ASSERT(rules_remove(l.a, &err) > 0);
	CU_ASSERT_EQUAL(rules_drop_tables(l.a, &err), 0);
	s = ns_out(l.a, "nft list tables");
	CU_ASSERT_STRING_EQUAL(s, "table ip filter\ntable ip6 security\n");
	free(s);
	/* so does one that somebody made for rules to come */
	ns_sh(l.a, "nft flush ruleset; for f in ip ip6; do nft add table $f filter; nft \"add chain $f filter input { type filter hook input priority 0; }\"; done");
	CU_ASSERT_EQUAL(rules_drop_tables(l.a, &err), 0);
	s = ns_out(l.a, "nft list tables");
	CU_ASSERT_STRING_EQUAL(s, "table ip filter\ntable ip6 filter\n");
	free(s);
	nslab_close(&l);
}

/* Where nobody else is near, ours go with their tables at once, and counting is off again; else nothing is touched. */
static void test_alone(void)
{
	static const char *const others_in[] = {	/* and away again */
		"iptables-nft -A OUTPUT -p tcp --dport 25 -j DROP", "iptables-nft -D OUTPUT -p tcp --dport 25 -j DROP",
		"iptables-nft -I INPUT -p icmp -j NV_INPUT_PROXYMESH", "iptables-nft -D INPUT -p icmp -j NV_INPUT_PROXYMESH",
		"ip6tables-nft -N mine", "ip6tables-nft -X mine",
		"iptables-nft -P FORWARD DROP", "iptables-nft -P FORWARD ACCEPT",
		"nft add chain ip filter input '{ type filter hook prerouting priority 5; policy accept; }'", "nft delete chain ip filter input",
		"nft add set ip filter s '{ type ipv4_addr; }'", "nft delete set ip filter s",
		"nft add counter ip6 filter c", "nft delete counter ip6 filter c",
		"iptables-legacy -N mine", NULL,	/* the table stays for good */
	};
	struct rules_want w = wanted(IPT_NFT);
	struct err err = { "" };
	unsigned changes;
	struct nslab l;
	char *s;

	if (!nslab_open(&l))
		return;
	w.table = IPT_TABLE_FILTER;
	w.offload = true;
	CU_ASSERT_EQUAL(rules_alone(l.a, &err), 0);
	CU_ASSERT_EQUAL(rules_drop_own(l.a, &err), 0);
	for (size_t i = 0; i < sizeof others_in / sizeof others_in[0]; i += 2) {
		char *before, *after;

		ensure(l.a, &w, &changes);
		CU_ASSERT_EQUAL(rules_alone(l.a, &err), 1);
		CU_ASSERT_EQUAL(ns_sh(l.a, "%s", others_in[i]), 0);
		before = ns_out(l.a, "nft -s list ruleset 2>/dev/null");
		CU_ASSERT_EQUAL(rules_alone(l.a, &err), 0);
		CU_ASSERT_EQUAL(rules_drop_own(l.a, &err), 0);
		after = ns_out(l.a, "nft -s list ruleset 2>/dev/null");
		CU_ASSERT_STRING_EQUAL(before, after);
		CU_ASSERT(strstr(before, "NV_INPUT_PROXYMESH") != NULL);
		free(before);
		free(after);
		if (!others_in[i + 1])
			break;
		CU_ASSERT_EQUAL(ns_sh(l.a, "%s", others_in[i + 1]), 0);
		CU_ASSERT_EQUAL(ns_sh(l.a, "nft add table ip theirs; iptables-nft -t nat -A OUTPUT -p tcp --dport 25 -j RETURN"), 0);	/* not where ours are */
		s = ns_out(l.a, "cat /proc/sys/net/netfilter/nf_conntrack_acct");
		CU_ASSERT_STRING_EQUAL(s, "1\n");
		free(s);
		CU_ASSERT_EQUAL(rules_drop_own(l.a, &err), 1);
		s = ns_out(l.a, "nft list tables; cat /proc/sys/net/netfilter/nf_conntrack_acct");
		CU_ASSERT_STRING_EQUAL(s, "table ip theirs\ntable ip nat\n0\n");
		free(s);
		CU_ASSERT_EQUAL(ns_sh(l.a, "nft flush ruleset"), 0);
	}
	CU_ASSERT_EQUAL(err.text[0], 0);
	nslab_close(&l);
}

static unsigned lines_of_ours(int ns, const char *program, const char *table)
{
	char *s = ns_out(ns, "%s -t %s 2>/dev/null | grep -c NV_", program, table);
	unsigned n = s ? (unsigned)atoi(s) : 0;

	free(s);
	return n;
}

static void test_moving(void)
{
	for (int b = IPT_NFT; b <= IPT_LEGACY; b++) {
		const char *name = ipt_backend_name((enum ipt_backend)b);
		struct rules_want w = wanted((enum ipt_backend)b);
		struct rules_state st;
		struct nslab l;
		struct err err = { "" };
		char save[64];
		unsigned changes;

		if (!nslab_open(&l))
			return;
		snprintf(save, sizeof save, "iptables-%s-save", name);
		ensure(l.a, &w, &changes);
		ns_sh(l.a, "ip6tables-%s -A INPUT -p tcp --dport 99 -j DROP", name);	/* in one family: both move */
		CU_ASSERT_EQUAL(rules_check(l.a, &w, &st, &err), 0);
		CU_ASSERT_FALSE(st.complete);
		st = ensure(l.a, &w, &changes);
		CU_ASSERT_EQUAL(st.table, IPT_TABLE_SECURITY);
		CU_ASSERT_EQUAL(lines_of_ours(l.a, save, "filter"), 0);
		CU_ASSERT(lines_of_ours(l.a, save, "security") > 10);
		ns_sh(l.a, "ip6tables-%s -D INPUT -p tcp --dport 99 -j DROP", name);
		st = ensure(l.a, &w, &changes);
		CU_ASSERT_EQUAL(st.table, IPT_TABLE_FILTER);
		CU_ASSERT_EQUAL(lines_of_ours(l.a, save, "security"), 0);
		ns_sh(l.a, "iptables-%s -P OUTPUT DROP", name);			/* a policy is a firewall too */
		st = ensure(l.a, &w, &changes);
		CU_ASSERT_EQUAL(st.table, IPT_TABLE_SECURITY);
		w.table = IPT_TABLE_MANGLE;
		st = ensure(l.a, &w, &changes);
		CU_ASSERT_EQUAL(st.table, IPT_TABLE_MANGLE);
		CU_ASSERT_EQUAL(lines_of_ours(l.a, save, "security"), 0);
		/* to the other back end */
		w.backend = b == IPT_NFT ? IPT_LEGACY : IPT_NFT;
		st = ensure(l.a, &w, &changes);
		CU_ASSERT_EQUAL(lines_of_ours(l.a, save, "mangle"), 0);
		CU_ASSERT(rules_remove(l.a, &err) > 0);
		nslab_close(&l);
	}
}

static void test_choosing_the_back_end(void)
{
	struct rules_want w = wanted(IPT_AUTO);
	struct rules_state st;
	struct nslab l;
	struct err err = { "" };
	unsigned changes;
	char *s;

	if (!nslab_open(&l))
		return;
	CU_ASSERT_EQUAL(rules_check(l.a, &w, &st, &err), 0);
	CU_ASSERT_EQUAL(rules_remove(l.a, &err), 0);
	s = ns_out(l.a, "cat /proc/thread-self/net/ip_tables_names /proc/thread-self/net/ip6_tables_names; nft list tables");
	CU_ASSERT_STRING_EQUAL(s, "");		/* looking created nothing */
	free(s);
	st = ensure(l.a, &w, &changes);
	CU_ASSERT_EQUAL(st.backend, IPT_NFT);
	s = ns_out(l.a, "cat /proc/thread-self/net/ip_tables_names /proc/thread-self/net/ip6_tables_names");
	CU_ASSERT_STRING_EQUAL(s, "");
	free(s);
	ns_sh(l.a, "iptables-legacy -A FORWARD -j ACCEPT");	/* from now on it is a netns of legacy tables */
	st = ensure(l.a, &w, &changes);
	CU_ASSERT_EQUAL(st.backend, IPT_LEGACY);
	CU_ASSERT_EQUAL(lines_of_ours(l.a, "iptables-nft-save", "filter"), 0);
	CU_ASSERT_EQUAL(lines_of_ours(l.a, "ip6tables-nft-save", "filter"), 0);
	nslab_close(&l);
}

/* Tables of nft's own beside or in place of iptables' names. */
static void test_native_nft(void)
{
	struct rules_want w = wanted(IPT_AUTO);
	struct rules_state st;
	struct nslab l;
	unsigned changes;

	if (!nslab_open(&l))
		return;
	ns_sh(l.a, "nft add table inet fw; nft 'add chain inet fw in { type filter hook input priority 0; policy drop; }'");
	st = ensure(l.a, &w, &changes);
	CU_ASSERT_EQUAL(st.table, IPT_TABLE_FILTER);	/* a base chain of its own: our accept does not jump over it */
	CU_ASSERT_FALSE(st.own_firewall);
	nslab_close(&l);
	if (!nslab_open(&l))
		return;
	ns_sh(l.a, "nft add table ip filter; nft 'add chain ip filter INPUT { type filter hook input priority -5; policy accept; }'; nft add rule ip filter INPUT tcp dport 22 drop");
	st = ensure(l.a, &w, &changes);
	CU_ASSERT_EQUAL(st.table, IPT_TABLE_SECURITY);	/* iptables cannot write there */
	CU_ASSERT(st.own_firewall);
	ensure(l.a, &w, &changes);
	CU_ASSERT_EQUAL(changes, 0);
	ns_sh(l.a, "nft flush ruleset");
	st = ensure(l.a, &w, &changes);
	CU_ASSERT_EQUAL(changes, 8);
	CU_ASSERT_EQUAL(st.table, IPT_TABLE_FILTER);
	nslab_close(&l);
	if (!nslab_open(&l))
		return;
	/* rules under iptables' names that iptables cannot say */
	ns_sh(l.a, "nft add table ip filter; nft 'add set ip filter s { type ipv4_addr; }'; nft 'add chain ip filter INPUT { type filter hook input priority 0; policy accept; }';"
	      " nft add rule ip filter INPUT ip saddr @s meta time 1 drop; nft add rule ip filter INPUT ip saddr @s drop");
	st = ensure(l.a, &w, &changes);
	CU_ASSERT_EQUAL(st.table, IPT_TABLE_SECURITY);
	CU_ASSERT(st.own_firewall);
	ensure(l.a, &w, &changes);
	CU_ASSERT_EQUAL(changes, 0);
	nslab_close(&l);
}

static void test_redirects(void)
{
	static const char *const how[] = {
		"iptables-nft -t nat -A PREROUTING -p tcp --dport 8080 -j REDIRECT --to-ports 15006", "iptables-legacy -t nat -A PREROUTING -p tcp --dport 8080 -j REDIRECT --to-ports 15006",
		"nft add table ip mesh; nft 'add chain ip mesh out { type nat hook output priority -100; }'; nft add rule ip mesh out tcp dport 8080 redirect to :15001",
		"ip6tables-nft -t nat -A OUTPUT -p tcp --dport 8080 -j DNAT --to-destination [fd09::1]:9",
	};

	for (size_t i = 0; i < sizeof how / sizeof how[0]; i++) {
		struct rules_want w = wanted(IPT_AUTO);
		struct rules_state st;
		struct nslab l;
		char *s;
		unsigned changes;

		if (!nslab_open(&l))
			return;
		st = ensure(l.a, &w, &changes);
		CU_ASSERT_FALSE(st.nat_redirect);
		CU_ASSERT_EQUAL(ns_sh(l.a, "%s", how[i]), 0);
		st = ensure(l.a, &w, &changes);
		CU_ASSERT(st.nat_redirect);
		CU_ASSERT(changes > 0);
		s = ns_out(l.a, "ip%stables-%s-save 2>/dev/null | grep -c ctorigdstport", i == 3 ? "6" : "", ipt_backend_name(st.backend));
		CU_ASSERT_EQUAL(s ? atoi(s) : 0, 12);
		free(s);
		s = ns_out(l.a, "ip%stables-%s-save 2>/dev/null | grep -c ctorigdstport", i == 3 ? "" : "6", ipt_backend_name(st.backend));
		CU_ASSERT_EQUAL(s ? atoi(s) : -1, 0);	/* the other family does not redirect */
		free(s);
		ensure(l.a, &w, &changes);
		CU_ASSERT_EQUAL(changes, 0);
		nslab_close(&l);
	}
}

static void test_refused_wants(void)
{
	struct rules_want w = wanted(IPT_AUTO);
	struct rules_state st;
	struct nslab l;
	struct err err = { "" };
	unsigned changes;

	if (!nslab_open(&l))
		return;
	snprintf(w.interface, sizeof w.interface, "eth0\" -j X");
	CU_ASSERT_EQUAL(rules_ensure(l.a, &w, &st, &changes, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "interface"));
	w = wanted(IPT_AUTO);
	w.apps.n = 0;
	CU_ASSERT_EQUAL(rules_ensure(l.a, &w, &st, &changes, &err), -EINVAL);
	nslab_close(&l);
}

static void test_counts(void)
{
	for (int b = IPT_NFT; b <= IPT_LEGACY; b++) {
		struct rules_want w = wanted((enum ipt_backend)b);
		struct rules_state st;
		struct rules_counts c;
		struct nslab l;
		struct err err = { "" };
		unsigned changes;
		int u4, u6;

		if (!nslab_open(&l))
			return;
		st = ensure(l.a, &w, &changes);
		CU_ASSERT_EQUAL(rules_counts(l.a, &st, &c, &err), 0);
		CU_ASSERT_EQUAL(c.queued_packets, 0);
		u4 = ns_udp(l.a, "10.9.0.1", 0);
		u6 = ns_udp(l.a, "fd09::1", 0);
		for (int i = 0; i < 5; i++) {
			struct sockaddr_storage a4 = ns_addr("10.9.0.2", 53), a6 = ns_addr("fd09::2", 53);

			CU_ASSERT_EQUAL(sendto(u4, "x", 1, 0, (struct sockaddr *)&a4, ns_addrlen(&a4)), 1);	/* nobody listens: bypassed */
			CU_ASSERT_EQUAL(sendto(u6, "x", 1, 0, (struct sockaddr *)&a6, ns_addrlen(&a6)), 1);
		}
		CU_ASSERT_EQUAL(rules_counts(l.a, &st, &c, &err), 0);
		CU_ASSERT_EQUAL(c.queued_packets, 10);
		CU_ASSERT_EQUAL(c.queued_bytes, 5 * 29 + 5 * 49);
		close(u4);
		close(u6);
		nslab_close(&l);
	}
}

static void test_probe(void)
{
	struct rules_probe p;
	struct err err = { "" };
	struct nslab l;

	if (!nslab_open(&l))
		return;
	CU_ASSERT_EQUAL(rules_probe(&p, &err), 0);
	CU_ASSERT(p.nfqueue);
	if (!p.nft || !p.legacy || !p.security || !p.conntrack)
		printf("not here:%s%s%s%s ", p.nft ? "" : " nft", p.legacy ? "" : " legacy", p.security ? "" : " security", p.conntrack ? "" : " conntrack");
	nslab_close(&l);
}

const struct unit_test tests_rules_live[] = {
	{ "probe", test_probe },
	{ "ensure twice, and when the wish changes", test_ensure },
	{ "peers and all ports read back as written", test_peers_and_all },
	{ "tampering is noticed and put right", test_tampering },
	{ "forged answers are refused", test_forged_answers },
	{ "rules and policies of others stay", test_others_untouched },
	{ "empty tables go", test_empty_tables_go },
	{ "ours alone go with their tables", test_alone },
	{ "from table to table and back end to back end", test_moving },
	{ "the back end is chosen without creating anything", test_choosing_the_back_end },
	{ "tables of nft's own", test_native_nft },
	{ "redirections inside the workload", test_redirects },
	{ "counts", test_counts },
	{ "wants that cannot be written", test_refused_wants },
	{ NULL, NULL },
};
