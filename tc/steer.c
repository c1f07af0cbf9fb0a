/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The frame begins with its Ethernet header, because what is sent to the bridge is seen as outgoing; the outer VLAN tag stands in the
 * metadata, and up to two more in the bytes are passed over, as steer_ether() does. The program has one part for each place
 * where the IP header can begin; what cannot be read ends a classic program with 0: worker 0. */
#include "tc/steer.h"

#include <stdint.h>

#define ETHERTYPE 12
#define HEADER 14
#define TAG 4

struct writer {
	struct sock_filter *code;
	unsigned n;
};

static unsigned op(struct writer *w, uint16_t code, uint32_t k)
{
	w->code[w->n] = (struct sock_filter)BPF_STMT(code, k);
	return w->n++;
}

/* A = XOR of `words` 32-bit words at `off`; X is used up. */
static void xor_words(struct writer *w, unsigned off, unsigned words)
{
	op(w, BPF_LD | BPF_W | BPF_ABS, off);
	for (unsigned i = 1; i < words; i++) {
		op(w, BPF_MISC | BPF_TAX, 0);
		op(w, BPF_LD | BPF_W | BPF_ABS, off + 4 * i);
		op(w, BPF_ALU | BPF_XOR | BPF_X, 0);
	}
}

/* x ^= x >> 16; x ^= x >> 8; the low byte is the answer. */
static void finish(struct writer *w)
{
	for (unsigned shift = 16; shift >= 8; shift /= 2) {
		op(w, BPF_MISC | BPF_TAX, 0);
		op(w, BPF_ALU | BPF_RSH | BPF_K, shift);
		op(w, BPF_ALU | BPF_XOR | BPF_X, 0);
	}
	op(w, BPF_ALU | BPF_AND | BPF_K, 0xff);
	op(w, BPF_RET | BPF_A, 0);
}

/* IP header at `at`: by its version (RFC 791: addresses at 12; RFC 8200: at 8). */
static void ip(struct writer *w, unsigned at)
{
	unsigned test;

	op(w, BPF_LD | BPF_B | BPF_ABS, at);
	op(w, BPF_ALU | BPF_RSH | BPF_K, 4);
	test = op(w, BPF_JMP | BPF_JEQ | BPF_K, 4);
	xor_words(w, at + 12, 2);
	finish(w);
	w->code[test].jf = (uint8_t)(w->n - test - 1);
	test = op(w, BPF_JMP | BPF_JEQ | BPF_K, 6);
	w->code[test].jt = 1;
	op(w, BPF_RET | BPF_K, 0);
	xor_words(w, at + 8, 8);
	finish(w);
}

unsigned steer_program(struct sock_filter code[STEER_CODE_MAX])
{
	static const uint16_t tags[] = { 0x8100, 0x88a8, 0x9100 };
	struct writer w = { code, 0 };

	for (unsigned depth = 0; depth < 3; depth++) {
		unsigned at = ETHERTYPE + TAG * depth, is_ip[2], is_tag[3];

		op(&w, BPF_LD | BPF_H | BPF_ABS, at);
		is_ip[0] = op(&w, BPF_JMP | BPF_JEQ | BPF_K, 0x0800);
		is_ip[1] = op(&w, BPF_JMP | BPF_JEQ | BPF_K, 0x86dd);
		for (unsigned i = 0; i < 3 && depth < 2; i++)
			is_tag[i] = op(&w, BPF_JMP | BPF_JEQ | BPF_K, tags[i]);
		op(&w, BPF_RET | BPF_K, 0);
		for (unsigned i = 0; i < 2; i++)
			code[is_ip[i]].jt = (uint8_t)(w.n - is_ip[i] - 1);
		ip(&w, at + HEADER - ETHERTYPE);
		for (unsigned i = 0; i < 3 && depth < 2; i++)
			code[is_tag[i]].jt = (uint8_t)(w.n - is_tag[i] - 1);
	}
	return w.n;
}
