/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines are read back by jansson, a strict JSON reader. Community ids: vectors of the specification's own examples, and an
 * independent SHA-1 and base64 for the rest. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/eve.h"
#include "agent/path.h"
#include "dpi/record.h"
#include "tests/unit/unit.h"

static struct record rec;

static struct event event_of(enum event_type type)
{
	struct event ev = { .ts = 1767323045123456789LL, .flow_id = 123456789012345ULL, .type = (uint8_t)type, .has_tuple = true, .ipproto = 6, .sport = 40000, .dport = 80, .app = APP_HTTP,
		.path = PATH_NFQ, .verdict = VERDICT_DENY, .enforced = true, .rule = 20, .reason = REASON_POLICY, .body = rec.body, .body_len = rec.len };

	CU_ASSERT_EQUAL(addr_parse("10.1.0.1", &ev.src), 0);
	CU_ASSERT_EQUAL(addr_parse("10.1.0.2", &ev.dst), 0);
	return ev;
}

static json_t *line_of(const struct eve_conf *c, const struct event *ev)
{
	json_error_t e;
	struct jbuf j;
	json_t *v;

	jb_init(&j, 1 << 20);
	eve_format(&j, c, ev);
	CU_ASSERT_FALSE(j.overflow);
	CU_ASSERT_EQUAL_FATAL(j.p[j.len - 1], '\n');
	CU_ASSERT_PTR_EQUAL(memchr(j.p, '\n', j.len), j.p + j.len - 1);
	v = json_loadb(j.p, j.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);
	if (!v)
		printf("\n%s at %d: %.300s\n", e.text, e.position, j.p);
	CU_ASSERT_PTR_NOT_NULL_FATAL(v);
	jb_free(&j);
	return v;
}

static const char *S(json_t *o, const char *key) { return json_string_value(json_object_get(o, key)); }
static long long I(json_t *o, const char *key) { return json_is_integer(json_object_get(o, key)) ? json_integer_value(json_object_get(o, key)) : -1; }

static const struct fact f_method = { "http_method", FACT_HTTP_METHOD }, f_len = { "length", FACT_PLAIN }, f_neg = { "neg", FACT_PLAIN }, f_ok = { "ok", FACT_PLAIN }, f_list = { "list", FACT_PLAIN },
	f_obj = { "http2", FACT_PLAIN }, f_id = { "stream_id", FACT_PLAIN }, f_tcp = { "tcp", FACT_PLAIN }, f_state = { "state", FACT_PLAIN }, f_pkts = { "pkts_toserver", FACT_PLAIN }, f_start = { "start", FACT_PLAIN };

