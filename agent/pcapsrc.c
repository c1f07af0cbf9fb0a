/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One packet per batch: libpcap's buffer holds it until the next one is read, so nothing is copied. */
#include "agent/pcapsrc.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "agent/path.h"
#include "base/log.h"

#define NS 1000000000LL

struct pcapsrc {
	struct source src;
	pcap_t *pcap;
	char *file;
	uint64_t first;
	uint8_t link;
	struct source_stats stats;
};

static struct pcapsrc *of(const struct source *s) { return (struct pcapsrc *)(uintptr_t)s; }

static uint8_t linktype_of(int dlt)
{
	switch (dlt) {
	case DLT_EN10MB: return LINK_ETHERNET;
	case DLT_RAW:
	case DLT_IPV4:
	case DLT_IPV6: return LINK_RAW;
	case DLT_LINUX_SLL: return LINK_SLL;
	case DLT_LINUX_SLL2: return LINK_SLL2;
	case DLT_NULL:
	case DLT_LOOP: return LINK_NULL;
	}
	return LINK_UNSUPPORTED;
}

/* A file may claim any time: what would not fit becomes the end of time. */
static int64_t time_of(const struct pcap_pkthdr *h)
{
	int64_t sec = h->ts.tv_sec;

	if (sec >= INT64_MAX / NS)
		return INT64_MAX / NS * NS;
	if (sec <= INT64_MIN / NS)
		return INT64_MIN / NS * NS;
	return sec * NS + h->ts.tv_usec;	/* opened with ns precision */
}

static int pcapsrc_fd(const struct source *s)
{
	(void)s;
	return -1;
}

static int pcapsrc_batch(struct source *s, struct frame *out, unsigned max, struct err *err)
{
	struct pcapsrc *p = of(s);
	struct pcap_pkthdr *h;
	const u_char *data;
	int rc;

	if (!max)
		return 0;
	rc = pcap_next_ex(p->pcap, &h, &data);
	if (rc == PCAP_ERROR_BREAK)
		return -EPIPE;
	if (rc < 0) {
		if (!strncmp(pcap_geterr(p->pcap), "truncated", 9)) {
			log_warn(AGENT, "%s: the file is cut off after packet %llu", p->file, (unsigned long long)p->stats.packets);
			return -EPIPE;
		}
		return err_set(err, -EIO, "%s: after packet %llu: %s", p->file, (unsigned long long)p->stats.packets, pcap_geterr(p->pcap));
	}
	*out = (struct frame){
		.ts = time_of(h), .data = data, .caplen = h->caplen, .wirelen = h->len > h->caplen ? h->len : h->caplen,
		.flags = h->len > h->caplen ? FRAME_TRUNCATED : 0, .link = p->link, .path = PATH_PCAP, .number = p->first + p->stats.packets,
	};
	p->stats.packets++;
	p->stats.bytes += h->caplen;
	return 1;
}

static void pcapsrc_answer(struct source *s, const struct frame *f, enum verdict v)
{
	(void)s;
	(void)f;
	(void)v;
}

static void pcapsrc_flush(struct source *s) { (void)s; }

static int pcapsrc_timeout(const struct source *s)
{
	(void)s;
	return -1;
}

static void pcapsrc_stats(const struct source *s, struct source_stats *out) { *out = of(s)->stats; }

static void pcapsrc_close(struct source *s)
{
	struct pcapsrc *p = of(s);

	if (!p)
		return;
	if (p->pcap)
		pcap_close(p->pcap);
	free(p->file);
	free(p);
}

static const struct source_ops ops = {
	.name = "pcap", .fd = pcapsrc_fd, .batch = pcapsrc_batch, .answer = pcapsrc_answer, .flush = pcapsrc_flush, .timeout = pcapsrc_timeout,
	.stats = pcapsrc_stats, .close = pcapsrc_close,
};

struct source *pcapsrc_open(const char *file, uint64_t first, struct err *err)
{
	struct pcapsrc *p = calloc(1, sizeof *p);
	char why[PCAP_ERRBUF_SIZE] = "";

	if (p)
		p->file = strdup(file);
	if (!p || !p->file) {
		err_set(err, -ENOMEM, "%s: no memory", file);
		free(p);
		return NULL;
	}
	p->src.ops = &ops;
	p->first = first;
	p->pcap = pcap_open_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, why);
	if (!p->pcap) {
		/* libpcap names the file only when it could not be opened */
		size_t n = strlen(file);

		err_set(err, -EIO, "%s: %s", file, !strncmp(why, file, n) && !strncmp(why + n, ": ", 2) ? why + n + 2 : why);
		pcapsrc_close(&p->src);
		return NULL;
	}
	p->link = linktype_of(pcap_datalink(p->pcap));
	return &p->src;
}

uint64_t pcapsrc_count(const struct source *s) { return of(s)->stats.packets; }
