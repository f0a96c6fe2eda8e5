/*
 * The chunks, one after the other: a reader, a writer. (DATA stands in chunks.h, inline.)
 *
 * RFC 9260 section 3.3 (chunk definitions), appendix A of RFC 4960 (ECNE and CWR), RFC 3758
 * section 3.2 (FORWARD TSN), RFC 4895 section 5.1 (AUTH), RFC 5061 section 4.1 (ASCONF and
 * ASCONF ACK), RFC 8260 section 2 (I-DATA and I-FORWARD-TSN).
 */
#include "packet/chunks.h"

#define I_FORWARD_TSN_UNORDERED 0x01 /* the U bit, lowest of 16 */

/* A chunk whose value is one 32-bit integer. */
static bool read_u32(const struct sctp_chunk *chunk, uint32_t *value)
{
    if (chunk->value_length < 4)
        return false;
    *value = wire_get_u32(chunk->value);
    return true;
}

static void write_u32(struct packet_writer *writer, uint8_t type, uint32_t value)
{
    size_t start = chunk_begin(writer, type, 0);

    packet_write_u32(writer, value);
    chunk_end(writer, start);
}

bool i_data_read(const struct sctp_chunk *chunk, struct sctp_data *data)
{
    const uint8_t *bytes = chunk->bytes;
    uint32_t last;

    if (chunk->length < SCTP_I_DATA_HEADER_LENGTH)
        return false;
    last = wire_get_u32(bytes + 16);
    *data = (struct sctp_data){
        .flags = chunk->flags,
        .tsn = wire_get_u32(bytes + 4),
        .stream = wire_get_u16(bytes + 8),
        .mid = wire_get_u32(bytes + 12),
        .ppid = chunk->flags & SCTP_DATA_FLAG_BEGINNING ? last : 0,
        .fsn = chunk->flags & SCTP_DATA_FLAG_BEGINNING ? 0 : last,
        .payload = bytes + SCTP_I_DATA_HEADER_LENGTH,
        .payload_length = (uint16_t)(chunk->length - SCTP_I_DATA_HEADER_LENGTH),
    };
    return true;
}

void i_data_write(struct packet_writer *writer, const struct sctp_data *data)
{
    size_t start = chunk_begin(writer, SCTP_CHUNK_I_DATA, data->flags);

    packet_write_u32(writer, data->tsn);
    packet_write_u16(writer, data->stream);
    packet_write_u16(writer, 0);
    packet_write_u32(writer, data->mid);
    packet_write_u32(writer, data->flags & SCTP_DATA_FLAG_BEGINNING ? data->ppid : data->fsn);
    packet_write_bytes(writer, data->payload, data->payload_length);
    chunk_end(writer, start);
}

bool init_read(const struct sctp_chunk *chunk, struct sctp_init *init)
{
    const uint8_t *bytes = chunk->bytes;

    if (chunk->length < SCTP_INIT_HEADER_LENGTH)
        return false;
    init->initiate_tag = wire_get_u32(bytes + 4);
    init->a_rwnd = wire_get_u32(bytes + 8);
    init->outbound_streams = wire_get_u16(bytes + 12);
    init->inbound_streams = wire_get_u16(bytes + 14);
    init->initial_tsn = wire_get_u32(bytes + 16);
    init->parameters = bytes + SCTP_INIT_HEADER_LENGTH;
    init->parameters_length = (uint16_t)(chunk->length - SCTP_INIT_HEADER_LENGTH);
    return true;
}

size_t init_begin(struct packet_writer *writer, uint8_t type, const struct sctp_init *init)
{
    size_t start = chunk_begin(writer, type, 0);

    packet_write_u32(writer, init->initiate_tag);
    packet_write_u32(writer, init->a_rwnd);
    packet_write_u16(writer, init->outbound_streams);
    packet_write_u16(writer, init->inbound_streams);
    packet_write_u32(writer, init->initial_tsn);
    return start;
}

void init_write(struct packet_writer *writer, uint8_t type, const struct sctp_init *init)
{
    size_t start = init_begin(writer, type, init);

    packet_write_bytes(writer, init->parameters, init->parameters_length);
    chunk_end(writer, start);
}

