/* levels.h — one side of an order book: an array of price levels, sorted, the best one last.
 *
 *     bids  │ 58710 │ …  │ 61799 │ 61800 │◀─ best          asks  │ 65000 │ …  │ 61802 │ 61801 │◀─ best
 *             0                   count−1                          0                   count−1
 *
 * Nearly every change is near the best level, so it moves a few bytes at the end of the array and the rest stays in place.
 */
#ifndef CRYPTO_TRADE_LEVELS_H
#define CRYPTO_TRADE_LEVELS_H

#include <stdint.h>

/* cffi: begin */
typedef struct level {
    int64_t price_ticks;
    int64_t quantity_lots;         /* > 0 in a book; 0 in a delta deletes the level */
} level_t;

typedef struct levels {
    level_t *at;
    uint32_t count;
    uint32_t capacity;
    int32_t  direction;            /* +1: the highest price is best (bids); −1: the lowest (asks) */
    uint32_t dropped;              /* levels farthest from the best, given up because the array was full */
} levels_t;

/* Sets the quantity at a price; 0 deletes. Deleting a level that is not there is normal and does nothing. */
void levels_set(levels_t *levels, int64_t price_ticks, int64_t quantity_lots);

/* The quantity at a price, 0 if there is no such level. */
int64_t levels_quantity(const levels_t *levels, int64_t price_ticks);

/* Copies up to `count_max` levels, best first. Returns how many. */
uint32_t levels_copy(const levels_t *levels, level_t *out, uint32_t count_max);

/* How much can be had up to and including `limit_ticks`, from the best level on. Returns the lots. */
int64_t levels_quantity_within(const levels_t *levels, int64_t limit_ticks);

/* The price of the level at which `quantity_lots` are reached when one takes from the best on; 0 if there is not so much. */
int64_t levels_price_for(const levels_t *levels, int64_t quantity_lots);
/* cffi: end */

static inline const level_t *levels_best(const levels_t *levels)
{
    return levels->count ? &levels->at[levels->count - 1] : 0;
}

#endif
