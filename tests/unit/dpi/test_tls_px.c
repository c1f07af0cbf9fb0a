/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The TLS parser alone, against a core of this file's own: when it judges, what it keeps and for how long, what it skips, and what
 * becomes of it when memory is refused. tls.c is compiled in here once more, with the core's functions renamed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define px_record tls_alone_record
#define px_judge tls_alone_judge
#define px_judge_part tls_alone_judge_part
#define px_emit tls_alone_emit
#define px_save tls_alone_save
#define px_saved_free tls_alone_saved_free
#define px_alloc tls_alone_alloc
#define px_release tls_alone_release
#define px_need tls_alone_need
#define px_bad tls_alone_bad
#define px_skip tls_alone_skip
#define px_stop tls_alone_stop
#define px_unfinished tls_alone_unfinished
#define px_lost tls_alone_lost
#define proto_tls tls_alone_proto
#include "dpi/proto/tls.c"

#include "tests/unit/dpi/tls_vectors.h"
#include "tests/unit/dpi/tlsbuild.h"
#include "tests/unit/unit.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

struct px {
	struct tls state;
	struct record r;
	uint64_t skip[2];
	size_t need;
	enum parse result;
	unsigned told, judged, judged_sni, judged_version, judged_issuer;
	unsigned refuse_from;		/* requests for memory from this one on are refused; 0: none */
	unsigned requests, pieces, calls;
	size_t used, used_max, asked;	/* bytes of px_alloc: now, at most, in all */
	bool stopped, bad, lost;
	char sni[64];			/* at the first judgement */
};

struct record *px_record(struct px *px)
{
	rec_reset(&px->r);
	return &px->r;
}

static bool has(const struct record *r, enum fact_role role) { return rec_find(r->body, r->len, role).p != NULL; }

void px_judge(struct px *px, const struct record *r)
{
	struct bytes sni = rec_find(r->body, r->len, FACT_TLS_SNI);

	if (!px->judged++ && sni.n < sizeof(px->sni) && sni.n)
		memcpy(px->sni, sni.p, sni.n);
	px->judged_sni += sni.p != NULL;
	px->judged_version += has(r, FACT_TLS_VERSION);
	px->judged_issuer += has(r, FACT_TLS_ISSUER);
}

void px_judge_part(struct px *px, const struct record *r, uint32_t later)
{
	/* a fact that may come later is not there yet */
	for (unsigned role = 0; role < FACT_ROLE_COUNT; role++)
		if (later & ROLE_BIT(role))
			CU_ASSERT_FALSE(has(r, (enum fact_role)role));
	px_judge(px, r);
}

void px_emit(struct px *px, enum event_type type, uint32_t tx, const struct record *r)
{
	CU_ASSERT_EQUAL(type, EV_TLS);
	CU_ASSERT_EQUAL(tx, UINT32_MAX);
	CU_ASSERT_PTR_EQUAL(r, &px->r);
	px->told++;
}

static bool is_refused(struct px *px)
{
	px->requests++;
	return px->refuse_from && px->requests >= px->refuse_from;
}

struct saved *px_save(struct px *px, const struct record *r)
{
	struct saved *s = is_refused(px) ? NULL : malloc(sizeof(*s) + r->len);

	if (!s)
		return NULL;
	s->len = r->len;
	memcpy(s->body, r->body, r->len);
	px->pieces++;
	return s;
}

void px_saved_free(struct px *px, struct saved *s)
{
	px->pieces -= s != NULL;
	free(s);
}

void *px_alloc(struct px *px, size_t n)
{
	CU_ASSERT(n && n <= MEM_PIECE_MAX);
	if (is_refused(px))
		return NULL;
	px->pieces++;
	px->asked += n;
	px->used += n;
	if (px->used > px->used_max)
		px->used_max = px->used;
	return calloc(1, n);
}

void px_release(struct px *px, void *p, size_t n)
{
	px->pieces -= p != NULL;
	px->used -= n;
	free(p);
}

void px_need(struct px *px, size_t n) { px->need = n; }
void px_stop(struct px *px) { px->stopped = true; }
void px_lost(struct px *px) { px->lost = px->stopped = true; }
void px_unfinished(struct px *px, uint32_t n) { (void)px; (void)n; }

void px_skip(struct px *px, enum dir dir, uint64_t n)
{
	px->skip[dir] = n;
}

void px_bad(struct px *px, const char *event)
{
	CU_ASSERT(strncmp(event, "tls.", 4) == 0);
	px->bad = true;
}

