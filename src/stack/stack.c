/* The stack process: its life, and the loop that everything hangs on.
 *
 * Each turn: descriptors that are ready, timers, then events, programs and packets until nothing of
 * it makes more. RFC 9260 is in the engine, RFC 6458 in the sockets.
 */
#include "stack/stack.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "stack/private.h"
#include "stack/sandbox.h"

enum {
    EVENTS = 64,
    SETTLE_ROUNDS = 64,
    CONNECTIONS_MAXIMUM = 16384,
    DESCRIPTORS_LEAST = 256,
    DESCRIPTORS_WANTED = CHANNEL_SLOTS + CONNECTIONS_MAXIMUM + DESCRIPTORS_LEAST,
    MEMORY_SHARE = 8, /* one user may have an eighth of the host's */
    SECOND = 1000000,
    GATHER_SPAN = 1000,          /* us, in which programs send so many */
    GATHER_LEAST = 64,           /* messages, or as many in proportion: */
    GATHER_ENOUGH = 24,          /* of one turn no more are waited for, */
    GATHER_ENOUGH_BYTES = 16384, /* or bytes */
    GATHER_PAUSE = 20000,        /* ns */
};

braid_time stack_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (braid_time)now.tv_sec * SECOND + (braid_time)now.tv_nsec / 1000;
}

void stack_log(struct stack *stack, const char *format, ...)
{
    struct timespec now;
    struct tm local;
    char line[512];
    size_t length;
    va_list arguments;

    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);
    length = strftime(line, sizeof(line), "%Y-%m-%d %H:%M:%S ", &local);
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is not */
    vsnprintf(line + length, sizeof(line) - length - 1, format, arguments);
    va_end(arguments);
    length = strlen(line);
    line[length++] = '\n';
    (void)!write(stack->log >= 0 ? stack->log : STDERR_FILENO, line, length);
}

/* ---- Watching ---- */

int stack_watch(struct stack *stack, struct watch *watch, int descriptor, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (epoll_ctl(stack->epoll, EPOLL_CTL_ADD, descriptor, &event) < 0)
        return -errno;
    watch->descriptor = descriptor;
    watch->events = events;
    return 0;
}

void stack_watch_change(struct stack *stack, struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (watch->descriptor < 0 || watch->events == events)
        return;
    if (epoll_ctl(stack->epoll, EPOLL_CTL_MOD, watch->descriptor, &event) == 0)
        watch->events = events;
}

void stack_unwatch(struct stack *stack, struct watch *watch)
{
    if (watch->descriptor < 0)
        return;
    epoll_ctl(stack->epoll, EPOLL_CTL_DEL, watch->descriptor, NULL);
    close(watch->descriptor);
    watch->descriptor = -1;
}

/* ---- What sockets tell ---- */

static void socket_was_changed(void *context, struct sctp_socket *socket, unsigned int what)
{
    struct stack_socket *end = socket_user(socket);

    if (end)
        end_set_dirty(context, end, what);
}

static void association_outcome(void *context, struct sctp_socket *socket, int32_t association,
                                int error)
{
    struct stack *stack = context;
    struct stack_socket *end = socket_user(socket);

    if (!end)
        return;
    page_publish(stack, end); /* before anybody is told */
    if (error == 0)
        end_unplug(stack, end);
    if (!connections_outcome(stack, end, association, error))
        end_unplug(stack, end); /* writable: connect() has an outcome */
}

static void socket_is_gone(void *context, struct sctp_socket *socket)
{
    struct stack *stack = context;
    struct stack_socket *end = socket_user(socket);

    if (!end)
        return;
    connections_gone(stack, end);
    end_free(stack, end);
}

static void association_changed(void *context, int32_t association, struct sctp_socket *socket,
                                uint32_t outbound_streams, uint32_t state)
{
    page_publish_association(context, association, socket ? socket_user(socket) : NULL,
                             outbound_streams, socket ? state : 0);
}

/* ---- One turn ---- */

