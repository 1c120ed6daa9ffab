/* wake.h — a bell between processes: an eventfd, rung by producers, waited for by a shard. */
#ifndef CRYPTO_TRADE_WAKE_H
#define CRYPTO_TRADE_WAKE_H

#include <stdint.h>

/* cffi: begin */
/* Rings the bell `fd` (a non-blocking eventfd). 0, or the errno of a bell that cannot be rung. A bell that has been rung
 * 2^64 - 2 times without being heard is rung already: 0. */
int32_t wake_ring(int32_t fd);

/* Silences the bell. How many times it had been rung; 0: not at all. */
uint64_t wake_silence(int32_t fd);
/* cffi: end */

#endif
