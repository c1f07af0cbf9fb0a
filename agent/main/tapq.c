/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tapq: the user's command. One table of commands; most ask tapqd over its control socket, `policy check`, `replay` and
 * `cleanup` work without it. Human-readable by default, --json everywhere; errors are one line on stderr. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/cleanup.h"
#include "agent/config.h"
#include "agent/control.h"
#include "agent/policy_file.h"
#include "agent/replay.h"
#include "agent/show.h"

#define DEFAULT_SOCKET "/run/tapqueue/control.sock"
#define TIMEOUT_MS 30000
#define EXIT_USAGE 2

struct tapq {
	const char *socket;
	bool json;
	int argc;		/* of the command, argv[0] its name */
	char **argv;
};

static int fail(const struct err *e)
{
	fprintf(stderr, "tapq: %s\n", e->text);
	return 1;
}

static int usage_error(const char *text)
{
	fprintf(stderr, "tapq: %s\n", text);
	return EXIT_USAGE;
}

static json_t *ask(const struct tapq *t, const char *command, json_t *args, struct err *err)
{
	return control_call(t->socket, command, args, NULL, TIMEOUT_MS, err);
}

static void print_json(const json_t *v)
{
	json_dumpf(v, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
	putchar('\n');
}

/* Asks and prints: as JSON, or by `show`. */
static int ask_show(const struct tapq *t, const char *command, json_t *args, void (*show)(FILE *, const json_t *))
{
	struct err err = { "" };
	json_t *data = ask(t, command, args, &err);

	if (!data)
		return fail(&err);
	if (t->json) {
		print_json(data);
	} else {
		show_defuse(data);
		show(stdout, data);
	}
	json_decref(data);
	return 0;
}

/* A positive number of an option, or -1. */
static long number(const char *text, long max)
{
	char *end;
	long v = strtol(text, &end, 10);

	return *text && !*end && v >= 0 && v <= max ? v : -1;
}

/* ---- commands ---- */

static int cmd_status(const struct tapq *t)
{
	static const struct option options[] = { { "wait", required_argument, NULL, 'w' }, { 0 } };
	struct timespec pause = { 0, 100000000 };
	struct err err = { "" };
	time_t until = time(NULL);
	json_t *data;
	bool ready;
	int o;

	while ((o = getopt_long(t->argc, t->argv, "", options, NULL)) != -1) {
		long s = o == 'w' ? number(optarg, 86400) : -1;

		if (s < 0)
			return usage_error("status [--wait SECONDS]");
		until += s;
	}
	for (;;) {
		data = ask(t, "status", json_object(), &err);
		ready = json_is_true(json_object_get(data, "ready")) && !json_array_size(json_object_get(data, "missing"));
		if (ready || time(NULL) >= until)
			break;
		json_decref(data);
		nanosleep(&pause, NULL);
	}
	if (!data)
		return fail(&err);
	if (t->json) {
		print_json(data);
	} else {
		show_defuse(data);
		show_status(stdout, data);
	}
	json_decref(data);
	return ready ? 0 : 1;
}

static int cmd_mode(const struct tapq *t)
{
	struct err err = { "" };
	json_t *data;

	if (t->argc > 2)
		return usage_error("mode [tc|nfq|mixed]");
	data = ask(t, "mode", t->argc == 2 ? json_pack("{s:s}", "mode", t->argv[1]) : json_object(), &err);
	if (!data)
		return fail(&err);
	if (t->json)
		print_json(data);
	else
		puts(json_string_value(json_object_get(data, "mode")));
	json_decref(data);
	return 0;
}

static int cmd_workloads(const struct tapq *t)
{
	return t->argc > 1 ? usage_error("workloads takes no argument") : ask_show(t, "workloads", json_object(), show_workloads);
}

static int cmd_flows(const struct tapq *t)
{
	static const struct option options[] = {
		{ "workload", required_argument, NULL, 'w' },
		{ "app", required_argument, NULL, 'a' },
		{ "verdict", required_argument, NULL, 'v' },
		{ "limit", required_argument, NULL, 'l' },
		{ 0 },
	};
	json_t *args = json_object();
	int o;

	while ((o = getopt_long(t->argc, t->argv, "", options, NULL)) != -1) {
		if (o == 'w')
			json_object_set_new(args, "workload", json_string(optarg));
		else if (o == 'a')
			json_object_set_new(args, "app", json_string(optarg));
		else if (o == 'v')
			json_object_set_new(args, "verdict", json_string(optarg));
		else if (o == 'l' && number(optarg, 1000000) > 0)
			json_object_set_new(args, "limit", json_integer(number(optarg, 1000000)));
		else {
			json_decref(args);
			return usage_error("flows [--workload W] [--app A] [--verdict V] [--limit N]");
		}
	}
	return ask_show(t, "flows", args, show_flows);
}

static int follow(const struct tapq *t, int fd)
{
	FILE *f = fdopen(fd, "r");
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	if (!f)
		return 1;
	while ((n = getline(&line, &size, f)) > 0) {
		json_t *e = t->json ? NULL : json_loadb(line, (size_t)n, 0, NULL);

		if (e) {
			show_defuse(e);
			show_event(stdout, e);
		} else {
			fwrite(line, 1, (size_t)n, stdout);
		}
		json_decref(e);
		if (fflush(stdout))
			break;
	}
	free(line);
	fclose(f);
	return 0;
}

static int cmd_events(const struct tapq *t)
{
	static const struct option options[] = { { "follow", no_argument, NULL, 'f' }, { "type", required_argument, NULL, 't' }, { 0 } };
	json_t *types = json_array(), *data;
	struct err err = { "" };
	int o, fd = -1;

	while ((o = getopt_long(t->argc, t->argv, "ft:", options, NULL)) != -1) {
		if (o == 't')
			json_array_append_new(types, json_string(optarg));
		else if (o != 'f') {
			json_decref(types);
			return usage_error("events [-f] [--type T]...");
		}
	}
	data = control_call(t->socket, "events", json_pack("{s:o}", "types", types), &fd, TIMEOUT_MS, &err);
	if (!data)
		return fail(&err);
	json_decref(data);
	return follow(t, fd);
}

static int cmd_counters(const struct tapq *t)
{
	if (t->argc > 2)
		return usage_error("counters [PATTERN]");
	return ask_show(t, "counters", t->argc == 2 ? json_pack("{s:s}", "pattern", t->argv[1]) : json_object(), show_counters);
}

static int cmd_apps(const struct tapq *t)
{
	if (t->argc != 4)
		return usage_error("apps WORKLOAD add|del tcp/PORT");
	return ask_show(t, "apps", json_pack("{s:s, s:s, s:s}", "workload", t->argv[1], "op", t->argv[2], "app", t->argv[3]), show_members);
}

static int cmd_quarantine(const struct tapq *t)
{
	if (t->argc != 3)
		return usage_error("quarantine WORKLOAD on|off");
	return ask_show(t, "quarantine", json_pack("{s:s, s:s}", "workload", t->argv[1], "op", t->argv[2]), show_members);
}

static int cmd_log(const struct tapq *t)
{
	char *level = t->argc == 2 ? strchr(t->argv[1], '=') : NULL;

	if (t->argc > 2 || (t->argc == 2 && !level))
		return usage_error("log [MODULE=LEVEL]");
	if (level)
		*level++ = 0;
	return ask_show(t, "log", level ? json_pack("{s:s, s:s}", "module", t->argv[1], "level", level) : json_object(), show_members);
}

static int cmd_reload(const struct tapq *t)
{
	return t->argc > 1 ? usage_error("reload takes no argument") : ask_show(t, "reload", json_object(), show_members);
}

static int cmd_cleanup(const struct tapq *t)
{
	static const struct option options[] = { { "bridge", required_argument, NULL, 'b' }, { 0 } };
	const char *bridge = "vbr-neuv";
	struct cleanup_result r;
	struct err err = { "" };
	int o;

	while ((o = getopt_long(t->argc, t->argv, "", options, NULL)) != -1) {
		if (o != 'b')
			return usage_error("cleanup [--bridge NAME]");
		bridge = optarg;
	}
	if (cleanup_run(bridge, t->socket, &r, &err))
		return fail(&err);
	if (t->json)
		printf("{\"devices\":%u,\"namespaces\":%u,\"bridges\":%u}\n", r.devices, r.namespaces, r.bridges);
	else
		printf("cleaned: filters on %u devices, chains in %u network namespaces, %s\n", r.devices, r.namespaces, r.bridges ? "the bridges" : "no bridge");
	return 0;
}

/* ---- policy ---- */

struct shadows {
	const char *file;
	json_t *list, *late;	/* NULL: told on stderr */
};

static void on_shadowed(void *ctx, uint32_t rule, unsigned line, uint32_t by, unsigned by_line)
{
	const struct shadows *s = ctx;

	if (s->list)
		json_array_append_new(s->list, json_pack("{s:i, s:i, s:i, s:i}", "rule", (int)rule, "line", (int)line, "by", (int)by, "by_line", (int)by_line));
	else
		fprintf(stderr, "%s:%u: rule %u never matches: rule %u (line %u) matches all that it would\n", s->file, line, rule, by, by_line);
}

static void on_late(void *ctx, uint32_t rule, unsigned line, bool refuses)
{
	const struct shadows *s = ctx;

	if (s->late)
		json_array_append_new(s->late, json_pack("{s:i, s:i}", "rule", (int)rule, "line", (int)line));
	else
		fprintf(stderr, "%s:%u: rule %u hangs on the application, a name or a request: where only the mirror sees a flow, %s after the fact\n", s->file, line, rule,
			refuses ? "it refuses" : "what it does not allow is refused");
}

/* Which rules the paths of a configuration enforce only after the fact. Nonzero: the policy is strict, and some do. */
static int check_paths(const struct tapq *t, const struct policy_file *pf, const char *file, struct shadows *found)
{
	struct err err = { "" };
	struct config *c = config_load(file, NULL, 0, &err);
	int rc = c ? 0 : fail(&err);

	if (!c)
		return rc;
	if (t->json)
		found->late = json_array();
	policy_file_late(pf, c, on_late, found);
	if (policy_file_allowed(pf, c, t->argv[2], &err))
		rc = fail(&err);
	config_free(c);
	return rc;
}

static int policy_check(const struct tapq *t)
{
	const char *config = t->argc == 5 ? t->argv[4] : !access(CONFIG_DEFAULT_FILE, R_OK) ? CONFIG_DEFAULT_FILE : NULL;
	struct shadows found;
	struct err err = { "" };
	struct policy_file *pf;
	const struct policy *p;
	int rc = 0;

	if (t->argc != 3 && (t->argc != 5 || strcmp(t->argv[3], "-c")))
		return usage_error("policy check FILE [-c CONFIG]");
	pf = policy_file_load(t->argv[2], &err);
	if (!pf)
		return fail(&err);
	p = policy_file_policy(pf);
	found = (struct shadows){ t->argv[2], t->json ? json_array() : NULL, NULL };
	if (!policy_shadowed(p, on_shadowed, &found))
		fprintf(stderr, "%s: no memory to look for rules that never match\n", t->argv[2]);
	if (config)
		rc = check_paths(t, pf, config, &found);
	else if (policy_file_strict(pf))
		fprintf(stderr, "%s: strict: not checked without a configuration (-c)\n", t->argv[2]);
	if (t->json) {
		json_t *answer = json_pack("{s:b, s:i, s:i, s:o, s:o*}", "ok", !rc, "rules", (int)policy_rule_count(p), "groups", (int)policy_file_group_count(pf), "never_match", found.list, "after_the_fact", found.late);

		print_json(answer);
		json_decref(answer);
	} else if (!rc) {
		printf("%s: ok, %u rules, %u groups\n", t->argv[2], policy_rule_count(p), policy_file_group_count(pf));
	}
	policy_file_free(pf);
	return rc;
}

static int policy_load(const struct tapq *t)
{
	struct err err = { "" };
	struct policy_file *pf;
	long seconds = 0;
	char *end = NULL;
	int rc;

	if (t->argc == 5 && !strcmp(t->argv[3], "--confirm")) {
		seconds = strtol(t->argv[4], &end, 10);
		if (*end || seconds < 1)
			return usage_error("policy load FILE --confirm SECONDS: 1 or more");
	} else if (t->argc != 3) {
		return usage_error("policy load FILE [--confirm SECONDS]");
	}
	pf = policy_file_load(t->argv[2], &err);	/* its lines are told with the file's name before anything is sent */
	if (!pf)
		return fail(&err);
	rc = ask_show(t, "policy load", json_pack("{s:s, s:s, s:I}", "text", policy_file_text(pf), "name", t->argv[2], "confirm", (json_int_t)seconds), show_members);
	policy_file_free(pf);
	return rc;
}

static int policy_confirm(const struct tapq *t) { return ask_show(t, "policy confirm", json_object(), show_members); }

/* A policy's text, as it is. */
static int print_policy(const struct tapq *t, const char *command, json_t *args)
{
	struct err err = { "" };
	json_t *data = ask(t, command, args, &err);

	if (!data)
		return fail(&err);
	if (t->json)
		print_json(data);
	else
		fputs(json_string_value(json_object_get(data, "text")), stdout);
	json_decref(data);
	return 0;
}

static int policy_show(const struct tapq *t) { return print_policy(t, "policy show", json_object()); }

static int policy_learned(const struct tapq *t)
{
	if (t->argc == 4 && !strcmp(t->argv[2], "--mode"))
		return print_policy(t, "policy learned", json_pack("{s:s}", "mode", t->argv[3]));
	return t->argc > 2 ? usage_error("policy learned [--mode discover|monitor|protect]") : print_policy(t, "policy learned", json_object());
}

static int policy_test(const struct tapq *t)
{
	static const struct option options[] = {
		{ "from", required_argument, NULL, 'f' }, { "to", required_argument, NULL, 't' }, { "port", required_argument, NULL, 'p' },
		{ "app", required_argument, NULL, 'a' }, { 0 },
	};
	static const char *const keys[] = { ['f'] = "from", ['t'] = "to", ['p'] = "port", ['a'] = "app" };
	json_t *args = json_object(), *facts = json_array();
	int o;

	while ((o = getopt_long(t->argc - 1, t->argv + 1, "", options, NULL)) != -1) {
		if (o == '?') {
			json_decref(args);
			json_decref(facts);
			return usage_error("policy test --from W --to W --port tcp/PORT [--app A] [MATCHER.KEY=VALUE...]");
		}
		json_object_set_new(args, keys[o], json_string(optarg));
	}
	for (int i = optind + 1; i < t->argc; i++)
		json_array_append_new(facts, json_string(t->argv[i]));
	json_object_set_new(args, "facts", facts);
	return ask_show(t, "policy test", args, show_policy_test);
}

static int cmd_policy(const struct tapq *t)
{
	static const struct { const char *name; int (*fn)(const struct tapq *); } subs[] = {
		{ "check", policy_check }, { "load", policy_load }, { "confirm", policy_confirm }, { "show", policy_show }, { "learned", policy_learned }, { "test", policy_test },
	};

	for (size_t i = 0; t->argc > 1 && i < sizeof subs / sizeof subs[0]; i++)
		if (!strcmp(t->argv[1], subs[i].name))
			return subs[i].fn(t);
	return usage_error("policy check FILE [-c CONFIG] | load FILE [--confirm SECONDS] | confirm | show | learned [--mode M] | test --from W --to W --port tcp/PORT [--app A] [MATCHER.KEY=VALUE...]");
}

/* ---- replay ---- */

#define REPLAY_ARGUMENTS "[-c FILE] [--policy FILE] [--workloads FILE] [--workers N] [-o FILE | --no-events] PCAP..."
#define REPLAY_USAGE "replay " REPLAY_ARGUMENTS

static int cmd_replay(const struct tapq *t)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' }, { "policy", required_argument, NULL, 'p' }, { "workloads", required_argument, NULL, 'w' },
		{ "workers", required_argument, NULL, 'N' }, { "output", required_argument, NULL, 'o' }, { "no-events", no_argument, NULL, 'n' }, { 0 },
	};
	struct replay_args a = { .totals = stdout };
	const char *output = NULL;
	struct err err = { "" };
	long workers = 1;
	int o, rc;

	while ((o = getopt_long(t->argc, t->argv, "c:o:", options, NULL)) != -1) {
		switch (o) {
		case 'c': a.config = optarg; break;
		case 'p': a.policy = optarg; break;
		case 'w': a.workloads = optarg; break;
		case 'N': workers = number(optarg, REPLAY_WORKERS_MAX); break;
		case 'o': output = optarg; break;
		case 'n': a.no_events = true; break;
		default: return usage_error(REPLAY_USAGE);
		}
	}
	a.files = t->argv + optind;
	a.nfiles = (unsigned)(t->argc - optind);
	a.workers = workers > 0 ? (unsigned)workers : 0;
	if (!a.nfiles || !a.workers || (a.no_events && output))
		return usage_error(REPLAY_USAGE);
	a.out = a.no_events ? NULL : output && strcmp(output, "-") ? fopen(output, "we") : stdout;
	if (!a.no_events && !a.out) {
		err_set(&err, -errno, "%s: %s", output, strerror(errno));
		return fail(&err);
	}
	rc = replay_run(&a, &err);
	if (a.out && fclose(a.out) && !rc)
		rc = err_set(&err, -errno, "%s: %s", output ? output : "standard output", strerror(errno));
	return rc ? fail(&err) : 0;
}

