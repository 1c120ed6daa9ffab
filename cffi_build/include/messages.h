/* messages.h — the layouts of everything that crosses a process boundary. Layouts, and the few functions that fill them.
 *
 * The lines between the cffi markers are the one declaration of these layouts. The C compiler, cffi, the numpy dtypes,
 * the IntEnums and the slot views of reactor/domain/messages.py are all made from them.
 *
 * Rules of the house
 *   - Prices are int64 ticks, quantities int64 lots of the instrument named in the header (see instrument_t).
 *   - Money amounts (balances, fees, PnL, funding) are int64 in units of 1e-8 of the asset: the suffix is _e8.
 *   - Ratios that only steer a decision (spreads, percentiles, funding rates) are doubles.
 *   - stage_ns are CLOCK_MONOTONIC, one clock for the host; exchange_ns is the venue's wall clock; 0 means "not passed".
 *   - Strings are NUL-padded ASCII. Every struct is a whole number of cache lines; pads are zero.
 */
#ifndef CRYPTO_TRADE_MESSAGES_H
#define CRYPTO_TRADE_MESSAGES_H

#include <stdint.h>

/* cffi: begin */
#define INSTRUMENTS_MAX 1024
#define CLIENT_ORDER_ID_SIZE 40
#define SIGNAL_VALUES_MAX 12
#define QUOTES_PER_MESSAGE 6
#define COUNTERS_MAX 96
#define MARKET_LEVELS 28

/* ---- words ------------------------------------------------------------------------------------------------- */

typedef enum venue {
    VENUE_BINANCE_SPOT = 0,
    VENUE_BINANCE_USDM = 1,
    VENUE_BINANCE_COINM = 2,
    VENUE_COUNT = 3
} venue_e;

typedef enum side { SIDE_BUY = 1, SIDE_SELL = -1 } side_e;

typedef enum order_type { ORDER_TYPE_LIMIT = 0, ORDER_TYPE_MARKET = 1 } order_type_e;

typedef enum time_in_force { TIF_GTC = 0, TIF_IOC = 1, TIF_FOK = 2, TIF_POST_ONLY = 3 } time_in_force_e;

/* Where a decision has been. One CLOCK_MONOTONIC stamp each in message_header_t.stage_ns. */
typedef enum stage {
    STAGE_RECEIVE = 0,     /* feed: the frame left the socket */
    STAGE_SIGNAL = 1,      /* feed: the signal was committed */
    STAGE_EVENT = 2,       /* collector: the event was committed */
    STAGE_COMMAND = 3,     /* prepost: the command was committed */
    STAGE_SEND = 4,        /* engine: the request was handed to the socket */
    STAGE_ACK = 5,         /* engine: the venue's answer left the socket */
    STAGE_REPORT = 6,      /* prepost: the report was applied */
    STAGE_COUNT = 7
} stage_e;

typedef enum signal_type {
    SIGNAL_ADAPTIVE_SPREAD_DEVIATION = 0,
    SIGNAL_FIXED_SPREAD_DEVIATION = 1,
    SIGNAL_FUNDING_RATE_DIRECTION = 2,
    SIGNAL_REAL_TIME_FUNDING_RISK = 3,
    SIGNAL_POSITION_CLOSE = 4,
    SIGNAL_BOOK_TOP = 5,
    SIGNAL_ORDER_RESPONSE = 6,
    SIGNAL_STRATEGY_QUOTES = 7,
    SIGNAL_STRATEGY_ORDER = 8,
    SIGNAL_STRATEGY_CANCEL = 9,
    SIGNAL_STRATEGY_HALT = 10,
    SIGNAL_USER = 32,          /* first type of the user's own signals */
    SIGNAL_TYPES_MAX = 64
} signal_type_e;

typedef enum event_kind {
    EVENT_OPEN = 0,            /* open a pair (or a single leg): prepost sizes it in clips */
    EVENT_CLOSE = 1,           /* close both legs of a pair at once */
    EVENT_HEDGE = 2,           /* trade `quantity_lots` of the hedge leg; checked again against the ledger */
    EVENT_QUOTES = 3,          /* a strategy's wanted grid: diffed against live orders */
    EVENT_ORDER = 4,           /* one order exactly as written (user triggers, strategies) */
    EVENT_CANCEL = 5,          /* cancel order_id, or all of the instrument when order_id is 0 */
    EVENT_HALT = 6             /* kill switch to HALTED for the instrument (or all when instrument_index is 0xffff) */
} event_kind_e;

