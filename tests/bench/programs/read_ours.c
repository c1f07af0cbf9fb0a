/* SPDX-License-Identifier: GPL-2.0-or-later */
/* read_ours CAPTURE...: as read.c, by the tree's own reader, which tapq replay has: what is left of a replay without it is the inspecting. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "agent/pcapsrc.h"

#define BATCH 64u

int main(int argc, char **argv)
{
	uint64_t sum = 0, packets = 0;

	for (int i = 1; i < argc; i++) {
		struct err err = { "" };
		struct source *src = pcapsrc_open(argv[i], 1, &err);
		struct frame f[BATCH];
		int n = 0;

		while (src && (n = src->ops->batch(src, f, BATCH, &err)) > 0) {
			for (int k = 0; k < n; k++) {
				uint64_t words[8] = { 0 };

				memcpy(words, f[k].data, f[k].caplen < sizeof(words) ? f[k].caplen : sizeof(words));
				for (unsigned w = 0; w < 8; w++)
					sum += words[w];
			}
			packets += (unsigned)n;
		}
		if (!src || n != -EPIPE) {
			fprintf(stderr, "%s: %s\n", argv[i], err.text);
			return 1;
		}
		src->ops->close(src);
	}
	printf("%llu packets, %016llx\n", (unsigned long long)packets, (unsigned long long)sum);
	return 0;
}
