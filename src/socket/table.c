/* The table of sockets and of associations by the identifiers that programs know.
 *
 * RFC 6458, section 7 (association identifiers). As Linux does, identifiers are given in turn, from
 * 3 on, since 0 to 2 mean future, current and all associations.
 */
#include <limits.h>
#include <stdlib.h>

#include "socket/private.h"

#define IDENTIFIER_FIRST (SCTP_ALL_ASSOC + 1)

struct socket_table *socket_table_new(const struct socket_table_config *config)
{
    struct socket_table *table = calloc(1, sizeof(*table));

    if (!table)
        return NULL;
    table->config = *config;
    table->engine = config->engine;
    table->next_identifier = IDENTIFIER_FIRST;
    if (table->config.port_lowest == 0 || table->config.port_highest < table->config.port_lowest) {
        table->config.port_lowest = 32768;
        table->config.port_highest = 60999;
    }
    if (table->config.receive_buffer_maximum == 0)
        table->config.receive_buffer_maximum = SOCKET_BUFFER_DEFAULT;
    if (table->config.send_buffer_maximum == 0)
        table->config.send_buffer_maximum = SOCKET_BUFFER_DEFAULT;
    list_init(&table->sockets);
    list_init(&table->quotas);
    for (size_t i = 0; i < sizeof(table->ports) / sizeof(table->ports[0]); i++)
        list_init(&table->ports[i]);
    return table;
}

void socket_table_free(struct socket_table *table)
{
    if (!table)
        return;
    while (!list_is_empty(&table->sockets))
        socket_free(LIST_ENTRY(table->sockets.next, struct sctp_socket, link), 0);
    free(table->addresses);
    free(table);
}

int socket_table_set_addresses(struct socket_table *table, const struct braid_address *addresses,
                               size_t count)
{
    struct braid_address *copy = NULL;

    if (count > 0) {
        copy = malloc(count * sizeof(*copy));
        if (!copy)
            return -ENOMEM;
        memcpy(copy, addresses, count * sizeof(*copy));
    }
    free(table->addresses);
    table->addresses = copy;
    table->address_count = count;
    return 0;
}

void socket_table_run(struct socket_table *table, braid_time now)
{
    struct braid_event event;

    while (braid_engine_next_event(table->engine, &event))
        socket_event(table, &event, now);
    quota_run(table);
}

uint32_t socket_table_count(const struct socket_table *table)
{
    return table->count;
}

struct sctp_socket *socket_table_next(const struct socket_table *table,
                                      const struct sctp_socket *after)
{
    const struct list *next = after ? after->link.next : table->sockets.next;

    return next == &table->sockets ? NULL : LIST_ENTRY(next, struct sctp_socket, link);
}

static struct socket_association **association_place(const struct socket_table *table,
                                                     int32_t identifier)
{
    return (struct socket_association **)&table
        ->associations[(uint32_t)identifier % SOCKET_ASSOCIATIONS_MAXIMUM];
}

/* The next identifier whose place is free; 0 if there is none. */
static int32_t association_choose_identifier(struct socket_table *table)
{
    if (table->association_count >= SOCKET_ASSOCIATIONS_MAXIMUM - IDENTIFIER_FIRST)
        return 0;
    for (;;) {
        int32_t identifier = table->next_identifier;

        table->next_identifier = identifier == INT32_MAX ? IDENTIFIER_FIRST : identifier + 1;
        if (!*association_place(table, identifier))
            return identifier;
    }
}

struct socket_association *socket_association_new(struct sctp_socket *socket, uint32_t engine)
{
    struct socket_table *table = socket->table;
    struct socket_association *association;
    int32_t identifier = association_choose_identifier(table);

    if (identifier == 0 || !quota_allows_association(table, socket->quota))
        return NULL;
    association = calloc(1, sizeof(*association));
    if (!association)
        return NULL;
    association->engine = engine;
    association->identifier = identifier;
    association->socket = socket;
    association->send = socket->send;
    association->path = socket->path;
    socket->mtu_discover =
        socket->path.flags & SPP_PMTUD_ENABLE ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT;
    association->expose_potentially_failed = socket->expose_potentially_failed;
    association->receive_context = socket->receive_context;
    association->subscribed = socket->subscribed;
    association->encapsulation_port = socket->encapsulation_port;
    list_init(&association->ready);
    list_init(&association->held);
    list_init(&association->notifications);
    list_append(&socket->associations, &association->link);
    socket->association_count++;
    *association_place(table, identifier) = association;
    table->association_count++;
    socket->quota->associations++;
    braid_association_set_user(table->engine, engine, association);
    return association;
}

