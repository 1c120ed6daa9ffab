#include "ring.h"

#include "wake.h"

#include <assert.h>
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>

#define LINE 64
#define MAGIC_PRODUCER UINT64_C(0x31646f727067726e) /* "nrgprod1" */
#define MAGIC_CONSUMER UINT64_C(0x31736e6f6367726e) /* "nrgcons1" */
#define LAYOUT_VERSION 1

typedef _Atomic uint64_t cursor_t;

static_assert(sizeof(cursor_t) == 8 && ATOMIC_LLONG_LOCK_FREE == 2, "a cursor is one lock-free word");

/* Written before the segment is handed out, never again: plain. */
typedef struct header {
    alignas(LINE) uint64_t magic;
    uint32_t version;
    uint32_t lanes;
    uint64_t slot_size;
    uint64_t capacity;
    uint64_t epoch;
} header_t;

typedef struct lone_cursor {
    alignas(LINE) cursor_t value;
} lone_cursor_t;

typedef struct producer_segment {
    header_t header;
    lone_cursor_t published[RING_LANES_MAX];
    struct {
        alignas(LINE) cursor_t consumer_epoch; /* written last */
        cursor_t released[RING_LANES_MAX];
        cursor_t peeked[RING_LANES_MAX];
        cursor_t published[RING_LANES_MAX]; /* at that moment: later ones were sent to the new consumer */
    } confirm;
} producer_segment_t;

typedef struct consumer_segment {
    header_t header;
    lone_cursor_t released[RING_LANES_MAX];
    struct {
        alignas(LINE) cursor_t value[RING_LANES_MAX];
    } peeked;
    lone_cursor_t sleep; /* a ticket: odd while asleep, so that one sleep costs one ringing of the bell */
    struct {
        alignas(LINE) cursor_t producer_epoch; /* written last */
        cursor_t published[RING_LANES_MAX];
    } offer;
} consumer_segment_t;

static_assert(sizeof(producer_segment_t) == 4 * LINE, "header, two cursors, confirm");
static_assert(sizeof(consumer_segment_t) == 6 * LINE, "header, two cursors, peeked, sleep, offer");

/* Private: what the hot path touches, on lines that no other process and no other lane writes. */
struct ring_producer_lane {
    alignas(LINE) uint64_t claimed;
    uint64_t published;
    uint64_t released_cached;
    uint64_t capacity;
    cursor_t *published_shared;
    const cursor_t *released_shared; /* NULL: not attached */
    const cursor_t *sleep_shared;    /* NULL: not attached */
    ring_producer_t *producer;
    alignas(LINE) uint8_t *slots;
    uint64_t slot_size;
    uint64_t base; /* our segment holds the messages after this one */
};

struct ring_producer {
    ring_producer_lane_t lane[RING_LANES_MAX];
    alignas(LINE) producer_segment_t *own;
    const consumer_segment_t *partner;
    uint64_t partner_epoch;
    uint64_t woken_ticket; /* the last sleep for which the bell was rung */
    int32_t wake_fd;
    uint32_t lanes;
    uint32_t is_settled; /* has been attached once: its numbering stands */
    uint32_t is_damaged;
    uint32_t hands_over; /* the core, to the consumer that was woken */
};

struct ring_consumer_lane {
    alignas(LINE) uint64_t peeked;
    uint64_t released;
    uint64_t published_cached;
    uint64_t capacity;
    const cursor_t *published_shared; /* NULL: not attached */
    cursor_t *peeked_shared;
    cursor_t *released_shared;
    ring_consumer_t *consumer;
    alignas(LINE) const uint8_t *slots;
    uint64_t slot_size;
    const cursor_t *published_next; /* the confirmed successor's; NULL: none */
    const uint8_t *slots_next;
    ring_recovery_t recovery;
};

struct ring_consumer {
    ring_consumer_lane_t lane[RING_LANES_MAX];
    alignas(LINE) consumer_segment_t *own;
    const producer_segment_t *partner; /* the confirmed one; lanes may still drain the one before */
    uint64_t partner_epoch;
    uint32_t lanes;
    uint32_t is_settled; /* has been confirmed once */
    uint32_t is_damaged;
};

