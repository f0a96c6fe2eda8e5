/*
 * A network in memory, in virtual time: hosts, and wires between them that delay, lose, reorder,
 * duplicate and damage packets, all from a seed. For tests and simulations.
 *
 * Each host is a link. The network has no I/O and no clock; whoever drives it says the time:
 *
 *     memory_network_advance(network, now);
 *     while ((link = memory_network_next_ready(network)))     link_receive(link, ...), engine
 *     for each host: engine's timeout, transmit               link_send(link, &batch)
 *     now = the least of memory_network_next_arrival() and the engines' next timeouts
 *
 * The same seed and the same calls give the same packets at the same times.
 */
#ifndef LINK_MEMORY_H
#define LINK_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "braid/address.h"
#include "braid/engine.h"
#include "link/link.h"

struct memory_network;
struct memory_wire;

/* What a wire does to packets. Probabilities are from 0 to 1, times in microseconds. All zero: each
 * packet arrives at once. May be changed at any time; packets on the way are not touched. */
struct memory_conditions {
    bool cut;     /* nothing passes */
    bool icmp;    /* tell the sender, by ICMP, of packets too big or for nobody */
    uint32_t mtu; /* of the IP packet; larger ones with Don't Fragment are dropped.
                     0: no limit */
    uint32_t delay;
    uint32_t jitter;    /* added to the delay: anything from 0 to this. Keeps the order */
    uint64_t bandwidth; /* bits a second, IP and UDP headers included; 0: no limit */
    uint32_t queue;     /* bytes that may wait for the bandwidth, above them packets are
                           dropped; 0: no limit */
    double loss;        /* each packet by itself */
    /* Loss in bursts, by Gilbert's model: the wire is good or bad, and before each packet it may
     * change. In the bad state packets are lost with `burst_loss`. */
    double burst_begin; /* good to bad */
    double burst_end;   /* bad to good */
    double burst_loss;
    double reorder; /* the packet is late by `reorder_delay`: later ones overtake it */
    uint32_t reorder_delay;
    double duplicate; /* arrives twice */
    double corrupt;   /* one bit is wrong */
    bool guarded;     /* what is wrong does not arrive, as if DTLS had found it */
    double mark;      /* arrives as Congestion Experienced, if it is ECN-capable (RFC 3168) */
};

/* What became of the packets that were sent into a wire. */
struct memory_wire_statistics {
    uint64_t packets, bytes; /* sent into it; bytes are those of IP packets */
    uint64_t delivered;      /* put on the way to a host, duplicates included */
    uint64_t lost;           /* by loss, bursts, or while the wire was cut */
    uint64_t queue_full;     /* no room to wait, or no memory */
    uint64_t too_big;
    uint64_t unreachable; /* for an address or UDP port that no host has */
    uint64_t reordered, duplicated, corrupted, marked;
};

/* Makes a network without hosts, at time 0. NULL if there is no memory. */
struct memory_network *memory_network_new(uint64_t seed);
/* Frees it, with the packets on the way. Its links must be closed before. NULL is allowed. */
void memory_network_free(struct memory_network *network);

/*
 * Adds a host with its addresses (copied; at least one). `port` is its UDP port (RFC 6951), or 0
 * if its packets go over IP. It is a link like others, without descriptors; link_close() takes the
 * host from the network. EINVAL, EADDRINUSE (another host has the address), ENOMEM.
 */
int memory_network_attach(struct memory_network *network, const struct braid_address *addresses,
                          size_t count, uint16_t port, struct link **link);

/*
 * The wire from one address to another, in this direction. NULL stands for any address, and makes
 * one wire that all of its packets share, with its bandwidth. A packet takes the closest wire:
 * (source, destination), else (any, destination), else (source, any), else (any, any), which is
 * always there. Made if there was none, as a perfect wire; the network's own. NULL if there is no
 * memory.
 */
struct memory_wire *memory_network_wire(struct memory_network *network,
                                        const struct braid_address *source,
                                        const struct braid_address *destination);
/* To be changed in place. */
struct memory_conditions *memory_wire_conditions(struct memory_wire *wire);
const struct memory_wire_statistics *memory_wire_statistics(const struct memory_wire *wire);

/* Sets the time, which never goes back: packets due until `now` have arrived. */
void memory_network_advance(struct memory_network *network, braid_time now);
/* The time of the next arrival after now, or now if a host has packets waiting; else
 * BRAID_TIME_NEVER. */
braid_time memory_network_next_arrival(const struct memory_network *network);
/* The same without what waits at hosts already. */
braid_time memory_network_next_on_the_way(const struct memory_network *network);
/* A host that has packets or errors waiting; NULL if there is none. */
struct link *memory_network_next_ready(struct memory_network *network);

/*
 * The MTU of a host's own interface: 1500 at first. Larger packets with Don't Fragment do not leave
 * it (EMSGSIZE); smaller MTUs on the way are those of the wires.
 */
void memory_host_set_mtu(struct link *link, uint32_t mtu);

/*
 * A host's routing table, for braid_engine_config: its first address of the destination's family,
 * and the MTU of its interface. False if it has no address of that family.
 */
bool memory_host_route(struct link *link, const struct braid_address *destination,
                       struct braid_address *source, uint32_t *mtu);

#endif
