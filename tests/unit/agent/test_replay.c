/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole runs over small captures that are written here: UDP between two workloads and an outsider, both families. */
/* A tree whose core is not complete has nothing to replay with, and must link all the same. */
#if __has_include("dpi/engine.h")
#include <jansson.h>
#include <stdint.h>

#include "agent/replay.h"
#include "tests/unit/agent/tmpdir.h"

static struct tmpdir dir;
static uint8_t file[8192];
static size_t used;

static void put(const void *p, size_t n)
{
	memcpy(file + used, p, n);
	used += n;
}

static void put32(uint32_t v) { put(&v, 4); }	/* the machine's order, as the magic says */

static void begin(void)
{
	used = 0;
	put32(0xa1b2c3d4);
	put("\2\0\4\0", 4);
	put32(0);
	put32(0);
	put32(65535);
	put32(1);
}

/* One UDP packet of 8 bytes of nothing known, from host a to host b (their MACs end in the number; 9: the router). */
static void packet(uint32_t sec, unsigned a, unsigned b, uint8_t mac_src, uint8_t mac_dst, uint16_t sport, uint16_t dport)
{
	uint8_t p[50] = { 2, 0, 0, 0, 0, mac_dst, 2, 0, 0, 0, 0, mac_src, 8, 0, 0x45, 0, 0, 36, 0, 1, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, (uint8_t)a, 10, 0, 0, (uint8_t)b };
	uint32_t sum = 0;

	for (int i = 14; i < 34; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	p[24] = (uint8_t)(sum >> 8);
	p[25] = (uint8_t)sum;
	p[34] = (uint8_t)(sport >> 8);
	p[35] = (uint8_t)sport;
	p[36] = (uint8_t)(dport >> 8);
	p[37] = (uint8_t)dport;
	p[39] = 16;
	memset(p + 42, 0xee, 8);
	put32(sec);
	put32(0);
	put32(sizeof p);
	put32(sizeof p);
	put(p, sizeof p);
}

static const char workloads[] =
	"{\"workloads\": [{\"name\": \"web\", \"labels\": {\"app\": \"web\"}, \"interfaces\": [{\"mac\": \"02:00:00:00:00:01\", \"addresses\": [\"10.0.0.77\", \"fe80::1\"]}]},"
	" {\"name\": \"db\", \"labels\": {}, \"interfaces\": [{\"mac\": \"02:00:00:00:00:55\", \"addresses\": [\"10.0.0.2\"]}]}]}\n";

static const char policy[] =
	"version: 1\ndefault: {mode: protect}\ngroups:\n  - {name: web, match: {labels: {app: web}}}\n  - {name: db, match: {workload: db}}\n"
	"rules:\n  - {id: 7, from: web, to: db, ports: [udp/9999], action: deny}\n  - {id: 8, from: any, to: any, action: allow}\n";

/* The events of a run, in one static buffer. */
static const char *run(struct replay_args *a, char *const *files, unsigned n, int *rc)
{
	static char text[4][65536];
	static unsigned slot;
	char *out = text[slot++ % 4];
	struct err e = { "" };
	FILE *f = fmemopen(out, sizeof text[0], "w");

	a->files = files;
	a->nfiles = n;
	a->out = a->no_events ? NULL : f;
	a->totals = f;
	*rc = replay_run(a, &e);
	fclose(f);
	if (*rc)
		snprintf(out, sizeof text[0], "%s", e.text);
	return out;
}

/* The flow event whose dest_port is that; owned by the caller. */
static json_t *flow_to(const char *lines, int port)
{
	for (const char *p = lines; *p; ) {
		const char *end = strchr(p, '\n');
		json_t *v = json_loadb(p, (size_t)(end - p), JSON_REJECT_DUPLICATES, NULL);

		CU_ASSERT_PTR_NOT_NULL_FATAL(v);
		if (!strcmp(json_string_value(json_object_get(v, "event_type")), "flow") && json_integer_value(json_object_get(v, "dest_port")) == port)
			return v;
		json_decref(v);
		p = end + 1;
	}
	return NULL;
}

static const char *S(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static void test_run(void)
{
	struct replay_args a = { 0 }, plain = { 0 }, totals = { .no_events = true };
	char one[128], two[128], both[128], w[128], p[128];
	char *pair[2] = { one, two }, *whole[1] = { both };
	const char *lines;
	json_t *v, *t;
	int rc;

	tmpdir_make(&dir);
	snprintf(w, sizeof w, "%s", tmpdir_write(&dir, "w.json", workloads, strlen(workloads)));
	snprintf(p, sizeof p, "%s", tmpdir_write(&dir, "p.yaml", policy, strlen(policy)));
	begin();
	packet(100, 1, 2, 1, 9, 5000, 9999);	/* web by its MAC (its address is another), db by its address */
	packet(101, 2, 1, 9, 1, 9999, 5000);
	snprintf(one, sizeof one, "%s", tmpdir_write(&dir, "1.pcap", file, used));
	begin();
	packet(102, 3, 1, 9, 1, 6000, 7777);	/* an outsider to web */
	snprintf(two, sizeof two, "%s", tmpdir_write(&dir, "2.pcap", file, used));
	begin();
	packet(100, 1, 2, 1, 9, 5000, 9999);
	packet(101, 2, 1, 9, 1, 9999, 5000);
	packet(102, 3, 1, 9, 1, 6000, 7777);
	snprintf(both, sizeof both, "%s", tmpdir_write(&dir, "b.pcap", file, used));

	a.workloads = w;
	a.policy = p;
	lines = run(&a, pair, 2, &rc);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	CU_ASSERT_STRING_EQUAL(lines, run(&a, pair, 2, &rc));	/* the same bytes again */
	CU_ASSERT_STRING_EQUAL(lines, run(&a, whole, 1, &rc));	/* several files are one run */
	v = flow_to(lines, 9999);
	CU_ASSERT_PTR_NOT_NULL_FATAL(v);
	t = json_object_get(v, "tapq");
	CU_ASSERT_STRING_EQUAL(S(t, "node"), "replay");
	CU_ASSERT_STRING_EQUAL(S(t, "path"), "pcap");
	CU_ASSERT_STRING_EQUAL(S(t, "src_workload"), "web");
	CU_ASSERT_STRING_EQUAL(S(t, "dest_workload"), "db");
	CU_ASSERT_STRING_EQUAL(S(json_object_get(t, "src_labels"), "app"), "web");
	CU_ASSERT_STRING_EQUAL(S(t, "verdict"), "deny");
	CU_ASSERT_TRUE(json_is_false(json_object_get(t, "enforced")));	/* nothing is */
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(t, "rule")), 7);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(json_object_get(v, "flow"), "pkts_toclient")), 1);	/* it went on */
	CU_ASSERT(json_integer_value(json_object_get(v, "flow_id")) > 0);
	CU_ASSERT(strstr(S(v, "timestamp"), "+0000") != NULL);
	json_decref(v);
	v = flow_to(lines, 7777);
	CU_ASSERT_PTR_NOT_NULL_FATAL(v);
	t = json_object_get(v, "tapq");
	CU_ASSERT_STRING_EQUAL(S(t, "src_workload"), "");
	CU_ASSERT_STRING_EQUAL(S(t, "dest_workload"), "web");
	CU_ASSERT_STRING_EQUAL(S(t, "verdict"), "allow");
	json_decref(v);

	v = flow_to(run(&plain, whole, 1, &rc), 9999);	/* no policy, no workloads */
	CU_ASSERT_PTR_NOT_NULL_FATAL(v);
	t = json_object_get(v, "tapq");
	CU_ASSERT_STRING_EQUAL(S(t, "src_workload"), "");
	CU_ASSERT_STRING_EQUAL(S(t, "verdict"), "allow");
	json_decref(v);

	lines = run(&totals, whole, 1, &rc);
	CU_ASSERT_EQUAL(rc, 0);
	CU_ASSERT_EQUAL(strncmp(lines, "packets 3\nbytes 150\nflows 2\n", 28), 0);
	tmpdir_remove(&dir);
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* The same lines in the order of their text, and without the fields whose numbers differ by run. */
static char *as_set(const char *lines, bool with_ids)
{
	static const char *const numbers[] = { "\"flow_id\":", "\"pcap_cnt\":" };
	char *copy = strdup(lines), *line[64], *out = calloc(1, strlen(lines) + 1);
	size_t n = 0;

	for (char *p = strtok(copy, "\n"); p && n < 64; p = strtok(NULL, "\n")) {
		for (size_t i = with_ids ? 2 : 0; i < 2; i++) {
			char *at = strstr(p, numbers[i]), *end;

			if (!at)
				continue;
			end = at + strlen(numbers[i]);
			end += strspn(end, "0123456789");
			memmove(at, end, strlen(end) + 1);
		}
		line[n++] = p;
	}
	qsort(line, n, sizeof line[0], by_text);
	for (size_t i = 0; i < n; i++)
		strcat(strcat(out, line[i]), "\n");
	free(copy);
	return out;
}

