/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text of what is wanted in one table of one family, in the form of iptables-save. Pure.
 *
 * Order within a chain, first match wins (a queued packet leaves the table, so each hook queues it once):
 *	packets with our mark return
 *	a SYN that begins a connection takes the mark off what the kernel still keeps of one before it; connections marked as refused are
 *	dropped, those marked as decided return (conntrack.h). Before anything that queues, so that one rule ends it for both sides and lo
 *	server rules: a packet to or from one of our own queued ports is ours to queue, whoever the peer is
 *	peers: what a local server's own queue owns returns
 *	client rules, then those of lo
 *	RETURN
 * Peers stand behind the server rules: with a protocol whose both ends use the same port (SIP, DNS between servers) two peers
 * would otherwise let each other's packets pass, and nobody queued them. Where `all` makes server and client rules the same rule, a
 * peer that owns named ports goes before it, and a peer that owns `all` too is left out: who of the two is the server cannot be
 * told by a rule; both queue it and the guard inspects it once. */
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include "nfq/conntrack.h"
#include "nfq/ipt.h"

bool rules_interface_ok(const char *name)
{
	size_t n = strnlen(name, 16);

	if (!n || n == 16 || *name == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@", name[i]))
			return false;	/* "+" would mean a family of names; quotes would end the file's words */
	return true;
}

struct writer {
	FILE *f;
	const struct rules_want *want;
	const struct ipt_shape *shape;
	bool in;		/* the chain of INPUT, else of OUTPUT */
};

static const char *chain_name(const struct writer *w) { return w->in ? CHAIN_IN : CHAIN_OUT; }

/* The end of a queue rule. */
static void put_queue(const struct writer *w, uint8_t ipproto)
{
	fprintf(w->f, " -j NFQUEUE --queue-num %u%s\n", w->want->queue_tcp + (ipproto == IPPROTO_UDP), w->want->bypass ? " --queue-bypass" : "");
}

static const char *proto_name(uint8_t ipproto) { return ipproto == IPPROTO_UDP ? "udp" : "tcp"; }

/* Packets of one app port at this hook. to_port: those that go to it, else those that come from it. */
static void put_port(const struct writer *w, const char *dev, const struct app_port *p, bool to_port)
{
	const char *proto = proto_name(p->ipproto);

	fprintf(w->f, "-A %s -%c %s -p %s -m %s --%s %u", chain_name(w), w->in ? 'i' : 'o', dev, proto, proto, to_port ? "dport" : "sport", p->port);
	put_queue(w, p->ipproto);
	if (!w->shape->redirects)
		return;
	/* The workload changed the port on the packet's way: conntrack knows what it was. */
	fprintf(w->f, "-A %s -%c %s -p %s -m conntrack --ctorigdstport %u --ctdir %s", chain_name(w), w->in ? 'i' : 'o', dev, proto, p->port,
		to_port ? "ORIGINAL" : "REPLY");
	put_queue(w, p->ipproto);
}

static void put_ports(const struct writer *w, const char *dev, bool to_port)
{
	for (unsigned i = 0; i < w->want->apps.n && i < APP_PORTS_MAX; i++)
		put_port(w, dev, &w->want->apps.port[i], to_port);
}

static void put_all(const struct writer *w, const char *dev)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };

	for (size_t i = 0; i < 2; i++) {
		fprintf(w->f, "-A %s -%c %s -p %s", chain_name(w), w->in ? 'i' : 'o', dev, proto_name(protos[i]));
		put_queue(w, protos[i]);
	}
}

static void put_peer(const struct writer *w, const struct peer_port *p)
{
	char text[ADDR_STRLEN];

	fprintf(w->f, "-A %s -%c %s/%d", chain_name(w), w->in ? 's' : 'd', addr_format(&p->addr, text), addr_is_v4(&p->addr) ? 32 : 128);
	if (p->ipproto)
		fprintf(w->f, " -p %s", proto_name(p->ipproto));
	if (p->ipproto && p->port)
		fprintf(w->f, " -m %s --%cport %u", proto_name(p->ipproto), w->in ? 's' : 'd', p->port);
	fputs(" -j RETURN\n", w->f);
}

static void put_peers(const struct writer *w)
{
	const struct rules_want *want = w->want;
	bool ambiguous = want->apps.all && (want->side & SIDE_SERVER);

	if (!(want->side & SIDE_CLIENT))
		return;
	for (unsigned i = 0; i < want->npeers; i++) {
		const struct peer_port *p = &want->peers[i];

		if (addr_is_v4(&p->addr) == (w->shape->family == IPT_V4) && !(ambiguous && !p->port))
			put_peer(w, p);
	}
}

