# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections that are open when tapqd starts: it asks their receivers where they are, so that the first request already is judged as it is read."""
import time

from lablib import Lab, wait_for
from test_requests import HTTP, Requests, ask
from traffic import connect

GOOD, BAD = 'GET /api/%d HTTP/1.1\r\nHost: shop\r\nX-Env: prod', 'DELETE /api/%d HTTP/1.1\r\nHost: shop\r\nX-Env: prod'


def taken_over(side, offload):
    with Lab(outside=False, containers=('web', 'client')) as lab:
        server = Requests(lab, 'web', 8080)
        addrs = (lab.v4('web'), lab.v6('web'))
        good, bad, cut = ([connect(lab.ns('client'), a, 8080) for a in addrs] for _ in range(3))
        for s in good + bad + cut:
            assert ask(s, GOOD % 0) == 200
        per = {'web': 'side: server', 'client': 'mode: tc'} if side == 'server' else {'web': 'mode: tc', 'client': 'side: client'}
        lab.start_tapqd(mode='mixed', policy=HTTP, per=per, extra='nfq: {apps: [tcp/8080], offload: %s}\n' % ('true' if offload else 'false'))
        for s in good:
            start = time.monotonic()
            assert ask(s, GOOD % 1) == 200
            took = time.monotonic() - start
            # with conntrack on its sender has to send the first segment again; else it waits for one answer
            assert took < (1.0 if offload else 0.15), took
            assert ask(s, GOOD % 2) == 200
        for s in bad:
            assert ask(s, BAD % 3) == 'reset'
        for s in cut:
            assert ask(s, BAD % 4, 9) == 'reset'
        assert lab.counter('stream.asked') >= 6
        wait_for('the server heard of the resets', lambda: server.lines().count('reset') == 4, 5)
        assert lab.stop_tapqd() == 0
        got = server.lines()
        assert not [g for g in got if 'DELETE' in g], got
        assert got.count('GET /api/1 HTTP/1.1') == 2 and got.count('GET /api/2 HTTP/1.1') == 2, got


def test_at_the_server():
    taken_over('server', False)


def test_at_the_client():
    taken_over('client', False)


def test_with_conntrack():
    taken_over('server', True)
    taken_over('client', True)
