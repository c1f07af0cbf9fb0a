# SPDX-License-Identifier: GPL-2.0-or-later
"""SOCKS by microsocks, Dante and OpenSSH; what is carried is told as well."""
from stage import SERVER, talk


def page(s):
    s.file('www/index.html', 'hello\n')
    s.start('/usr/bin/python3', '-m', 'http.server', '8080', '--bind', SERVER, '--directory', s.path('www'))
    s.listening(8080)


def curl(s, proxy, url):
    s.say('curl', '-s', '-o', '/dev/null', '-x', proxy, url, check=False)


@talk(ports={1080: 'http'}, needs=['microsocks', 'curl'], facts=[
    ('socks', {'version': 5, 'command': 'connect', 'host': SERVER, 'port': 8080, 'user': 'alice', 'result': 'success'}),
    ('http', {'http_method': 'GET', 'url': '/a', 'hostname': SERVER, 'status': 404}),
    ('socks', {'version': 5, 'command': 'connect', 'host': 'localhost.lab.example', 'port': 8080, 'user': 'alice'}),
], never=[('socks', {'user': 'secret'})])
def socks5_microsocks(s):
    page(s)
    s.start('microsocks', '-p', '1080', '-u', 'alice', '-P', 'secret')
    s.listening(1080)
    with s.capture():
        curl(s, 'socks5://alice:secret@%s:1080' % SERVER, 'http://%s:8080/a' % SERVER)
        curl(s, 'socks5h://alice:secret@%s:1080' % SERVER, 'http://localhost.lab.example:8080/b')


@talk(ports={1080: 'http'}, needs=['danted', 'curl'], facts=[
    ('socks', {'version': 4, 'command': 'connect', 'host': SERVER, 'port': 8080, 'result': 'success'}),
    ('http', {'http_method': 'GET', 'url': '/d'}),
    ('socks', {'version': 5, 'command': 'connect', 'host': SERVER, 'port': 8080, 'result': 'success'}),
    ('http', {'http_method': 'GET', 'url': '/f'}),
])
def socks_dante(s):
    page(s)
    s.file('danted.conf', 'logoutput: stderr\ninternal: %s port=1080\nexternal: %s\nsocksmethod: none\nclientmethod: none\nuser.privileged: root\nuser.unprivileged: nobody\n'
           'client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }\nsocks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }\n' % (SERVER, SERVER))
    s.start('danted', '-f', s.path('danted.conf'))
    s.listening(1080)
    with s.capture():
        curl(s, 'socks4://%s:1080' % SERVER, 'http://%s:8080/d' % SERVER)
        curl(s, 'socks5://%s:1080' % SERVER, 'http://%s:8080/f' % SERVER)
