/* SPDX-License-Identifier: GPL-2.0-or-later */
/* aerospike:
 *
 *   version (1: 2)  type (1: 1 info, 2 security, 3 message, 4 compressed)  length (6)
 *   info: lines of "name" or "name<TAB>value"
 *   message: head length (1: 22)  flags (3)  0 (1)  result (1)  generation (4)  ttl (4)  timeout (4)  fields (2)  operations (2),
 *   fields of length (4), type (1), data;   security: 0 (1) 0/1 (1) command (1) fields (1) 0 (12), fields as above
 *
 * One `aerospike` event per request, when its answer is there: one is answered after the other. */
#include "dpi/message.h"

#define HEAD 8u
#define KEEP (HEAD + 2048u)
#define ANSWER_KEEP (HEAD + 22u)
#define LENGTH_MAX ((uint64_t)128 << 20)
#define MESSAGE_HEAD 22u
#define FIELDS_MAX 64u

enum type { T_INFO = 1, T_SECURITY, T_MESSAGE, T_COMPRESSED };

static const struct fact f_command = { "command", FACT_COMMAND }, f_namespace = { "namespace", FACT_DATABASE }, f_set = { "set", FACT_TABLE },
	f_key = { "key", FACT_KEY }, f_user = { "user", FACT_USER }, f_info = { "info", FACT_OBJECT }, f_module = { "udf", FACT_OBJECT },
	f_result = { "result", FACT_PLAIN };
static const struct fact *const facts[] = { &f_command, &f_namespace, &f_set, &f_key, &f_user, &f_info, &f_module, &f_result, NULL };

struct aerospike {
	struct msg_sync sync;
	struct asks asks;
};

/* The next field; false: there is none. */
static bool field_next(struct cursor *c, uint8_t *type, struct bytes *value)
{
	uint32_t n = cur_be32(c);

	*type = cur_u8(c);
	if (!cur_ok(c) || !n)
		return false;
	*value = cur_bytes(c, n - 1 < cur_left(c) ? n - 1 : cur_left(c));
	return true;
}

/* What is done, by the flags of the head. */
static const char *operation(uint8_t info1, uint8_t info2, bool udf, bool query)
{
	if (udf)
		return query ? "query_udf" : "udf";
	if (query)
		return "query";
	if (info2 & 0x02)
		return "delete";
	if (info2 & 0x01)
		return "write";
	if (info1 & 0x08)
		return "batch";
	return info1 & 0x20 ? "exists" : "read";
}

static void message_tell(struct record *r, struct cursor c)
{
	struct bytes ns = { NULL, 0 }, set = { NULL, 0 }, key = { NULL, 0 }, module = { NULL, 0 }, value;
	uint8_t info1, info2, type;
	bool query = false;
	unsigned n;

	cur_skip(&c, 1);
	info1 = cur_u8(&c);
	info2 = cur_u8(&c);
	cur_skip(&c, 15);
	n = cur_be16(&c);
	cur_skip(&c, 2);
	for (unsigned i = 0; i < n && i < FIELDS_MAX && field_next(&c, &type, &value); i++) {
		if (type == 0)
			ns = value;
		else if (type == 1)
			set = value;
		else if (type == 2 && value.n && value.p[0] == 3)	/* a key of text */
			key = (struct bytes){ value.p + 1, value.n - 1 };
		else if (type == 30)
			module = value;
		query |= type == 8 || type == 11 || type == 21 || type == 22;
	}
	rec_cstr(r, &f_command, operation(info1, info2, module.p != NULL, query));
	if (ns.n)
		rec_bytes(r, &f_namespace, ns);
	if (set.n)
		rec_bytes(r, &f_set, set);
	if (key.n)
		rec_bytes(r, &f_key, key);
	if (module.n)
		rec_bytes(r, &f_module, module);
}

static void security_tell(struct record *r, struct cursor c)
{
	static const char *const names[] = { "authenticate", "create_user", "drop_user", "set_password", "change_password", "grant_roles", "revoke_roles", NULL, NULL,
		"query_users", "create_role", "drop_role", "grant_privileges", "revoke_privileges", NULL, NULL, "query_roles", NULL, NULL, NULL, "login" };
	uint8_t command, n, type;
	struct bytes value;

	cur_skip(&c, 2);
	command = cur_u8(&c);
	n = cur_u8(&c);
	cur_skip(&c, 12);
	rec_cstr(r, &f_command, command < sizeof(names) / sizeof(names[0]) && names[command] ? names[command] : "security");
	for (unsigned i = 0; i < n && i < FIELDS_MAX && field_next(&c, &type, &value); i++)
		if (type == 0)
			rec_bytes(r, &f_user, value);
}

/* The first line's name, without the value. */
static void info_tell(struct record *r, struct cursor c)
{
	size_t n = 0;

	while (n < cur_left(&c) && cur_peek(&c, n) > ' ' && cur_peek(&c, n) != ':' && cur_peek(&c, n) != '=')
		n++;
	rec_cstr(r, &f_command, "info");
	if (n)
		rec_bytes(r, &f_info, cur_bytes(&c, n));
}

