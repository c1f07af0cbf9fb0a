/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clsbpf: our cls_bpf filter to and from netlink attributes (net/sched/cls_bpf.c): as u32.h has it, with `prog` set. */
#ifndef TQ_TC_CLSBPF_H
#define TQ_TC_CLSBPF_H

#include "tc/u32.h"

/* NULL when there is no memory. fd: the program. One that stands is replaced in one step. */
struct nl_msg *clsbpf_put(const struct u32_place *, const struct u32_filter *, int fd);
/* Reads one message of a filter dump. Ours: by its name and place. U32_NOTHING: no bpf filter. */
enum u32_what clsbpf_parse(const struct nlmsghdr *, struct u32_filter *out);

#endif
