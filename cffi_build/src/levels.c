#include "levels.h"

#include <assert.h>
#include <string.h>

#define LINEAR_STEPS 6  /* Most changes are this near to the best level; a binary search mispredicts more than that costs. */

/* The index of the first level that is at least as good as `price_ticks`; `count` if all are worse. */
static uint32_t find(const levels_t *levels, int64_t price_ticks)
{
    const level_t *at = levels->at;
    int64_t direction = levels->direction;
    uint32_t high = levels->count;
    for (int step = 0; step < LINEAR_STEPS; step++) {
        if (high == 0 || (direction > 0 ? at[high - 1].price_ticks < price_ticks : at[high - 1].price_ticks > price_ticks))
            return high;
        high--;
    }
    uint32_t low = 0;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (direction > 0 ? at[middle].price_ticks < price_ticks : at[middle].price_ticks > price_ticks)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void levels_set(levels_t *levels, int64_t price_ticks, int64_t quantity_lots)
{
    uint32_t index = find(levels, price_ticks);
    level_t *at = levels->at;
    if (index < levels->count && at[index].price_ticks == price_ticks) {
        if (quantity_lots > 0) {
            at[index].quantity_lots = quantity_lots;
            return;
        }
        memmove(at + index, at + index + 1, (levels->count - index - 1) * sizeof(level_t));
        levels->count--;
        return;
    }
    if (quantity_lots <= 0)
        return;
    if (levels->count == levels->capacity) {
        levels->dropped++;
        if (index == 0)
            return;  /* It would itself be the farthest. */
        memmove(at, at + 1, (index - 1) * sizeof(level_t));
        at[index - 1] = (level_t){price_ticks, quantity_lots};
        return;
    }
    assert(levels->count < levels->capacity && "a side never holds more than its array");
    memmove(at + index + 1, at + index, (levels->count - index) * sizeof(level_t));
    at[index] = (level_t){price_ticks, quantity_lots};
    levels->count++;
}

int64_t levels_quantity(const levels_t *levels, int64_t price_ticks)
{
    uint32_t index = find(levels, price_ticks);
    return index < levels->count && levels->at[index].price_ticks == price_ticks ? levels->at[index].quantity_lots : 0;
}

uint32_t levels_copy(const levels_t *levels, level_t *out, uint32_t count_max)
{
    uint32_t count = levels->count < count_max ? levels->count : count_max;
    for (uint32_t index = 0; index < count; index++)
        out[index] = levels->at[levels->count - 1 - index];
    return count;
}

int64_t levels_quantity_within(const levels_t *levels, int64_t limit_ticks)
{
    int64_t total = 0;
    for (uint32_t index = levels->count; index-- > 0;) {
        const level_t *level = &levels->at[index];
        if (levels->direction > 0 ? level->price_ticks < limit_ticks : level->price_ticks > limit_ticks)
            break;
        total += level->quantity_lots;
    }
    return total;
}

int64_t levels_price_for(const levels_t *levels, int64_t quantity_lots)
{
    int64_t total = 0;
    for (uint32_t index = levels->count; index-- > 0;) {
        total += levels->at[index].quantity_lots;
        if (total >= quantity_lots)
            return levels->at[index].price_ticks;
    }
    return 0;
}
