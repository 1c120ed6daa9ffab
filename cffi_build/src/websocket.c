#include "websocket.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* xorshift64*: masks keep our bytes from looking like something else to a proxy between; they are no secret. */
static uint32_t next_mask(outbox_t *outbox)
{
    uint64_t state = outbox->random;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    outbox->random = state;
    return (uint32_t)((state * 0x2545f4914f6cdd1dull) >> 32);
}

uint64_t outbox_put(outbox_t *outbox, uint32_t opcode, const char *payload, uint64_t size)
{
    assert(outbox->used <= outbox->capacity && outbox->random && "an outbox is made once, with room and a seed");
    uint32_t head = size < 126 ? 2 : size < 65536 ? 4 : 10;
    uint64_t left = outbox->capacity - outbox->used;
    if (left < head + 4 || left - head - 4 < size)
        return 0;
    unsigned char *at = (unsigned char *)outbox->room + outbox->used;
    at[0] = (unsigned char)(0x80 | opcode);
    at[1] = (unsigned char)(0x80 | (head == 2 ? size : head == 4 ? 126 : 127));
    for (uint32_t index = 2; index < head; index++)
        at[index] = (unsigned char)(size >> 8 * (head - 1 - index));
    uint32_t mask = next_mask(outbox);
    uint64_t wide = (uint64_t)mask << 32 | mask, done = 0, eight;
    memcpy(at + head, &mask, 4);
    at += head + 4;
    for (; done + 8 <= size; done += 8) {
        memcpy(&eight, payload + done, 8);
        eight ^= wide;
        memcpy(at + done, &eight, 8);
    }
    const unsigned char *key = (const unsigned char *)&wide;
    for (; done < size; done++)
        at[done] = (unsigned char)payload[done] ^ key[done & 3];
    outbox->used += head + 4 + size;
    return outbox->used;
}

int64_t outbox_write(outbox_t *outbox, int32_t fd)
{
    const ssize_t done = write(fd, outbox->room, outbox->used);
    if (done < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? (int64_t)outbox->used : -(int64_t)errno;
    outbox->used -= (uint64_t)done;
    if (outbox->used != 0)
        memmove(outbox->room, outbox->room + done, outbox->used);
    return (int64_t)outbox->used;
}

int64_t outbox_send(outbox_t *outbox, int32_t fd, uint32_t opcode, const char *payload, uint64_t size)
{
    return outbox_put(outbox, opcode, payload, size) == 0 ? OUTBOX_NO_ROOM : outbox_write(outbox, fd);
}
