/* SPDX-License-Identifier: GPL-2.0-or-later */
/* http2_hpack: see http2_hpack.h. */
#include "dpi/proto/http2_hpack.h"

#include "base/mem.h"

/* ---- memory: the pool wants the size back, the library does not tell it ---- */

struct piece {
	size_t n;
} __attribute__((aligned(16)));

static void *piece_new(size_t n, void *user)
{
	struct http2_hpack *k = user;
	struct piece *p;

	if (n > MEM_PIECE_MAX - sizeof(*p) || n + sizeof(*p) > HTTP2_HPACK_MEM - k->used)
		return NULL;
	p = px_alloc(k->px, n + sizeof(*p));
	if (!p)
		return NULL;
	p->n = n + sizeof(*p);
	k->used += p->n;
	return p + 1;
}

static void piece_free(void *ptr, void *user)
{
	struct http2_hpack *k = user;
	struct piece *p = ptr;

	if (!p)
		return;
	p--;
	k->used -= p->n;
	px_release(k->px, p, p->n);
}

static void *pieces_new(size_t count, size_t n, void *user)
{
	return n && count > SIZE_MAX / n ? NULL : piece_new(count * n, user);
}

static void *piece_grow(void *ptr, size_t n, void *user)
{
	const struct piece *was = ptr;
	void *grown = piece_new(n, user);
	size_t old;

	if (!grown || !ptr)
		return grown;
	old = (was - 1)->n - sizeof(*was);
	memcpy(grown, ptr, old < n ? old : n);
	piece_free(ptr, user);
	return grown;
}

/* ---- blocks ---- */

static bool ignore(void *ctx, struct bytes name, struct bytes value)
{
	(void)ctx;
	(void)name;
	(void)value;
	return true;
}

/* Fields without a meaning in place of those that were sent before we looked. Entries are counted from the newest, so what comes
 * now is found at its place; what came before is found empty. */
static bool fill(struct http2_hpack *k, enum dir dir)
{
	static const uint8_t filler[] = { 0x40, 1, '?', 0 };	/* literal, to be kept: 33 bytes as they are counted */

	for (unsigned i = 0; i < HTTP2_TABLE_DEFAULT / 33; i++)
		if (!http2_hpack_feed(k, dir, (struct bytes){ filler, sizeof(filler) }, true, ignore, NULL))
			return false;
	return true;
}

bool http2_hpack_begin(struct http2_hpack *k, enum dir dir, bool late)
{
	uint32_t size = k->table[dir] > HTTP2_TABLE_MAX ? HTTP2_TABLE_MAX : k->table[dir];

	k->mem = (nghttp2_mem){ .mem_user_data = k, .malloc = piece_new, .free = piece_free, .calloc = pieces_new, .realloc = piece_grow };
	if (!k->hd[dir]) {
		if (nghttp2_hd_inflate_new2(&k->hd[dir], &k->mem)) {
			k->hd[dir] = NULL;
			return false;
		}
		k->table_now[dir] = HTTP2_TABLE_DEFAULT;
		if (late && !fill(k, dir))
			return false;
	}
	/* Only ever larger: a smaller table is announced inside the block, and when it must be is the peers' affair. */
	if (size > k->table_now[dir]) {
		if (nghttp2_hd_inflate_change_table_size(k->hd[dir], size))
			return false;
		k->table_now[dir] = size;
	}
	return true;
}

bool http2_hpack_feed(struct http2_hpack *k, enum dir dir, struct bytes b, bool last, http2_field *field, void *ctx)
{
	static const uint8_t none;
	struct cursor c = cur_of(b.n ? b.p : &none, b.n);

	for (;;) {
		int flags = 0;
		nghttp2_nv nv;
		ssize_t n = nghttp2_hd_inflate_hd2(k->hd[dir], &nv, &flags, c.pos, cur_left(&c), last);

		if (n < 0)
			return false;
		cur_skip(&c, (size_t)n);
		if (flags & NGHTTP2_HD_INFLATE_EMIT && !field(ctx, (struct bytes){ nv.name, nv.namelen }, (struct bytes){ nv.value, nv.valuelen }))
			return false;
		if (flags & NGHTTP2_HD_INFLATE_FINAL) {
			nghttp2_hd_inflate_end_headers(k->hd[dir]);
			return true;
		}
		if (!(flags & NGHTTP2_HD_INFLATE_EMIT) && !cur_left(&c))
			return !last;
	}
}

void http2_hpack_forget(struct http2_hpack *k, enum dir dir)
{
	if (k->hd[dir])
		nghttp2_hd_inflate_del(k->hd[dir]);
	k->hd[dir] = NULL;
}

void http2_hpack_free(struct http2_hpack *k)
{
	http2_hpack_forget(k, DIR_TOSERVER);
	http2_hpack_forget(k, DIR_TOCLIENT);
}
