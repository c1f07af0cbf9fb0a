# SPDX-License-Identifier: GPL-2.0-or-later
"""Screens: X11, VNC by TigerVNC, RDP by xrdp and FreeRDP."""
from stage import SERVER, talk, wait_for


def xvfb(s, on):
    """A screen for the client's own windows, on a local socket."""
    s.start('Xvfb', ':71', '-screen', '0', '64x64x24', '-nolisten', 'tcp', on=on)
    wait_for('the screen is there', lambda: s.run('xdpyinfo', '-display', ':71', on=on, check=False), 20, 0.1)
    return {'DISPLAY': ':71'}


@talk(app='x11', port=6007, needs=['Xvfb', 'xdpyinfo'], facts=[('x11', {'result': 'success', 'vendor': 'The X.Org Foundation'})])
def x11_xvfb(s):
    s.start('Xvfb', ':7', '-listen', 'tcp', '-ac', '-screen', '0', '64x64x8')
    s.listening(6007)
    with s.capture():
        s.say('xdpyinfo', '-display', SERVER + ':7')


@talk(app='x11', port=6007, needs=['Xvfb', 'xdpyinfo', 'xauth'], facts=[
    ('x11', {'result': 'failed'}),
    ('x11', {'authorization': 'MIT-MAGIC-COOKIE-1', 'result': 'success'}),
])
def x11_cookie(s):
    for name in (':7', SERVER + ':7'):
        s.run('xauth', '-f', s.path('cookies'), 'add', name, '.', '00112233445566778899aabbccddeeff')
    s.start('Xvfb', ':7', '-listen', 'tcp', '-auth', s.path('cookies'), '-screen', '0', '64x64x8')
    s.listening(6007)
    with s.capture():
        s.say('xdpyinfo', '-display', SERVER + ':7', env={'XAUTHORITY': '/nonexistent'}, check=False)
        s.say('xdpyinfo', '-display', SERVER + ':7', env={'XAUTHORITY': s.path('cookies')})


def vnc(s, security, *more):
    s.start('Xtigervnc', ':8', '-rfbport', '5900', '-geometry', '64x64', '-depth', '16', '-SecurityTypes', security, '-desktop', 'lab desk', *more)
    s.listening(5900)


@talk(app='vnc', port=5900, needs=['Xtigervnc', 'xtigervncviewer', 'Xvfb'], facts=[
    ('vnc', {'server_version': '003.008', 'client_version': '003.008', 'security': 'none', 'result': 'ok', 'desktop': 'lab desk'}),
])
def vnc_none(s):
    env = xvfb(s, 'client')
    vnc(s, 'None')
    with s.capture():
        s.start('xtigervncviewer', SERVER + '::5900', on='client', env=env)
        wait_for('the viewer is in', lambda: 'Enabling continuous updates' in s.log(), 20, 0.1)
        s.end(s.procs[-1])


@talk(app='vnc', port=5900, needs=['Xtigervnc', 'xtigervncviewer', 'Xvfb'], facts=[
    ('vnc', {'security': 'vnc', 'result': 'ok', 'desktop': 'lab desk'}),
    ('vnc', {'security': 'vnc', 'result': 'failed'}),
])
def vnc_password(s):
    env = xvfb(s, 'client')
    # What vncpasswd writes for the passwords "secret" and "wrong": DES under the key that every VNC has.
    for name, scrambled in (('right', '2e2dbf576eb06c9e'), ('wrong', 'b07fa26065bf41c0')):
        with open(s.path(name), 'wb') as f:
            f.write(bytes.fromhex(scrambled))
    vnc(s, 'VncAuth', '-PasswordFile', s.path('right'))
    with s.capture():
        for name in ('right', 'wrong'):
            p = s.start('xtigervncviewer', '-passwd', s.path(name), SERVER + '::5900', on='client', env=env)
            wait_for('the viewer is in, or not', lambda: ('Enabling continuous updates' if name == 'right' else 'CConn:       Authentication failure') in s.log(), 20, 0.1)
            s.end(p)


@talk(app='rdp', port=3389, needs=['xrdp', 'xfreerdp', 'Xvfb', 'openssl'], facts=[
    ('rdp', {'cookie': 'alice', 'requested': 'tls', 'selected': 'tls'}),
    ('rdp', {'cookie': 'alice', 'selected': 'rdp'}),
])
def rdp_xrdp(s):
    from pki import certificate
    cert, key = certificate(s, 'rdp.lab.example', rsa=True)
    env = xvfb(s, 'client')
    s.file('xrdp.ini', '''[Globals]
ini_version=1
fork=true
port=3389
tcp_nodelay=true
security_layer=negotiate
crypt_level=high
certificate=%s
key_file=%s
ssl_protocols=TLSv1.2, TLSv1.3
autorun=
[Logging]
LogFile=%s
LogLevel=INFO
[Xorg]
name=Xorg
lib=libxup.so
username=ask
password=ask
ip=127.0.0.1
port=-1
''' % (cert, key, s.path('xrdp.log')))
    s.run('xrdp-keygen', 'xrdp', s.path('rsakeys.ini'), check=False)
    s.start('xrdp', '--nodaemon', '-c', s.path('xrdp.ini'))
    s.listening(3389)
    with s.capture():
        for sec in ('tls', 'rdp'):
            s.say('timeout', '4', 'xfreerdp', '/v:' + SERVER, '/u:alice', '/p:secret', '/cert:ignore', '/sec:' + sec, '/size:64x64', env=env, check=False)
