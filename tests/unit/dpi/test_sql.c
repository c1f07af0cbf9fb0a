/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sql: verbs and tables of statements, whatever is quoted or commented around them. */
#include "dpi/sql.h"

#include <stdio.h>
#include <stdlib.h>

#include "dpi/sql_lex.h"
#include "tests/unit/unit.h"

static void said(const struct sql *s, char *out, size_t room)
{
	size_t n = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < s->nverbs; i++)
		n += (size_t)snprintf(out + n, room - n, "%s%s", i ? "+" : "", s->verb[i]);
	n += (size_t)snprintf(out + n, room - n, "%s:", s->partial ? "?" : "");
	for (unsigned i = 0; i < s->ntables; i++)
		n += (size_t)snprintf(out + n, room - n, " %.*s", s->from[i + 1] - s->from[i], s->names + s->from[i]);
}

static void test_statements(void)
{
	static const struct { enum sql_dialect d; const char *text, *want; } rows[] = {
		{ SQL_ANSI, "select * from a", "SELECT: a" }, { SQL_ANSI, "SELECT a.x FROM s.a AS a, b c JOIN d ON a.i=d.i, e WHERE x IN (1,2)", "SELECT: s.a b d e" },
		{ SQL_ANSI, "select 1", "SELECT:" }, { SQL_ANSI, "", ":" }, { SQL_ANSI, "hello world", "OTHER:" }, { SQL_ANSI, "(select 1 from a) union (select 2 from b)", "SELECT: a b" },
		{ SQL_ANSI, "select x from (select y from a) q, b", "SELECT: a b" }, { SQL_ANSI, "select * from (a, b)", "SELECT: a b" },
		{ SQL_ANSI, "select extract(year from ts), trim(both ' ' from v) from t", "SELECT: t" }, { SQL_ANSI, "select a is distinct from b from t order by x, y", "SELECT: t" },
		{ SQL_ANSI, "select * from generate_series(1, 2) g, t", "SELECT: t" }, { SQL_ANSI, "select * from a where x in (select y from b) for update", "SELECT: a b" },
		{ SQL_ANSI, "select f(a, b), c from t group by a, b having x, y", "SELECT: t" }, { SQL_ANSI, "select * from t, t, T", "SELECT: t T" },
		{ SQL_ANSI, "insert into t (a, b) values (1, 2), (3, 4)", "INSERT: t" }, { SQL_MYSQL, "insert ignore t set a=1 on duplicate key update b=2", "INSERT: t" },
		{ SQL_ANSI, "insert into t select * from u", "INSERT: t u" }, { SQL_MYSQL, "replace into `a b`.`c` values (1)", "REPLACE: a b.c" },
		{ SQL_ANSI, "update t set a = (select b from u), c=1 where d", "UPDATE: t u" }, { SQL_MYSQL, "update a, b set a.x=b.x", "UPDATE: a b" },
		{ SQL_ANSI, "delete from t where x", "DELETE: t" }, { SQL_PGSQL, "delete from only t using u, v where t.i=u.i", "DELETE: t u v" },
		{ SQL_MYSQL, "delete a from a join b using (id)", "DELETE: a b" }, { SQL_ANSI, "drop table if exists a, b.c cascade", "DROP: a b.c" },
		{ SQL_ANSI, "truncate table a, b", "TRUNCATE: a b" }, { SQL_ANSI, "truncate a", "TRUNCATE: a" }, { SQL_ANSI, "create table if not exists s.t (a int, b int)", "CREATE: s.t" },
		{ SQL_ANSI, "create table t as select * from u", "CREATE: t u" }, { SQL_ANSI, "create unique index i on t (a, b)", "CREATE: t" },
		{ SQL_ANSI, "create or replace view v as select 1 from t", "CREATE: v t" }, { SQL_ANSI, "alter table t add a int, add b int", "ALTER: t" },
		{ SQL_MYSQL, "rename table a to b, c to d", "RENAME: a b c d" }, { SQL_MYSQL, "lock tables a read, b write", "LOCK: a b" }, { SQL_MYSQL, "show tables from db", "SHOW:" },
		{ SQL_ANSI, "with x as (select 1 from a), y (c) as (select 2 from x) select * from x, y, z", "SELECT: a z" },
		{ SQL_ANSI, "with recursive x as (select 1) delete from t where i in (select i from x)", "DELETE: t" },
		{ SQL_ANSI, "explain select * from t", "EXPLAIN: t" }, { SQL_PGSQL, "explain analyze update t set a=1", "EXPLAIN+UPDATE: t" },
		{ SQL_PGSQL, "copy t (a, b) from stdin", "COPY: t" }, { SQL_PGSQL, "copy (select a from t) to stdout", "COPY: t" },
		{ SQL_ANSI, "merge into t using s on t.i=s.i when matched then update set a=1", "MERGE: t s" }, { SQL_TSQL, "select * into n from [dbo].[a]]b]", "SELECT: n dbo.a]]b" },
		{ SQL_TSQL, "select * from db..t", "SELECT: db..t" }, { SQL_MYSQL, "select 1 into outfile '/x' from t", "SELECT: t" }, { SQL_MYSQL, "select a into @v from t", "SELECT: t" },
		{ SQL_ANSI, "select 1; drop table t; ", "SELECT+DROP: t" }, { SQL_ANSI, ";;select 1", "SELECT:" }, { SQL_ANSI, "grant select on t to u", "GRANT:" },
		{ SQL_CQL, "BEGIN BATCH INSERT INTO a.b (x) VALUES (1); UPDATE c SET x=1; APPLY BATCH", "BEGIN+INSERT+UPDATE+APPLY: a.b c" },
		{ SQL_PGSQL, "with d as (delete from t returning *) select * from d", "DELETE+SELECT: t" },
		/* comments and quotes */
		{ SQL_ANSI, "/* from x */ select -- from y\n 'from z' from t -- , q", "SELECT: t" }, { SQL_MYSQL, "select 1 # from a\n from b", "SELECT: b" },
		{ SQL_MYSQL, "/*!50001 drop */ /*!table*/ t", "DROP?: t" }, { SQL_MYSQL, "select 5--1 from t", "SELECT: t" }, { SQL_PGSQL, "select /* a /* b */ from c */ 1 from d", "SELECT: d" },
		{ SQL_MYSQL, "select /* a /* b */ 1 from d", "SELECT: d" }, { SQL_ANSI, "select 'it''s from x', \"from\" from \"my \"\"t\"", "SELECT: my \"\"t" },
		{ SQL_MYSQL, "select 'a\\' from x' from t", "SELECT: t" }, { SQL_PGSQL, "select 'a\\' from t", "SELECT: t" }, { SQL_PGSQL, "select E'a\\' from x' from t", "SELECT: t" },
		{ SQL_PGSQL, "select $q$ from x $$ $q$ from t where a=$1", "SELECT: t" }, { SQL_PGSQL, "do $$ begin delete from t; end $$", "DO?:" },
		/* common table expressions: in its own expression the name is a table's yet */
		{ SQL_PGSQL, "with t as (select * from t) select * from t, u", "SELECT: t u" }, { SQL_PGSQL, "with recursive t as (select 1 union select * from t) select * from t", "SELECT:" },
		{ SQL_PGSQL, "with a as materialized (select * from materialized), b as not materialized (select * from a) select * from a, b", "SELECT: materialized" },
		{ SQL_PGSQL, "(with a as (select 1) select * from a, t)", "SELECT: t" }, { SQL_PGSQL, "with a as (select 1) table t", "TABLE: t" }, { SQL_PGSQL, "with a as (table t) select * from a", "SELECT: t" },
		{ SQL_PGSQL, "select 1 from a union all table t", "SELECT: a t" }, { SQL_MYSQL, "select 1 from a where x in (table t)", "SELECT: a t" }, { SQL_MYSQL, "insert into a table t", "INSERT: a t" },
		/* statements in others */
		{ SQL_PGSQL, "copy (delete from t returning *) to stdout", "COPY+DELETE: t" }, { SQL_PGSQL, "copy (table t) to stdout", "COPY: t" },
		{ SQL_PGSQL, "explain analyze with a as (delete from t returning 1) select * from a, u", "EXPLAIN+DELETE: t u" }, { SQL_PGSQL, "explain with a as (select 1) select * from a, u", "EXPLAIN: u" },
		{ SQL_PGSQL, "create table a as with b as (update t set x=1 returning *) select * from b", "CREATE+UPDATE: a t b" }, { SQL_PGSQL, "prepare p (int) as delete from t", "PREPARE+DELETE: t" },
		{ SQL_PGSQL, "prepare p as select 1 as delete from t", "PREPARE: t" }, { SQL_PGSQL, "create rule r as on insert to a do also delete from t", "CREATE:" },
		{ SQL_PGSQL, "insert into t (a) values (1) on conflict do update set a=1", "INSERT: t" }, { SQL_PGSQL, "create table t (update int, delete int, a text)", "CREATE: t" },
		{ SQL_MYSQL, "select lower(replace(a, 'b', 'c')), (insert('a', 1, 2, 'b')) from t", "SELECT: t" }, { SQL_MYSQL, "prepare s from 'drop table t'", "PREPARE?:" },
		/* nothing between statements */
		{ SQL_TSQL, "select * from a drop table t", "SELECT+DROP: a t" }, { SQL_TSQL, "select 1 from a delete from t where i=1 update u set x=1", "SELECT+DELETE+UPDATE: a t u" },
		{ SQL_TSQL, "print 1 select * from t", "OTHER: t" }, { SQL_TSQL, "declare @i int select * from t exec p use b", "DECLARE+SELECT+EXEC+USE: t" },
		{ SQL_TSQL, "begin delete t end", "BEGIN+DELETE: t" }, { SQL_TSQL, "delete top (1) from t; update top (5) percent u set a=1; delete top ((1) + 1) v", "DELETE+UPDATE+DELETE: t u v" }, { SQL_TSQL, "if exists (select 1 from a) insert t values (1)", "OTHER+INSERT: a t" }, { SQL_TSQL, "exec ('drop table t')", "EXEC?:" },
		{ SQL_TSQL, "exec p 'x'", "EXEC:" }, { SQL_TSQL, "insert a select * from (delete t output deleted.*) as d", "INSERT+DELETE: a t" }, { SQL_TSQL, "select 1 union all select 2 from t", "SELECT: t" },
		{ SQL_TSQL, "merge into a using b on a.i=b.i when matched then update set x=1 when not matched then insert (x) values (1) when not matched by source then delete;", "MERGE: a b" },
		{ SQL_TSQL, "alter table t drop column a", "ALTER: t" }, { SQL_TSQL, "alter table t alter column a int", "ALTER: t" }, { SQL_TSQL, "alter table t add a int drop table u", "ALTER+DROP: t u" },
		{ SQL_TSQL, "grant select, insert, update on t to u", "GRANT:" }, { SQL_TSQL, "grant create table to u", "GRANT:" }, { SQL_TSQL, "create trigger g on t after insert, update as delete from u", "CREATE: t" },
		{ SQL_TSQL, "with a as (select 1 x) delete from a", "DELETE:" }, { SQL_TSQL, "create table t (a int references u on delete cascade on update no action)", "CREATE: t" },
		{ SQL_ANSI, "begin delete from t; update u set a=1; end;", "BEGIN+DELETE+UPDATE+END: t u" }, { SQL_ANSI, "begin execute immediate 'drop table t'; end;", "BEGIN+EXECUTE+END?:" },
		{ SQL_ANSI, "declare c cursor for select * from t for update of a", "DECLARE: t" },
		/* what servers read in several ways */
		{ SQL_PGSQL, "select * from a -- x\r, t", "SELECT: a t" }, { SQL_MYSQL, "select * from a -- x\r, t", "SELECT: a" }, { SQL_TSQL, "select * from a -- x\r, t", "SELECT?: a" },
		{ SQL_TSQL, "select * from a -- x\r\n, t", "SELECT: a t" }, { SQL_ANSI, "select * from a /* /* */ , t", "SELECT?: a" }, { SQL_PGSQL, "select * from U&\"\\0061\"", "SELECT?: U" },
		{ SQL_MYSQL, "select * from /*!99999 a */ t", "SELECT?: a" }, { SQL_MYSQL, "select * from a /*!99999 ' */, t -- '", "SELECT?: a" }, { SQL_MYSQL, "select /*!40001 SQL_NO_CACHE */ * from t", "SELECT: t" },
		{ SQL_MYSQL, "select /*M!100100 1 */ * from t", "SELECT: t" }, { SQL_MYSQL, "select * from /*M! a */ t", "SELECT?: a" }, { SQL_MYSQL, "/*!40101 set names utf8 */", "SET:" },
		{ SQL_MYSQL, "select * from /*!501234a */ t", "SELECT?: a" }, { SQL_MYSQL, "select * from 2a, b.3c, d.4", "SELECT: 2a b.3c d.4" }, { SQL_MYSQL, "select 1e5, 0x12, 2 from t", "SELECT: t" },
		{ SQL_MYSQL, "select * from a join\240t on 1", "SELECT?: a" }, { SQL_TSQL, "select * from a join\302\240t on 1=1", "SELECT?: a" }, { SQL_MYSQL, "select * from caf\303\251", "SELECT: caf\303\251" },
		{ SQL_ANSI, "select q'[']' from t --'", "SELECT: t" }, { SQL_ANSI, "select nq'!it's!', q from t", "SELECT: t" },
		{ SQL_ANSI, "select 'open from t", "SELECT:" }, { SQL_ANSI, "select * from", "SELECT:" }, { SQL_ANSI, "drop/**/table/**/t", "DROP: t" },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = strlen(rows[i].text);
		struct sql s;
		char out[2048];

		sql_read(&s, rows[i].d, (struct bytes){ (const uint8_t *)rows[i].text, n });
		said(&s, out, sizeof(out));
		CU_ASSERT_STRING_EQUAL(out, rows[i].want);
		if (strcmp(out, rows[i].want))
			printf("\n%s\n  %s, wanted %s\n", rows[i].text, out, rows[i].want);
		for (size_t len = 0; len < n; len++) {	/* cut anywhere, in memory that ends there */
			uint8_t *copy = malloc(len ? len : 1);

			memcpy(copy, rows[i].text, len);
			for (unsigned d = SQL_MYSQL; d <= SQL_ANSI; d++)
				sql_read(&s, (enum sql_dialect)d, (struct bytes){ copy, len });
			free(copy);
		}
	}
}

