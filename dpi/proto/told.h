/* SPDX-License-Identifier: GPL-2.0-or-later */
/* told: how protocols put into records what is no plain text or number: names of codes, addresses, UTF-16, hex. */
#ifndef TQ_DPI_PROTO_TOLD_H
#define TQ_DPI_PROTO_TOLD_H

#include "dpi/proto.h"

#define TOLD_HEX_MAX 64u	/* bytes told in hexadecimal; more are cut */

struct code {		/* a number's name; tables end with { 0, NULL } */
	uint32_t v;
	const char *name;
};

const char *code_name(const struct code *table, uint32_t v);	/* NULL: it has none */
/* The name, or the number as text. */
void told_code(struct record *, const struct fact *, const struct code *table, uint32_t v);
void told_hex(struct record *, const struct fact *, struct bytes);
void told_mac(struct record *, const struct fact *, struct bytes six);
void told_ip4(struct record *, const struct fact *, struct cursor *);	/* 4 bytes, consumed */
void told_ip6(struct record *, const struct fact *, struct cursor *);	/* 16 bytes, consumed */
/* Little endian UTF-16 as UTF-8; the first NUL ends it; half of a pair becomes U+FFFD. */
void told_utf16(struct record *, const struct fact *, struct bytes);
/* As told_utf16, into out (room bytes, no NUL at the end); returns how many. */
size_t utf16_text(struct bytes, char *out, size_t room);
/* A Windows GUID's text: 36 characters and NUL from 16 bytes, the first three parts little endian where le. */
void guid_text(const uint8_t b[16], bool le, char out[37]);
/* b without what follows (and with) the first NUL. */
struct bytes up_to_nul(struct bytes b);
/* All of b is printable ASCII (and n > 0). */
bool is_printable(struct bytes b);
bool bytes_are(struct bytes b, const char *lit);

/* A record whose only fact is to be told at once: judged when the initiator said it. */
static inline void say(struct px *px, enum dir dir, enum event_type type, uint32_t tx, const struct record *r)
{
	if (dir == DIR_TOSERVER)
		px_judge(px, r);
	px_emit(px, type, tx, r);
}

#endif
