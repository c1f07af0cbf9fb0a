/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/show.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char *str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static int64_t num(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static bool yes(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

/* ---- hostile strings ---- */

/* Bytes of the control character that stands here: 1, 2 (C1 in UTF-8), 0: it is none. */
static unsigned control_at(const char *p)
{
	unsigned char a = (unsigned char)p[0], b = (unsigned char)p[1];

	return a < 0x20 || a == 0x7f ? 1 : a == 0xc2 && b >= 0x80 && b < 0xa0 ? 2 : 0;
}

static void defuse_string(json_t *v)
{
	const char *s = json_string_value(v);
	size_t n = json_string_length(v), used = 0;
	bool found = false;
	char *out;

	for (size_t i = 0; i < n && !found; i++)
		found = control_at(s + i);
	out = found ? malloc(n * 4 + 1) : NULL;
	if (!out) {
		if (found)
			json_string_set(v, "");
		return;
	}
	for (size_t i = 0; i < n; ) {
		unsigned skip = control_at(s + i);

		if (skip)
			used += (size_t)sprintf(out + used, "\\x%02x", (unsigned char)s[i + skip - 1]);
		else
			out[used++] = s[i];
		i += skip ? skip : 1;
	}
	json_string_setn(v, out, used);
	free(out);
}

void show_defuse(json_t *v)
{
	const char *key;
	json_t *item;
	size_t i;

	if (json_is_string(v))
		defuse_string(v);
	json_array_foreach(v, i, item)
		show_defuse(item);
	json_object_foreach(v, key, item)
		show_defuse(item);
}

/* ---- status ---- */

static void show_path(FILE *f, const char *name, const json_t *p)
{
	fprintf(f, "  %-4s %12" PRId64 " packets", name, num(p, "packets"));
	if (num(p, "accepted") || num(p, "dropped"))
		fprintf(f, ", %" PRId64 " accepted, %" PRId64 " dropped", num(p, "accepted"), num(p, "dropped"));
	fprintf(f, ", lost in the kernel %" PRId64, num(p, "kernel_drops") + num(p, "user_drops"));
	if (num(p, "passed_unseen"))
		fprintf(f, ", passed unseen %" PRId64, num(p, "passed_unseen"));
	if (num(p, "errors"))
		fprintf(f, ", errors %" PRId64, num(p, "errors"));
	fputc('\n', f);
}

void show_status(FILE *f, const json_t *s)
{
	const json_t *v, *paths = json_object_get(s, "paths"), *learning = json_object_get(s, "learning");
	int64_t up = num(s, "uptime");
	size_t i;

	fprintf(f, "tapqd %s on %s, pid %" PRId64 ", up %" PRId64 ":%02" PRId64 ":%02" PRId64 ", mode %s%s\n", str(s, "version"), str(s, "node"), num(s, "pid"), up / 3600,
		up / 60 % 60, up % 60, str(s, "mode"), yes(s, "switching") ? " (switching)" : "");
	fprintf(f, "%s: %" PRId64 " of %" PRId64 " workloads covered\n", yes(s, "ready") ? "ready" : "NOT READY", num(s, "covered"), num(s, "workloads"));
	json_array_foreach(json_object_get(s, "missing"), i, v)
		fprintf(f, "  missing: %s: %s on %s: %s\n", str(v, "workload"), str(v, "path"), str(v, "object"), str(v, "why"));
	fprintf(f, "config %s, policy %s, %" PRId64 " rules\n", *str(s, "config") ? str(s, "config") : "(defaults)", *str(s, "policy") ? str(s, "policy") : "(none)", num(s, "rules"));
	json_array_foreach(json_object_get(s, "quarantined"), i, v)
		fprintf(f, "IN QUARANTINE: %s\n", json_string_value(v));
	if (yes(learning, "on") || num(learning, "pairs"))
		fprintf(f, "learning %s: %" PRId64 " pairs, %" PRId64 " connections, %" PRId64 " left out\n", yes(learning, "on") ? "on" : "off", num(learning, "pairs"),
			num(learning, "connections"), num(learning, "left_out"));
	fputs("paths\n", f);
	show_path(f, "tc", json_object_get(paths, "tc"));
	show_path(f, "nfq", json_object_get(paths, "nfq"));
	fprintf(f, "offload\n  %" PRId64 " flows go by the queue\n", num(json_object_get(s, "offload"), "flows"));
	json_array_foreach(json_object_get(json_object_get(s, "offload"), "why"), i, v)
		fprintf(f, "  queued: %s\n", json_string_value(v));
	fputs("workers\n", f);
	json_array_foreach(json_object_get(s, "workers"), i, v)
		fprintf(f, "  %" PRId64 ": %" PRId64 " of %" PRId64 " flows, %" PRId64 " of %" PRId64 " KiB\n", num(v, "index"), num(v, "flows"), num(v, "flows_max"),
			num(v, "memory_used") / 1024, num(v, "memory_cap") / 1024);
	fputs("sinks\n", f);
	json_array_foreach(json_object_get(s, "sinks"), i, v)
		fprintf(f, "  %s: %" PRId64 " lines, %" PRId64 " dropped, %" PRId64 " errors\n", str(v, "name"), num(v, "lines"), num(v, "dropped"), num(v, "errors"));
}

/* ---- workloads ---- */

static void show_list(FILE *f, const json_t *list)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		fprintf(f, "%s%s", i ? "," : "", json_string_value(v));
}

void show_workloads(FILE *f, const json_t *answer)
{
	const json_t *w, *l;
	size_t i, k;

	fprintf(f, "%-16s %5s %-6s %-9s %-10s %-16s %-18s %10s %10s  %s\n", "NAME", "ID", "MODE", "POLICY", "QUEUE", "HOST", "MAC", "TC-PKTS", "NFQ-PKTS", "APPS");
	json_array_foreach(json_object_get(answer, "workloads"), i, w) {
		const json_t *p = json_object_get(w, "packets"), *q = json_object_get(w, "queue"), *tc = json_object_get(p, "tc"), *nfq = json_object_get(p, "nfq");
		const json_t *first = json_array_get(json_object_get(w, "interfaces"), 0);

		fprintf(f, "%-16s %5" PRId64 " %-6s %-9s %-10s %-16s %-18s %10" PRId64 " %10" PRId64 "  ", str(w, "name"), num(w, "id"), str(w, "mode"), str(w, "policy_mode"),
			str(q, "state"), str(first, "host"), str(first, "mac"), num(tc, "sent") + num(tc, "received"), num(nfq, "sent") + num(nfq, "received"));
		show_list(f, json_object_get(w, "apps"));
		fputc('\n', f);
		fprintf(f, "    image %s, netns %s\n", *str(w, "image") ? str(w, "image") : "not known", *str(w, "netns_path") ? str(w, "netns_path") : "without a path");
		if (yes(w, "quarantined"))
			fputs("    IN QUARANTINE\n", f);
		if (*str(q, "error"))
			fprintf(f, "    queue: %s\n", str(q, "error"));
		json_array_foreach(json_object_get(w, "interfaces"), k, l) {
			fprintf(f, "    %s at %s, mirror %s, ", str(l, "name"), str(l, "host"), str(l, "mirror"));
			show_list(f, json_object_get(l, "addresses"));
			if (num(l, "foreign_filters"))
				fprintf(f, ", %" PRId64 " filters of others", num(l, "foreign_filters"));
			if (num(l, "tcx_programs"))
				fprintf(f, ", %" PRId64 " tcx programs in front: a PASS there hides packets from the mirror", num(l, "tcx_programs"));
			fprintf(f, "%s%s\n", *str(l, "error") ? ": " : "", str(l, "error"));
		}
	}
}

/* ---- flows, counters ---- */

/* "web:8080", "[2001:db8::1]:80": the workload's name where there is one. */
static void show_end(FILE *f, const char *name, const char *ip, int64_t port)
{
	char text[320];
	bool v6 = !*name && strchr(ip, ':');

	snprintf(text, sizeof text, "%s%s%s:%" PRId64, v6 ? "[" : "", *name ? name : ip, v6 ? "]" : "", port);
	fprintf(f, "%-24s", text);
}

/* The destination's workload, else the name that was learned for it last. */
static const char *dest_of(const json_t *flow)
{
	const json_t *names = json_object_get(flow, "dest_names");
	const char *workload = str(flow, "dest_workload"), *name = json_string_value(json_array_get(names, json_array_size(names) - 1));

	return *workload || !name ? workload : name;
}

void show_flows(FILE *f, const json_t *answer)
{
	const json_t *v;
	size_t i;

	fprintf(f, "%-5s %-24s    %-24s %-10s %-4s %-12s %-9s %-9s %6s %9s %9s %12s %12s\n", "PROTO", "FROM", "TO", "APP", "PATH", "STATE", "VERDICT", "OFFLOADED", "RULE", "PKTS>", "PKTS<", "BYTES>", "BYTES<");
	json_array_foreach(json_object_get(answer, "flows"), i, v) {
		fprintf(f, "%-5s ", str(v, "proto"));
		show_end(f, str(v, "src_workload"), str(v, "src_ip"), num(v, "src_port"));
		fputs(" -> ", f);
		show_end(f, dest_of(v), str(v, "dest_ip"), num(v, "dest_port"));
		fprintf(f, "%-10s %-4s %-12s %s%-*s %-9s %6" PRId64 " %9" PRId64 " %9" PRId64 " %12" PRId64 " %12" PRId64 "\n", str(v, "app_proto"), str(v, "path"), str(v, "state"),
			str(v, "verdict"), 9 - (int)strnlen(str(v, "verdict"), 9), yes(v, "enforced") ? "!" : "", yes(v, "offloaded") ? "yes" : "no", num(v, "rule"),
			num(v, "pkts_toserver"), num(v, "pkts_toclient"), num(v, "bytes_toserver"), num(v, "bytes_toclient"));
	}
}

void show_counters(FILE *f, const json_t *answer)
{
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(answer, "counters"), i, v)
		fprintf(f, "%-34s %14" PRId64 "  %s\n", str(v, "name"), num(v, "value"), str(v, "help"));
}

