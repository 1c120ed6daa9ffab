#define _GNU_SOURCE /* memrchr */
#include "events.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#include "capture_line.h"
#include "csv_wide.h"
#include "row_order.h"

/* ---- numbers ------------------------------------------------------------------------------------------------ */

double events_parse_double(const char *text, uint64_t size, uint64_t *used)
{
    return parse_number(text, text + size, used);
}

/* ---- one capture line ------------------------------------------------------------------------------------------ */

typedef enum message_kind { KIND_NONE, KIND_DEPTH, KIND_TRADE, KIND_TICKER, KIND_MARK, KIND_OTHER } message_kind_e;

/* The fields of one message, in whatever order they came. Levels go straight into rows. */
typedef struct fields {
    message_kind_e kind;
    int has_e, has_T, has_E, has_t, has_data, is_error, is_off_book, seller, has_pu, has_U;
    int64_t T, E, u, U, pu;
    const char *symbol, *symbol_end;
    double p, q, bid, bid_qty, ask, ask_qty, index, rate;
    unsigned numbers;              /* bits of NUMBER_… below */
    uint64_t bid_rows, ask_rows;   /* levels written; bids come first in `rows` */
    int is_snapshot;               /* "bids"/"asks" rather than "b"/"a" */
    int asks_first;
} fields_t;

enum { NUMBER_P = 1, NUMBER_Q = 2, NUMBER_BID = 4, NUMBER_BID_QTY = 8, NUMBER_ASK = 16, NUMBER_ASK_QTY = 32,
       NUMBER_INDEX = 64, NUMBER_RATE = 128 };

static message_kind_e kind_of(const char *start, const char *stop)
{
    uint64_t length = (uint64_t)(stop - start);
#define IS(text) (length == sizeof text - 1 && memcmp(start, text, sizeof text - 1) == 0)
    if (IS("depthUpdate"))
        return KIND_DEPTH;
    if (IS("trade"))
        return KIND_TRADE;
    if (IS("bookTicker"))
        return KIND_TICKER;
    if (IS("markPriceUpdate"))
        return KIND_MARK;
#undef IS
    return KIND_OTHER;
}

static int take_side(cursor_t *c, fields_t *f, event_row_t *rows, int is_bid)
{
    uint64_t *mine = is_bid ? &f->bid_rows : &f->ask_rows;
    if (*mine)
        return 0;
    int64_t count = take_levels(c, rows + f->bid_rows + f->ask_rows);
    if (count < 0)
        return 0;
    if (is_bid && f->ask_rows)
        f->asks_first = 1;
    *mine = (uint64_t)count;
    return 1;
}

static int take_object(cursor_t *c, fields_t *f, event_row_t *rows, int depth);

/* One member of the object. Unknown keys are passed over. Returns 0 if the value is damaged. */
static int take_member(cursor_t *c, fields_t *f, event_row_t *rows, const char *key, uint64_t length, int depth)
{
    const char *start, *stop;
    char head = c->p < c->end ? *c->p : '\0';
    int is_text = head == '"';
    if (length == 1) {
        switch (*key) {
        case 'e':
            f->has_e = 1;
            if (!is_text || !take_string(c, &start, &stop))
                return 0;
            f->kind = kind_of(start, stop);
            return 1;
        case 'E': f->has_E = 1; return take_integer(c, &f->E);
        case 'T': f->has_T = 1; return take_integer(c, &f->T);
        case 'u': return take_integer(c, &f->u);
        case 'U': f->has_U = 1; return take_integer(c, &f->U);
        case 'p': f->numbers |= NUMBER_P; return take_double(c, &f->p);
        case 'q': f->numbers |= NUMBER_Q; return take_double(c, &f->q);
        case 'b':
            if (head == '[')
                return take_side(c, f, rows, 1);
            f->numbers |= NUMBER_BID;
            return take_double(c, &f->bid);
        case 'a':
            if (head == '[')
                return take_side(c, f, rows, 0);
            f->numbers |= NUMBER_ASK;
            return take_double(c, &f->ask);
        case 'B': f->numbers |= NUMBER_BID_QTY; return take_double(c, &f->bid_qty);
        case 'A': f->numbers |= NUMBER_ASK_QTY; return take_double(c, &f->ask_qty);
        case 'i':
            if (!is_text)
                return skip_value(c);
            f->numbers |= NUMBER_INDEX;
            return take_double(c, &f->index);
        case 'r':
            if (!is_text || (c->p + 1 < c->end && c->p[1] == '"'))
                return skip_value(c);
            f->numbers |= NUMBER_RATE;
            return take_double(c, &f->rate);
        case 's':
            return is_text ? take_string(c, &f->symbol, &f->symbol_end) : skip_value(c);
        case 'm': f->seller = head == 't'; return skip_value(c);
        case 'X':
            if (!is_text)
                return skip_value(c);
            if (!take_string(c, &start, &stop))
                return 0;
            f->is_off_book = stop - start != 6 || memcmp(start, "MARKET", 6) != 0;
            return 1;
        default: return skip_value(c);
        }
    }
    if (length == 2 && memcmp(key, "pu", 2) == 0) {
        f->has_pu = 1;
        return take_integer(c, &f->pu);
    }
    if (length == 4 && memcmp(key, "data", 4) == 0 && head == '{' && depth == 0) {
        f->has_data = 1;
        return take_object(c, f, rows, 1);
    }
    if (length == 4 && (memcmp(key, "bids", 4) == 0 || memcmp(key, "asks", 4) == 0) && head == '[') {
        f->is_snapshot = 1;
        return take_side(c, f, rows, key[0] == 'b');
    }
    if (length == 4 && memcmp(key, "code", 4) == 0)
        f->is_error = 1;
    if (length == 12 && memcmp(key, "lastUpdateId", 12) == 0)
        return take_integer(c, &f->u);
    return skip_value(c);
}

