# SPDX-License-Identifier: GPL-2.0-or-later
"""Mail: postfix, aiosmtpd, dovecot. Logins of each kind, STARTTLS, pipelining, chunks."""
import base64, imaplib, os, poplib, pwd, smtplib, ssl
from pki import certificate
from stage import SERVER, hear, talk


def anything():
    c = ssl.create_default_context()
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    return c


def postfix(s):
    cert, key = certificate(s, 'mx.lab.example')
    s.directory('spool')
    s.directory('data', 'postfix')
    s.file('etc/master.cf', '''smtp inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
''')
    s.file('etc/main.cf', '''compatibility_level = 3.6
queue_directory = %s/spool
data_directory = %s/data
maillog_file = %s/mail.log
maillog_file_prefixes = /tmp
myhostname = mx.lab.example
mydestination =
inet_interfaces = all
default_transport = discard
mynetworks = 10.0.0.0/24, [fd00::]/64
smtpd_tls_cert_file = %s
smtpd_tls_key_file = %s
smtpd_tls_security_level = may
smtpd_recipient_restrictions = permit_mynetworks, reject
''' % (s.dir, s.dir, s.dir, cert, key))
    s.start('postfix', '-c', s.path('etc'), 'start-fg')
    s.listening(25)


@talk(app='smtp', port=25, needs=['postfix', 'swaks'], facts=[
    ('smtp', {'helo': 'client.lab.example', 'mail_from': 'alice@lab.example', 'rcpt_to': ['bob@lab.example', 'carol@lab.example']}),
    ('smtp', {'helo': 'client.lab.example', 'mail_from': 'second@lab.example', 'rcpt_to': ['dave@lab.example']}),
    ('smtp', {'helo': 'pipe.lab.example', 'mail_from': 'p1@lab.example', 'rcpt_to': ['p2@lab.example', 'p3@lab.example']}),
    ('smtp', {'helo': 'pipe.lab.example', 'mail_from': 'b1@lab.example', 'rcpt_to': ['b2@lab.example']}),
    ('smtp', {'helo': 'old.lab.example', 'mail_from': 'swaks@lab.example', 'rcpt_to': ['t@lab.example']}),
], never=[('smtp', {'mail_from': 'fake@lab.example'})])
def smtp_postfix(s):
    postfix(s)
    with s.capture():
        with s.client():
            c = smtplib.SMTP('fd00::2', 25, 'client.lab.example')
            c.sendmail('alice@lab.example', ['bob@lab.example', 'carol@lab.example'], 'Subject: x\n\nhello')
            c.sendmail('second@lab.example', ['dave@lab.example'], 'Subject: y\n\n.\n..\nMAIL FROM:<fake@lab.example>\n')
            c.verify('bob')
            c.quit()
        c = s.connect(25)
        hear(c, b'\r\n')
        c.sendall(b'EHLO pipe.lab.example\r\n')
        hear(c, lambda b: b'\r\n250 ' in b and b.endswith(b'\r\n'))
        c.sendall(b'MAIL FROM:<p1@lab.example> SIZE=10\r\nRCPT TO:<p2@lab.example>\r\nRCPT TO:<p3@lab.example>\r\nDATA\r\n')
        hear(c, lambda b: b'\r\n354 ' in b and b.endswith(b'\r\n'))
        c.sendall(b'Subject: z\r\n\r\nMAIL FROM:<fake@lab.example>\r\n.\r\n'
                  b'MAIL FROM:<b1@lab.example>\r\nRCPT TO:<b2@lab.example>\r\nBDAT 12\r\nSubject: q\r\nBDAT 8 LAST\r\n\r\nbody\r\nQUIT\r\n')
        hear(c)
        c.close()
        s.say('swaks', '--server', SERVER, '--from', 'swaks@lab.example', '--to', 't@lab.example', '--protocol', 'SMTP', '--helo', 'old.lab.example')


@talk(ports={25: 'tls'}, needs=['postfix'], facts=[
    ('smtp', {'helo': 'tls.lab.example'}),
    ('tls', {'version': 'TLS 1.3'}),
    ('smtp', {'helo': 'tls.lab.example'}),
    ('tls', {'version': 'TLS 1.2', 'subject': 'O=Lab, CN=mx.lab.example'}),
], never=[('smtp', {'mail_from': ...})])
def smtp_starttls(s):
    postfix(s)
    with s.capture():
        for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
            context = anything()
            context.maximum_version = version
            with s.client():
                c = smtplib.SMTP(SERVER, 25, 'tls.lab.example')
                c.starttls(context=context)
                c.sendmail('sealed@lab.example', ['x@lab.example'], 'hello')
                c.quit()


