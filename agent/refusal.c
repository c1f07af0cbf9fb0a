/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/refusal.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#define MACS 12u
#define MAC_LOCAL 0x02	/* in the first byte: administered locally */

struct refuser {
	int fd4, fd6, link;	/* raw sockets of the node, fd6 -1: no IPv6 here; the packet socket */
};

void refusal_ends(const struct dpi_refused *d, struct reply_end end[2])
{
	for (int i = 0; i < 2; i++)
		end[i] = (struct reply_end){
			.addr = i ? d->tuple.dst : d->tuple.src, .port = i ? d->tuple.dport : d->tuple.sport,
			.known = d->sent[i].known, .acks = d->sent[i].acks, .sent = d->sent[i].end, .acked = d->sent[i].acked,
		};
}

void refusal_of(const struct dpi_refused *d, struct refusal *r)
{
	memset(r, 0, sizeof *r);
	r->tuple = d->tuple;
	r->view = d->view;
	r->ts = d->ts;
	r->silent = !d->frame;
	r->to_client = d->to_client;
	r->verdict = (uint8_t)d->verdict;
	refusal_ends(d, r->end);
	memcpy(r->workload, d->workload, sizeof r->workload);
	if (d->frame && d->frame->link == LINK_ETHERNET && d->frame->caplen >= MACS) {
		memcpy(r->mac_dst, d->frame->data, 6);
		memcpy(r->mac_src, d->frame->data + 6, 6);
	}
	if (d->frame && d->tuple.ipproto == IPPROTO_UDP) {
		r->quote_len = (uint16_t)(d->ip.n < REFUSAL_QUOTE ? d->ip.n : REFUSAL_QUOTE);
		memcpy(r->quote, d->ip.p, r->quote_len);
	}
}

static void to_link(const struct refuser *r, const struct refusal *f, int side, const struct refusal_end *end, const struct reply *k)
{
	uint8_t frame[ETH_HLEN + REPLY_MAX];
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_ifindex = end->ifindex, .sll_halen = 6 };
	bool v4 = k->b[0] >> 4 == 4, sender = side == f->to_client;

	/* From whom it gets packets of this flow, or to whom it sends them. */
	memcpy(frame, end->mac, 6);
	memcpy(frame + 6, f->silent ? end->mac : sender ? f->mac_dst : f->mac_src, 6);
	frame[6] ^= f->silent ? MAC_LOCAL : 0;	/* nobody's; who asked for it is not checked */
	frame[12] = v4 ? ETH_P_IP >> 8 : ETH_P_IPV6 >> 8;
	frame[13] = v4 ? ETH_P_IP & 0xff : ETH_P_IPV6 & 0xff;
	memcpy(frame + ETH_HLEN, k->b, k->n);
	ll.sll_protocol = htons(v4 ? ETH_P_IP : ETH_P_IPV6);
	(void)!sendto(r->link, frame, ETH_HLEN + k->n, MSG_DONTWAIT, (struct sockaddr *)&ll, sizeof ll);	/* the veth may just have gone: nobody is to be told */
}

static void to_route(const struct refuser *r, const struct addr *to, const struct reply *k)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in a4 = { .sin_family = AF_INET };

	if (addr_is_v4(to)) {
		memcpy(&a4.sin_addr, to->b + 12, 4);
		(void)!sendto(r->fd4, k->b, k->n, MSG_DONTWAIT, (struct sockaddr *)&a4, sizeof a4);	/* out of reach: nobody is to be told */
	} else if (r->fd6 >= 0) {
		memcpy(&a6.sin6_addr, to->b, 16);
		(void)!sendto(r->fd6, k->b, k->n, MSG_DONTWAIT, (struct sockaddr *)&a6, sizeof a6);
	}
}

static void tell(const struct refuser *r, const struct refusal *f, int side, const struct refusal_end end[2], const struct reply *k)
{
	if (end[side].ifindex)
		to_link(r, f, side, &end[side], k);
	else
		to_route(r, side ? &f->tuple.dst : &f->tuple.src, k);
}

/* A RST to this side, as from the other. */
static void reset_side(const struct refuser *r, const struct refusal *f, int side, const struct refusal_end end[2])
{
	const struct reply_end *to = &f->end[side], *peer = &f->end[!side];
	bool probe = f->silent && !(to->known && peer->known);
	struct reply k[2];
	unsigned n = 1;

	if (probe)
		reply_probe(&k[0], to, peer);
	else
		n = reply_resets(k, to, peer);
	for (unsigned i = 0; i < n; i++)
		tell(r, f, side, end, &k[i]);
}

static bool one_host(const struct addr *a) { return !addr_is_multicast(a) && !addr_is_zero(a); }

void refuser_tell(struct refuser *r, const struct refusal *f, const struct refusal_end end[2])
{
	int sender = f->to_client;
	struct reply k;

	if (f->verdict != VERDICT_DENY || !one_host(&f->tuple.src) || !one_host(&f->tuple.dst))
		return;
	if (f->tuple.ipproto == IPPROTO_TCP) {
		reset_side(r, f, 0, end);
		reset_side(r, f, 1, end);
	} else if (f->tuple.ipproto == IPPROTO_UDP && !f->silent) {
		reply_unreachable(&k, sender ? &f->tuple.src : &f->tuple.dst, sender ? &f->tuple.dst : &f->tuple.src, f->quote, f->quote_len);
		tell(r, f, sender, end, &k);
	}
}

/* ---- opening ---- */

struct refuser *refuser_open(uint32_t mark, struct err *err)
{
	struct refuser *r = calloc(1, sizeof *r);
	int on = 1;

	if (!r) {
		err_set(err, -ENOMEM, "no memory to refuse with");
		return NULL;
	}
	r->fd4 = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	r->fd6 = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	r->link = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (r->fd4 < 0 || r->link < 0 || setsockopt(r->fd4, SOL_SOCKET, SO_MARK, &mark, sizeof mark) || setsockopt(r->link, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on) ||
	    (r->fd6 >= 0 && (setsockopt(r->fd6, SOL_SOCKET, SO_MARK, &mark, sizeof mark) || setsockopt(r->fd6, IPPROTO_IPV6, IPV6_HDRINCL, &on, sizeof on)))) {
		err_set(err, -errno, "sockets to refuse with: %s", strerror(errno));
		refuser_close(r);
		return NULL;
	}
	return r;
}

void refuser_close(struct refuser *r)
{
	if (!r)
		return;
	for (int *fd = (int[]){ r->fd4, r->fd6, r->link, -2 }; *fd != -2; fd++)
		if (*fd >= 0)
			close(*fd);
	free(r);
}
