/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names learned from DNS answers, packet by packet: which are believed, and what a policy makes of them afterwards. The client, 10.0.0.1, is
 * workload 7. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/dpi/coretest.h"
#include "tests/unit/dpi/tls_vectors.h"
#include "tests/unit/unit.h"

#define UP DIR_TOSERVER
#define DOWN DIR_TOCLIENT
#define CLIENT 7u
#define LIT(s) s, sizeof(s) - 1

/* ---- messages ---- */

#define PAY "\003www\003pay\007example\0"
#define LB "\002lb\003cdn\003net\0"
#define EVIL "\004evil\007example\0"
#define Q(id, name, type) id "\001\0\0\1\0\0\0\0\0\0" name "\0" type "\0\1"
#define HEAD(id, n) id "\201\200\0\1\0" n "\0\0\0\0"
#define QS(name, type) name "\0" type "\0\1"
#define RR(name, type, ttl, len) name "\0" type "\0\1" ttl "\0" len
#define MINUTE "\0\0\0\074"
#define HOUR "\0\0\016\020"
#define ADDR2 "\012\0\0\002"		/* 10.0.0.2 */
#define AT "\300\014"			/* the question's name */
#define A1 HEAD("ab", "\1") QS(PAY, "\1") RR(AT, "\1", MINUTE, "\4") ADDR2

struct dns_case {
	const char *what;
	const char *q;
	size_t nq;
	const char *a;
	size_t na;
	const char *want;	/* "NAME ADDRESS TTL," each */
	unsigned not_believed;
};

static void names_text(const struct core *c, char *out, size_t size)
{
	char a[ADDR_STRLEN];
	size_t n = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < c->nnames; i++) {
		n += (size_t)snprintf(out + n, size - n, "%s %s %u,", c->names[i].name, addr_format(&c->names[i].addr, a), c->names[i].ttl);
		CU_ASSERT_EQUAL(c->names[i].workload, CLIENT);
	}
}

static void open_client(struct core *c)
{
	memset(c, 0, sizeof *c);
	c->workload[0] = CLIENT;
	core_open(c, NULL);
}

static void resolve(struct core *c, const struct dns_case *k, bool tcp, bool v6)
{
	uint8_t buf[2048];
	struct spec s = { .udp = true, .dport = 53, .v6 = v6, .p = k->q, .n = k->nq };

	if (!tcp) {
		core_send(c, &s);
		s.dir = DOWN;
		s.p = k->a;
		s.n = k->na;
		core_send(c, &s);
		return;
	}
	core_handshake(c, 1000, 5000);
	buf[0] = (uint8_t)(k->nq >> 8);
	buf[1] = (uint8_t)k->nq;
	memcpy(buf + 2, k->q, k->nq);
	core_data(c, UP, 1001, 5001, buf, k->nq + 2);
	buf[0] = (uint8_t)(k->na >> 8);
	buf[1] = (uint8_t)k->na;
	memcpy(buf + 2, k->a, k->na);
	core_data(c, DOWN, 5001, (uint32_t)(1003 + k->nq), buf, k->na + 2);
}

