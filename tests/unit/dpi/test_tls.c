/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tls: handshakes of OpenSSL (tls_vectors.h) and hand-made ones through the whole core. In what is wanted ' stands for ". */
#include <stdio.h>
#include <stdlib.h>

#include "dpi/proto/tls_probe.h"
#include "dpi/tls_hello.h"
#include "tests/unit/dpi/flowtest.h"
#include "tests/unit/dpi/tls_vectors.h"
#include "tests/unit/dpi/tlsbuild.h"
#include "tests/unit/unit.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static const struct flowtest anywhere = { .dport = 12345 }, v6 = { .dport = 443, .v6 = true };
static const uint16_t aes[] = { 0x1301, 0xc02f };
static struct tlsbuf body, hs, up, down;

/* text is what is wanted, with or without a newline at its end */
static bool same(const char *text, const char *want)
{
	size_t n = strlen(want);
	char *q = strdup(want);
	bool ok;

	for (char *c = q; *c; c++)
		if (*c == '\'')
			*c = '"';
	ok = strncmp(text, q, n) == 0 && (text[n] == 0 || strcmp(text + n, "\n") == 0);
	if (!ok)
		printf("\nwanted %s\ntold   %s", q, text);
	free(q);
	return ok;
}

/* ---- real handshakes ---- */

static void every_cut(const struct flowtest_step *steps, unsigned n, const char *want)
{
	struct flowtest_result r = flowtest_run(&v6, steps, n);
	char *text;

	CU_ASSERT_EQUAL(r.app, APP_TLS);
	CU_ASSERT_EQUAL(r.bad, 0);
	CU_ASSERT(same(r.text, want));
	flowtest_free(&r);
	text = flowtest_every_cut(&anywhere, steps, n);
	CU_ASSERT(same(text, want));
	free(text);
	flowtest_every_prefix(&anywhere, steps, n);
}

#define REAL(name) static void real_##name(void) { every_cut(name, COUNT(name), name##_told); }
REAL(tls13)
REAL(tls13_psk)
REAL(tls13_retry)
REAL(tls12)
REAL(tls12_ticket)
REAL(tls12_id)
REAL(tls12_anon)
REAL(tls11)
REAL(tls10)
REAL(refused)

/* ---- hand-made ---- */

static struct flowtest_result run(void)
{
	const struct flowtest_step steps[] = { { DIR_TOSERVER, up.b, up.n }, { DIR_TOCLIENT, down.b, down.n } };

	return flowtest_run(&anywhere, steps, down.n ? 2 : 1);
}

/* Runs what is in up and down; the text must hold `part` ("": nothing is told). */
static void told(const char *part, enum app app)
{
	struct flowtest_result r = run();
	char *q = strdup(part);

	for (char *c = q; *c; c++)
		if (*c == '\'')
			*c = '"';
	CU_ASSERT_EQUAL(r.app, app);
	if (*q ? !strstr(r.text, q) : *r.text != 0) {
		printf("\nwanted %s\ntold   %s", q, r.text);
		CU_FAIL("told");
	}
	free(q);
	flowtest_free(&r);
}

/* up: a ClientHello for the name in records of at most `size` bytes. */
static void client(const char *sni, size_t size)
{
	size_t ext = tb_client(&body, TLS_1_2, aes, COUNT(aes));

	if (sni)
		tb_ext_sni(&body, sni, strlen(sni));
	tb_close(&body, ext, 2);
	up.n = hs.n = down.n = 0;
	tb_message(&hs, 1, &body);
	tb_records(&up, TLS_1_0, &hs, size);
}

/* down: ServerHello, Certificate, ServerHelloDone of TLS 1.2 in records of at most `size` bytes. */
static void server(unsigned version, const void *cert, size_t n, size_t size)
{
	tb_close(&body, tb_server(&body, version, 0xc02f), 2);
	down.n = hs.n = 0;
	tb_message(&hs, 2, &body);
	body.n = 0;
	tb_u24(&body, (unsigned)n + 3);
	tb_u24(&body, (unsigned)n);
	tb_bytes(&body, cert, n);
	tb_message(&hs, 11, &body);
	body.n = 0;
	tb_message(&hs, 14, &body);
	tb_records(&down, version, &hs, size);
}

#define LEAF "'subject':'C=CZ, O=Příklad\\\\, a.s., CN=secure.example'"

