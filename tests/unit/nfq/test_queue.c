/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The queue source against the kernel: every packet once, flagged, answered; what is lost is counted. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>
#include <netinet/udp.h>

#include "bridge/netns.h"
#include "nfq/queue.h"
#include "nfq/rules.h"
#include "tests/unit/nfq/nslab.h"
#include "tests/unit/unit.h"

#define PATH 3
#define BULK (20u << 20)

struct world {
	struct nslab l;
	struct rules_want want;
	struct rules_state st;
	struct ns_queue q;
};

static struct queue_conf conf_of(const struct world *w)
{
	return (struct queue_conf){ .nsfd = w->l.a, .queue_tcp = 4, .fail_open = true, .gso = true, .path = PATH, .workload = 77, .domain = 5,
		.view_in = 11, .view_out = 10, .iface = 2 };
}

static bool world_open(struct world *w, const struct queue_conf *conf, enum ipt_backend b)
{
	struct queue_conf c;
	struct err err = { "" };
	unsigned changes;

	memset(w, 0, sizeof *w);
	if (!nslab_open(&w->l))
		return false;
	w->want = (struct rules_want){ .interface = "eth0", .side = SIDE_BOTH, .loopback = true, .bypass = true, .queue_tcp = 4, .mark = 0x1000, .mask = 0x1000, .backend = b };
	w->want.apps.n = 2;
	w->want.apps.port[0] = (struct app_port){ IPPROTO_TCP, 8080 };
	w->want.apps.port[1] = (struct app_port){ IPPROTO_UDP, 53 };
	w->want.bypass = !conf || conf->fail_open;
	CU_ASSERT_EQUAL_FATAL(rules_ensure(w->l.a, &w->want, &w->st, &changes, &err), 0);
	c = conf ? *conf : conf_of(w);
	c.nsfd = w->l.a;
	w->q.src = queue_open(&c, &err);
	if (!w->q.src)
		printf("%s ", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w->q.src);
	return true;
}

static struct source_stats stats_of(const struct world *w)
{
	struct source_stats s;

	w->q.src->ops->stats(w->q.src, &s);
	return s;
}

static void world_close(struct world *w)
{
	if (w->q.src)
		w->q.src->ops->close(w->q.src);
	nslab_close(&w->l);
}

/* Which end serves, and where. The queue is always a's. */
static const struct { const char *name, *addr; bool server_a, client_a; } places[] = {
	{ "veth v4 server", "10.9.0.1", true, false }, { "veth v6 server", "fd09::1", true, false },
	{ "veth v4 client", "10.9.0.2", false, true }, { "veth v6 client", "fd09::2", false, true },
	{ "lo v4", "127.0.0.1", true, true }, { "lo v6", "::1", true, true },
};
#define PLACES (sizeof places / sizeof places[0])

/* Frames say what they are. */
static enum verdict check_frame(struct ns_queue *q, const struct frame *f)
{
	unsigned *bad = q->ctx;
	bool in = f->flags & FRAME_ENTERING, out = f->flags & FRAME_LEAVING;

	*bad += in == out || f->view != (in ? 11u : 10u) || f->link != LINK_RAW || !f->held || f->path != PATH || f->workload != 77 || f->domain != 5 ||
		f->iface != 2 || f->wirelen != f->caplen || f->caplen < 28 || (f->data[0] >> 4 != 4 && f->data[0] >> 4 != 6) || f->ts < 1600000000000000000;
	if (f->data[0] >> 4 == 4)
		*bad += f->caplen <= 65535 && ((unsigned)f->data[2] << 8 | f->data[3]) != f->caplen;
	return VERDICT_ALLOW;
}

/* A connection to a place's port 8080, all of it through the queue. */
struct pair {
	int listener, end[2];	/* [0] who connected */
};

static bool pair_open(struct world *w, size_t place, enum verdict (*judge)(struct ns_queue *, const struct frame *), void *ctx, struct pair *p)
{
	if (!world_open(w, NULL, place & 1 ? IPT_LEGACY : IPT_NFT))
		return false;
	w->q.judge = judge;
	w->q.ctx = ctx;
	p->listener = ns_listen(places[place].server_a ? w->l.a : w->l.b, places[place].addr, 8080);
	p->end[0] = ns_connect(places[place].client_a ? w->l.a : w->l.b, places[place].addr, 8080);
	CU_ASSERT_EQUAL_FATAL(ns_handshake(&w->q, p->end[0], p->listener, &p->end[1]), 0);
	return true;
}

static void pair_close(struct world *w, const struct pair *p)
{
	close(p->listener);
	close(p->end[0]);
	close(p->end[1]);
	world_close(w);
}

