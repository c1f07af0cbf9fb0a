/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quic and dtls: hellos sealed, split, turned around and broken. Packets are sealed here, by nettle and RFC 9001; that the salts are the
 * right ones is shown by captures of real clients only. */
#include <nettle/aes.h>
#include <nettle/gcm.h>
#include <nettle/hkdf.h>
#include <nettle/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#include "dpi/proto/quic_crypt.h"
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

#define V1 0x00000001u
#define V2 0x6b3343cfu
#define DRAFT_29 0xff00001du
#define CID "\x83\x94\xc8\xf0\x3e\x51\x57\x08"
#define ODD(name) "anomaly {'type':'proto','event':'" name "','layer':'proto'}\n"

/* ---- sealing ---- */

static void label(const uint8_t *secret, const char *text, uint8_t *out, size_t n)
{
	uint8_t info[64] = { 0, (uint8_t)n, (uint8_t)(6 + strlen(text)) };
	struct hmac_sha256_ctx ctx;

	memcpy(info + 3, "tls13 ", 6);
	memcpy(info + 9, text, strlen(text));
	hmac_sha256_set_key(&ctx, 32, secret);
	hkdf_expand(&ctx, (nettle_hash_update_func *)hmac_sha256_update, (nettle_hash_digest_func *)hmac_sha256_digest, 32, 10 + strlen(text), info, n, out);
}

static const char *salt_of(uint32_t version)
{
	return version == V1 ? "\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a" :
	       version == V2 ? "\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9" :
			       "\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99";
}

/* An Initial with an 8 byte destination id; keys by `cid`. Returns its length. */
static size_t seal(uint8_t *out, uint32_t version, const char *dcid, const char *cid, uint8_t number, const uint8_t *frames, size_t n)
{
	const char *const names[2][3] = { { "quic key", "quic iv", "quic hp" }, { "quicv2 key", "quicv2 iv", "quicv2 hp" } };
	uint8_t initial[32], client[32], key[16], iv[12], hp[16], mask[16];
	struct gcm_aes128_ctx gcm;
	struct hmac_sha256_ctx mac;
	struct aes128_ctx aes;
	size_t head;

	hmac_sha256_set_key(&mac, 20, (const uint8_t *)salt_of(version));
	hmac_sha256_update(&mac, 8, (const uint8_t *)cid);
	hmac_sha256_digest(&mac, 32, initial);
	label(initial, "client in", client, 32);
	label(client, names[version == V2][0], key, 16);
	label(client, names[version == V2][1], iv, 12);
	label(client, names[version == V2][2], hp, 16);
	out[0] = version == V2 ? 0xd0 : 0xc0;
	for (int i = 0; i < 4; i++)
		out[1 + i] = (uint8_t)(version >> (24 - 8 * i));
	out[5] = 8;
	memcpy(out + 6, dcid, 8);
	out[14] = 0;		/* source id */
	out[15] = 2;		/* token */
	out[16] = out[17] = 0xaa;
	out[18] = (uint8_t)(0x40 | (n + 17) >> 8);
	out[19] = (uint8_t)(n + 17);
	out[20] = number;
	head = 21;
	iv[11] ^= number;
	gcm_aes128_set_key(&gcm, key);
	gcm_aes128_set_iv(&gcm, 12, iv);
	gcm_aes128_update(&gcm, head, out);
	gcm_aes128_encrypt(&gcm, n, out + head, frames);
	gcm_aes128_digest(&gcm, 16, out + head + n);
	aes128_set_encrypt_key(&aes, hp);
	aes128_encrypt(&aes, 16, mask, out + 20 + 4);
	out[0] ^= mask[0] & 0x0f;
	out[20] ^= mask[1];
	return head + n + 16;
}

/* ---- hellos ---- */

#define HELLO "01 [3 0303 11*32 00 [2 1301 1302] 0100 [2 0000 [2 [2 00 [2 'quic.example'] ] ] 0010 [2 [2 02 'h3'] ] 002b [2 02 0304] 0039 [2 7129 08 'Agent/99'] ] ]"

