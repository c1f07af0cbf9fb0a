# SPDX-License-Identifier: GPL-2.0-or-later
"""Groups by image, network namespace and other groups, enforced on both paths, IPv4 and IPv6; and what a rule means behind NAT."""
from lablib import Lab, run
from test_policy import refused
from traffic import Echo, connect, http_get

SIDE_BY_SIDE = 3        # they wait for clients that nobody answers

# web is of an image; client and db are of namespaces; who may talk is a group of groups.
POLICY = '''version: 1
default: {{mode: protect}}
groups:
  - {{name: callers, match: {{group: [clients, guests], not: {{group: databases}}}}}}
  - {{name: clients, match: {{netns: "{prefix}-cl*"}}}}
  - {{name: guests, match: {{cidr: [192.0.2.0/24, "2001:db8:77::/64"], not: {{group: any, cidr: [192.0.2.99, "2001:db8:77::99"]}}}}}}
  - {{name: shop, match: {{image: registry.example/shop/web}}}}
  - {{name: databases, match: {{group: [images, paths]}}}}
  - {{name: images, match: {{image: "postgres*"}}}}
  - {{name: paths, match: {{netns: /run/netns/{prefix}-db}}}}
rules:
  - {{id: 10, from: callers, to: shop, ports: [tcp/8080], action: allow}}
  - {{id: 20, from: databases, to: shop, action: drop}}
'''


def enforced(lab, mode, engine=None):
    lab.nginx('web')
    lab.nginx('db')
    lab.start_tapqd(mode=mode, policy=POLICY.format(prefix=lab.prefix),
                    per={'web': 'image: "registry.example/shop/web:1.0"', 'pg': 'image: "docker.io/library/postgres:16"'})
    for v in (lab.v4, lab.v6):
        for client in ('client', 'outside'):
            assert http_get(lab.ns(client), v('web'), 8080)[1] == 200
        assert refused(lab, 'pg', v('web'), 8080) == 'timed out'        # by its image
        assert refused(lab, 'db', v('web'), 8080) == 'timed out'        # by its path
        assert refused(lab, 'other', v('web'), 8080) == 'refused'       # of no group: no rule
        assert refused(lab, 'client', v('db'), 8080) == 'refused'       # db is no shop
    told = {w['name']: (w.get('image'), w.get('netns_path')) for w in lab.tapq_json('workloads')['workloads']}
    assert told['web'] == ('registry.example/shop/web:1.0', '/run/netns/' + lab.ns('web')) and told['client'] == (None, '/run/netns/' + lab.ns('client')), told
    text = lab.tapq('workloads').stdout
    assert 'image docker.io/library/postgres:16, netns /run/netns/%s\n' % lab.ns('pg') in text and 'image not known, netns /run/netns/%s\n' % lab.ns('client') in text, text
    # ... and told the same way beforehand
    for client, want in (('client', ('allow', 10, ['callers', 'clients'])), ('pg', ('drop', 20, ['databases', 'images'])), ('db', ('drop', 20, ['databases', 'paths'])), ('other', ('deny', 0, []))):
        t = lab.tapq_json('policy', 'test', '--from', client, '--to', 'web', '--port', 'tcp/8080')
        assert (t['verdict'], t['rule'], t['from_groups']) == want and t['to_groups'] == ['shop'] and t['to_image'] == 'registry.example/shop/web:1.0', t
    assert lab.tapq_json('policy', 'test', '--from', 'other', '--to', 'web', '--port', 'tcp/8080')['from_image'] == 'not known'
    assert lab.stop_tapqd() == 0
    flows = {(e['tapq'].get('src_workload', '') or 'outside', e['tapq'].get('dest_workload'), e['tapq']['verdict'], e['tapq']['rule'], e['tapq']['path']) for e in lab.events('flow') if e['proto'] == 'TCP'}
    path = 'tc' if mode == 'tc' else 'nfq'
    assert flows == {('client', 'web', 'allow', 10, path), ('outside', 'web', 'allow', 10, path), ('pg', 'web', 'drop', 20, path), ('db', 'web', 'drop', 20, path),
                     ('other', 'web', 'deny', 0, path), ('client', 'db', 'deny', 0, path)}, flows


def test_enforced_inline():
    with Lab(containers=('web', 'client', 'db', 'pg', 'other')) as lab:
        enforced(lab, 'mixed')


def test_enforced_on_the_mirror():
    with Lab(containers=('web', 'client', 'db', 'pg', 'other')) as lab:
        enforced(lab, 'tc')


def test_mode_told_of_a_workload_is_the_strictest_of_its_addresses():
    """A group may hold one address of a workload and not the other."""
    with Lab() as lab:
        for strict, lax in ((lab.v4, lab.v6), (lab.v6, lab.v4)):
            text = """version: 1
default: {mode: monitor}
groups:
  - {name: lax, mode: discover, match: {cidr: "%s"}}
  - {name: strict, mode: protect, match: {cidr: "%s"}}
rules: []
""" % (lax('web'), strict('web'))
            lab.start_tapqd(mode='tc', policy=text)
            assert {w['name']: w['policy_mode'] for w in lab.tapq_json('workloads')['workloads']} == {'web': 'protect', 'client': 'monitor', 'db': 'monitor'}
            assert lab.stop_tapqd() == 0


