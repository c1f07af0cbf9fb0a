/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Refuses what a queue delivered: RSTs or an ICMP error by raw sockets in the workload's netns.
 *
 * Numbers. A receiver takes a RST only when its sequence number is the very next it awaits (RFC 5961, 3.2). The denied packet is dropped,
 * so towards its receiver that number is the packet's own. Towards its sender it is the packet's acknowledgement, as far as the sender had
 * got when it sent: with data streaming towards it that lags, and the RST is answered by a challenge or not at all. But the data that was on
 * the way is acknowledged, those packets belong to the denied flow too, and each is refused with its newer number: the last one is exact. So
 * reset_refuse() is to be called for each packet of the flow.
 *
 * Nothing is answered that would be an answer to an answer: RST, ICMP, what came from or went to a group or nobody.
 * Runs on the worker's thread. The frame's bytes are hostile: they are read by a cursor, once. */
#include "nfq/reset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/addr.h"
#include "base/cursor.h"
#include "bridge/netns.h"

#define EXTENSIONS_MAX 8

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

struct reset {
	unsigned refs;
	int fd4, fd6;		/* fd6 -1: no IPv6 here */
	int addrs6;		/* if_inet6 of the netns, kept open: which interface has a link-local address */
};

struct refused {		/* what matters of the denied packet */
	struct addr src, dst;
	uint8_t proto;
	uint16_t sport, dport;
	uint32_t seq, ack, len;	/* len: of sequence space */
	uint8_t flags;
	const uint8_t *ip;	/* the packet, for the quote */
	size_t caplen;
};

/* ---- reading ---- */

static bool read_v4(struct cursor *c, struct refused *p, size_t *len)
{
	uint8_t vihl = cur_u8(c);
	size_t head = (size_t)(vihl & 15) * 4, total;
	uint16_t frag;
	const uint8_t *a;

	cur_skip(c, 1);
	total = cur_be16(c);
	cur_skip(c, 2);
	frag = cur_be16(c);
	cur_skip(c, 1);
	p->proto = cur_u8(c);
	cur_skip(c, 2);
	a = cur_take(c, 8);
	if (!total)		/* a super-packet longer than the field can say */
		total = p->caplen;
	if (!a || head < 20 || total < head || (frag & 0x1fff) || !cur_skip(c, head - 20))
		return false;
	p->src = addr_v4(a);
	p->dst = addr_v4(a + 4);
	*len = total - head;
	return true;
}

/* Extension headers up to TCP or UDP. *len shrinks by what they take. */
static bool skip_extensions(struct cursor *c, uint8_t *next, size_t *len)
{
	for (int i = 0; i < EXTENSIONS_MAX; i++) {
		size_t n;
		uint8_t after;

		if (*next != 0 && *next != 43 && *next != 44 && *next != 60)
			return true;
		after = cur_u8(c);
		n = *next == 44 ? 8 : ((size_t)cur_peek(c, 0) + 1) * 8;
		if (*next == 44 && (cur_peek(c, 1) || cur_peek(c, 2) & 0xf8))
			return false;	/* not the first fragment */
		if (!cur_skip(c, n - 1) || n > *len)
			return false;
		*len -= n;
		*next = after;
	}
	return false;
}

static bool read_v6(struct cursor *c, struct refused *p, size_t *len)
{
	const uint8_t *a;
	uint16_t n;

	cur_skip(c, 4);
	n = cur_be16(c);
	p->proto = cur_u8(c);
	cur_skip(c, 1);
	a = cur_take(c, 32);
	if (!a)
		return false;
	p->src = addr_v6(a);
	p->dst = addr_v6(a + 16);
	*len = n ? n : p->caplen - 40;	/* 0: a super-packet longer than the field can say */
	return skip_extensions(c, &p->proto, len);
}

