/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mqtt: 3.1, 3.1.1 and 5 over TCP.
 *
 *   packet: type and flags(1) length(varint, 1 to 4) body        string: length(2) bytes
 *   CONNECT: name level(1) flags(1) keepalive(2) [properties] client [[properties] will topic, will message] [user] [password]
 *   PUBLISH: topic [id(2)] [properties] payload            SUBSCRIBE: id(2) [properties] (filter options(1))...
 *
 * One event per packet of those that tell something: CONNECT, CONNACK, PUBLISH, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, DISCONNECT,
 * AUTH; acknowledgements of messages and pings are passed by, as are payloads. Passwords and messages are never told. What a
 * client asks for is judged: who connects, each topic it publishes to, each filter it subscribes. A flow is believed by its CONNECT. */
#include "dpi/message.h"

#define WHOLE_MAX 60000u	/* of CONNECT and SUBSCRIBE, of which every byte may matter */
#define HEAD_KEEP 4400u		/* of PUBLISH: topic, id, properties */

enum { CONNECT = 1, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH };
enum { HAS_USER = 0x80, HAS_PASSWORD = 0x40, WILL_RETAIN = 0x20, WILL = 0x04, CLEAN = 0x02 };

static const char *const names[16] = { [CONNECT] = "connect", [CONNACK] = "connack", [PUBLISH] = "publish", [SUBSCRIBE] = "subscribe", [SUBACK] = "suback",
	[UNSUBSCRIBE] = "unsubscribe", [UNSUBACK] = "unsuback", [DISCONNECT] = "disconnect", [AUTH] = "auth" };

static const struct fact f_operation = { "operation", FACT_OPERATION }, f_connect = { "connect", FACT_PLAIN }, f_connack = { "connack", FACT_PLAIN },
	f_publish = { "publish", FACT_PLAIN }, f_subscribe = { "subscribe", FACT_PLAIN }, f_suback = { "suback", FACT_PLAIN },
	f_unsubscribe = { "unsubscribe", FACT_PLAIN }, f_unsuback = { "unsuback", FACT_PLAIN }, f_disconnect = { "disconnect", FACT_PLAIN },
	f_auth = { "auth", FACT_PLAIN }, f_qos = { "qos", FACT_PLAIN }, f_retain = { "retain", FACT_PLAIN }, f_dup = { "dup", FACT_PLAIN },
	f_string = { "protocol_string", FACT_PLAIN }, f_version = { "protocol_version", FACT_PLAIN }, f_flags = { "flags", FACT_PLAIN },
	f_has_user = { "username", FACT_PLAIN }, f_has_password = { "password", FACT_PLAIN }, f_has_will = { "will", FACT_PLAIN },
	f_will_retain = { "will_retain", FACT_PLAIN }, f_clean = { "clean_session", FACT_PLAIN }, f_client = { "client_id", FACT_PLAIN },
	f_user = { "username", FACT_USER }, f_will = { "will", FACT_PLAIN }, f_topic = { "topic", FACT_OBJECT }, f_filter = { "topic", FACT_FILTER }, f_topics = { "topics", FACT_OBJECT },
	f_id = { "message_id", FACT_PLAIN }, f_present = { "session_present", FACT_PLAIN }, f_code = { "return_code", FACT_PLAIN },
	f_reason = { "reason_code", FACT_PLAIN }, f_codes = { "reason_codes", FACT_PLAIN }, f_granted = { "qos_granted", FACT_PLAIN },
	f_properties = { "properties", FACT_PLAIN }, f_expiry = { "session_expiry_interval", FACT_PLAIN }, f_receive = { "receive_maximum", FACT_PLAIN },
	f_alias_max = { "topic_alias_maximum", FACT_PLAIN }, f_alias = { "topic_alias", FACT_PLAIN }, f_method = { "authentication_method", FACT_PLAIN },
	f_response = { "response_topic", FACT_PLAIN }, f_assigned = { "assigned_client_identifier", FACT_PLAIN }, f_type = { "content_type", FACT_PLAIN };
