/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tell: the core's own events: flows, alerts of rules, anomalies, ICMP, ARP. Field names are Suricata's where it has them. */
#include "dpi/digest.h"
#include "dpi/tunnel.h"

#include <netinet/in.h>

#define FACT(id, key) static const struct fact fact_##id = { .name = key }
FACT(pkts_up, "pkts_toserver");
FACT(pkts_down, "pkts_toclient");
FACT(bytes_up, "bytes_toserver");
FACT(bytes_down, "bytes_toclient");
FACT(start, "start");
FACT(end, "end");
FACT(age, "age");
FACT(state, "state");
FACT(reason, "reason");
FACT(tcp, "tcp");
FACT(midstream, "midstream");
FACT(tcp_flags_ts, "tcp_flags_ts");
FACT(tcp_flags_tc, "tcp_flags_tc");
FACT(action, "action");
FACT(signature_id, "signature_id");
FACT(signature, "signature");
FACT(category, "category");
FACT(severity, "severity");
FACT(type, "type");
FACT(event, "event");
FACT(layer, "layer");
FACT(code, "code");
FACT(hw_type, "hw_type");
FACT(proto_type, "proto_type");
FACT(request, "request");
FACT(left_out, "left_out");
FACT(opcode, "opcode");
FACT(src_mac, "src_mac");
FACT(src_ip, "src_ip");
FACT(dest_mac, "dest_mac");
FACT(dest_ip, "dest_ip");

static bool is_icmp(uint8_t ipproto) { return ipproto == IPPROTO_ICMP || ipproto == IPPROTO_ICMPV6; }

/* Last of all, and only where recognition gave up: its port. */
enum app flow_hint(const struct flow *f)
{
	return f->app == APP_UNKNOWN && flow_hit(f, F_APP_KNOWN) ? app_hint(f->key.ipproto, flow_port(f, DIR_TOCLIENT)) : APP_UNKNOWN;
}

void tell_fill(const struct px *x, enum event_type type, struct event *ev)
{
	const struct flow *f = x->f;

	memset(ev, 0, sizeof(*ev));
	ev->ts = x->ts;
	ev->start = f->start;
	ev->flow_id = f->id;
	ev->number = x->p ? x->p->frame->number : 0;
	ev->rule = f->rule;
	ev->src_workload = f->workload[0];
	ev->dst_workload = f->workload[1];
	ev->iface = f->iface;
	ev->sport = flow_port(f, DIR_TOSERVER);
	ev->dport = flow_port(f, DIR_TOCLIENT);
	if (is_icmp(f->key.ipproto)) {
		ev->sport = f->key.ipproto == IPPROTO_ICMP ? 8 : 128;	/* an echo flow begins with its request */
		ev->dport = 0;
	}
	ev->vlan[0] = f->key.vlan[0];
	ev->vlan[1] = f->key.vlan[1];
	ev->nvlan = (uint8_t)((f->key.vlan[0] != 0) + (f->key.vlan[1] != 0));
	ev->app = f->app;
	ev->app_hint = (uint16_t)flow_hint(f);
	ev->app_orig = f->app_orig;
	ev->type = (uint8_t)type;
	ev->ipproto = f->key.ipproto;
	ev->path = f->path;
	ev->verdict = f->verdict;
	ev->reason = f->reason;
	ev->learned = flow_hit(f, F_LEARNED);
	ev->enforced = flow_refused(f) && (flow_hit(f, F_STOPPED) || (x->p ? judge_can_stop(f, x->p->frame) : x->open && judge_reaches(f)));
	ev->has_tuple = true;
	ev->src = *flow_addr(f, DIR_TOSERVER);
	ev->dst = *flow_addr(f, DIR_TOCLIENT);
	if (flow_tunnelled(f))
		ev->outer = f->tunnel->outer;
}