static int take_object(cursor_t *c, fields_t *f, event_row_t *rows, int depth)
{
    const char *key, *key_end;
    if (!take(c, '{'))
        return 0;
    if (take(c, '}'))
        return 1;
    do {
        if (!take_key(c, &key, &key_end) || !take_member(c, f, rows, key, (uint64_t)(key_end - key), depth))
            return 0;
    } while (take(c, ','));
    return take(c, '}');
}

/* Puts bids before asks when the message had them the other way round. */
static void bids_first(fields_t *f, event_row_t *rows)
{
    for (uint64_t moved = 0; f->asks_first && moved < f->bid_rows; moved++) {
        event_row_t bid = rows[f->ask_rows + moved];
        memmove(rows + moved + 1, rows + moved, f->ask_rows * sizeof *rows);
        rows[moved] = bid;
    }
}

static uint64_t stamp_levels(event_row_t *rows, uint64_t count, uint64_t ev, int64_t exch_ts, int64_t local_ts)
{
    for (uint64_t i = 0; i < count; i++)
        put_row(rows + i, ev, exch_ts, local_ts, rows[i].px, rows[i].qty);
    return count;
}

/* A REST snapshot: per side one CLEAR row (down or up to the worst level), then the levels. */
static uint64_t put_snapshot(fields_t *f, event_row_t *rows, int64_t exch_ts, int64_t local_ts)
{
    uint64_t bids = f->bid_rows, asks = f->ask_rows, written = 0;
    memmove(rows + bids + 2, rows + bids, asks * sizeof *rows);
    memmove(rows + 1, rows, bids * sizeof *rows);
    if (bids) {
        put_row(rows, EVENT_DEPTH_CLEAR | EVENT_BUY, exch_ts, local_ts, rows[bids].px, 0.0);
        written = 1 + stamp_levels(rows + 1, bids, EVENT_DEPTH_SNAPSHOT | EVENT_BUY, exch_ts, local_ts);
    }
    if (asks) {
        event_row_t *side = rows + bids + 2;
        double worst = side[asks - 1].px;
        memmove(rows + written + 1, side, asks * sizeof *rows);
        put_row(rows + written, EVENT_DEPTH_CLEAR | EVENT_SELL, exch_ts, local_ts, worst, 0.0);
        written += 1 + stamp_levels(rows + written + 1, asks, EVENT_DEPTH_SNAPSHOT | EVENT_SELL, exch_ts, local_ts);
    }
    return written;
}

static void count_gap(capture_scan_t *scan, const fields_t *f)
{
    if (scan->last_update_id != 0) {
        if (f->has_pu)
            scan->gaps += (uint64_t)f->pu != scan->last_update_id;
        else if (f->has_U)
            scan->gaps += (uint64_t)f->U != scan->last_update_id + 1;
    }
    scan->last_update_id = (uint64_t)f->u;
}

/* 0 if the message is of another symbol or market than the ones before. */
static int same_instrument(capture_scan_t *scan, const fields_t *f)
{
    if (f->kind == KIND_DEPTH) {
        int market = f->has_pu ? 2 : 1;
        if (scan->market != 0 && scan->market != market)
            return 0;
        scan->market = market;
    }
    return is_same_symbol(&scan->at, f->symbol, f->symbol_end);
}

