/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lustre: LNet over TCP, by the acceptor's request, the hello of the socket driver, or one of its messages. All numbers are little endian
 * on the hosts that speak it.
 *
 *   acceptor:  acce7100(4) version(4) nid(8)          hello: 45726963(4) version(4, 1 to 4) nid(8) nid(8) pid(4) pid(4) ...
 *   message:   c1(4) checksum(4) cookies(16) nid(8) nid(8) pid(4) pid(4) type(4, 0 to 4) length(4) ...
 * A nid's upper half is number(2) and kind of the network(2): 2 is TCP. */
#include "dpi/message.h"

#define ACCEPTOR 0xacce7100u
#define HELLO 0x45726963u
#define MESSAGE 0xc1u
#define PID 12345u
#define NET_TCP 2u

static const struct fact *const facts[] = { NULL };

static bool nid_ok(struct cursor *c)
{
	cur_skip(c, 6);
	return cur_le16(c) == NET_TCP && cur_ok(c);
}

static enum probe looks(const struct cursor *in)
{
	struct cursor c = *in;
	uint32_t magic = cur_le32(&c), pid, type;

	if (!cur_ok(&c))
		return PROBE_MORE;
	if (magic != ACCEPTOR && magic != HELLO && magic != MESSAGE)
		return PROBE_NO;
	if (cur_left(in) < (magic == ACCEPTOR ? 16u : magic == HELLO ? 24u : 56u))
		return PROBE_MORE;
	if (magic != MESSAGE) {
		uint32_t version = cur_le32(&c);

		return version >= 1 && version <= 4 && nid_ok(&c) && (magic == ACCEPTOR || nid_ok(&c)) ? PROBE_YES : PROBE_NO;
	}
	cur_skip(&c, 20);
	if (!nid_ok(&c) || !nid_ok(&c))
		return PROBE_NO;
	pid = cur_le32(&c);
	cur_skip(&c, 4);
	type = cur_le32(&c);
	return (pid & 0x7fffffff) == PID && type <= 4 ? PROBE_YES : PROBE_NO;
}

static enum probe probe(const struct probe_in *in) { return looks(&in->dir[in->now]); }

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	(void)state;
	(void)dir;
	cur_rest(in);
	px_stop(px);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 988, 0 };

const struct proto proto_lustre = {
	.name = "lustre", .app = APP_LUSTRE, .event = EV_APP, .l4 = PROTO_TCP, .ports = ports, .probe = probe, .parse = parse, .facts = facts,
};
