/* clock.h — the one clock of a host: CLOCK_MONOTONIC, the same for all its processes. */
#ifndef CRYPTO_TRADE_CLOCK_H
#define CRYPTO_TRADE_CLOCK_H

#include <stdint.h>

/* cffi: begin */
/* CLOCK_MONOTONIC in ns. No system call on a tuned host (vDSO). */
int64_t clock_monotonic_ns(void);
/* What one reading costs at best: the smallest difference of two of `count` consecutive readings that is not 0, in ns. */
int64_t clock_step_ns(uint64_t count);
/* cffi: end */

#endif
