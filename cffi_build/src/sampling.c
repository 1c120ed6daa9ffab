#include "sampling.h"

#include <assert.h>
#include <math.h>

#define KIND 0xFF

static int64_t maximum(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t minimum(int64_t a, int64_t b) { return a < b ? a : b; }

/* Deletes the levels of a side from its best one up to and including `limit_ticks`. */
static void clear_within(levels_t *side, int64_t limit_ticks)
{
    for (level_t best = levels_best(side); best.quantity_lots; best = levels_best(side)) {
        if ((best.price_ticks - limit_ticks) * side->direction < 0)
            return;
        levels_set(side, best.price_ticks, 0);
    }
}

static void apply(market_walk_t *walk, book_t *book, const event_row_t *row)
{
    uint64_t kind = row->ev & KIND;
    if (kind != EVENT_DEPTH && kind != EVENT_DEPTH_SNAPSHOT && kind != EVENT_DEPTH_CLEAR && kind != EVENT_TRADE)
        return;
    int64_t ticks = llround(row->px / walk->tick_size), lots = llround(row->qty / walk->lot_size);
    int is_buy = (row->ev & EVENT_BUY) != 0, is_sell = (row->ev & EVENT_SELL) != 0;
    if (kind == EVENT_TRADE) {
        walk->signed_lots += is_buy ? lots : is_sell ? -lots : 0;
    } else if (kind == EVENT_DEPTH_CLEAR) {
        if (is_buy)
            clear_within(&book->bids, ticks);
        else if (is_sell)
            clear_within(&book->asks, ticks);
        else
            book_clear(book);
    } else {
        levels_set(is_buy ? &book->bids : &book->asks, ticks, lots);
    }
}

/* 0: a side is empty, there is nothing to see. */
static int look(market_walk_t *walk, const book_t *book, int64_t now_ns, market_sample_t *out)
{
    level_t bid, ask;
    book_best(book, &bid, &ask);
    if (bid.quantity_lots == 0 || ask.quantity_lots == 0)
        return 0;
    *out = (market_sample_t){now_ns, bid.price_ticks, bid.quantity_lots, ask.price_ticks, ask.quantity_lots, 0, 0, walk->signed_lots};
    if (walk->looking_depth > 0) {
        double mid = (double)(bid.price_ticks + ask.price_ticks) / 2.0;
        int64_t lowest = maximum((int64_t)ceil(mid * (1.0 - walk->looking_depth)), walk->roi_lb_ticks);
        int64_t highest = minimum((int64_t)floor(mid * (1.0 + walk->looking_depth)), walk->roi_ub_ticks);
        out->bids_within = levels_quantity_within(&book->bids, lowest);
        out->asks_within = levels_quantity_within(&book->asks, highest);
    }
    walk->signed_lots = 0;
    return 1;
}

void market_walk(market_walk_t *walk, book_t *book, const event_row_t *rows, uint64_t count, market_sample_t *samples, uint64_t room)
{
    assert(walk->tick_size > 0 && walk->lot_size > 0 && "prices and quantities have a unit");
    walk->rows = walk->samples = 0;
    while (walk->rows < count) {
        const event_row_t *row = &rows[walk->rows];
        uint64_t views = row->ev & (EVENT_EXCH | EVENT_LOCAL);
        if (views && !(views & EVENT_LOCAL)) {
            walk->rows++;
            continue;
        }
        /* Everything that is due before this row arrives. */
        while (walk->interval_ns && walk->due_ns && walk->due_ns < row->local_ts) {
            if (walk->samples == room)
                return;
            walk->samples += (uint64_t)look(walk, book, walk->due_ns, &samples[walk->samples]);
            walk->due_ns += walk->interval_ns;
        }
        if (!walk->interval_ns && walk->at_ns && walk->at_ns < row->local_ts && !walk->is_sampled) {
            if (walk->samples == room)
                return;
            walk->samples += (uint64_t)look(walk, book, walk->at_ns, &samples[walk->samples]);
            walk->is_sampled = 1;
        }
        apply(walk, book, row);
        if (walk->at_ns != row->local_ts) {
            walk->at_ns = row->local_ts;
            walk->is_sampled = 0;
        }
        if (walk->interval_ns && !walk->due_ns) {
            level_t bid, ask;
            book_best(book, &bid, &ask);
            if (bid.quantity_lots && ask.quantity_lots)
                walk->due_ns = row->local_ts;  /* The grid begins when there is something to see. */
        }
        walk->rows++;
    }
}
