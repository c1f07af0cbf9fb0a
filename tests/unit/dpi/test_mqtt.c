/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mqtt: packets of the three versions, properties, long messages, bytes that lie. */
#include <stdlib.h>

#include "tests/unit/dpi/probes.h"

#define CONNECT "\x10\x0d\0\4MQTT\4\2\0\x3c\0\1x"
#define HEAD(qos, retain, dup) "'qos':" qos ",'retain':" retain ",'dup':" dup
#define PLAIN HEAD("0", "false", "false")
#define FLAGS(u, p, w, wr, c) "'flags':{'username':" u ",'password':" p ",'will':" w ",'will_retain':" wr ",'clean_session':" c "}"
#define CONNECTED(name, v, flags, more) "mqtt {'operation':'connect','connect':{" PLAIN ",'protocol_string':'" name "','protocol_version':" v "," flags more "}}\n"
#define CONNECT_TOLD CONNECTED("MQTT", "4", FLAGS("false", "false", "false", "false", "true"), ",'client_id':'x'")
#define TOLD(op, head, more) "mqtt {'operation':'" op "','" op "':{" head more "}}\n"

static const struct flowtest ft = { .dport = 7000 };

static void test_packets(void)
{
	static const struct vector rows[] = {
		{ "connect, publish, subscribe", { STEP_UP(CONNECT), STEP_DOWN("\x20\2\0\0"), STEP_UP("\x30\5\0\1tHI\x3d\7\0\1u\0\7HI\x82\x0b\0\1\0\1t\1\0\2u/\2"),
		  STEP_DOWN("\x90\4\0\1\1\x80\x40\2\0\7\xd0\0\x30\5\0\1tHI"), STEP_UP("\xa2\5\0\2\0\1t\xc0\0\xe0\0"), STEP_DOWN("\xb0\2\0\2") },
		  CONNECT_TOLD TOLD("connack", PLAIN, ",'session_present':false,'return_code':0") TOLD("publish", PLAIN, ",'topic':'t'")
		  TOLD("publish", HEAD("2", "true", "true"), ",'topic':'u','message_id':7")
		  TOLD("subscribe", HEAD("1", "false", "false"), ",'message_id':1,'topics':[{'topic':'t','qos':1},{'topic':'u/','qos':2}]")
		  TOLD("suback", PLAIN, ",'message_id':1,'qos_granted':[1,128]") TOLD("publish", PLAIN, ",'topic':'t'")
		  TOLD("unsubscribe", HEAD("1", "false", "false"), ",'message_id':2,'topics':['t']") TOLD("disconnect", PLAIN, ",'reason_code':0")
		  TOLD("unsuback", PLAIN, ",'message_id':2"), 0 },
		{ "3.1 with all there is, refused", { STEP_UP("\x10\x1e\0\6MQIsdp\3\xee\0\x3c\0\1x\0\1w\0\2HI\0\3bob\0\1p"), STEP_DOWN("\x20\2\0\5") },
		  CONNECTED("MQIsdp", "3", FLAGS("true", "true", "true", "true", "true"), ",'client_id':'x','will':{'topic':'w'},'username':'bob'")
		  TOLD("connack", PLAIN, ",'session_present':false,'return_code':5"), 0 },
		{ "5, properties", { STEP_UP("\x10\x17\0\4MQTT\5\x80\0\x3c\6\x21\0\x14\x22\0\1\0\1x\0\1u"), STEP_DOWN("\x20\6\1\0\3\x22\0\x0a"),
		  STEP_UP("\x30\x0c\0\0\7\x23\0\1\x08\0\1rHI\x82\x07\0\1\0\0\1t\1"), STEP_DOWN("\x90\4\0\1\0\1\xe0\1\x8e") },
		  CONNECTED("MQTT", "5", FLAGS("true", "false", "false", "false", "false"), ",'properties':{'receive_maximum':20,'topic_alias_maximum':1},'client_id':'x','username':'u'")
		  TOLD("connack", PLAIN, ",'session_present':true,'return_code':0,'properties':{'topic_alias_maximum':10}")
		  TOLD("publish", PLAIN, ",'topic':'','properties':{'topic_alias':1,'response_topic':'r'}")
		  TOLD("subscribe", HEAD("1", "false", "false"), ",'message_id':1,'topics':[{'topic':'t','qos':1}]")
		  TOLD("suback", PLAIN, ",'message_id':1,'reason_codes':[1]") TOLD("disconnect", PLAIN, ",'reason_code':142"), 0 },
	};

	VECTORS_RUN(&ft, APP_MQTT, rows);
	vectors_hostile(&ft, &rows[0]);
	vectors_hostile(&ft, &rows[2]);
}

