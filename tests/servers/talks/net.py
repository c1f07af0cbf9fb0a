# SPDX-License-Identifier: GPL-2.0-or-later
"""The network's own: addresses, time, routes, tunnels."""
import os
from pki import certificate
from stage import CLIENT, SERVER, talk, wait_for


@talk(ports={'67/udp': 'dhcp', '68/udp': 'dhcp'}, needs=['dhcpd', 'dhclient', 'busybox'], facts=[
    ('dhcp', {'type': 'request', 'dhcp_type': 'discover', 'client_mac': '02:00:00:00:00:01', 'hostname': 'client1', 'vendor_class_identifier': 'labvendor'}),
    ('dhcp', {'type': 'reply', 'dhcp_type': 'offer', 'assigned_ip': '10.0.0.100', 'server_id': SERVER, 'lease_time': 600}),
    ('dhcp', {'dhcp_type': 'request', 'requested_ip': '10.0.0.100', 'hostname': 'client1'}),
    ('dhcp', {'dhcp_type': 'ack', 'assigned_ip': '10.0.0.100', 'subnet_mask': '255.255.255.0', 'routers': ['10.0.0.2'], 'dns_servers': ['10.0.0.53', '10.0.0.54'], 'domain': 'lab.example'}),
    ('dhcp', {'dhcp_type': 'release', 'client_ip': '10.0.0.100'}),
    ('dhcp', {'dhcp_type': 'discover', 'hostname': 'bb', 'requested_ip': '10.0.0.105'}),
    ('dhcp', {'dhcp_type': 'ack', 'assigned_ip': '10.0.0.105'}),
])
def dhcp_isc(s):
    s.file('dhcpd.conf', 'default-lease-time 600;\noption domain-name "lab.example";\noption domain-name-servers 10.0.0.53, 10.0.0.54;\n'
           'subnet 10.0.0.0 netmask 255.255.255.0 { range 10.0.0.100 10.0.0.110; option routers 10.0.0.2; }\n')
    s.file('leases', '')
    s.file('script', '#!/bin/sh\nexit 0\n', 0o755)
    s.file('dhclient.conf', 'send host-name "client1";\nsend vendor-class-identifier "labvendor";\nrequest subnet-mask, routers, domain-name, domain-name-servers;\n')
    s.start('dhcpd', '-4', '-f', '-d', '-cf', s.path('dhcpd.conf'), '-lf', s.path('leases'), '--no-pid', 'eth0')
    s.listening(67, 'udp')
    client = ['dhclient', '-4', '-cf', s.path('dhclient.conf'), '-lf', s.path('mine'), '-pf', s.path('pid'), '-sf', s.path('script')]
    with s.capture():
        s.say(*client, '-1', 'eth0')
        s.say(*client, '-r', 'eth0')
        s.say('busybox', 'udhcpc', '-i', 'eth0', '-n', '-q', '-s', s.path('script'), '-x', 'hostname:bb', '-r', '10.0.0.105')


@talk(ports={'547/udp': 'dhcpv6', '546/udp': 'dhcpv6'}, needs=['dhcpd', 'dhclient'], facts=[
    ('dhcpv6', {'type': 'solicit', 'client_duid': ...}),
    ('dhcpv6', {'type': 'advertise', 'server_duid': ..., 'addresses': ['fd00::110', 'fd00:2::']}),
    ('dhcpv6', {'type': 'request', 'addresses': ['fd00::110']}),
    ('dhcpv6', {'type': 'reply', 'addresses': ['fd00::110', 'fd00:2::']}),
    ('dhcpv6', {'type': 'release', 'addresses': ['fd00::110']}),
    ('dhcpv6', {'type': 'reply', 'status': 'success'}),
])
def dhcpv6_isc(s):
    s.file('dhcpd.conf', 'default-lease-time 600;\nsubnet6 fd00::/64 { range6 fd00::110 fd00::110; option dhcp6.name-servers fd00::53; prefix6 fd00:2:: fd00:2:: /48; }\n')
    s.file('leases', '')
    s.file('script', '#!/bin/sh\nexit 0\n', 0o755)
    s.start('dhcpd', '-6', '-f', '-d', '-cf', s.path('dhcpd.conf'), '-lf', s.path('leases'), '--no-pid', 'eth0')
    s.listening(547, 'udp')
    client = ['dhclient', '-6', '-P', '-N', '-lf', s.path('mine'), '-pf', s.path('pid'), '-sf', s.path('script')]
    with s.capture():
        s.say(*client, '-1', 'eth0')
        s.say('timeout', '3', *client, '-r', 'eth0', check=False)


