/*
 * One-to-one sockets as a program sees them: RFC 6458, section 4, with what POSIX and Linux say of
 * any descriptor. It knows nothing of Braid, and is run under `braid run`.
 */
#include <errno.h>
#include <fcntl.h>
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
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "pair.h"

#define PATIENCE_MS 5000

static void wait_for(int descriptor, short events)
{
    struct pollfd entry = {.fd = descriptor, .events = events};

    assert_int_equal(poll(&entry, 1, PATIENCE_MS), 1);
    assert_true(entry.revents & events);
}

static void assert_receives(int descriptor, const char *text)
{
    char bytes[256];
    ssize_t length = recv(descriptor, bytes, sizeof(bytes), 0);

    assert_int_equal(length, strlen(text));
    assert_memory_equal(bytes, text, strlen(text));
}

static void set_timeout(int descriptor, int option, int milliseconds)
{
    struct timeval time = {milliseconds / 1000, milliseconds % 1000 * 1000};

    assert_int_equal(setsockopt(descriptor, SOL_SOCKET, option, &time, sizeof(time)), 0);
}

static int socket_error(int descriptor)
{
    int error = -1;
    socklen_t length = sizeof(error);

    assert_int_equal(getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length), 0);
    return error;
}

static void assert_child_succeeds(pid_t child)
{
    int status;

    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- Setup ---- */

static void connect_and_names(void **state)
{
    struct sockaddr_in name, peer;
    socklen_t length = sizeof(name);
    struct pair pair;
    int value;

    (void)state;
    open_pair(&pair);
    assert_int_equal(getpeername(pair.client, (struct sockaddr *)&peer, &length), 0);
    assert_int_equal(length, sizeof(peer));
    assert_int_equal(peer.sin_port, pair.address.sin_port);
    assert_int_equal(getsockname(pair.client, (struct sockaddr *)&name, &length), 0);
    assert_int_equal(getpeername(pair.server, (struct sockaddr *)&peer, &length), 0);
    assert_int_equal(name.sin_port, peer.sin_port);
    assert_int_equal(name.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    length = sizeof(value);
    assert_int_equal(getsockopt(pair.client, SOL_SOCKET, SO_PROTOCOL, &value, &length), 0);
    assert_int_equal(value, IPPROTO_SCTP);
    assert_int_equal(getsockopt(pair.client, SOL_SOCKET, SO_TYPE, &value, &length), 0);
    assert_int_equal(value, SOCK_STREAM);
    assert_int_equal(getsockopt(pair.client, SOL_SOCKET, SO_DOMAIN, &value, &length), 0);
    assert_int_equal(value, AF_INET);
    close_pair(&pair);
}

static void connect_without_waiting(void **state)
{
    struct sockaddr_in address;
    int listener = new_listener(&address, 8);
    int client = new_socket(SOCK_STREAM | SOCK_NONBLOCK);
    int server;

    (void)state;
    assert_int_equal(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(accept(listener, NULL, NULL), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), -1);
    assert_int_equal(errno, EINPROGRESS);
    wait_for(client, POLLOUT);
    assert_int_equal(socket_error(client), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), -1);
    assert_int_equal(errno, EISCONN);
    wait_for(listener, POLLIN);
    server = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(server >= 0);
    assert_true(fcntl(server, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(server, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(recv(server, &address, sizeof(address), 0), -1);
    assert_int_equal(errno, EAGAIN);
    close(client);
    close(server);
    close(listener);
}

static void connect_refused(void **state)
{
    struct sockaddr_in address;
    char byte;
    int client;

    (void)state;
    close(new_listener(&address, 8)); /* a port where nobody is */
    client = new_socket(SOCK_STREAM);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), -1);
    assert_int_equal(errno, ECONNREFUSED);
    assert_int_equal(socket_error(client), ECONNREFUSED);
    assert_int_equal(socket_error(client), 0);
    close(client);

    client = new_socket(SOCK_STREAM | SOCK_NONBLOCK);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), -1);
    assert_int_equal(errno, EINPROGRESS);
    wait_for(client, POLLOUT | POLLERR);
    assert_int_equal(recv(client, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNREFUSED);
    assert_int_equal(socket_error(client), 0);
    close(client);
}

/* A close() is over when it returns: the port is free, and a peer on this host knows. */
static void close_is_over(void **state)
{
    struct pair pair;
    int listener;

    (void)state;
    open_pair(&pair);
    assert_int_equal(send(pair.client, "unread", 6, 0), 6);
    close(pair.client);
    assert_int_equal(send(pair.server, "x", 1, MSG_NOSIGNAL), -1);
    assert_int_equal(errno, EPIPE);
    close(pair.server);
    close(pair.listener);
    listener = new_socket(SOCK_STREAM);
    assert_int_equal(bind(listener, (struct sockaddr *)&pair.address, sizeof(pair.address)), 0);
    close(listener);
}

/* What a listener is told to add to messages is no hindrance. */
static void accept_with_options(void **state)
{
    static const int options[] = {SO_PASSCRED, SO_PASSSEC, SO_TIMESTAMPNS};
    struct sockaddr_in address;
    int listener = new_listener(&address, 8), client = new_socket(SOCK_STREAM), on = 1, accepted;
    char byte = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        assert_int_equal(setsockopt(listener, SOL_SOCKET, options[i], &on, sizeof(on)), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
    accepted = accept(listener, NULL, NULL);
    assert_true(accepted >= 0);
    assert_int_equal(send(accepted, "x", 1, 0), 1);
    assert_int_equal(recv(client, &byte, 1, 0), 1);
    close(accepted);
    close(client);
    close(listener);
}

/* POSIX, "file descriptor allocation": the lowest number that is free. */
static void lowest_descriptor(void **state)
{
    int lowest = open("/dev/null", O_RDONLY);
    struct sockaddr_in address;
    int other, listener, client;

    (void)state;
    assert_true(lowest >= 0);
    close(lowest);
    listener = new_listener(&address, 8);
    assert_int_equal(listener, lowest);
    other = open("/dev/null", O_RDONLY);
    assert_int_equal(other, lowest + 1);
    client = new_socket(SOCK_STREAM);
    assert_int_equal(client, lowest + 2);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
    close(other);
    assert_int_equal(accept(listener, NULL, NULL), other);
    close(other);
    close(client);
    close(listener);
}

static void many_at_once(void **state)
{
    struct sockaddr_in address;
    int listener = new_listener(&address, 8);
    int client[8], server[8];

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        client[i] = new_socket(SOCK_STREAM);
        assert_int_equal(connect(client[i], (struct sockaddr *)&address, sizeof(address)), 0);
    }
    for (size_t i = 0; i < 8; i++) {
        server[i] = accept(listener, NULL, NULL);
        assert_true(server[i] >= 0);
    }
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(send(client[i], &i, sizeof(i), 0), sizeof(i));
    for (size_t i = 0; i < 8; i++) {
        size_t said = 8;

        assert_int_equal(recv(server[i], &said, sizeof(said), 0), sizeof(said));
        assert_int_equal(said, i); /* they are accepted in the order in which they came */
        close(client[i]);
        close(server[i]);
    }
    close(listener);
}

/* ---- Data ---- */

static void messages_keep_their_edges(void **state)
{
    struct pair pair;

    (void)state;
    open_pair(&pair);
    assert_int_equal(send(pair.client, "one", 3, 0), 3);
    assert_int_equal(write(pair.client, "three", 5), 5);
    assert_receives(pair.server, "one");
    assert_receives(pair.server, "three");
    assert_int_equal(send(pair.server, "back", 4, 0), 4);
    assert_receives(pair.client, "back");
    close_pair(&pair);
}

/* RFC 6458, section 4.1.8 and 5: the rest of a message is read next; MSG_EOR says where it ends. */
static void message_read_in_pieces(void **state)
{
    char bytes[4];
    struct iovec part = {bytes, sizeof(bytes)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    struct pair pair;

    (void)state;
    open_pair(&pair);
    assert_int_equal(send(pair.client, "abcdefghij", 10, 0), 10);
    assert_int_equal(send(pair.client, "k", 1, 0), 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(recvmsg(pair.server, &message, 0), 4);
        assert_memory_equal(bytes, i == 0 ? "abcd" : "efgh", 4);
        assert_false(message.msg_flags & MSG_EOR);
    }
    assert_int_equal(recvmsg(pair.server, &message, 0), 2);
    assert_memory_equal(bytes, "ij", 2);
    assert_true(message.msg_flags & MSG_EOR);
    assert_receives(pair.server, "k");
    close_pair(&pair);
}

static void peek_leaves_it(void **state)
{
    struct pair pair;
    char bytes[8];
    int waiting = 0;

    (void)state;
    open_pair(&pair);
    assert_int_equal(send(pair.client, "look", 4, 0), 4);
    assert_int_equal(recv(pair.server, bytes, sizeof(bytes), MSG_PEEK), 4);
    assert_int_equal(recv(pair.server, bytes, 2, MSG_PEEK), 2);
    assert_int_equal(ioctl(pair.server, FIONREAD, &waiting), 0);
    assert_int_equal(waiting, 4);
    assert_receives(pair.server, "look");
    assert_int_equal(recv(pair.server, bytes, sizeof(bytes), MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    close_pair(&pair);
}

static void vectors_and_many_messages(void **state)
{
    char in[2][8];
    struct iovec out[2] = {{"ab", 2}, {"cde", 3}};
    struct iovec parts[2] = {{in[0], 3}, {in[1], 8}};
    struct mmsghdr many[2] = {{.msg_hdr = {.msg_iov = &out[0], .msg_iovlen = 1}},
                              {.msg_hdr = {.msg_iov = &out[1], .msg_iovlen = 1}}};
    struct mmsghdr got[3] = {{.msg_hdr = {.msg_iov = &parts[0], .msg_iovlen = 1}},
                             {.msg_hdr = {.msg_iov = &parts[1], .msg_iovlen = 1}}};
    struct pair pair;

    (void)state;
    open_pair(&pair);
    assert_int_equal(writev(pair.client, out, 2), 5);
    assert_int_equal(readv(pair.server, parts, 2), 5);
    assert_memory_equal(in[0], "abc", 3);
    assert_memory_equal(in[1], "de", 2);
    assert_int_equal(sendmmsg(pair.client, many, 2, 0), 2);
    assert_int_equal(many[1].msg_len, 3);
    assert_int_equal(recvmmsg(pair.server, got, 2, 0, NULL), 2);
    assert_int_equal(got[0].msg_len, 2);
    assert_int_equal(got[1].msg_len, 3);
    assert_memory_equal(in[1], "cde", 3);
    close_pair(&pair);
}

static void large_messages_and_a_file(void **state)
{
    static char sent[300000], got[300000];
    FILE *file = tmpfile();
    off_t offset = 100;
    size_t length = 0;
    struct pair pair;
    pid_t child;
    int size = 400000;

    (void)state;
    assert_non_null(file);
    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = (char)(i * 31 + i / 255);
    assert_int_equal(fwrite(sent, 1, sizeof(sent), file), sizeof(sent));
    assert_int_equal(fflush(file), 0);
    open_pair(&pair);
    assert_int_equal(setsockopt(pair.client, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    child = fork();
    if (child == 0) {
        if (send(pair.client, sent, sizeof(sent), 0) != sizeof(sent))
            _exit(1);
        _exit(sendfile(pair.client, fileno(file), &offset, 150000) == 150000 ? 0 : 2);
    }
    while (length < sizeof(got)) {
        ssize_t piece = recv(pair.server, got + length, sizeof(got) - length, 0);

        assert_true(piece > 0);
        length += (size_t)piece;
    }
    assert_memory_equal(sent, got, sizeof(sent));
    for (length = 0; length < 150000;) {
        ssize_t piece = recv(pair.server, got + length, sizeof(got) - length, 0);

        assert_true(piece > 0);
        length += (size_t)piece;
    }
    assert_memory_equal(sent + 100, got, 150000);
    assert_child_succeeds(child);
    fclose(file);
    close_pair(&pair);
}

static void streams_of_stdio(void **state)
{
    struct pair pair;
    FILE *in, *out;
    char line[64];

    (void)state;
    open_pair(&pair);
    out = fdopen(pair.client, "w");
    in = fdopen(pair.server, "r");
    assert_non_null(out);
    assert_non_null(in);
    assert_true(fprintf(out, "a line of %d\n", 7) > 0);
    assert_int_equal(fflush(out), 0);
    assert_non_null(fgets(line, sizeof(line), in));
    assert_string_equal(line, "a line of 7\n");
    assert_int_equal(fclose(out), 0);
    assert_null(fgets(line, sizeof(line), in));
    assert_true(feof(in));
    fclose(in);
    close(pair.listener);
}

/* ---- Ends ---- */

static void end_of_file(void **state)
{
    struct pair pair;
    char byte;

    (void)state;
    open_pair(&pair);
    assert_int_equal(send(pair.client, "last", 4, 0), 4);
    close(pair.client);
    assert_receives(pair.server, "last");
    assert_int_equal(recv(pair.server, &byte, 1, 0), 0);
    assert_int_equal(recv(pair.server, &byte, 1, 0), 0);
    assert_int_equal(send(pair.server, "x", 1, MSG_NOSIGNAL), -1);
    assert_int_equal(errno, EPIPE);
    close(pair.server);
    close(pair.listener);
}

static void shutdown_sends_first(void **state)
{
    struct pair pair;
    char byte;

    (void)state;
    open_pair(&pair);
    assert_int_equal(send(pair.client, "bye", 3, 0), 3);
    assert_int_equal(shutdown(pair.client, SHUT_WR), 0);
    assert_receives(pair.server, "bye");
    assert_int_equal(recv(pair.server, &byte, 1, 0), 0);
    assert_int_equal(recv(pair.client, &byte, 1, 0), -1);
    assert_int_equal(errno, ENOTCONN); /* it is Linux that says so; the peer reads the end */
    assert_int_equal(send(pair.client, "x", 1, MSG_NOSIGNAL), -1);
    assert_int_equal(errno, EPIPE);
    close_pair(&pair);
}

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    signals = signals + 1;
}

/* Who has shut his association down is not told when it is over. */
static void wait_for_end(int descriptor)
{
    struct sctp_status status;
    socklen_t length = sizeof(status);

    for (int turn = 0; turn < PATIENCE_MS / 10; turn++) {
        memset(&status, 0, sizeof(status));
        if (getsockopt(descriptor, IPPROTO_SCTP, SCTP_STATUS, &status, &length) != 0)
            return;
        usleep(10000);
    }
    assert_true(0);
}

static void broken_pipe(void **state)
{
    struct sigaction action = {.sa_handler = count_signal}, before;
    struct pair pair;

    (void)state;
    open_pair(&pair);
    assert_int_equal(sigaction(SIGPIPE, &action, &before), 0);
    signals = 0;
    assert_int_equal(shutdown(pair.client, SHUT_WR), 0);
    wait_for_end(pair.client);
    assert_int_equal(write(pair.client, "x", 1), -1);
    assert_int_equal(errno, EPIPE);
    assert_int_equal(signals, 1);
    sigaction(SIGPIPE, &before, NULL);
    close_pair(&pair);
}

static void linger_of_zero_aborts(void **state)
{
    struct linger linger = {.l_onoff = 1};
    struct pair pair;
    char byte;

    (void)state;
    open_pair(&pair);
    assert_int_equal(setsockopt(pair.client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    assert_int_equal(close(pair.client), 0);
    wait_for(pair.server, POLLIN | POLLERR);
    assert_int_equal(recv(pair.server, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    assert_int_equal(recv(pair.server, &byte, 1, 0), -1);
    assert_int_equal(errno, ENOTCONN);
    close(pair.server);
    close(pair.listener);
}

/* ---- Waiting ---- */

static void timeouts(void **state)
{
    static char bytes[8192];
    struct pair pair;
    ssize_t sent;
    int count = 0;

    (void)state;
    open_pair(&pair);
    set_timeout(pair.server, SO_RCVTIMEO, 50);
    assert_int_equal(recv(pair.server, bytes, sizeof(bytes), 0), -1);
    assert_int_equal(errno, EAGAIN);
    set_timeout(pair.client, SO_SNDTIMEO, 50);
    while ((sent = send(pair.client, bytes, sizeof(bytes), 0)) > 0 && count < 10000)
        count++; /* nobody reads */
    assert_int_equal(sent, -1);
    assert_int_equal(errno, EAGAIN);
    assert_true(count > 4);
    set_timeout(pair.server, SO_RCVTIMEO, PATIENCE_MS);
    for (size_t read = 0; read < (size_t)count * sizeof(bytes);) {
        ssize_t length = recv(pair.server, bytes, sizeof(bytes), 0);

        assert_true(length > 0);
        read += (size_t)length;
    }
    wait_for(pair.client, POLLOUT);
    close_pair(&pair);
}

static void select_and_poll(void **state)
{
    struct timeval now = {0}, later = {PATIENCE_MS / 1000, 0};
    struct pollfd entry;
    struct pair pair;
    fd_set readable, writable;

    (void)state;
    open_pair(&pair);
    FD_ZERO(&readable);
    FD_SET(pair.server, &readable);
    assert_int_equal(select(pair.server + 1, &readable, NULL, NULL, &now), 0);
    FD_ZERO(&writable);
    FD_SET(pair.client, &writable);
    assert_int_equal(select(pair.client + 1, NULL, &writable, NULL, &now), 1);
    assert_int_equal(send(pair.client, "x", 1, 0), 1);
    FD_SET(pair.server, &readable);
    assert_int_equal(select(pair.server + 1, &readable, NULL, NULL, &later), 1);
    assert_receives(pair.server, "x");
    entry = (struct pollfd){.fd = pair.server, .events = POLLIN | POLLOUT};
    assert_int_equal(poll(&entry, 1, 0), 1);
    assert_int_equal(entry.revents, POLLOUT);
    close(pair.client);
    wait_for(pair.server, POLLIN);
    entry.events = POLLIN | POLLRDHUP;
    assert_int_equal(poll(&entry, 1, 0), 1);
    assert_true(entry.revents & POLLRDHUP);
    close(pair.server);
    close(pair.listener);
}

static void epoll_by_edges(void **state)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET}, got;
    int set = epoll_create1(EPOLL_CLOEXEC);
    struct pair pair;

    (void)state;
    open_pair(&pair);
    event.data.fd = pair.server;
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, pair.server, &event), 0);
    assert_int_equal(epoll_wait(set, &got, 1, 0), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(send(pair.client, "x", 1, 0), 1);
        assert_int_equal(epoll_wait(set, &got, 1, PATIENCE_MS), 1);
        assert_int_equal(got.data.fd, pair.server);
        assert_int_equal(epoll_wait(set, &got, 1, 0), 0); /* only once, though it is not read */
    }
    for (int i = 0; i < 3; i++)
        assert_receives(pair.server, "x");
    close(set);
    close_pair(&pair);
}

static void signal_interrupts(void **state)
{
    struct sigaction action = {.sa_handler = count_signal}, before;
    struct pair pair;
    pid_t child;
    char byte;

    (void)state;
    open_pair(&pair);
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    signals = 0;
    child = fork();
    if (child == 0) {
        for (int i = 0; i < 500 && kill(getppid(), SIGUSR1) == 0; i++)
            usleep(10000); /* until the parent is where it waits, and says so by killing us */
        _exit(1);
    }
    assert_int_equal(recv(pair.server, &byte, 1, 0), -1);
    assert_int_equal(errno, EINTR);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_true(signals > 0);
    sigaction(SIGUSR1, &before, NULL);
    close_pair(&pair);
}

/* ---- Processes, descriptors, threads ---- */

static void fork_shares(void **state)
{
    struct pair pair;
    char byte;
    pid_t child;

    (void)state;
    open_pair(&pair);
    child = fork();
    if (child == 0) {
        close(pair.client);
        if (recv(pair.server, &byte, 1, 0) != 1 || send(pair.server, "child", 5, 0) != 5)
            _exit(1);
        _exit(0);
    }
    close(pair.server); /* the child's copy holds the association */
    assert_int_equal(send(pair.client, "x", 1, 0), 1);
    assert_receives(pair.client, "child");
    assert_child_succeeds(child);
    assert_int_equal(recv(pair.client, &byte, 1, 0), 0);
    close(pair.client);
    close(pair.listener);
}

static void copies(void **state)
{
    struct pair pair;
    int copy, at;

    (void)state;
    open_pair(&pair);
    copy = dup(pair.server);
    assert_true(copy >= 0);
    at = fcntl(pair.client, F_DUPFD_CLOEXEC, 100);
    assert_true(at >= 100);
    close(pair.server);
    close(pair.client);
    assert_int_equal(send(at, "copy", 4, 0), 4);
    assert_receives(copy, "copy");
    assert_int_equal(dup2(copy, pair.server), pair.server);
    assert_int_equal(dup3(at, pair.client, O_CLOEXEC), pair.client);
    close(copy);
    close(at);
    assert_int_equal(send(pair.server, "again", 5, 0), 5);
    assert_receives(pair.client, "again");
    close_pair(&pair);
}

/* A number that was a socket is a file's, and the other way round, without a close() to be seen. */
static void numbers_change_hands(void **state)
{
    struct pair pair;
    int numbers[2];
    char byte;

    (void)state;
    open_pair(&pair);
    assert_int_equal(pipe(numbers), 0);
    assert_int_equal(close_range((unsigned int)pair.server, (unsigned int)pair.server, 0), 0);
    assert_int_equal(fcntl(numbers[0], F_DUPFD, pair.server), pair.server);
    assert_int_equal(write(numbers[1], "p", 1), 1);
    assert_int_equal(read(pair.server, &byte, 1), 1);
    assert_int_equal(byte, 'p');
    assert_int_equal(recv(pair.server, &byte, 1, 0), -1);
    assert_int_equal(errno, ENOTSOCK);
    assert_int_equal(recv(pair.client, &byte, 1, 0), 0);
    assert_int_equal(close_range((unsigned int)pair.server, (unsigned int)pair.server, 0), 0);
    assert_int_equal(dup2(pair.client, pair.server), pair.server);
    assert_int_equal(socket_error(pair.server), 0);
    close(numbers[0]);
    close(numbers[1]);
    close_pair(&pair);
}

extern char **environ;
static const char *own_path;

/* The inherited descriptor is the argument. */
static int inherited(const char *argument)
{
    int descriptor = atoi(argument);
    char bytes[16];
    ssize_t length = read(descriptor, bytes, sizeof(bytes));

    if (length < 0)
        return errno == EBADF ? 3 : 1;
    return send(descriptor, bytes, (size_t)length, 0) == length ? 0 : 2;
}

static int spawn_inherited(int descriptor)
{
    char number[16];
    char *arguments[] = {(char *)(uintptr_t)own_path, "--inherited", number, NULL};
    int status;
    pid_t child;

    snprintf(number, sizeof(number), "%d", descriptor);
    assert_int_equal(posix_spawn(&child, own_path, NULL, NULL, arguments, environ), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void exec_inherits(void **state)
{
    struct pair pair;

    (void)state;
    open_pair(&pair);
    assert_int_equal(send(pair.client, "exec", 4, 0), 4);
    assert_int_equal(spawn_inherited(pair.server), 0);
    assert_receives(pair.client, "exec");
    assert_int_equal(fcntl(pair.server, F_SETFD, FD_CLOEXEC), 0);
    assert_int_equal(spawn_inherited(pair.server), 3);
    close_pair(&pair);
}

/* unix(7): the descriptor goes to another process, which never made it. */
static void passed_to_another_process(void **state)
{
    char byte = 'x';
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
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, cable), 0);
    child = fork();
    if (child == 0) {
        int descriptor;

        if (recvmsg(cable[1], &message, 0) != 1)
            _exit(1);
        memcpy(&descriptor, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(descriptor));
        _exit(recv(descriptor, &byte, 1, 0) == 1 && send(descriptor, "got", 3, 0) == 3 ? 0 : 2);
    }
    open_pair(&pair);
    memcpy(CMSG_DATA(&rights.header), &pair.server, sizeof(int));
    assert_int_equal(sendmsg(cable[0], &message, 0), 1);
    close(pair.server);
    assert_int_equal(send(pair.client, "y", 1, 0), 1);
    assert_receives(pair.client, "got");
    assert_child_succeeds(child);
    close(cable[0]);
    close(cable[1]);
    close(pair.client);
    close(pair.listener);
}

#define THREADS 4
#define EACH 500

struct worker {
    pthread_t thread;
    int descriptor;
    uint32_t number;
};

static void *send_numbers(void *argument)
{
    const struct worker *worker = argument;

    for (uint32_t i = 0; i < EACH; i++) {
        uint32_t message[64] = {worker->number, i};

        if (send(worker->descriptor, message, 8 + i % 200, 0) != 8 + i % 200)
            return (void *)(uintptr_t)1;
    }
    return NULL;
}

static void threads_on_one_socket(void **state)
{
    struct worker worker[THREADS];
    uint32_t next[THREADS] = {0};
    struct pair pair;

    (void)state;
    open_pair(&pair);
    for (uint32_t i = 0; i < THREADS; i++) {
        worker[i].descriptor = pair.client;
        worker[i].number = i;
        assert_int_equal(pthread_create(&worker[i].thread, NULL, send_numbers, &worker[i]), 0);
    }
    for (int i = 0; i < THREADS * EACH; i++) {
        uint32_t message[64];
        ssize_t length = recv(pair.server, message, sizeof(message), 0);

        assert_true(length >= 8);
        assert_true(message[0] < THREADS);
        assert_int_equal(message[1], next[message[0]]++);
        assert_int_equal(length, 8 + message[1] % 200);
    }
    for (int i = 0; i < THREADS; i++) {
        void *result;

        assert_int_equal(pthread_join(worker[i].thread, &result), 0);
        assert_null(result);
    }
    close_pair(&pair);
}

/* ---- What makes no sense ---- */

static void *read_once(void *descriptor)
{
    char byte;

    return (void *)(intptr_t)recv(*(int *)descriptor, &byte, 1, 0);
}

/* A thread that waits in recv() hears of a shutdown() of reading; what was sent meanwhile goes out,
 * and what is closed then ends in peace. A one-to-many socket cannot be shut down, and says so, but
 * its reader wakes up. */
static void shutdown_wakes_the_reader(void **state)
{
    int many = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
    struct pair pair;

    (void)state;
    open_pair(&pair);
    for (int turn = 0; turn < 2; turn++) {
        int descriptor = turn == 0 ? pair.client : many;
        pthread_t thread;
        void *result;
        char byte;

        if (turn == 1)
            assert_int_equal(connect(many, (struct sockaddr *)&pair.address, sizeof(pair.address)),
                             0);
        assert_int_equal(pthread_create(&thread, NULL, read_once, &descriptor), 0);
        usleep(50000);
        assert_int_equal(shutdown(descriptor, SHUT_RD), turn == 0 ? 0 : -1);
        assert_int_equal(pthread_join(thread, &result), 0);
        assert_int_equal((intptr_t)result, 0);
        errno = 0;
        assert_int_equal(recv(descriptor, &byte, 1, 0), 0);
        assert_int_equal(errno, 0); /* lksctp's tests look at it */
        wait_for(descriptor, POLLIN);
    }
    assert_int_equal(send(pair.client, "last", 4, 0), 4);
    assert_int_equal(send(pair.server, "for nobody", 10, 0), 10);
    usleep(50000);
    close(pair.client);
    assert_receives(pair.server, "last");
    assert_receives(pair.server, "");
    close(many);
    close(pair.server);
    close(pair.listener);
}

static void errors(void **state)
{
    struct sockaddr_in address;
    socklen_t length = sizeof(address);
    int client = new_socket(SOCK_STREAM);
    struct msghdr message = {.msg_iov = (void *)-1, .msg_iovlen = 1};
    struct pair pair;
    char byte;

    (void)state;
    assert_int_equal(recv(client, &byte, 1, 0), -1);
    assert_int_equal(errno, ENOTCONN);
    assert_int_equal(send(client, "x", 1, MSG_NOSIGNAL), -1);
    assert_int_equal(errno, EPIPE);
    assert_int_equal(getpeername(client, (struct sockaddr *)&address, &length), -1);
    assert_int_equal(errno, ENOTCONN);
    assert_int_equal(accept(client, NULL, NULL), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(setsockopt(client, IPPROTO_SCTP, 9999, &byte, 1), -1);
    assert_int_equal(errno, ENOPROTOOPT);
    close(client);
    assert_int_equal(send(client, "x", 1, 0), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(socket(AF_UNIX, SOCK_STREAM, IPPROTO_SCTP), -1);

    assert_int_equal(socket(AF_INET, -1, IPPROTO_SCTP), -1);
    assert_int_equal(errno, EINVAL);

    open_pair(&pair);
    assert_int_equal(shutdown(pair.listener, SHUT_RD), -1);
    assert_int_equal(errno, EOPNOTSUPP);
    assert_int_equal(shutdown(pair.listener, SHUT_WR), 0);
    assert_int_equal(sendmsg(pair.client, &message, MSG_NOSIGNAL), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(recvmsg(pair.client, &message, 0), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(getsockname(pair.client, (void *)-1, &length), -1);
    assert_int_equal(errno, EFAULT);
    client = new_socket(SOCK_STREAM);
    assert_int_equal(connect(client, (void *)-1, sizeof(address)), -1);
    assert_int_equal(errno, EFAULT);
    address = pair.address;
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(bind(client, (struct sockaddr *)&pair.address, sizeof(pair.address)), -1);
    assert_int_equal(errno, EADDRINUSE);
    assert_int_equal(connect(pair.client, (struct sockaddr *)&pair.address, sizeof(address)), -1);
    assert_int_equal(errno, EISCONN);
    close(client);
    close_pair(&pair);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connect_and_names),
        cmocka_unit_test(connect_without_waiting),
        cmocka_unit_test(connect_refused),
        cmocka_unit_test(close_is_over),
#ifndef TRAPPED /* then sockets have numbers of their own */
        cmocka_unit_test(lowest_descriptor),
#endif
        cmocka_unit_test(accept_with_options),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(messages_keep_their_edges),
        cmocka_unit_test(message_read_in_pieces),
        cmocka_unit_test(peek_leaves_it),
        cmocka_unit_test(vectors_and_many_messages),
        cmocka_unit_test(large_messages_and_a_file),
        cmocka_unit_test(streams_of_stdio),
        cmocka_unit_test(end_of_file),
        cmocka_unit_test(shutdown_sends_first),
        cmocka_unit_test(broken_pipe),
        cmocka_unit_test(linger_of_zero_aborts),
        cmocka_unit_test(timeouts),
        cmocka_unit_test(select_and_poll),
        cmocka_unit_test(epoll_by_edges),
        cmocka_unit_test(signal_interrupts),
        cmocka_unit_test(fork_shares),
        cmocka_unit_test(copies),
        cmocka_unit_test(numbers_change_hands),
        cmocka_unit_test(exec_inherits),
#ifndef TRAPPED
        cmocka_unit_test(passed_to_another_process),
#endif
        cmocka_unit_test(threads_on_one_socket),
        cmocka_unit_test(shutdown_wakes_the_reader),
        cmocka_unit_test(errors),
    };

    own_path = "/proc/self/exe";
    if (count == 3 && strcmp(arguments[1], "--inherited") == 0)
        return inherited(arguments[2]);
    alarm(100);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
