/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Flows that the bpf engine copies no more: what is copied and what is counted, packet by packet, of real sockets. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tc/passing.h"
#include "tests/unit/tc/lab.h"
#include "tests/unit/unit.h"

#define PORT 7000u

struct copies {
	bool v6, syn_only;
	unsigned n[2];		/* from the container, to it */
	uint64_t bytes[2];
};

static unsigned be16(const uint8_t *p) { return (unsigned)p[0] << 8 | p[1]; }

/* Frames from and to PORT of the node. */
static void on_frame(void *ctx, const struct frame *f)
{
	struct copies *c = ctx;
	size_t l4 = c->v6 ? 54 : 34;
	int to;

	if (f->caplen < l4 + 8 || be16(f->data + 12) != (c->v6 ? 0x86dd : 0x0800))
		return;
	to = be16(f->data + l4) == PORT ? 1 : be16(f->data + l4 + 2) == PORT ? 0 : -1;
	if (to < 0)
		return;
	c->n[to]++;
	c->bytes[to] += c->v6 ? be16(f->data + 18) + 40 : be16(f->data + 16);
}

static struct copies copies(struct source *s, bool v6)
{
	struct copies c = { .v6 = v6 };

	lab_read(s, ~0u, 80, on_frame, &c);
	return c;
}

static socklen_t address(bool v6, bool node, uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
	struct sockaddr_in *four = (struct sockaddr_in *)out;

	memset(out, 0, sizeof *out);
	if (v6) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(port);
		inet_pton(AF_INET6, node ? "fd09::1" : "fd09::2", &six->sin6_addr);
		return sizeof *six;
	}
	four->sin_family = AF_INET;
	four->sin_port = htons(port);
	inet_pton(AF_INET, node ? "10.9.0.1" : "10.9.0.2", &four->sin_addr);
	return sizeof *four;
}

static struct addr addr_of(const struct sockaddr_storage *s)
{
	if (s->ss_family == AF_INET6)
		return addr_v6(((const struct sockaddr_in6 *)s)->sin6_addr.s6_addr);
	return addr_v4((const uint8_t *)&((const struct sockaddr_in *)s)->sin_addr);
}

struct pair {
	int in, out;		/* the container's end, the node's */
	struct passing_flow flow;
};

/* Both ends of a connection from the container to PORT of the node. */
static bool connect_pair(struct lab *l, bool v6, int type, struct pair *p)
{
	struct sockaddr_storage node, own;
	socklen_t n = address(v6, true, PORT, &node), no = sizeof own;
	int ls = socket(v6 ? AF_INET6 : AF_INET, type, 0), one = 1;

	p->in = lab_socket(l, v6 ? AF_INET6 : AF_INET, type, 0);
	setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(ls, (struct sockaddr *)&node, n) || (type == SOCK_STREAM && listen(ls, 1)) || connect(p->in, (struct sockaddr *)&node, n) ||
	    getsockname(p->in, (struct sockaddr *)&own, &no))
		return false;
	p->out = ls;
	if (type == SOCK_STREAM) {
		p->out = accept(ls, NULL, NULL);
		close(ls);
	} else if (connect(ls, (struct sockaddr *)&own, n)) {
		return false;
	}
	p->flow = (struct passing_flow){
		.src = addr_of(&own), .dst = addr_of(&node), .dport = PORT, .ipproto = type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP, .ifindex = { l->v0, 0 },
		.sport = ntohs(v6 ? ((struct sockaddr_in6 *)&own)->sin6_port : ((struct sockaddr_in *)&own)->sin_port),
	};
	return p->out >= 0;
}

struct stage {
	struct tc *tc;
	struct source *mirror;
	struct flowmap *passing;
};

static bool stage_open(struct lab *l, struct stage *s)
{
	struct tc_want w = lab_want(l);
	struct err err = { "" };
	struct tc_state st;
	unsigned changes;

	w.engine = TC_ENGINE_BPF;
	s->tc = tc_open(&err);
	s->mirror = lab_mirror(l, 1 << 18, 16);
	LAB_CHECK(l, tc_ensure(s->tc, &w, &st, &changes, &err) == 0 && st.complete);
	s->passing = tc_passing(s->tc, &err);
	LAB_CHECK(l, s->passing != NULL);
	return s->passing && s->mirror;
}

static void stage_close(struct stage *s)
{
	s->mirror->ops->close(s->mirror);
	tc_close(s->tc);
}

static void say(int from, int to, unsigned n)
{
	char buf[256] = "some bytes that are counted";

	for (unsigned i = 0; i < n; i++)
		if (send(from, buf, 100, 0) != 100 || recv(to, buf, sizeof buf, 0) != 100)
			return;
}

