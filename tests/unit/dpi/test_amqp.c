/* SPDX-License-Identifier: GPL-2.0-or-later */
/* amqp: methods of 0-9-1, performatives of 1.0, contents passed by, bytes that lie. */
#include <stdlib.h>

#include "tests/unit/dpi/probes.h"

#define HEADER "AMQP\0\0\x09\x01"
#define T(op, more) "amqp {'operation':'" op "'" more "}\n"
#define PUBLISH "\1\0\1\0\0\0\x0c\0\x3c\0\x28\0\0\1e\2rk\0\xce"
#define PUBLISH_TOLD T("basic.publish", ",'exchange':'e','routing_key':'rk'")
#define CONTENT "\2\0\1\0\0\0\x0e\0\x3c\0\0\0\0\0\0\0\0\0\2\0\0\xce\3\0\1\0\0\0\2HI\xce"

static const struct flowtest ft = { .dport = 7000 };

static void test_methods(void)
{
	static const struct vector rows[] = {
		{ "log in, open, publish, deliver", { STEP_UP(HEADER), STEP_DOWN("\001\000\000\000\000\000\034\000\n\000\n\000\011\000\000\000\000\000\000\000\005PLAIN\000\000\000\005en_US\316"),
		  STEP_UP("\001\000\000\000\000\000\041\000\n\000\013\000\000\000\000\005PLAIN\000\000\000\011\000guest\000pw\005en_US\316\001\000\000\000\000\000\010\000\n\000(\001/\000\000\316"),
		  STEP_UP("\001\000\001\000\000\000\r\0002\000\n\000\000\001q\002\000\000\000\000\316\001\000\001\000\000\000\021\0002\000\024\000\000\001q\001e\001k\000\000\000\000\000\316\001\000\001\000\000\000\017\000<\000\024\000\000\001q\001c\000\000\000\000\000\316"),
		  STEP_UP(PUBLISH CONTENT PUBLISH "\x08\0\0\0\0\0\0\xce"), STEP_DOWN("\001\000\001\000\000\000\025\000<\000<\001c\000\000\000\000\000\000\000\001\000\001e\003a.b\316" CONTENT),
		  STEP_UP("\001\000\001\000\000\000\r\000<\000P\000\000\000\000\000\000\000\001\000\316"), STEP_DOWN("\001\000\001\000\000\000\020\000\024\000(\001\224\005NO_Qx\0002\000\n\316") },
		  T("connection.start", "") T("connection.start-ok", ",'mechanism':'PLAIN','user':'guest'") T("connection.open", ",'vhost':'/'")
		  T("queue.declare", ",'queue':'q'") T("queue.bind", ",'queue':'q','exchange':'e','routing_key':'k'") T("basic.consume", ",'queue':'q','consumer_tag':'c'")
		  PUBLISH_TOLD PUBLISH_TOLD T("basic.deliver", ",'consumer_tag':'c','exchange':'e','routing_key':'a.b'")
		  T("channel.close", ",'reply_code':404,'reply_text':'NO_Qx'"), 0 },
	};

	VECTORS_RUN(&ft, APP_AMQP, rows);
	vectors_hostile(&ft, &rows[0]);
}

