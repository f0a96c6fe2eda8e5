/*
 * Two hosts with sockets in virtual time: world.h. RFC 6458 is what they are made for.
 */
#include "world.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "link/random.h"

enum { BATCH = 65535, PACKETS = 64 };

const struct socket_caller user = {.uid = 1000};
const struct socket_caller root = {.uid = 0, .privileged = true};

static void host_random(void *context, void *bytes, size_t length)
{
    struct host *host = context;

    random_bytes(&host->random, bytes, length);
}

static bool route(void *context, const struct braid_address *destination, uint32_t interface,
                  struct braid_address *source, uint32_t *mtu)
{
    struct host *host = context;

    (void)interface;
    if (!memory_host_route(host->link, destination, source, mtu))
        return false;
    if (memcmp(destination->bytes, host->second.bytes, 3) == 0)
        *source = host->second;
    return true;
}

/* ---- What sockets tell ---- */

static void changed(void *context, struct sctp_socket *socket, unsigned int what)
{
    (void)context;
    (void)socket;
    (void)what;
}

static void outcome(void *context, struct sctp_socket *socket, int32_t association, int error)
{
    struct host *host = context;

    assert_true(host->outcome_count < OUTCOMES);
    host->outcomes[host->outcome_count++] = (struct outcome){socket, association, error};
}

static void gone(void *context, struct sctp_socket *socket)
{
    struct host *host = context;

    (void)socket;
    host->gone++;
}

static void association(void *context, int32_t identifier, struct sctp_socket *socket,
                        uint32_t outbound_streams, uint32_t state)
{
    struct host *host = context;
    bool *published = &host->published[identifier];

    (void)outbound_streams;
    assert_in_range(identifier, SCTP_ALL_ASSOC + 1, IDENTIFIERS - 1);
    assert_true(!socket || state != 0);
    host->associations += (unsigned int)(socket != NULL) - (unsigned int)*published;
    *published = socket != NULL;
}

/* ---- The world ---- */

static void host_open(struct world *world, struct host *host, uint8_t number,
                      const struct socket_table_config *given)
{
    static const uint8_t networks[HOST_ADDRESSES][3] = {{192, 0, 2}, {198, 51, 100}, {203, 0, 113}};
    struct braid_engine_config engine = {.random = host_random, .route = route, .context = host};
    struct socket_table_config table = *given;

    memset(host, 0, sizeof(*host));
    host->world = world;
    random_seed(&host->random, number);
    for (int i = 0; i < HOST_ADDRESSES; i++) {
        uint8_t bytes[4] = {networks[i][0], networks[i][1], networks[i][2], number};

        host->addresses[i] = braid_address_ipv4(bytes);
    }
    host->address = host->addresses[0];
    host->second = host->addresses[1];
    assert_int_equal(
        memory_network_attach(world->network, host->addresses, HOST_ADDRESSES, 0, &host->link), 0);
    host->engine = braid_engine_new(&engine, world->now);
    assert_non_null(host->engine);
    table.engine = host->engine;
    table.random = host_random;
    table.callbacks = (struct socket_callbacks){changed, outcome, gone, association};
    table.context = host;
    table.privileged_below = 1024;
    host->table = socket_table_new(&table);
    assert_non_null(host->table);
    host_has(host, 0, 2);
}

void host_has(struct host *host, size_t first, size_t count)
{
    const struct braid_address *addresses = host->addresses + first;

    assert_int_equal(braid_engine_set_addresses(host->engine, addresses, count, host->world->now),
                     0);
    assert_int_equal(socket_table_set_addresses(host->table, addresses, count), 0);
}

void world_open_with(struct world *world, const struct socket_table_config *config)
{
    world->network = memory_network_new(1);
    assert_non_null(world->network);
    world->now = SECOND;
    memory_network_advance(world->network, world->now);
    for (int i = 0; i < HOSTS; i++)
        host_open(world, &world->hosts[i], (uint8_t)(i + 1), config);
    world_wire(world)->delay = 10 * MS;
}

void world_open(struct world *world)
{
    world_open_with(world, &(struct socket_table_config){0});
}

void world_close(struct world *world)
{
    for (int i = 0; i < HOSTS; i++) {
        socket_table_free(world->hosts[i].table);
        braid_engine_free(world->hosts[i].engine);
        link_close(world->hosts[i].link);
    }
    memory_network_free(world->network);
}

struct memory_conditions *world_wire(struct world *world)
{
    return memory_wire_conditions(memory_network_wire(world->network, NULL, NULL));
}

