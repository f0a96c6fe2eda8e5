/*
 * Processes, descriptors and threads over SCTP sockets: servers that fork, start others, or are
 * started with a socket; what POSIX and Linux promise of a descriptor (RFC 6458, section 3 and 4
 * take it for granted). It knows nothing of Braid, and is run under `braid run`.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "pair.h"

#define PATIENCE_MS 5000

extern char **environ;
static const char *own_path;

/* ---- Sockets ---- */

static void set_receive_timeout(int descriptor)
{
    struct timeval time = {PATIENCE_MS / 1000, 0};

    assert_int_equal(setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)), 0);
}

static void assert_receives(int descriptor, const char *text)
{
    char bytes[256];
    ssize_t length = recv(descriptor, bytes, sizeof(bytes), 0);

    assert_int_equal(length, strlen(text));
    assert_memory_equal(bytes, text, strlen(text));
}

/* A client that says a word and hears it again. */
static void assert_echoes(const struct sockaddr_in *address, const char *text)
{
    int client = new_client(address);

    set_receive_timeout(client);
    assert_int_equal(send(client, text, strlen(text), 0), strlen(text));
    assert_receives(client, text);
    close(client);
}

/* One message, there and back. */
static int echo_once(int descriptor)
{
    char bytes[256];
    ssize_t length = recv(descriptor, bytes, sizeof(bytes), 0);

    if (length <= 0)
        return 1;
    return send(descriptor, bytes, (size_t)length, 0) == length ? 0 : 2;
}

static int status_of(pid_t child)
{
    int status;

    assert_true(child > 0);
    while (waitpid(child, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- Servers of many processes ---- */

#define CLIENTS 12

static void a_child_for_each_client(void **state)
{
    struct sockaddr_in address;
    int listener = new_listener(&address, 64);
    pid_t server = fork();

    (void)state;
    if (server == 0) {
        int failed = 0;

        for (int i = 0; i < CLIENTS; i++) {
            int accepted = accept(listener, NULL, NULL);
            pid_t child = fork();

            if (child == 0) {
                close(listener);
                _exit(echo_once(accepted));
            }
            close(accepted);
        }
        for (int i = 0, status; i < CLIENTS; i++)
            failed += wait(&status) < 0 || status != 0;
        _exit(failed);
    }
    close(listener);
    for (int i = 0; i < CLIENTS; i++)
        assert_echoes(&address, "forked");
    assert_int_equal(status_of(server), 0);
}

#define SERVERS 4

/* Several wait in accept() on one socket: each client is served by one of them, and by one alone.
 * The parent has closed the listener, which stays. */
static void many_wait_in_accept(void **state)
{
    struct sockaddr_in address;
    int listener = new_listener(&address, 64);
    pid_t servers[SERVERS];

    (void)state;
    for (int i = 0; i < SERVERS; i++) {
        servers[i] = fork();
        while (servers[i] == 0) {
            int accepted = accept(listener, NULL, NULL);
            char number = (char)('0' + i);

            if (accepted < 0 || echo_once(accepted) != 0 || send(accepted, &number, 1, 0) != 1)
                _exit(1);
            close(accepted);
        }
    }
    close(listener);
    for (int i = 0; i < CLIENTS; i++) {
        int client = new_client(&address);
        char number;

        set_receive_timeout(client);
        assert_int_equal(send(client, "preforked", 9, 0), 9);
        assert_receives(client, "preforked");
        assert_int_equal(recv(client, &number, 1, 0), 1);
        assert_in_range(number, '0', '0' + SERVERS - 1);
        assert_int_equal(recv(client, &number, 1, 0), 0);
        close(client);
    }
    for (int i = 0; i < SERVERS; i++) {
        assert_int_equal(kill(servers[i], SIGTERM), 0);
        assert_int_equal(status_of(servers[i]), 128 + SIGTERM);
    }
}

/* Who made the listener has long gone when the client comes. */
static void a_daemon(void **state)
{
    struct sockaddr_in address;
    int listener = new_listener(&address, 64);
    pid_t parent = fork();

    (void)state;
    if (parent == 0) {
        int accepted;

        setsid();
        if (fork() > 0)
            _exit(0);
        alarm(PATIENCE_MS / 1000);
        for (int i = 0; i < 2; i++) {
            accepted = accept(listener, NULL, NULL);
            echo_once(accepted);
            close(accepted);
        }
        _exit(0);
    }
    close(listener);
    assert_int_equal(status_of(parent), 0);
    assert_echoes(&address, "daemon");
    assert_echoes(&address, "again");
}

/* ---- Programs that are started with a socket ---- */

/* As inetd has it: the socket is standard input, output and error, and stdio is on it. */
static int be_inetd_service(void)
{
    char line[64];

    if (fileno(stdin) != 0 || fileno(stdout) != 1 || !fgets(line, sizeof(line), stdin))
        return 1;
    printf("you said %s", line);
    fflush(stdout);
    if (!fgets(line, sizeof(line), stdin))
        return 2;
    fprintf(stderr, "error %s", line);
    dprintf(1, "%s %d", "formatted", 42);
    puts("at the end");
    return 0;
}

/* As systemd has it: the listener is descriptor 3, and the variables say so. */
static int be_activated(void)
{
    const char *count = getenv("LISTEN_FDS");
    int value = 0;
    socklen_t length = sizeof(value);
    int accepted;

    if (!count || strcmp(count, "1") != 0 || getenv("HOME"))
        return 10;
    if (getsockopt(3, SOL_SOCKET, SO_PROTOCOL, &value, &length) != 0 || value != IPPROTO_SCTP)
        return 11;
    if (getsockopt(3, SOL_SOCKET, SO_ACCEPTCONN, &value, &length) != 0 || value != 1)
        return 12;
    accepted = accept4(3, NULL, NULL, SOCK_CLOEXEC);
    return accepted < 0 ? 13 : echo_once(accepted);
}

static int be_socket_maker(void)
{
    return socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP) < 0;
}

/* Says who we are on the descriptor it is given, and takes one from there. */
static int be_receiver(int cable)
{
    char byte;
    struct iovec part = {&byte, 1};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } rights;
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &rights,
                             .msg_controllen = sizeof(rights)};
    int descriptor;

    if (recvmsg(cable, &message, MSG_CMSG_CLOEXEC) != 1)
        return 20;
    memcpy(&descriptor, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(descriptor));
    return echo_once(descriptor);
}

