/*
 * A chunk in one line.
 *
 * RFC 9260 section 3.3, RFC 3758, RFC 4895, RFC 5061, RFC 6525.
 */
#include <inttypes.h>

#include "cli/describe.h"
#include "packet/chunks.h"
#include "packet/parameter.h"
#include "packet/reconfig.h"

struct flag {
    uint8_t bit;
    const char *letter;
};

/* The letters of the bits that are set, highest first, in brackets; nothing if none is. */
static void print_flags(FILE *out, uint8_t flags, const struct flag *names)
{
    bool any = false;

    for (; names->letter; names++) {
        if (flags & names->bit) {
            fprintf(out, "%s%s", any ? "" : " [", names->letter);
            any = true;
        }
    }
    if (any)
        fputc(']', out);
}

static bool data_line(FILE *out, const struct sctp_chunk *chunk)
{
    bool interleaving = chunk->type == SCTP_CHUNK_I_DATA;
    static const struct flag flags[] = {{SCTP_DATA_FLAG_IMMEDIATE, "I"},
                                        {SCTP_DATA_FLAG_UNORDERED, "U"},
                                        {SCTP_DATA_FLAG_BEGINNING, "B"},
                                        {SCTP_DATA_FLAG_ENDING, "E"},
                                        {0, NULL}};
    struct sctp_data data;

    if (!(interleaving ? i_data_read(chunk, &data) : data_read(chunk, &data)))
        return false;
    fprintf(out, " tsn %" PRIu32 " stream %u", data.tsn, data.stream);
    if (interleaving)
        fprintf(out, " mid %" PRIu32, data.mid);
    else
        fprintf(out, " ssn %u", data.ssn);
    if (interleaving && !(data.flags & SCTP_DATA_FLAG_BEGINNING))
        fprintf(out, " fsn %" PRIu32, data.fsn);
    else
        fprintf(out, " ppid %" PRIu32, data.ppid);
    print_flags(out, data.flags, flags);
    fprintf(out, " %u bytes", data.payload_length);
    return true;
}

static bool init_line(FILE *out, const struct sctp_chunk *chunk)
{
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;
    struct braid_address address;
    struct sctp_init init;

    if (!init_read(chunk, &init))
        return false;
    fprintf(out, " tag 0x%08" PRIx32 " a_rwnd %" PRIu32 " streams %u out %u in tsn %" PRIu32,
            init.initiate_tag, init.a_rwnd, init.outbound_streams, init.inbound_streams,
            init.initial_tsn);
    parameter_iterator_init(&iterator, init.parameters, init.parameters_length);
    while (parameter_next(&iterator, &parameter)) {
        char text[DESCRIBE_ADDRESS_SIZE];

        if (address_parameter_read(&parameter, &address))
            fprintf(out, " address %s", describe_address(&address, text));
    }
    return !iterator.malformed;
}

static bool sack_line(FILE *out, const struct sctp_chunk *chunk)
{
    struct sctp_sack sack;

    if (!sack_read(chunk, &sack))
        return false;
    fprintf(out, " cumulative %" PRIu32 " a_rwnd %" PRIu32, sack.cumulative_tsn_ack, sack.a_rwnd);
    for (size_t i = 0; i < sack.gap_ack_block_count; i++) {
        struct sctp_gap_ack_block block = sack_gap_ack_block(&sack, i);

        fprintf(out, "%s%u-%u", i == 0 ? " gaps " : ",", block.start, block.end);
    }
    for (size_t i = 0; i < sack.duplicate_tsn_count; i++)
        fprintf(out, "%s%" PRIu32, i == 0 ? " duplicates " : ",", sack_duplicate_tsn(&sack, i));
    return true;
}

static bool heartbeat_line(FILE *out, const struct sctp_chunk *chunk)
{
    struct sctp_heartbeat heartbeat;

    if (!heartbeat_read(chunk, &heartbeat))
        return false;
    fprintf(out, " %u bytes", heartbeat.info_length);
    return true;
}

static bool causes_in_line(FILE *out, const uint8_t *causes, size_t length)
{
    struct parameter_iterator iterator;
    struct sctp_parameter cause;
    const char *separator = " ";

    parameter_iterator_init(&iterator, causes, length);
    while (parameter_next(&iterator, &cause)) {
        fprintf(out, "%s%s", separator, describe_cause_code(cause.type));
        if (cause.value_length > 0 && (cause.type == SCTP_CAUSE_USER_INITIATED_ABORT ||
                                       cause.type == SCTP_CAUSE_PROTOCOL_VIOLATION)) {
            fputs(" \"", out);
            document_print_text(out, cause.value, cause.value_length);
            fputc('"', out);
        }
        separator = ", ";
    }
    return !iterator.malformed;
}

