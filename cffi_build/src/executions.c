#include "executions.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "scan.h"
#include "websocket.h"

#define EPOCH_DIGITS 5             /* of a client id: see reactor/domain/ids.py */
#define NUMBER_DIGITS 8
#define NUMBER_BITS 40
#define MILLISECOND_NS 1000000

#define SIZE_MIN 32  /* No frame that is read here is shorter; the scans want eight bytes in front of everything. */
#define SIZE_MAX_READ (1u << 20)

/* ---- strict JSON, flat ------------------------------------------------------------------------------------------ */

/* Takes a string of printable ASCII without a backslash. False: it is not such. */
static inline bool take_plain_string(scan_t *scan, text_t *text)
{
    const char *at = scan->at, *end = scan->end;
    if (at >= end || *at != '"')
        return false;
    const char *start = ++at;
    for (; at < end; at += 8) {
        uint64_t bytes = scan_load_within(at, end);
        uint64_t stops = scan_zeros(bytes ^ SCAN_EACH('"')) | scan_zeros(bytes ^ SCAN_EACH('\\')) | (bytes & SCAN_HIGH) |
                         ((bytes - SCAN_EACH(0x20)) & ~bytes & SCAN_HIGH);
        if (stops) {  /* Past the end stand zeros: they stop it too. */
            at += scan_first(stops);
            if (at >= end || *at != '"')
                return false;
            *text = (text_t){.at = start, .size = (uint32_t)(at - start), .kind = TEXT_STRING};
            scan->at = at + 1;
            return true;
        }
    }
    return false;
}

static inline bool is_digit(char character) { return (unsigned char)(character - '0') <= 9; }

/* Takes a number as JSON has it, without an exponent. */
static inline bool take_plain_number(scan_t *scan, text_t *text)
{
    const char *at = scan->at, *end = scan->end;
    at += *at == '-';
    const char *digits = at;
    while (at < end && is_digit(*at))
        at++;
    if (at == digits || (*digits == '0' && at - digits > 1))
        return false;
    if (at < end && *at == '.') {
        const char *fraction = ++at;
        while (at < end && is_digit(*at))
            at++;
        if (at == fraction)
            return false;
    }
    if (at < end && (*at == 'e' || *at == 'E'))
        return false;
    *text = (text_t){.at = scan->at, .size = (uint32_t)(at - scan->at), .kind = TEXT_NUMBER};
    scan->at = at;
    return true;
}

static inline bool take_word(scan_t *scan, text_t *text, const char *word, uint32_t size, uint16_t kind)
{
    if ((uint64_t)(scan->end - scan->at) < size || memcmp(scan->at, word, size) != 0)
        return false;
    *text = (text_t){.at = scan->at, .size = size, .kind = kind};
    scan->at += size;
    return true;
}

/* Takes one value that is no object and no list. False: it is one, or no strict JSON. */
static inline bool take_plain(scan_t *scan, text_t *text)
{
    scan_space(scan);
    if (scan->at >= scan->end)
        return false;
    switch (*scan->at) {
    case '"':
        return take_plain_string(scan, text);
    case 't':
        return take_word(scan, text, "true", 4, TEXT_TRUE);
    case 'f':
        return take_word(scan, text, "false", 5, TEXT_FALSE);
    case 'n':
        return take_word(scan, text, "null", 4, TEXT_NULL);
    case '{':
    case '[':
        return false;
    default:
        return take_plain_number(scan, text);
    }
}

/* As scan_key, with plain keys only. */
static inline int take_key(scan_t *scan, bool *is_first, text_t *key)
{
    scan_space(scan);
    if (scan->at >= scan->end)
        return SCAN_MALFORMED;
    if (*scan->at == '}') {
        scan->at++;
        return SCAN_END;
    }
    if (!*is_first && !scan_take(scan, ','))
        return SCAN_MALFORMED;
    *is_first = false;
    scan_space(scan);
    const char *at = scan->at;
    if (scan->end - at > 4 && at[0] == '"' && at[2] == '"' && at[3] == ':' && at[1] > ' ' && at[1] < 0x7f && at[1] != '\\' &&
        at[1] != '"') {  /* Nearly all keys of events are one letter. */
        *key = (text_t){.at = at + 1, .size = 1, .kind = TEXT_STRING};
        scan->at = at + 4;
        return SCAN_KEY;
    }
    return take_plain_string(scan, key) && scan_take(scan, ':') ? SCAN_KEY : SCAN_MALFORMED;
}

