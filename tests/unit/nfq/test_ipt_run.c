/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Programs that say no, never stop talking, or hang: another file stands in for the program, in a mount namespace of a child's own. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nfq/ipt.h"
#include "tests/unit/nfq/nslab.h"
#include "tests/unit/unit.h"

#define PROGRAM "/usr/sbin/iptables-nft-save"

static bool stand_in(const char *script)
{
	char path[] = "/tmp/ipt-run-XXXXXX";
	int fd = mkstemp(path);
	bool ok;

	ok = fd >= 0 && dprintf(fd, "#!/bin/sh\n%s\n", script) > 0 && !fchmod(fd, 0755) && !close(fd) && !unshare(CLONE_NEWNS) &&
	     !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) && !mount(path, PROGRAM, NULL, MS_BIND, NULL);
	unlink(path);
	return ok;
}

/* In the child: 0 when the answer is the one expected. */
static int child(const char *script, int expected, const char *words)
{
	struct err err = { "" };
	char *out = NULL;
	int rc;

	if (!stand_in(script))
		return 77;
	setenv("SECRET", "1", 1);
	rc = ipt_save(IPT_NFT, IPT_V4, NULL, &out, &err);
	if (rc != expected || !strstr(rc ? err.text : out, words)) {
		printf("\n%s: %d %s %.80s\n", script, rc, err.text, out ? out : "");
		fflush(stdout);
		return 1;
	}
	free(out);
	return 0;
}

static void check(const char *script, int expected, const char *words, int max_ms)
{
	int64_t start = ns_now_ms();
	int status = 0;
	pid_t p;

	fflush(stdout);
	p = fork();
	if (!p)
		_exit(child(script, expected, words));
	CU_ASSERT_EQUAL(waitpid(p, &status, 0), p);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		printf("skipped: no mount namespace of its own ");
		return;
	}
	CU_ASSERT_EQUAL(status, 0);
	CU_ASSERT(ns_now_ms() - start < max_ms);
}

static void test_answers(void)
{
	check("echo '*filter'; echo COMMIT; echo nothing to worry about >&2", 0, "COMMIT", 4000);
	check("echo first; echo 'the reason' >&2; exit 4", -EIO, "iptables-nft-save: the reason", 4000);
	check("kill -9 $$", -EIO, "no reason given", 4000);
	check("env | sort | tr '\\n' ' '", 0, "LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin PWD=", 4000);	/* nothing of ours is inherited */
	check("head -c 100000 /dev/zero >&2; echo '*filter'", 0, "*filter", 4000);		/* too many words block nobody */
	check("cat /proc/self/status | grep SigBlk", 0, "SigBlk:\t0000000000000000", 4000);
}

static void test_endless(void) { check("exec yes '*filter'", -E2BIG, "iptables-nft-save", 9000); }
static void test_hangs(void) { check("exec sleep 60", -ETIMEDOUT, "was killed", IPT_DEADLINE_MS + 2000); }
static void test_hangs_silently(void) { check("exec >&- 2>&-; exec sleep 60", -ETIMEDOUT, "was killed", IPT_DEADLINE_MS + 2000); }

const struct unit_test tests_ipt_run[] = {
	{ "what programs answer", test_answers },
	{ "one that never stops talking", test_endless },
	{ "one that hangs", test_hangs },
	{ "one that hangs with its outputs closed", test_hangs_silently },
	{ NULL, NULL },
};
