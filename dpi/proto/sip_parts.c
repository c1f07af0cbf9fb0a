/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/proto/sip_parts.h"

#define FIRST_MOST 2048u
#define METHOD_MOST 20u

static bool version_at(struct bytes b, const char *version)
{
	size_t n = strlen(version);

	return b.n == n + 3 && memcmp(b.p, version, n) == 0 && b.p[n] >= '0' && b.p[n] <= '9' && b.p[n + 1] == '.' && b.p[n + 2] >= '0' && b.p[n + 2] <= '9';
}

static bool is_method(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (!((b.p[i] >= 'A' && b.p[i] <= 'Z') || (i && b.p[i] == '_')))
			return false;
	return b.n >= 3 && b.n <= METHOD_MOST;
}

enum probe sip_first_line(struct cursor c, const char *version, struct sip_first *first)
{
	struct bytes line = { c.pos, cur_left(&c) }, word;
	size_t n = strlen(version);

	*first = (struct sip_first){ .code = 0 };
	if (!line_text(&c))
		return PROBE_NO;
	if (!cur_line(&c, &line)) {
		struct cursor w = cur_of(line.p, line.n);

		if (line.n > FIRST_MOST)
			return PROBE_NO;
		word = line_word(&w);
		if (memcmp(line.p, version, line.n < n ? line.n : n) == 0)
			return PROBE_MORE;
		for (size_t i = 0; i < word.n; i++)
			if (word.p[i] < 'A' || (word.p[i] > 'Z' && word.p[i] != '_') || i >= METHOD_MOST)
				return PROBE_NO;
		return PROBE_MORE;
	}
	c = cur_of(line.p, line.n);
	word = line_word(&c);
	if (version_at(word, version)) {
		first->code = (unsigned)line_number(line_word(&c));
		return first->code >= 100 && first->code <= 699 ? PROBE_YES : PROBE_NO;
	}
	first->method = word;
	first->uri = line_word(&c);
	return is_method(word) && first->uri.n && version_at(line_word(&c), version) && !cur_left(&c) ? PROBE_YES : PROBE_NO;
}

size_t sip_head_length(const struct cursor *in, uint32_t *scanned)
{
	struct cursor c = *in;
	struct bytes line;

	cur_skip(&c, *scanned);
	while (cur_line(&c, &line)) {
		if (!line.n) {
			*scanned = 0;
			return cur_left(in) - cur_left(&c);
		}
		*scanned = (uint32_t)(cur_left(in) - cur_left(&c));
	}
	return 0;
}

struct bytes sip_field(struct cursor head, const char *name, const char *brief)
{
	struct bytes line;

	cur_line(&head, &line);
	while (cur_left(&head)) {
		struct cursor c;
		struct bytes key;
		size_t n;

		if (!cur_line(&head, &line))
			line = cur_rest(&head);
		if (!line.n)
			break;
		c = cur_of(line.p, line.n);
		n = cur_find(&c, ':');
		if (n == SIZE_MAX)
			continue;
		key = cur_bytes(&c, n);
		cur_skip(&c, 1);
		while (key.n && (key.p[key.n - 1] == ' ' || key.p[key.n - 1] == '\t'))
			key.n--;
		if (line_is(key, name) || (brief && line_is(key, brief)))
			return line_rest(&c);
	}
	return (struct bytes){ NULL, 0 };
}

struct bytes sip_username(struct bytes authorization)
{
	static const char key[] = "username=\"";
	struct cursor c = cur_of(authorization.p, authorization.n);
	const uint8_t *at = authorization.n ? memmem(authorization.p, authorization.n, key, sizeof(key) - 1) : NULL;
	size_t n;

	if (!at)
		return (struct bytes){ NULL, 0 };
	cur_skip(&c, (size_t)(at - authorization.p) + sizeof(key) - 1);
	n = cur_find(&c, '"');
	return cur_bytes(&c, n == SIZE_MAX ? 0 : n);
}
