/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

/* The messages of tests/golden/slp.talk and, over TCP, the same. */
static void test_talk(void)
{
	static const struct said v[] = {
		{ "request and reply", 4000, true, false, APP_SLP, "> 020100003c200000000000010002656e0000000f736572766963653a7072696e746572000764656661756c74000c28636f6c6f723d74727565290000\n< 020200003b000000000000010002656e0000000100012c0021736572766963653a7072696e7465723a6c70723a2f2f702e6578616d706c652f7100",
		  "slp {'operation':'service_request','service_type':'service:printer','scopes':'default','predicate':'(color=true)'}\nslp {'operation':'service_reply','url':'service:printer:lpr://p.example/q'}\n" },
		{ "registration", 4000, true, false, APP_SLP, "> 0203000046400000000000030002656e00012c0017736572766963653a6674703a2f2f662e6578616d706c6500000b736572766963653a667470000764656661756c74000000\n< 0205000012000000000000030002656e000d\n> 0204000038000000000000040002656e000764656661756c7400012c0017736572766963653a6674703a2f2f662e6578616d706c65000000",
		  "slp {'operation':'register','url':'service:ftp://f.example','service_type':'service:ftp','scopes':'default'}\nslp {'operation':'acknowledge','error_code':13}\nslp {'operation':'deregister','url':'service:ftp://f.example','scopes':'default'}\n" },
		{ "attributes, types", 4000, true, false, APP_SLP, "> 0206000042000000000000020002656e00000021736572766963653a7072696e7465723a6c70723a2f2f702e6578616d706c652f71000764656661756c7400000000\n< 0207000021000000000000020002656e0000000c28636f6c6f723d747275652900\n> 020900001d000000000000050002656e0000ffff000764656661756c74\n< 020a000023000000000000050002656e0000000f736572766963653a7072696e746572",
		  "slp {'operation':'attribute_request','url':'service:printer:lpr://p.example/q','scopes':'default'}\nslp {'operation':'attribute_reply'}\nslp {'operation':'type_request','scopes':'default'}\nslp {'operation':'type_reply'}\n" },
		{ "adverts", 4000, true, false, APP_SLP, "> 0208000049000000000000060002656e0000000000070023736572766963653a6469726563746f72792d6167656e743a2f2f642e6578616d706c65000764656661756c740000000000\n> 020b00003f000000000000070002656e0021736572766963653a736572766963652d6167656e743a2f2f732e6578616d706c65000764656661756c74000000",
		  "slp {'operation':'directory_advert','url':'service:directory-agent://d.example','scopes':'default'}\nslp {'operation':'service_advert','url':'service:service-agent://s.example','scopes':'default'}\n" },
		{ "a sealed registration", 4000, true, false, APP_SLP, "> 0203000029000000000000080002656e00012c000d736572766963653a783a2f2f7901000200060000",
		  "slp {'operation':'register','url':'service:x://y'}\n" },
		{ "a broken one does not end it", 4000, true, false, APP_SLP, "> 020100003c200000000000010002656e0000000f736572766963653a7072696e746572000764656661756c74000c28636f6c6f723d74727565290000\n> 0201\n> 0206000042000000000000020002656e00000021736572766963653a7072696e7465723a6c70723a2f2f702e6578616d706c652f71000764656661756c7400000000",
		  "slp {'operation':'service_request','service_type':'service:printer','scopes':'default','predicate':'(color=true)'}\nanomaly {'type':'proto','event':'slp.malformed','layer':'proto'}\nslp {'operation':'attribute_request','url':'service:printer:lpr://p.example/q','scopes':'default'}\n" },
		{ "over TCP, two in one segment", 4000, false, false, APP_SLP, "> 020100003c200000000000010002656e0000000f736572766963653a7072696e746572000764656661756c74000c28636f6c6f723d747275652900000206000042000000000000020002656e00000021736572766963653a7072696e7465723a6c70723a2f2f702e6578616d706c652f71000764656661756c7400000000\n< 020200003b000000000000010002656e0000000100012c0021736572766963653a7072696e7465723a6c70723a2f2f702e6578616d706c652f71000207000021000000000000020002656e0000000c28636f6c6f723d747275652900",
		  "slp {'operation':'service_request','service_type':'service:printer','scopes':'default','predicate':'(color=true)'}\nslp {'operation':'attribute_request','url':'service:printer:lpr://p.example/q','scopes':'default'}\nslp {'operation':'service_reply','url':'service:printer:lpr://p.example/q'}\nslp {'operation':'attribute_reply'}\n" },
		{ "over TCP another version ends it", 4000, false, true, APP_SLP, "> 020100003c200000000000010002656e0000000f736572766963653a7072696e746572000764656661756c74000c28636f6c6f723d7472756529000001000000ff",
		  "slp {'operation':'service_request','service_type':'service:printer','scopes':'default','predicate':'(color=true)'}\nanomaly {'type':'proto','event':'slp.malformed','layer':'proto'}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "version 1", 427, true, .talk = "> 010100003c200000000000010002656e0000000f736572766963653a7072696e746572000764656661756c74000c28636f6c6f723d74727565290000" },
		{ "a function of nobody", 427, true, .talk = "> 020c00003c200000000000010002656e0000000f736572766963653a7072696e746572000764656661756c74000c28636f6c6f723d74727565290000" },
		{ "a length that lies", 427, true, .talk = "> 020100003d200000000000010002656e0000000f736572766963653a7072696e746572000764656661756c74000c28636f6c6f723d74727565290000" },
		{ "a flag of nobody", 427, true, .talk = "> 020100003c200100000000010002656e0000000f736572766963653a7072696e746572000764656661756c74000c28636f6c6f723d74727565290000" },
		{ "a language that is no text", 427, true, .talk = "> 020100003c200000000000010002006e0000000f736572766963653a7072696e746572000764656661756c74000c28636f6c6f723d74727565290000" },
		{ "a long language", 427, true, .talk = "> 020100003c200000000000010028656e0000000f736572766963653a7072696e746572000764656661756c74000c28636f6c6f723d74727565290000" },
		{ "a string past the end", 427, true, .talk = "> 020100003c200000000000010002656eff00000f736572766963653a7072696e746572000764656661756c74000c28636f6c6f723d74727565290000" },
		{ "zeros", 427, true, .talk = "> 00*60" },
	};

	TALKS_REFUSED(APP_SLP, v);
}

const struct unit_test tests_slp[] = {
	{ "messages", test_talk },
	{ "what is not SLP is refused", test_refused },
	{ NULL, NULL },
};
