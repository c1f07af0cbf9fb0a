/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rocketmq: the remoting protocol.
 *
 *   frame: length(4, of what follows) form(1: 0 JSON, 1 binary) header length(3) header body
 *   JSON:  {"code":310,"language":"JAVA","opaque":7,"flag":0,"extFields":{"topic":"T",...}}
 *   binary: code(2) language(1) version(2) opaque(4) flag(4) remark(4 + n) fields(4): name(2 + n) value(4 + n) ...
 *
 * One event per request and per response that is no success. Bodies are passed by. A flow is believed by a JSON header. */
#include "dpi/message.h"
#include "dpi/proto/json.h"
#include "dpi/proto/line.h"

#define HEADER_MOST 32768u
#define FRAME_MOST 0x4000000u

static const struct fact f_operation = { "operation", FACT_OPERATION }, f_code = { "code", FACT_PLAIN }, f_topic = { "topic", FACT_OBJECT }, f_group = { "group", FACT_KEY },
	f_client = { "client_id", FACT_PLAIN }, f_user = { "access_key", FACT_USER }, f_remark = { "remark", FACT_PLAIN }, f_language = { "language", FACT_PLAIN };
static const struct fact *const facts[] = { &f_operation, &f_code, &f_topic, &f_group, &f_client, &f_user, &f_remark, &f_language, NULL };

struct rocketmq {
	uint32_t tx;
};

static const struct { uint16_t code; const char *name; } requests[] = {
	{ 10, "SEND_MESSAGE" }, { 11, "PULL_MESSAGE" }, { 12, "QUERY_MESSAGE" }, { 14, "QUERY_CONSUMER_OFFSET" }, { 15, "UPDATE_CONSUMER_OFFSET" }, { 17, "UPDATE_AND_CREATE_TOPIC" },
	{ 25, "UPDATE_BROKER_CONFIG" }, { 29, "SEARCH_OFFSET_BY_TIMESTAMP" }, { 30, "GET_MAX_OFFSET" }, { 31, "GET_MIN_OFFSET" }, { 34, "HEART_BEAT" }, { 35, "UNREGISTER_CLIENT" },
	{ 36, "CONSUMER_SEND_MSG_BACK" }, { 37, "END_TRANSACTION" }, { 38, "GET_CONSUMER_LIST_BY_GROUP" }, { 39, "CHECK_TRANSACTION_STATE" }, { 40, "NOTIFY_CONSUMER_IDS_CHANGED" },
	{ 41, "LOCK_BATCH_MQ" }, { 42, "UNLOCK_BATCH_MQ" }, { 100, "PUT_KV_CONFIG" }, { 101, "GET_KV_CONFIG" }, { 103, "REGISTER_BROKER" }, { 104, "UNREGISTER_BROKER" },
	{ 105, "GET_ROUTEINFO_BY_TOPIC" }, { 106, "GET_BROKER_CLUSTER_INFO" }, { 200, "UPDATE_AND_CREATE_SUBSCRIPTIONGROUP" }, { 206, "GET_ALL_TOPIC_LIST_FROM_NAMESERVER" },
	{ 215, "DELETE_TOPIC_IN_BROKER" }, { 216, "DELETE_TOPIC_IN_NAMESRV" }, { 310, "SEND_MESSAGE_V2" }, { 320, "SEND_BATCH_MESSAGE" }, { 322, "REGISTER_BROKER" }, { 325, "SEND_REPLY_MESSAGE_V2" },
};

struct header {
	bool json;
	uint64_t code, flag;
	struct bytes remark, language, topic, group, client, user;
};

static struct bytes either(struct bytes a, struct bytes b) { return a.n ? a : b; }

static bool read_json(struct bytes json, struct header *h)
{
	h->json = true;
	h->code = line_number(json_value(json, 1, "code"));
	h->flag = line_number(json_value(json, 1, "flag"));
	h->remark = json_value(json, 1, "remark");
	h->language = json_value(json, 1, "language");
	h->topic = json_value(json, 2, "topic");
	h->group = either(json_value(json, 2, "consumerGroup"), json_value(json, 2, "producerGroup"));
	if (h->code == 310 || h->code == 320 || h->code == 325) {	/* names in brief */
		h->topic = either(h->topic, json_value(json, 2, "b"));
		h->group = either(h->group, json_value(json, 2, "a"));
	}
	h->client = json_value(json, 2, "clientID");
	h->user = json_value(json, 2, "AccessKey");
	return h->code <= UINT16_MAX && h->flag <= UINT32_MAX && line_number(json_value(json, 1, "opaque")) != UINT64_MAX;
}

