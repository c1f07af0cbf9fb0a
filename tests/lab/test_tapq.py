# SPDX-License-Identifier: GPL-2.0-or-later
"""What tapq prints for people, and replay's options, from the command line."""
import json, os, re, struct, time

from lablib import BUILD, TOP, Lab, run, wait_for
from traffic import KeptAlive, connect, http_get

TAPQ = os.path.join(BUILD, 'tapq')
HTTP_LINE = re.compile(r'^\d\d:\d\d:\d\d\.\d{6} http    nfq  client:\d+ +-> web:8080 +http +allow ')


def test_output_for_people():
    with Lab(outside=False) as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='mixed')
        lab.start(TAPQ, '-s', lab.path('control.sock'), 'events', '-f', '--type', 'http', '--type', 'flow', log='follow.log')

        def followed():
            assert http_get(lab.ns('client'), lab.v6('web'), 8080, '/?people\x1b[31m')[1] in (200, 400)
            with open(lab.path('follow.log')) as f:
                return [l for l in f.read().split('\n') if HTTP_LINE.match(l)]
        line = wait_for('the follower gets an event', followed)[0]
        assert r'url=/?people\x1b[31m' in line and '\x1b' not in line, line
        counters = lab.tapq('counters', 'dpi.*').stdout.strip().split('\n')
        assert len(counters) >= 7 and all(re.match(r'^dpi\.\S+ +\d+  \S', c) for c in counters), [c for c in counters if not re.match(r'^dpi\.\S+ +\d+  \S', c)]
        everything = lab.tapq('counters').stdout.strip().split('\n')
        assert set(c.split()[0] for c in counters) < set(c.split()[0] for c in everything)
        status = lab.tapq('status').stdout
        assert re.match(r'tapqd \S+ on lab, pid %d, up 0:00:\d\d, mode mixed\nready: 3 of 3 workloads covered\n' % lab.tapq_json('status')['pid'], status), status
        rows = [l.split() for l in lab.tapq('workloads').stdout.split('\n') if l and not l.startswith(' ')]
        assert rows[0][:3] == ['NAME', 'ID', 'MODE'] and sorted(r[0] for r in rows[1:]) == ['client', 'db', 'web'], rows
        rows = [l.split() for l in lab.tapq('flows', '--limit', '1').stdout.strip().split('\n')]
        assert len(rows) == 2 and rows[0][0] == 'PROTO' and rows[1][1].startswith('client:') and rows[1][3] == 'web:8080', rows

        def level(module):
            return dict(l.split() for l in lab.tapq('log').stdout.strip().split('\n'))[module]
        assert level('dpi') == 'info'
        lab.tapq('log', 'dpi=debug')
        assert (level('dpi'), level('nfq')) == ('debug', 'info')
        lab.tapq('log', 'all=warn')
        assert (level('dpi'), level('nfq')) == ('warn', 'warn')
        assert lab.tapq('apps', 'web', 'add', 'udp/53').stdout.split() == ['apps', 'tcp/8080,udp/53', 'queue', 'ready']
        assert lab.tapq('reload').stdout.split() == ['workloads', '3', 'rules', '0']
        with open(lab.path('p.yaml'), 'w') as f:
            f.write(POLICY % 11)
        assert lab.tapq('policy', 'load', lab.path('p.yaml')).stdout.split()[:2] == ['rules', '2']
        test = lab.tapq('policy', 'test', '--from', 'client', '--to', 'web', '--port', 'udp/53', '--app', 'dns').stdout.split('\n')
        assert ' '.join(test[:5]).split() == ['verdict', 'deny', 'enforced', 'true', 'rule', '11', 'reason', 'policy', 'mode', 'protect'], test
        assert test[5].split() == ['rule', '11', 'line', '4', 'matches'] and test[6:] == [''], test


WEB = '''version: 1
default: {mode: protect}
groups:
  - {name: web, match: {workload: web}}
rules:
  - {id: 10, from: any, to: web, apps: [http], action: allow}
'''


