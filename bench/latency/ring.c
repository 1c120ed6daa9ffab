/* ring.c — the floor of ring.py: the same ring, the same rhythm, two processes in C.
 *
 *   ./ring <producer core> <consumer core> <messages> <gap ns>      one way: prints one latency in ns per line
 *   ./ring host <producer core> <consumer core> <messages> <gap ns> the same with nothing in between: what the machine took away
 *   ./ring throughput <producer core> <consumer core> <messages>    prints messages/s: naive, one by one, batches of 64
 *
 *   producer ── stamp, commit ──▶ ring ──▶ peek, stamp ── consumer
 *
 * "naive" is a ring without cached cursors, both of them on one cache line: what one writes on the first try.
 */
#define _GNU_SOURCE

#include "clock.h"
#include "ring.h"

#include <assert.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CAPACITY 1024
#define SLOT_SIZE 64
#define BATCH 64
#define TIME_MAX_S 30 /* of one measurement: whoever waits for ever is ended */

static void pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

static void *shared(uint64_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    assert(memory != MAP_FAILED);
    return memory;
}

typedef struct ends {
    ring_producer_t *producer;
    ring_consumer_t *consumer;
    ring_producer_lane_t *write;
    ring_consumer_lane_t *read;
} ends_t;

static ends_t new_ring(void)
{
    const uint64_t size = ring_producer_segment_size(1, CAPACITY, SLOT_SIZE);
    void *slots = shared(size), *cursors = shared(ring_consumer_segment_size());
    ends_t ends = {shared(ring_producer_size()), shared(ring_consumer_size()), NULL, NULL};
    int32_t result = ring_producer_open(ends.producer, slots, size, 1, CAPACITY, SLOT_SIZE, 1, -1);
    result |= ring_consumer_open(ends.consumer, cursors, ring_consumer_segment_size(), 1, CAPACITY, SLOT_SIZE, 2);
    result |= ring_consumer_offer(ends.consumer, slots, size);
    result |= ring_producer_meet(ends.producer, cursors, ring_consumer_segment_size());
    result |= ring_consumer_meet(ends.consumer, slots, size);
    assert(result == RING_OK);
    ends.write = ring_producer_lane(ends.producer, 0);
    ends.read = ring_consumer_lane(ends.consumer, 0);
    assert(ring_switch(ends.read));
    return ends;
}

static void one_way(int producer_core, int consumer_core, uint64_t messages, int64_t gap_ns)
{
    ends_t ring = new_ring();
    int64_t *latency = shared(messages * sizeof *latency);
    const pid_t child = fork();
    alarm(TIME_MAX_S);
    if (child == 0) {
        pin(consumer_core);
        for (uint64_t i = 0; i < messages; i++) {
            while (ring_peek(ring.read, 1) == 0)
                ;
            const int64_t *slot = ring_consumer_slot(ring.read, i + 1);
            latency[i] = clock_monotonic_ns() - slot[0];
            ring_release(ring.read, 1);
        }
        _exit(0);
    }
    pin(producer_core);
    int64_t due = clock_monotonic_ns() + 10000000;
    for (uint64_t i = 0; i < messages; i++) {
        while (clock_monotonic_ns() < due)
            ;
        due += gap_ns;
        while (ring_claim(ring.write, 1) == 0)
            ;
        int64_t *slot = ring_producer_slot(ring.write, i + 1);
        slot[0] = clock_monotonic_ns();
        ring_commit(ring.write, 1);
    }
    waitpid(child, NULL, 0);
    for (uint64_t i = messages / 10; i < messages; i++)
        printf("%lld\n", (long long)latency[i]);
}

/* No ring at all: both cores spin, and a message counts as there when the reading side looks at the clock next. What is left is
 * what interrupts, the scheduler and the hypervisor take: nobody's ring is better than this. */
