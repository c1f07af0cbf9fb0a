/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy_memo: what one core remembers of a policy's answers, so that what was worked out for one flow serves those alike.
 *
 * Ends. All that rules ask of an end is which of the groups that they name it is in, so ends in the same ones are one class. A class has the
 * union of the sets of its groups (policy_index.h), where there are more than UNITED_FEW of them and it is asked for again: an end in a thousand
 * groups costs as much as one in a few. At most MEMO_ENDS_MAX classes of both sides are kept, in MEMO_BYTES bytes; a new one takes the place of another, which
 * is counted.
 *
 * Answers. Without facts an answer hangs on the classes of both ends, on which prefixes of ports hold the responder's, and on what is
 * known of the application. MEMO_ANSWERS are kept, a new one where its hash says.
 *
 * Made when a core gets a policy, gone when it gets the next; nobody else touches it. */
#ifndef TQ_DPI_POLICY_MEMO_H
#define TQ_DPI_POLICY_MEMO_H

#include "dpi/policy.h"

#define MEMO_ENDS_MAX 2048u
#define MEMO_BYTES (4u << 20)
#define MEMO_ANSWERS 4096u
#define MEMO_WAYS 4u
#define UNITED_FEW 4u

struct memo_end {
	uint64_t id;		/* of the class, never used again; 0: free */
	uint16_t side;		/* SET_FROM or SET_TO, and 1 where names decide some of it */
	bool many, united;
	uint64_t hash;
	uint64_t rules;		/* in its sets, at most */
	uint64_t data[];	/* its groups, the sure ones; where it is united: of each chunk which words are not zero, then the words of each */
};

struct memo_key {
	uint64_t from, to;	/* ids of classes */
	uint32_t port[2], asked;
};

struct memo_answer {
	struct memo_key key;	/* from 0: free */
	struct policy_answer answer;
};

/* Which class the end is in; it stays until the next two are asked for. */
const struct memo_end *memo_end(const struct policy *, struct policy_memo *, uint32_t side, const struct group_set *in, const struct group_set *sure);
const uint64_t *memo_end_top(const struct policy *, const struct memo_end *);	/* of each chunk */
const uint64_t *memo_end_words(const struct policy *, const struct memo_end *);	/* INDEX_CHUNK_WORDS of each chunk */

/* Where the answer to a question without facts stands or may be put; *found: it is there. prefix: the longest of the index that hold the port, under any
 * protocol and under the question's. */
struct memo_answer *memo_answer(const struct policy *, struct policy_memo *, const struct policy_query *, const struct memo_end *const ends[2], const uint32_t prefix[2],
				bool *found);

#endif