def test_flows_pending_offloaded_enforced():
    """A connection that says nothing is pending, one whose requests nobody needs to see is offloaded, one that is refused is enforced: as JSON and for people."""
    with Lab(outside=False) as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='mixed', policy=WEB, sinks=False, extra='nfq: {apps: [tcp/8080]}\nevents:\n  - {type: file, path: %s, types: [flow, alert]}\n' % lab.path('eve.json'))
        for addr in (lab.v4('web'), lab.v6('web')):
            silent, kept, wrong = connect(lab.ns('client'), addr, 8080), KeptAlive(lab.ns('client'), addr, 8080), connect(lab.ns('client'), addr, 8080)
            for _ in range(8):
                assert kept.get() == 200
            wrong.sendall(b'SSH-2.0-here_1\r\n')
            ports = [c.getsockname()[1] for c in (silent, kept.s, wrong)]

            def told():
                flows = {f['src_port']: (f['verdict'], f['rule'], f['enforced'], f['offloaded']) for f in lab.tapq_json('flows')['flows'] if f['dest_ip'] == addr}
                return [flows.get(p) for p in ports]
            want = [('pending', 0, False, False), ('allow', 10, False, True), ('deny', 0, True, False)]
            wait_for('all are told: %s' % told(), lambda: told() == want, 3)
            rows = {int(r[1].rsplit(':', 1)[1]): r[7:9] for r in (line.split() for line in lab.tapq('flows').stdout.splitlines()[1:])}
            assert [rows[p] for p in ports] == [['pending', 'no'], ['allow', 'yes'], ['deny!', 'no']], rows
            for c in (silent, kept, wrong):
                c.close()
        assert lab.stop_tapqd() == 0


SHOP = '''version: 1
default: {mode: protect}
rules:
  - {id: 10, from: any, to: any, ports: [tcp/53], action: allow}
  - {id: 20, from: any, to: any, http: {methods: [GET], paths: ["/api/*"], headers: {X-Env: prod}}, action: allow}
  - {id: 30, from: any, to: any, apps: [http], action: deny}
  - {id: 40, from: any, to: any, apps: [grpc], action: deny}
'''


GRPC = 'version: 1\ndefault: {mode: protect}\nrules:\n  - {id: 10, from: any, to: any, apps: [grpc], action: allow}\n'


