/*
 * One-to-many sockets: RFC 6458, section 3: implicit setup, identifiers, SCTP_EOF and SCTP_ABORT,
 * peel-off (9.2).
 */
#include "world.h"

/* A listener on the second host and a socket on the first, both one-to-many. */
struct sockets {
    struct world world;
    struct sctp_socket *client, *server;
    struct sockaddr_in to;
};

static void sockets_open(struct sockets *sockets)
{
    world_open(&sockets->world);
    sockets->server = socket_make_listener(&sockets->world.hosts[1], SOCK_SEQPACKET);
    sockets->client = socket_make(&sockets->world.hosts[0], AF_INET, SOCK_SEQPACKET);
    sockets->to = host_address(&sockets->world.hosts[1], PORT);
    subscribe(&sockets->world, sockets->server);
    subscribe(&sockets->world, sockets->client);
}

static int32_t only_association(const struct sctp_socket *socket, struct host *host)
{
    return socket_association_identifier(host->table, socket_next_association(socket, 0));
}

static void test_implicit_setup(void **state)
{
    struct sockets sockets;
    struct world *world = &sockets.world;
    int32_t identifier;

    (void)state;
    sockets_open(&sockets);
    assert_int_equal(send_text(world, sockets.client, "one", 0, 0, &sockets.to), 0);
    assert_int_equal(send_text(world, sockets.client, "two", 0, 0, &sockets.to), 0);
    assert_int_equal(world->hosts[0].associations, 1);
    world_run(world, SECOND);
    assert_int_equal(world->hosts[0].outcomes[0].error, 0);
    assert_string_equal(next_text(world, sockets.server), "COMM_UP");
    assert_string_equal(next_text(world, sockets.server), "one");
    assert_string_equal(next_text(world, sockets.server), "two");
    assert_string_equal(next_text(world, sockets.client), "COMM_UP");
    identifier = only_association(sockets.server, &world->hosts[1]);
    assert_int_equal(send_text(world, sockets.server, "back", 0, identifier, NULL), 0);
    assert_int_equal(send_text(world, sockets.server, "back", 0, identifier + 1, NULL), -EPIPE);
    world_run(world, SECOND);
    assert_string_equal(next_text(world, sockets.client), "back");
    assert_string_equal(next_text(world, sockets.client), "-");
    world_close(world);
}

/* A first message that cannot be sent begins nothing. */
static void test_implicit_setup_that_fails(void **state)
{
    struct sockets sockets;
    struct world *world = &sockets.world;
    struct channel_header header = {
        .type = CHANNEL_SEND,
        .flags = CHANNEL_HAS_INFO | CHANNEL_HAS_ADDRESS,
        .info.stream = 5000,
    };
    int32_t identifier = -1;

    (void)state;
    sockets_open(&sockets);
    header.address.in = sockets.to;
    assert_int_equal(send_bytes(world, sockets.client, "x", 1, &header, &identifier), -EINVAL);
    assert_int_equal(identifier, 0);
    assert_int_equal(send_text(world, sockets.client, "", SCTP_EOF, 0, &sockets.to), -EINVAL);
    assert_int_equal(send_text(world, sockets.client, "", SCTP_ABORT, 0, &sockets.to), -EINVAL);
    assert_int_equal(socket_next_association(sockets.client, 0), 0);
    world_run(world, SECOND);
    assert_string_equal(next_text(world, sockets.server), "-");
    assert_string_equal(next_text(world, sockets.client), "-");
    world_close(world);
}

static void test_implicit_setup_refused(void **state)
{
    struct sockets sockets;
    struct world *world = &sockets.world;

    (void)state;
    sockets_open(&sockets);
    sockets.to.sin_port = htons(PORT + 1);
    assert_int_equal(send_text(world, sockets.client, "one", 0, 0, &sockets.to), 0);
    world_run(world, SECOND);
    assert_int_equal(world->hosts[0].outcomes[0].error, ECONNREFUSED);
    assert_int_equal(world->hosts[0].associations, 0);
    assert_string_equal(next_text(world, sockets.client), "CANT_STR_ASSOC");
    assert_string_equal(next_text(world, sockets.client), "SEND_FAILED_EVENT");
    assert_string_equal(next_text(world, sockets.client), "-");
    world_close(world);
}

/* SCTP_EOF: graceful, after what was sent. The peer hears SHUTDOWN_EVENT after all data, then
 * SHUTDOWN_COMP; the socket goes on. */
