#define _GNU_SOURCE /* ppoll */

#include "live_bot.h"

#include "clock.h"
#include "ring.h"
#include "seqlock.h"
#include "wake.h"

#include <assert.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#define PEEK_MAX 64 /* messages of one lane before they are released: a producer that waits goes on meanwhile */

#define ALL_ASSETS UINT64_MAX
#define SECOND_NS INT64_C(1000000000)
#define BEAT_NS INT64_C(1000000)
#define REQUEST_WAIT_NS (60 * SECOND_NS)
#define PLACE_MASK ((UINT64_C(1) << LIVE_SLOT_BITS) - 1)
#define NO_PLACE UINT32_MAX

/* What a wait ends for, as bits. */
#define FOR_FEED 1u
#define FOR_RESPONSES 2u
#define FOR_ORDER 4u

/* prepost's OrderState, in response_message_t.order_status (reactor/prepost/orders.py: never renumbered). */
#define STATE_FILLED 6
#define STATE_CANCELLED 7

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(((live_bot_t *)0)->lock), "the mutex fits");
_Static_assert(sizeof(live_order_t) == 96 && offsetof(live_order_t, maker) == 88, "hftbacktest's order_dtype");
_Static_assert(sizeof(live_state_t) == 48, "hftbacktest's state_values_dtype");
_Static_assert(sizeof(event_row_t) == 64, "hftbacktest's event_dtype");
_Static_assert(LIVE_ORDERS_MAX == 1 << LIVE_SLOT_BITS, "a place fits into a signal id");

static void count(live_bot_t *bot, live_counter_e counter)
{
    bot->metrics->counters[counter]++;
}

/* ---- lock, clock, life sign --------------------------------------------------------------------------------- */

static pthread_mutex_t *mutex_of(live_bot_t *bot)
{
    return (pthread_mutex_t *)(void *)bot->lock;
}

void live_bot_lock(live_bot_t *bot)
{
    pthread_mutex_lock(mutex_of(bot));
}

int32_t live_bot_try_lock(live_bot_t *bot)
{
    return pthread_mutex_trylock(mutex_of(bot)) == 0;
}

void live_bot_unlock(live_bot_t *bot)
{
    pthread_mutex_unlock(mutex_of(bot));
}

void live_bot_stop(live_bot_t *bot)
{
    __atomic_store_n(&bot->is_stopping, 1, __ATOMIC_RELEASE);
}

static int is_stopping(const live_bot_t *bot)
{
    return __atomic_load_n(&bot->is_stopping, __ATOMIC_ACQUIRE) != 0;
}

static int64_t wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

/* A wall clock time as the strategy's clock shows it. */
static int64_t strategy_ns(const live_bot_t *bot, int64_t wall)
{
    if (bot->clock_speed == 1.0 || wall == 0)
        return wall;
    return bot->clock_start_wall_ns + (int64_t)((double)(wall - bot->clock_start_wall_ns) * bot->clock_speed);
}

static int64_t strategy_ns_of_monotonic(const live_bot_t *bot, int64_t monotonic_ns)
{
    return strategy_ns(bot, bot->clock_start_wall_ns + (monotonic_ns - bot->clock_start_ns));
}

int64_t live_bot_current_timestamp(const live_bot_t *bot)
{
    return strategy_ns(bot, wall_ns());
}

static void beat(live_bot_t *bot, int64_t now_ns)
{
    role_metrics_t *metrics = bot->metrics;
    if (now_ns - metrics->heartbeat_ns < BEAT_NS)
        return;
    metrics->heartbeat_ns = now_ns;
    metrics->passes++;
    if (bot->metrics_segment != NULL)
        seqlock_write(bot->metrics_segment, 0, metrics);
}

void live_bot_beat(live_bot_t *bot)
{
    beat(bot, clock_monotonic_ns());
}

/* ---- the table of orders ------------------------------------------------------------------------------------ */

static uint32_t bucket_of(const live_bot_t *bot, uint64_t asset_no, uint64_t order_id)
{
    const uint64_t mixed = (order_id ^ asset_no << 56) * UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(mixed >> 32) & bot->bucket_mask;
}

/* The bucket that holds the order, or the empty one where it would go. */
static uint32_t find_bucket(const live_bot_t *bot, uint64_t asset_no, uint64_t order_id)
{
    uint32_t bucket = bucket_of(bot, asset_no, order_id);
    for (;; bucket = (bucket + 1) & bot->bucket_mask) {
        const uint32_t held = bot->buckets[bucket];
        if (held == 0 || (bot->orders[held - 1].order_id == order_id && bot->notes[held - 1].asset_no == asset_no))
            return bucket;
    }
}

static uint32_t find_place(const live_bot_t *bot, uint64_t asset_no, uint64_t order_id)
{
    const uint32_t held = bot->buckets[find_bucket(bot, asset_no, order_id)];
    return held == 0 ? NO_PLACE : held - 1;
}

static uint32_t take_place(live_bot_t *bot, uint64_t asset_no, uint64_t order_id)
{
    if (bot->free_count == 0)
        return NO_PLACE;
    const uint32_t place = bot->free_places[--bot->free_count];
    memset(&bot->orders[place], 0, sizeof(live_order_t));
    memset(&bot->notes[place], 0, sizeof(live_note_t));
    const uint32_t bucket = find_bucket(bot, asset_no, order_id);
    assert(bot->buckets[bucket] == 0 && "an id is in the table once");
    bot->orders[place].order_id = order_id;
    bot->notes[place].asset_no = (uint32_t)asset_no;
    bot->notes[place].is_used = 1;
    bot->buckets[bucket] = place + 1;
    return place;
}

/* Frees a place and closes the gap in its probe chain. */
static void drop_place(live_bot_t *bot, uint32_t place)
{
    const uint32_t mask = bot->bucket_mask;
    uint32_t gap = find_bucket(bot, bot->notes[place].asset_no, bot->orders[place].order_id);
    for (uint32_t next = (gap + 1) & mask; bot->buckets[next] != 0; next = (next + 1) & mask) {
        const uint32_t moved = bot->buckets[next] - 1;
        const uint32_t home = bucket_of(bot, bot->notes[moved].asset_no, bot->orders[moved].order_id);
        if (((next - home) & mask) >= ((next - gap) & mask)) {
            bot->buckets[gap] = bot->buckets[next];
            gap = next;
        }
    }
    bot->buckets[gap] = 0;
    bot->notes[place].is_used = 0;
    bot->free_places[bot->free_count++] = place;
}

