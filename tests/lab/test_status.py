# SPDX-License-Identifier: GPL-2.0-or-later
"""What is reported as covered is covered; bad input gets one line and changes nothing."""
import json, os, signal, socket, time

from lablib import BUILD, Lab, in_netns, run, wait_for
from traffic import http_get


def test_rule_removed_by_hand_is_told_and_put_back():
    with Lab(outside=False) as lab:
        lab.start_tapqd(mode='mixed')
        for tool in ('iptables-nft', 'ip6tables-nft'):
            lab.exec('web', tool, '-F', 'NV_INPUT_PROXYMESH')
            r = lab.tapq('status', check=False)
            assert r.returncode == 1 and 'missing: web' in r.stdout, r.stdout
            lab.wait_ready()
            assert 'NFQUEUE' in lab.exec('web', tool, '-S', 'NV_INPUT_PROXYMESH').stdout
        lab.exec('web', 'nft', 'flush', 'ruleset')
        assert lab.tapq('status', check=False).returncode == 1
        lab.wait_ready()
        assert lab.counter('attach.repaired') >= 3


def test_filter_removed_by_hand_is_told_and_put_back():
    with Lab(outside=False) as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='tc')
        for hook in ('ingress', 'egress'):
            lab.exec('node', 'tc', 'filter', 'del', 'dev', lab.veth('web'), hook)
            r = lab.tapq('status', check=False)
            assert r.returncode == 1 and 'missing: web' in r.stdout, r.stdout
            lab.wait_ready()
        lab.exec('node', 'tc', 'qdisc', 'del', 'dev', lab.veth('web'), 'clsact')
        assert lab.tapq('status', check=False).returncode == 1
        lab.wait_ready()
        http_get(lab.ns('client'), lab.v4('web'), 8080)
        assert lab.stop_tapqd() == 0
        assert len(lab.events('http')) == 1


def test_veth_made_again_with_its_number():
    """As one that comes back from a checkpoint, name, number, MAC and addresses alike, faster than anybody looks. Its filters went with it, and are back soon."""
    with Lab(outside=False, containers=('web', 'client')) as lab:
        lab.start_tapqd(mode='tc', static=False)
        node, ns, v = lab.ns('node'), lab.ns('web'), lab.veth('web')
        number = int(lab.exec('node', 'cat', '/sys/class/net/%s/ifindex' % v).stdout)
        inner = int(lab.exec('web', 'cat', '/sys/class/net/eth0/ifindex').stdout)
        time.sleep(8)       # in its first checks both workloads' turn to be read back comes
        lab.tapqd.send_signal(signal.SIGSTOP)
        run('ip', 'link', 'del', v, ns=node)
        run('ip', 'link', 'add', v, 'index', number, 'type', 'veth', 'peer', 'name', 'eth0', 'address', lab.mac('web'), 'index', inner, 'netns', ns, ns=node)
        run('ip', 'link', 'set', v, 'master', 'cbr0', 'up', ns=node)
        run('ip', 'addr', 'add', lab.v4('web') + '/24', 'dev', 'eth0', ns=ns)
        run('ip', 'addr', 'add', lab.v6('web') + '/64', 'dev', 'eth0', 'nodad', ns=ns)
        run('ip', 'link', 'set', 'eth0', 'up', ns=ns)
        lab.tapqd.send_signal(signal.SIGCONT)
        wait_for('its filters are back', lambda: 'pref 490' in run('tc', 'filter', 'show', 'dev', v, 'ingress', ns=node).stdout, 8)
        lab.wait_ready()
        assert lab.counter('attach.repaired') >= 1 and lab.stop_tapqd() == 0


def test_bridge_deleted_is_made_again():
    with Lab(outside=False) as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='tc')
        for name in ('vbr-neuv', 'vbr-neuv-in'):
            lab.exec('node', 'ip', 'link', 'del', name)
            wait_for('bridge is back', lambda: name in lab.exec('node', 'ip', '-br', 'link').stdout)
            lab.wait_ready()
            http_get(lab.ns('client'), lab.v4('web'), 8080, '/' + '?' + name)
        assert lab.stop_tapqd() == 0
        assert sorted(e['http']['url'] for e in lab.events('http')) == ['/?vbr-neuv', '/?vbr-neuv-in']


