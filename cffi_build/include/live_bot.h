/* live_bot.h — what a compiled hftbacktest strategy calls while it trades: books, own orders, waiting, heartbeat. No interpreter.
 *
 *     market rings ──┐                        ┌──▶ book, depth arrays, last trades        per asset
 *     response ring ─┼──▶ one pump, in waits ─┼──▶ own orders, balance
 *     position rows ─┘                        └──▶ position
 *     submit, cancel, modify ──▶ signal ring (lane URGENT) ──▶ collector ──▶ prepost ──▶ engine
 *
 * Between two waits nothing moves: the strategy sees one moment. The thread of the strategy holds the lock, but for the time it
 * sleeps in a wait; whoever else touches the bot (links that meet, the end) does so under the lock.
 *
 * All memory is the caller's. Results are those of hftbacktest: 0 done or time over, 1 the end (stop), 2 a feed, 3 an order
 * response, from 10 on a refusal (live_result_e).
 */
#ifndef CRYPTO_TRADE_LIVE_BOT_H
#define CRYPTO_TRADE_LIVE_BOT_H

#include <stdint.h>

#include "book.h"
#include "events.h"
#include "messages.h"

/* cffi: begin */
typedef enum live_result {
    LIVE_OK = 0,
    LIVE_END = 1,                  /* stop was asked for: leave the loop */
    LIVE_FEED = 2,
    LIVE_RESPONSE = 3,
    LIVE_ORDER_EXISTS = 10,        /* an order with this id is in the table: clear_inactive_orders() first */
    LIVE_IN_PROCESS = 11,          /* a request about this order is on its way */
    LIVE_NO_ORDER = 12,
    LIVE_BAD_REQUEST = 13,         /* price or quantity is no number above 0, an unknown type or time in force */
    LIVE_BAD_STATUS = 14,          /* the order is not open any more */
    LIVE_NO_ASSET = 16,
    LIVE_OFF_TICK = 20,            /* the price is no multiple of the tick size (by more than LIVE_GRID_ERROR) */
    LIVE_OFF_LOT = 21,             /* the quantity is no multiple of the lot size */
    LIVE_NO_ROOM = 22,             /* the signal ring or the table of orders is full: try again later */
    LIVE_PAUSE = 23                /* our desk takes no order of anybody at the moment (kill switch, books not compared, …) */
} live_result_e;

/* hftbacktest's words: status and req of an order, time in force, order type. */
typedef enum live_status {
    LIVE_NONE = 0, LIVE_NEW = 1, LIVE_EXPIRED = 2, LIVE_FILLED = 3, LIVE_CANCELED = 4, LIVE_PARTIALLY_FILLED = 5,
    LIVE_REJECTED = 6, LIVE_REPLACED = 7
} live_status_e;
typedef enum live_time_in_force { LIVE_GTC = 0, LIVE_GTX = 1, LIVE_FOK = 2, LIVE_IOC = 3 } live_time_in_force_e;
typedef enum live_order_type { LIVE_LIMIT = 0, LIVE_MARKET = 1 } live_order_type_e;

/* Places in role_metrics_t.counters. */
typedef enum live_counter {
    LIVE_COUNTER_MARKET_MESSAGES = 0,
    LIVE_COUNTER_TRADES = 1,       /* the market's */
    LIVE_COUNTER_BOOKS_LOST = 2,   /* a book could not be believed for a while: its depth was empty */
    LIVE_COUNTER_WAITS = 3,        /* elapse and the other waits, begun */
    LIVE_COUNTER_ORDERS = 4,       /* submitted, replacements included */
    LIVE_COUNTER_CANCELS = 5,      /* asked for, those of replacements included */
    LIVE_COUNTER_REPLACES = 6,     /* modify() */
    LIVE_COUNTER_RESPONSES = 7,
    LIVE_COUNTER_ACKNOWLEDGED = 8,
    LIVE_COUNTER_FILLS = 9,
    LIVE_COUNTER_CLOSED = 10,      /* cancelled, expired */
    LIVE_COUNTER_REFUSED = 11,     /* by our risk rules */
    LIVE_COUNTER_REJECTED = 12,    /* by the venue */
    LIVE_COUNTER_OFF_GRID = 13,    /* never sent: price or quantity between two ticks or lots */
    LIVE_COUNTER_NO_ROOM = 14,
    LIVE_COUNTER_OPEN_ORDERS = 15, /* gauge */
    LIVE_COUNTER_STRANGERS = 16,   /* responses about an order that is not in the table any more */
    LIVE_COUNTER_PAUSED = 17       /* never sent: the desk takes no orders at the moment */
} live_counter_e;