static void test_tcp_echo(void)
{
	for (size_t i = 0; i < PLACES; i++) {
		struct world w;
		struct pair p;
		unsigned bad = 0;
		char buf[32];

		if (!pair_open(&w, i, check_frame, &bad, &p))
			return;
		CU_ASSERT_EQUAL(send(p.end[0], "question", 8, 0), 8);
		CU_ASSERT_EQUAL(ns_recv(&w.q, p.end[1], buf, sizeof buf, 2000), 8);
		CU_ASSERT_EQUAL(send(p.end[1], "answer", 6, 0), 6);
		CU_ASSERT_EQUAL(ns_recv(&w.q, p.end[0], buf, sizeof buf, 2000), 6);
		CU_ASSERT(w.q.in >= 3 && w.q.out >= 3);
		CU_ASSERT_EQUAL(w.q.in + w.q.out, w.q.frames);
		CU_ASSERT_EQUAL(bad, 0);
		CU_ASSERT_EQUAL(stats_of(&w).packets, w.q.frames);
		CU_ASSERT_EQUAL(stats_of(&w).bytes, w.q.bytes);
		CU_ASSERT_EQUAL(stats_of(&w).accepted, w.q.frames);
		CU_ASSERT_EQUAL(stats_of(&w).errors, 0);
		pair_close(&w, &p);
	}
}

/* Lets urgent bytes go on as all others. */
static enum verdict calm_urgent(struct ns_queue *q, const struct frame *f)
{
	unsigned *n = q->ctx;

	q->l4 = f->data[0] >> 4 == 4 ? (f->data[0] & 15) * 4 : 40;
	if (f->data[q->l4 + 13] & 32) {
		q->flags = ANSWER_CALM;
		++*n;
	}
	return VERDICT_ALLOW;
}

/* An urgent byte that is calmed is read among the others, whichever hook it met and whether its checksum was finished; the kernel takes the packet. */
static void test_calm(void)
{
	static char big[30000], got[sizeof big];

	memset(big, 'b', sizeof big);
	for (size_t i = 0; i < PLACES; i++) {
		struct world w;
		struct pair p;
		unsigned calmed = 0;
		char buf[32];

		if (!pair_open(&w, i, calm_urgent, &calmed, &p))
			return;
		for (int from = 0; from < 2; from++) {
			size_t n = 0;
			ssize_t r;

			CU_ASSERT_EQUAL(send(p.end[from], "oneX", 4, MSG_OOB), 4);
			CU_ASSERT_EQUAL(send(p.end[from], "two", 3, 0), 3);
			while (n < 7 && (r = ns_recv(&w.q, p.end[!from], buf + n, sizeof buf - n, 2000)) > 0)
				n += (size_t)r;
			CU_ASSERT(n == 7 && !memcmp(buf, "oneXtwo", 7));
			CU_ASSERT_EQUAL(recv(p.end[!from], buf, 1, MSG_OOB), -1);
		}
		if (places[i].server_a && places[i].client_a) {		/* loopback: no super-packet, and still long */
			CU_ASSERT_EQUAL(send(p.end[0], big, sizeof big, MSG_OOB), sizeof big);
			CU_ASSERT_EQUAL(ns_recv(&w.q, p.end[1], got, sizeof got, 2000), sizeof got);
			CU_ASSERT(!memcmp(got, big, sizeof big) && w.q.max_caplen > sizeof big && !w.q.gso);
		}
		CU_ASSERT(calmed >= 2);
		CU_ASSERT_EQUAL(stats_of(&w).accepted, w.q.frames);
		CU_ASSERT_EQUAL(stats_of(&w).errors, 0);
		pair_close(&w, &p);
	}
}

static void test_udp_once(void)
{
	for (size_t i = 0; i < PLACES; i++) {
		struct world w;
		unsigned bad = 0;
		struct sockaddr_storage to = ns_addr(places[i].addr, 53);
		char buf[32];
		int s, c;

		if (!world_open(&w, NULL, i & 1 ? IPT_LEGACY : IPT_NFT))
			return;
		w.q.judge = check_frame;
		w.q.ctx = &bad;
		s = ns_udp(places[i].server_a ? w.l.a : w.l.b, places[i].addr, 53);
		c = ns_socket(places[i].client_a ? w.l.a : w.l.b, to.ss_family, SOCK_DGRAM);
		CU_ASSERT_EQUAL(connect(c, (struct sockaddr *)&to, ns_addrlen(&to)), 0);
		for (int k = 0; k < 10; k++) {
			struct sockaddr_storage from;
			socklen_t n = sizeof from;

			CU_ASSERT_EQUAL(send(c, "ping", 4, 0), 4);
			for (int64_t until = ns_now_ms() + 2000; recvfrom(s, buf, sizeof buf, 0, (struct sockaddr *)&from, &n) < 0 && ns_now_ms() < until; )
				ns_wait(&w.q, s, -1, 20);
			CU_ASSERT_EQUAL(sendto(s, "pong", 4, 0, (struct sockaddr *)&from, n), 4);
			CU_ASSERT_EQUAL(ns_recv(&w.q, c, buf, sizeof buf, 2000), 4);
		}
		CU_ASSERT_EQUAL(w.q.frames, 20);	/* each packet once, on lo too */
		CU_ASSERT_EQUAL(w.q.in, 10);
		CU_ASSERT_EQUAL(w.q.out, 10);
		CU_ASSERT_EQUAL(w.q.partial, 0);	/* the UDP queue is without GSO: checksums are filled in */
		CU_ASSERT_EQUAL(bad, 0);
		close(s);
		close(c);
		world_close(&w);
	}
}

#define LONG_PAYLOAD 60000

