/* SPDX-License-Identifier: GPL-2.0-or-later */
/* captures KIND OUT: makes one of the benchmark's captures and prints what it holds. */
#include <string.h>

#include "tests/bench/captures/kinds.h"

static void http(struct capture *c) { make_http(c, 9000, 20); }
static void http_small(struct capture *c) { make_http(c, 1600, 20); }

static const struct {
	const char *name;
	int64_t gap;		/* ns between packets */
	void (*make)(struct capture *);
} kinds[] = {
	{ "http", 15000, http },
	{ "http-small", 15000, http_small },
};

int main(int argc, char **argv)
{
	struct capture c;

	for (size_t i = 0; argc == 3 && i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(kinds[i].name, argv[1]))
			continue;
		capture_open(&c, argv[2], kinds[i].gap);
		kinds[i].make(&c);
		capture_close(&c);
		printf("%s: %llu packets, %.1f MB\n", c.path, (unsigned long long)c.packets, (double)c.bytes / 1e6);
		return 0;
	}
	fprintf(stderr, "captures KIND OUT. KIND is one of:");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		fprintf(stderr, " %s", kinds[i].name);
	fprintf(stderr, "\n");
	return 2;
}
