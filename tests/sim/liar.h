/*
 * A peer that lies: what a host's engine sends is rewritten before it leaves the host. The engine
 * behind it keeps the lies close to the truth: each packet is one that the other side expects just
 * then, with the right tag, checksum and numbers, but for what is changed.
 *
 *   LIES_ODD      what a peer may do, though few do: windows that close and open, or are larger
 *                 than what it takes; gap acks that are taken back (RFC 9260, 6.2.1, D iv);
 *                 duplicates that were none; DATA in packets of its own, in another order; flags,
 *                 chunks and parameters that nobody knows; packets of long ago once more. All must
 *                 come right all the same.
 *   LIES_HOSTILE  anything: numbers beside the right ones, chunks left out, twice, or invented
 *                 (engine/hostile.h), INITs of its own and the cookies for them. The other side
 *                 keeps its own rules, and what it has with others is not touched.
 */
#ifndef SIM_LIAR_H
#define SIM_LIAR_H

#include "engine/world.h"

enum lies { LIES_NONE, LIES_ODD, LIES_HOSTILE };

struct liar;

struct liar *liar_new(struct world *world, struct random_generator *random, enum lies lies);
void liar_free(struct liar *liar);

/* In place of link_send(). */
void liar_transmit(struct liar *liar, struct host *host, const struct braid_batch *batch);
/* A packet comes to a host that lies, which may answer before its engine does. */
void liar_received(struct liar *liar, struct host *host, const struct braid_packet *packet);

/* How many packets were not sent as they were. */
uint64_t liar_count(const struct liar *liar);

#endif
