/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Middleware that is one small file each: fastcgi, ajp, dubbo, giop, fix, opcua, rmi, raft, consul, spark, pcp, epmd; and the names of tunnels.
 * What lies inside is in the comments and in what is told. */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

#define ODD(name) "anomaly {'type':'proto','event':'" name "','layer':'proto'}\n"

static void test_fastcgi(void)
{
	static const struct said v[] = {
		{ "a request and its end", 4000, false, false, APP_FASTCGI, "> 0101000100080000000101000000000001040001004903000e03524551554553545f4d4554484f444745540b04524551554553545f5552492f613f620901485454505f484f5354680f800000055343524950545f46494c454e414d452f782e736800000001040001000000000105000100020000696e0105000100000000\n"
		  "< 01060001000305006f7574000000000001030001000800000000000200000000",
		  "fastcgi {'method':'GET','uri':'/a?b','host':'h','script':'/x.sh','app_status':2}\n" },
		{ "not ended", 4000, false, false, APP_FASTCGI, "> 0101000100080000000101000000000001040001004900000e03524551554553545f4d4554484f444745540b04524551554553545f5552492f613f620901485454505f484f5354680f800000055343524950545f46494c454e414d452f782e73680104000100000000",
		  "fastcgi {'method':'GET','uri':'/a?b','host':'h','script':'/x.sh'}\n" },
		{ "a pair longer than its record", 4000, false, false, APP_FASTCGI, "> 0101000100080000000101000000000001040001000800000effffffff5245510104000100000000",
		  "fastcgi {}\n" },
		{ "something else between", 4000, false, true, APP_FASTCGI, "> 010100010008000000010100000000000202020202020202",
		  ODD("fastcgi.bad_record") },
	};
	static const struct said no[] = {
		{ "role 9", 4000, false, .talk = "> 01010001000800000009010000000000" },
		{ "a reserved byte", 4000, false, .talk = "> 01010001000800000001010000000001" },
		{ "params first", 4000, false, .talk = "> 01040001004900000e03524551554553545f4d4554484f444745540b04524551554553545f5552492f613f620901485454505f484f5354680f800000055343524950545f46494c454e414d452f782e7368" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_FASTCGI, no);
}

static void test_ajp(void)
{
	static const struct said v[] = {
		{ "a request, a body, an answer", 4000, false, false, APP_AJP, "> 1234002d02020008485454502f312e310000042f617070000007312e322e332e3400ffff0004686f7374000050000000ff123400050003616263\n"
		  "< 4142000a0400c800024f4b000000\n"
		  "> 123400010a\n"
		  "< 4142000109",
		  "ajp {'method':'GET','uri':'/app','host':'host','status':200}\n" },
		{ "unanswered", 4000, false, false, APP_AJP, "> 1234002d02020008485454502f312e310000042f617070000007312e322e332e3400ffff0004686f7374000050000000ff",
		  "ajp {'method':'GET','uri':'/app','host':'host'}\n" },
		{ "broken", 4000, false, true, APP_AJP, "> 1234002d02020008485454502f312e310000042f617070000007312e322e332e3400ffff0004686f7374000050000000ff12350000",
		  ODD("ajp.bad_packet") "ajp {'method':'GET','uri':'/app','host':'host'}\n" },
		{ "too long", 4000, false, true, APP_AJP, "> 1234002d02020008485454502f312e310000042f617070000007312e322e332e3400ffff0004686f7374000050000000ff1234ffff",
		  ODD("ajp.packet_too_long") "ajp {'method':'GET','uri':'/app','host':'host'}\n" },
	};
	static const struct said no[] = {
		{ "method 99", 4000, false, .talk = "> 1234002d02630008485454502f312e310000042f617070000007312e322e332e3400ffff0004686f7374000050000000ff" },
		{ "no http", 4000, false, .talk = "> 1234002d02020008585454502f312e310000042f617070000007312e322e332e3400ffff0004686f7374000050000000ff" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_AJP, no);
}

static void test_dubbo(void)
{
	static const struct said v[] = {
		{ "a call in hessian", 4000, false, false, APP_DUBBO, "> dabbc20000000000000000070000001f05322e302e320c6f72672e61636d652e53766303312e300568656c6c6f0158\n"
		  "< dabb021400000000000000070000000194",
		  "dubbo {'service':'org.acme.Svc','method':'hello','version':'1.0','status':20}\n" },
		{ "json, one way, and a heartbeat", 4000, false, false, APP_DUBBO, "> dabb860000000000000000080000001622322e302e32220a22612e42220a2231220a226d220adabbe2000000000000000009000000014e\n"
		  "< dabb22140000000000000009000000014e",
		  "dubbo {'service':'a.B','method':'m','version':'1'}\n" },
		{ "a string beyond its message", 4000, false, false, APP_DUBBO, "> dabbc200000000000000000700000003056162",
		  "dubbo {}\n" },
		{ "broken", 4000, false, true, APP_DUBBO, "> dabbc20000000000000000070000001f05322e302e320c6f72672e61636d652e53766303312e300568656c6c6f015800000000000000000000000000000000",
		  ODD("dubbo.bad_message") "dubbo {'service':'org.acme.Svc','method':'hello','version':'1.0'}\n" },
	};
	static const struct said no[] = {
		{ "no serialization", 4000, false, .talk = "> dabbc00000000000000000070000001f05322e302e320c6f72672e61636d652e53766303312e300568656c6c6f0158" },
		{ "2 GiB", 4000, false, .talk = "> dabbc20000000000000000077fffffff" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_DUBBO, no);
}

static void test_giop(void)
{
	static const struct said v[] = {
		{ "1.2, little endian", 4000, false, false, APP_GIOP, "> 47494f500102010020000000050000000300000000000000040000006b657921080000007265736f6c766500\n"
		  "< 47494f5001020101080000000500000002000000",
		  "giop {'operation':'resolve','status':'system_exception'}\n" },
		{ "1.2, big endian, unanswered", 4000, false, false, APP_GIOP, "> 47494f500102000000000020000000050300000000000000000000046b657921000000087265736f6c766500",
		  "giop {'operation':'resolve'}\n" },
		{ "1.0, one way", 4000, false, false, APP_GIOP, "> 47494f50010000000000001d000000000000000600000000000000046b6579210000000570696e6700",
		  "giop {'operation':'ping'}\n" },
		{ "a name longer than all", 4000, false, false, APP_GIOP, "> 47494f50010200000000001800000005030000000000000000000000ffffffff00000000",
		  "" },
		{ "broken", 4000, false, true, APP_GIOP, "> 47494f50010000000000001d000000000000000600000000000000046b6579210000000570696e670047494f580000000000000000",
		  "giop {'operation':'ping'}\n" ODD("giop.bad_message") },
	};
	static const struct said no[] = {
		{ "type 8", 4000, false, .talk = "> 47494f500100000800000000" },
		{ "version 2", 4000, false, .talk = "> 47494f500200000000000000" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_GIOP, no);
}

static void test_fix(void)
{
	static const struct said v[] = {
		{ "logon and order", 4000, false, false, APP_FIX, "> 383d4649582e342e3401393d31380133353d410134393d4d450135363d594f550131303d31323301\n"
		  "< 383d4649582e342e3401393d31380133353d410134393d594f550135363d4d450131303d31323301\n"
		  "> 383d4649582e342e3401393d32360133353d440134393d4d450135363d594f550135353d41434d450131303d31323301",
		  "fix {'type':'A','sender':'ME','target':'YOU'}\nfix {'type':'A','sender':'YOU','target':'ME'}\nfix {'type':'D','sender':'ME','target':'YOU','symbol':'ACME'}\n" },
		{ "broken", 4000, false, true, APP_FIX, "> 383d4649582e342e3401393d32360133353d440134393d4d450135363d594f550135353d41434d450131303d31323301393d464958",
		  "fix {'type':'D','sender':'ME','target':'YOU','symbol':'ACME'}\n" ODD("fix.bad_message") },
	};
	static const struct said no[] = {
		{ "no length", 4000, false, .talk = "> 383d4649582e342e340133353d4101" },
		{ "no type", 4000, false, .talk = "> 383d4649582e342e3401393d31320134393d4101" },
		{ "text", 4000, false, .talk = "> 383d4649584544207072696365" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_FIX, no);
}

static void test_opcua(void)
{
	static const struct said v[] = {
		{ "hello, channel, error", 4000, false, false, APP_OPCUA, "> 48454c462e00000000000000000001000000010000000000000000000e0000006f70632e7463703a2f2f683a3438\n"
		  "< 41434b461c0000000000000001000000010000000000000000000000\n"
		  "> 4f504e46210000000000000009000000687474703a2f2f6e73ffffffffffffffff4d5347461c0000007878787878787878787878787878787878787878\n"
		  "< 455252461000000000000180ffffffff",
		  "opcua {'operation':'hello','endpoint':'opc.tcp://h:48'}\nopcua {'operation':'open_channel','security_policy':'http://ns'}\nopcua {'operation':'error','error_code':'0x80010000'}\n" },
		{ "broken", 4000, false, true, APP_OPCUA, "> 48454c462e00000000000000000001000000010000000000000000000e0000006f70632e7463703a2f2f683a34385858584608000000",
		  "opcua {'operation':'hello','endpoint':'opc.tcp://h:48'}\n" ODD("opcua.bad_message") },
	};
	static const struct said no[] = {
		{ "text", 4000, false, .talk = "> 48454c4f206d61696c2e6578616d706c650d0a" },
		{ "short hello", 4000, false, .talk = "> 48454c46100000000000000000000000" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_OPCUA, no);
}

static void test_spark(void)
{
	static const struct said v[] = {
		{ "calls", 4000, false, false, APP_SPARK, "> 00000000000000290300000000000000070000001401000168000000070000064d617374657278797a0000000000000021090000001401000168000000070000064d617374657278797a\n"
		  "< 0000000000000011040000000000000007",
		  "spark {'operation':'rpc','endpoint':'Master'}\nspark {'operation':'one_way','endpoint':'Master'}\n" },
		{ "broken", 4000, false, true, APP_SPARK, "> 00000000000000290300000000000000070000001401000168000000070000064d617374657278797a000000000000000303",
		  "spark {'operation':'rpc','endpoint':'Master'}\n" ODD("spark.bad_frame") },
	};
	static const struct said no[] = {
		{ "lengths that differ", 4000, false, .talk = "> 000000000000001e0300000000000000070000000a000000000000000000" },
		{ "zeros", 4000, false, .talk = "> 0000000000000000000000000000000000000000000000000000000000000000" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_SPARK, no);
}

static void test_consul(void)
{
	static const struct said v[] = {
		{ "a call", 4000, false, false, APP_CONSUL, "> 040001000100000001000000000000000000000001000000230082ad536572766963654d6574686f64ad5374617475732e4c6561646572a353657101\n"
		  "< 000000000000000100000003616263",
		  "consul {'method':'Status.Leader'}\n" },
		{ "broken", 4000, false, true, APP_CONSUL, "> 040001000100000001000000000000000000000001000000230082ad536572766963654d6574686f64ad5374617475732e4c6561646572a353657101010101010101010101010101",
		  "consul {'method':'Status.Leader'}\n" ODD("consul.bad_frame") },
	};
	static const struct said no[] = {
		{ "stream 2", 4000, false, .talk = "> 040001000100000002000000000000000000000001000000230082ad536572766963654d6574686f64ad5374617475732e4c6561646572a353657101" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_CONSUL, no);
}

static void test_raft(void)
{
	static const struct said v[] = {
		{ "a vote", 4000, false, false, APP_RAFT, "> 0184a952504348656164657281",
		  "raft {'operation':'request_vote'}\n" },
	};
	static const struct said no[] = {
		{ "another key", 4000, false, .talk = "> 0184a952504348656164657881" },
		{ "no map", 4000, false, .talk = "> 0194a9525043486561646572" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_RAFT, no);
}

static void test_pcp(void)
{
	static const struct said v[] = {
		{ "greeting and requests", 4000, false, false, APP_PCP, "< 0000001400007000000000000000000000000000\n"
		  "> 000000140000700c0000000000000000000000000000002000007003000000000000000000000000000000000000000000000000\n"
		  "< 0000001400007001000000000000000000000000",
		  "pcp {'operation':'creds'}\npcp {'operation':'fetch'}\n" },
		{ "broken", 4000, false, true, APP_PCP, "< 0000001400007000000000000000000000000000\n"
		  "> 000000000000000000000000",
		  ODD("pcp.bad_pdu") },
	};
	static const struct said no[] = {
		{ "an error", 4000, false, .talk = "< 000000140000700000000000ffffffffffffffff" },
		{ "the client first", 4000, false, .talk = "> 0000001400007000000000000000000000000000" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_PCP, no);
}

static void test_epmd(void)
{
	static const struct said v[] = {
		{ "a node is there", 4000, false, false, APP_EPMD, "> 00117812344d000006000500046e6f64650000\n"
		  "< 79000001",
		  "epmd {'operation':'alive','node':'node','port':4660}\n" },
		{ "where is a node", 4000, false, false, APP_EPMD, "> 00057a6e6f6465\n"
		  "< 7701",
		  "epmd {'operation':'port_please','node':'node','error_code':1}\n" },
		{ "there", 4000, false, false, APP_EPMD, "> 00057a6e6f6465\n"
		  "< 77006450 4d00000600050004 6e6f6465 0000",
		  "epmd {'operation':'port_please','node':'node','port':25680}\n" },
		{ "not answered whole", 4000, false, false, APP_EPMD, "> 00057a6e6f6465\n"
		  "< 770064",
		  "epmd {'operation':'port_please','node':'node'}\n" },
		{ "names", 4000, false, false, APP_EPMD, "> 00016e\n"
		  "< 000011116e616d652078",
		  "epmd {'operation':'names'}\n" },
	};
	static const struct said no[] = {
		{ "another answer", 4000, false, .talk = "> 00057a6e6f6465\n"
		  "< 7801" },
		{ "no name", 4000, false, .talk = "> 00037a206e" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_EPMD, no);
}

#define RMI_UID "00112233445566778899aabbccdd"
#define RMI_CALL(number, op, hash) "50aced00057722" number RMI_UID op hash

static void test_rmi(void)
{
	static const struct said v[] = {
		{ "stream", 4000, false, false, APP_RMI, "> 4a524d4900024b\n"
		  "< 4e000168",
		  "" },
		{ "lookup, a call that fails, a call without an answer", 4000, false, false, APP_RMI, "> 4a524d4900024b\n"
		  "< 4e0001680000abcd\n"
		  "> 00016100000000" RMI_CALL("0000000000000000", "00000002", "44154dc9d4e63bdf") "740006" "4f7264657273" "52\n"
		  "< 51aced0005770f01" RMI_UID "737d0000\n" "< 53\n"
		  "> 54" RMI_UID RMI_CALL("1122334455667788", "ffffffff", "0123456789abcdef") "740003616263\n" "> 50aced0005\n"
		  "< 51aced0005770f02" RMI_UID "7372\n"
		  "> 50aced00057a00000040" "0000000000000002" RMI_UID "00000001" "f6b6898d8bf28643" "0000",
		  "rmi {'operation':'lookup','name':'Orders','status':'ok'}\n"
		  "rmi {'operation':'call','method':'0123456789abcdef','status':'exception'}\n"
		  "rmi {'operation':'dirty'}\n" },
		{ "a call that is all, names that are bound", 4000, false, false, APP_RMI, "> 4a524d4900024c" RMI_CALL("0000000000000000", "00000003", "44154dc9d4e63bdf") "7400016e737d\n"
		  "< 51aced0005770f01" RMI_UID,
		  "rmi {'operation':'rebind','name':'n','status':'ok'}\n" },
		{ "several streams, and one who does not speak", 4000, false, false, APP_RMI, "> 4a524d4900024d00",
		  "" },
		{ "not spoken here", 4000, false, false, APP_RMI, "> 4a524d4900024b\n"
		  "< 4f", "" },
		{ "no message", 4000, false, true, APP_RMI, "> 4a524d4900024c6161",
		  ODD("rmi.bad_message") },
		{ "no call", 4000, false, true, APP_RMI, "> 4a524d4900024c50aced000670",
		  ODD("rmi.bad_message") },
		{ "no host", 4000, false, true, APP_RMI, "> 4a524d4900024b\n" "< 61",
		  ODD("rmi.bad_message") },
	};
	static const struct said no[] = {
		{ "version 9", 4000, false, .talk = "> 4a524d4900094b" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_RMI, no);
}

static void test_vxlan(void)
{
	static const struct said v[] = {
		{ "v4", 4000, true, false, APP_VXLAN, "> 080000000000010002020202020202020202020208004500001400000000000000000000000000000000",
		  "" },
		{ "arp in a vlan", 4000, true, false, APP_VXLAN, "> 080000000000010002020202020202020202020281000001080600010800",
		  "" },
	};
	static const struct said no[] = {
		{ "no inner packet", 4000, true, .talk = "> 080000000000010002020202020202020202020208000000000000000000000000000000000000000000" },
		{ "reserved bits", 4000, true, .talk = "> 080000010000010002020202020202020202020208004500001400000000000000000000000000000000" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_VXLAN, no);
}

static void test_geneve(void)
{
	static const struct said v[] = {
		{ "ethernet, an option", 4000, true, false, APP_GENEVE, "> 01006558000001000001000002020202020202020202020208004500001400000000000000000000000000000000",
		  "" },
		{ "v6", 4000, true, false, APP_GENEVE, "> 000086dd000001006000000000003b4020010000010101010101010101010101fe800000000000000000000000000000",
		  "" },
	};
	static const struct said no[] = {
		{ "version 1", 4000, true, .talk = "> 400086dd000001006000000000003b4020010000010101010101010101010101fe800000000000000000000000000000" },
		{ "options beyond", 4000, true, .talk = "> 3f0086dd000001006000000000003b4020010000010101010101010101010101fe800000000000000000000000000000" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_GENEVE, no);
}

static void test_gtp(void)
{
	static const struct said v[] = {
		{ "a packet", 4000, true, false, APP_GTP, "> 30ff0014000000014500001400000000000000000000000000000000",
		  "" },
		{ "version 2", 4000, true, false, APP_GTP, "> 40010009000001000300010005",
		  "" },
	};
	static const struct said no[] = {
		{ "another length", 4000, true, .talk = "> 30ff001400000001450000140000000000000000000000000000000000" },
		{ "no packet inside", 4000, true, .talk = "> 30ff0014000000010000000000000000000000000000000000000000" },
		{ "an element beyond", 4000, true, .talk = "> 40010009000001000300020005" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_GTP, no);
}

static void test_teredo(void)
{
	static const struct said v[] = {
		{ "bare", 4000, true, false, APP_TEREDO, "> 6000000000003b4020010000010101010101010101010101fe800000000000000000000000000000",
		  "" },
		{ "with authentication and origin", 4000, true, false, APP_TEREDO, "> 0001000001010101010101010000000202020202026000000000003b4020010000010101010101010101010101fe800000000000000000000000000000",
		  "" },
	};
	static const struct said no[] = {
		{ "another prefix", 4000, true, .talk = "> 6000000000003b4020020000010101010101010101010101fe800000000000000000000000000000" },
		{ "another length", 4000, true, .talk = "> 6000000000003b4020010000010101010101010101010101fe80000000000000000000000000000000" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_TEREDO, no);
}

static void test_capwap(void)
{
	static const struct said v[] = {
		{ "discovery", 4000, true, false, APP_CAPWAP, "> 001000000000000000000001000008000014000101",
		  "" },
	};
	static const struct said no[] = {
		{ "an element beyond", 4000, true, .talk = "> 0010000000000000000000010000080000140001" },
		{ "message 99", 4000, true, .talk = "> 001000000000000000000063000008000014000101" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_CAPWAP, no);
}

const struct unit_test tests_middleware[] = {
	{ "fastcgi", test_fastcgi },
	{ "ajp", test_ajp },
	{ "dubbo", test_dubbo },
	{ "giop", test_giop },
	{ "fix", test_fix },
	{ "opcua", test_opcua },
	{ "spark", test_spark },
	{ "consul", test_consul },
	{ "raft", test_raft },
	{ "pcp", test_pcp },
	{ "epmd", test_epmd },
	{ "rmi", test_rmi },
	{ "vxlan", test_vxlan },
	{ "geneve", test_geneve },
	{ "gtp", test_gtp },
	{ "teredo", test_teredo },
	{ "capwap", test_capwap },
	{ NULL, NULL },
};
