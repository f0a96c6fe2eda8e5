/* The life of a socket: made, cloned for accept and peel-off, shut down, closed.
 *
 * RFC 6458, section 3.1.1, 4.1.1 (socket), 3.1.5, 4.1.6 (close), 4.1.7 (shutdown), 8.1.4
 * (SO_LINGER).
 */
#include <stdlib.h>

#include "socket/options.h"

#define LINUX_RTO_INITIAL 3000u
#define LINUX_MAX_INIT_TIMEOUT 60000u

/* Linux's defaults where they differ from RFC 9260, section 16. */
static void socket_default_parameters(struct sctp_socket *socket)
{
    struct braid_parameters *parameters = &socket->parameters;

    braid_parameters_default(parameters);
    parameters->rto_initial = LINUX_RTO_INITIAL;
    parameters->max_init_timeout = LINUX_MAX_INIT_TIMEOUT;
    parameters->outbound_streams = 10;
    parameters->inbound_streams = 65535;
    parameters->ecn = true; /* net.sctp.ecn_enable */
    parameters->receive_buffer = socket->receive_buffer / 2;
    parameters->send_buffer = socket->send_buffer;
    parameters->auth_hmac_count = 1; /* SHA-1: net.sctp offers no more unless it is told to */
    parameters->authentication = socket->table->config.authentication;
    if (socket->table->config.asconf) {
        parameters->authentication = parameters->asconf = parameters->auto_asconf = true;
        option_require_asconf(socket);
    }
}

/* Counts it, and puts it among the others. */
static void socket_register(struct sctp_socket *socket, struct quota *quota)
{
    socket->quota = quota_share(quota);
    quota->sockets++;
    list_append(&socket->table->sockets, &socket->link);
    socket->table->count++;
}

/* -ENFILE, -EMFILE. */
static int check_count(const struct socket_table *table, const struct quota *quota)
{
    if (table->config.maximum_sockets != 0 && table->count >= table->config.maximum_sockets)
        return -ENFILE;
    return quota_allows_socket(table, quota) ? 0 : -EMFILE;
}

struct sctp_socket *socket_new(struct socket_table *table, struct quota *quota)
{
    struct sctp_socket *socket = calloc(1, sizeof(*socket));

    if (!socket)
        return NULL;
    socket->keys = braid_keys_new(NULL);
    if (!socket->keys) {
        free(socket);
        return NULL;
    }
    socket->table = table;
    socket->state = SOCKET_CLOSED;
    socket->receive_buffer = SOCKET_BUFFER_DEFAULT;
    socket->send_buffer = SOCKET_BUFFER_DEFAULT;
    socket->mapped_v4 = true;
    socket->mtu_discover = IP_PMTUDISC_WANT;
    socket->mtu_discover_ipv6 = IP_PMTUDISC_WANT;
    socket->time_to_live = socket->hop_limit = -1;
    option_keep_initial(socket);
    socket->encapsulation_port = table->config.encapsulation_port;
    socket_default_parameters(socket);
    socket->path.flags = SPP_HB_ENABLE | SPP_PMTUD_ENABLE | SPP_SACKDELAY_ENABLE;
    socket->path.hb_interval = socket->parameters.hb_interval;
    socket->path.sack_delay = socket->parameters.sack_delay;
    list_init(&socket->port_link);
    list_init(&socket->accept_link);
    list_init(&socket->accepted);
    list_init(&socket->associations);
    list_init(&socket->readable);
    list_init(&socket->held);
    list_init(&socket->starved);
    socket_register(socket, quota);
    return socket;
}

