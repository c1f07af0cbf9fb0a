# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is who: OpenLDAP, MIT Kerberos, FreeRADIUS, net-snmp."""
from pki import certificate
from stage import SERVER, talk

ADMIN = 'cn=admin,dc=lab,dc=example'
ALICE = 'uid=alice,dc=lab,dc=example'


def slapd(s):
    cert, key = certificate(s, 'ldap.lab.example', rsa=True)
    s.directory('db')
    s.file('slapd.conf', '''include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile %s/pid
TLSCertificateFile %s
TLSCertificateKeyFile %s
database mdb
suffix "dc=lab,dc=example"
rootdn "%s"
rootpw secret
directory %s/db
''' % (s.dir, cert, key, ADMIN, s.dir))
    s.start('slapd', '-d', '0', '-f', s.path('slapd.conf'), '-h', 'ldap:/// ldaps:///')
    s.listening(389)


def ldap(s, program, *words, who=ADMIN, password='secret', host=SERVER, input=None):
    bind = ['-D', who, '-w', password] if who else []
    return s.say(program, '-x', '-H', 'ldap://' + host, *bind, *words, input=input, check=False)


@talk(app='ldap', port=389, needs=['slapd', 'ldapsearch'], facts=[
    ('ldap', {'operation': 'bind', 'bind_dn': ADMIN, 'auth': 'simple', 'version': 3, 'result': 'success'}),
    ('ldap', {'operation': 'add', 'dn': 'dc=lab,dc=example', 'result': 'success'}),
    ('ldap', {'operation': 'add', 'dn': ALICE, 'result': 'success'}),
    ('ldap', {'operation': 'bind', 'bind_dn': '', 'auth': 'anonymous', 'result': 'success'}),
    ('ldap', {'operation': 'search', 'base': 'dc=lab,dc=example', 'scope': 'subtree', 'entries': 1, 'result': 'success'}),
    ('ldap', {'operation': 'unbind'}),
    ('ldap', {'operation': 'search', 'base': 'dc=lab,dc=example', 'scope': 'one', 'entries': 1, 'result': 'success'}),
    ('ldap', {'operation': 'bind', 'bind_dn': ADMIN, 'result': 'invalid_credentials'}),
    ('ldap', {'operation': 'modify', 'dn': ALICE, 'result': 'success'}),
    ('ldap', {'operation': 'compare', 'dn': ALICE, 'result': 'compare_true'}),
    ('ldap', {'operation': 'modify_dn', 'dn': ALICE, 'result': 'success'}),
    ('ldap', {'operation': 'extended', 'oid': '1.3.6.1.4.1.4203.1.11.3', 'result': 'success'}),
    ('ldap', {'operation': 'delete', 'dn': 'uid=nobody,dc=lab,dc=example', 'result': 'no_such_object'}),
    ('ldap', {'operation': 'search', 'base': '', 'scope': 'base', 'entries': 1}),
])
def ldap_openldap(s):
    slapd(s)
    with s.capture():
        ldap(s, 'ldapadd', input='dn: dc=lab,dc=example\nobjectClass: dcObject\nobjectClass: organization\no: Lab\ndc: lab\n\n'
             'dn: %s\nobjectClass: inetOrgPerson\ncn: Alice\nsn: A\nuid: alice\nuserPassword: pw\n' % ALICE)
        ldap(s, 'ldapsearch', '-b', 'dc=lab,dc=example', '(&(uid=alice)(!(cn=Bob)))', 'cn', who=None, host='[fd00::2]')
        ldap(s, 'ldapsearch', '-s', 'one', '-b', 'dc=lab,dc=example', '-E', 'pr=1/noprompt', '(objectClass=*)')
        ldap(s, 'ldapsearch', '-b', 'dc=lab,dc=example', password='wrong')
        ldap(s, 'ldapmodify', input='dn: %s\nchangetype: modify\nreplace: sn\nsn: B\n' % ALICE)
        ldap(s, 'ldapcompare', ALICE, 'sn:B')
        ldap(s, 'ldapmodrdn', ALICE, 'uid=alicia')
        ldap(s, 'ldapwhoami', who=None)
        ldap(s, 'ldapdelete', 'uid=nobody,dc=lab,dc=example')
        ldap(s, 'ldapsearch', '-s', 'base', '-b', '', 'supportedSASLMechanisms', who=None)


@talk(ports={389: 'tls', 636: 'tls'}, needs=['slapd', 'ldapsearch'], facts=[
    ('ldap', {'operation': 'extended', 'oid': '1.3.6.1.4.1.1466.20037', 'result': 'success'}),
    ('tls', {'version': 'TLS 1.3'}),
    ('tls', {'version': 'TLS 1.3'}),
], never=[('ldap', {'operation': 'bind'})])
def ldap_starttls(s):
    slapd(s)
    with s.capture():
        for words in (('-ZZ', '-H', 'ldap://' + SERVER), ('-H', 'ldaps://' + SERVER)):
            s.say('ldapwhoami', '-x', *words, env={'LDAPTLS_REQCERT': 'never'})


