/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ntp: RFC 5905 and its elders. One `ntp` event per message.
 *
 *   LI(2) VN(3) mode(3), stratum, poll, precision, root delay(4), root dispersion(4), reference id(4), four timestamps(8);
 *   extension fields and a MAC may follow, in steps of 4 bytes      mode 6: 12 bytes and data      mode 7: 8 bytes and items
 *
 * 48 bytes without a magic: on another port than 123 either a client's bare request (all zero but its own timestamp) or clocks
 * that agree with each other are asked for; the forms of modes 6 and 7 are believed on port 123 only. */
#include "dpi/proto/told.h"

#define HEADER 48u
#define LONGEST 1024u
#define PORT 123u
#define UNIX_EPOCH 2208988800u	/* 1970 in seconds since 1900 */
#define ERA_1_END 0x20000000u	/* seconds after 2036 that are believed */

static const struct fact f_version = { "version", FACT_PLAIN }, f_mode = { "mode", FACT_OPERATION }, f_stratum = { "stratum", FACT_PLAIN },
	f_refid = { "reference_id", FACT_PLAIN }, f_opcode = { "opcode", FACT_PLAIN };
static const struct fact *const facts[] = { &f_version, &f_mode, &f_stratum, &f_refid, &f_opcode, NULL };

static const struct code modes[] = {
	{ 1, "symmetric_active" }, { 2, "symmetric_passive" }, { 3, "client" }, { 4, "server" }, { 5, "broadcast" }, { 6, "control" }, { 7, "private" },
	{ 0, NULL },
};

struct ntp {
	uint8_t version, mode, stratum, poll, precision;
	uint32_t delay, dispersion;
	struct bytes refid;
	uint32_t seconds[4];	/* of reference, origin, receive, transmit */
	bool bare;		/* nothing between the first word and the transmit timestamp */
	bool unset;		/* nothing in the three timestamps before it */
};

static bool plausible(uint32_t seconds) { return seconds >= UNIX_EPOCH || seconds < ERA_1_END; }

/* How far two clocks are apart, across the end of an era too. */
static uint32_t apart(uint32_t a, uint32_t b)
{
	int32_t d = (int32_t)(a - b);

	return d < 0 ? 0u - (uint32_t)d : (uint32_t)d;
}

static bool clock_read(struct cursor in, struct ntp *m)
{
	size_t len = cur_left(&in);
	uint8_t first = cur_u8(&in);
	uint8_t any = 0, times = 0;
	struct cursor middle;

	m->version = first >> 3 & 7;
	m->mode = first & 7;
	m->stratum = cur_u8(&in);
	m->poll = cur_u8(&in);
	m->precision = cur_u8(&in);
	middle = cur_of(in.pos, cur_left(&in) < 36 ? 0 : 36);
	while (cur_left(&middle) > 24)
		any |= cur_u8(&middle);
	while (cur_more(&middle))
		times |= cur_u8(&middle);
	m->bare = !any && !times;
	m->unset = !times;
	m->delay = cur_be32(&in);
	m->dispersion = cur_be32(&in);
	m->refid = cur_bytes(&in, 4);
	for (unsigned i = 0; i < 4; i++) {
		m->seconds[i] = cur_be32(&in);
		cur_skip(&in, 4);
	}
	return cur_ok(&in) && len % 4 == 0 && len <= LONGEST && m->version >= 1 && m->version <= 4 && m->mode >= 1 && m->mode <= 5 &&
		m->stratum <= 16 && (m->version == 4 || len <= 68);
}

/* Modes 6 and 7: the lengths that they name are there. */
static bool control_read(struct cursor in, struct ntp *m)
{
	size_t len = cur_left(&in), count, size;
	uint8_t first = cur_u8(&in);

	m->version = first >> 3 & 7;
	m->mode = first & 7;
	if (m->version < 1 || m->version > 4)
		return false;
	if (m->mode == 6) {
		cur_skip(&in, 9);
		count = cur_be16(&in);
		return cur_ok(&in) && count <= cur_left(&in) && len % 4 == 0;
	}
	if (m->mode != 7)
		return false;
	cur_skip(&in, 3);
	count = cur_be16(&in) & 0xfff;
	size = cur_be16(&in) & 0xfff;
	return cur_ok(&in) && count * size <= cur_left(&in) && len <= 600;
}

