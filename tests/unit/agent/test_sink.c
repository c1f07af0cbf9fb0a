/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "agent/sink.h"
#include "tests/unit/agent/tmpdir.h"

#define WAIT_MS 5000

struct bench {
	struct tmpdir dir;
	struct evring *ring;
	struct evring *rings[1];
	int wake;
	struct sinks *sinks;
	uint64_t n;		/* events put */
};

static void start(struct bench *b, const struct sink_conf *conf, unsigned n)
{
	struct eve_conf eve = { .node = "n", .utc = true };
	struct err e = { "" };

	b->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	b->ring = b->rings[0] = evring_new(1 << 20, b->wake);
	b->n = 0;
	b->sinks = sinks_start(&eve, conf, n, b->rings, 1, b->wake, &e);
	CU_ASSERT_STRING_EQUAL(e.text, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(b->sinks);
}

static void stop(struct bench *b)
{
	sinks_stop(b->sinks);
	evring_free(b->ring);
	close(b->wake);
}

static void tell(struct bench *b, enum event_type type)
{
	struct event ev = { .flow_id = ++b->n, .type = (uint8_t)type };

	CU_ASSERT_TRUE(evring_put(b->ring, &ev));
	evring_wake(b->ring);
}

static void nap(void) { nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL); }

static unsigned lines_in(const char *path)
{
	static char buf[1 << 20];
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(buf, 1, sizeof buf, f) : 0;
	unsigned lines = 0;

	if (f)
		fclose(f);
	for (size_t i = 0; i < n; i++)
		lines += buf[i] == '\n';
	CU_ASSERT(!n || buf[n - 1] == '\n');
	return lines;
}

static bool wait_lines(const char *path, unsigned want)
{
	for (int ms = 0; ms < WAIT_MS; ms += 5, nap())
		if (lines_in(path) >= want)
			return lines_in(path) == want;
	return false;
}

static bool wait_dropped(struct sinks *s, unsigned at)
{
	struct sink_stats st[8];

	for (int ms = 0; ms < WAIT_MS; ms += 5, nap())
		if (sinks_stats(s, st, 8) > at && st[at].dropped)
			return true;
	return false;
}

static void test_file(void)
{
	struct bench b;
	struct sink_conf conf[2] = { { .type = SINK_FILE, .mask = ~0ULL }, { .type = SINK_FILE, .mask = 1ULL << EV_DNS } };
	struct sink_stats st[8];
	char all[512], dns[512], old[512];
	struct stat sb;

	tmpdir_make(&b.dir);
	strcpy(all, tmpdir_at(&b.dir, "all.json"));
	strcpy(dns, tmpdir_at(&b.dir, "dns.json"));
	strcpy(old, tmpdir_at(&b.dir, "old.json"));
	conf[0].path = all;
	conf[1].path = dns;
	start(&b, conf, 2);
	CU_ASSERT_EQUAL(sinks_mask(b.sinks), ~0ULL);
	CU_ASSERT_EQUAL(stat(all, &sb), 0);
	CU_ASSERT_EQUAL(sb.st_mode & 07777 & ~0640u, 0);
	tell(&b, EV_FLOW);
	tell(&b, EV_DNS);
	tell(&b, EV_HTTP);
	CU_ASSERT_TRUE(wait_lines(all, 3));
	CU_ASSERT_TRUE(wait_lines(dns, 1));
	sinks_put_line(b.sinks, EV_STATS, "{}\n", 3);
	CU_ASSERT_TRUE(wait_lines(all, 4));

	/* moved away and opened again by hand: nothing is lost, nothing is in both */
	CU_ASSERT_EQUAL(rename(all, old), 0);
	sinks_reopen(b.sinks);
	for (int ms = 0; ms < WAIT_MS && access(all, F_OK); ms += 5)
		nap();
	tell(&b, EV_FLOW);
	CU_ASSERT_TRUE(wait_lines(all, 1));
	CU_ASSERT_EQUAL(lines_in(old), 4);

	/* moved away and nobody says so: the name is looked at within a second */
	CU_ASSERT_EQUAL(rename(all, old), 0);
	for (int ms = 0; ms < WAIT_MS && access(all, F_OK); ms += 5)
		nap();
	tell(&b, EV_FLOW);
	CU_ASSERT_TRUE(wait_lines(all, 1));
	CU_ASSERT_EQUAL(sinks_stats(b.sinks, st, 8), 3);
	CU_ASSERT_EQUAL(st[0].lines, 6);
	CU_ASSERT_EQUAL(st[0].dropped, 0);
	CU_ASSERT_STRING_EQUAL(st[1].name, dns);
	for (int i = 0; i < 3000; i++)
		tell(&b, EV_TLS);
	stop(&b);		/* drains */
	CU_ASSERT_EQUAL(lines_in(all), 3001);
	CU_ASSERT_EQUAL(lines_in(dns), 1);
	tmpdir_remove(&b.dir);
}

