/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quic_crypt: see quic_crypt.h. AES-128-GCM with keys by HKDF-SHA256, the packet number behind a mask by AES-128. */
#include "dpi/proto/quic_crypt.h"

#include <nettle/aes.h>
#include <nettle/gcm.h>
#include <nettle/hkdf.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <string.h>

#define SALT_LEN 20u
#define HASH_LEN 32u
#define KEY_LEN 16u
#define IV_LEN 12u
#define LABEL_MAX 32u

static const uint8_t salts[][SALT_LEN] = {
	[QUIC_SALT_23] = { 0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02 },
	[QUIC_SALT_29] = { 0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99 },
	[QUIC_SALT_1] = { 0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a },
	[QUIC_SALT_2] = { 0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9 },
};

enum quic_salt quic_salt_of(uint32_t version)
{
	if (version == 1)
		return QUIC_SALT_1;
	if (version == 0x6b3343cf)
		return QUIC_SALT_2;
	if (version >= 0xff000017 && version <= 0xff00001c)
		return QUIC_SALT_23;
	if (version >= 0xff00001d && version <= 0xff000020)
		return QUIC_SALT_29;
	if (version == 0xff000021 || version == 0xff000022)
		return QUIC_SALT_1;
	return QUIC_SALT_NONE;
}

/* HKDF-Expand-Label with an empty context (RFC 8446 7.1). */
static void expand(const uint8_t secret[HASH_LEN], const char *label, uint8_t *out, size_t n)
{
	uint8_t info[LABEL_MAX] = { 0, (uint8_t)n };
	size_t len = strlen(label);
	struct hmac_sha256_ctx ctx;

	info[2] = (uint8_t)(6 + len);
	memcpy(info + 3, "tls13 ", 6);
	memcpy(info + 9, label, len);
	info[9 + len] = 0;
	hmac_sha256_set_key(&ctx, HASH_LEN, secret);
	hkdf_expand(&ctx, (nettle_hash_update_func *)hmac_sha256_update, (nettle_hash_digest_func *)hmac_sha256_digest, HASH_LEN, 10 + len, info, n, out);
}

static void client_keys(enum quic_salt salt, struct bytes cid, uint8_t key[KEY_LEN], uint8_t iv[IV_LEN], uint8_t hp[KEY_LEN])
{
	uint8_t initial[HASH_LEN], client[HASH_LEN];
	struct hmac_sha256_ctx ctx;

	hmac_sha256_set_key(&ctx, SALT_LEN, salts[salt]);
	hmac_sha256_update(&ctx, cid.n, cid.p);
	hmac_sha256_digest(&ctx, HASH_LEN, initial);
	expand(initial, "client in", client, HASH_LEN);
	expand(client, salt == QUIC_SALT_2 ? "quicv2 key" : "quic key", key, KEY_LEN);
	expand(client, salt == QUIC_SALT_2 ? "quicv2 iv" : "quic iv", iv, IV_LEN);
	expand(client, salt == QUIC_SALT_2 ? "quicv2 hp" : "quic hp", hp, KEY_LEN);
}

bool quic_open(enum quic_salt salt, struct bytes cid, uint8_t *packet, size_t n, size_t pn_at, struct bytes *payload)
{
	uint8_t key[KEY_LEN], iv[IV_LEN], hp[KEY_LEN], mask[AES_BLOCK_SIZE], tag[QUIC_TAG];
	struct aes128_ctx aes;
	struct gcm_aes128_ctx gcm;
	size_t pn_len, head, sealed;

	if (n < pn_at || n - pn_at < 4 + AES_BLOCK_SIZE)	/* the sample lies 4 bytes behind the packet number's beginning */
		return false;
	client_keys(salt, cid, key, iv, hp);
	aes128_set_encrypt_key(&aes, hp);
	aes128_encrypt(&aes, AES_BLOCK_SIZE, mask, packet + pn_at + 4);
	packet[0] ^= mask[0] & 0x0f;
	pn_len = (packet[0] & 3u) + 1;
	head = pn_at + pn_len;
	for (size_t i = 0; i < pn_len; i++) {
		packet[pn_at + i] ^= mask[1 + i];
		iv[IV_LEN - pn_len + i] ^= packet[pn_at + i];	/* Initial packets have small numbers: what is sent is all of it */
	}
	sealed = n - head - QUIC_TAG;
	gcm_aes128_set_key(&gcm, key);
	gcm_aes128_set_iv(&gcm, IV_LEN, iv);
	gcm_aes128_update(&gcm, head, packet);
	gcm_aes128_decrypt(&gcm, sealed, packet + head, packet + head);
	gcm_aes128_digest(&gcm, QUIC_TAG, tag);
	if (!memeql_sec(tag, packet + n - QUIC_TAG, QUIC_TAG))
		return false;
	*payload = (struct bytes){ packet + head, sealed };
	return true;
}
