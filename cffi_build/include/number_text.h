/* number_text.h — decimal text → the nearest double, or a whole number; shared by the scanners of recorded text. */
#ifndef CRYPTO_TRADE_NUMBER_TEXT_H
#define CRYPTO_TRADE_NUMBER_TEXT_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

static const double POWERS_OF_TEN[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                       1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

#define EXACT_MANTISSA_MAX (1ULL << 53)
#define NUMBER_TEXT_MAX 400

static inline int is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

/* Where the fast path cannot promise the nearest double: strtod on a copy that ends with NUL. */
static inline double parse_double_slow(const char *text, const char *end, uint64_t *used)
{
    char copy[NUMBER_TEXT_MAX];
    uint64_t length = 0;
    while (text + length < end && length + 1 < sizeof copy &&
           (is_digit(text[length]) || strchr("+-.eE", text[length]) != NULL) && text[length] != '\0')
        length++;
    memcpy(copy, text, length);
    copy[length] = '\0';
    char *stop = copy;
    double value = strtod(copy, &stop);
    *used = isfinite(value) ? (uint64_t)(stop - copy) : 0;
    return value;
}

/* Clinger's fast path: a mantissa below 2^53 and a power of ten up to 22 are exact doubles, so one division rounds once. */
static inline double parse_double(const char *text, const char *end, uint64_t *used)
{
    const char *p = text;
    int negative = p < end && *p == '-';
    p += negative;
    uint64_t mantissa = 0;
    const char *digits = p;
    while (p < end && is_digit(*p))
        mantissa = mantissa * 10 + (uint64_t)(*p++ - '0');
    uint64_t whole = (uint64_t)(p - digits), fraction = 0;
    if (p < end && *p == '.') {
        const char *point = ++p;
        while (p < end && is_digit(*p))
            mantissa = mantissa * 10 + (uint64_t)(*p++ - '0');
        fraction = (uint64_t)(p - point);
    }
    if (whole + fraction == 0) {
        *used = 0;
        return 0.0;
    }
    if (whole + fraction > 18 || mantissa > EXACT_MANTISSA_MAX || fraction > 22 || (p < end && (*p == 'e' || *p == 'E')))
        return parse_double_slow(text, end, used);
    *used = (uint64_t)(p - text);
    double value = (double)(int64_t)mantissa / POWERS_OF_TEN[fraction];
    return negative ? -value : value;
}

#define EIGHT_ZEROS 0x3030303030303030ULL

/* Eight digits at once (the bytes of a little-endian word are the digits' values from the most significant on). */
static inline uint64_t eight_values(uint64_t word)
{
    word = word * 10 + (word >> 8);
    return (((word & 0x000000FF000000FFULL) * 0x000F424000000064ULL) +
            (((word >> 16) & 0x000000FF000000FFULL) * 0x0000271000000001ULL)) >> 32;
}

static inline int are_values(uint64_t word)
{
    return (((word + 0x7676767676767676ULL) | word) & 0x8080808080808080ULL) == 0;
}

#if defined(__SSE2__)
typedef unsigned __int128 sixteen_t;

/* A mantissa of nine to fifteen digits (so it is below 2^53): the same steps on sixteen bytes. Returns 0 if it is none. */
static inline int parse_long_digits(const char *text, unsigned whole, unsigned has_point, unsigned digits, uint64_t *mantissa)
{
    sixteen_t word, before = ((sixteen_t)1 << 8 * whole) - 1;
    memcpy(&word, text, sizeof word);
    word = (word & before) | (word >> 8 * has_point & ~before);
    word = (word ^ ((sixteen_t)EIGHT_ZEROS << 64 | EIGHT_ZEROS)) << (128 - 8 * digits);
    uint64_t first = (uint64_t)word, last = (uint64_t)(word >> 64);
    *mantissa = eight_values(first) * 100000000 + eight_values(last);
    return are_values(first) && are_values(last);
}

/* As parse_double for the numbers that markets write, without a branch per digit: up to fifteen characters of digits and a point.
 * Sixteen bytes can be read at `text`. Returns how many characters it took; 0: it is another kind of number, or none. */
static inline uint64_t parse_short_double(const char *text, double *value)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)text);
    __m128i above = _mm_sub_epi8(bytes, _mm_set1_epi8('.')); /* '.' is 0, '/' 1, the digits 2 to 11 */
    unsigned number = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(above, _mm_set1_epi8(11)), above));
    unsigned points = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(above, _mm_setzero_si128()));
    unsigned size = (unsigned)__builtin_ctz(~number);
    points &= (1u << size) - 1;
    unsigned whole = (unsigned)__builtin_ctz(points | 1u << size), has_point = points != 0;
    unsigned digits = size - has_point, fraction = size - whole - has_point;
    uint64_t word;
    if (size > 15 || digits == 0 || *text == '.')
        return 0;
    if (size > 8) {
        if (!parse_long_digits(text, whole, has_point, digits, &word))
            return 0;
        *value = (double)(int64_t)word / POWERS_OF_TEN[fraction];
        return size;
    }
    memcpy(&word, text, sizeof word);
    uint64_t before = (1ULL << (8 * whole & 63)) - 1; /* The bytes before the point; none if there are eight digits and none. */
    word = (word & before) | (word >> 8 * has_point & ~before);
    word = (word ^ EIGHT_ZEROS) << (64 - 8 * digits);
    if (!are_values(word)) /* a second point, a slash */
        return 0;
    *value = (double)(int64_t)eight_values(word) / POWERS_OF_TEN[fraction];
    return size;
}
#else
static inline uint64_t parse_short_double(const char *text, double *value)
{
    (void)text;
    (void)value;
    return 0;
}
#endif

static inline double parse_number(const char *text, const char *end, uint64_t *used)
{
    double value;
    if (end - text >= 16 && (*used = parse_short_double(text, &value)) != 0 && text[*used] != 'e' && text[*used] != 'E')
        return value;
    return parse_double(text, end, used);
}

/* A whole number at *p; 0 and *ok = 0 if there is none. */
static inline int64_t parse_integer(const char **p, const char *end, int *ok)
{
    const char *q = *p;
    int negative = q < end && *q == '-';
    q += negative;
    const char *digits = q;
    int64_t value = 0;
    while (q < end && is_digit(*q) && q - digits < 18)
        value = value * 10 + (*q++ - '0');
    if (q < end && is_digit(*q) && value <= (INT64_MAX - 9) / 10)
        value = value * 10 + (*q++ - '0');
    *ok = q > digits && !(q < end && is_digit(*q));
    *p = q;
    return negative ? -value : value;
}

#endif