static const struct fact *const facts[] = { &f_operation, &f_connect, &f_connack, &f_publish, &f_subscribe, &f_suback, &f_unsubscribe, &f_unsuback,
	&f_disconnect, &f_auth, &f_qos, &f_retain, &f_dup, &f_string, &f_version, &f_flags, &f_has_user, &f_has_password, &f_has_will, &f_will_retain,
	&f_clean, &f_client, &f_user, &f_will, &f_topic, &f_topics, &f_id, &f_present, &f_code, &f_reason, &f_codes, &f_granted, &f_properties,
	&f_expiry, &f_receive, &f_alias_max, &f_alias, &f_method, &f_response, &f_assigned, &f_type, NULL };
static const struct fact *const objects[16] = { [CONNECT] = &f_connect, [CONNACK] = &f_connack, [PUBLISH] = &f_publish, [SUBSCRIBE] = &f_subscribe,
	[SUBACK] = &f_suback, [UNSUBSCRIBE] = &f_unsubscribe, [UNSUBACK] = &f_unsuback, [DISCONNECT] = &f_disconnect, [AUTH] = &f_auth };

struct mqtt {
	uint32_t tx;
	enum dir client;	/* who sent CONNECT */
	uint8_t version;	/* 0: no CONNECT yet */
};

/* ---- pieces ---- */

/* DONE, MORE (a byte is missing) or BAD (longer than four). */
static enum parse varint(struct cursor *c, uint32_t *v)
{
	*v = 0;
	for (unsigned i = 0; i < 4; i++) {
		uint8_t b = cur_u8(c);

		if (!cur_ok(c))
			return PARSE_MORE;
		*v |= (uint32_t)(b & 0x7f) << (7 * i);
		if (!(b & 0x80))
			return PARSE_DONE;
	}
	return PARSE_BAD;
}

static struct bytes string(struct cursor *c) { return cur_bytes(c, cur_be16(c)); }

/* Properties of version 5; those of the table are told. False: they don't hold. */
static bool properties(struct record *r, struct cursor *c)
{
	static const char *const kinds[] = { "\x01\x17\x19\x24\x25\x28\x29\x2a", "\x13\x21\x22\x23", "\x02\x11\x18\x27", "\x0b", "\x03\x08\x12\x15\x1a\x1c\x1f\x09\x16", "\x26" };
	static const struct { uint8_t id; const struct fact *fact; } told[] = { { 0x11, &f_expiry }, { 0x21, &f_receive }, { 0x22, &f_alias_max }, { 0x23, &f_alias },
		{ 0x15, &f_method }, { 0x08, &f_response }, { 0x12, &f_assigned }, { 0x03, &f_type } };
	bool open = false;
	struct cursor p;
	uint32_t n;

	if (varint(c, &n) != PARSE_DONE)
		return false;
	p = cur_sub(c, n);
	while (cur_more(&p)) {
		uint8_t id = cur_u8(&p);
		const struct fact *fact = NULL;
		struct bytes s = { NULL, 0 };
		unsigned kind = 0;
		uint32_t v = 0;

		while (kind < 6 && (!id || !strchr(kinds[kind], id)))
			kind++;
		for (unsigned i = 0; i < sizeof(told) / sizeof(told[0]); i++)
			if (told[i].id == id)
				fact = told[i].fact;
		if (kind == 0)
			v = cur_u8(&p);
		else if (kind == 1)
			v = cur_be16(&p);
		else if (kind == 2)
			v = cur_be32(&p);
		else if (kind == 3)
			varint(&p, &v);
		else if (kind == 4)
			s = string(&p);
		else if (kind == 5)
			string(&p), string(&p);
		else
			return false;
		if (!fact || !cur_ok(&p))
			continue;
		if (!open)
			rec_obj(r, &f_properties);
		open = true;
		if (kind == 4)
			rec_bytes(r, fact, s);
		else
			rec_u64(r, fact, v);
	}
	if (open)
		rec_end(r);
	return cur_ok(&p);
}

/* ---- recognition ---- */

static enum probe probe_connect(struct cursor c)
{
	static const char name4[] = "\0\4MQTT", name6[] = "\0\6MQIsdp";
	const char *name = name4;
	size_t n = 6;
	uint32_t len;
	uint8_t level, flags;
	enum parse p;

