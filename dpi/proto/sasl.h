/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sasl: who logs in, read from a client's first message of SASL (RFC 2195, 2831, 4616, 5802, 7628). */
#ifndef TQ_DPI_PROTO_SASL_H
#define TQ_DPI_PROTO_SASL_H

#include "base/cursor.h"

#define SASL_USER_MAX 256u

/* PLAIN: "authzid NUL user NUL password"; SCRAM: "n,,n=user,r=..."; OAUTHBEARER: "n,a=user,". The user as a view of msg; n 0: none is seen. */
struct bytes sasl_user(struct bytes msg);
/* Base64 undone, as much as fits; out holds SASL_USER_MAX bytes. */
struct bytes sasl_base64(struct bytes text, uint8_t *out);
/* Where a mechanism's user stands in the client's first answer. NONE: it has none in clear. */
enum sasl_how { SASL_NONE, SASL_FIRST, SASL_ALL, SASL_LAST_SPACE, SASL_USERNAME };
enum sasl_how sasl_how(struct bytes mechanism);
/* The user in that answer, in base64; out as above. n 0: none is seen. */
struct bytes sasl_user_how(enum sasl_how how, struct bytes text, uint8_t *out);
/* The same from base64 (as in mail and chat); out holds SASL_USER_MAX bytes, what is decoded goes there. */
struct bytes sasl_user_base64(struct bytes text, uint8_t *out);

#endif
