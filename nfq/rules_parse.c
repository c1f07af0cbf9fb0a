/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text of iptables-save, of both back ends and families, cut into lines of interest.
 *
 *	*TABLE					a table begins
 *	:CHAIN POLICY [PACKETS:BYTES]		policy "-": a user's chain
 *	[PACKETS:BYTES] -A CHAIN SPEC		counters only with -c
 *	# Table `NAME' is incompatible ...	(nft) the table holds what iptables cannot say
 *	COMMIT
 *
 * The same rule is written differently by different versions and by us: rules are compared token by token in one canonical
 * form. Tokens are taken as the programs take them: separated by blanks, double quotes with backslash inside.
 * What a workload's owner wrote into its tables is hostile: lines and tokens are bounded, nothing is executed or expanded. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nfq/ipt.h"

#define LINES_MAX 65536u
#define TOKENS_MAX 48		/* ours have under 20; a longer rule is nobody's but the user's */
#define TOKEN_SIZE 80

const char *ipt_table_name(enum ipt_table t)
{
	switch (t) {
	case IPT_TABLE_SECURITY: return "security";
	case IPT_TABLE_MANGLE: return "mangle";
	case IPT_TABLE_FILTER:
	case IPT_TABLE_AUTO: break;
	}
	return "filter";
}

const char *ipt_backend_name(enum ipt_backend b) { return b == IPT_LEGACY ? "legacy" : "nft"; }

/* ---- lines ---- */

static struct ipt_line *add_line(struct ipt_dump *d)
{
	if (d->n == d->size) {
		size_t size = d->size ? d->size * 2 : 64;
		struct ipt_line *more = size <= LINES_MAX ? realloc(d->line, size * sizeof *more) : NULL;

		if (!more)
			return NULL;
		d->line = more;
		d->size = size;
	}
	memset(&d->line[d->n], 0, sizeof d->line[0]);
	return &d->line[d->n++];
}

/* Cuts the word at *p off and moves *p to the next one. Empty at the end. */
static char *word(char **p)
{
	char *w = *p + strspn(*p, " \t"), *end = w + strcspn(w, " \t");

	*p = *end ? end + 1 : end;
	*end = 0;
	return w;
}

/* "[12:3456]" */
static bool counters(const char *w, uint64_t *packets, uint64_t *bytes)
{
	char *end;

	if (*w != '[' || !isdigit((unsigned char)w[1]))
		return false;
	*packets = strtoull(w + 1, &end, 10);
	if (*end != ':' || !isdigit((unsigned char)end[1]))
		return false;
	*bytes = strtoull(end + 1, &end, 10);
	return *end == ']' && !end[1];
}

static int rule_line(char *p, const char *table, struct ipt_line *l)
{
	if (*p == '[' && !counters(word(&p), &l->packets, &l->bytes))
		return -EPROTO;
	if (strcmp(word(&p), "-A"))
		return -EPROTO;
	l->kind = IPT_RULE;
	l->table = table;
	l->chain = word(&p);
	l->spec = p + strspn(p, " \t");
	return *l->chain ? 0 : -EPROTO;
}

static int chain_line(char *p, const char *table, struct ipt_line *l)
{
	p++;
	l->kind = IPT_CHAIN;
	l->table = table;
	l->chain = word(&p);
	l->spec = word(&p);
	return *l->chain && *l->spec ? 0 : -EPROTO;
}

/* "# Table `filter' is incompatible, use 'nft' tool." and the like; 1: it is one. */
static int foreign_line(char *p, struct ipt_line *l)
{
	static const char head[] = "# Table `";
	char *end;

	if (strncmp(p, head, sizeof head - 1))
		return 0;
	p += sizeof head - 1;
	end = strchr(p, '\'');
	if (!end)
		return 0;
	*end = 0;
	l->kind = IPT_FOREIGN;
	l->table = p;
	l->chain = l->spec = "";
	return 1;
}

