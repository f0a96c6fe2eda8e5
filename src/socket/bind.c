/* Ports and local addresses: bind(), sctp_bindx(), and the ports that nobody asked for.
 *
 * RFC 6458, section 3.1.2, 4.1.2 (bind), 9.1 (sctp_bindx). The engine's endpoint is opened only
 * when it is needed (listen, connect), so that addresses can come and go before.
 */
#include "socket/options.h"

static struct list *port_list(struct socket_table *table, uint16_t port)
{
    return &table->ports[port % (sizeof(table->ports) / sizeof(table->ports[0]))];
}

/* Which families a bound address stands for as "any". */
static bool covers_ipv4(const struct sctp_socket *socket, const struct braid_address *address)
{
    return braid_address_is_unspecified(address) &&
           (address->family == BRAID_IPV4 || !socket->v6only);
}

static bool covers_ipv6(const struct braid_address *address)
{
    return braid_address_is_unspecified(address) && address->family == BRAID_IPV6;
}

/* As on Linux: the rule is that of an IPv6 socket if one of them is, and to it "any" is alike to
 * every address, whatever its family, unless it has IPV6_V6ONLY. */
static bool addresses_conflict(const struct sctp_socket *socket,
                               const struct braid_address *address, const struct sctp_socket *other,
                               const struct braid_address *other_address)
{
    const struct sctp_socket *rule = other->domain == AF_INET6 ? other : socket;

    if (rule->v6only && address->family != other_address->family)
        return false;
    return braid_address_is_unspecified(address) || braid_address_is_unspecified(other_address) ||
           braid_address_equal(address, other_address);
}

static bool may_share(const struct sctp_socket *socket, const struct sctp_socket *other)
{
    bool reuse = socket->reuse_address || socket->sctp_reuse_port;
    bool other_reuse = other->reuse_address || other->sctp_reuse_port;

    if (reuse && other_reuse && other->state != SOCKET_LISTENING)
        return true;
    return socket->reuse_port && other->reuse_port && socket->quota == other->quota;
}

/* Both are bound to one, and no packet is for both. */
static bool interfaces_differ(const struct sctp_socket *socket, const struct sctp_socket *other)
{
    return socket->interface != 0 && other->interface != 0 && socket->interface != other->interface;
}

static bool port_conflicts(const struct sctp_socket *socket, uint16_t port,
                           const struct braid_address *address)
{
    const struct list *list = port_list(socket->table, port);

    LIST_FOR_EACH(link, list)
    {
        const struct sctp_socket *other = LIST_ENTRY(link, struct sctp_socket, port_link);

        if (other == socket || other->port != port || may_share(socket, other) ||
            interfaces_differ(socket, other))
            continue;
        for (size_t i = 0; i < other->bound_count; i++)
            if (addresses_conflict(socket, address, other, &other->bound[i]))
                return true;
    }
    return false;
}

static bool port_is_used(struct socket_table *table, uint16_t port)
{
    const struct list *list = port_list(table, port);

    LIST_FOR_EACH(link, list)
    {
        if (LIST_ENTRY(link, struct sctp_socket, port_link)->port == port)
            return true;
    }
    return false;
}

/* A port that no socket has; 0 if there is none. A range that the socket asks for (IP_LOCAL_PORT_
 * RANGE) holds as far as it lies within the host's. */
static uint16_t choose_port(const struct sctp_socket *socket)
{
    struct socket_table *table = socket->table;
    uint32_t lowest = table->config.port_lowest, highest = table->config.port_highest;
    uint32_t own_lowest = socket->port_range & UINT16_MAX, own_highest = socket->port_range >> 16;
    uint32_t count, random;

    if (own_lowest > lowest && own_lowest <= highest)
        lowest = own_lowest;
    if (own_highest != 0 && own_highest < highest && own_highest >= lowest)
        highest = own_highest;
    count = highest - lowest + 1;
    table->config.random(table->config.context, &random, sizeof(random));
    for (uint32_t i = 0; i < count; i++) {
        uint16_t port = (uint16_t)(lowest + (random + i) % count);

        if (!port_is_used(table, port))
            return port;
    }
    return 0;
}