#define LIVE_REASONS 256
#define LIVE_SLOT_BITS 13          /* of a signal id: the order's place in the table */
#define LIVE_ORDERS_MAX 8192
#define LIVE_SLICE_NS 5000000      /* a wait looks up at least this often: heartbeat, stop */
#define LIVE_PAUSE_NS 100000000    /* What the desk refuses to everybody is asked for again after this: no storm of refusals */
#define LIVE_STALE_NS 6000000000   /* a feed calls data stale after 5 s; who hears nothing for longer has lost it */

/* As hftbacktest's order_dtype: the strategy reads these bytes. */
typedef struct live_order {
    double   qty;
    double   leaves_qty;
    double   exec_qty;             /* of the last fill */
    int64_t  exec_price_tick;
    int64_t  price_tick;
    double   tick_size;
    int64_t  exch_timestamp;
    int64_t  local_timestamp;      /* when it was asked for */
    uint64_t order_id;             /* the strategy's own */
    uint64_t _q1;
    uint64_t _q2;
    uint8_t  maker;
    uint8_t  order_type;
    uint8_t  req;
    uint8_t  status;
    int8_t   side;
    uint8_t  time_in_force;
    uint8_t  pad[2];
} live_order_t;

/* What belongs to an order and the strategy does not see. */
typedef struct live_note {
    uint64_t signal_id;            /* of its present place: responses carry it */
    uint64_t our_order_id;         /* prepost's; 0: not accepted yet */
    int64_t  quantity_lots;
    int64_t  filled_lots;
    int64_t  before_lots;          /* filled by the orders that it replaced */
    int64_t  replace_ticks;
    int64_t  replace_lots;         /* > 0: modify() waits for the old one's end */
    uint64_t responses;
    uint32_t asset_no;
    uint32_t is_used;
} live_note_t;

/* As hftbacktest's state_values_dtype. */
typedef struct live_state {
    double   position;             /* of the account, as prepost counts it */
    double   balance;              /* from this bot's own fills, since it started; fees are apart */
    double   fee;                  /* paid on this instrument since it started */
    int64_t  num_trades;
    double   trading_volume;
    double   trading_value;
} live_state_t;

/* One instrument of a bot. What stands first is set by the owner, once. */
typedef struct live_asset {
    double   tick_size;
    double   lot_size;
    double   lot_scale;            /* quantity = lots · lot_units / lot_scale, the nearest double to the decimal */
    int64_t  lot_units;
    double  *bid_depth;            /* quantities by tick from roi_lb_tick on; NULL: none wanted */
    double  *ask_depth;
    int64_t  roi_lb_tick;
    int64_t  roi_ub_tick;
    event_row_t *trades;
    uint64_t trade_capacity;
    event_row_t *levels;           /* room for a snapshot() */
    uint64_t level_capacity;
    uint64_t level_count;          /* of the last snapshot() */
    const void *position_row;      /* seqlock_row_t; NULL: none */
    const position_row_t *position;
    book_t  *book;
    level_t *room;                 /* for copies of one side: room_count */
    uint32_t room_count;
    uint32_t instrument_index;
    /* state */
    uint32_t is_good;              /* the feed says that the book may be believed */
    uint32_t is_silent;            /* nothing was heard for LIVE_STALE_NS */
    uint32_t has_top;              /* a best bid and ask newer than the book lie over it */
    level_t  top_bid;
    level_t  top_ask;
    int64_t  top_id;
    int64_t  best_bid_tick;        /* as shown: INT64_MIN if there is none */
    int64_t  best_ask_tick;        /* INT64_MAX */
    double   best_bid_qty;
    double   best_ask_qty;
    uint64_t trade_count;
    uint64_t trades_dropped;
    live_state_t state;
    uint64_t position_fills;
    int64_t  fees_before_e8;
    uint32_t has_position;
    uint32_t has_feed;
    int64_t  heard_ns;             /* CLOCK_MONOTONIC */
    int64_t  feed_times[2];        /* exch_ts, local_ts */
    int64_t  order_times[3];       /* req_ts, exch_ts, resp_ts */
    uint32_t has_order_latency;
    int64_t  paused_until_ns;      /* CLOCK_MONOTONIC: LIVE_PAUSE until then */
} live_asset_t;

