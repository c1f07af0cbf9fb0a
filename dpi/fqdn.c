/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/fqdn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum fqdn_kind { KIND_EXACT, KIND_BELOW, KIND_GLOB };	/* "a.b"; "*.b" and "*", kept as "b" and ""; any other star */

/* ---- names ---- */

static char low(char c) { return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c); }

static bool clean_byte(char c, bool star)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || (star && c == '*');
}

/* Labels of 1 to 63 bytes, FQDN_NAME_MAX in all. */
static size_t clean(struct bytes in, bool star, char out[FQDN_NAME_MAX + 1])
{
	size_t label = 0, n = in.n;

	if (n && in.p[n - 1] == '.')
		n--;
	if (!n || n > FQDN_NAME_MAX)
		return 0;
	for (size_t i = 0; i < n; i++) {
		char c = low((char)in.p[i]);

		if (c == '.' ? !label : !clean_byte(c, star) || label == 63)
			return 0;
		label = c == '.' ? 0 : label + 1;
		out[i] = c;
	}
	out[n] = '\0';
	return label ? n : 0;
}

size_t fqdn_name(struct bytes in, char out[FQDN_NAME_MAX + 1]) { return clean(in, false, out); }

/* ---- patterns ---- */

int fqdn_add(struct fqdn *f, const char *pattern, unsigned group, bool not)
{
	char text[FQDN_NAME_MAX + 1];
	size_t n = clean((struct bytes){ (const uint8_t *)pattern, strlen(pattern) }, true, text), skip = 0;
	enum fqdn_kind kind = KIND_EXACT;
	struct fqdn_pattern *p;

	if (!n)
		return -EINVAL;
	if (text[0] == '*' && (n == 1 || text[1] == '.') && !memchr(text + 1, '*', n - 1)) {
		kind = KIND_BELOW;
		skip = n == 1 ? 1 : 2;
	} else if (memchr(text, '*', n)) {
		kind = KIND_GLOB;
		if (f->nglobs == FQDN_GLOBS_MAX)
			return -E2BIG;
	}
	if (f->n == f->size) {
		uint32_t size = f->size ? 2 * f->size : 64;

		p = realloc(f->v, size * sizeof(*p));
		if (!p)
			return -ENOMEM;
		f->v = p;
		f->size = size;
	}
	p = &f->v[f->n];
	*p = (struct fqdn_pattern){ .text = strdup(text + skip), .len = (uint16_t)(n - skip), .group = (uint16_t)group, .kind = (uint8_t)kind, .not = not };
	if (!p->text)
		return -ENOMEM;
	f->nglobs += kind == KIND_GLOB;
	f->n++;
	return 0;
}

void fqdn_free(struct fqdn *f)
{
	for (uint32_t i = 0; i < f->n; i++)
		free(f->v[i].text);
	free(f->v);
	*f = (struct fqdn){ 0 };
}

static int text_cmp(const char *a, size_t an, const char *b, size_t bn)
{
	int c = memcmp(a, b, an < bn ? an : bn);

	return c ? c : an < bn ? -1 : an > bn;
}

static int pattern_cmp(const void *pa, const void *pb)
{
	const struct fqdn_pattern *a = pa, *b = pb;

	return a->kind != b->kind ? a->kind - b->kind : text_cmp(a->text, a->len, b->text, b->len);
}

void fqdn_sort(struct fqdn *f)
{
	if (f->n)
		qsort(f->v, f->n, sizeof(*f->v), pattern_cmp);
	for (uint32_t i = 0; i < f->n; i++)
		for (unsigned k = f->v[i].kind + 1u; k < 4; k++)
			f->first[k] = i + 1;
}

static void mark_equal(const struct fqdn *f, enum fqdn_kind kind, const char *text, size_t n, struct group_set *in, struct group_set *not)
{
	uint32_t lo = f->first[kind], end = f->first[kind + 1], hi = end;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (text_cmp(f->v[mid].text, f->v[mid].len, text, n) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < end && !text_cmp(f->v[lo].text, f->v[lo].len, text, n); lo++)
		set_add(f->v[lo].not ? not : in, f->v[lo].group);
}

void fqdn_mark(const struct fqdn *f, struct bytes name, struct group_set *in, struct group_set *not)
{
	const char *text = (const char *)name.p, *end = text + name.n;

	mark_equal(f, KIND_EXACT, text, name.n, in, not);
	for (const char *at = text; f->first[KIND_BELOW] < f->first[KIND_BELOW + 1] && (at = memchr(at, '.', (size_t)(end - at))) != NULL;) {
		at++;
		mark_equal(f, KIND_BELOW, at, (size_t)(end - at), in, not);
	}
	mark_equal(f, KIND_BELOW, "", 0, in, not);
	for (uint32_t i = f->first[KIND_GLOB]; i < f->first[KIND_GLOB + 1]; i++) {
		const struct fqdn_pattern *p = &f->v[i];

		if (match_glob((struct bytes){ (const uint8_t *)p->text, p->len }, name, false, false))
			set_add(p->not ? not : in, p->group);
	}
}
