/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tls_facts: what is told of a TLS handshake; names and forms are Suricata's. */
#ifndef TQ_DPI_PROTO_TLS_FACTS_H
#define TQ_DPI_PROTO_TLS_FACTS_H

#include "dpi/record.h"
#include "dpi/tls_hello.h"

extern const struct fact *const tls_facts[];

void tls_put_sni(struct record *r, const struct tls_hello *h);			/* sni, where there is one */
void tls_put_prints(struct record *r, const struct tls_hello *h, char transport);	/* ja4, client_alpns, ja3 */
void tls_put_version(struct record *r, uint16_t version);			/* version */
void tls_put_answer(struct record *r, const struct tls_hello *h);		/* version, cipher, session_resumed where so */
void tls_put_answer_more(struct record *r, const struct tls_hello *h);		/* server_alpns, ja3s */
void tls_put_certificate(struct record *r, struct bytes der);	/* issuerdn, subject, serial, fingerprint, notbefore, notafter */
void tls_put_resumed(struct record *r);						/* session_resumed */
void tls_put_alert(struct record *r, uint8_t description);			/* alert */

#endif
