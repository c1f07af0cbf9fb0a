/* SPDX-License-Identifier: GPL-2.0-or-later */
/* engine_bpf: the bpf engine: the mirror as a program of the kernel's (bpf/mirror.bpf.c), and the maps that tell it what to copy.
 *
 * The program was compiled into this binary (clang -target bpf); where there was no clang at build time the engine says so. It is loaded once; every
 * device's filters (tc_want.bpf) are this program, and a row of its maps for each hook says what is particular there. Rows are written before the
 * filter is put and changed while it runs. Programs and maps go when the last filter and this process have let go of them; a filter left by
 * a crash goes on copying by its own maps until the next start replaces it.
 *
 * Called by the thread that has the struct tc; filter.c calls tcbpf_hook and tcbpf_forget. */
#ifndef TQ_TC_ENGINE_BPF_H
#define TQ_TC_ENGINE_BPF_H

#include "base/err.h"
#include "base/netid.h"
#include "tc/flowmap.h"

struct tcbpf;

/* NULL + err: -ENOTSUP built without the program, else what the kernel said to it. */
struct tcbpf *tcbpf_open(struct err *);
void tcbpf_close(struct tcbpf *);	/* NULL is fine */

int tcbpf_prog_fd(const struct tcbpf *, int hook);
uint32_t tcbpf_prog_id(const struct tcbpf *, int hook);	/* the kernel's, as filters show it */

/* The row of a device's hook: copies go to `to`, but for packets with these source and destination ports. 1: something changed; 0; -errno. */
int tcbpf_hook(struct tcbpf *, int ifindex, int hook, int to, const struct app_ports *sport, const struct app_ports *dport, struct err *);
/* The kernel's maps, asked, say that. */
bool tcbpf_current(struct tcbpf *, int ifindex, int hook, int to, const struct app_ports *sport, const struct app_ports *dport);
/* The program's map of flows that are copied no more (passing.h), or are denied (denied.h): a reference of the caller's. NULL: no memory. */
enum tcbpf_flows { TCBPF_PASSING, TCBPF_DENIED };
struct flowmap *tcbpf_flows(const struct tcbpf *, enum tcbpf_flows);
/* The device has no filters of ours any more, or is gone. */
void tcbpf_forget(struct tcbpf *, int ifindex);
void tcbpf_keep(struct tcbpf *, bool (*there)(void *ctx, int ifindex), void *ctx);	/* forgets all others */

#endif
