/*
 * Staying and looking again.
 */
#include "cli/watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/screen.h"

static volatile sig_atomic_t ended; /* a signal handler can tell nothing in another way */

static void end(int number)
{
    (void)number;
    ended = 1;
}

/* Signals come only while we wait: blocked in `blocked`, and let in by `waiting`. */
static void catch_signals(sigset_t *waiting)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct sigaction action = {.sa_handler = end};
    sigset_t blocked;

    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        sigaddset(&blocked, numbers[i]);
        sigaction(numbers[i], &action, NULL);
    }
    sigprocmask(SIG_BLOCK, &blocked, waiting);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigdelset(waiting, numbers[i]);
}

static int look(int (*show)(void *context, FILE *out), void *context, bool terminal, bool first)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out;
    int result;

    if (!terminal) {
        if (!first)
            fputc('\n', stdout);
        return show(context, stdout);
    }
    out = open_memstream(&text, &length);
    if (!out)
        return CLI_FAILED;
    result = show(context, out);
    if (fclose(out) != 0)
        result = CLI_FAILED;
    if (result == CLI_OK)
        screen_draw(text, first);
    free(text);
    return result;
}

int watch(int (*show)(void *context, FILE *out), void *context, double seconds)
{
    struct timespec interval = {.tv_sec = (time_t)seconds};
    bool terminal = isatty(STDOUT_FILENO), first = true;
    sigset_t waiting;
    int result;

    interval.tv_nsec = (long)((seconds - (double)interval.tv_sec) * 1e9);
    catch_signals(&waiting);
    do {
        result = look(show, context, terminal, first);
        first &= result != CLI_OK; /* what fails at once is said on the screen that stays */
        if (result == CLI_OK && !ended)
            ppoll(NULL, 0, &interval, &waiting);
    } while (result == CLI_OK && !ended);
    if (terminal && !first)
        screen_leave();
    fflush(stdout);
    return result;
}

double watch_seconds(const char *text)
{
    char *rest;
    double seconds;

    errno = 0;
    seconds = strtod(text, &rest);
    if (errno != 0 || rest == text || *rest || !(seconds >= 0.01 && seconds <= 86400))
        return 0;
    return seconds;
}
