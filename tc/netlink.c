/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libnl makes the messages, the socket and the reading; the loops are ours, because a batch wants one answer for many messages
 * and the kernel's own words (extack) for each that fails. */
#include "tc/netlink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/netlink.h>

#define RCVBUF (1 << 20)	/* a chunk whose every message fails answers with less */
#define PASSES 8		/* of an interrupted dump */

int tcnl_open(struct tcnl *t, struct err *err)
{
	static const struct timeval patience = { .tv_sec = 5 };	/* the kernel answers within the send; this is for a lost answer */
	int on = 1, rc, fd;

	memset(t, 0, sizeof *t);
	t->sk = nl_socket_alloc();
	if (!t->sk)
		return err_set(err, -ENOMEM, "tc: no memory for a netlink socket");
	rc = nl_connect(t->sk, NETLINK_ROUTE);
	if (rc) {
		tcnl_close(t);
		return err_set(err, -EIO, "tc: netlink socket: %s", nl_geterror(rc));
	}
	fd = nl_socket_get_fd(t->sk);
	nl_socket_set_buffer_size(t->sk, RCVBUF, RCVBUF);
	nl_socket_set_msg_buf_size(t->sk, 1 << 16);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){ RCVBUF }, sizeof(int)))
		on = 1;		/* without the privilege the ordinary limit has to do */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
	t->size = 1 << 16;
	t->out = malloc(t->size);
	if (!t->out) {
		tcnl_close(t);
		return err_set(err, -ENOMEM, "tc: no memory for netlink messages");
	}
	return 0;
}

void tcnl_close(struct tcnl *t)
{
	if (t->sk)
		nl_socket_free(t->sk);
	free(t->out);
	memset(t, 0, sizeof *t);
}

/* ---- answers ---- */

/* The kernel's words for an error, else the errno's. */
static void explain(const struct nlmsghdr *h, int code, struct err *err)
{
	const struct nlmsgerr *e = nlmsg_data(h);
	int skip = (int)sizeof *e + (h->nlmsg_flags & NLM_F_CAPPED ? 0 : (int)(e->msg.nlmsg_len - sizeof e->msg));
	struct nlattr *tb[NLMSGERR_ATTR_MAX + 1];

	if (h->nlmsg_flags & NLM_F_ACK_TLVS && nlmsg_parse((struct nlmsghdr *)(uintptr_t)h, NLMSG_ALIGN(skip), tb, NLMSGERR_ATTR_MAX, NULL) >= 0 &&
	    tb[NLMSGERR_ATTR_MSG]) {
		err_set(err, code, "%s (%.*s)", strerror(-code), nla_len(tb[NLMSGERR_ATTR_MSG]), (const char *)nla_data(tb[NLMSGERR_ATTR_MSG]));
		return;
	}
	err_set(err, code, "%s", strerror(-code));
}

struct reading {
	struct tcnl *t;
	uint32_t first, last;	/* sequence numbers that are ours to read */
	void (*fn)(void *, const struct nlmsghdr *);
	void *ctx;
	bool dump, done, interrupted;
	int error;		/* of the message asked with (no batch) */
	bool batch;
	struct err *err;
};

static void take_error(struct reading *r, const struct nlmsghdr *h)
{
	int code = nlmsg_datalen(h) >= (int)sizeof(struct nlmsgerr) ? ((const struct nlmsgerr *)nlmsg_data(h))->error : -EBADMSG;

	if (code && r->batch) {
		r->t->busy |= code == -EBUSY;
		r->t->exists |= code == -EEXIST;
		if (!r->t->error) {
			r->t->error = code;
			explain(h, code, &r->t->why);
		}
	} else if (code) {
		r->error = code;
		explain(h, code, r->err);
	}
	if (h->nlmsg_seq == r->last)
		r->done = true;
}

