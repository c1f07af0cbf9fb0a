# SPDX-License-Identifier: GPL-2.0-or-later
"""A denied stream of HTTP/2 is answered by the reset of its connection: all streams on it end, at both ends; the next connection is judged by itself.
nginx, nghttp and curl, without TLS, by prior knowledge."""
import os

from lablib import Lab, run, wait_for

RULES = '''version: 1
default: {mode: protect}
rules:
  - {id: 30, from: any, to: any, apps: [http], http: {paths: ["/denied*"]}, action: %s}
  - {id: 90, from: any, to: any, action: allow}
'''
CONF = '''daemon off; master_process off; pid %(dir)s/h2.pid; error_log %(dir)s/h2.error crit;
events { worker_connections 256; }
http { access_log %(dir)s/h2.access; client_body_temp_path %(dir)s/b; proxy_temp_path %(dir)s/p; fastcgi_temp_path %(dir)s/f; uwsgi_temp_path %(dir)s/u; scgi_temp_path %(dir)s/s;
log_format one '$server_protocol $request_uri $connection'; access_log %(dir)s/h2.access one;
server { listen 8080 http2; listen [::]:8080 http2 ipv6only=on; root %(dir)s/h2; location = /slow { limit_rate 20k; } } }
'''


def serve(lab):
    os.makedirs(lab.path('h2'), exist_ok=True)
    for name, size in (('allowed', 100), ('denied', 100), ('slow', 1 << 20)):
        with open(os.path.join(lab.path('h2'), name), 'w') as f:
            f.write('x' * size)
    with open(lab.path('h2.conf'), 'w') as f:
        f.write(CONF % {'dir': lab.dir})
    os.chmod(lab.dir, 0o755)
    lab.start('nginx', '-c', lab.path('h2.conf'), '-e', lab.path('h2.error'), on='web')
    lab.wait_listening('web', 8080)


def streams(lab, client, addr, *paths):
    """All on one connection, at once: {path: (status, bytes)} of those that were answered whole, and how nghttp ended."""
    host = '[%s]' % addr if ':' in addr else addr
    r = run('nghttp', '-ns', '--no-dep', '--timeout=8', *['http://%s:8080%s' % (host, p) for p in paths], ns=lab.ns(client), check=False)
    rows = [l.split() for l in r.stdout.splitlines() if l.split() and l.split()[-1].startswith('/')]
    return {w[-1]: (int(w[-3]), w[-2]) for w in rows if w[-3].isdigit()}, r


def curl(lab, client, addr, path):
    host = '[%s]' % addr if ':' in addr else addr
    r = run('curl', '-gsS', '--http2-prior-knowledge', '--max-time', '8', '-o', '/dev/null', '-w', '%{http_version} %{http_code} %{size_download}', 'http://%s:8080%s' % (host, path), ns=lab.ns(client),
            check=False)
    return r.stdout, r.returncode, r.stderr


def server_saw(lab):
    with open(lab.path('h2.access')) as f:
        return [l.split()[1] for l in f]


def denied_stream(mode, per={}):
    with Lab(containers=('web', 'client')) as lab:
        serve(lab)
        lab.start_tapqd(mode=mode, policy=RULES % 'deny', per=per)
        for addr in (lab.v4('web'), lab.v6('web')):
            out, _ = streams(lab, 'client', addr, '/allowed', '/allowed?2')
            assert {k: v[0] for k, v in out.items()} == {'/allowed': 200, '/allowed?2': 200}, out
            # A stream that is let by runs when the denied one comes on its connection.
            out, r = streams(lab, 'client', addr, '/slow', '/denied', '/allowed')
            assert '/slow' not in out and (mode == 'tc' or '/denied' not in out), (out, r.stdout, r.stderr)
            got, rc, text = curl(lab, 'client', addr, '/denied')
            assert mode == 'tc' or (rc in (55, 56) and 'reset' in text), (got, rc, text)
            # Another connection is judged by itself.
            assert curl(lab, 'client', addr, '/allowed')[0] == '2 200 100'
        # Nothing that is established is left at either end.
        for name in ('web', 'client'):
            wait_for('%s has no connection' % name, lambda: ':8080' not in lab.exec(name, 'ss', '-Htn', 'state', 'established').stdout, 5)
        assert lab.stop_tapqd() == 0
        if mode != 'tc':
            assert '/denied' not in server_saw(lab), server_saw(lab)
        alerts = lab.events('alert')
        assert len(alerts) == 4 and {(a['alert']['signature_id'], a['app_proto'], a['alert']['action'], a['tapq']['enforced'], a['tapq']['verdict']) for a in alerts} == {(30, 'http2', 'blocked', True, 'deny')}, alerts
        assert {':' in a['src_ip'] for a in alerts} == {False, True}


def test_denied_stream_at_the_server():
    denied_stream('nfq', {'web': 'side: server', 'client': 'mode: tc'})


def test_denied_stream_at_the_client():
    denied_stream('mixed', {'web': 'mode: tc', 'client': 'side: client'})


def test_denied_stream_on_the_mirror():
    denied_stream('tc')
