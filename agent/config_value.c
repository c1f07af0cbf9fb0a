/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Theory of operation: each kind of value that a key of the configuration can take is one value_ops: how it is read from a YAML
 * node into its field, how it is written back, what it holds. A field is empty (all zero) when `get` is called; what `get` stored before
 * it failed is released with the rest of the configuration. `put` writes what `get` reads back to the same field.
 * Every message names the key and says what would be accepted. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config.h"
#include "agent/config_schema.h"

#define LIST_TEXT 400

int value_fail(const struct yaml *y, struct fy_node *node, const char *path, const char *expected, struct err *e)
{
	char buf[YAML_SHOW_MAX];
	const char *shown = yaml_show(node, buf);

	return yaml_fail(y, node, e, "%s: %s is not %s", path, shown, expected);
}

int value_no_memory(struct err *e) { return err_set(e, -ENOMEM, "out of memory"); }

static void store(void *at, size_t size, uint64_t v)
{
	uint8_t b = (uint8_t)v;
	uint16_t h = (uint16_t)v;
	uint32_t w = (uint32_t)v;

	switch (size) {
	case 1: memcpy(at, &b, 1); break;
	case 2: memcpy(at, &h, 2); break;
	case 4: memcpy(at, &w, 4); break;
	case 8: memcpy(at, &v, 8); break;
	}
}

static uint64_t fetch(const void *at, size_t size)
{
	uint8_t b = 0;
	uint16_t h;
	uint32_t w;
	uint64_t v;

	switch (size) {
	case 2: memcpy(&h, at, 2); return h;
	case 4: memcpy(&w, at, 4); return w;
	case 8: memcpy(&v, at, 8); return v;
	case 1: memcpy(&b, at, 1);
	}
	return b;
}

/* ---- numbers ---- */

/* Digits only (or 0x and hex digits): no sign, no blank. *end is after them. */
static int parse_digits(const char *s, uint64_t *out, const char **end)
{
	char *stop;
	bool hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');

	if (hex ? !strspn(s + 2, "0123456789abcdefABCDEF") : !strspn(s, "0123456789"))
		return -EINVAL;
	errno = 0;
	*out = strtoull(s, &stop, hex ? 16 : 10);
	*end = stop;
	return errno ? -EINVAL : 0;
}

static int get_number(const struct yaml *y, struct fy_node *node, const struct key *k, const char *path, void *at, struct err *e)
{
	const char *s = yaml_scalar(node), *end;
	char expected[128];
	uint64_t v;

	for (const struct word *w = k->words; s && w && w->text; w++) {
		if (!strcmp(s, w->text)) {
			store(at, k->size, (uint64_t)w->value);
			return 0;
		}
	}
	if (!s || !yaml_plain(node) || parse_digits(s, &v, &end) || *end || v < k->min || v > k->max) {
		snprintf(expected, sizeof expected, "%s%sa number from %" PRIu64 " to %" PRIu64, k->words ? k->words->text : "", k->words ? " or " : "", k->min, k->max);
		return value_fail(y, node, path, expected, e);
	}
	store(at, k->size, v);
	return 0;
}

static void put_number(const struct key *k, const void *at, FILE *f)
{
	uint64_t v = fetch(at, k->size);

	for (const struct word *w = k->words; w && w->text; w++) {
		if ((uint64_t)w->value == v) {
			fputs(w->text, f);
			return;
		}
	}
	fprintf(f, "%" PRIu64, v);
}

const struct value_ops value_number = { .get = get_number, .put = put_number };

struct unit { const char *text; uint64_t factor; };
static const struct unit size_units[] = { { "KiB", 1024 }, { "MiB", 1 << 20 }, { "GiB", 1 << 30 }, { "", 1 }, { 0 } };
static const struct unit time_units[] = { { "ms", 1000000 }, { "s", 1000000000 }, { "m", 60000000000 }, { "h", 3600000000000 }, { "", 1000000000 }, { 0 } };

static int parse_unit(const char *s, const struct unit *units, uint64_t *out)
{
	uint64_t v;
	const char *end;

	if (parse_digits(s, &v, &end))
		return -EINVAL;
	for (; units->text; units++) {
		if (!strcmp(end, units->text)) {
			if (v > INT64_MAX / units->factor)
				return -EINVAL;
			*out = v * units->factor;
			return 0;
		}
	}
	return -EINVAL;
}

int value_parse_size(const char *s, uint64_t *out) { return parse_unit(s, size_units, out); }

int value_parse_duration(const char *s, int64_t *ns)
{
	uint64_t v;

	if (parse_unit(s, time_units, &v))
		return -EINVAL;
	*ns = (int64_t)v;
	return 0;
}

static void print_size(uint64_t v, char *buf, size_t n)
{
	unsigned u = 0;

	while (u < 3 && v && !(v & 1023)) {
		v >>= 10;
		u++;
	}
	snprintf(buf, n, "%" PRIu64 "%s", v, u == 3 ? "GiB" : u == 2 ? "MiB" : u ? "KiB" : "");
}

