/* SPDX-License-Identifier: GPL-2.0-or-later */
/* syslog: RFC 5424 and the older form (3164), over UDP and TCP (6587: a length before each message, or a line each).
 *
 *   <PRI>1 2003-10-11T22:14:15.003Z host app procid msgid ...        <PRI>Oct 11 22:14:15 host tag: text        PRI: facility * 8 + severity
 *
 * One event per message; what it says is not told. A flow is believed by a priority and a timestamp behind it; a datagram also
 * without one, where all of it is text that begins as tags do. */
#include "dpi/message.h"
#include "dpi/proto/line.h"

#define MESSAGE_MOST 65000u
#define HEAD_MOST 1024u

static const struct fact f_facility = { "facility", FACT_PLAIN }, f_severity = { "severity", FACT_PLAIN }, f_host = { "hostname", FACT_PLAIN }, f_app = { "program", FACT_OBJECT };
static const struct fact *const facts[] = { &f_facility, &f_severity, &f_host, &f_app, NULL };

static const char *const facilities[] = { "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp", "audit", "alert", "clock",
	"local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7" };
static const char *const severities[] = { "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug" };

struct syslog {
	uint32_t scanned;
	uint32_t tx;
};

enum form { NO_TIME, OLD, NEW };

static bool digits(struct cursor *c, unsigned n)
{
	while (n--) {
		uint8_t b = cur_u8(c);

		if (b < '0' || b > '9')
			return false;
	}
	return true;
}

/* "<PRI>": YES and *pri, the cursor behind it. */
static enum probe priority(struct cursor *c, unsigned *pri)
{
	unsigned n = 0;

	*pri = 0;
	if (cur_u8(c) != '<')
		return PROBE_NO;
	for (; n < 4; n++) {
		uint8_t b = cur_peek(c, 0);

		if (!cur_left(c))
			return PROBE_MORE;
		if (b < '0' || b > '9')
			break;
		*pri = *pri * 10 + (unsigned)(b - '0');
		cur_skip(c, 1);
	}
	if (cur_u8(c) != '>' || !n || n > 3 || *pri > 191)
		return PROBE_NO;
	return PROBE_YES;
}

/* The form of what follows the priority; the cursor is behind the timestamp. */
static enum form timestamp(struct cursor *c)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct cursor t = *c;

	if (cur_starts(&t, "1 ", 2)) {
		cur_skip(&t, 2);
		if (cur_starts(&t, "- ", 2)) {
			cur_skip(&t, 2);
			*c = t;
			return NEW;
		}
		if (!digits(&t, 4) || cur_u8(&t) != '-' || !digits(&t, 2) || cur_u8(&t) != '-' || !digits(&t, 2) || cur_u8(&t) != 'T')
			return NO_TIME;
		line_word(&t);
		*c = t;
		return NEW;
	}
	if (cur_left(&t) >= 16)
		for (unsigned i = 0; i < 36; i += 3) {
			if (!cur_starts(&t, months + i, 3) || cur_peek(&t, 3) != ' ' || cur_peek(&t, 6) != ' ' || cur_peek(&t, 9) != ':' || cur_peek(&t, 12) != ':')
				continue;
			cur_skip(&t, 15);
			*c = t;
			return OLD;
		}
	return NO_TIME;
}

static bool message(struct px *px, struct syslog *s, struct cursor c)
{
	struct bytes host = { NULL, 0 }, program;
	struct record *r;
	enum form form;
	unsigned pri;
	size_t n = 0;

	if (priority(&c, &pri) != PROBE_YES)
		return false;
	form = timestamp(&c);
	if (form != NO_TIME)
		host = line_word(&c);
	program = line_word(&c);
	if (form != NEW) {
		while (n < program.n && program.p[n] != ':' && program.p[n] != '[')
			n++;
		if (n == program.n)
			n = 0;	/* no tag */
		program.n = n;
	}
	r = px_record(px);
	rec_cstr(r, &f_facility, facilities[pri / 8]);
	rec_cstr(r, &f_severity, severities[pri % 8]);
	if (host.n && !(host.n == 1 && host.p[0] == '-'))
		rec_bytes(r, &f_host, host);
	if (program.n && !(program.n == 1 && program.p[0] == '-'))
		rec_bytes(r, &f_app, program);
	px_judge(px, r);
	px_emit(px, EV_APP, s->tx++, r);
	return true;
}

