#include "hyperliquid.h"

#include <math.h>

#include "capture_line.h"

#define ROWS_OF_BOOK_MAX (4 * HYPERLIQUID_LEVELS_MAX) /* Per side: every place is news, and every level of before is gone. */

typedef struct message {
    const char *channel, *channel_end;
    const char *data;              /* NULL: none */
} message_t;

static int take_members(cursor_t *c, message_t *m)
{
    const char *key, *key_end;
    if (!take(c, '{'))
        return 0;
    if (take(c, '}'))
        return 1;
    do {
        if (!take_key(c, &key, &key_end))
            return 0;
        if (c->p < c->end && *c->p == '"' && text_is(key, key_end, "channel")) {
            if (!take_string(c, &m->channel, &m->channel_end))
                return 0;
            continue;
        }
        if (text_is(key, key_end, "data"))
            m->data = c->p;
        if (!skip_value(c))
            return 0;
    } while (take(c, ','));
    return take(c, '}');
}

/* ---- trades ---------------------------------------------------------------------------------------------------- */

/* {"coin":…,"side":"A","px":"…","sz":"…","time":…,…}: 1, or −problem. */
static int64_t take_trade(hyperliquid_scan_t *scan, cursor_t *c, int64_t local_ts, event_row_t *row)
{
    const char *key, *key_end, *text, *text_end;
    int64_t exch_ts = 0;
    int is_sell = 0, has_price = 0, has_size = 0, has_time = 0;
    double px = 0.0, qty = 0.0;
    if (!take(c, '{'))
        return -SCAN_PROBLEM_MISSING_FIELD;
    do {
        int ok;
        if (!take_key(c, &key, &key_end))
            return -SCAN_PROBLEM_NOT_JSON;
        if (text_is(key, key_end, "px"))
            ok = has_price = take_double(c, &px);
        else if (text_is(key, key_end, "sz"))
            ok = has_size = take_double(c, &qty);
        else if (text_is(key, key_end, "time"))
            ok = has_time = take_time_ms(c, &exch_ts);
        else if (text_is(key, key_end, "side")) {
            ok = take_string(c, &text, &text_end);
            is_sell = ok && text_is(text, text_end, "A");
        } else if (text_is(key, key_end, "coin")) {
            ok = take_string(c, &text, &text_end);
            if (ok && !is_same_symbol(&scan->at, text, text_end))
                return -SCAN_PROBLEM_MIXED_SYMBOLS;
        } else
            ok = skip_value(c);
        if (!ok)
            return -problem_of(c);
    } while (take(c, ','));
    if (!take(c, '}'))
        return -SCAN_PROBLEM_NOT_JSON;
    if (!has_price || !has_size || !has_time)
        return -SCAN_PROBLEM_MISSING_FIELD;
    put_row(row, EVENT_TRADE | (is_sell ? EVENT_SELL : EVENT_BUY), exch_ts, local_ts, px, qty);
    return 1;
}

static int64_t take_trades(hyperliquid_scan_t *scan, cursor_t *c, int64_t local_ts, event_row_t *rows)
{
    int64_t count = 0;
    if (!take(c, '['))
        return -SCAN_PROBLEM_MISSING_FIELD;
    if (take(c, ']'))
        return 0;
    do {
        int64_t taken = take_trade(scan, c, local_ts, rows + count);
        if (taken < 0)
            return taken;
        count += taken;
    } while (take(c, ','));
    scan->trades += (uint64_t)count;
    return count;
}

/* ---- books ----------------------------------------------------------------------------------------------------- */

/* [{"px":"…","sz":"…","n":…},…] into levels[]; returns how many, or −problem. */
static int64_t take_side(cursor_t *c, hyperliquid_level_t *levels)
{
    const char *key, *key_end;
    int64_t count = 0;
    if (!take(c, '['))
        return -SCAN_PROBLEM_MISSING_FIELD;
    if (take(c, ']'))
        return 0;
    do {
        int has_price = 0, has_size = 0;
        if (count == HYPERLIQUID_LEVELS_MAX)
            return -SCAN_PROBLEM_LEVELS;
        if (!take(c, '{'))
            return -SCAN_PROBLEM_MISSING_FIELD;
        do {
            int ok;
            if (!take_key(c, &key, &key_end))
                return -SCAN_PROBLEM_NOT_JSON;
            if (text_is(key, key_end, "px"))
                ok = has_price = take_double(c, &levels[count].px);
            else if (text_is(key, key_end, "sz"))
                ok = has_size = take_double(c, &levels[count].qty);
            else
                ok = skip_value(c);
            if (!ok)
                return -problem_of(c);
        } while (take(c, ','));
        if (!take(c, '}'))
            return -SCAN_PROBLEM_NOT_JSON;
        if (!has_price || !has_size)
            return -SCAN_PROBLEM_MISSING_FIELD;
        levels[count++].is_news = 1;
    } while (take(c, ','));
    return take(c, ']') ? count : -SCAN_PROBLEM_NOT_JSON;
}

/* The place of a price in a book, −1: it has none. Most levels stand where they stood, or beside. */
static int64_t place_of(const double *ticks, int64_t count, double tick)
{
    for (int64_t i = 0; i < count; i++)
        if (ticks[i] == tick)
            return i;
    return -1;
}