static const struct dns_case dns_cases[] = {
	{ "A", LIT(Q("ab", PAY, "\1")), LIT(A1), "www.pay.example 10.0.0.2 60,", 0 },
	{ "AAAA", LIT(Q("ab", PAY, "\034")), LIT(HEAD("ab", "\1") QS(PAY, "\034") RR(AT, "\034", MINUTE, "\020") "\375\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2"), "www.pay.example fd00::2 60,", 0 },
	{ "two addresses", LIT(Q("ab", PAY, "\1")), LIT(HEAD("ab", "\2") QS(PAY, "\1") RR(AT, "\1", MINUTE, "\4") ADDR2 RR(AT, "\1", HOUR, "\4") "\012\0\0\3"),
	  "www.pay.example 10.0.0.2 60,www.pay.example 10.0.0.3 3600,", 0 },
	{ "CNAME: both names, the shortest TTL on the way", LIT(Q("ab", PAY, "\1")),
	  LIT(HEAD("ab", "\2") QS(PAY, "\1") RR(AT, "\5", MINUTE, "\014") LB RR(LB, "\1", HOUR, "\4") ADDR2), "lb.cdn.net 10.0.0.2 3600,www.pay.example 10.0.0.2 60,", 0 },
	{ "CNAME behind its address", LIT(Q("ab", PAY, "\1")),
	  LIT(HEAD("ab", "\2") QS(PAY, "\1") RR(LB, "\1", MINUTE, "\4") ADDR2 RR(AT, "\5", HOUR, "\014") LB), "lb.cdn.net 10.0.0.2 60,www.pay.example 10.0.0.2 60,", 0 },
	{ "TTL 0, and one with its highest bit", LIT(Q("ab", PAY, "\1")), LIT(HEAD("ab", "\2") QS(PAY, "\1") RR(AT, "\1", "\0\0\0\0", "\4") ADDR2 RR(AT, "\1", "\200\0\0\1", "\4") "\012\0\0\3"),
	  "www.pay.example 10.0.0.2 0,www.pay.example 10.0.0.3 0,", 0 },
	{ "capitals of the answer's records", LIT(Q("ab", PAY, "\1")), LIT(HEAD("ab", "\1") QS(PAY, "\1") RR("\003WWW\003pay\007EXAMPLE\0", "\1", MINUTE, "\4") ADDR2),
	  "www.pay.example 10.0.0.2 60,", 0 },
	{ "another name beside", LIT(Q("ab", EVIL, "\1")), LIT(HEAD("ab", "\2") QS(EVIL, "\1") RR(AT, "\1", MINUTE, "\4") ADDR2 RR(PAY, "\1", MINUTE, "\4") ADDR2),
	  "evil.example 10.0.0.2 60,", 1 },
	{ "only another name", LIT(Q("ab", EVIL, "\1")), LIT(HEAD("ab", "\1") QS(EVIL, "\1") RR(PAY, "\1", MINUTE, "\4") ADDR2), "", 1 },
	{ "the owner of a CNAME has addresses too", LIT(Q("ab", EVIL, "\1")), LIT(HEAD("ab", "\3") QS(EVIL, "\1") RR(AT, "\5", MINUTE, "\014") LB RR(AT, "\1", MINUTE, "\4") ADDR2
	  RR(LB, "\1", MINUTE, "\4") "\012\0\0\3"), "lb.cdn.net 10.0.0.3 60,evil.example 10.0.0.3 60,", 1 },
	{ "another id", LIT(Q("ab", PAY, "\1")), LIT(HEAD("ac", "\1") QS(PAY, "\1") RR(AT, "\1", MINUTE, "\4") ADDR2), "", 1 },
	{ "another question", LIT(Q("ab", EVIL, "\1")), LIT(A1), "", 1 },
	{ "capitals of the question", LIT(Q("ab", "\003wwW\003pay\007example\0", "\1")), LIT(A1), "", 1 },
	{ "another type was asked for", LIT(Q("ab", PAY, "\034")), LIT(A1), "", 1 },
	{ "another type in the answer", LIT(Q("ab", PAY, "\034")), LIT(HEAD("ab", "\1") QS(PAY, "\034") RR(AT, "\1", MINUTE, "\4") ADDR2), "", 0 },
	{ "another class", LIT(Q("ab", PAY, "\1")), LIT(HEAD("ab", "\1") QS(PAY, "\1") AT "\0\1\0\3" MINUTE "\0\4" ADDR2), "", 0 },
	{ "no name", LIT(Q("ab", PAY, "\1")), LIT("ab\201\203\0\1\0\1\0\0\0\0" QS(PAY, "\1") RR(AT, "\1", MINUTE, "\4") ADDR2), "", 0 },
	{ "cut short", LIT(Q("ab", PAY, "\1")), LIT("ab\203\200\0\1\0\1\0\0\0\0" QS(PAY, "\1") RR(AT, "\1", MINUTE, "\4") ADDR2), "", 0 },
	{ "in the additional records", LIT(Q("ab", PAY, "\1")), LIT("ab\201\200\0\1\0\0\0\0\0\1" QS(PAY, "\1") RR(AT, "\1", MINUTE, "\4") ADDR2), "", 0 },
	{ "CNAMEs in a circle", LIT(Q("ab", PAY, "\1")), LIT(HEAD("ab", "\3") QS(PAY, "\1") RR(AT, "\5", MINUTE, "\014") LB RR(LB, "\5", MINUTE, "\2") AT RR(EVIL, "\1", MINUTE, "\4") ADDR2), "", 1 },
	{ "an address of 3 bytes", LIT(Q("ab", PAY, "\1")), LIT(HEAD("ab", "\1") QS(PAY, "\1") RR(AT, "\1", MINUTE, "\3") "\012\0\0"), "", 0 },
	{ "a pointer to itself", LIT(Q("ab", PAY, "\1")), LIT(HEAD("ab", "\1") QS(PAY, "\1") RR("\300\041", "\1", MINUTE, "\4") ADDR2), "", 0 },
	{ "a label with a dot", LIT(Q("ab", "\013www.pay.exa\003net\0", "\1")), LIT(HEAD("ab", "\1") QS("\013www.pay.exa\003net\0", "\1") RR(AT, "\1", MINUTE, "\4") ADDR2), "", 0 },
	{ "two questions", LIT("ab\001\0\0\2\0\0\0\0\0\0" QS(PAY, "\1") QS(EVIL, "\1")), LIT("ab\201\200\0\2\0\1\0\0\0\0" QS(PAY, "\1") QS(EVIL, "\1") RR(AT, "\1", MINUTE, "\4") ADDR2), "", 0 },
};

