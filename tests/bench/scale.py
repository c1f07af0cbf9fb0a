# SPDX-License-Identifier: GPL-2.0-or-later
"""Scale rows (ROWS): what a flow, a rule, a workload costs when there are many, and how long starts take. What other tests of the tree measure
already is asked of them: tests/floods, tests/bench/policy.c, the unit tests' sizes."""
import json, os, re, socket, subprocess, tempfile, time

from benchlib import BUILD, capture, measure, policy, say, spread
from lablib import Lab, run, wait_for

TAPQ = os.path.join(BUILD, 'tapq')
CPUCLOCK_SCHED = 2	# of a process: time that its threads were scheduled (linux/posix-timers.h)


def output(*argv, timeout=600):
    r = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)
    if r.returncode:
        raise RuntimeError('%s: exit %d: %s' % (' '.join(argv), r.returncode, r.stdout[-300:]))
    return r.stdout


# ---- the core ----

def flow_entry():
    return {'flow entry': [(int(re.search(r'flow entry (\d+) bytes', output(os.path.join(BUILD, 'unit-dpi'), 'sizes')).group(1)))]}


def idle_flows(rounds):
    """A million connections that are opened and then idle, beside 200 that talk; and empty segments of any of the million, beside those of any of a thousand."""
    got = {}
    for _ in range(rounds):
        text = output(os.path.join(BUILD, 'floods'), '--full', 'idle connections')
        got.setdefault('idle flows, memory', []).append(int(re.search(r'memory: (\d+) KiB reserved', text).group(1)) / 1024)
        got.setdefault('idle flows, packet', []).append(float(re.search(r'conversations takes ([\d.]+) of a quiet one', text).group(1)))
        got.setdefault('any flow, packet', []).append(float(re.search(r'flows takes ([\d.]+) of one of any', text).group(1)))
    return got


def packet_cost(rounds, options, names):
    """{name: seconds for the packets of the capture}: the same with a capture of one packet is taken off. options: {name: of tapq replay}."""
    with tempfile.TemporaryDirectory() as work:
        one = os.path.join(work, 'one.pcap')
        with open(capture('http'), 'rb') as f, open(one, 'wb') as out:
            head = f.read(40)
            out.write(head + f.read(int.from_bytes(head[32:36], 'little')))
        got = {n: [] for n in names}
        for _ in range(rounds):
            for n in names:
                whole, start = (measure([TAPQ, 'replay', '--no-events', *options[n], path])['cpu'] for path in (capture('http'), one))
                got[n].append(whole - start)
    return got


def ratio(got, few, many):
    return [b / a for a, b in zip(got[few], got[many])]


def many_rules(rounds):
    with tempfile.TemporaryDirectory() as work:
        options = {}
        for n in (10, 10000):
            options[n] = ['--policy', os.path.join(work, '%d.yaml' % n)]
            with open(options[n][1], 'w') as f:
                f.write(policy(n))
        return {'rules, packet': ratio(packet_cost(rounds, options, (10, 10000)), 10, 10000)}


def compiled(rounds):
    """What bench-policy says of 10,000 rules of all kinds."""
    return {'rules, compiled': [float(re.search(r'^mixed\s+10000\s+([\d.]+)', output(os.path.join(BUILD, 'bench-policy'), 'mixed'), re.M).group(1)) for _ in range(rounds)]}


def many_workloads(rounds):
    with tempfile.TemporaryDirectory() as work:
        options = {}
        for n in (1, 500):
            options[n] = ['--workloads', os.path.join(work, '%d.json' % n)]
            with open(options[n][1], 'w') as f:
                json.dump({'workloads': [{'name': 'w%d' % i, 'interfaces': [{'name': 'eth0', 'mac': '06:00:00:00:%02x:%02x' % (i >> 8, i & 255), 'addresses': ['10.2.%d.%d' % (i >> 8, i & 255)]}]}
                                         for i in range(1, n + 1)]}, f)
        return {'workloads, packet': ratio(packet_cost(rounds, options, (1, 500)), 1, 500)}


# ---- the agent ----

def make_workloads(lab, count):
    names = [lab.ns('m%d' % i) for i in range(count)]
    for ns in names:
        run('ip', 'netns', 'add', ns)
        lab.made.append(ns)
    batch = lab.path('links')
    with open(batch, 'w') as f:
        for i, ns in enumerate(names):
            f.write('link add vm%d type veth peer name eth0 netns %s\nlink set vm%d up\n' % (i, ns, i))
    run('ip', '-batch', batch, ns=lab.ns('node'), timeout=300)


class Ready:
    """What sd_notify(3) says."""
    def __init__(self, lab):
        self.path = lab.path('notify')
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.s.bind(self.path)

    def wait(self, seconds):
        self.s.settimeout(seconds)
        while b'READY=1' not in self.s.recv(4096):
            pass