static int be_program(char **arguments)
{
    const char *role = arguments[1];

    if (strcmp(role, "--inetd") == 0)
        return be_inetd_service();
    if (strcmp(role, "--activated") == 0)
        return be_activated();
    if (strcmp(role, "--socket") == 0)
        return be_socket_maker();
    if (strcmp(role, "--receiver") == 0)
        return be_receiver(atoi(arguments[2]));
    return 99;
}

static void started_by_inetd(void **state)
{
    struct pair pair;
    char bytes[64];
    pid_t child;

    (void)state;
    open_pair(&pair);
    set_receive_timeout(pair.client);
    child = fork();
    if (child == 0) {
        for (int i = 0; i <= 2; i++)
            dup2(pair.server, i);
        close(pair.server);
        close(pair.client);
        close(pair.listener);
        execl(own_path, "service", "--inetd", (char *)NULL);
        _exit(98);
    }
    close(pair.server);
    assert_int_equal(send(pair.client, "hello\n", 6, 0), 6);
    assert_receives(pair.client, "you said hello\n");
    assert_int_equal(send(pair.client, "oh\n", 3, 0), 3);
    memset(bytes, 0, sizeof(bytes));
    /* stdio has no buffer for stderr, or a small one: what it says may come in parts */
    for (size_t at = 0; at < strlen("error oh\n");) {
        ssize_t length = recv(pair.client, bytes + at, sizeof(bytes) - at - 1, 0);

        assert_true(length > 0);
        at += (size_t)length;
    }
    assert_string_equal(bytes, "error oh\n");
    assert_receives(pair.client, "formatted 42");
    assert_receives(pair.client, "at the end\n");
    assert_int_equal(recv(pair.client, bytes, 1, 0), 0);
    assert_int_equal(status_of(child), 0);
    close(pair.client);
    close(pair.listener);
}

/* Its environment holds what the protocol of activation asks for, and nothing more. */
static void started_by_activation(void **state)
{
    char *arguments[] = {(char *)(uintptr_t) "activated", (char *)(uintptr_t) "--activated", NULL};
    char *variables[] = {(char *)(uintptr_t) "LISTEN_FDS=1", NULL};
    struct sockaddr_in address;
    int listener = new_listener(&address, 64);
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        if (listener != 3)
            dup2(listener, 3);
        closefrom(4);
        execve(own_path, arguments, variables);
        _exit(98);
    }
    close(listener);
    assert_echoes(&address, "activated");
    assert_int_equal(status_of(child), 0);
}

