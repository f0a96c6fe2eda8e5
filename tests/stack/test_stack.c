/*
 * The stack process and one-to-one sockets, as programs see them through the channel.
 *
 * RFC 6458, section 4 (one-to-one), 8.1.4 (SO_LINGER), 8.1.6 (SO_SNDBUF); src/channel/channel.h.
 */
#include <errno.h>
#include <fcntl.h>
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
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "program.h"

enum { PORT = 5000, NOBODY = 5001 };

/* The stack of a test, a listener, and an association from `client` to `server`. */
struct fixture {
    struct stack_process stack;
    int listener, client, server;
};

static void open_listener(struct fixture *fixture, const char *const *options)
{
    stack_start(&fixture->stack, options);
    fixture->listener = program_socket(&fixture->stack, AF_INET, SOCK_STREAM);
    assert_true(fixture->listener >= 0);
    assert_int_equal(program_bind(&fixture->stack, fixture->listener, PORT), 0);
    assert_int_equal(program_listen(&fixture->stack, fixture->listener, 8), 0);
}

static int open_client(struct fixture *fixture)
{
    int client = program_socket(&fixture->stack, AF_INET, SOCK_STREAM);

    assert_true(client >= 0);
    assert_int_equal(program_connect(&fixture->stack, client, PORT, true), 0);
    return client;
}

static void open_association(struct fixture *fixture, const char *const *options)
{
    open_listener(fixture, options);
    fixture->client = open_client(fixture);
    fixture->server = program_accept(fixture->listener);
    assert_true(fixture->server >= 0);
}

static void close_all(struct fixture *fixture)
{
    close(fixture->client);
    close(fixture->server);
    close(fixture->listener);
    stack_stop(&fixture->stack);
}

static const char *const plain[] = {"--no-udp", NULL};

static void fill(uint8_t *bytes, size_t length, unsigned int seed)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(i * 7 + (size_t)seed * 31 + (i >> 8));
}

/* Reads one message and checks that it is the one with this seed. */
static void expect_message(int descriptor, size_t length, unsigned int seed)
{
    struct channel_header header;
    uint8_t *expected = malloc(length), *bytes = malloc(length);
    size_t got = 0;

    fill(expected, length, seed);
    do {
        ssize_t received = program_receive(descriptor, &header, bytes + got, length - got, 0);

        assert_true(received > 0);
        got += (size_t)received;
    } while (!(header.flags & CHANNEL_END_OF_RECORD));
    assert_int_equal(got, length);
    assert_memory_equal(bytes, expected, length);
    free(expected);
    free(bytes);
}

static void send_message(struct fixture *fixture, int descriptor, size_t length, unsigned int seed)
{
    uint8_t *bytes = malloc(length);

    fill(bytes, length, seed);
    assert_int_equal(program_send(&fixture->stack, descriptor, bytes, length, 0), 0);
    free(bytes);
}

static void expect_end(int descriptor)
{
    struct channel_header header;
    char byte;

    assert_int_equal(program_receive(descriptor, &header, &byte, 1, 0), 0);
}

/* ---- The life of an association ---- */

static void test_echo(void **state)
{
    struct fixture fixture;

    (void)state;
    open_association(&fixture, plain);
    for (unsigned int i = 0; i < 100; i++) {
        send_message(&fixture, fixture.client, 1 + i * 37, i);
        expect_message(fixture.server, 1 + i * 37, i);
        send_message(&fixture, fixture.server, 1 + i, i + 1);
        expect_message(fixture.client, 1 + i, i + 1);
    }
    close_all(&fixture);
}

static void test_addresses(void **state)
{
    struct fixture fixture;
    union channel_address address;
    struct call call = {
        .operation = CHANNEL_GETPEERNAME, .answer = &address, .answer_size = sizeof(address)};

    (void)state;
    open_association(&fixture, plain);
    call.descriptor = fixture.client;
    assert_int_equal(program_call(&fixture.stack, &call), 0);
    assert_int_equal(call.answer_length, sizeof(address.in));
    assert_int_equal(ntohs(address.in.sin_port), PORT);
    call.operation = CHANNEL_GETSOCKNAME;
    call.descriptor = fixture.server;
    assert_int_equal(program_call(&fixture.stack, &call), 0);
    assert_int_equal(ntohs(address.in.sin_port), PORT);
    call.operation = CHANNEL_GETPEERNAME;
    call.descriptor = fixture.listener;
    assert_int_equal(program_call(&fixture.stack, &call), -ENOTCONN);
    close_all(&fixture);
}

