# SPDX-License-Identifier: GPL-2.0-or-later
"""Live rows: a client and a server in namespaces, and what stands between them.

    client --veth-- cbr0 --veth-- web: nginx on 8080 and 8081, iperf3 on 5201 and 5202

Each row has a lab of its own, which stands for a round beside those of the others, idle while another one's load runs: kept-alive requests, bulk, and a
connection a request, over IPv4 and over IPv6, take turns of a second or two, row by row, so that a machine which is slow for ten seconds is slow for all.
Suricata's rows, whose threads wake up all the time, do so by themselves behind the others. One wrk and one iperf3 go to each of the two ports side by
side, so that `mixed` has half of the connections on each path and all rows carry the same load. The server is the workload; the client is not one.

A run of an agent counts only if it lived to its end, told 99 % of the requests that wrk had answered as `http` events, each connection that the
client opened as a `flow` event, no packet twice, and dropped nothing."""
import contextlib, json, os, re, signal, statistics, subprocess, time

from benchlib import Refused, count_lines, installed, median, policy, program, say, spread
from lablib import Lab, names_of_its_own, run, wait_for

HTTP, BULK = (8080, 8081), (5201, 5202)
CONNECTIONS = 16	# of each wrk
APPS = ', '.join('tcp/%d' % p for p in HTTP + BULK)
HALF = 'tcp/%d, tcp/%d' % (HTTP[0], BULK[0])
NOTHING, SINGLE, BATCH, MARK, TOUCH = 'nothing', 'queue: accept, one by one', 'queue: accept, in batches', 'queue: marked, rest passes by', 'mirror: ring touched'
BOTH = 'queue and mirror, half each'
NFQ, OFFLOAD, TC, TC_BPF, MIXED, SURICATA_NFQ, SURICATA_TC = 'tapqd nfq', 'tapqd nfq, offload', 'tapqd tc', 'tapqd tc, bpf engine', 'tapqd mixed', 'Suricata, NFQUEUE', 'Suricata, af-packet'
RATES = ('kept-alive', 'connections', 'bulk')
WARM, ENDS = 1, 4	# seconds of load that is not measured
TURN = 1	# seconds of one that is
CLOSING = ('-H', 'Connection: close')


# ---- load ----

