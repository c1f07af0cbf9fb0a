/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dns_msg: the parts of a DNS message (RFC 1035, 4.1), read with bounds.
 *
 *   message:  id(2) flags(2) questions(2) answers(2) authorities(2) additionals(2)
 *   question: name type(2) class(2)          record: name type(2) class(2) ttl(4) length(2) rdata
 *   flags:    QR(1) opcode(4) AA TC RD RA Z AD CD rcode(4)
 *
 * Names: stepping over one is linear and follows nothing. It is spelled out only where it is told; then every pointer must go
 * before all places seen so far, so that following ends, a name is at most 255 bytes, and all names of one message together
 * may cost a fixed multiple of its length: a message of pointers to a long name stops being spelled out, it does not get
 * slow. In text a dot or backslash inside a label is escaped by a backslash, other bytes as \DDD; labels of good UTF-8
 * stay as they are (mDNS names services for people). */
#ifndef TQ_DPI_PROTO_DNS_MSG_H
#define TQ_DPI_PROTO_DNS_MSG_H

#include "base/cursor.h"

#define DNS_HEADER 12u
#define DNS_NAME_MAX 255u			/* bytes of a name, uncompressed */
#define DNS_NAME_TEXT (DNS_NAME_MAX * 4)	/* every byte as \DDD */

#define DNS_QR 0x8000u
#define DNS_AA 0x0400u
#define DNS_TC 0x0200u
#define DNS_RD 0x0100u
#define DNS_RA 0x0080u
#define DNS_Z 0x0040u

enum { DNS_T_A = 1, DNS_T_NS = 2, DNS_T_CNAME = 5, DNS_T_SOA = 6, DNS_T_PTR = 12, DNS_T_MX = 15, DNS_T_TXT = 16, DNS_T_AAAA = 28,
       DNS_T_NB = 32, DNS_T_SRV = 33, DNS_T_DNAME = 39, DNS_T_OPT = 41, DNS_T_SSHFP = 44, DNS_T_SVCB = 64, DNS_T_HTTPS = 65,
       DNS_T_SPF = 99, DNS_T_CAA = 257 };

struct dns_msg {
	const uint8_t *start;	/* borrowed */
	size_t len;
	uint16_t id, flags, count[4];
	uint64_t work;		/* bytes of names spelled out so far */
};

struct dns_name {
	size_t n;
	char s[DNS_NAME_TEXT + 1];	/* n bytes, no NUL; "." is the root */
};

struct dns_rr {
	struct cursor owner;	/* at the name, with the rest of the message */
	uint16_t type, class;
	uint32_t ttl;
	struct cursor rdata;
};

/* in: a whole message from its first byte. False when there is no whole header. */
bool dns_header(struct cursor *in, struct dns_msg *m);
static inline unsigned dns_opcode(const struct dns_msg *m) { return m->flags >> 11 & 15; }

/* Steps over a name. False with a good cursor: malformed; with a failed one: cut. */
bool dns_name_skip(const struct dns_msg *m, struct cursor *in);
/* Spells the name at the position out and steps over it. False as dns_name_skip. `in` may be part of the message (rdata). */
bool dns_name_read(struct dns_msg *m, struct cursor *in, struct dns_name *out);
/* The next record, its name stepped over. False as dns_name_skip. */
bool dns_rr_next(const struct dns_msg *m, struct cursor *in, struct dns_rr *rr);

enum dns_shape {
	DNS_SHAPE_NO,		/* contradicts DNS */
	DNS_SHAPE_CUT,		/* good as far as it goes */
	DNS_SHAPE_WEAK,		/* whole, but little more than a header */
	DNS_SHAPE_TRAILER,	/* whole, and more bytes behind */
	DNS_SHAPE_WHOLE,
};
/* How much like a DNS message the bytes are, all sections walked. *asked: the first question is whole and plausible, whatever follows. */
enum dns_shape dns_shape_of(struct cursor in, bool netbios_port, bool *asked);

#endif