def test_policy_test_tells_why():
    with Lab(outside=False) as lab:
        lab.start_tapqd(mode='mixed', policy=SHOP)
        ask = ('policy', 'test', '--from', 'client', '--to', lab.v6('web'), '--port', 'tcp/8080')

        def why(*facts):
            answer = lab.tapq_json(*ask, *facts)
            return answer['verdict'], answer['rule'], [(r['rule'], r['why']) for r in answer['rules']]
        ports = (10, 'ports do not hold')
        assert why() == ('pending', 0, [ports] + [(n, 'may match once more is known') for n in (20, 30, 40)]), why()
        assert why('http.methods=GET', 'http.paths=/api/1', 'http.headers.x-env=prod') == ('allow', 20, [ports, (20, 'matches')])
        assert why('http.methods=GET', 'http.paths=/api/../x', 'http.headers.x-env=prod') == ('deny', 30, [ports, (20, 'the request does not hold'), (30, 'matches')])
        assert why('--app', 'ssh') == ('deny', 0, [ports] + [(n, 'apps do not hold') for n in (20, 30, 40)])
        # what else rules judge than TCP and UDP: SCTP's application is found as theirs are, an echo has none
        for port, verdict, reason in (('sctp/9', 'pending', 'may match once more is known'), ('icmp', 'deny', 'apps do not hold'), ('icmp6', 'deny', 'apps do not hold')):
            answer = lab.tapq_json(*ask[:-1], port)
            assert answer['verdict'] == verdict and [(r['rule'], r['why']) for r in answer['rules']] == [ports] + [(n, reason) for n in (20, 30, 40)], answer
        for port in ('sctp', 'tcp', 'tcp/80-81', 'icmp/8', '80', 'tcp/0'):
            r = lab.tapq(*ask[:-1], port, check=False)
            assert r.returncode == 1 and 'port %s: ' % port in r.stderr and r.stderr.count('\n') == 1, r
        # a connection of HTTP/2 may have requests of gRPC: it waits for them, as a live one does
        answer = lab.tapq_json(*ask, '--app', 'http2')
        assert answer['verdict'] == 'pending', answer
        with open(lab.path('grpc.yaml'), 'w') as f:
            f.write(GRPC)
        lab.tapq('policy', 'load', lab.path('grpc.yaml'))
        assert why('--app', 'http2') == ('pending', 0, [(10, 'may match once more is known')]), why('--app', 'http2')
        assert why('--app', 'grpc')[:2] == ('allow', 10) and why('--app', 'http2', 'http.methods=GET')[:2] == ('deny', 0)
        # who is cut off is asked about by no rule
        lab.tapq('quarantine', 'web', 'on')
        answer = lab.tapq_json(*ask, '--app', 'grpc')
        assert (answer['verdict'], answer['enforced'], answer['rule'], answer['reason'], answer['rules']) == ('drop', True, 0, 'quarantine', []), answer
        assert why('--app', 'grpc', '--to', 'client')[0] == 'allow'
        lab.tapq('quarantine', 'web', 'off')
        assert why('--app', 'grpc')[:2] == ('allow', 10)
        for bad in ('http.method=GET', 'http=GET', 'nothing.x=y', 'http.methods'):
            r = lab.tapq(*ask, bad, check=False)
            assert r.returncode == 1 and bad in r.stderr and r.stderr.count('\n') == 1, r
        # a rule that can never match is told with its line, and is no error
        r = lab.tapq('policy', 'check', lab.path('policy.yaml'))
        assert 'policy.yaml:7: rule 40 never matches: rule 30 (line 6)' in r.stderr and r.stderr.count('\n') == 1, r
        assert r.stdout.endswith('policy.yaml: ok, 4 rules, 0 groups\n'), r


MODES = '''version: 1
default: {mode: monitor}
groups:
  - {name: shop, match: {workload: web}, mode: protect}
  - {name: visitor, match: {workload: client}, mode: discover}
rules:
  - {id: 10, from: visitor, to: shop, ports: [tcp/80], action: allow}
'''


def test_policy_test_by_addresses():
    with Lab(outside=False) as lab:
        lab.start_tapqd(mode='mixed', policy=MODES)

        def told(src, dst, port):
            a = lab.tapq_json('policy', 'test', '--from', src, '--to', dst, '--port', port)
            return a['verdict'], a['rule'], a['mode'], a['from_groups'], a['to_groups']
        for address in (lab.v4, lab.v6):        # whose it is counts, as it does for packets
            for src in ('client', address('client')):
                for dst in ('web', address('web')):
                    assert told(src, dst, 'tcp/80') == ('allow', 10, 'protect', ['visitor'], ['shop']), (src, dst, told(src, dst, 'tcp/80'))
                    assert told(src, dst, 'tcp/81') == ('deny', 0, 'protect', ['visitor'], ['shop']), (src, dst, told(src, dst, 'tcp/81'))
        r = lab.tapq('policy', 'test', '--from', 'client', '--to', '10.77.0.300', '--port', 'tcp/80', check=False)
        assert r.returncode == 1 and '10.77.0.300: neither' in r.stderr, r
        # nobody's of this node: the default
        assert told('192.0.2.1', '192.0.2.2', 'tcp/80') == ('alert', 0, 'monitor', [], []), told('192.0.2.1', '192.0.2.2', 'tcp/80')
        assert lab.stop_tapqd() == 0


