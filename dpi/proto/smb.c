/* SPDX-License-Identifier: GPL-2.0-or-later */
/* smb: versions 1 ([MS-CIFS]), 2 and 3 ([MS-SMB2]) over TCP, directly or in NetBIOS sessions (RFC 1002).
 *
 *   type(1) length(3), then the message: FF "SMB" version 1, FE "SMB" version 2 and 3, FD "SMB" sealed, FC "SMB" compressed
 *   types 81 to 85: NetBIOS's own: session request and its answers, keep-alive
 *
 * One `smb` event per request that says who or what: negotiate, session setup, tree connect, create, rename, delete, directory
 * listings, and their ends; with the answer's status. Reads, writes and the like are passed by. Of a message its first LOOK bytes
 * are looked at. After an answer with a new tree its share's name is known for later requests (SMB_SHARES of them).
 * Sealed and compressed messages are not told; that the client's cannot be read is judged, as is what stands behind the first LOOK bytes.
 *
 * NetBIOS datagrams (port 138) carry version 1 behind 10 to 12 (1) id(2) address(4) port(2) length(2) offset(2) and two names; the first
 * mailslot of a flow is told, as command `mailslot`. */
#include "dpi/proto/smb_parts.h"

#include <stdio.h>

#define LOOK 4096u

const struct fact smb_f_version = { "version", FACT_PLAIN }, smb_f_command = { "command", FACT_COMMAND }, smb_f_dialect = { "dialect", FACT_PLAIN },
	smb_f_share = { "share", FACT_SHARE }, smb_f_file = { "file", FACT_OBJECT }, smb_f_target = { "target", FACT_OBJECT },
	smb_f_user = { "user", FACT_USER }, smb_f_domain = { "domain", FACT_PLAIN }, smb_f_host = { "host", FACT_PLAIN },
	smb_f_status = { "status", FACT_PLAIN }, smb_f_delete = { "delete_on_close", FACT_PLAIN };
static const struct fact *const facts[] = { &smb_f_version, &smb_f_command, &smb_f_dialect, &smb_f_share, &smb_f_file, &smb_f_target, &smb_f_user,
	&smb_f_domain, &smb_f_host, &smb_f_status, &smb_f_delete, NULL };

static const struct code statuses[] = {
	{ 0, "success" }, { 0x00000103, "pending" }, { 0xc0000016, "more_processing_required" }, { 0x80000005, "buffer_overflow" },
	{ 0x80000006, "no_more_files" }, { 0xc000000d, "invalid_parameter" }, { 0xc000000f, "no_such_file" }, { 0xc0000022, "access_denied" },
	{ 0xc0000033, "object_name_invalid" }, { 0xc0000034, "object_name_not_found" }, { 0xc0000035, "object_name_collision" },
	{ 0xc000003a, "object_path_not_found" }, { 0xc0000043, "sharing_violation" }, { 0xc0000064, "no_such_user" }, { 0xc000006a, "wrong_password" },
	{ 0xc000006d, "logon_failure" }, { 0xc000006e, "account_restriction" }, { 0xc0000071, "password_expired" }, { 0xc0000072, "account_disabled" },
	{ 0xc00000ba, "file_is_a_directory" }, { 0xc00000bb, "not_supported" }, { 0xc00000c9, "network_name_deleted" },
	{ 0xc00000cc, "bad_network_name" }, { 0xc0000103, "not_a_directory" }, { 0xc0000203, "user_session_deleted" },
	{ 0xc0000234, "account_locked_out" }, { 0xc0000257, "path_not_covered" }, { 0, NULL },
};

void smb_tell_status(struct record *r, uint32_t status)
{
	const char *name = code_name(statuses, status);

	if (name)
		rec_cstr(r, &smb_f_status, name);
	else
		rec_printf(r, &smb_f_status, "0x%08x", status);
}

/* ---- shares ---- */

void smb_tell_share(struct record *r, const struct smb *s, uint32_t tree)
{
	for (unsigned i = 0; i < SMB_SHARES; i++)
		if (s->tree[i].len && s->tree[i].id == tree) {
			rec_str(r, &smb_f_share, s->tree[i].name, s->tree[i].len);
			return;
		}
}

void smb_share_asked(struct smb *s, uint64_t message, const char *name, size_t n)
{
	s->asked.len = (uint8_t)(n < SMB_SHARE_LEN ? n : SMB_SHARE_LEN);
	memcpy(s->asked.name, name, s->asked.len);
	s->asked_for = message;
}

void smb_share_given(struct smb *s, uint64_t message, uint32_t tree)
{
	unsigned at = s->next_tree;

	if (!s->asked.len || s->asked_for != message)
		return;
	for (unsigned i = 0; i < SMB_SHARES; i++)
		if (s->tree[i].len && s->tree[i].id == tree)
			at = i;
	if (at == s->next_tree)
		s->next_tree = (s->next_tree + 1) % SMB_SHARES;
	s->tree[at] = s->asked;
	s->tree[at].id = tree;
	s->asked.len = 0;
}

void smb_unread(struct px *px)
{
	struct record *r = px_record(px);

	rec_partial(r);
	px_judge(px, r);
}

struct bytes smb_at(struct cursor message, size_t off, size_t n)
{
	struct cursor c = cur_of(message.start, (size_t)(message.end - message.start));

	if (!cur_skip(&c, off))
		return (struct bytes){ NULL, 0 };
	return cur_bytes(&c, n < cur_left(&c) ? n : cur_left(&c));
}

/* ---- NTLMSSP ---- */