/* The payload is its number, and bytes that follow from it. */
static enum verdict check_payload(struct ns_queue *q, const struct frame *f)
{
	unsigned *bad = q->ctx, number;

	memcpy(&number, f->data + 28, sizeof number);
	for (uint32_t i = 28 + sizeof number; i < f->caplen; i++)
		*bad += f->data[i] != (uint8_t)(number + i);
	return VERDICT_ALLOW;
}

static long rss_kib(void)
{
	long all = 0, rss = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f && fscanf(f, "%ld %ld", &all, &rss) != 2)
		rss = 0;
	if (f)
		fclose(f);
	return rss * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Batches of short messages, of long ones, and of both: every byte as it was sent, and memory only for what is there. */
static void test_long_and_short(void)
{
	static const unsigned long_each[] = { 0, 1, 1, 7, 0, 3, 0 };	/* in a batch each so many is long; 0: none */
	static uint8_t payload[LONG_PAYLOAD];
	struct sockaddr_storage to;
	struct queue_conf c0;
	struct world w;
	unsigned bad = 0, number = 0;
	long rss[sizeof long_each / sizeof *long_each];
	int s, c, size = 16 << 20;

	memset(&w, 0, sizeof w);
	c0 = conf_of(&w);
	c0.rcvbuf = (uint32_t)size;
	if (!world_open(&w, &c0, IPT_NFT))
		return;
	w.q.judge = check_payload;
	w.q.ctx = &bad;
	to = ns_addr("127.0.0.1", 53);
	s = ns_udp(w.l.a, "127.0.0.1", 53);
	c = ns_socket(w.l.a, to.ss_family, SOCK_DGRAM);
	CU_ASSERT_EQUAL(connect(c, (struct sockaddr *)&to, ns_addrlen(&to)), 0);
	CU_ASSERT_EQUAL(setsockopt(c, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size), 0);
	for (size_t b = 0; b < sizeof long_each / sizeof *long_each; b++) {
		for (unsigned i = 0; i < 100; i++, number++) {
			unsigned n = long_each[b] && i % long_each[b] == 0 ? LONG_PAYLOAD : 100 + i;

			memcpy(payload, &number, sizeof number);
			for (unsigned k = sizeof number; k < n; k++)
				payload[k] = (uint8_t)(number + 28 + k);
			CU_ASSERT_EQUAL(send(c, payload, n, 0), (ssize_t)n);
		}
		ns_wait(&w.q, -1, -1, 500);
		CU_ASSERT_EQUAL(w.q.frames, number);
		rss[b] = rss_kib();
	}
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT_EQUAL(stats_of(&w).errors + stats_of(&w).passed_unseen, 0);
	CU_ASSERT(rss[1] < rss[0] + 3000);	/* 64 windows of them would be 3,900 */
	CU_ASSERT(rss[6] < rss[0] + 2000);
	close(s);
	close(c);
	world_close(&w);
}

static void test_bulk(void)
{
	for (size_t i = 0; i < PLACES; i++) {
		struct world w;
		struct queue_kernel kc;
		struct err err = { "" };
		uint64_t got, unseen;
		struct pair p;

		if (!pair_open(&w, i, NULL, NULL, &p))
			return;
		got = ns_bulk(&w.q, p.end[0], p.end[1], BULK);
		CU_ASSERT_EQUAL(got, BULK);
		got = ns_bulk(&w.q, p.end[1], p.end[0], BULK);
		CU_ASSERT_EQUAL(got, BULK);
		CU_ASSERT_EQUAL(queue_kernel_counts(w.l.a, 4, &kc, &err), 0);
		unseen = kc.id_sequence - w.q.frames;	/* let by because this test was not scheduled for long enough; a full queue does not even number them */
		CU_ASSERT(unseen * 10 < kc.id_sequence);
		CU_ASSERT(w.q.bytes > BULK);
		CU_ASSERT(w.q.gso > 0);
		CU_ASSERT(w.q.max_caplen > 16000);
		CU_ASSERT(w.q.frames < 2 * BULK / 1000);	/* super-packets */
		CU_ASSERT(stats_of(&w).passed_unseen <= unseen);
		CU_ASSERT_EQUAL(stats_of(&w).errors, 0);
		pair_close(&w, &p);
	}
}

static void test_without_gso(void)
{
	struct queue_conf c0 = { .queue_tcp = 4, .fail_open = true };
	struct world w;
	int ls, c, s;

	if (!world_open(&w, &c0, IPT_NFT))
		return;
	ls = ns_listen(w.l.a, "fd09::1", 8080);
	c = ns_connect(w.l.b, "fd09::1", 8080);
	CU_ASSERT_EQUAL(ns_handshake(&w.q, c, ls, &s), 0);
	CU_ASSERT_EQUAL(ns_bulk(&w.q, s, c, 1u << 20), 1u << 20);
	CU_ASSERT_EQUAL(w.q.gso, 0);
	CU_ASSERT(w.q.max_caplen <= 1500);
	close(ls);
	close(c);
	close(s);
	world_close(&w);
}

/* ---- verdicts ---- */

/* The datagram's number stands in its payload. */
static unsigned number_of(const struct frame *f)
{
	unsigned n;

	memcpy(&n, f->data + f->caplen - sizeof n, sizeof n);
	return n;
}

