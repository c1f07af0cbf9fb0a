/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kafka_api: fields of requests, as Kafka's protocol guide lists them per version.
 *
 * One field is read at a time, whole or not at all, so a request of any length is walked with no more than a string kept.
 * Records and lists of numbers are passed by. */
#include "dpi/proto/kafka_api.h"

#define STRING_MAX 32767u
#define TAGS_MAX 2048u

static const struct kafka_api apis[] = {
	[0] = { "Produce", 9, 13, "X@3 2 4 (T!12 U@13 (4 B))", "(T!12 U@13 (4 E 8 8@2 8@5 (@8 4 s) s@8))" },
	[1] = { "Fetch", 12, 18, "4!14 4 4 4@3 1@4 8@7 (T!12 U@13 (4 4@9 8 4@12 8@5 4))", "4@1 E@7" },
	[2] = { "ListOffsets", 6, 11, "4 1@2 (T (4 4@4 8 4!0))", "4@2 (T (4 E (!0 8) 8@1 8@1 4@4))" },
	[3] = { "Metadata", 9, 13, "(U@10 T)", "4@3 (4 s 4 s@1) s@2 4@1 (E T U@10 1@1 (E 4 4 4@7 I I I@5) 4@8)" },
	[4] = { "LeaderAndIsr", 4, 7, "", NULL },
	[5] = { "StopReplica", 2, 4, "", NULL },
	[6] = { "UpdateMetadata", 6, 8, "", NULL },
	[7] = { "ControlledShutdown", 3, 3, "", NULL },
	[8] = { "OffsetCommit", 8, 10, "G 4@1 s@1 s@7 8@2!4 (T!9 U@10 (4 8 4@6 8@1!1 s))", "4@3 (T!9 U@10 (4 E))" },
	[9] = { "OffsetFetch", 6, 10, "G!7 (!7 T I) (@8 G s@9 4@9 (T!9 U@10 I))", NULL },
	[10] = { "FindCoordinator", 3, 6, "K!3 1@1 L@4", "4@1 E!3 (@4 s 4 s 4 E s)" },
	[11] = { "JoinGroup", 6, 9, "G", "4@2 E" },
	[12] = { "Heartbeat", 4, 4, "G", "4@1 E" },
	[13] = { "LeaveGroup", 4, 5, "G", "4@1 E" },
	[14] = { "SyncGroup", 4, 5, "G", "4@1 E" },
	[15] = { "DescribeGroups", 5, 6, "H", NULL },
	[16] = { "ListGroups", 3, 5, "", "4@1 E" },
	[17] = { "SaslHandshake", KAFKA_NEVER, 1, "M", "E" },
	[18] = { "ApiVersions", 3, 4, "N@3 s@3", "E" },
	[19] = { "CreateTopics", 5, 7, "(T 4 2 (4 I) (s s))", "4@2 (T U@7 E s@1 4@5 2@5 (@5 s s 1 1 1))" },
	[20] = { "DeleteTopics", 4, 6, "Y!5 (@6 T U)", "4@1 (T U@6 E s@5)" },
	[21] = { "DeleteRecords", 2, 2, "(T (4 8))", "4 (T (4 8 E))" },
	[22] = { "InitProducerId", 2, 6, "X", "4 E" },
	[23] = { "OffsetForLeaderEpoch", 4, 4, "4@3 (T (4 4@2 4))", NULL },
	[24] = { "AddPartitionsToTxn", 3, 5, "X!3 8!3 2!3 (!3 T I) (@4 X 8 2 1 (T I))", NULL },
	[25] = { "AddOffsetsToTxn", 3, 4, "X 8 2 G", "4 E" },
	[26] = { "EndTxn", 3, 5, "X", "4 E" },
	[27] = { "WriteTxnMarkers", 1, 2, "(8 2 1 (T I) 4 1@2)", NULL },
	[28] = { "TxnOffsetCommit", 3, 5, "X G 8 2 4@3 s@3 s@3 (T (4 8 4@2 s))", "4 (T (4 E))" },
	[29] = { "DescribeAcls", 2, 3, "1 R", "4 E" },
	[30] = { "CreateAcls", 2, 3, "(1 R 1@1 s s 1 1)", "4 (E s)" },
	[31] = { "DeleteAcls", 2, 3, "(1 R 1@1 s s 1 1)", NULL },
	[32] = { "DescribeConfigs", 4, 4, "(1 R A)", NULL },
	[33] = { "AlterConfigs", 2, 2, "(1 R (s s))", NULL },
	[34] = { "AlterReplicaLogDirs", 2, 2, "(s (T I))", NULL },
	[35] = { "DescribeLogDirs", 2, 4, "(T I)", NULL },
	[36] = { "SaslAuthenticate", 2, 2, "P", "E" },
	[37] = { "CreatePartitions", 2, 3, "(T 4 (I))", "4 (T E s)" },
	[38] = { "CreateDelegationToken", 2, 3, "", "E" },
	[39] = { "RenewDelegationToken", 2, 2, "", "E" },
	[40] = { "ExpireDelegationToken", 2, 2, "", "E" },
	[41] = { "DescribeDelegationToken", 2, 3, "", "E" },
	[42] = { "DeleteGroups", 2, 2, "H", "4 (G E)" },
	[43] = { "ElectLeaders", 2, 2, "1@1 (T I)", NULL },
	[44] = { "IncrementalAlterConfigs", 1, 1, "(1 R (s 1 s))", NULL },
	[45] = { "AlterPartitionReassignments", 0, 1, "4 1@1 (T (4 I))", "4 E" },
	[46] = { "ListPartitionReassignments", 0, 0, "4 (T I)", "4 E" },
	[47] = { "OffsetDelete", KAFKA_NEVER, 0, "G (T (4))", "E" },
	[48] = { "DescribeClientQuotas", 1, 1, "", NULL },
	[49] = { "AlterClientQuotas", 1, 1, "", NULL },
	[50] = { "DescribeUserScramCredentials", 0, 0, "", NULL },
	[51] = { "AlterUserScramCredentials", 0, 0, "", NULL },
	[52] = { "Vote", 0, 2, "", NULL },
	[53] = { "BeginQuorumEpoch", 1, 1, "", NULL },
	[54] = { "EndQuorumEpoch", 1, 1, "", NULL },
	[55] = { "DescribeQuorum", 0, 2, "(T (4))", NULL },
	[56] = { "AlterPartition", 0, 3, "", NULL },
	[57] = { "UpdateFeatures", 0, 2, "", NULL },
	[58] = { "Envelope", 0, 0, "", NULL },
	[59] = { "FetchSnapshot", 0, 1, "", NULL },
	[60] = { "DescribeCluster", 0, 2, "", "4 E" },
	[61] = { "DescribeProducers", 0, 0, "(T I)", NULL },
	[62] = { "BrokerRegistration", 0, 4, "", NULL },
	[63] = { "BrokerHeartbeat", 0, 1, "", NULL },
	[64] = { "UnregisterBroker", 0, 0, "", NULL },
	[65] = { "DescribeTransactions", 0, 0, "", NULL },
	[66] = { "ListTransactions", 0, 2, "", NULL },
	[67] = { "AllocateProducerIds", 0, 0, "", NULL },
	[68] = { "ConsumerGroupHeartbeat", 0, 1, "G s 4 s s 4 Y", "4 E" },
	[69] = { "ConsumerGroupDescribe", 0, 1, "H", NULL },
	[70] = { "ControllerRegistration", 0, 0, "", NULL },
	[71] = { "GetTelemetrySubscriptions", 0, 0, "", NULL },
	[72] = { "PushTelemetry", 0, 0, "", NULL },
	[73] = { "AssignReplicasToDirs", 0, 0, "", NULL },
	[74] = { "ListConfigResources", 0, 1, "", NULL },
	[75] = { "DescribeTopicPartitions", 0, 0, "(T)", NULL },
	[76] = { "ShareGroupHeartbeat", 0, 1, "G s 4 s Y", NULL },
	[77] = { "ShareGroupDescribe", 0, 1, "H", NULL },
	[78] = { "ShareFetch", 0, 1, "G", NULL },
	[79] = { "ShareAcknowledge", 0, 1, "G", NULL },
	[80] = { "AddRaftVoter", 0, 1, "", NULL },
	[81] = { "RemoveRaftVoter", 0, 0, "", NULL },
	[82] = { "UpdateRaftVoter", 0, 0, "", NULL },
	[83] = { "InitializeShareGroupState", 0, 0, "G", NULL },
	[84] = { "ReadShareGroupState", 0, 0, "G", NULL },
	[85] = { "WriteShareGroupState", 0, 0, "G", NULL },
	[86] = { "DeleteShareGroupState", 0, 0, "G", NULL },
	[87] = { "ReadShareGroupStateSummary", 0, 0, "G", NULL },
	[88] = { "StreamsGroupHeartbeat", 0, 0, "G", NULL },
	[89] = { "StreamsGroupDescribe", 0, 0, "H", NULL },
	[90] = { "DescribeShareGroupOffsets", 0, 0, "", NULL },
	[91] = { "AlterShareGroupOffsets", 0, 0, "G", NULL },
	[92] = { "DeleteShareGroupOffsets", 0, 0, "G", NULL },
};

