/* fuzz_frames.c — throws damaged frames at the decoder, the books and the window.
 *
 * With clang:  clang -g -O1 -fsanitize=fuzzer,address,undefined -DLIBFUZZER -Icffi_build/include tests/c/fuzz_frames.c \
 *                  cffi_build/src/{scan,frames,levels,book,intake}.c -o fuzz_frames && ./fuzz_frames
 * With gcc:    the same without `fuzzer,` and -DLIBFUZZER: the driver of fuzz.h damages the seeds by itself.
 *                  ./fuzz_frames [inputs, default 1 000 000] [seed, default 1]
 *
 * Every input lies in a heap block of exactly its size, so that AddressSanitizer sees a read of one byte too many. What must
 * hold for any input: a known kind, no more levels than there is room, positive prices, a slot that exists, texts inside
 * the payload; and the same input gives the same answer when it is decoded again.
 */
#include "fuzz.h"
#include "intake.h"
#include "scan.h"

#define LEVELS 64
#define SLOTS 8
#define BUCKETS 32

static symbol_t slots[SLOTS], intake_slots[SLOTS];
static uint16_t buckets[BUCKETS], intake_buckets[BUCKETS];
static symbols_t symbols;
static level_t bids[LEVELS], asks[LEVELS], book_bids[LEVELS], book_asks[LEVELS];
static int64_t near[2 * 512];
static uint64_t marks[2 * 512 / 64];
static state_t states[SLOTS];
static uint16_t dirty[SLOTS], moved[SLOTS];
static session_t session;
static intake_t intake;
static book_t book;

static void add(symbols_t *table)
{
    symbols_add(table, "BTCUSDT", 7, 0, 2, 1, 8, 1000);
    symbols_add(table, "ETHUSDT", 7, 1, 2, 25, 3, 7);   /* odd steps: division and its rest */
    symbols_add(table, "BTCUSD_PERP", 11, 2, 1, 1, 0, 1);
    symbols_add(table, "RAW", 3, 0xffff, 0, 1, 0, 1);
}

static void prepare(void)
{
    static int is_ready;
    if (is_ready)
        return;
    is_ready = 1;
    symbols_init(&symbols, slots, SLOTS, buckets, BUCKETS);
    symbols_init(&intake.symbols, intake_slots, SLOTS, intake_buckets, BUCKETS);
    add(&symbols);
    add(&intake.symbols);
    intake.states = states;
    intake.bids = bids;
    intake.asks = asks;
    intake.level_capacity = LEVELS;
    intake.dirty = dirty;
    intake.moved = moved;
    book_init(&book, book_bids, book_asks, LEVELS, near, marks, 512);
}

static void check_levels(const level_t *levels, uint32_t count)
{
    MUST(count <= LEVELS);
    for (uint32_t index = 0; index < count; index++)
        MUST(levels[index].price_ticks >= 0 && levels[index].quantity_lots >= 0);
}

static void check_side(const levels_t *side)
{
    static level_t all[LEVELS + 1];
    uint32_t count = levels_copy(side, all, LEVELS + 1);
    MUST(count <= LEVELS && count == levels_count(side));
    for (uint32_t index = 0; index < count; index++) {
        MUST(all[index].quantity_lots > 0);
        MUST(levels_quantity(side, all[index].price_ticks) == all[index].quantity_lots);
        if (index > 0)
            MUST((all[index - 1].price_ticks - all[index].price_ticks) * side->direction > 0);
    }
    level_t best = levels_best(side);
    MUST(best.quantity_lots == (count ? all[0].quantity_lots : 0) && best.price_ticks == (count ? all[0].price_ticks : 0));
}

/* A space in front keeps the quick way from being taken: the careful one must say the same. */
static void check_both_ways(const char *payload, size_t size, const frame_t *quick)
{
    static level_t careful_bids[LEVELS], careful_asks[LEVELS];
    frame_t careful;
    char *spaced = malloc(size + 1);
    spaced[0] = ' ';
    memcpy(spaced + 1, payload, size);
    frame_decode(spaced, size + 1, &symbols, -1, &careful, careful_bids, careful_asks, LEVELS);
    free(spaced);
    if (size == 0)
        return;
    if (careful.text_size || careful.text_offset)
        careful.text_offset--;
    MUST(memcmp(quick, &careful, sizeof careful) == 0);
    if (careful.kind == FRAME_MALFORMED)
        return;
    MUST(memcmp(bids, careful_bids, careful.bid_count * sizeof(level_t)) == 0);
    MUST(memcmp(asks, careful_asks, careful.ask_count * sizeof(level_t)) == 0);
}

