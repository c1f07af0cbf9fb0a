/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/unit.h"

extern const struct unit_test tests_anew[];
extern const struct unit_test tests_renewed[];
extern const struct unit_test tests_ber[];
extern const struct unit_test tests_dcerpc[];
extern const struct unit_test tests_decode[];
extern const struct unit_test tests_defrag[];
extern const struct unit_test tests_dhcp[];
extern const struct unit_test tests_dhcpv6[];
extern const struct unit_test tests_dns[];
extern const struct unit_test tests_feed[];
extern const struct unit_test tests_echo[];
extern const struct unit_test tests_xdmcp[];
extern const struct unit_test tests_mgcp[];
extern const struct unit_test tests_slp[];
extern const struct unit_test tests_expect[];
extern const struct unit_test tests_seek[];
extern const struct unit_test tests_fence[];
extern const struct unit_test tests_flow[];
extern const struct unit_test tests_final[];
extern const struct unit_test tests_guard[];
extern const struct unit_test tests_http[];
extern const struct unit_test tests_http2[];
extern const struct unit_test tests_http_px[];
extern const struct unit_test tests_kerberos[];
extern const struct unit_test tests_ldap[];
extern const struct unit_test tests_ntp[];
extern const struct unit_test tests_mysql[];
extern const struct unit_test tests_postgresql[];
extern const struct unit_test tests_mongodb[];
extern const struct unit_test tests_memcached[];
extern const struct unit_test tests_cassandra[];
extern const struct unit_test tests_tds[];
extern const struct unit_test tests_zookeeper[];
extern const struct unit_test tests_tns[];
extern const struct unit_test tests_drda[];
extern const struct unit_test tests_aerospike[];
extern const struct unit_test tests_afp[];
extern const struct unit_test tests_match[];
extern const struct unit_test tests_policy[];
extern const struct unit_test tests_contract[];
extern const struct unit_test tests_policy_random[];
extern const struct unit_test tests_requests[];
extern const struct unit_test tests_hold[];
extern const struct unit_test tests_record[];
extern const struct unit_test tests_redis[];
extern const struct unit_test tests_redis_px[];
extern const struct unit_test tests_sizes[];
extern const struct unit_test tests_snmp[];
extern const struct unit_test tests_sql[];
extern const struct unit_test tests_ssh[];
extern const struct unit_test tests_stream[];
extern const struct unit_test tests_stream_side[];
extern const struct unit_test tests_evasion[];
extern const struct unit_test tests_judge_names[];
extern const struct unit_test tests_kafka[];
extern const struct unit_test tests_middleware[];
extern const struct unit_test tests_quic[];
extern const struct unit_test tests_rpc[];
extern const struct unit_test tests_oncrpc[];
extern const struct unit_test tests_tls[];
extern const struct unit_test tests_sctp[];
extern const struct unit_test tests_tunnel[];
extern const struct unit_test tests_tls_hello[];
extern const struct unit_test tests_tls_px[];
extern const struct unit_test tests_x509[];
extern const struct unit_test tests_radius[];
extern const struct unit_test tests_smb[];
extern const struct unit_test tests_tftp[];
extern const struct unit_test tests_mqtt[];
extern const struct unit_test tests_amqp[];
extern const struct unit_test tests_bacnet[];
extern const struct unit_test tests_bfd[];
extern const struct unit_test tests_bgp[];
extern const struct unit_test tests_bittorrent[];
extern const struct unit_test tests_coap[];
extern const struct unit_test tests_diameter[];
extern const struct unit_test tests_dnp3[];
extern const struct unit_test tests_ipsec[];
extern const struct unit_test tests_l2tp[];
extern const struct unit_test tests_nats[];
extern const struct unit_test tests_stomp[];
extern const struct unit_test tests_smtp[];
extern const struct unit_test tests_nbns[];
extern const struct unit_test tests_pptp[];
extern const struct unit_test tests_rmcp[];
extern const struct unit_test tests_ssdp[];
extern const struct unit_test tests_strict[];
extern const struct unit_test tests_stun[];
extern const struct unit_test tests_fqdn[];
extern const struct unit_test tests_ftp[];
extern const struct unit_test tests_git[];
extern const struct unit_test tests_mining[];
extern const struct unit_test tests_modbus[];
extern const struct unit_test tests_pop3[];
extern const struct unit_test tests_rdp[];
extern const struct unit_test tests_socks[];
extern const struct unit_test tests_telnet[];
extern const struct unit_test tests_vnc[];
extern const struct unit_test tests_wireguard[];
extern const struct unit_test tests_sip[];
extern const struct unit_test tests_openwire[];
extern const struct unit_test tests_zmtp[];
extern const struct unit_test tests_syslog[];
extern const struct unit_test tests_irc[];
extern const struct unit_test tests_imap[];
extern const struct unit_test tests_iscsi[];
extern const struct unit_test tests_netflow[];
extern const struct unit_test tests_openvpn[];
extern const struct unit_test tests_rocketmq[];
extern const struct unit_test tests_pulsar[];
extern const struct unit_test tests_rsync[];
extern const struct unit_test tests_rtp[];
extern const struct unit_test tests_sflow[];
extern const struct unit_test tests_svn[];
extern const struct unit_test tests_x11[];
extern const struct unit_test tests_nntp[];
extern const struct unit_test tests_xmpp[];

