/* SPDX-License-Identifier: GPL-2.0-or-later */
/* telnet: RFC 854 with its options. One `telnet` event per connection: the user who answers a "login:", the terminal's type.
 *
 *   IAC(FF) WILL, WONT, DO, DONT(FB to FE) option    IAC SB(FA) option ... IAC SE(F0)
 *
 * Recognised by negotiation at the beginning: two commands of one side, or one of each. What is typed is kept until the end of its
 * line, and only where the server asked for a name; a password is never looked at. */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define IAC 0xffu
#define NAME_MAX_LEN 64u
#define TAIL 8u

static const struct fact f_user = { "user", FACT_USER }, f_terminal = { "terminal", FACT_PLAIN };
static const struct fact *const facts[] = { &f_user, &f_terminal, NULL };

enum mode { TEXT, AFTER_IAC, OPTION, SUB, SUB_IAC };

struct telnet {
	uint8_t mode[2];
	uint8_t sub_at, sub_option;	/* of the client's subnegotiation */
	bool asked;			/* the server's last words were "login:" */
	bool named, told;
	uint8_t tail_len, name_len, terminal_len;
	char tail[TAIL], name[NAME_MAX_LEN], terminal[NAME_MAX_LEN];
};

/* How many commands it begins with; 0: none. *all: there is nothing but commands so far. */
static unsigned commands(struct cursor c, bool *all)
{
	unsigned n = 0;

	*all = true;
	while (n < 2 && cur_more(&c)) {
		uint8_t iac = cur_u8(&c), verb, option;

		if (iac != IAC) {
			*all = false;
			break;
		}
		if (cur_left(&c) < 2)
			break;
		verb = cur_u8(&c);
		option = cur_u8(&c);
		if (verb < 0xfb || verb == IAC || (option > 49 && option != 138 && option != 139 && option != 200)) {
			*all = false;
			return 0;
		}
		n++;
	}
	return n;
}

static enum probe probe(const struct probe_in *in)
{
	unsigned n[2];
	bool all[2];

	for (unsigned d = 0; d < 2; d++)
		n[d] = commands(in->dir[d], &all[d]);
	if (n[0] >= 2 || n[1] >= 2 || (n[0] && n[1]))
		return PROBE_YES;
	if ((!n[0] && !all[0]) || (!n[1] && !all[1]))
		return PROBE_NO;
	return PROBE_MORE;
}

static void tell(struct px *px, struct telnet *s)
{
	struct record *r = px_record(px);

	if (s->told)
		return;
	s->told = true;
	if (s->name_len)
		rec_str(r, &f_user, s->name, s->name_len);
	if (s->terminal_len)
		rec_str(r, &f_terminal, s->terminal, s->terminal_len);
	px_emit(px, EV_APP, UINT32_MAX, r);
}

static void server_text(struct telnet *s, uint8_t b)
{
	if (b == ' ')
		return;
	if (s->tail_len == TAIL)
		memmove(s->tail, s->tail + 1, --s->tail_len);
	s->tail[s->tail_len++] = (char)(b >= 'A' && b <= 'Z' ? b + 32 : b);
	s->asked = !s->named && ((s->tail_len >= 6 && !memcmp(s->tail + s->tail_len - 6, "login:", 6)) ||
				 (s->tail_len == TAIL && !memcmp(s->tail, "sername:", TAIL)));
}

static void client_text(struct px *px, struct telnet *s, uint8_t b)
{
	struct record *r;

	if (s->named || (!s->asked && !s->name_len))
		return;
	if (b == '\r' || b == '\n') {
		s->named = s->name_len > 0;
		if (!s->named)
			return;
		r = px_record(px);
		rec_str(r, &f_user, s->name, s->name_len);
		px_judge(px, r);
		return;
	}
	if ((b == 8 || b == 127) && s->name_len)
		s->name_len--;
	else if (b >= ' ' && b != 127 && s->name_len < NAME_MAX_LEN)
		s->name[s->name_len++] = (char)b;
}

/* A byte of SB: option, then of TERMINAL-TYPE(24) IS(0) the name. */
static void sub_byte(struct telnet *s, uint8_t b)
{
	if (s->sub_at == 0)
		s->sub_option = b;
	else if (s->sub_at == 1 && b)
		s->sub_option = 0;
	else if (s->sub_at > 1 && s->sub_option == 24 && s->terminal_len < NAME_MAX_LEN)
		s->terminal[s->terminal_len++] = (char)b;
	if (s->sub_at < 2)
		s->sub_at++;
}

static void byte(struct px *px, struct telnet *s, enum dir dir, uint8_t b)
{
	switch ((enum mode)s->mode[dir]) {
	case TEXT:
		if (b == IAC)
			s->mode[dir] = AFTER_IAC;
		else if (dir == DIR_TOCLIENT)
			server_text(s, b);
		else
			client_text(px, s, b);
		break;
	case AFTER_IAC:
		s->mode[dir] = b >= 0xfb && b != IAC ? OPTION : b == 0xfa ? SUB : TEXT;
		if (b == 0xfa && dir == DIR_TOSERVER) {
			s->sub_at = 0;
			s->terminal_len = 0;
		}
		break;
	case OPTION:
		s->mode[dir] = TEXT;
		break;
	case SUB:
		if (b == IAC)
			s->mode[dir] = SUB_IAC;
		else if (dir == DIR_TOSERVER)
			sub_byte(s, b);
		break;
	case SUB_IAC:
		s->mode[dir] = b == 0xf0 ? TEXT : SUB;
		break;
	}
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct telnet *s = state;

	while (cur_more(in) && !s->named)
		byte(px, s, dir, cur_u8(in));
	cur_rest(in);
	if (s->named) {
		tell(px, s);
		px_stop(px);
	}
	return PARSE_DONE;
}

static void end(struct px *px, void *state) { tell(px, state); }

static const uint16_t ports[] = { 23, 0 };

const struct proto proto_telnet = {
	.name = "telnet",
	.app = APP_TELNET,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct telnet),
	.probe = probe,
	.parse = parse,
	.end = end,
	.facts = facts,
};
