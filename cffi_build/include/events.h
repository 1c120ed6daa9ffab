/* events.h — text of captures and CSV files → market events as hftbacktest's arrays hold them, and their order.
 *
 * Everything works on caller's memory: a buffer of whole or broken lines in, rows out, a cursor that says how far it came.
 */
#ifndef CRYPTO_TRADE_EVENTS_H
#define CRYPTO_TRADE_EVENTS_H

#include <stdint.h>

/* cffi: begin */
/* One row of hftbacktest's event array: 64 bytes, numpy dtype <u8 <i8 <i8 <f8 <f8 <u8 <i8 <f8. */
typedef struct event_row {
    uint64_t ev;                   /* kind | flags */
    int64_t  exch_ts;              /* ns */
    int64_t  local_ts;             /* ns */
    double   px;
    double   qty;
    uint64_t order_id;
    int64_t  ival;
    double   fval;
} event_row_t;

#define EVENT_DEPTH 1
#define EVENT_TRADE 2
#define EVENT_DEPTH_CLEAR 3
#define EVENT_DEPTH_SNAPSHOT 4
#define EVENT_DEPTH_BBO 5
#define EVENT_INDEX_PRICE 100
#define EVENT_MARK_PRICE 101
#define EVENT_FUNDING_RATE 102
#define EVENT_BEST_BID 103
#define EVENT_BEST_ASK 104
#define EVENT_EXCH 0x80000000
#define EVENT_LOCAL 0x40000000
#define EVENT_BUY 0x20000000
#define EVENT_SELL 0x10000000

/* Why a scan stopped. */
typedef enum scan_stop {
    SCAN_NEED_BYTES = 0,           /* the rest of the buffer is not a whole line */
    SCAN_NEED_ROOM = 1,            /* the next line may not fit into the rows left */
    SCAN_BAD_LINE = 2              /* the line at `consumed` is damaged: see `problem`; the caller skips or stops */
} scan_stop_e;

typedef enum scan_problem {
    SCAN_PROBLEM_NONE = 0, SCAN_PROBLEM_NO_TIMESTAMP = 1, SCAN_PROBLEM_NOT_JSON = 2, SCAN_PROBLEM_NOT_A_NUMBER = 3,
    SCAN_PROBLEM_MISSING_FIELD = 4, SCAN_PROBLEM_COLUMNS = 5, SCAN_PROBLEM_MIXED_SYMBOLS = 6, SCAN_PROBLEM_LEVELS = 7
} scan_problem_e;

/* Whether receive times go back from line to line. Lines that waited for a snapshot stand behind it with their own, earlier
 * times, or with the snapshot's: neither is disorder. */
typedef struct line_order {
    int64_t  newest_ns;            /* of all lines that are no snapshots */
    int64_t  snapshot_ns;          /* of the last snapshot; 0: none */
    uint64_t lines_back;           /* lines before whose time a line above them was received; the caller may set it to 0 */
    uint64_t first_back;           /* the number of the first of them */
} line_order_t;

/* Where a scan of capture lines stands, whatever the venue. Zeroed by the caller. */
typedef struct line_scan {
    uint64_t consumed;             /* bytes of whole lines taken */
    uint64_t rows;                 /* rows written */
    uint64_t line;                 /* lines taken so far, over all buffers */
    int32_t  stop;                 /* scan_stop_e */
    int32_t  problem;              /* scan_problem_e */
    char     symbol[32];           /* of the first message that had one */
    line_order_t order;
} line_scan_t;

#define RECENT_MESSAGES 256        /* A snapshot answer takes well under a second; Spot sends ten depth messages in one. */

/* Where the rows of a depth message stand, for a snapshot that is older than they are. */
typedef struct recent_depth {
    uint64_t update_id;
    uint64_t first_row;
    uint64_t rows;
} recent_depth_t;

/* What a scan of Binance capture lines knows and remembers from one buffer to the next. Zeroed by the caller. */
typedef struct capture_scan {
    line_scan_t at;
    /* wishes */
    int32_t  with_book_ticker;
    int32_t  with_mark_price;
    int32_t  without_snapshots;
    /* memory */
    int32_t  market;               /* 1: depth without pu (spot), 2: with pu (futures), 0: no depth yet */
    int64_t  last_exch_ts;         /* of the last message that had a time: spot tickers and snapshots have none */
    uint64_t waiting_rows;         /* rows at the end without a time yet (only before the first timed message) */
    /* statistics */
    uint64_t depth_messages;
    uint64_t trade_messages;
    uint64_t ticker_messages;
    uint64_t snapshot_messages;
    uint64_t mark_messages;
    uint64_t off_book_trades;      /* X is not MARKET: insurance fund, auto-deleveraging */
    uint64_t ignored_messages;     /* of a kind nobody asked for */
    uint64_t error_messages;       /* {"code":…,"msg":…} */
    uint64_t rows_before;          /* rows written by earlier calls: rows[] of a call stands right behind them */
    recent_depth_t recent[256];    /* RECENT_MESSAGES, the newest at (recent_count − 1) % RECENT_MESSAGES */
    uint64_t recent_count;
    uint64_t repeated_rows;        /* depth rows told again after a snapshot that was older than they are */
    uint64_t last_update_id;       /* book continuity: u of the last depth message */
    uint64_t gaps;                 /* depth messages whose pu (futures) or U (spot) does not follow */
} capture_scan_t;

