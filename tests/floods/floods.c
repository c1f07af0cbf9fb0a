/* SPDX-License-Identifier: GPL-2.0-or-later */
/* floods: the core under floods, in one process: packets are made here and handed to dpi_inspect, as a worker hands them.
 *
 *   floods [--full] [NAME]     scaled down to some seconds, or the numbers that are promised (10 million SYNs, a million idle flows) with the
 *                              memory and flows that a node has by default; NAME: only floods with that in their name
 *
 * Each flood runs beside 200 HTTP conversations that must be told whole, in a core with a cap of memory. Asked of each:
 *   memory     what the core reserved stays under the cap and, once the flood has had half of its time, grows by new entries at most
 *   kept       the 200 flows are the ones from the beginning (by id), and each request that had its answer was told
 *   probes     slots looked at per lookup, on average and at most
 *   awake      (idle connections only) what an empty segment of any of them takes, of one where there are a thousand
 *   time       ns per packet of the whole mixture, and of the HTTP packets alone, over that of a core with nothing but the HTTP
 *              conversations; quiet and flood take turns, the ratio is the median over the turns
 * The last flood is of tuples that collide under a key of the attacker's; the same tuples against a core that really has that key show
 * that the test would see it.
 * Ends with `N passed, N failed`. */
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dpi/flow.h"
#include "tests/floods/traffic.h"

#define TURNS 9
#define BATCH 512u		/* flood packets made at a time ... */
#define BATCH_HTTP 32u		/* ... and packets of the conversations among them */
#define MS INT64_C(1000000)
#define RATIO_MAX 2.0
#define AWAKE_MAX 4.0		/* memory's own time is in it: 2.1, and 8 where each packet waits for it alone */
#define PROBES_MAX 3.0

static const struct hash_key key_ours = { { 0x5ca1ab1e0ddba11, 0xfeedfacecafebeef } }, key_wrong = { { 1, 2 } };
static unsigned passed, failed;

struct bed {			/* a core and what it told */
	struct dpi *d;
	struct http http;
	uint64_t told[EV_COUNT];
	uint64_t ids[HTTP_FLOWS];	/* of the conversations, by number */
	int64_t now, step;	/* step: ns between packets */
	uint64_t memcap;
};

struct flood;
typedef void (*flood_packet)(struct flood *, struct wire *);

struct flood {
	const char *name;
	flood_packet make;
	uint64_t packets, full;		/* how many; with --full */
	uint32_t max_flows;
	uint64_t memcap;
	int64_t step;			/* ns between packets */
	double ratio;			/* 0: RATIO_MAX. Of datagrams each is a new flow, of which every protocol is asked whether it is its own */
	bool grows;			/* memory is still growing at its end: it is the flows that are to be kept */
	/* at work */
	uint64_t n;
	uint32_t *tuples;		/* clients of the collisions */
	uint32_t ntuples;
};

/* ---- measuring ---- */

