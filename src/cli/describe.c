/*
 * Every field of a chunk, every parameter, every error cause.
 *
 * RFC 9260 section 3.3, RFC 3758, RFC 4895, RFC 5061, RFC 6525, RFC 8260. Whatever is not known, or
 * is malformed, is shown as the bytes that it is.
 */
#include "cli/describe.h"

#include <stdio.h>

#include "packet/chunks.h"
#include "packet/parameter.h"
#include "packet/reconfig.h"

/* Parameters may stand in parameters; how deep they are followed is limited. */
#define DEPTH_LIMIT 12

#define TITLE_SIZE 96

static void describe_parameters(struct document *document, const char *name, const uint8_t *bytes,
                                size_t length, bool causes);

static void describe_address_value(struct document *document, const struct braid_address *address)
{
    char text[DESCRIBE_ADDRESS_SIZE];

    document_text(document, "address", describe_address(address, text));
}

/* A list of chunk types, a byte each. */
static void describe_chunk_types(struct document *document, const struct sctp_parameter *parameter)
{
    document_list_begin(document, "chunk_types", parameter->value_length);
    for (size_t i = 0; i < parameter->value_length; i++)
        document_text(document, NULL, describe_chunk_type(parameter->value[i]));
    document_list_end(document);
}

static bool describe_hmac_algorithms(struct document *document,
                                     const struct sctp_parameter *parameter)
{
    size_t count;

    if (!hmac_algorithm_read(parameter, &count))
        return false;
    document_list_begin(document, "hmac_identifiers", count);
    for (size_t i = 0; i < count; i++)
        document_text(document, NULL, describe_hmac(hmac_algorithm_get(parameter, i)));
    document_list_end(document);
    return true;
}

static bool describe_supported_address_types(struct document *document,
                                             const struct sctp_parameter *parameter)
{
    struct sctp_supported_address_types types;

    if (!supported_address_types_read(parameter, &types))
        return false;
    document_boolean(document, "ipv4", types.ipv4);
    document_boolean(document, "ipv6", types.ipv6);
    return true;
}

static bool describe_address_request(struct document *document,
                                     const struct sctp_parameter *parameter)
{
    struct sctp_address_request request;

    if (!address_request_read(parameter, &request))
        return false;
    document_number(document, "correlation_id", request.correlation_id);
    describe_address_value(document, &request.address);
    return true;
}

static bool describe_error_cause_indication(struct document *document,
                                            const struct sctp_parameter *parameter)
{
    struct sctp_error_cause_indication indication;

    if (!error_cause_indication_read(parameter, &indication))
        return false;
    document_number(document, "correlation_id", indication.correlation_id);
    describe_parameters(document, "causes", indication.causes, indication.causes_length, true);
    return true;
}

/* A parameter or an error cause that a function reads as one number. */
static bool describe_u32(struct document *document, const char *name,
                         const struct sctp_parameter *parameter,
                         bool (*read)(const struct sctp_parameter *, uint32_t *))
{
    uint32_t value;

    if (!read(parameter, &value))
        return false;
    document_number(document, name, value);
    return true;
}

static bool describe_u16(struct document *document, const char *name,
                         const struct sctp_parameter *parameter,
                         bool (*read)(const struct sctp_parameter *, uint16_t *))
{
    uint16_t value;

    if (!read(parameter, &value))
        return false;
    document_number(document, name, value);
    return true;
}

static bool describe_ssn_reset(struct document *document, const struct sctp_parameter *parameter)
{
    struct sctp_ssn_reset_request request;

    if (!ssn_reset_request_read(parameter, &request))
        return false;
    document_number(document, "request_number", request.request_number);
    if (parameter->type == SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST) {
        document_number(document, "response_number", request.response_number);
        document_number(document, "last_tsn", request.last_tsn);
    }
    document_list_begin(document, "streams", request.stream_count);
    for (size_t i = 0; i < request.stream_count; i++)
        document_number(document, NULL, ssn_reset_stream(&request, i));
    document_list_end(document);
    return true;
}

static bool describe_reconfig_response(struct document *document,
                                       const struct sctp_parameter *parameter)
{
    struct sctp_reconfig_response response;

    if (!reconfig_response_read(parameter, &response))
        return false;
    document_number(document, "response_number", response.response_number);
    document_text(document, "result", describe_result(response.result));
    if (response.has_tsns) {
        document_number(document, "sender_next_tsn", response.sender_next_tsn);
        document_number(document, "receiver_next_tsn", response.receiver_next_tsn);
    }
    return true;
}