static void datagrams(struct lab *l)
{
	struct stage s;

	if (!stage_open(l, &s))
		return;
	for (int v6 = 0; v6 < 2; v6++) {
		uint64_t each = v6 ? 148 : 128;
		struct passing_count c;
		struct pair p, other;
		struct copies k;

		LAB_CHECK(l, connect_pair(l, v6, SOCK_DGRAM, &p));
		say(p.in, p.out, 3);
		say(p.out, p.in, 2);
		k = copies(s.mirror, v6);
		LAB_CHECK(l, k.n[0] == 3 && k.n[1] == 2 && k.bytes[0] == 3 * each);
		LAB_CHECK(l, !passing_read(s.passing, &p.flow, &c));
		LAB_CHECK(l, passing_put(s.passing, &p.flow) == 0);
		say(p.in, p.out, 7);
		say(p.out, p.in, 5);
		k = copies(s.mirror, v6);
		LAB_CHECK(l, k.n[0] == 0 && k.n[1] == 0);
		LAB_CHECK(l, passing_read(s.passing, &p.flow, &c) && c.pkts[0] == 7 && c.pkts[1] == 5 && c.bytes[0] == 7 * each && c.bytes[1] == 5 * each && !c.closed);
		close(p.out);	/* another flow to the same port is copied */
		LAB_CHECK(l, connect_pair(l, v6, SOCK_DGRAM, &other));
		say(other.in, other.out, 4);
		k = copies(s.mirror, v6);
		LAB_CHECK(l, k.n[0] == 4);
		LAB_CHECK(l, passing_take(s.passing, &p.flow, &c) && c.pkts[0] == 7 && c.pkts[1] == 5);
		LAB_CHECK(l, !passing_take(s.passing, &p.flow, &c) && !passing_read(s.passing, &p.flow, &c));
		send(p.in, "again", 5, 0);
		k = copies(s.mirror, v6);
		LAB_CHECK(l, k.n[0] == 1);
		close(p.in);
		close(other.in);
		close(other.out);
	}
	stage_close(&s);
}

/* What is copied and what is counted make up all that went over the device, super-packets too, up to how it ends. */
static void connections(struct lab *l)
{
	struct stage s;

	if (!stage_open(l, &s))
		return;
	for (int how = 0; how < 4; how++) {
		bool v6 = how & 1, reset = how & 2;
		static char block[60000];
		struct linger hard = { 1, 0 };
		struct passing_count c;
		struct copies k;
		struct pair p;
		size_t got = 0;
		ssize_t r;

		LAB_CHECK(l, connect_pair(l, v6, SOCK_STREAM, &p));
		k = copies(s.mirror, v6);
		LAB_CHECK(l, k.n[0] == 2 && k.n[1] == 1);	/* the handshake */
		LAB_CHECK(l, passing_put(s.passing, &p.flow) == 0);
		LAB_CHECK(l, send(p.in, block, sizeof block, 0) == (ssize_t)sizeof block);
		while (got < sizeof block && (r = recv(p.out, block, sizeof block, 0)) > 0)
			got += (size_t)r;
		LAB_CHECK(l, passing_read(s.passing, &p.flow, &c) && !c.closed && c.bytes[0] > sizeof block && c.pkts[0] < 60 && c.pkts[1] > 0);
		if (reset)
			setsockopt(p.in, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
		close(p.in);
		LAB_CHECK(l, recv(p.out, block, 1, 0) <= 0);
		close(p.out);
		k = copies(s.mirror, v6);
		LAB_CHECK(l, k.n[0] == 0 && k.n[1] == 0);
		LAB_CHECK(l, passing_take(s.passing, &p.flow, &c) && c.closed && c.reset == reset);
	}
	stage_close(&s);
}

/* A new connection on the ports of one that passes shows itself. */
static void ports_again(struct lab *l)
{
	struct stage s;
	struct passing_count c;
	struct copies k;
	struct pair p;

	if (!stage_open(l, &s))
		return;
	LAB_CHECK(l, connect_pair(l, false, SOCK_STREAM, &p));
	close(p.in);
	close(p.out);
	p.flow.sport = 7777;
	LAB_CHECK(l, passing_put(s.passing, &p.flow) == 0);
	copies(s.mirror, false);
	LAB_CHECK(l, !lab_sh_in(l, "python3 -c \"import socket; s = socket.socket(); s.bind(('10.9.0.2', 7777)); s.settimeout(1)\ntry: s.connect(('10.9.0.1', 7000))\nexcept OSError: pass\""));
	k = copies(s.mirror, false);
	LAB_CHECK(l, k.n[0] == 1);		/* its SYN, which nobody listens for */
	LAB_CHECK(l, passing_take(s.passing, &p.flow, &c) && c.pkts[0] == 0);
	stage_close(&s);
}

static void test_datagrams(void) { lab_run(datagrams); }
static void test_connections(void) { lab_run(connections); }
static void test_ports_again(void) { lab_run(ports_again); }

const struct unit_test tests_passing[] = {
	{ "datagrams: copied, then counted, then copied", test_datagrams },
	{ "connections: super-packets, FIN, RST", test_connections },
	{ "a SYN on the ports is copied", test_ports_again },
	{ 0 },
};
