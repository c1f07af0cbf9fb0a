/* SPDX-License-Identifier: GPL-2.0-or-later */
/* memcached_binary:
 *
 *   magic (1)  opcode (1)  key length (2)  extras length (1)  type (1)  vbucket or status (2)  body length (4)  opaque (4)  cas (8)
 *   extras, key, value
 *   magic 0x08 and 0x18 (Couchbase): length of framing extras (1) and key length (1) in place of the key length
 *
 * Requests and answers meet by opaque and opcode. Quiet commands answer only when something went wrong and are told at once, and
 * so are those a server sends (0x82). The key is told, without the number of its collection, never the value. */
#include "dpi/proto/memcached_binary.h"

#include "dpi/proto/sasl.h"

#define KEY_MAX 250u
#define EXTRAS_MAX 64u
#define BODY_MAX (64u << 20)
#define KEEP (MEMCACHED_HEAD + 1024u)

#define MAGIC_REQUEST 0x80
#define MAGIC_ANSWER 0x81
#define MAGIC_SERVER_REQUEST 0x82
#define MAGIC_CLIENT_ANSWER 0x83
#define MAGIC_FRAMED_REQUEST 0x08
#define MAGIC_FRAMED_ANSWER 0x18

const struct fact memcached_f_command = { "command", FACT_COMMAND }, memcached_f_key = { "key", FACT_KEY };
static const struct fact f_bucket = { "bucket", FACT_DATABASE }, f_user = { "user", FACT_USER }, f_mechanism = { "mechanism", FACT_PLAIN },
	f_status = { "status", FACT_PLAIN };
const struct fact *const memcached_facts[] = { &memcached_f_command, &memcached_f_key, &f_bucket, &f_user, &f_mechanism, &f_status, NULL };

#define OP_SASL_AUTH 0x21
#define OP_HELLO 0x1f
#define OP_SELECT_BUCKET 0x89

static const struct opcode {
	uint8_t op;
	bool quiet;
	const char *name;
} opcodes[] = {
	{ 0x00, false, "get" }, { 0x01, false, "set" }, { 0x02, false, "add" }, { 0x03, false, "replace" }, { 0x04, false, "delete" }, { 0x05, false, "increment" },
	{ 0x06, false, "decrement" }, { 0x07, false, "quit" }, { 0x08, false, "flush" }, { 0x09, true, "get" }, { 0x0a, false, "noop" }, { 0x0b, false, "version" },
	{ 0x0c, false, "get" }, { 0x0d, true, "get" }, { 0x0e, false, "append" }, { 0x0f, false, "prepend" }, { 0x10, false, "stat" }, { 0x11, true, "set" },
	{ 0x12, true, "add" }, { 0x13, true, "replace" }, { 0x14, true, "delete" }, { 0x15, true, "increment" }, { 0x16, true, "decrement" },
	{ 0x17, true, "quit" }, { 0x18, true, "flush" }, { 0x19, true, "append" }, { 0x1a, true, "prepend" }, { 0x1b, false, "verbosity" },
	{ 0x1c, false, "touch" }, { 0x1d, false, "gat" }, { 0x1e, true, "gat" }, { 0x1f, false, "hello" }, { 0x20, false, "sasl_list_mechs" },
	{ 0x21, false, "sasl_auth" }, { 0x22, false, "sasl_step" }, { 0x3d, false, "set_vbucket" }, { 0x3e, false, "get_vbucket" }, { 0x3f, false, "del_vbucket" },
	{ 0x48, false, "get_all_vb_seqnos" }, { 0x50, false, "dcp_open" }, { 0x51, false, "dcp_add_stream" }, { 0x52, false, "dcp_close_stream" },
	{ 0x53, false, "dcp_stream_req" }, { 0x54, false, "dcp_get_failover_log" }, { 0x55, true, "dcp_stream_end" }, { 0x56, true, "dcp_snapshot_marker" }, { 0x57, true, "dcp_mutation" }, { 0x58, true, "dcp_deletion" },
	{ 0x59, true, "dcp_expiration" }, { 0x5a, false, "dcp_flush" }, { 0x5c, false, "dcp_noop" },
	{ 0x5d, true, "dcp_buffer_ack" }, { 0x5e, false, "dcp_control" }, { 0x83, false, "get_replica" }, { 0x85, false, "create_bucket" },
	{ 0x86, false, "delete_bucket" }, { 0x87, false, "list_buckets" }, { 0x89, false, "select_bucket" }, { 0x91, false, "observe_seqno" },
	{ 0x92, false, "observe" }, { 0x94, false, "get_locked" }, { 0x95, false, "unlock_key" }, { 0xa0, false, "get_meta" }, { 0xa2, false, "set_with_meta" },
	{ 0xa4, false, "add_with_meta" }, { 0xa8, false, "del_with_meta" }, { 0xb5, false, "get_cluster_config" }, { 0xb6, false, "get_random_key" },
	{ 0xba, false, "collections_get_manifest" }, { 0xbb, false, "get_collection_id" }, { 0xc5, false, "subdoc_get" }, { 0xc6, false, "subdoc_exists" },
	{ 0xc7, false, "subdoc_dict_add" }, { 0xc8, false, "subdoc_dict_upsert" }, { 0xc9, false, "subdoc_delete" }, { 0xca, false, "subdoc_replace" },
	{ 0xcb, false, "subdoc_array_push_last" }, { 0xcc, false, "subdoc_array_push_first" }, { 0xcd, false, "subdoc_array_insert" },
	{ 0xce, false, "subdoc_array_add_unique" }, { 0xcf, false, "subdoc_counter" }, { 0xd0, false, "subdoc_multi_lookup" },
	{ 0xd1, false, "subdoc_multi_mutation" }, { 0xd2, false, "subdoc_get_count" }, { 0xfe, false, "get_error_map" },
};

