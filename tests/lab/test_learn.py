# SPDX-License-Identifier: GPL-2.0-or-later
"""Learn in discover, protect by what was learned: the same traffic goes on, one thing more does not."""
import glob, os, shutil, socket, struct, subprocess

from lablib import Lab, Skip, run, wait_for
from test_policy import refused
from test_requests import redis_cli
from traffic import connect, http_get

DISCOVER = 'version: 1\ndefault: {mode: discover}\n'
APPS = ('tcp/8080', 'tcp/8081', 'tcp/6379', 'tcp/443', 'tcp/5432', 'udp/53')
PG = (sorted(glob.glob('/usr/lib/postgresql/*/bin')) or ['/usr/lib/postgresql/bin'])[-1]


def postgres(lab, name):
    """A cluster of its own; everybody may log in."""
    data, as_pg = lab.path('pg'), ('setpriv', '--reuid', 'postgres', '--regid', 'postgres', '--clear-groups')
    os.chmod(lab.dir, 0o755)
    os.makedirs(data)
    shutil.chown(data, 'postgres', 'postgres')
    run(*as_pg, PG + '/initdb', '-D', data, '-U', 'clerk', '-A', 'trust', '-E', 'UTF8', '--no-sync', cwd='/')
    with open(os.path.join(data, 'pg_hba.conf'), 'a') as f:
        f.write('host all all 0.0.0.0/0 trust\nhost all all ::/0 trust\n')
    lab.start(*as_pg, PG + '/postgres', '-D', data, '-k', data, '-c', 'listen_addresses=*', '-c', 'fsync=off', on=name, cwd='/')
    wait_for('postgres accepts connections', lambda: lab.exec(name, 'psql', '-h', data, '-U', 'clerk', '-d', 'postgres', '-c', 'select 1', check=False).returncode == 0, 30, 0.1)
    lab.exec(name, 'psql', '-h', data, '-U', 'clerk', '-d', 'postgres', '-c', 'create table orders (n int)', '-c', 'create table secret (n int)')


def psql(lab, addr, *statements):
    words = [w for s in statements for w in ('-c', s)]
    r = subprocess.run(['ip', 'netns', 'exec', lab.ns('client'), 'psql', '-h', addr, '-U', 'clerk', '-d', 'postgres', '-At', *words], env=dict(os.environ, PGCONNECT_TIMEOUT='5'),
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20)
    return r.returncode == 0 and r.stdout


def tls(lab, addr, name):
    r = subprocess.run(['ip', 'netns', 'exec', lab.ns('client'), 'openssl', 's_client', '-connect', '%s:443' % addr, '-servername', name], input=b'GET / HTTP/1.0\r\n\r\n',
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=10)
    return b'BEGIN CERTIFICATE' in r.stdout


def dns(lab, addr, name, kind=1):
    s = connect(lab.ns('client'), addr, 53, kind=socket.SOCK_DGRAM, timeout=2)
    try:
        s.send(struct.pack('>HHHHHH', 7, 0x100, 1, 0, 0, 0) + b''.join(bytes((len(part),)) + part.encode() for part in name.split('.')) + struct.pack('>BHH', 0, kind, 1))
        return struct.unpack('>H', s.recv(512)[:2])[0] == 7
    except (ConnectionRefusedError, socket.timeout):
        return False
    finally:
        s.close()


def http(lab, who, addr, path, port=8080):
    try:
        return http_get(lab.ns(who), addr, port, path)[1]
    except (OSError, AssertionError):
        return None


def everything(lab):
    """What the workloads are there for. Fails when any of it does."""
    for family in (lab.v4, lab.v6):
        web, db = family('web'), family('db')
        for path in ('/', '/index.html', '/items/17', '/items/18?x=1'):
            assert http(lab, 'client', web, path), path
        assert http(lab, 'outside', web, '/') == 200
        connect(lab.ns('client'), web, 8081).close()       # is it there?
        assert redis_cli(lab, db, 'SET', 'key', 'value') == 'OK' and redis_cli(lab, db, 'GET', 'key') == 'value'
        assert tls(lab, '[%s]' % db if ':' in db else db, 'www.good.example')
        assert dns(lab, db, 'api.example')
        assert psql(lab, db, 'select count(*) from orders', 'insert into orders values (1)', 'select 1') is not False
        lab.exec('client', 'ping', '-c', '1', '-W', '2', web)
        # somebody outside, by a name that was asked for
        assert dns(lab, lab.v4('db'), 'pay.example', 1) and dns(lab, lab.v4('db'), 'pay.example', 28)
        assert http_get(lab.ns('client'), family('outside'), 8080, '/', host='pay.example')[1] == 200