def kdc(s):
    s.file('krb5.conf', '''[libdefaults]
 default_realm = LAB.EXAMPLE
 dns_lookup_kdc = false
 rdns = false
 dns_canonicalize_hostname = false
[realms]
 LAB.EXAMPLE = {
  kdc = %s
  admin_server = %s
 }
''' % (SERVER, SERVER))
    s.file('tcp.conf', open(s.path('krb5.conf')).read().replace('rdns', 'udp_preference_limit = 1\n rdns'))
    s.file('kdc.conf', '''[kdcdefaults]
 kdc_ports = 88
 kdc_tcp_ports = 88
[realms]
 LAB.EXAMPLE = {
  database_name = %s/db
  key_stash_file = %s/stash
  acl_file = %s
  supported_enctypes = aes256-cts:normal arcfour-hmac:normal
 }
[logging]
 kdc = STDERR
 admin_server = STDERR
''' % (s.dir, s.dir, s.file('acl', '*/admin@LAB.EXAMPLE *\n')))
    env = {'KRB5_CONFIG': s.path('krb5.conf'), 'KRB5_KDC_PROFILE': s.path('kdc.conf'), 'KRB5CCNAME': 'FILE:' + s.path('cache')}
    s.run('kdb5_util', 'create', '-s', '-P', 'master', env=env)
    for q in ('addprinc -pw secret +requires_preauth alice', 'addprinc -pw secret open', 'addprinc -randkey host/web.lab.example', 'addprinc -randkey -e arcfour-hmac:normal host/old.lab.example',
              'addprinc -pw secret root/admin'):
        s.run('kadmin.local', '-q', q, env=env)
    s.start('krb5kdc', '-n', env=env)
    s.listening(88)
    return env


@talk(ports={'88/udp': 'kerberos', 88: 'kerberos'}, needs=['krb5kdc', 'kinit', 'kadmin.local'], facts=[
    ('krb5', {'msg_type': 'KRB_AS_REQ', 'cname': 'alice', 'realm': 'LAB.EXAMPLE', 'sname': 'krbtgt/LAB.EXAMPLE', 'encryption_offered': ['aes256-cts-hmac-sha1-96']}),
    ('krb5', {'msg_type': 'KRB_ERROR', 'error_code': 'KDC_ERR_PREAUTH_REQUIRED', 'cname': 'alice'}),
    ('krb5', {'msg_type': 'KRB_AS_REP', 'cname': 'alice', 'encryption': 'aes256-cts-hmac-sha1-96', 'weak_encryption': False}),
    ('krb5', {'msg_type': 'KRB_TGS_REQ', 'sname': 'host/web.lab.example', 'realm': 'LAB.EXAMPLE'}),
    ('krb5', {'msg_type': 'KRB_TGS_REP', 'cname': 'alice', 'sname': 'host/web.lab.example', 'weak_encryption': False}),
    ('krb5', {'msg_type': 'KRB_ERROR', 'error_code': 'KDC_ERR_S_PRINCIPAL_UNKNOWN', 'sname': 'host/none.lab.example'}),
    ('krb5', {'msg_type': 'KRB_ERROR', 'error_code': 'KDC_ERR_PREAUTH_FAILED', 'cname': 'alice'}),
    ('krb5', {'msg_type': 'KRB_ERROR', 'error_code': 'KDC_ERR_C_PRINCIPAL_UNKNOWN', 'cname': 'mallory'}),
    ('krb5', {'msg_type': 'KRB_AS_REP', 'cname': 'open'}),
    ('krb5', {'msg_type': 'KRB_TGS_REP', 'cname': 'open', 'sname': 'host/old.lab.example'}),
], tshark={'kerberos.CNameString': ('krb5', 'cname'), 'kerberos.realm': ('krb5', 'realm')})
def kerberos_mit(s):
    """Over UDP, and at the end over TCP."""
    env = kdc(s)

    def say(*words, input=None, config='krb5.conf'):
        s.say(*words, env=dict(env, KRB5_CONFIG=s.path(config)), input=input, check=False)
    with s.capture():
        say('kinit', 'alice', input='secret\n')
        say('kvno', 'host/web.lab.example')
        say('kvno', 'host/none.lab.example')
        say('kinit', 'alice', input='wrong\n')
        say('kinit', 'mallory', input='x\n')
        say('kinit', 'open', input='secret\n', config='tcp.conf')
        say('kvno', 'host/old.lab.example', config='tcp.conf')


