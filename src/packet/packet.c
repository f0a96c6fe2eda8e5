/*
 * An SCTP packet: the common header, its checksum, and the walk over its chunks.
 *
 * RFC 9260 section 3.1 (common header), section 3.2 (chunk field descriptions), section 6.8 and
 * appendix A (CRC32c).
 */
#include "packet/packet.h"

#include <string.h>

#include <isa-l/crc.h>

#include "packet/wire.h"

/* One step of a CRC32c that runs over several pieces; it begins with UINT32_MAX. */
static uint32_t crc32c_continue(uint32_t state, const uint8_t *bytes, size_t length)
{
    return crc32_iscsi((unsigned char *)bytes, (int)length, state);
}

uint32_t crc32c(const uint8_t *bytes, size_t length)
{
    return ~crc32c_continue(UINT32_MAX, bytes, length);
}

uint32_t packet_compute_checksum(const uint8_t *packet, size_t length)
{
    uint8_t header[SCTP_COMMON_HEADER_LENGTH];
    uint32_t state;

    memcpy(header, packet, SCTP_CHECKSUM_OFFSET);
    memset(header + SCTP_CHECKSUM_OFFSET, 0, sizeof(header) - SCTP_CHECKSUM_OFFSET);
    state = crc32c_continue(UINT32_MAX, header, sizeof(header));
    return ~crc32c_continue(state, packet + sizeof(header), length - sizeof(header));
}

uint32_t packet_read_checksum(const uint8_t *packet)
{
    return wire_get_u32_little_endian(packet + SCTP_CHECKSUM_OFFSET);
}

bool packet_verify_checksum(const uint8_t *packet, size_t length)
{
    return length >= SCTP_COMMON_HEADER_LENGTH &&
           packet_compute_checksum(packet, length) == packet_read_checksum(packet);
}

bool packet_read_quoted_header(const uint8_t *packet, size_t length,
                               struct sctp_common_header *header)
{
    if (length < SCTP_CHECKSUM_OFFSET)
        return false;
    header->source_port = wire_get_u16(packet);
    header->destination_port = wire_get_u16(packet + 2);
    header->verification_tag = wire_get_u32(packet + 4);
    return true;
}

bool packet_read_common_header(const uint8_t *packet, size_t length,
                               struct sctp_common_header *header)
{
    return length >= SCTP_COMMON_HEADER_LENGTH && packet_read_quoted_header(packet, length, header);
}

bool packet_read_quoted_initiate_tag(const uint8_t *packet, size_t length, uint32_t *initiate_tag)
{
    const uint8_t *chunk = packet + SCTP_COMMON_HEADER_LENGTH;

    if (length < SCTP_COMMON_HEADER_LENGTH + SCTP_CHUNK_HEADER_LENGTH + 4 ||
        chunk[0] != SCTP_CHUNK_INIT)
        return false;
    *initiate_tag = wire_get_u32(chunk + SCTP_CHUNK_HEADER_LENGTH);
    return true;
}

void chunk_iterator_init(struct chunk_iterator *iterator, const uint8_t *packet, size_t length)
{
    *iterator = (struct chunk_iterator){.position = packet, .end = packet + length};
    if (length < SCTP_COMMON_HEADER_LENGTH)
        iterator->malformed = true;
    else
        iterator->position += SCTP_COMMON_HEADER_LENGTH;
}

bool chunk_next(struct chunk_iterator *iterator, struct sctp_chunk *chunk)
{
    const uint8_t *bytes = iterator->position;
    size_t left = (size_t)(iterator->end - bytes);
    size_t padded;

    if (left == 0 || iterator->malformed)
        return false;
    if (left < SCTP_CHUNK_HEADER_LENGTH) {
        iterator->malformed = true;
        return false;
    }
    chunk->type = bytes[0];
    chunk->flags = bytes[1];
    chunk->length = wire_get_u16(bytes + 2);
    if (chunk->length < SCTP_CHUNK_HEADER_LENGTH || chunk->length > left) {
        iterator->malformed = true;
        return false;
    }
    chunk->value_length = (uint16_t)(chunk->length - SCTP_CHUNK_HEADER_LENGTH);
    chunk->bytes = bytes;
    chunk->value = bytes + SCTP_CHUNK_HEADER_LENGTH;
    padded = wire_padded(chunk->length);
    iterator->position += padded < left ? padded : left;
    return true;
}