static void test_close_is_graceful(void **state)
{
    struct fixture fixture;

    (void)state;
    open_association(&fixture, plain);
    send_message(&fixture, fixture.client, 1000, 1);
    close(fixture.client);
    expect_message(fixture.server, 1000, 1);
    expect_end(fixture.server);
    assert_true(program_slot(&fixture.stack, fixture.server)->state & CHANNEL_STATE_SHUT_READ);
    assert_int_equal(program_take_error(&fixture.stack, fixture.server), 0);
    close_all(&fixture);
}

static void test_close_with_unread_resets(void **state)
{
    struct fixture fixture;

    (void)state;
    open_association(&fixture, plain);
    send_message(&fixture, fixture.client, 1000, 1);
    assert_true(program_wait(fixture.server, POLLIN));
    close(fixture.server);
    expect_end(fixture.client);
    assert_false(program_slot(&fixture.stack, fixture.client)->state & CHANNEL_STATE_SHUT_READ);
    assert_int_equal(program_take_error(&fixture.stack, fixture.client), -ECONNRESET);
    assert_int_equal(program_take_error(&fixture.stack, fixture.client), 0);
    close_all(&fixture);
}

static void test_linger_without_time_resets(void **state)
{
    struct fixture fixture;
    struct linger linger = {.l_onoff = 1};

    (void)state;
    open_association(&fixture, plain);
    assert_int_equal(program_set_option(&fixture.stack, fixture.client, SOL_SOCKET, SO_LINGER,
                                        &linger, sizeof(linger)),
                     0);
    close(fixture.client);
    expect_end(fixture.server);
    assert_int_equal(program_take_error(&fixture.stack, fixture.server), -ECONNRESET);
    close_all(&fixture);
}

static void test_shutdown(void **state)
{
    struct fixture fixture;

    (void)state;
    open_association(&fixture, plain);
    send_message(&fixture, fixture.client, 500, 3);
    assert_int_equal(program_shutdown(&fixture.stack, fixture.client, 7), -EINVAL);
    assert_int_equal(program_shutdown(&fixture.stack, fixture.client, SHUT_WR), 0);
    assert_true(program_slot(&fixture.stack, fixture.client)->state & CHANNEL_STATE_SHUT_WRITE);
    expect_message(fixture.server, 500, 3);
    expect_end(fixture.server);
    expect_end(fixture.client);
    assert_int_equal(program_shutdown(&fixture.stack, fixture.listener, SHUT_WR), 0);
    close_all(&fixture);
}

/* A fork: the association lives until the last holder closes. */
static void test_last_close_counts(void **state)
{
    struct fixture fixture;
    int other;

    (void)state;
    open_association(&fixture, plain);
    other = dup(fixture.client);
    close(fixture.client);
    send_message(&fixture, other, 10, 1);
    expect_message(fixture.server, 10, 1);
    close(other);
    expect_end(fixture.server);
    fixture.client = -1;
    close_all(&fixture);
}

/* ---- connect() ---- */

static void test_connect_refused(void **state)
{
    struct fixture fixture;
    int client;

    (void)state;
    open_listener(&fixture, plain);
    client = program_socket(&fixture.stack, AF_INET, SOCK_STREAM);
    assert_int_equal(program_connect(&fixture.stack, client, NOBODY, true), -ECONNREFUSED);
    assert_false(program_is(client, POLLOUT));
    /* the socket is alive, and may connect again */
    assert_int_equal(program_connect(&fixture.stack, client, PORT, true), 0);
    assert_true(program_is(client, POLLOUT));
    assert_int_equal(program_connect(&fixture.stack, client, PORT, true), -EISCONN);
    fixture.client = client;
    fixture.server = program_accept(fixture.listener);
    close_all(&fixture);
}

