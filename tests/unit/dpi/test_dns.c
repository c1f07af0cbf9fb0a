/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dns: queries and answers over both transports, every rdata with a text form, names, and messages made to hurt.
 * In what is wanted ' stands for ". */
#include <stdio.h>
#include <stdlib.h>

#include "dpi/proto/dns_msg.h"
#include "tests/unit/dpi/flowtest.h"
#include "tests/unit/unit.h"

#define EXAMPLE "\007example\003com\0"
#define QUESTION EXAMPLE "\0\1\0\1"
#define QUERY "\x12\x34\001\0\0\1\0\0\0\0\0\0" QUESTION
#define QUERY_TOLD "dns {'type':'query','id':4660,'opcode':0,'rrname':'example.com','rrtype':'A'}\n"
#define RR_A "\300\014\0\1\0\1\0\0\001\054\0\4\012\001\002\003"
#define ANSWER "\x12\x34\201\200\0\1\0\1\0\0\0\0" QUESTION RR_A
#define ANSWER_TOLD "dns {'type':'answer','id':4660,'flags':'8180','qr':true,'rd':true,'ra':true,'opcode':0,'rrname':'example.com','rrtype':'A'," \
	"'rcode':'NOERROR','answers':[{'rrname':'example.com','rrtype':'A','ttl':300,'rdata':'10.1.2.3'}]}\n"

static char *quoted(const char *s)
{
	char *q = strdup(s);

	for (char *c = q; c && *c; c++)
		if (*c == '\'')
			*c = '"';
	return q;
}

static unsigned times(const char *text, const char *what)
{
	char *q = quoted(what);
	unsigned n = 0;

	for (const char *at = text; q && (at = strstr(at, q)); at++)
		n++;
	free(q);
	return n;
}

static void told(const char *text, const char *what)
{
	bool there = times(text, what) > 0;

	CU_ASSERT_TRUE(there);
	if (!there)
		printf("\nwanted %s\ntold   %s", what, text);
}

static void told_exactly(const char *text, const char *what)
{
	char *q = quoted(what);

	CU_ASSERT_STRING_EQUAL(text, q);
	if (strcmp(text, q))
		printf("\nwanted %stold   %s", q, text);
	free(q);
}

static struct flowtest_result udp(uint16_t port, const struct flowtest_step *s, unsigned n)
{
	return flowtest_run(&(struct flowtest){ .dport = port, .udp = true }, s, n);
}

static void test_udp(void)
{
	static const struct flowtest_step s[] = { STEP_UP(QUERY), STEP_DOWN(ANSWER) };
	static const uint16_t anywhere[] = { 53, 4000 };

	for (unsigned i = 0; i < 4; i++) {
		struct flowtest ft = { .dport = anywhere[i & 1], .udp = true, .v6 = i > 1 };
		struct flowtest_result r = flowtest_run(&ft, s, 2);

		CU_ASSERT_EQUAL(r.app, APP_DNS);
		CU_ASSERT_EQUAL(r.bad, 0);
		told_exactly(r.text, QUERY_TOLD ANSWER_TOLD);
		flowtest_free(&r);
	}
	flowtest_every_prefix(&(struct flowtest){ .dport = 53, .udp = true }, s, 2);
}

static void test_tcp(void)
{
	static const struct flowtest_step s[] = {
		STEP_UP("\0\035" QUERY "\0\035" QUERY), STEP_DOWN("\0\055" ANSWER), STEP_UP("\0\035" QUERY), STEP_DOWN("\0\055" ANSWER "\0\055" ANSWER),
	};
	struct flowtest ft = { .dport = 4000 };
	char *text = flowtest_every_cut(&ft, s, 4);

	CU_ASSERT_EQUAL(times(text, QUERY_TOLD), 3);
	CU_ASSERT_EQUAL(times(text, ANSWER_TOLD), 3);
	CU_ASSERT_EQUAL(times(text, "\n"), 6);
	free(text);
	flowtest_every_prefix(&ft, s, 4);
}