static inline bool is_word(const text_t *text, const char *word, uint32_t size)
{
    return text->kind == TEXT_STRING && text->size == size && memcmp(text->at, word, size) == 0;
}
#define IS(text, word) is_word((text), (word), sizeof(word) - 1)

/* ---- values ----------------------------------------------------------------------------------------------------- */

static inline bool whole(const text_t *text, int64_t *value)
{
    return text->kind == TEXT_NUMBER && scan_fixed(text->at, text->size, 0, value) == SCAN_OK;
}

/* A decimal string in whole steps of 10^-decimals · step, ≥ 0. */
static inline bool steps(const text_t *text, int decimals, int64_t step, int64_t *value)
{
    if (text->kind != TEXT_STRING || scan_fixed(text->at, text->size, decimals, value) != SCAN_OK || *value < 0)
        return false;
    if (step == 1)
        return true;
    int64_t units = *value / step, rest = *value % step;
    *value = units;
    return rest == 0;
}

/* An amount of money; digits beyond the eighth are cut. */
static inline bool amount(const text_t *text, int64_t *value_e8)
{
    if (text->kind != TEXT_STRING)
        return false;
    int result = scan_fixed(text->at, text->size, 8, value_e8);
    return result == SCAN_OK || result == SCAN_TOO_PRECISE;
}

static bool status_of(const text_t *text, uint16_t *status)
{
    if (IS(text, "NEW"))
        *status = ORDER_STATUS_NEW;
    else if (IS(text, "FILLED"))
        *status = ORDER_STATUS_FILLED;
    else if (IS(text, "PARTIALLY_FILLED"))
        *status = ORDER_STATUS_PARTIALLY_FILLED;
    else if (IS(text, "CANCELED"))
        *status = ORDER_STATUS_CANCELLED;
    else if (IS(text, "EXPIRED") || IS(text, "EXPIRED_IN_MATCH"))
        *status = ORDER_STATUS_EXPIRED;
    else
        return false;
    return true;
}

static bool side_of(const text_t *text, int16_t *side)
{
    *side = IS(text, "BUY") ? SIDE_BUY : SIDE_SELL;
    return *side == SIDE_BUY || IS(text, "SELL");
}

static bool terms_of(const text_t *type, const text_t *time_in_force, execution_t *execution)
{
    execution->order_type = ORDER_TYPE_LIMIT;
    if (IS(type, "LIMIT_MAKER")) {
        execution->time_in_force = TIF_POST_ONLY;
        return true;
    }
    if (IS(type, "MARKET"))
        execution->order_type = ORDER_TYPE_MARKET;
    else if (!IS(type, "LIMIT"))
        return false;
    if (IS(time_in_force, "GTC"))
        execution->time_in_force = TIF_GTC;
    else if (IS(time_in_force, "GTX"))
        execution->time_in_force = TIF_POST_ONLY;
    else if (IS(time_in_force, "IOC"))
        execution->time_in_force = TIF_IOC;
    else if (IS(time_in_force, "FOK"))
        execution->time_in_force = TIF_FOK;
    else
        return false;
    return true;
}

/* `digits` of base 36, lower case. Returns UINT64_MAX if they are not such. */
static inline uint64_t base36(const char *at, int digits)
{
    uint64_t value = 0;
    for (; digits > 0; digits--, at++) {
        unsigned char letter = (unsigned char)(*at - 'a');
        if (is_digit(*at))
            value = value * 36 + (uint64_t)(*at - '0');
        else if (letter < 26)
            value = value * 36 + 10 + letter;
        else
            return UINT64_MAX;
    }
    return value;
}

