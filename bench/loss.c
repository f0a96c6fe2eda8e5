/*
 * Goodput over a path that loses packets, in virtual time, beside what is expected of the
 * congestion control of RFC 9260, section 7.
 *
 *     loss [-T SECONDS] [-r MILLISECONDS]
 *
 * 20 ms there and back, no limit of bandwidth, buffers of 64 MiB; each packet of data is lost by
 * itself. What is expected is the rate of Mathis, Semke, Mahdavi and Ott ("The Macroscopic Behavior
 * of the TCP Congestion Avoidance Algorithm", 1997) for a window that grows by a packet a round
 * trip and is halved by a loss: packet / RTT * sqrt(3 / (2 p)). -r is another RTO.Min than the
 * recommended second. Prints one JSON object.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pair.h"

enum { SECOND = 1000000, DELAY = 10000, BUFFER = 64 << 20, MTU = 1400, MESSAGE = 16384 };
enum { USER_BYTES = MTU - 20 - 12 - 16 }; /* of a full packet */

/* Bits a second. */
static double goodput(double loss, uint32_t seconds, uint32_t rto_min)
{
    static struct pair pair;
    static uint8_t message[MESSAGE];
    struct braid_parameters parameters;
    struct memory_wire *wire;
    uint32_t association;
    uint64_t before;

    braid_parameters_default(&parameters);
    parameters.path_mtu = MTU;
    parameters.send_buffer = parameters.receive_buffer = BUFFER;
    parameters.error_detection_method = PAIR_ERROR_DETECTION_METHOD;
    if (rto_min > 0)
        parameters.rto_min = rto_min;
    pair_open(&pair, &parameters, 1);
    wire = memory_network_wire(pair.network, NULL, NULL);
    memory_wire_conditions(wire)->delay = DELAY;
    wire = memory_network_wire(pair.network, &pair.sender.addresses[0], NULL);
    if (!wire)
        pair_fail("wire", -12);
    memory_wire_conditions(wire)->delay = DELAY;
    association = pair_connect(&pair, &parameters);
    pair_run(&pair, pair.now + SECOND);
    memory_wire_conditions(wire)->loss = loss;
    before = 0;
    for (braid_time begin = pair.now, end = begin + (uint64_t)seconds * SECOND * 11 / 10;
         pair.now < end;) {
        if (before == 0 && pair.now >= begin + (uint64_t)seconds * SECOND / 10)
            before = pair.receiver.bytes; /* slow start is over */
        while (pair_send(&pair, association, message, MESSAGE))
            ;
        if (!pair_turn(&pair))
            pair_wait(&pair, end);
    }
    before = pair.receiver.bytes - before;
    pair_close(&pair);
    return (double)before * 8 / seconds;
}

int main(int argc, char **argv)
{
    static const double losses[] = {0.001, 0.01, 0.05};
    uint32_t seconds = 300, rto_min = 0;
    int option;

    while ((option = getopt(argc, argv, "T:r:")) != -1) {
        if (option == 'T')
            seconds = (uint32_t)strtoul(optarg, NULL, 10);
        else if (option == 'r')
            rto_min = (uint32_t)strtoul(optarg, NULL, 10);
        else
            seconds = 0;
    }
    if (seconds < 10 || seconds > 100000 || optind != argc) {
        (void)fprintf(stderr, "usage: loss [-T SECONDS] [-r MILLISECONDS]\n");
        return 2;
    }
    printf("{\"seconds\": %u, \"round_trip\": %.3f, \"losses\": [", seconds, 2.0 * DELAY / SECOND);
    for (size_t i = 0; i < 3; i++) {
        double ideal = USER_BYTES * 8 / (2.0 * DELAY / SECOND) * sqrt(1.5 / losses[i]);

        printf("%s{\"loss\": %g, \"bits_per_second\": %.0f, \"mathis_bits_per_second\": %.0f}",
               i ? ", " : "", losses[i], goodput(losses[i], seconds, rto_min), ideal);
    }
    printf("]}\n");
    return 0;
}