void tell_emit(struct dpi *d, struct event *ev, const struct record *r)
{
	ev->body = r->body;
	ev->body_len = rec_told(r);
	count(d, DPI_C_EVENTS);
	if (r->full)
		count(d, DPI_C_EVENTS_CUT);
	d->ops.emit(d->ops.ctx, ev);
}

static struct record *record_begin(struct dpi *d)
{
	rec_reset(&d->told);
	return &d->told;
}

/* ---- flow ---- */

static const char *tcp_state(const struct flow *f)
{
	const struct half *up = &f->half[DIR_TOSERVER], *down = &f->half[DIR_TOCLIENT];

	switch ((enum flow_state)f->state) {
	case FLOW_FREE:
	case FLOW_CLOSED:
		return "closed";
	case FLOW_NEW:
		return flow_hit(f, F_MIDSTREAM) ? "established" : "syn_sent";
	case FLOW_OPENING:
		return "syn_recv";
	case FLOW_OPEN:
		return "established";
	case FLOW_CLOSING:
		break;
	}
	if (up->flags & down->flags & HALF_FIN)
		return "last_ack";
	if (down->flags & HALF_FIN)
		return "close_wait";
	return down->acked == up->next ? "fin_wait2" : "fin_wait1";
}

void tell_flow(struct px *x, const char *reason)
{
	struct dpi *d = x->d;
	const struct flow *f = x->f;
	struct record *r;
	struct event ev;
	char text[3];

	if (!wanted(d, EV_FLOW))
		return;
	tell_fill(x, EV_FLOW, &ev);
	r = record_begin(d);
	rec_u64(r, &fact_pkts_up, f->pkts[DIR_TOSERVER]);
	rec_u64(r, &fact_pkts_down, f->pkts[DIR_TOCLIENT]);
	rec_u64(r, &fact_bytes_up, f->bytes[DIR_TOSERVER]);
	rec_u64(r, &fact_bytes_down, f->bytes[DIR_TOCLIENT]);
	rec_time(r, &fact_start, f->start);
	rec_time(r, &fact_end, f->last);
	rec_i64(r, &fact_age, (f->last - f->start) / SEC);
	rec_cstr(r, &fact_state, flow_state_name((enum flow_state)f->state));
	rec_cstr(r, &fact_reason, reason);
	if (f->key.ipproto == IPPROTO_TCP) {
		rec_obj(r, &fact_tcp);
		hex_text(text, &f->tcp_flags[DIR_TOSERVER], 1);
		rec_cstr(r, &fact_tcp_flags_ts, text);
		hex_text(text, &f->tcp_flags[DIR_TOCLIENT], 1);
		rec_cstr(r, &fact_tcp_flags_tc, text);
		rec_cstr(r, &fact_state, tcp_state(f));
		if (flow_hit(f, F_MIDSTREAM))
			rec_bool(r, &fact_midstream, true);
		rec_end(r);
	}
	tell_emit(d, &ev, r);
}

/* ---- alerts and anomalies ---- */

struct record *tell_alert_begin(struct px *x)
{
	struct dpi *d = x->d;
	struct record *r;
	struct event ev;

	if (!wanted(d, EV_ALERT))
		return NULL;
	tell_fill(x, EV_ALERT, &ev);
	r = record_begin(d);
	rec_cstr(r, &fact_action, ev.enforced ? "blocked" : "allowed");
	rec_u64(r, &fact_signature_id, ev.rule);
	if (ev.reason == REASON_QUARANTINE)
		rec_cstr(r, &fact_signature, "workload in quarantine");
	else if (ev.rule)
		rec_printf(r, &fact_signature, "policy rule %u", ev.rule);
	else
		rec_cstr(r, &fact_signature, "no rule allows it");
	rec_cstr(r, &fact_category, ev.reason == REASON_QUARANTINE ? "quarantine" : "policy");
	rec_u64(r, &fact_severity, 2);
	return r;
}

