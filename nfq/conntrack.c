/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests are written one behind the other into one datagram; the kernel (nfnetlink_rcv, ctnetlink) has answered each when the send returns, so that
 * nobody waits. Without NLM_F_ACK only what failed is told. Sequence numbers name the request. */
#include "nfq/conntrack.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include "bridge/netns.h"
#include "nfq/ipt.h"
#include "nfq/kernel.h"
#include "nfq/nfnl.h"

#define RCVBUF (4 << 20)		/* an answer counts with the 4 KiB that the kernel allots for it */
#define MESSAGE_MAX 256u		/* one request: a tuple (IPv6: 76 bytes) and two numbers */
#define DUMP_SIZE 32768
#define DUMP_MESSAGES 65536u

struct conntrack {
	unsigned refs;			/* atomic */
	uint32_t mark, mask, drop;
	bool on;			/* atomic */
	pthread_mutex_t lock;
	int fd;				/* -1: closed */
	uint32_t seq;
};

uint32_t conntrack_drop_bit(uint32_t mask)
{
	unsigned top = mask ? 31U - (unsigned)__builtin_clz(mask) : 31, low = mask ? (unsigned)__builtin_ctz(mask) : 0;

	return top < 31 ? 1U << (top + 1) : low ? 1U << (low - 1) : 0;
}

static int open_socket(int nsfd, struct err *err)
{
	int fd = netns_socket(nsfd, AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER, err), size = RCVBUF, rc;

	if (fd < 0)
		return fd;
	rc = kernel_connect(fd);
	if (rc) {
		close(fd);
		return err_set(err, rc, "conntrack: socket: %s", strerror(-rc));
	}
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	return fd;
}

struct conntrack *conntrack_open(int nsfd, uint32_t mark, uint32_t mask, struct err *err)
{
	struct conntrack *c = calloc(1, sizeof *c);

	if (!c) {
		err_set(err, -ENOMEM, "conntrack: no memory");
		return NULL;
	}
	c->fd = open_socket(nsfd, err);
	if (c->fd < 0) {
		free(c);
		return NULL;
	}
	c->refs = 1;
	c->mark = mark & mask;
	c->mask = mask;
	c->drop = conntrack_drop_bit(mask);
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

struct conntrack *conntrack_ref(struct conntrack *c)
{
	__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

void conntrack_unref(struct conntrack *c)
{
	if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL))
		return;
	conntrack_close(c);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void conntrack_close(struct conntrack *c)
{
	conntrack_set_on(c, false);
	pthread_mutex_lock(&c->lock);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	pthread_mutex_unlock(&c->lock);
}

void conntrack_set_on(struct conntrack *c, bool on) { __atomic_store_n(&c->on, on, __ATOMIC_RELEASE); }
bool conntrack_on(const struct conntrack *c) { return __atomic_load_n(&c->on, __ATOMIC_ACQUIRE); }

/* ---- requests ---- */

static struct nlmsghdr *put_head(uint8_t *at, uint16_t type, uint16_t flags, uint32_t seq, uint8_t family)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(at);
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof *g);

	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	h->nlmsg_seq = seq;
	g->nfgen_family = family;
	g->version = NFNETLINK_V0;
	return h;
}

/* What the responder sends (conntrack.h). */
static void put_tuple(struct nlmsghdr *h, const struct ct_flow *f)
{
	struct nlattr *tuple = mnl_attr_nest_start(h, CTA_TUPLE_ORIG), *part;
	bool v4 = addr_is_v4(&f->src);

	part = mnl_attr_nest_start(h, CTA_TUPLE_IP);
	mnl_attr_put(h, v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, v4 ? 4 : 16, v4 ? f->dst.b + 12 : f->dst.b);
	mnl_attr_put(h, v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, v4 ? 4 : 16, v4 ? f->src.b + 12 : f->src.b);
	mnl_attr_nest_end(h, part);
	part = mnl_attr_nest_start(h, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(h, CTA_PROTO_NUM, f->ipproto);
	mnl_attr_put_u16(h, CTA_PROTO_SRC_PORT, htons(f->dport));
	mnl_attr_put_u16(h, CTA_PROTO_DST_PORT, htons(f->sport));
	mnl_attr_nest_end(h, part);
	mnl_attr_nest_end(h, tuple);
}

static uint8_t family_of(const struct ct_flow *f) { return addr_is_v4(&f->src) ? AF_INET : AF_INET6; }

/* What answers a batch of n requests that began at c->seq goes to fn, with the request's number. Under c->lock. */
static bool talk(struct conntrack *c, const uint8_t *out, size_t len, unsigned n, void (*fn)(void *ctx, unsigned i, const struct nlmsghdr *), void *ctx)
{
	uint8_t buf[8192];
	uint32_t first = c->seq;

	c->seq += n;
	if (send(c->fd, out, len, 0) < 0)
		return false;
	for (;;) {
		ssize_t r = recv(c->fd, buf, sizeof buf, MSG_DONTWAIT);
		int left = (int)r;

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		for (const struct nlmsghdr *h = (const void *)buf; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left))
			if (h->nlmsg_seq - first < n)
				fn(ctx, h->nlmsg_seq - first, h);
	}
}

