/* csv_wide.h — the usual rows of a Tardis CSV, thirty-two bytes at a time, for processors with AVX2; part of events.c.
 *
 *     binance-futures,BTCUSDT,1723075221817000,1723075221829390,false,bid,61724.2,0.123\n
 *     |---- symbol ----------||-------------- times ------------||----||--||-- window --
 *
 * Where numbers end and the next row begins is asked of a whole window at once, and both numbers of a row are read side by side
 * in one register, so the processor has several rows under way. Anything unusual is left to the general reader: a row counts
 * only if every byte of it is what was expected. Each byte looked at lies before `end`.
 */
#ifndef CRYPTO_TRADE_CSV_WIDE_H
#define CRYPTO_TRADE_CSV_WIDE_H

#include <stddef.h>
#include <string.h>

#include "events.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define WIDE __attribute__((target("avx2,bmi")))
#define WIDE_INLINE WIDE static inline __attribute__((always_inline))
#define WIDE_WINDOW 32

static inline int wide_is_supported(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi");
}

/* How the bytes of a number move when the k-th is taken out (the last row: none is): those before it one place towards the
 * digits behind it, and a zero comes in front. For eight bytes in the lower half of a register, in its upper half, for sixteen. */
#define O 0x80
static const uint8_t WIDE_LOW[9][8] = {
    {O, 1, 2, 3, 4, 5, 6, 7}, {O, 0, 2, 3, 4, 5, 6, 7}, {O, 0, 1, 3, 4, 5, 6, 7},
    {O, 0, 1, 2, 4, 5, 6, 7}, {O, 0, 1, 2, 3, 5, 6, 7}, {O, 0, 1, 2, 3, 4, 6, 7},
    {O, 0, 1, 2, 3, 4, 5, 7}, {O, 0, 1, 2, 3, 4, 5, 6}, {0, 1, 2, 3, 4, 5, 6, 7},
};
static const uint8_t WIDE_HIGH[9][8] = {
    {O, 9, 10, 11, 12, 13, 14, 15}, {O, 8, 10, 11, 12, 13, 14, 15}, {O, 8, 9, 11, 12, 13, 14, 15},
    {O, 8, 9, 10, 12, 13, 14, 15},  {O, 8, 9, 10, 11, 13, 14, 15},  {O, 8, 9, 10, 11, 12, 14, 15},
    {O, 8, 9, 10, 11, 12, 13, 15},  {O, 8, 9, 10, 11, 12, 13, 14},  {8, 9, 10, 11, 12, 13, 14, 15},
};
static const uint8_t WIDE_SIXTEEN[17][16] = {
    {O, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {O, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {O, 0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {O, 0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {O, 0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {O, 0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {O, 0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {O, 0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15},
    {O, 0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15}, {O, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15},
    {O, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15},  {O, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15},
    {O, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15},  {O, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15},
    {O, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15},  {O, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
};
#undef O
/* From [16 − n] on: sixteen bytes that keep the last n; from [24 − n] on, eight. */
static const uint8_t WIDE_KEPT[32] = {0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,
                                      255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
/* What to divide by if the point was the k-th of sixteen bytes (16: there was none); for eight bytes from [8] on. */
static const double WIDE_POWERS[17] = {1e15, 1e14, 1e13, 1e12, 1e11, 1e10, 1e9, 1e8, 1e7, 1e6, 1e5, 1e4, 1e3, 1e2, 1e1, 1, 1};

/* Kept in registers over the loop: the compiler would make them anew from immediates in every row. */
typedef struct wide_constants {
    __m256i zeros, points, nines, tens, hundreds, thousands, newlines, commas;
} wide_constants_t;

#define WIDE_HIDE(value) __asm__("" : "+x"(value))

WIDE_INLINE wide_constants_t wide_constants(void)
{
    wide_constants_t k = {_mm256_set1_epi8('0'),           _mm256_set1_epi8('.' - '0'),        _mm256_set1_epi8(9),
                          _mm256_set1_epi16(10 | 1 << 8),  _mm256_set1_epi32(100 | 1 << 16),   _mm256_set1_epi32(10000 | 1 << 16),
                          _mm256_set1_epi8('\n'),          _mm256_set1_epi8(',')};
    WIDE_HIDE(k.zeros);
    WIDE_HIDE(k.points);
    WIDE_HIDE(k.nines);
    WIDE_HIDE(k.tens);
    WIDE_HIDE(k.hundreds);
    WIDE_HIDE(k.thousands);
    WIDE_HIDE(k.newlines);
    WIDE_HIDE(k.commas);
    return k;
}

WIDE_INLINE __m128i wide_two_eights(const void *one, const void *two)
{
    int64_t low, high;
    memcpy(&low, one, sizeof low);
    memcpy(&high, two, sizeof high);
    return _mm_set_epi64x(high, low);
}

WIDE_INLINE __m256i wide_two_sixteens(const void *one, const void *two)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)one)),
                                   _mm_loadu_si128((const __m128i *)two), 1);
}

#define LOW_HALF(value) _mm256_castsi256_si128(value)

/* Two numbers of up to eight characters that end before `stop` and `stop_2`. Both are below 2^53 and the powers exact, so one
 * division rounds each once, to the double nearest to the text. Returns 0 if one of them is no such number. */
WIDE_INLINE int wide_short_numbers(const wide_constants_t *k, const char *stop, uint64_t size, const char *stop_2, uint64_t size_2,
                                   double *values)
{
    __m128i bytes = _mm_sub_epi8(wide_two_eights(stop - 8, stop_2 - 8), LOW_HALF(k->zeros));
    bytes = _mm_and_si128(bytes, wide_two_eights(WIDE_KEPT + 8 + size, WIDE_KEPT + 8 + size_2));
    uint32_t points = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, LOW_HALF(k->points)));
    uint64_t place = _tzcnt_u32(points | 1u << 8), place_2 = _tzcnt_u32(points >> 8 | 1u << 8);
    bytes = _mm_shuffle_epi8(bytes, wide_two_eights(WIDE_LOW[place], WIDE_HIGH[place_2]));
    __m128i beyond = _mm_subs_epu8(bytes, LOW_HALF(k->nines)); /* Zero where a digit stands. */
    __m128i fours = _mm_madd_epi16(_mm_maddubs_epi16(bytes, LOW_HALF(k->tens)), LOW_HALF(k->hundreds));
    __m128i eights = _mm_madd_epi16(_mm_packus_epi32(fours, fours), LOW_HALF(k->thousands));
    __m128d powers = _mm_loadh_pd(_mm_load_sd(WIDE_POWERS + 8 + place), WIDE_POWERS + 8 + place_2);
    _mm_storeu_pd(values, _mm_div_pd(_mm_cvtepi32_pd(eights), powers));
    return _mm_testz_si128(beyond, beyond);
}

/* The same for up to fifteen characters. */
WIDE_INLINE int wide_long_numbers(const wide_constants_t *k, const char *stop, uint64_t size, const char *stop_2, uint64_t size_2,
                                  double *values)
{
    __m256i bytes = _mm256_sub_epi8(wide_two_sixteens(stop - 16, stop_2 - 16), k->zeros);
    bytes = _mm256_and_si256(bytes, wide_two_sixteens(WIDE_KEPT + size, WIDE_KEPT + size_2));
    uint32_t points = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, k->points));
    uint64_t place = _tzcnt_u32(points | 1u << 16), place_2 = _tzcnt_u32(points >> 16 | 1u << 16);
    bytes = _mm256_shuffle_epi8(bytes, wide_two_sixteens(WIDE_SIXTEEN[place], WIDE_SIXTEEN[place_2]));
    __m256i beyond = _mm256_subs_epu8(bytes, k->nines);
    __m256i fours = _mm256_madd_epi16(_mm256_maddubs_epi16(bytes, k->tens), k->hundreds);
    __m256i eights = _mm256_madd_epi16(_mm256_packus_epi32(fours, fours), k->thousands);
    __m128i halves = _mm_unpacklo_epi64(LOW_HALF(eights), _mm256_extracti128_si256(eights, 1));
    __m256d parts = _mm256_mul_pd(_mm256_cvtepi32_pd(halves), _mm256_set_pd(1, 1e8, 1, 1e8));
    __m128d whole = _mm_hadd_pd(_mm256_castpd256_pd128(parts), _mm256_extractf128_pd(parts, 1));
    __m128d powers = _mm_loadh_pd(_mm_load_sd(WIDE_POWERS + place), WIDE_POWERS + place_2);
    _mm_storeu_pd(values, _mm_div_pd(whole, powers));
    return _mm256_testz_si256(beyond, beyond);
}