int socket_open(struct socket_table *table, int domain, int type, int protocol,
                const struct socket_caller *caller, struct sctp_socket **socket)
{
    struct quota *quota;
    int error;

    if (domain != AF_INET && domain != AF_INET6)
        return -EAFNOSUPPORT;
    if (type == SOCK_DGRAM)
        return -EPROTONOSUPPORT; /* there are such sockets, of other protocols */
    if (type != SOCK_STREAM && type != SOCK_SEQPACKET)
        return -ESOCKTNOSUPPORT;
    if (protocol != 0 && protocol != IPPROTO_SCTP)
        return -EPROTONOSUPPORT;
    quota = quota_take(table, caller->uid);
    if (!quota)
        return -ENOMEM;
    error = check_count(table, quota);
    if (error == 0) {
        *socket = socket_new(table, quota);
        error = *socket ? 0 : -ENOMEM;
    }
    quota_release(quota);
    if (error < 0)
        return error;
    (*socket)->domain = domain;
    (*socket)->style = type == SOCK_STREAM ? SOCKET_ONE_TO_ONE : SOCKET_ONE_TO_MANY;
    return 0;
}

struct sctp_socket *socket_clone(const struct sctp_socket *from, enum socket_style style,
                                 int *error)
{
    struct socket_table *table = from->table;
    struct sctp_socket *socket;

    *error = check_count(table, from->quota);
    if (*error < 0)
        return NULL;
    *error = -ENOMEM;
    socket = malloc(sizeof(*socket));
    if (!socket)
        return NULL;
    *socket = *from;
    socket->keys = braid_keys_new(from->keys);
    if (!socket->keys) {
        free(socket);
        return NULL;
    }
    socket->style = style;
    socket->state = SOCKET_ESTABLISHED;
    socket->user = NULL;
    socket->endpoint = 0;
    socket->backlog = socket->waiting = 0;
    socket->association_count = 0;
    socket->held_bytes = 0;
    socket->error = 0;
    socket->shut_read = socket->shut_write = socket->peer_shut = false;
    socket->disconnecting = false;
    socket->partial = NULL;
    list_init(&socket->accept_link);
    list_init(&socket->accepted);
    list_init(&socket->associations);
    list_init(&socket->readable);
    list_init(&socket->held);
    list_init(&socket->port_link);
    list_init(&socket->starved);
    list_append(from->port_link.previous, &socket->port_link);
    socket_register(socket, from->quota);
    *error = socket_open_endpoint(socket);
    if (*error < 0) {
        socket_free(socket, 0);
        return NULL;
    }
    return socket;
}

void socket_free(struct sctp_socket *socket, braid_time now)
{
    struct socket_table *table = socket->table;

    LIST_FOR_EACH_SAFE(link, &socket->accepted)
    {
        list_remove(link);
    }
    while (!list_is_empty(&socket->associations))
        socket_association_free(
            LIST_ENTRY(socket->associations.next, struct socket_association, link), now);
    if (socket->endpoint != 0)
        braid_endpoint_close(table->engine, socket->endpoint, now);
    list_remove(&socket->accept_link);
    list_remove(&socket->port_link);
    list_remove(&socket->starved);
    list_remove(&socket->link);
    table->count--;
    socket->quota->sockets--;
    quota_release(socket->quota);
    braid_keys_free(socket->keys);
    free(socket);
}

void socket_free_if_done(struct sctp_socket *socket, braid_time now)
{
    if (!socket->closed || !list_is_empty(&socket->associations))
        return;
    socket->table->config.callbacks.gone(socket->table->config.context, socket);
    socket_free(socket, now);
}

void socket_apply_parameters(struct sctp_socket *socket)
{
    struct braid_parameters *parameters;

    if (socket->endpoint == 0)
        return;
    parameters = braid_endpoint_parameters(socket->table->engine, socket->endpoint);
    if (parameters)
        *parameters = socket->parameters;
}

static bool association_has_unread(const struct socket_association *association)
{
    struct braid_association_info info;

    if (braid_association_info(association->socket->table->engine, association->engine, &info) < 0)
        return false;
    return info.unread_bytes > 0 || info.receive_chunks_waiting > 0;
}