/* A CRYPTO frame of hello bytes from..to, behind what is in frames. */
static size_t crypto(uint8_t *frames, size_t at, const uint8_t *hello, size_t from, size_t to)
{
	frames[at++] = 6;
	frames[at++] = (uint8_t)(0x40 | from >> 8);
	frames[at++] = (uint8_t)from;
	frames[at++] = (uint8_t)(0x40 | (to - from) >> 8);
	frames[at++] = (uint8_t)(to - from);
	memcpy(frames + at, hello + from, to - from);
	return at + to - from;
}

static const struct flowtest udp = { .dport = 4433, .udp = true };

static void said(const char *what, const struct flowtest_step *s, unsigned n, const char *version, bool hello)
{
	struct flowtest_result r = flowtest_run(&udp, s, n);
	char want[256];

	CU_ASSERT_EQUAL(r.app, APP_QUIC);
	snprintf(want, sizeof(want), "quic {\"version\":\"%s\"%s", version, hello ? ",\"sni\":\"quic.example\",\"ua\":\"Agent/99\",\"ja4\":\"q13d0204h3_" : "}");
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, want));
	if (!strstr(r.text, want))
		printf("\n%s: wanted %s\ntold %s\n", what, want, r.text);
	flowtest_free(&r);
	flowtest_every_prefix(&udp, s, n);
}

static void test_initial(void)
{
	static const struct { uint32_t version; const char *name; } rows[] = { { V1, "1" }, { V2, "2" }, { DRAFT_29, "draft-29" } };
	uint8_t hello[512], frames[2][1300] = { { 0 } }, packet[3][1500];
	size_t n = talk_bytes(HELLO, hello, sizeof(hello)), at, len[3];

	for (unsigned i = 0; i < 3; i++) {
		memset(frames, 0, sizeof(frames));
		crypto(frames[0], 3, hello, 0, n);
		len[0] = seal(packet[0], rows[i].version, CID, CID, 0, frames[0], 1160);
		said(rows[i].name, &(struct flowtest_step){ DIR_TOSERVER, packet[0], len[0] }, 1, rows[i].name, true);

		/* pieces in the wrong order, some twice, over two packets; the second one goes to the id that the server chose */
		memset(frames, 0, sizeof(frames));
		at = crypto(frames[0], 0, hello, 50, 70);
		at = crypto(frames[0], at, hello, n - 20, n);
		at = crypto(frames[0], at, hello, 65, 75);
		crypto(frames[0], at, hello, 0, 4);
		at = crypto(frames[1], 1, hello, 2, 50);
		crypto(frames[1], at, hello, 72, n - 20);
		len[0] = seal(packet[0], rows[i].version, CID, CID, 0, frames[0], 1160);
		len[1] = seal(packet[1], rows[i].version, "srvrcid1", CID, 1, frames[1], 1160);
		{
			const struct flowtest_step s[] = { { DIR_TOSERVER, packet[0], len[0] }, STEP_DOWN("\xc0\0\0\0\1\0\x08srvrcid1\0\x05zzzzz"), { DIR_TOSERVER, packet[1], len[1] } };

			said("in pieces", s, 3, rows[i].name, true);
			said("one piece only", s, 1, rows[i].name, false);
		}

		/* after a Retry keys are made of the new id */
		memset(frames, 0, sizeof(frames));
		crypto(frames[0], 0, hello, 0, n);
		len[2] = seal(packet[2], rows[i].version, "retrycid", "retrycid", 1, frames[0], 1160);
		{
			const struct flowtest_step s[] = { { DIR_TOSERVER, packet[1], len[1] }, { DIR_TOSERVER, packet[2], len[2] } };

			said("after a Retry", s, 2, rows[i].name, true);
		}
	}
}

