/* SPDX-License-Identifier: GPL-2.0-or-later */
/* steer: which worker a packet belongs to: a symmetric hash of its (outer) IP address pair, so that fragments and both
 * directions meet one worker, whatever source they come from. Defined by 32-bit words so that a classic BPF program can
 * compute the same: x = XOR of all 32-bit big-endian words of both addresses; x ^= x >> 16; x ^= x >> 8; worker = (x & 0xff) % n.
 * Non-IP: worker 0. */
#ifndef TQ_BASE_STEER_H
#define TQ_BASE_STEER_H

#include <stddef.h>
#include <stdint.h>

/* Packet from its IP header on (raw IP). n >= 1. */
unsigned steer_ip(const uint8_t *ip, size_t len, unsigned n);
/* Ethernet frame (up to two VLAN tags in the bytes are passed over). */
unsigned steer_ether(const uint8_t *frame, size_t len, unsigned n);

#endif