def test_learn_then_protect():
    with Lab() as lab:
        lab.nginx('web', ports=(8080, 8081))
        lab.redis('db')
        lab.tls_server('db')
        lab.nginx('outside')
        lab.dnsmasq('db', (('api.example', '10.9.8.7'), ('pay.example', lab.v4('outside')), ('pay.example', lab.v6('outside'))))
        postgres(lab, 'db')
        lab.start_tapqd(mode='mixed', apps=APPS, policy=DISCOVER)
        everything(lab)
        assert refused(lab, 'client', lab.v4('web'), 9999) == 'refused'
        wait_for('what was recognised is told', lambda: lab.tapq_json('status')['learning']['pairs'] >= 7)
        text = lab.tapq('policy', 'learned').stdout
        assert 'icmp6' in text, text       # a flow that is still open
        text = lab.tapq('policy', 'learned').stdout
        assert text == lab.tapq('policy', 'learned').stdout
        assert '9999' not in text and '"/items/*"' in text and '"www.good.example"' in text and '"orders"' in text and 'fqdn: ["pay.example"]' in text, text
        learned = lab.path('learned.yaml')
        with open(learned, 'w') as f:
            f.write(text)
        check = lab.tapq('policy', 'check', learned)
        assert 'ok' in check.stdout and not check.stderr, check.stderr
        lab.tapq('policy', 'load', learned)
        assert not lab.tapq_json('status')['learning']['on']
        before = len(lab.events('alert'))
        everything(lab)
        assert lab.events('alert')[before:] == [], (lab.events('alert')[before:], text)
        for family in (lab.v4, lab.v6):
            web, db = family('web'), family('db')
            assert http(lab, 'client', web, '/items/19')        # an id that was not seen is one of the kind
            assert http(lab, 'client', web, '/admin') is None
            assert http(lab, 'client', web, '/', 8081) is None  # who only connected did not ask for anything
            assert http(lab, 'db', web, '/') is None            # somebody else
            assert http(lab, 'client', family('outside'), '/') is None      # under another name
            assert 'OK' not in redis_cli(lab, db, 'FLUSHALL')
            assert not tls(lab, '[%s]' % db if ':' in db else db, 'www.evil.example')
            assert not dns(lab, db, 'x.evil.example')
            assert psql(lab, db, 'select count(*) from secret') is False
            assert psql(lab, db, 'drop table orders') is False
        everything(lab)
        assert lab.stop_tapqd() == 0
        paths = {a['alert'].get('request', {}).get('url') for a in lab.events('alert')}
        assert '/admin' in paths and not paths & {'/index.html', '/items/17'}, paths


def test_learn_then_protect_on_the_mirror():
    """What the mirror learned it allows, twice over; a connection that was not seen is reset, or does not begin (where names are asked for no filter stands before it)."""
    def ended(who, addr, port):
        try:
            c = connect(lab.ns(who), addr, port)
            c.settimeout(3)
            return c.recv(1) == b''
        except ConnectionError:
            return True

    with Lab() as lab:
        lab.nginx('web', ports=(8080, 8081))
        lab.redis('db')
        lab.tls_server('db')
        lab.nginx('outside')
        lab.dnsmasq('db', (('api.example', '10.9.8.7'), ('pay.example', lab.v4('outside')), ('pay.example', lab.v6('outside'))))
        postgres(lab, 'db')
        lab.start_tapqd(mode='tc', policy=DISCOVER)
        everything(lab)
        wait_for('what was recognised is told', lambda: lab.tapq_json('status')['learning']['pairs'] >= 7)
        with open(lab.path('learned.yaml'), 'w') as f:
            f.write(lab.tapq('policy', 'learned').stdout)
        lab.tapq('policy', 'load', lab.path('learned.yaml'))
        before = len(lab.events('alert'))
        for _ in range(2):
            everything(lab)
        assert lab.events('alert')[before:] == [], lab.events('alert')[before:]
        for family in (lab.v4, lab.v6):
            assert ended('db', family('web'), 8080) and ended('client', family('db'), 8081)
        everything(lab)
        assert lab.stop_tapqd() == 0
        alerts = lab.events('alert')[before:]
        assert len(alerts) >= 4 and {(a['tapq']['src_workload'], a['dest_port'], a['tapq']['enforced']) for a in alerts} == {('db', 8080, True), ('client', 8081, True)}, alerts


