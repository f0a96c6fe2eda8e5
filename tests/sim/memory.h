/*
 * How much memory is allocated: the linker leads malloc() and its like here (--wrap).
 */
#ifndef SIM_MEMORY_H
#define SIM_MEMORY_H

#include <stddef.h>

/* Bytes that the engine, the network and the tests have now. */
size_t memory_in_use(void);

#endif
