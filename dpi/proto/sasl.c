/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/proto/sasl.h"
#include "dpi/proto/line.h"

/* The value behind `tag` up to a comma. */
static struct bytes tagged(struct cursor c, const char *tag)
{
	while (cur_more(&c)) {
		size_t n = cur_find(&c, ',');
		struct bytes part = cur_bytes(&c, n == SIZE_MAX ? cur_left(&c) : n);

		cur_skip(&c, 1);
		if (part.n > 2 && part.p[0] == (uint8_t)tag[0] && part.p[1] == '=')
			return (struct bytes){ part.p + 2, part.n - 2 };
	}
	return (struct bytes){ NULL, 0 };
}

struct bytes sasl_user(struct bytes msg)
{
	struct cursor c = cur_of(msg.p, msg.n);
	struct bytes user;
	size_t n;

	if (msg.n > 2 && (msg.p[0] == 'n' || msg.p[0] == 'y' || msg.p[0] == 'p') && (msg.p[1] == ',' || msg.p[1] == '=')) {
		user = tagged(c, "a");	/* whom it acts for */
		return user.n ? user : tagged(cur_of(msg.p + 2, msg.n - 2), "n");
	}
	n = cur_find(&c, 0);
	if (n == SIZE_MAX)
		return (struct bytes){ NULL, 0 };
	cur_skip(&c, n + 1);
	n = cur_find(&c, 0);
	return cur_bytes(&c, n == SIZE_MAX ? 0 : n);
}

static int digit(uint8_t b)
{
	if (b >= 'A' && b <= 'Z')
		return b - 'A';
	if (b >= 'a' && b <= 'z')
		return b - 'a' + 26;
	if (b >= '0' && b <= '9')
		return b - '0' + 52;
	return b == '+' ? 62 : b == '/' ? 63 : -1;
}

struct bytes sasl_base64(struct bytes text, uint8_t *out)
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	for (size_t i = 0; i < text.n && n < SASL_USER_MAX; i++) {
		int d = digit(text.p[i]);

		if (d < 0)
			break;
		bits = bits << 6 | (uint32_t)d;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = (uint8_t)(bits >> have);
		}
	}
	return (struct bytes){ out, n };
}

struct bytes sasl_user_base64(struct bytes text, uint8_t *out) { return sasl_user(sasl_base64(text, out)); }

enum sasl_how sasl_how(struct bytes mechanism)
{
	static const struct {
		const char *name;
		enum sasl_how how;
	} known[] = { { "LOGIN", SASL_ALL }, { "CRAM-MD5", SASL_LAST_SPACE }, { "DIGEST-MD5", SASL_USERNAME }, { "XOAUTH2", SASL_USERNAME }, { "GSSAPI", SASL_NONE },
		{ "GSS-SPNEGO", SASL_NONE }, { "NTLM", SASL_NONE }, { "EXTERNAL", SASL_ALL }, { "ANONYMOUS", SASL_NONE } };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (line_is(mechanism, known[i].name))
			return known[i].how;
	return SASL_FIRST;
}

/* DIGEST-MD5: username="user",... (before or behind other words); XOAUTH2: user=user ^A ... */
static struct bytes named(struct bytes msg)
{
	struct cursor c = cur_of(msg.p, msg.n);
	size_t n;

	while (cur_more(&c)) {
		struct bytes part;

		n = cur_find(&c, ',');
		part = cur_bytes(&c, n == SIZE_MAX ? cur_left(&c) : n);
		cur_skip(&c, 1);
		if (line_begins(part, "USER=")) {
			c = cur_of(part.p + 5, part.n - 5);
			n = cur_find(&c, 1);
			return cur_bytes(&c, n == SIZE_MAX ? cur_left(&c) : n);
		}
		if (line_begins(part, "USERNAME=\"") && part.n > 11 && part.p[part.n - 1] == '"')
			return (struct bytes){ part.p + 10, part.n - 11 };
	}
	return (struct bytes){ NULL, 0 };
}

struct bytes sasl_user_how(enum sasl_how how, struct bytes text, uint8_t *out)
{
	struct bytes msg = sasl_base64(text, out);

	switch (how) {
	case SASL_NONE:
		break;
	case SASL_FIRST:
		return sasl_user(msg);
	case SASL_ALL:
		return msg;
	case SASL_LAST_SPACE:
		while (msg.n && msg.p[msg.n - 1] != ' ')
			msg.n--;
		msg.n -= msg.n ? 1 : 0;
		return msg;
	case SASL_USERNAME:
		return named(msg);
	}
	return (struct bytes){ NULL, 0 };
}
