# SPDX-License-Identifier: GPL-2.0-or-later
"""memcached: text, meta commands, binary, datagrams."""
from stage import SERVER, hear, talk


def server(s, *more):
    s.start('memcached', '-u', 'nobody', '-p', '11211', '-l', '0.0.0.0', '-m', '8', '-t', '1', *more)
    s.listening(11211)


@talk(app='memcached', port=11211, needs=['memcached', 'python:pymemcache'], facts=[
    ('memcached', {'command': 'set', 'key': 'cart:7'}),
    ('memcached', {'command': 'get', 'key': 'cart:7'}),
    ('memcached', {'command': 'gets', 'key': 'cart:7'}),
    ('memcached', {'command': 'cas', 'key': 'cart:7'}),
    ('memcached', {'command': 'get', 'key': 'one'}),
    ('memcached', {'command': 'incr', 'key': 'visits'}),
    ('memcached', {'command': 'delete', 'key': 'cart:7'}),
    ('memcached', {'command': 'touch', 'key': 'visits'}),
    ('memcached', {'command': 'stats'}),
    ('memcached', {'command': 'flush_all'}),
    ('memcached', {'command': 'set', 'key': 'page'}),
    ('memcached', {'command': 'version'}),
    ('memcached', {'command': 'quit'}),
])
def memcached_text(s):
    server(s)
    from pymemcache.client.base import Client
    with s.capture(), s.client():
        c = Client((SERVER, 11211))
        c.set('cart:7', b'two books', noreply=False)
        assert c.get('cart:7') == b'two books'
        _, cas = c.gets('cart:7')
        c.cas('cart:7', b'three', cas, noreply=False)
        c.get_many(['one', 'two', 'visits'])
        c.set('visits', b'1', noreply=True)
        c.incr('visits', 2)
        c.delete('cart:7', noreply=False)
        c.touch('visits', 60, noreply=False)
        c.stats('settings')
        c.flush_all(noreply=False)
        c.set('page', b'x' * 4000, noreply=False)
        c.version()
        c.quit()


@talk(app='memcached', port=11211, needs=['memcached'], facts=[
    ('memcached', {'command': 'ms', 'key': 'user:1'}),
    ('memcached', {'command': 'mg', 'key': 'user:1'}),
    ('memcached', {'command': 'ma', 'key': 'visits'}),
    ('memcached', {'command': 'me', 'key': 'user:1'}),
    ('memcached', {'command': 'md', 'key': 'user:1'}),
    ('memcached', {'command': 'mg', 'key': 'user:1'}),
    ('memcached', {'command': 'mn'}),
])
def memcached_meta(s):
    server(s)
    with s.capture():
        c = s.connect(11211)
        for line, end in ((b'ms user:1 5 T60\r\nalice\r\n', b'HD\r\n'), (b'mg user:1 t v\r\n', b'alice\r\n'), (b'ma visits N0 J10 v\r\n', b'10\r\n'), (b'me user:1\r\n', b'\r\n'),
                          (b'md user:1 q\r\nmg user:1 v\r\nmn\r\n', b'MN\r\n')):
            c.sendall(line)
            hear(c, end)
        c.close()


@talk(app='memcached', port=11211, needs=['memcached', 'python:pylibmc'], facts=[
    ('memcached', {'command': 'set', 'key': 'cart:7'}),
    ('memcached', {'command': 'get', 'key': 'cart:7'}),
    ('memcached', {'command': 'get', 'key': 'not there', 'status': ...}),
    ('memcached', {'command': 'add', 'key': 'visits'}),
    ('memcached', {'command': 'increment', 'key': 'visits'}),
    ('memcached', {'command': 'append', 'key': 'visits'}),
    ('memcached', {'command': 'delete', 'key': 'cart:7'}),
    ('memcached', {'command': 'quit'}),
])
def memcached_binary(s):
    server(s)
    import pylibmc
    with s.capture(), s.client():
        c = pylibmc.Client([SERVER], binary=True)
        c.set('cart:7', 'two books')
        assert c.get('cart:7') == 'two books'
        assert c.get('not there') is None
        c.add('visits', '1')
        c.incr('visits')
        c.append('visits', '0')
        c.get_multi(['one', 'two'])
        c.delete('cart:7')
        c.disconnect_all()


@talk(app='memcached', port='11211/udp', needs=['memcached'], facts=[
    ('memcached', {'command': 'set', 'key': 'greeting'}),
    ('memcached', {'command': 'get', 'key': 'greeting'}),
])
def memcached_udp(s):
    server(s, '-U', '11211')
    with s.capture():
        u = s.datagrams()
        for n, line in enumerate((b'set greeting 0 0 5\r\nhello\r\n', b'get greeting\r\n')):
            u.sendto(b'\0' + bytes((n + 1,)) + b'\0\0\0\1\0\0' + line, (SERVER, 11211))
            u.recv(2048)
        u.close()