bool sack_read(const struct sctp_chunk *chunk, struct sctp_sack *sack)
{
    const uint8_t *bytes = chunk->bytes;

    if (chunk->length < SCTP_SACK_HEADER_LENGTH)
        return false;
    sack->cumulative_tsn_ack = wire_get_u32(bytes + 4);
    sack->a_rwnd = wire_get_u32(bytes + 8);
    sack->gap_ack_block_count = wire_get_u16(bytes + 12);
    sack->duplicate_tsn_count = wire_get_u16(bytes + 14);
    sack->gap_ack_blocks = bytes + SCTP_SACK_HEADER_LENGTH;
    if (chunk->length < sack_written_length(sack->gap_ack_block_count, sack->duplicate_tsn_count))
        return false;
    sack->duplicate_tsns = sack->gap_ack_blocks + (size_t)sack->gap_ack_block_count * 4;
    return true;
}

size_t sack_gap_ack_blocks_repeated(const struct sctp_sack *sack, size_t index,
                                    const struct sctp_gap_ack_block *halves, size_t count)
{
    enum {
        TOGETHER = 8
    }; /* compared without a look in between: the compiler makes vectors of it */
    const uint8_t *wire = sack->gap_ack_blocks + index * 4;
    uint16_t base = (uint16_t)sack->cumulative_tsn_ack;
    size_t same = 0;

    if (count > sack->gap_ack_block_count - index)
        count = sack->gap_ack_block_count - index;
    for (; count - same >= TOGETHER; same += TOGETHER) {
        uint16_t differs = 0;

        for (size_t i = same; i < same + TOGETHER; i++) {
            differs |= (uint16_t)(wire_get_u16(wire + i * 4) + base) ^ halves[i].start;
            differs |= (uint16_t)(wire_get_u16(wire + i * 4 + 2) + base) ^ halves[i].end;
        }
        if (differs)
            break;
    }
    while (same < count && (uint16_t)(wire_get_u16(wire + same * 4) + base) == halves[same].start &&
           (uint16_t)(wire_get_u16(wire + same * 4 + 2) + base) == halves[same].end)
        same++;
    return same;
}

void sack_write(struct packet_writer *writer, uint32_t cumulative_tsn_ack, uint32_t a_rwnd,
                const struct sctp_gap_ack_block *gap_ack_blocks, size_t gap_ack_block_count,
                const uint32_t *duplicate_tsns, size_t duplicate_tsn_count)
{
    size_t start = chunk_begin(writer, SCTP_CHUNK_SACK, 0);
    uint8_t *blocks;

    packet_write_u32(writer, cumulative_tsn_ack);
    packet_write_u32(writer, a_rwnd);
    packet_write_u16(writer, (uint16_t)gap_ack_block_count);
    packet_write_u16(writer, (uint16_t)duplicate_tsn_count);
    blocks = packet_writer_reserve(writer, gap_ack_block_count * 4);
    for (size_t i = 0; blocks && i < gap_ack_block_count; i++) {
        wire_put_u16(blocks + i * 4, gap_ack_blocks[i].start);
        wire_put_u16(blocks + i * 4 + 2, gap_ack_blocks[i].end);
    }
    for (size_t i = 0; i < duplicate_tsn_count; i++)
        packet_write_u32(writer, duplicate_tsns[i]);
    chunk_end(writer, start);
}

bool heartbeat_read(const struct sctp_chunk *chunk, struct sctp_heartbeat *heartbeat)
{
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;

    parameter_iterator_init(&iterator, chunk->value, chunk->value_length);
    if (!parameter_next(&iterator, &parameter) || parameter.type != SCTP_PARAMETER_HEARTBEAT_INFO)
        return false;
    heartbeat->info = parameter.value;
    heartbeat->info_length = parameter.value_length;
    return true;
}

void heartbeat_write(struct packet_writer *writer, uint8_t type, const void *info, size_t length)
{
    size_t start = chunk_begin(writer, type, 0);

    parameter_write(writer, SCTP_PARAMETER_HEARTBEAT_INFO, info, length);
    chunk_end(writer, start);
}

