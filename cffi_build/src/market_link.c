#include "market_link.h"

#include "ring.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

_Static_assert(sizeof(quote_t) == sizeof(level_t), "a level of a message is a level of a book");

int32_t market_link_write(void *lane, const market_stamp_t *stamp, const level_t *bids, uint32_t bid_count, const level_t *asks,
                          uint32_t ask_count)
{
    const uint64_t total = (uint64_t)bid_count + ask_count;
    const uint64_t parts = total == 0 ? 1 : (total + MARKET_LEVELS - 1) / MARKET_LEVELS;
    if (ring_free(lane) < parts)
        return 0;
    const uint64_t first = ring_claimed(lane) + 1;
    const uint64_t claimed = ring_claim(lane, parts);
    assert(claimed == parts && "room was made sure of");
    (void)claimed;
    uint32_t bid = 0, ask = 0;
    for (uint64_t part = 0; part < parts; part++) {
        market_message_t *message = ring_producer_slot(lane, first + part);
        const uint32_t bids_left = bid_count - bid;
        const uint32_t bids_here = bids_left < MARKET_LEVELS ? bids_left : MARKET_LEVELS;
        const uint32_t asks_left = ask_count - ask, room = MARKET_LEVELS - bids_here;
        const uint32_t asks_here = asks_left < room ? asks_left : room;
        memset(message, 0, offsetof(market_message_t, levels));
        message->sequence = first + part;
        message->exchange_ns = stamp->exchange_ns;
        message->receive_ns = stamp->receive_ns;
        message->update_id = stamp->update_id;
        message->kind = stamp->kind;
        message->instrument_index = stamp->instrument_index;
        message->flags = (uint16_t)((part == 0 ? MARKET_FIRST_PART : 0) | (part + 1 == parts ? MARKET_LAST_PART : 0));
        message->bid_count = (uint16_t)bids_here;
        message->ask_count = (uint16_t)asks_here;
        if (bids_here)
            memcpy(message->levels, bids + bid, bids_here * sizeof(level_t));
        if (asks_here)
            memcpy(message->levels + bids_here, asks + ask, asks_here * sizeof(level_t));
        memset(message->levels + bids_here + asks_here, 0, (MARKET_LEVELS - bids_here - asks_here) * sizeof(level_t));
        bid += bids_here;
        ask += asks_here;
    }
    assert(bid == bid_count && ask == ask_count && "every level is in a part");
    ring_commit(lane, parts);
    return 1;
}

int32_t market_link_write_book(void *lane, const market_stamp_t *stamp, const book_t *book, level_t *bids, level_t *asks,
                               uint32_t room)
{
    market_stamp_t whole = *stamp;
    whole.kind = MARKET_BOOK;
    whole.update_id = book->update_id;
    const uint32_t bid_count = levels_copy(&book->bids, bids, room), ask_count = levels_copy(&book->asks, asks, room);
    return market_link_write(lane, &whole, bids, bid_count, asks, ask_count);
}
