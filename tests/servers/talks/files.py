# SPDX-License-Identifier: GPL-2.0-or-later
"""Files: vsftpd, Samba, tftpd-hpa, rsync, git, Subversion, iSCSI."""
import ftplib, io, ssl
from pki import certificate
from stage import SERVER, talk


def vsftpd(s):
    cert, key = certificate(s, 'ftp.lab.example', rsa=True)
    s.file('pub/readme.txt', 'hello\n' * 50)
    s.directory('pub/in', mode=0o777)
    s.directory('empty')
    s.file('vsftpd.conf', '\n'.join(('listen=YES', 'background=NO', 'anonymous_enable=YES', 'anon_root=' + s.path('pub'), 'anon_upload_enable=YES', 'anon_mkdir_write_enable=YES',
           'anon_other_write_enable=YES', 'write_enable=YES', 'local_enable=YES', 'seccomp_sandbox=NO', 'ssl_enable=YES', 'allow_anon_ssl=YES', 'force_local_logins_ssl=NO',
           'force_local_data_ssl=NO', 'rsa_cert_file=' + cert, 'rsa_private_key_file=' + key, 'require_ssl_reuse=NO', 'ssl_ciphers=HIGH', 'connect_from_port_20=YES', 'isolate=NO',
           'isolate_network=NO', 'secure_chroot_dir=' + s.path('empty'), 'ftp_username=daemon', 'nopriv_user=nobody', 'pasv_min_port=50000', 'pasv_max_port=50000')) + '\n')
    s.start('vsftpd', s.path('vsftpd.conf'))
    s.listening(21)


@talk(app='ftp', port=21, others='ftp-data', needs=['vsftpd', 'curl'], facts=[
    ('ftp', {'command': 'USER', 'command_data': 'anonymous', 'user': 'anonymous', 'completion_code': ['331']}),
    ('ftp', {'command': 'PASS', 'completion_code': ['230']}),
    ('ftp', {'command': 'PASV', 'completion_code': ['227']}),
    ('ftp', {'command': 'LIST', 'completion_code': ['150', '226']}),
    ('ftp', {'command': 'RETR', 'command_data': 'readme.txt', 'completion_code': ['150', '226']}),
    ('ftp', {'command': 'CWD', 'command_data': 'in', 'completion_code': ['250']}),
    ('ftp', {'command': 'STOR', 'command_data': 'up.txt', 'completion_code': ['150', '226']}),
    ('ftp', {'command': 'RNFR', 'command_data': 'up.txt', 'completion_code': ['350']}),
    ('ftp', {'command': 'RNTO', 'command_data': 'new.txt', 'completion_code': ['250']}),
    ('ftp', {'command': 'RETR', 'command_data': 'none', 'completion_code': ['550']}),
    ('ftp', {'command': 'DELE', 'command_data': 'new.txt', 'completion_code': ['250']}),
    ('ftp', {'command': 'PORT', 'completion_code': ['200']}),
    ('ftp', {'command': 'NLST', 'completion_code': ['150', '226']}),
    ('ftp', {'command': 'QUIT', 'completion_code': ['221']}),
    ('ftp', {'command': 'USER', 'command_data': 'mallory'}),
    ('ftp', {'command': 'PASS', 'user': 'mallory', 'completion_code': ['530']}),
    ('ftp', {'command': 'EPSV', 'completion_code': ['229']}),
    ('ftp', {'command': 'RETR', 'command_data': 'readme.txt', 'completion_code': ['150', '226']}),
], never=[('ftp', {'command_data': 'wrong'})])
def ftp_vsftpd(s):
    vsftpd(s)
    with s.capture(), s.client():
        f = ftplib.FTP(SERVER)
        f.login()
        f.retrlines('LIST', lambda _: 0)
        f.retrbinary('RETR readme.txt', lambda _: 0)
        f.cwd('in')
        f.storbinary('STOR up.txt', io.BytesIO(b'x' * 100))
        f.rename('up.txt', 'new.txt')
        try:
            f.retrbinary('RETR none', lambda _: 0)
        except ftplib.Error:
            pass
        f.delete('new.txt')
        s.file('pub/in/one', 'x')
        f.set_pasv(False)
        f.retrlines('NLST', lambda _: 0)
        f.quit()
        f = ftplib.FTP(SERVER)
        try:
            f.login('mallory', 'wrong')
        except ftplib.Error:
            pass
        f.quit()
        s.say('curl', '-s', 'ftp://%s/readme.txt' % SERVER, '-o', '/dev/null')


