/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The wanted text, the reading of saved text, and the restore that lies between them: no kernel. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include "nfq/ipt.h"
#include "tests/unit/unit.h"

#define Q0 " -j NFQUEUE --queue-num 0 --queue-bypass\n"
#define Q1 " -j NFQUEUE --queue-num 1 --queue-bypass\n"
#define IN "-A NV_INPUT_PROXYMESH "
#define OUT "-A NV_OUTPUT_PROXYMESH "
#define MARK "-m mark --mark 0x1000/0x1000 -j RETURN\n"
#define HEAD ":NV_INPUT_PROXYMESH - [0:0]\n:NV_OUTPUT_PROXYMESH - [0:0]\n-A INPUT -j NV_INPUT_PROXYMESH\n-A OUTPUT -j NV_OUTPUT_PROXYMESH\n"

static struct peer_port peer(const char *addr, uint8_t proto, uint16_t port)
{
	struct peer_port p = { .ipproto = proto, .port = port };

	addr_parse(addr, &p.addr);
	return p;
}

static struct rules_want want_of(enum app_side side, unsigned n)
{
	struct rules_want w = { .interface = "eth0", .side = side, .bypass = true, .mark = 0x1000, .mask = 0x1000 };

	w.apps.n = (uint8_t)n;
	w.apps.port[0] = (struct app_port){ IPPROTO_TCP, 8080 };
	w.apps.port[1] = (struct app_port){ IPPROTO_UDP, 53 };
	return w;
}

static void check_text(const struct rules_want *w, const struct ipt_shape *s, const char *expected)
{
	char *text = rules_text(w, s);

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_STRING_EQUAL(text, expected);
	if (strcmp(text, expected))
		printf("\n--- wanted\n%s--- got\n%s", expected, text);
	free(text);
}

static void test_text_sides(void)
{
	struct ipt_shape s = { .table = IPT_TABLE_FILTER };
	struct rules_want w = want_of(SIDE_SERVER, 2);

	check_text(&w, &s, "*filter\n" HEAD
		IN MARK IN "-i eth0 -p tcp -m tcp --dport 8080" Q0 IN "-i eth0 -p udp -m udp --dport 53" Q1 IN "-j RETURN\n"
		OUT MARK OUT "-o eth0 -p tcp -m tcp --sport 8080" Q0 OUT "-o eth0 -p udp -m udp --sport 53" Q1 OUT "-j RETURN\nCOMMIT\n");
	w = want_of(SIDE_CLIENT, 1);
	s.table = IPT_TABLE_SECURITY;
	check_text(&w, &s, "*security\n" HEAD
		IN MARK IN "-i eth0 -p tcp -m tcp --sport 8080" Q0 IN "-j RETURN\n"
		OUT MARK OUT "-o eth0 -p tcp -m tcp --dport 8080" Q0 OUT "-j RETURN\nCOMMIT\n");
	w = want_of(SIDE_SERVER, 1);
	w.loopback = true;
	w.bypass = false;
	w.queue_tcp = 7;
	w.mark = 0x2000;
	w.mask = 0xffffffff;
	s.table = IPT_TABLE_MANGLE;
	check_text(&w, &s, "*mangle\n" HEAD
		IN "-m mark --mark 0x2000 -j RETURN\n" IN "-i eth0 -p tcp -m tcp --dport 8080 -j NFQUEUE --queue-num 7\n"
		IN "-i lo -p tcp -m tcp --sport 8080 -j NFQUEUE --queue-num 7\n" IN "-j RETURN\n"
		OUT "-m mark --mark 0x2000 -j RETURN\n" OUT "-o eth0 -p tcp -m tcp --sport 8080 -j NFQUEUE --queue-num 7\n"
		OUT "-o lo -p tcp -m tcp --dport 8080 -j NFQUEUE --queue-num 7\n" OUT "-j RETURN\nCOMMIT\n");
}