const struct kafka_api *kafka_api_of(unsigned key) { return key < sizeof(apis) / sizeof(apis[0]) ? &apis[key] : NULL; }

void kafka_walk_start(struct kafka_walk *w, const struct kafka_api *api, uint8_t version, uint32_t left)
{
	*w = (struct kafka_walk){ .api = api, .version = version, .left = left };
	w->flexible = version >= api->flexible;
	w->tags = w->flexible;
	w->at = version <= api->max && *api->fields ? api->fields : NULL;
}

bool kafka_walk_answer(struct kafka_walk *w, const struct kafka_api *api, uint8_t version, uint32_t left)
{
	kafka_walk_start(w, api, version, left);
	w->at = version <= api->max ? api->answer : NULL;
	if (api == &apis[18])	/* whose answer must be read before versions are agreed */
		w->tags = false;
	return w->at;
}

/* ---- fields as text ---- */

static unsigned number(const char **at)
{
	unsigned v = 0;

	while (**at >= '0' && **at <= '9')
		v = v * 10 + (unsigned)(*(*at)++ - '0');
	return v;
}

/* The field at w->at: its letter, and whether this version has it. w->at is moved behind it. */
static char field(struct kafka_walk *w, bool *here)
{
	char kind;

	while (*w->at == ' ')
		w->at++;
	kind = *w->at;
	*here = true;
	if (!kind)
		return 0;
	w->at++;
	while (*w->at == '@' || *w->at == '!') {
		bool from = *w->at++ == '@';
		unsigned v = number(&w->at);

		if (from ? w->version < v : w->version > v)
			*here = false;
	}
	return kind;
}