typedef enum command_kind {
    COMMAND_PLACE = 0,
    COMMAND_CANCEL = 1,
    COMMAND_QUERY = 2,             /* one order, by client_order_id; by venue_order_id if that is empty (whose is it?) */
    COMMAND_CANCEL_ALL_OURS = 3,   /* every open order with our prefix on the venue */
    COMMAND_OPEN_ORDERS = 4,       /* answers: REPORT_OPEN_ORDER rows, then REPORT_SNAPSHOT_END */
    COMMAND_POSITIONS = 5,         /* answers: REPORT_POSITION rows, then REPORT_SNAPSHOT_END */
    COMMAND_BALANCES = 6,          /* answers: REPORT_BALANCE rows, then REPORT_SNAPSHOT_END */
    COMMAND_FILLS_SINCE = 7,       /* fills of instrument with trade id > trade_id: REPORT_FILL rows, then END */
    COMMAND_FUNDING_SINCE = 8      /* funding payments since exchange_ns: REPORT_FUNDING rows, then END */
} command_kind_e;

typedef enum report_kind {
    REPORT_ACK = 0,                /* the venue accepted the order; venue_order_id is known */
    REPORT_REJECT = 1,             /* the venue refused it: certainly no effect */
    REPORT_FILL = 2,               /* one fill: trade_id, last price and quantity, fee */
    REPORT_CANCELLED = 3,
    REPORT_EXPIRED = 4,            /* IOC/FOK/market remainder, or the venue ended it */
    REPORT_CANCEL_REJECT = 5,      /* the cancel found no open order: query for the end state */
    REPORT_NOT_SENT = 6,           /* provably never left this host */
    REPORT_OUTCOME_UNKNOWN = 7,    /* sent, nobody told us: query by client id */
    REPORT_ORDER_STATE = 8,        /* answer to COMMAND_QUERY: order_status, cumulative quantity */
    REPORT_ORDER_NOT_FOUND = 9,    /* the venue itself said "no such order" */
    REPORT_OPEN_ORDER = 10,
    REPORT_POSITION = 11,
    REPORT_BALANCE = 12,
    REPORT_SNAPSHOT_END = 13,      /* closes the rows of request_id; reason != NONE: the snapshot failed */
    REPORT_FUNDING = 14,
    REPORT_SESSION_UP = 15,        /* private connectivity of `venue` is complete (orders + user data) */
    REPORT_SESSION_DOWN = 16,
    REPORT_ACK_LITE = 17           /* a fill seen early without fee (TRADE_LITE): for hedging speed; same trade_id follows */
} report_kind_e;

/* The venue's view of an order. */
typedef enum order_status {
    ORDER_STATUS_NEW = 0, ORDER_STATUS_PARTIALLY_FILLED = 1, ORDER_STATUS_FILLED = 2, ORDER_STATUS_CANCELLED = 3,
    ORDER_STATUS_REJECTED = 4, ORDER_STATUS_EXPIRED = 5
} order_status_e;

/* Why something was refused: ours (1..99) and the venue's, normalised (100..). facts: error codes → kinds. */
typedef enum reason {
    REASON_NONE = 0,
    REASON_SIGNAL_TOO_OLD = 1, REASON_COOLDOWN = 2, REASON_POSITION_LIMIT = 3, REASON_CAPITAL_LIMIT = 4,
    REASON_PENDING_ORDERS = 5, REASON_TOTAL_EXPOSURE = 6, REASON_DAILY_TRADES = 7, REASON_MARGIN_RATIO = 8,
    REASON_PRICE_COLLAR = 9, REASON_ORDER_NOTIONAL = 10, REASON_ORDER_RATE = 11, REASON_DAILY_LOSS = 12,
    REASON_KILL_SWITCH = 13, REASON_BELOW_MINIMUM = 14, REASON_NO_BOOK = 15, REASON_NOT_RECONCILED = 16,
    REASON_NO_INVENTORY = 17, REASON_ALREADY_HEDGED = 18, REASON_PAIR_BUSY = 19, REASON_CANCEL_OVERTOOK = 20,
    REASON_NO_SESSION = 21, REASON_QUEUED_BEFORE_RESTART = 22, REASON_CLOCK_UNCERTAIN = 23, REASON_BACKPRESSURE = 24,
    REASON_UNKNOWN_ORDER_ID = 25, REASON_STAGE_REFUSED = 26, REASON_SYMBOL_HALTED = 27, REASON_STALE_SIGNAL = 28,
    REASON_TIMEOUT = 29, REASON_CONNECTION_LOST = 30,
    REASON_DOUBLE_EXECUTION = 31, /* ACK: a second order at the venue under one client id: unwind it */
    REASON_DUPLICATE_CLIENT_ID = 100, REASON_INSUFFICIENT_BALANCE = 101, REASON_UNKNOWN_ORDER = 102,
    REASON_ORDER_ALREADY_CLOSED = 103, REASON_RATE_LIMITED = 104, REASON_BANNED = 105, REASON_TIMESTAMP = 106,
    REASON_BAD_SIGNATURE = 107, REASON_INVALID_KEY = 108, REASON_BAD_PARAMETER = 109, REASON_PRECISION = 110,
    REASON_FILTER_PRICE = 111, REASON_FILTER_LOT = 112, REASON_FILTER_NOTIONAL = 113, REASON_POST_ONLY_WOULD_TAKE = 114,
    REASON_FOK_NOT_FILLED = 115, REASON_REDUCE_ONLY = 116, REASON_MAX_ORDERS = 117, REASON_MAX_POSITION = 118,
    REASON_MARKET_CLOSED = 119, REASON_SERVER_BUSY = 120, REASON_UNKNOWN_EXECUTION = 121, REASON_NO_CHANGE = 122,
    REASON_WOULD_TRIGGER = 123, REASON_UNMAPPED = 199
} reason_e;