/* Decided connections return, refused ones are dropped, by one bit more than the mask has; a SYN begins anew. */
static void test_text_offload(void)
{
	static const struct { uint32_t mark, mask; const char *syn, *drop, *pass; } rows[] = {
		{ 0x1000, 0x1000, "0x1000/0x1000 -j CONNMARK --set-xmark 0x0/0x3000", "-m connmark --mark 0x3000/0x3000 -j DROP\n", "0x1000/0x1000" },
		{ 0x20, 0xff, "0x20/0xff -j CONNMARK --set-xmark 0x0/0x1ff", "-m connmark --mark 0x120/0x1ff -j DROP\n", "0x20/0xff" },
		{ 0x80000000, 0xf0000000, "0x80000000/0xf0000000 -j CONNMARK --set-xmark 0x0/0xf8000000", "-m connmark --mark 0x88000000/0xf8000000 -j DROP\n", "0x80000000/0xf0000000" },
		{ 7, 0xffffffff, "0x7/0xffffffff -j CONNMARK --set-xmark 0x0/0xffffffff", "", "0x7/0xffffffff" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ipt_shape s = { .table = IPT_TABLE_FILTER, .offload = true, .acct_ours = i & 1 };
		struct rules_want w = want_of(SIDE_SERVER, 1);
		char first[64], expected[2048], *at = expected;

		w.mark = rows[i].mark;
		w.mask = rows[i].mask;
		snprintf(first, sizeof first, w.mask == 0xffffffff ? "0x%x" : "0x%x/0x%x", w.mark, w.mask);
		at += sprintf(at, "*filter\n" HEAD);
		for (int in = 1; in >= 0; in--) {
			const char *c = in ? IN : OUT;

			at += sprintf(at, "%s-m mark --mark %s -j RETURN\n", c, first);
			at += sprintf(at, "%s-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m connmark --mark %s\n", c, rows[i].syn);
			at += sprintf(at, "%s%s", *rows[i].drop ? c : "", rows[i].drop);
			at += sprintf(at, "%s-m connmark --mark %s -j RETURN\n", c, rows[i].pass);
			at += sprintf(at, "%s-%c eth0 -p tcp -m tcp --%s 8080" Q0, c, in ? 'i' : 'o', in ? "dport" : "sport");
			at += sprintf(at, "%s%s-j RETURN\n", c, i & 1 ? "-m comment --comment tapqueue-acct " : "");
		}
		sprintf(at, "COMMIT\n");
		check_text(&w, &s, expected);
	}
}

static void test_text_all(void)
{
	struct ipt_shape s = { .table = IPT_TABLE_FILTER, .family = IPT_V6, .whole_fragments = true };
	struct rules_want w = want_of(SIDE_BOTH, 0);

	w.apps.all = true;
	w.loopback = true;
	w.mask = 0;		/* no mark rule: it would match everything */
	check_text(&w, &s, "*filter\n" HEAD
		IN "-i eth0 -p tcp" Q0 IN "-i eth0 -p udp" Q1 IN "-p udp -m socket --nowildcard -j RETURN\n" IN "-j RETURN\n"
		OUT "-o eth0 -p tcp" Q0 OUT "-o eth0 -p udp" Q1 OUT "-o lo -p tcp" Q0 OUT "-o lo -p udp" Q1 OUT "-j RETURN\nCOMMIT\n");
}

/* Server rules, then peers, then client rules; each family has its own peers. */
static void test_text_peers(void)
{
	struct peer_port peers[] = { peer("10.0.0.7", IPPROTO_TCP, 8080), peer("fd00::7", IPPROTO_UDP, 53), peer("10.0.0.8", 0, 0) };
	struct ipt_shape s = { .table = IPT_TABLE_FILTER };
	struct rules_want w = want_of(SIDE_BOTH, 1);

	w.peers = peers;
	w.npeers = 3;
	check_text(&w, &s, "*filter\n" HEAD
		IN MARK IN "-i eth0 -p tcp -m tcp --dport 8080" Q0 IN "-s 10.0.0.7/32 -p tcp -m tcp --sport 8080 -j RETURN\n"
		IN "-s 10.0.0.8/32 -j RETURN\n" IN "-i eth0 -p tcp -m tcp --sport 8080" Q0 IN "-j RETURN\n"
		OUT MARK OUT "-o eth0 -p tcp -m tcp --sport 8080" Q0 OUT "-d 10.0.0.7/32 -p tcp -m tcp --dport 8080 -j RETURN\n"
		OUT "-d 10.0.0.8/32 -j RETURN\n" OUT "-o eth0 -p tcp -m tcp --dport 8080" Q0 OUT "-j RETURN\nCOMMIT\n");
	s.family = IPT_V6;
	w.side = SIDE_CLIENT;
	check_text(&w, &s, "*filter\n" HEAD
		IN MARK IN "-s fd00::7/128 -p udp -m udp --sport 53 -j RETURN\n" IN "-i eth0 -p tcp -m tcp --sport 8080" Q0 IN "-j RETURN\n"
		OUT MARK OUT "-d fd00::7/128 -p udp -m udp --dport 53 -j RETURN\n" OUT "-o eth0 -p tcp -m tcp --dport 8080" Q0 OUT "-j RETURN\nCOMMIT\n");
	/* all on both: who of two is the server cannot be told, so a peer that has all is not let pass */
	s.family = IPT_V4;
	w.side = SIDE_BOTH;
	w.apps.all = true;
	w.apps.n = 0;
	check_text(&w, &s, "*filter\n" HEAD
		IN MARK IN "-s 10.0.0.7/32 -p tcp -m tcp --sport 8080 -j RETURN\n" IN "-i eth0 -p tcp" Q0 IN "-i eth0 -p udp" Q1 IN "-j RETURN\n"
		OUT MARK OUT "-d 10.0.0.7/32 -p tcp -m tcp --dport 8080 -j RETURN\n" OUT "-o eth0 -p tcp" Q0 OUT "-o eth0 -p udp" Q1 OUT "-j RETURN\nCOMMIT\n");
}

static void test_text_redirects(void)
{
	struct ipt_shape s = { .table = IPT_TABLE_FILTER, .redirects = true };
	struct rules_want w = want_of(SIDE_SERVER, 1);

	check_text(&w, &s, "*filter\n" HEAD
		IN MARK IN "-i eth0 -p tcp -m tcp --dport 8080" Q0 IN "-i eth0 -p tcp -m conntrack --ctorigdstport 8080 --ctdir ORIGINAL" Q0 IN "-j RETURN\n"
		OUT MARK OUT "-o eth0 -p tcp -m tcp --sport 8080" Q0 OUT "-o eth0 -p tcp -m conntrack --ctorigdstport 8080 --ctdir REPLY" Q0
		OUT "-j RETURN\nCOMMIT\n");
}

static void test_text_quarantine(void)
{
	struct ipt_shape s = { .table = IPT_TABLE_FILTER, .family = IPT_V6 };
	struct rules_want w = want_of(SIDE_SERVER, 1);
	char *text, *p;

	w.quarantine = true;
	text = rules_text(&w, &s);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	p = strstr(text, "-A INPUT -j NV_INPUT_QUAR_PROXYMESH\n-A OUTPUT -j NV_OUTPUT_QUAR_PROXYMESH\n-A INPUT -j NV_INPUT_PROXYMESH\n");
	CU_ASSERT_PTR_NOT_NULL(p);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, ""
		"-A NV_INPUT_QUAR_PROXYMESH -i lo -j RETURN\n"
		"-A NV_INPUT_QUAR_PROXYMESH -p ipv6-icmp -m icmp6 --icmpv6-type 133 -j RETURN\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "--icmpv6-type 136 -j RETURN\n-A NV_OUTPUT_QUAR_PROXYMESH -j DROP\n"));
	free(text);
	s.family = IPT_V4;
	text = rules_text(&w, &s);
	CU_ASSERT_PTR_NULL(strstr(text, "icmp"));	/* ARP never comes here */
	free(text);
	memset(&w.apps, 0, sizeof w.apps);	/* no queue: the chains alone, and what its veth shows may go that far */
	w.seen = true;
	check_text(&w, &s, "*filter\n:NV_INPUT_QUAR_PROXYMESH - [0:0]\n:NV_OUTPUT_QUAR_PROXYMESH - [0:0]\n-A INPUT -j NV_INPUT_QUAR_PROXYMESH\n-A OUTPUT -j NV_OUTPUT_QUAR_PROXYMESH\n"
		"-A NV_INPUT_QUAR_PROXYMESH -i lo -j RETURN\n-A NV_INPUT_QUAR_PROXYMESH -j DROP\n"
		"-A NV_OUTPUT_QUAR_PROXYMESH -o lo -j RETURN\n"
		"-A NV_OUTPUT_QUAR_PROXYMESH -o eth0 -j RETURN\n-A NV_OUTPUT_QUAR_PROXYMESH -j DROP\nCOMMIT\n");
}

static void test_interface_names(void)
{
	static const char *const good[] = { "eth0", "lo", "veth1a2b3c4", "eth0.100", "a-b_c@d" };
	static const char *const bad[] = { "", "eth+", "a b", "a\"b", "a'b", "a;b", "-j", "a\nb", "sixteencharacter" };

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		CU_ASSERT(rules_interface_ok(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT_FALSE(rules_interface_ok(bad[i]));
}

/* ---- reading ---- */

static void test_same_rule(void)
{
	static const struct { const char *a, *b; bool same; } t[] = {
		{ "-j RETURN", "-j  RETURN", true },
		{ "-i eth0 -p tcp -m tcp --dport 80 -j X", "-i eth0 -p tcp --dport 80 -j X", true },
		{ "-i eth0 -p tcp -m tcp --dport 80 -j X", "-i eth0 -p 6 -m tcp --dport 80 -j X", true },
		{ "-p udp -m udp --sport 53 -j X", "-p 17 --sport 53 -j X", true },
		{ "-p ipv6-icmp -m icmp6 --icmpv6-type 135 -j X", "-p icmpv6 --icmpv6-type neighbour-solicitation -j X", true },
		{ "-p ipv6-icmp -m icmp6 --icmpv6-type 135 -j X", "-p 58 -m icmp6 --icmpv6-type neighbor-solicitation -j X", true },
		{ "-s 10.0.0.1/32 -j X", "-s 10.0.0.1 -j X", true },
		{ "-s 10.0.0.1/32 -j X", "-s 10.0.0.1/255.255.255.255 -j X", true },
		{ "-d fd00::1/128 -j X", "-d fd00:0:0:0:0:0:0:1 -j X", true },
		{ "-d fd00::1/128 -j X", "-d FD00::0001/128 -j X", true },
		{ "-m mark --mark 0x1000/0xffffffff -j X", "-m mark --mark 0x1000 -j X", true },
		{ "-m mark --mark 0x1000/0x1000 -j X", "-m mark --mark 4096/4096 -j X", true },
		{ "-m comment --comment \"a b\" -j X", "-m comment --comment \"a b\"  -j X", true },
		{ "-m comment --comment ab -j X", "-m comment --comment \"ab\" -j X", true },
		{ "-s 10.0.0.1/32 -j X", "-s 10.0.0.2/32 -j X", false },
		{ "-s 10.0.0.1/32 -j X", "-s 10.0.0.1/31 -j X", false },
		{ "-s 10.0.0.1/32 -j X", "-s 10.0.0.1/255.255.255.0 -j X", false },
		{ "-s 10.0.0.1/32 -j X", "-d 10.0.0.1/32 -j X", false },
		{ "-m mark --mark 0x1000/0x1000 -j X", "-m mark --mark 0x1000 -j X", false },
		{ "-m mark --mark 0x1000 -j X", "-m mark ! --mark 0x1000 -j X", false },
		{ "-j NFQUEUE --queue-num 0 --queue-bypass", "-j NFQUEUE --queue-num 0", false },
		{ "-j NFQUEUE --queue-num 0", "-j NFQUEUE --queue-num 1", false },
		{ "-p tcp -j X", "-p udp -j X", false },
		{ "-i eth0 -j X", "-i eth0+ -j X", false },
		{ "-m comment --comment \"a b\" -j X", "-m comment --comment \"a  b\" -j X", false },
		{ "-j X", "-j X -j X", false },
	};

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		CU_ASSERT_EQUAL(ipt_same_rule(t[i].a, t[i].b), t[i].same);
		CU_ASSERT_EQUAL(ipt_same_rule(t[i].b, t[i].a), t[i].same);
		if (ipt_same_rule(t[i].a, t[i].b) != t[i].same)
			printf("\n%s | %s\n", t[i].a, t[i].b);
	}
}

static void parse(const char *text, struct ipt_dump *d)
{
	struct err err = { "" };

	CU_ASSERT_EQUAL_FATAL(ipt_parse(strdup(text), d, &err), 0);
}

static void test_parse(void)
{
	struct ipt_dump d;
	const struct ipt_line *l;
	size_t at = 0;
	char v[32];

	parse("# Generated by iptables-nft-save v1.8.9\n# Table `nat' is incompatible, use 'nft' tool.\n\n*filter\n:INPUT DROP [1:2]\n:mine - [0:0]\n"
	      "[12:3456] -A INPUT -m comment --comment \"to -j NV_INPUT_PROXYMESH, no\" -j mine\n-A mine -s 1.2.3.4/32 -j ACCEPT\nCOMMIT\n*nat\n:INPUT ACCEPT [0:0]\nCOMMIT\n# Completed\n", &d);
	l = ipt_chain(&d, "filter", "INPUT");
	CU_ASSERT(l && !strcmp(l->spec, "DROP"));
	l = ipt_next(&d, &at, IPT_RULE, "filter", "INPUT");
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT(l->packets == 12 && l->bytes == 3456);
	CU_ASSERT_PTR_NULL(ipt_jumps_to_own(l));		/* a comment is one token */
	CU_ASSERT(ipt_option(l->spec, "-j", v, sizeof v) && !strcmp(v, "mine"));
	CU_ASSERT_PTR_NULL(ipt_next(&d, &at, IPT_RULE, "filter", "INPUT"));
	at = 0;
	CU_ASSERT_PTR_NOT_NULL(ipt_next(&d, &at, IPT_FOREIGN, "nat", NULL));
	CU_ASSERT_PTR_NOT_NULL(ipt_chain(&d, "nat", "INPUT"));
	CU_ASSERT_PTR_NULL(ipt_chain(&d, "nat", "mine"));
	ipt_dump_free(&d);
	parse("", &d);
	CU_ASSERT_EQUAL(d.n, 0);
	ipt_dump_free(&d);
}

static void test_parse_refuses(void)
{
	static const char *const bad[] = { "-A INPUT -j X\n", "*filter\nhello\n", "*filter\n[1:2 -A INPUT -j X\n", "*filter\n:INPUT\n", "*filter\n-A\n" };
	struct ipt_dump d;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct err err = { "" };

		CU_ASSERT_EQUAL(ipt_parse(strdup(bad[i]), &d, &err), -EPROTO);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "line "));
	}
}

