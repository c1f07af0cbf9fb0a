# SPDX-License-Identifier: GPL-2.0-or-later
"""Allow and deny on both paths, and a workload's own firewall that stays in force."""
import signal, socket, threading

from lablib import BUILD, Lab, flow_key, run, wait_for
from traffic import connect, http_get

DENY = '''version: 1
default: {mode: protect}
groups:
  - {name: web, match: {workload: "web*"}}
  - {name: client, match: {workload: "client"}}
rules:
  - {id: 10, from: client, to: web, ports: [tcp/8080], action: deny}
  - {id: 90, from: any, to: any, action: allow}
'''

APP = '''version: 1
default: {mode: protect}
groups:
  - {name: web, match: {workload: web}}
rules:
  - {id: 20, from: any, to: web, apps: [http], action: allow}
  - {id: 21, from: any, to: web, action: deny}
  - {id: 90, from: any, to: any, action: allow}
'''


def refused(lab, client, addr, port, timeout=1.2):
    try:
        s = connect(lab.ns(client), addr, port, timeout=timeout)
        s.close()
        return None
    except ConnectionRefusedError:
        return 'refused'
    except (TimeoutError, socket.timeout):
        return 'timed out'


def tried(lab, client, ends, timeout=1.2):
    """Connects to all of these (address, port) at once: {end: open, refused, timed out}. As long as the slowest, not as all of them."""
    out, lock = {}, threading.Lock()

    def one(addr, port):
        got = refused(lab, client, addr, port, timeout) or 'open'
        with lock:
            out[addr, port] = got
    threads = [threading.Thread(target=one, args=e) for e in ends]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return out


def test_deny_inline():
    with Lab() as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='mixed', policy=DENY)
        for addr in (lab.v4('web'), lab.v6('web')):
            assert refused(lab, 'client', addr, 8080) == 'refused'
            assert http_get(lab.ns('outside'), addr, 8080)[1] == 200
        assert lab.stop_tapqd() == 0
        alerts = lab.events('alert')
        assert len(alerts) == 2 and {a['alert']['signature_id'] for a in alerts} == {10}, alerts
        assert all(a['alert']['action'] == 'blocked' and a['tapq']['enforced'] and a['tapq']['verdict'] == 'deny' and a['tapq']['path'] == 'nfq' for a in alerts), alerts
        flows = [e for e in lab.events('flow') if e['tapq']['verdict'] == 'deny']
        assert {(f['tapq']['src_workload'], f['tapq']['dest_workload'], f['tapq']['rule']) for f in flows} == {('client', 'web', 10)}


def test_deny_on_the_mirror_is_told():
    with Lab() as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='tc', policy=DENY)
        for addr in (lab.v4('web'), lab.v6('web')):
            assert http_get(lab.ns('client'), addr, 8080)[1] == 200
        assert lab.stop_tapqd() == 0
        alerts = lab.events('alert')
        assert len(alerts) == 2, alerts
        assert all(a['alert']['action'] == 'allowed' and a['tapq']['enforced'] is False and a['tapq']['verdict'] == 'deny' and a['tapq']['rule'] == 10 for a in alerts), alerts


def test_app_rule_inline():
    """HTTP may pass on the port, anything else may not: told by content."""
    with Lab() as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='mixed', policy=APP)
        assert http_get(lab.ns('client'), lab.v4('web'), 8080)[1] == 200
        s = connect(lab.ns('client'), lab.v4('web'), 8080)
        s.sendall(b'SSH-2.0-Intruder_1.0\r\n' + b'x' * 200)
        try:
            d = s.recv(100)
        except ConnectionResetError:
            d = b'reset'
        assert d in (b'', b'reset'), d
        s.close()
        assert lab.stop_tapqd() == 0
        verdicts = {(e.get('app_proto'), e['tapq']['verdict'], e['tapq']['rule']) for e in lab.events('flow') if e['dest_port'] == 8080}
        assert verdicts == {('http', 'allow', 20), ('ssh', 'deny', 21)}, verdicts


