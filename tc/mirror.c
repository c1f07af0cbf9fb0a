/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two rings, one order. The earlier frame of both is handed out; where only one ring has a frame, it goes out at once
 *   - when the block that the kernel fills for the other ring is empty, and the frame is older than GAP (what was stamped before it
 *     has been put into a block by then), or
 *   - when it is older than HOLD: every block has been given over by then (the retire timer may need two turns), or
 *   - when more than half of its own ring waits to be read: order is worth less than frames.
 * Else timeout() says when to look again. Times never go back but when the clock does.
 *
 * The descriptor for the worker is an epoll set of both sockets, edge-triggered: a block that has been read and not been given
 * back, or that waits for the other ring, would keep a level-triggered one readable and the worker spinning. batch() eats the edges
 * before it looks, so none is lost: at most one system call a call that finds nothing; none a packet.
 *
 * A ring whose device went down is looked at every DOWN_MS until the device is up again or gone. Gone: what both rings still hold is
 * handed out, then the source is broken (-ENODEV) and must be opened anew. */
#include "tc/mirror.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <linux/virtio_net.h>

#include "base/counter.h"
#include "tc/ring.h"

#define NS_MS 1000000LL
#define GAP (1 * NS_MS)
#define HOLD_SLACK 2		/* ms */
#define DOWN_MS 100
#define STEPPED 1000000000LL	/* the clock was set back by at least that: follow it */
#define MACS 12
#define LINE 64u
#define HEAD_BYTES 384u		/* of a frame, on their way when it is handed out: headers, and what a request or an answer begins with */
#define VNET_HDR 10u		/* struct virtio_net_hdr without buffers, in front of the frame */

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

struct mirror {
	struct source src;
	struct ring ring[2];
	int epfd;
	uint8_t path;
	int64_t hold;		/* ns */
	int64_t last;		/* time of the last frame handed out */
	int64_t looked;		/* when a socket in trouble was last looked at, CLOCK_REALTIME */
	int64_t gone;		/* when a device was found gone; 0: none is */
	int gone_ifindex;
	uint32_t (*view)(void *, const uint8_t *, const uint8_t *, bool, uint32_t *);
	void *view_ctx;
	const bool *enforces;
	uint64_t packets, bytes, errors;
};

static struct mirror *of(const struct source *s) { return (struct mirror *)(uintptr_t)s; }

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t time_of(const struct tpacket3_hdr *h) { return (int64_t)h->tp_sec * 1000000000 + h->tp_nsec; }

/* ---- one frame ---- */

