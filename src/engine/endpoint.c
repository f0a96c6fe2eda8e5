/*
 * Endpoints: a port with its addresses.
 *
 * RFC 9260, section 1.3 (SCTP endpoint), section 5.1.2 (which addresses are told to a peer).
 */
#include <stdlib.h>

#include "engine/private.h"

#define PORT_BUCKETS (sizeof(((struct braid_engine *)NULL)->ports) / sizeof(struct sctp_port *))
#define EPHEMERAL_FIRST 49152u
#define EPHEMERAL_COUNT 16384u

struct sctp_endpoint *endpoint_find(const struct braid_engine *engine, uint32_t identifier)
{
    return identifier_find(&engine->endpoints, identifier);
}

static bool family_allowed(const struct sctp_endpoint *endpoint,
                           const struct braid_address *address)
{
    return address->family == BRAID_IPV4 ? endpoint->ipv4 : endpoint->ipv6;
}

bool endpoint_has_address(const struct sctp_endpoint *endpoint, const struct braid_address *address)
{
    if (endpoint->address_count == 0)
        return family_allowed(endpoint, address);
    for (uint32_t i = 0; i < endpoint->address_count; i++) {
        if (braid_address_equal(&endpoint->addresses[i], address))
            return true;
    }
    return false;
}

bool packet_is_of_interface(const struct braid_packet *packet, uint32_t interface)
{
    return interface == 0 || packet->interface == 0 || packet->interface == interface ||
           packet->master == interface;
}

struct sctp_endpoint *endpoint_find_listener(const struct braid_engine *engine, uint16_t port,
                                             const struct braid_address *address,
                                             const struct braid_packet *packet)
{
    struct sctp_port *found = port_find(engine, port);
    struct sctp_endpoint *any = NULL;

    if (!found)
        return NULL;
    LIST_FOR_EACH(link, &found->listeners)
    {
        struct sctp_endpoint *endpoint = LIST_ENTRY(link, struct sctp_endpoint, listener_link);

        if (!endpoint_has_address(endpoint, address) ||
            !packet_is_of_interface(packet, endpoint->parameters.interface))
            continue;
        if (endpoint->address_count > 0)
            return endpoint;
        if (!any)
            any = endpoint;
    }
    return any;
}

/* Those that reach as far at least. */
static size_t list_addresses(const struct braid_engine *engine,
                             const struct sctp_endpoint *endpoint, enum braid_reach reach,
                             bool ipv4, bool ipv6, struct braid_address *addresses, size_t capacity)
{
    const struct braid_address *from = endpoint->addresses;
    size_t available = endpoint->address_count;
    size_t count = 0;

    if (available == 0) {
        from = engine->addresses;
        available = engine->address_count;
    }
    for (size_t i = 0; i < available && count < capacity; i++) {
        bool wanted = from[i].family == BRAID_IPV4 ? ipv4 : ipv6;

        /* A link-local address of IPv6 means nothing without its link, and a parameter has none. */
        if (from[i].family == BRAID_IPV6 && braid_address_is_link_local(&from[i]))
            wanted = false;
        if (wanted && braid_address_reach(&from[i]) >= reach &&
            endpoint_has_address(endpoint, &from[i]))
            addresses[count++] = from[i];
    }
    return count;
}

size_t endpoint_list_addresses(const struct braid_engine *engine,
                               const struct sctp_endpoint *endpoint,
                               const struct braid_address *peer, bool ipv4, bool ipv6,
                               struct braid_address *addresses, size_t capacity)
{
    enum braid_reach reach = braid_address_reach(peer);
    size_t count = list_addresses(engine, endpoint, reach, ipv4, ipv6, addresses, capacity);

    /* A host with none but private addresses may still be reached at them, as Linux has it. */
    if (count == 0 && reach == BRAID_REACH_GLOBAL)
        count = list_addresses(engine, endpoint, BRAID_REACH_LINK, ipv4, ipv6, addresses, capacity);
    return count;
}

/* All of 127.0.0.0/8 is the host's, whatever the interface lists. */
bool engine_has_address(const struct braid_engine *engine, const struct braid_address *address)
{
    for (uint32_t i = 0; i < engine->address_count; i++) {
        if (braid_address_equal(&engine->addresses[i], address))
            return true;
    }
    return braid_address_is_loopback(address);
}

