/*
 * The command `braid`: finds the subcommand and runs it.
 */
#include <string.h>

#include "cli/cli.h"
#include "cli/perf.h"

static const struct command *const commands[] = {
    &run_command,  &stack_command, &ss_command,     &top_command,
    &perf_command, &dump_command,  &ladder_command, &plot_command,
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *stream)
{
    fputs("usage: braid COMMAND [ARGUMENT]...\n"
          "\n"
          "SCTP in userspace. Commands:\n"
          "\n",
          stream);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(stream, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n"
          "  braid COMMAND --help   how to use a command\n"
          "  braid --version        the version\n",
          stream);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    }
    return NULL;
}

static int run(const struct command *command, int argc, char **argv)
{
    char name[32];

    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(command->help, stdout);
        return CLI_OK;
    }
    snprintf(name, sizeof(name), "braid %s", command->name);
    argv[0] = name;
    return command->run(argc, argv);
}

int main(int argc, char **argv)
{
    const struct command *command;

    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 && argc > 2) { /* braid help COMMAND */
        argv[1] = argv[2];
        argv[2] = "--help";
    } else if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
               strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return CLI_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("braid " BRAID_VERSION);
        return CLI_OK;
    }
    command = find_command(argv[1]);
    if (!command) {
        fprintf(stderr, "braid: there is no command '%s'\nTry 'braid --help'.\n", argv[1]);
        return CLI_USAGE;
    }
    return run(command, argc - 1, argv + 1);
}
