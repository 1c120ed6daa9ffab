#include "levels.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#define REACH 32  /* How far a hole may be to be worth moving the levels between: half a kilobyte, less than a cache miss. */
#define HOLES_MIN 64
#define NEAR 8  /* Levels beside the finger that are looked at together: two cache lines. */

static inline int64_t key_of(const levels_t *levels, int64_t price_ticks) { return price_ticks * levels->direction; }

/* ---- far: a sorted array with holes ------------------------------------------------------------------------ */

/* True if the level is worse than the price; `direction` is a constant where this is inlined. */
static inline int is_worse(const level_t *level, int64_t price_ticks, int direction)
{
    return direction > 0 ? level->price_ticks < price_ticks : level->price_ticks > price_ticks;
}

/* The index of the first place that is at least as good as `price_ticks`; `count` if all are worse. Looks from `finger` on in
 * growing steps, because changes come near the best or near each other, then halves the rest. */
static inline uint32_t search(const levels_t *levels, int64_t price_ticks, uint32_t finger, int direction)
{
    const level_t *at = levels->at;
    uint32_t count = levels->count, step = 4, low, high;
    if (count == 0)
        return 0;
    if (finger >= count)
        finger = count - 1;
    if (is_worse(&at[finger], price_ticks, direction)) {
        if (count - finger > NEAR) {  /* Counting needs no branch that is guessed wrong. */
            uint32_t worse = 0;
            for (uint32_t index = 1; index <= NEAR; index++)
                worse += (uint32_t)is_worse(&at[finger + index], price_ticks, direction);
            if (worse < NEAR)
                return finger + 1 + worse;
            finger += NEAR;
        }
        low = finger + 1;
        while (finger + step < count && is_worse(&at[finger + step], price_ticks, direction)) {
            low = finger + step + 1;
            step <<= 2;
        }
        high = finger + step < count ? finger + step : count;
    } else {
        if (finger >= NEAR) {
            uint32_t better = 0;
            for (uint32_t index = 1; index <= NEAR; index++)
                better += (uint32_t)!is_worse(&at[finger - index], price_ticks, direction);
            if (better < NEAR)
                return finger - better;
            finger -= NEAR;
        }
        high = finger;
        while (step <= finger && !is_worse(&at[finger - step], price_ticks, direction)) {
            high = finger - step;
            step <<= 2;
        }
        low = step <= finger ? finger - step + 1 : 0;
    }
    uint32_t length = high - low;
    while (length > 1) {  /* A mask instead of a branch: which half it is cannot be guessed. */
        uint32_t half = length >> 1, worse = (uint32_t)is_worse(&at[low + half - 1], price_ticks, direction);
        low += half & (0u - worse);
        length -= half;
    }
    return length ? low + (uint32_t)is_worse(&at[low], price_ticks, direction) : low;
}

static inline uint32_t find(const levels_t *levels, int64_t price_ticks, uint32_t finger)
{
    return levels->direction > 0 ? search(levels, price_ticks, finger, 1) : search(levels, price_ticks, finger, -1);
}

/* Closes the holes. */
static void compact(levels_t *levels)
{
    uint32_t used = 0;
    for (uint32_t index = 0; index < levels->count; index++)
        if (levels->at[index].quantity_lots > 0)
            levels->at[used++] = levels->at[index];
    assert(used == levels->count - levels->holes && "every hole is counted");
    levels->count = used;
    levels->holes = 0;
}

static void delete_far(levels_t *levels, uint32_t index)
{
    level_t *at = levels->at;
    if (at[index].quantity_lots == 0)
        return;
    at[index].quantity_lots = 0;
    levels->holes++;
    while (levels->count > 0 && at[levels->count - 1].quantity_lots == 0) {  /* The best place is never a hole. */
        levels->count--;
        levels->holes--;
    }
    if (levels->holes > HOLES_MIN + levels->count / 2)
        compact(levels);
}