/* Why a pair is closed: in a POSITION_CLOSE signal, a CLOSE event, and the journal's PAIR entries (instead of 1..4 of reason_e). */
typedef enum close_reason {
    CLOSE_TAKE_PROFIT = 1, CLOSE_STOP_LOSS = 2, CLOSE_AGE = 3, CLOSE_FUNDING_TURNED = 4
} close_reason_e;

typedef enum response_kind {
    RESPONSE_ACCEPTED = 0, RESPONSE_REFUSED = 1, RESPONSE_ACKNOWLEDGED = 2, RESPONSE_FILL = 3, RESPONSE_CLOSED = 4,
    RESPONSE_HEDGE_REQUIRED = 5, RESPONSE_PAIR_OPENED = 6, RESPONSE_PAIR_CLOSED = 7, RESPONSE_REJECTED = 8
} response_kind_e;

typedef enum control_kind {
    CONTROL_STOP = 0, CONTROL_HALT = 1, CONTROL_REDUCE_ONLY = 2, CONTROL_RESUME = 3, CONTROL_RELOAD = 4,
    CONTROL_FLATTEN = 5, CONTROL_CANCEL_ALL = 6, CONTROL_SUBSCRIBE = 7, CONTROL_CHECK_BOOK = 8
} control_kind_e;

/* life_state of a role in its metrics segment. */
typedef enum life_state {
    LIFE_STARTING = 0, LIFE_READY = 1, LIFE_RUNNING = 2, LIFE_STOPPING = 3, LIFE_STOPPED = 4, LIFE_FAILED = 5
} life_state_e;

typedef enum kill_switch { KILL_SWITCH_RUNNING = 0, KILL_SWITCH_REDUCE_ONLY = 1, KILL_SWITCH_HALTED = 2 } kill_switch_e;

/* message_header_t.flags */
#define FLAG_REDUCE_ONLY 1
#define FLAG_URGENT 2
#define FLAG_HEDGE 4          /* takes the fast path: hedges and unwinds */
#define FLAG_LAST_PART 8      /* last message of a grid or a row set */
#define FLAG_MAKER 16         /* this fill was the maker side */
#define FLAG_OURS 32          /* the client order id carries our prefix */
#define FLAG_CLOSE 64         /* closes a pair */
#define FLAG_REPLAYED 128     /* came from a query or a snapshot, not from the live stream */
#define FLAG_FOREIGN 256      /* somebody else's: report, never touch */
#define FLAG_LIQUIDATION 512  /* forced by the venue: liquidation, auto-deleveraging, settlement */
#define FLAG_QUOTE 1024       /* STRATEGY_ORDER: one rung of a strategy's own grid: no cooldown, quotes_max is its limit */

/* ---- header ------------------------------------------------------------------------------------------------ */

/* Two cache lines in front of every message. Signal, event, command and report carry it onwards, so the last one
 * knows the whole way. */
typedef struct message_header {
    uint64_t sequence;             /* per link and lane: the ring position + 1 */
    uint64_t signal_id;            /* (feed index + 1) << 48 | number: follows a decision from the tick to the fill */
    uint64_t order_id;             /* ours: epoch << 40 | number; 0: none. The client order id is made from it */
    int64_t  exchange_ns;          /* the venue's time of what caused this */
    int64_t  stage_ns[7];          /* by stage_e */
    uint16_t kind;                 /* signal_type_e, event_kind_e, command_kind_e, ... by link */
    uint16_t source;               /* index of the writing role in the plan */
    uint16_t instrument_index;     /* what it is about; 0xffff: none */
    uint16_t hedge_instrument_index;  /* the other leg of the pair; 0xffff: none */
    uint32_t flags;
    uint32_t pair_id;              /* dense number of the pair in the plan; 0xffffffff: none */
    uint64_t pair_sequence;        /* which round trip of that pair (0: none) */
    uint8_t  pad[16];
} message_header_t;