static void remember_depth(capture_scan_t *scan, const fields_t *f, uint64_t first_row)
{
    recent_depth_t *slot = &scan->recent[scan->recent_count++ % RECENT_MESSAGES];
    *slot = (recent_depth_t){(uint64_t)f->u, first_row, f->bid_rows + f->ask_rows};
}

/* Spot's snapshot is often older than depth messages that came before its answer. They are told again behind it, so that a
 * reader in local order ends with the right book. Returns the rows written at `rows`, which is row number `place`. */
static uint64_t repeat_newer_depth(capture_scan_t *scan, const fields_t *f, event_row_t *rows, uint64_t place, int64_t exch_ts,
                                   int64_t local_ts)
{
    uint64_t written = 0, known = scan->recent_count < RECENT_MESSAGES ? scan->recent_count : RECENT_MESSAGES;
    for (uint64_t age = known; age > 0; age--) {
        const recent_depth_t *depth = &scan->recent[(scan->recent_count - age) % RECENT_MESSAGES];
        if (depth->update_id <= (uint64_t)f->u)
            continue;
        const event_row_t *source = rows - place + depth->first_row;
        for (uint64_t i = 0; i < depth->rows; i++)
            put_row(rows + written++, source[i].ev, exch_ts, local_ts, source[i].px, source[i].qty);
    }
    scan->repeated_rows += written;
    return written;
}

static uint64_t recent_rows(const capture_scan_t *scan)
{
    uint64_t rows = 0;
    for (uint64_t i = 0; i < RECENT_MESSAGES && i < scan->recent_count; i++)
        rows += scan->recent[i].rows;
    return rows;
}

/* Writes the rows of one parsed message; returns how many, −1: a field that its kind needs is missing. */
static int64_t put_message(capture_scan_t *scan, fields_t *f, event_row_t *rows, int64_t exch_ts, int64_t local_ts)
{
    switch (f->kind) {
    case KIND_DEPTH:
        scan->depth_messages++;
        count_gap(scan, f);
        stamp_levels(rows, f->bid_rows, EVENT_DEPTH | EVENT_BUY, exch_ts, local_ts);
        stamp_levels(rows + f->bid_rows, f->ask_rows, EVENT_DEPTH | EVENT_SELL, exch_ts, local_ts);
        return (int64_t)(f->bid_rows + f->ask_rows);
    case KIND_TRADE:
        if ((f->numbers & (NUMBER_P | NUMBER_Q)) != (NUMBER_P | NUMBER_Q))
            return -1;
        if (f->is_off_book) {
            scan->off_book_trades++;
            return 0;
        }
        scan->trade_messages++;
        put_row(rows, EVENT_TRADE | (f->seller ? EVENT_SELL : EVENT_BUY), exch_ts, local_ts, f->p, f->q);
        return 1;
    case KIND_TICKER:
        if ((f->numbers & (NUMBER_BID | NUMBER_BID_QTY | NUMBER_ASK | NUMBER_ASK_QTY)) !=
            (NUMBER_BID | NUMBER_BID_QTY | NUMBER_ASK | NUMBER_ASK_QTY))
            return -1;
        scan->ticker_messages++;
        if (!scan->with_book_ticker)
            return 0;
        put_row(rows, EVENT_BEST_BID, exch_ts, local_ts, f->bid, f->bid_qty);
        put_row(rows + 1, EVENT_BEST_ASK, exch_ts, local_ts, f->ask, f->ask_qty);
        return 2;
    case KIND_MARK:
        scan->mark_messages++;
        if (!scan->with_mark_price)
            return 0;
        if ((f->numbers & (NUMBER_INDEX | NUMBER_P | NUMBER_RATE)) != (NUMBER_INDEX | NUMBER_P | NUMBER_RATE))
            return -1;
        put_row(rows, EVENT_INDEX_PRICE, exch_ts, local_ts, f->index, 0.0);
        put_row(rows + 1, EVENT_MARK_PRICE, exch_ts, local_ts, f->p, 0.0);
        put_row(rows + 2, EVENT_FUNDING_RATE, exch_ts, local_ts, f->rate, 0.0);
        return 3;
    default:
        if (!f->is_snapshot) {
            if (f->is_error)
                scan->error_messages++;
            else
                scan->ignored_messages++;
            return 0;
        }
        scan->snapshot_messages++;
        return scan->without_snapshots ? 0 : (int64_t)put_snapshot(f, rows, exch_ts, local_ts);
    }
}

