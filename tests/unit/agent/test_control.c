/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The server runs in a thread of the test's, as tapqd's main loop would run it. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "agent/control.h"
#include "tests/unit/agent/tmpdir.h"

static struct tmpdir dir;
static char path[100];
static struct control *control;
static pthread_t thread;
static atomic_bool stopping;
static atomic_int handled;

static int on_request(void *ctx, const struct control_request *r, struct jbuf *out, struct err *err)
{
	(void)ctx;
	handled++;
	if (!strcmp(r->command, "echo")) {
		jb_obj(out, NULL);
		jb_str(out, "text", json_string_value(json_object_get(r->args, "text")));
		jb_end_obj(out);
		return 0;
	}
	if (!strcmp(r->command, "big")) {
		jb_arr(out, NULL);
		for (int i = 0; i < 200000; i++)
			jb_str(out, NULL, "0123456789012345678901234567890123456789");
		jb_end_arr(out);
		return 0;
	}
	if (!strcmp(r->command, "take")) {
		if (write(r->fd, "{\"ok\": true, \"data\": {}}\nline\n", 30) != 30)
			return -EIO;
		close(r->fd);
		return CONTROL_TAKEN;
	}
	return err_set(err, -ENOSYS, "%s: \"no\" such\ncommand", r->command);
}

static void *serve(void *arg)
{
	(void)arg;
	while (!stopping) {
		struct pollfd p = { .fd = control_fd(control), .events = POLLIN };

		poll(&p, 1, 20);
		control_run(control);
	}
	return NULL;
}

static void start(void)
{
	struct err e = { "" };
	pid_t owner;

	tmpdir_make(&dir);
	snprintf(path, sizeof path, "%.60s/sub/control.sock", dir.path);
	control = control_open(path, on_request, NULL, &owner, &e);
	CU_ASSERT_STRING_EQUAL(e.text, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(control);
	stopping = false;
	handled = 0;
	pthread_create(&thread, NULL, serve, NULL);
}

static void stop(void)
{
	char sub[100];

	stopping = true;
	pthread_join(thread, NULL);
	control_close(control);
	CU_ASSERT_EQUAL(access(path, F_OK), -1);
	snprintf(sub, sizeof sub, "%.60s/sub", dir.path);
	rmdir(sub);
	tmpdir_remove(&dir);
}

static int connect_raw(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(a.sun_path, path);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

static void say(int fd, const char *s, size_t n)
{
	while (n) {
		ssize_t w = send(fd, s, n, MSG_NOSIGNAL);

		if (w <= 0)
			return;
		s += w;
		n -= (size_t)w;
	}
}

/* The next line, or "" when the connection ended or nothing came. */
static const char *hear(int fd)
{
	static char buf[4096];
	size_t n = 0;

	while (n < sizeof buf - 1) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (poll(&p, 1, 5000) != 1 || recv(fd, buf + n, 1, 0) != 1)
			break;
		if (buf[n++] == '\n')
			break;
	}
	buf[n] = 0;
	return buf;
}

static void test_calls(void)
{
	struct err e = { "" };
	struct stat st;
	json_t *v;
	int fd = -1;

	start();
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	v = control_call(path, "echo", json_pack("{s:s}", "text", "h\xc3\xa9\n\"x"), NULL, 5000, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(v);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(v, "text")), "h\xc3\xa9\n\"x");
	json_decref(v);
	v = control_call(path, "big", NULL, NULL, 10000, &e);
	CU_ASSERT_EQUAL(json_array_size(v), 200000);
	json_decref(v);
	CU_ASSERT_PTR_NULL(control_call(path, "nothing", json_object(), NULL, 5000, &e));
	CU_ASSERT_STRING_EQUAL(e.text, "nothing: \"no\" such\ncommand");
	v = control_call(path, "take", json_object(), &fd, 5000, &e);
	CU_ASSERT_PTR_NOT_NULL(v);
	json_decref(v);
	CU_ASSERT_STRING_EQUAL(hear(fd), "line\n");	/* what follows the answer is left to be read */
	close(fd);
	stop();
	CU_ASSERT_PTR_NULL(control_call(path, "echo", json_object(), NULL, 1000, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "is tapqd running?"));
}

