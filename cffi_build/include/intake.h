/* intake.h — what several sessions of one venue bring, made into one stream: each thing once, newest state per symbol.
 *
 *     session 0 ──┐
 *                 ├──▶ intake_take() ──▶ bits: what is new, for which symbol
 *     session 1 ──┘         └─ state_t per symbol: book top, last ids, last trade, mark price
 *
 * One call per frame, or one for everything that a read of the socket brought (intake_take_stream): then it stops only at what
 * the owner must decide on, and notes which tops moved. Book tickers, trades and mark prices are finished here; a depth update
 * that is not a duplicate is decoded into the arrays and handed to the synchronisation (reactor/market/sync.py), which decides.
 */
#ifndef CRYPTO_TRADE_INTAKE_H
#define CRYPTO_TRADE_INTAKE_H

#include <stdint.h>

#include "book.h"
#include "frames.h"
#include "messages.h"

/* cffi: begin */
/* Result of intake_take: bits below, slot of the symbol << 16 (NO_SLOT: none). */
#define INTAKE_TOP_PRICE 1         /* best bid or ask moved */
#define INTAKE_TOP 2               /* anything of the book top moved */
#define INTAKE_TRADE 4
#define INTAKE_MARK 8
#define INTAKE_DEPTH 16            /* frame, bids, asks hold a delta: ask the synchronisation */
#define INTAKE_DUPLICATE 32        /* the other session was first */
#define INTAKE_REFUSED 64          /* malformed, unknown or of a foreign symbol: frame.kind and frame.error say which */
#define INTAKE_CONTROL 128         /* an answer or a shutdown notice: frame.kind says which */
#define INTAKE_QUIET 256           /* new, and nothing to do: older than the book, off-book, without a scale */
#define INTAKE_APPLIED 512         /* a delta continued the armed book and is in it */
#define INTAKE_CROSSED 1024        /* … and the book contradicts itself since; it is disarmed */
#define INTAKE_WAKE 2048           /* data of a symbol came that was marked as sleeping */

/* How a delta stands to a book that is true up to local_id. */
typedef enum depth_relation { DEPTH_OLD = 0, DEPTH_NEXT = 1, DEPTH_GAP = 2 } depth_relation_e;

/* How a venue numbers its deltas. */
typedef enum depth_rule {
    DEPTH_CONTIGUOUS = 0,          /* spot: U == previous u + 1 */
    DEPTH_CHAINED = 1              /* futures: pu == previous u */
} depth_rule_e;

#define INTAKE_MORE 32768          /* of intake_next_moved */
#define STREAM_KINDS_MAX 16

/* One connection's share. */
typedef struct session {
    uint64_t frames;
    uint64_t bytes;
    uint64_t duplicates;
    uint64_t refused;
    int64_t  last_receive_ns;
    uint16_t seen[1024];           /* INSTRUMENTS_MAX: by slot, bit 1 << frame_kind_e of what came in */
} session_t;

/* The newest state of one symbol. */
typedef struct state {
    book_top_t top;
    int64_t  ticker_id;            /* last bookTicker u */
    int64_t  trade_id;
    int64_t  aggregate_id;
    int64_t  mark_ms;
    int64_t  trade_receive_ns;
    uint64_t trades;
    uint64_t depth_updates;
    uint64_t off_grid;
    book_t  *book;                 /* armed: deltas that continue it are applied here, without asking */
    uint32_t rule;                 /* depth_rule_e */
    uint32_t is_armed;
    uint32_t is_dirty;             /* the top changed since it was shown */
    uint32_t is_listed;            /* the slot stands in intake_t.dirty */
    uint32_t is_sleeping;          /* the owner wants to hear of the next data: INTAKE_WAKE */
    uint32_t moved;                /* INTAKE_TOP bits since intake_next_moved; not 0: the slot stands in intake_t.moved */
    uint32_t hears_every;          /* somebody wants each move of the top by itself: a stream stops at every one */
    uint32_t reserved;
} state_t;

typedef struct intake {
    symbols_t symbols;
    state_t  *states;
    level_t  *bids;
    level_t  *asks;
    uint16_t *dirty;               /* slots whose top changed since the list was taken, each once */
    uint16_t *moved;               /* slots whose top moved inside of streams, each once; as many places as symbols */
    uint32_t level_capacity;
    uint32_t dirty_count;
    uint32_t moved_count;
    uint32_t reserved;
    int64_t  exchange_minus_monotonic_ns;  /* the venue's wall clock − our CLOCK_MONOTONIC: dates frames that carry no time */
    frame_t  frame;
} intake_t;

