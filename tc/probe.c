/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tries the kernel's parts of the mirror on the loopback device of a network namespace that a thread makes for itself; both end
 * with the thread. */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "tc/denied.h"
#include "tc/filter.h"
#include "tc/passing.h"
#include "tc/plan.h"

#define LOOPBACK 1	/* the first device of every namespace */

struct probe {
	enum tc_engine engine;
	char what[64];
	struct err err;
	int rc;
};

/* A map of flows takes, keeps and gives back: the last needs Linux 5.14. */
static int try_flows(struct probe *p, struct tc *t)
{
	struct deny_way way = { .ipproto = IPPROTO_TCP };
	struct passing_flow flow = { .ipproto = IPPROTO_TCP, .ifindex = { LOOPBACK, 0 } };
	struct passing_count count;
	struct flowmap *passing = tc_passing(t, &p->err), *denied = passing ? tc_denied(t, &p->err) : NULL;

	if (!denied)
		return -EIO;
	if (passing_put(passing, &flow) || denied_put(denied, LOOPBACK, 0, &way) || !denied_stands(denied, LOOPBACK, 0, &way))
		return err_set(&p->err, -EIO, "its maps take no flow");
	if (!passing_take(passing, &flow, &count))
		return err_set(&p->err, -ENOTSUP, "counters of flows that pass uncopied cannot be taken with them: a kernel of 5.14 or later");
	return 0;
}

/* An exclusion on one hook and the mirror on both: what the kernel lacks shows in what is missing afterwards. */
static int try_all(struct probe *p)
{
	struct tc_want w = { .ifindex = LOOPBACK, .to_leaving = LOOPBACK, .to_entering = LOOPBACK, .engine = p->engine };
	struct tc *t = tc_open(&p->err);
	struct tc_state s;
	unsigned changes;
	int rc;

	snprintf(p->what, sizeof p->what, "netlink");
	if (!t)
		return -EIO;
	w.exclude_dport[0] = (struct app_ports){ .n = 1, .port = { { IPPROTO_TCP, 1 } } };
	memset(&s, 0, sizeof s);
	rc = tc_ensure(t, &w, &s, &changes, &p->err);
	if (!rc && !s.complete)
		rc = err_set(&p->err, -ENOTSUP, "%s", s.differs);
	if (!rc && p->engine == TC_ENGINE_BPF)
		rc = try_flows(p, t);
	if (p->engine == TC_ENGINE_BPF)
		snprintf(p->what, sizeof p->what, "the bpf engine");
	else
		snprintf(p->what, sizeof p->what, "%s", !s.clsact ? "clsact (sch_ingress)" : !s.filters[0] ? "u32 (cls_u32)" : s.filters[1] ? "" : "mirred (act_mirred)");
	if (rc && !p->what[0])
		snprintf(p->what, sizeof p->what, "u32 with mirred");
	if (!rc)
		p->what[0] = 0;
	tc_close(t);
	return rc;
}

static void *probe_main(void *arg)
{
	struct probe *p = arg;

	if (unshare(CLONE_NEWNET)) {
		snprintf(p->what, sizeof p->what, "network namespaces");
		p->rc = err_set(&p->err, -errno, "a network namespace to try in: %s", strerror(errno));
		return NULL;
	}
	p->rc = try_all(p);
	return NULL;
}

int tc_probe(enum tc_engine engine, char what[64], struct err *err)
{
	struct probe p = { .engine = engine };
	pthread_t thread;
	int rc = pthread_create(&thread, NULL, probe_main, &p);

	what[0] = 0;
	if (rc)
		return err_set(err, -rc, "no thread to try the mirror in: %s", strerror(rc));
	pthread_join(thread, NULL);
	if (!p.rc)
		return 0;
	memcpy(what, p.what, sizeof p.what);
	return err_set(err, p.rc, "%s: %s", p.what, p.err.text);
}
