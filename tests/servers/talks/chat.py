# SPDX-License-Identifier: GPL-2.0-or-later
"""People and logs: ngIRCd, Prosody, rsyslog, telnetd."""
import base64
from pki import certificate
from stage import SERVER, hear, talk


@talk(app='irc', port=6667, needs=['ngircd'], facts=[
    ('irc', {'operation': 'NICK', 'nick': 'alice'}),
    ('irc', {'operation': 'USER', 'user': 'alice'}),
    ('irc', {'operation': 'JOIN', 'target': '#lab'}),
    ('irc', {'operation': 'PRIVMSG', 'target': '#lab'}),
    ('irc', {'operation': 'TOPIC', 'target': '#lab'}),
    ('irc', {'operation': 'WHOIS', 'target': 'nobody'}),
    ('irc', {'operation': 'error', 'code': 401}),
    ('irc', {'operation': 'MODE', 'target': '#lab'}),
    ('irc', {'operation': 'PART', 'target': '#lab'}),
    ('irc', {'operation': 'QUIT'}),
])
def irc_ngircd(s):
    s.file('ngircd.conf', '[Global]\nName = irc.lab.example\nInfo = x\nListen = 0.0.0.0\nPorts = 6667\nServerUID = root\nServerGID = root\nAdminInfo1 = a\nAdminInfo2 = b\nAdminEMail = c@lab.example\n'
           '[Options]\nIdent = no\nPAM = no\nDNS = no\n')
    s.start('ngircd', '-n', '-f', s.path('ngircd.conf'))
    s.listening(6667)
    with s.capture():
        c = s.connect(6667)
        c.sendall(b'CAP LS 302\r\nNICK alice\r\nUSER alice 0 * :Alice\r\nCAP END\r\n')
        hear(c, lambda b: b' 376 ' in b and b.endswith(b'\r\n'))
        for line, end in ((b'JOIN #lab', b' 366 '), (b'PRIVMSG #lab :hello\r\nTOPIC #lab :new', b'TOPIC #lab'), (b'WHOIS nobody', b' 401 '), (b'MODE #lab +m', b'+m'), (b'PART #lab', b'PART')):
            c.sendall(line + b'\r\n')
            hear(c, lambda b: end in b and b.endswith(b'\r\n'))
        c.sendall(b'QUIT :bye\r\n')
        hear(c)
        c.close()


def prosody(s):
    cert, key = certificate(s, 'lab.example')
    s.file('prosody.cfg.lua', '''pidfile = "%s/pid"
data_path = "%s/data"
run_as_root = true
admins = {}
modules_enabled = { "roster"; "saslauth"; "tls"; "disco"; "posix"; "ping" }
modules_disabled = { "s2s" }
authentication = "internal_plain"
allow_unencrypted_plain_auth = true
c2s_require_encryption = false
interfaces = { "*" }
log = "*console"
VirtualHost "lab.example"
  ssl = { certificate = "%s"; key = "%s" }
''' % (s.dir, s.dir, cert, key))
    s.run('chmod', '-R', 'a+rwX', s.dir)
    s.run('prosodyctl', '--config', s.path('prosody.cfg.lua'), '--root', 'register', 'alice', 'lab.example', 'secret', check=False)
    s.run('chmod', '-R', 'a+rwX', s.dir)
    s.start('prosody', '--config', s.path('prosody.cfg.lua'), '--root', '-F')
    s.listening(5222)


OPEN = b"<?xml version='1.0'?><stream:stream to='lab.example' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"


@talk(app='xmpp', port=5222, needs=['prosody', 'prosodyctl'], facts=[
    ('xmpp', {'operation': 'stream', 'to': 'lab.example', 'namespace': 'jabber:client'}),
    ('xmpp', {'operation': 'auth', 'mechanism': 'PLAIN', 'user': 'alice'}),
    ('xmpp', {'operation': 'failure'}),
    ('xmpp', {'operation': 'auth', 'mechanism': 'PLAIN', 'user': 'alice'}),
    ('xmpp', {'operation': 'success'}),
    ('xmpp', {'operation': 'iq', 'type': 'set'}),
    ('xmpp', {'operation': 'presence'}),
    ('xmpp', {'operation': 'message', 'to': 'bob@lab.example', 'type': 'chat'}),
])
def xmpp_prosody(s):
    prosody(s)
    with s.capture():
        c = s.connect(5222)
        c.sendall(OPEN)
        hear(c, b'</stream:features>')
        for password, end in ((b'wrong', b'</failure>'), (b'secret', b'/>')):
            c.sendall(b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + base64.b64encode(b'\0alice\0' + password) + b'</auth>')
            hear(c, lambda b: b.endswith(end) or b.endswith(b'</success>'))
        c.sendall(OPEN)
        hear(c, b'</stream:features>')
        c.sendall(b"<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>lab</resource></bind></iq>")
        hear(c, b'</iq>')
        c.sendall(b"<presence/><message to='bob@lab.example' type='chat'><body>hello</body></message>")
        hear(c, lambda b: b.endswith(b'</message>') or b.endswith(b'/>'))
        c.sendall(b'</stream:stream>')
        hear(c)
        c.close()