/* All ways to start a program, with an environment that is empty or was cleared. */
static void started_with_an_empty_environment(void **state)
{
    char *arguments[] = {(char *)(uintptr_t) "program", (char *)(uintptr_t) "--socket", NULL};
    char *empty[] = {NULL};
    posix_spawnattr_t attributes;
    pid_t child;

    (void)state;
    for (int way = 0; way < 8; way++) {
        child = way == 1 ? vfork() : fork();
        if (child == 0) {
            switch (way) {
            case 0:
            case 1:
                execve(own_path, arguments, empty);
                break;
            case 2:
                execle(own_path, "program", "--socket", (char *)NULL, empty);
                break;
            case 3:
                execvpe(own_path, arguments, empty);
                break;
            case 4:
                clearenv();
                execv(own_path, arguments);
                break;
            case 5:
                clearenv();
                execlp(own_path, "program", "--socket", (char *)NULL);
                break;
            case 6:
                fexecve(open(own_path, O_RDONLY | O_CLOEXEC), arguments, empty);
                break;
            default:
                clearenv();
                execvp(own_path, arguments);
            }
            _exit(98);
        }
        assert_int_equal(status_of(child), 0);
    }
    assert_int_equal(posix_spawn(&child, own_path, NULL, NULL, arguments, empty), 0);
    assert_int_equal(status_of(child), 0);
    assert_int_equal(posix_spawnattr_init(&attributes), 0);
    assert_int_equal(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK), 0);
    assert_int_equal(posix_spawnp(&child, own_path, NULL, &attributes, arguments, empty), 0);
    assert_int_equal(status_of(child), 0);
    posix_spawnattr_destroy(&attributes);
}

/* A program that closes all descriptors that it does not know, when it starts. */
static void closes_everything_first(void **state)
{
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        struct pair pair;

        closefrom(3);
        open_pair(&pair);
        if (send(pair.client, "x", 1, 0) != 1 || echo_once(pair.server) != 0)
            _exit(1);
        for (int i = 3; i < 1024; i++)
            close(i);
        open_pair(&pair);
        if (send(pair.client, "x", 1, 0) != 1 || echo_once(pair.server) != 0)
            _exit(2);
        if (close_range(3, ~0u, 0) != 0 || recv(pair.client, &pair, 1, 0) != -1 || errno != EBADF)
            _exit(3);
        open_pair(&pair);
        _exit(send(pair.client, "x", 1, 0) == 1 ? echo_once(pair.server) : 4);
    }
    assert_int_equal(status_of(child), 0);
}

/* unix(7): to a program that was started anew, and never made a socket. */
static void passed_to_another_program(void **state)
{
    char number[16], byte = 'x';
    struct iovec part = {&byte, 1};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } rights = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &rights,
                             .msg_controllen = sizeof(rights)};
    struct pair pair;
    int cable[2];
    pid_t child;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, cable), 0);
    child = fork();
    if (child == 0) {
        fcntl(cable[1], F_SETFD, 0);
        snprintf(number, sizeof(number), "%d", cable[1]);
        execl(own_path, "receiver", "--receiver", number, (char *)NULL);
        _exit(98);
    }
    open_pair(&pair);
    set_receive_timeout(pair.client);
    memcpy(CMSG_DATA(&rights.header), &pair.server, sizeof(int));
    assert_int_equal(sendmsg(cable[0], &message, 0), 1);
    close(pair.server);
    assert_int_equal(send(pair.client, "passed", 6, 0), 6);
    assert_receives(pair.client, "passed");
    assert_int_equal(status_of(child), 0);
    close(cable[0]);
    close(cable[1]);
    close(pair.client);
    close(pair.listener);
}

