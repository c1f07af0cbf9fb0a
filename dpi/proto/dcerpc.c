/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dcerpc: C706 and [MS-RPCE] over TCP (version 5) and in datagrams (version 4). One `dcerpc` event per interface that is bound or asked for,
 * per request, and per fault. RPC inside SMB's pipes is not looked at.
 *
 *   5:  5 minor(1) type(1) flags(1) data representation(4) length(2) auth length(2) call(4), then by type;
 *       bind: sizes(4) group(4) n(1) (3), n times: context(2) transfers(1) (1) interface UUID(16) version(4) and 20 bytes per transfer
 *       request: (4) context(2) operation(2)
 *   4:  4 type(1) flags(2) representation(3) (1) object(16) interface(16) activity(16) (4) version(4) sequence(4) operation(2) ... length(2) ...
 * The representation says the byte order of numbers and of UUIDs. Bodies are passed by. */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define HEADER 16u
#define HEADER_4 80u
#define CONTEXTS 8u

enum { REQUEST, PING, RESPONSE, FAULT, BIND = 11, BIND_ACK, BIND_NAK, ALTER = 14, ALTER_R };

static const struct fact f_type = { "type", FACT_OPERATION }, f_uuid = { "uuid", FACT_PLAIN }, f_name = { "interface", FACT_OBJECT },
	f_version = { "interface_version", FACT_PLAIN }, f_opnum = { "opnum", FACT_COMMAND }, f_call = { "call_id", FACT_PLAIN },
	f_status = { "status", FACT_PLAIN };
static const struct fact *const facts[] = { &f_type, &f_uuid, &f_name, &f_version, &f_opnum, &f_call, &f_status, NULL };

static const struct { const char *uuid, *name; } interfaces[] = {
	{ "e1af8308-5d1f-11c9-91a4-08002b14a0fa", "epmapper" }, { "12345778-1234-abcd-ef00-0123456789ab", "lsarpc" },
	{ "12345778-1234-abcd-ef00-0123456789ac", "samr" }, { "12345678-1234-abcd-ef00-01234567cffb", "netlogon" },
	{ "4b324fc8-1670-01d3-1278-5a47bf6ee188", "srvsvc" }, { "6bffd098-a112-3610-9833-46c3f87e345a", "wkssvc" },
	{ "367abb81-9844-35f1-ad32-98f038001003", "svcctl" }, { "338cd001-2244-31f1-aaaa-900038001003", "winreg" },
	{ "12345678-1234-abcd-ef00-0123456789ab", "spoolss" }, { "86d35949-83c9-4044-b424-db363231fd0c", "taskschedulerservice" },
	{ "1ff70682-0a51-30e8-076d-740be8cee98b", "atsvc" }, { "e3514235-4b06-11d1-ab04-00c04fc2dcd2", "drsuapi" },
	{ "000001a0-0000-0000-c000-000000000046", "isystemactivator" }, { "99fcfec4-5260-101b-bbcb-00aa0021347a", "ioxidresolver" },
	{ "00000131-0000-0000-c000-000000000046", "iremunknown" }, { "00000143-0000-0000-c000-000000000046", "iremunknown2" },
	{ "a4f1db00-ca47-1067-b31f-00dd010662da", "exchange_mapi" }, { "dea00001-6c97-11d1-8271-00a02442df7d", "profinet_io" },
	{ "5a7b91f8-ff00-11d0-a9b2-00c04fb6e6fc", "messenger" }, { "f6beaff7-1e19-4fbb-9f8f-b89e2018337c", "eventlog" },
	{ "c681d488-d850-11d0-8c52-00c04fd90f7e", "efsrpc" }, { "df1941c5-fe89-4e79-bf10-463657acf44d", "efsrpc" },
};

struct dcerpc {
	uint32_t next_tx;
	uint32_t n;		/* contexts that were bound; the last CONTEXTS are known */
	struct { uint16_t context; uint8_t uuid[16]; } iface[CONTEXTS];
};

static void tell_iface(struct record *r, const uint8_t uuid[16], bool le)
{
	char text[37];

	guid_text(uuid, le, text);
	rec_cstr(r, &f_uuid, text);
	for (unsigned i = 0; i < sizeof(interfaces) / sizeof(interfaces[0]); i++)
		if (!strcmp(interfaces[i].uuid, text)) {
			rec_cstr(r, &f_name, interfaces[i].name);
			return;
		}
}

