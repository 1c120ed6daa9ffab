/* signals.h — the house's opinions about a pair or a book on the way to an order, each evaluated in one call, and how one is said.
 *
 *     book tops ──▶ adaptive_spread_update(), position_close_update(), book_top_update() ──▶ doubles in the outgoing message
 *                     └─ SIGNAL_NEW ──▶ signal_tell(): tops shown, message finished in its slot
 *
 * What the values mean stands in messages.h, what the signals are for in reactor/feed/signals/. Between two decisions all of
 * this grows cold: it is C because a comparison of a few doubles should be a few cache lines of code.
 */
#ifndef CRYPTO_TRADE_SIGNALS_H
#define CRYPTO_TRADE_SIGNALS_H

#include <stdint.h>

#include "intake.h"
#include "messages.h"
#include "window.h"

/* cffi: begin */
/* Result of an update. */
#define SIGNAL_HOLDS 1             /* what the values say holds now */
#define SIGNAL_NEW 2               /* and shall be said at once; without it it waits for the refresh */

typedef struct adaptive_spread {
    window_t *window_short;
    window_t *window_long;
    double    ratio;               /* hedge ticks times this are compared with open ticks */
    int64_t   interval_ns;
    int64_t   sample_due_ns;
    uint64_t  samples;
    uint64_t  samples_min;
    uint32_t  holds;
    uint32_t  reserved;
} adaptive_spread_t;

typedef struct position_close {
    const position_row_t *position;
    double   ratio;
    double   take_profit;          /* 0: never, as the other two */
    double   stop_loss;
    double   age_s_max;
    uint32_t holds;
    uint32_t reserved;
} position_close_t;

/* Where a top is shown to other roles: row `index` of a seqlocked segment. */
typedef struct top_row {
    state_t *state;
    void    *segment;
    uint64_t index;
} top_row_t;

/* A message that is kept ready, and what it is made from. */
typedef struct signal_source {
    signal_message_t *message;
    const book_top_t *top;
    const book_top_t *hedge;       /* NULL: there is none */
    const top_row_t  *row;         /* NULL: nobody is shown it */
    const top_row_t  *hedge_row;
} signal_source_t;

/* Ranks both spreads among those of the last samples, and takes one where it is due: values[0 … 3]. SIGNAL_ bits. */
int adaptive_spread_update(adaptive_spread_t *signal, const book_top_t *open, const book_top_t *hedge, double *values,
                           int64_t now_ns);

/* Compares what an open pair earns, and its age, with the limits: values[0 … 2]. SIGNAL_ bits. */
int position_close_update(position_close_t *signal, const book_top_t *open, const book_top_t *hedge, double *values,
                          int64_t now_ns);

/* Mid and spread of one book, in price units: values[0 … 1]. Returns 1, or 0 and writes nothing if it is not synchronised or
 * lacks a side. `half_tick`: half a tick in price units. */
int book_top_update(const book_top_t *top, double half_tick, double *values);

/* Shows a top if it changed since it was shown. Returns 1 if it did. */
int top_row_show(const top_row_t *row);

/* Shows the tops a signal was made from, then says it: see signal_say(). */
void signal_tell(signal_message_t *target, const signal_source_t *source, uint64_t signal_id, int64_t receive_ns,
                 int64_t now_ns);
/* cffi: end */

#endif
