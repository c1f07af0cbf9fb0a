/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dns: RFC 1035 over UDP and TCP, with EDNS (6891), mDNS (6762), LLMNR (4795), DNS UPDATE (2136). dns_msg.c reads the parts of a message.
 *
 * One `dns` event per question of a query (a rule must see each name that is asked for), one per response. A response gets
 * the transaction number of the query with its id in the other direction, as long as that is among the last OPEN_MAX.
 *
 * mDNS and LLMNR have the content of DNS; only their ports (5353, 5355) tell which one it is. NetBIOS names look like DNS as
 * well but carry one label of 32 letters A-P: that is refused.
 *
 * Broken messages are told as anomalies and the flow goes on: a datagram or a frame of TCP stands for itself, and one bad
 * message must not blind us for the next. */
#include <stdarg.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/hash.h"
#include "dpi/proto/dns_msg.h"
#include "dpi/proto/dns_names.h"
#include "dpi/proto/dns_within.h"
#include "dpi/proto.h"

#define OPEN_MAX 16u			/* queries that wait for their response */
#define QUESTIONS_TOLD 32u		/* events per query; all questions are judged */
#define HEX_MAX 64u			/* bytes told of rdata without a text form */
#define TCP_PROBE 4096u			/* so much of an unfinished message is evidence enough */

static const struct fact f_type = { "type", FACT_PLAIN }, f_id = { "id", FACT_PLAIN }, f_flags = { "flags", FACT_PLAIN },
	f_qr = { "qr", FACT_PLAIN }, f_aa = { "aa", FACT_PLAIN }, f_tc = { "tc", FACT_PLAIN }, f_rd = { "rd", FACT_PLAIN },
	f_ra = { "ra", FACT_PLAIN }, f_opcode = { "opcode", FACT_PLAIN }, f_rcode = { "rcode", FACT_PLAIN },
	f_rrname = { "rrname", FACT_DNS_NAME }, f_rrtype = { "rrtype", FACT_DNS_TYPE },
	f_answers = { "answers", FACT_PLAIN }, f_authorities = { "authorities", FACT_PLAIN },
	/* of one record in those lists: no roles, a rule is about what was asked */
	f_owner = { "rrname", FACT_PLAIN }, f_rtype = { "rrtype", FACT_PLAIN }, f_ttl = { "ttl", FACT_PLAIN }, f_rdata = { "rdata", FACT_PLAIN },
	f_soa = { "soa", FACT_PLAIN }, f_mname = { "mname", FACT_PLAIN }, f_rname = { "rname", FACT_PLAIN }, f_serial = { "serial", FACT_PLAIN },
	f_refresh = { "refresh", FACT_PLAIN }, f_retry = { "retry", FACT_PLAIN }, f_expire = { "expire", FACT_PLAIN },
	f_minimum = { "minimum", FACT_PLAIN }, f_srv = { "srv", FACT_PLAIN }, f_priority = { "priority", FACT_PLAIN },
	f_weight = { "weight", FACT_PLAIN }, f_port = { "port", FACT_PLAIN }, f_name = { "name", FACT_PLAIN }, f_sshfp = { "sshfp", FACT_PLAIN },
	f_algo = { "algo", FACT_PLAIN }, f_fptype = { "type", FACT_PLAIN }, f_fingerprint = { "fingerprint", FACT_PLAIN };

static const struct fact *const facts[] = {
	&f_type, &f_id, &f_flags, &f_qr, &f_aa, &f_tc, &f_rd, &f_ra, &f_opcode, &f_rcode, &f_rrname, &f_rrtype, &f_answers, &f_authorities,
	&f_owner, &f_rtype, &f_ttl, &f_rdata, &f_soa, &f_mname, &f_rname, &f_serial, &f_refresh, &f_retry, &f_expire, &f_minimum, &f_srv,
	&f_priority, &f_weight, &f_port, &f_name, &f_sshfp, &f_algo, &f_fptype, &f_fingerprint, NULL,
};

