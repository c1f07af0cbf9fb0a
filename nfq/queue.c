/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The source over one workload's two queues (nfq/queue.h).
 *
 * One netlink socket has both numbers. All messages that are there are read by one call (recvmmsg), which also tells that there is no
 * more, each into a window of its own, since it may reach 64 KiB and its attributes; windows are used anew at each batch(). Their pages are
 * only there as far as traffic ever filled them: while messages are long few windows are used, and the others give theirs back. Only the
 * kernel reaches the socket (nfq/queue_conf.c).
 *
 * Verdicts are built into one buffer (nfq/verdicts.h says which) and leave by one send, at flush(), before the next batch, or when
 * VERDICTS_GATHER accepts are there. The kernel carries them out in order, within the send. What cannot be sent breaks the source:
 * then the agent closes it, and the kernel does as its rules say.
 *
 * Closing with fail: open lets everything pass that still waits; else the kernel drops it. */
#include "nfq/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>

#include "base/counter.h"
#include "nfq/calm.h"
#include "nfq/queue_conf.h"
#include "nfq/queued.h"
#include "nfq/verdicts.h"

#define MESSAGE_MAX (72u << 10)		/* 65,535 bytes of packet and its attributes */
#define WINDOW (MESSAGE_MAX + 192u)	/* from one to the next: their beginnings do not share the lines of a near cache */
#define WINDOWS VERDICTS_GATHER
#define WINDOWS_FEW 20u			/* 1.4 MiB of long messages */
#define LONG 8192u			/* bytes of a message */
#define ARENA_SIZE (WINDOWS * WINDOW)
#define CALM_MAX 65536u			/* an IP packet: on loopback one segment may be as long */
#define OUT_SIZE (16384u + CALM_MAX)
#define ROOM (ARENA_SIZE + OUT_SIZE)	/* one mapping; pages that no packet ever filled are not there */
#define VERDICT_SIZE(q) (64u + (q)->ninstead)	/* one verdict message has 32 bytes, and those that its packet goes on with */
#define CLOCK_APART (10 * INT64_C(1000000000))	/* a kernel's time stamp further from now than this is not of our clock */

struct queue {
	struct source src;
	struct queue_conf conf;
	int fd, proc;
	uint8_t *arena;			/* ARENA_SIZE bytes of the mapping: the windows ... */
	uint8_t *out;			/* ... and OUT_SIZE behind them */
	bool few, stretched;		/* some of the last messages were long; and came into windows above the few */
	size_t nout;
	const uint8_t *instead;		/* VERDICTS_OTHER: goes on with these bytes, `ninstead` of them */
	uint32_t ninstead;
	struct verdicts waits[2];	/* TCP, UDP */
	unsigned building;		/* which of them emit() writes for */
	int broken;			/* -errno: a send failed for good */
	int64_t now;			/* when the batch at hand was begun: one call of the clock for all of it */
	uint64_t open;			/* packets read and not answered */
	uint64_t run, fulls;		/* packets that are or were in the queue since nothing was left to read; how often they were maxlen */
	struct source_stats st;		/* written by the worker, read by any thread */
	struct iovec iov[WINDOWS];
	struct mmsghdr msg[WINDOWS];
};

static struct queue *queue_of(const struct source *s) { return (struct queue *)(uintptr_t)s; }

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- verdicts out ---- */

static void send_out(struct queue *q)
{
	for (unsigned tries = 0; q->nout && !q->broken; tries++) {
		if (send(q->fd, q->out, q->nout, 0) >= 0) {
			q->nout = 0;
		} else if (errno != EINTR && (errno != ENOBUFS || tries > 100)) {
			counter_add(&q->st.errors, 1);
			q->broken = -errno;
		}
	}
}

static void emit(void *ctx, enum verdict_kind kind, uint32_t id)
{
	struct queue *q = ctx;
	int type = kind == VERDICTS_ACCEPT_UP_TO ? NFQNL_MSG_VERDICT_BATCH : NFQNL_MSG_VERDICT;
	struct nlmsghdr *h;

	if (q->nout + VERDICT_SIZE(q) > OUT_SIZE)
		send_out(q);
	if (q->broken)
		return;
	h = nfq_nlmsg_put((char *)q->out + q->nout, type, q->conf.queue_tcp + q->building);
	nfq_nlmsg_verdict_put(h, (int)id, kind == VERDICTS_DROP ? NF_DROP : NF_ACCEPT);
	if (kind == VERDICTS_OTHER)
		nfq_nlmsg_verdict_put_pkt(h, q->instead, q->ninstead);
	q->nout += MNL_ALIGN(h->nlmsg_len);
}

