/*
 * One packet of every kind: every chunk, every parameter, every error cause.
 *
 * RFC 9260 section 3.3, RFC 3758, RFC 4895, RFC 5061, RFC 6525, RFC 9653.
 */
#include "samples.h"

#include "packet/chunks.h"
#include "packet/reconfig.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const uint8_t opaque[32] = "thirty-two bytes that mean none";

static struct braid_address ipv4_address(void)
{
    return braid_address_ipv4((const uint8_t[]){192, 0, 2, 1});
}

static struct braid_address ipv6_address(void)
{
    return braid_address_ipv6((const uint8_t[16]){0x20, 0x01, 0x0d, 0xb8, [15] = 1}, 0);
}

static void write_data(struct packet_writer *writer)
{
    struct sctp_data data = {.flags = SCTP_DATA_FLAG_BEGINNING | SCTP_DATA_FLAG_ENDING,
                             .tsn = 1000,
                             .stream = 3,
                             .ssn = 4,
                             .payload = opaque,
                             .payload_length = 29};

    data_write(writer, &data);
    data.flags |= SCTP_DATA_FLAG_UNORDERED | SCTP_DATA_FLAG_IMMEDIATE;
    data.tsn++;
    data.payload_length = 1;
    data_write(writer, &data);
}

/* Parameters that INIT and INIT ACK have in common. */
static void write_parameters(struct packet_writer *writer)
{
    static const uint8_t extensions[] = {SCTP_CHUNK_ASCONF, SCTP_CHUNK_ASCONF_ACK, SCTP_CHUNK_AUTH,
                                         SCTP_CHUNK_FORWARD_TSN, SCTP_CHUNK_RE_CONFIG};
    static const uint8_t authenticated[] = {SCTP_CHUNK_ASCONF, SCTP_CHUNK_ASCONF_ACK};
    static const uint16_t hmacs[] = {3, 1};
    struct braid_address ipv4 = ipv4_address();
    struct braid_address ipv6 = ipv6_address();

    address_parameter_write(writer, &ipv4);
    address_parameter_write(writer, &ipv6);
    parameter_write(writer, SCTP_PARAMETER_ECN, NULL, 0);
    zero_checksum_write(writer, 1);
    parameter_write(writer, SCTP_PARAMETER_RANDOM, opaque, sizeof(opaque));
    parameter_write(writer, SCTP_PARAMETER_CHUNK_LIST, authenticated, sizeof(authenticated));
    hmac_algorithm_write(writer, hmacs, LENGTH(hmacs));
    parameter_write(writer, SCTP_PARAMETER_SUPPORTED_EXTENSIONS, extensions, sizeof(extensions));
    parameter_write(writer, SCTP_PARAMETER_FORWARD_TSN_SUPPORTED, NULL, 0);
    adaptation_layer_indication_write(writer, 0x0badcafe);
}

static void write_init(struct packet_writer *writer)
{
    struct sctp_supported_address_types types = {.ipv4 = true, .ipv6 = true};
    struct sctp_init init = {.initiate_tag = 0x55667788,
                             .a_rwnd = 131072,
                             .outbound_streams = 10,
                             .inbound_streams = 65535,
                             .initial_tsn = 1000};
    size_t start = init_begin(writer, SCTP_CHUNK_INIT, &init);

    write_parameters(writer);
    supported_address_types_write(writer, &types);
    cookie_preservative_write(writer, 30000);
    parameter_write(writer, SCTP_PARAMETER_PADDING, opaque, 3);
    chunk_end(writer, start);
}

static void write_init_ack(struct packet_writer *writer)
{
    static const uint8_t unrecognized[] = {0xc0, 0xff, 0x00, 0x08, 1, 2, 3, 4};
    struct sctp_init init = {.initiate_tag = 0x99aabbcc,
                             .a_rwnd = 65536,
                             .outbound_streams = 1,
                             .inbound_streams = 2,
                             .initial_tsn = 4294967295};
    size_t start = init_begin(writer, SCTP_CHUNK_INIT_ACK, &init);

    parameter_write(writer, SCTP_PARAMETER_STATE_COOKIE, opaque, 30);
    write_parameters(writer);
    parameter_write(writer, SCTP_PARAMETER_UNRECOGNIZED, unrecognized, sizeof(unrecognized));
    chunk_end(writer, start);
}

static void write_sack(struct packet_writer *writer)
{
    static const struct sctp_gap_ack_block blocks[] = {{2, 3}, {5, 9}};
    static const uint32_t duplicates[] = {998, 999};

    sack_write(writer, 1000, 65536, blocks, LENGTH(blocks), duplicates, LENGTH(duplicates));
    sack_write(writer, 1001, 65536, NULL, 0, NULL, 0);
}