typedef struct live_bot {
    uint64_t lock[8];              /* a mutex of the C library */
    uint64_t is_stopping;          /* read and written atomically */
    live_asset_t *assets;
    live_order_t *orders;
    live_note_t *notes;
    uint32_t *buckets;             /* hash of (asset, order id) → place + 1 */
    uint32_t *free_places;
    void   **market_consumers;     /* ring_consumer_t, one per feed */
    void   **market_lanes;         /* ring_consumer_lane_t */
    void    *response_consumer;
    void    *response_lane;
    void    *signal_lane;          /* ring_producer_lane_t, URGENT */
    role_metrics_t *metrics;
    void    *metrics_segment;      /* NULL: nobody watches */
    uint32_t asset_count;
    uint32_t market_count;
    uint32_t order_capacity;       /* at most LIVE_ORDERS_MAX */
    uint32_t bucket_mask;
    uint32_t free_count;
    int32_t  wake_fd;
    uint16_t source;               /* role index: header.source */
    uint16_t strategy_index;
    uint32_t replaces_pending;     /* modify()s that wait for the end of the old order */
    uint64_t signal_base;
    uint64_t signal_count;
    double   clock_speed;          /* 1: wall time; 10: ten times as fast, for a simulated market that runs so */
    int64_t  clock_start_ns;       /* CLOCK_MONOTONIC and CLOCK_REALTIME at the same moment */
    int64_t  clock_start_wall_ns;
    int64_t  decision_ns;          /* what the strategy decides on: the feed it waited for, or the end of its pause */
    int64_t  last_feed_ns;
    uint64_t feeds;                /* messages that a waiting strategy counts as a feed */
    uint64_t responses;
    uint64_t refusals[256];        /* LIVE_REASONS, by reason_e */
} live_bot_t;

/* After every pointer and number above is set: makes lock, tables and clock. */
void live_bot_init(live_bot_t *bot);
/* The lock. try: 1 taken, 0 somebody has it. */
void live_bot_lock(live_bot_t *bot);
int32_t live_bot_try_lock(live_bot_t *bot);
void live_bot_unlock(live_bot_t *bot);
/* From any thread: every wait returns LIVE_END from now on. */
void live_bot_stop(live_bot_t *bot);

/* Under the lock. Takes everything that has come in. */
void live_bot_pump(live_bot_t *bot);
/* Under the lock. Asks for the end of every open order that has been accepted. How many are still open. */
uint32_t live_bot_withdraw(live_bot_t *bot);
/* Under the lock, after prepost has begun anew: what was open is over (the engine cancels it), and cancelled once more. */
uint32_t live_bot_forget(live_bot_t *bot);
/* Under the lock. 1: every book may be believed. */
int32_t live_bot_is_synchronised(const live_bot_t *bot);
/* Under the lock. Life sign with the time of now. */
void live_bot_beat(live_bot_t *bot);