/* What has changed at one socket goes to its programs, and what they sent comes from there. */
static void end_serve(struct stack *stack, struct stack_socket *end)
{
    unsigned int what = end->changed;
    struct socket_description now;

    end->changed = 0;
    if (what & SOCKET_STATE) {
        page_publish(stack, end);
        socket_describe(end->socket, &now);
        if (now.channel_state & CHANNEL_STATE_CONNECTED)
            end_unplug(stack, end);
    }
    if (end->socket && (what & SOCKET_WRITABLE || (what & SOCKET_STATE && upward_is_blocked(end))))
        upward_continue(stack, end);
    if (end->socket)
        downward_send(stack, end);
}

static bool serve_dirty(struct stack *stack)
{
    bool any = false;

    while (!list_is_empty(&stack->dirty)) {
        struct stack_socket *end = LIST_ENTRY(stack->dirty.next, struct stack_socket, dirty);

        list_remove(&end->dirty);
        end_serve(stack, end);
        socket_table_run(stack->sockets, stack->now);
        any = true;
    }
    return any;
}

/* Until nothing makes more work; else the rest is left to the next turn. */
static bool settle(struct stack *stack)
{
    for (int i = 0; i < SETTLE_ROUNDS; i++) {
        bool served, delivered;

        socket_table_run(stack->sockets, stack->now);
        served = serve_dirty(stack);
        delivered = wire_transmit(stack);
        if (!served && !delivered)
            return true;
    }
    return false;
}

static void free_dead(struct stack *stack)
{
    LIST_FOR_EACH_SAFE(link, &stack->dead)
    {
        free(LIST_ENTRY(link, struct stack_socket, link));
    }
    LIST_FOR_EACH_SAFE(link, &stack->dead_connections)
    {
        free(LIST_ENTRY(link, struct connection, link));
    }
    list_init(&stack->dead);
    list_init(&stack->dead_connections);
}

/* When nobody has needed it for a while. Returns when that will be. */
static braid_time check_idle(struct stack *stack)
{
    if (stack->config.idle == 0)
        return BRAID_TIME_NEVER;
    if (socket_table_count(stack->sockets) > 0 || stack->connection_count > 0) {
        stack->idle_since = BRAID_TIME_NEVER;
        return BRAID_TIME_NEVER;
    }
    if (stack->idle_since == BRAID_TIME_NEVER)
        stack->idle_since = stack->now;
    if (stack->now - stack->idle_since >= (braid_time)stack->config.idle * SECOND) {
        stack_log(stack, "nobody needs it any more");
        stack->stop = true;
    }
    return stack->idle_since + (braid_time)stack->config.idle * SECOND;
}

static braid_time earlier(braid_time a, braid_time b)
{
    return a < b ? a : b;
}

/* Milliseconds until there is something to do; -1: nothing is known. */
static int time_to_sleep(struct stack *stack, braid_time deadline)
{
    braid_time next = earlier(deadline, braid_engine_next_timeout(stack->engine));

    if (stack->rendezvous_paused)
        next = earlier(next, stack->rendezvous_pause_end);
    if (next == BRAID_TIME_NEVER)
        return -1;
    if (next <= stack->now)
        return 0;
    next = (next - stack->now + 999) / 1000;
    return next > INT32_MAX ? INT32_MAX : (int)next;
}

static void receive_more(struct stack *stack)
{
    if (!stack->wire.more)
        return;
    stack->wire.more = false;
    if (stack->wire.udp)
        wire_receive(stack, stack->wire.udp);
    if (stack->wire.raw)
        wire_receive(stack, stack->wire.raw);
}

/* The peers learn that it is over. */
void stack_abort_all(struct stack *stack)
{
    for (uint32_t i = 0; (i = braid_association_next(stack->engine, 0, i)) != 0;)
        braid_abort(stack->engine, i, NULL, 0, stack->now);
    wire_transmit(stack);
    wire_flush_capture(stack);
}

/* ---- Gathering ----
 *
 * Programs that send many small messages are given time for some more: a turn costs as much as ten
 * of them. Who waits for answers never sends so many in so short a time that he is kept waiting. */

