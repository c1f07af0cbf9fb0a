/* SPDX-License-Identifier: GPL-2.0-or-later */
/* http2: streams and their events, gRPC, header blocks in pieces, upgrades, connections taken up late, and bytes made to hurt.
 * Header blocks are written down by hand (RFC 7541). In what is wanted ' stands for ". */
#include <stdio.h>
#include <stdlib.h>

#include "dpi/proto/http2_parts.h"
#include "tests/unit/dpi/flowtest.h"
#include "tests/unit/unit.h"

#define UP DIR_TOSERVER
#define DOWN DIR_TOCLIENT
#define STEPS_MAX 12

/* ---- conversations ---- */

struct conv {
	struct flowtest_step step[STEPS_MAX];
	uint8_t *room[STEPS_MAX];
	unsigned n;
};

static void put(struct conv *c, enum dir dir, const void *p, size_t n)
{
	struct flowtest_step *s = c->n ? &c->step[c->n - 1] : NULL;

	if (!s || s->dir != dir) {
		if (c->n == STEPS_MAX)
			abort();
		s = &c->step[c->n++];
		s->dir = dir;
	}
	c->room[c->n - 1] = realloc(c->room[c->n - 1], s->n + n + 1);
	if (!c->room[c->n - 1])
		abort();
	if (n)
		memcpy(c->room[c->n - 1] + s->n, p, n);
	s->p = c->room[c->n - 1];
	s->n += n;
}

