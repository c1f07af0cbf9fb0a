/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Theory of operation: one block at a time is read as a whole into a buffer of the reader's (at most PCAPNG_BLOCK_MAX bytes), and read there through a
 * cursor. A block says its length before and after its body; both must agree. A section header sets the byte order and forgets the interfaces of the
 * section before. Nothing is believed: a packet of an interface that was not described, a length past its block, a resolution of time finer than 64
 * bits hold, are refused with one line. Where the file simply ends in the middle of a block, that is said, and what was whole has been given. */
#include "agent/pcapng.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/frame.h"
#include "base/cursor.h"

#define NS 1000000000LL
#define MAGIC 0x1a2b3c4du
#define BLOCK_HEAD 8u			/* type, length */
#define BLOCK_MIN 12u			/* and the length again */
#define ROOM_MIN 4096u

__extension__ typedef unsigned __int128 u128;

enum block_type { BLOCK_INTERFACE = 1, BLOCK_PACKET = 2, BLOCK_SIMPLE = 3, BLOCK_ENHANCED = 6, BLOCK_SECTION = 0x0a0d0d0a };
enum option { OPT_END = 0, OPT_TSRESOL = 9, OPT_TSOFFSET = 14 };

struct interface {
	uint64_t units;		/* of time in a second */
	int64_t offset;		/* seconds to be added */
	uint32_t snaplen;	/* 0: no limit */
	uint16_t link;
};

struct pcapng {
	FILE *file;
	uint8_t *body;		/* of the block at hand */
	size_t room;
	struct interface *ifs;
	uint32_t nifs, ifs_room;
	bool big;		/* the section's byte order */
	int64_t last;		/* time of the packet before */
	int over;		/* what pcapng_next() answers from now on, unless 1 */
	struct err why;
};

static int no(struct err *err, const char *what) { return err_set(err, -EIO, "%s", what); }

static uint16_t get16(const struct pcapng *s, struct cursor *c) { return s->big ? cur_be16(c) : cur_le16(c); }
static uint32_t get32(const struct pcapng *s, struct cursor *c) { return s->big ? cur_be32(c) : cur_le32(c); }
static uint64_t get64(const struct pcapng *s, struct cursor *c) { return s->big ? cur_be64(c) : cur_le64(c); }

/* ---- blocks ---- */

/* n bytes. 0, -EPIPE when there are fewer, -EIO. */
static int read_bytes(struct pcapng *s, void *p, size_t n, struct err *err)
{
	if (fread(p, 1, n, s->file) == n)
		return 0;
	return ferror(s->file) ? err_set(err, -EIO, "%s", strerror(errno)) : -EPIPE;
}

static int make_room(struct pcapng *s, size_t n, struct err *err)
{
	size_t room = s->room ? s->room : ROOM_MIN;
	uint8_t *p;

	while (room < n)
		room *= 2;
	if (room == s->room)
		return 0;
	p = realloc(s->body, room);
	if (!p)
		return err_set(err, -ENOMEM, "no memory for a block of %zu bytes", n);
	s->body = p;
	s->room = room;
	return 0;
}

/* The byte order of a section stands after its header's length, which cannot be read before: so these 12 bytes are looked at together. */
static int section_order(struct pcapng *s, const uint8_t magic[4], struct err *err)
{
	struct cursor le = cur_of(magic, 4), be = cur_of(magic, 4);

	if (cur_le32(&le) == MAGIC)
		s->big = false;
	else if (cur_be32(&be) == MAGIC)
		s->big = true;
	else
		return no(err, "a section header without the byte-order magic");
	return 0;
}