/* The longest message that TCP can carry, and the shortest frame. */
static void test_tcp_bounds(void)
{
	static uint8_t big[2 + 65535];
	static const struct flowtest_step tiny[] = { STEP_UP("\0\035" QUERY "\0\5abcde\0\035" QUERY) };
	static const char head[] = "\377\377\x12\x34\201\200\0\1\0\1\0\0\0\0" QUESTION "\300\014\0\020\0\1\0\0\0\1\377\326";
	const struct flowtest_step s[] = { STEP_UP("\0\035" QUERY), { DIR_TOCLIENT, big, sizeof(big) } };
	struct flowtest_result r;

	memcpy(big, head, sizeof(head) - 1);
	memset(big + sizeof(head) - 1, 0, sizeof(big) - sizeof(head) + 1);
	r = flowtest_run(&(struct flowtest){ .dport = 53 }, s, 2);
	told(r.text, "'answers':[{'rrname':'example.com','rrtype':'TXT','ttl':1,'rdata':''}]");
	CU_ASSERT_EQUAL(r.bad, 0);
	flowtest_free(&r);

	r = flowtest_run(&(struct flowtest){ .dport = 53 }, tiny, 1);
	CU_ASSERT_EQUAL(times(r.text, QUERY_TOLD), 1);
	told(r.text, "dns.short_frame");
	CU_ASSERT_EQUAL(r.bad, 1);
	flowtest_free(&r);
}

/* One answer with the given record behind the question. */
static struct flowtest_result answer_run(uint16_t type, const void *rdata, size_t n)
{
	static uint8_t m[4096];
	static const char head[] = "\x12\x34\201\200\0\1\0\1\0\0\0\0" QUESTION "\300\014";
	const uint8_t fixed[] = { (uint8_t)(type >> 8), (uint8_t)type, 0, 1, 0, 0, 0, 60, (uint8_t)(n >> 8), (uint8_t)n };
	const struct flowtest_step s[] = { STEP_UP(QUERY), { DIR_TOCLIENT, m, sizeof(head) - 1 + sizeof(fixed) + n } };

	memcpy(m, head, sizeof(head) - 1);
	memcpy(m + sizeof(head) - 1, fixed, sizeof(fixed));
	memcpy(m + sizeof(head) - 1 + sizeof(fixed), rdata, n);
	return udp(53, s, 2);
}

static void test_rdata(void)
{
#define R(type, lit, want) { type, lit, sizeof(lit) - 1, want }
	static const struct { uint16_t type; const char *p; size_t n; const char *want; } rows[] = {
		R(1, "\300\0\2\1", "'rrtype':'A','ttl':60,'rdata':'192.0.2.1'"),
		R(28, "\040\001\015\270\0\0\0\0\0\0\0\0\0\0\0\1", "'rrtype':'AAAA','ttl':60,'rdata':'2001:db8::1'"),
		R(2, "\2ns\300\014", "'rrtype':'NS','ttl':60,'rdata':'ns.example.com'"),
		R(5, "\1a\1b\0", "'rrtype':'CNAME','ttl':60,'rdata':'a.b'"),
		R(12, "\4host\300\024", "'rrtype':'PTR','ttl':60,'rdata':'host.com'"),
		R(39, "\300\014", "'rrtype':'DNAME','ttl':60,'rdata':'example.com'"),
		R(15, "\0\012\2mx\300\014", "'rrtype':'MX','ttl':60,'rdata':'mx.example.com'"),
		R(16, "\013v=spf1 -all", "'rrtype':'TXT','ttl':60,'rdata':'v=spf1 -all'"),
		R(16, "\3one\0\4+two", "'rdata':'one+two'"),
		R(99, "\2ok", "'rrtype':'SPF','ttl':60,'rdata':'ok'"),
		R(33, "\0\1\0\2\023\304\3sip\300\014", "'srv':{'priority':1,'weight':2,'port':5060,'name':'sip.example.com'}"),
		R(6, "\2ns\300\014\4root\300\014\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5",
		  "'soa':{'mname':'ns.example.com','rname':'root.example.com','serial':1,'refresh':2,'retry':3,'expire':4,'minimum':5}"),
		R(44, "\4\2\001\253\377", "'sshfp':{'algo':4,'type':2,'fingerprint':'01abff'}"),
		R(257, "\200\5issueca.example", "'rrtype':'CAA','ttl':60,'rdata':'128 issue \\'ca.example\\''"),
		R(64, "\0\1\1a\0\0\3\0\2\001\273", "'rrtype':'SVCB','ttl':60,'rdata':'1 a port=443'"),
		R(65, "\0\1\0\0\1\0\6\2h2\2h3\0\4\0\4\12\0\0\1\0\5\0\1x\0\6\0\020\040\001\015\270\0\0\0\0\0\0\0\0\0\0\0\2\0\011\0\0",
		  "'rrtype':'HTTPS','ttl':60,'rdata':'1 . alpn=h2,h3 ipv4hint=10.0.0.1 ech ipv6hint=2001:db8::2 key9'"),
		R(10, "\0\377", "'rrtype':'NULL','ttl':60,'rdata':'00ff'"),
		R(46, "\0\1\5\2", "'rrtype':'RRSIG','ttl':60,'rdata':'00010502'"),
		R(4711, "", "'rrtype':'TYPE4711','ttl':60}"),
	};
	static const struct { uint16_t type; const char *p; size_t n; const char *want; } broken[] = {
		R(1, "\1\2\3", ""), R(1, "\1\2\3\4\5", ""), R(28, "\1\2\3\4", ""), R(2, "\2ns", ""), R(5, "\300\377", ""), R(15, "\0", ""), R(16, "\7short", ""),
		R(6, "\0\0\0\0\0\1", ""), R(33, "\0\1\0\2", ""), R(257, "\0\7x", ""), R(65, "\0\1\0\0\1\0\7\2h2", ""), R(44, "\1", ""),
	};
	struct flowtest_result r;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		r = answer_run(rows[i].type, rows[i].p, rows[i].n);
		told(r.text, rows[i].want);
		CU_ASSERT_EQUAL(times(r.text, "anomaly"), 0);
		flowtest_free(&r);
	}
	for (unsigned i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		r = answer_run(broken[i].type, broken[i].p, broken[i].n);
		told(r.text, "'rcode':'NOERROR'");
		CU_ASSERT_EQUAL(times(r.text, "dns.malformed"), 1);
		CU_ASSERT_EQUAL(r.app, APP_DNS);
		flowtest_free(&r);
	}
}

