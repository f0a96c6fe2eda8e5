/* Sending: one user message, with the meaning that ancillary data and defaults give it.
 *
 * RFC 6458, section 3.1.4 (sendmsg), 5.3.2, 5.3.4 (SCTP_SNDRCV, SCTP_SNDINFO), 4.1.8, 8.1.13.
 * Order and results of the checks are those of Linux's sctp_sendmsg().
 */
#include "socket/private.h"

/* A message on its way: who it is for, and how. */
struct outgoing {
    const struct channel_header *header;
    const void *bytes;
    size_t length;
    const void *more; /* further destinations */
    size_t more_length;
    bool has_info;
    bool implicit;                    /* it begins an association */
    struct socket_send_defaults send; /* the ancillary data */
    uint32_t path;                    /* with SCTP_ADDR_OVER */
    bool over_path;
};

static int check_message(const struct sctp_socket *socket, const struct outgoing *message)
{
    uint16_t flags = message->send.flags;

    if (socket->style == SOCKET_ONE_TO_ONE && socket->state == SOCKET_LISTENING)
        return -EPIPE;
    if (message->length > socket->send_buffer)
        return -EMSGSIZE;
    if (message->has_info && (flags & ~CHANNEL_SEND_FLAGS))
        return -EINVAL;
    if (flags == 0 && message->length > 0)
        return 0;
    if (socket->style == SOCKET_ONE_TO_ONE && (flags & (SCTP_EOF | SCTP_ABORT)))
        return -EINVAL;
    if ((flags & SCTP_EOF) && message->length > 0)
        return -EINVAL;
    if (!(flags & (SCTP_EOF | SCTP_ABORT)) && message->length == 0)
        return -EINVAL;
    if ((flags & SCTP_ADDR_OVER) && !(message->header->flags & CHANNEL_HAS_ADDRESS))
        return -EINVAL;
    return 0;
}

/* A peer's address must be one, whatever becomes of it. */
static int check_address(const struct sctp_socket *socket, const struct channel_header *header)
{
    struct braid_address address;
    uint16_t port;
    int error;

    if (!(header->flags & CHANNEL_HAS_ADDRESS) || socket->style == SOCKET_PEELED_OFF)
        return 0;
    error =
        address_from_user(socket, &header->address, sizeof(header->address), &address, &port, NULL);
    if (error < 0)
        return error;
    return braid_address_is_unicast(&address) ? 0 : -EINVAL;
}

/* SCTP_EOF and SCTP_ABORT. 1: go on and send. */
static int apply_flags(struct socket_association *association, const struct outgoing *message,
                       braid_time now)
{
    struct braid_engine *engine = association->socket->table->engine;
    uint16_t flags = message->send.flags;

    if ((flags & SCTP_SENDALL) && socket_is_one_to_many(association->socket) && !association->up)
        return 0;
    if (flags & SCTP_EOF) {
        association->shutting = true;
        braid_shutdown(engine, association->engine, now);
        socket_association_publish(association);
        return 0;
    }
    if (flags & SCTP_ABORT) {
        braid_abort(engine, association->engine, message->bytes, message->length, now);
        return 0;
    }
    return 1;
}

/* RFC 6458, 5.3.7: what SCTP_PRINFO says, or SCTP_SNDRCV, or else SCTP_DEFAULT_PRINFO. */
static void choose_policy(const struct socket_association *association,
                          const struct outgoing *message, struct socket_send_defaults *send)
{
    const struct socket_send_defaults *from = &message->send;

    if (!(message->header->flags & CHANNEL_HAS_PR)) {
        if (SCTP_PR_POLICY(send->flags) || send->time_to_live > 0)
            return;
        from = &association->send;
    }
    send->flags = (uint16_t)((send->flags & ~SCTP_PR_SCTP_MASK) | SCTP_PR_POLICY(from->flags));
    send->time_to_live = from->time_to_live;
}

