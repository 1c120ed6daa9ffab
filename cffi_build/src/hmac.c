#include "hmac.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#define BLOCK 64
#define DIGEST 32
#define LENGTH 8                   /* bytes of the message's size in bits, at the end of its last block */

static const uint32_t ROUNDS[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};
/* 0: not asked yet, −1: none. Whoever asks first writes what everybody would. */
static int hardware;

static const uint32_t START[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static uint32_t turned(uint32_t word, int by) { return word >> by | word << (32 - by); }

static uint32_t read_word(const uint8_t *at) { return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]; }

static void write_word(uint8_t *at, uint32_t word)
{
    for (int index = 0; index < 4; index++)
        at[index] = (uint8_t)(word >> (24 - 8 * index));
}

/* FIPS 180-4, 6.2.2, as it stands there. */
static void take_block_plainly(uint32_t state[8], const uint8_t *block)
{
    uint32_t words[64];
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
    for (int t = 0; t < 16; t++)
        words[t] = read_word(block + 4 * t);
    for (int t = 16; t < 64; t++) {
        uint32_t early = words[t - 15], late = words[t - 2];
        words[t] = words[t - 16] + (turned(early, 7) ^ turned(early, 18) ^ early >> 3) + words[t - 7] +
                   (turned(late, 17) ^ turned(late, 19) ^ late >> 10);
    }
    for (int t = 0; t < 64; t++) {
        uint32_t one = h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + ((e & f) ^ (~e & g)) + ROUNDS[t] + words[t];
        uint32_t two = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + one;
        d = c, c = b, b = a, a = one + two;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

#if defined(__x86_64__)
/* The same with the processor's own instructions, four rounds at a time. It keeps the state as ABEF and CDGH. */
__attribute__((target("sha,sse4.1"))) static void take_block_by_hardware(uint32_t state[8], const uint8_t *block)
{
    const __m128i turn_bytes = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xB1);
    __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1B);
    __m128i abef = _mm_alignr_epi8(cdab, efgh, 8), cdgh = _mm_blend_epi16(efgh, cdab, 0xF0);
    const __m128i abef_before = abef, cdgh_before = cdgh;
    __m128i words[4];
    for (int index = 0; index < 4; index++)
        words[index] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(block + 16 * index)), turn_bytes);
    for (int four = 0; four < 16; four++) {
        __m128i now = words[four % 4], sum = _mm_add_epi32(now, _mm_loadu_si128((const __m128i *)(ROUNDS + 4 * four)));
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0E));
        if (four < 12) {
            __m128i last = words[(four + 3) % 4];
            __m128i sevenths = _mm_alignr_epi8(last, words[(four + 2) % 4], 4);
            now = _mm_add_epi32(_mm_sha256msg1_epu32(now, words[(four + 1) % 4]), sevenths);
            words[four % 4] = _mm_sha256msg2_epu32(now, last);
        }
    }
    abef = _mm_shuffle_epi32(_mm_add_epi32(abef, abef_before), 0x1B);  /* FEBA */
    cdgh = _mm_shuffle_epi32(_mm_add_epi32(cdgh, cdgh_before), 0xB1);  /* DCHG */
    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(abef, cdgh, 0xF0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(cdgh, abef, 8));
}

static int has_hardware(void)
{
    unsigned a, b, c, d;
    if (!hardware) {
        int has = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSE4_1) && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
        hardware = has ? 1 : -1;
    }
    return hardware > 0;
}
#endif

static void take_block(uint32_t state[8], const uint8_t *block)
{
#if defined(__x86_64__)
    if (has_hardware()) {
        take_block_by_hardware(state, block);
        return;
    }
#endif
    take_block_plainly(state, block);
}

/* The rest of a message of which `before` bytes are in the state already, with its end. */
static void finish(uint32_t state[8], const uint8_t *text, uint32_t size, uint64_t before)
{
    uint8_t last[2 * BLOCK] = {0};
    uint64_t bits = (before + size) * 8;
    for (; size >= BLOCK; size -= BLOCK, text += BLOCK)
        take_block(state, text);
    memcpy(last, text, size);
    last[size] = 0x80;
    uint32_t room = size + 1 + LENGTH <= BLOCK ? BLOCK : 2 * BLOCK;
    write_word(last + room - 8, (uint32_t)(bits >> 32));
    write_word(last + room - 4, (uint32_t)bits);
    for (uint32_t at = 0; at < room; at += BLOCK)
        take_block(state, last + at);
}

static void write_state(uint8_t digest[DIGEST], const uint32_t state[8])
{
    for (int index = 0; index < 8; index++)
        write_word(digest + 4 * index, state[index]);
}

void hmac_forbid_hardware(uint32_t is_forbidden) { hardware = is_forbidden ? -1 : 0; }

void hmac_key_init(hmac_key_t *key, const char *secret, uint32_t size)
{
    uint8_t block[BLOCK] = {0};
    if (size > BLOCK) {
        uint32_t state[8];
        memcpy(state, START, sizeof state);
        finish(state, (const uint8_t *)secret, size, 0);
        write_state(block, state);
    } else {
        memcpy(block, secret, size);
    }
    for (int index = 0; index < BLOCK; index++)
        block[index] ^= 0x36;
    memcpy(key->inner, START, sizeof START);
    take_block(key->inner, block);
    for (int index = 0; index < BLOCK; index++)
        block[index] ^= 0x36 ^ 0x5c;
    memcpy(key->outer, START, sizeof START);
    take_block(key->outer, block);
}

void hmac_sign(const hmac_key_t *key, const char *text, uint32_t size, char *signature)
{
    static const char digits[] = "0123456789abcdef";
    uint32_t state[8];
    uint8_t digest[DIGEST];
    memcpy(state, key->inner, sizeof state);
    finish(state, (const uint8_t *)text, size, BLOCK);
    write_state(digest, state);
    memcpy(state, key->outer, sizeof state);
    finish(state, digest, DIGEST, BLOCK);
    write_state(digest, state);
    for (int index = 0; index < DIGEST; index++) {
        *signature++ = digits[digest[index] >> 4];
        *signature++ = digits[digest[index] & 15];
    }
}