static void gather(struct stack *stack)
{
    static const struct timespec pause = {.tv_nsec = GATHER_PAUSE};
    braid_time span = stack->now - stack->span_start;

    if (stack->gathering && stack->turn_messages > 0 && stack->turn_messages < GATHER_ENOUGH &&
        stack->turn_bytes < GATHER_ENOUGH_BYTES)
        nanosleep(&pause, NULL);
    stack->span_messages += stack->turn_messages;
    stack->turn_messages = stack->turn_bytes = 0;
    if (span < GATHER_SPAN)
        return;
    stack->gathering = (uint64_t)stack->span_messages * GATHER_SPAN >= GATHER_LEAST * span;
    stack->span_messages = 0;
    stack->span_start = stack->now;
}

int stack_turn(struct stack *stack, int sleep)
{
    struct epoll_event events[EVENTS];
    int count;

    if (sleep != 0 && !busy_sleep(stack))
        sleep = 0;
    count = epoll_wait(stack->epoll, events, EVENTS, sleep);
    if (count < 0 && errno != EINTR)
        return -errno;
    stack->now = stack_clock();
    if (stack->rendezvous_pause_end <= stack->now)
        rendezvous_resume(stack);
    for (int i = 0; i < count; i++) {
        struct watch *watch = events[i].data.ptr;

        if (watch->descriptor >= 0)
            watch->ready(stack, watch, events[i].events);
    }
    busy_serve(stack);
    receive_more(stack);
    wire_follow_host(stack);
    if (braid_engine_next_timeout(stack->engine) <= stack->now)
        braid_engine_timeout(stack->engine, stack->now);
    stack->settled = settle(stack);
    wire_flush_capture(stack);
    free_dead(stack);
    return 0;
}

int stack_run(struct stack *stack)
{
    stack->settled = true;
    while (!stack->stop) {
        braid_time deadline = earlier(check_idle(stack), connections_timeout(stack));
        int sleep = stack->settled && !stack->wire.more
                        ? time_to_sleep(stack, earlier(deadline, stack->wire.host_due))
                        : 0;
        int error;

        if (sleep != 0)
            gather(stack);
        error = stack->stop ? 0 : stack_turn(stack, sleep);
        if (error < 0)
            return error;
    }
    stack_abort_all(stack);
    return stack->error;
}

/* ---- Opening and closing ---- */

void stack_random(void *context, void *bytes, size_t length)
{
    uint8_t *position = bytes;

    (void)context;
    while (length > 0) {
        ssize_t got = getrandom(position, length, 0);

        if (got < 0 && errno != EINTR)
            abort(); /* it cannot fail on Linux, and nothing is safe without it */
        if (got > 0) {
            position += got;
            length -= (size_t)got;
        }
    }
}

static void signals_ready(struct stack *stack, struct watch *watch, uint32_t events)
{
    struct signalfd_siginfo signal;

    (void)events;
    if (read(watch->descriptor, &signal, sizeof(signal)) == sizeof(signal)) {
        stack_log(stack, "ended by signal %u", signal.ssi_signo);
        stack->stop = true;
    }
}

static int open_signals(struct stack *stack)
{
    sigset_t set;
    int descriptor;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    descriptor = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (descriptor < 0)
        return -errno;
    stack->signals.ready = signals_ready;
    return stack_watch(stack, &stack->signals, descriptor, EPOLLIN);
}

/* A number of /proc/sys; `otherwise` if it is not there. */
static uint32_t read_setting(const char *path, uint32_t otherwise)
{
    FILE *file = fopen(path, "re");
    unsigned int value = otherwise;

    if (!file)
        return otherwise;
    if (fscanf(file, "%u", &value) != 1)
        value = otherwise;
    fclose(file);
    return value;
}

static void read_port_range(struct socket_table_config *config)
{
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
    unsigned int lowest, highest;

    if (!file)
        return;
    if (fscanf(file, "%u %u", &lowest, &highest) == 2 && lowest > 0 && highest <= UINT16_MAX) {
        config->port_lowest = (uint16_t)lowest;
        config->port_highest = (uint16_t)highest;
    }
    fclose(file);
}

