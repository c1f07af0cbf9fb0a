/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dns_names: what an answer says about names of addresses.
 *
 * Names are followed from the question on: A and AAAA records of it, or of the name that its CNAME records lead to, say that the
 * address has each of these names, for the shortest TTL between the name and the address. Records of other names, classes and
 * types than were asked for say nothing, nor do addresses in SVCB and HTTPS records: whoever goes by these asks for A and AAAA too. */
#ifndef TQ_DPI_PROTO_DNS_NAMES_H
#define TQ_DPI_PROTO_DNS_NAMES_H

#include "dpi/proto.h"
#include "dpi/proto/dns_msg.h"

/* A good answer: `question` at its only question, `records` behind it. asked: it answers a query of the end that sends in direction `asker`. */
void dns_names(struct px *, const struct dns_msg *, struct cursor question, struct cursor records, bool asked, enum dir asker);

#endif
