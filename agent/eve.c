/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An event's head becomes the fields that all events share, its body the object of its type, and what policy said the `tapq` object.
 * The body is walked once, item by item; names in it are constants of the core's, strings in it may hold any byte (jbuf escapes them).
 * Two things stand elsewhere than the body has them, because readers of EVE look there: `tcp` of a flow is beside `flow`, and ICMP has
 * icmp_type and icmp_code in place of ports. */
#include "agent/eve.h"

#include <nettle/base64.h>
#include <nettle/sha1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/path.h"
#include "agent/textmemo.h"
#include "base/hash.h"

#define RECORD_NEST 12	/* objects and arrays of a body within each other; records hold fewer */

enum { IP_ICMP = 1, IP_TCP = 6, IP_UDP = 17, IP_ICMP6 = 58, IP_SCTP = 132 };

/* ---- what lines have in common ---- */

#define TUPLES 1024u		/* flows whose words are kept, if no longer than: */
#define TUPLE_TEXT_MAX 320u
#define TAILS 64u
#define TAIL_TEXT_MAX 2048u

struct eve_memo {
	struct textmemo *tuples, *tails;
};

/* All that the words are made of. Cleared before they are filled: compared as bytes. */
struct tuple_key {
	struct addr src, dst;
	uint16_t sport, dport, app, app_hint, app_orig;
	uint8_t ipproto;
};

struct tapq_key {
	uint32_t src_workload, dst_workload, rule;
	uint8_t path, verdict, reason, learned;
	bool enforced, has_tuple, cut;
};

struct eve_memo *eve_memo_new(void)
{
	struct eve_memo *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	m->tuples = textmemo_new(TUPLES, sizeof(struct tuple_key), TUPLE_TEXT_MAX);
	m->tails = textmemo_new(TAILS, sizeof(struct tapq_key), TAIL_TEXT_MAX);
	if (m->tuples && m->tails)
		return m;
	eve_memo_free(m);
	return NULL;
}

void eve_memo_free(struct eve_memo *m)
{
	if (!m)
		return;
	textmemo_free(m->tuples);
	textmemo_free(m->tails);
	free(m);
}

/* ---- time ---- */

#define QUARTER 900		/* s: zones change at full quarters of an hour */
#define QUARTERS 8u

/* A quarter of an hour that was written before: events and the flows that they tell of share few. */
struct stamp {
	int64_t quarter;
	bool utc, valid;
	unsigned into;		/* s from the hour to the quarter's beginning: not a multiple of 900 in zones of long ago */
	char hour[24];		/* "2026-01-02T03:" */
	char zone[8];		/* "+0000" */
};

static void stamp_fill(struct stamp *s, int64_t quarter, bool utc)
{
	time_t t = (time_t)(quarter * QUARTER);
	struct tm tm;

	memset(&tm, 0, sizeof tm);
	if (utc)
		gmtime_r(&t, &tm);
	else
		localtime_r(&t, &tm);
	strftime(s->hour, sizeof s->hour, "%Y-%m-%dT%H:", &tm);
	if (utc)
		strcpy(s->zone, "+0000");
	else
		strftime(s->zone, sizeof s->zone, "%z", &tm);
	s->into = (unsigned)(tm.tm_min * 60 + tm.tm_sec);
	s->quarter = quarter;
	s->utc = utc;
	s->valid = true;
}

