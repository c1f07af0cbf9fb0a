/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tls_hello: ClientHello and ServerHello (RFC 8446 4.1, RFC 5246 7.4.1, RFC 6101), read for TLS, DTLS and QUIC.
 *
 * A hello is read into views of its own bytes: nothing is copied, so it lives as long as they do. Lists stay as they are on
 * the wire, big-endian 16-bit numbers, and are read by tls_list_next. What is inside an extension is best effort: one that
 * contradicts itself gives nothing and is marked, the hello stays good. Of extensions given twice the first counts. */
#ifndef TQ_DPI_TLS_HELLO_H
#define TQ_DPI_TLS_HELLO_H

#include "base/cursor.h"

enum {
	TLS_SSL2 = 0x0002, TLS_SSL3 = 0x0300, TLS_1_0 = 0x0301, TLS_1_1 = 0x0302, TLS_1_2 = 0x0303, TLS_1_3 = 0x0304,
	TLS_DTLS_1_0 = 0xfeff, TLS_DTLS_1_2 = 0xfefd, TLS_DTLS_1_3 = 0xfefc
};

enum { TLS_HELLO_REQUEST = 0, TLS_CLIENT_HELLO = 1, TLS_SERVER_HELLO = 2, TLS_NEW_TICKET = 4, TLS_CERTIFICATE = 11,
       TLS_SERVER_KEY = 12, TLS_SERVER_DONE = 14 };

enum { TLS_EXT_SNI = 0, TLS_EXT_GROUPS = 10, TLS_EXT_FORMATS = 11, TLS_EXT_SIGALGS = 13, TLS_EXT_ALPN = 16,
       TLS_EXT_PSK = 41, TLS_EXT_EARLY_DATA = 42, TLS_EXT_VERSIONS = 43, TLS_EXT_QUIC = 57 };

struct tls_hello {
	uint16_t legacy_version;	/* as in the field of that name */
	uint16_t version;		/* client: highest one offered; server: the one chosen (supported_versions counts) */
	uint16_t cipher;		/* server: chosen */
	bool server;
	bool retry;			/* server: a HelloRetryRequest */
	bool psk;			/* pre_shared_key is there */
	bool early_data;
	bool has_sni, has_alpn;		/* the extension is there, whatever is in it */
	bool odd;			/* an extension contradicted itself */
	struct bytes random, session;
	struct bytes ciphers;		/* client: list of numbers */
	struct bytes extensions;	/* type(2) length(2) body, one after the other */
	struct bytes sni;		/* first host_name; {NULL,0}: none */
	struct bytes alpn;		/* names, each after its length byte */
	struct bytes groups, sigalgs, versions;	/* lists of numbers */
	struct bytes formats;		/* list of bytes */
};

/* c: the body of the message, without its handshake header. False: not a hello. dtls: there is a cookie field. */
bool tls_client_hello(struct cursor c, bool dtls, struct tls_hello *out);
bool tls_server_hello(struct cursor c, struct tls_hello *out);
/* SSLv2's CLIENT-HELLO from its message type on (after the two length bytes), as clients sent that could speak SSLv3 and TLS
 * too (RFC 5246, E.2). ciphers is left empty (three bytes each). False: not one. */
bool tls_v2_client_hello(struct cursor c, struct tls_hello *out);

/* Next number of a list. False at its end. */
bool tls_list_next(struct cursor *list, uint16_t *v);
/* Next name of an ALPN list. False at its end. */
bool tls_alpn_next(struct cursor *list, struct bytes *name);
/* Next extension of `extensions`. False at the end. */
bool tls_ext_next(struct cursor *list, uint16_t *type, struct cursor *body);
static inline struct cursor tls_cursor(struct bytes b) { return cur_of(b.p, b.n); }

/* RFC 8701: 0x0a0a, 0x1a1a, ... 0xfafa. */
static inline bool tls_is_grease(uint16_t v) { return (v & 0x0f0f) == 0x0a0a && v >> 8 == (v & 0xff); }

#define TLS_NAME_MAX 16u	/* "TLS 1.3", or 0x and four digits */
const char *tls_version_name(uint16_t version, char buf[TLS_NAME_MAX]);	/* "SSLv2", "SSLv3", "TLSv1", "TLS 1.1", ... "DTLS 1.2" */
const char *tls_cipher_name(uint16_t cipher, char buf[TLS_NAME_MAX]);	/* IANA's name, else "0x1234" */
const char *tls_alert_name(uint8_t description, char buf[TLS_NAME_MAX]);	/* "handshake_failure", else the number */

#endif
