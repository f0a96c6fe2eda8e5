/*
 * A world of engines: the machinery. See world.h.
 */
#include "world.h"

#include "audit.h"
#include "watcher.h"

enum { PACKETS = 64, BATCH_BYTES = 1 << 17, ROUNDS_AT_ONE_TIME = 100000 };

static void host_random(void *context, void *bytes, size_t length)
{
    struct host *host = context;
    struct world *world = host->world;
    uint32_t number;

    random_bytes(&host->random, bytes, length);
    if (!world->near_the_end || length != sizeof(number) || random_chance(&host->random, 0.5))
        return;
    /* no tag comes twice */
    number =
        UINT32_MAX - 8 * world->drawn_near_the_end++ - (uint32_t)random_below(&host->random, 8);
    memcpy(bytes, &number, sizeof(number));
}

static bool host_route(void *context, const struct braid_address *destination, uint32_t interface,
                       struct braid_address *source, uint32_t *mtu)
{
    struct host *host = context;

    (void)interface;
    if (!memory_host_route(host->link, destination, source, mtu))
        return false;
    /* the pair of the same network */
    for (unsigned int i = 0; i < host->address_count; i++) {
        if (memcmp(host->addresses[i].bytes, destination->bytes, host->world->ipv6 ? 8 : 3) == 0)
            *source = host->addresses[i];
    }
    return true;
}

braid_time host_now(const struct host *host)
{
    return host->world->now + host->clock_ahead;
}

static void host_start(struct host *host)
{
    const struct world *world = host->world;
    struct braid_engine_config engine_config = {.random = host_random,
                                                .route = host_route,
                                                .context = host,
                                                .encapsulation_port = world->udp};
    struct braid_endpoint_config endpoint_config = {.port = WORLD_PORT,
                                                    .ipv4 = true,
                                                    .ipv6 = true,
                                                    .parameters = &host->parameters,
                                                    .keys = host->keys,
                                                    .account = host->account};

    if (world->bound) {
        endpoint_config.addresses = host->addresses;
        endpoint_config.address_count = host->address_count;
    }
    host->engine = braid_engine_new(&engine_config, host_now(host));
    assert_non_null(host->engine);
    assert_int_equal(braid_engine_set_addresses(host->engine, host->addresses, host->address_count,
                                                host_now(host)),
                     0);
    assert_int_equal(braid_endpoint_open(host->engine, &endpoint_config, &host->endpoint), 0);
    assert_int_equal(braid_endpoint_listen(host->engine, host->endpoint, 1000), 0);
}

/* Of the host with this number, in one of the networks. */
static struct braid_address world_address(unsigned int network, unsigned int number, bool ipv6)
{
    static const uint8_t networks[WORLD_ADDRESSES][4] = {
        {192, 0, 2, 0}, {198, 51, 100, 0}, {203, 0, 113, 0}};
    uint8_t bytes[16] = {0x20, 0x01, 0x0d, 0xb8, 0, (uint8_t)network};

    if (ipv6) {
        bytes[15] = (uint8_t)(number + 1);
        return braid_address_ipv6(bytes, 0);
    }
    memcpy(bytes, networks[network], 4);
    bytes[3] = (uint8_t)(number + 1);
    return braid_address_ipv4(bytes);
}

static void host_open(struct world *world, unsigned int number, const struct world_config *config)
{
    struct host *host = &world->hosts[number];

    host->world = world;
    host->number = number;
    host->mtu = config->mtu > 0 ? config->mtu : 1500;
    host->address_count = world->addresses;
    if (config->parameters)
        host->parameters = *config->parameters;
    else
        braid_parameters_default(&host->parameters);
    random_seed(&host->random, config->seed * 8 + number + 1);
    for (unsigned int i = 0; i < world->addresses; i++)
        host->addresses[i] = world_address(i, number, world->ipv6);
    assert_int_equal(memory_network_attach(world->network, host->addresses, host->address_count,
                                           config->udp, &host->link),
                     0);
    memory_host_set_mtu(host->link, host->mtu);
    if (world->capture)
        link_set_capture(host->link, world->capture);
    host_start(host);
}

struct world *world_new(const struct world_config *config)
{
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    random_seed(&world->random, config->seed);
    world->network = memory_network_new(config->seed);
    assert_non_null(world->network);
    world->watcher = watcher_new();
    world->count = config->hosts > 0 ? config->hosts : 2;
    world->addresses = config->addresses > 0 ? config->addresses : 1;
    world->ipv6 = config->ipv6;
    world->bound = config->bound;
    world->udp = config->udp;
    if (config->capture)
        assert_int_equal(capture_open(&world->capture, config->capture), 0);
    for (unsigned int i = 0; i < world->count; i++)
        host_open(world, i, config);
    return world;
}

void world_free(struct world *world)
{
    for (unsigned int i = 0; i < world->count; i++) {
        braid_engine_free(world->hosts[i].engine);
        link_close(world->hosts[i].link);
    }
    memory_network_free(world->network);
    if (world->capture)
        assert_int_equal(capture_close(world->capture), 0);
    watcher_free(world->watcher);
    free(world);
}

struct memory_conditions *world_conditions(struct world *world)
{
    struct memory_wire *wire = memory_network_wire(world->network, NULL, NULL);

    assert_non_null(wire);
    return memory_wire_conditions(wire);
}

