/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssh: version lines (RFC 4253, 4.2) and the first key exchange message (7.1) of both sides.
 *
 *   line:    SSH-protoversion-softwareversion SP comments CR LF         a server may send other lines before it
 *   packet:  length(4) padding(1) payload padding                       no MAC before the keys are agreed
 *   KEXINIT: 20 cookie(16) name-list x 10 first_kex_follows(1) 0(4)     name-list: length(4) names
 *
 * hassh is the MD5 of "kex;encryption;mac;compression", names as sent: of the client's KEXINIT with the lists for client to
 * server, of the server's with those for server to client.
 *
 * Each side goes LINE -> PACKETS -> DONE. What a side told is kept as a saved record; one `ssh` event is told when both sides
 * are done, or at the end with what is known. After that nothing of the flow is looked at any more. The client's software
 * version is judged as soon as its line is complete. */
#include <nettle/md5.h>
#include <stdio.h>

#include "dpi/proto.h"

#define LINE_MAX_LEN 1024u	/* RFC: 255; some servers' greetings are longer */
#define LINES_BEFORE 64u	/* before the server's version line */
#define PACKET_MAX 65532u	/* RFC: 35000 must do; with its length field what may be kept */
#define PACKETS_BEFORE 16u	/* IGNORE, DEBUG, ... before KEXINIT */
#define MSG_KEXINIT 20u
#define LISTS 10u

enum { L_KEX, L_HOSTKEY, L_ENC_CS, L_ENC_SC, L_MAC_CS, L_MAC_SC, L_COMP_CS, L_COMP_SC };

static const struct fact f_client = { "client", FACT_PLAIN }, f_server = { "server", FACT_PLAIN },
	f_proto = { "proto_version", FACT_PLAIN }, f_comments = { "comments", FACT_PLAIN },
	f_hassh = { "hassh", FACT_PLAIN }, f_hash = { "hash", FACT_PLAIN }, f_string = { "string", FACT_PLAIN },
	/* a rule is about who asks */
	f_software = { "software_version", FACT_SSH_VERSION }, f_server_software = { "software_version", FACT_PLAIN };

static const struct fact *const facts[] = { &f_client, &f_server, &f_proto, &f_software, &f_server_software, &f_comments, &f_hassh,
	&f_hash, &f_string, NULL };

enum stage { LINE, PACKETS, DONE };

struct side {
	struct saved *told;	/* what the event says of it */
	uint32_t scanned;	/* bytes of the line at the position that hold no LF */
	uint16_t lines, packets;
	uint8_t stage;		/* enum stage */
};

struct ssh {
	struct side side[2];
	bool emitted;
};

/* ---- recognition ---- */

/* "SSH-" digit "." digits "-" */
static enum probe probe_line(struct cursor c)
{
	static const char lit[] = "SSH-";
	bool digit = false, dot = false;

	for (unsigned i = 0; i < 4; i++) {
		if (!cur_left(&c))
			return PROBE_MORE;
		if (cur_u8(&c) != (uint8_t)lit[i])
			return PROBE_NO;
	}
	for (unsigned i = 0; i < 8; i++) {
		uint8_t b = cur_u8(&c);

		if (!cur_ok(&c))
			return PROBE_MORE;
		if (b == '-')
			return digit && dot ? PROBE_YES : PROBE_NO;
		if (b == '.' && digit && !dot)
			dot = true;
		else if (b < '0' || b > '9')
			return PROBE_NO;
		else
			digit = true;
	}
	return PROBE_NO;
}

/* A server may greet first: lines of text are looked over as long as a version line may still come. */
static enum probe probe_server(struct cursor c)
{
	struct bytes line;

	for (unsigned i = 0; i < LINES_BEFORE; i++) {
		enum probe p = probe_line(c);

		if (p != PROBE_NO)
			return p;
		if (!cur_line(&c, &line))
			return cur_left(&c) < LINE_MAX_LEN ? PROBE_MORE : PROBE_NO;
		if (line.n >= LINE_MAX_LEN || memchr(line.p, 0, line.n))
			return PROBE_NO;
	}
	return PROBE_NO;
}