	if (cur_u8(&c) != CONNECT << 4)
		return PROBE_NO;
	p = varint(&c, &len);
	if (p != PARSE_DONE)
		return p == PARSE_MORE ? PROBE_MORE : PROBE_NO;
	if (len < 12)
		return PROBE_NO;
	if (cur_left(&c) > 1 && cur_peek(&c, 1) == 6) {
		name = name6;
		n = 8;
	}
	if (memcmp(c.pos, name, cur_left(&c) < n ? cur_left(&c) : n) != 0)
		return PROBE_NO;
	cur_skip(&c, n);
	level = cur_u8(&c) & 0x7f;	/* the high bit: a bridge */
	flags = cur_u8(&c);
	if (!cur_ok(&c))
		return PROBE_MORE;
	return (n == 8 ? level == 3 : level == 4 || level == 5) && !(flags & 1) && (flags & 0x18) != 0x18 ? PROBE_YES : PROBE_NO;
}

static enum probe probe(const struct probe_in *in)
{
	const struct cursor *up = &in->dir[DIR_TOSERVER], *down = &in->dir[DIR_TOCLIENT];
	enum probe p = cur_left(up) ? probe_connect(*up) : PROBE_MORE;

	if (p == PROBE_YES || !cur_left(down))
		return p;
	if (in->midstream && probe_connect(*down) != PROBE_NO)
		return probe_connect(*down);
	return cur_left(up) ? p : PROBE_NO;
}

/* ---- packets ---- */

static struct record *begin(struct px *px, uint8_t first)
{
	uint8_t type = first >> 4;
	struct record *r = px_record(px);

	rec_cstr(r, &f_operation, names[type]);
	rec_obj(r, objects[type]);
	rec_u64(r, &f_qos, first >> 1 & 3);
	rec_bool(r, &f_retain, first & 1);
	rec_bool(r, &f_dup, first >> 3 & 1);
	return r;
}

static void finish(struct px *px, struct mqtt *s, struct record *r)
{
	rec_end(r);
	px_emit(px, EV_APP, s->tx++, r);
}

/* What is asked for, judged by itself: the scratch record is used up. */
static void judge(struct px *px, uint8_t type, struct bytes topic)
{
	struct record *r = px_record(px);

	rec_cstr(r, &f_operation, names[type]);
	rec_bytes(r, type == SUBSCRIBE ? &f_filter : &f_topic, topic);
	px_judge(px, r);
}

static bool connect(struct px *px, struct mqtt *s, struct cursor *c)
{
	struct record *r = begin(px, CONNECT << 4);
	struct bytes name = string(c), client, topic;
	uint8_t flags;

	s->version = cur_u8(c) & 0x7f;
	flags = cur_u8(c);
	cur_skip(c, 2);
	rec_bytes(r, &f_string, name);
	rec_u64(r, &f_version, s->version);
	rec_obj(r, &f_flags);
	rec_bool(r, &f_has_user, flags & HAS_USER);
	rec_bool(r, &f_has_password, flags & HAS_PASSWORD);
	rec_bool(r, &f_has_will, flags & WILL);
	rec_bool(r, &f_will_retain, flags & WILL_RETAIN);
	rec_bool(r, &f_clean, flags & CLEAN);
	rec_end(r);
	if (s->version == 5 && !properties(r, c))
		return false;
	client = string(c);
	rec_bytes(r, &f_client, client);
	if (flags & WILL) {
		rec_obj(r, &f_will);
		if (s->version == 5 && !properties(r, c))
			return false;
		topic = string(c);
		string(c);
		rec_bytes(r, &f_topic, topic);
		rec_end(r);
	}
	if (flags & HAS_USER)
		rec_bytes(r, &f_user, string(c));
	if (!cur_ok(c))
		return false;
	px_judge(px, r);
	finish(px, s, r);
	return true;
}

static bool publish(struct px *px, struct mqtt *s, enum dir dir, uint8_t first, uint32_t len, struct cursor *c)
{
	uint16_t n = cur_be16(c);
	struct bytes topic;
	struct record *r;

	if (len < 2 || n > len - 2 || (first & 6) == 6)
		return false;
	topic = cur_bytes(c, n < cur_left(c) ? n : cur_left(c));
	if (dir == s->client)
		judge(px, PUBLISH, topic);
	r = begin(px, first);
	rec_bytes(r, &f_topic, topic);
	if (first & 6)
		rec_u64(r, &f_id, cur_be16(c));
	if (s->version == 5 && !properties(r, c) && len <= HEAD_KEEP)
		return false;
	finish(px, s, r);
	return true;
}