def test_policy_load_judges_open_flows():
    with Lab() as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='mixed')
        assert http_get(lab.ns('client'), lab.v4('web'), 8080)[1] == 200
        with open(lab.path('deny.yaml'), 'w') as f:
            f.write(DENY)
        s = connect(lab.ns('client'), lab.v4('web'), 8080)
        lab.tapq('policy', 'load', lab.path('deny.yaml'))
        assert 'id: 10' in lab.tapq('policy', 'show').stdout
        s.settimeout(2)
        try:
            s.sendall(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
            d = s.recv(100)
        except (ConnectionResetError, socket.timeout):
            d = b''
        assert d == b'', d
        s.close()
        answer = lab.tapq_json('policy', 'test', '--from', 'client', '--to', 'web', '--port', 'tcp/8080')
        assert (answer['verdict'], answer['rule'], answer['enforced']) == ('deny', 10, True), answer
        bad = lab.path('bad.yaml')
        with open(bad, 'w') as f:
            f.write('version: 1\nrules:\n  - {id: 1, from: nobody, to: any, action: allow}\n')
        r = lab.tapq('policy', 'load', bad, check=False)
        assert r.returncode == 1 and 'bad.yaml:3' in r.stderr and r.stderr.count('\n') == 1, r.stderr
        assert 'id: 10' in lab.tapq('policy', 'show').stdout


def own_firewall(tool):
    """An INPUT DROP and an OUTPUT DROP of the workload's own hold while tapqd answers, hangs and is dead."""
    with Lab() as lab:
        for t in (tool, tool.replace('iptables', 'ip6tables')):
            lab.exec('web', t, '-A', 'INPUT', '-p', 'tcp', '--dport', '8081', '-j', 'DROP')
            lab.exec('web', t, '-A', 'OUTPUT', '-p', 'tcp', '--sport', '8082', '-j', 'DROP')
        lab.nginx('web', ports=(8080, 8081, 8082))
        extra = 'nfq: {apps: [tcp/8080, tcp/8081, tcp/8082]}\n'
        lab.start_tapqd(mode='mixed', extra=extra)
        assert lab.tapq_json('workloads')['workloads'] and \
            {w['name']: w['queue']['table'] for w in lab.tapq_json('workloads')['workloads']}['web'] == 'security'

        def dropped():
            """Packets that each of the workload's own DROP rules met."""
            out = []
            for t in (tool, tool.replace('iptables', 'ip6tables')):
                for hook in ('INPUT', 'OUTPUT'):
                    out += [int(l.split()[0]) for l in lab.exec('web', t, '-nvxL', hook).stdout.split('\n') if ' DROP ' in l and ' tcp ' in l]
            return out
        assert len(dropped()) == 4

        def holds(when):
            before = dropped()
            got = tried(lab, 'client', [(a, p) for a in (lab.v4('web'), lab.v6('web')) for p in (8081, 8082)])
            assert len(got) == 4 and set(got.values()) == {'timed out'}, '%s: %s' % (when, got)
            # Not only did nobody answer: the workload's own rules met what came, SYN and SYN/ACK, both families.
            assert all(a > b for a, b in zip(dropped(), before)), '%s: DROP rules counted %s, then %s' % (when, before, dropped())
        holds('running')
        assert http_get(lab.ns('client'), lab.v4('web'), 8080)[1] == 200
        lab.tapqd.send_signal(signal.SIGSTOP)
        holds('stopped')
        lab.tapqd.send_signal(signal.SIGCONT)
        assert http_get(lab.ns('client'), lab.v4('web'), 8080)[1] == 200
        lab.tapqd.kill()
        lab.tapqd.wait()
        holds('killed')
        assert http_get(lab.ns('client'), lab.v4('web'), 8080)[1] == 200


def test_own_firewall_holds_nft():
    own_firewall('iptables-nft')


def test_own_firewall_holds_legacy():
    own_firewall('iptables-legacy')


def test_legacy_backend():
    with Lab() as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='mixed', extra='nfq: {apps: [tcp/8080], iptables: legacy}\n')
        assert 'NV_INPUT_PROXYMESH' in run('iptables-legacy-save', ns=lab.ns('web')).stdout
        assert 'NV_INPUT_PROXYMESH' not in run('iptables-nft-save', ns=lab.ns('web')).stdout
        for addr in (lab.v4('web'), lab.v6('web')):
            assert http_get(lab.ns('client'), addr, 8080)[1] == 200
        assert lab.stop_tapqd() == 0
        flows = [e for e in lab.events('flow') if e['dest_port'] == 8080]
        assert [f['tapq']['path'] for f in flows] == ['nfq', 'nfq'], flows