/* The order id in a client id of ours, behind which `extra` more characters stand; 0: not ours. */
static uint64_t order_id_of(const execution_reader_t *reader, const text_t *text, uint32_t extra)
{
    uint32_t prefix = reader->prefix_size;
    if (text->kind != TEXT_STRING || text->size != prefix + EPOCH_DIGITS + NUMBER_DIGITS + extra ||
        memcmp(text->at, reader->prefix, prefix) != 0)
        return 0;
    uint64_t epoch = base36(text->at + prefix, EPOCH_DIGITS);
    uint64_t number = base36(text->at + prefix + EPOCH_DIGITS, NUMBER_DIGITS);
    if (epoch >> (64 - NUMBER_BITS) || number >> NUMBER_BITS)
        return 0;
    return epoch << NUMBER_BITS | number;
}

static const symbol_t *symbol_of(const execution_reader_t *reader, const text_t *text)
{
    if (text->kind != TEXT_STRING)
        return 0;
    int32_t slot = symbols_find(&reader->symbols, text->at, text->size);
    return slot < 0 ? 0 : &reader->symbols.slots[slot];
}

/* ---- events ----------------------------------------------------------------------------------------------------- */

/* The members of one object by their letter. The places stay unwritten: `present` says what counts. */
typedef struct letters {
    uint64_t present[2];
    text_t realised;               /* rp */
    text_t field[128];
} letters_t;

typedef struct event {
    letters_t own;
    letters_t order;               /* o, where it is an object */
    bool has_order;
    bool is_wrapped;               /* the event stood in `event` or `data` */
} event_t;

static const text_t ABSENT = {0};

static inline void forget_letters(letters_t *letters)
{
    letters->present[0] = letters->present[1] = 0;
    letters->realised = ABSENT;
}

static inline const text_t *letter(const letters_t *letters, char name)
{
    unsigned char code = (unsigned char)name;
    return letters->present[code >> 6] >> (code & 63) & 1 ? &letters->field[code] : &ABSENT;
}

/* Puts a value under its key. False: the key was there before. */
static inline bool put_letter(letters_t *letters, const text_t *key, const text_t *value)
{
    if (key->size == 1) {
        unsigned char code = (unsigned char)key->at[0];
        if (letters->present[code >> 6] >> (code & 63) & 1)
            return false;
        letters->present[code >> 6] |= 1ull << (code & 63);
        letters->field[code] = *value;
    } else if (key->size == 2 && key->at[0] == 'r' && key->at[1] == 'p') {
        if (letters->realised.kind != TEXT_NONE)
            return false;
        letters->realised = *value;
    }
    return true;
}

/* Takes a flat object. */
static bool take_letters(scan_t *scan, letters_t *letters)
{
    bool is_first = true;
    text_t key, value;
    int step;
    if (!scan_take(scan, '{'))
        return false;
    while ((step = take_key(scan, &is_first, &key)) == SCAN_KEY)
        if (!take_plain(scan, &value) || !put_letter(letters, &key, &value))
            return false;
    return step == SCAN_END;
}

/* Takes the event, or the envelope around it. */
static bool take_event(scan_t *scan, event_t *event, bool is_inner)
{
    bool is_first = true;
    text_t key, value;
    int step;
    if (!scan_take(scan, '{'))
        return false;
    while ((step = take_key(scan, &is_first, &key)) == SCAN_KEY) {
        scan_space(scan);
        bool is_object = scan->at < scan->end && *scan->at == '{';
        if (!is_inner && (IS(&key, "event") || IS(&key, "data"))) {
            if (!is_object || event->is_wrapped)
                return false;
            forget_letters(&event->own);
            event->has_order = false;
            event->is_wrapped = true;
            if (!take_event(scan, event, true))
                return false;
        } else if (is_object && IS(&key, "o")) {
            if (event->has_order || (event->is_wrapped && !is_inner) || letter(&event->own, 'o')->kind != TEXT_NONE)
                return false;
            event->has_order = true;
            forget_letters(&event->order);
            if (!take_letters(scan, &event->order))
                return false;
        } else {
            if ((!is_inner && IS(&key, "status")) || !take_plain(scan, &value))
                return false;
            if (event->is_wrapped && !is_inner)
                continue;  /* Of the envelope. */
            if (!put_letter(&event->own, &key, &value))
                return false;
        }
    }
    return step == SCAN_END;
}

