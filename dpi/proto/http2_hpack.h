/* SPDX-License-Identifier: GPL-2.0-or-later */
/* http2_hpack: header blocks of HTTP/2 (RFC 7541) by nghttp2's inflater, in whatever pieces they come.
 *
 * The library's memory comes from the core's bounded pool; a connection gets HTTP2_HPACK_MEM of it, and a dynamic table of up to
 * HTTP2_TABLE_MAX. At either cap the block fails, and with it what follows on the connection: headers depend on those before. */
#ifndef TQ_DPI_PROTO_HTTP2_HPACK_H
#define TQ_DPI_PROTO_HTTP2_HPACK_H

#include <nghttp2/nghttp2.h>

#include "dpi/proto.h"

#define HTTP2_HPACK_MEM (256u << 10)	/* bytes of both tables and of strings in the making */
#define HTTP2_TABLE_DEFAULT 4096u	/* SETTINGS_HEADER_TABLE_SIZE unless told otherwise */
#define HTTP2_TABLE_MAX 65536u

struct http2_hpack {
	struct px *px;			/* of the call at hand */
	nghttp2_mem mem;
	nghttp2_hd_inflater *hd[2];	/* by direction of the headers; made at the first block */
	uint32_t table[2];		/* size that the other side allows; 0: the default */
	uint32_t table_now[2];
	size_t used;
};

/* One field. False ends the block as bad. */
typedef bool http2_field(void *ctx, struct bytes name, struct bytes value);

/* A block begins; late: there may have been others before the first one. False: no memory. */
bool http2_hpack_begin(struct http2_hpack *k, enum dir dir, bool late);
/* The next bytes of the block; last: it ends with them. */
bool http2_hpack_feed(struct http2_hpack *k, enum dir dir, struct bytes b, bool last, http2_field *field, void *ctx);
/* What that direction remembers is good no more. */
void http2_hpack_forget(struct http2_hpack *k, enum dir dir);
void http2_hpack_free(struct http2_hpack *k);

#endif