/* Reads a block: its body, without lengths. 1; 0 at the end of the file. */
static int next_block(struct pcapng *s, uint32_t *type, struct cursor *body, struct err *err)
{
	uint8_t head[BLOCK_HEAD + 4];
	struct cursor c, tail;
	uint32_t len, again;
	size_t had = BLOCK_HEAD, n = fread(head, 1, BLOCK_HEAD, s->file);
	int rc;

	if (n < BLOCK_HEAD && ferror(s->file))
		return err_set(err, -EIO, "%s", strerror(errno));
	if (n < BLOCK_HEAD)
		return n ? -EPIPE : 0;
	c = cur_of(head, BLOCK_HEAD);
	*type = get32(s, &c);
	if (*type == BLOCK_SECTION) {	/* the same in both byte orders */
		rc = read_bytes(s, head + had, 4, err);
		if (!rc)
			rc = section_order(s, head + had, err);
		if (rc)
			return rc;
		had += 4;
	}
	len = get32(s, &c);
	if (len < BLOCK_MIN + (had - BLOCK_HEAD) || len % 4)
		return err_set(err, -EIO, "a block that says it is %u bytes long", len);
	if (len > PCAPNG_BLOCK_MAX)
		return err_set(err, -EIO, "a block of %u bytes, more than %u", len, PCAPNG_BLOCK_MAX);
	n = len - BLOCK_HEAD;
	rc = make_room(s, n, err);
	if (rc)
		return rc;
	memcpy(s->body, head + BLOCK_HEAD, had - BLOCK_HEAD);
	rc = read_bytes(s, s->body + (had - BLOCK_HEAD), n - (had - BLOCK_HEAD), err);
	if (rc)
		return rc;
	*body = cur_of(s->body, n - 4);
	tail = cur_of(s->body + n - 4, 4);
	again = get32(s, &tail);
	if (again != len)
		return err_set(err, -EIO, "a block whose two lengths differ: %u and %u", len, again);
	return 1;
}

static int section_block(struct pcapng *s, struct cursor *c, struct err *err)
{
	uint16_t major, minor;

	cur_skip(c, 4);
	major = get16(s, c);
	minor = get16(s, c);
	cur_skip(c, 8);		/* the section's length: blocks say theirs */
	if (!cur_ok(c))
		return no(err, "a section header that is too short");
	if (major != 1)
		return err_set(err, -EIO, "version %u.%u of pcapng is not known", major, minor);
	s->nifs = 0;
	return 0;
}

/* ---- interfaces ---- */

static int time_resolution(struct interface *i, uint8_t r, struct err *err)
{
	unsigned n = r & 0x7fu;

	if (n > (r & 0x80 ? 63u : 19u))
		return err_set(err, -EIO, "an interface whose time resolution is %u^-%u", r & 0x80 ? 2u : 10u, n);
	for (i->units = 1; n; n--)
		i->units *= r & 0x80 ? 2 : 10;
	return 0;
}

static int interface_options(struct pcapng *s, struct interface *i, struct cursor *c, struct err *err)
{
	while (cur_left(c)) {
		uint16_t code = get16(s, c), len = get16(s, c);
		struct cursor v = cur_sub(c, len);
		int rc;

		cur_skip(c, -(unsigned)len & 3u);
		if (!cur_ok(c))
			return no(err, "an interface with an option longer than its block");
		if (code == OPT_END)
			return 0;
		if (code == OPT_TSRESOL && len == 1) {
			rc = time_resolution(i, cur_u8(&v), err);
			if (rc)
				return rc;
		}
		if (code == OPT_TSOFFSET && len == 8)
			i->offset = (int64_t)get64(s, &v);
	}
	return 0;
}

static int interface_block(struct pcapng *s, struct cursor *c, struct err *err)
{
	struct interface i = { .units = 1000000 };
	int rc;

	if (s->nifs == PCAPNG_INTERFACES_MAX)
		return err_set(err, -EIO, "more than %u interfaces", PCAPNG_INTERFACES_MAX);
	i.link = get16(s, c);
	cur_skip(c, 2);
	i.snaplen = get32(s, c);
	if (!cur_ok(c))
		return no(err, "an interface block that is too short");
	rc = interface_options(s, &i, c, err);
	if (rc)
		return rc;
	if (s->nifs == s->ifs_room) {
		uint32_t room = s->ifs_room ? 2 * s->ifs_room : 8;
		struct interface *p = realloc(s->ifs, room * sizeof *p);

		if (!p)
			return err_set(err, -ENOMEM, "no memory for %u interfaces", room);
		s->ifs = p;
		s->ifs_room = room;
	}
	s->ifs[s->nifs++] = i;
	return 0;
}

/* ---- packets ---- */

