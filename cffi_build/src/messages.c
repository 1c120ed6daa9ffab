#include "messages.h"

#include <string.h>

void message_clear(void *message, uint64_t size)
{
    memset(message, 0, size);
}

void signal_take_tops(signal_message_t *signal, const book_top_t *top, const book_top_t *hedge)
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
    signal_take_tops(message, top, hedge);
    message->header.sequence = target->header.sequence;
    message->header.signal_id = signal_id;
    message->header.stage_ns[STAGE_RECEIVE] = receive_ns;
    message->header.stage_ns[STAGE_SIGNAL] = now_ns;
    *target = *message;
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
