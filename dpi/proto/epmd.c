/* SPDX-License-Identifier: GPL-2.0-or-later */
/* epmd: Erlang's port mapper. length(2) tag(1) ...; one request a connection, told as an `epmd` event when it is whole;
 * where a node is, when that is answered (or at the end of the flow).
 *
 *   x (120) a node is there: port(2) kind(1, 'M' or 'H') 00 versions(2, 2) name(with length 2) extra(with length 2)
 *   z (122) where is a node: name; answered by 119 result(1) port(2) ...    n (110) all names; answered by the mapper's own port and text */
#include "dpi/message.h"

#define NAME_MAX_LEN 255u
#define MESSAGE_MAX 1024u

static const struct fact f_operation = { "operation", FACT_OPERATION }, f_node = { "node", FACT_OBJECT }, f_port = { "port", FACT_PLAIN },
	f_error = { "error_code", FACT_PLAIN };
static const struct fact *const facts[] = { &f_operation, &f_node, &f_port, &f_error, NULL };

struct epmd {
	struct saved *told;	/* a question that waits */
};

static bool name_ok(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (!((b.p[i] >= 'a' && b.p[i] <= 'z') || (b.p[i] >= 'A' && b.p[i] <= 'Z') || (b.p[i] >= '0' && b.p[i] <= '9') || b.p[i] == '_' || b.p[i] == '-' || b.p[i] == '.'))
			return false;
	return b.n > 0 && b.n <= NAME_MAX_LEN;
}

/* The request: NO: none; MORE: not whole. */
static enum probe request(struct cursor c, uint8_t *tag, struct bytes *name, uint16_t *port)
{
	uint16_t n, versions[2];
	uint8_t kind, protocol;

	if (cur_left(&c) < 3)
		return cur_peek(&c, 0) > 4 ? PROBE_NO : PROBE_MORE;
	n = cur_be16(&c);
	*tag = cur_u8(&c);
	if (!n || n > MESSAGE_MAX || (*tag != 'x' && *tag != 'z' && *tag != 'n') || (*tag == 'n' && n != 1))
		return PROBE_NO;
	if (cur_left(&c) < n - 1u)
		return PROBE_MORE;
	if (cur_left(&c) != n - 1u)
		return PROBE_NO;
	*port = 0;
	*name = (struct bytes){ NULL, 0 };
	if (*tag == 'n')
		return PROBE_YES;
	if (*tag == 'z') {
		*name = cur_rest(&c);
		return name_ok(*name) ? PROBE_YES : PROBE_NO;
	}
	*port = cur_be16(&c);
	kind = cur_u8(&c);
	protocol = cur_u8(&c);
	versions[0] = cur_be16(&c);
	versions[1] = cur_be16(&c);
	*name = cur_bytes(&c, cur_be16(&c));
	cur_skip(&c, cur_be16(&c));
	return cur_ok(&c) && !cur_left(&c) && (kind == 77 || kind == 72) && !protocol && versions[0] >= versions[1] && versions[0] <= 16 && name_ok(*name) ?
		PROBE_YES : PROBE_NO;
}

static enum probe probe(const struct probe_in *in)
{
	const struct cursor *down = &in->dir[DIR_TOCLIENT];
	struct bytes name;
	uint16_t port;
	uint8_t tag;
	enum probe p = cur_left(&in->dir[DIR_TOSERVER]) ? request(in->dir[DIR_TOSERVER], &tag, &name, &port) : PROBE_NO;

	if (p != PROBE_YES || tag == 'x')
		return p;
	if (cur_left(down) < (tag == 'n' ? 4u : 2u))	/* these are short: the answer must agree */
		return PROBE_MORE;
	return tag == 'z' ? cur_peek(down, 0) == 119 ? PROBE_YES : PROBE_NO : cur_starts(down, "\0\0\x11\x11", 4) ? PROBE_YES : PROBE_NO;
}

/* Where a node is: its port, or why not. */
static enum parse answer(struct px *px, struct epmd *s, struct cursor *in)
{
	uint8_t result = cur_peek(in, 1);
	struct record *r;

	if (cur_left(in) < 2 || (!result && cur_left(in) < 4))
		return msg_more(px, cur_left(in) < 2 ? 2 : 4);
	r = px_record(px);
	rec_append(r, s->told->body, s->told->len);
	cur_skip(in, 2);
	if (result)
		rec_u64(r, &f_error, result);
	else
		rec_u64(r, &f_port, cur_be16(in));
	px_emit(px, EV_APP, UINT32_MAX, r);
	px_saved_free(px, s->told);
	s->told = NULL;
	cur_rest(in);
	px_stop(px);
	return PARSE_DONE;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct epmd *s = state;
	struct bytes name;
	struct record *r;
	uint16_t port;
	uint8_t tag;

	if (dir == DIR_TOCLIENT && s->told)
		return answer(px, s, in);
	if (dir == DIR_TOCLIENT || s->told) {
		cur_rest(in);
		return PARSE_DONE;
	}
	switch (request(*in, &tag, &name, &port)) {
	case PROBE_NO:
		return msg_bad(px, "epmd.bad_request");
	case PROBE_MORE:
		return msg_more(px, cur_left(in) + 1);
	case PROBE_YES:
		break;
	}
	r = px_record(px);
	rec_cstr(r, &f_operation, tag == 'x' ? "alive" : tag == 'z' ? "port_please" : "names");
	if (name.n)
		rec_bytes(r, &f_node, name);
	if (port)
		rec_u64(r, &f_port, port);
	cur_rest(in);
	px_judge(px, r);
	if (tag == 'z') {
		s->told = px_save(px, r);
		return PARSE_DONE;
	}
	px_emit(px, EV_APP, UINT32_MAX, r);
	px_stop(px);
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct epmd *s = state;
	struct record *r;

	if (!s->told)
		return;
	r = px_record(px);
	rec_append(r, s->told->body, s->told->len);
	px_emit(px, EV_APP, UINT32_MAX, r);
	px_saved_free(px, s->told);
}

static const uint16_t ports[] = { 4369, 0 };

const struct proto proto_epmd = {
	.name = "epmd", .app = APP_EPMD, .event = EV_APP, .l4 = PROTO_TCP, .ports = ports, .state_size = sizeof(struct epmd),
	.probe = probe, .parse = parse, .end = end, .facts = facts,
};