/* Behind the ')' that closes the '(' just read. */
static const char *closed(const char *at)
{
	for (unsigned open = 1; *at && open; at++) {
		if (*at == '(')
			open++;
		else if (*at == ')')
			open--;
	}
	return at;
}

/* ---- bytes ---- */

static uint32_t uvarint(struct cursor *c)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 5; i++) {
		uint8_t b = cur_u8(c);

		v |= (uint64_t)(b & 0x7f) << (7 * i);
		if (!(b & 0x80) && v <= UINT32_MAX)
			return (uint32_t)v;
	}
	cur_fail(c);
	return 0;
}

/* A length or count: n + 1 as a varint (0: null), or plain in `width` bytes (-1: null). */
static uint32_t length(const struct kafka_walk *w, struct cursor *c, unsigned width)
{
	uint32_t n;

	if (w->flexible) {
		n = uvarint(c);
		return n ? n - 1 : 0;
	}
	n = width == 2 ? cur_be16(c) : cur_be32(c);
	return n == (width == 2 ? 0xffff : 0xffffffff) ? 0 : n;
}

/* Tagged fields: count, then tag, length and bytes of each. */
static void tags(struct cursor *c)
{
	for (uint32_t n = uvarint(c); n && cur_ok(c); n--) {
		uvarint(c);
		cur_skip(c, uvarint(c));
	}
}

/* What is done with a field; c sees no further than the request. */
enum outcome { READ, PASS, BROKEN };

