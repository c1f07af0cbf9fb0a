/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ber: elements of BER and DER (X.690) as SNMP, LDAP and Kerberos use them: tags of one byte, lengths that are known
 * beforehand and fit in four bytes. Nothing nests on its own: the caller opens what it wants to see. */
#ifndef TQ_DPI_BER_H
#define TQ_DPI_BER_H

#include "base/cursor.h"

#define BER_INTEGER 0x02u
#define BER_OCTETS 0x04u
#define BER_OID 0x06u
#define BER_ENUM 0x0au
#define BER_SEQUENCE 0x30u
#define BER_SET 0x31u
#define BER_OID_TEXT 256u	/* bytes of an OID's text, NUL included; longer ones are cut */

/* The next element; *body covers its content, which is consumed. False: c ended or its form is not ours; c has then failed. */
bool ber_next(struct cursor *c, uint8_t *tag, struct cursor *body);
/* The next element, which must have that tag. */
bool ber_open(struct cursor *c, uint8_t tag, struct cursor *body);
/* Its content as bytes; {NULL,0} and failed when it is none. */
struct bytes ber_bytes(struct cursor *c, uint8_t tag);
/* An INTEGER or ENUMERATED of 1 to 8 bytes with that tag. */
bool ber_int(struct cursor *c, uint8_t tag, int64_t *v);
/* True when the next element has the tag; nothing is consumed. */
static inline bool ber_is(const struct cursor *c, uint8_t tag) { return cur_left(c) && cur_peek(c, 0) == tag; }

enum ber_size { BER_SIZE_KNOWN, BER_SIZE_MORE, BER_SIZE_BAD };
/* How many bytes the element at the position has, head and content; *head: of the head alone. For streams. */
enum ber_size ber_size(struct cursor c, size_t *head, uint64_t *size);

/* "1.3.6.1.2.1"; false and "" when it is no OID. */
bool ber_oid_text(struct bytes oid, char out[BER_OID_TEXT]);

#endif