static void test_believed(void)
{
	for (size_t i = 0; i < sizeof dns_cases / sizeof *dns_cases; i++)
		for (unsigned how = 0; how < 4; how++) {
			const struct dns_case *k = &dns_cases[i];
			bool tcp = how & 1, v6 = how & 2;
			char text[2048];
			struct core c;

			if (tcp && v6)
				continue;	/* the helpers shake hands over IPv4 */
			open_client(&c);
			resolve(&c, k, tcp, v6);
			names_text(&c, text, sizeof text);
			CU_ASSERT_STRING_EQUAL(text, k->want);
			CU_ASSERT_EQUAL(core_counter(&c, DPI_C_NAMES_NOT_BELIEVED), k->not_believed);
			if (strcmp(text, k->want) || core_counter(&c, DPI_C_NAMES_NOT_BELIEVED) != k->not_believed)
				printf("\n    %s: %s, %lu not believed\n", k->what, text, (unsigned long)core_counter(&c, DPI_C_NAMES_NOT_BELIEVED));
			core_close(&c);
		}
}

/* A forged answer to another question does not use the query up; a second answer to the same one is nothing any more. */
static void test_forged_first(void)
{
	static const char forged[] = HEAD("ab", "\1") QS(EVIL, "\1") RR(AT, "\1", MINUTE, "\4") "\012\0\0\6", second[] = HEAD("ab", "\1") QS(PAY, "\1") RR(AT, "\1", MINUTE, "\4") "\012\0\0\7";
	struct spec q = { .udp = true, .dport = 53, .p = dns_cases[0].q, .n = dns_cases[0].nq }, a = { .dir = DOWN, .udp = true, .dport = 53 };
	char text[256];
	struct core c;

	open_client(&c);
	core_send(&c, &q);
	a.p = forged;
	a.n = sizeof forged - 1;
	core_send(&c, &a);
	a.p = dns_cases[0].a;
	a.n = dns_cases[0].na;
	core_send(&c, &a);
	a.p = second;
	a.n = sizeof second - 1;
	core_send(&c, &a);
	names_text(&c, text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "www.pay.example 10.0.0.2 60,");
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_NAMES_NOT_BELIEVED), 2);
	core_close(&c);
}