static const struct flag tag_flags[] = {{SCTP_FLAG_TAG_REFLECTED, "T"}, {0, NULL}};

static bool abort_line(FILE *out, const struct sctp_chunk *chunk)
{
    struct sctp_abort abort;

    if (!abort_read(chunk, &abort))
        return false;
    print_flags(out, chunk->flags, tag_flags);
    return causes_in_line(out, abort.causes, abort.causes_length);
}

static bool error_line(FILE *out, const struct sctp_chunk *chunk)
{
    struct sctp_error error;

    return error_read(chunk, &error) && causes_in_line(out, error.causes, error.causes_length);
}

static bool shutdown_line(FILE *out, const struct sctp_chunk *chunk)
{
    uint32_t cumulative_tsn_ack;

    if (!shutdown_read(chunk, &cumulative_tsn_ack))
        return false;
    fprintf(out, " cumulative %" PRIu32, cumulative_tsn_ack);
    return true;
}

static bool lowest_tsn_line(FILE *out, const struct sctp_chunk *chunk)
{
    uint32_t lowest_tsn;

    if (!ecne_read(chunk, &lowest_tsn))
        return false;
    fprintf(out, " lowest tsn %" PRIu32, lowest_tsn);
    return true;
}

static bool forward_tsn_line(FILE *out, const struct sctp_chunk *chunk)
{
    struct sctp_forward_tsn forward;

    if (!forward_tsn_read(chunk, &forward))
        return false;
    fprintf(out, " cumulative %" PRIu32, forward.new_cumulative_tsn);
    for (size_t i = 0; i < forward.skipped_stream_count; i++) {
        struct sctp_skipped_stream skipped = forward_tsn_skipped_stream(&forward, i);

        fprintf(out, " stream %u ssn %u", skipped.stream, skipped.ssn);
    }
    return true;
}

static bool i_forward_tsn_line(FILE *out, const struct sctp_chunk *chunk)
{
    struct sctp_forward_tsn forward;

    if (!i_forward_tsn_read(chunk, &forward))
        return false;
    fprintf(out, " cumulative %" PRIu32, forward.new_cumulative_tsn);
    for (size_t i = 0; i < forward.skipped_stream_count; i++) {
        struct sctp_skipped_messages skipped = i_forward_tsn_skipped(&forward, i);

        fprintf(out, " stream %u%s mid %" PRIu32, skipped.stream,
                skipped.unordered ? " unordered" : "", skipped.mid);
    }
    return true;
}

static bool auth_line(FILE *out, const struct sctp_chunk *chunk)
{
    struct sctp_auth auth;

    if (!auth_read(chunk, &auth))
        return false;
    fprintf(out, " key %u %s %u bytes", auth.shared_key_identifier,
            describe_hmac(auth.hmac_identifier), auth.hmac_length);
    return true;
}

/* The requests of an ASCONF, or the responses to them. */
static bool asconf_line(FILE *out, const struct sctp_chunk *chunk)
{
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;
    char text[DESCRIBE_ADDRESS_SIZE];
    struct sctp_asconf asconf = {0};

    if (chunk->type == SCTP_CHUNK_ASCONF ? !asconf_read(chunk, &asconf)
                                         : !asconf_ack_read(chunk, &asconf))
        return false;
    fprintf(out, " serial %" PRIu32, asconf.serial_number);
    if (chunk->type == SCTP_CHUNK_ASCONF)
        fprintf(out, " address %s", describe_address(&asconf.address, text));
    parameter_iterator_init(&iterator, asconf.parameters, asconf.parameters_length);
    while (parameter_next(&iterator, &parameter)) {
        struct sctp_address_request request;

        fprintf(out, ", %s", describe_parameter_type(parameter.type));
        if (address_request_read(&parameter, &request))
            fprintf(out, " %s", describe_address(&request.address, text));
    }
    return !iterator.malformed;
}

