/*
 * The auditor: an engine's books, gone over entry by entry. What it counts as it goes along must be
 * what is there, and whatever waits must have a timer that ends the waiting.
 */
#ifndef ENGINE_AUDIT_H
#define ENGINE_AUDIT_H

#include "braid/engine.h"

/* To be called when nothing is left to be transmitted. Ends the program at the first thing that
 * does not fit. */
void audit_engine(const struct braid_engine *engine);

#endif
