# SPDX-License-Identifier: GPL-2.0-or-later
"""Each matcher against a real server of its protocol and its usual client: what a rule denies never reaches the server, what it lets by works, in the same
session where there is one; what is dropped is never answered, what is alerted on works. On the server's side and on the client's, IPv4 and IPv6; on the mirror it
is told.

How a server is started stands in tests/servers/talks: a Stage in the lab's container is given to it. Those that Debian has no server for are in
test_matchers_more.py."""
import os, socket, subprocess

from matchers import held, policy
import stage
from lablib import wait_for
from traffic import connect

SIDE_BY_SIDE = 3        # they wait for clients that nobody answers


def heard(c, request):
    """What a connection hears next, `reset` or `silence`."""
    try:
        c.settimeout(1)
        c.sendall(request)
        return c.recv(4096)
    except ConnectionResetError:
        return 'reset'
    except socket.timeout:
        return 'silence'


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
        ok, out = s.client_says(*psql, '-c', "UPDATE items SET price = 12 WHERE item = 'book'", env=env)
        assert ok, out
        ok, out = s.client_says('timeout', '1', 'psql', '-h', host, '-U', 'intern', '-d', 'shop', '-At', '-c', 'SELECT 41 + 1', env=env)
        assert not ok and (not inline or out == ''), out
        local = ('psql', '-h', s.path('run'), '-U', 'clerk', '-d', 'shop', '-At', '-c')
        if inline:
            assert s.run(*local, "SELECT count(*) FROM pg_tables WHERE tablename = 'orders'").strip() == '1'
        else:
            s.run(*local, 'CREATE TABLE IF NOT EXISTS orders (item TEXT, n INT)')

    held(postgresql.NEEDS, postgresql.server, 5432, policy('pgsql', deny='{verbs: [drop, truncate], tables: [orders]}', drop='{users: [intern]}', alert='{databases: [shop], verbs: [UPDATE]}'),
         talk, request={'operation': ('DROP', 'UPDATE'), 'tables': 'public.orders', 'user': 'intern'})


def test_mysql_user_and_table():
    import mysql

    def talk(s, host, inline):
        client = ('mariadb', '--no-defaults', '-h', host, '-u', 'clerk', '-popen sesame', '-N', '--connect-timeout=10', '--skip-reconnect', 'shop', '-e')
        ok, out = s.client_says(*client, "SELECT price FROM items WHERE item = 'book'; INSERT INTO orders (item, n) VALUES ('pen', 1);")
        assert ok and out == '12\n', out
        ok, out = s.client_says(*client, "SELECT 41 + 1; DELETE FROM shop.items; SELECT 43")
        assert out.startswith('42\n') and (not inline or (not ok and '43' not in out)), out
        ok, out = s.client_says(*client, "UPDATE items SET price = 12 WHERE item = 'book'")
        assert ok, out
        ok, out = s.client_says('timeout', '1', *client[:4], '-u', 'intern', '-popen sesame', '-N', 'shop', '-e', 'SELECT 41 + 1')
        assert not ok and (not inline or out == ''), out
        if inline:
            assert s.run('mariadb', '--no-defaults', '-S', s.path('run', 'sock'), '-u', 'root', '-N', '-e', 'SELECT count(*) FROM shop.items').strip() == '2'
        else:
            s.run('mariadb', '--no-defaults', '-S', s.path('run', 'sock'), '-u', 'root', '-N', '-e', "REPLACE INTO shop.items VALUES ('book', 12), ('pen', 1)")

    held(mysql.NEEDS, mysql.server, 3306, policy('mysql', deny='{verbs: [DELETE, DROP], tables: [items]}', drop='{users: [intern]}', alert='{databases: [shop], verbs: [UPDATE]}'), talk,
         request={'operation': ('DELETE', 'UPDATE'), 'tables': 'shop.items', 'user': 'intern'})


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
h.queue_bind('orders', 'shop', 'order.#')     # by '#' it would take in what no rule lets it have
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

AMQP_VAULT = AMQP.split('c = session()')[0] + '''
h = session().channel()
h.basic_publish('shop', 'vault.open', b'now')
print('vault', drain(h))
'''


