# SPDX-License-Identifier: GPL-2.0-or-later
"""A node in network namespaces, its containers, real servers and clients; and tapqd beside them.

                       netns PREFIX-node (tapqd runs here)
        +---------------------------------------------------------------+
        |   cbr0 10.77.0.1/24 fd77::1/64                    uplink       |
        |    |        |        |                       192.0.2.1/24      |
        |  v-web    v-client  v-db ...                 2001:db8:77::1/64 |
        +----|--------|--------|-----------------------------|----------+
           eth0     eth0     eth0                          eth0
          .11/::11  .12/::12  .13/::13          192.0.2.2, 2001:db8:77::2
        PREFIX-web PREFIX-client PREFIX-db          PREFIX-outside

Everything lives in namespaces of its own; nothing touches the machine's. Names carry a prefix, so that several labs
can stand side by side. What a lab started it ends by pid; `down` runs at exit whatever happens.
"""
import atexit, contextlib, ctypes, fcntl, json, os, re, shutil, signal, socket, struct, subprocess, sys, tempfile, time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ENGINE = os.environ.get('TAPQ_ENGINE')     # of the mirror; else the configuration's own
BUILD = os.environ.get('TAPQ_BUILD', os.path.join(TOP, 'build'))
CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x00020000
_libc = ctypes.CDLL(None, use_errno=True)


def names_of_its_own():
    """Namespaces that this process names from now on are named for it and its children alone: a tapqd that discovers them by their names would
    otherwise take over those of whatever lab another run has beside this one."""
    os.makedirs('/run/netns', exist_ok=True)
    if _libc.unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), 'a mount namespace of its own')
    run('mount', '--make-rprivate', '/')
    run('mount', '-t', 'tmpfs', '-o', 'mode=755', 'netns', '/run/netns')


def run(*argv, ns=None, check=True, timeout=60, **kw):
    """A command to its end, in a netns or not; its output as text."""
    cmd = (['ip', 'netns', 'exec', ns] if ns else []) + [str(a) for a in argv]
    r = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout, **kw)
    if check and r.returncode:
        raise RuntimeError('%s: exit %d: %s' % (' '.join(cmd), r.returncode, (r.stderr or r.stdout).strip()))
    return r


def wait_for(what, condition, seconds=10, every=0.02):
    """Waits on a condition, never on a sleep alone. Returns its value."""
    end = time.monotonic() + seconds
    while True:
        v = condition()
        if v:
            return v
        if time.monotonic() > end:
            raise AssertionError('waited %g s in vain: %s' % (seconds, what() if callable(what) else what))
        time.sleep(every)


class Skip(Exception):
    """A test that cannot run here; says why."""


@contextlib.contextmanager
def by_program():
    """Labs within mirror by the bpf engine, where this build and kernel have it."""
    global ENGINE
    with tempfile.NamedTemporaryFile('w', suffix='.yaml') as f:
        f.write('mode: tc\ntc: {engine: bpf}\n')
        f.flush()
        told = run(os.path.join(BUILD, 'tapqd'), '-c', f.name, '--check', check=False).stdout
    if not re.search(r'^ok +tc.engine: +bpf', told, re.M):
        raise Skip('no bpf engine here: %s' % '; '.join(line for line in told.splitlines() if 'tc.engine' in line))
    was, ENGINE = ENGINE, 'bpf'
    try:
        yield
    finally:
        ENGINE = was


def plain_build_only(fn):
    """Marks a test that measures time or memory, which a sanitized build would bend."""
    fn.plain = True
    return fn


class in_netns:
    """with in_netns(name): this thread is inside it (sockets opened there stay there)."""
    def __init__(self, ns):
        self.ns = ns

    def __enter__(self):
        self.back = os.open('/proc/thread-self/ns/net', os.O_RDONLY)
        fd = os.open('/run/netns/' + self.ns, os.O_RDONLY)
        try:
            if _libc.setns(fd, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), 'setns ' + self.ns)
        finally:
            os.close(fd)

    def __exit__(self, *exc):
        if _libc.setns(self.back, CLONE_NEWNET):
            os._exit(99)        # a thread lost in another namespace must not go on
        os.close(self.back)


