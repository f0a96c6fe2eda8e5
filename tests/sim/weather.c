/*
 * What lies between the hosts of a scenario. See weather.h.
 */
#include "weather.h"

static uint32_t below(struct weather *weather, uint32_t limit)
{
    return (uint32_t)random_below(weather->random, limit);
}

static bool chance(struct weather *weather, double probability)
{
    return random_chance(weather->random, probability);
}

static void apply(struct weather *weather, unsigned int from, unsigned int to, unsigned int network)
{
    struct world *world = weather->world;
    struct memory_wire *wire =
        memory_network_wire(world->network, &world->hosts[from].addresses[network],
                            &world->hosts[to].addresses[network]);

    assert_non_null(wire);
    *memory_wire_conditions(wire) = weather->conditions[from][to][network];
    memory_wire_conditions(wire)->cut = weather->cut[from][to][network] ||
                                        weather->address_down[from][network] ||
                                        weather->address_down[to][network];
}

static void apply_all(struct weather *weather)
{
    for (unsigned int from = 0; from < weather->world->count; from++)
        for (unsigned int to = 0; to < weather->world->count; to++)
            for (unsigned int network = 0; network < weather->world->addresses; network++)
                apply(weather, from, to, network);
}

/* A number of a size that is itself random: 10 ms come as often as 100 ms. */
static uint32_t some_size(struct weather *weather, uint32_t limit)
{
    uint32_t value = below(weather, limit);

    return value >> below(weather, 8);
}

static struct memory_conditions some_conditions(struct weather *weather)
{
    struct memory_conditions conditions = {
        .icmp = chance(weather, 0.7),
        .guarded = weather->guarded,
        .delay = some_size(weather, 300000),
        .jitter = chance(weather, 0.3) ? some_size(weather, 100000) : 0,
        .loss = chance(weather, 0.6) ? weather->loss * below(weather, 100) / 100 : 0,
    };

    if (weather->bursts && chance(weather, 0.5)) {
        conditions.burst_begin = 0.001 * (1 + below(weather, 50));
        conditions.burst_end = 0.01 * (1 + below(weather, 50));
        conditions.burst_loss = 0.5 + 0.01 * below(weather, 51);
    }
    if (weather->reordering && chance(weather, 0.6)) {
        conditions.reorder = 0.01 * below(weather, 40);
        conditions.reorder_delay = some_size(weather, 500000);
    }
    if (weather->duplication && chance(weather, 0.6))
        conditions.duplicate = 0.01 * below(weather, 40);
    if (weather->corruption && chance(weather, 0.6))
        conditions.corrupt = 0.001 * below(weather, 80);
    if (weather->marking && chance(weather, 0.6))
        conditions.mark = 0.01 * below(weather, 40);
    if (weather->narrow && chance(weather, 0.6)) {
        conditions.bandwidth = (uint64_t)100000 << below(weather, 10);
        conditions.queue = 10000 + below(weather, 100000);
    }
    return conditions;
}

void weather_init(struct weather *weather, struct world *world, struct random_generator *random,
                  bool guarded)
{
    *weather = (struct weather){.world = world, .random = random, .guarded = guarded};
    weather->bursts = chance(weather, 0.3);
    weather->reordering = chance(weather, 0.4);
    weather->duplication = chance(weather, 0.4);
    weather->corruption = chance(weather, 0.3);
    weather->narrow = chance(weather, 0.4);
    weather->marking = chance(weather, 0.4);
    weather->loss = chance(weather, 0.3) ? 0 : 0.01 * (1 + some_size(weather, 50));
    *world_conditions(world) = some_conditions(weather);
    for (unsigned int network = 0; network < world->addresses; network++) {
        struct memory_conditions conditions = some_conditions(weather);

        for (unsigned int from = 0; from < world->count; from++)
            for (unsigned int to = 0; to < world->count; to++)
                weather->conditions[from][to][network] = conditions;
    }
    apply_all(weather);
}

/* Two hosts and a network. */
static void some_wire(struct weather *weather, unsigned int *from, unsigned int *to,
                      unsigned int *network)
{
    *from = below(weather, weather->world->count);
    *to = (*from + 1 + below(weather, weather->world->count - 1)) % weather->world->count;
    *network = below(weather, weather->world->addresses);
}

void weather_change(struct weather *weather)
{
    struct memory_conditions conditions = some_conditions(weather);
    bool all = chance(weather, 0.3), one_way = chance(weather, 0.4);
    unsigned int from, to, network;

    some_wire(weather, &from, &to, &network);
    if (!all) {
        weather->conditions[from][to][network] = conditions;
        if (!one_way)
            weather->conditions[to][from][network] = conditions;
        apply_all(weather);
        return;
    }
    *world_conditions(weather->world) = conditions;
    for (from = 0; from < weather->world->count; from++)
        for (to = 0; to < weather->world->count; to++)
            for (network = 0; network < weather->world->addresses; network++)
                weather->conditions[from][to][network] = conditions;
    apply_all(weather);
}

void weather_cut(struct weather *weather)
{
    bool one_way = chance(weather, 0.3);
    unsigned int from, to, network;
    bool cut;

    some_wire(weather, &from, &to, &network);
    cut = !weather->cut[from][to][network];
    weather->cut[from][to][network] = cut;
    if (!one_way || !cut)
        weather->cut[to][from][network] = cut;
    apply_all(weather);
}

void weather_change_mtu(struct weather *weather)
{
    uint32_t least = weather->world->ipv6 ? 1280 : 576;
    unsigned int from, to, network;

    some_wire(weather, &from, &to, &network);
    weather->conditions[from][to][network].mtu =
        chance(weather, 0.3) ? 0 : least + below(weather, 1500 - least);
    weather->conditions[from][to][network].icmp = chance(weather, 0.8);
    apply_all(weather);
}

void weather_set_address(struct weather *weather, unsigned int host, unsigned int address, bool up)
{
    weather->address_down[host][address] = !up;
    apply_all(weather);
}

void weather_calm(struct weather *weather)
{
    struct memory_conditions good = {.delay = 10000, .icmp = true};

    *world_conditions(weather->world) = good;
    memset(weather->cut, 0, sizeof(weather->cut));
    memset(weather->address_down, 0, sizeof(weather->address_down));
    for (unsigned int from = 0; from < weather->world->count; from++)
        for (unsigned int to = 0; to < weather->world->count; to++)
            for (unsigned int network = 0; network < weather->world->addresses; network++)
                weather->conditions[from][to][network] = good;
    apply_all(weather);
}
