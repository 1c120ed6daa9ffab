/* row_order.h — places of rows, sorted by one of their two clocks; shared by events.c and weave.c. */
#ifndef CRYPTO_TRADE_ROW_ORDER_H
#define CRYPTO_TRADE_ROW_ORDER_H

#include <assert.h>
#include <string.h>

#include "events.h"

/* field 0: exchange time, 1: local time. */
static inline int64_t key_of(const event_row_t *row, int field)
{
    return field ? row->local_ts : row->exch_ts;
}

/* Merges the sorted order[begin, middle) and order[middle, end) stably: what is in place already is not touched. */
static inline void merge_runs(const event_row_t *rows, int field, uint32_t *order, uint64_t begin, uint64_t middle, uint64_t end,
                       uint32_t *scratch)
{
    int64_t first_right = key_of(&rows[order[middle]], field);
    uint64_t low = begin, high = middle;
    while (low < high) {
        uint64_t probe = low + (high - low) / 2;
        if (key_of(&rows[order[probe]], field) <= first_right)
            low = probe + 1;
        else
            high = probe;
    }
    if (low == middle)
        return;
    uint64_t left = middle - low, i = 0, j = middle, k = low;
    memcpy(scratch, order + low, left * sizeof *scratch);
    while (i < left && j < end) {
        if (key_of(&rows[order[j]], field) < key_of(&rows[scratch[i]], field))
            order[k++] = order[j++];
        else
            order[k++] = scratch[i++];
    }
    memcpy(order + k, scratch + i, (left - i) * sizeof *scratch);
}

#define RUNS_MAX 128               /* Market data is nearly in order: runs are long and few. */

/* Brings order[sorted, end) into the sorted order[begin, sorted): a natural merge sort, then one merge. */
static inline void sort_in(const event_row_t *rows, int field, uint32_t *order, uint64_t begin, uint64_t sorted, uint64_t end,
                    uint32_t *scratch)
{
    uint64_t starts[RUNS_MAX];
    uint64_t runs = 0;
    for (uint64_t run = sorted; run < end;) {
        uint64_t next = run + 1;
        while (next < end && key_of(&rows[order[next]], field) >= key_of(&rows[order[next - 1]], field))
            next++;
        starts[runs++] = run;
        /* Keep run lengths falling geometrically, as a balanced merge needs. */
        while (runs >= 2 && (next - starts[runs - 1]) * 2 > starts[runs - 1] - starts[runs - 2]) {
            merge_runs(rows, field, order, starts[runs - 2], starts[runs - 1], next, scratch);
            runs--;
        }
        assert(runs < RUNS_MAX && "geometric runs: 2^128 rows would be needed");
        run = next;
    }
    for (; runs >= 2; runs--)
        merge_runs(rows, field, order, starts[runs - 2], starts[runs - 1], end, scratch);
    if (begin < sorted && sorted < end)
        merge_runs(rows, field, order, begin, sorted, end, scratch);
}

#endif
