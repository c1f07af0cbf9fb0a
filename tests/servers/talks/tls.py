# SPDX-License-Identifier: GPL-2.0-or-later
"""TLS, DTLS and QUIC by OpenSSL, GnuTLS and ngtcp2."""
from pki import certificate
from stage import SERVER, talk

NAME = 'web.lab.example'


def s_server(s, *more):
    cert, key = certificate(s, NAME)
    s.start('openssl', 's_server', '-accept', '443', '-key', key, '-cert', cert, '-quiet', *more)
    s.listening(443)


def s_client(s, *more, check=True):
    s.say('openssl', 's_client', '-connect', SERVER + ':443', *more, input='', check=check)


@talk(app='tls', port=443, needs=['openssl'], facts=[
    ('tls', {'sni': 'a.lab.example', 'version': 'TLS 1.3', 'client_alpns': ['h2', 'http/1.1'], 'ja3.hash': ..., 'ja3s.hash': ..., 'ja4': ...}),
    ('tls', {'sni': 'b.lab.example', 'version': 'TLS 1.2', 'cipher': 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', 'subject': 'O=Lab, CN=' + NAME, 'issuerdn': 'O=Lab, CN=' + NAME,
             'server_alpns': ['http/1.1']}),
    ('tls', {'version': 'TLS 1.3', 'cipher': 'TLS_CHACHA20_POLY1305_SHA256'}),
    ('tls', {'version': 'TLS 1.2'}),
    ('tls', {'version': 'TLS 1.2', 'session_resumed': True}),
    ('tls', {'alert': 'handshake_failure'}),
], tshark={'tls.handshake.extensions_server_name': ('tls', 'sni'), 'tls.handshake.ja3': ('tls', 'ja3.hash'), 'tls.handshake.ja3s': ('tls', 'ja3s.hash')})
def tls_openssl(s):
    s_server(s, '-alpn', 'http/1.1', '-www')
    with s.capture():
        s_client(s, '-servername', 'a.lab.example', '-tls1_3', '-alpn', 'h2,http/1.1')
        s_client(s, '-servername', 'b.lab.example', '-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256', '-alpn', 'http/1.1')
        s_client(s, '-noservername', '-tls1_3', '-groups', 'P-521:X25519', '-ciphersuites', 'TLS_CHACHA20_POLY1305_SHA256')
        s_client(s, '-noservername', '-tls1_2', '-sess_out', s.path('session'))
        s_client(s, '-noservername', '-tls1_2', '-sess_in', s.path('session'))
        s_client(s, '-noservername', '-tls1_2', '-cipher', 'DHE-RSA-AES256-SHA', check=False)


@talk(app='tls', port=443, needs=['openssl'], facts=[
    ('tls', {'sni': 'retry.lab.example', 'version': 'TLS 1.3'}),
    ('tls', {'sni': 'client.lab.example', 'version': 'TLS 1.3'}),
    ('tls', {'sni': 'old.lab.example', 'version': 'TLS 1.1', 'cipher': 'TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA', 'subject': 'O=Lab, CN=rsa.lab.example'}),
    ('tls', {'sni': 'older.lab.example', 'version': 'TLSv1'}),
])
def tls_openssl_odd(s):
    """A HelloRetryRequest, a client's certificate, versions of old."""
    cert, key = certificate(s, 'rsa.lab.example', rsa=True)
    own = certificate(s, 'client.lab.example')
    s.start('openssl', 's_server', '-accept', '443', '-key', key, '-cert', cert, '-quiet', '-groups', 'P-384', '-verify', '2', '-cipher', 'DEFAULT@SECLEVEL=0')
    s.listening(443)
    with s.capture():
        s_client(s, '-servername', 'retry.lab.example', '-groups', 'X25519:P-384')
        s_client(s, '-servername', 'client.lab.example', '-groups', 'P-384', '-cert', own[0], '-key', own[1])
        for name, version in (('old', '-tls1_1'), ('older', '-tls1')):
            s_client(s, '-servername', name + '.lab.example', version, '-cipher', 'DEFAULT@SECLEVEL=0')


@talk(app='tls', port=443, needs=['gnutls-cli', 'gnutls-serv', 'openssl'], facts=[
    ('tls', {'sni': 'g13.lab.example', 'version': 'TLS 1.3'}),
    ('tls', {'sni': 'g12.lab.example', 'version': 'TLS 1.2', 'subject': 'O=Lab, CN=' + NAME}),
])
def tls_gnutls(s):
    cert, key = certificate(s, NAME)
    s.start('gnutls-serv', '--http', '-p', '443', '--x509keyfile', key, '--x509certfile', cert)
    s.listening(443)
    with s.capture():
        s.say('gnutls-cli', '--insecure', '-p', '443', SERVER, '--sni-hostname', 'g13.lab.example', input='', check=False)
        s.say('gnutls-cli', '--insecure', '-p', '443', SERVER, '--sni-hostname', 'g12.lab.example', '--priority', 'NORMAL:-VERS-TLS1.3', input='', check=False)


@talk(app='dtls', port='4433/udp', needs=['openssl', 'gnutls-cli'], facts=[
    ('dtls', {'sni': 'd.lab.example', 'version': 'DTLS 1.2', 'cipher': 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384', 'ja4': ...}),
    ('dtls', {'sni': 'gd.lab.example', 'version': 'DTLS 1.2'}),
])
def dtls_openssl(s):
    cert, key = certificate(s, NAME)
    with s.capture():
        for client in (['openssl', 's_client', '-dtls', '-connect', SERVER + ':4433', '-servername', 'd.lab.example', '-cipher', 'ECDHE-ECDSA-AES256-GCM-SHA384'],
                       ['timeout', '3', 'gnutls-cli', '--insecure', '--udp', '-p', '4433', SERVER, '--sni-hostname', 'gd.lab.example']):
            p = s.start('openssl', 's_server', '-dtls', '-accept', '4433', '-key', key, '-cert', cert, '-quiet')
            s.listening(4433, 'udp')
            s.say(*client, input='', check=False)
            s.end(p)


@talk(app='quic', port='443/udp', needs=['gtlsserver', 'gtlsclient', 'openssl'], facts=[
    ('quic', {'version': '1', 'sni': NAME, 'client_alpns': ['h3'], 'ja3.hash': ..., 'ja4': ...}),
    ('quic', {'version': '1', 'sni': NAME}),
], tshark={'tls.handshake.extensions_server_name': ('quic', 'sni')})
def quic_ngtcp2(s):
    """Once at once, once behind a Retry."""
    cert, key = certificate(s, NAME)
    s.file('hosts', SERVER + ' ' + NAME + '\n')
    s.file('www/index.html', 'hello\n')
    with s.capture():
        for retry in ([], ['-V']):
            p = s.start('gtlsserver', '-q', *retry, '-d', s.path('www'), SERVER, '443', key, cert)
            s.listening(443, 'udp')
            s.say('unshare', '-m', 'sh', '-c', 'mount --bind %s /etc/hosts; exec gtlsclient -q --exit-on-all-streams-close %s 443 https://%s/index.html' % (s.path('hosts'), NAME, NAME),
                  check=False)
            s.end(p)
