/*
 * One stack process, many users: who may do what, what the process itself may still do, and
 * programs that mean harm, which harm only themselves (docs/security.md).
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "program.h"
#include "stack/sandbox.h"
#include "stack/status.h"

enum {
    PORT = 5000,
    ALICE = 4711, /* users that need not exist */
    BOB = 4712,
    GROUP = 4713,
    KILLS = 200,
    HELD = 1, /* bytes that were read, but the stack has not looked since */
};

static const char *const plain[] = {"--no-udp", NULL};

/* ---- Other users ---- */

/* Runs it as another user; what it returns is 0 if all is well. */
static void as_user(uid_t uid, int (*run)(void *context), void *context)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        if (setgroups(0, NULL) < 0 || setgid((gid_t)uid) < 0 || setuid(uid) < 0)
            _exit(99);
        _exit(run(context));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void only_as_root(void)
{
    if (geteuid() != 0)
        skip();
}

/* What the stack tells this process: the records' bytes, to be freed. */
static uint8_t *read_status(const struct stack_process *stack, size_t *length)
{
    struct call call = {.operation = CHANNEL_STATUS, .descriptor = -1};
    uint8_t *bytes;

    if (program_call(stack, &call) < 0)
        return NULL;
    *length = (size_t)lseek(call.answer_descriptor, 0, SEEK_END);
    bytes = malloc(*length);
    if (pread(call.answer_descriptor, bytes, *length, 0) != (ssize_t)*length)
        abort();
    close(call.answer_descriptor);
    return bytes;
}

static const struct status_record *find_record(const uint8_t *bytes, size_t length,
                                               enum status_type type, unsigned int nth)
{
    for (size_t at = 0; at < length;) {
        const struct status_record *record = (const void *)(bytes + at);

        if (record->type == type && nth-- == 0)
            return record;
        at += record->length;
    }
    return NULL;
}

static unsigned int count_records(const struct stack_process *stack, enum status_type type)
{
    size_t length;
    uint8_t *bytes = read_status(stack, &length);
    unsigned int count = 0;

    if (!bytes)
        return 0;
    while (find_record(bytes, length, type, count))
        count++;
    free(bytes);
    return count;
}

struct two {
    struct stack_process *stack;
    int descriptor; /* of a socket of root's */
    int pair[2];
};

#define CHECK(condition)                                                                           \
    do                                                                                             \
        if (!(condition))                                                                          \
            return __LINE__ % 90 + 1;                                                              \
    while (0)

/* Sees his own and nothing of others'; a descriptor is what gives a right to a socket. */
static int stranger(void *context)
{
    struct two *two = context;
    struct sockaddr_un name;
    socklen_t length = sizeof(name);
    int own, fake;

    CHECK(count_records(two->stack, STATUS_SOCKET) == 0);
    own = program_socket(two->stack, AF_INET, SOCK_STREAM);
    CHECK(own >= 0);
    CHECK(count_records(two->stack, STATUS_SOCKET) == 1);
    CHECK(count_records(two->stack, STATUS_USER) == 1);
    CHECK(program_bind(two->stack, own, 80) == -EACCES);
    CHECK(program_bind(two->stack, own, PORT) == -EADDRINUSE);
    CHECK(program_bind(two->stack, own, PORT + 1) == 0);
    CHECK(program_call(two->stack, &(struct call){.operation = CHANNEL_STOP, .descriptor = -1}) ==
          -EPERM);
    /* the name of another's socket is no proof of anything, and is taken */
    CHECK(getsockname(two->descriptor, (struct sockaddr *)&name, &length) == 0);
    fake = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    CHECK(bind(fake, (struct sockaddr *)&name, length) < 0 && errno == EADDRINUSE);
    CHECK(program_listen(two->stack, fake, 1) == -ENOTSOCK);
    /* but what is given is given: as with any descriptor */
    CHECK(program_listen(two->stack, two->descriptor, 1) == 0);
    return 0;
}