static void test_eof(void **state)
{
    struct sockets sockets;
    struct world *world = &sockets.world;

    (void)state;
    sockets_open(&sockets);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(send_text(world, sockets.client, "one", 0, 0, &sockets.to), 0);
        world_run(world, SECOND);
        assert_int_equal(send_text(world, sockets.client, "two", 0, 0, &sockets.to), 0);
        assert_int_equal(send_text(world, sockets.client, "x", SCTP_EOF, 0, &sockets.to), -EINVAL);
        assert_int_equal(send_text(world, sockets.client, "", SCTP_EOF, 0, &sockets.to), 0);
        assert_int_equal(send_text(world, sockets.client, "late", 0, 0, &sockets.to), -ESHUTDOWN);
        world_run(world, 5 * SECOND);
        assert_string_equal(next_text(world, sockets.server), "COMM_UP");
        assert_string_equal(next_text(world, sockets.server), "one");
        assert_string_equal(next_text(world, sockets.server), "two");
        assert_string_equal(next_text(world, sockets.server), "SHUTDOWN_EVENT");
        assert_string_equal(next_text(world, sockets.server), "SHUTDOWN_COMP");
        assert_string_equal(next_text(world, sockets.server), "-");
        assert_string_equal(next_text(world, sockets.client), "COMM_UP");
        assert_string_equal(next_text(world, sockets.client), "SHUTDOWN_COMP");
        assert_string_equal(next_text(world, sockets.client), "-");
        assert_int_equal(world->hosts[0].associations, 0);
        assert_false(socket_has_ended(sockets.server));
    }
    world_close(world);
}

static void test_abort(void **state)
{
    struct sockets sockets;
    struct world *world = &sockets.world;

    (void)state;
    sockets_open(&sockets);
    assert_int_equal(send_text(world, sockets.client, "one", 0, 0, &sockets.to), 0);
    world_run(world, SECOND);
    assert_int_equal(send_text(world, sockets.client, "why", SCTP_ABORT, 0, &sockets.to), 0);
    world_run(world, SECOND);
    assert_string_equal(next_text(world, sockets.server), "COMM_UP");
    assert_string_equal(next_text(world, sockets.server), "one");
    assert_string_equal(next_text(world, sockets.server), "COMM_LOST");
    assert_string_equal(next_text(world, sockets.client), "COMM_UP");
    assert_string_equal(next_text(world, sockets.client), "COMM_LOST");
    assert_int_equal(socket_take_error(sockets.server), 0);
    world_close(world);
}

/* Peel-off takes along what is unread; the one-to-many socket no longer knows the association. */
static void test_peel_off(void **state)
{
    struct sockets sockets;
    struct world *world = &sockets.world;
    sctp_peeloff_arg_t argument = {0};
    size_t length = sizeof(argument);
    struct sctp_socket *peeled;

    (void)state;
    sockets_open(&sockets);
    assert_int_equal(send_text(world, sockets.client, "one", 0, 0, &sockets.to), 0);
    world_run(world, SECOND);
    assert_string_equal(next_text(world, sockets.server), "COMM_UP");
    argument.associd = only_association(sockets.server, &world->hosts[1]);
    assert_true(socket_get_option(sockets.server, IPPROTO_SCTP, SCTP_SOCKOPT_PEELOFF, &argument,
                                  &length, &user, world->now, &peeled) >= 0);
    assert_non_null(peeled);
    assert_string_equal(next_text(world, sockets.server), "-");
    assert_string_equal(next_text(world, peeled), "one");
    assert_int_equal(send_text(world, sockets.server, "x", 0, argument.associd, NULL), -EPIPE);
    assert_int_equal(send_text(world, peeled, "back", 0, 0, NULL), 0);
    world_run(world, SECOND);
    assert_string_equal(next_text(world, sockets.client), "COMM_UP");
    assert_string_equal(next_text(world, sockets.client), "back");
    /* and once more is refused */
    length = sizeof(argument);
    assert_int_equal(socket_get_option(sockets.server, IPPROTO_SCTP, SCTP_SOCKOPT_PEELOFF,
                                       &argument, &length, &user, world->now, &peeled),
                     -EINVAL);
    world_close(world);
}

static void test_close_ends_all(void **state)
{
    struct sockets sockets;
    struct world *world = &sockets.world;

    (void)state;
    sockets_open(&sockets);
    assert_int_equal(send_text(world, sockets.client, "one", 0, 0, &sockets.to), 0);
    world_run(world, SECOND);
    socket_close(sockets.client, false, world->now);
    world_run(world, 5 * SECOND);
    assert_int_equal(world->hosts[0].gone, 1);
    assert_int_equal(socket_table_count(world->hosts[0].table), 0);
    assert_string_equal(next_text(world, sockets.server), "COMM_UP");
    assert_string_equal(next_text(world, sockets.server), "one");
    assert_string_equal(next_text(world, sockets.server), "SHUTDOWN_EVENT");
    assert_string_equal(next_text(world, sockets.server), "SHUTDOWN_COMP");
    world_close(world);
}

/* SCTP_AUTOCLOSE (RFC 6458, 8.1.8): idle associations are shut down. */
static void test_autoclose(void **state)
{
    struct sockets sockets;
    struct world *world = &sockets.world;
    int32_t association;
    int seconds = 5;

    (void)state;
    sockets_open(&sockets);
    assert_int_equal(socket_set_option(sockets.client, IPPROTO_SCTP, SCTP_AUTOCLOSE, &seconds,
                                       sizeof(seconds), &user, world->now, &association),
                     0);
    assert_int_equal(send_text(world, sockets.client, "one", 0, 0, &sockets.to), 0);
    world_run(world, 4 * SECOND);
    assert_int_equal(world->hosts[0].associations, 1);
    world_run(world, 4 * SECOND);
    assert_int_equal(world->hosts[0].associations, 0);
    world_close(world);
}

