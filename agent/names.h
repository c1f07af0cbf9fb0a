/* SPDX-License-Identifier: GPL-2.0-or-later */
/* names: what ids in events stand for: workloads (name, labels) and interfaces. Ids are given once and never reused;
 * a name outlives its workload, because flows and queued events do. Thread-safe (a rwlock; readers are sinks, not workers). */
#ifndef TQ_AGENT_NAMES_H
#define TQ_AGENT_NAMES_H

#include <stdint.h>

#include "agent/config.h"
#include "base/jbuf.h"

struct names;
#define NAMES_MAX 65536		/* the oldest are forgotten beyond this */

struct names *names_new(void);
void names_free(struct names *);
/* A new id (> 0) for a workload; copies name and labels. */
uint32_t names_add_workload(struct names *, const char *name, const struct labels *);
/* Id of an interface name; the same name gives the same id. */
uint32_t names_add_iface(struct names *, const char *ifname);
/* Copies the name of a workload; false when id is 0 or forgotten, or the name does not fit. */
bool names_copy_workload(struct names *, uint32_t id, char *out, size_t size);
/* Writes key: name (nothing when id is 0 or forgotten). */
void names_put_workload(struct names *, struct jbuf *, const char *key, uint32_t id);
void names_put_labels(struct names *, struct jbuf *, const char *key, uint32_t id);	/* {} when none */
void names_put_iface(struct names *, struct jbuf *, const char *key, uint32_t id);

#endif