static void test_fields(void)
{
	struct names *names = names_new();
	struct label lv = { "app", "we\"b" };
	struct labels labels = { &lv, 1 };
	struct fqdn_cache *fqdn = fqdn_cache_new(64, &(struct hash_key){ { 1, 2 } });
	struct eve_conf c = { .node = "worker-1", .names = names, .fqdn = fqdn, .utc = true };
	struct event ev;
	json_t *v, *o, *t;

	rec_reset(&rec);
	rec_cstr(&rec, &f_method, "GET");
	rec_u64(&rec, &f_len, UINT32_MAX);
	rec_i64(&rec, &f_neg, -5);
	rec_bool(&rec, &f_ok, true);
	rec_arr(&rec, &f_list);
	rec_cstr(&rec, NULL, "a");
	rec_obj(&rec, NULL);
	rec_u64(&rec, &f_id, 1);
	rec_end(&rec);
	rec_end(&rec);
	rec_obj(&rec, &f_obj);
	rec_u64(&rec, &f_id, 3);
	rec_end(&rec);
	ev = event_of(EV_HTTP);
	ev.src_workload = names_add_workload(names, "client", NULL);
	ev.dst_workload = names_add_workload(names, "web", &labels);
	fqdn_cache_learn(fqdn, ev.src_workload, &ev.dst, (struct bytes){ (const uint8_t *)"web.example", 11 }, 1, 1000);
	fqdn_cache_learn(fqdn, ev.src_workload, &ev.src, (struct bytes){ (const uint8_t *)"other.example", 13 }, 1, 1000);
	ev.start = 1000;	/* long before the event, when the name was believed */
	ev.iface = names_add_iface(names, "veth0");
	ev.number = 77;
	ev.has_tx = true;
	ev.tx_id = 0;
	ev.nvlan = 2;
	ev.vlan[0] = 100;
	ev.vlan[1] = 7;
	v = line_of(&c, &ev);
	CU_ASSERT_STRING_EQUAL(S(v, "timestamp"), "2026-01-02T03:04:05.123456+0000");
	CU_ASSERT_EQUAL(I(v, "flow_id"), 123456789012345LL);
	CU_ASSERT_STRING_EQUAL(S(v, "event_type"), "http");
	CU_ASSERT_STRING_EQUAL(S(v, "src_ip"), "10.1.0.1");
	CU_ASSERT_EQUAL(I(v, "src_port"), 40000);
	CU_ASSERT_STRING_EQUAL(S(v, "dest_ip"), "10.1.0.2");
	CU_ASSERT_EQUAL(I(v, "dest_port"), 80);
	CU_ASSERT_STRING_EQUAL(S(v, "proto"), "TCP");
	CU_ASSERT_STRING_EQUAL(S(v, "app_proto"), "http");
	CU_ASSERT(S(v, "community_id") && strlen(S(v, "community_id")) == 30);
	CU_ASSERT_EQUAL(I(v, "tx_id"), 0);
	CU_ASSERT_EQUAL(I(v, "pcap_cnt"), 77);
	CU_ASSERT_STRING_EQUAL(S(v, "in_iface"), "veth0");
	o = json_object_get(v, "vlan");
	CU_ASSERT_EQUAL(json_array_size(o), 2);
	CU_ASSERT_EQUAL(json_integer_value(json_array_get(o, 0)), 100);
	o = json_object_get(v, "http");
	CU_ASSERT_STRING_EQUAL(S(o, "http_method"), "GET");
	CU_ASSERT_EQUAL(I(o, "length"), UINT32_MAX);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(o, "neg")), -5);
	CU_ASSERT_TRUE(json_is_true(json_object_get(o, "ok")));
	CU_ASSERT_EQUAL(I(json_array_get(json_object_get(o, "list"), 1), "stream_id"), 1);
	CU_ASSERT_EQUAL(I(json_object_get(o, "http2"), "stream_id"), 3);
	t = json_object_get(v, "tapq");
	CU_ASSERT_STRING_EQUAL(S(t, "node"), "worker-1");
	CU_ASSERT_STRING_EQUAL(S(t, "path"), "nfq");
	CU_ASSERT_STRING_EQUAL(S(t, "src_workload"), "client");
	CU_ASSERT_STRING_EQUAL(S(t, "dest_workload"), "web");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(t, "dest_names")), 1);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(json_object_get(t, "dest_names"), 0)), "web.example");
	CU_ASSERT_EQUAL(json_object_size(json_object_get(t, "src_labels")), 0);
	CU_ASSERT_STRING_EQUAL(S(json_object_get(t, "dest_labels"), "app"), "we\"b");
	CU_ASSERT_STRING_EQUAL(S(t, "verdict"), "deny");
	CU_ASSERT_TRUE(json_is_true(json_object_get(t, "enforced")));
	CU_ASSERT_EQUAL(I(t, "rule"), 20);
	CU_ASSERT_STRING_EQUAL(S(t, "reason"), "policy");
	CU_ASSERT_PTR_NULL(json_object_get(t, "cut"));
	json_decref(v);
	ev.start = INT64_C(1767323045) * 1000000000;
	v = line_of(&c, &ev);
	CU_ASSERT_PTR_NULL(json_object_get(json_object_get(v, "tapq"), "dest_names"));
	json_decref(v);
	fqdn_cache_free(fqdn);
	names_free(names);
}

