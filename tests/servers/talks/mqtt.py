# SPDX-License-Identifier: GPL-2.0-or-later
"""MQTT 3.1.1 and 5 through mosquitto; a login, a last will, all qualities of service."""
from stage import SERVER, SERVER6, hear, talk

NEEDS = ['mosquitto', 'mosquitto_passwd', 'python:paho.mqtt.client']


def server(s):
    s.file('passwords', '', user='mosquitto')
    s.run('mosquitto_passwd', '-b', s.path('passwords'), 'sensor', 'open sesame')
    conf = s.file('mosquitto.conf', 'listener 1883\nallow_anonymous false\npassword_file %s\npersistence false\n' % s.path('passwords'))
    s.run('chown', 'mosquitto', s.path('passwords'))
    s.start('mosquitto', '-c', conf)
    s.listening(1883)


def talking(s, version, host, **connect):
    """A client that subscribes, hears its own messages, and leaves."""
    import threading
    import paho.mqtt.client as mqtt
    done, heard = threading.Event(), []
    c = mqtt.Client('till-4', protocol=version, **({} if version == mqtt.MQTTv5 else {'clean_session': True}))
    c.username_pw_set('sensor', 'open sesame')
    c.will_set('status/till-4', 'gone', qos=1)

    def on_message(c, userdata, m):
        heard.append(m.topic)
        if len(heard) == 3:
            c.unsubscribe('shop/#')

    c.on_connect = lambda c, *a: c.subscribe([('shop/#', 2), ('alarms', 1)])
    c.on_subscribe = lambda c, *a: [c.publish('shop/orders/%d' % q, 'two books', qos=q) for q in (0, 1, 2)]
    c.on_message = on_message
    c.on_unsubscribe = lambda c, *a: done.set()
    with s.client():
        c.connect(host, 1883, keepalive=60, **connect)
        c.loop_start()
    assert done.wait(20), heard
    c.disconnect()
    c.loop_stop()


@talk(app='mqtt', port=1883, needs=NEEDS, facts=[
    ('mqtt', {'connect.client_id': 'till-4', 'connect.username': 'sensor', 'connect.protocol_string': 'MQTT', 'connect.protocol_version': 4, 'connect.will.topic': 'status/till-4',
              'connect.flags.password': True, 'connect.flags.clean_session': True}),
    ('mqtt', {'connack.return_code': 0}),
    ('mqtt', {'subscribe.topics': [{'topic': 'shop/#', 'qos': 2}, {'topic': 'alarms', 'qos': 1}]}),
    ('mqtt', {'suback.qos_granted': [2, 1]}),
    ('mqtt', {'publish.topic': 'shop/orders/0', 'publish.qos': 0}),
    ('mqtt', {'publish.topic': 'shop/orders/1', 'publish.qos': 1, 'publish.message_id': ...}),
    ('mqtt', {'publish.topic': 'shop/orders/2', 'publish.qos': 2}),
    ('mqtt', {'publish.topic': 'shop/orders/0'}),
    ('mqtt', {'publish.topic': 'shop/orders/1'}),
    ('mqtt', {'publish.topic': 'shop/orders/2'}),
    ('mqtt', {'unsubscribe.topics': ['shop/#']}),
    ('mqtt', {'disconnect': ...}),
], tshark={'mqtt.clientid': ('mqtt', 'connect.client_id')})
def mqtt_311(s):
    server(s)
    import paho.mqtt.client as mqtt
    with s.capture():
        talking(s, mqtt.MQTTv311, SERVER)


@talk(app='mqtt', port=1883, needs=NEEDS + ['mosquitto_pub'], facts=[
    ('mqtt', {'connect.client_id': 'till-4', 'connect.username': 'sensor', 'connect.protocol_version': 5}),
    ('mqtt', {'connack.return_code': 0}),
    ('mqtt', {'subscribe.topics': [{'topic': 'shop/#', 'qos': 2}]}),
    ('mqtt', {'publish.topic': 'shop/orders/2', 'publish.qos': 2}),
    ('mqtt', {'publish.topic': 'shop/orders/1', 'publish.qos': 1}),
    ('mqtt', {'unsubscribe.topics': ['shop/#']}),
    ('mqtt', {'disconnect.reason_code': ...}),
    ('mqtt', {'connect.client_id': 'once', 'connect.protocol_version': 5}),
    ('mqtt', {'publish.topic': 'prices', 'publish.retain': True, 'publish.properties.content_type': 'text/plain', 'publish.properties.response_topic': 'back/once'}),
    ('mqtt', {'connack.return_code': 135}),
])
def mqtt_5(s):
    server(s)
    import paho.mqtt.client as mqtt
    with s.capture():
        talking(s, mqtt.MQTTv5, SERVER6)
        pub = ['mosquitto_pub', '-h', SERVER, '-V', '5', '-i', 'once', '-u', 'sensor', '-P']
        s.say(*pub, 'open sesame', '-t', 'prices', '-m', '12', '-r', '-q', '1', '-D', 'PUBLISH', 'content-type', 'text/plain', '-D', 'PUBLISH', 'response-topic', 'back/once')
        s.say(*pub, 'wrong', '-t', 'prices', '-m', '1', check=False)


@talk(app='mqtt', port=1883, needs=NEEDS, facts=[
    ('mqtt', {'connect.protocol_string': 'MQIsdp', 'connect.protocol_version': 3, 'connect.client_id': 'old'}),
    ('mqtt', {'connack.return_code': 5}),
])
def mqtt_31(s):
    """3.1 without a login: refused."""
    server(s)
    with s.capture():
        c = s.connect(1883)
        body = b'\0\6MQIsdp\3\2\0\x3c\0\3old'
        c.sendall(b'\x10' + bytes((len(body),)) + body)
        hear(c)
        c.close()