/* Puts a level where `find` said it belongs; `index` may be count. There is room, if only by closing holes. */
static void insert_far(levels_t *levels, uint32_t index, level_t level)
{
    level_t *at = levels->at;
    uint32_t count = levels->count;
    for (uint32_t step = 1; step <= REACH && (step <= index || index + step <= count); step++) {
        if (step <= index && at[index - step].quantity_lots == 0) {
            memmove(at + index - step, at + index - step + 1, (step - 1) * sizeof(level_t));
            at[index - 1] = level;
            levels->holes--;
            return;
        }
        if (index + step <= count && at[index + step - 1].quantity_lots == 0) {
            memmove(at + index + 1, at + index, (step - 1) * sizeof(level_t));
            at[index] = level;
            levels->holes--;
            return;
        }
    }
    if (count == levels->capacity) {
        compact(levels);
        count = levels->count;
        index = find(levels, level.price_ticks, count);
    }
    assert(count < levels->capacity && "a side never holds more than its array");
    memmove(at + index + 1, at + index, (count - index) * sizeof(level_t));
    at[index] = level;
    levels->count++;
}

/* ---- near: a ladder ---------------------------------------------------------------------------------------- */

/* The place of the next mark at or below `place`, −1 if there is none. */
static int32_t mark_below(const levels_t *levels, int32_t place)
{
    if (place < 0)
        return -1;
    int32_t word = place >> 6;
    uint64_t bits = levels->marks[word] & (~0ull >> (63 - (place & 63)));
    while (bits == 0) {
        if (--word < 0)
            return -1;
        bits = levels->marks[word];
    }
    return word * 64 + 63 - __builtin_clzll(bits);
}

static void mark(levels_t *levels, uint64_t place, int64_t quantity_lots)
{
    levels->near[place] = quantity_lots;
    levels->marks[place >> 6] |= 1ull << (place & 63);
    levels->near_count++;
    if ((int32_t)place > levels->best)
        levels->best = (int32_t)place;
}

static void unmark(levels_t *levels, uint64_t place)
{
    levels->near[place] = 0;
    levels->marks[place >> 6] &= ~(1ull << (place & 63));
    levels->near_count--;
}

/* Moves the window so that `key` stands at three quarters of it: most room for what is worse, some for what is better. */
static void move_window(levels_t *levels, int64_t key)
{
    int64_t low = key - levels->span / 4 * 3;
    int32_t span = (int32_t)levels->span;
    int64_t shift = levels->low == INT64_MAX ? 0 : low - levels->low;
    if (levels->near_count && shift) {
        for (int32_t word = 0; word < span / 64 && word * 64 < shift; word++) {
            for (uint64_t bits = levels->marks[word]; bits; bits &= bits - 1) {
                int32_t place = word * 64 + __builtin_ctzll(bits);
                if (place >= shift)
                    break;
                level_t level = {(levels->low + place) * levels->direction, levels->near[place]};
                unmark(levels, (uint64_t)place);
                insert_far(levels, levels->count, level);  /* Better than everything that is far. */
            }
        }
        if (shift > 0 && shift < span) {
            memmove(levels->near, levels->near + shift, (size_t)(span - shift) * sizeof(int64_t));
            memset(levels->near + span - shift, 0, (size_t)shift * sizeof(int64_t));
        } else if (shift < 0) {
            assert(levels->best - shift < span && "the window never leaves the best level behind");
            memmove(levels->near - shift, levels->near, (size_t)(span + shift) * sizeof(int64_t));
            memset(levels->near, 0, (size_t)-shift * sizeof(int64_t));
        }
        memset(levels->marks, 0, (size_t)span / 8);
        levels->best = -1;
        for (int32_t place = 0; place < span; place++) {
            if (levels->near[place]) {
                levels->marks[place >> 6] |= 1ull << (place & 63);
                levels->best = place;
            }
        }
    }
    levels->low = low;
    while (levels->count > 0) {  /* What of the far levels is in the window now moves in. */
        level_t level = levels->at[levels->count - 1];
        uint64_t place = (uint64_t)key_of(levels, level.price_ticks) - (uint64_t)low;
        if (place >= (uint64_t)span)
            break;
        levels->count--;
        if (level.quantity_lots > 0)
            mark(levels, place, level.quantity_lots);
        else
            levels->holes--;
    }
    while (levels->count > 0 && levels->at[levels->count - 1].quantity_lots == 0) {
        levels->count--;
        levels->holes--;
    }
}

