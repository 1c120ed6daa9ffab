/* capture_line.h — what the scanners of captures (events.c, bybit.c, hyperliquid.c) share: rows, levels, the walk from line to line. */
#ifndef CRYPTO_TRADE_CAPTURE_LINE_H
#define CRYPTO_TRADE_CAPTURE_LINE_H

#include <string.h>

#include "events.h"
#include "json_cursor.h"

static inline void put_row(event_row_t *row, uint64_t ev, int64_t exch_ts, int64_t local_ts, double px, double qty)
{
    row->ev = ev;
    row->exch_ts = exch_ts;
    row->local_ts = local_ts;
    row->px = px;
    row->qty = qty;
    row->order_id = 0;
    row->ival = 0;
    row->fval = 0.0;
}

/* [["price","quantity",…],…] into rows; returns how many, −1 if it is not that. */
static inline int64_t take_levels(cursor_t *c, event_row_t *rows)
{
    int64_t count = 0;
    if (!take(c, '['))
        return -1;
    if (take(c, ']'))
        return 0;
    do {
        double px, qty;
        if (!take(c, '[') || !take_double(c, &px) || !take(c, ',') || !take_double(c, &qty))
            return -1;
        while (take(c, ','))
            if (!skip_value(c))
                return -1;
        if (!take(c, ']'))
            return -1;
        rows[count].px = px;
        rows[count].qty = qty;
        count++;
    } while (take(c, ','));
    return take(c, ']') ? count : -1;
}

/* `["1","2"],` is the shortest level: so many rows a line of this length can need, with both CLEAR rows. */
static inline uint64_t rows_of_line_max(uint64_t length)
{
    return length / 6 + 6;
}

/* Why a line could not be taken: a number that is none, or JSON that is none. */
static inline int64_t problem_of(const cursor_t *c)
{
    return c->is_bad_number ? SCAN_PROBLEM_NOT_A_NUMBER : SCAN_PROBLEM_NOT_JSON;
}

static inline int text_is(const char *start, const char *stop, const char *text)
{
    uint64_t length = strlen(text);
    return (uint64_t)(stop - start) == length && memcmp(start, text, length) == 0;
}

static inline int text_begins(const char *start, const char *stop, const char *text)
{
    uint64_t length = strlen(text);
    return (uint64_t)(stop - start) >= length && memcmp(start, text, length) == 0;
}

/* A time in ms, in ns; 0 if there is none or it is beyond what 64 bits hold. */
static inline int take_time_ms(cursor_t *c, int64_t *time_ns)
{
    int64_t time_ms;
    return take_integer(c, &time_ms) && !__builtin_mul_overflow(time_ms, 1000000, time_ns);
}

/* `line`: how many lines stand above this one. */
static inline void watch_order(line_order_t *order, int64_t local_ts, int is_snapshot, uint64_t line)
{
    if (is_snapshot)
        order->snapshot_ns = local_ts;
    else if (local_ts >= order->newest_ns)
        order->newest_ns = local_ts == order->snapshot_ns ? order->newest_ns : local_ts;
    else if (order->lines_back++ == 0)
        order->first_back = line + 1;
}

/* Remembers the first symbol; 0 if a later one is another. */
static inline int is_same_symbol(line_scan_t *at, const char *start, const char *stop)
{
    uint64_t length = (uint64_t)(stop - start);
    if (length == 0)
        return 1;
    if (length >= sizeof at->symbol)
        return 0;
    if (at->symbol[0] == '\0')
        memcpy(at->symbol, start, length);
    return memcmp(at->symbol, start, length) == 0 && at->symbol[length] == '\0';
}

/* One message behind its receive time. Returns the rows written, or −problem. */
typedef int64_t (*take_message_t)(void *scan, cursor_t *c, int64_t local_ts, event_row_t *rows);

/* Gives every whole line's message to `take_message`, which writes `rows_extra` rows at most beyond rows_of_line_max(). */
static inline void walk_lines(line_scan_t *at, const char *bytes, uint64_t size, event_row_t *rows, uint64_t room,
                              uint64_t rows_extra, take_message_t take_message, void *scan)
{
    const char *p = bytes, *end = bytes + size;
    uint64_t written = 0;
    at->stop = SCAN_NEED_BYTES;
    at->problem = SCAN_PROBLEM_NONE;
    while (p < end) {
        const char *newline = memchr(p, '\n', (uint64_t)(end - p));
        if (newline == NULL)
            break;
        if (written + rows_of_line_max((uint64_t)(newline - p)) + rows_extra > room) {
            at->stop = SCAN_NEED_ROOM;
            break;
        }
        if (newline > p && !(newline == p + 1 && *p == '\r')) {
            cursor_t c = {p, newline, 0};
            int ok;
            int64_t local_ts = parse_integer(&c.p, newline, &ok);
            int64_t count = ok && c.p < newline && *c.p == ' ' ? take_message(scan, &c, local_ts, rows + written)
                                                               : -SCAN_PROBLEM_NO_TIMESTAMP;
            if (count < 0) {
                at->stop = SCAN_BAD_LINE;
                at->problem = (int32_t)-count;
                break;
            }
            watch_order(&at->order, local_ts, 0, at->line);
            written += (uint64_t)count;
        }
        at->line++;
        p = newline + 1;
    }
    at->consumed = (uint64_t)(p - bytes);
    at->rows = written;
}

#endif