/* Nothing is told of packets that cannot be opened. */
static void test_sealed_wrong(void)
{
	uint8_t hello[512], frames[1300] = { 0 }, packet[1500];
	size_t n = talk_bytes(HELLO, hello, sizeof(hello)), len;
	struct flowtest_step s[40];
	struct flowtest_result r;

	crypto(frames, 0, hello, 0, n);
	len = seal(packet, V1, CID, CID, 0, frames, 1160);
	packet[len - 1] ^= 1;
	for (unsigned i = 0; i < 40; i++)
		s[i] = (struct flowtest_step){ DIR_TOSERVER, packet, len };
	r = flowtest_run(&udp, s, 40);
	CU_ASSERT_EQUAL(r.app, APP_QUIC);
	CU_ASSERT_STRING_EQUAL(r.text, "");
	flowtest_free(&r);
}

static void test_hostile_frames(void)
{
	static const struct { const char *frames, *want; } rows[] = {
		{ "06 bfffffff 40 10 00*16", ODD("quic.hello_too_long") },	/* an offset of 1 GiB */
		{ "06 00 05 02 000100 00", ODD("quic.bad_hello") },		/* a ServerHello */
		{ "06 00 04 01 ffffff", ODD("quic.hello_too_long") },
		{ "06 00 08 01 000004 00000000", ODD("quic.bad_hello") },
		{ "06 00 7fff 01 000004", "quic {'version':'1'}\n" },		/* longer than the packet */
		{ "02 00 00 ffffffffffffffff 00 00", "quic {'version':'1'}\n" },	/* an ACK of countless ranges */
		{ "1c 00 00 00 06 00 08 01 000004 00000000", "quic {'version':'1'}\n" },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t frames[64], packet[200];
		size_t n = talk_bytes(rows[i].frames, frames, sizeof(frames)), len = seal(packet, V1, CID, CID, 0, frames, n);
		struct flowtest_step s = { DIR_TOSERVER, packet, len };
		struct flowtest_result r = flowtest_run(&udp, &s, 1);
		char *want = strdup(rows[i].want);

		for (char *c = want; *c; c++)
			*c = *c == '\'' ? '"' : *c;
		CU_ASSERT_STRING_EQUAL(r.text, want);
		if (strcmp(r.text, want))
			printf("\n%s: %s", rows[i].frames, r.text);
		free(want);
		flowtest_free(&r);
	}
}

