/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two rings on real bridges: what a frame says of itself, order, drops, devices that go down or away, fanout. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_ether.h>

#include "base/steer.h"
#include "tests/unit/tc/lab.h"
#include "tests/unit/unit.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

/* Mirror filters on v0, and the source that reads their copies. */
struct unit {
	struct tc *tc;
	struct source *src;
};

static bool start(struct lab *l, struct unit *u, uint32_t block_size, uint32_t blocks)
{
	struct tc_want w = lab_want(l);
	struct err err = { "" };
	struct tc_state st;
	unsigned changes;

	u->tc = tc_open(&err);
	u->src = lab_mirror(l, block_size, blocks);
	LAB_CHECK(l, u->tc && u->src && tc_ensure(u->tc, &w, &st, &changes, &err) == 0 && st.complete);
	return u->tc && u->src;
}

static void stop(struct unit *u)
{
	u->src->ops->close(u->src);
	tc_close(u->tc);
}

static unsigned be16(const uint8_t *p) { return (unsigned)p[0] << 8 | p[1]; }

/* ---- what a frame says ---- */

struct transfer {
	uint16_t port;
	uint64_t bytes[2];	/* TCP payload by direction, in sequence: [0] leaving */
	uint32_t next[2];	/* sequence number that follows */
	uint64_t frames, gso, partial, bad;
	unsigned back;
	int64_t last;
};

static void count_tcp(void *ctx, const struct frame *f)
{
	struct transfer *t = ctx;
	const uint8_t *ip = f->data + 14, *tcp;
	unsigned version = f->caplen > 54 ? ip[0] >> 4 : 0;
	uint64_t payload;
	uint32_t seq;
	int dir = (f->flags & FRAME_ENTERING) != 0;

	t->back += f->ts < t->last;
	t->last = f->ts;
	if ((version == 4 && ip[9] != IPPROTO_TCP) || (version == 6 && ip[6] != IPPROTO_TCP) || (version != 4 && version != 6))
		return;
	tcp = ip + (version == 4 ? 20 : 40);
	if (be16(tcp) != t->port && be16(tcp + 2) != t->port)
		return;
	t->frames++;
	payload = (version == 4 ? be16(ip + 2) : be16(ip + 4) + 40) - (uint64_t)(tcp - ip) - (uint64_t)(tcp[12] >> 4) * 4;
	seq = (uint32_t)be16(tcp + 4) << 16 | be16(tcp + 6);
	if (tcp[13] & 2)
		t->next[dir] = seq + 1;
	else if (seq == t->next[dir]) {
		t->bytes[dir] += payload;
		t->next[dir] += (uint32_t)payload + (tcp[13] & 1);
	} else {
		t->bad += (int32_t)(seq - t->next[dir]) > 0;	/* a hole; what comes again was sent again */
	}
	t->gso += (f->flags & FRAME_GSO_TCP) != 0;
	t->partial += (f->flags & FRAME_CSUM_PARTIAL) != 0;
	/* a super-packet says the size of its segments and is longer than one; what is not one fits the MTU */
	t->bad += f->flags & FRAME_GSO_TCP ? !f->gso_size || payload <= f->gso_size || f->gso_size > 1460 : payload > 1460;
	t->bad += f->caplen != f->wirelen || f->link != LINK_ETHERNET || f->path != 3 || f->held || !!(f->flags & FRAME_ENTERING) == !!(f->flags & FRAME_LEAVING);
}

static int listener(struct lab *l, int family, uint16_t *port)
{
	int fd = lab_socket(l, family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 a = { .sin6_family = (sa_family_t)family };
	socklen_t len = sizeof a;

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, family == AF_INET ? sizeof(struct sockaddr_in) : sizeof a) || listen(fd, 1) ||
	    getsockname(fd, (struct sockaddr *)&a, &len))
		return -1;
	*port = ntohs(a.sin6_port);
	return fd;
}

static int dial(int family, uint16_t port)
{
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, "10.9.0.2", &a4.sin_addr);
	inet_pton(AF_INET6, "fd09::2", &a6.sin6_addr);
	if (fd < 0 || connect(fd, family == AF_INET ? (struct sockaddr *)&a4 : (struct sockaddr *)&a6, family == AF_INET ? sizeof a4 : sizeof a6))
		return -1;
	return fd;
}

