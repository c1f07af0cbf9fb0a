# SPDX-License-Identifier: GPL-2.0-or-later
"""tc.engine: bpf. What the other files show of u32's filters, shown of the program: who is copied, once, in every mode, over reloads, switches and crashes."""
import contextlib, signal

import lablib, test_ownership, test_paths, test_status, test_switch, test_traps
from lablib import Lab, run, wait_for
from traffic import http_get


@contextlib.contextmanager
def by_program():
    was, lablib.ENGINE = lablib.ENGINE, 'bpf'
    try:
        yield
    finally:
        lablib.ENGINE = was


def stands(lab, name):
    """How many programs and how many u32 mirrors are on both hooks of a container's veth."""
    shown = ''.join(run('tc', 'filter', 'show', 'dev', lab.veth(name), hook, ns=lab.ns('node')).stdout for hook in ('ingress', 'egress'))
    return shown.count('direct-action'), shown.count('Egress Mirror')


def test_every_connection_once_mixed():
    with by_program():
        test_paths.test_mixed_every_connection_once()


def test_every_connection_once_tc():
    with by_program():
        test_paths.test_tc_every_connection_once()


def test_sides_and_lists():
    with by_program():
        test_ownership.test_side_server()
        test_ownership.test_two_app_lists()
        test_ownership.test_workload_without_a_queue()


def test_fragments_and_options():
    with by_program():
        test_ownership.test_fragments_of_an_owned_port_v4()
        test_ownership.test_fragments_of_an_owned_port_v6()
        test_ownership.test_ip_options()


def test_bridged_and_routed_local_traffic_once():
    with by_program():
        test_ownership.test_bridged_and_routed_local_traffic_once()


def test_ten_switches_under_load():
    with by_program():
        test_switch.test_ten_switches_under_load()


def test_kill_under_load_and_restart():
    with by_program():
        test_switch.test_kill_under_load_and_restart()


def test_foreign_filters_and_super_packets():
    with by_program():
        test_traps.test_foreign_clsact_behind_ours_gets_every_packet()
        test_traps.test_udp_gso_mirrored()
        test_traps.test_big_tcp_mirrored()


def test_bridge_made_again():
    with by_program():
        test_status.test_bridge_deleted_is_made_again()


def test_reload_changes_the_engine():
    """Both ways while it runs, and on a kept start; nothing stands twice and nothing is left."""
    with Lab(outside=False) as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='tc', extra='tc: {engine: u32}\n')
        assert stands(lab, 'web') == (0, 2)
        path = lab.path('tapqueue.yaml')
        n = 0
        for engine, want in (('bpf', (2, 0)), ('u32', (0, 2)), ('bpf', (2, 0))):
            with open(path) as f:
                text = f.read()
            with open(path, 'w') as f:
                f.write(text.replace('engine: ' + ('u32' if engine == 'bpf' else 'bpf'), 'engine: ' + engine))
            lab.tapqd.send_signal(signal.SIGHUP)
            wait_for('%s stands' % engine, lambda: stands(lab, 'web') == want)
            lab.wait_ready()
            for addr in (lab.v4('web'), lab.v6('web')):
                assert http_get(lab.ns('client'), addr, 8080, '/?%d' % n)[1] == 200
                n += 1
        assert lab.stop_tapqd() == 0
        assert sorted(e['http']['url'] for e in lab.events('http')) == ['/?%d' % i for i in range(n)]
        assert stands(lab, 'web') == (0, 0)


def test_check_tells_of_the_program():
    with Lab(containers=('web',), outside=False) as lab:
        lab.config(mode='tc', extra='tc: {engine: bpf}\n')
        r = run(lablib.os.path.join(lablib.BUILD, 'tapqd'), '-c', lab.path('tapqueue.yaml'), '--check', ns=lab.ns('node'))
        assert any(line.split()[:3] == ['ok', 'tc.engine:', 'bpf'] for line in r.stdout.splitlines()), r.stdout
