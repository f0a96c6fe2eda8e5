/*
 * An SCTP packet: the common header, its checksum, and the walk over its chunks.
 *
 * RFC 9260 section 3.1 (common header), section 3.2 (chunk field descriptions), section 6.8 and
 * appendix A (CRC32c). RFC 9653 (zero checksum).
 *
 * Whatever is read here points into the packet; nothing is copied and nothing is kept. No function
 * reads outside the bytes that it was given, whatever is in them.
 */
#ifndef PACKET_PACKET_H
#define PACKET_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCTP_COMMON_HEADER_LENGTH 12
#define SCTP_CHECKSUM_OFFSET 8
#define SCTP_CHUNK_HEADER_LENGTH 4

/* RFC 9260 section 3.1, without the checksum. */
struct sctp_common_header {
    uint16_t source_port;
    uint16_t destination_port;
    uint32_t verification_tag;
};

/* RFC 9260 section 3.2, table 1, and the chunk types of the extensions. */
enum sctp_chunk_type {
    SCTP_CHUNK_DATA = 0,
    SCTP_CHUNK_INIT = 1,
    SCTP_CHUNK_INIT_ACK = 2,
    SCTP_CHUNK_SACK = 3,
    SCTP_CHUNK_HEARTBEAT = 4,
    SCTP_CHUNK_HEARTBEAT_ACK = 5,
    SCTP_CHUNK_ABORT = 6,
    SCTP_CHUNK_SHUTDOWN = 7,
    SCTP_CHUNK_SHUTDOWN_ACK = 8,
    SCTP_CHUNK_ERROR = 9,
    SCTP_CHUNK_COOKIE_ECHO = 10,
    SCTP_CHUNK_COOKIE_ACK = 11,
    SCTP_CHUNK_ECNE = 12,
    SCTP_CHUNK_CWR = 13,
    SCTP_CHUNK_SHUTDOWN_COMPLETE = 14,
    SCTP_CHUNK_AUTH = 0x0f,          /* RFC 4895 */
    SCTP_CHUNK_I_DATA = 0x40,        /* RFC 8260 */
    SCTP_CHUNK_ASCONF_ACK = 0x80,    /* RFC 5061 */
    SCTP_CHUNK_RE_CONFIG = 0x82,     /* RFC 6525 */
    SCTP_CHUNK_PAD = 0x84,           /* RFC 4820 */
    SCTP_CHUNK_FORWARD_TSN = 0xc0,   /* RFC 3758 */
    SCTP_CHUNK_ASCONF = 0xc1,        /* RFC 5061 */
    SCTP_CHUNK_I_FORWARD_TSN = 0xc2, /* RFC 8260 */
};

/* A chunk within a packet. */
struct sctp_chunk {
    uint8_t type;
    uint8_t flags;
    uint16_t length;       /* as on the wire: with the chunk header, without the padding */
    uint16_t value_length; /* length - SCTP_CHUNK_HEADER_LENGTH */
    const uint8_t *bytes;  /* the chunk, its header included */
    const uint8_t *value;  /* what follows the header */
};

/* What the two highest bits of an unknown chunk's or parameter's type ask of the receiver. */
struct sctp_unknown_action {
    bool stop;   /* process nothing further of this packet (chunk), or of this chunk (parameter) */
    bool report; /* tell the sender, in an ERROR chunk or an Unrecognized Parameter */
};

/* The walk over the chunks of one packet. */
struct chunk_iterator {
    const uint8_t *position;
    const uint8_t *end;
    bool malformed; /* the walk ended early: a chunk whose length cannot be, or scraps at the end */
};

/* Reads the common header. False if the packet is too short to hold one. */
bool packet_read_common_header(const uint8_t *packet, size_t length,
                               struct sctp_common_header *header);

/* As packet_read_common_header(), of a packet of which an ICMP message quotes the first bytes:
 * eight of them suffice. */
bool packet_read_quoted_header(const uint8_t *packet, size_t length,
                               struct sctp_common_header *header);

/*
 * The Initiate Tag of an INIT that an ICMP message quotes, however little of it. False if there is
 * none.
 */
bool packet_read_quoted_initiate_tag(const uint8_t *packet, size_t length, uint32_t *initiate_tag);

/* The CRC32c of any bytes, in the conventional form: "123456789" gives 0xe3069283. */
uint32_t crc32c(const uint8_t *bytes, size_t length);

/*
 * The CRC32c that a packet should carry: its checksum field counts as zero and is not touched.
 * The packet holds at least a common header.
 */
uint32_t packet_compute_checksum(const uint8_t *packet, size_t length);

/* The checksum field as it stands in the packet, in the form of packet_compute_checksum(). */
uint32_t packet_read_checksum(const uint8_t *packet);

/* True if the packet holds a common header with the right CRC32c. */
bool packet_verify_checksum(const uint8_t *packet, size_t length);

/*
 * Starts the walk over the chunks behind the common header. The packet is `length` bytes,
 * common header included.
 */
void chunk_iterator_init(struct chunk_iterator *iterator, const uint8_t *packet, size_t length);

/*
 * Gives the next chunk. False at the end of the packet, or where the rest makes no sense:
 * then `malformed` is set. A chunk that was given lies within the packet. That the padding of the
 * last chunk is missing is forgiven.
 */
bool chunk_next(struct chunk_iterator *iterator, struct sctp_chunk *chunk);

/* What to do with a chunk type that is not known (RFC 9260 section 3.2). */
static inline struct sctp_unknown_action chunk_unknown_action(uint8_t type)
{
    return (struct sctp_unknown_action){.stop = !(type & 0x80), .report = type & 0x40};
}

#endif
