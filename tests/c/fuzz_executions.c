/* fuzz_executions.c — throws damaged private frames at the decoder of executions, and damaged bytes at the taker of connections.
 *
 * With clang:  clang -g -O1 -fsanitize=fuzzer,address,undefined -DLIBFUZZER -Icffi_build/include tests/c/fuzz_executions.c \
 *                  cffi_build/src/{scan,frames,executions}.c -o fuzz_executions && ./fuzz_executions
 * With gcc:    the same without `fuzzer,` and -DLIBFUZZER: the driver of fuzz.h damages the seeds by itself.
 *                  ./fuzz_executions [inputs, default 1 000 000] [seed, default 1]
 *
 * Every input lies in a heap block of exactly its size, so that AddressSanitizer sees a read of one byte too many. What must
 * hold for any input: what is read has an order or request number, a venue's id, numbers that are not negative where none
 * may be, words that exist, an asset that ends; the same input gives the same answer when it is decoded again; and a
 * report made of it keeps what its order repeats.
 */
#include "executions.h"
#include "fuzz.h"
#include "scan.h"

#define SLOTS 8
#define BUCKETS 32

static symbol_t slots[SLOTS];
static uint16_t buckets[BUCKETS];
static execution_reader_t reader;

static void prepare(void)
{
    static int is_ready;
    if (is_ready)
        return;
    is_ready = 1;
    symbols_init(&reader.symbols, slots, SLOTS, buckets, BUCKETS);
    symbols_add(&reader.symbols, "BTCUSDT", 7, 0, 2, 1, 5, 1);
    symbols_add(&reader.symbols, "ETHUSDT", 7, 1, 2, 25, 3, 7);   /* odd steps: division and its rest */
    memcpy(reader.prefix, "ct", 2);
    reader.prefix_size = 2;
}

static void check(const execution_t *execution)
{
    MUST(execution->venue_order_id > 0);
    MUST(execution->price_ticks >= 0 && execution->quantity_lots >= 0 && execution->cumulative_lots >= 0);
    MUST(execution->order_status <= ORDER_STATUS_EXPIRED && execution->time_in_force <= TIF_POST_ONLY);
    MUST(execution->order_type <= ORDER_TYPE_MARKET && execution->instrument_index < SLOTS);
    MUST(execution->asset[sizeof execution->asset - 1] == 0);
    report_message_t entry, report;
    memset(&entry, 0x5a, sizeof entry);
    memset(&report, 0, sizeof report);
    execution_write(execution, &entry, &report, REPORT_FILL, 7, 8, 9, 10);
    MUST(memcmp(report.client_order_id, entry.client_order_id, sizeof entry.client_order_id) == 0);
    MUST(report.header.order_id == entry.header.order_id && report.header.signal_id == entry.header.signal_id);
    MUST(report.header.sequence == 7 && report.header.stage_ns[STAGE_ACK] == 8 && report.request_id == 9);
}

/* The input as bytes of a socket: as it is, and behind a whole frame that carries the start of the same input. */
static void check_stream(const char *bytes, size_t size, uint32_t is_user)
{
    private_stream_t stream = {.reader = &reader, .bytes = bytes, .is_user = is_user};
    uint64_t at = 0;
    for (;;) {
        int64_t result = private_take(&stream, at, size);
        uint64_t next = (uint64_t)result & ((1ull << PRIVATE_STOP_SHIFT) - 1);
        int stop = (int)(result >> PRIVATE_STOP_SHIFT);
        MUST(next >= at && next <= size && stop >= PRIVATE_TAKEN && stop <= PRIVATE_BROKEN);
        if (stop == PRIVATE_TAKEN || stop == PRIVATE_BROKEN)
            break;
        MUST(next > at && stream.payload + stream.size == next);
        at = next;
    }
}

static void check_streams(const char *payload, size_t size)
{
    check_stream(payload, size, 0);
    size_t framed = size < 65536 ? size : 65535, total = framed + 4 + size;
    char *bytes = malloc(total);
    bytes[0] = (char)0x81;
    bytes[1] = 126;
    bytes[2] = (char)(framed >> 8);
    bytes[3] = (char)framed;
    memcpy(bytes + 4, payload, framed);
    memcpy(bytes + 4 + framed, payload, size);
    check_stream(bytes, total, 0);
    check_stream(bytes, total, 1);
    free(bytes);
}

/* Returns 1 for an event, 2 for an answer, 0 for what is not read. */
static int read_once(const char *payload, size_t size)
{
    execution_t first;
    uint64_t order_id = execution_read_event(&reader, payload, size);
    if (order_id) {
        first = reader.execution;
        MUST(first.order_id == order_id);
        check(&first);
        MUST(execution_read_event(&reader, payload, size) == order_id);
        MUST(memcmp(&first, &reader.execution, sizeof first) == 0);
    }
    int64_t number = execution_read_answer(&reader, payload, size);
    MUST(number >= 0 && !(number && order_id));
    if (number) {
        first = reader.execution;
        MUST(first.request_number == number);
        check(&first);
        MUST(execution_read_answer(&reader, payload, size) == number);
        MUST(memcmp(&first, &reader.execution, sizeof first) == 0);
    }
    return order_id ? 1 : number ? 2 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    prepare();
    char *payload = malloc(size ? size : 1);
    memcpy(payload, data, size);
    read_once(payload, size);
    check_streams(payload, size);
    free(payload);
    return 0;
}

