/* SPDX-License-Identifier: GPL-2.0-or-later */
/* x509: who a certificate is for and from whom, and how long it holds (RFC 5280, 4.1), from its DER bytes.
 *
 * Only the head of the certificate is read: up to the subject. No recursion, nothing is copied or verified. */
#ifndef TQ_DPI_X509_H
#define TQ_DPI_X509_H

#include "base/cursor.h"

#define X509_NAME_TEXT 2048u	/* bytes of a name's text, NUL included; longer ones are cut */
#define X509_TIME_TEXT 40u	/* "2024-01-01T00:00:00" */
#define X509_SERIAL_MAX 64u	/* bytes of a serial number that are told (RFC: 20) */

struct x509_time {
	uint8_t tag;		/* UTCTime 0x17, GeneralizedTime 0x18; 0: none */
	struct bytes text;
};

struct x509 {
	struct bytes serial;			/* content of the INTEGER */
	struct bytes issuer, subject;		/* content of the Name; an empty name is p != NULL, n 0 */
	struct x509_time not_before, not_after;
};

/* True when everything was found. Else what comes before the damage is filled in, the rest is {NULL,0}. */
bool x509_read(struct cursor der, struct x509 *out);

/* The name as "C=US, O=Example, CN=www.example", attributes in the order of the certificate, those of one RDN joined by
 * " + ", special characters escaped as in RFC 4514 (a NUL is \00). Returns the length without the NUL; SIZE_MAX when the
 * name is broken (out is then ""). *cut: it was longer. */
size_t x509_name_text(struct bytes name, char out[X509_NAME_TEXT], bool *cut);

/* "2024-01-01T00:00:00", UTC. False, and "", when it is no date that exists. */
bool x509_time_text(const struct x509_time *t, char out[X509_TIME_TEXT]);

#endif
