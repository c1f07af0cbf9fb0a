/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/tc/lab.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "tests/unit/unit.h"

#define SKIPPED 77

int lab_sh(const char *fmt, ...)
{
	char cmd[1024];
	va_list ap;
	int rc;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof cmd, fmt, ap);
	va_end(ap);
	rc = system(cmd);
	return WIFEXITED(rc) ? WEXITSTATUS(rc) : -1;
}

int lab_sh_in(struct lab *l, const char *command)
{
	int rc;

	if (setns(l->container, CLONE_NEWNET))
		return -1;
	rc = lab_sh("%s", command);
	return setns(l->node, CLONE_NEWNET) ? -1 : rc;
}

char *lab_output(const char *fmt, ...)
{
	char cmd[1024], *out = calloc(1, 1 << 18);
	va_list ap;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof cmd, fmt, ap);
	va_end(ap);
	f = popen(cmd, "r");
	if (!f || !out)
		abort();
	out[fread(out, 1, (1 << 18) - 1, f)] = 0;
	pclose(f);
	return out;
}

int lab_socket(struct lab *l, int family, int type, int protocol)
{
	int fd;

	if (setns(l->container, CLONE_NEWNET))
		return -1;
	fd = socket(family, type, protocol);
	return setns(l->node, CLONE_NEWNET) ? -1 : fd;
}

static int packet_on(int fd, int ifindex)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_ifindex = ifindex };

	return fd < 0 || bind(fd, (struct sockaddr *)&ll, sizeof ll) ? -1 : fd;
}

/* Until then what is sent is dropped: the carrier is told by a work queue, which on a busy machine takes seconds. */
#define LINK_READY(dev) "for i in $(seq 500); do ip -o link show dev " dev " | grep -q 'state UP' && exit 0; sleep 0.02; done; exit 1"

static bool make(struct lab *l)
{
	l->container = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (l->container < 0 || unshare(CLONE_NEWNET))
		return false;
	l->node = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (lab_sh("ip link add v0 type veth peer name c0 && ip link set c0 netns /proc/%d/fd/%d && ip addr add 10.9.0.1/24 dev v0 &&"
		   "ip addr add fd09::1/64 dev v0 nodad && ip link set lo up && ip link set v0 up && for b in vbr vbr-in; do ip link add $b type bridge mcast_snooping 0 &&"
		   "ip link set $b addrgenmode none arp off up; done", (int)getpid(), l->container))
		return false;
	if (lab_sh_in(l, "ip addr add 10.9.0.2/24 dev c0 && ip addr add fd09::2/64 dev c0 nodad && ip link set lo up && ip link set c0 up"))
		return false;
	if (lab_sh(LINK_READY("v0")) || lab_sh_in(l, LINK_READY("c0")))
		return false;
	l->v0 = (int)if_nametoindex("v0");
	l->vbr = (int)if_nametoindex("vbr");
	l->vbr_in = (int)if_nametoindex("vbr-in");
	if (setns(l->container, CLONE_NEWNET))
		return false;
	l->c0 = (int)if_nametoindex("c0");
	if (setns(l->node, CLONE_NEWNET))
		return false;
	l->raw[0] = packet_on(lab_socket(l, AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), l->c0);
	l->raw[1] = packet_on(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), l->v0);
	return l->v0 && l->vbr && l->vbr_in && l->raw[0] >= 0 && l->raw[1] >= 0;
}

static int child(void (*fn)(struct lab *))
{
	struct lab l = { .failed = 0 };

	if (unshare(CLONE_NEWNET)) {
		fprintf(stderr, "    skipped: no network namespace: %s\n", strerror(errno));
		return SKIPPED;
	}
	if (!make(&l)) {
		fprintf(stderr, "    the lab could not be made\n");
		return 1;
	}
	fn(&l);
	close(l.raw[0]);
	close(l.raw[1]);
	return l.failed ? 1 : 0;
}

void lab_run(void (*fn)(struct lab *))
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid)
		exit(child(fn));	/* exit, not _exit: the sanitizer looks for leaks */
	CU_ASSERT_FATAL(pid > 0);
	CU_ASSERT_EQUAL_FATAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == SKIPPED));
}

enum tc_engine lab_engine;

struct tc_want lab_want(const struct lab *l)
{
	return (struct tc_want){ .engine = lab_engine, .ifindex = l->v0, .to_leaving = l->vbr, .to_entering = l->vbr_in };
}

bool lab_ensures(struct lab_tc *u, const struct tc_want *w, bool changes)
{
	int rc = tc_ensure(u->tc, w, &u->st, &u->changes, &u->err);
	bool right = !rc && u->st.complete && !u->st.differs[0] && (u->changes != 0) == changes;

	if (!right)
		fprintf(stderr, "    ensure: %d, %u changes, differs '%s', '%s'\n", rc, u->changes, u->st.differs, u->err.text);
	return right;
}

bool lab_wrong(struct lab_tc *u, const struct tc_want *w)
{
	return tc_check(u->tc, w, &u->st, &u->err) == 0 && !u->st.complete && u->st.differs[0];
}

char *lab_shows(void) { return lab_output("tc qdisc show dev v0; tc filter show dev v0 ingress; tc filter show dev v0 egress"); }

bool lab_as_before(char *before)
{
	char *after = lab_shows();
	bool same = !strcmp(before, after);

	if (!same)
		fprintf(stderr, "    before:\n%s    after:\n%s", before, after);
	free(before);
	free(after);
	return same;
}

struct source *lab_mirror(const struct lab *l, uint32_t block_size, uint32_t blocks)
{
	struct mirror_conf c = { .ifindex = { l->vbr, l->vbr_in }, .block_size = block_size, .blocks = blocks, .retire_ms = 8, .fanout_workers = 1, .path = 3 };
	struct err err = { "" };
	struct source *s = mirror_open(&c, &err);

	if (!s)
		fprintf(stderr, "    mirror_open: %s\n", err.text);
	return s;
}

bool lab_send(struct lab *l, int hook, const uint8_t *frame, size_t len)
{
	return send(l->raw[hook], frame, len, 0) == (ssize_t)len;
}

static int64_t ms_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int lab_read(struct source *s, unsigned until, int idle_ms, void (*fn)(void *, const struct frame *), void *ctx)
{
	int64_t quiet = ms_now(), start = quiet;
	struct frame f[64];
	struct err err = { "" };
	unsigned got = 0;
	bool over;

	do {		/* looked at the clock first: on a busy machine the last look at the ring comes after it */
		struct pollfd p = { .fd = s->ops->fd(s), .events = POLLIN };
		int wait = s->ops->timeout(s), n;

		over = ms_now() - quiet >= idle_ms || ms_now() - start >= 30000;
		poll(&p, 1, !idle_ms ? 0 : wait >= 0 && wait < 20 ? wait : 20);
		while ((n = s->ops->batch(s, f, 64, &err)) > 0) {
			for (int i = 0; fn && i < n; i++)
				fn(ctx, &f[i]);
			got += (unsigned)n;
			quiet = ms_now();
			over = over && (!idle_ms || quiet - start >= 30000);
		}
		s->ops->flush(s);
		if (n < 0)
			return n;
	} while (got < until && !over);
	return (int)got;
}