/* One line [line, end) without its newline, whose rows begin at row number `place`. Returns the rows written, or −problem. */
static int64_t scan_line(capture_scan_t *scan, const char *line, const char *end, event_row_t *rows, uint64_t place)
{
    cursor_t c = {line, end, 0};
    int ok;
    int64_t local_ts = parse_integer(&c.p, end, &ok);
    if (!ok || c.p >= end || *c.p != ' ')
        return -SCAN_PROBLEM_NO_TIMESTAMP;
    fields_t f = {0};
    if (!take_object(&c, &f, rows, 0))
        return -problem_of(&c);
    skip_space(&c);
    if (c.p != end)
        return -SCAN_PROBLEM_NOT_JSON;
    if (f.kind == KIND_NONE && (f.numbers & NUMBER_BID) && !f.has_e)
        f.kind = KIND_TICKER; /* Spot's bookTicker says neither its kind nor a time. */
    if (!same_instrument(scan, &f))
        return -SCAN_PROBLEM_MIXED_SYMBOLS;
    bids_first(&f, rows);
    watch_order(&scan->at.order, local_ts, f.is_snapshot, scan->at.line);
    int is_timed = f.has_T || f.has_E;
    if (f.kind == KIND_DEPTH && !is_timed)
        return -SCAN_PROBLEM_MISSING_FIELD;
    int64_t exch_ts = scan->last_exch_ts;
    if (is_timed && __builtin_mul_overflow(f.has_T ? f.T : f.E, 1000000, &exch_ts))
        return -SCAN_PROBLEM_NOT_A_NUMBER;
    if (is_timed && scan->waiting_rows) {
        for (uint64_t i = 1; i <= scan->waiting_rows; i++)
            rows[-(int64_t)i].exch_ts = exch_ts;
        scan->waiting_rows = 0;
    }
    int64_t written = put_message(scan, &f, rows, exch_ts, local_ts);
    if (written < 0)
        return -SCAN_PROBLEM_MISSING_FIELD;
    if (f.kind == KIND_DEPTH)
        remember_depth(scan, &f, place);
    else if (f.is_snapshot && !is_timed && written > 0)
        written += (int64_t)repeat_newer_depth(scan, &f, rows + written, place + (uint64_t)written, exch_ts, local_ts);
    if (is_timed)
        scan->last_exch_ts = exch_ts;
    else if (scan->last_exch_ts == 0)
        scan->waiting_rows += (uint64_t)written;
    return written;
}

#define LOW_ROOM (1 << 20)          /* Only then is it worth adding up what a snapshot may repeat. */

void events_scan_capture(capture_scan_t *scan, const char *bytes, uint64_t size, event_row_t *rows, uint64_t room)
{
    line_scan_t *at = &scan->at;
    const char *p = bytes, *end = bytes + size;
    uint64_t written = 0;
    at->stop = SCAN_NEED_BYTES;
    at->problem = SCAN_PROBLEM_NONE;
    while (p < end) {
        const char *newline = memchr(p, '\n', (uint64_t)(end - p));
        if (newline == NULL)
            break;
        if (written + rows_of_line_max((uint64_t)(newline - p)) > room ||
            (room - written < LOW_ROOM && written + recent_rows(scan) > room)) {
            at->stop = SCAN_NEED_ROOM;
            break;
        }
        if (newline > p && !(newline == p + 1 && *p == '\r')) {
            int64_t count = scan_line(scan, p, newline, rows + written, scan->rows_before + written);
            if (count < 0) {
                at->stop = SCAN_BAD_LINE;
                at->problem = (int32_t)-count;
                break;
            }
            written += (uint64_t)count;
        }
        at->line++;
        p = newline + 1;
    }
    at->consumed = (uint64_t)(p - bytes);
    at->rows = written;
    scan->rows_before += written;
}

/* ---- Tardis CSV ------------------------------------------------------------------------------------------------ */

#define CSV_COLUMNS 8

typedef struct cell {
    const char *start;
    const char *stop;
} cell_t;

static inline int64_t cell_integer(const cell_t *cell, int *ok)
{
    const char *p = cell->start;
    int mine;
    int64_t value = parse_integer(&p, cell->stop, &mine);
    *ok &= mine && p == cell->stop;
    return value;
}

/* A time in µs, in ns. */
static inline int64_t cell_time(const cell_t *cell, int *ok)
{
    int64_t time_us = cell_integer(cell, ok), time_ns = 0;
    *ok &= !__builtin_mul_overflow(time_us, 1000, &time_ns);
    return time_ns;
}

