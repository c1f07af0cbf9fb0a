/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One libFuzzer binary for the core. FUZZ_TARGET names what is fed:
 *
 *   frames    a sequence of frames: link type, flags, time step, path, length, bytes; decode to events
 *   flow      a sequence of TCP segments and datagrams of a few connections: sequence numbers, flags and bytes are the fuzzer's, headers are made
 *             whole around them, so that flow, stream and recognition are reached at once
 *   NAME      a conversation with the protocol of that name (dpi/protocols.def) on its usual port: direction and length, then bytes
 *
 * Beside what the sanitizers find, each run ends with a core that has told every flow and given all memory back: abort if not.
 * `fuzz targets` on standard output: FUZZ_TARGET=list. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "dpi/dpi.h"
#include "dpi/proto.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define MS INT64_C(1000000)
#define FRAMES_MAX 512

static const char *target;
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

static struct dpi *core(void)
{
	struct dpi_conf c = {
		.max_flows = 64, .memcap = 8 << 20, .midstream = true, .flow_report = 10 * 1000 * MS, .event_mask = ~UINT64_C(0), .key = { { 1, 2 } }, .flow_id_seed = 3,
	};
	struct dpi_ops ops = { .owner = on_owner, .emit = on_emit };
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

/* Frames are handed over in memory of their own, so that a read past the end is found. */
static void give(struct dpi *d, struct frame *f, const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	if (n)
		memcpy(copy, p, n);
	f->data = copy;
	f->caplen = (uint32_t)n;
	if (f->wirelen < f->caplen)
		f->wirelen = f->caplen;
	dpi_inspect(d, f);
	free(copy);
}

static void fuzz_frames(struct dpi *d, struct cursor c)
{
	int64_t now = 1000 * 1000 * MS;

	for (int i = 0; i < FRAMES_MAX && cur_left(&c) >= 5; i++) {
		uint8_t link = cur_u8(&c), flags = cur_u8(&c), step = cur_u8(&c);
		size_t n = cur_be16(&c);
		struct frame f = { .ts = now += step * (int64_t)(step & 1 ? 1 : 1000) * MS, .link = link % 7, .flags = flags, .held = link & 0x80, .path = link >> 4 & 3,
				   .view = link >> 5 & 7 };

		if (f.flags & (FRAME_GSO_TCP | FRAME_GSO_UDP))
			f.gso_size = (uint16_t)(step * 8);
		if (n > cur_left(&c))
			n = cur_left(&c);
		f.wirelen = flags & FRAME_TRUNCATED ? (uint32_t)n + step : 0;
		give(d, &f, cur_take(&c, n), n);
		if (step == 255)
			dpi_tick(d, now);
		if (step == 254)
			dpi_set_epoch(d, now, 500 * MS);
	}
}

static void put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

struct segment {
	bool down, udp;
	uint8_t flags;
	uint16_t sport, dport;
	uint32_t seq, ack;
};

/* An IPv4 packet around n bytes; checksums are said to be checked. */
static void give_segment(struct dpi *d, int64_t ts, const struct segment *s, const uint8_t *p, size_t n)
{
	static uint8_t b[40 + 65536];
	size_t head = s->udp ? 28 : 40;
	struct frame f = { .ts = ts, .link = LINK_RAW, .flags = FRAME_CSUM_VALID, .held = true };

	memset(b, 0, head);
	b[0] = 0x45;
	put16(b + 2, head + n);
	b[8] = 64;
	b[9] = s->udp ? 17 : 6;
	b[12] = b[16] = 10;
	b[15] = s->down ? 2 : 1;
	b[19] = s->down ? 1 : 2;
	put16(b + 20, s->down ? s->dport : s->sport);
	put16(b + 22, s->down ? s->sport : s->dport);
	if (s->udp) {
		put16(b + 24, 8 + n);
	} else {
		put32(b + 24, s->seq);
		put32(b + 28, s->ack);
		b[32] = 0x50;
		b[33] = s->flags;
		put16(b + 34, 65535);
	}
	if (n)
		memcpy(b + head, p, n);
	/* the IPv4 header's own sum is always judged */
	uint32_t sum = 0;
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)b[i] << 8 | b[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	put16(b + 10, ~sum & 0xffff);
	give(d, &f, b, head + n);
}

static void fuzz_flow(struct dpi *d, struct cursor c)
{
	uint32_t next[2][2] = { { 1000, 5000 }, { 0xfffffff0, 77 } };
	int64_t now = 1000 * 1000 * MS;

	for (int i = 0; i < FRAMES_MAX && cur_left(&c) >= 6; i++) {
		uint8_t how = cur_u8(&c), flags = cur_u8(&c);
		int16_t seq_off = (int16_t)cur_be16(&c), ack_off = (int8_t)cur_u8(&c);
		size_t n = cur_u8(&c);
		bool down = how & 1, second = how & 2;
		struct segment s = { .down = down, .udp = how & 4 && how & 8, .flags = flags, .sport = second ? 40001 : 40000, .dport = how & 16 ? 80 : 53 };

		if (n > cur_left(&c))
			n = cur_left(&c);
		s.seq = next[second][down] + (uint32_t)(how & 32 ? seq_off : 0);
		s.ack = next[second][!down] + (uint32_t)(how & 64 ? ack_off : 0);
		give_segment(d, now += (how & 128 ? 1000 : 1) * MS, &s, cur_take(&c, n), n);
		next[second][down] += (uint32_t)n + !!(flags & 2) + !!(flags & 1);
	}
}

static void fuzz_proto(struct dpi *d, struct cursor c)
{
	uint32_t next[2] = { 1001, 5001 };
	int64_t now = 1000 * 1000 * MS;
	struct segment s = { .udp = !(proto->l4 & PROTO_TCP), .sport = 40000, .dport = proto->ports ? proto->ports[0] : 9999 };

	if (proto->l4 & PROTO_UDP && proto->l4 & PROTO_TCP)
		s.udp = cur_u8(&c) & 1;
	if (!s.udp) {
		s.flags = 2;
		s.seq = 1000;
		give_segment(d, now, &s, NULL, 0);
		s = (struct segment){ .down = true, .flags = 18, .sport = s.sport, .dport = s.dport, .seq = 5000, .ack = 1001 };
		give_segment(d, now, &s, NULL, 0);
	}
	s.flags = 24;
	for (int i = 0; i < FRAMES_MAX && cur_left(&c) >= 3; i++) {
		uint16_t head = cur_be16(&c);
		size_t n = head & 0x3fff;

		s.down = head >> 15;
		if (n > cur_left(&c))
			n = cur_left(&c);
		if (head & 0x4000 && n < 64)	/* lost on the way, seen to be acknowledged */
			next[s.down] += (uint32_t)n;
		s.seq = next[s.down];
		s.ack = next[!s.down];
		give_segment(d, now += MS, &s, cur_take(&c, n), n);
		next[s.down] += (uint32_t)n;
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	target = getenv("FUZZ_TARGET");
	if (target && !strcmp(target, "list")) {
		puts("frames\nflow");
		for (const struct proto *const *p = proto_list; *p; p++)
			puts((*p)->name);
		exit(0);
	}
	if (!target || !strcmp(target, "frames"))
		target = "frames";
	for (const struct proto *const *p = proto_list; *p; p++)
		if (!strcmp((*p)->name, target))
			proto = *p;
	if (!proto && strcmp(target, "frames") && strcmp(target, "flow")) {
		fprintf(stderr, "FUZZ_TARGET=%s: no such target; FUZZ_TARGET=list tells them\n", target);
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
		fuzz_proto(d, c);
	else if (!strcmp(target, "flow"))
		fuzz_flow(d, c);
	else
		fuzz_frames(d, c);
	end(d, s.mem.used);
	return 0;
}