static void test_users_are_apart(void **state)
{
    struct stack_process stack;
    struct two two = {.stack = &stack};

    (void)state;
    only_as_root();
    stack_start(&stack, plain); /* root's: everybody's */
    two.descriptor = program_socket(&stack, AF_INET, SOCK_STREAM);
    assert_int_equal(program_bind(&stack, two.descriptor, PORT), 0);
    as_user(ALICE, stranger, &two);
    assert_int_equal(count_records(&stack, STATUS_SOCKET), 1);
    close(two.descriptor);
    stack_stop(&stack);
}

/* A stack of an ordinary user serves that user. Nobody else trusts it, not even root. */
static int ask_as_stranger(void *context)
{
    const struct stack_process *stack = context;
    uid_t owner;
    int connection = channel_connect(stack->name);

    CHECK(connection == -EACCES);
    connection = channel_connect_to_any(stack->name, &owner);
    CHECK(connection >= 0 && owner == ALICE);
    program_ask(connection, &(struct call){.operation = CHANNEL_STATUS, .descriptor = -1});
    CHECK(program_hear(connection, &(struct call){0}) == -EACCES);
    return 0;
}

static int serve_own_user(void *context)
{
    struct stack_process *stack = context;
    int descriptor;

    stack_start(stack, plain);
    descriptor = program_socket(stack, AF_INET, SOCK_STREAM);
    CHECK(descriptor >= 0);
    close(descriptor);
    return 0;
}

static void test_ordinary_users_stack(void **state)
{
    /* the child starts the stack, and we know it by its name */
    struct stack_process *stack =
        mmap(NULL, sizeof(*stack), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct call stop = {.operation = CHANNEL_STOP, .descriptor = -1};
    uid_t owner;
    int connection;

    (void)state;
    only_as_root();
    as_user(ALICE, serve_own_user, stack);
    as_user(BOB, ask_as_stranger, stack);
    assert_int_equal(program_socket(stack, AF_INET, SOCK_STREAM), -EACCES); /* root's program */
    connection = channel_connect_to_any(stack->name, &owner);
    assert_int_equal(program_ask(connection, &stop), 0); /* but root may end it */
    assert_int_equal(program_hear(connection, &stop), 0);
    close(connection);
    munmap(stack, sizeof(*stack));
}

static int ask_socket(void *context)
{
    int descriptor = program_socket(context, AF_INET, SOCK_STREAM);

    CHECK(descriptor >= 0 || descriptor == -EACCES);
    return descriptor >= 0 ? 0 : 77;
}

static int ask_in_group(void *context)
{
    static const gid_t groups[] = {4800, GROUP, 4801};
    int status;
    pid_t child = fork();

    if (child == 0) {
        if (setgroups(3, groups) < 0 || setuid(ALICE) < 0)
            _exit(99);
        _exit(ask_socket(context));
    }
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

static int ask_refused(void *context)
{
    return ask_socket(context) == 77 ? 0 : 1;
}

/* --allow-group: a group that /etc/group must have, so one that every Debian has. */
static void test_allowed_group(void **state)
{
    static const char *const options[] = {"--no-udp", "--allow-group", "games", NULL};
    struct stack_process stack;
    const struct group *games = getgrnam("games");

    (void)state;
    only_as_root();
    if (!games) {
        skip();
        return;
    }
    stack_start(&stack, options);
    as_user(BOB, ask_refused, &stack);
    as_user(games->gr_gid, ask_socket, &stack);
    assert_int_equal(ask_in_group(&stack), 77);
    stack_stop(&stack);
}

/* Who takes the name first gets no program to talk to him. */
static int squat(void *context)
{
    struct two *two = context;
    struct sockaddr_un address;
    socklen_t length;
    int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    char byte;

    CHECK(channel_rendezvous(two->stack->name, &address, &length) == 0);
    CHECK(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 8) == 0);
    CHECK(write(two->pair[1], "x", 1) == 1);
    CHECK(read(two->pair[1], &byte, 1) == 1);
    return 0;
}

static void test_name_is_taken(void **state)
{
    struct stack_process stack;
    struct two two = {.stack = &stack};
    char byte, text[512] = "";
    FILE *output;
    pid_t child;

    (void)state;
    only_as_root();
    snprintf(stack.name, sizeof(stack.name), "taken-%d", (int)getpid());
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, two.pair), 0);
    child = fork();
    if (child == 0) {
        as_user(BOB, squat, &two);
        _exit(0);
    }
    assert_int_equal(read(two.pair[0], &byte, 1), 1);
    assert_int_equal(program_socket(&stack, AF_INET, SOCK_STREAM), -EACCES);
    snprintf(text, sizeof(text), "%s run --name %s true 2>&1", braid_path, stack.name);
    output = popen(text, "r");
    assert_non_null(fgets(text, sizeof(text), output));
    assert_non_null(strstr(text, "another user's"));
    assert_int_equal(WEXITSTATUS(pclose(output)), 125);
    assert_int_equal(write(two.pair[0], "x", 1), 1);
    waitpid(child, NULL, 0);
    close(two.pair[0]);
    close(two.pair[1]);
}

