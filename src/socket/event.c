/* What the engine tells: states of sockets, errors, notifications.
 *
 * RFC 9260, section 11.2 (what SCTP tells its user), as RFC 6458, sections 3, 4 and 6 see it, with
 * the errors that Linux gives a socket.
 */
#include <stdlib.h>

#include "socket/private.h"

/* A notification that comes now stands behind the messages that came before. */
static uint64_t after_unread(const struct socket_association *association)
{
    struct braid_association_info info;

    if (braid_association_info(association->socket->table->engine, association->engine, &info) < 0)
        return association->messages_read;
    return association->messages_read + info.unread_messages;
}

static void learn_primary(struct socket_association *association)
{
    struct braid_engine *engine = association->socket->table->engine;
    struct braid_association_info info;
    struct braid_path_info path;

    if (braid_association_info(engine, association->engine, &info) < 0)
        return;
    association->peer_port = info.peer_port;
    if (braid_path_info(engine, association->engine, info.primary_path, &path) < 0)
        return;
    association->primary = path.address;
    socket_learn_name(association);
}

/* A peer has set up an association with a one-to-one listener: a socket for accept(). */
static struct socket_association *accept_association(struct sctp_socket *listener, uint32_t engine)
{
    struct socket_association *association;
    struct sctp_socket *child;
    int error;

    child = socket_clone(listener, SOCKET_ONE_TO_ONE, &error);
    if (!child)
        return NULL;
    child->was_accepted = true;
    association = socket_association_new(child, engine);
    if (!association ||
        braid_association_move(listener->table->engine, engine, child->endpoint) < 0) {
        socket_free(child, 0);
        return NULL;
    }
    list_append(&listener->accepted, &child->accept_link);
    socket_update_backlog(listener);
    socket_changed(listener, SOCKET_READABLE);
    return association;
}

static struct socket_association *
incoming_association(struct socket_table *table, const struct braid_event *event, braid_time now)
{
    struct sctp_socket *socket = braid_endpoint_user(table->engine, event->endpoint);
    struct socket_association *association = NULL;

    if (socket && socket->state == SOCKET_LISTENING && !socket->closed) {
        if (socket_is_one_to_many(socket)) {
            association = socket_association_new(socket, event->association);
            braid_association_claim(table->engine, event->association);
        } else {
            association = accept_association(socket, event->association);
        }
    }
    if (!association) {
        braid_abort(table->engine, event->association, NULL, 0, now);
        braid_association_release(table->engine, event->association, now);
        return NULL;
    }
    association->incoming = true;
    return association;
}

static void tell_outcome(struct socket_association *association, int error)
{
    struct socket_table *table = association->socket->table;

    if (!association->incoming)
        table->config.callbacks.outcome(table->config.context, association->socket,
                                        association->identifier, error);
}

static void event_up(struct socket_table *table, struct socket_association *association,
                     const struct braid_event *event, braid_time now)
{
    if (!association)
        association = incoming_association(table, event, now);
    if (!association)
        return;
    association->up = true;
    learn_primary(association);
    if (association->incoming && !socket_is_one_to_many(association->socket)) {
        struct sctp_socket *listener = braid_endpoint_user(table->engine, event->endpoint);

        if (listener)
            listener->name = association->socket->name;
        association->socket->peer = association->primary;
        association->socket->peer_port = association->peer_port;
    }
    if (!socket_is_one_to_many(association->socket) && association->socket->state == SOCKET_CLOSED)
        association->socket->state = SOCKET_ESTABLISHED;
    socket_association_publish(association);
    notify_association_change(association, SCTP_COMM_UP, 0, association->messages_read, NULL, 0);
    socket_association_set_readable(association);
    socket_changed(association->socket, SOCKET_STATE | SOCKET_READABLE | SOCKET_WRITABLE);
    tell_outcome(association, 0);
}

/* The errno of a socket whose association ended like this; 0 if it was graceful. */
static int error_of_end(const struct socket_association *association, enum braid_down_reason reason)
{
    switch (reason) {
    case BRAID_DOWN_SHUTDOWN:
        return 0;
    case BRAID_DOWN_ABORTED_BY_PEER:
        return association->up ? ECONNRESET : ECONNREFUSED;
    case BRAID_DOWN_LOST:
    case BRAID_DOWN_CANNOT_START:
        return ETIMEDOUT;
    case BRAID_DOWN_ABORTED_BY_USER:
    case BRAID_DOWN_PROTOCOL:
        break;
    }
    return ECONNABORTED;
}

static uint16_t state_of_end(const struct socket_association *association,
                             enum braid_down_reason reason)
{
    if (reason == BRAID_DOWN_SHUTDOWN)
        return SCTP_SHUTDOWN_COMP;
    return association->up ? SCTP_COMM_LOST : SCTP_CANT_STR_ASSOC;
}

