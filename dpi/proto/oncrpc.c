/* SPDX-License-Identifier: GPL-2.0-or-later */
/* oncrpc: RFC 5531 over TCP (records of fragments) and in datagrams; portmap (1833), mount and NFS 2 to 4 (1094, 1813, 7530, 8881).
 * One `oncrpc` event per call (of NFS: `nfs`, the app then is nfs), when its reply is there.
 *
 *   record: last(1 bit) length(31 bits)
 *   call:   xid 0 2 program version procedure, credential { flavor(4) length(4) bytes }, verifier { the same }, arguments
 *   reply:  xid 1 accepted(0): verifier, status        denied(1): reason
 *
 * Of a record its first fragment's first LOOK bytes are looked at. Writes and reads of files are passed by: they are told
 * once per flow each. */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define LOOK 2048u
#define RECORD_BYTES_MAX (16u << 20)
#define NFS 100003u
#define PORTMAP 100000u
#define MOUNT 100005u
#define OPS_MAX 16u
#define PATH_MOST 1024u
#define KADMIN 2112u	/* the one program of note below those that are given out */

enum { OP_CREATE = 6, OP_LOOKUP = 15, OP_OPEN = 18, OP_PUTFH = 22, OP_PUTROOTFH = 24, OP_REMOVE = 28, OP_RENAME = 29 };

static const struct fact f_program = { "program", FACT_OBJECT }, f_version = { "version", FACT_PLAIN }, f_procedure = { "procedure", FACT_OPERATION },
	f_xid = { "xid", FACT_PLAIN }, f_uid = { "uid", FACT_PLAIN }, f_host = { "machine", FACT_PLAIN }, f_file = { "file", FACT_KEY },
	f_asked = { "program_asked", FACT_PLAIN }, f_status = { "status", FACT_PLAIN }, f_ops = { "operations", FACT_PLAIN };
static const struct fact *const facts[] = { &f_program, &f_version, &f_procedure, &f_xid, &f_uid, &f_host, &f_file, &f_asked, &f_status, &f_ops, NULL };

static const struct code programs[] = {
	{ PORTMAP, "portmap" }, { 100001, "rstat" }, { 100002, "rusers" }, { NFS, "nfs" }, { 100004, "ypserv" }, { MOUNT, "mount" }, { 100007, "ypbind" },
	{ 100008, "rwall" }, { 100009, "yppasswd" }, { 100011, "rquota" }, { 100021, "nlm" }, { 100024, "nsm" }, { 100227, "nfsacl" }, { KADMIN, "kadmin" }, { 0, NULL },
};
static const char *const nfs2[] = { "null", "getattr", "setattr", "root", "lookup", "readlink", "read", "writecache", "write", "create", "remove", "rename",
	"link", "symlink", "mkdir", "rmdir", "readdir", "statfs" };
static const char *const nfs3[] = { "null", "getattr", "setattr", "lookup", "access", "readlink", "read", "write", "create", "mkdir", "symlink", "mknod",
	"remove", "rmdir", "rename", "link", "readdir", "readdirplus", "fsstat", "fsinfo", "pathconf", "commit" };
static const char *const nfs4[] = { "null", "compound" };
static const char *const portmap[] = { "null", "set", "unset", "getport", "dump", "callit" };
static const char *const rpcbind[] = { "null", "set", "unset", "getaddr", "dump", "bcast", "gettime", "uaddr2taddr", "taddr2uaddr", "getversaddr", "indirect",
	"getaddrlist", "getstat" };
static const char *const mount[] = { "null", "mnt", "dump", "umnt", "umntall", "export" };
static const char *const ops4[] = { "access", "close", "commit", "create", "delegpurge", "delegreturn", "getattr", "getfh", "link", "lock", "lockt", "locku",
	"lookup", "lookupp", "nverify", "open", "openattr", "open_confirm", "open_downgrade", "putfh", "putpubfh", "putrootfh", "read", "readdir", "readlink",
	"remove", "rename", "renew", "restorefh", "savefh", "secinfo", "setattr", "setclientid", "setclientid_confirm", "verify", "write", "release_lockowner",
	"backchannel_ctl", "bind_conn_to_session", "exchange_id", "create_session", "destroy_session", "free_stateid", "get_dir_delegation", "getdeviceinfo",
	"getdevicelist", "layoutcommit", "layoutget", "layoutreturn", "secinfo_no_name", "sequence", "set_ssv", "test_stateid", "want_delegation",
	"destroy_clientid", "reclaim_complete" };	/* from 3 on */
