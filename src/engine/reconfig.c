/*
 * Stream reconfiguration, the side that asks: one chunk of requests at a time, and the messages
 * that wait for its answer.
 *
 * RFC 6525, section 5.1 (sender side procedures). Of the timer, failures and the choice of path
 * RFC 5061, section 5.1, speaks.
 */
#include <stdlib.h>

#include "engine/private.h"

void reconfig_free(struct sctp_association *association)
{
    struct reconfig *reconfig = association->reconfig;

    if (!reconfig)
        return;
    timer_stop(&association->engine->wheel, &reconfig->timer);
    for (size_t i = 0; i < RECONFIG_REQUESTS; i++)
        free(reconfig->requests[i].streams);
    free(reconfig->deferred.streams);
    free(reconfig);
    association->reconfig = NULL;
}

void reconfig_begin_association(struct sctp_association *association, bool capable,
                                uint32_t local_initial_tsn, uint32_t peer_initial_tsn)
{
    struct reconfig *reconfig;

    reconfig_free(association);
    reconfig = capable ? calloc(1, sizeof(*reconfig)) : NULL;
    if (!reconfig)
        return;
    reconfig->association = association;
    reconfig->next_number = local_initial_tsn; /* 4.1 */
    reconfig->expected_number = peer_initial_tsn;
    timer_init(&reconfig->timer, TIMER_RECONFIG);
    association->reconfig = reconfig;
}

void reconfig_forget_path(struct sctp_association *association, const struct sctp_path *path)
{
    if (association->reconfig && association->reconfig->path == path)
        association->reconfig->path = NULL;
}

/* ---- Requests ---- */

bool reconfig_is_outstanding(const struct reconfig *reconfig)
{
    for (size_t i = 0; i < RECONFIG_REQUESTS; i++) {
        if (reconfig->requests[i].type)
            return true;
    }
    return false;
}

struct reconfig_request *reconfig_find_request(struct reconfig *reconfig, uint16_t type)
{
    for (size_t i = 0; i < RECONFIG_REQUESTS; i++) {
        if (reconfig->requests[i].type == type)
            return &reconfig->requests[i];
    }
    return NULL;
}

void reconfig_add_request(struct reconfig *reconfig, const struct reconfig_request *request)
{
    struct reconfig_request *place = reconfig_find_request(reconfig, 0);

    *place = *request;
    place->number = reconfig->next_number++;
    reconfig->send = true;
    association_set_ready(reconfig->association);
}

/* Those that were kept back, and may go now. */
static void release_held(struct sctp_association *association)
{
    struct sent_message *message = association->sender.held;

    association->sender.held = association->sender.held_last = NULL;
    while (message) {
        struct sent_message *next = message->next;

        if (message->send.stream >= association->outbound_streams)
            abandon_unsent(association, message); /* of streams that were not to be had */
        else
            sender_hold_or_queue(association, message);
        message = next;
    }
    teardown_continue(association);
    association_set_ready(association);
}

void reconfig_end_request(struct reconfig *reconfig, struct reconfig_request *request)
{
    free(request->streams);
    *request = (struct reconfig_request){0};
    if (!reconfig_is_outstanding(reconfig)) {
        timer_stop(&reconfig->association->engine->wheel, &reconfig->timer);
        reconfig->send = reconfig->written = false;
        reconfig->repeated = reconfig->doubted = false;
        reconfig->path = NULL;
    }
    release_held(reconfig->association);
}

static bool contains(const uint16_t *streams, size_t count, uint16_t stream)
{
    for (size_t i = 0; i < count; i++) {
        if (streams[i] == stream)
            return true;
    }
    return count == 0;
}

bool reconfig_covers(const struct reconfig_request *request, uint16_t stream)
{
    return contains(request->streams, request->count, stream);
}

bool reconfig_asks_for(struct reconfig *reconfig, uint16_t stream)
{
    const struct reconfig_request *request =
        reconfig_find_request(reconfig, SCTP_PARAMETER_ADD_OUTGOING_STREAMS_REQUEST);

    return request && stream >= reconfig->association->outbound_streams - request->count;
}

bool reconfig_holds(const struct sctp_association *association, uint16_t stream)
{
    struct reconfig *reconfig = association->reconfig;

    for (size_t i = 0; reconfig && i < RECONFIG_REQUESTS; i++) {
        const struct reconfig_request *request = &reconfig->requests[i];

        switch (request->type) {
        case SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST:
            if (reconfig_covers(request, stream))
                return true;
            break;
        case SCTP_PARAMETER_SSN_TSN_RESET_REQUEST:
            return true;
        default:
            break;
        }
    }
    return reconfig && reconfig_asks_for(reconfig, stream);
}

