# SPDX-License-Identifier: GPL-2.0-or-later
"""MariaDB: statements as text and prepared, databases, errors, TLS."""
from stage import SERVER, SERVER6, talk

NEEDS = ['mariadbd', 'mariadb-install-db', 'mariadb']


def server(s, *more):
    data = s.directory('data', 'mysql', 0o700)
    s.run('mariadb-install-db', '--no-defaults', '--user=mysql', '--datadir=' + data, '--auth-root-authentication-method=normal', '--skip-test-db', '--skip-name-resolve')
    sock = s.directory('run', 'mysql') + '/sock'
    s.start('mariadbd', '--no-defaults', '--user=mysql', '--datadir=' + data, '--socket=' + sock, '--bind-address=*', '--port=3306', '--skip-name-resolve',
            '--innodb-flush-log-at-trx-commit=0', *more)
    s.listening(3306)
    s.run('mariadb', '--no-defaults', '-S', sock, '-u', 'root', input='''CREATE DATABASE shop; CREATE DATABASE audit;
CREATE USER 'clerk'@'%' IDENTIFIED BY 'open sesame'; GRANT ALL ON shop.* TO 'clerk'@'%'; GRANT ALL ON audit.* TO 'clerk'@'%';
CREATE TABLE shop.orders (id INT PRIMARY KEY AUTO_INCREMENT, item VARCHAR(40), n INT); CREATE TABLE shop.items (item VARCHAR(40) PRIMARY KEY, price INT);
INSERT INTO shop.items VALUES ('book', 12), ('pen', 1);
''')


@talk(app='mysql', port=3306, needs=NEEDS + ['python:pymysql'], facts=[
    ('mysql', {'command': 'login', 'user': 'clerk', 'database': 'shop', 'version': ...}),
    ('mysql', {'command': 'query', 'query': "INSERT INTO orders (item, n) VALUES ('book', 2)", 'operation': 'INSERT', 'tables': ['orders']}),
    ('mysql', {'command': 'query', 'operation': 'SELECT', 'tables': ['orders', 'items']}),
    ('mysql', {'command': 'query', 'operation': 'UPDATE', 'tables': ['orders']}),
    ('mysql', {'command': 'query', 'operation': 'SELECT', 'tables': ['nowhere'], 'error_code': 1146, 'sqlstate': '42S02'}),
    ('mysql', {'command': 'init_db', 'database': 'audit'}),
    ('mysql', {'command': 'query', 'operation': 'CREATE', 'tables': ['log']}),
    ('mysql', {'command': 'ping'}),
    ('mysql', {'command': 'query', 'operation': 'DROP', 'tables': ['log']}),
    ('mysql', {'command': 'quit'}),
    ('mysql', {'command': 'login', 'user': 'clerk', 'error_code': 1045, 'sqlstate': '28000'}),
], tshark={'mysql.query': ('mysql', 'query'), 'mysql.user': ('mysql', 'user')})
def mysql_mariadb(s):
    server(s)
    import pymysql
    with s.capture(), s.client():
        c = pymysql.connect(host=SERVER, user='clerk', password='open sesame', database='shop', autocommit=True)
        q = c.cursor()
        q.execute("INSERT INTO orders (item, n) VALUES (%s, %s)", ('book', 2))
        q.execute('SELECT o.id, i.price FROM orders AS o JOIN items i ON i.item = o.item WHERE o.n > 1')
        assert q.fetchall() == ((1, 12),)
        q.execute('UPDATE `orders` SET n = n + 1 WHERE id = 1')
        try:
            q.execute('SELECT * FROM nowhere')
        except pymysql.err.ProgrammingError:
            pass
        c.select_db('audit')
        q.execute('CREATE TABLE log (t TEXT)')
        c.ping(reconnect=False)
        q.execute('DROP TABLE log')
        c.close()
        try:
            pymysql.connect(host=SERVER, user='clerk', password='wrong')
        except pymysql.err.OperationalError:
            pass


