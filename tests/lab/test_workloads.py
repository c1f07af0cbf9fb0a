# SPDX-License-Identifier: GPL-2.0-or-later
"""Workloads come and go: discovery, vanishing half-way, two hundred of them, nothing left behind."""
import os, shutil, time

from lablib import BUILD, Lab, Skip, plain_build_only, run, wait_for
from traffic import KeptAlive, http_get


def fds(pid):
    return len(os.listdir('/proc/%d/fd' % pid))


def rss(pid):
    with open('/proc/%d/status' % pid) as f:
        return int([l for l in f if l.startswith('VmRSS')][0].split()[1])


def test_discovery():
    with Lab(containers=('web', 'client')) as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='mixed', static=False)
        names = {w['name'] for w in lab.tapq_json('workloads')['workloads']}
        assert names == {lab.ns('web'), lab.ns('client')}, names
        lab.add_container('late')
        wait_for('the new one is found', lambda: lab.ns('late') in {w['name'] for w in lab.tapq_json('workloads')['workloads']})
        lab.wait_ready()
        lab.nginx('late')
        assert http_get(lab.ns('client'), lab.v4('late'), 8080)[1] == 200
        assert lab.stop_tapqd() == 0
        assert [(e['tapq']['src_workload'], e['tapq']['dest_workload']) for e in lab.events('http')] == [(lab.ns('client'), lab.ns('late'))]


def test_netns_is_gone_within_a_second_though_its_queue_was_open():
    with Lab(outside=False) as lab:
        lab.start_tapqd(mode='mixed', static=False)
        run('ip', 'netns', 'del', lab.ns('db'))
        start = time.monotonic()
        wait_for('its veth is gone', lambda: lab.veth('db') not in lab.exec('node', 'ip', '-br', 'link').stdout, 5)
        took = time.monotonic() - start
        assert took < 1.3, 'the netns lived on for %.2f s' % took
        wait_for('the workload is gone', lambda: lab.ns('db') not in {w['name'] for w in lab.tapq_json('workloads')['workloads']})
        assert lab.tapq('status').returncode == 0


