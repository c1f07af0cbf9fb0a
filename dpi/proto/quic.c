/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quic: versions 1 and 2, drafts 23 to 34 (RFC 9000, 9001, 9369), and Google's own before them. One `quic` event per flow.
 *
 *   long header: 1fff.... version(4) length and destination id, length and source id; Initial: token, length, packet number, sealed
 *
 * The client's Initial packets are opened with keys made of the destination id of the first one, or of the first one after a Retry (quic_crypt.c).
 * Their CRYPTO frames, which may come in any order over several packets, are put together until the ClientHello is whole: it is judged, told, and
 * nothing more is wanted. Google's versions up to Q046 send their CHLO in the clear: tags, each with the end of its value.
 *
 * Work per flow is bounded: OPEN_MAX packets are tried, CRYPTO_MAX bytes kept. */
#include "dpi/message.h"
#include "dpi/proto/quic_crypt.h"
#include "dpi/proto/tls_facts.h"

#define PACKET_MAX 8192u	/* longest Initial that is opened */
#define OPEN_MAX 24u
#define CRYPTO_MAX 16384u
#define RANGES_MAX 64u
#define PACKETS_MAX 16u		/* in a datagram */
#define CHLO_TAGS_MAX 64u
#define UA_PARAM 0x3129u	/* Google's transport parameter */
#define EXT_QUIC_DRAFT 0xffa5u

static const struct fact f_version = { "version", FACT_PLAIN }, f_sni = { "sni", FACT_TLS_SNI }, f_ua = { "ua", FACT_PLAIN };
static const struct fact *const facts[] = { &f_version, &f_sni, &f_ua, NULL };

struct quic {
	uint8_t *crypto;	/* CRYPTO_MAX bytes; NULL: none yet */
	struct { uint16_t from, to; } range[RANGES_MAX];	/* what is there, in order, apart */
	uint32_t version;	/* of the client's last packet */
	uint8_t cid[QUIC_CID_MAX], cid_len;
	uint8_t nranges;
	uint8_t tried;
	bool opened;
	bool has_cid;
	bool told;		/* or nothing more is to be told */
};

struct packet {
	uint32_t version;
	struct bytes dcid, scid;
	uint8_t first;
};

/* 'Q' or 'T' and three digits. */
static bool google(uint32_t v)
{
	uint8_t a = (uint8_t)(v >> 24);

	for (int i = 0; i < 3; i++, v >>= 8)
		if ((v & 0xff) < '0' || (v & 0xff) > '9')
			return false;
	return a == 'Q' || a == 'T';
}

static bool known(uint32_t v) { return quic_salt_of(v) != QUIC_SALT_NONE || google(v); }

static uint64_t varint(struct cursor *c)
{
	uint8_t first = cur_u8(c);
	uint64_t v = first & 0x3f;

	for (unsigned i = 1u << (first >> 6); i > 1; i--)
		v = v << 8 | cur_u8(c);
	return v;
}

/* A long header up to the ids. */
static bool long_head(struct cursor *c, struct packet *p)
{
	p->first = cur_u8(c);
	p->version = cur_be32(c);
	if (!cur_ok(c) || !(p->first & 0x80))
		return false;
	if (google(p->version) && p->version < 0x51303530) {	/* Q046: both lengths in one byte, 0 or 8 bytes each */
		uint8_t n = cur_u8(c);

		p->dcid = cur_bytes(c, n & 0xf0 ? (n >> 4) + 3u : 0);
		p->scid = cur_bytes(c, n & 0x0f ? (n & 0x0f) + 3u : 0);
		return cur_ok(c);
	}
	p->dcid = cur_bytes(c, cur_u8(c));
	p->scid = cur_bytes(c, cur_u8(c));
	return cur_ok(c) && p->dcid.n <= QUIC_CID_MAX && p->scid.n <= QUIC_CID_MAX;
}

/* Google's header before Q046: flags with "version is there", connection id(8), version. */
static bool google_head(struct cursor *c, uint32_t *version)
{
	uint8_t flags = cur_u8(c);

	if ((flags & 0xc9) != 0x09 || !cur_skip(c, 8))
		return false;
	*version = cur_be32(c);
	return cur_ok(c) && google(*version);
}

/* Packet type 0 of version 1 is type 1 of version 2. */
static unsigned type_of(const struct packet *p) { return ((p->first >> 4 & 3u) + (quic_salt_of(p->version) == QUIC_SALT_2 ? 3u : 0u)) & 3u; }

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now], g = c;
	struct packet p;
	uint32_t version;

	if (google_head(&g, &version))
		return PROBE_YES;
	if (!long_head(&c, &p) || !known(p.version))
		return PROBE_NO;
	if (google(p.version))
		return PROBE_YES;
	return p.first & 0x40 && p.dcid.n + p.scid.n >= 4 && cur_left(&c) >= 16 ? PROBE_YES : PROBE_NO;
}

/* ---- what is told ---- */

