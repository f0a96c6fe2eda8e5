/*
 * One-to-one sockets: RFC 6458, section 4, with the errors that Linux gives.
 */
#include "world.h"

static uint32_t state_of(const struct sctp_socket *socket)
{
    struct socket_description now;

    socket_describe(socket, &now);
    return now.channel_state;
}

static void test_connect_and_accept(void **state)
{
    struct world world;
    struct sctp_socket *client, *server, *listener;
    union channel_address address;
    size_t length;

    (void)state;
    world_open(&world);
    sockets_join(&world, &client, &server, &listener);
    assert_int_equal(world.hosts[0].outcome_count, 1);
    assert_ptr_equal(world.hosts[0].outcomes[0].socket, client);
    assert_int_equal(world.hosts[0].outcomes[0].error, 0);
    assert_int_equal(world.hosts[1].outcome_count, 0);
    assert_true(state_of(client) & CHANNEL_STATE_CONNECTED);
    assert_true(state_of(server) & CHANNEL_STATE_CONNECTED);
    assert_int_equal(socket_getpeername(client, &address, &length), 0);
    assert_int_equal(ntohs(address.in.sin_port), PORT);
    assert_int_equal(socket_getpeername(listener, &address, &length), -ENOTCONN);
    assert_int_equal(socket_begin(client, &world.hosts[0], &world.hosts[1], PORT), -EISCONN);
    assert_int_equal(socket_listen(client, 1), -EINVAL);
    assert_int_equal(send_text(&world, client, "there", 0, 0, NULL), 0);
    assert_int_equal(send_text(&world, server, "back", 0, 0, NULL), 0);
    world_run(&world, SECOND);
    assert_string_equal(next_text(&world, server), "there");
    assert_string_equal(next_text(&world, client), "back");
    assert_string_equal(next_text(&world, client), "-");
    assert_false(socket_has_ended(client));
    world_close(&world);
}

static void test_connect_refused(void **state)
{
    struct world world;
    struct sctp_socket *client;

    (void)state;
    world_open(&world);
    client = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    subscribe(&world, client);
    assert_int_equal(socket_begin(client, &world.hosts[0], &world.hosts[1], PORT), -EINPROGRESS);
    assert_int_equal(socket_begin(client, &world.hosts[0], &world.hosts[1], PORT), -EALREADY);
    assert_true(state_of(client) & CHANNEL_STATE_CONNECTING);
    world_run(&world, SECOND);
    assert_int_equal(world.hosts[0].outcomes[0].error, ECONNREFUSED);
    assert_string_equal(next_text(&world, client), "CANT_STR_ASSOC");
    assert_int_equal(state_of(client) & (CHANNEL_STATE_CONNECTING | CHANNEL_STATE_CONNECTED), 0);
    assert_int_equal(socket_take_error(client), -ECONNREFUSED);
    assert_int_equal(socket_take_error(client), 0);
    /* it may try again */
    socket_make_listener(&world.hosts[1], SOCK_STREAM);
    assert_int_equal(socket_begin(client, &world.hosts[0], &world.hosts[1], PORT), -EINPROGRESS);
    world_run(&world, SECOND);
    assert_int_equal(world.hosts[0].outcomes[1].error, 0);
    world_close(&world);
}

static void test_connect_times_out(void **state)
{
    struct world world;
    struct sctp_socket *client;

    (void)state;
    world_open(&world);
    world_wire(&world)->cut = true;
    client = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    assert_int_equal(socket_begin(client, &world.hosts[0], &world.hosts[1], PORT), -EINPROGRESS);
    world_run(&world, 10 * SECOND);
    assert_int_equal(world.hosts[0].outcome_count, 0);
    world_run(&world, 1000 * SECOND);
    assert_int_equal(world.hosts[0].outcomes[0].error, ETIMEDOUT);
    world_close(&world);
}

