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
	while (cur_more(&head)) {
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

/* ---- media ---- */

#define MEDIA_MOST 8u
#define MEDIA_LIFE (INT64_C(180) * 1000000000)	/* a telephone may ring for so long */

static void expect_media(struct px *px, const struct addr *addr, uint64_t port)
{
	struct px_announce a = { .addr = *addr, .port = (uint16_t)port, .l4 = PROTO_UDP, .proto = &proto_rtp, .life = MEDIA_LIFE };

	if (port && port <= UINT16_MAX)
		px_expect(px, &a, NULL);
}

struct media {
	struct addr addr;
	bool has_addr, rtp;
	uint64_t port, control;
};

/* "IN IP4 10.0.0.1", with "/127" behind it for groups. */
static bool connection(struct bytes value, struct addr *addr)
{
	struct cursor c = cur_of(value.p, value.n);
	char text[ADDR_STRLEN];
	struct bytes at;

	if (!line_is(line_word(&c), "IN") || !line_begins(line_word(&c), "IP"))
		return false;
	at = line_word(&c);
	c = cur_of(at.p, at.n);
	if (cur_find(&c, '/') != SIZE_MAX)
		at.n = cur_find(&c, '/');
	if (!at.n || at.n >= sizeof(text))
		return false;
	memcpy(text, at.p, at.n);
	text[at.n] = '\0';
	return addr_parse(text, addr) == 0;
}

/* "audio 49170 RTP/AVP 0", "49170/2" where there are several */
static void medium(struct bytes value, struct media *m)
{
	struct cursor c = cur_of(value.p, value.n), p;
	struct bytes port, transport;
	size_t slash;

	line_word(&c);
	port = line_word(&c);
	transport = line_word(&c);
	p = cur_of(port.p, port.n);
	slash = cur_find(&p, '/');
	m->port = line_number((struct bytes){ port.p, slash == SIZE_MAX ? port.n : slash });
	m->control = m->port == UINT64_MAX ? 0 : m->port + 1;
	m->rtp = m->port && m->port != UINT64_MAX && line_has(transport, "RTP/");
}

static void media_done(struct px *px, const struct media *m)
{
	if (!m->rtp || !m->has_addr)
		return;
	expect_media(px, &m->addr, m->port);
	expect_media(px, &m->addr, m->control);
}

void sdp_announce(struct px *px, struct cursor body)
{
	struct media session = { .port = 0 }, m = session;
	struct bytes line;
	unsigned n = 0;

	if (!cur_line(&body, &line) || !line_is(line, "V=0"))
		return;
	while (cur_more(&body)) {
		struct bytes value;

		if (!cur_line(&body, &line))
			line = cur_rest(&body);
		if (line.n < 2 || line.p[1] != '=')
			continue;
		value = (struct bytes){ line.p + 2, line.n - 2 };
		if (line.p[0] == 'm') {
			media_done(px, &m);
			if (n++ == MEDIA_MOST)
				return;
			m = session;
			medium(value, &m);
		} else if (line.p[0] == 'c') {
			struct media *of = n ? &m : &session;

			of->has_addr = connection(value, &of->addr);
		} else if (n && line_begins(line, "A=RTCP:")) {
			struct cursor c = cur_of(line.p, line.n);

			cur_skip(&c, 7);
			m.control = line_number(line_word(&c));
		}
	}
	media_done(px, &m);
}

void media_announce(struct px *px, enum dir listens, struct bytes ports)
{
	struct cursor c = cur_of(ports.p, ports.n);
	size_t dash = cur_find(&c, '-');
	uint64_t first = line_number((struct bytes){ ports.p, dash == SIZE_MAX ? ports.n : dash });

	expect_media(px, px_addr(px, listens), first);
	if (dash != SIZE_MAX)
		expect_media(px, px_addr(px, listens), line_number((struct bytes){ ports.p + dash + 1, ports.n - dash - 1 }));
}
