/*
 * Parameters and error causes: what stands in chunks as type, length and value.
 *
 * RFC 9260 section 3.2.1 (parameter format), section 3.3.2.1 and 3.3.3.1 (parameters of INIT and
 * INIT ACK), section 3.3.10 (error causes). RFC 3758 section 3.1 (partial reliability), RFC 4895
 * section 3 and 4.1 (authentication), RFC 5061 section 4 (address reconfiguration), RFC 6525
 * section 4 (stream reconfiguration), RFC 9653 (zero checksum).
 *
 * A parameter and an error cause have the same form, and the same struct and iterator; of a cause,
 * `type` is the cause code. The readers take one of the right type, and return false if it is
 * malformed. Parameters without a reader are a sequence of bytes, or empty: their value says all,
 * and parameter_write() of writer.h writes them.
 */
#ifndef PACKET_PARAMETER_H
#define PACKET_PARAMETER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "braid/address.h"
#include "packet/packet.h"
#include "packet/wire.h"
#include "packet/writer.h"

#define SCTP_PARAMETER_HEADER_LENGTH 4

enum sctp_parameter_type {
    SCTP_PARAMETER_HEARTBEAT_INFO = 1,
    SCTP_PARAMETER_IPV4_ADDRESS = 5,
    SCTP_PARAMETER_IPV6_ADDRESS = 6,
    SCTP_PARAMETER_STATE_COOKIE = 7,
    SCTP_PARAMETER_UNRECOGNIZED = 8,
    SCTP_PARAMETER_COOKIE_PRESERVATIVE = 9,
    SCTP_PARAMETER_HOST_NAME_ADDRESS = 11,
    SCTP_PARAMETER_SUPPORTED_ADDRESS_TYPES = 12,
    SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST = 13, /* RFC 6525 */
    SCTP_PARAMETER_INCOMING_SSN_RESET_REQUEST = 14,
    SCTP_PARAMETER_SSN_TSN_RESET_REQUEST = 15,
    SCTP_PARAMETER_RE_CONFIG_RESPONSE = 16,
    SCTP_PARAMETER_ADD_OUTGOING_STREAMS_REQUEST = 17,
    SCTP_PARAMETER_ADD_INCOMING_STREAMS_REQUEST = 18,
    SCTP_PARAMETER_ECN = 0x8000,
    SCTP_PARAMETER_ZERO_CHECKSUM = 0x8001,         /* RFC 9653 */
    SCTP_PARAMETER_RANDOM = 0x8002,                /* RFC 4895 */
    SCTP_PARAMETER_CHUNK_LIST = 0x8003,            /* RFC 4895 */
    SCTP_PARAMETER_HMAC_ALGORITHM = 0x8004,        /* RFC 4895 */
    SCTP_PARAMETER_PADDING = 0x8005,               /* RFC 4820 */
    SCTP_PARAMETER_SUPPORTED_EXTENSIONS = 0x8008,  /* RFC 5061 */
    SCTP_PARAMETER_FORWARD_TSN_SUPPORTED = 0xc000, /* RFC 3758 */
    SCTP_PARAMETER_ADD_IP = 0xc001,                /* RFC 5061, as all that follow */
    SCTP_PARAMETER_DELETE_IP = 0xc002,
    SCTP_PARAMETER_ERROR_CAUSE_INDICATION = 0xc003,
    SCTP_PARAMETER_SET_PRIMARY = 0xc004,
    SCTP_PARAMETER_SUCCESS_INDICATION = 0xc005,
    SCTP_PARAMETER_ADAPTATION_LAYER_INDICATION = 0xc006,
};

enum sctp_cause_code {
    SCTP_CAUSE_INVALID_STREAM_IDENTIFIER = 1,
    SCTP_CAUSE_MISSING_MANDATORY_PARAMETER = 2,
    SCTP_CAUSE_STALE_COOKIE = 3,
    SCTP_CAUSE_OUT_OF_RESOURCE = 4,
    SCTP_CAUSE_UNRESOLVABLE_ADDRESS = 5,
    SCTP_CAUSE_UNRECOGNIZED_CHUNK_TYPE = 6,
    SCTP_CAUSE_INVALID_MANDATORY_PARAMETER = 7,
    SCTP_CAUSE_UNRECOGNIZED_PARAMETERS = 8,
    SCTP_CAUSE_NO_USER_DATA = 9,
    SCTP_CAUSE_COOKIE_WHILE_SHUTTING_DOWN = 10,
    SCTP_CAUSE_RESTART_WITH_NEW_ADDRESSES = 11,
    SCTP_CAUSE_USER_INITIATED_ABORT = 12,
    SCTP_CAUSE_PROTOCOL_VIOLATION = 13,
    SCTP_CAUSE_DELETE_LAST_ADDRESS = 0x00a0, /* RFC 5061 section 4.3 */
    SCTP_CAUSE_RESOURCE_SHORTAGE = 0x00a1,
    SCTP_CAUSE_DELETE_SOURCE_ADDRESS = 0x00a2,
    SCTP_CAUSE_ILLEGAL_ASCONF_ACK = 0x00a3,
    SCTP_CAUSE_NO_AUTHORIZATION = 0x00a4,
    SCTP_CAUSE_UNSUPPORTED_HMAC = 0x0105, /* RFC 4895 section 4.1 */
};

