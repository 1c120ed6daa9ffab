/* ring.c — two threads, a producer and a consumer, through one ring as hard as they can, for the sanitizers.
 *
 *   cc -I cffi_build/include tests/c/ring.c cffi_build/src/{ring,wake,clock}.c -pthread -fsanitize=thread …
 *   ./ring <messages>
 *
 * The consumer sleeps whenever it can, so that the bell is part of it; every SUCCESSION messages one of the two sides is replaced
 * by a successor, as after a death. Every message carries its number in every word: a torn, lost or repeated one is told, and
 * the program leaves with 1.
 */
#include "ring.h"
#include "wake.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#define CAPACITY 64
#define SLOT_SIZE 128
#define WORDS (SLOT_SIZE / 8)
#define LANES 2
#define SUCCESSION 20000

static uint64_t messages_per_lane;
static int bell;
/* Epochs grow; a segment is found by whoever looks, as iceoryx2 would hand it over. */
static _Atomic(void *) producer_segment;
static _Atomic(void *) consumer_segment;
static _Atomic uint64_t next_epoch = 1;
/* Two deaths at once are for the journal, not for the ring: one side dies, is replaced and joined, then another may. */
enum { ALL_LIVE, CONSUMER_DIES, PRODUCER_DIES, PRODUCER_REPLACED };
static _Atomic int dying = ALL_LIVE;

static int try_die(int who)
{
    int expected = ALL_LIVE;
    return atomic_compare_exchange_strong(&dying, &expected, who);
}
static uint64_t segment_size;
static _Atomic int is_over;

static void *aligned(uint64_t size)
{
    void *memory = aligned_alloc(64, (size + 63) / 64 * 64);
    assert(memory != NULL);
    return memory;
}

static ring_producer_t *new_producer(void)
{
    ring_producer_t *producer = aligned(ring_producer_size());
    void *segment = aligned(segment_size);
    const int32_t result =
        ring_producer_open(producer, segment, segment_size, LANES, CAPACITY, SLOT_SIZE, atomic_fetch_add(&next_epoch, 1), bell);
    assert(result == RING_OK);
    atomic_store(&producer_segment, segment);
    return producer;
}

static ring_consumer_t *new_consumer(void)
{
    ring_consumer_t *consumer = aligned(ring_consumer_size());
    void *segment = aligned(ring_consumer_segment_size());
    const int32_t result = ring_consumer_open(consumer, segment, ring_consumer_segment_size(), LANES, CAPACITY, SLOT_SIZE,
                                              atomic_fetch_add(&next_epoch, 1));
    assert(result == RING_OK);
    atomic_store(&consumer_segment, segment);
    return consumer;
}

static void producer_refresh(ring_producer_t *producer)
{
    void *segment = atomic_load(&consumer_segment);
    if (segment != NULL) {
        const int32_t result = ring_producer_meet(producer, segment, ring_consumer_segment_size());
        assert(result == RING_OK || result == RING_WAIT);
    }
}

static void consumer_refresh(ring_consumer_t *consumer)
{
    static void *met; /* What this opening is attached to. */
    static ring_consumer_t *by;
    void *segment = atomic_load(&producer_segment);
    if (segment == NULL || (segment == met && by == consumer))
        return;
    int32_t result = ring_consumer_offer(consumer, segment, segment_size);
    assert(result == RING_OK);
    result = ring_consumer_meet(consumer, segment, segment_size);
    assert(result == RING_OK || result == RING_WAIT);
    if (result == RING_OK) {
        met = segment;
        by = consumer;
    }
}

static void *produce(void *unused)
{
    (void)unused;
    ring_producer_t *producer = new_producer();
    uint64_t sent[LANES] = {0, 0};
    uint64_t until_death = SUCCESSION * 3 / 2;
    uint64_t passes = 0;
    while (sent[0] < messages_per_lane || sent[1] < messages_per_lane) {
        if (++passes % 64 == 0 || ring_producer_state(producer) != RING_OK)
            producer_refresh(producer);
        if (ring_producer_state(producer) != RING_OK)
            continue;
        for (uint32_t i = 0; i < LANES; i++) {
            ring_producer_lane_t *lane = ring_producer_lane(producer, i);
            uint64_t want = 1 + (passes * 7 + i) % 9;
            if (want > messages_per_lane - sent[i])
                want = messages_per_lane - sent[i];
            const uint64_t count = ring_claim(lane, want);
            for (uint64_t n = 1; n <= count; n++) {
                uint64_t *slot = ring_producer_slot(lane, sent[i] + n);
                for (int word = 0; word < WORDS; word++)
                    slot[word] = sent[i] + n;
            }
            ring_commit(lane, count);
            sent[i] += count;
            assert(ring_claimed(lane) == sent[i]);
        }
        if (sent[0] >= until_death && try_die(PRODUCER_DIES)) {
            until_death += SUCCESSION;
            producer = new_producer(); /* The dead one's memory stays, as a mapping does. */
            atomic_store(&dying, PRODUCER_REPLACED);
            (void)wake_ring(bell);     /* In place of the timer that finds a successor. */
        }
    }
    while (!atomic_load(&is_over)) {
        producer_refresh(producer); /* A last consumer may still wait for its confirmation. */
        sched_yield();
    }
    return producer;
}