def side_by_side(commands):
    """Their outputs; every one has to end well."""
    procs = [subprocess.Popen(c, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for c in commands]
    outs = []
    for p, c in zip(procs, commands):
        try:
            out, err = p.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            for q in procs:
                q.kill()
            raise
        if p.returncode:
            raise RuntimeError('%s: exit %d: %s' % (' '.join(c), p.returncode, (err or out).strip()[-300:]))
        outs.append(out)
    return outs


def ms_of(text):
    value, unit = re.fullmatch(r'([\d.]+)(us|ms|s)', text).groups()
    return float(value) * {'us': 0.001, 'ms': 1, 's': 1000}[unit]


def wrk(lab, host, seconds, *more):
    """{'rate': answers a second, 'requests', 'p50', 'p99': ms} of all ports."""
    outs = side_by_side([['ip', 'netns', 'exec', lab.ns('client'), 'wrk', '-t1', '-c%d' % CONNECTIONS, '-d%ds' % seconds, '--latency', *more, 'http://%s:%d/' % (host, p)] for p in HTTP])
    requests = rate = 0
    quantiles = {'50': [], '99': []}
    for o in outs:
        if re.search(r'Non-2xx|Socket errors', o):
            raise Refused('wrk: ' + ' '.join(re.findall(r'(?:Non-2xx|Socket errors).*', o)))
        requests += int(re.search(r'(\d+) requests in', o).group(1))
        rate += float(re.search(r'Requests/sec:\s+([\d.]+)', o).group(1))
        for q, values in quantiles.items():
            values.append(ms_of(re.search(r'^\s+%s%%\s+(\S+)' % q, o, re.M).group(1)))
    return {'rate': rate, 'requests': requests, 'p50': sum(quantiles['50']) / len(HTTP), 'p99': max(quantiles['99'])}


def iperf(lab, host, seconds):
    """Gbit/s that arrived, of all ports."""
    outs = side_by_side([['ip', 'netns', 'exec', lab.ns('client'), 'iperf3', '-c', host, '-p', str(p), '-t', str(seconds), '-J'] for p in BULK])
    return sum(json.loads(o)['end']['sum_received']['bits_per_second'] for o in outs) / 1e9


# ---- what the kernel knows ----

def kernel_counts(lab):
    """(connections that the client opened so far, packets over the server's interface). The server's own count of connections (PassiveOpens) has those
    twice whose first two packets meet in the kernel, as they do behind a queue."""
    names, values = [line.split() for line in run('cat', '/proc/net/snmp', ns=lab.ns('client')).stdout.splitlines() if line.startswith('Tcp:')]
    dev = re.search(r'^\s*eth0:(.*)$', run('cat', '/proc/net/dev', ns=lab.ns('web')).stdout, re.M).group(1).split()
    return int(values[names.index('ActiveOpens')]) - int(values[names.index('AttemptFails')]), int(dev[1]) + int(dev[9])


def cpu_of(pid):
    """Seconds that its threads ran."""
    total = 0
    for thread in os.listdir('/proc/%d/task' % pid):
        with open('/proc/%d/task/%s/schedstat' % (pid, thread)) as f:
            total += int(f.read().split()[0])
    return total / 1e9


class Measured:
    """Processor time of what stands between, and packets over the server's interface, while loads run that are measured."""
    def __init__(self, lab, pid):
        self.lab, self.pid, self.cpu, self.packets = lab, pid, 0, 0

    def counts(self):
        return cpu_of(self.pid) if self.pid else 0, kernel_counts(self.lab)[1]

    def __enter__(self):
        self.then = self.counts()

    def __exit__(self, *_):
        cpu, packets = self.counts()
        self.cpu += cpu - self.then[0]
        self.packets += packets - self.then[1]


# ---- what stands between ----

class Between:
    """Nothing. pid: whose processor time is taken; stop() ends it and raises Refused where the run does not count."""
    pid = None

    def __init__(self, lab):
        self.lab = lab

    def start(self):
        pass

    def stop(self, requests, connections, packets):
        pass


def queue_rules(lab, chain_rules, ports=HTTP + BULK):
    text = '*filter\n:BENCH_IN - [0:0]\n:BENCH_OUT - [0:0]\n-I INPUT 1 -i eth0 -p tcp -j BENCH_IN\n-I OUTPUT 1 -o eth0 -p tcp -j BENCH_OUT\n'
    for chain, word in (('BENCH_IN', '--dport'), ('BENCH_OUT', '--sport')):
        text += ''.join('-A %s %s\n' % (chain, r) for r in chain_rules)
        text += ''.join('-A %s -p tcp %s %d -j NFQUEUE --queue-num 0 --queue-bypass\n' % (chain, word, p) for p in ports)
    for tool in ('iptables-restore', 'ip6tables-restore'):
        run(tool, '--noflush', ns=lab.ns('web'), input=text + 'COMMIT\n')


class Accepting(Between):
    how = 'single'
    rules, ports = (), HTTP + BULK

    def start(self):
        self.p = self.lab.start(program('accept'), '0', self.how, on='web', log='accept.log')
        self.pid = self.p.pid
        wait_for('it listens', lambda: 'listening' in open(self.lab.path('accept.log')).read())
        queue_rules(self.lab, self.rules, self.ports)

    def stop(self, requests, connections, packets):
        if self.p.poll() is not None:
            raise Refused('it ended: ' + open(self.lab.path('accept.log')).read()[-200:])
        self.p.send_signal(signal.SIGTERM)
        self.p.wait(10)
        seen = int(re.search(r'(\d+) packets', open(self.lab.path('accept.log')).read()).group(1))
        if self.how != 'mark' and seen < packets * 0.99:
            raise Refused('%d of %d packets met the queue' % (seen, packets))
        return seen


class Batching(Accepting):
    how = 'batch'


class Marking(Accepting):
    how = 'mark'
    rules = ('-m mark --mark 0x1000/0x1000 -j CONNMARK --save-mark --nfmask 0x1000 --ctmask 0x1000', '-m connmark --mark 0x1000/0x1000 -j RETURN')


def mirror(lab, but=()):
    node, veth = lab.ns('node'), lab.veth('web')
    run('ip', 'link', 'add', 'vbr-bench', 'type', 'bridge', 'mcast_snooping', '0', ns=node)
    run('sysctl', '-qw', 'net.ipv6.conf.vbr-bench.disable_ipv6=1', ns=node)
    run('ip', 'link', 'set', 'vbr-bench', 'arp', 'off', 'up', ns=node)
    run('tc', 'qdisc', 'add', 'dev', veth, 'clsact', ns=node)
    for hook, word in (('ingress', 'sport'), ('egress', 'dport')):
        for pref, (family, match) in enumerate((('ip', 'ip'), ('ipv6', 'ip6')), 10):
            for p in but:
                run('tc', 'filter', 'add', 'dev', veth, hook, 'pref', str(pref), 'protocol', family, 'u32', 'match', match, word, str(p), '0xffff', 'flowid', '1:1', ns=node)
        run('tc', 'filter', 'add', 'dev', veth, hook, 'pref', '20', 'protocol', 'all', 'u32', 'match', 'u32', '0', '0', 'action', 'mirred', 'egress', 'mirror', 'dev', 'vbr-bench', ns=node)


class Touching(Between):
    but = ()

    def start(self):
        mirror(self.lab, self.but)
        self.p = self.lab.start(program('touch'), 'vbr-bench', on='node', log='touch.log')
        self.pid = self.p.pid
        wait_for('it listens', lambda: 'listening' in open(self.lab.path('touch.log')).read())

    def stop(self, requests, connections, packets):
        self.p.send_signal(signal.SIGTERM)
        self.p.wait(10)
        seen, dropped = map(int, re.search(r'(\d+) packets (\d+) dropped', open(self.lab.path('touch.log')).read()).groups())
        if dropped or seen < packets * 0.99:
            raise Refused('%d of %d packets met the ring, %d were dropped' % (seen, packets, dropped))


class Halving(Between):
    """The two programs side by side, each with what `tapqd mixed` has on its path."""
    def start(self):
        self.queue, self.ring = Batching(self.lab), Touching(self.lab)
        self.queue.ports = self.ring.but = (HTTP[0], BULK[0])
        self.ring.start()
        self.queue.start()

    def stop(self, requests, connections, packets):
        self.ring.stop(requests, connections, packets - self.queue.stop(requests, connections, 0))


class Tapqd(Between):
    mode, apps, nfq, types, http, more = 'nfq', APPS, 'offload: false', 'all', True, ''

    def start(self):
        lab = self.lab
        extra = 'workloads: {discover: [], static: [{name: web, netns: /run/netns/%s, interface: eth0}]}\n' % lab.ns('web')
        extra += 'nfq: {apps: [%s]%s}\n' % (self.apps, ', ' + self.nfq if self.nfq else '')
        extra += self.more
        extra += 'events:\n  - {type: file, path: %s, types: %s}\n' % (lab.path('eve.json'), self.types)
        # As much ring for each direction as the program has that touches each packet: at 25 Gbit/s that is 20 ms.
        lab.start_tapqd('-o', 'tc.ring.blocks=128', mode=self.mode, static=False, sinks=False, policy=policy(99, apps=True), extra=extra)
        self.pid = lab.tapqd.pid

    def stop(self, requests, connections, packets):
        lab = self.lab
        if lab.tapqd.poll() is not None:
            raise Refused('tapqd ended with %d: %s' % (lab.tapqd.returncode, lab.log()[-300:]))
        counters = {c['name']: c['value'] for c in lab.tapq_json('counters')['counters']}
        counters['source.nfq.dropped'] -= counters['stream.unawaited']      # what came behind the end of a connection: the kernel would have thrown it away
        lost = [n for n, v in counters.items() if v and (re.fullmatch(r'source\..*\.(kernel_drops|user_drops|passed_unseen|errors|dropped)|sink\.(dropped|errors|ring_dropped)', n))]
        if lost:
            raise Refused('lost: ' + ', '.join('%s %d' % (n, counters[n]) for n in lost))
        self.flows = counters['flow.new']
        code = lab.stop_tapqd(seconds=60)
        if code:
            raise Refused('tapqd ended with %d' % code)
        self.read_events(requests, connections, packets)

    def read_events(self, requests, connections, packets):
        path = self.lab.path('eve.json')
        http = count_lines(path, '"event_type":"http"')[0]
        flows = told = 0
        with open(path, 'rb') as f:
            for line in f:
                if b'"event_type":"flow"' in line and b'"proto":"TCP"' in line:
                    flows += 1
                    told += sum(map(int, re.findall(rb'"pkts_to(?:server|client)":(\d+)', line)))
        if self.http and http < requests * 0.99:
            raise Refused('%d of %d requests were told' % (http, requests))
        if flows < connections:
            raise Refused('%d of %d connections were told, %d were flows' % (flows, connections, self.flows))
        if told > packets * 1.001:
            raise Refused('%d packets were told of %d: some were seen twice' % (told, packets))
        if told < packets * 0.99:
            raise Refused('%d of %d packets were told' % (told, packets))


class Offloading(Tapqd):
    nfq, types, http = 'offload: true', '[flow, alert]', False


class Mirroring(Tapqd):
    mode, apps, nfq = 'tc', '', ''


class Shunting(Mirroring):
    """Events of flows only: what takes http events needs every byte."""
    types, http, more = '[flow, alert]', False, 'tc: {engine: bpf}\n'


class Mixing(Tapqd):
    mode, apps = 'mixed', HALF


class Suricata(Between):
    """Rows of Suricata have no look at what was told: its events differ."""
    def start(self):
        logs = self.lab.path('suricata')
        os.makedirs(logs)
        queue_rules(self.lab, ())
        self.p = self.lab.start('suricata', '-c', '/etc/suricata/suricata.yaml', '-S', '/dev/null', '-l', logs, '--set', 'nfq.fail-open=yes', '--set', 'nfq.batchcount=20', '-q', '0',
                                on='web', log='suricata.log')
        self.up(logs)

    def up(self, logs):
        self.pid = self.p.pid
        wait_for('Suricata runs', lambda: os.path.exists(os.path.join(logs, 'suricata.log')) and 'started' in open(os.path.join(logs, 'suricata.log')).read(), 60)

    def stop(self, requests, connections, packets):
        if self.p.poll() is not None:
            raise Refused('suricata ended with %d' % self.p.returncode)


class SuricataRing(Suricata):
    def start(self):
        logs = self.lab.path('suricata')
        os.makedirs(logs)
        mirror(self.lab)
        self.p = self.lab.start('suricata', '-c', '/etc/suricata/suricata.yaml', '-S', '/dev/null', '-l', logs, '--af-packet=vbr-bench', on='node', log='suricata.log')
        self.up(logs)


ROWS = {NOTHING: Between, SINGLE: Accepting, BATCH: Batching, MARK: Marking, TOUCH: Touching, BOTH: Halving, NFQ: Tapqd, OFFLOAD: Offloading, TC: Mirroring, TC_BPF: Shunting, MIXED: Mixing}


# ---- running ----

class Standing:
    """A row in its lab, for a round. got: {metric: one value of each turn}."""
    def __init__(self, row, number):
        self.row, self.got, self.requests = row, {}, 0
        self.lab = Lab(prefix='tqb%d-%d' % (os.getpid() % 10000, number), containers=('web', 'client'), outside=False)

    def up(self):
        lab = self.lab.up()
        run('sysctl', '-qw', 'net.ipv4.ip_local_port_range=1024 65000', ns=lab.ns('client'))
        lab.nginx('web', ports=HTTP)
        for p in BULK:
            lab.start('iperf3', '-s', '-p', str(p), on='web')
            lab.wait_listening('web', p)
        self.hosts = {'v4': lab.v4('web'), 'v6': '[%s]' % lab.v6('web')}
        self.between = ROWS[self.row](lab)
        self.between.start()
        self.before, self.measured = kernel_counts(lab), Measured(lab, self.between.pid)
        for family in self.hosts:
            self.ask(family, WARM)

    def ask(self, family, seconds, *more):
        answered = wrk(self.lab, self.hosts[family], seconds, *more)
        self.requests += answered['requests']
        return answered

    def put(self, **values):
        for metric, value in values.items():
            self.got.setdefault(metric, []).append(value)

    def kept_alive(self, family):
        with self.measured:
            m = self.ask(family, TURN)
        self.put(**{'kept-alive ' + family: m['rate'], 'p50 ' + family: m['p50'], 'p99 ' + family: m['p99']})

    def bulk(self, family):
        with self.measured:
            rate = iperf(self.lab, self.hosts[family].strip('[]'), TURN)
        self.put(**{'bulk ' + family: rate})

    def connections(self):
        """Flows end, and are told, three seconds behind their last packet: measured is once ends come as fast as beginnings, and both families as early as late."""
        self.ask('v4', ENDS, *CLOSING)
        for family in (*self.hosts, *reversed(self.hosts)):
            with self.measured:
                m = self.ask(family, TURN, *CLOSING)
            self.put(**{'connections ' + family: m['rate']})

    def down(self):
        """Raises Refused where nothing of it counts."""
        time.sleep(0.3)		# the last packets of closing connections
        after = kernel_counts(self.lab)
        self.between.stop(self.requests, after[0] - self.before[0], after[1] - self.before[1])
        if self.between.pid:
            self.put(cpu=self.measured.cpu / self.measured.packets * 1e6)


def one_round(names, turns, refuse):
    """{row: {metric: values}} of the rows that count; refuse(row, why) is called for the others."""
    with contextlib.ExitStack() as labs:
        standing = []

        def each(act):
            """In another order each time: nobody always comes behind the same one."""
            standing[:] = standing[1:] + standing[:1]
            for s in list(standing):
                try:
                    act(s)
                except Refused as why:
                    standing.remove(s)
                    refuse(s.row, str(why))
                os.sync()	# what one wrote is not written to disk in another one's time

        for number, row in enumerate(names):
            standing.append(Standing(row, number))
            labs.callback(standing[-1].lab.down)
        each(Standing.up)
        for load in (Standing.kept_alive, Standing.bulk):
            for turn in range(turns):
                for family in ('v4', 'v6'):
                    each(lambda s: load(s, family))
        for turn in range((turns + 1) // 2):
            each(Standing.connections)
        each(Standing.down)
        return {s.row: s.got for s in sorted(standing, key=lambda s: names.index(s.row))}


def missing():
    return [t for t in ('wrk', 'iperf3', 'nginx') if not installed(t)]


def rows(only):
    if installed('suricata'):
        ROWS.update({SURICATA_NFQ: Suricata, SURICATA_TC: SuricataRing})
    else:
        say('suricata is not installed: its rows are left out')
    return [r for r in ROWS if not only or any(w in r for w in only)]


def run_all(rounds, turns, only=()):
    if missing():
        say('live rows are left out: not installed: %s (scripts/install-deps --bench)' % ', '.join(missing()))
        return None
    got, refused, names = {}, {}, rows(only)
    for number in range(1, rounds + 1):
        def refuse(row, why):
            refused.setdefault(row, []).append(why)
            say('round %d  %-28s does not count: %s' % (number, row, why))

        for restless in (False, True):
            for row, metrics in one_round([r for r in names if issubclass(ROWS[r], Suricata) == restless], turns, refuse).items():
                for metric, values in metrics.items():
                    got.setdefault(row, {}).setdefault(metric, []).extend(values)
                say('round %d  %-28s ' % (number, row) + '  '.join('%s %.4g' % (k, statistics.median(v)) for k, v in metrics.items()))
    out = {row: {k: spread(v) for k, v in ms.items()} for row, ms in got.items()}
    return {'rows': out, 'refused': refused, 'ratios': ratios(out)}


def ratios(rows):
    """{row: {metric: of its ceiling}}"""
    def of(row, metric):
        return median(rows.get(row, {}).get(metric))

    def best(names, metric):
        values = [of(n, metric) for n in names if of(n, metric)]
        if not values:
            return None
        return min(values) if metric.startswith('p') else max(values)

    out = {}
    for row in rows:
        ceiling = {NFQ: (SINGLE, BATCH), SURICATA_NFQ: (SINGLE, BATCH), OFFLOAD: (MARK,), TC: (TOUCH,), SURICATA_TC: (TOUCH,), MIXED: (BOTH,)}.get(row, (NOTHING,))
        halves = {MIXED: (NFQ, TC), BOTH: (BATCH, TOUCH)}.get(row)
        out[row] = {}
        for metric in rows[row]:
            top, mine = best(ceiling, metric), of(row, metric)
            if top and mine:
                out[row][metric] = mine / top
            if halves and mine and metric.split()[0] in RATES and all(of(h, metric) for h in halves):
                out[row]['predicted ' + metric] = mine * sum(1 / of(h, metric) for h in halves) / 2	# half of the work at each one's rate
            shares = [out[h].get(metric) for h in (NFQ, TC) if row == MIXED and h in out]
            if len(shares) == 2 and all(shares) and metric in out[row]:
                out[row]['share ' + metric] = out[row][metric] * 2 / sum(shares)	# of its ceiling, beside what each path reaches of its own
    return out
