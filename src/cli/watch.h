/*
 * Staying and looking again: what `--watch` of a command does.
 */
#ifndef CLI_WATCH_H
#define CLI_WATCH_H

#include <stdio.h>

/* Has `show` write what there is to see each `seconds`, until it fails or a signal ends it; returns
 * what it returned last. A terminal is drawn anew each time, and left as it was before; to anything
 * else goes one block behind the other, with an empty line between them. */
int watch(int (*show)(void *context, FILE *out), void *context, double seconds);

/* Reads a number of seconds, from a hundredth to a day; 0 if it is none. */
double watch_seconds(const char *text);

#endif