/* Every shorter beginning of a text is read or refused, never past its end. */
static void test_parse_every_length(void)
{
	static const char text[] = "*filter\n:INPUT DROP [1:2]\n[12:34] -A INPUT -m comment --comment \"a \\\" b\" -j NV_INPUT_PROXYMESH\nCOMMIT\n";

	for (size_t n = 0; n < sizeof text; n++) {
		struct ipt_dump d;
		struct err err = { "" };

		if (!ipt_parse(strndup(text, n), &d, &err)) {
			for (size_t i = 0; i < d.n; i++)
				ipt_jumps_to_own(&d.line[i]);
			ipt_dump_free(&d);
		}
	}
}

/* ---- planning ---- */

#define W_IN ":NV_INPUT_PROXYMESH - [0:0]\n"
#define W_OUT ":NV_OUTPUT_PROXYMESH - [0:0]\n"
#define WANT "*filter\n" HEAD IN "-i eth0 -p tcp -m tcp --dport 80" Q0 IN "-j RETURN\n" OUT "-j RETURN\nCOMMIT\n"
#define BUILTIN "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT DROP [0:0]\n"
#define BODY_IN IN "-i eth0 -p tcp --dport 80" Q0 IN "-j RETURN\n"
#define FRESH "*filter\n" W_IN W_OUT IN "-i eth0 -p tcp -m tcp --dport 80" Q0 IN "-j RETURN\n" OUT "-j RETURN\n" \
	"-I INPUT 1 -j NV_INPUT_PROXYMESH\n-I OUTPUT 1 -j NV_OUTPUT_PROXYMESH\nCOMMIT\n"