static bool host_has(const struct socket_table *table, const struct braid_address *address)
{
    if (braid_address_is_unspecified(address))
        return true;
    if (address->family == BRAID_IPV4 && braid_address_is_loopback(address))
        return true;
    for (size_t i = 0; i < table->address_count; i++)
        if (braid_address_equal(address, &table->addresses[i]))
            return true;
    return false;
}

/* To addresses that the host does not have, or not yet: ip(7), ipv6(7). */
static bool binds_freely(const struct sctp_socket *socket, const struct braid_address *address)
{
    return option_kept(socket, SOL_IP, IP_FREEBIND) != 0 ||
           (address->family == BRAID_IPV6 && option_kept(socket, SOL_IP, IP_TRANSPARENT) != 0);
}

/* As on Linux "any" is alike to each address that it stands for, from either side. */
static bool is_bound_to(const struct sctp_socket *socket, const struct braid_address *address)
{
    for (size_t i = 0; i < socket->bound_count; i++)
        if (addresses_conflict(socket, address, socket, &socket->bound[i]))
            return true;
    return false;
}

static void socket_take_port(struct sctp_socket *socket, uint16_t port)
{
    if (socket->port != 0)
        return;
    socket->port = port;
    list_append(port_list(socket->table, port), &socket->port_link);
}

static bool port_is_forbidden(const struct sctp_socket *socket, uint16_t port,
                              const struct socket_caller *caller)
{
    return port != 0 && port < socket->table->config.privileged_below && !caller->privileged;
}

/* Adds one address to those that the socket is bound to. */
static int bind_one(struct sctp_socket *socket, const void *bytes, size_t length,
                    const struct socket_caller *caller)
{
    struct braid_address address;
    uint16_t port;
    int error = address_from_user(socket, bytes, length, &address, &port, NULL);

    if (error < 0)
        return error;
    if (!binds_freely(socket, &address) && !host_has(socket->table, &address))
        return -EADDRNOTAVAIL;
    if (!braid_address_is_unspecified(&address) && !braid_address_is_unicast(&address))
        return -EADDRNOTAVAIL;
    if (socket->port != 0 && port == 0)
        port = socket->port;
    if (socket->port != 0 && port != socket->port)
        return -EINVAL;
    if (port_is_forbidden(socket, port, caller))
        return -EACCES;
    if (is_bound_to(socket, &address) || socket->bound_count == SOCKET_BOUND_MAXIMUM)
        return -EINVAL;
    if (port == 0)
        port = choose_port(socket);
    if (port == 0 || port_conflicts(socket, port, &address))
        return -EADDRINUSE;
    socket_take_port(socket, port);
    socket->bound[socket->bound_count++] = socket->name = address;
    return 0;
}

int socket_bind(struct sctp_socket *socket, const void *address, size_t length,
                const struct socket_caller *caller)
{
    int error;

    if (socket->port != 0)
        return -EINVAL;
    error = bind_one(socket, address, length, caller);
    if (error == 0)
        socket_changed(socket, SOCKET_STATE);
    return error;
}

int socket_autobind(struct sctp_socket *socket)
{
    uint16_t port;

    if (socket->port != 0)
        return 0;
    port = choose_port(socket);
    if (port == 0)
        return -EAGAIN;
    socket_take_port(socket, port);
    socket->bound[0] =
        (struct braid_address){.family = socket->domain == AF_INET6 ? BRAID_IPV6 : BRAID_IPV4};
    socket->bound_count = 1;
    return 0;
}

bool socket_is_bound_to_any(const struct sctp_socket *socket)
{
    for (size_t i = 0; i < socket->bound_count; i++)
        if (braid_address_is_unspecified(&socket->bound[i]))
            return true;
    return false;
}