static int is_open(const live_order_t *order)
{
    return order->status == LIVE_NEW || order->status == LIVE_PARTIALLY_FILLED;
}

static int is_cancellable(const live_order_t *order)
{
    return is_open(order) && order->req == LIVE_NONE;
}

/* ---- books -------------------------------------------------------------------------------------------------- */

static double quantity_of(const live_asset_t *asset, int64_t lots)
{
    return (double)(lots * asset->lot_units) / asset->lot_scale;
}

static void put(const live_asset_t *asset, double *depth, int64_t tick, int64_t lots)
{
    if (depth != NULL && tick >= asset->roi_lb_tick && tick <= asset->roi_ub_tick)
        depth[tick - asset->roi_lb_tick] = quantity_of(asset, lots);
}

static void clear_depth(live_asset_t *asset)
{
    const uint64_t ticks = (uint64_t)(asset->roi_ub_tick - asset->roi_lb_tick + 1);
    if (asset->bid_depth != NULL)
        memset(asset->bid_depth, 0, ticks * sizeof(double));
    if (asset->ask_depth != NULL)
        memset(asset->ask_depth, 0, ticks * sizeof(double));
    book_clear(asset->book);
}

#define COVERED_MAX 256 /* Levels that a best price may leave behind until the next delta; usually it is one. */

/* The levels of one side that a newer best price leaves behind, shown as `is_covered` says. */
static void cover(live_asset_t *asset, const levels_t *side, double *depth, const level_t *best, int is_covered)
{
    level_t nearest[COVERED_MAX];
    if (depth == NULL)
        return;
    uint32_t copied = 0, beyond = 0;
    for (uint32_t wanted = 4; beyond == copied && wanted <= COVERED_MAX; wanted *= 8) {
        copied = levels_copy(side, nearest, wanted);
        for (beyond = 0; beyond < copied; beyond++)
            if (side->direction > 0 ? nearest[beyond].price_ticks <= best->price_ticks : nearest[beyond].price_ticks >= best->price_ticks)
                break;
        if (copied < wanted)
            break;
    }
    for (uint32_t i = 0; i < beyond; i++)
        put(asset, depth, nearest[i].price_ticks, is_covered ? 0 : nearest[i].quantity_lots);
    put(asset, depth, best->price_ticks, is_covered ? best->quantity_lots : levels_quantity(side, best->price_ticks));
}

static void lift_top(live_asset_t *asset)
{
    if (!asset->has_top)
        return;
    asset->has_top = 0;
    cover(asset, &asset->book->bids, asset->bid_depth, &asset->top_bid, 0);
    cover(asset, &asset->book->asks, asset->ask_depth, &asset->top_ask, 0);
}

static void lay_top(live_asset_t *asset)
{
    if (asset->top_id <= asset->book->update_id || asset->top_bid.quantity_lots <= 0 || asset->top_ask.quantity_lots <= 0)
        return;
    asset->has_top = 1;
    cover(asset, &asset->book->bids, asset->bid_depth, &asset->top_bid, 1);
    cover(asset, &asset->book->asks, asset->ask_depth, &asset->top_ask, 1);
}

static void show_best(live_asset_t *asset)
{
    level_t bid = {0, 0}, ask = {0, 0};
    if (asset->is_good && !asset->is_silent) {
        if (asset->has_top) {
            bid = asset->top_bid;
            ask = asset->top_ask;
        } else {
            book_best(asset->book, &bid, &ask);
        }
    }
    asset->best_bid_tick = bid.quantity_lots > 0 ? bid.price_ticks : INT64_MIN;
    asset->best_ask_tick = ask.quantity_lots > 0 ? ask.price_ticks : INT64_MAX;
    asset->best_bid_qty = quantity_of(asset, bid.quantity_lots);
    asset->best_ask_qty = quantity_of(asset, ask.quantity_lots);
}

static void lose_book(live_bot_t *bot, live_asset_t *asset)
{
    if (asset->is_good)
        count(bot, LIVE_COUNTER_BOOKS_LOST);
    lift_top(asset);
    clear_depth(asset);
    asset->is_good = 0;
    asset->top_id = 0;
}

static const level_t *levels_of(const market_message_t *message)
{
    return (const level_t *)(const void *)message->levels; /* the same two words: checked in market_link.c */
}

static void take_levels(live_asset_t *asset, const market_message_t *message)
{
    const level_t *bids = levels_of(message), *asks = bids + message->bid_count;
    book_apply_levels(asset->book, bids, message->bid_count, asks, message->ask_count, message->update_id);
    for (uint32_t i = 0; i < message->bid_count; i++)
        put(asset, asset->bid_depth, bids[i].price_ticks, bids[i].quantity_lots);
    for (uint32_t i = 0; i < message->ask_count; i++)
        put(asset, asset->ask_depth, asks[i].price_ticks, asks[i].quantity_lots);
}

static void take_trade(live_bot_t *bot, live_asset_t *asset, const market_message_t *message)
{
    count(bot, LIVE_COUNTER_TRADES);
    if (asset->trade_capacity == 0)
        return;
    if (asset->trade_count == asset->trade_capacity) { /* Nobody clears them: the older half goes. */
        const uint64_t half = (asset->trade_capacity + 1) / 2;
        memmove(asset->trades, asset->trades + half, (asset->trade_count - half) * sizeof(event_row_t));
        asset->trade_count -= half;
        asset->trades_dropped += half;
    }
    const int64_t lots = message->levels[0].quantity_lots;
    asset->trades[asset->trade_count++] = (event_row_t){
        .ev = EVENT_TRADE | (uint64_t)EVENT_EXCH | EVENT_LOCAL | (lots > 0 ? EVENT_BUY : EVENT_SELL),
        .exch_ts = asset->feed_times[0],
        .local_ts = asset->feed_times[1],
        .px = (double)message->levels[0].price_ticks * asset->tick_size,
        .qty = quantity_of(asset, lots > 0 ? lots : -lots),
    };
}

