/* SPDX-License-Identifier: GPL-2.0-or-later */
/* measure CPU[,CPU]... OUT PROGRAM ARGUMENT...: runs it on these processors, what it prints goes to OUT. Prints its exit, user and system seconds, the
 * most memory it had (KiB): of itself, which a caller with more memory than its child could not see; and the seconds from its start to its end. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "measure: %s: %s\n", what, strerror(errno));
	exit(2);
}

static _Noreturn void child(char **argv)
{
	cpu_set_t cpus;
	int fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CPU_ZERO(&cpus);
	for (char *cpu = strtok(argv[1], ","); cpu; cpu = strtok(NULL, ","))
		CPU_SET((unsigned)atoi(cpu), &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		die("processors");
	if (fd < 0 || dup2(fd, 1) < 0)
		die(argv[2]);
	execvp(argv[3], argv + 3);
	die(argv[3]);
}

int main(int argc, char **argv)
{
	struct rusage u;
	double began;
	int status;
	pid_t pid;

	if (argc < 4) {
		fprintf(stderr, "measure CPU[,CPU]... OUT PROGRAM ARGUMENT...\n");
		return 2;
	}
	began = now();
	pid = fork();
	if (!pid)
		child(argv);
	if (pid < 0 || wait4(pid, &status, 0, &u) != pid)
		die("wait4");
	printf("%d %.6f %.6f %ld %.6f\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), seconds(u.ru_utime), seconds(u.ru_stime), u.ru_maxrss,
	       now() - began);
	return 0;
}
