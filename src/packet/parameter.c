/*
 * Parameters and error causes: what stands in chunks as type, length and value.
 *
 * RFC 9260 section 3.2.1 (parameter format), section 3.3.2.1 and 3.3.3.1 (parameters of INIT and
 * INIT ACK), section 3.3.10 (error causes). RFC 4895 section 3 and 4 (authentication), RFC 5061
 * section 4 (address reconfiguration), RFC 9653 (zero checksum).
 */
#include "packet/parameter.h"

#define IPV4_LENGTH 4
#define IPV6_LENGTH 16

void parameter_iterator_init(struct parameter_iterator *iterator, const uint8_t *bytes,
                             size_t length)
{
    *iterator = (struct parameter_iterator){.position = bytes, .end = bytes};
    if (length > 0) /* nothing is to be added to NULL */
        iterator->end += length;
}

bool parameter_next(struct parameter_iterator *iterator, struct sctp_parameter *parameter)
{
    const uint8_t *bytes = iterator->position;
    size_t left = (size_t)(iterator->end - bytes);
    size_t padded;

    if (left == 0 || iterator->malformed)
        return false;
    if (left < SCTP_PARAMETER_HEADER_LENGTH) {
        iterator->malformed = true;
        return false;
    }
    parameter->type = wire_get_u16(bytes);
    parameter->length = wire_get_u16(bytes + 2);
    if (parameter->length < SCTP_PARAMETER_HEADER_LENGTH || parameter->length > left) {
        iterator->malformed = true;
        return false;
    }
    parameter->value_length = (uint16_t)(parameter->length - SCTP_PARAMETER_HEADER_LENGTH);
    parameter->bytes = bytes;
    parameter->value = bytes + SCTP_PARAMETER_HEADER_LENGTH;
    padded = wire_padded(parameter->length);
    iterator->position += padded < left ? padded : left;
    return true;
}

/* A parameter or an error cause that is one 16-bit integer. */
static bool read_u16(const struct sctp_parameter *parameter, uint16_t *value)
{
    if (parameter->value_length < 2)
        return false;
    *value = wire_get_u16(parameter->value);
    return true;
}

static void write_u16(struct packet_writer *writer, uint16_t type, uint16_t value)
{
    size_t start = parameter_begin(writer, type);

    packet_write_u16(writer, value);
    parameter_end(writer, start);
}

/* A parameter or an error cause that is one 32-bit integer. */
static bool read_u32(const struct sctp_parameter *parameter, uint32_t *value)
{
    if (parameter->value_length < 4)
        return false;
    *value = wire_get_u32(parameter->value);
    return true;
}

static void write_u32(struct packet_writer *writer, uint16_t type, uint32_t value)
{
    size_t start = parameter_begin(writer, type);

    packet_write_u32(writer, value);
    parameter_end(writer, start);
}

bool address_parameter_read(const struct sctp_parameter *parameter, struct braid_address *address)
{
    if (parameter->type == SCTP_PARAMETER_IPV4_ADDRESS && parameter->value_length == IPV4_LENGTH)
        *address = braid_address_ipv4(parameter->value);
    else if (parameter->type == SCTP_PARAMETER_IPV6_ADDRESS &&
             parameter->value_length == IPV6_LENGTH)
        *address = braid_address_ipv6(parameter->value, 0);
    else
        return false;
    return true;
}

void address_parameter_write(struct packet_writer *writer, const struct braid_address *address)
{
    if (address->family == BRAID_IPV4)
        parameter_write(writer, SCTP_PARAMETER_IPV4_ADDRESS, address->bytes, IPV4_LENGTH);
    else
        parameter_write(writer, SCTP_PARAMETER_IPV6_ADDRESS, address->bytes, IPV6_LENGTH);
}

bool supported_address_types_read(const struct sctp_parameter *parameter,
                                  struct sctp_supported_address_types *types)
{
    *types = (struct sctp_supported_address_types){0};
    if (parameter->value_length % 2 != 0)
        return false;
    for (size_t i = 0; i < parameter->value_length; i += 2) {
        uint16_t type = wire_get_u16(parameter->value + i);

        types->ipv4 |= type == SCTP_PARAMETER_IPV4_ADDRESS;
        types->ipv6 |= type == SCTP_PARAMETER_IPV6_ADDRESS;
    }
    return true;
}

