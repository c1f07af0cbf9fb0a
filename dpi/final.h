/* SPDX-License-Identifier: GPL-2.0-or-later */
/* final: may the rest of a flow go by without being looked at? Pure.
 *
 * The safe answer is no: whatever is not known to be done with needs the bytes. A flow whose bytes nobody parses any more (FEED_OFF: the
 * handshake of TLS, SSH or QUIC is over, or its app is given up) is done with; one whose protocol goes on only if that protocol says that it
 * reads on for its own events and for rules about single requests alone (proto.h, for_events), and neither is wanted. */
#ifndef TQ_DPI_FINAL_H
#define TQ_DPI_FINAL_H

#include <stdbool.h>

#include "base/frame.h"

/* Why a flow is looked at: id, what people read. The first that holds is told. */
#define FINAL_WHYS(X) \
	X(YES, "nothing") \
	X(UNCOUNTED, "the kernel does not count it from its beginning on") \
	X(TUNNEL, "it may carry other packets") \
	X(APP, "its app is not known yet") \
	X(RULES, "rules ask for single requests of it") \
	X(REFUSED, "whoever goes on with it is still told that it is refused") \
	X(ANOMALIES, "anomaly events are taken") \
	X(PROTOCOL, "its protocol needs every byte") \
	X(EVENTS, "events of its protocol are taken") \
	X(LEARNED, "its requests are learned (mode discover)") \
	X(ANSWER, "what answers it may change its app")

enum final {
#define X(id, text) FINAL_##id,
	FINAL_WHYS(X)
#undef X
	FINAL_COUNT
};
const char *final_text(enum final);

#define FINAL_REFUSALS 7u	/* packets of a flow with verdict deny that are answered, before the kernel drops the rest by itself */

struct final_in {
	enum verdict verdict;
	bool enforced;		/* the policy wants the verdict carried out */
	unsigned refusals;	/* packets of it that were refused so far, up to FINAL_REFUSALS */
	bool counted;		/* held, and the kernel counts it: since its first packet */
	bool carries;		/* may be a tunnel's */
	bool app_known, by_facts;
	bool sought;		/* FEED_SEEK: a protocol is being sought, maybe a second one */
	bool parsed;		/* FEED_PARSE: a protocol gets its bytes */
	bool for_events;	/* ... and reads on for what it tells alone */
	bool events_taken;	/* somebody takes that */
	bool learned;		/* it is allowed because the mode is discover, and its requests are learned */
	bool anomalies_taken;
	bool answered;		/* the responder's bytes are what is at hand */
};

/* FINAL_YES, or why not. */
enum final final_of(const struct final_in *);

#endif
