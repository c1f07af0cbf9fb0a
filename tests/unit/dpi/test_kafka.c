/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kafka: requests old and flexible, records passed by, SASL, bytes that lie. */
#include <stdlib.h>

#include "dpi/proto/kafka_api.h"
#include "tests/unit/dpi/probes.h"

/* A request's head: size, api, version, correlation 7, client "abc" (13 bytes of the size). */
#define H(size, api, version) "\0\0\0" size "\0" api "\0" version "\0\0\0\x07\0\x03" "abc"
#define TOLD(api, version, more) "kafka {'api':'" api "','api_version':" version ",'client_id':'abc'" more "}\n"
#define METADATA H("\x14", "\x03", "\x01") "\0\0\0\x01\0\x01t"
#define METADATA_TOLD TOLD("Metadata", "1", ",'topics':['t']")

static const struct flowtest ft = { .dport = 7000 };

static void test_requests(void)
{
	static const struct vector rows[] = {
		{ "metadata", { STEP_UP(METADATA METADATA), STEP_DOWN("\0\0\0\x04\0\0\0\x07") }, METADATA_TOLD METADATA_TOLD, 0 },
		{ "metadata of all", { STEP_UP(H("\x11", "\x03", "\x01") "\xff\xff\xff\xff" METADATA) }, TOLD("Metadata", "1", "") METADATA_TOLD, 0 },
		{ "flexible metadata", { STEP_UP(H("\x16", "\x03", "\x09") "\0\x02\x02t\0\x01\x01\x01\0" METADATA) }, TOLD("Metadata", "9", ",'topics':['t']") METADATA_TOLD, 0 },
		{ "tagged fields, topic ids", { STEP_UP(H("\x2d", "\x03", "\x0c") "\x01\x05\x02xx\x02" "0123456789abcdef" "\x02t\x02\x01\0\x02\x01z\x01\x01\0") },
		  TOLD("Metadata", "12", ",'topics':['t'],'topic_ids':['MDEyMzQ1Njc4OWFiY2RlZg']"), 0 },
		{ "produce", { STEP_UP(H("\x30", "\0", "\x03") "\xff\xff\0\x01\0\0\x01\0" "\0\0\0\x01\0\x01t" "\0\0\0\x01\0\0\0\0" "\0\0\0\x08" "RECORDS." METADATA) },
		  TOLD("Produce", "3", ",'topics':['t']") METADATA_TOLD, 0 },
		{ "flexible produce of two topics", { STEP_UP(H("\x33", "\0", "\x09") "\0\x03tx\0\x01\0\0\x01\0\x03" "\x02t\x02\0\0\0\0\x05" "RECS\0\0" "\x02u\x02\0\0\0\0\x03" "RE\0\0" "\0" METADATA) },
		  TOLD("Produce", "9", ",'topics':['t','u'],'transactional_id':'tx'") METADATA_TOLD, 0 },
		{ "fetch", { STEP_UP(H("\x34", "\x01", "\x02") "\xff\xff\xff\xff\0\0\0\x01\0\0\0\x01" "\0\0\0\x01\0\x01t" "\0\0\0\x01\0\0\0\0" "\0\0\0\0\0\0\0\x05" "\0\0\x10\0" METADATA) },
		  TOLD("Fetch", "2", ",'topics':['t']") METADATA_TOLD, 0 },
		{ "create and delete", { STEP_UP(H("\x2c", "\x13", "\0") "\0\0\0\x01\0\x01t\0\0\0\x01\0\x01\0\0\0\0\0\0\0\x01\0\x01k\0\x01v\0\0\x10\0" METADATA
		  H("\x18", "\x14", "\x01") "\0\0\0\x01\0\x01t\0\0\0\x01") },
		  TOLD("CreateTopics", "0", ",'topics':['t']") METADATA_TOLD TOLD("DeleteTopics", "1", ",'topics':['t']"), 0 },
		{ "groups", { STEP_UP(H("\x14", "\x0b", "\x05") "\0\x02gr\0\0\x01" METADATA H("\x15", "\x0a", "\x04") "\0\0\x02\x04grp\0\0") },
		  TOLD("JoinGroup", "5", ",'groups':['gr']") METADATA_TOLD TOLD("FindCoordinator", "4", ",'keys':['grp']"), 0 },
		{ "a version that is not known", { STEP_UP(METADATA H("\x12", "\x03", "\x0f") "\0\xff\xff\xff\xff" METADATA) }, METADATA_TOLD TOLD("Metadata", "15", "") METADATA_TOLD, 0 },
		{ "without a client id", { STEP_UP("\0\0\0\x13\0\x12\0\x03\0\0\0\0\xff\xff\0\x03" "ab\x04" "1.0\0"), STEP_UP(METADATA) },
		  "kafka {'api':'ApiVersions','api_version':3,'software':'ab'}\n" METADATA_TOLD, 0 },
		{ "half a request", { STEP_UP(METADATA "\0\0\0\x14\0\x03\0\x01\0\0") }, METADATA_TOLD, 0 },
	};

	VECTORS_RUN(&ft, APP_KAFKA, rows);
}

