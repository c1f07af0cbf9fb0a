/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this kernel and its programs can do, found by writing rules into a netns that nobody uses: a thread enters a new one, opens it and
 * ends; it vanishes with the descriptor. Found once per process. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "bridge/netns.h"
#include "nfq/ipt.h"

struct made {
	int fd, rc;
};

static void *make_netns(void *arg)
{
	struct made *m = arg;

	if (unshare(CLONE_NEWNET) || (m->fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) < 0)
		m->rc = -errno;
	return NULL;
}

static int new_netns(struct err *err)
{
	struct made m = { .fd = -1 };
	pthread_t t;
	int rc = -pthread_create(&t, NULL, make_netns, &m);

	if (!rc) {
		pthread_join(t, NULL);
		rc = m.rc;
	}
	return rc ? err_set(err, rc, "a new network namespace: %s", strerror(-rc)) : m.fd;
}

/* One rule in one table, then nothing of it. */
static bool can(enum ipt_backend b, enum ipt_family f, const char *table, const char *rule)
{
	struct err why = { "" };
	char text[256];

	snprintf(text, sizeof text, "*%s\n:NV_PROBE - [0:0]\n-A NV_PROBE %s\n-A INPUT -j NV_PROBE\nCOMMIT\n", table, rule);
	return !ipt_restore(b, f, text, &why);
}

static bool can_both(enum ipt_backend b, const char *table, const char *rule, bool ipv6)
{
	return can(b, IPT_V4, table, rule) && (!ipv6 || can(b, IPT_V6, table, rule));
}

/* Counting of connections can be switched here: after a rule that needs conntrack, which may be a module. */
static bool acct_here(void)
{
	bool on;

	return !acct_read(&on);
}

static int probe(void *ctx, struct err *err)
{
	static const char queue[] = "-p tcp -m tcp --dport 1 -j NFQUEUE --queue-num 0 --queue-bypass";
	struct ipt_features *k = ctx;
	struct ipt_look look;
	int rc = ipt_look(&look, err);

	if (rc)
		return rc;
	for (int i = 0; i < IPT_BACKENDS; i++) {
		enum ipt_backend b = (enum ipt_backend)(i + 1);
		bool ok = can_both(b, "filter", queue, look.ipv6);

		*(b == IPT_NFT ? &k->nft : &k->legacy) = ok;
		if (!ok)
			continue;
		k->security[i] = can_both(b, "security", queue, look.ipv6);
		k->socket[i] = look.ipv6 && can(b, IPT_V6, "filter", "-p udp -m socket --nowildcard -j RETURN");
		k->conntrack[i] = can_both(b, "filter", "-p tcp -m conntrack --ctorigdstport 1 --ctdir REPLY -j RETURN", look.ipv6);
		k->connmark[i] = acct_here() && can_both(b, "filter", "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m connmark --mark 0x1/0x1 -m comment --comment " ACCT_COMMENT
							 " -j CONNMARK --set-xmark 0x0/0x3", look.ipv6);
	}
	return 0;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ipt_features found;
static bool done;

int ipt_features(const struct ipt_features **out, struct err *err)
{
	int rc = 0, fd;

	*out = &found;
	pthread_mutex_lock(&lock);
	if (!done) {
		memset(&found, 0, sizeof found);
		fd = new_netns(err);
		rc = fd < 0 ? fd : netns_run(fd, probe, &found, err);
		if (fd >= 0)
			close(fd);
		done = !rc;
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

int rules_probe(struct rules_probe *p, struct err *err)
{
	const struct ipt_features *k;
	int rc = ipt_features(&k, err);

	memset(p, 0, sizeof *p);
	if (rc)
		return rc;
	p->nft = k->nft;
	p->legacy = k->legacy;
	p->nfqueue = k->nft || k->legacy;
	p->security = k->nft ? k->security[0] : k->security[1];
	p->offload = k->nft ? k->connmark[0] : k->connmark[1];
	p->conntrack = k->nft ? k->conntrack[0] : k->conntrack[1];
	return 0;
}