static void test_hex_is_cut(void)
{
	uint8_t rdata[200];
	struct flowtest_result r;

	memset(rdata, 0xab, sizeof(rdata));
	r = answer_run(10, rdata, sizeof(rdata));
	told(r.text, "abababab...'");
	CU_ASSERT_EQUAL(times(r.text, "ab"), 64);
	flowtest_free(&r);
}

static void test_rcodes(void)
{
	static const char edns[] = "\x12\x34\204\005\0\1\0\0\0\1\0\1" QUESTION "\300\014\0\2\0\1\0\0\0\1\0\2\300\014" "\0\0\51\020\0\001\0\0\0\0\0";
	static const struct { const char *p; size_t n; const char *want; } rows[] = {
		{ "\x12\x34\201\203\0\1\0\0\0\0\0\0" QUESTION, 29, "'rcode':'NXDOMAIN'}" },
		{ "\x12\x34\201\202\0\1\0\0\0\0\0\0" QUESTION, 29, "'rcode':'SERVFAIL'}" },
		{ "\x12\x34\201\214\0\1\0\0\0\0\0\0" QUESTION, 29, "'rcode':'12'}" },
		{ "\x12\x34\206\200\0\1\0\0\0\0\0\0" QUESTION, 29, "'flags':'8680','qr':true,'aa':true,'tc':true,'ra':true" },
		{ "\x12\x34\201\205\0\0\0\0\0\0\0\0", 12, "'opcode':0,'rcode':'REFUSED'}" },
		{ edns, sizeof(edns) - 1, "'rcode':'BADALG'" },
		{ edns, sizeof(edns) - 1, "'authorities':[{'rrname':'example.com','rrtype':'NS','ttl':1,'rdata':'example.com'}]" },
	};

	/* BADALG is 21: the OPT record holds 1, the header 5 */
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct flowtest_step s[] = { STEP_UP(QUERY), { DIR_TOCLIENT, rows[i].p, rows[i].n } };
		struct flowtest_result r = udp(53, s, 2);

		told(r.text, rows[i].want);
		flowtest_free(&r);
	}
}