@talk(ports={464: 'kerberos', '464/udp': 'kerberos', '88/udp': 'kerberos', 88: 'kerberos'}, needs=['krb5kdc', 'kadmind', 'kpasswd', 'kadmin.local'], facts=[
    ('krb5', {'msg_type': 'KRB_AS_REP', 'cname': 'alice', 'sname': 'kadmin/changepw'}),
    ('krb5', {'msg_type': 'KRB_AP_REQ', 'sname': 'kadmin/changepw', 'realm': 'LAB.EXAMPLE'}),
    ('krb5', {'msg_type': 'KRB_AP_REP'}),
])
def kerberos_kpasswd(s):
    env = kdc(s)
    s.start('kadmind', '-nofork', env=env)
    s.listening(464)
    with s.capture():
        s.say('kpasswd', 'alice', env=env, input='secret\nsecret2\nsecret2\n')


@talk(ports={749: 'oncrpc', '88/udp': 'kerberos', 88: 'kerberos'}, needs=['krb5kdc', 'kadmind', 'kadmin', 'kadmin.local'], facts=[
    ('krb5', {'msg_type': 'KRB_AS_REP', 'cname': 'root/admin', 'sname': 'kadmin/admin'}),
    ('oncrpc', {'program': 'kadmin', 'version': 2, 'status': 'success'}),
])
def kadmin_mit(s):
    env = kdc(s)
    s.start('kadmind', '-nofork', env=env)
    s.listening(749)
    with s.capture():
        s.say('kadmin', '-p', 'root/admin', '-w', 'secret', '-q', 'getprinc alice', env=env)


@talk(ports={'1812/udp': 'radius', '1813/udp': 'radius'}, needs=['freeradius', 'radclient'], facts=[
    ('radius', {'code': 'access_request', 'user': 'alice', 'nas_ip': '10.0.0.1', 'nas_identifier': 'ap1', 'called_station': '00-11', 'calling_station': '22-33'}),
    ('radius', {'code': 'access_accept', 'reply_message': 'Hello', 'framed_ip': '10.1.2.3'}),
    ('radius', {'code': 'access_request', 'user': 'mallory'}),
    ('radius', {'code': 'access_reject'}),
    ('radius', {'code': 'access_request', 'user': 'bob'}),
    ('radius', {'code': 'access_accept'}),
    ('radius', {'code': 'accounting_request', 'user': 'alice', 'acct_status': 'start', 'acct_session': 's1'}),
    ('radius', {'code': 'accounting_response'}),
    ('radius', {'code': 'accounting_request', 'acct_status': 'stop'}),
    ('radius', {'code': 'accounting_response'}),
], never=[('radius', {'user': 'secret'})], tshark={'radius.User_Name': ('radius', 'user')})
def radius_freeradius(s):
    s.run('cp', '-a', '/etc/freeradius/3.0/.', s.path('etc'))
    s.file('etc/mods-config/files/authorize', 'alice Cleartext-Password := "pw"\n\tReply-Message := "Hello", Framed-IP-Address = 10.1.2.3\nbob Cleartext-Password := "pw"\n')
    s.file('etc/clients.conf', 'client lab {\n ipaddr = 10.0.0.0/24\n secret = labsecret\n}\n')
    s.file('etc/sites-enabled/default', '''server default {
listen {
 type = auth
 ipaddr = *
 port = 1812
}
listen {
 type = acct
 ipaddr = *
 port = 1813
}
authorize {
 files
 chap
 pap
}
authenticate {
 Auth-Type PAP {
  pap
 }
 Auth-Type CHAP {
  chap
 }
}
preacct {
 acct_unique
}
accounting {
 ok
}
}
''')
    s.run('sh', '-c', 'rm -f %s/etc/mods-enabled/eap %s/etc/mods-enabled/inner-eap %s/etc/sites-enabled/inner-tunnel; chown -R freerad:freerad %s/etc' % ((s.dir,) * 4))
    s.start('freeradius', '-f', '-l', 'stdout', '-d', s.path('etc'))
    s.listening(1812, 'udp')
    with s.capture():
        for port, kind, attributes in ((1812, 'auth', 'User-Name="alice"\nUser-Password="pw"\nNAS-IP-Address=10.0.0.1\nNAS-Identifier="ap1"\nCalled-Station-Id="00-11"\nCalling-Station-Id="22-33"\n'),
                                       (1812, 'auth', 'User-Name="mallory"\nUser-Password="bad"\n'), (1812, 'auth', 'User-Name="bob"\nCHAP-Password="pw"\n'),
                                       (1813, 'acct', 'User-Name="alice"\nAcct-Status-Type=Start\nAcct-Session-Id="s1"\nNAS-IP-Address=10.0.0.1\n'),
                                       (1813, 'acct', 'User-Name="alice"\nAcct-Status-Type=Stop\nAcct-Session-Id="s1"\nNAS-IP-Address=10.0.0.1\n')):
            s.say('radclient', '-d', s.path('etc'), '-r', '1', '-t', '3', '%s:%d' % (SERVER, port), kind, 'labsecret', input=attributes, check=False)


