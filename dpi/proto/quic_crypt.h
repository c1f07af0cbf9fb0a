/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quic_crypt: opens the client's Initial packets (RFC 9001 5, RFC 9369 3.3). Their keys come from the connection id on the wire: they keep
 * nothing secret, but tell whether a packet is one. */
#ifndef TQ_DPI_PROTO_QUIC_CRYPT_H
#define TQ_DPI_PROTO_QUIC_CRYPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cursor.h"

#define QUIC_CID_MAX 20u
#define QUIC_TAG 16u

enum quic_salt { QUIC_SALT_NONE, QUIC_SALT_23, QUIC_SALT_29, QUIC_SALT_1, QUIC_SALT_2 };

/* Which one goes with the version; NONE: not a version whose Initial can be opened. */
enum quic_salt quic_salt_of(uint32_t version);
/* Opens in place: packet is header, packet number and sealed payload, n bytes; pn_at: where the packet number begins. payload: a view of
 * what was sealed. False: not sealed with these keys. */
bool quic_open(enum quic_salt salt, struct bytes cid, uint8_t *packet, size_t n, size_t pn_at, struct bytes *payload);

#endif