static enum outcome read_string(const struct kafka_walk *w, struct cursor *c, char kind, struct bytes *value, uint32_t *pass)
{
	uint32_t n = length(w, c, kind == 'B' || kind == 'P' ? 4 : 2);

	if (kind == 'B' || kind == 's') {
		*pass = n;
		return PASS;
	}
	if (n > STRING_MAX)
		return BROKEN;
	*value = cur_bytes(c, n);
	return READ;
}

static char element(char array) { return array == 'Y' ? 'T' : array == 'H' ? 'G' : array == 'L' ? 'K' : 's'; }

/* The field `kind`; *pass bytes behind what c consumed are of no interest. */
static enum outcome read_field(struct kafka_walk *w, struct cursor *c, char kind, struct bytes *value, uint32_t *pass)
{
	uint32_t n;

	switch (kind) {
	case '1': case '2': case '4': case '8':
		*pass = (uint32_t)(kind - '0');
		return PASS;
	case 'E':
		*value = cur_bytes(c, 2);
		return READ;
	case 'U':
		*value = cur_bytes(c, 16);
		return READ;
	case 'I':
		n = length(w, c, 4);
		if (n > w->left / 4)
			return BROKEN;
		*pass = 4 * n;
		return PASS;
	case 'Y': case 'H': case 'L': case 'A':
		n = length(w, c, 4);
		if (n > w->left)
			return BROKEN;
		if (cur_ok(c)) {
			w->strings = n;
			w->kind = (uint8_t)element(kind);
		}
		return READ;
	case '(':
		n = length(w, c, 4);
		if (n > w->left)
			return BROKEN;
		if (!cur_ok(c))
			return READ;
		if (!n) {
			w->at = closed(w->at);
			return READ;
		}
		if (w->depth == KAFKA_DEPTH)
			return BROKEN;
		w->level[w->depth].at = w->at;
		w->level[w->depth++].left = n;
		return READ;
	case ')':
		if (w->flexible)
			tags(c);
		if (cur_ok(c) && --w->level[w->depth - 1].left)
			w->at = w->level[w->depth - 1].at;
		else if (cur_ok(c))
			w->depth--;
		return READ;
	default:
		return read_string(w, c, kind, value, pass);
	}
}

/* The next thing in the request: its letter; 0: no more. */
static char next(struct kafka_walk *w)
{
	bool here;
	char kind;

	if (w->tags)
		return 't';
	if (w->strings)
		return (char)w->kind;
	while (w->at) {
		kind = field(w, &here);
		if (!kind)
			w->at = NULL;
		else if (here)
			return kind;
		else if (kind == '(')
			w->at = closed(w->at);
	}
	return 0;
}

enum parse kafka_walk(struct kafka_walk *w, struct cursor *in, void (*told)(void *arg, char kind, struct bytes value), void *arg, uint32_t *skip)
{
	*skip = 0;
	for (;;) {
		struct kafka_walk before = *w;
		bool all = cur_left(in) >= w->left;
		struct cursor c = cur_of(in->pos, all ? w->left : cur_left(in));
		struct bytes value = { NULL, 0 };
		enum outcome o = READ;
		uint32_t pass = 0;
		char kind = next(w);

		if (!kind)
			return PARSE_DONE;
		if (kind == 't') {
			tags(&c);
			w->tags = false;
		} else {
			if (w->strings)
				w->strings--;
			o = read_field(w, &c, kind, &value, &pass);
		}
		if (o == BROKEN)
			return PARSE_BAD;
		if (!cur_ok(&c)) {
			*w = before;
			if (all || (kind == 't' && cur_left(in) > TAGS_MAX))
				return PARSE_BAD;
			return PARSE_MORE;
		}
		if (pass > w->left - (uint32_t)cur_used(&c))
			return PARSE_BAD;
		cur_skip(in, cur_used(&c));
		w->left -= (uint32_t)cur_used(&c) + pass;
		if (pass > cur_left(in)) {
			*skip = pass - (uint32_t)cur_left(in);
			cur_rest(in);
			return PARSE_MORE;
		}
		cur_skip(in, pass);
		if (value.n && told)
			told(arg, kind, value);
	}
}
