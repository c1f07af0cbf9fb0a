/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/bridge/nstest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

unsigned ns_failed;
static int log_fd = -1;
static off_t log_read;

static void open_log(void)
{
	char name[] = "/tmp/unit-bridge-log-XXXXXX";

	log_fd = mkostemp(name, O_CLOEXEC);
	if (log_fd < 0)
		abort();
	unlink(name);
}

static void print_log(void)
{
	char text[4096];
	ssize_t n = pread(log_fd, text, sizeof text, 0);

	printf("\n    logged: %.*s", n > 0 ? (int)n : 0, text);
}

static void child_main(void (*body)(void))
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("tmpfs", "/run", "tmpfs", 0, NULL)) {
		printf("\n    namespaces: %s", strerror(errno));
		ns_failed++;
	} else {
		dup2(log_fd, 2);
		body();
	}
	exit(ns_failed ? 1 : 0);	/* not _exit: the leak checker looks now */
}

void ns_test(void (*body)(void))
{
	int status = 0;
	pid_t pid;

	open_log();
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		child_main(body);
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		CU_FAIL("no child");
		return;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		print_log();
		printf("\n    the test's child ended with %s %d ", WIFEXITED(status) ? "exit code" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	}
	close(log_fd);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- ip ---- */

static int run_ip(int nsfd, char *line)
{
	char *argv[64] = { (char *)"ip" }, *save;
	int argc = 1, status = -1;
	pid_t pid;

	for (char *word = strtok_r(line, " ", &save); word && argc < 63; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	pid = fork();
	if (pid == 0) {
		if (nsfd >= 0 && setns(nsfd, CLONE_NEWNET))
			_exit(126);
		execvp("ip", argv);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int ip(const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	return run_ip(-1, line);
}

int ip_in(int nsfd, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	return run_ip(nsfd, line);
}

/* ---- namespaces ---- */

static int open_own(void) { return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC); }

int ns_new(void)
{
	int home = open_own(), fd;

	if (home < 0 || unshare(CLONE_NEWNET))
		abort();
	fd = open_own();
	if (fd < 0 || setns(home, CLONE_NEWNET))
		abort();
	close(home);
	return fd;
}

const char *ns_path(int nsfd)
{
	static char path[64];

	snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getpid(), nsfd);
	return path;
}

bool ns_name(int nsfd, const char *path)
{
	char dir[256];
	int fd;

	snprintf(dir, sizeof dir, "%s", path);
	for (char *p = strchr(dir + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = 0;
		mkdir(dir, 0755);
		*p = '/';
	}
	fd = open(path, O_CREAT | O_CLOEXEC | O_RDONLY, 0644);
	if (fd < 0)
		return false;
	close(fd);
	return mount(ns_path(nsfd), path, NULL, MS_BIND, NULL) == 0;
}

void ns_veth(const char *host, int nsfd, const char *inner)
{
	CHECK(ip("link add %s type veth peer name %s netns %s", host, inner, ns_path(nsfd)) == 0);
	CHECK(ip("link set %s up", host) == 0);
	CHECK(ip_in(nsfd, "link set %s up", inner) == 0);
}

pid_t ns_process(int nsfd, bool grandchild)
{
	pid_t pid = -1, child;
	int p[2];

	if (pipe2(p, O_CLOEXEC))
		abort();
	child = fork();
	if (child == 0) {
		pid_t me;

		if (grandchild && fork())
			_exit(0);
		if (setns(nsfd, CLONE_NEWNET))
			_exit(1);
		prctl(PR_SET_PDEATHSIG, grandchild ? 0 : SIGKILL);
		alarm(60);	/* whatever becomes of the test */
		me = getpid();
		if (write(p[1], &me, sizeof me) != sizeof me)
			_exit(1);
		for (int fd = 0; fd < 64; fd++)
			close(fd);	/* the test's descriptors must not keep anything alive from here */
		for (;;)
			pause();
	}
	close(p[1]);
	if (read(p[0], &pid, sizeof pid) != sizeof pid)
		abort();
	close(p[0]);
	if (grandchild)
		waitpid(child, NULL, 0);
	return pid;
}

/* A zombie that its parent has yet to reap is in no namespace any more. */
static bool is_gone(void *ctx)
{
	char path[64], link[64];

	snprintf(path, sizeof path, "/proc/%d/ns/net", (int)*(pid_t *)ctx);
	return readlink(path, link, sizeof link) < 0;
}

void ns_end(pid_t pid)
{
	kill(pid, SIGKILL);
	if (waitpid(pid, NULL, 0) != pid && !ns_wait(is_gone, &pid, 5000))
		abort();
}

/* ---- looking ---- */

unsigned ns_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

bool ns_logged(const char *text)
{
	char buf[16384];
	ssize_t n = pread(log_fd, buf, sizeof buf - 1, log_read);

	if (n <= 0)
		return false;
	buf[n] = 0;
	log_read += n;
	return strstr(buf, text) != NULL;
}

bool ns_wait(bool (*condition)(void *ctx), void *ctx, int ms)
{
	struct timespec step = { .tv_nsec = 5000000 };

	for (int i = 0; i <= ms / 5; i++) {
		if (condition(ctx))
			return true;
		nanosleep(&step, NULL);
	}
	return false;
}