bool abort_read(const struct sctp_chunk *chunk, struct sctp_abort *abort)
{
    abort->tag_reflected = chunk->flags & SCTP_FLAG_TAG_REFLECTED;
    abort->causes = chunk->value;
    abort->causes_length = chunk->value_length;
    return true;
}

size_t abort_begin(struct packet_writer *writer, bool tag_reflected)
{
    return chunk_begin(writer, SCTP_CHUNK_ABORT, tag_reflected ? SCTP_FLAG_TAG_REFLECTED : 0);
}

bool error_read(const struct sctp_chunk *chunk, struct sctp_error *error)
{
    error->causes = chunk->value;
    error->causes_length = chunk->value_length;
    return error->causes_length >= SCTP_PARAMETER_HEADER_LENGTH;
}

size_t error_begin(struct packet_writer *writer)
{
    return chunk_begin(writer, SCTP_CHUNK_ERROR, 0);
}

bool shutdown_read(const struct sctp_chunk *chunk, uint32_t *cumulative_tsn_ack)
{
    return read_u32(chunk, cumulative_tsn_ack);
}

void shutdown_write(struct packet_writer *writer, uint32_t cumulative_tsn_ack)
{
    write_u32(writer, SCTP_CHUNK_SHUTDOWN, cumulative_tsn_ack);
}

void shutdown_ack_write(struct packet_writer *writer)
{
    chunk_write(writer, SCTP_CHUNK_SHUTDOWN_ACK, 0, NULL, 0);
}

bool cookie_echo_read(const struct sctp_chunk *chunk, struct sctp_cookie_echo *echo)
{
    echo->cookie = chunk->value;
    echo->cookie_length = chunk->value_length;
    return echo->cookie_length > 0;
}

void cookie_echo_write(struct packet_writer *writer, const void *cookie, size_t length)
{
    chunk_write(writer, SCTP_CHUNK_COOKIE_ECHO, 0, cookie, length);
}

void cookie_ack_write(struct packet_writer *writer)
{
    chunk_write(writer, SCTP_CHUNK_COOKIE_ACK, 0, NULL, 0);
}

bool shutdown_complete_read(const struct sctp_chunk *chunk, bool *tag_reflected)
{
    *tag_reflected = chunk->flags & SCTP_FLAG_TAG_REFLECTED;
    return true;
}

void shutdown_complete_write(struct packet_writer *writer, bool tag_reflected)
{
    chunk_write(writer, SCTP_CHUNK_SHUTDOWN_COMPLETE, tag_reflected ? SCTP_FLAG_TAG_REFLECTED : 0,
                NULL, 0);
}

bool ecne_read(const struct sctp_chunk *chunk, uint32_t *lowest_tsn)
{
    return read_u32(chunk, lowest_tsn);
}

void ecne_write(struct packet_writer *writer, uint32_t lowest_tsn)
{
    write_u32(writer, SCTP_CHUNK_ECNE, lowest_tsn);
}

bool cwr_read(const struct sctp_chunk *chunk, uint32_t *lowest_tsn)
{
    return read_u32(chunk, lowest_tsn);
}

void cwr_write(struct packet_writer *writer, uint32_t lowest_tsn)
{
    write_u32(writer, SCTP_CHUNK_CWR, lowest_tsn);
}

bool forward_tsn_read(const struct sctp_chunk *chunk, struct sctp_forward_tsn *forward)
{
    if (chunk->value_length < 4 || chunk->value_length % 4 != 0)
        return false;
    forward->new_cumulative_tsn = wire_get_u32(chunk->value);
    forward->skipped_streams = chunk->value + 4;
    forward->skipped_stream_count = chunk->value_length / 4U - 1;
    return true;
}

void forward_tsn_write(struct packet_writer *writer, uint32_t new_cumulative_tsn,
                       const struct sctp_skipped_stream *skipped_streams, size_t count)
{
    size_t start = chunk_begin(writer, SCTP_CHUNK_FORWARD_TSN, 0);

    packet_write_u32(writer, new_cumulative_tsn);
    for (size_t i = 0; i < count; i++) {
        packet_write_u16(writer, skipped_streams[i].stream);
        packet_write_u16(writer, skipped_streams[i].ssn);
    }
    chunk_end(writer, start);
}