/* One wanted order of a grid. */
typedef struct quote {
    int64_t price_ticks;
    int64_t quantity_lots;         /* > 0 buys, < 0 sells */
} quote_t;

/* ---- links ------------------------------------------------------------------------------------------------- */

/* feed → collector. State-like signals travel on lane NORMAL and conflate per signal_index; strategy quotes, orders
 * and halts travel on lane URGENT and are lossless. header.kind is signal_type_e.
 *
 *   type                        values
 *   ADAPTIVE_SPREAD_DEVIATION   0 spread_short = hedge_bid/open_ask − 1 (short perpetual, long spot), 1 its percentile [0,1],
 *                               2 spread_long = open_bid/hedge_ask − 1 (long perpetual, short spot), 3 its percentile
 *   FIXED_SPREAD_DEVIATION      0 spread_short, 1 spread_long, 2 direction that passes its threshold: −1, +1 or 0
 *   FUNDING_RATE_DIRECTION      0 funding rate, 1 direction −1 | 0 | +1, 2 predicted rate, 3 seconds to the payment
 *   REAL_TIME_FUNDING_RISK      0 risk (1: close, the funding has turned), 1 funding rate, 2 position direction
 *   POSITION_CLOSE              0 reason: 1 take profit, 2 stop loss, 3 age; 1 return of the pair, 2 age in s
 *   BOOK_TOP                    0 mid, 1 spread (both in price units)
 *   STRATEGY_QUOTES             quotes[0..quote_count) of this part; all parts of a grid have one signal_id, go out together
 *   STRATEGY_ORDER              quotes[0], order_type, time_in_force
 *   STRATEGY_CANCEL             header.order_id is the order; 0: every order of the instrument
 *   STRATEGY_HALT               instrument_index 0xffff: everything; 0 reason_e
 * For pair signals instrument_index is the open leg (spot), hedge_instrument_index the perpetual. */
typedef struct signal_message {
    message_header_t header;
    uint32_t signal_index;         /* type · INSTRUMENTS_MAX + instrument_index */
    uint16_t value_count;
    uint16_t quote_count;          /* STRATEGY_QUOTES: quotes[] used in this part; FLAG_LAST_PART ends the grid */
    int64_t  bid_ticks;            /* book top of instrument_index when the signal was made */
    int64_t  ask_ticks;
    int64_t  bid_lots;
    int64_t  ask_lots;
    int64_t  hedge_bid_ticks;      /* book top of hedge_instrument_index */
    int64_t  hedge_ask_ticks;
    uint16_t strategy_index;
    uint16_t order_type;           /* STRATEGY_ORDER: order_type_e, time_in_force_e; the order is quotes[0] */
    uint16_t time_in_force;
    uint16_t reserved;
    double   values[12];           /* SIGNAL_VALUES_MAX */
    quote_t  quotes[6];            /* QUOTES_PER_MESSAGE */
    uint8_t  pad[64];
} signal_message_t;

/* collector → prepost. header.kind is event_kind_e. Hedges, closes, cancels and halts take lane URGENT. */
typedef struct event_message {
    message_header_t header;
    uint16_t trigger_index;        /* which trigger fired (plan order) */
    int16_t  side;                 /* of the open leg (OPEN, ORDER) or of the hedge (HEDGE): side_e */
    int16_t  direction;            /* −1: short perpetual, long spot; +1: the reverse */
    uint16_t order_type;           /* order_type_e */
    uint16_t time_in_force;        /* time_in_force_e */
    uint16_t strategy_index;
    uint16_t quote_count;
    uint16_t reason;               /* POSITION_CLOSE reason, or reason_e */
    int64_t  quantity_lots;        /* 0: prepost sizes by clip */
    int64_t  price_ticks;          /* 0: prepost prices from the book */
    int64_t  bid_ticks;            /* book tops the decision was made on */
    int64_t  ask_ticks;
    int64_t  hedge_bid_ticks;
    int64_t  hedge_ask_ticks;
    uint64_t target_order_id;      /* CANCEL */
    double   values[4];            /* what the trigger saw: spread, percentile, funding rate, … */
    quote_t  quotes[6];
    uint8_t  pad[56];
} event_message_t;