#define N(table) (sizeof(table) / sizeof((table)[0]))

struct oncrpc {
	struct asks asks;
	bool middle[2];		/* the next fragment is not a record's first */
	bool read_told, write_told;
	bool is_nfs;
};

struct call {
	uint32_t xid, program, version, procedure;
};

/* ---- recognition ---- */

static bool opaque_skip(struct cursor *c, uint32_t max)
{
	uint32_t n = cur_be32(c);

	return cur_ok(c) && n <= max && cur_skip(c, (n + 3u) & ~3u);
}

/* Stops before the credential. */
static bool call_read(struct cursor *c, struct call *k)
{
	uint32_t type, rpc;

	k->xid = cur_be32(c);
	type = cur_be32(c);
	rpc = cur_be32(c);
	k->program = cur_be32(c);
	k->version = cur_be32(c);
	k->procedure = cur_be32(c);
	return cur_ok(c) && type == 0 && rpc == 2 && (k->program >= 100000 || k->program == KADMIN) && k->version && k->version <= 65536 && k->procedure < 4096;
}

static bool auths_skip(struct cursor *c)
{
	for (unsigned i = 0; i < 2; i++) {
		uint32_t flavor = cur_be32(c);

		if ((flavor > 8 && flavor != 300001 && flavor / 1000 != 390) || !opaque_skip(c, 400))
			return false;
	}
	return cur_ok(c);
}

static bool call_good(struct cursor c)
{
	struct call k;

	return call_read(&c, &k) && auths_skip(&c);
}

static enum probe probe_stream(struct cursor c, bool server)
{
	uint32_t mark = cur_be32(&c), len = mark & 0x7fffffff;
	struct call k;

	if (!cur_ok(&c))
		return PROBE_MORE;
	if (len < (server ? 20u : 40u) || len > RECORD_BYTES_MAX)
		return PROBE_NO;
	if (server)	/* an answer proves nothing alone */
		return PROBE_MORE;
	if (cur_left(&c) < 24)
		return cur_left(&c) > 7 && (cur_peek(&c, 4) | cur_peek(&c, 5) | cur_peek(&c, 6) | cur_peek(&c, 7)) ? PROBE_NO : PROBE_MORE;
	if (!call_read(&c, &k))
		return PROBE_NO;
	if (auths_skip(&c))
		return PROBE_YES;
	return cur_ok(&c) || cur_left(&c) >= 900 ? PROBE_NO : PROBE_MORE;
}

static enum probe probe(const struct probe_in *in)
{
	if (in->l4 == PROTO_UDP)
		return call_good(in->dir[in->now]) ? PROBE_YES : PROBE_NO;
	if (cur_left(&in->dir[DIR_TOSERVER]))
		return probe_stream(in->dir[DIR_TOSERVER], false);
	return probe_stream(in->dir[DIR_TOCLIENT], true);
}

/* ---- calls ---- */

static void tell_procedure(struct record *r, const struct call *k)
{
	const char *const *names = NULL;
	size_t n = 0;

	if (k->program == NFS)
		names = k->version == 2 ? nfs2 : k->version == 3 ? nfs3 : nfs4, n = k->version == 2 ? N(nfs2) : k->version == 3 ? N(nfs3) : N(nfs4);
	else if (k->program == PORTMAP)
		names = k->version == 2 ? portmap : rpcbind, n = k->version == 2 ? N(portmap) : N(rpcbind);
	else if (k->program == MOUNT)
		names = mount, n = N(mount);
	if (k->procedure < n)
		rec_cstr(r, &f_procedure, names[k->procedure]);
	else if (!k->procedure)
		rec_cstr(r, &f_procedure, "null");
	else
		rec_printf(r, &f_procedure, "%u", k->procedure);
}

static void tell_string(struct record *r, const struct fact *f, struct cursor *c)
{
	uint32_t n = cur_be32(c);
	struct bytes b = cur_bytes(c, n);

	if (!cur_ok(c) || n > 1024)
		return;
	cur_skip(c, (4 - n % 4) % 4);
	rec_bytes(r, f, b);
}

/* AUTH_UNIX: stamp(4) machine uid(4) gid(4) groups */
static void tell_auth(struct record *r, struct cursor c)
{
	if (cur_be32(&c) != 1)
		return;
	cur_skip(&c, 8);
	tell_string(r, &f_host, &c);
	if (cur_left(&c) >= 4)
		rec_u64(r, &f_uid, cur_be32(&c));
}

