#include "book.h"

void book_init(book_t *book, level_t *bids, level_t *asks, uint32_t capacity)
{
    book->bids = (levels_t){.at = bids, .capacity = capacity, .direction = 1};
    book->asks = (levels_t){.at = asks, .capacity = capacity, .direction = -1};
    book->update_id = 0;
}

void book_clear(book_t *book)
{
    book->bids.count = 0;
    book->asks.count = 0;
    book->update_id = 0;
}

void book_best(const book_t *book, level_t *bid, level_t *ask)
{
    const level_t *best_bid = levels_best(&book->bids), *best_ask = levels_best(&book->asks);
    *bid = best_bid ? *best_bid : (level_t){0, 0};
    *ask = best_ask ? *best_ask : (level_t){0, 0};
}

static uint32_t compare(const book_t *book, level_t bid_before, level_t ask_before)
{
    level_t bid, ask;
    uint32_t changes = 0;
    book_best(book, &bid, &ask);
    if (bid.price_ticks != bid_before.price_ticks || ask.price_ticks != ask_before.price_ticks)
        changes |= BOOK_BEST_PRICE_CHANGED;
    if (bid.quantity_lots != bid_before.quantity_lots || ask.quantity_lots != ask_before.quantity_lots)
        changes |= BOOK_BEST_QUANTITY_CHANGED;
    if (book->bids.count && book->asks.count && bid.price_ticks >= ask.price_ticks)
        changes |= BOOK_CROSSED;
    return changes;
}

uint32_t book_load(book_t *book, const level_t *bids, uint32_t bid_count, const level_t *asks, uint32_t ask_count, int64_t update_id)
{
    level_t bid, ask;
    book_best(book, &bid, &ask);
    book->bids.count = 0;
    book->asks.count = 0;
    for (uint32_t index = bid_count; index-- > 0;)  /* Worst first: each one is appended. */
        levels_set(&book->bids, bids[index].price_ticks, bids[index].quantity_lots);
    for (uint32_t index = ask_count; index-- > 0;)
        levels_set(&book->asks, asks[index].price_ticks, asks[index].quantity_lots);
    book->update_id = update_id;
    return compare(book, bid, ask);
}

uint32_t book_apply_levels(book_t *book, const level_t *bids, uint32_t bid_count, const level_t *asks, uint32_t ask_count,
                           int64_t update_id)
{
    level_t bid, ask;
    book_best(book, &bid, &ask);
    for (uint32_t index = 0; index < bid_count; index++)
        levels_set(&book->bids, bids[index].price_ticks, bids[index].quantity_lots);
    for (uint32_t index = 0; index < ask_count; index++)
        levels_set(&book->asks, asks[index].price_ticks, asks[index].quantity_lots);
    book->update_id = update_id;
    return compare(book, bid, ask);
}
