#include "pair.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BACKLOG = 1 << 20 };
#define INTERRUPTED 1e-3 /* seconds: others had the processor, for what takes far less */

void pair_fail(const char *what, int error)
{
    (void)fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(-error));
    exit(1);
}

double pair_processor_time(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Costs next to nothing to ask, unlike the processor's time. */
static double wall_time(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void host_random(void *context, void *bytes, size_t length)
{
    random_bytes(&((struct pair_host *)context)->random, bytes, length);
}

static uint32_t open_endpoint(struct pair_host *host, const struct braid_parameters *parameters,
                              uint16_t port)
{
    struct braid_endpoint_config config = {.port = port, .ipv4 = true, .parameters = parameters};
    uint32_t endpoint = 0;
    int error = braid_endpoint_open(host->engine, &config, &endpoint);

    if (error < 0)
        pair_fail("endpoint", error);
    return endpoint;
}

static void host_open(struct pair *pair, struct pair_host *host, uint8_t number,
                      unsigned int addresses)
{
    struct braid_engine_config config = {
        .random = host_random, .context = host, .maximum_associations = BACKLOG};
    int error;

    random_seed(&host->random, number);
    for (unsigned int i = 0; i < addresses; i++)
        host->addresses[i] = braid_address_ipv4((uint8_t[]){10, 0, (uint8_t)i, number});
    error = memory_network_attach(pair->network, host->addresses, addresses, 0, &host->link);
    if (error < 0)
        pair_fail("link", error);
    host->engine = braid_engine_new(&config, pair->now);
    if (!host->engine)
        pair_fail("engine", -ENOMEM);
    error = braid_engine_set_addresses(host->engine, host->addresses, addresses, pair->now);
    if (error < 0)
        pair_fail("addresses", error);
}

void pair_open(struct pair *pair, const struct braid_parameters *parameters, unsigned int addresses)
{
    memset(pair, 0, sizeof(*pair));
    pair->arriving = PAIR_PACKETS;
    pair->network = memory_network_new(1);
    if (!pair->network)
        pair_fail("network", -ENOMEM);
    host_open(pair, &pair->sender, 1, addresses);
    host_open(pair, &pair->receiver, 2, addresses);
    for (int i = 0; i < PAIR_PORTS; i++)
        braid_endpoint_listen(pair->receiver.engine,
                              open_endpoint(&pair->receiver, parameters, (uint16_t)(PAIR_PORT + i)),
                              BACKLOG);
}

void pair_close(struct pair *pair)
{
    braid_engine_free(pair->sender.engine);
    braid_engine_free(pair->receiver.engine);
    link_close(pair->sender.link);
    link_close(pair->receiver.link);
    memory_network_free(pair->network);
}

uint32_t pair_connect(struct pair *pair, const struct braid_parameters *parameters)
{
    uint16_t port = PAIR_PORT + pair->sender.connected++ % PAIR_PORTS;
    uint32_t association;
    int error;

    if (port == PAIR_PORT)
        pair->sender.endpoint = open_endpoint(&pair->sender, parameters, 0);
    error = braid_connect(pair->sender.engine, pair->sender.endpoint, pair->receiver.addresses, 1,
                          port, 0, pair->now, &association);
    if (error < 0)
        pair_fail("connect", error);
    return association;
}

static void read_messages(struct pair *pair, struct pair_host *host, uint32_t association)
{
    struct braid_received received;

    while (braid_receive(host->engine, association, &received, pair->now) > 0) {
        host->messages += !!(received.flags & BRAID_RECEIVE_END);
        host->bytes += received.length;
        braid_received_release(host->engine, &received, pair->now);
    }
}

static bool host_transmit(struct pair *pair, struct pair_host *host)
{
    struct braid_batch batch = {
        .bytes = host->batch, .capacity = PAIR_BATCH_BYTES, .maximum_packets = PAIR_PACKETS};
    bool any = false;

    while (braid_engine_transmit(host->engine, &batch, pair->now)) {
        (void)link_send(host->link, &batch);
        any = true;
    }
    return any;
}

static bool host_receive(struct pair *pair, struct pair_host *host)
{
    struct braid_packet packets[PAIR_PACKETS];
    struct braid_event event;
    double begin, took;
    bool any = false;
    int count;

    while ((count = link_receive(host->link, packets, pair->arriving)) > 0) {
        begin = host->timed ? wall_time() : 0;
        braid_engine_receive(host->engine, packets, (size_t)count, pair->now);
        took = host->timed ? wall_time() - begin : 0;
        if (took < INTERRUPTED)
            host->receiving += took;
        any = true;
    }
    while (braid_engine_next_event(host->engine, &event)) {
        if (event.type == BRAID_EVENT_UP) {
            host->up++;
            host->association = event.association;
            braid_association_claim(host->engine, event.association);
        } else if (event.type == BRAID_EVENT_READABLE) {
            read_messages(pair, host, event.association);
        } else if (event.type == BRAID_EVENT_DOWN) {
            pair_fail("an association was lost", -ECONNABORTED);
        }
    }
    return any;
}

bool pair_turn(struct pair *pair)
{
    bool any = host_transmit(pair, &pair->sender);

    any |= host_receive(pair, &pair->receiver);
    any |= host_transmit(pair, &pair->receiver);
    any |= host_receive(pair, &pair->sender);
    return any;
}

static braid_time earlier(braid_time a, braid_time b)
{
    return a < b ? a : b;
}

void pair_wait(struct pair *pair, braid_time end)
{
    braid_time next = memory_network_next_arrival(pair->network);

    next = earlier(next, braid_engine_next_timeout(pair->sender.engine));
    next = earlier(next, braid_engine_next_timeout(pair->receiver.engine));
    next = earlier(next, end);
    if (next > pair->now)
        pair->now = next;
    memory_network_advance(pair->network, pair->now);
    braid_engine_timeout(pair->sender.engine, pair->now);
    braid_engine_timeout(pair->receiver.engine, pair->now);
}

void pair_run(struct pair *pair, braid_time end)
{
    do {
        while (pair_turn(pair))
            ;
        pair_wait(pair, end);
    } while (pair->now < end);
    while (pair_turn(pair))
        ;
}

bool pair_send(struct pair *pair, uint32_t association, const void *bytes, size_t length)
{
    static const struct braid_send send = {.ppid = 0};
    int error = braid_send(pair->sender.engine, association, &send, bytes, length, pair->now);

    if (error < 0 && error != -EAGAIN)
        pair_fail("send", error);
    return error == 0;
}
