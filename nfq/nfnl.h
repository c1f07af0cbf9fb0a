/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfnl: nf_tables requests over nfnetlink by libmnl. On this thread's netns. */
#ifndef TQ_NFQ_NFNL_H
#define TQ_NFQ_NFNL_H

#include <stdint.h>

#include <libmnl/libmnl.h>

#include "base/err.h"

struct nfnl {
	struct mnl_socket *nl;
	unsigned seq;
};

int nfnl_open(struct nfnl *, struct err *);	/* connected; 0 or -errno */
void nfnl_close(struct nfnl *);

/* Sends one request (an NFT_MSG_... type) for all families and gives each answer to fn. A table that changes while it is dumped (EINTR)
 * is told as -EAGAIN. 0 or -errno. */
int nfnl_ask(struct nfnl *, uint16_t type, uint16_t flags, mnl_cb_t fn, void *ctx);

struct nfnl_attrs {
	const struct nlattr *a[32];	/* by type; NULL: absent */
};
struct nfnl_attrs nfnl_attrs(const struct nlmsghdr *);
struct nfnl_attrs nfnl_nested(const struct nlattr *nest);	/* NULL is fine */
const char *nfnl_str(const struct nlattr *);			/* "" when absent or not ended */
uint32_t nfnl_be32(const struct nlattr *);			/* 0 when absent */
uint8_t nfnl_family(const struct nlmsghdr *);

#endif