static bool read_tcp(struct cursor *c, struct refused *p, size_t len)
{
	size_t head;

	p->sport = cur_be16(c);
	p->dport = cur_be16(c);
	p->seq = cur_be32(c);
	p->ack = cur_be32(c);
	head = (size_t)(cur_u8(c) >> 4) * 4;
	p->flags = cur_u8(c);
	if (!cur_ok(c) || head < 20 || len < head)
		return false;
	p->len = (uint32_t)(len - head) + !!(p->flags & TCP_SYN) + !!(p->flags & TCP_FIN);
	return true;
}

static bool read_packet(const struct frame *f, struct refused *p)
{
	struct cursor c = cur_of(f->data, f->caplen);
	size_t len;

	memset(p, 0, sizeof *p);
	p->ip = f->data;
	p->caplen = f->caplen;
	switch (f->link == LINK_RAW ? cur_peek(&c, 0) >> 4 : 0) {
	case 4:
		if (!read_v4(&c, p, &len))
			return false;
		break;
	case 6:
		if (!read_v6(&c, p, &len))
			return false;
		break;
	default:
		return false;
	}
	if (p->proto == IPPROTO_TCP)
		return read_tcp(&c, p, len);
	return p->proto == IPPROTO_UDP && len >= 8 && cur_skip(&c, 8);
}

/* ---- writing ---- */

static void make_rst(struct reply *k, const struct refused *p, bool to_sender)
{
	struct reply_tcp t = { .sport = to_sender ? p->dport : p->sport, .dport = to_sender ? p->sport : p->dport, .flags = TCP_RST };

	if (to_sender && p->flags & TCP_ACK) {
		t.seq = p->ack;
	} else if (to_sender) {		/* a SYN: the acknowledgement is what its sender checks */
		t.ack = p->seq + p->len;
		t.flags |= TCP_ACK;
	} else {
		t.seq = p->seq;
		if (p->flags & TCP_ACK) {	/* a SYN/ACK's receiver checks it */
			t.ack = p->ack;
			t.flags |= TCP_ACK;
		}
	}
	reply_tcp(k, to_sender ? &p->dst : &p->src, to_sender ? &p->src : &p->dst, &t);
}

/* ---- sending ---- */

/* The interface that has one of these two link-local addresses; 0: none has. */
static uint32_t link_of(const struct reset *r, const struct addr *one, const struct addr *other)
{
	char text[8192], *save = NULL;
	ssize_t n = r->addrs6 >= 0 ? pread(r->addrs6, text, sizeof text - 1, 0) : 0;

	text[n > 0 ? n : 0] = 0;
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		uint8_t b[16];
		unsigned index, used = 0;

		while (used < 16 && sscanf(l + 2 * used, "%2hhx", &b[used]) == 1)
			used++;
		if (used == 16 && sscanf(l + 32, " %x", &index) == 1 && (!memcmp(b, one->b, 16) || !memcmp(b, other->b, 16)))
			return index;
	}
	return 0;
}

/* The far end may be out of reach, or the workload's own rules may drop what we send: then there is nobody to tell. */
static bool nobody(int e) { return e == ENETUNREACH || e == EHOSTUNREACH || e == EPERM || e == ENETDOWN || e == EADDRNOTAVAIL || e == EACCES; }

static int send_packet(const struct reset *r, const struct addr *from, const struct addr *to, const struct reply *k, struct err *err)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in a4 = { .sin_family = AF_INET };
	char text[ADDR_STRLEN];
	ssize_t n;

	if (addr_is_v4(to)) {
		memcpy(&a4.sin_addr, to->b + 12, 4);
		n = sendto(r->fd4, k->b, k->n, MSG_DONTWAIT, (struct sockaddr *)&a4, sizeof a4);
	} else if (r->fd6 >= 0) {
		memcpy(&a6.sin6_addr, to->b, 16);
		if (addr_is_linklocal(to))
			a6.sin6_scope_id = link_of(r, from, to);
		n = sendto(r->fd6, k->b, k->n, MSG_DONTWAIT, (struct sockaddr *)&a6, sizeof a6);
	} else {
		return 0;
	}
	if (n >= 0 || nobody(errno))
		return 0;
	return err_set(err, -errno, "reset to %s: %s", addr_format(to, text), strerror(errno));
}

