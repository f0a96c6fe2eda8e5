/*
 * Two engines on the network in memory (src/link/memory.h), in one thread and in virtual time: for
 * what the engine costs by itself, and for networks that lose packets.
 */
#ifndef BENCH_PAIR_H
#define BENCH_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "braid/engine.h"
#include "link/memory.h"
#include "link/random.h"

enum {
    PAIR_PACKETS = 256,
    PAIR_BATCH_BYTES = 65536,
    PAIR_PORT = 5001,
    PAIR_PORTS = 64,
    PAIR_ADDRESSES = 2
};

struct pair_host {
    struct braid_engine *engine;
    struct link *link;
    struct random_generator random;
    struct braid_address addresses[PAIR_ADDRESSES];
    uint32_t endpoint;    /* of the sender: the last one */
    uint32_t association; /* the last one that came up */
    uint32_t up;          /* how many are */
    uint32_t connected;
    uint64_t messages, bytes;
    double receiving; /* seconds in braid_engine_receive(), if `timed`; by the clock on the wall */
    bool timed;
    uint8_t batch[PAIR_BATCH_BYTES];
};

struct pair {
    struct memory_network *network;
    struct pair_host sender, receiver;
    braid_time now;
    unsigned int arriving; /* packets that an engine is given at once; at most PAIR_PACKETS */
};

/* The network in memory does no harm: with this method CRC32c is left out (RFC 9653). */
#define PAIR_ERROR_DETECTION_METHOD 0x6d656d6f /* not registered; between these two only */

/* Ends the program with a line that says why. */
void pair_fail(const char *what, int error) __attribute__((noreturn));

/* The receiver listens on PAIR_PORTS ports from PAIR_PORT on. `addresses`: of each host, 1 or 2. */
void pair_open(struct pair *pair, const struct braid_parameters *parameters,
               unsigned int addresses);
void pair_close(struct pair *pair);

/* One more association, not up yet. Its identifier. An endpoint of the sender has PAIR_PORTS. */
uint32_t pair_connect(struct pair *pair, const struct braid_parameters *parameters);

/* Lets packets go and come as long as there are any, without the time going on: messages that come
 * are counted and released. False if there was nothing. */
bool pair_turn(struct pair *pair);
/* The time goes on to the next packet or timer, but not past `end`. */
void pair_wait(struct pair *pair, braid_time end);
/* Turns, and waits in between, until `end`. */
void pair_run(struct pair *pair, braid_time end);

/* Sends a message; false if the send buffer is full. */
bool pair_send(struct pair *pair, uint32_t association, const void *bytes, size_t length);

/* Of this process: seconds. */
double pair_processor_time(void);

#endif
