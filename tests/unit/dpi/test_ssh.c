/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssh: version lines, key exchange and hassh, and what tries to pass for them. In what is wanted ' stands for ". */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/dpi/flowtest.h"
#include "tests/unit/unit.h"

#define CLIENT "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"
#define SERVER "SSH-2.0-dropbear_2022.83\n"
#define CLIENT_TOLD "'client':{'proto_version':'2.0','software_version':'OpenSSH_9.2p1','comments':'Debian-2'"
#define SERVER_TOLD "'server':{'proto_version':'2.0','software_version':'dropbear_2022.83'"
#define HASSH ",'hassh':{'hash':'15afbc5a00ddeb8defea72eb0affdd00','string':'kx1,kx2;enc-c;mac-c;zip-c'}}"
#define HASSH_SERVER ",'hassh':{'hash':'33019af5b58a8394fbfadc217f0af5a7','string':'kx1,kx2;enc-s;mac-s;zip-s'}}"

static bool same(const char *text, const char *want)
{
	char *q = strdup(want);
	bool ok;

	for (char *c = q; c && *c; c++)
		if (*c == '\'')
			*c = '"';
	ok = q && strcmp(text, q) == 0;
	if (!ok)
		printf("\nwanted %s\ntold   %s", q, text);
	free(q);
	return ok;
}

struct buf {
	size_t n;
	uint8_t b[70000];
};

static void put(struct buf *b, const void *p, size_t n)
{
	memcpy(b->b + b->n, p, n);
	b->n += n;
}

static void put_u32(struct buf *b, uint32_t v)
{
	const uint8_t be[] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

	put(b, be, 4);
}

/* A packet with the message number and payload. */
static void put_packet(struct buf *b, uint8_t number, const void *payload, size_t n)
{
	const uint8_t padding = 6;

	put_u32(b, (uint32_t)(2 + n + padding));
	put(b, &padding, 1);
	put(b, &number, 1);
	put(b, payload, n);
	put(b, "\0\0\0\0\0\0", padding);
}

/* KEXINIT with these lists; lie is added to the length of the last one. */
static void put_kexinit(struct buf *b, const char *const list[10], uint32_t lie)
{
	static struct buf p;

	p.n = 0;
	put(&p, "cookie-cookie-cc", 16);
	for (unsigned i = 0; i < 10; i++) {
		put_u32(&p, (uint32_t)strlen(list[i]) + (i == 9 ? lie : 0));
		put(&p, list[i], strlen(list[i]));
	}
	put(&p, "\0\0\0\0\0", 5);
	put_packet(b, 20, p.b, p.n);
}

static const char *const lists[10] = { "kx1,kx2", "rsa", "enc-c", "enc-s", "mac-c", "mac-s", "zip-c", "zip-s", "", "" };

static struct buf up, down;

static void start(const char *client, const char *server)
{
	up.n = down.n = 0;
	put(&up, client, strlen(client));
	put(&down, server, strlen(server));
}

static void test_both(void)
{
	struct flowtest_step s[4];
	char *text;

	start(CLIENT, SERVER);
	put_kexinit(&up, lists, 0);
	put_packet(&up, 30, "guess", 5);
	put_packet(&down, 2, "ignored", 7);
	put_kexinit(&down, lists, 0);
	put_packet(&down, 31, "reply", 5);
	s[0] = (struct flowtest_step){ DIR_TOCLIENT, down.b, sizeof(SERVER) - 1 };
	s[1] = (struct flowtest_step){ DIR_TOSERVER, up.b, up.n };
	s[2] = (struct flowtest_step){ DIR_TOCLIENT, down.b + s[0].n, down.n - s[0].n };
	s[3] = (struct flowtest_step)STEP_UP("\377\377\377\377sealed");
	text = flowtest_every_cut(&(struct flowtest){ .dport = 8000 }, s, 4);
	CU_ASSERT_TRUE(same(text, "ssh {" CLIENT_TOLD HASSH "," SERVER_TOLD HASSH_SERVER "}\n"));
	free(text);
	flowtest_every_prefix(&(struct flowtest){ .dport = 22, .v6 = true }, s, 4);
}