/* Nobody asked, the workload answers itself, or it is multicast: nothing is learned. */
static void test_not_for_it(void)
{
	struct core c;

	open_client(&c);	/* an answer out of the blue */
	core_send(&c, &(struct spec){ .dir = DOWN, .udp = true, .dport = 53, .p = dns_cases[0].a, .n = dns_cases[0].na });
	CU_ASSERT_EQUAL(c.nnames, 0);
	core_close(&c);

	open_client(&c);	/* the answer leaves the workload that asked */
	core_send(&c, &(struct spec){ .udp = true, .dport = 53, .p = dns_cases[0].q, .n = dns_cases[0].nq, .workload = CLIENT, .fflags = FRAME_LEAVING });
	core_send(&c, &(struct spec){ .dir = DOWN, .udp = true, .dport = 53, .p = dns_cases[0].a, .n = dns_cases[0].na, .workload = CLIENT, .fflags = FRAME_LEAVING });
	CU_ASSERT_EQUAL(c.nnames, 0);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_NAMES_NOT_BELIEVED), 1);
	core_close(&c);

	open_client(&c);	/* it enters: good */
	core_send(&c, &(struct spec){ .udp = true, .dport = 53, .p = dns_cases[0].q, .n = dns_cases[0].nq, .workload = CLIENT, .fflags = FRAME_LEAVING });
	core_send(&c, &(struct spec){ .dir = DOWN, .udp = true, .dport = 53, .p = dns_cases[0].a, .n = dns_cases[0].na, .workload = CLIENT, .fflags = FRAME_ENTERING });
	CU_ASSERT_EQUAL(c.nnames, 1);
	core_close(&c);

	open_client(&c);	/* it is its own resolver */
	c.workload[1] = CLIENT;
	resolve(&c, &dns_cases[0], false, false);
	CU_ASSERT_EQUAL(c.nnames, 0);
	core_close(&c);

	open_client(&c);	/* the workload is the resolver of somebody outside */
	c.workload[0] = 0;
	c.workload[1] = CLIENT;
	resolve(&c, &dns_cases[0], false, false);
	CU_ASSERT_EQUAL(c.nnames, 0);
	core_close(&c);

	open_client(&c);
	core_send(&c, &(struct spec){ .udp = true, .dport = 5355, .p = dns_cases[0].q, .n = dns_cases[0].nq });
	core_send(&c, &(struct spec){ .dir = DOWN, .udp = true, .dport = 5355, .p = dns_cases[0].a, .n = dns_cases[0].na });
	CU_ASSERT_EQUAL(c.nnames, 0);
	core_close(&c);
}

/* Sixty-four addresses of one answer are taken. */
static void test_many(void)
{
	static uint8_t answer[4096] = "ab\201\200\0\1\0\200\0\0\0\0" QS(PAY, "\1");
	size_t n = sizeof("ab\201\200\0\1\0\200\0\0\0\0" QS(PAY, "\1")) - 1;
	struct dns_case k = dns_cases[0];
	struct core c;

	for (unsigned i = 0; i < 128; i++) {
		memcpy(answer + n, RR(AT, "\1", MINUTE, "\4") "\012\0\1", 15);
		answer[n + 15] = (uint8_t)i;
		n += 16;
	}
	k.a = (const char *)answer;
	k.na = n;
	open_client(&c);
	resolve(&c, &k, false, false);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_NAMES_BELIEVED), 64);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_NAMES_NOT_BELIEVED), 64);
	core_close(&c);
}

/* ---- judged by names ---- */

/* fqdn `pattern` may be talked to, DNS too; everything else is refused. */
static struct policy *policy_pay(const char *pattern)
{
	struct policy_builder *b = policy_begin(MODE_PROTECT);
	uint16_t any = POLICY_GROUP_ANY, pay;
	struct port_range dns = { 17, 53, 53 };
	struct rule_spec r = { .id = 1, .from = &any, .to = &pay, .nfrom = 1, .nto = 1, .action = VERDICT_ALLOW, .mode = RULE_MODE_NONE };
	struct err e;

	pay = (uint16_t)policy_add_group(b, "pay", -1, &e);
	CU_ASSERT_EQUAL(policy_group_fqdn(b, pay, pattern, false, &e), 0);
	CU_ASSERT_EQUAL(policy_add_rule(b, &r, &e), 0);
	r = (struct rule_spec){ .id = 2, .from = &any, .to = &any, .nfrom = 1, .nto = 1, .action = VERDICT_ALLOW, .mode = RULE_MODE_NONE, .ports = &dns, .nports = 1 };
	CU_ASSERT_EQUAL(policy_add_rule(b, &r, &e), 0);
	return policy_build(b);
}