/* Every lane reads the segment of the latest producer. */
static int reads_newest(ring_consumer_t *consumer)
{
    const uint8_t *segment = atomic_load(&producer_segment);
    int is_so = ring_consumer_state(consumer) == RING_OK;
    for (uint32_t i = 0; is_so && i < LANES; i++) {
        const uint8_t *slots = ring_consumer_slot(ring_consumer_lane(consumer, i), 1);
        is_so = slots >= segment && slots < segment + segment_size;
    }
    return is_so;
}

static void complain(uint32_t lane, uint64_t wanted, uint64_t got)
{
    fprintf(stderr, "lane %u: message %llu expected, %llu came\n", lane, (unsigned long long)wanted,
            (unsigned long long)got);
    exit(1);
}

int main(int argc, char **argv)
{
    messages_per_lane = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
    segment_size = ring_producer_segment_size(LANES, CAPACITY, SLOT_SIZE);
    bell = eventfd(0, EFD_NONBLOCK);
    assert(bell >= 0);

    pthread_t thread;
    ring_consumer_t *consumer = new_consumer();
    pthread_create(&thread, NULL, produce, NULL);

    uint64_t received[LANES] = {0, 0}, released[LANES] = {0, 0};
    uint64_t until_death = SUCCESSION, sleeps = 0, deaths = 0, passes = 0, seen_again = 0;
    int is_waiting_for_successor = 0;
    while (received[0] < messages_per_lane || received[1] < messages_per_lane) {
        uint64_t work = 0;
        passes++;
        consumer_refresh(consumer);
        for (uint32_t i = 0; i < LANES; i++) {
            ring_consumer_lane_t *lane = ring_consumer_lane(consumer, i);
            (void)ring_switch(lane);
            const uint64_t first = ring_peeked(lane) + 1;
            const uint64_t count = ring_peek(lane, 1 + passes % 11);
            for (uint64_t n = 0; n < count; n++) {
                const uint64_t *slot = ring_consumer_slot(lane, first + n);
                for (int word = 0; word < WORDS; word++) {
                    if (slot[word] != first + n)
                        complain(i, first + n, slot[word]);
                }
            }
            if (count > 0 && first > received[i] + 1)
                complain(i, received[i] + 1, first);
            if (count > 0 && first <= released[i])
                complain(i, released[i] + 1, first);
            if (count > 0 && first <= received[i])
                seen_again++;
            if (count > 0 && first + count - 1 > received[i])
                received[i] = first + count - 1;
            if (passes % 3 != 0 || received[i] == messages_per_lane) {
                const uint64_t held = ring_peeked(lane) - released[i];
                if (ring_peeked(lane) > released[i]) {
                    ring_release(lane, held);
                    released[i] = ring_peeked(lane);
                }
            }
            work += count;
        }
        is_waiting_for_successor = !reads_newest(consumer);
        if (!is_waiting_for_successor && atomic_load(&dying) == PRODUCER_REPLACED && reads_newest(consumer))
            atomic_store(&dying, ALL_LIVE);
        if (received[0] >= until_death && !is_waiting_for_successor && try_die(CONSUMER_DIES)) {
            until_death += SUCCESSION;
            deaths++;
            consumer = new_consumer();
            while (ring_consumer_state(consumer) != RING_OK)
                consumer_refresh(consumer);
            for (uint32_t i = 0; i < LANES; i++) {
                ring_recovery_t recovery;
                ring_recovered(ring_consumer_lane(consumer, i), &recovery);
                if (recovery.released != released[i])
                    complain(i, released[i], recovery.released);
            }
            atomic_store(&dying, ALL_LIVE);
            continue;
        }
        if (work == 0 && !is_waiting_for_successor && ring_prepare_sleep(consumer)) {
            struct pollfd wait = {.fd = bell, .events = POLLIN};
            const int is_rung = poll(&wait, 1, 2000);
            ring_cancel_sleep(consumer);
            if (!is_rung && ring_pending(ring_consumer_lane(consumer, 0)) > 0 && !poll(&wait, 1, 100)) {
                fprintf(stderr, "a wake-up was lost\n");
                exit(1);
            }
            (void)wake_silence(bell);
            sleeps++;
        }
    }
    atomic_store(&is_over, 1);
    void *last;
    pthread_join(thread, &last);
    printf("%llu messages per lane, %llu sleeps, %llu consumer deaths, %llu batches seen again\n",
           (unsigned long long)messages_per_lane, (unsigned long long)sleeps, (unsigned long long)deaths,
           (unsigned long long)seen_again);
    return 0;
}
