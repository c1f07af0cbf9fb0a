/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/vector.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOSTILE_RUNS 3000u

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

static unsigned nsteps(const struct flowtest_step *s)
{
	unsigned n = 0;

	while (n < VECTOR_STEPS && s[n].n)
		n++;
	return n;
}

void vectors_run(const struct flowtest *ft, enum app app, const struct vector *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct flowtest_result r = flowtest_run(ft, v[i].steps, nsteps(v[i].steps));
		char *text = flowtest_every_cut(ft, v[i].steps, nsteps(v[i].steps));

		CU_ASSERT_EQUAL(r.app, app);
		CU_ASSERT_EQUAL(r.bad, v[i].bad);
		if (r.app != app || r.bad != v[i].bad)
			printf("\n%s: app %s, %u parse errors\n", v[i].name, app_name(r.app), r.bad);
		CU_ASSERT_TRUE(same(v[i].name, text, v[i].want));
		flowtest_free(&r);
		free(text);
		flowtest_every_prefix(ft, v[i].steps, nsteps(v[i].steps));
	}
}

enum probe vector_probe(const struct proto *p, const void *up, size_t nup, const void *down, size_t ndown, bool midstream)
{
	/* in memory of their own, so that a sanitizer sees a read past the end */
	uint8_t *u = malloc(nup ? nup : 1), *d = malloc(ndown ? ndown : 1);
	struct probe_in in = { .now = ndown ? DIR_TOCLIENT : DIR_TOSERVER, .l4 = p->l4 & PROTO_TCP ? PROTO_TCP : PROTO_UDP, .midstream = midstream,
		.sport = 40000, .dport = 7000 };
	enum probe r;

	if (!u || !d)
		abort();
	if (nup)
		memcpy(u, up, nup);
	if (ndown)
		memcpy(d, down, ndown);
	in.dir[DIR_TOSERVER] = cur_of(u, nup);
	in.dir[DIR_TOCLIENT] = cur_of(d, ndown);
	r = p->probe(&in);
	free(u);
	free(d);
	return r;
}