void socket_close(struct sctp_socket *socket, bool unread, braid_time now)
{
    struct braid_engine *engine = socket->table->engine;
    if (socket->closed)
        return;
    socket->closed = true;
    if (socket->state == SOCKET_LISTENING)
        braid_endpoint_listen(engine, socket->endpoint, 0);
    socket->state = SOCKET_CLOSING;
    LIST_FOR_EACH_SAFE(link, &socket->accepted)
    {
        struct sctp_socket *child = LIST_ENTRY(link, struct sctp_socket, accept_link);

        list_remove(link);
        socket_close(child, false, now);
    }
    LIST_FOR_EACH_SAFE(link, &socket->associations)
    {
        struct socket_association *association = LIST_ENTRY(link, struct socket_association, link);

        if (!association->down &&
            (unread || socket_aborts(socket) || association_has_unread(association))) {
            braid_abort(engine, association->engine, NULL, 0, now);
            socket_association_free(association, now);
        } else if (association->down || braid_shutdown(engine, association->engine, now) < 0) {
            if (!association->down)
                braid_abort(engine, association->engine, NULL, 0, now);
            socket_association_free(association, now);
        } else {
            association->shutting = true;
            list_remove(&association->ready);
            list_remove(&association->held);
            braid_association_hold(engine, association->engine, 0, now);
        }
    }
    socket_free_if_done(socket, now);
}

bool socket_aborts(const struct sctp_socket *socket)
{
    return socket->linger && socket->linger_time == 0;
}

bool socket_lingers(const struct sctp_socket *socket)
{
    return socket->style != SOCKET_ONE_TO_MANY && socket->association_count > 0;
}

uint32_t socket_linger_time(const struct sctp_socket *socket)
{
    uint64_t time = (uint64_t)socket->linger_time * 1000;

    if (!socket->linger)
        return 0;
    return time > UINT32_MAX ? UINT32_MAX : (uint32_t)time;
}

int socket_shutdown(struct sctp_socket *socket, int how, braid_time now)
{
    bool read = how == SHUT_RD || how == SHUT_RDWR;
    bool write = how == SHUT_WR || how == SHUT_RDWR;
    struct socket_association *association;

    if (!read && !write)
        return -EINVAL;
    if (socket->state == SOCKET_LISTENING) {
        socket->disconnecting |= read;
        return read ? -EOPNOTSUPP : 0;
    }
    socket->shut_read |= read;
    socket->shut_write |= write;
    association = socket_is_one_to_one(socket) ? socket_find_association(socket, 0) : NULL;
    if (write && association) {
        socket->state = SOCKET_CLOSING;
        association->shutting = true;
        braid_shutdown(socket->table->engine, association->engine, now);
        socket_association_publish(association);
    }
    socket_changed(socket, SOCKET_STATE);
    return socket->state == SOCKET_CLOSED ? -ENOTCONN : 0;
}

struct quota *socket_quota(const struct sctp_socket *socket)
{
    return socket->quota;
}

void socket_starve(struct sctp_socket *socket)
{
    if (list_is_empty(&socket->starved))
        list_append(&socket->quota->starved, &socket->starved);
}

bool socket_is_starved(const struct sctp_socket *socket)
{
    return !list_is_empty(&socket->starved);
}

void *socket_user(const struct sctp_socket *socket)
{
    return socket->user;
}

void socket_set_user(struct sctp_socket *socket, void *user)
{
    socket->user = user;
}

int socket_take_error(struct sctp_socket *socket)
{
    int error = socket->error;

    socket->error = 0;
    if (error != 0)
        socket_changed(socket, SOCKET_STATE);
    return -error;
}

bool socket_has_ended(const struct sctp_socket *socket)
{
    if (socket_is_one_to_many(socket) || !list_is_empty(&socket->readable) ||
        !list_is_empty(&socket->accepted))
        return false;
    if (socket->state < SOCKET_ESTABLISHED)
        return false;
    if (socket->style == SOCKET_PEELED_OFF)
        return socket->association_count == 0 && socket->error != 0;
    /* who wants to hear of SHUTDOWN COMPLETE hears of it before the end */
    LIST_FOR_EACH(link, &socket->associations)
    {
        const struct socket_association *association =
            LIST_ENTRY(link, struct socket_association, link);

        if (!association->down && socket_event_is_on(association->subscribed, SCTP_ASSOC_CHANGE))
            return false;
    }
    return socket->association_count == 0 || socket->peer_shut;
}