static live_asset_t *asset_of_instrument(live_bot_t *bot, uint32_t instrument_index)
{
    for (uint32_t i = 0; i < bot->asset_count; i++)
        if (bot->assets[i].instrument_index == instrument_index)
            return &bot->assets[i];
    return NULL;
}

static void take_market(live_bot_t *bot, const market_message_t *message)
{
    live_asset_t *asset = asset_of_instrument(bot, message->instrument_index);
    count(bot, LIVE_COUNTER_MARKET_MESSAGES);
    if (asset == NULL || message->bid_count + message->ask_count > MARKET_LEVELS)
        return;
    if (message->receive_ns > asset->heard_ns)
        asset->heard_ns = message->receive_ns;
    asset->is_silent = 0;
    if (message->kind == MARKET_LOST) {
        lose_book(bot, asset);
        return;
    }
    asset->has_feed = 1;
    asset->feed_times[0] = strategy_ns(bot, message->exchange_ns);
    asset->feed_times[1] = strategy_ns_of_monotonic(bot, message->receive_ns);
    switch (message->kind) {
    case MARKET_BOOK:
        if (message->flags & MARKET_FIRST_PART) {
            lift_top(asset);
            clear_depth(asset);
            asset->is_good = 0;
        }
        take_levels(asset, message);
        if (message->flags & MARKET_LAST_PART) {
            asset->is_good = 1;
            lay_top(asset);
        }
        break;
    case MARKET_DELTA:
        if (!asset->is_good)
            return; /* The whole book follows. */
        lift_top(asset);
        take_levels(asset, message);
        if (message->flags & MARKET_LAST_PART)
            lay_top(asset);
        break;
    case MARKET_TOP:
        if (message->update_id <= asset->top_id)
            return;
        lift_top(asset);
        asset->top_id = message->update_id;
        asset->top_bid = levels_of(message)[0];
        asset->top_ask = levels_of(message)[1];
        lay_top(asset);
        break;
    case MARKET_TRADE:
        take_trade(bot, asset, message);
        break;
    default:
        return;
    }
    bot->feeds++;
    bot->last_feed_ns = message->receive_ns;
}

static void take_markets(live_bot_t *bot)
{
    for (uint32_t i = 0; i < bot->market_count; i++) {
        ring_consumer_lane_t *lane = bot->market_lanes[i];
        for (;;) {
            const uint64_t taken = ring_peek(lane, PEEK_MAX);
            if (taken == 0) {
                if (ring_switch(lane)) /* A restarted feed: its messages follow those of the one before. */
                    continue;
                break;
            }
            const uint64_t last = ring_peeked(lane);
            for (uint64_t sequence = last - taken + 1; sequence <= last; sequence++)
                take_market(bot, ring_consumer_slot(lane, sequence));
            ring_release(lane, taken);
        }
    }
}

/* ---- requests ----------------------------------------------------------------------------------------------- */

/* A slot of the signal ring with everything that all requests share; NULL: full, or nobody is attached. */
static signal_message_t *begin_signal(live_bot_t *bot, uint32_t asset_no, uint16_t kind, uint64_t signal_id)
{
    ring_producer_lane_t *lane = bot->signal_lane;
    if (ring_claim(lane, 1) == 0) {
        count(bot, LIVE_COUNTER_NO_ROOM);
        return NULL;
    }
    const live_asset_t *asset = &bot->assets[asset_no];
    const uint64_t sequence = ring_claimed(lane);
    signal_message_t *signal = ring_producer_slot(lane, sequence);
    memset(signal, 0, sizeof *signal);
    message_header_t *header = &signal->header;
    header->sequence = sequence;
    header->signal_id = signal_id;
    header->kind = kind;
    header->source = bot->source;
    header->instrument_index = (uint16_t)asset->instrument_index;
    header->hedge_instrument_index = 0xffff;
    header->pair_id = 0xffffffff;
    header->exchange_ns = asset->feed_times[0];
    header->stage_ns[STAGE_RECEIVE] = bot->decision_ns;
    header->stage_ns[STAGE_SIGNAL] = clock_monotonic_ns();
    signal->signal_index = (uint32_t)kind * INSTRUMENTS_MAX + asset->instrument_index;
    signal->strategy_index = bot->strategy_index;
    signal->bid_ticks = asset->best_bid_tick == INT64_MIN ? 0 : asset->best_bid_tick;
    signal->ask_ticks = asset->best_ask_tick == INT64_MAX ? 0 : asset->best_ask_tick;
    return signal;
}

static uint64_t next_signal_id(live_bot_t *bot, uint32_t place)
{
    bot->signal_count++;
    return bot->signal_base | (bot->signal_count << LIVE_SLOT_BITS & UINT64_C(0xffffffffffff)) | place;
}

/* Sends the place of an order as it stands in the table. 0: no room. */
static int send_place(live_bot_t *bot, uint32_t place)
{
    static const uint16_t TIMES_IN_FORCE[] = {TIF_GTC, TIF_POST_ONLY, TIF_FOK, TIF_IOC};
    live_order_t *order = &bot->orders[place];
    live_note_t *note = &bot->notes[place];
    const uint64_t signal_id = next_signal_id(bot, place);
    signal_message_t *signal = begin_signal(bot, note->asset_no, SIGNAL_STRATEGY_ORDER, signal_id);
    if (signal == NULL)
        return 0;
    const int rests = order->order_type == LIVE_LIMIT && (order->time_in_force == LIVE_GTC || order->time_in_force == LIVE_GTX);
    signal->header.flags = rests ? FLAG_QUOTE : 0;
    signal->order_type = order->order_type == LIVE_MARKET ? ORDER_TYPE_MARKET : ORDER_TYPE_LIMIT;
    signal->time_in_force = order->order_type == LIVE_MARKET ? TIF_IOC : TIMES_IN_FORCE[order->time_in_force];
    signal->quote_count = 1;
    signal->quotes[0].price_ticks = order->order_type == LIVE_MARKET ? 0 : order->price_tick;
    signal->quotes[0].quantity_lots = order->side * note->quantity_lots;
    note->signal_id = signal_id;
    note->our_order_id = 0;
    note->filled_lots = 0;
    order->local_timestamp = live_bot_current_timestamp(bot);
    ring_commit(bot->signal_lane, 1);
    count(bot, LIVE_COUNTER_ORDERS);
    return 1;
}

