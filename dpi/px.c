/* SPDX-License-Identifier: GPL-2.0-or-later */
/* px: what a protocol may do (proto.h). What changes the way of bytes (stop, switch) is noted and carried out by feed.c when
 * the call has returned. */
#include "dpi/engine.h"

#include <netinet/in.h>

struct record *px_record(struct px *x)
{
	rec_reset(&x->d->record);
	return &x->d->record;
}

void px_judge(struct px *x, const struct record *r) { judge_request(x, r, 0); }
void px_judge_part(struct px *x, const struct record *r, uint32_t later) { judge_request(x, r, later); }

void px_unfinished(struct px *x, uint32_t n)
{
	if (x->calling != DIR_TOSERVER)
		return;
	x->request = n;
	x->f->unfinished = (1 + n % 3) & 3;
}

/* Appends the items of user and database; roles: bits of those that are left out. */
static void say_who(struct record *out, const uint8_t *body, uint32_t len, uint32_t roles)
{
	const uint8_t *pos = body, *end = len ? body + len : body;
	const struct item *it;
	const void *v;

	while (len && (it = item_next(&pos, end, &v)))
		if (it->kind == ITEM_STR && it->fact && (it->fact->role == FACT_USER || it->fact->role == FACT_DATABASE) && !(roles & ROLE_BIT(it->fact->role)))
			rec_str(out, it->fact, v, it->len);
}

static uint32_t said_of_who(const struct record *r)
{
	return (rec_find(r->body, r->len, FACT_USER).p ? ROLE_BIT(FACT_USER) : 0) | (rec_find(r->body, r->len, FACT_DATABASE).p ? ROLE_BIT(FACT_DATABASE) : 0);
}

void px_judge_session(struct px *x, struct record *r, struct saved **who)
{
	struct record *kept = &x->d->told;
	uint32_t roles = said_of_who(r), len = r->len;
	bool full = r->full;

	if (*who)
		say_who(r, (*who)->body, (*who)->len, roles);
	if (roles) {
		rec_reset(kept);
		say_who(kept, r->body, r->len, 0);
		px_saved_free(x, *who);
		*who = px_save(x, kept);
	}
	judge_request(x, r, 0);
	r->len = len;
	r->full = full;
}

bool px_wants_facts(const struct px *x, enum event_type type) { return wanted(x->d, type) || wanted(x->d, EV_LEARN) || x->f->by_facts; }
bool px_by_facts(const struct px *x) { return x->f->by_facts; }
bool px_wants_headers(const struct px *x) { return x->f->by_facts && x->d->policy && policy_has_headers(x->d->policy); }
const struct fact *px_header(const struct px *x, struct bytes name) { return policy_header(x->d->policy, name); }
uint32_t px_policy(const struct px *x) { return x->d->policy_version; }

void px_emit(struct px *x, enum event_type type, uint32_t tx, const struct record *r)
{
	struct event ev;

	if (!wanted(x->d, type))
		return;
	tell_fill(x, type, &ev);
	if (tx != UINT32_MAX) {
		ev.tx_id = tx;
		ev.has_tx = true;
	}
	tell_emit(x->d, &ev, r);
}

/* ---- memory ---- */

void *px_alloc(struct px *x, size_t n)
{
	void *p = mem_zalloc(x->d->mem, n);

	if (!p)
		count(x->d, DPI_C_MEM_REFUSED);
	return p;
}

void px_release(struct px *x, void *p, size_t n)
{
	if (p)
		mem_release(x->d->mem, p, n);
}

struct saved *px_save(struct px *x, const struct record *r)
{
	struct saved *s = mem_alloc(x->d->mem, sizeof(*s) + r->len);

	if (!s) {
		count(x->d, DPI_C_MEM_REFUSED);
		return NULL;
	}
	s->len = r->len;
	if (r->len)
		memcpy(s->body, r->body, r->len);
	return s;
}

void px_saved_free(struct px *x, struct saved *s)
{
	if (s)
		mem_release(x->d->mem, s, sizeof(*s) + s->len);
}

/* ---- the way of bytes ---- */

void px_need(struct px *x, size_t n)
{
	x->need = n > PROTO_KEEP_MAX ? PROTO_KEEP_MAX + 1 : (uint32_t)n;
}

void px_skip(struct px *x, enum dir dir, uint64_t n)
{
	struct half *h = &x->f->half[dir];

	if (dir != x->calling && h->keep_len) {	/* the next ones of the other direction may be kept already */
		uint32_t k = n < h->keep_len ? (uint32_t)n : h->keep_len;

		memmove(h->keep, h->keep + k, h->keep_len - k);
		h->keep_len -= k;
		h->need = 0;
		n -= k;
	}
	h->skip = n > UINT64_MAX - h->skip ? UINT64_MAX : h->skip + n;
}

void px_stop(struct px *x) { x->stop = true; }

void px_lost(struct px *x)
{
	judge_unreadable(x);
	x->stop = true;
}

void px_switch(struct px *x, const struct proto *next)
{
	x->switched = true;
	x->next = next;
}

void px_set_app(struct px *x, enum app app) { feed_app(x, app); }

/* ---- looking and telling ---- */

void px_bad(struct px *x, const char *event) { tell_bad(x, event); }
int64_t px_time(const struct px *x) { return x->ts; }
uint16_t px_port(const struct px *x, enum dir dir) { return flow_port(x->f, dir); }

enum proto_l4 px_l4(const struct px *x)
{
	switch (x->f->key.ipproto) {
	case IPPROTO_UDP:
		return PROTO_UDP;
	case IPPROTO_SCTP:
		return PROTO_SCTP;
	default:
		return PROTO_TCP;
	}
}

/* ---- flows that are announced ---- */

const struct addr *px_addr(const struct px *x, enum dir from) { return flow_addr(x->f, from); }

uint32_t px_expect(struct px *x, const struct px_announce *a, const struct record *note)
{
	const struct flow *f = x->f;
	bool up = addr_eq(&a->addr, flow_addr(f, DIR_TOSERVER)), down = addr_eq(&a->addr, flow_addr(f, DIR_TOCLIENT)), cap = false;
	struct announcement out = {
		.control = &f->key,
		.id = f->id,
		.hi = addr_eq(&a->addr, &f->key.hi),
		.port = a->port,
		.ipproto = a->l4 == PROTO_TCP ? IPPROTO_TCP : IPPROTO_UDP,
		.proto = a->proto,
		.life = a->life,
	};
	uint32_t handle;

	if (!a->port || (!up && !down))
		return 0;
	out.note = note ? px_save(x, note) : NULL;
	handle = expect_add(&x->d->expect, &out, x->now, &cap);
	count(x->d, DPI_C_EXPECT);
	if (cap)
		count(x->d, DPI_C_EXPECT_CAP);
	return handle;
}

void px_expect_note(struct px *x, uint32_t handle, const struct record *note)
{
	struct saved *s = px_save(x, note);

	if (s)
		expect_note(&x->d->expect, handle, s);
}

struct saved *px_announced(struct px *x) { return expect_take(&x->d->expect, &x->f->key, x->f->id); }
