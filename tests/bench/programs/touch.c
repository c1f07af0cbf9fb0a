/* SPDX-License-Identifier: GPL-2.0-or-later */
/* touch DEVICE: a TPACKET_V3 ring on the mirror's bridge, the first 64 bytes of each packet touched, and nothing else: the ceiling of what reads
 * copies. Ring and options as tapqd's (tc/ring.c). Prints a line when it listens, and at SIGTERM how many packets it had and how many the kernel dropped. */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "tests/bench/programs/ceiling.h"

#define BLOCK (1u << 20)
#define BLOCKS 64u

static uint8_t *open_ring(const char *device, int *out)
{
	struct tpacket_req3 req = { .tp_block_size = BLOCK, .tp_block_nr = BLOCKS, .tp_frame_size = 2048, .tp_frame_nr = BLOCK / 2048 * BLOCKS, .tp_retire_blk_tov = 10 };
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(device) };
	int version = TPACKET_V3, on = 1, fd = socket(AF_PACKET, SOCK_RAW, 0);
	void *ring;

	if (fd < 0 || !to.sll_ifindex)
		die(device);
	if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)))
		die("ring");
	ring = mmap(NULL, (size_t)BLOCK * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (ring == MAP_FAILED || bind(fd, (struct sockaddr *)&to, sizeof(to)))
		die("ring");
	*out = fd;
	return ring;
}

static uint64_t touch_block(struct tpacket_block_desc *b, unsigned long *packets)
{
	struct tpacket3_hdr *h = (struct tpacket3_hdr *)((uint8_t *)b + b->hdr.bh1.offset_to_first_pkt);
	uint64_t sum = 0;

	for (uint32_t i = 0; i < b->hdr.bh1.num_pkts; i++) {
		uint64_t words[8] = { 0 };

		memcpy(words, (uint8_t *)h + h->tp_mac, h->tp_snaplen < sizeof(words) ? h->tp_snaplen : sizeof(words));
		for (unsigned k = 0; k < 8; k++)
			sum += words[k];
		h = (struct tpacket3_hdr *)((uint8_t *)h + h->tp_next_offset);
	}
	*packets += b->hdr.bh1.num_pkts;
	return sum;
}

int main(int argc, char **argv)
{
	struct tpacket_stats_v3 stats = { 0 };
	socklen_t len = sizeof(stats);
	unsigned long packets = 0;
	uint64_t sum = 0;
	uint8_t *ring;
	int fd;

	if (argc != 2) {
		fprintf(stderr, "touch DEVICE\n");
		return 2;
	}
	ring = open_ring(argv[1], &fd);
	tell_listening();
	for (unsigned at = 0; !stop;) {
		struct tpacket_block_desc *b = (struct tpacket_block_desc *)(ring + (size_t)at * BLOCK);

		if (!(__atomic_load_n(&b->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)) {
			poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 100);
			continue;
		}
		sum += touch_block(b, &packets);
		__atomic_store_n(&b->hdr.bh1.block_status, (uint32_t)TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		at = (at + 1) % BLOCKS;
	}
	getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len);
	printf("%lu packets %u dropped %016llx\n", packets, stats.tp_drops, (unsigned long long)sum);
	return 0;
}