static void test_sasl(void)
{
	static const struct vector rows[] = {
		{ "authenticate", { STEP_UP(H("\x14", "\x11", "\x01") "\0\x05PLAIN" H("\x1c", "\x24", "\0") "\0\0\0\x0b\0alice\0pass") },
		  TOLD("SaslHandshake", "1", ",'mechanism':'PLAIN'") TOLD("SaslAuthenticate", "0", ",'user':'alice'"), 0 },
		{ "scram, flexible", { STEP_UP(H("\x21", "\x24", "\x02") "\0\x12n,,n=bob,r=abcdef\0" METADATA) }, TOLD("SaslAuthenticate", "2", ",'user':'bob'") METADATA_TOLD, 0 },
		{ "tokens without a head", { STEP_UP(H("\x14", "\x11", "\0") "\0\x05PLAIN" "\0\0\0\x0b\0alice\0pass" METADATA) },
		  TOLD("SaslHandshake", "0", ",'mechanism':'PLAIN'") "kafka {'api':'SaslAuthenticate','api_version':0,'user':'alice'}\n" METADATA_TOLD, 0 },
	};

	VECTORS_RUN(&ft, APP_KAFKA, rows);
}

#define A(size) "\0\0\0" size "\0\0\0\x07"
#define ERROR(api, version, code) "kafka {'api':'" api "','api_version':" version ",'error_code':" code "}\n"
#define PARTITION(error) "\0\0\0\1" error "\0\0\0\0\0\0\0\0" "\0\0\0\0\0\0\0\0" "\0\0\0\0\0\0\0\0" "\1\0\0"

static void test_answers(void)
{
	static const struct vector rows[] = {
		{ "a login that fails", { STEP_UP(H("\x1c", "\x24", "\0") "\0\0\0\x0b\0alice\0pass"), STEP_DOWN(A("\x0e") "\0\x3a\0\x02no\0\0\0\0") },
		  TOLD("SaslAuthenticate", "0", ",'user':'alice'") ERROR("SaslAuthenticate", "0", "58"), 0 },
		{ "the second partition, flexible", { STEP_UP(H("\x27", "\0", "\x09") "\0\x03tx\0\x01\0\0\x01\0\x02" "\x02t\x02\0\0\0\0\x05" "RECS\0\0" "\0" METADATA),
		  STEP_DOWN(A("\x51") "\0\2\2t\3" PARTITION("\0\0") PARTITION("\0\x1d") "\0\0\0\0\0\0") },
		  TOLD("Produce", "9", ",'topics':['t'],'transactional_id':'tx'") METADATA_TOLD ERROR("Produce", "9", "29"), 0 },
		{ "a topic that is there", { STEP_UP(H("\x26", "\x13", "\0") "\0\0\0\x01\0\x01t\0\0\0\x01\0\x01\0\0\0\0\0\0\0\0\0\0\x10\0"), STEP_DOWN(A("\x0d") "\0\0\0\1\0\1t\0\x24"), },
		  TOLD("CreateTopics", "0", ",'topics':['t']") ERROR("CreateTopics", "0", "36"), 0 },
		{ "of versions, in the old form", { STEP_UP("\0\0\0\x13\0\x12\0\x03\0\0\0\7\xff\xff\0\x03" "ab\x04" "1.0\0"), STEP_DOWN(A("\x0a") "\0\x23\0\0\0\0") },
		  "kafka {'api':'ApiVersions','api_version':3,'software':'ab'}\n" ERROR("ApiVersions", "3", "35"), 0 },
		{ "others' answers, no error, then one", { STEP_UP(METADATA), STEP_DOWN("\0\0\0\6\0\0\0\x63\0\3" A("\x1a") "\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\1t\0\0\0\0\0"), STEP_UP(METADATA),
		  STEP_DOWN(A("\x1a") "\0\0\0\0\0\0\0\0\0\0\0\1\0\3\0\1t\0\0\0\0\0") }, METADATA_TOLD METADATA_TOLD ERROR("Metadata", "1", "3"), 0 },
		{ "the server's own", { STEP_UP(METADATA), STEP_DOWN(A("\x1a") "\0\0\0\0\0\0\0\0\0\0\0\1\xff\xff\0\1t\0\0\0\0\0") }, METADATA_TOLD ERROR("Metadata", "1", "-1"), 0 },
		{ "an answer that lies", { STEP_UP(METADATA), STEP_DOWN(A("\x0e") "\0\0\0\0\0\0\0\0\0\0"), STEP_UP(METADATA), STEP_DOWN(A("\x1a") "\0\0\0\0\0\0\0\0\0\0\0\1\0\3\0\1t\0\0\0\0\0") },
		  METADATA_TOLD METADATA_TOLD ERROR("Metadata", "1", "3"), 0 },
		{ "a size of gigabytes", { STEP_UP(METADATA), STEP_DOWN("\x7f\0\0\0\0\0\0\7"), STEP_UP(METADATA) }, METADATA_TOLD METADATA_TOLD, 0 },
	};

	VECTORS_RUN(&ft, APP_KAFKA, rows);
	vectors_hostile(&ft, &rows[1]);
	vectors_hostile(&ft, &rows[4]);
}