static void open_judged(struct core *c, const char *pattern, bool resolved)
{
	struct policy *p = policy_pay(pattern);

	open_client(c);
	dpi_set_policy(c->d, p);
	policy_unref(p);
	if (resolved) {
		resolve(c, &dns_cases[0], false, false);
		CU_ASSERT_EQUAL(c->nnames, 1);
	}
}

/* A held connection to 10.0.0.2:80 from that port, with these bytes as its first; the strictest answer. */
static enum verdict connect_and_say(struct core *c, uint16_t sport, const void *p, size_t n, enum verdict *syn)
{
	struct spec s = { .sport = sport, .flags = TCP_SYN, .seq = 1000, .held = true };

	*syn = core_send(c, &s);
	if (verdict_stops(*syn))
		return *syn;
	core_send(c, &(struct spec){ .dir = DOWN, .sport = sport, .flags = TCP_SYN | TCP_ACK, .seq = 5000, .ack = 1001, .held = true });
	return core_send(c, &(struct spec){ .sport = sport, .flags = TCP_ACK | TCP_PSH, .seq = 1001, .ack = 5001, .p = p, .n = n, .held = true });
}

static struct flow *flow_from(struct core *c, uint16_t sport)
{
	for (uint32_t i = 0; i <= c->d->flows.mask; i++) {
		struct flow *f = c->d->flows.slots[i].no ? flow_at(&c->d->flows, c->d->flows.slots[i].no) : NULL;

		if (f && flow_port(f, DIR_TOSERVER) == sport)
			return f;
	}
	return NULL;
}

static void test_http(void)
{
	static const struct { const char *request; bool allowed; } rows[] = {
		{ "GET / HTTP/1.1\r\nHost: www.pay.example\r\n\r\n", true },
		{ "GET / HTTP/1.1\r\nHost: other.PAY.example.:80\r\n\r\n", true },	/* the address is the group's, and so is the name */
		{ "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", false },
		{ "GET / HTTP/1.1\r\nHost: www.pay.example\r\nHost: evil.example\r\n\r\n", false },
		{ "GET / HTTP/1.1\r\nHost: 10.0.0.2\r\n\r\n", false },
		{ "GET / HTTP/1.0\r\n\r\n", true },	/* shows none */
		{ "SSH-2.0-OpenSSH_9.2\r\n", true },	/* never shows one */
	};
	enum verdict syn, v;
	struct core c;

	open_judged(&c, "*.pay.example", true);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		v = connect_and_say(&c, (uint16_t)(41000 + i), rows[i].request, strlen(rows[i].request), &syn);
		CU_ASSERT_EQUAL(syn, VERDICT_ALLOW);
		CU_ASSERT_EQUAL(v, rows[i].allowed ? VERDICT_ALLOW : VERDICT_DENY);
		if (v != (rows[i].allowed ? VERDICT_ALLOW : VERDICT_DENY))
			printf("\n    %s: %d\n", rows[i].request, v);
		CU_ASSERT_EQUAL(flow_from(&c, (uint16_t)(41000 + i))->rule, rows[i].allowed ? 1 : 0);
	}
	/* each request for itself */
	v = connect_and_say(&c, 42000, LIT("GET / HTTP/1.1\r\nHost: www.pay.example\r\n\r\n"), &syn);
	CU_ASSERT_EQUAL(v, VERDICT_ALLOW);
	v = core_send(&c, &(struct spec){ .sport = 42000, .flags = TCP_ACK | TCP_PSH, .seq = 1001 + sizeof("GET / HTTP/1.1\r\nHost: www.pay.example\r\n\r\n") - 1, .ack = 5001,
					 .p = "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", .n = 38, .held = true });
	CU_ASSERT_EQUAL(v, VERDICT_DENY);
	core_close(&c);

	open_judged(&c, "*.pay.example", false);	/* never resolved: not even a SYN */
	v = connect_and_say(&c, 41000, rows[0].request, strlen(rows[0].request), &syn);
	CU_ASSERT_EQUAL(syn, VERDICT_DENY);
	core_close(&c);

	open_judged(&c, "*.pay.example", true);		/* another workload's names are nothing to it */
	c.names[0].workload = 8;
	v = connect_and_say(&c, 41000, rows[0].request, strlen(rows[0].request), &syn);
	CU_ASSERT_EQUAL(syn, VERDICT_DENY);
	core_close(&c);

	open_judged(&c, "www.other.example", true);	/* another name's address */
	v = connect_and_say(&c, 41000, rows[0].request, strlen(rows[0].request), &syn);
	CU_ASSERT_EQUAL(syn, VERDICT_DENY);
	core_close(&c);
}

