/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HTTP/1.1 as a handful of clients and servers write it: connections kept alive, LIVE of them at a time, their packets mixed. A request fits a
 * segment (some have a body); an answer has a head and a body of none to 24 KB, by length or chunked, cut at the MSS. The receiver acknowledges each
 * fourth segment (it has GRO), and the last one where no request follows at once. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/captures/kinds.h"

#define LIVE 256u
#define ANSWER_MAX 32768u
#define FILLER 65536u

enum step { STEP_SYN, STEP_SYN_ACK, STEP_ACK, STEP_REQUEST, STEP_ANSWER, STEP_ANSWER_ACK, STEP_FIN, STEP_FIN_ACK, STEP_LAST_ACK, STEP_DONE };

struct conn {
	struct tcp tcp;
	enum step step;
	unsigned requests;	/* to come */
	unsigned agent, site;
	size_t len, at;		/* of the answer, and what of it was sent */
	unsigned unacked;	/* segments */
	char answer[ANSWER_MAX];
};

struct http {
	struct random random;
	char filler[FILLER];
};

static const char *const agents[] = {
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15",
	"Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0",
	"Go-http-client/1.1", "python-requests/2.31.0", "okhttp/4.12.0", "kube-probe/1.29",
};
static const char *const sites[] = { "shop.example.com", "api.internal.example", "www.example.org", "static.cdn.example.net", "orders.prod.svc.cluster.local", "10.0.3.7:8080" };
/* With a number between them, where there are two. */
static const char *const paths[][2] = { { "/", NULL }, { "/index.html", NULL }, { "/api/v1/orders/", "" }, { "/api/v2/users/", "/profile?fields=name,mail,avatar&lang=en" },
	{ "/static/js/app.", ".min.js" }, { "/images/products/", "/large.jpg" }, { "/search?q=blue+shoes+size+", "&page=2&sort=price_asc" }, { "/healthz", NULL },
	{ "/cart/", "/items" } };
static const char *const kinds[] = { "text/html; charset=utf-8", "application/json", "application/javascript", "image/jpeg", "text/css" };

#define PICK(r, list) (list)[random_below((r), sizeof(list) / sizeof(*(list)))]

__attribute__((format(printf, 3, 4))) static size_t add(char *buf, size_t at, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf + at, ANSWER_MAX - at, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= ANSWER_MAX - at)
		abort();	/* what is written here is bounded by what is above */
	return at + (size_t)n;
}

static size_t add_body(struct http *h, char *buf, size_t at, size_t n)
{
	memcpy(buf + at, h->filler + random_below(&h->random, (unsigned)(FILLER - n)), n);
	return at + n;
}

/* The first 17 % have none (304, redirects); the rest are spread as in pages with their parts. */
static size_t body_size(struct random *r)
{
	unsigned p = random_below(r, 100);

	if (p < 17)
		return 0;
	if (p < 50)
		return 100 + random_below(r, 1400);
	if (p < 80)
		return 1500 + random_below(r, 6500);
	return 8000 + random_below(r, 13500);
}

static size_t write_request(struct http *h, const struct conn *c, char *buf)
{
	struct random *r = &h->random;
	unsigned kind = random_below(r, 100);
	const char *const *path = PICK(r, paths);
	size_t n = 0, body = kind < 12 ? 20 + random_below(r, 400) : 0;

	n = add(buf, n, "%s %s", kind < 9 ? "POST" : kind < 12 ? "PUT" : "GET", path[0]);
	if (path[1])
		n = add(buf, n, "%u%s", random_below(r, 1000000), path[1]);
	n = add(buf, n, " HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\n", sites[c->site], agents[c->agent]);
	if (c->agent < 3)
		n = add(buf, n, "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n"
			"Accept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\nCookie: session=%016llx%016llx; theme=dark; _ga=GA1.2.%u.%u\r\n",
			(unsigned long long)random_next(r), (unsigned long long)random_next(r), random_below(r, 1u << 30), random_below(r, 1u << 30));
	else
		n = add(buf, n, "Accept: */*\r\nAccept-Encoding: gzip\r\nX-Request-Id: %016llx\r\n", (unsigned long long)random_next(r));
	if (body)
		n = add(buf, n, "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %zu\r\n", body);
	n = add(buf, n, "\r\n");
	return add_body(h, buf, n, body);
}

static void write_answer(struct http *h, struct conn *c)
{
	struct random *r = &h->random;
	size_t body = body_size(r), n = 0;
	bool chunked = body > 500 && random_percent(r, 15);

	n = add(c->answer, n, "HTTP/1.1 %s\r\nServer: nginx/1.22.1\r\nDate: Thu, 01 Jan 2026 00:%02u:%02u GMT\r\n",
		!body ? random_percent(r, 70) ? "304 Not Modified" : "302 Found" : random_percent(r, 94) ? "200 OK" : "404 Not Found", random_below(r, 60), random_below(r, 60));
	n = add(c->answer, n, "Connection: keep-alive\r\nETag: \"%08x-%x\"\r\nCache-Control: max-age=3600, public\r\nX-Frame-Options: SAMEORIGIN\r\n", random_below(r, ~0u), (unsigned)body);
	if (body)
		n = add(c->answer, n, "Content-Type: %s\r\n", PICK(r, kinds));
	if (!chunked) {
		if (body || memcmp(c->answer + 9, "304", 3))	/* which has no body and tells no length */
			n = add(c->answer, n, "Content-Length: %zu\r\n", body);
		n = add(c->answer, n, "\r\n");
		c->len = add_body(h, c->answer, n, body);
		return;
	}
	n = add(c->answer, n, "Transfer-Encoding: chunked\r\n\r\n");
	while (body) {
		size_t piece = body > 4096 ? 4096 : body;

		n = add(c->answer, n, "%zx\r\n", piece);
		n = add_body(h, c->answer, n, piece);
		n = add(c->answer, n, "\r\n");
		body -= piece;
	}
	c->len = add(c->answer, n, "0\r\n\r\n");
}

