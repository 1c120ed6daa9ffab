/* executions.h — bytes of a private frame → what it says about one order of ours → a report, without Python objects.
 *
 *     user stream    {"subscriptionId":0,"event":{"e":"executionReport", … }}    {"e":"ORDER_TRADE_UPDATE", … "o":{ … }}
 *     order socket   {"id":12,"status":200,"result":{"orderId":28, … }}
 *             │
 *             ▼ execution_read_event, execution_read_answer           0: not read, the Python codec (user.py, answers.py) does it
 *        execution_t  ── execution_write(entry) ──▶ report_message_t
 *
 * Only what is usual is read here: strict JSON in ASCII, known kinds, orders with our client ids, symbols of the table, numbers on
 * their grid. Whatever is read here says exactly what the Python codec would have said; the order of the fields does not matter
 * and unknown ones are skipped. Errors, escapes, other events, rejections, nested extras: not read.
 */
#ifndef CRYPTO_TRADE_EXECUTIONS_H
#define CRYPTO_TRADE_EXECUTIONS_H

#include <stdint.h>

#include "frames.h"
#include "messages.h"

/* cffi: begin */
/* execution_t.says: which of its fields the frame has told; the others are the order's own, as they stood in its entry. */
#define SAYS_STATUS 1              /* order_status */
#define SAYS_SIDE 2
#define SAYS_CUMULATIVE 4
#define SAYS_PRICE 8
#define SAYS_QUANTITY 16
#define SAYS_TERMS 32              /* order_type, time_in_force */
#define SAYS_TRADE 64              /* trade_id, amount_e8, flags */
#define SAYS_FEE 128               /* fee_e8, asset */
#define SAYS_INSTRUMENT 256

typedef struct execution {
    uint64_t order_id;             /* event: from our client id; never 0 */
    int64_t  request_number;       /* answer: the number on the wire, > 0 */
    int64_t  venue_order_id;
    uint16_t kind;                 /* event: report_kind_e */
    uint16_t order_status;         /* order_status_e */
    uint32_t says;
    uint16_t instrument_index;
    int16_t  side;
    uint16_t order_type;
    uint16_t time_in_force;
    uint32_t flags;                /* FLAG_MAKER */
    uint32_t reserved;
    int64_t  trade_id;
    int64_t  price_ticks;
    int64_t  quantity_lots;
    int64_t  cumulative_lots;
    int64_t  fee_e8;
    int64_t  amount_e8;
    int64_t  venue_time_ms;
    int64_t  exchange_ns;
    char     asset[16];
} execution_t;

/* What must be known to read the frames of one venue. */
typedef struct execution_reader {
    symbols_t symbols;
    char     prefix[8];            /* of our client ids */
    uint32_t prefix_size;
    uint32_t reserved;
    execution_t execution;         /* what was read last */
} execution_reader_t;

/* One event of the user stream: executionReport, ORDER_TRADE_UPDATE (NEW, TRADE, CANCELED, EXPIRED) or TRADE_LITE.
 * Returns the order id, or 0 if it is not to be read here. */
uint64_t execution_read_event(execution_reader_t *reader, const char *payload, uint64_t size);

/* One good answer to a place, cancel or query. Returns its request number, or 0 if it is not to be read here. */
int64_t execution_read_answer(execution_reader_t *reader, const char *payload, uint64_t size);

/* Why private_take came back. */
typedef enum private_stop {
    PRIVATE_TAKEN = 0,             /* everything whole is taken; what is left is the beginning of a frame: see needed */
    PRIVATE_READ = 1,              /* reader->execution holds what the frame says */
    PRIVATE_FRAME = 2,             /* a frame that is not read here: payload, size */
    PRIVATE_CONTROL = 3,           /* ping, pong, close, or a piece of a fragmented message: see opcode, payload, size */
    PRIVATE_BROKEN = 4             /* no WebSocket frame of a server: close */
} private_stop_e;

#define PRIVATE_STOP_SHIFT 40

/* The bytes of one private connection on their way in. */
typedef struct private_stream {
    execution_reader_t *reader;
    const char *bytes;             /* of the read buffer */
    uint32_t is_user;              /* events, not answers */
    uint32_t opcode;
    uint64_t payload;              /* of the frame that it stopped at: offset … */
    uint64_t size;                 /* … and size */
    uint64_t needed;               /* bytes of the frame that has begun, head and all; 0: not known yet */
} private_stream_t;

/* Takes the next WebSocket frame of bytes[at … size). Returns the offset behind it (less than 2^40) with private_stop_e above:
 * `size` itself if nothing whole is left and nothing has begun. */
int64_t private_take(private_stream_t *stream, uint64_t at, uint64_t size);

/* Fills a report: what its order repeats, what the execution says, and how it came. `connection_flags` is
 * flags << 16 | connection. */
void execution_write(const execution_t *execution, const report_message_t *entry, report_message_t *report, uint32_t kind,
                     uint64_t sequence, int64_t receive_ns, uint64_t request_id, uint64_t connection_flags);

/* What every report about the order of a place repeats: its entry. */
void entry_begin(report_message_t *entry, const command_message_t *place, uint32_t source);

/* Stamps when its request was handed to the socket. Returns how long it took since the tick was received, −1 if there was none. */
int64_t entry_sent(report_message_t *entry, int64_t send_ns);
/* cffi: end */

#endif