static bool one_host(const struct addr *a) { return !addr_is_multicast(a) && !addr_is_zero(a); }

int reset_refuse(struct reset *r, const struct frame *f, struct err *err)
{
	struct refused p;
	struct reply k;
	int rc, rc2 = 0;

	if (!read_packet(f, &p) || !one_host(&p.src) || !one_host(&p.dst) || p.flags & TCP_RST)
		return 0;
	if (p.proto == IPPROTO_UDP) {
		reply_unreachable(&k, &p.dst, &p.src, p.ip, p.caplen);
		return send_packet(r, &p.dst, &p.src, &k, err);
	}
	make_rst(&k, &p, true);
	rc = send_packet(r, &p.dst, &p.src, &k, err);
	if ((p.flags & (TCP_SYN | TCP_ACK)) != TCP_SYN) {	/* who has not seen the SYN has no connection */
		make_rst(&k, &p, false);
		rc2 = send_packet(r, &p.src, &p.dst, &k, err);
	}
	return rc ? rc : rc2;
}

int reset_ask(struct reset *r, const struct frame *f, struct err *err)
{
	struct refused p;
	struct reply k;

	if (!read_packet(f, &p) || p.proto != IPPROTO_TCP || !(p.flags & TCP_ACK) || !one_host(&p.src) || !one_host(&p.dst))
		return 0;
	reply_tcp(&k, &p.src, &p.dst, &(struct reply_tcp){ .sport = p.sport, .dport = p.dport, .seq = p.seq - 1, .ack = p.ack, .flags = TCP_ACK });
	return send_packet(r, &p.src, &p.dst, &k, err);
}

int reset_ends(struct reset *r, const struct reply_end end[2], struct err *err)
{
	bool known = end[0].known && end[1].known;
	struct reply k[2];
	int worst = 0;

	if (!one_host(&end[0].addr) || !one_host(&end[1].addr))
		return 0;
	for (int side = 0; side < 2; side++) {
		unsigned n = 1;

		if (known)
			n = reply_resets(k, &end[side], &end[!side]);
		else
			reply_probe(&k[0], &end[side], &end[!side]);
		for (unsigned i = 0; i < n; i++) {
			int rc = send_packet(r, &end[!side].addr, &end[side].addr, &k[i], err);

			worst = rc ? rc : worst;
		}
	}
	return worst;
}

/* ---- opening ---- */

static int raw_socket(int nsfd, int family, uint32_t mark, struct err *err)
{
	int fd = netns_socket(nsfd, family, SOCK_RAW, IPPROTO_RAW, err), on = 1, rc;

	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) ||
	    (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_HDRINCL, &on, sizeof on))) {
		rc = err_set(err, -errno, "raw socket: %s", strerror(errno));
		close(fd);
		return rc;
	}
	return fd;
}

static int open_addrs(void *ctx, struct err *err)
{
	(void)ctx;
	(void)err;
	return open("/proc/thread-self/net/if_inet6", O_RDONLY | O_CLOEXEC);
}

struct reset *reset_open(int nsfd, uint32_t mark, struct err *err)
{
	struct reset *r = calloc(1, sizeof *r);
	struct err none = { "" };

	if (!r) {
		err_set(err, -ENOMEM, "reset: no memory");
		return NULL;
	}
	r->refs = 1;
	r->fd6 = raw_socket(nsfd, AF_INET6, mark, &none);
	r->addrs6 = netns_run(nsfd, open_addrs, NULL, &none);
	r->fd4 = raw_socket(nsfd, AF_INET, mark, err);
	if (r->fd4 >= 0)
		return r;
	reset_close(r);
	return NULL;
}

struct reset *reset_ref(struct reset *r)
{
	__atomic_add_fetch(&r->refs, 1, __ATOMIC_RELAXED);
	return r;
}

void reset_close(struct reset *r)
{
	if (!r || __atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL))
		return;
	if (r->fd4 >= 0)
		close(r->fd4);
	if (r->fd6 >= 0)
		close(r->fd6);
	if (r->addrs6 >= 0)
		close(r->addrs6);
	free(r);
}