bool endpoint_peer_may_have(const struct braid_engine *engine, const struct braid_address *address,
                            const struct arrival *arrival)
{
    return braid_address_is_unicast(address) &&
           braid_address_reach(address) >= braid_address_reach(&arrival->source) &&
           !(address->family == BRAID_IPV6 && braid_address_is_link_local(address)) &&
           (!engine_has_address(engine, address) || engine_has_address(engine, &arrival->source));
}

/* ---- Ports ---- */

static bool endpoints_overlap(const struct sctp_endpoint *a, const struct sctp_endpoint *b)
{
    if (a->address_count == 0 && b->address_count == 0)
        return (a->ipv4 && b->ipv4) || (a->ipv6 && b->ipv6);
    if (a->address_count == 0)
        return endpoints_overlap(b, a);
    for (uint32_t i = 0; i < a->address_count; i++) {
        if (endpoint_has_address(b, &a->addresses[i]))
            return true;
    }
    return false;
}

static bool port_is_free(const struct braid_engine *engine, uint16_t port,
                         const struct sctp_endpoint *endpoint)
{
    const struct sctp_port *found = port_find(engine, port);

    if (!found || (endpoint->share_port && found->exclusive_count == 0))
        return true;
    LIST_FOR_EACH(link, &found->endpoints)
    {
        const struct sctp_endpoint *other = LIST_ENTRY(link, struct sctp_endpoint, port_link);

        if (!(endpoint->share_port && other->share_port) && endpoints_overlap(endpoint, other))
            return false;
    }
    return true;
}

static int endpoint_take_port(struct braid_engine *engine, struct sctp_endpoint *endpoint)
{
    struct sctp_port *port;

    if (endpoint->port == 0) {
        uint32_t first = random_u32(engine) % EPHEMERAL_COUNT;

        for (uint32_t i = 0; i < EPHEMERAL_COUNT && endpoint->port == 0; i++) {
            uint16_t candidate = (uint16_t)(EPHEMERAL_FIRST + (first + i) % EPHEMERAL_COUNT);

            if (port_is_free(engine, candidate, endpoint))
                endpoint->port = candidate;
        }
        if (endpoint->port == 0)
            return -EADDRINUSE;
    } else if (!port_is_free(engine, endpoint->port, endpoint)) {
        return -EADDRINUSE;
    }

    port = port_find(engine, endpoint->port);
    if (!port) {
        port = calloc(1, sizeof(*port));
        if (!port)
            return -ENOMEM;
        port->port = endpoint->port;
        list_init(&port->endpoints);
        list_init(&port->listeners);
        port->next = engine->ports[endpoint->port % PORT_BUCKETS];
        engine->ports[endpoint->port % PORT_BUCKETS] = port;
    }
    list_append(&port->endpoints, &endpoint->port_link);
    port->endpoint_count++;
    port->exclusive_count += !endpoint->share_port;
    endpoint->of_port = port;
    return 0;
}

static void endpoint_give_port(struct braid_engine *engine, struct sctp_endpoint *endpoint)
{
    struct sctp_port *port = endpoint->of_port;

    list_remove(&endpoint->port_link);
    list_remove(&endpoint->listener_link);
    port->exclusive_count -= !endpoint->share_port;
    if (--port->endpoint_count > 0)
        return;

    struct sctp_port **place = &engine->ports[port->port % PORT_BUCKETS];

    while (*place != port)
        place = &(*place)->next;
    *place = port->next;
    free(port);
}

/* ---- Addresses that change: RFC 5061 ---- */

static bool list_has(const struct braid_address *addresses, uint32_t count,
                     const struct braid_address *address)
{
    for (uint32_t i = 0; i < count; i++) {
        if (braid_address_equal(&addresses[i], address))
            return true;
    }
    return false;
}

/* Additions first: the last address is never taken away. */
static void tell_difference(struct sctp_association *association,
                            const struct braid_address *before, uint32_t before_count,
                            const struct braid_address *after, uint32_t after_count)
{
    for (uint32_t i = 0; i < after_count; i++) {
        if (!list_has(before, before_count, &after[i]))
            asconf_change_address(association, &after[i], true);
    }
    for (uint32_t i = 0; i < before_count; i++) {
        if (!list_has(after, after_count, &before[i]))
            asconf_change_address(association, &before[i], false);
    }
}

