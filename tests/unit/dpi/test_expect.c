/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Flows that other flows announce: the table, and ftp, tftp, sip and rtsp that fill it. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/dpi/coretest.h"
#include "tests/unit/unit.h"

#define UP DIR_TOSERVER
#define DOWN DIR_TOCLIENT
#define LIFE (60 * SEC)

/* ---- the table ---- */

static struct flow_key key(uint8_t lo, uint16_t lo_port, uint8_t hi, uint16_t hi_port)
{
	struct flow_key k = { .lo_port = lo_port, .hi_port = hi_port, .ipproto = IPPROTO_TCP };

	k.lo = addr_v4((uint8_t[]){ 10, 0, 0, lo });
	k.hi = addr_v4((uint8_t[]){ 10, 0, 0, hi });
	return k;
}

static struct mem *mem;

static void table_open(struct expect *t, uint32_t max)
{
	static const struct hash_key k = { { 1, 2 } };

	mem = mem_new(4 << 20);
	CU_ASSERT_FATAL(mem && expect_init(t, max, mem, &k));
}

static void table_close(struct expect *t)
{
	struct mem_stats s;

	expect_expire(t, INT64_MAX);
	CU_ASSERT_EQUAL(t->used, 0);
	mem_get_stats(mem, &s);
	CU_ASSERT_EQUAL(s.used, 0);	/* no note is left */
	expect_free(t);
	mem_free_all(mem);
}

static struct saved *note(uint8_t what)
{
	struct saved *s = mem_alloc(mem, sizeof(*s) + 8);

	s->len = 8;
	memset(s->body, what, 8);
	return s;
}

static void note_drop(struct saved *s) { mem_release(mem, s, sizeof(*s) + s->len); }

static uint32_t add(struct expect *t, const struct flow_key *control, uint64_t id, bool hi, uint16_t port, uint8_t what, bool *cap)
{
	struct announcement a = { .control = control, .id = id, .hi = hi, .port = port, .ipproto = IPPROTO_TCP, .proto = &proto_toy, .note = what ? note(what) : NULL, .life = LIFE };
	bool full;
	uint32_t h = expect_add(t, &a, 0, &full);

	if (cap)
		*cap = full;
	return h;
}

static void test_match(void)
{
	struct flow_key control = key(1, 40000, 2, 21), k;
	struct expect t;
	struct saved *s;

	table_open(&t, 64);
	CU_ASSERT(add(&t, &control, 7, false, 5000, 1, NULL) != 0);
	k = key(1, 5001, 2, 20);
	CU_ASSERT(expect_match(&t, &k, 9, 1) == NULL);		/* another port */
	k = key(1, 20, 2, 5000);
	CU_ASSERT(expect_match(&t, &k, 9, 1) == NULL);		/* the other end */
	k = key(1, 5000, 3, 20);
	CU_ASSERT(expect_match(&t, &k, 9, 1) == NULL);		/* another peer */
	k = key(1, 5000, 2, 20);
	k.ipproto = IPPROTO_UDP;
	CU_ASSERT(expect_match(&t, &k, 9, 1) == NULL);
	k = key(1, 5000, 2, 20);
	k.vlan[0] = 5;
	CU_ASSERT(expect_match(&t, &k, 9, 1) == NULL);
	k.vlan[0] = 0;
	k.net = 3;
	CU_ASSERT(expect_match(&t, &k, 9, 1) == NULL);
	k.net = 0;
	CU_ASSERT(expect_match(&t, &k, 9, LIFE) == NULL);	/* too late */
	CU_ASSERT(expect_match(&t, &k, 9, LIFE - 1) == &proto_toy);
	k = key(1, 5000, 2, 1024);
	CU_ASSERT(expect_match(&t, &k, 10, 2) == NULL);	/* it is used up */
	CU_ASSERT(expect_take(&t, &k, 10) == NULL);
	k = key(1, 5000, 2, 20);
	s = expect_take(&t, &k, 9);
	CU_ASSERT_FATAL(s != NULL);
	CU_ASSERT_EQUAL(s->body[0], 1);
	note_drop(s);
	CU_ASSERT(expect_take(&t, &k, 9) == NULL);
	CU_ASSERT_EQUAL(t.used, 0);
	table_close(&t);
}