/* The page that all users map: none of them changes it, in any of the ways that Linux has. */
static int write_to_page(void *context)
{
    struct stack_process *stack = context;
    struct call hello = {.operation = CHANNEL_HELLO, .descriptor = -1};
    char path[64];
    void *page;
    int again;

    CHECK(program_call(stack, &hello) == 0);
    CHECK(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, hello.answer_descriptor, 0) == MAP_FAILED);
    page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, hello.answer_descriptor, 0);
    CHECK(page != MAP_FAILED && mprotect(page, 4096, PROT_READ | PROT_WRITE) < 0);
    CHECK(madvise(page, 4096, MADV_REMOVE) < 0);
    CHECK(pwrite(hello.answer_descriptor, "x", 1, 0) < 0);
    CHECK(ftruncate(hello.answer_descriptor, 1) < 0);
    CHECK(ftruncate(hello.answer_descriptor, 1 << 28) < 0);
    CHECK(fallocate(hello.answer_descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) <
          0);
    CHECK(fallocate(hello.answer_descriptor, 0, 1 << 27, 4096) < 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", hello.answer_descriptor);
    again = open(path, O_RDWR);
    CHECK(again < 0 || pwrite(again, "x", 1, 0) < 0);
    return 0;
}

static void test_page_stays(void **state)
{
    struct stack_process stack;

    (void)state;
    stack_start(&stack, plain);
    assert_int_equal(write_to_page(&stack), 0);
    if (geteuid() == 0)
        as_user(BOB, write_to_page, &stack);
    stack_stop(&stack);
}

/* ---- What the stack itself may do ---- */

/* A line of /proc/PID/status: what follows "NAME:" and blanks. */
static void read_process(int pid, const char *name, char *value, size_t size)
{
    char path[64], line[256];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    file = fopen(path, "r");
    assert_non_null(file);
    value[0] = '\0';
    while (fgets(line, sizeof(line), file))
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
            snprintf(value, size, "%s",
                     line + strlen(name) + 1 + strspn(line + strlen(name) + 1, " \t"));
    value[strcspn(value, "\n")] = '\0';
    fclose(file);
}

static void expect_process(int pid, const char *name, const char *expected)
{
    char value[128];

    read_process(pid, name, value, sizeof(value));
    assert_string_equal(value, expected);
}