static void put_version(struct record *r, uint32_t v)
{
	if (google(v))
		rec_printf(r, &f_version, "%c%03u", (char)(v >> 24), (v >> 16 & 15) * 100 + (v >> 8 & 15) * 10 + (v & 15));
	else if (v == 0x6b3343cf)
		rec_cstr(r, &f_version, "2");
	else if (v > 0xff000000)
		rec_printf(r, &f_version, "draft-%u", v & 0xff);
	else
		rec_printf(r, &f_version, "%u", v);
}

static void tell(struct px *px, struct quic *s, const struct record *r)
{
	px_judge(px, r);
	px_emit(px, EV_QUIC, UINT32_MAX, r);
	s->told = true;
	px_stop(px);
}

static void broken(struct px *px, struct quic *s, const char *event)
{
	px_bad(px, event);
	px_stop(px);
	s->told = true;
}

static struct bytes user_agent(const struct tls_hello *h)
{
	struct cursor list = tls_cursor(h->extensions), body;
	uint16_t type;

	while (tls_ext_next(&list, &type, &body)) {
		if (type != TLS_EXT_QUIC && type != EXT_QUIC_DRAFT)
			continue;
		while (cur_more(&body)) {
			uint64_t id = varint(&body), n = varint(&body);
			struct bytes b = cur_bytes(&body, n > SIZE_MAX ? SIZE_MAX : (size_t)n);

			if (!cur_ok(&body))
				break;
			if (id == UA_PARAM)
				return b;
		}
	}
	return (struct bytes){ NULL, 0 };
}

static void client_hello(struct px *px, struct quic *s, struct cursor body)
{
	struct record *r = px_record(px);
	struct tls_hello h;
	struct bytes ua;

	if (!tls_client_hello(body, false, &h)) {
		broken(px, s, "quic.bad_hello");
		return;
	}
	put_version(r, s->version);
	tls_put_sni(r, &h);
	ua = user_agent(&h);
	if (ua.n)
		rec_bytes(r, &f_ua, ua);
	tls_put_prints(r, &h, 'q');
	tell(px, s, r);
}

/* ---- CRYPTO frames ---- */

/* Bytes from..to are there now. False: in too many pieces. */
static bool range_add(struct quic *s, uint32_t from, uint32_t to)
{
	unsigned i = 0, j;

	while (i < s->nranges && s->range[i].to < from)
		i++;
	for (j = i; j < s->nranges && s->range[j].from <= to; j++) {
		from = s->range[j].from < from ? s->range[j].from : from;
		to = s->range[j].to > to ? s->range[j].to : to;
	}
	if (i == j) {
		if (s->nranges == RANGES_MAX)
			return false;
		memmove(&s->range[i + 1], &s->range[i], (s->nranges - i) * sizeof(s->range[0]));
		s->nranges++;
	} else {
		memmove(&s->range[i + 1], &s->range[j], (s->nranges - j) * sizeof(s->range[0]));
		s->nranges = (uint8_t)(s->nranges - (j - i - 1));
	}
	s->range[i].from = (uint16_t)from;
	s->range[i].to = (uint16_t)to;
	return true;
}

static void crypto(struct px *px, struct quic *s, uint64_t off, struct bytes b)
{
	struct cursor c;
	uint32_t n;

	if (off > CRYPTO_MAX || b.n > CRYPTO_MAX - off) {
		broken(px, s, "quic.hello_too_long");
		return;
	}
	if (!s->crypto)
		s->crypto = px_alloc(px, CRYPTO_MAX);
	if (!s->crypto || !b.n || !range_add(s, (uint32_t)off, (uint32_t)(off + b.n)))
		return;
	memcpy(s->crypto + off, b.p, b.n);
	if (s->range[0].from || s->range[0].to < 4)
		return;
	c = cur_of(s->crypto, s->range[0].to);
	if (cur_u8(&c) != TLS_CLIENT_HELLO) {
		broken(px, s, "quic.bad_hello");
		return;
	}
	n = cur_be24(&c);
	if (n <= cur_left(&c))
		client_hello(px, s, cur_sub(&c, n));
	else if (n > CRYPTO_MAX - 4)
		broken(px, s, "quic.hello_too_long");
}

/* The frames that an Initial packet may hold (RFC 9000 12.4). */
static void frames(struct px *px, struct quic *s, struct cursor c)
{
	while (cur_more(&c) && !s->told) {
		uint64_t type = varint(&c), off, n;

		if (type <= 1)
			continue;
		if (type == 2 || type == 3) {
			varint(&c);
			varint(&c);
			n = varint(&c);
			varint(&c);
			for (; n && cur_ok(&c); n--) {
				varint(&c);
				varint(&c);
			}
			for (int i = 0; type == 3 && i < 3; i++)
				varint(&c);
		} else if (type == 6) {
			struct bytes b;

			off = varint(&c);
			n = varint(&c);
			b = cur_bytes(&c, n > cur_left(&c) ? SIZE_MAX : (size_t)n);
			if (cur_ok(&c))
				crypto(px, s, off, b);
		} else {
			return;
		}
	}
}

/* ---- packets ---- */

