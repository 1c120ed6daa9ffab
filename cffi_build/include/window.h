/* window.h — the last N samples, in order of arrival and in order of size: rank and quantile in O(log N).
 *
 *     arrival  │ 3.1 │ 2.7 │ 2.9 │ …   ring: `next` is the oldest once it is full
 *     sorted   │ 2.7 │ 2.9 │ 3.1 │ …   a new sample takes the place of the oldest: what lies between the two moves by one
 */
#ifndef CRYPTO_TRADE_WINDOW_H
#define CRYPTO_TRADE_WINDOW_H

#include <stdint.h>

/* cffi: begin */
typedef struct window {
    double  *arrival;
    double  *sorted;
    uint32_t count;
    uint32_t capacity;
    uint32_t next;
    uint32_t reserved;
} window_t;

/* Makes an empty window over two arrays of `capacity` doubles each, which must outlive it. */
void window_init(window_t *window, double *arrival, double *sorted, uint32_t capacity);

void window_clear(window_t *window);

/* Takes one sample; the oldest one leaves a full window. A sample that is not finite is refused. Returns 1 if taken, else 0. */
int window_push(window_t *window, double sample);

/* Which share of the samples is below `value`, equal ones counted half: in [0, 1]; 0.5 for an empty window. */
double window_rank(const window_t *window, double value);

/* The sample at share `quantile` in [0, 1] (nearest rank, from below); NaN for an empty window. */
double window_quantile(const window_t *window, double quantile);
/* cffi: end */

#endif