static void test_query_with_edns_and_opcodes(void)
{
	static const struct { const char *p; size_t n; const char *want; } rows[] = {
		{ "\0\1\001\040\0\1\0\0\0\0\0\1" QUESTION "\0\0\51\020\0\0\0\200\0\0\0", 40, "'type':'query','id':1,'opcode':0,'rrname':'example.com'" },
		{ "\0\2\050\0\0\1\0\0\0\0\0\0" EXAMPLE "\0\6\0\1", 29, "'opcode':5,'rrname':'example.com','rrtype':'SOA'" },
		{ "\0\3\040\0\0\1\0\0\0\0\0\0" EXAMPLE "\0\6\0\1", 29, "'opcode':4,'rrname':'example.com','rrtype':'SOA'" },
		{ "\0\4\001\0\0\1\0\0\0\0\0\0" "\0\0\2\0\1", 17, "'rrname':'.','rrtype':'NS'" },
		{ "\0\5\001\0\0\1\0\0\0\0\0\0" EXAMPLE "\0\377\0\1", 29, "'rrtype':'ANY'" },
		{ "\0\6\001\0\0\1\0\0\0\0\0\0" EXAMPLE "\377\376\0\1", 29, "'rrtype':'TYPE65534'" },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct flowtest_step s[] = { { DIR_TOSERVER, rows[i].p, rows[i].n } };
		struct flowtest_result r = udp(3000, s, 1);

		CU_ASSERT_EQUAL(r.app, APP_DNS);
		told(r.text, rows[i].want);
		CU_ASSERT_EQUAL(times(r.text, "anomaly"), 0);
		flowtest_free(&r);
	}
}

static void test_mdns(void)
{
	/* two questions, the second wants a unicast answer and points into the first; a known answer */
	static const struct flowtest_step ask[] = { STEP_UP("\0\0\0\0\0\2\0\1\0\0\0\0" "\4_ipp\4_tcp\5local\0\0\014\0\1" "\5_ipps\300\021\0\014\200\1"
		"\300\014\0\014\0\1\0\0\0\170\0\2\300\014") };
	/* no question; cache flush; a name for people */
	static const struct flowtest_step say[] = { STEP_UP("\0\0\204\0\0\0\0\1\0\0\0\0" "\011B\303\274ro 2.x\5local\0\0\1\200\1\0\0\0\170\0\4\300\250\0\2") };
	struct flowtest_result r = udp(5353, ask, 1);

	CU_ASSERT_EQUAL(r.app, APP_MDNS);
	told(r.text, "'rrname':'_ipp._tcp.local','rrtype':'PTR'");
	told(r.text, "'rrname':'_ipps._tcp.local','rrtype':'PTR'");
	CU_ASSERT_EQUAL(times(r.text, "\n"), 2);
	flowtest_free(&r);

	r = udp(5353, say, 1);
	CU_ASSERT_EQUAL(r.app, APP_MDNS);
	told(r.text, "'type':'answer','id':0,'flags':'8400','qr':true,'aa':true,'opcode':0,'rrname':'B\303\274ro 2\\\\.x.local','rrtype':'A'");
	told(r.text, "'ttl':120,'rdata':'192.168.0.2'");
	flowtest_free(&r);

	r = udp(5355, (const struct flowtest_step[]){ STEP_UP("\1\1\0\0\0\1\0\0\0\0\0\0" "\3pc1\0\0\1\0\1") }, 1);
	CU_ASSERT_EQUAL(r.app, APP_LLMNR);
	told(r.text, "'rrname':'pc1'");
	flowtest_free(&r);
}

/* The name alone, as text; NULL when it is refused. `at`: where it begins in the message. */
static const char *name_text(const void *p, size_t n, size_t at, struct dns_name *name)
{
	struct cursor c = cur_of(p, n);
	struct dns_msg m = { .start = p, .len = n };

	cur_skip(&c, at);
	if (!dns_name_read(&m, &c, name))
		return NULL;
	name->s[name->n] = 0;
	return name->s;
}

