# SPDX-License-Identifier: GPL-2.0-or-later
"""A policy that comes while connections are open is asked about the silent ones too: within a second, at both ends, and of no other."""
import errno, select, socket, time

from lablib import Lab, in_netns, wait_for
from traffic import KeptAlive, connect

ALLOW = '''version: 1
default: {mode: protect}
rules:
  - {id: 90, from: any, to: any, action: allow}
'''
REFUSE = ALLOW.replace('rules:\n', 'rules:\n  - {id: 10, from: any, to: any, ports: [tcp/8081], action: %s}\n')


class Open:
    """Connections that say something once and are silent from then on: both their ends."""
    def __init__(self, lab, server, client, ports, each):
        self.pairs = []
        listeners = {}
        for port in ports:
            with in_netns(lab.ns(server)):
                s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(('::', port))
            s.listen(256)
            listeners[port] = s
        for i in range(each * len(ports)):
            port = ports[i % len(ports)]
            c = connect(lab.ns(client), (lab.v6 if i // len(ports) & 1 else lab.v4)(server), port)
            s, _ = listeners[port].accept()
            s.settimeout(5)
            if i % 3:       # every third one was silent since its handshake
                c.sendall(b'hello')
                assert s.recv(100) == b'hello'
                s.sendall(b'welcome')
                assert c.recv(100) == b'welcome'
            self.pairs.append((port, c, s))
        for s in listeners.values():
            s.close()

    def wait_reset(self, port, seconds):
        """Waits until both ends of all connections to the port know that they were reset, without sending; returns how many ends do not."""
        left = {end.fileno(): end for p, c, s in self.pairs if p == port for end in (c, s)}
        poll, until = select.poll(), time.monotonic() + seconds
        for fd in left:
            poll.register(fd, select.POLLIN)
        while left and time.monotonic() < until:
            for fd, _ in poll.poll(50):
                got = left[fd].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                assert got == errno.ECONNRESET, got
                poll.unregister(fd)
                del left[fd]
        return len(left)

    def go_on(self, port):
        for p, c, s in self.pairs:
            if p == port:
                c.sendall(b'again')
                assert s.recv(100) == b'again'
                s.sendall(b'yes')
                assert c.recv(100) == b'yes'

    def nothing_said(self, port):
        return all(end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 for p, c, s in self.pairs if p == port for end in (c, s))

    def close(self):
        for _, c, s in self.pairs:
            c.close()
            s.close()


def load(lab, policy):
    """When the answer was there."""
    with open(lab.path('new.yaml'), 'w') as f:
        f.write(policy)
    lab.tapq('policy', 'load', lab.path('new.yaml'))
    return time.monotonic()


def verdicts(lab):
    return {(f['dest_port'], f['verdict'], f['enforced']) for f in lab.tapq_json('flows')['flows'] if f['proto'] == 'TCP'}


def denied_half(mode, clients=('client',)):
    with Lab(containers=('web', 'client')) as lab:
        lab.start_tapqd(mode=mode, apps=('tcp/8081', 'tcp/8082'), policy=ALLOW)
        opened = [Open(lab, 'web', c, (8081, 8082), 100 // len(clients)) for c in clients]
        wait_for('all are told', lambda: len([f for f in lab.tapq_json('flows')['flows'] if f['state'] == 'established']) == 200)
        began = time.monotonic()
        answered = load(lab, REFUSE % 'deny')
        for o in opened:
            left = o.wait_reset(8081, answered + 1 - time.monotonic())
            assert not left, '%d ends know nothing after a second' % left
        print('    %s: all ends knew %.0f ms after the load began, %.0f ms after its answer' % (mode, (time.monotonic() - began) * 1000, (time.monotonic() - answered) * 1000))
        wait_for('the table tells it', lambda: {v for v in verdicts(lab) if v[0] == 8081} == {(8081, 'deny', True)}, 1)
        assert {v for v in verdicts(lab) if v[0] == 8082} == {(8082, 'allow', False)}
        for o in opened:
            o.go_on(8082)
        wait_for('alerts', lambda: len(lab.events('alert')) >= 100, 2)
        # back to what was: the others still go on, and a new one may
        load(lab, ALLOW)
        for o in opened:
            o.go_on(8082)
        late = Open(lab, 'web', 'client', (8081,), 2)
        late.go_on(8081)
        late.close()
        for o in opened:
            o.close()
        assert lab.counter('policy.judged_anew') >= 200 and lab.counter('policy.refused_anew') == 100
        if mode == 'tc':
            wait_for('no filter is left', lambda: lab.counter('enforce.standing') == 0, 5)
        lab.tapq('status')
        assert lab.stop_tapqd() == 0
        alerts = lab.events('alert')
        assert len(alerts) == 100 and {(a['alert']['signature_id'], a['alert']['action'], a['tapq']['verdict'], a['tapq']['enforced'], a['dest_port']) for a in alerts} == {(10, 'blocked', 'deny', True, 8081)}, alerts[:3]


def test_open_and_silent_in_the_queue():
    denied_half('nfq')


def test_open_and_silent_on_the_mirror():
    denied_half('tc')


def test_open_and_silent_mixed_with_outside():
    denied_half('mixed', ('client', 'outside'))


def test_dropped_silently():
    """Nobody is told, and nothing passes any more."""
    for mode in ('nfq', 'tc'):
        with Lab(containers=('web', 'client')) as lab:
            lab.start_tapqd(mode=mode, apps=('tcp/8081', 'tcp/8082'), policy=ALLOW)
            o = Open(lab, 'web', 'client', (8081, 8082), 4)
            load(lab, REFUSE % 'drop')
            wait_for('the table tells it', lambda: {v for v in verdicts(lab) if v[0] == 8081} == {(8081, 'drop', True)}, 1)
            if mode == 'tc':
                wait_for('filters stand', lambda: lab.counter('enforce.flows') == 4, 1)
            for p, c, s in o.pairs:
                if p == 8081:
                    c.sendall(b'x')
                    s.settimeout(0.1)
                    try:
                        assert not s.recv(10), 'it passed'
                    except (TimeoutError, socket.timeout):
                        pass
            assert o.nothing_said(8081)
            o.go_on(8082)
            o.close()
            assert lab.stop_tapqd() == 0


def test_offloaded_and_silent():
    """Connections that go by the queue: their numbers are not known, so their ends are asked for them."""
    quiet = 'nfq: {apps: [tcp/8081, tcp/8082]}\nevents:\n  - {type: file, path: %s, types: [flow, alert]}\n'
    with Lab(containers=('web', 'client')) as lab:
        lab.nginx('web', ports=(8081, 8082))
        lab.start_tapqd(mode='nfq', sinks=False, policy=ALLOW, extra=quiet % lab.path('eve.json'))
        kept = [(port, KeptAlive(lab.ns(c), v('web'), port)) for c in ('client', 'outside') for v in (lab.v4, lab.v6) for port in (8081, 8082)]
        for _, k in kept:
            assert all(k.get() == 200 for _ in range(8))
        wait_for('all go by', lambda: len([f for f in lab.tapq_json('flows')['flows'] if f.get('offloaded')]) == len(kept))
        answered = load(lab, REFUSE % 'deny')
        poll = select.poll()
        left = {k.s.fileno(): k.s for port, k in kept if port == 8081}
        for fd in left:
            poll.register(fd, select.POLLIN)
        while left and time.monotonic() < answered + 1:
            for fd, _ in poll.poll(50):
                assert left[fd].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET
                poll.unregister(fd)
                del left[fd]
        assert not left, '%d know nothing after a second' % len(left)
        print('    all knew %.0f ms after the answer' % ((time.monotonic() - answered) * 1000))
        wait_for('the servers know', lambda: ':8081 ' not in lab.exec('web', 'ss', '-Htn', 'state', 'established').stdout, 1)
        for port, k in kept:
            if port == 8082:
                assert k.get() == 200
            k.close()
        assert lab.stop_tapqd() == 0


REQUESTS = '''version: 1
default: {mode: protect}
rules:
  - {id: 30, from: any, to: any, apps: [http], http: {paths: ["/denied*"]}, action: %s}
  - {id: 90, from: any, to: any, action: allow}
'''


def ask(s, path):
    s.sendall(('GET %s HTTP/1.1\r\nHost: test.example\r\n\r\n' % path).encode())
    got = s.recv(4096)
    return int(got[9:12]) if got else None


def test_again_from_the_same_port():
    """A connection that begins where one was refused in its middle is a new one: it is judged by itself, and at once. Not where the first was dropped silently."""
    for action in ('deny', 'drop'):
        with Lab(containers=('web', 'client')) as lab:
            lab.nginx('web')
            lab.start_tapqd(mode='nfq', policy=REQUESTS % action)
            for client in ('client', 'outside'):
                for addr, me in ((lab.v4('web'), lab.v4(client)), (lab.v6('web'), lab.v6(client))):
                    s = connect(lab.ns(client), addr, 8080, timeout=0.5, source=(me, 33333))
                    got = ask(s, '/')
                    assert got == 200, got
                    try:
                        got = ask(s, '/denied')
                        assert got is None, got
                        told = 'closed'
                    except ConnectionResetError:
                        told = 'reset'
                    except (TimeoutError, socket.timeout):
                        told = None
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
                    s.close()
                    assert told == ('reset' if action == 'deny' else None), told
                    if action == 'drop':
                        try:
                            connect(lab.ns(client), addr, 8080, timeout=0.5, source=(me, 33333)).close()
                            assert False, 'it was let by'
                        except (TimeoutError, socket.timeout):
                            continue
                    for again in range(2):
                        s = connect(lab.ns(client), addr, 8080, timeout=2, source=(me, 33333))
                        got = ask(s, '/')
                        assert got == 200, (again, got)
                        try:
                            got = ask(s, '/denied')
                            assert got is None, (again, got)
                        except ConnectionResetError:
                            pass
                        s.close()
            assert lab.stop_tapqd() == 0
            flows = [f for f in lab.events('flow') if f['src_port'] == 33333]
            assert len(flows) == (12 if action == 'deny' else 4) and all(f['tapq']['verdict'] == action and f['tapq']['enforced'] for f in flows), [(f['tapq'], f['flow']) for f in flows]
