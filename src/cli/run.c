/*
 * braid run: starts a program whose SCTP sockets are Braid's.
 *
 * The program is not changed: a library is loaded into it (ld.so(8), LD_PRELOAD), which finds the
 * stack process of this network namespace by its name. If there is none, one is started first.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel/channel.h"
#include "cli/cli.h"
#include "preload/private.h"
#include "stack/stack.h"
#include "trap/trap.h"

#define LIBRARY "libbraid-preload.so"
#define SCTP_LIBRARY "libsctp.so.1"
#define IDLE_SECONDS "60" /* the stack ends that long after its last socket */

enum { RUN_FAILED = 125, RUN_CANNOT = 126, RUN_NOT_FOUND = 127 }; /* as env(1) */

#define STACK_ARGUMENTS 16

struct run_options {
    const char *name;
    bool verbose;
    bool is_service; /* the stack stays without us, and is not ours to start */
    bool trap;
    bool start;                         /* the stack, and no program */
    const char *argument_zero;          /* of the program, if it is not the one that is said */
    const char *stack[STACK_ARGUMENTS]; /* options for the stack, as they were given */
    size_t stack_count;
};

/* ---- The files of Braid ---- */

/* In the build tree libraries are beside the program, in their folders; installed, in LIBDIR, which
 * is looked for from where the program is, in case all of it was moved. */
static bool find_library(const char *folder, const char *name, char *path)
{
    char own[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);
    char *slash;

    if (length < 0)
        return false;
    own[length] = '\0';
    slash = strrchr(own, '/');
    *slash = '\0';
    if (snprintf(path, PATH_MAX, "%s/src/%s/%s", own, folder, name) < PATH_MAX &&
        access(path, R_OK) == 0)
        return true;
    if (snprintf(path, PATH_MAX, "%s/%s/%s", own, BRAID_LIBRARIES_FROM_PROGRAM, name) < PATH_MAX &&
        access(path, R_OK) == 0)
        return true;
    return snprintf(path, PATH_MAX, "%s/%s", BRAID_LIBRARIES, name) < PATH_MAX &&
           access(path, R_OK) == 0;
}

/* ---- The stack ---- */

/* Who starts us may have closed standard input and output, and the program shall find them so. */
static int pipe_above_standard(int ends[2])
{
    int given[2];

    if (pipe(given) < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        ends[i] = fcntl(given[i], F_DUPFD, STDERR_FILENO + 1);
        close(given[i]);
    }
    return ends[0] < 0 || ends[1] < 0 ? -1 : 0;
}