/* An SCTP socket and the end of a pipe, in one message. */
static void passed_with_others(void **state)
{
    char bytes[8] = {0};
    struct iovec sent = {"two", 3}, part = {bytes, sizeof(bytes)};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(2 * sizeof(int))];
    } rights = {.header = {CMSG_LEN(2 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct msghdr message = {.msg_iov = &sent,
                             .msg_iovlen = 1,
                             .msg_control = &rights,
                             .msg_controllen = sizeof(rights)};
    int cable[2], ends[2], got[2];
    struct pair pair;

    (void)state;
    open_pair(&pair);
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, cable), 0);
    assert_int_equal(pipe(ends), 0);
    memcpy(CMSG_DATA(&rights.header), (int[]){ends[1], pair.server}, sizeof(got));
    assert_int_equal(sendmsg(cable[0], &message, 0), 3);
    close(ends[1]);
    message.msg_iov = &part;
    assert_int_equal(recvmsg(cable[1], &message, MSG_CMSG_CLOEXEC), 3);
    assert_memory_equal(bytes, "two", 3);
    assert_false(message.msg_flags & MSG_CTRUNC);
    assert_non_null(CMSG_FIRSTHDR(&message));
    memcpy(got, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(got));
    assert_int_equal(write(got[0], "pipe", 4), 4);
    assert_int_equal(read(ends[0], bytes, sizeof(bytes)), 4);
    assert_int_equal(write(pair.client, "sctp", 4), 4);
    assert_int_equal(read(got[1], bytes, sizeof(bytes)), 4);
    assert_memory_equal(bytes, "sctp", 4);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fcntl(got[i], F_GETFD), FD_CLOEXEC);
        close(got[i]);
        close(cable[i]);
    }
    assert_int_equal(read(ends[0], bytes, sizeof(bytes)), 0);
    close(ends[0]);
    close_pair(&pair);
}

/* ---- Descriptors ---- */

static void copies_over_sockets(void **state)
{
    struct pair one, other;
    char byte;

    (void)state;
    open_pair(&one);
    open_pair(&other);
    set_receive_timeout(one.client);
    set_receive_timeout(other.client);
    /* a socket over another's number: that one was its last, and ends */
    assert_int_equal(dup2(one.server, other.server), other.server);
    assert_int_equal(recv(other.client, &byte, 1, 0), 0);
    assert_int_equal(send(one.client, "to both", 7, 0), 7);
    assert_receives(other.server, "to both");
    assert_int_equal(dup2(one.server, one.server), one.server);
    assert_int_equal(dup3(one.server, one.server, 0), -1);
    assert_int_equal(errno, EINVAL);
    close(one.server);
    assert_int_equal(send(other.server, "still", 5, 0), 5);
    assert_receives(one.client, "still");
    /* a file over it */
    assert_int_equal(dup3(STDERR_FILENO, other.server, O_CLOEXEC), other.server);
    assert_int_equal(recv(one.client, &byte, 1, 0), 0);
    assert_int_equal(recv(other.server, &byte, 1, 0), -1);
    assert_int_equal(errno, ENOTSOCK);
    close_pair(&other);
    close(one.client);
    close(one.listener);
}

