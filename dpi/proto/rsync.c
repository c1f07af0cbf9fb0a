/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rsync: the daemon's protocol. One `rsync` event per connection.
 *
 *   both: "@RSYNCD: 31.0" ... LF     client: module LF     server: text, "@RSYNCD: AUTHREQD ...", "@RSYNCD: OK", "@ERROR: ..." LF */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define LINE_MAX_LEN 1024u
#define LINES_MAX 256u

static const char magic[] = "@RSYNCD: ";
static const struct fact f_version = { "version", FACT_PLAIN }, f_module = { "module", FACT_OBJECT }, f_user = { "user", FACT_USER }, f_result = { "result", FACT_PLAIN };
static const struct fact *const facts[] = { &f_version, &f_module, &f_user, &f_result, NULL };

struct rsync {
	struct saved *told;
	uint32_t scanned[2];
	uint16_t lines[2];
	bool auth;
};

static enum probe probe(const struct probe_in *in)
{
	enum probe best = PROBE_MORE;

	for (unsigned d = 0; d < 2; d++) {
		const struct cursor *c = &in->dir[d];

		if (!cur_starts(c, magic, cur_left(c) < 9 ? cur_left(c) : 9) && cur_left(c))
			return PROBE_NO;
		if (cur_left(c) > 9) {
			if (cur_peek(c, 9) < '1' || cur_peek(c, 9) > '9')
				return PROBE_NO;
			best = PROBE_YES;
		}
	}
	return best;
}

static void emit(struct px *px, struct rsync *s, const char *result)
{
	struct record *r = px_record(px);

	if (s->told)
		rec_append(r, s->told->body, s->told->len);
	if (result)
		rec_cstr(r, &f_result, result);
	px_emit(px, EV_APP, UINT32_MAX, r);
	px_saved_free(px, s->told);
	s->told = NULL;
}

/* Adds a fact of the client to what is told. */
static void note(struct px *px, struct rsync *s, const struct fact *f, struct bytes v)
{
	struct record *r = px_record(px);

	if (s->told)
		rec_append(r, s->told->body, s->told->len);
	rec_bytes(r, f, v);
	px_saved_free(px, s->told);
	s->told = px_save(px, r);
	px_judge(px, r);
}

static void client_line(struct px *px, struct rsync *s, struct bytes line)
{
	struct cursor c = cur_of(line.p, line.n);
	size_t n;

	if (s->lines[DIR_TOSERVER] == 1) {
		cur_skip(&c, 9);
		n = cur_find(&c, ' ');
		note(px, s, &f_version, cur_bytes(&c, n == SIZE_MAX ? cur_left(&c) : n));
	} else if (s->lines[DIR_TOSERVER] == 2) {
		note(px, s, &f_module, line);
	} else if (s->auth) {	/* user and the answer to the challenge */
		s->auth = false;
		n = cur_find(&c, ' ');
		if (n != SIZE_MAX)
			note(px, s, &f_user, cur_bytes(&c, n));
	}
}

/* True: it is over. */
static bool server_line(struct px *px, struct rsync *s, struct bytes line)
{
	struct cursor c = cur_of(line.p, line.n);

	s->auth |= cur_starts(&c, "@RSYNCD: AUTHREQD", 17);
	if (cur_starts(&c, "@RSYNCD: OK", 11))
		emit(px, s, "ok");
	else if (cur_starts(&c, "@RSYNCD: EXIT", 13))
		emit(px, s, "list");
	else if (cur_starts(&c, "@ERROR", 6))
		emit(px, s, "error");
	else
		return false;
	return true;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct rsync *s = state;

	while (cur_more(in)) {
		struct cursor ahead = *in;
		struct bytes line = { NULL, 0 };

		cur_skip(&ahead, s->scanned[dir]);
		if (cur_find(&ahead, '\n') == SIZE_MAX) {
			s->scanned[dir] = (uint32_t)cur_left(in);
			if (cur_left(in) > LINE_MAX_LEN)
				return msg_bad(px, "rsync.line_too_long");
			return msg_more(px, cur_left(in) + 1);
		}
		s->scanned[dir] = 0;
		cur_line(in, &line);
		if (line.n > LINE_MAX_LEN || ++s->lines[dir] > LINES_MAX)
			return msg_bad(px, "rsync.line_too_long");
		if (dir == DIR_TOSERVER) {
			client_line(px, s, line);
		} else if (server_line(px, s, line)) {
			cur_rest(in);
			px_stop(px);
		}
	}
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct rsync *s = state;

	if (s->told)
		emit(px, s, NULL);
}

static const uint16_t ports[] = { 873, 0 };

const struct proto proto_rsync = {
	.name = "rsync",
	.app = APP_RSYNC,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct rsync),
	.probe = probe,
	.parse = parse,
	.end = end,
	.facts = facts,
};
