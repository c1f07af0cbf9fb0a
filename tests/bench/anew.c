/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bench-anew [FLOWS]: what it costs to judge open flows by another policy (dpi_judge_anew): all that are in the table, none of which shows a packet. Printed are the
 * time of the whole walk, of one flow, and of the longest call; in calls of 32 flows, as a worker makes them. Times are the thread's own, not the clock's.
 *
 * Half of the flows are IPv6's. The policy has 1,000 rules by ports, and the last one is the one that holds; once none is refused, once every tenth, which the caller is
 * told of (he does nothing here). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dpi/dpi.h"

#define CALL 32u
#define RULES 1000u

static uint64_t told;

static int64_t cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool on_refused(void *ctx, const struct dpi_refused *r)
{
	(void)ctx;
	(void)r;
	told++;
	return true;
}

static void on_ends(void *ctx, const struct frame *f, const struct tuple *t, struct dpi_ends *out)
{
	static const struct group_set mine;

	(void)ctx;
	(void)f;
	(void)t;
	out->workload[1] = 1;
	out->groups[1] = &mine;
}

static struct policy *policy(enum verdict tenth)
{
	struct policy_builder *b = policy_begin(MODE_PROTECT);
	uint16_t any = POLICY_GROUP_ANY;
	struct err err;

	for (unsigned i = 0; i <= RULES; i++) {
		struct port_range port = { .lo = (uint16_t)(10000 + i), .hi = (uint16_t)(10000 + i) };
		struct rule_spec r = { .id = i + 1, .from = &any, .to = &any, .nfrom = 1, .nto = 1, .ports = &port, .nports = i < RULES, .action = i == 0 ? tenth : VERDICT_ALLOW, .mode = RULE_MODE_NONE };

		if (policy_add_rule(b, &r, &err)) {
			fprintf(stderr, "%s\n", err.text);
			exit(1);
		}
	}
	return policy_build(b);
}

/* A SYN of flow i; every tenth goes to port 10000. */
static void syn(struct dpi *d, uint32_t i, int64_t ts)
{
	uint8_t p[60] = { 0 }, *tcp;
	struct frame f = { .ts = ts, .data = p, .link = LINK_RAW, .flags = FRAME_CSUM_VALID, .path = 1, .held = true, .view = 2 };
	uint16_t port = i % 10 ? 20000 : 10000;

	if (i & 1) {
		p[0] = 0x60;
		p[5] = 20;
		p[6] = 6;
		p[7] = 64;
		p[8] = p[24] = 0xfd;
		p[39] = 1;
		memcpy(p + 20, &i, 4);
		tcp = p + 40;
	} else {
		p[0] = 0x45;
		p[3] = 40;
		p[8] = 64;
		p[9] = 6;
		p[12] = p[16] = 10;
		p[19] = 1;
		memcpy(p + 13, &i, 3);
		tcp = p + 20;
	}
	tcp[0] = (uint8_t)(32 + (i >> 24));
	tcp[2] = (uint8_t)(port >> 8);
	tcp[3] = (uint8_t)port;
	tcp[12] = 0x50;
	tcp[13] = 2;
	tcp[14] = 0xff;
	f.caplen = f.wirelen = (uint32_t)(tcp + 20 - p);
	dpi_inspect(d, &f);
}

int main(int argc, char **argv)
{
	uint32_t flows = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
	const struct dpi_conf conf = { .max_flows = flows + 64, .memcap = (uint64_t)flows * 768 + (64u << 20), .key = { { 1, 2 } } };
	const struct dpi_ops ops = { .ends = on_ends, .refused = on_refused };
	struct err err = { "" };
	struct dpi *d = dpi_new(&conf, &ops, &err);
	int64_t ts = INT64_C(1767323045000000000);

	if (!d) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	for (uint32_t i = 0; i < flows; i++)
		syn(d, i, ts += 1000);
	for (int refused = 0; refused < 2; refused++) {
		struct policy *p = policy(refused ? VERDICT_DENY : VERDICT_ALLOW);
		int64_t began, longest = 0, last, now;
		bool more = true;

		dpi_set_policy(d, p);
		policy_unref(p);
		for (began = last = cpu_now(); more; last = now) {
			more = dpi_judge_anew(d, CALL);
			now = cpu_now();
			if (now - last > longest)
				longest = now - last;
		}
		printf("%u flows, %llu told: %.1f ms in all, %.0f ns a flow, the longest call %.0f us\n", flows, (unsigned long long)told, (double)(last - began) / 1e6,
		       (double)(last - began) / flows, (double)longest / 1e3);
	}
	dpi_free(d);
	return 0;
}
