/*
 * Limits that hold at every step, for every association of every engine:
 *
 *   - bytes in flight are within cwnd, and new data within the a_rwnd that the peer told last, but
 *     for one packet (RFC 9260, 6.1: A and B; a probe of a closed window is one);
 *   - what is kept for the user is within the receive buffer, what he sends within the send buffer;
 *   - counts fit each other.
 *
 * What the peer told is read from the packets, not asked of the engine.
 */
#ifndef SIM_LIMITS_H
#define SIM_LIMITS_H

#include "engine/world.h"

struct limits;

struct limits *limits_new(void);
void limits_free(struct limits *limits);

/* What comes in packets may be refused: what it says of windows counts for nothing. */
void limits_distrust(struct limits *limits);

/* From the world's callbacks of the same names. */
void limits_received(struct limits *limits, struct host *host, const struct braid_packet *packet);
void limits_before_transmit(struct limits *limits, struct host *host);
void limits_sent(struct limits *limits, struct host *host, const uint8_t *bytes, size_t length);
void limits_after_transmit(struct limits *limits, struct host *host);

#endif
