# SPDX-License-Identifier: GPL-2.0-or-later
"""Each matcher against a real server of its protocol and its usual client: what a rule denies never reaches the server, what it lets by works, in the same
session where there is one. On the server's side and on the client's, IPv4 and IPv6; on the mirror it is told.

How a server is started stands in tests/servers/talks: a Stage in the lab's container is given to it. Those that Debian has no server for are in
test_matchers_more.py."""
import os, socket, subprocess

from matchers import held, policy
import stage
from lablib import Lab, wait_for
from traffic import connect


# ---- SQL ----

def test_pgsql_drop_table():
    import postgresql

    def talk(s, host, inline):
        env = dict(postgresql.ENV, PGSSLMODE='disable', PGCONNECT_TIMEOUT='10')
        psql = ('psql', '-h', host, '-U', 'clerk', '-d', 'shop', '-At')
        ok, out = s.client_says(*psql, '-c', 'SELECT price FROM items', '-c', "INSERT INTO orders (item, n) VALUES ('pen', 1)", env=env)
        assert ok and out.startswith('12\n'), out
        ok, out = s.client_says(*psql, '-c', 'SELECT price FROM items', '-c', 'DROP TABLE IF EXISTS public.orders', '-c', 'SELECT 1', env=env)
        assert out.startswith('12\n') and (not inline or not ok), out
        local = ('psql', '-h', s.path('run'), '-U', 'clerk', '-d', 'shop', '-At', '-c')
        if inline:
            assert s.run(*local, "SELECT count(*) FROM pg_tables WHERE tablename = 'orders'").strip() == '1'
        else:
            s.run(*local, 'CREATE TABLE IF NOT EXISTS orders (item TEXT, n INT)')

    held(postgresql.NEEDS, postgresql.server, 5432, policy('pgsql', deny='{verbs: [drop, truncate], tables: [orders]}'), talk, request={'operation': 'DROP', 'tables': 'public.orders'})


def test_mysql_user_and_table():
    import mysql

    def talk(s, host, inline):
        client = ('mariadb', '--no-defaults', '-h', host, '-u', 'clerk', '-popen sesame', '-N', '--connect-timeout=10', '--skip-reconnect', 'shop', '-e')
        ok, out = s.client_says(*client, "SELECT price FROM items WHERE item = 'book'; INSERT INTO orders (item, n) VALUES ('pen', 1);")
        assert ok and out == '12\n', out
        ok, out = s.client_says(*client, "SELECT 41 + 1; DELETE FROM shop.items; SELECT 43")
        assert out.startswith('42\n') and (not inline or (not ok and '43' not in out)), out
        if inline:
            assert s.run('mariadb', '--no-defaults', '-S', s.path('run', 'sock'), '-u', 'root', '-N', '-e', 'SELECT count(*) FROM shop.items').strip() == '2'
        else:
            s.run('mariadb', '--no-defaults', '-S', s.path('run', 'sock'), '-u', 'root', '-N', '-e', "REPLACE INTO shop.items VALUES ('book', 12), ('pen', 1)")

    held(mysql.NEEDS, mysql.server, 3306, policy('mysql', deny='{verbs: [DELETE, DROP], tables: [items]}'), talk, request={'operation': 'DELETE', 'tables': 'shop.items'})


# ---- queues ----

AMQP = '''
import sys, pika
def session():
    return pika.BlockingConnection(pika.ConnectionParameters(sys.argv[1], 5672, '/', pika.PlainCredentials('guest', 'guest'), socket_timeout=10, blocked_connection_timeout=10))
def drain(h):
    got = []
    while (m := h.basic_get('orders', auto_ack=True))[0]:
        got.append(m[0].routing_key)
    return got
c = session()
h = c.channel()
h.exchange_declare('shop', 'topic')
h.queue_declare('orders')
h.queue_purge('orders')
h.queue_bind('orders', 'shop', '#')
h.basic_publish('shop', 'order.new', b'two books')
while (got := drain(h)) == []:
    c.sleep(0.1)
print('first', got)
try:
    h.basic_publish('shop', 'admin.shutdown', b'now')
    h.basic_publish('shop', 'order.paid', b'12')
    c.sleep(1)
    c.close()
    print('goes on')
except (pika.exceptions.AMQPError, OSError):
    print('cut off')
c = session()
print('then', drain(c.channel()))
c.close()
'''


