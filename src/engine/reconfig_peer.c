/*
 * Stream reconfiguration, the side that is asked.
 *
 * RFC 6525, section 5.2 (receiver side procedures). Which requests are permitted, and what is
 * refused while a request of our own is outstanding, is as on Linux; but that both sides reset
 * their outgoing streams, or add some, at the same time, is no reason to refuse, nor is it that the
 * peer asks for what we are doing.
 */
#include <stdlib.h>

#include "engine/private.h"

#define RESPONSES_LENGTH_MAXIMUM 44 /* of a RE-CONFIG with two of them */

/* ---- Sequence numbers: 5.2.1 ---- */

static void respond(struct reconfig *reconfig, uint32_t number, uint32_t result)
{
    if (reconfig->response_count < RECONFIG_REQUESTS)
        reconfig->responses[reconfig->response_count++] =
            (struct sctp_reconfig_response){.response_number = number, .result = result};
}

/* The expected request is acted upon, and may be repeated. */
static void conclude(struct reconfig *reconfig, uint32_t result)
{
    reconfig->results[1] = reconfig->results[0];
    reconfig->results[0] = result;
    reconfig->expected_number++;
}

static void conclude_and_respond(struct reconfig *reconfig, uint32_t result)
{
    respond(reconfig, reconfig->expected_number, result);
    conclude(reconfig, result);
}

/* What was answered to an earlier request; NULL: that is too long ago, or it never came. */
static uint32_t *earlier_result(struct reconfig *reconfig, uint32_t number)
{
    uint32_t ago = reconfig->expected_number - 1 - number;

    return ago < RECONFIG_RESULTS ? &reconfig->results[ago] : NULL;
}

/* True if it is the next request. If not, it is answered; `by_request`: by silence if it was
 * performed, since a request of ours is the answer. */
static bool is_next(struct reconfig *reconfig, uint32_t number, bool by_request)
{
    const uint32_t *result = earlier_result(reconfig, number);

    if (number == reconfig->expected_number)
        return true;
    if (!result)
        respond(reconfig, number, SCTP_RECONFIG_BAD_SEQUENCE_NUMBER);
    else if (!by_request || *result != SCTP_RECONFIG_PERFORMED)
        respond(reconfig, number, *result);
    return false;
}

static bool is_permitted(const struct reconfig *reconfig, enum braid_reconfig_kind kind)
{
    return reconfig->association->parameters.reconfig_permitted & kind;
}

/* ---- Resets: 5.2.2 to 5.2.4 ---- */

/* The streams of a request. NULL: none are listed, or there is no memory. */
static uint16_t *list_streams(const struct sctp_ssn_reset_request *request)
{
    uint16_t *streams =
        request->stream_count ? malloc(request->stream_count * sizeof(*streams)) : NULL;

    for (size_t i = 0; streams && i < request->stream_count; i++)
        streams[i] = ssn_reset_stream(request, i);
    return streams;
}

static bool streams_exist(const struct sctp_ssn_reset_request *request, uint16_t limit)
{
    for (size_t i = 0; i < request->stream_count; i++) {
        if (ssn_reset_stream(request, i) >= limit)
            return false;
    }
    return true;
}

static void perform_reset(struct sctp_association *association, const uint16_t *streams,
                          size_t count)
{
    reassembly_restart_streams(association, streams, count);
    reconfig_tell_streams(association, BRAID_RECONFIG_PERFORMED, true, streams, count);
}

/* E1 to E4. */
static void receive_outgoing_reset(struct reconfig *reconfig,
                                   const struct sctp_parameter *parameter)
{
    struct sctp_association *association = reconfig->association;
    struct sctp_ssn_reset_request request;
    struct reconfig_request *asked;
    uint16_t *streams;

    if (!ssn_reset_request_read(parameter, &request) ||
        !is_next(reconfig, request.request_number, false))
        return;
    if (!is_permitted(reconfig, BRAID_RECONFIG_STREAMS)) {
        conclude_and_respond(reconfig, SCTP_RECONFIG_DENIED);
        return;
    }
    if (!streams_exist(&request, association->inbound_streams)) {
        conclude_and_respond(reconfig, SCTP_RECONFIG_WRONG_SSN);
        return;
    }
    if (reconfig->deferred.waits) {
        conclude_and_respond(reconfig, SCTP_RECONFIG_REQUEST_IN_PROGRESS);
        return;
    }
    streams = list_streams(&request);
    if (request.stream_count > 0 && !streams)
        return; /* as if it had been lost */
    asked = reconfig_find_request(reconfig, SCTP_PARAMETER_INCOMING_SSN_RESET_REQUEST);
    if (asked && asked->number == request.response_number)
        reconfig_end_request(reconfig, asked);
    if (tsn_before(association->receiver.cumulative_tsn, request.last_tsn)) {
        reconfig->deferred = (struct reconfig_deferred){
            .waits = true,
            .number = request.request_number,
            .last_tsn = request.last_tsn,
            .streams = streams,
            .count = request.stream_count,
        };
        conclude_and_respond(reconfig, SCTP_RECONFIG_IN_PROGRESS);
        return;
    }
    perform_reset(association, streams, request.stream_count);
    free(streams);
    conclude_and_respond(reconfig, SCTP_RECONFIG_PERFORMED);
}