FAMILIES = '''version: 1
default: {mode: protect}
groups:
  - {name: four, match: {cidr: 10.77.0.0/24}}
  - {name: six, match: {cidr: "fd77::/64"}}
rules:
  - {id: 10, from: four, to: four, ports: [tcp/80], action: allow}
  - {id: 20, from: six, to: six, ports: [tcp/80], action: allow}
'''


def test_policy_test_of_a_family():
    """Where one end is an address, the other one is that of its workload's of the same family; no connection has one of each."""
    with Lab(outside=False) as lab:
        lab.start_tapqd(mode='mixed', policy=FAMILIES)
        for address, rule in ((lab.v4, 10), (lab.v6, 20)):
            for src, dst in (('client', address('web')), (address('client'), 'web'), (address('client'), address('web'))):
                a = lab.tapq_json('policy', 'test', '--from', src, '--to', dst, '--port', 'tcp/80')
                assert (a['verdict'], a['rule']) == ('allow', rule), (src, dst, a)
        a = lab.tapq_json('policy', 'test', '--from', 'client', '--to', 'web', '--port', 'tcp/80')
        assert a['verdict'] == 'allow' and a['from_groups'] == a['to_groups'], a
        assert lab.stop_tapqd() == 0


def test_policy_load_confirm():
    with Lab(outside=False) as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='mixed', policy=POLICY % 11)
        with open(lab.path('deny.yaml'), 'w') as f:
            f.write('version: 1\ndefault: {mode: protect}\nrules:\n  - {id: 66, from: any, to: any, action: deny}\n')

        def works():
            try:
                return http_get(lab.ns('client'), lab.v4('web'), 8080)[1] == 200
            except OSError:
                return False
        assert works()
        assert 'confirm_within 2' in ' '.join(lab.tapq('policy', 'load', lab.path('deny.yaml'), '--confirm', '2').stdout.split())
        assert not works() and lab.tapq_json('status')['confirm_within'] in (1, 2)
        wait_for('the old policy is back', works, 4)
        assert 'id: 11' in lab.tapq('policy', 'show').stdout and 'confirm_within' not in lab.tapq_json('status')
        # one trial after another: what comes back is what was in force before the first
        with open(lab.path('deny2.yaml'), 'w') as f:
            f.write('version: 1\ndefault: {mode: protect}\nrules:\n  - {id: 67, from: any, to: any, action: deny}\n')
        lab.tapq('policy', 'load', lab.path('deny.yaml'), '--confirm', '60')
        lab.tapq('policy', 'load', lab.path('deny2.yaml'), '--confirm', '1')
        assert 'id: 67' in lab.tapq('policy', 'show').stdout and lab.tapq_json('status')['confirm_within'] == 1
        wait_for('the first policy is back', works, 4)
        assert 'id: 11' in lab.tapq('policy', 'show').stdout and 'confirm_within' not in lab.tapq_json('status')
        lab.tapq('policy', 'load', lab.path('deny.yaml'), '--confirm', '1')
        lab.tapq('policy', 'confirm')
        time.sleep(1.5)         # the time that nothing may happen after
        assert not works() and 'id: 66' in lab.tapq('policy', 'show').stdout
        r = lab.tapq('policy', 'confirm', check=False)
        assert r.returncode == 1 and 'no policy waits' in r.stderr
        for bad in ('0', 'x', '-1', '100000'):
            assert lab.tapq('policy', 'load', lab.path('deny.yaml'), '--confirm', bad, check=False).returncode != 0
        assert lab.stop_tapqd() == 0


POLICY = 'version: 1\ndefault: {mode: protect}\nrules:\n  - {id: %d, from: any, to: any, apps: [dns], action: deny}\n  - {id: 90, from: any, to: any, action: allow}\n'


def replay(*args):
    return run(TAPQ, 'replay', *args, check=False)


