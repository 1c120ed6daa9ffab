#include "frames.h"

#include <assert.h>
#include <string.h>

#include "scan.h"

/* ---- symbols ----------------------------------------------------------------------------------------------- */

static inline uint32_t hash_of(const char *name, uint32_t size)
{
    uint64_t hash = size;
    for (; size > 8; size -= 8, name += 8)
        hash = (hash ^ scan_load(name)) * 0x9e3779b97f4a7c15ull;
    uint64_t rest = 0;
    if (size >= 4) {  /* Two halves that may overlap: no loop over bytes. */
        uint32_t first, last;
        memcpy(&first, name, 4);
        memcpy(&last, name + size - 4, 4);
        rest = (uint64_t)first << 32 | last;
    } else {
        for (uint32_t index = 0; index < size; index++)
            rest = rest << 8 | (unsigned char)name[index];
    }
    hash = (hash ^ rest) * 0x9e3779b97f4a7c15ull;
    return (uint32_t)(hash >> 32);
}

/* step · 10^-decimals as a grid of 10^-8. */
static grid_t grid_of(int64_t step, uint8_t decimals)
{
    grid_t grid = {0};
    int64_t odd;
    if (decimals > 8 || __builtin_mul_overflow(step, SCAN_POWERS_OF_TEN[8 - decimals], &odd))
        return grid;
    grid.shift = (uint32_t)__builtin_ctzll((uint64_t)odd);
    odd >>= grid.shift;
    grid.inverse = 1;
    for (int round = 0; round < 6; round++)  /* Newton: every round doubles the bits that are right. */
        grid.inverse *= 2 - (uint64_t)odd * grid.inverse;
    grid.quotient_max = UINT64_MAX / (uint64_t)odd;
    grid.is_usable = 1;
    return grid;
}

/* Whole steps in a value ≥ 0. Returns false if it lies between two of them. */
static inline bool grid_divide(const grid_t *grid, int64_t value_e8, int64_t *steps)
{
    uint64_t value = (uint64_t)value_e8, quotient = (value >> grid->shift) * grid->inverse;
    *steps = (int64_t)quotient;
    return quotient <= grid->quotient_max && (value & ((1ull << grid->shift) - 1)) == 0;
}

void symbols_init(symbols_t *symbols, symbol_t *slots, uint32_t capacity, uint16_t *buckets, uint32_t bucket_count)
{
    assert(bucket_count > capacity && (bucket_count & (bucket_count - 1)) == 0 && "a power of two that leaves free buckets");
    assert(capacity < NO_SLOT && "a slot number fits 16 bits");
    *symbols = (symbols_t){.slots = slots, .buckets = buckets, .capacity = capacity, .bucket_count = bucket_count};
    for (uint32_t index = 0; index < bucket_count; index++)
        buckets[index] = NO_SLOT;
}

/* Returns the bucket that holds the name, or the free one where it belongs. */
static uint32_t bucket_of(const symbols_t *symbols, const char *name, uint32_t size)
{
    uint32_t mask = symbols->bucket_count - 1, bucket = hash_of(name, size) & mask;
    for (;; bucket = (bucket + 1) & mask) {
        uint16_t slot = symbols->buckets[bucket];
        if (slot == NO_SLOT)
            return bucket;
        const symbol_t *symbol = &symbols->slots[slot];
        if (symbol->size == size && memcmp(symbol->name, name, size) == 0)
            return bucket;
    }
}

int32_t symbols_find(const symbols_t *symbols, const char *name, uint32_t size)
{
    uint16_t slot = symbols->buckets[bucket_of(symbols, name, size)];
    return slot == NO_SLOT ? -1 : slot;
}

int32_t symbols_add(symbols_t *symbols, const char *name, uint32_t size, uint16_t instrument_index, uint8_t price_decimals,
                    int64_t tick_size, uint8_t quantity_decimals, int64_t lot_size)
{
    if (size == 0 || size >= SYMBOL_SIZE)
        return -1;
    uint32_t bucket = bucket_of(symbols, name, size);
    if (symbols->buckets[bucket] != NO_SLOT)
        return symbols->buckets[bucket];
    if (symbols->count == symbols->capacity)
        return -1;
    assert(tick_size > 0 && lot_size > 0 && "a tick and a lot are positive");
    assert(price_decimals <= SCAN_DECIMALS_MAX && quantity_decimals <= SCAN_DECIMALS_MAX && "decimals fit 64 bits");
    for (; price_decimals > 0 && tick_size % 10 == 0; price_decimals--)
        tick_size /= 10;
    for (; quantity_decimals > 0 && lot_size % 10 == 0; quantity_decimals--)
        lot_size /= 10;
    uint16_t slot = (uint16_t)symbols->count++;
    symbol_t *symbol = &symbols->slots[slot];
    *symbol = (symbol_t){.size = size, .instrument_index = instrument_index, .price_decimals = price_decimals,
                         .quantity_decimals = quantity_decimals, .tick_size = tick_size, .lot_size = lot_size,
                         .price_grid = grid_of(tick_size, price_decimals),
                         .quantity_grid = grid_of(lot_size, quantity_decimals)};
    memcpy(symbol->name, name, size);
    symbols->buckets[bucket] = slot;
    return slot;
}

