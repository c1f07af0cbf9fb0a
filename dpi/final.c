/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/final.h"

const char *final_text(enum final f)
{
	static const char *const texts[FINAL_COUNT] = {
#define X(id, text) [FINAL_##id] = text,
		FINAL_WHYS(X)
#undef X
	};

	return (unsigned)f < FINAL_COUNT ? texts[f] : "";
}

/* A refused flow needs no byte; only its ends need to hear of it. */
static enum final of_refused(const struct final_in *in)
{
	return in->verdict == VERDICT_DENY && in->refusals < FINAL_REFUSALS ? FINAL_REFUSED : FINAL_YES;
}

enum final final_of(const struct final_in *in)
{
	if (!in->counted)
		return FINAL_UNCOUNTED;
	if (in->carries)
		return FINAL_TUNNEL;
	if (verdict_stops(in->verdict) && in->enforced)
		return of_refused(in);
	if (!in->app_known || in->sought)
		return FINAL_APP;
	if (in->by_facts || in->verdict == VERDICT_PENDING)
		return FINAL_RULES;
	if (in->anomalies_taken)
		return FINAL_ANOMALIES;
	if (!in->parsed)
		return FINAL_YES;
	if (!in->for_events)
		return FINAL_PROTOCOL;
	if (in->events_taken)
		return FINAL_EVENTS;
	if (in->learned)
		return FINAL_LEARNED;
	return in->answered ? FINAL_YES : FINAL_ANSWER;
}