/* Asks for the end of an accepted order. 0: no room. */
static int send_cancel(live_bot_t *bot, uint32_t place)
{
    const live_note_t *note = &bot->notes[place];
    signal_message_t *signal = begin_signal(bot, note->asset_no, SIGNAL_STRATEGY_CANCEL, note->signal_id);
    if (signal == NULL)
        return 0;
    signal->header.order_id = note->our_order_id;
    ring_commit(bot->signal_lane, 1);
    count(bot, LIVE_COUNTER_CANCELS);
    return 1;
}

/* ---- responses ---------------------------------------------------------------------------------------------- */

static void take_position(live_bot_t *bot, live_asset_t *asset)
{
    if (asset->position_row == NULL)
        return;
    if (seqlock_load_row(asset->position_row) != SEQLOCK_OK)
        return;
    const position_row_t *row = asset->position;
    if (row->fills < asset->position_fills)
        return; /* A response has told us of a later one. */
    if (!asset->has_position) {
        asset->has_position = 1;
        asset->fees_before_e8 = row->fees_e8;
    }
    asset->position_fills = row->fills;
    asset->state.position = quantity_of(asset, row->position_lots);
    asset->state.fee = (double)(row->fees_e8 - asset->fees_before_e8) / 1e8;
    (void)bot;
}

static void drop_replacement(live_bot_t *bot, live_note_t *note)
{
    if (note->replace_lots > 0)
        bot->replaces_pending--;
    note->replace_lots = 0;
}

static void finish(live_bot_t *bot, live_order_t *order, live_note_t *note, uint8_t status)
{
    order->status = status;
    order->req = LIVE_NONE;
    drop_replacement(bot, note);
}

static void take_fill(live_bot_t *bot, live_asset_t *asset, const response_message_t *response, live_order_t *order,
                      live_note_t *note)
{
    const double qty = quantity_of(asset, response->quantity_lots);
    const double price = (double)response->price_ticks * asset->tick_size;
    count(bot, LIVE_COUNTER_FILLS);
    asset->state.balance -= response->side * qty * price;
    asset->state.num_trades++;
    asset->state.trading_volume += qty;
    asset->state.trading_value += qty * price;
    if (order == NULL)
        return;
    note->filled_lots = response->cumulative_lots;
    const int64_t leaves_lots = note->quantity_lots - note->filled_lots;
    order->exec_price_tick = response->price_ticks;
    order->exec_qty = qty;
    order->maker = (response->header.flags & FLAG_MAKER) != 0;
    order->leaves_qty = quantity_of(asset, leaves_lots > 0 ? leaves_lots : 0);
    if (leaves_lots <= 0)
        finish(bot, order, note, LIVE_FILLED);
    else if (is_open(order)) {
        order->status = LIVE_PARTIALLY_FILLED;
        if (order->req == LIVE_NEW)
            order->req = LIVE_NONE; /* A fill may overtake its ack. */
    }
}

/* The old order of a modify() is gone: the new one goes out, for what is left of it. */
static void replace(live_bot_t *bot, uint32_t place)
{
    live_order_t *order = &bot->orders[place];
    live_note_t *note = &bot->notes[place];
    const live_asset_t *asset = &bot->assets[note->asset_no];
    const int64_t left_lots = note->replace_lots - note->before_lots - note->filled_lots;
    if (left_lots <= 0) {
        finish(bot, order, note, note->before_lots + note->filled_lots > 0 ? LIVE_FILLED : LIVE_CANCELED);
        return;
    }
    const int64_t replace_lots = note->replace_lots;
    order->qty = quantity_of(asset, replace_lots);
    order->leaves_qty = quantity_of(asset, left_lots);
    order->price_tick = note->replace_ticks;
    note->before_lots += note->filled_lots;
    note->quantity_lots = left_lots;
    drop_replacement(bot, note);
    order->status = LIVE_NEW;
    order->req = LIVE_REPLACED;
    if (!send_place(bot, place))
        finish(bot, order, note, LIVE_CANCELED);
}

/* A refusal that is not about this order: the next one would be refused, too. */
static int is_refused_to_all(uint16_t reason)
{
    switch (reason) {
    case REASON_KILL_SWITCH:
    case REASON_NOT_RECONCILED:
    case REASON_NO_SESSION:
    case REASON_SYMBOL_HALTED:
    case REASON_DAILY_LOSS:
    case REASON_DAILY_TRADES:
    case REASON_BACKPRESSURE:
    case REASON_ORDER_RATE:
    case REASON_NO_BOOK:
        return 1;
    default:
        return 0;
    }
}

