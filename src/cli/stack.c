/*
 * braid stack: runs the stack process, or ends one.
 *
 * RFC 9260 (SCTP over IP), RFC 6951 (over UDP).
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel/channel.h"
#include "cli/cli.h"
#include "link/link.h"
#include "stack/stack.h"

struct stack_options {
    struct stack_config config;
    int ready; /* a descriptor to tell the outcome to; -1: none */
    bool stop;
};

/* A number in decimal, within limits. */
static bool parse_number(const char *text, unsigned long least, unsigned long most,
                         unsigned long *value)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *value = strtoul(text, &end, 10);
    return *end == '\0' && errno == 0 && *value >= least && *value <= most;
}

static bool parse_port(const char *text, uint16_t *port)
{
    unsigned long value;

    if (!parse_number(text, 1, UINT16_MAX, &value)) {
        cli_failure(&stack_command, "'%s' is not a UDP port", text);
        return false;
    }
    *port = (uint16_t)value;
    return true;
}

static bool parse_name(const char *text)
{
    struct sockaddr_un address;
    socklen_t length;
    int error = channel_rendezvous(text, &address, &length);

    if (error < 0)
        cli_stack_failure(&stack_command, text, error);
    return error == 0;
}

static bool parse_count(const char *text, uint32_t *count)
{
    unsigned long value;

    if (!parse_number(text, 1, UINT32_MAX, &value)) {
        cli_failure(&stack_command, "'%s' is not a number above 0", text);
        return false;
    }
    *count = (uint32_t)value;
    return true;
}

/* Bytes, with a letter for 1024, 1024^2 or 1024^3 of them. */
static bool parse_size(const char *text, uint64_t *size)
{
    static const char letters[] = "KMG";
    char digits[24];
    size_t length = strspn(text, "0123456789");
    const char *letter = text[length] ? strchr(letters, text[length]) : NULL;
    unsigned int shift = letter ? 10 * (unsigned int)(letter - letters + 1) : 0;
    unsigned long value;

    snprintf(digits, sizeof(digits), "%.*s", (int)length, text);
    if (length >= sizeof(digits) || (text[length] && (!letter || text[length + 1])) ||
        !parse_number(digits, 1, UINT64_MAX >> shift, &value)) {
        cli_failure(&stack_command, "'%s' is not a size: a number, and K, M or G", text);
        return false;
    }
    *size = (uint64_t)value << shift;
    return true;
}

static bool parse_group(const char *text, gid_t *group)
{
    const struct group *found = getgrnam(text);

    if (!found) {
        cli_failure(&stack_command, "there is no group '%s'", text);
        return false;
    }
    *group = found->gr_gid;
    return true;
}

/* An ordinary user's stack is his alone, and stays so: others' programs would not trust it. */
static bool is_for_root(const char *option)
{
    if (geteuid() == 0)
        return true;
    cli_failure(&stack_command, "%s is for a stack that root starts", option);
    return false;
}

/* ---- Descriptors, and the background ---- */

/* What is opened later must not be where messages are written to. */
static int open_standard(void)
{
    int null;

    do
        null = open("/dev/null", O_RDWR);
    while (null >= 0 && null <= STDERR_FILENO);
    if (null < 0)
        return -errno;
    close(null);
    return 0;
}

/* Leaves the one who started us, his terminal and his session: stack.h. */
static int go_to_background(int ready)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    pid_t child;

    if (null < 0)
        return -errno;
    child = fork();
    if (child < 0)
        return -errno;
    if (child > 0)
        _exit(CLI_OK);
    setsid();
    for (int i = 0; i <= STDERR_FILENO; i++)
        dup2(null, i);
    /* what is not ours would seem open to others as long as we live */
    if (ready > STDERR_FILENO + 1)
        close_range(STDERR_FILENO + 1, (unsigned int)ready - 1, 0);
    close_range((unsigned int)ready + 1, ~0u, 0);
    fcntl(ready, F_SETFD, FD_CLOEXEC);
    return 0;
}

static void tell_ready(int descriptor, const char *text)
{
    (void)!write(descriptor, text, strlen(text));
    close(descriptor);
}

/* ---- As a service of systemd ---- */

/* Where a service manager is told: sd_notify(3), which is a datagram to $NOTIFY_SOCKET. */
struct service {
    int socket; /* -1: there is none */
    struct sockaddr_un address;
    socklen_t length;
};

/* While sockets can still be made. */
static struct service service_open(void)
{
    struct service service = {.socket = -1, .address = {.sun_family = AF_UNIX}};
    const char *path = getenv("NOTIFY_SOCKET");
    size_t length = path ? strlen(path) : 0;