class Lab:
    alive = []          # for the runner: what a failed test left standing
    last_words = ''     # of the tapqd of a lab that an exception ended
    bypass_expected = False     # a test in which a workload sends past its queue

    def __init__(self, prefix=None, containers=('web', 'client', 'db'), outside=True):
        self.prefix = prefix or 'tq%d' % (os.getpid() % 10000)
        self.containers = list(containers)
        self.has_outside = outside
        self.dir = tempfile.mkdtemp(prefix='tapq-lab-')
        self.routed = {}
        self.procs = []
        self.made = []
        self.tapqd = None
        Lab.alive.append(self)
        atexit.register(self.down)

    # ---- names and addresses ----
    def ns(self, name):
        return '%s-%s' % (self.prefix, name)

    def v4(self, name):
        if name in self.routed:
            return '10.78.%d.2' % self.routed[name]
        return '192.0.2.2' if name == 'outside' else '10.77.0.%d' % (11 + self.containers.index(name))

    def v6(self, name):
        if name in self.routed:
            return 'fd78:%d::2' % self.routed[name]
        return '2001:db8:77::2' if name == 'outside' else 'fd77::%d' % (11 + self.containers.index(name))

    def mac(self, name):
        return '02:77:00:00:00:%02x' % (11 + self.containers.index(name))

    def veth(self, name):
        return 'v-' + name

    def path(self, name):
        return os.path.join(self.dir, name)

    # ---- topology ----
    def _netns(self, name):
        ns = self.ns(name)
        run('ip', 'netns', 'add', ns)
        self.made.append(ns)
        run('ip', 'link', 'set', 'lo', 'up', ns=ns)
        # No noise of the kernel's own: no router solicitations, no duplicate address detection.
        run('sysctl', '-qw', 'net.ipv6.conf.all.accept_ra=0', 'net.ipv6.conf.default.accept_ra=0', 'net.ipv6.conf.default.accept_dad=0',
            'net.ipv6.conf.default.router_solicitations=0', 'net.ipv6.conf.all.disable_ipv6=0', 'net.ipv6.conf.default.disable_ipv6=0', ns=ns)
        return ns

    def up(self):
        node = self._netns('node')
        run('sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1', ns=node)
        run('ip', 'link', 'add', 'cbr0', 'type', 'bridge', 'mcast_snooping', '0', ns=node)
        run('ip', 'addr', 'add', '10.77.0.1/24', 'dev', 'cbr0', ns=node)
        run('ip', 'addr', 'add', 'fd77::1/64', 'dev', 'cbr0', 'nodad', ns=node)
        run('ip', 'link', 'set', 'cbr0', 'up', ns=node)
        for c in self.containers:
            self.add_container(c, known=True)
        if self.has_outside:
            ns = self._netns('outside')
            run('ip', 'link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', ns, ns=node)
            for dev, where, a4, a6 in (('uplink', node, '192.0.2.1/24', '2001:db8:77::1/64'), ('eth0', ns, '192.0.2.2/24', '2001:db8:77::2/64')):
                run('ip', 'addr', 'add', a4, 'dev', dev, ns=where)
                run('ip', 'addr', 'add', a6, 'dev', dev, 'nodad', ns=where)
                run('ip', 'link', 'set', dev, 'up', ns=where)
            run('ip', 'route', 'add', 'default', 'via', '192.0.2.1', ns=ns)
            run('ip', '-6', 'route', 'add', 'default', 'via', '2001:db8:77::1', ns=ns)
        return self

    def add_container(self, name, known=False):
        if not known:
            self.containers.append(name)
        node, ns, v = self.ns('node'), self._netns(name), self.veth(name)
        run('ip', 'link', 'add', v, 'type', 'veth', 'peer', 'name', 'eth0', 'address', self.mac(name), 'netns', ns, ns=node)
        run('ip', 'link', 'set', v, 'master', 'cbr0', 'up', ns=node)
        run('ip', 'addr', 'add', self.v4(name) + '/24', 'dev', 'eth0', ns=ns)
        run('ip', 'addr', 'add', self.v6(name) + '/64', 'dev', 'eth0', 'nodad', ns=ns)
        run('ip', 'link', 'set', 'eth0', 'up', ns=ns)
        run('ip', 'route', 'add', 'default', 'via', '10.77.0.1', ns=ns)
        run('ip', '-6', 'route', 'add', 'default', 'via', 'fd77::1', ns=ns)

    def add_routed(self, name, number):
        """A container without a bridge: its veth is a point-to-point link that the node routes to, 10.78.NUMBER.2 and fd78:NUMBER::2."""
        self.routed[name] = number
        self.containers.append(name)
        node, ns, v = self.ns('node'), self._netns(name), self.veth(name)
        run('ip', 'link', 'add', v, 'type', 'veth', 'peer', 'name', 'eth0', 'address', self.mac(name), 'netns', ns, ns=node)
        for dev, where, host in ((v, node, 1), ('eth0', ns, 2)):
            run('ip', 'addr', 'add', '10.78.%d.%d/24' % (number, host), 'dev', dev, ns=where)
            run('ip', 'addr', 'add', 'fd78:%d::%d/64' % (number, host), 'dev', dev, 'nodad', ns=where)
            run('ip', 'link', 'set', dev, 'up', ns=where)
        run('ip', 'route', 'add', 'default', 'via', '10.78.%d.1' % number, ns=ns)
        run('ip', '-6', 'route', 'add', 'default', 'via', 'fd78:%d::1' % number, ns=ns)

    def down(self):
        atexit.unregister(self.down)
        if self in Lab.alive:
            Lab.alive.remove(self)
        if self.tapqd and self.tapqd.poll() is None:
            self.tapqd.send_signal(signal.SIGCONT)
            self.tapqd.terminate()
            try:
                self.tapqd.wait(10)
            except subprocess.TimeoutExpired:
                self.tapqd.kill()
        for p in reversed(self.procs):
            if p.poll() is None:
                p.terminate()
        for p in self.procs:
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        self.procs = []
        for ns in reversed(self.made):
            run('ip', 'netns', 'del', ns, check=False)
        self.made = []
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.up()

    def __exit__(self, *exc):
        if exc[0]:
            Lab.last_words = self.log()
        self.down()

    # ---- programs ----
    def start(self, *argv, on=None, log=None, **kw):
        """A program of the lab's that runs until `down`; on: container name."""
        cmd = (['ip', 'netns', 'exec', self.ns(on)] if on else []) + [str(a) for a in argv]
        out = open(self.path(log or 'programs.log'), 'ab')
        p = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=kw.pop('stdout', out), stderr=out, **kw)
        out.close()
        self.procs.append(p)
        return p

    def exec(self, name, *argv, **kw):
        return run(*argv, ns=self.ns(name), **kw)

    def listening(self, name, port, proto='tcp'):
        """True when something listens on that port in that namespace."""
        flag = '-Hltn' if proto == 'tcp' else '-Hlun'
        return re.search(r':%d\s' % port, run('ss', flag, ns=self.ns(name)).stdout) is not None

    def wait_listening(self, name, port, proto='tcp'):
        wait_for('%s listens on %s/%d' % (name, proto, port), lambda: self.listening(name, port, proto))

    def nginx(self, name, ports=(8080,), size=1024):
        root = self.path('www-' + name)
        os.makedirs(root, exist_ok=True)
        with open(os.path.join(root, 'index.html'), 'w') as f:
            f.write('x' * size)
        conf = self.path('nginx-%s.conf' % name)
        with open(conf, 'w') as f:
            f.write('daemon off; master_process off; pid %s; error_log %s crit;\n'
                    'events { worker_connections 4096; }\nhttp { access_log off; client_body_temp_path %s/b; proxy_temp_path %s/p; fastcgi_temp_path %s/f;'
                    ' uwsgi_temp_path %s/u; scgi_temp_path %s/s; keepalive_requests 100000; default_type text/html;\n'
                    'server { root %s; %s } }\n' % (self.path('nginx-%s.pid' % name), self.path('nginx-%s.log' % name), self.dir, self.dir, self.dir, self.dir, self.dir, root,
                                                    ' '.join('listen %d; listen [::]:%d ipv6only=on;' % (p, p) for p in ports)))
        os.chmod(self.dir, 0o755)
        p = self.start('nginx', '-c', conf, '-e', self.path('nginx-%s.log' % name), on=name)
        for port in ports:
            self.wait_listening(name, port)
        return p

    def dnsmasq(self, name, records=(('api.example', '10.9.8.7'),)):
        argv = ['dnsmasq', '-k', '--no-resolv', '--no-hosts', '--conf-file=/dev/null', '--user=root', '--pid-file=', '--port=53', '--bind-interfaces']
        argv += ['--address=/%s/%s' % r for r in records]
        p = self.start(*argv, on=name)
        self.wait_listening(name, 53, 'udp')
        return p

    def redis(self, name):
        p = self.start('redis-server', '--port', '6379', '--bind', '0.0.0.0', '::', '--protected-mode', 'no', '--save', '', '--dir', self.dir, on=name)
        self.wait_listening(name, 6379)
        return p

    def tls_server(self, name, port=443):
        key, cert = self.path('key.pem'), self.path('cert.pem')
        if not os.path.exists(cert):
            run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=secure.example')
        for family in ('-4', '-6'):
            self.start('openssl', 's_server', family, '-accept', port, '-cert', cert, '-key', key, '-www', '-quiet', on=name)
        for bound in (r'0\.0\.0\.0', r'\[::\]'):
            wait_for('%s listens on %s:%d' % (name, bound, port), lambda: re.search(r'%s:%d\s' % (bound, port), run('ss', '-Hltn', ns=self.ns(name)).stdout))

    def sshd(self, name, port=22):
        key = self.path('ssh_host_key')
        if not os.path.exists(key):
            run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key)
        os.makedirs('/run/sshd', exist_ok=True)
        p = self.start('/usr/sbin/sshd', '-D', '-e', '-f', '/dev/null', '-h', key, '-p', str(port), '-o', 'PidFile=none', '-o', 'UsePAM=no', on=name)
        self.wait_listening(name, port)
        return p

    # ---- tapqd ----
    def config(self, mode='mixed', apps=('tcp/8080',), policy=None, extra='', static=True, sinks=True, per={}):
        """Writes a configuration and returns its path. static: the containers under their short names; else discovered.
        per: more keys of single containers, {name: 'side: server, apps: [tcp/1]'}."""
        text = 'node: lab\nmode: %s\n' % mode
        text += 'control: %s\n' % self.path('control.sock')
        text += 'stats_interval: 0\n'
        text += 'nfq:\n  apps: [%s]\n' % ', '.join(apps) if 'nfq:' not in extra else ''
        if static:
            text += 'workloads:\n  discover: []\n  static:\n'
            text += ''.join('    - {name: %s, netns: /run/netns/%s, interface: eth0%s}\n' % (c, self.ns(c), ', ' + per[c] if c in per else '') for c in self.containers)
        elif 'workloads:' not in extra:
            text += 'workloads: {discover: [netns], exclude: ["%s"]}\n' % self.ns('outside')
        if ENGINE and 'tc: {' not in extra:
            text += 'tc: {engine: %s}\n' % ENGINE
        elif ENGINE and 'engine:' not in extra:
            extra = extra.replace('tc: {', 'tc: {engine: %s, ' % ENGINE)
        if sinks:
            text += 'events:\n  - {type: file, path: %s, types: all}\n' % self.path('eve.json')
        if policy:
            with open(self.path('policy.yaml'), 'w') as f:
                f.write(policy)
            text += 'policy: %s\n' % self.path('policy.yaml')
        text += extra
        with open(self.path('tapqueue.yaml'), 'w') as f:
            f.write(text)
        return self.path('tapqueue.yaml')

    def start_tapqd(self, *args, ready=True, env=None, wrapper=(), **conf):
        """Starts tapqd in the node; conf: as config(). Waits until every workload is covered. wrapper: a program that runs it, with its arguments."""
        if conf or not os.path.exists(self.path('tapqueue.yaml')):
            self.config(**conf)
        log = open(self.path('tapqd.log'), 'ab')
        self.tapqd = subprocess.Popen(['ip', 'netns', 'exec', self.ns('node'), *wrapper, os.path.join(BUILD, 'tapqd'), '-c', self.path('tapqueue.yaml'), *args],
                                      stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(os.environ, **(env or {})))
        log.close()
        if ready:
            self.wait_ready(120 if wrapper else 20)
        return self.tapqd

    def wait_ready(self, seconds=20):
        def ready():
            if self.tapqd.poll() is not None:
                raise AssertionError('tapqd ended with %s: %s' % (self.tapqd.returncode, self.log()))
            return os.path.exists(self.path('control.sock')) and self.tapq('status', check=False).returncode == 0
        wait_for('tapqd covers every workload', ready, seconds)

    def stop_tapqd(self, sig=signal.SIGTERM, seconds=20):
        self.tapqd.send_signal(sig)
        code = self.tapqd.wait(seconds)
        if not self.bypass_expected:
            false = [e for e in self.events('anomaly') if e['anomaly']['event'] == 'bypass']
            assert not false, 'bypass was told of what went through the queue: %s' % false[:3]
        return code

    def log(self):
        try:
            with open(self.path('tapqd.log')) as f:
                return f.read()[-4000:]
        except FileNotFoundError:
            return ''

    def tapq(self, *args, check=True, timeout=60):
        return run(os.path.join(BUILD, 'tapq'), '-s', self.path('control.sock'), *args, ns=self.ns('node'), check=check, timeout=timeout)

    def tapq_json(self, *args, **kw):
        return json.loads(self.tapq('--json', *args, **kw).stdout)

    def counter(self, name):
        return sum(c['value'] for c in self.tapq_json('counters', name)['counters'])

    def events(self, kind=None):
        """All events written so far, whole lines only."""
        out = []
        try:
            with open(self.path('eve.json')) as f:
                for line in f:
                    if line.endswith('\n'):
                        e = json.loads(line)
                        if kind is None or e['event_type'] == kind:
                            out.append(e)
        except FileNotFoundError:
            pass
        return out

    def truth(self, name, dev='eth0'):
        """A capture at the container's own interface: what really went over it."""
        return Truth(self, name, dev)


