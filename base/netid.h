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

/* What is denied whatever it carries and whoever began, as a list: the first that holds a packet between the workload and its peer says whether it passes.
 * Of a protocol and family one after the other; what none holds passes. */
struct fence {
	struct cidr peer;
	uint8_t ipproto;	/* TCP: what begins a connection; UDP; ICMP and ICMPv6: echo requests */
	bool pass;
	uint16_t lo, hi;	/* destination ports, host order, inclusive; of an echo 0 to 65535 */
	uint16_t from_lo, from_hi;	/* UDP's source ports; of others 0 to 65535 */
};

/* The largest block of ports that begins at lo and ends within hi, and that one value and mask say: its size, a power of two. */
static inline uint32_t port_block(uint32_t lo, uint32_t hi)
{
	uint32_t size = lo ? lo & -lo : 0x10000;

	while (lo + size - 1 > hi)
		size /= 2;
	return size;
}

static inline unsigned port_blocks(uint32_t lo, uint32_t hi)
{
	unsigned n = 0;

	for (; lo <= hi; lo += port_block(lo, hi))
		n++;
	return n;
}

enum app_side { SIDE_SERVER = 1, SIDE_CLIENT = 2, SIDE_BOTH = 3 };

#endif
