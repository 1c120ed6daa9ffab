/* histogram.h — how often which latency: log-linear buckets as in HdrHistogram, in memory that others may read meanwhile.
 *
 *   value in ns   0 … 255         one bucket each
 *                 2^k … 2^(k+1)   128 buckets of equal width, so a bucket is at most 1/128 (0.8 %) wide: two digits, nearly three
 *   from 1 ns to 2^36 ns (68 s); longer ones are counted in the last bucket and in `overflow`
 *
 * A segment holds `count` histograms of HISTOGRAM_SIZE bytes. One writer per histogram, any readers: a reader sees every
 * bucket as it was at some moment of its reading, which is all that a percentile of a running system can mean.
 */
#ifndef CRYPTO_TRADE_HISTOGRAM_H
#define CRYPTO_TRADE_HISTOGRAM_H

#include <stdint.h>

/* cffi: begin */
#define HISTOGRAM_BUCKETS 3840
#define HISTOGRAM_SIZE 30784
#define HISTOGRAM_NOW 255

typedef enum histogram_result {
    HISTOGRAM_OK = 0,
    HISTOGRAM_BAD_MAGIC = 2,
    HISTOGRAM_BAD_VERSION = 3,
    HISTOGRAM_BAD_COUNT = 5,
    HISTOGRAM_BAD_SIZE = 7
} histogram_result_e;

typedef struct histogram histogram_t;

uint64_t histogram_segment_size(uint64_t count);
/* Lays out `count` empty histograms. HISTOGRAM_OK or HISTOGRAM_BAD_SIZE. */
int32_t histogram_open(void *segment, uint64_t size, uint64_t count, uint64_t epoch);
/* HISTOGRAM_OK, or what is wrong with somebody else's segment. */
int32_t histogram_check(const void *segment, uint64_t size, uint64_t count);
histogram_t *histogram_at(const void *segment, uint64_t index);

/* Counts one value in ns. Negative ones count as 0. */
void histogram_record(histogram_t *histogram, int64_t value_ns);
/* Counts what passed between pairs of stamps, which are int64 behind one another (0: not set). Of the `count` spans, three bytes
 * each, one says which histogram of the segment, from which stamp, to which; HISTOGRAM_NOW as the latter is now_ns. A span that
 * lacks a stamp, or in which time ran backwards, is not counted. */
void histogram_record_spans(const void *segment, const uint8_t *spans, uint64_t count, const void *stamps, int64_t now_ns);
/* Forgets everything. */
void histogram_clear(histogram_t *histogram);
/* Adds `source` to `target`, which is ours. */
void histogram_merge(histogram_t *target, const histogram_t *source);

uint64_t histogram_count(const histogram_t *histogram);
uint64_t histogram_overflow(const histogram_t *histogram);
int64_t histogram_max(const histogram_t *histogram);
int64_t histogram_min(const histogram_t *histogram);
/* Sum of all values in ns. */
int64_t histogram_sum(const histogram_t *histogram);
/* The value that `parts_per_million` of all values do not exceed, in ns (the upper edge of its bucket, at most the maximum);
 * 0 if there are none. */
int64_t histogram_percentile(const histogram_t *histogram, uint64_t parts_per_million);
/* The counts of all buckets, HISTOGRAM_BUCKETS of them. */
void histogram_buckets(const histogram_t *histogram, uint64_t *counts);
/* The greatest value of a bucket, in ns. */
int64_t histogram_bucket_upper(uint64_t bucket);
/* cffi: end */

#endif