/* prepost → engine. header.kind is command_kind_e. */
typedef struct command_message {
    message_header_t header;
    char     client_order_id[40];  /* minted once, NUL-padded */
    uint16_t venue;                /* venue_e */
    int16_t  side;                 /* side_e */
    uint16_t order_type;
    uint16_t time_in_force;
    int64_t  price_ticks;
    int64_t  quantity_lots;
    int64_t  venue_order_id;       /* 0: not known */
    int64_t  trade_id;             /* FILLS_SINCE: the last one known */
    int64_t  deadline_ns;          /* CLOCK_MONOTONIC: not sent later than this (0: no limit) */
    uint64_t request_id;           /* echoed by every report that answers this */
    int64_t  since_ms;             /* FUNDING_SINCE, FILLS_SINCE: venue wall clock */
    uint8_t  pad[24];
} command_message_t;

/* engine → prepost. header.kind is report_kind_e; header.order_id is 0 where the client id is not ours. */
typedef struct report_message {
    message_header_t header;
    char     client_order_id[40];
    char     asset[16];            /* BALANCE: the asset; FILL, FUNDING: the fee's or payment's asset */
    uint64_t request_id;
    int64_t  venue_order_id;
    int64_t  trade_id;
    int64_t  price_ticks;          /* FILL: of this fill; ORDER rows: limit price; POSITION: entry price */
    int64_t  quantity_lots;        /* FILL: of this fill; ORDER rows: original; POSITION: signed */
    int64_t  cumulative_lots;      /* filled so far, as the venue counts */
    int64_t  fee_e8;               /* > 0 we paid */
    int64_t  amount_e8;            /* BALANCE: free (futures: wallet); FUNDING: received (> 0) or paid; POSITION: unrealised PnL;
                                    * FILL on futures: what it realised, before fees, as the venue rounds it */
    int64_t  locked_e8;            /* BALANCE: locked in orders (futures: maintenance margin, part of the wallet) */
    int64_t  venue_time_ms;        /* the venue's transaction time */
    int32_t  error_code;           /* the venue's own number, 0: none */
    uint16_t reason;               /* reason_e */
    uint16_t venue;                /* venue_e */
    int16_t  side;
    uint16_t order_type;
    uint16_t time_in_force;
    uint16_t order_status;         /* order_status_e */
    uint16_t connection;           /* which session carried it */
    uint16_t row_count;            /* SNAPSHOT_END: rows sent */
    uint32_t reserved;
    char     text[88];             /* the venue's words, cut */
    uint8_t  pad[8];
} report_message_t;

/* prepost → collector, prepost → strategy. header.kind is response_kind_e. */
typedef struct response_message {
    message_header_t header;
    int64_t  price_ticks;
    int64_t  quantity_lots;        /* FILL: of this fill; HEDGE_REQUIRED: signed, what the hedge leg must still do */
    int64_t  cumulative_lots;
    int64_t  position_lots;        /* after this */
    int64_t  trade_id;
    uint64_t target_order_id;
    uint16_t reason;
    int16_t  side;
    uint16_t strategy_index;
    uint16_t order_status;
    uint64_t position_fills;       /* how many fills made position_lots: the greater, the newer (position_row_t.fills) */
} response_message_t;

/* What a market message says. */
typedef enum market_kind {
    MARKET_DELTA = 0,              /* absolute quantities of some levels; 0 deletes */
    MARKET_BOOK = 1,               /* the whole book, in parts: forget what was before at the first */
    MARKET_LOST = 2,               /* the book cannot be believed until the next MARKET_BOOK */
    MARKET_TOP = 3,                /* best bid and ask, newer than the book: levels[0], levels[1] */
    MARKET_TRADE = 4               /* levels[0]; > 0: the buyer was the taker */
} market_kind_e;

#define MARKET_FIRST_PART 1
#define MARKET_LAST_PART 2

/* feed → live bot: what happened to one book. No header of 128 bytes: it carries no decision, and there are many. The parts
 * of one update are published together. */
typedef struct market_message {
    uint64_t sequence;             /* the ring position + 1 */
    int64_t  exchange_ns;          /* the venue's wall clock; 0: unknown */
    int64_t  receive_ns;           /* CLOCK_MONOTONIC */
    int64_t  update_id;            /* the book is true up to here */
    uint16_t kind;                 /* market_kind_e */
    uint16_t instrument_index;
    uint16_t flags;                /* MARKET_FIRST_PART, MARKET_LAST_PART */
    uint16_t bid_count;            /* levels[0 .. bid_count) are bids, then come asks */
    uint16_t ask_count;
    uint8_t  pad[22];
    quote_t  levels[28];           /* MARKET_LEVELS */
} market_message_t;

