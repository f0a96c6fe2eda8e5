/*
 * The end of an association.
 *
 * RFC 9260, section 9.1 (ABORT), section 9.2 (SHUTDOWN, SHUTDOWN ACK, SHUTDOWN COMPLETE).
 */
#include "engine/private.h"

/* ---- ABORT: 9.1 ---- */

void abort_statelessly(struct braid_engine *engine, const struct arrival *arrival, uint32_t tag,
                       bool tag_reflected, const struct packet_writer *causes)
{
    size_t length = causes ? causes->length : 0;
    struct sctp_common_header header = {arrival->header.destination_port,
                                        arrival->header.source_port, tag};
    struct packet_writer writer;
    struct response *response =
        response_begin(engine, &writer, 32 + wire_padded((uint32_t)length), &header);
    size_t chunk;

    if (!response)
        return;
    chunk = abort_begin(&writer, tag_reflected);
    if (causes)
        packet_write_bytes(&writer, causes->bytes, length);
    chunk_end(&writer, chunk);
    response_send(engine, response, &writer, arrival);
}

void cause_write(struct packet_writer *causes, uint8_t bytes[CAUSES_MAXIMUM], uint16_t cause,
                 const void *value, size_t length)
{
    packet_writer_init(causes, bytes, CAUSES_MAXIMUM);
    parameter_write(causes, cause, value, length);
    if (causes->overflowed)
        packet_writer_rewind(causes, 0);
}

void abort_for_cause(struct braid_engine *engine, const struct arrival *arrival, uint32_t tag,
                     uint16_t cause, const void *value, size_t length)
{
    uint8_t bytes[CAUSES_MAXIMUM];
    struct packet_writer causes;

    cause_write(&causes, bytes, cause, value, length);
    abort_statelessly(engine, arrival, tag, false, &causes);
}

void association_abort(struct sctp_association *association, enum braid_down_reason reason,
                       const struct packet_writer *causes)
{
    const uint8_t *bytes = causes ? causes->bytes : NULL;
    size_t length = causes ? causes->length : 0;

    /* Before INIT ACK there is no tag that the peer would accept (8.5.1): nothing is sent. */
    if (association->peer_tag && association->path_count > 0) {
        struct packet_writer writer;
        struct response *response =
            association_respond(association, &writer, 32 + wire_padded((uint32_t)length));

        if (response) {
            size_t chunk = abort_begin(&writer, false);

            packet_write_bytes(&writer, bytes, length);
            chunk_end(&writer, chunk);
            response_send_over(response, &writer, association_data_path(association));
        }
    }
    association_down(association, reason, bytes, length);
}

void association_abort_violation(struct sctp_association *association)
{
    uint8_t bytes[SCTP_PARAMETER_HEADER_LENGTH];
    struct packet_writer causes;

    packet_writer_init(&causes, bytes, sizeof(bytes));
    parameter_write(&causes, SCTP_CAUSE_PROTOCOL_VIOLATION, NULL, 0);
    association_abort(association, BRAID_DOWN_PROTOCOL, &causes);
}

void association_abort_by_user(struct sctp_association *association, const void *reason,
                               size_t length)
{
    uint8_t bytes[CAUSES_MAXIMUM];
    struct packet_writer causes;

    packet_writer_init(&causes, bytes, sizeof(bytes));
    if (length > sizeof(bytes) - SCTP_PARAMETER_HEADER_LENGTH)
        length = sizeof(bytes) - SCTP_PARAMETER_HEADER_LENGTH;
    parameter_write(&causes, SCTP_CAUSE_USER_INITIATED_ABORT, reason, length);
    association_abort(association, BRAID_DOWN_ABORTED_BY_USER, &causes);
}

static bool causes_fit(const struct sctp_abort *abort)
{
    struct parameter_iterator iterator;
    struct sctp_parameter cause;

    parameter_iterator_init(&iterator, abort->causes, abort->causes_length);
    while (parameter_next(&iterator, &cause))
        ;
    return !iterator.malformed;
}

void teardown_receive_abort(struct sctp_association *association, const struct arrival *arrival,
                            const struct sctp_chunk *chunk)
{
    struct sctp_abort abort;

    if (!abort_read(chunk, &abort) || !causes_fit(&abort)) { /* 3.3.7: silently discarded */
        association->engine->statistics.bad_packet++;
        return;
    }
    /* 8.5.1 B, for an ABORT that stands behind other chunks. */
    if (arrival->header.verification_tag !=
        (abort.tag_reflected ? association->peer_tag : association->local_tag))
        return;
    if (asconf_is_deleting(association, &arrival->destination)) /* RFC 5061, 5.3.1 */
        return;
    association_down(association, BRAID_DOWN_ABORTED_BY_PEER, abort.causes, abort.causes_length);
}

