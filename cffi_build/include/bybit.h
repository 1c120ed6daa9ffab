/* bybit.h — captures of Bybit v5 public frames (`orderbook.N.S`, `publicTrade.S`) → event rows, as hftbacktest makes them. */
#ifndef CRYPTO_TRADE_BYBIT_H
#define CRYPTO_TRADE_BYBIT_H

#include <stdint.h>

#include "events.h"

/* cffi: begin */
/* What a scan knows and remembers from one buffer to the next. Zeroed by the caller, but for `depth_level`. */
typedef struct bybit_scan {
    line_scan_t at;
    int64_t  depth_level;          /* the book stream that is taken; 0: all of them, without CLEAR rows, to be fused */
    uint64_t trades;
    uint64_t snapshot_messages;
    uint64_t delta_messages;
    uint64_t ignored_messages;     /* other topics and other book streams */
    uint64_t error_messages;       /* {"code":…} */
} bybit_scan_t;

/* Reads lines `<ns> <json>\n` into rows[0 .. room). Always sets what stands in `at`. */
void bybit_scan_lines(bybit_scan_t *scan, const char *bytes, uint64_t size, event_row_t *rows, uint64_t room);
/* cffi: end */

#endif