/* Our request of the same is under way already. */
static bool is_being_reset(struct reconfig *reconfig, const struct sctp_ssn_reset_request *request)
{
    const struct reconfig_request *ours =
        reconfig_find_request(reconfig, SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST);

    if (!ours || (request->stream_count == 0 && ours->count > 0))
        return false;
    for (size_t i = 0; i < request->stream_count; i++) {
        if (!reconfig_covers(ours, ssn_reset_stream(request, i)))
            return false;
    }
    return true;
}

/* The answer is an outgoing reset of our own. */
static void receive_incoming_reset(struct reconfig *reconfig,
                                   const struct sctp_parameter *parameter)
{
    struct sctp_association *association = reconfig->association;
    struct sctp_ssn_reset_request request;
    uint16_t *streams;

    if (!ssn_reset_request_read(parameter, &request) ||
        !is_next(reconfig, request.request_number, true))
        return;
    if (!is_permitted(reconfig, BRAID_RECONFIG_STREAMS)) {
        conclude_and_respond(reconfig, SCTP_RECONFIG_DENIED);
        return;
    }
    if (reconfig_is_outstanding(reconfig)) {
        conclude_and_respond(reconfig, is_being_reset(reconfig, &request)
                                           ? SCTP_RECONFIG_NOTHING_TO_DO
                                           : SCTP_RECONFIG_REQUEST_IN_PROGRESS);
        return;
    }
    if (!streams_exist(&request, association->outbound_streams)) {
        conclude_and_respond(reconfig, SCTP_RECONFIG_WRONG_SSN);
        return;
    }
    streams = list_streams(&request);
    if (request.stream_count > 0 && !streams)
        return;
    if (reconfig_must_wait(association, streams, request.stream_count)) {
        free(streams);
        respond(reconfig, request.request_number, SCTP_RECONFIG_IN_PROGRESS);
        return;
    }
    conclude(reconfig, SCTP_RECONFIG_PERFORMED);
    reconfig_add_request(reconfig, &(struct reconfig_request){
                                       .type = SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST,
                                       .response_number = request.request_number,
                                       .last_tsn = association->sender.next_tsn - 1,
                                       .count = (uint16_t)request.stream_count,
                                       .streams = streams,
                                   });
}

/* G1 to G5. What we have sent must have arrived before. */
static void receive_association_reset(struct reconfig *reconfig,
                                      const struct sctp_parameter *parameter)
{
    struct sctp_association *association = reconfig->association;
    uint8_t index = reconfig->response_count;
    uint32_t number, next_received, next_sent = association->sender.next_tsn;

    if (!ssn_tsn_reset_request_read(parameter, &number))
        return;
    if (!is_next(reconfig, number, false)) {
        /* nothing that could change them is done before the peer has the answer */
        next_received = association->receiver.cumulative_tsn + 1;
    } else if (!is_permitted(reconfig, BRAID_RECONFIG_ASSOCIATION)) {
        conclude_and_respond(reconfig, SCTP_RECONFIG_DENIED);
        return;
    } else if (reconfig_is_outstanding(reconfig)) {
        conclude_and_respond(reconfig, SCTP_RECONFIG_REQUEST_IN_PROGRESS);
        return;
    } else if (!sender_is_empty(&association->sender)) {
        respond(reconfig, number, SCTP_RECONFIG_IN_PROGRESS);
        return;
    } else {
        next_received = association->receiver.cumulative_tsn + (1u << 31);
        reconfig_restart_numbers(association, next_sent, next_received);
        reconfig_tell_association(association, BRAID_RECONFIG_PERFORMED, next_sent, next_received);
        conclude_and_respond(reconfig, SCTP_RECONFIG_PERFORMED);
    }
    if (reconfig->response_count > index &&
        reconfig->responses[index].result == SCTP_RECONFIG_PERFORMED) {
        reconfig->responses[index].has_tsns = true;
        reconfig->responses[index].sender_next_tsn = association->sender.cumulative_tsn_ack + 1;
        reconfig->responses[index].receiver_next_tsn = next_received;
    }
}

/* ---- More streams: 5.2.5, 5.2.6 ---- */

