/* SPDX-License-Identifier: GPL-2.0-or-later */
/* postgresql_parts: what the parser and the probe share. */
#ifndef TQ_DPI_POSTGRESQL_PARTS_H
#define TQ_DPI_POSTGRESQL_PARTS_H

#include "dpi/message.h"
#include "dpi/sql.h"

#define PG_STARTUP_MAX 10000u	/* what servers take */
#define PG_MESSAGE_MAX 0x40000000u

enum pg_code { PG_VERSION_3 = 3, PG_CANCEL = 80877102, PG_SSL = 80877103, PG_GSSENC = 80877104 };

/* Types that a client (server) sends. */
bool pg_is_client_type(uint8_t type);
bool pg_is_server_type(uint8_t type);

/* Text up to a NUL, consumed with it. Without one: the rest, and *cut. */
struct bytes pg_string(struct cursor *c, bool *cut);

enum probe postgresql_probe(const struct probe_in *in);

#endif