/* A parameter or an error cause within a chunk. */
struct sctp_parameter {
    uint16_t type;         /* of an error cause: the cause code */
    uint16_t length;       /* as on the wire: with the header, without the padding */
    uint16_t value_length; /* length - SCTP_PARAMETER_HEADER_LENGTH */
    const uint8_t *bytes;  /* the parameter, its header included */
    const uint8_t *value;  /* what follows the header */
};

/* The walk over a sequence of parameters, or of error causes. */
struct parameter_iterator {
    const uint8_t *position;
    const uint8_t *end;
    bool malformed; /* the walk ended early: a length that cannot be, or scraps at the end */
};

/* Starts the walk over `length` bytes of parameters. */
void parameter_iterator_init(struct parameter_iterator *iterator, const uint8_t *bytes,
                             size_t length);

/*
 * Gives the next parameter. False at the end, or where the rest makes no sense: then `malformed`
 * is set. That the padding of the last parameter is missing is forgiven.
 */
bool parameter_next(struct parameter_iterator *iterator, struct sctp_parameter *parameter);

/* What to do with a parameter type that is not known (RFC 9260 section 3.2.1). */
static inline struct sctp_unknown_action parameter_unknown_action(uint16_t type)
{
    return (struct sctp_unknown_action){.stop = !(type & 0x8000), .report = type & 0x4000};
}

/*
 * IPv4 Address and IPv6 Address (RFC 9260 section 3.3.2.1.1 and 3.3.2.1.2). The type goes with the
 * address's family. The reader does not judge the address, nor normalise it.
 */
bool address_parameter_read(const struct sctp_parameter *parameter, struct braid_address *address);
void address_parameter_write(struct packet_writer *writer, const struct braid_address *address);

/* Supported Address Types (RFC 9260 section 3.3.2.1.5). Types that are not known are passed over.
 */
struct sctp_supported_address_types {
    bool ipv4;
    bool ipv6;
};
bool supported_address_types_read(const struct sctp_parameter *parameter,
                                  struct sctp_supported_address_types *types);
void supported_address_types_write(struct packet_writer *writer,
                                   const struct sctp_supported_address_types *types);

/* Cookie Preservative (RFC 9260 section 3.3.2.1.3): the longer life asked for, in milliseconds. */
bool cookie_preservative_read(const struct sctp_parameter *parameter, uint32_t *increment);
void cookie_preservative_write(struct packet_writer *writer, uint32_t increment);

/* Adaptation Layer Indication (RFC 5061 section 4.2.6): the adaptation code point. */
bool adaptation_layer_indication_read(const struct sctp_parameter *parameter, uint32_t *code_point);
void adaptation_layer_indication_write(struct packet_writer *writer, uint32_t code_point);

/* Zero Checksum Acceptable (RFC 9653 section 4): the alternate error detection method. */
bool zero_checksum_read(const struct sctp_parameter *parameter, uint32_t *error_detection_method);
void zero_checksum_write(struct packet_writer *writer, uint32_t error_detection_method);

/*
 * Supported Extensions (RFC 5061 section 4.2.7) and Chunk List (RFC 4895 section 3.2) are lists of
 * chunk types, a byte each: parameter_write() writes them. This asks whether a type is in one.
 */
bool chunk_types_contain(const struct sctp_parameter *parameter, uint8_t chunk_type);

/* HMAC Algorithm (RFC 4895 section 3.3): identifiers in the sender's order of preference. */
bool hmac_algorithm_read(const struct sctp_parameter *parameter, size_t *count);
uint16_t hmac_algorithm_get(const struct sctp_parameter *parameter, size_t index);
void hmac_algorithm_write(struct packet_writer *writer, const uint16_t *identifiers, size_t count);