static void test_second(void)
{
	struct err e = { "" };
	pid_t owner = 0;
	struct control *c;
	bool full = false;
	int fd, fds[64];

	start();
	CU_ASSERT_PTR_NULL(control_open(path, on_request, NULL, &owner, &e));
	CU_ASSERT_EQUAL(owner, getpid());
	stop();
	/* one that listens but accepts nobody: its queue is full, and we don't wait in it */
	tmpdir_make(&dir);
	snprintf(path, sizeof path, "%.60s/control.sock", dir.path);
	c = control_open(path, on_request, NULL, &owner, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	for (int i = 0; i < 64; i++) {
		struct sockaddr_un a = { .sun_family = AF_UNIX };

		fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		strcpy(a.sun_path, path);
		if (connect(fds[i], (struct sockaddr *)&a, sizeof a))
			full = true;
	}
	CU_ASSERT_TRUE(full);
	CU_ASSERT_PTR_NULL(control_open(path, on_request, NULL, &owner, &e));
	CU_ASSERT_EQUAL(owner, -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "does not answer"));
	for (int i = 0; i < 64; i++)
		close(fds[i]);
	control_close(c);
	tmpdir_remove(&dir);
	/* a socket file that nobody answers at is replaced */
	tmpdir_make(&dir);
	snprintf(path, sizeof path, "%.60s/control.sock", dir.path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	{
		struct sockaddr_un a = { .sun_family = AF_UNIX };

		strcpy(a.sun_path, path);
		CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	}
	close(fd);
	c = control_open(path, on_request, NULL, &owner, &e);
	CU_ASSERT_PTR_NOT_NULL(c);
	control_close(c);
	tmpdir_remove(&dir);
}

static void test_junk(void)
{
	static const char *const bad[] = { "\n", "x\n", "{}\n", "[]\n", "{\"command\": 1}\n", "{\"command\": \"echo\"", "\xff\xfe\n", "{\"command\":\"a\",\"command\":\"b\"}\n", "null\n" };
	static const char good[] = "{\"command\": \"echo\", \"args\": {\"text\": \"t\"}}\n";
	int fd;

	start();
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		fd = connect_raw();
		say(fd, bad[i], strlen(bad[i]));
		if (strchr(bad[i], '\n'))
			CU_ASSERT_PTR_NOT_NULL(strstr(hear(fd), "\"ok\":false"));
		close(fd);
	}
	/* byte by byte, and two in one */
	fd = connect_raw();
	for (size_t i = 0; i < sizeof good - 1; i++)
		say(fd, good + i, 1);
	CU_ASSERT_STRING_EQUAL(hear(fd), "{\"ok\":true,\"data\":{\"text\":\"t\"}}\n");
	say(fd, good, sizeof good - 1);
	say(fd, good, sizeof good - 1);
	CU_ASSERT_STRING_EQUAL(hear(fd), "{\"ok\":true,\"data\":{\"text\":\"t\"}}\n");
	CU_ASSERT_STRING_EQUAL(hear(fd), "{\"ok\":true,\"data\":{\"text\":\"t\"}}\n");
	close(fd);
	/* the sender closes its half at once: answered all the same, both times */
	fd = connect_raw();
	say(fd, good, sizeof good - 1);
	say(fd, good, sizeof good - 1);
	shutdown(fd, SHUT_WR);
	CU_ASSERT_STRING_EQUAL(hear(fd), "{\"ok\":true,\"data\":{\"text\":\"t\"}}\n");
	CU_ASSERT_STRING_EQUAL(hear(fd), "{\"ok\":true,\"data\":{\"text\":\"t\"}}\n");
	CU_ASSERT_STRING_EQUAL(hear(fd), "");
	close(fd);
	stop();
}

static void test_long(void)
{
	char *text = malloc((64 << 20) + 1);
	int fd;

	start();
	memset(text, 'x', 64 << 20);
	fd = connect_raw();
	say(fd, text, 64 << 20);		/* no line within 32 MiB */
	CU_ASSERT_PTR_NOT_NULL(strstr(hear(fd), "at most 33554432 bytes"));
	CU_ASSERT_STRING_EQUAL(hear(fd), "");
	close(fd);
	strcpy(text + sprintf(text, "{\"command\": \"echo\", \"args\": {\"pad\": \""), "");
	memset(text + strlen(text), 'y', 900000);
	strcpy(text + 900000, "\"}}\n");
	fd = connect_raw();
	say(fd, text, strlen(text));	/* long, but allowed */
	CU_ASSERT_PTR_NOT_NULL(strstr(hear(fd), "\"ok\":true"));
	close(fd);
	free(text);
	stop();
}

/* Those that are too many are turned away; the others work, and their places are free again afterwards. */
static void test_many(void)
{
	static const char good[] = "{\"command\": \"echo\", \"args\": {\"text\": \"t\"}}\n";
	int fds[50], answered = 0;

	start();
	for (int round = 0; round < 3; round++) {
		answered = 0;
		for (int i = 0; i < 50; i++) {
			fds[i] = connect_raw();
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		}
		for (int i = 0; i < 50; i++)
			say(fds[i], good, sizeof good - 1);
		for (int i = 0; i < 50; i++)
			answered += strstr(hear(fds[i]), "\"ok\":true") != NULL;
		CU_ASSERT_EQUAL(answered, 32);
		for (int i = 0; i < 50; i++)
			close(fds[i]);
		for (int ms = 0; ms < 2000; ms += 20)	/* until the server has seen them go */
			if (poll(&(struct pollfd){ .fd = control_fd(control), .events = POLLIN }, 1, 0) == 0)
				break;
			else
				nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	}
	stop();
}

const struct unit_test tests_control[] = {
	{ "requests and answers", test_calls },
	{ "a second one, and a dead one's socket", test_second },
	{ "junk, halves, pieces", test_junk },
	{ "too long", test_long },
	{ "many clients", test_many },
	{ 0 },
};