static void flags_of_descriptors(void **state)
{
    struct pair pair;
    int flags, copy, on = 1;
    char byte;

    (void)state;
    open_pair(&pair);
    flags = fcntl(pair.server, F_GETFL);
    assert_int_equal(flags & O_ACCMODE, O_RDWR);
    assert_false(flags & O_NONBLOCK);
    assert_int_equal(fcntl(pair.server, F_SETFL, flags | O_NONBLOCK), 0);
    assert_int_equal(recv(pair.server, &byte, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
    copy = fcntl(pair.server, F_DUPFD_CLOEXEC, 200);
    assert_int_equal(copy, 200);
    assert_int_equal(fcntl(copy, F_GETFD), FD_CLOEXEC);
    assert_true(fcntl(copy, F_GETFL) & O_NONBLOCK);
    assert_int_equal(fcntl(copy, F_SETFL, flags), 0);
    assert_false(fcntl(pair.server, F_GETFL) & O_NONBLOCK);
    assert_int_equal(ioctl(pair.server, FIONBIO, &on), 0);
    assert_int_equal(recv(copy, &byte, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(ioctl(copy, FIOCLEX), 0);
    close(copy);
    close_pair(&pair);
}

static void raw_system_calls(void **state)
{
    struct pair pair;
    char byte = 0;
    long made;

    (void)state;
    open_pair(&pair);
    made = syscall(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP);
    assert_true(made >= 0);
    assert_int_equal(syscall(SYS_close, made), 0);
    assert_int_equal(syscall(SYS_close, made), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(syscall(SYS_write, pair.client, "y", 1), 1);
    assert_int_equal(syscall(SYS_recvfrom, pair.server, &byte, 1, 0, NULL, NULL), 1);
    assert_int_equal(byte, 'y');
    made = syscall(SYS_dup, pair.server);
    assert_int_equal(syscall(SYS_sendto, made, "z", 1, 0, NULL, 0), 1);
    assert_int_equal(recv(pair.client, &byte, 1, 0), 1);
    assert_int_equal(syscall(SYS_getpid), getpid());
    close((int)made);
    close_pair(&pair);
}

/* Vectors without an offset are messages; and what an interface has is asked of any socket. */
static void vectors_and_interfaces(void **state)
{
    struct ifreq interface = {.ifr_name = "lo"};
    struct sockaddr_in *address = (struct sockaddr_in *)&interface.ifr_addr;
    char bytes[8] = {0};
    struct iovec parts[] = {{"vec", 3}, {"tors", 4}}, part = {bytes, sizeof(bytes)};
    struct pair pair;

    (void)state;
    open_pair(&pair);
    assert_int_equal(preadv2(pair.server, &part, 1, -1, RWF_NOWAIT), -1);
    assert_true(errno == EAGAIN || errno == EOPNOTSUPP); /* of Linux's sockets before 6.5 */
    assert_int_equal(pwritev2(pair.client, parts, 2, -1, 0), 7);
    assert_int_equal(preadv2(pair.server, &part, 1, -1, 0), 7);
    assert_memory_equal(bytes, "vectors", 7);
    assert_int_equal(preadv2(pair.server, &part, 1, 4, 0), -1);
    assert_int_equal(errno, ESPIPE);
    assert_int_equal(ioctl(pair.client, SIOCGIFADDR, &interface), 0);
    assert_int_equal(address->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    close_pair(&pair);
}

/* Trapped, a socket cannot come to a number that is not looked at, but to all others. */
static void numbers_of_copies(void **state)
{
    struct pair pair;
    char byte = 0;

    (void)state;
    open_pair(&pair);
    assert_int_equal(dup2(pair.server, 700), 700);
    assert_int_equal(dup3(pair.server, 701, O_CLOEXEC), 701);
    assert_int_equal(dup2(700, 700), 700);
    assert_int_equal(write(pair.client, "ab", 2), 2);
    assert_int_equal(write(pair.client, "c", 1), 1);
    assert_int_equal(read(700, &byte, 1), 1);
    assert_int_equal(byte, 'a');
    assert_int_equal(read(701, &byte, 1), 1);
    assert_int_equal(byte, 'b');
#ifdef TRAPPED
    assert_int_equal(dup2(pair.server, 100), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(fcntl(100, F_GETFD), -1);
#else
    assert_int_equal(dup2(pair.server, 100), 100);
    assert_int_equal(read(100, &byte, 1), 1);
    assert_int_equal(byte, 'c');
    close(100);
#endif
    close(700);
    close(701);
    close_pair(&pair);
}

/* The timeout of recvmmsg() is looked at when a message has come, as its manual says. */
static void many_within_a_time(void **state)
{
    char bytes[2][8];
    struct iovec parts[] = {{bytes[0], 8}, {bytes[1], 8}};
    struct mmsghdr messages[] = {{.msg_hdr = {.msg_iov = &parts[0], .msg_iovlen = 1}},
                                 {.msg_hdr = {.msg_iov = &parts[1], .msg_iovlen = 1}}};
    struct timespec none = {0, 0}, never = {-1, 0}, some = {60, 0};
    struct pair pair;
    time_t start;

    (void)state;
    open_pair(&pair);
    set_receive_timeout(pair.server);
    assert_int_equal(recvmmsg(pair.server, messages, 2, 0, &never), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(send(pair.client, "one", 3, 0), 3);
    start = time(NULL);
    assert_int_equal(recvmmsg(pair.server, messages, 2, 0, &none), 1);
    assert_true(time(NULL) - start < PATIENCE_MS / 2000); /* it did not wait for another */
    assert_int_equal(send(pair.client, "two", 3, 0), 3);
    assert_int_equal(send(pair.client, "three", 5, 0), 5);
    assert_int_equal(recvmmsg(pair.server, messages, 2, 0, &some), 2);
    assert_int_equal(messages[1].msg_len, 5);
    assert_true(some.tv_sec < 60 && some.tv_sec > 30);
    close_pair(&pair);
}

/* A ring's calls would pass by Braid, so there is none; of liburing neither, whether it is there or
 * not. */
static void no_rings(void **state)
{
    char parameters[120] = {0}; /* struct io_uring_params */

    (void)state;
    if (!getenv("BRAID_STACK"))
        return; /* of a kernel's own SCTP there may be */
    assert_int_equal(syscall(SYS_io_uring_setup, 1, parameters), -1);
    assert_int_equal(errno, ENOSYS);
#ifndef TRAPPED
    {
        int (*init)(unsigned int, void *, unsigned int) =
            (int (*)(unsigned int, void *, unsigned int))dlsym(RTLD_DEFAULT, "io_uring_queue_init");
        char ring[512] = {0};

        assert_non_null(init);
        assert_int_equal(init(8, ring, 0), -ENOSYS);
    }
#endif
}

/* splice(2) and sendfile(2) move bytes between pipes, files and sockets. */
static void pipes_and_sockets(void **state)
{
    struct pair pair;
    char bytes[64];
    int ends[2];

    (void)state;
    open_pair(&pair);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "by pipe", 7), 7);
    assert_int_equal(splice(ends[0], NULL, pair.client, NULL, sizeof(bytes), 0), 7);
    assert_receives(pair.server, "by pipe");
    assert_int_equal(send(pair.server, "back", 4, 0), 4);
    assert_int_equal(splice(pair.client, NULL, ends[1], NULL, sizeof(bytes), 0), 4);
    assert_int_equal(read(ends[0], bytes, sizeof(bytes)), 4);
    assert_memory_equal(bytes, "back", 4);
    assert_int_equal(fcntl(pair.client, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(splice(pair.client, NULL, ends[1], NULL, sizeof(bytes), 0), -1);
    assert_int_equal(errno, EAGAIN);
    close(ends[0]);
    close(ends[1]);
    close_pair(&pair);
}

/* ---- Waiting ---- */

static int add_to_epoll(int descriptor, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = descriptor};
    int set = epoll_create1(EPOLL_CLOEXEC);

    assert_true(set >= 0);
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, descriptor, &event), 0);
    return set;
}

static void epoll_once_and_exclusive(void **state)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT};
    struct sockaddr_in address;
    int sets[2], clients[2];
    struct pair pair;
    int set;

    (void)state;
    open_pair(&pair);
    set = add_to_epoll(pair.server, EPOLLIN | EPOLLONESHOT);
    assert_int_equal(send(pair.client, "a", 1, 0), 1);
    assert_int_equal(epoll_wait(set, &event, 1, PATIENCE_MS), 1);
    assert_int_equal(send(pair.client, "b", 1, 0), 1);
    assert_int_equal(epoll_wait(set, &event, 1, 50), 0);
    event = (struct epoll_event){.events = EPOLLIN | EPOLLONESHOT};
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_MOD, pair.server, &event), 0);
    assert_int_equal(epoll_wait(set, &event, 1, PATIENCE_MS), 1);
    close(set);
    close_pair(&pair);

    /* two sets wait for one listener, by edges: nobody is forgotten */
    pair.listener = new_listener(&address, 64);
    assert_int_equal(fcntl(pair.listener, F_SETFL, O_NONBLOCK), 0);
    for (int i = 0; i < 2; i++)
        sets[i] = add_to_epoll(pair.listener, EPOLLIN | EPOLLET | EPOLLEXCLUSIVE);
    for (int i = 0; i < 2; i++)
        clients[i] = new_client(&address);
    for (int found = 0, turn = 0; found < 2; turn++) {
        int accepted;

        assert_true(turn < 100);
        if (epoll_wait(sets[turn % 2], &event, 1, 50) == 0)
            continue;
        while ((accepted = accept(pair.listener, NULL, NULL)) >= 0) {
            close(accepted);
            found++;
        }
        assert_int_equal(errno, EAGAIN);
    }
    for (int i = 0; i < 2; i++) {
        close(sets[i]);
        close(clients[i]);
    }
    close(pair.listener);
}

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    signals++;
}

