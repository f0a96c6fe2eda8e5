/*
 * What `braid ladder` and `braid plot` have in common: a capture is read, something is drawn of it,
 * and what was left out is told.
 */
#ifndef CLI_DRAWING_H
#define CLI_DRAWING_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/trace.h"

struct drawing_options {
    const char *path;
    const char *output; /* NULL: standard output */
    uint16_t udp_port;
    size_t limit;
    uint32_t association; /* from 1; 0: none was named */
    void *own;            /* the command's own options */
};

/* The options of both, for a command's list. */
#define DRAWING_LONG_OPTIONS                                                                       \
    {"output", required_argument, NULL, 'o'}, {"association", required_argument, NULL, 'a'},       \
        {"limit", required_argument, NULL, 'l'}, {"udp-port", required_argument, NULL, 'u'},       \
        {"help", no_argument, NULL, 'h'},                                                          \
    {                                                                                              \
        NULL, 0, NULL, 0                                                                           \
    }

struct drawing_command {
    const struct command *command;
    const struct option *long_options;

    /* Takes an option of the command's own, or looks at the output's name ('o'). Returns what is
     * wrong with it, or NULL. */
    const char *(*take_option)(void *own, int option, const char *argument);

    /* Draws what is wanted of a trace that has packets. Returns an exit status. */
    int (*draw)(const struct drawing_options *options, const struct trace *trace);
};

/* The whole command: `options` has what is taken if nothing is said. Returns the exit status. */
int drawing_run(const struct drawing_command *drawing, struct drawing_options *options, int argc,
                char **argv);

/* Where to draw to; NULL, and the reason was said, if it cannot be opened. */
FILE *drawing_open(const struct command *command, const struct drawing_options *options);

/* Closes it. Returns an exit status: not all may have been written. */
int drawing_close(const struct command *command, const struct drawing_options *options, FILE *out);

/* Says that there is no association of that number. Returns CLI_FAILED. */
int drawing_no_association(const struct command *command, const struct drawing_options *options,
                           const struct trace *trace);

#endif
