# SPDX-License-Identifier: GPL-2.0-or-later
"""OpenSSH with two sets of algorithms; the fingerprints are computed from what both sides were told to offer."""
import hashlib, os
from stage import SERVER, talk

CIPHERS, MACS = 'aes128-ctr,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com', 'hmac-sha2-256,hmac-sha2-512-etm@openssh.com'
KEX = 'curve25519-sha256,ecdh-sha2-nistp256,diffie-hellman-group14-sha256'
HYBRID = 'sntrup761x25519-sha512@openssh.com'
OURS = ['-o', 'Ciphers=' + CIPHERS, '-o', 'MACs=' + MACS]


def hassh(kex, more, compression):
    return hashlib.md5(';'.join((kex + ',' + more, CIPHERS, MACS, compression)).encode()).hexdigest()


def server(s, kex):
    os.makedirs('/run/sshd', exist_ok=True)
    for key in ('host', 'user'):
        s.run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', s.path(key))
    s.file('sshd_config', 'Port 22\nHostKey %s\nAuthorizedKeysFile %s\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nKexAlgorithms %s\n'
           'Ciphers %s\nMACs %s\nCompression delayed\n' % (s.path('host'), s.path('user.pub'), kex, CIPHERS, MACS))
    s.start('/usr/sbin/sshd', '-D', '-e', '-f', s.path('sshd_config'))
    s.listening(22)


def login(s, kex, *more, check=True):
    s.say('ssh', '-i', s.path('user'), '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'KexAlgorithms=' + kex, *OURS, *more,
          'root@' + SERVER, 'true', check=check)


@talk(app='ssh', port=22, needs=['/usr/sbin/sshd', 'ssh'], facts=[
    ('ssh', {'client.proto_version': '2.0', 'client.hassh.hash': hassh(KEX, 'ext-info-c,kex-strict-c-v00@openssh.com', 'none,zlib@openssh.com,zlib'),
             'server.proto_version': '2.0', 'server.hassh.hash': hassh(KEX, 'kex-strict-s-v00@openssh.com', 'none,zlib@openssh.com')}),
    ('ssh', {'client.hassh.hash': hassh(KEX, 'ext-info-c,kex-strict-c-v00@openssh.com', 'zlib@openssh.com,zlib,none'), 'server.hassh.hash': ...}),
], tshark={'ssh.kex.hassh': ('ssh', 'client.hassh.hash'), 'ssh.kex.hasshserver': ('ssh', 'server.hassh.hash')})
def ssh_openssh(s):
    server(s, KEX)
    with s.capture():
        login(s, KEX)
        login(s, KEX, '-C')


@talk(app='ssh', port=22, needs=['/usr/sbin/sshd', 'ssh'], facts=[
    ('ssh', {'client.hassh.hash': hassh(HYBRID, 'ext-info-c,kex-strict-c-v00@openssh.com', 'none,zlib@openssh.com,zlib'), 'client.software_version': ...,
             'server.hassh.hash': hassh(HYBRID, 'kex-strict-s-v00@openssh.com', 'none,zlib@openssh.com'), 'server.software_version': ...}),
    ('ssh', {'client.hassh.hash': hassh(KEX, 'ext-info-c,kex-strict-c-v00@openssh.com', 'none,zlib@openssh.com,zlib')}),
])
def ssh_openssh_hybrid(s):
    server(s, HYBRID)
    with s.capture():
        login(s, HYBRID)
        login(s, KEX, check=False)      # no algorithm in common