/* Both ends in one thread: writes to one and reads from the other, and the ring on the way. */
static uint64_t move(struct lab *l, struct unit *u, int from, int to, uint64_t total, struct transfer *t)
{
	static uint8_t buf[1 << 16];
	uint64_t sent = 0, got = 0;

	fcntl(from, F_SETFL, O_NONBLOCK);
	fcntl(to, F_SETFL, O_NONBLOCK);
	for (int idle = 0; got < total && idle < 2000;) {
		size_t want = total - sent > sizeof buf ? sizeof buf : (size_t)(total - sent);
		ssize_t w = want ? send(from, buf, want, MSG_NOSIGNAL) : 0, r = recv(to, buf, sizeof buf, 0);

		sent += w > 0 ? (uint64_t)w : 0;
		got += r > 0 ? (uint64_t)r : 0;
		if (w <= 0 && r <= 0) {
			poll(&(struct pollfd){ .fd = to, .events = POLLIN }, 1, 5);
			idle++;
		}
		lab_read(u->src, 64, 0, count_tcp, t);
	}
	LAB_CHECK(l, got == total);
	return got;
}

static void transfer(struct lab *l, int family)
{
	struct transfer t = { .frames = 0 };
	const uint64_t total = 24 << 20;
	struct source_stats st;
	struct unit u;
	int server, client, conn;

	if (!start(l, &u, 1 << 20, 32))
		return;
	server = listener(l, family, &t.port);
	client = dial(family, t.port);
	conn = accept(server, NULL, NULL);
	LAB_CHECK(l, server >= 0 && client >= 0 && conn >= 0);
	move(l, &u, client, conn, total, &t);
	move(l, &u, conn, client, total / 4, &t);
	close(client);
	close(conn);
	close(server);
	lab_read(u.src, ~0u, 150, count_tcp, &t);
	u.src->ops->stats(u.src, &st);
	LAB_CHECK(l, st.kernel_drops == 0 && st.errors == 0);
	LAB_CHECK(l, st.packets >= t.frames && st.bytes > total + total / 4);
	LAB_CHECK(l, t.bytes[1] == total);
	LAB_CHECK(l, t.bytes[0] == total / 4);
	LAB_CHECK(l, t.gso > 100 && t.partial > 100 && t.bad == 0 && t.back == 0);
	stop(&u);
}

static void transfer4(struct lab *l) { transfer(l, AF_INET); }
static void transfer6(struct lab *l) { transfer(l, AF_INET6); }

struct last {
	struct frame f;
	unsigned n, gso_udp, whole;
};

static void keep_udp(void *ctx, const struct frame *f)
{
	struct last *k = ctx;

	if (f->caplen < 42 || f->data[14] != 0x45 || f->data[23] != IPPROTO_UDP)
		return;
	k->n++;
	k->gso_udp += (f->flags & FRAME_GSO_UDP) && f->gso_size == 100;
	k->whole += be16(f->data + 16) == 20 + 8 + 1000 && f->caplen == 14 + 1028;
	k->f = *f;
}

/* Ten datagrams sent as one arrive as one, and it says that it is ten. */
static void udp_gso(struct lab *l)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(9999) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = 100;
	struct last k = { .n = 0 };
	uint8_t buf[1000] = { 1 };
	struct unit u;

	if (!start(l, &u, 1 << 18, 8))
		return;
	inet_pton(AF_INET, "10.9.0.2", &a.sin_addr);
	LAB_CHECK(l, !connect(fd, (struct sockaddr *)&a, sizeof a) && !setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size));
	LAB_CHECK(l, send(fd, buf, sizeof buf, 0) == sizeof buf);
	lab_read(u.src, ~0u, 150, keep_udp, &k);
	LAB_CHECK(l, k.n == 1 && k.gso_udp == 1 && k.whole == 1);
	LAB_CHECK(l, k.f.flags & FRAME_CSUM_PARTIAL);
	close(fd);
	stop(&u);
}

/* ---- VLAN, view ---- */

struct seen {
	struct frame f[16];
	uint8_t type[16][2];
	unsigned n;
};

static void keep(void *ctx, const struct frame *f)
{
	struct seen *s = ctx;

	if (s->n < 16 && f->caplen >= 18 && f->data[6] == 0x02 && f->data[7] == 0xaa) {
		s->f[s->n] = *f;
		memcpy(s->type[s->n], f->data + 12, 2);
		s->n++;
	}
}

