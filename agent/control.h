/* SPDX-License-Identifier: GPL-2.0-or-later */
/* control: the unix socket that tapq talks to.
 *
 * Stream socket, mode 0600, in a directory made 0750 where it is missing. One request is one JSON line
 * {"command": NAME, "args": {...}}; the answer is one JSON line {"ok": true, "data": ...} or {"ok": false, "error": "one line"}.
 * `events` with follow answers {"ok": true} and then event lines until the peer closes. Requests are <= 32 MiB; at most 32
 * connections; a peer that is silent for 10 s in the middle of a request is closed. Runs on the main thread's epoll. */
#ifndef TQ_AGENT_CONTROL_H
#define TQ_AGENT_CONTROL_H

#include <jansson.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/jbuf.h"

struct control;

/* Handles one request: writes the value of "data" to out and returns 0, or fills err and returns -errno. CONTROL_KEEP: the answer comes later through
 * control_finish(id); CONTROL_TAKEN: the handler took the descriptor (fd) for itself after it wrote the answer line. */
#define CONTROL_KEEP 1
#define CONTROL_TAKEN 2
struct control_request {
	const char *command;
	const json_t *args;	/* an object, borrowed; never NULL */
	int fd;
	uint64_t id;
};
typedef int (*control_handler)(void *ctx, const struct control_request *, struct jbuf *out, struct err *);

/* -EADDRINUSE when a live tapqd answers there; its pid goes to *owner (-1: it does not answer). A dead socket file is replaced. */
struct control *control_open(const char *path, control_handler, void *ctx, pid_t *owner, struct err *);
int control_fd(const struct control *);		/* an epoll descriptor: readable when control_run has work */
void control_run(struct control *);
int control_timeout(const struct control *);	/* ms until control_run should be called anyway; -1: never */
void control_finish(struct control *, uint64_t id, const struct jbuf *data, const struct err *error /* NULL: ok */);
void control_close(struct control *);		/* removes the socket file; NULL is fine */

/* The client's side: sends one request, gets the answer ("data", owned by the caller) or NULL + err. fd stays open in *fd_out for `events` (else NULL). */
json_t *control_call(const char *path, const char *command, json_t *args /* taken; NULL: none */, int *fd_out, int timeout_ms, struct err *);

#endif
