# SPDX-License-Identifier: GPL-2.0-or-later
"""nats-server, spoken to by hand: Debian has no client."""
from stage import hear, talk


@talk(app='nats', port=4222, needs=['nats-server'], facts=[
    ('nats', {'operation': 'INFO', 'server_id': ..., 'version': ...}),
    ('nats', {'operation': 'CONNECT', 'user': 'till', 'name': 'till-4', 'lang': 'go'}),
    ('nats', {'operation': 'SUB', 'subject': 'orders.*', 'queue_group': 'packers'}),
    ('nats', {'operation': 'PUB', 'subject': 'orders.new', 'reply_to': 'inbox.7', 'size': 9}),
    ('nats', {'operation': 'MSG', 'subject': 'orders.new', 'reply_to': 'inbox.7', 'size': 9}),
    ('nats', {'operation': 'HPUB', 'subject': 'orders.paid', 'size': 31}),
    ('nats', {'operation': 'HMSG', 'subject': 'orders.paid', 'size': 31}),
    ('nats', {'operation': 'CONNECT', 'user': 'eve'}),
    ('nats', {'operation': '-ERR', 'error': ...}),
])
def nats_server(s):
    s.start('nats-server', '-a', '0.0.0.0', '-p', '4222', '--user', 'till', '--pass', 'open sesame')
    s.listening(4222)
    with s.capture():
        c = s.connect(4222)
        hear(c, b'\r\n')
        c.sendall(b'CONNECT {"verbose":false,"pedantic":false,"user":"till","pass":"open sesame","name":"till-4","lang":"go","version":"1.22","headers":true}\r\nPING\r\n')
        hear(c, b'PONG\r\n')
        c.sendall(b'SUB orders.* packers 1\r\nPUB orders.new inbox.7 9\r\ntwo books\r\n')
        hear(c, b'two books\r\n')
        c.sendall(b'HPUB orders.paid 23 31\r\nNATS/1.0\r\nshop: 4th\r\n\r\nin money\r\n')
        hear(c, b'in money\r\n')
        c.sendall(b'UNSUB 1\r\nPING\r\n')
        hear(c, b'PONG\r\n')
        c.close()
        c = s.connect(4222)
        hear(c, b'\r\n')
        c.sendall(b'CONNECT {"verbose":true,"user":"eve","pass":"wrong"}\r\nPING\r\n')
        hear(c)
        c.close()