static void records_of_any_size(void)
{
	static const size_t sizes[] = { 1, 2, 3, 4, 5, 7, 64, 16384 };
	char *first = NULL;

	for (unsigned i = 0; i < COUNT(sizes); i++) {
		struct flowtest_result r;

		client("tiny.example", sizes[i]);
		server(TLS_1_2, cert_leaf, sizeof(cert_leaf), sizes[i]);
		told("'sni':'tiny.example','version':'TLS 1.2','cipher':'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'", APP_TLS);
		told(LEAF, APP_TLS);
		r = run();
		if (!first)
			first = strdup(r.text);
		CU_ASSERT_STRING_EQUAL(r.text, first);
		flowtest_free(&r);
	}
	free(first);
	client("tiny.example", 1);
	server(TLS_1_2, cert_leaf, sizeof(cert_leaf), 1);
	{
		const struct flowtest_step steps[] = { { DIR_TOSERVER, up.b, up.n }, { DIR_TOCLIENT, down.b, down.n } };
		char *text = flowtest_every_cut(&anywhere, steps, 2);

		CU_ASSERT_PTR_NOT_NULL(strstr(text, "CN=secure.example"));
		free(text);
	}
}

static void old_versions(void)
{
	static const uint8_t v2[] = "\x80\x1f\1\0\2\0\6\0\0\0\x10\1\0\x80\7\0\xc0" "0123456789abcdef";
	static const uint8_t v2_server[] = { 0x80, 0x1b, 4, 1, 0, 0, 2, 0, 0, 0, 0, 0, 16 };

	client(NULL, 16384);
	up.b[1] = 3;
	up.b[2] = 0;
	up.b[9] = 3;
	up.b[10] = 0;
	server(TLS_SSL3, cert_leaf, sizeof(cert_leaf), 16384);
	told("tls {'version':'SSLv3','cipher':'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256','issuerdn':'O=Test CA, CN=Test CA #1'," LEAF, APP_TLS);

	/* SSLv2 asks, SSLv3 answers */
	up.n = 0;
	tb_bytes(&up, v2, sizeof(v2) - 1);
	told("tls {'version':'SSLv3','cipher':'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256','issuerdn'", APP_TLS);

	/* SSLv2 answers, its session known again */
	down.n = 0;
	tb_bytes(&down, v2_server, sizeof(v2_server));
	tb_fill(&down, 7, 16);
	told("tls {'version':'SSLv2','session_resumed':true}", APP_TLS);
	down.n = 0;
	told("tls {'version':'SSLv2'}", APP_TLS);
	up.b[4] = 3;	/* what begins like SSLv2 and offers 3.3 */
	up.b[3] = 3;
	told("tls {'version':'TLS 1.2'}", APP_TLS);
	up.b[6]++;	/* and what only looks like it */
	told("", APP_UNKNOWN);
}

static void early_data(void)
{
	client("early.example", 16384);
	tb_bytes(&up, "\x14\3\3\0\1\1", 6);
	for (unsigned i = 0; i < 20; i++) {
		tb_bytes(&up, "\x17\3\3\x04\0", 5);
		tb_fill(&up, 22, 1024);	/* looks like handshakes */
	}
	server(TLS_1_2, cert_leaf, sizeof(cert_leaf), 16384);
	told("'sni':'early.example','version':'TLS 1.2'", APP_TLS);
	told(LEAF, APP_TLS);
}

/* A client that nobody answers: told at the end, or when it speaks on and on. */
static void one_side(void)
{
	client("lonely.example", 16384);
	told("tls {'sni':'lonely.example','ja4':'t12d0201", APP_TLS);
	told("'version':'TLS 1.2'}", APP_TLS);
	for (unsigned i = 0; i < 70; i++)
		tb_bytes(&up, "\x17\3\3\0\3abc", 8);
	told("'sni':'lonely.example'", APP_TLS);
	/* the server's side alone */
	server(TLS_1_2, cert_leaf, sizeof(cert_leaf), 16384);
	memcpy(&up, &down, sizeof(up));
	down.n = 0;
	told("tls {'version':'TLS 1.2','cipher':'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256','issuerdn'", APP_TLS);
}

