#include "signals.h"

#include "seqlock.h"

enum { SPREAD_SHORT, PERCENTILE_SHORT, SPREAD_LONG, PERCENTILE_LONG };
enum { REASON, RETURN, AGE_S };
enum { MID, SPREAD };
enum { NOTHING, TAKE_PROFIT, STOP_LOSS, AGE };

int adaptive_spread_update(adaptive_spread_t *signal, const book_top_t *open, const book_top_t *hedge, double *values,
                           int64_t now_ns)
{
    double spreads[2];
    if (!tops_spreads(open, hedge, signal->ratio, spreads)) {
        signal->holds = 0;
        return 0;
    }
    if (now_ns >= signal->sample_due_ns) {
        signal->sample_due_ns = now_ns + signal->interval_ns;
        window_push(signal->window_short, spreads[0]);
        window_push(signal->window_long, spreads[1]);
        signal->samples++;
    }
    if (signal->samples < signal->samples_min)
        return signal->holds ? SIGNAL_HOLDS : 0;
    const int is_new = !signal->holds || spreads[0] != values[SPREAD_SHORT] || spreads[1] != values[SPREAD_LONG];
    values[SPREAD_SHORT] = spreads[0];
    values[PERCENTILE_SHORT] = window_rank(signal->window_short, spreads[0]);
    values[SPREAD_LONG] = spreads[1];
    values[PERCENTILE_LONG] = window_rank(signal->window_long, spreads[1]);
    signal->holds = 1;
    return SIGNAL_HOLDS | (is_new ? SIGNAL_NEW : 0);
}

static int are_fresh(const book_top_t *open, const book_top_t *hedge)
{
    return open->is_synchronised && hedge->is_synchronised && open->bid_ticks && open->ask_ticks && hedge->bid_ticks &&
           hedge->ask_ticks;
}

int position_close_update(position_close_t *signal, const book_top_t *open, const book_top_t *hedge, double *values,
                          int64_t now_ns)
{
    const position_row_t *position = signal->position;
    const int direction = position->pair_direction;
    if (!direction || !position->pair_opened_ns) {
        const int was_said = signal->holds && values[REASON] != NOTHING;
        values[REASON] = values[RETURN] = values[AGE_S] = 0.0;
        signal->holds = was_said;  /* Said once more as "nothing", so that the trigger re-arms. */
        return was_said ? SIGNAL_HOLDS | SIGNAL_NEW : 0;
    }
    const double age_s = (double)(now_ns - position->pair_opened_ns) / 1e9;
    const int is_old = signal->age_s_max != 0.0 && age_s >= signal->age_s_max;
    double earned = 0.0;
    int reason = NOTHING;
    if (are_fresh(open, hedge)) {
        const double entry = (double)position->pair_entry_spread_e8 / 1e8;
        if (direction < 0)
            earned = entry - ((double)hedge->ask_ticks * signal->ratio / (double)open->bid_ticks - 1.0);
        else
            earned = ((double)hedge->bid_ticks * signal->ratio / (double)open->ask_ticks - 1.0) - entry;
        if (signal->stop_loss != 0.0 && earned <= -signal->stop_loss)
            reason = STOP_LOSS;
        else if (signal->take_profit != 0.0 && earned >= signal->take_profit)
            reason = TAKE_PROFIT;
    } else if (!is_old) {
        signal->holds = 0;  /* Without books only the age is known. */
        return 0;
    }
    if (reason == NOTHING && is_old)
        reason = AGE;
    const int is_new = !signal->holds || (double)reason != values[REASON];
    values[REASON] = (double)reason;
    values[RETURN] = earned;
    values[AGE_S] = age_s;
    signal->holds = 1;
    return SIGNAL_HOLDS | (is_new ? SIGNAL_NEW : 0);
}

int book_top_update(const book_top_t *top, double half_tick, double *values)
{
    if (!(top->is_synchronised && top->bid_ticks && top->ask_ticks))
        return 0;
    values[MID] = (double)(top->bid_ticks + top->ask_ticks) * half_tick;
    values[SPREAD] = (double)(top->ask_ticks - top->bid_ticks) * 2.0 * half_tick;
    return 1;
}

int top_row_show(const top_row_t *row)
{
    if (!row->state->is_dirty)
        return 0;
    row->state->is_dirty = 0;
    seqlock_write(row->segment, row->index, &row->state->top);
    return 1;
}

void signal_tell(signal_message_t *target, const signal_source_t *source, uint64_t signal_id, int64_t receive_ns, int64_t now_ns)
{
    if (source->row)
        top_row_show(source->row);
    if (source->hedge_row)
        top_row_show(source->hedge_row);
    signal_say(target, source->message, source->top, source->hedge, signal_id, receive_ns, now_ns);
}
