# SPDX-License-Identifier: GPL-2.0-or-later
"""Two hosts, a real server on one and its clients on the other, and a capture between them.

        netns PREFIX-server                              netns PREFIX-client
        10.0.0.2/24  fd00::2/64   eth0 ----------- eth0  10.0.0.1/24  fd00::1/64
        the server, in s.dir                             the clients; tcpdump listens here

A file of talks/ says how a server is started, what is said to it, and what must be told of that: a function with `@talk`, named as its golden.

    @talk(app='redis', port=6379, needs=['redis-server', 'redis'], facts=[('redis', {'command': 'PING'})])
    def redis_resp2(s):
        s.start('redis-server', '--port', '6379', '--bind', '0.0.0.0', '::')
        s.listening(6379)
        with s.capture(), s.client():
            ...

app, port    each flow to that port (a list: any of them; with `udp` after the number if it is one) must have that app_proto; ports: {port: app} where they differ
needs        programs on the path, Python modules, files; what isn't there skips the talk and says so
facts        an event each: its type, and fields of the object of that name (dotted paths; `...`: any value); each fact an event of its own;
             a list holds if the elements given are all in it
others       the app of flows to other ports, which the talk itself announces (data of ftp and tftp)
never        (type, fields) that no event may match
hint         the app has nothing to be known by on another port: the moved capture is not asked for it
lost         fields that another port cannot tell

`run` (beside this file) makes the goldens from the talks, and `run --check` holds them against the facts without any server. What is written here about
a talk is what was said, never what tapq told."""
import atexit, importlib, os, shutil, signal, socket, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lab'))
sys.dont_write_bytecode = True
from lablib import Skip, in_netns, run, wait_for  # noqa: E402
import pcap  # noqa: E402

SERVER, CLIENT = '10.0.0.2', '10.0.0.1'
SERVER6, CLIENT6 = 'fd00::2', 'fd00::1'
MARK = 9        # UDP to this port ends a capture; it is not in the file
talks = {}


def talk(app=None, port=None, ports=None, needs=(), facts=(), never=(), hint=False, lost=(), tshark=None, others=None):
    """Marks a function of a Stage as a talk; see above. tshark: {field: (type, path)}: values of tshark's field must be told there."""
    def mark(fn):
        fn.app, fn.needs, fn.facts, fn.never, fn.hint, fn.lost, fn.tshark = app, list(needs), list(facts), list(never), hint, set(lost), dict(tshark or {})
        fn.others = others
        fn.ports = dict(ports or {})
        for p in port if isinstance(port, (list, tuple)) else [port] if port else []:
            fn.ports[p] = app
        talks[fn.__name__] = fn
        return fn
    return mark


def missing(fn):
    """The first need that isn't there, or None."""
    for n in fn.needs:
        if n.startswith('/'):
            if not os.path.exists(n):
                return n
        elif n.startswith('python:'):
            try:
                importlib.import_module(n[7:])
            except ImportError:
                return n
        elif not shutil.which(n, path=os.environ.get('PATH', '') + ':/usr/sbin:/sbin'):
            return n
    return None


