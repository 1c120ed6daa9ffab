/* weave.h — several streams of rows, each nearly in order, woven into one that is right for both clocks, while they come.
 *
 *     lane 0: trades  ──rows──▶ staging ─┬─ view by exchange time ─┐
 *                                        └─ view by local time   ──┤
 *     lane 1: depth   ──rows──▶ staging ─┬─ view by exchange time ─┼─▶ weave_merge() ─▶ rows, flagged EXCH and LOCAL
 *                                        └─ view by local time   ──┘
 *
 * The result is that of two stable sorts of all rows (lane after lane), by exchange and by local time, merged as hftbacktest's
 * correct_event_order merges them. A row can be merged when nothing still to come belongs before it: its lane may go back in
 * time by `window` at most. A row that goes back further is late: the caller begins anew with the windows that were measured.
 * Everything stays in a few megabytes of staging that are used again, so the only memory touched for the first time is the result.
 */
#ifndef CRYPTO_TRADE_WEAVE_H
#define CRYPTO_TRADE_WEAVE_H

#include <stdint.h>

#include "events.h"

/* cffi: begin */
/* One stream. Its memory is the caller's: `room` rows, `room` places in each array. Zeroed before the first use.
 *
 *     rows    [ merged by both views | waiting … | written by the reader, not taken yet | room ]
 *     order   [ merged by this view | head … end ]   places in rows
 */
typedef struct weave_lane {
    event_row_t *rows;
    uint32_t *order[2];            /* [0] by exchange time, [1] by local time */
    uint32_t *scratch;
    uint64_t room;
    uint64_t taken;                /* rows that stand in the orders */
    uint64_t head[2];              /* next place of an order to merge */
    uint64_t end[2];
    int64_t  newest[2];            /* largest time so far, ns */
    int64_t  disorder[2];          /* how far times went back so far, ns */
    int64_t  window[2];            /* how far they may */
    int32_t  is_open;              /* more rows will come */
    int32_t  has_rows;             /* some came */
} weave_lane_t;

typedef struct weave {
    weave_lane_t *lanes;
    uint32_t lane_count;
    int32_t  is_late;              /* a row came that belongs before one that was merged */
    int64_t  limit[2];             /* what is older has been merged, or waits for the other view */
    int64_t  latency_min;          /* smallest local − exchange time, ns */
    uint64_t taken;                /* rows, of all lanes */
    uint64_t written;              /* rows merged */
} weave_t;

/* Before the first row: sets times to their extremes and every lane open. */
void weave_begin(weave_t *weave);

/* Rows up to place `count` of a lane are written and will not change any more. Sets is_late if one comes too late. */
void weave_take(weave_t *weave, uint32_t lane, uint64_t count);

/* Merges what can be merged into `out` (NULL: counts only). Returns the rows written; `out_room`: it may be called again. */
uint64_t weave_merge(weave_t *weave, event_row_t *out, uint64_t out_room);

/* The lane that holds the others up: the open one whose rows are the oldest; −1: all are closed. */
int32_t weave_slowest(const weave_t *weave);

/* Moves the rows from place `keep` on (or from the first one not merged, if that is before it) up to `count` to the beginning.
 * Returns how many places they moved. */
uint64_t weave_compact(weave_t *weave, uint32_t lane, uint64_t keep, uint64_t count);
/* cffi: end */

#endif
