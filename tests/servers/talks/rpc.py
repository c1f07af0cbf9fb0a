# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls and messages between programs: thrift, ZeroMQ, gearman, CORBA, Java's RMI, Performance Co-Pilot."""
from stage import SERVER, talk

THRIFT = '''
import sys
from thrift.Thrift import TMessageType, TType, TApplicationException
from thrift.protocol import TBinaryProtocol, TCompactProtocol
from thrift.server import TServer
from thrift.transport import TSocket, TTransport

def reply(o, name, kind, seq, body):
    o.writeMessageBegin(name, kind, seq)
    body(o)
    o.writeMessageEnd()
    o.trans.flush()

class Shop:
    def process(self, i, o):
        name, kind, seq = i.readMessageBegin()
        i.skip(TType.STRUCT)
        i.readMessageEnd()
        def ok(o):
            o.writeStructBegin('r'); o.writeFieldBegin('s', TType.I32, 0); o.writeI32(7); o.writeFieldEnd(); o.writeFieldStop(); o.writeStructEnd()
        if name == 'nothing':
            reply(o, name, TMessageType.EXCEPTION, seq, TApplicationException(1, 'no such method').write)
        elif kind != TMessageType.ONEWAY:
            reply(o, name, TMessageType.REPLY, seq, ok)
        return True

def serve(port, transport, protocol):
    TServer.TThreadedServer(Shop(), TSocket.TServerSocket('0.0.0.0', port), transport, protocol).serve()

import threading
for a in ((9090, TTransport.TBufferedTransportFactory(), TBinaryProtocol.TBinaryProtocolFactory()), (9091, TTransport.TFramedTransportFactory(), TBinaryProtocol.TBinaryProtocolFactory()),
          (9092, TTransport.TFramedTransportFactory(), TCompactProtocol.TCompactProtocolFactory())):
    threading.Thread(target=serve, args=a).start()
'''


@talk(app='thrift', port=[9090, 9091, 9092], needs=['python:thrift'], facts=[
    ('thrift', {'type': 'call', 'method': 'placeOrder'}),
    ('thrift', {'type': 'oneway', 'method': 'note'}),
    ('thrift', {'type': 'call', 'method': 'nothing', 'error': 'exception'}),
] * 3)
def thrift_python(s):
    s.start('/usr/bin/python3', '-c', THRIFT)
    from thrift.Thrift import TMessageType, TType
    from thrift.protocol import TBinaryProtocol, TCompactProtocol
    from thrift.transport import TSocket, TTransport
    for port in (9090, 9091, 9092):
        s.listening(port)
    with s.capture(), s.client():
        for port, transport, protocol in ((9090, TTransport.TBufferedTransport, TBinaryProtocol.TBinaryProtocol), (9091, TTransport.TFramedTransport, TBinaryProtocol.TBinaryProtocol),
                                          (9092, TTransport.TFramedTransport, TCompactProtocol.TCompactProtocol)):
            t = transport(TSocket.TSocket(SERVER, port))
            t.open()
            p = protocol(t)
            for n, (name, kind) in enumerate((('placeOrder', TMessageType.CALL), ('note', TMessageType.ONEWAY), ('nothing', TMessageType.CALL)), 1):
                p.writeMessageBegin(name, kind, n)
                p.writeStructBegin('args')
                p.writeFieldBegin('item', TType.STRING, 1)
                p.writeString('two books')
                p.writeFieldEnd()
                p.writeFieldBegin('many', TType.LIST, 2)
                p.writeListBegin(TType.I64, 2)
                p.writeI64(1)
                p.writeI64(2)
                p.writeListEnd()
                p.writeFieldEnd()
                p.writeFieldStop()
                p.writeStructEnd()
                p.writeMessageEnd()
                t.flush()
                if kind == TMessageType.CALL:
                    got, _, seq = p.readMessageBegin()
                    assert got == name and seq == n
                    p.skip(TType.STRUCT)
                    p.readMessageEnd()
            t.close()