static void build(uint8_t frame[60], const char *tags, size_t len)
{
	memset(frame, 0, 60);
	frame[0] = 2;
	frame[6] = 2;
	frame[7] = 0xaa;
	memcpy(frame + 12, tags, len);
	frame[12 + len] = 0x12;
	frame[13 + len] = 0x34;
}

static void vlan(struct lab *l)
{
	static const struct { const char *tags; size_t len; uint16_t tpid, tci, type; } t[] = {
		{ "", 0, 0, 0, 0x1234 }, { "\x81\x00\x20\x05", 4, 0x8100, 0x2005, 0x1234 }, { "\x81\x00\x00\x00", 4, 0x8100, 0, 0x1234 },
		{ "\x88\xa8\x00\x07\x81\x00\x20\x05", 8, 0x88a8, 7, 0x8100 },
	};
	struct seen s = { .n = 0 };
	struct unit u;

	if (!start(l, &u, 1 << 18, 8))
		return;
	for (size_t i = 0; i < 4; i++) {
		uint8_t frame[60];

		build(frame, t[i].tags, t[i].len);
		LAB_CHECK(l, lab_send(l, 0, frame, sizeof frame));
	}
	lab_read(u.src, ~0u, 100, keep, &s);
	LAB_CHECK(l, s.n == 4);
	for (unsigned i = 0; i < s.n; i++) {
		LAB_CHECK(l, !!(s.f[i].flags & FRAME_VLAN) == (t[i].tpid != 0));
		LAB_CHECK(l, s.f[i].vlan_tpid == t[i].tpid && s.f[i].vlan_tci == t[i].tci);
		LAB_CHECK(l, be16(s.type[i]) == t[i].type);
		LAB_CHECK(l, s.f[i].flags & FRAME_LEAVING);
	}
	stop(&u);
}

static uint32_t view(void *ctx, const uint8_t *src, const uint8_t *dst, bool entering, uint32_t *workload)
{
	*workload = *(uint32_t *)ctx + src[7 - 6];
	return 100u + dst[0] * 2u + entering;
}

static void views(struct lab *l)
{
	uint32_t base = 1000;
	struct mirror_conf c = {
		.ifindex = { l->vbr, l->vbr_in }, .block_size = 1 << 18, .blocks = 4, .retire_ms = 4, .fanout_workers = 1, .view = view, .view_ctx = &base,
	};
	struct tc_want w = lab_want(l);
	struct err err = { "" };
	struct unit u = { .tc = tc_open(&err), .src = mirror_open(&c, &err) };
	struct seen s = { .n = 0 };
	struct tc_state st;
	unsigned changes;
	uint8_t frame[60];

	LAB_CHECK(l, tc_ensure(u.tc, &w, &st, &changes, &err) == 0);
	build(frame, "", 0);
	LAB_CHECK(l, lab_send(l, 1, frame, sizeof frame));
	lab_read(u.src, ~0u, 80, keep, &s);
	LAB_CHECK(l, s.n == 1 && s.f[0].workload == 1000 + 0xaa && s.f[0].view == 105 && s.f[0].flags == FRAME_ENTERING);
	stop(&u);
}

/* ---- order ---- */

#define LATE 400000000LL	/* ns: far more than the rings wait, on a machine that is out of breath */

struct order {
	int64_t last;
	unsigned back, swapped, n, expected;
	uint64_t late;
};

static void follow(void *ctx, const struct frame *f)
{
	struct order *o = ctx;
	unsigned number;
	struct timespec now;

	if (f->caplen < 20 || f->data[6] != 0x02 || f->data[7] != 0xbb)
		return;
	number = (unsigned)f->data[16] << 8 | f->data[17];
	o->swapped += number != o->expected;
	o->expected = number + 1;
	o->back += f->ts < o->last;
	o->last = f->ts;
	o->n++;
	clock_gettime(CLOCK_REALTIME, &now);
	if ((int64_t)now.tv_sec * 1000000000 + now.tv_nsec - f->ts > LATE)
		o->late++;
}

