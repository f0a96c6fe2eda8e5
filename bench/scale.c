/*
 * What grows with the number of associations, and with the window.
 *
 *     scale memory [-n ASSOCIATIONS]   bytes of an idle association: 2 paths, 10 streams each way
 *     scale associations               the cost of a message among 1, 100, 10,000 and 100,000
 *     scale window                     the cost of a SACK with windows of 64 KiB to 64 MiB, when
 *                                      one packet in a hundred is lost
 *
 * Prints one JSON object. Two engines in this process, in virtual time (pair.h); the processor's
 * time is measured.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pair.h"

enum { AT_ONCE = 1000, MESSAGE = 1024, STREAMS = 10 };

static const braid_time SECOND = 1000000, DELAY = 10000;

static uint8_t message[MESSAGE];

static struct braid_parameters parameters_of(uint32_t buffer)
{
    struct braid_parameters parameters;

    braid_parameters_default(&parameters);
    parameters.path_mtu = 1400;
    parameters.send_buffer = parameters.receive_buffer = buffer;
    parameters.error_detection_method = PAIR_ERROR_DETECTION_METHOD;
    parameters.outbound_streams = STREAMS;
    parameters.inbound_streams = STREAMS;
    return parameters;
}

/* So many associations, up, with all their addresses confirmed. */
static uint32_t *open_many(struct pair *pair, const struct braid_parameters *parameters,
                           uint32_t count)
{
    uint32_t *associations = calloc(count, sizeof(*associations));

    if (!associations)
        pair_fail("associations", -12);
    for (uint32_t i = 0; i < count; i++) {
        associations[i] = pair_connect(pair, parameters);
        if (i % AT_ONCE == 0)
            while (pair_turn(pair))
                ;
    }
    pair_run(pair, pair->now + 2 * SECOND);
    if (pair->sender.up != count || pair->receiver.up != count)
        pair_fail("not all associations came up", -110);
    return associations;
}

static void memory(uint32_t count)
{
    static struct pair pair;
    struct braid_parameters parameters = parameters_of(1 << 20);
    size_t before, after;
    uint32_t *associations;
    struct braid_association_info info;

    pair_open(&pair, &parameters, PAIR_ADDRESSES);
    before = mallinfo2().uordblks + mallinfo2().hblkhd;
    associations = open_many(&pair, &parameters, count / 2);
    /* a message each way in each stream has been there */
    for (uint32_t i = 0; i < count / 2; i++) {
        for (int stream = 0; stream < STREAMS; stream++) {
            struct braid_send send = {.stream = (uint16_t)stream};

            (void)braid_send(pair.sender.engine, associations[i], &send, message, 64, pair.now);
        }
        if (i % AT_ONCE == 0)
            pair_run(&pair, pair.now + SECOND / 1000);
    }
    pair_run(&pair, pair.now + 5 * SECOND);
    after = mallinfo2().uordblks + mallinfo2().hblkhd;
    if (braid_association_info(pair.sender.engine, associations[0], &info) < 0 ||
        info.path_count != 2 || info.outbound_streams != STREAMS ||
        pair.receiver.messages != (uint64_t)count / 2 * STREAMS)
        pair_fail("they are not as they should be", -71);
    count -= count % 2;
    printf(
        "{\"associations\": %u, \"paths\": 2, \"streams\": %d, \"bytes_per_association\": %.0f}\n",
        count, STREAMS, (double)(after - before) / count);
    free(associations);
}

/* Nanoseconds for a message: each association in turn gets some. */
static double cost_of_message(uint32_t count)
{
    enum { BURST = 32, WARM = 3 * BURST, MESSAGES = 2000000 };
    static struct pair pair;
    struct braid_parameters parameters = parameters_of(1 << 20);
    uint32_t *associations;
    uint64_t sent = 0, warm = (uint64_t)count * WARM; /* each has had its memory, as cwnd grew */
    uint32_t next = 0;
    double took = 0;

    parameters.hb_interval = 0;
    pair_open(&pair, &parameters, 1);
    associations = open_many(&pair, &parameters, count);
    while (sent < MESSAGES + warm) {
        if (sent == warm)
            took = pair_processor_time();
        for (uint64_t end = sent + (sent < warm ? WARM : BURST); sent < end;)
            sent += pair_send(&pair, associations[next], message, MESSAGE);
        next = (next + 1) % count;
        while (pair_turn(&pair))
            ;
        pair.now += 10;
    }
    took = pair_processor_time() - took;
    if (pair.receiver.messages != sent)
        pair_fail("messages were lost", -71);
    free(associations);
    pair_close(&pair);
    return took * 1e9 / MESSAGES;
}

