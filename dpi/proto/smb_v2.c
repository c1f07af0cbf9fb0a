/* SPDX-License-Identifier: GPL-2.0-or-later */
/* smb_v2: messages of SMB 2 and 3 ([MS-SMB2] 2.2), several in one where they are compounded.
 *
 *   FE "SMB" 64(2) charge(2) status(4) command(2) credits(2) flags(4) next(4) message id(8) (4) tree(4) session(8) signature(16)
 *   then the command's structure, whose size comes first; offsets count from the header */
#include "dpi/proto/smb_parts.h"

#define HEADER 64u
#define COMPOUND_MAX 16u
#define RESPONSE 1u
#define ASYNC 2u
#define DELETE_ON_CLOSE 0x1000u
#define EXTENSION 4u		/* of TREE_CONNECT: its path stands elsewhere */

enum { NEGOTIATE, SESSION_SETUP, LOGOFF, TREE_CONNECT, TREE_DISCONNECT, CREATE, QUERY_DIRECTORY = 14, SET_INFO = 17 };

static const struct code commands[] = {
	{ NEGOTIATE, "negotiate" }, { SESSION_SETUP, "session_setup" }, { LOGOFF, "logoff" }, { TREE_CONNECT, "tree_connect" },
	{ TREE_DISCONNECT, "tree_disconnect" }, { CREATE, "create" }, { QUERY_DIRECTORY, "query_directory" }, { 0, NULL },
};
static const struct code dialects[] = {
	{ 0x0202, "2.0.2" }, { 0x0210, "2.1" }, { 0x02ff, "2.?" }, { 0x0300, "3.0" }, { 0x0302, "3.0.2" }, { 0x0311, "3.1.1" }, { 0, NULL },
};

struct head {
	uint16_t command;
	uint32_t status, flags, next, tree;
	uint64_t id;
};

static bool head_read(struct cursor *c, struct head *h)
{
	uint16_t size;

	cur_skip(c, 4);
	size = cur_le16(c);
	cur_skip(c, 2);
	h->status = cur_le32(c);
	h->command = cur_le16(c);
	cur_skip(c, 2);
	h->flags = cur_le32(c);
	h->next = cur_le32(c);
	h->id = cur_le64(c);
	cur_skip(c, 4);
	h->tree = cur_le32(c);
	cur_skip(c, 24);
	return cur_ok(c) && size == HEADER;
}

/* offset(2) length(2) at the position: those bytes of the message. */
static struct bytes part(struct cursor *c, struct cursor message)
{
	uint16_t off = cur_le16(c), n = cur_le16(c);

	return cur_ok(c) ? smb_at(message, off, n) : (struct bytes){ NULL, 0 };
}

/* ---- handles ---- */

static void open_asked(struct px *px, struct smb *s, uint64_t message, struct bytes name)
{
	struct smb_open *o;

	if (!s->opens)
		s->opens = px_alloc(px, sizeof(*s->opens));
	if (!s->opens)
		return;
	o = &s->opens->open[s->opens->next];
	s->opens->next = (s->opens->next + 1) % SMB_OPENS;
	*o = (struct smb_open){ .id = { message, 0 }, .asked = true, .n = (uint8_t)(name.n <= SMB_NAME_LEN ? name.n : 0) };
	if (o->n)
		memcpy(o->name, name.p, o->n);
}

/* CREATE's answer: its handle stands 64 bytes behind the header. */
static void open_given(struct smb *s, uint64_t message, struct cursor c)
{
	for (unsigned i = 0; s->opens && i < SMB_OPENS; i++) {
		struct smb_open *o = &s->opens->open[i];

		if (!o->asked || o->id[0] != message)
			continue;
		o->asked = false;
		cur_skip(&c, 64);
		o->id[0] = cur_le64(&c);
		o->id[1] = cur_le64(&c);
		if (!cur_ok(&c))
			o->n = 0;
		return;
	}
}

/* The name behind a handle; all ones: that of the CREATE before it in the same compound. */
static void tell_opened(struct record *r, const struct smb *s, uint64_t a, uint64_t b)
{
	bool last = a == UINT64_MAX && b == UINT64_MAX;

	for (unsigned i = 1; s->opens && i <= SMB_OPENS; i++) {
		const struct smb_open *o = &s->opens->open[(s->opens->next + SMB_OPENS - i) % SMB_OPENS];

		if (!last && (o->asked || o->id[0] != a || o->id[1] != b))
			continue;
		if (o->n)
			told_utf16(r, &smb_f_file, (struct bytes){ o->name, o->n });
		return;
	}
}