def usage(pid):
    """Processor seconds, with those of the programs that it ran, and resident MiB. Its own, threads that ended included, are asked of its clock (clock_getcpuclockid(3)):
    an agent that is idle uses some ten ticks of /proc/PID/stat in twenty seconds, each of user and system cut off to whole ones."""
    with open('/proc/%d/stat' % pid) as f:
        children = sum(int(x) for x in f.read().rsplit(')', 1)[1].split()[13:15]) / os.sysconf('SC_CLK_TCK')
    with open('/proc/%d/status' % pid) as f:
        rss = int(re.search(r'VmRSS:\s+(\d+)', f.read()).group(1))
    return time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED) + children, rss / 1024


def start(lab, count):
    """Seconds until it says that it is ready, and until every workload is covered."""
    ready = Ready(lab)
    begin = time.monotonic()
    lab.start_tapqd(ready=False, env={'NOTIFY_SOCKET': ready.path}, mode='mixed', static=False, extra='workloads: {discover: [netns]}\n')
    ready.wait(120)
    said = time.monotonic() - begin

    def covered():
        if lab.tapqd.poll() is not None:
            raise RuntimeError('tapqd ended with %d: %s' % (lab.tapqd.returncode, lab.log()[-600:]))
        return lab.tapq('status', check=False).returncode == 0 and lab.tapq_json('status')['covered'] == count
    try:
        wait_for('all are covered', covered, 120, 0.01)
    except AssertionError as e:
        raise RuntimeError('%s: %s %s' % (e, lab.tapq('status', check=False).stdout[:600], lab.log()[-600:])) from e
    return said, time.monotonic() - begin


def ten(rounds):
    got = {'ready with 10': []}
    for _ in range(rounds):
        with Lab(containers=(), outside=False) as lab:
            make_workloads(lab, 10)
            got['ready with 10'].append(start(lab, 10)[0] * 1000)
            lab.stop_tapqd()
    return got


def five_hundred(seconds):
    with Lab(containers=(), outside=False) as lab:
        make_workloads(lab, 500)
        covered = start(lab, 500)[1]
        pid = lab.tapqd.pid
        attached = usage(pid)[0]
        time.sleep(4)
        before, began = usage(pid)[0], time.monotonic()
        time.sleep(seconds)
        cpu, rss = usage(pid)
        idle = (cpu - before) / (time.monotonic() - began) * 100
        began, so_far = time.monotonic(), os.times()
        lab.stop_tapqd(seconds=120)
        removed, ended = time.monotonic() - began, os.times()
        whole = ended.children_user + ended.children_system - so_far.children_user - so_far.children_system     # of its life: it is waited for here
        return {'500 attached': [covered], '500 attached, processor': [attached], '500 removed': [removed], '500 removed, processor': [whole - cpu],
                '500 idle, processor': [idle], '500 idle, memory': [rss]}


def go_by_themselves(lab, count):
    """Seconds from the first namespace that is deleted to the last workload that is gone."""
    began = time.monotonic()
    for i in range(count):
        run('ip', 'netns', 'del', lab.ns('m%d' % i))
    wait_for('all are gone', lambda: lab.tapq_json('status')['workloads'] == 0, 120, 0.1)
    return time.monotonic() - began


def five_hundred_go():
    with Lab(containers=(), outside=False) as lab:
        make_workloads(lab, 500)
        start(lab, 500)
        gone = go_by_themselves(lab, 500)
        lab.stop_tapqd(seconds=120)
        return {'500 gone': [gone]}


ROWS = (	# name, what it is, unit, what it should not be over
    ('flow entry', 'a flow entry', 'bytes', 384),
    ('idle flows, memory', '1,000,000 idle flows', 'MiB', 512),
    ('idle flows, packet', 'a packet of others beside 1,000,000 idle flows, of one beside none', 'x', 2),
    ('any flow, packet', 'an empty segment of any of 1,000,000 flows, of one of any of 1,000', 'x', 4),
    ('rules, packet', 'a packet with 10,000 rules, of one with 10 (HTTP capture)', 'x', 1.2),
    ('rules, compiled', '10,000 rules compiled', 'ms', 1000),
    ('workloads, packet', 'a packet with 500 workloads, of one with 1 (HTTP capture)', 'x', 1.1),
    ('ready with 10', 'tapqd ready with 10 workloads, mixed', 'ms', 400),
    ('500 attached', '500 workloads attached, mixed', 's', 10),
    ('500 attached, processor', 'processor time of that, programs that are run included', 's', 10),
    ('500 removed', '500 workloads removed at the stop', 's', 10),
    ('500 removed, processor', 'processor time of that', 's', 10),
    ('500 gone', '500 namespaces deleted one by one, and noticed', 's', 10),
    ('500 idle, processor', 'idle agent with 500 workloads', '% of a core', 0.5),
    ('500 idle, memory', 'idle agent with 500 workloads', 'MiB', 128),
)


def run_all(rounds, idle):
    got = {}
    for part in (flow_entry, lambda: idle_flows(rounds), lambda: many_rules(rounds), lambda: compiled(rounds), lambda: many_workloads(rounds), lambda: ten(rounds),
                 lambda: five_hundred(idle), five_hundred_go):
        for name, values in part().items():
            got[name] = spread(values)
            say('%-24s %s' % (name, '  '.join('%.4g' % v for v in values)))
    return {'rows': got}