static inline double cell_double(const cell_t *cell, int *ok)
{
    uint64_t used;
    double value = parse_double(cell->start, cell->stop, &used);
    *ok &= used > 0 && cell->start + used == cell->stop;
    return value;
}

static inline int cell_is(const cell_t *cell, const char *text, uint64_t length)
{
    return (uint64_t)(cell->stop - cell->start) == length && memcmp(cell->start, text, length) == 0;
}

#define CELL_IS(cell, text) cell_is(cell, text, sizeof text - 1)

static int split(const char *p, const char *end, cell_t *cells)
{
    int count = 0;
    while (count < CSV_COLUMNS) {
        const char *comma = memchr(p, ',', (uint64_t)(end - p));
        cells[count].start = p;
        cells[count++].stop = comma ? comma : end;
        if (comma == NULL)
            return count;
        p = comma + 1;
    }
    return CSV_COLUMNS + 1;
}

/* Remembers exchange,symbol of the first row; 0 if a later row has another. */
static int same_symbol(csv_scan_t *scan, const cell_t *cells)
{
    uint64_t length = (uint64_t)(cells[1].stop - cells[0].start);
    if (length >= sizeof scan->symbol)
        return 0;
    if (scan->symbol_length == 0) {
        memcpy(scan->symbol, cells[0].start, length);
        scan->symbol_length = length;
    }
    return scan->symbol_length == length && memcmp(scan->symbol, cells[0].start, length) == 0;
}

static uint64_t put_collected(const event_row_t *side, uint64_t count, uint64_t flag, event_row_t *rows)
{
    if (count == 0)
        return 0;
    put_row(rows, EVENT_DEPTH_CLEAR | flag, side[0].exch_ts, side[0].local_ts, side[count - 1].px, 0.0);
    memcpy(rows + 1, side, count * sizeof *rows);
    return count + 1;
}

uint64_t events_finish_csv(csv_scan_t *scan, event_row_t *rows, const event_row_t *bids, const event_row_t *asks)
{
    uint64_t written = put_collected(bids, scan->bid_rows, EVENT_BUY, rows);
    written += put_collected(asks, scan->ask_rows, EVENT_SELL, rows + written);
    if (scan->bid_limit >= 0)
        scan->bid_limit = (int64_t)scan->bid_rows;
    if (scan->ask_limit >= 0)
        scan->ask_limit = (int64_t)scan->ask_rows;
    scan->bid_rows = scan->ask_rows = 0;
    scan->in_snapshot = 0;
    return written;
}

static void collect(csv_scan_t *scan, event_row_t *side, uint64_t *count, int64_t limit, const event_row_t *row)
{
    if (limit >= 0 && *count >= (uint64_t)limit) {
        scan->truncated_rows++;
        return;
    }
    side[(*count)++] = *row;
}

static int64_t scan_depth_row(csv_scan_t *scan, const cell_t *cells, event_row_t *rows, event_row_t *bids, event_row_t *asks)
{
    int ok = 1;
    event_row_t row;
    int is_bid = CELL_IS(&cells[5], "bid") || CELL_IS(&cells[5], "buy");
    int64_t exch_ts = cell_time(&cells[2], &ok), local_ts = cell_time(&cells[3], &ok);
    double px = cell_double(&cells[6], &ok), qty = cell_double(&cells[7], &ok);
    int is_snapshot = CELL_IS(&cells[4], "true");
    if (!ok)
        return -SCAN_PROBLEM_NOT_A_NUMBER;
    if (!is_snapshot && !CELL_IS(&cells[4], "false"))
        return -SCAN_PROBLEM_MISSING_FIELD;
    uint64_t side = is_bid ? EVENT_BUY : EVENT_SELL;
    if (is_snapshot) {
        scan->snapshot_rows++;
        if (scan->snapshot_mode == SNAPSHOT_IGNORE || (scan->snapshot_mode == SNAPSHOT_IGNORE_SOD && !scan->seen_update)) {
            scan->skipped_rows++;
            return 0;
        }
        scan->in_snapshot = 1;
        put_row(&row, EVENT_DEPTH_SNAPSHOT | side, exch_ts, local_ts, px, qty);
        collect(scan, is_bid ? bids : asks, is_bid ? &scan->bid_rows : &scan->ask_rows,
                is_bid ? scan->bid_limit : scan->ask_limit, &row);
        return 0;
    }
    scan->update_rows++;
    scan->seen_update = 1;
    int64_t written = scan->in_snapshot ? (int64_t)events_finish_csv(scan, rows, bids, asks) : 0;
    put_row(rows + written, EVENT_DEPTH | side, exch_ts, local_ts, px, qty);
    return written + 1;
}

