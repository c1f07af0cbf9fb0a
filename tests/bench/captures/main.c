/* SPDX-License-Identifier: GPL-2.0-or-later */
/* captures KIND GOLDENS OUT: makes one of the benchmark's captures and prints what it holds. GOLDENS: the directory of the goldens. */
#include <string.h>

#include "tests/bench/captures/kinds.h"

static void http(struct capture *c, const char *goldens) { (void)goldens; make_http(c, 9000, 20); }
static void http_small(struct capture *c, const char *goldens) { (void)goldens; make_http(c, 1600, 20); }
/* "counted": small enough for callgrind. */
static void http_counted(struct capture *c, const char *goldens) { (void)goldens; make_http(c, 160, 20); }
static void tls(struct capture *c, const char *goldens) { make_tls(c, goldens, 1000000); }
static void tls_counted(struct capture *c, const char *goldens) { make_tls(c, goldens, 20000); }
static void blend(struct capture *c, const char *goldens) { make_blend(c, goldens, 1000000); }
static void blend_small(struct capture *c, const char *goldens) { make_blend(c, goldens, 100000); }
static void blend_counted(struct capture *c, const char *goldens) { make_blend(c, goldens, 12000); }

static const struct {
	const char *name;
	int64_t gap;		/* ns between packets */
	void (*make)(struct capture *, const char *goldens);
} kinds[] = {
	{ "http", 15000, http }, { "http-small", 15000, http_small }, { "http-counted", 15000, http_counted },
	{ "tls", 15000, tls }, { "tls-counted", 15000, tls_counted },
	{ "blend", 50000, blend }, { "blend-small", 50000, blend_small }, { "blend-counted", 50000, blend_counted },
};

int main(int argc, char **argv)
{
	struct capture c;

	for (size_t i = 0; argc == 4 && i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(kinds[i].name, argv[1]))
			continue;
		capture_open(&c, argv[3], kinds[i].gap);
		kinds[i].make(&c, argv[2]);
		capture_close(&c);
		printf("%s: %llu packets, %.1f MB\n", c.path, (unsigned long long)c.packets, (double)c.bytes / 1e6);
		return 0;
	}
	fprintf(stderr, "captures KIND GOLDENS OUT. KIND is one of:");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		fprintf(stderr, " %s", kinds[i].name);
	fprintf(stderr, "\n");
	return 2;
}
