/*
 * Fuzzer: `braid dump`, `braid ladder` and `braid plot` (src/cli/): the reader of captures, the
 * words for chunks, and what is drawn of associations.
 *
 * The input is a capture file. It is shown in all forms.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/ladder.h"
#include "cli/trace.h"
#include "fuzz.h"

static int file = -1;
static char name[64];

/* What the command says goes nowhere; a sanitizer writes to the descriptor itself. */
static void start(void)
{
    FILE *nowhere = fopen("/dev/null", "w");

    file = memfd_create("capture", 0);
    if (!nowhere || file < 0)
        abort();
    stdout = stderr = nowhere;
    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", file);
}

static void run(const struct command *command, const char *option)
{
    char *arguments[] = {(char *)command->name, (char *)option, name, NULL};

    optind = 0;
    (void)command->run(3, arguments);
}

/* The forms that `braid ladder` writes to files; a page, which says what all numbers are called,
 * takes much longer than the rest. */
static void draw_ladders(bool page)
{
    char error[CAPTURE_ERROR_SIZE];
    struct trace *trace = trace_read(&ladder_command, name, 9899, 100000, error);
    struct ladder ladder = {.trace = trace, .title = "capture", .association = TRACE_NONE};

    if (trace) {
        ladder_svg(&ladder, stdout);
        if (page)
            ladder_html(&ladder, stdout);
    }
    trace_free(trace);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    if (file < 0)
        start();
    if (ftruncate(file, 0) != 0 || pwrite(file, bytes, length, 0) != (ssize_t)length)
        abort();
    run(&dump_command, "--udp-port=9899");
    run(&dump_command, "--verbose");
    run(&dump_command, "--json");
    run(&ladder_command, "--width=100");
    run(&plot_command, "--udp-port=9899");
    draw_ladders(length % 16 == 0);
    return 0;
}