/* The input as bytes of a socket: in one read, and behind a whole frame that carries the start of the same input. */
static void check_stream(const char *bytes, size_t size)
{
    stream_t stream = {.intake = &intake, .session = &session, .bytes = bytes, .attention = INTAKE_TOP_PRICE | INTAKE_REFUSED};
    uint64_t at = 0;
    for (;;) {
        int64_t result = intake_take_stream(&stream, at, size, 1);
        uint64_t next = (uint64_t)result & ((1ull << STREAM_MOVED_SHIFT) - 1);
        int stop = (int)(result >> STREAM_STOP_SHIFT);
        MUST(next >= at && next <= size && stop >= STREAM_TAKEN && stop <= STREAM_BROKEN);
        at = next;
        if (stop == STREAM_TAKEN || stop == STREAM_BROKEN)
            break;
        MUST(stream.payload + stream.size == at);
    }
    uint32_t count = intake.moved_count, moved = 0;
    MUST(count <= SLOTS);
    for (uint32_t index = 0; index < count; index++) {
        moved = intake_next_moved(&intake);
        MUST(moved >> 16 < intake.symbols.count && (moved & INTAKE_TOP) && !(moved & INTAKE_MORE) == (index + 1 == count));
    }
    MUST(intake.moved_count == 0 && intake_next_moved(&intake) == 0);
}

static void check_streams(const char *payload, size_t size)
{
    check_stream(payload, size);
    size_t framed = size < 65536 ? size : 65535, total = framed + 4 + size;
    char *bytes = malloc(total);
    bytes[0] = (char)0x81;
    bytes[1] = 126;
    bytes[2] = (char)(framed >> 8);
    bytes[3] = (char)framed;
    memcpy(bytes + 4, payload, framed);
    memcpy(bytes + 4 + framed, payload, size);
    check_stream(bytes, total);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    prepare();
    char *payload = malloc(size ? size : 1);
    memcpy(payload, data, size);
    frame_t frame, again;
    int kind = frame_decode(payload, size, &symbols, -1, &frame, bids, asks, LEVELS);
    MUST(kind == frame.kind && kind >= 0 && kind < FRAME_KINDS);
    MUST(frame.slot == NO_SLOT || frame.slot < symbols.count);
    MUST((uint64_t)frame.text_offset + frame.text_size <= size);
    MUST((kind == FRAME_MALFORMED) <= (frame.error != FRAME_OK));
    if (kind != FRAME_MALFORMED) {
        check_levels(bids, frame.bid_count);
        check_levels(asks, frame.ask_count);
    }
    frame_decode(payload, size, &symbols, -1, &again, bids, asks, LEVELS);
    MUST(memcmp(&frame, &again, sizeof frame) == 0);
    check_both_ways(payload, size, &frame);
    frame_decode(payload, size, &symbols, 1, &again, bids, asks, LEVELS);

    uint32_t bits = intake_take(&intake, &session, payload, size, 1);
    if (bits & (INTAKE_APPLIED | INTAKE_CROSSED)) {
        check_side(&book.bids);
        check_side(&book.asks);
    }
    if (bits & INTAKE_DEPTH) {
        book_apply_levels(&book, bids, intake.frame.bid_count, asks, intake.frame.ask_count, intake.frame.final_id);
        intake_take_book(&intake, (uint16_t)(bits >> 16), &book, 1, 1);
        check_side(&book.bids);
        check_side(&book.asks);
        intake_arm(&intake, (uint16_t)(bits >> 16), &book, (int)(size & 1));
    }
    check_streams(payload, size);
    while (intake.dirty_count)
        states[intake.dirty[--intake.dirty_count]].is_listed = 0;
    int64_t number;
    double ratio;
    for (int decimals = -1; decimals < 20; decimals += 7)
        (void)scan_fixed(payload, size, decimals, &number);
    (void)scan_double(payload, size, &ratio);
    free(payload);
    return 0;
}