struct dns {
	uint32_t next_tx;
	uint32_t opened;		/* queries ever put into open[] */
	struct {
		uint32_t tx;
		uint32_t question;	/* question_of() it; 0: its answer is not to be believed */
		uint16_t id;
		uint8_t dir;
		bool waits;
	} open[OPEN_MAX];
	bool framed[2];			/* TCP: the length was read, the message is awaited */
	uint16_t frame[2];
	bool named;			/* the app was made more precise, if it had to be */
};

/* ---- recognition ---- */

static bool port_hints(const struct probe_in *in)
{
	static const uint16_t usual[] = { 53, 5353, 5355 };

	for (unsigned i = 0; i < 3; i++)
		if (in->sport == usual[i] || in->dport == usual[i])
			return true;
	return false;
}

/* The first message of one direction over TCP: must end exactly where its length says. */
static enum probe probe_stream(const struct probe_in *in, struct cursor c)
{
	bool asked, cut;
	uint16_t len = cur_be16(&c);
	enum dns_shape s;

	if (!cur_ok(&c))
		return PROBE_MORE;
	if (len < DNS_HEADER)
		return PROBE_NO;
	cut = cur_left(&c) < len;
	s = dns_shape_of(cut ? cur_of(c.pos, cur_left(&c)) : cur_sub(&c, len), false, &asked);
	switch (s) {
	case DNS_SHAPE_WHOLE:
		return cut ? PROBE_NO : PROBE_YES;
	case DNS_SHAPE_CUT:
		if (!cut)
			return PROBE_NO;
		return asked && cur_left(&c) >= TCP_PROBE ? PROBE_YES : PROBE_MORE;
	case DNS_SHAPE_WEAK:
		return cut ? PROBE_MORE : port_hints(in) ? PROBE_YES : PROBE_NO;
	case DNS_SHAPE_TRAILER:
		return cut ? PROBE_NO : port_hints(in) ? PROBE_YES : PROBE_NO;
	case DNS_SHAPE_NO:
		break;
	}
	return PROBE_NO;
}

static enum probe probe_tcp(const struct probe_in *in)
{
	enum probe best = PROBE_MORE;

	for (unsigned d = 0; d < 2; d++) {
		enum probe p = cur_left(&in->dir[d]) ? probe_stream(in, in->dir[d]) : PROBE_MORE;

		if (p == PROBE_NO)
			return PROBE_NO;
		if (p == PROBE_YES)
			best = p;
	}
	return best;
}

static enum probe probe(const struct probe_in *in)
{
	bool asked, hinted = port_hints(in);

	if (in->l4 == PROTO_TCP)
		return probe_tcp(in);
	switch (dns_shape_of(in->dir[in->now], in->sport == 137 || in->dport == 137, &asked)) {
	case DNS_SHAPE_WHOLE:
		return PROBE_YES;
	case DNS_SHAPE_CUT:
	case DNS_SHAPE_NO:		/* on a usual port a good question will do: what follows may be cut or broken on purpose */
		return hinted && asked ? PROBE_YES : PROBE_NO;
	case DNS_SHAPE_WEAK:
	case DNS_SHAPE_TRAILER:
		return hinted ? PROBE_YES : PROBE_NO;
	}
	return PROBE_NO;
}

/* ---- numbers to names ---- */