class Stage:
    def __init__(self, name):
        self.prefix = 'ts%d' % (os.getpid() % 10000)
        self.dir = tempfile.mkdtemp(prefix='tapq-servers-')
        os.chmod(self.dir, 0o755)
        self.name, self.procs, self.made = name, [], []
        self.pcap = os.path.join(self.dir, 'talk.pcap')
        atexit.register(self.down)

    # ---- the two hosts ----
    def ns(self, who):
        return '%s-%s' % (self.prefix, who)

    def up(self):
        for who in ('server', 'client'):
            ns = self.ns(who)
            run('ip', 'netns', 'add', ns)
            self.made.append(ns)
            run('sysctl', '-qw', 'net.ipv6.conf.all.accept_ra=0', 'net.ipv6.conf.default.accept_ra=0', 'net.ipv6.conf.default.accept_dad=0',
                'net.ipv6.conf.default.router_solicitations=0', 'net.ipv6.conf.all.disable_ipv6=0', 'net.ipv6.conf.default.disable_ipv6=0',
                'net.ipv4.ping_group_range=0 2147483647', ns=ns)
            run('ip', 'link', 'set', 'lo', 'up', ns=ns)
        run('ip', 'link', 'add', 'eth0', 'address', '02:00:00:00:00:01', 'type', 'veth', 'peer', 'name', 'eth0', 'address', '02:00:00:00:00:02', 'netns', self.ns('server'),
            ns=self.ns('client'))
        for who, v4, v6 in (('server', SERVER, SERVER6), ('client', CLIENT, CLIENT6)):
            # What is captured is what a wire would carry: whole checksums, segments of the usual size.
            run('ethtool', '-K', 'eth0', 'tx', 'off', 'rx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off', ns=self.ns(who))
            run('ip', 'addr', 'add', v4 + '/24', 'dev', 'eth0', ns=self.ns(who))
            run('ip', 'addr', 'add', v6 + '/64', 'dev', 'eth0', 'nodad', ns=self.ns(who))
        for who in ('server', 'client'):
            run('ip', 'link', 'set', 'eth0', 'up', ns=self.ns(who))
        return self

    def down(self):
        for p in reversed(self.procs):
            for end in (lambda: p.send_signal(signal.SIGTERM), p.kill):
                if p.poll() is None:
                    try:
                        end()
                        p.wait(8)
                    except (subprocess.TimeoutExpired, ProcessLookupError):
                        pass
        # A server may have left children of its own behind; what still is in a namespace of ours, we started.
        for ns in self.made:
            for pid in run('ip', 'netns', 'pids', ns, check=False).stdout.split():
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self.procs = []
        for ns in reversed(self.made):
            run('ip', 'netns', 'del', ns, check=False)
        self.made = []
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.up()

    def __exit__(self, *exc):
        self.down()

    # ---- files and programs ----
    def path(self, *names):
        return os.path.join(self.dir, *names)

    def file(self, name, text, mode=0o644, user=None):
        """Writes a file of the talk's own and returns its path."""
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), 'w') as f:
            f.write(text)
        os.chmod(self.path(name), mode)
        if user:
            shutil.chown(self.path(name), user, user)
        return self.path(name)

    def directory(self, name, user=None, mode=0o755):
        os.makedirs(self.path(name), exist_ok=True)
        os.chmod(self.path(name), mode)
        if user:
            shutil.chown(self.path(name), user, user)
        return self.path(name)

    def _argv(self, argv, on, user):
        cmd = ['ip', 'netns', 'exec', self.ns(on)]
        if user:
            cmd += ['setpriv', '--reuid', user, '--regid', user, '--init-groups', '--inh-caps=-all']
        return cmd + [str(a) for a in argv]

    def _env(self, env):
        path = os.environ.get('PATH', '') + ':/usr/sbin:/sbin'
        return dict({k: v for k, v in os.environ.items() if k in ('LANG', 'TERM')}, PATH=path, HOME=self.dir, LC_ALL='C.UTF-8', **(env or {}))

    def start(self, *argv, on='server', user=None, env=None):
        """A program that runs until the talk ends."""
        with open(self.path('programs.log'), 'ab') as log:
            p = subprocess.Popen(self._argv(argv, on, user), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._env(env), cwd=self.dir)
        self.procs.append(p)
        return p

    def own(self, name, port):
        """A server of own/ on a port. Returns a function: what it was asked so far, a line each."""
        asked = self.file('asked', '')
        self.start('/usr/bin/python3', os.path.join(os.path.dirname(os.path.abspath(__file__)), 'own', name), str(port), asked)
        self.listening(port)
        return lambda: open(asked).read().splitlines()

    def end(self, p, seconds=20):
        p.send_signal(signal.SIGTERM)
        p.wait(seconds)
        self.procs.remove(p)

    def run(self, *argv, on='server', user=None, env=None, input=None, check=True, timeout=60):
        """A command to its end; what it printed."""
        r = subprocess.run(self._argv(argv, on, user), input=input, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors='replace', timeout=timeout,
                           env=self._env(env), cwd=self.dir, **({} if input is not None else {'stdin': subprocess.DEVNULL}))
        if check and r.returncode:
            raise RuntimeError('%s: exit %d: %s' % (argv[0], r.returncode, (r.stderr or r.stdout).strip()[-800:]))
        return r.stdout

    def say(self, *argv, **kw):
        """A client's command to its end; what it printed."""
        return self.run(*argv, on='client', **kw)

    def client(self):
        """with s.client(): sockets of this thread are the client's."""
        return in_netns(self.ns('client'))

    def log(self):
        try:
            with open(self.path('programs.log'), errors='replace') as f:
                return f.read()[-3000:]
        except FileNotFoundError:
            return ''

    # ---- waiting ----
    def is_listening(self, port, proto='tcp'):
        out = run('ss', '-Hltn' if proto == 'tcp' else '-Hlun', ns=self.ns('server')).stdout
        return any(line.split()[3].endswith(':%d' % port) for line in out.splitlines() if line)

    def listening(self, port, proto='tcp', seconds=60):
        def ready():
            for p in self.procs:
                if p.poll() not in (None, 0):
                    raise RuntimeError('%s ended with %d: %s' % (p.args[4:6], p.returncode, self.log()))
            return self.is_listening(port, proto)
        wait_for('the server listens on %s/%d: %s' % (proto, port, self.log), ready, seconds, 0.1)

    def connect(self, port, host=SERVER, timeout=10):
        """A client's TCP connection, for what is said by hand."""
        with self.client():
            return socket.create_connection((host, port), timeout)

    def datagrams(self, timeout=10):
        """A client's UDP socket."""
        with self.client():
            u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        u.settimeout(timeout)
        return u

    # ---- the capture ----
    def capture(self, filter='tcp or udp'):
        """with s.capture(): what goes over the client's interface is the talk. Opened and closed once."""
        return Capture(self, filter)


