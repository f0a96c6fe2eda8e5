/*
 * What comes to an end amid something: threads that are cancelled, processes that are killed,
 * descriptors that are used up, calls that a signal handler interrupts with one of its own, forks
 * while other threads send. POSIX and Linux say what becomes of them (RFC 6458, 3 and 4, take it
 * for granted). It knows nothing of Braid, and is run under `braid run`.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "pair.h"

enum {
    LENGTH = 64,
    MANY = 10000,      /* messages */
    DESCRIPTORS = 200, /* that there may be */
};

extern char **environ;

/* ---- Threads that are cancelled ---- */

static void *wait_in_recv(void *argument)
{
    const struct pair *pair = argument;
    char byte;

    recv(pair->server, &byte, sizeof(byte), 0);
    return NULL;
}

static void *wait_in_read(void *argument)
{
    static char bytes[100000];
    const struct pair *pair = argument;

    return read(pair->server, bytes, sizeof(bytes)) < 0 ? NULL : bytes;
}

static void *wait_in_accept(void *argument)
{
    const struct pair *pair = argument;

    accept(pair->listener, NULL, NULL);
    return NULL;
}

static void *wait_in_send(void *argument)
{
    const struct pair *pair = argument;
    static char bytes[1000];

    while (send(pair->client, bytes, sizeof(bytes), 0) > 0)
        ;
    return NULL;
}

static void threads_that_are_cancelled(void **state)
{
    void *(*waits[])(void *) = {wait_in_recv, wait_in_read, wait_in_accept, wait_in_send};
    struct pair pair;

    (void)state;
    open_pair(&pair);
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        pthread_t thread;
        void *result;

        assert_int_equal(pthread_create(&thread, NULL, waits[i], &pair), 0);
        usleep(50000);
        assert_int_equal(pthread_cancel(thread), 0);
        assert_int_equal(pthread_join(thread, &result), 0);
        assert_ptr_equal(result, PTHREAD_CANCELED);
    }
    close_pair(&pair);
}

/* ---- Processes that are killed ---- */

static pid_t child_that_waits(const struct pair *pair)
{
    pid_t child = fork();

    if (child == 0) {
        close(pair->server);
        for (;;)
            pause();
    }
    return child;
}

static void kill_child(pid_t child)
{
    int status;

    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

/* As if it had called close(): an ABORT if something was not read, else a graceful end. */
static void processes_that_are_killed(void **state)
{
    (void)state;
    for (int unread = 0; unread < 2; unread++) {
        struct pair pair;
        char byte;
        pid_t child;

        open_pair(&pair);
        assert_int_equal(send(pair.client, "last", 4, 0), 4);
        if (unread) {
            struct pollfd readable = {.fd = pair.client, .events = POLLIN};

            assert_int_equal(send(pair.server, "unread", 6, 0), 6);
            assert_int_equal(poll(&readable, 1, 10000), 1);
        }
        child = child_that_waits(&pair);
        close(pair.client);
        assert_int_equal(recv(pair.server, &byte, 1, MSG_PEEK), 1); /* the child still has it */
        kill_child(child);
        if (unread) {
            ssize_t received;

            do /* an ABORT may come before what was sent was read */
                received = recv(pair.server, &byte, 1, 0);
            while (received > 0);
            assert_int_equal(received, -1);
            assert_int_equal(errno, ECONNRESET);
        } else {
            for (int i = 0; i < 4; i++)
                assert_int_equal(recv(pair.server, &byte, 1, 0), 1);
            assert_int_equal(recv(pair.server, &byte, 1, 0), 0);
        }
        close(pair.server);
        close(pair.listener);
    }
}

/* In the middle of sending: what came is whole, and then there is an end. */
static void senders_that_are_killed(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct pair pair;
        uint32_t next = 0;
        ssize_t received;
        uint8_t bytes[4000];
        pid_t child;

        open_pair(&pair);
        child = fork();
        if (child == 0) {
            close(pair.server);
            for (uint32_t number = 0;; number++) {
                memcpy(bytes, &number, sizeof(number));
                if (send(pair.client, bytes, number % 5 == 0 ? sizeof(bytes) : LENGTH, 0) < 0)
                    _exit(1);
            }
        }
        close(pair.client);
        while ((received = recv(pair.server, bytes, sizeof(bytes), 0)) > 0) {
            uint32_t number;

            memcpy(&number, bytes, sizeof(number));
            assert_int_equal(number, next++);
            assert_int_equal(received, number % 5 == 0 ? sizeof(bytes) : LENGTH);
            if (next == 1000 + 777 * (uint32_t)i)
                kill_child(child);
        }
        assert_int_equal(received, 0); /* it had nothing to read */
        close(pair.server);
        close(pair.listener);
    }
}

/* ---- Descriptors ---- */

/* All that the process may have are open, `*count` of them by this; the last is `*last`. */
static void use_up(int *opened, int *count)
{
    *count = 0;
    while (*count < DESCRIPTORS && (opened[*count] = dup(STDIN_FILENO)) >= 0)
        (*count)++;
    assert_true(*count < DESCRIPTORS);
    assert_int_equal(errno, EMFILE);
}

