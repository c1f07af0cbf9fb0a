/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mysql_parts: fields of MySQL's packets and the probe, shared by the files of the protocol. */
#ifndef TQ_DPI_MYSQL_PARTS_H
#define TQ_DPI_MYSQL_PARTS_H

#include "dpi/message.h"
#include "dpi/sql.h"

enum mysql_command {
	MYSQL_QUIT = 1, MYSQL_INIT_DB = 2, MYSQL_QUERY = 3, MYSQL_FIELD_LIST = 4, MYSQL_CREATE_DB = 5, MYSQL_DROP_DB = 6, MYSQL_PING = 14,
	MYSQL_CHANGE_USER = 17, MYSQL_BINLOG_DUMP = 18, MYSQL_STMT_PREPARE = 22, MYSQL_STMT_EXECUTE = 23, MYSQL_STMT_DATA = 24, MYSQL_STMT_CLOSE = 25,
	MYSQL_STMT_RESET = 26, MYSQL_STMT_FETCH = 28, MYSQL_BINLOG_DUMP_GTID = 30, MYSQL_STMT_BULK = 0xfa
};

/* Name of a command byte; NULL: there is none such. */
const char *mysql_command_name(uint8_t cmd);

/* The payload of a greeting: version and capabilities. False: it is none. */
bool mysql_greeting(struct cursor *c, struct bytes *version, uint32_t *caps);

/* A length-encoded number; the cursor fails when there is none. */
uint64_t mysql_lenenc(struct cursor *c);

/* Steps over the attributes before a statement; where they are not what they should be, to the end, and false. */
bool mysql_attributes_pass(struct cursor *c);

enum probe mysql_probe(const struct probe_in *in);

#endif
