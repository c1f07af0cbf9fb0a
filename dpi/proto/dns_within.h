/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dns_within: DNS messages that another protocol carries (RFC 8484). */
#ifndef TQ_DPI_PROTO_DNS_WITHIN_H
#define TQ_DPI_PROTO_DNS_WITHIN_H

#include "dpi/proto.h"

/* A whole message: judged and told as dns does, as transaction tx. */
void dns_within(struct px *px, enum dir dir, uint32_t tx, struct cursor message);

#endif