static void test_shapes(void)
{
	struct eve_conf c = { .node = "n", .utc = true };
	struct event ev;
	json_t *v;

	rec_reset(&rec);
	rec_u64(&rec, &f_pkts, 4);
	rec_time(&rec, &f_start, 1767323045123456789LL);
	rec_obj(&rec, &f_tcp);
	rec_cstr(&rec, &f_state, "closed");
	rec_end(&rec);
	rec_cstr(&rec, &f_state, "established");
	ev = event_of(EV_FLOW);
	v = line_of(&c, &ev);	/* tcp stands beside flow */
	CU_ASSERT_STRING_EQUAL(S(json_object_get(v, "tcp"), "state"), "closed");
	CU_ASSERT_EQUAL(json_object_size(json_object_get(v, "tcp")), 1);
	CU_ASSERT_STRING_EQUAL(S(json_object_get(v, "flow"), "state"), "established");
	CU_ASSERT_STRING_EQUAL(S(json_object_get(v, "flow"), "start"), "2026-01-02T03:04:05.123456+0000");
	CU_ASSERT_EQUAL(json_object_size(json_object_get(v, "flow")), 3);
	CU_ASSERT_PTR_NULL(json_object_get(v, "tx_id"));
	CU_ASSERT_PTR_NULL(json_object_get(v, "pcap_cnt"));
	CU_ASSERT_PTR_NULL(json_object_get(v, "vlan"));
	CU_ASSERT_PTR_NULL(json_object_get(v, "in_iface"));
	json_decref(v);

	ev.type = EV_APP;	/* any other protocol: named by its app */
	ev.app = APP_MONGODB;
	v = line_of(&c, &ev);
	CU_ASSERT_STRING_EQUAL(S(v, "event_type"), "mongodb");
	CU_ASSERT_TRUE(json_is_object(json_object_get(v, "mongodb")));
	json_decref(v);

	rec_reset(&rec);
	ev = event_of(EV_ICMP);
	ev.ipproto = 58;
	ev.sport = 128;
	ev.dport = 0;
	ev.src = (struct addr){ { 0xfe, 0x80, [15] = 1 } };
	v = line_of(&c, &ev);
	CU_ASSERT_STRING_EQUAL(S(v, "proto"), "IPv6-ICMP");
	CU_ASSERT_STRING_EQUAL(S(v, "src_ip"), "fe80::1");
	CU_ASSERT_EQUAL(I(v, "icmp_type"), 128);
	CU_ASSERT_EQUAL(I(v, "icmp_code"), 0);
	CU_ASSERT_PTR_NULL(json_object_get(v, "src_port"));
	json_decref(v);

	ev = (struct event){ .type = EV_ARP, .path = PATH_TC };	/* no flow, no verdict */
	v = line_of(&c, &ev);
	CU_ASSERT_PTR_NULL(json_object_get(v, "flow_id"));
	CU_ASSERT_PTR_NULL(json_object_get(v, "src_ip"));
	CU_ASSERT_PTR_NULL(json_object_get(json_object_get(v, "tapq"), "verdict"));
	CU_ASSERT_TRUE(json_is_object(json_object_get(v, "arp")));
	json_decref(v);
}

/* Every byte in a value, values as long as they can be, bodies cut at every length, and heads of random bytes: always one line of JSON. */
static void test_hostile(void)
{
	struct eve_conf c = { .node = "no\"de\n\xff", .utc = true };
	static uint8_t all[RECORD_STR_MAX + 1];
	struct event ev;
	json_t *v;

	for (unsigned i = 0; i < sizeof all; i++)
		all[i] = (uint8_t)i;
	rec_reset(&rec);
	rec_str(&rec, &f_method, all, sizeof all);
	rec_arr(&rec, &f_list);
	rec_str(&rec, NULL, all, 256);
	rec_end(&rec);
	ev = event_of(EV_HTTP);
	v = line_of(&c, &ev);
	CU_ASSERT_TRUE(json_is_true(json_object_get(json_object_get(v, "tapq"), "cut")));
	CU_ASSERT(json_string_length(json_object_get(json_object_get(v, "http"), "http_method")) > RECORD_STR_MAX);
	json_decref(v);

	rec_reset(&rec);
	for (int i = 0; i < 12; i++)
		rec_obj(&rec, &f_obj);
	rec_cstr(&rec, &f_method, "deep");
	for (int i = 0; i < 12; i++)
		rec_end(&rec);
	rec_cstr(&rec, &f_method, "GET");
	for (uint32_t n = 0; n <= rec.len; n += 8) {
		ev = event_of(EV_HTTP);
		ev.body_len = n;
		json_decref(line_of(&c, &ev));
	}
	srandom(9);
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t *p = (uint8_t *)&ev;

		for (size_t b = 0; b < sizeof ev; b++)
			p[b] = (uint8_t)random();
		ev.has_tuple = ev.has_tx = ev.enforced = ev.outer.has_id = random() & 1;
		ev.flow_id >>= 11;	/* the core keeps ids below 2^53, which every reader of JSON takes */
		ev.number >>= 11;
		ev.outer.flow_id >>= 11;	/* below 2^53, as every id of a flow */
		ev.body = rec.body;
		ev.body_len = (uint32_t)(random() % (rec.len / 8 + 1)) * 8;
		json_decref(line_of(&c, &ev));
	}
}

