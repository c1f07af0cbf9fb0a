/* SPDX-License-Identifier: GPL-2.0-or-later */
/* http2: HTTP/2 (RFC 9113) in the clear, known beforehand or after an Upgrade, and gRPC in it. One `http` event per stream.
 *
 * Each direction is a row of frames. Header blocks go to the inflater as they come (http2_hpack.c), what they say makes up
 * transactions (http2_block.c). Bodies are passed by with px_skip, all but a response's last byte, so that its end is noticed when it comes.
 * Everything else is looked at only as far as it moves this: SETTINGS for the size of the header table, RST_STREAM.
 *
 * Headers depend on all headers before them: a block that cannot be read ends parsing. Where the connection's beginning was not seen, fields
 * from before are unknown, and what stands in blocks by itself is told; if a block cannot be read even so, that direction's are passed by. */
#include "dpi/proto/http2_parts.h"

static enum parse bad(struct px *px, const char *event)
{
	px_bad(px, event);
	return PARSE_BAD;
}

static enum parse more(struct px *px, size_t n)
{
	px_need(px, n);
	return PARSE_MORE;
}

/* The next n bytes are of no interest, whether they are there or not. */
static void pass(struct px *px, enum dir dir, struct cursor *in, uint64_t n)
{
	uint64_t here = n < cur_left(in) ? n : cur_left(in);

	cur_skip(in, (size_t)here);
	if (n > here)
		px_skip(px, dir, n - here);
}

/* ---- frames ---- */

/* `in` is behind the head (and the length of padding). */
static void data(struct px *px, struct http2 *s, enum dir dir, struct cursor *in, const struct http2_frame *f, uint32_t n, uint8_t pad)
{
	struct http2_stream *st = http2_stream_find(s, f->stream);
	struct http2_half *h = &s->half[dir];

	h->at = H2_AT_FRAME;
	if (st && st->asks == (uint8_t)dir) {
		struct bytes b = cur_bytes(in, http2_etcd_wanted(st, n));

		n -= (uint32_t)b.n;
		http2_etcd_data(px, st, b, f->flags & H2_END_STREAM);
	}
	if (!st || st->asks == (uint8_t)dir || !(f->flags & H2_END_STREAM)) {
		if (st && st->asks != (uint8_t)dir)
			st->length += n;
		pass(px, dir, in, (uint64_t)n + pad);
		return;
	}
	st->length += n;
	if (n + pad == 0) {
		http2_stream_end(px, s, f->stream, true);
		return;
	}
	h->at = H2_AT_LAST;
	h->stream = f->stream;
	pass(px, dir, in, (uint64_t)n + pad - 1);
}

static void settings(struct http2 *s, enum dir dir, struct cursor *in, const struct http2_frame *f)
{
	struct cursor c = cur_sub(in, f->len);

	while (cur_more(&c)) {
		uint16_t id = cur_be16(&c);
		uint32_t v = cur_be32(&c);

		if (id == 1 && v > s->hpack.table[!dir])
			s->hpack.table[!dir] = v;
	}
}

/* HEADERS, PUSH_PROMISE, CONTINUATION: `in` is behind the head and what stands before the piece of the block. */
static enum parse piece(struct px *px, struct http2 *s, enum dir dir, const struct http2_frame *f, uint32_t promised, uint32_t n)
{
	struct http2_half *h = &s->half[dir];

	if (f->type != H2_CONTINUATION) {
		http2_block_begin(px, h, f->stream, promised, f->type == H2_HEADERS && f->flags & H2_END_STREAM);
		if (!h->blind && !http2_hpack_begin(&s->hpack, dir, !s->whole))
			return bad(px, "http2.header_memory");
	}
	h->block.pieces++;
	if (h->block.pieces > HTTP2_PIECES_MAX || n > HTTP2_BLOCK_MAX - h->block.bytes)
		return bad(px, "http2.header_list_too_long");
	h->block.bytes += n;
	h->left = n;
	h->flags = f->flags;
	h->at = H2_AT_BLOCK;
	return PARSE_DONE;
}