/* An ERROR of the peer's (RFC 9260, 3.3.10), which it sends with a packet that it had ready. */
static void test_remote_error(void **state)
{
    static const uint8_t chunk[] = {9, 0, 0, 12, 0, 1, 0, 8, 0, 7, 0, 0}; /* invalid stream 7 */
    struct sctp_event event = {
        .se_assoc_id = SCTP_ALL_ASSOC, .se_type = SCTP_REMOTE_ERROR, .se_on = 1};
    struct sctp_remote_error *told;
    struct sockets sockets;
    struct world *world = &sockets.world;
    struct socket_received received;
    uint8_t bytes[2000];
    struct braid_batch batch = {.bytes = bytes, .capacity = sizeof(bytes), .maximum_packets = 1};
    struct braid_packet packet = {
        .bytes = bytes, .length = 12 + sizeof(chunk), .checksum_good = true};
    int32_t association;

    (void)state;
    sockets_open(&sockets);
    assert_int_equal(socket_set_option(sockets.client, IPPROTO_SCTP, SCTP_EVENT, &event,
                                       sizeof(event), &user, world->now, &association),
                     0);
    assert_int_equal(send_text(world, sockets.client, "one", 0, 0, &sockets.to), 0);
    world_run(world, SECOND);
    while (strcmp(next_text(world, sockets.client), "-") != 0)
        continue;
    braid_engine_timeout(world->hosts[1].engine, world->now + 40 * SECOND); /* a HEARTBEAT is due */
    assert_true(braid_engine_transmit(world->hosts[1].engine, &batch, world->now + 40 * SECOND));
    packet.source = batch.source;
    packet.destination = batch.destination;
    memcpy(bytes + 12, chunk, sizeof(chunk));
    braid_engine_receive(world->hosts[0].engine, &packet, 1, world->now);
    socket_table_run(world->hosts[0].table, world->now);
    assert_true(socket_receive(sockets.client, &received, world->now));
    assert_int_equal(received.kind, SOCKET_NOTIFICATION);
    assert_int_equal(received.length, sizeof(*told) + 4);
    told = (void *)received.bytes;
    assert_int_equal(told->sre_type, SCTP_REMOTE_ERROR);
    assert_int_equal(told->sre_length, received.length);
    assert_int_equal(ntohs(told->sre_error), 1);
    assert_memory_equal(told->sre_data, chunk + 8, 4);
    socket_received_release(sockets.client, &received, world->now);
    world_close(world);
}

/* SCTP_SENDALL, while one of two associations has no room: it is tried again later, so the other
 * must not get the message yet. */
static void test_send_to_all(void **state)
{
    struct sockets sockets;
    struct world *world = &sockets.world;
    struct sctp_socket *clients[2];
    static char much[4096];

    (void)state;
    sockets_open(&sockets);
    clients[0] = sockets.client;
    clients[1] = socket_make(&world->hosts[0], AF_INET, SOCK_SEQPACKET);
    memset(much, 'x', sizeof(much) - 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(send_text(world, clients[i], "hello", 0, 0, &sockets.to), 0);
        world_run(world, SECOND);
        assert_string_equal(next_text(world, sockets.server), "COMM_UP");
        assert_string_equal(next_text(world, sockets.server), "hello");
    }
    assert_string_equal(next_text(world, clients[0]), "COMM_UP");
    for (int full = 0; full < 2; full++) {
        uint32_t engine = socket_next_association(sockets.server, 0);
        int32_t identifier;
        const char *text;

        if (full == 1)
            engine = socket_next_association(sockets.server, engine);
        identifier = socket_association_identifier(world->hosts[1].table, engine);
        while (send_text(world, sockets.server, much, 0, identifier, NULL) == 0)
            ;
        assert_int_equal(send_text(world, sockets.server, "all", SCTP_SENDALL, 0, NULL), -EAGAIN);
        world_run(world, 10 * SECOND);
        for (int i = 0; i < 2; i++)
            do {
                text = next_text(world, clients[i]);
                assert_string_not_equal(text, "all");
                world_run(world, SECOND);
            } while (strcmp(text, "-") != 0);
        assert_int_equal(send_text(world, sockets.server, "all", SCTP_SENDALL, 0, NULL), 0);
        world_run(world, SECOND);
        for (int i = 0; i < 2; i++)
            assert_string_equal(next_text(world, clients[i]), "all");
    }
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_implicit_setup),
        cmocka_unit_test(test_implicit_setup_that_fails),
        cmocka_unit_test(test_implicit_setup_refused),
        cmocka_unit_test(test_eof),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_peel_off),
        cmocka_unit_test(test_close_ends_all),
        cmocka_unit_test(test_autoclose),
        cmocka_unit_test(test_remote_error),
        cmocka_unit_test(test_send_to_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