static void handle_signal(int number, int flags)
{
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = flags};

    assert_int_equal(sigaction(number, &action, NULL), 0);
    signals = 0;
}

/* The masks of ppoll(), pselect() and epoll_pwait() let a signal in that is blocked elsewhere. */
static void waiting_with_masks(void **state)
{
    struct timespec time = {PATIENCE_MS / 1000, 0};
    struct pollfd entry = {.events = POLLIN};
    struct epoll_event event;
    sigset_t blocked, open;
    struct pair pair;
    fd_set set;
    int epoll;

    (void)state;
    open_pair(&pair);
    handle_signal(SIGUSR1, 0);
    sigemptyset(&open);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    assert_int_equal(sigprocmask(SIG_BLOCK, &blocked, NULL), 0);
    entry.fd = pair.server;
    epoll = add_to_epoll(pair.server, EPOLLIN);
    FD_ZERO(&set);
    FD_SET(pair.server, &set);
    raise(SIGUSR1);
    assert_int_equal(signals, 0);
    assert_int_equal(ppoll(&entry, 1, &time, &open), -1);
    assert_int_equal(errno, EINTR);
    raise(SIGUSR1);
    assert_int_equal(pselect(pair.server + 1, &set, NULL, NULL, &time, &open), -1);
    assert_int_equal(errno, EINTR);
    raise(SIGUSR1);
    assert_int_equal(epoll_pwait(epoll, &event, 1, PATIENCE_MS, &open), -1);
    assert_int_equal(errno, EINTR);
    assert_int_equal(signals, 3);
    assert_int_equal(send(pair.client, "x", 1, 0), 1);
    assert_int_equal(ppoll(&entry, 1, &time, &open), 1);
    FD_SET(pair.server, &set);
    assert_int_equal(pselect(pair.server + 1, &set, NULL, NULL, &time, &open), 1);
    assert_int_equal(epoll_pwait(epoll, &event, 1, PATIENCE_MS, &open), 1);
    assert_int_equal(sigprocmask(SIG_UNBLOCK, &blocked, NULL), 0);
    signal(SIGUSR1, SIG_DFL);
    close(epoll);
    close_pair(&pair);
}

