# SPDX-License-Identifier: GPL-2.0-or-later
"""A container host in a private mount and network namespace: /run, /usr/local, data of runtimes and tapqueue's files are its own.
Real runtimes (dockerd, runc) are started in it by hand; what it started it ends by pid."""
import os, shutil, signal, subprocess, tempfile, time

from lablib import BUILD, Lab, TOP, run, wait_for

PRIVATE = ('/run', '/usr/local', '/var/lib/docker', '/var/lib/containerd', '/var/log', '/etc/tapqueue', '/etc/docker')

# What `systemctl` does with one unit of type notify, from the unit's own lines.
SYSTEMCTL = '''#!/usr/bin/python3
import os, socket, subprocess, sys, signal, time
verb = [a for a in sys.argv[1:] if not a.startswith("-")][0]
unit, pidfile = "/usr/local/lib/systemd/system/tapqd.service", "/run/tapqd.test.pid"
lines = [l.strip().split("=", 1) for l in open(unit) if "=" in l and l[0] not in "#["]
of = lambda key: [v for k, v in lines if k == key]
if verb == "enable":
    assert of("Type") == ["notify"]
    for d in of("RuntimeDirectory"):
        os.makedirs("/run/" + d, 0o750, exist_ok=True)
    for d in of("LogsDirectory"):
        os.makedirs("/var/log/" + d, 0o750, exist_ok=True)
    for c in of("ExecStartPre"):
        subprocess.run(c.split(), check=True, stdout=subprocess.DEVNULL)
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind("/run/notify.test")
    s.settimeout(20)
    log = open("/var/log/tapqd.test.log", "ab")
    p = subprocess.Popen(of("ExecStart")[0].split(), env=dict(os.environ, NOTIFY_SOCKET="/run/notify.test"), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    while b"READY=1" not in s.recv(4096):
        pass
    open(pidfile, "w").write(str(p.pid))
elif verb == "disable":
    pid = int(open(pidfile).read())
    os.kill(pid, signal.SIGTERM)
    for _ in range(300):
        if not os.path.exists("/proc/%d" % pid) or open("/proc/%d/stat" % pid).read().split(")")[1].split()[0] == "Z":
            sys.exit(0)
        time.sleep(0.05)
    sys.exit("tapqd does not end")
else:
    sys.exit("systemctl: the test knows no " + verb)
'''


class Host:
    alive = Lab.alive       # the runner takes down what a failed test left

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix='tapq-host-')
        self.procs, self.init = [], None
        Lab.alive.append(self)

    def __enter__(self):
        p = subprocess.Popen(['unshare', '-mn', '--propagation', 'private', 'sh', '-c', 'echo up; exec sleep 1800'], stdout=subprocess.PIPE)
        self.init = p
        assert p.stdout.readline() == b'up\n'
        for d in PRIVATE:
            self.run('mkdir', '-p', d)
            self.run('mount', '-t', 'tmpfs', 'none', d)
        self.run('mkdir', '-p', '/usr/local/bin', '/usr/local/sbin', '/run/netns', '/run/lock')
        self.run('ip', 'link', 'set', 'lo', 'up')
        return self

    def __exit__(self, *exc):
        self.down()

    def down(self):
        if self in Lab.alive:
            Lab.alive.remove(self)
        for pid in self.inside():           # containers, and tapqd when a test failed
            if pid != self.init.pid and pid not in [p.pid for p in self.procs]:
                self.kill(pid, signal.SIGTERM)
        for p in reversed(self.procs):
            p.terminate()
            try:
                p.wait(20)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        for pid in self.inside():
            if pid != self.init.pid:
                self.kill(pid, signal.SIGKILL)
        self.init.kill()
        self.init.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    @staticmethod
    def kill(pid, sig):
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            pass

    def inside(self):
        """Processes in this host's mount namespace."""
        mine, out = os.readlink('/proc/%d/ns/mnt' % self.init.pid), []
        for d in os.listdir('/proc'):
            try:
                if d.isdigit() and os.readlink('/proc/%s/ns/mnt' % d) == mine:
                    out.append(int(d))
            except OSError:
                pass
        return out

    def argv(self, *argv):
        return ['nsenter', '-m', '-n', '-t', str(self.init.pid)] + [str(a) for a in argv]

    def run(self, *argv, **kw):
        env = dict(os.environ, PATH='/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin')
        env.pop('DOCKER_HOST', None)
        return run(*self.argv(*argv), env=env, **kw)

    def start(self, *argv, log='host.log'):
        with open(os.path.join(self.dir, log), 'ab') as f:
            p = subprocess.Popen(self.argv(*argv), stdin=subprocess.DEVNULL, stdout=f, stderr=f)
        self.procs.append(p)
        return p

    def log(self):
        out = ''
        for f in ('host.log', 'dockerd.log'):
            try:
                out += open(os.path.join(self.dir, f)).read()[-1500:]
            except OSError:
                pass
        return out + self.run('sh', '-c', 'tail -n 20 /var/log/tapqd.test.log 2>/dev/null', check=False).stdout

    def systemctl(self):
        with open(os.path.join(self.dir, 'systemctl'), 'w') as f:
            f.write(SYSTEMCTL)
        self.run('install', '-m', '755', os.path.join(self.dir, 'systemctl'), '/usr/local/bin/systemctl')

    def rootfs(self):
        """busybox-static and its names."""
        top = os.path.join(self.dir, 'rootfs')
        os.makedirs(os.path.join(top, 'bin'), exist_ok=True)
        os.makedirs(os.path.join(top, 'etc'), exist_ok=True)
        shutil.copy('/bin/busybox', os.path.join(top, 'bin', 'busybox'))
        for name in ('sh', 'httpd', 'wget', 'sleep', 'cat'):
            if not os.path.lexists(os.path.join(top, 'bin', name)):
                os.symlink('busybox', os.path.join(top, 'bin', name))
        with open(os.path.join(top, 'etc', 'passwd'), 'w') as f:
            f.write('root:x:0:0:root:/root:/bin/sh\n')
        return top

    def docker(self):
        """containerd and dockerd at their usual places, and an image called busybox."""
        self.start('containerd', '--config', '/dev/null', log='containerd.log')
        wait_for('containerd listens', lambda: self.run('test', '-S', '/run/containerd/containerd.sock', check=False).returncode == 0, 20)
        self.start('dockerd', '--containerd', '/run/containerd/containerd.sock', log='dockerd.log')
        wait_for('dockerd answers', lambda: self.run('docker', 'info', check=False).returncode == 0, 30, 0.2)
        subprocess.run(['sh', '-c', 'tar -C "$0" -c . | "$@"', self.rootfs()] + self.argv('docker', 'import', '-', 'busybox'), check=True, stdout=subprocess.DEVNULL)