def test_amqp_topic():
    import rabbitmq

    def talk(s, host, inline):
        ok, out = s.client_says('/usr/bin/python3', '-c', AMQP, host)
        assert ok and out.startswith("first ['order.new']\n"), out
        assert not inline or out.endswith('cut off\nthen []\n'), out

    held(rabbitmq.NEEDS, rabbitmq.server, 5672, policy('amqp', deny='{operations: [basic.publish], topics: ["admin.*"]}'), talk,
         request={'operation': 'basic.publish', 'routing_key': 'admin.shutdown'})


def test_mqtt_topic():
    import mqtt

    def talk(s, host, inline):
        login = ('-h', host, '-u', 'sensor', '-P', 'open sesame')
        heard = s.path('heard')
        with s.client(), open(heard, 'w') as f:     # from the lab's own end: not what is judged
            sub = subprocess.Popen(['ip', 'netns', 'exec', s.ns('server'), 'mosquitto_sub', '-h', '127.0.0.1', '-u', 'sensor', '-P', 'open sesame', '-t', '#', '-v'], stdout=f,
                                   stderr=f, stdin=subprocess.DEVNULL)
        said = lambda: open(heard).read()
        try:
            def subscribed():
                s.run('mosquitto_pub', '-h', '127.0.0.1', '-u', 'sensor', '-P', 'open sesame', '-t', 'hello', '-m', 'you')
                return 'hello' in said()
            wait_for('the subscriber hears', subscribed, 10, 0.1)
            ok, out = s.client_says('mosquitto_pub', *login, '-q', '1', '-t', 'plant/1/valve', '-m', 'shut')
            assert ok, out
            wait_for('it hears the allowed one', lambda: 'plant/1/valve shut' in said())
            ok, out = s.client_says('timeout', '5', 'mosquitto_pub', *login, '-q', '1', '-t', 'alarms/plant/off', '-m', 'now')
            assert not inline or not ok, out
            ok, out = s.client_says('mosquitto_pub', *login, '-q', '1', '-t', 'plant/1/last', '-m', 'one')
            assert ok, out
            wait_for('it hears the last one', lambda: 'last one' in said())
            assert not inline or 'alarms' not in said(), said()
        finally:
            sub.terminate()
            sub.wait(5)

    held(['mosquitto', 'mosquitto_passwd', 'mosquitto_pub', 'mosquitto_sub'], mqtt.server, 1883, policy('mqtt', deny='{operations: [publish], topics: ["alarms/*"]}'), talk,
         request={'operation': 'publish', 'topic': 'alarms/plant/off'})


def test_nats_subject():
    def serve(s):
        s.start('nats-server', '-a', '::', '-p', '4222')
        s.listening(4222)

    def talk(s, host, inline):
        c = connect(s.ns('client'), host, 4222)
        stage.hear(c, b'\r\n')
        c.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\nSUB orders.* 1\r\nPUB orders.new 9\r\ntwo books\r\n')
        stage.hear(c, b'two books\r\n')
        watch = connect(s.ns('server'), '127.0.0.1', 4222)
        stage.hear(watch, b'\r\n')
        watch.sendall(b'CONNECT {"verbose":false}\r\nSUB > 1\r\nPING\r\n')
        stage.hear(watch, b'PONG\r\n')
        try:
            c.sendall(b'PUB admin.stop 3\r\nnow\r\nPING\r\n')
            answer = c.recv(4096)
        except ConnectionResetError:
            answer = b''
        assert not inline or answer == b'', answer
        watch.sendall(b'PUB end 0\r\n\r\n')
        heard = stage.hear(watch, b'MSG end 1 0\r\n\r\n')
        assert not inline or b'admin' not in heard, heard
        c.close()
        watch.close()

    held(['nats-server'], serve, 4222, policy('nats', deny='{operations: [PUB, HPUB], topics: ["admin.*"]}'), talk, request={'operation': 'PUB', 'subject': 'admin.stop'})


