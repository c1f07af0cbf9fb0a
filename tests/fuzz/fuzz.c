/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One libFuzzer binary for the core. FUZZ_TARGET names what is fed:
 *
 *   frames    a sequence of frames: link type, flags, time step, path, length, bytes; decode to events
 *   hold      a held connection whose requests rules may refuse (hold.c)
 *   defrag    a sequence of fragments, held against a map of bytes per datagram (defrag.c)
 *   flow      a sequence of TCP segments and datagrams of a few connections: sequence numbers, flags and bytes are the fuzzer's
 *   stream    one connection: somebody who sends what he likes, and an end that does what Linux does (receiver.c). What the core judged
 *             must be what that end took, watching or holding (stream.c)
 *   NAME      a conversation with the protocol of that name (dpi/protocols.def) on its usual port: direction and length, then bytes
 *
 * Beside what the sanitizers find, each run ends with a core that has told every flow and given all memory back: abort if not.
 * `fuzz targets` on standard output: FUZZ_TARGET=list. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct fuzz_target {
	const char *name;
	void (*run)(struct dpi *, struct cursor);
} targets[] = { { "frames", fuzz_frames }, { "defrag", fuzz_defrag }, { "flow", fuzz_flow }, { "stream", fuzz_stream }, { "hold", fuzz_hold }, { NULL, NULL } };

static const struct fuzz_target *target = targets;
static const struct proto *proto;

/* What an event says is walked, as the sink would. */
static void on_emit(void *ctx, const struct event *ev)
{
	const uint8_t *pos = ev->body, *end = ev->body + ev->body_len;
	const void *v;
	int depth = 0;

	(void)ctx;
	while (pos < end) {
		const struct item *it = item_next(&pos, end, &v);

		if (!it)
			abort();
		depth += it->kind == ITEM_OBJ || it->kind == ITEM_ARR;
		depth -= it->kind == ITEM_END;
	}
	if (depth || ev->type >= EV_COUNT || ev->app >= APP_COUNT)
		abort();
}

static enum dpi_own on_owner(void *ctx, const struct frame *f, const struct tuple *t)
{
	(void)ctx;
	(void)t;
	return f->view == 7 ? OWN_NO : f->path == 3 ? OWN_OVERLAP : OWN_YES;
}

static void on_answer(void *ctx, const struct frame *f, struct answer a)
{
	(void)ctx;
	fuzz_late(f, a);
}

/* Both ends are workloads, so that what one resolves is learned. */
static void on_ends(void *ctx, const struct frame *f, const struct tuple *t, struct dpi_ends *out)
{
	(void)ctx;
	(void)f;
	out->workload[0] = 1u + (t->src.b[15] & 1);
	out->workload[1] = 1u + (t->dst.b[15] & 1);
}

static void on_learn(void *ctx, uint32_t workload, const struct addr *a, struct bytes name, uint32_t ttl, int64_t ts)
{
	char again[FQDN_NAME_MAX + 1];

	(void)ctx;
	(void)a;
	(void)ttl;
	(void)ts;
	if (!workload || fqdn_name(name, again) != name.n || memcmp(again, name.p, name.n))
		abort();
}

static struct dpi *core(void)
{
	struct dpi_conf c = {
		.max_flows = 64, .memcap = 16 << 20, .midstream = true, .flow_report = 10 * 1000 * MS, .event_mask = EVENTS_ALL, .key = { { 1, 2 } }, .flow_id_seed = 3,
		.ahead_flows = 1,
	};
	struct dpi_ops ops = { .owner = on_owner, .ends = on_ends, .learn = on_learn, .answer = on_answer, .emit = on_emit };
	struct err err;
	struct dpi *d = dpi_new(&c, &ops, &err);

	if (!d)
		abort();
	return d;
}

/* What stays is the table's own: one piece of entries. */
static void end(struct dpi *d, uint64_t used)
{
	struct dpi_sizes s;

	dpi_tick(d, INT64_MAX / 2);	/* fragments expire */
	dpi_flush(d);
	dpi_get_sizes(d, &s);
	if (s.flows || (s.mem.used != used && s.mem.used != used + MEM_PIECE_MAX))
		abort();
	dpi_free(d);
}

struct answer fuzz_give(struct dpi *d, struct frame *f, const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);
	struct answer a;

	if (n)
		memcpy(copy, p, n);
	f->data = copy;
	f->caplen = (uint32_t)n;
	if (f->wirelen < f->caplen)
		f->wirelen = f->caplen;
	if (n & 1)
		dpi_ahead(d, f, 1);
	a = dpi_inspect(d, f);
	free(copy);
	return a;
}

void fuzz_disagree(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("disagreement: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *name = getenv("FUZZ_TARGET");

	(void)argc;
	(void)argv;
	if (name && !strcmp(name, "list")) {
		for (const struct fuzz_target *t = targets; t->name; t++)
			puts(t->name);
		for (const struct proto *const *p = proto_list; *p; p++)
			puts((*p)->name);
		exit(0);
	}
	for (target = targets; name && target->name && strcmp(target->name, name); target++)
		;
	for (const struct proto *const *p = proto_list; !target->name && *p; p++)
		if (!strcmp((*p)->name, name))
			proto = *p;
	if (!target->name && !proto) {
		fprintf(stderr, "FUZZ_TARGET=%s: no such target; FUZZ_TARGET=list tells them\n", name);
		exit(2);
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cursor c = cur_of(data, n);
	struct dpi *d = core();
	struct dpi_sizes s;

	dpi_get_sizes(d, &s);
	if (proto)
		fuzz_proto(d, c, proto);
	else
		target->run(d, c);
	end(d, s.mem.used);
	return 0;
}