static bool is_of_host(const struct sctp_association *association)
{
    return association->endpoint->address_count == 0 && association->state >= BRAID_ESTABLISHED;
}

/* An association of all of the host goes on with the addresses that its peer knows, and tells of
 * others if the user wants it. */
static void change_addresses(struct braid_engine *engine, struct braid_address *addresses,
                             uint32_t count)
{
    struct braid_address *before = engine->addresses;
    uint32_t before_count = engine->address_count;
    struct sctp_association *association;

    for (uint32_t after = 0; (association = identifier_next(&engine->associations, after));
         after = association->id) {
        if (is_of_host(association))
            asconf_keep_addresses(association);
    }
    engine->addresses = addresses;
    engine->address_count = count;
    for (uint32_t after = 0; (association = identifier_next(&engine->associations, after));
         after = association->id) {
        if (is_of_host(association) && association->parameters.auto_asconf)
            tell_difference(association, before, before_count, addresses, count);
    }
    free(before);
}

static bool lists_are_equal(const struct braid_address *one, uint32_t one_count,
                            const struct braid_address *other, uint32_t other_count)
{
    for (uint32_t i = 0; i < one_count && one_count == other_count; i++) {
        if (!braid_address_equal(&one[i], &other[i]))
            return false;
    }
    return one_count == other_count;
}

void endpoints_change_host(struct braid_engine *engine, struct braid_address *addresses,
                           uint32_t count)
{
    struct sctp_association *association;

    if (lists_are_equal(engine->addresses, engine->address_count, addresses, count))
        free(addresses);
    else
        change_addresses(engine, addresses, count);
    for (uint32_t after = 0; (association = identifier_next(&engine->associations, after));
         after = association->id) {
        for (uint8_t i = 0; i < association->path_count; i++)
            path_look_up_route(association->paths[i]);
    }
}

/* ---- The public functions ---- */

int braid_endpoint_open(struct braid_engine *engine, const struct braid_endpoint_config *config,
                        uint32_t *identifier)
{
    struct sctp_endpoint *endpoint = calloc(1, sizeof(*endpoint));
    int error = -ENOMEM;

    if (!endpoint)
        return -ENOMEM;
    list_init(&endpoint->port_link);
    list_init(&endpoint->listener_link);
    list_init(&endpoint->associations);
    endpoint->port = config->port;
    endpoint->share_port = config->share_port;
    endpoint->free_bind = config->free_bind;
    endpoint->user = config->user;
    endpoint->keys = config->keys;
    endpoint->account = config->account;
    endpoint->ipv4 = config->ipv4;
    endpoint->ipv6 = config->ipv6;
    if (config->parameters)
        endpoint->parameters = *config->parameters;
    else
        braid_parameters_default(&endpoint->parameters);
    if (config->address_count > 0) {
        endpoint->addresses = calloc(config->address_count, sizeof(*endpoint->addresses));
        if (!endpoint->addresses)
            goto fail;
        endpoint->ipv4 = endpoint->ipv6 = false;
    }
    for (size_t i = 0; i < config->address_count; i++) {
        struct braid_address address = braid_address_normalise(&config->addresses[i]);

        error = -EADDRNOTAVAIL;
        if (!endpoint->free_bind && !engine_has_address(engine, &address))
            goto fail;
        endpoint->addresses[endpoint->address_count++] = address;
        if (address.family == BRAID_IPV4)
            endpoint->ipv4 = true;
        else
            endpoint->ipv6 = true;
    }
    error = endpoint_take_port(engine, endpoint);
    if (error < 0)
        goto fail;
    endpoint->id = identifier_add(&engine->endpoints, endpoint);
    if (!endpoint->id) {
        endpoint_give_port(engine, endpoint);
        error = -ENOMEM;
        goto fail;
    }
    *identifier = endpoint->id;
    return 0;

fail:
    free(endpoint->addresses);
    free(endpoint);
    return error;
}

