/* scan.h — a bounds-checked walk over JSON bytes, without copies.
 *
 *     {"e":"trade","p":"61800.30", … }
 *      ▲   ▲
 *      at  └─ a text_t points into the payload: nothing is copied, nothing is terminated by NUL
 *
 * The scanner never reads at or past `end`, never recurses, never allocates. It checks what it walks over (brackets, commas,
 * quotes); a value that nobody asks for is skipped with its brackets counted and its inside unread. Whoever decodes
 * frames, order acknowledgements or execution reports builds on these calls.
 */
#ifndef CRYPTO_TRADE_SCAN_H
#define CRYPTO_TRADE_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* cffi: begin */
/* What a value is, told by its first byte. */
typedef enum text_kind {
    TEXT_NONE = 0, TEXT_STRING = 1, TEXT_NUMBER = 2, TEXT_OBJECT = 3, TEXT_ARRAY = 4, TEXT_TRUE = 5, TEXT_FALSE = 6, TEXT_NULL = 7
} text_kind_e;

/* A piece of the payload. A string is without its quotes and with its escapes as they came. */
typedef struct text {
    const char *at;
    uint32_t size;
    uint16_t kind;                 /* text_kind_e */
    uint16_t has_escape;           /* a string with a backslash in it: do not compare it with plain bytes */
} text_t;

typedef enum scan_result {
    SCAN_OK = 0,
    SCAN_NOT_A_NUMBER = 1,         /* empty, a letter, an exponent, two points */
    SCAN_TOO_PRECISE = 2,          /* a digit other than 0 beyond the wanted decimals */
    SCAN_OVERFLOW = 3              /* does not fit 64 bits */
} scan_result_e;

/* `at[0 .. size)` as a decimal number in units of 10^-decimals (0..18), exactly. Zeros beyond the decimals are fine.
 * Returns a scan_result_e; *result is written with SCAN_OK and, cut towards zero, with SCAN_TOO_PRECISE. */
int scan_fixed(const char *at, uint64_t size, int decimals, int64_t *result);

/* `at[0 .. size)` as a double; plain decimal notation only. Correctly rounded up to 15 digits, else within one unit in
 * the last place. Returns a scan_result_e; *result is written only with SCAN_OK. */
int scan_double(const char *at, uint64_t size, double *result);
/* cffi: end */

typedef struct scan {
    const char *at;
    const char *end;
} scan_t;

#define SCAN_DECIMALS_MAX 18
#define SCAN_KEY 1
#define SCAN_END 0
#define SCAN_MALFORMED (-1)

