/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tapqd: the node agent. Reads its arguments; everything else is agent/node.c. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/check.h"
#include "agent/config.h"
#include "agent/node.h"
#include "base/log.h"

#define EXIT_USAGE 2
#define EXIT_PREFLIGHT 3
#define OVERRIDES_MAX 256

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "mode", required_argument, NULL, 'm' },
	{ "check", no_argument, NULL, 'k' },
	{ "dump-config", no_argument, NULL, 'd' },
	{ "version", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static const char usage[] =
	"usage: tapqd [-c|--config FILE] [-m|--mode tc|nfq|mixed] [-o KEY=VALUE]... [--check] [--dump-config] [--version] [--help]\n"
	"\n"
	"  -c, --config FILE   configuration (default " CONFIG_DEFAULT_FILE ")\n"
	"  -m, --mode MODE     datapath: tc (passive mirror), nfq (inline queues) or mixed; wins over the file\n"
	"  -o KEY=VALUE        any key of the configuration by its dotted path, e.g. -o nfq.fail=closed; wins over the file\n"
	"      --check         say what this host lacks for the mode; exit 0 if it can run\n"
	"      --dump-config   print the whole configuration in force and exit\n"
	"      --version       print the version and exit\n"
	"      --help          print this and exit\n";

struct arguments {
	const char *config;
	const char *overrides[OVERRIDES_MAX];
	unsigned noverrides;
	bool check, dump;
};

static bool add_override(struct arguments *a, const char *text)
{
	if (a->noverrides == OVERRIDES_MAX) {
		fprintf(stderr, "tapqd: more than %d -o\n", OVERRIDES_MAX);
		return false;
	}
	a->overrides[a->noverrides++] = text;
	return true;
}

/* -1: go on; else the exit code. */
static int parse(int argc, char **argv, struct arguments *a)
{
	static char mode[32];
	int o;

	while ((o = getopt_long(argc, argv, "c:m:o:h", options, NULL)) != -1) {
		switch (o) {
		case 'c':
			a->config = optarg;
			break;
		case 'm':
			snprintf(mode, sizeof mode, "mode=%.20s", optarg);
			if (!add_override(a, mode))
				return EXIT_USAGE;
			break;
		case 'o':
			if (!add_override(a, optarg))
				return EXIT_USAGE;
			break;
		case 'k':
			a->check = true;
			break;
		case 'd':
			a->dump = true;
			break;
		case 'v':
			puts("tapqd " TQ_VERSION);
			return 0;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs("tapqd: --help tells the options\n", stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "tapqd: %s: no such argument; --help tells the options\n", argv[optind]);
		return EXIT_USAGE;
	}
	/* The default file need not exist; one that was named must. */
	if (!a->config && !access(CONFIG_DEFAULT_FILE, F_OK))
		a->config = CONFIG_DEFAULT_FILE;
	return -1;
}

static int only_look(const struct arguments *a, const struct config *c)
{
	struct err err = { "" };
	bool ok = true;

	if (a->dump)
		config_dump(c, stdout);
	if (a->check)
		ok = check_run(c, stdout, &err);
	if (!ok)
		fprintf(stderr, "tapqd: %s\n", err.text);
	return ok ? 0 : EXIT_PREFLIGHT;
}

/* A workload takes a dozen descriptors; what a shell gives by default would do for some eighty. */
static void lift_limit(void)
{
	struct rlimit l;

	if (!getrlimit(RLIMIT_NOFILE, &l) && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

int main(int argc, char **argv)
{
	struct arguments a = { 0 };
	struct node_args args;
	struct config *c;
	struct node *n;
	struct err err = { "" };
	int code = parse(argc, argv, &a);

	if (code >= 0)
		return code;
	signal(SIGCHLD, SIG_DFL);	/* inherited as ignored, the results of programs that we run would be lost */
	c = config_load(a.config, a.overrides, a.noverrides, &err);
	if (!c) {
		fprintf(stderr, "tapqd: %s\n", err.text);
		return EXIT_USAGE;
	}
	if (a.check || a.dump) {
		code = only_look(&a, c);
		config_free(c);
		return code;
	}
	if (!check_run(c, NULL, &err)) {
		fprintf(stderr, "tapqd: %s\n", err.text);
		config_free(c);
		return EXIT_PREFLIGHT;
	}
	config_free(c);
	lift_limit();
	args = (struct node_args){ a.config, a.overrides, a.noverrides };
	n = node_start(&args, &code, &err);
	if (!n) {
		fprintf(stderr, "tapqd: %s\n", err.text);
		return code;
	}
	code = node_run(n);
	node_stop(n);
	return code;
}