static void tell_type(struct record *r, const struct fact *f, uint16_t type)
{
	static const char *const low[] = {
		[1] = "A", [2] = "NS", [3] = "MD", [4] = "MF", [5] = "CNAME", [6] = "SOA", [7] = "MB", [8] = "MG", [9] = "MR", [10] = "NULL",
		[11] = "WKS", [12] = "PTR", [13] = "HINFO", [14] = "MINFO", [15] = "MX", [16] = "TXT", [17] = "RP", [18] = "AFSDB", [19] = "X25",
		[20] = "ISDN", [21] = "RT", [22] = "NSAP", [23] = "NSAP-PTR", [24] = "SIG", [25] = "KEY", [26] = "PX", [27] = "GPOS", [28] = "AAAA",
		[29] = "LOC", [30] = "NXT", [33] = "SRV", [35] = "NAPTR", [36] = "KX", [37] = "CERT", [38] = "A6", [39] = "DNAME", [41] = "OPT",
		[42] = "APL", [43] = "DS", [44] = "SSHFP", [45] = "IPSECKEY", [46] = "RRSIG", [47] = "NSEC", [48] = "DNSKEY", [49] = "DHCID",
		[50] = "NSEC3", [51] = "NSEC3PARAM", [52] = "TLSA", [53] = "SMIMEA", [55] = "HIP", [59] = "CDS", [60] = "CDNSKEY", [61] = "OPENPGPKEY",
		[62] = "CSYNC", [63] = "ZONEMD", [64] = "SVCB", [65] = "HTTPS", [99] = "SPF", [108] = "EUI48", [109] = "EUI64",
	};
	static const struct { uint16_t type; const char *name; } high[] = {
		{ 249, "TKEY" }, { 250, "TSIG" }, { 251, "IXFR" }, { 252, "AXFR" }, { 253, "MAILB" }, { 254, "MAILA" }, { 255, "ANY" },
		{ 256, "URI" }, { 257, "CAA" }, { 32769, "DLV" },
	};

	if (type < sizeof(low) / sizeof(low[0]) && low[type]) {
		rec_cstr(r, f, low[type]);
		return;
	}
	for (unsigned i = 0; i < sizeof(high) / sizeof(high[0]); i++)
		if (high[i].type == type) {
			rec_cstr(r, f, high[i].name);
			return;
		}
	rec_printf(r, f, "TYPE%u", type);	/* RFC 3597 */
}

static void tell_rcode(struct record *r, unsigned rcode)
{
	static const char *const names[] = {
		"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE",
		"DSOTYPENI", NULL, NULL, NULL, NULL, "BADVERS", "BADKEY", "BADTIME", "BADMODE", "BADNAME", "BADALG", "BADTRUNC", "BADCOOKIE",
	};

	if (rcode < sizeof(names) / sizeof(names[0]) && names[rcode])
		rec_cstr(r, &f_rcode, names[rcode]);
	else
		rec_printf(r, &f_rcode, "%u", rcode);
}

/* ---- rdata ---- */

struct text {
	size_t n;
	char s[RECORD_STR_MAX + 1];	/* one more than is kept, so that a cut shows */
};

__attribute__((format(printf, 2, 3)))
static void text_add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->s + t->n, sizeof(t->s) - t->n, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->n = (size_t)n < sizeof(t->s) - t->n ? t->n + (size_t)n : sizeof(t->s) - 1;
}

static void text_bytes(struct text *t, struct bytes b)
{
	size_t n = b.n < sizeof(t->s) - t->n ? b.n : sizeof(t->s) - t->n;

	if (n)
		memcpy(t->s + t->n, b.p, n);
	t->n += n;
}

static void tell_hex(struct record *r, const struct fact *f, struct cursor d)
{
	char hex[HEX_MAX * 2 + 4];
	size_t n = cur_left(&d) < HEX_MAX ? cur_left(&d) : HEX_MAX, at = 0;

	for (size_t i = 0; i < n; i++, at += 2)
		snprintf(hex + at, 3, "%02x", cur_u8(&d));
	if (cur_left(&d)) {
		memcpy(hex + at, "...", 3);
		at += 3;
	}
	rec_str(r, f, hex, at);
}

static struct addr addr_next(struct cursor *d, bool v6)
{
	const uint8_t *p = cur_take(d, v6 ? 16 : 4);

	return !p ? (struct addr){ { 0 } } : v6 ? addr_v6(p) : addr_v4(p);
}

