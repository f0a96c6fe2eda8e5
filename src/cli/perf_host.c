/*
 * braid perf: an engine on a link, in one thread: what a program does that embeds Braid.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "cli/perf.h"

enum {
    PACKETS = 256,
    BATCH_BYTES = 65536,
    RECEIVE_ROUNDS = 16,   /* before what came is looked at */
    ROUTE_LIFE = 1000000,  /* us */
    INIT_RETRANSMITS = 4,  /* who measures waits for nobody */
    INIT_TIMEOUT = 1000,   /* ms */
    WAIT_MAXIMUM = 250000, /* us: signals are looked at after it */
};

braid_time perf_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (braid_time)now.tv_sec * 1000000 + (braid_time)now.tv_nsec / 1000;
}

/* The kernel is asked for many at once: the engine mostly wants a few. None is given twice. */
static void host_random(void *context, void *bytes, size_t length)
{
    struct perf_host *host = context;
    uint8_t *to = bytes;

    for (; length > 0; length--) {
        if (host->random_left == 0) {
            while (getrandom(host->random, sizeof(host->random), 0) != sizeof(host->random))
                ;
            host->random_left = sizeof(host->random);
        }
        *to++ = host->random[--host->random_left];
    }
}

/* Many associations go the same way: its route is looked up once in a while. */
static bool host_route(void *context, const struct braid_address *destination, uint32_t interface,
                       struct braid_address *source, uint32_t *mtu)
{
    struct perf_host *host = context;
    struct perf_route *known = host->known_routes;
    size_t sum = 0;

    for (size_t i = 0; i < sizeof(destination->bytes); i++)
        sum += destination->bytes[i];
    known += sum % (sizeof(host->known_routes) / sizeof(host->known_routes[0]));

    if (!braid_address_equal(&known->destination, destination) ||
        host->now - known->looked_up > ROUTE_LIFE) {
        *known = (struct perf_route){.destination = *destination, .looked_up = host->now};
        known->found =
            route_lookup(&host->routes, destination, interface, &known->source, &known->mtu) == 0;
    }
    *source = known->source;
    *mtu = known->mtu;
    return known->found;
}

static int open_link(struct perf_host *host, const struct perf_options *options, uint16_t udp_port)
{
    struct link_config config = {.port = udp_port};
    bool udp = options->udp_port != 0;
    int error = udp ? link_open_udp(&host->link, &config) : link_open_raw(&host->link, &config);

    if (error < 0 && udp)
        snprintf(host->error, sizeof(host->error), "UDP port %u: %s", udp_port,
                 link_udp_error_text(error));
    else if (error < 0)
        snprintf(host->error, sizeof(host->error), "raw IP: %s", link_raw_error_text(error));
    return error;
}

static int open_engine(struct perf_host *host)
{
    struct braid_engine_config config = {
        .random = host_random,
        .route = host_route,
        .context = host,
        .encapsulation_port = host->link->port,
    };
    struct braid_address *addresses = NULL;
    size_t count = 0;
    int error = routes_open(&host->routes);

    if (error == 0)
        error = addresses_list(&addresses, &count);
    if (error < 0)
        return error;
    host->engine = braid_engine_new(&config, host->now);
    error = host->engine ? braid_engine_set_addresses(host->engine, addresses, count, host->now)
                         : -ENOMEM;
    free(addresses);
    return error;
}

int perf_host_open(struct perf_host *host, const struct perf_options *options, uint16_t udp_port)
{
    int error;

    *host = (struct perf_host){.routes = {.descriptors = {-1, -1}}, .now = perf_clock()};
    braid_parameters_default(&host->parameters);
    host->parameters.path_mtu = options->mtu;
    host->parameters.send_buffer = host->parameters.receive_buffer = options->buffer;
    host->parameters.max_init_retransmits = INIT_RETRANSMITS;
    host->parameters.max_init_timeout = INIT_TIMEOUT;
    host->batch =
        (struct braid_batch){.capacity = BATCH_BYTES, .maximum_packets = PACKETS, .bytes = NULL};
    host->batch.bytes = malloc(BATCH_BYTES);
    error = host->batch.bytes ? open_link(host, options, udp_port) : -ENOMEM;
    if (error == 0)
        error = open_engine(host);
    if (error < 0 && host->error[0] == '\0')
        snprintf(host->error, sizeof(host->error), "%s", strerror(-error));
    return error;
}

