/*
 * What the programs have in common that bench/run starts: peers.c, sockets.c.
 */
#ifndef BENCH_TOOL_H
#define BENCH_TOOL_H

/* Says what could not be done, and why by errno; ends the program. */
_Noreturn void tool_fail(const char *what);

/* Seconds. */
double tool_now(void);

#endif
