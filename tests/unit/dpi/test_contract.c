/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the contract says of rules (section 3), where no other test does.
 *
 * What is never denied passes under a policy that denies everything, in all its forms, and what is judged does not (ICMP errors: test_guard; quarantine:
 * tests/unit/tc/test_plan.c, tests/lab/test_quarantine.py). An application that is not known once `pending` is over is one that rules may name. What
 * a connection turns to after CONNECT, STARTTLS or Upgrade is judged by the rules anew. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "dpi/policy.h"
#include "tests/unit/dpi/coretest.h"
#include "tests/unit/dpi/packets.h"
#include "tests/unit/unit.h"

struct app_rule {
	enum verdict action;	/* PENDING: there are no more */
	int app;		/* -1: any */
};

/* Under protect, in this order. */
static void set_rules(struct core *c, const struct app_rule *rules)
{
	struct policy_builder *b = policy_begin(MODE_PROTECT);
	uint16_t any = POLICY_GROUP_ANY;
	struct err err;

	for (unsigned i = 0; rules[i].action != VERDICT_PENDING; i++) {
		enum app app = rules[i].app < 0 ? APP_UNKNOWN : (enum app)rules[i].app;
		struct rule_spec r = { .id = i + 1, .from = &any, .to = &any, .nfrom = 1, .nto = 1, .apps = &app, .napps = rules[i].app >= 0, .action = rules[i].action,
				       .mode = RULE_MODE_NONE };

		CU_ASSERT_EQUAL(policy_add_rule(b, &r, &err), 0);
	}
	dpi_set_policy(c->d, policy_build(b));
	policy_unref(c->d->policy);
}

static const struct app_rule deny_all[] = { { VERDICT_DENY, -1 }, { VERDICT_PENDING, 0 } };

static enum verdict send_packet(struct core *c, const struct pkt *k, enum linktype link)
{
	struct frame f = pk_frame(k->b, k->n, link);

	f.held = true;
	f.path = 1;
	return core_raw(c, &f);
}

static void ip4(struct pkt *k, unsigned proto, unsigned opts, const void *body, size_t n)
{
	k->n = 0;
	pk_ip4(k, &(struct pk_ip){ .src = "10.0.0.1", .dst = "10.0.0.2", .proto = (uint8_t)proto, .opts = (uint8_t)opts, .ttl = 64 });
	pk_bytes(k, body, n);
	pk_finish(k, 0, 0, (uint8_t)proto);
}

/* hop: a hop-by-hop header with a router alert before it, as MLD has. */
static void ip6(struct pkt *k, unsigned proto, bool hop, const void *body, size_t n)
{
	static const uint8_t alert[8] = { IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0 };

	k->n = 0;
	pk_ip6(k, &(struct pk_ip){ .src = "fd00::1", .dst = "fd00::2", .proto = (uint8_t)(hop ? 0 : proto), .ttl = 255 });
	if (hop)
		pk_bytes(k, alert, sizeof alert);
	pk_bytes(k, body, n);
	pk_finish(k, 0, 0, (uint8_t)(hop ? 0 : proto));
}