static enum probe probe(const struct probe_in *in)
{
	const struct cursor *up = &in->dir[DIR_TOSERVER], *down = &in->dir[DIR_TOCLIENT];
	enum probe p = cur_left(up) ? probe_line(*up) : PROBE_MORE;

	if (p != PROBE_MORE || !cur_left(down))
		return p;
	/* the client's silence or half a "SSH-": the server's word decides, but its greeting alone says nothing yet */
	return probe_server(*down);
}

/* ---- what is told ---- */

static void tell(struct px *px, struct ssh *s)
{
	static const struct fact *const who[2] = { [DIR_TOSERVER] = &f_client, [DIR_TOCLIENT] = &f_server };
	struct record *r;

	if (s->emitted || (!s->side[0].told && !s->side[1].told))
		return;
	s->emitted = true;
	r = px_record(px);
	for (unsigned d = 0; d < 2; d++) {
		if (!s->side[d].told)
			continue;
		rec_obj(r, who[d]);
		rec_append(r, s->side[d].told->body, s->side[d].told->len);
		rec_end(r);
	}
	px_emit(px, EV_SSH, UINT32_MAX, r);
}

/* The record is what is known of that side now. */
static void keep(struct px *px, struct side *side, const struct record *r)
{
	px_saved_free(px, side->told);
	side->told = px_save(px, r);
}

static struct bytes up_to(struct cursor *c, uint8_t byte)
{
	size_t n = cur_find(c, byte);
	struct bytes b = cur_bytes(c, n == SIZE_MAX ? cur_left(c) : n);

	if (n != SIZE_MAX)
		cur_skip(c, 1);
	return b;
}

/* One line of the beginning. True: it was the version line. */
static bool line_told(struct px *px, struct side *side, enum dir dir, struct bytes line)
{
	struct cursor c = cur_of(line.p, line.n);
	struct bytes proto, software;
	struct record *r;

	if (probe_line(c) != PROBE_YES)
		return false;
	cur_skip(&c, 4);
	proto = up_to(&c, '-');
	software = up_to(&c, ' ');
	r = px_record(px);
	rec_bytes(r, &f_proto, proto);
	rec_bytes(r, dir == DIR_TOSERVER ? &f_software : &f_server_software, software);
	if (cur_left(&c))
		rec_bytes(r, &f_comments, cur_rest(&c));
	keep(px, side, r);
	if (dir == DIR_TOSERVER)
		px_judge(px, r);
	c = cur_of(proto.p, proto.n);
	/* version 1 knows no KEXINIT: there is no more to learn; 1.99 speaks 2 */
	side->stage = cur_starts(&c, "1.", 2) && !cur_starts(&c, "1.99", 4) ? DONE : PACKETS;
	return true;
}

/* ---- key exchange ---- */