static const struct opcode *opcode_of(uint8_t op)
{
	for (unsigned i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++)
		if (opcodes[i].op == op)
			return &opcodes[i];
	return NULL;
}

static bool only_couchbase(uint8_t op) { return op == OP_HELLO || op > 0x22; }

/* Commands whose key is a document's, with its collection's number before it. */
static bool has_collection(uint8_t op)
{
	return op <= 0x06 || op == 0x09 || (op >= 0x0c && op <= 0x0f) || (op >= 0x11 && op <= 0x1a && op != 0x17 && op != 0x18) || (op >= 0x1c && op <= 0x1e) ||
	       op == 0x83 || op == 0x94 || op == 0x95 || (op >= 0xa0 && op <= 0xa8) || (op >= 0xc5 && op <= 0xd2);
}

struct head {
	uint8_t magic, op, extras, type;
	uint16_t key, status;
	uint8_t framing;
	uint32_t body, opaque;
	uint64_t cas;
};

static bool head_read(struct cursor *c, struct head *h)
{
	h->magic = cur_u8(c);
	h->op = cur_u8(c);
	h->framing = 0;
	if (h->magic == MAGIC_FRAMED_REQUEST || h->magic == MAGIC_FRAMED_ANSWER) {
		h->framing = cur_u8(c);
		h->key = cur_u8(c);
	} else {
		h->key = cur_be16(c);
	}
	h->extras = cur_u8(c);
	h->type = cur_u8(c);
	h->status = cur_be16(c);
	h->body = cur_be32(c);
	h->opaque = cur_be32(c);
	h->cas = cur_be64(c);
	return cur_ok(c) && h->key <= KEY_MAX && h->extras <= EXTRAS_MAX && (uint32_t)h->key + h->extras + h->framing <= h->body && h->body <= BODY_MAX;
}

/* memcached has neither these magics, commands and types, nor vbuckets (0 in requests), and its CAS counts from 1; Couchbase's is
 * a time in ns. */
