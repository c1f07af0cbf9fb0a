/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is stopped by a redirect: crafted frames through a real clsact; looked at on the ring (everything is seen once, stopped or not) and behind the filters.
 *
 * Behind: packet sockets bound to one ethertype, which the kernel asks after tc's ingress (those for all of them are asked before). */
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "tests/unit/tc/lab.h"
#include "tests/unit/unit.h"

#define SENT_MAX 1024

static const uint16_t types[] = { ETH_P_IP, ETH_P_IPV6, ETH_P_ARP, 0x88cc };
#define TYPES (sizeof types / sizeof types[0])

struct sent {
	bool passes;
	unsigned seen, behind;
	char what[64];
};

struct stops {
	struct lab *lab;
	struct source *ring;
	int behind[2][TYPES];
	struct sent sent[SENT_MAX];
	unsigned n;
};

static int behind_socket(struct lab *l, int hook, uint16_t type)
{
	int fd = hook ? lab_socket(l, AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0) : socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(type), .sll_ifindex = l->v0 };

	if (hook)
		ll.sll_ifindex = l->c0;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){ 1 << 22 }, sizeof(int));
	return fd < 0 || bind(fd, (struct sockaddr *)&ll, sizeof ll) ? -1 : fd;
}

static void open_stops(struct stops *s, struct lab *l)
{
	memset(s, 0, sizeof *s);
	s->lab = l;
	s->ring = lab_mirror(l, 1 << 18, 16);
	LAB_CHECK(l, s->ring != NULL);
	for (int h = 0; h < 2; h++)
		for (size_t i = 0; i < TYPES; i++) {
			s->behind[h][i] = behind_socket(l, h, types[i]);
			LAB_CHECK(l, s->behind[h][i] >= 0);
		}
}

static void close_stops(struct stops *s)
{
	for (int h = 0; h < 2; h++)
		for (size_t i = 0; i < TYPES; i++)
			close(s->behind[h][i]);
	if (s->ring)
		s->ring->ops->close(s->ring);
}

/* The frame's number is in its source MAC; to nobody, so that the stacks leave it alone. */
static void send_frame(struct stops *s, int hook, uint16_t type, const uint8_t *payload, size_t len, bool passes, const char *what)
{
	uint8_t p[256] = { 0x02, 0, 0, 0, 0, 0x99, 0x02, 0xaa, 0x5a, 0x5b, (uint8_t)(s->n >> 8), (uint8_t)s->n, (uint8_t)(type >> 8), (uint8_t)type };

	memcpy(p + 14, payload, len);
	LAB_CHECK(s->lab, s->n < SENT_MAX && lab_send(s->lab, hook, p, 14 + len));
	s->sent[s->n].passes = passes;
	snprintf(s->sent[s->n].what, sizeof s->sent[0].what, "%s %s", hook ? "entering" : "leaving", what);
	s->n++;
}

static struct sent *number(struct stops *s, const uint8_t *frame, size_t len)
{
	unsigned n = len >= 14 ? (unsigned)frame[10] << 8 | frame[11] : SENT_MAX;

	return n < s->n && !memcmp(frame + 6, "\x02\xaa\x5a\x5b", 4) ? &s->sent[n] : NULL;
}

static void see(void *ctx, const struct frame *f)
{
	struct sent *m = number(ctx, f->data, f->caplen);

	if (m)
		m->seen++;
}

static void read_behind(struct stops *s, int fd)
{
	uint8_t b[2048];
	ssize_t n;

	while ((n = recv(fd, b, sizeof b, MSG_DONTWAIT)) >= 0) {
		struct sent *m = number(s, b, (size_t)n);

		if (m)
			m->behind++;
	}
}

/* All were seen once; behind the filters are those that pass. */
static void judge(struct stops *s)
{
	unsigned wrong = 0;

	lab_read(s->ring, s->n, 500, see, s);
	lab_read(s->ring, ~0u, 60, see, s);
	for (int h = 0; h < 2; h++)
		for (size_t i = 0; i < TYPES; i++)
			read_behind(s, s->behind[h][i]);
	for (unsigned i = 0; i < s->n; i++) {
		const struct sent *m = &s->sent[i];

		if (m->seen == 1 && m->behind == m->passes)
			continue;
		if (wrong++ < 10)
			fprintf(stderr, "    %s: seen %u, behind %u, should %s\n", m->what, m->seen, m->behind, m->passes ? "pass" : "be stopped");
	}
	LAB_CHECK(s->lab, !wrong);
	s->n = 0;
	memset(s->sent, 0, sizeof s->sent);
}

static bool ensure(struct lab *l, struct tc *tc, const struct tc_want *w)
{
	struct tc_state st;
	struct err err = { "" };
	unsigned changes;
	int rc = tc_ensure(tc, w, &st, &changes, &err);

	if (rc || !st.complete)
		fprintf(stderr, "    tc_ensure: %s %s\n", err.text, st.differs);
	if (!rc && (tc_ensure(tc, w, &st, &changes, &err) || changes))
		fprintf(stderr, "    tc_ensure again: %u changes: %s\n", changes, st.differs);
	return !rc && st.complete && !changes && l;
}

