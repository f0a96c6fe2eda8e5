/*
 * The end of an association.
 *
 * RFC 9260, section 9.1 (ABORT), section 9.2 (SHUTDOWN, SHUTDOWN ACK, SHUTDOWN COMPLETE).
 */
#include "engine/private.h"

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

void teardown_receive_abort(struct sctp_association *association, const struct arrival *arrival,
                            const struct sctp_chunk *chunk)
{
    struct sctp_abort abort;

    if (!abort_read(chunk, &abort))
        return;
    /* 8.5.1 B, for an ABORT that stands behind other chunks. */
    if (arrival->header.verification_tag !=
        (abort.tag_reflected ? association->peer_tag : association->local_tag))
        return;
    if (asconf_is_deleting(association, &arrival->destination)) /* RFC 5061, 5.3.1 */
        return;
    association_down(association, BRAID_DOWN_ABORTED_BY_PEER, abort.causes, abort.causes_length);
}
