/*
 * Integers in network byte order, at any alignment. Byte order is converted here and nowhere else.
 *
 * RFC 9260 section 3: "All integer fields in an SCTP packet MUST be transmitted in network byte
 * order, unless otherwise stated."
 */
#ifndef PACKET_WIRE_H
#define PACKET_WIRE_H

#include <stdint.h>

static inline uint8_t wire_get_u8(const uint8_t *bytes)
{
    return bytes[0];
}

static inline uint16_t wire_get_u16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static inline uint32_t wire_get_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static inline uint64_t wire_get_u64(const uint8_t *bytes)
{
    return (uint64_t)wire_get_u32(bytes) << 32 | wire_get_u32(bytes + 4);
}

static inline void wire_put_u8(uint8_t *bytes, uint8_t value)
{
    bytes[0] = value;
}

static inline void wire_put_u16(uint8_t *bytes, uint16_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static inline void wire_put_u32(uint8_t *bytes, uint32_t value)
{
    bytes[0] = (uint8_t)(value >> 24);
    bytes[1] = (uint8_t)(value >> 16);
    bytes[2] = (uint8_t)(value >> 8);
    bytes[3] = (uint8_t)value;
}

static inline void wire_put_u64(uint8_t *bytes, uint64_t value)
{
    wire_put_u32(bytes, (uint32_t)(value >> 32));
    wire_put_u32(bytes + 4, (uint32_t)value);
}

/* The CRC32c alone is little-endian (RFC 9260 appendix A). */
static inline uint32_t wire_get_u32_little_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[3] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[1] << 8 | bytes[0];
}

static inline void wire_put_u32_little_endian(uint8_t *bytes, uint32_t value)
{
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
    bytes[2] = (uint8_t)(value >> 16);
    bytes[3] = (uint8_t)(value >> 24);
}

/* A length with the padding that brings it to a multiple of four (RFC 9260 section 3.2). */
static inline uint32_t wire_padded(uint32_t length)
{
    return (length + 3) & ~(uint32_t)3;
}

#endif
