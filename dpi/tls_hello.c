/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tls_hello: reads the two hellos.
 *
 *   client: version(2) random(32) session<1> [dtls: cookie<1>] ciphers<2> compressions<1> [extensions<2>]
 *   server: version(2) random(32) session<1> cipher(2) compression(1) [extensions<2>]
 *   <n>: a vector after a length of n bytes. SSLv3 and some TLS 1.0 hellos end without extensions.
 *
 * Bytes after the extensions are not ours to judge: they are left. */
#include "dpi/tls_hello.h"

#include <string.h>

/* SHA-256 of "HelloRetryRequest", which a ServerHello carries as its random when it is one (RFC 8446, 4.1.3) */
static const uint8_t retry_random[32] = {
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
};

bool tls_list_next(struct cursor *list, uint16_t *v)
{
	if (cur_left(list) < 2)
		return false;
	*v = cur_be16(list);
	return cur_ok(list);
}

bool tls_alpn_next(struct cursor *list, struct bytes *name)
{
	if (!cur_left(list))
		return false;
	*name = cur_bytes(list, cur_u8(list));
	return cur_ok(list);
}

bool tls_ext_next(struct cursor *list, uint16_t *type, struct cursor *body)
{
	if (cur_left(list) < 4)
		return false;
	*type = cur_be16(list);
	*body = cur_sub(list, cur_be16(list));
	return cur_ok(list);
}

/* ServerNameList: length(2) { type(1) name<2> }...; only type 0, host_name, was ever defined (RFC 6066, 3). */
static bool ext_sni(struct cursor c, struct tls_hello *h)
{
	struct cursor list;

	h->has_sni = true;
	if (h->server)
		return true;	/* the server's is empty: it used the name */
	list = cur_sub(&c, cur_be16(&c));
	while (cur_more(&list)) {
		uint8_t type = cur_u8(&list);
		struct bytes name = cur_bytes(&list, cur_be16(&list));

		if (cur_ok(&list) && type == 0 && !h->sni.p) {
			h->sni = name;
			break;
		}
	}
	return cur_ok(&c) && cur_ok(&list) && h->sni.n;
}

static bool ext_alpn(struct cursor c, struct tls_hello *h)
{
	struct cursor list = cur_sub(&c, cur_be16(&c)), walk = list;
	struct bytes name;

	h->has_alpn = true;
	if (!cur_ok(&list))
		return false;
	while (tls_alpn_next(&walk, &name))
		;
	h->alpn = (struct bytes){ list.start, cur_used(&walk) };
	return cur_ok(&walk);
}

/* A vector of numbers after a length of one or two bytes. An odd byte at its end is left out. */
static bool ext_list(struct cursor *c, unsigned len_bytes, struct bytes *out)
{
	struct bytes b = cur_bytes(c, len_bytes == 1 ? cur_u8(c) : cur_be16(c));

	*out = (struct bytes){ b.p, b.n & ~(size_t)1 };
	return cur_ok(c) && b.n % 2 == 0;
}

/* Which of the offered versions is newer; 0: none of this protocol. Drafts of TLS 1.3 (0x7f..) lie before it; DTLS counts down. */
static unsigned version_rank(uint16_t v, uint16_t legacy)
{
	if (legacy >> 8 == 0xfe)
		return v >> 8 == 0xfe ? 0x100u - (v & 0xff) : 0;
	if (v >> 8 == 0x7f)
		return TLS_1_2 * 0x100u + (v & 0xff);
	return v >> 8 == 3 ? v * 0x100u : 0;
}

static bool ext_versions(struct cursor c, struct tls_hello *h)
{
	struct cursor list;
	uint16_t v, best = 0;
	bool ok;

	if (h->server) {
		v = cur_be16(&c);
		if (cur_ok(&c))
			h->version = v;
		return cur_ok(&c);
	}
	ok = ext_list(&c, 1, &h->versions);
	list = tls_cursor(h->versions);
	while (tls_list_next(&list, &v))
		if (version_rank(v, h->legacy_version) > version_rank(best, h->legacy_version))
			best = v;
	if (best)
		h->version = best;
	return ok;
}