static void test_rights_are_dropped(void **state)
{
    static const char *const options[] = {"--no-udp", "--user", "nobody", NULL};
    static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapAmb"};
    struct stack_process stack;
    int descriptor;

    (void)state;
    stack_start(&stack, geteuid() == 0 ? options : plain);
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
        expect_process(stack.page->stack_pid, sets[i], "0000000000000000");
    expect_process(stack.page->stack_pid, "NoNewPrivs", "1");
#if STACK_FILTER
    expect_process(stack.page->stack_pid, "Seccomp", "2");
#endif
    if (geteuid() == 0) {
        expect_process(stack.page->stack_pid, "CapBnd", "0000000000000000");
        expect_process(stack.page->stack_pid, "Uid", "65534\t65534\t65534\t65534");
        expect_process(stack.page->stack_pid, "Gid", "65534\t65534\t65534\t65534");
        expect_process(stack.page->stack_pid, "Groups", "");
    }
    /* it is root's all the same, which its listening socket proves */
    descriptor = program_socket(&stack, AF_INET, SOCK_STREAM);
    assert_true(descriptor >= 0);
    close(descriptor);
    stack_stop(&stack);
}

#if STACK_FILTER

/* What becomes of a process that was taken over: 0 if the call failed with EPERM, else the signal.
 */
static int try_behind_filter(long call, long a, long b, long c)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || sandbox_filter_calls() < 0)
            _exit(2);
        _exit(syscall(call, a, b, c, 0, 0, 0) < 0 && errno == EPERM ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        return WTERMSIG(status);
    assert_int_equal(WEXITSTATUS(status), 0);
    return 0;
}

static void test_filter(void **state)
{
    static const char *const arguments[] = {"/bin/true", NULL};

    (void)state;
    assert_int_equal(try_behind_filter(SYS_openat, AT_FDCWD, (long)"/etc/passwd", O_RDONLY), 0);
    assert_int_equal(try_behind_filter(SYS_socket, AF_INET, SOCK_STREAM, 0), 0);
    assert_int_equal(try_behind_filter(SYS_socket, AF_UNIX, SOCK_STREAM, 0), 0);
    assert_int_equal(try_behind_filter(SYS_kill, getpid(), SIGTERM, 0), 0);
    assert_int_equal(try_behind_filter(SYS_unlinkat, AT_FDCWD, (long)"/nowhere", 0), 0);
    assert_int_equal(try_behind_filter(SYS_setuid, 0, 0, 0), 0);
    assert_int_equal(try_behind_filter(SYS_prctl, PR_SET_DUMPABLE, 1, 0), 0);
    assert_int_equal(try_behind_filter(SYS_execve, (long)"/bin/true", (long)arguments, 0), SIGSYS);
    assert_int_equal(try_behind_filter(SYS_ptrace, 0, 1, 0), SIGSYS);
#ifdef SYS_fork
    assert_int_equal(try_behind_filter(SYS_fork, 0, 0, 0), SIGSYS);
#endif
}

#endif

/* sd_notify(3): a datagram, once programs are served. */
static void test_service_is_told(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stack_process stack;
    int listener = socket(AF_UNIX, SOCK_DGRAM, 0);
    char text[64] = "", path[64];
    int length = snprintf(path, sizeof(path), "@braid-test-notify-%d", (int)getpid());

    (void)state;
    memcpy(address.sun_path + 1, path + 1, (size_t)length - 1);
    assert_int_equal(bind(listener, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length)),
                     0);
    setenv("NOTIFY_SOCKET", path, 1);
    stack_start(&stack, plain);
    unsetenv("NOTIFY_SOCKET");
    assert_true(program_wait(listener, POLLIN));
    assert_int_equal(recv(listener, text, sizeof(text) - 1, 0), 8);
    assert_string_equal(text, "READY=1\n");
    stack_stop(&stack);
    close(listener);
}

/* ---- Quotas ---- */

static int open_three(void *context)
{
    int descriptors[3];

    for (int i = 0; i < 3; i++)
        descriptors[i] = program_socket(context, AF_INET, SOCK_SEQPACKET);
    CHECK(descriptors[0] >= 0 && descriptors[1] >= 0 && descriptors[2] == -EMFILE);
    close(descriptors[1]);
    CHECK(program_take_error(context, descriptors[0]) == 0);
    CHECK(program_socket(context, AF_INET, SOCK_SEQPACKET) >= 0);
    return 0;
}