static void frame(struct conv *c, enum dir dir, unsigned type, unsigned flags, uint32_t stream, const void *p, size_t n)
{
	const uint8_t head[] = { (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, (uint8_t)type, (uint8_t)flags,
		(uint8_t)(stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream };

	put(c, dir, head, sizeof(head));
	put(c, dir, p, n);
}
#define FRAME(c, dir, type, flags, stream, lit) frame(c, dir, type, flags, stream, lit, sizeof(lit) - 1)

static void done(struct conv *c)
{
	for (unsigned i = 0; i < c->n; i++)
		free(c->room[i]);
	*c = (struct conv){ .n = 0 };
}

#define SETTINGS "\0\3\0\0\0\x64"
/* Field representations: index 2, 6 (:method GET, :scheme http); names by static index, values as they are. */
#define GET_ROOT "\x82\x86\x84\x41\x07" "a.b.:81"
#define GRPC_CALL "\x83\x86\x44\x0e/pkg.Svc/Hello\x41\x01h\x5f\x10" "application/grpc"
#define GRPC_OK "\x88\x5f\x10" "application/grpc"
#define GRPC_TRAILER "\x40\x0bgrpc-status\x01" "5"

static void hello(struct conv *c)
{
	put(c, UP, HTTP2_PREFACE, HTTP2_PREFACE_LEN);
	FRAME(c, UP, H2_SETTINGS, 0, 0, SETTINGS);
	FRAME(c, DOWN, H2_SETTINGS, 0, 0, "");
	FRAME(c, DOWN, H2_SETTINGS, H2_ACK, 0, "");
}

static bool same(const char *name, const char *text, const char *want)
{
	char *q = strdup(want);
	bool ok;

	for (char *c = q; c && *c; c++)
		if (*c == '\'')
			*c = '"';
	ok = q && strcmp(text, q) == 0;
	if (!ok)
		printf("\n%s: wanted\n%stold\n%s", name, q, text);
	free(q);
	return ok;
}

/* Said, cut everywhere, ended everywhere. */
static void check(const char *name, struct conv *c, enum app app, unsigned bad, const char *want)
{
	const struct flowtest ft = { .dport = 7000 };
	struct flowtest_result r = flowtest_run(&ft, c->step, c->n);
	char *text = flowtest_every_cut(&ft, c->step, c->n);

	CU_ASSERT_EQUAL(r.app, app);
	CU_ASSERT_EQUAL(r.bad, bad);
	CU_ASSERT_TRUE(same(name, text, want));
	flowtest_free(&r);
	free(text);
	flowtest_every_prefix(&ft, c->step, c->n);
	done(c);
}

#define ASKED(path, id) "'http_method':'GET','url':'" path "','hostname':'a.b','http_port':81,'protocol':'HTTP/2','http2':{'stream_id':" #id "}"
#define HTTP(fields) "http {" fields "}\n"
#define ODD(name) "anomaly {'type':'proto','event':'" name "','layer':'proto'}\n"

/* ---- streams ---- */

static void test_streams(void)
{
	struct conv c = { .n = 0 };

	hello(&c);
	FRAME(&c, UP, H2_HEADERS, H2_END_STREAM | H2_END_HEADERS, 1, GET_ROOT);
	FRAME(&c, UP, H2_HEADERS, H2_END_STREAM | H2_END_HEADERS | H2_WITH_PRIORITY | H2_PADDED, 3, "\x02" "\0\0\0\0\x0f" "\x82\x86\x04\x02/x\xbe" "\0\0");
	FRAME(&c, DOWN, H2_HEADERS, H2_END_HEADERS, 3, "\x08\x03" "103");
	FRAME(&c, DOWN, H2_HEADERS, H2_END_HEADERS, 3, "\x8d\x5f\x04text");
	FRAME(&c, DOWN, H2_HEADERS, H2_END_HEADERS, 1, "\x88");
	FRAME(&c, DOWN, H2_DATA, 0, 3, "abc");
	FRAME(&c, DOWN, H2_DATA, H2_PADDED, 1, "\x03" "hello\0\0\0");
	FRAME(&c, DOWN, H2_PING, 0, 0, "12345678");
	FRAME(&c, DOWN, 0xee, 0xff, 9, "extension");
	FRAME(&c, DOWN, H2_DATA, H2_END_STREAM | H2_PADDED, 3, "\x01" "d\0");
	FRAME(&c, DOWN, H2_DATA, H2_END_STREAM, 1, "");
	check("two streams", &c, APP_HTTP2, 0, HTTP(ASKED("/x", 3) ",'status':404,'http_content_type':'text','length':4")
	      HTTP(ASKED("/", 1) ",'status':200,'length':5"));

	hello(&c);
	FRAME(&c, UP, H2_HEADERS, H2_END_STREAM | H2_END_HEADERS, 1, GET_ROOT);
	FRAME(&c, UP, H2_HEADERS, H2_END_STREAM | H2_END_HEADERS, 3, GET_ROOT);
	FRAME(&c, UP, H2_HEADERS, H2_END_HEADERS, 5, GET_ROOT);
	FRAME(&c, DOWN, H2_HEADERS, H2_END_STREAM | H2_END_HEADERS, 3, "\x89");
	FRAME(&c, UP, H2_RST_STREAM, 0, 1, "\0\0\0\x08");
	FRAME(&c, DOWN, H2_HEADERS, H2_END_STREAM | H2_END_HEADERS, 1, "\x88");
	check("answers without a body, reset, unanswered", &c, APP_HTTP2, 0, HTTP(ASKED("/", 3) ",'status':204,'length':0") HTTP(ASKED("/", 1)) HTTP(ASKED("/", 5)));

	hello(&c);
	FRAME(&c, UP, H2_HEADERS, H2_END_STREAM | H2_END_HEADERS, 1, GET_ROOT);
	FRAME(&c, DOWN, H2_PUSH_PROMISE, H2_END_HEADERS, 1, "\0\0\0\2" "\x82\x86\x04\x02/p\x01\x01h");
	FRAME(&c, DOWN, H2_HEADERS, H2_END_STREAM | H2_END_HEADERS, 1, "\x88");
	FRAME(&c, DOWN, H2_HEADERS, H2_END_HEADERS, 2, "\x88");
	FRAME(&c, DOWN, H2_DATA, H2_END_STREAM, 2, "pushed");
	check("pushed", &c, APP_HTTP2, 0, HTTP(ASKED("/", 1) ",'status':200,'length':0")
	      HTTP("'http_method':'GET','url':'/p','hostname':'h','protocol':'HTTP/2','http2':{'stream_id':2},'status':200,'length':6"));
}

static void test_pieces(void)
{
	struct conv c = { .n = 0 };

	hello(&c);
	FRAME(&c, UP, H2_HEADERS, H2_END_STREAM, 1, "\x82\x86\x84\x41\x07" "a.b");
	FRAME(&c, UP, H2_CONTINUATION, 0, 1, "");
	FRAME(&c, UP, H2_CONTINUATION, 0, 1, ".:");
	FRAME(&c, UP, H2_CONTINUATION, H2_END_HEADERS, 1, "81");
	FRAME(&c, UP, H2_HEADERS, H2_END_STREAM | H2_PADDED, 3, "\x01\x82\x86\x84\xbe\0");
	FRAME(&c, UP, H2_CONTINUATION, H2_END_HEADERS, 3, "");
	FRAME(&c, DOWN, H2_HEADERS, H2_END_STREAM, 1, "");
	FRAME(&c, DOWN, H2_CONTINUATION, H2_END_HEADERS, 1, "\x88");
	check("a block in pieces", &c, APP_HTTP2, 0, HTTP(ASKED("/", 1) ",'status':200,'length':0") HTTP(ASKED("/", 3)));
}

static void test_grpc(void)
{
#define CALLED "'http_method':'POST','url':'/pkg.Svc/Hello','hostname':'h','protocol':'HTTP/2','http2':{'stream_id':1}"
#define ANSWERED CALLED ",'status':200,'http_content_type':'application/grpc'"
	struct conv c = { .n = 0 };

	hello(&c);
	FRAME(&c, UP, H2_HEADERS, H2_END_HEADERS, 1, GRPC_CALL);
	FRAME(&c, UP, H2_DATA, H2_END_STREAM, 1, "\0\0\0\0\1x");
	FRAME(&c, DOWN, H2_HEADERS, H2_END_HEADERS, 1, GRPC_OK);
	FRAME(&c, DOWN, H2_DATA, 0, 1, "\0\0\0\0\1x");
	FRAME(&c, DOWN, H2_HEADERS, H2_END_STREAM | H2_END_HEADERS, 1, GRPC_TRAILER);
	check("a call", &c, APP_GRPC, 0, HTTP(ANSWERED ",'grpc':{'service':'pkg.Svc','method':'Hello','status':5},'length':6"));

	hello(&c);
	FRAME(&c, UP, H2_HEADERS, H2_END_HEADERS, 1, GRPC_CALL);
	FRAME(&c, DOWN, H2_HEADERS, H2_END_STREAM | H2_END_HEADERS, 1, GRPC_OK GRPC_TRAILER);
	check("trailers only", &c, APP_GRPC, 0, HTTP(ANSWERED ",'grpc':{'service':'pkg.Svc','method':'Hello','status':5},'length':0"));

	hello(&c);
	FRAME(&c, UP, H2_HEADERS, H2_END_HEADERS, 1, "\x83\x86\x44\x16/etcdserverpb.KV/Range\x41\x01h\x5f\x16" "application/grpc+proto");
	check("etcd", &c, APP_ETCD, 0, HTTP("'http_method':'POST','url':'/etcdserverpb.KV/Range','hostname':'h','protocol':'HTTP/2','http2':{'stream_id':1},"
	      "'grpc':{'service':'etcdserverpb.KV','method':'Range'}"));

	static const struct { const char *what, *path; const char *first, *second; unsigned n[2]; const char *key; } etcd[] = {
#define N(a, b) { sizeof(a) - 1, sizeof(b) - 1 }
#define ROW(what, path, a, b, key) { what, path, a, b, N(a, b), key }
		ROW("a put whose value comes first, cut in the middle", "KV/Put", "\0\0\0\0\x0a\x12\2v", "v\x0a\4/a/b", "/a/b"),
		ROW("its head cut", "KV/DeleteRange", "\0\0", "\0\0\6\x0a\4/a/b", "/a/b"),
		ROW("a key of one byte, numbers around it", "KV/Range", "\0\0\0\0\x12\x18\5\x11" "12345678", "\x1d" "1234\x0a\1k", "k"),
		ROW("a watch", "Watch/Watch", "\0\0\0\0\x08\x0a\6\x0a\4/a/b", "", "/a/b"),
		ROW("a transaction's comparison", "KV/Txn", "\0\0\0\0\x0c\x0a\x0a\x08\1\x10\1\x1a\4", "/a/b", "/a/b"),
		ROW("a transaction's operation", "KV/Txn", "\0\0\0\0\x0a\x12\x08\x12\6\x0a\4", "/a/b", "/a/b"),
		ROW("compressed", "KV/Range", "\1\0\0\0\6\x0a\4/a/b", "", NULL),
		ROW("broken", "KV/Range", "\0\0\0\0\6\x0f\4/a/b", "", NULL),
		ROW("a fixed number that is cut off", "KV/Range", "\0\0\0\0\5\x11" "1234", "", NULL),
		ROW("the same, of four bytes", "KV/Range", "\0\0\0\0\3\x1d" "12", "", NULL),
		ROW("a key that is cut off at the end", "KV/Range", "\0\0\0\0\x20\x0a\x20/a", "/b", "/a/b"),
		ROW("another service", "Lease/LeaseGrant", "\0\0\0\0\6\x0a\4/a/b", "", NULL),
	};
	for (unsigned i = 0; i < sizeof(etcd) / sizeof(etcd[0]); i++)
		for (unsigned padded = 0; padded < 2; padded++) {
			char head[128], want[400], key[64] = "", pad[64] = "\3";
			unsigned length = 0;

			hello(&c);
			length = (unsigned)snprintf(head, sizeof(head), "\x83\x86\x44%c/etcdserverpb.%s\x41\x01h\x5f\x10" "application/grpc", (char)(14 + strlen(etcd[i].path)),
						    etcd[i].path);
			frame(&c, UP, H2_HEADERS, H2_END_HEADERS, 1, head, length);
			memcpy(pad + 1, etcd[i].first, etcd[i].n[0]);
			if (padded)
				frame(&c, UP, H2_DATA, H2_PADDED, 1, pad, etcd[i].n[0] + 4);
			else
				frame(&c, UP, H2_DATA, 0, 1, etcd[i].first, etcd[i].n[0]);
			FRAME(&c, UP, H2_DATA, 0, 1, "");
			frame(&c, UP, H2_DATA, H2_END_STREAM, 1, etcd[i].second, etcd[i].n[1]);
			if (etcd[i].key)
				snprintf(key, sizeof(key), "'etcd':{'key':'%s'},", etcd[i].key);
			snprintf(want, sizeof(want), "http {'http_method':'POST','url':'/etcdserverpb.%s','hostname':'h','protocol':'HTTP/2','http2':{'stream_id':1},%s"
				 "'grpc':{'service':'etcdserverpb.%.*s','method':'%s'}}\n", etcd[i].path, key, (int)(strchr(etcd[i].path, '/') - etcd[i].path), etcd[i].path,
				 strchr(etcd[i].path, '/') + 1);
			check(etcd[i].what, &c, APP_ETCD, 0, want);
		}

	hello(&c);
	FRAME(&c, UP, H2_HEADERS, H2_END_HEADERS, 1, "\x83\x86\x84\x5f\x11" "application/grpcx");
	check("not grpc", &c, APP_HTTP2, 0, HTTP("'http_method':'POST','url':'/','protocol':'HTTP/2','http2':{'stream_id':1}"));
}

/* RFC 8484: the query is told as dns, from a body in pieces or from the path. */
static void test_dns(void)
{
	struct conv c = { .n = 0 };
	static const char query[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\7example\3com\0\0\2\0\1";
#define DNS_SAID "dns {'type':'query','id':4660,'opcode':0,'rrname':'example.com','rrtype':'NS'}\n"
#define TYPE "\x5f\x17" "application/dns-message"

	hello(&c);
	FRAME(&c, UP, H2_HEADERS, H2_END_HEADERS, 1, "\x83\x86\x84\x41\1h" TYPE);
	frame(&c, UP, H2_DATA, 0, 1, query, 9);
	frame(&c, UP, H2_DATA, H2_END_STREAM, 1, query + 9, sizeof(query) - 1 - 9);
	check("a body", &c, APP_HTTP2, 0, DNS_SAID HTTP("'http_method':'POST','url':'/','hostname':'h','protocol':'HTTP/2','http2':{'stream_id':1}"));

	hello(&c);
	FRAME(&c, UP, H2_HEADERS, H2_END_STREAM | H2_END_HEADERS, 1, "\x82\x86\x44\x36" "/dns-query?dns=EjQBAAABAAAAAAAAB2V4YW1wbGUDY29tAAACAAE");
	check("a path", &c, APP_HTTP2, 0, DNS_SAID HTTP("'http_method':'GET','url':'/dns-query?dns=EjQBAAABAAAAAAAAB2V4YW1wbGUDY29tAAACAAE','protocol':'HTTP/2','http2':{'stream_id':1}"));

	hello(&c);
	FRAME(&c, UP, H2_HEADERS, H2_END_STREAM | H2_END_HEADERS, 1, "\x82\x86\x44\x0f/?dns=EjQBAAAB=");
	check("another's parameter", &c, APP_HTTP2, 0, HTTP("'http_method':'GET','url':'/?dns=EjQBAAAB=','protocol':'HTTP/2','http2':{'stream_id':1}"));

	hello(&c);
	FRAME(&c, UP, H2_HEADERS, H2_END_HEADERS, 1, "\x83\x86\x84\x41\1h" TYPE);
	FRAME(&c, UP, H2_DATA, H2_END_STREAM, 1, "\x12\x34\1\0\0\1");
	check("a broken one", &c, APP_HTTP2, 0, "anomaly {'type':'proto','event':'dns.short_header','layer':'proto'}\n" HTTP("'http_method':'POST','url':'/','hostname':'h','protocol':'HTTP/2','http2':{'stream_id':1}"));
}

/* The connection becomes HTTP/2 after an answer of HTTP/1. */
static void test_upgrade(void)
{
	struct conv c = { .n = 0 };
	static const char ask[] = "GET /u HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n";
	static const char ok[] = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

	put(&c, UP, ask, sizeof(ask) - 1);
	put(&c, DOWN, ok, sizeof(ok) - 1);
	FRAME(&c, DOWN, H2_SETTINGS, 0, 0, "");
	FRAME(&c, DOWN, H2_HEADERS, H2_END_HEADERS, 1, "\x88");
	put(&c, UP, HTTP2_PREFACE, HTTP2_PREFACE_LEN);
	FRAME(&c, UP, H2_SETTINGS, 0, 0, SETTINGS);
	FRAME(&c, UP, H2_HEADERS, H2_END_STREAM | H2_END_HEADERS, 3, GET_ROOT);
	FRAME(&c, DOWN, H2_DATA, H2_END_STREAM, 1, "body");
	FRAME(&c, DOWN, H2_HEADERS, H2_END_STREAM | H2_END_HEADERS, 3, "\x88");
	check("upgrade", &c, APP_HTTP2, 0, HTTP("'hostname':'h','url':'/u','http_method':'GET','protocol':'HTTP/1.1','status':101,'length':0")
	      HTTP("'status':200,'protocol':'HTTP/2','http2':{'stream_id':1},'length':4") HTTP(ASKED("/", 3) ",'status':200,'length':0"));
}

/* Bytes are lost: what comes after them is found again, fields from before are unknown. */
static void test_lost(void)
{
	const struct flowtest ft = { .dport = 7000 };
	struct conv c = { .n = 0 };
	struct flowtest_result r;

	hello(&c);
	FRAME(&c, UP, H2_HEADERS, H2_END_STREAM | H2_END_HEADERS, 1, GET_ROOT);
	FRAME(&c, DOWN, H2_HEADERS, H2_END_HEADERS, 1, "\x88");
	c.step[c.n++] = (struct flowtest_step){ UP, NULL, 100 };
	FRAME(&c, DOWN, H2_DATA, H2_END_STREAM, 1, "x");
	put(&c, UP, "rest of a frame", 15);
	FRAME(&c, UP, H2_WINDOW_UPDATE, 0, 0, "\0\0\1\0");
	FRAME(&c, UP, H2_HEADERS, H2_END_STREAM | H2_END_HEADERS, 5, "\x82\x86\x04\x02/y\xbe\xfe");
	FRAME(&c, DOWN, H2_HEADERS, H2_END_STREAM | H2_END_HEADERS, 5, "\x88");
	r = flowtest_run(&ft, c.step, c.n);
	CU_ASSERT_EQUAL(r.bad, 0);
	CU_ASSERT_TRUE(same("a gap", r.text, "anomaly {'type':'stream','event':'stream.gap','layer':'stream'}\n" HTTP(ASKED("/", 1) ",'status':200,'length':1")
	      HTTP("'http_method':'GET','url':'/y','protocol':'HTTP/2','http2':{'stream_id':5},'status':200,'length':0")));
	flowtest_free(&r);
	done(&c);
}

/* ---- bytes made to hurt ---- */

static void bad_frame(const char *name, unsigned type, unsigned flags, uint32_t stream, const void *p, size_t n, const char *event)
{
	struct conv c = { .n = 0 };
	char want[128];

	hello(&c);
	frame(&c, UP, type, flags, stream, p, n);
	FRAME(&c, UP, H2_HEADERS, H2_END_STREAM | H2_END_HEADERS, 7, GET_ROOT);
	snprintf(want, sizeof(want), ODD("%s"), event);
	check(name, &c, APP_HTTP2, 1, want);
}
#define BAD_FRAME(name, type, flags, stream, lit, event) bad_frame(name, type, flags, stream, lit, sizeof(lit) - 1, event)

static void test_hostile(void)
{
	static uint8_t bomb[2000], many[HTTP2_PIECES_MAX + 8];
	const struct flowtest ft = { .dport = 7000 };
	struct conv c = { .n = 0 };
	struct flowtest_result r;

	BAD_FRAME("data of no stream", H2_DATA, 0, 0, "x", "http2.bad_frame");
	BAD_FRAME("headers of no stream", H2_HEADERS, H2_END_HEADERS, 0, GET_ROOT, "http2.bad_frame");
	BAD_FRAME("settings of a stream", H2_SETTINGS, 0, 1, SETTINGS, "http2.bad_frame");
	BAD_FRAME("half a setting", H2_SETTINGS, 0, 0, "\0\3\0", "http2.bad_frame");
	BAD_FRAME("more padding than frame", H2_DATA, H2_PADDED, 1, "\x05xxxx", "http2.bad_frame");
	BAD_FRAME("padded and empty", H2_DATA, H2_PADDED, 1, "", "http2.bad_frame");
	BAD_FRAME("continuation of nothing", H2_CONTINUATION, 0, 1, "x", "http2.bad_frame");
	BAD_FRAME("a block that is not continued", H2_HEADERS, 0, 1, "\x82", "http2.bad_frame");
	BAD_FRAME("a field of no table", H2_HEADERS, H2_END_HEADERS, 1, "\x82\xfe", "http2.bad_header_block");
	BAD_FRAME("a block that ends early", H2_HEADERS, H2_END_HEADERS, 1, "\x82\x41\x20xx", "http2.bad_header_block");
	BAD_FRAME("a number without an end", H2_HEADERS, H2_END_HEADERS, 1, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x0f", "http2.bad_header_block");
	BAD_FRAME("a string of 4 GiB", H2_HEADERS, H2_END_HEADERS, 1, "\x41\x7f\x80\xff\xff\xff\x0f", "http2.bad_header_block");
	BAD_FRAME("a table larger than allowed", H2_HEADERS, H2_END_HEADERS, 1, "\x3f\xff\xff\xff\x07\x82", "http2.bad_header_block");

	memset(bomb, 0x82, sizeof(bomb));	/* a field a byte */
	hello(&c);
	frame(&c, UP, H2_HEADERS, H2_END_HEADERS, 1, bomb, sizeof(bomb));
	check("more fields than are read", &c, APP_HTTP2, 1, ODD("http2.header_list_too_long"));

	hello(&c);
	FRAME(&c, UP, H2_HEADERS, 0, 1, "\x82");
	for (unsigned i = 0; i < sizeof(many); i++)
		FRAME(&c, UP, H2_CONTINUATION, 0, 1, "");
	r = flowtest_run(&ft, c.step, c.n);
	CU_ASSERT_TRUE(same("continued without an end", r.text, ODD("http2.header_list_too_long")));
	CU_ASSERT_EQUAL(r.bad, 1);
	flowtest_free(&r);
	done(&c);
}

/* More streams than are kept: the oldest are told as they stand. */
static void test_many(void)
{
	const struct flowtest ft = { .dport = 7000 };
	struct conv c = { .n = 0 };
	struct flowtest_result r;
	unsigned n = 0;

	hello(&c);
	for (uint32_t i = 0; i < HTTP2_STREAMS_MAX + 10; i++)
		FRAME(&c, UP, H2_HEADERS, H2_END_HEADERS, 2 * i + 1, GET_ROOT);
	FRAME(&c, DOWN, H2_HEADERS, H2_END_STREAM | H2_END_HEADERS, 1, "\x88");
	FRAME(&c, DOWN, H2_HEADERS, H2_END_STREAM | H2_END_HEADERS, 21, "\x88");
	r = flowtest_run(&ft, c.step, c.n);
	for (const char *at = r.text; (at = strstr(at, "http {")); at++)
		n++;
	CU_ASSERT_EQUAL(n, HTTP2_STREAMS_MAX + 10);
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "\"stream_id\":21},\"status\":200"));
	CU_ASSERT_PTR_NULL(strstr(r.text, "\"stream_id\":1},\"status\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "http2.too_many_streams"));
	flowtest_free(&r);
	done(&c);
}

static enum probe probed(bool midstream, const void *up, size_t n, const void *down, size_t m)
{
	struct probe_in in = { .l4 = PROTO_TCP, .midstream = midstream };

	in.dir[UP] = cur_of(up, n);
	in.dir[DOWN] = cur_of(down, m);
	return proto_http2.probe(&in);
}
#define PROBED(mid, up, down) probed(mid, up, sizeof(up) - 1, down, sizeof(down) - 1)

static void test_recognition(void)
{
	for (size_t n = 1; n <= HTTP2_PREFACE_LEN; n++)
		CU_ASSERT_EQUAL(probed(false, HTTP2_PREFACE, n, "", 0), n < HTTP2_PREFACE_LEN ? PROBE_MORE : PROBE_YES);
	CU_ASSERT_EQUAL(PROBED(false, "PRI * HTTP/2.1", ""), PROBE_NO);
	CU_ASSERT_EQUAL(PROBED(false, "GET / HTTP/1.1\r\n", ""), PROBE_NO);
	CU_ASSERT_EQUAL(PROBED(false, "", "\0\0\6\4\0\0\0\0\0" SETTINGS), PROBE_YES);
	CU_ASSERT_EQUAL(PROBED(false, "", "\0\0\6\4\0\0\0\0\0\0\3\0"), PROBE_MORE);
	CU_ASSERT_EQUAL(PROBED(false, "", "\0\0\0\4\0\0\0\0\0"), PROBE_NO);
	CU_ASSERT_EQUAL(PROBED(false, "", "\0\0\6\4\0\0\0\0\0\0\5\0\0\0\x64"), PROBE_NO);	/* frames of 100 bytes are forbidden */
	CU_ASSERT_EQUAL(PROBED(false, "", "\0\0\7\4\0\0\0\0\0"), PROBE_NO);
	CU_ASSERT_EQUAL(PROBED(false, "\0\0\3\1\5\0\0\0\1\x82\x86\x84" "\0\0\4\x08\0\0\0\0\0\0\0\0\1", ""), PROBE_NO);
	CU_ASSERT_EQUAL(PROBED(true, "\0\0\3\1\5\0\0\0\1\x82\x86\x84" "\0\0\4\x08\0\0\0\0\0\0\0\0\1", ""), PROBE_YES);
	CU_ASSERT_EQUAL(PROBED(true, "\0\0\3\1\5\0\0\0\1\x82\x86\x84", ""), PROBE_MORE);
	CU_ASSERT_EQUAL(PROBED(true, "", "\0\0\x0a\0\0\0\0\0\3\0\0\0\0\5hello" "\0\0\x0a\0\0\0\0\0\3\0\0\0\0\5hello"), PROBE_YES);
	CU_ASSERT_EQUAL(PROBED(true, "", "\0\0\x0a\0\0\0\0\0\3\0\0\0\0\5hello"), PROBE_MORE);
	CU_ASSERT_EQUAL(PROBED(true, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", ""), PROBE_NO);
	CU_ASSERT_EQUAL(PROBED(true, "GET / HTTP/1.1\r\n\r\n", ""), PROBE_NO);
}

const struct unit_test tests_http2[] = {
	{ "streams, however cut", test_streams },
	{ "header blocks in pieces", test_pieces },
	{ "grpc", test_grpc },
	{ "DNS in requests", test_dns },
	{ "upgrade", test_upgrade },
	{ "lost bytes", test_lost },
	{ "hostile bytes", test_hostile },
	{ "more streams than are kept", test_many },
	{ "what is http2 and what is not", test_recognition },
	{ NULL, NULL },
};
