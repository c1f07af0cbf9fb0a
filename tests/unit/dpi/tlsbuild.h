/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tlsbuild: TLS messages put together byte by byte, for tests that say what no real client says. */
#ifndef TQ_TESTS_TLSBUILD_H
#define TQ_TESTS_TLSBUILD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct tlsbuf {
	size_t n;
	uint8_t b[140000];
};

static inline void tb_bytes(struct tlsbuf *t, const void *p, size_t n)
{
	if (n)
		memcpy(t->b + t->n, p, n);
	t->n += n;
}

static inline void tb_u8(struct tlsbuf *t, unsigned v) { t->b[t->n++] = (uint8_t)v; }
static inline void tb_u16(struct tlsbuf *t, unsigned v) { tb_u8(t, v >> 8); tb_u8(t, v); }
static inline void tb_u24(struct tlsbuf *t, unsigned v) { tb_u8(t, v >> 16); tb_u16(t, v); }
static inline void tb_fill(struct tlsbuf *t, unsigned v, size_t n) { memset(t->b + t->n, (int)v, n); t->n += n; }

/* A length of `width` bytes is left open here and filled in when what it counts is complete. */
static inline size_t tb_open(struct tlsbuf *t, unsigned width) { t->n += width; return t->n; }
static inline void tb_close(struct tlsbuf *t, size_t mark, unsigned width)
{
	size_t len = t->n - mark;

	for (unsigned i = 1; i <= width; i++, len >>= 8)
		t->b[mark - i] = (uint8_t)len;
}

static inline void tb_ext(struct tlsbuf *t, unsigned type, const void *p, size_t n)
{
	tb_u16(t, type);
	tb_u16(t, (unsigned)n);
	tb_bytes(t, p, n);
}

/* An extension that is a list of 16-bit numbers after a length of `width` bytes. */
static inline void tb_ext_list(struct tlsbuf *t, unsigned type, unsigned width, const uint16_t *v, size_t n)
{
	tb_u16(t, type);
	tb_u16(t, (unsigned)(width + 2 * n));
	if (width == 1)
		tb_u8(t, (unsigned)(2 * n));
	else
		tb_u16(t, (unsigned)(2 * n));
	for (size_t i = 0; i < n; i++)
		tb_u16(t, v[i]);
}

static inline void tb_ext_sni(struct tlsbuf *t, const void *name, size_t n)
{
	tb_u16(t, 0);
	tb_u16(t, (unsigned)n + 5);
	tb_u16(t, (unsigned)n + 3);
	tb_u8(t, 0);
	tb_u16(t, (unsigned)n);
	tb_bytes(t, name, n);
}

static inline void tb_ext_alpn(struct tlsbuf *t, const void *name, size_t n)
{
	tb_u16(t, 16);
	tb_u16(t, (unsigned)n + 3);
	tb_u16(t, (unsigned)n + 1);
	tb_u8(t, (unsigned)n);
	tb_bytes(t, name, n);
}

/* A ClientHello's body up to its extensions, and the open length of these. */
static inline size_t tb_client(struct tlsbuf *t, unsigned version, const uint16_t *ciphers, size_t n)
{
	t->n = 0;
	tb_u16(t, version);
	tb_fill(t, 0x5a, 32);
	tb_u8(t, 0);
	tb_u16(t, (unsigned)(2 * n));
	for (size_t i = 0; i < n; i++)
		tb_u16(t, ciphers[i]);
	tb_u16(t, 0x0100);
	return tb_open(t, 2);
}

static inline size_t tb_server(struct tlsbuf *t, unsigned version, unsigned cipher)
{
	t->n = 0;
	tb_u16(t, version);
	tb_fill(t, 0xa5, 32);
	tb_u8(t, 0);
	tb_u16(t, cipher);
	tb_u8(t, 0);
	return tb_open(t, 2);
}

/* Handshake message `type` with that body, appended to out; then records of at most `size` bytes around them. */
static inline void tb_message(struct tlsbuf *out, unsigned type, const struct tlsbuf *body)
{
	tb_u8(out, type);
	tb_u24(out, (unsigned)body->n);
	tb_bytes(out, body->b, body->n);
}

static inline void tb_records(struct tlsbuf *out, unsigned version, const struct tlsbuf *messages, size_t size)
{
	for (size_t at = 0, n; at < messages->n; at += n) {
		n = messages->n - at < size ? messages->n - at : size;
		tb_u8(out, 22);
		tb_u16(out, version);
		tb_u16(out, (unsigned)n);
		tb_bytes(out, messages->b + at, n);
	}
}

#endif
