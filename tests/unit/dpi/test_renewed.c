/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A connection that begins on the addresses and ports of one that was refused or is over, where packets are held: judged by itself, and no way by for bytes of the other one. */
#include <string.h>

#include "tests/unit/dpi/l7.h"
#include "tests/unit/unit.h"

#define UP DIR_TOSERVER
#define DOWN DIR_TOCLIENT

static const struct l7_rule no_delete[] = { { VERDICT_DENY, "http", { "methods=DELETE" } }, { VERDICT_ALLOW, NULL, { NULL } }, END },
	drop_delete[] = { { VERDICT_DROP, "http", { "methods=DELETE" } }, { VERDICT_ALLOW, NULL, { NULL } }, END };

static enum verdict put(struct core *c, bool v6, enum dir dir, unsigned flags, uint32_t seq, uint32_t ack, const char *text)
{
	return core_send(c, &(struct spec){ .v6 = v6, .held = true, .dir = dir, .flags = flags, .seq = seq, .ack = ack, .p = text, .n = text ? strlen(text) : 0 });
}

#define DELETE "DELETE /x HTTP/1.1\r\nHost: x\r\n\r\n"
#define GET "GET /x HTTP/1.1\r\nHost: x\r\n\r\n"

static void refuse_one(struct core *c, const struct l7_rule *rules, bool v6, uint32_t seq[2])
{
	l7_open(c, l7_policy(MODE_PROTECT, rules), v6, true, seq);
	CU_ASSERT_EQUAL(put(c, v6, UP, TCP_ACK | TCP_PSH, seq[UP], seq[DOWN], DELETE), rules[0].action);
	core_forget(c);
}

static void test_renewed(void)
{
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct core c = { 0 };
		uint32_t seq[2];

		refuse_one(&c, no_delete, v6, seq);
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_SYN, seq[UP] - 1, 0, NULL), VERDICT_DENY);	/* the SYN of the one that was refused */
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_SYN, 90000, 0, NULL), VERDICT_ALLOW);
		CU_ASSERT(c.told[EV_FLOW] == 1 && c.last[EV_FLOW].verdict == VERDICT_DENY && core_flow(&c)->verdict == VERDICT_PENDING);
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_SYN, 90000, 0, NULL), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(put(&c, v6, DOWN, TCP_SYN | TCP_ACK, 40000, 90001, NULL), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_ACK, 90001, 40001, NULL), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_ACK | TCP_PSH, 90001, 40001, GET), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(put(&c, v6, DOWN, TCP_ACK | TCP_PSH, 40001, 90001 + sizeof GET - 1, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_ACK | TCP_PSH, 90001 + sizeof GET - 1, 40039, DELETE), VERDICT_DENY);	/* judged by itself */
		core_close(&c);
	}
}

/* The responder still has the connection that was refused: its bytes do not pass behind another one's SYN. */
static void test_renewed_in_name_only(void)
{
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct core c = { 0 };
		uint32_t seq[2];

		refuse_one(&c, no_delete, v6, seq);
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_SYN, 90000, 0, NULL), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(put(&c, v6, DOWN, TCP_ACK, seq[DOWN], seq[UP], NULL), VERDICT_ALLOW);	/* where it is: the initiator's kernel resets it */
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_ACK | TCP_PSH, seq[UP], seq[DOWN], DELETE), VERDICT_DROP);
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_ACK | TCP_PSH, 90001, seq[DOWN], DELETE), VERDICT_DROP);
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_ACK | TCP_FIN, seq[UP], seq[DOWN], NULL), VERDICT_DROP);
		CU_ASSERT_EQUAL(put(&c, v6, DOWN, TCP_ACK | TCP_PSH, seq[DOWN], seq[UP], "answer"), VERDICT_DROP);
		/* A SYN/ACK that answers another SYN opens nothing. */
		CU_ASSERT_EQUAL(put(&c, v6, DOWN, TCP_SYN | TCP_ACK, 40000, 5, NULL), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_ACK | TCP_PSH, seq[UP], seq[DOWN], DELETE), VERDICT_DROP);
		/* Nor is it forgotten by a reset, nor by a SYN behind it. */
		CU_ASSERT_EQUAL(put(&c, v6, DOWN, TCP_RST | TCP_ACK, 0, 90001, NULL), VERDICT_ALLOW);
		core_tick(&c, 50 * SEC);
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_ACK | TCP_PSH, seq[UP], seq[DOWN], DELETE), VERDICT_DROP);
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_SYN, 91000, 0, NULL), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_ACK | TCP_PSH, seq[UP], seq[DOWN], DELETE), VERDICT_DROP);
		CU_ASSERT_EQUAL(put(&c, v6, DOWN, TCP_SYN | TCP_ACK, 40000, 91001, NULL), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_ACK, 91001, 40001, NULL), VERDICT_ALLOW);
		core_close(&c);
	}
}

static void test_dropped_stays(void)
{
	struct core c = { 0 };
	uint32_t seq[2];

	refuse_one(&c, drop_delete, false, seq);
	CU_ASSERT_EQUAL(put(&c, false, UP, TCP_SYN, seq[UP] - 1, 0, NULL), VERDICT_DROP);
	CU_ASSERT_EQUAL(put(&c, false, UP, TCP_SYN, 90000, 0, NULL), VERDICT_DROP);
	CU_ASSERT_EQUAL(put(&c, false, UP, TCP_ACK | TCP_PSH, seq[UP], seq[DOWN], GET), VERDICT_DROP);
	CU_ASSERT_EQUAL(c.told[EV_FLOW], 0);
	core_close(&c);
}

enum over { RESET_UP, RESET_DOWN, ENDED };

