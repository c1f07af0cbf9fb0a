/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ftp-data: what ftp carries. There is nothing to recognise: the control connection announced it (ftp.c). One `ftp_data` event a connection, at its
 * end, with the command and file that the control connection named meanwhile. */
#include "dpi/proto.h"

static const struct fact f_file = { "filename", FACT_OBJECT }, f_command = { "command", FACT_COMMAND };
static const struct fact *const facts[] = { &f_file, &f_command, NULL };

static enum probe probe(const struct probe_in *in)
{
	(void)in;
	return PROBE_NO;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	(void)state;
	cur_rest(in);
	px_skip(px, dir, UINT64_MAX);
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct saved *note = px_announced(px);
	struct record *r = px_record(px);

	(void)state;
	if (note)
		rec_append(r, note->body, note->len);
	px_saved_free(px, note);
	px_emit(px, EV_FTP_DATA, UINT32_MAX, r);
}

const struct proto proto_ftp_data = {
	.name = "ftp-data",
	.app = APP_FTP_DATA,
	.event = EV_FTP_DATA,
	.l4 = PROTO_TCP,
	.probe = probe,
	.parse = parse,
	.end = end,
	.facts = facts,
};