static void begin(struct http *h, struct conn *c, unsigned number, unsigned requests)
{
	struct random *r = &h->random;

	c->tcp = (struct tcp){ .v6 = number % 4 == 3, .host = { 10u << 24 | 1u << 16 | random_below(r, 4000), 10u << 24 | 2u << 16 | (1 + random_below(r, 40)) },
		.port = { (uint16_t)(20000 + number % 40000), random_percent(r, 60) ? 80 : 8080 }, .seq = { (uint32_t)random_next(r), (uint32_t)random_next(r) } };
	c->step = STEP_SYN;
	c->requests = requests;
	c->agent = random_below(r, sizeof(agents) / sizeof(*agents));
	c->site = random_below(r, sizeof(sites) / sizeof(*sites));
}

static void put_answer(struct capture *out, struct conn *c)
{
	size_t mss = c->tcp.v6 ? WIRE_MSS6 : WIRE_MSS, n = c->len - c->at > mss ? mss : c->len - c->at;

	tcp_put(out, &c->tcp, 1, TCP_ACK | (c->at + n == c->len ? TCP_PSH : 0), (uint8_t *)c->answer + c->at, n);
	c->at += n;
	c->unacked++;
}

/* One packet of it. */
static void step(struct http *h, struct capture *out, struct conn *c)
{
	char buf[ANSWER_MAX];

	switch (c->step) {
	case STEP_SYN:
		tcp_put(out, &c->tcp, 0, TCP_SYN, NULL, 0);
		c->step = STEP_SYN_ACK;
		return;
	case STEP_SYN_ACK:
		tcp_put(out, &c->tcp, 1, TCP_SYN | TCP_ACK, NULL, 0);
		c->step = STEP_ACK;
		return;
	case STEP_ACK:
		tcp_put(out, &c->tcp, 0, TCP_ACK, NULL, 0);
		c->step = STEP_REQUEST;
		return;
	case STEP_REQUEST:
		tcp_put(out, &c->tcp, 0, TCP_ACK | TCP_PSH, (uint8_t *)buf, write_request(h, c, buf));
		write_answer(h, c);
		c->at = c->unacked = 0;
		c->requests--;
		c->step = STEP_ANSWER;
		return;
	case STEP_ANSWER:
		put_answer(out, c);
		if (c->unacked == 4 || (c->at == c->len && random_percent(&h->random, 40)))
			c->step = STEP_ANSWER_ACK;
		else if (c->at == c->len)
			c->step = c->requests ? STEP_REQUEST : STEP_FIN;
		return;
	case STEP_ANSWER_ACK:
		tcp_put(out, &c->tcp, 0, TCP_ACK, NULL, 0);
		c->unacked = 0;
		c->step = c->at < c->len ? STEP_ANSWER : c->requests ? STEP_REQUEST : STEP_FIN;
		return;
	case STEP_FIN:
		tcp_put(out, &c->tcp, 0, TCP_FIN | TCP_ACK, NULL, 0);
		c->step = STEP_FIN_ACK;
		return;
	case STEP_FIN_ACK:
		tcp_put(out, &c->tcp, 1, TCP_FIN | TCP_ACK, NULL, 0);
		c->step = STEP_LAST_ACK;
		return;
	case STEP_LAST_ACK:
		tcp_put(out, &c->tcp, 0, TCP_ACK, NULL, 0);
		c->step = STEP_DONE;
		return;
	case STEP_DONE:
		return;
	}
}

void make_http(struct capture *out, unsigned connections, unsigned requests)
{
	static const char words[] = "the of and to in is was for on that with as by at from it an be this which or are <p> </p> {\"id\": }, price=\n";
	struct http *h = calloc(1, sizeof(*h));
	struct conn *c = calloc(LIVE, sizeof(*c));
	unsigned begun = 0, live = 0;

	if (!h || !c)
		abort();
	h->random.state = 0x7461707175657565ULL;
	for (size_t i = 0; i < FILLER; i++)
		h->filler[i] = words[random_below(&h->random, sizeof(words) - 1)];
	while (begun < connections || live) {
		unsigned i = random_below(&h->random, LIVE);

		if (live < LIVE && begun < connections) {
			i = live++;
			begin(h, &c[i], begun++, requests);
		} else {
			i %= live;
		}
		step(h, out, &c[i]);
		if (c[i].step == STEP_DONE && begun < connections)
			begin(h, &c[i], begun++, requests);
		else if (c[i].step == STEP_DONE)
			c[i] = c[--live];
	}
	free(c);
	free(h);
}