/* NFS 4's attributes: words of bits, then bytes. */
static bool attributes_skip(struct cursor *c)
{
	uint32_t words = cur_be32(c);

	return words <= 8 && cur_skip(c, 4u * words) && opaque_skip(c, 4096);
}

/* OPEN and CREATE up to the name; false: there is none, or it is out of sight. */
static bool open_to_name(struct cursor *c)
{
	uint32_t how;

	cur_skip(c, 20);	/* sequence, access, deny, client */
	if (!opaque_skip(c, 1024))
		return false;
	if (cur_be32(c)) {
		how = cur_be32(c);
		if (how > 3 || (how >= 2 && !cur_skip(c, 8)) || (how != 2 && !attributes_skip(c)))
			return false;
	}
	return cur_be32(c) == 0 && cur_ok(c);
}

static bool create_to_name(struct cursor *c)
{
	uint32_t type = cur_be32(c);

	if (type == 5)		/* a link's text */
		return opaque_skip(c, 4096);
	return type == 3 || type == 4 ? cur_skip(c, 8) : cur_ok(c);
}

/* Steps over an operation's arguments; false: their size is not known. */
static bool op_skip(uint32_t op, struct cursor *c)
{
	uint32_t words;

	switch (op) {
	case OP_PUTFH: case OP_LOOKUP: case OP_REMOVE: case OP_OPEN: case 11:	/* a handle, a name; link */
		return opaque_skip(c, 1024);
	case OP_CREATE:			/* from its name on */
		return opaque_skip(c, 1024) && attributes_skip(c);
	case 9:				/* getattr: words of bits */
		words = cur_be32(c);
		return words <= 8 && cur_skip(c, 4u * words);
	case 26:			/* readdir */
		cur_skip(c, 24);
		words = cur_be32(c);
		return words <= 8 && cur_skip(c, 4u * words);
	case 3:				/* access */
		return cur_skip(c, 4);
	case 4: case 20:		/* close, open_confirm */
		return cur_skip(c, 20);
	case 25:			/* read */
		return cur_skip(c, 28);
	case OP_RENAME:
		return opaque_skip(c, 1024) && opaque_skip(c, 1024);
	case 30:			/* renew */
		return cur_skip(c, 8);
	case 34:			/* setattr */
		return cur_skip(c, 16) && attributes_skip(c);
	case 53:			/* sequence */
		return cur_skip(c, 32);
	case 10: case 16: case 23: case OP_PUTROOTFH: case 27: case 31: case 32:	/* nothing */
		return true;
	default:
		return false;
	}
}

/* A path as it is walked. */
struct walk {
	char text[PATH_MOST];
	size_t n;
	bool done;	/* something was done to what stands at its end */
};

static void walk_to(struct walk *w, struct cursor c, bool done)
{
	uint32_t n = cur_be32(&c);
	struct bytes b = cur_bytes(&c, n);

	if (w->done || !cur_ok(&c) || !n || n + 1 > sizeof(w->text) - w->n)
		return;
	if (w->n)
		w->text[w->n++] = '/';
	memcpy(w->text + w->n, b.p, n);
	w->n += n;
	w->done = done;
}

/* The operations of a COMPOUND as far as they can be stepped over, and the names that are looked up, to what is opened, made or removed. */
static void tell_compound(struct record *r, struct cursor c)
{
	struct walk w = { .n = 0 };
	uint32_t n;

	if (!opaque_skip(&c, 1024))
		return;
	cur_skip(&c, 4);
	n = cur_be32(&c);
	rec_arr(r, &f_ops);
	for (unsigned i = 0; i < n && i < OPS_MAX && cur_left(&c) >= 4; i++) {
		uint32_t op = cur_be32(&c);

		if (op < 3 || op - 3 >= N(ops4))
			break;
		rec_cstr(r, NULL, ops4[op - 3]);
		if ((op == OP_OPEN && !open_to_name(&c)) || (op == OP_CREATE && !create_to_name(&c)))
			break;
		if (op == OP_LOOKUP || op == OP_OPEN || op == OP_CREATE || op == OP_REMOVE || op == OP_RENAME)
			walk_to(&w, c, op != OP_LOOKUP);
		if (!op_skip(op, &c))
			break;
	}
	rec_end(r);
	if (w.n)
		rec_str(r, &f_file, w.text, w.n);
}