static bool may_add(uint16_t now, uint16_t count)
{
    return count > 0 && (uint32_t)now + count <= STREAMS_MAXIMUM;
}

static void receive_add_outgoing(struct reconfig *reconfig, const struct sctp_parameter *parameter)
{
    struct sctp_association *association = reconfig->association;
    struct sctp_add_streams_request request;
    struct reconfig_request *asked;

    if (!add_streams_request_read(parameter, &request) ||
        !is_next(reconfig, request.request_number, false))
        return;
    if (!is_permitted(reconfig, BRAID_RECONFIG_ADD_STREAMS) ||
        !may_add(association->inbound_streams, request.count)) {
        conclude_and_respond(reconfig, SCTP_RECONFIG_DENIED);
        return;
    }
    asked = reconfig_find_request(reconfig, SCTP_PARAMETER_ADD_INCOMING_STREAMS_REQUEST);
    if (asked)
        reconfig_end_request(reconfig, asked);
    association->inbound_streams = (uint16_t)(association->inbound_streams + request.count);
    reconfig_tell_added(association, BRAID_RECONFIG_PERFORMED, 0, request.count);
    conclude_and_respond(reconfig, SCTP_RECONFIG_PERFORMED);
}

/* The answer is a request of our own to add outgoing streams. */
static void receive_add_incoming(struct reconfig *reconfig, const struct sctp_parameter *parameter)
{
    struct sctp_association *association = reconfig->association;
    struct sctp_add_streams_request request;

    if (!add_streams_request_read(parameter, &request) ||
        !is_next(reconfig, request.request_number, true))
        return;
    if (!is_permitted(reconfig, BRAID_RECONFIG_ADD_STREAMS) ||
        !may_add(association->outbound_streams, request.count)) {
        conclude_and_respond(reconfig, SCTP_RECONFIG_DENIED);
        return;
    }
    if (reconfig_is_outstanding(reconfig)) {
        conclude_and_respond(reconfig, SCTP_RECONFIG_REQUEST_IN_PROGRESS);
        return;
    }
    conclude(reconfig, SCTP_RECONFIG_PERFORMED);
    association->outbound_streams = (uint16_t)(association->outbound_streams + request.count);
    reconfig_add_request(reconfig, &(struct reconfig_request){
                                       .type = SCTP_PARAMETER_ADD_OUTGOING_STREAMS_REQUEST,
                                       .count = request.count,
                                   });
}

/* ---- The chunk ---- */

static bool is_known(const struct sctp_parameter *parameter)
{
    return parameter->type >= SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST &&
           parameter->type <= SCTP_PARAMETER_ADD_INCOMING_STREAMS_REQUEST;
}

static bool is_readable(const struct sctp_parameter *parameter)
{
    struct sctp_ssn_reset_request reset;
    struct sctp_reconfig_response response;
    struct sctp_add_streams_request add;
    uint32_t number;

    switch (parameter->type) {
    case SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST:
    case SCTP_PARAMETER_INCOMING_SSN_RESET_REQUEST:
        return ssn_reset_request_read(parameter, &reset);
    case SCTP_PARAMETER_SSN_TSN_RESET_REQUEST:
        return ssn_tsn_reset_request_read(parameter, &number);
    case SCTP_PARAMETER_RE_CONFIG_RESPONSE:
        return reconfig_response_read(parameter, &response);
    case SCTP_PARAMETER_ADD_OUTGOING_STREAMS_REQUEST:
    case SCTP_PARAMETER_ADD_INCOMING_STREAMS_REQUEST:
        return add_streams_request_read(parameter, &add);
    default:
        return false;
    }
}

/* RFC 9260, 3.2.1. False: those behind it are not to be looked at. */
static bool receive_unknown(struct braid_engine *engine, const struct sctp_parameter *parameter)
{
    struct sctp_unknown_action action = parameter_unknown_action(parameter->type);
    size_t start = engine->errors.length;

    engine->statistics.unknown_parameters++;
    if (action.report) {
        parameter_write(&engine->errors, SCTP_CAUSE_UNRECOGNIZED_PARAMETERS, parameter->bytes,
                        parameter->length);
        errors_end(engine, start);
    }
    return !action.stop;
}

/* 3.1: which two stand together, in either order. */
static bool may_stand_together(uint16_t one, uint16_t other)
{
    if (one == SCTP_PARAMETER_RE_CONFIG_RESPONSE && other == one)
        return true;
    if (one > other)
        return may_stand_together(other, one);
    return (one == SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST &&
            (other == SCTP_PARAMETER_INCOMING_SSN_RESET_REQUEST ||
             other == SCTP_PARAMETER_RE_CONFIG_RESPONSE)) ||
           (one == SCTP_PARAMETER_ADD_OUTGOING_STREAMS_REQUEST &&
            other == SCTP_PARAMETER_ADD_INCOMING_STREAMS_REQUEST);
}

