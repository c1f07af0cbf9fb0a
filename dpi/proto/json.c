/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/proto/json.h"

/* A string at the position (a quote): its inside. */
static struct bytes quoted(struct cursor *c)
{
	size_t n = 0;
	struct bytes b;

	cur_skip(c, 1);
	while (n < cur_left(c) && cur_peek(c, n) != '"')
		n += cur_peek(c, n) == '\\' ? 2 : 1;
	b = cur_bytes(c, n);
	cur_skip(c, 1);
	return b;
}

/* What stands behind a colon. */
static struct bytes value(struct cursor *c)
{
	size_t n = 0;

	while (cur_peek(c, 0) == ' ')
		cur_skip(c, 1);
	if (cur_peek(c, 0) == '"')
		return quoted(c);
	while (n < cur_left(c) && !strchr(",}] \r\n", cur_peek(c, n)) && cur_peek(c, n) != '{' && cur_peek(c, n) != '[')
		n++;
	return cur_bytes(c, n);
}

static uint32_t hex4(const uint8_t *p, size_t n)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < 4; i++) {
		uint8_t b = i < n ? p[i] : 0, low = b | 0x20;

		if (b >= '0' && b <= '9')
			v = v << 4 | (uint32_t)(b - '0');
		else if (low >= 'a' && low <= 'f')
			v = v << 4 | (uint32_t)(low - 'a' + 10);
		else
			return UINT32_MAX;
	}
	return v;
}

/* A code point as UTF-8; how many bytes. */
static size_t utf8(uint32_t v, uint8_t out[4])
{
	size_t n = v < 0x80 ? 1 : v < 0x800 ? 2 : v < 0x10000 ? 3 : 4;
	static const uint8_t first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = n; i-- > 1; v >>= 6)
		out[i] = (uint8_t)(0x80 | (v & 0x3f));
	out[0] = (uint8_t)(first[n] | v);
	return n;
}

size_t json_text(struct bytes s, uint8_t *out, size_t room)
{
	static const char from[] = "nrtbf", to[] = "\n\r\t\b\f";
	size_t n = 0, i = 0;

	while (i < s.n) {
		uint8_t b = s.p[i++], code[4] = { b };
		size_t len = 1;

		if (b == '\\' && i < s.n) {
			const char *at;
			uint32_t v, low;

			b = code[0] = s.p[i++];
			at = b ? strchr(from, b) : NULL;
			if (at) {
				code[0] = (uint8_t)to[at - from];
			} else if (b == 'u' && (v = hex4(s.p + i, s.n - i)) != UINT32_MAX) {
				i += 4;
				if (v >= 0xd800 && v < 0xdc00 && s.n - i >= 6 && s.p[i] == '\\' && s.p[i + 1] == 'u' &&
				    (low = hex4(s.p + i + 2, s.n - i - 2)) >= 0xdc00 && low < 0xe000) {
					v = 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00);
					i += 6;
				}
				len = utf8(v, code);
			}
		}
		if (len > room - n)
			break;
		memcpy(out + n, code, len);
		n += len;
	}
	return n;
}

void json_put(struct record *r, const struct fact *f, struct bytes s)
{
	uint8_t out[JSON_TEXT_MAX];

	if (s.n && memchr(s.p, '\\', s.n))
		rec_str(r, f, out, json_text(s, out, sizeof(out)));
	else
		rec_bytes(r, f, s);
}

static bool is_key(struct bytes key, const char *name)
{
	uint8_t out[64];
	size_t n = strlen(name);

	if (key.n && memchr(key.p, '\\', key.n))
		key = (struct bytes){ out, json_text(key, out, sizeof(out)) };
	return key.n == n && memcmp(key.p, name, n) == 0;
}

struct bytes json_value(struct bytes json, unsigned depth, const char *name)
{
	struct cursor c = cur_of(json.p, json.n);
	struct bytes last = { NULL, 0 };
	unsigned at = 0;

	while (cur_more(&c)) {
		uint8_t b = cur_peek(&c, 0);
		struct bytes key;

		if (b != '"') {
			if (b == '{' || b == '[')
				at++;
			else if ((b == '}' || b == ']') && at)
				at--;
			cur_skip(&c, 1);
			continue;
		}
		key = quoted(&c);
		while (cur_peek(&c, 0) == ' ')
			cur_skip(&c, 1);
		if (cur_peek(&c, 0) != ':')
			continue;	/* a value */
		cur_skip(&c, 1);
		if (at == depth && is_key(key, name)) {
			key = value(&c);
			if (cur_ok(&c))
				last = key;
		}
	}
	return last;
}
