# SPDX-License-Identifier: GPL-2.0-or-later
"""SQL Server: FreeTDS, before a server of our own (own/tdsd.py)."""
from stage import SERVER, talk

NEEDS = ['tsql']
PORT = 1433


def server(s):
    """Returns what it was asked so far, a line each."""
    return s.own('tdsd.py', PORT)


def tsql(s, host, user='clerk', password='open sesame'):
    """The client's command and its environment; batches end with `go`. It gives up after a second of silence."""
    conf = s.file('freetds.conf', '[global]\ntds version = 7.3\ntimeout = 1\nconnect timeout = 1\n[db]\nhost = %s\nport = %d\n' % (host, PORT))
    return ('tsql', '-S', 'db', '-U', user, '-P', password, '-D', 'shop', '-o', 'qh'), {'FREETDSCONF': conf}


@talk(app='tds', port=PORT, needs=NEEDS, facts=[
    ('tds', {'command': 'login', 'user': 'clerk', 'database': 'shop', 'application_name': 'TSQL'}),
    ('tds', {'command': 'batch', 'operation': 'SELECT', 'tables': ['items']}),
    ('tds', {'command': 'batch', 'operation': 'INSERT', 'tables': ['orders']}),
    ('tds', {'command': 'batch', 'operation': 'DROP', 'tables': ['orders']}),
    ('tds', {'command': 'batch', 'operation': 'DROP', 'tables': ['orders'], 'error_code': 208}),
    ('tds', {'command': 'login', 'user': 'clerk', 'error_code': 18456}),
], never=[('anomaly', {})])
def tds_freetds(s):
    server(s)
    argv, env = tsql(s, SERVER)
    with s.capture():
        out = s.say(*argv, env=env, input="SELECT price FROM items WHERE item = 'book'\ngo\nINSERT INTO orders VALUES ('pen', 1)\ngo\nDROP TABLE orders\ngo\nDROP TABLE orders\ngo\n")
        assert out == '12\n', out
        argv, env = tsql(s, SERVER, password='wrong')
        s.say(*argv, env=env, input='SELECT 1\ngo\n', check=False)
