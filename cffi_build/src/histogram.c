#include "histogram.h"

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>

#define LINE 64
#define MAGIC UINT64_C(0x31676f7473696863) /* "chistog1" */
#define LAYOUT_VERSION 1
#define HALF_BITS 7 /* 128 buckets per power of two */
#define VALUE_BITS 36

typedef _Atomic uint64_t count_t;

/* All accesses are relaxed: every count stands for itself, and nobody decides by two of them together. The writer adds with a
 * load and a store, because it is alone and an atomic addition would lock the line. */
struct histogram {
    alignas(LINE) count_t count;
    count_t overflow;
    count_t sum;
    count_t max;
    count_t min_complement; /* ~min, so that zeroed memory means "none yet" */
    uint64_t pad[3];
    count_t bucket[HISTOGRAM_BUCKETS];
};

typedef struct header {
    alignas(LINE) uint64_t magic;
    uint64_t version;
    uint64_t count;
    uint64_t epoch;
} header_t;

static_assert(sizeof(histogram_t) == HISTOGRAM_SIZE, "HISTOGRAM_SIZE is what Python is told");
static_assert(HISTOGRAM_BUCKETS == (VALUE_BITS - HALF_BITS + 1) << HALF_BITS, "two halves at first, then one per power of two");

static uint64_t load(const count_t *count)
{
    return atomic_load_explicit((count_t *)(uintptr_t)count, memory_order_relaxed);
}

static void store(count_t *count, uint64_t value)
{
    atomic_store_explicit(count, value, memory_order_relaxed);
}

static uint64_t bucket_of(uint64_t value)
{
    if (value < (UINT64_C(2) << HALF_BITS))
        return value;
    const uint64_t shift = 63 - HALF_BITS - (uint64_t)__builtin_clzll(value);
    return (shift << HALF_BITS) + (value >> shift);
}

int64_t histogram_bucket_upper(uint64_t bucket)
{
    if (bucket < (UINT64_C(2) << HALF_BITS))
        return (int64_t)bucket;
    const uint64_t shift = (bucket >> HALF_BITS) - 1;
    const uint64_t top = bucket - (shift << HALF_BITS);
    return (int64_t)(((top + 1) << shift) - 1);
}

uint64_t histogram_segment_size(uint64_t count)
{
    return sizeof(header_t) + count * sizeof(histogram_t);
}

int32_t histogram_open(void *segment, uint64_t size, uint64_t count, uint64_t epoch)
{
    if (size < histogram_segment_size(count))
        return HISTOGRAM_BAD_SIZE;
    assert((uintptr_t)segment % LINE == 0 && "a segment begins on a cache line");
    memset(segment, 0, size);
    header_t *header = segment;
    *header = (header_t){MAGIC, LAYOUT_VERSION, count, epoch};
    return HISTOGRAM_OK;
}

int32_t histogram_check(const void *segment, uint64_t size, uint64_t count)
{
    const header_t *header = segment;
    if (size < sizeof *header)
        return HISTOGRAM_BAD_SIZE;
    if (header->magic != MAGIC)
        return HISTOGRAM_BAD_MAGIC;
    if (header->version != LAYOUT_VERSION)
        return HISTOGRAM_BAD_VERSION;
    if (header->count != count)
        return HISTOGRAM_BAD_COUNT;
    return size < histogram_segment_size(count) ? HISTOGRAM_BAD_SIZE : HISTOGRAM_OK;
}

histogram_t *histogram_at(const void *segment, uint64_t index)
{
    const header_t *header = segment;
    assert(index < header->count && "no such histogram");
    return (histogram_t *)(uintptr_t)(header + 1) + index;
}