/* A child that sends signals until it is killed. */
static pid_t disturb(int number, int descriptor, const char *text)
{
    pid_t child = fork();

    if (child != 0)
        return child;
    for (int i = 0; i < 500 && kill(getppid(), number) == 0; i++) {
        usleep(10000);
        if (text && i == 20 && send(descriptor, text, strlen(text), 0) < 0)
            _exit(1);
    }
    _exit(1);
}

static void signals_and_waiting(void **state)
{
    struct sockaddr_in address;
    struct pair pair;
    pid_t child;

    (void)state;
    open_pair(&pair);
    /* without SA_RESTART, waiting ends */
    handle_signal(SIGUSR1, 0);
    child = disturb(SIGUSR1, -1, NULL);
    assert_int_equal(accept(pair.listener, NULL, NULL), -1);
    assert_int_equal(errno, EINTR);
    kill(child, SIGKILL);
    status_of(child);
    /* with it, waiting goes on */
    handle_signal(SIGUSR1, SA_RESTART);
    child = disturb(SIGUSR1, pair.client, "restarted");
    assert_receives(pair.server, "restarted");
    kill(child, SIGKILL);
    status_of(child);
    assert_true(signals > 1);
    /* but not if the time is limited: signal(7) */
    handle_signal(SIGUSR1, SA_RESTART);
    set_receive_timeout(pair.server);
    child = disturb(SIGUSR1, -1, NULL);
    assert_int_equal(recv(pair.server, &address, 1, 0), -1);
    assert_int_equal(errno, EINTR);
    kill(child, SIGKILL);
    status_of(child);
    signal(SIGUSR1, SIG_DFL);
    close_pair(&pair);
}

static void signal_when_readable(void **state)
{
    struct pair pair;

    (void)state;
    open_pair(&pair);
    handle_signal(SIGIO, 0);
    assert_int_equal(fcntl(pair.server, F_SETOWN, getpid()), 0);
    assert_int_equal(fcntl(pair.server, F_SETFL, O_ASYNC | O_NONBLOCK), 0);
    assert_int_equal(send(pair.client, "x", 1, 0), 1);
    for (int i = 0; i < 500 && signals == 0; i++)
        usleep(10000);
    assert_true(signals > 0);
    close_pair(&pair);
    signal(SIGIO, SIG_DFL);
}

/* ---- Threads ---- */

#define THREADS 4
#define EACH 400

