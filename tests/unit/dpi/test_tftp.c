/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "read, refused", 69, true, false, APP_TFTP, "> 0001 'boot/pxe' 00 'Octet' 00 'blksize' 00 '1428' 00\n< 0005 0001 'no such' 00",
		  "tftp {'operation':'read','file':'boot/pxe','mode':'Octet'}\ntftp {'operation':'error','error_code':'file_not_found','message':'no such'}\n" },
		{ "write on any port", 4000, true, false, APP_TFTP, "> 0002 'x' 00 'netascii' 00", "tftp {'operation':'write','file':'x','mode':'netascii'}\n" },
		{ "options are accepted", 4000, true, false, APP_TFTP, "> 0006 'tsize' 00 '0' 00", "" },
		{ "a block and its acknowledgement", 4000, true, false, APP_TFTP, "> 0003 0001 aa*512\n< 0004 0001\n> 0003 0002 bb", "" },
		{ "an error first", 4000, true, false, APP_TFTP, "> 0005 0001 'File not found' 00", "tftp {'operation':'error','error_code':'file_not_found','message':'File not found'}\n" },
		{ "a write's", 4000, true, false, APP_TFTP, "> 0004 0000\n< 0003 0001 aa*512", "" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "another mode", 69, true, .talk = "> 0001 'x' 00 'binary' 00" },
		{ "a file of no text", 69, true, .talk = "> 0001 01 00 'octet' 00" },
		{ "an option without a value", 69, true, .talk = "> 0001 'x' 00 'octet' 00 'blksize' 00" },
		{ "options of nobody", 4000, true, .talk = "> 0006 'abc' 00 'd' 00" },
		{ "a block that is not acknowledged", 69, true, .talk = "> 0003 0001 aa*512\n< 0004 0002" },
		{ "an error of nobody", 4000, true, .talk = "> 0005 0009 'File not found' 00" },
		{ "bytes behind an error", 4000, true, .talk = "> 0005 0001 'File not found' 00 00" },
		{ "a block alone", 69, true, .talk = "> 0003 0001 aa*512" },
	};

	TALKS_REFUSED(APP_TFTP, v);
}

const struct unit_test tests_tftp[] = {
	{ "requests, blocks, errors", test_talk },
	{ "what is not TFTP is refused", test_refused },
	{ NULL, NULL },
};