ZMQ = '''
import sys, zmq
from zmq.auth.thread import ThreadAuthenticator
c = zmq.Context()
auth = ThreadAuthenticator(c)
auth.start()
auth.configure_plain(domain='*', passwords={'clerk': 'open sesame'})
auth.configure_curve(domain='*', location=zmq.auth.CURVE_ALLOW_ANY)
rep = c.socket(zmq.REP); rep.bind('tcp://*:5555')
pub = c.socket(zmq.XPUB); pub.bind('tcp://*:5556')
plain = c.socket(zmq.REP); plain.plain_server = True; plain.bind('tcp://*:5557')
curve = c.socket(zmq.REP); curve.curve_server = True
curve.curve_publickey, curve.curve_secretkey = (k.encode() for k in sys.argv[1:3])
curve.bind('tcp://*:5558')
p = zmq.Poller()
for s in (rep, pub, plain, curve): p.register(s, zmq.POLLIN)
while True:
    for s, _ in p.poll():
        m = s.recv()
        s.send(b'prices 12' if s is pub else b'order ' + m)
'''


@talk(app='zmtp', port=[5555, 5556, 5557, 5558], needs=['python:zmq'], facts=[
    ('zmtp', {'operation': 'greeting', 'mechanism': 'NULL', 'version': ...}),
    ('zmtp', {'operation': 'READY', 'socket_type': 'REQ', 'identity': 'till-4'}),
    ('zmtp', {'operation': 'READY', 'socket_type': 'REP'}),
    ('zmtp', {'operation': 'READY', 'socket_type': 'SUB'}),
    ('zmtp', {'operation': 'READY', 'socket_type': 'XPUB'}),
    ('zmtp', {'operation': 'SUBSCRIBE', 'topic': 'prices'}),
    ('zmtp', {'operation': 'greeting', 'mechanism': 'PLAIN'}),
    ('zmtp', {'operation': 'HELLO', 'user': 'clerk'}),
    ('zmtp', {'operation': 'greeting', 'mechanism': 'CURVE'}),
    ('zmtp', {'operation': 'HELLO'}),
])
def zmtp_pyzmq(s):
    import zmq
    public, secret = (k.decode() for k in zmq.curve_keypair())
    s.start('/usr/bin/python3', '-c', ZMQ, public, secret)
    for port in (5555, 5556, 5557, 5558):
        s.listening(port)
    with s.capture():
        s.say('/usr/bin/python3', '-c', '''
import sys, zmq
c = zmq.Context()
q = c.socket(zmq.REQ); q.identity = b'till-4'; q.connect('tcp://10.0.0.2:5555'); q.send(b'two books'); assert q.recv() == b'order two books'
u = c.socket(zmq.SUB); u.subscribe(b'prices'); u.connect('tcp://10.0.0.2:5556'); assert u.recv() == b'prices 12'
p = c.socket(zmq.REQ); p.plain_username = b'clerk'; p.plain_password = b'open sesame'; p.connect('tcp://10.0.0.2:5557'); p.send(b'x'); assert p.recv() == b'order x'
v = c.socket(zmq.REQ); v.curve_publickey, v.curve_secretkey = zmq.curve_keypair(); v.curve_serverkey = sys.argv[1].encode()
v.connect('tcp://10.0.0.2:5558'); v.send(b'x'); assert v.recv() == b'order x'
for x in (q, u, p, v): x.close(0)
c.term()
''', public)


@talk(app='gearman', port=4730, needs=['gearmand', 'gearman'], facts=[
    ('gearman', {'operation': 'can_do', 'function': 'reverse'}),
    ('gearman', {'operation': 'submit_job', 'function': 'reverse'}),
    ('gearman', {'operation': 'submit_job_bg', 'function': 'later'}),
])
def gearman_tools(s):
    s.start('gearmand', '-L', '0.0.0.0', '-p', '4730', '-l', 'stderr', '-u', 'root')
    s.listening(4730)
    with s.capture():
        w = s.start('gearman', '-h', SERVER, '-w', '-f', 'reverse', '--', 'rev', on='client')
        assert s.say('gearman', '-h', SERVER, '-f', 'reverse', 'two books').strip() == 'skoob owt'
        s.say('gearman', '-h', SERVER, '-b', '-f', 'later', 'x')
        s.end(w)