#define MANY 1000u

static enum verdict drop_thirds(struct ns_queue *q, const struct frame *f)
{
	(void)q;
	return number_of(f) % 3 == 0 ? VERDICT_DROP : VERDICT_ALLOW;
}

struct kept {
	struct frame f[MANY];
	unsigned n;
};

static enum verdict keep(struct ns_queue *q, const struct frame *f)
{
	struct kept *k = q->ctx;

	if (k->n < MANY)
		k->f[k->n++] = *f;
	return VERDICT_PENDING;
}

static enum verdict keep_sevenths(struct ns_queue *q, const struct frame *f) { return number_of(f) % 7 == 0 ? keep(q, f) : drop_thirds(q, f); }

static void send_numbers(struct world *w, int c, unsigned from, unsigned n)
{
	for (unsigned i = from; i < from + n; i++) {
		CU_ASSERT_EQUAL(send(c, &i, sizeof i, 0), (ssize_t)sizeof i);
		if (i % 32 == 31)
			ns_queue_turn(&w->q);
	}
	ns_queue_turn(&w->q);
}

/* How many of 0 .. MANY - 1 arrived, and that only those did which `fits`. */
static unsigned arrived(struct world *w, int s, bool (*fits)(unsigned))
{
	static bool seen[MANY];
	unsigned n = 0, number;

	memset(seen, 0, sizeof seen);
	while (ns_recv(&w->q, s, &number, sizeof number, 200) == (ssize_t)sizeof number) {
		CU_ASSERT(number < MANY && !seen[number] && fits(number));
		if (number < MANY)
			seen[number] = true;
		n++;
	}
	return n;
}

static bool not_third(unsigned n) { return n % 3; }
static bool any(unsigned n) { return n < MANY; }

static int udp_pair(struct world *w, const char *addr, int *s)
{
	struct sockaddr_storage to = ns_addr(addr, 53);
	int c = ns_socket(w->l.b, to.ss_family, SOCK_DGRAM), big = 4 << 20;

	*s = ns_udp(w->l.a, addr, 53);
	setsockopt(*s, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof big);
	CU_ASSERT_EQUAL(connect(c, (struct sockaddr *)&to, ns_addrlen(&to)), 0);
	return c;
}

static void test_accept_and_drop(void)
{
	struct world w;
	int s, c;

	if (!world_open(&w, NULL, IPT_NFT))
		return;
	c = udp_pair(&w, "fd09::1", &s);
	w.q.judge = drop_thirds;
	send_numbers(&w, c, 0, MANY);
	CU_ASSERT_EQUAL(arrived(&w, s, not_third), MANY - (MANY + 2) / 3);
	CU_ASSERT_EQUAL(stats_of(&w).accepted, MANY - (MANY + 2) / 3);
	CU_ASSERT_EQUAL(stats_of(&w).dropped, (MANY + 2) / 3);
	CU_ASSERT_EQUAL(stats_of(&w).errors, 0);
	close(s);
	close(c);
	world_close(&w);
}

/* Some frames are answered late, in reverse, while others go on; each gets its own verdict and none waits in the end. */
static void test_out_of_order(void)
{
	static struct kept k;
	struct queue_kernel kc;
	struct err err = { "" };
	struct world w;
	unsigned late = (MANY + 6) / 7;
	int s, c;

	if (!world_open(&w, NULL, IPT_NFT))
		return;
	k.n = 0;
	c = udp_pair(&w, "10.9.0.1", &s);
	w.q.judge = keep_sevenths;
	w.q.ctx = &k;
	send_numbers(&w, c, 0, MANY);
	CU_ASSERT_EQUAL(k.n, late);
	CU_ASSERT_EQUAL(queue_kernel_counts(w.l.a, 4, &kc, &err), 0);
	CU_ASSERT_EQUAL(kc.waiting, late);
	CU_ASSERT_EQUAL(kc.id_sequence, MANY);
	for (unsigned i = k.n; i-- > 0; )	/* frames' bytes are gone by now; only the token counts */
		w.q.src->ops->answer(w.q.src, &k.f[i], (struct answer){ .verdict = (6 + i) % 3 == 0 ? VERDICT_DROP : VERDICT_ALLOW });
	w.q.src->ops->flush(w.q.src);
	CU_ASSERT_EQUAL(queue_kernel_counts(w.l.a, 4, &kc, &err), 0);
	CU_ASSERT_EQUAL(kc.waiting, 0);
	CU_ASSERT_EQUAL(arrived(&w, s, not_third), MANY - (MANY + 2) / 3);	/* the i-th kept is number 7 i */
	CU_ASSERT_EQUAL(stats_of(&w).errors, 0);
	close(s);
	close(c);
	world_close(&w);
}

/* ---- losses ---- */

