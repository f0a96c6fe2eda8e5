/*
 * The parameters of RE-CONFIG: requests to reset or to add streams, and the responses to them.
 *
 * RFC 6525 section 3.1 (the chunk), section 4 (its parameters). The chunk has no fixed part: one or
 * two parameters follow its header. Readers and writers are as in parameter.h.
 */
#ifndef PACKET_RECONFIG_H
#define PACKET_RECONFIG_H

#include "packet/parameter.h"

/* Outgoing SSN Reset Request (RFC 6525 section 4.1) and Incoming SSN Reset Request (4.2). */
struct sctp_ssn_reset_request {
    uint32_t request_number;
    uint32_t response_number; /* of an outgoing one alone: the request that it answers */
    uint32_t last_tsn;        /* the same: Sender's Last Assigned TSN */
    size_t stream_count;      /* 0: all streams */
    const uint8_t *streams;   /* as on the wire: ssn_reset_stream() reads one */
};

bool ssn_reset_request_read(const struct sctp_parameter *parameter,
                            struct sctp_ssn_reset_request *request);
static inline uint16_t ssn_reset_stream(const struct sctp_ssn_reset_request *request, size_t index)
{
    return wire_get_u16(request->streams + 2 * index);
}
/* `type` says which of the two; `request->streams` is not looked at. */
void ssn_reset_request_write(struct packet_writer *writer, uint16_t type,
                             const struct sctp_ssn_reset_request *request, const uint16_t *streams);

/* SSN/TSN Reset Request (RFC 6525 section 4.3): its request number. */
bool ssn_tsn_reset_request_read(const struct sctp_parameter *parameter, uint32_t *request_number);
void ssn_tsn_reset_request_write(struct packet_writer *writer, uint32_t request_number);

enum sctp_reconfig_result {
    SCTP_RECONFIG_NOTHING_TO_DO = 0,
    SCTP_RECONFIG_PERFORMED = 1,
    SCTP_RECONFIG_DENIED = 2,
    SCTP_RECONFIG_WRONG_SSN = 3,
    SCTP_RECONFIG_REQUEST_IN_PROGRESS = 4, /* another one */
    SCTP_RECONFIG_BAD_SEQUENCE_NUMBER = 5,
    SCTP_RECONFIG_IN_PROGRESS = 6, /* this one */
};

/* Re-configuration Response (RFC 6525 section 4.4). */
struct sctp_reconfig_response {
    uint32_t response_number;
    uint32_t result; /* enum sctp_reconfig_result */
    bool has_tsns;   /* in answer to an SSN/TSN reset */
    uint32_t sender_next_tsn, receiver_next_tsn;
};
bool reconfig_response_read(const struct sctp_parameter *parameter,
                            struct sctp_reconfig_response *response);
void reconfig_response_write(struct packet_writer *writer,
                             const struct sctp_reconfig_response *response);

/* Add Outgoing Streams Request (RFC 6525 section 4.5) and Add Incoming Streams Request (4.6);
 * `type` says which one to write. */
struct sctp_add_streams_request {
    uint32_t request_number;
    uint16_t count;
};
bool add_streams_request_read(const struct sctp_parameter *parameter,
                              struct sctp_add_streams_request *request);
void add_streams_request_write(struct packet_writer *writer, uint16_t type,
                               const struct sctp_add_streams_request *request);

#endif