def test_found_by_its_name_under_run_netns():
    """Nothing was said by hand: the namespace is known by its name, the image is not."""
    text = '''version: 1
default: {mode: protect}
groups:
  - {name: web, match: {netns: "*-web"}}
  - {name: imaged, match: {image: "*"}}
rules:
  - {id: 10, from: imaged, to: any, action: drop}
  - {id: 20, from: any, to: web, action: allow}
'''
    with Lab() as lab:
        lab.nginx('web')
        lab.nginx('db')
        lab.start_tapqd(mode='mixed', policy=text, static=False)
        for v in (lab.v4, lab.v6):
            assert http_get(lab.ns('client'), v('web'), 8080)[1] == 200
            assert refused(lab, 'client', v('db'), 8080) == 'refused'
        assert lab.stop_tapqd() == 0


NAT = '''version: 1
default: {{mode: protect}}
groups:
  - {{name: far, match: {{workload: far}}}}
  - {{name: service, match: {{cidr: [{service}]}}}}
  - {{name: web, match: {{workload: web}}}}
rules:
{rules}  - {{id: 90, from: any, to: any, ports: [tcp/9091], action: allow}}
'''


def behind_a_service(tool, service, v6, mode, rules, want):
    """far asks a service address, port 80, which is web's port 9090: far's end is judged by the one, web's by the other (CONTRACT 3, point 11)."""
    with Lab(outside=False) as lab:
        lab.add_routed('far', 1)
        web = lab.v6('web') if v6 else lab.v4('web')
        run(tool, '-t', 'nat', '-A', 'PREROUTING', '-d', service, '-p', 'tcp', '--dport', '80', '-j', 'DNAT', '--to-destination', '[%s]:9090' % web if v6 else web + ':9090', ns=lab.ns('node'))
        echo = Echo(lab.ns('web'), 9090)
        lab.start_tapqd(mode=mode, apps=('tcp/80', 'tcp/9090'), policy=NAT.format(service=service, rules=rules))
        try:
            s = connect(lab.ns('far'), service, 80, timeout=1.5)
            s.sendall(b'x' * 50)
            got = 'open' if s.recv(100) else 'closed'
            s.close()
        except (ConnectionError, TimeoutError):
            got = 'refused'
        assert got == want, (rules, got)
        assert lab.stop_tapqd() == 0
        echo.close()
        return {(e['dest_ip'], e['dest_port'], e['tapq']['verdict'], e['tapq']['rule']) for e in lab.events('flow') if e['proto'] == 'TCP'}


def by_the_tuple_seen_there(tool, service, v6):
    both = '  - {id: 10, from: far, to: service, ports: [tcp/80], action: allow}\n  - {id: 20, from: any, to: web, ports: [tcp/9090], action: allow}\n'
    for mode in ('mixed', 'tc'):
        flows = behind_a_service(tool, service, v6, mode, both, 'open')
        assert {f[1:] for f in flows} == {(80, 'allow', 10), (9090, 'allow', 20)}, flows
        # what names web's own port means nothing at far's end, and the other way round
        flows = behind_a_service(tool, service, v6, mode, both.split('\n')[1] + '\n', 'refused')
        assert {f[1:] for f in flows} == {(80, 'deny', 0)}, flows
        flows = behind_a_service(tool, service, v6, mode, both.split('\n')[0] + '\n', 'refused')
        assert {f[1:] for f in flows} == {(80, 'allow', 10), (9090, 'deny', 0)}, flows


def test_behind_nat_the_tuple_seen_at_that_workload_v4():
    by_the_tuple_seen_there('iptables-nft', '10.96.0.1', False)


def test_behind_nat_the_tuple_seen_at_that_workload_v6():
    by_the_tuple_seen_there('ip6tables-nft', 'fd96::1', True)


def test_learned_where_a_group_of_groups_discovers():
    """The mode of a group of groups is that of who is in it; what is learned there names none of them and holds under protect."""
    text = '''version: 1
default: {{mode: protect}}
groups:
  - {{name: watched, match: {{group: [shop, clients]}}, mode: discover}}
  - {{name: shop, match: {{image: "shop*"}}}}
  - {{name: clients, match: {{netns: "{prefix}-client"}}}}
'''
    with Lab(outside=False) as lab:
        lab.nginx('web')
        lab.nginx('db')
        lab.start_tapqd(mode='mixed', policy=text.format(prefix=lab.prefix), per={'web': 'image: "shop:1"'})
        for v in (lab.v4, lab.v6):
            assert http_get(lab.ns('client'), v('web'), 8080)[1] == 200
            assert refused(lab, 'client', v('db'), 8080) == 'refused'       # db is protected
        learned = lab.tapq('policy', 'learned').stdout
        assert 'web' in learned and 'client' in learned and 'db' not in learned and 'watched' not in learned, learned
        with open(lab.path('learned.yaml'), 'w') as f:
            f.write(learned)
        assert not lab.tapq('policy', 'check', lab.path('learned.yaml')).stderr
        lab.tapq('policy', 'load', lab.path('learned.yaml'))
        for v in (lab.v4, lab.v6):
            assert http_get(lab.ns('client'), v('web'), 8080)[1] == 200
            assert refused(lab, 'db', v('web'), 8080) == 'refused'
        assert lab.stop_tapqd() == 0