/* The hello cut anywhere: pending until it is whole. */
static void test_tls(void)
{
	size_t n = sizeof(tls13_0), step = 97;
	enum verdict syn, v = VERDICT_ALLOW;
	struct core c;

	for (unsigned good = 0; good < 2; good++) {
		size_t at = 0;

		open_judged(&c, good ? "*.example" : "*.pay.example", true);
		v = connect_and_say(&c, 41000, tls13_0, 40, &syn);
		CU_ASSERT(syn == VERDICT_ALLOW && v == VERDICT_ALLOW);
		CU_ASSERT_EQUAL(flow_from(&c, 41000)->verdict, VERDICT_PENDING);
		for (at = 40; at < n && v == VERDICT_ALLOW; at += step) {
			size_t k = n - at < step ? n - at : step;

			v = core_send(&c, &(struct spec){ .sport = 41000, .flags = TCP_ACK, .seq = 1001 + (uint32_t)at, .ack = 5001, .p = tls13_0 + at, .n = k, .held = true });
		}
		CU_ASSERT(at >= n);	/* not before its last byte */
		CU_ASSERT_EQUAL(v, good ? VERDICT_ALLOW : VERDICT_DENY);
		core_close(&c);
	}
}

/* A hello that shows its name; refused, it stays refused when it is sent again, and so does what follows. */
static void test_quic(void)
{
	static const char hello[] = "\303Q046\120\1\1\1\1\1\1\1\1\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0CHLO\1\0\0\0SNI\0\013\0\0\0www.pay.exa";

	for (unsigned good = 0; good < 2; good++) {
		struct spec s = { .sport = 41000, .dport = 443, .udp = true, .p = hello, .n = sizeof hello - 1, .held = true };
		enum verdict want = good ? VERDICT_ALLOW : VERDICT_DENY;
		struct core c;

		open_judged(&c, good ? "www.pay.exa*" : "*.pay.example", true);
		CU_ASSERT_EQUAL(core_send(&c, &s), want);
		CU_ASSERT_EQUAL(flow_from(&c, 41000)->app, APP_QUIC);
		CU_ASSERT_EQUAL(core_send(&c, &s), want);
		s.p = "\100what is sealed";
		s.n = 15;
		CU_ASSERT_EQUAL(core_send(&c, &s), want);
		CU_ASSERT_EQUAL(flow_from(&c, 41000)->rule, good ? 1 : 0);
		core_close(&c);
	}
}

/* What was believed at the beginning holds for a flow's life; a new one is judged anew. */
static void test_time(void)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: www.pay.example\r\n\r\n";
	enum verdict syn, v;
	struct core c;

	open_judged(&c, "*.pay.example", true);
	v = connect_and_say(&c, 41000, LIT(request), &syn);
	CU_ASSERT_EQUAL(v, VERDICT_ALLOW);
	c.now += 61 * SEC;
	v = core_send(&c, &(struct spec){ .sport = 41000, .flags = TCP_ACK | TCP_PSH, .seq = 1001 + sizeof request - 1, .ack = 5001, .p = request, .n = sizeof request - 1, .held = true });
	CU_ASSERT_EQUAL(v, VERDICT_ALLOW);
	CU_ASSERT_EQUAL(flow_from(&c, 41000)->rule, 1);
	connect_and_say(&c, 41001, LIT(request), &syn);
	CU_ASSERT_EQUAL(syn, VERDICT_DENY);
	core_close(&c);
}

