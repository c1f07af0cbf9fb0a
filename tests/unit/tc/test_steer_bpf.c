/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fanout program against steer_ether(), run by libpcap's interpreter of classic BPF. */
#include <pcap/pcap.h>
#include <string.h>

#include "base/steer.h"
#include "tc/steer.h"
#include "tests/unit/unit.h"

static uint32_t seed = 12345;

static uint8_t next(void)
{
	seed = seed * 1103515245u + 12345u;
	return (uint8_t)(seed >> 16);
}

/* Ethernet, `tags` VLAN tags, then a header of that version; random elsewhere. Length. */
static size_t build(uint8_t *p, unsigned tags, unsigned version, size_t ip_len)
{
	static const uint16_t tpid[] = { 0x8100, 0x88a8, 0x9100 };
	size_t at = 12;

	for (size_t i = 0; i < 128; i++)
		p[i] = next();
	for (unsigned i = 0; i < tags; i++, at += 4) {
		uint16_t t = tpid[next() % 3];

		p[at] = (uint8_t)(t >> 8);
		p[at + 1] = (uint8_t)t;
	}
	p[at] = version == 6 ? 0x86 : version == 4 ? 0x08 : 0x12;
	p[at + 1] = version == 6 ? 0xdd : version == 4 ? 0x00 : 0x34;
	at += 2;
	if (version != 5)
		p[at] = (uint8_t)(version << 4 | 5);
	return at + ip_len;
}

static void test_same_as_steer_ether(void)
{
	struct sock_filter code[STEER_CODE_MAX];
	unsigned n = steer_program(code), spread[4] = { 0 };

	CU_ASSERT_FATAL(n > 0 && n <= STEER_CODE_MAX);
	CU_ASSERT_EQUAL_FATAL(sizeof code[0], sizeof(struct bpf_insn));
	CU_ASSERT_FATAL(bpf_validate((const struct bpf_insn *)(const void *)code, (int)n));
	for (unsigned round = 0; round < 20000; round++) {
		uint8_t frame[128];
		unsigned tags = round % 4, version = 4 + round / 4 % 3;
		size_t len = build(frame, tags, version, round % 7 ? 64 : round % 44);
		unsigned got = bpf_filter((const struct bpf_insn *)(const void *)code, frame, (u_int)len, (u_int)len);

		for (unsigned workers = 1; workers <= 5; workers++)
			CU_ASSERT_EQUAL_FATAL(got % workers, steer_ether(frame, len, workers));
		if (version != 5 && tags < 3)
			spread[got % 4]++;
	}
	for (unsigned i = 0; i < 4; i++)
		CU_ASSERT(spread[i] > 1000);
}

const struct unit_test tests_steer_bpf[] = {
	{ "same as steer_ether", test_same_as_steer_ether },
	{ 0 },
};