/* What is known is told at the end, once. */
static void test_unfinished(void)
{
	static const char *const bare[10] = { "kx1", "", "", "", "", "", "", "", "", "" };
	struct flowtest_result r;

	start(CLIENT, SERVER);
	r = flowtest_run(&(struct flowtest){ .dport = 22 }, (const struct flowtest_step[]){ { DIR_TOSERVER, up.b, up.n }, { DIR_TOCLIENT, down.b, down.n } }, 2);
	CU_ASSERT_EQUAL(r.app, APP_SSH);
	CU_ASSERT_TRUE(same(r.text, "ssh {" CLIENT_TOLD "}," SERVER_TOLD "}}\n"));
	flowtest_free(&r);

	put_kexinit(&down, bare, 0);
	r = flowtest_run(&(struct flowtest){ .dport = 22 }, (const struct flowtest_step[]){ { DIR_TOCLIENT, down.b, down.n } }, 1);
	CU_ASSERT_EQUAL(r.app, APP_SSH);
	CU_ASSERT_TRUE(same(r.text, "ssh {" SERVER_TOLD ",'hassh':{'hash':'650163243a2aaa85276aedaae0249514','string':'kx1;;;'}}}\n"));
	flowtest_free(&r);
}

static void test_lines(void)
{
	static const struct { const char *client, *server, *want; } rows[] = {
		{ "SSH-1.5-1.2.26\n", "SSH-1.5-old sshd\n",
		  "ssh {'client':{'proto_version':'1.5','software_version':'1.2.26'},'server':{'proto_version':'1.5','software_version':'old','comments':'sshd'}}\n" },
		{ "SSH-1.99-x\r\n", "Welcome\r\n\r\nSSHD here\r\nSSH-1.99-Cisco-1.25\r\n",
		  "ssh {'client':{'proto_version':'1.99','software_version':'x'},'server':{'proto_version':'1.99','software_version':'Cisco-1.25'}}\n" },
		{ "SSH-2.0-\r\n", "SSH-2.0-a  b c\r\n",
		  "ssh {'client':{'proto_version':'2.0','software_version':''},'server':{'proto_version':'2.0','software_version':'a','comments':' b c'}}\n" },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct flowtest_step s[] = { { DIR_TOSERVER, rows[i].client, strlen(rows[i].client) }, { DIR_TOCLIENT, rows[i].server, strlen(rows[i].server) } };
		char *text = flowtest_every_cut(&(struct flowtest){ .dport = 2222 }, s, 2);

		CU_ASSERT_TRUE(same(text, rows[i].want));
		free(text);
	}
}

/* Lists longer than a record tells: the hash is over all of them. */
static void test_long_lists(void)
{
	static char kex[30001], enc[30001];
	const char *const longs[10] = { kex, "", enc, "", "m", "", "z", "", "", "" };
	struct flowtest_result r;

	memset(kex, 'k', sizeof(kex) - 1);
	memset(enc, 'e', sizeof(enc) - 1);
	start(CLIENT, SERVER);
	put_kexinit(&up, longs, 0);
	r = flowtest_run(&(struct flowtest){ .dport = 22, .cut = 1400 }, (const struct flowtest_step[]){ { DIR_TOSERVER, up.b, up.n }, { DIR_TOCLIENT, down.b, down.n } }, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "70e0d63c56477e2bbdcf038856e15c95"));
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "dropbear"));
	CU_ASSERT_EQUAL(r.bad, 0);
	flowtest_free(&r);
}