/* "a;b;c;d" into the hash and, as far as it is told, into the record. */
static void hassh_told(struct record *r, const struct bytes part[4])
{
	char text[RECORD_STR_MAX + 1], hex[2 * MD5_DIGEST_SIZE + 1];
	uint8_t digest[MD5_DIGEST_SIZE];
	struct md5_ctx md5;
	size_t n = 0;

	md5_init(&md5);
	for (unsigned i = 0; i < 4; i++) {
		size_t room;

		if (i) {
			md5_update(&md5, 1, (const uint8_t *)";");
			if (n < sizeof(text))
				text[n++] = ';';
		}
		if (!part[i].n)
			continue;
		md5_update(&md5, part[i].n, part[i].p);
		room = sizeof(text) - n < part[i].n ? sizeof(text) - n : part[i].n;
		memcpy(text + n, part[i].p, room);
		n += room;
	}
	md5_digest(&md5, sizeof(digest), digest);
	for (unsigned i = 0; i < sizeof(digest); i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	rec_obj(r, &f_hassh);
	rec_cstr(r, &f_hash, hex);
	rec_str(r, &f_string, text, n);
	rec_end(r);
}

/* payload: behind the message number. False: its lengths lie. */
static bool kexinit(struct px *px, struct side *side, enum dir dir, struct cursor payload)
{
	struct bytes list[LISTS], part[4];
	struct record *r;

	cur_skip(&payload, 16);
	for (unsigned i = 0; i < LISTS; i++)
		list[i] = cur_bytes(&payload, cur_be32(&payload));
	cur_skip(&payload, 5);
	if (!cur_ok(&payload) || !list[L_KEX].n)
		return false;
	part[0] = list[L_KEX];
	part[1] = list[dir == DIR_TOSERVER ? L_ENC_CS : L_ENC_SC];
	part[2] = list[dir == DIR_TOSERVER ? L_MAC_CS : L_MAC_SC];
	part[3] = list[dir == DIR_TOSERVER ? L_COMP_CS : L_COMP_SC];
	r = px_record(px);
	if (side->told)
		rec_append(r, side->told->body, side->told->len);
	hassh_told(r, part);
	keep(px, side, r);
	side->stage = DONE;
	return true;
}

/* ---- parsing ---- */

static enum parse bad(struct px *px, const char *event)
{
	px_bad(px, event);
	return PARSE_BAD;
}

static enum parse parse_line(struct px *px, struct side *side, enum dir dir, struct cursor *in)
{
	struct cursor ahead = *in;
	struct bytes line = { 0 };
	size_t lf;

	cur_skip(&ahead, side->scanned);
	lf = cur_find(&ahead, '\n');
	if ((lf == SIZE_MAX ? cur_left(in) : side->scanned + lf) >= LINE_MAX_LEN)
		return bad(px, "ssh.line_too_long");
	if (lf == SIZE_MAX) {
		side->scanned = (uint32_t)cur_left(in);
		return PARSE_MORE;
	}
	side->scanned = 0;
	cur_line(in, &line);
	if (line_told(px, side, dir, line))
		return PARSE_DONE;
	/* a client speaks its version at once */
	if (dir == DIR_TOSERVER || ++side->lines > LINES_BEFORE)
		return bad(px, "ssh.no_version");
	return PARSE_DONE;
}

static enum parse parse_packet(struct px *px, struct side *side, enum dir dir, struct cursor *in)
{
	struct cursor ahead = *in, packet;
	uint32_t len = cur_be32(&ahead);
	uint8_t padding;

	if (!cur_ok(&ahead)) {
		px_need(px, 4);
		return PARSE_MORE;
	}
	if (len < 2 || len > PACKET_MAX)
		return bad(px, "ssh.packet_length");
	if (len > cur_left(&ahead)) {
		px_need(px, (size_t)len + 4);
		return PARSE_MORE;
	}
	cur_skip(in, 4);
	packet = cur_sub(in, len);
	padding = cur_u8(&packet);
	if (padding >= cur_left(&packet))
		return bad(px, "ssh.padding");
	packet = cur_sub(&packet, cur_left(&packet) - padding);
	if (cur_u8(&packet) == MSG_KEXINIT)
		return kexinit(px, side, dir, packet) ? PARSE_DONE : bad(px, "ssh.kexinit");
	return ++side->packets > PACKETS_BEFORE ? bad(px, "ssh.no_kexinit") : PARSE_DONE;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct ssh *s = state;
	struct side *side = &s->side[dir];

	while (cur_more(in)) {
		enum parse p = PARSE_DONE;

		switch ((enum stage)side->stage) {
		case LINE:
			p = parse_line(px, side, dir, in);
			break;
		case PACKETS:
			p = parse_packet(px, side, dir, in);
			break;
		case DONE:
			cur_rest(in);
			break;
		}
		if (p != PARSE_DONE)
			return p;
		if (s->side[0].stage == DONE && s->side[1].stage == DONE) {
			tell(px, s);
			cur_rest(in);
			px_stop(px);
		}
	}
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct ssh *s = state;

	tell(px, s);
	for (unsigned d = 0; d < 2; d++) {
		px_saved_free(px, s->side[d].told);
		s->side[d].told = NULL;
	}
}

static const uint16_t ports[] = { 22, 0 };

const struct proto proto_ssh = {
	.name = "ssh",
	.app = APP_SSH,
	.event = EV_SSH,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct ssh),
	.probe = probe,
	.parse = parse,
	.end = end,
	.facts = facts,
};