static bool subscribe(struct px *px, struct mqtt *s, uint8_t first, struct cursor *c)
{
	bool options = first >> 4 == SUBSCRIBE;
	struct cursor topics;
	struct record *r = begin(px, first);

	rec_u64(r, &f_id, cur_be16(c));
	if (s->version == 5 && !properties(r, c))
		return false;
	topics = *c;
	rec_arr(r, &f_topics);
	while (cur_more(c)) {
		struct bytes topic = string(c);

		if (options) {
			rec_obj(r, NULL);
			rec_bytes(r, &f_topic, topic);
			rec_u64(r, &f_qos, cur_u8(c) & 3);
			rec_end(r);
		} else {
			rec_bytes(r, NULL, topic);
		}
	}
	rec_end(r);
	if (!cur_ok(c))
		return false;
	finish(px, s, r);
	while (cur_more(&topics)) {
		judge(px, first >> 4, string(&topics));
		cur_skip(&topics, options ? 1 : 0);
	}
	return true;
}

/* Acknowledgements of CONNECT and of subscriptions, DISCONNECT, AUTH. */
static bool answer(struct px *px, struct mqtt *s, uint8_t first, struct cursor *c)
{
	uint8_t type = first >> 4;
	struct record *r = begin(px, first);

	if (type == CONNACK) {
		rec_bool(r, &f_present, cur_u8(c) & 1);
		rec_u64(r, &f_code, cur_u8(c));
	} else if (type == DISCONNECT || type == AUTH) {
		rec_u64(r, &f_reason, cur_left(c) ? cur_u8(c) : 0);
	} else {
		rec_u64(r, &f_id, cur_be16(c));
	}
	if (s->version == 5 && cur_left(c) && !properties(r, c))
		return false;
	if ((type == SUBACK || type == UNSUBACK) && cur_left(c)) {
		rec_arr(r, type == SUBACK && s->version < 5 ? &f_granted : &f_codes);
		while (cur_more(c))
			rec_u64(r, NULL, cur_u8(c));
		rec_end(r);
	}
	if (!cur_ok(c))
		return false;
	finish(px, s, r);
	return true;
}

static bool packet(struct px *px, struct mqtt *s, enum dir dir, uint8_t first, uint32_t len, struct cursor *c)
{
	switch (first >> 4) {
	case CONNECT:
		return connect(px, s, c);
	case PUBLISH:
		return publish(px, s, dir, first, len, c);
	case SUBSCRIBE:
	case UNSUBSCRIBE:
		return subscribe(px, s, first, c);
	case CONNACK:
	case SUBACK:
	case UNSUBACK:
	case DISCONNECT:
	case AUTH:
		return answer(px, s, first, c);
	default:
		return true;
	}
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct mqtt *s = state;

	while (cur_more(in)) {
		struct cursor c = *in, view = cur_of(NULL, 0);
		uint8_t first = cur_u8(&c), type = first >> 4;
		uint32_t len;
		enum parse p = varint(&c, &len);

		if (p == PARSE_MORE)
			return PARSE_MORE;
		if (p == PARSE_BAD)
			return msg_bad(px, "mqtt.bad_length");
		if (type == CONNECT && probe_connect(*in) == PROBE_YES)
			s->client = dir;
		else if (!type || (type == AUTH && s->version != 5) || !s->version)
			return msg_bad(px, "mqtt.bad_packet");
		if (type != PUBLISH && len > WHOLE_MAX)
			return msg_bad(px, "mqtt.too_long");
		if (cur_left(&c) < (type == PUBLISH && len > HEAD_KEEP ? HEAD_KEEP : len))
			return msg_more(px, cur_used(&c) - cur_used(in) + (type == PUBLISH && len > HEAD_KEEP ? HEAD_KEEP : len));
		*in = c;
		msg_take(px, dir, in, len, type == PUBLISH ? HEAD_KEEP : WHOLE_MAX, &view);
		if (!packet(px, s, dir, first, len, &view))
			return msg_bad(px, "mqtt.bad_packet");
	}
	return PARSE_DONE;
}

static const uint16_t ports[] = { 1883, 0 };

const struct proto proto_mqtt = {
	.name = "mqtt",
	.app = APP_MQTT,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct mqtt),
	.probe = probe,
	.parse = parse,
	.facts = facts,
	.for_events = true,
};