static int64_t scan_trade_row(csv_scan_t *scan, const cell_t *cells, event_row_t *rows)
{
    int ok = 1;
    uint64_t side = CELL_IS(&cells[5], "buy") ? EVENT_BUY : CELL_IS(&cells[5], "sell") ? EVENT_SELL : 0;
    put_row(rows, EVENT_TRADE | side, cell_time(&cells[2], &ok), cell_time(&cells[3], &ok),
            cell_double(&cells[6], &ok), cell_double(&cells[7], &ok));
    scan->update_rows++;
    return ok ? 1 : -SCAN_PROBLEM_NOT_A_NUMBER;
}

static int64_t scan_ticker_row(csv_scan_t *scan, const cell_t *cells, event_row_t *rows)
{
    int ok = 1;
    int64_t exch_ts = cell_time(&cells[2], &ok), local_ts = cell_time(&cells[3], &ok);
    put_row(rows, EVENT_DEPTH_BBO | EVENT_SELL, exch_ts, local_ts, cell_double(&cells[5], &ok), cell_double(&cells[4], &ok));
    put_row(rows + 1, EVENT_DEPTH_BBO | EVENT_BUY, exch_ts, local_ts, cell_double(&cells[6], &ok), cell_double(&cells[7], &ok));
    scan->update_rows++;
    return ok ? 2 : -SCAN_PROBLEM_NOT_A_NUMBER;
}

/* ---- the same rows, for the form that Tardis really writes: one pass, no search for commas ------------------------- */

typedef struct reader {
    const char *p;
    const char *end;               /* one past a newline, so a loop that stops at what is not a digit stays inside */
} reader_t;

static inline int read_char(reader_t *r, char wanted)
{
    int is_there = *r->p == wanted;
    r->p += is_there;
    return is_there;
}

/* A time in µs of today's sixteen digits, and its comma; in ns. */
static inline int read_time(reader_t *r, int64_t *time_ns)
{
    uint64_t high, low;
    if (r->end - r->p < 17)
        return 0;
    memcpy(&high, r->p, 8);
    memcpy(&low, r->p + 8, 8);
    high ^= EIGHT_ZEROS;
    low ^= EIGHT_ZEROS;
    if (!are_values(high) || !are_values(low) || r->p[16] != ',')
        return 0;
    if (__builtin_mul_overflow((int64_t)(eight_values(high) * 100000000 + eight_values(low)), 1000, time_ns))
        return 0;
    r->p += 17;
    return 1;
}

static inline int read_double(reader_t *r, double *value)
{
    uint64_t used;
    *value = parse_number(r->p, r->end, &used);
    r->p += used;
    return used > 0;
}

static inline int are_equal(const char *one, const char *other, uint64_t size)
{
    uint64_t a, b, difference = 0;
    if (size < 8)
        return memcmp(one, other, size) == 0;
    for (uint64_t i = 0; i + 8 < size; i += 8) {
        memcpy(&a, one + i, 8);
        memcpy(&b, other + i, 8);
        difference |= a ^ b;
    }
    memcpy(&a, one + size - 8, 8);
    memcpy(&b, other + size - 8, 8);
    return (difference | (a ^ b)) == 0;
}

/* What a row begins with: `exchange,symbol,timestamp,local_timestamp,`. Rows of one message begin alike. */
typedef struct head {
    const char *text;              /* of the row before; NULL: none yet */
    int64_t  exch_ts;
    int64_t  local_ts;
} head_t;

#define TIMES_SIZE 34              /* two times of sixteen digits with their commas */

static inline int read_head(reader_t *r, const csv_scan_t *scan, head_t *head)
{
    uint64_t length = scan->symbol_length;
    const char *start = r->p;
    if (length == 0 || (uint64_t)(r->end - start) < length + 1 + TIMES_SIZE)
        return 0;
    if (head->text != NULL && are_equal(start, head->text, length + 1 + TIMES_SIZE)) {
        r->p += length + 1 + TIMES_SIZE;
        return 1;
    }
    head->text = NULL;
    if (!are_equal(start, scan->symbol, length))
        return 0;
    r->p += length;
    if (!read_char(r, ',') || !read_time(r, &head->exch_ts) || !read_time(r, &head->local_ts))
        return 0;
    head->text = start;
    return 1;
}

