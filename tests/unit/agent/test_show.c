/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <CUnit/CUnit.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/show.h"
#include "tests/unit/unit.h"

/* What is shown of this text; the caller frees it. */
static char *shown(void (*show)(FILE *, const json_t *), const char *text)
{
	json_t *v = json_loads(text, JSON_ALLOW_NUL, NULL);
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);

	CU_ASSERT_PTR_NOT_NULL_FATAL(v);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	show_defuse(v);
	show(f, v);
	fclose(f);
	json_decref(v);
	return out;
}

static unsigned lines(const char *s)
{
	unsigned n = 0;

	for (; *s; s++)
		n += *s == '\n';
	return n;
}

static void test_event(void)
{
	char *s = shown(show_event, "{\"timestamp\":\"2026-01-02T03:04:05.123456+0000\",\"event_type\":\"http\",\"src_ip\":\"10.0.0.1\",\"src_port\":5000,\"dest_ip\":\"fd00::1\","
				    "\"dest_port\":80,\"app_proto\":\"http\",\"tapq\":{\"path\":\"nfq\",\"src_workload\":\"web\",\"verdict\":\"deny\",\"enforced\":true,\"rule\":20},"
				    "\"http\":{\"url\":\"/a\",\"status\":200}}");

	CU_ASSERT_EQUAL(strncmp(s, "03:04:05.123456 http    nfq  web:5000", 37), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(s, " -> [fd00::1]:80"));
	CU_ASSERT_PTR_NOT_NULL(strstr(s, " http     deny! rule=20 url=/a status=200\n"));
	CU_ASSERT_EQUAL(lines(s), 1);
	free(s);
}

/* ESC sequences, line ends, NUL, C1: nothing of it reaches the terminal, the rest of the string does. */
static void test_hostile(void)
{
	static const struct { void (*show)(FILE *, const json_t *); const char *text, *want; unsigned lines; } cases[] = {
		{ show_event, "{\"event_type\":\"http\",\"http\":{\"url\":\"/\\u001b[2J\\n\\r\\u0000\\u007f\\u009bx\\u00e9\"},\"tapq\":{\"src_workload\":\"\\u001b]0;\"}}",
		  "url=/\\x1b[2J\\x0a\\x0d\\x00\\x7f\\x9bx\xc3\xa9\n", 1 },
		{ show_event, "{\"event_type\":\"dns\",\"dns\":{\"answers\":[{\"rdata\":\"\\u001bc\"}]}}", "\\\\x1bc", 1 },
		{ show_flows, "{\"flows\":[{\"src_workload\":\"a\\u001b[A\\n\"}]}", "a\\x1b[A\\x0a", 2 },
		{ show_workloads, "{\"workloads\":[{\"name\":\"\\u001b[31mred\",\"interfaces\":[{\"name\":\"eth0\",\"host\":\"v\",\"error\":\"x\\n\"}]}]}", "\\x1b[31mred", 4 },
		{ show_status, "{\"missing\":[{\"workload\":\"w\\n\",\"why\":\"\\u001b\"}]}", "missing: w\\x0a", 6 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char *s = shown(cases[i].show, cases[i].text);

		CU_ASSERT_PTR_NOT_NULL(strstr(s, cases[i].want));
		CU_ASSERT_PTR_NULL(strchr(s, 0x1b));
		CU_ASSERT_PTR_NULL(strchr(s, '\r'));
		if (i < 4)
			CU_ASSERT_EQUAL(lines(s), cases[i].lines);
		free(s);
	}
}

static void test_counters(void)
{
	char *s = shown(show_counters, "{\"counters\":[{\"name\":\"dpi.frames\",\"value\":7,\"help\":\"Frames\"}]}");

	CU_ASSERT_EQUAL(strncmp(s, "dpi.frames ", 11), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(s, " 7  Frames\n"));
	free(s);
	s = shown(show_members, "{\"apps\":[\"tcp/1\",\"udp/2\"],\"ok\":true,\"n\":5,\"text\":\"a\\u001b\"}");
	CU_ASSERT_STRING_EQUAL(s, "apps       tcp/1,udp/2\nok         true\nn          5\ntext       a\\x1b\n");
	free(s);
}

const struct unit_test tests_show[] = {
	{ "an event in one line", test_event },
	{ "hostile strings", test_hostile },
	{ "counters, small answers", test_counters },
	{ 0 },
};
