/*
 * Packets of an enemy: chunks that make sense, more or less, and what can be done to them. For
 * tests and fuzzers. All comes from peer->random and goes into peer->writer.
 */
#ifndef ENGINE_HOSTILE_H
#define ENGINE_HOSTILE_H

#include "peer.h"

static inline uint32_t below(struct peer *peer, uint32_t limit)
{
    return (uint32_t)random_below(&peer->random, limit);
}

static inline bool chance(struct peer *peer, double probability)
{
    return random_chance(&peer->random, probability);
}

/* Adds a chunk to the packet in the making: of any type, with numbers around those that the peer
 * and the engine use. */
void hostile_write_chunk(struct peer *peer);

/* Alters bits, lengths or the end of the packet in the making. */
void hostile_alter(struct peer *peer);

#endif