/* FileRenameInformation and FileDispositionInformation; false: another kind of SET_INFO. */
static bool tell_set_info(struct record *r, const struct smb *s, struct cursor c, struct cursor message)
{
	struct cursor handle = c;
	uint8_t type, class;
	struct bytes b;
	struct cursor v;
	uint32_t len;
	uint64_t id;

	cur_skip(&c, 2);
	type = cur_u8(&c);
	class = cur_u8(&c);
	len = cur_le32(&c);
	b = smb_at(message, cur_le16(&c), len);
	if (!b.n || !cur_ok(&c) || type != 1 || (class != 10 && class != 13))
		return false;
	v = cur_of(b.p, b.n);
	if (class == 13 && !cur_u8(&v))
		return false;
	rec_cstr(r, &smb_f_command, class == 13 ? "delete" : "rename");
	cur_skip(&handle, 16);
	id = cur_le64(&handle);
	tell_opened(r, s, id, cur_le64(&handle));
	if (class == 13)
		return true;
	cur_skip(&v, 16);
	len = cur_le32(&v);
	told_utf16(r, &smb_f_target, cur_bytes(&v, len < cur_left(&v) ? len : cur_left(&v)));
	return true;
}

/* flags(2) offset(2) length(2): the share; it is told to be partial where it is not all there, longer than is kept, or goes on behind a NUL. */
static void tell_tree(struct record *r, struct smb *s, const struct head *h, struct cursor c, struct cursor message)
{
	char share[4 * SMB_SHARE_LEN];
	uint16_t flags = cur_le16(&c), want;
	struct cursor ahead = c;
	bool whole = !(flags & EXTENSION);
	struct bytes b = part(&c, message);
	size_t n = utf16_text(b, share, sizeof(share));

	cur_skip(&ahead, 2);
	want = cur_le16(&ahead);
	for (size_t i = 0; i + 1 < b.n; i += 2)
		whole &= b.p[i] || b.p[i + 1];
	smb_share_asked(s, h->id, share, n);
	rec_str(r, &smb_f_share, share, n);
	if (!whole || b.n != want || b.n > 2 * SMB_SHARE_LEN)
		rec_partial(r);
}

static void tell_request(struct px *px, struct smb *s, const struct head *h, struct cursor c, struct cursor message)
{
	const char *name = code_name(commands, h->command);
	struct record *r = px_record(px);
	struct bytes b;

	if (!name && h->command != SET_INFO)
		return;
	rec_u64(r, &smb_f_version, 2);
	if (name)
		rec_cstr(r, &smb_f_command, name);
	if (h->command == SESSION_SETUP) {
		cur_skip(&c, 12);
		smb_tell_ntlm(r, part(&c, message));
	} else if (h->command == TREE_CONNECT) {
		cur_skip(&c, 2);
		tell_tree(r, s, h, c, message);
	} else if (h->command != NEGOTIATE && h->command != LOGOFF) {
		smb_tell_share(r, s, h->tree);
	}
	if (h->command == CREATE || h->command == QUERY_DIRECTORY) {
		bool gone;

		cur_skip(&c, h->command == CREATE ? 40 : 20);
		gone = cur_le32(&c) & DELETE_ON_CLOSE && h->command == CREATE;
		b = part(&c, message);
		told_utf16(r, &smb_f_file, b);
		if (h->command == CREATE)
			open_asked(px, s, h->id, b);
		if (gone)
			rec_bool(r, &smb_f_delete, true);
	}
	if (h->command == SET_INFO && !tell_set_info(r, s, c, message))
		return;
	px_judge(px, r);
	asks_add(px, &s->asks, h->id, r);
}

static void tell_answer(struct px *px, struct smb *s, const struct head *h, struct cursor c)
{
	struct record *r;
	int i;

	if (h->flags & ASYNC && h->status == 0x103)
		return;		/* the answer is still to come */
	if (h->command == TREE_CONNECT && !h->status)
		smb_share_given(s, h->id, h->tree);
	if (h->command == CREATE && !h->status)
		open_given(s, h->id, c);
	i = asks_find(&s->asks, h->id);
	if (h->command == NEGOTIATE && s->old_hello) {
		i = asks_find(&s->asks, s->old_hello);
		s->old_hello = 0;
	}
	if (i < 0)
		return;
	r = asks_record(px, &s->asks, i);
	smb_tell_status(r, h->status);
	if (h->command == NEGOTIATE && !h->status && cur_skip(&c, 4))
		told_code(r, &smb_f_dialect, dialects, cur_le16(&c));
	asks_tell(px, &s->asks, i, r);
}

void smb_v2_message(struct px *px, struct smb *s, struct cursor in)
{
	bool asks = false;

	for (unsigned i = 0; i < COMPOUND_MAX; i++) {
		struct cursor message = cur_of(in.pos, cur_left(&in)), c = message;
		struct head h;

		if (!cur_starts(&c, "\376SMB", 4) || !head_read(&c, &h))
			break;
		asks = !(h.flags & RESPONSE);
		if (!asks)
			tell_answer(px, s, &h, c);
		else
			tell_request(px, s, &h, c, message);
		if (h.next < HEADER)
			return;
		if (!cur_skip(&in, h.next))
			break;
	}
	if (asks)	/* there are more of them */
		smb_unread(px);
}