/* The TLS client is who says ClientHello, also where it did not open the connection. */
static void turned(void)
{
	struct flowtest_step steps[2];
	struct flowtest_result r;

	client("turned.example", 16384);
	server(TLS_1_2, cert_leaf, sizeof(cert_leaf), 16384);
	steps[0] = (struct flowtest_step){ DIR_TOCLIENT, up.b, up.n };
	steps[1] = (struct flowtest_step){ DIR_TOSERVER, down.b, down.n };
	r = flowtest_run(&anywhere, steps, 2);
	CU_ASSERT_EQUAL(r.app, APP_TLS);
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "turned.example"));
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "CN=secure.example"));
	flowtest_free(&r);
}

static void alerts(void)
{
	client("a.example", 16384);
	tb_bytes(&down, "\x15\3\1\0\2\2\x28", 7);
	told("'version':'TLS 1.2','alert':'handshake_failure'}", APP_TLS);
	down.b[6] = 99;
	told("'alert':'99'}", APP_TLS);
	/* a warning is no end */
	server(TLS_1_2, cert_leaf, sizeof(cert_leaf), 16384);
	memmove(down.b + 7, down.b, down.n);
	memcpy(down.b, "\x15\3\1\0\2\1\x70", 7);
	down.n += 7;
	told(LEAF, APP_TLS);
}

static void gaps(void)
{
	struct flowtest_step steps[4];
	struct flowtest_result r;

	client("gap.example", 16384);
	server(TLS_1_2, cert_leaf, sizeof(cert_leaf), 16384);
	/* the server's certificate is lost */
	steps[0] = (struct flowtest_step){ DIR_TOSERVER, up.b, up.n };
	steps[1] = (struct flowtest_step){ DIR_TOCLIENT, down.b, 40 };
	steps[2] = (struct flowtest_step){ DIR_TOCLIENT, NULL, 500 };
	steps[3] = (struct flowtest_step){ DIR_TOCLIENT, "more", 4 };
	r = flowtest_run(&anywhere, steps, 4);
	CU_ASSERT_EQUAL(r.app, APP_TLS);
	CU_ASSERT_EQUAL(r.bad, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "tls {\"sni\":\"gap.example\""));
	flowtest_free(&r);
	/* the rest of the client's hello is lost: the server's side is told */
	steps[0] = (struct flowtest_step){ DIR_TOSERVER, up.b, 30 };
	steps[1] = (struct flowtest_step){ DIR_TOSERVER, NULL, 100 };
	steps[2] = (struct flowtest_step){ DIR_TOSERVER, "more", 4 };
	steps[3] = (struct flowtest_step){ DIR_TOCLIENT, down.b, down.n };
	r = flowtest_run(&anywhere, steps, 4);
	CU_ASSERT_EQUAL(r.app, APP_TLS);
	CU_ASSERT_EQUAL(r.bad, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "tls {\"version\":\"TLS 1.2\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "CN=secure.example"));
	flowtest_free(&r);
}

/* ---- sizes ---- */

static void long_messages(void)
{
	static uint8_t cert[70000];
	size_t ext;

	/* a certificate message of exactly what is kept, in records of 16 KiB; one byte more is too long */
	memcpy(cert, cert_leaf, sizeof(cert_leaf));
	client("long.example", 16384);
	server(TLS_1_2, cert, 65536 - 4 - 6, 16384);
	told("'subject':'C=CZ", APP_TLS);
	server(TLS_1_2, cert, 65536 - 4 - 6 + 1, 16384);
	told("tls.message_too_long", APP_TLS);
	told("'sni':'long.example','version':'TLS 1.2'", APP_TLS);

	/* a ClientHello of nearly 64 KiB whose SNI comes last */
	for (unsigned more = 0; more < 2; more++) {
		ext = tb_client(&body, TLS_1_2, aes, COUNT(aes));
		tb_ext(&body, 21, cert, 65536 - 4 - body.n - 4 - 21 + more);
		tb_ext_sni(&body, "last.example", 12);
		tb_close(&body, ext, 2);
		CU_ASSERT_EQUAL(body.n, 65532 + more);
		hs.n = up.n = down.n = 0;
		tb_message(&hs, 1, &body);
		tb_records(&up, TLS_1_0, &hs, 16384);
		told(more ? "tls.message_too_long" : "'sni':'last.example'", APP_TLS);
	}
}