def test_bridge_downed_is_raised_again():
    """A bridge that is down: traffic passes, unseen; it is told, and put back within two seconds. A port put on it is taken off."""
    with Lab(outside=False) as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='tc')
        for name in ('vbr-neuv', 'vbr-neuv-in'):
            lab.exec('node', 'ip', 'link', 'set', name, 'down')
            assert http_get(lab.ns('client'), lab.v4('web'), 8080)[1] == 200
            wait_for('it is up', lambda: 'UP' in lab.exec('node', 'ip', '-o', 'link', 'show', name).stdout.split('<')[1].split('>')[0].split(','), 5)
            lab.wait_ready()
            assert http_get(lab.ns('client'), lab.v6('web'), 8080, '/?' + name)[1] == 200
        lab.exec('node', 'ip', 'link', 'add', 'stray', 'type', 'veth', 'peer', 'name', 'stray-peer')
        lab.exec('node', 'ip', 'link', 'set', 'stray', 'master', 'vbr-neuv')
        wait_for('the port is taken off', lambda: 'master' not in lab.exec('node', 'ip', '-o', 'link', 'show', 'stray').stdout, 5)
        assert lab.stop_tapqd() == 0
        urls = [e['http']['url'] for e in lab.events('http')]
        assert [u for u in urls if len(u) > 1] == ['/?vbr-neuv', '/?vbr-neuv-in'], urls


def test_bad_configuration_is_one_line():
    with Lab(outside=False, containers=('web',)) as lab:
        for text, code, words in (
                ('mode: fast\n', 2, ('tapqueue.yaml:1', 'mode', 'tc')),
                ('mode: tc\nnfq:\n  fial: open\n', 2, ('tapqueue.yaml:3', 'fial')),
                ('mode: tc\ndpi: {max_flows: many}\n', 2, ('tapqueue.yaml:2', 'max_flows')),
                ('mode: [tc\n', 2, ('tapqueue.yaml:',)),
        ):
            with open(lab.path('tapqueue.yaml'), 'w') as f:
                f.write(text)
            r = run(os.path.join(BUILD, 'tapqd'), '-c', lab.path('tapqueue.yaml'), ns=lab.ns('node'), check=False)
            assert r.returncode == code and r.stderr.count('\n') == 1 and all(w in r.stderr for w in words), (text, r.returncode, r.stderr)
        assert 'vbr-neuv' not in lab.exec('node', 'ip', '-br', 'link').stdout


def test_bad_reload_changes_nothing():
    with Lab(outside=False, containers=('web',)) as lab:
        lab.start_tapqd(mode='mixed')
        before = lab.tapq_json('workloads')
        with open(lab.path('tapqueue.yaml'), 'a') as f:
            f.write('nonsense: 1\n')
        r = lab.tapq('reload', check=False)
        assert r.returncode == 1 and 'nonsense' in r.stderr and r.stderr.count('\n') == 1, r.stderr
        after = lab.tapq_json('workloads')
        for w in before['workloads'] + after['workloads']:
            del w['packets']
        assert before == after
        assert lab.tapq('status').returncode == 0


def test_control_socket_takes_anything():
    with Lab(outside=False, containers=('web',)) as lab:
        lab.start_tapqd(mode='tc')
        for sent, words in ((b'\n', 'JSON'), (b'{}\n', 'command'), (b'{"command": 5}\n', 'command'), (b'[' * 5000 + b'\n', 'JSON'), (b'\xff\xfe\x00\n', 'JSON'),
                            (b'{"command": "fly"}\n', 'not in this version'), (b'{"command": "flows", "args": {"limit": -1}}\n', 'limit'),
                            (b'{"command": "mode", "args": {"mode": "warp"}}\n', 'warp'), (b'x' * (34 << 20) + b'\n', 'bytes')):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(5)
            s.connect(lab.path('control.sock'))
            try:
                s.sendall(sent)
            except (BrokenPipeError, ConnectionResetError):
                pass
            answer = b''
            try:
                while not answer.endswith(b'\n'):
                    d = s.recv(65536)
                    if not d:
                        break
                    answer += d
            except ConnectionResetError:
                pass
            s.close()
            if answer:
                a = json.loads(answer)
                assert a['ok'] is False and words in a['error'] and '\n' not in a['error'], (sent[:30], a)
            else:
                assert len(sent) > 32 << 20, sent[:30]
        assert lab.tapq('status').returncode == 0