/* ---- one frame --------------------------------------------------------------------------------------------- */

/* Everything the object of the event said, by letter: what it means depends on the kind, which may come last. */
typedef struct decoder {
    const char *payload;
    const symbols_t *symbols;
    const symbol_t *symbol;
    frame_t *frame;
    level_t *bids;
    level_t *asks;
    uint32_t capacity;
    uint64_t present[2];           /* letters that have a value */
    uint64_t are_whole[2];         /* … which stands in `number` already */
    uint64_t are_decimal[2];       /* … in 10^-8 */
    text_t field[128];
    int64_t number[128];
    text_t previous_id, last_update_id, bids_text, asks_text;
    text_t stream, result, id, error, code, message;
    bool are_bids_parsed, are_asks_parsed;
} decoder_t;

static inline bool is_in(const uint64_t letters[2], char letter)
{
    return letters[(unsigned char)letter >> 6] >> ((unsigned char)letter & 63) & 1;
}

static inline void put_in(uint64_t letters[2], char letter)
{
    letters[(unsigned char)letter >> 6] |= 1ull << ((unsigned char)letter & 63);
}

static inline bool has(const decoder_t *decoder, char letter)
{
    return is_in(decoder->present, letter);
}

static inline bool is_word(const text_t *text, const char *word, uint32_t size)
{
    return text->kind == TEXT_STRING && text->size == size && !text->has_escape && memcmp(text->at, word, size) == 0;
}
#define IS(text, word) is_word((text), (word), sizeof(word) - 1)

static int fail(frame_t *frame, int error)
{
    frame->kind = FRAME_MALFORMED;
    frame->error = (uint16_t)error;
    return FRAME_MALFORMED;
}

/* `value` in whole ticks or lots, cut. Returns false if it lay between two of them. */
static inline bool to_grid(int64_t *value, int64_t step)
{
    if (step == 1)
        return true;
    int64_t units = *value / step, rest = *value % step;
    *value = units;
    return rest == 0;
}

/* One "quoted decimal" of a level: the fast walk first, the careful one where that gives up. Returns a scan_result_e. */
static inline int level_number(scan_t *scan, int decimals, int64_t *value)
{
    int result = scan_quoted_fixed(scan, decimals, value);
    if (result == SCAN_OK || result == SCAN_TOO_PRECISE)
        return result;
    text_t text;
    if (!scan_value(scan, &text) || (text.kind != TEXT_STRING && text.kind != TEXT_NUMBER))
        return SCAN_NOT_A_NUMBER;
    return scan_fixed(text.at, text.size, decimals, value);
}

#ifdef __SSE2__
#include <emmintrin.h>

/* Which of the 32 bytes from `at` on are `wanted`. */
static inline uint32_t find_bytes(__m128i low, __m128i high, char wanted)
{
    __m128i each = _mm_set1_epi8(wanted);
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(low, each)) |
           (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(high, each)) << 16;
}

/* The decimal number whose point is at `point`, with `whole` digits (1 … 8) before it and `places` (1 … 8) behind it, in
 * 10^-8. Bits of *wrong are set if something among them is no digit. Eight bytes lie before and behind the point. */
static inline uint64_t decimal_around(const char *point, uint32_t whole, uint32_t places, uint64_t *wrong)
{
    uint64_t before = (scan_load(point - 8) ^ SCAN_EACH('0')) & (~0ull << (64 - 8 * whole));
    uint64_t behind = (scan_load(point + 1) ^ SCAN_EACH('0')) & (~0ull >> (64 - 8 * places));
    *wrong |= (before | behind | (before + SCAN_EACH(0x76)) | (behind + SCAN_EACH(0x76))) & SCAN_HIGH;
    return scan_eight(before) * 100000000 + scan_eight(behind);
}

#define QUICK_LEVEL_SIZE 42  /* bytes that are looked at for one level: 32 for its marks, 8 behind its last point */

/* Takes levels the quick way, ["61800.20","2.507"], as long as they are exactly such and another one follows: where the quotes
 * and points are is found for 32 bytes at once, so that no number waits for the end of the one before. Returns how many; the
 * scan stands at the first one that is left. */
