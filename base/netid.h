/* SPDX-License-Identifier: GPL-2.0-or-later */
/* netid: small facts that tc/ and nfq/ take as data and must not ask each other for. */
#ifndef TQ_BASE_NETID_H
#define TQ_BASE_NETID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

/* One application port to queue. all: every TCP and UDP port (then port and ipproto are 0). */
struct app_port {
	uint8_t ipproto;	/* IPPROTO_TCP or IPPROTO_UDP */
	uint16_t port;		/* host order, 1..65535 */
};

#define APP_PORTS_MAX 64

struct app_ports {
	bool all;
	uint8_t n;
	struct app_port port[APP_PORTS_MAX];
};

/* Member by member: between them are bytes that nobody wrote. */
static inline bool app_ports_equal(const struct app_ports *a, const struct app_ports *b)
{
	if (a->all != b->all || a->n != b->n)
		return false;
	for (unsigned i = 0; i < a->n; i++)
		if (a->port[i].port != b->port[i].port || a->port[i].ipproto != b->port[i].ipproto)
			return false;
	return true;
}

/* TCP connections that are denied whatever they carry: begun by, or to, `peer`, to one of these ports. */
struct tcp_fence {
	struct cidr peer;
	uint16_t lo, hi;	/* host order, inclusive */
};

enum app_side { SIDE_SERVER = 1, SIDE_CLIENT = 2, SIDE_BOTH = 3 };

#endif
