/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Refusing against real sockets at both ends: connections at rest, with data streaming, half open, and datagrams. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nfq/queue.h"
#include "nfq/reset.h"
#include "nfq/rules.h"
#include "tests/unit/nfq/nslab.h"
#include "tests/unit/unit.h"

struct world {
	struct nslab l;
	struct ns_queue q;
	struct reset *reset;
	bool denied;		/* the flow is: all of it from the first packet with the word */
	bool deny_all, deny_out;
	unsigned refused, failed, rsts;
};

/* The flow is denied from the packet on that says so. */
static enum verdict judge(struct ns_queue *q, const struct frame *f)
{
	struct world *w = q->ctx;
	size_t at = f->data[0] >> 4 == 4 ? 20 : 40;

	if (w->deny_all || (w->deny_out && f->flags & FRAME_LEAVING) || memmem(f->data, f->caplen, "FORBIDDEN", 9))
		w->denied = true;
	if ((f->data[0] >> 4 == 4 ? f->data[9] : f->data[6]) == IPPROTO_TCP && f->data[at + 13] & 4)
		w->rsts++;
	return w->denied ? VERDICT_DENY : VERDICT_ALLOW;
}

static void after(struct ns_queue *q, const struct frame *f, enum verdict v)
{
	struct world *w = q->ctx;
	struct err err = { "" };

	if (v != VERDICT_DENY)
		return;
	w->refused++;
	if (reset_refuse(w->reset, f, &err)) {
		w->failed++;
		printf("%s ", err.text);
	}
}

static bool world_open(struct world *w)
{
	struct rules_want want = { .interface = "eth0", .side = SIDE_BOTH, .loopback = true, .bypass = true, .mark = 0x1000, .mask = 0x1000 };
	struct queue_conf c = { .fail_open = true, .gso = true };
	struct rules_state st;
	struct err err = { "" };
	unsigned changes;

	memset(w, 0, sizeof *w);
	if (!nslab_open(&w->l))
		return false;
	want.apps.n = 2;
	want.apps.port[0] = (struct app_port){ IPPROTO_TCP, 8080 };
	want.apps.port[1] = (struct app_port){ IPPROTO_UDP, 53 };
	CU_ASSERT_EQUAL_FATAL(rules_ensure(w->l.a, &want, &st, &changes, &err), 0);
	c.nsfd = w->l.a;
	w->q = (struct ns_queue){ .src = queue_open(&c, &err), .judge = judge, .after = after, .ctx = w };
	w->reset = reset_open(w->l.a, 0x1000, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w->q.src);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w->reset);
	return true;
}

static void world_close(struct world *w)
{
	w->q.src->ops->close(w->q.src);
	reset_close(w->reset);
	nslab_close(&w->l);
}

static const struct { const char *addr; bool server_a, client_a; } places[] = {
	{ "10.9.0.1", true, false }, { "fd09::1", true, false }, { "10.9.0.2", false, true }, { "fd09::2", false, true },
	{ "127.0.0.1", true, true }, { "::1", true, true },
};
#define PLACES (sizeof places / sizeof places[0])

static int client_of(const struct world *w, size_t i) { return places[i].client_a ? w->l.a : w->l.b; }
static int server_of(const struct world *w, size_t i) { return places[i].server_a ? w->l.a : w->l.b; }

/* Reads what is there until the connection is reset. ms until then, or -1. */
static int reset_within(struct world *w, int fd, int ms)
{
	static char buf[1 << 16];
	int64_t start = ns_now_ms();

	while (ns_now_ms() - start < ms) {
		ssize_t r = ns_recv(&w->q, fd, buf, sizeof buf, 50);

		if (r == -ECONNRESET)
			return (int)(ns_now_ms() - start);
		if (r == 0 || (r < 0 && r != -EAGAIN))
			return -1;
	}
	return -1;
}

static void test_at_rest(void)
{
	for (size_t i = 0; i < PLACES; i++) {
		for (int from_server = 0; from_server < 2; from_server++) {
			struct world w;
			char buf[32];
			int ls, c, s;

			if (!world_open(&w))
				return;
			ls = ns_listen(server_of(&w, i), places[i].addr, 8080);
			c = ns_connect(client_of(&w, i), places[i].addr, 8080);
			CU_ASSERT_EQUAL(ns_handshake(&w.q, c, ls, &s), 0);
			CU_ASSERT_EQUAL(send(c, "hello", 5, 0), 5);
			CU_ASSERT_EQUAL(ns_recv(&w.q, s, buf, sizeof buf, 2000), 5);
			CU_ASSERT_EQUAL(send(from_server ? s : c, "FORBIDDEN", 9, 0), 9);
			CU_ASSERT(reset_within(&w, c, 2000) >= 0);
			CU_ASSERT(reset_within(&w, s, 2000) >= 0);
			CU_ASSERT(w.refused >= 1);
			CU_ASSERT_EQUAL(w.failed, 0);
			CU_ASSERT_EQUAL(w.rsts, 0);	/* our own packets carry the mark: not queued */
			close(ls);
			close(c);
			close(s);
			world_close(&w);
		}
	}
}

