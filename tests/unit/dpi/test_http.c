/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HTTP/1 over whole connections: what is told, however the bytes are cut.
 *
 * In `want` the lines of `http` events are written with ' for ". `odd` names the anomalies of the protocol, in any order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/dpi/flowtest.h"
#include "tests/unit/unit.h"

#define UP(lit) STEP_UP(lit)
#define DOWN(lit) STEP_DOWN(lit)
#define OK0 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define TOLD(path, rest) "http {'hostname':'a','url':'" path "','http_method':'GET','protocol':'HTTP/1.1'" rest "}\n"
#define TOLD_OK(path) TOLD(path, ",'status':200,'length':0")

struct vector {
	const char *name;
	struct flowtest_step steps[8];	/* up to the first {0} */
	const char *want, *odd;
	enum app app;			/* APP_UNKNOWN: http */
};

static const struct vector vectors[] = {
	{ "all fields", {
		UP("GET /a?b=c HTTP/1.1\r\nHost: Www.Example.COM.:8080\r\nUser-Agent: curl/7\r\nAccept: */*\r\nReferer: http://r/\r\nX-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n\r\n"),
		DOWN("HTTP/1.1 302 Found\r\nContent-Type: text/html; charset=utf-8\r\nLocation: /b\r\nContent-Length: 5\r\n\r\nhello") },
	  "http {'hostname':'www.example.com','http_port':8080,'url':'/a?b=c','http_user_agent':'curl/7','xff':'10.0.0.1, 10.0.0.2','http_refer':'http://r/',"
	  "'http_method':'GET','protocol':'HTTP/1.1','http_content_type':'text/html; charset=utf-8','status':302,'redirect':'/b','length':5}\n", "", 0 },
	{ "field names in any case, lines that end in LF", {
		UP("GET / HTTP/1.0\nHOST:a\nuSER-aGENT:\t x \t\n\n"), DOWN("HTTP/1.0 200\ncontent-LENGTH: 2\n\nok") },
	  "http {'hostname':'a','url':'/','http_user_agent':'x','http_method':'GET','protocol':'HTTP/1.0','status':200,'length':2}\n", "", 0 },
	{ "empty lines before messages", { UP("\r\n\r\n" GET("/1")), DOWN(OK0 "\r\n"), UP("\n\r\n" GET("/2")), DOWN(OK0) }, TOLD_OK("/1") TOLD_OK("/2"), "", 0 },
	{ "pipelined", { UP(GET("/1") GET("/2") GET("/3")), DOWN("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc" OK0 "HTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\nx") },
	  TOLD("/1", ",'status':200,'length':3") TOLD_OK("/2") TOLD("/3", ",'status':404,'length':1"), "", 0 },
	{ "HEAD has no body", { UP("HEAD /1 HTTP/1.1\r\nHost: a\r\n\r\n" GET("/2")), DOWN("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" OK0) },
	  "http {'hostname':'a','url':'/1','http_method':'HEAD','protocol':'HTTP/1.1','status':200,'length':0}\n" TOLD_OK("/2"), "", 0 },
	{ "204 and 304 have no body", { UP(GET("/1") GET("/2") GET("/3")),
		DOWN("HTTP/1.1 204 No\r\nContent-Length: 7\r\n\r\nHTTP/1.1 304 Not\r\nTransfer-Encoding: chunked\r\n\r\n" OK0) },
	  TOLD("/1", ",'status':204,'length':0") TOLD("/2", ",'status':304,'length':0") TOLD_OK("/3"), "", 0 },
	{ "100 and 103 before the answer", { UP("POST /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"), DOWN("HTTP/1.1 100 Continue\r\n\r\n"),
		UP("body" GET("/2")), DOWN("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\n" OK0) },
	  "http {'hostname':'a','url':'/p','http_method':'POST','protocol':'HTTP/1.1','status':201,'length':0}\n" TOLD_OK("/2"), "", 0 },
	{ "chunks, extensions, trailers", { UP("PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n0A \r\n0123456789\r\n000\r\nT: 1\r\nU: 2\r\n\r\n" GET("/2")),
		DOWN("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n1\r\nx\r\n11\r\nHTTP/1.1 500 \r\n\r\n\r\n0\r\n\r\n" OK0) },
	  "http {'hostname':'a','url':'/c','http_method':'PUT','protocol':'HTTP/1.1','status':200,'length':18}\n" TOLD_OK("/2"), "", 0 },
	{ "chunk lines that end in LF", { UP(GET("/1") GET("/2")), DOWN("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nok\n0\n\n" OK0) },
	  TOLD("/1", ",'status':200,'length':2") TOLD_OK("/2"), "", 0 },
	{ "a body that ends with the connection", { UP(GET("/1")), DOWN("HTTP/1.1 200 OK\r\nContent-Type: t\r\n\r\nHTTP/1.1 200 OK\r\n\r\n") },
	  TOLD("/1", ",'http_content_type':'t','status':200,'length':19"), "", 0 },
	{ "an unknown coding: the body ends with the connection", { UP(GET("/1")), DOWN("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nzz\r\n") }, TOLD("/1", ",'status':200,'length':4"), "", 0 },
	{ "identity is no coding", { UP(GET("/1") GET("/2")), DOWN("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\nx" OK0) }, TOLD("/1", ",'status':200,'length':1") TOLD_OK("/2"), "", 0 },
	{ "both framings: chunked counts", { UP("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" GET("/s")), DOWN(OK0 OK0) },
	  "http {'hostname':'a','url':'/p','http_method':'POST','protocol':'HTTP/1.1','status':200,'length':0}\n" TOLD_OK("/s"), "http.te_and_cl", 0 },
	{ "chunked in HTTP/1.0", { UP(GET("/1") GET("/2")), DOWN("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" OK0) }, TOLD_OK("/1") TOLD_OK("/2"), "http.te_in_http10", 0 },
	{ "the same length twice", { UP(GET("/1") GET("/2")), DOWN("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nContent-Length: 02\r\n\r\nok" OK0) },
	  TOLD("/1", ",'status':200,'length':2") TOLD_OK("/2"), "http.several_content_lengths", 0 },
	{ "different lengths in a request", { UP("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n" GET("/s")), DOWN(OK0) },
	  "http {'hostname':'a','url':'/p','http_method':'POST','protocol':'HTTP/1.1'}\n", "http.bad_content_length", 0 },
	{ "different lengths in a response", { UP(GET("/1")), DOWN("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy"), UP(GET("/2")), DOWN(OK0) },
	  TOLD("/1", ",'status':200") TOLD("/2", ""), "http.bad_response_framing", 0 },
	{ "chunked must come last in a request", { UP("POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n") },
	  "http {'hostname':'a','url':'/p','http_method':'POST','protocol':'HTTP/1.1'}\n", "http.bad_transfer_encoding", 0 },
	{ "a tab of another kind is no space", { UP("POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \013chunked\r\n\r\n0\r\n\r\n") },
	  "http {'hostname':'a','url':'/p','http_method':'POST','protocol':'HTTP/1.1'}\n", "http.bad_transfer_encoding", 0 },
	{ "space before a colon", { UP("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\nabc" GET("/2")), DOWN(OK0 OK0) },
	  "http {'hostname':'a','url':'/p','http_method':'POST','protocol':'HTTP/1.1','status':200,'length':0}\n" TOLD_OK("/2"), "http.space_before_colon", 0 },
	{ "continued fields", { UP("GET /1 HTTP/1.1\r\nHost:\r\n a\r\nUser-Agent: one\r\n\ttwo\r\n  three\r\n\r\n"), DOWN("HTTP/1.1 200 OK\r\nContent-Length:\r\n 2\r\n\r\nok") },
	  "http {'hostname':'a','url':'/1','http_user_agent':'one  \\ttwo    three','http_method':'GET','protocol':'HTTP/1.1','status':200,'length':2}\n", "http.obs_fold", 0 },
	{ "a space after the start line hides no field", { UP("GET /1 HTTP/1.1\r\n Host: b\r\nHost: a\r\n\r\n"), DOWN(OK0) }, TOLD_OK("/1"), "http.space_before_field", 0 },
	{ "two hosts", { UP("GET /1 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), DOWN(OK0) }, TOLD_OK("/1"), "http.several_hosts", 0 },
	{ "spaces in the request line", { UP("GET  /a b  HTTP/1.1\r\nHost: a\r\n\r\n"), DOWN(OK0) }, TOLD_OK("/a b"), "http.odd_request_line", 0 },
	{ "absolute form: its host counts", { UP("GET http://u:p@B.c:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n"), DOWN(OK0) },
	  "http {'hostname':'b.c','http_port':81,'url':'http://u:p@B.c:81/x?y','path':'/x?y','http_method':'GET','protocol':'HTTP/1.1','status':200,'length':0}\n", "", 0 },
	{ "absolute form without a path", { UP("GET http://[::1]:81 HTTP/1.1\r\nHost: a\r\n\r\n"), DOWN(OK0) },
	  "http {'hostname':'[::1]','http_port':81,'url':'http://[::1]:81','path':'/','http_method':'GET','protocol':'HTTP/1.1','status':200,'length':0}\n", "", 0 },
	{ "an address in brackets, no port", { UP("GET /1 HTTP/1.1\r\nHost: [fe80::1]\r\n\r\n"), DOWN(OK0) },
	  "http {'hostname':'[fe80::1]','url':'/1','http_method':'GET','protocol':'HTTP/1.1','status':200,'length':0}\n", "", 0 },
	{ "asterisk form", { UP("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), DOWN(OK0) }, "http {'hostname':'a','url':'*','http_method':'OPTIONS','protocol':'HTTP/1.1','status':200,'length':0}\n", "", 0 },
	{ "a method of one's own", { UP("M-SEARCH~x /1 HTTP/1.1\r\nHost: a\r\n\r\n"), DOWN(OK0) },
	  "http {'hostname':'a','url':'/1','http_method':'M-SEARCH~x','protocol':'HTTP/1.1','status':200,'length':0}\n", "", 0 },
	{ "CONNECT: the tunnel is recognised anew", { UP("CONNECT b:443 HTTP/1.1\r\nHost: a\r\n\r\n"), DOWN("HTTP/1.1 200 Go\r\nContent-Length: 5\r\n\r\n"), UP("GET /in HTTP/1.1\r\nHost: a\r\n\r\n"), DOWN(OK0) },
	  "http {'hostname':'b','http_port':443,'url':'b:443','http_method':'CONNECT','protocol':'HTTP/1.1','status':200,'length':0}\n" TOLD_OK("/in"), "", 0 },
	{ "CONNECT refused", { UP("CONNECT b:443 HTTP/1.1\r\nHost: a\r\n\r\n"), DOWN("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"), UP(GET("/1")), DOWN(OK0) },
	  "http {'hostname':'b','http_port':443,'url':'b:443','http_method':'CONNECT','protocol':'HTTP/1.1','status':403,'length':2}\n" TOLD_OK("/1"), "", 0 },
	{ "a request behind an unanswered CONNECT is judged", { UP("CONNECT b:443 HTTP/1.1\r\nHost: a\r\n\r\n" GET("/1")), DOWN("HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n" OK0) },
	  "http {'hostname':'b','http_port':443,'url':'b:443','http_method':'CONNECT','protocol':'HTTP/1.1','status':405,'length':0}\n" TOLD_OK("/1"), "", 0 },
	{ "websocket", { UP("GET /w HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
		DOWN("HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n\x81\x02hi"), UP("\x81\x82\1\2\3\4ab") },
	  TOLD("/w", ",'status':101,'length':0"), "", APP_WEBSOCKET },
	{ "Upgrade not taken", { UP("GET /w HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n"), DOWN(OK0), UP(GET("/2")), DOWN(OK0) }, TOLD_OK("/w") TOLD_OK("/2"), "", 0 },
	{ "a request without an answer", { UP(GET("/1") GET("/2")), DOWN(OK0) }, TOLD_OK("/1") TOLD("/2", ""), "", 0 },
	{ "an answer cut short", { UP(GET("/1")), DOWN("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc") }, TOLD("/1", ",'status':200"), "", 0 },
	{ "the server speaks first, behind empty lines", { DOWN("\n\r\nHTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n") }, "http {'protocol':'HTTP/1.1','status':408,'length':0}\n", "", 0 },
	{ "the server speaks first", { DOWN("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n") }, "http {'protocol':'HTTP/1.1','status':408,'length':0}\n", "", 0 },
	{ "garbage for an answer", { UP(GET("/1")), DOWN("ICY 200 OK\r\n\r\nmusic"), UP(GET("/2")), DOWN("more music") }, TOLD("/1", "") TOLD("/2", ""), "http.bad_status_line", 0 },
	{ "garbage for a request", { UP(GET("/1")), DOWN(OK0), UP("GET /\r\n\r\n"), DOWN(OK0) }, TOLD_OK("/1"), "http.bad_request_line", 0 },
	{ "requests go on behind a broken chunk of an answer", { UP(GET("/1")), DOWN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n"), UP(GET("/2")), DOWN(OK0) },
	  TOLD("/1", ",'status':200") TOLD("/2", ""), "http.bad_response_framing", 0 },
	{ "no length above 2^63-1", { UP("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n" GET("/1")) },
	  "http {'hostname':'a','url':'/p','http_method':'POST','protocol':'HTTP/1.1'}\n", "http.bad_content_length", 0 },
	{ "a length that wraps", { UP("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n" GET("/1")) },
	  "http {'hostname':'a','url':'/p','http_method':'POST','protocol':'HTTP/1.1'}\n", "http.bad_content_length", 0 },
};

/* Lines of `http` events in text, to be freed. */
static char *http_lines(const char *text)
{
	char *out = calloc(1, strlen(text) + 1), *to = out;

	for (const char *line = text, *end; out && *line; line = end) {
		const char *lf = strchr(line, '\n');

		end = lf ? lf + 1 : line + strlen(line);
		if (strncmp(line, "http ", 5) == 0) {
			memcpy(to, line, (size_t)(end - line));
			to += end - line;
		}
	}
	return out;
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *at = text; (at = strstr(at, what)); at++)
		n++;
	return n;
}

/* Compares and says which vector it was: CUnit tells only the line. */
static void expect(const char *name, const char *text, const char *want, const char *odd)
{
	char *got = http_lines(text), *wanted = strdup(want), *names = strdup(odd), *save = NULL;
	unsigned n = 0;

	CU_ASSERT_FATAL(got && wanted && names);
	for (char *c = wanted; *c; c++)
		if (*c == '\'')
			*c = '"';
	CU_ASSERT_STRING_EQUAL(got, wanted);
	if (strcmp(got, wanted))
		printf("\n%s: told\n%swanted\n%s", name, got, wanted);
	for (char *o = strtok_r(names, " ", &save); o; o = strtok_r(NULL, " ", &save), n++) {
		char quoted[64];

		snprintf(quoted, sizeof(quoted), "\"%s\"", o);
		CU_ASSERT_EQUAL(count(text, quoted), 1);
	}
	CU_ASSERT_EQUAL(count(text, "\"http."), n);
	if (count(text, "\"http.") != n)
		printf("\n%s: anomalies wanted: %s; told\n%s", name, odd, text);
	free(got);
	free(wanted);
	free(names);
}

static unsigned nsteps(const struct flowtest_step *s)
{
	unsigned n = 0;

	while (n < 8 && s[n].n)
		n++;
	return n;
}

static void test_vectors(void)
{
	const struct flowtest ft = { .dport = 8080 };

	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
		const struct vector *v = &vectors[i];
		unsigned n = nsteps(v->steps);
		struct flowtest_result r = flowtest_run(&ft, v->steps, n);
		char *text;

		CU_ASSERT_EQUAL(r.app, v->app ? v->app : APP_HTTP);
		flowtest_free(&r);
		text = flowtest_every_cut(&ft, v->steps, n);
		CU_ASSERT_PTR_NOT_NULL_FATAL(text);
		expect(v->name, text, v->want, v->odd);
		free(text);
	}
}

static void test_prefixes(void)
{
	const struct flowtest ft = { .dport = 80 };

	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++)
		flowtest_every_prefix(&ft, vectors[i].steps, nsteps(vectors[i].steps));
}

static void test_ipv6(void)
{
	const struct flowtest ft = { .dport = 80, .v6 = true };
	const struct flowtest_step steps[] = { UP(GET("/1")), DOWN(OK0) };
	struct flowtest_result r = flowtest_run(&ft, steps, 2);

	expect("ipv6", r.text, TOLD_OK("/1"), "");
	flowtest_free(&r);
}

/* Values of Content-Length and sizes of chunks that are none. */
static void test_numbers(void)
{
	static const char *const lengths[] = { "-1", "+1", "0x10", "1 0", "1,2", "1,", ",1", "", "1.0", "1e3", "99999999999999999999999999", "\xb9", "1;" };
	static const char *const chunks[] = { "", "-1", "+1", "0x1", " 1", "g", "8000000000000000", "10000000000000000", "fffffffffffffffff", "1,", ";" };
	const struct flowtest ft = { .dport = 80 };
	char text[256];

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		int n = snprintf(text, sizeof(text), "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: %s\r\n\r\n", lengths[i]);
		struct flowtest_step step = { DIR_TOSERVER, text, (size_t)n };
		struct flowtest_result r = flowtest_run(&ft, &step, 1);

		expect(lengths[i], r.text, "http {'hostname':'a','url':'/p','http_method':'POST','protocol':'HTTP/1.1'}\n", "http.bad_content_length");
		flowtest_free(&r);
	}
	for (size_t i = 0; i < sizeof(chunks) / sizeof(*chunks); i++) {
		int n = snprintf(text, sizeof(text), "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n", chunks[i]);
		struct flowtest_step step = { DIR_TOSERVER, text, (size_t)n };
		struct flowtest_result r = flowtest_run(&ft, &step, 1);

		expect(chunks[i], r.text, "http {'hostname':'a','url':'/p','http_method':'POST','protocol':'HTTP/1.1'}\n", "http.bad_chunk_size");
		flowtest_free(&r);
	}
}

/* What servers take for a request, though it is none, is one at their ports: broken, and nothing more is read. */
static void test_broken(void)
{
	static const char *const texts[] = { "GET /\r\n", "\nGET /a\n", " GET / HTTP/1.1\r\nHost: a\r\n\r\n" };

	for (unsigned i = 0; i < 6; i++) {
		const struct flowtest ft = { .dport = i & 1 ? 80 : 7000 };
		const struct flowtest_step steps[] = { { DIR_TOSERVER, texts[i / 2], strlen(texts[i / 2]) }, { DIR_TOCLIENT, "<html>", 6 } };
		struct flowtest_result r = flowtest_run(&ft, steps, 2);

		CU_ASSERT_EQUAL(r.app == APP_HTTP, i & 1);
		CU_ASSERT_EQUAL(strstr(r.text, "http.bad_request_line") != NULL, i & 1);
		flowtest_free(&r);
	}
}

/* What is not HTTP/1, and must not be called so. */
static void test_others(void)
{
	static const struct {
		const char *up, *down;
	} others[] = {
		{ "OPTIONS rtsp://h/ RTSP/1.0\r\nCSeq: 1\r\n\r\n", "RTSP/1.0 200 OK\r\n\r\n" },
		{ "OPTIONS * RTSP/1.0\r\n\r\n", "" },
		{ "INVITE sip:b@h SIP/2.0\r\nVia: x\r\n\r\n", "SIP/2.0 100 Trying\r\n\r\n" },
		{ "OPTIONS icap://h/x ICAP/1.0\r\n\r\n", "ICAP/1.0 200 OK\r\n\r\n" },
		{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "" },
		{ "GET / HTTP/2.0\r\n\r\n", "" },
		{ "GET / http/1.1\r\n\r\n", "" },
		{ "EHLO HTTP/1.1\r\n", "220 x\r\n" },
		{ "G@T / HTTP/1.1\r\n\r\n", "" },
		{ "GNUTELLA CONNECT/0.6\r\n\r\n", "" },
		{ "", "HTTP/1.1 20 OK\r\n\r\n" },
		{ "", "HTTP/1.1\r\n\r\n" },
	};
	const struct flowtest ft = { .dport = 80 };

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		struct flowtest_step steps[2];
		struct flowtest_result r;
		unsigned n = 0;

		if (*others[i].up)
			steps[n++] = (struct flowtest_step){ DIR_TOSERVER, others[i].up, strlen(others[i].up) };
		if (*others[i].down)
			steps[n++] = (struct flowtest_step){ DIR_TOCLIENT, others[i].down, strlen(others[i].down) };
		r = flowtest_run(&ft, steps, n);
		CU_ASSERT_NOT_EQUAL(r.app, APP_HTTP);
		if (r.app == APP_HTTP)
			printf("\ntaken for HTTP: %s%s", others[i].up, others[i].down);
		CU_ASSERT_EQUAL(count(r.text, "http {"), 0);
		flowtest_free(&r);
	}
}

/* Bytes lost in the middle: what follows is told, what was begun is told as far as it is known. */
static void test_gaps(void)
{
	static const struct vector gaps[] = {
		{ "a response lost", { UP(GET("/1")), { DIR_TOCLIENT, NULL, 300 }, UP(GET("/2")), DOWN(OK0) }, TOLD("/1", "") TOLD_OK("/2"), "", 0 },
		{ "a response's head lost", { UP(GET("/1")), { DIR_TOCLIENT, NULL, 30 }, DOWN("h: 10\r\n\r\n0123456789"), UP(GET("/2")), DOWN(OK0) },
		  TOLD("/1", "") TOLD_OK("/2"), "", 0 },
		{ "a request lost", { UP(GET("/1")), DOWN(OK0), { DIR_TOSERVER, NULL, 30 }, DOWN("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"), UP(GET("/3")), DOWN(OK0) },
		  TOLD_OK("/1") "http {'protocol':'HTTP/1.1','status':404,'length':0}\n" TOLD_OK("/3"), "", 0 },
		{ "in a body that ends with the connection", { UP(GET("/1")), DOWN("HTTP/1.1 200 OK\r\n\r\nabc"), { DIR_TOCLIENT, NULL, 100 }, DOWN("def") },
		  TOLD("/1", ",'status':200,'length':106"), "", 0 },
		{ "in a body of known length", { UP(GET("/1")), DOWN("HTTP/1.1 200 OK\r\nContent-Length: 106\r\n\r\nabc"), { DIR_TOCLIENT, NULL, 100 }, DOWN("def"), UP(GET("/2")), DOWN(OK0) },
		  TOLD("/1", ",'status':200,'length':106") TOLD_OK("/2"), "", 0 },
		{ "between the lines of chunks", { UP(GET("/1")), DOWN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"), { DIR_TOCLIENT, NULL, 20 },
			DOWN("xyz\r\n0\r\n\r\n"), UP(GET("/2")), DOWN(OK0) }, TOLD("/1", ",'status':200,'length':3") TOLD_OK("/2"), "", 0 },
	};
	const struct flowtest ft = { .dport = 80 };

	for (size_t i = 0; i < sizeof(gaps) / sizeof(*gaps); i++) {
		struct flowtest_result r = flowtest_run(&ft, gaps[i].steps, nsteps(gaps[i].steps));

		expect(gaps[i].name, r.text, gaps[i].want, gaps[i].odd);
		flowtest_free(&r);
	}
}

const struct unit_test tests_http[] = {
	{ "vectors, at every cut", test_vectors },
	{ "every prefix", test_prefixes },
	{ "over IPv6", test_ipv6 },
	{ "lengths and chunk sizes that are none", test_numbers },
	{ "what servers take for a request", test_broken },
	{ "what is not HTTP/1", test_others },
	{ "lost bytes", test_gaps },
	{ NULL, NULL },
};
