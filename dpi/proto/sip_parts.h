/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sip_parts: messages of SIP and RTSP: a first line, fields, an empty line, a body of Content-Length bytes. */
#ifndef TQ_DPI_PROTO_SIP_PARTS_H
#define TQ_DPI_PROTO_SIP_PARTS_H

#include "dpi/message.h"
#include "dpi/proto/line.h"

#define SIP_HEAD_MOST 32768u
#define SDP_MOST 16384u		/* of a description, what is looked at */

struct sip_first {
	struct bytes method, uri;	/* of a request */
	unsigned code;			/* of a response; 0: a request */
};

/* "METHOD uri SIP/2.0", "SIP/2.0 200 OK": version as "SIP/" (then digit, dot, digit). MORE: no whole line yet, and it may be one. */
enum probe sip_first_line(struct cursor c, const char *version, struct sip_first *first);
/* Bytes of the head at the position with its empty line; 0: its end is not there. */
size_t sip_head_length(const struct cursor *in, uint32_t *scanned);
/* The field of that name (in capitals; `brief`: SIP's short form, or NULL) in a head, behind its first line; n 0: there is none. */
struct bytes sip_field(struct cursor head, const char *name, const char *brief);
/* user:1 of a digest's Authorization field: its username. */
struct bytes sip_username(struct bytes authorization);

/* Session descriptions (RFC 4566): the media that they announce at an address of one of this flow's own ends is expected there, and its RTCP. */
void sdp_announce(struct px *px, struct cursor body);
/* RTP and RTCP at ports "8000-8001" of that end. */
void media_announce(struct px *px, enum dir listens, struct bytes ports);

#endif
