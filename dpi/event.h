/* SPDX-License-Identifier: GPL-2.0-or-later */
/* event: what the core tells. A fixed head and a body of facts.
 *
 * The body is a flat run of items in a form that a thread can copy with memcpy and
 * another can turn into JSON later: the core never writes JSON. Items nest (object,
 * array) and end with ITEM_END. A fact is named by a pointer to a constant of the
 * protocol's own, which is also what policy, threats and sensors read it by. */
#ifndef TQ_DPI_EVENT_H
#define TQ_DPI_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/cursor.h"
#include "base/frame.h"
#include "dpi/app.h"

/* Event types: id, `event_type` (which is also the name of the object). */
#define EVENT_TYPES(X) \
	X(FLOW, "flow") X(HTTP, "http") X(TLS, "tls") X(QUIC, "quic") X(DNS, "dns") X(SSH, "ssh") X(SMTP, "smtp") X(FTP, "ftp") X(FTP_DATA, "ftp_data") \
	X(SIP, "sip") X(KRB5, "krb5") X(MYSQL, "mysql") X(PGSQL, "pgsql") X(KAFKA, "kafka") X(REDIS, "redis") X(ALERT, "alert") \
	X(ANOMALY, "anomaly") X(ARP, "arp") X(DHCP, "dhcp") X(ICMP, "icmp") X(APP, "app") X(STATS, "stats")
/* APP: a request of any other protocol; the object is named by its app (mongodb, cassandra, ...). */

enum event_type {
#define X(id, name) EV_##id,
	EVENT_TYPES(X)
#undef X
	EV_COUNT,
	EV_LEARN = EV_COUNT	/* no event of a user's, asked for by its bit of the mask: what was let pass because the mode is discover and no rule said
				 * anything: a flow whose application is known now (no body), or a request (its facts as they were judged) */
};

#define EVENTS_ALL ((UINT64_C(1) << EV_COUNT) - 1)	/* a mask of what users may take */

/* What a fact means to policy; FACT_PLAIN is only told. */
enum fact_role {
	FACT_PLAIN,
	FACT_HTTP_METHOD, FACT_HTTP_HOST, FACT_HTTP_PATH, FACT_HTTP_HEADER,
	FACT_TLS_SNI, FACT_TLS_VERSION, FACT_TLS_JA4, FACT_TLS_ISSUER,
	FACT_DNS_NAME, FACT_DNS_TYPE,
	FACT_SSH_VERSION,
	FACT_COMMAND, FACT_KEY, FACT_QUERY, FACT_USER, FACT_DATABASE, FACT_TABLE, FACT_OPERATION, FACT_OBJECT, FACT_SHARE,
	FACT_FILTER,		/* stands for all topics that its wildcards take in */
	FACT_PARTIAL,		/* a boolean: lists of this record are not whole */
	FACT_ROLE_COUNT
};

struct fact {
	const char *name;	/* JSON key */
	enum fact_role role;
};

enum item_kind { ITEM_END, ITEM_OBJ, ITEM_ARR, ITEM_STR, ITEM_U64, ITEM_I64, ITEM_BOOL, ITEM_TIME };

/* One item, 8-byte aligned in the body. A string's bytes follow, padded to 8. */
struct item {
	const struct fact *fact;	/* NULL inside arrays and for ITEM_END */
	uint8_t kind;			/* enum item_kind */
	bool cut;			/* the string was longer than what is kept */
	uint32_t len;			/* of the string */
	/* ITEM_U64/I64/BOOL/TIME: one uint64_t follows; TIME: ns since the epoch as int64_t, told as a timestamp of the event's own form */
};

/* Walks a body: NULL at the end. *value points at the string or the number. */
const struct item *item_next(const uint8_t **pos, const uint8_t *end, const void **value);

/* What flows may come in: id, name as in events. */
#define TUNNELS(X) \
	X(NONE, "none") X(VXLAN, "vxlan") X(GENEVE, "geneve") X(GTP, "gtp") X(TEREDO, "teredo") X(GRE, "gre") X(PPTP, "pptp") X(ERSPAN, "erspan") X(IPIP, "ipip") \
	X(6IN4, "6in4") X(4IN6, "4in6") X(6IN6, "6in6") X(ETHERIP, "etherip") X(L2TP, "l2tp") X(MPLS, "mpls") X(PPPOE, "pppoe") X(AH, "ah")

enum tunnel_kind {
#define X(id, name) TUNNEL_##id,
	TUNNELS(X)
#undef X
	TUNNEL_COUNT
};

/* The tunnel around a flow. */
struct outer {
	struct addr src, dst;		/* on the initiator's side, on the responder's */
	uint64_t flow_id;		/* of the flow that carries it; 0: none (PPPoE, MPLS and AH straight in a frame) */
	uint32_t id;			/* VNI, key, TEID, session, label, SPI: of the packet that began the flow */
	uint32_t domain;		/* of src and dst */
	uint16_t sport, dport;
	uint8_t ipproto;
	uint8_t depth;			/* IP packets around it; 0: none, the tuple means nothing */
	uint8_t kind;			/* enum tunnel_kind */
	bool has_id;
};

enum reason {	/* why a verdict is what it is: id, name as in events */
#define REASONS(X) X(NONE, "none") X(POLICY, "policy") X(NO_RULE, "no_rule") X(DEFAULT, "default") X(QUARANTINE, "quarantine")
#define X(id, name) REASON_##id,
	REASONS(X)
#undef X
	REASON_COUNT
};

struct event {
	int64_t ts;			/* ns since the epoch */
	int64_t start;			/* of the flow; without one: ts */
	uint64_t flow_id;		/* below 2^53, which every reader of JSON takes; 0: no flow (arp, decode anomalies) */
	uint64_t number;		/* frame.number; 0: none */
	const uint8_t *body;		/* items; borrowed for the emit call */
	uint32_t body_len;
	uint32_t rule;			/* id of the rule that decided; 0: none matched */
	uint32_t tx_id;
	uint32_t src_workload, dst_workload;	/* of the flow's initiator and responder; 0: not local */
	uint32_t iface;
	uint16_t sport, dport;		/* host order; for ICMP: type and code */
	uint16_t vlan[2];		/* VLAN ids, outer first */
	uint16_t app;			/* enum app */
	uint16_t app_hint;		/* app UNKNOWN because recognition gave up: what its port suggests (hints.def); APP_UNKNOWN: nothing */
	uint16_t app_orig;		/* what the flow spoke before that handed over to app; APP_UNKNOWN: nothing */
	uint8_t nvlan;
	uint8_t type;			/* enum event_type */
	uint8_t ipproto;
	uint8_t path;			/* frame.path */
	uint8_t verdict;		/* enum verdict */
	uint8_t reason;			/* enum reason */
	uint8_t learned;		/* allowed only because the mode is discover */
	bool enforced;			/* the verdict was or will be carried out */
	bool has_tx;
	bool has_tuple;
	bool partial;			/* EV_LEARN: facts were left out, or nothing could be read */
	struct addr src, dst;		/* flow's initiator and responder */
	struct outer outer;		/* kind NONE: it came plainly */
};

const char *tunnel_name(enum tunnel_kind k);
const char *event_type_name(enum event_type t);
const char *reason_name(enum reason r);
const char *verdict_name(enum verdict v);

#endif
