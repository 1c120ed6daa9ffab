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

int tops_spreads(const book_top_t *open, const book_top_t *hedge, double ratio, double *spreads)
{
    if (!(open->is_synchronised && hedge->is_synchronised && open->bid_ticks && open->ask_ticks && hedge->bid_ticks &&
          hedge->ask_ticks))
        return 0;
    spreads[0] = (double)hedge->bid_ticks * ratio / (double)open->ask_ticks - 1.0;
    spreads[1] = (double)open->bid_ticks / ((double)hedge->ask_ticks * ratio) - 1.0;
    return 1;
}