/* A price and a quantity of one object. */
static bool take_level(const symbol_t *symbol, const text_t *price, const text_t *quantity, execution_t *execution)
{
    execution->says |= SAYS_PRICE | SAYS_QUANTITY;
    return steps(price, symbol->price_decimals, symbol->tick_size, &execution->price_ticks) &&
           steps(quantity, symbol->quantity_decimals, symbol->lot_size, &execution->quantity_lots);
}

static bool take_maker(const text_t *text, execution_t *execution)
{
    if (text->kind == TEXT_TRUE)
        execution->flags = FLAG_MAKER;
    return text->kind == TEXT_TRUE || text->kind == TEXT_FALSE;
}

static bool take_fill(const letters_t *order, const symbol_t *symbol, const text_t *trade_id, execution_t *execution)
{
    const text_t *fee = letter(order, 'n'), *asset = letter(order, 'N');
    execution->kind = REPORT_FILL;
    execution->says |= SAYS_TRADE;
    if (!whole(trade_id, &execution->trade_id) || !take_level(symbol, letter(order, 'L'), letter(order, 'l'), execution) ||
        !take_maker(letter(order, 'm'), execution))
        return false;
    if (order->realised.kind != TEXT_NONE && !amount(&order->realised, &execution->amount_e8))
        return false;
    if (fee->kind == TEXT_NONE || fee->kind == TEXT_NULL || asset->kind == TEXT_NONE || asset->kind == TEXT_NULL)
        return true;
    if (asset->kind != TEXT_STRING || asset->size >= sizeof execution->asset)
        return false;
    if (asset->size == 0)
        return true;
    execution->says |= SAYS_FEE;
    memcpy(execution->asset, asset->at, asset->size);
    return amount(fee, &execution->fee_e8);
}

/* What executionReport says by itself and ORDER_TRADE_UPDATE in its `o`. */
static bool read_order(const execution_reader_t *reader, const letters_t *order, const text_t *client_id, const text_t *trade_id,
                       execution_t *execution)
{
    const symbol_t *symbol = symbol_of(reader, letter(order, 's'));
    const text_t *what = letter(order, 'x');
    execution->order_id = order_id_of(reader, client_id, 0);
    execution->says = SAYS_STATUS | SAYS_SIDE | SAYS_CUMULATIVE;
    if (!symbol || !execution->order_id || !status_of(letter(order, 'X'), &execution->order_status) ||
        !side_of(letter(order, 'S'), &execution->side) ||
        !steps(letter(order, 'z'), symbol->quantity_decimals, symbol->lot_size, &execution->cumulative_lots))
        return false;
    if (IS(what, "TRADE"))
        return take_fill(order, symbol, trade_id, execution);
    if (IS(what, "NEW"))
        execution->kind = REPORT_ACK;
    else if (IS(what, "CANCELED"))
        execution->kind = REPORT_CANCELLED;
    else if (IS(what, "EXPIRED"))
        execution->kind = REPORT_EXPIRED;
    else
        return false;
    execution->says |= SAYS_TERMS;
    return trade_id->kind != TEXT_NONE && take_level(symbol, letter(order, 'p'), letter(order, 'q'), execution) &&
           terms_of(letter(order, 'o'), letter(order, 'f'), execution);
}

/* TRADE_LITE: a fill without fee and cumulative quantity. */
static bool read_lite(const execution_reader_t *reader, const letters_t *own, execution_t *execution)
{
    const symbol_t *symbol = symbol_of(reader, letter(own, 's'));
    execution->kind = REPORT_ACK_LITE;
    execution->order_id = order_id_of(reader, letter(own, 'c'), 0);
    execution->says = SAYS_SIDE | SAYS_TRADE;
    return symbol && execution->order_id && whole(letter(own, 't'), &execution->trade_id) &&
           side_of(letter(own, 'S'), &execution->side) && take_level(symbol, letter(own, 'L'), letter(own, 'l'), execution) &&
           take_maker(letter(own, 'm'), execution);
}