# ---- files, calls, shells ----

def test_smb_share():
    import files

    def serve(s):
        files.samba(s)
        s.directory('secrets', mode=0o777)
        s.file('secrets/plan.txt', 'attack at dawn\n')
        with open(s.path('smb.conf'), 'a') as f:
            f.write('[secret]\n path = %s\n read only = no\n force user = root\n' % s.path('secrets'))

    def talk(s, host, inline):
        def client(share, words):
            return s.client_says('smbclient', '-s', s.path('smb.conf'), '//%s/%s' % (host, share), '-U', 'root%secret', '-c', words)
        ok, out = client('data', 'put %s up.txt; ls' % s.path('up.txt'))
        assert ok and 'up.txt' in out, out
        ok, out = client('secret', 'get plan.txt -')
        assert not inline or (not ok and 'attack' not in out), out

    held(['smbd', 'smbclient', 'smbpasswd'], serve, 445, policy('smb', deny=r'{shares: ["*\\secret"]}'), talk)


def test_grpc_method():
    import grpc as talks_grpc       # the file of talks, which comes first
    client = '''
import sys, grpc
with grpc.insecure_channel(sys.argv[1]) as ch:
    print(ch.unary_unary('/shop.Orders/Place')(b'two books', timeout=10))
    try:
        print(list(ch.unary_stream('/shop.Orders/Watch')(b'7', timeout=3)))
    except grpc.RpcError as e:
        print(e.code())
'''

    def serve(s):
        s.start('/usr/bin/python3', '-c', talks_grpc.PROGRAM)
        s.listening(50051)

    def talk(s, host, inline):
        ok, out = s.client_says('/usr/bin/python3', '-c', client, ('ipv6:[%s]:50051' if ':' in host else '%s:50051') % host)
        assert "order two books" in out and (not inline or 'packed' not in out), out

    held([], serve, 50051, policy('grpc', deny='{services: [shop.Orders], methods: [Watch]}'), talk)


