# SPDX-License-Identifier: GPL-2.0-or-later
"""tc.engine: bpf. What the other files show of u32's filters, shown of the program: who is copied, once, in every mode, over reloads, switches and crashes."""
import signal

import lablib, test_enforce, test_offload, test_ownership, test_paths, test_quarantine, test_status, test_switch, test_traps
from lablib import Lab, by_program, plain_build_only, run, wait_for
from traffic import KeptAlive, connect, http_get


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


# ---- what is stopped ----

@plain_build_only
def test_running_downloads_stop():
    with by_program():
        test_enforce.test_running_downloads_stop()


def test_drop_is_silent():
    with by_program():
        test_enforce.test_drop_is_silent()


def test_ports_and_addresses_before_the_first_packet():
    with by_program():
        test_enforce.test_ports_and_addresses_before_the_first_packet()
        test_enforce.test_what_passed_and_what_was_denied_change_places()
        test_enforce.test_what_a_container_forwards_is_judged_by_its_own_addresses()


def test_datagrams():
    with by_program():
        test_enforce.test_datagrams()
        test_enforce.test_datagrams_and_echoes_before_the_first_packet()


def test_two_hundred_at_once_and_the_end_of_flows():
    with by_program():
        test_enforce.test_two_hundred_at_once_and_the_end_of_flows()


def test_policy_change_frees_and_kill_is_cleaned_up():
    with by_program():
        test_enforce.test_policy_change_frees_and_kill_is_cleaned_up()
        test_enforce.test_policy_taken_back_to_none()


def test_denied_beside_a_queue_and_foreign_filters():
    with by_program():
        test_enforce.test_mixed_and_foreign_filters()


def test_denied_on_shared_blocks():
    """The program knows the device: one flow of one device is stopped though all share their filters."""
    with by_program(), Lab(containers=('web', 'client', 'other'), outside=False) as lab:
        lab.nginx('web')
        lab.start_tapqd(mode='tc', policy=test_enforce.REQUESTS % 'deny', extra='tc: {blocks: shared}\n')
        assert 'ingress_block' in run('tc', 'qdisc', 'show', 'dev', lab.veth('web'), ns=lab.ns('node')).stdout
        for n, addr in enumerate((lab.v4('web'), lab.v6('web'))):
            c = connect(lab.ns('client'), addr, 8080, timeout=3)
            c.sendall(b'GET /denied HTTP/1.1\r\nHost: test.example\r\n\r\n')
            try:
                while c.recv(4096):
                    pass
                raise AssertionError('not reset')
            except ConnectionResetError:
                pass
            wait_for('it is stopped', lambda: lab.counter('enforce.standing') == n + 1)
            assert http_get(lab.ns('other'), addr, 8080)[1] == 200
        lab.tapq('status')
        assert lab.stop_tapqd() == 0
        assert [(a['tapq']['enforced'], a['alert']['action']) for a in lab.events('alert')] == [(True, 'blocked')] * 2


def test_cut_off():
    with by_program():
        test_quarantine.test_cut_off_tc()
        test_quarantine.test_cut_off_mixed()


def test_quarantine_outlives_the_agent_and_is_repaired():
    with by_program():
        test_quarantine.test_it_outlives_the_agent()
        test_quarantine.test_repaired_and_switched()


# ---- decided bulk ----

SHUNT = 'tc: {engine: bpf, shunt_bytes: 256KiB}\n' + test_offload.QUIET


def passed(lab):
    return lab.counter('shunt.flows')


def settled(lab):
    last = []

    def same():
        last.append(lab.counter('source.tc.packets'))
        return len(last) > 1 and last[-1] == last[-2]
    wait_for('nothing more is copied', same, 5, 0.2)
    return last[-1]


def bulk(between):
    """(client, server): kept-alive downloads; only the beginning is copied, and the flow event has the wire's own numbers."""
    client, server = between
    with Lab() as lab:
        lab.nginx(server, size=24 << 20)
        lab.start_tapqd(mode='tc', sinks=False, extra=SHUNT % (lab.path('eve.json'), 'flow, alert'))
        truth = lab.truth('web')
        for n, addr in enumerate((lab.v4(server), lab.v6(server))):
            k = KeptAlive(lab.ns(client), addr, 8080)
            before = lab.counter('source.tc.packets')
            assert k.get() == 200
            wait_for('the flow passes', lambda: passed(lab) == n + 1)
            first = settled(lab)     # what was on its way to the ring
            assert k.get() == 200 and k.get() == 200
            more = lab.counter('source.tc.packets') - first
            assert first - before > 8 and more < 32, (before, first, more)     # neighbours are asked for in between
            assert [f['offloaded'] for f in lab.tapq_json('flows')['flows'] if f['src_port'] == k.port] == [True]
            k.close()
        wait_for('their ends are seen', lambda: not [f for f in lab.tapq_json('flows')['flows'] if f['state'] != 'closed'])
        flows = test_offload.exact(lab, truth, 2)
        assert all(f['app_proto'] == 'http' and f['flow']['bytes_toclient'] > 72 << 20 for f in flows), flows


def test_bulk_between_containers():
    bulk(('client', 'web'))


def test_bulk_from_outside():
    bulk(('outside', 'web'))


def test_bulk_to_outside():
    bulk(('web', 'outside'))


def test_events_and_policy_take_bulk_back():
    """Somebody takes http events: copied again, and requests are told. A policy that denies: judged again within a second."""
    with Lab(outside=False) as lab:
        lab.nginx('web', size=1 << 20)
        lab.start_tapqd(mode='tc', sinks=False, extra=SHUNT % (lab.path('eve.json'), 'flow, alert'))
        k = KeptAlive(lab.ns('client'), lab.v6('web'), 8080)
        k.get()
        k.get()
        wait_for('the flow passes', lambda: passed(lab) == 1)
        watch = lab.start(lablib.os.path.join(lablib.BUILD, 'tapq'), '-s', lab.path('control.sock'), '--json', 'events', '-f', '--type', 'http', on='node', log='watched')
        wait_for('it is copied again', lambda: lab.counter('shunt.taken_back') == 1)

        def told():
            k.get('/?again')
            with open(lab.path('watched')) as f:
                return '/?again' in f.read()
        wait_for('requests are told again', told, 5, 0.1)
        watch.terminate()
        wait_for('it passes again', lambda: k.get() == 200 and passed(lab) == 2, 5, 0.1)
        with open(lab.path('deny.yaml'), 'w') as f:
            f.write('version: 1\ndefault: {mode: monitor}\nrules:\n  - {id: 7, from: any, to: any, ports: [tcp/8080], action: deny}\n')
        lab.tapq('policy', 'load', lab.path('deny.yaml'))
        k.get()
        wait_for('the open flow is judged again', lambda: [a for a in lab.events('alert') if a['alert']['signature_id'] == 7], 2)
        k.close()
        assert lab.stop_tapqd() == 0
