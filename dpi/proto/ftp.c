/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ftp: the control connection (RFC 959, 2228 AUTH, 2428 EPSV).
 *
 * One `ftp` event per command when its final reply is there, known by order; preliminary replies (1xx) are told with it. The user
 * that USER named is told with each later command. Passwords are never told. After AUTH TLS and its 234 the flow is recognised
 * anew.
 *
 * Data connections are announced: by PORT and EPRT the client listens, by the answers to PASV and EPSV the server does. Only an end's own
 * address is believed. An answer to PASV with another one (a server behind a translator) is told, and the server's own is taken, as
 * clients do that do not let themselves be sent elsewhere; PORT to another address (a bounce) is told and nothing is expected. What the transfer's command
 * names goes to the data connection. */
#include "dpi/message.h"
#include "dpi/proto/line.h"

#define LINE_MOST 8192u
#define USER_MOST 128u
#define STRANGE_MOST 16u
#define DATA_LIFE (INT64_C(60) * 1000000000)

static const struct fact f_command = { "command", FACT_COMMAND }, f_data = { "command_data", FACT_OBJECT }, f_user = { "user", FACT_USER },
	f_code = { "completion_code", FACT_PLAIN }, f_file = { "filename", FACT_OBJECT };
static const struct fact *const facts[] = { &f_command, &f_data, &f_user, &f_code, NULL };

static const char *const commands[] = { "USER", "PASS", "AUTH", "FEAT", "SYST", "CWD", "CDUP", "PWD", "XPWD", "TYPE", "MODE", "STRU", "PORT", "PASV", "EPRT", "EPSV", "LPRT", "LPSV", "RETR",
	"STOR", "STOU", "APPE", "ALLO", "REST", "RNFR", "RNTO", "ABOR", "DELE", "RMD", "MKD", "XMKD", "XRMD", "XCWD", "LIST", "NLST", "MLSD", "MLST", "SITE", "STAT", "HELP", "NOOP",
	"QUIT", "ACCT", "REIN", "SMNT", "OPTS", "HOST", "CLNT", "SIZE", "MDTM", "MFMT", "PBSZ", "PROT", "CCC", "ADAT", "MIC", "CONF", "ENC", "LANG", "XCUP", "CSID", "AVBL", "THMB", NULL };

enum { STARTS_TLS = 1 };

struct ftp {
	struct asks asks;
	uint32_t scanned[2];
	uint32_t expected;		/* the last data connection that was announced */
	uint16_t strange;
	uint16_t first;			/* preliminary reply to the oldest command; 0: none */
	uint16_t many;			/* code of a reply of many lines whose end is awaited */
	uint8_t user_n;
	uint8_t user[USER_MOST];
};

/* ---- data connections ---- */

/* h1,h2,h3,h4,p1,p2 at the position. */
static bool six_numbers(struct cursor *c, struct addr *addr, uint16_t *port)
{
	uint8_t b[6];

	for (unsigned i = 0; i < 6; i++) {
		unsigned n = 0, digits = 0;

		for (; cur_peek(c, 0) >= '0' && cur_peek(c, 0) <= '9' && digits < 4; digits++)
			n = 10 * n + (cur_u8(c) - (unsigned)'0');
		if (!digits || n > 255 || (i < 5 && cur_u8(c) != ','))
			return false;
		b[i] = (uint8_t)n;
	}
	*addr = addr_v4(b);
	*port = (uint16_t)(b[4] << 8 | b[5]);
	return cur_ok(c);
}

/* |1|10.0.0.1|4000| or |2|fd00::1|4000|, RFC 2428; with bare |||4000|. Any character may be the bar. */
static bool extended(struct cursor c, bool bare, struct addr *addr, uint16_t *port)
{
	uint8_t bar = cur_u8(&c), family = bare ? 0 : cur_u8(&c);
	char text[ADDR_STRLEN] = "";
	struct bytes number;
	uint64_t n;
	size_t k;

	if ((!bare && family != '1' && family != '2') || cur_u8(&c) != bar)
		return false;
	k = cur_find(&c, bar);
	if (k >= sizeof(text) || (bare && k))
		return false;
	if (k)
		memcpy(text, cur_take(&c, k), k);
	cur_skip(&c, 1);
	k = cur_find(&c, bar);
	if (k == SIZE_MAX || (!bare && (addr_parse(text, addr) || addr_is_v4(addr) != (family == '1'))))
		return false;
	number = cur_bytes(&c, k);
	n = line_number(number);
	*port = (uint16_t)n;
	return n && n <= UINT16_MAX;
}

static void announce(struct px *px, struct ftp *s, enum dir listens, const struct addr *named, uint16_t port)
{
	struct px_announce a = { .addr = *px_addr(px, listens), .port = port, .l4 = PROTO_TCP, .proto = &proto_ftp_data, .life = DATA_LIFE };

	s->expected = 0;
	if (named && !addr_eq(named, &a.addr)) {
		px_bad(px, "ftp.foreign_address");
		if (listens == DIR_TOSERVER)
			return;
	}
	s->expected = px_expect(px, &a, NULL);
}