FTP = '''
import ftplib, sys
for passive in (True, False):
    f = ftplib.FTP()
    f.connect(sys.argv[1], timeout=5)
    f.login()
    f.set_pasv(passive)
    got = []
    f.retrlines('RETR readme.txt', got.append)
    assert got == ['hello'], got
    f.quit()
'''


def test_ports_that_are_agreed_upon():
    """Data of FTP goes to another port each time, in either direction."""
    if not shutil.which('vsftpd'):
        raise Skip('vsftpd is not here (scripts/install-deps)')
    with Lab(outside=False) as lab:
        os.makedirs(lab.path('pub'))
        os.makedirs(lab.path('empty'))
        os.chmod(lab.dir, 0o755)
        with open(os.path.join(lab.path('pub'), 'readme.txt'), 'w') as f:
            f.write('hello\n')
        with open(lab.path('vsftpd.conf'), 'w') as f:
            f.write('\n'.join(('listen_ipv6=YES', 'background=NO', 'anonymous_enable=YES', 'anon_root=' + lab.path('pub'), 'seccomp_sandbox=NO', 'isolate=NO', 'isolate_network=NO',
                               'secure_chroot_dir=' + lab.path('empty'), 'ftp_username=daemon', 'nopriv_user=nobody', 'connect_from_port_20=YES')) + '\n')
        lab.start('vsftpd', lab.path('vsftpd.conf'), on='db')
        lab.wait_listening('db', 21)
        lab.start_tapqd(mode='mixed', apps=('tcp/21',), policy=DISCOVER)
        for addr in (lab.v4('db'), lab.v6('db')):
            lab.exec('client', 'python3', '-c', FTP, addr)
        wait_for('both kinds of flows are learned', lambda: lab.tapq_json('status')['learning']['pairs'] >= 3)
        text = lab.tapq('policy', 'learned').stdout
        with open(lab.path('learned.yaml'), 'w') as f:
            f.write(text)
        lab.tapq('policy', 'load', lab.path('learned.yaml'))
        for addr in 2 * (lab.v4('db'), lab.v6('db')):
            r = lab.exec('client', 'python3', '-c', FTP, addr, check=False)
            assert r.returncode == 0, (addr, r, text)
        assert lab.events('alert') == [], (lab.events('alert'), text)
        assert lab.stop_tapqd() == 0


def test_nothing_to_learn():
    """A policy that is not in discover learns nothing and says so; nor does none."""
    with Lab(outside=False) as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='mixed', policy='version: 1\ndefault: {mode: monitor}\n')
        assert http(lab, 'client', lab.v4('web'), '/') == 200
        r = lab.tapq('policy', 'learned', check=False)
        assert r.returncode == 1 and 'no policy in mode discover' in r.stderr, r
        # rules of the policy's own are not said again, and what is learned can be put behind them
        own = 'version: 1\ndefault: {mode: discover}\ngroups:\n  - {name: web, match: {workload: web}}\nrules:\n  - {id: 17, from: any, to: web, http: {paths: [/index.html]}, action: allow}\n'
        with open(lab.path('own.yaml'), 'w') as f:
            f.write(own)
        lab.tapq('policy', 'load', lab.path('own.yaml'))
        for path in ('/index.html', '/'):
            assert http(lab, 'client', lab.v4('web'), path) == 200
        wait_for('the request is learned', lambda: lab.tapq_json('status')['learning']['pairs'] == 1)
        d = lab.tapq_json('policy', 'learned', '--mode', 'monitor')
        assert '"web-2"' in d['text'] and 'id: 20,' in d['text'] and 'mode: monitor' in d['text'] and 'paths: ["/"]' in d['text'] and 'index' not in d['text'], d['text']
        r = lab.tapq('policy', 'learned', '--mode', 'strict', check=False)
        assert r.returncode == 1 and 'discover, monitor or protect' in r.stderr, r
        assert lab.stop_tapqd() == 0