/* The server streams while the client sends the forbidden thing: both ends are reset, the client too, whose numbers move on. lag: what
 * is under way when the client speaks waits in the queue, so that its acknowledgement is old when it is judged. (The kernel's own
 * RSTs, from the end that has no connection any more, may be queued here.) */
static void stream(size_t i, int lag)
{
	static char out[1 << 16], in[1 << 16];
	struct world w;
	uint64_t sent = 0;
	int ls, c, s, ms;

	if (!world_open(&w))
		return;
	ls = ns_listen(server_of(&w, i), places[i].addr, 8080);
	c = ns_connect(client_of(&w, i), places[i].addr, 8080);
	CU_ASSERT_EQUAL(ns_handshake(&w.q, c, ls, &s), 0);
	for (int turn = 0; turn < 400 && !w.denied; turn++) {
		for (int k = 0; k < (turn == 200 ? 1 + lag : 1); k++) {
			ssize_t r = send(s, out, sizeof out, MSG_NOSIGNAL);

			sent += r > 0 ? (uint64_t)r : 0;
		}
		if (turn == 200)
			CU_ASSERT_EQUAL(send(c, "FORBIDDEN", 9, 0), 9);
		while (turn < 200 && recv(c, in, sizeof in, 0) > 0)
			;
		ns_wait(&w.q, -1, -1, 1);
	}
	CU_ASSERT(sent > 1 << 20);
	CU_ASSERT(w.denied);
	CU_ASSERT(reset_within(&w, s, 2000) >= 0);
	ms = reset_within(&w, c, 3000);
	CU_ASSERT(ms >= 0);
	if (ms < 0 || getenv("NFQ_TIMES"))
		printf("%s: client reset after %d ms, %u refused, %llu bytes sent ", places[i].addr, ms, w.refused, (unsigned long long)sent);
	close(ls);
	close(c);
	close(s);
	world_close(&w);
}

static void test_streaming(void)
{
	for (size_t i = 0; i < PLACES; i++) {
		stream(i, 0);
		stream(i, 40);
	}
}

static void test_syn(void)
{
	for (size_t i = 0; i < PLACES; i++) {
		struct world w;
		int ls, c, s;
		int64_t start = ns_now_ms();

		if (!world_open(&w))
			return;
		w.deny_all = true;
		ls = ns_listen(server_of(&w, i), places[i].addr, 8080);
		c = ns_connect(client_of(&w, i), places[i].addr, 8080);
		start = ns_now_ms();
		CU_ASSERT_EQUAL(ns_handshake(&w.q, c, ls, &s), -ECONNREFUSED);
		CU_ASSERT(ns_now_ms() - start < 900);	/* not by a retransmitted SYN */
		CU_ASSERT_EQUAL(w.refused, 1);
		close(ls);
		close(c);
		world_close(&w);
	}
}

/* The server's answer is refused: the client hears it at once, the server forgets the half-open connection. */
static void test_syn_ack(void)
{
	for (size_t i = 0; i < 2; i++) {
		struct world w;
		int ls, c, s;
		char *half;
		int64_t start;

		if (!world_open(&w))
			return;
		w.deny_out = true;
		ls = ns_listen(w.l.a, places[i].addr, 8080);
		c = ns_connect(w.l.b, places[i].addr, 8080);
		start = ns_now_ms();
		CU_ASSERT_EQUAL(ns_handshake(&w.q, c, ls, &s), -ECONNREFUSED);
		CU_ASSERT(ns_now_ms() - start < 900);
		half = ns_out(w.l.a, "ss -Htan state syn-recv | wc -l");
		CU_ASSERT_EQUAL(half ? atoi(half) : -1, 0);
		free(half);
		close(ls);
		close(c);
		world_close(&w);
	}
}