/* Bytes of a header block. */
static enum parse block(struct px *px, struct http2 *s, enum dir dir, struct cursor *in)
{
	struct http2_half *h = &s->half[dir];
	struct http2_at_hand at = { px, h };
	struct bytes b = cur_bytes(in, h->left < cur_left(in) ? h->left : cur_left(in));
	bool last;

	h->left -= (uint32_t)b.n;
	last = !h->left && h->flags & H2_END_HEADERS;
	if (!h->blind && (b.n || last) && !http2_hpack_feed(&s->hpack, dir, b, last, http2_block_field, &at)) {
		if (h->block.fields > HTTP2_FIELDS_MAX || h->block.said > HTTP2_BLOCK_MAX)
			return bad(px, "http2.header_list_too_long");
		if (s->whole)
			return bad(px, "http2.bad_header_block");
		h->blind = true;
	}
	if (h->left)
		return PARSE_DONE;
	if (last) {
		if (h->blind) {
			if (h->block.end_stream)
				http2_stream_end(px, s, h->block.stream, false);
			http2_block_drop(px, &h->block);
		} else {
			http2_block_end(px, s, dir);
		}
	}
	h->at = H2_AT_FRAME;
	pass(px, dir, in, h->pad);
	return PARSE_DONE;
}

/* Bytes of a DATA frame's payload that are wanted besides. */
static uint32_t body(struct http2 *s, enum dir dir, const struct http2_frame *f, uint8_t pad)
{
	const struct http2_stream *st = http2_stream_find(s, f->stream);
	uint32_t around = pad + (f->flags & H2_PADDED ? 1u : 0);

	return st && st->asks == (uint8_t)dir && around <= f->len ? http2_etcd_wanted(st, f->len - around) : 0;
}

/* Bytes of the payload that must be there before the frame is looked at. */
static uint32_t ahead(const struct http2_frame *f)
{
	uint32_t pre = f->flags & H2_PADDED ? 1 : 0;

	switch (f->type) {
	case H2_DATA:
		return pre;
	case H2_HEADERS:
		return pre + (f->flags & H2_WITH_PRIORITY ? 5 : 0);
	case H2_PUSH_PROMISE:
		return pre + 4;
	case H2_SETTINGS:
	case H2_RST_STREAM:
		return f->len;
	default:
		return 0;
	}
}

static enum parse frame(struct px *px, struct http2 *s, enum dir dir, struct cursor *in)
{
	struct http2_half *h = &s->half[dir];
	struct cursor c = *in;
	struct http2_frame f;
	uint32_t pre, promised = 0;

	if (!http2_frame_head(&c, &f))
		return more(px, HTTP2_HEAD);
	if (!http2_frame_valid(&f) || (h->block.open ? f.type != H2_CONTINUATION || f.stream != h->block.stream : f.type == H2_CONTINUATION && s->whole))
		return bad(px, "http2.bad_frame");
	pre = ahead(&f);
	if (cur_left(&c) < pre)
		return more(px, HTTP2_HEAD + pre);
	if (f.type == H2_DATA) {
		uint32_t n = pre + body(s, dir, &f, f.flags & H2_PADDED ? cur_peek(&c, 0) : 0);

		if (cur_left(&c) < n)
			return more(px, HTTP2_HEAD + n);
	}
	*in = c;
	h->pad = 0;
	if ((f.type == H2_DATA || f.type == H2_HEADERS || f.type == H2_PUSH_PROMISE) && f.flags & H2_PADDED)
		h->pad = cur_u8(in);
	if (h->pad > f.len - pre && f.type != H2_SETTINGS && f.type != H2_RST_STREAM)
		return bad(px, "http2.bad_frame");
	switch (f.type) {
	case H2_DATA:
		data(px, s, dir, in, &f, f.len - pre - h->pad, h->pad);
		return PARSE_DONE;
	case H2_PUSH_PROMISE:
		promised = cur_be32(in) & 0x7fffffffu;
		return piece(px, s, dir, &f, promised, f.len - pre - h->pad);
	case H2_HEADERS:
		if (f.flags & H2_WITH_PRIORITY)
			cur_skip(in, 5);
		return piece(px, s, dir, &f, 0, f.len - pre - h->pad);
	case H2_CONTINUATION:
		if (!h->block.open) {	/* the middle of a block whose beginning was not seen */
			h->blind = true;
			pass(px, dir, in, f.len);
			return PARSE_DONE;
		}
		return piece(px, s, dir, &f, 0, f.len);
	case H2_SETTINGS:
		settings(s, dir, in, &f);
		return PARSE_DONE;
	case H2_RST_STREAM:
		cur_skip(in, f.len);
		http2_stream_end(px, s, f.stream, false);
		return PARSE_DONE;
	default:
		pass(px, dir, in, f.len);
		return PARSE_DONE;
	}
}

