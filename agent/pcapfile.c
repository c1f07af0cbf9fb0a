/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Theory of operation: one buffer, filled by large reads; records are walked in it through a cursor. What is left of a record at its end is moved to the
 * front before more is read, which is less than one packet for each READ_BYTES. A read of a pipe gives what is there, so a live capture is not held back. */
#include "agent/pcapfile.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/frame.h"

#define NS 1000000000LL
#define MAGIC_US 0xa1b2c3d4u
#define MAGIC_NS 0xa1b23c4du
#define MAGIC_PATCHED 0xa1b2cd34u
#define HEAD_BYTES 24u
#define RECORD_HEAD 16u
#define PATCHED_MORE 8u
#define READ_BYTES (256u << 10)		/* stays in the second cache until it was looked at */
#define ROOM (READ_BYTES + RECORD_HEAD + PATCHED_MORE + PCAPFILE_PACKET_MAX)

struct pcapfile {
	struct cursor in;	/* of what was read, what was not given out */
	int fd;
	bool swapped;		/* its numbers are big-endian */
	bool over;		/* the end was read */
	bool may_swap;		/* before version 2.4 the two lengths came in either order */
	uint32_t unit;		/* ns in a fraction of a second */
	uint32_t more;		/* bytes of a record's head beyond the usual */
	uint32_t link;
	uint8_t buf[ROOM];
};

static uint32_t get32(const struct pcapfile *s, struct cursor *c) { return s->swapped ? cur_be32(c) : cur_le32(c); }
static uint16_t get16(const struct pcapfile *s, struct cursor *c) { return s->swapped ? cur_be16(c) : cur_le16(c); }

/* A file may claim any time: sec is unsigned and 32 bits, so the sum fits. */
static int64_t time_of(const struct pcapfile *s, uint32_t sec, uint32_t frac) { return sec * NS + (int64_t)frac * s->unit; }

/* Reads once behind what is left. Bytes; 0 at the end; -EIO. */
static ssize_t read_on(struct pcapfile *s, struct err *err)
{
	size_t left = cur_left(&s->in);
	ssize_t n;

	memmove(s->buf, s->in.pos, left);
	do
		n = read(s->fd, s->buf + left, READ_BYTES < ROOM - left ? READ_BYTES : ROOM - left);
	while (n < 0 && errno == EINTR);
	s->in = cur_of(s->buf, left + (n > 0 ? (size_t)n : 0));
	s->over = n <= 0;
	return n < 0 ? err_set(err, -EIO, "%s", strerror(errno)) : n;
}

/* What a record's head says; false: it is not here as a whole. */
static inline bool record_head(const struct pcapfile *s, struct cursor *c, struct pcapfile_packet *p)
{
	const uint8_t *h;

	if (cur_left(c) < RECORD_HEAD + s->more)
		return false;
	h = cur_take(c, RECORD_HEAD + s->more);
	if (s->swapped) {
		p->ts = time_of(s, be32_at(h, 0), be32_at(h, 4));
		p->caplen = be32_at(h, 8);
		p->wirelen = be32_at(h, 12);
	} else {
		p->ts = time_of(s, le32_at(h, 0), le32_at(h, 4));
		p->caplen = le32_at(h, 8);
		p->wirelen = le32_at(h, 12);
	}
	if (s->may_swap && p->caplen > p->wirelen) {
		uint32_t len = p->caplen;

		p->caplen = p->wirelen;
		p->wirelen = len;
	}
	if (p->wirelen < p->caplen)
		p->wirelen = p->caplen;
	return true;
}

int pcapfile_next(struct pcapfile *s, struct pcapfile_packet *p)
{
	struct cursor c = s->in;

	if (!record_head(s, &c, p) || p->caplen > PCAPFILE_PACKET_MAX || cur_left(&c) < p->caplen)
		return 0;
	p->data = cur_take(&c, p->caplen);
	s->in = c;
	return 1;
}

int pcapfile_fill(struct pcapfile *s, struct err *err)
{
	for (;;) {
		struct pcapfile_packet p;
		struct cursor c = s->in;
		ssize_t n;

		if (record_head(s, &c, &p)) {
			if (p.caplen > PCAPFILE_PACKET_MAX)
				return err_set(err, -EIO, "a packet of %u bytes, more than %u", p.caplen, PCAPFILE_PACKET_MAX);
			if (cur_left(&c) >= p.caplen)
				return 1;
		}
		n = s->over ? 0 : read_on(s, err);
		if (n < 0)
			return (int)n;
		if (!n)
			return cur_left(&s->in) ? -EPIPE : 0;
	}
}

static int header(struct pcapfile *s, struct err *err)
{
	struct cursor c = s->in, be = s->in;
	uint32_t magic = cur_le32(&c);
	uint16_t major, minor;

	if (magic != MAGIC_US && magic != MAGIC_NS && magic != MAGIC_PATCHED) {
		magic = cur_be32(&be);
		s->swapped = true;
	}
	if (magic != MAGIC_US && magic != MAGIC_NS && magic != MAGIC_PATCHED)
		return err_set(err, -EIO, "it is no capture file");
	major = get16(s, &c);
	minor = get16(s, &c);
	if (major != 2)
		return err_set(err, -EIO, "a capture file of version %u.%u", major, minor);
	cur_skip(&c, 12);
	s->link = get32(s, &c) & 0x3ffffff;	/* above it: the length of a check sequence at the end of frames */
	s->unit = magic == MAGIC_NS ? 1 : 1000;
	s->more = magic == MAGIC_PATCHED ? PATCHED_MORE : 0;
	s->may_swap = minor < 4;
	s->in = c;
	return 0;
}

struct pcapfile *pcapfile_open(int fd, uint8_t first, struct err *err)
{
	struct pcapfile *s = calloc(1, sizeof *s);
	ssize_t n = 1;

	if (!s) {
		err_set(err, -ENOMEM, "no memory");
		return NULL;
	}
	s->fd = fd;
	s->buf[0] = first;
	s->in = cur_of(s->buf, 1);
	while (cur_left(&s->in) < HEAD_BYTES && n > 0)
		n = read_on(s, err);
	if (n < 0 || (n == 0 && err_set(err, -EIO, "it is too short for a capture file")) || header(s, err)) {
		free(s);
		return NULL;
	}
	return s;
}

void pcapfile_close(struct pcapfile *s)
{
	if (s && s->fd != STDIN_FILENO)
		close(s->fd);
	free(s);
}

uint32_t pcapfile_link(const struct pcapfile *s) { return s->link; }