static bool describe_add_streams(struct document *document, const struct sctp_parameter *parameter)
{
    struct sctp_add_streams_request request;

    if (!add_streams_request_read(parameter, &request))
        return false;
    document_number(document, "request_number", request.request_number);
    document_number(document, "count", request.count);
    return true;
}

/* False if the parameter is malformed. */
static bool describe_parameter_value(struct document *document,
                                     const struct sctp_parameter *parameter)
{
    struct braid_address address;

    switch (parameter->type) {
    case SCTP_PARAMETER_IPV4_ADDRESS:
    case SCTP_PARAMETER_IPV6_ADDRESS:
        if (!address_parameter_read(parameter, &address))
            return false;
        describe_address_value(document, &address);
        return true;
    case SCTP_PARAMETER_UNRECOGNIZED:
        describe_parameters(document, "parameters", parameter->value, parameter->value_length,
                            false);
        return true;
    case SCTP_PARAMETER_COOKIE_PRESERVATIVE:
        return describe_u32(document, "increment_milliseconds", parameter,
                            cookie_preservative_read);
    case SCTP_PARAMETER_HOST_NAME_ADDRESS:
        document_text_bytes(document, "host_name", parameter->value, parameter->value_length);
        return true;
    case SCTP_PARAMETER_SUPPORTED_ADDRESS_TYPES:
        return describe_supported_address_types(document, parameter);
    case SCTP_PARAMETER_ZERO_CHECKSUM:
        return describe_u32(document, "error_detection_method", parameter, zero_checksum_read);
    case SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST:
    case SCTP_PARAMETER_INCOMING_SSN_RESET_REQUEST:
        return describe_ssn_reset(document, parameter);
    case SCTP_PARAMETER_SSN_TSN_RESET_REQUEST:
        return describe_u32(document, "request_number", parameter, ssn_tsn_reset_request_read);
    case SCTP_PARAMETER_RE_CONFIG_RESPONSE:
        return describe_reconfig_response(document, parameter);
    case SCTP_PARAMETER_ADD_OUTGOING_STREAMS_REQUEST:
    case SCTP_PARAMETER_ADD_INCOMING_STREAMS_REQUEST:
        return describe_add_streams(document, parameter);
    case SCTP_PARAMETER_CHUNK_LIST:
    case SCTP_PARAMETER_SUPPORTED_EXTENSIONS:
        describe_chunk_types(document, parameter);
        return true;
    case SCTP_PARAMETER_HMAC_ALGORITHM:
        return describe_hmac_algorithms(document, parameter);
    case SCTP_PARAMETER_ADD_IP:
    case SCTP_PARAMETER_DELETE_IP:
    case SCTP_PARAMETER_SET_PRIMARY:
        return describe_address_request(document, parameter);
    case SCTP_PARAMETER_ERROR_CAUSE_INDICATION:
        return describe_error_cause_indication(document, parameter);
    case SCTP_PARAMETER_SUCCESS_INDICATION:
        return describe_u32(document, "correlation_id", parameter, success_indication_read);
    case SCTP_PARAMETER_ADAPTATION_LAYER_INDICATION:
        return describe_u32(document, "code_point", parameter, adaptation_layer_indication_read);
    default:
        if (parameter->value_length > 0)
            document_bytes(document, "value", parameter->value, parameter->value_length);
        return true;
    }
}

static bool describe_missing_parameters(struct document *document,
                                        const struct sctp_parameter *cause)
{
    size_t count;

    if (!missing_mandatory_parameter_read(cause, &count))
        return false;
    document_list_begin(document, "missing", count);
    for (size_t i = 0; i < count; i++)
        document_text(document, NULL,
                      describe_parameter_type(missing_mandatory_parameter_get(cause, i)));
    document_list_end(document);
    return true;
}

static bool describe_unrecognized_chunk(struct document *document,
                                        const struct sctp_parameter *cause)
{
    struct sctp_chunk chunk;

    if (!unrecognized_chunk_type_read(cause, &chunk))
        return false;
    document_text(document, "chunk_type", describe_chunk_type(chunk.type));
    document_bytes(document, "chunk", chunk.bytes, chunk.length);
    return true;
}