/* `text`: a number, a comma at [comma], a number up to [stop]. */
WIDE_INLINE int wide_two_numbers(const wide_constants_t *k, const char *text, uint64_t comma, uint64_t stop, double *values)
{
    uint64_t size = comma, size_2 = stop - comma - 1;
    if (text[0] == '.' || text[comma + 1] == '.') /* Perhaps a point alone. */
        return 0;
    if ((size - 1 < 8) & (size_2 - 1 < 8))
        return wide_short_numbers(k, text + comma, size, text + stop, size_2, values);
    if ((size - 1 < 15) & (size_2 - 1 < 15))
        return wide_long_numbers(k, text + comma, size, text + stop, size_2, values);
    return 0;
}

#define WIDE_TIMES_SIZE 34         /* Two times of sixteen digits with their commas. */
#define WIDE_TIME_MAX 92233720     /* The upper eight digits of a time in µs whose ns fit; later ones: the general reader. */

/* Both times, in ns. Returns 0 if they are not two of sixteen digits. */
WIDE_INLINE int wide_times(const wide_constants_t *k, const char *text, __m128i *times)
{
    __m256i bytes = _mm256_sub_epi8(wide_two_sixteens(text, text + 17), k->zeros);
    __m256i beyond = _mm256_subs_epu8(bytes, k->nines);
    __m256i fours = _mm256_madd_epi16(_mm256_maddubs_epi16(bytes, k->tens), k->hundreds);
    __m256i eights = _mm256_madd_epi16(_mm256_packus_epi32(fours, fours), k->thousands);
    uint64_t exch = (uint64_t)_mm_cvtsi128_si64(LOW_HALF(eights));
    uint64_t local = (uint64_t)_mm_cvtsi128_si64(_mm256_extracti128_si256(eights, 1));
    uint64_t exch_ns = (uint32_t)exch * 100000000000ULL + (exch >> 32) * 1000;
    uint64_t local_ns = (uint32_t)local * 100000000000ULL + (local >> 32) * 1000;
    *times = _mm_set_epi64x((int64_t)local_ns, (int64_t)exch_ns);
    return _mm256_testz_si256(beyond, beyond) & (text[16] == ',') & (text[33] == ',') &
           ((uint32_t)exch < WIDE_TIME_MAX) & ((uint32_t)local < WIDE_TIME_MAX);
}

