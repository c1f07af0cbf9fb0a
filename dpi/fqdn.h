/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fqdn: which groups name a DNS name. Patterns are gathered while a policy is built, sorted once, and then only read.
 *
 * A pattern is a name in ASCII, without regard to capital letters and a dot at its end; a star is any text, dots too, so that
 * `*.example.com` is every name below example.com at any depth and not example.com itself, and `*` every name. Names without a star
 * and those whose star is a whole first label are found by binary search, one for each label of the name at hand; others are
 * tried one by one, so there may be FQDN_GLOBS_MAX of them in a policy. */
#ifndef TQ_DPI_FQDN_H
#define TQ_DPI_FQDN_H

#include "dpi/policy.h"

#define FQDN_GLOBS_MAX 256u

struct fqdn_pattern {
	char *text;		/* clean; without the star where it stands for the first label ("" : any name) */
	uint16_t len, group;
	uint8_t kind;		/* enum fqdn_kind of fqdn.c */
	bool not;		/* under `not` of its group */
};

struct fqdn {			/* zeroed: none */
	struct fqdn_pattern *v;	/* by kind, then text */
	uint32_t n, size, nglobs;
	uint32_t first[4];	/* of each kind; the last: n */
};

/* -EINVAL: no pattern; -E2BIG: too many with a star elsewhere; -ENOMEM. Copies the text. */
int fqdn_add(struct fqdn *, const char *pattern, unsigned group, bool not);
void fqdn_sort(struct fqdn *);		/* when all are there */
void fqdn_free(struct fqdn *);		/* what it holds */

/* Adds the groups that name it to `in`, those that name it under `not` to `not`. The name is clean. */
void fqdn_mark(const struct fqdn *, struct bytes name, struct group_set *in, struct group_set *not);

#endif
