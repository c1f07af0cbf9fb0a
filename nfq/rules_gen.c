/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One number for all tables of a netns, and whether conntrack counts in it, asked without running a program: nf_tables count their own changes; a legacy table is read by
 * getsockopt and hashed without its counters, for a rule that replaces another of the same size leaves number and size of entries as they
 * were. A table is asked for only when /proc names it: asking creates it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include "bridge/netns.h"
#include "nfq/ipt.h"
#include "nfq/nfnl.h"

#define ENTRIES_MAX (4u << 20)	/* bytes of one table; a larger one is known by its size alone */

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ b[i]) * 0x100000001b3ULL;
	return h;
}

/* An entry's bytes but for its counters and the kernel's own note (comefrom). */
static uint64_t mix_entries(uint64_t h, uint8_t *p, size_t n, enum ipt_family f)
{
	size_t head = f == IPT_V6 ? sizeof(struct ip6t_entry) : sizeof(struct ipt_entry);

	while (n >= head) {
		uint16_t next;

		if (f == IPT_V6) {
			struct ip6t_entry *e = (struct ip6t_entry *)(void *)p;

			memset(&e->counters, 0, sizeof e->counters);
			e->comefrom = 0;
			next = e->next_offset;
		} else {
			struct ipt_entry *e = (struct ipt_entry *)(void *)p;

			memset(&e->counters, 0, sizeof e->counters);
			e->comefrom = 0;
			next = e->next_offset;
		}
		if (next < head || next > n)
			break;
		h = mix(h, p, next);
		p += next;
		n -= next;
	}
	return h;
}

/* Both families' structs have the same form; only the entries differ. */
static int mix_table(int fd, enum ipt_family f, const char *name, uint64_t *h)
{
	int level = f == IPT_V6 ? SOL_IPV6 : SOL_IP;
	struct ipt_getinfo info;
	struct ipt_get_entries *get;
	socklen_t n = sizeof info;

	memset(&info, 0, sizeof info);
	snprintf(info.name, sizeof info.name, "%s", name);
	if (getsockopt(fd, level, f == IPT_V6 ? IP6T_SO_GET_INFO : IPT_SO_GET_INFO, &info, &n))
		return -errno;
	*h = mix(*h, name, strlen(name));
	*h = mix(*h, &info.num_entries, sizeof info.num_entries);
	*h = mix(*h, &info.size, sizeof info.size);
	if (info.size > ENTRIES_MAX)
		return 0;
	n = (socklen_t)(offsetof(struct ipt_get_entries, entrytable) + info.size);
	get = calloc(1, n);
	if (!get)
		return -ENOMEM;
	snprintf(get->name, sizeof get->name, "%s", name);
	get->size = info.size;
	/* Changed since (EAGAIN): the number will differ next time too. */
	if (!getsockopt(fd, level, f == IPT_V6 ? IP6T_SO_GET_ENTRIES : IPT_SO_GET_ENTRIES, get, &n))
		*h = mix_entries(*h, (uint8_t *)get->entrytable, info.size, f);
	free(get);
	return 0;
}