struct worker {
    pthread_t thread;
    int descriptor;
    const struct sockaddr_in *to; /* one-to-many */
    uint32_t number;
    _Atomic uint32_t *received; /* how many of each sender */
};

static void *send_numbers(void *argument)
{
    const struct worker *worker = argument;

    for (uint32_t i = 0; i < EACH; i++) {
        uint32_t message[64] = {worker->number, i};
        size_t length = 8 + i % 200;

        if (sendto(worker->descriptor, message, length, 0, (const struct sockaddr *)worker->to,
                   worker->to ? sizeof(*worker->to) : 0) != (ssize_t)length)
            return (void *)(uintptr_t)errno;
    }
    return NULL;
}

static void *receive_numbers(void *argument)
{
    const struct worker *worker = argument;
    uint32_t message[64];
    ssize_t length;

    while ((length = recv(worker->descriptor, message, sizeof(message), 0)) > 0) {
        if (length == 4 && message[0] == UINT32_MAX)
            return NULL;
        if (length < 8 || message[0] >= THREADS || length != 8 + message[1] % 200)
            return (void *)(uintptr_t)1;
        worker->received[message[0]]++;
    }
    return (void *)(uintptr_t)2;
}

/* Senders and receivers on the same two sockets; the end is a message for each receiver. */
static void many_threads(int from, int to, const struct sockaddr_in *address)
{
    struct worker senders[THREADS], receivers[THREADS];
    _Atomic uint32_t received[THREADS] = {0};
    uint32_t end = UINT32_MAX;
    void *result;

    for (uint32_t i = 0; i < THREADS; i++) {
        senders[i] = (struct worker){.descriptor = from, .number = i, .to = address};
        receivers[i] = (struct worker){.descriptor = to, .received = received};
        assert_int_equal(pthread_create(&receivers[i].thread, NULL, receive_numbers, &receivers[i]),
                         0);
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_numbers, &senders[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(senders[i].thread, &result), 0);
        assert_int_equal((uintptr_t)result, 0);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(sendto(from, &end, sizeof(end), 0, (const struct sockaddr *)address,
                                address ? sizeof(*address) : 0),
                         sizeof(end));
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(receivers[i].thread, &result), 0);
        assert_null(result);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(received[i], EACH);
}

static void threads_send_and_receive(void **state)
{
    struct pair pair;

    (void)state;
    open_pair(&pair);
    many_threads(pair.client, pair.server, NULL);
    close_pair(&pair);
}

static void threads_on_one_to_many(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int server = new_socket(SOCK_SEQPACKET), client = new_socket(SOCK_SEQPACKET);
    socklen_t length = sizeof(address);

    (void)state;
    assert_int_equal(bind(server, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server, 8), 0);
    assert_int_equal(getsockname(server, (struct sockaddr *)&address, &length), 0);
    many_threads(client, server, &address);
    close(client);
    close(server);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_for_each_client),
        cmocka_unit_test(many_wait_in_accept),
        cmocka_unit_test(a_daemon),
#ifndef TRAPPED /* then sockets have numbers of their own, and are not known by others */
        cmocka_unit_test(started_by_inetd),
        cmocka_unit_test(started_by_activation),
        cmocka_unit_test(flags_of_descriptors),
#endif
        cmocka_unit_test(passed_to_another_program),
        cmocka_unit_test(passed_with_others),
        cmocka_unit_test(started_with_an_empty_environment),
        cmocka_unit_test(closes_everything_first),
        cmocka_unit_test(copies_over_sockets),
        cmocka_unit_test(raw_system_calls),
        cmocka_unit_test(vectors_and_interfaces),
        cmocka_unit_test(numbers_of_copies),
        cmocka_unit_test(many_within_a_time),
        cmocka_unit_test(no_rings),
        cmocka_unit_test(pipes_and_sockets),
        cmocka_unit_test(epoll_once_and_exclusive),
        cmocka_unit_test(waiting_with_masks),
        cmocka_unit_test(signals_and_waiting),
        cmocka_unit_test(signal_when_readable),
        cmocka_unit_test(threads_send_and_receive),
        cmocka_unit_test(threads_on_one_to_many),
    };

    own_path = "/proc/self/exe";
    if (argc > 1)
        return be_program(argv);
    return cmocka_run_group_tests_name("processes", tests, NULL, NULL);
}