static uint64_t max_of(uint64_t left, uint64_t right)
{
    return left > right ? left : right;
}

uint64_t ring_producer_segment_size(uint32_t lanes, uint64_t capacity, uint64_t slot_size)
{
    return sizeof(producer_segment_t) + lanes * capacity * slot_size;
}

uint64_t ring_consumer_segment_size(void)
{
    return sizeof(consumer_segment_t);
}

uint64_t ring_producer_size(void)
{
    return sizeof(ring_producer_t);
}

uint64_t ring_consumer_size(void)
{
    return sizeof(ring_consumer_t);
}

static int32_t check_shape(uint32_t lanes, uint64_t capacity, uint64_t slot_size)
{
    if (capacity == 0 || (capacity & (capacity - 1)) != 0 || capacity > UINT32_MAX)
        return RING_BAD_CAPACITY;
    if (slot_size == 0 || slot_size % LINE != 0 || slot_size > UINT32_MAX)
        return RING_BAD_SLOT_SIZE;
    if (lanes == 0 || lanes > RING_LANES_MAX)
        return RING_BAD_LANES;
    return RING_OK;
}

static int32_t check_partner(const header_t *theirs, uint64_t size, uint64_t magic, const header_t *ours)
{
    if (size < sizeof(header_t))
        return RING_BAD_SIZE;
    if (theirs->magic != magic)
        return RING_BAD_MAGIC;
    if (theirs->version != LAYOUT_VERSION)
        return RING_BAD_VERSION;
    if (theirs->slot_size != ours->slot_size)
        return RING_BAD_SLOT_SIZE;
    if (theirs->capacity != ours->capacity)
        return RING_BAD_CAPACITY;
    if (theirs->lanes != ours->lanes)
        return RING_BAD_LANES;
    const uint64_t needed = magic == MAGIC_PRODUCER
                                ? ring_producer_segment_size(ours->lanes, ours->capacity, ours->slot_size)
                                : ring_consumer_segment_size();
    return size < needed ? RING_BAD_SIZE : RING_OK;
}

static void write_header(header_t *header, uint64_t magic, uint32_t lanes, uint64_t capacity, uint64_t slot_size,
                         uint64_t epoch)
{
    header->magic = magic;
    header->version = LAYOUT_VERSION;
    header->lanes = lanes;
    header->slot_size = slot_size;
    header->capacity = capacity;
    header->epoch = epoch;
}

int32_t ring_producer_open(ring_producer_t *producer, void *segment, uint64_t size, uint32_t lanes, uint64_t capacity,
                           uint64_t slot_size, uint64_t epoch, int32_t wake_fd)
{
    const int32_t shape = check_shape(lanes, capacity, slot_size);
    if (shape != RING_OK)
        return shape;
    if (size < ring_producer_segment_size(lanes, capacity, slot_size))
        return RING_BAD_SIZE;
    assert((uintptr_t)segment % LINE == 0 && "a segment begins on a cache line");
    assert((uintptr_t)producer % LINE == 0 && "a handle begins on a cache line");
    assert(epoch != 0 && "epoch 0 means nobody");

    memset(segment, 0, size); /* also touches every page, so that the hot path takes no fault */
    memset(producer, 0, sizeof *producer);
    producer->own = segment;
    producer->wake_fd = wake_fd;
    producer->lanes = lanes;
    write_header(&producer->own->header, MAGIC_PRODUCER, lanes, capacity, slot_size, epoch);
    for (uint32_t i = 0; i < lanes; i++) {
        ring_producer_lane_t *lane = &producer->lane[i];
        lane->capacity = capacity;
        lane->published_shared = &producer->own->published[i].value;
        lane->producer = producer;
        lane->slots = (uint8_t *)(producer->own + 1) + i * capacity * slot_size;
        lane->slot_size = slot_size;
    }
    return RING_OK;
}

void ring_hand_over(ring_producer_t *producer)
{
    producer->hands_over = 1;
}