void braid_endpoint_close(struct braid_engine *engine, uint32_t identifier, braid_time now)
{
    struct sctp_endpoint *endpoint = endpoint_find(engine, identifier);

    if (!endpoint)
        return;
    while (!list_is_empty(&endpoint->associations)) {
        struct sctp_association *association =
            LIST_ENTRY(endpoint->associations.next, struct sctp_association, endpoint_link);

        braid_abort(engine, association->id, NULL, 0, now);
        association_free(association);
    }
    endpoint_give_port(engine, endpoint);
    identifier_remove(&engine->endpoints, identifier);
    free(endpoint->addresses);
    free(endpoint);
}

int braid_endpoint_set_addresses(struct braid_engine *engine, uint32_t identifier,
                                 const struct braid_address *addresses, size_t count,
                                 braid_time now)
{
    struct sctp_endpoint *endpoint = endpoint_find(engine, identifier);
    struct braid_address *before, *after;
    uint32_t before_count;

    if (now > engine->now)
        engine->now = now;
    if (!endpoint || endpoint->address_count == 0 || count == 0)
        return -EINVAL;
    after = calloc(count, sizeof(*after));
    if (!after)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        after[i] = braid_address_normalise(&addresses[i]);
        if (!endpoint->free_bind && !engine_has_address(engine, &after[i]) &&
            !endpoint_has_address(endpoint, &after[i])) {
            free(after);
            return -EADDRNOTAVAIL;
        }
    }
    LIST_FOR_EACH(link, &endpoint->associations)
    {
        asconf_keep_addresses(LIST_ENTRY(link, struct sctp_association, endpoint_link));
    }
    before = endpoint->addresses;
    before_count = endpoint->address_count;
    endpoint->addresses = after;
    endpoint->address_count = (uint32_t)count;
    endpoint->ipv4 = endpoint->ipv6 = false;
    for (size_t i = 0; i < count; i++) {
        endpoint->ipv4 |= after[i].family == BRAID_IPV4;
        endpoint->ipv6 |= after[i].family == BRAID_IPV6;
    }
    LIST_FOR_EACH(link, &endpoint->associations)
    {
        tell_difference(LIST_ENTRY(link, struct sctp_association, endpoint_link), before,
                        before_count, after, (uint32_t)count);
    }
    free(before);
    return 0;
}

int braid_endpoint_listen(struct braid_engine *engine, uint32_t identifier, uint32_t backlog)
{
    struct sctp_endpoint *endpoint = endpoint_find(engine, identifier);

    if (!endpoint)
        return -ENOENT;
    if (backlog > 0 && endpoint->backlog == 0)
        list_append(&endpoint->of_port->listeners, &endpoint->listener_link);
    else if (backlog == 0)
        list_remove(&endpoint->listener_link);
    endpoint->backlog = backlog;
    return 0;
}

uint16_t braid_endpoint_port(const struct braid_engine *engine, uint32_t identifier)
{
    const struct sctp_endpoint *endpoint = endpoint_find(engine, identifier);

    return endpoint ? endpoint->port : 0;
}

void *braid_endpoint_user(const struct braid_engine *engine, uint32_t identifier)
{
    const struct sctp_endpoint *endpoint = endpoint_find(engine, identifier);

    return endpoint ? endpoint->user : NULL;
}

struct braid_parameters *braid_endpoint_parameters(struct braid_engine *engine, uint32_t identifier)
{
    struct sctp_endpoint *endpoint = endpoint_find(engine, identifier);

    return endpoint ? &endpoint->parameters : NULL;
}

size_t braid_endpoint_addresses(const struct braid_engine *engine, uint32_t identifier,
                                struct braid_address *addresses, size_t capacity)
{
    const struct sctp_endpoint *endpoint = endpoint_find(engine, identifier);
    size_t count = 0;

    if (!endpoint)
        return 0;
    if (endpoint->address_count > 0) {
        for (; count < endpoint->address_count; count++) {
            if (count < capacity)
                addresses[count] = endpoint->addresses[count];
        }
        return count;
    }
    for (uint32_t i = 0; i < engine->address_count; i++) {
        if (!family_allowed(endpoint, &engine->addresses[i]))
            continue;
        if (count < capacity)
            addresses[count] = engine->addresses[i];
        count++;
    }
    return count;
}
