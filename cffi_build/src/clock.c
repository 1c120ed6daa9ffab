#define _POSIX_C_SOURCE 200809L

#include "clock.h"

#include <time.h>

int64_t clock_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int64_t clock_step_ns(uint64_t count)
{
    int64_t smallest = INT64_MAX;
    int64_t before = clock_monotonic_ns();
    for (uint64_t i = 0; i < count; i++) {
        const int64_t after = clock_monotonic_ns();
        if (after > before && after - before < smallest)
            smallest = after - before;
        before = after;
    }
    return smallest;
}

uint64_t clock_gaps(int64_t duration_ns, int64_t threshold_ns, int64_t *gaps, uint64_t capacity, uint64_t *readings)
{
    uint64_t found = 0, count = 0;
    int64_t before = clock_monotonic_ns();
    const int64_t end = before + duration_ns;
    while (before < end) {
        const int64_t now = clock_monotonic_ns();
        count++;
        if (now - before >= threshold_ns) {
            if (found < capacity)
                gaps[found] = now - before;
            found++;
        }
        before = now;
    }
    *readings = count;
    return found;
}