/* The ids and times that every event has. */
static bool take_moment(const text_t *venue_order_id, const text_t *time_ms, const text_t *event_ms, execution_t *execution)
{
    int64_t ms;
    return whole(venue_order_id, &execution->venue_order_id) && execution->venue_order_id > 0 &&
           whole(time_ms, &execution->venue_time_ms) && whole(event_ms, &ms) &&
           !__builtin_mul_overflow(ms, MILLISECOND_NS, &execution->exchange_ns);
}

uint64_t execution_read_event(execution_reader_t *reader, const char *payload, uint64_t size)
{
    execution_t *execution = &reader->execution;
    event_t event;
    scan_t scan = {payload, payload + size};
    forget_letters(&event.own);
    event.has_order = event.is_wrapped = false;
    if (size < SIZE_MIN || size > SIZE_MAX_READ || !take_event(&scan, &event, false) || !scan_is_done(&scan))
        return 0;
    memset(execution, 0, sizeof *execution);
    const letters_t *own = &event.own, *order = event.has_order ? &event.order : own;
    const text_t *name = letter(own, 'e'), *client_id = letter(order, 'c');
    if (IS(name, "executionReport") && !event.has_order) {
        const text_t *original = letter(own, 'C');
        if (IS(letter(own, 'x'), "CANCELED")) {  /* A cancel renames the order: c is the cancel's id, C the order's own. */
            if (original->kind != TEXT_STRING)
                return 0;
            client_id = original->size ? original : client_id;
        }
    } else if (IS(name, "TRADE_LITE") && !event.has_order) {
        return read_lite(reader, own, execution) &&
                       take_moment(letter(own, 'i'), letter(own, 'T'), letter(own, 'E'), execution)
                   ? execution->order_id
                   : 0;
    } else if (!IS(name, "ORDER_TRADE_UPDATE") || !event.has_order) {
        return 0;
    }
    return read_order(reader, order, client_id, letter(order, 't'), execution) &&
                   take_moment(letter(order, 'i'), letter(order, 'T'), letter(own, 'E'), execution)
               ? execution->order_id
               : 0;
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

typedef enum answer_field {
    ORDER_ID, UPDATE_TIME, TRANSACT_TIME, TIME, CLIENT_ORDER_ID, STATUS, SYMBOL, ORIGINAL_QUANTITY, EXECUTED_QUANTITY, PRICE, SIDE,
    TYPE, TIME_IN_FORCE, ANSWER_FIELDS
} answer_field_e;

/* Returns an answer_field_e, ANSWER_FIELDS for a key that nobody asks for. */
static int answer_field(const text_t *key)
{
    switch (key->size) {
    case 4:
        return IS(key, "time") ? TIME : IS(key, "side") ? SIDE : IS(key, "type") ? TYPE : ANSWER_FIELDS;
    case 5:
        return IS(key, "price") ? PRICE : ANSWER_FIELDS;
    case 6:
        return IS(key, "status") ? STATUS : IS(key, "symbol") ? SYMBOL : ANSWER_FIELDS;
    case 7:
        return IS(key, "orderId") ? ORDER_ID : IS(key, "origQty") ? ORIGINAL_QUANTITY : ANSWER_FIELDS;
    case 10:
        return IS(key, "updateTime") ? UPDATE_TIME : ANSWER_FIELDS;
    case 11:
        return IS(key, "executedQty") ? EXECUTED_QUANTITY : IS(key, "timeInForce") ? TIME_IN_FORCE : ANSWER_FIELDS;
    case 12:
        return IS(key, "transactTime") ? TRANSACT_TIME : ANSWER_FIELDS;
    case 13:
        return IS(key, "clientOrderId") ? CLIENT_ORDER_ID : ANSWER_FIELDS;
    default:
        return ANSWER_FIELDS;
    }
}

/* The first time of the answer that is not 0, as the venue's kinds of answers name it. */
static bool take_time(const text_t *field, execution_t *execution)
{
    static const int TIMES[] = {UPDATE_TIME, TRANSACT_TIME, TIME};
    for (int index = 0; index < 3; index++) {
        const text_t *text = &field[TIMES[index]];
        if (text->kind == TEXT_NONE)
            continue;
        if (!whole(text, &execution->venue_time_ms))
            return false;
        if (execution->venue_time_ms)
            break;
    }
    return !__builtin_mul_overflow(execution->venue_time_ms, MILLISECOND_NS, &execution->exchange_ns);
}

/* `result`: an order as it stands now, or no more than its id and time. */
static bool read_result(const execution_reader_t *reader, const text_t *field, execution_t *execution)
{
    static const text_t GOOD_TILL_CANCELLED = {.at = "GTC", .size = 3, .kind = TEXT_STRING};
    const text_t *client_id = &field[CLIENT_ORDER_ID];
    /* Ours, or as our cancel has renamed it: no id of the venue's own, which means something else. */
    if (!order_id_of(reader, client_id, 0) && !order_id_of(reader, client_id, 1))
        return false;
    if (!whole(&field[ORDER_ID], &execution->venue_order_id) || execution->venue_order_id <= 0 || !take_time(field, execution))
        return false;
    if (field[STATUS].kind == TEXT_NONE)
        return true;
    const symbol_t *symbol = symbol_of(reader, &field[SYMBOL]);
    const text_t *time_in_force = field[TIME_IN_FORCE].kind == TEXT_NONE ? &GOOD_TILL_CANCELLED : &field[TIME_IN_FORCE];
    if (!symbol || !status_of(&field[STATUS], &execution->order_status) || !side_of(&field[SIDE], &execution->side) ||
        !terms_of(&field[TYPE], time_in_force, execution) ||
        !take_level(symbol, &field[PRICE], &field[ORIGINAL_QUANTITY], execution) ||
        !steps(&field[EXECUTED_QUANTITY], symbol->quantity_decimals, symbol->lot_size, &execution->cumulative_lots))
        return false;
    execution->instrument_index = symbol->instrument_index;
    execution->says = SAYS_STATUS | SAYS_SIDE | SAYS_CUMULATIVE | SAYS_QUANTITY | SAYS_TERMS | SAYS_INSTRUMENT;
    if (execution->price_ticks)
        execution->says |= SAYS_PRICE;
    return true;
}

int64_t execution_read_answer(execution_reader_t *reader, const char *payload, uint64_t size)
{
    execution_t *execution = &reader->execution;
    scan_t scan = {payload, payload + size};
    text_t key, value, id = ABSENT, status = ABSENT, field[ANSWER_FIELDS];
    bool is_first = true, has_result = false;
    int step;
    if (size < SIZE_MIN || size > SIZE_MAX_READ || !scan_take(&scan, '{'))
        return 0;
    memset(field, 0, sizeof field);
    while ((step = take_key(&scan, &is_first, &key)) == SCAN_KEY) {
        if (IS(&key, "result")) {
            bool is_first_inside = true;
            if (has_result || !scan_take(&scan, '{'))
                return 0;
            has_result = true;
            while ((step = take_key(&scan, &is_first_inside, &key)) == SCAN_KEY) {
                int place = answer_field(&key);
                if (!take_plain(&scan, &value))
                    return 0;
                if (place == ANSWER_FIELDS)
                    continue;
                if (field[place].kind != TEXT_NONE)
                    return 0;
                field[place] = value;
            }
            if (step != SCAN_END)
                return 0;
            continue;
        }
        text_t *place = IS(&key, "id") ? &id : IS(&key, "status") ? &status : &value;
        if ((place != &value && place->kind != TEXT_NONE) || !take_plain(&scan, place))
            return 0;
    }
    if (step != SCAN_END || !scan_is_done(&scan) || !has_result)
        return 0;
    memset(execution, 0, sizeof *execution);
    int64_t code;
    if (!whole(&status, &code) || code != 200 || !whole(&id, &execution->request_number) || execution->request_number <= 0)
        return 0;
    return read_result(reader, field, execution) ? execution->request_number : 0;
}

/* ---- a connection's bytes --------------------------------------------------------------------------------------- */

static inline int64_t stream_result(uint64_t at, int stop)
{
    assert(at < 1ull << PRIVATE_STOP_SHIFT && "an offset leaves room for the bits");
    return (int64_t)(at | (uint64_t)stop << PRIVATE_STOP_SHIFT);
}

int64_t private_take(private_stream_t *stream, uint64_t at, uint64_t size)
{
    assert(at <= size && "a place lies inside its bytes");
    websocket_head_t head = {0};
    uint32_t head_size = websocket_read_head((const unsigned char *)stream->bytes + at, size - at, &head);
    if (head_size == WEBSOCKET_BROKEN)
        return stream_result(at, PRIVATE_BROKEN);
    stream->needed = head_size ? head_size + head.size : 0;
    if (head_size == 0 || size - at < stream->needed)
        return stream_result(at, PRIVATE_TAKEN);
    stream->payload = at + head_size;
    stream->size = head.size;
    stream->opcode = head.opcode;
    at += stream->needed;
    if (head.opcode != 0x81 && head.opcode != 0x82)  /* A whole text or binary message. */
        return stream_result(at, PRIVATE_CONTROL);
    const char *payload = stream->bytes + stream->payload;
    bool is_read = stream->is_user ? execution_read_event(stream->reader, payload, head.size) != 0
                                   : execution_read_answer(stream->reader, payload, head.size) != 0;
    return stream_result(at, is_read ? PRIVATE_READ : PRIVATE_FRAME);
}

/* ---- reports ---------------------------------------------------------------------------------------------------- */

void execution_write(const execution_t *execution, const report_message_t *entry, report_message_t *report, uint32_t kind,
                     uint64_t sequence, int64_t receive_ns, uint64_t request_id, uint64_t connection_flags)
{
    uint32_t says = execution->says;
    *report = *entry;
    report->header.kind = (uint16_t)kind;
    report->header.sequence = sequence;
    report->header.stage_ns[STAGE_ACK] = receive_ns;
    report->header.exchange_ns = execution->exchange_ns;
    report->header.flags |= execution->flags | (uint32_t)(connection_flags >> 16);
    report->request_id = request_id;
    report->connection = (uint16_t)connection_flags;
    report->venue_order_id = execution->venue_order_id;
    report->venue_time_ms = execution->venue_time_ms;
    if (says & SAYS_STATUS)
        report->order_status = execution->order_status;
    if (says & SAYS_SIDE)
        report->side = execution->side;
    if (says & SAYS_CUMULATIVE)
        report->cumulative_lots = execution->cumulative_lots;
    if (says & SAYS_PRICE)
        report->price_ticks = execution->price_ticks;
    if (says & SAYS_QUANTITY)
        report->quantity_lots = execution->quantity_lots;
    if (says & SAYS_TERMS) {
        report->order_type = execution->order_type;
        report->time_in_force = execution->time_in_force;
    }
    if (says & SAYS_TRADE) {
        report->trade_id = execution->trade_id;
        report->amount_e8 = execution->amount_e8;
    }
    if (says & SAYS_FEE) {
        report->fee_e8 = execution->fee_e8;
        memcpy(report->asset, execution->asset, sizeof report->asset);
    }
    if (says & SAYS_INSTRUMENT)
        report->header.instrument_index = execution->instrument_index;
}

void entry_begin(report_message_t *entry, const command_message_t *place, uint32_t source)
{
    memset(entry, 0, sizeof *entry);
    entry->header = place->header;
    entry->header.flags |= FLAG_OURS;
    entry->header.source = (uint16_t)source;
    memcpy(entry->client_order_id, place->client_order_id, sizeof entry->client_order_id);
    entry->venue = place->venue;
    entry->side = place->side;
    entry->order_type = place->order_type;
    entry->time_in_force = place->time_in_force;
    entry->price_ticks = place->price_ticks;
    entry->quantity_lots = place->quantity_lots;
}

int64_t entry_sent(report_message_t *entry, int64_t send_ns)
{
    int64_t *stages = entry->header.stage_ns;
    stages[STAGE_SEND] = send_ns;
    return stages[STAGE_RECEIVE] ? send_ns - stages[STAGE_RECEIVE] : -1;
}
