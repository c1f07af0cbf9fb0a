/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The server's side of the control socket: an epoll set of its own, so that the main loop polls one descriptor. Each
 * connection reads lines into a bounded buffer; an answer is written at once where the socket takes it, the rest when it
 * is writable again. A peer that neither reads nor writes for long is closed. */
#include "agent/control.h"

#include <errno.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

#define REQUEST_MAX (32u << 20)		/* `policy load` carries a whole file */
#define ANSWER_MAX (256u << 20)
#define CONNS_MAX 32
#define IDLE_S 10

struct conn {
	int fd;
	uint64_t id;
	int64_t touched;	/* s, monotonic */
	char *in;
	size_t in_len, in_size;
	char *out;		/* what is still to be written */
	size_t out_len, out_pos;
	bool waiting;		/* an answer comes later */
	bool eof;		/* the peer has nothing more to say, but may still listen */
};

struct control {
	int epfd, fd;
	char *path;
	control_handler handler;
	void *ctx;
	uint64_t next_id;
	unsigned n;
	struct conn *conns[CONNS_MAX];
};

static int64_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static int address(const char *path, struct sockaddr_un *a, struct err *err)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof a->sun_path)
		return err_set(err, -ENAMETOOLONG, "%s: a socket's path has at most %zu bytes", path, sizeof a->sun_path - 1);
	memcpy(a->sun_path, path, strlen(path) + 1);
	return 0;
}

/* ---- opening ---- */

/* The pid of who listens at that path; 0: nobody; -1: somebody who does not even accept any more. */
static pid_t alive(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred who = { 0 };
	socklen_t n = sizeof who;

	if (fd < 0)
		return 0;
	if (connect(fd, (const struct sockaddr *)a, sizeof *a) || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n))
		who.pid = errno == EAGAIN ? -1 : 0;
	close(fd);
	return who.pid;
}

static int make_directory(const char *path, struct err *err)
{
	char *copy = strdup(path), *dir = copy ? dirname(copy) : NULL;
	int rc = 0;

	if (!copy)
		return err_set(err, -ENOMEM, "no memory");
	if (mkdir(dir, 0750) && errno != EEXIST)
		rc = err_set(err, -errno, "%s: %s", dir, strerror(errno));
	free(copy);
	return rc;
}

static int listen_at(struct control *c, pid_t *owner, struct err *err)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct sockaddr_un a;
	mode_t old;
	int rc = address(c->path, &a, err);

	if (rc || (rc = make_directory(c->path, err)))
		return rc;
	*owner = alive(&a);
	if (*owner < 0)
		return err_set(err, -EADDRINUSE, "%s: tapqd is running already, but does not answer", c->path);
	if (*owner)
		return err_set(err, -EADDRINUSE, "%s: tapqd is running already, pid %d", c->path, (int)*owner);
	unlink(c->path);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	old = umask(0177);
	rc = c->fd < 0 || bind(c->fd, (struct sockaddr *)&a, sizeof a) || listen(c->fd, CONNS_MAX) ? -errno : 0;
	umask(old);
	if (!rc && epoll_ctl(c->epfd, EPOLL_CTL_ADD, c->fd, &ev))
		rc = -errno;
	return rc ? err_set(err, rc, "%s: %s", c->path, strerror(-rc)) : 0;
}

struct control *control_open(const char *path, control_handler handler, void *ctx, pid_t *owner, struct err *err)
{
	struct control *c = calloc(1, sizeof *c);

	*owner = 0;
	if (!c || !(c->path = strdup(path))) {
		err_set(err, -ENOMEM, "no memory");
		free(c);
		return NULL;
	}
	c->handler = handler;
	c->ctx = ctx;
	c->fd = -1;
	c->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (c->epfd < 0)
		err_set(err, -errno, "%s: %s", path, strerror(errno));
	else if (!listen_at(c, owner, err))
		return c;
	if (c->fd >= 0)
		close(c->fd);
	if (c->epfd >= 0)
		close(c->epfd);
	free(c->path);
	free(c);
	return NULL;
}

int control_fd(const struct control *c) { return c->epfd; }

/* ---- connections ---- */

static void drop_conn(struct control *c, struct conn *k, bool close_fd)
{
	for (unsigned i = 0; i < c->n; i++)
		if (c->conns[i] == k)
			c->conns[i] = c->conns[--c->n];
	if (close_fd)
		close(k->fd);
	free(k->in);
	free(k->out);
	free(k);
}

static void accept_conn(struct control *c)
{
	int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct epoll_event ev = { .events = EPOLLIN };
	struct conn *k;

	if (fd < 0)
		return;
	k = c->n < CONNS_MAX ? calloc(1, sizeof *k) : NULL;
	ev.data.ptr = k;
	if (!k || epoll_ctl(c->epfd, EPOLL_CTL_ADD, fd, &ev)) {
		log_warn(CONTROL, "a connection was refused: there are %u already", c->n);
		free(k);
		close(fd);
		return;
	}
	k->fd = fd;
	k->id = ++c->next_id;
	k->touched = now_s();
	c->conns[c->n++] = k;
}

/* Writes what the socket takes; false: the connection is gone. */
static bool write_out(struct control *c, struct conn *k)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = k };

	while (k->out_pos < k->out_len) {
		ssize_t n = send(k->fd, k->out + k->out_pos, k->out_len - k->out_pos, MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			ev.events = EPOLLOUT;
			break;
		}
		if (n < 0) {
			drop_conn(c, k, true);
			return false;
		}
		k->out_pos += (size_t)n;
		k->touched = now_s();
	}
	if (k->out_pos == k->out_len) {
		free(k->out);
		k->out = NULL;
		k->out_len = k->out_pos = 0;
	}
	epoll_ctl(c->epfd, EPOLL_CTL_MOD, k->fd, &ev);
	return true;
}