/* ---- both -------------------------------------------------------------------------------------------------- */

/* Gives up the level farthest from the best to make room for one at `key`. Returns false if that would be the farthest. */
static bool drop_farthest(levels_t *levels, int64_t key)
{
    levels->dropped++;
    if (levels->count > levels->holes) {
        uint32_t index = 0;
        while (levels->at[index].quantity_lots == 0)
            index++;
        if (key_of(levels, levels->at[index].price_ticks) > key)
            return false;
        delete_far(levels, index);
        return true;
    }
    for (uint32_t word = 0; word < levels->span / 64; word++) {
        if (levels->marks[word] == 0)
            continue;
        uint64_t place = word * 64 + (uint64_t)__builtin_ctzll(levels->marks[word]);
        if (levels->low + (int64_t)place > key)
            return false;
        unmark(levels, place);
        levels->best = mark_below(levels, levels->best);
        return true;
    }
    return false;
}

/* A change outside of the window, or one that makes the first level. Returns where to look for the next one. */
static uint32_t set_far(levels_t *levels, level_t change, uint32_t finger)
{
    int64_t key = key_of(levels, change.price_ticks);
    bool is_better = levels->span && (levels->low == INT64_MAX || key > levels->low || levels->near_count == 0);
    if (is_better) {
        if (change.quantity_lots <= 0)
            return finger;
        if (levels_count(levels) == levels->capacity && !drop_farthest(levels, key))
            return finger;
        move_window(levels, key);
        mark(levels, (uint64_t)(key - levels->low), change.quantity_lots);
        return levels->count;
    }
    uint32_t index = find(levels, change.price_ticks, finger);
    if (index < levels->count && levels->at[index].price_ticks == change.price_ticks && levels->at[index].quantity_lots) {
        if (change.quantity_lots > 0)
            levels->at[index].quantity_lots = change.quantity_lots;
        else
            delete_far(levels, index);
    } else if (change.quantity_lots > 0) {
        if (levels_count(levels) == levels->capacity) {
            if (!drop_farthest(levels, key))
                return index;
            index = find(levels, change.price_ticks, index);
        }
        if (index < levels->count && levels->at[index].price_ticks == change.price_ticks) {  /* Its own hole. */
            levels->at[index].quantity_lots = change.quantity_lots;
            levels->holes--;
        } else {
            insert_far(levels, index, change);
        }
    }
    return index;
}

/* The best level of the window was deleted. */
static void find_best(levels_t *levels)
{
    int32_t best = levels->best = mark_below(levels, levels->best);
    if (best < 0) {
        if (levels->count > 0)
            move_window(levels, key_of(levels, levels->at[levels->count - 1].price_ticks));
    } else if (best < (int32_t)levels->span / 8) {
        move_window(levels, levels->low + best);
    }
}

static inline uint32_t set(levels_t *levels, level_t change, uint32_t finger)
{
    uint64_t place = (uint64_t)key_of(levels, change.price_ticks) - (uint64_t)levels->low;
    if (place >= levels->span || levels->best < 0)
        return set_far(levels, change, finger);
    int64_t quantity = change.quantity_lots > 0 ? change.quantity_lots : 0;
    int64_t before = levels->near[place];
    uint64_t is_there = quantity > 0, was_there = before > 0;
    if (is_there > was_there && levels_count(levels) == levels->capacity &&
        !drop_farthest(levels, levels->low + (int64_t)place))
        return finger;
    uint64_t *word = &levels->marks[place >> 6];
    uint32_t bit = place & 63;
    levels->near[place] = quantity;
    *word = (*word & ~(1ull << bit)) | is_there << bit;
    levels->near_count += (uint32_t)(is_there - was_there);
    if ((int32_t)place >= levels->best) {
        if (is_there)
            levels->best = (int32_t)place;
        else if ((int32_t)place == levels->best)
            find_best(levels);
    }
    return finger;
}