static void test_connect_without_waiting(void **state)
{
    struct fixture fixture;
    int client;

    (void)state;
    open_listener(&fixture, plain);
    client = program_socket(&fixture.stack, AF_INET, SOCK_STREAM);
    assert_false(program_is(client, POLLOUT));
    assert_int_equal(program_connect(&fixture.stack, client, PORT, false), -EINPROGRESS);
    assert_true(program_wait(client, POLLOUT));
    assert_int_equal(program_take_error(&fixture.stack, client), 0);
    assert_true(program_slot(&fixture.stack, client)->state & CHANNEL_STATE_CONNECTED);
    fixture.client = client;
    fixture.server = program_accept(fixture.listener);
    send_message(&fixture, client, 10, 1);
    expect_message(fixture.server, 10, 1);
    close_all(&fixture);
}

static void test_connect_without_waiting_refused(void **state)
{
    struct fixture fixture;
    int client;

    (void)state;
    open_listener(&fixture, plain);
    client = program_socket(&fixture.stack, AF_INET, SOCK_STREAM);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(program_connect(&fixture.stack, client, NOBODY, false), -EINPROGRESS);
        assert_true(program_wait(client, POLLOUT));
        assert_true(program_slot(&fixture.stack, client)->state & CHANNEL_STATE_ERROR);
        assert_int_equal(program_take_error(&fixture.stack, client), -ECONNREFUSED);
    }
    close(client);
    close(fixture.listener);
    stack_stop(&fixture.stack);
}

/* Whoever waits for connect() may give up; the association comes up all the same. */
static void test_connect_given_up(void **state)
{
    struct fixture fixture;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct call call = {.operation = CHANNEL_CONNECT,
                        .argument = {1},
                        .payload = &address,
                        .length = sizeof(address)};
    int connection;

    (void)state;
    open_listener(&fixture, plain);
    fixture.client = program_socket(&fixture.stack, AF_INET, SOCK_STREAM);
    call.descriptor = fixture.client;
    connection = channel_connect(fixture.stack.name);
    assert_int_equal(program_ask(connection, &call), 0);
    close(connection);
    fixture.server = program_accept(fixture.listener);
    assert_true(program_wait(fixture.client, POLLOUT));
    close_all(&fixture);
}

static void test_backlog(void **state)
{
    struct fixture fixture;
    int clients[16], accepted = 0, failed = 0;

    (void)state;
    open_listener(&fixture, plain);
    assert_int_equal(program_listen(&fixture.stack, fixture.listener, 3), 0);
    for (int i = 0; i < 16; i++) {
        clients[i] = program_socket(&fixture.stack, AF_INET, SOCK_STREAM);
        failed += program_connect(&fixture.stack, clients[i], PORT, true) == -ECONNREFUSED;
    }
    assert_in_range(failed, 11, 13);
    while (program_is(fixture.listener, POLLIN)) {
        close(program_accept(fixture.listener));
        accepted++;
    }
    assert_int_equal(accepted, 16 - failed);
    /* and there is room again */
    fixture.client = open_client(&fixture);
    fixture.server = program_accept(fixture.listener);
    for (int i = 0; i < 16; i++)
        close(clients[i]);
    close_all(&fixture);
}

/* ---- Much at once ---- */

static void test_long_messages(void **state)
{
    static const size_t lengths[] = {
        1, 1400, 65536, CHANNEL_PIECE_MAXIMUM, CHANNEL_PIECE_MAXIMUM + 1, 200000, 212992};
    struct fixture fixture;

    (void)state;
    open_association(&fixture, plain);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        send_message(&fixture, fixture.client, lengths[i], (unsigned int)i);
        expect_message(fixture.server, lengths[i], (unsigned int)i);
    }
    close_all(&fixture);
}

static void test_too_long_message(void **state)
{
    struct fixture fixture;

    (void)state;
    open_association(&fixture, plain);
    assert_int_equal(program_slot(&fixture.stack, fixture.client)->message_maximum, 212992);
    send_message(&fixture, fixture.client, 212993, 1); /* the library would say EMSGSIZE */
    send_message(&fixture, fixture.client, 100, 2);
    expect_message(fixture.server, 100, 2);
    close_all(&fixture);
}