class Capture:
    """Ends when its own mark has come through: what was sent before is in the file then, and nothing waits for a clock."""
    def __init__(self, stage, filter):
        self.s, self.filter, self.raw = stage, filter, stage.path('raw.pcap')

    def __enter__(self):
        self.p = self.s.start('tcpdump', '--immediate-mode', '-i', 'eth0', '-s', '0', '-U', '-Z', 'root', '-w', self.raw, self.filter + ' or udp port %d' % MARK, on='client')
        wait_for('tcpdump runs', lambda: os.path.exists(self.raw) and os.path.getsize(self.raw) >= 24)
        self.mark(b'begin')

    def mark(self, word):
        with self.s.client():
            u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

        def seen():
            u.sendto(word, (SERVER, MARK))
            return any(is_mark(d) and word in d for _, d in read_growing(self.raw))
        wait_for('the capture sees its mark', seen, 20, 0.1)
        u.close()

    def __exit__(self, kind, *exc):
        if kind is None:
            self.quiet()
            self.mark(b'end')
        self.p.send_signal(signal.SIGINT)
        self.p.wait(10)
        self.s.procs.remove(self.p)
        if kind is None:
            pcap.write(self.s.pcap, pcap.neutral([(t, d) for t, d in pcap.read(self.raw) if not is_mark(d)]))

    def quiet(self):
        """Until closed connections have said so: none of the client's is in a state of closing."""
        closing = ('FIN-WAIT-1', 'FIN-WAIT-2', 'CLOSING', 'LAST-ACK', 'CLOSE-WAIT')

        def settled():
            out = run('ss', '-Htan', ns=self.s.ns('client')).stdout
            return not any(line.startswith(closing) for line in out.splitlines())
        try:
            wait_for('connections are closed', settled, 3, 0.05)
        except AssertionError:
            pass        # a server that doesn't close: so be it


def is_mark(d):
    p = pcap.parts(d)
    return bool(p) and p[0] == 17 and MARK in (p[2], p[4])


def read_growing(path):
    try:
        return pcap.read(path)
    except ValueError:
        return []


def hear(c, end=None):
    """Reads from a socket until what came ends so (end: bytes, or a function of the bytes); without: until it is closed."""
    got = b''
    while not (end and (got.endswith(end) if isinstance(end, bytes) else end(got))):
        more = c.recv(65536)
        if not more:
            if end is None:
                break
            raise RuntimeError('closed after %r' % got[-200:])
        got += more
    return got