static int parse_line(struct ipt_dump *d, char *p, const char **table)
{
	struct ipt_line *l;
	int rc;

	p += strspn(p, " \t");
	if (!*p || (*p == '#' && strncmp(p, "# Table", 7)))
		return 0;
	if (*p == '*') {
		*table = p + 1;
		return 0;
	}
	if (!strcmp(p, "COMMIT")) {
		*table = NULL;
		return 0;
	}
	l = add_line(d);
	if (!l)
		return d->n >= LINES_MAX / 2 ? -E2BIG : -ENOMEM;
	if (*p == '#') {
		d->n -= foreign_line(p, l) ? 0 : 1;
		return 0;
	}
	if (!*table)
		return -EPROTO;
	rc = *p == ':' ? chain_line(p, *table, l) : rule_line(p, *table, l);
	return rc;
}

int ipt_parse(char *text, struct ipt_dump *d, struct err *err)
{
	const char *table = NULL;
	char *p = text;
	int rc = 0;

	memset(d, 0, sizeof *d);
	d->text = text;
	for (unsigned number = 1; p && *p && !rc; number++) {
		char *end = strchr(p, '\n');

		if (end)
			*end = 0;
		rc = parse_line(d, p, &table);
		if (rc)
			err_set(err, rc, "saved rules, line %u: %s", number, rc == -EPROTO ? "not understood" : strerror(-rc));
		p = end ? end + 1 : NULL;
	}
	if (rc)
		ipt_dump_free(d);
	return rc;
}

void ipt_dump_free(struct ipt_dump *d)
{
	free(d->text);
	free(d->line);
	memset(d, 0, sizeof *d);
}

const struct ipt_line *ipt_next(const struct ipt_dump *d, size_t *at, enum ipt_kind kind, const char *table, const char *chain)
{
	while (*at < d->n) {
		const struct ipt_line *l = &d->line[(*at)++];

		if (l->kind == kind && (!table || !strcmp(l->table, table)) && (!chain || !strcmp(l->chain, chain)))
			return l;
	}
	return NULL;
}

const struct ipt_line *ipt_chain(const struct ipt_dump *d, const char *table, const char *chain)
{
	size_t at = 0;

	return ipt_next(d, &at, IPT_CHAIN, table, chain);
}

static const char *own_name(const char *name)
{
	static const char *const own[] = { CHAIN_IN, CHAIN_OUT, CHAIN_QUAR_IN, CHAIN_QUAR_OUT };

	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
		if (!strcmp(name, own[i]))
			return own[i];
	return NULL;
}

bool ipt_own_chain(const char *name) { return own_name(name) != NULL; }

/* ---- tokens ---- */

/* The next token of *p, without its quotes. 1, 0 at the end, -1 when it is too long. */
static int token(const char **p, char *out, size_t size)
{
	const char *s = *p + strspn(*p, " \t");
	size_t n = 0;
	bool quoted = false;

	if (!*s)
		return 0;
	for (; *s && (quoted || (*s != ' ' && *s != '\t')); s++) {
		if (*s == '"') {
			quoted = !quoted;
			continue;
		}
		if (quoted && *s == '\\' && s[1])
			s++;
		if (n + 1 >= size)
			return -1;
		out[n++] = *s;
	}
	out[n] = 0;
	*p = s;
	return 1;
}

bool ipt_option(const char *spec, const char *option, char *out, size_t size)
{
	char t[TOKEN_SIZE * 4];
	bool value = false;
	int rc;

	/* A comment may hold anything, "-j" too, but only within its quotes: it is one token, and the value of --comment. */
	while ((rc = token(&spec, t, sizeof t)) != 0) {
		if (rc < 0) {	/* too long for anything of ours: pass over it */
			spec += strcspn(spec, "\"");
			if (*spec != '"' || !(spec = strchr(spec + 1, '"')))
				return false;
			spec++;
			value = false;
			continue;
		}
		if (!value && !strcmp(t, option))
			return token(&spec, out, size) > 0;
		value = !value && !strcmp(t, "--comment");
	}
	return false;
}