static void test_socket_quota(void **state)
{
    static const char *const options[] = {"--no-udp", "--user-sockets", "2", NULL};
    struct stack_process stack;

    (void)state;
    only_as_root();
    stack_start(&stack, options);
    as_user(ALICE, open_three, &stack);
    as_user(BOB, open_three, &stack);
    stack_stop(&stack);
}

/* An association from `client` to `server`. */
struct association {
    int listener, client, server;
};

static void associate(const struct stack_process *stack, struct association *association)
{
    association->listener = program_socket(stack, AF_INET, SOCK_STREAM);
    assert_int_equal(program_bind(stack, association->listener, PORT), 0);
    assert_int_equal(program_listen(stack, association->listener, 8), 0);
    association->client = program_socket(stack, AF_INET, SOCK_STREAM);
    assert_int_equal(program_connect(stack, association->client, PORT, true), 0);
    association->server = program_accept(association->listener);
    assert_true(association->server >= 0);
}

static void dissociate(struct association *association)
{
    close(association->client);
    close(association->server);
    close(association->listener);
}

static uint64_t memory_of(const struct stack_process *stack, uid_t uid)
{
    const struct status_user *user;
    uint64_t memory = UINT64_MAX;
    size_t length;
    uint8_t *bytes = read_status(stack, &length);

    for (unsigned int i = 0;
         (user = (const void *)find_record(bytes, length, STATUS_USER, i)) != NULL; i++)
        if (user->uid == uid)
            memory = user->memory;
    free(bytes);
    return memory;
}

/* Many senders amid long messages: each piece counts, and at the limit nothing more is read. */
static void test_memory_quota(void **state)
{
    static const char *const options[] = {"--no-udp", "--user-memory", "1M", NULL};
    static uint8_t bytes[30000];
    struct stack_process stack;
    struct association association;
    struct channel_header header = {.type = CHANNEL_SEND, .flags = CHANNEL_MORE};
    struct pollfd writable;
    uint64_t memory;
    int error = 0;

    (void)state;
    stack_start(&stack, options);
    associate(&stack, &association);
    fcntl(association.client, F_SETFL, O_NONBLOCK);
    writable = (struct pollfd){.fd = association.client, .events = POLLOUT};
    header.generation = program_slot(&stack, association.client)->generation;
    for (unsigned int i = 0; error == 0 || poll(&writable, 1, 300) == 1; i++) {
        assert_true(i < 1000);
        header.sender = i;
        error = channel_send(association.client, &header, sizeof(header), bytes, sizeof(bytes), -1);
    }
    memory = memory_of(&stack, geteuid());
    assert_in_range(memory, 1 << 20, (1 << 20) + 32 * sizeof(bytes));
    /* who waits for himself is let go */
    close(association.client);
    for (int i = 0; i < 1000 && memory_of(&stack, geteuid()) != 0; i++)
        usleep(1000);
    assert_int_equal(memory_of(&stack, geteuid()), 0);
    assert_int_equal(program_take_error(&stack, association.server), -ECONNRESET);
    dissociate(&association);
    stack_stop(&stack);
}

/* ---- Programs that mean harm ---- */

/* Connections that say nothing count against their user, who is told when there are too many. */
static int connect_much(void *context)
{
    const struct stack_process *stack = context;
    enum { MANY = 9000 };
    int *connections = malloc(MANY * sizeof(*connections));
    int count = 0, refused = 0;
    struct call call = {0};

    while (count < MANY && !refused) {
        connections[count] = channel_connect(stack->name);
        CHECK(connections[count] >= 0);
        refused = poll(&(struct pollfd){.fd = connections[count++], .events = POLLIN}, 1, 0);
    }
    for (int i = 0; i < count && refused; i++)
        if (program_is(connections[i], POLLIN))
            CHECK(program_hear(connections[i], &call) == -EMFILE);
    CHECK(refused || count == MANY);
    while (count > 0)
        close(connections[--count]);
    free(connections);
    return 0;
}