    if (length < 2 || length > sizeof(service.address.sun_path) || !strchr("/@", *path))
        return service;
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): the length says where it ends */
    memcpy(service.address.sun_path, path, length);
    if (*path == '@')
        service.address.sun_path[0] = '\0';
    service.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    service.socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return service;
}

static void service_notify(const struct service *service, const char *text)
{
    if (service->socket >= 0)
        (void)!sendto(service->socket, text, strlen(text), MSG_NOSIGNAL,
                      (const struct sockaddr *)&service->address, service->length);
}

/* ---- Running ---- */

static int run(const struct stack_options *options)
{
    bool running;
    char text[512];
    int error;
    struct service service = service_open();
    struct stack *stack = stack_open(&options->config, &error, &running, text, sizeof(text));

    if (!stack && options->ready >= 0) {
        tell_ready(options->ready, running ? STACK_READY : text);
        return running ? CLI_OK : CLI_FAILED;
    }
    if (!stack)
        return cli_failure(&stack_command, "%s", text);
    if (options->ready >= 0)
        (void)!chdir("/"); /* no file system is kept busy */
    error = stack_confine(stack, text, sizeof(text));
    if (error < 0) {
        stack_close(stack);
        if (options->ready >= 0)
            tell_ready(options->ready, text);
        return cli_failure(&stack_command, "%s", text);
    }
    if (options->ready >= 0)
        tell_ready(options->ready, STACK_READY);
    service_notify(&service, "READY=1\n");
    error = stack_run(stack);
    service_notify(&service, "STOPPING=1\n");
    stack_close(stack);
    if (error < 0)
        return cli_failure(&stack_command, "%s", strerror(-error));
    return CLI_OK;
}

static int stop(const char *name)
{
    struct channel_reply reply;
    int descriptor;
    uid_t owner;
    int connection = channel_connect_to_any(name, &owner);
    int error = channel_ask(connection, CHANNEL_STOP, &reply, &descriptor);

    if (descriptor >= 0)
        close(descriptor);
    if (connection >= 0) {
        char end;

        /* it has ended when it no longer holds the connection */
        if (error == 0)
            (void)!read(connection, &end, 1);
        close(connection);
    }
    return error < 0 ? cli_stack_failure(&stack_command, name, error) : CLI_OK;
}

/* ---- The command line ---- */

enum {
    OPTION_NAME = 256,
    OPTION_UDP,
    OPTION_NO_UDP,
    OPTION_RAW,
    OPTION_PEER_UDP,
    OPTION_ASCONF,
    OPTION_AUTH,
    OPTION_INTERLEAVING,
    OPTION_CAPTURE,
    OPTION_LOG,
    OPTION_IDLE,
    OPTION_USER,
    OPTION_ALLOW_GROUP,
    OPTION_USER_SOCKETS,
    OPTION_USER_ASSOCIATIONS,
    OPTION_USER_MEMORY,
    OPTION_READY,
    OPTION_STOP,
};

static bool take_option(struct stack_options *options, int option)
{
    struct stack_config *config = &options->config;
    unsigned long value;

    switch (option) {
    case OPTION_NAME:
        config->name = optarg;
        return parse_name(optarg);
    case OPTION_UDP:
        config->udp = true;
        return parse_port(optarg, &config->udp_port);
    case OPTION_NO_UDP:
        config->udp = false;
        return true;
    case OPTION_RAW:
        config->raw = true;
        return true;
    case OPTION_PEER_UDP:
        return parse_port(optarg, &config->peer_udp_port);
    case OPTION_ASCONF:
        config->asconf = true;
        return true;
    case OPTION_AUTH:
        config->authentication = true;
        return true;
    case OPTION_INTERLEAVING:
        config->interleaving = true;
        return true;
    case OPTION_CAPTURE:
        config->capture = optarg;
        return true;
    case OPTION_LOG:
        config->log = optarg;
        return true;
    case OPTION_STOP:
        options->stop = true;
        return true;
    case OPTION_USER:
        config->user = optarg;
        return is_for_root("--user");
    case OPTION_ALLOW_GROUP:
        config->has_group = true;
        return is_for_root("--allow-group") && parse_group(optarg, &config->group);
    case OPTION_USER_SOCKETS:
        return parse_count(optarg, &config->user_limits.sockets);
    case OPTION_USER_ASSOCIATIONS:
        return parse_count(optarg, &config->user_limits.associations);
    case OPTION_USER_MEMORY:
        return parse_size(optarg, &config->user_limits.memory);
    case OPTION_IDLE:
        if (parse_number(optarg, 0, UINT32_MAX / 1000, &value)) {
            config->idle = (uint32_t)value;
            return true;
        }
        cli_failure(&stack_command, "'%s' is not a number of seconds", optarg);
        return false;
    case OPTION_READY:
        if (parse_number(optarg, STDERR_FILENO + 1, INT32_MAX, &value) &&
            fcntl((int)value, F_GETFD) >= 0) {
            options->ready = (int)value;
            return true;
        }
        cli_failure(&stack_command, "'%s' is not an open descriptor above 2", optarg);
        return false;
    default:
        return false;
    }
}

