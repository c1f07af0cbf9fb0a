# SPDX-License-Identifier: GPL-2.0-or-later
"""ActiveMQ, a broker inside a small Java program: OpenWire by its own client, STOMP and MQTT by theirs."""
from stage import SERVER, hear, talk

BROKER = '''
import org.apache.activemq.broker.*;
public class Broker {
    public static void main(String[] a) throws Exception {
        BrokerService b = new BrokerService();
        b.setPersistent(false); b.setUseJmx(false); b.setBrokerName("shop"); b.setAdvisorySupport(false);
        for (int i = 0; i < a.length; i++) b.addConnector(a[i]);
        b.start(); b.waitUntilStopped();
    }
}
'''
CLIENT = '''
import javax.jms.*;
import org.apache.activemq.*;
public class Client {
    public static void main(String[] a) throws Exception {
        ActiveMQConnectionFactory f = new ActiveMQConnectionFactory("clerk", "open sesame", a[0]);
        f.setWatchTopicAdvisories(false);
        Connection c = f.createConnection();
        c.setClientID("till-4");
        c.start();
        Session s = c.createSession(false, Session.AUTO_ACKNOWLEDGE);
        Queue q = s.createQueue("orders");
        MessageConsumer r = s.createConsumer(q);
        MessageProducer p = s.createProducer(q);
        p.send(s.createTextMessage("two books"));
        System.out.println(((TextMessage)r.receive(10000)).getText());
        MessageProducer t = s.createProducer(s.createTopic("prices"));
        t.send(s.createBytesMessage());
        c.close();
        System.exit(0);
    }
}
'''
LIB = '/usr/share/activemq/lib'
NEEDS = ['java', 'javac', LIB + '/activemq-broker.jar']


def server(s, *connectors):
    jars = '%s/*:%s/optional/*:%s' % (LIB, LIB, s.path('classes'))
    s.file('Broker.java', BROKER)
    s.file('Client.java', CLIENT)
    s.run('javac', '-cp', jars, '-d', s.path('classes'), s.path('Broker.java'), s.path('Client.java'))
    s.start('java', '-Xmx128m', '-XX:TieredStopAtLevel=1', '-cp', jars, 'Broker', *connectors)
    for c in connectors:
        s.listening(int(c.rsplit(':', 1)[1].split('?')[0]))
    return jars


@talk(app='openwire', port=61616, needs=NEEDS, facts=[
    ('openwire', {'operation': 'WireFormatInfo', 'version': ..., 'provider': 'ActiveMQ'}),
    ('openwire', {'operation': 'ConnectionInfo'}),
    ('openwire', {'operation': 'SessionInfo'}),
    ('openwire', {'operation': 'ConsumerInfo', 'destination': 'orders', 'destination_kind': 'queue'}),
    ('openwire', {'operation': 'ProducerInfo', 'destination': 'orders', 'destination_kind': 'queue'}),
    ('openwire', {'operation': 'ActiveMQTextMessage', 'destination': 'orders', 'destination_kind': 'queue'}),
    ('openwire', {'operation': 'MessageDispatch', 'destination': 'orders'}),
    ('openwire', {'operation': 'ActiveMQBytesMessage', 'destination': 'prices', 'destination_kind': 'topic'}),
    ('openwire', {'operation': 'RemoveInfo'}),
])
def openwire_activemq(s):
    jars = server(s, 'tcp://0.0.0.0:61616')
    with s.capture():
        assert 'two books' in s.say('java', '-Xmx64m', '-cp', jars, 'Client', 'tcp://%s:61616' % SERVER)


@talk(app='openwire', port=61616, needs=NEEDS, facts=[
    ('openwire', {'operation': 'WireFormatInfo'}),
    ('openwire', {'operation': 'ConnectionInfo'}),
    ('openwire', {'operation': 'ConsumerInfo', 'destination': 'orders', 'destination_kind': 'queue'}),
    ('openwire', {'operation': 'ActiveMQTextMessage', 'destination': 'orders'}),
])
def openwire_loose(s):
    """Loose encoding, nothing cached."""
    jars = server(s, 'tcp://0.0.0.0:61616?wireFormat.tightEncodingEnabled=false&wireFormat.cacheEnabled=false')
    with s.capture():
        assert 'two books' in s.say('java', '-Xmx64m', '-cp', jars, 'Client', 'tcp://%s:61616?wireFormat.tightEncodingEnabled=false&wireFormat.cacheEnabled=false' % SERVER)


@talk(app='stomp', port=61613, needs=NEEDS, facts=[
    ('stomp', {'operation': 'CONNECT', 'user': 'clerk', 'host': 'shop'}),
    ('stomp', {'operation': 'CONNECTED', 'version': '1.1', 'server': ...}),
    ('stomp', {'operation': 'SUBSCRIBE', 'destination': '/queue/orders', 'id': '1'}),
    ('stomp', {'operation': 'SEND', 'destination': '/queue/orders'}),
    ('stomp', {'operation': 'MESSAGE', 'destination': '/queue/orders'}),
    ('stomp', {'operation': 'ERROR', 'message': ...}),
])
def stomp_activemq(s):
    server(s, 'stomp://0.0.0.0:61613')
    with s.capture():
        c = s.connect(61613)
        c.sendall(b'CONNECT\naccept-version:1.0,1.1\nhost:shop\nlogin:clerk\npasscode:open sesame\n\n\0')
        hear(c, lambda b: b.rstrip(b'\n').endswith(b'\0'))
        c.sendall(b'SUBSCRIBE\nid:1\ndestination:/queue/orders\nack:auto\n\n\0\n')
        c.sendall(b'SEND\ndestination:/queue/orders\ncontent-length:9\ncontent-type:text/plain\n\ntwo books\0\n')
        hear(c, lambda b: b'two books\0' in b)
        c.sendall(b'SUBSCRIBE\nid:2\n\n\0')      # to nothing
        hear(c, lambda b: b.rstrip(b"\n").endswith(b"\0"))
        c.close()
