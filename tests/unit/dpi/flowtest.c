/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/flowtest.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dpi/packet.h"
#include "tests/unit/dpi/packets.h"

#define ROOM (96u << 10)
#define WHOLE_MAX 60000u	/* bytes of a segment that is not cut: an IPv4 packet ends at 64 KiB */
#define START INT64_C(1767323045000000000)
#define EVERY_MAX 4096u		/* prefixes and cuts are tried at no more places than about this */

/* ---- bodies as text ---- */

struct text {
	char *p;
	size_t n, room;
};

static void put(struct text *t, const char *p, size_t n)
{
	if (t->n + n + 1 > t->room) {
		t->room = 2 * (t->n + n + 1);
		t->p = realloc(t->p, t->room);
		if (!t->p)
			abort();
	}
	memcpy(t->p + t->n, p, n);
	t->n += n;
	t->p[t->n] = '\0';
}

static void put_str(struct text *t, const char *s) { put(t, s, strlen(s)); }

static void put_quoted(struct text *t, const uint8_t *p, size_t n)
{
	char esc[8];

	put_str(t, "\"");
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '"' || p[i] == '\\') {
			esc[0] = '\\';
			esc[1] = (char)p[i];
			put(t, esc, 2);
		} else if (p[i] == '\t' || p[i] == '\n' || p[i] == '\r') {
			put_str(t, p[i] == '\t' ? "\\t" : p[i] == '\n' ? "\\n" : "\\r");
		} else if (p[i] < 0x20 || p[i] == 0x7f) {
			snprintf(esc, sizeof esc, "\\u%04x", p[i]);
			put_str(t, esc);
		} else {
			put(t, (const char *)p + i, 1);	/* bytes above ASCII stand as they are */
		}
	}
	put_str(t, "\"");
}

static void put_body(struct text *t, const uint8_t *body, uint32_t len)
{
	const uint8_t *pos = body, *end = len ? body + len : body;
	bool array[RECORD_DEPTH_MAX + 2] = { false }, comma = false;
	unsigned depth = 0;
	const struct item *it;
	const void *value;
	char num[32];
	uint64_t v;

	put_str(t, "{");
	while (pos < end && (it = item_next(&pos, end, &value))) {
		if (it->kind == ITEM_END) {
			put_str(t, array[depth--] ? "]" : "}");
			comma = true;
			continue;
		}
		if (comma)
			put_str(t, ",");
		comma = true;
		if (!array[depth]) {
			put_quoted(t, (const uint8_t *)it->fact->name, strlen(it->fact->name));
			put_str(t, ":");
		}
		v = 0;
		if (it->kind >= ITEM_U64)
			memcpy(&v, value, sizeof v);
		switch ((enum item_kind)it->kind) {
		case ITEM_OBJ:
		case ITEM_ARR:
			array[++depth] = it->kind == ITEM_ARR;
			put_str(t, array[depth] ? "[" : "{");
			comma = false;
			break;
		case ITEM_STR:
			put_quoted(t, value, it->len);
			break;
		case ITEM_U64:
			snprintf(num, sizeof num, "%llu", (unsigned long long)v);
			put_str(t, num);
			break;
		case ITEM_I64:
		case ITEM_TIME:
			snprintf(num, sizeof num, "%lld", (long long)v);
			put_str(t, num);
			break;
		case ITEM_BOOL:
			put_str(t, v ? "true" : "false");
			break;
		case ITEM_END:
			break;
		}
	}
	put_str(t, "}");
}

void flowtest_event_text(const struct event *ev, char **text)
{
	struct text t = { 0 };

	put_str(&t, ev->type == EV_APP ? app_name((enum app)ev->app) : event_type_name((enum event_type)ev->type));
	put_str(&t, " ");
	put_body(&t, ev->body, ev->body_len);
	*text = t.p;
}

/* ---- a conversation ---- */

struct talk {
	const struct flowtest *conf;
	struct dpi *dpi;
	struct text out;
	uint8_t *room;		/* the last byte of it is followed by a page that can't be read */
	uint32_t next[2];	/* sequence number of each end's next byte */
	uint64_t sent[2];	/* bytes of each direction's stream so far */
	int64_t now;
	enum app app;
};

