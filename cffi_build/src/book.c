#include "book.h"

void book_init(book_t *book, level_t *bids, level_t *asks, uint32_t capacity, int64_t *near, uint64_t *marks, uint32_t span)
{
    levels_init(&book->bids, 1, bids, capacity, near, marks, span);
    levels_init(&book->asks, -1, asks, capacity, span ? near + span : near, span ? marks + span / 64 : marks, span);
    book->update_id = 0;
}

void book_clear(book_t *book)
{
    levels_clear(&book->bids);
    levels_clear(&book->asks);
    book->update_id = 0;
}

void book_best(const book_t *book, level_t *bid, level_t *ask)
{
    *bid = levels_best(&book->bids);
    *ask = levels_best(&book->asks);
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
    if (bid.quantity_lots && ask.quantity_lots && bid.price_ticks >= ask.price_ticks)
        changes |= BOOK_CROSSED;
    return changes;
}

uint32_t book_load(book_t *book, const level_t *bids, uint32_t bid_count, const level_t *asks, uint32_t ask_count, int64_t update_id)
{
    level_t bid, ask;
    book_best(book, &bid, &ask);
    levels_clear(&book->bids);
    levels_clear(&book->asks);
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
    levels_set_all(&book->bids, bids, bid_count);
    levels_set_all(&book->asks, asks, ask_count);
    book->update_id = update_id;
    return compare(book, bid, ask);
}
