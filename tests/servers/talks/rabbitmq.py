# SPDX-License-Identifier: GPL-2.0-or-later
"""RabbitMQ: AMQP 0-9-1 and 1.0, STOMP, MQTT, and the port mapper of Erlang beside it."""
from stage import SERVER, SERVER6, hear, talk, wait_for

NEEDS = ['rabbitmq-server', '/usr/lib/rabbitmq']


def server(s):
    for d in ('mnesia', 'log'):
        s.directory(d)
    s.file('enabled', '[rabbitmq_amqp1_0,rabbitmq_stomp,rabbitmq_mqtt].\n')
    s.file('rabbitmq.conf', 'loopback_users = none\nlisteners.tcp.default = 5672\nlog.console = true\nlog.console.level = error\nlog.file = false\n')
    base = '/usr/lib/rabbitmq/lib/' + __import__('os').listdir('/usr/lib/rabbitmq/lib')[0]
    # Not the wrapper of the package, which becomes another user: everything is below the talk's own directory.
    s.start(base + '/sbin/rabbitmq-server', env={'RABBITMQ_NODENAME': 'rabbit@localhost', 'RABBITMQ_MNESIA_BASE': s.path('mnesia'), 'RABBITMQ_LOG_BASE': s.path('log'),
                                               'RABBITMQ_ENABLED_PLUGINS_FILE': s.path('enabled'), 'RABBITMQ_CONFIG_FILE': s.path('rabbitmq.conf'),
                                               'RABBITMQ_PID_FILE': s.path('pid'), 'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': '+S 1:1'})
    for port in (5672, 61613, 1883):
        s.listening(port, seconds=90)


@talk(app='amqp', port=5672, needs=NEEDS + ['python:pika'], facts=[
    ('amqp', {'operation': 'connection.start-ok', 'user': 'guest', 'mechanism': 'PLAIN'}),
    ('amqp', {'operation': 'connection.open', 'vhost': '/'}),
    ('amqp', {'operation': 'exchange.declare', 'exchange': 'shop', 'exchange_type': 'topic'}),
    ('amqp', {'operation': 'queue.declare', 'queue': 'orders'}),
    ('amqp', {'operation': 'queue.bind', 'queue': 'orders', 'exchange': 'shop', 'routing_key': 'order.*'}),
    ('amqp', {'operation': 'basic.publish', 'exchange': 'shop', 'routing_key': 'order.new'}),
    ('amqp', {'operation': 'basic.get', 'queue': 'orders'}),
    ('amqp', {'operation': 'basic.publish', 'exchange': 'shop', 'routing_key': 'order.paid'}),
    ('amqp', {'operation': 'basic.consume', 'queue': 'orders'}),
    ('amqp', {'operation': 'basic.deliver', 'exchange': 'shop', 'routing_key': 'order.paid'}),
    ('amqp', {'operation': 'basic.cancel'}),
    ('amqp', {'operation': 'queue.purge', 'queue': 'orders'}),
    ('amqp', {'operation': 'queue.delete', 'queue': 'orders'}),
    ('amqp', {'operation': 'channel.close', 'reply_code': 404}),
    ('amqp', {'operation': 'connection.close', 'reply_code': 200}),
    ('amqp', {'operation': 'connection.start-ok', 'user': 'eve'}),
    ('amqp', {'operation': 'connection.close', 'reply_code': 403}),
])
def amqp_091(s):
    server(s)
    import pika
    with s.capture(), s.client():
        p = pika.ConnectionParameters(SERVER, 5672, '/', pika.PlainCredentials('guest', 'guest'))
        c = pika.BlockingConnection(p)
        h = c.channel()
        h.exchange_declare('shop', 'topic')
        h.queue_declare('orders', exclusive=True)
        h.queue_bind('orders', 'shop', 'order.*')
        h.basic_publish('shop', 'order.new', b'two books')
        wait_for('the message is there', lambda: h.basic_get('orders', auto_ack=True)[0], 10, 0.2)
        h.basic_publish('shop', 'order.paid', b'x' * 300, pika.BasicProperties(content_type='text/plain', delivery_mode=2))
        for m, _, _ in h.consume('orders'):
            h.basic_ack(m.delivery_tag)
            break
        h.cancel()
        h.queue_purge('orders')
        h.queue_delete('orders')
        try:
            c.channel().queue_declare('nowhere', passive=True)
        except pika.exceptions.ChannelClosedByBroker:
            pass
        c.close()
        p.credentials = pika.PlainCredentials('eve', 'wrong')
        try:
            pika.BlockingConnection(p)
        except pika.exceptions.AMQPError:
            pass


