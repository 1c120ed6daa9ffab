/* venue.c — a venue for measurements: one thread in C that sends bookTicker frames, acknowledges every order and keeps time.
 *
 *       ┌──────── tick frame (unique bid price) ────────▶ ┌────────┐
 *       │ t0 = just before send()                         │ system │
 *   venue.c                                               │ under  │
 *       │ t1 = recv() that completed the order returned   │ test   │
 *       └◀─────── order.place with that price ─────────── └────────┘        latency = t1 − t0
 *
 * It speaks as much Binance USD-M as a client needs to start: REST answers come from a file (one `METHOD /path<TAB>json`
 * per line), the market stream sends bookTicker, the WebSocket API acknowledges order.place and order.cancel, and the user
 * stream tells NEW and, a moment later, CANCELED, so that open orders do not pile up. It checks nothing: limits, balances
 * and signatures are the simulated exchange's business.
 *
 *   venue --answers FILE --out FILE [--port P] [--core N] [--block]
 *         [--interval-us 2000 --every 5 --samples 2500 --warmup 300]      latency: an order on each `every`-th tick
 *         [--rates 1000,2000,… --step-seconds 2]                          throughput: an order on every tick
 *
 * Spins on its core unless --block is given: then it rests for REST_US after each look, and leaves the core to others. Answers
 * that one look has caused leave in one send per connection, ticks one by one. It says "ready PORT" when it listens, on
 * a free port unless told, "begin" before its first tick, "step" and "done" around each step. The result is one JSON object. A
 * tick waits for room in its socket: what the system cannot take in time is not offered (`sent` tells).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 256,
    INPUT_SIZE = 1 << 17,
    OUTPUT_SIZE = 1 << 17,
    REST_US = 50,                 /* the kernel adds its own 50 */
    ANSWERS_MAX = 64,
    STEPS_MAX = 32,
    TICKS_MAX = 2000000,          /* the price tells the tick: 20000.00 + 0.01 · tick */
    CANCEL_QUEUE_SIZE = 1 << 16,
    PRICE_CENTS_FIRST = 2000000,
    CANCEL_AFTER_NS = 300000,     /* like a quote that is replaced at once */
    STEP_PAUSE_NS = 500000000,    /* after the last answer of a step, so that one step does not spoil the next … */
    DRAIN_NS = 20000000000,       /* … or after this time, answered or not */
    SEND_BUFFER = 1 << 16,        /* some hundred ticks: a backlog stands where the system sees it, or is not offered */
};

typedef struct connection {
    int fd;                        /* −1: free */
    int is_websocket, is_wrapped, is_user;
    size_t length, output_length;
    char *input, *output;
} connection_t;

typedef struct order {
    int64_t due_ns, number;
    char client_id[48], price[32], quantity[24], side[8], time_in_force[8];
} order_t;

typedef struct answer {
    char *method, *path, *body;
} answer_t;

typedef struct step {
    double rate;
    int64_t first, last, begin_ns, end_ns;
} step_t;

static struct {
    int port, core, block, every, samples, warmup;
    double interval_us, step_seconds;
    const char *answers, *out;
    step_t steps[STEPS_MAX];
    int step_count;
} options = {.core = -1, .every = 5, .samples = 2500, .warmup = 300, .interval_us = 2000, .step_seconds = 2, .out = "/dev/stdout"};

static connection_t connections[CONNECTIONS_MAX];
static connection_t *market, *user;
static answer_t answers[ANSWERS_MAX];
static int answer_count, poller, connections_used;
static order_t *cancels;
static unsigned cancel_head, cancel_tail;
static int64_t *sent_ns, *received_ns;
static int64_t order_number = 1000000, orders, unmatched, doubles, placed;

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t wall_ms(void)
{
    return clock_ns(CLOCK_REALTIME) / 1000000;
}

/* ---- sockets ---------------------------------------------------------------------------------------------------- */

static void drop(connection_t *connection)
{
    if (connection->fd < 0)
        return;
    close(connection->fd);
    connection->fd = -1;
    market = connection == market ? NULL : market;
    user = connection == user ? NULL : user;
}

static void send_all(connection_t *connection, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t done = send(connection->fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (done < 0) {
            drop(connection);
            return;
        }
        bytes += done;
        size -= (size_t)done;
    }
}