static void host_receive(struct world *world, struct host *host)
{
    struct braid_packet packets[PACKETS];
    int count;

    while ((count = link_receive(host->link, packets, PACKETS)) > 0)
        braid_engine_receive(host->engine, packets, (size_t)count, world->now);
}

static void host_turn(struct world *world, struct host *host)
{
    static uint8_t bytes[BATCH];
    struct braid_batch batch = {.bytes = bytes, .capacity = BATCH, .maximum_packets = PACKETS};

    host_receive(world, host);
    if (braid_engine_next_timeout(host->engine) <= world->now)
        braid_engine_timeout(host->engine, world->now);
    socket_table_run(host->table, world->now);
    while (braid_engine_transmit(host->engine, &batch, world->now))
        link_send(host->link, &batch);
    socket_table_run(host->table, world->now);
}

void world_run(struct world *world, braid_time duration)
{
    braid_time end = world->now + duration;

    for (;;) {
        braid_time next;

        memory_network_advance(world->network, world->now);
        for (int i = 0; i < HOSTS; i++)
            host_turn(world, &world->hosts[i]);
        next = memory_network_next_arrival(world->network);
        for (int i = 0; i < HOSTS; i++) {
            braid_time timeout = braid_engine_next_timeout(world->hosts[i].engine);

            if (timeout < next)
                next = timeout;
        }
        if (next > end)
            break;
        if (next > world->now)
            world->now = next;
    }
    world->now = end;
}

/* ---- Sockets ---- */

struct sctp_socket *socket_make(struct host *host, int domain, int type)
{
    struct sctp_socket *socket = NULL;

    assert_int_equal(socket_open(host->table, domain, type, 0, &user, &socket), 0);
    return socket;
}

struct sockaddr_in host_address(const struct host *host, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

    memcpy(&address.sin_addr, host->address.bytes, 4);
    return address;
}

struct sctp_socket *socket_make_listener(struct host *host, int type)
{
    struct sctp_socket *socket = socket_make(host, AF_INET, type);
    struct sockaddr_in address = host_address(host, PORT);

    assert_int_equal(socket_bind(socket, &address, sizeof(address), &user), 0);
    assert_int_equal(socket_listen(socket, 8), 0);
    return socket;
}

int socket_begin(struct sctp_socket *socket, struct host *host, struct host *to, uint16_t port)
{
    struct sockaddr_in address = host_address(to, port);

    return socket_connect(socket, &address, sizeof(address), &user, host->world->now, NULL);
}

struct sctp_socket *socket_take_accepted(struct sctp_socket *listener, struct world *world)
{
    struct socket_received received;

    if (!socket_receive(listener, &received, world->now))
        return NULL;
    assert_int_equal(received.kind, SOCKET_ACCEPTED);
    return received.accepted;
}

void sockets_join(struct world *world, struct sctp_socket **client, struct sctp_socket **server,
                  struct sctp_socket **listener)
{
    *listener = socket_make_listener(&world->hosts[1], SOCK_STREAM);
    *client = socket_make(&world->hosts[0], AF_INET, SOCK_STREAM);
    assert_int_equal(socket_begin(*client, &world->hosts[0], &world->hosts[1], PORT), -EINPROGRESS);
    world_run(world, SECOND);
    *server = socket_take_accepted(*listener, world);
    assert_non_null(*server);
}

int send_bytes(struct world *world, struct sctp_socket *socket, const void *bytes, size_t length,
               const struct channel_header *header, int32_t *association)
{
    return socket_send(socket, header, bytes, length, NULL, 0, &user, world->now, association);
}

int send_text(struct world *world, struct sctp_socket *socket, const char *text, uint16_t flags,
              int32_t association, const struct sockaddr_in *to)
{
    struct channel_header header = {
        .type = CHANNEL_SEND,
        .flags = CHANNEL_HAS_INFO,
        .info = {.flags = flags, .association = association},
    };

    if (to) {
        header.flags |= CHANNEL_HAS_ADDRESS;
        header.address.in = *to;
    }
    return send_bytes(world, socket, text, strlen(text), &header, NULL);
}

static const char *change_name(uint16_t state)
{
    switch (state) {
    case SCTP_COMM_UP:
        return "COMM_UP";
    case SCTP_COMM_LOST:
        return "COMM_LOST";
    case SCTP_RESTART:
        return "RESTART";
    case SCTP_SHUTDOWN_COMP:
        return "SHUTDOWN_COMP";
    case SCTP_CANT_STR_ASSOC:
        return "CANT_STR_ASSOC";
    default:
        return "?";
    }
}