/* Sends until the socket is full: how many messages it took. */
static unsigned int send_until_full(struct fixture *fixture, int descriptor, size_t length)
{
    uint8_t bytes[16384];
    unsigned int count = 0;

    for (int i = 0; i < 100; i++) {
        fill(bytes, length, count);
        while (program_send(&fixture->stack, descriptor, bytes, length, MSG_DONTWAIT) == 0) {
            count++;
            fill(bytes, length, count);
        }
        poll(NULL, 0, 1); /* the stack makes room as long as it can */
    }
    return count;
}

static void test_reader_stops(void **state)
{
    static const size_t lengths[] = {64, 1024, 16384};

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct fixture fixture;
        unsigned int count;

        open_association(&fixture, plain);
        count = send_until_full(&fixture, fixture.client, lengths[i]);
        assert_false(program_is(fixture.client, POLLOUT));
        /* the buffers of both, and what stands in the descriptors: not more */
        assert_true(count * lengths[i] < 2000000);
        for (unsigned int j = 0; j < count; j++)
            expect_message(fixture.server, lengths[i], j);
        assert_true(program_wait(fixture.client, POLLOUT));
        close_all(&fixture);
    }
}

/* What was sent before shutdown() or close() arrives before the end, though it did not fit. */
static void test_end_behind_full_buffers(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fixture fixture;
        unsigned int count;

        open_association(&fixture, plain);
        count = send_until_full(&fixture, fixture.client, 4096);
        if (i == 0)
            assert_int_equal(program_shutdown(&fixture.stack, fixture.client, SHUT_WR), 0);
        else
            close(fixture.client);
        for (unsigned int j = 0; j < count; j++)
            expect_message(fixture.server, 4096, j);
        expect_end(fixture.server);
        assert_int_equal(program_take_error(&fixture.stack, fixture.server), 0);
        close_all(&fixture);
    }
}

static void test_linger_waits(void **state)
{
    struct fixture fixture;
    struct linger linger = {.l_onoff = 1, .l_linger = 60};
    struct call call = {.operation = CHANNEL_CLOSE_LINGER};
    struct pollfd reply;
    unsigned int count;
    int connection;

    (void)state;
    open_association(&fixture, plain);
    assert_int_equal(program_set_option(&fixture.stack, fixture.client, SOL_SOCKET, SO_LINGER,
                                        &linger, sizeof(linger)),
                     0);
    count = send_until_full(&fixture, fixture.client, 4096);
    connection = channel_connect(fixture.stack.name);
    call.descriptor = fixture.client;
    assert_int_equal(program_ask(connection, &call), 0);
    assert_int_equal(program_hear(connection, &call), 1);
    close(fixture.client);
    call.descriptor = -1;
    assert_int_equal(program_ask(connection, &call), 0);
    reply = (struct pollfd){.fd = connection, .events = POLLIN};
    assert_int_equal(poll(&reply, 1, 100), 0);
    for (unsigned int j = 0; j < count; j++)
        expect_message(fixture.server, 4096, j);
    expect_end(fixture.server);
    assert_int_equal(program_hear(connection, &call), 0);
    close(connection);
    close_all(&fixture);
}

/* ---- The stack process itself ---- */

static void test_stack_is_killed(void **state)
{
    struct fixture fixture;
    struct stack_process old;
    int error;

    (void)state;
    open_association(&fixture, plain);
    old = fixture.stack;
    assert_int_equal(kill(old.page->stack_pid, SIGKILL), 0);
    expect_end(fixture.client);
    expect_end(fixture.server);
    /* ECONNRESET as long as its descriptors are being closed */
    while ((error = program_take_error(&old, fixture.client)) == -ECONNRESET)
        poll(NULL, 0, 1);
    assert_int_equal(error, -ECONNREFUSED);
    close(fixture.client);
    close(fixture.server);
    close(fixture.listener);
    open_association(&fixture, plain); /* the next one works */
    close_all(&fixture);
}