static bool send_answer(struct control *c, struct conn *k, const struct jbuf *data, const struct err *error)
{
	struct jbuf j;

	jb_init(&j, ANSWER_MAX);
	jb_obj(&j, NULL);
	jb_bool(&j, "ok", !error);
	if (error)
		jb_str(&j, "error", error->text);
	else
		jb_raw(&j, "data", data && data->len ? data->p : "{}", data && data->len ? data->len : 2);
	jb_end_obj(&j);
	jb_newline(&j);
	if (j.overflow || (data && data->overflow)) {
		jb_reset(&j);
		j.overflow = false;
		jb_raw(&j, NULL, "{\"ok\": false, \"error\": \"the answer is too long\"}", 49);
		jb_newline(&j);
	}
	free(k->out);
	k->out = j.p;		/* takes the buffer */
	k->out_len = j.len;
	k->out_pos = 0;
	k->waiting = false;
	return write_out(c, k);
}

/* One request line; false: the connection is gone. */
static bool handle_line(struct control *c, struct conn *k, const char *line, size_t n)
{
	struct err err = { "" };
	json_error_t why;
	json_t *req = json_loadb(line, n, JSON_REJECT_DUPLICATES, &why), *args = json_object_get(req, "args"), *empty = json_object();
	struct control_request r = { .command = json_string_value(json_object_get(req, "command")), .args = json_is_object(args) ? args : empty, .fd = k->fd, .id = k->id };
	struct jbuf out;
	bool alive_still = true;
	int rc;

	jb_init(&out, ANSWER_MAX - 4096);
	if (!req)
		rc = err_set(&err, -EINVAL, "not JSON: %s", why.text);
	else if (!r.command)
		rc = err_set(&err, -EINVAL, "no command: {\"command\": NAME, \"args\": {...}} is expected");
	else
		rc = c->handler(c->ctx, &r, &out, &err);
	if (rc == CONTROL_TAKEN) {
		epoll_ctl(c->epfd, EPOLL_CTL_DEL, k->fd, NULL);
		drop_conn(c, k, false);
		alive_still = false;
	} else if (rc == CONTROL_KEEP) {
		k->waiting = true;
	} else {
		alive_still = send_answer(c, k, &out, rc < 0 ? &err : NULL);
	}
	jb_free(&out);
	json_decref(req);
	json_decref(empty);
	return alive_still;
}

static bool read_in(struct control *c, struct conn *k)
{
	for (;;) {
		ssize_t n;

		if (k->in_len == k->in_size) {
			size_t size = k->in_size ? k->in_size * 2 : 4096;
			char *p = size <= REQUEST_MAX ? realloc(k->in, size) : NULL;

			if (!p) {
				struct err err;

				err_set(&err, -E2BIG, "a request has at most %u bytes", REQUEST_MAX);
				if (send_answer(c, k, NULL, &err))
					drop_conn(c, k, true);
				return false;
			}
			k->in = p;
			k->in_size = size;
		}
		n = recv(k->fd, k->in + k->in_len, k->in_size - k->in_len, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n < 0) {
			drop_conn(c, k, true);
			return false;
		}
		if (n == 0) {	/* what came before is answered still */
			k->eof = true;
			return true;
		}
		k->in_len += (size_t)n;
		k->touched = now_s();
	}
}

static void serve(struct control *c, struct conn *k, uint32_t events)
{
	char *end;

	if ((events & EPOLLOUT) && !write_out(c, k))
		return;
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !read_in(c, k))
		return;
	while (!k->waiting && !k->out && k->in_len && (end = memchr(k->in, '\n', k->in_len))) {
		size_t line = (size_t)(end - k->in), rest = k->in_len - line - 1;
		char *copy = malloc(line + 1);

		if (!copy)
			return;
		memcpy(copy, k->in, line);
		memmove(k->in, end + 1, rest);
		k->in_len = rest;
		if (!handle_line(c, k, copy, line)) {
			free(copy);
			return;
		}
		free(copy);
	}
	if (k->eof && ((events & (EPOLLHUP | EPOLLERR)) || (!k->waiting && !k->out)))
		drop_conn(c, k, true);
	else if (k->eof && k->waiting)
		epoll_ctl(c->epfd, EPOLL_CTL_MOD, k->fd, &(struct epoll_event){ .data.ptr = k });
}

void control_run(struct control *c)
{
	struct epoll_event evs[CONNS_MAX + 1];
	int n = epoll_wait(c->epfd, evs, CONNS_MAX + 1, 0);
	int64_t now = now_s();

	for (int i = 0; i < n; i++) {
		if (!evs[i].data.ptr)
			accept_conn(c);
		else
			serve(c, evs[i].data.ptr, evs[i].events);
	}
	for (unsigned i = c->n; i-- > 0; ) {
		struct conn *k = c->conns[i];

		if (!k->waiting && (k->in_len || k->out) && now - k->touched >= IDLE_S)
			drop_conn(c, k, true);
	}
}

int control_timeout(const struct control *c)
{
	for (unsigned i = 0; i < c->n; i++)
		if (c->conns[i]->in_len || c->conns[i]->out)
			return 1000;
	return -1;
}

void control_finish(struct control *c, uint64_t id, const struct jbuf *data, const struct err *error)
{
	for (unsigned i = 0; i < c->n; i++) {
		if (c->conns[i]->id == id) {
			send_answer(c, c->conns[i], data, error);
			return;
		}
	}
}

void control_close(struct control *c)
{
	if (!c)
		return;
	while (c->n)
		drop_conn(c, c->conns[0], true);
	unlink(c->path);
	close(c->fd);
	close(c->epfd);
	free(c->path);
	free(c);
}
