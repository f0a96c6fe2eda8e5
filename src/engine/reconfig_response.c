/*
 * Stream reconfiguration: the peer's answers to our requests, what they change, and what the user
 * is told.
 *
 * RFC 6525, section 5.2.7 (responses), section 5.1.2 to 5.1.6 (what follows from one).
 */
#include <stdlib.h>

#include "engine/private.h"

/* ---- What the user is told ---- */

static struct braid_event event_of(const struct sctp_association *association,
                                   enum braid_event_type type, enum braid_reconfig_outcome outcome)
{
    return (struct braid_event){
        .type = type,
        .association = association->id,
        .endpoint = association->endpoint->id,
        .outcome = outcome,
    };
}

void reconfig_tell_streams(struct sctp_association *association,
                           enum braid_reconfig_outcome outcome, bool incoming,
                           const uint16_t *streams, size_t count)
{
    struct braid_event event = event_of(association, BRAID_EVENT_STREAMS_RESET, outcome);

    event.incoming = incoming;
    event_add(association->engine, &event, streams, count * sizeof(*streams));
}

void reconfig_tell_association(struct sctp_association *association,
                               enum braid_reconfig_outcome outcome, uint32_t next_sent,
                               uint32_t next_received)
{
    struct braid_event event = event_of(association, BRAID_EVENT_ASSOCIATION_RESET, outcome);

    event.next_tsn_sent = next_sent;
    event.next_tsn_received = next_received;
    event_add(association->engine, &event, NULL, 0);
}

void reconfig_tell_added(struct sctp_association *association, enum braid_reconfig_outcome outcome,
                         uint16_t outgoing, uint16_t incoming)
{
    struct braid_event event = event_of(association, BRAID_EVENT_STREAMS_ADDED, outcome);

    event.outbound_streams = outgoing;
    event.inbound_streams = incoming;
    event_add(association->engine, &event, NULL, 0);
}

/* ---- Numbers begin anew ---- */

/* Nothing is outstanding. */
static void restart_sender(struct sctp_association *association, uint32_t next_tsn)
{
    struct sctp_sender *sender = &association->sender;

    association->reconfig->renumbered |= sender->next_tsn != next_tsn;
    sender->next_tsn = next_tsn;
    sender->cumulative_tsn_ack = next_tsn - 1;
    sender->forwarded = next_tsn - 1;
    sender->fast_recovery = sender->fast_retransmit_now = false;
    sender->probe = sender->probe_outstanding = sender->forward_tsn_due = false;
    for (uint8_t i = 0; i < association->path_count; i++)
        association->paths[i]->rtt_running = false;
    sender_restart_streams(sender, NULL, 0);
}

void reconfig_restart_numbers(struct sctp_association *association, uint32_t next_sent,
                              uint32_t next_received)
{
    restart_sender(association, next_sent);
    receiver_restart(association, next_received);
}

/* ---- Responses ---- */

static enum braid_reconfig_outcome outcome_of(uint32_t result)
{
    switch (result) {
    case SCTP_RECONFIG_NOTHING_TO_DO:
    case SCTP_RECONFIG_PERFORMED:
        return BRAID_RECONFIG_PERFORMED;
    case SCTP_RECONFIG_DENIED:
        return BRAID_RECONFIG_DENIED;
    default:
        return BRAID_RECONFIG_FAILED;
    }
}

/* The streams that were counted on are not there. */
static void remove_added(struct sctp_association *association, uint16_t count)
{
    association->outbound_streams = (uint16_t)(association->outbound_streams - count);
}

/* False: it says too little. */
static bool complete(struct sctp_association *association, const struct reconfig_request *request,
                     const struct sctp_reconfig_response *response)
{
    enum braid_reconfig_outcome outcome = outcome_of(response->result);
    bool performed = outcome == BRAID_RECONFIG_PERFORMED;

    switch (request->type) {
    case SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST:
        if (performed)
            sender_restart_streams(&association->sender, request->streams, request->count);
        reconfig_tell_streams(association, outcome, false, request->streams, request->count);
        return true;
    case SCTP_PARAMETER_INCOMING_SSN_RESET_REQUEST:
        reconfig_tell_streams(association, outcome, true, request->streams, request->count);
        return true;
    case SCTP_PARAMETER_SSN_TSN_RESET_REQUEST:
        if (performed && !response->has_tsns)
            return false;
        if (performed)
            reconfig_restart_numbers(association, response->receiver_next_tsn,
                                     response->sender_next_tsn);
        reconfig_tell_association(association, outcome, response->receiver_next_tsn,
                                  response->sender_next_tsn);
        return true;
    case SCTP_PARAMETER_ADD_OUTGOING_STREAMS_REQUEST:
        if (!performed)
            remove_added(association, request->count);
        reconfig_tell_added(association, outcome, request->count, 0);
        return true;
    default:
        reconfig_tell_added(association, outcome, 0, request->count);
        return true;
    }
}

/* It is to be asked again, though the peer is well. An SSN/TSN reset not in step with the DATA that
 * the peer sends again, which would always come when it cannot be taken
 * (reconfig_numbers_are_unknown()). */
static void ask_again(struct reconfig *reconfig, const struct reconfig_request *request)
{
    struct braid_engine *engine = reconfig->association->engine;

    reconfig->answered = true;
    if (request->type == SCTP_PARAMETER_SSN_TSN_RESET_REQUEST && reconfig->path)
        timer_start(&engine->wheel, &reconfig->timer,
                    engine->now + reconfig->path->rto +
                        random_u32(engine) % (reconfig->path->rto + 1));
}

/* All copies of a request have one number. An answer that comes sooner than one can come is to an
 * earlier copy: what the peer has done since is not known. When the next one comes as soon, it is
 * the path that has become faster. */
static bool is_of_before(struct reconfig *reconfig)
{
    const struct sctp_path *path = reconfig->path;

    reconfig->doubted = !reconfig->doubted && reconfig->repeated && path && path->rtt_measured &&
                        reconfig->association->engine->now - reconfig->asked < path->srtt / 2;
    return reconfig->doubted;
}

/* A request that the peer fulfils by one of its own: that tells when it is done. */
static bool is_fulfilled_by_another(const struct reconfig_request *request)
{
    return request->type == SCTP_PARAMETER_INCOMING_SSN_RESET_REQUEST ||
           request->type == SCTP_PARAMETER_ADD_INCOMING_STREAMS_REQUEST;
}

void reconfig_receive_response(struct reconfig *reconfig,
                               const struct sctp_reconfig_response *response)
{
    struct sctp_association *association = reconfig->association;
    struct reconfig_request *request = NULL;

    for (size_t i = 0; i < RECONFIG_REQUESTS; i++) {
        if (reconfig->requests[i].type && reconfig->requests[i].number == response->response_number)
            request = &reconfig->requests[i];
    }
    if (!request)
        return;
    association->error_count = 0;
    if (reconfig->path)
        path_answered(reconfig->path, PATH_CHUNK_ANSWERED);
    if (response->result == SCTP_RECONFIG_IN_PROGRESS && is_of_before(reconfig))
        return;
    if (response->result == SCTP_RECONFIG_IN_PROGRESS ||
        (response->result == SCTP_RECONFIG_PERFORMED && is_fulfilled_by_another(request))) {
        ask_again(reconfig, request);
        return;
    }
    if (complete(association, request, response))
        reconfig_end_request(reconfig, request);
}
