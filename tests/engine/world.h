/*
 * A world: engines on the network in memory (src/link/memory.h), driven in virtual time from a
 * seed until nothing moves any more. Every packet that an engine sends passes the watcher.
 */
#ifndef ENGINE_WORLD_H
#define ENGINE_WORLD_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <errno.h>
#include <setjmp.h>
#include <cmocka.h>

#include "braid/engine.h"
#include "link/capture.h"
#include "link/memory.h"
#include "link/random.h"

#define MS ((braid_time)1000)
#define SECOND ((braid_time)1000000)

enum { WORLD_HOSTS = 4, WORLD_ADDRESSES = 3, WORLD_PORT = 5001 };

struct world;

struct host {
    struct world *world;
    struct braid_parameters parameters;
    unsigned int number;
    struct braid_engine *engine;
    struct link *link;
    struct random_generator random;
    const struct braid_keys *keys; /* of its endpoint, from the next world_restart() on */
    struct braid_account *account; /* the same; NULL: none */
    uint32_t endpoint;
    uint32_t association; /* the last one that came up or was begun */
    struct braid_address addresses[WORLD_ADDRESSES];
    unsigned int address_count;
    uint32_t mtu;
    braid_time clock_ahead;  /* of the world's time; may grow, as when a clock jumps */
    braid_time paused_until; /* as a suspended machine: it does nothing, then all at once */
    void *user;              /* the test's own */
};

struct world_config {
    uint64_t seed;
    unsigned int hosts;     /* 0: two */
    unsigned int addresses; /* of each host; 0: one */
    bool ipv6;
    bool bound;   /* the endpoints list their addresses, and are not bound to any */
    uint16_t udp; /* 0: over IP */
    uint32_t mtu; /* of the hosts' interfaces; 0: 1500 */
    const struct braid_parameters *parameters;
    const char *capture; /* a file to write all packets to; NULL: none */
};

struct world {
    struct memory_network *network;
    struct watcher *watcher;
    struct random_generator random; /* for the test's decisions */
    struct capture *capture;
    struct host hosts[WORLD_HOSTS];
    unsigned int count;
    unsigned int addresses;
    bool ipv6, bound;
    uint16_t udp;
    braid_time now;
    uint64_t steps;
    void *user; /* the test's own */
    /* Called for each event; may call the engine. */
    void (*event)(struct host *host, const struct braid_event *event);
    /* Called for packets before the engine takes them, before it is asked for packets, for each
     * that it gives, and when it gives no more. NULL: not. */
    void (*received)(struct host *host, const struct braid_packet *packet);
    void (*before_transmit)(struct host *host);
    void (*sent)(struct host *host, const uint8_t *bytes, size_t length);
    void (*after_transmit)(struct host *host);
    /* In place of link_send(). NULL: not. */
    void (*transmit)(struct host *host, const struct braid_batch *batch);
    /* Half of the engines' random 32-bit numbers, tags and TSNs, are close to the end: they wrap
     * around. */
    bool near_the_end;
    uint32_t drawn_near_the_end;
};

struct world *world_new(const struct world_config *config);
void world_free(struct world *world);

/* What the wires between all hosts are like. */
struct memory_conditions *world_conditions(struct world *world);

/* Host 0 calls host 1, which listens. Returns its association. */
uint32_t world_connect(struct world *world, unsigned int from, unsigned int to);

/* Cuts the wires between two hosts' addresses of this index, in both directions, or mends them. */
void world_cut(struct world *world, unsigned int address, bool cut);

/* The time on a host's clock, which is what its engine is told. */
braid_time host_now(const struct host *host);

/* A host crashes and comes up again: its engine forgets everything, without a word. */
void world_restart(struct world *world, unsigned int number);

/* Runs for `time`, or until nothing moves. True if nothing moves any more. */
bool world_run(struct world *world, braid_time time);

/* Associations that a host's engine has. */
uint64_t host_associations(const struct host *host);

#endif