/* any hot role → journal writer. One fact that happened: written once to SQLite, see reactor/journal. header.kind is
 * journal_kind_e; every field a kind does not name is 0. Always: header.sequence (Producer.sequence), header.source, wall_ns,
 * and of the header what is known: instrument_index, hedge_instrument_index, pair_id, pair_sequence, signal_id, order_id,
 * exchange_ns, flags. An entry is one row per (source, sequence, wall_ns): seen again after a crash, it changes nothing.
 * state_from and state_to are numbers of prepost's OrderState or PairState, 0xffff: there was none before.
 *
 *   kind      fields beyond the header                             values[]
 *   ORDER     client_order_id, venue, side, order_type,            0 reserved_lots after, 1 capital reserved after (e8),
 *             time_in_force, price_ticks (limit; 0: market),       2 mean fill price · lots so far (ticks · lots),
 *             quantity_lots (original, > 0), cumulative_lots,      3 the venue's error code, 4 leg: 0 single, 1 open, 2 hedge,
 *             venue_order_id, state_from, state_to, event          3 unwind, 5 deadline or life of a maker leg (wall ns)
 *             (OrderEvent), reason
 *   FILL      client_order_id, venue, side, venue_order_id,        0 position_lots after, 1 entry_price_ticks_e8 after,
 *             trade_id (unique per venue and symbol),              2 fee in quote units (e8), 3 notional (e8, quote),
 *             price_ticks, quantity_lots (> 0), cumulative_lots,   4 leg as above, 5 realised PnL since start after (e8)
 *             fee_e8 and asset (of the fee; empty: not known yet,
 *             the same trade_id comes again with it),
 *             amount_e8: realised PnL of this fill, quote units,
 *             before fees; flags MAKER, LIQUIDATION, REPLAYED, …
 *   PAIR      side: direction −1 | +1; state_from, state_to;       0 realised PnL of the pair (e8), 1 its fees (e8, quote),
 *             quantity_lots: open leg, signed;                     2 its funding (e8), 3 entry spread · 1e8,
 *             cumulative_lots: hedge leg, signed; reason           4 carried: open leg not hedged yet (e8 of base),
 *             (instrument_index open leg, hedge_… hedge leg)       5 opened (wall ns)
 *   FUNDING   venue, asset, amount_e8 (> 0 received), trade_id:    0 amount in quote units (e8), 1 rate · 1e8
 *             the venue's transaction id (0: none),
 *             header.exchange_ns: when it was paid
 *   QUOTA     what came back without a transition of its order     –
 *             (all other changes follow from values[0], values[1]
 *             of ORDER): quantity_lots (< 0), amount_e8: of capital
 *   OPERATOR  event: control_kind_e; state_from, state_to:         –
 *             kill_switch_e; reason; text: who asked, or why
 *   EPOCH     written by the journal itself                        0 epoch
 *   BALANCE   venue, asset, amount_e8: the baseline of a first     0 locked (e8), 1 unrealised PnL (e8),
 *             start, or a correction the operator accepted         2 kind: 1 baseline (absolute), 2 correction (change)
 */
typedef enum journal_kind {
    JOURNAL_ORDER = 0, JOURNAL_FILL = 1, JOURNAL_PAIR = 2, JOURNAL_FUNDING = 3, JOURNAL_QUOTA = 4, JOURNAL_OPERATOR = 5,
    JOURNAL_EPOCH = 6, JOURNAL_BALANCE = 7
} journal_kind_e;

typedef struct journal_message {
    message_header_t header;       /* header.kind is journal_kind_e */
    char     client_order_id[40];
    char     asset[16];
    int64_t  wall_ns;              /* CLOCK_REALTIME */
    int64_t  venue_order_id;
    int64_t  trade_id;
    int64_t  price_ticks;
    int64_t  quantity_lots;
    int64_t  cumulative_lots;
    int64_t  fee_e8;
    int64_t  amount_e8;
    int64_t  values[6];            /* by kind */
    uint16_t venue;
    int16_t  side;
    uint16_t order_type;
    uint16_t time_in_force;
    uint16_t state_from;           /* order or pair state */
    uint16_t state_to;
    uint16_t event;
    uint16_t reason;
    uint8_t  pad[8];
    char     text[64];
} journal_message_t;

/* supervisor → role. header.kind is control_kind_e. */
typedef struct control_message {
    message_header_t header;
    uint64_t generation;           /* RELOAD: which plan file */
    char     text[56];             /* SUBSCRIBE: "venue:SYMBOL"; otherwise who asked */
} control_message_t;