void tell_alert_end(struct px *x, struct record *r, const struct record *request)
{
	struct event ev;

	if (request && request->len) {
		rec_obj(r, &fact_request);
		rec_append(r, request->body, rec_told(request));
		rec_end(r);
	}
	tell_fill(x, EV_ALERT, &ev);
	tell_emit(x->d, &ev, r);
}

void tell_learn(struct px *x, const struct record *request)
{
	struct dpi *d = x->d;
	const struct flow *f = x->f;
	struct event ev;

	if (!wanted(d, EV_LEARN) || !flow_hit(f, F_LEARNED) || f->verdict != VERDICT_ALLOW || f->reason != REASON_NO_RULE)
		return;
	tell_fill(x, EV_LEARN, &ev);
	ev.partial = request && request->full;
	tell_emit(d, &ev, request ? request : record_begin(d));
}

static void anomaly_body(struct record *r, const char *layer, const char *name)
{
	rec_cstr(r, &fact_type, layer);
	rec_cstr(r, &fact_event, name);
	rec_cstr(r, &fact_layer, layer);
}

/* May one more of this kind be told in this second? *left: how many were not since the last that was. */
static bool anomaly_may(struct dpi *d, enum anomaly a, uint64_t *left)
{
	int64_t second = d->last_ts / SEC;

	if (d->anomaly_rate[a].second != second) {
		d->anomaly_rate[a].second = second;
		d->anomaly_rate[a].n = 0;
	}
	if (d->anomaly_rate[a].n++ >= ANOMALIES_A_SECOND) {
		d->anomaly_rate[a].left++;
		count(d, DPI_C_ANOMALIES_LEFT_OUT);
		return false;
	}
	*left = d->anomaly_rate[a].left;
	d->anomaly_rate[a].left = 0;
	return true;
}

static void anomaly_tell(struct dpi *d, struct event *ev, enum anomaly a, uint64_t left)
{
	struct record *r = record_begin(d);

	anomaly_body(r, anomaly_descs[a].layer, anomaly_descs[a].name);
	if (left)
		rec_u64(r, &fact_left_out, left);
	tell_emit(d, ev, r);
}

void tell_anomaly(struct px *x, enum anomaly a)
{
	struct dpi *d = x->d;
	struct flow *f = x->f;
	struct event ev;
	uint64_t left;

	count(d, (enum dpi_counter)(DPI_C_ANOM_FIRST + a));
	if (f->anomalies >> (unsigned)a & 1)
		return;
	f->anomalies = (uint16_t)(f->anomalies | 1u << (unsigned)a);
	if (!wanted(d, EV_ANOMALY) || !anomaly_may(d, a, &left))
		return;
	tell_fill(x, EV_ANOMALY, &ev);
	anomaly_tell(d, &ev, a, left);
}

void tell_bad(struct px *x, const char *event)
{
	struct dpi *d = x->d;
	struct record *r;
	struct event ev;

	if (x->f->bad_told == BAD_TOLD_MAX)
		return;
	x->f->bad_told++;
	if (!wanted(d, EV_ANOMALY))
		return;
	tell_fill(x, EV_ANOMALY, &ev);
	r = record_begin(d);
	anomaly_body(r, "proto", event);
	tell_emit(d, &ev, r);
}

/* ---- packets without a flow ---- */

static void packet_fill(const struct packet *p, enum event_type type, struct event *ev)
{
	memset(ev, 0, sizeof(*ev));
	ev->ts = ev->start = p->frame->ts;
	ev->number = p->frame->number;
	ev->iface = p->frame->iface;
	ev->path = p->frame->path;
	ev->vlan[0] = p->vlan[0];
	ev->vlan[1] = p->vlan[1];
	ev->nvlan = p->nvlan;
	if (p->tunnel)
		ev->outer = p->tunnel->outer;
	ev->type = (uint8_t)type;
	if (p->family) {
		ev->has_tuple = true;
		ev->src = p->t.src;
		ev->dst = p->t.dst;
		ev->sport = p->t.sport;
		ev->dport = p->t.dport;
		ev->ipproto = p->t.ipproto;
	}
}

