/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/proto/told.h"

#include <stdio.h>

const char *code_name(const struct code *table, uint32_t v)
{
	for (; table->name; table++)
		if (table->v == v)
			return table->name;
	return NULL;
}

void told_code(struct record *r, const struct fact *f, const struct code *table, uint32_t v)
{
	const char *name = code_name(table, v);

	if (name)
		rec_cstr(r, f, name);
	else
		rec_printf(r, f, "%u", v);
}

void told_hex(struct record *r, const struct fact *f, struct bytes b)
{
	char hex[2 * TOLD_HEX_MAX + 4];
	size_t at = 0;

	for (size_t i = 0; i < b.n && i < TOLD_HEX_MAX; i++, at += 2)
		snprintf(hex + at, 3, "%02x", b.p[i]);
	if (b.n > TOLD_HEX_MAX) {
		memcpy(hex + at, "...", 3);
		at += 3;
	}
	rec_str(r, f, hex, at);
}

void told_mac(struct record *r, const struct fact *f, struct bytes m)
{
	if (m.n >= 6)
		rec_printf(r, f, "%02x:%02x:%02x:%02x:%02x:%02x", m.p[0], m.p[1], m.p[2], m.p[3], m.p[4], m.p[5]);
}

static void told_addr(struct record *r, const struct fact *f, struct cursor *c, bool v6)
{
	const uint8_t *p = cur_take(c, v6 ? 16 : 4);
	char s[ADDR_STRLEN];
	struct addr a;

	if (!p)
		return;
	a = v6 ? addr_v6(p) : addr_v4(p);
	rec_cstr(r, f, addr_format(&a, s));
}

void told_ip4(struct record *r, const struct fact *f, struct cursor *c) { told_addr(r, f, c, false); }
void told_ip6(struct record *r, const struct fact *f, struct cursor *c) { told_addr(r, f, c, true); }

/* One code point as UTF-8; how many bytes, 0: no room. */
static size_t utf8_put(uint32_t u, char *out, size_t room)
{
	unsigned more = u < 0x80 ? 0 : u < 0x800 ? 1 : u < 0x10000 ? 2 : 3;
	static const uint8_t lead[] = { 0, 0xc0, 0xe0, 0xf0 };

	if (room < more + 1u)
		return 0;
	out[0] = (char)(lead[more] | u >> 6 * more);
	for (unsigned i = 1; i <= more; i++)
		out[i] = (char)(0x80 | (u >> 6 * (more - i) & 0x3f));
	return more + 1u;
}

size_t utf16_text(struct bytes b, char *out, size_t room)
{
	struct cursor c = cur_of(b.p, b.n);
	size_t at = 0;

	while (cur_left(&c) >= 2) {
		uint32_t u = cur_le16(&c);
		size_t n;

		if (!u)
			break;
		if (u >= 0xd800 && u < 0xdc00 && cur_left(&c) >= 2) {
			struct cursor ahead = c;
			uint32_t lo = cur_le16(&ahead);

			if (lo >= 0xdc00 && lo < 0xe000) {
				u = 0x10000 + ((u & 0x3ff) << 10) + (lo & 0x3ff);
				c = ahead;
			}
		}
		if (u >= 0xd800 && u < 0xe000)
			u = 0xfffd;
		n = utf8_put(u, out + at, room - at);
		if (!n)
			break;
		at += n;
	}
	return at;
}

void told_utf16(struct record *r, const struct fact *f, struct bytes b)
{
	char text[1024];

	rec_str(r, f, text, utf16_text(b, text, sizeof(text)));
}

void guid_text(const uint8_t b[16], bool le, char out[37])
{
	static const uint8_t order[2][16] = {
		{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
		{ 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 },
	};
	size_t at = 0;

	for (unsigned i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			out[at++] = '-';
		snprintf(out + at, 3, "%02x", b[order[le][i]]);
		at += 2;
	}
}

struct bytes up_to_nul(struct bytes b)
{
	const uint8_t *nul = b.n ? memchr(b.p, 0, b.n) : NULL;

	return nul ? (struct bytes){ b.p, (size_t)(nul - b.p) } : b;
}

bool is_printable(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] < 0x20 || b.p[i] > 0x7e)
			return false;
	return b.n > 0;
}

bool bytes_are(struct bytes b, const char *lit) { return b.n == strlen(lit) && (!b.n || memcmp(b.p, lit, b.n) == 0); }