static int open_engine(struct stack *stack)
{
    const struct stack_config *given = &stack->config;
    struct braid_engine_config engine = {
        .random = stack_random,
        .route = wire_route,
        .context = stack,
        .encapsulation_port = stack->wire.udp ? stack->wire.udp->port : 0,
    };
    struct socket_table_config sockets = {
        .random = stack_random,
        .callbacks = {.changed = socket_was_changed,
                      .outcome = association_outcome,
                      .gone = socket_is_gone,
                      .association = association_changed},
        .context = stack,
        .asconf = given->asconf,
        .authentication = given->authentication,
        .interleaving = given->interleaving,
        .maximum_sockets = stack->sockets_maximum,
        .user_limits = given->user_limits,
        .privileged_below =
            (uint16_t)read_setting("/proc/sys/net/ipv4/ip_unprivileged_port_start", 1024),
        .receive_buffer_maximum = read_setting("/proc/sys/net/core/rmem_max", 0),
        .send_buffer_maximum = read_setting("/proc/sys/net/core/wmem_max", 0),
    };

    if (given->peer_udp_port != 0)
        sockets.encapsulation_port = given->peer_udp_port;
    else if (!given->raw && given->udp)
        sockets.encapsulation_port = LINK_UDP_PORT;
    read_port_range(&sockets);
    stack->engine = braid_engine_new(&engine, stack->now);
    if (!stack->engine)
        return -ENOMEM;
    sockets.engine = stack->engine;
    stack->sockets = socket_table_new(&sockets);
    if (!stack->sockets)
        return -ENOMEM;
    return wire_read_addresses(stack);
}

static int open_buffers(struct stack *stack)
{
    stack->request = malloc(CHANNEL_CONTROL_MAXIMUM);
    stack->reply = malloc(CHANNEL_CONTROL_MAXIMUM);
    stack->up_bytes = malloc((size_t)UPWARD_BATCH * UPWARD_STRIDE);
    if (!stack->request || !stack->reply || !stack->up_bytes)
        return -ENOMEM;
    for (size_t i = 0; i < UPWARD_BATCH; i++) {
        stack->up_parts[i][0] = (struct iovec){&stack->up_headers[i], sizeof(stack->up_headers[i])};
        stack->up_parts[i][1] =
            (struct iovec){stack->up_bytes + i * UPWARD_STRIDE, CHANNEL_PIECE_MAXIMUM};
        stack->up_messages[i].msg_hdr =
            (struct msghdr){.msg_iov = stack->up_parts[i],
                            .msg_iovlen = 2,
                            .msg_control = &stack->up_rights[i],
                            .msg_controllen = sizeof(stack->up_rights[i])};
    }
    return 0;
}

/* Each socket and each connection is a descriptor: as many as the host allows. Returns how many. */
static uint32_t raise_limits(void)
{
    struct rlimit limit, more;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return DESCRIPTORS_LEAST;
    more = limit;
    more.rlim_cur = more.rlim_max = DESCRIPTORS_WANTED;
    if (limit.rlim_max >= DESCRIPTORS_WANTED || setrlimit(RLIMIT_NOFILE, &more) < 0) {
        more.rlim_cur = more.rlim_max = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &more);
    }
    return (uint32_t)(more.rlim_cur < DESCRIPTORS_WANTED ? more.rlim_cur : DESCRIPTORS_WANTED);
}

/* What there is for all, and how much of it one user may have: half, where there are several. */
static void set_limits(struct stack *stack, uint32_t descriptors)
{
    struct quota_limits *user = &stack->config.user_limits;
    uint32_t share = stack->owner == 0 ? 2 : 1;
    struct sysinfo host = {0};

    stack->connections_maximum = descriptors / 4;
    if (stack->connections_maximum > CONNECTIONS_MAXIMUM)
        stack->connections_maximum = CONNECTIONS_MAXIMUM;
    stack->sockets_maximum = descriptors - stack->connections_maximum - DESCRIPTORS_LEAST / 2;
    if (stack->sockets_maximum > CHANNEL_SLOTS)
        stack->sockets_maximum = CHANNEL_SLOTS;
    user->connections = stack->connections_maximum / share;
    if (user->sockets == 0)
        user->sockets = stack->sockets_maximum / share;
    if (user->associations == 0)
        user->associations = CHANNEL_SLOTS / share;
    if (user->memory == 0 && sysinfo(&host) == 0)
        user->memory = (uint64_t)host.totalram * host.mem_unit / MEMORY_SHARE;
}