static void test_passes(void)
{
	static const uint8_t arp[28] = { 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2 }, igmp[8] = { 0x16, 0, 0, 0, 224, 1, 1, 1 };
	struct core c = { 0 };
	static struct pkt k;

	core_open(&c, NULL);
	set_rules(&c, deny_all);
	for (unsigned op = 1; op <= 2; op++) {		/* request, reply */
		k.n = 0;
		pk_ether(&k, 0x0806);
		pk_bytes(&k, arp, sizeof arp);
		k.b[k.n - 21] = (uint8_t)op;
		CU_ASSERT_EQUAL(send_packet(&c, &k, LINK_ETHERNET), VERDICT_ALLOW);
	}
	for (unsigned opts = 0; opts <= 4; opts += 4) {	/* with and without a router alert */
		ip4(&k, IPPROTO_IGMP, opts, igmp, sizeof igmp);
		CU_ASSERT_EQUAL(send_packet(&c, &k, LINK_RAW), VERDICT_ALLOW);
	}
	for (unsigned type = 130; type <= 143; type++) {
		uint8_t icmp[24] = { (uint8_t)type };

		if (type > 137 && type < 143)
			continue;
		for (int hop = 0; hop < 2; hop++) {
			ip6(&k, IPPROTO_ICMPV6, hop, icmp, sizeof icmp);
			CU_ASSERT_EQUAL(send_packet(&c, &k, LINK_RAW), VERDICT_ALLOW);
		}
	}
	for (int down = 0; down < 2; down++) {		/* the question, and its answer */
		CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ .dir = down ? DIR_TOCLIENT : DIR_TOSERVER, .udp = true, .sport = 68, .dport = 67, .p = "x", .n = 1, .held = true }), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ .dir = down ? DIR_TOCLIENT : DIR_TOSERVER, .v6 = true, .udp = true, .sport = 546, .dport = 547, .p = "x", .n = 1, .held = true }), VERDICT_ALLOW);
	}
	core_close(&c);
}

static void test_is_judged(void)
{
	/* INIT of 0x1234 to 80, with its CRC32c */
	static const uint8_t sctp[32] = { 0x12, 0x34, 0, 80, 0, 0, 0, 0, 0x56, 0xea, 0x24, 0xb4, 1, 0, 0, 20, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1 };
	struct core c = { 0 };
	static struct pkt k;

	core_open(&c, NULL);
	set_rules(&c, deny_all);
	for (int v6 = 0; v6 < 2; v6++) {
		if (v6)
			ip6(&k, IPPROTO_SCTP, false, sctp, sizeof sctp);
		else
			ip4(&k, IPPROTO_SCTP, 0, sctp, sizeof sctp);
		CU_ASSERT_EQUAL(send_packet(&c, &k, LINK_RAW), VERDICT_DENY);
		CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ .v6 = v6, .flags = TCP_SYN, .held = true }), VERDICT_DENY);
		CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ .v6 = v6, .udp = true, .p = "x", .n = 1, .held = true }), VERDICT_DENY);
		CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ .v6 = v6, .icmp = true, .icmp_type = v6 ? 128 : 8, .held = true }), VERDICT_DENY);
		/* one port of DHCP is not DHCP */
		CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ .v6 = v6, .udp = true, .sport = v6 ? 546 : 68, .dport = 53, .p = "x", .n = 1, .held = true }), VERDICT_DENY);
		CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ .v6 = v6, .udp = true, .sport = 53, .dport = v6 ? 547 : 67, .p = "x", .n = 1, .held = true }), VERDICT_DENY);
	}
	core_close(&c);
}

static void test_unknown(void)
{
	static const struct dpi_conf hasty = { .max_flows = 64, .memcap = 16 << 20, .midstream = true, .pending_packets = 1 };
	static const struct app_rule rules[] = { { VERDICT_DROP, APP_HTTP }, { VERDICT_ALLOW, APP_UNKNOWN }, { VERDICT_PENDING, 0 } };
	static const struct { const char *first; uint32_t rule; enum verdict v; } cases[] = {
		{ "((((((((((((((((((((", 2, VERDICT_ALLOW }, { "GET / HTTP/1.1\r\n\r\n", 1, VERDICT_DROP }, { "SSH-2.0-x\r\n", 0, VERDICT_DENY },
	};

	for (unsigned a = 0; a < APP_COUNT; a++)	/* none else is carried in it */
		CU_ASSERT_EQUAL(app_is((enum app)a, APP_UNKNOWN), a == APP_UNKNOWN);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int v6 = 0; v6 < 2; v6++) {
			struct core c = { 0 };

			core_open(&c, &hasty);
			set_rules(&c, rules);
			CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ .v6 = v6, .flags = TCP_SYN, .seq = 100, .held = true }), VERDICT_ALLOW);
			CU_ASSERT_EQUAL(core_flow(&c)->verdict, VERDICT_PENDING);
			core_send(&c, &(struct spec){ .v6 = v6, .dir = DIR_TOCLIENT, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101, .held = true });
			core_send(&c, &(struct spec){ .v6 = v6, .flags = TCP_ACK, .seq = 101, .ack = 701, .held = true });
			CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ .v6 = v6, .flags = TCP_ACK, .seq = 101, .ack = 701, .held = true, .p = cases[i].first, .n = strlen(cases[i].first) }), cases[i].v);
			CU_ASSERT_EQUAL(core_flow(&c)->rule, cases[i].rule);
			core_close(&c);
		}
}

