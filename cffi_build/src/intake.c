#include "intake.h"

#include <assert.h>

#define MILLISECOND_NS 1000000

/* Bits of what changed when the top becomes (bid, ask). */
static uint32_t change_top(book_top_t *top, const level_t *bid, const level_t *ask)
{
    uint32_t bits = 0;
    if (top->bid_ticks != bid->price_ticks || top->ask_ticks != ask->price_ticks)
        bits = INTAKE_TOP_PRICE | INTAKE_TOP;
    else if (top->bid_lots != bid->quantity_lots || top->ask_lots != ask->quantity_lots)
        bits = INTAKE_TOP;
    top->bid_ticks = bid->price_ticks;
    top->ask_ticks = ask->price_ticks;
    top->bid_lots = bid->quantity_lots;
    top->ask_lots = ask->quantity_lots;
    return bits;
}

static int64_t exchange_ns_of(const intake_t *intake, const frame_t *frame, int64_t receive_ns)
{
    int64_t ms = frame->transaction_ms ? frame->transaction_ms : frame->event_ms;
    int64_t ns;
    if (ms && !__builtin_mul_overflow(ms, MILLISECOND_NS, &ns))
        return ns;
    return receive_ns + intake->exchange_minus_monotonic_ns;
}

static uint32_t duplicate(session_t *session, state_t *state)
{
    session->duplicates++;
    state->top.duplicates++;
    return INTAKE_DUPLICATE;
}

void intake_mark(intake_t *intake, uint16_t slot)
{
    assert(slot < intake->symbols.count && "a slot stands in the table");
    state_t *state = &intake->states[slot];
    state->is_dirty = 1;
    if (!state->is_listed) {
        state->is_listed = 1;
        intake->dirty[intake->dirty_count++] = slot;
        assert(intake->dirty_count <= intake->symbols.capacity && "each symbol stands in the list once");
    }
}

int depth_relation(int rule, int64_t local_id, int is_anchored, int64_t first_id, int64_t final_id, int64_t previous_id)
{
    if (rule == DEPTH_CONTIGUOUS) {
        if (final_id <= local_id)
            return DEPTH_OLD;
        return first_id <= local_id + 1 ? DEPTH_NEXT : DEPTH_GAP;
    }
    if (is_anchored) {
        if (final_id <= local_id)
            return DEPTH_OLD;
        /* Equal on one session. Lower only if redundant sessions cut the same updates at different points: an overlap. */
        return previous_id >= 0 && previous_id <= local_id ? DEPTH_NEXT : DEPTH_GAP;
    }
    if (final_id < local_id)
        return DEPTH_OLD;
    return first_id <= local_id || previous_id == local_id ? DEPTH_NEXT : DEPTH_GAP;
}

void intake_arm(intake_t *intake, uint16_t slot, book_t *book, int rule)
{
    assert(slot < intake->symbols.count && "a slot stands in the table");
    state_t *state = &intake->states[slot];
    state->book = book;
    state->rule = (uint32_t)rule;
    state->is_armed = 1;
}

void intake_disarm(intake_t *intake, uint16_t slot)
{
    assert(slot < intake->symbols.count && "a slot stands in the table");
    intake->states[slot].is_armed = 0;
}

/* A delta for an armed book: applied, or handed to the owner. */
static uint32_t take_delta(intake_t *intake, state_t *state, int64_t receive_ns)
{
    const frame_t *frame = &intake->frame;
    book_t *book = state->book;
    if (!state->is_armed)
        return INTAKE_DEPTH;
    if (depth_relation((int)state->rule, book->update_id, 1, frame->first_id, frame->final_id, frame->previous_id) != DEPTH_NEXT) {
        state->is_armed = 0;
        return INTAKE_DEPTH;
    }
    uint32_t changes = book_apply_levels(book, intake->bids, frame->bid_count, intake->asks, frame->ask_count, frame->final_id);
    intake->symbols.slots[frame->slot].depth_id = frame->final_id;
    if (changes & BOOK_CROSSED) {
        state->is_armed = 0;
        return INTAKE_APPLIED | INTAKE_CROSSED;
    }
    return INTAKE_APPLIED | intake_take_book(intake, frame->slot, book, receive_ns, exchange_ns_of(intake, frame, receive_ns));
}

