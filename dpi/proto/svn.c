/* SPDX-License-Identifier: GPL-2.0-or-later */
/* svn: Subversion's ra_svn. One `svn` event for the client's greeting, one per login, one per command that names something.
 *
 *   server: ( success ( 2 2 ( mechanisms ) ( capabilities ) ) )      client: ( 2 ( capabilities ) N:URL N:agent ( ) )
 *   login:  ( MECHANISM ( N:first ) )  or, for CRAM-MD5, ( CRAM-MD5 ( ) ) and N:user and digest, outside of any list
 *   words, numbers, strings as LENGTH:bytes, lists in parentheses, blanks between; a command is ( word ( arguments ) )
 *
 * The client's lists are followed item by item; of a command its word and its first string are kept. Other strings, contents of files
 * among them, are passed by. What the server says is not looked at. */
#include "dpi/message.h"
#include "dpi/proto/sasl.h"
#include "dpi/proto/told.h"

#define GREETING_MAX 2048u
#define DEPTH_MAX 32u
#define WORD_MAX 40u
#define PATH_KEPT 352u
#define AGENT_KEPT 100u
#define DIGITS_MAX 19u

static const struct fact f_url = { "url", FACT_OBJECT }, f_agent = { "agent", FACT_PLAIN }, f_operation = { "operation", FACT_OPERATION },
	f_path = { "path", FACT_OBJECT }, f_mechanism = { "mechanism", FACT_PLAIN }, f_user = { "user", FACT_USER };
static const struct fact *const facts[] = { &f_url, &f_agent, &f_operation, &f_path, &f_mechanism, &f_user, NULL };

/* Those whose first string is a path; commit's is its message. */
static const char *const with_path[] = { "update", "switch", "status", "diff", "get-file", "get-dir", "check-path", "stat", "get-mergeinfo", "get-file-revs",
	"get-locations", "get-location-segments", "get-deleted-rev", "get-iprops", "lock", "unlock", "get-lock", "get-locks", "list", "reparent", "add-dir", "add-file",
	"open-dir", "open-file", "delete-entry", "log", NULL };
static const char *const without[] = { "commit", "lock-many", "unlock-many", "change-rev-prop", "change-rev-prop2", "replay", "replay-range", NULL };
static const char *const mechanisms[] = { "ANONYMOUS", "CRAM-MD5", "PLAIN", "LOGIN", "EXTERNAL", "DIGEST-MD5", "GSSAPI", "NTLM", NULL };

struct svn {
	bool greeted;
	bool answers;		/* a string outside of lists says who logs in */
	uint8_t depth, word_n, agent_n;
	uint16_t path_n;
	bool has_path;
	uint32_t tx;
	char word[WORD_MAX], agent[AGENT_KEPT], path[PATH_KEPT];
};

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

static int which(const struct svn *s, const char *const *words)
{
	for (int i = 0; words[i]; i++)
		if (strlen(words[i]) == s->word_n && !memcmp(words[i], s->word, s->word_n))
			return i;
	return -1;
}

static void login(struct px *px, struct svn *s, const char *mechanism, struct bytes user)
{
	struct record *r = px_record(px);

	rec_cstr(r, &f_mechanism, mechanism);
	if (user.n)
		rec_bytes(r, &f_user, user);
	px_judge(px, r);
	px_emit(px, EV_APP, s->tx++, r);
}

/* The end of a list that stands in no other. */
static void list_ends(struct px *px, struct svn *s)
{
	bool path = which(s, with_path) >= 0;
	uint8_t buf[SASL_USER_MAX];
	int m = which(s, mechanisms);
	struct bytes mechanism;
	struct record *r;

	if (!s->greeted) {
		s->greeted = true;
		r = px_record(px);
		rec_str(r, &f_url, s->path, s->path_n);
		if (s->agent_n)
			rec_str(r, &f_agent, s->agent, s->agent_n);
		px_judge(px, r);
		px_emit(px, EV_APP, UINT32_MAX, r);
	} else if (m >= 0 && !s->has_path) {
		s->answers = m == 1;
		if (m > 1)
			login(px, s, mechanisms[m], (struct bytes){ NULL, 0 });
	} else if (m > 0) {
		mechanism = (struct bytes){ (const uint8_t *)mechanisms[m], strlen(mechanisms[m]) };
		login(px, s, mechanisms[m], sasl_user_how(sasl_how(mechanism), (struct bytes){ (const uint8_t *)s->path, s->path_n }, buf));
	} else if (path || which(s, without) >= 0) {
		r = px_record(px);
		rec_str(r, &f_operation, s->word, s->word_n);
		if (path && s->has_path)
			rec_str(r, &f_path, s->path, s->path_n);
		px_judge(px, r);
		px_emit(px, EV_APP, s->tx++, r);
	}
	s->word_n = s->agent_n = 0;
	s->path_n = 0;
	s->has_path = false;
}