/* What the socket takes of the answers that wait; the others wait for the next look. */
static void flush(connection_t *connection)
{
    ssize_t done = send(connection->fd, connection->output, connection->output_length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (done < 0 && errno != EAGAIN && errno != EINTR) {
        drop(connection);
    } else if (done > 0) {
        connection->output_length -= (size_t)done;
        memmove(connection->output, connection->output + done, connection->output_length);
    }
}

/* Leaves with the next flush(). */
static void send_frame(connection_t *connection, int opcode, const char *payload, size_t size)
{
    size_t head = size < 126 ? 2 : 4;
    if (connection->fd < 0 || size + head > OUTPUT_SIZE)
        return;
    while (connection->fd >= 0 && connection->output_length + size + head > OUTPUT_SIZE) {
        struct pollfd room = {.fd = connection->fd, .events = POLLOUT};
        poll(&room, 1, 1);
        flush(connection);
    }
    char *frame = connection->output + connection->output_length;
    frame[0] = (char)(0x80 | opcode);
    frame[1] = (char)(size < 126 ? size : 126);
    if (head == 4) {
        frame[2] = (char)(size >> 8);
        frame[3] = (char)size;
    }
    memcpy(frame + head, payload, size);
    connection->output_length += size + head;
}

/* ---- the WebSocket handshake needs SHA-1 and base64 of one short text ---------------------------------------------- */

static uint32_t rotate(uint32_t value, int bits)
{
    return value << bits | value >> (32 - bits);
}

static void sha1(const char *text, size_t size, uint8_t digest[20])
{
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    uint8_t message[256] = {0};
    memcpy(message, text, size);
    message[size] = 0x80;
    size_t padded = ((size + 8) / 64 + 1) * 64;
    for (int i = 0; i < 8; i++)
        message[padded - 1 - i] = (uint8_t)((uint64_t)size * 8 >> (8 * i));
    for (size_t block = 0; block < padded; block += 64) {
        uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
        for (int i = 0; i < 80; i++) {
            const uint8_t *four = message + block + 4 * i;
            w[i] = i < 16 ? (uint32_t)four[0] << 24 | (uint32_t)four[1] << 16 | (uint32_t)four[2] << 8 | four[3]
                          : rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
            uint32_t f = i < 20 ? (b & c) | (~b & d) : i < 40 ? b ^ c ^ d : i < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
            uint32_t k = i < 20 ? 0x5A827999 : i < 40 ? 0x6ED9EBA1 : i < 60 ? 0x8F1BBCDC : 0xCA62C1D6;
            uint32_t next = rotate(a, 5) + f + e + k + w[i];
            e = d, d = c, c = rotate(b, 30), b = a, a = next;
        }
        h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
    }
    for (int i = 0; i < 20; i++)
        digest[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static void base64_of_digest(const uint8_t digest[20], char out[29])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0; i < 21; i += 3) {
        uint32_t three = (uint32_t)digest[i] << 16 | (uint32_t)digest[i + 1] << 8 | (i + 2 < 20 ? digest[i + 2] : 0);
        for (int j = 0; j < 4; j++)
            *out++ = letters[three >> (18 - 6 * j) & 63];
    }
    out[-1] = '=';
    *out = '\0';
}

static void upgrade(connection_t *connection, const char *key, const char *path)
{
    char text[128], accept[32], reply[256];
    uint8_t digest[20];
    int size = snprintf(text, sizeof text, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", (int)strcspn(key, "\r\n"), key);
    sha1(text, (size_t)size, digest);
    base64_of_digest(digest, accept);
    size = snprintf(reply, sizeof reply,
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
    send_all(connection, reply, (size_t)size);
    connection->is_websocket = 1;
    connection->is_wrapped = strstr(path, "/stream") != NULL;
    if (strstr(path, "bookTicker"))
        market = connection;
    if (strstr(path, "listenKey") || strstr(path, "BENCHLISTENKEY"))
        user = connection;
}

/* ---- text --------------------------------------------------------------------------------------------------------- */

/* The value of JSON member or form parameter `name`; an empty string if there is none. */
static void value_of(const char *text, size_t size, const char *name, char *out, size_t room)
{
    size_t name_size = strlen(name);
    const char *end = text + size, *found = text;
    out[0] = '\0';
    while ((found = memmem(found, (size_t)(end - found), name, name_size)) != NULL) {
        const char *value = found + name_size;
        int is_member = found > text && found[-1] == '"' && value < end && *value == '"';
        int is_parameter = value < end && *value == '=' && (found == text || strchr("&?\n", found[-1]));
        found = value;
        if (!is_member && !is_parameter)
            continue;
        value++;
        while (is_member && value < end && (*value == ':' || *value == ' '))
            value++;
        int is_text = is_member && *value == '"';
        size_t length = 0;
        for (value += is_text; value < end && length + 1 < room; value++) {
            if (is_text ? *value == '"' : strchr(",}& \r\n", *value) != NULL)
                break;
            out[length++] = *value;
        }
        out[length] = '\0';
        return;
    }
}

/* The request's id as it was written, quotes included. */
static void id_of(const char *text, size_t size, char *out, size_t room)
{
    const char *found = memmem(text, size, "\"id\":", 5);
    size_t length = found == NULL ? 0 : strcspn(found + 5, ",}");
    snprintf(out, room, "%.*s", (int)(length ? length : 4), length ? found + 5 : "null");
}

/* Which tick an order answers: the price is unique. −1: none. */
static int64_t tick_of(const char *price)
{
    char *end;
    int64_t cents = strtoll(price, &end, 10) * 100;
    if (*end == '.' && end[1] != '\0')
        cents += (end[1] - '0') * 10 + (end[2] != '\0' ? end[2] - '0' : 0);
    int64_t tick = cents - PRICE_CENTS_FIRST;
    return tick >= 0 && tick < TICKS_MAX && sent_ns[tick] ? tick : -1;
}

/* ---- orders -------------------------------------------------------------------------------------------------------- */

static void take_order(const char *text, size_t size, int64_t now_ns, order_t *order)
{
    order->number = ++order_number;
    order->due_ns = now_ns + CANCEL_AFTER_NS;
    value_of(text, size, "price", order->price, sizeof order->price);
    value_of(text, size, "newClientOrderId", order->client_id, sizeof order->client_id);
    value_of(text, size, "quantity", order->quantity, sizeof order->quantity);
    value_of(text, size, "side", order->side, sizeof order->side);
    value_of(text, size, "timeInForce", order->time_in_force, sizeof order->time_in_force);
    orders++;
    int64_t tick = tick_of(order->price);
    if (tick < 0) {
        unmatched++;
    } else if (received_ns[tick]) {
        doubles++;
    } else {
        received_ns[tick] = now_ns;
        placed++;
    }
}

static int order_text(char *out, size_t room, const order_t *order)
{
    return snprintf(out, room,
                    "{\"orderId\":%lld,\"symbol\":\"BTCUSDT\",\"status\":\"NEW\",\"clientOrderId\":\"%s\",\"price\":\"%s\",\"origQty\":\"%s\","
                    "\"executedQty\":\"0.000\",\"cumQty\":\"0.000\",\"timeInForce\":\"%s\",\"type\":\"LIMIT\",\"reduceOnly\":false,"
                    "\"closePosition\":false,\"side\":\"%s\",\"positionSide\":\"BOTH\",\"stopPrice\":\"0.00\",\"workingType\":\"CONTRACT_PRICE\","
                    "\"priceProtect\":false,\"origType\":\"LIMIT\",\"priceMatch\":\"NONE\",\"selfTradePreventionMode\":\"NONE\","
                    "\"goodTillDate\":0,\"updateTime\":%lld}",
                    (long long)order->number, order->client_id, order->price, order->quantity, order->time_in_force, order->side,
                    (long long)wall_ms());
}

static void send_user_event(const order_t *order, const char *what)
{
    char event[1024];
    long long ms = wall_ms();
    if (user == NULL)
        return;
    int size = snprintf(event, sizeof event,
                        "{\"e\":\"ORDER_TRADE_UPDATE\",\"E\":%lld,\"T\":%lld,\"o\":{\"s\":\"BTCUSDT\",\"c\":\"%s\",\"S\":\"%s\",\"o\":\"LIMIT\",\"f\":\"%s\","
                        "\"q\":\"%s\",\"p\":\"%s\",\"ap\":\"0\",\"sp\":\"0\",\"x\":\"%s\",\"X\":\"%s\",\"i\":%lld,\"l\":\"0\",\"z\":\"0\",\"L\":\"0\",\"n\":\"0\","
                        "\"N\":\"USDT\",\"T\":%lld,\"t\":0,\"b\":\"0\",\"a\":\"0\",\"m\":false,\"R\":false,\"wt\":\"CONTRACT_PRICE\",\"ot\":\"LIMIT\",\"ps\":\"BOTH\","
                        "\"cp\":false,\"rp\":\"0\",\"pP\":false,\"si\":0,\"ss\":0,\"V\":\"NONE\",\"pm\":\"NONE\",\"gtd\":0,\"er\":\"0\"}}",
                        ms, ms, order->client_id, order->side, order->time_in_force, order->quantity, order->price, what, what,
                        (long long)order->number, ms);
    send_frame(user, 1, event, (size_t)size);
}

static void after_acknowledgement(const order_t *order)
{
    send_user_event(order, "NEW");
    if (user != NULL && cancel_tail - cancel_head < CANCEL_QUEUE_SIZE)
        cancels[cancel_tail++ % CANCEL_QUEUE_SIZE] = *order;
}

/* ---- requests ------------------------------------------------------------------------------------------------------- */

static void reply_http(connection_t *connection, int status, const char *body)
{
    static char reply[1 << 17];
    int size = snprintf(reply, sizeof reply,
                        "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: keep-alive\r\n\r\n%s", status,
                        strlen(body), body);
    send_all(connection, reply, (size_t)size);
}

static void answer_http(connection_t *connection, const char *method, char *path)
{
    char time[64];
    path[strcspn(path, "?")] = '\0';
    if (strstr(path, "/time")) {
        snprintf(time, sizeof time, "{\"serverTime\":%lld}", (long long)wall_ms());
        reply_http(connection, 200, time);
        return;
    }
    for (int i = 0; i < answer_count; i++)
        if (strcmp(answers[i].method, method) == 0 && strcmp(answers[i].path, path) == 0) {
            reply_http(connection, 200, answers[i].body);
            return;
        }
    reply_http(connection, 404, "{\"code\":-5000,\"msg\":\"Path is not served by the benchmark's venue.\"}");
}

/* Returns the bytes taken; 0: the request is not complete. */
static size_t on_http(connection_t *connection)
{
    char method[16] = "", path[2048] = "";
    char *end = memmem(connection->input, connection->length, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    size_t head = (size_t)(end - connection->input) + 4, body = 0;
    *end = '\0';
    const char *length = strcasestr(connection->input, "\r\ncontent-length:");
    const char *key = strcasestr(connection->input, "\r\nsec-websocket-key:");
    if (length != NULL)
        body = (size_t)atoi(length + 17);
    if (connection->length < head + body) {
        *end = '\r';
        return 0;
    }
    sscanf(connection->input, "%15s %2047s", method, path);
    if (key != NULL)
        upgrade(connection, key + 20 + strspn(key + 20, " "), path);
    else
        answer_http(connection, method, path);
    return head + body;
}

static void on_text(connection_t *connection, const char *text, size_t size, int64_t now_ns)
{
    static char reply[2048];
    char id[80], method[48];
    int used;
    id_of(text, size, id, sizeof id);
    value_of(text, size, "method", method, sizeof method);
    if (strcmp(method, "order.place") == 0) {
        order_t order;
        take_order(text, size, now_ns, &order);
        used = snprintf(reply, sizeof reply, "{\"id\":%s,\"status\":200,\"result\":", id);
        used += order_text(reply + used, sizeof reply - (size_t)used, &order);
        used += snprintf(reply + used, sizeof reply - (size_t)used, "}");
        send_frame(connection, 1, reply, (size_t)used);
        after_acknowledgement(&order);
        return;
    }
    if (strcmp(method, "SUBSCRIBE") == 0 && memmem(text, size, "bookTicker", 10) != NULL)
        market = connection;
    if (strcmp(method, "SUBSCRIBE") == 0 || strcmp(method, "UNSUBSCRIBE") == 0)
        used = snprintf(reply, sizeof reply, "{\"result\":null,\"id\":%s}", id);
    else if (strstr(method, "session.") || strstr(method, "userDataStream"))
        used = snprintf(reply, sizeof reply,
                        "{\"id\":%s,\"status\":200,\"result\":{\"apiKey\":\"bench\",\"authorizedSince\":%lld,\"connectedSince\":%lld,"
                        "\"returnRateLimits\":false,\"serverTime\":%lld,\"listenKey\":\"BENCHLISTENKEY\",\"subscriptionId\":0}}",
                        id, (long long)wall_ms(), (long long)wall_ms(), (long long)wall_ms());
    else
        used = snprintf(reply, sizeof reply, "{\"id\":%s,\"status\":400,\"error\":{\"code\":-2011,\"msg\":\"Unknown order sent.\"}}", id);
    send_frame(connection, 1, reply, (size_t)used);
}

static size_t on_frame(connection_t *connection, int64_t now_ns)
{
    uint8_t *bytes = (uint8_t *)connection->input;
    if (connection->length < 2)
        return 0;
    size_t head = 2, size = bytes[1] & 127;
    if (size == 126) {
        if (connection->length < 4)
            return 0;
        size = (size_t)bytes[2] << 8 | bytes[3];
        head = 4;
    }
    int is_masked = bytes[1] >> 7;
    uint8_t *mask = bytes + head;
    head += is_masked ? 4 : 0;
    if (connection->length < head + size)
        return 0;
    for (size_t i = 0; is_masked && i < size; i++)
        bytes[head + i] ^= mask[i & 3];
    int opcode = bytes[0] & 15;
    if (opcode == 1)
        on_text(connection, (char *)bytes + head, size, now_ns);
    else if (opcode == 9)
        send_frame(connection, 10, (char *)bytes + head, size);
    else if (opcode == 8)
        drop(connection);
    return head + size;
}

static void on_readable(connection_t *connection)
{
    ssize_t got = recv(connection->fd, connection->input + connection->length, INPUT_SIZE - connection->length - 1, MSG_DONTWAIT);
    int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            drop(connection);
        return;
    }
    connection->length += (size_t)got;
    size_t taken = 0, used;
    char *whole = connection->input;
    size_t length = connection->length;
    do {
        connection->input = whole + taken;
        connection->length = length - taken;
        used = connection->length == 0 ? 0 : connection->is_websocket ? on_frame(connection, now_ns) : on_http(connection);
        taken += used;
    } while (used > 0 && connection->fd >= 0);
    connection->input = whole;
    connection->length = length - taken;
    memmove(whole, whole + taken, connection->length);
}

static void on_connect(int listener)
{
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0)
        return;
    int send_buffer = SEND_BUFFER;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        if (connections[i].fd >= 0)
            continue;
        char *input = connections[i].input ? connections[i].input : malloc(INPUT_SIZE);
        char *output = connections[i].output ? connections[i].output : malloc(OUTPUT_SIZE);
        connections[i] = (connection_t){.fd = fd, .input = input, .output = output};
        connections_used = i >= connections_used ? i + 1 : connections_used;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
        return;
    }
    close(fd);
}

/* ---- ticks ------------------------------------------------------------------------------------------------------------ */

static void send_tick(int64_t tick, int is_trigger)
{
    static int64_t update_id = 400900217;
    char frame[512];
    int64_t cents = PRICE_CENTS_FIRST + tick;
    long long ms = wall_ms();
    int size = snprintf(frame, sizeof frame,
                        "%s{\"e\":\"bookTicker\",\"u\":%lld,\"E\":%lld,\"T\":%lld,\"s\":\"BTCUSDT\",\"b\":\"%lld.%02lld\",\"B\":\"%s\",\"a\":\"%lld.%02lld\",\"A\":\"4.066\"}%s",
                        market->is_wrapped ? "{\"stream\":\"btcusdt@bookTicker\",\"data\":" : "", (long long)++update_id, ms, ms,
                        (long long)(cents / 100), (long long)(cents % 100), is_trigger ? "9.000" : "1.000",
                        (long long)((cents + 10) / 100), (long long)((cents + 10) % 100), market->is_wrapped ? "}" : "");
    if (is_trigger)
        sent_ns[tick] = clock_ns(CLOCK_MONOTONIC);
    send_frame(market, 1, frame, (size_t)size);
    flush(market);
}

/* ---- results ------------------------------------------------------------------------------------------------------------ */

static int by_value(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* "p50":…,"p99":… of the latencies of ticks [first, last), in µs. */
static void write_latencies(FILE *out, int64_t first, int64_t last)
{
    int64_t *latency = malloc(sizeof *latency * (size_t)(last - first + 1)), count = 0;
    for (int64_t tick = first; tick < last; tick++)
        if (received_ns[tick])
            latency[count++] = received_ns[tick] - sent_ns[tick];
    qsort(latency, (size_t)count, sizeof *latency, by_value);
#define AT(quantile) (count ? (double)latency[(int64_t)((quantile) * (double)(count - 1))] / 1e3 : 0.0)
    fprintf(out, "\"sent\":%lld,\"answered\":%lld,\"p50\":%.2f,\"p90\":%.2f,\"p99\":%.2f,\"p99_9\":%.2f,\"max\":%.2f", (long long)(last - first),
            (long long)count, AT(0.5), AT(0.9), AT(0.99), AT(0.999), AT(1.0));
#undef AT
    free(latency);
}

static void write_result(int64_t ticks)
{
    FILE *out = fopen(options.out, "w");
    if (out == NULL) {
        perror(options.out);
        exit(1);
    }
    fprintf(out, "{\"orders\":%lld,\"unmatched\":%lld,\"doubles\":%lld,", (long long)orders, (long long)unmatched, (long long)doubles);
    if (options.step_count == 0) {
        fprintf(out, "\"latency_us\":{");
        write_latencies(out, options.warmup, ticks);
        fprintf(out, "}}\n");
    } else {
        fprintf(out, "\"steps\":[");
        for (int i = 0; i < options.step_count; i++) {
            const step_t *step = &options.steps[i];
            int64_t in_time = 0;
            for (int64_t tick = step->first; tick < step->last; tick++)
                in_time += received_ns[tick] && received_ns[tick] <= step->end_ns + 20000000;
            fprintf(out, "%s{\"rate\":%.0f,\"seconds\":%.3f,\"answered_in_time\":%lld,\"orders_per_s\":%.0f,", i ? "," : "", step->rate,
                    (double)(step->end_ns - step->begin_ns) / 1e9, (long long)in_time,
                    (double)in_time / ((double)(step->end_ns - step->begin_ns) / 1e9));
            write_latencies(out, step->first, step->last);
            fprintf(out, "}");
        }
        fprintf(out, "]}\n");
    }
    fclose(out);
}

/* ---- the loop -------------------------------------------------------------------------------------------------------------- */

static void serve(int listener)
{
    struct epoll_event events[32];
    int ready = epoll_wait(poller, events, 32, options.block && market == NULL ? 20 : 0);
    for (int i = 0; i < ready; i++) {
        connection_t *connection = events[i].data.ptr;
        if (connection == NULL)
            on_connect(listener);
        else if (connection->fd >= 0)
            on_readable(connection);
    }
    int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    while (cancel_head != cancel_tail && cancels[cancel_head % CANCEL_QUEUE_SIZE].due_ns <= now_ns)
        send_user_event(&cancels[cancel_head++ % CANCEL_QUEUE_SIZE], "CANCELED");
    for (int i = 0; i < connections_used; i++)
        if (connections[i].fd >= 0 && connections[i].output_length > 0)
            flush(&connections[i]);
    if (options.block && market != NULL)
        usleep(REST_US);
}

static void serve_until(int listener, int64_t until_ns)
{
    while (clock_ns(CLOCK_MONOTONIC) < until_ns)
        serve(listener);
}

static int has_room(void)
{
    struct pollfd ask = {.fd = market->fd, .events = POLLOUT};
    return poll(&ask, 1, 0) == 1;
}

/* Sends ticks [first, …) until `count` triggers are out or `until_ns`; returns the next tick. */
static int64_t stream(int listener, int64_t tick, int64_t last, double interval_ns, int every, int64_t until_ns)
{
    double due_ns = (double)clock_ns(CLOCK_MONOTONIC);
    for (int64_t sent = 0; tick < last && market != NULL; sent++) {
        serve_until(listener, (int64_t)due_ns);
        while (market != NULL && !has_room() && (!until_ns || clock_ns(CLOCK_MONOTONIC) < until_ns))
            serve(listener);
        if (market == NULL || (until_ns && clock_ns(CLOCK_MONOTONIC) >= until_ns))
            break;
        int is_trigger = sent % every == 0;
        send_tick(is_trigger || tick == 0 ? tick : tick - 1, is_trigger);
        tick += is_trigger;
        due_ns += interval_ns;
    }
    return tick;
}

static int64_t run_steps(int listener)
{
    int64_t tick = 0;
    for (int i = 0; i < options.step_count && market != NULL; i++) {
        step_t *step = &options.steps[i];
        printf("step\n"); /* Who meters CPU time takes it at both ends of a step. */
        fflush(stdout);
        step->first = tick;
        step->begin_ns = clock_ns(CLOCK_MONOTONIC);
        tick = stream(listener, tick, TICKS_MAX, 1e9 / step->rate, 1, step->begin_ns + (int64_t)(options.step_seconds * 1e9));
        step->last = tick;
        step->end_ns = clock_ns(CLOCK_MONOTONIC);
        while (placed < tick && clock_ns(CLOCK_MONOTONIC) < step->end_ns + DRAIN_NS)
            serve(listener);
        printf("done\n");
        fflush(stdout);
        serve_until(listener, clock_ns(CLOCK_MONOTONIC) + STEP_PAUSE_NS);
    }
    return tick;
}

static void read_answers(const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    while (answer_count < ANSWERS_MAX && getline(&line, &room, file) > 0) {
        char *copy = strdup(line), *space = strchr(copy, ' '), *tab = strchr(copy, '\t');
        if (space == NULL || tab == NULL)
            continue;
        *space = *tab = '\0';
        tab[1 + strcspn(tab + 1, "\n")] = '\0';
        answers[answer_count++] = (answer_t){copy, space + 1, tab + 1};
    }
    free(line);
    fclose(file);
}

static void read_options(int count, char **words)
{
    for (int i = 1; i < count; i++) {
        const char *value = i + 1 < count ? words[i + 1] : "";
#define OPTION(name) (strcmp(words[i], name) == 0 && ++i)
        if (strcmp(words[i], "--block") == 0) options.block = 1;
        else if (OPTION("--port")) options.port = atoi(value);
        else if (OPTION("--core")) options.core = atoi(value);
        else if (OPTION("--answers")) options.answers = value;
        else if (OPTION("--out")) options.out = value;
        else if (OPTION("--every")) options.every = atoi(value);
        else if (OPTION("--samples")) options.samples = atoi(value);
        else if (OPTION("--warmup")) options.warmup = atoi(value);
        else if (OPTION("--interval-us")) options.interval_us = atof(value);
        else if (OPTION("--step-seconds")) options.step_seconds = atof(value);
        else if (OPTION("--rates")) {
            char *rates = strdup(value), *rate;
            while ((rate = strsep(&rates, ",")) != NULL && options.step_count < STEPS_MAX)
                options.steps[options.step_count++].rate = atof(rate);
        } else {
            fprintf(stderr, "venue: unknown option %s\n", words[i]);
            exit(2);
        }
#undef OPTION
    }
}

int main(int count, char **words)
{
    read_options(count, words);
    if (options.answers != NULL)
        read_answers(options.answers);
    if (options.core >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(options.core, &set);
        sched_setaffinity(0, sizeof set, &set);
    }
    sent_ns = calloc(TICKS_MAX, sizeof *sent_ns);
    received_ns = calloc(TICKS_MAX, sizeof *received_ns);
    cancels = calloc(CANCEL_QUEUE_SIZE, sizeof *cancels);
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        connections[i].fd = -1;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 64)) {
        fprintf(stderr, "venue: port %d: %s\n", options.port, strerror(errno));
        return 1;
    }
    poller = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    socklen_t address_size = sizeof address;
    getsockname(listener, (struct sockaddr *)&address, &address_size);
    printf("ready %d\n", ntohs(address.sin_port));
    fflush(stdout);
    int64_t patience_ns = clock_ns(CLOCK_MONOTONIC) + 60000000000;
    while (market == NULL && clock_ns(CLOCK_MONOTONIC) < patience_ns)
        serve(listener);
    if (market == NULL) {
        fprintf(stderr, "venue: nobody subscribed to bookTicker within 60 s\n");
        return 3;
    }
    serve_until(listener, clock_ns(CLOCK_MONOTONIC) + 3000000000); /* The client's other sessions come up meanwhile. */
    printf("begin\n");
    fflush(stdout);
    int64_t ticks = options.step_count ? run_steps(listener)
                                       : stream(listener, 0, options.samples + options.warmup, options.interval_us * 1e3, options.every, 0);
    serve_until(listener, clock_ns(CLOCK_MONOTONIC) + 500000000);
    write_result(ticks);
    return 0;
}
