/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handshakes: which SYN counts is told by the SYN/ACK that answers it (tcp_check_req, tcp_rcv_synsent_state_process). */
#include "dpi/stream.h"

static void syn_options(struct half *h, const struct packet *p, uint32_t sec)
{
	h->flags &= (uint8_t)~(HALF_WSCALE | HALF_TS | HALF_SACK);
	h->wscale = 0;
	if (p->wscale >= 0) {
		h->wscale = (unsigned)p->wscale & 15;
		h->flags |= HALF_WSCALE;
	}
	if (p->has_ts) {
		h->flags |= HALF_TS;
		h->ts_recent = p->tsval;
		h->ts_sec = sec;
	}
	h->is_signed = p->md5 || p->ao;
	if (p->sack_ok)
		h->flags |= HALF_SACK;
	h->max_window = p->window;
}

static void syn_numbers(struct half *h, uint32_t isn, uint32_t len)
{
	h->isn = isn;
	h->next = isn + 1;
	h->max_end = isn + 1 + len;
	h->flags |= HALF_KNOWN;
}

/* SYN without ACK. */
void stream_syn(struct px *x)
{
	const struct packet *p = x->p;
	struct flow *f = x->f;
	struct half *s = sender(x), *r = receiver(x);

	if (f->state != FLOW_NEW && f->state != FLOW_OPENING) {
		s->isn_alt = p->seq;	/* answered with a challenge; unless the other end knows nothing of this connection any more */
		flow_set(f, F_SYN_AGAIN);
		tell_anomaly(x, ANOM_STREAM_SYN_IN_FLOW);
		return;
	}
	if (flow_hit(f, F_MIDSTREAM))
		return;
	if (s->flags & HALF_KNOWN) {
		if (p->seq == s->isn) {
			count(x->d, DPI_C_SEG_RETRANSMIT);
			return;
		}
		if (f->state == FLOW_OPENING || r->flags & HALF_KNOWN) {
			s->isn_alt = p->seq;	/* the request that was answered stays */
			return;
		}
		s->isn_alt = s->isn;	/* which of them counts is told by the SYN/ACK */
		ooo_purge(x->d, s);
	} else {
		s->isn_alt = p->seq;
	}
	syn_numbers(s, p->seq, wire_payload(p));
	syn_options(s, p, second(x));
	r->acked = p->seq;
	if (p->payload.n)
		ooo_add(x, x->dir, p->seq + 1, p->payload.p, p->payload.n, false);
}

/* Both SYNs are there: what was agreed on. */
static void agree(struct px *x)
{
	struct half *a = &x->f->half[0], *b = &x->f->half[1];

	if (!(a->flags & b->flags & HALF_WSCALE))
		a->wscale = b->wscale = 0;
	if (a->flags & b->flags & HALF_TS)
		flow_set(x->f, F_TS);
	if (a->flags & b->flags & HALF_SACK)
		flow_set(x->f, F_SACK);
}

/* Of a SYN/ACK of s: does it say the same as the one before it? */
static bool same_options(const struct half *s, const struct half *r, const struct packet *p)
{
	bool scales = s->flags & HALF_WSCALE, stamps = s->flags & HALF_TS, sacks = s->flags & HALF_SACK;

	if (scales && r->flags & HALF_WSCALE && ((unsigned)p->wscale & 15) != s->wscale)
		return false;
	return (p->wscale >= 0) == scales && p->has_ts == stamps && p->sack_ok == sacks && (p->md5 || p->ao) == s->is_signed;
}

void stream_which_answer(struct px *x)
{
	struct half *s = sender(x), *r = receiver(x);

	if (r->isn_alt == r->isn || x->p->ack != r->isn_alt + 1)
		return;
	syn_numbers(r, r->isn_alt, 0);
	s->acked = r->isn;
}