/* What came before the end is read before it; then 0, not an error. */
static void test_graceful_end(void **state)
{
    struct world world;
    struct sctp_socket *client, *server, *listener;

    (void)state;
    world_open(&world);
    sockets_join(&world, &client, &server, &listener);
    assert_int_equal(send_text(&world, client, "last", 0, 0, NULL), 0);
    assert_int_equal(socket_shutdown(client, SHUT_WR, world.now), 0);
    assert_int_equal(send_text(&world, client, "more", 0, 0, NULL), -ESHUTDOWN);
    world_run(&world, 5 * SECOND);
    assert_false(socket_has_ended(server));
    assert_string_equal(next_text(&world, server), "last");
    assert_string_equal(next_text(&world, server), "-");
    assert_true(socket_has_ended(server));
    assert_true(state_of(server) & CHANNEL_STATE_SHUT_READ);
    assert_int_equal(socket_take_error(server), 0);
    assert_string_equal(next_text(&world, client), "-");
    assert_true(socket_has_ended(client));
    assert_int_equal(send_text(&world, client, "more", 0, 0, NULL), -EPIPE);
    assert_int_equal(socket_begin(client, &world.hosts[0], &world.hosts[1], PORT), -EISCONN);
    world_close(&world);
}

/* Data, then SHUTDOWN_EVENT, then SHUTDOWN_COMP, then the end: RFC 6458, 6.1.1, 6.1.5. */
static void test_order_of_notifications(void **state)
{
    struct world world;
    struct sctp_socket *client, *server, *listener;

    (void)state;
    world_open(&world);
    listener = socket_make_listener(&world.hosts[1], SOCK_STREAM);
    subscribe(&world, listener); /* its children have it from there */
    client = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    assert_int_equal(socket_begin(client, &world.hosts[0], &world.hosts[1], PORT), -EINPROGRESS);
    world_run(&world, SECOND);
    server = socket_take_accepted(listener, &world);
    for (int i = 0; i < 3; i++)
        assert_int_equal(send_text(&world, client, "data", 0, 0, NULL), 0);
    assert_int_equal(socket_shutdown(client, SHUT_WR, world.now), 0);
    world_run(&world, 5 * SECOND);
    assert_string_equal(next_text(&world, server), "COMM_UP");
    for (int i = 0; i < 3; i++)
        assert_string_equal(next_text(&world, server), "data");
    assert_false(socket_has_ended(server));
    assert_string_equal(next_text(&world, server), "SHUTDOWN_EVENT");
    assert_string_equal(next_text(&world, server), "SHUTDOWN_COMP");
    assert_string_equal(next_text(&world, server), "-");
    assert_true(socket_has_ended(server));
    world_close(&world);
}

/* An ABORT: data that came before is still read, then ECONNRESET, once. */
static void test_abort(void **state)
{
    struct world world;
    struct sctp_socket *client, *server, *listener;

    (void)state;
    world_open(&world);
    sockets_join(&world, &client, &server, &listener);
    assert_int_equal(send_text(&world, client, "data", 0, 0, NULL), 0);
    world_run(&world, SECOND);
    socket_close(client, true, world.now);
    world_run(&world, SECOND);
    assert_int_equal(world.hosts[0].gone, 1);
    assert_string_equal(next_text(&world, server), "data");
    assert_string_equal(next_text(&world, server), "-");
    assert_true(socket_has_ended(server));
    assert_false(state_of(server) & CHANNEL_STATE_SHUT_READ);
    assert_int_equal(send_text(&world, server, "more", 0, 0, NULL), -EPIPE);
    assert_int_equal(socket_take_error(server), -ECONNRESET);
    world_close(&world);
}

static void test_peer_vanishes(void **state)
{
    struct world world;
    struct sctp_socket *client, *server, *listener;

    (void)state;
    world_open(&world);
    sockets_join(&world, &client, &server, &listener);
    world_wire(&world)->cut = true;
    assert_int_equal(send_text(&world, client, "lost", 0, 0, NULL), 0);
    world_run(&world, 3600 * SECOND);
    assert_string_equal(next_text(&world, client), "-");
    assert_true(socket_has_ended(client));
    assert_int_equal(socket_take_error(client), -ETIMEDOUT);
    world_close(&world);
}

/* close() with nothing unread: what was sent is delivered in the background (RFC 6458, 4.1.6). */
static void test_close(void **state)
{
    struct world world;
    struct sctp_socket *client, *server, *listener;

    (void)state;
    world_open(&world);
    sockets_join(&world, &client, &server, &listener);
    assert_int_equal(send_text(&world, client, "last", 0, 0, NULL), 0);
    assert_true(socket_lingers(client));
    socket_close(client, false, world.now);
    assert_int_equal(world.hosts[0].gone, 0);
    world_run(&world, 5 * SECOND);
    assert_int_equal(world.hosts[0].gone, 1);
    assert_int_equal(world.hosts[0].associations, 0);
    assert_string_equal(next_text(&world, server), "last");
    socket_close(server, false, world.now);
    socket_close(listener, false, world.now);
    world_run(&world, 5 * SECOND);
    assert_int_equal(world.hosts[1].gone, 2);
    assert_int_equal(socket_table_count(world.hosts[1].table), 0);
    assert_int_equal(world.hosts[1].associations, 0);
    world_close(&world);
}

