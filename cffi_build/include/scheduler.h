/* scheduler.h — what a thread asks of the kernel's fair scheduler beyond its nice value. */
#ifndef CRYPTO_TRADE_SCHEDULER_H
#define CRYPTO_TRADE_SCHEDULER_H

#include <stdint.h>

/* cffi: begin */
/* Makes the turns of the calling thread `slice_ns` long (0.1 to 100 ms; Linux 6.12 and later, ignored before). Its share of the
 * core stays what its nice value says; but who wakes up with a shorter slice than the running task's is let in at once.
 * 0, or the errno of a refusal. */
int32_t scheduler_slice_set(uint64_t slice_ns);
/* cffi: end */

#endif