def test_amqp_topic():
    import rabbitmq

    def talk(s, host, inline):
        ok, out = s.client_says('/usr/bin/python3', '-c', AMQP, host)
        assert ok and out.startswith("first ['order.new']\n"), out
        assert not inline or out.endswith('cut off\nthen []\n'), out
        ok, out = s.client_says('timeout', '2', '/usr/bin/python3', '-c', AMQP_VAULT, host)
        assert not inline or (not ok and 'vault' not in out), out

    held(rabbitmq.NEEDS, rabbitmq.server, 5672,
         policy('amqp', deny='{operations: [basic.publish], topics: ["admin.*"]}', drop='{topics: ["vault.*"]}', alert='{operations: [queue.purge], topics: [orders]}'), talk,
         request={'operation': ('basic.publish', 'queue.purge'), 'routing_key': ('admin.shutdown', 'vault.open')})


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
            ok, out = s.client_says('timeout', '1', 'mosquitto_pub', *login, '-q', '1', '-t', 'vault/open', '-m', 'now')
            assert not inline or not ok, out
            ok, out = s.client_says('mosquitto_pub', *login, '-q', '1', '-t', 'plant/1/last', '-m', 'one')
            assert ok, out
            wait_for('it hears the last one', lambda: 'last one' in said())
            assert not inline or ('alarms' not in said() and 'vault' not in said()), said()
        finally:
            sub.terminate()
            sub.wait(5)

    held(['mosquitto', 'mosquitto_passwd', 'mosquitto_pub', 'mosquitto_sub'], mqtt.server, 1883,
         policy('mqtt', deny='{operations: [publish], topics: ["alarms/*"]}', drop='{topics: [vault/open]}', alert='{operations: [publish], topics: ["*/last"]}'), talk,
         request={'operation': 'publish', 'topic': ('alarms/plant/off', 'vault/open', 'plant/1/last')})


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
        answer = heard(c, b'PUB admin.stop 3\r\nnow\r\nPING\r\n')
        assert not inline or answer == 'reset', answer
        c.close()
        c = connect(s.ns('client'), host, 4222)
        stage.hear(c, b'\r\n')
        answer = heard(c, b'CONNECT {"verbose":false}\r\nPUB vault.open 3\r\nnow\r\nPING\r\n')
        assert not inline or answer == 'silence', answer
        watch.sendall(b'PUB end 0\r\n\r\n')
        said = stage.hear(watch, b'MSG end 1 0\r\n\r\n')
        assert not inline or (b'admin' not in said and b'vault' not in said), said
        c.close()
        watch.close()

    held(['nats-server'], serve, 4222, policy('nats', deny='{operations: [PUB, HPUB], topics: ["admin.*"]}', drop='{topics: ["vault.*"]}', alert='{operations: [SUB]}'), talk,
         request={'operation': ('PUB', 'SUB'), 'subject': ('admin.stop', 'vault.open')})


# ---- files, calls, shells ----

def test_smb_share():
    import files

    def serve(s):
        files.samba(s)
        s.directory('secrets', mode=0o777)
        s.file('secrets/plan.txt', 'attack at dawn\n')
        with open(s.path('smb.conf'), 'a') as f:
            for share in ('secret', 'vault'):
                f.write('[%s]\n path = %s\n read only = no\n force user = root\n' % (share, s.path('secrets')))

    def talk(s, host, inline):
        def client(share, words, seconds=10):
            return s.client_says('timeout', str(seconds), 'smbclient', '-p', '445', '-s', s.path('smb.conf'), '//%s/%s' % (host, share), '-U', 'root%secret', '-c', words)
        ok, out = client('data', 'put %s up.txt; ls' % s.path('up.txt'))
        assert ok and 'up.txt' in out, out
        ok, out = client('secret', 'get plan.txt -')
        assert not inline or (not ok and 'attack' not in out), out
        ok, out = client('vault', 'get plan.txt -', 1)
        assert not inline or (not ok and 'attack' not in out), out

    held(['smbd', 'smbclient', 'smbpasswd'], serve, 445, policy('smb', deny=r'{shares: ["*\\secret"]}', drop=r'{shares: ["*\\VAULT"]}', alert=r'{shares: ["*\\data"]}'), talk)


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
with grpc.insecure_channel(sys.argv[1]) as ch:
    try:
        print(ch.unary_unary('/shop.Vault/Open')(b'7', timeout=1))
    except grpc.RpcError as e:
        print(e.code())