static uint32_t take_ticker(intake_t *intake, session_t *session, state_t *state, int64_t receive_ns)
{
    const frame_t *frame = &intake->frame;
    book_top_t *top = &state->top;
    if (frame->final_id <= state->ticker_id)
        return duplicate(session, state);
    state->ticker_id = frame->final_id;
    if ((uint64_t)frame->final_id < top->update_id)
        return INTAKE_QUIET;  /* The depth stream was faster. */
    top->update_id = (uint64_t)frame->final_id;
    top->receive_ns = receive_ns;
    top->exchange_ns = exchange_ns_of(intake, frame, receive_ns);
    uint32_t bits = change_top(top, &frame->bid, &frame->ask);
    return bits ? bits : INTAKE_QUIET;
}

static uint32_t take_trade(intake_t *intake, session_t *session, state_t *state, int64_t receive_ns)
{
    const frame_t *frame = &intake->frame;
    int64_t *last = frame->kind == FRAME_TRADE ? &state->trade_id : &state->aggregate_id;
    if (frame->trade_id <= *last)
        return duplicate(session, state);
    *last = frame->trade_id;
    if (frame->flags & FRAME_OFF_BOOK)
        return INTAKE_QUIET;
    state->trades++;
    state->trade_receive_ns = receive_ns;
    state->top.last_trade_ticks = frame->trade.price_ticks;
    state->top.last_trade_lots =
        frame->flags & FRAME_BUYER_IS_MAKER ? -frame->trade.quantity_lots : frame->trade.quantity_lots;
    return INTAKE_TRADE;
}

static uint32_t take_mark(intake_t *intake, session_t *session, state_t *state)
{
    const frame_t *frame = &intake->frame;
    if (frame->event_ms <= state->mark_ms)
        return duplicate(session, state);
    state->mark_ms = frame->event_ms;
    state->top.mark_price = frame->mark_price;
    state->top.index_price = frame->index_price;
    state->top.funding_rate = frame->funding_rate;
    state->top.next_funding_ms = frame->next_funding_ms;
    return INTAKE_MARK;
}

uint32_t intake_take(intake_t *intake, session_t *session, const char *payload, uint64_t size, int64_t receive_ns)
{
    frame_t *frame = &intake->frame;
    session->frames++;
    session->bytes += size;
    session->last_receive_ns = receive_ns;
    int kind = frame_decode(payload, size, &intake->symbols, -1, frame, intake->bids, intake->asks, intake->level_capacity);
    if (kind == FRAME_SERVER_SHUTDOWN || kind == FRAME_ANSWER)
        return INTAKE_CONTROL | (uint32_t)NO_SLOT << 16;
    if (kind == FRAME_MALFORMED || kind == FRAME_UNKNOWN || frame->error || frame->slot == NO_SLOT) {
        session->refused++;
        return INTAKE_REFUSED | (uint32_t)frame->slot << 16;
    }
    assert(frame->slot < intake->symbols.count && "a decoded slot stands in the table");
    state_t *state = &intake->states[frame->slot];
    session->seen[frame->slot] |= (uint16_t)(1u << kind);
    uint32_t bits;
    switch (kind) {
    case FRAME_BOOK_TICKER:
        bits = take_ticker(intake, session, state, receive_ns);
        break;
    case FRAME_DEPTH_UPDATE:
        state->off_grid += frame->off_grid_count;
        if (frame->flags & FRAME_SEEN) {
            bits = duplicate(session, state);
        } else {
            state->depth_updates++;
            bits = take_delta(intake, state, receive_ns);
        }
        break;
    case FRAME_TRADE:
    case FRAME_AGGREGATE_TRADE:
        bits = take_trade(intake, session, state, receive_ns);
        break;
    case FRAME_MARK_PRICE:
        bits = take_mark(intake, session, state);
        break;
    default:
        bits = INTAKE_QUIET;
    }
    if (!(bits & INTAKE_DUPLICATE)) {
        if (intake->symbols.slots[frame->slot].instrument_index == 0xffff) {
            bits = bits & INTAKE_DEPTH ? INTAKE_DEPTH : INTAKE_QUIET;
        } else {
            intake_mark(intake, frame->slot);
            if (state->is_sleeping && (kind == FRAME_BOOK_TICKER || bits & INTAKE_APPLIED))
                bits |= INTAKE_WAKE;
        }
    }
    return bits | (uint32_t)frame->slot << 16;
}

#define PAYLOAD_SIZE_MAX (32u << 20)  /* The largest message a venue sends over a socket is a few MB. */

