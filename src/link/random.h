/*
 * Random numbers from a seed, for simulations: the same seed gives the same numbers, everywhere.
 *
 * Not for keys, tags or cookies of a real host. The generator is xoshiro256**, started by
 * splitmix64, both by David Blackman and Sebastiano Vigna.
 */
#ifndef LINK_RANDOM_H
#define LINK_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct random_generator {
    uint64_t state[4];
};

static inline void random_seed(struct random_generator *generator, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        generator->state[i] = z ^ z >> 31;
    }
}

static inline uint64_t random_rotate(uint64_t value, int by)
{
    return value << by | value >> (64 - by);
}

static inline uint64_t random_next(struct random_generator *generator)
{
    uint64_t *s = generator->state;
    uint64_t result = random_rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = random_rotate(s[3], 45);
    return result;
}

/* A number from 0 up to, not including, `limit`, which is not 0. */
static inline uint64_t random_below(struct random_generator *generator, uint64_t limit)
{
    return (uint64_t)(((unsigned __int128)random_next(generator) * limit) >> 64);
}

/* True with the given probability, from 0 to 1. */
static inline bool random_chance(struct random_generator *generator, double probability)
{
    return (double)(random_next(generator) >> 11) * 0x1p-53 < probability;
}

static inline void random_bytes(struct random_generator *generator, void *bytes, size_t length)
{
    uint8_t *to = bytes;

    while (length > 0) {
        uint64_t value = random_next(generator);
        size_t part = length < sizeof(value) ? length : sizeof(value);

        memcpy(to, &value, part);
        to += part;
        length -= part;
    }
}

#endif