static void associations(void)
{
    static const uint32_t counts[] = {1, 100, 10000, 100000};

    printf("{\"associations\": [");
    for (size_t i = 0; i < 4; i++)
        printf("%s{\"associations\": %u, \"nanoseconds_per_message\": %.1f}", i ? ", " : "",
               counts[i], cost_of_message(counts[i]));
    printf("]}\n");
}

/* One association, of whose window 1 % is lost once; the time is measured while that is repaired.
 * How many SACKs came; 0 if nothing was lost. */
static uint64_t repair(struct pair *pair, struct memory_wire *wire,
                       const struct braid_parameters *parameters, uint32_t *lost)
{
    enum { LARGE = 16384 };
    static uint8_t large[LARGE];
    uint32_t window = parameters->receive_buffer, association = pair_connect(pair, parameters);
    struct braid_association_info info = {0};
    struct braid_path_info path = {0};
    uint64_t before = 0;
    double received = pair->sender.receiving;
    braid_time end = BRAID_TIME_NEVER;

    pair_run(pair, pair->now + SECOND);
    while (pair->now < end) {
        while (pair_send(pair, association, large, LARGE))
            ;
        if (pair_turn(pair))
            continue;
        pair_wait(pair, pair->now + DELAY / 10);
        (void)braid_path_info(pair->sender.engine, association, 0, &path);
        (void)braid_association_info(pair->sender.engine, association, &info);
        if (!pair->sender.timed && path.flight >= window / 4 * 3) {
            pair->sender.timed = true;
            before = info.sacks_received;
            memory_wire_conditions(wire)->loss = 0.01;
            end = pair->now + 6 * DELAY;
        } else if (pair->now > end - 4 * DELAY) {
            memory_wire_conditions(wire)->loss = 0;
        }
    }
    pair->sender.timed = false;
    memory_wire_conditions(wire)->loss = 0;
    *lost += (uint32_t)info.chunks_retransmitted;
    pair_run(pair, pair->now + 5 * SECOND); /* it sends what it still has */
    if (info.chunks_retransmitted == 0) {
        pair->sender.receiving = received;
        return 0;
    }
    return info.sacks_received - before;
}

/* Nanoseconds for a SACK. Packets arrive in small groups, so that a SACK says as much that is new
 * with each window. */
static double cost_of_sack(uint32_t window, uint32_t *lost)
{
    enum { TOGETHER = 4, SACKS = 20000 };
    static struct pair pair;
    struct braid_parameters parameters = parameters_of(window);
    struct memory_wire *wire;
    uint64_t sacks = 0;
    double cost;

    parameters.send_buffer = 2 * window;
    parameters.hb_interval = 0;
    pair_open(&pair, &parameters, 1);
    pair.arriving = TOGETHER;
    wire = memory_network_wire(pair.network, &pair.sender.addresses[0], NULL);
    if (!wire)
        pair_fail("wire", -12);
    memory_wire_conditions(wire)->delay = DELAY;
    memory_wire_conditions(memory_network_wire(pair.network, NULL, NULL))->delay = DELAY;
    *lost = 0;
    while (sacks < SACKS)
        sacks += repair(&pair, wire, &parameters, lost);
    cost = pair.sender.receiving * 1e9 / (double)sacks;
    pair_close(&pair);
    return cost;
}

static void windows(void)
{
    static const uint32_t sizes[] = {64 << 10, 1 << 20, 8 << 20, 64 << 20};

    printf("{\"windows\": [");
    for (size_t i = 0; i < 4; i++) {
        uint32_t gaps;
        double cost = cost_of_sack(sizes[i], &gaps);

        printf("%s{\"window\": %u, \"nanoseconds_per_sack\": %.0f, \"chunks_lost\": %u}",
               i ? ", " : "", sizes[i], cost, gaps);
    }
    printf("]}\n");
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    uint32_t count = 1000000;

    if (argc == 4 && strcmp(argv[2], "-n") == 0)
        count = (uint32_t)strtoul(argv[3], NULL, 10);
    if (strcmp(what, "memory") == 0 && count >= 2 && count <= 2000000) {
        memory(count);
    } else if (strcmp(what, "associations") == 0) {
        associations();
    } else if (strcmp(what, "window") == 0) {
        windows();
    } else {
        (void)fprintf(stderr, "usage: scale memory [-n ASSOCIATIONS] | associations | window\n");
        return 2;
    }
    return 0;
}
