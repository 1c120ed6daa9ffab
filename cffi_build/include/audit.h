/* audit.h — reads an ordered event array as a consumer would, and counts what should not be there. */
#ifndef CRYPTO_TRADE_AUDIT_H
#define CRYPTO_TRADE_AUDIT_H

#include <stdint.h>

#include "fuse.h"

/* cffi: begin */
#define LATENCY_BUCKETS 64

/* Zeroed by the caller, who sets the books' level tables, tick_size and gap_ns. */
typedef struct audit {
    fuse_t   books;                /* what the events built */
    int64_t  gap_ns;               /* a silence longer than this is counted */
    uint64_t messages;             /* groups of LOCAL rows with the same times */
    uint64_t crossed_messages;     /* after which the best bid was not below the best ask */
    uint64_t first_crossed_row;    /* + 1; 0: none */
    uint64_t gaps;
    int64_t  longest_gap_ns;
    uint64_t longest_gap_row;
    uint64_t negative_latencies;
    uint64_t deleted_unknown;      /* deletions of levels that were not there: normal, but many mean a missing snapshot */
    uint64_t bad_numbers;          /* NaN, infinite, negative, or a price that is not positive */
    uint64_t first_bad_row;        /* + 1 */
    uint64_t latency_histogram[64]; /* bucket b: latencies of [2^b, 2^(b+1)) ns */
    int64_t  last_local_ts;
    int64_t  last_exch_ts;
    uint64_t next_row;
} audit_t;

/* Takes events[audit.next_row .. count). Returns 1 when done, 0 when a level table is half full: grow it and call again. */
int32_t audit_events(audit_t *audit, const event_row_t *events, uint64_t count);
/* cffi: end */

#endif