/* Both ends have one address: which of them listens is not told by the order of the key. */
static void test_loopback(void)
{
	struct expect t;

	for (int hi = 0; hi < 2; hi++)
		for (int above = 0; above < 2; above++) {
			struct flow_key control = key(1, 21, 1, 40000), k = above ? key(1, 20, 1, 5000) : key(1, 5000, 1, 6000);
			struct saved *s;

			table_open(&t, 64);
			CU_ASSERT(add(&t, &control, 7, hi, 5000, 3, NULL) != 0);
			CU_ASSERT(expect_match(&t, &k, 9, 1) == &proto_toy);
			s = expect_take(&t, &k, 9);
			CU_ASSERT_FATAL(s != NULL);
			note_drop(s);
			table_close(&t);
		}
}

static void test_notes(void)
{
	struct flow_key control = key(1, 40000, 2, 21), k = key(1, 5000, 2, 20);
	struct saved *s, *other;
	struct expect t;
	uint32_t h, again;

	table_open(&t, 64);
	h = add(&t, &control, 7, false, 5000, 1, NULL);
	CU_ASSERT(expect_note(&t, h, note(2)));
	CU_ASSERT(expect_match(&t, &k, 9, 1) == &proto_toy);
	CU_ASSERT(expect_note(&t, h, note(3)));		/* under way */
	/* the same port again, while the first one is under way: its note stays its own */
	again = add(&t, &control, 7, false, 5000, 4, NULL);
	CU_ASSERT(again && again != h);
	CU_ASSERT(expect_match(&t, &k, 11, 1) == &proto_toy);
	s = expect_take(&t, &k, 9);
	other = expect_take(&t, &k, 11);
	CU_ASSERT_FATAL(s && other);
	CU_ASSERT_EQUAL(s->body[0], 3);
	CU_ASSERT_EQUAL(other->body[0], 4);
	note_drop(s);
	note_drop(other);
	CU_ASSERT_FALSE(expect_note(&t, h, note(5)));	/* over */
	CU_ASSERT_FALSE(expect_note(&t, 0, note(5)));
	CU_ASSERT_FALSE(expect_note(&t, 0xffffffff, note(5)));
	h = add(&t, &control, 7, false, 5000, 6, NULL);	/* its slot serves somebody else now */
	CU_ASSERT_FALSE(expect_note(&t, again, note(5)));
	CU_ASSERT_EQUAL(add(&t, &control, 8, false, 5000, 7, NULL), h);	/* announced again before it began: one entry */
	CU_ASSERT_EQUAL(t.used, 1);
	table_close(&t);
}

/* One announcer gets an eighth; all together the oldest makes room. */
static void test_caps(void)
{
	struct flow_key control = key(1, 40000, 2, 21), k;
	unsigned refused = 0, pushed = 0;
	struct expect t;
	bool cap;

	table_open(&t, 64);
	for (uint16_t port = 1; port <= 20; port++)
		if (!add(&t, &control, 7, false, port, 1, &cap)) {
			CU_ASSERT_TRUE(cap);
			refused++;
		}
	CU_ASSERT_EQUAL(refused, 12);
	CU_ASSERT_EQUAL(t.used, 8);
	for (uint16_t port = 1000; port < 1100; port++)
		if (add(&t, &control, port, false, port, 1, &cap) && cap)
			pushed++;
	CU_ASSERT_EQUAL(t.used, 64);
	CU_ASSERT(pushed >= 40);
	k = key(1, 1, 2, 20);
	CU_ASSERT(expect_match(&t, &k, 9, 1) == NULL);		/* the oldest */
	k = key(1, 1099, 2, 20);
	CU_ASSERT(expect_match(&t, &k, 9, 1) == &proto_toy);	/* the youngest */
	CU_ASSERT(add(&t, &control, 7, false, 1, 1, &cap) != 0);	/* its share is free again */
	table_close(&t);
}

/* ---- ftp ---- */

struct control {
	struct core c;
	bool v6;
	uint32_t next[2];
};

static void say(struct control *v, enum dir dir, const char *text)
{
	size_t n = strlen(text);

	core_send(&v->c, &(struct spec){ .v6 = v->v6, .dir = dir, .dport = 21, .flags = TCP_ACK | TCP_PSH, .seq = v->next[dir], .ack = v->next[!dir], .p = text, .n = n });
	v->next[dir] += (uint32_t)n;
}