def test_replay_options():
    golden = os.path.join(TOP, 'tests', 'golden')
    dns, ssh = os.path.join(golden, 'dns.pcap'), os.path.join(golden, 'ssh.pcap')
    with Lab(outside=False, containers=()) as lab:
        for name, rule in (('one.yaml', 11), ('two.yaml', 22)):
            with open(lab.path(name), 'w') as f:
                f.write(POLICY % rule)
        with open(lab.path('conf.yaml'), 'w') as f:
            f.write('node: elsewhere\npolicy: %s\n' % lab.path('one.yaml'))

        def verdicts(out):
            return {(e.get('app_proto'), e['tapq']['node'], e['tapq']['verdict'], e['tapq']['rule'], e['tapq']['enforced']) for e in map(json.loads, out.strip().split('\n'))
                    if e['event_type'] == 'flow'}
        plain = replay(dns, ssh)
        assert plain.returncode == 0 and {v[:3] for v in verdicts(plain.stdout)} == {('dns', 'replay', 'allow'), ('ssh', 'replay', 'allow')}, verdicts(plain.stdout)
        conf = replay('-c', lab.path('conf.yaml'), dns, ssh)
        assert verdicts(conf.stdout) == {('dns', 'elsewhere', 'deny', 11, False), ('ssh', 'elsewhere', 'allow', 90, False)}, verdicts(conf.stdout)
        both = replay('-c', lab.path('conf.yaml'), '--policy', lab.path('two.yaml'), dns, ssh)
        assert verdicts(both.stdout) == {('dns', 'elsewhere', 'deny', 22, False), ('ssh', 'elsewhere', 'allow', 90, False)}, verdicts(both.stdout)
        assert len(both.stdout.split('\n')) >= len(plain.stdout.split('\n')), 'parsing went on after the deny'
        r = replay('-o', lab.path('out.json'), dns, ssh)
        assert r.returncode == 0 and not r.stdout
        with open(lab.path('out.json')) as f:
            assert f.read() == plain.stdout
        totals = replay('--no-events', dns, ssh)
        assert totals.returncode == 0 and '{' not in totals.stdout, totals.stdout
        got = dict(l.rsplit(' ', 1) for l in totals.stdout.strip().split('\n'))
        frames = 0
        for p in (dns, ssh):
            with open(p, 'rb') as f:
                f.read(24)
                while h := f.read(16):
                    f.read(struct.unpack('<IIII', h)[2])
                    frames += 1
        assert int(got['packets']) == frames and int(got['flows.app.dns']) > 0 and int(got['flows.app.ssh']) > 0, got


def test_replay_on_several_workers():
    """Each capture tells what it tells alone, whichever worker has it; the totals are the sums."""
    golden = os.path.join(TOP, 'tests', 'golden')
    files = [os.path.join(golden, n + '.pcap') for n in ('dns', 'ssh', 'http', 'tls12', 'mysql', 'kafka', 'mqtt', 'snmp')]

    def lines(out):
        return sorted(re.sub(r'"flow_id":\d+', '', l) for l in out.strip().split('\n'))

    def totals(out):
        return {k: int(v) for k, v in (l.rsplit(' ', 1) for l in out.strip().split('\n'))}
    alone = lines(''.join(replay(f).stdout for f in files))
    for workers in ('2', '3', '64'):
        r = replay('--workers', workers, *files)
        assert r.returncode == 0 and lines(r.stdout) == alone, set(lines(r.stdout)) ^ set(alone)
        ids = [json.loads(l)['flow_id'] for l in r.stdout.strip().split('\n') if json.loads(l)['event_type'] == 'flow']
        assert len(set(ids)) == len(ids), 'flows of different captures have different ids'
    summed = {}
    for f in files:
        for k, v in totals(replay('--no-events', f).stdout).items():
            summed[k] = summed.get(k, 0) + v
    assert totals(replay('--no-events', '--workers', '2', *files).stdout) == summed
    for bad in ('0', 'x', '-1', '65', ''):
        r = replay('--workers', bad, files[0])
        assert r.returncode == 2 and r.stderr.count('\n') == 1 and not r.stdout, r
    r = replay('--workers', '2', files[0], '/nowhere/a.pcap', '/nowhere/b.pcap', files[1])
    assert r.returncode == 1 and '/nowhere/a.pcap' in r.stderr and r.stderr.count('\n') == 1, r


