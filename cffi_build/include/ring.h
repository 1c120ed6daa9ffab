/* ring.h — a bounded queue between one producer and one consumer who do not trust each other's memory.
 *
 * Each side writes only its own segment and maps the other's read-only.
 *
 *   the producer's segment                             the consumer's segment
 *   ┌───────────────────────────────────────────┐     ┌─────────────────────────────────────────────┐
 *   │ header   magic version lanes size epoch   │     │ header   magic version lanes size epoch     │
 *   │ published lane 0                          │     │ released lane 0                             │
 *   │ published lane 1                          │     │ released lane 1                             │
 *   │ confirm  to which consumer, its start     │     │ peeked   both lanes                         │
 *   ├───────────────────────────────────────────┤     │ sleep    odd: asleep                        │
 *   │ lane 0   slot 0 │ slot 1 │ … │ slot n − 1 │     │ offer    to which producer, where it starts │
 *   │ lane 1   slot 0 │ slot 1 │ … │ slot n − 1 │     └─────────────────────────────────────────────┘
 *   └───────────────────────────────────────────┘      every row is one cache line
 *
 * Cursors count messages since the link was born and never wrap (64 bits): message number s, counted from 1, lies in slot
 * (s − 1) mod capacity. For each lane and at any time
 *
 *     released ≤ peeked ≤ published ≤ claimed ≤ released + capacity
 *
 * How two sides meet (and how a successor takes a dead one's place). Every opening of a segment has an epoch; a later
 * opening has a greater one.
 *   1. The consumer finds the producer's segment and writes an offer to its epoch: "the message after `published` is yours".
 *      That is 0, or, if it outlived another producer, what that one had published last.
 *   2. The producer finds the offer. If it has never been attached, it starts there. It writes a confirmation to the
 *      consumer's epoch with the last cursors of the consumer before this one, whose mapping it kept, and its own.
 *   3. The consumer finds the confirmation. A new one starts at the confirmed released cursor; what lies between released and
 *      peeked has been seen by its predecessor. An old one first drains the dead producer's segment, lane by lane.
 * Nobody claims or peeks before that. A side that finds its partner attached to a later epoch has been replaced, and stops.
 */
#ifndef CRYPTO_TRADE_RING_H
#define CRYPTO_TRADE_RING_H

#include <stdint.h>

/* cffi: begin */
#define RING_LANES_MAX 2

typedef enum ring_result {
    RING_OK = 0,
    RING_WAIT = 1,          /* the partner has not done its part of the meeting yet */
    RING_BAD_MAGIC = 2,     /* not a segment of this kind */
    RING_BAD_VERSION = 3,   /* laid out by another version of this code */
    RING_BAD_SLOT_SIZE = 4,
    RING_BAD_CAPACITY = 5,  /* not a power of two, or not ours */
    RING_BAD_LANES = 6,
    RING_BAD_SIZE = 7,      /* the memory is smaller than its header claims */
    RING_BAD_CURSOR = 8,    /* a cursor that cannot be: the partner's memory is damaged */
    RING_REPLACED = 9       /* the partner works with a later opening of this side */
} ring_result_e;

typedef struct ring_producer ring_producer_t;
typedef struct ring_consumer ring_consumer_t;
typedef struct ring_producer_lane ring_producer_lane_t;
typedef struct ring_consumer_lane ring_consumer_lane_t;

/* How the producer found things when it confirmed a new consumer: released ≤ peeked ≤ published. */
typedef struct ring_recovery {
    uint64_t released;
    uint64_t peeked;
    uint64_t published;
} ring_recovery_t;

/* Bytes to provide, 64-byte aligned: the two segments (shared), the two handles (private). */
uint64_t ring_producer_segment_size(uint32_t lanes, uint64_t capacity, uint64_t slot_size);
uint64_t ring_consumer_segment_size(void);
uint64_t ring_producer_size(void);
uint64_t ring_consumer_size(void);

/* Lays out `segment` and fills the handle. RING_OK, RING_BAD_CAPACITY (a power of two), RING_BAD_SLOT_SIZE (a multiple of 64),
 * RING_BAD_LANES, RING_BAD_SIZE. `wake_fd` is the consumer's eventfd, −1: it never sleeps. */
int32_t ring_producer_open(ring_producer_t *producer, void *segment, uint64_t size, uint32_t lanes, uint64_t capacity,
                           uint64_t slot_size, uint64_t epoch, int32_t wake_fd);
int32_t ring_consumer_open(ring_consumer_t *consumer, void *segment, uint64_t size, uint32_t lanes, uint64_t capacity,
                           uint64_t slot_size, uint64_t epoch);

/* From now on the core is offered to the consumer whenever the bell was rung for it: where both share one, the woken reader
 * would else wait until the writer has finished its pass, or the scheduler lost patience. */