static int start_stack(const struct run_options *options)
{
    const char *arguments[STACK_ARGUMENTS + 10] = {
        "braid", "stack", "--name", options->name, "--idle", IDLE_SECONDS, "--ready-fd"};
    size_t count = 7, length = 0;
    char ready[16], text[512] = "";
    int ends[2], status;
    ssize_t got;
    pid_t child;

    if (pipe_above_standard(ends) < 0)
        return cli_failure(&run_command, "pipe: %s", strerror(errno));
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    snprintf(ready, sizeof(ready), "%d", ends[1]);
    arguments[count++] = ready;
    for (size_t i = 0; i < options->stack_count; i++)
        arguments[count++] = options->stack[i];
    arguments[count] = NULL;
    child = fork();
    if (child < 0)
        return cli_failure(&run_command, "fork: %s", strerror(errno));
    if (child == 0) {
        /* its sockets are its own, also if a program of ours starts it */
        unsetenv("LD_PRELOAD");
        unsetenv(CHANNEL_ENVIRONMENT);
        syscall(SYS_execve, "/proc/self/exe", arguments, environ);
        _exit(RUN_FAILED);
    }
    close(ends[1]);
    while (length < sizeof(text) - 1 &&
           (got = read(ends[0], text + length, sizeof(text) - 1 - length)) != 0) {
        if (got > 0)
            length += (size_t)got;
        else if (errno != EINTR)
            break;
    }
    close(ends[0]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (strcmp(text, STACK_READY) == 0)
        return 0;
    text[strcspn(text, "\n")] = '\0';
    if (!*text)
        snprintf(text, sizeof(text), "%s",
                 WIFEXITED(status) && WEXITSTATUS(status) == CLI_USAGE
                     ? "it did not understand its options"
                     : "it ended without a word");
    return cli_failure(&run_command, "the stack could not start: %s", text);
}

/* 0 when programs can find it. */
static int reach_stack(struct run_options *options)
{
    struct channel_reply reply;
    int page;
    int connection = channel_connect(options->name);
    int error = channel_ask(connection, CHANNEL_HELLO, &reply, &page);

    if (connection == -EACCES)
        return cli_failure(&run_command,
                           "the stack named '%s' is another user's, who could read along: choose "
                           "another --name",
                           options->name);
    if (connection < 0 && connection != -ECONNREFUSED)
        return cli_failure(&run_command, "the stack named '%s': %s", options->name,
                           strerror(-connection));
    if (connection < 0) {
        if (options->verbose)
            fprintf(stderr, "braid run: starting the stack named '%s'\n", options->name);
        return start_stack(options);
    }
    if (page >= 0)
        close(page);
    close(connection);
    options->is_service = error == 0 && reply.argument[0] == 0;
    if (options->stack_count > 0)
        return cli_failure(&run_command,
                           "a stack named '%s' is running already, so %s says nothing to it: stop "
                           "it with 'braid stack --name %s --stop', or choose another --name",
                           options->name, options->stack[0], options->name);
    return 0;
}

/* ---- The program ---- */

static bool is_program(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

/* Where execvp() would find it. 0, or the exit status, with what is wrong said. */
static int find_program(const char *name, char *path)
{
    const char *folders = getenv("PATH");

    if (strchr(name, '/')) {
        snprintf(path, PATH_MAX, "%s", name);
        if (is_program(path))
            return 0;
        cli_failure(&run_command, "'%s': %s", name,
                    access(path, F_OK) < 0 ? strerror(errno)
                                           : "not a program that may be executed");
        return access(path, F_OK) < 0 ? RUN_NOT_FOUND : RUN_CANNOT;
    }
    for (const char *at = folders ? folders : "/usr/bin:/bin"; at;) {
        size_t length = strcspn(at, ":");

        snprintf(path, PATH_MAX, "%.*s/%s", length > 0 ? (int)length : 1, length > 0 ? at : ".",
                 name);
        if (is_program(path))
            return 0;
        at = at[length] == ':' ? at + length + 1 : NULL;
    }
    cli_failure(&run_command, "'%s' is not found in PATH", name);
    return RUN_NOT_FOUND;
}

/* No library is loaded into a program that gets rights by its file, and nobody may trap its calls.
 */
static int check_program(const char *path)
{
    struct stat status;

    if (stat(path, &status) == 0 && status.st_mode & (S_ISUID | S_ISGID) && geteuid() != 0) {
        cli_failure(&run_command,
                    "'%s' is set-user-ID or set-group-ID: no library is loaded into it", path);
        return RUN_CANNOT;
    }
    return 0;
}

/* Puts `first` in front of what the variable holds. */
static bool prepend(const char *variable, const char *first)
{
    const char *rest = getenv(variable);
    char *value;
    bool done;

    if (!rest || !*rest)
        return setenv(variable, first, 1) == 0;
    if (asprintf(&value, "%s:%s", first, rest) < 0)
        return false;
    done = setenv(variable, value, 1) == 0;
    free(value);
    return done;
}

/* With which options a stack is started by who needs one later. */
static bool set_start(const struct run_options *options)
{
    char text[CHANNEL_START_MAXIMUM + 1] = "";
    size_t length = 0;

    if (options->is_service)
        return unsetenv(CHANNEL_START) == 0;
    for (size_t i = 0; i < options->stack_count; i++) {
        int written = snprintf(text + length, sizeof(text) - length, "%s%s",
                               i > 0 ? CHANNEL_START_SEPARATOR : "", options->stack[i]);

        length += (size_t)written;
        if (length >= sizeof(text))
            return true; /* too much to say: none is started */
    }
    return setenv(CHANNEL_START, text, 1) == 0;
}

static int prepare_environment(const struct run_options *options)
{
    char path[PATH_MAX];

    if (!find_library("preload", LIBRARY, path))
        return cli_failure(&run_command, "%s is neither beside this program nor in %s", LIBRARY,
                           BRAID_LIBRARIES);
    if (setenv(CHANNEL_ENVIRONMENT, options->name, 1) < 0 || !set_start(options) ||
        !prepend("LD_PRELOAD", path))
        return cli_failure(&run_command, "setenv: %s", strerror(errno));
    /* the system's own, if there is one, works as well, and is what the program was made with */
    if (!dlopen(SCTP_LIBRARY, RTLD_LAZY | RTLD_LOCAL) &&
        find_library("libsctp", SCTP_LIBRARY, path)) {
        *strrchr(path, '/') = '\0';
        if (!prepend("LD_LIBRARY_PATH", path))
            return cli_failure(&run_command, "setenv: %s", strerror(errno));
    }
    return 0;
}

/* Traps the calls of this process, and so of the program that it becomes. */
static int set_trap(const struct run_options *options, const char *path)
{
    int error;

    if (image_of(path) == IMAGE_OTHER)
        unsetenv("LD_PRELOAD");
    if (options->verbose)
        fprintf(stderr, "braid run: the system calls of '%s' are trapped\n", path);
    error = trap_begin(options->name);
    if (error < 0 && error != -EBUSY)
        return cli_failure(&run_command, "the system calls of '%s' cannot be trapped: %s", path,
                           strerror(-error));
    return 0;
}

/* Not by execve(), which this library takes over if we run under Braid ourselves. */
static void become(const char *path, char **arguments)
{
    syscall(SYS_execve, path, arguments, environ);
    if (errno == ENOEXEC) /* a script without "#!", as execvp() does */
        execvp(path, arguments);
}

/* ---- The command line ---- */

enum {
    OPTION_NAME = 256,
    OPTION_RAW,
    OPTION_UDP,
    OPTION_PEER_UDP,
    OPTION_ASCONF,
    OPTION_AUTH,
    OPTION_INTERLEAVING,
    OPTION_CAPTURE,
    OPTION_START,
    OPTION_TRAP,
    OPTION_ARGUMENT_ZERO,
    OPTION_VERBOSE
};

static void pass_on(struct run_options *options, const char *option, const char *value)
{
    /* said twice: the stack takes the last */
    if (options->stack_count + 2 > STACK_ARGUMENTS)
        options->stack_count = 0;
    options->stack[options->stack_count++] = option;
    if (value)
        options->stack[options->stack_count++] = value;
}

static bool take_option(struct run_options *options, int option)
{
    static char capture[PATH_MAX];

    switch (option) {
    case OPTION_NAME:
        options->name = optarg;
        return true;
    case OPTION_RAW:
        pass_on(options, "--raw", NULL);
        return true;
    case OPTION_UDP:
        pass_on(options, "--udp", optarg);
        return true;
    case OPTION_PEER_UDP:
        pass_on(options, "--peer-udp", optarg);
        return true;
    case OPTION_ASCONF:
        pass_on(options, "--asconf", NULL);
        return true;
    case OPTION_AUTH:
        pass_on(options, "--auth", NULL);
        return true;
    case OPTION_INTERLEAVING:
        pass_on(options, "--interleaving", NULL);
        return true;
    case OPTION_CAPTURE:
        /* the stack has another working directory */
        if (*optarg == '/' || !getcwd(capture, sizeof(capture)) ||
            strlen(capture) + strlen(optarg) + 2 > sizeof(capture)) {
            pass_on(options, "--capture", optarg);
            return true;
        }
        snprintf(capture + strlen(capture), sizeof(capture) - strlen(capture), "/%s", optarg);
        pass_on(options, "--capture", capture);
        return true;
    case OPTION_START:
        options->start = true;
        return true;
    case OPTION_TRAP:
        options->trap = true;
        return true;
    case OPTION_ARGUMENT_ZERO:
        options->argument_zero = optarg;
        return true;
    case OPTION_VERBOSE:
        options->verbose = true;
        return true;
    default:
        return false;
    }
}

static int run_program(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"name", required_argument, NULL, OPTION_NAME},
        {"raw", no_argument, NULL, OPTION_RAW},
        {"udp", required_argument, NULL, OPTION_UDP},
        {"peer-udp", required_argument, NULL, OPTION_PEER_UDP},
        {"asconf", no_argument, NULL, OPTION_ASCONF},
        {"auth", no_argument, NULL, OPTION_AUTH},
        {"interleaving", no_argument, NULL, OPTION_INTERLEAVING},
        {"capture", required_argument, NULL, OPTION_CAPTURE},
        {"start", no_argument, NULL, OPTION_START},
        {"trap", no_argument, NULL, OPTION_TRAP},
        {"argv0", required_argument, NULL, OPTION_ARGUMENT_ZERO},
        {"verbose", no_argument, NULL, OPTION_VERBOSE},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct run_options options = {.name = STACK_NAME};
    char path[PATH_MAX];
    int option, status;

    while ((option = getopt_long(argc, argv, "+h", long_options, NULL)) != -1) {
        if (option == 'h') {
            fputs(run_command.help, stdout);
            return CLI_OK;
        }
        if (!take_option(&options, option)) {
            cli_usage_error(&run_command);
            return RUN_FAILED;
        }
    }
    if (options.start)
        return reach_stack(&options) == 0 ? CLI_OK : RUN_FAILED;
    if (optind == argc) {
        cli_failure(&run_command, "which program? Say it behind the options");
        cli_usage_error(&run_command);
        return RUN_FAILED;
    }
    status = find_program(argv[optind], path);
    if (status == 0)
        status = check_program(path);
    if (status != 0)
        return status;
    if (reach_stack(&options) != 0 || prepare_environment(&options) != 0)
        return RUN_FAILED;
    if ((options.trap || image_of(path) != IMAGE_LOADS) && set_trap(&options, path) != 0)
        return RUN_FAILED;
    if (options.argument_zero)
        argv[optind] = (char *)options.argument_zero;
    become(path, argv + optind);
    cli_failure(&run_command, "'%s': %s", path, strerror(errno));
    return errno == ENOENT ? RUN_NOT_FOUND : RUN_CANNOT;
}

const struct command run_command = {
    .name = "run",
    .summary = "run a program whose SCTP sockets are Braid's",
    .help =
        "usage: braid run [OPTION]... PROGRAM [ARGUMENT]...\n"
        "       braid run [OPTION]... --start\n"
        "\n"
        "Runs PROGRAM, unchanged, so that its SCTP sockets are Braid's: those of the stack "
        "process of\n"
        "this network namespace. If none is running, one is started with the options given "
        "here. It\n"
        "ends by itself some time after its last socket was closed, and is started again should\n"
        "PROGRAM need it.\n"
        "\n"
        "      --name NAME       of the stack process (default " STACK_NAME ")\n"
        "      --raw             SCTP directly over IP; needs the capability CAP_NET_RAW\n"
        "      --udp PORT        our own UDP port (default 9899)\n"
        "      --peer-udp PORT   the peers' UDP port (default 9899)\n"
        "      --asconf          tell peers when the host's addresses change (RFC 5061)\n"
        "      --auth            let programs authenticate chunks (RFC 4895), if they ask for it\n"
        "      --interleaving    let programs have message interleaving (RFC 8260)\n"
        "      --capture FILE    write all packets to FILE, a pcapng capture\n"
        "      --start           only start the stack, if there is none: without PROGRAM\n"
        "      --trap            trap the system calls of PROGRAM and of all that it starts, as is "
        "done\n"
        "                        by itself for programs that are statically linked, or in Go\n"
        "      --argv0 NAME      what PROGRAM is told that its name is\n"
        "      --verbose         say what is done\n"
        "  -h, --help            this text\n"
        "\n"
        "Exit status: that of PROGRAM; 125 if Braid itself failed, 126 if PROGRAM cannot be "
        "run, 127\n"
        "if it was not found.\n",
    .run = run_program,
};
