/* SPDX-License-Identifier: GPL-2.0-or-later */
/* http_head: finds the end of an HTTP/1 message head, byte by byte if need be, and notes where the wanted fields lie.
 *
 * A head is scanned once, in whatever pieces it comes: the place is kept in struct http_head. Nothing is copied; fields
 * are offsets from the head's first byte, good as long as the head is at hand. */
#ifndef TQ_DPI_PROTO_HTTP_HEAD_H
#define TQ_DPI_PROTO_HTTP_HEAD_H

#include "dpi/proto.h"

#define HTTP_HEAD_MAX PROTO_KEEP_MAX	/* bytes, start line to empty line */
#define HTTP_FIELDS_MAX 1000u		/* header lines of a head */

/* What is wrong but not fatal; told once per flow as an anomaly. */
#define HTTP_ODDITIES(X) \
	X(TE_AND_CL, "http.te_and_cl")				/* both framings: Transfer-Encoding counts (RFC 9112 6.3) */ \
	X(TE_IN_10, "http.te_in_http10")			/* Transfer-Encoding in an HTTP/1.0 message (RFC 9112 6.1) */ \
	X(SEVERAL_CL, "http.several_content_lengths")		/* the same length more than once */ \
	X(SEVERAL_HOSTS, "http.several_hosts")			/* the first is told */ \
	X(OBS_FOLD, "http.obs_fold")				/* a field continued on the next line (RFC 9112 5.2) */ \
	X(SPACE_BEFORE_COLON, "http.space_before_colon")	/* RFC 9112 5.1 */ \
	X(SPACE_BEFORE_FIELD, "http.space_before_field")	/* lines that continue the start line are ignored (RFC 9112 2.2) */ \
	X(REQUEST_LINE, "http.odd_request_line")		/* spaces too many, or inside the target (RFC 9112 3) */ \
	X(STATUS_LINE, "http.bad_status_line")			/* answers are looked at no more */ \
	X(ANSWER_BODY, "http.bad_response_framing")		/* answers are looked at no more */ \
	X(TOO_MANY, "http.too_many_pending")			/* more unanswered requests than are kept */

enum http_oddity {
#define X(id, name) HTTP_ODD_##id,
	HTTP_ODDITIES(X)
#undef X
	HTTP_ODD_COUNT
};

enum http_slot { HTTP_HOST, HTTP_USER_AGENT, HTTP_XFF, HTTP_REFERER, HTTP_CONTENT_TYPE, HTTP_LOCATION, HTTP_UPGRADE, HTTP_SLOTS };

enum http_te {
	HTTP_TE_NONE,
	HTTP_TE_CHUNKED,	/* chunked is the last coding, once */
	HTTP_TE_OTHER,		/* anything else: the end of the body is not told by it */
};

struct http_head {
	uint64_t length;	/* Content-Length, when has_length */
	uint32_t line, scan;	/* offsets: of the line at hand, of the first byte of it not looked at yet */
	uint16_t odd;		/* bits of enum http_oddity */
	uint16_t fields;	/* header lines so far */
	uint16_t status;	/* of a status line */
	uint16_t method_len;	/* of a request line; the method is at offset 0 */
	uint16_t url_off, url_len;
	uint8_t minor;		/* HTTP/1.minor */
	uint8_t seen, folded;	/* bits of enum http_slot */
	uint8_t te;		/* enum http_te */
	bool has_line;		/* the start line was read */
	bool fold;		/* the line at hand is continued */
	bool has_length : 1, bad_length : 1;
	bool host : 1;		/* a Host line was read, of whatever value */
	bool vague : 1;		/* a field that says where the message ends, or whose it is, was continued */
	struct { uint16_t off, len; } slot[HTTP_SLOTS];
};

enum http_start { HTTP_REQUEST, HTTP_RESPONSE };

/* Goes on with the head at the position (nothing is consumed). DONE: *len is its length; MORE: one byte more at least;
 * BAD: *why. The head starts zeroed. */
enum parse http_head_scan(struct http_head *h, enum http_start start, const struct cursor *in, size_t *len, const char **why);

/* Is there a request line, a status line, at the position? Empty lines before it are passed over. */
enum probe http_looks_request(const struct cursor *in);
enum probe http_looks_response(const struct cursor *in);
/* The same from the first few bytes, for well-known methods only: where to take up a stream after lost bytes. */
enum probe http_looks_request_start(const struct cursor *in);
/* What servers take for a request though it is none: of HTTP/0.9, or behind spaces. Nothing but a port tells the first from other protocols. */
enum probe http_looks_broken(const struct cursor *in);

/* True when a and the lower-case text are the same but for case. */
bool http_same(struct bytes a, const char *lower, size_t n);
/* Without spaces, tabs and (of folds) line ends at both sides. */
struct bytes http_trim(struct bytes b);

#endif
