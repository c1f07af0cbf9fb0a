/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pcapfile: reads pcap files (draft-ietf-opsawg-pcap): both byte orders, time in us or ns, and the records of Kuznetzov's patched libpcap, which are
 * eight bytes longer. Packets are given where they were read to: nothing is copied. */
#ifndef TQ_AGENT_PCAPFILE_H
#define TQ_AGENT_PCAPFILE_H

#include <stdint.h>

#include "base/err.h"

#define PCAPFILE_PACKET_MAX 262144u	/* as libpcap has it: a longer one is a broken file */

struct pcapfile;

struct pcapfile_packet {
	int64_t ts;		/* ns */
	const uint8_t *data;	/* borrowed until the next pcapfile_fill() */
	uint32_t caplen, wirelen;
};

/* Reads the file's header from fd, whose first byte was read already. Takes fd (but for standard input) when it succeeds, and only then; NULL + err
 * (without the file's name). */
struct pcapfile *pcapfile_open(int fd, uint8_t first, struct err *);
void pcapfile_close(struct pcapfile *);
uint32_t pcapfile_link(const struct pcapfile *);	/* LINKTYPE_ */
/* Reads on until a packet is there. 1: there is. 0: the end. -EPIPE: the file is cut off inside a packet. -EIO: err says what is wrong with it. */
int pcapfile_fill(struct pcapfile *, struct err *);
/* The next packet of those that were read. 1; 0: ask pcapfile_fill(). */
int pcapfile_next(struct pcapfile *, struct pcapfile_packet *);

#endif
