# SPDX-License-Identifier: GPL-2.0-or-later
"""Kafka: librdkafka's client kcat, and the broker that librdkafka brings for tests. It lives in a client of its own and listens on a port of 127.0.0.1 that it chooses and
tells its clients: both ends of the way to it are forwarded, and what goes over the wire between them is what the two say."""
import re

from stage import SERVER, talk, wait_for

NEEDS = ['kcat', 'socat']


def server(s):
    """Returns the broker's own port: way() leads there."""
    s.start('kcat', '-C', '-b', 'none', '-X', 'test.mock.num.brokers=1', '-t', 'idle', '-q')
    port = int(wait_for('the broker listens', lambda: re.findall(r'127\.0\.0\.1:(\d+)', s.run('ss', '-Hltn')), 20)[0])
    s.start('socat', 'TCP6-LISTEN:9092,fork,reuseaddr,ipv6only=0', 'TCP4:127.0.0.1:%d' % port)
    s.listening(9092)
    return port


def way(s, port, host):
    """The client's end of the way, to an address of the server's. Returns its process."""
    p = s.start('socat', 'TCP4-LISTEN:%d,bind=127.0.0.1,fork,reuseaddr' % port, 'TCP:%s:9092' % ('[%s]' % host if ':' in host else host), on='client')
    wait_for('the way to the broker', lambda: s.say('ss', '-Hltn', 'sport = %d' % port))
    return p


def produce(port, topic):
    return ('kcat', '-P', '-b', '127.0.0.1:%d' % port, '-t', topic, '-X', 'message.timeout.ms=1000', '-X', 'message.send.max.retries=0')


def consume(port, topic, seconds=10):
    """All that the topic holds."""
    return ('timeout', str(seconds), 'kcat', '-C', '-b', '127.0.0.1:%d' % port, '-t', topic, '-o', 'beginning', '-e', '-q', '-X', 'fetch.wait.max.ms=10')


@talk(app='kafka', port=9092, needs=NEEDS, facts=[
    ('kafka', {'api': 'ApiVersions', 'client_id': 'rdkafka'}),
    ('kafka', {'api': 'Metadata', 'topics': ['orders']}),
    ('kafka', {'api': 'Produce', 'topics': ['orders']}),
    ('kafka', {'api': 'ListOffsets', 'topics': ['orders']}),
    ('kafka', {'api': 'Fetch', 'topics': ['orders']}),
], never=[('anomaly', {})])
def kafka_librdkafka(s):
    port = server(s)
    way(s, port, SERVER)
    with s.capture():
        s.say(*produce(port, 'orders'), input='two books\n')
        assert s.say(*consume(port, 'orders')) == 'two books\n'
