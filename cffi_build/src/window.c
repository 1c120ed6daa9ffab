#include "window.h"

#include <assert.h>
#include <math.h>
#include <string.h>

void window_init(window_t *window, double *arrival, double *sorted, uint32_t capacity)
{
    assert(capacity > 0 && "a window holds at least one sample");
    *window = (window_t){.arrival = arrival, .sorted = sorted, .capacity = capacity};
}

void window_clear(window_t *window)
{
    window->count = 0;
    window->next = 0;
}

/* How many samples are below `value` (or not above it, with `or_equal`). */
static uint32_t below(const window_t *window, double value, int or_equal)
{
    uint32_t low = 0, high = window->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (window->sorted[middle] < value || (or_equal && window->sorted[middle] == value))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int window_push(window_t *window, double sample)
{
    if (!isfinite(sample))
        return 0;
    double *sorted = window->sorted;
    uint32_t place = below(window, sample, 1);
    if (window->count < window->capacity) {
        memmove(sorted + place + 1, sorted + place, (window->count - place) * sizeof(double));
        sorted[place] = sample;
        window->count++;
    } else {
        double oldest = window->arrival[window->next];
        uint32_t gap = below(window, oldest, 0);
        assert(gap < window->count && sorted[gap] == oldest && "every arrival has its place in the sorted order");
        if (gap < place) {  /* The gap lies below: what is between moves down. */
            memmove(sorted + gap, sorted + gap + 1, (place - gap - 1) * sizeof(double));
            sorted[place - 1] = sample;
        } else {
            memmove(sorted + place + 1, sorted + place, (gap - place) * sizeof(double));
            sorted[place] = sample;
        }
    }
    window->arrival[window->next] = sample;
    window->next = window->next + 1 == window->capacity ? 0 : window->next + 1;
    return 1;
}

double window_rank(const window_t *window, double value)
{
    if (window->count == 0 || isnan(value))
        return 0.5;
    return ((double)below(window, value, 0) + (double)below(window, value, 1)) / (2.0 * (double)window->count);
}

double window_quantile(const window_t *window, double quantile)
{
    if (window->count == 0 || isnan(quantile))
        return NAN;
    double place = quantile <= 0 ? 0 : quantile >= 1 ? window->count - 1 : floor(quantile * (window->count - 1));
    return window->sorted[(uint32_t)place];
}