static void flush_verdicts(struct queue *q)
{
	for (q->building = 0; q->building < 2; q->building++)
		verdicts_flush(&q->waits[q->building], emit, q);
	q->building = 0;
	send_out(q);
}

static void settle(struct queue *q, unsigned which, uint32_t id, enum verdict_kind kind)
{
	q->building = which;
	if (!verdicts_answer(&q->waits[which], id, kind, emit, q)) {
		counter_add(&q->st.errors, 1);
		return;
	}
	q->open--;
	counter_add(kind == VERDICTS_DROP ? &q->st.dropped : &q->st.accepted, 1);
	if (q->waits[which].gathered >= VERDICTS_GATHER)
		flush_verdicts(q);
}

static void queue_answer(struct source *s, const struct frame *f, struct answer a)
{
	struct queue *q = queue_of(s);
	enum verdict_kind kind = verdict_stops(a.verdict) ? VERDICTS_DROP : VERDICTS_ACCEPT;
	uint8_t calm[CALM_MAX];

	if (!f->held)
		return;
	if (kind == VERDICTS_ACCEPT && a.flags & ANSWER_CALM) {
		kind = calm_packet(f, a.l4, calm, sizeof calm) ? VERDICTS_OTHER : VERDICTS_DROP;
		flush_verdicts(q);	/* what was accepted before it goes first */
		q->instead = calm;
		q->ninstead = f->caplen;
	}
	settle(q, (unsigned)(f->token >> 32) & 1, (uint32_t)f->token, kind);
	q->ninstead = 0;
}

static void queue_flush(struct source *s) { flush_verdicts(queue_of(s)); }

/* ---- packets in ---- */

static uint32_t checksum_flags(uint32_t bits, unsigned which)
{
	uint32_t flags = 0;

	if (bits & NFQA_SKB_GSO)
		flags |= which ? FRAME_GSO_UDP : FRAME_GSO_TCP;
	if (bits & NFQA_SKB_CSUMNOTREADY)
		return flags | FRAME_CSUM_PARTIAL;
	return bits & NFQA_SKB_CSUM_NOTVERIFIED ? flags : flags | FRAME_CSUM_VALID;
}

/* now: when its batch was begun. */
static int64_t when(int64_t ts, int64_t now)
{
	return ts > now - CLOCK_APART && ts < now + CLOCK_APART ? ts : now;
}

static void fill_frame(const struct queue *q, unsigned which, const struct queued *m, struct frame *f)
{
	const struct queue_conf *c = &q->conf;

	memset(f, 0, sizeof *f);
	f->ts = when(m->ts, q->now);
	f->data = m->data;
	f->caplen = f->wirelen = m->n;
	f->flags = checksum_flags(m->info, which);
	if (m->wirelen > m->n) {
		f->wirelen = m->wirelen;
		f->flags |= FRAME_TRUNCATED;
	}
	if (m->hook == NF_INET_LOCAL_IN)
		f->flags |= FRAME_ENTERING;
	else if (m->hook == NF_INET_LOCAL_OUT)
		f->flags |= FRAME_LEAVING;
	f->view = m->hook == NF_INET_LOCAL_IN ? c->view_in : c->view_out;
	f->link = LINK_RAW;
	f->path = c->path;
	f->held = true;
	f->domain = c->domain;
	f->workload = c->workload;
	f->iface = c->iface;
	f->token = (uint64_t)which << 32 | m->id;
}

/* One packet message of `left` readable bytes; whole: nothing of it was cut off. True: *f is a frame. */
static bool take_packet(struct queue *q, const struct nlmsghdr *h, size_t left, bool whole, struct frame *f)
{
	struct queued m;
	unsigned which;
	int64_t gap;

	if (!queued_read(h, left < h->nlmsg_len ? left : h->nlmsg_len, whole, &m)) {
		counter_add(&q->st.errors, 1);
		return false;
	}
	which = (unsigned)(m.queue - q->conf.queue_tcp) & 0xffff;
	q->building = which & 1;
	gap = which < 2 ? verdicts_received(&q->waits[which], m.id, emit, q) : -1;
	if (gap < 0) {
		counter_add(&q->st.errors, 1);
		return false;
	}
	q->open++;
	q->run += 1 + (uint64_t)gap;
	if (q->run >= q->conf.maxlen) {
		q->run = 0;
		counter_add(&q->fulls, 1);
	}
	if (q->conf.fail_open)
		counter_add(&q->st.passed_unseen, (uint64_t)gap);
	else
		counter_add(&q->st.user_drops, (uint64_t)gap);
	if (!m.data) {
		counter_add(&q->st.errors, 1);
		settle(q, which, m.id, q->conf.fail_open ? VERDICTS_ACCEPT : VERDICTS_DROP);
		return false;
	}
	fill_frame(q, which, &m, f);
	counter_add(&q->st.packets, 1);
	counter_add(&q->st.bytes, f->caplen);
	return true;
}