int32_t ring_consumer_open(ring_consumer_t *consumer, void *segment, uint64_t size, uint32_t lanes, uint64_t capacity,
                           uint64_t slot_size, uint64_t epoch)
{
    const int32_t shape = check_shape(lanes, capacity, slot_size);
    if (shape != RING_OK)
        return shape;
    if (size < sizeof(consumer_segment_t))
        return RING_BAD_SIZE;
    assert((uintptr_t)segment % LINE == 0 && "a segment begins on a cache line");
    assert((uintptr_t)consumer % LINE == 0 && "a handle begins on a cache line");
    assert(epoch != 0 && "epoch 0 means nobody");

    memset(segment, 0, sizeof(consumer_segment_t));
    memset(consumer, 0, sizeof *consumer);
    consumer->own = segment;
    consumer->lanes = lanes;
    write_header(&consumer->own->header, MAGIC_CONSUMER, lanes, capacity, slot_size, epoch);
    for (uint32_t i = 0; i < lanes; i++) {
        ring_consumer_lane_t *lane = &consumer->lane[i];
        lane->capacity = capacity;
        lane->peeked_shared = &consumer->own->peeked.value[i];
        lane->released_shared = &consumer->own->released[i].value;
        lane->consumer = consumer;
        lane->slot_size = slot_size;
    }
    return RING_OK;
}

uint64_t ring_segment_epoch(const void *segment, uint64_t size)
{
    const header_t *header = segment;
    if (size < sizeof(header_t) || (header->magic != MAGIC_PRODUCER && header->magic != MAGIC_CONSUMER))
        return 0;
    return header->epoch;
}

/* ---- meeting ------------------------------------------------------------------------------------------------ */

int32_t ring_consumer_offer(ring_consumer_t *consumer, const void *segment, uint64_t size)
{
    const producer_segment_t *theirs = segment;
    const int32_t check = check_partner(&theirs->header, size, MAGIC_PRODUCER, &consumer->own->header);
    if (check != RING_OK)
        return check;
    for (uint32_t i = 0; i < consumer->lanes; i++) {
        uint64_t published = 0;
        if (consumer->partner != NULL) {
            /* Acquire: pairs with the release in ring_commit() of a producer that is dead by now, so this is its last word;
             * unless it cannot be, then the last one that could. */
            published = atomic_load_explicit(&consumer->partner->published[i].value, memory_order_acquire);
            if (published - consumer->lane[i].released > consumer->lane[i].capacity)
                published = consumer->lane[i].published_cached;
        }
        /* Relaxed: ordered by the release of producer_epoch below. */
        atomic_store_explicit(&consumer->own->offer.published[i], published, memory_order_relaxed);
    }
    /* Release: pairs with the acquire in ring_producer_meet(), which then sees the cursors above. */
    atomic_store_explicit(&consumer->own->offer.producer_epoch, theirs->header.epoch, memory_order_release);
    return RING_OK;
}

