/*
 * A socket that sends many small messages is given a ring (src/channel/ring.h). Nothing of what a
 * program sees changes by that: order over threads, processes and sizes, what is sent before
 * close(), shutdown(), exit() and SIGKILL, full buffers, bad pointers (RFC 6458, 3.1.4, 4.1.8).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    LENGTH = 64,
    LARGE = 3000, /* too long for a ring */
    WARM = 20000, /* messages, after which there is one, if the machine can send so fast */
    TRIES = 50,   /* of that many, until there is */
    BUFFER = 1 << 20,
    SENDERS = 4,
    TURNS = 3000,
};

struct message {
    uint32_t sender, number;
};

static int client, server;

static void open_pair(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP), buffer = BUFFER;

    client = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    setsockopt(client, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
    assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, length), 0);
    server = accept(listener, NULL, NULL);
    assert_true(server >= 0);
    close(listener);
}

/* May be called in a child, too. */
static bool put(uint32_t sender, uint32_t number, size_t length, int flags)
{
    uint8_t bytes[LARGE] = {0};
    struct message message = {sender, number};

    memcpy(bytes, &message, sizeof(message));
    return send(client, bytes, length, flags) == (ssize_t)length;
}

/* The next message; false at the end. */
static bool take(struct message *message)
{
    uint8_t bytes[LARGE];
    ssize_t received = recv(server, bytes, sizeof(bytes), 0);

    if (received == 0)
        return false;
    assert_true(received == LENGTH || received == LARGE);
    memcpy(message, bytes, sizeof(*message));
    return true;
}

/* Reads to the end: of each sender all numbers from 0 on, in order. Returns how many came of the
 * first. */
static uint32_t take_all(void)
{
    uint32_t next[SENDERS + 1] = {0};
    struct message message;

    while (take(&message)) {
        assert_true(message.sender <= SENDERS);
        assert_int_equal(message.number, next[message.sender]++);
    }
    return next[0];
}

/* Does this process have a ring? */
static bool has_ring(void)
{
    FILE *file = fopen("/proc/self/maps", "re");
    char line[512];
    bool found = false;

    while (file && fgets(line, sizeof(line), file))
        found |= strstr(line, "braid-ring") != NULL;
    if (file)
        fclose(file);
    return found;
}

/* In a child: sends until there is a ring. */
static uint32_t warm_up(void)
{
    uint32_t number = 0;

    for (int i = 0; i < TRIES && (i == 0 || !has_ring()); i++)
        for (int k = 0; k < WARM; k++)
            if (!put(0, number++, LENGTH, 0))
                _exit(10);
    if (!has_ring())
        _exit(11);
    return number;
}

static void expect_exit(pid_t child)
{
    int status = -1;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* Runs `sends` in a child that has all of the client; reads what it sends. */
static uint32_t run(void (*sends)(uint32_t number))
{
    uint32_t count;
    pid_t child;

    open_pair();
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(server);
        sends(warm_up());
        _exit(0);
    }
    close(client);
    count = take_all();
    expect_exit(child);
    close(server);
    return count;
}

/* ---- What is sent at last arrives ---- */

static void send_and_exit(uint32_t number)
{
    for (uint32_t i = 0; i < 1000; i++)
        if (!put(0, number++, LENGTH, 0))
            _exit(12);
    if (!put(1, 0, LENGTH, 0))
        _exit(13);
}

static void test_exit(void **state)
{
    (void)state;
    assert_true(run(send_and_exit) >= WARM + 1000);
}

static void send_and_shut(uint32_t number)
{
    for (uint32_t i = 0; i < 1000; i++)
        if (!put(0, number++, LENGTH, 0))
            _exit(12);
    if (shutdown(client, SHUT_WR) < 0)
        _exit(14);
    if (put(0, number, LENGTH, MSG_NOSIGNAL))
        _exit(15);
    close(client);
    if (has_ring())
        _exit(16);
}

static void test_shutdown(void **state)
{
    (void)state;
    assert_true(run(send_and_shut) >= WARM + 1000);
}