/* Frames sent in turn on both sides come out in the order they were sent, across rings and blocks, in bursts and one by one. */
static void order(struct lab *l)
{
	struct order o = { .n = 0 };
	uint32_t seed = 7;
	struct unit u;
	uint8_t frame[1000] = { 2, 0, 0, 0, 0, 1, 2, 0xbb };
	const unsigned total = 6000;

	if (!start(l, &u, 1 << 18, 16))
		return;
	for (unsigned i = 0; i < total; i++) {
		seed = seed * 1103515245u + 12345u;
		frame[12] = 0x12;
		frame[16] = (uint8_t)(i >> 8);
		frame[17] = (uint8_t)i;
		LAB_CHECK(l, lab_send(l, (seed >> 20) % 3 == 0, frame, 60 + (seed >> 16) % 900));
		if (i % 500 == 0)
			nanosleep(&(struct timespec){ .tv_nsec = 13000000 }, NULL);
		if (i % 7 == 0)
			lab_read(u.src, 1, 0, follow, &o);
	}
	lab_read(u.src, ~0u, 150, follow, &o);
	LAB_CHECK(l, o.n == total && o.swapped == 0 && o.back == 0);
	LAB_CHECK(l, o.late < total / 20);
	if (o.n != total || o.swapped || o.back || o.late >= total / 20)
		fprintf(stderr, "    %u of %u frames, %u out of order, %u times back, %u late\n", o.n, total, o.swapped, o.back, (unsigned)o.late);
	stop(&u);
}

/* One side only: the other ring's silence does not hold frames for long, and a reader that waits does not spin. */
static void one_sided(struct lab *l)
{
	uint8_t frame[60] = { 2, 0, 0, 0, 0, 1, 2, 0xbb };
	struct order o = { .n = 0 };
	unsigned rounds = 0;
	struct unit u;

	if (!start(l, &u, 1 << 18, 8))
		return;
	frame[12] = 0x12;
	for (unsigned i = 0; i < 20; i++) {
		struct frame f[8];
		struct err err;
		unsigned before = o.n;

		frame[17] = (uint8_t)i;
		LAB_CHECK(l, lab_send(l, 0, frame, sizeof frame));
		for (unsigned tries = 0; o.n == before && tries < 200; tries++, rounds++) {
			struct pollfd p = { .fd = u.src->ops->fd(u.src), .events = POLLIN };
			int wait = u.src->ops->timeout(u.src), n;

			poll(&p, 1, wait >= 0 && wait < 100 ? wait : 100);
			n = u.src->ops->batch(u.src, f, 8, &err);
			for (int j = 0; j < n; j++)
				follow(&o, &f[j]);
			u.src->ops->flush(u.src);
		}
	}
	LAB_CHECK(l, o.n == 20 && o.late == 0 && o.swapped == 0);
	LAB_CHECK(l, rounds <= 20 * 6);
	stop(&u);
}

/* A frame that waits for the other ring's block (its retire time is long here): the descriptor stays silent meanwhile, and both
 * come out in order when the block is there. */
static void waiting(struct lab *l)
{
	struct mirror_conf c = { .ifindex = { l->vbr, l->vbr_in }, .block_size = 1 << 18, .blocks = 4, .retire_ms = 150, .fanout_workers = 1 };
	uint8_t frame[60] = { 2, 0, 0, 0, 0, 1, 2, 0xbb };
	struct tc_want w = lab_want(l);
	struct order o = { .n = 0 };
	struct err err = { "" };
	struct unit u = { .tc = tc_open(&err), .src = mirror_open(&c, &err) };
	struct pollfd p = { .fd = u.src->ops->fd(u.src), .events = POLLIN };
	unsigned rounds = 0, held = 0, changes;
	struct tc_state st;

	LAB_CHECK(l, tc_ensure(u.tc, &w, &st, &changes, &err) == 0);
	frame[12] = 0x12;
	LAB_CHECK(l, lab_send(l, 0, frame, sizeof frame));
	LAB_CHECK(l, poll(&p, 1, 1000) == 1);		/* the first block was given over */
	frame[17] = 1;
	LAB_CHECK(l, lab_send(l, 1, frame, sizeof frame));	/* into an empty one, which takes its time */
	for (; o.n < 2 && rounds < 1000; rounds++) {
		struct frame f[8];
		int wait, n;

		n = u.src->ops->batch(u.src, f, 8, &err);
		for (int j = 0; j < n; j++)
			follow(&o, &f[j]);
		u.src->ops->flush(u.src);
		held += o.n == 0;
		wait = u.src->ops->timeout(u.src);
		poll(&p, 1, wait >= 0 && wait < 100 ? wait : 100);
	}
	LAB_CHECK(l, o.n == 2 && o.swapped == 0 && o.back == 0 && held >= 1);
	LAB_CHECK(l, rounds < 20);
	stop(&u);
}

