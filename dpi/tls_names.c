/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tls_names: names of versions (as Suricata writes them), cipher suites and alerts (as IANA does). */
#include <stdio.h>

#include "dpi/tls_hello.h"

static const struct {
	uint16_t number;
	const char *name;
} suites[] = {
#define X(n, text) { n, text },
#include "dpi/tls_suites.def"
#undef X
};

const char *tls_version_name(uint16_t version, char buf[TLS_NAME_MAX])
{
	switch (version) {
	case TLS_SSL2: return "SSLv2";
	case TLS_SSL3: return "SSLv3";
	case TLS_1_0: return "TLSv1";
	case TLS_1_1: return "TLS 1.1";
	case TLS_1_2: return "TLS 1.2";
	case TLS_1_3: return "TLS 1.3";
	case TLS_DTLS_1_0: return "DTLS 1.0";
	case TLS_DTLS_1_2: return "DTLS 1.2";
	case TLS_DTLS_1_3: return "DTLS 1.3";
	default: break;
	}
	/* drafts of TLS 1.3: 0x7f and the draft's number; 0xfb is Facebook's own count */
	if (version >> 8 == 0x7f || version >> 8 == 0xfb)
		snprintf(buf, TLS_NAME_MAX, "TLS 1.3");
	else
		snprintf(buf, TLS_NAME_MAX, "0x%04x", version);
	return buf;
}

const char *tls_cipher_name(uint16_t cipher, char buf[TLS_NAME_MAX])
{
	size_t lo = 0, hi = sizeof(suites) / sizeof(*suites);

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (suites[mid].number == cipher)
			return suites[mid].name;
		if (suites[mid].number < cipher)
			lo = mid + 1;
		else
			hi = mid;
	}
	snprintf(buf, TLS_NAME_MAX, "0x%04x", cipher);
	return buf;
}

const char *tls_alert_name(uint8_t description, char buf[TLS_NAME_MAX])
{
	static const char *const names[] = {
		[0] = "close_notify", [10] = "unexpected_message", [20] = "bad_record_mac", [21] = "decryption_failed",
		[22] = "record_overflow", [30] = "decompression_failure", [40] = "handshake_failure", [41] = "no_certificate",
		[42] = "bad_certificate", [43] = "unsupported_certificate", [44] = "certificate_revoked",
		[45] = "certificate_expired", [46] = "certificate_unknown", [47] = "illegal_parameter", [48] = "unknown_ca",
		[49] = "access_denied", [50] = "decode_error", [51] = "decrypt_error", [60] = "export_restriction",
		[70] = "protocol_version", [71] = "insufficient_security", [80] = "internal_error",
		[86] = "inappropriate_fallback", [90] = "user_canceled", [100] = "no_renegotiation",
		[109] = "missing_extension", [110] = "unsupported_extension", [111] = "certificate_unobtainable",
		[112] = "unrecognized_name", [113] = "bad_certificate_status_response", [114] = "bad_certificate_hash_value",
		[115] = "unknown_psk_identity", [116] = "certificate_required", [120] = "no_application_protocol",
	};

	if (description < sizeof(names) / sizeof(*names) && names[description])
		return names[description];
	snprintf(buf, TLS_NAME_MAX, "%u", description);
	return buf;
}
