#include "weave.h"

#include <assert.h>
#include <string.h>

#include "row_order.h"

void weave_begin(weave_t *weave)
{
    weave->is_late = 0;
    weave->latency_min = INT64_MAX;
    weave->taken = weave->written = 0;
    for (int field = 0; field < 2; field++) {
        weave->limit[field] = INT64_MIN;
        for (uint32_t i = 0; i < weave->lane_count; i++) {
            weave_lane_t *lane = &weave->lanes[i];
            lane->newest[field] = INT64_MIN;
            lane->disorder[field] = 0;
            lane->head[field] = lane->end[field] = 0;
            lane->taken = 0;
            lane->is_open = 1;
            lane->has_rows = 0;
        }
    }
}

void weave_take(weave_t *weave, uint32_t lane_index, uint64_t count)
{
    assert(lane_index < weave->lane_count && "a lane of this weave");
    weave_lane_t *lane = &weave->lanes[lane_index];
    assert(count <= lane->room && count >= lane->taken && count < UINT32_MAX && "rows stand in the lane's memory");
    uint64_t added = count - lane->taken;
    if (added == 0)
        return;
    const event_row_t *rows = lane->rows;
    int64_t newest_exch = lane->newest[0], newest_local = lane->newest[1], latency_min = weave->latency_min;
    int64_t back_exch = 0, back_local = 0; /* How far the new rows go back behind the newest before them. */
    uint32_t *by_exch = lane->order[0] + lane->end[0], *by_local = lane->order[1] + lane->end[1];
    for (uint64_t i = 0; i < added; i++) {
        int64_t exch = rows[lane->taken + i].exch_ts, local = rows[lane->taken + i].local_ts;
        by_exch[i] = by_local[i] = (uint32_t)(lane->taken + i);
        if (local - exch < latency_min)
            latency_min = local - exch;
        if (exch >= newest_exch)
            newest_exch = exch;
        else if (newest_exch - exch > back_exch)
            back_exch = newest_exch - exch;
        if (local >= newest_local)
            newest_local = local;
        else if (newest_local - local > back_local)
            back_local = newest_local - local;
        weave->is_late |= exch < weave->limit[0] || local < weave->limit[1];
    }
    weave->latency_min = latency_min;
    weave->taken += added;
    lane->newest[0] = newest_exch;
    lane->newest[1] = newest_local;
    lane->has_rows = 1;
    lane->taken = count;
    int64_t back[2] = {back_exch, back_local};
    for (int field = 0; field < 2; field++) {
        uint64_t sorted = lane->end[field];
        lane->end[field] += added;
        if (back[field])
            sort_in(rows, field, lane->order[field], lane->head[field], sorted, lane->end[field], lane->scratch);
        if (back[field] > lane->disorder[field])
            lane->disorder[field] = back[field];
    }
}

/* What is older than this, nothing still to come can be. */
static int64_t limit_of(const weave_t *weave, int field)
{
    int64_t limit = INT64_MAX, own;
    for (uint32_t i = 0; i < weave->lane_count; i++) {
        const weave_lane_t *lane = &weave->lanes[i];
        if (!lane->is_open)
            continue;
        if (!lane->has_rows || __builtin_sub_overflow(lane->newest[field], lane->window[field], &own))
            return INT64_MIN;
        limit = own < limit ? own : limit;
    }
    return limit;
}

int32_t weave_slowest(const weave_t *weave)
{
    int32_t slowest = -1;
    int64_t oldest = INT64_MAX;
    for (uint32_t i = 0; i < weave->lane_count; i++) {
        const weave_lane_t *lane = &weave->lanes[i];
        if (!lane->is_open)
            continue;
        if (!lane->has_rows)
            return (int32_t)i;
        if (slowest < 0 || lane->newest[1] < oldest) {
            slowest = (int32_t)i;
            oldest = lane->newest[1];
        }
    }
    return slowest;
}

/* One clock's view of all lanes: its next row, and up to where the lane that has it may go on without asking the others. */
typedef struct view {
    const event_row_t *row;        /* NULL: none is known to be the next */
    weave_lane_t *lane;
    uint32_t lane_index;
    int64_t  limit;                /* rows of this time or newer are not known to be in order yet */
    int64_t  bound;                /* smallest head of the other lanes; INT64_MAX: none */
    uint32_t bound_index;
} view_t;

/* Finds the lane with the smallest head; of equal ones the first. */
static void choose(weave_t *weave, view_t *view, int field)
{
    view->row = NULL;
    view->lane = NULL;
    view->bound = INT64_MAX;
    view->bound_index = UINT32_MAX;
    int64_t smallest = INT64_MAX;
    for (uint32_t i = 0; i < weave->lane_count; i++) {
        weave_lane_t *lane = &weave->lanes[i];
        if (lane->head[field] == lane->end[field])
            continue;
        int64_t key = key_of(&lane->rows[lane->order[field][lane->head[field]]], field);
        if (view->lane == NULL || key < smallest) {
            if (view->lane != NULL) {
                view->bound = smallest;
                view->bound_index = view->lane_index;
            }
            smallest = key;
            view->lane = lane;
            view->lane_index = i;
        } else if (key < view->bound) {
            view->bound = key;
            view->bound_index = i;
        }
    }
    if (view->lane != NULL && (smallest < view->limit || view->limit == INT64_MAX))
        view->row = &view->lane->rows[view->lane->order[field][view->lane->head[field]]];
}