static void test_time(void)
{
	char buf[64];

	CU_ASSERT_STRING_EQUAL(eve_timestamp(0, true, buf), "1970-01-01T00:00:00.000000+0000");
	CU_ASSERT_STRING_EQUAL(eve_timestamp(-1, true, buf), "1969-12-31T23:59:59.999999+0000");
	CU_ASSERT_STRING_EQUAL(eve_timestamp(951782400000001999LL, true, buf), "2000-02-29T00:00:00.000001+0000");
	setenv("TZ", "XYZ-05:30", 1);
	tzset();
	CU_ASSERT_STRING_EQUAL(eve_timestamp(0, false, buf), "1970-01-01T05:30:00.000000+0530");
	CU_ASSERT_STRING_EQUAL(eve_timestamp(0, true, buf), "1970-01-01T00:00:00.000000+0000");
	unsetenv("TZ");
	tzset();
	CU_ASSERT(strlen(eve_timestamp(INT64_MAX, true, buf)) < 64);
	CU_ASSERT(strlen(eve_timestamp(INT64_MIN, true, buf)) < 64);
}

/* ---- community id ---- */

/* SHA-1 (FIPS 180-4) of a message that fits one block, and base64, by the book. */
static void slow_sha1_base64(const uint8_t *m, size_t n, char *out)
{
	static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t h[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 }, w[80], a, b, c, d, e;
	uint8_t block[64] = { 0 }, sum[21] = { 0 };

	memcpy(block, m, n);
	block[n] = 0x80;
	block[62] = (uint8_t)(n >> 5);
	block[63] = (uint8_t)(n << 3);
	for (int i = 0; i < 80; i++) {
		uint32_t x = i < 16 ? (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3] : w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16];

		w[i] = i < 16 ? x : x << 1 | x >> 31;
	}
	a = h[0]; b = h[1]; c = h[2]; d = h[3]; e = h[4];
	for (int i = 0; i < 80; i++) {
		uint32_t f = i < 20 ? (b & c) | (~b & d) : i < 40 ? b ^ c ^ d : i < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
		uint32_t k = i < 20 ? 0x5a827999 : i < 40 ? 0x6ed9eba1 : i < 60 ? 0x8f1bbcdc : 0xca62c1d6;
		uint32_t t = (a << 5 | a >> 27) + f + e + k + w[i];

		e = d; d = c; c = b << 30 | b >> 2; b = a; a = t;
	}
	h[0] += a; h[1] += b; h[2] += c; h[3] += d; h[4] += e;
	for (int i = 0; i < 20; i++)
		sum[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
	for (int i = 0; i < 7; i++) {
		uint32_t x = (uint32_t)sum[3 * i] << 16 | (uint32_t)sum[3 * i + 1] << 8 | sum[3 * i + 2];

		for (int k = 0; k < 4; k++)
			out[4 * i + k] = digit[x >> (18 - 6 * k) & 63];
	}
	out[27] = '=';	/* 20 bytes are 27 digits */
	out[28] = 0;
}

static void check_id(const char *src, const char *dst, uint8_t proto, uint16_t sport, uint16_t dport, bool swap, uint16_t ap, uint16_t bp, bool ports)
{
	struct event ev = { .ipproto = proto, .sport = sport, .dport = dport };
	char got[32], want[32] = "1:";
	uint8_t m[40] = { 0 };
	const struct addr *a = &ev.src, *b = &ev.dst;
	size_t n = 2, skip;

	addr_parse(src, &ev.src);
	addr_parse(dst, &ev.dst);
	if (swap) {
		a = &ev.dst;
		b = &ev.src;
	}
	skip = addr_is_v4(a) ? 12 : 0;
	memcpy(m + n, a->b + skip, 16 - skip);
	n += 16 - skip;
	memcpy(m + n, b->b + skip, 16 - skip);
	n += 16 - skip;
	m[n++] = proto;
	m[n++] = 0;
	if (ports) {
		m[n++] = (uint8_t)(ap >> 8);
		m[n++] = (uint8_t)ap;
		m[n++] = (uint8_t)(bp >> 8);
		m[n++] = (uint8_t)bp;
	}
	slow_sha1_base64(m, n, want + 2);
	eve_community_id(&ev, got);
	CU_ASSERT_STRING_EQUAL(got, want);
}