void levels_init(levels_t *levels, int direction, level_t *at, uint32_t capacity, int64_t *near, uint64_t *marks, uint32_t span)
{
    assert((direction == 1 || direction == -1) && "bids or asks");
    assert(span % 256 == 0 && "whole words, and whole quarters of words");
    *levels = (levels_t){.near = near, .marks = marks, .low = INT64_MAX, .best = -1, .span = span, .direction = direction,
                         .at = at, .capacity = capacity};
}

void levels_clear(levels_t *levels)
{
    if (levels->near_count) {
        memset(levels->near, 0, levels->span * sizeof(int64_t));
        memset(levels->marks, 0, levels->span / 8);
    }
    levels->low = INT64_MAX;
    levels->best = -1;
    levels->near_count = levels->count = levels->holes = 0;
}

uint32_t levels_count(const levels_t *levels)
{
    return levels->near_count + levels->count - levels->holes;
}

void levels_set(levels_t *levels, int64_t price_ticks, int64_t quantity_lots)
{
    set(levels, (level_t){price_ticks, quantity_lots}, levels->count);
}

void levels_set_all(levels_t *levels, const level_t *changes, uint32_t count)
{
    uint32_t finger = levels->count;
    for (uint32_t index = 0; index < count; index++)
        finger = set(levels, changes[index], finger);
}

level_t levels_best(const levels_t *levels)
{
    if (levels->best >= 0)
        return (level_t){(levels->low + levels->best) * levels->direction, levels->near[levels->best]};
    return levels->count ? levels->at[levels->count - 1] : (level_t){0, 0};
}

int64_t levels_quantity(const levels_t *levels, int64_t price_ticks)
{
    uint64_t place = (uint64_t)key_of(levels, price_ticks) - (uint64_t)levels->low;
    if (place < levels->span)
        return levels->near[place];
    uint32_t index = find(levels, price_ticks, levels->count);
    return index < levels->count && levels->at[index].price_ticks == price_ticks ? levels->at[index].quantity_lots : 0;
}

/* A walk from the best level on. */
typedef struct walk {
    const levels_t *levels;
    int32_t place;                 /* the next one near, −1: none */
    uint32_t index;                /* behind the next one far */
} walk_t;

static inline walk_t walk_from_best(const levels_t *levels)
{
    return (walk_t){levels, levels->best, levels->count};
}

static inline bool walk_next(walk_t *walk, level_t *level)
{
    const levels_t *levels = walk->levels;
    if (walk->place >= 0) {
        *level = (level_t){(levels->low + walk->place) * levels->direction, levels->near[walk->place]};
        walk->place = mark_below(levels, walk->place - 1);
        return true;
    }
    while (walk->index > 0) {
        *level = levels->at[--walk->index];
        if (level->quantity_lots > 0)
            return true;
    }
    return false;
}

uint32_t levels_copy(const levels_t *levels, level_t *out, uint32_t count_max)
{
    uint32_t count = 0;
    for (walk_t walk = walk_from_best(levels); count < count_max && walk_next(&walk, &out[count]);)
        count++;
    return count;
}

int64_t levels_quantity_within(const levels_t *levels, int64_t limit_ticks)
{
    int64_t total = 0;
    level_t level;
    for (walk_t walk = walk_from_best(levels); walk_next(&walk, &level) && !is_worse(&level, limit_ticks, levels->direction);)
        total += level.quantity_lots;
    return total;
}

int64_t levels_price_for(const levels_t *levels, int64_t quantity_lots)
{
    int64_t total = 0;
    level_t level;
    for (walk_t walk = walk_from_best(levels); walk_next(&walk, &level);) {
        total += level.quantity_lots;
        if (total >= quantity_lots)
            return level.price_ticks;
    }
    return 0;
}
