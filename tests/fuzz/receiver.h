/* SPDX-License-Identifier: GPL-2.0-or-later */
/* receiver: one end of an established TCP connection as Linux has it, in the most obvious way: the oracle of the stream target.
 *
 * Written from net/ipv4/tcp_input.c (tcp_rcv_established's slow path, tcp_validate_incoming, tcp_ack, tcp_urg, tcp_data_queue,
 * tcp_data_queue_ofo without its coalescing) and RFC 5961; nothing is shared with dpi/. What arrives is kept as segments, as the
 * kernel keeps them; what the application gets is found byte by byte: of the segments that hold a place, the one that begins
 * lowest. The application reads at once. */
#ifndef TQ_TESTS_FUZZ_RECEIVER_H
#define TQ_TESTS_FUZZ_RECEIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECEIVER_SEGS 256
#define RECEIVER_BYTES (1u << 20)

struct arrival {
	uint8_t flags;
	uint32_t seq, ack;
	uint16_t window, urgent;
	bool has_ts;
	uint32_t tsval;
	const uint8_t *p;
	size_t n;
};

struct receiver {
	/* set at the handshake */
	bool ts, sack;			/* both ends said so */
	bool strict_window;		/* a segment that reaches past the window is thrown away, as newer kernels do; else taken whole */
	uint8_t wscale, peer_wscale;
	/* what it takes */
	uint32_t nxt, wup;		/* rcv_nxt; rcv_nxt when it last sent an acknowledgement */
	uint32_t window;		/* rcv_wnd: offered at wup */
	uint32_t ts_recent;
	int64_t ts_second;
	bool urgent_due;
	uint32_t urgent_at;
	struct { uint32_t seq, len; bool fin; uint8_t *p; } seg[RECEIVER_SEGS];
	unsigned nsegs;
	struct { uint32_t from, to; } block[4];	/* ranges it reports, the newest first */
	unsigned nblocks;
	bool blocks_lost;		/* there were more ranges than it can report */
	bool fin, closed;
	uint8_t got[RECEIVER_BYTES];	/* what the application read */
	size_t ngot;
	/* what it sends */
	uint32_t una, snd_nxt, max_window;
	uint64_t acked;			/* bytes of its own that were acknowledged */
};

/* One packet. now: seconds. */
void receiver_take(struct receiver *, const struct arrival *, int64_t now);
/* It sends an acknowledgement and offers this window, whole units of its scale; the edge never goes back (tcp_select_window). Returns what it offered. */
uint32_t receiver_offer(struct receiver *, uint32_t window);
void receiver_free(struct receiver *);

#endif