/* "user digest" in answer to CRAM-MD5. */
static void answer(struct px *px, struct svn *s, struct bytes b)
{
	while (b.n && b.p[b.n - 1] != ' ')
		b.n--;
	s->answers = false;
	login(px, s, "CRAM-MD5", (struct bytes){ b.p, b.n ? b.n - 1 : 0 });
}

/* A string of n bytes behind `head` bytes of length; it is kept if it is wanted. */
static enum parse string(struct px *px, struct svn *s, struct cursor *in, size_t head, uint64_t n)
{
	bool path = !s->has_path && (s->greeted ? s->depth >= 2 : s->depth == 1), agent = !s->greeted && s->depth == 1 && s->has_path && !s->agent_n;
	bool who = !s->depth && s->answers;
	size_t most = path ? PATH_KEPT : agent ? AGENT_KEPT : who ? SASL_USER_MAX : 0, keep = n < most ? (size_t)n : most;
	struct cursor view;
	struct bytes b;
	enum parse p = msg_take(px, DIR_TOSERVER, in, head + n, head + keep, &view);

	if (p != PARSE_DONE)
		return p;
	cur_skip(&view, head);
	b = cur_bytes(&view, keep);
	if (path) {
		memcpy(s->path, b.n ? b.p : (const uint8_t *)"", b.n);
		s->path_n = (uint16_t)b.n;
		s->has_path = true;
	} else if (agent) {
		memcpy(s->agent, b.n ? b.p : (const uint8_t *)"", b.n);
		s->agent_n = (uint8_t)b.n;
	} else if (who) {
		answer(px, s, b);
	}
	return PARSE_DONE;
}

static bool of_word(uint8_t b) { return (b >= '0' && b <= '9') || ((b | 0x20) >= 'a' && (b | 0x20) <= 'z') || b == '-'; }

/* A word or number, or a string by its length. */
static enum parse atom(struct px *px, struct svn *s, struct cursor *in)
{
	uint64_t n = 0;
	bool digits = true;

	for (size_t i = 0; i <= WORD_MAX; i++) {
		uint8_t b;

		if (i == cur_left(in))
			return msg_more(px, i + 1);
		b = cur_peek(in, i);
		if (b == ':' && digits && i && i <= DIGITS_MAX)
			return string(px, s, in, i + 1, n);
		if (!of_word(b)) {
			if (!i || (b != ' ' && b != '\n' && b != ')' && b != '('))
				break;
			if (s->depth == 1 && !s->word_n) {
				s->word_n = (uint8_t)i;
				memcpy(s->word, cur_bytes(in, i).p, i);
			} else {
				cur_skip(in, i);
			}
			return PARSE_DONE;
		}
		digits &= b >= '0' && b <= '9';
		if (digits && i < DIGITS_MAX)
			n = n * 10 + (uint64_t)(b - '0');
	}
	return msg_bad(px, "svn.bad_item");
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct svn *s = state;
	enum parse p = PARSE_DONE;

	if (dir == DIR_TOCLIENT) {
		cur_rest(in);
		return PARSE_DONE;
	}
	while (p == PARSE_DONE && cur_more(in)) {
		uint8_t b = cur_peek(in, 0);

		if (b == '(' ? s->depth == DEPTH_MAX : b == ')' && !s->depth)
			return msg_bad(px, "svn.bad_item");
		if (b != '(' && b != ')' && b != ' ' && b != '\n') {
			p = atom(px, s, in);
			continue;
		}
		cur_skip(in, 1);
		s->depth = (uint8_t)(s->depth + (b == '(') - (b == ')'));
		if (b == ')' && !s->depth)
			list_ends(px, s);
	}
	return p;
}

static const uint16_t ports[] = { 3690, 0 };

const struct proto proto_svn = {
	.name = "svn",
	.app = APP_SVN,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct svn),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