static inline uint32_t wide_four_bytes(const char *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

WIDE_INLINE __m256i wide_bytes(const char *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

WIDE_INLINE uint32_t wide_places(__m256i bytes, __m256i wanted)
{
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, wanted));
}

#define WIDE_FLAG_SIZE 6           /* `false,` */
#define WIDE_ID_SIZE_MAX 63        /* A UUID has 36 characters. */
#define WIDE_HEAD_SIZE_MAX (3 * WIDE_WINDOW)
#define WIDE_BEHIND_HEAD (WIDE_ID_SIZE_MAX + 1 + 5 + WIDE_WINDOW + 2) /* So many bytes behind a head may be looked at. */

/* Passes over an id and its comma. NULL: it is too long to be one, or the row ends before. */
WIDE_INLINE const char *wide_after_id(const wide_constants_t *k, const char *text)
{
    uint64_t commas = wide_places(wide_bytes(text), k->commas), newlines = wide_places(wide_bytes(text), k->newlines);
    if (commas == 0) {
        commas = (uint64_t)wide_places(wide_bytes(text + WIDE_WINDOW), k->commas) << WIDE_WINDOW;
        newlines |= (uint64_t)wide_places(wide_bytes(text + WIDE_WINDOW), k->newlines) << WIDE_WINDOW;
        if (commas == 0)
            return NULL;
    }
    uint64_t place = (uint64_t)__builtin_ctzll(commas);
    return newlines & ((1ULL << place) - 1) ? NULL : text + place + 1;
}

/* The side and its comma at *text, which moves behind it. Returns the event's flag; 0: it is neither side. Which one it is no
 * processor can guess: nothing branches on it. */
WIDE_INLINE uint64_t wide_side(const char **text, int is_depth)
{
    uint32_t side = wide_four_bytes(*text), buy = wide_four_bytes(is_depth ? "bid," : "buy,");
    uint64_t is_buy = side == buy, is_sell = side == wide_four_bytes(is_depth ? "ask," : "sell");
    if (!is_depth)
        is_sell &= (*text)[4] == ',';
    *text += is_depth ? 4 : 5 - is_buy;
    return is_buy * EVENT_BUY | is_sell * EVENT_SELL;
}

/* `exchange,symbol,` of the file: what every row begins with. */
typedef struct wide_symbol {
    uint64_t size;
    uint64_t rest_at;              /* The window that ends with it begins here. */
    __m256i  first, rest;
    uint32_t first_places;         /* Bytes of `first` that belong to it. */
} wide_symbol_t;

WIDE_INLINE wide_symbol_t wide_symbol(const csv_scan_t *scan)
{
    char text[sizeof scan->symbol + WIDE_WINDOW] = {0};
    uint64_t size = scan->symbol_length + 1;
    memcpy(text, scan->symbol, scan->symbol_length);
    text[size - 1] = ',';
    uint64_t rest_at = size > WIDE_WINDOW ? size - WIDE_WINDOW : 0;
    return (wide_symbol_t){size, rest_at, wide_bytes(text), wide_bytes(text + rest_at),
                           size >= WIDE_WINDOW ? UINT32_MAX : (1u << size) - 1};
}

WIDE_INLINE int wide_is_symbol(const wide_symbol_t *symbol, const char *p)
{
    uint32_t places = wide_places(wide_bytes(p), symbol->first) & wide_places(wide_bytes(p + symbol->rest_at), symbol->rest);
    return (places & symbol->first_places) == symbol->first_places;
}

