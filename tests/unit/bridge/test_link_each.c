/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bridge/link.h"
#include "bridge/netns.h"
#include "tests/unit/bridge/nstest.h"

static struct err err;

struct seen {
	uint64_t cookie;	/* 0: no way in */
	char name[64];		/* "": none */
	pid_t pid;
	int nsid;
};

static struct seen seen[400];
static unsigned nseen;

static void note(void *ctx, int nsfd, int nsid, const char *path, pid_t pid)
{
	struct seen *s = &seen[nseen];

	CHECK(ctx == &nseen);
	CHECK(nseen < sizeof seen / sizeof seen[0] - 1);
	memset(s, 0, sizeof *s);
	if (nsfd >= 0)
		CHECK_ERR(netns_cookie(nsfd, &s->cookie, &err) == 0, err);
	snprintf(s->name, sizeof s->name, "%s", !path ? "" : strncmp(path, "/run/netns/", 11) ? path : path + 11);
	s->pid = pid;
	s->nsid = nsid;
	nseen++;
}

static int known = -1;

static bool is_known(void *ctx, int nsid)
{
	CHECK(ctx == &nseen);
	return nsid == known;
}

static unsigned each(void)
{
	nseen = 0;
	CHECK_ERR(link_each_netns(is_known, note, &nseen, &err) == 0, err);
	return nseen;
}

static const struct seen *seen_as(int nsfd)
{
	uint64_t cookie = 0;
	const struct seen *found = NULL;

	CHECK(netns_cookie(nsfd, &cookie, &err) == 0);
	for (unsigned i = 0; i < nseen; i++) {
		if (seen[i].cookie == cookie) {
			CHECK(!found);		/* once each */
			found = &seen[i];
		}
	}
	return found;
}

NS_TEST(nobody)
{
	CHECK(ip("link add v1 type veth peer name v2") == 0);	/* both here: leads nowhere */
	CHECK(each() == 0);
}

NS_TEST(by_name)
{
	int web = ns_new(), db = ns_new(), other = ns_new();
	const struct seen *s;

	CHECK(ns_name(web, "/run/netns/web"));
	CHECK(ns_name(db, "/run/netns/db"));
	CHECK(ns_name(other, "/run/netns/other"));		/* no veth of ours leads there */
	CHECK(close(open("/run/netns/pending", O_CREAT | O_RDONLY | O_CLOEXEC, 0600)) == 0);	/* not yet a namespace */
	ns_veth("v-web", web, "eth0");
	ns_veth("v-web2", web, "eth1");
	ns_veth("v-db", db, "eth0");
	CHECK(each() == 2);
	s = seen_as(web);
	CHECK(s && !strcmp(s->name, "web"));
	s = seen_as(db);
	CHECK(s && !strcmp(s->name, "db"));
	CHECK(!seen_as(other));
	/* Two names for one: still once. */
	CHECK(ns_name(web, "/run/netns/web-again"));
	CHECK(each() == 2 && seen_as(web) && !strncmp(seen_as(web)->name, "web", 3));
	close(web);
	close(db);
	close(other);
}

NS_TEST(by_docker_path)
{
	int a = ns_new(), b = ns_new();
	pid_t pid = ns_process(a, true);
	const struct seen *s;

	CHECK(ns_name(a, "/run/docker/netns/0a1b2c3d4e5f"));
	CHECK(ns_name(b, "/run/docker/netns/ffffffffffff"));
	ns_veth("v-a", a, "eth0");
	ns_veth("v-b", b, "eth0");
	CHECK(each() == 2);
	s = seen_as(a);
	CHECK(s && !strcmp(s->name, "/run/docker/netns/0a1b2c3d4e5f") && s->pid == pid);	/* its process says more than the sandbox's key */
	s = seen_as(b);
	CHECK(s && !strcmp(s->name, "/run/docker/netns/ffffffffffff") && s->pid == 0);
	ns_end(pid);
	close(a);
	close(b);
}

NS_TEST(by_process)
{
	int a = ns_new(), b = ns_new(), c = ns_new();
	pid_t pa = ns_process(a, true), pa2 = ns_process(a, true), pb = ns_process(b, true);
	const struct seen *s;

	CHECK(ns_name(c, "/run/netns/c"));
	ns_veth("v-a", a, "eth0");
	ns_veth("v-b", b, "eth0");
	ns_veth("v-c", c, "eth0");
	CHECK(each() == 3);
	s = seen_as(a);
	CHECK(s && !s->name[0] && s->pid == (pa < pa2 ? pa : pa2));
	s = seen_as(b);
	CHECK(s && !s->name[0] && s->pid == pb);
	s = seen_as(c);
	CHECK(s && !strcmp(s->name, "c"));
	ns_end(pa);
	CHECK(each() == 3 && seen_as(a) && seen_as(a)->pid == pa2);
	ns_end(pa2);
	ns_end(pb);
	close(a);
	close(b);
	close(c);
}

NS_TEST(no_way_in)
{
	int a = ns_new(), b = ns_new();

	ns_veth("v-a", a, "eth0");
	ns_veth("v-b", b, "eth0");
	CHECK(ns_name(b, "/run/netns/b"));
	CHECK(each() == 2);
	CHECK(seen_as(b) && !seen_as(a));	/* only our own descriptor keeps a: that is no way in for anybody */
	CHECK((seen[0].cookie == 0) != (seen[1].cookie == 0));
	close(a);
	close(b);
}