static int get_size(const struct yaml *y, struct fy_node *node, const struct key *k, const char *path, void *at, struct err *e)
{
	const char *s = yaml_scalar(node);
	char expected[128], lo[32], hi[32];
	uint64_t v;

	if (!s || value_parse_size(s, &v) || v < k->min || v > k->max) {
		print_size(k->min, lo, sizeof lo);
		print_size(k->max, hi, sizeof hi);
		snprintf(expected, sizeof expected, "a size from %s to %s (KiB, MiB, GiB or plain bytes)", lo, hi);
		return value_fail(y, node, path, expected, e);
	}
	store(at, k->size, v);
	return 0;
}

static void put_size(const struct key *k, const void *at, FILE *f)
{
	char buf[32];

	print_size(fetch(at, k->size), buf, sizeof buf);
	fputs(buf, f);
}

static int get_size_pow2(const struct yaml *y, struct fy_node *node, const struct key *k, const char *path, void *at, struct err *e)
{
	uint64_t v;

	if (get_size(y, node, k, path, at, e))
		return -EINVAL;
	v = fetch(at, k->size);
	return v & (v - 1) ? value_fail(y, node, path, "a power of two", e) : 0;
}

const struct value_ops value_size = { .get = get_size, .put = put_size };
const struct value_ops value_size_pow2 = { .get = get_size_pow2, .put = put_size };

static void print_time(uint64_t ms, char *buf, size_t n)
{
	if (ms % 1000)
		snprintf(buf, n, "%" PRIu64 "ms", ms);
	else
		snprintf(buf, n, "%" PRIu64 "s", ms / 1000);
}

/* unit: ns of one step; the field counts steps of `keep` ns. */
static int get_time(const struct yaml *y, struct fy_node *node, const struct key *k, const char *path, uint64_t max_ms, int64_t keep, void *at, struct err *e)
{
	const char *s = yaml_scalar(node);
	char expected[128], lo[32], hi[32];
	int64_t ns;

	if (!s || value_parse_duration(s, &ns) || ns % keep || ns % 1000000 || (uint64_t)ns / 1000000 < k->min || (uint64_t)ns / 1000000 > max_ms) {
		print_time(k->min, lo, sizeof lo);
		print_time(max_ms, hi, sizeof hi);
		snprintf(expected, sizeof expected, "a time from %s to %s (%ss, m, h or plain seconds)", lo, hi, keep == 1 ? "ms, " : "");
		return value_fail(y, node, path, expected, e);
	}
	store(at, k->size, (uint64_t)(ns / keep));
	return 0;
}

static int get_duration(const struct yaml *y, struct fy_node *node, const struct key *k, const char *path, void *at, struct err *e)
{
	return get_time(y, node, k, path, k->max, 1, at, e);
}

static void put_duration(const struct key *k, const void *at, FILE *f)
{
	char buf[32];

	print_time(fetch(at, k->size) / 1000000, buf, sizeof buf);
	fputs(buf, f);
}

static int get_seconds(const struct yaml *y, struct fy_node *node, const struct key *k, const char *path, void *at, struct err *e)
{
	return get_time(y, node, k, path, k->max * 1000, 1000000000, at, e);
}

const struct value_ops value_duration = { .get = get_duration, .put = put_duration };
const struct value_ops value_seconds = { .get = get_seconds, .put = put_number };

static int get_mark(const struct yaml *y, struct fy_node *node, const struct key *k, const char *path, void *at, struct err *e)
{
	const char *s = yaml_scalar(node), *end;
	uint64_t mark, mask = UINT32_MAX;
	uint32_t v[2];

	(void)k;
	if (!s || parse_digits(s, &mark, &end) || (*end == '/' && parse_digits(end + 1, &mask, &end)) || *end || !mark || mask > UINT32_MAX || mark & ~mask)
		return value_fail(y, node, path, "a mark and its mask (such as 0x1000/0x1000; not 0, and within its mask)", e);
	v[0] = (uint32_t)mark;
	v[1] = (uint32_t)mask;
	memcpy(at, v, sizeof v);
	return 0;
}

static void put_mark(const struct key *k, const void *at, FILE *f)
{
	uint32_t v[2];

	(void)k;
	memcpy(v, at, sizeof v);
	fprintf(f, "0x%x/0x%x", v[0], v[1]);
}

const struct value_ops value_mark = { .get = get_mark, .put = put_mark };

/* ---- words ---- */

static int get_bool(const struct yaml *y, struct fy_node *node, const struct key *k, const char *path, void *at, struct err *e)
{
	const char *s = yaml_scalar(node);

	if (!s || !yaml_plain(node) || (strcmp(s, "true") && strcmp(s, "false")))
		return value_fail(y, node, path, "true or false", e);
	store(at, k->size, s[0] == 't');
	return 0;
}

static void put_bool(const struct key *k, const void *at, FILE *f) { fputs(fetch(at, k->size) ? "true" : "false", f); }

const struct value_ops value_bool = { .get = get_bool, .put = put_bool };