/* length(2) room(2) offset(4): a field of the message */
static void tell_field(struct record *r, const struct fact *f, struct cursor *c, struct cursor message, bool unicode)
{
	uint16_t n = cur_le16(c);
	struct bytes b;

	cur_skip(c, 2);
	b = smb_at(message, cur_le32(c), n);
	if (!b.n || !cur_ok(c))
		return;
	if (unicode)
		told_utf16(r, f, b);
	else
		rec_bytes(r, f, b);
}

void smb_tell_ntlm(struct record *r, struct bytes blob)
{
	const uint8_t *at = blob.n ? memmem(blob.p, blob.n, "NTLMSSP\0\3\0\0\0", 12) : NULL;
	struct cursor c, m, flags;
	bool unicode;

	if (!at)
		return;
	m = cur_of(at, blob.n - (size_t)(at - blob.p));
	c = flags = m;
	cur_skip(&flags, 60);
	unicode = cur_le32(&flags) & 1;
	cur_skip(&c, 28);
	tell_field(r, &smb_f_domain, &c, m, unicode);
	tell_field(r, &smb_f_user, &c, m, unicode);
	tell_field(r, &smb_f_host, &c, m, unicode);
}

/* ---- recognition ---- */

/* The beginning of one direction: maybe NetBIOS's own messages, then one with a magic. */
static enum probe probe_stream(struct cursor c)
{
	for (unsigned i = 0; i < 2; i++) {
		uint8_t type = cur_u8(&c);
		uint32_t len = cur_be24(&c);

		if (!cur_ok(&c))
			return type == 0 || (type >= 0x81 && type <= 0x85) ? PROBE_MORE : PROBE_NO;
		if (!type) {
			uint8_t version = cur_peek(&c, 0);

			if (len < 32 || (cur_left(&c) && version < 0xfc))
				return PROBE_NO;
			cur_skip(&c, 1);
			if (cur_left(&c) < 3)
				return PROBE_MORE;
			return cur_starts(&c, "SMB", 3) ? PROBE_YES : PROBE_NO;
		}
		if (!((type == 0x81 && len == 68 && (!cur_left(&c) || cur_peek(&c, 0) == 0x20)) || (type == 0x82 && !len)))
			return PROBE_NO;
		if (len > cur_left(&c))
			return PROBE_MORE;
		cur_skip(&c, len);
	}
	return PROBE_NO;
}

/* Behind the head and both names of a NetBIOS datagram: the message. */
static bool datagram_open(struct cursor c, struct cursor *message)
{
	size_t all = cur_left(&c);
	uint8_t type = cur_u8(&c);
	uint16_t len;

	cur_skip(&c, 9);
	len = cur_be16(&c);
	cur_skip(&c, 2);
	if (type < 0x10 || type > 0x12 || all < 14 || len != all - 14 || cur_u8(&c) != 32 || !cur_skip(&c, 33) || cur_u8(&c) != 32 || !cur_skip(&c, 33))
		return false;
	*message = cur_of(c.pos, cur_left(&c));
	return cur_starts(message, "\377SMB", 4) && cur_left(message) >= 32;
}

static enum probe probe(const struct probe_in *in)
{
	enum probe best = PROBE_MORE;
	struct cursor message;

	if (in->l4 == PROTO_UDP)
		return datagram_open(in->dir[in->now], &message) ? PROBE_YES : PROBE_NO;
	for (unsigned d = 0; d < 2; d++) {
		enum probe p = cur_left(&in->dir[d]) ? probe_stream(in->dir[d]) : PROBE_MORE;

		if (p == PROBE_NO)
			return p;
		if (p == PROBE_YES)
			best = p;
	}
	return best;
}

/* ---- parsing ---- */

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct smb *s = state;
	struct cursor message;

	s->asks.event = EV_APP;
	if (px_l4(px) == PROTO_UDP) {
		if (!s->mailslot_told && datagram_open(*in, &message)) {
			s->mailslot_told = true;
			smb_v1_mailslot(px, dir, message);
		}
		cur_rest(in);
		return PARSE_DONE;
	}
	while (cur_more(in)) {
		struct cursor ahead = *in, view = cur_of(NULL, 0);
		uint8_t type = cur_u8(&ahead);
		uint32_t len = cur_be24(&ahead);
		enum parse p;

		if (!cur_ok(&ahead))
			return msg_more(px, 4);
		p = msg_take(px, dir, in, (uint64_t)len + 4, LOOK, &view);
		if (p != PARSE_DONE)
			return p;
		cur_skip(&view, 4);
		view = cur_of(view.pos, cur_left(&view));
		if (type >= 0x81 && type <= 0x85)
			continue;
		if (type || len < 4)
			return msg_bad(px, "smb.malformed");
		if (cur_starts(&view, "\376SMB", 4))
			smb_v2_message(px, s, view);
		else if (cur_starts(&view, "\377SMB", 4))
			smb_v1_message(px, s, view);
		else if (!cur_starts(&view, "\375SMB", 4) && !cur_starts(&view, "\374SMB", 4))
			return msg_bad(px, "smb.malformed");
		else if (dir == DIR_TOSERVER && s->unread != px_policy(px) + 1) {
			s->unread = px_policy(px) + 1;
			smb_unread(px);
		}
	}
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct smb *s = state;

	asks_end(px, &s->asks);
	px_release(px, s->opens, sizeof(*s->opens));
}

static const uint16_t ports[] = { 445, 139, 138, 0 };

const struct proto proto_smb = {
	.name = "smb",
	.app = APP_SMB,
	.event = EV_APP,
	.l4 = PROTO_TCP | PROTO_UDP,
	.ports = ports,
	.state_size = sizeof(struct smb),
	.probe = probe,
	.parse = parse,
	.end = end,
	.facts = facts,
};
