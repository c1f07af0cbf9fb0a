/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"

#include <CUnit/CUnit.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define STEPS_MAX 64
#define ROOM (64u << 10)

struct writer {
	const char *at;
	uint8_t *out;
	size_t n, room;
};

static void wrong(const struct writer *w, const char *why)
{
	fprintf(stderr, "talk: %s at \"%.40s\"\n", why, w->at);
	abort();
}

static void put(struct writer *w, unsigned b)
{
	if (w->n == w->room)
		wrong(w, "too long");
	w->out[w->n++] = (uint8_t)b;
}

static unsigned nibble(const struct writer *w, char c)
{
	if (!isxdigit((unsigned char)c))
		wrong(w, "not a digit");
	return (unsigned)(c <= '9' ? c - '0' : tolower((unsigned char)c) - 'a' + 10);
}

static void write_until(struct writer *w, char end);

/* What is in brackets, behind its length. */
static void write_counted(struct writer *w, char open)
{
	static uint8_t hold[ROOM];
	unsigned width = 0;
	size_t from, n;

	w->at++;
	if (open != '(')
		width = nibble(w, *w->at++);
	from = w->n;
	write_until(w, open == '(' ? ')' : open == '[' ? ']' : '}');
	n = w->n - from;
	memcpy(hold, w->out + from, n);
	w->n = from;
	if (open == '(') {
		if (n > 255)
			put(w, 0x82), put(w, (unsigned)n >> 8);
		else if (n > 127)
			put(w, 0x81);
		put(w, n & 255);
	}
	for (unsigned i = 0; i < width; i++)
		put(w, (unsigned)(n >> 8 * (open == '[' ? width - 1 - i : i)) & 255);
	for (size_t i = 0; i < n; i++)
		put(w, hold[i]);
}

static void write_until(struct writer *w, char end)
{
	for (; *w->at != end; ) {
		if (isspace((unsigned char)*w->at)) {
			w->at++;
		} else if (*w->at == '\'') {
			for (w->at++; *w->at != '\''; w->at++) {
				if (!*w->at)
					wrong(w, "text without an end");
				put(w, (uint8_t)*w->at);
			}
			w->at++;
		} else if (*w->at == '(' || *w->at == '[' || *w->at == '{') {
			write_counted(w, *w->at);
		} else {
			unsigned b = nibble(w, w->at[0]) << 4;
			unsigned long times = 1;

			b |= nibble(w, w->at[1]);
			w->at += 2;
			if (*w->at == '*') {
				char *rest;

				times = strtoul(w->at + 1, &rest, 10);
				w->at = rest;
			}
			while (times--)
				put(w, b);
		}
	}
	if (end)
		w->at++;
}

size_t talk_bytes(const char *text, uint8_t *out, size_t room)
{
	struct writer w = { .at = text, .out = out, .room = room };

	write_until(&w, '\0');
	return w.n;
}

/* The steps of a talk; their bytes are to be freed. */
static unsigned steps_of(const struct said *v, struct flowtest_step steps[STEPS_MAX])
{
	static uint8_t buf[ROOM];
	char *talk = strdup(v->talk), *save = NULL;
	unsigned n = 0;

	for (char *line = strtok_r(talk, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		size_t len;
		uint8_t *copy;

		if (n == STEPS_MAX || (*line != '>' && *line != '<')) {
			fprintf(stderr, "talk %s: line \"%s\"\n", v->what, line);
			abort();
		}
		len = talk_bytes(line + 1, buf, sizeof(buf));
		copy = malloc(len + 1);
		memcpy(copy, buf, len);
		steps[n++] = (struct flowtest_step){ *line == '>' ? DIR_TOSERVER : DIR_TOCLIENT, copy, len };
	}
	free(talk);
	return n;
}

static void steps_free(struct flowtest_step *steps, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		free((void *)(uintptr_t)steps[i].p);
}

static bool same(const char *text, const char *want)
{
	char *q = strdup(want);
	bool ok;

	for (char *c = q; c && *c; c++)
		if (*c == '\'')
			*c = '"';
	ok = q && strcmp(text, q) == 0;
	free(q);
	return ok;
}

void talks_run(const struct said *v, unsigned n)
{
	struct flowtest_step steps[STEPS_MAX];

	for (; n--; v++) {
		unsigned nsteps = steps_of(v, steps);
		struct flowtest ft = { .dport = v->port, .udp = v->udp };

		for (unsigned family = 0; family < 2; family++) {
			struct flowtest_result r;

			ft.v6 = family;
			r = flowtest_run(&ft, steps, nsteps);
			if (r.app != v->app || (r.bad > 0) != v->broken || (v->want && !same(r.text, v->want)))
				printf("\n%s: app %s, %u errors\nwanted %s\ntold   %s", v->what, app_name(r.app), r.bad, v->want ? v->want : "", r.text);
			CU_ASSERT_EQUAL(r.app, v->app);
			CU_ASSERT_EQUAL(r.bad > 0, v->broken);
			if (v->want)
				CU_ASSERT_TRUE(same(r.text, v->want));
			flowtest_free(&r);
		}
		if (!v->udp)
			free(flowtest_every_cut(&ft, steps, nsteps));
		flowtest_every_prefix(&ft, steps, nsteps);
		steps_free(steps, nsteps);
	}
}

void talks_refused(enum app app, const struct said *v, unsigned n)
{
	struct flowtest_step steps[STEPS_MAX];

	for (; n--; v++) {
		unsigned nsteps = steps_of(v, steps);
		struct flowtest_result r = flowtest_run(&(struct flowtest){ .dport = v->port, .udp = v->udp }, steps, nsteps);

		if (r.app == app)
			printf("\n%s was taken for %s", v->what, app_name(app));
		CU_ASSERT_NOT_EQUAL(r.app, app);
		flowtest_free(&r);
		steps_free(steps, nsteps);
	}
}
