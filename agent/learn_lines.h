/* SPDX-License-Identifier: GPL-2.0-or-later */
/* learn_lines: what was learned, joined to as few lines as say the same; learn_write.c makes rules of them. Under the table's lock, which the classes
 * are borrowed under. */
#ifndef TQ_AGENT_LEARN_LINES_H
#define TQ_AGENT_LEARN_LINES_H

#include "agent/learn_parts.h"

struct learn_line {
	char *end[2];			/* a name or glob; addresses or DNS names, one a line */
	enum learn_end { END_WORKLOAD, END_DNS, END_ADDRESS } kind[2];
	char *ports;			/* as a rule has them, one a line */
	uint16_t app;
	bool bare, loose;
	uint64_t n;
	int64_t first, last;
	struct learn_class **class;	/* sorted; borrowed from the table */
	unsigned nclasses;
	char *sign;			/* of the classes; "" : none */
	bool gone;
};

struct learn_lines {
	struct learn *l;
	bool (*strangers)(void *ctx, const char *glob);		/* of struct learn_writing */
	void *ctx;
	struct learn_line *line;	/* sorted: by ends, application, ports */
	unsigned n;
	const char **name;		/* while they are made: each name of an end once, sorted */
	unsigned nnames;
	bool failed;
};

/* -ENOMEM or 0; to be freed in either case. */
int learn_lines(struct learn_lines *);
void learn_lines_free(struct learn_lines *);

#endif