int socket_open_endpoint(struct sctp_socket *socket)
{
    struct braid_endpoint_config config = {
        .port = socket->port,
        .addresses = socket->bound,
        .address_count = socket->bound_count,
        .share_port = true, /* who may share is decided here */
        .free_bind = true,  /* and which addresses there are */
        .parameters = &socket->parameters,
        .keys = socket->keys,
        .account = &socket->quota->account,
        .user = socket,
    };

    if (socket->endpoint != 0)
        return 0;
    if (socket_is_bound_to_any(socket)) {
        config.addresses = NULL;
        config.address_count = 0;
        for (size_t i = 0; i < socket->bound_count; i++) {
            config.ipv4 |= covers_ipv4(socket, &socket->bound[i]);
            config.ipv6 |= covers_ipv6(&socket->bound[i]);
        }
    }
    return braid_endpoint_open(socket->table->engine, &config, &socket->endpoint);
}

/* Takes addresses away again. At least one must stay. */
static int unbind_one(struct sctp_socket *socket, const void *bytes, size_t length)
{
    struct braid_address address;
    uint16_t port;
    int error;

    if (socket->bound_count <= 1)
        return -EBUSY;
    error = address_from_user(socket, bytes, length, &address, &port, NULL);
    if (error < 0)
        return error;
    if (!braid_address_is_unicast(&address) && !braid_address_is_unspecified(&address))
        return -EADDRNOTAVAIL;
    if (port != 0 && port != socket->port)
        return -EINVAL;
    for (size_t i = 0; i < socket->bound_count; i++) {
        if (!braid_address_equal(&address, &socket->bound[i]))
            continue;
        socket->bound_count--;
        memmove(&socket->bound[i], &socket->bound[i + 1],
                (socket->bound_count - i) * sizeof(socket->bound[0]));
        return 0;
    }
    return -EINVAL;
}

/* Opens the endpoint anew with the addresses as they are now: possible as long as nothing hangs on
 * it. Associations that are there keep their addresses, as on Linux, but those that have ASCONF
 * (RFC 5061) tell their peers. An endpoint of all of the host's stays one while it has any. */
static int refresh_endpoint(struct sctp_socket *socket, bool was_any, braid_time now)
{
    struct braid_engine *engine = socket->table->engine;
    uint32_t backlog = socket->state == SOCKET_LISTENING ? socket->backlog : 0;
    int error;

    if (socket->endpoint == 0)
        return 0;
    if (!list_is_empty(&socket->associations))
        return was_any || socket_is_bound_to_any(socket)
                   ? 0
                   : braid_endpoint_set_addresses(engine, socket->endpoint, socket->bound,
                                                  socket->bound_count, now);
    braid_endpoint_close(engine, socket->endpoint, now);
    socket->endpoint = 0;
    error = socket_open_endpoint(socket);
    if (error == 0 && backlog > 0)
        error = braid_endpoint_listen(engine, socket->endpoint, backlog);
    return error;
}

static size_t sockaddr_length(const uint8_t *bytes, size_t left)
{
    sa_family_t family;
    size_t length = 0;

    if (left < sizeof(family))
        return 0;
    memcpy(&family, bytes, sizeof(family));
    if (family == AF_INET)
        length = sizeof(struct sockaddr_in);
    else if (family == AF_INET6)
        length = sizeof(struct sockaddr_in6);
    return length <= left ? length : 0;
}

/* One after the other. As on Linux those before one that fails are taken back, as far as that goes:
 * of a socket that had none the last stays, and what was taken back for nothing comes again. */
static int change_each(struct sctp_socket *socket, const uint8_t *addresses, size_t length,
                       bool add, const struct socket_caller *caller)
{
    size_t at = 0;

    while (at < length) {
        size_t each = sockaddr_length(addresses + at, length - at);
        int error = add ? bind_one(socket, addresses + at, each, caller)
                        : unbind_one(socket, addresses + at, each);

        if (error < 0) {
            change_each(socket, addresses, at, !add, caller);
            return error;
        }
        at += each;
    }
    return 0;
}