/* A listener that closes takes those along that nobody accepted. */
/* More comes than the window holds, after the socket was closed with nothing unread. */
static void test_close_before_much_comes(void **state)
{
    static const uint8_t bytes[50000];
    const struct channel_header header = {0};
    struct world world;
    struct sctp_socket *client, *server, *listener;
    int sent = 0;

    (void)state;
    world_open(&world);
    sockets_join(&world, &client, &server, &listener);
    while (send_bytes(&world, server, bytes, sizeof(bytes), &header, NULL) == 0)
        sent++;
    assert_true(sent >= 4);
    socket_close(client, false, world.now);
    socket_close(server, false, world.now);
    world_run(&world, 5 * SECOND);
    assert_int_equal(world.hosts[0].gone, 1);
    assert_int_equal(world.hosts[1].gone, 1);
    world_close(&world);
}

static void test_close_of_listener(void **state)
{
    struct world world;
    struct sctp_socket *client, *listener;

    (void)state;
    world_open(&world);
    listener = socket_make_listener(&world.hosts[1], SOCK_STREAM);
    client = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    assert_int_equal(socket_begin(client, &world.hosts[0], &world.hosts[1], PORT), -EINPROGRESS);
    world_run(&world, SECOND);
    socket_close(listener, false, world.now);
    world_run(&world, 5 * SECOND);
    assert_int_equal(world.hosts[1].gone, 2);
    assert_string_equal(next_text(&world, client), "-");
    assert_true(socket_has_ended(client));
    world_close(&world);
}

static void test_bind(void **state)
{
    struct world world;
    struct sctp_socket *first, *second;
    struct sockaddr_in address, other;

    (void)state;
    world_open(&world);
    address = host_address(&world.hosts[0], PORT);
    first = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    second = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    assert_int_equal(socket_bind(first, &address, 8, &user), -EINVAL);
    other = host_address(&world.hosts[1], PORT);
    assert_int_equal(socket_bind(first, &other, sizeof(other), &user), -EADDRNOTAVAIL);
    other = host_address(&world.hosts[0], 80);
    assert_int_equal(socket_bind(first, &other, sizeof(other), &user), -EACCES);
    assert_int_equal(socket_bind(first, &address, sizeof(address), &user), 0);
    assert_int_equal(socket_bind(first, &address, sizeof(address), &user), -EINVAL);
    assert_int_equal(socket_bind(second, &address, sizeof(address), &user), -EADDRINUSE);
    address.sin_addr.s_addr = INADDR_ANY;
    assert_int_equal(socket_bind(second, &address, sizeof(address), &user), -EADDRINUSE);
    socket_close(first, false, world.now);
    assert_int_equal(socket_bind(second, &address, sizeof(address), &user), 0);
    assert_int_equal(socket_bind(socket_make(&world.hosts[0], AF_INET, SOCK_STREAM), &other,
                                 sizeof(other), &root),
                     0);
    world_close(&world);
}

static void test_sends_that_fail(void **state)
{
    struct world world;
    struct sctp_socket *client, *server, *listener;
    struct channel_header header = {.type = CHANNEL_SEND, .flags = CHANNEL_HAS_INFO};
    static uint8_t bytes[300000];

    (void)state;
    world_open(&world);
    sockets_join(&world, &client, &server, &listener);
    assert_int_equal(send_text(&world, client, "", 0, 0, NULL), -EINVAL);
    assert_int_equal(send_text(&world, client, "", SCTP_EOF, 0, NULL), -EINVAL);
    assert_int_equal(send_text(&world, client, "x", SCTP_ABORT, 0, NULL), -EINVAL);
    assert_int_equal(send_text(&world, listener, "x", 0, 0, NULL), -EPIPE);
    assert_int_equal(send_bytes(&world, client, bytes, sizeof(bytes), &header, NULL), -EMSGSIZE);
    header.info.stream = 10; /* ten were asked for */
    assert_int_equal(send_bytes(&world, client, bytes, 1, &header, NULL), -EINVAL);
    header.info.stream = 9;
    assert_int_equal(send_bytes(&world, client, bytes, 1, &header, NULL), 0);
    header.info.flags = 0x4000;
    assert_int_equal(send_bytes(&world, client, bytes, 1, &header, NULL), -EINVAL);
    world_close(&world);
}