/* Bytes of one direction in pieces of `cut`; as the core does it: not called before what was asked for is there. */
static void say(struct px *px, enum dir dir, const uint8_t *p, size_t n, size_t cut)
{
	size_t from = 0, have = 0, need = 0;

	while (have < n && px->result != PARSE_BAD && !px->stopped) {
		uint64_t jump;
		struct cursor c;

		have += n - have < cut ? n - have : cut;
		jump = px->skip[dir] < have - from ? px->skip[dir] : have - from;
		from += (size_t)jump;
		px->skip[dir] -= jump;
		if (from == have || have - from < need)
			continue;
		c = cur_of(p + from, have - from);
		px->calls++;
		px->result = tls_alone_proto.parse(px, &px->state, dir, &c);
		from += cur_used(&c);
		need = 0;
		if (px->result == PARSE_MORE) {
			CU_ASSERT(px->need > have - from && px->need <= PROTO_KEEP_MAX);
			need = px->need;
		} else if (px->result == PARSE_DONE) {
			CU_ASSERT_EQUAL(from, have);
		}
	}
}

static struct px *px_new(void)
{
	struct px *px = calloc(1, sizeof(*px));

	CU_ASSERT_PTR_NOT_NULL_FATAL(px);
	return px;
}

/* Ends the flow: nothing may be left. */
static void px_end(struct px *px)
{
	tls_alone_proto.end(px, &px->state);
	CU_ASSERT_EQUAL(px->pieces, 0);
	CU_ASSERT_EQUAL(px->used, 0);
	free(px);
}

static void say_all(struct px *px, const struct flowtest_step *steps, unsigned n, size_t cut)
{
	for (unsigned i = 0; i < n && !px->stopped; i++)
		say(px, steps[i].dir, steps[i].p, steps[i].n, cut);
}

static void judgements(void)
{
	static const size_t cuts[] = { 1, 7, 100, SIZE_MAX };

	for (unsigned i = 0; i < COUNT(cuts); i++) {
		struct px *px = px_new();

		say(px, DIR_TOSERVER, tls12_0, sizeof(tls12_0) - 1, cuts[i]);
		CU_ASSERT_EQUAL(px->judged, 0);		/* not before the last byte */
		px_end(px);

		px = px_new();
		say(px, DIR_TOSERVER, tls12_0, sizeof(tls12_0), cuts[i]);
		CU_ASSERT(px->judged == 1 && px->judged_sni == 1 && !px->judged_version && !px->told);
		CU_ASSERT_STRING_EQUAL(px->sni, "secure.example");
		say(px, DIR_TOCLIENT, tls12_1, sizeof(tls12_1), cuts[i]);
		CU_ASSERT(px->judged == 3 && px->judged_sni == 3 && px->judged_version == 2 && px->judged_issuer == 1);
		CU_ASSERT(px->told == 1 && px->stopped);
		px_end(px);
	}
}

/* Nothing is told twice, also where the end comes after the event. */
static void once(void)
{
	struct px *px = px_new();

	say_all(px, tls13_retry, COUNT(tls13_retry), SIZE_MAX);
	CU_ASSERT(px->told == 1 && px->stopped && !px->bad);
	CU_ASSERT_EQUAL(px->judged, 3);			/* both ClientHellos, the answer */
	tls_alone_proto.end(px, &px->state);
	CU_ASSERT_EQUAL(px->told, 1);
	px_end(px);
}

/* Each request for memory refused, and all after it: no crash, nothing left, and what is known is told once. */
static void refusals(void)
{
	static const size_t cuts[] = { 1, SIZE_MAX };
	static struct tlsbuf hs, rec;
	static const uint16_t ciphers[] = { 0x1301 };

	for (unsigned i = 0; i < COUNT(cuts); i++)
		for (unsigned at = 1; at < 16; at++) {
			struct px *px = px_new();

			px->refuse_from = at;
			say_all(px, tls12, COUNT(tls12), cuts[i]);
			CU_ASSERT_EQUAL(px->told, 1);
			px_end(px);

			px = px_new();
			px->refuse_from = at;
			tb_close(&rec, tb_client(&rec, TLS_1_2, ciphers, 1), 2);
			hs.n = 0;
			tb_message(&hs, 1, &rec);
			rec.n = 0;
			tb_records(&rec, TLS_1_0, &hs, 1);
			say(px, DIR_TOSERVER, rec.b, rec.n, cuts[i]);
			CU_ASSERT_EQUAL(px->stopped, at == 1);	/* no room for the message: it is judged as what cannot be read */
			CU_ASSERT_EQUAL(px->lost, at == 1);
			px_end(px);
		}
}

