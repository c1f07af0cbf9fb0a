/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tc/engine_bpf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/log.h"
#include "tc/bpf/maps.h"

struct row {			/* what the maps say of one hook */
	int ifindex, hook, to;
	struct app_ports sport, dport;
};

struct tcbpf {
	struct bpf_object *object;
	int prog[2], hooks, ports;	/* descriptors of the object's */
	int flows[2], on[2];		/* the same, by enum tcbpf_flows */
	uint32_t id[2];
	struct row *row;		/* by no order: devices come and go in hundreds, not on the packet path */
	unsigned n, size;
};

/* The object file of the program: the Makefile says where clang put it. */
#ifdef TQ_BPF_OBJECT
__asm__(".section .rodata\n"
	".balign 16\n"
	"tapq_bpf_object:\n"
	".incbin \"" TQ_BPF_OBJECT "\"\n"
	"tapq_bpf_object_end:\n"
	".byte 0\n"
	".previous\n");
extern const uint8_t tapq_bpf_object[], tapq_bpf_object_end[];

/* libbpf says on several lines what went wrong: only for who debugs. */
static int on_print(enum libbpf_print_level level, const char *fmt, va_list args)
{
	char line[256];

	(void)level;
	vsnprintf(line, sizeof line, fmt, args);
	line[strcspn(line, "\n")] = 0;
	log_debug(TC, "libbpf: %s", line);
	return 0;
}

static int program(struct tcbpf *b, int hook, const char *name, struct err *err)
{
	struct bpf_prog_info info;
	uint32_t len = sizeof info;
	struct bpf_program *p = bpf_object__find_program_by_name(b->object, name);

	memset(&info, 0, sizeof info);
	b->prog[hook] = p ? bpf_program__fd(p) : -1;
	if (b->prog[hook] < 0 || bpf_obj_get_info_by_fd(b->prog[hook], &info, &len))
		return err_set(err, -EIO, "the bpf program %s cannot be found in its object", name);
	b->id[hook] = info.id;
	return 0;
}

struct tcbpf *tcbpf_open(struct err *err)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "tapqueue");
	struct tcbpf *b = calloc(1, sizeof *b);
	int rc;

	libbpf_set_print(on_print);
	if (!b || !(b->object = bpf_object__open_mem(tapq_bpf_object, (size_t)(tapq_bpf_object_end - tapq_bpf_object), &opts))) {
		err_set(err, -ENOMEM, "the bpf program cannot be read: %s", strerror(errno));
		tcbpf_close(b);
		return NULL;
	}
	rc = bpf_object__load(b->object);
	if (rc) {
		err_set(err, rc, "the kernel does not take the bpf program: %s", strerror(-rc));
		tcbpf_close(b);
		return NULL;
	}
	b->hooks = bpf_object__find_map_fd_by_name(b->object, "hooks");
	b->ports = bpf_object__find_map_fd_by_name(b->object, "ports");
	b->flows[TCBPF_PASSING] = bpf_object__find_map_fd_by_name(b->object, "passing");
	b->flows[TCBPF_DENIED] = bpf_object__find_map_fd_by_name(b->object, "denied");
	b->on[TCBPF_PASSING] = bpf_object__find_map_fd_by_name(b->object, ".bss.passing");
	b->on[TCBPF_DENIED] = bpf_object__find_map_fd_by_name(b->object, ".bss.denied");
	if (program(b, 0, "tapq_leaving", err) || program(b, 1, "tapq_entering", err)) {
		tcbpf_close(b);
		return NULL;
	}
	return b;
}

#else
struct tcbpf *tcbpf_open(struct err *err)
{
	err_set(err, -ENOTSUP, "this binary was built without clang: no bpf program is in it");
	return NULL;
}
#endif

void tcbpf_close(struct tcbpf *b)
{
	if (!b)
		return;
	bpf_object__close(b->object);
	free(b->row);
	free(b);
}

int tcbpf_prog_fd(const struct tcbpf *b, int hook) { return b->prog[hook]; }
struct flowmap *tcbpf_flows(const struct tcbpf *b, enum tcbpf_flows which) { return flowmap_open(b->flows[which], b->on[which]); }
uint32_t tcbpf_prog_id(const struct tcbpf *b, int hook) { return b->id[hook]; }

static struct row *find(struct tcbpf *b, int ifindex, int hook)
{
	for (unsigned i = 0; i < b->n; i++)
		if (b->row[i].ifindex == ifindex && b->row[i].hook == hook)
			return &b->row[i];
	return NULL;
}

static struct row *add(struct tcbpf *b, int ifindex, int hook)
{
	if (b->n == b->size) {
		unsigned size = b->size ? b->size * 2 : 64;
		struct row *more = size > 2 * BPF_DEVICES_MAX ? NULL : realloc(b->row, size * sizeof *more);

		if (!more)
			return NULL;
		b->row = more;
		b->size = size;
	}
	b->row[b->n] = (struct row){ .ifindex = ifindex, .hook = hook, .to = -1 };
	return &b->row[b->n++];
}

static bool holds(const struct app_ports *p, const struct app_port *x)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->port[i].ipproto == x->ipproto && p->port[i].port == x->port)
			return true;
	return false;
}