static void test_names(void)
{
#define H "0123456789ab"
#define NAME(lit, at) name_text(lit, sizeof(lit) - 1, at, &name)
	static uint8_t m[600];
	struct dns_name name;
	size_t n = DNS_HEADER;

	CU_ASSERT_STRING_EQUAL(NAME(H "\0", 12), ".");
	CU_ASSERT_STRING_EQUAL(NAME(H "\3a.b\1\\\0", 12), "a\\.b.\\\\");
	CU_ASSERT_STRING_EQUAL(NAME(H "\3\0\377z\1\t\0", 12), "\\000\\255z.\\009");
	CU_ASSERT_STRING_EQUAL(NAME(H "\2\303\251\1\303\0", 12), "\303\251.\\195");
	CU_ASSERT_STRING_EQUAL(NAME(H "\1c\0\1b\300\014\1a\300\017", 19), "a.b.c");
	CU_ASSERT_PTR_NULL(NAME(H "\300\014", 12));		/* itself */
	CU_ASSERT_PTR_NULL(NAME(H "\1a\300\014", 12));		/* its own beginning */
	CU_ASSERT_PTR_NULL(NAME(H "\300\016\1a\0", 12));	/* forward */
	CU_ASSERT_PTR_NULL(NAME(H "\1a\300\017\300\014", 16));	/* round and round */
	CU_ASSERT_PTR_NULL(NAME(H "\1a\0\300\004", 15));	/* into the header */
	CU_ASSERT_PTR_NULL(NAME(H "\100a\0", 12));
	CU_ASSERT_PTR_NULL(NAME(H "\277a\0", 12));
	CU_ASSERT_PTR_NULL(NAME(H "\5abc", 12));
	CU_ASSERT_PTR_NULL(NAME(H "\1a\0\300", 15));
	/* 255 bytes are a name, 256 are none; every byte escaped still fits */
	for (unsigned i = 0; i < 3; i++, n += 64) {
		m[n] = 63;
		memset(m + n + 1, 0xff, 63);
	}
	m[n] = 61;
	memset(m + n + 1, 0xff, 61);
	m[n + 62] = 0;
	CU_ASSERT_PTR_NOT_NULL(name_text(m, n + 63, DNS_HEADER, &name));
	CU_ASSERT_EQUAL(name.n, 4 * (63 * 3 + 61) + 3);
	m[n] = 62;
	m[n + 62] = 0xff;
	m[n + 63] = 0;
	CU_ASSERT_PTR_NULL(name_text(m, n + 64, DNS_HEADER, &name));
	/* 255 bytes in two parts; then 257 */
	memset(m, 1, sizeof(m));
	m[DNS_HEADER + 126] = 0;
	n = DNS_HEADER + 127 + 128;
	memcpy(m + n, "\300\014", 2);
	CU_ASSERT_PTR_NOT_NULL(name_text(m, n + 2, DNS_HEADER + 127, &name));
	memcpy(m + n, "\001\001\300\014", 4);
	CU_ASSERT_PTR_NULL(name_text(m, n + 4, DNS_HEADER + 127, &name));
}

/* Each of the names at the end points to the one before it: refused after a fixed multiple of the length, never slower. */
static void test_names_work(void)
{
	static uint8_t m[60000];
	struct dns_msg msg = { .start = m, .len = sizeof(m) };
	struct cursor c = cur_of(m, sizeof(m));
	struct dns_name name;
	size_t n = DNS_HEADER, long_name = n, read = 0;

	for (unsigned i = 0; i < 120; i++, n += 2) {
		m[n] = 1;
		m[n + 1] = 'x';
	}
	m[n++] = 0;
	for (; n + 2 <= sizeof(m); n += 2) {
		m[n] = (uint8_t)(0xc0 | long_name >> 8);
		m[n + 1] = (uint8_t)long_name;
	}
	cur_skip(&c, long_name);
	while (cur_left(&c) && dns_name_read(&msg, &c, &name))
		read++;
	CU_ASSERT_TRUE(read > 1000);
	CU_ASSERT_TRUE(cur_left(&c) > 0);
	CU_ASSERT_TRUE(msg.work <= 4096 + 16 * sizeof(m) + 255);
}

static void test_hostile(void)
{
	static uint8_t bomb[60000];
	static const char head[] = "\x12\x34\001\0\x27\020\0\0\0\0\0\0";	/* 10,000 questions */
	static const struct flowtest_step bad[] = {
		STEP_UP(QUERY),
		STEP_UP("\x12\x34\001\0\0\1\0\0\0\0\0\0" "\300\014\0\1\0\1"),			/* a loop */
		STEP_UP("\x12\x34\001\0\377\377\377\377\377\377\377\377" QUESTION),		/* counts that lie */
		STEP_UP("\x12\x34\001\0\0\1\0\0\0\0\0\1" QUESTION "\0\0\51\020\0\0\0\0\0\377\377"),	/* rdata past the end */
		STEP_UP("\x12\x34"),
		STEP_DOWN("\x12\x34\201\200\0\1\0\2\0\0\0\0" QUESTION RR_A "\300\377"),		/* the second record is broken */
		STEP_UP(QUERY),
	};
	struct flowtest_result r = udp(53, bad, 7);
	size_t n = sizeof(head) - 1;

	CU_ASSERT_EQUAL(r.app, APP_DNS);
	CU_ASSERT_TRUE(times(r.text, QUERY_TOLD) >= 2);
	told(r.text, "'rdata':'10.1.2.3'");
	CU_ASSERT_TRUE(times(r.text, "dns.malformed") >= 1);
	CU_ASSERT_EQUAL(r.bad, 0);
	flowtest_free(&r);

	/* many questions by pointer: all are judged or the rest refused, few are told */
	memcpy(bomb, head, n);
	memset(bomb + n, 0, 5);
	for (unsigned i = 0; i < 30; i++, n += 2)
		memcpy(bomb + n, "\1x", 2);
	memcpy(bomb + n, "\0\0\1\0\1", 5);
	n += 5;
	for (unsigned i = 1; i < 10000 && n + 6 <= sizeof(bomb); i++, n += 6)
		memcpy(bomb + n, "\300\014\0\1\0\1", 6);
	r = udp(53, (const struct flowtest_step[]){ { DIR_TOSERVER, bomb, n } }, 1);
	CU_ASSERT_EQUAL(r.app, APP_DNS);
	CU_ASSERT_EQUAL(times(r.text, "dns {"), 32);
	CU_ASSERT_EQUAL(times(r.text, "dns.many_questions"), 1);
	flowtest_free(&r);
}