static inline uint32_t take_quick_levels(scan_t *scan, const symbol_t *symbol, level_t *out, uint32_t room)
{
    const char *at = scan->at, *end = scan->end;
    const grid_t price_grid = symbol->price_grid, quantity_grid = symbol->quantity_grid;
    uint32_t used = 0;
    while (used < room && end - at >= QUICK_LEVEL_SIZE) {
        __m128i low = _mm_loadu_si128((const __m128i *)at), high = _mm_loadu_si128((const __m128i *)(at + 16));
        uint32_t quotes = find_bytes(low, high, '"'), points = find_bytes(low, high, '.');
        uint32_t second = quotes & (quotes - 1), third = second & (second - 1), fourth = third & (third - 1);
        uint32_t last_point = points & (points - 1);
        if (fourth == 0 || last_point == 0)
            break;
        uint32_t price_end = (uint32_t)__builtin_ctz(second), start = (uint32_t)__builtin_ctz(third);
        uint32_t last = (uint32_t)__builtin_ctz(fourth);
        uint32_t point = (uint32_t)__builtin_ctz(points), quantity_point = (uint32_t)__builtin_ctz(last_point);
        uint32_t price_whole = point - 2, price_places = price_end - point - 1;
        uint32_t quantity_whole = quantity_point - start - 1, quantity_places = last - quantity_point - 1;
        /* Unsigned: a point on the wrong side of a quote gives something huge. */
        uint32_t odd = (uint32_t)(price_whole - 1 > 7) | (uint32_t)(price_places - 1 > 7) | (uint32_t)(quantity_whole - 1 > 7) |
                       (uint32_t)(quantity_places - 1 > 7) | (uint32_t)((quotes & 3) != 2) | (uint32_t)(start != price_end + 2) |
                       (uint32_t)(at[0] ^ '[') | (uint32_t)(at[price_end + 1] ^ ',') | (uint32_t)(at[last + 1] ^ ']') |
                       (uint32_t)(at[last + 2] ^ ',');
        if (odd)
            break;
        uint64_t wrong = 0;
        uint64_t price = decimal_around(at + point, price_whole, price_places, &wrong);
        uint64_t quantity = decimal_around(at + quantity_point, quantity_whole, quantity_places, &wrong);
        bool is_good = grid_divide(&price_grid, (int64_t)price, &out[used].price_ticks);
        is_good &= grid_divide(&quantity_grid, (int64_t)quantity, &out[used].quantity_lots);
        if (!is_good || wrong || price == 0)
            break;
        used++;
        at += last + 3;
    }
    scan->at = at;
    return used;
}
#else
static inline uint32_t take_quick_levels(scan_t *scan, const symbol_t *symbol, level_t *out, uint32_t room)
{
    (void)scan, (void)symbol, (void)out, (void)room;
    return 0;  /* take_plain_level does it, in twice the time. */
}
#endif

/* Takes one level with numbers of any shape, one after the other. Returns false, and takes nothing, if it is not quick to read. */
static inline bool take_plain_level(scan_t *scan, const symbol_t *symbol, level_t *level)
{
    int64_t price, quantity;
    const char *at = scan->at, *end = scan->end;
    if (at >= end || *at != '[')
        return false;
    at = scan_quick_decimal(at + 1, end, &price);
    if (!at || at >= end || *at != ',')
        return false;
    at = scan_quick_decimal(at + 1, end, &quantity);
    if (!at || at >= end || *at != ']')
        return false;
    if (!grid_divide(&symbol->price_grid, price, &level->price_ticks) ||
        !grid_divide(&symbol->quantity_grid, quantity, &level->quantity_lots) || price == 0)
        return false;
    scan->at = at + 1;
    return true;
}

