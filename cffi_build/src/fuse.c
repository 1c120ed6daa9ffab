#include "fuse.h"

#include <assert.h>
#include <math.h>

#include "level_table.h"

void fuse_grow(fuse_side_t *side, fuse_level_t *levels, uint64_t slots)
{
    assert((slots & (slots - 1)) == 0 && "the number of slots is a power of two");
    fuse_level_t *old = side->levels;
    uint64_t old_slots = side->mask + 1;
    side->levels = levels;
    side->mask = slots - 1;
    side->count = 0;
    for (uint64_t i = 0; i < old_slots; i++)
        if (!is_free(&old[i]))
            put(side, find(side, old[i].rank), old[i].rank, old[i].qty, old[i].exch_ts);
}

static void clear_side(fuse_side_t *side, int64_t sign)
{
    for (uint64_t i = 0; i <= side->mask; i++)
        side->levels[i].rank = NO_BEST;
    side->count = 0;
    side->best_rank = NO_BEST;
    side->far_rank = NO_FAR;
    side->sign = sign;
}

void fuse_reset(fuse_t *fuse)
{
    clear_side(&fuse->bid, 1);
    clear_side(&fuse->ask, -1);
    fuse->bid.best_exch_ts = fuse->ask.best_exch_ts = 0;
}

/* ---- events ---------------------------------------------------------------------------------------------------------- */

typedef struct sink {
    event_row_t *out;
    uint64_t written, room;
    double tick_size;
    int is_silent;
} sink_t;

static void say(sink_t *sink, const event_row_t *event)
{
    if (sink->is_silent)
        return;
    assert(sink->written < sink->room && "fuse_events asked for room before it began");
    sink->out[sink->written++] = *event;
}

static void say_deleted(sink_t *sink, const fuse_side_t *side, int64_t rank, const event_row_t *cause)
{
    event_row_t row = {0};
    row.ev = EVENT_DEPTH | (side->sign > 0 ? EVENT_BUY : EVENT_SELL);
    row.exch_ts = cause->exch_ts;
    row.local_ts = cause->local_ts;
    row.px = (double)(rank * side->sign) * sink->tick_size;
    say(sink, &row);
}

/* Deletes every level with low < rank <= high, in the order of rising price, as hftbacktest does on both sides. */
static void delete_between(sink_t *sink, fuse_side_t *side, int64_t low, int64_t high, const event_row_t *cause)
{
    if (high == NO_BEST || low >= high)
        return;
    for (int64_t i = 0; i < high - low; i++) {
        int64_t rank = side->sign > 0 ? low + 1 + i : high - i;
        fuse_level_t *level = find(side, rank);
        if (is_free(level))
            continue;
        take_out(side, level);
        say_deleted(sink, side, rank, cause);
    }
}

static inline int crosses(const fuse_side_t *other, int64_t rank)
{
    return other->best_rank != NO_BEST && rank >= -other->best_rank;
}

/* A new best of the other side stands at `rank` (in its own ranks): what it crossed here is gone. */
static void give_way(sink_t *sink, fuse_side_t *side, int64_t crossing_rank, const event_row_t *cause)
{
    int64_t before = side->best_rank, limit = -crossing_rank;
    side->best_rank = best_below(side, limit, side->far_rank);
    side->best_exch_ts = cause->exch_ts;
    int64_t keep = side->best_rank;
    if (keep == NO_BEST) {
        keep = limit - 1;
        side->far_rank = NO_FAR;
    }
    delete_between(sink, side, keep, before, cause);
}

/* A level of a deep stream. */
static void update_level(sink_t *sink, fuse_side_t *side, fuse_side_t *other, int64_t rank, int64_t lots, const event_row_t *event)
{
    int64_t now = event->exch_ts;
    if ((rank >= side->best_rank && now < side->best_exch_ts) || (crosses(other, rank) && now < other->best_exch_ts))
        return;
    fuse_level_t *level = find(side, rank);
    if (!is_free(level)) {
        if (now >= level->exch_ts) {
            if (lots > 0)
                put(side, level, rank, event->qty, now);
            else
                take_out(side, level);
            say(sink, event);
        }
    } else if (lots > 0) {
        put(side, level, rank, event->qty, now);
        say(sink, event);
    }
    if (lots == 0) {
        if (rank == side->best_rank) {
            side->best_rank = best_below(side, side->best_rank, side->far_rank);
            side->best_exch_ts = now;
            if (side->best_rank == NO_BEST)
                side->far_rank = NO_FAR;
        }
        return;
    }
    if (rank >= side->best_rank) {
        side->best_rank = rank;
        side->best_exch_ts = now;
        if (crosses(other, rank))
            give_way(sink, other, rank, event);
    }
    side->far_rank = rank < side->far_rank ? rank : side->far_rank;
}