static void host_alone(int producer_core, int consumer_core, uint64_t messages, int64_t gap_ns)
{
    const int64_t first = clock_monotonic_ns() + 10000000;
    const pid_t child = fork();
    alarm(TIME_MAX_S);
    if (child == 0) {
        pin(producer_core);
        while (clock_monotonic_ns() < first + (int64_t)messages * gap_ns)
            ;
        _exit(0);
    }
    pin(consumer_core);
    int64_t *latency = shared(messages * sizeof *latency);
    for (uint64_t i = 0; i < messages; i++) {
        const int64_t due = first + (int64_t)i * gap_ns;
        int64_t now;
        while ((now = clock_monotonic_ns()) < due)
            ;
        latency[i] = now - due;
    }
    waitpid(child, NULL, 0);
    for (uint64_t i = messages / 10; i < messages; i++)
        printf("%lld\n", (long long)latency[i]);
}

/* ---- throughput --------------------------------------------------------------------------------------------- */

typedef struct naive {
    _Atomic uint64_t head, tail; /* side by side */
    uint8_t pad[48];
    uint8_t slot[CAPACITY][SLOT_SIZE];
} naive_t;

static uint64_t sum_of(const uint64_t *slot)
{
    return slot[0];
}

static double run(int producer_core, int consumer_core, uint64_t messages, int kind)
{
    ends_t ring = new_ring();
    naive_t *naive = shared(sizeof *naive);
    _Atomic uint64_t *result = shared(4096);
    const pid_t child = fork();
    alarm(TIME_MAX_S);
    if (child == 0) {
        pin(consumer_core);
        uint64_t batch[BATCH * SLOT_SIZE / 8], sum = 0;
        for (uint64_t i = 0; i < messages;) {
            if (kind == 0) {
                while (atomic_load(&naive->head) == i)
                    ;
                memcpy(batch, naive->slot[i % CAPACITY], SLOT_SIZE);
                atomic_store(&naive->tail, i + 1);
                sum += sum_of(batch);
                i++;
                continue;
            }
            const uint64_t count = ring_read(ring.read, batch, kind == 1 ? 1 : BATCH);
            for (uint64_t n = 0; n < count; n++)
                sum += sum_of(batch + n * SLOT_SIZE / 8);
            i += count;
        }
        atomic_store(&result[0], sum);
        _exit(0);
    }
    pin(producer_core);
    uint64_t batch[BATCH * SLOT_SIZE / 8] = {0};
    const int64_t start = clock_monotonic_ns();
    for (uint64_t i = 0; i < messages;) {
        if (kind == 0) {
            while (i - atomic_load(&naive->tail) == CAPACITY)
                ;
            batch[0] = i;
            memcpy(naive->slot[i % CAPACITY], batch, SLOT_SIZE);
            atomic_store(&naive->head, ++i);
            continue;
        }
        const uint64_t want = kind == 1 ? 1 : (messages - i < BATCH ? messages - i : BATCH);
        for (uint64_t n = 0; n < want; n++)
            batch[n * SLOT_SIZE / 8] = i + n;
        uint64_t done = 0;
        while (done < want)
            done += ring_write(ring.write, (uint8_t *)batch + done * SLOT_SIZE, want - done);
        i += want;
    }
    waitpid(child, NULL, 0);
    const double seconds = (double)(clock_monotonic_ns() - start) / 1e9;
    if (atomic_load(&result[0]) != messages * (messages - 1) / 2) {
        fprintf(stderr, "the checksum is wrong: messages were lost or torn\n");
        exit(1);
    }
    return (double)messages / seconds;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "throughput") == 0) {
        static const char *const names[] = {"naive", "single", "batch_64"};
        for (int kind = 0; kind < 3; kind++)
            printf("%s %.0f\n", names[kind], run(atoi(argv[2]), atoi(argv[3]), strtoull(argv[4], NULL, 10), kind));
        return 0;
    }
    if (argc == 6 && strcmp(argv[1], "host") == 0) {
        host_alone(atoi(argv[2]), atoi(argv[3]), strtoull(argv[4], NULL, 10), atoll(argv[5]));
        return 0;
    }
    if (argc != 5) {
        fprintf(stderr, "usage: ring <producer core> <consumer core> <messages> <gap ns>\n");
        return 2;
    }
    one_way(atoi(argv[1]), atoi(argv[2]), strtoull(argv[3], NULL, 10), atoll(argv[4]));
    return 0;
}
