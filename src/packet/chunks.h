/*
 * The chunks, one after the other: a struct, a reader, a writer.
 *
 * RFC 9260 section 3.3 (chunk definitions), appendix A of RFC 4960 (ECNE and CWR), RFC 3758
 * section 3.2 (FORWARD TSN), RFC 4895 section 5.1 (AUTH), RFC 5061 section 4.1 (ASCONF and
 * ASCONF ACK), RFC 8260 section 2 (I-DATA and I-FORWARD-TSN).
 *
 * A reader X_read() takes a chunk of its own type, and returns false if it is too short, or its
 * counts do not fit its length; what it gives points into the chunk. A writer X_write() writes a
 * whole chunk; X_begin() writes its fixed part, parameters or error causes follow, then
 * chunk_end(). Reserved fields are written as zero and not looked at. Which values are permitted
 * (a zero initiate tag, say) is the engine's affair.
 */
#ifndef PACKET_CHUNKS_H
#define PACKET_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "packet/packet.h"
#include "packet/parameter.h"
#include "packet/wire.h"
#include "packet/writer.h"

/* The lengths of the fixed parts, chunk header included. */
#define SCTP_DATA_HEADER_LENGTH 16
#define SCTP_I_DATA_HEADER_LENGTH 20
#define SCTP_INIT_HEADER_LENGTH 20
#define SCTP_SACK_HEADER_LENGTH 16
#define SCTP_FORWARD_TSN_HEADER_LENGTH 8

/* The flags of DATA (RFC 9260 section 3.3.1). */
enum sctp_data_flag {
    SCTP_DATA_FLAG_ENDING = 0x01,    /* E: the last fragment of a user message */
    SCTP_DATA_FLAG_BEGINNING = 0x02, /* B: the first one */
    SCTP_DATA_FLAG_UNORDERED = 0x04, /* U: without order within the stream */
    SCTP_DATA_FLAG_IMMEDIATE = 0x08, /* I: the SACK is not to be delayed */
};

/* The T bit of ABORT and SHUTDOWN COMPLETE (RFC 9260 section 3.3.7, 3.3.13 and 8.5.1). */
#define SCTP_FLAG_TAG_REFLECTED 0x01

/* DATA (RFC 9260 section 3.3.1) and I-DATA (RFC 8260 section 2.1). */
struct sctp_data {
    uint8_t flags; /* enum sctp_data_flag */
    uint16_t stream;
    uint16_t ssn; /* of no meaning with SCTP_DATA_FLAG_UNORDERED */
    uint16_t payload_length;
    uint32_t tsn;
    uint32_t ppid; /* as a number; who sees four opaque bytes in it takes htonl() of it */
    const uint8_t *payload;
    uint32_t mid; /* of I-DATA alone: which has no ssn, */
    uint32_t fsn; /* and a ppid only with SCTP_DATA_FLAG_BEGINNING, where this is 0 */
};

/* True also if the payload is empty, which the engine answers with an ABORT (section 6.2). */
static inline bool data_read(const struct sctp_chunk *chunk, struct sctp_data *data)
{
    const uint8_t *bytes = chunk->bytes;

    if (chunk->length < SCTP_DATA_HEADER_LENGTH)
        return false;
    data->flags = chunk->flags;
    data->tsn = wire_get_u32(bytes + 4);
    data->stream = wire_get_u16(bytes + 8);
    data->ssn = wire_get_u16(bytes + 10);
    data->ppid = wire_get_u32(bytes + 12);
    data->payload = bytes + SCTP_DATA_HEADER_LENGTH;
    data->payload_length = (uint16_t)(chunk->length - SCTP_DATA_HEADER_LENGTH);
    return true;
}

/* How much of a packet a DATA chunk takes, padding included. */
static inline size_t data_written_length(size_t payload_length)
{
    return wire_padded((uint32_t)(SCTP_DATA_HEADER_LENGTH + payload_length));
}

/* A DATA chunk but for its payload, whose place is returned; NULL if it does not fit. It is at most
 * UINT16_MAX - SCTP_DATA_HEADER_LENGTH bytes. */
static inline uint8_t *data_write_header(struct packet_writer *writer, const struct sctp_data *data)
{
    size_t length = SCTP_DATA_HEADER_LENGTH + (size_t)data->payload_length;
    size_t padded = data_written_length(data->payload_length);
    uint8_t *bytes = NULL;

    if (length <= UINT16_MAX)
        bytes = packet_writer_reserve(writer, padded);
    if (!bytes) {
        writer->overflowed = true;
        return NULL;
    }
    wire_put_u32(bytes + padded - 4, 0); /* the padding; a payload is written over it */
    bytes[0] = SCTP_CHUNK_DATA;
    bytes[1] = data->flags;
    wire_put_u16(bytes + 2, (uint16_t)length);
    wire_put_u32(bytes + 4, data->tsn);
    wire_put_u16(bytes + 8, data->stream);
    wire_put_u16(bytes + 10, data->ssn);
    wire_put_u32(bytes + 12, data->ppid);
    return bytes + SCTP_DATA_HEADER_LENGTH;
}