void ring_hand_over(ring_producer_t *producer);

/* The epoch in a partner's header; 0: not one of ours. */
uint64_t ring_segment_epoch(const void *segment, uint64_t size);

/* Step 1: writes our offer to the producer of `segment`. RING_OK, or what is wrong with the segment. */
int32_t ring_consumer_offer(ring_consumer_t *consumer, const void *segment, uint64_t size);

/* Step 2: RING_OK once attached (claims are possible), RING_WAIT while there is no offer to us, or what is wrong. */
int32_t ring_producer_meet(ring_producer_t *producer, const void *segment, uint64_t size);

/* Step 3: RING_OK once confirmed, RING_WAIT before. Then each lane goes over by ring_switch(). */
int32_t ring_consumer_meet(ring_consumer_t *consumer, const void *segment, uint64_t size);

/* RING_OK: attached, and the partner agrees. RING_WAIT: not attached. RING_REPLACED. RING_BAD_CURSOR: saw damage. */
int32_t ring_producer_state(const ring_producer_t *producer);
int32_t ring_consumer_state(const ring_consumer_t *consumer);

ring_producer_lane_t *ring_producer_lane(ring_producer_t *producer, uint32_t lane);
ring_consumer_lane_t *ring_consumer_lane(ring_consumer_t *consumer, uint32_t lane);

/* The slot of message number `sequence` (from 1). The consumer's is in the segment that the lane reads at present. */
void *ring_producer_slot(const ring_producer_lane_t *lane, uint64_t sequence);
const void *ring_consumer_slot(const ring_consumer_lane_t *lane, uint64_t sequence);

/* Producer: claims up to `count_max` slots behind those already claimed. How many (0: full, or not attached). */
uint64_t ring_claim(ring_producer_lane_t *lane, uint64_t count_max);
/* Publishes the `count` oldest claimed slots and wakes the consumer if it sleeps. */
void ring_commit(ring_producer_lane_t *lane, uint64_t count);
/* The same with everything claimed. */
void ring_commit_all(ring_producer_lane_t *lane);
/* Slots that a claim would get now. */
uint64_t ring_free(ring_producer_lane_t *lane);
/* Number of the last slot claimed. */
uint64_t ring_claimed(const ring_producer_lane_t *lane);

/* Consumer: takes up to `count_max` unread messages behind those already peeked. How many (0: none). */
uint64_t ring_peek(ring_consumer_lane_t *lane, uint64_t count_max);
/* Gives the `count` oldest peeked slots back to the producer. */
void ring_release(ring_consumer_lane_t *lane, uint64_t count);
/* The same with everything peeked. */
void ring_release_all(ring_consumer_lane_t *lane);
/* Messages that a peek would get now. */
uint64_t ring_pending(ring_consumer_lane_t *lane);
/* Number of the last message peeked. */
uint64_t ring_peeked(const ring_consumer_lane_t *lane);
/* 1: the lane has a successor's segment to go to, and nothing of the one it reads is unread or still in somebody's hands. */
int32_t ring_may_switch(ring_consumer_lane_t *lane);
/* 1: the lane is drained and a successor's segment is confirmed, or the first one is: the lane reads it from now on. */
int32_t ring_switch(ring_consumer_lane_t *lane);
void ring_recovered(const ring_consumer_lane_t *lane, ring_recovery_t *recovery);

/* Raises the sleep flag, then looks again. 1: sleep; whoever commits from now on rings the bell. 0: there is something to
 * read, and the flag is down again. */
int32_t ring_prepare_sleep(ring_consumer_t *consumer);
void ring_cancel_sleep(ring_consumer_t *consumer);

/* Lanes of several links that one role reads, and readers that sleep together: one call for all of them. */
#define RING_WATCH_MAX 63  /* a bit each in a positive int64 */
typedef struct ring_watch {
    uint64_t count;
    ring_consumer_lane_t *lanes[63];
} ring_watch_t;
typedef struct ring_sleepers {
    uint64_t count;
    ring_consumer_t *consumers[63];
} ring_sleepers_t;

/* Bit i: lanes[i] has something to peek, or a successor's segment to go over to. */
uint64_t ring_unread(const ring_watch_t *watch);
/* ring_prepare_sleep() for all: 1: sleep; 0: there is something to read, and every flag is down again. */
int32_t ring_prepare_sleep_all(ring_sleepers_t *sleepers);
void ring_cancel_sleep_all(ring_sleepers_t *sleepers);

/* The same with a copy: moves up to `count_max` messages; how many. Nothing may be claimed, or peeked and not released. */
uint64_t ring_write(ring_producer_lane_t *lane, const void *messages, uint64_t count_max);
uint64_t ring_read(ring_consumer_lane_t *lane, void *messages, uint64_t count_max);
/* cffi: end */

#endif
