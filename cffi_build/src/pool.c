#include "pool.h"

#include <assert.h>
#include <stdalign.h>
#include <string.h>

#define LINE 64
#define TAKEN UINT32_C(0xfffffffe)

struct pool {
    alignas(LINE) uint64_t object_size;
    uint32_t capacity;
    uint32_t first_free; /* POOL_NONE: all are taken */
    uint32_t taken;
    uint32_t taken_max;
    uint32_t next[]; /* TAKEN, or the next free one, or POOL_NONE at the end */
};

static uint64_t objects_offset(uint32_t capacity)
{
    const uint64_t end = sizeof(pool_t) + capacity * sizeof(uint32_t);
    return (end + LINE - 1) / LINE * LINE;
}

uint64_t pool_size(uint32_t capacity, uint64_t object_size)
{
    return objects_offset(capacity) + capacity * object_size;
}

void pool_open(pool_t *pool, uint32_t capacity, uint64_t object_size)
{
    assert(capacity > 0 && capacity < TAKEN && "a pool holds at least one object");
    assert(object_size > 0 && object_size % LINE == 0 && "whole cache lines");
    assert((uintptr_t)pool % LINE == 0 && "a pool begins on a cache line");
    memset(pool, 0, pool_size(capacity, object_size));
    pool->object_size = object_size;
    pool->capacity = capacity;
    for (uint32_t i = 0; i < capacity; i++)
        pool->next[i] = i + 1 < capacity ? i + 1 : POOL_NONE;
}

void *pool_object(const pool_t *pool, uint32_t index)
{
    assert(index < pool->capacity && "no such object");
    return (uint8_t *)(uintptr_t)pool + objects_offset(pool->capacity) + index * pool->object_size;
}

uint32_t pool_take(pool_t *pool)
{
    const uint32_t index = pool->first_free;
    if (index == POOL_NONE)
        return POOL_NONE;
    assert(index < pool->capacity && "the free list is sound");
    assert(pool->next[index] != TAKEN && "a free object is not taken");
    pool->first_free = pool->next[index];
    pool->next[index] = TAKEN;
    pool->taken++;
    if (pool->taken > pool->taken_max)
        pool->taken_max = pool->taken;
    memset(pool_object(pool, index), 0, pool->object_size);
    return index;
}

int32_t pool_free(pool_t *pool, uint32_t index)
{
    assert(index < pool->capacity && "no such object");
    if (pool->next[index] != TAKEN)
        return -1;
    assert(pool->taken > 0 && "as many frees as takes");
    pool->next[index] = pool->first_free;
    pool->first_free = index;
    pool->taken--;
    return 0;
}

int32_t pool_is_taken(const pool_t *pool, uint32_t index)
{
    assert(index < pool->capacity && "no such object");
    return pool->next[index] == TAKEN;
}

uint32_t pool_taken(const pool_t *pool)
{
    return pool->taken;
}

uint32_t pool_taken_max(const pool_t *pool)
{
    return pool->taken_max;
}
