/* hyperliquid.h — captures of Hyperliquid frames (`l2Book`, `trades`) → event rows, as hftbacktest makes them.
 *
 * The venue sends whole books of twenty levels; the rows are the differences from one to the next.
 */
#ifndef CRYPTO_TRADE_HYPERLIQUID_H
#define CRYPTO_TRADE_HYPERLIQUID_H

#include <stdint.h>

#include "events.h"

/* cffi: begin */
#define HYPERLIQUID_LEVELS_MAX 20  /* What l2Book sends, per side. */

typedef struct hyperliquid_level {
    double  px;
    double  qty;
    int64_t is_news;               /* new or changed against the book before */
} hyperliquid_level_t;

/* One side, now and before. hftbacktest hands out all twenty places of its buffer, so a book that has become shorter repeats
 * what stood in those places two books ago; the same is done here. */
typedef struct hyperliquid_side {
    hyperliquid_level_t books[2][20];
    int64_t counts[2];
    int64_t now;                   /* which of the two is the newer one */
    int64_t is_known;              /* 0: no book yet */
} hyperliquid_side_t;

/* What a scan knows and remembers from one buffer to the next. Zeroed by the caller, but for the two steps. */
typedef struct hyperliquid_scan {
    line_scan_t at;
    double   tick_size;
    double   lot_size;
    uint64_t trades;
    uint64_t books;
    uint64_t ignored_messages;
    hyperliquid_side_t bid;
    hyperliquid_side_t ask;
} hyperliquid_scan_t;

/* Reads lines `<ns> <json>\n` into rows[0 .. room). Always sets what stands in `at`. */
void hyperliquid_scan_lines(hyperliquid_scan_t *scan, const char *bytes, uint64_t size, event_row_t *rows, uint64_t room);
/* cffi: end */

#endif
