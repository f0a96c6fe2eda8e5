/*
 * What one user may have: sockets, associations, memory (src/socket/quota.h). The others go on.
 *
 * RFC 6458 has no such limits; the errors are those of Linux's own.
 */
#include <stdlib.h>

#include "world.h"

enum { MESSAGE = 10000, MEMORY = 300000 };

static struct world world;

static const struct socket_caller stranger = {.uid = 4711};

static void open_limited(const struct quota_limits *limits)
{
    world_open_with(&world, &(struct socket_table_config){.user_limits = *limits});
}

static const struct quota *quota_of(const struct host *host, const struct socket_caller *caller)
{
    const struct quota *quota = NULL;

    while ((quota = quota_next(host->table, quota)))
        if (quota->uid == caller->uid)
            return quota;
    return NULL;
}

static int open_as(struct host *host, const struct socket_caller *caller,
                   struct sctp_socket **socket)
{
    return socket_open(host->table, AF_INET, SOCK_STREAM, 0, caller, socket);
}

static void test_sockets(void **state)
{
    struct sctp_socket *sockets[3], *others;
    struct host *host = &world.hosts[0];

    (void)state;
    open_limited(&(struct quota_limits){.sockets = 2});
    assert_int_equal(open_as(host, &user, &sockets[0]), 0);
    assert_int_equal(open_as(host, &user, &sockets[1]), 0);
    assert_int_equal(open_as(host, &user, &sockets[2]), -EMFILE);
    assert_int_equal(open_as(host, &stranger, &others), 0);
    socket_close(sockets[0], false, world.now);
    assert_int_equal(open_as(host, &user, &sockets[0]), 0);
    socket_close(others, false, world.now);
    assert_null(quota_of(host, &stranger)); /* nothing is kept of who has nothing */
    world_close(&world);
}

/* What a peer makes counts too: it is refused, and the listener goes on. */
static void test_accepted(void **state)
{
    struct sctp_socket *listener, *clients[2];

    (void)state;
    open_limited(&(struct quota_limits){.sockets = 2});
    listener = socket_make_listener(&world.hosts[1], SOCK_STREAM);
    for (int i = 0; i < 2; i++) {
        clients[i] = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
        assert_int_equal(socket_begin(clients[i], &world.hosts[0], &world.hosts[1], PORT),
                         -EINPROGRESS);
        world_run(&world, SECOND);
    }
    assert_int_equal(socket_take_error(clients[0]), 0);
    assert_int_equal(socket_take_error(clients[1]), -ECONNRESET);
    assert_non_null(socket_take_accepted(listener, &world));
    assert_int_equal(quota_of(&world.hosts[1], &user)->sockets, 2);
    world_close(&world);
}

static void test_associations(void **state)
{
    struct sctp_socket *sockets[2];
    struct host *host = &world.hosts[0];

    (void)state;
    open_limited(&(struct quota_limits){.associations = 1});
    socket_make_listener(&world.hosts[1], SOCK_STREAM);
    for (int i = 0; i < 2; i++)
        sockets[i] = socket_make(host, AF_INET, SOCK_STREAM);
    assert_int_equal(socket_begin(sockets[0], host, &world.hosts[1], PORT), -EINPROGRESS);
    assert_int_equal(socket_begin(sockets[1], host, &world.hosts[1], PORT), -ENOMEM);
    world_run(&world, SECOND);
    socket_close(sockets[0], true, world.now);
    assert_int_equal(quota_of(host, &user)->associations, 0);
    assert_int_equal(socket_begin(sockets[1], host, &world.hosts[1], PORT), -EINPROGRESS);
    world_close(&world);
}

/* Sends until there is no room; how many messages were taken. */
static unsigned int fill(struct sctp_socket *socket)
{
    static const uint8_t bytes[MESSAGE];
    const struct channel_header header = {0};
    unsigned int count = 0;
    int error;

    while ((error = send_bytes(&world, socket, bytes, sizeof(bytes), &header, NULL)) == 0)
        count++;
    assert_int_equal(error, -EAGAIN);
    return count;
}

static void drain(struct sctp_socket *socket)
{
    struct socket_received received;

    while (socket_receive(socket, &received, world.now))
        socket_received_release(socket, &received, world.now);
    world_run(&world, SECOND);
}

/* Four associations whose buffers hold more than the user's memory, and one of another user. */
static void test_memory(void **state)
{
    struct sctp_socket *listener, *clients[4], *servers[4], *other, *other_server;
    struct host *host = &world.hosts[0];
    struct sockaddr_in to;
    unsigned int count = 0;

    (void)state;
    open_limited(&(struct quota_limits){.memory = MEMORY});
    listener = socket_make_listener(&world.hosts[1], SOCK_STREAM);
    to = host_address(&world.hosts[1], PORT);
    for (int i = 0; i < 4; i++) {
        clients[i] = socket_make(host, AF_INET, SOCK_STREAM);
        assert_int_equal(socket_begin(clients[i], host, &world.hosts[1], PORT), -EINPROGRESS);
        world_run(&world, SECOND);
        servers[i] = socket_take_accepted(listener, &world);
    }
    assert_int_equal(open_as(host, &stranger, &other), 0);
    assert_int_equal(socket_connect(other, &to, sizeof(to), &stranger, world.now, &(int32_t){0}),
                     -EINPROGRESS);
    world_run(&world, SECOND);
    other_server = socket_take_accepted(listener, &world);

    world_wire(&world)->cut = true;
    for (int i = 0; i < 4; i++)
        count += fill(clients[i]);
    assert_in_range(count, MEMORY * 3 / 4 / MESSAGE - 2, MEMORY * 3 / 4 / MESSAGE);
    assert_true(socket_is_starved(clients[3]));
    assert_true(fill(other) > 1);
    assert_false(socket_is_starved(other));

    /* Nobody reads there: the windows of all four together are no more than what that user may. */
    world_wire(&world)->cut = false;
    world_run(&world, 60 * SECOND);
    assert_in_range(quota_of(&world.hosts[1], &user)->account.bytes, MEMORY / 2,
                    MEMORY + 5 * 2 * 1500);
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 4; i++)
            drain(servers[i]);
        drain(other_server);
    }
    assert_int_equal(quota_of(&world.hosts[1], &user)->account.bytes, 0);
    assert_int_equal(quota_of(host, &user)->account.bytes, 0);
    assert_int_equal(quota_of(host, &stranger)->account.bytes, 0);
    for (int i = 0; i < 4; i++)
        assert_false(socket_is_starved(clients[i]));
    assert_true(fill(clients[3]) > 0);
    socket_close(clients[3], true, world.now);
    assert_int_equal(quota_of(host, &user)->account.bytes, 0);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sockets),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_associations),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests_name("quota", tests, NULL, NULL);
}