def test_ssh_version():
    def serve(s):
        os.makedirs('/run/sshd', exist_ok=True)
        s.run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', s.path('host'))
        s.file('sshd_config', 'Port 22\nHostKey %s\nUsePAM no\nPidFile none\n' % s.path('host'))
        s.start('/usr/sbin/sshd', '-D', '-e', '-f', s.path('sshd_config'))
        s.listening(22)

    def talk(s, host, inline):
        ok, out = s.client_says('ssh', '-v', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', 'nobody@' + host, 'true')
        assert 'Permission denied' in out, out      # that far it got
        c = connect(s.ns('client'), host, 22)
        try:
            c.sendall(b'SSH-1.99-old\r\n' + b'\0' * 200)
            rest = b''
            while (d := c.recv(4096)):
                rest += d
        except ConnectionResetError:
            rest = b'reset'
        assert not inline or rest == b'reset', rest
        c.close()

    held(['/usr/sbin/sshd', 'ssh', 'ssh-keygen'], serve, 22, policy('ssh', deny='{versions: ["1.*"]}'), talk)


# ---- TLS, DNS ----

def test_tls_issuer():
    def serve(s):
        s.lab.tls_server('web')

    def talk(s, host, inline):
        at = '[%s]:443' % host if ':' in host else host + ':443'
        ok, out = s.client_says('openssl', 's_client', '-tls1_3', '-connect', at, input='GET / HTTP/1.0\r\n\r\n')       # its certificate is sealed
        assert 'BEGIN CERTIFICATE' in out, out
        ok, out = s.client_says('openssl', 's_client', '-tls1_2', '-connect', at, input='GET / HTTP/1.0\r\n\r\n')
        assert not inline or not ok and 'BEGIN CERTIFICATE' not in out, out

    held(['openssl'], serve, 443, policy('tls', deny='{issuer: ["*secure.example*"], versions: ["TLS 1.2"]}'), talk)


def test_dns_type():
    def serve(s):
        s.lab.dnsmasq('web', records=(('api.example', '10.9.8.7'), ('api.example', 'fd00::7')))

    def talk(s, host, inline):
        dig = ('dig', '@' + host, '+short', '+tries=1', '+timeout=2')
        assert s.client_says(*dig, 'api.example', 'A')[1].strip() == '10.9.8.7'
        ok, out = s.client_says(*dig, 'api.example', 'AAAA')
        assert not inline or 'fd00::7' not in out, out

    held(['dnsmasq', 'dig'], serve, 53, policy('dns', deny='{types: [AAAA]}'), talk, proto='udp', request={'rrname': 'api.example'})


# ---- actions ----

ACTIONS = '''version: 1
default: {mode: protect}
groups:
  - {name: web, match: {workload: web}}
rules:
  - {id: 10, from: any, to: web, redis: {commands: [FLUSHALL]}, action: deny}
  - {id: 11, from: any, to: web, redis: {keys: ["secret:*"]}, action: drop}
  - {id: 12, from: any, to: web, redis: {commands: [KEYS]}, action: alert}
  - {id: 20, from: any, to: web, apps: [redis], action: allow}
  - {id: 90, from: web, to: any, action: allow}
'''


def resp(*words):
    return b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w), w) for w in words)


def test_actions_on_a_key():
    """deny: both ends are reset. drop: silence, the server still waits. alert: passes and is told."""
    for side, per in (('server', {'web': 'side: server', 'client': 'mode: tc'}), ('client', {'web': 'mode: tc', 'client': 'side: client'})):
        with Lab(outside=False) as lab:
            lab.redis('web')
            lab.start_tapqd(mode='mixed', apps=('tcp/6379',), policy=ACTIONS, per=per)
            for host in (lab.v4('web'), lab.v6('web')):
                c = connect(lab.ns('client'), host, 6379, timeout=2)
                c.sendall(resp(b'SET', b'open:1', b'x'))
                assert c.recv(100) == b'+OK\r\n'
                c.sendall(resp(b'KEYS', b'open:*'))
                assert b'open:1' in c.recv(100)
                c.sendall(resp(b'FLUSHALL'))
                try:
                    answer = c.recv(100)
                except ConnectionResetError:
                    answer = 'reset'
                assert answer == 'reset', answer
                c.close()
                c = connect(lab.ns('client'), host, 6379, timeout=2)
                c.sendall(resp(b'GET', b'open:1'))
                assert c.recv(100) == b'$1\r\nx\r\n'
                c.sendall(resp(b'GET', b'secret:1'))
                try:
                    answer = c.recv(100)
                except socket.timeout:
                    answer = 'silence'
                assert answer == 'silence', answer
                clients = lab.exec('web', 'redis-cli', '-p', '6379', 'CLIENT', 'LIST').stdout
                assert len([line for line in clients.splitlines() if 'addr=127.' not in line and line]) == 1, clients
                c.close()
                lab.exec('web', 'redis-cli', '-p', '6379', 'CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
            assert lab.stop_tapqd() == 0
            told = sorted((a['alert']['signature_id'], a['tapq']['verdict'], a['alert']['action'], a['tapq']['enforced']) for a in lab.events('alert'))
            assert told == sorted([(10, 'deny', 'blocked', True), (11, 'drop', 'blocked', True), (12, 'alert', 'allowed', False)] * 2), (side, told)