/* ---- trouble ---- */

static void drops(struct lab *l)
{
	static uint8_t frame[1400] = { 2, 0, 0, 0, 0, 1, 2, 0xbb };
	struct order o = { .n = 0 };
	struct source_stats a, b;
	const unsigned total = 2000;
	struct unit u;

	if (!start(l, &u, 1 << 18, 2))
		return;
	frame[12] = 0x12;
	u.src->ops->stats(u.src, &a);
	for (unsigned i = 0; i < total; i++)
		LAB_CHECK(l, lab_send(l, 0, frame, sizeof frame));
	u.src->ops->stats(u.src, &b);
	LAB_CHECK(l, a.kernel_drops == 0 && b.kernel_drops > total / 2);
	lab_read(u.src, ~0u, 100, follow, &o);
	/* Each is read or counted; c0 may say a word or two of its own. */
	LAB_CHECK(l, o.n > 100 && o.n <= total && o.n + b.kernel_drops >= total && o.n + b.kernel_drops <= total + 8);
	u.src->ops->stats(u.src, &a);
	LAB_CHECK(l, a.kernel_drops == b.kernel_drops && a.packets >= o.n);
	for (unsigned i = 0; i < 50; i++)	/* and it goes on */
		LAB_CHECK(l, lab_send(l, 0, frame, sizeof frame));
	o.n = 0;
	lab_read(u.src, ~0u, 200, follow, &o);
	LAB_CHECK(l, o.n == 50);
	stop(&u);
}

static void down_and_up(struct lab *l)
{
	uint8_t frame[60] = { 2, 0, 0, 0, 0, 1, 2, 0xbb };
	struct unit u;

	if (!start(l, &u, 1 << 18, 8))
		return;
	frame[12] = 0x12;
	for (int i = 0; i < 4; i++) {
		const char *b = i & 1 ? "vbr" : "vbr-in";
		struct order o = { .n = 0 };

		LAB_CHECK(l, !lab_sh("ip link set %s down", b));
		LAB_CHECK(l, lab_send(l, !(i & 1), frame, sizeof frame));
		LAB_CHECK(l, lab_read(u.src, ~0u, 150, follow, &o) >= 0 && o.n == 0);	/* seen by nobody, and no error */
		LAB_CHECK(l, !lab_sh("ip link set %s up", b));
		for (int hook = 0; hook < 2; hook++)
			LAB_CHECK(l, lab_send(l, hook, frame, sizeof frame));
		LAB_CHECK(l, lab_read(u.src, ~0u, 150, follow, &o) >= 2 && o.n == 2);
	}
	stop(&u);
}

static void deleted(struct lab *l)
{
	uint8_t frame[60] = { 2, 0, 0, 0, 0, 1, 2, 0xbb };

	frame[12] = 0x12;
	for (int i = 0; i < 3; i++) {
		struct order o = { .n = 0 };
		struct source_stats st;
		struct unit u;
		int rc = 0;

		if (!start(l, &u, 1 << 18, 4))
			return;
		if (i == 2)	/* down first, and read so: the deletion itself then wakes nobody */
			LAB_CHECK(l, !lab_sh("ip link set vbr down") && lab_read(u.src, ~0u, 50, NULL, NULL) >= 0);
		/* What was copied before comes out before the error, whichever ring it is in. */
		for (int j = 0; j < 10; j++)
			LAB_CHECK(l, lab_send(l, i == 2 || j & 1, frame, sizeof frame));
		LAB_CHECK(l, !lab_sh("ip link del %s", i == 1 ? "vbr-in" : "vbr"));
		rc = lab_read(u.src, ~0u, 1000, follow, &o);
		LAB_CHECK(l, rc == -ENODEV && o.n == 10);
		u.src->ops->stats(u.src, &st);
		LAB_CHECK(l, st.errors == 1);
		stop(&u);
		LAB_CHECK(l, !lab_sh("ip link add %s type bridge && ip link set %s up", i == 1 ? "vbr-in" : "vbr", i == 1 ? "vbr-in" : "vbr"));
		l->vbr = (int)if_nametoindex("vbr");
		l->vbr_in = (int)if_nametoindex("vbr-in");
	}
}