static void test_replace(void)
{
	struct bench b;
	struct sink_conf conf = { .type = SINK_FILE, .mask = ~0ULL }, bad = { .type = SINK_FILE, .mask = ~0ULL, .path = (char *)(uintptr_t)"/nowhere/eve.json" };
	char one[512], two[512];
	struct sink_stats st[8];
	struct err e = { "" };

	tmpdir_make(&b.dir);
	strcpy(one, tmpdir_at(&b.dir, "one"));
	strcpy(two, tmpdir_at(&b.dir, "two"));
	conf.path = one;
	start(&b, &conf, 1);
	tell(&b, EV_FLOW);
	CU_ASSERT_TRUE(wait_lines(one, 1));
	CU_ASSERT_NOT_EQUAL(sinks_replace(b.sinks, &bad, 1, &e), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "/nowhere/eve.json: No such file"));
	tell(&b, EV_FLOW);
	CU_ASSERT_TRUE(wait_lines(one, 2));
	CU_ASSERT_EQUAL(sinks_replace(b.sinks, &conf, 1, &e), 0);	/* the same again: goes on counting */
	sinks_stats(b.sinks, st, 8);
	CU_ASSERT_EQUAL(st[0].lines, 2);
	conf.path = two;
	conf.mask = 1ULL << EV_FLOW;
	CU_ASSERT_EQUAL(sinks_replace(b.sinks, &conf, 1, &e), 0);
	CU_ASSERT_EQUAL(sinks_mask(b.sinks), 1ULL << EV_FLOW);
	for (int ms = 0; ms < WAIT_MS && lines_in(two) == 0; ms += 5) {	/* until the thread has it */
		tell(&b, EV_FLOW);
		nap();
	}
	CU_ASSERT(lines_in(two) > 0);
	stop(&b);
	CU_ASSERT_EQUAL(lines_in(one) + lines_in(two), b.n);
	tmpdir_remove(&b.dir);
	CU_ASSERT_PTR_NULL(sinks_start(&(struct eve_conf){ .node = "n" }, &bad, 1, NULL, 0, -1, &e));
	sinks_stop(NULL);
}

static int listen_unix(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(a.sun_path, path);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	CU_ASSERT_EQUAL(listen(fd, 4), 0);
	return fd;
}

/* Everything up to `want` lines or the end; each line must be whole. Returns the number of lines. */
static uint64_t read_lines(int fd, uint64_t want, uint64_t *bad)
{
	static char buf[1 << 16];
	uint64_t lines = 0;
	bool start = true;

	while (lines < want) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n = poll(&p, 1, WAIT_MS) == 1 ? read(fd, buf, sizeof buf) : 0;

		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n; i++) {
			if (start && buf[i] != '{')
				++*bad;
			start = buf[i] == '\n';
			lines += start;
		}
	}
	return lines;
}

static void test_unix(void)
{
	struct bench b;
	struct sink_conf conf[2] = { { .type = SINK_UNIX, .mask = ~0ULL }, { .type = SINK_FILE, .mask = ~0ULL } };
	char sock[100], file[512];
	struct sink_stats st[8];
	uint64_t bad = 0, got;
	int l, c;

	tmpdir_make(&b.dir);
	snprintf(sock, sizeof sock, "%.64s/sock", b.dir.path);
	strcpy(file, tmpdir_at(&b.dir, "file"));
	conf[0].path = sock;
	conf[1].path = file;
	start(&b, conf, 2);		/* nobody listens yet */
	tell(&b, EV_FLOW);
	CU_ASSERT_TRUE(wait_lines(file, 1));
	l = listen_unix(sock);
	c = accept(l, NULL, NULL);
	CU_ASSERT_EQUAL(read_lines(c, 1, &bad), 1);	/* the line waited */

	/* the reader stands still: its lines are lost and counted, the file has all */
	for (int i = 0; i < 200000 && !(i % 1000 == 999 && sinks_stats(b.sinks, st, 8) && st[0].dropped); i++) {
		while (!evring_put(b.ring, &(struct event){ .flow_id = b.n + 1, .type = EV_FLOW }))
			nap();
		b.n++;
		evring_wake(b.ring);
	}
	CU_ASSERT_TRUE(wait_dropped(b.sinks, 0));
	for (int ms = 0; ms < WAIT_MS; ms += 5, nap())
		if (sinks_stats(b.sinks, st, 8) && st[1].lines == b.n)
			break;
	CU_ASSERT_EQUAL(st[1].lines, b.n);
	CU_ASSERT_EQUAL(st[1].dropped, 0);
	CU_ASSERT(st[0].dropped > 0);

	/* it breaks off in the middle of a line and comes again: a new connection begins with a new line */
	close(c);
	c = accept(l, NULL, NULL);
	got = read_lines(c, 100, &bad);
	CU_ASSERT(got >= 100);
	CU_ASSERT_EQUAL(bad, 0);
	close(c);
	close(l);
	stop(&b);
	tmpdir_remove(&b.dir);
}

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