static void test_idle_stack_ends(void **state)
{
    static const char *const options[] = {"--no-udp", "--idle", "1", NULL};
    struct stack_process stack;
    int descriptor, connection = -1;

    (void)state;
    stack_start(&stack, options);
    descriptor = program_socket(&stack, AF_INET, SOCK_STREAM);
    poll(NULL, 0, 2000);
    connection = channel_connect(stack.name); /* still there */
    assert_true(connection >= 0);
    close(connection);
    close(descriptor);
    for (int i = 0; i < 200; i++) {
        poll(NULL, 0, 100);
        connection = channel_connect(stack.name);
        if (connection < 0)
            break;
        close(connection);
        poll(NULL, 0, 1500); /* a connection counts, too: ask seldom */
    }
    assert_int_equal(connection, -ECONNREFUSED);
}

static void test_capture_survives_kill(void **state)
{
    char path[] = "/tmp/braid-test-XXXXXX";
    const char *const options[] = {"--no-udp", "--capture", path, NULL};
    struct fixture fixture;
    struct stat before, after;
    uint8_t magic[4];
    int file = mkstemp(path);

    (void)state;
    assert_true(file >= 0);
    open_association(&fixture, options);
    assert_int_equal(fstat(file, &before), 0);
    send_message(&fixture, fixture.client, 1000, 1);
    expect_message(fixture.server, 1000, 1);
    /* the reply to a request comes after the turn that wrote the packets */
    assert_int_equal(program_take_error(&fixture.stack, fixture.client), 0);
    kill(fixture.stack.page->stack_pid, SIGKILL);
    expect_end(fixture.client);
    assert_int_equal(fstat(file, &after), 0);
    assert_true(after.st_size >= before.st_size + 1000);
    assert_int_equal(pread(file, magic, 4, 0), 4);
    assert_memory_equal(magic, "\x0a\x0d\x0d\x0a", 4);
    close(fixture.client);
    close(fixture.server);
    close(fixture.listener);
    close(file);
    unlink(path);
}

static void test_page_is_not_for_writing(void **state)
{
    struct stack_process stack;
    struct call hello = {.operation = CHANNEL_HELLO, .descriptor = -1};

    (void)state;
    stack_start(&stack, plain);
    assert_int_equal(program_call(&stack, &hello), 0);
    assert_ptr_equal(mmap(NULL, sizeof(*stack.page), PROT_READ | PROT_WRITE, MAP_SHARED,
                          hello.answer_descriptor, 0),
                     MAP_FAILED);
    assert_int_equal(pwrite(hello.answer_descriptor, "x", 1, 0), -1);
    assert_int_equal(ftruncate(hello.answer_descriptor, 0), -1);
    close(hello.answer_descriptor);
    stack_stop(&stack);
}

/* ---- Programs that mean harm ---- */

