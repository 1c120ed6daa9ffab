/* clock.h — the one clock of a host: CLOCK_MONOTONIC, the same for all its processes. */
#ifndef CRYPTO_TRADE_CLOCK_H
#define CRYPTO_TRADE_CLOCK_H

#include <stdint.h>

/* cffi: begin */
/* CLOCK_MONOTONIC in ns. No system call on a tuned host (vDSO). */
int64_t clock_monotonic_ns(void);
/* What one reading costs at best: the smallest difference of two of `count` consecutive readings that is not 0, in ns. */
int64_t clock_step_ns(uint64_t count);
/* Reads the clock without pause for `duration_ns` and notes every gap of at least `threshold_ns` between two readings, in order:
 * the core was somewhere else. `gaps` has room for `capacity`; later ones are only counted. *readings: how often it was read.
 * Returns how many gaps there were. */
uint64_t clock_gaps(int64_t duration_ns, int64_t threshold_ns, int64_t *gaps, uint64_t capacity, uint64_t *readings);
/* cffi: end */

#endif