/* Our own namespace, with a name and with a process, and with an id of its own: never a workload. */
NS_TEST(never_our_own)
{
	int own = netns_open_own(&err), a = ns_new();
	pid_t pid = ns_process(own, true);

	CHECK(ns_name(own, "/run/netns/node"));
	CHECK(ns_name(a, "/run/netns/a"));
	CHECK(ip("netns set node 5") == 0);
	ns_veth("v-a", a, "eth0");
	CHECK(ip("link add x type veth peer name y") == 0);
	CHECK(each() == 1);
	CHECK(!seen_as(own) && seen_as(a));
	ns_end(pid);
	close(own);
	close(a);
}

/* Hundreds of workloads with few descriptors to spare. */
NS_TEST(many)
{
	enum { N = 120 };
	static int ns[N];
	static pid_t pid[N];
	struct rlimit few;
	struct timespec a, b;
	unsigned before;

	for (int i = 0; i < N; i++) {
		char path[64];

		ns[i] = ns_new();
		snprintf(path, sizeof path, "/run/netns/n%d", i);
		if (i % 2)
			CHECK(ns_name(ns[i], path));
		else
			pid[i] = ns_process(ns[i], true);
		CHECK(ip("link add v%d type veth peer name eth0 netns %s", i, ns_path(ns[i])) == 0);
	}
	before = ns_fds();
	CHECK(getrlimit(RLIMIT_NOFILE, &few) == 0);
	few.rlim_cur = (rlim_t)before + 12;
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	clock_gettime(CLOCK_MONOTONIC, &a);
	CHECK(each() == N);
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("(%d namespaces in %.1f ms) ", N, (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6);
	for (int i = 0; i < N; i++) {
		const struct seen *s = seen_as(ns[i]);

		CHECK(s && (i % 2 ? s->name[0] == 'n' : s->pid == pid[i]));
		if (pid[i])
			ns_end(pid[i]);
		close(ns[i]);
	}
}

static void kill_all(void *ctx, int nsfd, int nsid, const char *name, pid_t pid)
{
	pid_t *pids = ctx;

	(void)nsfd;
	(void)nsid;
	(void)name;
	(void)pid;
	nseen++;
	for (int i = 0; i < 8; i++) {
		if (pids[i])
			ns_end(pids[i]);
		pids[i] = 0;
	}
}

/* All others die while the first is handed out. */
NS_TEST(vanishing)
{
	for (int round = 0; round < 10; round++) {
		unsigned before = ns_fds();
		pid_t pids[8];

		for (int i = 0; i < 8; i++) {
			int ns = ns_new();

			pids[i] = ns_process(ns, true);
			CHECK(ip("link add v%d-%d type veth peer name eth0 netns %s", round, i, ns_path(ns)) == 0);
			close(ns);
		}
		nseen = 0;
		CHECK_ERR(link_each_netns(NULL, kill_all, pids, &err) == 0, err);
		CHECK(nseen >= 1);
		CHECK(ns_fds() == before);
	}
}

NS_TEST(no_descriptor_left)
{
	int a = ns_new(), b = ns_new(), c = ns_new();
	pid_t pid = ns_process(b, true);
	unsigned before;

	CHECK(ns_name(a, "/run/netns/a"));
	CHECK(ns_name(c, "/run/docker/netns/c"));
	ns_veth("v-a", a, "eth0");
	ns_veth("v-b", b, "eth0");
	ns_veth("v-c", c, "eth0");
	before = ns_fds();
	for (int i = 0; i < 200; i++)
		CHECK(each() == 3);
	CHECK(ns_fds() == before);
	ns_end(pid);
	close(a);
	close(b);
	close(c);
}

/* Those that are known already are passed over, by the id that each is told with. */
NS_TEST(known_ones)
{
	int a = ns_new(), b = ns_new(), nsid;

	CHECK(ns_name(a, "/run/netns/a"));
	ns_veth("v-a", a, "eth0");
	ns_veth("v-b", b, "eth0");		/* no way in */
	CHECK(each() == 2);
	CHECK_ERR(link_nsid(a, &nsid, &err) == 0, err);
	CHECK(nsid >= 0 && seen_as(a)->nsid == nsid);
	known = nsid;
	CHECK(each() == 1 && !seen[0].cookie && seen[0].nsid >= 0 && seen[0].nsid != nsid);
	known = seen[0].nsid;
	CHECK(each() == 1 && seen_as(a));
	close(a);
	close(b);
}

const struct unit_test tests_link_each[] = {
	{ "no veth leads away", nobody },
	{ "by name", by_name },
	{ "known ones are passed over", known_ones },
	{ "by a path without a name", by_docker_path },
	{ "by a process", by_process },
	{ "no way in", no_way_in },
	{ "never our own", never_our_own },
	{ "many, with few descriptors", many },
	{ "dying meanwhile", vanishing },
	{ "no descriptor is left", no_descriptor_left },
	{ 0 },
};
