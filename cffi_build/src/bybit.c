#include "bybit.h"

#include "capture_line.h"

/* The members of a frame, in whatever order they came; `data` is looked into when the others are known. */
typedef struct frame {
    const char *topic, *topic_end;
    const char *type, *type_end;
    const char *data;              /* NULL: none */
    int64_t ts;                    /* ns */
    int is_error;
} frame_t;

static int take_frame(cursor_t *c, frame_t *f)
{
    const char *key, *key_end;
    if (!take(c, '{'))
        return 0;
    if (take(c, '}'))
        return 1;
    do {
        if (!take_key(c, &key, &key_end))
            return 0;
        int is_text = c->p < c->end && *c->p == '"', ok;
        if (is_text && text_is(key, key_end, "topic"))
            ok = take_string(c, &f->topic, &f->topic_end);
        else if (is_text && text_is(key, key_end, "type"))
            ok = take_string(c, &f->type, &f->type_end);
        else if (text_is(key, key_end, "ts"))
            ok = take_time_ms(c, &f->ts);
        else {
            if (text_is(key, key_end, "data") && c->p < c->end && *c->p != 'n')
                f->data = c->p;
            f->is_error |= text_is(key, key_end, "code");
            ok = skip_value(c);
        }
        if (!ok)
            return 0;
    } while (take(c, ','));
    return take(c, '}');
}

/* [{"T":…,"S":"Buy","v":"…","p":"…",…},…] */
static int64_t take_trades(bybit_scan_t *scan, const frame_t *f, cursor_t *c, int64_t local_ts, event_row_t *rows)
{
    int64_t count = 0;
    const char *key, *key_end, *side, *side_end;
    if (!take(c, '['))
        return -SCAN_PROBLEM_MISSING_FIELD;
    if (take(c, ']'))
        return 0;
    do {
        int64_t exch_ts = f->ts;
        int is_sell = 0, has_price = 0, has_quantity = 0;
        double px = 0.0, qty = 0.0;
        if (!take(c, '{'))
            return -SCAN_PROBLEM_MISSING_FIELD;
        do {
            int ok;
            if (!take_key(c, &key, &key_end))
                return -SCAN_PROBLEM_NOT_JSON;
            switch (key_end - key == 1 ? *key : '\0') {
            case 'T': ok = take_time_ms(c, &exch_ts); break;
            case 'p': ok = has_price = take_double(c, &px); break;
            case 'v': ok = has_quantity = take_double(c, &qty); break;
            case 'S':
                ok = take_string(c, &side, &side_end);
                is_sell = ok && text_is(side, side_end, "Sell");
                break;
            default: ok = skip_value(c);
            }
            if (!ok)
                return -problem_of(c);
        } while (take(c, ','));
        if (!take(c, '}'))
            return -SCAN_PROBLEM_NOT_JSON;
        if (!has_price || !has_quantity)
            return -SCAN_PROBLEM_MISSING_FIELD;
        put_row(rows + count++, EVENT_TRADE | (is_sell ? EVENT_SELL : EVENT_BUY), exch_ts, local_ts, px, qty);
    } while (take(c, ','));
    scan->trades += (uint64_t)count;
    return count;
}

/* One side's levels, behind a CLEAR row down or up to the worst of them if `is_clearing`. */
static int64_t put_side(cursor_t *c, uint64_t ev, int is_clearing, int64_t exch_ts, int64_t local_ts, event_row_t *rows)
{
    int64_t count = take_levels(c, rows + is_clearing);
    if (count <= 0)
        return count < 0 ? -problem_of(c) : 0;
    for (int64_t i = is_clearing; i < count + is_clearing; i++)
        put_row(rows + i, ev, exch_ts, local_ts, rows[i].px, rows[i].qty);
    if (is_clearing)
        put_row(rows, EVENT_DEPTH_CLEAR | (ev & (EVENT_BUY | EVENT_SELL)), exch_ts, local_ts, rows[count].px, 0.0);
    return count + is_clearing;
}

/* {"s":…,"b":[["price","quantity"],…],"a":[…],…}: bids first, whatever their order in the text. */
static int64_t take_book(const frame_t *f, cursor_t *c, int is_snapshot, int is_clearing, int64_t local_ts, event_row_t *rows)
{
    const char *key, *key_end;
    cursor_t sides[2] = {{NULL, c->end, 0}, {NULL, c->end, 0}};
    uint64_t ev = is_snapshot ? EVENT_DEPTH_SNAPSHOT : EVENT_DEPTH;
    int64_t written = 0;
    if (!take(c, '{'))
        return -SCAN_PROBLEM_MISSING_FIELD;
    if (take(c, '}'))
        return 0;
    do {
        if (!take_key(c, &key, &key_end))
            return -SCAN_PROBLEM_NOT_JSON;
        if (text_is(key, key_end, "b"))
            sides[0].p = c->p;
        else if (text_is(key, key_end, "a"))
            sides[1].p = c->p;
        if (!skip_value(c))
            return -SCAN_PROBLEM_NOT_JSON;
    } while (take(c, ','));
    for (int side = 0; side < 2; side++) {
        if (sides[side].p == NULL)
            continue;
        uint64_t flag = side ? EVENT_SELL : EVENT_BUY;
        int64_t count = put_side(&sides[side], ev | flag, is_snapshot && is_clearing, f->ts, local_ts, rows + written);
        if (count < 0)
            return count;
        written += count;
    }
    return written;
}

static int64_t take_message(void *known, cursor_t *c, int64_t local_ts, event_row_t *rows)
{
    bybit_scan_t *scan = known;
    frame_t f = {0};
    if (!take_frame(c, &f))
        return -SCAN_PROBLEM_NOT_JSON;
    skip_space(c);
    if (c->p != c->end)
        return -SCAN_PROBLEM_NOT_JSON;
    if (f.data == NULL) {
        *(f.is_error ? &scan->error_messages : &scan->ignored_messages) += 1;
        return 0;
    }
    cursor_t data = {f.data, c->end, 0};
    int is_trade = f.topic != NULL && text_begins(f.topic, f.topic_end, "publicTrade.");
    int is_book = f.topic != NULL && text_begins(f.topic, f.topic_end, "orderbook.");
    const char *symbol = f.topic_end;
    while (symbol > f.topic && symbol[-1] != '.')
        symbol--;
    if (is_book) {
        const char *level_text = f.topic + sizeof "orderbook." - 1;
        int ok;
        int64_t level = parse_integer(&level_text, f.topic_end, &ok);
        is_book = scan->depth_level == 0 || (ok && level == scan->depth_level);
    }
    int is_snapshot = f.type != NULL && text_is(f.type, f.type_end, "snapshot");
    int is_delta = f.type != NULL && text_is(f.type, f.type_end, "delta");
    if (!is_trade && !(is_book && (is_snapshot || is_delta))) {
        scan->ignored_messages++;
        return 0;
    }
    if (!is_same_symbol(&scan->at, symbol, f.topic_end))
        return -SCAN_PROBLEM_MIXED_SYMBOLS;
    if (is_trade)
        return take_trades(scan, &f, &data, local_ts, rows);
    *(is_snapshot ? &scan->snapshot_messages : &scan->delta_messages) += 1;
    return take_book(&f, &data, is_snapshot, scan->depth_level != 0, local_ts, rows);
}

void bybit_scan_lines(bybit_scan_t *scan, const char *bytes, uint64_t size, event_row_t *rows, uint64_t room)
{
    walk_lines(&scan->at, bytes, size, rows, room, 0, take_message, scan);
}
