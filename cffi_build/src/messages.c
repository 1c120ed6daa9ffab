#include "messages.h"

#include <assert.h>
#include <string.h>

void message_clear(void *message, uint64_t size)
{
    memset(message, 0, size);
}

/* Writes the tops that a signal was made from, and the later of their exchange times. `hedge` may be NULL. */
static void take_tops(signal_message_t *signal, const book_top_t *top, const book_top_t *hedge)
{
    signal->bid_ticks = top->bid_ticks;
    signal->ask_ticks = top->ask_ticks;
    signal->bid_lots = top->bid_lots;
    signal->ask_lots = top->ask_lots;
    signal->header.exchange_ns = top->exchange_ns;
    if (hedge) {
        signal->hedge_bid_ticks = hedge->bid_ticks;
        signal->hedge_ask_ticks = hedge->ask_ticks;
        if (hedge->exchange_ns > top->exchange_ns)
            signal->header.exchange_ns = hedge->exchange_ns;
    }
}

void signal_say(signal_message_t *target, signal_message_t *message, const book_top_t *top, const book_top_t *hedge,
                uint64_t signal_id, int64_t receive_ns, int64_t now_ns)
{
    take_tops(message, top, hedge);
    message->header.sequence = target->header.sequence;
    message->header.signal_id = signal_id;
    message->header.stage_ns[STAGE_RECEIVE] = receive_ns;
    message->header.stage_ns[STAGE_SIGNAL] = now_ns;
    *target = *message;
}

void message_number(void *message, uint64_t sequence)
{
    ((message_header_t *)message)->sequence = sequence;
}

uint32_t signal_hedge(const signal_message_t *signal)
{
    return signal->header.hedge_instrument_index;
}

double signal_value(const signal_message_t *signal, uint32_t at)
{
    assert(at < SIGNAL_VALUES_MAX && "a signal has so many values");
    return signal->values[at];
}

uint64_t signal_key(const signal_message_t *signal)
{
    return (uint64_t)signal->header.kind << 32 | signal->signal_index;
}

int64_t signal_keep(signal_message_t *last, const signal_message_t *signal)
{
    *last = *signal;
    return last->header.stage_ns[STAGE_SIGNAL];
}

void event_begin(event_message_t *event, const void *cause, uint16_t strategy_index)
{
    memset(event, 0, sizeof *event);
    memcpy(&event->header, cause, sizeof event->header);
    event->header.flags = 0;
    event->strategy_index = strategy_index;
}

int event_is_sound(const event_message_t *event, uint32_t instruments)
{
    const message_header_t *header = &event->header;
    const uint32_t leg = header->instrument_index, hedge = header->hedge_instrument_index;
    if (header->kind > EVENT_HALT || (leg >= instruments && leg != 0xffff) || (hedge >= instruments && hedge != 0xffff))
        return 0;
    if ((leg == 0xffff && header->kind != EVENT_HALT) || event->quote_count > QUOTES_PER_MESSAGE)
        return 0;
    return header->kind != EVENT_ORDER || ((event->side == SIDE_BUY || event->side == SIDE_SELL) && event->quantity_lots > 0);
}

static void begin_legs(event_message_t *event, const signal_message_t *signal, uint16_t kind, uint16_t open_index,
                       uint16_t hedge_index)
{
    event->header.kind = kind;
    event->header.instrument_index = open_index;
    event->header.hedge_instrument_index = hedge_index;
    event->bid_ticks = signal->bid_ticks;
    event->ask_ticks = signal->ask_ticks;
    event->hedge_bid_ticks = signal->hedge_bid_ticks;
    event->hedge_ask_ticks = signal->hedge_ask_ticks;
}

static void begin_pair(event_message_t *event, const signal_message_t *signal, uint16_t kind, uint32_t pair_id,
                       uint16_t open_index, uint16_t hedge_index)
{
    begin_legs(event, signal, kind, open_index, hedge_index);
    event->header.pair_id = pair_id;
}

void event_open(event_message_t *event, const signal_message_t *signal, uint32_t pair_id, uint16_t open_index,
                uint16_t hedge_index, int16_t direction, double spread, double percentile, double funding_rate)
{
    begin_pair(event, signal, EVENT_OPEN, pair_id, open_index, hedge_index);
    event->direction = direction;
    event->side = direction < 0 ? SIDE_BUY : SIDE_SELL;
    event->values[0] = spread;
    event->values[1] = percentile;
    event->values[2] = funding_rate;
}

void event_close(event_message_t *event, const signal_message_t *signal, uint32_t pair_id, uint16_t open_index,
                 uint16_t hedge_index, uint16_t reason)
{
    begin_pair(event, signal, EVENT_CLOSE, pair_id, open_index, hedge_index);
    event->header.flags = FLAG_CLOSE;
    event->reason = reason;
    memcpy(event->values, signal->values, 3 * sizeof *event->values);
    if (reason == CLOSE_FUNDING_TURNED)
        event->direction = (int16_t)signal->values[2];
}

void event_order(event_message_t *event, const signal_message_t *signal, uint16_t instrument_index, int16_t side,
                 uint16_t order_type, uint16_t time_in_force, int64_t price_ticks, int64_t quantity_lots)
{
    begin_legs(event, signal, EVENT_ORDER, instrument_index, 0xffff);
    event->side = side;
    event->order_type = order_type;
    event->time_in_force = time_in_force;
    event->price_ticks = price_ticks;
    event->quantity_lots = quantity_lots;
}

void event_finish(event_message_t *target, event_message_t *event, uint64_t sequence, uint16_t source, uint16_t trigger_index,
                  uint32_t flags, int64_t now_ns)
{
    event->header.sequence = sequence;
    event->header.source = source;
    event->header.flags |= flags;
    event->header.stage_ns[STAGE_EVENT] = now_ns;
    event->trigger_index = trigger_index;
    *target = *event;
}

int tops_spreads(const book_top_t *open, const book_top_t *hedge, double ratio, double *spreads)
{
    if (!(open->is_synchronised && hedge->is_synchronised && open->bid_ticks && open->ask_ticks && hedge->bid_ticks &&
          hedge->ask_ticks))
        return 0;
    spreads[0] = (double)hedge->bid_ticks * ratio / (double)open->ask_ticks - 1.0;
    spreads[1] = (double)open->bid_ticks / ((double)hedge->ask_ticks * ratio) - 1.0;
    return 1;
}