static void on_emit(void *ctx, const struct event *ev)
{
	struct talk *k = ctx;
	char *line;

	if (ev->type == EV_FLOW && !k->conf->flow_events)
		return;
	flowtest_event_text(ev, &line);
	put_str(&k->out, line);
	put_str(&k->out, "\n");
	free(line);
}

static void frame(struct talk *k, enum dir dir, unsigned flags, uint32_t seq, uint32_t ack, const uint8_t *p, size_t n)
{
	static const uint8_t syn_opts[] = { 2, 4, 5, 0xb4, 4, 2, 1, 3, 3, 7, 0, 0 };
	const char *const addr[2][2] = { { "10.1.0.1", "10.1.0.2" }, { "fd00::1", "fd00::2" } };
	const uint16_t port[2] = { 40000, k->conf->dport };
	static struct pkt b;
	size_t ip, l4, left = n;
	struct pk_ip h = { .src = addr[k->conf->v6][dir], .dst = addr[k->conf->v6][!dir], .proto = k->conf->udp ? 17 : 6 };
	struct frame f;

	b.n = 0;
	pk_ether(&b, k->conf->v6 ? 0x86dd : 0x0800);
	ip = b.n;
	if (k->conf->v6)
		pk_ip6(&b, &h);
	else
		pk_ip4(&b, &h);
	l4 = b.n;
	if (k->conf->udp)
		pk_udp(&b, port[dir], port[!dir], n);
	else
		pk_tcp(&b, port[dir], port[!dir], seq, ack, flags, syn_opts, flags & TCP_SYN ? sizeof syn_opts : 0);
	if (left)
		pk_bytes(&b, p, left);
	pk_finish(&b, ip, l4, h.proto);
	memcpy(k->room + ROOM - b.n, b.b, b.n);
	f = pk_frame(k->room + ROOM - b.n, b.n, LINK_ETHERNET);
	f.ts = k->now += 100000;
	dpi_inspect(k->dpi, &f);
}

static void segment(struct talk *k, enum dir dir, const uint8_t *p, size_t n)
{
	frame(k, dir, TCP_ACK | TCP_PSH, k->next[dir], k->next[!dir], p, n);
	k->next[dir] += (uint32_t)n;
	k->sent[dir] += n;
	frame(k, (enum dir)!dir, TCP_ACK, k->next[!dir], k->next[dir], NULL, 0);
}

static void say(struct talk *k, const struct flowtest_step *s)
{
	const uint8_t *p = s->p;
	size_t left = s->n;

	if (!p) {
		k->next[s->dir] += (uint32_t)s->n;
		return;
	}
	if (k->conf->udp) {
		frame(k, s->dir, 0, 0, 0, p, left);
		return;
	}
	while (left) {
		size_t n = k->conf->cut && k->conf->cut < WHOLE_MAX ? k->conf->cut : WHOLE_MAX;
		uint64_t to_cut = k->conf->cut_at > k->sent[s->dir] ? k->conf->cut_at - k->sent[s->dir] : 0;

		if (n > left)
			n = left;
		if (to_cut && to_cut < n)
			n = (size_t)to_cut;
		segment(k, s->dir, p, n);
		p += n;
		left -= n;
	}
}

static bool note_app(void *ctx, const struct dpi_flow_info *f)
{
	if (!f->outer.kind)	/* the conversation itself, not what it carries */
		((struct talk *)ctx)->app = f->app;
	return true;
}