/* [["61800.20","2.507"], …] → levels. Returns a frame_error_e. */
static int parse_levels(scan_t *scan, const symbol_t *symbol, level_t *out, uint32_t capacity, uint32_t *count, uint32_t *off_grid)
{
    uint32_t used = 0;
    *count = 0;
    if (!scan_take(scan, '['))
        return FRAME_NOT_JSON;
    if (scan_take(scan, ']'))
        return FRAME_OK;
    bool is_quick = symbol->price_grid.is_usable && symbol->quantity_grid.is_usable;
    do {
        if (is_quick) {
            used += take_quick_levels(scan, symbol, out + used, capacity - used);
            if (used < capacity && take_plain_level(scan, symbol, &out[used])) {
                used++;
                continue;
            }
        }
        int64_t price = 0, quantity = 0;
        if (!scan_take(scan, '['))
            return FRAME_NOT_JSON;
        scan_space(scan);
        int price_result = level_number(scan, symbol->price_decimals, &price);
        if (!scan_take(scan, ','))
            return FRAME_NOT_JSON;
        scan_space(scan);
        int quantity_result = level_number(scan, symbol->quantity_decimals, &quantity);
        while (scan_take(scan, ',')) {  /* Older payloads carried a third, empty element. */
            text_t skipped;
            if (!scan_value(scan, &skipped))
                return FRAME_NOT_JSON;
        }
        if (!scan_take(scan, ']'))
            return FRAME_NOT_JSON;
        if (price_result == SCAN_NOT_A_NUMBER || price_result == SCAN_OVERFLOW || quantity_result == SCAN_NOT_A_NUMBER ||
            quantity_result == SCAN_OVERFLOW || price <= 0 || quantity < 0)
            return FRAME_BAD_NUMBER;
        bool is_price_on_grid = to_grid(&price, symbol->tick_size) && price_result == SCAN_OK;
        bool is_quantity_on_grid = to_grid(&quantity, symbol->lot_size) && quantity_result == SCAN_OK;
        if (!is_price_on_grid || !is_quantity_on_grid) {
            ++*off_grid;
            if (!is_price_on_grid)
                continue;  /* A quantity between two lots (old orders have such) counts as the whole lots in it. */
        }
        if (used == capacity)
            return FRAME_TOO_MANY_LEVELS;
        out[used++] = (level_t){price, quantity};
    } while (scan_take(scan, ','));
    if (!scan_take(scan, ']'))
        return FRAME_NOT_JSON;
    *count = used;
    return FRAME_OK;
}

/* A whole number under a letter. Returns false if it is there and no number; *value stays where it is absent. */
static bool whole(const decoder_t *decoder, char letter, int64_t *value)
{
    if (!has(decoder, letter))
        return true;
    if (is_in(decoder->are_whole, letter)) {
        *value = decoder->number[(unsigned char)letter];
        return true;
    }
    const text_t *text = &decoder->field[(unsigned char)letter];
    return text->kind == TEXT_NUMBER && scan_fixed(text->at, text->size, 0, value) == SCAN_OK;
}

/* The levels of one side: now if the symbol is known and the delta is new, else as a slice for later. */
static int take_side(decoder_t *decoder, scan_t *scan, bool are_bids)
{
    frame_t *frame = decoder->frame;
    const symbol_t *symbol = decoder->symbol;
    bool is_new = true;
    if (symbol && has(decoder, 'u') && symbol->depth_id) {
        int64_t final_id = 0;
        is_new = !whole(decoder, 'u', &final_id) || final_id > symbol->depth_id;
    }
    bool is_parsed = symbol && symbol->instrument_index != 0xffff && is_new;
    if (are_bids)
        decoder->are_bids_parsed = is_parsed;
    else
        decoder->are_asks_parsed = is_parsed;
    if (!is_parsed)
        return scan_value(scan, are_bids ? &decoder->bids_text : &decoder->asks_text) ? FRAME_OK : FRAME_NOT_JSON;
    return are_bids ? parse_levels(scan, symbol, decoder->bids, decoder->capacity, &frame->bid_count, &frame->off_grid_count)
                    : parse_levels(scan, symbol, decoder->asks, decoder->capacity, &frame->ask_count, &frame->off_grid_count);
}

/* The object's fields into the decoder; `data` of an envelope is walked in its turn. Returns a frame_error_e. */
static int take_object(decoder_t *decoder, scan_t *scan, bool is_outer)
{
    bool is_first = true, had_data = false;
    text_t key, skipped;
    if (!scan_take(scan, '{'))
        return FRAME_NOT_JSON;
    for (;;) {
        int step = scan_key(scan, &is_first, &key);
        if (step == SCAN_END)
            return FRAME_OK;
        if (step == SCAN_MALFORMED)
            return FRAME_NOT_JSON;
        text_t *place = &skipped;
        scan_space(scan);
        if (scan->at >= scan->end)
            return FRAME_NOT_JSON;
        if (key.size == 1 && !had_data) {
            unsigned char letter = (unsigned char)key.at[0];
            if ((letter == 'b' || letter == 'a') && *scan->at == '[') {
                int error = take_side(decoder, scan, letter == 'b');
                if (error)
                    return error;
                continue;
            }
            if (letter < 128) {
                place = &decoder->field[letter];
                decoder->present[letter >> 6] |= 1ull << (letter & 63);
            }
        } else if (had_data && !IS(&key, "stream")) {
            place = &skipped;
        } else if (IS(&key, "pu")) {
            place = &decoder->previous_id;
        } else if (is_outer && IS(&key, "data")) {
            if (*scan->at == '{') {
                decoder->present[0] = decoder->present[1] = 0;
                int error = take_object(decoder, scan, false);
                if (error)
                    return error;
                had_data = true;
                decoder->frame->flags |= FRAME_COMBINED;
                continue;
            }
        } else if (is_outer && IS(&key, "stream")) {
            place = &decoder->stream;
        } else if (IS(&key, "lastUpdateId")) {
            place = &decoder->last_update_id;
        } else if (IS(&key, "bids") || IS(&key, "asks")) {
            if (*scan->at == '[') {
                int error = take_side(decoder, scan, key.at[0] == 'b');
                if (error)
                    return error;
                continue;
            }
        } else if (is_outer && IS(&key, "result")) {
            place = &decoder->result;
        } else if (is_outer && IS(&key, "id")) {
            place = &decoder->id;
        } else if (is_outer && IS(&key, "error")) {
            place = &decoder->error;
        } else if (IS(&key, "code")) {
            place = &decoder->code;
        } else if (IS(&key, "msg")) {
            place = &decoder->message;
        }
        if (!scan_value(scan, place))
            return FRAME_NOT_JSON;
        if (place == &decoder->field['s'] && place->kind == TEXT_STRING) {
            int32_t slot = symbols_find(decoder->symbols, place->at, place->size);
            decoder->symbol = slot < 0 ? 0 : &decoder->symbols->slots[slot];
        }
    }
}

