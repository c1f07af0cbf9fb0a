# SPDX-License-Identifier: GPL-2.0-or-later
"""Oracle: python-oracledb without its vendor's library (its thin mode), before a server of our own (own/tnsd.py)."""
from stage import SERVER, talk

NEEDS = ['/usr/lib/python3/dist-packages/oracledb', '/usr/lib/python3/dist-packages/cryptography']
PORT = 1521


def server(s):
    """Returns what it was asked so far, a line each."""
    return s.own('tnsd.py', PORT)


CLIENT = '''
import sys, oracledb
c = oracledb.connect(user='clerk', password='open sesame', dsn=sys.argv[1] + '/shop')
q = c.cursor()
for statement in ("INSERT INTO orders (item, n) VALUES ('book', 2)", 'UPDATE items SET price = 12', 'DROP TABLE shop.orders'):
    q.execute(statement)
c.close()
for password, name in (('wrong', 'shop'), ('open sesame', 'nowhere')):
    try:
        oracledb.connect(user='clerk', password=password, dsn=sys.argv[1] + '/' + name)
        sys.exit(1)
    except oracledb.DatabaseError:
        pass
'''


@talk(app='tns', port=PORT, needs=NEEDS, facts=[
    ('tns', {'command': 'connect', 'service': 'shop', 'answer': 'accept', 'version': 317}),
    ('tns', {'command': 'login', 'user': 'clerk'}),
    ('tns', {'command': 'auth', 'user': 'clerk'}),
    ('tns', {'command': 'execute', 'operation': 'INSERT', 'tables': ['orders']}),
    ('tns', {'command': 'execute', 'query': 'UPDATE items SET price = 12', 'operation': 'UPDATE', 'tables': ['items']}),
    ('tns', {'command': 'execute', 'operation': 'DROP', 'tables': ['shop.orders']}),
    ('tns', {'command': 'connect', 'service': 'nowhere', 'answer': 'refuse', 'error_code': '12514'}),
], never=[('anomaly', {})])
def tns_oracledb(s):
    server(s)
    with s.capture():
        s.say('/usr/bin/python3', '-c', CLIENT, SERVER)
