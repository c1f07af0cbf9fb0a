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

struct bytes json_value(struct bytes json, unsigned depth, const char *name)
{
	struct cursor c = cur_of(json.p, json.n);
	unsigned at = 0;

	while (cur_ok(&c) && cur_left(&c)) {
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
		if (at == depth && key.n == strlen(name) && memcmp(key.p, name, key.n) == 0) {
			key = value(&c);
			return cur_ok(&c) ? key : (struct bytes){ NULL, 0 };
		}
	}
	return (struct bytes){ NULL, 0 };
}