class Truth:
    """Counts every packet at an interface by flow: {(proto, (ip, port), (ip, port)): [[packets, bytes] of a->b, of b->a]}."""
    def __init__(self, lab, name, dev):
        self.file = lab.path('truth-%s-%s.pcap' % (name, dev))
        if os.path.exists(self.file):
            os.unlink(self.file)
        self.p = lab.start('tcpdump', '--immediate-mode', '-i', dev, '-s', '120', '-B', '65536', '-U', '-w', self.file, on=name, log='tcpdump.log')
        wait_for('tcpdump runs', lambda: os.path.exists(self.file) and os.path.getsize(self.file) >= 24)

    def stop(self):
        time.sleep(0.3)      # the capture's own buffer; what is counted has long been sent
        self.p.send_signal(signal.SIGINT)
        self.p.wait(10)
        return flows_of_pcap(self.file)


def flows_of_pcap(path):
    """By canonical key: (proto, end, end) with the smaller end first -> [[packets, IP bytes] from it, [packets, IP bytes] to it]."""
    flows = {}
    with open(path, 'rb') as f:
        head = f.read(24)
        order = '<' if head[:4] in (b'\xd4\xc3\xb2\xa1', b'\x4d\x3c\xb2\xa1') else '>'
        while True:
            h = f.read(16)
            if len(h) < 16:
                break
            _, _, cap, wire = struct.unpack(order + 'IIII', h)
            d = f.read(cap)
            if len(d) < cap:
                break
            key, length = parse_frame(d, wire)
            if key is None:
                continue
            proto, a, b = key
            lo, hi = sorted((a, b))
            e = flows.setdefault((proto, lo, hi), [[0, 0], [0, 0]])
            side = e[0 if a == lo else 1]
            side[0] += 1
            side[1] += length
    return flows