static inline void advance(weave_t *weave, view_t *view, int field)
{
    weave_lane_t *lane = view->lane;
    uint64_t head = ++lane->head[field];
    if (head < lane->end[field]) {
        const event_row_t *row = &lane->rows[lane->order[field][head]];
        int64_t key = key_of(row, field);
        if (key < view->bound || (key == view->bound && view->lane_index < view->bound_index)) {
            view->row = key < view->limit || view->limit == INT64_MAX ? row : NULL;
            return;
        }
    }
    choose(weave, view, field);
}

/* Keys below this are the lane's to give without asking the others: the smallest head of the others (of equal ones the first
 * lane's goes first) and the limit. */
static inline int64_t own_below(const view_t *view)
{
    int64_t bound = view->bound;
    if (view->lane_index < view->bound_index && bound != INT64_MAX)
        bound++;
    return bound < view->limit ? bound : view->limit;
}

/* Both views stand at the same row: takes that one and those behind it as long as it stays so, which is how nearly all rows come.
 * Returns the rows written; 0: the first one needs a closer look. */
static uint64_t merge_run(weave_t *weave, view_t *exch, view_t *local, event_row_t *out, uint64_t out_room)
{
    weave_lane_t *lane = exch->lane;
    const uint32_t *by_exch = lane->order[0] + lane->head[0], *by_local = lane->order[1] + lane->head[1];
    uint64_t exch_left = lane->end[0] - lane->head[0], local_left = lane->end[1] - lane->head[1], count = 0;
    uint64_t room = exch_left < local_left ? exch_left : local_left;
    int64_t exch_below = own_below(exch), local_below = own_below(local);
    for (room = room < out_room ? room : out_room; count < room && by_exch[count] == by_local[count]; count++) {
        const event_row_t *row = &lane->rows[by_exch[count]];
        if ((row->exch_ts >= exch_below) | (row->local_ts >= local_below))
            break;
        if (out != NULL) {
            out[count] = *row;
            out[count].ev |= EVENT_EXCH | EVENT_LOCAL;
        }
    }
    if (count != 0) {
        lane->head[0] += count;
        lane->head[1] += count;
        choose(weave, exch, 0);
        choose(weave, local, 1);
    }
    return count;
}

uint64_t weave_merge(weave_t *weave, event_row_t *out, uint64_t out_room)
{
    view_t exch = {0}, local = {0};
    uint64_t written = 0;
    exch.limit = weave->limit[0] = limit_of(weave, 0);
    local.limit = weave->limit[1] = limit_of(weave, 1);
    int is_last = exch.limit == INT64_MAX && local.limit == INT64_MAX;
    choose(weave, &exch, 0);
    choose(weave, &local, 1);
    while (written < out_room) {
        const event_row_t *e = exch.row, *l = local.row, *row;
        uint64_t flags;
        if ((e == NULL || l == NULL) && (!is_last || e == l))
            break;
        if (e == l) {
            uint64_t count = merge_run(weave, &exch, &local, out == NULL ? NULL : out + written, out_room - written);
            written += count;
            if (count != 0)
                continue;
        }
        if (e != NULL && l != NULL && e->exch_ts == l->exch_ts && e->local_ts == l->local_ts) {
            row = e;
            flags = EVENT_EXCH | EVENT_LOCAL;
            advance(weave, &exch, 0);
            advance(weave, &local, 1);
        } else if (e != NULL && (l == NULL || e->exch_ts < l->exch_ts || (e->exch_ts == l->exch_ts && e->local_ts < l->local_ts))) {
            row = e;
            flags = EVENT_EXCH;
            advance(weave, &exch, 0);
        } else {
            row = l;
            flags = EVENT_LOCAL;
            advance(weave, &local, 1);
        }
        if (out != NULL) {
            out[written] = *row;
            out[written].ev |= flags;
        }
        written++;
    }
    weave->written += written;
    return written;
}

uint64_t weave_compact(weave_t *weave, uint32_t lane_index, uint64_t keep, uint64_t count)
{
    assert(lane_index < weave->lane_count && "a lane of this weave");
    weave_lane_t *lane = &weave->lanes[lane_index];
    assert(count >= lane->taken && count <= lane->room && "rows stand in the lane's memory");
    for (int field = 0; field < 2; field++)
        for (uint64_t i = lane->head[field]; i < lane->end[field]; i++)
            keep = lane->order[field][i] < keep ? lane->order[field][i] : keep;
    if (keep > lane->taken)
        keep = lane->taken;
    if (keep == 0)
        return 0;
    memmove(lane->rows, lane->rows + keep, (count - keep) * sizeof *lane->rows);
    for (int field = 0; field < 2; field++) {
        uint32_t *order = lane->order[field];
        uint64_t waiting = lane->end[field] - lane->head[field];
        for (uint64_t i = 0; i < waiting; i++)
            order[i] = order[lane->head[field] + i] - (uint32_t)keep;
        lane->head[field] = 0;
        lane->end[field] = waiting;
    }
    lane->taken -= keep;
    return keep;
}