@talk(ports={21: 'tls', 50000: 'tls'}, needs=['vsftpd'], facts=[
    ('ftp', {'command': 'AUTH', 'command_data': 'TLS', 'completion_code': ['234']}),
    ('tls', {'version': 'TLS 1.3'}),
    ('tls', {'version': 'TLS 1.3'}),
], never=[('ftp', {'command': 'USER'})])
def ftp_authtls(s):
    vsftpd(s)
    with s.capture(), s.client():
        f = ftplib.FTP_TLS(context=ssl._create_unverified_context())
        f.connect(SERVER)
        f.login()
        f.prot_p()
        try:
            f.retrlines('LIST', lambda _: 0)
        except (ftplib.Error, OSError):
            pass
        f.close()


def samba(s):
    s.directory('share', mode=0o777)
    for d in ('private', 'state', 'cache', 'lock', 'pid', 'ncalrpc'):
        s.directory(d)
    s.file('smb.conf', '''[global]
 workgroup = LAB
 netbios name = FILES
 server role = standalone
 private dir = %(d)s/private
 state directory = %(d)s/state
 cache directory = %(d)s/cache
 lock directory = %(d)s/lock
 pid directory = %(d)s/pid
 ncalrpc dir = %(d)s/ncalrpc
 smb ports = 445
 server min protocol = NT1
 client min protocol = NT1
 map to guest = never
 load printers = no
 disable spoolss = yes
 log file = %(d)s/log
 passdb backend = smbpasswd:%(d)s/private/passwords
[data]
 path = %(d)s/share
 read only = no
 force user = root
''' % dict(d=s.dir))
    s.file('up.txt', 'hello\n' * 20)
    s.run('smbpasswd', '-c', s.path('smb.conf'), '-a', '-s', 'root', input='secret\nsecret\n')
    s.start('smbd', '--foreground', '--debug-stdout', '-s', s.path('smb.conf'))
    s.listening(445)


def smbclient(s, *words, share='data', password='secret'):
    s.say('smbclient', '-s', s.path('smb.conf'), '//%s/%s' % (SERVER, share), '-U', 'root%' + password, *words, check=False)


WORK = 'mkdir docs; put %s docs/up.txt; ls docs/*; rename docs/up.txt docs/new.txt; del docs/new.txt; rmdir docs'
SHARE = '\\\\' + SERVER + '\\data'


def worked(version, new, delete, rmdir='delete'):
    share, up = (SHARE.replace('data', 'DATA'), '\\docs\\up.txt') if version == 1 else (SHARE, 'docs\\up.txt')
    return [
        ('smb', {'version': version, 'command': 'session_setup', 'user': 'root', 'status': 'success'}),
        ('smb', {'version': version, 'command': 'tree_connect', 'share': share, 'status': 'success'}),
        ('smb', {'version': version, 'command': new, 'status': 'success'}),
        ('smb', {'version': version, 'command': 'create', 'file': up, 'status': 'success'}),
        ('smb', {'version': version, 'command': 'query_directory', 'status': 'success'}),
        ('smb', {'version': version, 'command': 'rename', 'file': up, 'target': up.replace('up', 'new'), 'status': 'success'}),
        ('smb', dict({'version': version, 'file': up.replace('up', 'new'), 'status': 'success'}, **delete)),
        ('smb', {'version': version, 'command': rmdir, 'file': up[:up.index('docs') + 4], 'status': 'success'}),
        ('smb', {'version': version, 'command': 'tree_disconnect', 'status': 'success'}),
    ]


@talk(app='smb', port=445, needs=['smbd', 'smbclient', 'smbpasswd'], facts=[
    ('smb', {'version': 2, 'command': 'negotiate', 'dialect': '3.1.1', 'status': 'success'}), *worked(2, 'create', {'command': 'create', 'delete_on_close': True}),
    ('smb', {'version': 2, 'command': 'session_setup', 'user': 'root', 'status': 'logon_failure'}),
    ('smb', {'version': 2, 'command': 'tree_connect', 'share': '\\\\' + SERVER + '\\nothing', 'status': 'bad_network_name'}),
])
def smb3_samba(s):
    samba(s)
    with s.capture():
        smbclient(s, '-m', 'SMB3', '-c', WORK % s.path('up.txt'))
        smbclient(s, '-m', 'SMB3', '-c', 'ls', password='wrong')
        smbclient(s, '-m', 'SMB3', '-c', 'ls', share='nothing')