static inline int read_end(reader_t *r)
{
    if (*r->p == '\r')
        r->p++;
    return r->p < r->end && *r->p == '\n';
}

static inline uint32_t four_bytes(const char *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* An ordinary depth row straight into *row; 0: it is something else, ask the general reader. Leaves r at the newline.
 * Which side it is no processor can guess: nothing branches on it. */
static inline int read_update(reader_t *r, const csv_scan_t *scan, head_t *head, event_row_t *row)
{
    double px, qty;
    if (!read_head(r, scan, head) || r->end - r->p < 16 || four_bytes(r->p) != four_bytes("fals") ||
        r->p[4] != 'e' || r->p[5] != ',')
        return 0;
    uint32_t side = four_bytes(r->p + 6);
    uint64_t is_bid = side == four_bytes("bid,"), is_ask = side == four_bytes("ask,");
    if (!(is_bid | is_ask))
        return 0;
    r->p += 10;
    if (!read_double(r, &px) || !read_char(r, ',') || !read_double(r, &qty) || !read_end(r))
        return 0;
    put_row(row, EVENT_DEPTH | (uint64_t)EVENT_SELL << is_bid, head->exch_ts, head->local_ts, px, qty);
    return 1;
}

_Static_assert(EVENT_BUY == EVENT_SELL << 1, "a side is a shift");

static inline int read_trade(reader_t *r, const csv_scan_t *scan, head_t *head, event_row_t *row)
{
    double px, qty;
    if (!read_head(r, scan, head))
        return 0;
    while (*r->p != ',' && *r->p != '\n')
        r->p++;
    if (!read_char(r, ',') || r->end - r->p < 8)
        return 0;
    uint64_t is_buy = four_bytes(r->p) == four_bytes("buy,");
    if (!is_buy && (four_bytes(r->p) != four_bytes("sell") || r->p[4] != ','))
        return 0;
    r->p += 5 - is_buy;
    if (!read_double(r, &px) || !read_char(r, ',') || !read_double(r, &qty) || !read_end(r))
        return 0;
    put_row(row, EVENT_TRADE | (uint64_t)EVENT_SELL << is_buy, head->exch_ts, head->local_ts, px, qty);
    return 1;
}

#define NARROW_ROWS_MAX 16         /* What is unusual for the wide reader may be a single row. */

/* Takes usual rows until one is unusual, the room is full or the buffer ends. Returns where it stopped. */
static const char *read_usual_rows(csv_scan_t *scan, const char *p, const char *end, event_row_t *rows, uint64_t room,
                                   uint64_t *written)
{
    if (scan->in_snapshot || scan->kind == CSV_BOOK_TICKER)
        return p;
    uint64_t place = *written, kind = (uint64_t)scan->kind;
    if (wide_is_supported()) {
        uint64_t wide = (kind == CSV_DEPTH ? wide_depth_rows : wide_trade_rows)(scan, p, end, rows + place, room - place, &p);
        place += wide;
        room = room - place < NARROW_ROWS_MAX ? room : place + NARROW_ROWS_MAX;
    }
    head_t head = {0};
    for (; place < room; place++) {
        reader_t r = {p, end};
        if (!(kind == CSV_DEPTH ? read_update(&r, scan, &head, rows + place) : read_trade(&r, scan, &head, rows + place)))
            break;
        p = r.p + 1;
    }
    uint64_t taken = place - *written;
    *written = place;
    scan->update_rows += taken;
    scan->line += taken;
    scan->seen_update |= taken > 0;
    return p;
}

/* ---- the scan ------------------------------------------------------------------------------------------------------ */

static int64_t scan_csv_line(csv_scan_t *scan, const char *line, const char *end, event_row_t *rows, event_row_t *bids,
                             event_row_t *asks)
{
    cell_t cells[CSV_COLUMNS];
    if (split(line, end, cells) != CSV_COLUMNS)
        return -SCAN_PROBLEM_COLUMNS;
    if (!same_symbol(scan, cells))
        return -SCAN_PROBLEM_MIXED_SYMBOLS;
    switch (scan->kind) {
    case CSV_TRADES: return scan_trade_row(scan, cells, rows);
    case CSV_DEPTH: return scan_depth_row(scan, cells, rows, bids, asks);
    default: return scan_ticker_row(scan, cells, rows);
    }
}

void events_scan_csv(csv_scan_t *scan, const char *bytes, uint64_t size, event_row_t *rows, uint64_t room,
                     event_row_t *bids, event_row_t *asks)
{
    const char *p = bytes;
    uint64_t written = 0;
    scan->stop = SCAN_NEED_BYTES;
    scan->problem = SCAN_PROBLEM_NONE;
    const char *last_newline = memrchr(bytes, '\n', size);
    const char *whole = last_newline == NULL ? bytes : last_newline + 1;
    for (;;) {
        p = read_usual_rows(scan, p, whole, rows, room, &written);
        if (p >= whole)
            break;
        const char *newline = memchr(p, '\n', (uint64_t)(whole - p));
        if (written + scan->bid_rows + scan->ask_rows + 4 > room || scan->bid_rows >= scan->bid_room ||
            scan->ask_rows >= scan->ask_room) {
            scan->stop = SCAN_NEED_ROOM;
            break;
        }
        const char *stop = newline > p && newline[-1] == '\r' ? newline - 1 : newline;
        if (stop > p) {
            int64_t count = scan_csv_line(scan, p, stop, rows + written, bids, asks);
            if (count < 0) {
                scan->stop = SCAN_BAD_LINE;
                scan->problem = (int32_t)-count;
                break;
            }
            written += (uint64_t)count;
        }
        scan->line++;
        p = newline + 1;
    }
    scan->consumed = (uint64_t)(p - bytes);
    scan->rows = written;
}

/* ---- order ------------------------------------------------------------------------------------------------------ */

int64_t events_latency_min(const event_row_t *rows, uint64_t count)
{
    int64_t smallest = INT64_MAX;
    for (uint64_t i = 0; i < count; i++) {
        int64_t latency = rows[i].local_ts - rows[i].exch_ts;
        smallest = latency < smallest ? latency : smallest;
    }
    return smallest;
}

void events_shift_local(event_row_t *rows, uint64_t count, int64_t shift_ns)
{
    for (uint64_t i = 0; i < count; i++)
        rows[i].local_ts += shift_ns;
}

int32_t events_is_ordered(const event_row_t *rows, uint64_t count, int32_t field)
{
    for (uint64_t i = 1; i < count; i++)
        if (key_of(&rows[i], field) < key_of(&rows[i - 1], field))
            return 0;
    return 1;
}

void events_sort(const event_row_t *rows, uint64_t count, int32_t field, uint32_t *order, uint32_t *scratch)
{
    assert(count < UINT32_MAX && "an event file of more than four billion rows: convert by day");
    for (uint64_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    sort_in(rows, field, order, 0, 0, count, scratch);
}

uint64_t events_merge(const event_row_t *rows, uint64_t count, const uint32_t *by_exch, const uint32_t *by_local,
                      uint64_t *cursor, event_row_t *out, uint64_t out_room)
{
    uint64_t exch = cursor[0], local = cursor[1], written = 0;
    while (written < out_room && (exch < count || local < count)) {
        const event_row_t *e = exch < count ? &rows[by_exch ? by_exch[exch] : exch] : NULL;
        const event_row_t *l = local < count ? &rows[by_local ? by_local[local] : local] : NULL;
        event_row_t *row = &out[written++];
        if (e != NULL && l != NULL && e->exch_ts == l->exch_ts && e->local_ts == l->local_ts) {
            *row = *e;
            row->ev |= EVENT_EXCH | EVENT_LOCAL;
            exch++;
            local++;
        } else if (e != NULL && (l == NULL || e->exch_ts < l->exch_ts || (e->exch_ts == l->exch_ts && e->local_ts < l->local_ts))) {
            *row = *e;
            row->ev |= EVENT_EXCH;
            exch++;
        } else {
            *row = *l;
            row->ev |= EVENT_LOCAL;
            local++;
        }
    }
    cursor[0] = exch;
    cursor[1] = local;
    return written;
}

void events_count_taken(const uint32_t *order, uint64_t from, uint64_t to, uint32_t *left)
{
    for (uint64_t place = from; place < to; place++)
        left[(order ? order[place] : place) / RELEASE_ROWS]--;
}

uint64_t events_first_disorder(const event_row_t *rows, uint64_t count, int32_t field)
{
    uint64_t flag = field ? EVENT_LOCAL : EVENT_EXCH;
    int64_t last = INT64_MIN;
    for (uint64_t i = 0; i < count; i++) {
        if (!(rows[i].ev & flag))
            continue;
        int64_t key = key_of(&rows[i], field);
        if (key < last)
            return i + 1;
        last = key;
    }
    return 0;
}
