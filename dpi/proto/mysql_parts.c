/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mysql_parts: the greeting is recognised by its fixed bytes and a version in plain text; a login by its 23 reserved bytes; a
 * refusal by its code and text. In the middle of a connection only commands with SQL in them, the run of a prepared statement,
 * and a ping with its answer are believed. */
#include "dpi/proto/mysql_parts.h"

#define ATTRIBUTES_MAX 64u
#define PAYLOAD_OF(head) ((uint32_t)(head)[0] | (uint32_t)(head)[1] << 8 | (uint32_t)(head)[2] << 16)

const char *mysql_command_name(uint8_t cmd)
{
	static const char *const names[] = {
		"sleep", "quit", "init_db", "query", "field_list", "create_db", "drop_db", "refresh", "shutdown", "statistics", "process_info", "connect",
		"process_kill", "debug", "ping", "time", "delayed_insert", "change_user", "binlog_dump", "table_dump", "connect_out", "register_slave",
		"stmt_prepare", "stmt_execute", "stmt_send_long_data", "stmt_close", "stmt_reset", "set_option", "stmt_fetch", "daemon", "binlog_dump_gtid",
		"reset_connection", "clone",
	};

	if (cmd < sizeof(names) / sizeof(names[0]))
		return names[cmd];
	return cmd == MYSQL_STMT_BULK ? "stmt_bulk_execute" : NULL;
}

static bool is_text(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] < 0x20 || b.p[i] > 0x7e)
			return false;
	return true;
}

bool mysql_greeting(struct cursor *c, struct bytes *version, uint32_t *caps)
{
	size_t n;

	if (cur_u8(c) != 10)
		return false;
	n = cur_find(c, 0);
	if (n == SIZE_MAX || !n)
		return false;
	*version = cur_bytes(c, n);
	cur_skip(c, 1 + 4 + 8);
	if (cur_u8(c))
		return false;
	*caps = cur_le16(c);
	cur_skip(c, 1 + 2);
	*caps |= (uint32_t)cur_le16(c) << 16;
	return is_text(*version);	/* old servers end after the low half of the capabilities */
}

uint64_t mysql_lenenc(struct cursor *c)
{
	uint8_t b = cur_u8(c);

	switch (b) {
	case 0xfc:
		return cur_le16(c);
	case 0xfd:
		return cur_le16(c) | (uint64_t)cur_u8(c) << 16;
	case 0xfe:
		return cur_le64(c);
	case 0xfb: case 0xff:
		cur_fail(c);
		return 0;
	default:
		return b;
	}
}

static void lenenc_pass(struct cursor *c)
{
	uint64_t n = mysql_lenenc(c);

	if (n > cur_left(c))
		cur_fail(c);
	else
		cur_skip(c, (size_t)n);
}

static void value_pass(struct cursor *c, uint8_t type)
{
	switch (type) {
	case 6:
		break;
	case 1:
		cur_skip(c, 1);
		break;
	case 2: case 13:
		cur_skip(c, 2);
		break;
	case 3: case 4: case 9:
		cur_skip(c, 4);
		break;
	case 5: case 8:
		cur_skip(c, 8);
		break;
	default:	/* texts, and times whose length is one byte */
		lenenc_pass(c);
	}
}

bool mysql_attributes_pass(struct cursor *c)
{
	uint64_t n = mysql_lenenc(c), sets = mysql_lenenc(c);
	uint8_t type[ATTRIBUTES_MAX];
	struct bytes nulls;

	if (!n && cur_ok(c))
		return true;
	if (!cur_ok(c) || n > ATTRIBUTES_MAX || sets != 1) {
		*c = cur_of(c->end, 0);
		return false;
	}
	nulls = cur_bytes(c, (size_t)(n + 7) / 8);
	if (cur_u8(c) == 1) {
		for (unsigned i = 0; i < n; i++) {
			type[i] = cur_u8(c);
			cur_skip(c, 1);
			lenenc_pass(c);
		}
		for (unsigned i = 0; i < n && cur_ok(c); i++)
			if (!(nulls.p[i / 8] >> (i % 8) & 1))
				value_pass(c, type[i]);
	} else {
		cur_fail(c);	/* of which types they are was not said */
	}
	if (cur_ok(c))
		return true;
	*c = cur_of(c->end, 0);
	return false;
}

/* ---- recognition ---- */

static enum probe probe_greeting(struct cursor c)
{
	uint32_t len;
	struct bytes version = { 0 };
	size_t n;
	uint32_t caps;

