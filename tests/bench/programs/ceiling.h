/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ceiling: programs that tell when they listen, and go on until SIGTERM or SIGINT. */
#ifndef TQ_BENCH_CEILING_H
#define TQ_BENCH_CEILING_H

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(1);
}

/* From now on `stop` is set by a signal, which ends a waiting call (EINTR). */
static void tell_listening(void)
{
	struct sigaction term = { .sa_handler = on_term };

	sigaction(SIGTERM, &term, NULL);
	sigaction(SIGINT, &term, NULL);
	puts("listening");
	fflush(stdout);
}

#endif
