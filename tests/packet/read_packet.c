/*
 * Everything in a packet is read, by every reader. See read_packet.h.
 */
#include "read_packet.h"

#include <stdlib.h>
#include <string.h>

#include "packet/chunks.h"

/* What the readers gave is added up here, so that every byte of it is truly read. */
static uint32_t sum;

static void look_at(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        sum += bytes[i];
}

static void read_parameters(const uint8_t *bytes, size_t length, bool causes, int depth);

static void read_cause(const struct sctp_parameter *cause, int depth)
{
    struct sctp_parameter parameter;
    struct sctp_chunk chunk;
    uint16_t number;
    uint32_t value;
    size_t count;

    sum += invalid_stream_identifier_read(cause, &number);
    sum += stale_cookie_read(cause, &value);
    sum += no_user_data_read(cause, &value);
    sum += unsupported_hmac_read(cause, &number);
    if (missing_mandatory_parameter_read(cause, &count)) {
        for (size_t i = 0; i < count; i++)
            sum += missing_mandatory_parameter_get(cause, i);
    }
    if (unresolvable_address_read(cause, &parameter))
        look_at(parameter.bytes, parameter.length);
    if (unrecognized_chunk_type_read(cause, &chunk))
        look_at(chunk.bytes, chunk.length);
    if (depth < 3)
        read_parameters(cause->value, cause->value_length, false, depth + 1);
}

static void read_parameter(const struct sctp_parameter *parameter, int depth)
{
    struct sctp_error_cause_indication indication;
    struct sctp_supported_address_types types;
    struct sctp_address_request request;
    struct braid_address address;
    uint32_t value;
    size_t count;

    sum += address_parameter_read(parameter, &address);
    sum += supported_address_types_read(parameter, &types);
    sum += cookie_preservative_read(parameter, &value);
    sum += adaptation_layer_indication_read(parameter, &value);
    sum += zero_checksum_read(parameter, &value);
    sum += success_indication_read(parameter, &value);
    sum += address_request_read(parameter, &request);
    sum += chunk_types_contain(parameter, SCTP_CHUNK_AUTH);
    if (hmac_algorithm_read(parameter, &count)) {
        for (size_t i = 0; i < count; i++)
            sum += hmac_algorithm_get(parameter, i);
    }
    if (error_cause_indication_read(parameter, &indication) && depth < 3)
        read_parameters(indication.causes, indication.causes_length, true, depth + 1);
}

static void read_parameters(const uint8_t *bytes, size_t length, bool causes, int depth)
{
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;

    parameter_iterator_init(&iterator, bytes, length);
    while (parameter_next(&iterator, &parameter)) {
        look_at(parameter.bytes, parameter.length);
        if (causes)
            read_cause(&parameter, depth);
        else
            read_parameter(&parameter, depth);
    }
}

/* Whatever the type says: a reader must hold for any chunk. */
static void read_chunk(const struct sctp_chunk *chunk)
{
    struct sctp_forward_tsn forward;
    struct sctp_heartbeat heartbeat;
    struct sctp_cookie_echo echo;
    struct sctp_asconf asconf;
    struct sctp_abort abort;
    struct sctp_error error;
    struct sctp_data data;
    struct sctp_init init;
    struct sctp_sack sack;
    struct sctp_auth auth;
    uint32_t tsn;
    bool reflected;

    look_at(chunk->bytes, chunk->length);
    if (data_read(chunk, &data))
        look_at(data.payload, data.payload_length);
    if (i_data_read(chunk, &data))
        look_at(data.payload, data.payload_length);
    if (init_read(chunk, &init))
        read_parameters(init.parameters, init.parameters_length, false, 0);
    if (sack_read(chunk, &sack)) {
        for (size_t i = 0; i < sack.gap_ack_block_count; i++)
            sum += sack_gap_ack_block(&sack, i).end;
        for (size_t i = 0; i < sack.duplicate_tsn_count; i++)
            sum += sack_duplicate_tsn(&sack, i);
    }
    if (heartbeat_read(chunk, &heartbeat))
        look_at(heartbeat.info, heartbeat.info_length);
    if (abort_read(chunk, &abort))
        read_parameters(abort.causes, abort.causes_length, true, 0);
    if (error_read(chunk, &error))
        read_parameters(error.causes, error.causes_length, true, 0);
    if (cookie_echo_read(chunk, &echo))
        look_at(echo.cookie, echo.cookie_length);
    if (forward_tsn_read(chunk, &forward)) {
        for (size_t i = 0; i < forward.skipped_stream_count; i++)
            sum += forward_tsn_skipped_stream(&forward, i).ssn;
    }
    if (i_forward_tsn_read(chunk, &forward)) {
        for (size_t i = 0; i < forward.skipped_stream_count; i++)
            sum += i_forward_tsn_skipped(&forward, i).mid;
    }
    if (auth_read(chunk, &auth))
        look_at(auth.hmac, auth.hmac_length);
    if (asconf_read(chunk, &asconf))
        read_parameters(asconf.parameters, asconf.parameters_length, false, 0);
    if (asconf_ack_read(chunk, &asconf))
        read_parameters(asconf.parameters, asconf.parameters_length, false, 0);
    sum += shutdown_read(chunk, &tsn);
    sum += shutdown_complete_read(chunk, &reflected);
    sum += ecne_read(chunk, &tsn);
    sum += cwr_read(chunk, &tsn);
}

size_t read_packet(const uint8_t *bytes, size_t length)
{
    struct sctp_common_header header;
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;
    uint8_t *packet = malloc(length > 0 ? length : 1);
    size_t chunks = 0;

    if (!packet)
        abort();
    if (length > 0)
        memcpy(packet, bytes, length);
    sum += packet_verify_checksum(packet, length);
    sum += packet_read_common_header(packet, length, &header);
    chunk_iterator_init(&iterator, packet, length);
    while (chunk_next(&iterator, &chunk)) {
        if (chunk.bytes < packet || chunk.length > packet + length - chunk.bytes)
            abort();
        read_chunk(&chunk);
        chunks++;
    }
    free(packet);
    return chunks;
}