static void test_hostile(void)
{
	static const struct vector rows[] = {
		{ "no such api", { STEP_UP(METADATA H("\x14", "\x7f", "\x01") "\0\0\0\0\0\0\0") }, METADATA_TOLD ANOMALY("kafka.bad_request"), 1 },
		{ "a size that is too small", { STEP_UP(METADATA H("\x05", "\x03", "\x01") "\0\0\0\0\0\0\0") }, METADATA_TOLD ANOMALY("kafka.bad_request"), 1 },
		{ "a client id past the request", { STEP_UP(METADATA "\0\0\0\x0b\0\x03\0\x01\0\0\0\0\0\x20" "aaaaaaaaaaaaaaaaaaaa") }, METADATA_TOLD ANOMALY("kafka.bad_request"), 1 },
		{ "a topic past the request", { STEP_UP(METADATA H("\x14", "\x03", "\x01") "\0\0\0\x01\0\x02t" METADATA) },
		  METADATA_TOLD ANOMALY("kafka.bad_fields") TOLD("Metadata", "1", "") METADATA_TOLD, 0 },
		{ "more topics than bytes", { STEP_UP(METADATA H("\x14", "\x03", "\x01") "\x7f\xff\xff\xff\0\x01t" METADATA) },
		  METADATA_TOLD ANOMALY("kafka.bad_fields") TOLD("Metadata", "1", "") METADATA_TOLD, 0 },
		{ "a varint without an end", { STEP_UP(METADATA H("\x16", "\x03", "\x09") "\xff\xff\xff\xff\xff\xff\xff\xff\xff" METADATA) },
		  METADATA_TOLD ANOMALY("kafka.bad_fields") TOLD("Metadata", "9", "") METADATA_TOLD, 0 },
		{ "tags past the request", { STEP_UP(METADATA H("\x16", "\x03", "\x09") "\x02\x01\xff\xff\x03qqqq" METADATA) },
		  METADATA_TOLD ANOMALY("kafka.bad_fields") TOLD("Metadata", "9", "") METADATA_TOLD, 0 },
	};

	VECTORS_RUN(&ft, APP_KAFKA, rows);
}