static void test_silent_connections(void **state)
{
    struct rlimit limit;
    struct stack_process stack;
    struct two two = {.stack = &stack};
    char byte;
    ssize_t got;
    pid_t child;
    int descriptor;

    (void)state;
    only_as_root();
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < 10000)
        skip();
    stack_start(&stack, plain);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, two.pair), 0);
    child = fork();
    if (child == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        as_user(ALICE, connect_much, &stack);
        _exit((int)write(two.pair[1], "x", 1) - 1);
    }
    /* meanwhile others are served */
    close(two.pair[1]);
    while ((got = recv(two.pair[0], &byte, 1, MSG_DONTWAIT)) < 0) {
        struct timespec start, end;

        clock_gettime(CLOCK_MONOTONIC, &start);
        descriptor = program_socket(&stack, AF_INET, SOCK_STREAM);
        clock_gettime(CLOCK_MONOTONIC, &end);
        assert_true(descriptor >= 0);
        assert_true(end.tv_sec - start.tv_sec < 5);
        close(descriptor);
    }
    assert_int_equal(got, 1); /* else a check of the child's failed */
    waitpid(child, NULL, 0);
    close(two.pair[0]);
    stack_stop(&stack);
}

/* One request after the other: who reads no replies is not asked for more. */
static void test_replies_unread(void **state)
{
    struct stack_process stack;
    struct call call = {.operation = CHANNEL_STATUS, .descriptor = -1};
    struct channel_reply reply;
    int connection, count = 0;

    (void)state;
    stack_start(&stack, plain);
    connection = channel_connect(stack.name);
    while (count < 10000 && program_ask(connection, &call) == 0)
        count++;
    assert_true(count < 10000);
    for (count = 0; recv(connection, &reply, sizeof(reply), 0) == sizeof(reply);)
        count++;
    assert_in_range(count, 1, 2);
    close(connection);
    stack_stop(&stack);
}

/* Messages that wait for room and that nobody waits for are limited, too. */
static void test_sends_without_end(void **state)
{
    static uint8_t payload[sizeof(struct channel_header) + 60000];
    struct channel_header header = {
        .type = CHANNEL_SEND, .flags = CHANNEL_HAS_INFO, .info.flags = SCTP_EOF};
    struct stack_process stack;
    int server, client, result = 0, count = 0;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    struct call call = {.operation = CHANNEL_SEND_NOW, .payload = payload};

    (void)state;
    stack_start(&stack, plain);
    server = program_socket(&stack, AF_INET, SOCK_SEQPACKET);
    assert_int_equal(program_bind(&stack, server, PORT), 0);
    assert_int_equal(program_listen(&stack, server, 8), 0);
    client = program_socket(&stack, AF_INET, SOCK_SEQPACKET);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(&header.address, &to, sizeof(to));
    /* fill it: nobody reads, and what there is no room for waits */
    header.flags = CHANNEL_HAS_ADDRESS;
    header.generation = program_slot(&stack, client)->generation;
    fcntl(client, F_SETFL, O_NONBLOCK);
    while (channel_send(client, &header, sizeof(header), payload, 60000, -1) == 0 ||
           poll(&(struct pollfd){.fd = client, .events = POLLOUT}, 1, 300) == 1)
        ;
    /* and ask what is not refused, but waits */
    header.flags |= CHANNEL_HAS_INFO;
    header.info.flags = SCTP_EOF;
    memcpy(payload, &header, sizeof(header));
    call.length = sizeof(header);
    call.descriptor = client;
    while (count < 3000 && (result = program_call(&stack, &call)) >= 0)
        count++;
    assert_int_equal(result, -ENOBUFS);
    close(client);
    close(server);
    stack_stop(&stack);
}

