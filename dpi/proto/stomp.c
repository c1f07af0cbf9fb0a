/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stomp: 1.0 to 1.2.
 *
 *   frame: COMMAND LF (name:value LF)* LF body NUL LF*            with CR before each LF where the peer likes it
 *
 * The body has content-length bytes, or goes to the first NUL; it is passed by. One event per frame but ACK, NACK, RECEIPT and
 * those of transactions. A flow is believed by CONNECT or STOMP on a line of its own and a header behind it. */
#include "dpi/message.h"
#include "dpi/proto/line.h"

#define HEAD_MOST 16384u
#define HEADERS_MOST 64u

static const struct fact f_operation = { "operation", FACT_OPERATION }, f_destination = { "destination", FACT_OBJECT }, f_user = { "user", FACT_USER },
	f_host = { "host", FACT_DATABASE }, f_id = { "id", FACT_PLAIN }, f_message = { "message", FACT_PLAIN }, f_version = { "version", FACT_PLAIN },
	f_server = { "server", FACT_PLAIN };
static const struct fact *const facts[] = { &f_operation, &f_destination, &f_user, &f_host, &f_id, &f_message, &f_version, &f_server, NULL };

/* Told up to DISCONNECT. */
static const char *const commands[] = { "CONNECT", "STOMP", "CONNECTED", "SEND", "SUBSCRIBE", "MESSAGE", "ERROR", "UNSUBSCRIBE", "DISCONNECT", "ACK", "NACK",
	"BEGIN", "COMMIT", "ABORT", "RECEIPT", NULL };
#define TOLD 9

struct half_stomp {
	uint32_t scanned;	/* bytes of the head without its end */
	bool body;		/* it goes to the first NUL */
};

struct stomp {
	struct half_stomp half[2];
	uint32_t tx;
};

static int command_of(struct bytes line)
{
	for (int i = 0; commands[i]; i++)
		if (line.n == strlen(commands[i]) && memcmp(line.p, commands[i], line.n) == 0)
			return i;
	return -1;
}

static bool header(struct bytes line, struct bytes *name, struct bytes *value)
{
	struct cursor c = cur_of(line.p, line.n);
	size_t n = cur_find(&c, ':');

	if (n == SIZE_MAX || !n)
		return false;
	*name = cur_bytes(&c, n);
	cur_skip(&c, 1);
	*value = cur_rest(&c);
	return true;
}

/* ---- recognition ---- */

static enum probe probe_frame(struct cursor c, bool midstream)
{
	struct bytes line = { c.pos, cur_left(&c) }, name, value;
	int command;

	if (!line_text(&c))
		return PROBE_NO;
	if (!cur_line(&c, &line)) {
		for (int i = 0; i < TOLD; i++)
			if (line_may(line, commands[i]) && line.n <= strlen(commands[i]) + 1)
				return PROBE_MORE;
		return PROBE_NO;
	}
	command = command_of(line);
	if (command < 0 || (command > 1 && !midstream) || !line_text(&c))
		return PROBE_NO;
	line = (struct bytes){ c.pos, cur_left(&c) };
	for (size_t i = 0; i < line.n && line.p[i] != ':'; i++)
		if (!(line.p[i] == '-' || line.p[i] == '_' || line.p[i] == '.' || (line_upper(line.p[i]) >= 'A' && line_upper(line.p[i]) <= 'Z') || (line.p[i] >= '0' && line.p[i] <= '9')))
			return PROBE_NO;
	if (!cur_line(&c, &line))
		return line.n < 512 ? PROBE_MORE : PROBE_NO;
	return header(line, &name, &value) ? PROBE_YES : PROBE_NO;
}

static enum probe probe(const struct probe_in *in)
{
	const struct cursor *up = &in->dir[DIR_TOSERVER], *down = &in->dir[DIR_TOCLIENT];
	enum probe p = cur_left(up) ? probe_frame(*up, in->midstream) : PROBE_MORE, q;

	if (p == PROBE_YES || !cur_left(down))
		return p;
	if (!in->midstream)
		return cur_left(up) ? p : PROBE_NO;
	q = probe_frame(*down, true);
	return q == PROBE_NO && !cur_left(up) ? q : q == PROBE_NO ? p : q;
}

/* ---- frames ---- */

static bool frame(struct px *px, struct stomp *s, struct cursor head, uint64_t *length)
{
	struct bytes line, name, value;
	struct record *r = px_record(px);
	unsigned n = 0;
	int command;

	*length = UINT64_MAX;
	if (!cur_line(&head, &line))
		return false;
	command = line_which(line, commands);	/* a broker that says "message" was seen */
	if (command < 0)
		return false;
	rec_cstr(r, &f_operation, commands[command]);
	while (cur_line(&head, &line) && line.n && n++ < HEADERS_MOST) {
		if (!header(line, &name, &value))
			return false;
		if (line_is(name, "DESTINATION"))
			rec_bytes(r, &f_destination, value);
		else if (line_is(name, "LOGIN"))
			rec_bytes(r, &f_user, value);
		else if (line_is(name, "HOST"))
			rec_bytes(r, &f_host, value);
		else if (line_is(name, "ID"))
			rec_bytes(r, &f_id, value);
		else if (line_is(name, "MESSAGE"))
			rec_bytes(r, &f_message, value);
		else if (line_is(name, "SERVER"))
			rec_bytes(r, &f_server, value);
		else if (line_is(name, "VERSION") || line_is(name, "ACCEPT-VERSION"))
			rec_bytes(r, &f_version, value);
		else if (line_is(name, "CONTENT-LENGTH") && *length == UINT64_MAX)
			*length = line_number(value);
	}
	if (command < TOLD) {
		px_judge(px, r);
		px_emit(px, EV_APP, s->tx++, r);
	}
	return true;
}

/* Bytes of the head at the position, with its empty line; 0: its end is not there. */
static size_t head_length(const struct cursor *in, uint32_t *scanned)
{
	struct cursor c = *in;
	struct bytes line;

	cur_skip(&c, *scanned);
	while (cur_line(&c, &line)) {
		if (!line.n) {
			*scanned = 0;
			return cur_left(in) - cur_left(&c);
		}
		*scanned = (uint32_t)(cur_left(in) - cur_left(&c));
	}
	return 0;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct stomp *s = state;
	struct half_stomp *h = &s->half[dir];

	while (cur_more(in)) {
		uint64_t length;
		size_t n;

		if (h->body) {
			n = cur_find(in, 0);
			h->body = n == SIZE_MAX;
			cur_skip(in, n == SIZE_MAX ? cur_left(in) : n + 1);
			continue;
		}
		if (!h->scanned && (cur_peek(in, 0) == '\n' || cur_peek(in, 0) == '\r')) {
			cur_skip(in, 1);	/* between frames: a heart beat */
			continue;
		}
		n = head_length(in, &h->scanned);
		if (n > HEAD_MOST || (!n && cur_left(in) > HEAD_MOST))
			return msg_bad(px, "stomp.head_too_long");
		if (!n)
			return PARSE_MORE;
		if (!frame(px, s, cur_sub(in, n), &length))
			return msg_bad(px, "stomp.bad_frame");
		if (length != UINT64_MAX)
			msg_pass(px, dir, in, length);
		h->body = true;
	}
	return PARSE_DONE;
}

static const uint16_t ports[] = { 61613, 0 };

const struct proto proto_stomp = {
	.name = "stomp",
	.app = APP_STOMP,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct stomp),
	.probe = probe,
	.parse = parse,
	.facts = facts,
	.for_events = true,
};
