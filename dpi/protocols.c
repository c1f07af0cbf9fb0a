/* SPDX-License-Identifier: GPL-2.0-or-later */
/* protocols: the list of what is parsed; everything comes from protocols.def. */
#include <stddef.h>

#include "dpi/proto.h"

const struct proto *const proto_list[] = {
#define X(id) &proto_##id,
#include "dpi/protocols.def"
#undef X
	NULL,
};