def test_replay_bad_input():
    """One line each, what and where; usage errors are 2, the rest 1; nothing is printed as if it were an event."""
    golden = os.path.join(TOP, 'tests', 'golden')
    dns = os.path.join(golden, 'dns.pcap')
    with Lab(outside=False, containers=()) as lab:
        with open(dns, 'rb') as f:
            whole = f.read()
        cut, huge = lab.path('cut.pcap'), lab.path('huge.pcap')
        with open(cut, 'wb') as f:
            f.write(whole[:-7])
        with open(huge, 'wb') as f:
            f.write(whole[:24] + struct.pack('<IIII', 0, 0, 0x7fffffff, 0x7fffffff) + b'x' * 100)
        with open(lab.path('bad.yaml'), 'w') as f:
            f.write('version: 1\nrules:\n  - {id: 1, from: nobody, to: any, action: allow}\n')
        with open(lab.path('conf.yaml'), 'w') as f:
            f.write('mode: tc\nnfq: {apps: [tcp/0]}\n')
        for args, code, words in (((huge,), 1, 'huge.pcap'), (('--policy', lab.path('bad.yaml'), dns), 1, 'bad.yaml:3'), (('-c', lab.path('conf.yaml'), dns), 1, 'conf.yaml:2'),
                                  (('--workloads', lab.path('bad.yaml'), dns), 1, 'bad.yaml'), (('-o', '/nowhere/x', dns), 1, '/nowhere/x'), ((), 2, 'replay'),
                                  (('--no-events', '-o', lab.path('x'), dns), 2, 'replay')):
            r = replay(*args)
            assert r.returncode == code and words in r.stderr and r.stderr.count('\n') == 1 and not r.stdout, (args, r)
        r = replay(cut)
        assert r.returncode == 0 and 'cut.pcap: the file is cut off after packet' in r.stderr and r.stderr.count('\n') == 1, r
        assert all(json.loads(l) for l in r.stdout.strip().split('\n')), 'what stands before the cut is told'


def test_bad_policy_at_start_and_reload():
    with Lab(outside=False, containers=('web',)) as lab:
        lab.config(mode='mixed', policy='version: 1\nrules:\n  - {id: 1, from: any, to: any, action: block}\n')
        r = run(os.path.join(BUILD, 'tapqd'), '-c', lab.path('tapqueue.yaml'), ns=lab.ns('node'), check=False)
        assert r.returncode == 2 and 'policy.yaml:3' in r.stderr and r.stderr.count('\n') == 1, r
        assert 'neuv' not in lab.exec('node', 'ip', '-br', 'link').stdout and 'NV_' not in lab.exec('web', 'iptables-nft', '-S').stdout
        lab.start_tapqd(mode='mixed', policy='version: 1\nrules:\n  - {id: 5, from: any, to: any, action: allow}\n')
        shown = lab.tapq('policy', 'show').stdout
        with open(lab.path('policy.yaml'), 'w') as f:
            f.write('version: 1\nrules:\n  - {id: 5, from: any, to: any, action: allow}\n  - {id: 5, from: any, to: any, action: deny}\n')
        r = lab.tapq('reload', check=False)
        assert r.returncode == 1 and 'policy.yaml:4' in r.stderr and r.stderr.count('\n') == 1, r
        assert lab.tapq('policy', 'show').stdout == shown and lab.tapq('status').returncode == 0 and lab.counter('config.reloads_failed') == 1
        r = lab.tapq('policy', 'check', lab.path('policy.yaml'), check=False)
        assert r.returncode == 1 and 'policy.yaml:4' in r.stderr and r.stderr.count('\n') == 1, r