static bool read_binary(struct cursor c, struct header *h)
{
	struct cursor fields;

	h->code = cur_be16(&c);
	cur_skip(&c, 7);
	h->flag = cur_be32(&c);
	h->remark = cur_bytes(&c, cur_be32(&c));
	fields = cur_sub(&c, cur_be32(&c));
	while (cur_more(&fields)) {
		struct bytes name = cur_bytes(&fields, cur_be16(&fields)), v = cur_bytes(&fields, cur_be32(&fields));

		if (line_is(name, "TOPIC") || (h->code == 310 && line_is(name, "B")))
			h->topic = v;
		else if (line_is(name, "CONSUMERGROUP") || line_is(name, "PRODUCERGROUP") || (h->code == 310 && line_is(name, "A")))
			h->group = v;
		else if (line_is(name, "ACCESSKEY"))
			h->user = v;
	}
	return cur_ok(&c) && cur_ok(&fields);
}

static void put(struct record *r, const struct header *h, const struct fact *f, struct bytes b)
{
	if (!b.n || line_is(b, "NULL"))
		return;
	if (h->json)
		json_put(r, f, b);
	else
		rec_bytes(r, f, b);
}

static void tell(struct px *px, struct rocketmq *s, const struct header *h)
{
	bool response = h->flag & 1;
	struct record *r;
	unsigned i = 0;

	if (response && !h->code)
		return;
	while (i < sizeof(requests) / sizeof(requests[0]) && requests[i].code != h->code)
		i++;
	r = px_record(px);
	if (response)
		rec_cstr(r, &f_operation, "response");
	else if (i < sizeof(requests) / sizeof(requests[0]))
		rec_cstr(r, &f_operation, requests[i].name);
	else
		rec_cstr(r, &f_operation, "request");
	rec_u64(r, &f_code, h->code);
	put(r, h, &f_topic, h->topic);
	put(r, h, &f_group, h->group);
	put(r, h, &f_client, h->client);
	put(r, h, &f_user, h->user);
	put(r, h, &f_remark, h->remark);
	put(r, h, &f_language, h->language);
	if (!response)
		px_judge(px, r);
	px_emit(px, EV_APP, s->tx++, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct rocketmq *s = state;

	while (cur_more(in)) {
		struct header h = { .code = 0 };
		struct cursor c = *in;
		uint32_t length = cur_be32(&c), form = cur_u8(&c), n = cur_be24(&c);
		struct cursor header;

		if (!cur_ok(&c))
			return msg_more(px, 8);
		if (length > FRAME_MOST || length < 4 || n > length - 4 || n > HEADER_MOST || form > 1)
			return msg_bad(px, "rocketmq.bad_frame");
		header = cur_sub(&c, n);
		if (!cur_ok(&c))
			return msg_more(px, n + 8);
		*in = c;
		if (!(form ? read_binary(header, &h) : read_json((struct bytes){ header.pos, n }, &h)))
			return msg_bad(px, "rocketmq.bad_header");
		tell(px, s, &h);
		msg_pass(px, dir, in, length - 4 - n);
	}
	return PARSE_DONE;
}

static enum probe probe_frame(struct cursor c)
{
	uint32_t length = cur_be32(&c), form = cur_u8(&c), n = cur_be24(&c);
	struct header h = { .code = 0 };
	struct bytes json;

	if (!cur_ok(&c))
		return PROBE_MORE;
	if (length > FRAME_MOST || length < 4 || n > length - 4 || n > HEADER_MOST || n < 20 || form)
		return PROBE_NO;
	if (cur_left(&c) && cur_peek(&c, 0) != '{')
		return PROBE_NO;
	json = (struct bytes){ c.pos, n };
	if (cur_left(&c) < n)
		return PROBE_MORE;
	return read_json(json, &h) && h.language.n ? PROBE_YES : PROBE_NO;
}

static enum probe probe(const struct probe_in *in)
{
	const struct cursor *up = &in->dir[DIR_TOSERVER], *down = &in->dir[DIR_TOCLIENT];
	enum probe p = cur_left(up) ? cur_peek(up, 0) > 3 ? PROBE_NO : probe_frame(*up) : PROBE_MORE;

	if (p == PROBE_YES || !cur_left(down) || cur_left(up))
		return p;
	return in->midstream && cur_peek(down, 0) <= 3 ? probe_frame(*down) : PROBE_NO;
}

static const uint16_t ports[] = { 9876, 10911, 10909, 0 };

const struct proto proto_rocketmq = {
	.name = "rocketmq",
	.app = APP_ROCKETMQ,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct rocketmq),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