const char *ipt_jumps_to_own(const struct ipt_line *l)
{
	char target[TOKEN_SIZE];

	if (ipt_option(l->spec, "-j", target, sizeof target) || ipt_option(l->spec, "-g", target, sizeof target))
		return own_name(target);
	return NULL;
}

/* ---- one form for every way to write a rule ---- */

struct canon {
	unsigned n;
	char t[TOKENS_MAX][TOKEN_SIZE];
};

/* Addresses get a prefix length and their one text form. */
static void canon_address(char *t)
{
	char *slash = strchr(t, '/');
	unsigned long len = 129;
	struct addr a;
	char text[ADDR_STRLEN];

	if (slash)
		*slash = 0;
	if (addr_parse(t, &a)) {
		if (slash)
			*slash = '/';
		return;
	}
	if (slash && strchr(slash + 1, '.')) {	/* a dotted mask: only the full one is ours */
		len = strcmp(slash + 1, "255.255.255.255") ? 0 : 129;
	} else if (slash) {
		len = strtoul(slash + 1, NULL, 10);
	}
	if (len > 128 || (addr_is_v4(&a) && len > 32))
		len = addr_is_v4(&a) ? 32 : 128;
	addr_format(&a, text);
	snprintf(t, TOKEN_SIZE, "%s/%lu", text, len);
}

static void canon_proto(char *t)
{
	static const char *const same[][2] = { { "6", "tcp" }, { "17", "udp" }, { "58", "icmp6" }, { "ipv6-icmp", "icmp6" }, { "icmpv6", "icmp6" } };

	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
		if (!strcmp(t, same[i][0]))
			snprintf(t, TOKEN_SIZE, "%s", same[i][1]);
}

/* "0x1000", "4096", "0x1000/0xffffffff" are one mark. */
static void canon_mark(char *t)
{
	char *end;
	unsigned long value = strtoul(t, &end, 0), mask = 0xffffffffUL;

	if (end == t)
		return;
	if (*end == '/')
		mask = strtoul(end + 1, &end, 0);
	if (!*end)
		snprintf(t, TOKEN_SIZE, "0x%lx/0x%lx", value, mask);
}

/* Numbers of the kinds of ICMPv6 that our quarantine names. */
static void canon_icmp6(char *t)
{
	static const char *const same[][2] = { { "router-solicitation", "133" }, { "router-advertisement", "134" },
		{ "neighbour-solicitation", "135" }, { "neighbor-solicitation", "135" },
		{ "neighbour-advertisement", "136" }, { "neighbor-advertisement", "136" } };

	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
		if (!strcmp(t, same[i][0]))
			snprintf(t, TOKEN_SIZE, "%s", same[i][1]);
}

/* False: the token and its option say nothing of their own. */
static bool canon_value(const char *option, char *t)
{
	if (!strcmp(option, "-m") && (!strcmp(t, "tcp") || !strcmp(t, "udp") || !strcmp(t, "icmp6")))
		return false;	/* said by -p already */
	if (!strcmp(option, "-s") || !strcmp(option, "-d"))
		canon_address(t);
	else if (!strcmp(option, "-p"))
		canon_proto(t);
	else if (!strcmp(option, "--mark") || !strcmp(option, "--set-xmark"))
		canon_mark(t);
	else if (!strcmp(option, "--icmpv6-type"))
		canon_icmp6(t);
	return true;
}

static bool canon(const char *spec, struct canon *c)
{
	int rc = 0;

	c->n = 0;
	while (c->n < TOKENS_MAX && (rc = token(&spec, c->t[c->n], TOKEN_SIZE)) > 0) {
		if (c->n && !canon_value(c->t[c->n - 1], c->t[c->n]))
			c->n--;
		else
			c->n++;
	}
	return rc == 0;
}

bool ipt_same_rule(const char *a, const char *b)
{
	struct canon ca, cb;

	if (!strcmp(a, b))
		return true;
	if (!canon(a, &ca) || !canon(b, &cb) || ca.n != cb.n)
		return false;
	for (unsigned i = 0; i < ca.n; i++)
		if (strcmp(ca.t[i], cb.t[i]))
			return false;
	return true;
}
