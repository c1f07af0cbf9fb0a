# SPDX-License-Identifier: GPL-2.0-or-later
"""ONC RPC: rpcbind and what it is asked."""
from stage import SERVER, talk


@talk(app='oncrpc', port=[111, '111/udp'], needs=['rpcbind', 'rpcinfo'], facts=[
    ('oncrpc', {'program': 'portmap', 'procedure': 'dump', 'status': 'success'}),
    ('oncrpc', {'program': 'portmap', 'procedure': 'null', 'status': 'success'}),
    ('oncrpc', {'program': 'portmap', 'procedure': 'getaddr', 'program_asked': 'nfs'}),
])
def oncrpc_rpcbind(s):
    s.start('unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /run; mkdir -p /run/rpcbind; exec rpcbind -f -w')
    s.listening(111)
    with s.capture():
        s.say('rpcinfo', '-p', SERVER, check=False)
        s.say('rpcinfo', '-T', 'udp', SERVER, 'portmapper', '2', check=False)
        s.say('rpcinfo', '-u', SERVER, 'nfs', '3', check=False)