/* What the issuer is must not be lost behind names that a client or server stuffs the event with. */
static void stuffed(void)
{
	static uint8_t text[4000];
	struct flowtest_result r;
	size_t ext = tb_client(&body, TLS_1_2, aes, COUNT(aes)), list;

	memset(text, 'x', sizeof(text));
	tb_ext_sni(&body, text, sizeof(text));
	tb_u16(&body, 16);
	tb_u16(&body, 2 + 200 * 256);
	list = tb_open(&body, 2);
	for (unsigned i = 0; i < 200; i++) {
		tb_u8(&body, 255);
		tb_fill(&body, 'y', 255);
	}
	tb_close(&body, list, 2);
	tb_close(&body, ext, 2);
	hs.n = up.n = 0;
	tb_message(&hs, 1, &body);
	tb_records(&up, TLS_1_0, &hs, 16384);
	server(TLS_1_2, cert_leaf, sizeof(cert_leaf), 16384);
	r = run();
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "\"issuerdn\":\"O=Test CA, CN=Test CA #1\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "\"ja4\":\"t12d0202yy_"));
	flowtest_free(&r);
}

/* ---- names ---- */

static void snis(void)
{
	size_t ext;

	client("", 16384);	/* an empty name is no name, and odd */
	told("tls.odd_extension", APP_TLS);
	told("tls {'ja4':'t12d0201", APP_TLS);
	ext = tb_client(&body, TLS_1_2, aes, COUNT(aes));
	tb_ext_sni(&body, "good.example\0.evil.example", 26);
	tb_ext_sni(&body, "second.example", 14);
	tb_close(&body, ext, 2);
	up.n = hs.n = 0;
	tb_message(&hs, 1, &body);
	tb_records(&up, TLS_1_0, &hs, 16384);
	told("'sni':'good.example\\u0000.evil.example','ja4'", APP_TLS);
}

/* A second ClientHello after a HelloRetryRequest may ask for another name: that one counts. */
static void retry_elsewhere(void)
{
	static const uint8_t retry[] = { 0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
		0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c };
	static struct tlsbuf again, second;
	struct flowtest_step steps[4];
	struct flowtest_result r;

	client("second.example", 16384);
	second = up;
	client("first.example", 16384);
	tb_close(&body, tb_server(&body, TLS_1_2, 0x1301), 2);
	memcpy(body.b + 2, retry, 32);
	again.n = hs.n = 0;
	tb_message(&hs, 2, &body);
	tb_records(&again, TLS_1_2, &hs, 16384);
	server(TLS_1_2, cert_leaf, sizeof(cert_leaf), 16384);
	steps[0] = (struct flowtest_step){ DIR_TOSERVER, up.b, up.n };
	steps[1] = (struct flowtest_step){ DIR_TOCLIENT, again.b, again.n };
	steps[2] = (struct flowtest_step){ DIR_TOSERVER, second.b, second.n };
	steps[3] = (struct flowtest_step){ DIR_TOCLIENT, down.b, down.n };
	r = flowtest_run(&anywhere, steps, 4);
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "\"sni\":\"second.example\""));
	CU_ASSERT_PTR_NULL(strstr(r.text, "first.example"));
	flowtest_free(&r);
}

/* ---- lies ---- */

static void lies(void)
{
	static const struct {
		size_t at;
		uint8_t value;
		const char *want;
	} rows[] = {	/* of the ClientHello's records; the flow is TLS by then */
		{ 9 + 34, 33, "tls.bad_client_hello" },		/* session id */
		{ 9 + 36, 0xff, "tls.bad_client_hello" },	/* ciphers */
		{ 9 + 41, 0xff, "tls.bad_client_hello" },	/* compressions */
		{ 9 + 44, 0xff, "tls.bad_client_hello" },	/* extensions */
		{ 9 + 48, 0xff, "tls.bad_client_hello" },	/* SNI's extension */
		{ 9 + 50, 0xff, "tls.odd_extension" },		/* its list */
		{ 9 + 53, 0xff, "tls.odd_extension" },		/* its name */
	};

	for (unsigned i = 0; i < COUNT(rows); i++) {
		client("lies.example", 16384);
		up.b[rows[i].at] = rows[i].value;
		told(rows[i].want, APP_TLS);
	}
	client("lies.example", 16384);
	tb_bytes(&up, "GET / HTTP/1.1\r\n", 16);
	told("tls.bad_record", APP_TLS);
	told("'sni':'lies.example'", APP_TLS);
	client("lies.example", 16384);
	server(TLS_1_2, cert_leaf, sizeof(cert_leaf), 16384);
	down.b[5 + 4 + 42 + 4] = 0xff;	/* the list of certificates */
	told("tls.bad_certificate_message", APP_TLS);
	told("'version':'TLS 1.2'", APP_TLS);
	server(TLS_1_2, cert_leaf, sizeof(cert_leaf), 16384);
	down.b[9] = 9;
	told("tls.bad_server_hello", APP_TLS);
	server(TLS_1_2, "", 0, 16384);
	told("'cipher':'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256','ja4'", APP_TLS);
	server(TLS_1_2, "\x30\x80garbage", 9, 16384);
	told("'fingerprint':'", APP_TLS);
}