static void take_response(live_bot_t *bot, const response_message_t *response)
{
    const message_header_t *header = &response->header;
    live_asset_t *asset = asset_of_instrument(bot, header->instrument_index);
    if (asset == NULL || (header->signal_id ^ bot->signal_base) >> 48 != 0)
        return; /* Another's of the same number, from before a restart. */
    count(bot, LIVE_COUNTER_RESPONSES);
    const uint32_t place = (uint32_t)(header->signal_id & PLACE_MASK);
    live_order_t *order = NULL;
    live_note_t *note = NULL;
    if (place < bot->order_capacity && bot->notes[place].is_used && bot->notes[place].signal_id == header->signal_id) {
        order = &bot->orders[place];
        note = &bot->notes[place];
    } else {
        count(bot, LIVE_COUNTER_STRANGERS);
    }
    if (header->kind != RESPONSE_REFUSED && response->position_fills >= asset->position_fills) {
        asset->position_fills = response->position_fills;
        asset->state.position = quantity_of(asset, response->position_lots);
    }
    if (header->kind == RESPONSE_FILL)
        take_fill(bot, asset, response, order, note);
    if (order == NULL)
        return;
    if (header->kind == RESPONSE_ACCEPTED) {
        note->our_order_id = header->order_id;
        return; /* Our house has it; the venue has not spoken. */
    }
    if (header->kind != RESPONSE_REFUSED) {
        order->exch_timestamp = strategy_ns(bot, header->exchange_ns);
        asset->has_order_latency = 1;
        asset->order_times[0] = order->local_timestamp;
        asset->order_times[1] = order->exch_timestamp;
        asset->order_times[2] = live_bot_current_timestamp(bot);
    }
    switch (header->kind) {
    case RESPONSE_ACKNOWLEDGED:
        count(bot, LIVE_COUNTER_ACKNOWLEDGED);
        note->our_order_id = header->order_id;
        if (order->req == LIVE_NEW || (order->req == LIVE_REPLACED && note->replace_lots == 0))
            order->req = LIVE_NONE;
        break;
    case RESPONSE_REFUSED:
        count(bot, LIVE_COUNTER_REFUSED);
        bot->refusals[response->reason < LIVE_REASONS ? response->reason : 0]++;
        if (is_refused_to_all(response->reason))
            asset->paused_until_ns = clock_monotonic_ns() + LIVE_PAUSE_NS;
        if (is_open(order))
            finish(bot, order, note, LIVE_REJECTED);
        break;
    case RESPONSE_REJECTED:
        count(bot, LIVE_COUNTER_REJECTED);
        if (is_open(order)) /* A post-only order that would have taken is expired in hftbacktest's words. */
            finish(bot, order, note, response->reason == REASON_POST_ONLY_WOULD_TAKE ? LIVE_EXPIRED : LIVE_REJECTED);
        break;
    case RESPONSE_CLOSED:
        count(bot, LIVE_COUNTER_CLOSED);
        if (!is_open(order))
            break;
        note->filled_lots = response->cumulative_lots > note->filled_lots ? response->cumulative_lots : note->filled_lots;
        if (note->replace_lots > 0)
            replace(bot, place);
        else if (response->order_status == STATE_FILLED)
            finish(bot, order, note, LIVE_FILLED);
        else
            finish(bot, order, note, order->req == LIVE_CANCELED || response->order_status == STATE_CANCELLED ? LIVE_CANCELED
                                                                                                         : LIVE_EXPIRED);
        break;
    default:
        break;
    }
    note->responses++;
    bot->responses++;
}

static void take_responses(live_bot_t *bot)
{
    ring_consumer_lane_t *lane = bot->response_lane;
    for (;;) {
        const uint64_t taken = ring_peek(lane, PEEK_MAX);
        if (taken == 0) {
            if (ring_switch(lane))
                continue;
            return;
        }
        const uint64_t last = ring_peeked(lane);
        for (uint64_t sequence = last - taken + 1; sequence <= last; sequence++)
            take_response(bot, ring_consumer_slot(lane, sequence));
        ring_release(lane, taken);
    }
}

/* ---- the pump ----------------------------------------------------------------------------------------------- */

void live_bot_pump(live_bot_t *bot)
{
    take_markets(bot);
    take_responses(bot);
    const int64_t now_ns = clock_monotonic_ns();
    for (uint32_t i = 0; i < bot->asset_count; i++) {
        live_asset_t *asset = &bot->assets[i];
        take_position(bot, asset);
        if (asset->is_good && !asset->is_silent && now_ns - asset->heard_ns > LIVE_STALE_NS) {
            asset->is_silent = 1; /* The next message ends it; what was missed comes as a whole book. */
            count(bot, LIVE_COUNTER_BOOKS_LOST);
        }
        show_best(asset);
    }
}

int32_t live_bot_is_synchronised(const live_bot_t *bot)
{
    for (uint32_t i = 0; i < bot->asset_count; i++)
        if (!bot->assets[i].is_good || bot->assets[i].is_silent)
            return 0;
    return 1;
}

uint32_t live_bot_withdraw(live_bot_t *bot)
{
    uint32_t open = 0;
    for (uint32_t place = 0; place < bot->order_capacity; place++) {
        live_order_t *order = &bot->orders[place];
        live_note_t *note = &bot->notes[place];
        if (!note->is_used || !is_open(order))
            continue;
        open++;
        drop_replacement(bot, note);
        if (note->our_order_id != 0 && order->req != LIVE_CANCELED && send_cancel(bot, place))
            order->req = LIVE_CANCELED;
    }
    bot->metrics->counters[LIVE_COUNTER_OPEN_ORDERS] = open;
    return open;
}

uint32_t live_bot_forget(live_bot_t *bot)
{
    uint32_t forgotten = 0;
    for (uint32_t place = 0; place < bot->order_capacity; place++) {
        live_order_t *order = &bot->orders[place];
        live_note_t *note = &bot->notes[place];
        if (!note->is_used || !is_open(order))
            continue;
        if (note->our_order_id != 0)
            (void)send_cancel(bot, place);
        finish(bot, order, note, LIVE_EXPIRED);
        forgotten++;
    }
    return forgotten;
}

/* ---- waiting ------------------------------------------------------------------------------------------------ */

static int32_t raise_flag(void **raised, uint32_t *raised_count, void *consumer)
{
    if (consumer == NULL)
        return 1;
    if (!ring_prepare_sleep(consumer))
        return 0;
    raised[(*raised_count)++] = consumer;
    return 1;
}

#define CONSUMERS_MAX 65

/* Sleeps without the lock until `until_ns` at the latest, or until something comes that the wait is for. */
static void sleep_until(live_bot_t *bot, int64_t until_ns, uint32_t wanted)
{
    void *raised[CONSUMERS_MAX];
    uint32_t raised_count = 0;
    int32_t may_sleep = 1;
    if (wanted & (FOR_RESPONSES | FOR_ORDER))
        may_sleep = raise_flag(raised, &raised_count, bot->response_consumer);
    if (wanted & FOR_FEED)
        for (uint32_t i = 0; may_sleep && i < bot->market_count; i++)
            may_sleep = raise_flag(raised, &raised_count, bot->market_consumers[i]);
    live_bot_unlock(bot); /* Even if there is no sleep: whoever waits for the lock gets a chance. */
    if (may_sleep) {
        const int64_t rest_ns = until_ns - clock_monotonic_ns();
        if (rest_ns > 0) {
            const struct timespec timeout = {rest_ns / SECOND_NS, rest_ns % SECOND_NS};
            struct pollfd bell = {.fd = bot->wake_fd, .events = POLLIN, .revents = 0};
            ppoll(&bell, raised_count && bot->wake_fd >= 0 ? 1 : 0, &timeout, NULL);
        }
    }
    live_bot_lock(bot);
    for (uint32_t i = 0; i < raised_count; i++)
        ring_cancel_sleep(raised[i]);
    if (raised_count && bot->wake_fd >= 0)
        (void)wake_silence(bot->wake_fd);
}