/*
 * Add IP Address, Delete IP Address and Set Primary IP Address (RFC 5061 section 4.2.1, 4.2.2 and
 * 4.2.4); `type` says which one to write. The address may be unspecified: then the source address
 * of the packet is meant.
 */
struct sctp_address_request {
    uint32_t correlation_id;
    struct braid_address address;
};
/* The correlation ID alone, of a request of any type. */
bool correlation_id_read(const struct sctp_parameter *parameter, uint32_t *correlation_id);
bool address_request_read(const struct sctp_parameter *parameter,
                          struct sctp_address_request *request);
void address_request_write(struct packet_writer *writer, uint16_t type,
                           const struct sctp_address_request *request);

/* Error Cause Indication (RFC 5061 section 4.2.3): why a request was refused. */
struct sctp_error_cause_indication {
    uint32_t correlation_id;
    const uint8_t *causes; /* for parameter_iterator_init() */
    uint16_t causes_length;
};
bool error_cause_indication_read(const struct sctp_parameter *parameter,
                                 struct sctp_error_cause_indication *indication);
/* Begins one; error causes follow, then parameter_end(). */
size_t error_cause_indication_begin(struct packet_writer *writer, uint32_t correlation_id);

/* Success Indication (RFC 5061 section 4.2.5). */
bool success_indication_read(const struct sctp_parameter *parameter, uint32_t *correlation_id);
void success_indication_write(struct packet_writer *writer, uint32_t correlation_id);

/* Invalid Stream Identifier (RFC 9260 section 3.3.10.1). */
bool invalid_stream_identifier_read(const struct sctp_parameter *cause, uint16_t *stream);
void invalid_stream_identifier_write(struct packet_writer *writer, uint16_t stream);

/* Missing Mandatory Parameter (RFC 9260 section 3.3.10.2): the types of those that are missing. */
bool missing_mandatory_parameter_read(const struct sctp_parameter *cause, size_t *count);
uint16_t missing_mandatory_parameter_get(const struct sctp_parameter *cause, size_t index);
void missing_mandatory_parameter_write(struct packet_writer *writer, const uint16_t *types,
                                       size_t count);

/* Stale Cookie (RFC 9260 section 3.3.10.3): how stale, in microseconds. */
bool stale_cookie_read(const struct sctp_parameter *cause, uint32_t *staleness);
void stale_cookie_write(struct packet_writer *writer, uint32_t staleness);

/* Unresolvable Address (RFC 9260 section 3.3.10.5): the address parameter, whatever its type. */
bool unresolvable_address_read(const struct sctp_parameter *cause, struct sctp_parameter *address);
void unresolvable_address_write(struct packet_writer *writer, const struct sctp_parameter *address);

/* Unrecognized Chunk Type (RFC 9260 section 3.3.10.6): the chunk, as it came. */
bool unrecognized_chunk_type_read(const struct sctp_parameter *cause, struct sctp_chunk *chunk);
void unrecognized_chunk_type_write(struct packet_writer *writer, const struct sctp_chunk *chunk);

/* No User Data (RFC 9260 section 3.3.10.9): the TSN of the empty DATA chunk. */
bool no_user_data_read(const struct sctp_parameter *cause, uint32_t *tsn);
void no_user_data_write(struct packet_writer *writer, uint32_t tsn);

/*
 * Restart of an Association with New Addresses (RFC 9260 section 3.3.10.11): its value is a
 * sequence of address parameters, for parameter_iterator_init() and address_parameter_read().
 */
void restart_with_new_addresses_write(struct packet_writer *writer,
                                      const struct braid_address *addresses, size_t count);

/*
 * Why an address request was refused (RFC 5061 section 4.3.1, 4.3.2, 4.3.3 and 4.3.5): `code` is
 * SCTP_CAUSE_DELETE_LAST_ADDRESS or the like, `request` the parameter of the ASCONF, as it came.
 */
bool refused_request_read(const struct sctp_parameter *cause, struct sctp_parameter *request);
void refused_request_write(struct packet_writer *writer, uint16_t code,
                           const struct sctp_parameter *request);

/* Unsupported HMAC Identifier (RFC 4895 section 4.1). */
bool unsupported_hmac_read(const struct sctp_parameter *cause, uint16_t *identifier);
void unsupported_hmac_write(struct packet_writer *writer, uint16_t identifier);

#endif
