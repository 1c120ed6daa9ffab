/* pool.h — preallocated objects of one size with a free list, for one owner.
 *
 *   ┌──────────┬─────────────────────────┬──────────────────────────────────────┐
 *   │ pool_t   │ next[0] next[1] …       │ object 0 │ object 1 │ …              │
 *   └──────────┴─────────────────────────┴──────────────────────────────────────┘
 *   The free list runs through `next`, outside the objects: a freed object keeps its bytes until it is taken again, and a
 *   second free is found. Last freed, first taken: its lines are still in the cache.
 */
#ifndef CRYPTO_TRADE_POOL_H
#define CRYPTO_TRADE_POOL_H

#include <stdint.h>

/* cffi: begin */
#define POOL_NONE 0xffffffff

typedef struct pool pool_t;

uint64_t pool_size(uint32_t capacity, uint64_t object_size);
/* Lays out `memory` (64-byte aligned, pool_size() bytes) and touches every page of it. */
void pool_open(pool_t *pool, uint32_t capacity, uint64_t object_size);
/* The index of a zeroed object, now taken; POOL_NONE: all are taken. */
uint32_t pool_take(pool_t *pool);
/* Gives an object back. 0; −1: it was not taken (a double free), nothing is changed. */
int32_t pool_free(pool_t *pool, uint32_t index);
int32_t pool_is_taken(const pool_t *pool, uint32_t index);
void *pool_object(const pool_t *pool, uint32_t index);
uint32_t pool_taken(const pool_t *pool);
uint32_t pool_taken_max(const pool_t *pool);
/* cffi: end */

#endif