static void no_descriptors_are_left(void **state)
{
    struct rlimit before, limit;
    int opened[DESCRIPTORS], count, waiting, accepted;
    struct pair pair;
    char bytes[8];

    (void)state;
    open_pair(&pair);
    waiting = new_socket(SOCK_STREAM);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = before;
    limit.rlim_cur = DESCRIPTORS;
    assert_int_equal(connect(waiting, (struct sockaddr *)&pair.address, sizeof(pair.address)), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    use_up(opened, &count);
    assert_int_equal(socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP), -1);
    assert_int_equal(errno, EMFILE);
    assert_int_equal(accept(pair.listener, NULL, NULL), -1); /* it waits on */
    assert_int_equal(errno, EMFILE);
    /* what is open works */
    assert_int_equal(send(pair.client, "word", 4, 0), 4);
    assert_int_equal(recv(pair.server, bytes, sizeof(bytes), 0), 4);
    close(opened[--count]);
    accepted = accept(pair.listener, NULL, NULL);
    assert_true(accepted >= 0);
    assert_int_equal(send(waiting, "late", 4, 0), 4);
    assert_int_equal(recv(accepted, bytes, sizeof(bytes), 0), 4);
    while (count > 0)
        close(opened[--count]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    close(accepted);
    close(waiting);
    close_pair(&pair);
}

/* ---- Signal handlers ---- */

static int signal_socket;
static _Atomic uint32_t signal_count;

/* send() may be called from one (signal-safety(7)), whatever it interrupts. */
static void send_from_handler(int number)
{
    uint32_t message[LENGTH / 4] = {1, signal_count};
    int saved = errno;

    (void)number;
    if (send(signal_socket, message, sizeof(message), MSG_DONTWAIT) == sizeof(message))
        signal_count++;
    errno = saved;
}

static void *receive_both(void *argument)
{
    const struct pair *pair = argument;
    uint32_t next[2] = {0, 0}, message[LENGTH / 4];
    static uint32_t from_handler;

    while (recv(pair->server, message, sizeof(message), 0) > 0) {
        if (message[0] > 1 || message[1] != next[message[0]]++)
            return NULL;
    }
    from_handler = next[1];
    return next[0] == MANY ? &from_handler : NULL;
}

static void handlers_that_send(void **state)
{
    struct sigaction action = {.sa_handler = send_from_handler, .sa_flags = SA_RESTART};
    struct itimerval timer = {{0, 2000}, {0, 2000}}, none = {{0, 0}, {0, 0}};
    sigset_t alarms;
    pthread_t thread;
    struct pair pair;
    void *result;

    (void)state;
    open_pair(&pair);
    signal_socket = pair.client;
    atomic_store(&signal_count, 0);
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarms, NULL);
    assert_int_equal(pthread_create(&thread, NULL, receive_both, &pair), 0);
    pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
    for (uint32_t i = 0; i < MANY; i++) {
        uint32_t message[LENGTH / 4] = {0, i};

        assert_int_equal(send(pair.client, message, sizeof(message), 0), sizeof(message));
    }
    assert_int_equal(setitimer(ITIMER_REAL, &none, NULL), 0);
    assert_int_equal(shutdown(pair.client, SHUT_WR), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_non_null(result);
    assert_true(*(uint32_t *)result > 0);
    assert_int_equal(*(uint32_t *)result, atomic_load(&signal_count));
    close_pair(&pair);
}

/* ---- Forks ---- */

static void *send_numbers(void *argument)
{
    const struct pair *pair = argument;

    for (uint32_t i = 0; i < MANY; i++) {
        uint32_t message[LENGTH / 4] = {0, i};

        if (send(pair->client, message, sizeof(message), 0) != sizeof(message))
            return NULL;
    }
    return argument;
}

/* While another thread is in send(): the child sends, too, and starts programs. */
static void forks_beside_senders(void **state)
{
    uint32_t next = 0, from_children = 0, children = 0, started = 0, message[LENGTH / 4];
    char *arguments[] = {"true", NULL};
    struct pair pair;
    pthread_t thread;
    void *result;

    (void)state;
    open_pair(&pair);
    assert_int_equal(pthread_create(&thread, NULL, send_numbers, &pair), 0);
    while (next < MANY || from_children < children) {
        if (next % 500 == 1 && children <= next / 500) {
            pid_t child = fork();

            if (child == 0) {
                message[0] = 1;
                _exit(send(pair.client, message, sizeof(message), 0) != sizeof(message));
            }
            assert_true(child > 0);
            children++;
            if (children % 10 == 1) {
                assert_int_equal(posix_spawnp(&child, "true", NULL, NULL, arguments, environ), 0);
                started++;
            }
        }
        assert_int_equal(recv(pair.server, message, sizeof(message), 0), sizeof(message));
        if (message[0] == 1)
            from_children++;
        else
            assert_int_equal(message[1], next++);
    }
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_non_null(result);
    for (uint32_t i = 0; i < children + started; i++) {
        int status;

        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    close_pair(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_that_are_cancelled), cmocka_unit_test(processes_that_are_killed),
        cmocka_unit_test(senders_that_are_killed),    cmocka_unit_test(no_descriptors_are_left),
        cmocka_unit_test(handlers_that_send),         cmocka_unit_test(forks_beside_senders),
    };

    return cmocka_run_group_tests_name("ends", tests, NULL, NULL);
}