/* Every byte of a whole handshake replaced: nothing but not crashing is asked. */
static void hostile(void)
{
	static const uint8_t bad[] = { 0x00, 0x03, 0x16, 0x80, 0xff };

	for (unsigned k = 0; k < COUNT(bad); k++) {
		client("hostile.example", 100);
		server(TLS_1_2, cert_leaf, sizeof(cert_leaf), 100);
		for (size_t at = 0; at < up.n + down.n; at++) {
			uint8_t *b = at < up.n ? up.b + at : down.b + (at - up.n), old = *b;
			struct flowtest_result r;

			*b = bad[k];
			r = run();
			CU_ASSERT(r.app == APP_TLS || at < 11);
			flowtest_free(&r);
			*b = old;
		}
	}
}

/* ---- recognition ---- */

static enum probe probe(const char *a, size_t na, const char *b, size_t nb, bool midstream)
{
	struct probe_in in = { .dir = { cur_of(na ? a : NULL, na), cur_of(nb ? b : NULL, nb) }, .l4 = PROTO_TCP, .midstream = midstream };

	return tls_probe(&in);
}

#define LIT(s) s, sizeof(s) - 1
#define DATA20 "\x17\3\3\0\x14" "....................."

static void recognition(void)
{
	static const char hello[] = "\x16\3\1\0\xfa\1\0\0\xf6\3\3";
	static const char bytewise[] = "\x16\3\1\0\1\1\x16\3\1\0\1\0\x16\3\1\0\1\0\x16\3\1\0\1\xf6\x16\3\1\0\1\3\x16\3\1\0\1\3";

	for (size_t n = 1; n < sizeof(hello); n++)
		CU_ASSERT_EQUAL(probe(hello, n, "", 0, false), n < 11 ? PROBE_MORE : PROBE_YES);
	for (size_t n = 1; n < sizeof(bytewise); n++)
		CU_ASSERT_EQUAL(probe(bytewise, n, "", 0, false), n < 36 ? PROBE_MORE : PROBE_YES);
	CU_ASSERT_EQUAL(probe("", 0, "", 0, false), PROBE_MORE);
	CU_ASSERT_EQUAL(probe("", 0, LIT(hello), false), PROBE_YES);
	CU_ASSERT_EQUAL(probe(LIT(hello), LIT("\x15\3\1\0\2\2\x28"), false), PROBE_YES);
	CU_ASSERT_EQUAL(probe(LIT(hello), LIT("220 ready\r\n"), false), PROBE_NO);
	CU_ASSERT_EQUAL(probe(LIT("GET / HTTP/1.1\r\n"), "", 0, false), PROBE_NO);
	CU_ASSERT_EQUAL(probe(LIT("\x16\3\5\0\xfa\1\0\0\xf6\3\3"), "", 0, false), PROBE_NO);	/* record 3.5 */
	CU_ASSERT_EQUAL(probe(LIT("\x16\3\1\0\0"), "", 0, false), PROBE_NO);			/* an empty record */
	CU_ASSERT_EQUAL(probe(LIT("\x16\3\1\x48\1"), "", 0, false), PROBE_NO);			/* a too long one */
	CU_ASSERT_EQUAL(probe(LIT("\x16\3\1\0\xfa\3\0\0\xf6\3\3"), "", 0, false), PROBE_NO);	/* no hello */
	CU_ASSERT_EQUAL(probe(LIT("\x16\3\1\0\xfa\1\2\0\xf6\3\3"), "", 0, false), PROBE_NO);	/* 128 KiB of it */
	CU_ASSERT_EQUAL(probe(LIT("\x16\3\1\0\xfa\1\0\0\x25\3\3"), "", 0, false), PROBE_NO);	/* too short for one */
	CU_ASSERT_EQUAL(probe(LIT("\x16\3\1\0\xfa\1\0\0\xf6\2\3"), "", 0, false), PROBE_NO);	/* of version 2.3 */

	/* in the middle */
	CU_ASSERT_EQUAL(probe(LIT(DATA20 DATA20), "", 0, false), PROBE_NO);
	CU_ASSERT_EQUAL(probe(LIT("\x17\3\3\0\x14" "...................."), "", 0, true), PROBE_YES);
	CU_ASSERT_EQUAL(probe(LIT("\x17\3\3\0\x14" "..................." ), "", 0, true), PROBE_MORE);
	CU_ASSERT_EQUAL(probe(LIT("\x17\3\3\0\x14" "...................." "\x17\3\3\1"), "", 0, true), PROBE_MORE);
	CU_ASSERT_EQUAL(probe(LIT("\x17\3\3\0\x14" "...................." "\x17\3\3\1\1"), "", 0, true), PROBE_YES);
	CU_ASSERT_EQUAL(probe(LIT("\x17\3\3\0\x14" "...................." "x\3\3\1\1"), "", 0, true), PROBE_MORE);
	CU_ASSERT_EQUAL(probe(LIT("\x17\3\3\1\x14" "..."), LIT("\x17\3\3\2\x14" "..."), true), PROBE_YES);
	CU_ASSERT_EQUAL(probe(LIT("\x17\3\3\1\x14" "..."), LIT("middle of a record"), true), PROBE_MORE);
	CU_ASSERT_EQUAL(probe(LIT("neither is"), LIT("anything known"), true), PROBE_NO);
	CU_ASSERT_EQUAL(probe(LIT("\x17\3\3\0\4...."), "", 0, true), PROBE_MORE);	/* shorter than any cipher makes it */
}

