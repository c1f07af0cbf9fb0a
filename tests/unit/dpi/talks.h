/* SPDX-License-Identifier: GPL-2.0-or-later */
/* talks: conversations written down as text, for protocols of many small messages.
 *
 * A talk is lines: "> BYTES" from the initiator, "< BYTES" from the responder; over UDP a line is one datagram. BYTES are
 * pairs of hexadecimal digits, 'text', XX*12 (the byte twelve times), ( BYTES ) a BER length and the bytes, [2 BYTES ] a big
 * endian number of so many bytes with their length and the bytes, {2 BYTES } the same with a little endian one; blanks mean nothing.
 * What is wanted is the events one a line, ' for ". */
#ifndef TQ_TESTS_TALKS_H
#define TQ_TESTS_TALKS_H

#include "tests/unit/dpi/flowtest.h"

struct said {
	const char *what;
	uint16_t port;
	bool udp;
	bool broken;		/* parsing ends with an error */
	enum app app;
	const char *talk;
	const char *want;	/* NULL: not looked at */
};

/* The bytes of one line's text, into out; how many. A mistake in the text ends the program. */
size_t talk_bytes(const char *text, uint8_t *out, size_t room);
/* Each one over IPv4 and IPv6, however cut, every prefix of it against a guard page. */
void talks_run(const struct said *, unsigned n);
/* Each one must not be recognised as this app, on its port. */
void talks_refused(enum app app, const struct said *, unsigned n);
#define TALKS_RUN(table) talks_run(table, sizeof(table) / sizeof((table)[0]))
#define TALKS_REFUSED(app, table) talks_refused(app, table, sizeof(table) / sizeof((table)[0]))

#endif
