/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "peers", 4000, false, false, APP_BITTORRENT, "> 13 'BitTorrent protocol' 00*8 ab*20 '-TR3000-' 'x' 00*11\n< 13 'BitTorrent protocol' 00*48",
		  "bittorrent {'kind':'handshake','info_hash':'abababababababababababababababababababab','client':'-TR3000-'}\n" },
		{ "the table", 4000, true, false, APP_BITTORRENT, "> 'd1:ad2:id20:aaaaaaaaaaaaaaaaaaaa9:info_hash20:bbbbbbbbbbbbbbbbbbbbe1:q9:get_peers1:t2:aa1:y1:qe'\n< 'd1:rd2:id20:aaaaaaaaaaaaaaaaaaaae1:t2:aa1:y1:re'\n> 'd1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:t2:aa1:y1:qe'",
		  "bittorrent {'kind':'get_peers','info_hash':'6262626262626262626262626262626262626262'}\nbittorrent {'kind':'ping'}\n" },
		{ "a tracker", 4000, true, false, APP_BITTORRENT, "> 0000041727101980 00000000 aabbccdd", "bittorrent {'kind':'tracker_connect'}\n" },
		{ "uTP in the middle", 4000, true, false, APP_BITTORRENT, "> 21 00 acd2 f82a43d2 baf0f0fc 00100000 d449 6c42\n> 01 00 acd2 f82a483d baf0ee42 00100000 d449 6c43 aabb", "bittorrent {'kind':'utp'}\n" },
		{ "uTP", 4000, true, false, APP_BITTORRENT, "> 41 00 1234 aabbccdd 00000000 00100000 0001 0000\n< 21 00 1234 aabbccdd 00000000 00100000 5555 0001", "bittorrent {'kind':'utp'}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "bencoded something", 6881, true, .talk = "> 'd1:a1:b1:c1:de'" },
		{ "uTP that jumps", 6881, true, .talk = "> 21 00 acd2 f82a43d2 baf0f0fc 00100000 d449 6c42\n> 21 00 acd2 f82a483d baf0ee42 00100000 e449 6c43" },
		{ "uTP whose answer differs", 6881, true, .talk = "> 41 00 1234 aabbccdd 00000000 00100000 0001 0000\n< 21 00 1235 aabbccdd 00000000 00100000 5555 0001" },
		{ "another hello", 6881, .talk = "> 13 'BitTorrent protocoL'" },
	};

	TALKS_REFUSED(APP_BITTORRENT, v);
}

const struct unit_test tests_bittorrent[] = {
	{ "messages", test_talk },
	{ "what is not BITTORRENT is refused", test_refused },
	{ NULL, NULL },
};
