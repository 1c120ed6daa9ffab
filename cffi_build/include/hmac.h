/* hmac.h — HMAC-SHA256 of a short text with a key that stays (FIPS 180-4, RFC 2104).
 *
 *     inner = SHA-256(key ^ 0x36… ‖ text)      both keys hashed once: a signature costs the blocks of its text and one more
 *     outer = SHA-256(key ^ 0x5c… ‖ inner)
 *
 * OpenSSL does the same as fast while it is warm. Between two orders it is not, and its way through contexts, locks and
 * allocations is a hundred times as long as this file.
 */
#ifndef CRYPTO_TRADE_HMAC_H
#define CRYPTO_TRADE_HMAC_H

#include <stdint.h>

/* cffi: begin */
#define SIGNATURE_SIZE 64          /* lower-case hex digits */

/* A secret, hashed. Whoever has these bytes can sign. */
typedef struct hmac_key {
    uint32_t inner[8];
    uint32_t outer[8];
} hmac_key_t;

/* Hashes a secret of any size. */
void hmac_key_init(hmac_key_t *key, const char *secret, uint32_t size);

/* From now on without the processor's own instructions for it, or (0) with them, where it has any. For tests. */
void hmac_forbid_hardware(uint32_t is_forbidden);

/* Writes SIGNATURE_SIZE hex digits, without a NUL. */
void hmac_sign(const hmac_key_t *key, const char *text, uint32_t size, char *signature);
/* cffi: end */

#endif