static void test_google(void)
{
	static const struct said v[] = {
		{ "Q043", 4433, true, .app = APP_QUIC, .talk = "> 0d 01*8 'Q043' 01 00*12 a0 01 0000 'CHLO' 0300 0000 'PAD' 00 04000000 'SNI' 00 0b000000 'UAID' 0e000000 00*4 'www.a.b' 'c/1'",
		  "quic {'version':'Q043','sni':'www.a.b','ua':'c/1'}\n" },
		{ "Q046", 4433, true, .app = APP_QUIC, .talk = "> c3 'Q046' 50 01*8 00000001 00*12 'CHLO' 0100 0000 'SNI' 00 07000000 'www.a.b'",
		  "quic {'version':'Q046','sni':'www.a.b'}\n" },
		{ "tags that go back", 4433, true, .app = APP_QUIC, .talk = "> c3 'Q046' 50 01*8 00000001 00*12 'CHLO' 0200 0000 'PAD' 00 07000000 'SNI' 00 03000000 'www.a.b'",
		  "quic {'version':'Q046'}\n" },
	};
	static const struct said no[] = {
		{ "an unknown version", 443, true, .talk = "> c0 0a1a2a3a 08 00*8 08 00*8 00*100" },
		{ "no fixed bit", 443, true, .talk = "> 80 00000001 08 00*8 08 00*8 00*100" },
		{ "ids too long", 443, true, .talk = "> c0 00000001 15 00*21 00 00*100" },
		{ "short", 443, true, .talk = "> c0 00000001 08 01*8 00" },
		{ "dns", 443, true, .talk = "> 1234 0100 0001 0000 0000 0000 01 'a' 00 0001 0001" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_QUIC, no);
}

/* ---- dtls ---- */

#define DTLS_BODY(cookie) "fefd 11*32 00 " cookie " [2 c02b] 0100 [2 0000 [2 [2 00 [2 'd.example'] ] ] ]"
#define RECORD(n, body) "16 feff 0000 00*5 " n " [2 " body " ]"
/* the body is 62 bytes */
#define WHOLE "01 00003e 0000 000000 00003e " DTLS_BODY("00")
#define SERVER "02 000028 0001 000000 000028 fefd 22*32 00 c02b 00 [2 ]"

static void test_dtls(void)
{
	static const struct said v[] = {
		{ "client alone", 4433, true, .app = APP_DTLS, .talk = "> " RECORD("01", WHOLE), NULL },
		{ "with its answer", 4433, true, .app = APP_DTLS, .talk = "> " RECORD("01", WHOLE) "\n< " RECORD("01", SERVER), NULL },
		{ "in fragments, the last one first, one twice", 4433, true, .app = APP_DTLS,
		  .talk = "> " RECORD("01", "01 00003e 0000 000022 00001c 00 00 [2 c02b] 0100 [2 0000 [2 [2 00 [2 'd.example'] ] ] ]") "\n> " RECORD("02", "01 00003e 0000 000000 000010 fefd 11*14")
		  "\n> " RECORD("03", "01 00003e 0000 000008 000010 11*16") "\n> " RECORD("04", "01 00003e 0000 000018 00000a 11*10"), NULL },
		{ "a fragment outside", 4433, true, .app = APP_DTLS, .talk = "> " RECORD("01", WHOLE) "\n> " RECORD("02", "01 000010 0000 000010 000001 00"), NULL },
		{ "longer than is kept", 4433, true, .app = APP_DTLS, .talk = "> " RECORD("01", "01 00ffff 0000 000000 000004 fefd 0000"), ODD("dtls.hello_too_long") },
		{ "a hello that is none", 4433, true, .app = APP_DTLS, .talk = "> " RECORD("01", "01 000004 0000 000000 000004 fefd 0000"), ODD("dtls.bad_hello") },
	};
	static const struct said no[] = {
		{ "TLS' version", 4433, true, .talk = "> 16 0301 0000 00*5 01 [2 " WHOLE " ]" },
		{ "a record that is cut", 4433, true, .talk = "> 16 feff 0000 00*5 01 0100 01 00003e" },
		{ "a fragment beyond its message", 4433, true, .talk = "> " RECORD("01", "01 000010 0000 000010 000001 00") },
		{ "message 99", 4433, true, .talk = "> " RECORD("01", "63 000001 0000 000000 000001 00") },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_DTLS, no);
	for (unsigned i = 0; i < 3; i++) {	/* the same facts however it came */
		struct flowtest_step s[8] = { { 0 } };
		uint8_t room[8][512];
		struct flowtest_result r;
		unsigned n = 0;

		for (const char *line = v[i].talk; line && n < 8; n++) {
			const char *nl = strchr(line, '\n');
			char *one = strndup(line + 1, nl ? (size_t)(nl - line - 1) : strlen(line + 1));

			s[n] = (struct flowtest_step){ *line == '<' ? DIR_TOCLIENT : DIR_TOSERVER, room[n], talk_bytes(one, room[n], sizeof(room[n])) };
			free(one);
			line = nl ? nl + 1 : NULL;
		}
		r = flowtest_run(&udp, s, n);
		CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "dtls {\"sni\":\"d.example\",\"ja4\":\"dd2d0101"));
		CU_ASSERT_EQUAL(strstr(r.text, "\"version\":\"DTLS 1.2\",\"cipher\":") != NULL, i == 1);
		if (!strstr(r.text, "d.example"))
			printf("\n%s: %s\n", v[i].what, r.text);
		flowtest_free(&r);
	}
}

const struct unit_test tests_quic[] = {
	{ "initial packets of all versions", test_initial },
	{ "packets that cannot be opened", test_sealed_wrong },
	{ "frames made to hurt", test_hostile_frames },
	{ "google's versions, and what is not quic", test_google },
	{ "dtls", test_dtls },
	{ NULL, NULL },
};
