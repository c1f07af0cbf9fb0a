# SPDX-License-Identifier: GPL-2.0-or-later
"""Things and machines: libcoap, pymodbus."""
from stage import SERVER, hear, talk


@talk(app='coap', port=[5683, '5683/udp'], needs=['coap-server-notls', 'coap-client-notls'], facts=[
    ('coap', {'code': 'GET', 'path': '/time', 'query': 'ticks'}),
    ('coap', {'code': '2.05'}),
    ('coap', {'code': 'PUT', 'path': '/time'}),
    ('coap', {'code': '2.04'}),
    ('coap', {'code': 'GET', 'path': '/.well-known/core'}),
    ('coap', {'code': 'GET', 'path': '/nothing'}),
    ('coap', {'code': '4.04'}),
    ('coap', {'code': 'GET', 'path': '/time'}),
    ('coap', {'code': '2.05'}),
], tshark={'coap.opt.uri_query': ('coap', 'query')})
def coap_libcoap(s):
    """Over UDP, and once over TCP."""
    s.start('coap-server-notls', '-p', '5683')
    s.listening(5683, 'udp')
    with s.capture():
        for words in (['-m', 'get', 'coap://%s/time?ticks' % SERVER], ['-m', 'put', '-e', '1', 'coap://%s/time' % SERVER], ['-m', 'get', 'coap://%s/.well-known/core' % SERVER],
                      ['-m', 'get', 'coap://%s/nothing' % SERVER], ['-m', 'get', 'coap+tcp://%s/time' % SERVER]):
            s.say('coap-client-notls', *words, check=False)


@talk(app='modbus', port=502, needs=['python:pymodbus', 'python:serial', 'python:serial_asyncio'], facts=[
    ('modbus', {'unit': 3, 'function': 'read_coils', 'address': '1', 'quantity': 8}),
    ('modbus', {'function': 'read_discrete_inputs', 'address': '1', 'quantity': 4}),
    ('modbus', {'unit': 3, 'function': 'read_holding_registers', 'address': '10', 'quantity': 5}),
    ('modbus', {'function': 'read_input_registers', 'address': '0', 'quantity': 2}),
    ('modbus', {'function': 'write_single_coil', 'address': '2'}),
    ('modbus', {'unit': 3, 'function': 'write_single_register', 'address': '7'}),
    ('modbus', {'function': 'write_multiple_registers', 'address': '1', 'quantity': 3}),
    ('modbus', {'function': 'read_holding_registers', 'address': '500', 'exception': ...}),
], tshark={'modbus.reference_num': ('modbus', 'address')})
def modbus_pymodbus(s):
    s.file('server.py', '''
from pymodbus.server import StartTcpServer
from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
block = {k: ModbusSequentialDataBlock(0, [1] * 100) for k in ('di', 'co', 'hr', 'ir')}
StartTcpServer(context=ModbusServerContext(slaves=ModbusSlaveContext(**block), single=True), address=('0.0.0.0', 502))
''')
    s.start('/usr/bin/python3', s.path('server.py'))
    s.listening(502)
    from pymodbus.client import ModbusTcpClient
    with s.capture(), s.client():
        c = ModbusTcpClient(SERVER, port=502)
        c.connect()
        c.read_coils(1, 8, slave=3)
        c.read_discrete_inputs(1, 4)
        c.read_holding_registers(10, 5, slave=3)
        c.read_input_registers(0, 2)
        c.write_coil(2, True)
        c.write_register(7, 99, slave=3)
        c.write_registers(1, [1, 2, 3])
        c.read_holding_registers(500, 5, slave=3)
        c.close()