int32_t ring_producer_meet(ring_producer_t *producer, const void *segment, uint64_t size)
{
    const consumer_segment_t *theirs = segment;
    producer_segment_t *own = producer->own;
    const int32_t check = check_partner(&theirs->header, size, MAGIC_CONSUMER, &own->header);
    if (check != RING_OK)
        return check;
    if (producer->partner_epoch == theirs->header.epoch)
        return RING_OK;
    /* Acquire: pairs with the release in ring_consumer_offer(). */
    if (atomic_load_explicit(&theirs->offer.producer_epoch, memory_order_acquire) != own->header.epoch)
        return RING_WAIT;

    for (uint32_t i = 0; i < producer->lanes; i++) {
        ring_producer_lane_t *lane = &producer->lane[i];
        /* Whose cursors count: of the consumer that we served until now; else of the one that makes the offer. Acquire on
         * released: pairs with ring_release(), all reads of these slots are over. Relaxed on peeked: its owner is dead, or
         * has not peeked anything of ours. */
        const consumer_segment_t *last = producer->partner != NULL ? producer->partner : theirs;
        uint64_t released = atomic_load_explicit(&last->released[i].value, memory_order_acquire);
        uint64_t peeked = atomic_load_explicit(&last->peeked.value[i], memory_order_relaxed);
        if (!producer->is_settled) {
            const uint64_t base = atomic_load_explicit(&theirs->offer.published[i], memory_order_relaxed);
            if (released > base || base - released > lane->capacity)
                return RING_BAD_CURSOR;
            lane->claimed = lane->published = lane->base = base;
            lane->released_cached = released;
            /* Relaxed: ordered by the release of consumer_epoch below. */
            atomic_store_explicit(lane->published_shared, base, memory_order_relaxed);
        }
        if (released < lane->released_cached || released > lane->published || peeked > lane->published) {
            released = peeked = lane->released_cached; /* The dead one left nonsense behind: what we knew before is safe. */
        }
        lane->released_cached = released;
        /* What lies before the base was in the segment of a producer before us: who has not drained it, dead consumer of a
         * dead producer, left it to the journal. Relaxed, all three: ordered by the release of consumer_epoch below. */
        const uint64_t first = max_of(lane->base, released);
        atomic_store_explicit(&own->confirm.released[i], first, memory_order_relaxed);
        atomic_store_explicit(&own->confirm.peeked[i], max_of(first, peeked), memory_order_relaxed);
        atomic_store_explicit(&own->confirm.published[i], lane->published, memory_order_relaxed);
        lane->released_shared = &theirs->released[i].value;
        lane->sleep_shared = &theirs->sleep.value;
    }
    producer->is_settled = 1;
    producer->partner = theirs;
    producer->partner_epoch = theirs->header.epoch;
    producer->woken_ticket = 0;
    producer->is_damaged = 0;
    /* Release: pairs with the acquire in ring_consumer_meet(), which then sees the cursors above. */
    atomic_store_explicit(&own->confirm.consumer_epoch, theirs->header.epoch, memory_order_release);
    return RING_OK;
}

int32_t ring_consumer_meet(ring_consumer_t *consumer, const void *segment, uint64_t size)
{
    const producer_segment_t *theirs = segment;
    const int32_t check = check_partner(&theirs->header, size, MAGIC_PRODUCER, &consumer->own->header);
    if (check != RING_OK)
        return check;
    if (consumer->partner_epoch == theirs->header.epoch)
        return RING_OK;
    /* Acquire: pairs with the release in ring_producer_meet(). */
    if (atomic_load_explicit(&theirs->confirm.consumer_epoch, memory_order_acquire) != consumer->own->header.epoch)
        return RING_WAIT;
    for (uint32_t i = 0; i < consumer->lanes; i++) {
        if (consumer->lane[i].published_next != NULL)
            return RING_WAIT; /* Still draining the one before the one before. */
    }

    for (uint32_t i = 0; i < consumer->lanes; i++) {
        ring_consumer_lane_t *lane = &consumer->lane[i];
        if (!consumer->is_settled) {
            const uint64_t released = atomic_load_explicit(&theirs->confirm.released[i], memory_order_relaxed);
            const uint64_t peeked = atomic_load_explicit(&theirs->confirm.peeked[i], memory_order_relaxed);
            const uint64_t published = atomic_load_explicit(&theirs->confirm.published[i], memory_order_relaxed);
            if (peeked > published || released > peeked || published - released > lane->capacity)
                return RING_BAD_CURSOR;
            lane->released = lane->peeked = released;
            lane->published_cached = released;
            lane->recovery = (ring_recovery_t){released, peeked, published};
            /* Relaxed: our own; the producer takes it only once it exceeds what it confirmed. */
            atomic_store_explicit(lane->peeked_shared, peeked, memory_order_relaxed);
            /* Release: pairs with the acquire in refresh_released(). */
            atomic_store_explicit(lane->released_shared, released, memory_order_release);
        }
        lane->published_next = &theirs->published[i].value;
        lane->slots_next = (const uint8_t *)(theirs + 1) + i * lane->capacity * lane->slot_size;
    }
    consumer->is_settled = 1;
    consumer->is_damaged = 0;
    consumer->partner = theirs;
    consumer->partner_epoch = theirs->header.epoch;
    return RING_OK;
}