/* role → supervisor. One line of log: the supervisor writes it as JSON. */
typedef struct log_message {
    message_header_t header;       /* header.kind: level (10 debug … 40 error) */
    int64_t  wall_ns;
    uint32_t suppressed;           /* how many like it were sampled away before this */
    uint16_t length;
    uint16_t module;
    char     text[368];
} log_message_t;

/* ---- segments (seqlock-protected; one writer, anyone reads) ------------------------------------------------- */

/* One row per instrument, made by the supervisor from the venues' exchange info, never changed while running. */
typedef struct instrument {
    char     symbol[24];           /* the venue's string, upper case */
    char     base_asset[16];
    char     quote_asset[16];
    uint16_t venue;                /* venue_e */
    uint16_t instrument_index;
    uint8_t  price_decimals;       /* digits after the point on the wire */
    uint8_t  quantity_decimals;
    uint8_t  is_trading;
    uint8_t  is_perpetual;
    int64_t  tick_size;            /* in 10^-price_decimals: price = ticks · tick_size · 10^-price_decimals */
    int64_t  lot_size;             /* in 10^-quantity_decimals */
    int64_t  quantity_lots_min;
    int64_t  quantity_lots_max;
    int64_t  market_quantity_lots_max;
    int64_t  price_ticks_min;
    int64_t  price_ticks_max;
    int64_t  notional_min_e8;      /* of the quote asset */
    int64_t  contract_size_e8;     /* quote (inverse) or base (linear) units per contract; 1e8 for spot and linear */
    int64_t  maker_fee_e8;         /* fraction · 1e8 */
    int64_t  taker_fee_e8;
    double   percent_price_up;     /* price filter around the average or mark; 0: none */
    double   percent_price_down;
    uint8_t  pad[24];
} instrument_t;

/* Book top and market state of one instrument: written by its feed. */
typedef struct book_top {
    int64_t  bid_ticks;            /* 0: side empty */
    int64_t  ask_ticks;
    int64_t  bid_lots;
    int64_t  ask_lots;
    uint64_t update_id;
    int64_t  exchange_ns;
    int64_t  receive_ns;           /* CLOCK_MONOTONIC; 0: never */
    double   mark_price;           /* 0: none */
    double   index_price;
    double   funding_rate;
    int64_t  next_funding_ms;
    int64_t  last_trade_ticks;
    int64_t  last_trade_lots;      /* > 0: the buyer was the taker */
    uint32_t is_synchronised;
    uint32_t resyncs;
    uint64_t duplicates;           /* messages the redundant session had brought before */
    int64_t  clock_offset_ns;      /* venue wall clock − our wall clock, estimate */
} book_top_t;

/* Position and limits of one instrument: written by prepost. */
typedef struct position_row {
    int64_t  position_lots;        /* signed */
    int64_t  entry_price_ticks_e8; /* average entry in ticks · 1e8 */
    int64_t  realised_pnl_e8;
    int64_t  fees_e8;              /* in quote units */
    int64_t  funding_e8;
    int64_t  capital_used_e8;
    int64_t  reserved_lots;        /* quota reserved by live orders */
    int64_t  pair_opened_ns;       /* CLOCK_MONOTONIC of the open pair on this (open-leg) instrument; 0: none */
    int64_t  pair_entry_spread_e8; /* spread captured at entry · 1e8 */
    int32_t  pair_direction;       /* −1, 0, +1 */
    uint32_t pair_state;
    uint32_t pending_orders;
    uint32_t is_halted;
    uint32_t trades_today;
    uint32_t reserved;
    uint64_t fills;
    uint8_t  pad[24];
} position_row_t;

/* Live risk of the portfolio: written by prepost. */
typedef struct risk_summary {
    int64_t  equity_e8;            /* USDT */
    int64_t  net_exposure_e8;
    int64_t  gross_exposure_e8;
    int64_t  realised_pnl_e8;
    int64_t  fees_e8;
    int64_t  funding_e8;
    int64_t  unrealised_pnl_e8;
    uint64_t orders;
    uint64_t fills;
    uint64_t rejects;
    uint64_t refusals;             /* our own risk said no */
    uint64_t pairs_opened;
    uint64_t pairs_closed;
    uint64_t duplicates_detected;
    uint32_t open_orders;
    uint32_t unknown_orders;
    uint32_t kill_switch;          /* kill_switch_e */
    uint32_t is_reconciled;
    uint32_t trades_today;
    uint32_t venue_confirmed_clean;  /* stop sequence: the venue said that none of ours is open */
    uint64_t reserved[7];
} risk_summary_t;