static void not_done(void *ctx, unsigned i, const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);

	if (h->nlmsg_type == NLMSG_ERROR && e->error)
		((bool *)ctx)[i] = false;
}

static uint32_t mark_value(const struct conntrack *c, enum ct_mark m)
{
	switch (m) {
	case CT_MARK_PASS:
		return c->mark;
	case CT_MARK_DROP:
		return c->mark | c->drop;
	case CT_MARK_NONE:
		break;
	}
	return 0;
}

void conntrack_mark(struct conntrack *c, const struct ct_flow *f, const enum ct_mark *m, unsigned n, bool *done)
{
	uint8_t out[CONNTRACK_BATCH * MESSAGE_MAX] __attribute__((aligned(8)));
	size_t len = 0;
	bool sent;

	pthread_mutex_lock(&c->lock);
	for (unsigned i = 0; i < n; i++) {
		struct nlmsghdr *h = put_head(out + len, IPCTNL_MSG_CT_NEW, 0, c->seq + i, family_of(&f[i]));

		put_tuple(h, &f[i]);
		mnl_attr_put_u32(h, CTA_MARK, htonl(mark_value(c, m[i])));
		mnl_attr_put_u32(h, CTA_MARK_MASK, htonl(c->mask | c->drop));
		len += MNL_ALIGN(h->nlmsg_len);
		done[i] = m[i] != CT_MARK_DROP || c->drop;
	}
	sent = c->fd >= 0 && talk(c, out, len, n, not_done, done);
	pthread_mutex_unlock(&c->lock);
	for (unsigned i = 0; !sent && i < n; i++)
		done[i] = false;
}

/* ---- answers ---- */

struct asked {
	const struct conntrack *c;
	const struct ct_flow *f;
	struct ct_entry *out;
};

static uint64_t be64(const struct nlattr *a) { return a && mnl_attr_get_payload_len(a) >= 8 ? be64toh(mnl_attr_get_u64(a)) : 0; }

static enum ct_tcp tcp_state(const struct nlattr *protoinfo)
{
	struct nfnl_attrs p = nfnl_nested(protoinfo), tcp = nfnl_nested(p.a[CTA_PROTOINFO_TCP]);
	const struct nlattr *s = tcp.a[CTA_PROTOINFO_TCP_STATE];

	switch (s ? mnl_attr_get_u8(s) : TCP_CONNTRACK_NONE) {
	case TCP_CONNTRACK_TIME_WAIT:
		return CT_TCP_OVER;
	case TCP_CONNTRACK_CLOSE:
		return CT_TCP_RESET;
	default:
		return CT_TCP_OPEN;
	}
}

/* The tuple's source is the flow's initiator. */
static bool from_initiator(const struct nlattr *tuple, const struct ct_flow *f)
{
	struct nfnl_attrs t = nfnl_nested(tuple), proto = nfnl_nested(t.a[CTA_TUPLE_PROTO]), ip = nfnl_nested(t.a[CTA_TUPLE_IP]);
	const struct nlattr *port = proto.a[CTA_PROTO_SRC_PORT], *a4 = ip.a[CTA_IP_V4_SRC], *a6 = ip.a[CTA_IP_V6_SRC];

	if (!port || ntohs(mnl_attr_get_u16(port)) != f->sport)
		return false;
	return a4 ? !memcmp(mnl_attr_get_payload(a4), f->src.b + 12, 4) : a6 && !memcmp(mnl_attr_get_payload(a6), f->src.b, 16);
}

static enum ct_mark mark_of(const struct conntrack *c, uint32_t value)
{
	if ((value & c->mask) != c->mark)
		return CT_MARK_NONE;
	return value & c->drop ? CT_MARK_DROP : CT_MARK_PASS;
}

static void take_entry(void *ctx, unsigned i, const struct nlmsghdr *h)
{
	const struct asked *asked = ctx;
	struct ct_entry *e = &asked->out[i];
	struct nfnl_attrs a, n[2];
	bool direct;

	if (h->nlmsg_type == NLMSG_ERROR)
		return;
	a = nfnl_attrs(h);
	/* Addresses may be translated at one end: either direction's tuple then still tells. */
	direct = from_initiator(a.a[CTA_TUPLE_ORIG], &asked->f[i]) || !from_initiator(a.a[CTA_TUPLE_REPLY], &asked->f[i]);
	n[0] = nfnl_nested(a.a[direct ? CTA_COUNTERS_ORIG : CTA_COUNTERS_REPLY]);
	n[1] = nfnl_nested(a.a[direct ? CTA_COUNTERS_REPLY : CTA_COUNTERS_ORIG]);
	*e = (struct ct_entry){ .found = true, .id = nfnl_be32(a.a[CTA_ID]), .mark = mark_of(asked->c, nfnl_be32(a.a[CTA_MARK])), .tcp = tcp_state(a.a[CTA_PROTOINFO]) };
	for (int d = 0; d < 2; d++) {
		e->pkts[d] = be64(n[d].a[CTA_COUNTERS_PACKETS]);
		e->bytes[d] = be64(n[d].a[CTA_COUNTERS_BYTES]);
	}
}

