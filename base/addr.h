/* SPDX-License-Identifier: GPL-2.0-or-later */
/* addr: one form for IPv4 and IPv6 addresses, and prefixes over them.
 *
 * IPv4 is kept as its IPv4-mapped form (RFC 4291, 2.5.5.2), so comparing, hashing
 * and prefix matching need no family switch. */
#ifndef TQ_BASE_ADDR_H
#define TQ_BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct addr {
	uint8_t b[16];	/* network byte order; IPv4 as ::ffff:a.b.c.d */
};

#define ADDR_STRLEN 46

struct cidr {
	struct addr net;	/* host bits zero */
	uint8_t len;		/* 0..128; IPv4 prefixes are 96 + their length */
};

static inline struct addr addr_v4(const uint8_t b[4])
{
	struct addr a = { .b = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff } };

	memcpy(a.b + 12, b, 4);
	return a;
}

static inline struct addr addr_v6(const uint8_t b[16])
{
	struct addr a;

	memcpy(a.b, b, 16);
	return a;
}

static inline bool addr_is_v4(const struct addr *a)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	return memcmp(a->b, mapped, 12) == 0;
}

static inline int addr_cmp(const struct addr *a, const struct addr *b) { return memcmp(a->b, b->b, 16); }
static inline bool addr_eq(const struct addr *a, const struct addr *b) { return addr_cmp(a, b) == 0; }

bool addr_is_multicast(const struct addr *a);	/* 224/4, ff00::/8, and 255.255.255.255 */
bool addr_is_linklocal(const struct addr *a);	/* 169.254/16, fe80::/10 */
bool addr_is_loopback(const struct addr *a);	/* 127/8, ::1 */
bool addr_is_zero(const struct addr *a);	/* 0.0.0.0 or :: */

/* Text to address: dotted IPv4 or any IPv6 form. 0 or -EINVAL. */
int addr_parse(const char *text, struct addr *out);

/* Address to text (RFC 5952), NUL-terminated; returns buf. */
const char *addr_format(const struct addr *a, char buf[ADDR_STRLEN]);

/* "10.0.0.0/8", "fc00::/7", or a bare address (full length). -EINVAL also when host
 * bits are set, so that a typo is not silently widened. */
int cidr_parse(const char *text, struct cidr *out);
/* An IPv6 prefix shorter than 96 ("::/0") has no IPv4 address. */
bool cidr_has(const struct cidr *c, const struct addr *a);

#endif