static const char *path_change_name(const uint8_t *bytes)
{
    static const char *const names[] = {
        [SCTP_ADDR_AVAILABLE] = "ADDR_AVAILABLE",   [SCTP_ADDR_UNREACHABLE] = "ADDR_UNREACHABLE",
        [SCTP_ADDR_REMOVED] = "ADDR_REMOVED",       [SCTP_ADDR_ADDED] = "ADDR_ADDED",
        [SCTP_ADDR_MADE_PRIM] = "ADDR_MADE_PRIM",   [SCTP_ADDR_CONFIRMED] = "ADDR_CONFIRMED",
        [SCTP_ADDR_POTENTIALLY_FAILED] = "ADDR_PF",
    };
    struct sctp_paddr_change change;
    struct sockaddr_in address;
    static char name[64];

    memcpy(&change, bytes, sizeof(change));
    memcpy(&address, &change.spc_aaddr, sizeof(address));
    assert_in_range(change.spc_state, 0, sizeof(names) / sizeof(names[0]) - 1);
    /* Linux says what made it so: 1, a SACK; 2, a HEARTBEAT ACK. */
    if (change.spc_state == SCTP_ADDR_AVAILABLE)
        assert_in_range(change.spc_error, 1, 2);
    else
        assert_int_equal(change.spc_error, change.spc_state == SCTP_ADDR_CONFIRMED ? 2 : 0);
    snprintf(name, sizeof(name), "%s %s", names[change.spc_state], inet_ntoa(address.sin_addr));
    return name;
}

static const char *authentication_name(const uint8_t *bytes)
{
    struct sctp_authkey_event event;
    static char name[32];

    memcpy(&event, bytes, sizeof(event));
    snprintf(name, sizeof(name), "%s %u",
             event.auth_indication == SCTP_AUTH_NEW_KEY    ? "AUTH_NEW_KEY"
             : event.auth_indication == SCTP_AUTH_FREE_KEY ? "AUTH_FREE_KEY"
                                                           : "AUTH_NO_AUTH",
             event.auth_keynumber);
    return name;
}

static const char *notification_name(const uint8_t *bytes, uint32_t length)
{
    struct sctp_assoc_change change = {0};
    uint16_t type;
    uint32_t told;

    memcpy(&type, bytes, sizeof(type));
    memcpy(&told, bytes + 4, sizeof(told));
    assert_int_equal(told, length);
    switch (type) {
    case SCTP_ASSOC_CHANGE:
        memcpy(&change, bytes, sizeof(change));
        return change_name(change.sac_state);
    case SCTP_PEER_ADDR_CHANGE:
        return path_change_name(bytes);
    case SCTP_SHUTDOWN_EVENT:
        return "SHUTDOWN_EVENT";
    case SCTP_SEND_FAILED_EVENT:
        return "SEND_FAILED_EVENT";
    case SCTP_AUTHENTICATION_EVENT:
        return authentication_name(bytes);
    case SCTP_SENDER_DRY_EVENT:
        return "SENDER_DRY_EVENT";
    default:
        return "?";
    }
}

const char *next_text(struct world *world, struct sctp_socket *socket)
{
    static char text[256];
    struct socket_received received;

    if (!socket_receive(socket, &received, world->now))
        return "-";
    assert_int_not_equal(received.kind, SOCKET_ACCEPTED);
    if (received.kind == SOCKET_NOTIFICATION)
        snprintf(text, sizeof(text), "%s", notification_name(received.bytes, received.length));
    else
        snprintf(text, sizeof(text), "%.*s", (int)received.length, received.bytes);
    socket_received_release(socket, &received, world->now);
    socket_hold(socket, 0, world->now);
    return text;
}

void subscribe(struct world *world, struct sctp_socket *socket)
{
    static const uint16_t types[] = {SCTP_ASSOC_CHANGE, SCTP_SHUTDOWN_EVENT,
                                     SCTP_SEND_FAILED_EVENT};
    int32_t association;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct sctp_event event = {.se_assoc_id = SCTP_ALL_ASSOC, .se_type = types[i], .se_on = 1};

        assert_int_equal(socket_set_option(socket, IPPROTO_SCTP, SCTP_EVENT, &event, sizeof(event),
                                           &user, world->now, &association),
                         0);
    }
}
