/*
 * A scenario: what a seed stands for. Some hosts, what lies between them, what their users want,
 * and what happens to all of it, one thing after the other. Then the network is good again, the
 * users finish, and everything must come to its end.
 */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include "checker.h"

/* What was seen, over all scenarios of a run: to know that they are about something. */
struct scenario_counts {
    struct checker_counts checker;
    uint64_t packets, lies, crashes, actions, seconds;
};

/* Runs it; adds to `counts`. `capture`: a file for all packets, or NULL. */
void scenario_run(uint64_t seed, const char *capture, struct scenario_counts *counts);

#endif