static void client_listens(struct px *px, struct ftp *s, struct bytes word, struct bytes data)
{
	struct cursor c = cur_of(data.p, data.n);
	struct addr addr;
	uint16_t port;

	if (line_is(word, "PORT") ? six_numbers(&c, &addr, &port) : extended(c, false, &addr, &port))
		announce(px, s, DIR_TOSERVER, &addr, port);
}

/* "227 Entering Passive Mode (10,0,0,2,156,64)", the brackets may be missing; "229 Entering Extended Passive Mode (|||40000|)" */
static void server_listens(struct px *px, struct ftp *s, struct bytes line, unsigned code)
{
	struct cursor c = cur_of(line.p, line.n);
	struct addr addr;
	uint16_t port;
	size_t open;

	cur_skip(&c, 4);
	open = cur_find(&c, '(');
	if (code == 229) {
		if (open == SIZE_MAX)
			return;
		cur_skip(&c, open + 1);
		if (extended(c, true, &addr, &port))
			announce(px, s, DIR_TOCLIENT, NULL, port);
		return;
	}
	if (open != SIZE_MAX)
		cur_skip(&c, open + 1);
	while (cur_more(&c) && (cur_peek(&c, 0) < '0' || cur_peek(&c, 0) > '9'))
		cur_skip(&c, 1);
	if (six_numbers(&c, &addr, &port))
		announce(px, s, DIR_TOCLIENT, &addr, port);
}

/* A command that uses the data connection. */
static void transfer(struct px *px, const struct ftp *s, struct bytes word, struct bytes data)
{
	static const char *const words[] = { "RETR", "STOR", "STOU", "APPE", "LIST", "NLST", "MLSD", NULL };
	int w = line_which(word, words);
	struct record *r;

	if (w < 0 || !s->expected)
		return;
	r = px_record(px);
	rec_cstr(r, &f_command, words[w]);
	if (data.n)
		rec_bytes(r, &f_file, data);
	px_expect_note(px, s->expected, r);
}

static enum parse parse_command(struct px *px, struct ftp *s, struct bytes line)
{
	struct cursor c = cur_of(line.p, line.n);
	struct bytes word, data;
	struct record *r;
	char name[5];
	int w;

	/* Telnet's interrupt and synch come before ABOR */
	while (cur_peek(&c, 0) >= 0xf0)
		cur_skip(&c, 1);
	word = line_word(&c);
	w = line_which(word, commands);
	data = line_rest(&c);
	if (!word.n)
		return PARSE_DONE;
	if (w < 0 && ++s->strange > STRANGE_MOST)
		return msg_bad(px, "ftp.no_commands");
	if (line_is(word, "USER")) {
		s->user_n = (uint8_t)(data.n < USER_MOST ? data.n : USER_MOST);
		if (s->user_n)
			memcpy(s->user, data.p, s->user_n);
	}
	r = px_record(px);
	if (w >= 0) {
		rec_cstr(r, &f_command, commands[w]);
	} else {
		memset(name, 0, sizeof(name));
		memcpy(name, word.p, word.n < 4 ? word.n : 4);
		rec_cstr(r, &f_command, name);
	}
	if (data.n && w >= 0 && !line_is(word, "PASS") && !line_is(word, "ACCT") && !line_is(word, "ADAT"))
		rec_bytes(r, &f_data, data);
	if (s->user_n)
		rec_str(r, &f_user, s->user, s->user_n);
	px_judge(px, r);
	asks_add(px, &s->asks, line_is(word, "AUTH") && (line_begins(data, "TLS") || line_begins(data, "SSL")) ? STARTS_TLS : 0, r);
	if (line_is(word, "PORT") || line_is(word, "EPRT"))
		client_listens(px, s, word, data);
	transfer(px, s, word, data);
	return PARSE_DONE;
}

static void code_put(struct record *r, unsigned code)
{
	char text[4] = { (char)('0' + code / 100 % 10), (char)('0' + code / 10 % 10), (char)('0' + code % 10), 0 };

	rec_cstr(r, NULL, text);
}

/* True: another protocol follows. */
static bool reply(struct px *px, struct ftp *s, unsigned code)
{
	struct record *r;
	bool tls;

	if (!s->asks.n)
		return false;
	if (code < 200) {
		s->first = (uint16_t)code;
		return false;
	}
	if (s->asks.lost) {
		s->asks.lost--;
		return false;
	}
	tls = s->asks.q[0].id == STARTS_TLS && (code == 234 || code == 334);
	r = asks_record(px, &s->asks, 0);
	rec_arr(r, &f_code);
	if (s->first)
		code_put(r, s->first);
	code_put(r, code);
	rec_end(r);
	asks_tell(px, &s->asks, 0, r);
	s->first = 0;
	if (tls)
		px_switch(px, NULL);
	return tls;
}

