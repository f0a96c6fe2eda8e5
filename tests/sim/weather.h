/*
 * What lies between the hosts of a scenario: a wire from each to each in every network, whose
 * conditions change.
 */
#ifndef SIM_WEATHER_H
#define SIM_WEATHER_H

#include "engine/world.h"

struct weather {
    struct world *world;
    struct random_generator *random;
    struct memory_conditions conditions[WORLD_HOSTS][WORLD_HOSTS][WORLD_ADDRESSES];
    bool cut[WORLD_HOSTS][WORLD_HOSTS][WORLD_ADDRESSES];
    bool address_down[WORLD_HOSTS][WORLD_ADDRESSES]; /* the host does not have it now */
    bool bursts, reordering, duplication, corruption, narrow, marking; /* what there may be */
    double loss;                                                       /* at most */
    bool guarded; /* a layer below finds what is damaged */
};

/* Chooses what there may be, and begins with some of it. */
void weather_init(struct weather *weather, struct world *world, struct random_generator *random,
                  bool guarded);

/* Some wires change: those of one network, or one direction, or all. */
void weather_change(struct weather *weather);
/* One network between two hosts is cut in one or both directions, or mended. */
void weather_cut(struct weather *weather);
/* A hop gets another MTU. */
void weather_change_mtu(struct weather *weather);
/* An address of a host goes or comes. */
void weather_set_address(struct weather *weather, unsigned int host, unsigned int address, bool up);

/* All is good, and stays so. */
void weather_calm(struct weather *weather);

#endif
