/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <netinet/in.h>
#include <stdbool.h>

#include "agent/config.h"
#include "dpi/event.h"
#include "nfq/rules.h"
#include "tests/unit/agent/tmpdir.h"

static struct tmpdir dir;

static struct config *load(const char *text, const char *const *o, unsigned n, struct err *e)
{
	struct config *c;

	tmpdir_make(&dir);
	c = config_load(tmpdir_write(&dir, "tapqueue.yaml", text, strlen(text)), o, n, e);
	tmpdir_remove(&dir);
	return c;
}

static void test_defaults(void)
{
	static const char *const no_policy[] = { "policy=" };
	struct err e = { "" };
	struct config *c = config_load(NULL, no_policy, 1, &e), *empty;
	char host[256] = "";

	CU_ASSERT_STRING_EQUAL(e.text, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	gethostname(host, sizeof host - 1);
	CU_ASSERT_STRING_EQUAL(c->node, host);
	CU_ASSERT(c->mode == DATAPATH_TC && c->defaults.mode == DATAPATH_TC && c->on_stop == ON_STOP_REMOVE && c->discover_netns);
	CU_ASSERT(c->nstatics == 0 && c->noverrides == 0 && c->nexclude == 0 && c->defaults.apps.n == 0 && !c->defaults.apps.all);
	CU_ASSERT_STRING_EQUAL(c->bridge, "vbr-neuv");
	CU_ASSERT(!c->tc_shared_blocks && c->ring_block_size == 1 << 20 && c->ring_blocks == 64);
	CU_ASSERT(c->defaults.side == SIDE_BOTH && !c->defaults.loopback && c->defaults.fail == FAIL_IS_OPEN && c->offload);
	CU_ASSERT(c->iptables == IPT_AUTO && c->table == IPT_TABLE_AUTO && c->queue_base == 0 && c->mark == 0x1000 && c->mask == 0x1000);
	CU_ASSERT(c->workers == 0 && c->max_flows == 262144 && c->memcap == 512ull << 20 && c->midstream);
	CU_ASSERT(c->policy == NULL && c->flow_report == 0 && c->stats_interval == 30 && c->watchdog == 2000000000);
	CU_ASSERT_EQUAL_FATAL(c->nsinks, 1);
	CU_ASSERT_EQUAL(c->sinks[0].type, SINK_FILE);
	CU_ASSERT_STRING_EQUAL(c->sinks[0].path, "/var/log/tapqueue/eve.json");
	for (unsigned t = 0; t < EV_COUNT; t++)
		CU_ASSERT(c->sinks[0].mask >> t & 1);
	CU_ASSERT_STRING_EQUAL(c->control, "/run/tapqueue/control.sock");
	CU_ASSERT_STRING_EQUAL(c->log_level, "info");
	config_free(c);
	empty = load("", no_policy, 1, &e);	/* an empty file is all defaults */
	CU_ASSERT_PTR_NOT_NULL_FATAL(empty);
	CU_ASSERT_EQUAL(empty->max_flows, 262144);
	config_free(empty);
	config_free(NULL);
}

static const char full[] =
	"node: worker-1\n"
	"mode: mixed\n"
	"on_stop: keep\n"
	"workloads:\n"
	"  discover: []\n"
	"  static:\n"
	"    - {name: web, netns: /run/netns/web, interface: eth0, labels: {app: web, \"k\\\"\": \"v\\\\\"}, apps: [tcp/80]}\n"
	"    - {name: two, pid: 77, fail: closed}\n"
	"  overrides:\n"
	"    - {match: {workload: \"db*\"}, mode: nfq, apps: [tcp/5432], side: server, loopback: true, fail: closed}\n"
	"    - {match: {labels: {app: web}}, mode: tc, apps: all}\n"
	"    - {match: {workload: \"*\", labels: {tier: x}}, side: client}\n"
	"  exclude: [\"kube-system/*\", pause]\n"
	"bridge: {name: vbr0}\n"
	"tc:\n"
	"  blocks: shared\n"
	"  ring: {block_size: 256KiB, blocks: 8}\n"
	"nfq: {apps: [tcp/8080, udp/53], side: client, loopback: true, iptables: legacy, table: security, queue_base: 100, mark: 0x20/0xff, fail: closed, offload: false}\n"
	"dpi: {workers: 3, max_flows: 4096, memcap: 64MiB, midstream: false}\n"
	"policy: \"\"\n"
	"events:\n"
	"  - {type: unix, path: /run/x.sock, types: [dns, flow]}\n"
	"  - {type: stdout}\n"
	"flow_report: 90s\n"
	"stats_interval: 0\n"
	"watchdog: 1500ms\n"
	"control: /run/c.sock\n"
	"log: {level: debug}\n";

static void check_full(const struct config *c)
{
	struct wl_opts o;

	CU_ASSERT_STRING_EQUAL(c->node, "worker-1");
	CU_ASSERT(c->mode == DATAPATH_MIXED && c->on_stop == ON_STOP_KEEP && !c->discover_netns && c->nstatics == 2 && c->noverrides == 3 && c->nexclude == 2);
	CU_ASSERT_STRING_EQUAL(c->statics[0].labels.v[1].key, "k\"");
	CU_ASSERT_STRING_EQUAL(c->statics[0].labels.v[1].value, "v\\");
	CU_ASSERT(c->statics[1].pid == 77 && c->statics[1].netns == NULL);
	CU_ASSERT(c->tc_shared_blocks && c->ring_block_size == 256 << 10 && c->ring_blocks == 8);
	CU_ASSERT(c->defaults.apps.n == 2 && c->defaults.apps.port[1].ipproto == IPPROTO_UDP && c->defaults.apps.port[1].port == 53);
	CU_ASSERT(c->iptables == IPT_LEGACY && c->table == IPT_TABLE_SECURITY && c->queue_base == 100 && c->mark == 0x20 && c->mask == 0xff && !c->offload);
	CU_ASSERT(c->workers == 3 && c->max_flows == 4096 && c->memcap == 64 << 20 && !c->midstream && c->policy == NULL && c->policy_named);
	CU_ASSERT(c->nsinks == 2 && c->sinks[0].type == SINK_UNIX && c->sinks[0].mask == (1ULL << EV_DNS | 1ULL << EV_FLOW) && c->sinks[1].type == SINK_STDOUT);
	CU_ASSERT(c->flow_report == 90000000000LL && c->stats_interval == 0 && c->watchdog == 1500000000);
	CU_ASSERT_TRUE(config_excluded(c, "kube-system/x"));
	CU_ASSERT_TRUE(config_excluded(c, "pause"));
	CU_ASSERT_FALSE(config_excluded(c, "pause2"));
	o = config_workload_opts(c, "db-1", NULL, NULL);
	CU_ASSERT(o.mode == DATAPATH_NFQ && o.apps.n == 1 && o.apps.port[0].port == 5432 && o.side == SIDE_SERVER && o.loopback && o.fail == FAIL_IS_CLOSED);
	o = config_workload_opts(c, "web", &c->statics[0].labels, &c->statics[0]);
	CU_ASSERT(o.mode == DATAPATH_TC && o.apps.all && o.side == SIDE_CLIENT);	/* its own keys, then the override's */
	o = config_workload_opts(c, "other", NULL, NULL);
	CU_ASSERT(o.mode == DATAPATH_MIXED && o.apps.n == 2 && o.side == SIDE_CLIENT && o.fail == FAIL_IS_CLOSED);
}

static char *dump(const struct config *c)
{
	static char text[2][16384];
	static unsigned n;
	FILE *f = fmemopen(text[++n % 2], sizeof text[0], "w");

	config_dump(c, f);
	fclose(f);
	return text[n % 2];
}

static void test_full(void)
{
	struct err e = { "" };
	struct config *c = load(full, NULL, 0, &e), *again;
	char *first;

	CU_ASSERT_STRING_EQUAL(e.text, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	check_full(c);
	first = dump(c);
	again = load(first, NULL, 0, &e);
	CU_ASSERT_STRING_EQUAL(e.text, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(again);
	check_full(again);
	CU_ASSERT_STRING_EQUAL(dump(again), first);
	config_free(c);
	config_free(again);
}

static void test_overrides(void)
{
	static const char *const o[] = { "nfq.fail=closed", "mode=nfq", "nfq.apps=[tcp/1, udp/2]", "tc.ring.blocks=16", "node=a b", "mode=mixed", "log.level=warn", "events=[]" };
	static const char *const bad[] = { "nfq.fail", "=x", "nfq.fale=closed", "nfq.fail=maybe", "dpi.max_flows=1", "", "mode=[tc", "nfq=closed" };
	struct err e = { "" };
	struct config *c = load("mode: tc\nnfq: {fail: open}\n", o, 8, &e);

	CU_ASSERT_STRING_EQUAL(e.text, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT(c->mode == DATAPATH_MIXED && c->defaults.mode == DATAPATH_MIXED && c->defaults.fail == FAIL_IS_CLOSED && c->defaults.apps.n == 2 && c->ring_blocks == 16 && c->nsinks == 0);
	CU_ASSERT_STRING_EQUAL(c->node, "a b");
	config_free(c);
	for (unsigned i = 0; i < 8; i++) {
		e.text[0] = 0;
		c = config_load(NULL, &bad[i], 1, &e);
		CU_ASSERT_PTR_NULL(c);
		CU_ASSERT_EQUAL(strncmp(e.text, "-o: ", 4), 0);
		config_free(c);
	}
}

/* Each mistake, its line, and words of its message. */
static const struct {
	const char *text;
	int line;
	const char *words;
} wrong[] = {
	{ "mod: tc\n", 1, "did you mean mode" },
	{ "mode: tcp\n", 1, "tc, nfq, mixed" },
	{ "mode: [tc]\n", 1, "mode" },
	{ "mode: tc\nmode: tc\n", 2, "twice" },
	{ "nfq:\n  fail: maybe\n", 2, "open, closed" },
	{ "nfq:\n  fial: open\n", 2, "side, loopback" },
	{ "nfq:\n  loopbak: true\n", 2, "did you mean loopback" },
	{ "nfq: closed\n", 1, "mapping" },
	{ "nfq: {apps: tcp/80}\n", 1, "nfq.apps" },
	{ "nfq: {apps: [tcp/0]}\n", 1, "tcp/0" },
	{ "nfq: {apps: [tcp/65536]}\n", 1, "65535" },
	{ "nfq:\n  apps:\n    - tcp/80\n    - sctp/1\n", 4, "sctp/1" },
	{ "nfq: {apps: [tcp/1, tcp/1]}\n", 1, "twice" },
	{ "nfq: {queue_base: 65535}\n", 1, "65534" },
	{ "nfq: {queue_base: -1}\n", 1, "65534" },
	{ "nfq: {mark: 0}\n", 1, "mark" },
	{ "nfq: {mark: 0x100/0xff}\n", 1, "mark" },
	{ "nfq: {offload: yes}\n", 1, "true or false" },
	{ "nfq: {table: mangle}\n", 1, "auto, filter, security" },
	{ "dpi: {workers: 0}\n", 1, "auto" },
	{ "dpi: {workers: 65}\n", 1, "64" },
	{ "dpi: {max_flows: 1023}\n", 1, "1024" },
	{ "dpi: {memcap: 1MiB}\n", 1, "16MiB" },
	{ "dpi: {memcap: 64MB}\n", 1, "KiB, MiB, GiB" },
	{ "tc: {ring: {block_size: 300KiB}}\n", 1, "power of two" },
	{ "tc:\n  ring:\n    blocks: 1\n", 3, "2 to 4096" },
	{ "tc: {ring: {block_size: 64MiB, blocks: 4096}}\n", 0, "4GiB" },
	{ "tc: {engine: xdp}\n", 1, "auto, u32, bpf" },
	{ "tc: {shunt_bytes: 1KiB}\n", 1, "64KiB" },
	{ "metrics: 0.0.0.0:1\n", 1, "not in this version" },
	{ "workloads: {discover: [docker]}\n", 1, "not in this version" },
	{ "workloads: {discover: [pods]}\n", 1, "pods" },
	{ "workloads:\n  static:\n    - {netns: /x}\n", 3, "name is missing" },
	{ "workloads:\n  static:\n    - {name: a, pid: 1}\n    - {name: a, pid: 2}\n", 4, "twice" },
	{ "workloads:\n  static:\n    - {name: a}\n", 3, "netns" },
	{ "workloads:\n  static:\n    - {name: a, pid: 1, netns: /x}\n", 3, "netns" },
	{ "workloads:\n  overrides:\n    - {mode: tc}\n", 3, "match is missing" },
	{ "workloads:\n  overrides:\n    - {match: {workload: a}, nme: x}\n", 3, "nme" },
	{ "events:\n  - {type: kafka}\n", 2, "not in this version" },
	{ "events:\n  - {type: file}\n", 2, "path is missing" },
	{ "events:\n  - {type: stdout, path: /x}\n", 2, "takes no path" },
	{ "events:\n  - {type: file, path: /x, types: [dnss]}\n", 2, "dnss" },
	{ "events: {type: file}\n", 1, "events" },
	{ "bridge: {name: this-is-too-long}\n", 1, "12" },
	{ "bridge: {name: \"a/b\"}\n", 1, "interface name" },
	{ "watchdog: 100ms\n", 1, "500ms" },
	{ "stats_interval: 1500ms\n", 1, "stats_interval" },
	{ "flow_report: -1\n", 1, "flow_report" },
	{ "log: {level: loud}\n", 1, "error, warn, info, debug" },
	{ "control: \"\"\n", 1, "control" },
	{ "node: \"a\\nb\"\n", 1, "control characters" },
	{ "a: &x 1\nb: *x\n", 1, "anchors" },
	{ "mode: !tag tc\n", 1, "tags" },
	{ "mode: tc\n---\nmode: tc\n", 3, "second document" },
	{ "mode: tc\nnfq: [\n", 3, "" },
	{ "just text\n", 1, "mapping" },
};

static void test_wrong(void)
{
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct err e = { "" };
		struct config *c = load(wrong[i].text, NULL, 0, &e);
		const char *at = strstr(e.text, "tapqueue.yaml:");

		CU_ASSERT_PTR_NULL(c);
		config_free(c);
		if (!at || !strstr(e.text, wrong[i].words) || (wrong[i].line && atoi(at + 14) != wrong[i].line) || strchr(e.text, '\n')) {
			printf("\n%s-> %s (wanted line %d ... %s)\n", wrong[i].text, e.text, wrong[i].line, wrong[i].words);
			CU_FAIL("message");
		}
	}
}

static void test_no_file(void)
{
	struct err e = { "" };

	CU_ASSERT_PTR_NULL(config_load("/nowhere/t.yaml", NULL, 0, &e));
	CU_ASSERT_STRING_EQUAL(e.text, "/nowhere/t.yaml: No such file or directory");
}

static void test_app(void)
{
	static const char *const bad[] = { "", "tcp", "tcp/", "tcp/0", "tcp/65536", "tcp/080", "tcp/8x", "TCP/80", "tcp/-1", "tcp/ 8", "80/tcp", "tcp/99999999999999999999" };
	struct app_port p;

	CU_ASSERT_EQUAL(config_parse_app("tcp/65535", &p), 0);
	CU_ASSERT(p.ipproto == IPPROTO_TCP && p.port == 65535);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT_NOT_EQUAL(config_parse_app(bad[i], &p), 0);
}

const struct unit_test tests_config[] = {
	{ "defaults", test_defaults },
	{ "every key, dumped and read back", test_full },
	{ "-o", test_overrides },
	{ "each mistake and its line", test_wrong },
	{ "no file", test_no_file },
	{ "app ports", test_app },
	{ 0 },
};
