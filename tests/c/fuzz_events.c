/* fuzz_events.c — throws damaged capture lines and CSV rows at the scans, and what they give at the order correction.
 *
 * With clang:  clang -g -O1 -fsanitize=fuzzer,address,undefined -DLIBFUZZER -Icffi_build/include tests/c/fuzz_events.c \
 *                  cffi_build/src/{events,bybit,hyperliquid}.c -o fuzz_events && ./fuzz_events
 * With gcc:    the same without `fuzzer,` and -DLIBFUZZER: the driver of fuzz.h damages the seeds by itself.
 *                  ./fuzz_events [inputs, default 200 000] [seed, default 1]
 *
 * Every input and every array of rows lies in a heap block of exactly its size, so that AddressSanitizer sees one byte too many.
 * What must hold for any input: never more bytes taken or rows written than there are, a bad line stands where `consumed` says,
 * the same rows whether the text comes in one buffer, in two or line by line (a lone line is too short for the reader of usual
 * rows, so the general one reads it), and a merge that loses no row and ends in order.
 */
#include "bybit.h"
#include "events.h"
#include "fuzz.h"
#include "hyperliquid.h"

#define ROOM 2000
#define SNAPSHOT_ROOM 40

static uint64_t accepted;

static const char *after_line(const char *p, const char *end)
{
    const char *newline = memchr(p, '\n', (size_t)(end - p));
    return newline ? newline + 1 : end;
}

/* Scans [text, end), passing over bad lines. Returns the number of rows. */
static uint64_t scan_capture(capture_scan_t *scan, const char *text, const char *end, event_row_t *rows, uint64_t count)
{
    while (text < end) {
        events_scan_capture(scan, text, (uint64_t)(end - text), rows + count, ROOM - count);
        MUST(scan->at.consumed <= (uint64_t)(end - text));
        MUST(count + scan->at.rows <= ROOM);
        count += scan->at.rows;
        text += scan->at.consumed;
        if (scan->at.stop != SCAN_BAD_LINE)
            break;
        MUST(scan->at.problem != SCAN_PROBLEM_NONE);
        MUST(text < end);
        text = after_line(text, end);
    }
    return count;
}

static uint64_t scan_csv(csv_scan_t *scan, const char *text, const char *end, event_row_t *rows, event_row_t *bids, event_row_t *asks,
                         uint64_t count)
{
    while (text < end) {
        events_scan_csv(scan, text, (uint64_t)(end - text), rows + count, ROOM - count, bids, asks);
        MUST(scan->consumed <= (uint64_t)(end - text));
        MUST(count + scan->rows <= ROOM);
        MUST(scan->bid_rows <= SNAPSHOT_ROOM && scan->ask_rows <= SNAPSHOT_ROOM);
        count += scan->rows;
        text += scan->consumed;
        if (scan->stop != SCAN_BAD_LINE)
            break;
        text = after_line(text, end);
    }
    return count;
}

static void check_order(event_row_t *rows, uint64_t count)
{
    if (count == 0)
        return;
    uint32_t *orders[3];
    for (int i = 0; i < 3; i++)
        orders[i] = malloc(count * sizeof **orders);
    for (int field = 0; field < 2; field++)
        events_sort(rows, count, field, orders[field], orders[2]);
    event_row_t *merged = malloc(2 * count * sizeof *merged);
    uint64_t cursor[2] = {0, 0};
    uint64_t written = events_merge(rows, count, orders[0], orders[1], cursor, merged, 2 * count);
    MUST(written >= count && cursor[0] == count && cursor[1] == count);
    MUST(events_first_disorder(merged, written, 0) == 0 && events_first_disorder(merged, written, 1) == 0);
    for (int i = 0; i < 3; i++)
        free(orders[i]);
    free(merged);
}