/* A TCP connection that close() would wait for: what it sent is not read, and SO_LINGER is on. */
static int make_lingering(void)
{
    static const struct linger linger = {.l_onoff = 1, .l_linger = 3600};
    static const uint8_t bytes[65536];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_true(accept(listener, NULL, NULL) >= 0); /* stays open, as the listener does */
    assert_int_equal(setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    while (send(client, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
    return client;
}

/* Sends it in a message, or in one with many others, and keeps none. */
static void give_away(int connection, const void *bytes, size_t length, int count)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(CHANNEL_RIGHTS_MAXIMUM * sizeof(int))];
    } rights = {0};
    struct iovec part = {(void *)bytes, length};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &rights,
                             .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int))};
    int lingering = make_lingering(), null = open("/dev/null", O_RDWR);

    rights.header.cmsg_level = SOL_SOCKET;
    rights.header.cmsg_type = SCM_RIGHTS;
    rights.header.cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    for (int i = 0; i < count; i++)
        memcpy(CMSG_DATA(&rights.header) + (size_t)i * sizeof(int),
               i == count - 1 ? &lingering : &null, sizeof(int));
    if (sendmsg(connection, &message, MSG_NOSIGNAL) < 0) /* refused: SO_PASSRIGHTS */
        setsockopt(lingering, SOL_SOCKET, SO_LINGER, &(struct linger){0}, sizeof(struct linger));
    close(null);
    /* ours are not to wait either: then the stack's is the last */
    close(fcntl(lingering, F_DUPFD, 0));
    dup2(open("/dev/null", O_RDONLY), lingering);
}

static unsigned int count_descriptors(int pid)
{
    unsigned int count = 0;
    char path[64], target[64];

    for (int i = 0; i < 4096; i++) {
        snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, i);
        count += readlink(path, target, sizeof(target)) >= 0;
    }
    return count;
}

/* As few as before, within a second: what a program has closed is still to be seen to. */
static void expect_descriptors(int pid, unsigned int before)
{
    for (int i = 0; i < 1000 && count_descriptors(pid) > before; i++)
        usleep(1000);
    assert_in_range(count_descriptors(pid), 1, before);
}

/* The stack waits for none of them, and keeps none. */
static void test_descriptors_that_linger(void **state)
{
    static const int counts[] = {1, 2, 3, CHANNEL_RIGHTS_MAXIMUM};
    struct channel_request request = {.version = CHANNEL_VERSION, .operation = CHANNEL_LISTEN};
    struct channel_header header = {.type = CHANNEL_SEND};
    struct stack_process stack;
    struct association association;
    unsigned int before;
    struct timespec start, end;

    (void)state;
    stack_start(&stack, plain);
    associate(&stack, &association);
    before = count_descriptors(stack.page->stack_pid);
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        int connection = channel_connect(stack.name);
        int unconnected = program_socket(&stack, AF_INET, SOCK_STREAM);

        give_away(connection, &request, sizeof(request), counts[i]);     /* that of a socket */
        give_away(connection, &request, sizeof(request) - 1, counts[i]); /* too short, and unread */
        give_away(association.client, &header, sizeof(header), counts[i]);
        give_away(association.client, &header, 0, counts[i]);
        give_away(unconnected, &header, sizeof(header), counts[i]); /* stands behind the plug */
        close(unconnected);
        close(connection);
        connection = program_socket(&stack, AF_INET, SOCK_STREAM);
        assert_true(connection >= 0);
        close(connection);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true(end.tv_sec - start.tv_sec < 60);
    assert_int_equal(program_take_error(&stack, association.client), 0);
    expect_descriptors(stack.page->stack_pid, before);
    dissociate(&association);
    stack_stop(&stack);
}