static int send_to(struct socket_association *association, const struct outgoing *message,
                   braid_time now)
{
    struct braid_engine *engine = association->socket->table->engine;
    const struct channel_header *header = message->header;
    struct socket_send_defaults defaults = message->has_info ? message->send : association->send;
    struct braid_send send;
    int error;

    if (!message->has_info && header->flags & CHANNEL_HAS_PR)
        defaults.flags = 0; /* as on Linux: SCTP_PRINFO stands for all flags of the defaults */
    choose_policy(association, message, &defaults);
    send = (struct braid_send){
        .stream = defaults.stream,
        .ppid = ntohl(defaults.ppid),
        .context = defaults.context,
        .path = message->path,
    };
    send.policy = SCTP_PR_POLICY(defaults.flags) >> SOCKET_POLICY_SHIFT;
    if (send.policy <= BRAID_POLICY_LIFETIME) /* without a policy it is a lifetime: 5.3.2 */
        send.lifetime = defaults.time_to_live;
    else
        send.limit = defaults.time_to_live;
    if (defaults.flags & SCTP_UNORDERED)
        send.flags |= BRAID_SEND_UNORDERED;
    if (defaults.flags & SCTP_SACK_IMMEDIATELY)
        send.flags |= BRAID_SEND_SACK_IMMEDIATELY;
    if (message->over_path)
        send.flags |= BRAID_SEND_OVER_PATH;
    if (header->flags & CHANNEL_HOLD)
        send.flags |= BRAID_SEND_MORE;
    if (header->flags & CHANNEL_HAS_AUTH) {
        send.flags |= BRAID_SEND_KEY;
        send.key = header->auth_key;
    }
    error = braid_send(engine, association->engine, &send, message->bytes, message->length, now);
    if (error == -ENOBUFS) {
        socket_starve(association->socket);
        return -EAGAIN;
    }
    if (error == -EPIPE)
        return -ESHUTDOWN;
    return error == -ENOTCONN ? -EPIPE : error;
}

static bool has_no_room(const struct socket_association *association)
{
    struct braid_association_info info;

    return association->up && !association->down &&
           braid_association_info(association->socket->table->engine, association->engine, &info) ==
               0 &&
           !info.writable;
}

/* SCTP_SENDALL (RFC 6458, 5.3.2): to each association that is up. Who finds no room tries again, so
 * nobody may have had the message already: all must have room. */
static int send_to_all(struct sctp_socket *socket, const struct outgoing *message, braid_time now)
{
    if (message->length > 0 && !(message->send.flags & SCTP_ABORT)) {
        LIST_FOR_EACH(link, &socket->associations)
        {
            struct socket_association *association =
                LIST_ENTRY(link, struct socket_association, link);
            /* it says what is wrong, and that there is room again */
            int error = has_no_room(association) ? send_to(association, message, now) : 0;

            if (error < 0)
                return error;
        }
    }
    LIST_FOR_EACH_SAFE(link, &socket->associations)
    {
        struct socket_association *association = LIST_ENTRY(link, struct socket_association, link);
        int error;

        if (association->down)
            continue;
        error = apply_flags(association, message, now);
        if (error > 0)
            error = send_to(association, message, now);
        if (error < 0)
            return error;
    }
    return 0;
}

/* The address of the message and those that came with it (SCTP_DSTADDRV4 and V6: RFC 6458, 5.3.9,
 * 5.3.10), whose ports do not count. */
static int read_destinations(const struct sctp_socket *socket, const struct outgoing *message,
                             const struct braid_address *first, struct braid_address *destinations,
                             size_t *count)
{
    const uint8_t *position = message->more;
    size_t left = message->more_length;

    destinations[0] = *first;
    *count = 1;
    while (left > 0) {
        uint16_t port;
        size_t used;
        int error;

        if (*count == SOCKET_CONNECT_MAXIMUM)
            return -EINVAL;
        error = address_from_user(socket, position, left, &destinations[*count], &port, &used);
        if (error < 0)
            return error;
        (*count)++;
        position += used;
        left -= used;
    }
    for (size_t i = 0; i < *count; i++)
        if (!braid_address_is_unicast(&destinations[i]))
            return -EINVAL;
    return 0;
}

/* Implicit setup: the first message to a new peer (RFC 6458, 3.1.6). */
static int associate_implicitly(struct sctp_socket *socket, const struct outgoing *message,
                                const struct braid_address *address, uint16_t port,
                                const struct socket_caller *caller, braid_time now,
                                struct socket_association **association)
{
    const struct channel_header *header = message->header;
    struct sctp_initmsg init = {
        .sinit_num_ostreams = header->init.outbound_streams,
        .sinit_max_instreams = header->init.inbound_streams,
        .sinit_max_attempts = header->init.attempts,
        .sinit_max_init_timeo = header->init.timeout,
    };
    struct braid_address destinations[SOCKET_CONNECT_MAXIMUM];
    size_t count;
    int error;