/* What the kernel refused of our verdicts. A packet whose device went away is not in the queue any more: that is no error. */
static void take_error(struct queue *q, const struct nlmsghdr *h, size_t left)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);

	if (left >= MNL_NLMSG_HDRLEN + sizeof *e && e->error && e->error != -ENOENT)
		counter_add(&q->st.errors, 1);
}

/* The messages of one datagram (the kernel sends a packet as a datagram of its own). */
static unsigned take_datagram(struct queue *q, const uint8_t *p, size_t n, bool whole, struct frame *out, unsigned max)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)p;
	int left = (int)n;
	unsigned got = 0;

	while (left >= (int)MNL_NLMSG_HDRLEN && h->nlmsg_len >= MNL_NLMSG_HDRLEN && (h->nlmsg_len <= (unsigned)left || !whole)) {
		struct frame spare;

		if (h->nlmsg_type == NLMSG_ERROR) {
			take_error(q, h, (size_t)left);
		} else if (h->nlmsg_type == (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET)) {
			bool room = got < max;

			if (take_packet(q, h, (size_t)left, whole && room, room ? &out[got] : &spare))
				got++;
		}
		if (!whole || MNL_ALIGN(h->nlmsg_len) >= (unsigned)left)
			break;
		h = mnl_nlmsg_next(h, &left);
	}
	return got;
}

static void windows_init(struct queue *q)
{
	for (unsigned i = 0; i < WINDOWS; i++) {
		q->iov[i] = (struct iovec){ q->arena + i * WINDOW, MESSAGE_MAX };
		q->msg[i].msg_hdr = (struct msghdr){ .msg_iov = &q->iov[i], .msg_iovlen = 1 };
	}
}

/* The pages of the windows above the few. */
static void give_back(struct queue *q)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), from = (WINDOWS_FEW * WINDOW + page - 1) & ~(page - 1);

	madvise(q->arena + from, (ARENA_SIZE & ~(page - 1)) - from, MADV_DONTNEED);
	q->stretched = false;
}

/* Messages into the windows [from, to): how many, 0: there is none, -errno. */
static int read_messages(struct queue *q, unsigned from, unsigned to)
{
	int r;

	while ((r = recvmmsg(q->fd, q->msg + from, to - from, MSG_DONTWAIT | MSG_TRUNC, NULL)) < 0) {
		if (errno == ENOBUFS)	/* not with NETLINK_NO_ENOBUFS; the ids tell what was lost */
			counter_add(&q->st.errors, 1);
		else if (errno != EINTR)
			return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
	}
	return r;
}

static int queue_batch(struct source *s, struct frame *out, unsigned max, struct err *err)
{
	struct queue *q = queue_of(s);
	unsigned n = 0, used = 0, windows;
	bool more = true, few = false;

	flush_verdicts(q);
	q->now = now_ns();
	if (q->stretched)	/* what the last batch read is not used any more */
		give_back(q);
	windows = q->few ? WINDOWS_FEW : WINDOWS;
	while (more && n < max && used < windows && !q->broken) {
		unsigned to = windows - used < max - n ? windows : used + max - n;
		int r = read_messages(q, used, to);

		if (r < 0)
			return n ? (int)n : err_set(err, r, "queue %u: read: %s", q->conf.queue_tcp, strerror(-r));
		more = used + (unsigned)r == to;
		for (; r; r--, used++) {
			size_t len = q->msg[used].msg_len, have = len < MESSAGE_MAX ? len : MESSAGE_MAX;

			few |= len > LONG;
			q->stretched |= len > LONG && used >= WINDOWS_FEW;
			n += take_datagram(q, q->arena + used * WINDOW, have, len <= MESSAGE_MAX, out + n, max - n);
		}
		if (!more)
			q->run = q->open;	/* which still take their place in the queue */
	}
	if (used)
		q->few = few;
	if (q->broken)
		return err_set(err, q->broken, "queue %u: verdicts cannot be sent: %s", q->conf.queue_tcp, strerror(-q->broken));
	return (int)n;
}