static struct bpf_port port_key(const struct row *r, bool dst, const struct app_port *p)
{
	return (struct bpf_port){ .ifindex = (uint32_t)r->ifindex, .port = htons(p->port), .ipproto = p->ipproto, .where = (uint8_t)(r->hook << 1 | dst) };
}

static struct bpf_hook hook_key(const struct row *r) { return (struct bpf_hook){ .ifindex = (uint32_t)r->ifindex, .hook = (uint32_t)r->hook }; }

static struct bpf_hook_state hook_state(const struct row *r)
{
	return (struct bpf_hook_state){
		.to = (uint32_t)r->to,
		.flags = (r->sport.all || r->dport.all ? HOOK_ALL_PORTS : 0) | (r->sport.n ? HOOK_SPORTS : 0) | (r->dport.n ? HOOK_DPORTS : 0),
	};
}

static int put_ports(struct tcbpf *b, const struct row *r, bool dst, const struct app_ports *p)
{
	const uint8_t one = 1;
	int rc = 0;

	for (unsigned i = 0; !rc && i < p->n; i++) {
		struct bpf_port k = port_key(r, dst, &p->port[i]);

		rc = bpf_map_update_elem(b->ports, &k, &one, BPF_ANY);
	}
	return rc;
}

/* Takes out ports of `from` that are not in `than`. */
static void drop_ports(struct tcbpf *b, const struct row *r, bool dst, const struct app_ports *from, const struct app_ports *than)
{
	for (unsigned i = 0; i < from->n; i++) {
		struct bpf_port k = port_key(r, dst, &from->port[i]);

		if (!holds(than, &from->port[i]))
			bpf_map_delete_elem(b->ports, &k);
	}
}

static int write_hook(struct tcbpf *b, const struct row *r)
{
	struct bpf_hook k = hook_key(r);
	struct bpf_hook_state s = hook_state(r);

	return bpf_map_update_elem(b->hooks, &k, &s, BPF_ANY);
}

static bool ports_stand(struct tcbpf *b, const struct row *r, bool dst, const struct app_ports *p)
{
	uint8_t value;

	for (unsigned i = 0; i < p->n; i++) {
		struct bpf_port k = port_key(r, dst, &p->port[i]);

		if (bpf_map_lookup_elem(b->ports, &k, &value))
			return false;
	}
	return true;
}

/* The kernel's maps hold what the row says. */
static bool stands(struct tcbpf *b, const struct row *r)
{
	struct bpf_hook k = hook_key(r);
	struct bpf_hook_state want = hook_state(r), is;

	return !bpf_map_lookup_elem(b->hooks, &k, &is) && is.to == want.to && is.flags == want.flags && ports_stand(b, r, false, &r->sport) &&
	       ports_stand(b, r, true, &r->dport);
}

bool tcbpf_current(struct tcbpf *b, int ifindex, int hook, int to, const struct app_ports *sport, const struct app_ports *dport)
{
	const struct row *r = find(b, ifindex, hook);

	return r && r->to == to && app_ports_equal(&r->sport, sport) && app_ports_equal(&r->dport, dport) && stands(b, r);
}

int tcbpf_hook(struct tcbpf *b, int ifindex, int hook, int to, const struct app_ports *sport, const struct app_ports *dport, struct err *err)
{
	struct row *r = find(b, ifindex, hook), was;
	int rc;

	if (tcbpf_current(b, ifindex, hook, to, sport, dport))
		return 0;
	if (!r && !(r = add(b, ifindex, hook)))
		return err_set(err, -ENOMEM, "interface %d: no room for it in the bpf engine", ifindex);
	was = *r;
	r->sport = *sport;
	r->dport = *dport;
	r->to = to;
	rc = put_ports(b, r, false, sport);
	rc = rc ? rc : put_ports(b, r, true, dport);
	rc = rc ? rc : write_hook(b, r);
	if (rc) {		/* a map is full, or there is no memory: all as it was */
		drop_ports(b, r, false, sport, &was.sport);
		drop_ports(b, r, true, dport, &was.dport);
		*r = was;
		return err_set(err, rc, "interface %d: a map of the bpf engine: %s", ifindex, strerror(-rc));
	}
	drop_ports(b, r, false, &was.sport, sport);
	drop_ports(b, r, true, &was.dport, dport);
	return 1;
}

void tcbpf_forget(struct tcbpf *b, int ifindex)
{
	static const struct app_ports none;

	for (int hook = 0; hook < 2; hook++) {
		struct row *r = find(b, ifindex, hook);
		struct bpf_hook k;

		if (!r)
			continue;
		k = hook_key(r);
		bpf_map_delete_elem(b->hooks, &k);
		drop_ports(b, r, false, &r->sport, &none);
		drop_ports(b, r, true, &r->dport, &none);
		*r = b->row[--b->n];
	}
}

void tcbpf_keep(struct tcbpf *b, bool (*there)(void *ctx, int ifindex), void *ctx)
{
	for (unsigned i = 0; i < b->n;)
		if (there(ctx, b->row[i].ifindex))
			i++;
		else
			tcbpf_forget(b, b->row[i].ifindex);	/* another row comes to this place */
}