static void test_udp(void)
{
	for (size_t i = 0; i < PLACES; i++) {
		struct sockaddr_storage to = ns_addr(places[i].addr, 53);
		static char big[3000] = "FORBIDDEN";
		struct world w;
		char buf[16];
		int s, c;

		if (!world_open(&w))
			return;
		s = ns_udp(server_of(&w, i), places[i].addr, 53);
		c = ns_socket(client_of(&w, i), to.ss_family, SOCK_DGRAM);
		CU_ASSERT_EQUAL(connect(c, (struct sockaddr *)&to, ns_addrlen(&to)), 0);
		CU_ASSERT_EQUAL(send(c, "FORBIDDEN", 9, 0), 9);
		CU_ASSERT_EQUAL(ns_recv(&w.q, c, buf, sizeof buf, 1500), -ECONNREFUSED);
		CU_ASSERT_EQUAL(send(c, big, sizeof big, 0), (ssize_t)sizeof big);	/* longer than what may be quoted */
		CU_ASSERT_EQUAL(ns_recv(&w.q, c, buf, sizeof buf, 1500), -ECONNREFUSED);
		CU_ASSERT_EQUAL(ns_recv(&w.q, s, buf, sizeof buf, 50), -EAGAIN);
		CU_ASSERT_EQUAL(w.failed, 0);
		close(s);
		close(c);
		world_close(&w);
	}
}

/* Link-local addresses need the interface, which the frame does not name. */
static void test_link_local(void)
{
	struct world w;
	struct sockaddr_storage a;
	struct sockaddr_in6 *a6 = (struct sockaddr_in6 *)&a;
	char *index;
	int ls, c, s;

	if (!world_open(&w))
		return;
	ns_sh(w.l.a, "ip addr add fe80::a/64 dev eth0 nodad");
	ns_sh(w.l.b, "ip addr add fe80::b/64 dev eth0 nodad");
	ls = ns_listen(w.l.a, "::", 8080);
	a = ns_addr("fe80::a", 8080);
	index = ns_out(w.l.b, "ip -o link show eth0 | cut -d: -f1");
	a6->sin6_scope_id = (uint32_t)atoi(index ? index : "0");
	free(index);
	c = ns_socket(w.l.b, AF_INET6, SOCK_STREAM);
	CU_ASSERT(connect(c, (struct sockaddr *)&a, sizeof *a6) < 0 && errno == EINPROGRESS);
	CU_ASSERT_EQUAL(ns_handshake(&w.q, c, ls, &s), 0);
	CU_ASSERT_EQUAL(send(c, "FORBIDDEN", 9, 0), 9);
	CU_ASSERT(reset_within(&w, c, 2000) >= 0);
	CU_ASSERT(reset_within(&w, s, 2000) >= 0);
	CU_ASSERT_EQUAL(w.failed, 0);
	close(ls);
	close(c);
	close(s);
	world_close(&w);
}

/* Every shorter and every broken packet is looked at without reading past its end, and sends nothing anywhere. */
static void test_hostile(void)
{
	static const uint8_t tcp4[] = { 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 9, 0, 2, 10, 9, 0, 1, 0x30, 0x39, 0x1f, 0x90, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 1, 0, 0, 0, 0, 0 };
	struct world w;
	struct err err = { "" };
	unsigned seed = 1;

	if (!world_open(&w))
		return;
	for (size_t n = 0; n < sizeof tcp4; n++) {
		uint8_t *p = malloc(n ? n : 1);
		struct frame f = { .data = p, .caplen = (uint32_t)n, .wirelen = 40, .link = LINK_RAW };

		memcpy(p, tcp4, n);
		CU_ASSERT_EQUAL(reset_refuse(w.reset, &f, &err), 0);
		free(p);
	}
	for (int i = 0; i < 20000; i++) {
		size_t n = 20 + (size_t)i % 80;
		uint8_t *p = malloc(n);
		struct frame f = { .data = p, .caplen = (uint32_t)n, .wirelen = (uint32_t)n, .link = LINK_RAW };

		for (size_t k = 0; k < n; k++)
			p[k] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24);
		p[0] = i & 1 ? 0x60 : 0x45;
		if (i & 2)
			p[i & 1 ? 6 : 9] = (uint8_t[]){ 0, 43, 44, 60, 6, 17, 6, 17 }[i >> 2 & 7];
		reset_refuse(w.reset, &f, &err);	/* some are good ones with nobody behind them: an error is no failure */
		free(p);
	}
	world_close(&w);
}

const struct unit_test tests_reset[] = {
	{ "a connection at rest: both ends, from either side", test_at_rest },
	{ "data streaming to the client", test_streaming },
	{ "a SYN", test_syn },
	{ "a SYN/ACK", test_syn_ack },
	{ "datagrams", test_udp },
	{ "link-local addresses", test_link_local },
	{ "hostile packets", test_hostile },
	{ NULL, NULL },
};