void histogram_record(histogram_t *histogram, int64_t value_ns)
{
    uint64_t value = value_ns < 0 ? 0 : (uint64_t)value_ns;
    if (value > load(&histogram->max))
        store(&histogram->max, value);
    if (~value > load(&histogram->min_complement))
        store(&histogram->min_complement, ~value);
    store(&histogram->sum, load(&histogram->sum) + value);
    if (value >= UINT64_C(1) << VALUE_BITS) {
        store(&histogram->overflow, load(&histogram->overflow) + 1);
        value = (UINT64_C(1) << VALUE_BITS) - 1;
    }
    count_t *bucket = &histogram->bucket[bucket_of(value)];
    store(bucket, load(bucket) + 1);
    store(&histogram->count, load(&histogram->count) + 1);
}

static int64_t stamp_at(const void *stamps, uint8_t index)
{
    int64_t stamp;
    memcpy(&stamp, (const uint8_t *)stamps + index * sizeof stamp, sizeof stamp);
    return stamp;
}

void histogram_record_spans(const void *segment, const uint8_t *spans, uint64_t count, const void *stamps, int64_t now_ns)
{
    for (const uint8_t *span = spans, *end = spans + 3 * count; span < end; span += 3) {
        const int64_t first = stamp_at(stamps, span[1]);
        const int64_t last = span[2] == HISTOGRAM_NOW ? now_ns : stamp_at(stamps, span[2]);
        if (first && last >= first)
            histogram_record(histogram_at(segment, span[0]), last - first);
    }
}

void histogram_clear(histogram_t *histogram)
{
    for (uint64_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        store(&histogram->bucket[i], 0);
    store(&histogram->count, 0);
    store(&histogram->overflow, 0);
    store(&histogram->sum, 0);
    store(&histogram->max, 0);
    store(&histogram->min_complement, 0);
}

void histogram_merge(histogram_t *target, const histogram_t *source)
{
    for (uint64_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        const uint64_t more = load(&source->bucket[i]);
        if (more != 0)
            store(&target->bucket[i], load(&target->bucket[i]) + more);
    }
    store(&target->count, load(&target->count) + load(&source->count));
    store(&target->overflow, load(&target->overflow) + load(&source->overflow));
    store(&target->sum, load(&target->sum) + load(&source->sum));
    if (load(&source->max) > load(&target->max))
        store(&target->max, load(&source->max));
    if (load(&source->min_complement) > load(&target->min_complement))
        store(&target->min_complement, load(&source->min_complement));
}

uint64_t histogram_count(const histogram_t *histogram)
{
    return load(&histogram->count);
}

uint64_t histogram_overflow(const histogram_t *histogram)
{
    return load(&histogram->overflow);
}

int64_t histogram_max(const histogram_t *histogram)
{
    return (int64_t)load(&histogram->max);
}

int64_t histogram_min(const histogram_t *histogram)
{
    const uint64_t complement = load(&histogram->min_complement);
    return complement == 0 ? 0 : (int64_t)~complement;
}

int64_t histogram_sum(const histogram_t *histogram)
{
    return (int64_t)load(&histogram->sum);
}

int64_t histogram_percentile(const histogram_t *histogram, uint64_t parts_per_million)
{
    assert(parts_per_million <= 1000000 && "at most all of them");
    uint64_t total = 0; /* Not `count`: a record may be between the two. */
    for (uint64_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        total += load(&histogram->bucket[i]);
    if (total == 0)
        return 0;
    uint64_t wanted = (uint64_t)(((unsigned __int128)total * parts_per_million + 999999) / 1000000);
    if (wanted == 0)
        wanted = 1;
    const int64_t max = histogram_max(histogram);
    uint64_t seen = 0;
    for (uint64_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += load(&histogram->bucket[i]);
        if (seen >= wanted) {
            const int64_t upper = histogram_bucket_upper(i);
            return upper < max && i + 1 < HISTOGRAM_BUCKETS ? upper : max;
        }
    }
    return max;
}

void histogram_buckets(const histogram_t *histogram, uint64_t *counts)
{
    for (uint64_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        counts[i] = load(&histogram->bucket[i]);
}
