/*
 * Writing a packet into a buffer of the caller's, from the common header to the checksum.
 *
 * RFC 9260 section 3.2 (chunks and their padding), section 3.2.1 (parameters and theirs),
 * section 6.8 and appendix A (CRC32c). RFC 9653 (zero checksum).
 *
 *     packet_writer_init(&writer, buffer, path_mtu);
 *     packet_write_common_header(&writer, &header);
 *     chunk = init_begin(&writer, SCTP_CHUNK_INIT, &init);
 *     parameter_write(&writer, SCTP_PARAMETER_ECN, NULL, 0);
 *     chunk_end(&writer, chunk);
 *     if (!packet_finish(&writer))
 *         ...
 *
 * What does not fit is not written, and the writer remembers it: one look at the end is enough.
 * packet_writer_rewind() takes back what was written since a point, the overflow included.
 */
#ifndef PACKET_WRITER_H
#define PACKET_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "packet/packet.h"
#include "packet/wire.h"

struct packet_writer {
    uint8_t *bytes;
    size_t capacity;
    size_t length;   /* never more than capacity */
    bool overflowed; /* something did not fit: what was written is not to be sent */
};

/* Starts an empty packet (or any sequence of chunks or parameters) in `capacity` bytes. */
static inline void packet_writer_init(struct packet_writer *writer, uint8_t *bytes, size_t capacity)
{
    *writer = (struct packet_writer){.bytes = bytes, .capacity = capacity};
}

/* How many bytes can still be written. */
static inline size_t packet_writer_room(const struct packet_writer *writer)
{
    return writer->capacity - writer->length;
}

/* Back to an earlier length: whatever was written or did not fit since then is forgotten. */
static inline void packet_writer_rewind(struct packet_writer *writer, size_t length)
{
    writer->length = length;
    writer->overflowed = false;
}

/* Takes the next `length` bytes for the caller to fill. NULL, and overflow, if there is no room. */
static inline uint8_t *packet_writer_reserve(struct packet_writer *writer, size_t length)
{
    uint8_t *place = writer->bytes + writer->length;

    if (writer->overflowed || length > packet_writer_room(writer)) {
        writer->overflowed = true;
        return NULL;
    }
    writer->length += length;
    return place;
}

static inline void packet_write_u8(struct packet_writer *writer, uint8_t value)
{
    uint8_t *place = packet_writer_reserve(writer, 1);

    if (place)
        wire_put_u8(place, value);
}

static inline void packet_write_u16(struct packet_writer *writer, uint16_t value)
{
    uint8_t *place = packet_writer_reserve(writer, 2);

    if (place)
        wire_put_u16(place, value);
}

static inline void packet_write_u32(struct packet_writer *writer, uint32_t value)
{
    uint8_t *place = packet_writer_reserve(writer, 4);

    if (place)
        wire_put_u32(place, value);
}

static inline void packet_write_bytes(struct packet_writer *writer, const void *bytes,
                                      size_t length)
{
    uint8_t *place = packet_writer_reserve(writer, length);

    if (place && length > 0)
        memcpy(place, bytes, length);
}

/* Zero bytes up to the next multiple of four. */
static inline void packet_write_padding(struct packet_writer *writer)
{
    size_t padding = -writer->length & 3;
    uint8_t *place = packet_writer_reserve(writer, padding);

    if (place)
        memset(place, 0, padding);
}

/* The common header, its checksum zero until packet_finish(). It comes first. */
void packet_write_common_header(struct packet_writer *writer,
                                const struct sctp_common_header *header);

/* Begins a chunk. Returns the point to give to chunk_end(). */
size_t chunk_begin(struct packet_writer *writer, uint8_t type, uint8_t flags);

/* Ends the chunk that began at `start`: fills in its length and pads it. */
void chunk_end(struct packet_writer *writer, size_t start);

/* A whole chunk whose value is at hand; `length` is that of the value, which may be empty. */
void chunk_write(struct packet_writer *writer, uint8_t type, uint8_t flags, const void *value,
                 size_t length);

/*
 * Begins a parameter, or an error cause, in a chunk or in another parameter. Returns the point to
 * give to parameter_end(). The padding of the one before it is written now, so that the last
 * parameter's padding is not counted in the length of the chunk (RFC 9260 section 3.2).
 */
size_t parameter_begin(struct packet_writer *writer, uint16_t type);

/* Ends the parameter that began at `start`: fills in its length. */
void parameter_end(struct packet_writer *writer, size_t start);

/* A whole parameter whose value is at hand; `length` is that of the value, which may be empty. */
void parameter_write(struct packet_writer *writer, uint16_t type, const void *value, size_t length);

/* Completes the packet with its CRC32c. False if anything did not fit. */
bool packet_finish(struct packet_writer *writer);

/* Completes the packet with a checksum of zero (RFC 9653). False if anything did not fit. */
bool packet_finish_without_checksum(struct packet_writer *writer);

#endif
