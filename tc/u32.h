/* SPDX-License-Identifier: GPL-2.0-or-later */
/* u32: one of our u32 filters (a node or a table of nodes) as a value, to and from netlink attributes.
 *
 * Handles are table (12 bits) : bucket (8) : node (12). The root table of a preference is numbered by the kernel; here it
 * is always U32_ROOT. What is read back and has something that we never write is `odd`: it equals nothing. */
#ifndef TQ_TC_U32_H
#define TQ_TC_U32_H

#include <stdbool.h>
#include <stdint.h>

#include <netlink/msg.h>

#define U32_KEYS_MAX 12
#define U32_ROOT 0x800u
#define U32_HANDLE(table, bucket, node) ((uint32_t)(table) << 20 | (uint32_t)(bucket) << 12 | (uint32_t)(node))
#define U32_TABLE(handle) ((handle) >> 20)
#define U32_BUCKET(handle) ((handle) >> 12 & 0xff)
#define U32_NODE(handle) ((handle) & 0xfff)

struct u32_key {
	uint32_t value, mask;	/* host order, of the big-endian word at `off` */
	int32_t off;		/* bytes from where the header in hand begins ... */
	bool next;		/* ... or from the next one, where a link with an offset and without TC_U32_EAT led here */
};

struct u32_filter {
	uint32_t handle;
	uint32_t kernel_handle;	/* as the kernel numbers it (read back only; not compared) */
	uint16_t pref;
	uint16_t ethertype;	/* host order; ETH_P_ALL */
	uint16_t divisor;	/* > 0: a table of that many buckets; nothing below then */
	uint8_t nkeys;		/* 0: matches every packet, however short */
	uint8_t flags;		/* TC_U32_TERMINAL, TC_U32_OFFSET, TC_U32_VAROFFSET, TC_U32_EAT */
	uint8_t offshift;
	uint16_t offmask, off;	/* where the next header begins: off + ((half word at offoff & offmask) >> offshift) */
	int16_t offoff;
	int16_t hoff;		/* bucket of the linked table: (word at hoff & hmask) >> trailing zeros of hmask */
	uint32_t hmask;
	struct u32_key key[U32_KEYS_MAX];
	uint32_t link;		/* table to go on in; 0: none */
	uint32_t classid;	/* ends classification; 0: none */
	int mirror_to;		/* ifindex of `mirred egress mirror ... continue`; 0: no action */
	bool redirect;		/* ... of `mirred egress redirect`: the packet goes there instead of on */
	bool made;		/* in the action's cookie: the clsact was made by us */
	uint32_t prog;		/* a program of the bpf engine, by the kernel's number for it (clsbpf.h); nothing between pref, ethertype and `made` then */
	bool odd;
};

/* Where a filter stands: a hook of a device, or a block. */
struct u32_place {
	int ifindex;		/* TCM_IFINDEX_MAGIC_BLOCK for a block */
	uint32_t parent;	/* TC_H_MAKE(TC_H_CLSACT, hook), or the block's number */
};

/* Messages; NULL when there is no memory. Caller frees (nlmsg_free). A change of a filter that stands (kernel_handle given)
 * swaps link, classid and action in one step; the kernel keeps its keys. */
struct nl_msg *u32_put(const struct u32_place *, const struct u32_filter *);
struct nl_msg *u32_delete(const struct u32_place *, const struct u32_filter *);
struct nl_msg *u32_delete_pref(const struct u32_place *, uint16_t pref, uint16_t ethertype);

/* What both kinds of messages begin with. */
struct nl_msg *u32_message(int type, int flags, const struct u32_place *, uint32_t handle, uint16_t pref, uint16_t ethertype);

enum u32_what {
	U32_NOTHING,	/* a heading of a preference, a table that is not ours: no filter */
	U32_OURS,	/* *out is filled */
	U32_FOREIGN,	/* somebody else's filter, of any kind */
	U32_FOREIGN_TABLE,	/* somebody else's u32 table with a number of ours in our range: in the way */
};
/* Reads one message of a filter dump. Ours: u32, chain 0, and at one of our six preferences, or in our range with a table number, a class or a cookie of ours. */
enum u32_what u32_parse(const struct nlmsghdr *, struct u32_filter *out);

bool u32_equal(const struct u32_filter *, const struct u32_filter *);
/* Equal but for what a change in place can mend. */
bool u32_replaceable(const struct u32_filter *, const struct u32_filter *);
/* "ingress pref 49000 741:10:1" for error texts. */
const char *u32_name(const struct u32_filter *, int hook, char buf[64]);

#endif