static void equal_sets(const char *a, const char *b, bool with_ids)
{
	char *x = as_set(a, with_ids), *y = as_set(b, with_ids);

	CU_ASSERT_STRING_EQUAL(x, y);
	free(x);
	free(y);
}

#define FILES 6u

/* Six captures of two flows each. */
static void test_workers(void)
{
	struct replay_args a = { 0 }, totals = { .no_events = true };
	char names[FILES][128], *files[FILES];
	const char *many;
	char *one;
	int rc;

	tmpdir_make(&dir);
	for (unsigned i = 0; i < FILES; i++) {
		char name[16];

		begin();
		for (unsigned k = 0; k < 40; k++) {
			packet(100, 10 + i, 50, 1, 2, (uint16_t)(5000 + k % 2), 7777);
			packet(100, 50, 10 + i, 2, 1, 7777, (uint16_t)(5000 + k % 2));
		}
		snprintf(name, sizeof name, "%u.pcap", i);
		snprintf(names[i], sizeof names[i], "%s", tmpdir_write(&dir, name, file, used));
		files[i] = names[i];
	}
	one = strdup(run(&a, files, FILES, &rc));
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(one, "\"event_type\":\"flow\""));
	for (a.workers = 2; a.workers < 9; a.workers++) {
		many = run(&a, files, FILES, &rc);
		CU_ASSERT_EQUAL(rc, 0);
		equal_sets(one, many, false);
		equal_sets(many, run(&a, files, FILES, &rc), true);
	}
	free(one);
	one = strdup(run(&totals, files, FILES, &rc));
	totals.workers = 3;
	CU_ASSERT_STRING_EQUAL(one, run(&totals, files, FILES, &rc));
	CU_ASSERT_EQUAL(strncmp(one, "packets 480\n", 12), 0);
	free(one);

	a.workers = 3;		/* of those that fail the first one is told */
	unlink(files[2]);
	unlink(files[4]);
	CU_ASSERT_PTR_NOT_NULL(strstr(run(&a, files, FILES, &rc), "/2.pcap: No such file"));
	CU_ASSERT_NOT_EQUAL(rc, 0);
	tmpdir_remove(&dir);
}