static bool open_with(struct quic *s, const struct packet *p, struct bytes cid, uint8_t *copy, struct bytes raw, size_t pn_at, struct bytes *payload)
{
	s->tried++;
	memcpy(copy, raw.p, raw.n);
	return quic_open(quic_salt_of(p->version), cid, copy, raw.n, pn_at, payload);
}

/* raw: from the first byte to the end of the packet. */
static void initial(struct px *px, struct quic *s, const struct packet *p, struct bytes raw, size_t pn_at)
{
	struct bytes payload, first = { s->cid, s->cid_len };
	uint8_t *copy;
	bool ok;

	if (raw.n > PACKET_MAX || s->tried >= OPEN_MAX)
		return;
	copy = px_alloc(px, raw.n);
	if (!copy)
		return;
	ok = s->has_cid && open_with(s, p, first, copy, raw, pn_at, &payload);
	if (!ok && open_with(s, p, p->dcid, copy, raw, pn_at, &payload)) {
		memcpy(s->cid, p->dcid.p, p->dcid.n);
		s->cid_len = (uint8_t)p->dcid.n;
		ok = s->has_cid = true;
	}
	if (ok) {
		s->version = p->version;
		s->opened = true;
		frames(px, s, cur_of(payload.p, payload.n));
	}
	px_release(px, copy, raw.n);
}

static void packets(struct px *px, struct quic *s, struct cursor c)
{
	for (unsigned i = 0; i < PACKETS_MAX && cur_more(&c) && !s->told; i++) {
		struct cursor start = c;
		struct packet p;
		uint64_t n;
		size_t pn_at;

		if (!long_head(&c, &p) || quic_salt_of(p.version) == QUIC_SALT_NONE || type_of(&p) == 3)	/* short, unknown, Retry */
			return;
		if (type_of(&p) == 0) {
			n = varint(&c);
			cur_skip(&c, n > cur_left(&c) ? SIZE_MAX : (size_t)n);	/* the token */
		}
		n = varint(&c);
		pn_at = cur_used(&c) - cur_used(&start);
		if (!cur_ok(&c) || n > cur_left(&c))
			return;
		cur_skip(&c, (size_t)n);
		if (type_of(&p) == 0)
			initial(px, s, &p, cur_bytes(&start, pn_at + (size_t)n), pn_at);
	}
}

/* ---- Google's ---- */

/* "CHLO" number of tags(2) 0(2), then tag(4) end(4) each, then the values. */
static void chlo(struct px *px, struct quic *s, struct cursor c)
{
	struct bytes sni = { NULL, 0 }, ua = { NULL, 0 };
	uint32_t begin = 0, end;
	struct cursor values;
	struct record *r;
	uint16_t n;

	while (cur_left(&c) >= 8 && !cur_starts(&c, "CHLO", 4))
		cur_skip(&c, 1);
	cur_skip(&c, 4);
	n = cur_le16(&c);
	cur_skip(&c, 2);
	if (!cur_ok(&c) || n > CHLO_TAGS_MAX)
		return;
	values = c;
	cur_skip(&values, n * (size_t)8);
	for (; n && cur_ok(&c); n--, begin = end) {
		struct bytes tag = cur_bytes(&c, 4), value;
		struct cursor v = values;

		end = cur_le32(&c);
		if (!cur_ok(&c) || end < begin || !cur_skip(&v, begin))
			break;
		value = cur_bytes(&v, end - begin);
		if (memcmp(tag.p, "SNI", 4) == 0)
			sni = value;
		else if (memcmp(tag.p, "UAID", 4) == 0)
			ua = value;
	}
	r = px_record(px);
	put_version(r, s->version);
	if (sni.n)
		rec_bytes(r, &f_sni, sni);
	if (ua.n)
		rec_bytes(r, &f_ua, ua);
	tell(px, s, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct quic *s = state;
	struct cursor c = *in, old = c, longer = c;
	uint32_t version;
	struct packet p;
	bool is_old = google_head(&old, &version), is_long = !is_old && long_head(&longer, &p) && google(p.version);

	cur_rest(in);
	if (is_old || is_long) {
		if (dir == DIR_TOSERVER) {
			s->version = is_old ? version : p.version;
			chlo(px, s, is_old ? old : longer);
		}
	} else {
		packets(px, s, c);
	}
	if (s->tried >= OPEN_MAX)
		px_stop(px);
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct quic *s = state;

	if (!s->told && s->opened) {	/* the hello is not whole, but it was one */
		struct record *r = px_record(px);

		put_version(r, s->version);
		px_emit(px, EV_QUIC, UINT32_MAX, r);
	}
	px_release(px, s->crypto, CRYPTO_MAX);
}

static const uint16_t ports[] = { 443, 0 };

const struct proto proto_quic = {
	.name = "quic", .app = APP_QUIC, .event = EV_QUIC, .l4 = PROTO_UDP, .ports = ports, .state_size = sizeof(struct quic),
	.probe = probe, .parse = parse, .end = end, .facts = facts,
};
