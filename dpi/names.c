/* SPDX-License-Identifier: GPL-2.0-or-later */
/* names: every name that users see, expanded from the lists (apps.def, counters.def, anomalies.def, event.h), so that
 * logs, events, metrics and manuals cannot drift apart. */
#include <netinet/in.h>
#include <string.h>

#include "dpi/app.h"
#include "dpi/dpi.h"
#include "dpi/event.h"

static const struct {
	const char *name;
	enum app parent;
} apps[APP_COUNT] = {
#define X(id, text, up) [APP_##id] = { text, APP_##up },
#include "dpi/apps.def"
#undef X
};

static const char *const event_types[EV_COUNT] = {
#define X(id, name) [EV_##id] = name,
	EVENT_TYPES(X)
#undef X
};

static const char *const reasons[REASON_COUNT] = {
#define X(id, name) [REASON_##id] = name,
	REASONS(X)
#undef X
};

static const char *const tunnels[TUNNEL_COUNT] = {
#define X(id, name) [TUNNEL_##id] = name,
	TUNNELS(X)
#undef X
};

const struct counter_desc dpi_counter_descs[DPI_C_COUNT] = {
#define X(id, text, sentence) [DPI_C_##id] = { .name = text, .help = sentence },
#include "dpi/counters.def"
#undef X
#define X(id, text, where, sentence) [DPI_C_ANOM_##id] = { .name = "anomaly." text, .help = sentence },
#include "dpi/anomalies.def"
#undef X
};

const struct anomaly_desc anomaly_descs[ANOM_COUNT] = {
#define X(id, text, where, sentence) [ANOM_##id] = { .name = text, .layer = where, .help = sentence },
#include "dpi/anomalies.def"
#undef X
};

/* Values come from events that another thread copied, so a number outside the list must still have an answer. */
const char *app_name(enum app a)
{
	return (unsigned)a < APP_COUNT ? apps[a].name : apps[APP_UNKNOWN].name;
}

enum app app_hint(uint8_t ipproto, uint16_t port)
{
	static const struct {
		uint8_t ipproto;
		uint16_t lo, hi;
		enum app app;
	} hints[] = {
#define X(l4, first, last, id) { IPPROTO_##l4, first, last, APP_##id },
#include "dpi/hints.def"
#undef X
	};

	for (unsigned i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		if (hints[i].ipproto == ipproto && port >= hints[i].lo && port <= hints[i].hi)
			return hints[i].app;
	return APP_UNKNOWN;
}

enum app app_parent(enum app a)
{
	return (unsigned)a < APP_COUNT ? apps[a].parent : APP_UNKNOWN;
}

int app_by_name(const char *name)
{
	for (int i = 0; i < APP_COUNT; i++)
		if (strcmp(apps[i].name, name) == 0)
			return i;
	return -1;
}

bool app_is(enum app a, enum app what)
{
	enum app in = a;

	while (in != what && in != APP_UNKNOWN)
		in = app_parent(in);
	return in == what && (what != APP_UNKNOWN || a == APP_UNKNOWN);	/* that there is no parent does not make it unknown */
}

const char *event_type_name(enum event_type t)
{
	return (unsigned)t < EV_COUNT ? event_types[t] : "invalid";
}

const char *reason_name(enum reason r)
{
	return (unsigned)r < REASON_COUNT ? reasons[r] : "invalid";
}

const char *tunnel_name(enum tunnel_kind k)
{
	return (unsigned)k < TUNNEL_COUNT ? tunnels[k] : "invalid";
}

const char *verdict_name(enum verdict v)
{
	switch (v) {
	case VERDICT_ALLOW: return "allow";
	case VERDICT_PENDING: return "pending";
	case VERDICT_ALERT: return "alert";
	case VERDICT_DENY: return "deny";
	case VERDICT_DROP: return "drop";
	}
	return "invalid";
}