void supported_address_types_write(struct packet_writer *writer,
                                   const struct sctp_supported_address_types *types)
{
    size_t start = parameter_begin(writer, SCTP_PARAMETER_SUPPORTED_ADDRESS_TYPES);

    if (types->ipv4)
        packet_write_u16(writer, SCTP_PARAMETER_IPV4_ADDRESS);
    if (types->ipv6)
        packet_write_u16(writer, SCTP_PARAMETER_IPV6_ADDRESS);
    parameter_end(writer, start);
}

bool cookie_preservative_read(const struct sctp_parameter *parameter, uint32_t *increment)
{
    return read_u32(parameter, increment);
}

void cookie_preservative_write(struct packet_writer *writer, uint32_t increment)
{
    write_u32(writer, SCTP_PARAMETER_COOKIE_PRESERVATIVE, increment);
}

bool adaptation_layer_indication_read(const struct sctp_parameter *parameter, uint32_t *code_point)
{
    return read_u32(parameter, code_point);
}

void adaptation_layer_indication_write(struct packet_writer *writer, uint32_t code_point)
{
    write_u32(writer, SCTP_PARAMETER_ADAPTATION_LAYER_INDICATION, code_point);
}

bool zero_checksum_read(const struct sctp_parameter *parameter, uint32_t *error_detection_method)
{
    return read_u32(parameter, error_detection_method);
}

void zero_checksum_write(struct packet_writer *writer, uint32_t error_detection_method)
{
    write_u32(writer, SCTP_PARAMETER_ZERO_CHECKSUM, error_detection_method);
}

bool chunk_types_contain(const struct sctp_parameter *parameter, uint8_t chunk_type)
{
    return parameter->value_length > 0 &&
           memchr(parameter->value, chunk_type, parameter->value_length) != NULL;
}

bool hmac_algorithm_read(const struct sctp_parameter *parameter, size_t *count)
{
    *count = parameter->value_length / 2;
    return parameter->value_length % 2 == 0;
}

uint16_t hmac_algorithm_get(const struct sctp_parameter *parameter, size_t index)
{
    return wire_get_u16(parameter->value + index * 2);
}

void hmac_algorithm_write(struct packet_writer *writer, const uint16_t *identifiers, size_t count)
{
    size_t start = parameter_begin(writer, SCTP_PARAMETER_HMAC_ALGORITHM);

    for (size_t i = 0; i < count; i++)
        packet_write_u16(writer, identifiers[i]);
    parameter_end(writer, start);
}

bool correlation_id_read(const struct sctp_parameter *parameter, uint32_t *correlation_id)
{
    return read_u32(parameter, correlation_id);
}

bool address_request_read(const struct sctp_parameter *parameter,
                          struct sctp_address_request *request)
{
    struct parameter_iterator iterator;
    struct sctp_parameter address;

    if (parameter->value_length < 4)
        return false;
    request->correlation_id = wire_get_u32(parameter->value);
    parameter_iterator_init(&iterator, parameter->value + 4, parameter->value_length - 4U);
    return parameter_next(&iterator, &address) &&
           address_parameter_read(&address, &request->address);
}

void address_request_write(struct packet_writer *writer, uint16_t type,
                           const struct sctp_address_request *request)
{
    size_t start = parameter_begin(writer, type);

    packet_write_u32(writer, request->correlation_id);
    address_parameter_write(writer, &request->address);
    parameter_end(writer, start);
}

bool error_cause_indication_read(const struct sctp_parameter *parameter,
                                 struct sctp_error_cause_indication *indication)
{
    if (parameter->value_length < 4)
        return false;
    indication->correlation_id = wire_get_u32(parameter->value);
    indication->causes = parameter->value + 4;
    indication->causes_length = (uint16_t)(parameter->value_length - 4);
    return true;
}

size_t error_cause_indication_begin(struct packet_writer *writer, uint32_t correlation_id)
{
    size_t start = parameter_begin(writer, SCTP_PARAMETER_ERROR_CAUSE_INDICATION);

    packet_write_u32(writer, correlation_id);
    return start;
}

bool success_indication_read(const struct sctp_parameter *parameter, uint32_t *correlation_id)
{
    return read_u32(parameter, correlation_id);
}