/* ---- quarantine ---- */

static void send_kinds(struct stops *s, bool cut)
{
	uint8_t p[64];
	char what[64];

	for (int hook = 0; hook < 2; hook++) {
		memset(p, 0, sizeof p);
		send_frame(s, hook, ETH_P_ARP, p, 28, true, "ARP");
		send_frame(s, hook, 0x88cc, p, 3, !cut, "LLDP of three bytes");
		p[0] = 0x45;
		for (unsigned proto = 0; proto < 256; proto += 17) {
			p[9] = (uint8_t)proto;
			snprintf(what, sizeof what, "IPv4 protocol %u", proto);
			send_frame(s, hook, ETH_P_IP, p, 20 + proto % 3, !cut, what);
		}
		memset(p, 0, sizeof p);
		p[0] = 0x60;
		for (unsigned next = 0; next < 256; next += 29) {	/* 58 is one of them */
			p[6] = (uint8_t)next;
			for (unsigned type = 0; type < 256; type += next == 58 ? 1 : 51) {
				p[40] = (uint8_t)type;
				snprintf(what, sizeof what, "IPv6 next header %u type %u", next, type);
				if (s->n < SENT_MAX)
					send_frame(s, hook, ETH_P_IPV6, p, 41, !cut || (next == 58 && type >= 133 && type <= 136), what);
			}
		}
	}
}

static void quarantine(struct lab *l)
{
	static struct stops s;
	struct err err = { "" };
	struct tc *tc = tc_open(&err);
	struct tc_want w = lab_want(l);
	struct tc_state st;

	open_stops(&s, l);
	LAB_CHECK(l, ensure(l, tc, &w));
	send_kinds(&s, false);
	judge(&s);
	w.exclude_sport[0].all = w.exclude_dport[1].all = true;		/* owned ports are cut off too */
	LAB_CHECK(l, ensure(l, tc, &w));
	w.quarantine = true;
	LAB_CHECK(l, !tc_check(tc, &w, &st, &err) && !st.complete);
	LAB_CHECK(l, ensure(l, tc, &w));
	send_kinds(&s, true);
	judge(&s);
	LAB_CHECK(l, lab_sh_in(l, "ping -c 1 -W 1 10.9.0.1 >/dev/null") && lab_sh_in(l, "ping -c 1 -W 1 fd09::1 >/dev/null"));
	LAB_CHECK(l, !lab_sh("tc filter del dev v0 ingress pref 49020"));
	LAB_CHECK(l, !tc_check(tc, &w, &st, &err) && !st.complete);
	LAB_CHECK(l, ensure(l, tc, &w));
	w.quarantine = false;
	w.exclude_sport[0].all = w.exclude_dport[1].all = false;
	LAB_CHECK(l, ensure(l, tc, &w));
	send_kinds(&s, false);
	judge(&s);
	LAB_CHECK(l, !lab_sh_in(l, "ping -c 1 -W 1 10.9.0.1 >/dev/null") && !lab_sh_in(l, "ping -c 1 -W 1 fd09::1 >/dev/null"));
	close_stops(&s);
	tc_close(tc);
}

/* Somebody else's filters behind: they get what passes, and all of it again afterwards. What a crash left is taken away. */
static void quarantine_foreign(struct lab *l)
{
	static struct stops s;
	struct err err = { "" };
	struct tc *tc = tc_open(&err), *next;
	struct tc_want w = lab_want(l);
	unsigned cut = 0;
	char *out;

	open_stops(&s, l);
	LAB_CHECK(l, !lab_sh("ip link add sink type bridge && ip link set sink up && tc qdisc add dev v0 clsact &&"
			     "tc filter add dev v0 ingress pref 50000 protocol all u32 match u32 0 0 action mirred egress mirror dev sink"));
	w.quarantine = true;
	LAB_CHECK(l, ensure(l, tc, &w));
	send_kinds(&s, true);
	judge(&s);
	out = lab_output("tc -s filter show dev v0 ingress pref 50000");
	LAB_CHECK(l, strstr(out, "Sent ") && sscanf(strstr(out, "Sent "), "Sent %*u bytes %u pkt", &cut) == 1 && cut >= 5 && cut < 20);
	free(out);
	tc_close(tc);
	next = tc_open(&err);
	LAB_CHECK(l, tc_remove_all(next, &err) == 1);
	out = lab_output("tc filter show dev v0 ingress; tc filter show dev v0 egress");
	LAB_CHECK(l, strstr(out, "pref 50000") && !strstr(out, "pref 49"));
	free(out);
	tc_close(next);
	close_stops(&s);
}

static void test_quarantine(void) { lab_run(quarantine); }
static void test_quarantine_foreign(void) { lab_run(quarantine_foreign); }

const struct unit_test tests_stops[] = {
	{ "quarantine: on, tampered with, off", test_quarantine },
	{ "quarantine: foreign filters behind, and after a crash", test_quarantine_foreign },
	{ 0 },
};
