/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/coretest.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "base/csum.h"
#include "tests/unit/dpi/flowtest.h"
#include "tests/unit/dpi/packets.h"

#define START INT64_C(1767323045000000000)

static void on_emit(void *ctx, const struct event *ev)
{
	struct core *c = ctx;
	char *line;
	size_t n;

	flowtest_event_text(ev, &line);
	n = strlen(line);
	if (c->n + n + 2 > c->room) {
		c->room = 2 * (c->n + n + 2);
		c->text = realloc(c->text, c->room);
		if (!c->text)
			abort();
	}
	memcpy(c->text + c->n, line, n);
	c->n += n;
	c->text[c->n++] = '\n';
	c->text[c->n] = '\0';
	free(line);
	c->told[ev->type]++;
	c->last[ev->type] = *ev;
}

static enum dpi_own on_owner(void *ctx, const struct frame *f, const struct tuple *t)
{
	struct core *c = ctx;

	(void)t;
	c->asked_owner++;
	return c->owner ? c->owner(c, f) : OWN_YES;
}

static void on_ends(void *ctx, const struct frame *f, const struct tuple *t, struct dpi_ends *out)
{
	struct core *c = ctx;
	int first = t->src.b[15] == 1 ? 0 : 1;

	(void)f;
	c->asked_ends++;
	out->quarantined = c->quarantined;
	for (int i = 0; i < 2; i++) {
		out->workload[i] = c->workload[first ^ i];
		out->groups[i] = c->groups[first ^ i];
	}
}

static void on_learn(void *ctx, uint32_t workload, const struct addr *a, struct bytes name, uint32_t ttl, int64_t ts)
{
	struct core *c = ctx;
	struct core_name *n = &c->names[c->nnames < 64 ? c->nnames++ : 63];

	*n = (struct core_name){ .workload = workload, .ttl = ttl, .addr = *a, .ts = ts };
	memcpy(n->name, name.p, name.n);
}

static void on_names(void *ctx, uint32_t workload, const struct addr *a, int64_t since, void (*each)(void *to, struct bytes name), void *to)
{
	const struct core *c = ctx;

	for (unsigned i = 0; i < c->nnames; i++)
		if (c->names[i].workload == workload && addr_eq(&c->names[i].addr, a) && c->names[i].ts + c->names[i].ttl * SEC >= since)
			each(to, (struct bytes){ (const uint8_t *)c->names[i].name, strlen(c->names[i].name) });
}

static void on_answer(void *ctx, const struct frame *f, struct answer a)
{
	struct core *c = ctx;

	c->late(c, f, a);
}

static bool on_refused(void *ctx, const struct dpi_refused *r)
{
	struct core *c = ctx;

	if (!r->frame && c->no_room)
		return false;
	c->refused++;
	c->last_refused = *r;
	return true;
}

static void on_released(void *ctx, const struct tuple *t)
{
	struct core *c = ctx;

	c->released++;
	CU_ASSERT(c->many || (c->refused && addr_eq(&t->src, &c->last_refused.tuple.src) && t->sport == c->last_refused.tuple.sport));
}

void core_open(struct core *c, const struct dpi_conf *conf)
{
	struct dpi_conf usual = { .max_flows = 64, .memcap = 16 << 20, .midstream = true };
	const struct dpi_ops ops = { .owner = on_owner, .ends = on_ends, .learn = on_learn, .names = on_names, .answer = c->late ? on_answer : NULL,
				     .emit = on_emit, .refused = on_refused, .released = on_released, .ctx = c };
	struct err err = { "" };

	if (conf)
		usual = *conf;
	usual.event_mask = EVENTS_ALL;
	usual.key = (struct hash_key){ { 7, 9 } };
	usual.flow_id_seed = 11;
	usual.ahead_flows = 1;
	c->d = dpi_new(&usual, &ops, &err);
	if (!c->d) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	c->now = START;
	c->room = 64;
	c->text = calloc(1, c->room);
	toy_reset();
}

void core_forget(struct core *c)
{
	c->n = 0;
	c->text[0] = '\0';
	memset(c->told, 0, sizeof c->told);
}

void core_close(struct core *c)
{
	struct dpi_sizes s;

	dpi_flush(c->d);
	core_tick(c, 100 * SEC);	/* fragments that wait */
	dpi_get_sizes(c->d, &s);
	CU_ASSERT_EQUAL(s.flows, 0);
	/* nothing is kept but the pieces that hold the entries */
	CU_ASSERT_EQUAL(s.mem.used, (uint64_t)c->d->flows.nchunks * MEM_PIECE_MAX);
	dpi_free(c->d);
	free(c->text);
	memset(c, 0, sizeof *c);
}