/* ---- Order ---- */

static void send_both_sizes(uint32_t number)
{
    for (uint32_t i = 0; i < TURNS; i++)
        if (!put(0, number++, i % 7 == 0 || i % 64 == 1 ? LARGE : LENGTH, 0))
            _exit(12);
}

static void test_sizes(void **state)
{
    (void)state;
    assert_true(run(send_both_sizes) >= WARM + TURNS);
}

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static uint32_t turn_number;

/* Each call begins after another thread's has returned. */
static void *send_in_turns(void *argument)
{
    uint32_t name = *(uint32_t *)argument;

    for (uint32_t i = 0; i < TURNS; i++) {
        pthread_mutex_lock(&turn);
        if (!put(0, turn_number++, (i + name) % 5 == 0 ? LARGE : LENGTH, 0))
            _exit(12);
        pthread_mutex_unlock(&turn);
        if (!put(name, i, i % 3 == 0 ? LARGE : LENGTH, 0))
            _exit(13);
    }
    return NULL;
}

static void send_from_threads(uint32_t number)
{
    static uint32_t names[SENDERS];
    pthread_t threads[SENDERS];

    turn_number = number;
    for (uint32_t i = 0; i < SENDERS; i++) {
        names[i] = i + 1;
        if (pthread_create(&threads[i], NULL, send_in_turns, &names[i]) != 0)
            _exit(17);
    }
    for (int i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
}

static void test_threads(void **state)
{
    (void)state;
    assert_true(run(send_from_threads) >= WARM + SENDERS * TURNS);
}

/* A copy of the descriptor that is closed changes nothing for the others. */
static void *close_copies(void *argument)
{
    atomic_bool *done = argument;

    while (!atomic_load(done)) {
        int copies[2] = {dup(client), dup(client)};

        if (copies[0] < 0 || dup2(STDIN_FILENO, copies[0]) < 0 || close(copies[0]) < 0 ||
            close(copies[1]) < 0)
            _exit(17);
    }
    return NULL;
}

static void send_beside_copies(uint32_t number)
{
    atomic_bool done = false;
    pthread_t thread;

    if (pthread_create(&thread, NULL, close_copies, &done) != 0)
        _exit(17);
    for (uint32_t i = 0; i < 10 * TURNS; i++)
        if (!put(0, number++, i % 3 == 0 ? LARGE : LENGTH, 0))
            _exit(12);
    atomic_store(&done, true);
    pthread_join(thread, NULL);
}

static void test_copies(void **state)
{
    (void)state;
    assert_true(run(send_beside_copies) >= WARM + 10 * TURNS);
}

/* The number goes through a pipe from process to process. */
static void send_from_processes(uint32_t number)
{
    int ends[2];

    if (pipe(ends) < 0 || write(ends[1], &number, sizeof(number)) != sizeof(number))
        _exit(17);
    for (uint32_t k = 1; k <= SENDERS; k++) {
        if (fork() != 0)
            continue;
        for (uint32_t i = 0; i < TURNS / 4; i++) {
            if (read(ends[0], &number, sizeof(number)) != sizeof(number) ||
                !put(0, number++, (i + k) % 5 == 0 ? LARGE : LENGTH, 0) ||
                write(ends[1], &number, sizeof(number)) != sizeof(number))
                _exit(12);
            for (uint32_t j = 0; j < 4; j++)
                if (!put(k, i * 4 + j, j == 3 ? LARGE : LENGTH, 0))
                    _exit(13);
        }
        _exit(has_ring() ? 0 : 16); /* it was made by the parent, and asked for anew */
    }
    for (int i = 0, status; i < SENDERS; i++)
        if (wait(&status) < 0 || status != 0)
            _exit(18);
}

static void test_processes(void **state)
{
    (void)state;
    assert_true(run(send_from_processes) >= WARM + SENDERS * (TURNS / 4));
}

/* ---- What cannot be read is not sent ---- */

static void send_bad_pointers(uint32_t number)
{
    /* where nothing stood before, from which something was sent: what could be read once is
     * believed to be there still */
    void *unused = (void *)0x200000000000; // NOLINT(performance-no-int-to-ptr)
    long page = sysconf(_SC_PAGESIZE);
    char *memory =
        mmap(unused, (size_t)page * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *bad[] = {NULL, (char *)1, (char *)-1, memory + page, memory + page - 1};

    if (memory == MAP_FAILED || mprotect(memory + page, (size_t)page, PROT_NONE) < 0)
        _exit(17);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct iovec parts[2] = {{memory, 8}, {bad[i], 8}};

        for (int k = 0; k < 20; k++) /* whether the stack is asleep or not */
            if (!put(0, number++, LENGTH, 0) || send(client, bad[i], LENGTH, 0) >= 0 ||
                errno != EFAULT || writev(client, parts, 2) >= 0 || errno != EFAULT)
                _exit(12);
    }
    if (send(client, memory + page - LENGTH, 1, MSG_DONTWAIT) != 1)
        _exit(13);
}

static void test_bad_pointers(void **state)
{
    (void)state;
    open_pair();
    if (fork() == 0) {
        close(server);
        send_bad_pointers(warm_up());
        _exit(0);
    }
    close(client);
    for (uint32_t number = 0;; number++) {
        uint8_t bytes[LARGE];
        struct message message;
        ssize_t received = recv(server, bytes, sizeof(bytes), 0);
        int status = -1;

        if (received == 1) { /* the last */
            assert_true(wait(&status) > 0);
            assert_int_equal(status, 0);
            break;
        }
        assert_int_equal(received, LENGTH);
        memcpy(&message, bytes, sizeof(message));
        assert_int_equal(message.number, number);
    }
    close(server);
}

/* ---- A sender is killed anywhere ---- */

static void test_kill(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        pid_t child;
        int status;

        open_pair();
        child = fork();
        if (child == 0) {
            for (uint32_t number = warm_up();; number++)
                (void)put(0, number, LENGTH, 0);
        }
        close(client);
        for (uint32_t number = 0; number < WARM + 500 * (uint32_t)i; number++) {
            struct message message;

            assert_true(take(&message));
            assert_int_equal(message.number, number);
        }
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        /* the end may come as any, but what comes before it is whole and in order */
        close(server);
    }
}