bool conntrack_get(struct conntrack *c, const struct ct_flow *f, unsigned n, struct ct_entry *out)
{
	uint8_t req[CONNTRACK_BATCH * MESSAGE_MAX] __attribute__((aligned(8)));
	struct asked asked = { c, f, out };
	size_t len = 0;
	bool ok;

	memset(out, 0, n * sizeof *out);
	pthread_mutex_lock(&c->lock);
	for (unsigned i = 0; i < n; i++) {
		struct nlmsghdr *h = put_head(req + len, IPCTNL_MSG_CT_GET, 0, c->seq + i, family_of(&f[i]));

		put_tuple(h, &f[i]);
		len += MNL_ALIGN(h->nlmsg_len);
	}
	ok = c->fd >= 0 && talk(c, req, len, n, take_entry, &asked);
	pthread_mutex_unlock(&c->lock);
	return ok;
}

/* ---- marks of another run ---- */

struct clearing {
	int fd;
	uint32_t mask;
	int cleared;
	uint8_t out[512] __attribute__((aligned(8)));
};

/* The entry's own tuple is sent back with the mark's bits cleared. */
static int clear_entry(const struct nlmsghdr *h, void *ctx)
{
	struct clearing *c = ctx;
	struct nfnl_attrs a = nfnl_attrs(h);
	const struct nlattr *tuple = a.a[CTA_TUPLE_ORIG];
	struct nlmsghdr *o;

	if (!tuple || mnl_attr_get_payload_len(tuple) > 256)
		return MNL_CB_OK;
	o = put_head(c->out, IPCTNL_MSG_CT_NEW, 0, 0, nfnl_family(h));
	mnl_attr_put(o, CTA_TUPLE_ORIG | NLA_F_NESTED, mnl_attr_get_payload_len(tuple), mnl_attr_get_payload(tuple));
	if (a.a[CTA_ZONE])
		mnl_attr_put(o, CTA_ZONE, mnl_attr_get_payload_len(a.a[CTA_ZONE]), mnl_attr_get_payload(a.a[CTA_ZONE]));
	mnl_attr_put_u32(o, CTA_MARK, 0);
	mnl_attr_put_u32(o, CTA_MARK_MASK, htonl(c->mask));
	if (send(c->fd, o, o->nlmsg_len, 0) >= 0)
		c->cleared++;
	return MNL_CB_OK;
}

static int any_entry(void *ctx, struct err *err)
{
	(void)err;
	*(bool *)ctx = conntrack_knows_any();
	return 0;
}

int conntrack_clear(int nsfd, uint32_t mark, uint32_t mask, struct err *err)
{
	struct clearing c = { .mask = mask | conntrack_drop_bit(mask) };
	uint8_t buf[DUMP_SIZE] __attribute__((aligned(8)));
	struct nlmsghdr *h;
	bool any = false;
	int fd, rc;

	rc = netns_run(nsfd, any_entry, &any, err);
	if (rc || !any)		/* a dump walks the node's whole table */
		return rc;
	rc = MNL_CB_OK;
	fd = open_socket(nsfd, err);
	if (fd < 0)
		return fd;
	c.fd = open_socket(nsfd, err);
	if (c.fd < 0) {
		close(fd);
		return c.fd;
	}
	h = put_head(buf, IPCTNL_MSG_CT_GET, NLM_F_DUMP, 1, AF_UNSPEC);
	mnl_attr_put_u32(h, CTA_MARK, htonl(mark & mask));
	mnl_attr_put_u32(h, CTA_MARK_MASK, htonl(mask));
	if (send(fd, h, h->nlmsg_len, 0) < 0)
		rc = err_set(err, -errno, "conntrack: %s", strerror(errno));
	for (unsigned i = 0; i < DUMP_MESSAGES && rc > MNL_CB_STOP; i++) {
		ssize_t n = recv(fd, buf, sizeof buf, 0);

		rc = n < 0 ? -1 : mnl_cb_run(buf, (size_t)n, 1, 0, clear_entry, &c);
		if (rc < 0)
			rc = err_set(err, -errno, "conntrack: marks of before: %s", strerror(errno));
	}
	close(c.fd);
	close(fd);
	return rc < 0 ? rc : c.cleared;
}
