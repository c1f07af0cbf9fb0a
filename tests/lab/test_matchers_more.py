# SPDX-License-Identifier: GPL-2.0-or-later
"""Matchers of what Debian has no server for, as test_matchers.py holds the others: the client is the real one. Kafka's broker is the one that librdkafka brings for tests;
tests/servers/own has as much of MongoDB, SQL Server and Oracle as their clients need to be content. deny, drop and alert, each on both families."""
from matchers import held, policy

SIDE_BY_SIDE = 3        # they wait for clients that nobody answers


# ---- kafka ----

def test_kafka_topic():
    import kafka
    port = []

    def talk(s, host, inline):
        way = kafka.way(s, port[0], host)
        mark = ('v6' if ':' in host else 'v4') + (' inline' if inline else ' mirror')
        produce = lambda topic: s.client_says(*kafka.produce(port[0], topic), input=mark + '\n')[0]
        stored = lambda topic: s.run(*kafka.consume(port[0], topic))        # from the lab's own end: not what is judged
        try:
            assert produce('orders')
            ok, read = s.client_says(*kafka.consume(port[0], 'orders'))
            assert ok and mark in read, read
            assert produce('audit.log') and mark in stored('audit.log')
            sent = produce('admin.stop')
            assert not inline or (not sent and mark not in stored('admin.stop'))
            s.run(*kafka.produce(port[0], 'vault'), input=mark + '\n')
            ok, read = s.client_says(*kafka.consume(port[0], 'vault', 1))
            assert not inline or mark not in read, read
            assert produce('orders')        # all this stopped nobody else
        finally:
            s.end(way)

    held(kafka.NEEDS, lambda s: port.append(kafka.server(s)), 9092,
         policy('kafka', deny='{operations: [Produce], topics: ["admin.*"]}', drop='{operations: [Fetch], topics: [vault]}', alert='{operations: [Produce], topics: ["audit.*"]}'), talk,
         request={'api': ('Produce', 'Fetch'), 'topics': ('admin.stop', 'vault', 'audit.log')})


# ---- mongodb ----

MONGO = '''
import sys, pymongo
def ask(what):
    c = pymongo.MongoClient(sys.argv[1], 27017, retryReads=False, retryWrites=False, socketTimeoutMS=1000, serverSelectionTimeoutMS=5000)
    try:
        print(what(c.shop))
    except pymongo.errors.PyMongoError as e:
        print(type(e).__name__)
    c.close()
def fill(db):
    db.orders.insert_one({'_id': 1, 'item': 'book'})
    db.orders.insert_many([{'_id': 2}, {'_id': 3}])
    return [o['_id'] for o in db.orders.find()]
def drop(db):
    print(db.items.delete_many({}).deleted_count, len(list(db.orders.find())))
    return db.orders.drop()
ask(fill)
ask(lambda db: db.audit.estimated_document_count())
ask(drop)
ask(lambda db: list(db.vault.find()))
ask(lambda db: db.orders.delete_many({}).deleted_count)
'''


def test_mongodb_collection():
    import mongodb
    asked = []

    def talk(s, host, inline):
        before = len(asked[0]())
        ok, out = s.client_says('/usr/bin/python3', '-c', MONGO, '[%s]' % host if ':' in host else host)
        lines, came = out.splitlines(), [line for line in asked[0]()[before:] if not line.lower().startswith(('ismaster', 'endsessions'))]
        assert ok and lines[:3] == ['[1, 2, 3]', '0', '0 3'], out
        if inline:
            assert lines[3:] == ['AutoReconnect', 'NetworkTimeout', '3'], (host, out)
            assert came == ['insert orders', 'insert orders', 'find orders', 'count audit', 'delete items', 'find orders', 'delete orders'], came

    held(mongodb.NEEDS, lambda s: asked.append(mongodb.server(s)), mongodb.PORT,
         policy('mongodb', deny='{commands: [drop, dropDatabase], collections: [orders]}', drop='{collections: ["v*"]}', alert='{commands: [count], collections: [audit]}'), talk,
         request={'command': ('drop', 'find', 'count'), 'collection': ('orders', 'vault', 'audit')})


