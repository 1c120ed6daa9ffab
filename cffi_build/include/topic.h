/* topic.h — what stands in front of every message of a topic, so that a program in any language can read it.
 *
 *   ┌────────────────────┬───────────────┐
 *   │ topic_header_t     │ body          │   one iceoryx2 sample of type [u8], little-endian
 *   └────────────────────┴───────────────┘
 *     64 bytes             `length` bytes
 */
#ifndef CRYPTO_TRADE_TOPIC_H
#define CRYPTO_TRADE_TOPIC_H

#include <stdint.h>

/* cffi: begin */
#define TOPIC_MAGIC 0x69706f74
#define TOPIC_VERSION 1
#define TOPIC_KEY_SIZE 32

/* header.kind of the messages on `<topic>/wanted`, from subscribers to publishers. */
typedef enum topic_wish { TOPIC_WANT = 1, TOPIC_UNWANT = 2 } topic_wish_e;

typedef struct topic_header {
    uint32_t magic;                /* TOPIC_MAGIC: "topi" */
    uint16_t version;
    uint16_t kind;                 /* what the body is: the publisher's own numbering */
    uint64_t sequence;             /* per publisher, from 1: a gap means that messages were lost */
    int64_t  publish_ns;           /* CLOCK_MONOTONIC */
    uint32_t source;               /* which publisher of the topic */
    uint32_t length;               /* bytes of the body */
    char     key[32];              /* TOPIC_KEY_SIZE: what it is about, "binance_spot:BTCUSDT", NUL-padded */
} topic_header_t;
/* cffi: end */

_Static_assert(sizeof(topic_header_t) == 64, "one cache line");

#endif