/* ---- the table ---- */

static const struct {
	const char *name;
	int (*fn)(const struct tapq *);	/* NULL: not in this version */
	const char *help;
} commands[] = {
	{ "status", cmd_status, "[--wait SECONDS]  health in one screen; exit 0 only when every workload is covered" },
	{ "mode", cmd_mode, "[tc|nfq|mixed]  show or switch the datapath mode" },
	{ "workloads", cmd_workloads, "containers: names, interfaces, datapath, apps, packets" },
	{ "flows", cmd_flows, "[--workload W] [--app A] [--verdict V] [--limit N]" },
	{ "events", cmd_events, "[-f] [--type T]...  the stream of events" },
	{ "counters", cmd_counters, "[PATTERN]  every counter with its help text" },
	{ "policy", cmd_policy, "check FILE [-c CONFIG] | load FILE [--confirm SECONDS] | confirm | show | learned [--mode M] | test --from W --to W --port P [--app A] [MATCHER.KEY=VALUE...]" },
	{ "apps", cmd_apps, "W add|del tcp/8080  change the NFQUEUE app ports of a workload" },
	{ "quarantine", cmd_quarantine, "W on|off  cut a workload off at once, on every path" },
	{ "log", cmd_log, "[MODULE=LEVEL]" },
	{ "replay", cmd_replay, REPLAY_ARGUMENTS },
	{ "reload", cmd_reload, "read configuration and policy again" },
	{ "cleanup", cmd_cleanup, "[--bridge NAME]  remove everything a crashed tapqd left behind" },
	{ "capture", NULL, NULL }, { "rules", NULL, NULL }, { "top", NULL, NULL }, { "why", NULL, NULL },
};