const struct unit_suite unit_suites[] = {
	{ "ber", tests_ber },
	{ "dcerpc", tests_dcerpc },
	{ "decode", tests_decode },
	{ "defrag", tests_defrag },
	{ "dhcp", tests_dhcp },
	{ "dhcpv6", tests_dhcpv6 },
	{ "dns", tests_dns },
	{ "feed", tests_feed },
	{ "echo", tests_echo },
	{ "xdmcp", tests_xdmcp },
	{ "mgcp", tests_mgcp },
	{ "slp", tests_slp },
	{ "expect", tests_expect },
	{ "seek", tests_seek },
	{ "fence", tests_fence },
	{ "flow", tests_flow },
	{ "final", tests_final },
	{ "guard", tests_guard },
	{ "http", tests_http },
	{ "http2", tests_http2 },
	{ "http_px", tests_http_px },
	{ "kerberos", tests_kerberos },
	{ "ldap", tests_ldap },
	{ "ntp", tests_ntp },
	{ "mysql", tests_mysql },
	{ "postgresql", tests_postgresql },
	{ "mongodb", tests_mongodb },
	{ "memcached", tests_memcached },
	{ "cassandra", tests_cassandra },
	{ "tds", tests_tds },
	{ "zookeeper", tests_zookeeper },
	{ "tns", tests_tns },
	{ "drda", tests_drda },
	{ "aerospike", tests_aerospike },
	{ "afp", tests_afp },
	{ "match", tests_match },
	{ "policy", tests_policy },
	{ "contract", tests_contract },
	{ "policy, random", tests_policy_random },
	{ "requests", tests_requests },
	{ "hold", tests_hold },
	{ "record", tests_record },
	{ "redis", tests_redis },
	{ "redis_px", tests_redis_px },
	{ "sizes", tests_sizes },
	{ "snmp", tests_snmp },
	{ "ssh", tests_ssh },
	{ "tls", tests_tls },
	{ "tls_hello", tests_tls_hello },
	{ "tls_px", tests_tls_px },
	{ "x509", tests_x509 },
	{ "sql", tests_sql },
	{ "stream", tests_stream },
	{ "sctp", tests_sctp },
	{ "tunnel", tests_tunnel },
	{ "stream one side", tests_stream_side },
	{ "evasion", tests_evasion },
	{ "judge_names", tests_judge_names },
	{ "kafka", tests_kafka },
	{ "oncrpc", tests_oncrpc },
	{ "radius", tests_radius },
	{ "smb", tests_smb },
	{ "tftp", tests_tftp },
	{ "mqtt", tests_mqtt },
	{ "amqp", tests_amqp },
	{ "bacnet", tests_bacnet },
	{ "bfd", tests_bfd },
	{ "bgp", tests_bgp },
	{ "bittorrent", tests_bittorrent },
	{ "coap", tests_coap },
	{ "diameter", tests_diameter },
	{ "dnp3", tests_dnp3 },
	{ "ipsec", tests_ipsec },
	{ "l2tp", tests_l2tp },
	{ "middleware", tests_middleware },
	{ "quic", tests_quic },
	{ "nbns", tests_nbns },
	{ "rmcp", tests_rmcp },
	{ "rpc", tests_rpc },
	{ "nats", tests_nats },
	{ "pptp", tests_pptp },
	{ "stomp", tests_stomp },
	{ "smtp", tests_smtp },
	{ "ssdp", tests_ssdp },
	{ "strict", tests_strict },
	{ "stun", tests_stun },
	{ "fqdn", tests_fqdn },
	{ "ftp", tests_ftp },
	{ "git", tests_git },
	{ "mining", tests_mining },
	{ "modbus", tests_modbus },
	{ "pop3", tests_pop3 },
	{ "rdp", tests_rdp },
	{ "socks", tests_socks },
	{ "telnet", tests_telnet },
	{ "vnc", tests_vnc },
	{ "wireguard", tests_wireguard },
	{ "sip", tests_sip },
	{ "openwire", tests_openwire },
	{ "zmtp", tests_zmtp },
	{ "syslog", tests_syslog },
	{ "irc", tests_irc },
	{ "imap", tests_imap },
	{ "iscsi", tests_iscsi },
	{ "netflow", tests_netflow },
	{ "openvpn", tests_openvpn },
	{ "rocketmq", tests_rocketmq },
	{ "pulsar", tests_pulsar },
	{ "rsync", tests_rsync },
	{ "rtp", tests_rtp },
	{ "sflow", tests_sflow },
	{ "svn", tests_svn },
	{ "x11", tests_x11 },
	{ "nntp", tests_nntp },
	{ "xmpp", tests_xmpp },
	{ "anew", tests_anew },
	{ "renewed", tests_renewed },
	{ 0 },
};