static void streams_in_line(FILE *out, const struct sctp_parameter *parameter)
{
    struct sctp_ssn_reset_request request;

    if (!ssn_reset_request_read(parameter, &request))
        return;
    if (parameter->type == SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST)
        fprintf(out, " last tsn %" PRIu32, request.last_tsn);
    fputs(request.stream_count == 0 ? " all streams" : " streams ", out);
    for (size_t i = 0; i < request.stream_count; i++)
        fprintf(out, "%s%u", i == 0 ? "" : ",", ssn_reset_stream(&request, i));
}

/* Requests and responses: each begins with its number. */
static bool re_config_line(FILE *out, const struct sctp_chunk *chunk)
{
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;
    const char *separator = " ";

    parameter_iterator_init(&iterator, chunk->value, chunk->value_length);
    while (parameter_next(&iterator, &parameter)) {
        struct sctp_add_streams_request add;
        struct sctp_reconfig_response response;

        fprintf(out, "%s%s", separator, describe_parameter_type(parameter.type));
        separator = ", ";
        if (parameter.value_length < 4)
            return false;
        fprintf(out, " %" PRIu32, wire_get_u32(parameter.value));
        if (parameter.type == SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST ||
            parameter.type == SCTP_PARAMETER_INCOMING_SSN_RESET_REQUEST)
            streams_in_line(out, &parameter);
        else if (parameter.type == SCTP_PARAMETER_RE_CONFIG_RESPONSE &&
                 reconfig_response_read(&parameter, &response))
            fprintf(out, " %s", describe_result(response.result));
        else if (add_streams_request_read(&parameter, &add))
            fprintf(out, " %u streams", add.count);
    }
    return !iterator.malformed;
}

/* What stands behind the name of the chunk. False if the chunk is malformed. */
static bool chunk_line(FILE *out, const struct sctp_chunk *chunk)
{
    switch (chunk->type) {
    case SCTP_CHUNK_DATA:
    case SCTP_CHUNK_I_DATA:
        return data_line(out, chunk);
    case SCTP_CHUNK_INIT:
    case SCTP_CHUNK_INIT_ACK:
        return init_line(out, chunk);
    case SCTP_CHUNK_SACK:
        return sack_line(out, chunk);
    case SCTP_CHUNK_HEARTBEAT:
    case SCTP_CHUNK_HEARTBEAT_ACK:
        return heartbeat_line(out, chunk);
    case SCTP_CHUNK_ABORT:
        return abort_line(out, chunk);
    case SCTP_CHUNK_SHUTDOWN:
        return shutdown_line(out, chunk);
    case SCTP_CHUNK_ERROR:
        return error_line(out, chunk);
    case SCTP_CHUNK_ECNE:
    case SCTP_CHUNK_CWR:
        return lowest_tsn_line(out, chunk);
    case SCTP_CHUNK_SHUTDOWN_COMPLETE:
        print_flags(out, chunk->flags, tag_flags);
        return true;
    case SCTP_CHUNK_FORWARD_TSN:
        return forward_tsn_line(out, chunk);
    case SCTP_CHUNK_I_FORWARD_TSN:
        return i_forward_tsn_line(out, chunk);
    case SCTP_CHUNK_AUTH:
        return auth_line(out, chunk);
    case SCTP_CHUNK_ASCONF:
    case SCTP_CHUNK_ASCONF_ACK:
        return asconf_line(out, chunk);
    case SCTP_CHUNK_RE_CONFIG:
        return re_config_line(out, chunk);
    case SCTP_CHUNK_SHUTDOWN_ACK:
    case SCTP_CHUNK_COOKIE_ACK:
        return true;
    default:
        fprintf(out, " %u bytes", chunk->value_length);
        return true;
    }
}

static const char *chunk_colour(uint8_t type)
{
    switch (type) {
    case SCTP_CHUNK_DATA:
    case SCTP_CHUNK_I_DATA:
        return COLOUR_DATA;
    case SCTP_CHUNK_SACK:
        return COLOUR_GOOD;
    case SCTP_CHUNK_ABORT:
    case SCTP_CHUNK_ERROR:
        return COLOUR_BAD;
    default:
        return COLOUR_CONTROL;
    }
}

void describe_chunk_in_line(const struct document *document, const struct sctp_chunk *chunk)
{
    fprintf(document->out, "%s%s%s", document_colour(document, chunk_colour(chunk->type)),
            describe_chunk_type(chunk->type), document_colour(document, COLOUR_OFF));
    if (!chunk_line(document->out, chunk))
        fprintf(document->out, " %smalformed%s, %u bytes", document_colour(document, COLOUR_BAD),
                document_colour(document, COLOUR_OFF), chunk->length);
}
