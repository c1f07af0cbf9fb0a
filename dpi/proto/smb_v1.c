/* SPDX-License-Identifier: GPL-2.0-or-later */
/* smb_v1: messages of SMB 1 ([MS-CIFS] 2.2, [MS-SMB]), with the further commands of an AndX chain.
 *
 *   FF "SMB" command(1) status(4) flags(1) flags2(2) pid high(2) signature(8) (2) tree(2) pid(2) user(2) multiplex(2)
 *   then n(1) and n words, length(2) and bytes. AndX: the words begin with the next command(1) (1) and its offset(2) */
#include "dpi/proto/smb_parts.h"

#define CHAIN_MAX 4u
#define REPLY 0x80u
#define UNICODE 0x8000u
#define NO_ANDX 0xffu
#define FIND_FIRST 1u

enum { MKDIR = 0x00, RMDIR = 0x01, DELETE = 0x06, RENAME = 0x07, OPEN_ANDX = 0x2d, TREE_CONNECT_OLD = 0x70, TREE_DISCONNECT = 0x71, NEGOTIATE = 0x72, SESSION_SETUP = 0x73,
	LOGOFF = 0x74, TREE_CONNECT = 0x75, NT_CREATE = 0xa2, TRANSACTION_2 = 0x32 };

static const struct code commands[] = {
	{ MKDIR, "mkdir" }, { RMDIR, "rmdir" }, { DELETE, "delete" }, { RENAME, "rename" }, { OPEN_ANDX, "open" }, { TREE_DISCONNECT, "tree_disconnect" },
	{ NEGOTIATE, "negotiate" }, { SESSION_SETUP, "session_setup" }, { LOGOFF, "logoff" }, { TREE_CONNECT, "tree_connect" }, { NT_CREATE, "create" },
	{ TRANSACTION_2, "query_directory" },
	{ 0, NULL },
};

struct head {
	uint8_t command, flags;
	uint16_t flags2, tree;
	uint32_t status;
	uint64_t id;
};

static bool head_read(struct cursor *c, struct head *h)
{
	uint16_t pid;

	cur_skip(c, 4);
	h->command = cur_u8(c);
	h->status = cur_le32(c);
	h->flags = cur_u8(c);
	h->flags2 = cur_le16(c);
	cur_skip(c, 12);
	h->tree = cur_le16(c);
	pid = cur_le16(c);
	cur_skip(c, 2);
	h->id = (uint64_t)pid << 16 | cur_le16(c);
	return cur_ok(c);
}

/* A string of the bytes part, which may begin at an odd place and is then padded. */
static size_t text_next(struct cursor *c, bool unicode, char *out, size_t room)
{
	size_t n = 0;

	if (!unicode) {
		size_t nul = cur_find(c, 0);
		struct bytes b = cur_bytes(c, nul == SIZE_MAX ? cur_left(c) : nul);

		cur_skip(c, nul == SIZE_MAX ? 0 : 1);
		n = b.n < room ? b.n : room;
		if (n)
			memcpy(out, b.p, n);
		return n;
	}
	if (cur_used(c) & 1)
		cur_skip(c, 1);
	while (n + 2 <= cur_left(c) && (cur_peek(c, n) || cur_peek(c, n + 1)))
		n += 2;
	n = utf16_text(cur_bytes(c, n), out, room);
	cur_skip(c, cur_left(c) < 2 ? cur_left(c) : 2);
	return n;
}

static void tell_text(struct record *r, const struct fact *f, struct cursor *c, bool unicode)
{
	char text[1024];
	size_t n = text_next(c, unicode, text, sizeof(text));

	if (n)
		rec_str(r, f, text, n);
}

static void tell_setup(struct record *r, struct cursor words, struct cursor *bytes, bool unicode)
{
	size_t n = cur_left(&words), lm, nt;

	if (n != 26) {		/* extended security: a blob */
		smb_tell_ntlm(r, cur_rest(bytes));
		return;
	}
	cur_skip(&words, 14);
	lm = cur_le16(&words);
	nt = cur_le16(&words);
	if (!cur_skip(bytes, lm) || !cur_skip(bytes, nt))
		return;
	tell_text(r, &smb_f_user, bytes, unicode);
	tell_text(r, &smb_f_domain, bytes, unicode);
}

/* FIND_FIRST2 and its pattern; of other transactions nothing is told. */
static bool tell_find(struct record *r, struct cursor words, struct cursor message, bool unicode)
{
	char text[1024];
	struct cursor c;
	struct bytes b;
	uint16_t n, off;

	cur_skip(&words, 18);
	n = cur_le16(&words);
	off = cur_le16(&words);
	cur_skip(&words, 6);
	if (cur_le16(&words) != FIND_FIRST || !cur_ok(&words) || n <= 12)
		return false;
	b = smb_at(message, off, n);
	c = cur_of(b.p, b.n);
	if (cur_skip(&c, 12))
		rec_str(r, &smb_f_file, text, text_next(&c, unicode, text, sizeof(text)));
	return true;
}