static inline bool is_letter(char character) { return (unsigned char)((character | 0x20) - 'a') < 26; }

#define QUICK_SIZE_MIN 32  /* The shortest frame of a hot kind is longer; the quick ways want eight bytes in front of everything. */

/* take_object for the shape that venues really send, at a few bytes per nanosecond: no white space, letters for keys (and
 * two-letter ones that nobody asks for), numbers, plain strings, levels; `stream` before `data`. Returns false if it is
 * not exactly such: whatever was noted until then is to be forgotten. */
static bool take_quick(decoder_t *decoder, const char *at, const char *end)
{
    static const char STREAM[] = "{\"stream\":", DATA[] = ",\"data\":{";
    bool is_combined = (size_t)(end - at) > sizeof STREAM && memcmp(at, STREAM, sizeof STREAM - 1) == 0;
    if (is_combined) {
        at = scan_quick_string(at + sizeof STREAM - 1, end, &decoder->stream);
        if (!at || (size_t)(end - at) < sizeof DATA || memcmp(at, DATA, sizeof DATA - 1) != 0)
            return false;
        at += sizeof DATA - 1;
        decoder->frame->flags |= FRAME_COMBINED;
    } else if (*at++ != '{') {
        return false;
    }
    for (;;) {
        if (end - at < 8 || at[0] != '"')
            return false;
        char letter = at[1];
        bool is_pair = at[2] != '"', is_previous_id = is_pair && letter == 'p' && at[2] == 'u';
        if (!is_letter(letter) || (!is_pair && has(decoder, letter)) || (is_pair && (!is_letter(at[2]) || at[3] != '"')))
            return false;
        at += is_pair ? 5 : 4;
        if (at[-1] != ':')
            return false;
        text_t skipped, *place = is_pair ? &skipped : &decoder->field[(unsigned char)letter];
        int64_t value;
        char first = *at;
        if (first == '"') {
            const char *start = at;
            bool may_be_decimal = !is_pair && (unsigned char)(at[1] - '0') <= 9;
            at = may_be_decimal ? scan_quick_decimal(start, end, &decoder->number[(unsigned char)letter]) : 0;
            if (at) {
                *place = (text_t){.at = start + 1, .size = (uint32_t)(at - start - 2), .kind = TEXT_STRING};
                put_in(decoder->are_decimal, letter);
            } else {
                at = scan_quick_string(start, end, place);
                if (!at)
                    return false;
                if (is_previous_id)
                    decoder->previous_id = *place;
                if (letter == 's' && !is_pair) {
                    int32_t slot = symbols_find(decoder->symbols, place->at, place->size);
                    decoder->symbol = slot < 0 ? 0 : &decoder->symbols->slots[slot];
                }
            }
        } else if ((unsigned char)(first - '0') <= 9) {
            uint32_t digits = scan_quick_whole(at, end, &value);
            if (digits == 0)
                return false;
            *place = (text_t){.at = at, .size = digits, .kind = TEXT_NUMBER};
            at += digits;
            if (is_previous_id)
                decoder->previous_id = *place;
            if (!is_pair) {
                decoder->number[(unsigned char)letter] = value;
                put_in(decoder->are_whole, letter);
            }
        } else if (first == '[' && !is_pair && (letter == 'b' || letter == 'a')) {
            scan_t scan = {at, end};
            if (take_side(decoder, &scan, letter == 'b') != FRAME_OK)
                return false;
            at = scan.at;
            place = 0;
        } else if (first == 't' && !is_previous_id && end - at > 4 && memcmp(at, "true", 4) == 0) {
            *place = (text_t){.at = at, .size = 4, .kind = TEXT_TRUE};
            at += 4;
        } else if (first == 'f' && !is_previous_id && end - at > 5 && memcmp(at, "false", 5) == 0) {
            *place = (text_t){.at = at, .size = 5, .kind = TEXT_FALSE};
            at += 5;
        } else {  /* Also `"pu":true`: the careful way knows what is wrong with it. */
            return false;
        }
        if (place && !is_pair)
            put_in(decoder->present, letter);
        if (at >= end)
            return false;
        if (*at == '}')
            break;
        if (*at++ != ',')
            return false;
    }
    return is_combined ? end - at == 2 && at[1] == '}' : end - at == 1;
}

