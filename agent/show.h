/* SPDX-License-Identifier: GPL-2.0-or-later */
/* show: answers of tapqd and event lines in a form for people. */
#ifndef TQ_AGENT_SHOW_H
#define TQ_AGENT_SHOW_H

#include <jansson.h>
#include <stdio.h>

/* Strings come from packets and from containers: what would steer a terminal or begin a line of its own (control characters, C1 too) is
 * written as \xNN in all strings of the value. To be called before any other. */
void show_defuse(json_t *);
void show_status(FILE *, const json_t *);
void show_workloads(FILE *, const json_t *);
void show_flows(FILE *, const json_t *);
void show_counters(FILE *, const json_t *);
/* A small answer: a line for each of its members, lists with commas. */
void show_policy_test(FILE *, const json_t *);
void show_members(FILE *, const json_t *);
/* One EVE event as one line: time, type, path, ends with names, application, verdict, what it says. */
void show_event(FILE *, const json_t *);

#endif
