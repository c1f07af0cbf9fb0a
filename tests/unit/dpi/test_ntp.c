/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

#define NOW "e9 34 85 f2"
#define BARE "> 23 00 00 00 00*36 " NOW " 11223344\n"
#define SERVER "< 24 02 06 e9 00000e66 00000f01 c0000201 " NOW " 00*4 " NOW " 11223344 " NOW " 20*4 " NOW " 30*4\n"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "a bare request and its answer", 123, true, false, APP_NTP, BARE SERVER,
		  "ntp {'version':4,'mode':'client','stratum':0}\n"
		  "ntp {'version':4,'mode':'server','stratum':2,'reference_id':'192.0.2.1'}\n" },
		{ "on any port", 4000, true, false, APP_NTP, BARE SERVER, NULL },
		{ "a client that was never answered, on any port", 4000, true, false, APP_NTP, "> e3 00 06 e8 00*4 00000002 'INIT' 00*24 " NOW " 11223344", NULL },
		{ "a small client that says one second", 4000, true, false, APP_NTP, "> e3 00 04 fa 00010000 00010000 00*28 " NOW " 11223344", NULL },
		{ "the answer alone", 4000, true, false, APP_NTP, SERVER, NULL },
		{ "kiss of death", 123, true, false, APP_NTP, BARE "< e4 00 06 e9 00*8 'RATE' " NOW " 00*4 " NOW " 11223344 " NOW " 20*4 " NOW " 30*4",
		  "ntp {'version':4,'mode':'client','stratum':0}\n"
		  "ntp {'version':4,'mode':'server','stratum':0,'reference_id':'RATE'}\n" },
		{ "version 3 with a MAC", 123, true, false, APP_NTP, "> 1b 00 0a fa 00*44 00000001 aa*16", "ntp {'version':3,'mode':'client','stratum':0}\n" },
		{ "control: readvar", 123, true, false, APP_NTP, "> 16 02 0001 0000 0000 0000 0000", "ntp {'version':2,'mode':'control','opcode':2}\n" },
		{ "private: monlist", 123, true, false, APP_NTP, "> 17 00 03 2a 0000 0000 00*40", "ntp {'version':2,'mode':'private','opcode':42}\n" },
		{ "a broken message does not end it", 123, true, false, APP_NTP, BARE "< 24 02\n" SERVER, NULL },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "zeros", 4000, true, .talk = "> 00*48" },
		{ "a client's with something in between", 4000, true, .talk = "> 23 00 00 00 00*12 01 00*23 " NOW " 11223344" },
		{ "a client that was never answered and has a source", 4000, true, .talk = "> e3 00 04 fa 00010000 00010000 c0000201 00*24 " NOW " 11223344" },
		{ "one with ten seconds of delay", 4000, true, .talk = "> e3 00 04 fa 000a0000 00010000 00000000 00*24 " NOW " 11223344" },
		{ "a server whose clocks differ", 4000, true, .talk = "> 24 02 06 e9 00000e66 00000f01 c0000201 " NOW " 00*8 e1111111 00*4 00*4 " NOW " 30*4" },
		{ "no multiple of 4", 123, true, .talk = "> 23 00 00 00 00*36 " NOW " 11223344 00" },
		{ "stratum 17", 123, true, .talk = "> 24 11 06 e9 00*44" },
		{ "version 7", 123, true, .talk = "> 3b 00 06 e9 00*44" },
		{ "control whose count lies", 123, true, .talk = "> 16 02 0001 0000 0000 0000 0004" },
	};

	TALKS_REFUSED(APP_NTP, v);
}

const struct unit_test tests_ntp[] = {
	{ "messages of all modes", test_talk },
	{ "what is not NTP is refused", test_refused },
	{ NULL, NULL },
};
