/* SPDX-License-Identifier: GPL-2.0-or-later */
/* http2_parts: what the files of http2 share. http2.c: frames; http2_block.c: what header blocks say, streams; http2_etcd.c: keys in calls of etcd;
 * http2_probe.c: recognition. */
#ifndef TQ_DPI_PROTO_HTTP2_PARTS_H
#define TQ_DPI_PROTO_HTTP2_PARTS_H

#include "dpi/proto/http2_hpack.h"

#define HTTP2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define HTTP2_PREFACE_LEN (sizeof(HTTP2_PREFACE) - 1)
#define HTTP2_HEAD 9u		/* bytes of a frame's head */
#define HTTP2_STREAMS_MAX 128u	/* transactions kept at once; then the oldest is told as it stands */
#define HTTP2_BLOCK_MAX (256u << 10)	/* bytes of a header block, and of what it says */
#define HTTP2_FIELDS_MAX 1000u
#define HTTP2_PIECES_MAX 256u	/* frames of a header block */
#define HTTP2_MESSAGE_KEEP 1024u	/* bytes of a request's message that are looked at */

enum http2_type { H2_DATA, H2_HEADERS, H2_PRIORITY, H2_RST_STREAM, H2_SETTINGS, H2_PUSH_PROMISE, H2_PING, H2_GOAWAY, H2_WINDOW_UPDATE, H2_CONTINUATION };
#define H2_END_STREAM 0x1u	/* DATA, HEADERS */
#define H2_ACK 0x1u		/* SETTINGS, PING */
#define H2_END_HEADERS 0x4u
#define H2_PADDED 0x8u
#define H2_WITH_PRIORITY 0x20u

struct http2_frame {
	uint32_t len;		/* of the payload */
	uint32_t stream;
	uint8_t type;		/* enum http2_type, or one that is not known */
	uint8_t flags;
};

/* A transaction. */
struct http2_stream {
	struct http2_stream *next;	/* in the order of requests */
	struct saved *facts;
	uint64_t length;	/* bytes of the response's body */
	uint32_t id, tx;
	uint8_t *message;	/* the beginning of a request's message, HTTP2_MESSAGE_KEEP bytes; NULL: not wanted, or nothing of it came yet */
	uint32_t grpc_status;	/* UINT32_MAX: not seen */
	uint16_t message_n;
	uint8_t call;		/* whose message is wanted: of etcd, or of DNS; 0: none */
	uint8_t asks;		/* direction of the request */
	bool grpc;
	bool answered;		/* a final response's headers were seen */
};

/* The header block at hand. */
struct http2_block {
	struct saved *facts;	/* what is told of it so far */
	struct saved *asked;	/* what rules ask for beside that */
	uint32_t bytes, said;	/* its size, and that of what it says */
	uint32_t stream, promised;	/* promised: of PUSH_PROMISE, else 0 */
	uint32_t grpc_status;
	uint16_t seen;		/* bits of enum http2_slot */
	uint16_t fields, pieces, status;
	uint32_t policy : 28;	/* px_policy() when it began */
	bool open : 1;		/* frames of it are still to come */
	bool end_stream : 1;
	bool grpc : 1;
	bool dns : 1;		/* application/dns-message */
};

/* Where a direction stands. */
enum http2_at {
	H2_AT_FIRST,	/* nothing was seen of it yet */
	H2_AT_FRAME,
	H2_AT_LOST,	/* where a frame begins is not known */
	H2_AT_BLOCK,	/* inside a piece of a header block */
	H2_AT_LAST,	/* before the last byte of a response */
};

struct http2_half {
	struct http2_block block;
	uint32_t left;		/* of the piece of the block */
	uint32_t stream;	/* that ends with the last byte */
	uint8_t pad;		/* bytes behind the piece */
	uint8_t flags;		/* of the frame at hand */
	uint8_t at;		/* enum http2_at */
	bool blind;		/* header blocks cannot be read: those before were not seen */
};

struct http2 {
	struct http2_hpack hpack;
	struct http2_half half[2];
	struct http2_stream *first, *last;
	uint32_t nstreams;
	uint32_t next_tx;
	uint32_t last_id;	/* highest stream that a request was seen of */
	uint16_t app;		/* enum app that was set */
	bool whole;		/* the client's beginning was seen */
	bool odd_told;
};

extern const struct fact *const http2_facts[];

/* The head of a frame, consumed; false when it is not all there. */
bool http2_frame_head(struct cursor *c, struct http2_frame *f);
/* Whether length, flags and stream may stand together (RFC 9113 6). */
bool http2_frame_valid(const struct http2_frame *f);
/* Do frames of a connection that goes on stand here? */
enum probe http2_frames(const struct cursor *in);
enum probe http2_probe(const struct probe_in *in);

void http2_block_begin(const struct px *, struct http2_half *h, uint32_t stream, uint32_t promised, bool end_stream);
/* A http2_field; ctx: struct http2_at_hand */
struct http2_at_hand {
	struct px *px;
	struct http2_half *half;
};
http2_field http2_block_field;
/* The block is complete. */
void http2_block_end(struct px *px, struct http2 *s, enum dir dir);
void http2_block_drop(struct px *px, struct http2_block *b);

struct http2_stream *http2_stream_find(struct http2 *s, uint32_t id);
/* Tells the stream, which ends. */
void http2_stream_end(struct px *px, struct http2 *s, uint32_t id, bool length_known);
void http2_streams_end(struct px *px, struct http2 *s);

/* All that is told of the stream so far; key: one that its message names (n 0: none). */
void http2_stream_put(struct record *r, const struct http2_stream *st, struct bytes key);
void http2_put_key(struct record *r, struct bytes key);

/* ---- http2_etcd.c: what requests carry that names objects of their own ---- */
void http2_etcd_request(struct http2_stream *st, struct bytes path);
/* A request of DNS (RFC 8484): its message is in its path, or follows. */
void http2_dns_request(struct px *px, struct http2_stream *st, enum dir dir, struct bytes path, bool follows);
/* How many of the next n bytes of the request's body are wanted. */
uint32_t http2_etcd_wanted(const struct http2_stream *st, uint32_t n);
/* These are they; last: the request ends with them. */
void http2_etcd_data(struct px *px, struct http2_stream *st, struct bytes b, bool last);
void http2_etcd_drop(struct px *px, struct http2_stream *st);

#endif