static void test_errors(void)
{
	static const char *const bad[] = {
		"", "[]", "{\"workloads\": 1}", "{\"workloads\": [{}]}", "{\"workloads\": [{\"name\": \"a\", \"interfaces\": [{\"mac\": \"02:00\"}]}]}",
		"{\"workloads\": [{\"name\": \"a\", \"interfaces\": [{\"mac\": \"02:00:00:00:00:01\", \"addresses\": [\"x\"]}]}]}", "{\"workloads\": [{\"name\": \"a\", \"labels\": {\"x\": 1}}]}",
	};
	struct replay_args a = { 0 };
	char one[128], w[128];
	char *files[2] = { one, (char *)(uintptr_t)"/nowhere/x.pcap" };
	int rc;

	tmpdir_make(&dir);
	begin();
	packet(100, 1, 2, 1, 9, 5000, 9999);
	snprintf(one, sizeof one, "%s", tmpdir_write(&dir, "1.pcap", file, used));
	CU_ASSERT_PTR_NOT_NULL(strstr(run(&a, files, 2, &rc), "/nowhere/x.pcap: No such file"));
	CU_ASSERT_NOT_EQUAL(rc, 0);
	a.policy = "/nowhere/p.yaml";
	CU_ASSERT_PTR_NOT_NULL(strstr(run(&a, files, 1, &rc), "/nowhere/p.yaml: No such file"));
	a.policy = NULL;
	a.config = "/nowhere/c.yaml";
	CU_ASSERT_PTR_NOT_NULL(strstr(run(&a, files, 1, &rc), "/nowhere/c.yaml: No such file"));
	a.config = NULL;
	a.workloads = w;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(w, sizeof w, "%s", tmpdir_write(&dir, "w.json", bad[i], strlen(bad[i])));
		CU_ASSERT_PTR_NOT_NULL(strstr(run(&a, files, 1, &rc), "w.json"));
		CU_ASSERT_NOT_EQUAL(rc, 0);
	}
	tmpdir_remove(&dir);
}

const struct unit_test tests_replay[] = {
	{ "runs", test_run },
	{ "several workers", test_workers },
	{ "what cannot be read", test_errors },
	{ 0 },
};

#endif