@talk(app='smtp', port=25, needs=['python:aiosmtpd', 'swaks'], facts=[
    ('smtp', {'helo': 'a.lab.example', 'user': 'alice', 'mail_from': 'alice@lab.example', 'rcpt_to': ['bob@lab.example']}),
    ('smtp', {'helo': 'b.lab.example', 'user': 'alice', 'mail_from': 'alice@lab.example', 'rcpt_to': ['carol@lab.example']}),
    ('smtp', {'helo': 'c.lab.example', 'user': 'mallory'}),
])
def smtp_auth(s):
    s.file('server.py', '''
import asyncio
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from aiosmtpd.smtp import AuthResult
def judge(server, session, envelope, mechanism, data):
    return AuthResult(success=data.login == b'alice')
c = Controller(Sink(), hostname='0.0.0.0', port=25, auth_require_tls=False, authenticator=judge)
c.start()
asyncio.new_event_loop().run_forever()
''')
    s.start('/usr/bin/python3', s.path('server.py'))
    s.listening(25)
    with s.capture():
        for helo, user, to, how in (('a', 'alice', 'bob', 'PLAIN'), ('b', 'alice', 'carol', 'LOGIN'), ('c', 'mallory', 'dave', 'LOGIN')):
            s.say('swaks', '--server', SERVER, '--helo', helo + '.lab.example', '--auth', how, '--auth-user', user, '--auth-password', 'secret', '--from', 'alice@lab.example',
                  '--to', to + '@lab.example', check=user == 'alice')


def dovecot(s):
    cert, key = certificate(s, 'mail.lab.example')
    uid, gid = pwd.getpwnam('mail')[2:4]
    s.directory('mail', 'mail')
    s.file('users', 'alice:{PLAIN}secret\n')
    s.file('dovecot.conf', '''base_dir = %(d)s/run
state_dir = %(d)s/state
log_path = /dev/stderr
protocols = imap pop3
listen = *, ::
disable_plaintext_auth = no
auth_mechanisms = plain login cram-md5
auth_failure_delay = 0
ssl = yes
ssl_cert = <%(cert)s
ssl_key = <%(key)s
default_login_user = nobody
default_internal_user = nobody
default_internal_group = nogroup
first_valid_uid = 1
mail_location = mbox:%(d)s/mail/%%u
passdb {
  driver = passwd-file
  args = %(d)s/users
}
userdb {
  driver = static
  args = uid=%(uid)d gid=%(gid)d home=%(d)s/mail/%%u
}
service anvil {
  chroot =
}
service imap-login {
  chroot =
}
service pop3-login {
  chroot =
}
''' % dict(d=s.dir, cert=cert, key=key, uid=uid, gid=gid))
    s.start('dovecot', '-F', '-c', s.path('dovecot.conf'))
    s.listening(143)
    s.listening(110)