static void event_down(struct socket_association *association, const struct braid_event *event,
                       braid_time now)
{
    struct sctp_socket *socket = association->socket;
    struct socket_table *table = socket->table;
    bool tells_causes = association->up && event->reason == BRAID_DOWN_ABORTED_BY_PEER;
    int error = error_of_end(association, event->reason);

    if (socket->closed) {
        socket_association_free(association, now);
        socket_free_if_done(socket, now);
        return;
    }
    notify_association_change(association, state_of_end(association, event->reason), event->cause,
                              after_unread(association), event->bytes,
                              tells_causes ? event->length : 0);
    association->down = true;
    socket->association_count--;
    table->config.callbacks.association(table->config.context, association->identifier, NULL, 0, 0);
    if (!socket_is_one_to_many(socket)) {
        if (error != 0)
            socket->error = error;
        if (error == 0 && socket->style == SOCKET_ONE_TO_ONE && association->up)
            socket->state = SOCKET_CLOSING;
    }
    socket_association_set_readable(association);
    socket_changed(socket, SOCKET_STATE | SOCKET_READABLE | SOCKET_WRITABLE);
    if (!association->up)
        tell_outcome(association, error != 0 ? error : ECONNREFUSED);
}

static void event_peer_shutdown(struct socket_association *association)
{
    struct sctp_socket *socket = association->socket;

    association->shutting = true;
    notify_shutdown(association, after_unread(association));
    if (socket->style == SOCKET_ONE_TO_ONE) {
        socket->peer_shut = true;
        socket->state = SOCKET_CLOSING;
    }
    socket_association_publish(association);
    socket_changed(socket, SOCKET_STATE | SOCKET_READABLE);
}

static void event_path(struct socket_association *association, const struct braid_event *event)
{
    notify_path_change(association, event, after_unread(association));
    if (event->path_change == BRAID_PATH_MADE_PRIMARY)
        learn_primary(association);
}

static void event_partial_delivery_aborted(struct socket_association *association,
                                           const struct braid_event *event)
{
    if (association->socket->partial == association)
        association->socket->partial = NULL;
    notify_partial_delivery(association, event, after_unread(association));
    socket_changed(association->socket, SOCKET_READABLE);
}

/* What still comes to a closed socket, or one that was shut down for reading, is acknowledged and
 * thrown away, as Linux does: else the window closes, and the peer cannot send what it has to
 * before its SHUTDOWN ACK. */
static void discard_messages(struct socket_association *association, braid_time now)
{
    struct braid_engine *engine = association->socket->table->engine;
    struct braid_received message;

    while (braid_receive(engine, association->engine, &message, now) > 0)
        braid_received_release(engine, &message, now);
}

static void association_event(struct socket_association *association,
                              const struct braid_event *event, braid_time now)
{
    switch (event->type) {
    case BRAID_EVENT_UP:
        break;
    case BRAID_EVENT_DOWN:
        event_down(association, event, now);
        break;
    case BRAID_EVENT_RESTART:
        notify_association_change(association, SCTP_RESTART, 0, after_unread(association), NULL, 0);
        socket_association_publish(association);
        socket_association_set_readable(association);
        break;
    case BRAID_EVENT_READABLE:
        if (association->socket->closed || association->socket->shut_read)
            discard_messages(association, now);
        else
            socket_association_set_readable(association);
        break;
    case BRAID_EVENT_WRITABLE:
        socket_changed(association->socket, SOCKET_WRITABLE);
        break;
    case BRAID_EVENT_PATH:
        event_path(association, event);
        break;
    case BRAID_EVENT_SEND_FAILED:
        notify_send_failed(association, event, after_unread(association));
        break;
    case BRAID_EVENT_REMOTE_ERROR:
        notify_remote_error(association, event, after_unread(association));
        break;
    case BRAID_EVENT_PEER_SHUTDOWN:
        event_peer_shutdown(association);
        break;
    case BRAID_EVENT_DRY:
        notify_dry(association);
        break;
    case BRAID_EVENT_PARTIAL_DELIVERY_ABORTED:
        event_partial_delivery_aborted(association, event);
        break;
    case BRAID_EVENT_ADAPTATION:
        notify_adaptation(association, event->value, association->messages_read);
        break;
    case BRAID_EVENT_AUTHENTICATION:
        /* that the peer has no AUTH belongs to the setup, before its first message */
        notify_authentication(association, event,
                              event->authentication == BRAID_AUTHENTICATION_NONE
                                  ? association->messages_read
                                  : after_unread(association));
        break;
    case BRAID_EVENT_STREAMS_RESET:
        notify_streams_reset(association, event, after_unread(association));
        break;
    case BRAID_EVENT_ASSOCIATION_RESET:
        notify_association_reset(association, event, after_unread(association));
        break;
    case BRAID_EVENT_STREAMS_ADDED:
        socket_association_publish(association);
        socket_changed(association->socket, SOCKET_STATE);
        notify_streams_added(association, event, after_unread(association));
        break;
    }
}

void socket_event(struct socket_table *table, const struct braid_event *event, braid_time now)
{
    struct socket_association *association =
        braid_association_user(table->engine, event->association);

    if (event->type == BRAID_EVENT_UP)
        event_up(table, association, event, now);
    else if (association)
        association_event(association, event, now);
    else if (event->type == BRAID_EVENT_DOWN)
        braid_association_release(table->engine, event->association, now);
}