static const char *word_list(const struct word *w, char buf[LIST_TEXT])
{
	size_t n = 0;

	buf[0] = 0;
	for (const char *comma = ""; w->text && n < LIST_TEXT; w++) {
		if (w->value == LATER)
			continue;
		n += (size_t)snprintf(buf + n, LIST_TEXT - n, "%s%s", comma, w->text);
		comma = ", ";
	}
	return buf;
}

static const struct word *find_word(const struct yaml *y, struct fy_node *node, const struct key *k, const char *path, struct err *e)
{
	const char *s = yaml_scalar(node);
	char list[LIST_TEXT], expected[LIST_TEXT + 16];

	for (const struct word *w = k->words; s && w->text; w++) {
		if (strcmp(s, w->text))
			continue;
		if (w->value != LATER)
			return w;
		yaml_fail(y, node, e, "%s: '%s' is not in this version; expected %s", path, s, word_list(k->words, list));
		return NULL;
	}
	snprintf(expected, sizeof expected, "one of %s", word_list(k->words, list));
	value_fail(y, node, path, expected, e);
	return NULL;
}

static int get_word(const struct yaml *y, struct fy_node *node, const struct key *k, const char *path, void *at, struct err *e)
{
	const struct word *w = find_word(y, node, k, path, e);

	if (!w)
		return -EINVAL;
	store(at, k->size, (uint64_t)w->value);
	return 0;
}

static void put_word(const struct key *k, const void *at, FILE *f)
{
	int v = (int)fetch(at, k->size);

	for (const struct word *w = k->words; w->text; w++) {
		if (!k->size || w->value == v) {
			fputs(w->text, f);
			return;
		}
	}
}

const struct value_ops value_word = { .get = get_word, .put = put_word };

/* ---- text ---- */

void value_put_text(const char *s, FILE *f)
{
	fputc('"', f);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			fprintf(f, "\\x%02x", c);
		else
			fputc(c, f);
	}
	fputc('"', f);
}

static void put_text(const struct key *k, const void *at, FILE *f)
{
	char *s;

	(void)k;
	memcpy(&s, at, sizeof s);
	value_put_text(s ? s : "", f);
}

static void release_text(const struct key *k, void *at)
{
	char *s;

	(void)k;
	memcpy(&s, at, sizeof s);
	free(s);
	memset(at, 0, sizeof s);
}

/* Names end up in log lines, file paths and JSON. */
static bool clean(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

static int keep_text(const char *s, void *at, struct err *e)
{
	char *copy = strdup(s);

	if (!copy)
		return value_no_memory(e);
	memcpy(at, &copy, sizeof copy);
	return 0;
}

static int get_text(const struct yaml *y, struct fy_node *node, const struct key *k, const char *path, void *at, struct err *e)
{
	const char *s = yaml_scalar(node);
	char expected[96];

	if (!s || !clean(s) || strlen(s) < k->min || strlen(s) > k->max) {
		snprintf(expected, sizeof expected, "text of %s%" PRIu64 " bytes without control characters", k->min ? "1 to " : "at most ", k->max);
		return value_fail(y, node, path, expected, e);
	}
	return keep_text(s, at, e);
}

static int get_opt_text(const struct yaml *y, struct fy_node *node, const struct key *k, const char *path, void *at, struct err *e)
{
	const char *s = yaml_scalar(node);

	return s && !*s ? 0 : get_text(y, node, k, path, at, e);
}

static int get_ifname(const struct yaml *y, struct fy_node *node, const struct key *k, const char *path, void *at, struct err *e)
{
	const char *s = yaml_scalar(node);
	char expected[96];

	if (!s || !clean(s) || strlen(s) < k->min || strlen(s) > k->max || strpbrk(s, "/ :") || !strcmp(s, ".") || !strcmp(s, "..")) {
		snprintf(expected, sizeof expected, "an interface name of 1 to %" PRIu64 " bytes", k->max);
		return value_fail(y, node, path, expected, e);
	}
	return keep_text(s, at, e);
}

static int get_word_text(const struct yaml *y, struct fy_node *node, const struct key *k, const char *path, void *at, struct err *e)
{
	const struct word *w = find_word(y, node, k, path, e);

	return w ? keep_text(w->text, at, e) : -EINVAL;
}

const struct value_ops value_text = { .get = get_text, .put = put_text, .release = release_text };
const struct value_ops value_opt_text = { .get = get_opt_text, .put = put_text, .release = release_text };
const struct value_ops value_ifname = { .get = get_ifname, .put = put_text, .release = release_text };
const struct value_ops value_word_text = { .get = get_word_text, .put = put_text, .release = release_text };

static int get_fixed(const struct yaml *y, struct fy_node *node, const struct key *k, const char *path, void *at, struct err *e)
{
	const char *s = yaml_scalar(node);

	(void)at;
	if (!s || strcmp(s, k->dflt))
		return yaml_fail(y, node, e, "%s: not in this version; only %s is accepted", path, k->dflt);
	return 0;
}

static void put_fixed(const struct key *k, const void *at, FILE *f)
{
	(void)at;
	fputs(k->dflt, f);
}

const struct value_ops value_fixed = { .get = get_fixed, .put = put_fixed };