static void test_community_id(void)
{
	/* examples that the specification's repository gives */
	static const struct { const char *src, *dst; uint8_t proto; uint16_t sport, dport; const char *id; } known[] = {
		{ "128.232.110.120", "66.35.250.204", 6, 34855, 80, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=" },
		{ "66.35.250.204", "128.232.110.120", 6, 80, 34855, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=" },
		{ "192.168.1.52", "8.8.8.8", 17, 54585, 53, "1:d/FP5EW3wiY1vCndhwleRRKHowQ=" },
		{ "192.168.0.89", "192.168.0.1", 1, 8, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=" },
		{ "192.168.0.1", "192.168.0.89", 1, 0, 8, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=" },
	};
	struct event ev;
	char id[32];

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		ev = (struct event){ .ipproto = known[i].proto, .sport = known[i].sport, .dport = known[i].dport };
		addr_parse(known[i].src, &ev.src);
		addr_parse(known[i].dst, &ev.dst);
		eve_community_id(&ev, id);
		CU_ASSERT_STRING_EQUAL(id, known[i].id);
	}
	check_id("10.0.0.1", "10.0.0.2", 6, 9, 80, false, 9, 80, true);
	check_id("10.0.0.2", "10.0.0.1", 6, 9, 80, true, 80, 9, true);
	check_id("10.0.0.1", "10.0.0.1", 17, 90, 80, true, 80, 90, true);	/* equal addresses: the ports order */
	check_id("2001:db8::2", "2001:db8::1", 132, 9, 80, true, 80, 9, true);
	check_id("10.0.0.2", "10.0.0.1", 47, 0, 0, true, 0, 0, false);
	check_id("10.0.0.2", "10.0.0.1", 1, 8, 0, true, 0, 8, true);		/* echo: the reply's type on the other side */
	check_id("10.0.0.1", "10.0.0.2", 1, 0, 0, false, 0, 8, true);
	check_id("10.0.0.2", "10.0.0.1", 1, 3, 1, false, 3, 1, true);		/* one way: never turned */
	check_id("fe80::2", "fe80::1", 58, 135, 0, true, 136, 135, true);
	check_id("fe80::2", "fe80::1", 58, 1, 4, false, 1, 4, true);
}

/* Whatever changes from one event to the next, lines are as they are without a memory, also where flows meet in one place of it. */
static void test_memo(void)
{
	struct names *names = names_new();
	struct label lv = { "app", "web" };
	struct labels labels = { &lv, 1 };
	uint32_t id = names_add_workload(names, "web-1", &labels);
	struct eve_conf plain = { .node = "n", .names = names, .utc = true }, with = plain;
	struct jbuf a, b;

	with.memo = eve_memo_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(with.memo);
	jb_init(&a, 1 << 20);
	jb_init(&b, 1 << 20);
	rec_reset(&rec);
	rec_u64(&rec, &f_len, 1);
	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < 400; i++) {
			struct event ev = event_of(EV_HTTP);

			ev.flow_id = i % 5 ? 7 + (uint64_t)(i % 3) * 4096 : 0;
			ev.sport = (uint16_t)(1 + i % 2);
			ev.dport = (uint16_t)(80 + i % 7 / 6);
			ev.src.b[15] = (uint8_t)(i % 11 / 10);
			ev.app = i % 13 == 12 ? APP_ELASTICSEARCH : APP_HTTP;
			ev.app_orig = i % 17 == 16 ? APP_TLS : APP_UNKNOWN;
			ev.app_hint = i % 19 == 18 ? APP_SSH : APP_UNKNOWN;
			ev.ipproto = i % 23 == 22 ? 17 : 6;
			ev.has_tuple = i % 29 != 28;
			ev.src_workload = i % 31 == 30 ? id : 0;
			ev.dst_workload = i % 37 == 36 ? id : 0;
			ev.rule = i % 41 / 40;
			ev.verdict = i % 43 == 42 ? VERDICT_DROP : VERDICT_ALLOW;
			ev.reason = i % 47 == 46 ? REASON_POLICY : REASON_NONE;
			ev.learned = i % 53 == 52;
			ev.enforced = i % 59 == 58;
			ev.path = i % 61 == 60 ? PATH_PCAP : PATH_NFQ;
			jb_reset(&a);
			jb_reset(&b);
			eve_format(&a, &plain, &ev);
			eve_format(&b, &with, &ev);
			CU_ASSERT_FATAL(a.len == b.len && !memcmp(a.p, b.p, a.len));
		}
	jb_free(&a);
	jb_free(&b);
	eve_memo_free(with.memo);
	names_free(names);
}

const struct unit_test tests_eve[] = {
	{ "every field", test_fields },
	{ "flow, other protocols, ICMP, no flow", test_shapes },
	{ "hostile bytes", test_hostile },
	{ "timestamps", test_time },
	{ "community id", test_community_id },
	{ "what lines have in common", test_memo },
	{ 0 },
};
