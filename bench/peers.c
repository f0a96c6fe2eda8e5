/*
 * What the kernel does without SCTP, to compare with, over loopback, between two processes.
 *
 *     peers udp-ping [-l BYTES] [-T SECONDS]   round trips of a datagram; JSON, times in seconds
 *     peers tcp-connect [-T SECONDS]           connections made and closed, 32 at once
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

enum { ROUND_TRIPS_MAXIMUM = 1 << 22, AT_ONCE = 32 };

static int socket_bound(int type, struct sockaddr_in *address)
{
    int descriptor = socket(AF_INET, type, 0);
    socklen_t length = sizeof(*address);

    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (descriptor < 0 || bind(descriptor, (struct sockaddr *)address, sizeof(*address)) < 0 ||
        getsockname(descriptor, (struct sockaddr *)address, &length) < 0)
        tool_fail("socket");
    return descriptor;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* The other process: sends back what comes, until it is killed. */
static void echo(int descriptor)
{
    static uint8_t bytes[65536];
    struct sockaddr_in from;

    for (;;) {
        socklen_t length = sizeof(from);
        ssize_t got =
            recvfrom(descriptor, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &length);

        if (got < 0 ||
            sendto(descriptor, bytes, (size_t)got, 0, (struct sockaddr *)&from, length) != got)
            exit(1);
    }
}

static void udp_ping(size_t size, double seconds)
{
    static double times[ROUND_TRIPS_MAXIMUM];
    static uint8_t bytes[65536];
    struct sockaddr_in server, client;
    int far = socket_bound(SOCK_DGRAM, &server), near = socket_bound(SOCK_DGRAM, &client);
    pid_t child = fork();
    double end = tool_now() + seconds;
    size_t count = 0;

    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        echo(far);
    }
    if (child < 0 || connect(near, (struct sockaddr *)&server, sizeof(server)) < 0)
        tool_fail("connect");
    while (count < ROUND_TRIPS_MAXIMUM) {
        double begin = tool_now();

        if (begin >= end)
            break;
        if (send(near, bytes, size, 0) != (ssize_t)size ||
            recv(near, bytes, sizeof(bytes), 0) != (ssize_t)size)
            tool_fail("ping");
        times[count++] = tool_now() - begin;
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    qsort(times, count, sizeof(times[0]), compare);
    printf("{\"round_trips\": %zu, \"median\": %.9f, \"percentile_99\": %.9f}\n", count,
           times[count / 2], times[count * 99 / 100]);
}

/* The other process: takes connections, and closes each when the client has. */
static void accept_all(int listener)
{
    for (;;) {
        int descriptor = accept(listener, NULL, NULL);
        char byte;

        if (descriptor < 0)
            exit(1);
        (void)!read(descriptor, &byte, 1);
        close(descriptor);
    }
}

/* In turns of 32, so that neither side waits for each single one. The client resets what it closes,
 * or its ports would be used up by those in TIME-WAIT. */
static void tcp_connect(double seconds)
{
    struct linger reset = {.l_onoff = 1};
    struct sockaddr_in server;
    int listener = socket_bound(SOCK_STREAM, &server);
    double begin, end;
    uint64_t count = 0;
    pid_t child;

    if (listen(listener, 4096) < 0)
        tool_fail("listen");
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        accept_all(listener);
    }
    begin = tool_now();
    end = begin + seconds;
    while (tool_now() < end) {
        int descriptors[AT_ONCE];

        for (int i = 0; i < AT_ONCE; i++) {
            descriptors[i] = socket(AF_INET, SOCK_STREAM, 0);
            if (descriptors[i] < 0 ||
                connect(descriptors[i], (struct sockaddr *)&server, sizeof(server)) < 0)
                tool_fail("connect");
        }
        for (int i = 0; i < AT_ONCE; i++) {
            setsockopt(descriptors[i], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
            close(descriptors[i]);
        }
        count += AT_ONCE;
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    printf("{\"connections\": %llu, \"connections_per_second\": %.0f}\n", (unsigned long long)count,
           (double)count / (tool_now() - begin));
}

int main(int argc, char **argv)
{
    size_t size = 64;
    double seconds = 2;
    int option;

    while ((option = getopt(argc, argv, "l:T:")) != -1) {
        if (option == 'l')
            size = strtoul(optarg, NULL, 10);
        else if (option == 'T')
            seconds = strtod(optarg, NULL);
        else
            size = 0;
    }
    if (optind + 1 == argc && size > 0 && size <= 65000 && seconds > 0 && seconds <= 60) {
        if (strcmp(argv[optind], "udp-ping") == 0) {
            udp_ping(size, seconds);
            return 0;
        }
        if (strcmp(argv[optind], "tcp-connect") == 0) {
            tcp_connect(seconds);
            return 0;
        }
    }
    (void)fprintf(stderr, "usage: peers udp-ping|tcp-connect [-l BYTES] [-T SECONDS]\n");
    return 2;
}
