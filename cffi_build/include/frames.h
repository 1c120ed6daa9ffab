/* frames.h — bytes of one market-data frame → one frame_t, for both Binance markets (and COIN-M), without Python objects.
 *
 *     {"stream":"btcusdt@depth","data":{"e":"depthUpdate", … "b":[["61800.20","2.507"]], "a":[ … ]}}      combined
 *                                      {"e":"depthUpdate", … }                                            raw
 *
 * The order of the fields does not matter and unknown fields are skipped. Prices become ticks and quantities lots of the
 * symbol, exactly. Nothing here trusts its input: whatever the bytes are, the answer is a kind or an error value.
 */
#ifndef CRYPTO_TRADE_FRAMES_H
#define CRYPTO_TRADE_FRAMES_H

#include <stdint.h>

#include "levels.h"
#include "messages.h"

/* cffi: begin */
#define SYMBOL_SIZE 24
#define NO_SLOT 0xffff

typedef enum frame_kind {
    FRAME_MALFORMED = 0,           /* not the JSON or not the fields it should be: see error */
    FRAME_UNKNOWN = 1,             /* well-formed, a kind we do not read */
    FRAME_BOOK_TICKER = 2,
    FRAME_DEPTH_UPDATE = 3,
    FRAME_TRADE = 4,
    FRAME_AGGREGATE_TRADE = 5,
    FRAME_MARK_PRICE = 6,
    FRAME_SNAPSHOT = 7,            /* a REST depth body, or a partial-depth stream */
    FRAME_SERVER_SHUTDOWN = 8,
    FRAME_ANSWER = 9,              /* to SUBSCRIBE, UNSUBSCRIBE, …: answer_id, or an error code */
    FRAME_KINDS = 10
} frame_kind_e;

typedef enum frame_error {
    FRAME_OK = 0,
    FRAME_NOT_JSON = 1,
    FRAME_FIELD_MISSING = 2,
    FRAME_BAD_NUMBER = 3,
    FRAME_OFF_GRID = 4,            /* a price that is no multiple of the tick */
    FRAME_TOO_MANY_LEVELS = 5,
    FRAME_FOREIGN_SYMBOL = 6       /* the kind is known, the symbol is not in the table */
} frame_error_e;

/* frame_t.flags */
#define FRAME_BUYER_IS_MAKER 1
#define FRAME_OFF_BOOK 2           /* a trade that no book gave: insurance fund, auto-deleveraging, a consumed id */
#define FRAME_COMBINED 4
#define FRAME_SEEN 8               /* a delta with final_id ≤ symbol_t.depth_id: its levels were not parsed */

/* One frame. Fields that the kind does not have are 0. */
typedef struct frame {
    uint16_t kind;                 /* frame_kind_e */
    uint16_t error;                /* frame_error_e */
    uint16_t slot;                 /* place of the symbol in the table; NO_SLOT */
    uint16_t flags;
    int64_t  event_ms;             /* E */
    int64_t  transaction_ms;       /* T: of the matching engine */
    int64_t  first_id;             /* U */
    int64_t  final_id;             /* u; lastUpdateId of a snapshot */
    int64_t  previous_id;          /* pu; -1: the venue sends none */
    int64_t  trade_id;
    level_t  bid;                  /* bookTicker */
    level_t  ask;
    level_t  trade;                /* price and quantity of a trade */
    uint32_t bid_count;            /* depth, snapshot: levels in the arrays */
    uint32_t ask_count;
    uint32_t off_grid_count;       /* prices between two ticks (level left out), quantities between two lots (cut): orders of a past grid */
    int32_t  code;                 /* ANSWER: the venue's error code, 0: none */
    double   mark_price;
    double   index_price;
    double   funding_rate;
    int64_t  next_funding_ms;
    int64_t  answer_id;            /* ANSWER: -1 if it is no number */
    uint32_t text_offset;          /* ANSWER: the venue's words; otherwise the name of the stream (combined) */
    uint32_t text_size;
} frame_t;

/* A tick or a lot, prepared so that "how many of them are in so many 10^-8?" needs no division: step = odd << shift. */
typedef struct grid {
    uint64_t inverse;              /* of odd, modulo 2^64: times it, a multiple of odd becomes the quotient */
    uint64_t quotient_max;         /* … and anything else becomes more than this */
    uint32_t shift;
    uint32_t is_usable;            /* 0: the step is no whole number of 10^-8 */
} grid_t;

/* What must be known of a symbol to read its frames. */
typedef struct symbol {
    char     name[24];             /* SYMBOL_SIZE: the venue's string, upper case */
    uint32_t size;
    uint16_t instrument_index;     /* 0xffff: not in the instrument table; ids are read, prices are not */
    uint8_t  price_decimals;
    uint8_t  quantity_decimals;
    int64_t  tick_size;            /* in 10^-price_decimals, powers of ten taken out */
    int64_t  lot_size;
    int64_t  depth_id;             /* deltas up to this id have been seen; the owner of the book moves it */
    grid_t   price_grid;
    grid_t   quantity_grid;
} symbol_t;

/* Symbols of one venue by name: open addressing over `bucket_count` (a power of two) buckets. */
typedef struct symbols {
    symbol_t *slots;
    uint16_t *buckets;
    uint32_t count;
    uint32_t capacity;
    uint32_t bucket_count;
    uint32_t reserved;
} symbols_t;

/* Makes an empty table over arrays that must outlive it; bucket_count is a power of two above capacity. */
void symbols_init(symbols_t *symbols, symbol_t *slots, uint32_t capacity, uint16_t *buckets, uint32_t bucket_count);

/* Adds a symbol. Returns its slot (the old one if it is there already), or -1 if the table is full or the name too long. */
int32_t symbols_add(symbols_t *symbols, const char *name, uint32_t size, uint16_t instrument_index, uint8_t price_decimals,
                    int64_t tick_size, uint8_t quantity_decimals, int64_t lot_size);

/* Returns the slot of a name, or -1. */
int32_t symbols_find(const symbols_t *symbols, const char *name, uint32_t size);

/* Decodes one frame. `slot_hint` names the symbol where the payload does not (REST depth): -1 for none. Levels of depth and
 * snapshots go to `bids` and `asks`, `capacity` each. Returns frame->kind; every field of *frame is written. */
int frame_decode(const char *payload, uint64_t size, const symbols_t *symbols, int32_t slot_hint, frame_t *frame, level_t *bids,
                 level_t *asks, uint32_t capacity);
/* cffi: end */

#endif
