/* sampling.h — an event array → the book as a strategy would have seen it, at equal distances of time.
 *
 *     event_row_t × n  ──▶  book  ──▶  │ sample at t │ t + interval │ t + 2 · interval │ …
 *
 * The batch side of the factors: what a live feed keeps in its books, this keeps while it walks over recorded rows.
 */
#ifndef CRYPTO_TRADE_SAMPLING_H
#define CRYPTO_TRADE_SAMPLING_H

#include <stdint.h>

#include "book.h"
#include "events.h"

/* cffi: begin */
/* What stood in the book when every event up to and including now_ns had arrived. 64 bytes: one cache line. */
typedef struct market_sample {
    int64_t now_ns;
    int64_t bid_ticks;
    int64_t bid_lots;
    int64_t ask_ticks;
    int64_t ask_lots;
    int64_t bids_within;           /* lots from the best bid down to the limit of depth */
    int64_t asks_within;
    int64_t signed_lots;           /* bought less sold by takers since the sample before */
} market_sample_t;

/* What a walk wants and remembers. Zeroed by the caller, wishes filled in. */
typedef struct market_walk {
    double   tick_size;
    double   lot_size;
    double   looking_depth;        /* share of the mid; 0: bids_within and asks_within stay 0 */
    int64_t  roi_lb_ticks;         /* region of interest: nothing outside counts */
    int64_t  roi_ub_ticks;
    int64_t  interval_ns;          /* between samples; 0: one per distinct local time */
    int64_t  due_ns;               /* of the next sample; 0: there is none before both sides have a price */
    int64_t  signed_lots;
    int64_t  at_ns;                /* local time of the rows taken last */
    int32_t  is_sampled;           /* interval 0: the book as of at_ns is written already */
    int32_t  reserved;
    uint64_t rows;                 /* taken by the last call */
    uint64_t samples;              /* written by the last call */
} market_walk_t;

/* Takes rows (those flagged LOCAL, or without any of the two flags) until they end or the samples have no more room; call it
 * again with the rest. Sets rows and samples. Times must not go back. The last sample is of the last whole interval. */
void market_walk(market_walk_t *walk, book_t *book, const event_row_t *rows, uint64_t count, market_sample_t *samples, uint64_t room);
/* cffi: end */

_Static_assert(sizeof(market_sample_t) == 64, "one cache line");

#endif