/* False if the error cause is malformed. */
static bool describe_cause_value(struct document *document, const struct sctp_parameter *cause)
{
    switch (cause->type) {
    case SCTP_CAUSE_INVALID_STREAM_IDENTIFIER:
        return describe_u16(document, "stream", cause, invalid_stream_identifier_read);
    case SCTP_CAUSE_MISSING_MANDATORY_PARAMETER:
        return describe_missing_parameters(document, cause);
    case SCTP_CAUSE_STALE_COOKIE:
        return describe_u32(document, "staleness_microseconds", cause, stale_cookie_read);
    case SCTP_CAUSE_UNRECOGNIZED_CHUNK_TYPE:
        return describe_unrecognized_chunk(document, cause);
    case SCTP_CAUSE_UNRESOLVABLE_ADDRESS:
    case SCTP_CAUSE_UNRECOGNIZED_PARAMETERS:
    case SCTP_CAUSE_RESTART_WITH_NEW_ADDRESSES:
    case SCTP_CAUSE_DELETE_LAST_ADDRESS:
    case SCTP_CAUSE_RESOURCE_SHORTAGE:
    case SCTP_CAUSE_DELETE_SOURCE_ADDRESS:
    case SCTP_CAUSE_NO_AUTHORIZATION:
        describe_parameters(document, "parameters", cause->value, cause->value_length, false);
        return true;
    case SCTP_CAUSE_NO_USER_DATA:
        return describe_u32(document, "tsn", cause, no_user_data_read);
    case SCTP_CAUSE_USER_INITIATED_ABORT:
    case SCTP_CAUSE_PROTOCOL_VIOLATION:
        document_text_bytes(document, "text", cause->value, cause->value_length);
        return true;
    case SCTP_CAUSE_UNSUPPORTED_HMAC:
        return describe_u16(document, "hmac_identifier", cause, unsupported_hmac_read);
    default:
        if (cause->value_length > 0)
            document_bytes(document, "value", cause->value, cause->value_length);
        return true;
    }
}

/* What could not be read, as it is. */
static void describe_malformed(struct document *document, const uint8_t *bytes, size_t length)
{
    document_boolean(document, "malformed", true);
    if (length > 0)
        document_bytes(document, "value", bytes, length);
}

static void describe_parameter(struct document *document, const struct sctp_parameter *parameter,
                               bool is_cause)
{
    const char *type =
        is_cause ? describe_cause_code(parameter->type) : describe_parameter_type(parameter->type);
    char title[TITLE_SIZE];

    snprintf(title, sizeof(title), "%s (0x%04x), %u bytes", type, parameter->type,
             parameter->length);
    document_object_begin(document, NULL, title);
    if (document->json) {
        document_text(document, "type", type);
        document_number(document, "code", parameter->type);
        document_number(document, "length", parameter->length);
    }
    if (is_cause ? !describe_cause_value(document, parameter)
                 : !describe_parameter_value(document, parameter))
        describe_malformed(document, parameter->value, parameter->value_length);
    document_object_end(document);
}

/* A list of parameters, or of error causes; nothing if there are none. */
static void describe_parameters(struct document *document, const char *name, const uint8_t *bytes,
                                size_t length, bool causes)
{
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;

    if (length == 0)
        return;
    if (document->depth >= DEPTH_LIMIT) {
        document_bytes(document, name, bytes, length);
        return;
    }
    document_list_begin(document, name, length);
    parameter_iterator_init(&iterator, bytes, length);
    while (parameter_next(&iterator, &parameter))
        describe_parameter(document, &parameter, causes);
    document_list_end(document);
    if (iterator.malformed)
        describe_malformed(document, iterator.position, (size_t)(iterator.end - iterator.position));
}

static bool describe_data(struct document *document, const struct sctp_chunk *chunk)
{
    bool interleaving = chunk->type == SCTP_CHUNK_I_DATA;
    struct sctp_data data;

    if (!(interleaving ? i_data_read(chunk, &data) : data_read(chunk, &data)))
        return false;
    document_boolean(document, "immediate", data.flags & SCTP_DATA_FLAG_IMMEDIATE);
    document_boolean(document, "unordered", data.flags & SCTP_DATA_FLAG_UNORDERED);
    document_boolean(document, "beginning", data.flags & SCTP_DATA_FLAG_BEGINNING);
    document_boolean(document, "ending", data.flags & SCTP_DATA_FLAG_ENDING);
    document_number(document, "tsn", data.tsn);
    document_number(document, "stream", data.stream);
    if (interleaving)
        document_number(document, "mid", data.mid);
    else
        document_number(document, "ssn", data.ssn);
    if (interleaving)
        document_number(document, "fsn", data.fsn);
    if (!interleaving || data.flags & SCTP_DATA_FLAG_BEGINNING)
        document_number(document, "ppid", data.ppid);
    document_bytes(document, "payload", data.payload, data.payload_length);
    return true;
}