static void tell_arguments(struct record *r, const struct call *k, struct cursor c)
{
	uint32_t p = k->procedure;

	if (k->program == MOUNT && (p == 1 || p == 3)) {
		tell_string(r, &f_file, &c);
	} else if (k->program == PORTMAP && p == 3 && cur_left(&c) >= 4) {
		told_code(r, &f_asked, programs, cur_be32(&c));
	} else if (k->program == NFS && k->version == 3 && (p == 3 || (p >= 8 && p <= 14))) {
		if (opaque_skip(&c, 64))
			tell_string(r, &f_file, &c);
	} else if (k->program == NFS && k->version == 2 && (p == 4 || (p >= 9 && p <= 11) || (p >= 13 && p <= 15))) {
		if (cur_skip(&c, 32))
			tell_string(r, &f_file, &c);
	} else if (k->program == NFS && k->version == 4 && p == 1) {
		tell_compound(r, c);
	}
}

/* Reads and writes of files: only the first of each. */
static bool passed_by(struct oncrpc *s, const struct call *k)
{
	bool reads = k->program == NFS && k->version <= 3 && k->procedure == 6, writes = k->program == NFS && k->procedure == (k->version == 3 ? 7u : 8u);
	bool was = (reads && s->read_told) || (writes && s->write_told);

	s->read_told |= reads;
	s->write_told |= writes;
	return was;
}

static void tell_call(struct px *px, struct oncrpc *s, const struct call *k, struct cursor c)
{
	struct record *r;

	if (k->program == NFS && !s->is_nfs) {
		s->is_nfs = true;
		px_set_app(px, APP_NFS);
	}
	if (passed_by(s, k))
		return;
	r = px_record(px);
	rec_u64(r, &f_xid, k->xid);
	told_code(r, &f_program, programs, k->program);
	rec_u64(r, &f_version, k->version);
	tell_procedure(r, k);
	tell_auth(r, c);
	if (auths_skip(&c))
		tell_arguments(r, k, c);
	px_judge(px, r);
	asks_add(px, &s->asks, k->xid, r);
}

static void tell_reply(struct px *px, struct oncrpc *s, struct cursor c)
{
	static const struct code accepts[] = {
		{ 0, "success" }, { 1, "prog_unavail" }, { 2, "prog_mismatch" }, { 3, "proc_unavail" }, { 4, "garbage_args" }, { 5, "system_err" }, { 0, NULL },
	};
	uint32_t xid = cur_be32(&c), type = cur_be32(&c), denied = cur_be32(&c);
	int i = asks_find(&s->asks, xid);
	struct record *r;

	if (type != 1 || i < 0 || !cur_ok(&c))
		return;
	r = asks_record(px, &s->asks, i);
	if (denied) {
		rec_cstr(r, &f_status, cur_be32(&c) ? "auth_error" : "rpc_mismatch");
	} else {
		cur_skip(&c, 4);
		if (opaque_skip(&c, 400))
			told_code(r, &f_status, accepts, cur_be32(&c));
	}
	asks_tell(px, &s->asks, i, r);
}

static void message(struct px *px, struct oncrpc *s, struct cursor c)
{
	struct cursor ahead = c;
	struct call k;

	if (call_read(&ahead, &k))
		tell_call(px, s, &k, ahead);
	else
		tell_reply(px, s, c);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct oncrpc *s = state;

	s->asks.event = EV_APP;
	if (px_l4(px) == PROTO_UDP) {
		message(px, s, *in);
		cur_rest(in);
		return PARSE_DONE;
	}
	while (cur_more(in)) {
		struct cursor ahead = *in, view = cur_of(NULL, 0);
		uint32_t mark = cur_be32(&ahead), len = mark & 0x7fffffff;
		bool first = !s->middle[dir];
		enum parse p;

		if (!cur_ok(&ahead))
			return msg_more(px, 4);
		if (len > RECORD_BYTES_MAX || (first && len < 12))
			return msg_bad(px, "oncrpc.record");
		p = msg_take(px, dir, in, (uint64_t)len + 4, first ? LOOK : 4, &view);
		if (p != PARSE_DONE)
			return p;
		s->middle[dir] = !(mark >> 31);
		cur_skip(&view, 4);
		if (first)
			message(px, s, view);
	}
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct oncrpc *s = state;

	asks_end(px, &s->asks);
}

static const uint16_t ports[] = { 111, 2049, 0 };

const struct proto proto_oncrpc = {
	.name = "oncrpc",
	.app = APP_ONCRPC,
	.event = EV_APP,
	.l4 = PROTO_TCP | PROTO_UDP,
	.ports = ports,
	.state_size = sizeof(struct oncrpc),
	.probe = probe,
	.parse = parse,
	.end = end,
	.facts = facts,
};