NAME_OID, CONTACT, LOCATION = '1.3.6.1.2.1.1.5.0', '1.3.6.1.2.1.1.4.0', '1.3.6.1.2.1.1.6.0'


@talk(ports={'161/udp': 'snmp', 161: 'snmp', '162/udp': 'snmp'}, needs=['snmpd', 'snmpget', 'snmptrap'], facts=[
    ('snmp', {'version': '1', 'community': 'public', 'pdu_type': 'get_request', 'oids': [{'oid': NAME_OID}]}),
    ('snmp', {'version': '1', 'pdu_type': 'response', 'oids': [{'oid': NAME_OID}]}),
    ('snmp', {'version': '2c', 'community': 'public', 'pdu_type': 'get_next_request'}),
    ('snmp', {'version': '2c', 'pdu_type': 'get_bulk_request'}),
    ('snmp', {'version': '2c', 'community': '***', 'pdu_type': 'get_request', 'oids': [{'oid': CONTACT}, {'oid': LOCATION}]}),
    ('snmp', {'version': '2c', 'community': '***', 'pdu_type': 'set_request', 'oids': [{'oid': CONTACT}]}),
    ('snmp', {'version': '1', 'pdu_type': 'response', 'error': ...}),
    ('snmp', {'version': '3', 'user': 'alice', 'encrypted': True}),
    ('snmp', {'version': '3', 'user': 'bob', 'pdu_type': 'get_request', 'oids': [{'oid': NAME_OID}]}),
    ('snmp', {'version': '3', 'user': 'bob', 'pdu_type': 'response'}),
    ('snmp', {'version': '3', 'pdu_type': 'report'}),
    ('snmp', {'version': '1', 'community': 'public', 'pdu_type': 'trap'}),
    ('snmp', {'version': '2c', 'pdu_type': 'trap_v2'}),
    ('snmp', {'version': '2c', 'pdu_type': 'inform_request'}),
    ('snmp', {'version': '2c', 'community': 'public', 'pdu_type': 'get_request'}),
], never=[('snmp', {'community': 'topsecret'})])
def snmp_netsnmp(s):
    s.file('snmpd.conf', 'rocommunity public\nrwcommunity topsecret\nsysLocation Lab\ncreateUser alice SHA "alicepass1" AES "alicepriv1"\ncreateUser bob MD5 "bobpass123"\n'
           'rwuser alice priv\nrouser bob auth\nagentaddress udp:161,tcp:161\n')
    s.start('snmpd', '-f', '-Lo', '-C', '-c', s.path('snmpd.conf'), env={'SNMP_PERSISTENT_DIR': s.path('server')})
    s.listening(161, 'udp')
    env = {'SNMP_PERSISTENT_DIR': s.path('client'), 'MIBS': ''}
    bob = ['-v3', '-l', 'authNoPriv', '-u', 'bob', '-a', 'MD5', '-A']
    with s.capture():
        for words in (['snmpget', '-v1', '-c', 'public', SERVER, NAME_OID], ['snmpgetnext', '-v2c', '-c', 'public', SERVER, NAME_OID],
                      ['snmpbulkget', '-v2c', '-c', 'public', '-Cr3', SERVER, '1.3.6.1.2.1.1'], ['snmpget', '-v2c', '-c', 'topsecret', SERVER, CONTACT, LOCATION],
                      ['snmpset', '-v2c', '-c', 'topsecret', SERVER, CONTACT, 's', 'me'], ['snmpget', '-v1', '-c', 'public', SERVER, '1.3.6.1.2.1.1.99.0'],
                      ['snmpget', '-v3', '-l', 'authPriv', '-u', 'alice', '-a', 'SHA', '-A', 'alicepass1', '-x', 'AES', '-X', 'alicepriv1', SERVER, NAME_OID],
                      ['snmpget', *bob, 'bobpass123', SERVER, NAME_OID], ['snmpget', *bob, 'wrongpass1', SERVER, NAME_OID],
                      ['snmptrap', '-v1', '-c', 'public', SERVER, '1.3.6.1.4.1.8072', '10.0.0.1', '6', '1', '5'], ['snmptrap', '-v2c', '-c', 'public', SERVER, '5', '1.3.6.1.6.3.1.1.5.1'],
                      ['snmpinform', '-r', '0', '-t', '0.2', '-v2c', '-c', 'public', SERVER, '5', '1.3.6.1.6.3.1.1.5.1'],
                      ['snmpget', '-v2c', '-c', 'public', 'tcp:%s:161' % SERVER, NAME_OID]):
            s.say(*words, env=env, check=False)
