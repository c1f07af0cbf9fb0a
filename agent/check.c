/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "nfq/rules.h"
#include "tc/filter.h"

enum result { RESULT_OK, RESULT_DEGRADED, RESULT_MISSING };

struct check {
	FILE *out;
	bool failed;
	struct err *err;
};

static void say(struct check *c, enum result r, const char *what, const char *advice)
{
	static const char *const words[] = { "ok", "degraded", "missing" };

	if (c->out)
		fprintf(c->out, "%-9s %-28s %s\n", words[r], what, r == RESULT_OK ? "" : advice);
	if (r == RESULT_MISSING && !c->failed) {
		c->failed = true;
		err_set(c->err, -ENOTSUP, "%s: missing: %s", what, advice);
	}
}

static bool has_cap(int cap)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	memset(d, 0, sizeof d);
	return !syscall(SYS_capget, &h, d) && (d[cap / 32].effective & 1u << (cap % 32));
}

static void check_caps(struct check *c)
{
	static const struct { int cap; const char *name, *advice; } caps[] = {
		{ CAP_NET_ADMIN, "CAP_NET_ADMIN", "rules, filters and verdicts need it: run as root or grant it" },
		{ CAP_NET_RAW, "CAP_NET_RAW", "the ring and resets need it: run as root or grant it" },
		{ CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "entering a container's network namespace needs it: run as root or grant it" },
		{ CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "reading /proc/PID/ns/net of containers needs it: run as root or grant it" },
	};

	for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++)
		say(c, has_cap(caps[i].cap) ? RESULT_OK : RESULT_MISSING, caps[i].name, caps[i].advice);
}

static void check_ring(struct check *c)
{
	int v = TPACKET_V3, fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)), on = 1;

	if (fd < 0) {
		say(c, RESULT_MISSING, "AF_PACKET", "load af_packet, or a kernel with CONFIG_PACKET");
		return;
	}
	say(c, RESULT_OK, "AF_PACKET", "");
	say(c, setsockopt(fd, SOL_PACKET, PACKET_VERSION, &v, sizeof v) ? RESULT_MISSING : RESULT_OK, "TPACKET_V3", "a kernel of 3.2 or later");
	say(c, setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) ? RESULT_DEGRADED : RESULT_OK, "PACKET_VNET_HDR",
	    "UDP super-packets cannot be told apart: a kernel of 4.6 or later");
	close(fd);
}

static void check_mirror(struct check *c, const struct config *conf)
{
	char what[64] = "";
	struct err why = { "" };
	bool ok = !tc_probe(TC_ENGINE_U32, what, &why);

	say(c, ok ? RESULT_OK : RESULT_MISSING, ok ? "clsact, u32, mirred" : what, "load sch_ingress, cls_u32 and act_mirred, or a kernel with them");
	if (conf->tc_engine == TC_ENGINE_BPF)
		say(c, tc_probe(TC_ENGINE_BPF, what, &why) ? RESULT_MISSING : RESULT_OK, "tc.engine: bpf", why.text);
	check_ring(c);
}

static bool find_program(const char *name)
{
	static const char *const dirs[] = { "/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin" };
	char path[128];

	for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", dirs[i], name);
		if (!access(path, X_OK))
			return true;
	}
	return false;
}

static void check_tools(struct check *c, int backend)
{
	static const char *const tools[][2] = { { "iptables-nft-restore", "ip6tables-nft-restore" }, { "iptables-legacy-restore", "ip6tables-legacy-restore" } };
	bool nft = find_program(tools[0][0]) && find_program(tools[0][1]);
	bool legacy = find_program(tools[1][0]) && find_program(tools[1][1]);

	if (backend == IPT_NFT || backend == IPT_AUTO)
		say(c, nft ? RESULT_OK : backend == IPT_NFT || !legacy ? RESULT_MISSING : RESULT_DEGRADED, "iptables-nft-restore", "install iptables (Debian: apt-get install iptables)");
	if (backend == IPT_LEGACY || backend == IPT_AUTO)
		say(c, legacy ? RESULT_OK : backend == IPT_LEGACY || !nft ? RESULT_MISSING : RESULT_DEGRADED, "iptables-legacy-restore",
		    "workloads that use legacy tables need it (Debian: apt-get install iptables)");
}

static void check_queue(struct check *c, const struct config *conf)
{
	struct rules_probe p;
	struct err why = { "" };

	check_tools(c, conf->iptables);
	memset(&p, 0, sizeof p);
	if (rules_probe(&p, &why)) {
		say(c, RESULT_MISSING, "iptables in a new netns", why.text);
		return;
	}
	say(c, p.nfqueue ? RESULT_OK : RESULT_MISSING, "NFQUEUE", "load nfnetlink_queue and xt_NFQUEUE, or a kernel with them");
	say(c, p.nft || conf->iptables != IPT_NFT ? RESULT_OK : RESULT_MISSING, "nft tables", "load nf_tables and nft_compat, or nfq.iptables: legacy");
	say(c, p.legacy ? RESULT_OK : conf->iptables == IPT_LEGACY ? RESULT_MISSING : RESULT_DEGRADED, "legacy tables", "workloads with legacy tables cannot be served: load ip_tables");
	say(c, p.security ? RESULT_OK : conf->table == IPT_TABLE_SECURITY ? RESULT_MISSING : RESULT_DEGRADED, "table security",
	    "workloads with a firewall of their own get their rules in mangle");
	say(c, p.offload || !conf->offload ? RESULT_OK : RESULT_DEGRADED, "connection marks, counters",
	    "nothing is offloaded, every packet of a queue is answered: load nf_conntrack_netlink, xt_connmark and xt_comment, or a kernel with them");
	say(c, p.conntrack ? RESULT_OK : RESULT_DEGRADED, "conntrack", "workloads that REDIRECT inside themselves are not queued");
}

bool check_run(const struct config *conf, FILE *out, struct err *err)
{
	struct check c = { .out = out, .err = err };
	bool mirror = conf->mode != DATAPATH_NFQ, queue = conf->mode != DATAPATH_TC;

	for (unsigned i = 0; i < conf->noverrides; i++) {
		mirror |= conf->overrides[i].opts.set_mode && conf->overrides[i].opts.mode != DATAPATH_NFQ;
		queue |= conf->overrides[i].opts.set_mode && conf->overrides[i].opts.mode != DATAPATH_TC;
	}
	check_caps(&c);
	if (!c.failed && mirror)
		check_mirror(&c, conf);
	if (!c.failed && queue)
		check_queue(&c, conf);
	say(&c, access("/run/netns", F_OK) && access("/proc/self/ns/net", F_OK) ? RESULT_MISSING : RESULT_OK, "network namespaces", "a kernel with CONFIG_NET_NS");
	if (out)
		fprintf(out, "mode %s: %s\n", mode_name(conf->mode), c.failed ? "cannot run" : "can run");
	return !c.failed;
}