/* ---- events ---- */

static void show_value(FILE *f, const json_t *v)
{
	if (json_is_string(v)) {
		fprintf(f, "%.120s", json_string_value(v));
	} else {
		char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);

		fprintf(f, "%.120s", text ? text : "");
		free(text);
	}
}

void show_members(FILE *f, const json_t *answer)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)answer, key, v) {
		fprintf(f, "%-10s ", key);
		if (json_is_array(v))
			show_list(f, v);
		else
			show_value(f, v);
		fputc('\n', f);
	}
}

/* The answer, then each rule that was tried. */
void show_policy_test(FILE *f, const json_t *answer)
{
	const char *key;
	const json_t *v;
	size_t i;

	json_object_foreach((json_t *)answer, key, v) {
		if (!strcmp(key, "rules") || (json_is_array(v) && !json_array_size(v)))
			continue;
		fprintf(f, "%-10s ", key);
		if (json_is_array(v))
			show_list(f, v);
		else
			show_value(f, v);
		fputc('\n', f);
	}
	json_array_foreach(json_object_get(answer, "rules"), i, v)
		fprintf(f, "  rule %-6" PRId64 " line %-5" PRId64 " %s\n", num(v, "rule"), num(v, "line"), str(v, "why"));
}

/* The event's own object in the order in which it was written. */
static void show_details(FILE *f, const json_t *o)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)o, key, v) {
		fprintf(f, " %s=", key);
		show_value(f, v);
	}
}

void show_event(FILE *f, const json_t *e)
{
	const json_t *t = json_object_get(e, "tapq");
	const char *type = str(e, "event_type"), *stamp = str(e, "timestamp");

	fprintf(f, "%.15s %-7s %-4s ", strlen(stamp) > 11 ? stamp + 11 : stamp, type, str(t, "path"));
	if (*str(e, "src_ip")) {
		show_end(f, str(t, "src_workload"), str(e, "src_ip"), num(e, "src_port"));
		fputs(" -> ", f);
		show_end(f, str(t, "dest_workload"), str(e, "dest_ip"), num(e, "dest_port"));
	}
	fprintf(f, " %-8s %s%s", *str(e, "app_proto") ? str(e, "app_proto") : "-", str(t, "verdict"), yes(t, "enforced") ? "!" : "");
	if (num(t, "rule"))
		fprintf(f, " rule=%" PRId64, num(t, "rule"));
	show_details(f, json_object_get(e, type));
	fputc('\n', f);
}