@talk(app='amqp', port=5672, needs=NEEDS + ['python:proton'], facts=[
    ('amqp', {'operation': 'sasl-init', 'user': 'guest', 'mechanism': 'PLAIN'}),
    ('amqp', {'operation': 'sasl-outcome', 'error': 'ok'}),
    ('amqp', {'operation': 'open', 'container_id': 'till-4'}),
    ('amqp', {'operation': 'attach', 'role': 'sender', 'target': '/queue/orders'}),
    ('amqp', {'operation': 'detach'}),
    ('amqp', {'operation': 'attach', 'role': 'receiver', 'source': '/queue/orders'}),
    ('amqp', {'operation': 'close'}),
])
def amqp_10(s):
    server(s)
    from proton import Message
    from proton.utils import BlockingConnection
    from proton.reactor import Container
    with s.capture(), s.client():
        box = Container()
        box.container_id = 'till-4'
        c = BlockingConnection('amqp://%s:5672' % SERVER, container=box, user='guest', password='guest', allowed_mechs='PLAIN', allow_insecure_mechs=True, heartbeat=None, timeout=20)
        out = c.create_sender('/queue/orders')
        out.send(Message(body='two books'))
        out.link.close()      # RabbitMQ does not answer it: no waiting
        into = c.create_receiver('/queue/orders', credit=1)
        assert into.receive(timeout=10).body == 'two books'
        into.accept()
        into.link.close()
        c.close()


@talk(app='stomp', port=61613, needs=NEEDS + ['python:stomp'], facts=[
    ('stomp', {'operation': 'STOMP', 'user': 'guest'}),
    ('stomp', {'operation': 'CONNECTED', 'version': '1.2', 'server': ...}),
    ('stomp', {'operation': 'SUBSCRIBE', 'destination': '/queue/orders', 'id': 'w1'}),
    ('stomp', {'operation': 'SEND', 'destination': '/queue/orders'}),
    ('stomp', {'operation': 'MESSAGE', 'destination': '/queue/orders'}),
    ('stomp', {'operation': 'UNSUBSCRIBE', 'id': 'w1'}),
    ('stomp', {'operation': 'DISCONNECT'}),
    ('stomp', {'operation': 'CONNECT', 'user': 'eve'}),
    ('stomp', {'operation': 'ERROR', 'message': ...}),
])
def stomp_rabbitmq(s):
    server(s)
    import threading
    import stomp
    heard = threading.Event()

    class Ear(stomp.ConnectionListener):
        def on_message(self, frame):
            heard.set()

    with s.capture():
        with s.client():
            c = stomp.StompConnection12([(SERVER, 61613)], vhost='/')
            c.set_listener('', Ear())
            c.connect('guest', 'guest', wait=True)
        c.subscribe('/queue/orders', id='w1', ack='auto')
        c.send('/queue/orders', 'two books')
        assert heard.wait(10)
        c.unsubscribe(id='w1')
        c.disconnect(receipt='bye')
        b = s.connect(61613)
        b.sendall(b'CONNECT\naccept-version:1.1\nhost:/\nlogin:eve\npasscode:wrong\n\n\0')
        hear(b)
        b.close()


@talk(app='mqtt', port=1883, needs=NEEDS + ['mosquitto_pub'], facts=[
    ('mqtt', {'connect.client_id': 'till-4', 'connect.username': 'guest', 'connect.protocol_version': 4}),
    ('mqtt', {'connack.return_code': 0}),
    ('mqtt', {'publish.topic': 'shop/orders', 'publish.qos': 1}),
    ('mqtt', {'disconnect': ...}),
])
def mqtt_rabbitmq(s):
    server(s)
    with s.capture():
        s.say('mosquitto_pub', '-h', SERVER6, '-i', 'till-4', '-u', 'guest', '-P', 'guest', '-t', 'shop/orders', '-m', 'two books', '-q', '1')


@talk(app='epmd', port=4369, needs=NEEDS + ['erl'], facts=[
    ('epmd', {'operation': 'names'}),
    ('epmd', {'operation': 'port_please', 'node': 'rabbit', 'port': 25672}),
    ('epmd', {'operation': 'port_please', 'node': 'nobody'}),
])
def epmd_rabbitmq(s):
    server(s)
    with s.capture():
        s.say('erl', '-noshell', '-eval', '{ok, _} = erl_epmd:names({10,0,0,2}), {port, 25672, _} = erl_epmd:port_please("rabbit", {10,0,0,2}), '
              'noport = erl_epmd:port_please("nobody", {10,0,0,2}), halt().')
