# SPDX-License-Identifier: GPL-2.0-or-later
"""etcd by etcdctl: gRPC over HTTP/2 without TLS."""
from stage import SERVER, talk


@talk(app='etcd', port=2379, needs=['etcd', 'etcdctl'], facts=[
    ('http', {'grpc.service': 'etcdserverpb.KV', 'grpc.method': 'Put', 'grpc.status': 0, 'http_method': 'POST', 'url': '/etcdserverpb.KV/Put', 'status': 200, 'protocol': 'HTTP/2'}),
    ('http', {'grpc.service': 'etcdserverpb.KV', 'grpc.method': 'Range', 'grpc.status': 0}),
    ('http', {'grpc.service': 'etcdserverpb.KV', 'grpc.method': 'Txn', 'grpc.status': 0}),
    ('http', {'grpc.service': 'etcdserverpb.Lease', 'grpc.method': 'LeaseGrant', 'grpc.status': 0}),
    ('http', {'grpc.service': 'etcdserverpb.Lease', 'grpc.method': 'LeaseRevoke', 'grpc.status': 5}),
    ('http', {'grpc.service': 'etcdserverpb.KV', 'grpc.method': 'DeleteRange', 'grpc.status': 0}),
    ('http', {'grpc.service': 'etcdserverpb.Cluster', 'grpc.method': 'MemberList', 'grpc.status': 0}),
])
def etcd_etcdctl(s):
    s.start('etcd', '--data-dir', s.directory('data', mode=0o700), '--listen-client-urls', 'http://0.0.0.0:2379', '--advertise-client-urls', 'http://%s:2379' % SERVER,
            '--listen-peer-urls', 'http://127.0.0.1:2380')
    s.listening(2379)
    env = {'ETCDCTL_API': '3', 'ETCDCTL_ENDPOINTS': SERVER + ':2379'}
    from stage import wait_for
    wait_for('etcd is healthy', lambda: 'is healthy' in s.say('etcdctl', 'endpoint', 'health', env=env, check=False) or
             'OK' in s.say('etcdctl', 'put', 'probe', '1', env=env, check=False), 30, 0.3)
    with s.capture():
        s.say('etcdctl', 'put', 'shop/orders', 'two books', env=env)
        assert 'two books' in s.say('etcdctl', 'get', '--prefix', 'shop/', env=env)
        s.say('etcdctl', 'txn', env=env, input='value("shop/orders") = "two books"\n\nput shop/paid yes\n\n\n')
        s.say('etcdctl', 'lease', 'grant', '60', env=env)
        s.say('etcdctl', 'lease', 'revoke', '77', env=env, check=False)
        s.say('etcdctl', 'del', 'shop/orders', env=env)
        s.say('etcdctl', 'member', 'list', env=env)