/* One command: its words and its bytes (whose place counts from the header). */
static void tell_request(struct px *px, struct smb *s, const struct head *h, uint8_t command, struct cursor words, struct cursor bytes)
{
	bool unicode = h->flags2 & UNICODE;
	const char *name = code_name(commands, command);
	struct record *r = px_record(px);
	char share[SMB_SHARE_LEN];
	size_t n = 0;

	if (!name) {
		if (command == TREE_CONNECT_OLD)
			smb_unread(px);
		return;
	}
	rec_u64(r, &smb_f_version, 1);
	rec_cstr(r, &smb_f_command, name);
	if (command == SESSION_SETUP) {
		tell_setup(r, words, &bytes, unicode);
	} else if (command == TREE_CONNECT) {
		cur_skip(&words, 6);
		if (cur_skip(&bytes, cur_le16(&words))) {
			n = text_next(&bytes, unicode, share, sizeof(share));
			smb_share_asked(s, h->id, share, n);
			rec_str(r, &smb_f_share, share, n);
		}
		if (!cur_more(&bytes) || n + 3 > sizeof(share))	/* the service follows */
			rec_partial(r);
	} else if (command != NEGOTIATE && command != LOGOFF) {
		smb_tell_share(r, s, h->tree);
	}
	if (command == TRANSACTION_2) {
		if (!tell_find(r, words, bytes, unicode))
			return;
	} else if (command == NT_CREATE || command == OPEN_ANDX) {
		tell_text(r, &smb_f_file, &bytes, unicode);
	} else if (command <= RENAME) {	/* each name behind a 04 */
		cur_skip(&bytes, 1);
		tell_text(r, &smb_f_file, &bytes, unicode);
		if (command == RENAME && cur_skip(&bytes, 1))
			tell_text(r, &smb_f_target, &bytes, unicode);
	}
	px_judge(px, r);
	asks_add(px, &s->asks, h->id << 8 | command, r);
	if (command == NEGOTIATE)
		s->old_hello = h->id << 8 | command;
}

static void tell_answer(struct px *px, struct smb *s, const struct head *h, uint8_t command, struct cursor words)
{
	struct record *r;
	int i;

	if (command == NEGOTIATE)
		s->old_hello = 0;
	if (command == TREE_CONNECT && !h->status)
		smb_share_given(s, h->id, h->tree);
	i = asks_find(&s->asks, h->id << 8 | command);
	if (i < 0)
		return;
	r = asks_record(px, &s->asks, i);
	smb_tell_status(r, h->status);
	if (command == NEGOTIATE && !h->status && cur_left(&words) >= 26)
		rec_cstr(r, &smb_f_dialect, cur_left(&words) == 34 ? "NT LM 0.12" : "LANMAN");
	asks_tell(px, &s->asks, i, r);
}

static bool has_andx(uint8_t command) { return command == OPEN_ANDX || (command >= SESSION_SETUP && command <= TREE_CONNECT) || command == NT_CREATE; }

void smb_v1_message(struct px *px, struct smb *s, struct cursor in)
{
	struct cursor c = cur_of(in.pos, cur_left(&in));
	uint8_t command;
	struct head h;

	if (!head_read(&c, &h))
		return;
	command = h.command;
	for (unsigned i = 0; i < CHAIN_MAX; i++) {
		struct cursor words = cur_sub(&c, 2u * cur_u8(&c)), next = words;
		uint16_t off;

		cur_skip(&c, 2);
		if (!cur_ok(&words))
			return;
		if (h.flags & REPLY)
			tell_answer(px, s, &h, command, words);
		else
			tell_request(px, s, &h, command, words, c);
		if (!has_andx(command))
			return;
		command = cur_u8(&next);
		cur_skip(&next, 1);
		off = cur_le16(&next);
		if (!cur_ok(&next) || command == NO_ANDX)
			return;
		if (off <= cur_used(&c) - 2)
			break;
		c = cur_of(c.start, (size_t)(c.end - c.start));
		if (!cur_skip(&c, off))
			break;
	}
	if (!(h.flags & REPLY))		/* there are more of them */
		smb_unread(px);
}

/* A transaction's name is the first text of its bytes: \MAILSLOT\BROWSE. */
void smb_v1_mailslot(struct px *px, enum dir dir, struct cursor in)
{
	struct cursor c = cur_of(in.pos, cur_left(&in));
	struct record *r = px_record(px);
	struct head h;

	if (!head_read(&c, &h) || h.command != 0x25 || !cur_skip(&c, 2u * cur_u8(&c)) || !cur_skip(&c, 2))
		return;
	rec_u64(r, &smb_f_version, 1);
	rec_cstr(r, &smb_f_command, "mailslot");
	tell_text(r, &smb_f_file, &c, h.flags2 & UNICODE);
	say(px, dir, EV_APP, UINT32_MAX, r);
}
