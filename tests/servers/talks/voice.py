# SPDX-License-Identifier: GPL-2.0-or-later
"""Voice and pictures: SIPp with SIP and RTP, coturn, an RTSP server of GStreamer."""
import os
from stage import CLIENT, SERVER, talk, wait_for


@talk(app='sip', port=[5060, '5060/udp'], needs=['sipp'], facts=[
    ('sip', {'method': 'INVITE', 'uri': ..., 'call_id': ...}),
    ('sip', {'method': 'INVITE', 'code': '180'}),
    ('sip', {'method': 'INVITE', 'code': '200'}),
    ('sip', {'method': 'ACK'}),
    ('sip', {'method': 'BYE'}),
    ('sip', {'method': 'BYE', 'code': '200'}),
    ('sip', {'method': 'INVITE'}),
    ('sip', {'method': 'INVITE', 'code': '200'}),
])
def sip_sipp(s):
    """The built-in caller and callee, over UDP and TCP."""
    with s.capture():
        for transport, proto in (('u1', 'udp'), ('t1', 'tcp')):
            p = s.start('sipp', '-sn', 'uas', '-t', transport, '-i', SERVER, '-p', '5060', '-nostdin')
            s.listening(5060, proto)
            s.say('sipp', '-sn', 'uac', '-t', transport, '-i', CLIENT, '-s', 'bob', '-m', '1', '-d', '100', '-nostdin', SERVER + ':5060', check=False)
            s.end(p)


def turnserver(s):
    s.start('turnserver', '-n', '-v', '--log-file', 'stdout', '-L', SERVER, '-p', '3478', '--min-port', '50000', '--max-port', '50010', '-a', '-u', 'alice:secret', '-r', 'lab.example',
            '--no-tls', '--no-dtls', '--no-cli', '--pidfile', s.path('pid'), '-b', s.path('db'), '--allow-loopback-peers')
    s.listening(3478, 'udp')


@talk(app='stun', port=[3478, '3478/udp'], needs=['turnserver', 'turnutils_stunclient', 'turnutils_uclient'], facts=[
    ('stun', {'type': 'binding', 'class': 'request'}),
    ('stun', {'type': 'binding', 'class': 'success', 'mapped_ip': CLIENT, 'software': ...}),
    ('stun', {'type': 'allocate', 'class': 'request'}),
    ('stun', {'type': 'allocate', 'class': 'error', 'error_code': 401, 'realm': 'lab.example'}),
    ('stun', {'type': 'allocate', 'class': 'request', 'username': 'alice', 'realm': 'lab.example'}),
    ('stun', {'type': 'allocate', 'class': 'success', 'relayed_ip': SERVER, 'mapped_ip': CLIENT}),
    ('stun', {'type': 'channel_bind', 'class': 'success'}),
], others='stun')
def stun_coturn(s):
    turnserver(s)
    with s.capture('port 3478'):
        s.say('turnutils_stunclient', '-p', '3478', SERVER)
        for t in ([], ['-t']):
            s.say('timeout', '20', 'turnutils_uclient', *t, '-y', '-c', '-n', '2', '-m', '1', '-u', 'alice', '-w', 'secret', '-p', '3478', SERVER, check=False)


@talk(ports={5004: 'rtp', '5004/udp': 'rtp', '5005/udp': 'rtcp'}, needs=['ffmpeg'], facts=[
    ('rtp', {'payload_type': 0, 'ssrc': ...}),
    ('rtcp', {'ssrc': ...}),
])
def rtp_ffmpeg(s):
    """A tone as PCMU, and the reports beside it."""
    s.start('socat', '-u', 'UDP-RECV:5004', 'OPEN:/dev/null')
    s.start('socat', '-u', 'UDP-RECV:5005', 'OPEN:/dev/null')
    s.listening(5005, 'udp')
    with s.capture():
        s.say('ffmpeg', '-loglevel', 'error', '-re', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=8000:duration=1', '-c:a', 'pcm_mulaw', '-ac', '1', '-f', 'rtp',
              'rtp://%s:5004?rtcpport=5005' % SERVER)


@talk(ports={8554: 'rtsp'}, needs=['ffmpeg', '/usr/lib/x86_64-linux-gnu/girepository-1.0/GstRtspServer-1.0.typelib'], facts=[
    ('rtsp', {'operation': 'OPTIONS', 'uri': 'rtsp://%s:8554/tone' % SERVER}),
    ('rtsp', {'operation': 'DESCRIBE', 'uri': 'rtsp://%s:8554/tone' % SERVER}),
    ('rtsp', {'operation': 'response', 'code': 200, 'server': ...}),
    ('rtsp', {'operation': 'SETUP'}),
    ('rtsp', {'operation': 'response', 'code': 200, 'session': ...}),
    ('rtsp', {'operation': 'PLAY'}),
    ('rtsp', {'operation': 'TEARDOWN'}),
    ('rtsp', {'operation': 'DESCRIBE', 'uri': 'rtsp://%s:8554/nothing' % SERVER}),
    ('rtsp', {'operation': 'response', 'code': 404}),
])
def rtsp_gstreamer(s):
    """With the sound interleaved in the same connection."""
    s.file('server.py', '''
import gi
gi.require_version('Gst', '1.0')
gi.require_version('GstRtspServer', '1.0')
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_service('8554')
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch('( audiotestsrc ! audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay name=pay0 )')
server.get_mount_points().add_factory('/tone', factory)
server.attach(None)
GLib.MainLoop().run()
''')
    s.start('/usr/bin/python3', s.path('server.py'))
    s.listening(8554)
    with s.capture():
        for path in ('tone', 'nothing'):
            s.say('timeout', '10', 'ffmpeg', '-loglevel', 'error', '-rtsp_transport', 'tcp', '-i', 'rtsp://%s:8554/%s' % (SERVER, path), '-t', '0.5', '-f', 'null', '-', check=False)
