/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bench/captures/goldens.h"

#include <dirent.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/captures/wire.h"

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

/* ---- where the headers are ---- */

/* Past tags, PPPoE and MPLS; 0: no IP there. */
static size_t find_ip(const uint8_t *b, size_t n, size_t at)
{
	unsigned type;

	if (n < at + 14)
		return 0;
	type = get16(b + at + 12);
	at += 14;
	for (; (type == 0x8100 || type == 0x88a8) && n >= at + 4; at += 4)
		type = get16(b + at + 2);
	if (type == 0x8864 && n > at + 8) {
		at += 8;
	} else if (type == 0x8847) {
		while (n >= at + 4 && !(b[at + 2] & 1))
			at += 4;
		at += 4;
		if (n > at && !(b[at] >> 4))
			return find_ip(b, n, at + 4);	/* a frame behind a control word (RFC 4448) */
	} else if (type != 0x0800 && type != 0x86dd) {
		return 0;
	}
	if (n >= at + 20 && b[at] >> 4 == 4)
		return at;
	return n >= at + 40 && b[at] >> 4 == 6 ? at : 0;
}

static void find_transport(struct golden_frame *f)
{
	size_t at = f->ip + 40;

	if (!f->v6) {
		f->proto = f->b[f->ip + 9];
		if (!(get16(f->b + f->ip + 6) & 0x1fff))
			f->l4 = f->ip + (f->b[f->ip] & 15u) * 4;
	} else {
		f->proto = f->b[f->ip + 6];
		f->l4 = at;
	}
	while (f->l4 && f->n >= f->l4 + 8) {
		const uint8_t *h = f->b + f->l4;

		switch (f->proto) {
		case 44:	/* of a later fragment: none */
			f->l4 = get16(h + 2) & 0xfff8 ? 0 : f->l4 + 8;
			break;
		case 0:
		case 43:
		case 60:
			f->l4 += 8 + (size_t)h[1] * 8;
			break;
		case 51:
			f->l4 += 8 + (size_t)h[1] * 4;
			break;
		default:
			return;
		}
		f->proto = h[0];
	}
	f->l4 = 0;
}

/* ---- reading ---- */

static bool is_host4(const uint8_t *a) { return a[0] && a[0] < 224 && a[3] != 255; }

static bool is_host6(const uint8_t *a)
{
	static const uint8_t none[16];

	return a[0] != 0xff && memcmp(a, none, 16) != 0;
}

/* Its place in the list, put there if it is new. */
static unsigned place(uint8_t *list, unsigned *n, const uint8_t *a, size_t size, const char *name)
{
	for (unsigned i = 0; i < *n; i++)
		if (!memcmp(list + i * size, a, size))
			return i;
	if (*n == GOLDEN_ADDRS)
		die(name, "too many addresses");
	memcpy(list + *n * size, a, size);
	return (*n)++;
}

static void note_addrs(struct golden *g, const struct golden_frame *f)
{
	for (unsigned i = 0; i < 2 && f->ip; i++) {
		const uint8_t *a = f->b + f->ip + (f->v6 ? 8 + 16 * i : 12 + 4 * i);

		if (f->v6 && is_host6(a))
			place(g->v6[0], &g->n6, a, 16, g->name);
		else if (!f->v6 && is_host4(a))
			place(g->v4[0], &g->n4, a, 4, g->name);
	}
}

/* NULL: of another link type. */
static struct golden *read_one(const char *path, const char *name)
{
	char why[PCAP_ERRBUF_SIZE];
	pcap_t *p = pcap_open_offline(path, why);
	struct golden *g = calloc(1, sizeof(*g));
	struct pcap_pkthdr *h;
	const u_char *data;

	if (!p || !g)
		die(path, p ? "no memory" : why);
	if (pcap_datalink(p) != DLT_EN10MB) {
		pcap_close(p);
		free(g);
		return NULL;
	}
	snprintf(g->name, sizeof(g->name), "%s", name);
	while (pcap_next_ex(p, &h, &data) == 1) {
		struct golden_frame *f = &g->f[g->n++];

		if (g->n == GOLDEN_FRAMES || h->caplen > WIRE_MAX)
			die(path, "too large");
		*f = (struct golden_frame){ .b = malloc(h->caplen + 1), .n = h->caplen };
		if (!f->b)
			die(path, "no memory");
		memcpy(f->b, data, f->n);
		f->ip = find_ip(f->b, f->n, 0);
		f->v6 = f->ip && f->b[f->ip] >> 4 == 6;
		if (f->ip)
			find_transport(f);
		note_addrs(g, f);
	}
	pcap_close(p);
	return g;
}