static bool is_couchbase(const struct head *h)
{
	return (h->magic != MAGIC_REQUEST && h->magic != MAGIC_ANSWER) || only_couchbase(h->op) || h->type & 6 ||
	       (h->magic == MAGIC_REQUEST && h->status) || h->cas >> 56 >= 0x10;
}

bool memcached_head(struct cursor c, enum dir dir, uint64_t *len, bool *couchbase)
{
	struct head h;
	uint8_t up = cur_peek(&c, 0);
	bool request = up == MAGIC_REQUEST || up == MAGIC_FRAMED_REQUEST || up == MAGIC_CLIENT_ANSWER;
	bool answer = up == MAGIC_ANSWER || up == MAGIC_FRAMED_ANSWER || up == MAGIC_SERVER_REQUEST;

	if ((!request && !answer) || !head_read(&c, &h))
		return false;
	/* a server that sends changes (DCP) asks, and its client answers */
	if ((dir == DIR_TOSERVER ? answer : request) && (h.op < 0x50 || h.op > 0x65))
		return false;
	*len = MEMCACHED_HEAD + (uint64_t)h.body;
	*couchbase = is_couchbase(&h);
	return true;
}

/* ---- requests ---- */

/* Features are numbers of two bytes. */
static bool features_have(struct cursor c, uint16_t feature)
{
	while (cur_left(&c) >= 2)
		if (cur_be16(&c) == feature)
			return true;
	return false;
}

static struct bytes key_of(const struct memcached_binary *s, const struct head *h, struct cursor *c)
{
	struct cursor k;

	cur_skip(c, (size_t)h->framing + h->extras);
	k = cur_sub(c, h->key);
	if (s->collections && has_collection(h->op))
		for (unsigned i = 0; i < 5 && cur_more(&k) && cur_u8(&k) & 0x80; i++)
			;
	return cur_rest(&k);
}

static void request(struct px *px, struct memcached_binary *s, const struct head *h, struct cursor c)
{
	const struct opcode *op = opcode_of(h->op);
	struct record *r = px_record(px);
	struct bytes key = key_of(s, h, &c), user;

	if (op)
		rec_cstr(r, &memcached_f_command, op->name);
	else
		rec_printf(r, &memcached_f_command, "0x%02x", h->op);
	if (h->op == OP_SELECT_BUCKET || h->op == 0x85 || h->op == 0x86) {
		rec_bytes(r, &f_bucket, key);
	} else if (h->op == OP_SASL_AUTH) {
		user = sasl_user(cur_rest(&c));
		if (user.n)
			rec_bytes(r, &f_user, user);
		rec_bytes(r, &f_mechanism, key);
	} else if (key.n && h->op != OP_HELLO && h->op != 0x22) {
		rec_bytes(r, &memcached_f_key, key);
	}
	px_judge(px, r);
	if (op && op->quiet)
		asks_tell_now(px, &s->asks, r);
	else
		asks_add(px, &s->asks, (uint64_t)h->opaque << 8 | h->op, r);
	msg_asked(&s->sync);
}

static void answer(struct px *px, struct memcached_binary *s, const struct head *h, struct cursor c)
{
	int i = asks_find(&s->asks, (uint64_t)h->opaque << 8 | h->op);
	struct record *r;

	if (h->op == OP_HELLO && !h->status) {
		cur_skip(&c, (size_t)h->framing + h->extras + h->key);
		s->collections = features_have(c, 0x12);
	}
	if (i < 0)
		return;
	r = asks_record(px, &s->asks, i);
	if (h->status)
		rec_u64(r, &f_status, h->status);
	asks_tell(px, &s->asks, i, r);
}

static bool length(void *state, enum dir dir, struct cursor head, uint64_t *len, size_t *keep)
{
	bool couchbase;

	(void)state;
	*keep = KEEP;
	return memcached_head(head, dir, len, &couchbase);
}

static enum parse message(struct px *px, void *state, enum dir dir, struct cursor msg, uint64_t len)
{
	struct memcached_binary *s = state;
	struct head h;

