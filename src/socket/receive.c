/* What the reader gets next: user messages, notifications, and sockets to accept.
 *
 * RFC 6458, section 3.1.4 (recvmsg), 5.3.5 (SCTP_RCVINFO), 6.1 (notifications among messages),
 * 8.1.20 (SCTP_FRAGMENT_INTERLEAVE), 4.1.4 (accept).
 */
#include <stdlib.h>

#include "socket/private.h"

void socket_association_set_readable(struct socket_association *association)
{
    association->readable = true;
    if (list_is_empty(&association->ready))
        list_append(&association->socket->readable, &association->ready);
    socket_changed(association->socket, SOCKET_READABLE);
}

static void fill_message(struct socket_association *association, struct socket_received *received)
{
    struct sctp_socket *socket = association->socket;
    const struct braid_received *message = &received->message;
    bool unordered = message->flags & BRAID_RECEIVE_UNORDERED;

    received->kind = SOCKET_MESSAGE;
    received->bytes = message->bytes;
    received->length = message->length;
    received->end_of_record = message->flags & BRAID_RECEIVE_END;
    received->owner = association->engine;
    received->notification = NULL;
    received->accepted = NULL;
    received->info = (struct channel_info){
        .stream = message->stream,
        .ssn = message->ssn,
        .flags = unordered ? SCTP_UNORDERED : 0,
        .ppid = htonl(message->ppid),
        .context = association->receive_context,
        .tsn = message->tsn,
        .cumulative_tsn = unordered ? message->cumulative_tsn : 0,
        .association = association->identifier,
    };
    address_to_user(socket, &association->primary, association->peer_port, &received->from);
}

static void fill_notification(struct socket_association *association,
                              struct socket_received *received)
{
    struct socket_notification *notification =
        LIST_ENTRY(association->notifications.next, struct socket_notification, link);

    list_remove(&notification->link);
    *received = (struct socket_received){
        .kind = SOCKET_NOTIFICATION,
        .bytes = notification->bytes,
        .length = notification->length,
        .end_of_record = true,
        .notification = notification,
        /* as on Linux: of one that the peer has not answered there is none */
        .info.association = association->up ? association->identifier : 0,
    };
    address_to_user(association->socket, &association->primary, association->peer_port,
                    &received->from);
}

static bool notification_is_due(const struct socket_association *association)
{
    if (list_is_empty(&association->notifications))
        return false;
    return LIST_ENTRY(association->notifications.next, struct socket_notification, link)->after <=
           association->messages_read;
}

static bool receive_message(struct socket_association *association,
                            struct socket_received *received, braid_time now)
{
    struct sctp_socket *socket = association->socket;

    if (!association->readable)
        return false;
    if (braid_receive(socket->table->engine, association->engine, &received->message, now) <= 0) {
        association->readable = false;
        return false;
    }
    fill_message(association, received);
    if (received->end_of_record)
        association->messages_read++;
    if (socket_is_one_to_many(socket) && !socket->fragment_interleave)
        socket->partial = received->end_of_record ? NULL : association;
    association->held_bytes += received->length;
    socket->held_bytes += received->length;
    if (list_is_empty(&association->held))
        list_append(&socket->held, &association->held);
    return true;
}

/* The next thing of one association. False: it has none, and is off the list. */
static bool receive_from(struct socket_association *association, struct socket_received *received,
                         braid_time now)
{
    struct sctp_socket *socket = association->socket;

    if (notification_is_due(association)) {
        fill_notification(association, received);
    } else if (!receive_message(association, received, now)) {
        if (list_is_empty(&association->notifications)) {
            list_remove(&association->ready);
            if (association->down) {
                socket_association_free(association, now);
                socket_changed(socket, SOCKET_STATE);
            }
            return false;
        }
        fill_notification(association, received);
    }
    /* The others' turn, but for a message that has begun. */
    list_remove(&association->ready);
    list_append(&socket->readable, &association->ready);
    return true;
}

static bool receive_accepted(struct sctp_socket *socket, struct socket_received *received)
{
    struct sctp_socket *child;

    if (list_is_empty(&socket->accepted))
        return false;
    child = LIST_ENTRY(socket->accepted.next, struct sctp_socket, accept_link);
    list_remove(&child->accept_link);
    socket->waiting++;
    *received = (struct socket_received){
        .kind = SOCKET_ACCEPTED,
        .accepted = child,
        .end_of_record = true,
    };
    address_to_user(child, &child->peer, child->peer_port, &received->from);
    return true;
}

bool socket_receive(struct sctp_socket *socket, struct socket_received *received, braid_time now)
{
    if (socket->closed)
        return false;
    if (receive_accepted(socket, received))
        return true;
    if (socket->partial && receive_from(socket->partial, received, now))
        return true;
    while (!socket->partial && !list_is_empty(&socket->readable)) {
        struct list *first = socket->readable.next;

        if (receive_from(LIST_ENTRY(first, struct socket_association, ready), received, now))
            return true;
    }
    return false;
}

void socket_received_release(struct sctp_socket *socket, struct socket_received *received,
                             braid_time now)
{
    if (received->kind == SOCKET_MESSAGE)
        braid_received_release(socket->table->engine, &received->message, now);
    free(received->notification);
    received->notification = NULL;
}

bool socket_hold(struct sctp_socket *socket, uint32_t bytes, braid_time now)
{
    uint32_t before = socket->held_bytes;
    uint32_t sum = 0;
    bool small = false;

    LIST_FOR_EACH_SAFE(link, &socket->held)
    {
        struct socket_association *association = LIST_ENTRY(link, struct socket_association, held);
        uint32_t share =
            before > 0 ? (uint32_t)((uint64_t)bytes * association->held_bytes / before) : 0;

        if (share > association->held_bytes)
            share = association->held_bytes;
        association->held_bytes = share;
        sum += share;
        if (share == 0)
            list_remove(link);
        if (!association->down)
            small |=
                braid_association_hold(socket->table->engine, association->engine, share, now) == 1;
    }
    socket->held_bytes = sum;
    return small;
}

void socket_set_waiting(struct sctp_socket *socket, uint32_t waiting)
{
    if (socket->waiting == waiting)
        return;
    socket->waiting = waiting;
    socket_update_backlog(socket);
}

int socket_queue_size(const struct sctp_socket *socket)
{
    int64_t sum = 0;

    if (socket->style == SOCKET_ONE_TO_ONE && socket->state == SOCKET_LISTENING)
        return -ENOTCONN;
    LIST_FOR_EACH(link, &socket->associations)
    {
        const struct socket_association *association =
            LIST_ENTRY(link, struct socket_association, link);
        struct braid_association_info info;

        if (braid_association_info(socket->table->engine, association->engine, &info) == 0)
            sum += info.queued_bytes;
    }
    return sum > INT32_MAX ? INT32_MAX : (int)sum;
}
