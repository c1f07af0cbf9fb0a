/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pcapng: reads pcapng files (draft-ietf-opsawg-pcapng) whose interfaces may differ in link type, snap length and resolution of time, which libpcap
 * refuses. Both byte orders, any number of sections. Packets come from enhanced, simple and the old packet blocks; other blocks are passed over. */
#ifndef TQ_AGENT_PCAPNG_H
#define TQ_AGENT_PCAPNG_H

#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

#define PCAPNG_FIRST_BYTE 0x0a		/* no pcap file begins with it */
#define PCAPNG_BLOCK_MAX (16u << 20)
#define PCAPNG_INTERFACES_MAX 65536u	/* of one section; what an interface's id can name in the old packet block */

struct pcapng;

struct pcapng_packet {
	int64_t ts;		/* ns; a simple packet has no time: that of the packet before it */
	const uint8_t *data;	/* borrowed until the next call */
	uint32_t caplen, wirelen;	/* wirelen >= caplen */
	uint16_t link;		/* LINKTYPE_ of its interface */
};

/* Reads the first section's header. Takes the file when it succeeds, and only then; NULL + err (without the file's name). */
struct pcapng *pcapng_open(FILE *, struct err *);
void pcapng_close(struct pcapng *);
/* 1: a packet. 0: the end. -EPIPE: the file is cut off inside a block. -EIO (-ENOMEM): err says what is wrong with it. After anything but 1 the answer stays. */
int pcapng_next(struct pcapng *, struct pcapng_packet *, struct err *);

#endif
