/* requests.h — a place → the bytes of its request, by a template made once.
 *
 *     {"id":␁,"method":"order.place","params":{"newClientOrderId":"␂", … "price":"␃","quantity":"␄", … "timestamp":␅,"signature":"␆"}}
 *
 * What changes from order to order stands in the template as one of the control characters below, which no JSON text holds.
 * Filling it is copying: what an order means is spelled where the template is made (exchanges/binance/orders.py).
 */
#ifndef CRYPTO_TRADE_REQUESTS_H
#define CRYPTO_TRADE_REQUESTS_H

#include <stdint.h>

#include "hmac.h"
#include "messages.h"
#include "websocket.h"

/* cffi: begin */
typedef enum hole {
    HOLE_NUMBER = 1,               /* of the request */
    HOLE_CLIENT_ORDER_ID = 2,
    HOLE_PRICE = 3,                /* with all decimals of the instrument */
    HOLE_QUANTITY = 4,
    HOLE_TIMESTAMP = 5,            /* ms */
    HOLE_SIGNATURE = 6             /* of the text that is signed, filled likewise */
} hole_e;

#define HOLE_SIZE_MAX 64           /* No hole is filled with more bytes than this. */

/* One kind of place on one instrument. The caller's memory. */
typedef struct place_template {
    const char *signed_text;       /* what is signed; size 0: nothing */
    const char *frame;             /* the request */
    const hmac_key_t *key;         /* NULL: nothing is signed */
    uint32_t signed_size;
    uint32_t frame_size;
    int64_t  tick_size;            /* in 10^-price_decimals */
    int64_t  lot_size;
    uint32_t price_decimals;
    uint32_t quantity_decimals;
    char    *signed_room;          /* where both go: at least their size and HOLE_SIZE_MAX for each hole */
    char    *frame_room;
} place_template_t;

/* Fills both texts of the template, the signature of the one into the other. Returns the size of the frame; 0 if price or
 * quantity is negative or does not fit 64 bits on the wire. `client_order_id` ends with a NUL or after CLIENT_ORDER_ID_SIZE. */
uint64_t place_fill(const place_template_t *template, const command_message_t *place, const char *client_order_id, uint64_t number,
                    int64_t timestamp_ms);

#define PLACE_IMPOSSIBLE -1000001  /* Price or quantity can never be sent; as 0 of place_fill(). No errno. */

/* Fills the template for a place under its own client id, and sends it as one text frame, behind what waits in the outbox: an order's
 * whole way from the command to the kernel. As outbox_send(), or PLACE_IMPOSSIBLE. */
int64_t place_send(const place_template_t *template, const command_message_t *place, uint64_t number, int64_t timestamp_ms,
                   outbox_t *outbox, int32_t fd);
/* cffi: end */

#endif