'''

    def serve(s):
        s.start('/usr/bin/python3', '-c', talks_grpc.PROGRAM)
        s.listening(50051)

    def talk(s, host, inline):
        ok, out = s.client_says('/usr/bin/python3', '-c', client, ('ipv6:[%s]:50051' if ':' in host else '%s:50051') % host)
        assert "order two books" in out and (not inline or 'packed' not in out), out
        assert out.splitlines()[-1] == 'StatusCode.' + ('DEADLINE_EXCEEDED' if inline else 'UNIMPLEMENTED'), out

    held([], serve, 50051, policy('grpc', deny='{services: [shop.Orders], methods: [Watch]}', drop='{services: [shop.Vault]}', alert='{methods: [Place]}'), talk)


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
        for software, end in (('old_1.2', 'reset'), ('ancient', 'silence')):
            c = connect(s.ns('client'), host, 22)
            stage.hear(c, b'\r\n')
            answer = heard(c, b'SSH-2.0-%s\r\n' % software.encode())
            assert not inline or answer == end, answer
            c.close()

    held(['/usr/sbin/sshd', 'ssh', 'ssh-keygen'], serve, 22, policy('ssh', deny='{versions: ["old_*"]}', drop='{versions: [ancient]}', alert='{versions: ["OpenSSH_*"]}'), talk)


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


def test_tls_sni():
    """curl, and names of one address."""
    def serve(s):
        key, cert = s.path('key.pem'), s.path('cert.pem')
        s.run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=secure.example')
        s.start('nginx', '-e', s.path('error.log'), '-c', s.file('nginx.conf', 'daemon off; master_process off; pid %s; events {} http { access_log off; server { '
                'listen [::]:443 ssl ipv6only=off; ssl_certificate %s; ssl_certificate_key %s; return 200 "by $ssl_server_name"; } }' % (s.path('pid'), cert, key)))
        s.listening(443)

    def talk(s, host, inline):
        def curl(name, *more):
            at = '[%s]' % host if ':' in host else host
            return s.client_says('curl', '-sk', '--max-time', '1' if name == 'vault.example' else '10', '--resolve', '%s:443:%s' % (name, at), 'https://%s/' % name, *more)
        for name in ('www.good.example', 'audit.example'):
            ok, out = curl(name)
            assert ok and out == 'by ' + name, out
        for name in ('www.evil.example', 'vault.example'):
            ok, out = curl(name)
            assert not inline or (not ok and out == ''), out
        assert curl('www.good.example', '--tls-max', '1.2')[0]

    held(['openssl', 'nginx', 'curl'], serve, 443,
         policy('tls', deny='{sni: ["*.evil.example"]}', drop='{sni: [vault.example], versions: ["TLS 1.3", "TLS 1.2"]}', alert='{sni: [audit.example], ja4: ["t13d*"]}'), talk)


# ---- HTTP ----

def test_http_third_request():
    """curl keeps its connection: two requests are answered, the third is not."""
    def talk(s, host, inline):
        at = 'http://%s:8080/' % ('[%s]' % host if ':' in host else host)
        curl = ('curl', '-s', '-o', '/dev/null', '--max-time', '10', '-w', '%{http_code} %{num_connects}\n')
        ok, out = s.client_says(*curl, at, '-o', '/dev/null', at + 'index.html', '--next', *curl[1:], '-X', 'DELETE', at)
        assert out.startswith('200 1\n200 0\n') and (not inline or (not ok and out.splitlines()[2].startswith('000 '))), out
        ok, out = s.client_says('curl', '-s', '--max-time', '1', '-H', 'Host: vault.example', at)
        assert not inline or (not ok and out == ''), out
        ok, out = s.client_says(*curl, '-H', 'X-Env: testing', at + 'index.html?audit')
        assert ok and out == '200 1\n', out
        assert s.client_says(*curl, '-H', 'X-Env: prod', at + 'index.html')[1] == '200 1\n'

    held(['nginx', 'curl'], lambda s: s.lab.nginx('web'), 8080,
         policy('http', deny='{methods: [DELETE]}', drop='{hosts: ["*.example"]}', alert='{paths: ["/index*"], headers: {X-Env: "test*"}}'), talk,
         request={'http_method': 'DELETE', 'hostname': 'vault.example'})


def test_dns_type():
    def serve(s):
        s.lab.dnsmasq('web', records=(('api.example', '10.9.8.7'), ('api.example', 'fd00::7'), ('vault.example', '10.9.8.8'), ('audit.example', '10.9.8.9')))

    def talk(s, host, inline):
        dig = ('dig', '@' + host, '+short', '+tries=1', '+timeout=2')
        assert s.client_says(*dig, 'api.example', 'A')[1].strip() == '10.9.8.7'
        ok, out = s.client_says(*dig, 'api.example', 'AAAA')
        assert not inline or 'fd00::7' not in out, out
        ok, out = s.client_says(*dig[:-1], '+timeout=1', 'www.Vault.example', 'A')
        assert not inline or (not ok and '10.9.8.8' not in out), out
        assert s.client_says(*dig, 'audit.example', 'A')[1].strip() == '10.9.8.9'

    held(['dnsmasq', 'dig'], serve, 53, policy('dns', deny='{types: [AAAA]}', drop='{names: ["*.vault.example"]}', alert='{names: [audit.example], types: [A]}'), talk, proto='udp',
         request={'rrname': ('api.example', 'audit.example')})


# ---- redis ----

def resp(*words):
    return b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w), w) for w in words)


def test_redis_command_and_key():
    """deny: both ends are reset. drop: silence, the server still waits. alert: passes and is told."""
    def talk(s, host, inline):
        local = ('redis-cli', '-p', '6379')
        for reset, words in ((True, (b'FLUSHALL',)), (False, (b'GET', b'secret:1'))):
            c = connect(s.ns('client'), host, 6379)
            assert heard(c, resp(b'SET', b'open:1', b'x')) == b'+OK\r\n'
            assert b'open:1' in heard(c, resp(b'KEYS', b'open:*'))
            answer = heard(c, resp(*words))
            assert not inline or answer == ('reset' if reset else 'silence'), answer
            if inline:
                clients = s.run(*local, 'CLIENT', 'LIST').splitlines()
                assert len([line for line in clients if line and 'addr=127.' not in line]) == (0 if reset else 1), clients
                assert s.run(*local, 'GET', 'open:1').strip() == 'x'
            c.close()
            s.run(*local, 'CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')

    held(['redis-server', 'redis-cli'], lambda s: s.lab.redis('web'), 6379, policy('redis', deny='{commands: [FLUSHALL, FLUSHDB]}', drop='{keys: ["secret:*"]}', alert='{commands: [KEYS]}'), talk,
         request={'command': ('FLUSHALL', 'GET', 'KEYS')})