static int run_stack(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"name", required_argument, NULL, OPTION_NAME},
        {"udp", required_argument, NULL, OPTION_UDP},
        {"no-udp", no_argument, NULL, OPTION_NO_UDP},
        {"raw", no_argument, NULL, OPTION_RAW},
        {"peer-udp", required_argument, NULL, OPTION_PEER_UDP},
        {"asconf", no_argument, NULL, OPTION_ASCONF},
        {"auth", no_argument, NULL, OPTION_AUTH},
        {"interleaving", no_argument, NULL, OPTION_INTERLEAVING},
        {"capture", required_argument, NULL, OPTION_CAPTURE},
        {"log", required_argument, NULL, OPTION_LOG},
        {"idle", required_argument, NULL, OPTION_IDLE},
        {"user", required_argument, NULL, OPTION_USER},
        {"allow-group", required_argument, NULL, OPTION_ALLOW_GROUP},
        {"user-sockets", required_argument, NULL, OPTION_USER_SOCKETS},
        {"user-associations", required_argument, NULL, OPTION_USER_ASSOCIATIONS},
        {"user-memory", required_argument, NULL, OPTION_USER_MEMORY},
        {"ready-fd", required_argument, NULL, OPTION_READY},
        {"stop", no_argument, NULL, OPTION_STOP},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct stack_options options = {
        .config = {.name = STACK_NAME, .udp = true, .udp_port = LINK_UDP_PORT},
        .ready = -1,
    };
    int option, error;

    while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        if (option == 'h') {
            fputs(stack_command.help, stdout);
            return CLI_OK;
        }
        if (!take_option(&options, option))
            return cli_usage_error(&stack_command);
    }
    if (optind != argc) {
        cli_failure(&stack_command, "'%s' is one argument too many", argv[optind]);
        return cli_usage_error(&stack_command);
    }
    if (options.stop)
        return stop(options.config.name);
    error = options.ready >= 0 ? go_to_background(options.ready) : open_standard();
    if (error < 0)
        return cli_failure(&stack_command, "%s", strerror(-error));
    return run(&options);
}

const struct command stack_command = {
    .name = "stack",
    .summary = "run the stack process that serves programs",
    .help =
        "usage: braid stack [OPTION]...\n"
        "\n"
        "Runs the stack process: SCTP for the programs that 'braid run' starts, one process for a\n"
        "network namespace. 'braid run' starts one by itself; as a service it is started so, and\n"
        "stays until SIGTERM. A stack of root serves all users, another one its own user.\n"
        "\n"
        "      --name NAME       how programs find it (default " STACK_NAME ")\n"
        "      --udp PORT        carry SCTP in UDP, on this port of ours (default 9899)\n"
        "      --no-udp          do not\n"
        "      --raw             carry SCTP directly over IP; needs the capability CAP_NET_RAW.\n"
        "                        Associations that we begin go over IP then. With both, peers\n"
        "                        are answered in the way that they came\n"
        "      --peer-udp PORT   associations that we begin go over UDP, to this port of the\n"
        "                        peer's (default 9899)\n"
        "      --asconf          sockets of programs that know nothing of it tell their peers "
        "when\n"
        "                        the host's addresses change, and hear of theirs (RFC 5061)\n"
        "      --auth            let programs authenticate chunks (RFC 4895), as kernels with\n"
        "                        net.sctp.auth_enable do: SCTP_AUTH_CHUNK and its like\n"
        "      --interleaving    let programs have message interleaving (RFC 8260), as kernels "
        "with\n"
        "                        net.sctp.intl_enable do: SCTP_INTERLEAVING_SUPPORTED\n"
        "      --capture FILE    write all packets to FILE, a pcapng capture\n"
        "      --log FILE        add what is worth telling to FILE (default: standard error)\n"
        "      --user NAME       become this user once all is open, if root starts it. Its rights\n"
        "                        are given up in any case\n"
        "      --allow-group G   serve root and members of group G, not all users\n"
        "      --user-sockets N, --user-associations N, --user-memory SIZE\n"
        "                        the most that one user may have (default: half of what there is;\n"
        "                        an eighth of the host's memory). SIZE in bytes, or with K, M, G\n"
        "      --idle SECONDS    end that long after the last socket is gone (default 0: never)\n"
        "      --ready-fd N      go to the background, and tell the outcome to descriptor N\n"
        "      --stop            end the stack that is running\n"
        "  -h, --help            this text\n"
        "\n"
        "Exit status: 0 if all went well, 1 if it did not, 2 if the command was not understood.\n",
    .run = run_stack,
};