/* Reads lines `<ns> <json>\n` of Binance spot, USD-M and COIN-M captures. Always sets at.consumed, rows, stop and problem.
 * Rows go to rows[0 .. room); the rows of earlier calls must stand right before them. Before the last buffer the caller adds a missing final newline. */
void events_scan_capture(capture_scan_t *scan, const char *bytes, uint64_t size, event_row_t *rows, uint64_t room);

typedef enum csv_kind { CSV_TRADES = 1, CSV_DEPTH = 2, CSV_BOOK_TICKER = 3 } csv_kind_e;
typedef enum snapshot_mode { SNAPSHOT_PROCESS = 0, SNAPSHOT_IGNORE = 1, SNAPSHOT_IGNORE_SOD = 2 } snapshot_mode_e;

/* What a scan of Tardis CSV lines knows and remembers. Zeroed by the caller. */
typedef struct csv_scan {
    int32_t  kind;                 /* csv_kind_e */
    int32_t  snapshot_mode;        /* snapshot_mode_e */
    uint64_t consumed;
    uint64_t rows;
    uint64_t line;
    int32_t  stop;
    int32_t  problem;
    int32_t  in_snapshot;
    int32_t  seen_update;          /* an ordinary row came: the start-of-day snapshot is over */
    uint64_t snapshot_rows;        /* snapshot rows seen */
    uint64_t update_rows;
    uint64_t skipped_rows;
    char     symbol[64];           /* exchange,symbol of the first row */
    uint64_t symbol_length;
    uint64_t bid_room;             /* rows that fit into the snapshot buffers below */
    uint64_t ask_room;
    uint64_t bid_rows;             /* snapshot rows collected and not yet written */
    uint64_t ask_rows;
    int64_t  bid_limit;            /* >= 0: like hftbacktest, no snapshot may be larger than the one before it; −1: no limit */
    int64_t  ask_limit;
    uint64_t truncated_rows;       /* rows that such a cut lost */
} csv_scan_t;

/* Reads Tardis CSV lines (without the header). Depth snapshots are collected in bids/asks and written, one CLEAR row and the
 * levels per side, when an ordinary row follows or by events_finish_csv. CSV_BOOK_TICKER writes two rows per line:
 * EVENT_DEPTH_BBO of the ask, then of the bid. */
void events_scan_csv(csv_scan_t *scan, const char *bytes, uint64_t size, event_row_t *rows, uint64_t room,
                     event_row_t *bids, event_row_t *asks);

/* Writes what a snapshot at the end of the file has collected. Returns the rows written (needs bid_rows + ask_rows + 2). */
uint64_t events_finish_csv(csv_scan_t *scan, event_row_t *rows, const event_row_t *bids, const event_row_t *asks);

/* The smallest local_ts − exch_ts; INT64_MAX for no rows. */
int64_t events_latency_min(const event_row_t *rows, uint64_t count);

/* Adds `shift_ns` to every local_ts. */
void events_shift_local(event_row_t *rows, uint64_t count, int64_t shift_ns);

/* 1 if `exch_ts` (field 0) or `local_ts` (field 1) never goes back. */
int32_t events_is_ordered(const event_row_t *rows, uint64_t count, int32_t field);

/* Writes into order[0 .. count) the stable order of the rows by a time field; keys and scratch have room for `count` each. */
void events_sort(const event_row_t *rows, uint64_t count, int32_t field, uint32_t *order, uint32_t *scratch);

/* Merges the two orders into `out` (room for `out_room` rows) with EXCH and LOCAL flags; a NULL order is the rows' own.
 * cursor[0], cursor[1] are the positions in both orders and are advanced, so that it can be called again with more room.
 * Returns the rows written; less than out_room: done. */
uint64_t events_merge(const event_row_t *rows, uint64_t count, const uint32_t *by_exch, const uint32_t *by_local,
                      uint64_t *cursor, event_row_t *out, uint64_t out_room);

#define RELEASE_ROWS 65536         /* Memory of rows that both views have passed is given back in blocks of so many: 4 MB. */

/* Counts down, per block of RELEASE_ROWS rows, what a view (NULL: the rows' own order) took on its places [from, to). */
void events_count_taken(const uint32_t *order, uint64_t from, uint64_t to, uint32_t *left);

/* 0 if the flagged rows are in order; else 1 + the index of the first row that goes back (field 0: EXCH rows, 1: LOCAL). */
uint64_t events_first_disorder(const event_row_t *rows, uint64_t count, int32_t field);

/* The double nearest to the decimal number at text[0 .. size), the same bits as Python's float(). *used is how many bytes
 * it took; 0: not a number. */
double events_parse_double(const char *text, uint64_t size, uint64_t *used);
/* cffi: end */

_Static_assert(sizeof(event_row_t) == 64, "hftbacktest's record is one cache line");

#endif
