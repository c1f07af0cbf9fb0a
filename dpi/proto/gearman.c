/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gearman: job server protocol. 00 "REQ" or 00 "RES", type(4), size(4), arguments apart by NUL. One `gearman` event per packet that
 * names a function. */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define HEAD 12u
#define SIZE_LIMIT (256u << 20)
#define LOOK 1024u
#define TYPE_MAX 42u

static const struct fact f_operation = { "operation", FACT_OPERATION }, f_function = { "function", FACT_OBJECT };
static const struct fact *const facts[] = { &f_operation, &f_function, NULL };

static const struct code named[] = {	/* types whose first argument is a function */
	{ 1, "can_do" }, { 2, "cant_do" }, { 7, "submit_job" }, { 18, "submit_job_bg" }, { 21, "submit_job_high" }, { 23, "can_do_timeout" },
	{ 32, "submit_job_high_bg" }, { 33, "submit_job_low" }, { 34, "submit_job_low_bg" }, { 35, "submit_job_sched" }, { 36, "submit_job_epoch" },
	{ 37, "submit_reduce_job" }, { 38, "submit_reduce_job_background" }, { 0, NULL },
};

struct gearman {
	uint32_t next_tx;
};

static bool head(struct cursor *c, uint32_t *type, uint32_t *n)
{
	bool magic = cur_starts(c, "\0REQ", 4) || cur_starts(c, "\0RES", 4);

	cur_skip(c, 4);
	*type = cur_be32(c);
	*n = cur_be32(c);
	return magic && cur_ok(c) && *type && *type <= TYPE_MAX && *n <= SIZE_LIMIT;
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now];
	size_t n = cur_left(&c) < 3 ? cur_left(&c) : 3;
	uint32_t type, size;

	if (memcmp(c.pos, "\0RE", n))
		return PROBE_NO;
	if (cur_left(&c) < HEAD)
		return PROBE_MORE;
	return head(&c, &type, &size) ? PROBE_YES : PROBE_NO;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct gearman *s = state;

	while (cur_more(in)) {
		struct cursor c = *in, view;
		uint32_t type, n;
		struct record *r;

		if (cur_left(in) < HEAD)
			return msg_more(px, HEAD);
		if (!head(&c, &type, &n))
			return msg_bad(px, "gearman.bad_packet");
		if (msg_take(px, dir, in, (uint64_t)n + HEAD, LOOK, &view) == PARSE_MORE)
			return PARSE_MORE;
		if (!code_name(named, type))
			continue;
		cur_skip(&view, HEAD);
		r = px_record(px);
		told_code(r, &f_operation, named, type);
		rec_bytes(r, &f_function, up_to_nul(cur_rest(&view)));
		say(px, dir, EV_APP, s->next_tx++, r);
	}
	return PARSE_DONE;
}

static const uint16_t ports[] = { 4730, 0 };

const struct proto proto_gearman = {
	.name = "gearman", .app = APP_GEARMAN, .event = EV_APP, .l4 = PROTO_TCP, .ports = ports, .state_size = sizeof(struct gearman),
	.probe = probe, .parse = parse, .facts = facts,
};