/* v6: an IPv4-mapped address in an AAAA record is told in its own form like any other. */
static bool tell_addr(struct record *r, struct cursor *d, bool v6)
{
	struct addr a = addr_next(d, v6);
	char s[ADDR_STRLEN];

	if (!cur_ok(d) || cur_left(d))
		return false;
	rec_cstr(r, &f_rdata, addr_format(&a, s));
	return true;
}

static bool tell_name(struct record *r, struct dns_msg *m, struct cursor *d, const struct fact *f)
{
	struct dns_name name;

	if (!dns_name_read(m, d, &name))
		return false;
	rec_str(r, f, name.s, name.n);
	return true;
}

/* The strings of a TXT record one after the other, as SPF and DKIM read them. */
static bool tell_txt(struct record *r, struct cursor *d)
{
	struct text t = { 0 };

	while (cur_more(d))
		text_bytes(&t, cur_bytes(d, cur_u8(d)));
	rec_str(r, &f_rdata, t.s, t.n);
	return cur_ok(d);
}

static bool tell_soa(struct record *r, struct dns_msg *m, struct cursor *d)
{
	static const struct fact *const numbers[] = { &f_serial, &f_refresh, &f_retry, &f_expire, &f_minimum };
	bool ok;

	rec_obj(r, &f_soa);
	ok = tell_name(r, m, d, &f_mname) && tell_name(r, m, d, &f_rname);
	ok = ok && cur_need(d, 20);
	for (unsigned i = 0; ok && i < 5; i++)
		rec_u64(r, numbers[i], cur_be32(d));
	rec_end(r);
	return ok;
}

static bool tell_srv(struct record *r, struct dns_msg *m, struct cursor *d)
{
	bool ok;

	if (!cur_need(d, 6))
		return false;
	rec_obj(r, &f_srv);
	rec_u64(r, &f_priority, cur_be16(d));
	rec_u64(r, &f_weight, cur_be16(d));
	rec_u64(r, &f_port, cur_be16(d));
	ok = tell_name(r, m, d, &f_name);
	rec_end(r);
	return ok;
}

static bool tell_sshfp(struct record *r, struct cursor *d)
{
	if (!cur_need(d, 2))
		return false;
	rec_obj(r, &f_sshfp);
	rec_u64(r, &f_algo, cur_u8(d));
	rec_u64(r, &f_fptype, cur_u8(d));
	tell_hex(r, &f_fingerprint, *d);
	rec_end(r);
	return true;
}

static bool tell_caa(struct record *r, struct cursor *d)
{
	struct text t = { 0 };

	text_add(&t, "%u ", cur_u8(d));
	text_bytes(&t, cur_bytes(d, cur_u8(d)));
	text_add(&t, " \"");
	text_bytes(&t, cur_rest(d));
	text_add(&t, "\"");
	if (cur_ok(d))
		rec_str(r, &f_rdata, t.s, t.n);
	return cur_ok(d);
}

static void svcb_addrs(struct text *t, const char *key, struct cursor v, bool v6)
{
	const char *sep = "";
	char s[ADDR_STRLEN];

	text_add(t, " %s=", key);
	while (cur_left(&v) >= (v6 ? 16u : 4u)) {
		struct addr a = addr_next(&v, v6);

		text_add(t, "%s%s", sep, addr_format(&a, s));
		sep = ",";
	}
}

/* RFC 9460: priority, target, then parameters as key=value. */
static bool tell_svcb(struct record *r, struct dns_msg *m, struct cursor *d)
{
	struct text t = { 0 };
	struct dns_name target;

	text_add(&t, "%u ", cur_be16(d));
	if (!dns_name_read(m, d, &target))
		return false;
	text_bytes(&t, (struct bytes){ (const uint8_t *)target.s, target.n });
	while (cur_more(d)) {
		uint16_t key = cur_be16(d);
		struct cursor v = cur_sub(d, cur_be16(d));
		const char *sep = "";

		if (key == 1) {
			for (text_add(&t, " alpn="); cur_more(&v); sep = ",") {
				text_add(&t, "%s", sep);
				text_bytes(&t, cur_bytes(&v, cur_u8(&v)));
			}
		} else if (key == 3) {
			text_add(&t, " port=%u", cur_be16(&v));
		} else if (key == 4 || key == 6) {
			svcb_addrs(&t, key == 4 ? "ipv4hint" : "ipv6hint", v, key == 6);
		} else if (key == 5) {
			text_add(&t, " ech");
		} else {
			text_add(&t, " key%u", key);
		}
	}
	rec_str(r, &f_rdata, t.s, t.n);
	return cur_ok(d);
}