enum form { MALFORMED, NOT_TOGETHER, WELL_FORMED };

static enum form form_of(const struct sctp_chunk *chunk)
{
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;
    uint16_t first = 0;
    unsigned int count = 0;
    bool together = true;

    parameter_iterator_init(&iterator, chunk->value, chunk->value_length);
    while (parameter_next(&iterator, &parameter)) {
        if (is_known(&parameter)) {
            if (!is_readable(&parameter))
                return MALFORMED;
            together &= ++count <= RECONFIG_REQUESTS &&
                        (count == 1 || may_stand_together(first, parameter.type));
            first = parameter.type;
        } else if (parameter_unknown_action(parameter.type).stop) {
            break;
        }
    }
    if (chunk->value_length == 0 || iterator.malformed)
        return MALFORMED;
    return together ? WELL_FORMED : NOT_TOGETHER;
}

static void receive_parameter(struct reconfig *reconfig, const struct sctp_parameter *parameter)
{
    struct sctp_reconfig_response response;

    switch (parameter->type) {
    case SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST:
        receive_outgoing_reset(reconfig, parameter);
        break;
    case SCTP_PARAMETER_INCOMING_SSN_RESET_REQUEST:
        receive_incoming_reset(reconfig, parameter);
        break;
    case SCTP_PARAMETER_SSN_TSN_RESET_REQUEST:
        receive_association_reset(reconfig, parameter);
        break;
    case SCTP_PARAMETER_ADD_OUTGOING_STREAMS_REQUEST:
        receive_add_outgoing(reconfig, parameter);
        break;
    case SCTP_PARAMETER_ADD_INCOMING_STREAMS_REQUEST:
        receive_add_incoming(reconfig, parameter);
        break;
    default:
        if (reconfig_response_read(parameter, &response))
            reconfig_receive_response(reconfig, &response);
        break;
    }
}

static void send_responses(struct reconfig *reconfig, const struct arrival *arrival)
{
    struct packet_writer *writer =
        reply_continue(reconfig->association, arrival, RESPONSES_LENGTH_MAXIMUM);
    size_t chunk;

    if (!writer)
        return;
    chunk = chunk_begin(writer, SCTP_CHUNK_RE_CONFIG, 0);
    for (uint8_t i = 0; i < reconfig->response_count; i++)
        reconfig_response_write(writer, &reconfig->responses[i]);
    chunk_end(writer, chunk);
}

void reconfig_receive(struct sctp_association *association, const struct arrival *arrival,
                      const struct sctp_chunk *chunk)
{
    struct reconfig *reconfig = association->reconfig;
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;
    enum form form;

    if (association->state < BRAID_ESTABLISHED || association->state == BRAID_SHUTDOWN_ACK_SENT)
        return;
    form = form_of(chunk);
    if (form == MALFORMED) {
        association_abort_violation(association);
        return;
    }
    if (form == NOT_TOGETHER) { /* 3.1 */
        size_t start = association->engine->errors.length;

        parameter_write(&association->engine->errors, SCTP_CAUSE_PROTOCOL_VIOLATION, NULL, 0);
        errors_end(association->engine, start);
        return;
    }
    reconfig->response_count = 0;
    parameter_iterator_init(&iterator, chunk->value, chunk->value_length);
    while (parameter_next(&iterator, &parameter)) {
        if (is_known(&parameter))
            receive_parameter(reconfig, &parameter);
        else if (!receive_unknown(association->engine, &parameter))
            break;
    }
    if (reconfig->response_count > 0)
        send_responses(reconfig, arrival);
}

/* E2: the DATA has come. The peer need not ask again. */
void reconfig_packet_done(struct sctp_association *association, const struct arrival *arrival)
{
    struct reconfig *reconfig = association->reconfig;
    struct reconfig_deferred deferred;
    uint32_t *result;

    if (!reconfig || !reconfig->deferred.waits ||
        tsn_before(association->receiver.cumulative_tsn, reconfig->deferred.last_tsn))
        return;
    deferred = reconfig->deferred;
    reconfig->deferred = (struct reconfig_deferred){0};
    perform_reset(association, deferred.streams, deferred.count);
    free(deferred.streams);
    result = earlier_result(reconfig, deferred.number);
    if (result)
        *result = SCTP_RECONFIG_PERFORMED;
    reconfig->response_count = 0;
    respond(reconfig, deferred.number, SCTP_RECONFIG_PERFORMED);
    send_responses(reconfig, arrival);
}