/* What the row before began with, up to its side. Rows of one message begin alike. */
typedef struct wide_head {
    uint64_t size;
    __m256i  first, middle, rest;
} wide_head_t;

WIDE_INLINE void wide_remember(wide_head_t *head, const char *p)
{
    head->first = wide_bytes(p);
    if (head->size > 2 * WIDE_WINDOW)
        head->middle = wide_bytes(p + WIDE_WINDOW);
    head->rest = wide_bytes(p + head->size - WIDE_WINDOW);
}

WIDE_INLINE int wide_is_head(const wide_head_t *head, const char *p)
{
    __m256i same = _mm256_and_si256(_mm256_cmpeq_epi8(wide_bytes(p), head->first),
                                    _mm256_cmpeq_epi8(wide_bytes(p + head->size - WIDE_WINDOW), head->rest));
    if (head->size > 2 * WIDE_WINDOW)
        same = _mm256_and_si256(same, _mm256_cmpeq_epi8(wide_bytes(p + WIDE_WINDOW), head->middle));
    return _mm256_movemask_epi8(same) == -1;
}

/* Rows from `p` on until one is unusual, `room` is used up or `end` is near. Returns how many; *next is where the next begins. */
WIDE_INLINE uint64_t wide_rows(const csv_scan_t *scan, const char *p, const char *end, event_row_t *rows, uint64_t room, int is_depth,
                               const char **next)
{
    uint64_t kind = is_depth ? EVENT_DEPTH : EVENT_TRADE, count = 0;
    wide_head_t head = {.size = scan->symbol_length + 1 + WIDE_TIMES_SIZE + (is_depth ? WIDE_FLAG_SIZE : 0)};
    uint64_t reach = head.size + WIDE_BEHIND_HEAD;
    *next = p;
    if (scan->symbol_length == 0 || head.size > WIDE_HEAD_SIZE_MAX || (uint64_t)(end - p) < reach)
        return 0;
    wide_constants_t k = wide_constants();
    wide_symbol_t symbol = wide_symbol(scan);
    __m128i nothing = _mm_setzero_si128(), times = nothing;
    wide_remember(&head, p);
    head.first = _mm256_xor_si256(head.first, k.nines); /* The first row is not like itself: its times must be read. */
    for (const char *last = end - reach; p <= last && count < room; count++) {
        const char *text = p + head.size;
        if (!is_depth || !wide_is_head(&head, p)) {
            if (!wide_is_symbol(&symbol, p) || !wide_times(&k, p + symbol.size, &times))
                break;
            if (is_depth && (wide_four_bytes(text - 6) != wide_four_bytes("fals") || text[-2] != 'e' || text[-1] != ','))
                break;
            if (is_depth)
                wide_remember(&head, p);
        }
        if (!is_depth && (text = wide_after_id(&k, text)) == NULL)
            break;
        uint64_t side = wide_side(&text, is_depth);
        __m256i window = wide_bytes(text);
        uint32_t newlines = wide_places(window, k.newlines), commas = wide_places(window, k.commas);
        if (side == 0 || newlines == 0)
            break;
        uint64_t comma = _tzcnt_u32(commas), stop = _tzcnt_u32(newlines);
        event_row_t *row = &rows[count];
        row->ev = kind | side;
        _mm_storeu_si128((__m128i *)&row->exch_ts, times);
        _mm_storeu_si128((__m128i *)&row->order_id, nothing);
        row->fval = 0.0;
        if (!wide_two_numbers(&k, text, comma, stop, &row->px))
            break;
        p = text + stop + 1;
    }
    *next = p;
    return count;
}

WIDE static uint64_t wide_depth_rows(const csv_scan_t *scan, const char *p, const char *end, event_row_t *rows, uint64_t room,
                                     const char **next)
{
    return wide_rows(scan, p, end, rows, room, 1, next);
}

WIDE static uint64_t wide_trade_rows(const csv_scan_t *scan, const char *p, const char *end, event_row_t *rows, uint64_t room,
                                     const char **next)
{
    return wide_rows(scan, p, end, rows, room, 0, next);
}

_Static_assert(offsetof(event_row_t, local_ts) == 16 && offsetof(event_row_t, qty) == 32 && offsetof(event_row_t, ival) == 48,
               "two neighbours of a row are written at once");

#else
static inline int wide_is_supported(void)
{
    return 0;
}

static uint64_t wide_depth_rows(const csv_scan_t *scan, const char *p, const char *end, event_row_t *rows, uint64_t room,
                                const char **next)
{
    (void)scan, (void)end, (void)rows, (void)room;
    *next = p;
    return 0;
}

#define wide_trade_rows wide_depth_rows
#endif

#endif
