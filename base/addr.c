/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>

bool addr_is_multicast(const struct addr *a)
{
	static const uint8_t all[4] = { 255, 255, 255, 255 };

	if (!addr_is_v4(a))
		return a->b[0] == 0xff;
	return (a->b[12] & 0xf0) == 0xe0 || memcmp(a->b + 12, all, 4) == 0;
}

bool addr_is_linklocal(const struct addr *a)
{
	if (addr_is_v4(a))
		return a->b[12] == 169 && a->b[13] == 254;
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

bool addr_is_loopback(const struct addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return addr_is_v4(a) ? a->b[12] == 127 : memcmp(a->b, one, 16) == 0;
}

bool addr_is_zero(const struct addr *a)
{
	static const uint8_t zero[16];

	return memcmp(a->b + 12, zero, 4) == 0 && (addr_is_v4(a) || memcmp(a->b, zero, 12) == 0);
}

int addr_parse(const char *text, struct addr *out)
{
	uint8_t b[16];

	if (inet_pton(AF_INET, text, b) == 1)
		*out = addr_v4(b);
	else if (inet_pton(AF_INET6, text, b) == 1)
		*out = addr_v6(b);
	else
		return -EINVAL;
	return 0;
}

static char *put_dec(char *p, unsigned v)
{
	if (v >= 100)
		*p++ = (char)('0' + v / 100);
	if (v >= 10)
		*p++ = (char)('0' + v / 10 % 10);
	*p++ = (char)('0' + v % 10);
	return p;
}

static char *put_v4(char *p, const uint8_t b[4])
{
	for (int i = 0; i < 4; i++) {
		if (i)
			*p++ = '.';
		p = put_dec(p, b[i]);
	}
	return p;
}

static char *put_hex(char *p, unsigned v)
{
	static const char digit[] = "0123456789abcdef";

	for (int shift = 12; shift >= 0; shift -= 4)
		if (v >> shift || !shift)
			*p++ = digit[v >> shift & 15];
	return p;
}

/* The longest run of zero words of at least two, the first of equals (RFC 5952, 4.2); from 8 when there is none. */
static void longest_zeros(const uint16_t w[8], int *from, int *len)
{
	*from = 8;
	*len = 1;
	for (int i = 0; i < 8; i++) {
		int n = 0;

		while (i + n < 8 && !w[i + n])
			n++;
		if (n > *len) {
			*from = i;
			*len = n;
		}
		i += n;
	}
}

const char *addr_format(const struct addr *a, char buf[ADDR_STRLEN])
{
	uint16_t w[8];
	char *p = buf;
	int from, len;

	if (addr_is_v4(a)) {
		*put_v4(p, a->b + 12) = '\0';
		return buf;
	}
	for (int i = 0; i < 8; i++)
		w[i] = (uint16_t)(a->b[2 * i] << 8 | a->b[2 * i + 1]);
	longest_zeros(w, &from, &len);
	for (int i = 0; i < 8; i++) {
		if (i == from) {
			*p++ = ':';
			*p++ = ':';
			i += len - 1;
			continue;
		}
		if (i && i != from + len)
			*p++ = ':';
		p = put_hex(p, w[i]);
	}
	*p = '\0';
	return buf;
}

/* "0".."128" without leading zeros, at most max. */
static int prefix_len(const char *s, unsigned max, unsigned *out)
{
	unsigned v = 0;

	if (!*s || (s[0] == '0' && s[1]))
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		v = v * 10 + (unsigned)(*s - '0');
		if (v > max)
			return -EINVAL;
	}
	*out = v;
	return 0;
}

int cidr_parse(const char *text, struct cidr *out)
{
	const char *slash = strchr(text, '/');
	char host[ADDR_STRLEN];
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	unsigned len, max;
	bool dotted;
	struct addr a;

	if (n >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, n);
	host[n] = '\0';
	if (addr_parse(host, &a))
		return -EINVAL;
	dotted = !strchr(host, ':');
	max = dotted ? 32 : 128;
	len = max;
	if (slash && prefix_len(slash + 1, max, &len))
		return -EINVAL;
	if (dotted)
		len += 96;
	for (unsigned bit = len; bit < 128; bit++)
		if (a.b[bit / 8] & 0x80 >> bit % 8)
			return -EINVAL;
	*out = (struct cidr){ .net = a, .len = (uint8_t)len };
	return 0;
}

bool cidr_has(const struct cidr *c, const struct addr *a)
{
	unsigned whole = c->len / 8, rest = c->len % 8;

	/* "::/0" is every IPv6 address, and no IPv4 one although its mapped form would fit. */
	if (c->len < 96 && addr_is_v4(a))
		return false;
	if (memcmp(c->net.b, a->b, whole))
		return false;
	return !rest || !((c->net.b[whole] ^ a->b[whole]) & 0xff00 >> rest & 0xff);
}
