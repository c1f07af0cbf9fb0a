# SPDX-License-Identifier: GPL-2.0-or-later
"""ZooKeeper by kazoo: nodes, watches, transactions, a login, words of four letters."""
from stage import SERVER, hear, talk

JARS = '/usr/share/java/zookeeper.jar:/usr/share/java/log4j-1.2.jar:/etc/zookeeper/conf'


@talk(app='zookeeper', port=2181, needs=['java', '/usr/share/zookeeper/bin', 'python:kazoo'], facts=[
    ('zookeeper', {'command': 'connect', 'session': '0x0'}),
    ('zookeeper', {'command': 'auth', 'scheme': 'digest', 'user': 'clerk'}),
    ('zookeeper', {'command': 'create', 'path': '/shop'}),
    ('zookeeper', {'command': 'create', 'path': '/shop/orders'}),
    ('zookeeper', {'command': 'setData', 'path': '/shop/orders'}),
    ('zookeeper', {'command': 'getData', 'path': '/shop/orders'}),
    ('zookeeper', {'command': 'getChildren2', 'path': '/shop'}),
    ('zookeeper', {'command': 'exists', 'path': '/nowhere', 'error_code': -101}),
    ('zookeeper', {'command': 'create', 'path': '/shop', 'error_code': -110}),
    ('zookeeper', {'command': 'multi', 'path': '/shop/a'}),
    ('zookeeper', {'command': 'getACL', 'path': '/shop'}),
    ('zookeeper', {'command': 'delete', 'path': '/shop/orders'}),
    ('zookeeper', {'command': 'closeSession'}),
    ('zookeeper', {'command': 'ruok'}),
])
def zookeeper_kazoo(s):
    conf = s.file('zoo.cfg', 'tickTime=2000\ndataDir=%s\nclientPort=2181\nclientPortAddress=0.0.0.0\nadmin.enableServer=false\n4lw.commands.whitelist=*\n' % s.directory('data'))
    import glob
    jars = ':'.join(['/etc/zookeeper/conf', *sorted(glob.glob('/usr/share/java/*.jar'))])
    s.start('java', '-Xmx128m', '-XX:TieredStopAtLevel=1', '-cp', jars, '-Dzookeeper.root.logger=WARN,CONSOLE', 'org.apache.zookeeper.server.quorum.QuorumPeerMain', conf)
    s.listening(2181, seconds=60)
    from kazoo.client import KazooClient
    from kazoo.exceptions import NodeExistsError
    with s.capture():
        with s.client():
            z = KazooClient(hosts=SERVER + ':2181', auth_data=[('digest', 'clerk:sesame')])
            z.start(timeout=20)
            z.create('/shop', b'open')
            z.create('/shop/orders', b'1')
            z.set('/shop/orders', b'two books')
            assert z.get('/shop/orders')[0] == b'two books'
            z.get_children('/shop', include_data=True)
            assert not z.exists('/nowhere')
            try:
                z.create('/shop', b'again')
            except NodeExistsError:
                pass
            t = z.transaction()
            t.create('/shop/a', b'')
            t.delete('/shop/a')
            t.commit()
            z.get_acls('/shop')
            z.delete('/shop/orders')
            z.stop()
            z.close()
        c = s.connect(2181)
        c.sendall(b'ruok')
        hear(c)
        c.close()