static int open_log(struct stack *stack, char *text, size_t size)
{
    if (!stack->config.log)
        return 0;
    stack->log = open(stack->config.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (stack->log >= 0)
        return 0;
    snprintf(text, size, "%s: %s", stack->config.log, strerror(errno));
    return -errno;
}

static struct stack *stack_new(const struct stack_config *config)
{
    struct stack *stack = calloc(1, sizeof(*stack));

    if (!stack)
        return NULL;
    stack->config = *config;
    snprintf(stack->name, sizeof(stack->name), "%s", config->name);
    stack->log = stack->epoll = stack->page_descriptor = -1;
    stack->signals.descriptor = stack->rendezvous.descriptor = -1;
    stack->wire.host_watch.descriptor = -1;
    stack->wire.routes = (struct routes){.descriptors = {-1, -1}};
    stack->idle_since = BRAID_TIME_NEVER;
    list_init(&stack->connections);
    list_init(&stack->waiting);
    list_init(&stack->lingering);
    list_init(&stack->dead_connections);
    list_init(&stack->ends);
    list_init(&stack->dead);
    list_init(&stack->dirty);
    list_init(&stack->busy);
    stack->now = stack->started = stack_clock();
    stack->owner = geteuid();
    return stack;
}

/* The rendezvous comes early, so that of two stacks of one name only one goes on; who connects
 * waits until all else is there. */
static int open_all(struct stack *stack, bool *running, char *text, size_t size)
{
    int error;

    set_limits(stack, raise_limits());
    (void)prctl(PR_SET_TIMERSLACK, 1); /* a pause is as long as it says */
    stack->epoll = epoll_create1(EPOLL_CLOEXEC);
    error = stack->epoll < 0 ? -errno : open_log(stack, text, size);
    if (error == 0)
        error = open_signals(stack);
    if (error == 0)
        error = connections_open(stack);
    if (error == -EADDRINUSE && text[0] == 0) {
        *running = true;
        snprintf(text, size, "a stack named '%s' is already running", stack->name);
    }
    if (error == 0)
        error = open_buffers(stack);
    if (error == 0)
        error = page_open(stack);
    if (error == 0)
        error = wire_open(stack, text, size);
    if (error == 0)
        error = open_engine(stack);
    if (error < 0 && text[0] == 0)
        snprintf(text, size, "%s", strerror(-error));
    return error;
}

struct stack *stack_open(const struct stack_config *config, int *error, bool *running, char *text,
                         size_t size)
{
    struct stack *stack = stack_new(config);

    *running = false;
    *error = -ENOMEM;
    text[0] = 0;
    if (!stack) {
        snprintf(text, size, "%s", strerror(ENOMEM));
        return NULL;
    }
    *error = open_all(stack, running, text, size);
    if (*error < 0) {
        stack_close(stack);
        return NULL;
    }
    return stack;
}

int stack_confine(struct stack *stack, char *text, size_t size)
{
    int error;

    text[0] = 0;
    error = sandbox_drop_rights(stack->config.user, text, size);
    if (error < 0)
        return error;
    OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL); /* reads a file */
    error = sandbox_filter_calls();
    if (error < 0 && error != -ENOSYS)
        stack_log(stack, "this host does not filter system calls: %s", strerror(-error));
    return 0;
}

void stack_close(struct stack *stack)
{
    if (!stack)
        return;
    stack_unwatch(stack, &stack->rendezvous);
    connections_close(stack);
    while (!list_is_empty(&stack->ends))
        end_free(stack, LIST_ENTRY(stack->ends.next, struct stack_socket, link));
    free_dead(stack);
    socket_table_free(stack->sockets);
    braid_engine_free(stack->engine);
    wire_close(stack);
    page_close(stack);
    stack_unwatch(stack, &stack->signals);
    if (stack->epoll >= 0)
        close(stack->epoll);
    if (stack->log >= 0)
        close(stack->log);
    free(stack->request);
    free(stack->reply);
    free(stack->up_bytes);
    free(stack);
}