static void write_heartbeat(struct packet_writer *writer)
{
    heartbeat_write(writer, SCTP_CHUNK_HEARTBEAT, opaque, 21);
}

static void write_heartbeat_ack(struct packet_writer *writer)
{
    heartbeat_write(writer, SCTP_CHUNK_HEARTBEAT_ACK, opaque, 21);
}

static void write_abort(struct packet_writer *writer)
{
    size_t start = abort_begin(writer, true);

    parameter_write(writer, SCTP_CAUSE_USER_INITIATED_ABORT, "enough", 6);
    parameter_write(writer, SCTP_CAUSE_PROTOCOL_VIOLATION, "a chunk out of place", 20);
    no_user_data_write(writer, 1000);
    chunk_end(writer, start);
}

static void write_abort_after_restart(struct packet_writer *writer)
{
    struct braid_address addresses[] = {ipv4_address(), ipv6_address()};
    size_t start = abort_begin(writer, false);

    restart_with_new_addresses_write(writer, addresses, LENGTH(addresses));
    chunk_end(writer, start);
}

static void write_shutdown(struct packet_writer *writer)
{
    shutdown_write(writer, 1001);
}

static void write_error(struct packet_writer *writer)
{
    static const uint16_t missing[] = {SCTP_PARAMETER_STATE_COOKIE};
    static const uint8_t host_name[] = {0x00, 0x0b, 0x00, 0x08, 'a', 'b', 'c', 0x00};
    static const uint8_t unknown_chunk[] = {0x7e, 0x00, 0x00, 0x08, 1, 2, 3, 4};
    static const uint8_t unknown_parameter[] = {0xc0, 0xff, 0x00, 0x08, 1, 2, 3, 4};
    struct sctp_parameter address = {.bytes = host_name, .length = sizeof(host_name)};
    struct sctp_chunk chunk = {.bytes = unknown_chunk, .length = sizeof(unknown_chunk)};
    size_t start = error_begin(writer);

    invalid_stream_identifier_write(writer, 77);
    missing_mandatory_parameter_write(writer, missing, LENGTH(missing));
    stale_cookie_write(writer, 1500000);
    parameter_write(writer, SCTP_CAUSE_OUT_OF_RESOURCE, NULL, 0);
    unresolvable_address_write(writer, &address);
    unrecognized_chunk_type_write(writer, &chunk);
    parameter_write(writer, SCTP_CAUSE_INVALID_MANDATORY_PARAMETER, NULL, 0);
    parameter_write(writer, SCTP_CAUSE_UNRECOGNIZED_PARAMETERS, unknown_parameter,
                    sizeof(unknown_parameter));
    parameter_write(writer, SCTP_CAUSE_COOKIE_WHILE_SHUTTING_DOWN, NULL, 0);
    unsupported_hmac_write(writer, 2);
    chunk_end(writer, start);
}

static void write_cookie_echo(struct packet_writer *writer)
{
    cookie_echo_write(writer, opaque, 30);
}

static void write_ecne(struct packet_writer *writer)
{
    ecne_write(writer, 1000);
}

static void write_cwr(struct packet_writer *writer)
{
    cwr_write(writer, 1000);
}

static void write_shutdown_complete(struct packet_writer *writer)
{
    shutdown_complete_write(writer, true);
}

static void write_forward_tsn(struct packet_writer *writer)
{
    static const struct sctp_skipped_stream skipped[] = {{3, 4}, {5, 6}};

    forward_tsn_write(writer, 1010, skipped, LENGTH(skipped));
}

static void write_i_forward_tsn(struct packet_writer *writer)
{
    static const struct sctp_skipped_messages skipped[] = {{.stream = 3, .mid = 70000},
                                                           {.stream = 5, .unordered = true}};

    i_forward_tsn_write(writer, 1011, skipped, LENGTH(skipped));
}

static void write_asconf(struct packet_writer *writer)
{
    struct sctp_auth auth = {.shared_key_identifier = 0, .hmac_identifier = 3, .hmac_length = 32};
    struct braid_address address = ipv4_address();
    struct sctp_address_request request = {.correlation_id = 1, .address = ipv6_address()};
    size_t start;

    auth_write(writer, &auth);
    start = asconf_begin(writer, 4242, &address);
    address_request_write(writer, SCTP_PARAMETER_ADD_IP, &request);
    request.correlation_id = 2;
    address_request_write(writer, SCTP_PARAMETER_SET_PRIMARY, &request);
    request.correlation_id = 3;
    address_request_write(writer, SCTP_PARAMETER_DELETE_IP, &request);
    chunk_end(writer, start);
}