enum verdict core_raw(struct core *c, const struct frame *f)
{
	struct frame g = *f;
	uint8_t *p = guard_copy(f->data, f->caplen);

	g.data = p;
	g.ts = c->now += 1000;
	g.token = ++c->token;
	g.caller = c->caller;
	if (c->token & 1)	/* either way it is the same */
		dpi_ahead(c->d, &g, 1);
	c->answer = dpi_inspect(c->d, &g);
	guard_free(p, f->caplen);
	return c->answer.verdict;
}

static size_t tcp_opts(const struct spec *s, uint8_t *o)
{
	size_t n = 0;

	if (s->flags & TCP_SYN) {
		if (s->wscale) {
			o[n++] = 3;
			o[n++] = 3;
			o[n++] = (uint8_t)(s->wscale - 1);
			o[n++] = 1;
		}
		if (s->sack) {
			memcpy(o + n, "\4\2\1\1", 4);
			n += 4;
		}
	}
	if (s->ts) {
		memcpy(o + n, "\1\1\x8\xa", 4);
		for (int i = 0; i < 4; i++) {
			o[n + 4 + i] = (uint8_t)(s->tsval >> (24 - 8 * i));
			o[n + 8 + i] = (uint8_t)(s->tsecr >> (24 - 8 * i));
		}
		n += 12;
	}
	if (s->sign) {
		bool md5 = strcmp(s->sign, "md5") == 0;

		memset(o + n, 1, 20);
		o[n + 2] = md5 ? 19 : 29;
		o[n + 3] = md5 ? 18 : 16;
		n += 20;
	}
	return n;
}

enum verdict core_send(struct core *c, const struct spec *s)
{
	static const char *const v4[] = { "10.0.0.1", "10.0.0.2" }, *const v6[] = { "fd00::1", "fd00::2" };
	static struct pkt b;
	uint16_t port[2] = { s->sport ? s->sport : 40000, s->dport ? s->dport : 80 };
	uint8_t proto = s->udp ? 17 : !s->icmp ? 6 : s->v6 ? 58 : 1, opts[40];
	bool frag = s->frag_more || s->frag_off;
	struct pk_ip h = {
		.src = (s->v6 ? v6 : v4)[s->dir], .dst = (s->v6 ? v6 : v4)[!s->dir], .proto = frag && s->v6 ? 44 : proto, .ttl = s->ttl,
		.id = s->ipid ? s->ipid : (uint16_t)++c->id, .frag = (uint16_t)(s->frag_off / 8 | (s->frag_more ? 0x2000 : 0)),
	};
	struct frame f;
	size_t ip, l4;

	b.n = 0;
	pk_ether(&b, s->vlan ? 0x8100 : s->label ? 0x8847 : s->v6 ? 0x86dd : 0x0800);
	if (s->vlan) {
		pk_be16(&b, s->vlan);
		pk_be16(&b, s->v6 ? 0x86dd : 0x0800);
	} else if (s->label) {
		pk_be32(&b, s->label << 12 | 0x100 | 64);
	}
	ip = b.n;
	if (s->v6)
		pk_ip6(&b, &h);
	else
		pk_ip4(&b, &h);
	if (frag) {	/* p holds the piece of the transport as it is */
		if (s->v6) {
			pk_u8(&b, proto);
			pk_u8(&b, 0);
			pk_be16(&b, s->frag_off | (s->frag_more ? 1u : 0));
			pk_be32(&b, s->ipid);
		}
		pk_bytes(&b, s->p, s->n);
		pk_finish(&b, ip, 0, proto);
	} else {
		l4 = b.n;
		if (s->udp) {
			pk_udp(&b, port[s->dir], port[!s->dir], s->n);
		} else if (s->icmp) {
			pk_u8(&b, s->icmp_type);
			pk_u8(&b, 0);
			pk_be16(&b, 0);
			pk_be32(&b, s->seq);
		} else {
			pk_tcp(&b, port[s->dir], port[!s->dir], s->seq, s->ack, s->flags, opts, tcp_opts(s, opts));
			b.b[l4 + 14] = (uint8_t)((s->win0 ? 0 : s->win ? s->win : 65535) >> 8);
			b.b[l4 + 15] = (uint8_t)(s->win0 ? 0 : s->win ? s->win : 65535);
			b.b[l4 + 18] = (uint8_t)(s->urg >> 8);
			b.b[l4 + 19] = (uint8_t)s->urg;
		}
		if (s->n)
			pk_bytes(&b, s->p, s->n);
		pk_finish(&b, ip, l4, proto);
		if (s->unfinished) {
			uint64_t sum = csum_add(0, b.b + ip + (s->v6 ? 8 : 12), s->v6 ? 32 : 8);
			uint16_t field = csum_fold(csum_add16(csum_add16(sum, (uint16_t)(b.n - l4)), proto));

			memcpy(b.b + l4 + (s->udp ? 6 : 16), &field, 2);
		}
		if (s->bad_csum)
			b.b[l4 + (s->udp ? 6 : s->icmp ? 2 : 16)] ^= 0x55;
	}
	f = pk_frame(b.b, b.n, LINK_ETHERNET);
	f.held = s->held;
	f.path = s->path ? s->path : 1;
	f.view = s->view;
	f.workload = s->workload;
	f.domain = s->domain;
	f.flags = s->fflags;
	f.gso_size = s->gso_size;
	f.number = s->number;
	return core_raw(c, &f);
}

