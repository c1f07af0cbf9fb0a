/* SPDX-License-Identifier: GPL-2.0-or-later */
/* prefix_map: which of many prefixes of 128 bits hold a key? Built once, then only read.
 *
 * The prefixes cut the key space into intervals; in each, one prefix is the longest, and all others that hold are its ancestors. A search
 * is a binary one over the intervals' beginnings, then a walk up: O(log n + prefixes that hold). */
#ifndef TQ_DPI_PREFIX_MAP_H
#define TQ_DPI_PREFIX_MAP_H

#include "base/addr.h"

#define PREFIX_NONE UINT32_MAX

struct prefix_key {
	uint64_t hi, lo;
};

struct prefix {
	struct prefix_key key;	/* bits behind len are zero */
	uint8_t len;		/* 0..128 */
};

struct prefix_map {
	uint32_t n, nbounds;
	struct prefix *prefix;		/* by key, then length; a prefix's number is its place */
	uint32_t *parent;		/* the longest of the shorter ones that hold it, or PREFIX_NONE */
	struct prefix_key *bound;	/* ascending */
	uint32_t *at;			/* the longest prefix from that bound up to the next, or PREFIX_NONE */
};

struct prefix_key prefix_key_of(const struct addr *);
int prefix_cmp(const struct prefix *, const struct prefix *);

/* Sorts the n prefixes and takes them (malloc'd, NULL when n is 0); those that are there twice become one. False: no memory, and what
 * was taken goes with prefix_map_free. */
bool prefix_map_build(struct prefix_map *, struct prefix *, uint32_t n);
void prefix_map_free(struct prefix_map *);
/* The longest prefix that holds the key, or PREFIX_NONE; the others are its parents. */
uint32_t prefix_map_find(const struct prefix_map *, struct prefix_key);
/* The number of a prefix that is in the map. */
uint32_t prefix_map_number(const struct prefix_map *, const struct prefix *);

#endif
