/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/proto/dns_names.h"

#include "base/addr.h"
#include "dpi/policy.h"

#define CHAIN_MAX 12u		/* names of one chain: resolvers follow about as many */
#define ADDRS_MAX 64u		/* of one answer; clients try the first few */
#define DNS_T_ANY 255u
#define DNS_CLASS_IN 1u
#define DNS_TTL_SIGN 0x80000000u	/* RFC 2181, section 8: such a TTL is 0 */

struct link {
	size_t n;
	char name[FQDN_NAME_MAX + 1];	/* clean: letters of any size are the same name */
	uint32_t ttl;			/* of the CNAME that leads on from it */
};

struct chain {
	struct link link[CHAIN_MAX];
	unsigned n;
};

static bool read_clean(struct dns_msg *m, struct cursor *in, struct link *out)
{
	struct dns_name name;

	if (!dns_name_read(m, in, &name))
		return false;
	out->n = fqdn_name((struct bytes){ (const uint8_t *)name.s, name.n }, out->name);
	return out->n != 0;
}

static bool is_last(struct dns_msg *m, const struct dns_rr *rr, const struct chain *c)
{
	const struct link *last = &c->link[c->n - 1];
	struct cursor owner = rr->owner;
	struct link l;

	return read_clean(m, &owner, &l) && l.n == last->n && memcmp(l.name, last->name, l.n) == 0;
}

static uint32_t ttl_of(const struct dns_rr *rr) { return rr->ttl & DNS_TTL_SIGN ? 0 : rr->ttl; }

/* One walk over the records, which usually stand in the chain's order. True when the chain got longer. A circle ends at CHAIN_MAX. */
static bool follow(struct dns_msg *m, struct cursor in, struct chain *c)
{
	bool longer = false;
	struct dns_rr rr;

	for (unsigned left = m->count[1]; left && dns_rr_next(m, &in, &rr) && c->n < CHAIN_MAX; left--) {
		if (rr.type != DNS_T_CNAME || rr.class != DNS_CLASS_IN || !is_last(m, &rr, c))
			continue;
		c->link[c->n - 1].ttl = ttl_of(&rr);
		if (!read_clean(m, &rr.rdata, &c->link[c->n]))
			break;
		c->n++;
		longer = true;
	}
	return longer && c->n < CHAIN_MAX;
}

static void tell(struct px *px, const struct chain *c, enum dir asker, const struct addr *a, uint32_t ttl)
{
	for (unsigned i = c->n; i--;) {
		const struct link *l = &c->link[i];

		if (i + 1 < c->n && l->ttl < ttl)
			ttl = l->ttl;
		px_name(px, asker, (struct bytes){ (const uint8_t *)l->name, l->n }, a, ttl);
	}
}

void dns_names(struct px *px, const struct dns_msg *msg, struct cursor question, struct cursor records, bool asked, enum dir asker)
{
	struct dns_msg m = *msg;
	struct chain c;
	struct cursor in = records;
	unsigned told = 0;
	uint16_t type;
	struct dns_rr rr;

	if (!px_learns(px, asker))
		return;
	m.work = 0;
	c.n = 1;
	if (m.count[0] != 1 || !m.count[1] || !read_clean(&m, &question, &c.link[0]))
		return;
	type = cur_be16(&question);
	if ((type != DNS_T_A && type != DNS_T_AAAA && type != DNS_T_ANY) || cur_be16(&question) != DNS_CLASS_IN)
		return;
	while (asked && follow(&m, records, &c))
		;
	for (unsigned left = m.count[1]; left && dns_rr_next(&m, &in, &rr); left--) {
		bool v6 = rr.type == DNS_T_AAAA;
		const uint8_t *b;
		struct addr a;

		if ((rr.type != DNS_T_A && !v6) || (type != DNS_T_ANY && rr.type != type) || rr.class != DNS_CLASS_IN)
			continue;
		b = cur_take(&rr.rdata, v6 ? 16 : 4);
		if (!asked || !b || cur_left(&rr.rdata) || told == ADDRS_MAX || !is_last(&m, &rr, &c)) {
			px_name_not_believed(px);
			continue;
		}
		a = v6 ? addr_v6(b) : addr_v4(b);
		tell(px, &c, asker, &a, ttl_of(&rr));
		told++;
	}
}
