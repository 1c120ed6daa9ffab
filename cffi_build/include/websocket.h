/* websocket.h — frames of RFC 6455 as a client has them: heads of what a server sent, whole frames of ours.
 *
 *     server ─▶ │81│7e│size │ payload                        not masked
 *     ours   ◀─ │81│fe│size │ mask │ payload ⊕ mask … │81│…   one behind another in a room, written to the socket in one go
 */
#ifndef CRYPTO_TRADE_WEBSOCKET_H
#define CRYPTO_TRADE_WEBSOCKET_H

#include <stdint.h>

#define WEBSOCKET_PAYLOAD_MAX (32u << 20)  /* The largest message a venue sends over a socket is a few MB. */
#define WEBSOCKET_BROKEN UINT32_MAX
#define WEBSOCKET_TEXT 1

/* cffi: begin */
/* Frames of ours that wait to be written. The caller's memory; `used` is set to 0 when they are written. */
typedef struct outbox {
    char    *room;
    uint64_t capacity;
    uint64_t used;
    uint64_t random;               /* state of the masks: not 0, different for every connection */
} outbox_t;

/* Puts one whole frame behind what waits; `opcode` without the bit that ends a message. Returns the bytes that wait now, 0 if there is no room. */
uint64_t outbox_put(outbox_t *outbox, uint32_t opcode, const char *payload, uint64_t size);

#define OUTBOX_NO_ROOM -1000000  /* no errno */

/* Writes what waits to a socket that does not block. Returns the bytes that wait still (0: all is written; else the kernel has no
 * room), or −errno: then nobody knows what left. */
int64_t outbox_write(outbox_t *outbox, int32_t fd);
/* Puts one frame behind what waits, and writes all of it: one crossing for an order. OUTBOX_NO_ROOM: nothing was done. */
int64_t outbox_send(outbox_t *outbox, int32_t fd, uint32_t opcode, const char *payload, uint64_t size);
/* cffi: end */

typedef struct websocket_head {
    uint32_t opcode;               /* the first byte: the bit that ends a message, and the kind */
    uint64_t size;                 /* of the payload */
} websocket_head_t;

/* The head of a server's frame. Returns its size, 0 if it is not all there yet, WEBSOCKET_BROKEN if it is none. */
static inline uint32_t websocket_read_head(const unsigned char *at, uint64_t left, websocket_head_t *head)
{
    if (left < 2)
        return 0;
    uint32_t size = at[1] < 126 ? 2 : at[1] == 126 ? 4 : 10;
    if ((at[0] & 0x70) || (at[1] & 0x80))
        return WEBSOCKET_BROKEN;  /* An extension that nobody agreed to, or a mask. */
    if (left < size)
        return 0;
    head->opcode = at[0];
    head->size = at[1];
    if (size > 2) {
        head->size = 0;
        for (uint32_t index = 2; index < size; index++)
            head->size = head->size << 8 | at[index];
    }
    return head->size > WEBSOCKET_PAYLOAD_MAX ? WEBSOCKET_BROKEN : size;
}

#endif
