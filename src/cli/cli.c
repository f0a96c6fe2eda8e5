/*
 * The command `braid`: what its subcommands share. See cli.h.
 */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel/channel.h"

int cli_failure(const struct command *command, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "braid %s: ", command->name);
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is begun one line above */
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return CLI_FAILED;
}

void cli_stack_error(char text[CLI_ERROR_SIZE], const char *name, int error)
{
    switch (error) {
    case -ECONNREFUSED:
        snprintf(text, CLI_ERROR_SIZE, "no stack named '%s' is running", name);
        return;
    case -EPERM:
    case -EACCES:
        snprintf(text, CLI_ERROR_SIZE, "the stack named '%s' is another user's", name);
        return;
    case -EPROTO:
        snprintf(text, CLI_ERROR_SIZE, "the stack named '%s' is of another version of Braid", name);
        return;
    case -ENAMETOOLONG:
        snprintf(text, CLI_ERROR_SIZE, "'%.*s' is no stack's name: 1 to %d bytes, without '/'",
                 CHANNEL_NAME_MAXIMUM, name, CHANNEL_NAME_MAXIMUM);
        return;
    default:
        snprintf(text, CLI_ERROR_SIZE, "the stack named '%s': %s", name, strerror(-error));
    }
}

int cli_stack_failure(const struct command *command, const char *name, int error)
{
    char text[CLI_ERROR_SIZE];

    cli_stack_error(text, name, error);
    return cli_failure(command, "%s", text);
}

int cli_usage_error(const struct command *command)
{
    fprintf(stderr, "Try 'braid %s --help'.\n", command->name);
    return CLI_USAGE;
}

bool cli_parse_number(const char *text, unsigned long least, unsigned long most,
                      unsigned long *number)
{
    char *end;

    errno = 0;
    *number = strtoul(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && *number >= least &&
           *number <= most;
}

void cli_progress(const struct command *command, const char *format, ...)
{
    va_list arguments;

    if (!isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\rbraid %s: ", command->name);
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is begun one line above */
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputs("\033[K", stderr);
}

void cli_progress_end(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
}

bool cli_wants_colour(FILE *stream)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    if (no_color && *no_color)
        return false;
    return isatty(fileno(stream)) && !(term && strcmp(term, "dumb") == 0);
}