@talk(app='giop', port=2809, needs=['omniNames', 'nameclt'], facts=[
    ('giop', {'operation': 'bind_new_context', 'status': 'ok'}),
    ('giop', {'operation': 'list', 'status': 'ok'}),
    ('giop', {'operation': 'resolve', 'status': 'user_exception'}),
])
def giop_omniorb(s):
    s.start('omniNames', '-start', '2809', '-datadir', s.directory('names'), '-ORBendPointPublish', 'giop:tcp:%s:' % SERVER)
    s.listening(2809)
    with s.capture():
        ref = ['nameclt', '-ORBInitRef', 'NameService=corbaname::%s:2809' % SERVER]
        s.say(*ref, 'bind_new_context', 'shop')
        assert 'shop' in s.say(*ref, 'list')
        s.say(*ref, 'resolve', 'nowhere', check=False)


RMI = '''
import java.rmi.*; import java.rmi.registry.*; import java.rmi.server.*;
public class Shop {
    public interface Orders extends Remote { String place(String what) throws RemoteException; }
    public static class Impl extends UnicastRemoteObject implements Orders {
        Impl() throws RemoteException { super(1100); }
        public String place(String what) { return "order " + what; }
    }
    public static void main(String[] a) throws Exception {
        if (a[0].equals("serve")) {
            System.setProperty("java.rmi.server.hostname", "10.0.0.2");
            LocateRegistry.createRegistry(1099).rebind("Orders", new Impl());
            Thread.sleep(600000);
        }
        Registry r = LocateRegistry.getRegistry(a[0], 1099);
        for (String n : r.list()) System.out.println(n);
        System.out.println(((Orders)r.lookup("Orders")).place("two books"));
        try { r.lookup("Nothing"); } catch (NotBoundException e) { }
        System.exit(0);
    }
}
'''


@talk(app='rmi', port=[1099, 1100], needs=['java', 'javac'], facts=[
    ('rmi', {'operation': 'list', 'status': 'ok'}),
    ('rmi', {'operation': 'lookup', 'name': 'Orders', 'status': 'ok'}),
    ('rmi', {'operation': 'call', 'method': ..., 'status': 'ok'}),
    ('rmi', {'operation': 'lookup', 'name': 'Nothing', 'status': 'exception'}),
])
def rmi_java(s):
    s.file('Shop.java', RMI)
    s.run('javac', '-d', s.path('classes'), s.path('Shop.java'))
    s.start('java', '-Xmx64m', '-cp', s.path('classes'), 'Shop', 'serve')
    s.listening(1099)
    s.listening(1100)
    with s.capture():
        assert 'order two books' in s.say('java', '-Xmx64m', '-cp', s.path('classes'), 'Shop', SERVER)


@talk(app='pcp', port=44321, needs=['/usr/lib/pcp/bin/pmcd', 'pminfo'], facts=[
    ('pcp', {'operation': 'creds'}),
    ('pcp', {'operation': 'pmns_traverse'}),
    ('pcp', {'operation': 'desc_request'}),
])
def pcp_pmcd(s):
    """Debian's pcp is not among the packages of install-deps: it cannot be configured where systemd does not run."""
    conf = s.file('pmcd.conf', 'pmcd 2 dso pmcd_init /var/lib/pcp/pmdas/pmcd/pmda_pmcd.so\n')
    names = s.file('names', 'root { pmcd }\npmcd { version 2:0:6 numagents 2:0:5 }\n')
    s.start('/usr/lib/pcp/bin/pmcd', '-f', '-A', '-U', 'root', '-n', names, '-c', conf, '-l', s.path('pmcd.log'), '-s', s.path('pmcd.socket'), env={'PCP_RUN_DIR': s.directory('run')})
    s.listening(44321)
    with s.capture():
        s.say('pminfo', '-h', SERVER, '-f', 'pmcd.version', check=False)
