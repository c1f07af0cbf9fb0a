/* SPDX-License-Identifier: GPL-2.0-or-later */
/* iscsi: the login phase of RFC 7143. One `iscsi` event per login, when its answer is there or the first text has come.
 *
 *   opcode(1) flags(1) versions or status(2) AHS length(1) data length(3) ... 48 bytes in all, then data padded to 4: key=value NUL ...
 *   43 or 03 login request (status none), 23 login response: class and detail at 36 */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define HEADER 48u
#define LOOK 4096u
#define DATA_MAX (1u << 20)

static const struct fact f_initiator = { "initiator", FACT_USER }, f_target = { "target", FACT_OBJECT }, f_session = { "session_type", FACT_PLAIN },
	f_auth = { "auth_method", FACT_PLAIN }, f_status = { "status", FACT_PLAIN };
static const struct fact *const facts[] = { &f_initiator, &f_target, &f_session, &f_auth, &f_status, NULL };
static const struct code statuses[] = { { 0x0000, "success" }, { 0x0101, "target_moved" }, { 0x0102, "target_moved" }, { 0x0200, "initiator_error" },
	{ 0x0201, "authentication_failure" }, { 0x0202, "authorization_failure" }, { 0x0203, "not_found" }, { 0x0204, "target_removed" },
	{ 0x0300, "target_error" }, { 0x0301, "service_unavailable" }, { 0x0302, "out_of_resources" }, { 0, NULL } };

struct iscsi {
	struct saved *told;
};

/* Key=value texts of a login. */
static struct bytes value_of(struct cursor c, const char *key)
{
	size_t n = strlen(key);

	while (cur_more(&c)) {
		size_t nul = cur_find(&c, 0);
		struct bytes text = cur_bytes(&c, nul == SIZE_MAX ? cur_left(&c) : nul);

		cur_skip(&c, nul == SIZE_MAX ? 0 : 1);
		if (text.n > n && !memcmp(text.p, key, n) && text.p[n] == '=')
			return (struct bytes){ text.p + n + 1, text.n - n - 1 };
	}
	return (struct bytes){ NULL, 0 };
}

static uint32_t data_len(const struct cursor *c)
{
	return (uint32_t)cur_peek(c, 5) << 16 | (uint32_t)cur_peek(c, 6) << 8 | cur_peek(c, 7);
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[DIR_TOSERVER];
	uint8_t op = cur_peek(&c, 0);
	size_t have;

	if (!cur_left(&c))
		return cur_left(&in->dir[DIR_TOCLIENT]) ? PROBE_NO : PROBE_MORE;
	if (op != 0x43 && op != 3)
		return PROBE_NO;
	/* versions 0, no AHS, texts of some length */
	for (size_t i = 2; i < 5; i++)
		if (cur_peek(&c, i))
			return PROBE_NO;
	if (cur_left(&c) < HEADER)
		return PROBE_MORE;
	if (data_len(&c) < 8 || data_len(&c) > 16384)
		return PROBE_NO;
	cur_skip(&c, HEADER);
	have = cur_left(&c);
	if (have < 14 && have < 1024)
		return PROBE_MORE;
	return value_of(c, "InitiatorName").p || cur_starts(&c, "InitiatorName=", 14) ? PROBE_YES :
		have < 512 && is_printable(up_to_nul((struct bytes){ c.pos, have })) && have < 64 ? PROBE_MORE : PROBE_NO;
}

static void tell(struct px *px, struct iscsi *s, const char *status, unsigned number)
{
	struct record *r = px_record(px);

	if (!s->told)
		return;
	rec_append(r, s->told->body, s->told->len);
	if (status)
		rec_cstr(r, &f_status, status);
	else if (number)
		rec_printf(r, &f_status, "0x%04x", number);
	px_emit(px, EV_APP, UINT32_MAX, r);
	px_saved_free(px, s->told);
	s->told = NULL;
}

static void request(struct px *px, struct iscsi *s, struct cursor c)
{
	static const struct { const char *key; const struct fact *f; } keys[] = {
		{ "InitiatorName", &f_initiator }, { "TargetName", &f_target }, { "SessionType", &f_session }, { "AuthMethod", &f_auth },
	};
	struct record *r = px_record(px);

	cur_skip(&c, HEADER);
	if (s->told || !value_of(c, "InitiatorName").p)
		return;
	for (unsigned i = 0; i < 4; i++) {
		struct bytes v = value_of(c, keys[i].key);

		if (v.p)
			rec_bytes(r, keys[i].f, v);
	}
	px_judge(px, r);
	s->told = px_save(px, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct iscsi *s = state;

	while (cur_more(in)) {
		struct cursor view = cur_of(NULL, 0);
		uint8_t op = cur_peek(in, 0) & 0x3f, flags = cur_peek(in, 1);
		uint32_t len = data_len(in);
		unsigned status;
		enum parse p;

		if (cur_left(in) < HEADER)
			return msg_more(px, HEADER);
		if ((dir == DIR_TOSERVER && op != 3) || (dir == DIR_TOCLIENT && op != 0x23)) {	/* the login is over; digests may follow */
			tell(px, s, NULL, 0);
			cur_rest(in);
			px_stop(px);
			return PARSE_DONE;
		}
		if (len > DATA_MAX)
			return msg_bad(px, "iscsi.length");
		p = msg_take(px, dir, in, HEADER + 4u * cur_peek(in, 4) + ((len + 3u) & ~3u), LOOK, &view);
		if (p != PARSE_DONE)
			return p;
		if (dir == DIR_TOSERVER) {
			request(px, s, view);
			continue;
		}
		status = (unsigned)cur_peek(&view, 36) << 8 | cur_peek(&view, 37);
		if (status || (flags & 0x83) == 0x83)	/* an end, or the step into full features */
			tell(px, s, code_name(statuses, status), status);
	}
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct iscsi *s = state;

	tell(px, s, NULL, 0);
}

static const uint16_t ports[] = { 3260, 0 };

const struct proto proto_iscsi = {
	.name = "iscsi",
	.app = APP_ISCSI,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct iscsi),
	.probe = probe,
	.parse = parse,
	.end = end,
	.facts = facts,
};