int32_t ring_producer_state(const ring_producer_t *producer)
{
    if (producer->partner == NULL)
        return RING_WAIT;
    if (producer->is_damaged)
        return RING_BAD_CURSOR;
    /* Acquire: pairs with ring_consumer_offer(). */
    return atomic_load_explicit(&producer->partner->offer.producer_epoch, memory_order_acquire) ==
                   producer->own->header.epoch
               ? RING_OK
               : RING_REPLACED;
}

int32_t ring_consumer_state(const ring_consumer_t *consumer)
{
    if (consumer->partner == NULL)
        return RING_WAIT;
    if (consumer->is_damaged)
        return RING_BAD_CURSOR;
    /* Acquire: pairs with ring_producer_meet(). */
    return atomic_load_explicit(&consumer->partner->confirm.consumer_epoch, memory_order_acquire) ==
                   consumer->own->header.epoch
               ? RING_OK
               : RING_REPLACED;
}

ring_producer_lane_t *ring_producer_lane(ring_producer_t *producer, uint32_t lane)
{
    assert(lane < producer->lanes && "the link has fewer lanes");
    return &producer->lane[lane];
}

ring_consumer_lane_t *ring_consumer_lane(ring_consumer_t *consumer, uint32_t lane)
{
    assert(lane < consumer->lanes && "the link has fewer lanes");
    return &consumer->lane[lane];
}

/* ---- producer ----------------------------------------------------------------------------------------------- */

static uint8_t *producer_slot(const ring_producer_lane_t *lane, uint64_t sequence)
{
    return lane->slots + ((sequence - 1) & (lane->capacity - 1)) * lane->slot_size;
}

void *ring_producer_slot(const ring_producer_lane_t *lane, uint64_t sequence)
{
    return producer_slot(lane, sequence);
}

/* Looks at the consumer's cursor. A cursor that goes back or overtakes is damage: kept out and reported. */
static void refresh_released(ring_producer_lane_t *lane)
{
    /* Acquire: pairs with the release in ring_release(), so that a slot is overwritten only after its last read. */
    const uint64_t released = atomic_load_explicit(lane->released_shared, memory_order_acquire);
    if (released - lane->released_cached <= lane->published - lane->released_cached)
        lane->released_cached = released;
    else if (released > lane->published)
        lane->producer->is_damaged = 1;
    /* Smaller: a successor that has not yet taken over what we confirmed to it. */
}

uint64_t ring_claim(ring_producer_lane_t *lane, uint64_t count_max)
{
    if (lane->released_shared == NULL)
        return 0;
    uint64_t room = lane->capacity - (lane->claimed - lane->released_cached);
    if (room < count_max) {
        refresh_released(lane);
        room = lane->capacity - (lane->claimed - lane->released_cached);
    }
    assert(room <= lane->capacity && "released ≤ claimed ≤ released + capacity");
    const uint64_t count = room < count_max ? room : count_max;
    lane->claimed += count;
    return count;
}

void ring_commit(ring_producer_lane_t *lane, uint64_t count)
{
    assert(count <= lane->claimed - lane->published && "only claimed slots are committed");
    lane->published += count;
    /* Sequentially consistent, as the load below and the pair in ring_prepare_sleep(): of "I published" and "I sleep" at
     * least one side sees the other's. It is also the release that pairs with the acquire in refresh_published(): who sees
     * the cursor sees the bytes. */
    atomic_store_explicit(lane->published_shared, lane->published, memory_order_seq_cst);
    if (lane->sleep_shared == NULL)
        return;
    const uint64_t ticket = atomic_load_explicit(lane->sleep_shared, memory_order_seq_cst);
    ring_producer_t *producer = lane->producer;
    if ((ticket & 1) != 0 && ticket != producer->woken_ticket) {
        producer->woken_ticket = ticket; /* Once per sleep: the bell keeps ringing until it is heard. */
        if (producer->wake_fd >= 0)
            (void)wake_ring(producer->wake_fd);
        if (producer->hands_over)
            (void)sched_yield();
    }
}

