/* SPDX-License-Identifier: GPL-2.0-or-later */
/* learn_parts: what the files of learning share. learn.c: the table; learn_class.c: requests to classes; learn_path.c: the general form of
 * paths and names; learn_lines.c, learn_write.c: the policy file. */
#ifndef TQ_AGENT_LEARN_PARTS_H
#define TQ_AGENT_LEARN_PARTS_H

#include <pthread.h>

#include "agent/learn.h"
#include "base/hash.h"
#include "dpi/match.h"

#define LEARN_KEYS_MAX 4u	/* of a matcher that are learned */
#define LEARN_BUCKETS 4096u

/* ---- learn_path ---- */

#define LEARN_TEXT_MAX (MATCH_PATTERN_MAX + 1)

/* A pattern for one value, as a matcher takes it: bytes that no policy file carries and the signs of globs become "?". 1 to MATCH_PATTERN_MAX bytes. */
void learn_literal(struct bytes value, char out[LEARN_TEXT_MAX]);
/* A URL's path without its query: ids become "*" (numbers, UUIDs, hex, long random text), escapes too; what does not say itself (dot segments, empty
 * ones) is cut to its beginning. Both the path as sent and its resolved form hold. */
void learn_path(struct bytes url, char out[LEARN_TEXT_MAX]);
/* Parts between separators, ids become "*": topics ('/', '.'), names ('.'). */
void learn_parts(struct bytes value, char sep, char out[LEARN_TEXT_MAX]);
/* The first (last: from the end) `keep` parts and "*". In place. */
void learn_shorten(char *text, char sep, unsigned keep, bool last);
/* A workload's name as an end of a pair: the glob of its template, where it was made by one. True: a glob. */
bool learn_stem(const char *name, char *out, size_t size);
/* "db-0" as "db-*", for names that a number makes; false: it has none. */
bool learn_numbered(const char *name, char *out, size_t size);

/* ---- learn_class ---- */

/* What is learned of an application's requests. */
struct learn_matcher {
	enum app app;			/* the application that rules name */
	const char *matcher;
	struct learn_key { const char *key; uint32_t roles; enum learn_form { FORM_WORD, FORM_PATH, FORM_TOPIC, FORM_NAME, FORM_SUBJECT } form;
			   bool object;		/* folded when there are too many */
			   bool session;	/* goes with every request of a session: no rule refuses it for being there */
			   bool remote;		/* learned only of responders that are no workloads */
	} key[LEARN_KEYS_MAX];
	unsigned nkeys;
	bool once;			/* its keys are said at a connection's beginning, not by each request */
};

/* NULL: nothing is learned of it but its name. *app becomes the one that rules name: what carries it, where that is what is looked into. */
const struct learn_matcher *learn_matcher_of(enum app *app);

/* A class of requests: for each key of the matcher its values, sorted, one a line; NULL: the request does not say it. */
struct learn_class {
	struct learn_class *next;
	char *v[LEARN_KEYS_MAX];
	size_t size;
	char text[];
};

/* The class of a request's facts. NULL: they are not whole, or memory is short. */
struct learn_class *learn_classify(const struct learn_matcher *, const struct event *, bool remote);
/* Folds what objects it names to `level` (1, 2, 3: no more than two, one, none of their parts). */
struct learn_class *learn_fold(const struct learn_matcher *, const struct learn_class *, unsigned level);
bool learn_same_class(const struct learn_class *, const struct learn_class *);
int learn_cmp_class(const struct learn_class *, const struct learn_class *);
/* Both lists as one, sorted, each line once. malloc'd; NULL without memory. */
char *learn_join(const char *a, const char *b);

/* ---- the table ---- */

struct learn_pair {
	struct learn_pair *next;	/* of its bucket */
	char *name[2];			/* initiator, responder: a workload's, or the glob of its template; NULL: none of this node */
	bool dns;			/* name[1] is its DNS names, sorted, one a line */
	struct cidr net[2];		/* where name is NULL */
	uint16_t port, app;		/* port 0: whatever port (data of FTP, media); of an echo: none */
	uint8_t ipproto;
	uint8_t level;			/* how far its objects are folded; 0: not */
	bool loose;			/* its requests cannot be told by a rule */
	bool bare;			/* only connections without data so far */
	uint64_t n, open;		/* connections that were told; that are open just now and were not */
	int64_t first, last;		/* ns */
	struct learn_class *classes;
	unsigned nclasses;
};

struct learn {
	pthread_mutex_t lock;
	struct names *names;
	const struct fqdn_cache *fqdn;
	struct hash_key key;		/* who chooses names and ports must not choose their buckets */
	struct learn_pair *bucket[LEARN_BUCKETS];
	size_t bytes;
	struct learn_stats stats;
};

#endif
