/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hold: a held connection under rules that ask for facts of every protocol they can, whose client's segments are cut, sent again, out of order, or bring an end, while time
 * passes, policies change and callers go. Asked: each held frame is answered once; no later segment of the client goes on while an earlier one waits; nothing of
 * the client's goes on once its connection was refused under the policy in force; nothing waits at the end, nor for longer than the policy says. */
#include <string.h>

#include "dpi/policy.h"
#include "tests/fuzz/fuzz.h"

#define LONGEST (300 * MS)	/* hold.time, and the steps in which time passes */

static struct {
	struct { bool waits, client; int64_t since; } frame[FRAMES_MAX + 4];	/* by token, from 1 */
	uint64_t n;
	int64_t now;
	bool refused;
} is;

static void decided(uint64_t token, enum verdict v)
{
	if (!is.frame[token].client)
		return;
	is.refused |= v == VERDICT_DENY;
	if (verdict_stops(v))
		return;
	if (is.refused)
		fuzz_disagree("frame %d goes on after a refusal", (int)token);
	for (uint64_t i = 1; i < token; i++)
		if (is.frame[i].waits)
			fuzz_disagree("frame %d overtakes frame %d, which waits", (int)token, (int)i);
}

void fuzz_late(const struct frame *f, struct answer a)
{
	if (!f->token || f->token > is.n || !is.frame[f->token].waits)
		fuzz_disagree("frame %d is answered, and did not wait", (int)f->token);
	is.frame[f->token].waits = false;
	decided(f->token, a.verdict);
}

/* One rule for each matcher, by its first key, and the rest is allowed; strict: refused, as everything is that no rule could allow. */
static struct policy *rules(bool strict)
{
	struct policy_builder *b = policy_begin(MODE_PROTECT);
	const uint16_t any = POLICY_GROUP_ANY;
	const char *pattern = strict ? "*e*" : "*a*";
	struct rule_spec r = { .from = &any, .to = &any, .nfrom = 1, .nto = 1, .action = strict ? VERDICT_ALLOW : VERDICT_DENY, .mode = RULE_MODE_NONE };
	struct err err;

	for (unsigned i = 0; match_keys[i].matcher; i++) {
		struct match_spec m = { .key = i, .patterns = &pattern, .npatterns = 1 };

		if (i && !strcmp(match_keys[i].matcher, match_keys[i - 1].matcher))
			continue;
		r.id++;
		r.match = &m;
		r.nmatch = 1;
		if (policy_add_rule(b, &r, &err))
			fuzz_disagree("%s", err.text);
	}
	r.id++;
	r.nmatch = 0;
	r.action = strict ? VERDICT_DENY : VERDICT_ALLOW;
	policy_add_rule(b, &r, &err);
	return policy_build(b);
}

static void load(struct dpi *d, unsigned which)
{
	struct policy *p = which & 3 ? rules(which & 1) : NULL;

	is.refused = false;
	dpi_set_policy(d, p);
	policy_unref(p);
}

static void give(struct dpi *d, struct segment *s, const uint8_t *p, size_t n)
{
	struct answer a;

	s->token = ++is.n;
	is.frame[is.n].client = !s->down && n;
	is.frame[is.n].since = is.now;
	is.frame[is.n].waits = false;
	a = fuzz_segment(d, is.now += MS, s, p, n);
	is.frame[is.n].waits = a.flags & ANSWER_LATER;
	if (!(a.flags & ANSWER_LATER))
		decided(is.n, a.verdict);
}

/* `then`: a tick's time before now. */
static void nothing_waits(int64_t then)
{
	for (uint64_t i = 1; i <= is.n; i++)
		if (is.frame[i].waits && is.frame[i].since < then)
			fuzz_disagree("frame %d waits since %lld ms", (int)i, (long long)((is.now - is.frame[i].since) / MS));
}

void fuzz_hold(struct dpi *d, struct cursor c)
{
	uint8_t how = cur_u8(&c), port = cur_u8(&c);
	static const uint16_t ports[] = { 80, 6379, 5432, 443, 9092, 27017, 3306, 1883 };
	struct segment s = { .sport = 40000, .dport = ports[port % 8], .flags = 2, .seq = 1000 };
	uint32_t next[2] = { 1001, 5001 };

	memset(&is, 0, sizeof(is));
	is.now = 1000 * 1000 * MS;
	load(d, how | 2);
	give(d, &s, NULL, 0);
	s.down = true;
	s.flags = 18;
	s.seq = 5000;
	s.ack = 1001;
	give(d, &s, NULL, 0);
	while (is.n < FRAMES_MAX && cur_left(&c) >= 2) {
		uint8_t op = cur_u8(&c), arg = cur_u8(&c);
		size_t n = arg < cur_left(&c) ? arg : cur_left(&c);

		switch (op & 7) {
		case 5:
			dpi_tick(d, is.now += arg * 2 * MS);
			nothing_waits(is.now - LONGEST);
			continue;
		case 6:
			load(d, arg);
			continue;
		case 7:
			dpi_release(d, arg & 1 ? d : NULL);
			if (!(arg & 1))
				nothing_waits(is.now + 1);
			continue;
		default:
			break;
		}
		s.down = (op & 7) == 4;
		s.flags = (uint8_t)(24 | (op & 32 ? 1 : 0) | (op & 64 ? 4 : 0));
		s.seq = next[s.down] - (op & 8 ? arg : 0) + (op & 16 ? 3 : 0);
		s.ack = next[!s.down];
		give(d, &s, cur_take(&c, n), n);
		if (!(op & 0x58))
			next[s.down] = s.seq + (uint32_t)n + !!(op & 32);
	}
	dpi_release(d, NULL);
	nothing_waits(is.now + 1);
}
