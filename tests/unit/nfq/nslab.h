/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nslab: two network namespaces of a test's own, joined by a veth; nothing of the machine's is touched.
 *
 *	a (the workload)  eth0 10.9.0.1 fd09::1  ----------  eth0 10.9.0.2 fd09::2  b
 *
 * Everything runs on the test's one thread: sockets are made inside a namespace and used from outside, without blocking. */
#ifndef TQ_TESTS_NFQ_NSLAB_H
#define TQ_TESTS_NFQ_NSLAB_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/source.h"

struct nslab { int a, b; };

/* False (and a line that says why) where this cannot be: not root. */
bool nslab_open(struct nslab *);
void nslab_close(struct nslab *);
/* Runs a shell line inside; its exit status. */
int ns_sh(int ns, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same; what it printed, to be freed. */
char *ns_out(int ns, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Addresses by text; port in host order. */
struct sockaddr_storage ns_addr(const char *text, uint16_t port);
socklen_t ns_addrlen(const struct sockaddr_storage *);
/* A socket inside, non-blocking. */
int ns_socket(int ns, int family, int type);
int ns_listen(int ns, const char *text, uint16_t port);
int ns_udp(int ns, const char *text, uint16_t port);
int ns_connect(int ns, const char *text, uint16_t port);	/* begun, not done */

/* What a queue showed, and what is to be answered. */
struct ns_queue {
	struct source *src;
	enum verdict (*judge)(struct ns_queue *, const struct frame *);	/* NULL: accept */
	void (*after)(struct ns_queue *, const struct frame *, enum verdict);
	void *ctx;
	uint16_t flags, l4;	/* of the next answer (struct answer); judge may set them */
	unsigned frames, in, out, drops, gso, partial;
	uint64_t bytes;
	uint32_t max_caplen;
	unsigned dport;		/* destination port of the last frame */
};

/* One turn: what waits in the queue is judged and answered. */
void ns_queue_turn(struct ns_queue *);
/* Waits up to ms for any of the descriptors (-1: none) or the queue, then takes a turn. */
void ns_wait(struct ns_queue *, int fd1, int fd2, int ms);
/* A whole connection: 0, or -errno as the client sees it. *s: accepted end, -1: none. */
int ns_handshake(struct ns_queue *, int c, int listener, int *s);
/* n bytes from one end to the other, pumped; how many arrived, each checked. */
uint64_t ns_bulk(struct ns_queue *, int from, int to, uint64_t n);
/* Reads one message within ms; its length, or -errno. */
ssize_t ns_recv(struct ns_queue *, int fd, void *buf, size_t n, int ms);
int64_t ns_now_ms(void);

#endif