@talk(app='ntp', port='123/udp', needs=['chronyd'], facts=[
    ('ntp', {'version': 4, 'mode': 'client'}),
    ('ntp', {'version': 4, 'mode': 'server', 'stratum': 3}),
])
def ntp_chrony(s):
    s.file('server.conf', 'local stratum 3\nallow all\ncmdport 0\npidfile %s\ndriftfile %s\n' % (s.path('pid'), s.path('drift')))
    s.file('client.conf', 'server %s iburst\ncmdport 0\npidfile %s\n' % (SERVER, s.path('pid2')))
    s.start('chronyd', '-d', '-x', '-U', '-u', 'root', '-f', s.path('server.conf'))
    s.listening(123, 'udp')
    with s.capture():
        s.say('chronyd', '-Q', '-t', '6', '-U', '-u', 'root', '-f', s.path('client.conf'), check=False)


def bird(s, on, me, peer, number, other, more=''):
    s.file(on + '.conf', '''router id %s;
log stderr all;
protocol device { }
protocol bfd { interface "eth0" { interval 200 ms; multiplier 3; }; }
protocol static { ipv4; route 10.%d.0.0/16 blackhole; route 10.%d.1.0/24 blackhole; }
protocol bgp lab { local %s as %d; neighbor %s as %d; hold time 9; %s ipv4 { import all; export all; }; }
''' % (me, number % 100, number % 100, me, number, peer, other, more))
    return s.start('bird', '-f', '-c', s.path(on + '.conf'), '-s', s.path(on + '.ctl'), on=on)


@talk(ports={179: 'bgp', '3784/udp': 'bfd'}, needs=['bird', 'birdc'], facts=[
    ('bgp', {'type': 'open', 'as': 65010, 'router_id': SERVER, 'hold_time': 9}),
    ('bgp', {'type': 'open', 'as': 65020, 'router_id': CLIENT}),
    ('bgp', {'type': 'update', 'prefixes': ['10.10.0.0/16', '10.10.1.0/24']}),
    ('bgp', {'type': 'update', 'prefixes': ['10.20.0.0/16', '10.20.1.0/24']}),
    ('bgp', {'type': 'route_refresh'}),
    ('bgp', {'type': 'notification', 'error_code': ...}),
    ('bfd', {'state': 'down'}),
    ('bfd', {'state': 'up'}),
])
def bgp_bfd_bird(s):
    bird(s, 'server', SERVER, CLIENT, 65010, 65020, 'bfd; passive;')
    s.listening(179)
    with s.capture('tcp port 179 or udp port 3784'):
        bird(s, 'client', CLIENT, SERVER, 65020, 65010, 'bfd;')
        wait_for('both have the routes', lambda: '10.10.1.0/24' in s.say('birdc', '-s', s.path('client.ctl'), 'show route', check=False), 30, 0.2)
        wait_for('the sessions see each other', lambda: ' Up ' in s.say('birdc', '-s', s.path('client.ctl'), 'show bfd sessions', check=False), 30, 0.2)
        s.say('birdc', '-s', s.path('client.ctl'), 'reload in lab')
        s.say('birdc', '-s', s.path('client.ctl'), 'disable lab')


@talk(ports={'51820/udp': 'wireguard'}, needs=['wireguard-go', 'wg'], facts=[
    ('wireguard', {'type': 'initiation', 'sender': ...}),
    ('wireguard', {'type': 'response', 'sender': ...}),
], never=[('wireguard', {'type': 'cookie_reply'})])
def wireguard_go(s):
    secret = {who: s.run('wg', 'genkey').strip() for who in ('server', 'client')}
    public = {who: s.run('wg', 'pubkey', input=k).strip() for who, k in secret.items()}

    def end(who, other, address, *peer):
        s.start('wireguard-go', '-f', 'wg0', on=who)
        wait_for('the tunnel is there', lambda: 'wg0' in s.run('ip', 'link', on=who), 10)
        s.file(who + '.key', secret[who], 0o600)
        wait_for('it can be set', lambda: os.path.exists('/var/run/wireguard/wg0.sock'), 10)
        s.run('wg', 'set', 'wg0', 'private-key', s.path(who + '.key'), *peer, on=who)
        s.run('ip', 'addr', 'add', address, 'dev', 'wg0', on=who)
        s.run('ip', 'link', 'set', 'wg0', 'up', on=who)
    # Both speak to their control socket in one place of the file system: one after the other, and the first one's is put away.
    end('server', 'client', '10.9.0.2/24', 'listen-port', '51820', 'peer', public['client'], 'allowed-ips', '10.9.0.1/32')
    os.rename('/var/run/wireguard/wg0.sock', s.path('first.sock'))
    with s.capture():
        end('client', 'server', '10.9.0.1/24', 'peer', public['server'], 'allowed-ips', '10.9.0.2/32', 'endpoint', SERVER + ':51820')
        s.say('ping', '-c', '3', '-i', '0.2', '10.9.0.2', check=False)


