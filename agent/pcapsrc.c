/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A batch is what the reader has read already: its buffer holds the packets until the next one, so nothing is copied. (pcapng: one at a time.) The first
 * byte tells which reader. */
#include "agent/pcapsrc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/path.h"
#include "agent/pcapfile.h"
#include "agent/pcapng.h"
#include "base/log.h"

struct pcapsrc {
	struct source src;
	struct pcapfile *pcap;
	struct pcapng *ng;	/* one of the two */
	char *file;
	uint64_t first;
	uint8_t link;		/* of pcap */
	struct source_stats stats;
};

static struct pcapsrc *of(const struct source *s) { return (struct pcapsrc *)(uintptr_t)s; }

/* LINKTYPE_ (draft-ietf-opsawg-pcaplinktype); 12 and 14: what some systems wrote for 101 (raw IP). */
static uint8_t linktype_of(uint32_t link)
{
	switch (link) {
	case 1: return LINK_ETHERNET;
	case 12:
	case 14:
	case 101:
	case 228:	/* IPv4 */
	case 229: return LINK_RAW;
	case 113: return LINK_SLL;
	case 276: return LINK_SLL2;
	case 0:
	case 108: return LINK_NULL;
	case 239: return LINK_NFLOG;
	case 9:
	case 50: return LINK_PPP;
	case 51: return LINK_PPPOE;
	}
	return LINK_UNSUPPORTED;
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

static void packet_of(struct pcapsrc *p, struct frame *f, int64_t ts, const uint8_t *data, uint32_t caplen, uint32_t wirelen, uint8_t link)
{
	*f = (struct frame){
		.ts = ts, .data = data, .caplen = caplen, .wirelen = wirelen, .flags = wirelen > caplen ? FRAME_TRUNCATED : 0, .link = link, .path = PATH_PCAP,
		.number = p->first + p->stats.packets,
	};
	p->stats.packets++;
	p->stats.bytes += caplen;
}

/* Frames; -EPIPE, -EIO. */
static int read_pcap(struct pcapsrc *p, struct frame *out, unsigned max, struct err *err)
{
	struct pcapfile_packet k;
	struct err why = { "" };
	unsigned n = 0;
	int rc = pcapfile_fill(p->pcap, &why);

	if (!rc)
		return -EPIPE;
	if (rc < 0)
		return reading_ends(p, rc == -EPIPE, why.text, err);
	while (n < max && pcapfile_next(p->pcap, &k))
		packet_of(p, &out[n++], k.ts, k.data, k.caplen, k.wirelen, p->link);
	return (int)n;
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
	packet_of(p, f, k.ts, k.data, k.caplen, k.wirelen, linktype_of(k.link));
	return 1;
}

static int pcapsrc_batch(struct source *s, struct frame *out, unsigned max, struct err *err)
{
	struct pcapsrc *p = of(s);

	if (!max)
		return 0;
	return p->ng ? read_pcapng(p, out, err) : read_pcap(p, out, max, err);
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
	pcapfile_close(p->pcap);
	pcapng_close(p->ng);
	free(p->file);
	free(p);
}

static const struct source_ops ops = {
	.name = "pcap", .fd = pcapsrc_fd, .batch = pcapsrc_batch, .answer = pcapsrc_answer, .flush = pcapsrc_flush, .timeout = pcapsrc_timeout,
	.stats = pcapsrc_stats, .close = pcapsrc_close,
};

static void close_file(int fd)
{
	if (fd != STDIN_FILENO)
		close(fd);
}

static int open_pcapng(struct pcapsrc *p, int fd, int first, struct err *err)
{
	FILE *f = fd == STDIN_FILENO ? stdin : fdopen(fd, "rb");

	if (!f) {
		close_file(fd);
		return err_set(err, -ENOMEM, "%s", strerror(errno));
	}
	ungetc(first, f);
	p->ng = pcapng_open(f, err);
	if (!p->ng && f != stdin)
		fclose(f);
	return p->ng ? 0 : -EIO;
}

/* Gives the file to the reader that knows it. Takes fd. */
static int open_reader(struct pcapsrc *p, int fd, struct err *err)
{
	uint8_t first;
	ssize_t n = read(fd, &first, 1);

	if (n == 1 && first == PCAPNG_FIRST_BYTE)
		return open_pcapng(p, fd, first, err);
	if (n == 1)
		p->pcap = pcapfile_open(fd, first, err);
	else
		err_set(err, -EIO, "%s", n ? strerror(errno) : "the file is empty");
	if (!p->pcap) {
		close_file(fd);
		return -EIO;
	}
	p->link = linktype_of(pcapfile_link(p->pcap));
	return 0;
}

struct source *pcapsrc_open(const char *file, uint64_t first, struct err *err)
{
	struct pcapsrc *p = calloc(1, sizeof *p);
	int fd;

	if (p)
		p->file = strdup(file);
	if (!p || !p->file) {
		err_set(err, -ENOMEM, "%s: no memory", file);
		free(p);
		return NULL;
	}
	p->src.ops = &ops;
	p->first = first;
	fd = strcmp(file, "-") ? open(file, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	if (fd < 0) {
		err_set(err, -errno, "%s: %s", file, strerror(errno));
	} else if (open_reader(p, fd, err)) {
		err_prefix(err, 0, "%s", file);
	} else {
		return &p->src;
	}
	pcapsrc_close(&p->src);
	return NULL;
}

uint64_t pcapsrc_count(const struct source *s) { return of(s)->stats.packets; }
