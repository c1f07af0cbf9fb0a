/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reset: refuses a connection that was denied: RST to both ends (RFC 9293, 3.5.2), ICMP/ICMPv6 port unreachable for UDP, by a raw socket
 * in the workload's netns, carrying `mark` so that our own chains let it pass. Numbers come from the denied packet and, where given, from the
 * flow (the highest sequence number accepted towards each end): never from the denied packet's acknowledgement alone. */
#ifndef TQ_NFQ_RESET_H
#define TQ_NFQ_RESET_H

#include <stdint.h>

#include "base/err.h"
#include "base/frame.h"

struct reset;
struct reset *reset_open(int nsfd, uint32_t mark, struct err *);
void reset_close(struct reset *);
/* The frame is raw IP (what a queue delivers). Malformed or non-TCP/UDP: nothing is sent, 0. */
int reset_refuse(struct reset *, const struct frame *, struct err *);

#endif
