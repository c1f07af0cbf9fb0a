/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's side is net/packet/af_packet.c and Documentation/networking/packet_mmap.rst; the structures are those of
 * linux/if_packet.h.
 *
 * Opening: the socket has no protocol at first and a filter that refuses all, so that nothing gets in before it is bound to its
 * device, and with fanout nothing before it has joined the others (a member that is bound and has not joined gets every frame).
 *
 * A device that goes down stops the ring and tells ENETDOWN once; when it comes up the kernel starts the ring again by itself. A device
 * that is deleted leaves the socket with the interface index -1 for ever: it must be opened anew. */
#include "tc/ring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/if_ether.h>

#include "base/log.h"
#include "tc/steer.h"

#define BLOCKS_MIN 2u
#define FRAME_SIZE 2048u	/* of no meaning to version 3 but that it must divide the block */

static struct tpacket_block_desc *block(const struct ring *r, uint32_t i)
{
	return (struct tpacket_block_desc *)(void *)(r->map + (size_t)i * r->block_size);
}

static bool block_ready(const struct ring *r, uint32_t i)
{
	return __atomic_load_n(&block(r, i)->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER;
}

/* ---- opening ---- */

static int set(int fd, int option, const void *value, socklen_t len, const char *what, struct err *err)
{
	if (setsockopt(fd, SOL_PACKET, option, value, len))
		return err_set(err, -errno, "%s: %s", what, strerror(errno));
	return 0;
}

/* What cannot be had at once is tried with fewer blocks: a smaller ring loses packets under load, none loses all. */
static int set_size(struct ring *r, const struct ring_conf *c, struct err *err)
{
	struct tpacket_req3 req = { .tp_block_size = c->block_size, .tp_frame_size = FRAME_SIZE, .tp_retire_blk_tov = c->retire_ms };

	for (uint32_t blocks = c->blocks; blocks >= BLOCKS_MIN; blocks /= 2) {
		req.tp_block_nr = blocks;
		req.tp_frame_nr = blocks * (c->block_size / FRAME_SIZE);
		if (!setsockopt(r->fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof req)) {
			if (blocks != c->blocks)
				log_warn(TC, "ring: memory for %u blocks of %u bytes only, not %u: lower tc.ring or add memory", blocks, c->block_size, c->blocks);
			r->block_size = c->block_size;
			r->blocks = blocks;
			return 0;
		}
		if (errno != ENOMEM)
			break;
	}
	return err_set(err, -errno, "ring of %u blocks of %u bytes (locked kernel memory): %s: lower tc.ring", c->blocks, c->block_size, strerror(errno));
}

static int refuse_all(int fd, struct err *err)
{
	struct sock_filter none = { .code = BPF_RET | BPF_K, .k = 0 };
	struct sock_fprog prog = { .len = 1, .filter = &none };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof prog) ? err_set(err, -errno, "socket filter: %s", strerror(errno)) : 0;
}

static int join(int fd, const struct ring_conf *c, struct err *err)
{
	struct sock_filter code[STEER_CODE_MAX];
	int group = c->fanout_group | PACKET_FANOUT_CBPF << 16, rc;
	struct sock_fprog prog;

	if (!c->fanout_group || c->fanout_workers <= 1)
		return 0;
	memset(&prog, 0, sizeof prog);	/* the kernel is handed its padding too */
	prog.len = (unsigned short)steer_program(code);
	prog.filter = code;
	rc = set(fd, PACKET_FANOUT, &group, sizeof group, "fanout group", err);
	return rc ? rc : set(fd, PACKET_FANOUT_DATA, &prog, sizeof prog, "fanout program", err);
}

static int bind_to(struct ring *r, int ifindex, struct err *err)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = ifindex };

	if (bind(r->fd, (struct sockaddr *)&ll, sizeof ll))
		return err_set(err, -errno, "binding to interface %d: %s", ifindex, strerror(errno));
	return 0;
}

