/*
 * Serial numbers of 32 and 16 bits (RFC 9260, section 1.6), units, and the limits that several
 * files share.
 */
#ifndef ENGINE_NUMBERS_H
#define ENGINE_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "braid/engine.h"

static inline bool tsn_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

static inline bool ssn_before(uint16_t a, uint16_t b)
{
    return (int16_t)(uint16_t)(a - b) < 0;
}

static inline uint32_t minimum(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static inline uint32_t maximum(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static inline braid_time milliseconds(uint64_t value)
{
    return value * 1000;
}

#define ADDRESSES_MAXIMUM 32  /* of one endpoint or peer that setup looks at */
#define A_RWND_MINIMUM 1500   /* of INIT and INIT ACK (RFC 9260, 3.3.2) */
#define CAUSES_MAXIMUM 1200   /* bytes of error causes that one ABORT carries */
#define ERRORS_MAXIMUM 9000   /* and one ERROR, if the path takes them */
#define PACKET_MAXIMUM 65535u /* an IP packet */
#define BATCH_MAXIMUM 65487u  /* of one UDP_SEGMENT call: an IPv6 packet's payload without UDP */
#define PACKET_MINIMUM 1280u  /* what our own control packets never exceed */

#endif
