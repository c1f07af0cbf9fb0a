/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mining: Stratum and its kin, JSON-RPC in lines. One `mining` event per login.
 *
 *   {"id":1,"method":"mining.subscribe","params":[...]}     {"method":"mining.authorize","params":["worker","x"]}
 *   {"method":"login","params":{"login":"wallet","pass":"x","agent":"xmrig/6"}}     {"method":"eth_submitLogin","params":["wallet"]}
 *
 * Monero's peers speak Levin, frames that begin with 01 21 01 01 01 01 01 01: told as method `levin`, and not looked at further.
 *
 * A line of the client must be an object with one of these methods, or an answer to one by the server must follow from it. */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define LINE_MAX_LEN 4096u

static const struct fact f_method = { "method", FACT_OPERATION }, f_user = { "user", FACT_USER }, f_agent = { "agent", FACT_PLAIN };
static const struct fact *const facts[] = { &f_method, &f_user, &f_agent, NULL };
static const char *const methods[] = { "mining.subscribe", "mining.authorize", "mining.configure", "mining.extranonce.subscribe", "eth_submitLogin", "eth_getWork", "login" };

static const char levin[] = "\1\41\1\1\1\1\1\1";

/* The string behind the key, wherever in the line it stands. */
static struct bytes string_of(struct bytes line, const char *key)
{
	const uint8_t *at = line.n ? memmem(line.p, line.n, key, strlen(key)) : NULL;
	struct cursor c;
	size_t n;

	if (!at)
		return (struct bytes){ NULL, 0 };
	c = cur_of(at, line.n - (size_t)(at - line.p));
	cur_skip(&c, strlen(key));
	while (cur_more(&c) && (cur_peek(&c, 0) == ' ' || cur_peek(&c, 0) == ':' || cur_peek(&c, 0) == '['))
		cur_skip(&c, 1);
	if (cur_u8(&c) != '"')
		return (struct bytes){ NULL, 0 };
	n = cur_find(&c, '"');
	return n == SIZE_MAX ? (struct bytes){ NULL, 0 } : cur_bytes(&c, n);
}

static bool method_known(struct bytes line)
{
	struct bytes method = string_of(line, "\"method\"");

	for (unsigned i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (bytes_are(method, methods[i]))
			return i < 6 || (string_of(line, "\"login\":").p && string_of(line, "\"pass\"").p);
	return false;
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[DIR_TOSERVER];
	struct bytes line;

	if (!cur_left(&c))
		return cur_left(&in->dir[DIR_TOCLIENT]) && cur_peek(&in->dir[DIR_TOCLIENT], 0) != '{' ? PROBE_NO : PROBE_MORE;
	if (cur_starts(&c, levin, cur_left(&c) < 8 ? cur_left(&c) : 8))
		return cur_left(&c) < 8 ? PROBE_MORE : PROBE_YES;
	if (cur_peek(&c, 0) != '{')
		return PROBE_NO;
	if (!cur_line(&c, &line)) {
		line = (struct bytes){ c.pos, cur_left(&c) };
		return line.n < LINE_MAX_LEN && !memchr(line.p, 0, line.n) ? PROBE_MORE : PROBE_NO;
	}
	return method_known(line) ? PROBE_YES : PROBE_NO;
}

static void tell(struct px *px, struct bytes line)
{
	struct bytes method = string_of(line, "\"method\""), user = { NULL, 0 }, agent = string_of(line, "\"agent\"");
	struct record *r;

	if (bytes_are(method, "mining.authorize") || bytes_are(method, "eth_submitLogin"))
		user = string_of(line, "\"params\"");
	else if (bytes_are(method, "login"))
		user = string_of(line, "\"login\":");
	else if (!bytes_are(method, "mining.subscribe"))
		return;
	else
		agent = string_of(line, "\"params\"");
	r = px_record(px);
	rec_bytes(r, &f_method, method);
	if (user.n)
		rec_bytes(r, &f_user, user);
	if (agent.n)
		rec_bytes(r, &f_agent, agent);
	px_judge(px, r);
	px_emit(px, EV_APP, UINT32_MAX, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct bytes line;

	(void)state;
	if (dir == DIR_TOCLIENT) {
		cur_rest(in);
		return PARSE_DONE;
	}
	if (cur_starts(in, levin, 8)) {
		struct record *r = px_record(px);

		rec_cstr(r, &f_method, "levin");
		px_judge(px, r);
		px_emit(px, EV_APP, UINT32_MAX, r);
		cur_rest(in);
		px_stop(px);
		return PARSE_DONE;
	}
	if (cur_peek(in, 0) == levin[0] && cur_left(in) < 8)
		return msg_more(px, 8);
	while (cur_line(in, &line))
		if (line.n <= LINE_MAX_LEN)
			tell(px, line);
	if (!cur_left(in))
		return PARSE_DONE;
	if (cur_left(in) > LINE_MAX_LEN)
		return msg_bad(px, "mining.line_too_long");
	return PARSE_MORE;	/* without a length: asked again as the line doubles */
}

static const uint16_t ports[] = { 3333, 4444, 14444, 0 };

const struct proto proto_mining = {
	.name = "mining",
	.app = APP_MINING,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
