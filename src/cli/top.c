/*
 * braid top: the associations of the running stack on the terminal, and what they do.
 *
 * Signals are read like keys (signalfd(2)), so the terminal is never left in between: whatever ends
 * or stops the program, it is put back first.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "channel/channel.h"
#include "cli/cli.h"
#include "cli/screen.h"
#include "cli/top_view.h"
#include "cli/watch.h"
#include "stack/stack.h"

#define KEYS "q quit  < > sort  r reverse  / search  p paths  j k scroll  space look now"

enum { KEY_ESCAPE = 27, KEY_DELETE = 127, KEY_BACKSPACE = 8, PAGE = 10 };

struct top {
    struct top_view view;
    double delay;
    struct termios terminal; /* as it was */
    sigset_t signals, mask;  /* those that are read; the mask as it was */
    int signal_descriptor;
    bool drawn;  /* the screen is ours */
    bool typing; /* a text to search */
    bool ended;
};

/* ---- The terminal ---- */

/* A key at a time, unseen; ^C and ^Z stay signals. */
static void terminal_take(const struct top *top)
{
    struct termios terminal = top->terminal;

    terminal.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    terminal.c_cc[VMIN] = 1;
    terminal.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal);
}

static void terminal_give_back(struct top *top)
{
    if (top->drawn)
        screen_leave();
    top->drawn = false;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &top->terminal);
}

static void draw(struct top *top)
{
    unsigned int rows = screen_rows();
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    if (!out)
        abort();
    fputs(top->typing ? "search: " : KEYS, out);
    if (top->typing)
        fprintf(out, "%s_   (Enter keeps it, Escape clears it)", top->view.search);
    fputc('\n', out);
    top_view_print(&top->view, out, rows > 2 ? rows - 2 : 0, screen_columns());
    if (fclose(out) != 0)
        abort();
    screen_draw(text, !top->drawn);
    top->drawn = true;
    free(text);
}

/* ---- Signals ---- */

static void signals_open(struct top *top)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};

    sigemptyset(&top->signals);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaddset(&top->signals, numbers[i]);
    sigprocmask(SIG_BLOCK, &top->signals, &top->mask);
    top->signal_descriptor = signalfd(-1, &top->signals, SFD_CLOEXEC);
}

/* As SIGTSTP does by itself, between two screens. */
static void stop(struct top *top)
{
    sigset_t only;

    terminal_give_back(top);
    sigemptyset(&only);
    sigaddset(&only, SIGTSTP);
    raise(SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &only, NULL); /* it stops us here */
    sigprocmask(SIG_BLOCK, &only, NULL);
    terminal_take(top);
}

static void take_signal(struct top *top)
{
    struct signalfd_siginfo info;

    if (read(top->signal_descriptor, &info, sizeof(info)) != sizeof(info))
        return;
    if (info.ssi_signo == SIGTSTP)
        stop(top);
    else if (info.ssi_signo != SIGWINCH)
        top->ended = true;
}

/* ---- Keys ---- */

static void type(struct top *top, char key)
{
    char *search = top->view.search;
    size_t length = strlen(search);

    if (key == '\n' || key == '\r') {
        top->typing = false;
    } else if (key == KEY_ESCAPE) {
        *search = '\0';
        top->typing = false;
    } else if ((key == KEY_DELETE || key == KEY_BACKSPACE) && length > 0) {
        search[length - 1] = '\0';
    } else if (key >= ' ' && key < KEY_DELETE && length + 1 < TOP_SEARCH_SIZE) {
        search[length] = key;
        search[length + 1] = '\0';
    }
    top->view.scroll = 0;
}

static void scroll(struct top_view *view, int lines)
{
    if (lines < 0)
        view->scroll -= view->scroll < (size_t)-lines ? view->scroll : (size_t)-lines;
    else
        view->scroll += (size_t)lines;
}

/* Arrows and their neighbours send an escape and some more. */
static void take_sequence(struct top *top, const char *rest)
{
    static const struct {
        const char *text;
        int lines, column;
    } sequences[] = {
        {"[A", -1, 0}, {"OA", -1, 0}, {"[B", 1, 0}, {"OB", 1, 0},      {"[D", 0, -1},
        {"OD", 0, -1}, {"[C", 0, 1},  {"OC", 0, 1}, {"[5~", -PAGE, 0}, {"[6~", PAGE, 0},
    };

    for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
        if (strcmp(rest, sequences[i].text) != 0)
            continue;
        scroll(&top->view, sequences[i].lines);
        top->view.sort = (enum top_column)(
            ((int)top->view.sort + sequences[i].column + TOP_COLUMNS) % TOP_COLUMNS);
    }
}

/* True: the stack is to be asked again. */
static bool take_key(struct top *top, char key)
{
    struct top_view *view = &top->view;

    switch (key) {
    case 'q':
        top->ended = true;
        break;
    case '<':
        view->sort = (view->sort + TOP_COLUMNS - 1) % TOP_COLUMNS;
        break;
    case '>':
        view->sort = (view->sort + 1) % TOP_COLUMNS;
        break;
    case 'r':
        view->reverse = !view->reverse;
        break;
    case '/':
        top->typing = true;
        *view->search = '\0';
        break;
    case 'p':
        view->paths = !view->paths;
        break;
    case 'j':
        scroll(view, 1);
        break;
    case 'k':
        scroll(view, -1);
        break;
    case ' ':
        return true;
    default:
        break;
    }
    return false;
}

