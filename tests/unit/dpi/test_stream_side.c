/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections of which one end is never heard. */
#include <CUnit/CUnit.h>
#include <string.h>

#include "tests/unit/dpi/coretest.h"
#include "tests/unit/unit.h"

#define UP DIR_TOSERVER
#define DOWN DIR_TOCLIENT

static void up(struct core *c, uint32_t seq, uint32_t ack, const char *p, bool held)
{
	core_send(c, &(struct spec){ .flags = TCP_ACK, .seq = seq, .ack = ack, .p = p, .n = strlen(p), .held = held });
}

static bool took(enum dir dir, const char *p) { return toy_log.n[dir] == strlen(p) && memcmp(toy_log.bytes[dir], p, strlen(p)) == 0; }

static void syn(struct core *c, bool held)
{
	core_open(c, NULL);
	core_send(c, &(struct spec){ .flags = TCP_SYN, .seq = 100, .held = held });
	core_speak(c, &proto_toy);
	up(c, 101, 701, "", held);
	up(c, 101, 701, "one", held);
	CU_ASSERT(took(UP, ""));	/* there may be no answer */
}

/* What the initiator acknowledges moves on: somebody answers it. */
static void test_initiator(void)
{
	struct core c = { 0 };

	syn(&c, false);
	up(&c, 104, 720, "two", false);
	CU_ASSERT(took(UP, "onetwo"));
	up(&c, 107, 740, "three", false);
	CU_ASSERT(took(UP, "onetwothree"));
	CU_ASSERT(toy_log.gaps == 0);	/* the other direction has none: it is not here at all */
	core_close(&c);
}

/* Nothing moves on: told when the flow ends, and not before. */
static void test_initiator_ends(void)
{
	struct core c = { 0 };

	syn(&c, false);
	up(&c, 104, 701, "two", false);
	CU_ASSERT(took(UP, ""));
	core_close(&c);
	CU_ASSERT(took(UP, "onetwo"));
}

/* Both ends pass a held path: whoever is not heard there did not speak. */
static void test_initiator_held(void)
{
	struct core c = { 0 };

	syn(&c, true);
	up(&c, 104, 720, "two", true);
	CU_ASSERT(took(UP, ""));
	core_close(&c);
	CU_ASSERT(took(UP, ""));
}

/* An initiator that makes up its acknowledgements before the answer gains nothing: the answer begins the connection. */
static void test_initiator_lies(void)
{
	struct core c = { 0 };

	syn(&c, false);
	up(&c, 104, 720, "two", false);
	CU_ASSERT(took(UP, "onetwo"));
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 900, .ack = 101 });
	CU_ASSERT(strstr(c.text, "\"reason\":\"restart\"") != NULL);
	toy_reset();
	core_speak(&c, &proto_toy);
	up(&c, 101, 901, "true words", false);
	CU_ASSERT(took(UP, "true words"));
	core_close(&c);
}

static void test_responder(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101 });
	core_speak(&c, &proto_toy);
	core_data(&c, DOWN, 701, 618, "hello", 5);	/* of a request that nobody showed us */
	core_data(&c, DOWN, 706, 618, "again", 5);
	CU_ASSERT(took(DOWN, "helloagain"));
	CU_ASSERT(toy_log.gaps == 0);
	core_close(&c);
}

/* What an end sends first is its beginning, though the other one let expect it earlier. */
static void test_first_words(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_data(&c, UP, 101, 701, "ask", 3);
	core_speak(&c, &proto_toy);
	core_data(&c, DOWN, 748, 104, "answer", 6);
	CU_ASSERT(took(DOWN, "answer"));
	CU_ASSERT(toy_log.gaps == 0);
	core_data(&c, DOWN, 760, 104, "more", 4);	/* this is a hole */
	CU_ASSERT(took(DOWN, "answer"));
	core_close(&c);
}

/* A hole that no acknowledgement will close: passed over when much waits behind it, or at the end. */
static void hole(unsigned n)
{
	struct core c = { 0 };
	uint32_t seq = 200;

	core_open(&c, NULL);
	core_data(&c, UP, 101, 701, "a", 1);
	core_speak(&c, &proto_toy);
	for (unsigned i = 0; i < n; i++, seq += 2)
		core_data(&c, UP, seq, 701, "bc", 2);
	CU_ASSERT_EQUAL(toy_log.gaps, n >= 32 ? 1 : 0);
	CU_ASSERT_EQUAL(toy_log.n[UP], n >= 32 ? 2 * n : 0);
	core_close(&c);
	CU_ASSERT_EQUAL(toy_log.gaps, 1);
	CU_ASSERT_EQUAL(toy_log.n[UP], 2 * n);
}

static void test_hole(void)
{
	hole(3);
	hole(40);
}

/* The other end is there and acknowledges none of it: it took none. */
static void test_two_sided(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_handshake(&c, 100, 700);
	core_speak(&c, &proto_toy);
	core_data(&c, UP, 110, 701, "late", 4);
	core_close(&c);
	CU_ASSERT(took(UP, ""));
}

const struct unit_test tests_stream_side[] = {
	{ "an initiator alone", test_initiator },
	{ "an initiator alone, to the end", test_initiator_ends },
	{ "an initiator alone, held", test_initiator_held },
	{ "an initiator that lies", test_initiator_lies },
	{ "a responder alone", test_responder },
	{ "first words", test_first_words },
	{ "a hole", test_hole },
	{ "not alone", test_two_sided },
	{ 0 },
};
