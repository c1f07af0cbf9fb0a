# SPDX-License-Identifier: GPL-2.0-or-later
"""MongoDB: pymongo, before a server of our own (own/mongod.py)."""
import os

from stage import SERVER6, talk

NEEDS = ['/usr/lib/python3/dist-packages/pymongo', '/usr/lib/python3/dist-packages/bson']
PORT = 27017


def server(s):
    """Returns what it was asked so far, a line each."""
    return s.own('mongod.py', PORT)


CLIENT = '''
import sys, pymongo
c = pymongo.MongoClient(sys.argv[1], 27017, appname='shop')
db = c.shop
db.orders.insert_many([{'_id': 1, 'item': 'book'}, {'_id': 2, 'item': 'pen'}])
assert [o['_id'] for o in db.orders.find({'item': 'book'})] == [1, 2]
assert db.orders.delete_many({}).deleted_count == 2
db.orders.drop()
try:
    db.command('collStats', 'orders')
except pymongo.errors.OperationFailure:
    pass
c.close()
'''


@talk(app='mongodb', port=PORT, needs=NEEDS, facts=[
    ('mongodb', {'command': 'insert', 'database': 'shop', 'collection': 'orders'}),
    ('mongodb', {'command': 'find', 'database': 'shop', 'collection': 'orders'}),
    ('mongodb', {'command': 'delete', 'database': 'shop', 'collection': 'orders'}),
    ('mongodb', {'command': 'drop', 'database': 'shop', 'collection': 'orders'}),
    ('mongodb', {'command': 'collStats', 'collection': 'orders', 'error_code': 59}),
], never=[('anomaly', {})])
def mongodb_pymongo(s):
    server(s)
    with s.capture():
        s.say('/usr/bin/python3', '-c', CLIENT, '[%s]' % SERVER6)
