/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bfd: control packets of RFC 5880. One `bfd` event per change of a side's state.
 *
 *   version and diagnostic(1) state and flags(1) multiplier(1) length(1) discriminators(4 each) three intervals in us(4 each)
 *
 * Intervals of more than a minute are not believed, nor a session that is up without knowing the other side. */
#include "dpi/proto/told.h"

#define INTERVAL_MAX 60000000u

static const struct fact f_state = { "state", FACT_OPERATION }, f_diag = { "diagnostic", FACT_PLAIN }, f_mine = { "discriminator", FACT_PLAIN };
static const struct fact *const facts[] = { &f_state, &f_diag, &f_mine, NULL };
static const struct code states[] = { { 0, "admin_down" }, { 1, "down" }, { 2, "init" }, { 3, "up" }, { 0, NULL } };
static const struct code diags[] = { { 0, "none" }, { 1, "detection_time_expired" }, { 2, "echo_failed" }, { 3, "neighbor_down" }, { 4, "forwarding_reset" },
	{ 5, "path_down" }, { 6, "concatenated_path_down" }, { 7, "admin_down" }, { 8, "reverse_path_down" }, { 0, NULL } };

struct bfd {
	uint8_t last[2];	/* state + 1 */
};

static bool good(struct cursor c, uint8_t *diag, uint8_t *state, uint32_t *mine)
{
	size_t n = cur_left(&c);
	uint8_t first = cur_u8(&c), flags = cur_u8(&c), multiplier = cur_u8(&c), len = cur_u8(&c);
	uint32_t yours;

	*diag = first & 0x1f;
	*state = flags >> 6;
	*mine = cur_be32(&c);
	yours = cur_be32(&c);
	for (unsigned i = 0; i < 3; i++)
		if (cur_be32(&c) > INTERVAL_MAX)
			return false;
	return cur_ok(&c) && first >> 5 == 1 && *diag <= 8 && !(flags & 1) && multiplier && multiplier <= 50 && len == n && n <= 52 &&
		(n == 24) == !(flags & 4) && *mine && (yours || *state <= 1);
}

static enum probe probe(const struct probe_in *in)
{
	uint8_t diag, state;
	uint32_t mine;

	return good(in->dir[in->now], &diag, &state, &mine) ? PROBE_YES : PROBE_NO;
}

static enum parse parse(struct px *px, void *mem, enum dir dir, struct cursor *in)
{
	struct bfd *s = mem;
	uint8_t diag, state;
	uint32_t mine;

	if (good(*in, &diag, &state, &mine) && s->last[dir] != state + 1) {
		struct record *r = px_record(px);

		s->last[dir] = (uint8_t)(state + 1);
		rec_cstr(r, &f_state, code_name(states, state));
		rec_cstr(r, &f_diag, code_name(diags, diag));
		rec_u64(r, &f_mine, mine);
		say(px, dir, EV_APP, UINT32_MAX, r);
	}
	cur_rest(in);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 3784, 3785, 4784, 6784, 0 };

const struct proto proto_bfd = {
	.name = "bfd",
	.app = APP_BFD,
	.event = EV_APP,
	.l4 = PROTO_UDP,
	.ports = ports,
	.state_size = sizeof(struct bfd),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
