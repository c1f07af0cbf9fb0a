/* SPDX-License-Identifier: GPL-2.0-or-later */
/* git: the daemon's protocol. One `git` event per connection, from the request.
 *
 * Taken up in the middle, the announcement of version 2 is enough, without an event.
 *
 *   four hexadecimal digits of a length, "git-upload-pack /path" NUL "host=name" NUL ... */
#include "dpi/message.h"
#include "dpi/proto/told.h"

static const struct fact f_op = { "operation", FACT_OPERATION }, f_repo = { "repository", FACT_OBJECT }, f_host = { "host", FACT_PLAIN };
static const struct fact *const facts[] = { &f_op, &f_repo, &f_host, NULL };
static const char *const ops[] = { "git-upload-pack ", "git-receive-pack ", "git-upload-archive " };

/* The length, 0: none. */
static unsigned length_of(struct cursor c)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 4; i++) {
		uint8_t b = cur_u8(&c);

		if (b >= '0' && b <= '9')
			n = n << 4 | (b - '0');
		else if (b >= 'a' && b <= 'f')
			n = n << 4 | (b - 'a' + 10u);
		else
			return 0;
	}
	return n;
}

/* What begins an answer or a later request of version 2. */
static bool is_version2(struct cursor c)
{
	return length_of(c) >= 14 && cur_skip(&c, 4) && (cur_starts(&c, "version 2\n", 10) || cur_starts(&c, "agent=git/", 10) || cur_starts(&c, "command=ls-refs", 15) ||
		cur_starts(&c, "command=fetch", 13));
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[DIR_TOSERVER];

	if (in->midstream && (is_version2(c) || is_version2(in->dir[DIR_TOCLIENT])))
		return PROBE_YES;
	if (!cur_left(&c))
		return cur_left(&in->dir[DIR_TOCLIENT]) ? PROBE_NO : PROBE_MORE;
	if (cur_left(&c) < 4)
		return cur_peek(&c, 0) == '0' ? PROBE_MORE : PROBE_NO;
	if (length_of(c) < 20 || length_of(c) > 4096)
		return PROBE_NO;
	cur_skip(&c, 4);
	for (unsigned i = 0; i < 3; i++) {
		size_t n = strlen(ops[i]), have = cur_left(&c) < n ? cur_left(&c) : n;

		if (cur_starts(&c, ops[i], have) && have == n)
			return PROBE_YES;
		if (cur_starts(&c, ops[i], have))
			return PROBE_MORE;
	}
	return PROBE_NO;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct cursor c = *in;
	struct bytes part;
	struct record *r;
	unsigned n = length_of(c);

	(void)state;
	if (dir == DIR_TOCLIENT || is_version2(*in)) {
		cur_rest(in);
		return PARSE_DONE;
	}
	if (cur_left(in) < n)
		return msg_more(px, n);
	cur_skip(&c, 4);
	c = cur_sub(&c, n < 4 ? 0 : n - 4);
	r = px_record(px);
	part = cur_bytes(&c, cur_find(&c, ' ') == SIZE_MAX ? cur_left(&c) : cur_find(&c, ' '));
	rec_str(r, &f_op, part.n > 4 ? part.p + 4 : part.p, part.n > 4 ? part.n - 4 : part.n);
	cur_skip(&c, 1);
	part = up_to_nul(cur_rest(&c));
	while (part.n && part.p[part.n - 1] == '\n')
		part.n--;
	rec_bytes(r, &f_repo, part);
	if (part.p && part.p + part.n < c.end) {
		struct cursor h = cur_of(part.p + part.n, (size_t)(c.end - (part.p + part.n)));

		cur_skip(&h, 1);
		if (cur_starts(&h, "host=", 5) && cur_skip(&h, 5))
			rec_bytes(r, &f_host, up_to_nul(cur_rest(&h)));
	}
	px_judge(px, r);
	px_emit(px, EV_APP, UINT32_MAX, r);
	cur_rest(in);
	px_stop(px);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 9418, 0 };

const struct proto proto_git = {
	.name = "git",
	.app = APP_GIT,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
