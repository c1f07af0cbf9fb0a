/* SPDX-License-Identifier: GPL-2.0-or-later */
/* http2_etcd: which keys a call to etcd is about (etcd's api/etcdserverpb/rpc.proto); which names a request of DNS asks for (RFC 8484).
 *
 *   message: compressed(1) length(4) protobuf
 *   RangeRequest, PutRequest, DeleteRangeRequest { 1 key }     WatchRequest { 1 { 1 key } }
 *   TxnRequest { 1 compare { 3 key }   2 success, 3 failure { 1 range, 2 put, 3 delete { 1 key } } }
 *
 * Of a request's message the first HTTP2_MESSAGE_KEEP bytes are kept until they are there, over as many frames as it takes; then each key in
 * them is judged, and the first is told. A compressed message is passed by. A DNS query is as short, in a body or as base64url in
 * the path's `dns=`; it is told as dns tells it. */
#include "dpi/pb.h"
#include "dpi/proto/dns_msg.h"
#include "dpi/proto/dns_within.h"
#include "dpi/proto/http2_parts.h"

enum { CALL_NONE, CALL_KEY, CALL_WATCH, CALL_TXN, CALL_DNS };
static const struct { const char *path; uint8_t call; } calls[] = {
	{ "/etcdserverpb.KV/Range", CALL_KEY }, { "/etcdserverpb.KV/Put", CALL_KEY }, { "/etcdserverpb.KV/DeleteRange", CALL_KEY },
	{ "/etcdserverpb.KV/Txn", CALL_TXN }, { "/etcdserverpb.Watch/Watch", CALL_WATCH },
};

void http2_etcd_request(struct http2_stream *st, struct bytes path)
{
	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (path.n == strlen(calls[i].path) && !memcmp(path.p, calls[i].path, path.n))
			st->call = calls[i].call;
}

/* base64url without padding; how many bytes, 0 where it is none or too long. */
static size_t base64url(struct cursor c, uint8_t *out, size_t room)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	while (cur_more(&c)) {
		uint8_t b = cur_u8(&c);
		const char *at = b ? strchr(digits, b) : NULL;

		if (!at)
			return 0;
		bits = bits << 6 | (uint32_t)(at - digits);
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		if (n == room)
			return 0;
		out[n++] = (uint8_t)(bits >> have);
	}
	return n;
}

void http2_dns_request(struct px *px, struct http2_stream *st, enum dir dir, struct bytes path, bool follows)
{
	uint8_t message[HTTP2_MESSAGE_KEEP];
	struct cursor c = cur_of(path.p, path.n);
	bool asked;
	size_t at, n;

	if (follows) {
		st->call = CALL_DNS;
		return;
	}
	at = cur_find(&c, '?');
	if (at == SIZE_MAX || !cur_skip(&c, at + 1) || !cur_starts(&c, "dns=", 4))
		return;
	cur_skip(&c, 4);
	at = cur_find(&c, '&');
	n = base64url(at == SIZE_MAX ? c : cur_sub(&c, at), message, sizeof(message));
	if (n && dns_shape_of(cur_of(message, n), false, &asked) == DNS_SHAPE_WHOLE)
		dns_within(px, dir, st->tx, cur_of(message, n));
}

uint32_t http2_etcd_wanted(const struct http2_stream *st, uint32_t n)
{
	uint32_t room = HTTP2_MESSAGE_KEEP - st->message_n;

	return st->call == CALL_NONE ? 0 : n < room ? n : room;
}

struct keys {
	struct px *px;
	struct http2_stream *st;
	struct saved *first;	/* the stream's facts with the first key */
};

static void key_is(struct keys *k, struct bytes key)
{
	struct record *r = px_record(k->px);

	http2_stream_put(r, k->st, key);
	px_judge(k->px, r);
	if (k->first)
		return;
	r = px_record(k->px);
	if (k->st->facts)
		rec_append(r, k->st->facts->body, k->st->facts->len);
	http2_put_key(r, key);
	k->first = px_save(k->px, r);
}

/* The next field that holds bytes, as much of it as is here; its number, 0 at the end. */
static uint32_t field(struct cursor *c, struct cursor *value)
{
	while (cur_more(c)) {
		uint64_t tag = pb_varint(c), n;

		switch (tag & 7) {
		case 0:
			pb_varint(c);
			continue;
		case 1:
			cur_skip(c, 8);
			continue;
		case 5:
			cur_skip(c, 4);
			continue;
		case 2:
			break;
		default:
			return 0;
		}
		n = pb_varint(c);
		if (!cur_ok(c))
			return 0;
		*value = cur_sub(c, n < cur_left(c) ? (size_t)n : cur_left(c));
		return tag >> 3 <= UINT8_MAX ? (uint32_t)(tag >> 3) : UINT8_MAX;
	}
	return 0;
}

/* Keys in the field `number` of a message. */
static void keys_of(struct keys *k, struct cursor c, uint32_t number)
{
	struct cursor v;
	uint32_t n;

	while ((n = field(&c, &v)))
		if (n == number && cur_left(&v))
			key_is(k, cur_rest(&v));
}

static void operations(struct keys *k, struct cursor c)
{
	struct cursor v;
	uint32_t n;

	while ((n = field(&c, &v)))
		if (n <= 3)
			keys_of(k, v, 1);
}

static void message(struct keys *k, struct cursor c)
{
	struct cursor v;
	uint32_t n;

	if (cur_u8(&c))		/* compressed */
		return;
	cur_skip(&c, 4);
	if (k->st->call == CALL_KEY) {
		keys_of(k, c, 1);
		return;
	}
	while ((n = field(&c, &v))) {
		if (k->st->call == CALL_WATCH) {
			if (n == 1)
				keys_of(k, v, 1);
		} else if (n == 1) {
			keys_of(k, v, 3);
		} else if (n <= 3) {
			operations(k, v);
		}
	}
}

void http2_etcd_data(struct px *px, struct http2_stream *st, struct bytes b, bool last)
{
	struct keys k = { px, st, NULL };
	struct cursor head;

	if (st->call == CALL_NONE)
		return;
	if (!st->message)
		st->message = px_alloc(px, HTTP2_MESSAGE_KEEP);
	if (!st->message) {
		px_lost(px);
		st->call = CALL_NONE;
		return;
	}
	if (b.n)
		memcpy(st->message + st->message_n, b.p, b.n);
	st->message_n = (uint16_t)(st->message_n + b.n);
	head = cur_of(st->message, st->message_n);
	if (st->call == CALL_DNS) {
		if (last)
			dns_within(px, (enum dir)st->asks, st->tx, head);
		if (last || st->message_n == HTTP2_MESSAGE_KEEP)	/* longer than any query is */
			http2_etcd_drop(px, st);
		return;
	}
	cur_skip(&head, 1);
	if (!last && st->message_n < HTTP2_MESSAGE_KEEP && (st->message_n < 5 || cur_be32(&head) > st->message_n - 5u))
		return;
	message(&k, cur_of(st->message, st->message_n));
	if (k.first) {
		px_saved_free(px, st->facts);
		st->facts = k.first;
	}
	http2_etcd_drop(px, st);
}

void http2_etcd_drop(struct px *px, struct http2_stream *st)
{
	px_release(px, st->message, HTTP2_MESSAGE_KEEP);
	st->message = NULL;
	st->call = CALL_NONE;
}