/* Memory follows what has come, not what is announced; what is copied in all stays within twice the message. */
static void growth(void)
{
	static struct tlsbuf body, hs, rec;
	static const uint16_t ciphers[] = { 0x1301 };
	struct px *px = px_new();
	size_t ext;

	say(px, DIR_TOSERVER, (const uint8_t *)"\x16\3\1\0\x10\1\0\xff\xf0\3\3..........", 21, SIZE_MAX);
	CU_ASSERT(px->used_max > 0 && px->used_max <= 256);
	px_end(px);

	ext = tb_client(&body, TLS_1_2, ciphers, 1);
	tb_ext(&body, 21, memset(hs.b, 0, 60000), 60000);
	tb_close(&body, ext, 2);
	hs.n = rec.n = 0;
	tb_message(&hs, 1, &body);
	tb_records(&rec, TLS_1_0, &hs, 3000);
	px = px_new();
	say(px, DIR_TOSERVER, rec.b, rec.n, SIZE_MAX);
	CU_ASSERT_EQUAL(px->judged, 1);
	CU_ASSERT(px->asked <= 2 * 65536 && px->used_max <= 65536 + 32768);
	CU_ASSERT_EQUAL(px->used, 0);		/* kept only while it is needed */
	CU_ASSERT_EQUAL(px->calls, 1);
	px_end(px);
}

/* What is not read is not kept either. */
static void skipped(void)
{
	static struct tlsbuf b;
	struct px *px = px_new();

	b.n = 0;
	tb_bytes(&b, tls12_0, sizeof(tls12_0));
	tb_bytes(&b, "\x17\3\3\x40\0....", 9);
	say(px, DIR_TOSERVER, b.b, b.n, SIZE_MAX);
	CU_ASSERT_EQUAL(px->skip[DIR_TOSERVER], 16384 - 4);
	CU_ASSERT_EQUAL(px->result, PARSE_DONE);
	CU_ASSERT_EQUAL(px->used_max, 0);	/* a hello in one record is read where it lies */
	tls_alone_proto.gap(px, &px->state, DIR_TOSERVER, 20000);
	CU_ASSERT_EQUAL(px->skip[DIR_TOSERVER], UINT64_MAX);
	CU_ASSERT_FALSE(px->stopped);
	tls_alone_proto.gap(px, &px->state, DIR_TOCLIENT, 1);
	CU_ASSERT_TRUE(px->stopped);
	px_end(px);
}

/* Begun in the middle: it is TLS, nothing is told, nothing more is wanted. */
static void middle(void)
{
	static const char *const firsts[] = { "\x17\3\3\0\x14", "\x14\3\3\0\1", "\x15\3\3\0\2\2\x28", "\x18\3\3\0\3" };

	for (unsigned i = 0; i < COUNT(firsts); i++) {
		uint8_t b[32] = { 0 };
		struct px *px = px_new();

		memcpy(b, firsts[i], i == 2 ? 7 : 5);
		say(px, DIR_TOCLIENT, b, sizeof(b), SIZE_MAX);
		CU_ASSERT(px->stopped && !px->told && !px->bad && px->result == PARSE_DONE);
		tls_alone_proto.end(px, &px->state);
		CU_ASSERT_EQUAL(px->told, 0);
		px_end(px);
	}
	CU_ASSERT(sizeof(struct tls) <= 96);
}

/* All prefixes of all kinds of handshakes leave nothing behind. */
static void prefixes(void)
{
	static const struct {
		const struct flowtest_step *steps;
		unsigned n;
	} talks[] = { { tls13, COUNT(tls13) }, { tls12, COUNT(tls12) }, { tls12_ticket, COUNT(tls12_ticket) }, { refused, COUNT(refused) } };

	for (unsigned k = 0; k < COUNT(talks); k++)
		for (unsigned i = 0; i < talks[k].n; i++)
			for (size_t n = 0; n < talks[k].steps[i].n; n++) {
				struct px *px = px_new();

				say_all(px, talks[k].steps, i, SIZE_MAX);
				if (!px->stopped)
					say(px, talks[k].steps[i].dir, talks[k].steps[i].p, n, 13);
				tls_alone_proto.end(px, &px->state);
				CU_ASSERT(px->told <= 1 && !px->bad);
				px_end(px);
			}
}

const struct unit_test tests_tls_px[] = {
	{ "when it is judged", judgements },
	{ "told once", once },
	{ "memory refused", refusals },
	{ "memory follows the bytes", growth },
	{ "what is skipped", skipped },
	{ "begun in the middle", middle },
	{ "prefixes", prefixes },
	{ 0 },
};