def parse_frame(d, wire):
    eth = struct.unpack('!H', d[12:14])[0]
    if eth == 0x0800:
        ihl = (d[14] & 15) * 4
        length, proto = struct.unpack('!H', d[16:18])[0] or wire - 14, d[23]
        src, dst = socket.inet_ntoa(d[26:30]), socket.inet_ntoa(d[30:34])
        l4 = 14 + ihl
    elif eth == 0x86dd:
        length, proto = struct.unpack('!H', d[18:20])[0] + 40, d[20]
        src, dst = socket.inet_ntop(socket.AF_INET6, d[22:38]), socket.inet_ntop(socket.AF_INET6, d[38:54])
        l4 = 54
    else:
        return None, 0
    if proto not in (6, 17):
        return None, 0
    sp, dp = struct.unpack('!HH', d[l4:l4 + 4])
    return ({6: 'TCP', 17: 'UDP'}[proto], (src, sp), (dst, dp)), length


def flow_key(e):
    a, b = (e['src_ip'], e['src_port']), (e['dest_ip'], e['dest_port'])
    return (e['proto'],) + tuple(sorted((a, b)))


def flow_counts(e):
    """[[packets, bytes] from the smaller end, to it], as Truth counts."""
    a, b = (e['src_ip'], e['src_port']), (e['dest_ip'], e['dest_port'])
    up = [e['flow']['pkts_toserver'], e['flow']['bytes_toserver']]
    down = [e['flow']['pkts_toclient'], e['flow']['bytes_toclient']]
    return [up, down] if a < b else [down, up]