#ifndef LIBFUZZER
#define OURS "ct0000500000025"
static const char *const SEEDS[] = {
    "{\"subscriptionId\":0,\"event\":{\"e\":\"executionReport\",\"E\":1499405658658,\"s\":\"BTCUSDT\",\"c\":\"" OURS "\",\"S\":\"BUY\","
    "\"o\":\"LIMIT\",\"f\":\"GTC\",\"q\":\"1.00000\",\"p\":\"61234.50\",\"g\":-1,\"C\":\"\",\"x\":\"NEW\",\"X\":\"NEW\",\"r\":\"NONE\","
    "\"i\":4293153,\"l\":\"0.00000\",\"z\":\"0.00000\",\"L\":\"0.00\",\"n\":\"0\",\"N\":null,\"T\":1499405658657,\"t\":-1,\"w\":true,\"m\":false}}",
    "{\"e\":\"executionReport\",\"E\":1499405658658,\"s\":\"BTCUSDT\",\"c\":\"x\",\"C\":\"" OURS "\",\"S\":\"SELL\",\"o\":\"LIMIT_MAKER\","
    "\"f\":\"GTC\",\"q\":\"1.0\",\"p\":\"6.5\",\"x\":\"CANCELED\",\"X\":\"CANCELED\",\"i\":4293153,\"z\":\"0.5\",\"T\":1499405658657,\"t\":-1}",
    "{\"e\":\"ORDER_TRADE_UPDATE\",\"E\":1568879465651,\"T\":1568879465650,\"o\":{\"s\":\"ETHUSDT\",\"c\":\"" OURS "\",\"S\":\"SELL\","
    "\"o\":\"LIMIT\",\"f\":\"GTX\",\"x\":\"TRADE\",\"X\":\"FILLED\",\"i\":8886774,\"l\":\"0.014\",\"z\":\"0.021\",\"L\":\"9000.25\",\"N\":\"USDT\","
    "\"n\":\"-0.00180002\",\"T\":1568879465650,\"t\":77,\"m\":true,\"rp\":\"-0.5\"}}",
    "{\"stream\":\"KEY\",\"data\":{\"e\":\"TRADE_LITE\",\"E\":1,\"T\":2,\"s\":\"ETHUSDT\",\"m\":false,\"c\":\"" OURS "\",\"S\":\"BUY\","
    "\"L\":\"64089.25\",\"l\":\"0.042\",\"t\":109100866,\"i\":8886774}}",
    "{\"id\":12,\"status\":200,\"result\":{\"symbol\":\"BTCUSDT\",\"orderId\":28,\"orderListId\":-1,\"clientOrderId\":\"" OURS "\","
    "\"transactTime\":1700000000123}}",
    "{\"id\":12,\"status\":200,\"result\":{\"symbol\":\"ETHUSDT\",\"orderId\":28,\"clientOrderId\":\"" OURS "c\",\"price\":\"61234.50\","
    "\"origQty\":\"0.014\",\"executedQty\":\"0.007\",\"status\":\"CANCELED\",\"timeInForce\":\"GTC\",\"type\":\"LIMIT\",\"side\":\"SELL\","
    "\"updateTime\":1684804350068}}",
    "{\"id\":12,\"status\":400,\"error\":{\"code\":-2010,\"msg\":\"Account has insufficient balance for requested action.\"}}",
    "\x81\x0a{\"u\":\"long\"\x89\x02hi\x81\x7e\x01\x10{\"a\":[]}",
};
static const char *const BITES[] = {"\"", "{", "}", "[", "]", ",", ":", "\\", "9", "-", ".", "0000000000000000000", "e", "null", "\xff",
                                    " ", "\"s\":\"ETHUSDT\",", "99999999999999999999", "{\"data\":", "\"o\":{", "\"event\":{", OURS,
                                    "\"x\":\"TRADE\",", "true", "\x01", "\"status\":200,"};

int main(int argc, char **argv)
{
    uint64_t inputs = fuzz_begin(argc, argv, 1000000);
    static uint8_t input[SIZE_MAX_INPUT];
    uint64_t kinds[3] = {0};
    prepare();
    for (uint64_t number = 0; number < inputs; number++) {
        const char *seed = SEEDS[random_below(COUNT(SEEDS))];
        size_t size = strlen(seed);
        memcpy(input, seed, size);
        size = fuzz_damage(input, size, BITES, COUNT(BITES), 4, 1);
        LLVMFuzzerTestOneInput(input, size);
        kinds[read_once((const char *)input, size)]++;
    }
    printf("%llu inputs: %llu events, %llu answers read, %llu left\n", (unsigned long long)inputs, (unsigned long long)kinds[1],
           (unsigned long long)kinds[2], (unsigned long long)kinds[0]);
    return 0;
}
#endif