/* The best level as a fast stream tells it. */
static void update_best(sink_t *sink, fuse_side_t *side, fuse_side_t *other, int64_t rank, const event_row_t *event)
{
    int64_t now = event->exch_ts, before = side->best_rank;
    if (now < side->best_exch_ts || (crosses(other, rank) && now < other->best_exch_ts))
        return;
    fuse_level_t *level = find(side, rank);
    if (!is_free(level) && rank == side->best_rank && event->qty == level->qty) {
        side->best_exch_ts = now;
        return;
    }
    put(side, level, rank, event->qty, now);
    say(sink, event);
    side->best_rank = rank;
    side->far_rank = rank < side->far_rank ? rank : side->far_rank;
    side->best_exch_ts = now;
    if (crosses(other, rank))
        give_way(sink, other, rank, event);
    if (before != NO_BEST && rank < before)
        delete_between(sink, side, rank, before, event);
}

static void clear_to(sink_t *sink, fuse_side_t *side, int64_t rank, const event_row_t *event)
{
    for (int64_t each = rank; side->best_rank != NO_BEST && each <= side->best_rank; each++) {
        fuse_level_t *level = find(side, each);
        if (!is_free(level))
            take_out(side, level);
    }
    /* hftbacktest looks from one tick further away; so the level right behind the cleared ones is passed over. */
    side->best_rank = best_below(side, rank - 1, side->far_rank);
    if (side->best_rank == NO_BEST)
        side->far_rank = NO_FAR;
    side->best_exch_ts = event->exch_ts;
    say(sink, event);
}

/* The most rows one event can cause: itself, and a deletion for every level that either side holds. */
static inline uint64_t rows_max(const fuse_t *fuse)
{
    return 1 + fuse->bid.count + fuse->ask.count;
}

static inline int has_space(const fuse_side_t *side)
{
    return (side->count + 1) * 2 <= side->mask + 1;
}

static void fuse_one(fuse_t *fuse, sink_t *sink, event_row_t event)
{
    int is_bid = (event.ev & EVENT_BUY) != 0;
    fuse_side_t *side = is_bid ? &fuse->bid : &fuse->ask, *other = is_bid ? &fuse->ask : &fuse->bid;
    int64_t rank = side->sign * (int64_t)round(event.px / fuse->tick_size);
    switch (event.ev & 0xff) {
    case EVENT_DEPTH:
    case EVENT_DEPTH_SNAPSHOT:
        update_level(sink, side, other, rank, (int64_t)round(event.qty / fuse->lot_size), &event);
        return;
    case EVENT_DEPTH_CLEAR: clear_to(sink, side, rank, &event); return;
    case EVENT_DEPTH_BBO:
        event.ev = (event.ev & ~(uint64_t)EVENT_DEPTH_BBO) | EVENT_DEPTH;
        update_best(sink, side, other, rank, &event);
        return;
    default: return;
    }
}

static inline int has_room(const fuse_t *fuse, const sink_t *sink)
{
    return (sink->is_silent || sink->written + rows_max(fuse) <= sink->room) && has_space(&fuse->bid) && has_space(&fuse->ask);
}

uint64_t fuse_events(fuse_t *fuse, const event_row_t *events, uint64_t count, int32_t is_silent, event_row_t *out,
                     uint64_t room, uint64_t *taken)
{
    sink_t sink = {.out = out, .room = room, .tick_size = fuse->tick_size, .is_silent = is_silent};
    uint64_t i = 0;
    for (; i < count && has_room(fuse, &sink); i++)
        if (events[i].ev & (EVENT_BUY | EVENT_SELL))
            fuse_one(fuse, &sink, events[i]);
    *taken = i;
    return sink.written;
}

static inline int is_snapshot_row(const event_row_t *row)
{
    return (row->ev & 0xff) == EVENT_DEPTH_CLEAR || (row->ev & 0xff) == EVENT_DEPTH_SNAPSHOT;
}

uint64_t fuse_two(fuse_t *fuse, const event_row_t *deep, uint64_t deep_count, const event_row_t *top, uint64_t top_count,
                  uint64_t *cursor, int32_t snapshots, event_row_t *out, uint64_t room)
{
    sink_t sink = {.out = out, .room = room, .tick_size = fuse->tick_size};
    while ((cursor[0] < deep_count || cursor[1] < top_count) && has_room(fuse, &sink)) {
        const event_row_t *row = &deep[cursor[0]];
        int is_inside = cursor[0] > 0 && cursor[0] < deep_count && is_snapshot_row(row) && is_snapshot_row(row - 1);
        int is_top = !is_inside && cursor[1] < top_count &&
                     (cursor[0] >= deep_count || top[cursor[1]].local_ts < row->local_ts);
        if (is_top) {
            fuse_one(fuse, &sink, top[cursor[1]++]);
            continue;
        }
        int is_first = snapshots == FUSE_FIRST_SNAPSHOT_SILENT && is_snapshot_row(row);
        for (uint64_t i = 0; is_first && i < cursor[0]; i++)
            is_first = is_snapshot_row(&deep[i]);
        sink.is_silent = is_snapshot_row(row) && (snapshots == FUSE_SNAPSHOTS_SILENT || is_first);
        fuse_one(fuse, &sink, *row);
        sink.is_silent = 0;
        cursor[0]++;
    }
    return sink.written;
}