@talk(app='mysql', port=3306, needs=NEEDS + ['perl', '/usr/lib/x86_64-linux-gnu/perl5/5.36/DBD/MariaDB.pm'], facts=[
    ('mysql', {'command': 'login', 'user': 'clerk', 'database': 'shop'}),
    ('mysql', {'command': 'stmt_prepare', 'query': 'INSERT INTO orders (item, n) VALUES (?, ?)', 'operation': 'INSERT', 'tables': ['orders']}),
    ('mysql', {'command': 'stmt_execute', 'query': 'INSERT INTO orders (item, n) VALUES (?, ?)', 'operation': 'INSERT', 'tables': ['orders']}),
    ('mysql', {'command': 'stmt_execute', 'query': 'INSERT INTO orders (item, n) VALUES (?, ?)', 'operation': 'INSERT', 'tables': ['orders']}),
    ('mysql', {'command': 'stmt_prepare', 'query': 'SELECT item, n FROM orders WHERE n > ?', 'operation': 'SELECT'}),
    ('mysql', {'command': 'stmt_execute', 'query': 'SELECT item, n FROM orders WHERE n > ?', 'tables': ['orders']}),
    ('mysql', {'command': 'stmt_prepare', 'query': 'DELETE FROM nothing WHERE x = ?', 'error_code': 1146}),
    ('mysql', {'command': 'quit'}),
])
def mysql_prepared(s):
    server(s)
    prog = s.file('talk.pl', r'''
use DBI;
my $d = DBI->connect("DBI:MariaDB:database=shop;host=%s", "clerk", "open sesame", { mariadb_server_prepare => 1, RaiseError => 1, PrintError => 0 });
my $i = $d->prepare("INSERT INTO orders (item, n) VALUES (?, ?)");
$i->execute("book", 3);
$i->execute("pen", 100);
my $q = $d->prepare("SELECT item, n FROM orders WHERE n > ?");
$q->execute(2);
die "rows" unless 2 == @{$q->fetchall_arrayref};
eval { $d->prepare("DELETE FROM nothing WHERE x = ?"); };
die "no error" unless $@;
$q->finish; undef $q; undef $i;
$d->disconnect;
''' % SERVER)
    with s.capture():
        s.say('perl', prog)


@talk(app='tls', port=3306, needs=NEEDS + ['openssl'], facts=[
    ('mysql', {'command': 'ssl_request'}),
    ('tls', {'version': ...}),
], never=[('mysql', {'command': 'query'})])
def tls_mysql(s):
    s.run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', s.path('key.pem'), '-out', s.path('cert.pem'), '-days', '2',
          '-subj', '/CN=db.example')
    for f in ('key.pem', 'cert.pem'):
        s.run('chown', 'mysql', s.path(f))
    server(s, '--ssl-cert=' + s.path('cert.pem'), '--ssl-key=' + s.path('key.pem'))
    with s.capture():
        s.say('mariadb', '--no-defaults', '-h', SERVER6, '-u', 'clerk', '-popen sesame', '--ssl', '-e', 'SELECT 1', 'shop')


@talk(app='mysql', port=3306, needs=NEEDS, facts=[
    ('mysql', {'command': 'login', 'user': 'clerk', 'database': 'shop'}),
    ('mysql', {'command': 'query', 'query': 'SHOW TABLES', 'operation': 'SHOW'}),
    ('mysql', {'command': 'query', 'operation': 'DELETE', 'tables': ['orders']}),
    ('mysql', {'command': 'query', 'operation': 'BEGIN'}),
    ('mysql', {'command': 'query', 'operation': 'INSERT', 'tables': ['orders', 'items']}),
    ('mysql', {'command': 'query', 'operation': 'ROLLBACK'}),
    ('mysql', {'command': 'init_db', 'database': 'audit'}),
    ('mysql', {'command': 'query', 'error_code': 1064, 'sqlstate': '42000'}),
])
def mysql_client(s):
    """The command line client, over IPv6."""
    server(s)
    with s.capture():
        s.say('mariadb', '--no-defaults', '-h', SERVER6, '-u', 'clerk', '-popen sesame', '--skip-ssl', '--force', 'shop', input='''SHOW TABLES;
DELETE FROM orders WHERE id = 7;
BEGIN;
INSERT INTO orders (item, n) SELECT item, 1 FROM items;
ROLLBACK;
USE audit
BOTH ways;
''', check=False)


@talk(app='mysql', port=3306, needs=NEEDS, facts=[
    ('mysql', {'command': 'login', 'user': 'clerk', 'database': 'shop'}),
    ('mysql', {'command': 'query', 'operation': 'LOAD', 'tables': ['items'], 'infile': ...}),
    ('mysql', {'command': 'query', 'query': 'SELECT COUNT(*) FROM items', 'tables': ['items']}),
    ('mysql', {'command': 'query', 'operation': 'CALL'}),
    ('mysql', {'command': 'quit'}),
    ('mysql', {'command': 'login', 'user': 'clerk', 'compressed': True}),
], never=[('anomaly', {})])
def mysql_infile(s):
    """The server asks for a file of the client's; a login whose commands are compressed."""
    server(s, '--local-infile=1')
    name = s.file('items.csv', 'ink,3\npaper,2\n')
    with s.capture():
        say = ['mariadb', '--no-defaults', '-h', SERVER, '-u', 'clerk', '-popen sesame', '--skip-ssl']
        s.say(*say, '--local-infile=1', '-e', "LOAD DATA LOCAL INFILE '%s' INTO TABLE items FIELDS TERMINATED BY ','; SELECT COUNT(*) FROM items; CALL nothing()" % name, 'shop', check=False)
        s.say(*say, '--compress', '-e', "SELECT REPEAT('x', 2000)", 'shop')
