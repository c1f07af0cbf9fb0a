/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which rules a configuration enforces only after the fact. */
#include <stdio.h>
#include <string.h>

#include "agent/policy_file.h"
#include "tests/unit/agent/tmpdir.h"
#include "tests/unit/unit.h"

static struct config *config_of(const char *text)
{
	struct tmpdir dir;
	struct err e = { "" };
	struct config *c;

	tmpdir_make(&dir);
	c = config_load(tmpdir_write(&dir, "tapqueue.yaml", text, strlen(text)), NULL, 0, &e);
	tmpdir_remove(&dir);
	if (!c)
		printf("\n    %s\n", e.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	return c;
}

static void on_late(void *ctx, uint32_t rule, unsigned line, bool refuses)
{
	char *at = ctx, one[32];

	CU_ASSERT(line > 3);
	snprintf(one, sizeof one, "%s%u%s", at[0] ? " " : "", rule, refuses ? "!" : "");
	strcat(at, one);
}

/* The late rules of that policy, "20 30!": ! refuses by itself. */
static void late(const char *policy, const char *config, const char *want)
{
	struct err e = { "" };
	struct policy_file *pf = policy_file_parse(policy, "p.yaml", &e);
	struct config *c = config_of(config);
	char got[256] = "";

	if (!pf)
		printf("\n    %s\n", e.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pf);
	policy_file_late(pf, c, on_late, got);
	if (strcmp(got, want))
		printf("\n    late: %s, not %s, with\n%s", got, want, config);
	CU_ASSERT_STRING_EQUAL(got, want);
	policy_file_free(pf);
	config_free(c);
}

/* What rules leave to a refusal. */
static void test_rules(void)
{
#define TOP(mode) "version: 1\ndefault: {mode: " mode "}\nrules:\n"
#define APP(id, action) "  - {id: " id ", from: any, to: any, apps: [http], action: " action "}\n"
#define PORT(id, action) "  - {id: " id ", from: any, to: any, ports: tcp/80, action: " action "}\n"
#define ALL(id, action) "  - {id: " id ", from: any, to: any, action: " action "}\n"
	static const char tc[] = "mode: tc\n";

	late(TOP("protect") APP("10", "deny") ALL("90", "allow"), tc, "10!");
	late(TOP("protect") APP("10", "allow") ALL("90", "deny"), tc, "10");
	late(TOP("protect") APP("10", "allow"), tc, "10");			/* no rule: refused */
	late(TOP("protect") APP("10", "allow") ALL("90", "allow"), tc, "");	/* nothing is refused */
	late(TOP("protect") APP("10", "alert") PORT("20", "drop") ALL("90", "allow"), tc, "10");
	late(TOP("protect") PORT("20", "drop") APP("30", "allow") ALL("90", "allow"), tc, "");
	late(TOP("protect") ALL("5", "allow") APP("10", "deny"), tc, "");	/* never reached */
	late(TOP("monitor") APP("10", "deny") ALL("90", "deny"), tc, "");
	late(TOP("discover") "  - {id: 10, from: any, to: any, apps: [http], action: deny, mode: protect}\n", tc, "10!");
	late("version: 1\ngroups:\n  - {name: db, match: {workload: db}, mode: protect}\nrules:\n" APP("10", "deny"), tc, "10!");
	late(TOP("protect") "  - {id: 10, from: any, to: any, ports: tcp/80, http: {methods: GET}, action: allow}\n" ALL("90", "deny"), tc, "10");
}

/* Which flows only the mirror sees. */
static void test_paths(void)
{
#define TO_DB(ports) "version: 1\ndefault: {mode: protect}\ngroups:\n  - {name: db, match: {workload: \"db*\"}}\n  - {name: web, match: {workload: web, labels: {tier: front}}}\nrules:\n" \
	"  - {id: 10, from: any, to: db, ports: [" ports "], apps: [postgresql], action: allow}\n"
#define OVER(match, keys) "mode: mixed\nworkloads: {overrides: [{match: {" match "}, " keys "}]}\n"
	static const char rule[] = TO_DB("tcp/5432");
	static const char web[] = "version: 1\ndefault: {mode: protect}\ngroups:\n  - {name: web, match: {workload: web, labels: {tier: front}}}\nrules:\n"
		"  - {id: 10, from: web, to: any, ports: tcp/80, apps: [http], action: allow}\n";
	static const char all[] = TOP("protect") APP("10", "allow");

	late(rule, "mode: tc\n", "10");
	late(rule, "mode: nfq\nnfq: {apps: [tcp/8080]}\n", "");			/* what is not queued nobody sees */
	late(rule, "mode: mixed\nnfq: {apps: [tcp/8080]}\n", "10");
	late(rule, "mode: mixed\nnfq: {apps: [tcp/5432]}\n", "");
	late(rule, "mode: mixed\nnfq: {apps: [udp/5432]}\n", "10");
	late(rule, "mode: mixed\nnfq: {apps: [tcp/5432], side: server}\n", "");
	late(rule, "mode: mixed\nnfq: {apps: [tcp/5432], side: client}\n", "10");
	late(TO_DB("tcp/5432, tcp/5433"), "mode: mixed\nnfq: {apps: [tcp/5432]}\n", "10");
	late(TO_DB("tcp/5432-5433"), "mode: mixed\nnfq: {apps: [tcp/5432, tcp/5433]}\n", "");
	late(TO_DB("tcp/1-65535"), "mode: mixed\nnfq: {apps: all}\n", "");
	late(TO_DB("sctp/5432"), "mode: mixed\nnfq: {apps: all}\n", "10");
	late(all, "mode: mixed\nnfq: {apps: all}\n", "");
	late(all, "mode: mixed\nnfq: {apps: all, side: server}\n", "10");	/* what a workload begins */
	/* overrides: those that a group's workloads surely, perhaps, never meet */
	late(rule, OVER("workload: \"db*\"", "mode: nfq, apps: [tcp/5432]"), "");
	late(rule, OVER("workload: \"d*\"", "mode: nfq, apps: [tcp/5432], side: server"), "");
	late(rule, OVER("workload: \"db-1*\"", "mode: nfq, apps: [tcp/5432]"), "10");
	late(rule, OVER("workload: \"db?\"", "mode: nfq, apps: [tcp/5432]"), "10");
	late(rule, "mode: mixed\nnfq: {apps: [tcp/5432], side: server}\nworkloads: {overrides: [{match: {workload: \"web*\"}, mode: tc}]}\n", "");
	late(rule, "mode: mixed\nnfq: {apps: [tcp/5432], side: server}\nworkloads: {overrides: [{match: {workload: \"*1\"}, mode: tc}]}\n", "10");
	late(web, OVER("workload: web", "mode: nfq, apps: [tcp/80], side: client"), "");
	late(web, OVER("labels: {tier: front}", "mode: nfq, apps: [tcp/80], side: client"), "");
	late(web, OVER("labels: {tier: back}", "mode: nfq, apps: [tcp/80], side: client"), "10");
	late(web, OVER("labels: {zone: a}", "mode: nfq, apps: [tcp/80], side: client"), "10");
	/* static workloads, and no others */
	late(rule, "mode: mixed\nworkloads: {discover: [], static: [{name: db1, pid: 1, apps: [tcp/5432], side: server}, {name: web, pid: 1}]}\n", "");
	late(rule, "mode: mixed\nworkloads: {discover: [], static: [{name: db1, pid: 1, apps: [tcp/5432], side: server}, {name: db2, pid: 1}]}\n", "10");
}

static void test_strict(void)
{
	static const char rules[] = "default: {mode: protect}\nrules:\n  - {id: 10, from: any, to: any, ports: tcp/80, apps: [http], action: allow}\n";
	struct config *tc = config_of("mode: tc\n"), *mixed = config_of("mode: mixed\nnfq: {apps: [tcp/80]}\n");
	char text[256];

	for (int strict = 0; strict < 2; strict++) {
		struct err e = { "" };
		struct policy_file *pf;

		snprintf(text, sizeof text, "version: 1\nstrict: %s\n%s", strict ? "true" : "false", rules);
		pf = policy_file_parse(text, "p.yaml", &e);
		CU_ASSERT_PTR_NOT_NULL_FATAL(pf);
		CU_ASSERT_EQUAL(policy_file_strict(pf), strict);
		CU_ASSERT_EQUAL(policy_file_allowed(pf, mixed, "p.yaml", &e), 0);
		CU_ASSERT_EQUAL(policy_file_allowed(pf, tc, "p.yaml", &e) != 0, strict);
		CU_ASSERT(!strict || !strncmp(e.text, "p.yaml:5: strict: rule 10 ", 26));
		policy_file_free(pf);
	}
	config_free(tc);
	config_free(mixed);
}

const struct unit_test tests_policy_late[] = {
	{ "rules that leave something to a refusal", test_rules },
	{ "flows that only the mirror sees", test_paths },
	{ "strict", test_strict },
	{ 0 },
};
