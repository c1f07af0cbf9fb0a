/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One packet per batch: the reader's buffer holds it until the next one is read, so nothing is copied. The first byte tells which reader: libpcap
 * for pcap, pcapng.c for pcapng, of which libpcap refuses files with several kinds of interfaces. */
#include "agent/pcapsrc.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "agent/path.h"
#include "agent/pcapng.h"
#include "base/log.h"

#define NS 1000000000LL

struct pcapsrc {
	struct source src;
	pcap_t *pcap;
	struct pcapng *ng;	/* one of the two */
	char *file;
	uint64_t first;
	uint8_t link;		/* of pcap */
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
	case DLT_NFLOG: return LINK_NFLOG;
	case DLT_PPP:
	case DLT_PPP_SERIAL: return LINK_PPP;
	case DLT_PPP_ETHER: return LINK_PPPOE;
	}
	return LINK_UNSUPPORTED;
}

/* pcapng names link types by LINKTYPE_ values, which differ from libpcap's own where systems disagreed: raw IP. */
static uint8_t linktype_of_ng(uint16_t link) { return link == 101 ? LINK_RAW : linktype_of(link); }

/* A file may claim any time: what would not fit becomes the end of time. */
static int64_t time_of(const struct pcap_pkthdr *h)
{
	int64_t sec = h->ts.tv_sec;

	if (sec >= FRAME_TS_MAX / NS)
		return FRAME_TS_MAX;
	if (sec <= -FRAME_TS_MAX / NS)
		return -FRAME_TS_MAX;
	return sec * NS + h->ts.tv_usec;	/* opened with ns precision */
}

static int pcapsrc_fd(const struct source *s)
{
	(void)s;
	return -1;
}

/* The file cannot be read on. */
static int reading_ends(const struct pcapsrc *p, bool cut, const char *why, struct err *err)
{
	if (!cut)
		return err_set(err, -EIO, "%s: after packet %llu: %s", p->file, (unsigned long long)p->stats.packets, why);
	log_warn(AGENT, "%s: the file is cut off after packet %llu", p->file, (unsigned long long)p->stats.packets);
	return -EPIPE;
}

/* Fills ts, data, caplen, wirelen and link. 1, -EPIPE, -EIO. */
static int read_pcap(struct pcapsrc *p, struct frame *f, struct err *err)
{
	struct pcap_pkthdr *h;
	const u_char *data;
	int rc = pcap_next_ex(p->pcap, &h, &data);

	if (rc == PCAP_ERROR_BREAK)
		return -EPIPE;
	if (rc < 0)
		return reading_ends(p, !strncmp(pcap_geterr(p->pcap), "truncated", 9), pcap_geterr(p->pcap), err);
	*f = (struct frame){ .ts = time_of(h), .data = data, .caplen = h->caplen, .wirelen = h->len > h->caplen ? h->len : h->caplen, .link = p->link };
	return 1;
}

static int read_pcapng(struct pcapsrc *p, struct frame *f, struct err *err)
{
	struct pcapng_packet k;
	struct err why = { "" };
	int rc = pcapng_next(p->ng, &k, &why);

	if (!rc)
		return -EPIPE;
	if (rc < 0)
		return reading_ends(p, rc == -EPIPE, why.text, err);
	*f = (struct frame){ .ts = k.ts, .data = k.data, .caplen = k.caplen, .wirelen = k.wirelen, .link = linktype_of_ng(k.link) };
	return 1;
}

static int pcapsrc_batch(struct source *s, struct frame *out, unsigned max, struct err *err)
{
	struct pcapsrc *p = of(s);
	int rc;

	if (!max)
		return 0;
	rc = p->ng ? read_pcapng(p, out, err) : read_pcap(p, out, err);
	if (rc < 0)
		return rc;
	if (out->wirelen > out->caplen)
		out->flags = FRAME_TRUNCATED;
	out->path = PATH_PCAP;
	out->number = p->first + p->stats.packets;
	p->stats.packets++;
	p->stats.bytes += out->caplen;
	return 1;
}

static void pcapsrc_answer(struct source *s, const struct frame *f, struct answer a)
{
	(void)s;
	(void)f;
	(void)a;
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
	pcapng_close(p->ng);
	free(p->file);
	free(p);
}

static const struct source_ops ops = {
	.name = "pcap", .fd = pcapsrc_fd, .batch = pcapsrc_batch, .answer = pcapsrc_answer, .flush = pcapsrc_flush, .timeout = pcapsrc_timeout,
	.stats = pcapsrc_stats, .close = pcapsrc_close,
};

/* Gives the file to the reader that knows it. */
static int open_reader(struct pcapsrc *p, FILE *f, struct err *err)
{
	char why[PCAP_ERRBUF_SIZE] = "";
	int first = getc(f);

	if (first == EOF)
		return err_set(err, -EIO, "%s", ferror(f) ? strerror(errno) : "the file is empty");
	ungetc(first, f);
	if (first == PCAPNG_FIRST_BYTE) {
		p->ng = pcapng_open(f, err);
		return p->ng ? 0 : -EIO;
	}
	p->pcap = pcap_fopen_offline_with_tstamp_precision(f, PCAP_TSTAMP_PRECISION_NANO, why);
	if (!p->pcap)
		return err_set(err, -EIO, "%s", why);
	p->link = linktype_of(pcap_datalink(p->pcap));
	return 0;
}

struct source *pcapsrc_open(const char *file, uint64_t first, struct err *err)
{
	struct pcapsrc *p = calloc(1, sizeof *p);
	FILE *f;

	if (p)
		p->file = strdup(file);
	if (!p || !p->file) {
		err_set(err, -ENOMEM, "%s: no memory", file);
		free(p);
		return NULL;
	}
	p->src.ops = &ops;
	p->first = first;
	f = strcmp(file, "-") ? fopen(file, "rbe") : stdin;
	if (!f) {
		err_set(err, -errno, "%s: %s", file, strerror(errno));
	} else if (open_reader(p, f, err)) {
		err_prefix(err, 0, "%s", file);
		if (f != stdin)
			fclose(f);
	} else {
		return &p->src;
	}
	pcapsrc_close(&p->src);
	return NULL;
}

uint64_t pcapsrc_count(const struct source *s) { return of(s)->stats.packets; }
