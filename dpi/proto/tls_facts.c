/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/proto/tls_facts.h"

#include "dpi/digest.h"
#include "dpi/tls_print.h"
#include "dpi/x509.h"

#define ALPN_MAX 16u	/* names told */

static const struct fact f_sni = { "sni", FACT_TLS_SNI }, f_version = { "version", FACT_TLS_VERSION }, f_ja4 = { "ja4", FACT_TLS_JA4 },
	f_issuer = { "issuerdn", FACT_TLS_ISSUER }, f_subject = { "subject", FACT_PLAIN }, f_serial = { "serial", FACT_PLAIN },
	f_fingerprint = { "fingerprint", FACT_PLAIN }, f_notbefore = { "notbefore", FACT_PLAIN }, f_notafter = { "notafter", FACT_PLAIN },
	f_ja3 = { "ja3", FACT_PLAIN }, f_ja3s = { "ja3s", FACT_PLAIN }, f_hash = { "hash", FACT_PLAIN }, f_string = { "string", FACT_PLAIN },
	f_client_alpns = { "client_alpns", FACT_PLAIN }, f_server_alpns = { "server_alpns", FACT_PLAIN },
	f_cipher = { "cipher", FACT_PLAIN }, f_resumed = { "session_resumed", FACT_PLAIN }, f_alert = { "alert", FACT_PLAIN };

const struct fact *const tls_facts[] = { &f_sni, &f_version, &f_ja4, &f_issuer, &f_subject, &f_serial, &f_fingerprint, &f_notbefore,
	&f_notafter, &f_ja3, &f_ja3s, &f_hash, &f_string, &f_client_alpns, &f_server_alpns, &f_cipher, &f_resumed, &f_alert, NULL };

static void put_alpns(struct record *r, const struct fact *f, const struct tls_hello *h)
{
	struct cursor c = tls_cursor(h->alpn);
	struct bytes name;

	if (!h->alpn.n)
		return;
	rec_arr(r, f);
	for (unsigned n = 0; n < ALPN_MAX && tls_alpn_next(&c, &name); n++)
		rec_bytes(r, NULL, name);
	rec_end(r);
}

static void put_ja3(struct record *r, const struct fact *f, const struct tls_hello *h)
{
	struct tls_ja3 ja3;

	tls_ja3(h, &ja3);
	rec_obj(r, f);
	rec_str(r, &f_hash, ja3.hash, 32);
	rec_str(r, &f_string, ja3.text, ja3.n);
	rec_end(r);
}

void tls_put_sni(struct record *r, const struct tls_hello *h)
{
	if (h->sni.n)
		rec_bytes(r, &f_sni, h->sni);
}

void tls_put_prints(struct record *r, const struct tls_hello *h, char transport)
{
	char ja4[TLS_JA4_LEN + 1];

	tls_ja4(h, transport, ja4);
	rec_cstr(r, &f_ja4, ja4);
	put_alpns(r, &f_client_alpns, h);
	put_ja3(r, &f_ja3, h);
}

void tls_put_version(struct record *r, uint16_t version)
{
	char buf[TLS_NAME_MAX];

	rec_cstr(r, &f_version, tls_version_name(version, buf));
}

void tls_put_answer(struct record *r, const struct tls_hello *h)
{
	char buf[TLS_NAME_MAX];

	tls_put_version(r, h->version);
	rec_cstr(r, &f_cipher, tls_cipher_name(h->cipher, buf));
	if (h->psk)
		tls_put_resumed(r);
}

void tls_put_answer_more(struct record *r, const struct tls_hello *h)
{
	put_alpns(r, &f_server_alpns, h);
	put_ja3(r, &f_ja3s, h);
}

static void put_name(struct record *r, const struct fact *f, struct bytes name)
{
	char text[X509_NAME_TEXT];
	bool cut;
	size_t n = x509_name_text(name, text, &cut);

	if (n != SIZE_MAX)
		rec_str(r, f, text, n);
}

static void put_time(struct record *r, const struct fact *f, const struct x509_time *t)
{
	char text[X509_TIME_TEXT];

	if (t->tag && x509_time_text(t, text))
		rec_cstr(r, f, text);
}

void tls_put_certificate(struct record *r, struct bytes der)
{
	char hex[3 * X509_SERIAL_MAX];
	uint8_t sum[DIGEST_MAX];
	struct digest d;
	struct x509 x;

	x509_read(tls_cursor(der), &x);
	put_name(r, &f_issuer, x.issuer);
	put_name(r, &f_subject, x.subject);
	if (x.serial.n) {
		hex_text_sep(hex, x.serial.p, x.serial.n < X509_SERIAL_MAX ? x.serial.n : X509_SERIAL_MAX, ':', true);
		rec_cstr(r, &f_serial, hex);
	}
	digest_init(&d, DIGEST_SHA1);
	digest_add(&d, der.p, der.n);
	hex_text_sep(hex, sum, digest_end(&d, sum), ':', false);
	rec_cstr(r, &f_fingerprint, hex);
	put_time(r, &f_notbefore, &x.not_before);
	put_time(r, &f_notafter, &x.not_after);
}

void tls_put_resumed(struct record *r) { rec_bool(r, &f_resumed, true); }

void tls_put_alert(struct record *r, uint8_t description)
{
	char buf[TLS_NAME_MAX];

	rec_cstr(r, &f_alert, tls_alert_name(description, buf));
}