static void test_follow(void)
{
	struct bench b;
	struct err e = { "" };
	int p[2], q[2], pipes[2];
	uint64_t bad = 0;

	start(&b, NULL, 0);
	CU_ASSERT_EQUAL(sinks_mask(b.sinks), 0);
	CU_ASSERT_EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p), 0);
	CU_ASSERT_EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, q), 0);
	CU_ASSERT_EQUAL(pipe2(pipes, O_CLOEXEC), 0);
	CU_ASSERT_EQUAL(sinks_follow(b.sinks, p[0], 1ULL << EV_DNS, &e), 0);
	CU_ASSERT_EQUAL(sinks_follow(b.sinks, q[0], 1ULL << EV_FLOW, &e), 0);
	CU_ASSERT_EQUAL(sinks_follow(b.sinks, pipes[1], 1ULL << EV_FLOW, &e), 0);
	CU_ASSERT_EQUAL(sinks_mask(b.sinks), 1ULL << EV_DNS | 1ULL << EV_FLOW);
	for (int ms = 0; ms < WAIT_MS && !(readable(q[1]) && readable(pipes[0])); ms += 5) {	/* until they have joined */
		tell(&b, EV_FLOW);
		nap();
	}
	tell(&b, EV_FLOW);
	tell(&b, EV_DNS);
	CU_ASSERT_EQUAL(read_lines(p[1], 1, &bad), 1);
	CU_ASSERT_EQUAL(read_lines(q[1], 2, &bad), 2);
	CU_ASSERT_EQUAL(read_lines(pipes[0], 2, &bad), 2);
	close(p[1]);		/* gone without a word: seen although nothing is told */
	for (int ms = 0; ms < WAIT_MS && sinks_mask(b.sinks) != 1ULL << EV_FLOW; ms += 5)
		nap();
	CU_ASSERT_EQUAL(sinks_mask(b.sinks), 1ULL << EV_FLOW);
	for (int i = 0; i < 20000; i++) {	/* q and the pipe stand still */
		while (!evring_put(b.ring, &(struct event){ .flow_id = 1, .type = EV_FLOW }))
			nap();
		evring_wake(b.ring);
	}
	CU_ASSERT_TRUE(wait_dropped(b.sinks, 0));
	stop(&b);		/* a follower that does not read holds nobody for long */
	read_lines(q[1], UINT64_MAX, &bad);
	CU_ASSERT_EQUAL(bad, 0);
	close(q[1]);
	close(pipes[0]);
}

static void test_many_followers(void)
{
	struct bench b;
	struct err e = { "" };
	int p[80][2], refused = 0;

	start(&b, NULL, 0);
	for (int i = 0; i < 80; i++) {
		CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p[i]), 0);
		if (sinks_follow(b.sinks, p[i][0], ~0ULL, &e)) {
			refused++;
			close(p[i][0]);
		}
	}
	CU_ASSERT_EQUAL(refused, 16);
	for (int i = 0; i < 80; i++)
		close(p[i][1]);
	for (int ms = 0; ms < WAIT_MS && sinks_mask(b.sinks); ms += 5)
		nap();
	CU_ASSERT_EQUAL(sinks_mask(b.sinks), 0);
	stop(&b);
}

const struct unit_test tests_sink[] = {
	{ "files, types, rotation", test_file },
	{ "another set of sinks", test_replace },
	{ "a unix socket that comes late, blocks and breaks", test_unix },
	{ "followers", test_follow },
	{ "too many followers", test_many_followers },
	{ 0 },
};