static void try_capture(const char *text, size_t size, size_t cut)
{
    event_row_t *whole = calloc(ROOM, sizeof *whole), *parts = calloc(ROOM, sizeof *parts);
    capture_scan_t scan = {.with_book_ticker = 1, .with_mark_price = 1}, again = scan;
    uint64_t count = scan_capture(&scan, text, text + size, whole, 0);
    /* The same in two buffers, cut after a line, each in a block of its own. */
    size_t first = cut ? (size_t)(after_line(text + cut, text + size) - text) : 0;
    char *head = malloc(first ? first : 1), *tail = malloc(size - first ? size - first : 1);
    memcpy(head, text, first);
    memcpy(tail, text + first, size - first);
    uint64_t other = scan_capture(&again, head, head + first, parts, 0);
    other = scan_capture(&again, tail, tail + size - first, parts, other);
    if (scan.at.stop != SCAN_NEED_ROOM && again.at.stop != SCAN_NEED_ROOM) {
        MUST(count == other);
        MUST(memcmp(whole, parts, count * sizeof *whole) == 0);
        check_order(whole, count);
        accepted += count;
    }
    free(head);
    free(tail);
    free(whole);
    free(parts);
}

typedef void (*scan_lines_t)(void *scan, const char *bytes, uint64_t size, event_row_t *rows, uint64_t room);

static void scan_bybit(void *scan, const char *bytes, uint64_t size, event_row_t *rows, uint64_t room)
{
    bybit_scan_lines(scan, bytes, size, rows, room);
}

static void scan_hyperliquid(void *scan, const char *bytes, uint64_t size, event_row_t *rows, uint64_t room)
{
    hyperliquid_scan_lines(scan, bytes, size, rows, room);
}

/* Every line in one buffer, then each in a block of its own: the same rows, until one is refused. */
static void try_venue(scan_lines_t scan_lines, void *scan, line_scan_t *at, void *again, line_scan_t *again_at, const char *text,
                      size_t size)
{
    event_row_t *whole = calloc(ROOM, sizeof *whole), *parts = calloc(ROOM, sizeof *parts);
    const char *p = text, *end = text + size;
    uint64_t count = 0;
    scan_lines(scan, text, size, whole, ROOM);
    MUST(at->consumed <= size && at->rows <= ROOM);
    while (p < end && again_at->stop == SCAN_NEED_BYTES) {
        size_t length = (size_t)(after_line(p, end) - p);
        char *line = malloc(length);
        memcpy(line, p, length);
        scan_lines(again, line, length, parts + count, ROOM - count);
        MUST(again_at->consumed <= length && count + again_at->rows <= ROOM);
        count += again_at->rows;
        p += length;
        free(line);
    }
    MUST(at->stop == again_at->stop && at->problem == again_at->problem && at->line == again_at->line && at->rows == count);
    MUST(memcmp(whole, parts, count * sizeof *whole) == 0);
    check_order(whole, count);
    accepted += count;
    free(whole);
    free(parts);
}

static void try_venues(const char *text, size_t size)
{
    for (int64_t level = 0; level <= 50; level += 50) {
        bybit_scan_t scan = {.depth_level = level}, again = scan;
        try_venue(scan_bybit, &scan, &scan.at, &again, &again.at, text, size);
    }
    hyperliquid_scan_t scan = {.tick_size = 0.1, .lot_size = 0.001}, again = scan;
    try_venue(scan_hyperliquid, &scan, &scan.at, &again, &again.at, text, size);
}

/* `whole` scanned [text, end) at once and gave `count` rows; `again` does the same with each line in a block of its own. */
static void check_line_by_line(const csv_scan_t *whole, csv_scan_t *again, const char *text, const char *end, const event_row_t *rows,
                               uint64_t count)
{
    event_row_t *others = calloc(ROOM, sizeof *others);
    event_row_t *bids = calloc(SNAPSHOT_ROOM, sizeof *bids), *asks = calloc(SNAPSHOT_ROOM, sizeof *asks);
    uint64_t other = 0;
    int is_full = whole->stop == SCAN_NEED_ROOM;
    while (text < end && !is_full) {
        size_t size = (size_t)(after_line(text, end) - text);
        char *line = malloc(size);
        memcpy(line, text, size);
        other = scan_csv(again, line, line + size, others, bids, asks, other);
        is_full = again->stop == SCAN_NEED_ROOM;
        text += size;
        free(line);
    }
    if (!is_full) {
        MUST(count == other && memcmp(rows, others, count * sizeof *rows) == 0);
        MUST(whole->line == again->line && whole->update_rows == again->update_rows && whole->bid_rows == again->bid_rows);
    }
    free(others);
    free(bids);
    free(asks);
}

