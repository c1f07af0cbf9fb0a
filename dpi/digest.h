/* SPDX-License-Identifier: GPL-2.0-or-later */
/* digest: MD5, SHA-1 and SHA-256 (nettle) fed piece by piece, and hexadecimal text of bytes. */
#ifndef TQ_DPI_DIGEST_H
#define TQ_DPI_DIGEST_H

#include <nettle/md5.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_MAX 32u	/* bytes of the longest */

enum digest_kind { DIGEST_MD5, DIGEST_SHA1, DIGEST_SHA256 };

struct digest {
	enum digest_kind kind;
	union {
		struct md5_ctx md5;
		struct sha1_ctx sha1;
		struct sha256_ctx sha256;
	} u;
};

void digest_init(struct digest *d, enum digest_kind kind);
void digest_add(struct digest *d, const void *p, size_t n);
size_t digest_end(struct digest *d, uint8_t out[DIGEST_MAX]);	/* bytes written: 16, 20 or 32 */

/* n bytes as lower case hex and a NUL: out holds 2 n + 1. */
void hex_text(char *out, const uint8_t *p, size_t n);
/* The same with `sep` between the bytes: out holds 3 n, at least 1. */
void hex_text_sep(char *out, const uint8_t *p, size_t n, char sep, bool upper);

#endif