static void ask_workloads(struct dpi *d, const struct packet *p, struct event *ev)
{
	struct dpi_ends e = { 0 };

	if (d->ops.ends && p->family)
		d->ops.ends(d->ops.ctx, p->frame, &p->t, &e);
	ev->src_workload = e.workload[0];
	ev->dst_workload = e.workload[1];
}

void tell_packet_anomaly(struct dpi *d, const struct packet *p, enum anomaly a) { tell_flow_anomaly(d, p, a, NULL); }

void tell_flow_anomaly(struct dpi *d, const struct packet *p, enum anomaly a, const struct flow *f)
{
	struct event ev;
	uint64_t left;

	count(d, (enum dpi_counter)(DPI_C_ANOM_FIRST + a));
	if (!wanted(d, EV_ANOMALY) || !anomaly_may(d, a, &left))
		return;
	packet_fill(p, EV_ANOMALY, &ev);
	ev.flow_id = f ? f->id : 0;
	ask_workloads(d, p, &ev);
	anomaly_tell(d, &ev, a, left);
}

static void icmp_body(struct record *r, const struct packet *p)
{
	rec_u64(r, &fact_type, p->icmp_type);
	rec_u64(r, &fact_code, p->icmp_code);
}

void tell_icmp(struct px *x)
{
	struct record *r;
	struct event ev;

	if (!wanted(x->d, EV_ICMP))
		return;
	tell_fill(x, EV_ICMP, &ev);
	r = record_begin(x->d);
	icmp_body(r, x->p);
	tell_emit(x->d, &ev, r);
}

void tell_icmp_packet(struct dpi *d, const struct packet *p)
{
	struct record *r;
	struct event ev;

	if (!wanted(d, EV_ICMP))
		return;
	packet_fill(p, EV_ICMP, &ev);
	ask_workloads(d, p, &ev);
	r = record_begin(d);
	icmp_body(r, p);
	tell_emit(d, &ev, r);
}

static void mac_put(struct record *r, const struct fact *f, const uint8_t *m)
{
	rec_printf(r, f, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
}

static void ip_put(struct record *r, const struct fact *f, const uint8_t *ip)
{
	struct addr a = addr_v4(ip);
	char text[ADDR_STRLEN];

	rec_cstr(r, f, addr_format(&a, text));
}

/* RFC 826, for Ethernet and IPv4. */
void tell_arp(struct dpi *d, const struct packet *p)
{
	static const char *const ops[] = { NULL, "request", "reply", "request-reverse", "reply-reverse" };
	struct cursor c = cur_of(p->payload.p, p->payload.n);
	uint16_t hw = cur_be16(&c), proto = cur_be16(&c), lens = cur_be16(&c), op = cur_be16(&c);
	const uint8_t *smac = cur_take(&c, 6), *sip = cur_take(&c, 4), *tmac = cur_take(&c, 6), *tip = cur_take(&c, 4);
	struct record *r;
	struct event ev;

	if (!wanted(d, EV_ARP) || !cur_ok(&c) || hw != 1 || proto != 0x0800 || lens != 0x0604)
		return;
	packet_fill(p, EV_ARP, &ev);
	r = record_begin(d);
	rec_cstr(r, &fact_hw_type, "ethernet");
	rec_cstr(r, &fact_proto_type, "ipv4");
	if (op >= 1 && op <= 4)
		rec_cstr(r, &fact_opcode, ops[op]);
	else
		rec_printf(r, &fact_opcode, "%u", op);
	mac_put(r, &fact_src_mac, smac);
	ip_put(r, &fact_src_ip, sip);
	mac_put(r, &fact_dest_mac, tmac);
	ip_put(r, &fact_dest_ip, tip);
	tell_emit(d, &ev, r);
}