/* What a strategy calls, under the lock. `wait` of submit, modify and cancel: as live_bot_wait_order_response for 60 s. */
int64_t live_bot_elapse(live_bot_t *bot, uint64_t duration_ns);
int64_t live_bot_wait_next_feed(live_bot_t *bot, int32_t with_responses, int64_t timeout_ns);
int64_t live_bot_wait_order_response(live_bot_t *bot, uint64_t asset_no, uint64_t order_id, int64_t timeout_ns);
int64_t live_bot_submit(live_bot_t *bot, uint64_t asset_no, uint64_t order_id, double price, double qty, int32_t side,
                        uint32_t time_in_force, uint32_t order_type, int32_t wait);
int64_t live_bot_modify(live_bot_t *bot, uint64_t asset_no, uint64_t order_id, double price, double qty, int32_t wait);
int64_t live_bot_cancel(live_bot_t *bot, uint64_t asset_no, uint64_t order_id, int32_t wait);
void live_bot_clear_inactive_orders(live_bot_t *bot, uint64_t asset_no);
void live_bot_clear_last_trades(live_bot_t *bot, uint64_t asset_no);
int64_t live_bot_current_timestamp(const live_bot_t *bot);
uint64_t live_bot_num_assets(const live_bot_t *bot);
live_asset_t *live_bot_asset(const live_bot_t *bot, uint64_t asset_no);
const live_state_t *live_bot_state_values(const live_bot_t *bot, uint64_t asset_no);
const event_row_t *live_bot_last_trades(const live_bot_t *bot, uint64_t asset_no);
uint64_t live_bot_trade_count(const live_bot_t *bot, uint64_t asset_no);
/* exch_ts, local_ts of the last feed; NULL: none yet. */
const int64_t *live_bot_feed_latency(const live_bot_t *bot, uint64_t asset_no);
/* req_ts, exch_ts, resp_ts of the last order response; NULL: none yet. */
const int64_t *live_bot_order_latency(const live_bot_t *bot, uint64_t asset_no);
/* The order with that id; NULL: none. */
live_order_t *live_bot_order(const live_bot_t *bot, uint64_t asset_no, uint64_t order_id);
uint64_t live_bot_order_count(const live_bot_t *bot, uint64_t asset_no);
/* The place of the next order of an asset behind `place` (−1: the first); −1: no more. */
int64_t live_bot_next_place(const live_bot_t *bot, uint64_t asset_no, int64_t place);
live_order_t *live_bot_order_at(const live_bot_t *bot, int64_t place);

/* Depth of one asset, as hftbacktest's HashMapMarketDepth and ROIVectorMarketDepth have it. */
int64_t live_depth_best_bid_tick(const live_asset_t *asset);
int64_t live_depth_best_ask_tick(const live_asset_t *asset);
double live_depth_best_bid(const live_asset_t *asset);
double live_depth_best_ask(const live_asset_t *asset);
double live_depth_best_bid_qty(const live_asset_t *asset);
double live_depth_best_ask_qty(const live_asset_t *asset);
double live_depth_tick_size(const live_asset_t *asset);
double live_depth_lot_size(const live_asset_t *asset);
double live_depth_bid_qty_at_tick(const live_asset_t *asset, int64_t price_tick);
double live_depth_ask_qty_at_tick(const live_asset_t *asset, int64_t price_tick);
int64_t live_depth_roi_lb_tick(const live_asset_t *asset);
int64_t live_depth_roi_ub_tick(const live_asset_t *asset);
/* roi_ub_tick − roi_lb_tick + 1 quantities; NULL: no region of interest was configured. */
const double *live_depth_bid_depth(const live_asset_t *asset);
const double *live_depth_ask_depth(const live_asset_t *asset);
/* All levels as depth snapshot events, best first, bids then asks: level_count of them, valid until the next call. */
const event_row_t *live_depth_snapshot(live_asset_t *asset);
uint64_t live_depth_level_count(const live_asset_t *asset);
/* cffi: end */

#define LIVE_GRID_ERROR 0.001      /* ticks or lots: floating point errs by a millionth, a wrong price by a tenth */

#endif