static bool length(void *state, enum dir dir, struct cursor head, uint64_t *len, size_t *keep)
{
	uint8_t version = cur_u8(&head), type = cur_u8(&head);
	uint64_t n = (uint64_t)cur_be16(&head) << 32;

	(void)state;
	n |= cur_be32(&head);
	*len = HEAD + n;
	*keep = dir == DIR_TOSERVER ? KEEP : ANSWER_KEEP;
	return version == 2 && type >= T_INFO && type <= T_COMPRESSED && n <= LENGTH_MAX;
}

static enum parse message(struct px *px, void *state, enum dir dir, struct cursor msg, uint64_t len)
{
	struct aerospike *s = state;
	struct record *r;
	uint8_t type, result;

	(void)len;
	cur_skip(&msg, 1);
	type = cur_u8(&msg);
	cur_skip(&msg, 6);
	if (dir == DIR_TOSERVER) {
		r = px_record(px);
		if (type == T_INFO)
			info_tell(r, msg);
		else if (type == T_SECURITY)
			security_tell(r, msg);
		else if (type == T_MESSAGE)
			message_tell(r, msg);
		else
			rec_cstr(r, &f_command, "compressed");
		px_judge(px, r);
		asks_add(px, &s->asks, type, r);
		msg_asked(&s->sync);
		return PARSE_DONE;
	}
	if (!s->asks.n)
		return PARSE_DONE;
	r = asks_record(px, &s->asks, 0);
	cur_skip(&msg, type == T_MESSAGE ? 5 : 1);
	result = cur_u8(&msg);
	if ((type == T_MESSAGE || type == T_SECURITY) && cur_ok(&msg) && result)
		rec_u64(r, &f_result, result);
	asks_tell(px, &s->asks, 0, r);
	return PARSE_DONE;
}

static const struct msg_format format = { HEAD, "aerospike.bad_message", length, message };

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct aerospike *s = state;

	s->asks.event = EV_APP;
	return msg_run(px, &format, &s->sync, s, dir, in);
}

static enum parse gap(struct px *px, void *state, enum dir dir, uint64_t len)
{
	struct aerospike *s = state;

	(void)len;
	if (dir == DIR_TOCLIENT)
		asks_end(px, &s->asks);
	return msg_gap(&s->sync, dir);
}

static void end(struct px *px, void *state)
{
	struct aerospike *s = state;

	s->asks.event = EV_APP;
	asks_end(px, &s->asks);
}

/* ---- recognition: a head whose length is the message's, and what its type must have ---- */

static enum probe probe_one(struct cursor c, bool client)
{
	struct cursor h = c;
	uint64_t len;
	size_t keep;
	uint8_t type = cur_peek(&c, 1);

	if (cur_peek(&c, 0) != 2 || (cur_left(&c) > 1 && (type < T_INFO || type > T_MESSAGE)) || (cur_left(&c) > 3 && (cur_peek(&c, 2) || cur_peek(&c, 3))))
		return PROBE_NO;
	if (cur_left(&c) < HEAD)
		return PROBE_MORE;
	if (!length(NULL, client ? DIR_TOSERVER : DIR_TOCLIENT, h, &len, &keep))
		return PROBE_NO;
	cur_skip(&c, HEAD);
	len -= HEAD;
	switch (type) {
	case T_INFO:	/* names in small letters, a line each */
		if (!len || len > 65536)
			return PROBE_NO;
		for (uint64_t i = 0; i < len && i < 64; i++) {
			uint8_t b = cur_peek(&c, (size_t)i);

			if (i == cur_left(&c))
				return PROBE_MORE;
			if (b == '\n' || b == '\t' || b == ':' || b == '/')
				return i >= 3 ? PROBE_YES : PROBE_NO;
			if (!((b >= 'a' && b <= 'z') || b == '-' || b == '_' || (i && b >= '0' && b <= '9')))
				return PROBE_NO;
		}
		return PROBE_NO;
	case T_SECURITY:
		if (cur_left(&c) < 16)
			return PROBE_MORE;
		if (len < 16 || cur_u8(&c) || !client)
			return PROBE_NO;
		cur_skip(&c, 1);
		if (cur_u8(&c) > 20 || cur_u8(&c) > 8)
			return PROBE_NO;
		for (unsigned i = 0; i < 12; i++)
			if (cur_u8(&c))
				return PROBE_NO;
		return PROBE_YES;
	default:
		if (cur_left(&c) < MESSAGE_HEAD)
			return PROBE_MORE;
		if (len < MESSAGE_HEAD || cur_u8(&c) != MESSAGE_HEAD)
			return PROBE_NO;
		cur_skip(&c, 3);
		if (cur_u8(&c) || (client && cur_u8(&c)))
			return PROBE_NO;
		cur_skip(&c, client ? 12 : 13);
		return cur_be16(&c) <= FIELDS_MAX ? PROBE_YES : PROBE_NO;
	}
}

static enum probe probe(const struct probe_in *in)
{
	if (cur_left(&in->dir[DIR_TOSERVER]))
		return probe_one(in->dir[DIR_TOSERVER], true);
	return in->midstream ? probe_one(in->dir[DIR_TOCLIENT], false) : PROBE_NO;
}

static const uint16_t ports[] = { 3000, 3002, 0 };

const struct proto proto_aerospike = {
	.name = "aerospike",
	.app = APP_AEROSPIKE,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct aerospike),
	.probe = probe,
	.parse = parse,
	.gap = gap,
	.end = end,
	.facts = facts,
};
