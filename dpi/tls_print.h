/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tls_print: the fingerprints of hellos. JA3 and JA3S (Salesforce), JA4 (FoxIO, the client's part only).
 *
 *   JA3:  version,ciphers,extensions,groups,formats    decimal, joined by '-'; MD5 of it
 *   JA3S: version,cipher,extensions                    the same of the ServerHello
 *   JA4:  a_b_c with a = t|q|d, version, d|i (SNI), two digits of ciphers, two of extensions, first and last character of the
 *         first ALPN name; b = SHA-256 of the sorted ciphers; c = SHA-256 of the sorted extensions without SNI and ALPN, and
 *         after '_' the signature algorithms as sent; both in hex joined by ',', hashes cut to 12 digits, 000000000000 of nothing
 * GREASE values are left out everywhere, but for JA3S, where the chosen cipher is as it is. */
#ifndef TQ_DPI_TLS_PRINT_H
#define TQ_DPI_TLS_PRINT_H

#include "dpi/record.h"
#include "dpi/tls_hello.h"

#define TLS_JA4_LEN 36u

struct tls_ja3 {
	char hash[33];
	uint32_t n;				/* bytes of text; RECORD_STR_MAX + 1: it was longer */
	char text[RECORD_STR_MAX + 1];		/* no NUL; the hash is of all of it */
};

void tls_ja3(const struct tls_hello *h, struct tls_ja3 *out);	/* JA3S of a ServerHello */
/* transport: 't', 'q' or 'd'. Of a ClientHello. */
void tls_ja4(const struct tls_hello *h, char transport, char out[TLS_JA4_LEN + 1]);

#endif