#define CLIENT_HELLO "\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03" "0123456789abcdef0123456789abcdef" "\x00\x00\x04\x13\x01\x00\x2f\x01\x00"

static void test_judged_again(void)
{
	static const struct again {
		const char *what;
		struct { bool down; const char *text; size_t n; } say[6];
		enum app first, then;
		unsigned at;	/* what tells that it is another application now */
	} cases[] = {
#define SAY(d, t) { d, t, sizeof(t) - 1 }
		{ "CONNECT", { SAY(false, "CONNECT a:22 HTTP/1.1\r\nHost: a\r\n\r\n"), SAY(true, "HTTP/1.1 200 OK\r\n\r\n"), SAY(false, "SSH-2.0-OpenSSH_9.2\r\n") }, APP_HTTP, APP_SSH, 2 },
		{ "STARTTLS", { SAY(true, "220 mail ESMTP\r\n"), SAY(false, "EHLO x\r\n"), SAY(true, "250-mail\r\n250 STARTTLS\r\n"), SAY(false, "STARTTLS\r\n"), SAY(true, "220 go\r\n"),
			SAY(false, CLIENT_HELLO) }, APP_SMTP, APP_TLS, 5 },
		{ "Upgrade", { SAY(false, "GET /w HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
			SAY(true, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), SAY(false, "\x81\x82\1\2\3\4ab") }, APP_HTTP, APP_WEBSOCKET, 1 },
	};

	for (unsigned i = 0; i < 3 * 2 * 2; i++) {
		const struct again *a = &cases[i / 4];
		bool v6 = i / 2 % 2, denied = i % 2, over = false;
		const struct app_rule rules[] = { { denied ? VERDICT_DENY : VERDICT_ALLOW, (int)a->then }, { VERDICT_ALLOW, (int)a->first }, { VERDICT_PENDING, 0 } };
		uint32_t seq[2] = { 101, 701 };
		struct core c = { 0 };

		core_open(&c, NULL);
		set_rules(&c, rules);
		core_send(&c, &(struct spec){ .v6 = v6, .flags = TCP_SYN, .seq = 100, .held = true });
		core_send(&c, &(struct spec){ .v6 = v6, .dir = DIR_TOCLIENT, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101, .held = true });
		core_send(&c, &(struct spec){ .v6 = v6, .flags = TCP_ACK, .seq = 101, .ack = 701, .held = true });
		for (unsigned k = 0; k < 6 && a->say[k].n; k++) {
			enum dir d = a->say[k].down ? DIR_TOCLIENT : DIR_TOSERVER;
			enum verdict v = core_send(&c, &(struct spec){ .v6 = v6, .dir = d, .flags = TCP_ACK | TCP_PSH, .seq = seq[d], .ack = seq[!d], .held = true,
								       .p = a->say[k].text, .n = a->say[k].n });

			seq[d] += (uint32_t)a->say[k].n;
			over |= verdict_stops(v);
			if (over != (denied && k >= a->at)) {
				printf("\n    %s, %u: verdict %d\n", a->what, k, v);
				CU_FAIL("what is carried is judged anew, and nothing before it");
			}
		}
		CU_ASSERT_EQUAL(core_flow(&c)->app, a->then);
		CU_ASSERT_EQUAL(core_flow(&c)->rule, 1);
		core_close(&c);
	}
}

const struct unit_test tests_contract[] = {
	{ "what passes whatever the policy", test_passes },
	{ "what is judged", test_is_judged },
	{ "an application that is not known", test_unknown },
	{ "CONNECT, STARTTLS, Upgrade: judged again", test_judged_again },
	{ 0 },
};