/* What the kernel says of checksum and segments, in the header that PACKET_VNET_HDR puts in front of the frame. */
static void read_vnet(const struct tpacket3_hdr *h, const uint8_t *data, struct frame *f)
{
	struct virtio_net_hdr v;

	if (!h->tp_snaplen)
		return;
	memcpy(&v, data - VNET_HDR, VNET_HDR);
	if (v.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		f->flags |= FRAME_CSUM_PARTIAL;
	if (v.flags & VIRTIO_NET_HDR_F_DATA_VALID)
		f->flags |= FRAME_CSUM_VALID;
	switch (v.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
	case VIRTIO_NET_HDR_GSO_TCPV6:
		f->flags |= FRAME_GSO_TCP;
		break;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		f->flags |= FRAME_GSO_UDP;
		break;
	default:		/* UDP fragmentation offload is one datagram: nothing to split */
		return;
	}
	f->gso_size = v.gso_size;
}

static void fill(struct mirror *m, const struct tpacket3_hdr *h, unsigned which, struct frame *f)
{
	const uint8_t *data = (const uint8_t *)h + h->tp_mac;
	uint32_t status = h->tp_status;
	int64_t ts = time_of(h);

	if (ts < m->last && m->last - ts < STEPPED)
		ts = m->last;
	m->last = ts;
	for (uint32_t i = LINE; i < HEAD_BYTES && i < h->tp_snaplen; i += LINE)
		__builtin_prefetch(data + i);	/* another processor wrote it */
	memset(f, 0, sizeof *f);
	f->ts = ts;
	f->data = data;
	f->caplen = h->tp_snaplen;
	f->wirelen = h->tp_len > h->tp_snaplen ? h->tp_len : h->tp_snaplen;
	f->flags = which ? FRAME_ENTERING : FRAME_LEAVING;
	f->link = LINK_ETHERNET;
	f->path = m->path;
	if (f->caplen < f->wirelen)
		f->flags |= FRAME_TRUNCATED;
	if (status & TP_STATUS_CSUMNOTREADY)
		f->flags |= FRAME_CSUM_PARTIAL;
	if (status & TP_STATUS_CSUM_VALID)
		f->flags |= FRAME_CSUM_VALID;
	if (status & TP_STATUS_VLAN_VALID) {
		f->flags |= FRAME_VLAN;
		f->vlan_tci = (uint16_t)h->hv1.tp_vlan_tci;
		f->vlan_tpid = status & TP_STATUS_VLAN_TPID_VALID ? h->hv1.tp_vlan_tpid : 0x8100;
	}
	read_vnet(h, data, f);
	if (m->view && f->caplen >= MACS)
		f->view = m->view(m->view_ctx, data + 6, data, which, &f->workload);
	if (f->workload && m->enforces && __atomic_load_n(m->enforces, __ATOMIC_RELAXED))
		f->flags |= FRAME_ENFORCEABLE;
}

/* Copies are what was sent to the device; anything else on it is not ours to inspect. */
static bool is_copy(const struct tpacket3_hdr *h)
{
	const struct sockaddr_ll *ll = (const struct sockaddr_ll *)(const void *)((const uint8_t *)h + TPACKET_ALIGN(sizeof *h));

	return ll->sll_pkttype == PACKET_OUTGOING;
}

static const struct tpacket3_hdr *next_copy(struct ring *r)
{
	const struct tpacket3_hdr *h;

	while ((h = ring_peek(r)) && !is_copy(h)) {
		ring_take(r);
		r->skipped++;
	}
	return h;
}

/* ---- order ---- */

/* ns until the only frame at hand may go out although the other ring is silent; <= 0: now. */
static int64_t wait_for_other(const struct mirror *m, unsigned which, int64_t ts, int64_t now)
{
	int64_t age = now - ts;

	if (age < 0 && -age < m->hold)
		age = 0;
	if (age < 0 || age >= m->hold || ring_pressed(&m->ring[which]))	/* far in the future: the clock was set back */
		return 0;
	if (ring_idle(&m->ring[!which]))
		return GAP - age;
	return m->hold - age;
}

/* The ring whose frame goes out next; -1: none now. */
static int choose(struct mirror *m, int64_t now)
{
	const struct tpacket3_hdr *h[2] = { next_copy(&m->ring[0]), next_copy(&m->ring[1]) };
	unsigned which;

	if (!h[0] && !h[1])
		return -1;
	if (h[0] && h[1])
		return time_of(h[1]) < time_of(h[0]);
	which = !h[0];
	return wait_for_other(m, which, time_of(h[which]), now) <= 0 ? (int)which : -1;
}

static unsigned gather(struct mirror *m, struct frame *out, unsigned max)
{
	int64_t now = now_ns();
	uint64_t bytes = 0;
	unsigned n = 0;
	int which;

	while (n < max && (which = choose(m, now)) >= 0) {
		struct ring *r = &m->ring[which];

		fill(m, ring_peek(r), (unsigned)which, &out[n]);
		ring_take(r);
		bytes += out[n++].caplen;
	}
	counter_add(&m->packets, n);
	counter_add(&m->bytes, bytes);
	return n;
}

/* ---- the source ---- */

/* Eats the edges; looks at sockets that are in trouble. */
static void look(struct mirror *m)
{
	struct epoll_event ev[2];
	int n = epoll_wait(m->epfd, ev, 2, 0);
	bool check[2] = { m->ring[0].down, m->ring[1].down };

	for (int i = 0; i < n; i++)
		if (ev[i].events & (EPOLLERR | EPOLLHUP))
			check[ev[i].data.u32] = true;
	m->looked = check[0] || check[1] ? now_ns() : 0;
	for (int i = 0; i < 2; i++)
		if (!m->gone && check[i] && ring_check(&m->ring[i])) {
			counter_add(&m->errors, 1);
			m->gone = now_ns();
			m->gone_ifindex = m->ring[i].ifindex;
		}
}

/* ns that the rings may still need to hand over what came before the device was gone; 0: all is out. */
static int64_t remains(struct mirror *m)
{
	int64_t since = now_ns() - m->gone;
	bool empty = !next_copy(&m->ring[0]) && !next_copy(&m->ring[1]) && ring_idle(&m->ring[0]) && ring_idle(&m->ring[1]);

	return empty || since < 0 || since >= m->hold ? 0 : m->hold - since;
}

static int mirror_batch(struct source *s, struct frame *out, unsigned max, struct err *err)
{
	struct mirror *m = of(s);
	unsigned n;

	ring_release(&m->ring[0]);
	ring_release(&m->ring[1]);
	n = gather(m, out, max);
	if (n || !max)
		return (int)n;
	look(m);
	n = gather(m, out, max);
	if (!n && m->gone && !remains(m))
		return err_set(err, -ENODEV, "the bridge of interface %d is gone: its ring must be opened anew", m->gone_ifindex);
	return (int)n;
}

static void mirror_flush(struct source *s)
{
	ring_release(&of(s)->ring[0]);
	ring_release(&of(s)->ring[1]);
}

static void mirror_answer(struct source *s, const struct frame *f, struct answer a)
{
	(void)s;
	(void)f;
	(void)a;
}

static int mirror_fd(const struct source *s) { return of(s)->epfd; }

static int mirror_timeout(const struct source *s)
{
	struct mirror *m = of(s);
	const struct tpacket3_hdr *h[2] = { next_copy(&m->ring[0]), next_copy(&m->ring[1]) };
	int64_t wait = -1;

	if (h[0] && h[1])
		return 0;
	if (m->gone) {
		wait = remains(m);
	} else if (m->ring[0].down || m->ring[1].down) {
		int64_t since = now_ns() - m->looked;

		wait = since < 0 || since > DOWN_MS * NS_MS ? 0 : DOWN_MS * NS_MS - since;
	}
	for (unsigned i = 0; i < 2; i++)
		if (h[i]) {
			int64_t w = wait_for_other(m, i, time_of(h[i]), now_ns());

			wait = w < 0 ? 0 : wait < 0 || w < wait ? w : wait;
		}
	return wait < 0 ? -1 : (int)((wait + NS_MS - 1) / NS_MS);
}

static void mirror_stats(const struct source *s, struct source_stats *out)
{
	struct mirror *m = of(s);

	memset(out, 0, sizeof *out);
	out->packets = counter_get(&m->packets);
	out->bytes = counter_get(&m->bytes);
	out->kernel_drops = ring_drops(&m->ring[0]) + ring_drops(&m->ring[1]);
	out->errors = counter_get(&m->errors);
}

static void mirror_close(struct source *s)
{
	struct mirror *m = of(s);

	if (!m)
		return;
	ring_close(&m->ring[0]);
	ring_close(&m->ring[1]);
	if (m->epfd >= 0)
		close(m->epfd);
	free(m);
}

/* A block that is being filled is given over within the hold. */
static int mirror_linger(const struct source *s) { return (int)(of(s)->hold / NS_MS) + 1; }

static const struct source_ops ops = {
	.name = "ring", .fd = mirror_fd, .batch = mirror_batch, .answer = mirror_answer, .flush = mirror_flush, .timeout = mirror_timeout, .linger = mirror_linger,
	.stats = mirror_stats, .close = mirror_close,
};

static int open_one(struct mirror *m, const struct mirror_conf *c, uint32_t i, struct err *err)
{
	static const char *const what[] = { "ring of what leaves workloads", "ring of what enters workloads" };
	struct ring_conf rc = {
		.ifindex = c->ifindex[i], .block_size = c->block_size, .blocks = c->blocks, .retire_ms = c->retire_ms,
		.fanout_group = c->fanout_group ? (uint16_t)(c->fanout_group + i) : 0, .fanout_workers = c->fanout_workers,
	};
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.u32 = i };
	int e = ring_open(&m->ring[i], &rc, err);

	if (!e && epoll_ctl(m->epfd, EPOLL_CTL_ADD, m->ring[i].fd, &ev))
		e = err_set(err, -errno, "epoll: %s", strerror(errno));
	return e ? err_prefix(err, e, "%s", what[i]) : 0;
}

struct source *mirror_open(const struct mirror_conf *c, struct err *err)
{
	struct mirror *m = calloc(1, sizeof *m);

	if (!m) {
		err_set(err, -ENOMEM, "mirror: no memory");
		return NULL;
	}
	m->src.ops = &ops;
	m->ring[0].fd = m->ring[1].fd = -1;
	m->path = c->path;
	m->hold = (2 * (int64_t)c->retire_ms + HOLD_SLACK) * NS_MS;
	m->view = c->view;
	m->view_ctx = c->view_ctx;
	m->enforces = c->enforces;
	m->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (m->epfd < 0)
		err_set(err, -errno, "mirror: epoll: %s", strerror(errno));
	else if (!open_one(m, c, 0, err) && !open_one(m, c, 1, err))
		return &m->src;
	mirror_close(&m->src);
	return NULL;
}
