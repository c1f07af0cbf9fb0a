/* SPDX-License-Identifier: GPL-2.0-or-later */
/* frame: one packet as a source hands it to a worker, and what is answered.
 *
 * The bytes are borrowed until the source's next batch() call. The core reads only
 * what stands here; it does not know which kind of source it was. */
#ifndef TQ_BASE_FRAME_H
#define TQ_BASE_FRAME_H

#include <stdbool.h>
#include <stdint.h>

enum linktype { LINK_ETHERNET, LINK_RAW, LINK_SLL, LINK_SLL2, LINK_NULL /* BSD loopback, host or network order */, LINK_NFLOG, LINK_PPP, LINK_PPPOE,
		LINK_UNSUPPORTED };

enum frame_flags {
	FRAME_CSUM_PARTIAL = 1 << 0,	/* transport checksum not filled in yet: do not judge it */
	FRAME_CSUM_VALID = 1 << 1,	/* checked by the kernel already */
	FRAME_GSO_TCP = 1 << 2,		/* super-packet; gso_size bytes of payload per real segment */
	FRAME_GSO_UDP = 1 << 3,		/* super-packet of datagrams of gso_size bytes each */
	FRAME_VLAN = 1 << 4,		/* vlan_tci/vlan_tpid hold the outer tag, stripped from the bytes */
	FRAME_TRUNCATED = 1 << 5,	/* caplen < wirelen */
	FRAME_LEAVING = 1 << 6,		/* known to leave the workload whose view this is ... */
	FRAME_ENTERING = 1 << 7,	/* ... or to enter it; neither: unknown */
	FRAME_TRACKED = 1 << 8,		/* the kernel counts what flows here by itself (conntrack), and can let a flow by */
	FRAME_SHUNTABLE = 1 << 9,	/* a copy: whoever made it can let the rest of its flow go by uncopied, and count that */
	FRAME_ENFORCEABLE = 1 << 10,	/* not held, but what follows of its flow can be stopped: the verdict is enforced from it on */
	FRAME_MAY_ASK = 1 << 11,	/* ANSWER_ASK is understood */
};

/* The end of time, in the year 2116: beyond it sources give this one. Sums and differences of two times fit into 64 bits. */
#define FRAME_TS_MAX ((INT64_C(1) << 62) - 1)

struct frame {
	int64_t ts;		/* ns since the epoch, from -FRAME_TS_MAX to FRAME_TS_MAX */
	const uint8_t *data;
	uint32_t caplen;	/* bytes at data */
	uint32_t wirelen;	/* bytes on the wire, >= caplen */
	uint32_t flags;		/* enum frame_flags */
	uint16_t vlan_tci, vlan_tpid;
	uint16_t gso_size;
	uint8_t link;		/* enum linktype */
	uint8_t path;		/* a label of the caller's, copied into events (agent/path.h) */
	bool held;		/* an answer is awaited: the verdict is enforced */
	uint8_t pad_;
	uint32_t domain;	/* network that addresses are unique in; 0: the node's */
	uint32_t view;		/* opaque id of the observation point; 0: none. Equal for all frames seen there in one direction */
	uint32_t workload;	/* the workload whose queue or interface this was seen at; 0: unknown */
	uint32_t iface;		/* index into the caller's interface names; 0: none */
	uint64_t number;	/* running number in a capture file, from 1; else 0 */
	uint64_t token;		/* the source's own handle for answer() */
	void *caller;		/* the caller's own handle, for an answer that comes later */
};

/* The answer to a frame. Ordered by severity. */
enum verdict { VERDICT_ALLOW, VERDICT_PENDING, VERDICT_ALERT, VERDICT_DENY, VERDICT_DROP };
#define VERDICT_COUNT 5

/* True when the packet must not go on. */
static inline bool verdict_stops(enum verdict v) { return v >= VERDICT_DENY; }

enum answer_flags {
	ANSWER_LATER = 1 << 0,	/* no answer: it comes later (dpi_ops.answer) */
	ANSWER_FINAL = 1 << 1,	/* its flow is decided: nobody needs the rest of it (dpi_decided) */
	ANSWER_CALM = 1 << 2,	/* goes on with its urgent flag and pointer cleared: its receiver takes all of it as it was judged */
	ANSWER_ASK = 1 << 3,	/* no answer yet: its receiver is to be asked where it is, by an acknowledgement of the byte before, and the frame shown again when it said so */
};

/* What is done with a frame. */
struct answer {
	enum verdict verdict;
	uint16_t flags;		/* enum answer_flags, of a frame that may go on */
	uint16_t l4;		/* ANSWER_CALM: where its TCP header is in the frame */
};

#endif
