/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packet messages, as libmnl writes them: whole, cut at every length, and with attributes that make no sense. */
#include <arpa/inet.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter/nfnetlink_queue.h>

#include "nfq/queued.h"
#include "tests/unit/unit.h"

#define SECONDS 1767323045ULL

static const char payload[] = "an odd number of bytes";

static struct nlmsghdr *message(char *buf, size_t n)
{
	struct nfqnl_msg_packet_hdr ph = { .packet_id = htonl(77), .hw_protocol = htons(0x86dd), .hook = 1 };
	struct nfqnl_msg_packet_timestamp t = { htobe64(SECONDS), htobe64(123456) };
	struct nlmsghdr *h = nfq_nlmsg_put(buf, NFQNL_MSG_PACKET, 0x102);

	mnl_attr_put(h, NFQA_PACKET_HDR, sizeof ph, &ph);
	mnl_attr_put_u32(h, NFQA_IFINDEX_INDEV, htonl(3));
	mnl_attr_put(h, NFQA_TIMESTAMP, sizeof t, &t);
	mnl_attr_put_u32(h, NFQA_CAP_LEN, htonl(9000));
	mnl_attr_put_u32(h, NFQA_SKB_INFO, htonl(NFQA_SKB_GSO));
	mnl_attr_put(h, NFQA_PAYLOAD, n, payload);
	return h;
}

/* The last `n` bytes of a block of exactly this size, so that the sanitized build sees one byte read too far. */
static void *copy_of(const void *p, size_t n)
{
	void *c = malloc(n ? n : 1);

	if (c && n)
		memcpy(c, p, n);
	return c;
}

static void test_whole(void)
{
	for (size_t n = 1; n < sizeof payload; n++) {
		char buf[512] = { 0 };
		struct nlmsghdr *h = message(buf, n), *c = copy_of(h, h->nlmsg_len);
		struct queued q;

		CU_ASSERT(queued_read(c, h->nlmsg_len, true, &q));
		CU_ASSERT(q.id == 77 && q.queue == 0x102 && q.hook == 1 && q.wirelen == 9000 && q.info == NFQA_SKB_GSO);
		CU_ASSERT_EQUAL(q.ts, (int64_t)SECONDS * 1000000000 + 123456000);
		CU_ASSERT(q.data && q.n == n && memcmp(q.data, payload, n) == 0);
		free(c);
	}
}

/* The id is known from its own attribute on; the packet only when all of it is there, and not when the rest was said to be cut off. */
static void test_cut(void)
{
	char buf[512] = { 0 };
	struct nlmsghdr *h = message(buf, 21);
	size_t id = MNL_NLMSG_HDRLEN + sizeof(struct nfgenmsg) + MNL_ATTR_HDRLEN + sizeof(struct nfqnl_msg_packet_hdr), end = h->nlmsg_len - 3;	/* less what pads */

	for (size_t n = 0; n <= h->nlmsg_len; n++) {
		void *c = copy_of(h, n);
		struct queued q;

		CU_ASSERT_EQUAL(queued_read(c, n, true, &q), n >= id);
		CU_ASSERT_EQUAL(q.data != NULL, n >= end);
		CU_ASSERT_EQUAL(queued_read(c, n, false, &q), n >= id);
		CU_ASSERT(!q.data && (n < id || q.id == 77));
		free(c);
	}
}

/* Lengths of attributes that are too long, or shorter than their own head: no packet, but its id, unless it is the first one's. */
static void test_false_lengths(void)
{
	static const uint16_t lengths[] = { 0, 1, 3, 600, UINT16_MAX };

	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		for (unsigned which = 0; which < 6; which++) {
			char buf[512] = { 0 };
			struct nlmsghdr *h = message(buf, 8);
			struct nlattr *a = mnl_nlmsg_get_payload_offset(h, sizeof(struct nfgenmsg));
			struct queued q;

			for (unsigned k = 0; k < which; k++)
				a = mnl_attr_next(a);
			a->nla_len = lengths[i];
			CU_ASSERT_EQUAL(queued_read(h, h->nlmsg_len, true, &q), which > 0);
			CU_ASSERT_PTR_NULL(q.data);
		}
	}
}

/* A clock that is out of its mind, or no time at all: none is told. */
static void test_times(void)
{
	static const uint64_t times[][2] = { { UINT64_MAX, 0 }, { 1ULL << 40, 0 }, { SECONDS, 1000000 }, { SECONDS, UINT64_MAX } };

	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		struct nfqnl_msg_packet_hdr ph = { .packet_id = htonl(1) };
		struct nfqnl_msg_packet_timestamp t = { htobe64(times[i][0]), htobe64(times[i][1]) };
		char buf[512] = { 0 };
		struct nlmsghdr *h = nfq_nlmsg_put(buf, NFQNL_MSG_PACKET, 0);
		struct queued q;

		mnl_attr_put(h, NFQA_PACKET_HDR, sizeof ph, &ph);
		mnl_attr_put(h, NFQA_TIMESTAMP, sizeof t, &t);
		mnl_attr_put(h, NFQA_PAYLOAD, 4, payload);
		CU_ASSERT(queued_read(h, h->nlmsg_len, true, &q) && q.data && q.n == 4);
		CU_ASSERT_EQUAL(q.ts, 0);
	}
}

const struct unit_test tests_queued[] = {
	{ "whole messages", test_whole },
	{ "cut at every length", test_cut },
	{ "attributes with false lengths", test_false_lengths },
	{ "times that cannot be", test_times },
	{ NULL, NULL },
};
