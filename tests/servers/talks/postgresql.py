# SPDX-License-Identifier: GPL-2.0-or-later
"""PostgreSQL: simple and extended queries, SCRAM, errors, TLS asked for and refused or granted, COPY, cancel."""
import glob

from stage import SERVER, SERVER6, talk

BIN = (sorted(glob.glob('/usr/lib/postgresql/*/bin')) or ['/usr/lib/postgresql/bin'])[-1]
NEEDS = [BIN + '/postgres', BIN + '/initdb', 'psql', 'openssl']


def server(s, tls=False):
    data = s.directory('data', 'postgres', 0o700)
    s.file('password', 'open sesame\n', 0o600, 'postgres')
    s.run(BIN + '/initdb', '-D', data, '-U', 'clerk', '-A', 'scram-sha-256', '--pwfile', s.path('password'), '-E', 'UTF8', '--no-sync', user='postgres')
    with open(data + '/pg_hba.conf', 'w') as f:
        f.write('local all all trust\nhost all all all scram-sha-256\n')
    more = []
    if tls:
        s.run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', data + '/server.key', '-out', data + '/server.crt', '-days',
              '2', '-subj', '/CN=db.example', user='postgres')
        more = ['-c', 'ssl=on']
    run = s.directory('run', 'postgres')
    s.start(BIN + '/postgres', '-D', data, '-k', run, '-c', 'listen_addresses=*', '-c', 'fsync=off', *more, user='postgres')
    s.listening(5432)

    def up():
        return 'accepting' in s.run('pg_isready', '-h', run, check=False)
    from stage import wait_for
    wait_for('postgres accepts connections', up, 30, 0.1)
    s.run('psql', '-h', run, '-U', 'clerk', '-d', 'postgres', '-c', 'CREATE DATABASE shop')
    s.run('psql', '-h', run, '-U', 'clerk', '-d', 'shop', '-c', "CREATE TABLE orders (id SERIAL PRIMARY KEY, item TEXT, n INT); CREATE TABLE items (item TEXT, price INT); INSERT INTO items VALUES ('book', 12)")


ENV = {'PGPASSWORD': 'open sesame'}


@talk(app='postgresql', port=5432, needs=NEEDS, facts=[
    ('pgsql', {'command': 'ssl_request'}),
    ('pgsql', {'command': 'startup', 'user': 'clerk', 'database': 'shop', 'application_name': 'psql', 'auth': 'sasl'}),
    ('pgsql', {'command': 'query', 'query': "INSERT INTO orders (item, n) VALUES ('book', 2);", 'operation': 'INSERT', 'tables': ['orders']}),
    ('pgsql', {'command': 'query', 'operation': 'SELECT', 'tables': ['orders', 'public.items']}),
    ('pgsql', {'command': 'query', 'tables': ['nowhere'], 'sqlstate': '42P01'}),
    ('pgsql', {'command': 'query', 'operation': 'BEGIN'}),
    ('pgsql', {'command': 'query', 'operation': 'DELETE', 'tables': ['orders']}),
    ('pgsql', {'command': 'query', 'operation': 'ROLLBACK'}),
    ('pgsql', {'command': 'query', 'operation': 'COPY', 'tables': ['items']}),
    ('pgsql', {'command': 'query', 'operation': 'CREATE', 'tables': ['log']}),
    ('pgsql', {'command': 'startup', 'user': 'clerk', 'database': 'shop', 'sqlstate': '28P01'}),
], tshark={'pgsql.query': ('pgsql', 'query')})
def postgresql_psql(s):
    server(s)
    with s.capture():
        s.say('psql', '-h', SERVER6, '-U', 'clerk', 'shop', env=ENV, input='''INSERT INTO orders (item, n) VALUES ('book', 2);
SELECT o.id FROM orders o JOIN public.items AS i USING (item);
SELECT * FROM nowhere;
BEGIN;
DELETE FROM orders WHERE n = 2;
ROLLBACK;
COPY items FROM STDIN;
pen\t1
\\.
CREATE TABLE log (t text);
''')
        s.say('psql', '-h', SERVER, '-U', 'clerk', 'shop', '-c', 'SELECT 1', env={'PGPASSWORD': 'wrong', 'PGSSLMODE': 'disable'}, check=False)