static void test_foreign_descriptors(void **state)
{
    struct fixture fixture;
    int pair[2], null = open("/dev/null", O_RDWR);
    struct sockaddr_un name;
    socklen_t length;

    (void)state;
    open_association(&fixture, plain);
    assert_int_equal(program_take_error(&fixture.stack, null), -ENOTSOCK);
    assert_int_equal(program_take_error(&fixture.stack, -1), -ENOTSOCK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    assert_int_equal(program_take_error(&fixture.stack, pair[0]), -ENOTSOCK);
    /* a name of the right form, but of no socket */
    assert_int_equal(channel_socket_name(fixture.stack.name, 17, 1, &name, &length), 0);
    assert_int_equal(bind(pair[0], (struct sockaddr *)&name, length), 0);
    assert_int_equal(program_take_error(&fixture.stack, pair[0]), -ENOTSOCK);
    close(null);
    close(pair[0]);
    close(pair[1]);
    close_all(&fixture);
}

static void test_senseless_requests(void **state)
{
    struct stack_process stack;
    struct channel_request request = {.version = CHANNEL_VERSION};
    struct channel_reply reply;
    uint8_t junk[4096];
    int connection;

    (void)state;
    stack_start(&stack, plain);
    fill(junk, sizeof(junk), 9);
    for (uint32_t operation = 0; operation < 40; operation++) {
        struct call call = {.operation = operation,
                            .argument = {-1, -1, -1, -1},
                            .descriptor = -1,
                            .payload = junk,
                            .length = sizeof(junk)};
        int result;

        if (operation == CHANNEL_HELLO || operation == CHANNEL_STATUS ||
            operation == CHANNEL_STOP || operation == CHANNEL_CLOSE_LINGER ||
            operation == CHANNEL_CAPTURE)
            continue;
        result = program_call(&stack, &call);
        assert_true(result < 0 && result != -ECONNRESET);
    }
    connection = channel_connect(stack.name);
    assert_int_equal(send(connection, junk, 3, 0), 3); /* too short for a request */
    assert_int_equal(recv(connection, &reply, sizeof(reply), 0), 0);
    close(connection);
    connection = channel_connect(stack.name);
    request.version = 99;
    assert_int_equal(send(connection, &request, sizeof(request), 0), sizeof(request));
    assert_int_equal(recv(connection, &reply, sizeof(reply), 0), sizeof(reply));
    assert_int_equal(reply.result, -EPROTONOSUPPORT);
    request.version = CHANNEL_VERSION;
    request.length = 1;
    assert_int_equal(send(connection, &request, sizeof(request), 0), sizeof(request));
    assert_int_equal(recv(connection, &reply, sizeof(reply), 0), sizeof(reply));
    assert_int_equal(reply.result, -EBADMSG);
    close(connection);
    stack_stop(&stack);
}

static void test_senseless_data(void **state)
{
    struct fixture fixture;
    struct channel_header header = {.type = CHANNEL_PLUG};
    uint8_t junk[1000];
    int null = open("/dev/null", O_RDWR);

    (void)state;
    open_association(&fixture, plain);
    fill(junk, sizeof(junk), 1);
    assert_int_equal(send(fixture.client, junk, 0, 0), 0);
    assert_int_equal(send(fixture.client, junk, 1, 0), 1);
    assert_int_equal(send(fixture.client, junk, sizeof(junk), 0), sizeof(junk));
    (void)channel_send(fixture.client, &header, sizeof(header), junk, 10, null);
    header.type = CHANNEL_SEND;
    header.address_count = 65535; /* addresses that do not follow */
    assert_int_equal(channel_send(fixture.client, &header, sizeof(header), junk, 10, -1), 0);
    header.address_count = 0;
    header.flags = CHANNEL_MORE; /* many senders that never finish */
    for (uint64_t i = 2; i < 3000; i++) {
        header.sender = i;
        assert_int_equal(channel_send(fixture.client, &header, sizeof(header), junk, 100, -1), 0);
    }
    send_message(&fixture, fixture.client, 100, 5);
    expect_message(fixture.server, 100, 5);
    close(null);
    close_all(&fixture);
}

/* A datagram that is sent down once its program has gone half away harms nobody. */
static void test_half_closed_end(void **state)
{
    struct fixture fixture;

    (void)state;
    open_association(&fixture, plain);
    assert_int_equal(shutdown(fixture.server, SHUT_RD), 0);
    for (unsigned int i = 0; i < 100; i++)
        send_message(&fixture, fixture.client, 1000, i);
    assert_int_equal(program_take_error(&fixture.stack, fixture.client), 0);
    close_all(&fixture);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_close_is_graceful),
        cmocka_unit_test(test_close_with_unread_resets),
        cmocka_unit_test(test_linger_without_time_resets),
        cmocka_unit_test(test_shutdown),
        cmocka_unit_test(test_last_close_counts),
        cmocka_unit_test(test_connect_refused),
        cmocka_unit_test(test_connect_without_waiting),
        cmocka_unit_test(test_connect_without_waiting_refused),
        cmocka_unit_test(test_connect_given_up),
        cmocka_unit_test(test_backlog),
        cmocka_unit_test(test_long_messages),
        cmocka_unit_test(test_too_long_message),
        cmocka_unit_test(test_reader_stops),
        cmocka_unit_test(test_end_behind_full_buffers),
        cmocka_unit_test(test_linger_waits),
        cmocka_unit_test(test_stack_is_killed),
        cmocka_unit_test(test_idle_stack_ends),
        cmocka_unit_test(test_capture_survives_kill),
        cmocka_unit_test(test_page_is_not_for_writing),
        cmocka_unit_test(test_foreign_descriptors),
        cmocka_unit_test(test_senseless_requests),
        cmocka_unit_test(test_senseless_data),
        cmocka_unit_test(test_half_closed_end),
    };

    if (argc < 2)
        return 2;
    braid_path = argv[1];
    if (argc > 2)
        cmocka_set_test_filter(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
