/*
 * How many messages a second a stack carries over loopback, from one process to another.
 *
 *     flood STACK [-l BYTES] [-T SECONDS] [-p PORT]
 *
 * STACK is usrsctp or tcp: those that Braid is compared with (braid perf). Prints one JSON object.
 */
#include "flood.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef FLOOD_WITH_USRSCTP
#define FLOOD_WITH_USRSCTP 0
#endif

enum { GRACE_SECONDS = 15 }; /* to set up, and to deliver what is still under way */

static const uint64_t nanoseconds = 1000000000;

static const struct flood_stack *const stacks[] = {
#if FLOOD_WITH_USRSCTP
    &flood_usrsctp,
#endif
    &flood_tcp,
};

void flood_fail(const char *what, int error)
{
    (void)fprintf(stderr, "flood: %s: %s\n", what, strerror(error < 0 ? -error : error));
    exit(1);
}

uint64_t flood_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * nanoseconds + (uint64_t)now.tv_nsec;
}

void flood_ready(struct flood *flood)
{
    if (write(flood->ready, "", 1) != 1)
        flood_fail("pipe", errno);
}

const void *flood_next(struct flood *flood)
{
    /* the clock is not free: it is looked at for every 16th message */
    if (flood->deadline == 0)
        flood->deadline = flood_now() + (uint64_t)(flood->seconds * (double)nanoseconds);
    else if (flood->sent % 16 == 0 && flood_now() >= flood->deadline)
        return NULL;
    memcpy(flood->message, &flood->sent, sizeof(flood->sent));
    return flood->message;
}

void flood_sent(struct flood *flood)
{
    flood->sent++;
}

void flood_received(struct flood *flood, const void *bytes, size_t length)
{
    uint64_t number;

    if (length != flood->size)
        flood_fail("a message of another length came", EPROTO);
    memcpy(&number, bytes, sizeof(number));
    if (number != flood->messages)
        flood_fail("a message came out of order", EPROTO);
    if (flood->messages == 0)
        flood->first = flood_now();
    flood->messages++;
    flood->bytes += length;
}

/* The receiver's process. Gives its count back through the pipe. */
static void run_receiver(const struct flood_stack *stack, struct flood *flood)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    stack->receive(flood);
    if (flood->last == 0)
        flood->last = flood_now();
    if (write(flood->ready, flood, sizeof(*flood)) != sizeof(*flood))
        flood_fail("pipe", errno);
    exit(0);
}

static void run(const struct flood_stack *stack, struct flood *flood)
{
    int pipes[2], status = 0;
    struct flood result = {0};
    double seconds;
    uint8_t byte;
    pid_t receiver;

    if (pipe(pipes) < 0 || (receiver = fork()) < 0)
        flood_fail("fork", errno);
    flood->ready = pipes[1];
    if (receiver == 0)
        run_receiver(stack, flood);
    close(pipes[1]);
    if (read(pipes[0], &byte, 1) != 1)
        exit(1); /* the receiver has said why */
    stack->send(flood);
    if (read(pipes[0], &result, sizeof(result)) != sizeof(result))
        exit(1);
    waitpid(receiver, &status, 0);
    if (result.messages != flood->sent || result.messages < 2)
        flood_fail("messages were lost", EPROTO);
    seconds = (double)(result.last - result.first) / (double)nanoseconds;
    printf("{\"stack\": \"%s\", \"size\": %zu, \"seconds\": %.6f, \"messages\": %llu, "
           "\"messages_per_second\": %.0f, \"megabits_per_second\": %.1f}\n",
           stack->name, flood->size, seconds, (unsigned long long)result.messages,
           (double)result.messages / seconds, (double)result.bytes * 8 / seconds / 1e6);
}

int main(int argc, char **argv)
{
    struct flood flood = {.size = 1024, .seconds = 2, .port = 9899};
    const struct flood_stack *stack = NULL;
    int option;

    while ((option = getopt(argc, argv, "l:T:p:")) != -1) {
        if (option == 'l')
            flood.size = strtoul(optarg, NULL, 10);
        else if (option == 'T')
            flood.seconds = strtod(optarg, NULL);
        else if (option == 'p')
            flood.port = (uint16_t)strtoul(optarg, NULL, 10);
        else
            return 2;
    }
    for (size_t i = 0; optind < argc && i < sizeof(stacks) / sizeof(stacks[0]); i++)
        if (strcmp(stacks[i]->name, argv[optind]) == 0)
            stack = stacks[i];
    if (!stack || flood.size < FLOOD_MESSAGE_MINIMUM || flood.size > FLOOD_MESSAGE_MAXIMUM ||
        !(flood.seconds > 0 && flood.seconds <= 60) || flood.port == 0) {
        (void)fprintf(stderr, "usage: flood STACK [-l BYTES] [-T SECONDS] [-p PORT]\n"
                              "STACK is one of:");
        for (size_t i = 0; i < sizeof(stacks) / sizeof(stacks[0]); i++)
            (void)fprintf(stderr, " %s", stacks[i]->name);
        (void)fprintf(stderr, "\n");
        return 2;
    }
    flood.message = calloc(1, flood.size);
    if (!flood.message)
        flood_fail("message", ENOMEM);
    alarm((unsigned int)flood.seconds + GRACE_SECONDS); /* whatever hangs, we end */
    run(stack, &flood);
    free(flood.message);
    return 0;
}
