#include "audit.h"

#include <math.h>

#include "level_table.h"

static int is_sound(const event_row_t *row)
{
    uint64_t kind = row->ev & 0xff;
    if (kind == EVENT_DEPTH_CLEAR)
        return 1; /* No price means the whole side. */
    if (kind > EVENT_DEPTH_BBO)
        return isfinite(row->px);
    return isfinite(row->px) && isfinite(row->qty) && row->px > 0.0 && row->qty >= 0.0;
}

static void clear_ranks(fuse_side_t *side, int64_t lowest)
{
    while (side->best_rank != NO_BEST && side->best_rank >= lowest) {
        fuse_level_t *level = find(side, side->best_rank);
        take_out(side, level);
        side->best_rank = best_below(side, side->best_rank, side->far_rank);
    }
    if (side->best_rank == NO_BEST)
        side->far_rank = NO_FAR;
}

static void apply_level(audit_t *audit, fuse_side_t *side, int64_t rank, double qty)
{
    fuse_level_t *level = find(side, rank);
    if (qty > 0.0) {
        put(side, level, rank, qty, 0);
        side->best_rank = rank > side->best_rank ? rank : side->best_rank;
        side->far_rank = rank < side->far_rank ? rank : side->far_rank;
        return;
    }
    if (is_free(level)) {
        audit->deleted_unknown++;
        return;
    }
    take_out(side, level);
    if (rank == side->best_rank)
        side->best_rank = best_below(side, rank, side->far_rank);
    if (side->best_rank == NO_BEST)
        side->far_rank = NO_FAR;
}

static void apply(audit_t *audit, const event_row_t *row)
{
    uint64_t kind = row->ev & 0xff;
    if (!(row->ev & (EVENT_BUY | EVENT_SELL)) || kind == EVENT_TRADE || kind > EVENT_DEPTH_BBO)
        return;
    fuse_side_t *side = row->ev & EVENT_BUY ? &audit->books.bid : &audit->books.ask;
    int is_whole = kind == EVENT_DEPTH_CLEAR && !isfinite(row->px);
    int64_t rank = is_whole ? NO_BEST + 1 : side->sign * (int64_t)llround(row->px / audit->books.tick_size);
    if (kind == EVENT_DEPTH_CLEAR)
        clear_ranks(side, rank);
    else
        apply_level(audit, side, rank, row->qty);
}

static void end_message(audit_t *audit, uint64_t row)
{
    const fuse_side_t *bid = &audit->books.bid, *ask = &audit->books.ask;
    audit->messages++;
    if (bid->best_rank == NO_BEST || ask->best_rank == NO_BEST || bid->best_rank < -ask->best_rank)
        return;
    audit->crossed_messages++;
    if (audit->first_crossed_row == 0)
        audit->first_crossed_row = row + 1;
}

static void count_times(audit_t *audit, const event_row_t *row, uint64_t index)
{
    int64_t silence = row->local_ts - audit->last_local_ts, latency = row->local_ts - row->exch_ts;
    if (audit->last_local_ts != 0 && silence > audit->gap_ns)
        audit->gaps++;
    if (audit->last_local_ts != 0 && silence > audit->longest_gap_ns) {
        audit->longest_gap_ns = silence;
        audit->longest_gap_row = index;
    }
    if (latency < 0)
        audit->negative_latencies++;
    else
        audit->latency_histogram[latency == 0 ? 0 : 63 - __builtin_clzll((uint64_t)latency)]++;
}

int32_t audit_events(audit_t *audit, const event_row_t *events, uint64_t count)
{
    for (uint64_t i = audit->next_row; i < count; i++) {
        const event_row_t *row = &events[i];
        if ((audit->books.bid.count + 1) * 2 > audit->books.bid.mask + 1 ||
            (audit->books.ask.count + 1) * 2 > audit->books.ask.mask + 1) {
            audit->next_row = i;
            return 0;
        }
        if (!is_sound(row)) {
            audit->bad_numbers++;
            audit->first_bad_row = audit->first_bad_row ? audit->first_bad_row : i + 1;
            continue;
        }
        if (!(row->ev & EVENT_LOCAL))
            continue;
        if (row->local_ts != audit->last_local_ts || row->exch_ts != audit->last_exch_ts) {
            if (audit->last_local_ts != 0)
                end_message(audit, i);
            count_times(audit, row, i);
            audit->last_local_ts = row->local_ts;
            audit->last_exch_ts = row->exch_ts;
        }
        apply(audit, row);
    }
    if (audit->next_row < count && audit->last_local_ts != 0)
        end_message(audit, count - 1);
    audit->next_row = count;
    return 1;
}