static uint8_t *guarded_room(void)
{
	static uint8_t *room;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (!room) {
		room = mmap(NULL, ROOM + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (room == MAP_FAILED || mprotect(room + ROOM, page, PROT_NONE))
			abort();
	}
	return room;
}

struct flowtest_result flowtest_run(const struct flowtest *conf, const struct flowtest_step *steps, unsigned n)
{
	struct talk k = { .conf = conf, .room = guarded_room(), .now = START, .next = { 0xfffff000, 7000 } };
	const struct dpi_ops ops = { .emit = on_emit, .ctx = &k };
	const struct dpi_conf c = { .max_flows = 16, .memcap = 8 << 20, .midstream = true, .event_mask = EVENTS_ALL, .key = { { 1, 2 } }, .flow_id_seed = 3,
		.pending_packets = UINT32_MAX /* a segment may be a byte */, .pending_time = INT64_C(1) << 60 };
	struct flowtest_result r;
	struct err err = { "" };

	k.dpi = dpi_new(&c, &ops, &err);
	if (!k.dpi) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	put_str(&k.out, "");
	if (!conf->udp) {
		frame(&k, DIR_TOSERVER, TCP_SYN, k.next[0]++, 0, NULL, 0);
		frame(&k, DIR_TOCLIENT, TCP_SYN | TCP_ACK, k.next[1]++, k.next[0], NULL, 0);
		frame(&k, DIR_TOSERVER, TCP_ACK, k.next[0], k.next[1], NULL, 0);
	}
	for (unsigned i = 0; i < n; i++)
		say(&k, &steps[i]);
	if (!conf->udp) {
		frame(&k, DIR_TOSERVER, TCP_FIN | TCP_ACK, k.next[0]++, k.next[1], NULL, 0);
		frame(&k, DIR_TOCLIENT, TCP_ACK, k.next[1], k.next[0], NULL, 0);
		frame(&k, DIR_TOCLIENT, TCP_FIN | TCP_ACK, k.next[1]++, k.next[0], NULL, 0);
		frame(&k, DIR_TOSERVER, TCP_ACK, k.next[0], k.next[1], NULL, 0);
	}
	dpi_each_flow(k.dpi, note_app, &k);
	dpi_flush(k.dpi);
	r.text = k.out.p;
	r.app = k.app;
	r.bad = (unsigned)dpi_counters(k.dpi)[DPI_C_PARSE_BAD];
	dpi_free(k.dpi);
	return r;
}

void flowtest_free(struct flowtest_result *r)
{
	free(r->text);
	r->text = NULL;
}

/* ---- written down ---- */

static bool plain(uint8_t c) { return c >= 0x20 && c < 0x7f && c != '\'' && c != '\\'; }

/* One segment or datagram, as tests/golden/talk reads it: text with escapes where it mostly is text, else hexadecimal with 'words'. */
static void write_step(FILE *f, const struct flowtest_step *s)
{
	const uint8_t *p = s->p;
	size_t odd = 0, column = 0, word;
	bool hex;

	for (size_t i = 0; i < s->n; i++)
		odd += (p[i] < 0x20 && p[i] != '\r' && p[i] != '\n') || p[i] >= 0x7f;
	hex = odd * 5 > s->n;
	fprintf(f, "%c%s ", s->dir == DIR_TOSERVER ? '>' : '<', hex ? "x" : "");
	for (size_t i = 0; i < s->n; ) {
		if (column >= 120 || (!hex && i && p[i - 1] == '\n' && p[i] >= 0x20 && column > 60)) {
			fprintf(f, "\n+%s ", hex ? "x" : "");
			column = 0;
		}
		for (word = 0; hex && word < 100 && i + word < s->n && plain(p[i + word]); word++)
			;
		if (word >= 3) {
			fprintf(f, "%s'%.*s' ", column && p[i - 1] != ' ' ? " " : "", (int)word, (const char *)p + i);
			column += word + 4;
			i += word;
			continue;
		}
		if (hex)
			column += (size_t)fprintf(f, "%02x", p[i]);
		else if (p[i] == '\r' || p[i] == '\n')
			column += (size_t)fprintf(f, "\\%c", p[i] == '\r' ? 'r' : 'n');
		else if (p[i] == '\\' || p[i] < 0x20 || p[i] >= 0x7f)
			column += (size_t)fprintf(f, "\\x%02x", p[i]);
		else
			column += (size_t)fprintf(f, "%c", p[i]);
		i++;
	}
	fputc('\n', f);
}

/* With TALKS=DIR in the environment each conversation that is tried at every cut or prefix is written there once. */
static void write_talk(const struct flowtest *conf, const struct flowtest_step *steps, unsigned n)
{
	static unsigned number;
	static char last[8192];
	const char *dir = getenv("TALKS");
	char path[4096], *text = NULL;
	size_t len = 0;
	FILE *f;

	if (!dir || !(f = open_memstream(&text, &len)))
		return;
	fprintf(f, "port %u%s%s\n", conf->dport, conf->udp ? " udp" : "", conf->v6 ? " v6" : "");
	for (unsigned i = 0; i < n; i++) {
		if (!steps[i].p || steps[i].n > 4096) {	/* lost bytes, and what nobody would read */
			fclose(f);
			free(text);
			return;
		}
		write_step(f, &steps[i]);
	}
	fclose(f);
	if (strncmp(text, last, sizeof(last) - 1)) {
		snprintf(last, sizeof(last), "%s", text);
		snprintf(path, sizeof(path), "%s/%s-%04u.talk", dir, CU_get_current_suite()->pName, number++);
		f = fopen(path, "w");
		if (f) {
			fprintf(f, "# %s\n%s", CU_get_current_test()->pName, text);
			fclose(f);
		}
	}
	free(text);
}

/* ---- every cut, every prefix ---- */

static void same(const struct flowtest *conf, const struct flowtest_step *steps, unsigned n, const struct flowtest_result *want)
{
	struct flowtest_result r = flowtest_run(conf, steps, n);

	if (strcmp(r.text, want->text) || r.app != want->app) {
		fprintf(stderr, "\ncut %zu, cut at %zu: app %s, want %s\n--- want\n%s--- got\n%s", conf->cut, conf->cut_at, app_name(r.app), app_name(want->app),
			want->text, r.text);
		CU_FAIL("events depend on how the bytes were cut");
	}
	flowtest_free(&r);
}

char *flowtest_every_cut(const struct flowtest *ft, const struct flowtest_step *steps, unsigned n)
{
	struct flowtest conf = *ft;
	struct flowtest_result whole;
	size_t bytes[2] = { 0, 0 }, most, step;

	conf.cut = conf.cut_at = 0;
	conf.flow_events = false;	/* they count packets */
	write_talk(ft, steps, n);
	whole = flowtest_run(&conf, steps, n);
	for (unsigned i = 0; i < n; i++)
		if (steps[i].p)
			bytes[steps[i].dir] += steps[i].n;
	most = bytes[0] > bytes[1] ? bytes[0] : bytes[1];
	step = most / EVERY_MAX + 1;
	if (!conf.udp) {
		conf.cut = 1;
		same(&conf, steps, n, &whole);
		conf.cut = 0;
		for (conf.cut_at = 1; conf.cut_at < most; conf.cut_at += step)
			same(&conf, steps, n, &whole);
	}
	CU_PASS("every cut");
	return whole.text;
}

void flowtest_every_prefix(const struct flowtest *ft, const struct flowtest_step *steps, unsigned n)
{
	struct flowtest_step *cut = calloc(n + 1, sizeof *cut);
	size_t all = 0, step;

	if (!cut)
		abort();
	write_talk(ft, steps, n);
	for (unsigned i = 0; i < n; i++)
		all += steps[i].n;
	step = all / EVERY_MAX + 1;
	for (unsigned last = 0; last < n; last++)
		for (size_t len = 0; len <= steps[last].n; len += steps[last].p ? step : steps[last].n + 1) {
			struct flowtest_result r;

			memcpy(cut, steps, (last + 1) * sizeof *cut);
			cut[last].n = len;
			r = flowtest_run(ft, cut, last + 1);
			flowtest_free(&r);
			if (ft->udp && last + 1 < n) {	/* a datagram cut short, and what comes after it */
				memcpy(cut, steps, n * sizeof *cut);
				cut[last].n = len;
				r = flowtest_run(ft, cut, n);
				flowtest_free(&r);
			}
		}
	free(cut);
	CU_PASS("every prefix");
}