static bool describe_init(struct document *document, const struct sctp_chunk *chunk)
{
    struct sctp_init init;

    if (!init_read(chunk, &init))
        return false;
    document_hexadecimal(document, "initiate_tag", init.initiate_tag, 8);
    document_number(document, "a_rwnd", init.a_rwnd);
    document_number(document, "outbound_streams", init.outbound_streams);
    document_number(document, "inbound_streams", init.inbound_streams);
    document_number(document, "initial_tsn", init.initial_tsn);
    describe_parameters(document, "parameters", init.parameters, init.parameters_length, false);
    return true;
}

static bool describe_sack(struct document *document, const struct sctp_chunk *chunk)
{
    struct sctp_sack sack;

    if (!sack_read(chunk, &sack))
        return false;
    document_number(document, "cumulative_tsn_ack", sack.cumulative_tsn_ack);
    document_number(document, "a_rwnd", sack.a_rwnd);
    document_list_begin(document, "gap_ack_blocks", sack.gap_ack_block_count);
    for (size_t i = 0; i < sack.gap_ack_block_count; i++) {
        struct sctp_gap_ack_block block = sack_gap_ack_block(&sack, i);

        document_pair(document, block.start, '-', block.end);
    }
    document_list_end(document);
    document_list_begin(document, "duplicate_tsns", sack.duplicate_tsn_count);
    for (size_t i = 0; i < sack.duplicate_tsn_count; i++)
        document_number(document, NULL, sack_duplicate_tsn(&sack, i));
    document_list_end(document);
    return true;
}

static bool describe_heartbeat(struct document *document, const struct sctp_chunk *chunk)
{
    struct sctp_heartbeat heartbeat;

    if (!heartbeat_read(chunk, &heartbeat))
        return false;
    document_bytes(document, "info", heartbeat.info, heartbeat.info_length);
    return true;
}

static bool describe_abort(struct document *document, const struct sctp_chunk *chunk)
{
    struct sctp_abort abort;

    if (!abort_read(chunk, &abort))
        return false;
    document_boolean(document, "tag_reflected", abort.tag_reflected);
    describe_parameters(document, "causes", abort.causes, abort.causes_length, true);
    return true;
}

static bool describe_error(struct document *document, const struct sctp_chunk *chunk)
{
    struct sctp_error error;

    if (!error_read(chunk, &error))
        return false;
    describe_parameters(document, "causes", error.causes, error.causes_length, true);
    return true;
}

static bool describe_shutdown(struct document *document, const struct sctp_chunk *chunk)
{
    uint32_t cumulative_tsn_ack;

    if (!shutdown_read(chunk, &cumulative_tsn_ack))
        return false;
    document_number(document, "cumulative_tsn_ack", cumulative_tsn_ack);
    return true;
}

static bool describe_cookie_echo(struct document *document, const struct sctp_chunk *chunk)
{
    struct sctp_cookie_echo echo;

    if (!cookie_echo_read(chunk, &echo))
        return false;
    document_bytes(document, "cookie", echo.cookie, echo.cookie_length);
    return true;
}

static bool describe_shutdown_complete(struct document *document, const struct sctp_chunk *chunk)
{
    bool tag_reflected;

    if (!shutdown_complete_read(chunk, &tag_reflected))
        return false;
    document_boolean(document, "tag_reflected", tag_reflected);
    return true;
}

/* ECNE and CWR. */
static bool describe_lowest_tsn(struct document *document, const struct sctp_chunk *chunk)
{
    uint32_t lowest_tsn;

    if (!ecne_read(chunk, &lowest_tsn))
        return false;
    document_number(document, "lowest_tsn", lowest_tsn);
    return true;
}

static bool describe_forward_tsn(struct document *document, const struct sctp_chunk *chunk)
{
    struct sctp_forward_tsn forward;

    if (!forward_tsn_read(chunk, &forward))
        return false;
    document_number(document, "new_cumulative_tsn", forward.new_cumulative_tsn);
    document_list_begin(document, "skipped_stream_ssn", forward.skipped_stream_count);
    for (size_t i = 0; i < forward.skipped_stream_count; i++) {
        struct sctp_skipped_stream skipped = forward_tsn_skipped_stream(&forward, i);

        document_pair(document, skipped.stream, ':', skipped.ssn);
    }
    document_list_end(document);
    return true;
}

