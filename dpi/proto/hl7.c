/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hl7: HL7 version 2 in MLLP: 0b, segments of text each ended by CR, 1c 0d. One `hl7` event per message, from its MSH segment:
 *
 *   MSH|^~\&|sending application|sending facility|receiving application|receiving facility|time|security|type|control id|processing|version */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define SEGMENT_MAX 4096u
#define FIELDS 12u

static const struct fact f_type = { "type", FACT_OPERATION }, f_sender = { "sender", FACT_USER }, f_receiver = { "receiver", FACT_OBJECT },
	f_control = { "control_id", FACT_PLAIN }, f_version = { "version", FACT_PLAIN };
static const struct fact *const facts[] = { &f_type, &f_sender, &f_receiver, &f_control, &f_version, NULL };

struct hl7 {
	uint32_t next_tx;
	uint32_t scanned[2];
	bool inside[2];		/* behind the MSH segment */
};

static enum probe probe(const struct probe_in *in)
{
	static const uint8_t lit[] = { 0x0b, 'M', 'S', 'H' };
	const struct cursor *c = &in->dir[in->now];
	size_t n = cur_left(c);

	if (n && memcmp(c->pos, lit, n < sizeof(lit) ? n : sizeof(lit)))
		return PROBE_NO;
	if (n < 6)
		return PROBE_MORE;
	return cur_peek(c, 4) > ' ' && cur_peek(c, 4) < 0x7f && cur_peek(c, 5) > ' ' && cur_peek(c, 5) < 0x7f ? PROBE_YES : PROBE_NO;
}

static void tell(struct px *px, struct hl7 *s, enum dir dir, struct bytes segment)
{
	struct cursor c = cur_of(segment.p, segment.n);
	struct bytes field[FIELDS] = { { NULL, 0 } };
	struct record *r;
	uint8_t sep;

	cur_skip(&c, 4);
	sep = cur_peek(&c, 0);
	for (unsigned i = 0; i < FIELDS && cur_more(&c); i++) {
		size_t n = cur_find(&c, sep);

		field[i] = cur_bytes(&c, n == SIZE_MAX ? cur_left(&c) : n);
		if (cur_left(&c))
			cur_skip(&c, 1);
	}
	r = px_record(px);	/* 0: before the first separator; 1: the separators; 2 is MSH-3 */
	rec_bytes(r, &f_type, field[8]);
	rec_bytes(r, &f_sender, field[2]);
	rec_bytes(r, &f_receiver, field[4]);
	rec_bytes(r, &f_control, field[9]);
	rec_bytes(r, &f_version, field[11]);
	say(px, dir, EV_APP, s->next_tx++, r);
}

/* One MSH segment, or what follows it to the end of the message. */
static enum parse step(struct px *px, struct hl7 *s, enum dir dir, struct cursor *in)
{
	struct cursor c = *in;
	size_t n;

	if (s->inside[dir]) {
		n = cur_find(in, 0x1c);
		cur_skip(in, n == SIZE_MAX ? cur_left(in) : n + 1);
		s->inside[dir] = n == SIZE_MAX;
		return PARSE_DONE;
	}
	if (cur_peek(in, 0) == '\r' || cur_peek(in, 0) == '\n') {
		cur_skip(in, 1);
		return PARSE_DONE;
	}
	if (cur_left(in) < 5)
		return msg_more(px, 5);
	if (!cur_starts(in, "\x0bMSH", 4))
		return msg_bad(px, "hl7.bad_message");
	cur_skip(&c, s->scanned[dir]);
	n = cur_find(&c, '\r');
	if ((n == SIZE_MAX ? cur_left(in) : s->scanned[dir] + n) > SEGMENT_MAX)
		return msg_bad(px, "hl7.segment_too_long");
	if (n == SIZE_MAX) {
		s->scanned[dir] = (uint32_t)cur_left(in);
		return PARSE_MORE;
	}
	n += s->scanned[dir];
	s->scanned[dir] = 0;
	s->inside[dir] = true;
	tell(px, s, dir, cur_bytes(in, n));
	return PARSE_DONE;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	enum parse p = PARSE_DONE;

	while (p == PARSE_DONE && cur_more(in))
		p = step(px, state, dir, in);
	return p;
}

static const uint16_t ports[] = { 2575, 6661, 0 };

const struct proto proto_hl7 = {
	.name = "hl7", .app = APP_HL7, .event = EV_APP, .l4 = PROTO_TCP, .ports = ports, .state_size = sizeof(struct hl7),
	.probe = probe, .parse = parse, .facts = facts,
};
