# SPDX-License-Identifier: GPL-2.0-or-later
"""Real containers: every command of docs/DEPLOY.md against docker.io, and runc by hand."""
import json, os, re, subprocess

from host import Host
from lablib import BUILD, Skip, TOP, plain_build_only, wait_for


def needs(*programs):
    for p in programs:
        if subprocess.run(['sh', '-c', 'command -v ' + p], stdout=subprocess.DEVNULL).returncode:
            raise Skip('%s is not installed' % p)


def commands(path):
    """The sh blocks of a document, each one script."""
    with open(path) as f:
        return re.findall(r'^```sh\n(.*?)^```', f.read(), re.M | re.S)


def events(host, kind, path='/var/log/tapqueue/eve.json'):
    """All written so far, whole lines only: the file is there before its first line."""
    text = host.run('cat', path).stdout
    return [e for e in map(json.loads, text.split('\n')[:-1]) if e['event_type'] == kind]


@plain_build_only       # it builds and installs by itself
def test_every_command_of_deploy_md():
    needs('dockerd', 'containerd', 'docker', 'runc')
    blocks = commands(os.path.join(TOP, 'docs', 'DEPLOY.md'))
    assert len(blocks) >= 8
    with Host() as h:
        h.docker()
        h.systemctl()
        out = []
        for b in blocks:
            script = os.path.join(h.dir, 'block.sh')
            with open(script, 'w') as f:
                f.write('set -e\ncd %s\n%s' % (TOP, b))
            r = h.run('bash', script, check=False, timeout=300)
            assert r.returncode == 0, 'DEPLOY.md: a command failed:\n%s\n%s%s' % (b, r.stdout[-2000:], r.stderr[-2000:])
            out.append(r.stdout)
            if 'docker run -d --name web' in b:
                web = h.run('docker', 'inspect', '-f', '{{.Id}}', 'web').stdout.strip()[:12]
                assert web in r.stdout, 'the container is not known by its short id %s: %s' % (web, r.stdout)
                made_of = h.run('docker', 'inspect', '-f', '{{.Config.Image}}', 'web').stdout.strip()
                assert 'image %s, netns /run/docker/netns/' % made_of in r.stdout, 'its image is not known: %s' % r.stdout
            if '--name client ' in b:
                wait_for('the request is told', lambda: [e for e in events(h, 'http') if e['http']['url'] == '/etc/passwd' and e['tapq']['dest_workload'] == web])
                assert events(h, 'http')[0]['tapq']['path'] == 'tc'
            if 'nfq: {apps' in b:
                pid = h.run('docker', 'inspect', '-f', '{{.State.Pid}}', 'web').stdout.strip()
                assert 'NFQUEUE' in h.run('nsenter', '-n', '-t', pid, 'iptables', '-S', 'NV_INPUT_PROXYMESH').stdout
            if 'policy load' in b:
                assert 'refused' in r.stdout, r.stdout
                wait_for('the denial is told', lambda: [e for e in events(h, 'flow') if e['tapq']['verdict'] == 'deny' and e['tapq']['enforced'] and e['tapq']['rule'] == 20] or
                         [e for e in events(h, 'alert') if e['alert']['signature_id'] == 20 and e['alert']['action'] == 'blocked'])
            if 'disable --now' in b:
                assert 'neuv' not in h.run('ip', '-br', 'link').stdout
                assert 'NV_' not in h.run('nsenter', '-n', '-t', pid, 'iptables-save').stdout
                assert h.run('docker', 'exec', 'web', 'wget', '-q', '-O', '-', 'http://127.0.0.1:8080/etc/passwd').stdout.startswith('root:')
        h.run('docker', 'rm', '-f', 'web')


RUNC = {
    'ociVersion': '1.0.2', 'root': {'path': 'rootfs', 'readonly': True}, 'hostname': 'box',
    'process': {'terminal': False, 'user': {'uid': 0, 'gid': 0}, 'cwd': '/', 'args': ['/bin/httpd', '-f', '-p', '8080', '-h', '/'], 'env': ['PATH=/bin'],
                'capabilities': {k: ['CAP_NET_BIND_SERVICE'] for k in ('bounding', 'effective', 'permitted')}},
    'mounts': [{'destination': '/proc', 'type': 'proc', 'source': 'proc'}],
    'linux': {'namespaces': [{'type': t} for t in ('pid', 'network', 'ipc', 'uts', 'mount')]},
}


def test_runc_container_without_a_name():
    """A netns that no path names, found by its veth and /proc; gone when the container is."""
    needs('runc')
    with Host() as h:
        bundle = os.path.join(h.dir, 'bundle')
        os.makedirs(bundle)
        os.rename(h.rootfs(), os.path.join(bundle, 'rootfs'))
        with open(os.path.join(bundle, 'config.json'), 'w') as f:
            json.dump(RUNC, f)
        r = subprocess.run(h.argv('runc', '--root', '/run/runc', 'create', '--bundle', bundle, 'box'), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=open(os.path.join(h.dir, 'host.log'), 'ab'))
        assert r.returncode == 0, 'runc create failed: %s' % h.log()
        pid = json.loads(h.run('runc', '--root', '/run/runc', 'state', 'box').stdout)['pid']
        h.run('ip', 'link', 'add', 'vbox', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pid)
        h.run('ip', 'addr', 'add', '10.99.0.1/24', 'dev', 'vbox')
        h.run('ip', 'link', 'set', 'vbox', 'up')
        for argv in (('addr', 'add', '10.99.0.2/24', 'dev', 'eth0'), ('link', 'set', 'eth0', 'up'), ('link', 'set', 'lo', 'up')):
            h.run('nsenter', '-n', '-t', pid, 'ip', *argv)
        with open(os.path.join(h.dir, 'tapqueue.yaml'), 'w') as f:
            f.write('mode: mixed\nnfq: {apps: [tcp/8080]}\ncontrol: /run/tapq.sock\nstats_interval: 0\nevents: [{type: file, path: %s/eve.json}]\n' % h.dir)
        tapqd = h.start(os.path.join(BUILD, 'tapqd'), '-c', os.path.join(h.dir, 'tapqueue.yaml'))
        tapq = (os.path.join(BUILD, 'tapq'), '-s', '/run/tapq.sock')
        wait_for('covered', lambda: h.run(*tapq, 'status', check=False).returncode == 0 and json.loads(h.run(*tapq, '--json', 'status').stdout)['workloads'] == 1)
        h.run('runc', '--root', '/run/runc', 'start', 'box')
        wait_for('httpd answers', lambda: h.run('curl', '-s', '-o', '/dev/null', 'http://10.99.0.2:8080/etc/passwd', check=False).returncode == 0)
        name = json.loads(h.run(*tapq, '--json', 'workloads').stdout)['workloads'][0]['name']
        told = wait_for('the request is told', lambda: events(h, 'http', os.path.join(h.dir, 'eve.json')))
        assert told[0]['tapq']['dest_workload'] == name and told[0]['tapq']['path'] == 'nfq', told
        h.run('runc', '--root', '/run/runc', 'kill', 'box', 'KILL')
        wait_for('its veth is gone', lambda: 'vbox' not in h.run('ip', '-br', 'link').stdout, 3)
        wait_for('the workload is gone', lambda: json.loads(h.run(*tapq, '--json', 'status').stdout)['workloads'] == 0, 3)
        h.run('runc', '--root', '/run/runc', 'delete', '-f', 'box')
        tapqd.terminate()
        assert tapqd.wait(20) == 0
