/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tc/tcx.h"

#include <string.h>
#include <sys/syscall.h>
#include <stdint.h>
#include <unistd.h>

#include <linux/bpf.h>

/* enum bpf_attach_type of kernel 6.6; older headers lack them, older kernels answer EINVAL. */
#define TCX_INGRESS 46
#define TCX_EGRESS 47

unsigned tcx_count(int ifindex, int hook)
{
	union bpf_attr a;

	memset(&a, 0, sizeof a);
	a.query.target_fd = (uint32_t)ifindex;
	a.query.attach_type = hook ? TCX_EGRESS : TCX_INGRESS;
	if (syscall(SYS_bpf, BPF_PROG_QUERY, &a, sizeof a))
		return 0;
	return a.query.prog_cnt;
}
