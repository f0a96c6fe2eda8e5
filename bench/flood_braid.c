/* The benchmark over Braid: an engine on a link over UDP, in one thread. */
#include "flood.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/random.h>

#include "braid/engine.h"
#include "link/link.h"

enum { PACKETS = 256, BATCH_BYTES = 65536 };

struct host {
    struct flood *flood;
    struct link *link;
    struct braid_engine *engine;
    uint32_t endpoint, association;
    bool up, down;
    uint8_t batch[BATCH_BYTES];
};

static braid_time host_now(void)
{
    return flood_now() / 1000;
}

static void host_random(void *context, void *bytes, size_t length)
{
    (void)context;
    if (getrandom(bytes, length, 0) != (ssize_t)length)
        flood_fail("getrandom", errno);
}

static struct host *host_open(struct flood *flood, uint16_t udp_port, uint16_t port)
{
    static const uint8_t loopback[4] = {127, 0, 0, 1};
    struct braid_address address = braid_address_ipv4(loopback);
    struct link_config link_config = {.port = udp_port, .address = address};
    struct braid_engine_config engine_config = {.random = host_random,
                                                .encapsulation_port = udp_port};
    struct braid_parameters parameters;
    struct braid_endpoint_config endpoint_config = {.port = port,
                                                    .addresses = &address,
                                                    .address_count = 1,
                                                    .ipv4 = true,
                                                    .parameters = &parameters};
    struct host *host = calloc(1, sizeof(*host));
    braid_time now = host_now();
    int error;

    if (!host)
        flood_fail("braid", ENOMEM);
    host->flood = flood;
    error = link_open_udp(&host->link, &link_config);
    if (error < 0)
        flood_fail("braid link", error);
    host->engine = braid_engine_new(&engine_config, now);
    if (!host->engine)
        flood_fail("braid engine", ENOMEM);
    braid_parameters_default(&parameters);
    parameters.path_mtu = FLOOD_MTU;
    parameters.send_buffer = parameters.receive_buffer = FLOOD_BUFFER;
    if (flood->max_burst >= 0)
        parameters.max_burst = (uint32_t)flood->max_burst;
    error = braid_engine_set_addresses(host->engine, &address, 1, now);
    if (error == 0)
        error = braid_endpoint_open(host->engine, &endpoint_config, &host->endpoint);
    if (error < 0)
        flood_fail("braid endpoint", error);
    return host;
}

static void host_close(struct host *host)
{
    braid_engine_free(host->engine);
    link_close(host->link);
    free(host);
}

static void host_read_messages(struct host *host, braid_time now)
{
    struct braid_received received;

    while (braid_receive(host->engine, host->association, &received, now) > 0) {
        flood_received(host->flood, received.bytes, received.length);
        braid_received_release(host->engine, &received, now);
    }
}

static void host_take_events(struct host *host, braid_time now)
{
    struct braid_event event;

    while (braid_engine_next_event(host->engine, &event)) {
        if (event.type == BRAID_EVENT_UP) {
            host->up = true;
            host->association = event.association;
        } else if (event.type == BRAID_EVENT_READABLE) {
            host_read_messages(host, now);
        } else if (event.type == BRAID_EVENT_DOWN) {
            host->down = true;
            if (event.reason != BRAID_DOWN_SHUTDOWN)
                flood_fail("the association was lost", ECONNABORTED);
        }
    }
}

static void host_transmit(struct host *host, braid_time now)
{
    struct braid_batch batch = {
        .bytes = host->batch, .capacity = BATCH_BYTES, .maximum_packets = PACKETS};

    while (braid_engine_transmit(host->engine, &batch, now)) {
        struct braid_batch rest = batch;

        while (rest.count > 0) {
            int sent = link_send(host->link, &rest);

            if (sent < 0)
                break; /* lost: SCTP will see */
            rest = link_batch_rest(&rest, (size_t)sent);
        }
    }
}

static void host_wait(struct host *host)
{
    braid_time now = host_now(), next = braid_engine_next_timeout(host->engine);
    struct pollfd polls[LINK_SOCKET_MAXIMUM];
    int milliseconds = -1;

    if (next != BRAID_TIME_NEVER)
        milliseconds = next > now ? (int)((next - now + 999) / 1000) : 0;
    for (int i = 0; i < LINK_SOCKET_MAXIMUM; i++)
        polls[i] = (struct pollfd){.fd = host->link->descriptors[i], .events = POLLIN};
    poll(polls, LINK_SOCKET_MAXIMUM, milliseconds);
}

/* Takes what came, and waits first if that was nothing the last time. True if anything came. */
static bool host_receive(struct host *host)
{
    struct braid_packet packets[PACKETS];
    bool any = false;
    int count;

    do {
        count = link_receive(host->link, packets, PACKETS);
        if (count < 0)
            flood_fail("braid link", count);
        if (count > 0)
            braid_engine_receive(host->engine, packets, (size_t)count, host_now());
        any |= count > 0;
    } while (count == PACKETS);
    return any;
}

static void braid_flood_receive(struct flood *flood)
{
    struct host *host = host_open(flood, flood->port, FLOOD_PORT);

    braid_endpoint_listen(host->engine, host->endpoint, 1);
    flood_ready(flood);
    while (!host->down) {
        bool any = host_receive(host);
        braid_time now = host_now();

        braid_engine_timeout(host->engine, now);
        host_take_events(host, now);
        host_transmit(host, now);
        if (!any)
            host_wait(host);
    }
    host_close(host);
}

/* Fills the send buffer. False if the time is over. */
static bool host_send_messages(struct host *host, braid_time now)
{
    static const struct braid_send send = {.ppid = 0};
    const void *message;

    while ((message = flood_next(host->flood))) {
        int error =
            braid_send(host->engine, host->association, &send, message, host->flood->size, now);

        if (error == -EAGAIN)
            return true;
        if (error < 0)
            flood_fail("braid send", error);
        flood_sent(host->flood);
    }
    return false;
}

static void braid_flood_send(struct flood *flood)
{
    static const uint8_t loopback[4] = {127, 0, 0, 1};
    struct braid_address address = braid_address_ipv4(loopback);
    struct host *host = host_open(flood, flood->port + 1, 0);
    bool sending = true;
    int error = braid_connect(host->engine, host->endpoint, &address, 1, FLOOD_PORT, flood->port,
                              host_now(), &host->association);

    if (error < 0)
        flood_fail("braid connect", error);
    while (!host->down) {
        bool any = host_receive(host);
        braid_time now = host_now();

        braid_engine_timeout(host->engine, now);
        host_take_events(host, now);
        if (host->up && sending) {
            sending = host_send_messages(host, now);
            if (!sending)
                braid_shutdown(host->engine, host->association, now);
        }
        host_transmit(host, now);
        if (!any)
            host_wait(host);
    }
    host_close(host);
}

const struct flood_stack flood_braid = {"braid", braid_flood_receive, braid_flood_send};
