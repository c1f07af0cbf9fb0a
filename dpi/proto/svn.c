/* SPDX-License-Identifier: GPL-2.0-or-later */
/* svn: Subversion's ra_svn. One `svn` event per connection, from the two greetings.
 *
 *   server: ( success ( 2 2 ( mechanisms ) ( capabilities ) ) )      client: ( 2 ( capabilities ) N:URL N:agent ( ) )
 *   words, numbers, strings as LENGTH:bytes, lists in parentheses, blanks between */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define GREETING_MAX 2048u

static const struct fact f_url = { "url", FACT_OBJECT }, f_agent = { "agent", FACT_PLAIN };
static const struct fact *const facts[] = { &f_url, &f_agent, NULL };

/* As far as c reaches it is that text. */
static enum probe begins(struct cursor c, const char *text)
{
	size_t n = strlen(text), have = cur_left(&c) < n ? cur_left(&c) : n;

	return !cur_starts(&c, text, have) ? PROBE_NO : have == n ? PROBE_YES : PROBE_MORE;
}

static enum probe probe(const struct probe_in *in)
{
	const struct cursor *up = &in->dir[DIR_TOSERVER], *down = &in->dir[DIR_TOCLIENT];
	enum probe p = cur_left(down) ? begins(*down, "( success ( ") : PROBE_MORE;
	struct cursor c = *up;

	if (p != PROBE_MORE || !cur_left(up))
		return p;
	p = begins(c, "( 2 ( ");
	return p == PROBE_YES && !memmem(c.pos, cur_left(&c), ":svn", 4) ? (cur_left(&c) < GREETING_MAX ? PROBE_MORE : PROBE_NO) : p;
}

/* LENGTH:bytes at the position. */
static enum parse string_next(struct cursor *c, struct bytes *s)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < 5; i++) {
		uint8_t b = cur_u8(c);

		if (!cur_ok(c))
			return PARSE_MORE;
		if (b == ':' && i) {
			if (n > cur_left(c))
				return PARSE_MORE;
			*s = cur_bytes(c, n);
			return PARSE_DONE;
		}
		if (b < '0' || b > '9')
			return PARSE_BAD;
		n = n * 10 + (uint32_t)(b - '0');
	}
	return PARSE_BAD;
}

/* ( 2 ( words ) URL agent: what the client says. */
static enum parse greeting(struct cursor *c, struct bytes *url, struct bytes *agent)
{
	size_t close;
	enum parse p;

	if (cur_left(c) < 6)
		return PARSE_MORE;
	if (!cur_starts(c, "( 2 ( ", 6))
		return PARSE_BAD;
	cur_skip(c, 6);
	close = cur_find(c, ')');
	if (close == SIZE_MAX || close + 2 > cur_left(c))
		return PARSE_MORE;
	cur_skip(c, close + 2);
	p = string_next(c, url);
	if (p != PARSE_DONE)
		return p;
	if (cur_left(c) < 2)
		return PARSE_MORE;
	cur_skip(c, 1);
	return cur_peek(c, 0) == '(' || cur_peek(c, 0) == ')' ? PARSE_DONE : string_next(c, agent);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct bytes url = { NULL, 0 }, agent = { NULL, 0 };
	struct cursor c = *in;
	struct record *r;
	enum parse p;

	(void)state;
	if (dir == DIR_TOCLIENT) {
		cur_rest(in);
		return PARSE_DONE;
	}
	p = greeting(&c, &url, &agent);
	if (p == PARSE_MORE && cur_left(in) <= GREETING_MAX)
		return PARSE_MORE;	/* without a length: asked again as it doubles */
	if (p != PARSE_DONE)
		return msg_bad(px, "svn.greeting");
	r = px_record(px);
	rec_bytes(r, &f_url, url);
	if (agent.n)
		rec_bytes(r, &f_agent, agent);
	px_judge(px, r);
	px_emit(px, EV_APP, UINT32_MAX, r);
	cur_rest(in);
	px_stop(px);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 3690, 0 };

const struct proto proto_svn = {
	.name = "svn",
	.app = APP_SVN,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