static bool ext_read(uint16_t type, struct cursor body, struct tls_hello *h)
{
	switch (type) {
	case TLS_EXT_SNI:
		return h->has_sni || ext_sni(body, h);
	case TLS_EXT_ALPN:
		return h->has_alpn || ext_alpn(body, h);
	case TLS_EXT_GROUPS:
		return h->server || h->groups.p || ext_list(&body, 2, &h->groups);
	case TLS_EXT_SIGALGS:
		return h->server || h->sigalgs.p || ext_list(&body, 2, &h->sigalgs);
	case TLS_EXT_FORMATS:
		if (!h->formats.p)
			h->formats = cur_bytes(&body, cur_u8(&body));
		return cur_ok(&body);
	case TLS_EXT_VERSIONS:
		return h->versions.p || ext_versions(body, h);
	case TLS_EXT_PSK:
		h->psk = true;
		return true;
	case TLS_EXT_EARLY_DATA:
		h->early_data = true;
		return true;
	default:
		return true;
	}
}

static bool extensions(struct cursor *c, struct tls_hello *h)
{
	struct cursor list, body;
	uint16_t type;

	if (!cur_left(c))
		return true;
	list = cur_sub(c, cur_be16(c));
	if (!cur_ok(c))
		return false;
	while (tls_ext_next(&list, &type, &body))
		if (!ext_read(type, body, h))
			h->odd = true;
	/* an extension that claims more than there is makes the hello a lie */
	if (!cur_ok(&list) || cur_left(&list))
		return false;
	h->extensions = (struct bytes){ list.start, cur_used(&list) };
	return true;
}

static bool version_known(uint16_t v, bool dtls) { return dtls ? v >> 8 == 0xfe || v == 0x0100 : v >> 8 == 3; }

bool tls_client_hello(struct cursor c, bool dtls, struct tls_hello *out)
{
	struct bytes compressions;

	*out = (struct tls_hello){ .legacy_version = cur_be16(&c) };
	out->version = out->legacy_version;
	out->random = cur_bytes(&c, 32);
	out->session = cur_bytes(&c, cur_u8(&c));
	if (dtls)
		cur_bytes(&c, cur_u8(&c));
	out->ciphers = cur_bytes(&c, cur_be16(&c));
	compressions = cur_bytes(&c, cur_u8(&c));
	if (!cur_ok(&c) || !version_known(out->legacy_version, dtls) || out->session.n > 32 || out->ciphers.n % 2 || !out->ciphers.n ||
	    !compressions.n)
		return false;
	return extensions(&c, out);
}

bool tls_server_hello(struct cursor c, struct tls_hello *out)
{
	*out = (struct tls_hello){ .server = true, .legacy_version = cur_be16(&c) };
	out->version = out->legacy_version;
	out->random = cur_bytes(&c, 32);
	/* drafts of TLS 1.3 before the 22nd: no session, no compression */
	if (out->legacy_version >> 8 != 0x7f)
		out->session = cur_bytes(&c, cur_u8(&c));
	out->cipher = cur_be16(&c);
	if (out->legacy_version >> 8 != 0x7f)
		cur_u8(&c);
	if (!cur_ok(&c) || out->session.n > 32)
		return false;
	if (!version_known(out->legacy_version, false) && !version_known(out->legacy_version, true) && out->legacy_version >> 8 != 0x7f)
		return false;
	out->retry = memcmp(out->random.p, retry_random, sizeof(retry_random)) == 0;
	return extensions(&c, out);
}

/* type(1) = 1, version(2), lengths(2) of ciphers, session, challenge, then these three */
bool tls_v2_client_hello(struct cursor c, struct tls_hello *out)
{
	uint16_t ciphers, session, challenge;

	if (cur_u8(&c) != TLS_CLIENT_HELLO)
		return false;
	*out = (struct tls_hello){ .legacy_version = cur_be16(&c) };
	out->version = out->legacy_version;
	ciphers = cur_be16(&c);
	session = cur_be16(&c);
	challenge = cur_be16(&c);
	cur_skip(&c, ciphers);
	out->session = cur_bytes(&c, session);
	out->random = cur_bytes(&c, challenge);
	return cur_ok(&c) && !cur_left(&c) && (out->version == TLS_SSL2 || out->version >> 8 == 3) && ciphers && ciphers % 3 == 0 &&
		(session == 0 || session == 16 || session == 32) && challenge >= 16 && challenge <= 32;
}