static bool tell_rdata(struct record *r, struct dns_msg *m, const struct dns_rr *rr)
{
	struct cursor d = rr->rdata;

	switch (rr->type) {
	case DNS_T_A:
	case DNS_T_AAAA:
		return tell_addr(r, &d, rr->type == DNS_T_AAAA);
	case DNS_T_NS:
	case DNS_T_CNAME:
	case DNS_T_PTR:
	case DNS_T_DNAME:
		return tell_name(r, m, &d, &f_rdata);
	case DNS_T_MX:		/* Suricata tells the exchange only */
		return cur_skip(&d, 2) && tell_name(r, m, &d, &f_rdata);
	case DNS_T_TXT:
	case DNS_T_SPF:
		return tell_txt(r, &d);
	case DNS_T_SOA:
		return tell_soa(r, m, &d);
	case DNS_T_SRV:
		return tell_srv(r, m, &d);
	case DNS_T_SSHFP:
		return tell_sshfp(r, &d);
	case DNS_T_CAA:
		return tell_caa(r, &d);
	case DNS_T_SVCB:
	case DNS_T_HTTPS:
		return tell_svcb(r, m, &d);
	default:
		if (cur_left(&d))
			tell_hex(r, &f_rdata, d);
		return true;
	}
}

/* ---- telling ---- */

static enum app app_by_port(const struct px *px)
{
	uint16_t from = px_port(px, DIR_TOSERVER), to = px_port(px, DIR_TOCLIENT);

	if (to == 5353 || (from == 5353 && to != 53))
		return APP_MDNS;
	return to == 5355 || (from == 5355 && to != 53) ? APP_LLMNR : APP_DNS;
}

/* Walks all records once: false when they are malformed or cut. *rcode gets the upper bits that an OPT record carries. */
static bool records_check(const struct dns_msg *m, struct cursor in, unsigned *rcode)
{
	struct dns_rr rr;

	for (unsigned left = (unsigned)m->count[1] + m->count[2] + m->count[3]; left; left--) {
		if (!dns_rr_next(m, &in, &rr))
			return false;
		if (rr.type == DNS_T_OPT)
			*rcode |= rr.ttl >> 24 << 4;
	}
	return true;
}

/* A list of records; what is past a full record or a broken rdata is stepped over. */
static bool tell_records(struct record *r, struct dns_msg *m, struct cursor *in, const struct fact *list, unsigned count)
{
	bool good = true;
	struct dns_rr rr;

	if (!count)
		return true;
	rec_arr(r, list);
	while (count-- && dns_rr_next(m, in, &rr)) {
		struct dns_name owner;

		if (r->full || !dns_name_read(m, &rr.owner, &owner)) {
			good = good && r->full;
			continue;
		}
		rec_obj(r, NULL);
		rec_str(r, &f_owner, owner.s, owner.n);
		tell_type(r, &f_rtype, rr.type);
		rec_u64(r, &f_ttl, rr.ttl);
		good &= tell_rdata(r, m, &rr);
		rec_end(r);
	}
	rec_end(r);
	return good;
}

