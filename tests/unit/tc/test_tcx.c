/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Programs in front of clsact (tcx, kernel 6.6 and later) are counted: one that returns PASS would hide everything from the filters. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tc/tcx.h"
#include "tests/unit/tc/lab.h"
#include "tests/unit/unit.h"

#define TCX_PASS 0
#define TCX_NEXT (-1)

static int load(int answer)
{
	struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = answer },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr a;

	memset(&a, 0, sizeof a);
	a.prog_type = BPF_PROG_TYPE_SCHED_CLS;
	a.insns = (uint64_t)(uintptr_t)code;
	a.insn_cnt = 2;
	a.license = (uint64_t)(uintptr_t)"GPL";
	return (int)syscall(SYS_bpf, BPF_PROG_LOAD, &a, sizeof a);
}

/* Stands as long as the descriptor is open. */
static int attach(int prog, int ifindex, int hook)
{
	union bpf_attr a;

	memset(&a, 0, sizeof a);
	a.link_create.prog_fd = (uint32_t)prog;
	a.link_create.target_ifindex = (uint32_t)ifindex;
	a.link_create.attach_type = hook ? 47 : 46;	/* BPF_TCX_EGRESS, BPF_TCX_INGRESS: not in older headers */
	return (int)syscall(SYS_bpf, BPF_LINK_CREATE, &a, sizeof a);
}

static void count_them(struct lab *l)
{
	struct tc_want want = lab_want(l);
	struct tc_state st = { 0 };
	struct err err = { "" };
	struct tc *tc = tc_open(&err);
	unsigned changes;
	int next = load(TCX_NEXT), pass = load(TCX_PASS), a, b;

	LAB_CHECK(l, tc != NULL && next >= 0 && pass >= 0);
	a = attach(next, l->v0, 0);
	if (a < 0 && (errno == EINVAL || errno == ENOTSUP)) {
		printf("skipped: this kernel has no tcx: %s ", strerror(errno));
	} else {
		b = attach(pass, l->v0, 0);
		LAB_CHECK(l, a >= 0 && b >= 0);
		LAB_CHECK(l, tcx_count(l->v0, 0) == 2 && tcx_count(l->v0, 1) == 0);
		LAB_CHECK(l, !tc_ensure(tc, &want, &st, &changes, &err) && st.complete && st.tcx[0] == 2 && st.tcx[1] == 0);
		close(b);
		b = attach(next, l->v0, 1);
		LAB_CHECK(l, !tc_check(tc, &want, &st, &err) && st.tcx[0] == 1 && st.tcx[1] == 1);
		close(a);
		close(b);
		LAB_CHECK(l, !tc_check(tc, &want, &st, &err) && st.tcx[0] == 0 && st.tcx[1] == 0);
	}
	LAB_CHECK(l, tcx_count(999999, 0) == 0);
	close(next);
	close(pass);
	tc_close(tc);
}

static void test_count(void) { lab_run(count_them); }

const struct unit_test tests_tcx[] = {
	{ "programs in front of us are counted", test_count },
	{ 0 },
};
