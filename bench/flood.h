/*
 * What the benchmarks of all stacks share: one process sends messages of one size over loopback for
 * a while, another receives them all, checks their number and length, and tells how fast they came.
 *
 * The stacks are put under the same conditions: packets of at most 1,400 bytes of payload or an MTU
 * of 1,500, buffers of 1 MiB, one association, one ordered stream.
 */
#ifndef BENCH_FLOOD_H
#define BENCH_FLOOD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FLOOD_MESSAGE_MINIMUM = 8, /* a message begins with its number */
    FLOOD_MESSAGE_MAXIMUM = 1 << 20,
    FLOOD_BUFFER = 1 << 20,
    FLOOD_SEGMENT = 1400,
    FLOOD_MTU = 1500,
    FLOOD_PORT = 5001,
};

struct flood {
    size_t size;    /* of a message */
    double seconds; /* how long to send */
    uint16_t port;  /* of UDP or TCP at the receiver; the sender's is one above */
    int ready;      /* a pipe: flood_ready() */
    uint8_t *message;
    /* sending */
    uint64_t sent, deadline;
    /* receiving */
    uint64_t messages, bytes, first, last; /* times of the first and the last message */
};

struct flood_stack {
    const char *name;
    void (*receive)(struct flood *flood); /* until the sender has ended */
    void (*send)(struct flood *flood);
};

extern const struct flood_stack flood_tcp, flood_usrsctp;

/* Ends the program with a line that says why. */
void flood_fail(const char *what, int error) __attribute__((noreturn));

/* Nanoseconds of a clock that never goes back. */
uint64_t flood_now(void);

/* The receiver is ready: the sender may begin. */
void flood_ready(struct flood *flood);

/* The next message to send, of flood->size bytes; NULL if the time is over. The same one is given
 * until flood_sent() says that it went. */
const void *flood_next(struct flood *flood);
void flood_sent(struct flood *flood);

/* A whole message came; only its first bytes are looked at. */
void flood_received(struct flood *flood, const void *bytes, size_t length);

#endif