static bool take_keys(struct top *top)
{
    char keys[64];
    ssize_t length = read(STDIN_FILENO, keys, sizeof(keys) - 1);
    bool again = false;

    if (length <= 0) { /* the terminal is gone */
        top->ended = length == 0 || errno != EINTR;
        return false;
    }
    keys[length] = '\0';
    if (keys[0] == KEY_ESCAPE && length > 1) {
        take_sequence(top, keys + 1);
        return false;
    }
    for (ssize_t i = 0; i < length && !top->ended; i++) {
        if (top->typing)
            type(top, keys[i]);
        else
            again |= take_key(top, keys[i]);
    }
    return again;
}

/* ---- The loop ---- */

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Waits for a key, a signal or the time. True: it is time to ask the stack. */
static bool wait(struct top *top, double until)
{
    struct pollfd descriptors[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                                   {.fd = top->signal_descriptor, .events = POLLIN}};
    double seconds = until - now();
    bool again = false;

    if (seconds <= 0 || poll(descriptors, 2, (int)(seconds * 1000) + 1) == 0)
        return true;
    if (descriptors[1].revents)
        take_signal(top);
    if (descriptors[0].revents && !top->ended)
        again = take_keys(top);
    return again;
}

static int show(struct top *top)
{
    int error = top_view_look(&top->view);
    double next = now() + top->delay;

    if (error < 0)
        return error;
    terminal_take(top);
    while (error == 0 && !top->ended) {
        draw(top);
        if (!wait(top, next) || top->ended)
            continue;
        error = top_view_look(&top->view);
        next = now() + top->delay;
    }
    terminal_give_back(top);
    return error;
}

static int run(struct top *top)
{
    int error;

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) ||
        tcgetattr(STDIN_FILENO, &top->terminal) < 0)
        return cli_failure(&top_command, "standard %s is not a terminal: use 'braid ss --watch'",
                           isatty(STDIN_FILENO) ? "output" : "input");
    signals_open(top);
    if (top->signal_descriptor < 0)
        return cli_failure(&top_command, "signalfd: %s", strerror(errno));
    error = show(top);
    close(top->signal_descriptor);
    sigprocmask(SIG_SETMASK, &top->mask, NULL);
    if (error < 0)
        return cli_stack_failure(&top_command, top->view.name, error);
    return CLI_OK;
}

/* ---- The command line ---- */

static bool take_sort(struct top_view *view, const char *name)
{
    view->sort = top_column_find(name);
    if (view->sort < TOP_COLUMNS)
        return true;
    cli_failure(&top_command, "'%s' is nothing to sort by", name);
    return false;
}

static bool take_option(struct top *top, int option)
{
    switch (option) {
    case 'd':
        top->delay = watch_seconds(optarg);
        if (top->delay > 0)
            return true;
        cli_failure(&top_command, "'%s' is not a number of seconds", optarg);
        return false;
    case 's':
        return take_sort(&top->view, optarg);
    case 'f':
        snprintf(top->view.search, TOP_SEARCH_SIZE, "%s", optarg);
        return true;
    case 'r':
        top->view.reverse = true;
        return true;
    case 'p':
        top->view.paths = true;
        return true;
    case 'n':
        top->view.name = optarg;
        return true;
    default:
        return false;
    }
}

static int run_top(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"delay", required_argument, NULL, 'd'},  {"sort", required_argument, NULL, 's'},
        {"search", required_argument, NULL, 'f'}, {"reverse", no_argument, NULL, 'r'},
        {"paths", no_argument, NULL, 'p'},        {"name", required_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    struct top top = {.view = {.name = getenv(CHANNEL_ENVIRONMENT), .sort = TOP_SENT}, .delay = 1};
    int option, result;

    if (!top.view.name || !*top.view.name)
        top.view.name = STACK_NAME;
    while ((option = getopt_long(argc, argv, "d:s:rph", long_options, NULL)) != -1) {
        if (option == 'h') {
            fputs(top_command.help, stdout);
            return CLI_OK;
        }
        if (!take_option(&top, option))
            return cli_usage_error(&top_command);
    }
    if (optind != argc) {
        cli_failure(&top_command, "'%s' is one argument too many", argv[optind]);
        return cli_usage_error(&top_command);
    }
    result = run(&top);
    top_view_free(&top.view);
    return result;
}

const struct command top_command = {
    .name = "top",
    .summary = "watch associations at work, on the terminal",
    .help =
        "usage: braid top [OPTION]...\n"
        "\n"
        "Shows the associations of the running stack on the terminal, again each second: bytes,\n"
        "messages and retransmitted chunks a second, bytes that wait, and the round-trip time.\n"
        "\n"
        "  -d, --delay SECONDS  between two looks (default 1)\n"
        "  -s, --sort COLUMN    state, local, peer, sent, received, messages-out, messages-in,\n"
        "                       retransmitted, queued or rtt (default sent)\n"
        "  -r, --reverse        the least first\n"
        "  -p, --paths          a line for each path, too; '*' is the primary one\n"
        "      --search TEXT    only associations with TEXT in their addresses, ports or states\n"
        "      --name NAME      of the stack (default: $" CHANNEL_ENVIRONMENT ", else " STACK_NAME
        ")\n"
        "  -h, --help           this text\n"
        "\n"
        "Keys: " KEYS "\n"
        "\n"
        "Exit status: 0 if all went well, 1 if there is no terminal, no stack is running or it\n"
        "cannot be asked, 2 if the command was not understood.\n",
    .run = run_top,
};