/* ---- Nobody reads ---- */

static void test_full(void **state)
{
    uint32_t number = 0, read = 0;
    struct message message;

    (void)state;
    open_pair();
    for (int i = 0; i < TRIES && !has_ring(); i++) {
        for (int k = 0; k < 1000; k++)
            assert_true(put(0, number++, LENGTH, 0));
        for (int k = 0; k < 1000; k++) {
            assert_true(take(&message));
            assert_int_equal(message.number, read++);
        }
    }
    assert_true(has_ring());
    for (;;) {
        struct pollfd writable = {.fd = client, .events = POLLOUT};

        while (put(0, number, LENGTH, MSG_DONTWAIT))
            number++;
        assert_int_equal(errno, EAGAIN);
        if (poll(&writable, 1, 400) == 0)
            break;
    }
    {
        struct timeval patience = {.tv_usec = 50000};

        assert_int_equal(setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)),
                         0);
        while (put(0, number, LENGTH, 0)) /* the kernel may have room for one, and not say so */
            number++;
        assert_int_equal(errno, EAGAIN);
    }
    assert_true(number - read < 4 * BUFFER / LENGTH);
    /* all that was taken goes before the end */
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    while (take(&message))
        assert_int_equal(message.number, read++);
    assert_int_equal(read, number);
    close(client);
    close(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exit),   cmocka_unit_test(test_shutdown),
        cmocka_unit_test(test_sizes),  cmocka_unit_test(test_threads),
        cmocka_unit_test(test_copies), cmocka_unit_test(test_processes),
        cmocka_unit_test(test_kill),   cmocka_unit_test(test_bad_pointers),
        cmocka_unit_test(test_full),
    };

    alarm(120);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