# ---- tds ----

def test_tds_drop_table():
    import sqlserver
    asked = []

    def talk(s, host, inline):
        def tsql(user, *batches):
            argv, env = sqlserver.tsql(s, host, user)
            return s.client_says(*argv, input=''.join(b + '\ngo\n' for b in batches), env=env)[1]
        before = len(asked[0]())
        out = tsql('clerk', "SELECT price FROM items WHERE item = 'book'", "UPDATE items SET price = 12", 'SELECT price FROM items', 'DROP TABLE orders')
        assert out.startswith('12\n12\n12\n'), out
        intern = tsql('intern', 'SELECT 41 + 1')
        last = tsql('clerk', 'DROP TABLE IF EXISTS elsewhere', 'SELECT 42 + 1')
        assert last == '43\n', last
        came = asked[0]()[before:]
        if inline:
            assert '42' not in intern, intern
            assert came[4:] == ['login clerk shop', 'DROP TABLE IF EXISTS elsewhere', 'SELECT 42 + 1'], came
        elif 'DROP TABLE orders' in came:
            tsql('clerk', 'CREATE TABLE orders (item, n)')

    held(sqlserver.NEEDS, lambda s: asked.append(sqlserver.server(s)), sqlserver.PORT,
         policy('tds', deny='{databases: [shop], verbs: [drop, truncate], tables: [ORDERS]}', drop='{users: [intern]}', alert='{users: [clerk], verbs: [UPDATE]}'), talk,
         request={'operation': ('DROP', 'UPDATE'), 'tables': 'orders', 'user': 'intern'})


# ---- tns ----

ORACLE = '''
import sys, oracledb
def session(name):
    return oracledb.connect(user='clerk', password='open sesame', host=sys.argv[1], port=1521, service_name=name)
def attempt(c, *statements):
    try:
        q = c.cursor()
        for st in statements:
            q.execute(st)
        c.close()
        print('done')
    except (oracledb.Error, OSError) as e:
        print('cut off')
if sys.argv[2] == 'archive':
    print('in', session('archive').version)
else:
    attempt(session('shop'), "INSERT INTO orders (item, n) VALUES ('book', 2)", "UPDATE items SET price = 12", 'DROP TABLE elsewhere')
    attempt(session('shop'), "DELETE FROM items WHERE item = 'pen'", "DROP TABLE shop.orders")
'''


def test_tns_drop_table():
    import oracle
    asked = []

    def talk(s, host, inline):
        before = len(asked[0]())
        ok, out = s.client_says('/usr/bin/python3', '-c', ORACLE, host, 'shop')
        said = out.splitlines()[-2:]        # before it the client complains of being cut off
        assert ok and said[0] == 'done' and (not inline or said[1] == 'cut off'), out
        ok, out = s.client_says('timeout', '1', '/usr/bin/python3', '-c', ORACLE, host, 'archive')
        came = asked[0]()[before:]
        begin = ['connect shop', 'login right']
        if inline:
            assert not ok and 'in' not in out, out
            assert came == begin + ["INSERT INTO orders (item, n) VALUES ('book', 2)", 'UPDATE items SET price = 12', 'DROP TABLE elsewhere'] + \
                begin + ["DELETE FROM items WHERE item = 'pen'"], came

    held(oracle.NEEDS, lambda s: asked.append(oracle.server(s)), oracle.PORT,
         policy('tns', deny='{users: [CLERK], verbs: [DROP, truncate], tables: [orders]}', drop='{databases: [archive]}', alert='{databases: [shop], verbs: [update]}'),
         talk, request={'operation': ('DROP', 'UPDATE'), 'tables': 'shop.orders', 'service': 'archive'})