/* True: another protocol follows. */
static bool parse_reply(struct px *px, struct ftp *s, struct bytes line)
{
	unsigned code = line_code(line);

	if (s->many) {	/* "230-text" ... "230 text" */
		if (code != s->many || (line.n > 3 && line.p[3] == '-'))
			return false;
		s->many = 0;
		return reply(px, s, code);
	}
	if (!code)
		return false;
	if (line.n > 3 && line.p[3] == '-') {
		s->many = (uint16_t)code;
		return false;
	}
	if (code == 227 || code == 229)
		server_listens(px, s, line, code);
	return reply(px, s, code);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct ftp *s = state;

	s->asks.event = EV_FTP;
	while (cur_more(in)) {
		struct bytes line = { NULL, 0 };
		enum parse p = line_next(in, &s->scanned[dir], LINE_MOST, &line);

		if (p == PARSE_BAD)
			return msg_bad(px, "ftp.line_too_long");
		if (p == PARSE_MORE)
			return p;
		if (dir == DIR_TOCLIENT) {
			if (!s->asks.n && !s->asks.next_tx && line_code(line) == 220)
				continue;	/* the greeting */
			if (parse_reply(px, s, line))
				return PARSE_DONE;
		} else if (parse_command(px, s, line) == PARSE_BAD) {
			return PARSE_BAD;
		}
	}
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct ftp *s = state;

	asks_end(px, &s->asks);
}

/* ---- recognition ---- */

/* Commands that no other protocol of a 220 greeting has. */
static bool sure(struct bytes line)
{
	static const char *const words[] = { "USER", "FEAT", "SYST", "HOST", "CLNT", "OPTS", "PASV", "EPSV", "PORT", "EPRT", "RETR", "STOR", "CWD", "PWD", NULL };
	struct cursor c = cur_of(line.p, line.n);
	struct bytes word = line_word(&c), data = line_rest(&c);

	return line_which(word, words) >= 0 || (line_is(word, "AUTH") && (line_is(data, "TLS") || line_is(data, "SSL") || line_is(data, "TLS-C") || line_is(data, "TLS-P")));
}

/* "h1,h2,h3,h4,p1,p2" somewhere in the line. */
static bool has_address(struct bytes b)
{
	unsigned commas = 0;

	for (size_t i = 0; i < b.n; i++) {
		if (b.p[i] == ',')
			commas++;
		else if (b.p[i] < '0' || b.p[i] > '9')
			commas = commas == 5 ? 5 : 0;
		if (commas == 5)
			return true;
	}
	return false;
}

static enum probe probe(const struct probe_in *in)
{
	static const char *const own[] = { "SYST", "PWD", "XPWD", "PASV", "EPSV", "EPRT", "CWD", "STOR", "NLST", "MLSD", "MDTM", "SIZE", "TYPE", NULL };
	const struct cursor *up = &in->dir[DIR_TOSERVER], *down = &in->dir[DIR_TOCLIENT];
	struct bytes line = { NULL, 0 }, greeting = { NULL, 0 };
	enum probe p, q;
	unsigned code;

	if (!cur_left(up) && !cur_left(down))
		return PROBE_MORE;
	p = cur_left(down) ? line_first(*down, 1024, &greeting) : PROBE_MORE;
	q = cur_left(up) ? line_first(*up, 1024, &line) : PROBE_MORE;
	if (p == PROBE_NO || q == PROBE_NO)
		return PROBE_NO;
	code = p == PROBE_YES ? line_code(greeting) : 0;
	if (p == PROBE_YES && code == 220 && (line_has(greeting, "FTP") || line_has(greeting, "FILEZILLA")))
		return PROBE_YES;
	if (in->midstream && ((code == 227 && has_address(greeting)) || (code == 229 && line_has(greeting, "(|||"))))
		return PROBE_YES;
	if (in->midstream && q == PROBE_YES && line_begins(line, "PORT ") && has_address(line))
		return PROBE_YES;
	if (p == PROBE_YES && code != 220 && !(in->midstream && code))
		return PROBE_NO;
	if (p == PROBE_YES && q == PROBE_YES)
		return sure(line) ? PROBE_YES : PROBE_NO;
	/* the client alone says nothing sure at first, the server's half a line neither */
	if (q == PROBE_YES && !sure(line))
		return PROBE_NO;
	if (q == PROBE_YES && !cur_left(down) && line_alone(*up, "USER ", own))
		return PROBE_YES;
	if (p == PROBE_MORE && cur_left(down) && !line_may((struct bytes){ down->pos, cur_left(down) < 3 ? cur_left(down) : 3 }, "220") && !in->midstream)
		return PROBE_NO;
	return PROBE_MORE;
}

static const uint16_t ports[] = { 21, 0 };

const struct proto proto_ftp = {
	.name = "ftp",
	.app = APP_FTP,
	.event = EV_FTP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct ftp),
	.probe = probe,
	.parse = parse,
	.end = end,
	.facts = facts,
};