static void help(FILE *f)
{
	fputs("usage: tapq [-s SOCKET] [--json] COMMAND\n\n", f);
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (commands[i].fn)
			fprintf(f, "  %-10s %s\n", commands[i].name, commands[i].help);
}

/* --json may stand anywhere. */
static bool take_json(int *argc, char **argv)
{
	bool found = false;
	int out = 1;

	for (int i = 1; i < *argc; i++) {
		if (!strcmp(argv[i], "--json"))
			found = true;
		else
			argv[out++] = argv[i];
	}
	argv[out] = NULL;
	*argc = out;
	return found;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "socket", required_argument, NULL, 's' }, { "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'v' }, { 0 } };
	struct tapq t = { .socket = DEFAULT_SOCKET };
	int o;

	t.json = take_json(&argc, argv);
	while ((o = getopt_long(argc, argv, "+s:h", options, NULL)) != -1) {
		switch (o) {
		case 's':
			t.socket = optarg;
			break;
		case 'v':
			puts("tapq " TQ_VERSION);
			return 0;
		case 'h':
			help(stdout);
			return 0;
		default:
			return usage_error("--help tells the commands");
		}
	}
	t.argc = argc - optind;
	t.argv = argv + optind;
	optind = 0;		/* glibc: start anew with the command's own options */
	for (size_t i = 0; t.argc && i < sizeof commands / sizeof commands[0]; i++) {
		if (strcmp(commands[i].name, t.argv[0]))
			continue;
		if (commands[i].fn)
			return commands[i].fn(&t);
		fprintf(stderr, "tapq: %s: not in this version\n", t.argv[0]);
		return EXIT_USAGE;
	}
	if (t.argc)
		fprintf(stderr, "tapq: %s: no such command\n", t.argv[0]);
	else
		help(stderr);
	return EXIT_USAGE;
}
