/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/owner.h"
#include "tests/unit/unit.h"

static struct owner self;
static struct err err;

static void judge_texts(void)
{
	static const char *const none[] = {
		"", "tapqd", "tapqd ", "tapqd 1", "tapqd 1 2", "tapqd x 2 3", "tapqd 1 2 3 4", "tapqd 1 2 3x", "tapqd 0 2 3", "tapqd -5 2 3",
		"Tapqd 1 2 3", "my tapqd 1 2 3", "bridge of the lab",
	};
	struct owner o;

	CU_ASSERT_EQUAL_FATAL(owner_self(&self, &err), 0);
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
		if (owner_judge(none[i], &self, &o) != OWNER_NONE)
			printf("\n    \"%s\" was taken for an owner", none[i]);
		CU_ASSERT_EQUAL(owner_judge(none[i], &self, &o), OWNER_NONE);
	}
}

static enum owner_state judge(pid_t pid, uint64_t start, uint64_t pidns)
{
	struct owner o = { pid, start, pidns }, out;
	char text[256];
	enum owner_state s;

	owner_format(&o, text, sizeof text);
	s = owner_judge(text, &self, &out);
	CU_ASSERT(out.pid == pid && out.start == start && out.pidns == pidns);
	return s;
}

static void judge_states(void)
{
	CU_ASSERT_EQUAL_FATAL(owner_self(&self, &err), 0);
	CU_ASSERT_EQUAL(self.pid, getpid());
	CU_ASSERT(self.start > 0 && self.pidns > 0);
	CU_ASSERT_EQUAL(judge(self.pid, self.start, self.pidns), OWNER_SELF);
	CU_ASSERT_EQUAL(judge(self.pid, self.start + 1, self.pidns), OWNER_DEAD);	/* our pid was another's before */
	CU_ASSERT_EQUAL(judge(self.pid, self.start, self.pidns + 1), OWNER_UNSEEN);
	CU_ASSERT_EQUAL(judge(0x3fffffff, 5, self.pidns), OWNER_DEAD);
	CU_ASSERT_EQUAL(judge(1, 0xffffffffffffffffULL, self.pidns), OWNER_DEAD);
}

/* A process whose name tries to look like the rest of its stat line, alive, then a zombie, then gone. */
static void judge_life(void)
{
	struct owner child = { 0 };
	int p[2], hold[2];
	pid_t pid;
	char c;

	CU_ASSERT_EQUAL_FATAL(owner_self(&self, &err), 0);
	CU_ASSERT_EQUAL_FATAL(pipe(p) | pipe(hold), 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		struct owner me;

		prctl(PR_SET_NAME, "a) Z 1 1 (b");
		close(hold[1]);
		if (owner_self(&me, &err) || write(p[1], &me, sizeof me) != sizeof me)
			_exit(1);
		if (read(hold[0], &c, 1) < 0)
			_exit(1);
		_exit(0);
	}
	close(hold[0]);
	CU_ASSERT_EQUAL(read(p[0], &child, sizeof child), sizeof child);
	CU_ASSERT_EQUAL(child.pid, pid);
	CU_ASSERT_EQUAL(judge(child.pid, child.start, child.pidns), OWNER_ALIVE);
	CU_ASSERT_EQUAL(judge(child.pid, child.start - 1, child.pidns), OWNER_DEAD);
	close(hold[1]);
	CU_ASSERT_EQUAL(waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
	CU_ASSERT_EQUAL(judge(child.pid, child.start, child.pidns), OWNER_DEAD);
	CU_ASSERT_EQUAL(waitpid(pid, NULL, 0), pid);
	CU_ASSERT_EQUAL(judge(child.pid, child.start, child.pidns), OWNER_DEAD);
	close(p[0]);
	close(p[1]);
}

const struct unit_test tests_owner[] = {
	{ "texts that are no label of ours", judge_texts },
	{ "self, dead, another's", judge_states },
	{ "alive, a zombie, gone", judge_life },
	{ 0 },
};
