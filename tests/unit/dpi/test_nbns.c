/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

#define WPAD "20 'FHFAEBEECACACACACACACACACACACAAA' 00 "

static void test_talk(void)
{
	static const struct said v[] = {
		{ "query and answer", 137, true, false, APP_NBNS, "> 0001 0110 0001 0000 0000 0000 " WPAD "0020 0001\n< 0001 8500 0000 0001 0000 0000 " WPAD "0020 0001 000493e0 0006 0000 0a000007",
		  "nbns {'type':'query','operation':'query','id':1,'name':'WPAD','suffix':0}\n"
		  "nbns {'type':'answer','operation':'query','id':1,'name':'WPAD','suffix':0,'rcode':'success','addresses':['10.0.0.7']}\n" },
		{ "registration on any port", 4000, true, false, APP_NBNS, "> 0002 2910 0001 0000 0000 0001 " WPAD "0020 0001 c00c 0020 0001 000493e0 0006 0000 0a000007",
		  "nbns {'type':'query','operation':'registration','id':2,'name':'WPAD','suffix':0,'addresses':['10.0.0.7']}\n" },
		{ "status, then a broken one", 137, true, false, APP_NBNS, "> 0003 0000 0001 0000 0000 0000 " WPAD "0021 0001\n< 0003 8500 0000 0001",
		  "nbns {'type':'query','operation':'status','id':3,'name':'WPAD','suffix':0}\nanomaly {'type':'proto','event':'nbns.malformed','layer':'proto'}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "DNS", 137, true, .talk = "> 0001 0100 0001 0000 0000 0000 07 'example' 03 'com' 00 0001 0001" },
		{ "a letter Q", 137, true, .talk = "> 0001 0110 0001 0000 0000 0000 20 'QHFAEBEECACACACACACACACACACACAAA' 00 0020 0001" },
		{ "another type", 137, true, .talk = "> 0001 0110 0001 0000 0000 0000 20 'FHFAEBEECACACACACACACACACACACAAA' 00 0001 0001" },
	};

	TALKS_REFUSED(APP_NBNS, v);
}

const struct unit_test tests_nbns[] = {
	{ "messages", test_talk },
	{ "what is not NBNS is refused", test_refused },
	{ NULL, NULL },
};