/* Queue full: FAIL_OPEN lets the rest by; the rule's counter less the ids tells how many. */
static void test_queue_full(void)
{
	for (int open = 0; open < 2; open++) {
		struct queue_conf c0 = { .queue_tcp = 4, .fail_open = open, .maxlen = 64 };
		struct rules_counts counts;
		struct queue_kernel kc;
		struct err err = { "" };
		struct world w;
		unsigned n = 0, number;
		int s, c;

		if (!world_open(&w, &c0, IPT_NFT))
			return;
		c = udp_pair(&w, "10.9.0.1", &s);
		for (unsigned i = 0; i < MANY; i++)
			CU_ASSERT_EQUAL(send(c, &i, sizeof i, 0), (ssize_t)sizeof i);
		while (recv(s, &number, sizeof number, 0) > 0)
			n++;
		CU_ASSERT_EQUAL(n, open ? MANY - 64 : 0);
		CU_ASSERT_EQUAL(queue_kernel_counts(w.l.a, 4, &kc, &err), 0);
		CU_ASSERT_EQUAL(rules_counts(w.l.a, &w.st, &counts, &err), 0);
		CU_ASSERT_EQUAL(counts.queued_packets, MANY);
		CU_ASSERT_EQUAL(counts.queued_packets - kc.id_sequence, MANY - 64);
		CU_ASSERT_EQUAL(kc.dropped, open ? 0 : MANY - 64);
		CU_ASSERT_EQUAL(stats_of(&w).kernel_drops, open ? 0 : MANY - 64);
		CU_ASSERT_EQUAL(arrived(&w, s, any), 64);
		CU_ASSERT_EQUAL(w.q.frames, 64);
		close(s);
		close(c);
		world_close(&w);
	}
}

/* The same where a packet that was read waits for its answer, and takes a place in the queue: fewer than the queue holds are read, and it was full. */
static void test_queue_full_with_one_waiting(void)
{
	struct queue_conf c0 = { .queue_tcp = 4, .fail_open = true, .maxlen = 64 };
	static struct kept k;
	struct world w;
	int s, c;

	if (!world_open(&w, &c0, IPT_NFT))
		return;
	k.n = 0;
	c = udp_pair(&w, "10.9.0.1", &s);
	w.q.ctx = &k;
	w.q.judge = keep;
	send_numbers(&w, c, 0, 1);
	CU_ASSERT_EQUAL(k.n, 1);
	w.q.judge = drop_thirds;
	for (unsigned i = 1; i < 63; i++)
		CU_ASSERT_EQUAL(send(c, &i, sizeof i, 0), (ssize_t)sizeof i);
	ns_queue_turn(&w.q);
	CU_ASSERT_EQUAL(w.q.frames, 63);
	CU_ASSERT_EQUAL(queue_fulls(w.q.src), 0);	/* 63 of 64 places */
	for (unsigned i = 0; i < MANY; i++)
		CU_ASSERT_EQUAL(send(c, &i, sizeof i, 0), (ssize_t)sizeof i);
	ns_queue_turn(&w.q);
	CU_ASSERT_EQUAL(w.q.frames, 63 + 63);
	CU_ASSERT_EQUAL(queue_fulls(w.q.src), 1);
	close(s);
	close(c);
	world_close(&w);
}

/* Socket buffer full: the gaps in the ids tell how many. */
static void test_buffer_full(void)
{
	for (int open = 0; open < 2; open++) {
		struct queue_conf c0 = { .queue_tcp = 4, .fail_open = open, .rcvbuf = 32768 };
		struct world w;
		unsigned lost, last = MANY;
		int s, c;

		if (!world_open(&w, &c0, IPT_NFT))
			return;
		c = udp_pair(&w, "10.9.0.1", &s);
		for (unsigned i = 0; i < MANY; i++)
			CU_ASSERT_EQUAL(send(c, &i, sizeof i, 0), (ssize_t)sizeof i);
		ns_queue_turn(&w.q);
		CU_ASSERT(w.q.frames > 5 && w.q.frames < MANY / 2);
		lost = MANY - w.q.frames;
		CU_ASSERT_EQUAL(send(c, &last, sizeof last, 0), (ssize_t)sizeof last);	/* the next id shows the gap */
		ns_wait(&w.q, -1, -1, 500);
		CU_ASSERT_EQUAL(stats_of(&w).passed_unseen, open ? lost : 0);
		CU_ASSERT_EQUAL(stats_of(&w).user_drops, open ? 0 : lost);
		CU_ASSERT_EQUAL(stats_of(&w).errors, 0);
		close(s);
		close(c);
		world_close(&w);
	}
}

static void test_busy(void)
{
	struct queue_conf c;
	struct queue_kernel kc;
	pid_t child;
	struct err err = { "" };
	struct world w;

	if (!world_open(&w, NULL, IPT_NFT))
		return;
	c = conf_of(&w);
	CU_ASSERT_PTR_NULL(queue_open(&c, &err));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "queue 4: another program has it"));
	c.queue_tcp = 3;	/* its second number is taken */
	CU_ASSERT_PTR_NULL(queue_open(&c, &err));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "queue 4: another program has it"));
	c.queue_tcp = 65535;
	CU_ASSERT_PTR_NULL(queue_open(&c, &err));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "no number behind it"));
	CU_ASSERT_EQUAL(queue_kernel_counts(w.l.a, 4, &kc, &err), 0);	/* whose it is has it still */
	CU_ASSERT_NOT_EQUAL(queue_kernel_counts(w.l.a, 2, &kc, &err), 0);	/* and 3 is not left bound */
	c.queue_tcp = 3;
	child = fork();
	if (!child) {
		pause();
		_exit(0);
	}
	w.q.src->ops->close(w.q.src);
	w.q.src = queue_open(&c, &err);		/* and a closed one is free again, though a child that runs no program yet has its descriptor */
	CU_ASSERT_PTR_NOT_NULL(w.q.src);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	world_close(&w);
}