bool socket_is_abandoned(const struct sctp_socket *socket)
{
    return socket->style == SOCKET_PEELED_OFF && socket->association_count == 0 &&
           list_is_empty(&socket->readable);
}

static uint32_t socket_channel_state(const struct sctp_socket *socket,
                                     const struct socket_association *only)
{
    uint32_t state = 0;

    if (socket_is_one_to_many(socket))
        state |= CHANNEL_STATE_ONE_TO_MANY |
                 (socket->association_count > 0 ? CHANNEL_STATE_CONNECTED : 0);
    else if (only)
        state |= only->up ? CHANNEL_STATE_CONNECTED : CHANNEL_STATE_CONNECTING;
    else if (socket->state >= SOCKET_ESTABLISHED)
        state |= CHANNEL_STATE_ENDED;
    if (socket->state == SOCKET_LISTENING)
        state |= CHANNEL_STATE_LISTENING;
    if (socket->state == SOCKET_CLOSING || (only && only->shutting))
        state |= CHANNEL_STATE_SHUT_WRITE;
    if (socket->shut_read || socket->peer_shut)
        state |= CHANNEL_STATE_SHUT_READ;
    if (socket_is_hung_up(socket))
        state |= CHANNEL_STATE_HUNG_UP;
    if (socket->shut_read)
        state |= CHANNEL_STATE_DEAF;
    if (socket->domain == AF_INET6)
        state |= CHANNEL_STATE_IPV6;
    if (socket->error != 0)
        state |= CHANNEL_STATE_ERROR;
    if (socket->port != 0)
        state |= CHANNEL_STATE_BOUND;
    if (socket->style == SOCKET_PEELED_OFF)
        state |= CHANNEL_STATE_PEELED_OFF;
    return state;
}

void socket_describe(const struct sctp_socket *socket, struct socket_description *description)
{
    struct socket_association *only = NULL;
    struct braid_association_info info;

    if (!socket_is_one_to_many(socket) && socket->state != SOCKET_LISTENING)
        LIST_FOR_EACH(link, &socket->associations)
        {
            struct socket_association *each = LIST_ENTRY(link, struct socket_association, link);

            if (!each->down)
                only = each;
        }
    *description = (struct socket_description){
        .domain = socket->domain,
        .style = socket->style,
        .state = socket->state,
        .channel_state = socket_channel_state(socket, only),
        .message_maximum = socket->send_buffer,
        .receive_buffer = socket->receive_buffer,
        .send_buffer = socket->send_buffer,
        .association = only ? only->identifier : 0,
        .association_count = socket->association_count,
        .port = socket->port,
        .closed = socket->closed,
        .uid = socket->quota->uid,
        .backlog = socket->backlog > 0 ? socket->backlog - 1 : 0,
        .waiting = socket->waiting,
    };
    if (socket_event_is_on(socket->subscribed, SCTP_DATA_IO_EVENT))
        description->receive_options |= CHANNEL_RECEIVE_SNDRCV;
    if (socket->receive_rcvinfo)
        description->receive_options |= CHANNEL_RECEIVE_RCVINFO;
    if (socket->receive_nxtinfo)
        description->receive_options |= CHANNEL_RECEIVE_NXTINFO;
    if (only && braid_association_info(socket->table->engine, only->engine, &info) == 0)
        description->outbound_streams = info.outbound_streams;
}

uint32_t socket_next_association(const struct sctp_socket *socket, uint32_t after)
{
    const struct list *link = socket->associations.next;

    if (after != 0) {
        const struct socket_association *association =
            braid_association_user(socket->table->engine, after);

        if (!association || association->socket != socket)
            return 0;
        link = association->link.next;
    }
    for (; link != &socket->associations; link = link->next) {
        const struct socket_association *association =
            LIST_ENTRY(link, struct socket_association, link);

        if (!association->down)
            return association->engine;
    }
    return 0;
}