static int64_t wait_until(live_bot_t *bot, int64_t until_ns, uint32_t wanted, uint32_t place)
{
    const uint64_t feeds = bot->feeds, responses = bot->responses;
    const uint64_t of_order = wanted & FOR_ORDER ? bot->notes[place].responses : 0;
    int64_t result;
    count(bot, LIVE_COUNTER_WAITS);
    for (;;) {
        live_bot_pump(bot);
        const int64_t now_ns = clock_monotonic_ns();
        beat(bot, now_ns);
        bot->decision_ns = now_ns;
        if (is_stopping(bot)) {
            result = LIVE_END;
            break;
        }
        if (wanted & FOR_FEED && bot->feeds != feeds) {
            bot->decision_ns = bot->last_feed_ns;
            result = LIVE_FEED;
            break;
        }
        if ((wanted & FOR_RESPONSES && bot->responses != responses) ||
            (wanted & FOR_ORDER && bot->notes[place].responses != of_order)) {
            result = LIVE_RESPONSE;
            break;
        }
        if (now_ns >= until_ns) {
            result = LIVE_OK;
            break;
        }
        const int64_t slice_ns = now_ns + LIVE_SLICE_NS;
        /* The second half of a modify() does not wait for the next look. */
        sleep_until(bot, until_ns < slice_ns ? until_ns : slice_ns, wanted | (bot->replaces_pending ? FOR_RESPONSES : 0));
    }
    bot->metrics->work_done++;
    return result;
}

/* The moment `duration_ns` of the strategy's time from now. */
static int64_t after(const live_bot_t *bot, uint64_t duration_ns)
{
    const int64_t now_ns = clock_monotonic_ns();
    const double real = (double)duration_ns / bot->clock_speed;
    if (real > 9e18 - (double)now_ns)
        return INT64_MAX;
    return now_ns + (bot->clock_speed == 1.0 ? (int64_t)duration_ns : (int64_t)real);
}

static uint64_t no_less_than_0(int64_t duration_ns)
{
    return duration_ns > 0 ? (uint64_t)duration_ns : 0;
}

int64_t live_bot_elapse(live_bot_t *bot, uint64_t duration_ns)
{
    return wait_until(bot, after(bot, duration_ns), 0, 0);
}

int64_t live_bot_wait_next_feed(live_bot_t *bot, int32_t with_responses, int64_t timeout_ns)
{
    return wait_until(bot, after(bot, no_less_than_0(timeout_ns)), FOR_FEED | (with_responses ? FOR_RESPONSES : 0), 0);
}

static int64_t wait_for_order(live_bot_t *bot, uint32_t place, int64_t until_ns)
{
    const int64_t result = wait_until(bot, until_ns, FOR_ORDER, place);
    return result == LIVE_RESPONSE ? LIVE_OK : result; /* As hftbacktest says it: 0 for the response and for the timeout. */
}

int64_t live_bot_wait_order_response(live_bot_t *bot, uint64_t asset_no, uint64_t order_id, int64_t timeout_ns)
{
    if (asset_no >= bot->asset_count)
        return LIVE_NO_ASSET;
    const int64_t until_ns = after(bot, no_less_than_0(timeout_ns));
    const uint32_t place = find_place(bot, asset_no, order_id);
    return place == NO_PLACE ? wait_until(bot, until_ns, 0, 0) : wait_for_order(bot, place, until_ns);
}

/* ---- what a strategy asks for ------------------------------------------------------------------------------- */

/* Whole units of `step` in `value`, at least 1 (or 0 and less for a price below a tick). 0: it is between two of them. */
static int to_units(double value, double step, int64_t *units)
{
    const double exact = value / step;
    if (!(fabs(exact) < 9e15))
        return 0;
    const double nearest = round(exact);
    *units = (int64_t)nearest;
    return fabs(exact - nearest) <= LIVE_GRID_ERROR;
}

/* LIVE_OK and the price in ticks, the quantity in lots; or what is wrong with them. */
static int64_t to_grid(live_bot_t *bot, const live_asset_t *asset, double price, double qty, int is_market, int64_t *ticks,
                       int64_t *lots)
{
    *ticks = 0;
    if (!(qty > 0) || !isfinite(qty) || (!is_market && (!(price > 0) || !isfinite(price))))
        return LIVE_BAD_REQUEST;
    if (!is_market && !to_units(price, asset->tick_size, ticks)) {
        count(bot, LIVE_COUNTER_OFF_GRID);
        return LIVE_OFF_TICK;
    }
    if (!to_units(qty, asset->lot_size, lots) || *lots < 1) {
        count(bot, LIVE_COUNTER_OFF_GRID);
        return LIVE_OFF_LOT;
    }
    return LIVE_OK;
}

int64_t live_bot_submit(live_bot_t *bot, uint64_t asset_no, uint64_t order_id, double price, double qty, int32_t side,
                        uint32_t time_in_force, uint32_t order_type, int32_t wait)
{
    if (is_stopping(bot))
        return LIVE_END;
    if (asset_no >= bot->asset_count)
        return LIVE_NO_ASSET;
    if (time_in_force > LIVE_IOC || order_type > LIVE_MARKET)
        return LIVE_BAD_REQUEST;
    if (find_place(bot, asset_no, order_id) != NO_PLACE)
        return LIVE_ORDER_EXISTS;
    const live_asset_t *asset = &bot->assets[asset_no];
    int64_t ticks, lots;
    const int64_t problem = to_grid(bot, asset, price, qty, order_type == LIVE_MARKET, &ticks, &lots);
    if (problem != LIVE_OK)
        return problem;
    if (asset->paused_until_ns != 0 && clock_monotonic_ns() < asset->paused_until_ns) {
        count(bot, LIVE_COUNTER_PAUSED);
        return LIVE_PAUSE;
    }
    const uint32_t place = take_place(bot, asset_no, order_id);
    if (place == NO_PLACE) {
        count(bot, LIVE_COUNTER_NO_ROOM);
        return LIVE_NO_ROOM;
    }
    live_order_t *order = &bot->orders[place];
    order->qty = order->leaves_qty = quantity_of(asset, lots);
    order->price_tick = ticks;
    order->tick_size = asset->tick_size;
    order->order_type = (uint8_t)order_type;
    order->time_in_force = (uint8_t)time_in_force;
    order->side = (int8_t)(side > 0 ? 1 : -1);
    order->status = LIVE_NEW;
    order->req = LIVE_NEW;
    bot->notes[place].quantity_lots = lots;
    if (!send_place(bot, place)) {
        drop_place(bot, place);
        return LIVE_NO_ROOM;
    }
    return wait ? wait_for_order(bot, place, after(bot, REQUEST_WAIT_NS)) : LIVE_OK;
}