void perf_host_close(struct perf_host *host)
{
    if (host->engine)
        braid_engine_free(host->engine);
    routes_close(&host->routes);
    link_close(host->link);
    free(host->batch.bytes);
}

int perf_endpoint_open(struct perf_host *host, uint16_t port, uint32_t *endpoint)
{
    struct braid_endpoint_config config = {
        .port = port,
        .ipv4 = host->link->ipv4,
        .ipv6 = host->link->ipv6,
        .parameters = &host->parameters,
    };

    return braid_endpoint_open(host->engine, &config, endpoint);
}

/* ---- A turn ---- */

static void receive_errors(struct perf_host *host)
{
    struct link_error error;

    while (link_receive_error(host->link, &error))
        braid_engine_icmp(host->engine, error.kind, error.mtu, &error.destination, error.quoted,
                          error.length, host->now);
}

void perf_host_receive(struct perf_host *host)
{
    struct braid_packet packets[PACKETS];
    int count = PACKETS;

    host->received = false;
    for (int i = 0; i < RECEIVE_ROUNDS && count == PACKETS; i++) {
        count = link_receive(host->link, packets, PACKETS);
        host->now = perf_clock();
        if (count > 0) {
            braid_engine_receive(host->engine, packets, (size_t)count, host->now);
            host->received |= count > 1; /* after a single one there is mostly no other yet */
        }
    }
    braid_engine_timeout(host->engine, host->now);
}

/* False: the link is full, and `rest` waits. What does not go otherwise is lost: SCTP will see. */
static bool send_rest(struct perf_host *host)
{
    while (host->rest.count > 0) {
        int sent = link_send(host->link, &host->rest);

        if (sent == -EAGAIN)
            return false;
        if (sent < 0) {
            host->rest.count = 0;
            if (sent == -EMSGSIZE)
                receive_errors(host);
        } else {
            host->rest = link_batch_rest(&host->rest, (size_t)sent);
        }
    }
    return true;
}

static void sleep_until(struct perf_host *host, braid_time wake)
{
    braid_time next = braid_engine_next_timeout(host->engine);
    struct pollfd polls[LINK_SOCKET_MAXIMUM];
    struct timespec patience;
    uint64_t left;

    if (wake < next)
        next = wake;
    host->now = perf_clock();
    left = next > host->now ? next - host->now : 0;
    if (left > WAIT_MAXIMUM)
        left = WAIT_MAXIMUM;
    patience = (struct timespec){.tv_sec = (time_t)(left / 1000000),
                                 .tv_nsec = (long)(left % 1000000 * 1000)};
    for (int i = 0; i < LINK_SOCKET_MAXIMUM; i++)
        polls[i] =
            (struct pollfd){.fd = host->link->descriptors[i],
                            .events = (short)(host->rest.count > 0 ? POLLIN | POLLOUT : POLLIN)};
    if (ppoll(polls, LINK_SOCKET_MAXIMUM, &patience, NULL) <= 0)
        return;
    for (int i = 0; i < LINK_SOCKET_MAXIMUM; i++)
        if (polls[i].revents & POLLERR)
            receive_errors(host);
}

void perf_host_transmit(struct perf_host *host, braid_time wake)
{
    while (send_rest(host) && braid_engine_transmit(host->engine, &host->batch, host->now))
        host->rest = host->batch;
    if (!host->received)
        sleep_until(host, wake);
}

/* ---- Control ---- */

int perf_control_send(struct perf_host *host, uint32_t association, const char *text)
{
    static const struct braid_send send = {.ppid = PERF_CONTROL};

    return braid_send(host->engine, association, &send, text, strlen(text), host->now);
}

void perf_control_copy(const struct braid_received *received, char text[PERF_CONTROL_MAXIMUM])
{
    size_t length = received->length < PERF_CONTROL_MAXIMUM ? received->length : 0;

    memcpy(text, received->bytes, length);
    text[length] = '\0';
}

const char *perf_down_text(const struct braid_event *event)
{
    switch (event->reason) {
    case BRAID_DOWN_SHUTDOWN:
        return "it was ended by the other side";
    case BRAID_DOWN_ABORTED_BY_PEER:
        return "the other side aborted it";
    case BRAID_DOWN_LOST:
        return "the other side does not answer any more";
    case BRAID_DOWN_PROTOCOL:
        return "the other side broke the protocol";
    default:
        return "it was aborted";
    }
}
