/* SPDX-License-Identifier: GPL-2.0-or-later */
/* http_facts: what is told of an HTTP/1 head.
 *
 * `url` is the request target as sent. It has the role of the path, query included, where it begins with a slash; of the
 * absolute form ("http://host/path") the path is told separately as `path` and has the role instead, and its host replaces that
 * of the Host field (RFC 9112 3.2.2). CONNECT and "OPTIONS *" have no path. `hostname` is in lower case, without port and final
 * dots. `length` counts the response's body, without the framing of chunks; it is left out where the flow ended before a body of
 * announced length did. */
#ifndef TQ_DPI_PROTO_HTTP_FACTS_H
#define TQ_DPI_PROTO_HTTP_FACTS_H

#include "dpi/proto/http_head.h"

/* Kinds of requests, by what their responses may mean. */
enum http_kind {
	HTTP_KIND_PLAIN,
	HTTP_KIND_HEAD,		/* no body, whatever is announced */
	HTTP_KIND_CONNECT,	/* 2xx: a tunnel */
	HTTP_KIND_UPGRADE,	/* 101: another protocol */
};

extern const struct fact *const http_facts[];
extern const struct fact http_fact_length;

/* `head` is the complete head that `h` was scanned from. */
enum http_kind http_kind_of(const struct http_head *h, const struct cursor *head);
/* The path is one of Elasticsearch's (and OpenSearch's) interface: "/_search", "/index/_doc/1". */
bool http_is_elasticsearch(const struct http_head *h, const struct cursor *head);
void http_put_request(struct record *r, const struct http_head *h, const struct cursor *head, enum http_kind kind);
/* The fields of a request that rules ask for by name, and whether servers read it in several ways (partial): to be judged, not told. */
void http_put_asked(struct record *r, const struct px *px, const struct http_head *h, const struct cursor *head);
/* request_known: the record holds the request already */
void http_put_response(struct record *r, const struct http_head *h, const struct cursor *head, bool request_known);
/* `hostname` and `http_port`, from host[:port] of a Host field or an authority without user information */
void http_put_host(struct record *r, struct bytes b);
/* The same name, whatever their ports and capitals are. */
bool http_same_host(struct bytes a, struct bytes b);
/* The value of a field as sent; empty when there is none. */
struct bytes http_slot(const struct http_head *h, enum http_slot i, const struct cursor *head);

#endif