static void refused(struct lab *l)
{
	struct mirror_conf c = { .ifindex = { l->vbr, 9999 }, .block_size = 1 << 18, .blocks = 4, .retire_ms = 8, .fanout_workers = 1 };
	struct err err = { "" };

	LAB_CHECK(l, !mirror_open(&c, &err) && strstr(err.text, "9999"));
	c.ifindex[1] = l->vbr_in;
	c.block_size = 1000;
	err.text[0] = 0;
	LAB_CHECK(l, !mirror_open(&c, &err) && strstr(err.text, "tc.ring"));
}

/* ---- fanout ---- */

struct share {
	unsigned worker, workers, wrong, n;
};

static void whose(void *ctx, const struct frame *f)
{
	struct share *s = ctx;

	if (f->caplen < 54 || f->data[6] != 2 || f->data[7] != 0xcc)
		return;
	s->n++;
	s->wrong += steer_ether(f->data, f->caplen, s->workers) != s->worker;
}

static void fanout(struct lab *l)
{
	struct mirror_conf c = {
		.ifindex = { l->vbr, l->vbr_in }, .block_size = 1 << 18, .blocks = 8, .retire_ms = 4, .fanout_group = 4242, .fanout_workers = 3,
	};
	struct tc_want w = lab_want(l);
	struct share s[3];
	struct source *src[3];
	struct err err = { "" };
	struct tc *tc = tc_open(&err);
	struct tc_state st;
	unsigned changes, total = 0, n = 0;

	LAB_CHECK(l, tc_ensure(tc, &w, &st, &changes, &err) == 0);
	for (unsigned i = 0; i < 3; i++) {
		src[i] = mirror_open(&c, &err);
		s[i] = (struct share){ .worker = i, .workers = 3 };
		LAB_CHECK(l, src[i] != NULL);
		if (!src[i]) {
			fprintf(stderr, "    %s\n", err.text);
			return;
		}
	}
	for (unsigned i = 0; i < 600; i++) {
		uint8_t p[80] = { 2, 0, 0, 0, 0, 1, 2, 0xcc };
		unsigned v6 = i & 1, at = 12;

		if (i % 5 == 0) {
			memcpy(p + at, "\x81\x00\x00\x05", 4);
			at += 4;
		}
		memcpy(p + at, v6 ? "\x86\xdd\x60" : "\x08\x00\x45", 3);
		p[at + 2 + (v6 ? 39 : 19)] = (uint8_t)i;
		p[at + 2 + (v6 ? 8 : 12)] = (uint8_t)(i >> 3);
		LAB_CHECK(l, lab_send(l, i % 3 == 0, p, sizeof p));
		total++;
	}
	for (unsigned i = 0; i < 3; i++) {
		lab_read(src[i], ~0u, 80, whose, &s[i]);
		LAB_CHECK(l, s[i].wrong == 0 && s[i].n > 100);
		n += s[i].n;
		src[i]->ops->close(src[i]);
	}
	LAB_CHECK(l, n == total);
	tc_close(tc);
}

static void test_transfer4(void) { lab_run(transfer4); }
static void test_transfer6(void) { lab_run(transfer6); }
static void test_udp_gso(void) { lab_run(udp_gso); }
static void test_vlan(void) { lab_run(vlan); }
static void test_views(void) { lab_run(views); }
static void test_order(void) { lab_run(order); }
static void test_one_sided(void) { lab_run(one_sided); }
static void test_waiting(void) { lab_run(waiting); }
static void test_drops(void) { lab_run(drops); }
static void test_down(void) { lab_run(down_and_up); }
static void test_deleted(void) { lab_run(deleted); }
static void test_refused(void) { lab_run(refused); }
static void test_fanout(void) { lab_run(fanout); }

const struct unit_test tests_mirror[] = {
	{ "TCP super-packets over IPv4, byte-exact", test_transfer4 },
	{ "TCP super-packets over IPv6, byte-exact", test_transfer6 },
	{ "a UDP super-packet says its size", test_udp_gso },
	{ "VLAN tags", test_vlan },
	{ "view and workload", test_views },
	{ "order over both rings", test_order },
	{ "one side only", test_one_sided },
	{ "waiting for the other ring", test_waiting },
	{ "drops are counted", test_drops },
	{ "down and up", test_down },
	{ "deleted", test_deleted },
	{ "what cannot be opened", test_refused },
	{ "fanout", test_fanout },
	{ 0 },
};