/* The place of an order that a request may be made about, or NO_PLACE and why not. */
static uint32_t place_for_request(const live_bot_t *bot, uint64_t asset_no, uint64_t order_id, int64_t *problem)
{
    *problem = asset_no >= bot->asset_count ? LIVE_NO_ASSET : LIVE_NO_ORDER;
    if (asset_no >= bot->asset_count)
        return NO_PLACE;
    const uint32_t place = find_place(bot, asset_no, order_id);
    if (place == NO_PLACE)
        return NO_PLACE;
    const live_order_t *order = &bot->orders[place];
    if (is_cancellable(order) && bot->notes[place].our_order_id != 0)
        return place;
    *problem = is_open(order) ? LIVE_IN_PROCESS : LIVE_BAD_STATUS;
    return NO_PLACE;
}

int64_t live_bot_cancel(live_bot_t *bot, uint64_t asset_no, uint64_t order_id, int32_t wait)
{
    int64_t problem;
    const uint32_t place = place_for_request(bot, asset_no, order_id, &problem);
    if (place == NO_PLACE)
        return problem;
    if (!send_cancel(bot, place))
        return LIVE_NO_ROOM;
    live_order_t *order = &bot->orders[place];
    order->req = LIVE_CANCELED;
    order->local_timestamp = live_bot_current_timestamp(bot);
    return wait ? wait_for_order(bot, place, after(bot, REQUEST_WAIT_NS)) : LIVE_OK;
}

int64_t live_bot_modify(live_bot_t *bot, uint64_t asset_no, uint64_t order_id, double price, double qty, int32_t wait)
{
    if (is_stopping(bot))
        return LIVE_END;
    int64_t problem;
    const uint32_t place = place_for_request(bot, asset_no, order_id, &problem);
    if (place == NO_PLACE)
        return problem;
    live_order_t *order = &bot->orders[place];
    live_note_t *note = &bot->notes[place];
    int64_t ticks, lots;
    problem = to_grid(bot, &bot->assets[asset_no], price, qty, 0, &ticks, &lots);
    if (problem != LIVE_OK)
        return problem;
    if (!send_cancel(bot, place))
        return LIVE_NO_ROOM;
    note->replace_ticks = ticks;
    note->replace_lots = lots;
    bot->replaces_pending++;
    order->req = LIVE_REPLACED;
    order->local_timestamp = live_bot_current_timestamp(bot);
    count(bot, LIVE_COUNTER_REPLACES);
    if (!wait)
        return LIVE_OK;
    const int64_t until_ns = after(bot, REQUEST_WAIT_NS);
    int64_t result;
    do /* The old one's end, then the new one's beginning. */
        result = wait_for_order(bot, place, until_ns);
    while (result == LIVE_OK && order->req == LIVE_REPLACED && clock_monotonic_ns() < until_ns);
    return result;
}

void live_bot_clear_inactive_orders(live_bot_t *bot, uint64_t asset_no)
{
    uint32_t open = 0;
    for (uint32_t place = 0; place < bot->order_capacity; place++) {
        if (!bot->notes[place].is_used)
            continue;
        const int is_meant = asset_no == ALL_ASSETS || bot->notes[place].asset_no == asset_no;
        if (is_open(&bot->orders[place]))
            open++;
        else if (is_meant)
            drop_place(bot, place);
    }
    bot->metrics->counters[LIVE_COUNTER_OPEN_ORDERS] = open;
}

void live_bot_clear_last_trades(live_bot_t *bot, uint64_t asset_no)
{
    for (uint32_t i = 0; i < bot->asset_count; i++)
        if (asset_no == ALL_ASSETS || asset_no == i)
            bot->assets[i].trade_count = 0;
}

/* ---- what a strategy looks at ------------------------------------------------------------------------------- */

uint64_t live_bot_num_assets(const live_bot_t *bot)
{
    return bot->asset_count;
}

live_asset_t *live_bot_asset(const live_bot_t *bot, uint64_t asset_no)
{
    assert(asset_no < bot->asset_count && "a strategy asks for one of its own assets");
    return &bot->assets[asset_no];
}

const live_state_t *live_bot_state_values(const live_bot_t *bot, uint64_t asset_no)
{
    return &live_bot_asset(bot, asset_no)->state;
}

const event_row_t *live_bot_last_trades(const live_bot_t *bot, uint64_t asset_no)
{
    return live_bot_asset(bot, asset_no)->trades;
}

uint64_t live_bot_trade_count(const live_bot_t *bot, uint64_t asset_no)
{
    return live_bot_asset(bot, asset_no)->trade_count;
}

const int64_t *live_bot_feed_latency(const live_bot_t *bot, uint64_t asset_no)
{
    const live_asset_t *asset = live_bot_asset(bot, asset_no);
    return asset->has_feed ? asset->feed_times : NULL;
}

const int64_t *live_bot_order_latency(const live_bot_t *bot, uint64_t asset_no)
{
    const live_asset_t *asset = live_bot_asset(bot, asset_no);
    return asset->has_order_latency ? asset->order_times : NULL;
}

live_order_t *live_bot_order(const live_bot_t *bot, uint64_t asset_no, uint64_t order_id)
{
    const uint32_t place = find_place(bot, asset_no, order_id);
    return place == NO_PLACE ? NULL : &bot->orders[place];
}

