#include "seqlock.h"

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>

#define LINE 64
#define MAGIC UINT64_C(0x316b636f6c716573) /* "seqlock1" */
#define LAYOUT_VERSION 1
#define ROW_WORDS_MAX 512 /* 4 KiB: the private copy of a reader lies on its stack */

typedef _Atomic uint64_t word_t;

typedef struct header {
    alignas(LINE) uint64_t magic;
    uint64_t version;
    uint64_t row_size;
    uint64_t row_count;
    uint64_t epoch;
} header_t;

static_assert(sizeof(header_t) == LINE, "one cache line");

/* Lets the writer's core have the line. */
static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static word_t *version_of(const void *segment, uint64_t index)
{
    const header_t *header = segment;
    assert(index < header->row_count && "no such row");
    return (word_t *)((uint8_t *)(uintptr_t)(header + 1) + index * (LINE + header->row_size));
}

uint64_t seqlock_segment_size(uint64_t row_count, uint64_t row_size)
{
    return sizeof(header_t) + row_count * (LINE + row_size);
}

int32_t seqlock_open(void *segment, uint64_t size, uint64_t row_count, uint64_t row_size, uint64_t epoch)
{
    if (row_size == 0 || row_size % LINE != 0 || row_size > ROW_WORDS_MAX * sizeof(word_t))
        return SEQLOCK_BAD_ROW_SIZE;
    if (row_count == 0 || row_count > UINT32_MAX)
        return SEQLOCK_BAD_ROW_COUNT;
    if (size < seqlock_segment_size(row_count, row_size))
        return SEQLOCK_BAD_SIZE;
    assert((uintptr_t)segment % LINE == 0 && "a segment begins on a cache line");
    memset(segment, 0, size);
    header_t *header = segment;
    *header = (header_t){MAGIC, LAYOUT_VERSION, row_size, row_count, epoch};
    return SEQLOCK_OK;
}

int32_t seqlock_check(const void *segment, uint64_t size, uint64_t row_count, uint64_t row_size)
{
    const header_t *header = segment;
    if (size < sizeof *header)
        return SEQLOCK_BAD_SIZE;
    if (header->magic != MAGIC)
        return SEQLOCK_BAD_MAGIC;
    if (header->version != LAYOUT_VERSION)
        return SEQLOCK_BAD_VERSION;
    if (header->row_size != row_size)
        return SEQLOCK_BAD_ROW_SIZE;
    if (header->row_count != row_count)
        return SEQLOCK_BAD_ROW_COUNT;
    return size < seqlock_segment_size(row_count, row_size) ? SEQLOCK_BAD_SIZE : SEQLOCK_OK;
}

uint64_t seqlock_epoch(const void *segment, uint64_t size)
{
    const header_t *header = segment;
    return size < sizeof *header || header->magic != MAGIC ? 0 : header->epoch;
}

uint64_t seqlock_row_count(const void *segment)
{
    return ((const header_t *)segment)->row_count;
}

void seqlock_write(void *segment, uint64_t index, const void *row)
{
    word_t *version = version_of(segment, index);
    word_t *words = version + LINE / sizeof(word_t);
    const uint64_t word_count = ((const header_t *)segment)->row_size / sizeof(word_t);
    const uint8_t *bytes = row;
    /* Relaxed: only we write it. */
    const uint64_t before = atomic_load_explicit(version, memory_order_relaxed);
    assert((before & 1) == 0 && "one writer per segment");
    /* Relaxed: the release of each word below carries it along. */
    atomic_store_explicit(version, before + 1, memory_order_relaxed);
    for (uint64_t i = 0; i < word_count; i++) {
        uint64_t word;
        memcpy(&word, bytes + i * sizeof word, sizeof word);
        /* Release: pairs with the acquire of the same word in seqlock_read(): who sees a new word sees the odd version. It
         * is a plain store on x86, and unlike a fence a race detector can follow it. */
        atomic_store_explicit(&words[i], word, memory_order_release);
    }
    /* Release: pairs with the first acquire in seqlock_read(): who sees the even version sees the whole row. */
    atomic_store_explicit(version, before + 2, memory_order_release);
}

int32_t seqlock_read(const void *segment, uint64_t index, void *row, uint64_t attempts_max)
{
    word_t *version = version_of(segment, index);
    word_t *words = version + LINE / sizeof(word_t);
    const uint64_t word_count = ((const header_t *)segment)->row_size / sizeof(word_t);
    uint64_t copy[ROW_WORDS_MAX];
    assert(word_count <= ROW_WORDS_MAX && "checked when the segment was mapped");
    for (uint64_t attempt = 0; attempt < attempts_max; attempt++) {
        /* Acquire: pairs with the last release in seqlock_write(). */
        const uint64_t before = atomic_load_explicit(version, memory_order_acquire);
        if ((before & 1) != 0) {
            pause_briefly();
            continue;
        }
        for (uint64_t i = 0; i < word_count; i++)
            copy[i] = atomic_load_explicit(&words[i], memory_order_acquire); /* see seqlock_write() */
        /* Relaxed: ordered after the acquires above. */
        if (atomic_load_explicit(version, memory_order_relaxed) == before) {
            memcpy(row, copy, word_count * sizeof(word_t));
            return SEQLOCK_OK;
        }
    }
    return SEQLOCK_TORN;
}

void seqlock_store_row(const seqlock_row_t *row)
{
    seqlock_write(row->segment, row->index, row->copy);
}

int32_t seqlock_load_row(const seqlock_row_t *row)
{
    if (row->segment == NULL)
        return SEQLOCK_OK;
    return seqlock_read(row->segment, row->index, row->copy, SEQLOCK_ATTEMPTS_MAX);
}

uint64_t seqlock_writes(const void *segment, uint64_t index)
{
    /* Relaxed: a hint. */
    return atomic_load_explicit(version_of(segment, index), memory_order_relaxed) / 2;
}
