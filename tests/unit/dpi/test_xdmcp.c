/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

#define QUERY "> 0001 0002 0001 00\n"
#define E_QUERY "xdmcp {'operation':'query'}\n"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "query, willing", 4000, true, false, APP_XDMCP, QUERY "< 0001 0005 [2 [2 ] [2 'host'] [2 'busy'] ]", E_QUERY "xdmcp {'operation':'willing','hostname':'host','status':'busy'}\n" },
		{ "the other questions", 4000, true, false, APP_XDMCP, "> 0001 0001 [2 02 [2 'XDM-1'] [2 ] ]\n> 0001 0003 0001 00\n> 0001 0004 [2 [2 0a000001] [2 1770] 00 ]",
		  "xdmcp {'operation':'broadcast_query'}\nxdmcp {'operation':'indirect_query'}\nxdmcp {'operation':'forward_query'}\n" },
		{ "a session", 4000, true, false, APP_XDMCP,
		  "> 0001 0007 [2 0001 02 0000 0006 01 [2 0a000001] [2 'secret'] [2 'secret'] 01 [2 'MIT'] [2 'disp'] ]\n< 0001 0008 [2 00000007 [2 'secret'] [2 'secret'] [2 'MIT'] [2 'secret'] ]\n"
		  "> 0001 000a [2 00000007 0001 [2 'unspecified'] ]\n> 0001 000d 0006 0001 00000007\n< 0001 000e 0005 01 00000007",
		  "xdmcp {'operation':'request','display':1}\nxdmcp {'operation':'accept','session_id':7}\nxdmcp {'operation':'manage','session_id':7,'display':1,'display_class':'unspecified'}\n"
		  "xdmcp {'operation':'keep_alive','display':1,'session_id':7}\nxdmcp {'operation':'alive','session_id':7}\n" },
		{ "what goes wrong", 4000, true, false, APP_XDMCP, QUERY "< 0001 0006 [2 [2 'host'] [2 'no'] ]\n< 0001 0009 [2 [2 'full'] [2 ] [2 ] ]\n< 0001 000b 0004 00000007\n< 0001 000c [2 00000007 [2 'died'] ]",
		  E_QUERY "xdmcp {'operation':'unwilling','hostname':'host','status':'no'}\nxdmcp {'operation':'decline','status':'full'}\nxdmcp {'operation':'refuse','session_id':7}\n"
		  "xdmcp {'operation':'failed','session_id':7,'status':'died'}\n" },
		{ "a broken one does not end it", 177, true, false, APP_XDMCP, QUERY "> 0001 0002 0002 00\n" QUERY,
		  E_QUERY "anomaly {'type':'proto','event':'xdmcp.malformed','layer':'proto'}\n" E_QUERY },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "version 2", 177, true, .talk = "> 0002 0002 0001 00" },
		{ "opcode 0", 177, true, .talk = "> 0001 0000 0001 00" },
		{ "opcode 15", 177, true, .talk = "> 0001 000f 0001 00" },
		{ "a length that lies", 177, true, .talk = "> 0001 0002 0002 00" },
		{ "a byte more than the parts", 177, true, .talk = "> 0001 0002 0002 0000" },
		{ "a part past the end", 177, true, .talk = "> 0001 0002 0004 01 0003 'x'" },
		{ "zeros", 177, true, .talk = "> 00*20" },
	};

	TALKS_REFUSED(APP_XDMCP, v);
}

const struct unit_test tests_xdmcp[] = {
	{ "messages", test_talk },
	{ "what is not XDMCP is refused", test_refused },
	{ NULL, NULL },
};