@talk(app='postgresql', port=5432, needs=NEEDS + ['python:asyncpg'], facts=[
    ('pgsql', {'command': 'startup', 'user': 'clerk', 'database': 'shop', 'auth': 'sasl'}),
    ('pgsql', {'command': 'parse', 'query': 'INSERT INTO orders (item, n) VALUES ($1, $2)', 'operation': 'INSERT', 'tables': ['orders']}),
    ('pgsql', {'command': 'execute', 'query': 'INSERT INTO orders (item, n) VALUES ($1, $2)', 'operation': 'INSERT', 'tables': ['orders']}),
    ('pgsql', {'command': 'parse', 'query': 'SELECT item FROM orders WHERE n > $1'}),
    ('pgsql', {'command': 'execute', 'operation': 'SELECT', 'tables': ['orders']}),
    ('pgsql', {'command': 'execute', 'operation': 'SELECT', 'tables': ['orders']}),
    ('pgsql', {'command': 'parse', 'query': 'SELECT * FROM nowhere WHERE x = $1', 'sqlstate': '42P01'}),
    ('pgsql', {'command': 'query', 'query': 'TRUNCATE orders', 'operation': 'TRUNCATE', 'tables': ['orders']}),
])
def postgresql_extended(s):
    server(s)
    import asyncio
    import asyncpg

    async def talking():
        c = await asyncpg.connect(host=SERVER, user='clerk', password='open sesame', database='shop', ssl=False)
        await c.execute('INSERT INTO orders (item, n) VALUES ($1, $2)', 'book', 4)
        q = await c.prepare('SELECT item FROM orders WHERE n > $1')
        assert len(await q.fetch(1)) == 1
        assert not await q.fetch(9)
        try:
            await c.fetch('SELECT * FROM nowhere WHERE x = $1', 1)
        except asyncpg.UndefinedTableError:
            pass
        await c.execute('TRUNCATE orders')
        await c.close()
    with s.capture(), s.client():
        asyncio.run(talking())


@talk(app='postgresql', port=5432, needs=NEEDS + ['python:psycopg2'], facts=[
    ('pgsql', {'command': 'startup', 'user': 'clerk', 'database': 'shop', 'application_name': 'till 4'}),
    ('pgsql', {'command': 'query', 'query': 'BEGIN', 'operation': 'BEGIN'}),
    ('pgsql', {'command': 'query', 'operation': 'PREPARE', 'tables': ['items']}),
    ('pgsql', {'command': 'query', 'operation': 'EXECUTE'}),
    ('pgsql', {'command': 'query', 'operation': 'UPDATE', 'tables': ['items']}),
    ('pgsql', {'command': 'query', 'query': 'COMMIT', 'operation': 'COMMIT'}),
    ('pgsql', {'command': 'query', 'sqlstate': '57014'}),
    ('pgsql', {'command': 'cancel'}),
], tshark={'pgsql.query': ('pgsql', 'query')})
def postgresql_psycopg(s):
    server(s)
    import threading
    import psycopg2
    with s.capture(), s.client():
        c = psycopg2.connect(host=SERVER, user='clerk', password='open sesame', dbname='shop', application_name='till 4', sslmode='disable')
        q = c.cursor()
        q.execute('PREPARE price (text) AS SELECT price FROM items WHERE item = $1')
        q.execute("EXECUTE price (%s)", ('book',))
        assert q.fetchone() == (12,)
        q.execute('UPDATE items SET price = %s WHERE item = %s', (13, 'book'))
        c.commit()
        timer = threading.Timer(1, c.cancel)
        with s.client():
            timer.start()
        try:
            q.execute('SELECT pg_sleep(30)')
        except psycopg2.errors.QueryCanceled:
            pass
        timer.join()
        c.close()


@talk(app='tls', port=5432, needs=NEEDS, facts=[
    ('pgsql', {'command': 'ssl_request'}),
    ('tls', {'version': 'TLS 1.3'}),
], never=[('pgsql', {'command': 'startup'})])
def tls_postgresql(s):
    server(s, tls=True)
    with s.capture():
        s.say('psql', '-h', SERVER, '-U', 'clerk', 'shop', '-c', 'SELECT 1', env=dict(ENV, PGSSLMODE='require'))


@talk(app='postgresql', port=5432, needs=NEEDS, facts=[
    ('pgsql', {'command': 'startup', 'user': 'clerk', 'replication': ...}),
    ('pgsql', {'command': 'query', 'query': ..., 'operation': ...}),
    ('pgsql', {'command': 'startup', 'user': 'clerk', 'database': 'shop'}),
    ('pgsql', {'command': 'query', 'operation': 'COPY', 'tables': ['items']}),
    ('pgsql', {'command': 'query', 'operations': ['INSERT', 'DELETE']}),
    ('pgsql', {'command': 'startup', 'user': 'clerk', 'database': 'nowhere', 'sqlstate': '3D000'}),
])
def postgresql_copy(s):
    """A connection of replication, COPY to the client, several statements at once, a database that is not there."""
    server(s)
    env = dict(ENV, PGSSLMODE='disable')
    with s.capture():
        s.say('psql', 'host=%s user=clerk dbname=postgres replication=database' % SERVER, '-c', 'IDENTIFY_SYSTEM', env=env)
        s.say('psql', '-h', SERVER, '-U', 'clerk', 'shop', '-c', 'COPY items TO STDOUT', '-c', "INSERT INTO items VALUES ('ink', 3); DELETE FROM items WHERE price = 3", env=env)
        s.say('psql', '-h', SERVER, '-U', 'clerk', 'nowhere', '-c', 'SELECT 1', env=env, check=False)
