# SPDX-License-Identifier: GPL-2.0-or-later
"""redis: both protocols, lines by hand, transactions, publishing, errors."""
from stage import SERVER, hear, talk


def server(s):
    s.start('redis-server', '--port', '6379', '--bind', '0.0.0.0', '::', '--protected-mode', 'no', '--save', '', '--dir', s.dir)
    s.listening(6379)


@talk(app='redis', port=6379, needs=['redis-server', 'redis-cli', 'python:redis'], facts=[
    ('redis', {'command': 'AUTH', 'error': ...}),
    ('redis', {'command': 'SET', 'key': 'cart:7'}),
    ('redis', {'command': 'GET', 'key': 'cart:7'}),
    ('redis', {'command': 'LPUSH', 'key': 'cart:7', 'error': 'WRONGTYPE'}),
    ('redis', {'command': 'NOSUCH', 'error': ...}),
    ('redis', {'command': 'MULTI'}),
    ('redis', {'command': 'INCRBY', 'key': 'visits'}),
    ('redis', {'command': 'HSET', 'key': 'user:1'}),
    ('redis', {'command': 'EXEC'}),
    ('redis', {'command': 'MGET', 'key': 'visits'}),
    ('redis', {'command': 'EVAL', 'key': 'cart:7'}),
    ('redis', {'command': 'XADD', 'key': 'orders'}),
    ('redis', {'command': 'XREAD', 'key': 'orders'}),
    ('redis', {'command': 'SET', 'key': 'from:cli'}),
])
def redis_resp2(s):
    server(s)
    import redis
    with s.capture():
        with s.client():
            c = redis.Redis(host=SERVER, single_connection_client=True)
            for words in (('AUTH', 'nobody', 'wrong'), ('SET', 'cart:7', 'two books'), ('GET', 'cart:7'), ('LPUSH', 'cart:7', 'x'), ('NOSUCH', 'at', 'all')):
                try:
                    c.execute_command(*words)
                except redis.RedisError:
                    pass
            p = c.pipeline(transaction=True)
            p.incr('visits')
            p.hset('user:1', 'name', 'eve')
            p.execute()
            c.mget('visits', 'cart:7')
            c.eval("return redis.call('get', KEYS[1])", 1, 'cart:7')
            c.xadd('orders', {'item': 'book'})
            c.xread({'orders': '0'}, count=1)
            c.close()
        s.say('redis-cli', '-h', SERVER, 'SET', 'from:cli', '1')


@talk(app='redis', port=6379, needs=['redis-server', 'redis-cli'], facts=[
    ('redis', {'command': 'HELLO'}),
    ('redis', {'command': 'HSET', 'key': 'user:2'}),
    ('redis', {'command': 'HELLO'}),
    ('redis', {'command': 'HGETALL', 'key': 'user:2'}),
    ('redis', {'command': 'HELLO'}),
    ('redis', {'command': 'ZADD', 'key': 'scores'}),
    ('redis', {'command': 'HELLO'}),
    ('redis', {'command': 'ZRANGE', 'key': 'scores'}),
    ('redis', {'command': 'DEBUG', 'error': ...}),
    ('redis', {'command': 'SUBSCRIBE', 'channel': 'news'}),
    ('redis', {'command': 'PUBLISH', 'channel': 'news'}),
])
def redis_resp3(s):
    server(s)
    with s.capture():
        for words in ('HSET user:2 name mallory age 33', 'HGETALL user:2', 'ZADD scores 1.5 a 2.5 b', 'ZRANGE scores 0 -1 WITHSCORES', 'DEBUG OBJECT nothing'):
            s.say('redis-cli', '-3', '-h', 'fd00::2', *words.split())
        a, b = s.connect(6379), s.connect(6379)
        a.sendall(b'*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n')
        hear(a, b'modules\r\n*0\r\n')
        a.sendall(b'*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nnews\r\n')
        hear(a, b':1\r\n')
        b.sendall(b'*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n$5\r\nhello\r\n')
        hear(b, b':1\r\n')
        hear(a, b'hello\r\n')
        a.close()
        b.close()


@talk(app='redis', port=6379, needs=['redis-server'], facts=[
    ('redis', {'command': 'SET', 'key': 'a key'}),
    ('redis', {'command': 'GET', 'key': 'a key'}),
    ('redis', {'command': 'SELECT', 'error': ...}),
    ('redis', {'command': 'QUIT'}),
])
def redis_inline(s):
    server(s)
    with s.capture():
        c = s.connect(6379)
        for line, answer in ((b'set "a key" \'a value\'\r\n', b'+OK\r\n'), (b'GET "a key"\r\n', b'a value\r\n'), (b'select 99\r\n', b'range\r\n'), (b'quit\r\n', b'+OK\r\n')):
            c.sendall(line)
            hear(c, answer)
        c.close()


@talk(app='redis', port=6379, needs=['redis-server', 'redis-cli'], facts=[
    ('redis', {'command': 'PING'}),
    ('redis', {'command': 'REPLCONF'}),
    ('redis', {'command': 'PSYNC'}),
])
def redis_replica(s):
    """A replica's first words, and the data that follow them."""
    from stage import wait_for
    server(s)
    s.run('redis-cli', 'SET', 'cart:7', 'two books')
    with s.capture():
        p = s.start('redis-server', '--port', '6380', '--bind', '127.0.0.1', '--save', '', '--dir', s.directory('replica'), '--replicaof', SERVER, '6379', on='client')
        wait_for('the replica has the key', lambda: 'two books' in s.say('redis-cli', '-p', '6380', 'GET', 'cart:7', check=False), 30, 0.2)
        s.end(p)
