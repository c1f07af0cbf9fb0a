/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/l7.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

struct policy *l7_policy_limits(enum policy_mode mode, const struct l7_rule *rules, const struct policy_limits *limits)
{
	struct policy_builder *b = policy_begin(mode);
	uint16_t any = POLICY_GROUP_ANY;
	struct err e;

	for (unsigned n = 0; rules[n].action != VERDICT_PENDING; n++) {
		struct match_spec m[3];
		char text[3][256];
		const char *patterns[3][8];
		struct rule_spec r = { .id = n + 1, .from = &any, .to = &any, .nfrom = 1, .nto = 1, .match = m, .action = rules[n].action, .mode = RULE_MODE_NONE };

		for (unsigned c = 0; rules[n].matcher && c < 3 && rules[n].clauses[c]; c++) {
			char *value, *header, *save = NULL;
			int key = match_by_name(rules[n].matcher);

			snprintf(text[c], sizeof(text[c]), "%s", rules[n].clauses[c]);
			value = strchr(text[c], '=');
			*value++ = '\0';
			header = strchr(text[c], ':');
			if (header)
				*header++ = '\0';
			while (strcmp(match_keys[key].key, text[c]) != 0)
				key++;
			m[c] = (struct match_spec){ .key = (unsigned)key, .header = header, .patterns = patterns[c] };
			for (char *p = strtok_r(value, ",", &save); p; p = strtok_r(NULL, ",", &save))
				patterns[c][m[c].npatterns++] = p;
			r.nmatch++;
		}
		if (policy_add_rule(b, &r, &e))
			CU_FAIL("rule");
	}
	if (limits)
		policy_set_limits(b, limits);
	return policy_build(b);
}

struct policy *l7_policy(enum policy_mode mode, const struct l7_rule *rules) { return l7_policy_limits(mode, rules, NULL); }

void l7_open(struct core *c, struct policy *p, bool v6, bool held, uint32_t seq[2])
{
	const uint32_t isn = 1000, isn_down = 5000;
	const struct spec shake[] = {
		{ .v6 = v6, .held = held, .flags = TCP_SYN, .seq = isn },
		{ .v6 = v6, .held = held, .dir = DIR_TOCLIENT, .flags = TCP_SYN | TCP_ACK, .seq = isn_down, .ack = isn + 1 },
		{ .v6 = v6, .held = held, .flags = TCP_ACK, .seq = isn + 1, .ack = isn_down + 1 },
	};

	core_open(c, NULL);
	dpi_set_policy(c->d, p);
	policy_unref(p);
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(core_send(c, &shake[i]), VERDICT_ALLOW);
	seq[DIR_TOSERVER] = isn + 1;
	seq[DIR_TOCLIENT] = isn_down + 1;
}
