/*
 * What associations cost that do nothing: heartbeats alone (RFC 9260, section 8.3).
 *
 *     idle [-n ASSOCIATIONS] [-t SECONDS] [--json] [--check]
 *
 * Two engines with so many associations of two paths each. Their time is virtual, as many seconds
 * as asked for; their packets are real, each goes through UDP sockets over loopback. The
 * processor's time is divided by the virtual time: the share of one core that a host with them
 * needs. --check compares the cost of a heartbeat among few associations and among many, and ends
 * with 1 if it is not nearly the same.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "braid/engine.h"
#include "link/link.h"
#include "link/random.h"

enum { PACKETS = 64, BATCH_BYTES = 65536, PORT = 5001, PATHS = 2, SETUP_AT_ONCE = 100 };

struct host {
    struct braid_engine *engine;
    struct link *link;
    struct random_generator random;
    struct braid_address addresses[PATHS];
    uint32_t up;
    uint8_t bytes[BATCH_BYTES];
};

struct result {
    double share; /* of one core, for one host */
    double microseconds_per_heartbeat;
    double heartbeats_per_second;
};

static braid_time now;

static void fail(const char *what, int error)
{
    (void)fprintf(stderr, "idle: %s: %s\n", what, strerror(-error));
    exit(1);
}

static double processor_time(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void host_random(void *context, void *bytes, size_t length)
{
    random_bytes(&((struct host *)context)->random, bytes, length);
}

static void host_open(struct host *host, uint8_t number)
{
    struct braid_engine_config config = {.random = host_random, .context = host};
    int error = link_open_udp(&host->link, &(struct link_config){.ipv4_only = true});

    if (error < 0)
        fail("UDP", error);
    config.encapsulation_port = host->link->port;
    random_seed(&host->random, number);
    for (unsigned int i = 0; i < PATHS; i++)
        host->addresses[i] = braid_address_ipv4((uint8_t[]){127, 0, (uint8_t)i, number});
    host->up = 0;
    host->engine = braid_engine_new(&config, now);
    if (!host->engine)
        fail("engine", -ENOMEM);
}

static uint32_t host_open_endpoint(struct host *host, uint16_t port)
{
    struct braid_endpoint_config config = {
        .port = port, .addresses = host->addresses, .address_count = PATHS};
    uint32_t endpoint = 0;
    int error = braid_endpoint_open(host->engine, &config, &endpoint);

    if (error < 0)
        fail("endpoint", error);
    return endpoint;
}

/* One turn of an event loop. True if there was anything to do. */
static bool host_turn(struct host *host)
{
    struct braid_batch batch = {
        .bytes = host->bytes, .capacity = BATCH_BYTES, .maximum_packets = PACKETS};
    struct pollfd readable = {.fd = host->link->descriptors[0], .events = POLLIN};
    struct braid_packet packets[PACKETS];
    struct braid_event event;
    bool any = false;
    int count;

    (void)poll(&readable, 1, 0);
    while ((count = link_receive(host->link, packets, PACKETS)) > 0) {
        braid_engine_receive(host->engine, packets, (size_t)count, now);
        any = true;
    }
    if (braid_engine_next_timeout(host->engine) <= now) {
        braid_engine_timeout(host->engine, now);
        any = true;
    }
    while (braid_engine_transmit(host->engine, &batch, now)) {
        if (link_send(host->link, &batch) < 0)
            fail("send", -EIO);
        any = true;
    }
    while (braid_engine_next_event(host->engine, &event)) {
        host->up += event.type == BRAID_EVENT_UP;
        if (event.type == BRAID_EVENT_DOWN)
            fail("an association was lost", -ECONNABORTED);
    }
    return any;
}

static void run_until(struct host hosts[2], braid_time end)
{
    for (;;) {
        braid_time next = end;
        bool any = false;

        for (unsigned int i = 0; i < 2; i++)
            any |= host_turn(&hosts[i]);
        if (any)
            continue;
        for (unsigned int i = 0; i < 2; i++) {
            braid_time timeout = braid_engine_next_timeout(hosts[i].engine);

            next = timeout < next ? timeout : next;
        }
        if (next >= end)
            break;
        now = next;
    }
    now = end;
}

static uint64_t heartbeats(const struct host *host)
{
    struct braid_association_info info;
    uint64_t sum = 0;

    for (uint32_t id = 0; (id = braid_association_next(host->engine, 0, id)) != 0;) {
        if (braid_association_info(host->engine, id, &info) == 0)
            sum += info.heartbeats_sent;
    }
    return sum;
}

static struct result measure(uint32_t associations, uint32_t seconds)
{
    static struct host hosts[2];
    uint32_t endpoint, association;
    uint64_t before, sent;
    double begin, took;
    int error;

    for (uint8_t i = 0; i < 2; i++)
        host_open(&hosts[i], (uint8_t)(i + 1));
    braid_endpoint_listen(hosts[1].engine, host_open_endpoint(&hosts[1], PORT), associations);
    for (uint32_t i = 0; i < associations; i++) {
        endpoint = host_open_endpoint(&hosts[0], 0);
        error = braid_connect(hosts[0].engine, endpoint, hosts[1].addresses, PATHS, PORT,
                              hosts[1].link->port, now, &association);
        if (error < 0)
            fail("connect", error);
        if (i % SETUP_AT_ONCE == 0)
            run_until(hosts, now + 1000);
    }
    run_until(hosts, now + 60000000); /* all addresses are confirmed, and heartbeats spread */
    if (hosts[0].up != associations || hosts[1].up != associations)
        fail("not all associations came up", -ETIMEDOUT);
    before = heartbeats(&hosts[0]) + heartbeats(&hosts[1]);
    begin = processor_time();
    run_until(hosts, now + (braid_time)seconds * 1000000);
    took = processor_time() - begin;
    sent = heartbeats(&hosts[0]) + heartbeats(&hosts[1]) - before;
    if (sent < (uint64_t)associations * PATHS * 2 * (seconds / 35))
        fail("there were too few heartbeats", -EPROTO);
    for (unsigned int i = 0; i < 2; i++) {
        braid_engine_free(hosts[i].engine);
        link_close(hosts[i].link);
    }
    return (struct result){
        .share = took / seconds / 2,
        .microseconds_per_heartbeat = took * 1e6 / (double)sent,
        .heartbeats_per_second = (double)sent / seconds / 2,
    };
}

/* Few associations fit the processor's caches, many do not: that much is granted. */
#define GROWTH_MAXIMUM 3.0

static int check(uint32_t associations)
{
    struct result few = measure(associations / 20, 20 * 35);
    struct result many = measure(associations, 35);
    double growth = many.microseconds_per_heartbeat / few.microseconds_per_heartbeat;

    printf("a heartbeat costs %.1f us among %u associations, %.1f us among %u: %.1f times\n",
           few.microseconds_per_heartbeat, associations / 20, many.microseconds_per_heartbeat,
           associations, growth);
    return growth < GROWTH_MAXIMUM ? 0 : 1;
}

int main(int argc, char **argv)
{
    uint32_t associations = 10000, seconds = 120;
    bool json = false, checking = false;
    struct result result;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--check") == 0)
            checking = true;
        else if (i + 1 < argc && strcmp(argv[i], "-n") == 0)
            associations = (uint32_t)strtoul(argv[++i], NULL, 10);
        else if (i + 1 < argc && strcmp(argv[i], "-t") == 0)
            seconds = (uint32_t)strtoul(argv[++i], NULL, 10);
        else
            associations = 0;
    }
    if (associations < 20 || associations > 16000 || seconds < 35 || seconds > 3600) {
        (void)fprintf(stderr, "usage: idle [-n ASSOCIATIONS] [-t SECONDS] [--json] [--check]\n");
        return 2;
    }
    if (checking)
        return check(associations);
    result = measure(associations, seconds);
    printf(json ? "{\"associations\": %u, \"percent_of_a_core\": %.2f, "
                  "\"heartbeats_per_second\": %.0f, \"microseconds_per_heartbeat\": %.2f}\n"
                : "%u idle associations: %.2f %% of a core, %.0f heartbeats/s, %.2f us each\n",
           associations, result.share * 100, result.heartbeats_per_second,
           result.microseconds_per_heartbeat);
    return 0;
}
