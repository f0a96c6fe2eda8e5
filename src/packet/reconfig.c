/*
 * The parameters of RE-CONFIG: requests to reset or to add streams, and the responses to them.
 *
 * RFC 6525 section 4.
 */
#include "packet/reconfig.h"

#define OUTGOING_FIXED 12 /* bytes in front of the stream numbers */
#define INCOMING_FIXED 4
#define RESPONSE_LENGTH 8
#define RESPONSE_WITH_TSNS_LENGTH 16

bool ssn_reset_request_read(const struct sctp_parameter *parameter,
                            struct sctp_ssn_reset_request *request)
{
    bool outgoing = parameter->type == SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST;
    size_t fixed = outgoing ? OUTGOING_FIXED : INCOMING_FIXED;

    if (parameter->value_length < fixed || parameter->value_length % 2 != 0)
        return false;
    *request = (struct sctp_ssn_reset_request){
        .request_number = wire_get_u32(parameter->value),
        .stream_count = (parameter->value_length - fixed) / 2,
        .streams = parameter->value + fixed,
    };
    if (outgoing) {
        request->response_number = wire_get_u32(parameter->value + 4);
        request->last_tsn = wire_get_u32(parameter->value + 8);
    }
    return true;
}

void ssn_reset_request_write(struct packet_writer *writer, uint16_t type,
                             const struct sctp_ssn_reset_request *request, const uint16_t *streams)
{
    size_t start = parameter_begin(writer, type);

    packet_write_u32(writer, request->request_number);
    if (type == SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST) {
        packet_write_u32(writer, request->response_number);
        packet_write_u32(writer, request->last_tsn);
    }
    for (size_t i = 0; i < request->stream_count; i++)
        packet_write_u16(writer, streams[i]);
    parameter_end(writer, start);
}

bool ssn_tsn_reset_request_read(const struct sctp_parameter *parameter, uint32_t *request_number)
{
    if (parameter->value_length != 4)
        return false;
    *request_number = wire_get_u32(parameter->value);
    return true;
}

void ssn_tsn_reset_request_write(struct packet_writer *writer, uint32_t request_number)
{
    size_t start = parameter_begin(writer, SCTP_PARAMETER_SSN_TSN_RESET_REQUEST);

    packet_write_u32(writer, request_number);
    parameter_end(writer, start);
}

bool reconfig_response_read(const struct sctp_parameter *parameter,
                            struct sctp_reconfig_response *response)
{
    bool has_tsns = parameter->value_length == RESPONSE_WITH_TSNS_LENGTH;

    if (parameter->value_length != RESPONSE_LENGTH && !has_tsns)
        return false;
    *response = (struct sctp_reconfig_response){
        .response_number = wire_get_u32(parameter->value),
        .result = wire_get_u32(parameter->value + 4),
        .has_tsns = has_tsns,
    };
    if (has_tsns) {
        response->sender_next_tsn = wire_get_u32(parameter->value + 8);
        response->receiver_next_tsn = wire_get_u32(parameter->value + 12);
    }
    return true;
}

void reconfig_response_write(struct packet_writer *writer,
                             const struct sctp_reconfig_response *response)
{
    size_t start = parameter_begin(writer, SCTP_PARAMETER_RE_CONFIG_RESPONSE);

    packet_write_u32(writer, response->response_number);
    packet_write_u32(writer, response->result);
    if (response->has_tsns) {
        packet_write_u32(writer, response->sender_next_tsn);
        packet_write_u32(writer, response->receiver_next_tsn);
    }
    parameter_end(writer, start);
}

bool add_streams_request_read(const struct sctp_parameter *parameter,
                              struct sctp_add_streams_request *request)
{
    if (parameter->value_length != 8)
        return false;
    request->request_number = wire_get_u32(parameter->value);
    request->count = wire_get_u16(parameter->value + 4);
    return true;
}

void add_streams_request_write(struct packet_writer *writer, uint16_t type,
                               const struct sctp_add_streams_request *request)
{
    size_t start = parameter_begin(writer, type);

    packet_write_u32(writer, request->request_number);
    packet_write_u16(writer, request->count);
    packet_write_u16(writer, 0);
    parameter_end(writer, start);
}