@talk(ports={'1194/udp': 'openvpn', 1194: 'openvpn'}, needs=['openvpn', 'openssl'], facts=[
    ('openvpn', {'control': 'plain', 'session_id': ...}),
    ('openvpn', {'control': 'plain', 'session_id': ...}),
    ('openvpn', {'control': 'tls-auth'}),
    ('openvpn', {'control': 'tls-crypt'}),
])
def openvpn_all(s):
    """UDP and TCP in clear, tls-auth, tls-crypt."""
    ca = certificate(s, 'ca')
    certificate(s, 'server', ca=ca)
    certificate(s, 'client', ca=ca)
    for key in ('auth', 'crypt'):
        s.run('openvpn', '--genkey', 'secret', s.path(key))

    def program(who, *words):
        cert = ['--ca', ca[0], '--cert', s.path(who + '.pem'), '--key', s.path(who + '.key')]
        return s.start('openvpn', '--dev', 'ovpn0', '--dev-type', 'tun', '--verb', '1', *cert, *words, on=who)
    with s.capture():
        for proto, more in (('udp', []), ('tcp', []), ('udp', ['--tls-auth', s.path('auth')]), ('udp', ['--tls-crypt', s.path('crypt')])):
            a = program('server', '--proto', proto + ('-server' if proto == 'tcp' else ''), '--tls-server', '--dh', 'none', '--ifconfig', '10.8.0.2', '10.8.0.1', *more)
            s.listening(1194, proto)
            b = program('client', '--proto', proto + ('-client' if proto == 'tcp' else ''), '--remote', SERVER, '--nobind', '--tls-client', '--ifconfig', '10.8.0.1', '10.8.0.2', *more)
            wait_for('the tunnel stands', lambda: 'ovpn0' in s.run('ip', '-4', 'addr', 'show', 'up', on='client'), 20, 0.1)
            wait_for('it carries', lambda: ' 0% packet loss' in s.say('ping', '-c', '1', '-W', '1', '10.8.0.2', check=False), 20, 0.1)
            s.end(b)
            s.end(a)


def charon(s, on, me, peer):
    """strongSwan in a mount namespace of its own, since both ends read one place of the file system."""
    home = s.directory(on)
    conn = ('config setup\nconn v2\n keyexchange=ikev2\n auto=add\n left=%s\n right=%s\n authby=secret\n ike=aes128-sha256-modp2048!\n esp=aes128-sha256!\n'
            'conn v1\n keyexchange=ikev1\n also=v2\nconn aggressive\n aggressive=yes\n also=v1\n' % (me, peer))
    s.file(on + '/ipsec.conf', conn)
    s.file(on + '/ipsec.secrets', '%s %s : PSK "secret"\n' % (me, peer))
    s.file(on + '/strongswan.conf', 'charon {\n load = random nonce aes sha1 sha2 hmac gmp kdf pem pkcs1 x509 openssl kernel-netlink socket-default stroke\n'
           ' i_dont_care_about_security_and_use_aggressive_mode_psk = yes\n filelog {\n  stderr {\n   default = 1\n  }\n }\n}\n')
    mounts = 'mount -t tmpfs none /run; ' + ''.join('mount --bind %s/%s /etc/%s; ' % (home, f, f) for f in ('ipsec.conf', 'ipsec.secrets', 'strongswan.conf'))
    return mounts


@talk(ports={'500/udp': 'ipsec', '4500/udp': 'ipsec'}, needs=['/usr/sbin/ipsec', '/usr/lib/ipsec/charon'], facts=[
    ('ipsec', {'version': 2, 'exchange': 'ike_sa_init', 'initiator_spi': ...}),
    ('ipsec', {'version': 2, 'exchange': 'ike_sa_init', 'responder_spi': ...}),
    ('ipsec', {'version': 2, 'exchange': 'ike_auth', 'encrypted': True}),
    ('ipsec', {'version': 1, 'exchange': 'identity_protection'}),
    ('ipsec', {'version': 1, 'exchange': 'aggressive'}),
])
def ike_strongswan(s):
    server, client = charon(s, 'server', SERVER, CLIENT), charon(s, 'client', CLIENT, SERVER)
    s.start('unshare', '-m', 'sh', '-c', server + 'exec ipsec start --nofork')
    s.listening(500, 'udp')
    with s.capture():
        p = s.start('unshare', '-m', 'sh', '-c', client + 'ipsec start --nofork & until ipsec status >/dev/null 2>&1; do sleep 0.1; done; sleep 0.5; '
                    'ipsec up v2; ipsec down v2; ipsec up v1; ipsec down v1; ipsec up aggressive; touch %s; wait' % s.path('said'), on='client')
        wait_for('all is said', lambda: os.path.exists(s.path('said')), 60, 0.1)
        assert p.poll() is None