/* Among so many queues of other programs that the kernel's list of them is long. */
static void test_many_queues(void)
{
	struct queue_conf c;
	struct queue_kernel kc;
	struct err err = { "" };
	struct world w;
	int others;

	if (!world_open(&w, NULL, IPT_NFT))
		return;
	c = conf_of(&w);
	w.q.src->ops->close(w.q.src);
	others = netns_socket(w.l.a, AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER, &err);
	for (unsigned i = 1000; i < 9000; i++) {
		char buf[128] = { 0 };
		struct nlmsghdr *h = nfq_nlmsg_put(buf, NFQNL_MSG_CONFIG, i);

		nfq_nlmsg_cfg_put_cmd(h, AF_UNSPEC, NFQNL_CFG_CMD_BIND);
		CU_ASSERT_EQUAL(send(others, h, h->nlmsg_len, 0), (ssize_t)h->nlmsg_len);
	}
	w.q.src = queue_open(&c, &err);
	CU_ASSERT_PTR_NOT_NULL(w.q.src);
	CU_ASSERT_EQUAL(queue_kernel_counts(w.l.a, 4, &kc, &err), 0);
	CU_ASSERT_EQUAL(queue_kernel_counts(w.l.a, 8998, &kc, &err), 0);
	CU_ASSERT_NOT_EQUAL(queue_kernel_counts(w.l.a, 9000, &kc, &err), 0);
	close(others);
	world_close(&w);
}

static void test_udp_gso(void)
{
	static char buf[10000];
	struct sockaddr_storage to = ns_addr("10.9.0.2", 53);
	int segment = 1000, c, s, n = 0;
	struct world w;

	if (!world_open(&w, NULL, IPT_NFT))
		return;
	s = ns_udp(w.l.b, "10.9.0.2", 53);
	c = ns_socket(w.l.a, AF_INET, SOCK_DGRAM);
	CU_ASSERT_EQUAL(setsockopt(c, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment), 0);
	CU_ASSERT_EQUAL(sendto(c, buf, sizeof buf, 0, (struct sockaddr *)&to, ns_addrlen(&to)), (ssize_t)sizeof buf);
	while (n < 10 && ns_recv(&w.q, s, buf, sizeof buf, 1000) == 1000)
		n++;
	CU_ASSERT_EQUAL(n, 10);
	CU_ASSERT_EQUAL(w.q.frames, 10);
	CU_ASSERT_EQUAL(w.q.max_caplen, 1028);
	CU_ASSERT_EQUAL(w.q.gso, 0);
	close(c);
	close(s);
	world_close(&w);
}

/* A datagram in fragments is queued whole, by both families, with conntrack off. */
static void test_fragments(void)
{
	for (int b = IPT_NFT; b <= IPT_LEGACY; b++) {
		for (int v6 = 0; v6 < 2; v6++) {
			static char buf[4000], got[4000];
			struct world w;
			char *ct;
			int s, c;

			if (!world_open(&w, NULL, (enum ipt_backend)b))
				return;
			c = udp_pair(&w, v6 ? "fd09::1" : "10.9.0.1", &s);
			for (size_t i = 0; i < sizeof buf; i++)
				buf[i] = (char)(i * 7);
			CU_ASSERT_EQUAL(send(c, buf, sizeof buf, 0), (ssize_t)sizeof buf);
			CU_ASSERT_EQUAL(ns_recv(&w.q, s, got, sizeof got, 1000), (ssize_t)sizeof got);
			CU_ASSERT_EQUAL(memcmp(buf, got, sizeof buf), 0);
			CU_ASSERT_EQUAL(w.q.frames, 1);
			CU_ASSERT_EQUAL(w.q.max_caplen, v6 ? 4048 : 4028);
			ct = ns_out(w.l.a, "cat /proc/sys/net/netfilter/nf_conntrack_count 2>/dev/null || echo 0");
			CU_ASSERT_EQUAL(ct ? atoi(ct) : -1, 0);
			free(ct);
			close(s);
			close(c);
			world_close(&w);
		}
	}
}

/* TCP cut behind its header, as one would who wants to pass unseen: one whole packet in the queue. (The kernel drops a first fragment
 * without the whole header by itself: RFC 8200, 4.5.) */