/* ---- the rest of the source ---- */

static int queue_fd(const struct source *s) { return queue_of(s)->fd; }

static void queue_stats(const struct source *s, struct source_stats *out)
{
	const struct queue *q = queue_of(s);
	struct queue_kernel k;

	*out = (struct source_stats){
		.packets = counter_get(&q->st.packets),
		.bytes = counter_get(&q->st.bytes),
		.accepted = counter_get(&q->st.accepted),
		.dropped = counter_get(&q->st.dropped),
		.user_drops = counter_get(&q->st.user_drops),
		.passed_unseen = counter_get(&q->st.passed_unseen),
		.errors = counter_get(&q->st.errors),
	};
	if (queue_proc_read(q->proc, q->conf.queue_tcp, &k))
		out->kernel_drops = k.dropped;
}

/* Answers all that waits, read or not: ids up to half the ring of numbers ahead. */
static void let_go(struct queue *q)
{
	for (q->building = 0; q->building < 2; q->building++)
		emit(q, VERDICTS_ACCEPT_UP_TO, q->waits[q->building].next + INT32_MAX / 2);
	send_out(q);
}

static void queue_close(struct source *s)
{
	struct queue *q = queue_of(s);

	if (!q)
		return;
	if (q->fd >= 0) {
		flush_verdicts(q);
		if (q->conf.fail_open)
			let_go(q);
		for (unsigned i = 0; i < 2; i++)
			queue_unbind(q->fd, q->conf.queue_tcp + i);
		close(q->fd);
	}
	if (q->proc >= 0)
		close(q->proc);
	if (q->arena)
		munmap(q->arena, ROOM);
	for (int i = 0; i < 2; i++)
		verdicts_free(&q->waits[i]);
	free(q);
}

static const struct source_ops queue_ops = {
	.name = "queue", .fd = queue_fd, .batch = queue_batch, .answer = queue_answer, .flush = queue_flush,
	.stats = queue_stats, .close = queue_close,
};

uint64_t queue_fulls(const struct source *s) { return counter_get(&queue_of(s)->fulls); }

/* Four times what the kernel holds, as a power of two: answers may lag that far behind before they must go singly. */
static uint32_t window_for(uint32_t maxlen)
{
	uint32_t w = 1024;

	while (w < 4 * (uint64_t)maxlen && w < 1u << 20)
		w *= 2;
	return w;
}

struct source *queue_open(const struct queue_conf *c, struct err *err)
{
	struct queue *q = calloc(1, sizeof *q);
	uint32_t window = window_for(c->maxlen ? c->maxlen : QUEUE_MAXLEN);
	int rc = 0;

	if (!q || c->queue_tcp == UINT16_MAX) {
		err_set(err, q ? -EINVAL : -ENOMEM, "queue %u: %s", c->queue_tcp, q ? "has no number behind it for UDP" : "no memory");
		free(q);
		return NULL;
	}
	q->src.ops = &queue_ops;
	q->conf = *c;
	if (!q->conf.maxlen)
		q->conf.maxlen = QUEUE_MAXLEN;
	q->fd = q->proc = -1;
	q->arena = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (q->arena == MAP_FAILED) {
		q->arena = NULL;
	} else {
		q->out = q->arena + ARENA_SIZE;
		madvise(q->arena, ROOM, MADV_NOHUGEPAGE);	/* where all memory may be: one would be there for a packet */
		windows_init(q);
	}
	for (int i = 0; i < 2 && !rc; i++)
		rc = verdicts_init(&q->waits[i], window);
	if (rc || !q->arena) {
		err_set(err, -ENOMEM, "queue %u: no memory", c->queue_tcp);
		goto fail;
	}
	q->proc = queue_proc_open(c->nsfd, err);
	if (q->proc < 0)
		goto fail;
	q->fd = queue_socket(c, err);
	if (q->fd < 0 || queue_bind(q->fd, q->proc, c, err))	/* closing answers what one number, already bound, has got */
		goto fail;
	return &q->src;
fail:
	queue_close(&q->src);
	return NULL;
}