static inline void data_write(struct packet_writer *writer, const struct sctp_data *data)
{
    uint8_t *payload = data_write_header(writer, data);

    if (payload && data->payload_length > 0)
        memcpy(payload, data->payload, data->payload_length);
}

/* The same of I-DATA. */
bool i_data_read(const struct sctp_chunk *chunk, struct sctp_data *data);
void i_data_write(struct packet_writer *writer, const struct sctp_data *data);

/* INIT and INIT ACK (RFC 9260 section 3.3.2 and 3.3.3). */
struct sctp_init {
    uint32_t initiate_tag;
    uint32_t a_rwnd;
    uint16_t outbound_streams;
    uint16_t inbound_streams;
    uint32_t initial_tsn;
    uint16_t parameters_length;
    const uint8_t *parameters; /* for parameter_iterator_init() */
};

bool init_read(const struct sctp_chunk *chunk, struct sctp_init *init);

/* Begins an INIT or INIT ACK, as `type` says; `init->parameters` are not written. */
size_t init_begin(struct packet_writer *writer, uint8_t type, const struct sctp_init *init);

/* A whole INIT or INIT ACK, with the bytes of `init->parameters`. */
void init_write(struct packet_writer *writer, uint8_t type, const struct sctp_init *init);

/* SACK (RFC 9260 section 3.3.4). */
struct sctp_gap_ack_block {
    uint16_t start; /* offsets from the Cumulative TSN Ack */
    uint16_t end;
};

struct sctp_sack {
    uint32_t cumulative_tsn_ack;
    uint32_t a_rwnd;
    uint16_t gap_ack_block_count;
    uint16_t duplicate_tsn_count;
    const uint8_t *gap_ack_blocks; /* as on the wire: sack_gap_ack_block() reads one */
    const uint8_t *duplicate_tsns; /* as on the wire: sack_duplicate_tsn() reads one */
};

bool sack_read(const struct sctp_chunk *chunk, struct sctp_sack *sack);

/* The block of an index below gap_ack_block_count, as the peer wrote it: start may exceed end. */
static inline struct sctp_gap_ack_block sack_gap_ack_block(const struct sctp_sack *sack,
                                                           size_t index)
{
    const uint8_t *bytes = sack->gap_ack_blocks + index * 4;

    return (struct sctp_gap_ack_block){wire_get_u16(bytes), wire_get_u16(bytes + 2)};
}

/* How many blocks from `index` on acknowledge what these do, which hold the lower halves of TSNs.
 */
size_t sack_gap_ack_blocks_repeated(const struct sctp_sack *sack, size_t index,
                                    const struct sctp_gap_ack_block *halves, size_t count);

/* The duplicate TSN of an index below duplicate_tsn_count. */
static inline uint32_t sack_duplicate_tsn(const struct sctp_sack *sack, size_t index)
{
    return wire_get_u32(sack->duplicate_tsns + index * 4);
}

/* How much of a packet a SACK takes. */
static inline size_t sack_written_length(size_t gap_ack_block_count, size_t duplicate_tsn_count)
{
    return SCTP_SACK_HEADER_LENGTH + 4 * (gap_ack_block_count + duplicate_tsn_count);
}

void sack_write(struct packet_writer *writer, uint32_t cumulative_tsn_ack, uint32_t a_rwnd,
                const struct sctp_gap_ack_block *gap_ack_blocks, size_t gap_ack_block_count,
                const uint32_t *duplicate_tsns, size_t duplicate_tsn_count);

/* HEARTBEAT and HEARTBEAT ACK (RFC 9260 section 3.3.5 and 3.3.6). */
struct sctp_heartbeat {
    const uint8_t *info; /* the value of the Heartbeat Info parameter: its sender's affair alone */
    uint16_t info_length;
};

bool heartbeat_read(const struct sctp_chunk *chunk, struct sctp_heartbeat *heartbeat);
void heartbeat_write(struct packet_writer *writer, uint8_t type, const void *info, size_t length);

/* ABORT (RFC 9260 section 3.3.7). */
struct sctp_abort {
    bool tag_reflected; /* the T bit: the verification tag is the receiver's own, sent back */
    uint16_t causes_length;
    const uint8_t *causes; /* for parameter_iterator_init() */
};

bool abort_read(const struct sctp_chunk *chunk, struct sctp_abort *abort);
/* Begins an ABORT; error causes follow, then chunk_end(). */
size_t abort_begin(struct packet_writer *writer, bool tag_reflected);

/* ERROR (RFC 9260 section 3.3.10). */
struct sctp_error {
    const uint8_t *causes; /* for parameter_iterator_init() */
    uint16_t causes_length;
};

/* False also if there is no cause at all: an ERROR has one or more. */
bool error_read(const struct sctp_chunk *chunk, struct sctp_error *error);
/* Begins an ERROR; error causes follow, then chunk_end(). */
size_t error_begin(struct packet_writer *writer);

