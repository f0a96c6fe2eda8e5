/*
 * What `braid ladder` and `braid plot` have in common: options, the capture, the output.
 */
#include "cli/drawing.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cli/cli.h"

#define LIMIT_MAXIMUM 100000000

/* Takes an option of both. Returns what is wrong with it, or NULL. */
static const char *take_option(struct drawing_options *options, int option, const char *argument)
{
    unsigned long number = 0;

    switch (option) {
    case 'o':
        options->output = argument;
        return NULL;
    case 'a':
        if (!cli_parse_number(argument, 1, UINT32_MAX - 1, &number))
            return "is not the number of an association";
        options->association = (uint32_t)number;
        return NULL;
    case 'l':
        if (!cli_parse_number(argument, 1, LIMIT_MAXIMUM, &number))
            return "is not a number of packets from 1 to 100000000";
        options->limit = number;
        return NULL;
    case 'u':
        if (!cli_parse_number(argument, 1, UINT16_MAX, &number))
            return "is not a UDP port";
        options->udp_port = (uint16_t)number;
        return NULL;
    default:
        return NULL;
    }
}

static int draw(const struct drawing_command *drawing, const struct drawing_options *options)
{
    char error[CAPTURE_ERROR_SIZE];
    struct trace *trace =
        trace_read(drawing->command, options->path, options->udp_port, options->limit, error);
    int drawn = CLI_OK, status;

    if (!trace)
        return cli_failure(drawing->command, "%s: %s", options->path, error);
    if (trace->packet_count > 0)
        drawn = drawing->draw(options, trace);
    status = trace_report(drawing->command, options->path, trace);
    trace_free(trace);
    return drawn != CLI_OK ? drawn : status;
}

int drawing_run(const struct drawing_command *drawing, struct drawing_options *options, int argc,
                char **argv)
{
    const struct command *command = drawing->command;
    int option;

    options->udp_port = CAPTURE_DEFAULT_UDP_PORT;
    while ((option = getopt_long(argc, argv, "ha:o:", drawing->long_options, NULL)) != -1) {
        const char *wrong;

        if (option == 'h') {
            fputs(command->help, stdout);
            return CLI_OK;
        }
        if (option == '?')
            return cli_usage_error(command);
        wrong = take_option(options, option, optarg);
        if (!wrong)
            wrong = drawing->take_option(options->own, option, optarg);
        if (wrong) {
            cli_failure(command, "'%s' %s", optarg, wrong);
            return cli_usage_error(command);
        }
    }
    if (argc - optind != 1) {
        cli_failure(command, argc == optind ? "no file was named" : "one file at a time");
        return cli_usage_error(command);
    }
    options->path = argv[optind];
    return draw(drawing, options);
}

FILE *drawing_open(const struct command *command, const struct drawing_options *options)
{
    FILE *out = options->output ? fopen(options->output, "w") : stdout;

    if (!out)
        cli_failure(command, "%s: %s", options->output, strerror(errno));
    return out;
}

int drawing_close(const struct command *command, const struct drawing_options *options, FILE *out)
{
    bool good = fflush(out) == 0 && !ferror(out);

    if (options->output && fclose(out) != 0)
        good = false;
    return good ? CLI_OK
                : cli_failure(command, "%s: the drawing could not be written",
                              options->output ? options->output : "standard output");
}

int drawing_no_association(const struct command *command, const struct drawing_options *options,
                           const struct trace *trace)
{
    return cli_failure(command, "%s: there is no association %" PRIu32 ", but %zu", options->path,
                       options->association, trace->association_count);
}