void core_tick(struct core *c, int64_t ns)
{
	c->now += ns;
	dpi_tick(c->d, c->now);
	while (dpi_due(c->d, true))
		;
}

struct finder {
	struct flow *f;
	unsigned n;
};

static struct finder find(struct core *c)
{
	struct finder r = { NULL, 0 };

	for (uint32_t i = 0; i < c->d->flows.nchunks; i++)
		for (uint32_t j = 0; j < FLOWS_PER_CHUNK; j++)
			if (c->d->flows.chunk[i][j].state != FLOW_FREE) {
				r.f = &c->d->flows.chunk[i][j];
				r.n++;
			}
	return r;
}

struct flow *core_flow(struct core *c)
{
	struct finder r = find(c);

	return r.n == 1 ? r.f : NULL;
}

unsigned core_flows(struct core *c) { return find(c).n; }

void core_handshake(struct core *c, uint32_t isn, uint32_t isn_down)
{
	core_send(c, &(struct spec){ .flags = TCP_SYN, .seq = isn, .wscale = 1 + 7, .sack = true });
	core_send(c, &(struct spec){ .dir = DIR_TOCLIENT, .flags = TCP_SYN | TCP_ACK, .seq = isn_down, .ack = isn + 1, .wscale = 1 + 7, .sack = true });
	core_send(c, &(struct spec){ .flags = TCP_ACK, .seq = isn + 1, .ack = isn_down + 1 });
}

enum verdict core_data(struct core *c, enum dir dir, uint32_t seq, uint32_t ack, const void *p, size_t n)
{
	return core_send(c, &(struct spec){ .dir = dir, .flags = TCP_ACK | TCP_PSH, .seq = seq, .ack = ack, .p = p, .n = n });
}

/* ---- toy ---- */

struct toy_log toy_log;

void toy_reset(void) { memset(&toy_log, 0, sizeof toy_log); }

void toy_note(char ch)
{
	if (toy_log.norder + 1 < sizeof toy_log.order)
		toy_log.order[toy_log.norder++] = ch;
}

static enum probe toy_probe(const struct probe_in *in)
{
	(void)in;
	return PROBE_NO;
}

static enum parse toy_parse(struct px *x, void *state, enum dir dir, struct cursor *in)
{
	size_t n = cur_left(in);

	(void)x;
	(void)state;
	if (n > sizeof toy_log.bytes[0] - toy_log.n[dir])
		abort();
	memcpy(toy_log.bytes[dir] + toy_log.n[dir], cur_take(in, n), n);
	toy_log.n[dir] += n;
	toy_log.calls++;
	toy_note(dir == DIR_TOSERVER ? 'u' : 'd');
	return PARSE_DONE;
}

static enum parse toy_gap(struct px *x, void *state, enum dir dir, uint64_t len)
{
	(void)x;
	(void)state;
	(void)dir;
	toy_log.gaps++;
	toy_log.gap_bytes += len;
	toy_note('g');
	return PARSE_DONE;
}

static void toy_end(struct px *x, void *state)
{
	(void)x;
	(void)state;
	toy_log.ends++;
	toy_note('e');
}

const struct proto proto_toy = { .name = "echo", .app = APP_ECHO, .event = EV_APP, .l4 = PROTO_TCP | PROTO_UDP, .probe = toy_probe, .parse = toy_parse, .gap = toy_gap, .end = toy_end };

void core_speak(struct core *c, const struct proto *p)
{
	c->d->px.f = core_flow(c);
	if (!c->d->px.f)
		abort();
	c->d->px.p = NULL;
	feed_start(&c->d->px, p);
}