void success_indication_write(struct packet_writer *writer, uint32_t correlation_id)
{
    write_u32(writer, SCTP_PARAMETER_SUCCESS_INDICATION, correlation_id);
}

bool invalid_stream_identifier_read(const struct sctp_parameter *cause, uint16_t *stream)
{
    return read_u16(cause, stream);
}

void invalid_stream_identifier_write(struct packet_writer *writer, uint16_t stream)
{
    size_t start = parameter_begin(writer, SCTP_CAUSE_INVALID_STREAM_IDENTIFIER);

    packet_write_u16(writer, stream);
    packet_write_u16(writer, 0); /* reserved */
    parameter_end(writer, start);
}

bool missing_mandatory_parameter_read(const struct sctp_parameter *cause, size_t *count)
{
    if (cause->value_length < 4)
        return false;
    *count = wire_get_u32(cause->value);
    return *count <= (cause->value_length - 4U) / 2;
}

uint16_t missing_mandatory_parameter_get(const struct sctp_parameter *cause, size_t index)
{
    return wire_get_u16(cause->value + 4 + index * 2);
}

void missing_mandatory_parameter_write(struct packet_writer *writer, const uint16_t *types,
                                       size_t count)
{
    size_t start = parameter_begin(writer, SCTP_CAUSE_MISSING_MANDATORY_PARAMETER);

    packet_write_u32(writer, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        packet_write_u16(writer, types[i]);
    parameter_end(writer, start);
}

bool stale_cookie_read(const struct sctp_parameter *cause, uint32_t *staleness)
{
    return read_u32(cause, staleness);
}

void stale_cookie_write(struct packet_writer *writer, uint32_t staleness)
{
    write_u32(writer, SCTP_CAUSE_STALE_COOKIE, staleness);
}

/* The parameter that an error cause quotes. */
static bool read_quoted(const struct sctp_parameter *cause, struct sctp_parameter *quoted)
{
    struct parameter_iterator iterator;

    parameter_iterator_init(&iterator, cause->value, cause->value_length);
    return parameter_next(&iterator, quoted);
}

bool unresolvable_address_read(const struct sctp_parameter *cause, struct sctp_parameter *address)
{
    return read_quoted(cause, address);
}

void unresolvable_address_write(struct packet_writer *writer, const struct sctp_parameter *address)
{
    parameter_write(writer, SCTP_CAUSE_UNRESOLVABLE_ADDRESS, address->bytes, address->length);
}

bool unrecognized_chunk_type_read(const struct sctp_parameter *cause, struct sctp_chunk *chunk)
{
    struct chunk_iterator iterator = {.position = cause->value,
                                      .end = cause->value + cause->value_length};

    return chunk_next(&iterator, chunk);
}

void unrecognized_chunk_type_write(struct packet_writer *writer, const struct sctp_chunk *chunk)
{
    parameter_write(writer, SCTP_CAUSE_UNRECOGNIZED_CHUNK_TYPE, chunk->bytes, chunk->length);
}

bool no_user_data_read(const struct sctp_parameter *cause, uint32_t *tsn)
{
    return read_u32(cause, tsn);
}

void no_user_data_write(struct packet_writer *writer, uint32_t tsn)
{
    write_u32(writer, SCTP_CAUSE_NO_USER_DATA, tsn);
}

void restart_with_new_addresses_write(struct packet_writer *writer,
                                      const struct braid_address *addresses, size_t count)
{
    size_t start = parameter_begin(writer, SCTP_CAUSE_RESTART_WITH_NEW_ADDRESSES);

    for (size_t i = 0; i < count; i++)
        address_parameter_write(writer, &addresses[i]);
    parameter_end(writer, start);
}

bool refused_request_read(const struct sctp_parameter *cause, struct sctp_parameter *request)
{
    return read_quoted(cause, request);
}

void refused_request_write(struct packet_writer *writer, uint16_t code,
                           const struct sctp_parameter *request)
{
    parameter_write(writer, code, request->bytes, request->length);
}

bool unsupported_hmac_read(const struct sctp_parameter *cause, uint16_t *identifier)
{
    return read_u16(cause, identifier);
}

void unsupported_hmac_write(struct packet_writer *writer, uint16_t identifier)
{
    write_u16(writer, SCTP_CAUSE_UNSUPPORTED_HMAC, identifier);
}
