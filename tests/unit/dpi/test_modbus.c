/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "read, write, exception", 4000, false, false, APP_MODBUS, "> 0001 0000 0006 01 03 0010 0002\n< 0001 0000 0007 01 03 04 00010002\n> 0002 0000 0009 01 10 0020 0001 02 abcd\n< 0002 0000 0003 01 90 02",
		  "modbus {'unit':1,'function':'read_holding_registers','address':'16','quantity':2}\n"
		  "modbus {'unit':1,'function':'write_multiple_registers','address':'32','quantity':1,'exception':'illegal_data_address'}\n" },
		{ "unanswered", 502, false, false, APP_MODBUS, "> 0001 0000 0006 01 05 0010 ff00", "modbus {'unit':1,'function':'write_single_coil','address':'16'}\n" },
		{ "broken", 502, false, true, APP_MODBUS, "> 0001 0000 0006 01 05 0010 ff00 0001 0001 0006 01 05", NULL },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "another length", 502, .talk = "> 0001 0000 0007 01 03 0010 0002 00" },
		{ "an answer to something else", 4000, .talk = "> 0001 0000 0006 01 03 0010 0002\n< 0002 0000 0007 01 03 04 00010002" },
	};

	TALKS_REFUSED(APP_MODBUS, v);
}

const struct unit_test tests_modbus[] = {
	{ "messages", test_talk },
	{ "what is not MODBUS is refused", test_refused },
	{ NULL, NULL },
};
