/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tls_probe: are these the first bytes of TLS? And the record layer's numbers (RFC 8446, 5.1). */
#ifndef TQ_DPI_PROTO_TLS_PROBE_H
#define TQ_DPI_PROTO_TLS_PROBE_H

#include "dpi/proto.h"

#define TLS_FRAGMENT_MAX (16384u + 2048u)	/* sealed ones may be longer than plain ones */
#define TLS_RECORD_HEADER 5u

enum tls_record { TLS_R_CCS = 20, TLS_R_ALERT = 21, TLS_R_HANDSHAKE = 22, TLS_R_DATA = 23, TLS_R_HEARTBEAT = 24 };

/* YES: a ClientHello (also SSLv2's) or a ServerHello begins one direction and nothing else the other; midstream also record
 * headers that fit together, or a record that ends where the bytes end. */
enum probe tls_probe(const struct probe_in *in);

#endif
