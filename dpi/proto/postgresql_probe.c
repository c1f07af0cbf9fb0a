/* SPDX-License-Identifier: GPL-2.0-or-later */
/* postgresql_probe: a connection begins with one of four codes and settings by name; a server that speaks first asks for a
 * password or refuses in words. In the middle, a statement in SQL is believed, and messages that fit each other to the last byte
 * and end in Sync or ReadyForQuery. */
#include "dpi/proto/postgresql_parts.h"

bool pg_is_client_type(uint8_t type) { return type && strchr("BCDEFHPQSXcdfp", type); }
bool pg_is_server_type(uint8_t type) { return type && strchr("123ACDEGHIKNRSTVWZcdnstv", type); }

struct bytes pg_string(struct cursor *c, bool *cut)
{
	size_t n = cur_find(c, 0);
	struct bytes b = cur_bytes(c, n == SIZE_MAX ? cur_left(c) : n);

	*cut = n == SIZE_MAX;
	if (!*cut)
		cur_skip(c, 1);
	return b;
}

static enum probe probe_startup(struct cursor c)
{
	uint32_t len, code;
	unsigned n = 0;

	if (cur_peek(&c, 0) || cur_peek(&c, 1))
		return PROBE_NO;
	if (cur_left(&c) < 8)
		return PROBE_MORE;
	len = cur_be32(&c);
	code = cur_be32(&c);
	if (code == PG_SSL || code == PG_GSSENC)
		return len == 8 ? PROBE_YES : PROBE_NO;
	if (code == PG_CANCEL)
		return len >= 16 && len <= 268 ? PROBE_YES : PROBE_NO;
	if (code >> 16 != PG_VERSION_3 || (code & 0xffff) > 15 || len < 9 + 6 || len > PG_STARTUP_MAX)
		return PROBE_NO;
	for (; cur_more(&c); n++) {
		uint8_t b = cur_u8(&c);

		if (!b)
			return n >= 3 ? PROBE_YES : PROBE_NO;
		if (!((b | 0x20) >= 'a' && (b | 0x20) <= 'z') && b != '_' && !(n && (b == '.' || (b >= '0' && b <= '9'))))
			return PROBE_NO;
	}
	return n < 64 ? PROBE_MORE : PROBE_NO;
}

static enum probe starts(const struct cursor *c, const char *lit, size_t n)
{
	size_t have = cur_left(c) < n ? cur_left(c) : n;

	if (memcmp(c->pos, lit, have))
		return PROBE_NO;
	return have == n ? PROBE_YES : PROBE_MORE;
}

/* A server whose client was not seen: it asks for a password, lets in, or refuses. */
static enum probe probe_server_first(struct cursor c)
{
	static const struct { const char *p; size_t n; } auths[] = {
		{ "R\0\0\0\x08\0\0\0\0S\0\0", 12 }, { "R\0\0\0\x08\0\0\0\3", 9 }, { "R\0\0\0\x0c\0\0\0\5", 9 }, { "R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-", 19 },
		{ "R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-", 19 },
	};
	bool more = false;

	for (unsigned i = 0; i < sizeof(auths) / sizeof(auths[0]); i++) {
		enum probe p = starts(&c, auths[i].p, auths[i].n);

		if (p == PROBE_YES)
			return p;
		more |= p == PROBE_MORE;
	}
	if (cur_peek(&c, 0) == 'E' && cur_left(&c) >= 5) {
		cur_skip(&c, 1);
		if (cur_be32(&c) > 4096)
			return PROBE_NO;
		return starts(&c, "SFATAL\0", 7);
	}
	return more || (cur_peek(&c, 0) == 'E' && cur_left(&c) < 5) ? PROBE_MORE : PROBE_NO;
}

/* Messages that end with the last byte at hand, three at least (two of a server), the last one `last`. */
static enum probe probe_chain(struct cursor c, bool client)
{
	unsigned n = 0;

	while (cur_more(&c)) {
		uint8_t type = cur_u8(&c);
		uint32_t len = cur_be32(&c);

		if (!(client ? pg_is_client_type(type) : pg_is_server_type(type)))
			return PROBE_NO;
		if (!cur_ok(&c))
			return PROBE_MORE;
		if (len < 4 || len > PG_MESSAGE_MAX)
			return PROBE_NO;
		n++;
		if (len - 4 > cur_left(&c))
			return n > 1 || len < 16384 ? PROBE_MORE : PROBE_NO;
		if (!client && type == 'Z' && len == 5 && n > 1 && cur_peek(&c, 0) && strchr("ITE", cur_peek(&c, 0)))
			return PROBE_YES;
		if (client && type == 'S' && len == 4 && n > 2)
			return PROBE_YES;
		cur_skip(&c, len - 4);
	}
	return PROBE_MORE;
}

static enum probe probe_statement(struct cursor c)
{
	uint8_t type = cur_u8(&c);
	uint32_t len = cur_be32(&c);
	bool cut;

	if (type != 'Q' && type != 'P')
		return PROBE_NO;
	if (!cur_ok(&c))
		return PROBE_MORE;
	if (len < 8 || len > PG_MESSAGE_MAX)
		return PROBE_NO;
	if (cur_left(&c) < len - 4 && cur_left(&c) < 100)
		return PROBE_MORE;
	if (type == 'P') {
		struct bytes name = pg_string(&c, &cut);

		for (size_t i = 0; i < name.n; i++)
			if (name.p[i] < 0x20)
				return PROBE_NO;
	}
	return sql_begins(SQL_PGSQL, (struct bytes){ c.pos, cur_left(&c) }) ? PROBE_YES : PROBE_NO;
}

enum probe postgresql_probe(const struct probe_in *in)
{
	struct cursor up = in->dir[DIR_TOSERVER], down = in->dir[DIR_TOCLIENT];
	enum probe p = PROBE_NO, q = PROBE_NO;

	if (cur_left(&up)) {
		p = probe_startup(up);
		if (p == PROBE_YES)
			return p;
		if (p == PROBE_NO && in->midstream) {
			p = probe_statement(up);
			if (p == PROBE_NO)
				p = probe_chain(up, true);
		}
	}
	if (cur_left(&down)) {
		q = cur_left(&up) && p == PROBE_NO && !in->midstream ? PROBE_NO : probe_server_first(down);
		if (q == PROBE_NO && in->midstream)
			q = probe_chain(down, false);
	}
	if (p == PROBE_YES || q == PROBE_YES)
		return PROBE_YES;
	return p == PROBE_MORE || q == PROBE_MORE ? PROBE_MORE : PROBE_NO;
}