/* What of it stands before the reader of its socket no longer counts. */
static void association_unhold(struct socket_association *association)
{
    list_remove(&association->held);
    association->socket->held_bytes -= association->held_bytes;
    association->held_bytes = 0;
}

void socket_association_free(struct socket_association *association, braid_time now)
{
    struct sctp_socket *socket = association->socket;
    struct socket_table *table = socket->table;

    braid_association_release(table->engine, association->engine, now);
    LIST_FOR_EACH_SAFE(link, &association->notifications)
    free(LIST_ENTRY(link, struct socket_notification, link));
    if (!association->down) {
        socket->association_count--;
        table->config.callbacks.association(table->config.context, association->identifier, NULL, 0,
                                            0);
    }
    if (socket->partial == association)
        socket->partial = NULL;
    list_remove(&association->ready);
    association_unhold(association);
    list_remove(&association->link);
    *association_place(table, association->identifier) = NULL;
    table->association_count--;
    socket->quota->associations--;
    free(association);
}

void socket_association_give(struct socket_association *association, struct sctp_socket *socket)
{
    struct sctp_socket *from = association->socket;
    bool ready = !list_is_empty(&association->ready);

    if (from->partial == association) {
        from->partial = NULL;
        socket->partial = association;
    }
    list_remove(&association->ready);
    association_unhold(association);
    list_remove(&association->link);
    from->association_count--;
    association->socket = socket;
    list_append(&socket->associations, &association->link);
    socket->association_count++;
    if (ready)
        list_append(&socket->readable, &association->ready);
}

struct socket_association *socket_association_find(const struct socket_table *table,
                                                   int32_t identifier)
{
    struct socket_association *association;

    if (identifier < IDENTIFIER_FIRST)
        return NULL;
    association = *association_place(table, identifier);
    if (!association || association->identifier != identifier || association->down)
        return NULL;
    return association;
}

struct socket_association *socket_find_association(const struct sctp_socket *socket,
                                                   int32_t identifier)
{
    struct socket_association *association;

    if (socket_is_one_to_many(socket)) {
        association = socket_association_find(socket->table, identifier);
        return association && association->socket == socket ? association : NULL;
    }
    if (socket->state != SOCKET_ESTABLISHED && socket->state != SOCKET_CLOSING)
        return NULL;
    LIST_FOR_EACH(link, &socket->associations)
    {
        association = LIST_ENTRY(link, struct socket_association, link);
        if (!association->down)
            return association;
    }
    return NULL;
}

struct socket_association *socket_find_peer(const struct sctp_socket *socket,
                                            const struct braid_address *peer, uint16_t port)
{
    struct braid_engine *engine = socket->table->engine;
    struct socket_association *association;
    uint32_t found;

    if (socket->endpoint == 0)
        return NULL;
    found = braid_association_find(engine, socket->endpoint, peer, port);
    if (found == 0)
        return NULL;
    association = braid_association_user(engine, found);
    return association && !association->down && association->socket == socket ? association : NULL;
}

struct braid_parameters *socket_association_parameters(const struct socket_association *association)
{
    return braid_association_parameters(association->socket->table->engine, association->engine);
}

void socket_association_publish(struct socket_association *association)
{
    struct socket_table *table = association->socket->table;
    struct braid_association_info info = {0};
    uint32_t state = association->up ? CHANNEL_STATE_CONNECTED : CHANNEL_STATE_CONNECTING;

    if (association->down)
        return;
    if (association->shutting)
        state |= CHANNEL_STATE_SHUT_WRITE;
    braid_association_info(table->engine, association->engine, &info);
    table->config.callbacks.association(table->config.context, association->identifier,
                                        association->socket, info.outbound_streams, state);
}

bool socket_association_is_up(const struct socket_table *table, int32_t identifier)
{
    const struct socket_association *association = socket_association_find(table, identifier);

    return !association || association->up;
}

int32_t socket_association_identifier(const struct socket_table *table, uint32_t engine)
{
    const struct socket_association *association = braid_association_user(table->engine, engine);

    return association ? association->identifier : 0;
}