/* Four zeros, or capital letters and zeros behind them. */
static bool is_kiss(struct bytes b)
{
	struct bytes text = up_to_nul(b);

	for (size_t i = 0; i < b.n; i++)
		if (i < text.n ? b.p[i] < 'A' || b.p[i] > 'Z' : b.p[i] != 0)
			return false;
	return text.n == 0 || text.n >= 3;
}

static bool agrees(const struct ntp *m)
{
	const uint32_t *t = m->seconds;

	if (m->mode == 3 && m->bare)
		return m->stratum <= 1 && m->poll <= 17 && (m->precision <= 0x20 || m->precision >= 0xe0);
	/* a client that was never answered: a second of delay and dispersion at most, no source but a kiss code of its own */
	if (m->mode == 3 && m->unset && m->stratum <= 1 && m->poll <= 17 && (m->precision <= 0x20 || m->precision >= 0xe0))
		return plausible(t[3]) && m->delay <= 1u << 16 && m->dispersion <= 1u << 20 && is_kiss(m->refid);
	/* server: it sends what it received moments ago, and set its clock before that */
	if (m->mode == 4 || m->mode == 2)
		return plausible(t[3]) && plausible(t[2]) && apart(t[3], t[2]) <= 2 && (!t[0] || (plausible(t[0]) && apart(t[3], t[0]) < 1u << 20)) &&
			m->delay >> 24 <= 1 && m->dispersion >> 24 <= 1 && m->precision >= 0xc0;
	/* a peer's or a full client's: its own clock was set not long ago */
	return plausible(t[3]) && t[0] && apart(t[3], t[0]) < 1u << 20 && m->precision >= 0xc0;
}

static enum probe probe(const struct probe_in *in)
{
	bool usual = in->sport == PORT || in->dport == PORT;
	struct ntp m;

	if (clock_read(in->dir[in->now], &m))
		return usual || agrees(&m) ? PROBE_YES : PROBE_NO;
	return usual && control_read(in->dir[in->now], &m) ? PROBE_YES : PROBE_NO;
}

static void tell_refid(struct record *r, const struct ntp *m)
{
	struct cursor c = cur_of(m->refid.p, m->refid.n);

	/* a name of a source or a kiss code below stratum 2, an address above */
	if (m->stratum <= 1 && is_printable(up_to_nul(m->refid)))
		rec_bytes(r, &f_refid, up_to_nul(m->refid));
	else if (m->stratum > 1)
		told_ip4(r, &f_refid, &c);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct ntp m;
	bool clock = clock_read(*in, &m);
	struct record *r;

	(void)state;
	if (!clock && !control_read(*in, &m)) {
		px_bad(px, "ntp.malformed");
		cur_rest(in);
		return PARSE_DONE;
	}
	r = px_record(px);
	rec_u64(r, &f_version, m.version);
	told_code(r, &f_mode, modes, m.mode);
	if (clock) {
		rec_u64(r, &f_stratum, m.stratum);
		tell_refid(r, &m);
	} else {
		rec_u64(r, &f_opcode, m.mode == 6 ? cur_peek(in, 1) & 0x1f : cur_peek(in, 3));
	}
	say(px, dir, EV_APP, UINT32_MAX, r);
	cur_rest(in);
	return PARSE_DONE;
}

static const uint16_t ports[] = { PORT, 0 };

const struct proto proto_ntp = {
	.name = "ntp",
	.app = APP_NTP,
	.event = EV_APP,
	.l4 = PROTO_UDP,
	.ports = ports,
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