/* What is not DNS, though its port or its first bytes may say so. */
static void test_refused(void)
{
	static const struct { const char *p; size_t n; uint16_t port; } rows[] = {
#define NO(lit, port) { lit, sizeof(lit) - 1, port }
		NO("\x80\x01\1\020\0\1\0\0\0\0\0\0" "\040CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0\0\041\0\1", 137),
		NO("\x80\x01\1\020\0\1\0\0\0\0\0\0" "\040EJFDEBFEEBFACACACACACACACACACAAA\0\0\040\0\1", 4137),
		NO("\x80\x01\x29\0\0\1\0\0\0\0\0\1" "\040EJFDEBFEEBFACACACACACACACACACAAA\0\0\040\0\1\300\014\0\040\0\1\0\0\0\0\0\6\0\0\1\2\3\4", 137),
		NO("\x1b\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 123),
		NO(QUERY "junk", 4000),
		NO("\x12\x34\201\205\0\0\0\0\0\0\0\0", 4000),			/* no more than a header */
		NO("\x12\x34\001\0\0\1\0\0\0\0\0\0" EXAMPLE "\0\1\0\7", 4000),	/* a class that is none */
		NO("\x12\x34\001\100\0\1\0\0\0\0\0\0" QUESTION, 4000),		/* Z */
		NO("\x12\x34\001\003\0\1\0\0\0\0\0\0" QUESTION, 4000),		/* a query with an rcode */
		NO("\x12\x34\201\200\0\1\0\1\0\0\0\0" QUESTION "\300\035\0\1\0\1\0\0\0\1\0\0", 4000),	/* an owner that points to itself */
		NO("\x12\x34\001\0\0\2\0\0\0\0\0\0" QUESTION, 4000),		/* counts one question more */
	};
	uint64_t x = 88172645463325252u;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct flowtest_result r = udp(rows[i].port, (const struct flowtest_step[]){ { DIR_TOSERVER, rows[i].p, rows[i].n } }, 1);

		CU_ASSERT_NOT_EQUAL(r.app, APP_DNS);
		if (r.app == APP_DNS)
			printf("\nrow %u was taken for DNS", i);
		flowtest_free(&r);
	}
	for (unsigned i = 0; i < 200000; i++) {
		uint8_t m[64];
		struct probe_in in = { .l4 = PROTO_UDP, .sport = 40000, .dport = 4000 };

		for (unsigned k = 0; k < sizeof(m); k += 8) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			memcpy(m + k, &x, 8);
		}
		if (i & 1)
			memset(m + 4, 0, 3);	/* nearer to a header */
		in.dir[0] = cur_of(m, 12 + i % 53);
		in.dir[1] = cur_of(NULL, 0);
		CU_ASSERT_EQUAL(proto_dns.probe(&in), PROBE_NO);
	}
}

const struct unit_test tests_dns[] = {
	{ "datagrams on any port, both families", test_udp },
	{ "frames of TCP, pipelined, however cut", test_tcp },
	{ "the longest and the shortest frame", test_tcp_bounds },
	{ "rdata as text", test_rdata },
	{ "other rdata in hex, cut", test_hex_is_cut },
	{ "response codes and flags", test_rcodes },
	{ "EDNS in queries, opcodes, types", test_query_with_edns_and_opcodes },
	{ "mDNS and LLMNR", test_mdns },
	{ "names: escapes, pointers, bounds", test_names },
	{ "names: work is bounded by the length", test_names_work },
	{ "hostile messages do not end the flow", test_hostile },
	{ "what is not DNS is refused", test_refused },
	{ NULL, NULL },
};