static void test_plan(void)
{
	static const struct { const char *name, *want, *have, *plan; unsigned changes; } t[] = {
		{ "nothing there", WANT, "", FRESH, 4 },
		{ "a table of others", WANT, BUILTIN "-A OUTPUT -p tcp -j ACCEPT\nCOMMIT\n", FRESH, 4 },
		{ "all there", WANT, BUILTIN W_IN W_OUT "-A INPUT -j NV_INPUT_PROXYMESH\n-A INPUT -p icmp -j DROP\n-A OUTPUT -j NV_OUTPUT_PROXYMESH\n"
			BODY_IN OUT "-j RETURN\nCOMMIT\n", "", 0 },
		{ "with counters", WANT, BUILTIN W_IN W_OUT "[1:2] -A INPUT -j NV_INPUT_PROXYMESH\n[3:4] -A OUTPUT -j NV_OUTPUT_PROXYMESH\n"
			"[5:6] " IN "-i eth0 -p tcp -m tcp --dport 80" Q0 "[0:0] " IN "-j RETURN\n[0:0] " OUT "-j RETURN\nCOMMIT\n", "", 0 },
		{ "a rule was deleted", WANT, BUILTIN W_IN W_OUT "-A INPUT -j NV_INPUT_PROXYMESH\n-A OUTPUT -j NV_OUTPUT_PROXYMESH\n"
			IN "-j RETURN\n" OUT "-j RETURN\nCOMMIT\n",
			"*filter\n" W_IN IN "-i eth0 -p tcp -m tcp --dport 80" Q0 IN "-j RETURN\nCOMMIT\n", 1 },
		{ "a rule too many", WANT, BUILTIN W_IN W_OUT "-A INPUT -j NV_INPUT_PROXYMESH\n-A OUTPUT -j NV_OUTPUT_PROXYMESH\n"
			BODY_IN OUT "-p tcp -j ACCEPT\n" OUT "-j RETURN\nCOMMIT\n", "*filter\n" W_OUT OUT "-j RETURN\nCOMMIT\n", 1 },
		{ "the jump is second", WANT, BUILTIN W_IN W_OUT "-A INPUT -p icmp -j ACCEPT\n-A INPUT -j NV_INPUT_PROXYMESH\n-A OUTPUT -j NV_OUTPUT_PROXYMESH\n"
			BODY_IN OUT "-j RETURN\nCOMMIT\n",
			"*filter\n-D INPUT -j NV_INPUT_PROXYMESH\n-I INPUT 1 -j NV_INPUT_PROXYMESH\nCOMMIT\n", 1 },
		{ "the jump is there twice", WANT, BUILTIN W_IN W_OUT "-A INPUT -j NV_INPUT_PROXYMESH\n-A INPUT -j NV_INPUT_PROXYMESH\n-A OUTPUT -j NV_OUTPUT_PROXYMESH\n"
			BODY_IN OUT "-j RETURN\nCOMMIT\n",
			"*filter\n-D INPUT -j NV_INPUT_PROXYMESH\n-D INPUT -j NV_INPUT_PROXYMESH\n-I INPUT 1 -j NV_INPUT_PROXYMESH\nCOMMIT\n", 1 },
		{ "the jump is narrowed", WANT, BUILTIN W_IN W_OUT "-A INPUT -s 10.0.0.0/8 -m comment --comment \"x y\" -j NV_INPUT_PROXYMESH\n-A OUTPUT -j NV_OUTPUT_PROXYMESH\n"
			BODY_IN OUT "-j RETURN\nCOMMIT\n",
			"*filter\n-D INPUT -s 10.0.0.0/8 -m comment --comment \"x y\" -j NV_INPUT_PROXYMESH\n-I INPUT 1 -j NV_INPUT_PROXYMESH\nCOMMIT\n", 1 },
		{ "quarantine is over", WANT, BUILTIN W_IN W_OUT ":NV_INPUT_QUAR_PROXYMESH - [0:0]\n-A INPUT -j NV_INPUT_QUAR_PROXYMESH\n-A INPUT -j NV_INPUT_PROXYMESH\n"
			"-A OUTPUT -j NV_OUTPUT_PROXYMESH\n" BODY_IN OUT "-j RETURN\n-A NV_INPUT_QUAR_PROXYMESH -j DROP\nCOMMIT\n",
			"*filter\n:NV_INPUT_QUAR_PROXYMESH - [0:0]\n-D INPUT -j NV_INPUT_QUAR_PROXYMESH\n-D INPUT -j NV_INPUT_PROXYMESH\n-I INPUT 1 -j NV_INPUT_PROXYMESH\n"
			"-X NV_INPUT_QUAR_PROXYMESH\nCOMMIT\n", 2 },
		{ "moved from security: new before old", WANT, "*security\n:INPUT ACCEPT [0:0]\n" W_IN "-A INPUT -j NV_INPUT_PROXYMESH\n" IN "-j RETURN\nCOMMIT\n",
			FRESH "*security\n" W_IN "-D INPUT -j NV_INPUT_PROXYMESH\n-X NV_INPUT_PROXYMESH\nCOMMIT\n", 6 },
		{ "remove: nothing of ours", NULL, BUILTIN "-A OUTPUT -p tcp -j ACCEPT\nCOMMIT\n", "", 0 },
		{ "remove: all of it, also a stranger's jump", NULL,
			BUILTIN W_IN W_OUT ":theirs - [0:0]\n-A INPUT -p tcp -j ACCEPT\n-A INPUT -j NV_INPUT_PROXYMESH\n-A FORWARD -g NV_INPUT_PROXYMESH\n-A theirs -p udp -j NV_OUTPUT_PROXYMESH\n"
			IN "-j RETURN\nCOMMIT\n",
			"*filter\n" W_IN W_OUT "-D INPUT -j NV_INPUT_PROXYMESH\n-D FORWARD -g NV_INPUT_PROXYMESH\n-D theirs -p udp -j NV_OUTPUT_PROXYMESH\n"
			"-X NV_INPUT_PROXYMESH\n-X NV_OUTPUT_PROXYMESH\nCOMMIT\n", 5 },
	};

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		struct ipt_dump want = { 0 }, have;
		struct rules_diff diff;
		char *text = NULL;
		size_t n = 0;
		FILE *out = open_memstream(&text, &n);

		if (t[i].want)
			parse(t[i].want, &want);
		parse(t[i].have, &have);
		rules_plan(t[i].want ? &want : NULL, "filter", &have, out, &diff);
		fclose(out);
		CU_ASSERT_STRING_EQUAL(text, t[i].plan);
		CU_ASSERT_EQUAL(diff.changes, t[i].changes);
		CU_ASSERT_EQUAL(!diff.changes, !*diff.differs);
		if (strcmp(text, t[i].plan) || diff.changes != t[i].changes)
			printf("\n%s (%u, %s)\n--- wanted\n%s--- got\n%s", t[i].name, diff.changes, diff.differs, t[i].plan, text);
		CU_ASSERT_PTR_NULL(strstr(text, ":INPUT"));	/* would set the user's policy */
		CU_ASSERT_PTR_NULL(strstr(text, ":OUTPUT"));
		free(text);
		ipt_dump_free(&want);
		ipt_dump_free(&have);
	}
}

const struct unit_test tests_rules_text[] = {
	{ "text: server, client, loopback, closed", test_text_sides },
	{ "text: decided connections", test_text_offload },
	{ "text: all ports", test_text_all },
	{ "text: peers", test_text_peers },
	{ "text: original ports", test_text_redirects },
	{ "text: quarantine", test_text_quarantine },
	{ "text: interface names", test_interface_names },
	{ "parse: the same rule in other words", test_same_rule },
	{ "parse: both back ends' saved text", test_parse },
	{ "parse: what is refused", test_parse_refuses },
	{ "parse: every shorter text", test_parse_every_length },
	{ "plan: wanted and present to a restore", test_plan },
	{ NULL, NULL },
};