static int is_pcap(const struct dirent *e)
{
	const char *dot = strrchr(e->d_name, '.');

	return dot && !strcmp(dot, ".pcap");
}

static bool wanted(const char *name, const char *const prefixes[])
{
	for (const char *const *p = prefixes; *p; p++)
		if (!strncmp(name, *p, strlen(*p)))
			return true;
	return !prefixes[0];
}

void goldens_read(struct goldens *all, const char *dir, const char *const prefixes[])
{
	struct dirent **list;
	int n = scandir(dir, &list, is_pcap, alphasort);
	char path[4096];

	if (n <= 0)
		die(dir, "no captures there");
	*all = (struct goldens){ .v = calloc((size_t)n, sizeof(struct golden *)) };
	if (!all->v)
		die(dir, "no memory");
	for (int i = 0; i < n; i++) {
		struct golden *g = NULL;

		snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
		if (wanted(list[i]->d_name, prefixes))
			g = read_one(path, list[i]->d_name);
		if (g) {
			all->v[all->n++] = g;
			all->frames += g->n;
		}
		free(list[i]);
	}
	free(list);
}

void goldens_free(struct goldens *all)
{
	for (unsigned i = 0; i < all->n; i++) {
		for (unsigned k = 0; k < all->v[i]->n; k++)
			free(all->v[i]->f[k].b);
		free(all->v[i]);
	}
	free(all->v);
}

/* ---- again, by others ---- */

static void move4(const struct golden *g, unsigned k, uint8_t *a)
{
	unsigned n = g->n4, i;

	if (!is_host4(a))
		return;
	i = place((uint8_t *)(uintptr_t)g->v4[0], &n, a, 4, g->name);
	a[0] = 10;
	put16(a + 1, k);
	a[3] = (uint8_t)(i + 1);
}

static void move6(const struct golden *g, unsigned k, uint8_t *a)
{
	unsigned n = g->n6, i;
	bool local = a[0] == 0xfe && (a[1] & 0xc0) == 0x80;

	if (!is_host6(a))
		return;
	i = place((uint8_t *)(uintptr_t)g->v6[0], &n, a, 16, g->name);
	memset(a, 0, 16);
	put32(a, local ? 0xfe800000 : 0x20010db8);
	put16(a + (local ? 8 : 4), k);
	put16(a + 14, i + 1);
}

/* Where the checksum over the addresses is; 0: none, or not sent. */
static size_t checksum_at(const struct golden_frame *f)
{
	size_t at = f->l4;

	if (!at)
		return 0;
	if (f->proto == 6)
		at += 16;
	else if (f->proto == 17)
		at += 6;
	else if (f->proto == 58)
		at += 2;
	else
		return 0;
	if (at + 2 > f->n || (f->proto == 17 && !get16(f->b + at)))
		return 0;
	return at;
}

static void fix(uint8_t *sum, const uint8_t *was, const uint8_t *is, size_t n)
{
	uint16_t old;

	memcpy(&old, sum, 2);
	old = sum_change(old, was, is, n);
	memcpy(sum, &old, 2);
}

size_t golden_again(const struct golden *g, const struct golden_frame *f, unsigned k, uint8_t *out)
{
	size_t at = f->ip + (f->v6 ? 8 : 12), size = f->v6 ? 32 : 8, sum = checksum_at(f);

	memcpy(out, f->b, f->n);
	if (!f->ip)
		return f->n;
	for (unsigned i = 0; i < 2; i++) {
		if (f->v6)
			move6(g, k, out + at + 16 * i);
		else
			move4(g, k, out + at + 4 * i);
	}
	if (!f->v6)
		fix(out + f->ip + 10, f->b + at, out + at, size);
	if (sum)
		fix(out + sum, f->b + at, out + at, size);
	return f->n;
}
