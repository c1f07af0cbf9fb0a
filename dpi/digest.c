/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/digest.h"

void digest_init(struct digest *d, enum digest_kind kind)
{
	d->kind = kind;
	switch (kind) {
	case DIGEST_MD5: md5_init(&d->u.md5); break;
	case DIGEST_SHA1: sha1_init(&d->u.sha1); break;
	case DIGEST_SHA256: sha256_init(&d->u.sha256); break;
	}
}

void digest_add(struct digest *d, const void *p, size_t n)
{
	if (!n)
		return;
	switch (d->kind) {
	case DIGEST_MD5: md5_update(&d->u.md5, n, p); break;
	case DIGEST_SHA1: sha1_update(&d->u.sha1, n, p); break;
	case DIGEST_SHA256: sha256_update(&d->u.sha256, n, p); break;
	}
}

size_t digest_end(struct digest *d, uint8_t out[DIGEST_MAX])
{
	switch (d->kind) {
	case DIGEST_MD5:
		md5_digest(&d->u.md5, MD5_DIGEST_SIZE, out);
		return MD5_DIGEST_SIZE;
	case DIGEST_SHA1:
		sha1_digest(&d->u.sha1, SHA1_DIGEST_SIZE, out);
		return SHA1_DIGEST_SIZE;
	case DIGEST_SHA256:
		sha256_digest(&d->u.sha256, SHA256_DIGEST_SIZE, out);
		return SHA256_DIGEST_SIZE;
	}
	return 0;
}

static char *hex_byte(char *out, uint8_t b, bool upper)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";

	*out++ = digits[b >> 4];
	*out++ = digits[b & 15];
	return out;
}

void hex_text(char *out, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out = hex_byte(out, p[i], false);
	*out = 0;
}

void hex_text_sep(char *out, const uint8_t *p, size_t n, char sep, bool upper)
{
	for (size_t i = 0; i < n; i++) {
		if (i)
			*out++ = sep;
		out = hex_byte(out, p[i], upper);
	}
	*out = 0;
}