/* A price or a quantity under a letter, in ticks or lots, cut. Returns a frame_error_e; FRAME_OFF_GRID if something was cut. */
static int scaled(const decoder_t *decoder, char letter, int decimals, int64_t step, const grid_t *grid, int64_t *value)
{
    if (!has(decoder, letter))
        return FRAME_FIELD_MISSING;
    if (is_in(decoder->are_decimal, letter) && grid->is_usable &&
        grid_divide(grid, decoder->number[(unsigned char)letter], value))
        return FRAME_OK;
    const text_t *text = &decoder->field[(unsigned char)letter];
    if (text->kind != TEXT_STRING && text->kind != TEXT_NUMBER)
        return FRAME_BAD_NUMBER;
    int result = scan_fixed(text->at, text->size, decimals, value);
    if ((result != SCAN_OK && result != SCAN_TOO_PRECISE) || *value < 0)
        return FRAME_BAD_NUMBER;
    return to_grid(value, step) && result == SCAN_OK ? FRAME_OK : FRAME_OFF_GRID;
}

static int scaled_level(const decoder_t *decoder, char price, char quantity, level_t *level)
{
    const symbol_t *symbol = decoder->symbol;
    int error = scaled(decoder, price, symbol->price_decimals, symbol->tick_size, &symbol->price_grid,
                       &level->price_ticks);
    if (error)
        return error;
    error = scaled(decoder, quantity, symbol->quantity_decimals, symbol->lot_size, &symbol->quantity_grid,
                   &level->quantity_lots);
    if (error != FRAME_OFF_GRID)
        return error;
    decoder->frame->off_grid_count++;
    return FRAME_OK;
}

/* A rate or an index price: absent and empty are 0. Returns false if it is no number. */
static bool ratio(const decoder_t *decoder, char letter, double *value)
{
    if (!has(decoder, letter) || decoder->field[(unsigned char)letter].size == 0)
        return true;
    const text_t *text = &decoder->field[(unsigned char)letter];
    return (text->kind == TEXT_STRING || text->kind == TEXT_NUMBER) && scan_double(text->at, text->size, value) == SCAN_OK;
}

/* Levels that had to wait for the symbol. Returns a frame_error_e. */
static int take_late_sides(decoder_t *decoder)
{
    frame_t *frame = decoder->frame;
    if (frame->flags & FRAME_SEEN) {
        frame->bid_count = frame->ask_count = 0;
        return FRAME_OK;
    }
    for (int side = 0; side < 2; side++) {
        bool are_bids = side == 0;
        const text_t *text = are_bids ? &decoder->bids_text : &decoder->asks_text;
        if (are_bids ? decoder->are_bids_parsed : decoder->are_asks_parsed)
            continue;
        if (text->kind != TEXT_ARRAY)
            return FRAME_FIELD_MISSING;
        scan_t scan = {text->at, text->at + text->size};
        int error = are_bids
            ? parse_levels(&scan, decoder->symbol, decoder->bids, decoder->capacity, &frame->bid_count, &frame->off_grid_count)
            : parse_levels(&scan, decoder->symbol, decoder->asks, decoder->capacity, &frame->ask_count, &frame->off_grid_count);
        if (error)
            return error;
        if (!scan_is_done(&scan))
            return FRAME_NOT_JSON;
    }
    return FRAME_OK;
}

/* The symbol of a partial-depth frame stands only in the name of its stream, in lower case. */
static const symbol_t *symbol_of_stream(const decoder_t *decoder)
{
    char name[SYMBOL_SIZE];
    uint32_t size = 0;
    const text_t *stream = &decoder->stream;
    while (size < stream->size && size < SYMBOL_SIZE && stream->at[size] != '@') {
        char letter = stream->at[size];
        name[size++] = letter >= 'a' && letter <= 'z' ? (char)(letter - 'a' + 'A') : letter;
    }
    if (size == SYMBOL_SIZE)
        return 0;
    int32_t slot = symbols_find(decoder->symbols, name, size);
    return slot < 0 ? 0 : &decoder->symbols->slots[slot];
}