/* A program that is as busy as it can be, until it is killed. */
static void be_busy(const struct stack_process *stack)
{
    static uint8_t bytes[200000];
    const struct linger linger = {.l_onoff = 1, .l_linger = 1};

    for (unsigned int i = 0;; i++) {
        int client = program_socket(stack, AF_INET, i % 3 ? SOCK_STREAM : SOCK_SEQPACKET);
        int listener = program_socket(stack, AF_INET, SOCK_STREAM);
        uint16_t port = (uint16_t)(10000 + i % 1000);
        int accepted;

        program_bind(stack, listener, port);
        program_listen(stack, listener, 4);
        program_connect(stack, client, port, i & 1);
        accepted = program_accept(listener);
        program_set_option(stack, client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
        for (size_t length = 1; length < sizeof(bytes); length *= 5)
            program_send(stack, client, bytes, length, MSG_DONTWAIT);
        program_send(stack, accepted, bytes, sizeof(bytes), MSG_DONTWAIT);
        program_connect(stack, listener, port, true); /* to nobody */
        close(accepted);
        close(client);
        close(listener);
    }
}

static long resident_kilobytes(int pid)
{
    char value[64];

    read_process(pid, "VmRSS", value, sizeof(value));
    return strtol(value, NULL, 10);
}

/* SIGKILL at any instant: what was of that program is gone, and others' sockets are not touched. */
static void test_killed_at_random(void **state)
{
    struct stack_process stack;
    struct association association;
    unsigned int descriptors, seed = (unsigned int)getpid();
    long memory = 0;
    int on = 1;
    uint8_t byte;
    struct channel_header header;

    (void)state;
    print_message("seed %u\n", seed);
    stack_start(&stack, plain);
    associate(&stack, &association);
    assert_int_equal(
        program_set_option(&stack, association.client, IPPROTO_SCTP, SCTP_NODELAY, &on, sizeof(on)),
        0);
    descriptors = count_descriptors(stack.page->stack_pid);
    for (int i = 0; i < KILLS; i++) {
        pid_t child = fork();

        if (child == 0) {
            freopen("/dev/null", "w", stderr);
            be_busy(&stack);
        }
        usleep((useconds_t)(rand_r(&seed) % 20000));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        assert_int_equal(program_send(&stack, association.client, "x", 1, 0), 0);
        assert_int_equal(program_receive(association.server, &header, &byte, 1, 0), 1);
        if (i == KILLS / 2)
            memory = resident_kilobytes(stack.page->stack_pid);
    }
    for (int i = 0; i < 2000 && (count_records(&stack, STATUS_SOCKET) > 3 ||
                                 memory_of(&stack, geteuid()) > HELD);
         i++)
        usleep(10000);
    assert_int_equal(count_records(&stack, STATUS_SOCKET), 3);
    assert_int_equal(count_records(&stack, STATUS_ASSOCIATION), 2);
    assert_in_range(memory_of(&stack, geteuid()), 0, HELD);
    expect_descriptors(stack.page->stack_pid, descriptors);
    assert_true(resident_kilobytes(stack.page->stack_pid) < memory + memory / 4 + 1024);
    dissociate(&association);
    stack_stop(&stack);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_users_are_apart),
        cmocka_unit_test(test_ordinary_users_stack),
        cmocka_unit_test(test_allowed_group),
        cmocka_unit_test(test_name_is_taken),
        cmocka_unit_test(test_page_stays),
        cmocka_unit_test(test_rights_are_dropped),
#if STACK_FILTER
        cmocka_unit_test(test_filter),
#endif
        cmocka_unit_test(test_service_is_told),
        cmocka_unit_test(test_socket_quota),
        cmocka_unit_test(test_memory_quota),
        cmocka_unit_test(test_silent_connections),
        cmocka_unit_test(test_replies_unread),
        cmocka_unit_test(test_sends_without_end),
        cmocka_unit_test(test_descriptors_that_linger),
        cmocka_unit_test(test_killed_at_random),
    };

    if (argc < 2)
        return 2;
    braid_path = argv[1];
    if (argc > 2)
        cmocka_set_test_filter(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