/* ---- recognition ---- */

/* Version 5. *len: of the whole PDU. */
static bool head_good(struct cursor c, uint8_t *type, bool *le, uint16_t *len)
{
	uint8_t major = cur_u8(&c), minor = cur_u8(&c), rep, zero;
	uint16_t auth;

	*type = cur_u8(&c);
	cur_skip(&c, 1);
	rep = cur_u8(&c);
	zero = cur_u8(&c) | cur_u8(&c) | cur_u8(&c);
	*le = rep >> 4 == 1;
	*len = *le ? cur_le16(&c) : cur_be16(&c);
	auth = *le ? cur_le16(&c) : cur_be16(&c);
	return cur_ok(&c) && major == 5 && minor <= 1 && *type <= 20 && (rep == 0x10 || !rep) && !zero && *len >= HEADER && auth < *len;
}

static enum probe probe_stream(struct cursor c)
{
	static const uint8_t start[] = { 5 };
	uint16_t len, frag;
	uint8_t type, n;
	bool le;

	if (cur_left(&c) && !cur_starts(&c, start, 1))
		return PROBE_NO;
	if (cur_left(&c) < HEADER)
		return cur_left(&c) > 1 && cur_peek(&c, 1) > 1 ? PROBE_NO : PROBE_MORE;
	if (!head_good(c, &type, &le, &len))
		return PROBE_NO;
	if (type != BIND && type != ALTER && type != BIND_ACK && type != ALTER_R)	/* taken up in the middle */
		return type == REQUEST || type == RESPONSE || type == FAULT || type == BIND_NAK ? (len >= 24 ? PROBE_YES : PROBE_NO) : PROBE_NO;
	if (len < 28)
		return PROBE_NO;
	if (cur_left(&c) < 28)
		return PROBE_MORE;
	cur_skip(&c, HEADER);
	frag = le ? cur_le16(&c) : cur_be16(&c);
	cur_skip(&c, 6);
	n = cur_u8(&c);
	return frag >= 256 && (type == BIND_ACK || type == ALTER_R || n) ? PROBE_YES : PROBE_NO;
}

/* The variant that its bits name is one of the two that are in use. */
static bool uuid_good(struct cursor c, size_t at) { return cur_peek(&c, at + 8) >> 6 == 2 || cur_peek(&c, at + 8) >> 5 == 6; }

static bool datagram_good(struct cursor c)
{
	bool uuids = uuid_good(c, 24) && uuid_good(c, 40);
	uint8_t version = cur_u8(&c), type = cur_u8(&c), rep;
	uint16_t len;

	cur_skip(&c, 2);
	rep = cur_u8(&c);
	cur_skip(&c, 69);
	len = rep ? cur_le16(&c) : cur_be16(&c);
	cur_skip(&c, 4);
	return cur_ok(&c) && uuids && version == 4 && type <= 10 && (rep == 0x10 || !rep) && len <= cur_left(&c) && cur_left(&c) <= len + 64u;
}

static enum probe probe(const struct probe_in *in)
{
	enum probe best = PROBE_MORE;

	if (in->l4 == PROTO_UDP)
		return datagram_good(in->dir[in->now]) ? PROBE_YES : PROBE_NO;
	for (unsigned d = 0; d < 2; d++) {
		enum probe p = cur_left(&in->dir[d]) ? probe_stream(in->dir[d]) : PROBE_MORE;

		if (p == PROBE_NO)
			return p;
		if (p == PROBE_YES)
			best = p;
	}
	return best;
}

/* ---- parsing ---- */

static void tell_bind(struct px *px, struct dcerpc *s, struct cursor c, bool le, uint32_t call)
{
	uint8_t n;

	cur_skip(&c, 8);
	n = cur_u8(&c);
	cur_skip(&c, 3);
	for (unsigned i = 0; i < n && cur_left(&c) >= 24; i++) {
		uint16_t context = le ? cur_le16(&c) : cur_be16(&c);
		uint8_t transfers = cur_u8(&c);
		struct record *r = px_record(px);
		const uint8_t *uuid;
		uint32_t version;

		cur_skip(&c, 1);
		uuid = cur_take(&c, 16);
		version = le ? cur_le32(&c) : cur_be32(&c);
		cur_skip(&c, 20u * transfers);
		memcpy(s->iface[s->n % CONTEXTS].uuid, uuid, 16);
		s->iface[s->n++ % CONTEXTS].context = context;

		if (i >= CONTEXTS)
			continue;
		rec_cstr(r, &f_type, "bind");
		rec_u64(r, &f_call, call);
		tell_iface(r, uuid, le);
		rec_printf(r, &f_version, "%u.%u", version & 0xffff, version >> 16);
		px_judge(px, r);
		px_emit(px, EV_APP, s->next_tx++, r);
	}
}