static void hostile(const char *event, const char *want)
{
	struct flowtest_result r = flowtest_run(&(struct flowtest){ .dport = 22 }, (const struct flowtest_step[]){ { DIR_TOSERVER, up.b, up.n } }, 1);
	char *cut = flowtest_every_cut(&(struct flowtest){ .dport = 22 }, (const struct flowtest_step[]){ { DIR_TOSERVER, up.b, up.n < 300 ? up.n : 300 } }, 1);

	CU_ASSERT_EQUAL(r.app, APP_SSH);
	CU_ASSERT_EQUAL(r.bad, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, event));
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, want));
	if (!strstr(r.text, event))
		printf("\nwanted %s\ntold %s", event, r.text);
	flowtest_free(&r);
	free(cut);
}

static void test_hostile(void)
{
	static char line[65537];

	memset(line, 'a', sizeof(line) - 1);
	memcpy(line, "SSH-2.0-", 8);
	start(line, "");
	hostile("ssh.line_too_long", "");
	start(CLIENT, "");
	put_kexinit(&up, lists, 0x7fffffff);
	hostile("ssh.kexinit", "OpenSSH_9.2p1");
	start(CLIENT, "");
	put_kexinit(&up, lists, 0xffffffff);
	hostile("ssh.kexinit", "OpenSSH_9.2p1");
	start(CLIENT, "");
	put_packet(&up, 20, "short", 5);
	hostile("ssh.kexinit", "OpenSSH_9.2p1");
	start(CLIENT, "");
	put_u32(&up, 0xffffffff);
	hostile("ssh.packet_length", "OpenSSH_9.2p1");
	start(CLIENT, "");
	put_u32(&up, 65533);
	hostile("ssh.packet_length", "OpenSSH_9.2p1");
	start(CLIENT, "");
	put_u32(&up, 1);
	hostile("ssh.packet_length", "OpenSSH_9.2p1");
	start(CLIENT, "");
	put(&up, "\0\0\0\5\5\24abc", 9);
	hostile("ssh.padding", "OpenSSH_9.2p1");
	start(CLIENT, "");
	for (unsigned i = 0; i < 17; i++)
		put_packet(&up, 2, "", 0);
	hostile("ssh.no_kexinit", "OpenSSH_9.2p1");
}

/* A greeting of so many lines, without a version line. */
static void test_greeting(void)
{
	struct flowtest_result r;

	start("SSH-2.0-c\r\n", "");
	for (unsigned i = 0; i < 65; i++)
		put(&down, "no\r\n", 4);
	r = flowtest_run(&(struct flowtest){ .dport = 22 }, (const struct flowtest_step[]){ { DIR_TOSERVER, up.b, up.n }, { DIR_TOCLIENT, down.b, down.n } }, 2);
	CU_ASSERT_EQUAL(r.bad, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "ssh.no_version"));
	flowtest_free(&r);
}

static void test_refused(void)
{
	static const char *const rows[] = {
		"SSH\r\n", "SSH-a.b-c\r\n", "SSH-2-x\r\n", "SSH-.2-x\r\n", "SSH-2.0.1-x\r\n", "ssh-2.0-x\r\n", "SSH-2.0\r\n", "SSH-2222.22222-x\r\n", " SSH-2.0-x\r\n",
		"EHLO SSH-2.0-x\r\n",
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct flowtest_result r = flowtest_run(&(struct flowtest){ .dport = 22 }, (const struct flowtest_step[]){ { DIR_TOSERVER, rows[i], strlen(rows[i]) } }, 1);

		CU_ASSERT_NOT_EQUAL(r.app, APP_SSH);
		flowtest_free(&r);
	}
}

const struct unit_test tests_ssh[] = {
	{ "both sides, one event, however cut", test_both },
	{ "what is known is told at the end", test_unfinished },
	{ "version lines", test_lines },
	{ "lists longer than a record", test_long_lists },
	{ "lengths that lie, lines without an end", test_hostile },
	{ "a greeting without a version", test_greeting },
	{ "what is not SSH is refused", test_refused },
	{ NULL, NULL },
};