static void write_asconf_ack(struct packet_writer *writer)
{
    static const uint8_t request[] = {0xc0, 0x01, 0x00, 0x10, 0x00, 0x00, 0x00, 0x03,
                                      0x00, 0x05, 0x00, 0x08, 0xc0, 0x00, 0x02, 0x03};
    struct sctp_parameter refused = {.bytes = request, .length = sizeof(request)};
    size_t start = asconf_ack_begin(writer, 4242);
    size_t indication;

    success_indication_write(writer, 1);
    indication = error_cause_indication_begin(writer, 3);
    refused_request_write(writer, SCTP_CAUSE_RESOURCE_SHORTAGE, &refused);
    parameter_end(writer, indication);
    chunk_end(writer, start);
}

static void write_pad(struct packet_writer *writer)
{
    cookie_ack_write(writer);
    chunk_write(writer, SCTP_CHUNK_PAD, 0, opaque, 9);
}

static void write_re_config(struct packet_writer *writer)
{
    static const uint16_t streams[] = {3, 5};
    struct sctp_ssn_reset_request reset = {.request_number = 1000,
                                           .response_number = 2000,
                                           .last_tsn = 3000,
                                           .stream_count = LENGTH(streams)};
    struct sctp_add_streams_request add = {.request_number = 1003, .count = 7};
    size_t start = chunk_begin(writer, SCTP_CHUNK_RE_CONFIG, 0);

    ssn_reset_request_write(writer, SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST, &reset, streams);
    reset.request_number = 1001;
    reset.stream_count = 1;
    ssn_reset_request_write(writer, SCTP_PARAMETER_INCOMING_SSN_RESET_REQUEST, &reset, streams);
    chunk_end(writer, start);
    start = chunk_begin(writer, SCTP_CHUNK_RE_CONFIG, 0);
    ssn_tsn_reset_request_write(writer, 1002);
    chunk_end(writer, start);
    start = chunk_begin(writer, SCTP_CHUNK_RE_CONFIG, 0);
    add_streams_request_write(writer, SCTP_PARAMETER_ADD_OUTGOING_STREAMS_REQUEST, &add);
    add.request_number = 1004;
    add_streams_request_write(writer, SCTP_PARAMETER_ADD_INCOMING_STREAMS_REQUEST, &add);
    chunk_end(writer, start);
}

static void write_re_config_response(struct packet_writer *writer)
{
    size_t start = chunk_begin(writer, SCTP_CHUNK_RE_CONFIG, 0);

    reconfig_response_write(writer, &(struct sctp_reconfig_response){
                                        .response_number = 1000, .result = SCTP_RECONFIG_DENIED});
    reconfig_response_write(writer,
                            &(struct sctp_reconfig_response){.response_number = 1001,
                                                             .result = SCTP_RECONFIG_PERFORMED,
                                                             .has_tsns = true,
                                                             .sender_next_tsn = 4000,
                                                             .receiver_next_tsn = 5000});
    chunk_end(writer, start);
}

const struct sample samples[] = {
    {"data", write_data},
    {"init", write_init},
    {"init-ack", write_init_ack},
    {"sack", write_sack},
    {"heartbeat", write_heartbeat},
    {"heartbeat-ack", write_heartbeat_ack},
    {"abort", write_abort},
    {"abort-after-restart", write_abort_after_restart},
    {"shutdown", write_shutdown},
    {"shutdown-ack", shutdown_ack_write},
    {"error", write_error},
    {"cookie-echo", write_cookie_echo},
    {"cookie-ack", cookie_ack_write},
    {"ecne", write_ecne},
    {"cwr", write_cwr},
    {"shutdown-complete", write_shutdown_complete},
    {"forward-tsn", write_forward_tsn},
    {"asconf", write_asconf},
    {"asconf-ack", write_asconf_ack},
    {"pad", write_pad},
    {"re-config", write_re_config},
    {"re-config-response", write_re_config_response},
    {"i-forward-tsn", write_i_forward_tsn},
};
const size_t sample_count = LENGTH(samples);

size_t sample_write(const struct sample *sample, uint8_t *bytes, size_t capacity)
{
    struct sctp_common_header header = {.source_port = SAMPLE_SOURCE_PORT,
                                        .destination_port = SAMPLE_DESTINATION_PORT,
                                        .verification_tag = SAMPLE_VERIFICATION_TAG};
    struct packet_writer writer;

    packet_writer_init(&writer, bytes, capacity);
    packet_write_common_header(&writer, &header);
    sample->write(&writer);
    return packet_finish(&writer) ? writer.length : 0;
}
