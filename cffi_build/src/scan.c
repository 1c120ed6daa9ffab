#include "scan.h"

#include <stddef.h>
#include <string.h>

const int64_t SCAN_POWERS_OF_TEN[SCAN_DECIMALS_MAX + 1] = {
    1LL, 10LL, 100LL, 1000LL, 10000LL, 100000LL, 1000000LL, 10000000LL, 100000000LL, 1000000000LL, 10000000000LL,
    100000000000LL, 1000000000000LL, 10000000000000LL, 100000000000000LL, 1000000000000000LL, 10000000000000000LL,
    100000000000000000LL, 1000000000000000000LL,
};

static inline bool is_digit(char character) { return (unsigned char)(character - '0') <= 9; }

int scan_fixed(const char *at, uint64_t size, int decimals, int64_t *result)
{
    if (decimals < 0 || decimals > SCAN_DECIMALS_MAX)
        return SCAN_OVERFLOW;
    const char *end = at + size;
    bool is_negative = false;
    if (at < end && *at == '-') {
        is_negative = true;
        at++;
    }
    int64_t value = 0;
    const char *start = at;
    while (at < end && is_digit(*at)) {
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *at - '0', &value))
            return SCAN_OVERFLOW;
        at++;
    }
    if (at == start)
        return SCAN_NOT_A_NUMBER;
    int missing = decimals;
    bool is_too_precise = false;
    if (at < end && *at == '.') {
        start = ++at;
        while (at < end && missing > 0 && is_digit(*at)) {
            if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *at - '0', &value))
                return SCAN_OVERFLOW;
            at++;
            missing--;
        }
        while (at < end && is_digit(*at)) {
            is_too_precise |= *at != '0';
            at++;
        }
        if (at == start || at != end)
            return SCAN_NOT_A_NUMBER;
    }
    if (at != end)
        return SCAN_NOT_A_NUMBER;
    if (missing && __builtin_mul_overflow(value, SCAN_POWERS_OF_TEN[missing], &value))
        return SCAN_OVERFLOW;
    *result = is_negative ? -value : value;
    return is_too_precise ? SCAN_TOO_PRECISE : SCAN_OK;
}

int scan_double(const char *at, uint64_t size, double *result)
{
    const char *end = at + size;
    bool is_negative = false, has_point = false, has_digit = false;
    if (at < end && *at == '-') {
        is_negative = true;
        at++;
    }
    int64_t mantissa = 0;
    int fraction_digits = 0, zeros = 0;  /* Zeros are held back, so that "0.0100000000000" costs no precision. */
    for (; at < end; at++) {
        if (*at == '.') {
            if (has_point || !has_digit)
                return SCAN_NOT_A_NUMBER;
            has_point = true;
            continue;
        }
        if (!is_digit(*at))
            return SCAN_NOT_A_NUMBER;
        has_digit = true;
        if (!has_point) {
            if (__builtin_mul_overflow(mantissa, 10, &mantissa) || __builtin_add_overflow(mantissa, *at - '0', &mantissa))
                return SCAN_OVERFLOW;
        } else if (*at == '0') {
            zeros++;
        } else if (fraction_digits + zeros < SCAN_DECIMALS_MAX) {
            int64_t longer;
            if (__builtin_mul_overflow(mantissa, SCAN_POWERS_OF_TEN[zeros + 1], &longer) ||
                __builtin_add_overflow(longer, *at - '0', &longer))
                continue;  /* Beyond what a double can tell. */
            mantissa = longer;
            fraction_digits += zeros + 1;
            zeros = 0;
        }
    }
    if (!has_digit || end[-1] == '.')
        return SCAN_NOT_A_NUMBER;
    double value = (double)mantissa / (double)SCAN_POWERS_OF_TEN[fraction_digits];
    *result = is_negative ? -value : value;
    return SCAN_OK;
}

static bool take_literal(scan_t *scan, const char *word, size_t size)
{
    if ((size_t)(scan->end - scan->at) < size || memcmp(scan->at, word, size) != 0)
        return false;
    scan->at += size;
    return true;
}

/* Skips from an opening bracket to the one that closes it; brackets inside strings do not count. */
static bool skip_brackets(scan_t *scan)
{
    uint64_t depth = 0;
    const char *at = scan->at, *end = scan->end;
    while (at < end) {
        char character = *at;
        if (character == '"') {
            text_t inside;
            scan->at = at;
            if (!scan_string(scan, &inside))
                return false;
            at = scan->at;
            continue;
        }
        at++;
        if (character == '{' || character == '[') {
            depth++;
        } else if (character == '}' || character == ']') {
            if (--depth == 0) {
                scan->at = at;
                return true;
            }
        }
    }
    return false;
}

bool scan_value(scan_t *scan, text_t *text)
{
    scan_space(scan);
    if (scan->at >= scan->end)
        return false;
    const char *start = scan->at;
    text->has_escape = 0;
    switch (*start) {
    case '"':
        return scan_string(scan, text);
    case '{':
    case '[':
        text->kind = *start == '{' ? TEXT_OBJECT : TEXT_ARRAY;
        if (!skip_brackets(scan))
            return false;
        break;
    case 't':
        text->kind = TEXT_TRUE;
        if (!take_literal(scan, "true", 4))
            return false;
        break;
    case 'f':
        text->kind = TEXT_FALSE;
        if (!take_literal(scan, "false", 5))
            return false;
        break;
    case 'n':
        text->kind = TEXT_NULL;
        if (!take_literal(scan, "null", 4))
            return false;
        break;
    default:
        if (*start != '-' && !is_digit(*start))
            return false;
        text->kind = TEXT_NUMBER;
        scan->at++;
        while (scan->at < scan->end && (is_digit(*scan->at) || *scan->at == '.' || *scan->at == 'e' || *scan->at == 'E' ||
                                        *scan->at == '+' || *scan->at == '-'))
            scan->at++;
    }
    if (scan->at - start > INT32_MAX)
        return false;
    text->at = start;
    text->size = (uint32_t)(scan->at - start);
    return true;
}