static void try_csv(const char *text, size_t size, csv_kind_e kind, snapshot_mode_e mode)
{
    event_row_t *rows = calloc(ROOM, sizeof *rows);
    event_row_t *bids = calloc(SNAPSHOT_ROOM, sizeof *bids), *asks = calloc(SNAPSHOT_ROOM, sizeof *asks);
    csv_scan_t scan = {.kind = kind, .snapshot_mode = mode, .bid_room = SNAPSHOT_ROOM, .ask_room = SNAPSHOT_ROOM,
                       .bid_limit = -1, .ask_limit = -1};
    csv_scan_t again = scan;
    uint64_t count = scan_csv(&scan, text, text + size, rows, bids, asks, 0);
    check_line_by_line(&scan, &again, text, text + size, rows, count);
    if (count + scan.bid_rows + scan.ask_rows + 2 <= ROOM)
        count += events_finish_csv(&scan, rows + count, bids, asks);
    check_order(rows, count);
    accepted += count;
    free(rows);
    free(bids);
    free(asks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1);
    memcpy(text, data, size);
    size_t cut = size ? data[0] * size / 256 : 0;
    try_capture(text, size, cut);
    try_venues(text, size);
    for (int kind = CSV_TRADES; kind <= CSV_BOOK_TICKER; kind++)
        try_csv(text, size, (csv_kind_e)kind, (snapshot_mode_e)(size % 3));
    uint64_t used;
    (void)events_parse_double(text, size, &used);
    MUST(used <= size);
    free(text);
    return 0;
}