/* The client begins with its preface, the server with SETTINGS; or their beginning was not seen. */
static enum parse first(struct px *px, struct http2 *s, enum dir dir, struct cursor *in)
{
	size_t n = cur_left(in) < HTTP2_PREFACE_LEN ? cur_left(in) : HTTP2_PREFACE_LEN;
	struct http2_half *h = &s->half[dir];
	struct cursor c = *in;
	struct http2_frame f;

	if (memcmp(in->pos, HTTP2_PREFACE, n) == 0) {
		if (n < HTTP2_PREFACE_LEN)
			return more(px, HTTP2_PREFACE_LEN);
		cur_skip(in, n);
		s->whole = true;
		h->at = H2_AT_FRAME;
		return PARSE_DONE;
	}
	if (!http2_frame_head(&c, &f))
		return more(px, HTTP2_HEAD);
	h->at = f.type == H2_SETTINGS && http2_frame_valid(&f) ? H2_AT_FRAME : H2_AT_LOST;
	return PARSE_DONE;
}

/* Byte by byte until frames stand there. */
static enum parse lost(struct http2_half *h, struct cursor *in)
{
	enum probe p = http2_frames(in);

	if (p == PROBE_MORE)
		return PARSE_MORE;
	if (p == PROBE_NO)
		cur_skip(in, 1);
	else
		h->at = H2_AT_FRAME;
	return PARSE_DONE;
}

/* ---- the interface ---- */

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct http2 *s = state;
	struct http2_half *h = &s->half[dir];
	enum parse p = PARSE_DONE;

	s->hpack.px = px;
	/* an empty piece of a block ends without a byte of its own */
	while (p == PARSE_DONE && (cur_more(in) || (h->at == H2_AT_BLOCK && !h->left))) {
		switch ((enum http2_at)h->at) {
		case H2_AT_FIRST:
			p = first(px, s, dir, in);
			break;
		case H2_AT_LOST:
			p = lost(h, in);
			break;
		case H2_AT_FRAME:
			p = frame(px, s, dir, in);
			break;
		case H2_AT_BLOCK:
			p = block(px, s, dir, in);
			break;
		case H2_AT_LAST:
			cur_skip(in, 1);
			h->at = H2_AT_FRAME;
			http2_stream_end(px, s, h->stream, true);
			break;
		}
	}
	if (h->block.open)
		px_unfinished(px, h->block.stream >> 1);
	return p;
}

static enum parse gap(struct px *px, void *state, enum dir dir, uint64_t len)
{
	struct http2 *s = state;
	struct http2_half *h = &s->half[dir];

	(void)len;
	s->hpack.px = px;
	s->whole = false;
	http2_block_drop(px, &h->block);
	http2_hpack_forget(&s->hpack, dir);
	h->blind = false;
	h->at = H2_AT_LOST;
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct http2 *s = state;

	s->hpack.px = px;
	http2_streams_end(px, s);
	for (int i = 0; i < 2; i++)
		http2_block_drop(px, &s->half[i].block);
	http2_hpack_free(&s->hpack);
}

static const uint16_t ports[] = { 50051, 2379, 0 };

const struct proto proto_http2 = {
	.name = "http2", .app = APP_HTTP2, .event = EV_HTTP, .l4 = PROTO_TCP, .ports = ports, .state_size = sizeof(struct http2),
	.probe = http2_probe, .parse = parse, .gap = gap, .end = end, .facts = http2_facts, .for_events = true,
};