/* Records of a megabyte are passed by, topics beyond the room are left out. */
static void test_huge(void)
{
	static char records[1 << 20];
	static const char head[] = "\0\x10\0\x20\0\0\0\x03\0\0\0\x07\0\x03" "abc" "\xff\xff\0\x01\0\0\x01\0" "\0\0\0\x01\0\x01t" "\0\0\0\x01\0\0\0\0" "\0\x0f\xff\xf8";
	static const size_t cuts[] = { 0, 61, 1448 };
	static char many[4 + 13 + 4 + 500 * 22];

	memset(records, 0, sizeof(records));
	for (unsigned i = 0; i < 3; i++) {
		const struct flowtest_step s[] = { { DIR_TOSERVER, head, sizeof(head) - 1 }, { DIR_TOSERVER, records, 0xffff8 }, STEP_UP(METADATA) };
		struct flowtest_result r = flowtest_run(&(struct flowtest){ .dport = 9092, .cut = cuts[i] }, s, 3);

		CU_ASSERT_TRUE(told_same("a megabyte", r.text, TOLD("Produce", "3", ",'topics':['t']") METADATA_TOLD));
		flowtest_free(&r);
	}
	memcpy(many, "\0\0\x2b\x09\0\x03\0\x01\0\0\0\x07\0\x03" "abc\0\0\x01\xf4", 21);
	for (unsigned i = 0; i < 500; i++)
		memcpy(many + 21 + i * 22, "\0\x14" "topic-of-twenty-byte", 22);
	for (unsigned i = 0; i < 3; i++) {
		const struct flowtest_step s[] = { { DIR_TOSERVER, many, sizeof(many) }, STEP_UP(METADATA) };
		struct flowtest_result r = flowtest_run(&(struct flowtest){ .dport = 9092, .cut = cuts[i] }, s, 2);

		CU_ASSERT_EQUAL(r.app, APP_KAFKA);
		CU_ASSERT_TRUE(strlen(r.text) > 3000 && strlen(r.text) < 5000);
		CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "\"topics\":[\"t\"]"));
		flowtest_free(&r);
	}
}

static void test_table(void)
{
	CU_ASSERT_STRING_EQUAL(kafka_api_of(18)->name, "ApiVersions");
	CU_ASSERT_PTR_NULL(kafka_api_of(93));
	for (unsigned i = 0; i < 93; i++) {
		const struct kafka_api *api = kafka_api_of(i);
		int open = 0;

		CU_ASSERT_PTR_NOT_NULL_FATAL(api->name);
		for (const char *c = api->fields; *c; c++) {
			CU_ASSERT_PTR_NOT_NULL(strchr(" ()@!0123456789sBIATUGXKRMPNYHL", *c));
			open += *c == '(' ? 1 : *c == ')' ? -1 : 0;
			CU_ASSERT_TRUE(open >= 0 && open <= (int)KAFKA_DEPTH);
		}
		CU_ASSERT_EQUAL(open, 0);
	}
}

static void test_recognition(void)
{
	static const struct probe_row rows[] = {
		UP(METADATA, PROBE_YES), MID_UP(METADATA, PROBE_YES),
		UP("\0\0\0\x0a\0\x12\0\0\0\0\0\0\xff\xff", PROBE_YES),
		UP("\0\0\0\x0a\0\x03\0\0\0\0\0\0\xff\xff", PROBE_NO),	/* nothing but zeros and lengths */
		UP("\0\0\0\x14\0\x03\0\x01\0\0\0\x07\0\x03" "a\x01" "c\0\0\0\x01\0\x01t", PROBE_NO),
		UP("\0\0\0\x14\0\x03\0\x01\0\0\0\x07\0\x03" "abc\0\0\0\x02\0\x01t", PROBE_NO),
		UP("\0\0\0\x14\0\x03\0\x20\0\0\0\x07\0\x03" "abc\0\0\0\x01\0\x01t", PROBE_NO),
		UP("\0\0\0\x14\0\x60", PROBE_NO), UP("\x20\0\0\0", PROBE_NO), UP("\0\0\0\x14\0\x03\0\x01\x80", PROBE_NO),
		DOWN("\0\0\0\x04\0\0\0\x07", PROBE_NO),
	};

	PROBES(&proto_kafka, "kafka", rows);
	probe_grows(&proto_kafka, DIR_TOSERVER, METADATA, sizeof(METADATA) - 1);
}

const struct unit_test tests_kafka[] = {
	{ "requests, however cut", test_requests },
	{ "SASL", test_sasl },
	{ "errors in answers", test_answers },
	{ "hostile bytes", test_hostile },
	{ "huge requests", test_huge },
	{ "the table of requests", test_table },
	{ "what is kafka and what is not", test_recognition },
	{ NULL, NULL },
};
