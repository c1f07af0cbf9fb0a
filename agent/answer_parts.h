/* SPDX-License-Identifier: GPL-2.0-or-later */
/* answer_parts: what the handlers of control commands share. answer.c: the table and most of them; answer_policy.c: policies. Each writes the
 * value of "data" and changes nothing when it fails. */
#ifndef TQ_AGENT_ANSWER_PARTS_H
#define TQ_AGENT_ANSWER_PARTS_H

#include <errno.h>

#include "agent/node.h"

static inline const char *arg_str(const struct control_request *r, const char *key)
{
	return json_string_value(json_object_get(r->args, key));
}

static inline int64_t arg_int(const struct control_request *r, const char *key, int64_t otherwise)
{
	const json_t *v = json_object_get(r->args, key);

	return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

static inline int bad_arg(struct err *err, const char *key, const char *wanted)
{
	return err_set(err, -EINVAL, "%s: %s is needed", key, wanted);
}

int answer_policy_load(struct node *, const struct control_request *, struct jbuf *, struct err *);
int answer_policy_confirm(struct node *, const struct control_request *, struct jbuf *, struct err *);
int answer_policy_show(struct node *, const struct control_request *, struct jbuf *, struct err *);
int answer_policy_learned(struct node *, const struct control_request *, struct jbuf *, struct err *);
int answer_policy_test(struct node *, const struct control_request *, struct jbuf *, struct err *);

/* agent/answer_offload.c: how many flows go by their queues, and what keeps the others in them. */
void status_offload(const struct node *, struct jbuf *out);

#endif