void world_cut(struct world *world, unsigned int address, bool cut)
{
    for (unsigned int i = 0; i < 2; i++) {
        struct memory_wire *wire =
            memory_network_wire(world->network, &world->hosts[i].addresses[address],
                                &world->hosts[1 - i].addresses[address]);

        assert_non_null(wire);
        *memory_wire_conditions(wire) = *world_conditions(world);
        memory_wire_conditions(wire)->cut = cut;
    }
}

void world_restart(struct world *world, unsigned int number)
{
    braid_engine_free(world->hosts[number].engine);
    host_start(&world->hosts[number]);
}

uint32_t world_connect(struct world *world, unsigned int from, unsigned int to)
{
    struct host *host = &world->hosts[from];
    const struct host *peer = &world->hosts[to];

    assert_int_equal(braid_connect(host->engine, host->endpoint, peer->addresses,
                                   peer->address_count, WORLD_PORT, world->udp, host_now(host),
                                   &host->association),
                     0);
    return host->association;
}

/* ---- One step ---------------------------------------------------------------------------------
 */

static bool host_receive(struct host *host)
{
    struct braid_packet packets[PACKETS];
    struct link_error error;
    bool any = false;
    int count;

    while ((count = link_receive(host->link, packets, PACKETS)) > 0) {
        for (int i = 0; host->world->received && i < count; i++)
            host->world->received(host, &packets[i]);
        braid_engine_receive(host->engine, packets, (size_t)count, host_now(host));
        any = true;
    }
    assert_int_equal(count, 0);
    while (link_receive_error(host->link, &error)) {
        braid_engine_icmp(host->engine, error.kind, error.mtu, &error.destination, error.quoted,
                          error.length, host_now(host));
        any = true;
    }
    return any;
}

static void host_watch(struct host *host, const struct braid_batch *batch)
{
    size_t room = host->mtu - (host->world->ipv6 ? 40 : 20) - (host->world->udp > 0 ? 8 : 0);

    for (size_t i = 0; i < batch->count; i++) {
        size_t start = i * batch->segment_size;
        size_t length = i + 1 < batch->count ? batch->segment_size : batch->length - start;

        watcher_sent(host->world->watcher, host->number, batch->bytes + start, length,
                     batch->dont_fragment ? room : 0);
        if (host->world->sent)
            host->world->sent(host, batch->bytes + start, length);
    }
}

static bool host_transmit(struct host *host)
{
    static uint8_t bytes[BATCH_BYTES];
    bool any = false;

    if (host->world->before_transmit)
        host->world->before_transmit(host);
    for (;;) {
        struct braid_batch batch = {.bytes = bytes,
                                    .capacity = sizeof(bytes),
                                    .maximum_packets =
                                        1 + random_below(&host->world->random, PACKETS)};

        if (!braid_engine_transmit(host->engine, &batch, host_now(host)))
            break;
        host_watch(host, &batch);
        if (host->world->transmit)
            host->world->transmit(host, &batch);
        else
            (void)link_send(host->link, &batch); /* whatever it says, SCTP takes it as loss */
        any = true;
    }
    if (any && host->world->capture) /* whatever happens next */
        (void)capture_flush(host->world->capture);
    if (host->world->after_transmit)
        host->world->after_transmit(host);
    audit_engine(host->engine);
    return any;
}

static bool host_events(struct host *host)
{
    struct braid_event event;
    bool any = false;

    while (braid_engine_next_event(host->engine, &event)) {
        if (event.type == BRAID_EVENT_UP)
            host->association = event.association;
        if (host->world->event)
            host->world->event(host, &event);
        any = true;
    }
    return any;
}

/* When a host has something to do next, on the world's clock, packets aside. */
static braid_time host_wakes(const struct host *host)
{
    braid_time timeout = braid_engine_next_timeout(host->engine);

    if (timeout != BRAID_TIME_NEVER)
        timeout = timeout > host->clock_ahead ? timeout - host->clock_ahead : 0;
    if (host->paused_until > host->world->now)
        timeout = host->paused_until;
    return timeout;
}

/* When something happens next. */
static braid_time world_next(const struct world *world)
{
    braid_time next = memory_network_next_on_the_way(world->network);

    for (unsigned int i = 0; i < world->count; i++) {
        braid_time wakes = host_wakes(&world->hosts[i]);

        next = wakes < next ? wakes : next;
    }
    return next;
}

/* All that can happen at this time. */
static void world_settle(struct world *world)
{
    bool any = true;

    for (unsigned int round = 0; any; round++) {
        any = false;
        if (round > ROUNDS_AT_ONE_TIME)
            fail_msg("time stands still at %llu", (unsigned long long)world->now);
        memory_network_advance(world->network, world->now);
        for (unsigned int i = 0; i < world->count; i++) {
            struct host *host = &world->hosts[i];

            if (host->paused_until > world->now)
                continue;
            any |= host_receive(host);
            if (host_wakes(host) <= world->now) {
                braid_engine_timeout(host->engine, host_now(host));
                any = true;
            }
            any |= host_transmit(host);
            any |= host_events(host);
        }
        world->steps++;
    }
}

bool world_run(struct world *world, braid_time time)
{
    braid_time until = world->now + time;

    for (;;) {
        braid_time next;

        world_settle(world);
        next = world_next(world);
        if (next == BRAID_TIME_NEVER)
            return true;
        if (next > until) {
            world->now = until;
            return false;
        }
        world->now = next > world->now ? next : world->now;
    }
}

uint64_t host_associations(const struct host *host)
{
    struct braid_statistics statistics;

    braid_engine_statistics(host->engine, &statistics);
    return statistics.associations_now;
}
