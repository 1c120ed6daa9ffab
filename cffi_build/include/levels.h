/* levels.h — one side of an order book: a ladder of prices near the best one, a sorted array of those far from it.
 *
 *      far: sorted, the best one last                near: the quantity of every tick of a window, and a bit for each that has one
 *     │ 24426 │ 58710 │ … │ 61640 │      <       │ 0 │ 7 │ 0 │ 0 │ 3 │ 9 │ 2 │ 0 │ 0 │ … │
 *       0                  count−1              low                      ▲ best          low + span
 *
 * Setting a level near the best writes one number and one bit, however the levels lie. Further away a deleted level leaves a
 * hole: its price stays, with the quantity 0; the next level beside it moves in. The window follows the best price.
 * Inside, a price is a key: price · direction, so that a better one is always greater.
 */
#ifndef CRYPTO_TRADE_LEVELS_H
#define CRYPTO_TRADE_LEVELS_H

#include <stdint.h>

/* cffi: begin */
typedef struct level {
    int64_t price_ticks;
    int64_t quantity_lots;         /* > 0 in a book (0: a hole); 0 in a delta deletes the level */
} level_t;

typedef struct levels {
    int64_t  *near;                /* quantity by key − low */
    uint64_t *marks;               /* bit by key − low: the quantity is not 0 */
    int64_t   low;                 /* key of near[0]; INT64_MAX: there is no window yet, or never */
    int32_t   best;                /* place in the window, −1: it is empty; then far is empty too, unless span is 0 */
    uint32_t  span;                /* ticks in the window: a multiple of 256, or 0 */
    uint32_t  near_count;
    int32_t   direction;           /* +1: the highest price is best (bids); −1: the lowest (asks) */
    level_t  *at;
    uint32_t  count;               /* places of `at` in use, holes among them */
    uint32_t  capacity;            /* … and the most levels that near and far may have together */
    uint32_t  holes;
    uint32_t  dropped;             /* levels farthest from the best, given up because there was no room */
} levels_t;

/* Makes an empty side over arrays that must outlive it: `capacity` levels; `span` zeroed quantities and span / 64 zeroed words of
 * marks, or none and span 0 (everything is far: for a side that nobody updates often). */
void levels_init(levels_t *levels, int direction, level_t *at, uint32_t capacity, int64_t *near, uint64_t *marks, uint32_t span);

/* Forgets every level. */
void levels_clear(levels_t *levels);

/* How many levels there are. */
uint32_t levels_count(const levels_t *levels);

/* Sets the quantity at a price; 0 deletes. Deleting a level that is not there is normal and does nothing. */
void levels_set(levels_t *levels, int64_t price_ticks, int64_t quantity_lots);

/* The best level; quantity 0 and price 0 if there is none. */
level_t levels_best(const levels_t *levels);

/* The quantity at a price, 0 if there is no such level. */
int64_t levels_quantity(const levels_t *levels, int64_t price_ticks);

/* Copies up to `count_max` levels, best first. Returns how many. */
uint32_t levels_copy(const levels_t *levels, level_t *out, uint32_t count_max);

/* How much can be had up to and including `limit_ticks`, from the best level on. Returns the lots. */
int64_t levels_quantity_within(const levels_t *levels, int64_t limit_ticks);

/* The price of the level at which `quantity_lots` are reached when one takes from the best on; 0 if there is not so much. */
int64_t levels_price_for(const levels_t *levels, int64_t quantity_lots);
/* cffi: end */

/* Sets a batch, in the given order. */
void levels_set_all(levels_t *levels, const level_t *changes, uint32_t count);

#endif
