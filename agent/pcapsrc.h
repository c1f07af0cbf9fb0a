/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pcapsrc: the source that reads a capture file (pcap by agent/pcapfile.c, pcapng by agent/pcapng.c; "-": standard input), ns timestamps. batch() ends with
 * -EPIPE at the end of the file. A file cut off in its last packet gives what is whole and then -EPIPE, with a warning. Link types are mapped to enum
 * linktype; others are LINK_UNSUPPORTED. */
#ifndef TQ_AGENT_PCAPSRC_H
#define TQ_AGENT_PCAPSRC_H

#include "base/source.h"

/* first: number of the first packet (from 1 over all files of a run). */
struct source *pcapsrc_open(const char *file, uint64_t first, struct err *);
uint64_t pcapsrc_count(const struct source *);	/* packets handed out so far */

#endif