	if (cur_left(&c) < 5)
		return cur_left(&c) == 4 && cur_peek(&c, 3) ? PROBE_NO : PROBE_MORE;
	len = PAYLOAD_OF(c.pos);
	if (cur_peek(&c, 3) || len < 24 || len > 512)
		return PROBE_NO;
	cur_skip(&c, 4);
	if (cur_peek(&c, 0) == 0xff) {	/* refused: code, text; nothing else comes */
		struct bytes text;
		uint16_t code;

		if (cur_left(&c) < len)
			return cur_left(&c) > 3 && !is_text((struct bytes){ c.pos + 3, cur_left(&c) - 3 }) ? PROBE_NO : PROBE_MORE;
		cur_skip(&c, 1);
		code = cur_le16(&c);
		text = cur_bytes(&c, len - 3);
		return code >= 1000 && code < 5000 && !cur_left(&c) && is_text(text) &&
				       ((text.p[0] >= 'A' && text.p[0] <= 'Z') || text.p[0] == '#') ? PROBE_YES : PROBE_NO;
	}
	if (cur_peek(&c, 0) != 10)
		return PROBE_NO;
	n = cur_find(&c, 0);
	if (n == SIZE_MAX)
		return cur_left(&c) < 128 && is_text((struct bytes){ c.pos + 1, cur_left(&c) - 1 }) ? PROBE_MORE : PROBE_NO;
	/* "8.0.36", "5.5.5-10.6.12-MariaDB": a digit and a dot are in all of them */
	if (n < 4 || n > 127 || !(cur_peek(&c, 1) >= '0' && cur_peek(&c, 1) <= '9'))
		return PROBE_NO;
	if (cur_left(&c) < n + 1 + 13 + 2)
		return PROBE_MORE;
	return mysql_greeting(&c, &version, &caps) && memchr(version.p, '.', version.n) ? PROBE_YES : PROBE_NO;
}

/* A login that nobody greeted (one direction seen). */
static enum probe probe_login(struct cursor c)
{
	uint32_t len, caps;

	if (cur_left(&c) < 4)
		return PROBE_MORE;
	len = PAYLOAD_OF(c.pos);
	if (cur_peek(&c, 3) != 1 || len < 32 || len > 0x2000)
		return PROBE_NO;
	if (cur_left(&c) < 36)
		return PROBE_MORE;
	cur_skip(&c, 4);
	caps = cur_le32(&c);
	cur_skip(&c, 5);
	for (unsigned i = 0; i < 19; i++)
		if (cur_u8(&c))
			return PROBE_NO;
	cur_skip(&c, 4);
	if (!(caps & 0x200) || !(caps & 0x8000))
		return PROBE_NO;
	if (len == 32)
		return caps & 0x800 ? PROBE_YES : PROBE_NO;
	for (size_t i = 0; i < cur_left(&c) && i < 80; i++) {
		if (!cur_peek(&c, i))
			return PROBE_YES;
		if (cur_peek(&c, i) < 0x20)
			return PROBE_NO;
	}
	return cur_left(&c) < 80 ? PROBE_MORE : PROBE_NO;
}

static enum probe probe_command(struct cursor c, struct cursor down)
{
	uint32_t len;
	uint8_t cmd;

	if (cur_left(&c) < 5)
		return PROBE_MORE;
	len = PAYLOAD_OF(c.pos);
	if (!len || cur_peek(&c, 3) || (cur_left(&c) > (uint64_t)len + 7 && cur_peek(&c, len + 7)))	/* another command may follow: its sequence is 0 too */
		return PROBE_NO;
	cur_skip(&c, 4);
	cmd = cur_u8(&c);
	if (cmd == MYSQL_QUERY && cur_starts(&c, "\0\1", 2))
		cur_skip(&c, 2);
	if (cmd == MYSQL_QUERY || cmd == MYSQL_STMT_PREPARE) {
		if (len < 6)
			return PROBE_NO;
		if (cur_left(&c) < len - 1 && cur_left(&c) < 32)
			return PROBE_MORE;
		return sql_begins(SQL_MYSQL, (struct bytes){ c.pos, cur_left(&c) }) ? PROBE_YES : PROBE_NO;
	}
	if (cmd == MYSQL_STMT_EXECUTE && len >= 10) {
		if (cur_left(&c) < 9)
			return PROBE_MORE;
		cur_skip(&c, 2);
		return !cur_le16(&c) && cur_u8(&c) < 8 && cur_le32(&c) == 1 ? PROBE_YES : PROBE_NO;
	}
	if (cmd == MYSQL_PING && len == 1) {
		if (cur_left(&down) < 5)
			return cur_left(&down) == 4 && cur_peek(&down, 3) != 1 ? PROBE_NO : PROBE_MORE;
		return cur_starts(&down, "\7\0\0\1\0", 5) ? PROBE_YES : PROBE_NO;
	}
	return PROBE_NO;
}

enum probe mysql_probe(const struct probe_in *in)
{
	struct cursor up = in->dir[DIR_TOSERVER], down = in->dir[DIR_TOCLIENT];
	enum probe p = PROBE_NO, q = PROBE_NO;

	if (cur_left(&down))
		p = probe_greeting(down);
	if (p == PROBE_YES)
		return p;
	if (cur_left(&up)) {
		q = probe_login(up);
		if (q == PROBE_NO && in->midstream)
			q = probe_command(up, down);
	} else if (in->midstream) {
		q = PROBE_MORE;	/* results say nothing of themselves: the next command may */
	}
	return q == PROBE_YES ? q : p == PROBE_MORE || q == PROBE_MORE ? PROBE_MORE : PROBE_NO;
}