@talk(app='imap', port=143, needs=['dovecot', '/usr/lib/dovecot/imap'], facts=[
    ('imap', {'operation': 'LOGIN', 'user': 'alice', 'status': 'OK'}),
    ('imap', {'operation': 'CREATE', 'mailbox': 'Projects', 'status': 'OK'}),
    ('imap', {'operation': 'APPEND', 'mailbox': 'INBOX', 'status': 'OK'}),
    ('imap', {'operation': 'SELECT', 'mailbox': 'INBOX', 'status': 'OK'}),
    ('imap', {'operation': 'SEARCH', 'status': 'OK'}),
    ('imap', {'operation': 'FETCH', 'status': 'OK'}),
    ('imap', {'operation': 'STATUS', 'mailbox': 'Projects', 'status': 'OK'}),
    ('imap', {'operation': 'DELETE', 'mailbox': 'Nothing', 'status': 'NO'}),
    ('imap', {'operation': 'IDLE', 'status': 'OK'}),
    ('imap', {'operation': 'LOGOUT', 'status': 'OK'}),
    ('imap', {'operation': 'LOGIN', 'user': 'alice', 'status': 'NO'}),
    ('imap', {'operation': 'AUTHENTICATE', 'mechanism': 'PLAIN', 'user': 'alice', 'status': 'OK'}),
    ('imap', {'operation': 'AUTHENTICATE', 'mechanism': 'CRAM-MD5', 'user': 'alice', 'status': 'OK'}),
], never=[('imap', {'operation': 'Subject:'})])
def imap_dovecot(s):
    dovecot(s)
    with s.capture(), s.client():
        c = imaplib.IMAP4('fd00::2')
        c.login('alice', 'secret')
        c.create('Projects')
        c.append('INBOX', None, None, b'From: a@lab.example\r\nSubject: hi\r\n\r\na4 DELETE Projects\r\n')
        c.select('INBOX')
        c.search(None, 'ALL')
        c.fetch('1', '(RFC822)')
        c.status('Projects', '(MESSAGES)')
        c.delete('Nothing')
        c.send(b'Z1 IDLE\r\n')
        c.readline()
        c.send(b'DONE\r\n')
        while not c.readline().startswith(b'Z1 '):
            pass
        c.logout()
        c = imaplib.IMAP4(SERVER)
        try:
            c.login('alice', 'wrong')
        except imaplib.IMAP4.error:
            pass
        c.logout()
        c = imaplib.IMAP4(SERVER)
        c.authenticate('PLAIN', lambda _: b'\0alice\0secret')
        c.logout()
        c = imaplib.IMAP4(SERVER)
        c.login_cram_md5('alice', 'secret')
        c.logout()


@talk(ports={143: 'tls', 110: 'tls'}, needs=['dovecot', '/usr/lib/dovecot/imap', '/usr/lib/dovecot/pop3'], facts=[
    ('imap', {'operation': 'STARTTLS', 'status': 'OK'}),
    ('tls', {'version': 'TLS 1.3'}),
    ('pop3', {'operation': 'STLS', 'status': '+OK'}),
    ('tls', {'version': 'TLS 1.3'}),
], never=[('imap', {'operation': 'LOGIN'}), ('pop3', {'operation': 'USER'})])
def imap_pop3_starttls(s):
    dovecot(s)
    with s.capture(), s.client():
        c = imaplib.IMAP4(SERVER)
        c.starttls(anything())
        c.login('alice', 'secret')
        c.logout()
        c = poplib.POP3(SERVER)
        c.stls(anything())
        c.user('alice')
        c.pass_('secret')
        c.quit()


@talk(app='pop3', port=110, needs=['dovecot', '/usr/lib/dovecot/pop3'], facts=[
    ('pop3', {'operation': 'USER', 'user': 'alice', 'status': '+OK'}),
    ('pop3', {'operation': 'PASS', 'status': '+OK'}),
    ('pop3', {'operation': 'STAT', 'status': '+OK'}),
    ('pop3', {'operation': 'RETR', 'argument': '1', 'status': '-ERR'}),
    ('pop3', {'operation': 'UIDL', 'status': '+OK'}),
    ('pop3', {'operation': 'QUIT', 'status': '+OK'}),
    ('pop3', {'operation': 'PASS', 'status': '-ERR'}),
    ('pop3', {'operation': 'AUTH', 'mechanism': 'PLAIN', 'user': 'alice', 'status': '+OK'}),
    ('pop3', {'operation': 'RETR', 'argument': '1', 'status': '+OK'}),
    ('pop3', {'operation': 'DELE', 'argument': '1', 'status': '+OK'}),
], never=[('pop3', {'argument': 'secret'})])
def pop3_dovecot(s):
    dovecot(s)
    with s.capture(), s.client():
        c = poplib.POP3('fd00::2')
        c.user('alice')
        c.pass_('secret')
        c.stat()
        try:
            c.retr(1)
        except poplib.error_proto:
            pass
        c.uidl()
        c.quit()
        c = poplib.POP3(SERVER)
        c.user('alice')
        try:
            c.pass_('wrong')
        except poplib.error_proto:
            pass
        c.quit()
        s.file('mail/alice/inbox', 'From a@lab.example Tue Nov 24 00:00:00 2026\nFrom: a@lab.example\nSubject: hi\n\nQUIT\n.\n\n', user='mail')
        c = poplib.POP3(SERVER)
        c._shortcmd('AUTH PLAIN')
        c._shortcmd(base64.b64encode(b'\0alice\0secret').decode())
        c.retr(1)
        c.dele(1)
        c.quit()
