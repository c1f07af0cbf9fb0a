/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tftp: RFC 1350, options of RFC 2347. One `tftp` event per request, and per error.
 *
 *   RRQ(1) WRQ(2): opcode(2) file NUL mode NUL { option NUL value NUL }      DATA(3): block(2) bytes      ACK(4): block(2)
 *   ERROR(5): code(2) text NUL                                              OACK(6): { option NUL value NUL }
 *
 * The answer to a request comes from a port of its own, so it is another flow, which the request announces. Where the request was not
 * seen it is recognised by options of an OACK, by a first block and the acknowledgement of it in the other direction, or by an error with its text. */
#include "dpi/proto/told.h"

#define OPTIONS_MAX 16u
#define ANSWER_LIFE (INT64_C(30) * 1000000000)

enum { RRQ = 1, WRQ, DATA, ACK, ERROR, OACK };

static const struct fact f_op = { "operation", FACT_OPERATION }, f_file = { "file", FACT_OBJECT }, f_mode = { "mode", FACT_PLAIN },
	f_code = { "error_code", FACT_PLAIN }, f_message = { "message", FACT_PLAIN };
static const struct fact *const facts[] = { &f_op, &f_file, &f_mode, &f_code, &f_message, NULL };

static const struct code errors[] = {
	{ 0, "undefined" }, { 1, "file_not_found" }, { 2, "access_violation" }, { 3, "disk_full" }, { 4, "illegal_operation" }, { 5, "unknown_tid" },
	{ 6, "file_exists" }, { 7, "no_such_user" }, { 8, "option_refused" }, { 0, NULL },
};

/* Text up to a NUL, which is consumed. */
static bool text_next(struct cursor *c, struct bytes *text)
{
	size_t n = cur_find(c, 0);

	if (n == SIZE_MAX)
		return false;
	*text = cur_bytes(c, n);
	return cur_skip(c, 1);
}

static bool word_is(struct bytes b, const char *word)
{
	if (b.n != strlen(word))
		return false;
	for (size_t i = 0; i < b.n; i++)
		if ((b.p[i] | 0x20) != word[i])
			return false;
	return true;
}

static bool options_good(struct cursor c, bool some)
{
	static const char *const known[] = { "blksize", "timeout", "tsize", "windowsize", "multicast", "rollover" };
	bool seen = false;

	for (unsigned i = 0; cur_more(&c); i++) {
		struct bytes name, value;

		if (i == OPTIONS_MAX || !text_next(&c, &name) || !text_next(&c, &value) || !is_printable(name))
			return false;
		for (unsigned k = 0; k < 6; k++)
			seen |= word_is(name, known[k]);
	}
	return seen || !some;
}

static bool request_read(struct cursor c, struct bytes *file, struct bytes *mode)
{
	cur_skip(&c, 2);
	return text_next(&c, file) && text_next(&c, mode) && is_printable(*file) &&
		(word_is(*mode, "octet") || word_is(*mode, "netascii") || word_is(*mode, "mail")) && options_good(c, false);
}

static bool error_read(struct cursor c)
{
	struct bytes text;

	cur_skip(&c, 2);
	return cur_be16(&c) <= 8 && text_next(&c, &text) && text.n >= 4 && is_printable(text) && !cur_left(&c);
}

static uint16_t word_at(const struct cursor *c, size_t at) { return (uint16_t)(cur_peek(c, at) << 8 | cur_peek(c, at + 1)); }

/* Block and acknowledgement fit; before: what came first in the other direction. */
static bool pair_fits(const struct cursor *before, const struct cursor *now)
{
	uint16_t op = word_at(now, 0), block = word_at(now, 2);

	if (op == ACK)
		return cur_left(now) == 4 && word_at(before, 0) == DATA && block == 1 && word_at(before, 2) == 1;
	return op == DATA && block == 1 && word_at(before, 0) == ACK && cur_left(before) == 4 && word_at(before, 2) == 0;
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now];
	const struct cursor *other = &in->first[!in->now];
	uint16_t op = word_at(&c, 0), block = word_at(&c, 2);
	struct bytes file, mode;

	if (cur_left(&c) < 4)
		return PROBE_NO;
	if (op == RRQ || op == WRQ)
		return request_read(c, &file, &mode) ? PROBE_YES : PROBE_NO;
	if (op == ERROR && !cur_left(other))
		return error_read(c) ? PROBE_YES : PROBE_NO;
	if (op == OACK)
		return cur_skip(&c, 2) && options_good(c, true) ? PROBE_YES : PROBE_NO;
	if (cur_left(other))
		return pair_fits(other, &c) ? PROBE_YES : PROBE_NO;
	return (op == DATA && block == 1 && cur_left(&c) <= 516) || (op == ACK && !block && cur_left(&c) == 4) ? PROBE_MORE : PROBE_NO;
}

/* The other end will send from a port that nobody knows yet to the one that asked. */
static void announce(struct px *px, enum dir asks)
{
	struct px_announce a = { .addr = *px_addr(px, asks), .port = px_port(px, asks), .l4 = PROTO_UDP, .proto = &proto_tftp, .life = ANSWER_LIFE };

	px_expect(px, &a, NULL);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	uint16_t op = word_at(in, 0);
	struct bytes file, mode;
	struct record *r;

	(void)state;
	if ((op == RRQ || op == WRQ) && request_read(*in, &file, &mode)) {
		r = px_record(px);
		rec_cstr(r, &f_op, op == RRQ ? "read" : "write");
		rec_bytes(r, &f_file, file);
		rec_bytes(r, &f_mode, mode);
		say(px, dir, EV_APP, UINT32_MAX, r);
		announce(px, dir);
	} else if (op == ERROR && cur_left(in) >= 4) {
		r = px_record(px);
		rec_cstr(r, &f_op, "error");
		told_code(r, &f_code, errors, word_at(in, 2));
		cur_skip(in, 4);
		rec_bytes(r, &f_message, up_to_nul(cur_rest(in)));
		px_emit(px, EV_APP, UINT32_MAX, r);
	}
	cur_rest(in);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 69, 0 };

const struct proto proto_tftp = {
	.name = "tftp",
	.app = APP_TFTP,
	.event = EV_APP,
	.l4 = PROTO_UDP,
	.ports = ports,
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