def test_netns_deleted_while_being_attached():
    with Lab(outside=False, containers=('web',)) as lab:
        lab.start_tapqd(mode='mixed', static=False)
        node = lab.ns('node')
        for i in range(40):
            ns = lab.ns('x%d' % i)
            run('ip', 'netns', 'add', ns)
            run('ip', 'link', 'add', 'vx%d' % i, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', ns, ns=node)
            time.sleep(0.004 * (i % 10))
            run('ip', 'netns', 'del', ns)
        wait_for('only the living one is known', lambda: len(lab.tapq_json('workloads')['workloads']) == 1)
        wait_for('their veths are gone', lambda: 'vx' not in lab.exec('node', 'ip', '-br', 'link').stdout)
        assert lab.tapqd.poll() is None
        lab.wait_ready()
        assert lab.stop_tapqd() == 0


@plain_build_only
def test_two_hundred_attached_and_removed():
    with Lab(outside=False, containers=('web',)) as lab:
        lab.start_tapqd(mode='mixed', static=False)
        pid = lab.tapq_json('status')['pid']
        names = [lab.ns('m%d' % i) for i in range(200)]
        node = lab.ns('node')

        def round_trip(number):
            batch = lab.path('links')
            for ns in names:
                run('ip', 'netns', 'add', ns)
                lab.made.append(ns)
            with open(batch, 'w') as f:
                for i, ns in enumerate(names):
                    f.write('link add vm%d type veth peer name eth0 netns %s\nlink set vm%d up\n' % (i, ns, i))
            run('ip', '-batch', batch, ns=node, timeout=120)
            start = time.monotonic()
            wait_for('all are covered', lambda: (lambda s: s['covered'] == 201 and s['ready'])(lab.tapq_json('status', check=False)), 60, 0.2)
            took = time.monotonic() - start
            for ns in names:
                run('ip', 'netns', 'del', ns)
                lab.made.remove(ns)
            wait_for('all are gone', lambda: len(lab.tapq_json('workloads')['workloads']) == 1, 60, 0.2)
            wait_for('their veths are gone', lambda: 'vm' not in lab.exec('node', 'ip', '-br', 'link').stdout, 30)
            return took
        round_trip(0)
        before = fds(pid), rss(pid)
        took = round_trip(1)
        after = fds(pid), rss(pid)
        print('        200 workloads covered in %.1f s; descriptors %d -> %d, resident %d -> %d KiB' % (took, before[0], after[0], before[1], after[1]))
        assert after[0] == before[0], 'descriptors: %d, then %d' % (before[0], after[0])
        assert after[1] < before[1] * 1.1 + 1024, 'memory grew from %d to %d KiB' % (before[1], after[1])
        assert lab.stop_tapqd() == 0


MEMCHECK = ('valgrind', '--quiet', '--leak-check=full', '--show-leak-kinds=definite,indirect,possible', '--errors-for-leak-kinds=definite,indirect,possible', '--error-exitcode=99',
            '--log-file=%s')
DENY_ALL = 'version: 1\ndefault: {mode: protect}\nrules:\n  - {id: 10, from: any, to: any, ports: [tcp/8080], action: deny}\n  - {id: 90, from: any, to: any, action: allow}\n'


@plain_build_only
def test_a_whole_life_under_valgrind():
    """Start, traffic of every kind, workloads that come and go, apps, mode, policy, reload, followers, SIGTERM: no error, nothing lost."""
    if not shutil.which('valgrind'):
        raise Skip('valgrind is not installed')
    with Lab() as lab:
        lab.nginx('web', ports=(8080, 8081))
        lab.dnsmasq('db')
        report = lab.path('valgrind.log')
        lab.start_tapqd(wrapper=[w % report if '%s' in w else w for w in MEMCHECK], mode='mixed', static=False, extra='watchdog: 60s\ndpi: {workers: 2}\n')
        follower = lab.start(os.path.join(BUILD, 'tapq'), '-s', lab.path('control.sock'), 'events', '-f', log='follow.log')
        kept = [KeptAlive(lab.ns('client'), a, p) for a in (lab.v4('web'), lab.v6('web')) for p in (8080, 8081)]
        for mode in ('mixed', 'tc', 'nfq', 'mixed'):
            lab.tapq('mode', mode)
            lab.tapq('status', '--wait', '60')
            for i in range(10):
                for port in (8080, 8081):
                    assert http_get(lab.ns('outside' if i & 1 else 'client'), lab.v6('web') if i & 2 else lab.v4('web'), port, '/?%s' % mode)[1] == 200
            assert [k.get() for k in kept] == [200] * 4
            lab.exec('client', 'dig', '+short', '+tries=1', '@' + lab.v4('db'), 'api.example', 'A')
        for i in range(3):
            ns = lab.ns('x%d' % i)
            run('ip', 'netns', 'add', ns)
            run('ip', 'link', 'add', 'vx%d' % i, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', ns, ns=lab.ns('node'))
            if i:
                wait_for('it is found', lambda: ns in {w['name'] for w in lab.tapq_json('workloads')['workloads']}, 30)
            run('ip', 'netns', 'del', ns)
        wait_for('they are gone', lambda: len(lab.tapq_json('workloads')['workloads']) == 3, 30)
        lab.tapq('apps', lab.ns('web'), 'add', 'tcp/8081')
        lab.tapq('reload')
        with open(lab.path('deny.yaml'), 'w') as f:
            f.write(DENY_ALL)
        lab.tapq('policy', 'load', lab.path('deny.yaml'))
        try:
            http_get(lab.ns('client'), lab.v4('web'), 8080)
            raise AssertionError('the denied port is open')
        except ConnectionRefusedError:
            pass
        for command in ('status', 'workloads', 'flows', 'counters', 'log'):
            lab.tapq(command, check=False)
        lab.tapq('fly', check=False)
        for k in kept:
            k.close()
        code = lab.stop_tapqd(seconds=60)
        with open(report) as f:
            found = f.read()
        assert code == 0, 'exit %d\n%s' % (code, found[-4000:])
        follower.wait(5)
        assert len(lab.events('http')) > 60