static int finish_depth(decoder_t *decoder)
{
    frame_t *frame = decoder->frame;
    bool is_snapshot = frame->kind == FRAME_SNAPSHOT;
    const text_t *final_id = is_snapshot ? &decoder->last_update_id : &decoder->field['u'];
    if (!is_snapshot && !(has(decoder, 'u') && has(decoder, 'U')))
        return FRAME_FIELD_MISSING;
    if (final_id->kind != TEXT_NUMBER || scan_fixed(final_id->at, final_id->size, 0, &frame->final_id) != SCAN_OK)
        return FRAME_BAD_NUMBER;
    if (!is_snapshot && !whole(decoder, 'U', &frame->first_id))
        return FRAME_BAD_NUMBER;
    if (decoder->previous_id.kind != TEXT_NONE &&
        (decoder->previous_id.kind != TEXT_NUMBER ||
         scan_fixed(decoder->previous_id.at, decoder->previous_id.size, 0, &frame->previous_id) != SCAN_OK))
        return FRAME_BAD_NUMBER;
    if (!decoder->symbol)
        decoder->symbol = symbol_of_stream(decoder);
    if (!decoder->symbol)
        return FRAME_FOREIGN_SYMBOL;
    if (!is_snapshot && decoder->symbol->depth_id && frame->final_id <= decoder->symbol->depth_id)
        frame->flags |= FRAME_SEEN;
    if (decoder->symbol->instrument_index == 0xffff)
        return FRAME_OK;
    return take_late_sides(decoder);
}

static int finish_trade(decoder_t *decoder, char id_letter)
{
    frame_t *frame = decoder->frame;
    if (!has(decoder, id_letter))
        return FRAME_FIELD_MISSING;
    if (!whole(decoder, id_letter, &frame->trade_id))
        return FRAME_BAD_NUMBER;
    if (has(decoder, 'm') && decoder->field['m'].kind == TEXT_TRUE)
        frame->flags |= FRAME_BUYER_IS_MAKER;
    if (!decoder->symbol)
        return FRAME_FOREIGN_SYMBOL;
    if (decoder->symbol->instrument_index == 0xffff)
        return FRAME_OK;
    int error = scaled_level(decoder, 'p', 'q', &frame->trade);
    if (error)
        return error;
    if ((has(decoder, 'X') && !IS(&decoder->field['X'], "MARKET")) || !frame->trade.price_ticks || !frame->trade.quantity_lots)
        frame->flags |= FRAME_OFF_BOOK;
    return FRAME_OK;
}

static int finish_ticker(decoder_t *decoder)
{
    frame_t *frame = decoder->frame;
    if (!has(decoder, 'u'))
        return FRAME_FIELD_MISSING;
    if (!whole(decoder, 'u', &frame->final_id))
        return FRAME_BAD_NUMBER;
    if (!decoder->symbol)
        return FRAME_FOREIGN_SYMBOL;
    if (decoder->symbol->instrument_index == 0xffff)
        return FRAME_OK;
    int error = scaled_level(decoder, 'b', 'B', &frame->bid);
    return error ? error : scaled_level(decoder, 'a', 'A', &frame->ask);
}

static int finish_mark(decoder_t *decoder)
{
    frame_t *frame = decoder->frame;
    if (!has(decoder, 'p'))
        return FRAME_FIELD_MISSING;
    frame->next_funding_ms = frame->transaction_ms;
    frame->transaction_ms = 0;
    if (!ratio(decoder, 'p', &frame->mark_price) || !ratio(decoder, 'i', &frame->index_price) ||
        !ratio(decoder, 'r', &frame->funding_rate))
        return FRAME_BAD_NUMBER;
    return decoder->symbol ? FRAME_OK : FRAME_FOREIGN_SYMBOL;
}

static int finish_answer(decoder_t *decoder)
{
    frame_t *frame = decoder->frame;
    frame->answer_id = -1;
    if (decoder->id.kind == TEXT_NUMBER)
        (void)scan_fixed(decoder->id.at, decoder->id.size, 0, &frame->answer_id);
    if (decoder->error.kind == TEXT_OBJECT) {  /* {"error":{"code":2,"msg":"…"},"id":1} */
        scan_t scan = {decoder->error.at + 1, decoder->error.at + decoder->error.size};
        bool is_first = true;
        text_t key, value;
        int step;
        while ((step = scan_key(&scan, &is_first, &key)) == SCAN_KEY && scan_value(&scan, &value)) {
            if (IS(&key, "code"))
                decoder->code = value;
            else if (IS(&key, "msg"))
                decoder->message = value;
        }
    }
    int64_t code = 0;
    if (decoder->code.kind == TEXT_NUMBER && scan_fixed(decoder->code.at, decoder->code.size, 0, &code) == SCAN_OK)
        frame->code = code >= INT32_MIN && code <= INT32_MAX ? (int32_t)code : -1;
    else if (decoder->error.kind != TEXT_NONE && decoder->error.kind != TEXT_NULL)
        frame->code = -1;
    if (decoder->message.kind == TEXT_STRING) {
        frame->text_offset = (uint32_t)(decoder->message.at - decoder->payload);
        frame->text_size = decoder->message.size;
        if (frame->code == 0)
            frame->code = -1;  /* Code 0 is the venue's "unknown property": an error all the same. */
    }
    return FRAME_OK;
}

