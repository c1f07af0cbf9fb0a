/* SPDX-License-Identifier: GPL-2.0-or-later */
/* steer: base/steer.h's hash as a classic BPF program for PACKET_FANOUT_CBPF. */
#ifndef TQ_TC_STEER_H
#define TQ_TC_STEER_H

#include <linux/filter.h>

#define STEER_CODE_MAX 160

/* Writes the program, returns its length. It answers (hash & 0xff), which the kernel takes modulo the number of members. */
unsigned steer_program(struct sock_filter code[STEER_CODE_MAX]);

#endif
