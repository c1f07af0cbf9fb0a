/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/netns.h"
#include "tests/unit/bridge/nstest.h"

static struct err err;

static uint64_t cookie_of(int nsfd)
{
	uint64_t c = 0;

	CHECK_ERR(netns_cookie(nsfd, &c, &err) == 0, err);
	return c;
}

static uint64_t own_cookie(void)
{
	int fd = netns_open_own(&err);
	uint64_t c = cookie_of(fd);

	close(fd);
	return c;
}

NS_TEST(opening)
{
	static const struct { const char *path; int code; } bad[] = {
		{ "/run/absent", -ENOENT },
		{ "/run/file", -EAGAIN },		/* as `ip netns add` leaves it for a moment */
		{ "/run", -EINVAL },
		{ "/run/fifo", -EINVAL },
		{ "/dev/null", -EINVAL },
		{ "/proc/self/ns/pid", -EINVAL },
		{ "/proc/self/stat", -EAGAIN },
		{ "", -ENOENT },
	};
	int fd, ns = ns_new();

	CHECK(close(open("/run/file", O_CREAT | O_RDONLY | O_CLOEXEC, 0600)) == 0);
	CHECK(mkfifo("/run/fifo", 0600) == 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		err.text[0] = 0;
		fd = netns_open(bad[i].path, &err);
		if (fd != bad[i].code)
			printf("\n    %s: %d", bad[i].path, fd);
		CHECK_ERR(fd == bad[i].code, err);
		CHECK(strstr(err.text, bad[i].path) != NULL);
	}
	CHECK(netns_open_pid(0x3fffffff, &err) == -ENOENT);
	/* The file of -EAGAIN becomes a namespace: the same call works now. */
	CHECK(mount(ns_path(ns), "/run/file", NULL, MS_BIND, NULL) == 0);
	fd = netns_open("/run/file", &err);
	CHECK_ERR(fd >= 0, err);
	CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	CHECK(cookie_of(fd) == cookie_of(ns));
	close(fd);
	fd = netns_open_pid(getpid(), &err);
	CHECK(fd >= 0 && cookie_of(fd) == own_cookie());
	close(fd);
	close(ns);
}

NS_TEST(cookies)
{
	int a = ns_new(), b = ns_new(), again = dup(a);
	uint64_t was = cookie_of(a);

	CHECK(was != 0 && was == cookie_of(again));
	CHECK(was != cookie_of(b) && was != own_cookie());
	close(a);
	close(again);
	for (int i = 0; i < 20; i++) {		/* whatever inode number comes again, the cookie doesn't */
		a = ns_new();
		CHECK(cookie_of(a) != was);
		close(a);
	}
	close(b);
	a = open("/dev/null", O_RDONLY | O_CLOEXEC);
	CHECK(netns_cookie(a, &was, &err) < 0 && err.text[0]);
	close(a);
}

struct visit {
	uint64_t inside;
	int deeper;		/* a namespace to visit from there; -1: none */
	uint64_t deep;
	int calls;
};

static int look_deep(void *ctx, struct err *e)
{
	struct visit *v = ctx;

	(void)e;
	v->deep = own_cookie();
	return 7;
}

static int look(void *ctx, struct err *e)
{
	struct visit *v = ctx;

	v->calls++;
	v->inside = own_cookie();
	if (v->deeper >= 0)
		CHECK(netns_run(v->deeper, look_deep, v, e) == 7);
	CHECK(own_cookie() == v->inside);
	return err_set(e, -ENOTTY, "from inside");
}

NS_TEST(there_and_back)
{
	int a = ns_new(), b = ns_new();
	uint64_t home = own_cookie();
	struct visit v = { .deeper = b };

	CHECK(netns_run(a, look, &v, &err) == -ENOTTY);
	CHECK(!strcmp(err.text, "from inside"));
	CHECK(v.calls == 1 && v.inside == cookie_of(a) && v.deep == cookie_of(b));
	CHECK(own_cookie() == home);
	/* Not a namespace: fn is not called, and we are where we were. */
	v.calls = 0;
	CHECK(netns_run(0x7fff, look, &v, &err) == -EBADF && v.calls == 0);
	CHECK_ERR(strstr(err.text, "namespace") != NULL, err);
	CHECK(own_cookie() == home);
	close(a);
	close(b);
}

static int drop_admin(void *ctx, struct err *e)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2];

	(void)ctx;
	(void)e;
	memset(none, 0, sizeof none);
	return (int)syscall(SYS_capset, &h, none);
}

NS_TEST(cannot_come_back)
{
	int a = ns_new(), status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGABRT, SIG_DFL);
		netns_run(a, drop_admin, NULL, &err);
		_exit(0);	/* went on in the wrong namespace */
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(ns_logged("come back"));
	close(a);
}

static void *other_thread(void *ctx)
{
	*(uint64_t *)ctx = own_cookie();
	return NULL;
}

static pthread_barrier_t inside, looked;

static int hold(void *ctx, struct err *e)
{
	(void)ctx;
	(void)e;
	pthread_barrier_wait(&inside);
	pthread_barrier_wait(&looked);
	return 0;
}

static void *visitor(void *ctx)
{
	struct err e = { "" };

	netns_run(*(int *)ctx, hold, NULL, &e);
	return NULL;
}

NS_TEST(other_threads_stay)
{
	int a = ns_new();
	uint64_t home = own_cookie(), seen = 0;
	pthread_t t, t2;

	pthread_barrier_init(&inside, NULL, 2);
	pthread_barrier_init(&looked, NULL, 2);
	CHECK(pthread_create(&t, NULL, visitor, &a) == 0);
	pthread_barrier_wait(&inside);
	CHECK(pthread_create(&t2, NULL, other_thread, &seen) == 0);
	pthread_join(t2, NULL);
	CHECK(seen == home && own_cookie() == home);
	pthread_barrier_wait(&looked);
	pthread_join(t, NULL);
	close(a);
}

NS_TEST(socket_stays_inside)
{
	int a = ns_new(), fd;
	uint64_t c = 0;
	socklen_t len = sizeof c;

	fd = netns_socket(a, AF_INET6, SOCK_DGRAM, 0, &err);
	CHECK_ERR(fd >= 0, err);
	CHECK(getsockopt(fd, SOL_SOCKET, 71 /* SO_NETNS_COOKIE */, &c, &len) == 0 && c == cookie_of(a) && c != own_cookie());
	CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	close(fd);
	CHECK(netns_socket(a, AF_INET, 77, 0, &err) < 0 && err.text[0]);
	close(a);
}

NS_TEST(no_descriptor_left)
{
	int a = ns_new();
	struct visit v = { .deeper = -1 };
	unsigned before = ns_fds();

	for (int i = 0; i < 200; i++) {
		netns_run(a, look, &v, &err);
		cookie_of(a);
		netns_open("/proc/self/ns/pid", &err);
		netns_socket(a, AF_INET, 77, 0, &err);
		netns_run(0x7fff, look, &v, &err);
	}
	CHECK(v.calls == 200);
	CHECK(ns_fds() == before);
	close(a);
}

const struct unit_test tests_netns[] = {
	{ "opening, and what is no namespace", opening },
	{ "cookies", cookies },
	{ "there and back, nested", there_and_back },
	{ "aborts when it cannot come back", cannot_come_back },
	{ "other threads stay where they are", other_threads_stay },
	{ "a socket stays inside", socket_stays_inside },
	{ "no descriptor is left", no_descriptor_left },
	{ 0 },
};
