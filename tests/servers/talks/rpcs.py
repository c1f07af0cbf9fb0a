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


def ganesha(s):
    s.file('share/readme.txt', 'hello\n')
    s.run('chmod', '-R', 'a+rwX', s.path('share'))
    s.file('ganesha.conf', '''NFS_CORE_PARAM { NFS_Protocols = 3, 4; mount_path_pseudo = false; Enable_NLM = false; Enable_RQUOTA = false; }
NFSv4 { Grace_Period = 1; Lease_Lifetime = 2; RecoveryRoot = %s; }
NFS_KRB5 { Active_krb5 = false; }
EXPORT { Export_Id = 1; Path = %s/share; Pseudo = /share; Protocols = 3, 4; Access_Type = RW; Squash = None; SecType = sys, none; FSAL { Name = VFS; } }
LOG { Default_Log_Level = EVENT; }
''' % (s.directory('recovery'), s.dir))
    s.start('unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /run; mkdir -p /run/rpcbind /run/ganesha /run/dbus; dbus-daemon --system --fork; rpcbind -w; mkdir -p /var/lib/nfs/ganesha; '
            'exec ganesha.nfsd -F -L STDERR -f %s -p %s' % (s.path('ganesha.conf'), s.path('pid')))
    s.listening(2049)


@talk(ports={111: 'oncrpc', '111/udp': 'oncrpc', 2049: 'nfs'}, needs=['ganesha.nfsd', 'rpcbind', 'nfs-ls', 'nfs-cat', 'nfs-cp'], others='oncrpc', facts=[
    ('oncrpc', {'program': 'mount', 'procedure': 'mnt', 'status': 'success'}),
    ('nfs', {'program': 'nfs', 'version': 3, 'procedure': 'lookup', 'file': 'readme.txt'}),
    ('nfs', {'program': 'nfs', 'version': 3, 'procedure': 'read'}),
])
def nfs3_ganesha(s):
    ganesha(s)
    with s.capture():
        s.say('nfs-cat', 'nfs://%s%s/share/readme.txt' % (SERVER, s.dir), check=False)


@talk(ports={111: 'oncrpc', 2049: 'nfs'}, needs=['ganesha.nfsd', 'rpcbind', 'nfs-cat'], others='oncrpc', facts=[
    ('nfs', {'program': 'nfs', 'version': 4, 'procedure': 'compound', 'operations': ['lookup']}),
    ('nfs', {'program': 'nfs', 'version': 4, 'operations': ['open'], 'file': 'readme.txt'}),
    ('nfs', {'program': 'nfs', 'version': 4, 'operations': ['read']}),
])
def nfs4_ganesha(s):
    ganesha(s)
    with s.capture():
        s.say('nfs-cat', 'nfs://%s/share/readme.txt?version=4' % SERVER, check=False)
