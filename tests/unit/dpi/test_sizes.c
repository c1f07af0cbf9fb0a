/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sizes: what a flow costs. Prints the table and holds it against state_sizes.def, in the pieces that memory is handed out in. */
#include <stdio.h>
#include <string.h>

#include "dpi/stream.h"
#include "tests/unit/dpi/coretest.h"
#include "tests/unit/unit.h"

#define ENTRY_MAX 384u
#define SEG_MAX 48u		/* beside its bytes */

static const struct { const char *name; size_t bytes; } kept[] = {
#define X(id, bytes) { #id, bytes },
#include "tests/unit/dpi/state_sizes.def"
#undef X
};

/* A row names what a protocol takes, not less and not more: a state that grows or shrinks past a piece shows in that file's history. */
static void test_states(void)
{
	static const struct { const char *id; const struct proto *proto; } protos[] = {
#define X(id) { #id, &proto_##id },
#include "dpi/protocols.def"
#undef X
	};
	size_t n = sizeof(protos) / sizeof(protos[0]);

	printf("\n  flow entry %zu bytes, of these %zu for each end's stream; a segment that waits %zu and its bytes\n", sizeof(struct flow), sizeof(struct half), sizeof(struct seg));
	CU_ASSERT_TRUE(sizeof(struct flow) <= ENTRY_MAX);
	CU_ASSERT_TRUE(sizeof(struct seg) <= SEG_MAX);
	CU_ASSERT_EQUAL(sizeof(kept) / sizeof(kept[0]), n);
	for (size_t i = 0; i < n; i++) {
		size_t bytes = protos[i].proto->state_size, piece = bytes ? mem_class(bytes) : 0;
		bool same = i < sizeof(kept) / sizeof(kept[0]) && !strcmp(kept[i].name, protos[i].id) && kept[i].bytes == piece;

		printf("  %-16s %5zu%s", protos[i].id, bytes, i % 4 == 3 || i + 1 == n ? "\n" : "");
		CU_ASSERT_TRUE(same);
		if (!same)
			printf("\n  state_sizes.def: row %zu should be X(%s, %zu)\n", i + 1, protos[i].id, piece);
	}
}

static uint64_t used(const struct core *c)
{
	struct dpi_sizes s;

	dpi_get_sizes(c->d, &s);
	return s.mem.used;
}

/* Bytes that nobody knows cost nothing once all have said no; while somebody wants more, one note and the bytes. What a protocol takes
 * is there from its YES to its end. */
static void test_when(void)
{
	static const char nobody[] = "\x01\x99\x02\x98\x03\x97\x04\x96nobody speaks this\xff\xfe";
	static const char some[] = "GET / HT";
	struct core c = { 0 };
	uint64_t none;

	core_open(&c, NULL);
	core_handshake(&c, 1000, 5000);
	none = used(&c);
	core_data(&c, DIR_TOSERVER, 1001, 5001, nobody, sizeof(nobody) - 1);
	core_data(&c, DIR_TOCLIENT, 5001, 1001 + sizeof(nobody) - 1, nobody, sizeof(nobody) - 1);
	CU_ASSERT_EQUAL(used(&c), none);
	core_close(&c);

	core_open(&c, NULL);
	core_handshake(&c, 1000, 5000);
	core_data(&c, DIR_TOSERVER, 1001, 5001, some, sizeof(some) - 1);
	CU_ASSERT_EQUAL(used(&c) - none, 512 + 64);
	core_data(&c, DIR_TOSERVER, 1001 + sizeof(some) - 1, 5001, "TP/1.1\r\n", 8);
	CU_ASSERT_TRUE(used(&c) - none <= mem_class(proto_http.state_size) + 64);
	core_close(&c);
}

const struct unit_test tests_sizes[] = {
	{ "what each protocol keeps", test_states },
	{ "what is kept when", test_when },
	{ NULL, NULL },
};