static void take(struct reading *r, const struct nlmsghdr *h)
{
	if (h->nlmsg_seq - r->first > r->last - r->first)
		return;		/* an answer that came too late */
	r->interrupted |= (h->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
	switch (h->nlmsg_type) {
	case NLMSG_ERROR:
		take_error(r, h);
		break;
	case NLMSG_DONE:
		r->done = true;
		break;
	case NLMSG_NOOP:
		break;
	default:
		if (r->fn)
			r->fn(r->ctx, h);
	}
}

static int read_answers(struct reading *r)
{
	while (!r->done) {
		struct sockaddr_nl from;
		unsigned char *buf = NULL;
		int n = nl_recv(r->t->sk, &from, &buf, NULL), left = n;

		if (n <= 0) {
			free(buf);
			return err_set(r->err, n == -NLE_NOMEM ? -ENOBUFS : -EIO, "tc: no answer from the kernel: %s", n ? nl_geterror(n) : "timed out");
		}
		for (struct nlmsghdr *h = (struct nlmsghdr *)(void *)buf; from.nl_pid == 0 && nlmsg_ok(h, left); h = nlmsg_next(h, &left))
			take(r, h);
		free(buf);
	}
	return 0;
}

static int send_all(struct tcnl *t, const void *buf, size_t len, struct err *err)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	ssize_t n;

	do
		n = sendto(nl_socket_get_fd(t->sk), buf, len, 0, (struct sockaddr *)&kernel, sizeof kernel);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)len ? 0 : err_set(err, n < 0 ? -errno : -EIO, "tc: sending to the kernel: %s", n < 0 ? strerror(errno) : "cut short");
}

/* ---- batches ---- */

void tcnl_begin(struct tcnl *t)
{
	t->used = 0;
	t->count = 0;
	t->error = 0;
	t->why.text[0] = 0;
	t->busy = t->exists = false;
}

int tcnl_end(struct tcnl *t, struct err *err)
{
	struct reading r = { .t = t, .first = t->seq - t->count + 1, .last = t->seq, .batch = true, .err = err };
	struct nlmsghdr *last = NULL;
	int rc;

	if (!t->count)
		return 0;
	for (size_t at = 0; at < t->used; at += NLMSG_ALIGN(last->nlmsg_len))
		last = (struct nlmsghdr *)(void *)(t->out + at);
	last->nlmsg_flags |= NLM_F_ACK;
	rc = send_all(t, t->out, t->used, err);
	t->used = 0;
	t->count = 0;
	return rc ? rc : read_answers(&r);
}

int tcnl_add(struct tcnl *t, struct nl_msg *m, struct err *err)
{
	struct nlmsghdr *h = m ? nlmsg_hdr(m) : NULL;
	size_t len = h ? NLMSG_ALIGN(h->nlmsg_len) : 0;
	int rc = 0;

	if (!h || len > t->size) {
		nlmsg_free(m);
		return err_set(err, -ENOMEM, "tc: no memory for a netlink message");
	}
	if (t->count == TCNL_CHUNK || t->used + len > t->size)
		rc = tcnl_end(t, err);
	if (!rc) {
		h->nlmsg_seq = ++t->seq;
		h->nlmsg_flags |= NLM_F_REQUEST;
		memset(t->out + t->used, 0, len);
		memcpy(t->out + t->used, h, h->nlmsg_len);
		t->used += len;
		t->count++;
	}
	nlmsg_free(m);
	return rc;
}

/* ---- questions ---- */

int tcnl_ask(struct tcnl *t, struct nl_msg *m, void (*fn)(void *, const struct nlmsghdr *), void *ctx, struct err *err)
{
	struct nlmsghdr *h = m ? nlmsg_hdr(m) : NULL;
	struct reading r = { .t = t, .fn = fn, .ctx = ctx, .err = err };
	int rc;

	if (!h)
		return err_set(err, -ENOMEM, "tc: no memory for a netlink message");
	h->nlmsg_seq = r.first = r.last = ++t->seq;
	h->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	rc = send_all(t, h, h->nlmsg_len, err);
	if (!rc)
		rc = read_answers(&r);
	nlmsg_free(m);
	return rc ? rc : r.error;
}

int tcnl_dump(struct tcnl *t, struct nl_msg *m, void (*restart)(void *), void (*fn)(void *, const struct nlmsghdr *), void *ctx, struct err *err)
{
	struct nlmsghdr *h = m ? nlmsg_hdr(m) : NULL;
	int rc = -EAGAIN;

	if (!h)
		return err_set(err, -ENOMEM, "tc: no memory for a netlink message");
	for (int pass = 0; rc == -EAGAIN && pass < PASSES; pass++) {
		struct reading r = { .t = t, .fn = fn, .ctx = ctx, .dump = true, .err = err };

		restart(ctx);
		h->nlmsg_seq = r.first = r.last = ++t->seq;
		h->nlmsg_flags |= NLM_F_REQUEST | NLM_F_DUMP;
		rc = send_all(t, h, h->nlmsg_len, err);
		if (!rc)
			rc = read_answers(&r);
		if (!rc)
			rc = r.error;
		if (!rc && r.interrupted)
			rc = err_set(err, -EAGAIN, "tc: the filters change faster than they can be read");
	}
	nlmsg_free(m);
	return rc;
}
