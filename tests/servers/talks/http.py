# SPDX-License-Identifier: GPL-2.0-or-later
"""HTTP by nginx, nghttpd and their clients: kept alive, pipelined, chunked, 100-continue; HTTP/2 known before, upgraded to, through a proxy; WebSocket."""
from stage import SERVER, SERVER6, hear, talk


def nginx(s, on='server', more='', listen='8080', locations=''):
    s.file('www/index.html', 'hello from the shop\n')
    s.file('www/api/orders', '[{"item": "book"}]\n')
    tmp = ' '.join('%s_temp_path %s;' % (k, s.directory('tmp-' + k)) for k in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
    s.directory('www/upload', mode=0o777)
    conf = s.file('nginx-%s.conf' % on, '''daemon off; master_process off; user root; pid %s; error_log stderr crit;
events { worker_connections 64; }
http { access_log off; %s default_type text/plain; types { text/html html; application/json json; } server_tokens on;
  server { listen %s; listen [::]:%s; root %s; %s
    location /old { return 301 http://shop.example/new; }
    location /gone { return 410; }
    location /form { client_max_body_size 1m; return 204; }
    location /upload/ { dav_methods PUT DELETE; }
    location /chunked { gzip on; gzip_min_length 1; gzip_types *; alias %s; }
    %s } }
''' % (s.path('nginx-%s.pid' % on), tmp, listen, listen, s.path('www'), more, s.path('www/index.html'), locations))
    s.start('nginx', '-c', conf, '-e', 'stderr', on=on)
    if on == 'server':
        s.listening(int(listen.split()[0]))


NGINX = ['nginx', 'curl']


@talk(app='http', port=8080, needs=NGINX, facts=[
    ('http', {'hostname': 'shop.example', 'url': '/', 'http_method': 'GET', 'status': 200, 'protocol': 'HTTP/1.1', 'http_user_agent': 'till/4', 'length': 20, 'http_content_type': 'text/html'}),
    ('http', {'hostname': 'shop.example', 'url': '/api/orders?id=7', 'status': 200, 'length': 19}),
    ('http', {'url': '/nowhere', 'status': 404}),
    ('http', {'url': '/old', 'status': 301, 'redirect': 'http://shop.example/new'}),
    ('http', {'url': '/form', 'http_method': 'POST', 'status': 204}),
    ('http', {'url': '/upload/a.txt', 'http_method': 'PUT'}),
    ('http', {'url': '/', 'http_method': 'HEAD', 'status': 200}),
    ('http', {'url': '/chunked', 'status': 200, 'http_content_type': 'text/plain'}),
], tshark={'http.request.uri': ('http', 'url'), 'http.user_agent': ('http', 'http_user_agent')})
def http_nginx(s):
    nginx(s)
    with s.capture():
        base = 'http://%s:8080' % SERVER
        s.say('curl', '-s', '-A', 'till/4', '-H', 'Host: Shop.example', base + '/', base + '/api/orders?id=7', base + '/nowhere', base + '/old')
        s.say('curl', '-s', '-H', 'Expect: 100-continue', '-d', 'item=book&n=2', base + '/form')
        s.say('curl', '-s', '-T', '-', '-H', 'Transfer-Encoding: chunked', base + '/upload/a.txt', input='two books\n' * 9)
        s.say('curl', '-s', '-I', 'http://[%s]:8080/' % SERVER6)
        s.say('curl', '-s', '--compressed', base + '/chunked')


@talk(app='http', port=8080, needs=NGINX, facts=[
    ('http', {'url': '/', 'status': 200, 'length': 20}),
    ('http', {'url': '/gone', 'status': 410}),
    ('http', {'url': '/form', 'http_method': 'POST', 'status': 204}),
    ('http', {'url': '/api/orders', 'status': 200, 'length': 19}),
    ('http', {'url': '/', 'http_method': 'GET', 'protocol': 'HTTP/1.0', 'status': 200, 'length': 20}),
    ('http', {'http_method': 'BREW', 'status': 405}),
])
def http_pipelined(s):
    nginx(s)
    with s.capture():
        c = s.connect(8080)
        c.sendall(b'GET / HTTP/1.1\r\nHost: shop\r\n\r\nGET /gone HTTP/1.1\r\nHost: shop\r\n\r\nPOST /form HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n'
                  b'5;x=y\r\nhello\r\n0\r\nTrailer: 1\r\n\r\nGET /api/orders HTTP/1.1\r\nHost: shop\r\n\r\n')
        hear(c, b'"book"}]\n')
        c.close()
        c = s.connect(8080)
        c.sendall(b'GET / HTTP/1.0\r\n\r\n')
        hear(c)
        c.close()
        c = s.connect(8080)
        c.sendall(b'BREW /pot HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n')
        hear(c)
        c.close()


@talk(app='http2', port=8080, needs=NGINX + ['nghttp'], facts=[
    ('http', {'protocol': 'HTTP/2', 'hostname': 'shop.example', 'url': '/', 'http_method': 'GET', 'status': 200, 'http2.stream_id': ..., 'http_user_agent': 'till/4', 'http_content_type': 'text/html'}),
    ('http', {'url': '/api/orders', 'status': 200, 'http2.stream_id': ...}),
    ('http', {'url': '/nowhere', 'status': 404}),
    ('http', {'url': '/form', 'http_method': 'POST', 'status': 204}),
    ('http', {'url': '/', 'status': 200, 'http_user_agent': ...}),
    ('http', {'url': '/old', 'status': 301}),
])
def http2_nginx(s):
    """HTTP/2 from the first byte."""
    nginx(s, listen='8080 http2')
    with s.capture():
        base = 'http://%s:8080' % SERVER
        s.say('nghttp', '-n', '-H', 'user-agent: till/4', '-H', ':authority: shop.example', base + '/', base + '/api/orders', base + '/nowhere')
        s.say('curl', '-s', '--http2-prior-knowledge', '-d', 'item=book', base + '/form', check=False)      # nginx answers before the body, curl dislikes it
        s.say('nghttp', '-n', '--no-dep', 'http://[%s]:8080/' % SERVER6, 'http://[%s]:8080/old' % SERVER6)


@talk(app='http2', port=3000, needs=NGINX + ['nghttpx', 'nghttp'], facts=[
    ('http', {'url': '/', 'http_method': 'GET', 'status': 101, 'protocol': 'HTTP/1.1'}),
    ('http', {'status': 200, 'http2.stream_id': 1}),
    ('http', {'url': '/', 'http_method': 'GET', 'status': 101}),
    ('http', {'status': 200, 'http2.stream_id': 1}),
    ('http', {'url': '/api/orders', 'status': 200, 'http2.stream_id': ...}),
])
def http2_upgrade(s):
    """HTTP/1.1 that becomes HTTP/2, by curl and by nghttp."""
    nginx(s)
    s.start('nghttpx', '--conf=/dev/null', '-f*,3000;no-tls', '-b127.0.0.1,8080', '-n1', '--errorlog-file=/dev/stderr')
    s.listening(3000)
    with s.capture():
        base = 'http://%s:3000' % SERVER
        s.say('curl', '-s', '--http2', base + '/')
        s.say('nghttp', '-n', '-u', base + '/', base + '/api/orders')


@talk(app='http2', port=3000, needs=NGINX + ['nghttpx', 'nghttp'], facts=[
    ('http', {'protocol': 'HTTP/2', 'url': '/api/orders', 'status': 200, 'hostname': 'shop.example', 'length': 19}),
    ('http', {'protocol': 'HTTP/2', 'url': '/nowhere', 'status': 404}),
    ('http', {'protocol': 'HTTP/2', 'url': '/form', 'http_method': 'POST', 'status': 204}),
])
def http2_nghttpx(s):
    """A proxy with HTTP/2 before nginx."""
    nginx(s)
    s.start('nghttpx', '--conf=/dev/null', '-f*,3000;no-tls', '-b127.0.0.1,8080', '-n1', '--errorlog-file=/dev/stderr')
    s.listening(3000)
    with s.capture():
        base = 'http://%s:3000' % SERVER
        s.say('nghttp', '-n', '-H', ':authority: shop.example', base + '/api/orders', base + '/nowhere')
        s.say('curl', '-s', '--http2-prior-knowledge', '-d', 'item=book', base + '/form')


WS = '''
import asyncio, websockets
async def shop(ws):
    async for m in ws:
        await ws.send('order ' + m if isinstance(m, str) else m[::-1])
async def main():
    async with websockets.serve(shop, None, 8765, subprotocols=['orders.v1']):
        await asyncio.Future()
asyncio.run(main())
'''
WS_CLIENT = '''
import asyncio, sys, websockets
async def main():
    async with websockets.connect(sys.argv[1], subprotocols=['orders.v1'], user_agent_header='till/4') as ws:
        await ws.send('two books')
        assert await ws.recv() == 'order two books'
        await ws.send(bytes(range(200)))
        assert len(await ws.recv()) == 200
        await (await ws.ping(b'there?'))
asyncio.run(main())
'''


@talk(app='websocket', port=8765, needs=['python:websockets'], facts=[
    ('http', {'url': '/orders?till=4', 'http_method': 'GET', 'status': 101, 'hostname': '10.0.0.2', 'http_user_agent': 'till/4'}),
])
def websocket_python(s):
    s.start('/usr/bin/python3', '-c', WS)
    s.listening(8765)
    with s.capture():
        s.say('/usr/bin/python3', '-c', WS_CLIENT, 'ws://%s:8765/orders?till=4' % SERVER)