static void tell_head(struct record *r, const struct dns_msg *m)
{
	bool response = m->flags & DNS_QR;

	rec_cstr(r, &f_type, response ? "answer" : "query");
	rec_u64(r, &f_id, m->id);
	if (response) {
		rec_printf(r, &f_flags, "%x", m->flags);
		rec_bool(r, &f_qr, true);
		if (m->flags & DNS_AA)
			rec_bool(r, &f_aa, true);
		if (m->flags & DNS_TC)
			rec_bool(r, &f_tc, true);
		if (m->flags & DNS_RD)
			rec_bool(r, &f_rd, true);
		if (m->flags & DNS_RA)
			rec_bool(r, &f_ra, true);
	}
	rec_u64(r, &f_opcode, dns_opcode(m));
}

/* A number for the one question of a message, byte for byte (its capitals too), > 0; 0: there is none, or more than one. Who can make
 * another question with the same number and answer it with the right id can as well answer the one that was asked. */
static uint32_t question_of(const struct dns_msg *m, struct cursor in)
{
	struct cursor c = in;
	uint64_t h = 0;

	if (m->count[0] != 1 || !dns_name_skip(m, &in) || !cur_skip(&in, 4))
		return 0;
	for (size_t n = cur_left(&c) - cur_left(&in); n; n--)
		h = hash_mix64(h ^ cur_u8(&c)) + 1;
	return (uint32_t)h | 1;
}

static unsigned tx_open(struct dns *s, uint16_t id, enum dir dir, uint32_t question)
{
	unsigned at = s->opened++ % OPEN_MAX;

	s->open[at].id = id;
	s->open[at].dir = (uint8_t)dir;
	s->open[at].waits = true;
	s->open[at].question = question;
	s->open[at].tx = s->next_tx++;
	return at;
}

/* The transaction of an answer. *asked: to that very question. One to another question, which its asker will not take, leaves the query open. */
static uint32_t tx_close(struct dns *s, uint16_t id, enum dir dir, uint32_t question, bool *asked)
{
	unsigned by_id = OPEN_MAX;

	*asked = false;
	for (unsigned i = 0; i < OPEN_MAX && !*asked; i++)
		if (s->open[i].waits && s->open[i].id == id && s->open[i].dir != dir) {
			*asked = question && s->open[i].question == question;
			by_id = by_id == OPEN_MAX || *asked ? i : by_id;
		}
	if (by_id == OPEN_MAX)
		return s->next_tx++;
	s->open[by_id].waits = !*asked && question && s->open[by_id].question;
	return s->open[by_id].tx;
}

/* A question that cannot be read may ask for any name. */
static bool unread(struct px *px)
{
	struct record *r = px_record(px);

	rec_partial(r);
	px_judge(px, r);
	return false;
}

/* Each name that is asked for is judged; false when a question is broken. */
static bool tell_query(struct px *px, struct dns *s, struct dns_msg *m, struct cursor *in, enum dir dir)
{
	unsigned open = tx_open(s, m->id, dir, question_of(m, *in));
	uint32_t tx = s->open[open].tx;
	struct record *r;
	struct dns_name name;

	for (unsigned i = 0; i < m->count[0]; i++) {
		uint16_t type;

		if (!dns_name_read(m, in, &name))
			return unread(px);
		type = cur_be16(in);
		if (!cur_skip(in, 2))
			return unread(px);
		r = px_record(px);
		tell_head(r, m);
		rec_str(r, &f_rrname, name.s, name.n);
		tell_type(r, &f_rrtype, type);
		px_judge(px, r);
		if (i < QUESTIONS_TOLD)
			px_emit(px, EV_DNS, tx, r);
		else if (i == QUESTIONS_TOLD)
			px_bad(px, "dns.many_questions");
	}
	if (!m->count[0]) {
		r = px_record(px);
		tell_head(r, m);
		px_judge(px, r);
		px_emit(px, EV_DNS, tx, r);
	}
	if (px_refused(px))
		s->open[open].question = 0;
	return true;
}