void stream_syn_ack(struct px *x)
{
	const struct packet *p = x->p;
	struct flow *f = x->f;
	struct half *s = sender(x), *r = receiver(x);
	bool syn_unseen = !(r->flags & HALF_KNOWN);

	if (f->state != FLOW_NEW && f->state != FLOW_OPENING)
		return;
	if (flow_hit(f, F_MIDSTREAM) || (syn_unseen && s->flags & HALF_KNOWN))
		return;		/* an answer to a SYN that there was not */
	if (syn_unseen) {
		syn_numbers(r, p->ack - 1, 0);
	} else if (seq_after(p->ack, r->isn) && !seq_after(p->ack, r->max_end)) {
		/* the usual one */
	} else if (p->ack == r->isn_alt + 1 && f->state == FLOW_NEW) {
		ooo_purge(x->d, r);
		syn_numbers(r, r->isn_alt, 0);
	} else {
		count(x->d, DPI_C_SEG_OUT_OF_WINDOW);	/* the initiator resets it */
		return;
	}
	if (f->state == FLOW_OPENING || (s->flags & HALF_KNOWN && s->isn == p->seq)) {
		if (s->isn != p->seq) {
			s->isn_alt = p->seq;	/* the first one counts, unless the initiator acknowledges this one */
			x->refused = p->frame->held && !same_options(s, r, p);	/* then it was agreed on something else too: it must not hear of it */
		}
		count(x->d, DPI_C_SEG_RETRANSMIT);
		if (f->state == FLOW_OPENING)
			return;
	}
	syn_numbers(s, p->seq, 0);	/* bytes on a SYN/ACK are not taken */
	s->isn_alt = p->seq;
	syn_options(s, p, second(x));
	if (syn_unseen) {	/* the SYN/ACK has only options that the SYN had; the initiator's scale is taken at its largest */
		r->flags |= s->flags & (HALF_WSCALE | HALF_TS | HALF_SACK);
		r->wscale = WSCALE_UNKNOWN;
	}
	agree(x);
	s->acked = p->ack;
	s->edge = p->ack + p->window;
	s->flags |= HALF_EDGE;
	r->acked = p->seq;
	r->edge = p->seq + 1 + r->max_window;
	if (!syn_unseen)
		r->flags |= HALF_EDGE;
	flow_move(&x->d->flows, f, FLOW_OPENING, x->now);
	ooo_drop_parked(x->d, r);
	if (seq_after(p->ack, r->isn + 1))
		stream_drain(x, (enum dir)!x->dir);
	else
		ooo_purge(x->d, r);
}

bool stream_restarts(const struct px *x)
{
	const struct packet *p = x->p;
	const struct flow *f = x->f;

	if (p->tcp_flags & (TCP_RST | TCP_FIN))
		return false;
	/* The responder is heard after all, whose word was not waited for. */
	if (p->tcp_flags & TCP_ACK && flow_hit(f, F_CLAIMED) && flow_hit(f, F_MIDSTREAM) && !f->pkts[x->dir] && p->ack == receiver(x)->isn + 1)
		return true;
	if (p->tcp_flags & TCP_ACK && f->state == FLOW_CLOSED)	/* its SYN came again (stream_packet), or was refused before, and is answered now */
		return !(sender(x)->flags & HALF_KNOWN) && receiver(x)->flags & HALF_KNOWN && p->ack == receiver(x)->isn + 1;
	if (p->tcp_flags & TCP_ACK)	/* answers a SYN that came inside this one: its sender knows nothing of this connection */
		return flow_hit(f, F_SYN_AGAIN) && receiver(x)->isn_alt != receiver(x)->isn && p->ack == receiver(x)->isn_alt + 1;
	/* Its beginning was guessed from something that is no SYN, which the kernel of the other end may have refused. */
	if ((f->state == FLOW_NEW || f->state == FLOW_OPENING) && !(f->tcp_flags[DIR_TOSERVER] & TCP_SYN))
		return x->dir == DIR_TOCLIENT || p->seq != sender(x)->isn;
	return f->state == FLOW_CLOSED && (p->seq != sender(x)->isn || !(sender(x)->flags & HALF_KNOWN));
}