bool i_forward_tsn_read(const struct sctp_chunk *chunk, struct sctp_forward_tsn *forward)
{
    if (chunk->value_length < 4 || chunk->value_length % 8 != 4)
        return false;
    forward->new_cumulative_tsn = wire_get_u32(chunk->value);
    forward->skipped_streams = chunk->value + 4;
    forward->skipped_stream_count = chunk->value_length / 8U;
    return true;
}

struct sctp_skipped_messages i_forward_tsn_skipped(const struct sctp_forward_tsn *forward,
                                                   size_t index)
{
    const uint8_t *bytes = forward->skipped_streams + index * 8;

    return (struct sctp_skipped_messages){
        .stream = wire_get_u16(bytes),
        .mid = wire_get_u32(bytes + 4),
        .unordered = bytes[3] & I_FORWARD_TSN_UNORDERED,
    };
}

void i_forward_tsn_write(struct packet_writer *writer, uint32_t new_cumulative_tsn,
                         const struct sctp_skipped_messages *skipped, size_t count)
{
    size_t start = chunk_begin(writer, SCTP_CHUNK_I_FORWARD_TSN, 0);

    packet_write_u32(writer, new_cumulative_tsn);
    for (size_t i = 0; i < count; i++) {
        packet_write_u16(writer, skipped[i].stream);
        packet_write_u16(writer, skipped[i].unordered ? I_FORWARD_TSN_UNORDERED : 0);
        packet_write_u32(writer, skipped[i].mid);
    }
    chunk_end(writer, start);
}

bool auth_read(const struct sctp_chunk *chunk, struct sctp_auth *auth)
{
    if (chunk->value_length < 4)
        return false;
    auth->shared_key_identifier = wire_get_u16(chunk->value);
    auth->hmac_identifier = wire_get_u16(chunk->value + 2);
    auth->hmac = chunk->value + 4;
    auth->hmac_length = (uint16_t)(chunk->value_length - 4);
    return true;
}

uint8_t *auth_write(struct packet_writer *writer, const struct sctp_auth *auth)
{
    size_t start = chunk_begin(writer, SCTP_CHUNK_AUTH, 0);
    uint8_t *hmac;

    packet_write_u16(writer, auth->shared_key_identifier);
    packet_write_u16(writer, auth->hmac_identifier);
    hmac = packet_writer_reserve(writer, auth->hmac_length);
    if (hmac)
        memset(hmac, 0, auth->hmac_length);
    chunk_end(writer, start);
    return writer->overflowed ? NULL : hmac;
}

bool asconf_read(const struct sctp_chunk *chunk, struct sctp_asconf *asconf)
{
    struct parameter_iterator iterator;
    struct sctp_parameter address;

    if (!asconf_ack_read(chunk, asconf))
        return false;
    parameter_iterator_init(&iterator, asconf->parameters, asconf->parameters_length);
    if (!parameter_next(&iterator, &address) || !address_parameter_read(&address, &asconf->address))
        return false;
    asconf->parameters = iterator.position;
    asconf->parameters_length = (uint16_t)(iterator.end - iterator.position);
    return true;
}

size_t asconf_begin(struct packet_writer *writer, uint32_t serial_number,
                    const struct braid_address *address)
{
    size_t start = chunk_begin(writer, SCTP_CHUNK_ASCONF, 0);

    packet_write_u32(writer, serial_number);
    address_parameter_write(writer, address);
    return start;
}

bool asconf_ack_read(const struct sctp_chunk *chunk, struct sctp_asconf *asconf)
{
    if (chunk->value_length < 4)
        return false;
    asconf->serial_number = wire_get_u32(chunk->value);
    asconf->parameters = chunk->value + 4;
    asconf->parameters_length = (uint16_t)(chunk->value_length - 4);
    return true;
}

size_t asconf_ack_begin(struct packet_writer *writer, uint32_t serial_number)
{
    size_t start = chunk_begin(writer, SCTP_CHUNK_ASCONF_ACK, 0);

    packet_write_u32(writer, serial_number);
    return start;
}