static int legacy_socket(enum ipt_family f)
{
	return socket(f == IPT_V6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
}

/* names: of its tables, one a line; cut up. */
static int mix_tables(int fd, enum ipt_family f, char *names, uint64_t *h, struct err *err)
{
	char *save = NULL;
	int rc = 0;

	if (!*names)
		return 0;
	if (fd < 0)
		return err_set(err, -EBADF, "legacy tables: no socket");
	for (char *t = strtok_r(names, "\n", &save); t && !rc; t = strtok_r(NULL, "\n", &save)) {
		rc = mix_table(fd, f, t, h);
		if (rc)
			err_set(err, rc, "legacy table %s: %s", t, strerror(-rc));
	}
	return rc;
}

static int mix_family(enum ipt_family f, uint64_t *h, struct err *err)
{
	char names[1024];
	int fd, rc;

	if (!ipt_legacy_names(f, names, sizeof names))
		return 0;
	fd = legacy_socket(f);
	if (fd < 0)
		return err_set(err, -errno, "legacy tables: socket: %s", strerror(errno));
	rc = mix_tables(fd, f, names, h, err);
	close(fd);
	return rc;
}

static uint64_t begin(uint32_t nft, bool acct)
{
	uint64_t h = mix(0xcbf29ce484222325ULL, &nft, sizeof nft);

	return mix(h, &acct, sizeof acct);	/* it belongs to what rules of ours ask for */
}

static uint64_t begin_family(uint64_t h, int f) { return mix(h, &f, sizeof f); }

int ipt_generation(uint64_t *gen, struct err *err)
{
	uint32_t nft = 0;
	int rc = nft_generation(&nft, err);
	bool acct = false;
	uint64_t h;

	acct_read(&acct);
	h = begin(nft, acct);
	for (int f = 0; f < IPT_FAMILIES && !rc; f++) {
		h = begin_family(h, f);
		rc = mix_family((enum ipt_family)f, &h, err);
	}
	*gen = h ? h : 1;
	return rc;
}

static int generation(void *ctx, struct err *err) { return ipt_generation(ctx, err); }

int rules_generation(int nsfd, uint64_t *gen, struct err *err)
{
	*gen = 0;
	return netns_run(nsfd, generation, gen, err);
}

/* ---- kept descriptors ---- */

struct rules_watch {
	int nsfd;			/* borrowed */
	struct nfnl nft;
	bool has_nft;			/* nft is open */
	int acct, names[IPT_FAMILIES], raw[IPT_FAMILIES];	/* files and sockets of the netns; -1: it had none */
};

static int open_watch(void *ctx, struct err *err)
{
	struct rules_watch *w = ctx;
	int rc = nfnl_open(&w->nft, err);

	if (rc && rc != -EPROTONOSUPPORT)
		return rc;
	w->has_nft = !rc;
	w->acct = acct_open();
	for (int f = 0; f < IPT_FAMILIES; f++) {
		w->names[f] = ipt_legacy_open((enum ipt_family)f);
		w->raw[f] = w->names[f] < 0 ? -1 : legacy_socket((enum ipt_family)f);
	}
	return 0;
}

struct rules_watch *rules_watch_open(int nsfd, struct err *err)
{
	struct rules_watch *w = calloc(1, sizeof *w);

	if (!w) {
		err_set(err, -ENOMEM, "rules: no memory");
		return NULL;
	}
	w->nsfd = nsfd;
	w->acct = w->names[IPT_V4] = w->names[IPT_V6] = w->raw[IPT_V4] = w->raw[IPT_V6] = -1;
	if (!netns_run(nsfd, open_watch, w, err))
		return w;
	rules_watch_close(w);
	return NULL;
}

void rules_watch_close(struct rules_watch *w)
{
	if (!w)
		return;
	if (w->has_nft)
		nfnl_close(&w->nft);
	for (const int *fd = (int[]){ w->acct, w->names[IPT_V4], w->names[IPT_V6], w->raw[IPT_V4], w->raw[IPT_V6], -2 }; *fd != -2; fd++)
		if (*fd >= 0)
			close(*fd);
	free(w);
}

int rules_watch_generation(struct rules_watch *w, bool legacy, uint64_t *gen, struct err *err)
{
	uint32_t nft = 0;
	int rc = w->has_nft ? nft_generation_on(&w->nft, &nft, err) : 0;
	char c = 0;
	uint64_t h;

	*gen = 0;
	if (rc)
		return rc;
	h = begin(nft, w->acct >= 0 && pread(w->acct, &c, 1, 0) == 1 && c == '1');
	for (int f = 0; f < IPT_FAMILIES && !rc; f++) {
		char names[1024];
		ssize_t n = w->names[f] >= 0 ? pread(w->names[f], names, sizeof names - 1, 0) : 0;

		if (legacy && w->names[f] < 0)	/* the module came later */
			return rules_generation(w->nsfd, gen, err);
		names[n > 0 ? n : 0] = 0;
		h = begin_family(h, f);
		rc = mix_tables(w->raw[f], (enum ipt_family)f, names, &h, err);
	}
	*gen = h ? h : 1;
	return rc;
}

bool rules_legacy_here(void)
{
	return !access("/proc/self/net/ip_tables_names", F_OK) || !access("/proc/self/net/ip6_tables_names", F_OK);
}