static void ftp_open(struct control *v, bool v6)
{
	memset(v, 0, sizeof(*v));
	core_open(&v->c, NULL);
	v->v6 = v6;
	v->next[UP] = 101;
	v->next[DOWN] = 701;
	core_send(&v->c, &(struct spec){ .v6 = v6, .dport = 21, .flags = TCP_SYN, .seq = 100 });
	core_send(&v->c, &(struct spec){ .v6 = v6, .dport = 21, .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101 });
	say(v, DOWN, "220 FTP here\r\n");
	say(v, UP, "USER bob\r\n");
	say(v, DOWN, "331 and?\r\n");
}

/* A data connection: who sends the SYN, its port, the port it goes to. What it is named at its SYN. */
static enum app data_syn(struct control *v, enum dir from, uint16_t sport, uint16_t dport)
{
	/* core_send: sport is the port of 10.0.0.1 */
	core_send(&v->c, &(struct spec){ .v6 = v->v6, .dir = from, .sport = from == UP ? sport : dport, .dport = from == UP ? dport : sport, .flags = TCP_SYN, .seq = 9000 });
	for (uint32_t i = 0; i < v->c.d->flows.nchunks; i++)
		for (uint32_t j = 0; j < FLOWS_PER_CHUNK; j++) {
			struct flow *f = &v->c.d->flows.chunk[i][j];

			if (f->state != FLOW_FREE && flow_port(f, UP) == sport && flow_port(f, DOWN) == dport)
				return (enum app)f->app;
		}
	return APP_COUNT;
}

static void data_end(struct control *v, enum dir from, uint16_t sport, uint16_t dport)
{
	struct spec s = { .v6 = v->v6, .dir = from, .sport = from == UP ? sport : dport, .dport = from == UP ? dport : sport };
	struct spec syn_ack = s, ack = s, rst = s;

	syn_ack.dir = (enum dir)!from;
	syn_ack.flags = TCP_SYN | TCP_ACK;
	syn_ack.seq = 500;
	syn_ack.ack = 9001;
	core_send(&v->c, &syn_ack);
	ack.flags = TCP_ACK;
	ack.seq = 9001;
	ack.ack = 501;
	ack.p = "GET / HTTP/1.0\r\n\r\n";	/* a file may look like anything */
	ack.n = 18;
	core_send(&v->c, &ack);
	rst.flags = TCP_RST | TCP_ACK;
	rst.seq = 9019;
	rst.ack = 501;
	core_send(&v->c, &rst);
}

static void test_ftp_active(void)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct control v;

		ftp_open(&v, v6);
		say(&v, UP, v6 ? "EPRT |2|fd00::1|5000|\r\n" : "PORT 10,0,0,1,19,136\r\n");
		say(&v, DOWN, "200 ok\r\n");
		say(&v, UP, "RETR a file.txt\r\n");
		CU_ASSERT_EQUAL(data_syn(&v, DOWN, 20, 5000), APP_FTP_DATA);
		CU_ASSERT_EQUAL(data_syn(&v, DOWN, 20, 5001), APP_UNKNOWN);
		data_end(&v, DOWN, 20, 5000);
		CU_ASSERT_EQUAL(v.c.told[EV_FTP_DATA], 1);
		CU_ASSERT_EQUAL(v.c.told[EV_HTTP], 0);
		CU_ASSERT_EQUAL(v.c.last[EV_FTP_DATA].dport, 5000);
		CU_ASSERT(strstr(v.c.text, "'command':'RETR','filename':'a file.txt'") || strstr(v.c.text, "\"command\":\"RETR\",\"filename\":\"a file.txt\""));
		CU_ASSERT_EQUAL(data_syn(&v, DOWN, 1024, 5000), APP_UNKNOWN);	/* once for each announcement */
		CU_ASSERT_EQUAL(core_counter(&v.c, DPI_C_EXPECT), 1);
		CU_ASSERT_EQUAL(core_counter(&v.c, DPI_C_EXPECT_MET), 1);
		core_close(&v.c);
	}
}

/* The client connects before it says what for. */
static void test_ftp_passive(void)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct control v;

		ftp_open(&v, v6);
		say(&v, UP, v6 ? "EPSV\r\n" : "PASV\r\n");
		say(&v, DOWN, v6 ? "229 Entering Extended Passive Mode (|||6000|)\r\n" : "227 Entering Passive Mode (10,0,0,2,23,112).\r\n");
		CU_ASSERT_EQUAL(data_syn(&v, UP, 41000, 6000), APP_FTP_DATA);
		say(&v, UP, "STOR up.bin\r\n");
		say(&v, DOWN, "150 go\r\n");
		data_end(&v, UP, 41000, 6000);
		CU_ASSERT_EQUAL(v.c.told[EV_FTP_DATA], 1);
		CU_ASSERT(strstr(v.c.text, "STOR','filename':'up.bin") || strstr(v.c.text, "STOR\",\"filename\":\"up.bin"));
		core_close(&v.c);
	}
}