@talk(app='smb', port=445, needs=['smbd', 'smbclient', 'smbpasswd'], facts=[('smb', {'command': 'negotiate', 'dialect': '2.0.2', 'status': 'success'}), *worked(2, 'create', {'command': 'create', 'delete_on_close': True})])
def smb2_samba(s):
    samba(s)
    with s.capture():
        smbclient(s, '-m', 'SMB2_02', '-c', WORK % s.path('up.txt'))


@talk(app='smb', port=445, needs=['smbd', 'smbclient', 'smbpasswd'], facts=[
    ('smb', {'version': 1, 'command': 'negotiate', 'dialect': 'NT LM 0.12', 'status': 'success'}), *worked(1, 'mkdir', {'command': 'delete'}, 'rmdir')])
def smb1_samba(s):
    samba(s)
    with s.capture():
        smbclient(s, '-m', 'NT1', '-c', WORK % s.path('up.txt'))


@talk(app='smb', port=445, needs=['smbd', 'rpcclient', 'smbpasswd'], facts=[
    ('smb', {'command': 'tree_connect', 'share': '\\\\' + SERVER + '\\IPC$', 'status': 'success'}),
    ('smb', {'command': 'create', 'file': 'samr', 'status': 'success'}),
])
def smb_rpcclient(s):
    samba(s)
    with s.capture():
        s.say('rpcclient', '-s', s.path('smb.conf'), SERVER, '-U', 'root%secret', '-c', 'enumdomusers', check=False)


@talk(app='tftp', port='69/udp', others='tftp', needs=['/usr/sbin/in.tftpd', 'tftp', 'curl'], facts=[
    ('tftp', {'operation': 'read', 'file': 'boot.img', 'mode': 'octet'}),
    ('tftp', {'operation': 'write', 'file': 'up.img', 'mode': 'octet'}),
    ('tftp', {'operation': 'read', 'file': 'none.img', 'mode': 'netascii'}),
    ('tftp', {'operation': 'error', 'error_code': 'file_not_found'}),
    ('tftp', {'operation': 'read', 'file': 'boot.img'}),
])
def tftp_hpa(s):
    s.file('root/boot.img', 'x' * 1300)
    s.file('root/up.img', '', 0o666)
    s.directory('root', mode=0o777)
    s.start('/usr/sbin/in.tftpd', '-L', '-a', '0.0.0.0:69', '-u', 'root', '-s', s.path('root'))
    s.listening(69, 'udp')
    with s.capture():
        s.say('tftp', '-m', 'binary', SERVER, '-c', 'get', 'boot.img', s.path('got'), check=False)
        s.say('tftp', '-m', 'binary', SERVER, '-c', 'put', s.path('got'), 'up.img', check=False)
        s.say('tftp', '-m', 'ascii', SERVER, '-c', 'get', 'none.img', s.path('none'), check=False)
        s.say('curl', '-s', '-o', '/dev/null', 'tftp://%s/boot.img' % SERVER)


@talk(app='rsync', port=873, needs=['rsync'], facts=[
    ('rsync', {'result': 'list'}),
    ('rsync', {'module': 'data', 'result': 'ok'}),
    ('rsync', {'module': 'sealed', 'user': 'alice', 'result': 'ok'}),
    ('rsync', {'module': 'sealed', 'user': 'alice', 'result': 'error'}),
    ('rsync', {'module': 'nothing', 'result': 'error'}),
])
def rsync_daemon(s):
    s.file('data/one.txt', 'one\n')
    s.file('secrets', 'alice:pw\n', 0o600)
    s.file('rsyncd.conf', 'use chroot = no\n[data]\npath = %s/data\nuid = root\n[sealed]\npath = %s/data\nuid = root\nauth users = alice\nsecrets file = %s\n' % (s.dir, s.dir, s.path('secrets')))
    s.start('rsync', '--daemon', '--no-detach', '--config', s.path('rsyncd.conf'))
    s.listening(873)
    with s.capture():
        s.say('rsync', 'rsync://%s/' % SERVER)
        s.say('rsync', '-a', 'rsync://[fd00::2]/data/', s.path('a/'))
        for password in ('pw', 'wrong'):
            s.say('rsync', '-a', 'rsync://alice@%s/sealed/' % SERVER, s.path('b/'), env={'RSYNC_PASSWORD': password}, check=False)
        s.say('rsync', '-a', 'rsync://%s/nothing/' % SERVER, s.path('c/'), check=False)