/* Takes the newer book; writes to gone[] the prices that it lacks and returns how many. */
static int64_t compare(const hyperliquid_scan_t *scan, hyperliquid_side_t *side, const hyperliquid_level_t *levels, int64_t count,
                       double *gone)
{
    hyperliquid_level_t *before = side->books[side->now], *now = side->books[!side->now];
    int64_t before_count = side->counts[side->now], gone_count = 0;
    double ticks[HYPERLIQUID_LEVELS_MAX], before_ticks[HYPERLIQUID_LEVELS_MAX];
    side->now = !side->now;
    side->counts[side->now] = count;
    memcpy(now, levels, (uint64_t)count * sizeof *now);
    if (!side->is_known) {
        side->is_known = 1;
        return 0;
    }
    for (int64_t i = 0; i < count; i++)
        ticks[i] = nearbyint(now[i].px / scan->tick_size);
    for (int64_t i = 0; i < before_count; i++)
        before_ticks[i] = nearbyint(before[i].px / scan->tick_size);
    for (int64_t i = 0; i < count; i++) {
        int64_t place = place_of(before_ticks, before_count, ticks[i]);
        now[i].is_news = place < 0 || nearbyint(now[i].qty / scan->lot_size) != nearbyint(before[place].qty / scan->lot_size);
    }
    for (int64_t i = 0; i < before_count; i++)
        if (place_of(ticks, count, before_ticks[i]) < 0)
            gone[gone_count++] = before_ticks[i] * scan->tick_size;
    return gone_count;
}

static int64_t put_news(const hyperliquid_side_t *side, uint64_t ev, int64_t exch_ts, int64_t local_ts, event_row_t *rows)
{
    const hyperliquid_level_t *book = side->books[side->now];
    int64_t written = 0;
    for (int64_t i = 0; i < HYPERLIQUID_LEVELS_MAX; i++)
        if (book[i].is_news)
            put_row(rows + written++, ev, exch_ts, local_ts, book[i].px, book[i].qty);
    return written;
}

static int64_t put_gone(const double *gone, int64_t count, uint64_t ev, int64_t exch_ts, int64_t local_ts, event_row_t *rows)
{
    for (int64_t i = 0; i < count; i++)
        put_row(rows + i, ev, exch_ts, local_ts, gone[i], 0.0);
    return count;
}

/* {"coin":…,"time":…,"levels":[[bids],[asks]]} */
static int64_t take_book(hyperliquid_scan_t *scan, cursor_t *c, int64_t local_ts, event_row_t *rows)
{
    const char *key, *key_end, *coin, *coin_end;
    hyperliquid_level_t bids[HYPERLIQUID_LEVELS_MAX], asks[HYPERLIQUID_LEVELS_MAX];
    double bids_gone[HYPERLIQUID_LEVELS_MAX], asks_gone[HYPERLIQUID_LEVELS_MAX];
    int64_t bid_count = -1, ask_count = -1, exch_ts = 0, written;
    int has_time = 0;
    if (!take(c, '{'))
        return -SCAN_PROBLEM_MISSING_FIELD;
    do {
        int ok = 1;
        if (!take_key(c, &key, &key_end))
            return -SCAN_PROBLEM_NOT_JSON;
        if (text_is(key, key_end, "time"))
            ok = has_time = take_time_ms(c, &exch_ts);
        else if (text_is(key, key_end, "coin")) {
            ok = take_string(c, &coin, &coin_end);
            if (ok && !is_same_symbol(&scan->at, coin, coin_end))
                return -SCAN_PROBLEM_MIXED_SYMBOLS;
        } else if (text_is(key, key_end, "levels")) {
            if (!take(c, '['))
                return -SCAN_PROBLEM_MISSING_FIELD;
            if ((bid_count = take_side(c, bids)) < 0)
                return bid_count;
            if (!take(c, ','))
                return -SCAN_PROBLEM_MISSING_FIELD;
            if ((ask_count = take_side(c, asks)) < 0)
                return ask_count;
            ok = take(c, ']');
        } else
            ok = skip_value(c);
        if (!ok)
            return -SCAN_PROBLEM_NOT_JSON;
    } while (take(c, ','));
    if (!has_time || ask_count < 0)
        return -SCAN_PROBLEM_MISSING_FIELD;
    int64_t bids_gone_count = compare(scan, &scan->bid, bids, bid_count, bids_gone);
    int64_t asks_gone_count = compare(scan, &scan->ask, asks, ask_count, asks_gone);
    written = put_news(&scan->bid, EVENT_DEPTH | EVENT_BUY, exch_ts, local_ts, rows);
    written += put_news(&scan->ask, EVENT_DEPTH | EVENT_SELL, exch_ts, local_ts, rows + written);
    written += put_gone(bids_gone, bids_gone_count, EVENT_DEPTH | EVENT_BUY, exch_ts, local_ts, rows + written);
    written += put_gone(asks_gone, asks_gone_count, EVENT_DEPTH | EVENT_SELL, exch_ts, local_ts, rows + written);
    scan->books++;
    return written;
}

static int64_t take_message(void *known, cursor_t *c, int64_t local_ts, event_row_t *rows)
{
    hyperliquid_scan_t *scan = known;
    message_t m = {0};
    if (!take_members(c, &m))
        return -SCAN_PROBLEM_NOT_JSON;
    skip_space(c);
    if (c->p != c->end)
        return -SCAN_PROBLEM_NOT_JSON;
    cursor_t data = {m.data, c->end, 0};
    if (m.channel != NULL && m.data != NULL && text_is(m.channel, m.channel_end, "trades"))
        return take_trades(scan, &data, local_ts, rows);
    if (m.channel != NULL && m.data != NULL && text_is(m.channel, m.channel_end, "l2Book"))
        return take_book(scan, &data, local_ts, rows);
    scan->ignored_messages++;
    return 0;
}

void hyperliquid_scan_lines(hyperliquid_scan_t *scan, const char *bytes, uint64_t size, event_row_t *rows, uint64_t room)
{
    walk_lines(&scan->at, bytes, size, rows, room, ROWS_OF_BOOK_MAX, take_message, scan);
}