void ring_commit_all(ring_producer_lane_t *lane)
{
    ring_commit(lane, lane->claimed - lane->published);
}

uint64_t ring_free(ring_producer_lane_t *lane)
{
    if (lane->released_shared == NULL)
        return 0;
    refresh_released(lane);
    return lane->capacity - (lane->claimed - lane->released_cached);
}

uint64_t ring_claimed(const ring_producer_lane_t *lane)
{
    return lane->claimed;
}

/* ---- consumer ----------------------------------------------------------------------------------------------- */

static const uint8_t *consumer_slot(const ring_consumer_lane_t *lane, uint64_t sequence)
{
    return lane->slots + ((sequence - 1) & (lane->capacity - 1)) * lane->slot_size;
}

const void *ring_consumer_slot(const ring_consumer_lane_t *lane, uint64_t sequence)
{
    return consumer_slot(lane, sequence);
}

/* Takes over what the producer says it published; a cursor that goes back or exceeds the ring is damage. */
static void take_published(ring_consumer_lane_t *lane, uint64_t published)
{
    if (published >= lane->published_cached && published - lane->released <= lane->capacity)
        lane->published_cached = published;
    else
        lane->consumer->is_damaged = 1;
}

static void refresh_published(ring_consumer_lane_t *lane)
{
    /* Acquire: pairs with the (release part of the) store in ring_commit(), so that the slots' bytes are there. */
    take_published(lane, atomic_load_explicit(lane->published_shared, memory_order_acquire));
}

uint64_t ring_peek(ring_consumer_lane_t *lane, uint64_t count_max)
{
    if (lane->published_cached == lane->peeked) {
        if (lane->published_shared == NULL)
            return 0;
        refresh_published(lane);
    }
    const uint64_t unread = lane->published_cached - lane->peeked;
    const uint64_t count = unread < count_max ? unread : count_max;
    if (count == 0)
        return 0;
    /* The next slot is on its way while Python handles these. */
    __builtin_prefetch(consumer_slot(lane, lane->peeked + 1), 0, 3);
    if (unread > count)
        __builtin_prefetch(consumer_slot(lane, lane->peeked + count + 1), 0, 3);
    lane->peeked += count;
    /* Relaxed: nobody decides by it while we live. The producer reads it when we are dead, and then program order is all
     * that matters: the cursor was stored before the first effect of these messages. It never goes back: what our
     * predecessor had peeked stays peeked. */
    if (lane->peeked > lane->recovery.peeked)
        atomic_store_explicit(lane->peeked_shared, lane->peeked, memory_order_relaxed);
    return count;
}

void ring_release(ring_consumer_lane_t *lane, uint64_t count)
{
    assert(count <= lane->peeked - lane->released && "only peeked slots are released");
    lane->released += count;
    /* Release: pairs with the acquire in refresh_released(); our reads of these slots are over. */
    atomic_store_explicit(lane->released_shared, lane->released, memory_order_release);
}

void ring_release_all(ring_consumer_lane_t *lane)
{
    ring_release(lane, lane->peeked - lane->released);
}

uint64_t ring_pending(ring_consumer_lane_t *lane)
{
    if (lane->published_shared != NULL)
        refresh_published(lane);
    return lane->published_cached - lane->peeked;
}

uint64_t ring_peeked(const ring_consumer_lane_t *lane)
{
    return lane->peeked;
}

int32_t ring_may_switch(ring_consumer_lane_t *lane)
{
    return lane->published_next != NULL && ring_pending(lane) == 0 && lane->released == lane->peeked;
}

int32_t ring_switch(ring_consumer_lane_t *lane)
{
    if (!ring_may_switch(lane))
        return 0;
    lane->published_shared = lane->published_next;
    lane->slots = lane->slots_next;
    lane->published_next = NULL;
    lane->slots_next = NULL;
    return 1;
}

void ring_recovered(const ring_consumer_lane_t *lane, ring_recovery_t *recovery)
{
    *recovery = lane->recovery;
}