/* Nothing is known yet. */
static void begin(decoder_t *decoder, int32_t slot_hint)
{
    const symbols_t *symbols = decoder->symbols;
    frame_t *frame = decoder->frame;
    decoder->symbol = slot_hint >= 0 && (uint32_t)slot_hint < symbols->count ? &symbols->slots[slot_hint] : 0;
    memset(decoder->present, 0, sizeof decoder->present);
    memset(decoder->are_whole, 0, sizeof decoder->are_whole);
    memset(decoder->are_decimal, 0, sizeof decoder->are_decimal);
    decoder->previous_id = decoder->last_update_id = decoder->bids_text = decoder->asks_text = (text_t){0};
    decoder->stream = decoder->result = decoder->id = decoder->error = decoder->code = decoder->message = (text_t){0};
    decoder->are_bids_parsed = decoder->are_asks_parsed = false;
    memset(frame, 0, sizeof *frame);
    frame->slot = NO_SLOT;
    frame->previous_id = -1;
}

int frame_decode(const char *payload, uint64_t size, const symbols_t *symbols, int32_t slot_hint, frame_t *frame, level_t *bids,
                 level_t *asks, uint32_t capacity)
{
    if (size == 0 || size > UINT32_MAX / 2) {
        memset(frame, 0, sizeof *frame);
        frame->slot = NO_SLOT;
        frame->previous_id = -1;
        return fail(frame, FRAME_NOT_JSON);
    }
    decoder_t decoder;  /* The big arrays of fields stay unwritten: `present` says what counts. */
    decoder.payload = payload;
    decoder.symbols = symbols;
    decoder.frame = frame;
    decoder.bids = bids;
    decoder.asks = asks;
    decoder.capacity = capacity;
    begin(&decoder, slot_hint);
    int error = FRAME_OK;
    if (size < QUICK_SIZE_MIN || !take_quick(&decoder, payload, payload + size)) {
        begin(&decoder, slot_hint);
        scan_t scan = {payload, payload + size};
        error = take_object(&decoder, &scan, true);
        if (error == FRAME_OK && !scan_is_done(&scan))
            error = FRAME_NOT_JSON;
        if (error)
            return fail(frame, error);
    }
    if (decoder.stream.kind == TEXT_STRING) {
        frame->text_offset = (uint32_t)(decoder.stream.at - payload);
        frame->text_size = decoder.stream.size;
    }
    if (!whole(&decoder, 'E', &frame->event_ms) || !whole(&decoder, 'T', &frame->transaction_ms))
        return fail(frame, FRAME_BAD_NUMBER);

    const text_t *event = has(&decoder, 'e') ? &decoder.field['e'] : 0;
    if (event ? IS(event, "bookTicker") : has(&decoder, 'u') && has(&decoder, 'B') && has(&decoder, 'A')) {
        frame->kind = FRAME_BOOK_TICKER;
        error = finish_ticker(&decoder);
    } else if (event ? IS(event, "depthUpdate") : decoder.last_update_id.kind != TEXT_NONE) {
        frame->kind = event ? FRAME_DEPTH_UPDATE : FRAME_SNAPSHOT;
        error = finish_depth(&decoder);
    } else if (event && IS(event, "trade")) {
        frame->kind = FRAME_TRADE;
        error = finish_trade(&decoder, 't');
    } else if (event && IS(event, "aggTrade")) {
        frame->kind = FRAME_AGGREGATE_TRADE;
        error = finish_trade(&decoder, 'a');
    } else if (event && IS(event, "markPriceUpdate")) {
        frame->kind = FRAME_MARK_PRICE;
        error = finish_mark(&decoder);
    } else if ((event && IS(event, "serverShutdown")) || IS(&decoder.stream, "!serverShutdown")) {
        frame->kind = FRAME_SERVER_SHUTDOWN;
    } else if (!event && (decoder.result.kind != TEXT_NONE || decoder.error.kind != TEXT_NONE || decoder.code.kind == TEXT_NUMBER)) {
        frame->kind = FRAME_ANSWER;
        error = finish_answer(&decoder);
    } else {
        frame->kind = FRAME_UNKNOWN;
    }
    if (decoder.symbol)
        frame->slot = (uint16_t)(decoder.symbol - symbols->slots);
    if (error == FRAME_FOREIGN_SYMBOL)
        frame->error = FRAME_FOREIGN_SYMBOL;
    else if (error)
        return fail(frame, error);
    return frame->kind;
}