/* Why intake_take_stream came back. */
typedef enum stream_stop {
    STREAM_TAKEN = 0,              /* everything whole is taken; what is left is the beginning of a frame */
    STREAM_FRAME = 1,              /* a frame has bits that the owner attends to */
    STREAM_CONTROL = 2,            /* ping, pong, close, or a piece of a fragmented message: see opcode */
    STREAM_BROKEN = 3              /* no WebSocket frame of a server: close */
} stream_stop_e;

/* One connection's bytes on their way in. */
typedef struct stream {
    intake_t *intake;
    session_t *session;
    const char *bytes;             /* of the read buffer */
    uint32_t attention;            /* INTAKE_ bits that the owner wants to hear of */
    uint32_t bits;                 /* STREAM_FRAME: what intake_take said */
    uint32_t opcode;               /* STREAM_CONTROL: the first byte of the frame */
    uint32_t reserved;
    uint64_t payload;              /* of the frame that it stopped at: offset … */
    uint64_t size;                 /* … and size */
    uint64_t needed;               /* STREAM_TAKEN: bytes of the frame that has begun, head and all, 0: not known yet */
} stream_t;

/* What stands in front of a frame, or of a part of one, in the body of a market-data topic message. */
typedef struct topic_frame {
    int64_t  receive_ns;           /* CLOCK_MONOTONIC: the frame left the socket */
    int64_t  receive_wall_ns;      /* CLOCK_REALTIME of the same moment */
    uint32_t size;                 /* of the whole frame */
    uint16_t part;                 /* 0 … part_count − 1: a long frame comes in several messages, one after another */
    uint16_t part_count;
    uint16_t frame_kind;           /* frame_kind_e */
    uint16_t venue;                /* venue_e */
    uint16_t instrument_index;     /* 0xffff: not in the instrument table */
    uint16_t session;              /* which of the redundant connections was first */
} topic_frame_t;

/* The rule of both kinds of venue, once: returns a depth_relation_e. `is_anchored` is 0 for the first delta after a snapshot.
 * The venues' words stand in reactor/market/sync.py. */
int depth_relation(int rule, int64_t local_id, int is_anchored, int64_t first_id, int64_t final_id, int64_t previous_id);

/* From now on deltas that continue the book of a symbol are applied by intake_take itself (INTAKE_APPLIED). The first that
 * does not disarms it and is handed to the owner as INTAKE_DEPTH. */
void intake_arm(intake_t *intake, uint16_t slot, book_t *book, int rule);

/* Every delta is handed to the owner again. */
void intake_disarm(intake_t *intake, uint16_t slot);

/* Puts a symbol on the list of tops that changed. */
void intake_mark(intake_t *intake, uint16_t slot);

/* Takes one frame of one session. Returns INTAKE_ bits | slot << 16. Counts into the session and the state. */
uint32_t intake_take(intake_t *intake, session_t *session, const char *payload, uint64_t size, int64_t receive_ns);

/* Bits of what intake_take_stream returns, above the offset. */
#define STREAM_MOVED_SHIFT 40      /* 1: intake_next_moved has something */
#define STREAM_STOP_SHIFT 41       /* stream_stop_e */

/* Takes the WebSocket frames (RFC 6455, a server's: not masked) of bytes[at … size), one after another, up to the first with
 * bits of `attention` other than INTAKE_TOP and INTAKE_TOP_PRICE: those are noted per symbol for intake_next_moved, unless
 * somebody hears every one of that symbol. Returns the offset behind the last frame taken (less than 2^40) with the bits above:
 * `size` itself if everything is taken and nothing moved.
 * *stream tells the rest. Call it again from there, unless it was STREAM_TAKEN or STREAM_BROKEN. */
int64_t intake_take_stream(stream_t *stream, uint64_t at, uint64_t size, int64_t receive_ns);

/* Hands out the top that moved first, and forgets it: slot << 16 | INTAKE_TOP bits | INTAKE_MORE if others did. 0: none did. */
uint32_t intake_next_moved(intake_t *intake);

/* Takes the best levels of a book into the top of its symbol, unless the top is newer. Returns INTAKE_ bits. */
uint32_t intake_take_book(intake_t *intake, uint16_t slot, const book_t *book, int64_t receive_ns, int64_t exchange_ns);

/* Forgets the ids seen of one symbol: the venue may begin anew, lower. */
void intake_forget(intake_t *intake, uint16_t slot);
/* cffi: end */

#endif