static int64_t cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint64_t rss(void)
{
	unsigned long all = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%lu %lu", &all, &resident) != 2)
		resident = 0;
	if (f)
		fclose(f);
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

static void check(bool ok, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void check(bool ok, const char *fmt, ...)
{
	va_list ap;

	*(ok ? &passed : &failed) += 1;
	printf("  %s  ", ok ? "ok  " : "FAIL");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

/* ---- the bed ---- */

static void on_emit(void *ctx, const struct event *ev)
{
	struct bed *b = ctx;

	b->told[ev->type]++;
}

static void bed_open(struct bed *b, uint32_t max_flows, uint64_t memcap, int64_t step, const struct hash_key *key)
{
	struct dpi_conf c = { .max_flows = max_flows, .memcap = memcap, .midstream = true, .event_mask = EVENTS_ALL, .key = *key, .flow_id_seed = 7 };
	struct dpi_ops ops = { .emit = on_emit, .ctx = b };
	struct err err;

	memset(b, 0, sizeof(*b));
	b->now = INT64_C(1700000000) * 1000 * MS;
	b->step = step;
	b->memcap = memcap;
	b->d = dpi_new(&c, &ops, &err);
	if (!b->d) {
		fprintf(stderr, "floods: %s\n", err.text);
		exit(2);
	}
}

/* CPU time of n packets, a whole batch between two looks at the clock. */
static int64_t inspect(struct bed *b, const struct wire *w, unsigned n)
{
	struct frame f[BATCH];
	int64_t t;

	for (unsigned i = 0; i < n; i++)
		f[i] = wire_frame(&w[i], b->now += b->step);
	t = cpu_now();
	for (unsigned i = 0; i < n; i++) {
		if (i % DPI_AHEAD == 0)
			dpi_ahead(b->d, &f[i], n - i);
		dpi_inspect(b->d, &f[i]);
	}
	return cpu_now() - t;
}

static struct wire pen[BATCH];

static int64_t talk(struct bed *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		http_next(&b->http, &pen[i]);
	return inspect(b, pen, n);
}

static bool note_id(void *ctx, const struct dpi_flow_info *f)
{
	struct bed *b = ctx;
	unsigned i = f->tuple.sport - 40000u;

	if (f->tuple.dport == 80 && i < HTTP_FLOWS && f->tuple.src.b[13] == 0xff && f->app == APP_HTTP)
		b->ids[i] = f->flow_id;
	return true;
}

static void begin_talk(struct bed *b)
{
	for (unsigned i = 0; i < HTTP_FLOWS * 16; i += BATCH_HTTP)
		talk(b, BATCH_HTTP);
	dpi_each_flow(b->d, note_id, b);
}

/* How many of the conversations are still the flows that they were. */
static unsigned kept(struct bed *b)
{
	uint64_t before[HTTP_FLOWS];
	unsigned n = 0;

	memcpy(before, b->ids, sizeof(before));
	memset(b->ids, 0, sizeof(b->ids));
	dpi_each_flow(b->d, note_id, b);
	for (unsigned i = 0; i < HTTP_FLOWS; i++)
		n += before[i] && before[i] == b->ids[i];
	return n;
}

static struct mem_stats mem_of(const struct bed *b)
{
	struct dpi_sizes s;

	dpi_get_sizes(b->d, &s);
	return s.mem;
}

static uint64_t beside_entries(const struct bed *b)
{
	struct dpi_sizes s;

	dpi_get_sizes(b->d, &s);
	return s.mem.reserved - s.flows / FLOWS_PER_CHUNK * MEM_PIECE_MAX;
}

/* ---- floods ---- */

static uint32_t mixed(uint64_t n) { return (uint32_t)hash_mix64(n * 0x9e3779b97f4a7c15); }

static struct ends anybody(struct flood *f, uint16_t sport)
{
	uint32_t r = mixed(f->n);

	return (struct ends){ .client = r & 0x1ffffff, .cport = (uint16_t)(1024 + (mixed(f->n ^ 0xabcdef) & 0x7fff)), .sport = sport, .v6 = (f->n & 3) == 3 };
}

static void make_syn(struct flood *f, struct wire *w)
{
	struct ends e = anybody(f, 80);

	wire_tcp(w, &e, &(struct tcp){ .seq = mixed(f->n + 1), .flags = TCP_SYN }, NULL, 0);
	f->n++;
}

/* First pieces, and pieces from the middle, of datagrams that never end. */
static void make_fragment(struct flood *f, struct wire *w)
{
	struct ends e = anybody(f, 0);

	wire_fragment(w, &e, (uint32_t)f->n, f->n & 4 ? 1480 : 0, true, 1480);
	f->n++;
}

static void make_udp(struct flood *f, struct wire *w)
{
	struct ends e = anybody(f, 5353 + (f->n & 7));
	uint8_t p[32];

	for (unsigned i = 0; i < sizeof(p); i += 4)
		memcpy(p + i, &(uint32_t){ mixed(f->n * 8 + i) }, 4);
	wire_udp(w, &e, p, sizeof(p));
	f->n++;
}

/* Connections that are opened, half of them with a word that says nothing, and then idle: four packets a flow. */
static struct ends idle_ends(uint32_t flow)
{
	return (struct ends){ .client = flow >> 4, .cport = (uint16_t)(1024 + (flow & 15)), .sport = 9999, .v6 = flow >> 2 & 1 };
}

static void make_idle(struct flood *f, struct wire *w)
{
	uint32_t flow = (uint32_t)(f->n / 4);
	struct ends e = idle_ends(flow);

	switch (f->n++ & 3) {
	case 0:
		wire_tcp(w, &e, &(struct tcp){ .seq = 100, .flags = TCP_SYN }, NULL, 0);
		break;
	case 1:
		e.down = true;
		wire_tcp(w, &e, &(struct tcp){ .seq = 500, .ack = 101, .flags = TCP_SYN | TCP_ACK }, NULL, 0);
		break;
	case 2:
		wire_tcp(w, &e, &(struct tcp){ .seq = 101, .ack = 501, .flags = TCP_ACK }, NULL, 0);
		break;
	default:
		wire_tcp(w, &e, &(struct tcp){ .seq = 101, .ack = 501, .flags = TCP_ACK | TCP_PSH }, "\1\2", flow & 1 ? 2 : 0);
	}
}

/* A connection to port 80 in `per` packets: handshake, then what `say` says. */
static unsigned opening(struct flood *f, struct wire *w, struct ends *e, unsigned per)
{
	uint32_t flow = (uint32_t)(f->n / per);
	unsigned at = (unsigned)(f->n++ % per);

	*e = (struct ends){ .client = flow >> 4 & 0xffffff, .cport = (uint16_t)(1024 + (flow & 15)), .sport = 80, .v6 = flow >> 2 & 1, .down = at == 1 };
	if (at == 0)
		wire_tcp(w, e, &(struct tcp){ .seq = 100, .flags = TCP_SYN }, NULL, 0);
	else if (at == 1)
		wire_tcp(w, e, &(struct tcp){ .seq = 500, .ack = 101, .flags = TCP_SYN | TCP_ACK }, NULL, 0);
	else if (at == 2)
		wire_tcp(w, e, &(struct tcp){ .seq = 101, .ack = 501, .flags = TCP_ACK }, NULL, 0);
	return at;
}

static void make_half_open(struct flood *f, struct wire *w)
{
	static const char head[] = "GET /slow HTTP/1.1\r\nHost: slow.example\r\nX-Slow: ";
	static char filler[1400];
	struct ends e;
	unsigned at = opening(f, w, &e, 6);

	memset(filler, 'a', sizeof(filler));
	if (at == 3)
		wire_tcp(w, &e, &(struct tcp){ .seq = 101, .ack = 501, .flags = TCP_ACK | TCP_PSH }, head, sizeof(head) - 1);
	if (at > 3)
		wire_tcp(w, &e, &(struct tcp){ .seq = 101 + (uint32_t)(sizeof(head) - 1 + (at - 4) * sizeof(filler)), .ack = 501, .flags = TCP_ACK }, filler, sizeof(filler));
}

/* Single bytes with a hole before each: the smallest that has to wait. */
static void make_holes(struct flood *f, struct wire *w)
{
	struct ends e;
	unsigned at = opening(f, w, &e, 64);

	if (at > 2)
		wire_tcp(w, &e, &(struct tcp){ .seq = 101 + 2 * at, .ack = 501, .flags = TCP_ACK }, "x", 1);
}

/* Whole segments behind a hole. */
static void make_late(struct flood *f, struct wire *w)
{
	static char filler[1400];
	struct ends e;
	unsigned at = opening(f, w, &e, 24);

	memset(filler, 'b', sizeof(filler));
	if (at > 2)
		wire_tcp(w, &e, &(struct tcp){ .seq = 102 + (uint32_t)(at * sizeof(filler)), .ack = 501, .flags = TCP_ACK }, filler, sizeof(filler));
}

/* First now this size of message, then that, so that memory of one size must become memory of another. */
static void make_shapes(struct flood *f, struct wire *w)
{
	static const flood_packet kind[] = { make_late, make_half_open, make_fragment, make_udp, make_holes };

	kind[f->n / (f->packets / 10 + 1) % 5](f, w);
}

/* ---- collisions ---- */

#define COLLISION_BITS 12

/* Clients whose flows start in one of a few slots under the key: what an attacker who knows it would send. */
static void find_collisions(struct flood *f, const struct hash_key *key, uint32_t want)
{
	struct wire w;
	struct packet p;
	struct frame fr;
	struct flow_key k;
	enum dpi_counter why;
	struct ends e = { .client = 0, .cport = 7777, .sport = 80 };
	const struct flow_table table = { .key = *key };
	struct addr *client;

	f->tuples = calloc(want, sizeof(*f->tuples));
	wire_tcp(&w, &e, &(struct tcp){ .flags = TCP_SYN }, NULL, 0);
	fr = wire_frame(&w, 0);
	if (!f->tuples || decode_frame(&fr, &p, &why) != DECODE_OK)
		abort();
	client = flow_key_of(&p, &k) ? &k.hi : &k.lo;
	for (uint32_t c = 0; c < 1u << 25 && f->ntuples < want; c++) {
		client->b[12] = (uint8_t)(100 + (c >> 24));
		client->b[13] = (uint8_t)(c >> 16);
		client->b[14] = (uint8_t)(c >> 8);
		client->b[15] = (uint8_t)c;
		if (!(flow_hash(&table, &k) & ((1u << COLLISION_BITS) - 1)))
			f->tuples[f->ntuples++] = c;
	}
}

static void make_collision(struct flood *f, struct wire *w)
{
	struct ends e = { .client = f->tuples[f->n++ % f->ntuples], .cport = 7777, .sport = 80 };

	wire_tcp(w, &e, &(struct tcp){ .seq = 1, .flags = TCP_SYN }, NULL, 0);
}

/* ---- one flood ---- */

static void flood_batch(struct flood *f, struct bed *b, unsigned n, int64_t ns[2])
{
	ns[0] += talk(b, BATCH_HTTP);
	for (unsigned i = 0; i < n; i++)
		f->make(f, &pen[i]);
	ns[1] += inspect(b, pen, n);
}

/* ns that an empty segment of any of so many idle connections takes: the packet with least to do beside finding its flow. */
static double awake(struct bed *b, uint32_t flows, uint64_t seed)
{
	uint64_t n = 40 * BATCH;
	int64_t ns = 0;

	for (uint64_t i = 0; i < n; i += BATCH) {
		for (unsigned k = 0; k < BATCH; k++) {
			uint32_t flow = mixed(seed + i + k) % flows;
			struct ends e = idle_ends(flow);

			wire_tcp(&pen[k], &e, &(struct tcp){ .seq = flow & 1 ? 103 : 101, .ack = 501, .flags = TCP_ACK }, NULL, 0);
		}
		ns += inspect(b, pen, BATCH);
	}
	return (double)ns / (double)n;
}

/* Each of them may speak again: what such a packet takes, of one where there are a thousand. */
static void judge_awake(const struct flood *f, struct bed *many)
{
	struct flood thousand = { .name = f->name };
	struct bed few;
	double ratio[TURNS];
	uint32_t flows = (uint32_t)(f->packets / 4);

	bed_open(&few, 4096, 8 << 20, f->step, &key_ours);
	while (thousand.n < 4000) {
		f->make(&thousand, &pen[0]);
		inspect(&few, pen, 1);
	}
	for (unsigned turn = 0; turn < TURNS; turn++)
		ratio[turn] = awake(many, flows, turn * INT64_C(1000000)) / awake(&few, 1000, turn * INT64_C(1000000));
	check(median(ratio, TURNS) <= AWAKE_MAX, "time: a packet of any of %u flows takes %.2f of one of any of 1,000", flows, median(ratio, TURNS));
	dpi_free(few.d);
}

struct looks { double all[TURNS], http[TURNS]; };

static void run_turn(struct flood *f, struct bed *b, struct bed *quiet, unsigned turn, struct looks *l)
{
	uint64_t batches = f->packets / TURNS / BATCH + 1, rounds = batches < 200 ? batches : 200;
	int64_t ns[2] = { 0, 0 }, q = 0;
	double per;

	for (uint64_t i = 0; i < batches; i++) {
		flood_batch(f, b, BATCH, ns);
		if (i % (batches / rounds) == 0)	/* side by side, so that both see the same machine */
			q += talk(quiet, BATCH_HTTP);
	}
	rounds = (batches + batches / rounds - 1) / (batches / rounds);
	per = (double)q / (double)(rounds * BATCH_HTTP);
	l->all[turn] = (double)(ns[0] + ns[1]) / (double)(batches * (BATCH + BATCH_HTTP)) / per;
	l->http[turn] = (double)ns[0] / (double)(batches * BATCH_HTTP) / per;
	if (getenv("FLOODS_VERBOSE"))
		printf("        turn %u: quiet %.0f ns, mixture %.0f ns, http %.0f ns; %u MiB reserved, %llu refused\n", turn, per, l->all[turn] * per, l->http[turn] * per,
		       (unsigned)(mem_of(b).reserved >> 20), (unsigned long long)mem_of(b).exhausted);
}

static void judge(const struct flood *f, struct bed *b, uint64_t half, uint64_t rss_before)
{
	struct mem_stats m = mem_of(b);
	uint64_t rest = beside_entries(b), fixed = flow_table_fixed(f->max_flows), used = rss() > rss_before ? rss() - rss_before : 0;
	const uint64_t *c = dpi_counters(b->d);
	double probes = (double)c[DPI_C_FLOW_PROBES] / (double)c[DPI_C_FLOW_LOOKUPS];
	struct dpi_sizes s;
	unsigned n = kept(b);

	dpi_get_sizes(b->d, &s);
	check(m.reserved + fixed <= f->memcap, "memory: %llu KiB reserved of %llu KiB; the process grew by %llu KiB", (unsigned long long)(m.reserved + fixed) >> 10,
	      (unsigned long long)f->memcap >> 10, (unsigned long long)used >> 10);
	check(used <= f->memcap + (8 << 20), "memory: the process grew by less than the cap");
	if (f->grows)
		check(s.flows >= f->packets / 4 + HTTP_FLOWS, "flows: %u are kept", s.flows);
	else
		check(rest <= half + half / 16 + (1 << 20), "memory: flat, beside entries %llu KiB after a half, %llu KiB at the end", (unsigned long long)half >> 10, (unsigned long long)rest >> 10);
	check(n == HTTP_FLOWS, "kept: %u of %u conversations are the flows they were", n, HTTP_FLOWS);
	check(b->told[EV_HTTP] == http_requests(&b->http), "parsed: %llu of %llu requests told", (unsigned long long)b->told[EV_HTTP], (unsigned long long)http_requests(&b->http));
	check(probes <= PROBES_MAX && s.probes_max <= FLOW_PROBE_MAX, "probes: %.2f a lookup, at most %u", probes, s.probes_max);
}

/* True when there is no need to measure again: somebody else may have had the machine. */
static bool judge_time(const struct flood *f, struct looks *l, bool last)
{
	double all = median(l->all, TURNS), http = median(l->http, TURNS), most = f->ratio > 0 ? f->ratio : RATIO_MAX;

	if (!last && (all > most || http > RATIO_MAX))
		return false;
	check(all <= most, "time: a packet of the mixture takes %.2f of a quiet one", all);
	check(http <= RATIO_MAX, "time: a packet of the conversations takes %.2f of a quiet one", http);
	return true;
}

static void run(struct flood *f, bool full)
{
	struct bed b, quiet;
	struct looks l;
	uint64_t half = 0, before = rss();

	if (full) {
		f->packets = f->full;
		f->max_flows *= 4;
		f->memcap = 512 << 20;
	}
	if (f->grows)
		f->max_flows = (uint32_t)(f->packets / 4 + 8192);
	printf("%s: %llu packets, %u flows, %llu MiB\n", f->name, (unsigned long long)f->packets, f->max_flows, (unsigned long long)f->memcap >> 20);
	bed_open(&b, f->max_flows, f->memcap, f->step, &key_ours);
	bed_open(&quiet, 4096, 8 << 20, 1000, &key_ours);
	begin_talk(&b);
	begin_talk(&quiet);
	for (unsigned turn = 0; turn < TURNS; turn++) {
		run_turn(f, &b, &quiet, turn, &l);
		if (turn == TURNS / 2)
			half = beside_entries(&b);
	}
	judge(f, &b, half, before);
	for (int i = 0; !judge_time(f, &l, i == 2); i++)
		for (unsigned turn = 0; turn < TURNS; turn++)
			run_turn(f, &b, &quiet, turn, &l);
	if (f->grows)
		judge_awake(f, &b);
	if (quiet.told[EV_HTTP] != http_requests(&quiet.http))
		check(false, "parsed: a quiet core missed requests");
	dpi_free(b.d);
	dpi_free(quiet.d);
}

static void guessed_key(const struct flood *f)
{
	struct flood again = *f;
	struct bed b;
	int64_t ns[2] = { 0, 0 };
	struct dpi_sizes s;
	const uint64_t *c;

	printf("collisions, had the key been guessed: %u tuples\n", f->ntuples);
	again.n = 0;
	bed_open(&b, f->max_flows, f->memcap, f->step, &key_wrong);
	begin_talk(&b);
	for (unsigned i = 0; i < 2 * f->ntuples / BATCH; i++)
		flood_batch(&again, &b, BATCH, ns);
	dpi_get_sizes(b.d, &s);
	c = dpi_counters(b.d);
	check(c[DPI_C_FLOW_PROBES] > 10 * c[DPI_C_FLOW_LOOKUPS], "the test sees it: %.1f probes a lookup", (double)c[DPI_C_FLOW_PROBES] / (double)c[DPI_C_FLOW_LOOKUPS]);
	check(s.probes_max <= FLOW_PROBE_MAX, "and even then a lookup ends after %u probes", s.probes_max);
	check(kept(&b) == HTTP_FLOWS, "and the conversations go on");
	dpi_free(b.d);
}

int main(int argc, char **argv)
{
	bool full = argc > 1 && !strcmp(argv[1], "--full");
	const char *only = argc > 1 + full ? argv[1 + full] : NULL;
	static struct flood floods[] = {
		{ .name = "SYN flood", .make = make_syn, .packets = 600000, .full = 10000000, .max_flows = 65536, .memcap = 64 << 20, .step = 1000 },
		{ .name = "fragments without ends", .make = make_fragment, .packets = 200000, .full = 3000000, .max_flows = 65536, .memcap = 64 << 20, .step = 2000 },
		{ .name = "single datagrams", .make = make_udp, .ratio = 3.5, .packets = 300000, .full = 5000000, .max_flows = 65536, .memcap = 64 << 20, .step = 1000 },
		{ .name = "idle connections", .make = make_idle, .packets = 600000, .full = 4000000, .memcap = 512 << 20, .step = 1000, .grows = true },
		{ .name = "half-open HTTP requests", .make = make_half_open, .packets = 400000, .full = 4000000, .max_flows = 65536, .memcap = 64 << 20, .step = 1000 },
		{ .name = "bytes behind holes", .make = make_holes, .packets = 600000, .full = 6000000, .max_flows = 65536, .memcap = 64 << 20, .step = 1000 },
		{ .name = "segments behind a hole", .make = make_late, .packets = 300000, .full = 3000000, .max_flows = 65536, .memcap = 64 << 20, .step = 1000 },
		{ .name = "one shape after the other", .make = make_shapes, .packets = 1000000, .full = 6000000, .max_flows = 65536, .memcap = 64 << 20, .step = 1000 },
		{ .name = "collisions under another key", .make = make_collision, .packets = 200000, .full = 2000000, .max_flows = 16384, .memcap = 32 << 20, .step = 1000 },
	};
	struct flood *last = &floods[sizeof(floods) / sizeof(floods[0]) - 1];

	find_collisions(last, &key_wrong, 4096);
	for (struct flood *f = floods; f <= last; f++)
		if (!only || strstr(f->name, only))
			run(f, full);
	if (!only)
		guessed_key(last);
	free(last->tuples);
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