static void tell_request(struct px *px, struct dcerpc *s, struct cursor c, bool le, uint32_t call)
{
	struct record *r = px_record(px);
	uint16_t context;

	cur_skip(&c, 4);
	context = le ? cur_le16(&c) : cur_be16(&c);
	rec_cstr(r, &f_type, "request");
	rec_u64(r, &f_call, call);
	for (unsigned i = 0; i < CONTEXTS && i < s->n; i++)
		if (s->iface[i].context == context) {
			tell_iface(r, s->iface[i].uuid, le);
			break;
		}
	rec_printf(r, &f_opnum, "%u", le ? cur_le16(&c) : cur_be16(&c));
	px_judge(px, r);
	px_emit(px, EV_APP, s->next_tx++, r);
}

static void pdu(struct px *px, struct dcerpc *s, struct cursor c, uint8_t type, bool le)
{
	uint8_t flags = cur_peek(&c, 3);
	uint32_t call;

	cur_skip(&c, 12);
	call = le ? cur_le32(&c) : cur_be32(&c);
	if (type == BIND || type == ALTER) {
		tell_bind(px, s, c, le, call);
	} else if (type == REQUEST && flags & 1) {	/* the first fragment */
		tell_request(px, s, c, le, call);
	} else if ((type == FAULT && cur_skip(&c, 8)) || type == BIND_NAK) {
		struct record *r = px_record(px);

		rec_cstr(r, &f_type, type == FAULT ? "fault" : "bind_nak");
		rec_u64(r, &f_call, call);
		if (type == FAULT)
			rec_printf(r, &f_status, "0x%08x", le ? cur_le32(&c) : cur_be32(&c));
		px_emit(px, EV_APP, s->next_tx++, r);
	}
}

static void datagram(struct px *px, struct dcerpc *s, enum dir dir, struct cursor c)
{
	uint8_t type = cur_peek(&c, 1);
	bool le = cur_peek(&c, 4) == 0x10;
	const uint8_t *uuid;
	struct record *r;
	uint32_t version;

	cur_skip(&c, 24);
	uuid = cur_take(&c, 16);
	cur_skip(&c, 20);
	version = le ? cur_le32(&c) : cur_be32(&c);
	cur_skip(&c, 4);
	if (type != REQUEST || !uuid)
		return;
	r = px_record(px);
	rec_cstr(r, &f_type, "request");
	tell_iface(r, uuid, le);
	rec_printf(r, &f_version, "%u.%u", version & 0xffff, version >> 16);
	rec_printf(r, &f_opnum, "%u", le ? cur_le16(&c) : cur_be16(&c));
	say(px, dir, EV_APP, s->next_tx++, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct cursor view = cur_of(NULL, 0);
	uint8_t type;
	uint16_t len;
	bool le;

	if (px_l4(px) == PROTO_UDP) {
		if (datagram_good(*in))
			datagram(px, state, dir, *in);
		else
			px_bad(px, "dcerpc.malformed");
		cur_rest(in);
		return PARSE_DONE;
	}
	while (cur_more(in)) {
		enum parse p;

		if (cur_left(in) < HEADER)
			return msg_more(px, HEADER);
		if (!head_good(*in, &type, &le, &len))
			return msg_bad(px, "dcerpc.malformed");
		p = msg_take(px, dir, in, len, type == BIND || type == ALTER ? 4096 : 32, &view);
		if (p != PARSE_DONE)
			return p;
		pdu(px, state, view, type, le);
	}
	return PARSE_DONE;
}

static const uint16_t ports[] = { 135, 0 };

const struct proto proto_dcerpc = {
	.name = "dcerpc",
	.app = APP_DCERPC,
	.event = EV_APP,
	.l4 = PROTO_TCP | PROTO_UDP,
	.ports = ports,
	.state_size = sizeof(struct dcerpc),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