static void test_hostile(void)
{
	static const struct vector rows[] = {
		{ "a length of five bytes", { STEP_UP(CONNECT "\x30\xff\xff\xff\xff\x01") }, CONNECT_TOLD ANOMALY("mqtt.bad_length"), 1 },
		{ "no type", { STEP_UP(CONNECT "\0\0") }, CONNECT_TOLD ANOMALY("mqtt.bad_packet"), 1 },
		{ "a topic past the packet", { STEP_UP(CONNECT "\x30\5\0\4tHI") }, CONNECT_TOLD ANOMALY("mqtt.bad_packet"), 1 },
		{ "a filter past the packet", { STEP_UP(CONNECT "\x82\6\0\1\0\2t\1") }, CONNECT_TOLD ANOMALY("mqtt.bad_packet"), 1 },
		{ "a client id past the packet", { STEP_UP("\x10\x0d\0\4MQTT\4\2\0\x3c\0\2x") }, ANOMALY("mqtt.bad_packet"), 1 },
		{ "properties past the packet", { STEP_UP("\x10\x0e\0\4MQTT\5\2\0\x3c\x10\0\1x") }, ANOMALY("mqtt.bad_packet"), 1 },
		{ "a property that there is not", { STEP_UP("\x10\x10\0\4MQTT\5\2\0\x3c\2\x7f\1\0\1x") }, ANOMALY("mqtt.bad_packet"), 1 },
		{ "a subscription of megabytes", { STEP_UP(CONNECT "\x82\xff\xff\x7f\0\1") }, CONNECT_TOLD ANOMALY("mqtt.too_long"), 1 },
		{ "AUTH is of version 5", { STEP_UP(CONNECT "\xf0\0") }, CONNECT_TOLD ANOMALY("mqtt.bad_packet"), 1 },
	};

	VECTORS_RUN(&ft, APP_MQTT, rows);
}

static void test_long(void)
{
	static char payload[1000000];
	static const size_t cuts[] = { 0, 71, 1448 };

	for (unsigned i = 0; i < 3; i++) {
		const struct flowtest_step s[] = { STEP_UP(CONNECT "\x30\xc3\x84\x3d\0\1t"), { DIR_TOSERVER, payload, sizeof(payload) }, STEP_UP("\x30\5\0\1uHI") };
		struct flowtest_result r = flowtest_run(&(struct flowtest){ .dport = 1883, .cut = cuts[i] }, s, 3);

		CU_ASSERT_TRUE(told_same("a megabyte", r.text, CONNECT_TOLD TOLD("publish", PLAIN, ",'topic':'t'") TOLD("publish", PLAIN, ",'topic':'u'")));
		flowtest_free(&r);
	}
}

static void test_recognition(void)
{
	static const struct probe_row rows[] = {
		UP(CONNECT, PROBE_YES), MID_DOWN(CONNECT, PROBE_YES), DOWN(CONNECT, PROBE_NO), UP("\x10\x0d\0\4MQTT\6\2", PROBE_NO), UP("\x10\x0d\0\4MQTT\4\3", PROBE_NO),
		UP("\x10\x0d\0\4MQTU", PROBE_NO), UP("\x10\5\0\4MQTT\4\2", PROBE_NO), UP("\x10\xff\xff\xff\xff", PROBE_NO), UP("\x20\2\0\0", PROBE_NO),
	};

	PROBES(&proto_mqtt, "mqtt", rows);
	probe_grows(&proto_mqtt, DIR_TOSERVER, "\x10\x0d\0\4MQTT\4\2", 10);
}

const struct unit_test tests_mqtt[] = {
	{ "packets, however cut", test_packets },
	{ "hostile bytes", test_hostile },
	{ "a long message", test_long },
	{ "what is mqtt and what is not", test_recognition },
	{ NULL, NULL },
};
