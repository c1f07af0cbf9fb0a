/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/proto/tls_probe.h"

#include "dpi/tls_hello.h"

static bool version_plausible(uint16_t v) { return v >= TLS_SSL3 && v <= TLS_1_3; }

/* SSLv2's CLIENT-HELLO: 11 bytes in which everything must fit together. */
static enum probe probe_v2(struct cursor c)
{
	struct cursor all = c;
	uint16_t len = cur_be16(&c) & 0x7fff;
	uint8_t type = cur_u8(&c);
	uint16_t version = cur_be16(&c), ciphers = cur_be16(&c), session = cur_be16(&c), challenge = cur_be16(&c);

	if (cur_left(&all) >= 3 && cur_peek(&all, 2) != TLS_CLIENT_HELLO)
		return PROBE_NO;
	if (!cur_ok(&c))
		return PROBE_MORE;
	if (type != TLS_CLIENT_HELLO || (version != TLS_SSL2 && !version_plausible(version)) || !ciphers || ciphers % 3 ||
	    (session != 0 && session != 16 && session != 32) || challenge < 16 || challenge > 32)
		return PROBE_NO;
	return (uint32_t)ciphers + session + challenge + 9 == len ? PROBE_YES : PROBE_NO;
}

/* A handshake from its first record on: the first six bytes of the first message, through records of any size. */
static enum probe probe_handshake(struct cursor c)
{
	uint8_t head[6];
	unsigned n = 0;

	while (n < sizeof(head)) {
		uint16_t version, len;
		struct cursor fragment;

		if (cur_left(&c) && cur_peek(&c, 0) != TLS_R_HANDSHAKE)
			return PROBE_NO;
		if (cur_left(&c) > 1 && cur_peek(&c, 1) != 3)
			return PROBE_NO;
		cur_u8(&c);
		version = cur_be16(&c);
		len = cur_be16(&c);
		if (!cur_ok(&c))
			return PROBE_MORE;
		if (!version_plausible(version) || !len || len > TLS_FRAGMENT_MAX)
			return PROBE_NO;
		fragment = cur_of(c.pos, len < cur_left(&c) ? len : cur_left(&c));
		while (n < sizeof(head) && cur_more(&fragment))
			head[n++] = cur_u8(&fragment);
		if (n < sizeof(head) && !cur_skip(&c, len))
			return PROBE_MORE;
	}
	if (head[0] == TLS_CLIENT_HELLO || head[0] == TLS_SERVER_HELLO)
		return head[4] == 3 && head[5] <= 4 && head[1] <= 1 && (head[1] || head[2] || head[3] >= 38) ? PROBE_YES : PROBE_NO;
	return PROBE_NO;
}

/* How many record headers follow one another from the position on; one more when the last record ends where the bytes end.
 * *broken: one is none. */
static unsigned count_records(struct cursor c, bool *broken)
{
	unsigned n = 0;

	*broken = false;
	while (n < 8 && cur_left(&c) >= TLS_RECORD_HEADER) {
		uint8_t type = cur_u8(&c);
		uint16_t version = cur_be16(&c), len = cur_be16(&c);

		if (type < TLS_R_CCS || type > TLS_R_HEARTBEAT || version < TLS_SSL3 || version > TLS_1_2 || !len || len > TLS_FRAGMENT_MAX ||
		    (type == TLS_R_DATA && len < 17) || (type == TLS_R_CCS && len != 1)) {
			*broken = true;
			return n;
		}
		n++;
		if (!cur_skip(&c, len))
			break;
		if (!cur_left(&c))
			n++;
	}
	return n;
}

/* In the middle of a connection: two record headers, each where the one before it says, or one in each direction; a single
 * record when it ends with the segment. */
static enum probe probe_midstream(const struct probe_in *in)
{
	bool broken[2];
	unsigned n[2];

	for (unsigned d = 0; d < 2; d++) {
		n[d] = count_records(in->dir[d], &broken[d]);
		if (broken[d])
			n[d] = 0;
	}
	if (n[0] + n[1] >= 2)
		return PROBE_YES;
	return broken[0] && broken[1] ? PROBE_NO : PROBE_MORE;
}

enum probe tls_probe(const struct probe_in *in)
{
	enum probe best = PROBE_NO;
	bool any = false, no = false, broken;

	for (unsigned d = 0; d < 2; d++) {
		enum probe p;

		if (!cur_left(&in->dir[d]))
			continue;
		any = true;
		p = cur_peek(&in->dir[d], 0) & 0x80 ? probe_v2(in->dir[d]) : probe_handshake(in->dir[d]);
		if (p == PROBE_NO)	/* an alert may be all that the server says */
			no = no || cur_peek(&in->dir[d], 0) != TLS_R_ALERT || !count_records(in->dir[d], &broken) || broken;
		else if (p == PROBE_YES || best == PROBE_NO)
			best = p;
	}
	if (!any)
		return PROBE_MORE;
	if (best == PROBE_YES && (!no || in->midstream))
		return PROBE_YES;
	if (in->midstream)
		return probe_midstream(in);
	return no ? PROBE_NO : PROBE_MORE;
}
