# SPDX-License-Identifier: GPL-2.0-or-later
"""gRPC of Python: one answer, a stream each way, statuses that are errors, a deadline."""
from stage import SERVER, SERVER6, talk

PROGRAM = '''
import sys, grpc
from concurrent import futures

class Handler(grpc.GenericRpcHandler):
    def service(self, call):
        m = call.method
        if m == '/shop.Orders/Place': return grpc.unary_unary_rpc_method_handler(lambda r, c: b'order ' + r)
        if m == '/shop.Orders/Watch': return grpc.unary_stream_rpc_method_handler(lambda r, c: iter([b'packed', b'sent']))
        if m == '/shop.Orders/Upload': return grpc.stream_unary_rpc_method_handler(lambda it, c: b'%d' % len(list(it)))
        if m == '/shop.Orders/Refuse': return grpc.unary_unary_rpc_method_handler(lambda r, c: c.abort(grpc.StatusCode.PERMISSION_DENIED, 'not for you'))

s = grpc.server(futures.ThreadPoolExecutor(2))
s.add_generic_rpc_handlers((Handler(),))
s.add_insecure_port('[::]:50051')
s.start()
s.wait_for_termination()
'''
CLIENT = '''
import sys, grpc
with grpc.insecure_channel(sys.argv[1]) as ch:
    assert ch.unary_unary('/shop.Orders/Place')(b'two books', metadata=[('tenant', 'blue')]) == b'order two books'
    assert list(ch.unary_stream('/shop.Orders/Watch')(b'7')) == [b'packed', b'sent']
    assert ch.stream_unary('/shop.Orders/Upload')(iter([b'x' * 50, b'y' * 50])) == b'2'
    for m in ('Refuse', 'Nothing'):
        try:
            ch.unary_unary('/shop.Orders/' + m)(b'')
        except grpc.RpcError as e:
            print(e.code())
'''


@talk(app='grpc', port=50051, needs=['python:grpc'], facts=[
    ('http', {'grpc.service': 'shop.Orders', 'grpc.method': 'Place', 'grpc.status': 0, 'http_method': 'POST', 'url': '/shop.Orders/Place', 'status': 200, 'http_user_agent': ...,
              'hostname': SERVER, 'http_port': 50051, 'http_content_type': 'application/grpc'}),
    ('http', {'grpc.service': 'shop.Orders', 'grpc.method': 'Watch', 'grpc.status': 0}),
    ('http', {'grpc.service': 'shop.Orders', 'grpc.method': 'Upload', 'grpc.status': 0}),
    ('http', {'grpc.service': 'shop.Orders', 'grpc.method': 'Refuse', 'grpc.status': 7}),
    ('http', {'grpc.service': 'shop.Orders', 'grpc.method': 'Nothing', 'grpc.status': 12}),
])
def grpc_python(s):
    s.start('/usr/bin/python3', '-c', PROGRAM)
    s.listening(50051)
    with s.capture():
        s.say('/usr/bin/python3', '-c', CLIENT, SERVER + ':50051')


@talk(app='grpc', port=50051, needs=['python:grpc'], facts=[
    ('http', {'grpc.service': 'shop.Orders', 'grpc.method': 'Place', 'grpc.status': 0}),
    ('http', {'grpc.service': 'shop.Orders', 'grpc.method': 'Nothing', 'grpc.status': 12}),
])
def grpc_python_v6(s):
    s.start('/usr/bin/python3', '-c', PROGRAM)
    s.listening(50051)
    with s.capture():
        s.say('/usr/bin/python3', '-c', CLIENT, 'ipv6:[%s]:50051' % SERVER6)
