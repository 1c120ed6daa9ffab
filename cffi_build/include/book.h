/* book.h — a price book of one instrument in integers: two sides, and the update id up to which it is true. */
#ifndef CRYPTO_TRADE_BOOK_H
#define CRYPTO_TRADE_BOOK_H

#include <stdint.h>

#include "levels.h"

/* cffi: begin */
/* What an update changed, as bits. */
#define BOOK_BEST_PRICE_CHANGED 1
#define BOOK_BEST_QUANTITY_CHANGED 2
#define BOOK_CROSSED 4             /* best bid ≥ best ask: an update was lost or wrong */

typedef struct book {
    levels_t bids;
    levels_t asks;
    int64_t  update_id;
} book_t;

/* Makes an empty book over arrays that must outlive it: `capacity` levels for each side; 2 · span zeroed quantities and 2 · span / 64
 * zeroed words of marks for the ladders of both sides, or span 0 (levels.h). */
void book_init(book_t *book, level_t *bids, level_t *asks, uint32_t capacity, int64_t *near, uint64_t *marks, uint32_t span);

void book_clear(book_t *book);

/* Replaces everything by a snapshot (any order; best first is fast). Returns BOOK_ bits. */
uint32_t book_load(book_t *book, const level_t *bids, uint32_t bid_count, const level_t *asks, uint32_t ask_count, int64_t update_id);

/* Sets absolute quantities, 0 deletes, and moves update_id. Returns BOOK_ bits. */
uint32_t book_apply_levels(book_t *book, const level_t *bids, uint32_t bid_count, const level_t *asks, uint32_t ask_count,
                           int64_t update_id);

/* Copies the best of both sides; an empty side has price 0. */
void book_best(const book_t *book, level_t *bid, level_t *ask);
/* cffi: end */

#endif
