/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nfq/queued.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>

#include "base/cursor.h"

#define TIMESTAMP_MAX (INT64_MAX / 1000000000 - 1)	/* s: whatever the kernel's clock says, ns do not overflow */

/* The attributes from `at` on: a view that moves by lengths that were compared with what is left. Without a cursor for each: a third of the cost. */
struct walk {
	const uint8_t *at;
	size_t left;
	bool bad;		/* one does not fit */
	/* the one at hand */
	unsigned type;
	const uint8_t *value;
	size_t n;
};

static inline bool walk_next(struct walk *w)
{
	struct nlattr a;
	size_t whole;

	if (!w->left)
		return false;
	if (w->left < sizeof a)
		goto bad;
	memcpy(&a, w->at, sizeof a);
	if (a.nla_len < sizeof a || a.nla_len > w->left)
		goto bad;
	w->type = a.nla_type & NLA_TYPE_MASK;
	w->value = w->at + sizeof a;
	w->n = a.nla_len - sizeof a;
	whole = NLA_ALIGN((size_t)a.nla_len);
	if (whole > w->left)	/* the last one may lack what pads it */
		whole = w->left;
	w->at += whole;
	w->left -= whole;
	return true;
bad:
	w->bad = true;
	return false;
}

static int64_t timestamp(const struct walk *w)
{
	struct cursor c = cur_of(w->value, w->n);
	uint64_t sec = cur_be64(&c), usec = cur_be64(&c);

	return cur_ok(&c) && sec < TIMESTAMP_MAX && usec < 1000000 ? (int64_t)(sec * 1000000000 + usec * 1000) : 0;
}

static uint32_t word(const struct walk *w) { return w->n >= sizeof(uint32_t) ? be32_at(w->value, 0) : 0; }

static void take(struct queued *q, const struct walk *w)
{
	switch (w->type) {
	case NFQA_TIMESTAMP:
		q->ts = timestamp(w);
		break;
	case NFQA_CAP_LEN:
		q->wirelen = word(w);
		break;
	case NFQA_SKB_INFO:
		q->info = word(w);
		break;
	case NFQA_PAYLOAD:
		q->n = (uint32_t)w->n;
		q->data = w->value;
		break;
	default:
		break;
	}
}

bool queued_read(const void *msg, size_t left, bool whole, struct queued *q)
{
	const size_t head = NLMSG_HDRLEN + NLA_ALIGN(sizeof(struct nfgenmsg));
	struct walk w;

	*q = (struct queued){ 0 };
	if (left < head)
		return false;
	q->queue = be16_at(msg, NLMSG_HDRLEN + offsetof(struct nfgenmsg, res_id));
	w = (struct walk){ .at = (const uint8_t *)msg + head, .left = left - head };
	if (!walk_next(&w) || w.type != NFQA_PACKET_HDR || w.n < sizeof(struct nfqnl_msg_packet_hdr))	/* the first one: there even when the rest was cut off */
		return false;
	q->id = be32_at(w.value, offsetof(struct nfqnl_msg_packet_hdr, packet_id));
	q->hook = w.value[offsetof(struct nfqnl_msg_packet_hdr, hook)];
	while (whole && walk_next(&w))
		take(q, &w);
	if (w.bad)
		q->data = NULL;
	return true;
}