bool reconfig_numbers_are_unknown(const struct sctp_association *association)
{
    struct reconfig *reconfig = association->reconfig;

    return reconfig && reconfig->written && !reconfig->answered &&
           reconfig_find_request(reconfig, SCTP_PARAMETER_SSN_TSN_RESET_REQUEST);
}

bool reconfig_is_over(struct sctp_association *association, const struct sctp_data *data)
{
    struct reconfig *reconfig = association->reconfig;

    if (!reconfig->written ||
        !reconfig_find_request(reconfig, SCTP_PARAMETER_SSN_TSN_RESET_REQUEST) ||
        !reassembly_used(association, data))
        return false;
    reconfig->answered = false;
    return true;
}

bool reconfig_explains(const struct sctp_association *association, uint32_t tsn)
{
    struct reconfig *reconfig = association->reconfig;

    if (!reconfig)
        return false;
    return reconfig_find_request(reconfig, SCTP_PARAMETER_SSN_TSN_RESET_REQUEST) ||
           (reconfig->renumbered && tsn - association->sender.next_tsn > TSNS_APART);
}

bool reconfig_must_wait(const struct sctp_association *association, const uint16_t *streams,
                        size_t count)
{
    const struct sctp_sender *sender = &association->sender;

    if (count == 0)
        return sender->pending_messages > 0;
    for (size_t i = 0; sender->schedule && i < count; i++) {
        if (schedule_has(sender->schedule, streams[i]))
            return true;
    }
    for (const struct sent_message *message = sender->first; message; message = message->next) {
        if (contains(streams, count, message->send.stream))
            return true;
    }
    return false;
}

/* ---- What the user asks ---- */

/* The association that may ask for this now; else NULL and the error. */
static struct sctp_association *find(struct braid_engine *engine, uint32_t identifier,
                                     enum braid_reconfig_kind kind, braid_time now, int *error)
{
    struct sctp_association *association = association_find(engine, identifier);

    if (now > engine->now)
        engine->now = now;
    *error = 0;
    if (!association || association->down || association->state < BRAID_ESTABLISHED ||
        association->state == BRAID_SHUTDOWN_ACK_SENT)
        *error = -ENOTCONN;
    else if (!association->reconfig || !(association->parameters.reconfig_permitted & kind))
        *error = -EOPNOTSUPP;
    else if (reconfig_is_outstanding(association->reconfig))
        *error = -EINPROGRESS;
    return *error == 0 ? association : NULL;
}

static bool streams_exist(const uint16_t *streams, size_t count, uint32_t limit)
{
    for (size_t i = 0; i < count; i++) {
        if (streams[i] >= limit)
            return false;
    }
    return true;
}

static int add_reset(struct reconfig *reconfig, uint16_t type, const uint16_t *streams,
                     size_t count)
{
    struct reconfig_request request = {
        .type = type,
        .count = (uint16_t)count,
        /* 4.1: that of the last request that was acted upon */
        .response_number = reconfig->expected_number - 1,
        .last_tsn = reconfig->association->sender.next_tsn - 1,
    };

    if (count > 0) {
        request.streams = malloc(count * sizeof(*streams));
        if (!request.streams)
            return -ENOMEM;
        memcpy(request.streams, streams, count * sizeof(*streams));
    }
    reconfig_add_request(reconfig, &request);
    return 0;
}

int braid_reset_streams(struct braid_engine *engine, uint32_t identifier, unsigned int directions,
                        const uint16_t *streams, size_t count, braid_time now)
{
    bool outgoing = directions & BRAID_RESET_OUTGOING, incoming = directions & BRAID_RESET_INCOMING;
    struct sctp_association *association;
    int error;

    association = find(engine, identifier, BRAID_RECONFIG_STREAMS, now, &error);
    if (!association)
        return error;
    if ((!outgoing && !incoming) ||
        (outgoing && !streams_exist(streams, count, association->outbound_streams)) ||
        (incoming && !streams_exist(streams, count, association->inbound_streams)) ||
        (size_t)(outgoing + incoming) * count * sizeof(*streams) > BRAID_RESET_BYTES_MAXIMUM)
        return -EINVAL;
    if (outgoing && reconfig_must_wait(association, streams, count))
        return -EAGAIN;
    if (outgoing)
        error = add_reset(association->reconfig, SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST, streams,
                          count);
    if (incoming && error == 0)
        error = add_reset(association->reconfig, SCTP_PARAMETER_INCOMING_SSN_RESET_REQUEST, streams,
                          count);
    return error;
}

