/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `pending` and `hold` of a policy (CONTRACT section 3): how much of a flow goes on before its app is known, and how much of a request waits
 * before it is. The bounds: a message's beginning is kept in one piece of memory; a packet that waits stalls its connection, so that the sender
 * sends it again after a fifth of a second, and a second is the most that is reasonable. */
#include "agent/policy_parts.h"

#include "base/mem.h"

static const struct key pending_keys[] = {
	{ .path = "bytes", .ops = &value_size, AT(policy_limits, pending_bytes), .min = 1, .max = MEM_PIECE_MAX, .dflt = "16KiB" },
	{ .path = "packets", .ops = &value_number, AT(policy_limits, pending_packets), .min = 1, .max = 65535, .dflt = "16" },
	{ .path = "time", .ops = &value_duration, AT(policy_limits, pending_time), .min = 1, .max = 3600000, .dflt = "5s" },
	{ 0 }
};

static const struct key hold_keys[] = {
	{ .path = "bytes", .ops = &value_size, AT(policy_limits, hold_bytes), .min = 0, .max = 1 << 20, .dflt = "16KiB" },
	{ .path = "time", .ops = &value_duration, AT(policy_limits, hold_time), .min = 0, .max = 1000, .dflt = "200ms" },
	{ 0 }
};

int policy_get_limits(struct loader *l, struct err *e)
{
	struct policy_limits at;
	int rc = schema_defaults(pending_keys, &at, e);

	if (!rc)
		rc = schema_defaults(hold_keys, &at, e);
	if (!rc && l->pending)
		rc = schema_get(l->y, l->pending, "pending", "", pending_keys, &at, e);
	if (!rc && l->hold)
		rc = schema_get(l->y, l->hold, "hold", "", hold_keys, &at, e);
	if (!rc)
		policy_set_limits(l->b, &at);
	return rc;
}