static void test_tcp_fragments(void)
{
	for (int b = IPT_NFT; b <= IPT_LEGACY; b++) {
		static const uint8_t tcp[32] = { 0x30, 0x39, 0x1f, 0x90, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 16, 0, 0, 0, 0, 0 };
		struct sockaddr_storage to = ns_addr("fd09::1", 0), from = ns_addr("fd09::2", 0);
		struct err err = { "" };
		struct world w;
		int fd;

		if (!world_open(&w, NULL, (enum ipt_backend)b))
			return;
		fd = netns_socket(w.l.b, AF_INET6, SOCK_RAW, IPPROTO_RAW, &err);
		for (unsigned i = 0; i < 2; i++) {
			size_t at = i * 24, n = i ? 8 : 24;
			uint8_t p[80] = { 0x60, 0, 0, 0, 0, (uint8_t)(8 + n), 44, 64 }, *frag = p + 40;

			memcpy(p + 8, &((struct sockaddr_in6 *)&from)->sin6_addr, 16);
			memcpy(p + 24, &((struct sockaddr_in6 *)&to)->sin6_addr, 16);
			frag[0] = IPPROTO_TCP;
			frag[3] = (uint8_t)(at | !i);	/* offset, more to come */
			frag[7] = 9;			/* id */
			memcpy(frag + 8, tcp + at, n);
			CU_ASSERT_EQUAL(sendto(fd, p, 48 + n, 0, (struct sockaddr *)&to, ns_addrlen(&to)), (ssize_t)(48 + n));
		}
		ns_wait(&w.q, -1, -1, 500);
		CU_ASSERT_EQUAL(w.q.frames, 1);
		CU_ASSERT_EQUAL(w.q.max_caplen, 72);
		CU_ASSERT_EQUAL(w.q.dport, 8080);
		close(fd);
		world_close(&w);
	}
}

/* What waits when the queue closes goes on with fail: open and is dropped without; then the rules bypass, or stop. */
static void test_close(void)
{
	for (int open = 0; open < 2; open++) {
		struct queue_conf c0 = { .queue_tcp = 4, .fail_open = open };
		static struct kept k;
		struct world w;
		int s, c;

		if (!world_open(&w, &c0, IPT_NFT))
			return;
		k.n = 0;
		c = udp_pair(&w, "10.9.0.1", &s);
		w.q.judge = keep;
		w.q.ctx = &k;
		send_numbers(&w, c, 0, 20);
		CU_ASSERT_EQUAL(w.q.frames, 20);
		for (unsigned i = 20; i < 40; i++)	/* these are not even read */
			CU_ASSERT_EQUAL(send(c, &i, sizeof i, 0), (ssize_t)sizeof i);
		w.q.src->ops->close(w.q.src);
		w.q.src = NULL;
		CU_ASSERT_EQUAL(arrived(&w, s, any), open ? 40 : 0);
		send_numbers(&w, c, 40, 20);
		CU_ASSERT_EQUAL(arrived(&w, s, any), open ? 20 : 0);
		close(s);
		close(c);
		world_close(&w);
	}
}

/* A workload with CAP_NET_ADMIN writes to our port: it is not the kernel, so it is refused. */
static void test_forged_messages(void)
{
	struct { struct nlmsghdr h; struct nfgenmsg g; uint8_t rest[40]; } m = { .h = { .nlmsg_len = sizeof m, .nlmsg_type = NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET } };
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	struct err err = { "" };
	socklen_t n = sizeof to;
	struct world w;
	int fd;

	if (!world_open(&w, NULL, IPT_NFT))
		return;
	getsockname(w.q.src->ops->fd(w.q.src), (struct sockaddr *)&to, &n);
	fd = netns_socket(w.l.a, AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER, &err);
	CU_ASSERT(sendto(fd, &m, sizeof m, 0, (struct sockaddr *)&to, sizeof to) < 0 && errno == ECONNREFUSED);
	ns_wait(&w.q, -1, -1, 200);
	CU_ASSERT_EQUAL(w.q.frames, 0);
	CU_ASSERT_EQUAL(stats_of(&w).errors, 0);
	close(fd);
	world_close(&w);
}

/* The workload's own DROP holds while the queue accepts, is closed, and is bypassed. */
static void test_own_firewall_holds(void)
{
	for (int b = IPT_NFT; b <= IPT_LEGACY; b++) {
		struct world w;
		struct err err = { "" };
		unsigned changes;
		int s, c;

		if (!world_open(&w, NULL, (enum ipt_backend)b))
			return;
		ns_sh(w.l.a, "iptables-%s -A INPUT -p udp --dport 53 -j DROP", b == IPT_NFT ? "nft" : "legacy");
		CU_ASSERT_EQUAL(rules_ensure(w.l.a, &w.want, &w.st, &changes, &err), 0);
		CU_ASSERT_EQUAL(w.st.table, IPT_TABLE_SECURITY);
		c = udp_pair(&w, "10.9.0.1", &s);
		send_numbers(&w, c, 0, 10);
		CU_ASSERT_EQUAL(arrived(&w, s, any), 0);
		w.q.src->ops->close(w.q.src);
		w.q.src = NULL;
		send_numbers(&w, c, 10, 10);
		CU_ASSERT_EQUAL(arrived(&w, s, any), 0);
		close(s);
		close(c);
		world_close(&w);
	}
}