/* The head of the frame at `at`. Returns its size, 0 if it is not all there yet, UINT32_MAX if it is none. */
static inline uint32_t read_head(const unsigned char *at, uint64_t left, stream_t *stream)
{
    if (left < 2)
        return 0;
    uint32_t head = at[1] < 126 ? 2 : at[1] == 126 ? 4 : 10;
    if ((at[0] & 0x70) || (at[1] & 0x80))
        return UINT32_MAX;  /* An extension that nobody agreed to, or a mask. */
    if (left < head)
        return 0;
    stream->opcode = at[0];
    stream->size = at[1];
    if (head > 2) {
        stream->size = 0;
        for (uint32_t index = 2; index < head; index++)
            stream->size = stream->size << 8 | at[index];
    }
    return stream->size > PAYLOAD_SIZE_MAX ? UINT32_MAX : head;
}

static inline int64_t stream_result(const intake_t *intake, uint64_t at, int stop)
{
    assert(at < 1ull << STREAM_MOVED_SHIFT && "an offset leaves room for the bits");
    return (int64_t)(at | (uint64_t)(intake->moved_count > 0) << STREAM_MOVED_SHIFT | (uint64_t)stop << STREAM_STOP_SHIFT);
}

int64_t intake_take_stream(stream_t *stream, uint64_t at, uint64_t size, int64_t receive_ns)
{
    intake_t *intake = stream->intake;
    const char *bytes = stream->bytes;
    assert(at <= size && "a place lies inside its bytes");
    for (;;) {
        uint32_t head = read_head((const unsigned char *)bytes + at, size - at, stream);
        stream->needed = head ? head + stream->size : 0;
        if (head == UINT32_MAX)
            return stream_result(intake, at, STREAM_BROKEN);
        if (head == 0 || size - at < stream->needed)
            return stream_result(intake, at, STREAM_TAKEN);
        stream->payload = at + head;
        at += stream->needed;
        if (stream->opcode != 0x81 && stream->opcode != 0x82)  /* A whole text or binary message. */
            return stream_result(intake, at, STREAM_CONTROL);
        uint32_t bits = stream->bits = intake_take(intake, stream->session, bytes + stream->payload, stream->size, receive_ns);
        uint32_t wanted = bits & stream->attention & 0xffff, moved = wanted & (INTAKE_TOP | INTAKE_TOP_PRICE);
        if (wanted != moved)
            return stream_result(intake, at, STREAM_FRAME);
        if (moved) {
            uint16_t slot = (uint16_t)(bits >> 16);
            state_t *state = &intake->states[slot];
            if (state->hears_every)
                return stream_result(intake, at, STREAM_FRAME);
            if (!state->moved) {
                assert(intake->moved_count < intake->symbols.capacity && "each symbol stands in the list once");
                intake->moved[intake->moved_count++] = slot;
            }
            state->moved |= bits & (INTAKE_TOP | INTAKE_TOP_PRICE);
        }
    }
}

uint32_t intake_next_moved(intake_t *intake)
{
    if (!intake->moved_count)
        return 0;
    const uint16_t slot = intake->moved[0];
    const uint32_t moved = intake->states[slot].moved;
    intake->states[slot].moved = 0;
    intake->moved_count--;
    for (uint32_t index = 0; index < intake->moved_count; index++)
        intake->moved[index] = intake->moved[index + 1];
    return (uint32_t)slot << 16 | moved | (intake->moved_count ? INTAKE_MORE : 0);
}

uint32_t intake_take_book(intake_t *intake, uint16_t slot, const book_t *book, int64_t receive_ns, int64_t exchange_ns)
{
    assert(slot < intake->symbols.count && "a slot stands in the table");
    book_top_t *top = &intake->states[slot].top;
    if ((uint64_t)book->update_id < top->update_id)
        return 0;
    level_t bid, ask;
    book_best(book, &bid, &ask);
    top->update_id = (uint64_t)book->update_id;
    top->receive_ns = receive_ns;
    top->exchange_ns = exchange_ns;
    return change_top(top, &bid, &ask);
}

void intake_forget(intake_t *intake, uint16_t slot)
{
    assert(slot < intake->symbols.count && "a slot stands in the table");
    state_t *state = &intake->states[slot];
    state->ticker_id = state->trade_id = state->aggregate_id = state->mark_ms = 0;
    state->top.update_id = 0;
    intake->symbols.slots[slot].depth_id = 0;
}