/* "LENGTH SP": 0: not that form; UINT64_MAX: it may become one. */
static uint64_t counted(struct cursor *c)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 6; i++) {
		uint8_t b = cur_peek(c, 0);

		if (!cur_left(c))
			return UINT64_MAX;
		cur_skip(c, 1);
		if (b == ' ')
			return v;
		if (b < '0' || b > '9' || (!i && b == '0'))
			return 0;
		v = v * 10 + (uint64_t)(b - '0');
	}
	return 0;
}

static enum parse parse_stream(struct px *px, struct syslog *s, struct cursor *in)
{
	struct cursor c = *in, view = cur_of(NULL, 0);
	struct bytes line = { NULL, 0 };
	enum parse p;
	uint64_t n;

	if (cur_peek(in, 0) == '<') {
		p = line_next(in, &s->scanned, MESSAGE_MOST, &line);
		if (p != PARSE_DONE)
			return p == PARSE_BAD ? msg_bad(px, "syslog.too_long") : p;
		return message(px, s, cur_of(line.p, line.n)) ? PARSE_DONE : msg_bad(px, "syslog.bad_message");
	}
	if (cur_peek(in, 0) == '\n' || cur_peek(in, 0) == '\r' || !cur_peek(in, 0)) {
		cur_skip(in, 1);
		return PARSE_DONE;
	}
	n = counted(&c);
	if (n == UINT64_MAX)
		return PARSE_MORE;
	if (!n)
		return msg_bad(px, "syslog.bad_length");
	if (cur_left(&c) < (n < HEAD_MOST ? n : HEAD_MOST))
		return msg_more(px, cur_used(&c) - cur_used(in) + (size_t)(n < HEAD_MOST ? n : HEAD_MOST));
	*in = c;
	msg_take(px, DIR_TOSERVER, in, n, HEAD_MOST, &view);
	return message(px, s, view) ? PARSE_DONE : msg_bad(px, "syslog.bad_message");
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct syslog *s = state;
	enum parse p = PARSE_DONE;

	if (px_l4(px) != PROTO_TCP) {
		if (!message(px, s, *in))
			px_bad(px, "syslog.bad_message");
		cur_rest(in);
		return PARSE_DONE;
	}
	if (dir == DIR_TOCLIENT) {	/* nothing is answered */
		cur_rest(in);
		return PARSE_DONE;
	}
	while (p == PARSE_DONE && cur_more(in))
		p = parse_stream(px, s, in);
	return p;
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->l4 == PROTO_TCP ? DIR_TOSERVER : in->now];
	enum probe p;
	enum form form;
	unsigned pri;

	if (!cur_left(&c))
		return cur_left(&in->dir[DIR_TOCLIENT]) ? PROBE_NO : PROBE_MORE;
	if (in->l4 == PROTO_TCP && cur_peek(&c, 0) != '<') {
		uint64_t n = counted(&c);

		if (!n || (n != UINT64_MAX && n < 8))
			return PROBE_NO;
		if (n == UINT64_MAX || !cur_left(&c))
			return PROBE_MORE;
	}
	p = priority(&c, &pri);
	if (p != PROBE_YES)
		return in->l4 == PROTO_TCP ? p : PROBE_NO;
	if (in->l4 == PROTO_TCP && cur_left(&c) < 17)
		return line_text(&c) ? PROBE_MORE : PROBE_NO;
	form = timestamp(&c);
	if (form != NO_TIME)
		return PROBE_YES;
	if (in->l4 == PROTO_TCP || cur_left(&c) < 4)
		return PROBE_NO;
	/* text, and nothing but text; an end of zeros is padding */
	while (cur_more(&c) && (!c.end[-1] || c.end[-1] == '\n'))
		c.end--;
	if (!((line_upper(cur_peek(&c, 0)) >= 'A' && line_upper(cur_peek(&c, 0)) <= 'Z') || (cur_peek(&c, 0) >= '0' && cur_peek(&c, 0) <= '9')))
		return PROBE_NO;
	for (size_t i = 0; i < cur_left(&c); i++)
		if ((cur_peek(&c, i) < ' ' && cur_peek(&c, i) != '\n' && cur_peek(&c, i) != '\t') || cur_peek(&c, i) == 0x7f)
			return PROBE_NO;
	return cur_find(&c, ' ') != SIZE_MAX ? PROBE_YES : PROBE_NO;
}

static const uint16_t ports[] = { 514, 601, 0 };

const struct proto proto_syslog = {
	.name = "syslog",
	.app = APP_SYSLOG,
	.event = EV_APP,
	.l4 = PROTO_TCP | PROTO_UDP,
	.ports = ports,
	.state_size = sizeof(struct syslog),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
