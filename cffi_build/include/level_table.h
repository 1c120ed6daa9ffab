/* level_table.h — the levels of one side of a book by rank, however far apart: open addressing, linear probing.
 *
 * For conversions and checks, where prices may be anything; the live book (book.h) is dense. C only: no cffi part.
 */
#ifndef CRYPTO_TRADE_LEVEL_TABLE_H
#define CRYPTO_TRADE_LEVEL_TABLE_H

#include "fuse.h"

#define NO_BEST INT64_MIN
#define NO_FAR INT64_MAX

static inline uint64_t slot_of(const fuse_side_t *side, int64_t rank)
{
    return ((uint64_t)rank * 0x9E3779B97F4A7C15ULL >> 20) & side->mask;
}

/* The slot that holds `rank`, or the free one where it would go. */
static inline fuse_level_t *find(const fuse_side_t *side, int64_t rank)
{
    uint64_t slot = slot_of(side, rank);
    while (side->levels[slot].rank != rank && side->levels[slot].rank != NO_BEST)
        slot = (slot + 1) & side->mask;
    return &side->levels[slot];
}

static inline int is_free(const fuse_level_t *level)
{
    return level->rank == NO_BEST;
}

static inline void put(fuse_side_t *side, fuse_level_t *level, int64_t rank, double qty, int64_t exch_ts)
{
    side->count += (uint64_t)is_free(level);
    *level = (fuse_level_t){rank, exch_ts, qty};
}

/* Frees a slot and closes the gap in its probe chain. */
static inline void take_out(fuse_side_t *side, fuse_level_t *level)
{
    uint64_t gap = (uint64_t)(level - side->levels), next = gap;
    for (;;) {
        next = (next + 1) & side->mask;
        fuse_level_t *candidate = &side->levels[next];
        if (is_free(candidate))
            break;
        uint64_t home = slot_of(side, candidate->rank);
        if (((next - home) & side->mask) >= ((next - gap) & side->mask)) {
            side->levels[gap] = *candidate;
            gap = next;
        }
    }
    side->levels[gap].rank = NO_BEST;
    side->count--;
}

/* The best level strictly below `rank` that has a quantity, not below `lowest`; NO_BEST if there is none. */
static inline int64_t best_below(const fuse_side_t *side, int64_t rank, int64_t lowest)
{
    for (int64_t probe = rank - 1; rank != NO_BEST && probe >= lowest; probe--) {
        const fuse_level_t *level = find(side, probe);
        if (!is_free(level) && level->qty > 0.0)
            return probe;
    }
    return NO_BEST;
}

#endif
