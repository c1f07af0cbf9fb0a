/* SPDX-License-Identifier: GPL-2.0-or-later */
/* check: preflight (`tapqd --check`): one line per kernel feature, tool and permission that the mode needs: ok, missing or
 * degraded, and what to do about it. Probes run in namespaces of their own; nothing is changed. */
#ifndef TQ_AGENT_CHECK_H
#define TQ_AGENT_CHECK_H

#include <stdbool.h>
#include <stdio.h>

#include "agent/config.h"

/* Prints to out (NULL: prints nothing). True when the mode can run; else the first missing one is named in err. */
bool check_run(const struct config *, FILE *out, struct err *);

#endif
