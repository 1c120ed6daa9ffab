#include "requests.h"

#include <assert.h>
#include <string.h>

#define DIGITS_MAX 20

/* A whole number without leading zeros, or with as many as `digits_min` asks for. Returns where it ends. */
static char *put_whole(char *at, uint64_t value, uint32_t digits_min)
{
    char digits[DIGITS_MAX];
    uint32_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value || count < digits_min);
    while (count)
        *at++ = digits[--count];
    return at;
}

/* `value` · 10^-decimals with exactly so many decimals. */
static char *put_decimal(char *at, uint64_t value, uint32_t decimals)
{
    assert(decimals < DIGITS_MAX && "decimals of an instrument fit 64 bits");
    char *end = put_whole(at, value, decimals + 1);
    if (decimals) {
        char *point = end - decimals;
        memmove(point + 1, point, decimals);
        *point = '.';
        end++;
    }
    return end;
}

/* What changes from order to order, as the wire wants it. */
typedef struct holes {
    const char *client_order_id;
    uint64_t number;
    uint64_t price;                /* in 10^-price_decimals */
    uint64_t quantity;
    uint64_t timestamp_ms;
    char     signature[SIGNATURE_SIZE];
} holes_t;

static uint64_t fill(const place_template_t *template, const char *text, uint32_t size, char *room, const holes_t *holes)
{
    char *at = room;
    const char *end = text + size;
    while (text < end) {
        const char *start = text;
        while (text < end && (unsigned char)*text > HOLE_SIGNATURE)
            text++;
        memcpy(at, start, (size_t)(text - start));
        at += text - start;
        if (text == end)
            break;
        switch (*text++) {
        case HOLE_NUMBER:
            at = put_whole(at, holes->number, 1);
            break;
        case HOLE_CLIENT_ORDER_ID:
            for (uint32_t index = 0; index < CLIENT_ORDER_ID_SIZE && holes->client_order_id[index]; index++)
                *at++ = holes->client_order_id[index];
            break;
        case HOLE_PRICE:
            at = put_decimal(at, holes->price, template->price_decimals);
            break;
        case HOLE_QUANTITY:
            at = put_decimal(at, holes->quantity, template->quantity_decimals);
            break;
        case HOLE_TIMESTAMP:
            at = put_whole(at, holes->timestamp_ms, 1);
            break;
        case HOLE_SIGNATURE:
            memcpy(at, holes->signature, SIGNATURE_SIZE);
            at += SIGNATURE_SIZE;
            break;
        default:
            assert(0 && "a template holds no other control character");
        }
    }
    return (uint64_t)(at - room);
}

uint64_t place_fill(const place_template_t *template, const command_message_t *place, const char *client_order_id, uint64_t number,
                    int64_t timestamp_ms)
{
    holes_t holes;
    holes.client_order_id = client_order_id;
    holes.number = number;
    holes.timestamp_ms = (uint64_t)timestamp_ms;
    if (place->price_ticks < 0 || place->quantity_lots < 0 ||
        __builtin_mul_overflow((uint64_t)place->price_ticks, (uint64_t)template->tick_size, &holes.price) ||
        __builtin_mul_overflow((uint64_t)place->quantity_lots, (uint64_t)template->lot_size, &holes.quantity))
        return 0;
    if (template->key) {
        uint64_t size = fill(template, template->signed_text, template->signed_size, template->signed_room, &holes);
        hmac_sign(template->key, template->signed_room, (uint32_t)size, holes.signature);
    }
    return fill(template, template->frame, template->frame_size, template->frame_room, &holes);
}

int64_t place_send(const place_template_t *template, const command_message_t *place, uint64_t number, int64_t timestamp_ms,
                   outbox_t *outbox, int32_t fd)
{
    const uint64_t size = place_fill(template, place, place->client_order_id, number, timestamp_ms);
    return size == 0 ? PLACE_IMPOSSIBLE : outbox_send(outbox, fd, WEBSOCKET_TEXT, template->frame_room, size);
}
