/*
 * A plain program for SCTP sockets, to be run under `braid run` or on a kernel with SCTP: one
 * process sends messages of one size, another receives them.
 *
 *     sockets receive PORT
 *     sockets send HOST PORT [-l BYTES] [-T SECONDS]
 *
 * One-to-one sockets, a send() and a recv() for each message. The receiver prints one JSON object
 * when the sender has ended.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

enum { SIZE_MAXIMUM = 65536, BUFFER = 1 << 20 };

static uint8_t message[SIZE_MAXIMUM];

static int open_socket(void)
{
    int descriptor = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP), buffer = BUFFER;

    if (descriptor < 0)
        tool_fail("socket");
    setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
    return descriptor;
}

static void receive_all(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int listener = open_socket(), descriptor;
    double first = 0, last = 0;
    uint64_t messages = 0, bytes = 0;
    ssize_t got;

    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 1) < 0)
        tool_fail("listen");
    printf("ready\n");
    fflush(stdout);
    descriptor = accept(listener, NULL, NULL);
    if (descriptor < 0)
        tool_fail("accept");
    while ((got = recv(descriptor, message, sizeof(message), 0)) > 0) {
        if (messages++ % 16 == 0)
            last = tool_now();
        if (messages == 1)
            first = last;
        bytes += (uint64_t)got;
    }
    if (got < 0)
        tool_fail("recv");
    printf("{\"messages\": %llu, \"messages_per_second\": %.0f, \"bits_per_second\": %.0f}\n",
           (unsigned long long)messages, (double)messages / (last - first),
           (double)bytes * 8 / (last - first));
}

static void send_all(const char *host, uint16_t port, size_t size, double seconds)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int descriptor = open_socket();
    double end = tool_now() + seconds;

    if (inet_pton(AF_INET, host, &address.sin_addr) != 1 ||
        connect(descriptor, (struct sockaddr *)&address, sizeof(address)) < 0)
        tool_fail("connect");
    for (uint64_t sent = 0; sent % 16 != 0 || tool_now() < end; sent++)
        if (send(descriptor, message, size, 0) != (ssize_t)size)
            tool_fail("send");
    close(descriptor);
}

int main(int argc, char **argv)
{
    size_t size = 1024;
    double seconds = 2;
    int option;

    while ((option = getopt(argc, argv, "l:T:")) != -1) {
        if (option == 'l')
            size = strtoul(optarg, NULL, 10);
        else if (option == 'T')
            seconds = strtod(optarg, NULL);
    }
    if (optind + 2 == argc && strcmp(argv[optind], "receive") == 0) {
        receive_all((uint16_t)strtoul(argv[optind + 1], NULL, 10));
    } else if (optind + 3 == argc && strcmp(argv[optind], "send") == 0 && size > 0 &&
               size <= SIZE_MAXIMUM) {
        send_all(argv[optind + 1], (uint16_t)strtoul(argv[optind + 2], NULL, 10), size, seconds);
    } else {
        (void)fprintf(stderr,
                      "usage: sockets receive PORT | send HOST PORT [-l BYTES] [-T SECONDS]\n");
        return 2;
    }
    return 0;
}
