/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quarantine: workloads that are cut off at once, on every path and family, open connections included.
 *
 * Twice: filters on the host's end of each veth send what leaves and enters it to the bridges instead of on, so that what it tries is still seen
 * (tc/quarantine.c), whatever the datapath mode is; and chains of its own in its netns drop what comes in, and what leaves by anything
 * else than a veth whose filters were read back (nfq/rules_text.c). Where the filters cannot be set the chains stop all of it. ARP and neighbour discovery go on, and
 * what the workload says to itself over lo. The core refuses its flows with reason `quarantine`, at the queues of others too.
 *
 * It belongs to a name: a container that is started again under it is cut off from the start. It ends by `off` only: names are kept in a file beside
 * the control socket, which the next start reads. While tapqd is stopped, on_stop says whether it holds. */
#ifndef TQ_AGENT_QUARANTINE_H
#define TQ_AGENT_QUARANTINE_H

#include "agent/node.h"

#define QUARANTINED_MAX WORKLOADS_MAX

/* -ENOENT: no such workload (on), or it is not in quarantine (off). Other errors: it is on, but something of it is missing and is tried again. */
int quarantine_set(struct node *, const char *name, bool on, struct err *);
/* Names of an earlier run, before the first workload is found. A file that cannot be read is an error: something would be let out silently. */
int quarantine_load(struct node *, struct err *);
/* The file of a control socket; out: of `size` bytes. */
void quarantine_file(const char *control, char *out, size_t size);

#endif