	(void)len;
	head_read(&msg, &h);
	if (is_couchbase(&h))
		px_set_app(px, APP_COUCHBASE);
	if (dir == DIR_TOSERVER && (h.magic == MAGIC_REQUEST || h.magic == MAGIC_FRAMED_REQUEST)) {
		request(px, s, &h, msg);
	} else if (dir == DIR_TOCLIENT && (h.magic == MAGIC_ANSWER || h.magic == MAGIC_FRAMED_ANSWER)) {
		answer(px, s, &h, msg);
	}
	return PARSE_DONE;
}

static const struct msg_format format = { MEMCACHED_HEAD, "memcached.bad_message", length, message };

enum parse memcached_binary_parse(struct px *px, struct memcached_binary *s, enum dir dir, struct cursor *in)
{
	s->asks.event = EV_APP;
	return msg_run(px, &format, &s->sync, s, dir, in);
}

void memcached_binary_end(struct px *px, struct memcached_binary *s)
{
	s->asks.event = EV_APP;
	asks_end(px, &s->asks);
}

/* ---- recognition: a head whose lengths fit each other, a command that is known, and what that command must and must not have ---- */

static bool extras_fit(const struct head *h)
{
	switch (h->op) {
	case 0x00: case 0x09: case 0x0c: case 0x0d: case 0x04: case 0x14: case 0x0e: case 0x0f: case 0x19: case 0x1a:
		return h->extras == 0 && h->key;
	case 0x01: case 0x02: case 0x03: case 0x11: case 0x12: case 0x13:
		return h->extras == 8 && h->key;
	case 0x05: case 0x06: case 0x15: case 0x16:
		return h->extras == 20 && h->key;
	case 0x07: case 0x0a: case 0x0b: case 0x17: case 0x20:
		return !h->extras && !h->key && !h->body;
	case 0x08: case 0x18:
		return !h->key && (h->extras == 0 || h->extras == 4) && h->body == h->extras;
	case 0x10: case 0x1f: case 0x21: case 0x22:
		return !h->extras;
	case 0x1c: case 0x1d: case 0x1e:
		return h->extras == 4 && h->key;
	default:
		return true;
	}
}

enum probe memcached_binary_probe(const struct probe_in *in, bool *couchbase)
{
	enum probe result = PROBE_NO;

	for (int i = 0; i < 2; i++) {
		struct cursor c = in->dir[i];
		uint8_t magic = cur_peek(&c, 0);
		struct head h;
		bool dcp = in->midstream && cur_peek(&c, 1) >= 0x55 && cur_peek(&c, 1) <= 0x59;
		uint64_t len;

		if (!cur_left(&c) || (i == DIR_TOSERVER ? magic != MAGIC_REQUEST && magic != MAGIC_FRAMED_REQUEST : magic != MAGIC_ANSWER && magic != MAGIC_FRAMED_ANSWER && !(dcp && magic == MAGIC_REQUEST)))
			continue;
		if (cur_left(&c) < MEMCACHED_HEAD) {
			result = PROBE_MORE;
			continue;
		}
		if (!memcached_head(c, (enum dir)i, &len, couchbase))
			continue;
		head_read(&c, &h);
		/* what is not known is Couchbase's, and believed where it is whole */
		if (h.type & 0xf8 || (!opcode_of(h.op) && (h.op < 0x3d || len != cur_left(&in->dir[i]))))
			continue;
		if (i == DIR_TOSERVER && (magic == MAGIC_REQUEST || h.framing) && extras_fit(&h) && (h.status < 1024 || h.op == OP_HELLO))
			return PROBE_YES;
		/* an answer alone: of memcached's own commands, with a status that there is */
		if (i == DIR_TOCLIENT && h.status <= 0xff && h.extras <= 24 && (magic == MAGIC_ANSWER || h.framing || dcp))
			return PROBE_YES;
	}
	return result;
}