void vectors_strangers(const struct proto *p, const char *except)
{
#define B(name, lit) { name, lit, sizeof(lit) - 1 }
	static const struct { const char *name, *p; size_t n; } rows[] = {
		B("http", "GET / HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\n\r\n"), B("http answer", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
		B("http2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"), B("tls", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" "abcdefghijklmnopqrstuvwxyz"),
		B("ssh", "SSH-2.0-OpenSSH_9.6\r\n"), B("smtp", "220 mail.example ESMTP ready\r\n"), B("ehlo", "EHLO client.example\r\n"),
		B("ftp", "220 (vsFTPd 3.0.3)\r\n"), B("pop3", "+OK ready <1.2@pop.example>\r\n"), B("imap", "* OK IMAP4rev1 ready\r\n"),
		B("redis", "*2\r\n$3\r\nGET\r\n$1\r\na\r\n"), B("redis answer", "$5\r\nhello\r\n"), B("telnet", "\xff\xfb\x01\xff\xfb\x03\xff\xfd\x18\xff\xfd\x1f"),
		B("dns tcp", "\0\x1d\x12\x34\1\0\0\1\0\0\0\0\0\0\3www\7example\3com\0\0\1\0\1"), B("sip", "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/TCP a\r\n\r\n"),
		B("mysql", "\x4a\0\0\0\x0a" "8.0.36\0\x0b\0\0\0abcdefgh\0\xff\xff\xff\2\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0abcdefghijkl\0caching_sha2_password\0"),
		B("postgres", "\0\0\0\x21\0\3\0\0user\0bob\0database\0shop\0\0"), B("postgres ssl", "\0\0\0\x08\x04\xd2\x16\x2f"),
		B("mongodb", "\x3a\0\0\0\1\0\0\0\0\0\0\0\xd4\7\0\0\0\0\0\0admin.$cmd\0\0\0\0\0\xff\xff\xff\xff\x13\0\0\0\x10isMaster\0\1\0\0\0\0"),
		B("memcached", "set k 0 60 3\r\nabc\r\n"), B("memcached binary", "\x80\x00\0\1\0\0\0\0\0\0\0\1\0\0\0\7\0\0\0\0\0\0\0\0k"),
		B("cassandra", "\4\0\0\0\1\0\0\0\x16\0\1\0\x0b" "CQL_VERSION\0\5" "3.0.0"), B("tds prelogin", "\x12\1\0\x2f\0\0\1\0\0\0\x1a\0\6\1\0\x20\0\1\2\0\x21\0\1\3\0\x22\0\4\4\0\x26\0\1\xff\t\0\0\0\0\0\1\0\0\0\0\0\0"),
		B("tns", "\0\x3a\0\0\1\0\0\0\1\x3a\1\x2c\0\0\x20\0\x7f\xff\xc6\x0e\0\0\1\0\0\0\0\x3a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
		B("zookeeper", "\0\0\0\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x75\x30\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
		B("drda", "\0\x29\xd0\x41\0\1\0\x23\x10\x41\0\x0c\x11\x5e\x84\x82\xf2\x83\x93\x89\x85\x95\0\5\x11\x6d\xa7\0\x0e\x14\4\x14\3\0\7\x24\7\0\7"),
		B("aerospike", "\2\1\0\0\0\0\0\5node\n"), B("amqp", "AMQP\0\0\x09\x01"), B("mqtt", "\x10\x10\0\4MQTT\4\2\0\x3c\0\4" "abcd"),
		B("kafka", "\0\0\0\x1d\0\x12\0\3\0\0\0\1\0\6" "client\0\5" "a.b.c\4" "1.0\0"), B("nats", "INFO {\"server_id\":\"N\"}\r\n"), B("ldap", "\x30\x0c\2\1\1\x60\7\2\1\3\4\0\x80\0"),
		B("smb", "\0\0\0\x40\xfe" "SMB\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), B("rdp", "\3\0\0\x13\x0e\xe0\0\0\0\0\0\1\0\x08\0\3\0\0\0"),
		B("modbus", "\0\1\0\0\0\6\1\3\0\0\0\x0a"), B("vnc", "RFB 003.008\n"), B("bgp", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\x1d\1\4\xfd\xe8\0\xb4\1\1\1\1\0"),
		B("thrift", "\0\0\0\x11\x80\1\0\1\0\0\0\4ping\0\0\0\1\0"), B("dubbo", "\xda\xbb\xc2\0\0\0\0\0\0\0\0\1\0\0\0\1N"), B("epmd", "\0\1n"), B("zmtp", "\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL"),
		B("zeroes", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), B("ones", "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1"),
		B("text", "hello there, general\r\nhow are you\r\n"), B("bittorrent", "\x13" "BitTorrent protocol\0\0\0\0\0\0\0\0"), B("rtsp", "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
	};
#undef B

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (except && strstr(rows[i].name, except))
			continue;
		for (unsigned k = 0; k < 6; k++) {	/* from the client, from the server, both; from the beginning or not */
			bool mid = k >= 3;
			enum probe up = vector_probe(p, rows[i].p, k % 3 == 1 ? 0 : rows[i].n, rows[i].p, k % 3 ? rows[i].n : 0, mid);

			CU_ASSERT_NOT_EQUAL(up, PROBE_YES);
			if (up == PROBE_YES)
				printf("\n%s takes %s (case %u)\n", p->name, rows[i].name, k);
		}
	}
}

void vectors_hostile(const struct flowtest *ft, const struct vector *v)
{
	struct flowtest_step steps[VECTOR_STEPS];
	uint8_t *copy[VECTOR_STEPS] = { NULL };
	unsigned n = nsteps(v->steps);
	uint32_t seed = 12345;

	for (unsigned run = 0; run < HOSTILE_RUNS; run++) {
		struct flowtest_result r;

		memcpy(steps, v->steps, sizeof(steps));
		for (unsigned i = 0; i < n; i++) {
			copy[i] = malloc(steps[i].n);
			if (!copy[i])
				abort();
			memcpy(copy[i], steps[i].p, steps[i].n);
			for (unsigned k = 0; k < 1 + run % 3; k++) {
				static const uint8_t odd[] = { 0, 1, 0x7f, 0x80, 0xfe, 0xff };

				seed = seed * 1664525u + 1013904223u;
				/* the first bytes of a conversation are let be most of the time, so that it is still recognised */
				if (!i && run % 4 && (seed >> 8) % steps[i].n < 12)
					continue;
				copy[i][(seed >> 8) % steps[i].n] = run & 1 ? odd[seed % 6] : (uint8_t)(seed >> 24);
			}
			steps[i].p = copy[i];
		}
		r = flowtest_run(ft, steps, n);
		CU_ASSERT_PTR_NOT_NULL(r.text);
		flowtest_free(&r);
		for (unsigned i = 0; i < n; i++)
			free(copy[i]);
	}
}
