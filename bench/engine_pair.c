/*
 * Two engines back to back in one thread, without sockets: what the engine itself costs.
 *
 *     engine_pair [-l BYTES] [-T SECONDS] [-b MAX.BURST] [--json]
 *
 * What one engine transmits, the other receives at once. The time that they are told is virtual,
 * and goes on by a millisecond when both have nothing to do. For use under perf.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "braid/engine.h"
#include "link/link.h"
#include "link/random.h"

enum { PACKETS = 256, BATCH_BYTES = 65536, BUFFER = 1 << 20, PORT = 5001 };

struct host {
    struct braid_engine *engine;
    struct random_generator random;
    struct braid_address address;
    uint32_t endpoint, association;
    bool up;
    uint64_t messages, packets;
    uint8_t batch[BATCH_BYTES];
};

static braid_time now;

static void fail(const char *what, int error)
{
    (void)fprintf(stderr, "engine_pair: %s: %s\n", what, strerror(-error));
    exit(1);
}

static uint64_t clock_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void host_random(void *context, void *bytes, size_t length)
{
    random_bytes(&((struct host *)context)->random, bytes, length);
}

static void host_open(struct host *host, uint8_t number, uint16_t port, int max_burst)
{
    uint8_t bytes[4] = {192, 0, 2, number};
    struct braid_engine_config config = {.random = host_random, .context = host};
    struct braid_parameters parameters;
    struct braid_endpoint_config endpoint = {.port = port, .ipv4 = true, .parameters = &parameters};
    int error;

    random_seed(&host->random, number);
    host->address = braid_address_ipv4(bytes);
    host->engine = braid_engine_new(&config, now);
    if (!host->engine)
        fail("engine", -ENOMEM);
    braid_parameters_default(&parameters);
    parameters.path_mtu = 1500;
    parameters.send_buffer = parameters.receive_buffer = BUFFER;
    if (max_burst >= 0)
        parameters.max_burst = (uint32_t)max_burst;
    error = braid_engine_set_addresses(host->engine, &host->address, 1, now);
    if (error == 0)
        error = braid_endpoint_open(host->engine, &endpoint, &host->endpoint);
    if (error < 0)
        fail("endpoint", error);
}

static void host_take_events(struct host *host, size_t size)
{
    struct braid_received received;
    struct braid_event event;

    while (braid_engine_next_event(host->engine, &event)) {
        if (event.type == BRAID_EVENT_UP) {
            host->up = true;
            host->association = event.association;
        } else if (event.type == BRAID_EVENT_DOWN) {
            fail("the association was lost", -ECONNABORTED);
        } else if (event.type == BRAID_EVENT_READABLE) {
            while (braid_receive(host->engine, host->association, &received, now) > 0) {
                if (received.length != size ||
                    memcmp(received.bytes, &host->messages, sizeof(host->messages)) != 0)
                    fail("a message came that is not the next", -EPROTO);
                host->messages++;
                braid_received_release(host->engine, &received, now);
            }
        }
    }
}

/* Everything that one engine has to send, to the other. True if it was anything. */
static bool host_transmit(struct host *from, struct host *to)
{
    struct braid_batch batch = {
        .bytes = from->batch, .capacity = BATCH_BYTES, .maximum_packets = PACKETS};
    struct braid_packet packets[PACKETS];
    bool any = false;

    while (braid_engine_transmit(from->engine, &batch, now)) {
        size_t count;

        batch.source = from->address;
        count = link_batch_packets(&batch, 0, packets, PACKETS);
        braid_engine_receive(to->engine, packets, count, now);
        from->packets += count;
        any = true;
    }
    return any;
}

/* Fills the send buffer with messages that begin with their number. */
static void host_send_messages(struct host *host, uint8_t *message, size_t size)
{
    static const struct braid_send send = {.ppid = 0};
    int error;

    for (;;) {
        memcpy(message, &host->messages, sizeof(host->messages));
        error = braid_send(host->engine, host->association, &send, message, size, now);
        if (error == -EAGAIN)
            return;
        if (error < 0)
            fail("send", error);
        host->messages++;
    }
}

static void run(size_t size, double seconds, int max_burst, bool json)
{
    static struct host sender, receiver;
    uint8_t *message = calloc(1, size);
    uint64_t begin = 0, end = 0;
    double took;
    int error;

    if (!message)
        fail("message", -ENOMEM);
    host_open(&sender, 1, 0, max_burst);
    host_open(&receiver, 2, PORT, max_burst);
    braid_endpoint_listen(receiver.engine, receiver.endpoint, 1);
    error = braid_connect(sender.engine, sender.endpoint, &receiver.address, 1, PORT, 0, now,
                          &sender.association);
    if (error < 0)
        fail("connect", error);
    while (begin == 0 || (end = clock_now()) - begin < (uint64_t)(seconds * 1e9)) {
        bool any;

        if (sender.up) {
            begin = begin ? begin : clock_now();
            host_send_messages(&sender, message, size);
        }
        any = host_transmit(&sender, &receiver);
        host_take_events(&receiver, size);
        any |= host_transmit(&receiver, &sender);
        host_take_events(&sender, size);
        now += any ? 1 : 1000;
        braid_engine_timeout(sender.engine, now);
        braid_engine_timeout(receiver.engine, now);
    }
    took = (double)(end - begin) / 1e9;
    printf(json ? "{\"size\": %zu, \"messages_per_second\": %.0f, \"megabits_per_second\": %.1f, "
                  "\"nanoseconds_per_message\": %.1f, \"nanoseconds_per_packet\": %.1f}\n"
                : "%zu bytes: %.0f messages/s, %.1f Mb/s, %.1f ns a message, %.1f ns a packet\n",
           size, (double)receiver.messages / took,
           (double)receiver.messages * (double)size * 8 / took / 1e6,
           took * 1e9 / (double)receiver.messages,
           took * 1e9 / (double)(sender.packets + receiver.packets));
    braid_engine_free(sender.engine);
    braid_engine_free(receiver.engine);
    free(message);
}

int main(int argc, char **argv)
{
    size_t size = 1024;
    double seconds = 2;
    int max_burst = -1;
    bool json = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (i + 1 < argc && strcmp(argv[i], "-l") == 0)
            size = strtoul(argv[++i], NULL, 10);
        else if (i + 1 < argc && strcmp(argv[i], "-T") == 0)
            seconds = strtod(argv[++i], NULL);
        else if (i + 1 < argc && strcmp(argv[i], "-b") == 0)
            max_burst = (int)strtol(argv[++i], NULL, 10);
        else
            size = 0;
    }
    if (size < sizeof(uint64_t) || size > 1 << 20 || !(seconds > 0 && seconds <= 60)) {
        (void)fprintf(stderr,
                      "usage: engine_pair [-l BYTES] [-T SECONDS] [-b MAX.BURST] [--json]\n");
        return 2;
    }
    run(size, seconds, max_burst, json);
    return 0;
}