/* Other binary protocols that begin alike. */
static void not_tls(void)
{
	static const struct {
		const char *p;
		size_t n;
	} rows[] = {
		{ LIT("\x16\3\1\2\0\2\0\0\0\0\0\0") }, { LIT("\3\0\0\x13\x0e\xe0\0\0\0\0\0\1\0\x08\0\3\0\0\0") }, { LIT("\x80\0\0\x28\x12\x34\x56\x78\0\0\0\0\0\0\0\2") },
		{ LIT("\x16\3\3\0\x28garbagegarbagegarbagegarbagegarbagegarba") }, { LIT("\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23\xff\xfd\x27") },
		{ LIT("\x17\3\3\0\x14" "...................." "\x17\3\3\0\x14" "....................") },
	};
	struct flowtest_result r;

	for (unsigned i = 0; i < COUNT(rows); i++) {
		up.n = down.n = 0;
		tb_bytes(&up, rows[i].p, rows[i].n);
		r = run();		/* some are another protocol's, and told so */
		CU_ASSERT_NOT_EQUAL(r.app, APP_TLS);
		CU_ASSERT_PTR_NULL(strstr(r.text, "tls {"));
		flowtest_free(&r);
	}
}

const struct unit_test tests_tls[] = {
	{ "TLS 1.3", real_tls13 },
	{ "TLS 1.3 resumed", real_tls13_psk },
	{ "TLS 1.3 after a HelloRetryRequest", real_tls13_retry },
	{ "TLS 1.2", real_tls12 },
	{ "TLS 1.2 resumed by ticket", real_tls12_ticket },
	{ "TLS 1.2 resumed by session id", real_tls12_id },
	{ "TLS 1.2 without a certificate", real_tls12_anon },
	{ "TLS 1.1", real_tls11 },
	{ "TLS 1.0", real_tls10 },
	{ "refused by an alert", real_refused },
	{ "records of any size", records_of_any_size },
	{ "SSLv3 and SSLv2", old_versions },
	{ "early data", early_data },
	{ "one side only", one_side },
	{ "a client that is the responder", turned },
	{ "alerts", alerts },
	{ "gaps", gaps },
	{ "messages of 64 KiB", long_messages },
	{ "stuffed hellos", stuffed },
	{ "names in SNI", snis },
	{ "another name after a retry", retry_elsewhere },
	{ "lengths that lie", lies },
	{ "hostile bytes", hostile },
	{ "recognition", recognition },
	{ "not TLS", not_tls },
	{ 0 },
};
