/* Associations that the program begins or divides: connect(), sctp_connectx(), implicit setup,
 * peel-off.
 *
 * RFC 6458, section 3.1.6, 4.1.5 (connect), 9.9 (sctp_connectx), 9.2 (sctp_peeloff).
 */
#include "socket/private.h"

/* What SCTP_INIT as ancillary data changes for one association (RFC 6458, 5.3.1). */
static void apply_init(struct braid_parameters *parameters, const struct sctp_initmsg *init)
{
    if (init->sinit_num_ostreams != 0)
        parameters->outbound_streams = init->sinit_num_ostreams;
    if (init->sinit_max_instreams != 0)
        parameters->inbound_streams = init->sinit_max_instreams;
    if (init->sinit_max_attempts != 0)
        parameters->max_init_retransmits = init->sinit_max_attempts;
    if (init->sinit_max_init_timeo != 0)
        parameters->max_init_timeout = init->sinit_max_init_timeo;
}

/* As on Linux: one of our addresses must be one that the peer may be told. From 127.0.0.1 alone no
 * other host is reached, nor another address of this one. */
static bool has_address_for(const struct sctp_socket *socket, const struct braid_address *peer)
{
    enum braid_reach reach = braid_address_reach(peer);

    if (reach == BRAID_REACH_GLOBAL) /* an address translator may be between */
        reach = BRAID_REACH_LINK;
    for (size_t i = 0; i < socket->bound_count; i++)
        if (braid_address_is_unspecified(&socket->bound[i]) ||
            braid_address_reach(&socket->bound[i]) >= reach)
            return true;
    return false;
}

int socket_associate(struct sctp_socket *socket, const struct braid_address *addresses,
                     size_t count, uint16_t port, const struct sctp_initmsg *init,
                     const struct socket_caller *caller, braid_time now,
                     struct socket_association **association)
{
    struct socket_table *table = socket->table;
    struct braid_parameters *parameters;
    uint32_t engine;
    int error;

    error = socket_autobind(socket);
    if (error < 0)
        return error;
    if (socket->port < table->config.privileged_below && !caller->privileged)
        return -EACCES;
    if (!has_address_for(socket, &addresses[0]))
        return -ENETUNREACH;
    error = socket_open_endpoint(socket);
    if (error < 0)
        return error;
    parameters = braid_endpoint_parameters(table->engine, socket->endpoint);
    if (init && parameters)
        apply_init(parameters, init);
    error = braid_connect(table->engine, socket->endpoint, addresses, count, port,
                          socket->encapsulation_port, now, &engine);
    if (init)
        socket_apply_parameters(socket);
    if (error < 0)
        return error;
    *association = socket_association_new(socket, engine);
    if (!*association) {
        braid_abort(table->engine, engine, NULL, 0, now);
        braid_association_release(table->engine, engine, now);
        return -ENOMEM;
    }
    (*association)->peer_port = port;
    (*association)->primary = addresses[0];
    socket_learn_name(*association);
    if (!socket_is_one_to_many(socket)) {
        socket->peer = addresses[count - 1]; /* getpeername(): as on Linux the last */
        socket->peer_port = port;
    }
    socket->error = 0;
    socket_association_publish(*association);
    socket_changed(socket, SOCKET_STATE);
    return 0;
}

/* Reads packed sockaddrs that all must have one port. */
static int read_destinations(const struct sctp_socket *socket, const void *bytes, size_t length,
                             struct braid_address *addresses, size_t *count, uint16_t *port)
{
    const uint8_t *position = bytes;

    *count = 0;
    while (length > 0) {
        uint16_t each_port;
        size_t used;
        int error;

        if (*count == SOCKET_CONNECT_MAXIMUM)
            return -EINVAL;
        error = address_from_user(socket, position, length, &addresses[*count], &each_port, &used);
        if (error < 0)
            return error;
        if (!braid_address_is_unicast(&addresses[*count]) ||
            (braid_address_is_link_local(&addresses[*count]) &&
             addresses[*count].family == BRAID_IPV6 && addresses[*count].scope == 0))
            return -EINVAL;
        if (*count > 0 && each_port != *port)
            return -EINVAL;
        *port = each_port;
        (*count)++;
        position += used;
        length -= used;
    }
    return *count > 0 ? 0 : -EINVAL;
}

int socket_connect(struct sctp_socket *socket, const void *addresses, size_t length,
                   const struct socket_caller *caller, braid_time now, int32_t *association)
{
    struct braid_address destinations[SOCKET_CONNECT_MAXIMUM];
    struct socket_association *existing, *new;
    sa_family_t family;
    size_t count;
    uint16_t port = 0;
    int error;

    if (length < sizeof(family))
        return -EINVAL;
    memcpy(&family, addresses, sizeof(family));
    if (family == AF_UNSPEC)
        return -EOPNOTSUPP;
    if (socket->state == SOCKET_ESTABLISHED || socket->state == SOCKET_CLOSING ||
        (socket->style == SOCKET_ONE_TO_ONE && socket->state == SOCKET_LISTENING))
        return -EISCONN;
    error = read_destinations(socket, addresses, length, destinations, &count, &port);
    if (count == 0)
        return error;
    for (size_t i = 0; i < count; i++) {
        existing = socket_find_peer(socket, &destinations[i], port);
        if (existing)
            return existing->up ? -EISCONN : -EALREADY;
    }
    if (error < 0) {
        /* as on Linux: it begins with the addresses before the one that is wrong, which leaves the
         * socket bound, and with a name */
        int before = socket_associate(socket, destinations, count, port, NULL, caller, now, &new);

        if (before == 0)
            socket_association_free(new, now);
        return before < 0 ? before : error;
    }
    existing = socket_is_one_to_one(socket) ? socket_find_association(socket, 0) : NULL;
    error = socket_associate(socket, destinations, count, port, NULL, caller, now, &new);
    if (error == -EISCONN) /* another socket of this port has it: peeled off, or accepted */
        return -EADDRNOTAVAIL;
    if (error < 0)
        return error;
    /* Linux has both from now on, and what comes of the first is the socket's, too; RFC
     * 6458, 4.1.5, knows one */
    if (existing) {
        braid_abort(socket->table->engine, existing->engine, NULL, 0, now);
        socket_association_free(existing, now);
        socket_changed(socket, SOCKET_STATE);
    }
    socket->peer = destinations[count - 1]; /* as on Linux the last */
    socket->peer_port = port;
    if (association)
        *association = new->identifier;
    return -EINPROGRESS;
}

int socket_peel_off(struct sctp_socket *socket, int32_t identifier, struct sctp_socket **peeled)
{
    struct socket_association *association = socket_find_association(socket, identifier);
    struct sctp_socket *new;
    int error;

    if (!socket_is_one_to_many(socket) || !association)
        return -EINVAL;
    new = socket_clone(socket, SOCKET_PEELED_OFF, &error);
    if (!new)
        return error;
    error = braid_association_move(socket->table->engine, association->engine, new->endpoint);
    if (error < 0) {
        socket_free(new, 0);
        return error;
    }
    socket_association_give(association, new);
    new->peer = association->primary;
    new->peer_port = association->peer_port;
    socket_association_publish(association);
    socket_changed(socket, SOCKET_STATE);
    socket_changed(new, SOCKET_STATE);
    *peeled = new;
    return 0;
}
