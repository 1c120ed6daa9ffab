/* market_link.h — a book's way from its feed to a live bot: the writing side.
 *
 *     feed ── market_message_t ──▶ ring ──▶ live_bot.c
 *
 * A feed never waits for a bot. What finds no room is left out as a whole, and the caller sends the whole book as soon as there
 * is room again: the bot misses steps, never the truth.
 */
#ifndef CRYPTO_TRADE_MARKET_LINK_H
#define CRYPTO_TRADE_MARKET_LINK_H

#include <stdint.h>

#include "book.h"
#include "messages.h"

/* cffi: begin */
/* What one update is about. */
typedef struct market_stamp {
    int64_t  exchange_ns;
    int64_t  receive_ns;
    int64_t  update_id;
    uint16_t instrument_index;
    uint16_t kind;                 /* market_kind_e */
    uint32_t reserved;
} market_stamp_t;

/* Writes one update to `lane` (a ring_producer_lane_t of market messages) in as many messages as it takes, and publishes them
 * together. 1; 0: no room for all of them, nothing was written. */
int32_t market_link_write(void *lane, const market_stamp_t *stamp, const level_t *bids, uint32_t bid_count, const level_t *asks,
                          uint32_t ask_count);

/* The same with all levels of a book and its update id. Each of `bids` and `asks` has room for `room` levels: more are left out. */
int32_t market_link_write_book(void *lane, const market_stamp_t *stamp, const book_t *book, level_t *bids, level_t *asks,
                               uint32_t room);
/* cffi: end */

#endif