/* What is beyond FRAME_TS_MAX becomes the end of time. */
static int64_t time_of(const struct interface *i, uint64_t t)
{
	uint64_t sec = t / i->units;
	int64_t frac = (int64_t)((u128)(t % i->units) * NS / i->units), at;

	if (sec > INT64_MAX || __builtin_add_overflow((int64_t)sec, i->offset, &at))
		at = i->offset < 0 && sec <= INT64_MAX ? INT64_MIN : INT64_MAX;
	if (at >= FRAME_TS_MAX / NS)
		return FRAME_TS_MAX;
	if (at <= -FRAME_TS_MAX / NS)
		return -FRAME_TS_MAX;
	return at * NS + frac;
}

static int packet_block(struct pcapng *s, uint32_t type, struct cursor *c, struct pcapng_packet *out, struct err *err)
{
	uint32_t no_if = 0, cap = 0;
	uint64_t t = 0;

	if (type == BLOCK_PACKET) {
		no_if = get16(s, c);
		cur_skip(c, 2);		/* drops */
	} else if (type == BLOCK_ENHANCED) {
		no_if = get32(s, c);
	}
	if (type != BLOCK_SIMPLE) {
		t = (uint64_t)get32(s, c) << 32;
		t |= get32(s, c);
		cap = get32(s, c);
	}
	out->wirelen = get32(s, c);
	if (!cur_ok(c))
		return no(err, "a packet block that is too short");
	if (no_if >= s->nifs)
		return err_set(err, -EIO, "a packet of interface %u, which is not described", no_if);
	if (type == BLOCK_SIMPLE) {	/* does not say how much of it was kept */
		cap = out->wirelen;
		if (s->ifs[0].snaplen && cap > s->ifs[0].snaplen)
			cap = s->ifs[0].snaplen;
	} else {
		s->last = time_of(&s->ifs[no_if], t);
	}
	if (cap > cur_left(c))
		return err_set(err, -EIO, "a packet of %u bytes in a block with %zu", cap, cur_left(c));
	out->ts = s->last;
	out->caplen = cap;
	if (out->wirelen < cap)
		out->wirelen = cap;
	out->link = s->ifs[no_if].link;
	out->data = cur_bytes(c, cap).p;
	return 1;
}

/* 1: a packet; 0: no packet, go on. */
static int block(struct pcapng *s, uint32_t type, struct cursor *c, struct pcapng_packet *out, struct err *err)
{
	switch (type) {
	case BLOCK_SECTION:
		return section_block(s, c, err);
	case BLOCK_INTERFACE:
		return interface_block(s, c, err);
	case BLOCK_PACKET:
	case BLOCK_SIMPLE:
	case BLOCK_ENHANCED:
		return packet_block(s, type, c, out, err);
	default:
		return 0;
	}
}

int pcapng_next(struct pcapng *s, struct pcapng_packet *out, struct err *err)
{
	int rc = 0;

	while (s->over == 1) {
		struct cursor c;
		uint32_t type;

		s->over = next_block(s, &type, &c, &s->why);
		if (s->over == 1)
			rc = block(s, type, &c, out, &s->why);
		if (rc == 1)
			return 1;
		if (rc < 0)
			s->over = rc;
	}
	if (err && s->over < 0)
		*err = s->why;
	return s->over;
}

struct pcapng *pcapng_open(FILE *file, struct err *err)
{
	struct pcapng *s = calloc(1, sizeof *s);
	uint32_t type = 0;
	struct cursor c;
	int rc;

	if (!s) {
		err_set(err, -ENOMEM, "no memory");
		return NULL;
	}
	s->file = file;
	s->over = 1;
	rc = next_block(s, &type, &c, err);
	if (type != BLOCK_SECTION && rc != -EPIPE)
		rc = no(err, "not a capture file");
	else if (rc == 1)
		rc = section_block(s, &c, err);
	else if (rc == -EPIPE)
		no(err, "cut off in its first block");
	if (!rc)
		return s;
	s->file = NULL;
	pcapng_close(s);
	return NULL;
}

void pcapng_close(struct pcapng *s)
{
	if (!s)
		return;
	if (s->file && s->file != stdin)
		fclose(s->file);
	free(s->body);
	free(s->ifs);
	free(s);
}
