/*
 * Fuzzer: `braid dump` (src/cli/): the reader of captures, and the words for chunks.
 *
 * The input is a capture file. It is shown in all three forms.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <getopt.h>

#include "cli/cli.h"
#include "fuzz.h"

static int file = -1;

/* What the command says goes nowhere; a sanitizer writes to the descriptor itself. */
static void start(void)
{
    FILE *nowhere = fopen("/dev/null", "w");

    file = memfd_create("capture", 0);
    if (!nowhere || file < 0)
        abort();
    stdout = stderr = nowhere;
}

static void dump(const char *option)
{
    char name[64], *arguments[] = {"dump", (char *)option, name, NULL};

    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", file);
    optind = 0;
    (void)dump_command.run(3, arguments);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    if (file < 0)
        start();
    if (ftruncate(file, 0) != 0 || pwrite(file, bytes, length, 0) != (ssize_t)length)
        abort();
    dump("--udp-port=9899");
    dump("--verbose");
    dump("--json");
    return 0;
}
