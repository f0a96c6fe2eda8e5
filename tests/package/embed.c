/*
 * A program that embeds the engine, compiled against what was installed: two engines in one process
 * set up an association; one sends a message, the other one reads it.
 */
#include <braid/engine.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { PORT = 5000, CAPACITY = 65535 };

struct host {
    struct braid_engine *engine;
    struct braid_address address;
    uint32_t endpoint;
};

static void check(int result, const char *what)
{
    if (result < 0) {
        (void)fprintf(stderr, "%s: %s\n", what, strerror(-result));
        exit(1);
    }
}

static void fill(void *context, void *bytes, size_t length)
{
    (void)context;
    if (getrandom(bytes, length, 0) != (ssize_t)length)
        abort();
}

static void host_open(struct host *host, uint8_t number)
{
    struct braid_engine_config config = {.random = fill};
    struct braid_endpoint_config endpoint = {.port = PORT, .ipv4 = true};

    host->address = braid_address_ipv4((uint8_t[]){192, 0, 2, number});
    host->engine = braid_engine_new(&config, 0);
    check(host->engine ? 0 : -1, "engine");
    check(braid_engine_set_addresses(host->engine, &host->address, 1, 0), "addresses");
    check(braid_endpoint_open(host->engine, &endpoint, &host->endpoint), "endpoint");
}

/* All that one has to send goes to the other. */
static bool carry(struct host *from, struct host *to, braid_time now)
{
    static uint8_t bytes[CAPACITY];
    struct braid_batch batch = {.bytes = bytes, .capacity = CAPACITY, .maximum_packets = 1};
    bool any = false;

    while (braid_engine_transmit(from->engine, &batch, now)) {
        struct braid_packet packet = {.bytes = bytes,
                                      .length = batch.length,
                                      .source = from->address,
                                      .destination = to->address};

        braid_engine_receive(to->engine, &packet, 1, now);
        any = true;
    }
    return any;
}

int main(void)
{
    static const char text[] = "hello, engine";
    struct braid_send send = {.stream = 0};
    struct braid_received received;
    struct braid_event event;
    struct host a, b;
    uint32_t association;
    int status = 1;

    host_open(&a, 1);
    host_open(&b, 2);
    check(braid_endpoint_listen(b.engine, b.endpoint, 1), "listen");
    check(braid_connect(a.engine, a.endpoint, &b.address, 1, PORT, 0, 0, &association), "connect");
    check(braid_send(a.engine, association, &send, text, sizeof(text) - 1, 0), "send");
    while (carry(&a, &b, 0) || carry(&b, &a, 0))
        ;
    while (braid_engine_next_event(b.engine, &event)) {
        if (event.type != BRAID_EVENT_READABLE)
            continue;
        check(braid_receive(b.engine, event.association, &received, 0), "receive");
        printf("%.*s\n", (int)received.length, (const char *)received.bytes);
        braid_received_release(b.engine, &received, 0);
        status = 0;
    }
    braid_engine_free(a.engine);
    braid_engine_free(b.engine);
    return status;
}