#ifndef LIBFUZZER
static const char *const SEEDS[] = {
    "1723075200006139000 {\"stream\":\"btcusdt@depth@0ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":1723075201,\"T\":1723075200,\"s\":\"BTCUSDT\",\"U\":5,\"u\":9,\"pu\":4,\"b\":[[\"0.1\",\"10\"],[\"2.0\",\"0.000\"]],\"a\":[[\"0.6\",\"100.5\"]]}}\n",
    "1723075200006139001 {\"stream\":\"btcusdt@depth\",\"data\":{\"e\":\"depthUpdate\",\"E\":1723075201,\"s\":\"BTCUSDT\",\"U\":5,\"u\":9,\"b\":[],\"a\":[[\"0.6\",\"1e3\"]]}}\n",
    "1723075200006139002 {\"lastUpdateId\":7,\"bids\":[[\"0.24\",\"10\"],[\"0.23\",\"1\"]],\"asks\":[[\"0.26\",\"100\"]]}\n",
    "1723075200006139003 {\"lastUpdateId\":7,\"E\":11,\"T\":10,\"asks\":[[1,2],[3,4]],\"bids\":[[0.9,1]]}\n",
    "1723075200006139004 {\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":11,\"T\":10,\"s\":\"BTCUSDT\",\"t\":5,\"p\":\"61800.30\",\"q\":\"0.006\",\"X\":\"MARKET\",\"m\":true}}\n",
    "1723075200006139005 {\"stream\":\"btcusdt@bookTicker\",\"data\":{\"u\":4,\"s\":\"BTCUSDT\",\"b\":\"25.35\",\"B\":\"31.2\",\"a\":\"25.36\",\"A\":\"4\"}}\n",
    "1723075200006139006 {\"e\":\"markPriceUpdate\",\"E\":156,\"s\":\"BTCUSDT\",\"p\":\"11794.15\",\"i\":\"11784.6\",\"r\":\"-0.0003\",\"T\":15623}\n",
    "1723075200006139007 {\"code\":-1121,\"msg\":\"Invalid symbol.\"}\n",
    "1758841134000000000 {\"topic\":\"orderbook.50.BTCUSDT\",\"type\":\"snapshot\",\"ts\":1758841134,\"data\":{\"s\":\"BTCUSDT\",\"b\":[[\"1.5\",\"2\"],[\"1.4\",\"1\"]],\"a\":[[\"1.6\",\"1\"]],\"u\":1},\"cts\":1}\n",
    "1758841134000000001 {\"data\":{\"a\":[[\"1.6\",\"0\"]],\"b\":[],\"s\":\"BTCUSDT\"},\"ts\":1758841135,\"type\":\"delta\",\"topic\":\"orderbook.1.BTCUSDT\"}\n",
    "1758841134000000002 {\"topic\":\"publicTrade.BTCUSDT\",\"type\":\"snapshot\",\"ts\":1758841136,\"data\":[{\"T\":1758841136,\"s\":\"BTCUSDT\",\"S\":\"Sell\",\"v\":\"0.02\",\"p\":\"1.5\",\"BT\":false}]}\n",
    "1737918843893903000 {\"channel\":\"l2Book\",\"data\":{\"coin\":\"BTC\",\"time\":1737918843,\"levels\":[[{\"px\":\"1.5\",\"sz\":\"3.0\",\"n\":5},{\"px\":\"1.4\",\"sz\":\"1\",\"n\":1}],[{\"n\":1,\"px\":\"1.6\",\"sz\":\"2\"}]]}}\n",
    "1737918843893903001 {\"channel\":\"l2Book\",\"data\":{\"levels\":[[{\"px\":\"1.5\",\"sz\":\"3.1\",\"n\":5}],[]],\"coin\":\"BTC\",\"time\":1737918844}}\n",
    "1737918843893903002 {\"channel\":\"trades\",\"data\":[{\"coin\":\"BTC\",\"side\":\"A\",\"px\":\"1.5\",\"sz\":\"0.2\",\"time\":1737918845,\"users\":[\"a\",\"b\"]}]}\n",
    "binance-futures,BTCUSDT,1723075200000000,1723075200005139,1234567,buy,61722.1,0.005\n",
    "binance-futures,BTCUSDT,1723075200000000,1723075200005139,1234568,unknown,61722,5\r\n",
    "binance-futures,BTCUSDT,1723075200000000,1723075200005139,false,bid,61722.1,0.005\n",
    "binance-futures,BTCUSDT,1723075200000000,1723075200005139,false,ask,0.000012345678,123456789.25\n",
    "coinbase,BTC-USD-WITH-A-LONG-NAME,1723075200000001,1723075200005139,false,ask,1.,.5\n",
    "bitmex,XBTUSD,1723075200000000,1723075200005139,0a3b0c4d-1e2f-4a5b-8c9d-0e1f2a3b4c5d,sell,61722.5,100\n",
    "binance-futures,BTCUSDT,1723075200000000,1723075200005139,true,ask,61722.123456789012345678,0\n",
    "binance-futures,BTCUSDT,1723075199000000,1723075200005139,true,bid,61722.1,1e-7\n",
    "binance-futures,BTCUSDT,1723075200000000,1723075200005139,0.5,61722.1,61722,0.7\n",
};
static const char *const BITES[] = {"\"", "{", "}", "[", "]", ",", ":", "\\", "9", "-", ".", "0000000000000000000", "e", "null", "\n", "\r\n",
                                    "\xff", " ", "\"b\":", "[1,2],[1,2],[1,2],", "\"bids\":[],", "99999999999999999999", "{\"data\":", "true,", "false,"};

int main(int argc, char **argv)
{
    uint64_t inputs = fuzz_begin(argc, argv, 200000);
    static uint8_t input[SIZE_MAX_INPUT];
    for (uint64_t number = 0; number < inputs; number++) {
        size_t size = 0;
        uint32_t alike = random_below(2) ? random_below(COUNT(SEEDS)) : COUNT(SEEDS); /* Half of them are of one kind of line. */
        for (uint32_t lines = 1 + random_below(12); lines > 0; lines--) {
            const char *seed = SEEDS[alike < COUNT(SEEDS) && random_below(8) ? alike : random_below(COUNT(SEEDS))];
            size = fuzz_put(input, size, size, seed, strlen(seed));
        }
        size = fuzz_damage(input, size, BITES, COUNT(BITES), 5, 4);
        LLVMFuzzerTestOneInput(input, size);
    }
    printf("%llu inputs, %llu rows\n", (unsigned long long)inputs, (unsigned long long)accepted);
    return 0;
}
#endif