/* Only an end's own address is believed. */
static void test_ftp_foreign(void)
{
	static const struct { const char *line; bool v6; } bad[] = {
		{ "PORT 10,0,0,9,19,136\r\n", false }, { "PORT 10,0,0,2,19,136\r\n", false }, { "EPRT |1|10.0.0.9|5000|\r\n", false }, { "EPRT |2|fd00::9|5000|\r\n", true },
		{ "PORT 10,0,0,1,19,136\r\n", true }, { "EPRT |1|10.0.0.1|5000|\r\n", true },
	}, broken[] = {
		{ "PORT 10,0,0,1,19\r\n", false }, { "PORT 10,0,0,1,19,256\r\n", false }, { "PORT 10,0,0,1,,136\r\n", false }, { "PORT\r\n", false }, { "EPRT |1|10.0.0.1|\r\n", false },
		{ "EPRT |2|10.0.0.1|5000|\r\n", false }, { "EPRT |1|10.0.0.1|70000|\r\n", false }, { "EPRT |1|10.0.0.1|0|\r\n", false }, { "EPRT |1|10.0.0.1|5000\r\n", false }, { "EPRT\r\n", true },
		{ "PORT 10,0,0,1,00000000019,136\r\n", false },
	};
	struct control v;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ftp_open(&v, bad[i].v6);
		say(&v, UP, bad[i].line);
		CU_ASSERT(strstr(v.c.text, "ftp.foreign_address") != NULL);
		CU_ASSERT_EQUAL(data_syn(&v, DOWN, 20, 5000), APP_UNKNOWN);
		CU_ASSERT_EQUAL(core_counter(&v.c, DPI_C_EXPECT), 0);
		core_close(&v.c);
	}
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		ftp_open(&v, broken[i].v6);
		say(&v, UP, broken[i].line);
		CU_ASSERT_EQUAL(core_counter(&v.c, DPI_C_EXPECT), 0);
		core_close(&v.c);
	}
	/* a server behind a translator names an address that the client cannot see: the server's own is meant */
	ftp_open(&v, false);
	say(&v, UP, "PASV\r\n");
	say(&v, DOWN, "227 Entering Passive Mode (192,168,7,7,23,112)\r\n");
	CU_ASSERT(strstr(v.c.text, "ftp.foreign_address") != NULL);
	CU_ASSERT_EQUAL(data_syn(&v, UP, 41000, 6000), APP_FTP_DATA);
	core_close(&v.c);
}

static void test_ftp_lifetime(void)
{
	struct control v;

	ftp_open(&v, false);
	say(&v, UP, "PORT 10,0,0,1,19,136\r\n");
	core_tick(&v.c, 59 * SEC);
	say(&v, UP, "NOOP\r\n");
	CU_ASSERT_EQUAL(data_syn(&v, DOWN, 20, 5000), APP_FTP_DATA);
	say(&v, UP, "PORT 10,0,0,1,19,137\r\n");
	core_tick(&v.c, 61 * SEC);
	CU_ASSERT_EQUAL(data_syn(&v, DOWN, 20, 5001), APP_UNKNOWN);
	core_close(&v.c);
}

/* A rule about ftp-data decides at the SYN. */
static void test_ftp_policy(void)
{
	struct policy_builder *b = policy_begin(MODE_PROTECT);
	uint16_t any = POLICY_GROUP_ANY;
	enum app control = APP_FTP, data = APP_FTP_DATA;
	struct rule_spec deny = { .id = 20, .from = &any, .to = &any, .nfrom = 1, .nto = 1, .apps = &data, .napps = 1, .action = VERDICT_DENY, .mode = RULE_MODE_NONE };
	struct rule_spec allow = { .id = 30, .from = &any, .to = &any, .nfrom = 1, .nto = 1, .apps = &control, .napps = 1, .action = VERDICT_ALLOW, .mode = RULE_MODE_NONE };
	struct err err;
	struct policy *p;
	struct control v;

	CU_ASSERT_FATAL(!policy_add_rule(b, &deny, &err) && !policy_add_rule(b, &allow, &err));
	p = policy_build(b);
	ftp_open(&v, false);
	dpi_set_policy(v.c.d, p);
	policy_unref(p);
	say(&v, UP, "PORT 10,0,0,1,19,136\r\n");
	CU_ASSERT_EQUAL(core_send(&v.c, &(struct spec){ .dir = DOWN, .sport = 5000, .dport = 20, .flags = TCP_SYN, .seq = 1, .held = true }), VERDICT_DENY);
	CU_ASSERT_EQUAL(core_send(&v.c, &(struct spec){ .dir = DOWN, .sport = 5001, .dport = 20, .flags = TCP_SYN, .seq = 1, .held = true }), VERDICT_ALLOW);	/* pending */
	core_close(&v.c);
}

