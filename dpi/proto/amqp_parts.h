/* SPDX-License-Identifier: GPL-2.0-or-later */
/* amqp_parts: the two protocols that share a name and a port. */
#ifndef TQ_DPI_PROTO_AMQP_PARTS_H
#define TQ_DPI_PROTO_AMQP_PARTS_H

#include "dpi/message.h"

#define AMQP_WHOLE_MAX 60000u	/* of a frame that is read */

struct amqp {
	uint32_t tx;
	bool one;		/* version 1.0 */
};

extern const struct fact amqp_operation, amqp_user, amqp_mechanism;

/* One frame of 0-9-1 (or 0-8, 0-9), of 1.0. */
enum parse amqp0_frame(struct px *px, struct amqp *s, enum dir dir, struct cursor *in);
enum parse amqp1_frame(struct px *px, struct amqp *s, enum dir dir, struct cursor *in);
enum probe amqp0_probe(struct cursor c);	/* a frame in the middle of a connection */
/* told by 1.0 */
extern const struct fact amqp_container, amqp_host, amqp_link, amqp_source, amqp_target, amqp_role, amqp_error;

#endif