static void test_bounds(void)
{
	char *text = malloc(1 << 16), out[4096];
	size_t n;
	struct sql s;

	/* more tables than are kept, a name that does not fit, more statements and brackets than are followed */
	n = (size_t)sprintf(text, "select 1 from t0");
	for (unsigned i = 1; i < 40; i++)
		n += (size_t)sprintf(text + n, ", t%u", i);
	sql_read(&s, SQL_ANSI, (struct bytes){ (const uint8_t *)text, n });
	CU_ASSERT_EQUAL(s.ntables, SQL_TABLES_MAX);
	n = (size_t)sprintf(text, "select 1 from \"");
	memset(text + n, 'x', 2000);
	n += 2000;
	n += (size_t)sprintf(text + n, "\", b");
	sql_read(&s, SQL_ANSI, (struct bytes){ (const uint8_t *)text, n });
	said(&s, out, sizeof(out));
	CU_ASSERT_STRING_EQUAL(out, "SELECT?: b");
	n = 0;
	for (unsigned i = 0; i < 30; i++)
		n += (size_t)sprintf(text + n, "select 1;");
	sql_read(&s, SQL_ANSI, (struct bytes){ (const uint8_t *)text, n });
	CU_ASSERT_EQUAL(s.nverbs, SQL_VERBS_MAX);
	CU_ASSERT_TRUE(s.partial);	/* what is left out is said to be */
	memset(text, '(', 60000);
	n = 60000 + (size_t)sprintf(text + 60000, "select 1 from t");
	sql_read(&s, SQL_ANSI, (struct bytes){ (const uint8_t *)text, n });
	CU_ASSERT_EQUAL(s.ntables, 0);
	CU_ASSERT_TRUE(s.partial);
	for (unsigned k = 0; k < 5; k++) {	/* what could be made to cost more than its length */
		const char *const units[] = { "$a", "/*", "a.", "''", "((" };

		for (n = 0; n + 2 < 60000; n += 2)
			memcpy(text + n, units[k], 2);
		for (unsigned d = SQL_MYSQL; d <= SQL_ANSI; d++)
			sql_read(&s, (enum sql_dialect)d, (struct bytes){ (const uint8_t *)text, n });
		CU_ASSERT(s.nverbs <= 1);	/* "a.a.a" is a word */
	}
	free(text);
}

static void test_begins(void)
{
	static const struct { const char *text; bool want; } rows[] = {
		{ "select 1", true }, { " /* x */ (SELECT 1)", true }, { "-- x\nset a=1", true }, { "selects", false }, { "", false }, { "from", false }, { "\1\2", false }, { "if", false },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT_EQUAL(sql_begins(SQL_ANSI, (struct bytes){ (const uint8_t *)rows[i].text, strlen(rows[i].text) }), rows[i].want);
}

const struct unit_test tests_sql[] = {
	{ "verbs and tables", test_statements },
	{ "bounds", test_bounds },
	{ "what begins a statement", test_begins },
	{ NULL, NULL },
};
