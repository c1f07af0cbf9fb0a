/* SPDX-License-Identifier: GPL-2.0-or-later */
/* http2_probe: what HTTP/2 looks like. The client's preface is enough. A server that speaks first begins with SETTINGS, of which every byte
 * is checked. Of a connection whose beginning was not seen, frames must stand behind each other:
 * three of the small ones, or HEADERS that begin as they should and another. */
#include "dpi/proto/http2_parts.h"

#define FRAME_USUAL 16384u	/* longest payload unless SETTINGS raise it */
#define SETTINGS_USUAL 16u
#define FRAMES_LOOK 8u		/* then they are no frames */

bool http2_frame_head(struct cursor *c, struct http2_frame *f)
{
	if (cur_left(c) < HTTP2_HEAD)
		return false;
	f->len = cur_be24(c);
	f->type = cur_u8(c);
	f->flags = cur_u8(c);
	f->stream = cur_be32(c) & 0x7fffffffu;
	return true;
}

bool http2_frame_valid(const struct http2_frame *f)
{
	uint32_t pre = (f->flags & H2_PADDED ? 1u : 0u) + (f->type == H2_HEADERS && f->flags & H2_WITH_PRIORITY ? 5u : 0u);

	switch (f->type) {
	case H2_DATA:
	case H2_HEADERS:
		return f->stream && f->len >= pre;
	case H2_PRIORITY:
		return f->stream && f->len == 5;
	case H2_RST_STREAM:
		return f->stream && f->len == 4;
	case H2_SETTINGS:
		return !f->stream && f->len % 6 == 0 && f->len <= FRAME_USUAL && (!(f->flags & H2_ACK) || !f->len);
	case H2_PUSH_PROMISE:
		return f->stream && f->len >= pre + 4;
	case H2_PING:
		return !f->stream && f->len == 8;
	case H2_GOAWAY:
		return !f->stream && f->len >= 8;
	case H2_WINDOW_UPDATE:
		return f->len == 4;
	case H2_CONTINUATION:
		return f->stream;
	default:
		return true;	/* extensions are passed over */
	}
}

/* A first SETTINGS frame with at least one setting, every value possible. */
static enum probe settings_first(const struct cursor *in)
{
	static const uint8_t head[] = { 4, 0, 0, 0, 0, 0 };
	struct cursor c = *in;
	uint32_t n;

	for (unsigned i = 0; i < 2 && i < cur_left(in); i++)
		if (cur_peek(in, i))
			return PROBE_NO;
	for (unsigned i = 0; i < sizeof(head) && i + 3 < cur_left(in); i++)
		if (cur_peek(in, i + 3) != head[i])
			return PROBE_NO;
	if (cur_left(in) < HTTP2_HEAD)
		return PROBE_MORE;
	n = cur_be24(&c);
	cur_skip(&c, sizeof(head));
	if (!n || n % 6 || n / 6 > SETTINGS_USUAL)
		return PROBE_NO;
	for (uint32_t i = 0; i < n / 6; i++) {
		uint16_t id;
		uint32_t v;

		if (cur_left(&c) < 6)
			return PROBE_MORE;
		id = cur_be16(&c);
		v = cur_be32(&c);
		if (!id || (id > 9 && id < 0x0a0a && id != 0x10) || (id == 2 && v > 1) || (id == 4 && v > 0x7fffffffu) || (id == 5 && (v < 16384 || v > 0xffffff)))
			return PROBE_NO;
	}
	return PROBE_YES;
}

/* A block begins with a pseudo field of the static table, by index or by name (RFC 7541 6, Appendix A). */
static bool pseudo_first(uint8_t b)
{
	return (b >= 0x81 && b <= 0x8e) || (b >= 0x41 && b <= 0x4e) || (b >= 0x01 && b <= 0x0e) || (b >= 0x11 && b <= 0x1e);
}

/* DATA that is one message of gRPC: a flag and its length. */
static bool grpc_message(const struct http2_frame *f, const struct cursor *payload)
{
	struct cursor c = *payload;

	return f->len > 5 && !(f->flags & H2_PADDED) && cur_left(&c) >= 5 && cur_u8(&c) <= 1 && cur_be32(&c) == f->len - 5;
}

/* How much one frame says: 0 for what many bytes would pass as. */
static unsigned weight(const struct http2_frame *f, const struct cursor *payload, uint32_t *stream)
{
	uint32_t pre = (f->flags & H2_PADDED ? 1u : 0u) + (f->flags & H2_WITH_PRIORITY ? 5u : 0u);

	switch (f->type) {
	case H2_DATA:
		return grpc_message(f, payload) ? 2 : f->stream == *stream;
	case H2_HEADERS:
		*stream = f->stream;
		return pseudo_first(cur_peek(payload, pre)) ? 2 : 1;
	default:
		return f->len <= cur_left(payload);
	}
}

/* Frames that a connection goes on with: strict about flags and the reserved bit. */
enum probe http2_frames(const struct cursor *in)
{
	static const uint8_t flags[] = { 0x9, 0x2d, 0, 0, 1, 0xc, 1, 0, 0, 4 };
	struct cursor c = *in;
	unsigned sum = 0, seen = 0;
	struct http2_frame f;
	uint32_t stream = UINT32_MAX;

	while (cur_left(&c) >= HTTP2_HEAD) {
		if (cur_peek(&c, 5) & 0x80)
			return PROBE_NO;
		http2_frame_head(&c, &f);
		if (f.type > H2_CONTINUATION || f.flags & ~(unsigned)flags[f.type] || f.len > FRAME_USUAL || !http2_frame_valid(&f))
			return PROBE_NO;
		sum += weight(&f, &c, &stream);
		if (++seen >= 2 && sum >= 3)
			return PROBE_YES;
		if (seen == FRAMES_LOOK)
			return PROBE_NO;
		if (f.len > cur_left(&c))
			return PROBE_MORE;
		cur_skip(&c, f.len);
	}
	return PROBE_MORE;
}

enum probe http2_probe(const struct probe_in *in)
{
	const struct cursor *up = &in->dir[DIR_TOSERVER], *down = &in->dir[DIR_TOCLIENT];
	size_t n = cur_left(up) < HTTP2_PREFACE_LEN ? cur_left(up) : HTTP2_PREFACE_LEN;
	enum probe a, b;

	if (n && memcmp(up->pos, HTTP2_PREFACE, n) == 0)
		return n == HTTP2_PREFACE_LEN ? PROBE_YES : PROBE_MORE;
	if (!in->midstream) {
		if (n)
			return PROBE_NO;
		return settings_first(down);
	}
	a = cur_left(up) ? http2_frames(up) : PROBE_MORE;
	b = cur_left(down) ? http2_frames(down) : PROBE_MORE;
	if (a == PROBE_NO || b == PROBE_NO)
		return PROBE_NO;
	return a == PROBE_YES || b == PROBE_YES ? PROBE_YES : PROBE_MORE;
}
