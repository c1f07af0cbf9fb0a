/* SPDX-License-Identifier: GPL-2.0-or-later */
/* app: the names of applications and how they nest; everything expands from apps.def. */
#ifndef TQ_DPI_APP_H
#define TQ_DPI_APP_H

#include <stdbool.h>
#include <stdint.h>

enum app {
#define X(id, name, parent) APP_##id,
#include "dpi/apps.def"
#undef X
	APP_COUNT
};

const char *app_name(enum app a);
enum app app_parent(enum app a);	/* APP_UNKNOWN: none */
/* The app of that name; -1 when there is none. */
int app_by_name(const char *name);
/* What an unknown flow to that port may be (hints.def); APP_UNKNOWN: no hint. */
enum app app_hint(uint8_t ipproto, uint16_t port);
/* True when `a` is `what` or is carried in it (grpc is http2 is http). */
bool app_is(enum app a, enum app what);

#endif