def test_check_names_what_is_missing():
    """In a netns without rights to make others, the preflight says what is missing and exits 3."""
    tapqd = os.path.join(BUILD, 'tapqd')
    r = run(tapqd, '--check', '-m', 'mixed')
    assert r.returncode == 0 and 'mode mixed: can run' in r.stdout, r.stdout
    r = run('setpriv', '--bounding-set', '-net_admin', '--inh-caps', '-net_admin', tapqd, '--check', '-m', 'tc', check=False)
    assert r.returncode == 3 and 'CAP_NET_ADMIN' in r.stderr and 'missing   CAP_NET_ADMIN' in r.stdout, (r.returncode, r.stdout, r.stderr)
    with Lab(outside=False, containers=('web',)) as lab:
        lab.config(mode='nfq')
        empty = lab.path('empty')
        os.mkdir(empty)
        # A host without the legacy tools: degraded, and it still runs; without any: missing.
        hide = 'mount -t tmpfs none %s && for t in %s; do for d in /usr/sbin /sbin; do [ -e $d/$t ] && mount --bind /dev/null $d/$t; done; done; exec %s --check -c %s'
        for tools, code, words in (('xtables-legacy-multi', 0, 'degraded'), ('xtables-legacy-multi xtables-nft-multi', 3, 'missing')):
            r = run('unshare', '-mn', 'sh', '-c', hide % (empty, tools, tapqd, lab.path('tapqueue.yaml')), check=False)
            assert r.returncode == code and words in r.stdout, (tools, r.returncode, r.stdout, r.stderr)


def test_tapq_commands():
    with Lab(outside=False) as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='mixed')
        http_get(lab.ns('client'), lab.v4('web'), 8080)
        http_get(lab.ns('client'), lab.v6('web'), 8080)
        for words in (('status',), ('workloads',), ('flows',), ('counters', 'dpi.*'), ('log',), ('mode',)):
            assert lab.tapq(*words).stdout.strip(), words
            json.loads(lab.tapq('--json', *words).stdout)
        assert lab.counter('dpi.frames') > 0
        flows = lab.tapq_json('flows', '--workload', 'web', '--app', 'http')['flows']
        assert len(flows) == 2 and all(f['dest_workload'] == 'web' and f['path'] == 'nfq' for f in flows), flows
        assert lab.tapq_json('flows', '--verdict', 'deny')['flows'] == []
        assert lab.tapq_json('apps', 'web', 'add', 'tcp/9000')['apps'] == ['tcp/8080', 'tcp/9000']
        assert 'dport 9000' in lab.exec('web', 'iptables-nft', '-S').stdout
        lab.tapq('reload')
        assert 'dport 9000' in lab.exec('web', 'iptables-nft', '-S').stdout
        assert lab.tapq_json('apps', 'web', 'del', 'tcp/9000')['apps'] == ['tcp/8080']
        assert 'dport 9000' not in lab.exec('web', 'iptables-nft', '-S').stdout
        for bad in (('apps', 'web', 'del', 'tcp/9000'), ('apps', 'nobody', 'add', 'tcp/1'), ('apps', 'web', 'add', 'sctp/1'), ('flows', '--app', 'nothing'), ('log', 'all=loud'),
                    ('capture', 'web'), ('quarantine', 'nobody', 'on'), ('quarantine', 'web', 'off'), ('quarantine', 'web'), ('nothing',)):
            r = lab.tapq(*bad, check=False)
            assert r.returncode in (1, 2) and r.stderr.startswith('tapq: ') and r.stderr.count('\n') == 1, (bad, r.stderr)
        follow = lab.start(os.path.join(BUILD, 'tapq'), '-s', lab.path('control.sock'), 'events', '-f', '--type', 'http', '--json', log='follow.log')

        def followed():
            http_get(lab.ns('client'), lab.v4('web'), 8080, '/?followed')
            return '/?followed' in open(lab.path('follow.log')).read()
        wait_for('the follower gets an event', followed)
        follow.terminate()