int32_t ring_prepare_sleep(ring_consumer_t *consumer)
{
    cursor_t *sleep = &consumer->own->sleep.value;
    /* Relaxed: only we write it. */
    const uint64_t ticket = atomic_load_explicit(sleep, memory_order_relaxed);
    assert((ticket & 1) == 0 && "prepare_sleep() while asleep");
    /* Sequentially consistent, as the loads below and the pair in ring_commit(): see there. */
    atomic_store_explicit(sleep, ticket + 1, memory_order_seq_cst);
    for (uint32_t i = 0; i < consumer->lanes; i++) {
        ring_consumer_lane_t *lane = &consumer->lane[i];
        const int32_t is_unread =
            ring_may_switch(lane) ||
            (lane->published_shared != NULL &&
             atomic_load_explicit(lane->published_shared, memory_order_seq_cst) != lane->peeked);
        if (is_unread) {
            /* Relaxed: a producer that still sees the flag rings once too often, no more. */
            atomic_store_explicit(sleep, ticket + 2, memory_order_relaxed);
            return 0;
        }
    }
    return 1;
}

void ring_cancel_sleep(ring_consumer_t *consumer)
{
    cursor_t *sleep = &consumer->own->sleep.value;
    const uint64_t ticket = atomic_load_explicit(sleep, memory_order_relaxed);
    if ((ticket & 1) != 0)
        atomic_store_explicit(sleep, ticket + 1, memory_order_relaxed); /* as above */
}

uint64_t ring_unread(const ring_watch_t *watch)
{
    uint64_t unread = 0;
    for (uint64_t i = 0; i < watch->count; i++) {
        ring_consumer_lane_t *lane = watch->lanes[i];
        if (lane->published_shared == NULL ? lane->published_next != NULL : ring_pending(lane) != 0 || ring_may_switch(lane))
            unread |= UINT64_C(1) << i;
    }
    return unread;
}

int32_t ring_prepare_sleep_all(ring_sleepers_t *sleepers)
{
    for (uint64_t i = 0; i < sleepers->count; i++) {
        if (!ring_prepare_sleep(sleepers->consumers[i])) {
            while (i > 0)
                ring_cancel_sleep(sleepers->consumers[--i]);
            return 0;
        }
    }
    return 1;
}

void ring_cancel_sleep_all(ring_sleepers_t *sleepers)
{
    for (uint64_t i = 0; i < sleepers->count; i++)
        ring_cancel_sleep(sleepers->consumers[i]);
}

/* ---- with a copy -------------------------------------------------------------------------------------------- */

/* Copies `count` slots from or to a ring in at most two runs. */
static uint64_t run_length(uint64_t capacity, uint64_t sequence, uint64_t count)
{
    const uint64_t to_end = capacity - ((sequence - 1) & (capacity - 1));
    return count < to_end ? count : to_end;
}

uint64_t ring_write(ring_producer_lane_t *lane, const void *messages, uint64_t count_max)
{
    assert(lane->claimed == lane->published && "a lane is written in batches or slot by slot, not both");
    const uint64_t first = lane->claimed + 1;
    const uint64_t count = ring_claim(lane, count_max);
    if (count == 0)
        return 0;
    const uint64_t run = run_length(lane->capacity, first, count);
    memcpy(producer_slot(lane, first), messages, run * lane->slot_size);
    memcpy(producer_slot(lane, first + run), (const uint8_t *)messages + run * lane->slot_size,
           (count - run) * lane->slot_size);
    ring_commit(lane, count);
    return count;
}

uint64_t ring_read(ring_consumer_lane_t *lane, void *messages, uint64_t count_max)
{
    assert(lane->peeked == lane->released && "a lane is read in batches or message by message, not both");
    const uint64_t first = lane->peeked + 1;
    const uint64_t count = ring_peek(lane, count_max);
    if (count == 0)
        return 0;
    const uint64_t run = run_length(lane->capacity, first, count);
    memcpy(messages, consumer_slot(lane, first), run * lane->slot_size);
    memcpy((uint8_t *)messages + run * lane->slot_size, consumer_slot(lane, first + run),
           (count - run) * lane->slot_size);
    ring_release(lane, count);
    return count;
}
