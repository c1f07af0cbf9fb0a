/* SPDX-License-Identifier: GPL-2.0-or-later */
/* calm: a TCP packet without its urgent flag and pointer, as a verdict lets it go on. Pure. */
#ifndef TQ_NFQ_CALM_H
#define TQ_NFQ_CALM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/frame.h"

/* Copies the frame, an IP packet and no super-packet, whose TCP header is at byte l4, and makes its checksum whole: the kernel
 * takes a packet that a verdict changed for one with its checksum in it (nfqnl_mangle() in net/netfilter/nfnetlink_queue.c).
 * False: it does not fit into n bytes, or there is no TCP header. */
bool calm_packet(const struct frame *, unsigned l4, uint8_t *out, size_t n);

#endif
