/* SPDX-License-Identifier: GPL-2.0-or-later */
/* accept QUEUE single|batch|mark: lets every packet of a queue pass, and does nothing else: the ceiling of what answers a queue.
 *   single   one verdict a packet
 *   batch    one verdict for all that were there, when there is nothing more or after BATCH
 *   mark     each packet goes round once more (NF_REPEAT) with MARK on it; the rules save that to the connection, whose packets skip the queue then
 * Prints a line when it listens, and at SIGTERM how many packets it had. */
#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/bench/programs/ceiling.h"

#define ROOM (0xffff + 4096)
#define RECEIVE_BUFFER (8 << 20)
#define BATCH 64u
#define MARK 0x1000u

static void send_to(struct mnl_socket *nl, struct nlmsghdr *h)
{
	if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
		die("send");
}

static void configure(struct mnl_socket *nl, unsigned queue, char *buf)
{
	uint32_t flags = NFQA_CFG_F_FAIL_OPEN | NFQA_CFG_F_GSO;
	struct nlmsghdr *h = nfq_nlmsg_put(buf, NFQNL_MSG_CONFIG, queue);

	nfq_nlmsg_cfg_put_cmd(h, AF_INET, NFQNL_CFG_CMD_BIND);
	send_to(nl, h);
	h = nfq_nlmsg_put(buf, NFQNL_MSG_CONFIG, queue);
	nfq_nlmsg_cfg_put_params(h, NFQNL_COPY_PACKET, 0xffff);
	mnl_attr_put_u32(h, NFQA_CFG_FLAGS, htonl(flags));
	mnl_attr_put_u32(h, NFQA_CFG_MASK, htonl(flags));
	mnl_attr_put_u32(h, NFQA_CFG_QUEUE_MAXLEN, htonl(8192));
	send_to(nl, h);
}

static void answer(struct mnl_socket *nl, unsigned queue, bool batch, bool mark, uint32_t id)
{
	char buf[4096];
	struct nlmsghdr *h = nfq_nlmsg_put(buf, batch ? NFQNL_MSG_VERDICT_BATCH : NFQNL_MSG_VERDICT, queue);

	nfq_nlmsg_verdict_put(h, (int)id, mark ? NF_REPEAT : NF_ACCEPT);
	if (mark)
		nfq_nlmsg_verdict_put_mark(h, MARK);
	send_to(nl, h);
}

static uint32_t id_of(const struct nlmsghdr *h)
{
	struct nlattr *attr[NFQA_MAX + 1] = { 0 };
	struct nfqnl_msg_packet_hdr *p;

	if (nfq_nlmsg_parse(h, attr) < 0 || !attr[NFQA_PACKET_HDR])
		return 0;
	p = mnl_attr_get_payload(attr[NFQA_PACKET_HDR]);
	return ntohl(p->packet_id);
}

int main(int argc, char **argv)
{
	static char buf[ROOM];
	struct mnl_socket *nl;
	unsigned queue, waiting = 0;
	unsigned long packets = 0;
	int size = RECEIVE_BUFFER, on = 1;
	bool batch, mark;
	uint32_t last = 0;

	if (argc != 3) {
		fprintf(stderr, "accept QUEUE single|batch|mark\n");
		return 2;
	}
	queue = (unsigned)atoi(argv[1]);
	batch = !strcmp(argv[2], "batch");
	mark = !strcmp(argv[2], "mark");
	nl = mnl_socket_open(NETLINK_NETFILTER);
	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		die("netlink");
	configure(nl, queue, buf);
	if (setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		die("receive buffer");
	mnl_socket_setsockopt(nl, NETLINK_NO_ENOBUFS, &on, sizeof(on));
	tell_listening();
	while (!stop) {
		ssize_t n = recv(mnl_socket_get_fd(nl), buf, sizeof(buf), waiting ? MSG_DONTWAIT : 0);

		if (n < 0 && errno == EAGAIN) {
			answer(nl, queue, true, false, last);
			waiting = 0;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			die("recv");
		for (struct nlmsghdr *h = (struct nlmsghdr *)buf; mnl_nlmsg_ok(h, (int)n); h = mnl_nlmsg_next(h, (int *)&n)) {
			if (h->nlmsg_type == NLMSG_ERROR) {
				errno = -((struct nlmsgerr *)mnl_nlmsg_get_payload(h))->error;
				if (errno)
					die("the kernel refused");
				continue;
			}
			packets++;
			last = id_of(h);
			if (!batch)
				answer(nl, queue, false, mark, last);
			else if (++waiting == BATCH)
				answer(nl, queue, true, false, last), waiting = 0;
		}
	}
	printf("%lu packets\n", packets);
	return 0;
}