uint64_t live_bot_order_count(const live_bot_t *bot, uint64_t asset_no)
{
    uint64_t found = 0;
    for (uint32_t place = 0; place < bot->order_capacity; place++)
        found += bot->notes[place].is_used && bot->notes[place].asset_no == asset_no;
    return found;
}

int64_t live_bot_next_place(const live_bot_t *bot, uint64_t asset_no, int64_t place)
{
    for (int64_t next = place + 1; next < (int64_t)bot->order_capacity; next++)
        if (bot->notes[next].is_used && bot->notes[next].asset_no == asset_no)
            return next;
    return -1;
}

live_order_t *live_bot_order_at(const live_bot_t *bot, int64_t place)
{
    assert(place >= 0 && place < (int64_t)bot->order_capacity && "has_next() stands before get()");
    return &bot->orders[place];
}

int64_t live_depth_best_bid_tick(const live_asset_t *asset)
{
    return asset->best_bid_tick;
}

int64_t live_depth_best_ask_tick(const live_asset_t *asset)
{
    return asset->best_ask_tick;
}

double live_depth_best_bid(const live_asset_t *asset)
{
    return asset->best_bid_tick == INT64_MIN ? NAN : (double)asset->best_bid_tick * asset->tick_size;
}

double live_depth_best_ask(const live_asset_t *asset)
{
    return asset->best_ask_tick == INT64_MAX ? NAN : (double)asset->best_ask_tick * asset->tick_size;
}

double live_depth_best_bid_qty(const live_asset_t *asset)
{
    return asset->best_bid_qty;
}

double live_depth_best_ask_qty(const live_asset_t *asset)
{
    return asset->best_ask_qty;
}

double live_depth_tick_size(const live_asset_t *asset)
{
    return asset->tick_size;
}

double live_depth_lot_size(const live_asset_t *asset)
{
    return asset->lot_size;
}

double live_depth_bid_qty_at_tick(const live_asset_t *asset, int64_t price_tick)
{
    if (price_tick > asset->best_bid_tick || asset->best_bid_tick == INT64_MIN)
        return 0.0;
    if (price_tick == asset->best_bid_tick)
        return asset->best_bid_qty;
    return quantity_of(asset, levels_quantity(&asset->book->bids, price_tick));
}

double live_depth_ask_qty_at_tick(const live_asset_t *asset, int64_t price_tick)
{
    if (price_tick < asset->best_ask_tick || asset->best_ask_tick == INT64_MAX)
        return 0.0;
    if (price_tick == asset->best_ask_tick)
        return asset->best_ask_qty;
    return quantity_of(asset, levels_quantity(&asset->book->asks, price_tick));
}

int64_t live_depth_roi_lb_tick(const live_asset_t *asset)
{
    return asset->roi_lb_tick;
}

int64_t live_depth_roi_ub_tick(const live_asset_t *asset)
{
    return asset->roi_ub_tick;
}

const double *live_depth_bid_depth(const live_asset_t *asset)
{
    return asset->bid_depth;
}

const double *live_depth_ask_depth(const live_asset_t *asset)
{
    return asset->ask_depth;
}

static uint64_t copy_side(live_asset_t *asset, const levels_t *side, int64_t best_tick, double best_qty, uint64_t flag, uint64_t at)
{
    event_row_t row = {.ev = EVENT_DEPTH_SNAPSHOT | (uint64_t)EVENT_EXCH | EVENT_LOCAL | flag,
                       .exch_ts = asset->feed_times[0], .local_ts = asset->feed_times[1]};
    if (best_tick == INT64_MIN || best_tick == INT64_MAX || at >= asset->level_capacity)
        return at;
    row.px = (double)best_tick * asset->tick_size;
    row.qty = best_qty;
    asset->levels[at++] = row;
    const uint32_t copied = levels_copy(side, asset->room, asset->room_count);
    for (uint32_t i = 0; i < copied && at < asset->level_capacity; i++) {
        const level_t *level = &asset->room[i];
        if (side->direction > 0 ? level->price_ticks >= best_tick : level->price_ticks <= best_tick)
            continue;
        row.px = (double)level->price_ticks * asset->tick_size;
        row.qty = quantity_of(asset, level->quantity_lots);
        asset->levels[at++] = row;
    }
    return at;
}

const event_row_t *live_depth_snapshot(live_asset_t *asset)
{
    const uint64_t at = copy_side(asset, &asset->book->bids, asset->best_bid_tick, asset->best_bid_qty, EVENT_BUY, 0);
    asset->level_count = copy_side(asset, &asset->book->asks, asset->best_ask_tick, asset->best_ask_qty, EVENT_SELL, at);
    return asset->levels;
}

uint64_t live_depth_level_count(const live_asset_t *asset)
{
    return asset->level_count;
}

/* ---- the beginning ------------------------------------------------------------------------------------------ */

void live_bot_init(live_bot_t *bot)
{
    assert(bot->order_capacity > 0 && bot->order_capacity <= LIVE_ORDERS_MAX && "a place fits into a signal id");
    assert(bot->bucket_mask + 1 >= 2 * bot->order_capacity && (bot->bucket_mask & (bot->bucket_mask + 1)) == 0 &&
           "buckets are a power of two, at most half full");
    assert(bot->market_count + 1 <= CONSUMERS_MAX && "a wait can name every ring");
    assert(bot->clock_speed > 0 && "time goes on");
    pthread_mutex_init(mutex_of(bot), NULL);
    memset(bot->buckets, 0, ((uint64_t)bot->bucket_mask + 1) * sizeof *bot->buckets);
    for (uint32_t i = 0; i < bot->order_capacity; i++) /* The lowest place is taken first. */
        bot->free_places[i] = bot->order_capacity - 1 - i;
    bot->free_count = bot->order_capacity;
    bot->clock_start_ns = clock_monotonic_ns();
    bot->clock_start_wall_ns = wall_ns();
    /* A successor's numbers begin where its predecessor's cannot be: a bot makes fewer than one request per millisecond, all
     * told, and the number has room for a year of milliseconds. */
    bot->signal_count = (uint64_t)(bot->clock_start_ns / 1000000);
    bot->decision_ns = bot->clock_start_ns;
    for (uint32_t i = 0; i < bot->asset_count; i++)
        show_best(&bot->assets[i]);
}
