/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fix: FIX 4.0 to 5.0 (FIXT). Fields "tag=value" each ended by 01: 8=version 9=length 35=type ... 10=checksum. The length counts from behind its field
 * to the checksum's. One `fix` event per message. */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define TRAILER 7u		/* 10=123 and 01 */
#define LENGTH_MAX (16u << 20)
#define LOOK 2048u
#define SOH 1

static const struct fact f_type = { "type", FACT_OPERATION }, f_sender = { "sender", FACT_USER }, f_target = { "target", FACT_OBJECT },
	f_symbol = { "symbol", FACT_PLAIN };
static const struct fact *const facts[] = { &f_type, &f_sender, &f_target, &f_symbol, NULL };

struct fix {
	uint32_t next_tx;
};

/* The head at the position, consumed; n: the length it says. */
static enum probe head(struct cursor *in, uint32_t *n)
{
	static const char lit[] = "8=FIX";
	struct cursor c = *in;
	size_t have = cur_left(&c), at;

	*n = 0;
	if (memcmp(c.pos, lit, have < 5 ? have : 5))
		return PROBE_NO;
	if (have < 7)
		return PROBE_MORE;
	if (cur_peek(&c, 5) != '.' && cur_peek(&c, 5) != 'T')
		return PROBE_NO;
	at = cur_find(&c, SOH);
	if (at == SIZE_MAX || at > 12)
		return at == SIZE_MAX && have <= 12 ? PROBE_MORE : PROBE_NO;
	cur_skip(&c, at + 1);
	if (cur_left(&c) < 2)
		return PROBE_MORE;
	if (!cur_starts(&c, "9=", 2))
		return PROBE_NO;
	cur_skip(&c, 2);
	for (unsigned i = 0; i < 9; i++) {
		uint8_t b;

		if (!cur_left(&c))
			return PROBE_MORE;
		b = cur_u8(&c);
		if (b == SOH && i) {
			*in = c;
			return *n <= LENGTH_MAX ? PROBE_YES : PROBE_NO;
		}
		if (b < '0' || b > '9')
			return PROBE_NO;
		*n = *n * 10 + (uint32_t)(b - '0');
	}
	return PROBE_NO;
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now];
	uint32_t n;
	enum probe p = head(&c, &n);

	if (p != PROBE_YES)
		return p;
	if (cur_left(&c) < 3)
		return PROBE_MORE;
	return cur_starts(&c, "35=", 3) ? PROBE_YES : PROBE_NO;
}

static void tell(struct px *px, struct fix *s, enum dir dir, struct cursor c)
{
	static const struct { const char *tag; const struct fact *fact; } rows[] = { { "35", &f_type }, { "49", &f_sender }, { "56", &f_target }, { "55", &f_symbol } };
	struct record *r = px_record(px);
	unsigned seen = 0;

	while (cur_more(&c)) {
		size_t eq = cur_find(&c, '='), end = cur_find(&c, SOH);
		struct bytes tag, value;

		if (end == SIZE_MAX)
			break;
		if (eq > end) {
			cur_skip(&c, end + 1);
			continue;
		}
		tag = cur_bytes(&c, eq);
		cur_skip(&c, 1);
		value = cur_bytes(&c, end - eq - 1);
		cur_skip(&c, 1);
		for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			if (!(seen >> i & 1) && bytes_are(tag, rows[i].tag)) {
				rec_bytes(r, rows[i].fact, value);
				seen |= 1u << i;
			}
	}
	say(px, dir, EV_APP, s->next_tx++, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	while (cur_more(in)) {
		struct cursor c = *in, view;
		uint32_t n;
		size_t before;
		enum probe p = head(&c, &n);

		if (p == PROBE_MORE)
			return msg_more(px, cur_left(in) + 1);	/* it has 24 bytes at most */
		if (p == PROBE_NO)
			return msg_bad(px, "fix.bad_message");
		before = cur_used(&c) - cur_used(in);
		if (msg_take(px, dir, in, (uint64_t)before + n + TRAILER, before + (n < LOOK ? n : LOOK), &view) == PARSE_MORE)
			return PARSE_MORE;
		cur_skip(&view, before);
		tell(px, state, dir, view);
	}
	return PARSE_DONE;
}

const struct proto proto_fix = {
	.name = "fix", .app = APP_FIX, .event = EV_APP, .l4 = PROTO_TCP, .state_size = sizeof(struct fix), .probe = probe, .parse = parse, .facts = facts,
};
