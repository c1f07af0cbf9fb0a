/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tcx: BPF programs attached by the newer way, which run in front of every clsact filter. */
#ifndef TQ_TC_TCX_H
#define TQ_TC_TCX_H

/* How many stand at the device's hook (0: ingress, 1: egress); 0 when the kernel has no tcx or cannot be asked. */
unsigned tcx_count(int ifindex, int hook);

#endif