@talk(ports={'1701/udp': 'l2tp'}, needs=['xl2tpd'], facts=[
    ('l2tp', {'type': 'sccrq', 'hostname': 'client.lab'}),
    ('l2tp', {'type': 'sccrp', 'hostname': 'server.lab'}),
    ('l2tp', {'type': 'scccn'}),
    ('l2tp', {'type': 'icrq'}),
    ('l2tp', {'type': 'icrp'}),
])
def l2tp_xl2tpd(s):
    for on, more in (('server', '[lns default]\nip range = 10.7.0.10-10.7.0.20\nlocal ip = 10.7.0.1\nrequire authentication = no\nhostname = server.lab\n'),
                     ('client', '[lac lab]\nlns = %s\nrequire authentication = no\nhostname = client.lab\n' % SERVER)):
        s.file(on + '.conf', '[global]\nport = 1701\n' + more)
        s.file(on + '.secrets', '')
    for on in ('server', 'client'):
        # The calls' ppp is not what is looked at.
        words = ['-D', '-c', s.path(on + '.conf'), '-s', s.path(on + '.secrets'), '-p', s.path(on + '.pid'), '-C', s.path(on + '.ctl')]
        s.start('xl2tpd', *words, on=on)
        wait_for('it takes orders', lambda: os.path.exists(s.path(on + '.ctl')), 10)
    s.listening(1701, 'udp')
    with s.capture():
        s.say('sh', '-c', 'echo c lab > ' + s.path('client.ctl'))
        wait_for('a call is there', lambda: 'Call established' in s.log(), 20, 0.1)


@talk(app='pptp', port=1723, needs=['pptpd', 'pptp'], facts=[
    ('pptp', {'type': 'start_request'}),
    ('pptp', {'type': 'start_reply', 'vendor': ...}),
    ('pptp', {'type': 'outgoing_call_request'}),
    ('pptp', {'type': 'outgoing_call_reply'}),
])
def pptp_pptpd(s):
    s.file('pptpd.conf', 'option %s\nlocalip 10.6.0.1\nremoteip 10.6.0.10-20\n' % s.file('options', 'noauth\n'))
    s.start('pptpd', '--fg', '--conf', s.path('pptpd.conf'), '--pidfile', s.path('pid'))
    s.listening(1723)
    with s.capture('tcp port 1723'):
        s.say('timeout', '4', 'pptp', SERVER, '--nolaunchpppd', input='', check=False)


@talk(ports={'5353/udp': 'mdns'}, hint=True, needs=['avahi-daemon', 'dbus-daemon', 'avahi-publish', 'avahi-browse'], facts=[
    ('dns', {'type': 'query', 'rrname': '_http._tcp.local', 'rrtype': 'PTR'}),
    ('dns', {'type': 'answer', 'rrname': ..., 'answers': [...]}),
])
def mdns_avahi(s):
    conf = '[server]\nuse-ipv4=yes\nuse-ipv6=no\nallow-interfaces=eth0\nhost-name=%s\n[publish]\npublish-workstation=no\n'
    bus = ('mount -t tmpfs none /run; mkdir -p /run/dbus /run/avahi-daemon; chown avahi /run/avahi-daemon; dbus-daemon --system --fork; '
           'avahi-daemon --no-drop-root --no-chroot -f %s & ')
    for on, then in (('server', 'sleep 1; exec avahi-publish -s "Lab page" _http._tcp 8080 path=/'), ('client', 'sleep 3; avahi-browse -rt _http._tcp > %s; wait' % s.path('found'))):
        s.file(on + '.conf', conf % on)
    with s.capture('udp port 5353'):
        for on, then in (('server', 'sleep 1; exec avahi-publish -s "Lab page" _http._tcp 8080 path=/'), ('client', 'sleep 3; avahi-browse -rt _http._tcp > %s; wait' % s.path('found'))):
            s.start('unshare', '-m', 'sh', '-c', bus % s.path(on + '.conf') + then, on=on)
        wait_for('the page is found', lambda: os.path.exists(s.path('found')) and 'Lab' in open(s.path('found')).read(), 30, 0.2)