static bool describe_i_forward_tsn(struct document *document, const struct sctp_chunk *chunk)
{
    struct sctp_forward_tsn forward;

    if (!i_forward_tsn_read(chunk, &forward))
        return false;
    document_number(document, "new_cumulative_tsn", forward.new_cumulative_tsn);
    document_list_begin(document, "skipped_messages", forward.skipped_stream_count);
    for (size_t i = 0; i < forward.skipped_stream_count; i++) {
        struct sctp_skipped_messages skipped = i_forward_tsn_skipped(&forward, i);

        document_object_begin(document, NULL, "up to");
        document_number(document, "stream", skipped.stream);
        document_boolean(document, "unordered", skipped.unordered);
        document_number(document, "mid", skipped.mid);
        document_object_end(document);
    }
    document_list_end(document);
    return true;
}

static bool describe_auth(struct document *document, const struct sctp_chunk *chunk)
{
    struct sctp_auth auth;

    if (!auth_read(chunk, &auth))
        return false;
    document_number(document, "shared_key_identifier", auth.shared_key_identifier);
    document_number(document, "hmac_identifier", auth.hmac_identifier);
    document_bytes(document, "hmac", auth.hmac, auth.hmac_length);
    return true;
}

static bool describe_asconf(struct document *document, const struct sctp_chunk *chunk)
{
    struct sctp_asconf asconf;

    if (!asconf_read(chunk, &asconf))
        return false;
    document_number(document, "serial_number", asconf.serial_number);
    describe_address_value(document, &asconf.address);
    describe_parameters(document, "parameters", asconf.parameters, asconf.parameters_length, false);
    return true;
}

static bool describe_asconf_ack(struct document *document, const struct sctp_chunk *chunk)
{
    struct sctp_asconf asconf;

    if (!asconf_ack_read(chunk, &asconf))
        return false;
    document_number(document, "serial_number", asconf.serial_number);
    describe_parameters(document, "parameters", asconf.parameters, asconf.parameters_length, false);
    return true;
}

/* False if the chunk is malformed. */
static bool describe_chunk_value(struct document *document, const struct sctp_chunk *chunk)
{
    switch (chunk->type) {
    case SCTP_CHUNK_DATA:
    case SCTP_CHUNK_I_DATA:
        return describe_data(document, chunk);
    case SCTP_CHUNK_INIT:
    case SCTP_CHUNK_INIT_ACK:
        return describe_init(document, chunk);
    case SCTP_CHUNK_SACK:
        return describe_sack(document, chunk);
    case SCTP_CHUNK_HEARTBEAT:
    case SCTP_CHUNK_HEARTBEAT_ACK:
        return describe_heartbeat(document, chunk);
    case SCTP_CHUNK_ABORT:
        return describe_abort(document, chunk);
    case SCTP_CHUNK_SHUTDOWN:
        return describe_shutdown(document, chunk);
    case SCTP_CHUNK_ERROR:
        return describe_error(document, chunk);
    case SCTP_CHUNK_COOKIE_ECHO:
        return describe_cookie_echo(document, chunk);
    case SCTP_CHUNK_ECNE:
    case SCTP_CHUNK_CWR:
        return describe_lowest_tsn(document, chunk);
    case SCTP_CHUNK_SHUTDOWN_COMPLETE:
        return describe_shutdown_complete(document, chunk);
    case SCTP_CHUNK_FORWARD_TSN:
        return describe_forward_tsn(document, chunk);
    case SCTP_CHUNK_I_FORWARD_TSN:
        return describe_i_forward_tsn(document, chunk);
    case SCTP_CHUNK_AUTH:
        return describe_auth(document, chunk);
    case SCTP_CHUNK_ASCONF:
        return describe_asconf(document, chunk);
    case SCTP_CHUNK_ASCONF_ACK:
        return describe_asconf_ack(document, chunk);
    case SCTP_CHUNK_RE_CONFIG:
        describe_parameters(document, "parameters", chunk->value, chunk->value_length, false);
        return true;
    default:
        if (chunk->value_length > 0)
            document_bytes(document, "value", chunk->value, chunk->value_length);
        return true;
    }
}

void describe_chunk_in_full(struct document *document, const struct sctp_chunk *chunk)
{
    if (document->json) {
        document_text(document, "type", describe_chunk_type(chunk->type));
        document_number(document, "code", chunk->type);
    }
    document_hexadecimal(document, "flags", chunk->flags, 2);
    document_number(document, "length", chunk->length);
    if (!describe_chunk_value(document, chunk))
        describe_malformed(document, chunk->value, chunk->value_length);
}