static inline void scan_space(scan_t *scan)
{
    while (scan->at < scan->end && (unsigned char)*scan->at <= ' ' &&
           (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
        scan->at++;
}

/* Takes `wanted` after white space. Returns false, and takes nothing, if something else stands there. */
static inline bool scan_take(scan_t *scan, char wanted)
{
    scan_space(scan);
    if (scan->at >= scan->end || *scan->at != wanted)
        return false;
    scan->at++;
    return true;
}

/* Takes a string, the quote at `at` included. Returns false if it does not end inside the payload. */
static inline bool scan_string(scan_t *scan, text_t *text)
{
    const char *at = scan->at, *end = scan->end;
    if (at >= end || *at != '"')
        return false;
    const char *start = ++at;
    uint16_t has_escape = 0;
    while (at < end && *at != '"') {
        if (*at == '\\') {
            has_escape = 1;
            if (++at >= end)
                return false;
        }
        at++;
    }
    if (at >= end || at - start > INT32_MAX)
        return false;
    text->at = start;
    text->size = (uint32_t)(at - start);
    text->kind = TEXT_STRING;
    text->has_escape = has_escape;
    scan->at = at + 1;
    return true;
}

/* Takes any one value, after white space; what is inside an object or an array is skipped, its slice keeps the brackets.
 * Returns false if no whole value stands there. */
bool scan_value(scan_t *scan, text_t *text);

/* Takes the next key of an object and its colon. `*is_first` starts as true, after the opening brace.
 * Returns SCAN_KEY, SCAN_END (the closing brace was taken) or SCAN_MALFORMED. */
static inline int scan_key(scan_t *scan, bool *is_first, text_t *key)
{
    scan_space(scan);
    if (scan->at >= scan->end)
        return SCAN_MALFORMED;
    if (*scan->at == '}') {
        scan->at++;
        return SCAN_END;
    }
    if (!*is_first) {
        if (*scan->at != ',')
            return SCAN_MALFORMED;
        scan->at++;
        scan_space(scan);
    }
    *is_first = false;
    if (!scan_string(scan, key) || !scan_take(scan, ':'))
        return SCAN_MALFORMED;
    return SCAN_KEY;
}

extern const int64_t SCAN_POWERS_OF_TEN[SCAN_DECIMALS_MAX + 1];

/* Takes a quoted decimal number ("61800.30") in units of 10^-decimals in one walk. Returns a scan_result_e; after anything
 * but SCAN_OK and SCAN_TOO_PRECISE the scan stands where it stood. */
static inline int scan_quoted_fixed(scan_t *scan, int decimals, int64_t *result)
{
    const char *at = scan->at, *end = scan->end;
    if (at >= end || *at != '"')
        return SCAN_NOT_A_NUMBER;
    const char *start = ++at;
    uint64_t value = 0;
    while (at < end && (unsigned char)(*at - '0') <= 9)
        value = value * 10 + (uint64_t)(*at++ - '0');
    int64_t digits = at - start;
    int missing = decimals;
    bool is_too_precise = false;
    if (digits == 0)
        return SCAN_NOT_A_NUMBER;
    if (at < end && *at == '.') {
        start = ++at;
        while (at < end && missing > 0 && (unsigned char)(*at - '0') <= 9) {
            value = value * 10 + (uint64_t)(*at++ - '0');
            missing--;
        }
        while (at < end && (unsigned char)(*at - '0') <= 9)
            is_too_precise |= *at++ != '0';
        if (at == start)
            return SCAN_NOT_A_NUMBER;
    }
    if (at >= end || *at != '"')
        return SCAN_NOT_A_NUMBER;
    if (digits + decimals > SCAN_DECIMALS_MAX)  /* The sum above may have wrapped: the careful way decides. */
        return SCAN_OVERFLOW;
    scan->at = at + 1;
    *result = (int64_t)(value * (uint64_t)SCAN_POWERS_OF_TEN[missing]);
    return is_too_precise ? SCAN_TOO_PRECISE : SCAN_OK;
}

/* ---- the quick ways: eight bytes at a time, for the shapes that venues really send. Each says no rather than be careful:
 * then the careful way above decides. None reads past `end`; eight bytes of the payload lie in front of it. */

#define SCAN_EACH(byte) (0x0101010101010101ull * (byte))
#define SCAN_HIGH SCAN_EACH(0x80)

/* Eight bytes, the first one lowest. */
static inline uint64_t scan_load(const char *at)
{
    uint64_t bytes;
    memcpy(&bytes, at, sizeof bytes);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    bytes = __builtin_bswap64(bytes);
#endif
    return bytes;
}

/* The eight bytes from `at` on; those from `end` on are 0. */
static inline uint64_t scan_load_within(const char *at, const char *end)
{
    int64_t left = end - at;
    if (left >= 8)
        return scan_load(at);
    return left > 0 ? scan_load(end - 8) >> (64 - 8 * left) : 0;
}

/* The high bit of every byte that is 0; above the first of them also of others. */
static inline uint64_t scan_zeros(uint64_t bytes)
{
    return (bytes - SCAN_EACH(1)) & ~bytes & SCAN_HIGH;
}

static inline uint32_t scan_first(uint64_t high_bits)
{
    return high_bits ? (uint32_t)__builtin_ctzll(high_bits) >> 3 : 8;
}

/* Eight characters less '0', and how many of them are digits before the first that is not. */
static inline uint32_t scan_digits(const char *at, const char *end, uint64_t *digits)
{
    *digits = scan_load_within(at, end) ^ SCAN_EACH('0');
    return scan_first(((*digits + SCAN_EACH(0x76)) | *digits) & SCAN_HIGH);
}

/* Eight digits, the first one most significant, as a number. */
static inline uint64_t scan_eight(uint64_t digits)
{
    digits = (digits * 2561) >> 8;
    digits = ((digits & 0x00ff00ff00ff00ffull) * 6553601) >> 16;
    return ((digits & 0x0000ffff0000ffffull) * 42949672960001ull) >> 32;
}

/* The first `count` (1 … 8) of eight digits as a number. */
static inline uint64_t scan_leading(uint64_t digits, uint32_t count)
{
    return scan_eight(digits << (64 - 8 * count));
}

/* Takes a whole number of at most 15 digits without a sign. Returns how many digits it has, 0: not so. */
static inline uint32_t scan_quick_whole(const char *at, const char *end, int64_t *value)
{
    uint64_t digits;
    uint32_t count = scan_digits(at, end, &digits);
    if (count < 8) {
        *value = count ? (int64_t)scan_leading(digits, count) : 0;
        return count;
    }
    uint64_t high = scan_eight(digits);
    count = scan_digits(at + 8, end, &digits);
    if (count == 8)
        return 0;
    *value = (int64_t)(count ? high * (uint64_t)SCAN_POWERS_OF_TEN[count] + scan_leading(digits, count) : high);
    return 8 + count;
}

/* Takes "61800.30", quotes and all, in units of 10^-8: at most 7 digits before the point, 8 behind it.
 * Returns where it ends, 0: not so. */
static inline const char *scan_quick_decimal(const char *at, const char *end, int64_t *value_e8)
{
    uint64_t digits, fraction = 0;
    if (at >= end || *at != '"')
        return 0;
    uint32_t count = scan_digits(++at, end, &digits);
    if (count == 0 || count == 8)
        return 0;
    at += count;
    if (at < end && *at == '.') {
        uint64_t behind;
        uint32_t places = scan_digits(++at, end, &behind);
        if (places == 0)
            return 0;
        fraction = scan_eight(places == 8 ? behind : behind & ~(~0ull << (8 * places)));
        at += places;
    }
    if (at >= end || *at != '"')
        return 0;
    *value_e8 = (int64_t)(scan_leading(digits, count) * 100000000 + fraction);
    return at + 1;
}

/* Takes a string without a backslash, the quote at `at` included. Returns where it ends, 0: not so. */
static inline const char *scan_quick_string(const char *at, const char *end, text_t *text)
{
    if (at >= end || *at != '"')
        return 0;
    const char *start = ++at;
    for (; at < end; at += 8) {
        uint64_t bytes = scan_load_within(at, end);
        uint64_t quotes = scan_zeros(bytes ^ SCAN_EACH('"')), slashes = scan_zeros(bytes ^ SCAN_EACH('\\'));
        if (quotes | slashes) {
            at += scan_first(quotes | slashes);
            if (*at != '"')
                return 0;
            *text = (text_t){.at = start, .size = (uint32_t)(at - start), .kind = TEXT_STRING};
            return at + 1;
        }
    }
    return 0;
}

/* True if nothing but white space is left. */
static inline bool scan_is_done(scan_t *scan)
{
    scan_space(scan);
    return scan->at == scan->end;
}

#endif
