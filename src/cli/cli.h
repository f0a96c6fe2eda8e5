/*
 * The command `braid`: what its subcommands share.
 *
 * Each subcommand has a file of its own, which defines a `struct command`; main.c lists them.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stdio.h>

/* The exit statuses of every subcommand, save those that run another program. */
enum cli_status {
    CLI_OK = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
};

struct command {
    const char *name;
    const char *summary; /* one line, for the list of commands */
    const char *help;    /* what --help prints */

    /* Runs it. argv[0] is "braid NAME", for getopt's messages. Returns the exit status. */
    int (*run)(int argc, char **argv);
};

extern const struct command dump_command;
extern const struct command ladder_command;
extern const struct command plot_command;
extern const struct command run_command;
extern const struct command ss_command;
extern const struct command stack_command;
extern const struct command top_command;

/* Says "braid NAME: what went wrong" on standard error. Returns CLI_FAILED. */
int cli_failure(const struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Why the stack `name` cannot be asked: what channel_connect() or channel_ask() returned. */
#define CLI_ERROR_SIZE 256
void cli_stack_error(char text[CLI_ERROR_SIZE], const char *name, int error);

/* Says that. Returns CLI_FAILED. */
int cli_stack_failure(const struct command *command, const char *name, int error);

/* Says how to learn the command's usage, after what was wrong was said. Returns CLI_USAGE. */
int cli_usage_error(const struct command *command);

/* A number in decimal from `least` to `most`. False: it is none. */
bool cli_parse_number(const char *text, unsigned long least, unsigned long most,
                      unsigned long *number);

/* How far something is that takes long: a line on a terminal that the next one takes the place of;
 * nothing if standard error is none. cli_progress_end() takes the last one away. */
void cli_progress(const struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void cli_progress_end(void);

/* Is colour wanted there: on a terminal, unless NO_COLOR is set (https://no-color.org). */
bool cli_wants_colour(FILE *stream);

#endif