/* Life sign and counters of one role: written by its shard. Counter names are in the role's module. */
typedef struct role_metrics {
    int64_t  heartbeat_ns;         /* CLOCK_MONOTONIC of the last pass */
    int64_t  started_ns;
    uint32_t pid;
    uint32_t life_state;           /* life_state_e */
    uint32_t incarnation;
    uint32_t wait_policy;
    uint64_t passes;
    uint64_t work_done;
    uint64_t sleeps;
    uint64_t control_sequence;     /* last control message obeyed */
    uint64_t plan_generation;
    uint64_t counters[96];         /* COUNTERS_MAX, by the role's own enum */
    char     failure[120];         /* LIFE_FAILED: the sentence for the user */
} role_metrics_t;

/* Zeroes `size` bytes of a message. */
void message_clear(void *message, uint64_t size);

/* Says a signal: copies `message` to its place on the way, with the tops it was made from as below and the stages RECEIVE and
 * SIGNAL. The sequence that stands there already stays. */
void signal_say(signal_message_t *target, signal_message_t *message, const book_top_t *top, const book_top_t *hedge,
                uint64_t signal_id, int64_t receive_ns, int64_t now_ns);

/* Numbers a message of any layout: header.sequence. */
void message_number(void *message, uint64_t sequence);

/* Fields of a signal, for who reads one or two of them: a call of C walks through less code than a field read from Python. */
uint32_t signal_hedge(const signal_message_t *signal);  /* header.hedge_instrument_index */
double signal_value(const signal_message_t *signal, uint32_t at);

/* What a reader asks first: header.kind << 32 | signal_index. */
uint64_t signal_key(const signal_message_t *signal);

/* Keeps a signal as the last one of its kind. Returns when it was made (stage SIGNAL; 0: nobody said). */
int64_t signal_keep(signal_message_t *last, const signal_message_t *signal);

/* An empty event that continues the way of its cause, a message of any layout: the cause's header without its flags. */
void event_begin(event_message_t *event, const void *cause, uint16_t strategy_index);

/* 1: the event is about what there is (twin of reactor/collector/triggers/trigger.py: problem_of). */
int event_is_sound(const event_message_t *event, uint32_t instruments);

/* The wish of a pair's trigger, in an event begun: kind, pair, legs, and the tops of the signal it was decided on. OPEN with a
 * direction and what was seen; CLOSE with a reason and the signal's first three values, the third of which is the direction
 * where funding has turned. */
void event_open(event_message_t *event, const signal_message_t *signal, uint32_t pair_id, uint16_t open_index,
                uint16_t hedge_index, int16_t direction, double spread, double percentile, double funding_rate);
void event_close(event_message_t *event, const signal_message_t *signal, uint32_t pair_id, uint16_t open_index,
                 uint16_t hedge_index, uint16_t reason);

/* The wish for one order of one instrument, exactly as written, with the tops of the signal it was decided on. */
void event_order(event_message_t *event, const signal_message_t *signal, uint16_t instrument_index, int16_t side,
                 uint16_t order_type, uint16_t time_in_force, int64_t price_ticks, int64_t quantity_lots);

/* Copies a finished event to its slot, with what its writer knows. */
void event_finish(event_message_t *target, event_message_t *event, uint64_t sequence, uint16_t source, uint16_t trigger_index,
                  uint32_t flags, int64_t now_ns);

/* Both spreads of a pair, hedge ticks times `ratio` compared with open ticks: spreads[0] = hedge_bid/open_ask − 1 and
 * spreads[1] = open_bid/hedge_ask − 1. Returns 1, or 0 and writes nothing if a book is not synchronised or lacks a side. */
int tops_spreads(const book_top_t *open, const book_top_t *hedge, double ratio, double *spreads);
/* cffi: end */

#define WHOLE_CACHE_LINES(type) _Static_assert(sizeof(type) % 64 == 0, #type " must be whole cache lines")
_Static_assert(sizeof(message_header_t) == 128, "the header is two cache lines");
WHOLE_CACHE_LINES(signal_message_t);
WHOLE_CACHE_LINES(event_message_t);
WHOLE_CACHE_LINES(command_message_t);
WHOLE_CACHE_LINES(report_message_t);
WHOLE_CACHE_LINES(response_message_t);
WHOLE_CACHE_LINES(market_message_t);
WHOLE_CACHE_LINES(journal_message_t);
WHOLE_CACHE_LINES(control_message_t);
WHOLE_CACHE_LINES(log_message_t);
WHOLE_CACHE_LINES(instrument_t);
WHOLE_CACHE_LINES(book_top_t);
WHOLE_CACHE_LINES(position_row_t);
WHOLE_CACHE_LINES(risk_summary_t);
WHOLE_CACHE_LINES(role_metrics_t);

#endif
