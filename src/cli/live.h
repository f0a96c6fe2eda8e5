/*
 * The packets of the running stack, as they come.
 */
#ifndef CLI_LIVE_H
#define CLI_LIVE_H

#include <stdio.h>

/*
 * A capture (pcapng) of what the stack `name` sends and receives from now on, for
 * capture_reader_open_file(). NULL, and a negative errno in `error`: ECONNREFUSED, no such stack
 * runs; EPERM or EACCES, it is another user's. Reading ends when the stack does.
 */
FILE *live_open(const char *name, int *error);

#endif
