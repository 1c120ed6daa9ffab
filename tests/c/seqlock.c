/* seqlock.c — one writer and two readers of the same row and of one histogram, for the sanitizers.
 *
 *   ./seqlock <writes>
 *
 * Every word of the row carries the same number; a reader that sees two different ones, or time going back, tells and leaves
 * with 1.
 */
#include "histogram.h"
#include "seqlock.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define ROW_SIZE 256
#define WORDS (ROW_SIZE / 8)

static void *rows;
static void *histograms;
static _Atomic int is_over;
static _Atomic uint64_t consistent_reads;

static void *watch(void *unused)
{
    (void)unused;
    uint64_t row[WORDS] = {0};
    uint64_t before = 0, reads = 0;
    while (!atomic_load(&is_over)) {
        if (seqlock_read(rows, 1, row, 1000) != SEQLOCK_OK)
            continue;
        for (int word = 1; word < WORDS; word++) {
            if (row[word] != row[0]) {
                fprintf(stderr, "a torn row: %llu beside %llu\n", (unsigned long long)row[0], (unsigned long long)row[word]);
                exit(1);
            }
        }
        if (row[0] < before) {
            fprintf(stderr, "time went back: %llu after %llu\n", (unsigned long long)row[0], (unsigned long long)before);
            exit(1);
        }
        before = row[0];
        if (++reads % 64 == 0 && histogram_percentile(histogram_at(histograms, 0), 500000) > 4096) {
            fprintf(stderr, "a percentile above the maximum\n");
            exit(1);
        }
    }
    atomic_fetch_add(&consistent_reads, reads);
    return NULL;
}

int main(int argc, char **argv)
{
    const uint64_t writes = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
    const uint64_t size = seqlock_segment_size(3, ROW_SIZE);
    rows = aligned_alloc(64, size);
    assert(rows != NULL && seqlock_open(rows, size, 3, ROW_SIZE, 1) == SEQLOCK_OK);
    const uint64_t histograms_size = histogram_segment_size(1);
    histograms = aligned_alloc(64, histograms_size);
    assert(histograms != NULL && histogram_open(histograms, histograms_size, 1, 1) == HISTOGRAM_OK);

    pthread_t watchers[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&watchers[i], NULL, watch, NULL);
    uint64_t row[WORDS];
    for (uint64_t n = 1; n <= writes; n++) {
        for (int word = 0; word < WORDS; word++)
            row[word] = n;
        seqlock_write(rows, 1, row);
        histogram_record(histogram_at(histograms, 0), (int64_t)(n % 4096));
    }
    atomic_store(&is_over, 1);
    for (int i = 0; i < 2; i++)
        pthread_join(watchers[i], NULL);
    if (histogram_count(histogram_at(histograms, 0)) != writes) {
        fprintf(stderr, "the histogram lost values\n");
        return 1;
    }
    printf("%llu writes, %llu consistent reads\n", (unsigned long long)writes, (unsigned long long)consistent_reads);
    free(rows);
    free(histograms);
    return 0;
}