int braid_reset_association(struct braid_engine *engine, uint32_t identifier, braid_time now)
{
    struct sctp_association *association;
    int error;

    association = find(engine, identifier, BRAID_RECONFIG_ASSOCIATION, now, &error);
    if (!association)
        return error;
    if (!sender_is_empty(&association->sender))
        return -EAGAIN;
    reconfig_add_request(association->reconfig,
                         &(struct reconfig_request){.type = SCTP_PARAMETER_SSN_TSN_RESET_REQUEST});
    return 0;
}

int braid_add_streams(struct braid_engine *engine, uint32_t identifier, uint16_t outgoing,
                      uint16_t incoming, braid_time now)
{
    struct sctp_association *association;
    int error;

    association = find(engine, identifier, BRAID_RECONFIG_ADD_STREAMS, now, &error);
    if (!association)
        return error;
    if ((outgoing == 0 && incoming == 0) ||
        association->outbound_streams + (uint32_t)outgoing > STREAMS_MAXIMUM ||
        association->inbound_streams + (uint32_t)incoming > STREAMS_MAXIMUM)
        return -EINVAL;
    if (outgoing > 0) {
        /* Messages for them may be sent already, and wait. */
        association->outbound_streams = (uint16_t)(association->outbound_streams + outgoing);
        reconfig_add_request(
            association->reconfig,
            &(struct reconfig_request){.type = SCTP_PARAMETER_ADD_OUTGOING_STREAMS_REQUEST,
                                       .count = outgoing});
    }
    if (incoming > 0)
        reconfig_add_request(
            association->reconfig,
            &(struct reconfig_request){.type = SCTP_PARAMETER_ADD_INCOMING_STREAMS_REQUEST,
                                       .count = incoming});
    return 0;
}

/* ---- Sending ---- */

struct sctp_path *reconfig_path(struct sctp_association *association)
{
    struct reconfig *reconfig = association->reconfig;

    if (!reconfig || !reconfig->send || association->state < BRAID_ESTABLISHED ||
        association->state == BRAID_SHUTDOWN_ACK_SENT)
        return NULL;
    if (!reconfig->path)
        reconfig->path = association_data_path(association);
    return reconfig->path;
}

void reconfig_write(struct sctp_association *association, struct packet_writer *writer)
{
    struct reconfig *reconfig = association->reconfig;
    size_t chunk = chunk_begin(writer, SCTP_CHUNK_RE_CONFIG, 0);

    for (size_t i = 0; i < RECONFIG_REQUESTS; i++) {
        const struct reconfig_request *request = &reconfig->requests[i];
        struct sctp_ssn_reset_request reset = {
            .request_number = request->number,
            .response_number = request->response_number,
            .last_tsn = request->last_tsn,
            .stream_count = request->count,
        };

        switch (request->type) {
        case SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST:
        case SCTP_PARAMETER_INCOMING_SSN_RESET_REQUEST:
            ssn_reset_request_write(writer, request->type, &reset, request->streams);
            break;
        case SCTP_PARAMETER_SSN_TSN_RESET_REQUEST:
            ssn_tsn_reset_request_write(writer, request->number);
            break;
        case SCTP_PARAMETER_ADD_OUTGOING_STREAMS_REQUEST:
        case SCTP_PARAMETER_ADD_INCOMING_STREAMS_REQUEST:
            add_streams_request_write(
                writer, request->type,
                &(struct sctp_add_streams_request){request->number, request->count});
            break;
        default:
            break;
        }
    }
    chunk_end(writer, chunk);
    reconfig->send = reconfig->answered = false;
    reconfig->repeated = reconfig->written;
    reconfig->written = true;
    reconfig->asked = association->engine->now;
    timer_start(&association->engine->wheel, &reconfig->timer,
                association->engine->now + reconfig->path->rto);
}

void reconfig_timeout(struct reconfig *reconfig)
{
    struct sctp_association *association = reconfig->association;
    struct sctp_path *path = reconfig->path ? reconfig->path : association_data_path(association);

    if (!reconfig->answered) {
        path_back_off(path);
        if (!path_failed(path, true))
            return;
        path = association_alternate_path(association, path);
    }
    reconfig->path = path;
    reconfig->send = true;
    association_set_ready(association);
}