int socket_bind_change(struct sctp_socket *socket, const void *addresses, size_t length, bool add,
                       const struct socket_caller *caller, braid_time now)
{
    bool was_any = socket_is_bound_to_any(socket);
    const uint8_t *position = addresses;
    int error;

    /* All must be whole before the first is looked at closely. */
    if (length == 0)
        return -EINVAL;
    for (size_t left = length; left > 0;) {
        size_t each = sockaddr_length(position, left);

        if (each == 0)
            return -EINVAL;
        position += each;
        left -= each;
    }
    error = change_each(socket, addresses, length, add, caller);
    if (error == 0) {
        error = refresh_endpoint(socket, was_any, now);
        if (error < 0)
            change_each(socket, addresses, length, !add, caller);
    }
    socket_changed(socket, SOCKET_STATE);
    return error;
}

int socket_listen(struct sctp_socket *socket, int backlog)
{
    int error;

    if (backlog < 0 || socket->style == SOCKET_PEELED_OFF || socket->disconnecting)
        return -EINVAL;
    if (socket->state != SOCKET_CLOSED && socket->state != SOCKET_LISTENING)
        return -EINVAL;
    if (backlog == 0) {
        if (socket->state == SOCKET_CLOSED)
            return -EINVAL;
        braid_endpoint_listen(socket->table->engine, socket->endpoint, 0);
        socket->state = SOCKET_CLOSED;
        socket_changed(socket, SOCKET_STATE);
        return 0;
    }
    if (socket->state == SOCKET_CLOSED) {
        error = socket_autobind(socket);
        if (error < 0)
            return error;
        for (size_t i = 0; i < socket->bound_count; i++)
            if (port_conflicts(socket, socket->port, &socket->bound[i]))
                return -EADDRINUSE;
        error = socket_open_endpoint(socket);
        if (error < 0)
            return error;
    }
    /* One-to-many sockets have no queue to accept from: nothing limits them but the engine. */
    socket->backlog = socket_is_one_to_many(socket) ? UINT32_MAX : (uint32_t)backlog + 1;
    socket->state = SOCKET_LISTENING;
    socket_update_backlog(socket);
    socket_changed(socket, SOCKET_STATE);
    return 0;
}

void socket_update_backlog(struct sctp_socket *socket)
{
    uint32_t taken = socket->waiting;

    if (socket->state != SOCKET_LISTENING)
        return;
    LIST_FOR_EACH(link, &socket->accepted)
    {
        taken++;
    }
    braid_endpoint_listen(socket->table->engine, socket->endpoint,
                          socket->backlog > taken ? socket->backlog - taken : 0);
}

size_t socket_bound_addresses(const struct sctp_socket *socket, struct braid_address *addresses,
                              size_t capacity)
{
    size_t count = socket->bound_count < capacity ? socket->bound_count : capacity;

    memcpy(addresses, socket->bound, count * sizeof(*addresses));
    return socket->bound_count;
}

void socket_learn_name(const struct socket_association *association)
{
    struct braid_engine *engine = association->socket->table->engine;
    struct braid_association_info info;
    struct braid_path_info path;

    if (braid_association_info(engine, association->engine, &info) == 0 &&
        braid_path_info(engine, association->engine, info.primary_path, &path) == 0 &&
        path.source.family != 0)
        association->socket->name = path.source;
}

int socket_getsockname(struct sctp_socket *socket, union channel_address *address, size_t *length)
{
    const struct socket_association *only = NULL;

    struct braid_address any = {.family = socket->domain == AF_INET6 ? BRAID_IPV6 : BRAID_IPV4};

    if (!socket_is_one_to_many(socket) && socket->state != SOCKET_LISTENING)
        only = socket_find_association(socket, 0);
    if (only)
        socket_learn_name(only);
    *length = address_to_user(socket, socket->name.family != 0 ? &socket->name : &any, socket->port,
                              address);
    return 0;
}

int socket_getpeername(const struct sctp_socket *socket, union channel_address *address,
                       size_t *length)
{
    if (socket->peer_port == 0 || socket->state == SOCKET_CLOSED)
        return -ENOTCONN;
    *length = address_to_user(socket, &socket->peer, socket->peer_port, address);
    return 0;
}