/* An open connection, and its end. */
static void end_one(struct core *c, bool v6, enum over how, uint32_t seq[2])
{
	l7_open(c, l7_policy(MODE_PROTECT, no_delete), v6, true, seq);
	switch (how) {
	case RESET_UP:
		put(c, v6, UP, TCP_RST, seq[UP], 0, NULL);
		break;
	case RESET_DOWN:
		put(c, v6, DOWN, TCP_RST | TCP_ACK, seq[DOWN], seq[UP], NULL);
		break;
	case ENDED:
		put(c, v6, UP, TCP_ACK | TCP_FIN, seq[UP], seq[DOWN], NULL);
		put(c, v6, DOWN, TCP_ACK | TCP_FIN, seq[DOWN], seq[UP] + 1, NULL);
		put(c, v6, UP, TCP_ACK, seq[UP] + 1, seq[DOWN] + 1, NULL);
		break;
	}
	CU_ASSERT_EQUAL(core_flow(c)->state, FLOW_CLOSED);
}

/* A SYN under the number of the connection before it begins another one all the same. */
static void test_same_number(void)
{
	for (unsigned i = 0; i < 6; i++) {
		struct core c = { 0 };
		bool v6 = i & 1;
		uint32_t seq[2];

		end_one(&c, v6, (enum over)(i / 2), seq);
		CU_ASSERT_EQUAL(put(&c, v6, DOWN, TCP_SYN | TCP_ACK, seq[DOWN] - 1, seq[UP], NULL), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_SYN | TCP_ACK, seq[UP] - 1, seq[DOWN], NULL), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(c.told[EV_FLOW], 0);
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_SYN, seq[UP] - 1, 0, NULL), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(put(&c, v6, DOWN, TCP_SYN | TCP_ACK, 70000, seq[UP], NULL), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(c.told[EV_FLOW], 1);
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_ACK, seq[UP], 70001, NULL), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_ACK | TCP_PSH, seq[UP], 70001, DELETE), VERDICT_DENY);
		core_close(&c);
	}
}

/* A SYN that a reset answered, and that is sent again: one connection, unless it is accepted then. */
static void test_refused_by_the_responder(void)
{
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct core c = { 0 };
		struct policy *p = l7_policy(MODE_PROTECT, no_delete);

		core_open(&c, NULL);
		dpi_set_policy(c.d, p);
		policy_unref(p);
		for (unsigned i = 0; i < 2; i++) {
			CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_SYN, 1000, 0, NULL), VERDICT_ALLOW);
			CU_ASSERT_EQUAL(put(&c, v6, DOWN, TCP_RST | TCP_ACK, 0, 1001, NULL), VERDICT_ALLOW);
		}
		CU_ASSERT(core_flow(&c)->state == FLOW_CLOSED && core_flow(&c)->pkts[UP] == 2);
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_SYN | TCP_ACK, 1000, 5001, NULL), VERDICT_ALLOW);	/* nobody's answer */
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_SYN, 1000, 0, NULL), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(c.told[EV_FLOW], 0);
		CU_ASSERT_EQUAL(put(&c, v6, DOWN, TCP_SYN | TCP_ACK, 5000, 1001, NULL), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(c.told[EV_FLOW], 1);
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_ACK, 1001, 5001, NULL), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_ACK | TCP_PSH, 1001, 5001, DELETE), VERDICT_DENY);
		core_close(&c);
	}
}

/* A responder that keeps nothing before it is accepted (SYN cookies) takes what comes behind the end for the beginning. */
static void test_behind_the_end(void)
{
	for (unsigned i = 0; i < 6; i++) {
		struct core c = { 0 };
		bool v6 = i & 1;
		uint32_t seq[2];

		end_one(&c, v6, (enum over)(i / 2), seq);
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_ACK, seq[UP], seq[DOWN], NULL), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_ACK | TCP_PSH, seq[UP], seq[DOWN], DELETE), VERDICT_DROP);
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_ACK | TCP_FIN, seq[UP], seq[DOWN], DELETE), VERDICT_DROP);
		CU_ASSERT_EQUAL(put(&c, v6, DOWN, TCP_ACK | TCP_PSH, seq[DOWN], seq[UP], "late"), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(put(&c, v6, UP, TCP_RST, seq[UP], 0, "why"), VERDICT_ALLOW);
		core_close(&c);
	}
	for (unsigned held = 0; held < 2; held++) {
		const struct spec open_[] = { { .flags = TCP_SYN, .seq = 1000, .held = held }, { .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 5000, .ack = 1001, .held = held },
					      { .flags = TCP_RST, .seq = 1001, .held = held } };
		struct core c = { 0 };
		struct policy *p = l7_policy(MODE_PROTECT, no_delete);

		core_open(&c, NULL);
		dpi_set_policy(c.d, p);
		policy_unref(p);
		for (unsigned i = 0; i < 3; i++)
			CU_ASSERT_EQUAL(core_send(&c, &open_[i]), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(core_flow(&c)->state, FLOW_CLOSED);
		CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 1001, .ack = 5001, .p = DELETE, .n = sizeof DELETE - 1, .held = held }),
				held ? VERDICT_DROP : VERDICT_ALLOW);
		core_close(&c);
	}
}

const struct unit_test tests_renewed[] = {
	{ "judged by itself", test_renewed },
	{ "a new one in name only", test_renewed_in_name_only },
	{ "dropped silently: no new one", test_dropped_stays },
	{ "under the number of the one before", test_same_number },
	{ "refused by the responder, and sent again", test_refused_by_the_responder },
	{ "bytes behind the end", test_behind_the_end },
	{ NULL, NULL },
};