static void put_mark(const struct writer *w, const char *chain)
{
	if (w->want->mask == 0xffffffff)	/* as the programs print it */
		fprintf(w->f, "-A %s -m mark --mark 0x%x -j RETURN\n", chain, w->want->mark);
	else if (w->want->mask)			/* a mask of 0 matches every packet */
		fprintf(w->f, "-A %s -m mark --mark 0x%x/0x%x -j RETURN\n", chain, w->want->mark & w->want->mask, w->want->mask);
}

/* A mark that tapqd set on a connection stands for both directions. `all`: its bits and that of refusals. */
static void put_decided(const struct writer *w)
{
	uint32_t mask = w->want->mask, mark = w->want->mark & mask, drop = conntrack_drop_bit(mask), all = mask | drop;

	fprintf(w->f, "-A %s -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m connmark --mark 0x%x/0x%x -j CONNMARK --set-xmark 0x0/0x%x\n", chain_name(w), mark, mask, all);
	if (drop)
		fprintf(w->f, "-A %s -m connmark --mark 0x%x/0x%x -j DROP\n", chain_name(w), mark | drop, all);
	fprintf(w->f, "-A %s -m connmark --mark 0x%x/0x%x -j RETURN\n", chain_name(w), mark, mask);
}

/* Loopback packets pass OUTPUT and INPUT: each is to be queued at one of them. */
static void put_loopback(const struct writer *w)
{
	if (w->want->apps.all && !w->in)
		put_all(w, "lo");
	else if (!w->want->apps.all)
		put_ports(w, "lo", !w->in);
}

static void put_chain(struct writer *w, bool in)
{
	const struct rules_want *want = w->want;

	w->in = in;
	put_mark(w, chain_name(w));
	if (w->shape->offload)
		put_decided(w);
	if (!want->apps.all && (want->side & SIDE_SERVER))
		put_ports(w, want->interface, in);
	put_peers(w);
	if (!want->apps.all && (want->side & SIDE_CLIENT))
		put_ports(w, want->interface, !in);
	if (want->apps.all)
		put_all(w, want->interface);
	if (want->loopback)
		put_loopback(w);
	/* This match's presence is what counts: the kernel then puts IPv6 fragments together before INPUT. Else only the first one,
	 * which has the ports, were queued, and the others delivered unseen. */
	if (in && w->shape->whole_fragments && w->shape->family == IPT_V6)
		fprintf(w->f, "-A %s -p udp -m socket --nowildcard -j RETURN\n", chain_name(w));
	fprintf(w->f, "-A %s%s -j RETURN\n", chain_name(w), w->shape->offload && w->shape->acct_ours ? " -m comment --comment " ACCT_COMMENT : "");
}

/* Everything stops but what the link needs to stay up: neighbour discovery (ARP is not seen by these tables at all). What the workload
 * says to itself is its own affair. No mark is let by: it may set one too, and tapqd sends nothing of its own here. */
static void put_quarantine(const struct writer *w, bool in)
{
	const char *chain = in ? CHAIN_QUAR_IN : CHAIN_QUAR_OUT;

	fprintf(w->f, "-A %s -%c lo -j RETURN\n", chain, in ? 'i' : 'o');
	for (int type = 133; w->shape->family == IPT_V6 && type <= 136; type++)
		fprintf(w->f, "-A %s -p ipv6-icmp -m icmp6 --icmpv6-type %d -j RETURN\n", chain, type);
	if (!in && w->want->seen)
		fprintf(w->f, "-A %s -o %s -j RETURN\n", chain, w->want->interface);
	fprintf(w->f, "-A %s -j DROP\n", chain);
}

char *rules_text(const struct rules_want *want, const struct ipt_shape *shape)
{
	char *text = NULL;
	size_t n = 0;
	struct writer w = { .f = open_memstream(&text, &n), .want = want, .shape = shape };
	bool queues = want->apps.all || want->apps.n;

	if (!w.f)
		return NULL;
	fprintf(w.f, "*%s\n", ipt_table_name(shape->table));
	if (want->quarantine)
		fprintf(w.f, ":%s - [0:0]\n:%s - [0:0]\n", CHAIN_QUAR_IN, CHAIN_QUAR_OUT);
	if (queues)
		fprintf(w.f, ":%s - [0:0]\n:%s - [0:0]\n", CHAIN_IN, CHAIN_OUT);
	if (want->quarantine)
		fprintf(w.f, "-A INPUT -j %s\n-A OUTPUT -j %s\n", CHAIN_QUAR_IN, CHAIN_QUAR_OUT);
	if (queues)
		fprintf(w.f, "-A INPUT -j %s\n-A OUTPUT -j %s\n", CHAIN_IN, CHAIN_OUT);
	if (want->quarantine) {
		put_quarantine(&w, true);
		put_quarantine(&w, false);
	}
	if (queues) {
		put_chain(&w, true);
		put_chain(&w, false);
	}
	fputs("COMMIT\n", w.f);
	if (fclose(w.f)) {
		free(text);
		return NULL;
	}
	return text;
}
