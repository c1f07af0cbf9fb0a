/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The client's side of the control socket. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "agent/control.h"

#define ANSWER_MAX (512u << 20)

static int connect_to(const char *path, struct err *err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof a.sun_path)
		return err_set(err, -ENAMETOOLONG, "%s: too long for a socket's path", path);
	memcpy(a.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a)) {
		int rc = -errno;

		if (fd >= 0)
			close(fd);
		return err_set(err, rc, "%s: %s: is tapqd running?", path, strerror(-rc));
	}
	return fd;
}

static int send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return -errno;
		p += sent;
		n -= (size_t)sent;
	}
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* One line, without its end. The byte after it is not read: events follow on the same descriptor. */
static char *read_line(int fd, int timeout_ms, size_t *len, struct err *err)
{
	int64_t until = now_ms() + timeout_ms;
	size_t size = 65536, n = 0;
	char *p = malloc(size), *grown;

	while (p) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		int64_t left = until - now_ms();
		char *end;
		ssize_t got;

		if (left <= 0 || poll(&pfd, 1, (int)left) <= 0) {
			err_set(err, -ETIMEDOUT, "tapqd did not answer within %d ms", timeout_ms);
			break;
		}
		if (n == size) {
			grown = size < ANSWER_MAX ? realloc(p, size * 2) : NULL;
			if (!grown)
				break;
			p = grown;
			size *= 2;
		}
		got = recv(fd, p + n, size - n, MSG_PEEK);
		if (got <= 0) {
			err_set(err, -EPIPE, "tapqd closed the connection without an answer");
			break;
		}
		end = memchr(p + n, '\n', (size_t)got);
		if (end)
			got = end - (p + n) + 1;
		if (recv(fd, p + n, (size_t)got, 0) != got)
			break;
		n += (size_t)got;
		if (end) {
			*len = n - 1;
			return p;
		}
	}
	free(p);
	return NULL;
}

json_t *control_call(const char *path, const char *command, json_t *args, int *fd_out, int timeout_ms, struct err *err)
{
	json_t *req = json_pack("{s:s, s:o*}", "command", command, "args", args), *answer = NULL, *data = NULL;
	char *text = req ? json_dumps(req, JSON_COMPACT) : NULL, *line = NULL;
	int fd = connect_to(path, err);
	size_t n = 0;

	json_decref(req);
	if (fd < 0 || !text)
		goto out;
	if (send_all(fd, text, strlen(text)) || send_all(fd, "\n", 1)) {
		err_set(err, -EPIPE, "%s: %s", path, strerror(errno));
		goto out;
	}
	line = read_line(fd, timeout_ms, &n, err);
	answer = line ? json_loadb(line, n, 0, NULL) : NULL;
	if (line && !answer)
		err_set(err, -EPROTO, "tapqd answered something that is not JSON");
	if (json_is_true(json_object_get(answer, "ok")))
		data = json_incref(json_object_get(answer, "data"));
	else if (answer)
		err_set(err, -EREMOTEIO, "%s", json_string_value(json_object_get(answer, "error")));
out:
	if (fd >= 0 && data && fd_out)
		*fd_out = fd;
	else if (fd >= 0)
		close(fd);
	free(text);
	free(line);
	json_decref(answer);
	return data;
}
