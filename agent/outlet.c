/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Theory of operation: a line is appended to the outlet's buffer, or lost and counted when there is no room. Whole lines are kept or
 * lost, never parts: what was begun is finished before anything else is written, and a new connection starts with a new line.
 *
 * No descriptor may hold the thread: sockets are written with MSG_DONTWAIT, pipes and terminals after poll and in pieces that a pipe
 * takes whole. Regular files are the exception, as everywhere. */
#include "agent/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/counter.h"
#include "base/log.h"

#define OUT_MAX (1u << 20)	/* buffer of one outlet */
#define OUT_FULL (64u << 10)	/* is written at once when it holds so much */
#define RETRY_NS 1000000000LL	/* pause between connections, and between looks at a file's name */

static uint64_t count_lines(const char *p, size_t n)
{
	uint64_t lines = 0;

	for (const char *end = p + n; n && (p = memchr(p, '\n', (size_t)(end - p))); p++)
		lines++;
	return lines;
}

void outlet_forget(struct outlet *o)
{
	counter_add(&o->dropped, count_lines(o->buf + o->off, o->len - o->off));
	o->off = o->len = 0;
	o->begun = false;
}

static void outlet_shut(struct outlet *o)
{
	if (o->fd >= 0)
		close(o->fd);
	o->fd = -1;
	if (o->begun) {		/* its rest makes no sense on another connection */
		char *end = memchr(o->buf + o->off, '\n', o->len - o->off);

		o->off = end ? (size_t)(end + 1 - o->buf) : o->len;
		o->begun = false;
		counter_add(&o->dropped, 1);
	}
}

void outlet_free(struct outlet *o)
{
	outlet_shut(o);
	free(o->name);
	free(o->buf);
}

static void outlet_know(struct outlet *o)
{
	struct stat st;

	if (fstat(o->fd, &st))
		return;
	o->dev = st.st_dev;
	o->ino = st.st_ino;
	o->regular = S_ISREG(st.st_mode);
	o->socket = S_ISSOCK(st.st_mode);
}

static int open_file(struct outlet *o)
{
	/* O_NONBLOCK so that a FIFO nobody reads is an error and not the end of us */
	int fd = open(o->name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);

	if (fd < 0)
		return -errno;
	outlet_shut(o);
	o->fd = fd;
	outlet_know(o);
	return 0;
}

static int open_unix(struct outlet *o)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, rc;

	if (strlen(o->name) >= sizeof a.sun_path)
		return -ENAMETOOLONG;
	strcpy(a.sun_path, o->name);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&a, sizeof a)) {
		rc = -errno;
		close(fd);
		return rc;
	}
	o->fd = fd;
	outlet_know(o);
	return 0;
}

static int outlet_open(struct outlet *o)
{
	switch (o->type) {
	case SINK_FILE:
		return open_file(o);
	case SINK_UNIX:
		return open_unix(o);
	case SINK_STDOUT:
		o->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
		if (o->fd < 0)
			return -errno;
		outlet_know(o);
		return 0;
	}
	return -EINVAL;
}

/* Connects again, and opens a file again whose name means another one now. */
void outlet_tend(struct outlet *o, int64_t now, bool reopen)
{
	struct stat st;
	int rc = 0;

	o->tended = now;
	if (o->follower || (now < o->retry_at && !reopen))
		return;
	o->retry_at = now + RETRY_NS;
	if (o->fd < 0)
		rc = outlet_open(o);
	else if (o->type == SINK_FILE && (reopen || stat(o->name, &st) || st.st_dev != o->dev || st.st_ino != o->ino))
		rc = open_file(o);	/* when that fails the old one goes on */
	if (rc) {
		counter_add(&o->errors, 1);
		log_warn(SINK, "%s: %s", o->name, strerror(-rc));
	}
}

static ssize_t outlet_write(struct outlet *o, const char *p, size_t n)
{
	if (o->socket)
		return send(o->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (!o->regular) {
		struct pollfd pf = { .fd = o->fd, .events = POLLOUT };

		if (poll(&pf, 1, 0) <= 0 || !(pf.revents & POLLOUT)) {
			errno = pf.revents & (POLLERR | POLLHUP | POLLNVAL) ? EPIPE : EAGAIN;
			return -1;
		}
		if (n > 4096)	/* PIPE_BUF: what poll promises room for */
			n = 4096;
	}
	return write(o->fd, p, n);
}

static void outlet_failed(struct outlet *o, int error)
{
	counter_add(&o->errors, 1);
	if (o->follower) {
		o->broken = true;
		return;
	}
	log_warn(SINK, "%s: %s", o->name, strerror(error));
	if (o->type == SINK_FILE) {	/* a full disk: the line that was begun waits, the others are lost */
		char *end = o->begun ? memchr(o->buf + o->off, '\n', o->len - o->off) : NULL;
		size_t keep = end ? (size_t)(end + 1 - (o->buf + o->off)) : 0;

		counter_add(&o->dropped, count_lines(o->buf + o->off + keep, o->len - o->off - keep));
		o->len = o->off + keep;
		return;
	}
	outlet_shut(o);
	o->retry_at = o->tended + RETRY_NS;
}

void outlet_flush(struct outlet *o)
{
	while (o->fd >= 0 && o->off < o->len && !o->broken) {
		ssize_t n = outlet_write(o, o->buf + o->off, o->len - o->off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n <= 0) {
			outlet_failed(o, n < 0 ? errno : EIO);
			return;
		}
		counter_add(&o->lines, count_lines(o->buf + o->off, (size_t)n));
		o->off += (size_t)n;
		o->begun = o->buf[o->off - 1] != '\n';
	}
	if (o->off == o->len)
		o->off = o->len = 0;
}

void outlet_put(struct outlet *o, const char *line, size_t n)
{
	if (o->broken)
		return;
	if (!o->buf)
		o->buf = malloc(OUT_MAX);
	if (o->buf && n > OUT_MAX - o->len)
		outlet_flush(o);
	if (o->buf && n > OUT_MAX - o->len && o->off >= OUT_MAX / 2) {	/* seldom enough to cost nothing */
		memmove(o->buf, o->buf + o->off, o->len - o->off);
		o->len -= o->off;
		o->off = 0;
	}
	if (!o->buf || n > OUT_MAX - o->len) {
		counter_add(&o->dropped, 1);
		return;
	}
	memcpy(o->buf + o->len, line, n);
	o->len += n;
	if (o->len - o->off >= OUT_FULL && o->regular)
		outlet_flush(o);
}

int outlet_init(struct outlet *o, const struct sink_conf *c, int64_t now, struct err *err)
{
	int rc;

	*o = (struct outlet){ .type = c->type, .mask = c->mask, .fd = -1, .tended = now };
	o->name = strdup(c->type == SINK_STDOUT ? "stdout" : c->path ? c->path : "");
	if (!o->name)
		return err_set(err, -ENOMEM, "events: no memory");
	rc = outlet_open(o);
	if (rc && c->type == SINK_UNIX && rc != -ENAMETOOLONG) {
		o->retry_at = now + RETRY_NS;	/* whoever listens there may come later */
		counter_add(&o->errors, 1);
		return 0;
	}
	return rc ? err_set(err, rc, "events: %s: %s", o->name, strerror(-rc)) : 0;
}

void outlet_follow(struct outlet *o, int fd, uint64_t mask)
{
	*o = (struct outlet){ .follower = true, .fd = fd, .mask = mask };
	outlet_know(o);
}