/* ---- datagrams ---- */

static unsigned apps_told(const struct core *c, enum app app) { return (unsigned)dpi_app_flows(c->d)[app]; }

static void test_tftp(void)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct core c = { 0 };

		core_open(&c, NULL);
		core_send(&c, &(struct spec){ .v6 = v6, .udp = true, .sport = 3000, .dport = 69, .p = "\0\1boot\0octet", .n = 13 });
		CU_ASSERT_EQUAL(apps_told(&c, APP_TFTP), 1);
		core_send(&c, &(struct spec){ .v6 = v6, .udp = true, .dir = DOWN, .sport = 3000, .dport = 7777, .p = "\0\3\0\1text", .n = 8 });	/* one block, never acknowledged */
		CU_ASSERT_EQUAL(apps_told(&c, APP_TFTP), 2);
		core_send(&c, &(struct spec){ .v6 = v6, .udp = true, .dir = DOWN, .sport = 3000, .dport = 7778, .p = "\0\5\0\1no such file", .n = 17 });
		CU_ASSERT_EQUAL(apps_told(&c, APP_TFTP), 3);
		core_send(&c, &(struct spec){ .v6 = v6, .udp = true, .dir = DOWN, .sport = 3000, .dport = 7779, .p = "what is this?", .n = 13 });
		core_send(&c, &(struct spec){ .v6 = v6, .udp = true, .dir = DOWN, .sport = 3001, .dport = 7780, .p = "\0\3\0\1text", .n = 8 });	/* nobody asked */
		core_tick(&c, 31 * SEC);
		core_send(&c, &(struct spec){ .v6 = v6, .udp = true, .dir = DOWN, .sport = 3000, .dport = 7781, .p = "\0\3\0\1text", .n = 8 });	/* too late */
		dpi_flush(c.d);
		CU_ASSERT_EQUAL(apps_told(&c, APP_TFTP), 3);
		core_close(&c);
	}
}

#define SDP4 "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 7000 RTP/AVP 0\r\nm=video 7100/2 RTP/SAVP 96\r\na=rtcp:7177\r\n" \
	"m=audio 7200 RTP/AVP 0\r\nc=IN IP4 10.0.0.77\r\nm=application 7300 udp wb\r\n"
#define SDP6 "v=0\r\no=- 1 1 IN IP6 fd00::1\r\ns=-\r\nt=0 0\r\nm=audio 7000 RTP/AVP 0\r\nc=IN IP6 fd00::1\r\nm=video 7100/2 RTP/SAVP 96\r\nc=IN IP6 fd00::1\r\na=rtcp:7177\r\n" \
	"m=audio 7200 RTP/AVP 0\r\nc=IN IP6 fd00::77\r\nm=application 7300 udp wb\r\n"
#define INVITE "INVITE sip:b@example SIP/2.0\r\nVia: SIP/2.0/UDP x\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\nContent-Length: "

static const char rtp[] = "\x80\x00\x00\x01\x00\x00\x00\xa0\x11\x22\x33\x44payload", stun[] = "\x00\x01\x00\x00\x21\x12\xa4\x42" "abcdefghijkl";

/* One datagram to the client's port, by which it is named. */
static enum app media(struct core *c, bool v6, uint16_t port, const char *p, size_t n)
{
	uint64_t was[APP_COUNT];

	memcpy(was, dpi_app_flows(c->d), sizeof(was));
	core_send(c, &(struct spec){ .v6 = v6, .udp = true, .dir = DOWN, .sport = port, .dport = (uint16_t)(port + 1000), .p = p, .n = n });
	for (int a = 0; a < APP_COUNT; a++)
		if (dpi_app_flows(c->d)[a] != was[a])
			return (enum app)a;
	return APP_UNKNOWN;
}