#ifndef LIBFUZZER
static const char *const SEEDS[] = {
    "{\"stream\":\"btcusdt@bookTicker\",\"data\":{\"u\":400900217,\"s\":\"BTCUSDT\",\"b\":\"25.35\",\"B\":\"31.21000000\",\"a\":\"25.36\",\"A\":\"40.66\"}}",
    "{\"e\":\"bookTicker\",\"u\":7,\"E\":11,\"T\":10,\"s\":\"ETHUSDT\",\"b\":\"25.25\",\"B\":\"31.213\",\"a\":\"25.50\",\"A\":\"4\"}",
    "{\"e\":\"depthUpdate\",\"E\":11,\"T\":10,\"s\":\"BTCUSDT\",\"U\":5,\"u\":9,\"pu\":4,\"b\":[[\"0.1\",\"10\"],[\"2.0\",\"0.000\"]],\"a\":[[\"0.6\",\"100.5\"]]}",
    "{\"b\":[[\"61773.6\",\"1001\"]],\"a\":[],\"e\":\"depthUpdate\",\"U\":15,\"u\":19,\"s\":\"BTCUSD_PERP\"}",
    "{\"stream\":\"btcusdt@depth5\",\"data\":{\"lastUpdateId\":160,\"bids\":[[\"0.24\",\"10\"]],\"asks\":[[\"0.26\",\"100\",[]]]}}",
    "{\"e\":\"trade\",\"E\":11,\"T\":10,\"s\":\"BTCUSDT\",\"t\":52,\"p\":\"61800.30\",\"q\":\"0.006\",\"X\":\"MARKET\",\"m\":true}",
    "{\"e\":\"aggTrade\",\"E\":1,\"s\":\"BTCUSDT\",\"a\":12345,\"p\":\"0.01\",\"q\":\"100\",\"f\":100,\"l\":105,\"T\":2,\"m\":true}",
    "{\"e\":\"markPriceUpdate\",\"E\":156,\"s\":\"BTCUSDT\",\"p\":\"11794.15000000\",\"i\":\"11784.62659091\",\"r\":\"-0.00038167\",\"T\":1562306400000}",
    "{\"error\":{\"code\":3,\"msg\":\"Invalid JSON\"},\"id\":4}",
    "{\"result\":[\"btcusdt@aggTrade\",{\"x\":[1,2,{\"y\":\"]}\\\"\"}]}],\"id\":312}",
    "{\"stream\":\"!serverShutdown\",\"data\":{\"E\":1}}",
    "\x81\x0a{\"u\":\"long\"\x89\x02hi\x81\x7e\x01\x10{\"a\":[]}",
    "{\"u\":1,\"s\":\"RAW\",\"b\":\"25.35\",\"B\":\"31.21\",\"a\":\"25.36\",\"A\":\"40.66\"}",
};
static const char *const BITES[] = {"\"", "{", "}", "[", "]", ",", ":", "\\", "9", "-", ".", "0000000000000000000", "e", "null",
                                    "\xff", " ", "\"b\":", "\"s\":\"ETHUSDT\",", "[[\"1\",\"2\"],", "99999999999999999999", "{\"data\":"};

int main(int argc, char **argv)
{
    uint64_t inputs = fuzz_begin(argc, argv, 1000000);
    static uint8_t input[SIZE_MAX_INPUT];
    uint64_t kinds[FRAME_KINDS] = {0};
    for (uint64_t number = 0; number < inputs; number++) {
        const char *seed = SEEDS[random_below(COUNT(SEEDS))];
        size_t size = strlen(seed);
        memcpy(input, seed, size);
        size = fuzz_damage(input, size, BITES, COUNT(BITES), 5, 1);
        LLVMFuzzerTestOneInput(input, size);
        frame_t frame;
        kinds[frame_decode((const char *)input, size, &symbols, -1, &frame, bids, asks, LEVELS)]++;
    }
    printf("%llu inputs, kinds:", (unsigned long long)inputs);
    for (int kind = 0; kind < FRAME_KINDS; kind++)
        printf(" %llu", (unsigned long long)kinds[kind]);
    printf("\n");
    return 0;
}
#endif