    if (message->send.flags & (SCTP_EOF | SCTP_ABORT))
        return -EINVAL;
    if (socket->style == SOCKET_ONE_TO_ONE &&
        (socket->state == SOCKET_ESTABLISHED || socket->state == SOCKET_CLOSING)) {
        /* Linux still has the association of one that ended before accept() */
        bool ended = socket->was_accepted && port == socket->peer_port &&
                     braid_address_equal(address, &socket->peer);

        return ended ? -EPIPE : -EADDRNOTAVAIL;
    }
    error = read_destinations(socket, message, address, destinations, &count);
    if (error < 0)
        return error;
    error =
        socket_associate(socket, destinations, count, port,
                         header->flags & CHANNEL_HAS_INIT ? &init : NULL, caller, now, association);
    return error == -EISCONN ? -EADDRNOTAVAIL : error;
}

static int find_receiver(struct sctp_socket *socket, struct outgoing *message,
                         const struct socket_caller *caller, braid_time now,
                         struct socket_association **association)
{
    const struct channel_header *header = message->header;
    struct braid_address address;
    uint16_t port;
    int error;

    if (!(header->flags & CHANNEL_HAS_ADDRESS) || socket->style == SOCKET_PEELED_OFF) {
        *association = socket_find_association(socket, header->info.association);
        return *association ? 1 : -EPIPE;
    }
    error =
        address_from_user(socket, &header->address, sizeof(header->address), &address, &port, NULL);
    if (error < 0)
        return error;
    *association = socket_find_peer(socket, &address, port);
    message->implicit = !*association;
    if (message->implicit)
        error = associate_implicitly(socket, message, &address, port, caller, now, association);
    if (error < 0)
        return error;
    if (socket->style == SOCKET_ONE_TO_ONE || (message->send.flags & SCTP_ADDR_OVER)) {
        int path = braid_path_find(socket->table->engine, (*association)->engine, &address);

        message->over_path = path >= 0;
        message->path = path >= 0 ? (uint32_t)path : 0;
    }
    return 1;
}

int socket_send(struct sctp_socket *socket, const struct channel_header *header, const void *bytes,
                size_t length, const void *more, size_t more_length,
                const struct socket_caller *caller, braid_time now, int32_t *association)
{
    struct outgoing message = {
        .header = header,
        .bytes = bytes,
        .length = length,
        .more = more,
        .more_length = more_length,
        .has_info = header->flags & CHANNEL_HAS_INFO,
    };
    struct socket_association *receiver = NULL;
    int error;

    if (message.has_info)
        message.send = (struct socket_send_defaults){
            .stream = header->info.stream,
            .flags = header->info.flags,
            .ppid = header->info.ppid,
            .context = header->info.context,
            .time_to_live = header->time_to_live,
        };
    if (header->flags & CHANNEL_HAS_PR) {
        message.send.time_to_live = header->pr_value;
        message.send.flags = (uint16_t)((message.send.flags & ~SCTP_PR_SCTP_MASK) |
                                        (header->pr_policy & SCTP_PR_SCTP_MASK));
    }
    error = check_message(socket, &message);
    if (error == 0)
        error = check_address(socket, header);
    if (error < 0)
        return error;
    if ((message.send.flags & SCTP_SENDALL) && socket_is_one_to_many(socket))
        return send_to_all(socket, &message, now);
    error = find_receiver(socket, &message, caller, now, &receiver);
    if (association)
        *association = receiver ? receiver->identifier : 0;
    if (error < 0 || !receiver)
        return error;
    error = apply_flags(receiver, &message, now);
    if (error > 0)
        error = send_to(receiver, &message, now);
    if (error < 0 && error != -EAGAIN && message.implicit) {
        /* without the message nobody wants the association */
        socket_association_free(receiver, now);
        if (association)
            *association = 0;
    }
    return error;
}

uint32_t socket_send_room(const struct sctp_socket *socket)
{
    const struct socket_association *association = socket_find_association(socket, 0);
    uint32_t room;

    if (!association ||
        braid_association_room(socket->table->engine, association->engine, &room) < 0)
        return socket->send_buffer;
    return room;
}
