/*
 * Writing a packet into a buffer of the caller's, from the common header to the checksum.
 *
 * RFC 9260 section 3.2 (chunks and their padding), section 3.2.1 (parameters and theirs),
 * section 6.8 and appendix A (CRC32c). RFC 9653 (zero checksum).
 */
#include "packet/writer.h"

/* Where a chunk and a parameter alike have their length. */
#define LENGTH_OFFSET 2

void packet_write_common_header(struct packet_writer *writer,
                                const struct sctp_common_header *header)
{
    uint8_t *place = packet_writer_reserve(writer, SCTP_COMMON_HEADER_LENGTH);

    if (!place)
        return;
    wire_put_u16(place, header->source_port);
    wire_put_u16(place + 2, header->destination_port);
    wire_put_u32(place + 4, header->verification_tag);
    wire_put_u32(place + SCTP_CHECKSUM_OFFSET, 0);
}

/* Fills in the length of the chunk or parameter that reaches from `start` to here. */
static void fill_in_length(struct packet_writer *writer, size_t start)
{
    size_t length = writer->length - start;

    if (length > UINT16_MAX)
        writer->overflowed = true;
    if (!writer->overflowed)
        wire_put_u16(writer->bytes + start + LENGTH_OFFSET, (uint16_t)length);
}

size_t chunk_begin(struct packet_writer *writer, uint8_t type, uint8_t flags)
{
    size_t start = writer->length;

    packet_write_u8(writer, type);
    packet_write_u8(writer, flags);
    packet_write_u16(writer, 0);
    return start;
}

void chunk_end(struct packet_writer *writer, size_t start)
{
    fill_in_length(writer, start);
    packet_write_padding(writer);
}

void chunk_write(struct packet_writer *writer, uint8_t type, uint8_t flags, const void *value,
                 size_t length)
{
    size_t start = chunk_begin(writer, type, flags);

    packet_write_bytes(writer, value, length);
    chunk_end(writer, start);
}

size_t parameter_begin(struct packet_writer *writer, uint16_t type)
{
    size_t start;

    packet_write_padding(writer);
    start = writer->length;
    packet_write_u16(writer, type);
    packet_write_u16(writer, 0);
    return start;
}

void parameter_end(struct packet_writer *writer, size_t start)
{
    fill_in_length(writer, start);
}

void parameter_write(struct packet_writer *writer, uint16_t type, const void *value, size_t length)
{
    size_t start = parameter_begin(writer, type);

    packet_write_bytes(writer, value, length);
    parameter_end(writer, start);
}

bool packet_finish(struct packet_writer *writer)
{
    if (!packet_finish_without_checksum(writer))
        return false;
    wire_put_u32_little_endian(writer->bytes + SCTP_CHECKSUM_OFFSET,
                               crc32c(writer->bytes, writer->length));
    return true;
}

bool packet_finish_without_checksum(struct packet_writer *writer)
{
    if (writer->overflowed || writer->length < SCTP_COMMON_HEADER_LENGTH)
        return false;
    wire_put_u32(writer->bytes + SCTP_CHECKSUM_OFFSET, 0);
    return true;
}