int ring_open(struct ring *r, const struct ring_conf *c, struct err *err)
{
	int version = TPACKET_V3, on = 1, rc;
	void *map;

	memset(r, 0, sizeof *r);
	r->ifindex = c->ifindex;
	r->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (r->fd < 0)
		return err_set(err, -errno, "packet socket: %s", strerror(errno));
	rc = set(r->fd, PACKET_VERSION, &version, sizeof version, "TPACKET_V3", err);
	if (!rc)
		rc = set(r->fd, PACKET_VNET_HDR, &on, sizeof on, "PACKET_VNET_HDR", err);
	if (!rc)
		rc = set_size(r, c, err);
	if (rc)
		goto fail;
	map = mmap(NULL, (size_t)r->block_size * r->blocks, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (map == MAP_FAILED) {
		rc = err_set(err, -errno, "mapping the ring: %s", strerror(errno));
		goto fail;
	}
	r->map = map;
	rc = refuse_all(r->fd, err);
	if (!rc)
		rc = bind_to(r, c->ifindex, err);
	if (!rc)
		rc = join(r->fd, c, err);
	if (!rc && setsockopt(r->fd, SOL_SOCKET, SO_DETACH_FILTER, &on, sizeof on))
		rc = err_set(err, -errno, "socket filter: %s", strerror(errno));
	if (!rc)
		return 0;
fail:
	ring_close(r);
	return rc;
}

void ring_close(struct ring *r)
{
	if (r->map)
		munmap(r->map, (size_t)r->block_size * r->blocks);
	if (r->fd >= 0)
		close(r->fd);
	r->map = NULL;
	r->fd = -1;
}

/* ---- reading ---- */

const struct tpacket3_hdr *ring_peek(struct ring *r)
{
	while (!r->left) {
		struct tpacket_block_desc *b = block(r, r->cur);

		if (r->unreleased == r->blocks || !block_ready(r, r->cur))
			return NULL;
		r->left = b->hdr.bh1.num_pkts;
		r->next = (uint8_t *)b + b->hdr.bh1.offset_to_first_pkt;
		if (!r->left) {		/* nothing in it */
			r->cur = (r->cur + 1) % r->blocks;
			r->unreleased++;
		}
	}
	return (const struct tpacket3_hdr *)(void *)r->next;
}

void ring_take(struct ring *r)
{
	const struct tpacket3_hdr *h = (const struct tpacket3_hdr *)(void *)r->next;

	if (--r->left) {
		r->next += h->tp_next_offset;
		__builtin_prefetch(r->next);
		return;
	}
	r->cur = (r->cur + 1) % r->blocks;
	r->unreleased++;
}

void ring_release(struct ring *r)
{
	for (; r->unreleased; r->unreleased--) {
		uint32_t i = (r->cur + r->blocks - r->unreleased) % r->blocks;

		__atomic_store_n(&block(r, i)->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	}
}

bool ring_idle(const struct ring *r)
{
	return !r->left && !block_ready(r, r->cur) && !__atomic_load_n(&block(r, r->cur)->hdr.bh1.num_pkts, __ATOMIC_ACQUIRE);
}

bool ring_pressed(const struct ring *r)
{
	return block_ready(r, (r->cur + r->blocks / 2) % r->blocks);
}

/* ---- state ---- */

int ring_check(struct ring *r)
{
	struct sockaddr_ll ll;
	struct ifreq ifr;
	socklen_t len = sizeof ll;
	int e = 0;

	if (!getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &e, &(socklen_t){ sizeof e }) && e)
		r->down = true;
	memset(&ll, 0, sizeof ll);
	if (getsockname(r->fd, (struct sockaddr *)&ll, &len) || ll.sll_ifindex != r->ifindex)
		return -ENODEV;
	memset(&ifr, 0, sizeof ifr);
	ifr.ifr_ifindex = r->ifindex;
	if (ioctl(r->fd, SIOCGIFNAME, &ifr) || ioctl(r->fd, SIOCGIFFLAGS, &ifr))
		return -ENODEV;
	if (ifr.ifr_flags & IFF_UP)
		r->down = false;
	return 0;
}

uint64_t ring_drops(struct ring *r)
{
	struct tpacket_stats_v3 s;
	socklen_t len = sizeof s;

	memset(&s, 0, sizeof s);
	if (!getsockopt(r->fd, SOL_PACKET, PACKET_STATISTICS, &s, &len)) {	/* the kernel's counters begin anew with each question */
		__atomic_fetch_add(&r->freezes, s.tp_freeze_q_cnt, __ATOMIC_RELAXED);
		__atomic_fetch_add(&r->drops, s.tp_drops, __ATOMIC_RELAXED);
		if (s.tp_freeze_q_cnt)
			log_debug(TC, "ring of interface %d: full %u times", r->ifindex, s.tp_freeze_q_cnt);
	}
	return __atomic_load_n(&r->drops, __ATOMIC_RELAXED);
}