/* What the reader has not read closes the peer's window, and opens it when it is read. */
static void test_unread_closes_the_window(void **state)
{
    struct world world;
    struct sctp_socket *client, *server, *listener;
    struct channel_header header = {.type = CHANNEL_SEND};
    struct socket_received received;
    static uint8_t bytes[10000];
    unsigned int sent = 0, read = 0;

    (void)state;
    world_open(&world);
    sockets_join(&world, &client, &server, &listener);
    for (int i = 0; i < 200; i++) {
        while (send_bytes(&world, client, bytes, sizeof(bytes), &header, NULL) == 0)
            sent++;
        world_run(&world, SECOND / 10);
    }
    assert_int_equal(send_bytes(&world, client, bytes, sizeof(bytes), &header, NULL), -EAGAIN);
    assert_int_equal(socket_send_room(client), 0);
    assert_in_range(sent * sizeof(bytes), 212992, 2 * 212992);
    /* it went into a descriptor that nobody reads: still no room */
    while (socket_receive(server, &received, world.now)) {
        socket_received_release(server, &received, world.now);
        read++;
    }
    socket_hold(server, (uint32_t)(read * sizeof(bytes)), world.now);
    world_run(&world, 5 * SECOND);
    assert_int_equal(send_bytes(&world, client, bytes, sizeof(bytes), &header, NULL), -EAGAIN);
    for (int i = 0; i < 100 && read < sent; i++) {
        socket_hold(server, 0, world.now);
        world_run(&world, 5 * SECOND);
        while (socket_receive(server, &received, world.now)) {
            socket_received_release(server, &received, world.now);
            read++;
        }
    }
    assert_int_equal(read, sent);
    assert_int_equal(send_bytes(&world, client, bytes, sizeof(bytes), &header, NULL), 0);
    world_close(&world);
}

/* Reads all that is there. The reader then has `held` bytes of it before it. */
static unsigned int read_all(struct world *world, struct sctp_socket *socket, uint32_t held)
{
    struct socket_received received;
    unsigned int count = 0;

    while (socket_receive(socket, &received, world->now)) {
        socket_received_release(socket, &received, world->now);
        count++;
    }
    socket_hold(socket, held, world->now);
    return count;
}

/* A window that the peer has used up is opened at once, though what was last told of it was large:
 * the peer must not wait for a delayed SACK (RFC 9260, 6.2) before each packet. */
static void test_window_opens_before_the_delayed_sack(void **state)
{
    static uint8_t bytes[16384];
    struct world world;
    struct sctp_socket *client, *server, *listener;
    struct channel_header header = {.type = CHANNEL_SEND};
    unsigned int count = 0;

    (void)state;
    world_open(&world);
    for (int i = 0; i < HOSTS; i++)
        memory_host_set_mtu(world.hosts[i].link, 65535);
    sockets_join(&world, &client, &server, &listener);
    for (int i = 0; i < 12; i++)
        assert_int_equal(send_bytes(&world, client, bytes, sizeof(bytes), &header, NULL), 0);
    world_run(&world, 15 * MS); /* one way takes 10 ms */
    count += read_all(&world, server, 3 * sizeof(bytes));
    assert_int_equal(count, 6);
    for (int i = 0; i < 3; i++) {
        world_run(&world, 25 * MS);
        count += read_all(&world, server, 0);
    }
    assert_int_equal(count, 12);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect_and_accept),
        cmocka_unit_test(test_connect_refused),
        cmocka_unit_test(test_connect_times_out),
        cmocka_unit_test(test_graceful_end),
        cmocka_unit_test(test_order_of_notifications),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_peer_vanishes),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_close_before_much_comes),
        cmocka_unit_test(test_close_of_listener),
        cmocka_unit_test(test_bind),
        cmocka_unit_test(test_sends_that_fail),
        cmocka_unit_test(test_unread_closes_the_window),
        cmocka_unit_test(test_window_opens_before_the_delayed_sack),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