static void media_checked(struct core *c, bool v6)
{
	CU_ASSERT_EQUAL(media(c, v6, 7000, rtp, sizeof(rtp) - 1), APP_RTP);
	CU_ASSERT_EQUAL(media(c, v6, 7100, rtp, sizeof(rtp) - 1), APP_RTP);
	CU_ASSERT_EQUAL(media(c, v6, 7177, rtp, sizeof(rtp) - 1), APP_RTP);
	CU_ASSERT_EQUAL(media(c, v6, 7101, rtp, sizeof(rtp) - 1), APP_UNKNOWN);	/* a=rtcp said another one */
	CU_ASSERT_EQUAL(media(c, v6, 7200, rtp, sizeof(rtp) - 1), APP_UNKNOWN);	/* somebody else's address */
	CU_ASSERT_EQUAL(media(c, v6, 7300, rtp, sizeof(rtp) - 1), APP_UNKNOWN);	/* not RTP */
	CU_ASSERT_EQUAL(media(c, v6, 7001, stun, sizeof(stun) - 1), APP_STUN);	/* what it says goes first */
}

static void test_sip(void)
{
	for (int v6 = 0; v6 < 2; v6++) {
		const char *sdp = v6 ? SDP6 : SDP4;
		struct control v = { .v6 = v6, .next = { 101, 701 } };
		char text[2048];
		int n = snprintf(text, sizeof(text), INVITE "%zu\r\n\r\n%s", strlen(sdp), sdp);
		struct core c = { 0 };

		core_open(&c, NULL);
		core_send(&c, &(struct spec){ .v6 = v6, .udp = true, .sport = 5060, .dport = 5060, .p = text, .n = (size_t)n });
		media_checked(&c, v6);
		core_close(&c);

		/* over TCP, the body byte by byte */
		core_open(&v.c, NULL);
		core_send(&v.c, &(struct spec){ .v6 = v6, .dport = 21, .flags = TCP_SYN, .seq = 100 });
		core_send(&v.c, &(struct spec){ .v6 = v6, .dport = 21, .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101 });
		say(&v, UP, INVITE);
		for (int i = (int)strlen(INVITE); i < n; i++)
			say(&v, UP, (char[]){ text[i], 0 });
		media_checked(&v.c, v6);
		core_close(&v.c);
	}
}

static void test_rtsp(void)
{
	struct control v = { .next = { 101, 701 } };

	core_open(&v.c, NULL);
	core_send(&v.c, &(struct spec){ .dport = 21, .flags = TCP_SYN, .seq = 100 });
	core_send(&v.c, &(struct spec){ .dport = 21, .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101 });
	say(&v, UP, "SETUP rtsp://h/a/1 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP;unicast;client_port=8000-8001\r\n\r\n");
	say(&v, DOWN, "RTSP/1.0 200 OK\r\nCSeq: 1\r\nTransport: RTP/AVP;unicast;client_port=8000-8001;server_port=9000-9001\r\n\r\n");
	CU_ASSERT_EQUAL(media(&v.c, false, 8000, rtp, sizeof(rtp) - 1), APP_RTP);
	CU_ASSERT_EQUAL(media(&v.c, false, 8001, rtp, sizeof(rtp) - 1), APP_RTP);
	CU_ASSERT_EQUAL(media(&v.c, false, 8002, rtp, sizeof(rtp) - 1), APP_UNKNOWN);
	say(&v, UP, "SETUP rtsp://h/a/2 RTSP/1.0\r\nCSeq: 2\r\nTransport: RTP/AVP/TCP;interleaved=0-1;client_port=8100-8101\r\n\r\n");
	CU_ASSERT_EQUAL(media(&v.c, false, 8100, rtp, sizeof(rtp) - 1), APP_UNKNOWN);
	core_close(&v.c);
}

const struct unit_test tests_expect[] = {
	{ "what matches", test_match },
	{ "both ends have one address", test_loopback },
	{ "notes", test_notes },
	{ "caps", test_caps },
	{ "ftp: active", test_ftp_active },
	{ "ftp: passive", test_ftp_passive },
	{ "ftp: foreign addresses, broken ones", test_ftp_foreign },
	{ "ftp: lifetime", test_ftp_lifetime },
	{ "ftp: policy", test_ftp_policy },
	{ "tftp", test_tftp },
	{ "sip", test_sip },
	{ "rtsp", test_rtsp },
	{ 0 },
};