/* Copies: the answer's may be read after the connection's first packets, not after its application is known. */
static void test_late_copies(void)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: www.pay.example\r\n\r\n";

	for (unsigned resolved = 0; resolved < 2; resolved++) {
		struct core c;

		open_judged(&c, "*.pay.example", false);
		core_handshake(&c, 1000, 5000);
		CU_ASSERT_EQUAL(core_flow(&c)->verdict, VERDICT_PENDING);
		if (resolved)
			resolve(&c, &dns_cases[0], false, false);
		core_data(&c, UP, 1001, 5001, request, sizeof request - 1);
		CU_ASSERT_EQUAL(flow_from(&c, 40000)->verdict, resolved ? VERDICT_ALLOW : VERDICT_DENY);
		core_close(&c);
	}
}

/* Open before the core began: its name was learned unseen. What it shows counts, and five minutes later nobody is believed to have been there before. */
static void test_open_before(void)
{
	static const struct { const char *said; int64_t after; bool allowed; } rows[] = {
		{ "GET / HTTP/1.1\r\nHost: www.pay.example\r\n\r\n", 0, true },
		{ "GET / HTTP/1.1\r\nHost: www.evil.example\r\n\r\n", 0, false },
		{ "SSH-2.0-OpenSSH_9.2\r\n", 0, true },
		{ "SSH-2.0-OpenSSH_9.2\r\n", 299 * SEC, true },
		{ "SSH-2.0-OpenSSH_9.2\r\n", 301 * SEC, false },
	};

	for (size_t k = 0; k < 2 * sizeof rows / sizeof *rows; k++) {
		size_t i = k / 2;
		struct spec s = { .sport = 41000, .dport = 80, .flags = TCP_ACK | TCP_PSH, .seq = 1001, .ack = 5001, .p = rows[i].said, .n = strlen(rows[i].said), .held = true,
			.fflags = k & 1 ? FRAME_MAY_ASK : 0 };
		struct core c;
		enum verdict v;

		open_judged(&c, "*.pay.example", false);
		core_tick(&c, 1);
		core_tick(&c, rows[i].after);
		v = core_send(&c, &s);
		CU_ASSERT_EQUAL(!!(c.answer.flags & ANSWER_ASK), k & 1 && rows[i].after < 300 * SEC);	/* what is refused whatever it says is not asked for */
		if (c.answer.flags & ANSWER_ASK) {
			s.fflags = 0;
			v = core_send(&c, &s);
		}
		CU_ASSERT_EQUAL(v, rows[i].allowed ? VERDICT_ALLOW : VERDICT_DENY);
		if (v != (rows[i].allowed ? VERDICT_ALLOW : VERDICT_DENY))
			printf("\n    row %zu: %d\n", i, v);
		core_close(&c);
	}
}

/* A query that is refused teaches nothing, though only told. */
static void test_refused_query(void)
{
	struct policy_builder *b = policy_begin(MODE_MONITOR);
	uint16_t any = POLICY_GROUP_ANY;
	const char *pattern = "*.pay.example";
	struct match_spec m = { .key = (unsigned)match_by_name("dns"), .patterns = &pattern, .npatterns = 1 };
	struct rule_spec r = { .id = 1, .from = &any, .to = &any, .nfrom = 1, .nto = 1, .action = VERDICT_DENY, .mode = RULE_MODE_NONE, .match = &m, .nmatch = 1 };
	struct policy *p;
	struct core c;
	struct err e;

	CU_ASSERT_EQUAL(policy_add_rule(b, &r, &e), 0);
	p = policy_build(b);
	open_client(&c);
	dpi_set_policy(c.d, p);
	policy_unref(p);
	resolve(&c, &dns_cases[0], false, false);
	CU_ASSERT_EQUAL(c.nnames, 0);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_NAMES_NOT_BELIEVED), 1);
	core_close(&c);
}

const struct unit_test tests_judge_names[] = {
	{ "which names are believed", test_believed },
	{ "a forged answer first", test_forged_first },
	{ "not for that workload", test_not_for_it },
	{ "many addresses", test_many },
	{ "http", test_http },
	{ "tls", test_tls },
	{ "quic", test_quic },
	{ "time", test_time },
	{ "late copies", test_late_copies },
	{ "a refused query", test_refused_query },
	{ "open before", test_open_before },
	{ 0 },
};