/* SHUTDOWN (RFC 9260 section 3.3.8). */
bool shutdown_read(const struct sctp_chunk *chunk, uint32_t *cumulative_tsn_ack);
void shutdown_write(struct packet_writer *writer, uint32_t cumulative_tsn_ack);

/* SHUTDOWN ACK (RFC 9260 section 3.3.9). */
void shutdown_ack_write(struct packet_writer *writer);

/* COOKIE ECHO (RFC 9260 section 3.3.11). */
struct sctp_cookie_echo {
    const uint8_t *cookie;
    uint16_t cookie_length;
};

bool cookie_echo_read(const struct sctp_chunk *chunk, struct sctp_cookie_echo *echo);
void cookie_echo_write(struct packet_writer *writer, const void *cookie, size_t length);

/* COOKIE ACK (RFC 9260 section 3.3.12). */
void cookie_ack_write(struct packet_writer *writer);

/* SHUTDOWN COMPLETE (RFC 9260 section 3.3.13). */
bool shutdown_complete_read(const struct sctp_chunk *chunk, bool *tag_reflected);
void shutdown_complete_write(struct packet_writer *writer, bool tag_reflected);

/* ECNE and CWR (RFC 4960 appendix A; reserved in RFC 9260): the lowest TSN. */
bool ecne_read(const struct sctp_chunk *chunk, uint32_t *lowest_tsn);
void ecne_write(struct packet_writer *writer, uint32_t lowest_tsn);
bool cwr_read(const struct sctp_chunk *chunk, uint32_t *lowest_tsn);
void cwr_write(struct packet_writer *writer, uint32_t lowest_tsn);

/* FORWARD TSN (RFC 3758 section 3.2). */
struct sctp_skipped_stream {
    uint16_t stream;
    uint16_t ssn; /* the largest one skipped */
};

struct sctp_forward_tsn {
    uint32_t new_cumulative_tsn;
    size_t skipped_stream_count;
    const uint8_t *skipped_streams; /* as on the wire: forward_tsn_skipped_stream() reads one */
};

bool forward_tsn_read(const struct sctp_chunk *chunk, struct sctp_forward_tsn *forward);

/* The skipped stream of an index below skipped_stream_count. */
static inline struct sctp_skipped_stream
forward_tsn_skipped_stream(const struct sctp_forward_tsn *forward, size_t index)
{
    const uint8_t *bytes = forward->skipped_streams + index * 4;

    return (struct sctp_skipped_stream){wire_get_u16(bytes), wire_get_u16(bytes + 2)};
}

void forward_tsn_write(struct packet_writer *writer, uint32_t new_cumulative_tsn,
                       const struct sctp_skipped_stream *skipped_streams, size_t count);

/* I-FORWARD-TSN (RFC 8260 section 2.3.1). */
struct sctp_skipped_messages {
    uint16_t stream;
    bool unordered; /* of its unordered messages, or of its ordered ones */
    uint32_t mid;   /* the largest one skipped */
};

bool i_forward_tsn_read(const struct sctp_chunk *chunk, struct sctp_forward_tsn *forward);

/* What stands where FORWARD TSN has a skipped stream: of an index below skipped_stream_count. */
struct sctp_skipped_messages i_forward_tsn_skipped(const struct sctp_forward_tsn *forward,
                                                   size_t index);

void i_forward_tsn_write(struct packet_writer *writer, uint32_t new_cumulative_tsn,
                         const struct sctp_skipped_messages *skipped, size_t count);

/* AUTH (RFC 4895 section 5.1). */
struct sctp_auth {
    uint16_t shared_key_identifier;
    uint16_t hmac_identifier;
    const uint8_t *hmac;
    uint16_t hmac_length;
};

bool auth_read(const struct sctp_chunk *chunk, struct sctp_auth *auth);

/*
 * Writes `auth` with an HMAC of zeros of `auth->hmac_length` bytes, over which the HMAC is
 * computed. Returns where it is to be put when the packet is complete, NULL if there was no room.
 */
uint8_t *auth_write(struct packet_writer *writer, const struct sctp_auth *auth);

/* ASCONF and ASCONF ACK (RFC 5061 section 4.1.1 and 4.1.2). */
struct sctp_asconf {
    uint32_t serial_number;
    uint16_t parameters_length;
    const uint8_t *parameters;    /* requests or responses, for parameter_iterator_init() */
    struct braid_address address; /* of ASCONF alone: the Address Parameter */
};

bool asconf_read(const struct sctp_chunk *chunk, struct sctp_asconf *asconf);
/* Begins an ASCONF with its address; requests follow, then chunk_end(). */
size_t asconf_begin(struct packet_writer *writer, uint32_t serial_number,
                    const struct braid_address *address);

bool asconf_ack_read(const struct sctp_chunk *chunk, struct sctp_asconf *asconf);
/* Begins an ASCONF ACK; responses follow, then chunk_end(). */
size_t asconf_ack_begin(struct packet_writer *writer, uint32_t serial_number);

#endif
