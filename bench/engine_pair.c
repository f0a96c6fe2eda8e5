/*
 * Two engines on the network in memory, without sockets: what the engine itself costs.
 *
 *     engine_pair [-l BYTES] [-T SECONDS | -n MESSAGES] [--crc]
 *
 * The time that they are told is virtual. The network in memory does not damage packets, so that
 * CRC32c is left out (RFC 9653), unless --crc. With -n it sends so many messages and prints
 * nothing: for callgrind. Else it prints one JSON object.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pair.h"

enum { BUFFER = 1 << 20, MTU = 1400 };

int main(int argc, char **argv)
{
    static struct pair pair;
    struct braid_parameters parameters;
    uint64_t messages = 0, sent = 0, limit = UINT64_MAX;
    size_t size = 1024;
    double seconds = 2, begin, took = 0;
    uint32_t association;
    uint8_t *message;

    braid_parameters_default(&parameters);
    parameters.path_mtu = MTU;
    parameters.send_buffer = parameters.receive_buffer = BUFFER;
    parameters.error_detection_method = PAIR_ERROR_DETECTION_METHOD;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--crc") == 0)
            parameters.error_detection_method = 0;
        else if (i + 1 < argc && strcmp(argv[i], "-l") == 0)
            size = strtoul(argv[++i], NULL, 10);
        else if (i + 1 < argc && strcmp(argv[i], "-T") == 0)
            seconds = strtod(argv[++i], NULL);
        else if (i + 1 < argc && strcmp(argv[i], "-n") == 0)
            messages = strtoul(argv[++i], NULL, 10);
        else
            size = 0;
    }
    if (size == 0 || size > 1 << 20 || !(seconds > 0 && seconds <= 60)) {
        (void)fprintf(stderr, "usage: engine_pair [-l BYTES] [-T SECONDS | -n MESSAGES] [--crc]\n");
        return 2;
    }
    if (messages > 0)
        limit = messages;
    message = calloc(1, size);
    if (!message)
        return 1;
    pair_open(&pair, &parameters, 1);
    association = pair_connect(&pair, &parameters);
    pair_run(&pair, pair.now + 1000000);
    begin = pair_processor_time();
    while (pair.receiver.messages < limit) {
        while (sent < limit && pair_send(&pair, association, message, size))
            sent++;
        if (!pair_turn(&pair))
            pair_wait(&pair, pair.now + 1000);
        if (messages == 0 && (took = pair_processor_time() - begin) >= seconds)
            break;
    }
    if (messages == 0)
        printf("{\"size\": %zu, \"messages_per_second\": %.0f, \"bits_per_second\": %.0f}\n", size,
               (double)pair.receiver.messages / took, (double)pair.receiver.bytes * 8 / took);
    pair_close(&pair);
    free(message);
    return 0;
}