/* A mesh sidecar: the workload redirects 8080 to 15006. Both directions are queued all the same, each packet once. */
static void test_redirected(void)
{
	for (size_t i = 0; i < 2; i++) {
		struct world w;
		struct err err = { "" };
		unsigned changes;
		char buf[32];
		int ls, c, s;

		if (!world_open(&w, NULL, IPT_NFT))
			return;
		ns_sh(w.l.a, "ip%stables-nft -t nat -A PREROUTING -p tcp --dport 8080 -j REDIRECT --to-ports 15006", i ? "6" : "");
		CU_ASSERT_EQUAL(rules_ensure(w.l.a, &w.want, &w.st, &changes, &err), 0);
		CU_ASSERT(w.st.nat_redirect && w.st.complete);
		ls = ns_listen(w.l.a, places[i].addr, 15006);
		c = ns_connect(w.l.b, places[i].addr, 8080);
		CU_ASSERT_EQUAL(ns_handshake(&w.q, c, ls, &s), 0);
		CU_ASSERT_EQUAL(send(c, "question", 8, 0), 8);
		CU_ASSERT_EQUAL(ns_recv(&w.q, s, buf, sizeof buf, 2000), 8);
		ns_wait(&w.q, -1, -1, 100);		/* its acknowledgement */
		CU_ASSERT_EQUAL(w.q.in, 3);		/* SYN, ACK, question */
		CU_ASSERT_EQUAL(w.q.out, 2);		/* SYN/ACK, ACK */
		CU_ASSERT_EQUAL(stats_of(&w).accepted, 5);
		close(ls);
		close(c);
		close(s);
		world_close(&w);
	}
}

/* The device goes while packets wait: the kernel drops them, and late answers hurt nobody. */
static void test_device_gone(void)
{
	static struct kept k;
	struct queue_kernel kc;
	struct err err = { "" };
	struct world w;
	int s, c;

	if (!world_open(&w, NULL, IPT_NFT))
		return;
	k.n = 0;
	c = udp_pair(&w, "10.9.0.1", &s);
	w.q.judge = keep;
	w.q.ctx = &k;
	send_numbers(&w, c, 0, 20);
	CU_ASSERT_EQUAL(k.n, 20);
	ns_sh(w.l.a, "ip link del eth0");
	CU_ASSERT_EQUAL(queue_kernel_counts(w.l.a, 4, &kc, &err), 0);
	CU_ASSERT_EQUAL(kc.waiting, 0);
	for (unsigned i = 0; i < k.n; i++)
		w.q.src->ops->answer(w.q.src, &k.f[i], (struct answer){ .verdict = i % 5 ? VERDICT_ALLOW : VERDICT_DROP });
	w.q.src->ops->flush(w.q.src);
	ns_queue_turn(&w.q);	/* the kernel's refusals are read */
	CU_ASSERT_EQUAL(stats_of(&w).errors, 0);
	w.q.judge = NULL;
	close(s);
	close(c);
	world_close(&w);
}

static void test_quarantine(void)
{
	for (size_t i = 0; i < 4; i++) {
		struct world w;
		struct err err = { "" };
		unsigned changes;
		int ls, c, s;

		if (!world_open(&w, NULL, i & 1 ? IPT_LEGACY : IPT_NFT))
			return;
		w.want.quarantine = true;
		CU_ASSERT_EQUAL(rules_ensure(w.l.a, &w.want, &w.st, &changes, &err), 0);
		ls = ns_listen(places[i].server_a ? w.l.a : w.l.b, places[i].addr, 9999);	/* not an app port either */
		c = ns_connect(places[i].client_a ? w.l.a : w.l.b, places[i].addr, 9999);
		if (i < 2) {
			struct pollfd p = { .fd = ls, .events = POLLIN };

			CU_ASSERT_EQUAL(poll(&p, 1, 300), 0);
		}
		w.want.quarantine = false;
		CU_ASSERT_EQUAL(rules_ensure(w.l.a, &w.want, &w.st, &changes, &err), 0);
		close(c);
		c = ns_connect(places[i].client_a ? w.l.a : w.l.b, places[i].addr, 9999);
		CU_ASSERT_EQUAL(ns_handshake(&w.q, c, ls, &s), 0);
		close(ls);
		close(c);
		close(s);
		world_close(&w);
	}
}

const struct unit_test tests_queue[] = {
	{ "tcp: both directions, both families, veth and lo", test_tcp_echo },
	{ "udp: each packet once", test_udp_once },
	{ "long messages and short ones", test_long_and_short },
	{ "bulk arrives whole, in super-packets", test_bulk },
	{ "without GSO", test_without_gso },
	{ "an urgent byte that is calmed", test_calm },
	{ "accept and drop", test_accept_and_drop },
	{ "answers out of order", test_out_of_order },
	{ "queue full", test_queue_full },
	{ "queue full, with one waiting", test_queue_full_with_one_waiting },
	{ "buffer full", test_buffer_full },
	{ "a number that is taken", test_busy },
	{ "a number among thousands", test_many_queues },
	{ "udp super-packets", test_udp_gso },
	{ "fragments are queued whole", test_fragments },
	{ "TCP in fragments", test_tcp_fragments },
	{ "closing", test_close },
	{ "forged messages", test_forged_messages },
	{ "the workload's own DROP holds", test_own_firewall_holds },
	{ "quarantine", test_quarantine },
	{ "what the workload redirects inside itself", test_redirected },
	{ "the device goes", test_device_gone },
	{ NULL, NULL },
};
