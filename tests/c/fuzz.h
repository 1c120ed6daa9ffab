/* fuzz.h — what the fuzz programs share: the demand, and for compilers without libFuzzer a driver that damages seeds by itself.
 *
 *   seed ──▶ fuzz_damage: a byte, a cut, a bite put in, a piece taken out, a piece repeated ──▶ LLVMFuzzerTestOneInput
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                                        \
    do {                                                                                       \
        if (!(condition)) {                                                                    \
            fprintf(stderr, "broken: %s\n", #condition);                                       \
            abort();                                                                           \
        }                                                                                      \
    } while (0)

#ifndef LIBFUZZER
#define COUNT(array) (sizeof(array) / sizeof(array[0]))
#define SIZE_MAX_INPUT 4096
#define PIECE_OUT_MAX 20
#define PIECE_TWICE_MAX 64

static uint64_t fuzz_state;

/* The program's arguments are [inputs] [seed]. Returns how many inputs. */
static uint64_t fuzz_begin(int argc, char **argv, uint64_t inputs)
{
    fuzz_state = (argc > 2 ? strtoull(argv[2], 0, 10) : 1) * 0x9e3779b97f4a7c15ull | 1;
    return argc > 1 ? strtoull(argv[1], 0, 10) : inputs;
}

static uint32_t random_below(uint32_t limit)
{
    fuzz_state ^= fuzz_state << 13;
    fuzz_state ^= fuzz_state >> 7;
    fuzz_state ^= fuzz_state << 17;
    return (uint32_t)((fuzz_state * 0x2545f4914f6cdd1dull) >> 33) % limit;
}

/* Makes room at `place` and puts the bite there, which may be what stands there already. Returns the new size. */
static size_t fuzz_put(uint8_t *input, size_t size, size_t place, const void *bite, size_t length)
{
    if (size + length >= SIZE_MAX_INPUT)
        return size;
    memmove(input + place + length, input + place, size - place);
    memmove(input + place, bite, length);
    return size + length;
}

/* Fewer than `changes` changes; of the cuts only one in `cut_one_in` is made. Returns the new size. */
static size_t fuzz_damage(uint8_t *input, size_t size, const char *const *bites, uint32_t bite_count, uint32_t changes, uint32_t cut_one_in)
{
    for (uint32_t change = random_below(changes); change > 0 && size > 0; change--) {
        uint32_t place = random_below((uint32_t)size), length;
        const char *bite = bites[random_below(bite_count)];
        switch (random_below(5)) {
        case 0: input[place] = (uint8_t)random_below(256); break;
        case 1: size = random_below(cut_one_in) ? size : place; break;
        case 2: size = fuzz_put(input, size, place, bite, strlen(bite)); break;
        case 3:
            length = 1 + random_below(PIECE_OUT_MAX);
            if (place + length < size) {
                memmove(input + place, input + place + length, size - place - length);
                size -= length;
            }
            break;
        default:
            length = 1 + random_below(PIECE_TWICE_MAX);
            if (place + length <= size)
                size = fuzz_put(input, size, place, input + place, length);
        }
    }
    return size;
}
#endif
#endif
