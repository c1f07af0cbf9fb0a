/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Remote calls and cluster protocols that are one small file each: thrift, brpc, krpc, elasticsearch, hl7, gearman, openflow, ceph, lustre, proxy-protocol. */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

#define ODD(name) "anomaly {'type':'proto','event':'" name "','layer':'proto'}\n"

static void test_thrift(void)
{
#define ECHO_ARGS "0b 0001 [4 'abc'] 00"
	static const struct said v[] = {
		{ "framed binary", 4000, .app = APP_THRIFT, .talk = "> [4 80010001 [4 'echo'] 00000007 " ECHO_ARGS "]\n< [4 80010002 [4 'echo'] 00000007 0b 0000 [4 'abc'] 00]\n"
		  "> [4 80010001 [4 'fail'] 00000008 00]\n< [4 80010003 [4 'fail'] 00000008 00]\n> [4 80010004 [4 'zip'] 00000009 00]",
		  "thrift {'type':'call','method':'echo'}\nthrift {'type':'call','method':'fail','error':'exception'}\nthrift {'type':'oneway','method':'zip'}\n" },
		{ "binary without frames: every type", 4000, .app = APP_THRIFT,
		  .talk = "> 80010001 [4 'all'] 00000000 02 0001 01 03 0002 01 04 0003 00*8 06 0004 0102 08 0005 00000001 0a 0006 00*8 0b 0007 [4 'x'] "
		  "0c 0008 0c 0001 00 00 0d 0009 0b 08 00000002 [4 'k'] 00000001 [4 'l'] 00000002 0f 000a 0c 00000002 08 0001 00000001 00 00 0e 000b 03 00000003 010203 "
		  "0f 000c 0f 00000001 0f 00000000 00\n< 80010002 [4 'all'] 00000000 00\n> 80010001 [4 'next'] 00000001 00",
		  "thrift {'type':'call','method':'all'}\nthrift {'type':'call','method':'next'}\n" },
		{ "compact in a frame", 4000, .app = APP_THRIFT, .talk = "> [4 82 21 05 03 'add' 15 02 00]\n< [4 82 41 05 03 'add' 00]", "thrift {'type':'call','method':'add'}\n" },
		{ "compact without one", 4000, .app = APP_THRIFT, .talk = "> 82 21 05 03 'add' 15 02 00\n< 82 41 05 03 'add' 00", "thrift {'type':'call','method':'add'}\n" },
		{ "a type that is none", 4000, .app = APP_THRIFT, .broken = true, .talk = "> 80010001 [4 'a'] 00000000 05 0001 00",
		  ODD("thrift.bad_struct") },
		{ "nested too deep", 4000, .app = APP_THRIFT, .broken = true, .talk = "> 80010001 [4 'a'] 00000000 0c 0001 0c 0001 0c 0001 0c 0001 0c 0001 0c 0001 0c 0001 0c 0001 "
		  "0c 0001 0c 0001 0c 0001 0c 0001 0c 0001 0c 0001 0c 0001 0c 0001 0c 0001 0c 0001 0c 0001 0c 0001 0c 0001 0c 0001 0c 0001 0c 0001 "
		  "0c 0001 0c 0001 0c 0001 0c 0001 0c 0001 0c 0001 0c 0001 0c 0001", ODD("thrift.bad_struct") },
		{ "a list that is longer than all", 4000, .app = APP_THRIFT, .broken = true, .talk = "> 80010001 [4 'a'] 00000000 0f 0001 03 7fffffff", ODD("thrift.bad_struct") },
		{ "a frame shorter than its head", 4000, .app = APP_THRIFT, .broken = true, .talk = "> 00000008 80010001 [4 'abcdef'] 00000000 00", ODD("thrift.bad_message") },
	};
	static const struct said no[] = {
		{ "a reply first", 4000, .talk = "> 80010002 [4 'a'] 00000000 00" },
		{ "a name of blanks", 4000, .talk = "> 80010001 [4 'a b'] 00000000 00" },
		{ "version 2", 4000, .talk = "> 80020001 [4 'a'] 00000000 00" },
		{ "a name of 64 KiB", 4000, .talk = "> 80010001 00010000 'aaaaaaaa'" },
		{ "zeros", 4000, .talk = "> 00*40" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_THRIFT, no);
}

static void test_brpc(void)
{
	static const struct said v[] = {
		{ "a call", 8000, .app = APP_BRPC, .talk = "> 'PRPC' 00000017 00000012 0a0c 0a03 'a.E' 1205 'Hello' 18 00 20 07 'hello'\n< 'PRPC' 0000000a 00000008 1202 0800 1800 2007 'ok'",
		  "brpc {'service':'a.E','method':'Hello','error_code':0}\n" },
		{ "unanswered", 8000, .app = APP_BRPC, .talk = "> 'PRPC' 00000012 00000012 0a0c 0a03 'a.E' 1205 'Hello' 18 00 20 07", "brpc {'service':'a.E','method':'Hello'}\n" },
		{ "something else", 8000, .app = APP_BRPC, .broken = true, .talk = "> 'PRPC' 00000012 00000012 0a0c 0a03 'a.E' 1205 'Hello' 18 00 20 07 'STREAM frames'",
		  ODD("brpc.bad_message") "brpc {'service':'a.E','method':'Hello'}\n" },
	};
	static const struct said no[] = {
		{ "no meta", 8000, .talk = "> 'PRPC' 00000010 00000000 00*16" },
		{ "more meta than body", 8000, .talk = "> 'PRPC' 00000010 00000011 00*17" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_BRPC, no);
}

static void test_krpc(void)
{
	static const struct said v[] = {
		{ "a call", 1234, .app = APP_KRPC, .talk = "> 'KR' 0009 0000000b 0801 10c703 181e 2001 'ab'\n< 'KR' 000c 0000000c 0802 10c703 181e 2001 70823a",
		  "krpc {'service':'455','method':'30','error_code':7426}\n" },
		{ "broken", 1234, .app = APP_KRPC, .broken = true, .talk = "> 'KR' 0009 00000009 0801 10c703 181e 2001 'KX' 00*9",
		  ODD("krpc.bad_message") "krpc {'service':'455','method':'30'}\n" },
	};
	static const struct said no[] = {
		{ "type 3", 1234, .talk = "> 'KR' 0009 00000009 0803 10c703 181e 2001" },
		{ "a head longer than all", 1234, .talk = "> 'KR' 000a 00000009 0801 10c703 181e 2001" },
		{ "text", 1234, .talk = "> 'KRONOS is a word'" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_KRPC, no);
}

static void test_elasticsearch(void)
{
	static const struct said v[] = {
		{ "version 6", 9999, .app = APP_ELASTICSEARCH, .talk = "> 'ES' 00000033 00*7 01 08 005cc663 00 01 06 'x-pack' 16 'internal:tcp/handshake' 00 04 cbf6ae03\n"
		  "< 'ES' 00000015 00*7 01 09 005cc663 00 00 cbf6ae03 0000\n> 'ES' ffffffff",
		  "elasticsearch {'action':'internal:tcp/handshake'}\n" },
		{ "version 0.90 refuses", 9999, .app = APP_ELASTICSEARCH, .talk = "> 'ES' 00000025 00*7 05 00 000fb89b 17 'discovery/zen/multicast'\n< 'ES' 0000000e 00*7 05 03 000fb89b 00",
		  "elasticsearch {'action':'discovery/zen/multicast','error':'exception'}\n" },
		{ "multicast", 9999, true, .app = APP_ELASTICSEARCH, .talk = "> 01090804 9bf13e00 00000001 0d 'elasticsearch' 00*8" },
		{ "over http: a document", 9999, .app = APP_ELASTICSEARCH, .talk = "> 'PUT /books/_doc/1 HTTP/1.1' 0d0a 'Host: e' 0d0a 'Content-Length: 2' 0d0a0d0a '{}'",
		  "http {'hostname':'e','url':'/books/_doc/1','http_method':'PUT','protocol':'HTTP/1.1'}\n" },
		{ "over http: a search", 9999, .app = APP_ELASTICSEARCH, .talk = "> 'GET /_search?q=a HTTP/1.1' 0d0a 'Host: e' 0d0a0d0a",
		  "http {'hostname':'e','url':'/_search?q=a','http_method':'GET','protocol':'HTTP/1.1'}\n" },
		{ "broken", 9999, .app = APP_ELASTICSEARCH, .broken = true, .talk = "> 'ES' 0000000d 00*8 00 005cc663 'ET' 00*8", ODD("elasticsearch.bad_message") },
	};
	static const struct said no[] = {
		{ "text", 9300, .talk = "> 'ESTABLISHED connection to nowhere'" },
		{ "a path that only looks so", 9300, .talk = "> 'GET /_searching/a/_doc/_search HTTP/1.1' 0d0a 'Host: e' 0d0a0d0a" },
		{ "a query that looks so", 9300, .talk = "> 'GET /a?b=/_search HTTP/1.1' 0d0a 'Host: e' 0d0a0d0a" },
		{ "no version", 9300, .talk = "> 'ES' 00000034 00*8 08 00000000 00*40" },
		{ "a version of no number", 54328, true, .talk = "> 01090804 00000000 00*40" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_ELASTICSEARCH, no);
}

static void test_hl7(void)
{
	static const struct said v[] = {
		{ "a message and its answer", 6661, .app = APP_HL7, .talk = "> 0b 'MSH|^~\\&|APP|FAC|LAB|HOSP|20110613||ADT^A01|934|P|2.3' 0d 'PID|1||secret' 0d 1c 0d\n"
		  "< 0b 'MSH|^~\\&|LAB|HOSP|APP|FAC|20110613||ACK|1|P|2.3' 0d 'MSA|AA|934' 0d 1c 0d\n> 0b 'MSH#^~\\&#X' 0d 1c 0d",
		  "hl7 {'type':'ADT^A01','sender':'APP','receiver':'LAB','control_id':'934','version':'2.3'}\n"
		  "hl7 {'type':'ACK','sender':'LAB','receiver':'APP','control_id':'1','version':'2.3'}\nhl7 {'type':'','sender':'X','receiver':'','control_id':'','version':''}\n" },
		{ "something else between", 6661, .app = APP_HL7, .broken = true, .talk = "> 0b 'MSH|^~\\&|A' 0d 1c 0d 'hello'",
		  "hl7 {'type':'','sender':'A','receiver':'','control_id':'','version':''}\n" ODD("hl7.bad_message") },
	};
	static const struct said no[] = {
		{ "no frame", 6661, .talk = "> 'MSH|^~\\&|APP'" },
		{ "another segment", 6661, .talk = "> 0b 'PID|1||' 0d" },
		{ "no separators", 6661, .talk = "> 0b 'MSH' 0001 00" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_HL7, no);
}

static void test_gearman(void)
{
	static const struct said v[] = {
		{ "a worker and its job", 5000, .app = APP_GEARMAN, .talk = "> 00 'REQ' 00000001 00000002 'wc' 00 'REQ' 00000009 00000000\n< 00 'RES' 0000000a 00000000\n"
		  "> 00 'REQ' 00000007 0000000a 'rev' 00 'id' 00 'abc'", "gearman {'operation':'can_do','function':'wc'}\ngearman {'operation':'submit_job','function':'rev'}\n" },
		{ "broken", 5000, .app = APP_GEARMAN, .broken = true, .talk = "> 00 'REQ' 00000009 00000000 'status' 0a00*5", ODD("gearman.bad_packet") },
	};
	static const struct said no[] = {
		{ "type 99", 4730, .talk = "> 00 'REQ' 00000063 00000000" },
		{ "text", 4730, .talk = "> 'REQUEST a thing'" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_GEARMAN, no);
}

static void test_openflow(void)
{
	static const struct said v[] = {
		{ "1.5 with versions", 7000, .app = APP_OPENFLOW, .talk = "> 06000010 00000001 0001000800000040\n< 06000010 ffffffff 0001000800000072\n< 06050008 00000002\n"
		  "> 06060020 00000002 00*24\n< 060e000c 00000003 00000000\n> 06020008 00000001",
		  "openflow {'version':'1.5','operation':'hello'}\nopenflow {'version':'1.5','operation':'hello'}\nopenflow {'version':'1.5','operation':'features_request'}\n"
		  "openflow {'version':'1.5','operation':'features_reply'}\nopenflow {'version':'1.5','operation':'flow_mod'}\n" },
		{ "1.0, bare", 7000, .app = APP_OPENFLOW, .talk = "> 01000008 00000001\n< 01000008 00000009\n< 010f0008 00000001",
		  "openflow {'version':'1.0','operation':'hello'}\nopenflow {'version':'1.0','operation':'hello'}\nopenflow {'version':'1.0','operation':'port_mod'}\n" },
		{ "broken", 7000, .app = APP_OPENFLOW, .broken = true, .talk = "> 06000010 00000001 0001000800000040 06020007 00000001",
		  "openflow {'version':'1.5','operation':'hello'}\n" ODD("openflow.bad_message") },
	};
	static const struct said no[] = {
		{ "one side only", 6653, .talk = "> 01000008 00000001" },
		{ "an answer of another kind", 6653, .talk = "> 01000008 00000001\n< 05000008 00000001 'x'\n< 'hello'" },
		{ "no hello", 6653, .talk = "> 01020008 00000001\n< 01030008 00000001" },
	};

	TALKS_RUN(v);
	talks_refused(APP_OPENFLOW, &no[0], 1);
	talks_refused(APP_OPENFLOW, &no[2], 1);
}

static void test_banners(void)
{
	static const struct said v[] = {
		{ "ceph 1", 7000, .app = APP_CEPH, .talk = "< 'ceph v027' 00*40\n> 'ceph v027' 00*40", "" },
		{ "ceph 2", 7000, .app = APP_CEPH, .talk = "> 'ceph v2' 0a 1000 01*8 00*8\n< 'ceph v2' 0a 1000 01*8 00*8", "" },
		{ "lustre: acceptor", 7000, .app = APP_LUSTRE, .talk = "> 0071ceac 01000000 8358a8c0 00000200 63697245", "" },
		{ "lustre: hello", 7000, .app = APP_LUSTRE, .talk = "> 63697245 03000000 8458a8c0 00000200 8358a8c0 00000200 39300000 00000000", "" },
		{ "lustre: message", 7000, .app = APP_LUSTRE, .talk = "> c1000000 00*20 7758a8c0 00000200 7658a8c0 00000200 39300000 39300000 01000000 08020000", "" },
	};
	static const struct said no[] = {
		{ "text", 7000, .talk = "> 'ceph is a file system'" },
		{ "another network", 988, .talk = "> c1000000 00*20 7758a8c0 00000200 7658a8c0 00000300 39300000 39300000 01000000" },
		{ "version 9", 988, .talk = "> 63697245 09000000 8458a8c0 00000200 8358a8c0 00000200" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_CEPH, no);
	TALKS_REFUSED(APP_LUSTRE, no);
}

static void test_proxy_protocol(void)
{
#define GET "'GET /a HTTP/1.1' 0d0a 'Host: h' 0d0a 0d0a"
#define GOT "http {'hostname':'h','url':'/a','http_method':'GET','protocol':'HTTP/1.1'}\n"
	static const struct said v[] = {
		{ "version 1, then http", 7000, .app = APP_HTTP, .talk = "> 'PROXY TCP4 192.0.2.1 192.0.2.2 4000 80' 0d0a " GET,
		  "proxy-protocol {'version':1,'source':'192.0.2.1','source_port':4000,'target':'192.0.2.2','target_port':80}\n" GOT },
		{ "version 1, unknown", 7000, .app = APP_HTTP, .talk = "> 'PROXY UNKNOWN' 0d0a " GET, "proxy-protocol {'version':1}\n" GOT },
		{ "version 2, IPv6 and TLVs", 7000, .app = APP_HTTP, .talk = "> 0d0a0d0a000d0a515549540a 21 21 [2 20010db8 00*11 01 20010db8 00*11 02 0fa0 01bb 01 0002 'h2'] " GET,
		  "proxy-protocol {'version':2,'source':'2001:db8::1','target':'2001:db8::2','source_port':4000,'target_port':443}\n" GOT },
		{ "version 2, local", 7000, .app = APP_HTTP, .talk = "> 0d0a0d0a000d0a515549540a 20 00 0000 " GET, "proxy-protocol {'version':2}\n" GOT },
		{ "nothing behind it", 7000, .app = APP_PROXY_PROTOCOL, .talk = "> 'PROXY UNKNOWN' 0d0a", "proxy-protocol {'version':1}\n" },
		{ "a line without an end", 7000, .app = APP_PROXY_PROTOCOL, .broken = true, .talk = "> 'PROXY TCP4 ' 30*120", ODD("proxy_protocol.line_too_long") },
		{ "longer than any", 7000, .app = APP_PROXY_PROTOCOL, .broken = true, .talk = "> 0d0a0d0a000d0a515549540a 21 11 ffff 00*40", ODD("proxy_protocol.too_long") },
	};
	static const struct said no[] = {
		{ "text", 7000, .talk = "> 'PROXY servers are nice' 0d0a" },
		{ "version 3", 7000, .talk = "> 0d0a0d0a000d0a515549540a 31 11 000c 00*12" },
	};

	TALKS_RUN(v);
	TALKS_REFUSED(APP_PROXY_PROTOCOL, no);
}

const struct unit_test tests_rpc[] = {
	{ "thrift", test_thrift },
	{ "brpc", test_brpc },
	{ "krpc", test_krpc },
	{ "elasticsearch", test_elasticsearch },
	{ "hl7", test_hl7 },
	{ "gearman", test_gearman },
	{ "openflow", test_openflow },
	{ "ceph and lustre", test_banners },
	{ "proxy-protocol", test_proxy_protocol },
	{ NULL, NULL },
};