/* ---- SHUTDOWN: 9.2 ---- */

static void start_t2(struct sctp_association *association)
{
    const struct sctp_path *path = association->paths[association->setup_path];

    timer_start(&association->engine->wheel, &association->t1,
                association->engine->now + path->rto);
}

/* Where the SHUTDOWN came from, as long as that way is not known to fail (6.4). */
static void send_shutdown_ack(struct sctp_association *association)
{
    if (association->paths[association->reply_path]->state == BRAID_PATH_ACTIVE)
        association->setup_path = association->reply_path;
    association->state = BRAID_SHUTDOWN_ACK_SENT;
    association->send_shutdown = false;
    association->send_shutdown_ack = true;
    heartbeat_stop_all(association);
    start_t2(association);
    association_set_ready(association);
}

void teardown_continue(struct sctp_association *association)
{
    struct braid_engine *engine = association->engine;
    const struct braid_parameters *parameters = &association->parameters;

    if ((association->state != BRAID_SHUTDOWN_PENDING &&
         association->state != BRAID_SHUTDOWN_RECEIVED) ||
        !sender_is_empty(&association->sender))
        return;
    association->setup_path = association_data_path(association)->index;
    if (association->state == BRAID_SHUTDOWN_RECEIVED) {
        send_shutdown_ack(association);
        return;
    }
    association->state = BRAID_SHUTDOWN_SENT;
    association->send_shutdown = true;
    heartbeat_stop_all(association);
    start_t2(association);
    timer_start(&engine->wheel, &association->t5,
                engine->now + milliseconds(parameters->shutdown_guard
                                               ? parameters->shutdown_guard
                                               : 5 * (uint64_t)parameters->rto_max));
    association_set_ready(association);
}

void teardown_timeout(struct sctp_association *association)
{
    struct sctp_path *path = association->paths[association->setup_path];

    path_back_off(path);
    if (!path_failed(path, true))
        return;
    association->setup_path = association_alternate_path(association, path)->index;
    if (association->state == BRAID_SHUTDOWN_SENT)
        association->send_shutdown = true;
    else
        association->send_shutdown_ack = true;
    start_t2(association);
    association_set_ready(association);
}

/* Only DATA puts T2 off: or the heartbeats of a peer that has not got the SHUTDOWN would keep it
 * from being sent again, when after an outage the RTO is longer than the time between them. */
void teardown_answer_data(struct sctp_association *association)
{
    association->send_shutdown = association->send_sack = true;
    start_t2(association);
    association_set_ready(association);
}

void teardown_receive_shutdown(struct sctp_association *association, struct arrival *arrival,
                               const struct sctp_chunk *chunk)
{
    struct braid_event event = {
        .type = BRAID_EVENT_PEER_SHUTDOWN,
        .association = association->id,
        .endpoint = association->endpoint->id,
    };
    uint32_t cumulative_tsn_ack;

    if (!shutdown_read(chunk, &cumulative_tsn_ack)) {
        association->engine->statistics.bad_packet++;
        return;
    }
    association->reply_path = association_reply_path(association, arrival)->index;
    switch ((enum braid_state)association->state) {
    case BRAID_ESTABLISHED:
    case BRAID_SHUTDOWN_PENDING:
        timer_stop(&association->engine->wheel, &association->autoclose);
        association->state = BRAID_SHUTDOWN_RECEIVED;
        event_add(association->engine, &event, NULL, 0);
        /* fall through */
    case BRAID_SHUTDOWN_RECEIVED:
        sender_receive_cumulative(association, cumulative_tsn_ack);
        if (!association->down)
            teardown_continue(association);
        break;
    case BRAID_SHUTDOWN_SENT: /* both at once */
    case BRAID_SHUTDOWN_ACK_SENT:
        send_shutdown_ack(association);
        break;
    default:
        break;
    }
}

void teardown_receive_shutdown_ack(struct sctp_association *association, struct arrival *arrival)
{
    struct packet_writer writer;
    struct response *response;

    if (association->state != BRAID_SHUTDOWN_SENT && association->state != BRAID_SHUTDOWN_ACK_SENT)
        return;
    association->send_cookie_ack = false; /* SHUTDOWN COMPLETE goes alone (6.10) */
    response = association_respond(association, &writer, 32);
    if (response) {
        shutdown_complete_write(&writer, false);
        response_send_over(response, &writer, association_reply_path(association, arrival));
    }
    association_down(association, BRAID_DOWN_SHUTDOWN, NULL, 0);
}

void teardown_receive_shutdown_complete(struct sctp_association *association)
{
    if (association->state == BRAID_SHUTDOWN_ACK_SENT)
        association_down(association, BRAID_DOWN_SHUTDOWN, NULL, 0);
}
