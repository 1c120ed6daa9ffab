/* fuse.h — several depth streams of one instrument → one stream of depth events without contradictions.
 *
 * A fast stream (best bid and offer, or a shallow book) and a slow one (the deep book) tell about the same levels at
 * different times. A level takes the newest word by exchange time; an update of the top that is older than what is known is
 * dropped; levels that a newer top has crossed or left behind are deleted by events of their own. The rules are those of
 * hftbacktest's FusedHashMapMarketDepth, so that the result is the same, row for row.
 */
#ifndef CRYPTO_TRADE_FUSE_H
#define CRYPTO_TRADE_FUSE_H

#include <stdint.h>

#include "events.h"

/* cffi: begin */
/* A slot of the level table: open addressing, linear probing. rank INT64_MIN: free. */
typedef struct fuse_level {
    int64_t rank;
    int64_t exch_ts;
    double  qty;
} fuse_level_t;

/* One side. A rank is the tick of a bid or minus the tick of an ask: on both sides the highest rank is the best. */
typedef struct fuse_side {
    fuse_level_t *levels;          /* caller's memory, every rank INT64_MIN at first */
    uint64_t mask;                 /* slots − 1; slots is a power of two */
    uint64_t count;                /* levels held; the caller grows the table at half full */
    int64_t  best_rank;            /* INT64_MIN: none */
    int64_t  far_rank;             /* the lowest rank ever held since the side was empty; INT64_MAX: none */
    int64_t  best_exch_ts;
    int64_t  sign;                 /* +1 bid, −1 ask */
} fuse_side_t;

typedef struct fuse {
    double tick_size;
    double lot_size;
    fuse_side_t bid;
    fuse_side_t ask;
} fuse_t;

/* Empties both sides; the level tables must have been set. */
void fuse_reset(fuse_t *fuse);

/* Takes events[0 .. count) (DEPTH, DEPTH_SNAPSHOT, DEPTH_CLEAR, DEPTH_BBO with a side) and writes what remains to be said to
 * out[0 .. room). is_silent: the books change, nothing is written. *taken is how many events were taken: fewer than count
 * when `out` or a level table might not hold the next one. Returns the rows written. */
uint64_t fuse_events(fuse_t *fuse, const event_row_t *events, uint64_t count, int32_t is_silent, event_row_t *out,
                     uint64_t room, uint64_t *taken);

typedef enum fuse_snapshots { FUSE_SNAPSHOTS_SAID = 0, FUSE_SNAPSHOTS_SILENT = 1, FUSE_FIRST_SNAPSHOT_SILENT = 2 } fuse_snapshots_e;

/* Takes two streams by local_ts: a row of `top` (DEPTH_BBO) goes first only if it is strictly older; the rows of a snapshot
 * (CLEAR, SNAPSHOT) are one unit. `snapshots` says which of them change the books only. cursor[0], cursor[1] are the
 * positions in both streams, advanced; both at their end: done. Returns the rows written. */
uint64_t fuse_two(fuse_t *fuse, const event_row_t *deep, uint64_t deep_count, const event_row_t *top, uint64_t top_count,
                  uint64_t *cursor, int32_t snapshots, event_row_t *out, uint64_t room);

/* Moves every level into a larger table (caller's memory, ranks INT64_MIN) of `slots` slots. */
void fuse_grow(fuse_side_t *side, fuse_level_t *levels, uint64_t slots);
/* cffi: end */

#endif