/* rrname and rrtype of an answer are the question's; mDNS leaves it out: then the first record's. */
static bool tell_subject(struct record *r, struct dns_msg *m, struct cursor *in)
{
	struct cursor ahead = *in;
	struct dns_name name;
	uint16_t type;

	if (!m->count[0] && !m->count[1])
		return true;
	if (!dns_name_read(m, &ahead, &name))
		return false;
	type = cur_be16(&ahead);
	if (!cur_skip(&ahead, 2))
		return false;
	rec_str(r, &f_rrname, name.s, name.n);
	tell_type(r, &f_rrtype, type);
	for (unsigned i = 0; i < m->count[0]; i++)
		if (!dns_name_skip(m, in) || !cur_skip(in, 4))
			return false;
	return true;
}

static bool tell_answer(struct px *px, struct dns *s, struct dns_msg *m, struct cursor *in, enum dir dir)
{
	struct record *r = px_record(px);
	unsigned rcode = m->flags & 15;
	uint32_t question = question_of(m, *in), tx;
	struct cursor records = *in, first = *in;
	bool subject, good, asked;

	tell_head(r, m);
	subject = tell_subject(r, m, in);
	records = *in;
	good = subject && records_check(m, *in, &rcode);
	tell_rcode(r, rcode);
	/* of broken lists what comes before the break is told: it is what a lenient resolver would take */
	if (subject) {
		good &= tell_records(r, m, in, &f_answers, m->count[1]);
		good &= tell_records(r, m, in, &f_authorities, m->count[2]);
	}
	tx = tx_close(s, m->id, dir, question, &asked);
	if (good && !rcode && !(m->flags & DNS_TC) && !dns_opcode(m) && app_by_port(px) == APP_DNS)
		dns_names(px, m, first, records, asked, dir == DIR_TOSERVER ? DIR_TOCLIENT : DIR_TOSERVER);
	px_emit(px, EV_DNS, tx, r);
	return good;
}

static void message(struct px *px, struct dns *s, enum dir dir, struct cursor in)
{
	struct dns_msg m;
	unsigned rcode = 0;

	if (!dns_header(&in, &m))
		px_bad(px, "dns.short_header");
	else if (m.flags & DNS_QR ? !tell_answer(px, s, &m, &in, dir) : !tell_query(px, s, &m, &in, dir))
		px_bad(px, "dns.malformed");
	else if (!(m.flags & DNS_QR) && !records_check(&m, in, &rcode))
		px_bad(px, "dns.malformed");
}

void dns_within(struct px *px, enum dir dir, uint32_t tx, struct cursor in)
{
	struct dns s = { .next_tx = tx };

	message(px, &s, dir, in);
}

static void name_app(struct px *px, struct dns *s)
{
	if (s->named)
		return;
	s->named = true;
	if (app_by_port(px) != APP_DNS)
		px_set_app(px, app_by_port(px));
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct dns *s = state;

	name_app(px, s);
	if (px_l4(px) == PROTO_UDP) {
		message(px, s, dir, *in);
		cur_rest(in);
		return PARSE_DONE;
	}
	while (cur_more(in)) {
		if (!s->framed[dir]) {
			if (cur_left(in) < 2) {
				px_need(px, 2);
				return PARSE_MORE;
			}
			s->frame[dir] = cur_be16(in);
			s->framed[dir] = true;
			if (s->frame[dir] < DNS_HEADER) {
				px_bad(px, "dns.short_frame");
				return PARSE_BAD;
			}
		}
		/* the length is consumed and remembered: the longest message alone is just what may be kept */
		if (cur_left(in) < s->frame[dir]) {
			px_need(px, s->frame[dir]);
			return PARSE_MORE;
		}
		s->framed[dir] = false;
		message(px, s, dir, cur_sub(in, s->frame[dir]));
	}
	return PARSE_DONE;
}

static const uint16_t ports[] = { 53, 5353, 5355, 0 };

const struct proto proto_dns = {
	.name = "dns",
	.app = APP_DNS,
	.event = EV_DNS,
	.l4 = PROTO_TCP | PROTO_UDP,
	.ports = ports,
	.state_size = sizeof(struct dns),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
