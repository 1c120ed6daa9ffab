/* seqlock.h — rows that one process writes and anyone reads, without either waiting for the other.
 *
 *   ┌──────────────────────────────────────────────┐
 *   │ header   magic version row_size row_count    │  one cache line
 *   ├──────────────────────────────────────────────┤
 *   │ row 0    version │ row_size bytes            │  version: own cache line; odd while being written
 *   │ row 1    version │ row_size bytes            │
 *   └──────────────────────────────────────────────┘
 *
 * The writer edits a private copy and stores it word by word; a reader copies word by word and repeats if the version moved.
 */
#ifndef CRYPTO_TRADE_SEQLOCK_H
#define CRYPTO_TRADE_SEQLOCK_H

#include <stdint.h>

/* cffi: begin */
/* About 40 µs: longer than any write; a writer stopped inside a row costs its readers no more than that. */
#define SEQLOCK_ATTEMPTS_MAX 1000

typedef enum seqlock_result {
    SEQLOCK_OK = 0,
    SEQLOCK_BAD_MAGIC = 2,
    SEQLOCK_BAD_VERSION = 3,
    SEQLOCK_BAD_ROW_SIZE = 4,
    SEQLOCK_BAD_ROW_COUNT = 5,
    SEQLOCK_BAD_SIZE = 7,
    SEQLOCK_TORN = 8           /* the writer died, or was stopped, inside this row */
} seqlock_result_e;

uint64_t seqlock_segment_size(uint64_t row_count, uint64_t row_size);
/* Lays out `segment` (64-byte aligned). SEQLOCK_OK, SEQLOCK_BAD_ROW_SIZE (a multiple of 64), SEQLOCK_BAD_SIZE. */
int32_t seqlock_open(void *segment, uint64_t size, uint64_t row_count, uint64_t row_size, uint64_t epoch);
/* SEQLOCK_OK, or what is wrong with somebody else's segment. */
int32_t seqlock_check(const void *segment, uint64_t size, uint64_t row_count, uint64_t row_size);
/* The epoch in the header; 0: not a segment of this kind. */
uint64_t seqlock_epoch(const void *segment, uint64_t size);
uint64_t seqlock_row_count(const void *segment);
/* Stores `row` (row_size bytes) as row `index`. One writer per segment. */
void seqlock_write(void *segment, uint64_t index, const void *row);
/* Copies row `index` into `row`. SEQLOCK_OK: a consistent copy. SEQLOCK_TORN after `attempts_max` tries: `row` is as before. */
int32_t seqlock_read(const void *segment, uint64_t index, void *row, uint64_t attempts_max);
/* The same for the calls that Python makes per row. One argument each: see ring.h. */
typedef struct seqlock_row {
    void *segment;             /* NULL: no writer has been found; nothing is copied */
    void *copy;                /* row_size bytes of private memory */
    uint64_t index;
} seqlock_row_t;

void seqlock_store_row(const seqlock_row_t *row);
/* As seqlock_read(), with SEQLOCK_ATTEMPTS_MAX attempts. */
int32_t seqlock_load_row(const seqlock_row_t *row);

/* How often row `index` has been written: a cheap way to see that nothing is new. */
uint64_t seqlock_writes(const void *segment, uint64_t index);
/* cffi: end */

#endif