static void test_one(void)
{
	static const struct vector rows[] = {
		{ "SASL, open, attach", { STEP_UP("AMQP\003\001\000\000"),
		  STEP_DOWN("AMQP\003\001\000\000\000\000\000\025\002\001\000\000\000S\100\300\010\001\243\005PLAIN"),
		  STEP_UP("\000\000\000\036\002\001\000\000\000SA\300\021\002\243\005PLAIN\240\007\000bob\000pw"),
		  STEP_DOWN("\000\000\000\020\002\001\000\000\000SD\300\003\001P\000AMQP\000\001\000\000"),
		  STEP_UP("AMQP\000\001\000\000\000\000\000\026\002\000\000\000\000S\020\300\011\002\241\001c\241\003hst\000\000\000\010\002\000\000\000"),
		  STEP_UP("\000\000\000\047\002\000\000\000\000S\022\300\032\007\241\001lCB\100\100\000S\050E\000S\051\300\011\001\241\006queue1\000\000\000\026\002\000\000\000\000S\024\300\002\001Cpayload"),
		  STEP_DOWN("\000\000\000\037\002\000\000\000\000S\030\300\022\001\000S\035\300\014\001\243\011amqp\072oops") },
		  T("sasl-init", ",'mechanism':'PLAIN','user':'bob'") T("sasl-outcome", ",'error':'ok'") T("open", ",'container_id':'c','hostname':'hst'")
		  T("attach", ",'link':'l','role':'sender','target':'queue1'") T("close", ",'error':'amqp:oops'"), 0 },
	};

	VECTORS_RUN(&ft, APP_AMQP, rows);
	vectors_hostile(&ft, &rows[0]);
}

static void test_hostile(void)
{
	static const struct vector rows[] = {
		{ "no frame end", { STEP_UP(HEADER "\1\0\1\0\0\0\x0c\0\x3c\0\x28\0\0\1e\2rk\0\xcf") }, ANOMALY("amqp.frame_end"), 1 },
		{ "no such type", { STEP_UP(HEADER "\7\0\1\0\0\0\0\xce") }, ANOMALY("amqp.bad_frame"), 1 },
		{ "a method of gigabytes", { STEP_UP(HEADER "\1\0\1\x7f\0\0\0\0\x3c") }, ANOMALY("amqp.bad_frame"), 1 },
		{ "a string past its method", { STEP_UP(HEADER "\1\0\1\0\0\0\x0c\0\x3c\0\x28\0\0\1e\x7frk\0\xce") }, ANOMALY("amqp.bad_method"), 1 },
		{ "a table past its method", { STEP_UP(HEADER "\1\0\0\0\0\0\x08\0\x0a\0\x0b\xff\xff\xff\xff\xce") }, ANOMALY("amqp.bad_method"), 1 },
		{ "1.0: a frame shorter than its head", { STEP_UP("AMQP\0\1\0\0\0\0\0\x04\2\0\0\0") }, ANOMALY("amqp.bad_frame"), 1 },
		{ "1.0: a string past its list", { STEP_UP("AMQP\0\1\0\0\0\0\0\x10\2\0\0\0\0\x53\x10\xc0\3\2\xa1\x7f") }, ANOMALY("amqp.bad_performative"), 1 },
		{ "1.0: descriptors of descriptors", { STEP_UP("AMQP\0\1\0\0\0\0\0\x10\2\0\0\0\0\0\0\0\0\0\0\0") }, ANOMALY("amqp.bad_performative"), 1 },
	};

	VECTORS_RUN(&ft, APP_AMQP, rows);
}

static void test_recognition(void)
{
	static const struct probe_row rows[] = {
		UP(HEADER, PROBE_YES), UP("AMQP\3\1\0\0", PROBE_YES), DOWN(HEADER, PROBE_NO), MID_DOWN(HEADER, PROBE_YES), MID_UP(PUBLISH, PROBE_YES), MID_DOWN(PUBLISH, PROBE_YES),
		UP(PUBLISH, PROBE_NO), MID_UP("\x08\0\0\0\0\0\0\xce", PROBE_YES), MID_UP("\x08\0\0\0\0\0\0\xcf", PROBE_NO), UP("AMQP\0\2\0\0", PROBE_NO), UP("AMQQ", PROBE_NO),
	};

	PROBES(&proto_amqp, "amqp", rows);
	probe_grows(&proto_amqp, DIR_TOSERVER, HEADER, 8);
}

const struct unit_test tests_amqp[] = {
	{ "methods, however cut", test_methods },
	{ "1.0", test_one },
	{ "hostile bytes", test_hostile },
	{ "what is amqp and what is not", test_recognition },
	{ NULL, NULL },
};