@talk(app='git', port=9418, needs=['git'], facts=[
    ('git', {'operation': 'receive-pack', 'repository': '/proj.git', 'host': SERVER}),
    ('git', {'operation': 'upload-pack', 'repository': '/proj.git', 'host': SERVER}),
    ('git', {'operation': 'upload-pack', 'repository': '/proj.git'}),
    ('git', {'operation': 'upload-archive', 'repository': '/proj.git'}),
    ('git', {'operation': 'upload-pack', 'repository': '/nothing.git'}),
])
def git_daemon(s):
    s.file('.gitconfig', '[safe]\n directory = *\n[user]\n name = a\n email = a@lab.example\n')
    s.run('git', 'init', '-q', '--bare', s.path('base', 'proj.git'))
    s.run('git', 'init', '-q', s.path('work'))
    s.run('git', '-C', s.path('work'), 'commit', '-q', '--allow-empty', '-m', 'x')
    s.start('git', 'daemon', '--export-all', '--enable=receive-pack', '--enable=upload-archive', '--base-path=' + s.path('base'))
    s.listening(9418)
    url = 'git://%s/proj.git' % SERVER
    with s.capture():
        s.say('git', '-C', s.path('work'), 'push', '-q', url, 'HEAD:refs/heads/main')
        s.say('git', 'clone', '-q', url, s.path('clone'), check=False)
        s.say('git', '-c', 'protocol.version=0', 'ls-remote', url)
        s.say('git', 'archive', '--remote=' + url, 'main', '-o', s.path('a.tar'), check=False)
        s.say('git', 'ls-remote', 'git://%s/nothing.git' % SERVER, check=False)


@talk(app='svn', port=3690, needs=['svnserve', 'svn'], facts=[
    ('svn', {'url': 'svn://%s/repo' % SERVER, 'agent': ...}),
    ('svn', {'operation': 'stat', 'path': ''}),
    ('svn', {'mechanism': 'CRAM-MD5', 'user': 'alice'}),
    ('svn', {'operation': 'commit'}),
    ('svn', {'operation': 'add-dir', 'path': 'trunk'}),
    ('svn', {'url': 'svn://%s/nothing' % SERVER}),
])
def svn_svnserve(s):
    s.run('svnadmin', 'create', s.path('repo'))
    s.file('repo/conf/svnserve.conf', '[general]\nanon-access = read\nauth-access = write\npassword-db = passwd\nrealm = lab\n')
    s.file('repo/conf/passwd', '[users]\nalice = pw\n')
    s.start('svnserve', '-d', '--foreground', '-r', s.dir)
    s.listening(3690)
    with s.capture():
        s.say('svn', 'info', '--non-interactive', 'svn://%s/repo' % SERVER)
        s.say('svn', 'mkdir', '--non-interactive', '--no-auth-cache', '--username', 'alice', '--password', 'pw', '-m', 'x', 'svn://%s/repo/trunk' % SERVER)
        s.say('svn', 'ls', '--non-interactive', 'svn://%s/nothing' % SERVER, check=False)


@talk(app='iscsi', port=3260, needs=['tgtd', 'tgtadm', 'iscsi-ls', 'iscsi-inq'], facts=[
    ('iscsi', {'initiator': 'iqn.2026-01.example.lab:client', 'session_type': 'Discovery', 'status': 'success'}),
    ('iscsi', {'initiator': 'iqn.2026-01.example.lab:client', 'target': 'iqn.2026-01.example.lab:disk', 'status': 'success'}),
])
def iscsi_tgt(s):
    s.start('tgtd', '-f', '-C', '7', '--iscsi', 'portal=%s:3260' % SERVER)
    s.listening(3260)
    with open(s.path('disk'), 'wb') as f:
        f.truncate(1 << 20)
    for words in (('new', '--mode', 'target', '--tid', '1', '-T', 'iqn.2026-01.example.lab:disk'), ('new', '--mode', 'logicalunit', '--tid', '1', '--lun', '1', '-b', s.path('disk')),
                  ('bind', '--mode', 'target', '--tid', '1', '-I', 'ALL')):
        s.run('tgtadm', '-C', '7', '--lld', 'iscsi', '--op', *words)
    with s.capture():
        s.say('iscsi-ls', '-i', 'iqn.2026-01.example.lab:client', 'iscsi://%s' % SERVER, check=False)
        s.say('iscsi-inq', '-i', 'iqn.2026-01.example.lab:client', 'iscsi://%s/iqn.2026-01.example.lab:disk/1' % SERVER, check=False)
