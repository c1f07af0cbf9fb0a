/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nfq/nfnl.h"

#include <errno.h>
#include <string.h>

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>

#include "nfq/kernel.h"

#define DUMP_SIZE 32768	/* the kernel fills a dump's message up to this */
#define MESSAGES_MAX 65536	/* of one dump: more is not looked at */

int nfnl_open(struct nfnl *t, struct err *err)
{
	int rc;

	t->seq = 1;
	t->nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!t->nl)
		return err_set(err, -errno, "nfnetlink: %s", strerror(errno));
	rc = mnl_socket_bind(t->nl, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : kernel_connect(mnl_socket_get_fd(t->nl));
	if (rc) {
		mnl_socket_close(t->nl);
		err_set(err, rc, "nfnetlink: bind: %s", strerror(-rc));
	}
	return rc;
}

void nfnl_close(struct nfnl *t) { mnl_socket_close(t->nl); }

int nfnl_ask(struct nfnl *t, uint16_t type, uint16_t flags, mnl_cb_t fn, void *ctx)
{
	char buf[DUMP_SIZE];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof *g);
	unsigned portid = mnl_socket_get_portid(t->nl);
	int rc = MNL_CB_OK;

	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	h->nlmsg_seq = ++t->seq;
	g->nfgen_family = NFPROTO_UNSPEC;
	g->version = NFNETLINK_V0;
	if (mnl_socket_sendto(t->nl, h, h->nlmsg_len) < 0)
		return -errno;
	for (unsigned i = 0; i < MESSAGES_MAX && rc > MNL_CB_STOP; i++) {
		ssize_t n = mnl_socket_recvfrom(t->nl, buf, sizeof buf);

		if (n < 0)
			return -errno;
		rc = mnl_cb_run(buf, (size_t)n, t->seq, portid, fn, ctx);
		if (rc < 0)
			return errno == EINTR ? -EAGAIN : -errno;
		if (!(flags & NLM_F_DUMP))
			break;
	}
	return 0;
}

static int keep_attr(const struct nlattr *a, void *ctx)
{
	struct nfnl_attrs *s = ctx;

	if (mnl_attr_get_type(a) < sizeof s->a / sizeof s->a[0])
		s->a[mnl_attr_get_type(a)] = a;
	return MNL_CB_OK;
}

struct nfnl_attrs nfnl_attrs(const struct nlmsghdr *h)
{
	struct nfnl_attrs s = { { NULL } };

	mnl_attr_parse(h, sizeof(struct nfgenmsg), keep_attr, &s);
	return s;
}

struct nfnl_attrs nfnl_nested(const struct nlattr *nest)
{
	struct nfnl_attrs s = { { NULL } };

	if (nest)
		mnl_attr_parse_nested(nest, keep_attr, &s);
	return s;
}

const char *nfnl_str(const struct nlattr *a)
{
	return a && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0 ? mnl_attr_get_str(a) : "";
}

uint32_t nfnl_be32(const struct nlattr *a)
{
	return a && mnl_attr_validate(a, MNL_TYPE_U32) >= 0 ? ntohl(mnl_attr_get_u32(a)) : 0;
}

uint8_t nfnl_family(const struct nlmsghdr *h)
{
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);

	return mnl_nlmsg_get_payload_len(h) >= sizeof *g ? g->nfgen_family : 0;
}