@talk(ports={5222: 'tls'}, needs=['prosody', 'prosodyctl', 'openssl'], facts=[
    ('xmpp', {'operation': 'stream', 'to': 'lab.example'}),
    ('xmpp', {'operation': 'starttls'}),
    ('xmpp', {'operation': 'proceed'}),
    ('tls', {'version': 'TLS 1.3'}),
])
def xmpp_starttls(s):
    prosody(s)
    with s.capture():
        s.say('openssl', 's_client', '-connect', SERVER + ':5222', '-starttls', 'xmpp', '-xmpphost', 'lab.example', input='', check=False)


@talk(ports={514: 'syslog', '514/udp': 'syslog'}, needs=['rsyslogd', 'logger'], facts=[
    ('syslog', {'facility': 'auth', 'severity': 'warning', 'program': 'myprog'}),
    ('syslog', {'facility': 'daemon', 'severity': 'err', 'program': 'other', 'hostname': ...}),
    ('syslog', {'facility': 'auth', 'severity': 'warning', 'program': 'myprog'}),
    ('syslog', {'facility': 'local3', 'severity': 'debug', 'program': 'third'}),
    ('syslog', {'facility': 'auth', 'severity': 'warning', 'program': 'myprog'}),
])
def syslog_rsyslog(s):
    """Both forms over UDP; over TCP by lines and by counts."""
    s.file('rsyslog.conf', 'module(load="imudp")\nmodule(load="imtcp")\ninput(type="imudp" port="514")\ninput(type="imtcp" port="514")\naction(type="omfile" file="%s/out")\n' % s.dir)
    s.start('rsyslogd', '-n', '-f', s.path('rsyslog.conf'), '-i', s.path('pid'))
    s.listening(514)
    with s.capture():
        for words in (('myprog', 'auth.warning', '--rfc3164', '-d'), ('other', 'daemon.err', '--rfc5424', '-d'), ('myprog', 'auth.warning', '--rfc3164', '-T'),
                      ('third', 'local3.debug', '--rfc5424', '-T', '--octet-count'), ('myprog', 'auth.warning', '--rfc5424', '-T')):
            s.say('logger', '-n', SERVER, '-P', '514', '-t', words[0], '-p', words[1], *words[2:], 'a message')


@talk(app='telnet', port=23, needs=['/usr/sbin/telnetd', 'inetutils-telnet', 'socat'], facts=[
    ('telnet', {'user': 'bob', 'terminal': 'VT100'}),
], never=[('telnet', {'user': 'secret'})])
def telnet_inetutils(s):
    s.file('login', '#!/bin/sh\nprintf "lab login: "; read u; printf "Password: "; read p; echo; echo "Welcome $u"\n', 0o755)
    s.start('socat', 'TCP-LISTEN:23,fork,reuseaddr', 'EXEC:/usr/sbin/telnetd -E %s,nofork' % s.path('login'))
    s.listening(23)
    s.file('type', '''import pty, os, select, sys
pid, fd = pty.fork()
if not pid:
    os.environ['TERM'] = 'vt100'
    os.execvp('inetutils-telnet', ['inetutils-telnet', '%s'])
for prompt, answer in ((b'login: ', b'bob\\n'), (b'Password: ', b'secret\\n'), (b'Welcome', b'')):
    got = b''
    while prompt not in got and select.select([fd], [], [], 10)[0]:
        got += os.read(fd, 4096)
    os.write(fd, answer)
os.close(fd)
os.waitpid(pid, 0)
''' % SERVER)
    with s.capture():
        s.say('/usr/bin/python3', s.path('type'), check=False)