/* Any time, by the library. */
static void stamp_slow(int64_t sec, int64_t us, bool utc, char buf[64])
{
	time_t t = (time_t)sec;
	struct tm tm;
	size_t n;

	memset(&tm, 0, sizeof tm);
	if (utc)
		gmtime_r(&t, &tm);
	else
		localtime_r(&t, &tm);
	n = strftime(buf, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(buf + n, 16, ".%06d", (int)us);
	if (utc)
		strcpy(buf + n, "+0000");
	else
		strftime(buf + n, 8, "%z", &tm);
}

static char *two(char *p, unsigned v)
{
	*p++ = (char)('0' + v / 10);
	*p++ = (char)('0' + v % 10);
	return p;
}

const char *eve_timestamp(int64_t ns, bool utc, char buf[64])
{
	static _Thread_local struct stamp known[QUARTERS];
	int64_t sec = ns / 1000000000, rest = ns % 1000000000, quarter;
	struct stamp *s;
	unsigned into, us;
	char *p;

	if (rest < 0) {
		sec--;
		rest += 1000000000;
	}
	us = (unsigned)(rest / 1000);
	quarter = sec / QUARTER - (sec % QUARTER < 0);
	s = &known[(uint64_t)quarter % QUARTERS];
	if (!s->valid || s->quarter != quarter || s->utc != utc)
		stamp_fill(s, quarter, utc);
	into = s->into + (unsigned)(sec - quarter * QUARTER);
	if (into >= 3600) {
		stamp_slow(sec, us, utc, buf);
		return buf;
	}
	p = stpcpy(buf, s->hour);
	p = two(p, into / 60);
	*p++ = ':';
	p = two(p, into % 60);
	*p++ = '.';
	p = two(p, us / 10000);
	p = two(p, us / 100 % 100);
	p = two(p, us % 100);
	strcpy(p, s->zone);
	return buf;
}

/* ---- community id ---- */

static const struct icmp_pair {
	uint8_t type, other;
} icmp4_pairs[] = {
	{ 0, 8 }, { 8, 0 }, { 13, 14 }, { 14, 13 }, { 15, 16 }, { 16, 15 }, { 17, 18 }, { 18, 17 }, { 9, 10 }, { 10, 9 },
}, icmp6_pairs[] = {
	{ 128, 129 }, { 129, 128 }, { 133, 134 }, { 134, 133 }, { 135, 136 }, { 136, 135 }, { 130, 131 }, { 131, 130 }, { 144, 145 }, { 145, 144 },
	{ 139, 140 }, { 140, 139 },
};

/* What stands for ports: a message that has an answer is a pair of both types, any other its type and code in that order for ever. */
static bool icmp_ports(const struct event *ev, uint16_t *sport, uint16_t *dport)
{
	const struct icmp_pair *p = ev->ipproto == IP_ICMP ? icmp4_pairs : icmp6_pairs;
	size_t n = ev->ipproto == IP_ICMP ? sizeof icmp4_pairs / sizeof *p : sizeof icmp6_pairs / sizeof *p;

	*sport = ev->sport;
	*dport = ev->dport;
	for (size_t i = 0; i < n; i++) {
		if (p[i].type == ev->sport) {
			*dport = p[i].other;
			return false;
		}
	}
	return true;
}

static bool has_ports(uint8_t ipproto) { return ipproto == IP_TCP || ipproto == IP_UDP || ipproto == IP_SCTP; }
static bool is_icmp(uint8_t ipproto) { return ipproto == IP_ICMP || ipproto == IP_ICMP6; }

void eve_community_id(const struct event *ev, char out[32])
{
	bool v4 = addr_is_v4(&ev->src) && addr_is_v4(&ev->dst), one_way = false;
	size_t skip = v4 ? 12 : 0, alen = 16 - skip, n = 0;
	const struct addr *a = &ev->src, *b = &ev->dst;
	uint16_t ap = ev->sport, bp = ev->dport;
	uint8_t in[40], digest[SHA1_DIGEST_SIZE];
	struct sha1_ctx sha;
	int c;

	if (is_icmp(ev->ipproto))
		one_way = icmp_ports(ev, &ap, &bp);
	else if (!has_ports(ev->ipproto))
		ap = bp = 0;
	c = addr_cmp(a, b);
	if (!one_way && (c > 0 || (c == 0 && ap > bp))) {
		const struct addr *ta = a;
		uint16_t tp = ap;

		a = b;
		b = ta;
		ap = bp;
		bp = tp;
	}
	in[n++] = 0;		/* the seed */
	in[n++] = 0;
	memcpy(in + n, a->b + skip, alen);
	memcpy(in + n + alen, b->b + skip, alen);
	n += 2 * alen;
	in[n++] = ev->ipproto;
	in[n++] = 0;
	if (has_ports(ev->ipproto) || is_icmp(ev->ipproto)) {
		in[n++] = (uint8_t)(ap >> 8);
		in[n++] = (uint8_t)ap;
		in[n++] = (uint8_t)(bp >> 8);
		in[n++] = (uint8_t)bp;
	}
	sha1_init(&sha);
	sha1_update(&sha, n, in);
	sha1_digest(&sha, sizeof digest, digest);
	memcpy(out, "1:", 2);
	base64_encode_raw(out + 2, sizeof digest, digest);
	out[2 + BASE64_ENCODE_RAW_LENGTH(sizeof digest)] = '\0';
}

/* ---- the body ---- */

struct walk {
	struct jbuf *j;
	bool array[RECORD_NEST];	/* what is open at each depth */
	unsigned depth;
	bool cut;
	bool utc;
};

static const char *key_of(const struct walk *w, const struct item *it)
{
	if (w->array[w->depth])
		return NULL;
	return it->fact && it->fact->name ? it->fact->name : "";
}

static void put_item(struct walk *w, const struct item *it, const void *value)
{
	const char *key = key_of(w, it);
	uint64_t v = 0;
	char text[64];

	if (it->kind >= ITEM_U64)
		memcpy(&v, value, sizeof v);
	switch ((enum item_kind)it->kind) {
	case ITEM_END:
		if (w->array[w->depth])
			jb_end_arr(w->j);
		else
			jb_end_obj(w->j);
		w->depth--;
		break;
	case ITEM_OBJ:
		jb_obj(w->j, key);
		w->array[++w->depth] = false;
		break;
	case ITEM_ARR:
		jb_arr(w->j, key);
		w->array[++w->depth] = true;
		break;
	case ITEM_STR:
		jb_strn(w->j, key, value, it->len);
		w->cut |= it->cut;
		break;
	case ITEM_U64:
		jb_u64(w->j, key, v);
		break;
	case ITEM_I64:
		jb_i64(w->j, key, (int64_t)v);
		break;
	case ITEM_BOOL:
		jb_bool(w->j, key, v != 0);
		break;
	case ITEM_TIME:
		jb_str(w->j, key, eve_timestamp((int64_t)v, w->utc, text));
		break;
	}
}

/* Passes over a whole object or array; pos stands behind its beginning. */
static void skip_nest(const uint8_t **pos, const uint8_t *end)
{
	const struct item *it;
	const void *value;

	for (unsigned depth = 1; depth && (it = item_next(pos, end, &value)); ) {
		if (it->kind == ITEM_OBJ || it->kind == ITEM_ARR)
			depth++;
		else if (it->kind == ITEM_END)
			depth--;
	}
}

static bool is_beside(const struct event *ev, const struct walk *w, const struct item *it)
{
	return ev->type == EV_FLOW && !w->depth && it->kind == ITEM_OBJ && it->fact && it->fact->name && !strcmp(it->fact->name, "tcp");
}

/* Walks items until they end, or until the nest that was open at the start is closed; true when something was cut. */
static bool put_items(struct jbuf *j, const struct event *ev, bool utc, const uint8_t *pos, const uint8_t *end, const uint8_t **beside)
{
	struct walk w = { .j = j, .utc = utc };
	const struct item *it;
	const void *value;

	while (pos < end && (it = item_next(&pos, end, &value))) {
		if (it->kind == ITEM_END && !w.depth)
			break;
		if ((it->kind == ITEM_OBJ || it->kind == ITEM_ARR) && w.depth + 1 == RECORD_NEST) {
			skip_nest(&pos, end);
			w.cut = true;
			continue;
		}
		if (beside && is_beside(ev, &w, it)) {
			*beside = pos;
			skip_nest(&pos, end);
			continue;
		}
		put_item(&w, it, value);
	}
	while (w.depth) {
		if (w.array[w.depth--])
			jb_end_arr(j);
		else
			jb_end_obj(j);
	}
	return w.cut;
}

static bool put_body(struct jbuf *j, const struct event *ev, bool utc, const char *name)
{
	const uint8_t *beside = NULL, *end = ev->body_len ? ev->body + ev->body_len : ev->body;
	bool cut;

	jb_obj(j, name);
	cut = put_items(j, ev, utc, ev->body, end, &beside);
	jb_end_obj(j);
	if (beside) {
		jb_obj(j, "tcp");
		cut |= put_items(j, ev, utc, beside, end, NULL);
		jb_end_obj(j);
	}
	return cut;
}

/* ---- the head ---- */

static void put_proto(struct jbuf *j, uint8_t ipproto)
{
	static const char *const names[256] = {
		[0] = "HOPOPT", [IP_ICMP] = "ICMP", [2] = "IGMP", [4] = "IPv4", [IP_TCP] = "TCP", [IP_UDP] = "UDP", [33] = "DCCP", [41] = "IPv6", [46] = "RSVP", [47] = "GRE",
		[43] = "IPv6-Route", [50] = "ESP", [51] = "AH", [IP_ICMP6] = "IPv6-ICMP", [59] = "IPv6-NoNxt", [88] = "EIGRP", [89] = "OSPF", [97] = "ETHERIP", [103] = "PIM", [108] = "IPComp", [112] = "VRRP", [115] = "L2TP",
		[IP_SCTP] = "SCTP", [135] = "IPv6-MH", [136] = "UDPLite", [137] = "MPLS-in-IP",
	};
	char number[8];

	if (!names[ipproto])
		snprintf(number, sizeof number, "%u", ipproto);
	jb_str(j, "proto", names[ipproto] ? names[ipproto] : number);
}

static void write_tuple(struct jbuf *j, const struct event *ev)
{
	bool ports = has_ports(ev->ipproto);
	char text[ADDR_STRLEN], id[32];

	jb_str(j, "src_ip", addr_format(&ev->src, text));
	if (ports)
		jb_u64(j, "src_port", ev->sport);
	jb_str(j, "dest_ip", addr_format(&ev->dst, text));
	if (ports)
		jb_u64(j, "dest_port", ev->dport);
	put_proto(j, ev->ipproto);
	if (is_icmp(ev->ipproto)) {
		jb_u64(j, "icmp_type", ev->sport);
		jb_u64(j, "icmp_code", ev->dport);
	}
	jb_str(j, "app_proto", app_name((enum app)ev->app));
	if (ev->app_hint != APP_UNKNOWN)
		jb_str(j, "app_proto_hint", app_name((enum app)ev->app_hint));
	if (ev->app_orig != APP_UNKNOWN)
		jb_str(j, "app_proto_orig", app_name((enum app)ev->app_orig));
	eve_community_id(ev, id);
	jb_str(j, "community_id", id);
}

/* Events of one flow say this with the same words. */
static void put_tuple(struct jbuf *j, const struct eve_conf *c, const struct event *ev)
{
	struct tuple_key k;
	const char *text;
	size_t n, from = j->len;

	if (!c->memo || !ev->flow_id) {
		write_tuple(j, ev);
		return;
	}
	memset(&k, 0, sizeof k);
	k.src = ev->src;
	k.dst = ev->dst;
	k.sport = ev->sport;
	k.dport = ev->dport;
	k.app = ev->app;
	k.app_hint = ev->app_hint;
	k.app_orig = ev->app_orig;
	k.ipproto = ev->ipproto;
	text = textmemo_find(c->memo->tuples, ev->flow_id, &k, &n);
	if (text) {
		jb_more(j, text, n);
		return;
	}
	write_tuple(j, ev);
	if (!j->overflow)
		textmemo_keep(c->memo->tuples, ev->flow_id, &k, j->p + from, j->len - from);
}

/* What the flow came in, as Suricata has it, and which tunnel that is. */
static void put_tunnel(struct jbuf *j, const struct outer *o)
{
	char text[ADDR_STRLEN];

	jb_obj(j, "tunnel");
	if (o->depth) {
		jb_str(j, "src_ip", addr_format(&o->src, text));
		jb_u64(j, "src_port", has_ports(o->ipproto) ? o->sport : 0);
		jb_str(j, "dest_ip", addr_format(&o->dst, text));
		jb_u64(j, "dest_port", has_ports(o->ipproto) ? o->dport : 0);
		put_proto(j, o->ipproto);
		jb_u64(j, "depth", o->depth);
	}
	jb_str(j, "type", tunnel_name((enum tunnel_kind)o->kind));
	if (o->has_id)
		jb_u64(j, "id", o->id);
	if (o->flow_id)
		jb_u64(j, "flow_id", o->flow_id);
	jb_end_obj(j);
}

struct dest_names {
	struct jbuf *j;
	unsigned n;
};

static void put_end(struct jbuf *j, struct names *names, uint32_t id, const char *workload, const char *labels)
{
	if (names) {
		names_put_workload(names, j, workload, id);
		names_put_labels(names, j, labels, id);
	} else {
		jb_raw(j, labels, "{}", 2);
	}
}

static void put_dest_name(void *ctx, struct bytes name)
{
	struct dest_names *d = ctx;

	if (!d->n++)
		jb_arr(d->j, "dest_names");
	jb_strn(d->j, NULL, (const char *)name.p, name.n);
}

void eve_put_dest_names(struct jbuf *j, const struct fqdn_cache *c, uint32_t workload, const struct addr *dest, int64_t since)
{
	struct dest_names d = { j, 0 };

	if (!c || !workload)
		return;
	fqdn_cache_each(c, workload, dest, since, put_dest_name, &d);
	if (d.n)
		jb_end_arr(j);
}

/* Behind the node, up to the names of the destination. */
static void write_tapq(struct jbuf *j, const struct eve_conf *c, const struct event *ev, bool cut)
{
	jb_str(j, "path", path_name(ev->path));
	if (ev->has_tuple || ev->src_workload)
		put_end(j, c->names, ev->src_workload, "src_workload", "src_labels");
	if (ev->has_tuple || ev->dst_workload)
		put_end(j, c->names, ev->dst_workload, "dest_workload", "dest_labels");
	if (ev->has_tuple) {
		jb_str(j, "verdict", verdict_name((enum verdict)ev->verdict));
		jb_bool(j, "enforced", ev->enforced);
		jb_u64(j, "rule", ev->rule);
		jb_str(j, "reason", reason_name((enum reason)ev->reason));
		if (ev->learned)
			jb_bool(j, "learned", true);
	}
	if (cut)
		jb_bool(j, "cut", true);	/* some text was longer than what is kept */
}

/* Nor does this differ much: names and labels of an id never change. */
static void put_tapq_common(struct jbuf *j, const struct eve_conf *c, const struct event *ev, bool cut)
{
	struct tapq_key k;
	const char *text;
	size_t n, from = j->len;
	uint64_t hash;

	if (!c->memo) {
		write_tapq(j, c, ev, cut);
		return;
	}
	memset(&k, 0, sizeof k);
	k.src_workload = ev->src_workload;
	k.dst_workload = ev->dst_workload;
	k.rule = ev->rule;
	k.path = ev->path;
	k.verdict = ev->verdict;
	k.reason = ev->reason;
	k.learned = ev->learned;
	k.enforced = ev->enforced;
	k.has_tuple = ev->has_tuple;
	k.cut = cut;
	hash = hash_mix64((uint64_t)k.src_workload << 32 | k.dst_workload) ^ hash_mix64((uint64_t)k.rule << 8 | k.verdict);
	text = textmemo_find(c->memo->tails, hash, &k, &n);
	if (text) {
		jb_more(j, text, n);
		return;
	}
	write_tapq(j, c, ev, cut);
	if (!j->overflow)
		textmemo_keep(c->memo->tails, hash, &k, j->p + from, j->len - from);
}

static void put_tapq(struct jbuf *j, const struct eve_conf *c, const struct event *ev, bool cut)
{
	jb_obj(j, "tapq");
	jb_str(j, "node", c->node);
	put_tapq_common(j, c, ev, cut);
	if (ev->has_tuple)
		eve_put_dest_names(j, c->fqdn, ev->src_workload, &ev->dst, ev->start);
	jb_end_obj(j);
}

void eve_format(struct jbuf *j, const struct eve_conf *c, const struct event *ev)
{
	const char *name = ev->type == EV_APP ? app_name((enum app)ev->app) : event_type_name((enum event_type)ev->type);
	char stamp[64];
	bool cut;

	jb_obj(j, NULL);
	jb_str(j, "timestamp", eve_timestamp(ev->ts, c->utc, stamp));
	if (ev->flow_id)
		jb_u64(j, "flow_id", ev->flow_id);
	if (c->names)
		names_put_iface(c->names, j, "in_iface", ev->iface);
	jb_str(j, "event_type", name);
	if (ev->nvlan) {
		jb_arr(j, "vlan");
		for (unsigned i = 0; i < ev->nvlan && i < 2; i++)
			jb_u64(j, NULL, ev->vlan[i]);
		jb_end_arr(j);
	}
	if (ev->has_tuple)
		put_tuple(j, c, ev);
	if (ev->outer.kind)
		put_tunnel(j, &ev->outer);
	if (ev->number)
		jb_u64(j, "pcap_cnt", ev->number);
	if (ev->has_tx)
		jb_u64(j, "tx_id", ev->tx_id);
	cut = put_body(j, ev, c->utc, name);
	put_tapq(j, c, ev, cut);
	jb_end_obj(j);
	jb_newline(j);
}
