/*
 * Options that say what an association is like, of extensions: stream schedulers (RFC 8260, 4.3.2
 * and 4.3.3), ECN, interleaving, PLPMTUD (RFC 8899), UDP encapsulation (RFC 6951), with Linux's
 * sizes, defaults and errors.
 */
#include "world.h"

static struct world world;

static int set(struct sctp_socket *socket, int name, const void *value, size_t length)
{
    int32_t association;

    return socket_set_option(socket, IPPROTO_SCTP, name, value, length, &user, world.now,
                             &association);
}

static int get(struct sctp_socket *socket, int name, void *value, size_t length)
{
    struct sctp_socket *peeled;

    return socket_get_option(socket, IPPROTO_SCTP, name, value, &length, &user, world.now, &peeled);
}

static int set_value(struct sctp_socket *socket, int name, int32_t association, uint32_t number)
{
    struct sctp_assoc_value value = {.assoc_id = association, .assoc_value = number};

    return set(socket, name, &value, sizeof(value));
}

static int get_value(struct sctp_socket *socket, int name)
{
    struct sctp_assoc_value value = {.assoc_value = 77};
    int error = get(socket, name, &value, sizeof(value));

    return error < 0 ? error : (int)value.assoc_value;
}

static int set_stream_value(struct sctp_socket *socket, int32_t association, uint16_t stream,
                            uint16_t number)
{
    struct sctp_stream_value value = {association, stream, number};

    return set(socket, SCTP_STREAM_SCHEDULER_VALUE, &value, sizeof(value));
}

static int stream_value(struct sctp_socket *socket, uint16_t stream)
{
    struct sctp_stream_value value = {.stream_id = stream, .stream_value = 77};
    int error = get(socket, SCTP_STREAM_SCHEDULER_VALUE, &value, sizeof(value));

    return error < 0 ? error : value.stream_value;
}

static void test_scheduler(void **state)
{
    struct sctp_socket *listener, *client, *server, *many;
    struct sctp_assoc_value value = {0};
    struct sctp_stream_value stream = {0};

    (void)state;
    world_open(&world);
    listener = socket_make_listener(&world.hosts[1], SOCK_STREAM);
    client = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    many = socket_make(&world.hosts[0], AF_INET, SOCK_SEQPACKET);
    assert_int_equal(get_value(client, SCTP_STREAM_SCHEDULER), SCTP_SS_FCFS);
    assert_int_equal(set_value(client, SCTP_STREAM_SCHEDULER, 0, SCTP_SS_MAX + 1), -EINVAL);
    assert_int_equal(set(client, SCTP_STREAM_SCHEDULER, &value, sizeof(value) - 1), -EINVAL);
    assert_int_equal(get(client, SCTP_STREAM_SCHEDULER, &value, sizeof(value) - 1), -EINVAL);
    assert_int_equal(set_value(many, SCTP_STREAM_SCHEDULER, 12345, SCTP_SS_RR), -EINVAL);
    assert_int_equal(set_value(many, SCTP_STREAM_SCHEDULER, SCTP_ALL_ASSOC, SCTP_SS_RR), 0);
    assert_int_equal(get_value(many, SCTP_STREAM_SCHEDULER), SCTP_SS_RR);
    /* without an association there are no streams */
    assert_int_equal(stream_value(client, 1), -EINVAL);
    assert_int_equal(set_stream_value(many, 0, 1, 1), -EINVAL);
    assert_int_equal(set_stream_value(many, SCTP_CURRENT_ASSOC, 1, 1), 0);
    assert_int_equal(set(client, SCTP_STREAM_SCHEDULER_VALUE, &stream, sizeof(stream) - 1),
                     -EINVAL);

    assert_int_equal(set_value(client, SCTP_STREAM_SCHEDULER, 0, SCTP_SS_PRIO), 0);
    assert_int_equal(socket_begin(client, &world.hosts[0], &world.hosts[1], PORT), -EINPROGRESS);
    world_run(&world, SECOND);
    server = socket_take_accepted(listener, &world);
    assert_int_equal(get_value(client, SCTP_STREAM_SCHEDULER), SCTP_SS_PRIO);
    assert_int_equal(get_value(server, SCTP_STREAM_SCHEDULER), SCTP_SS_FCFS);
    assert_int_equal(set_stream_value(client, 0, 3, 9), 0);
    assert_int_equal(stream_value(client, 3), 9);
    assert_int_equal(stream_value(client, 4), 0);
    assert_int_equal(set_stream_value(client, 0, 9999, 9), -EINVAL);
    assert_int_equal(stream_value(client, 9999), -EINVAL);
    /* only that by priority keeps a value */
    assert_int_equal(set_stream_value(server, 0, 3, 9), 0);
    assert_int_equal(stream_value(server, 3), 0);
    assert_int_equal(set_value(client, SCTP_STREAM_SCHEDULER, 0, SCTP_SS_RR), 0);
    assert_int_equal(get_value(client, SCTP_STREAM_SCHEDULER), SCTP_SS_RR);
    assert_int_equal(send_text(&world, client, "in turn", 0, 0, NULL), 0);
    world_run(&world, SECOND);
    assert_string_equal(next_text(&world, server), "in turn");
    world_close(&world);
}

static void test_ecn(void **state)
{
    (void)state;
    for (uint32_t on = 0; on < 2; on++) {
        struct sctp_socket *listener, *client, *server;

        world_open(&world);
        listener = socket_make_listener(&world.hosts[1], SOCK_STREAM);
        client = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
        assert_int_equal(get_value(client, SCTP_ECN_SUPPORTED), 1); /* as on Linux */
        assert_int_equal(set_value(client, SCTP_ECN_SUPPORTED, 0, on), 0);
        assert_int_equal(get_value(client, SCTP_ECN_SUPPORTED), on);
        assert_int_equal(socket_begin(client, &world.hosts[0], &world.hosts[1], PORT),
                         -EINPROGRESS);
        world_run(&world, SECOND);
        server = socket_take_accepted(listener, &world);
        assert_int_equal(get_value(client, SCTP_ECN_SUPPORTED), on);
        assert_int_equal(get_value(server, SCTP_ECN_SUPPORTED), on);
        world_close(&world);
    }
}

/* As on Linux while net.sctp.intl_enable is 0. */
static void test_interleaving(void **state)
{
    struct sctp_socket *one, *many;

    (void)state;
    world_open(&world);
    one = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    many = socket_make(&world.hosts[0], AF_INET, SOCK_SEQPACKET);
    assert_int_equal(get_value(one, SCTP_INTERLEAVING_SUPPORTED), 0);
    assert_int_equal(set_value(one, SCTP_INTERLEAVING_SUPPORTED, 0, 1), -EPERM);
    assert_int_equal(set_value(one, SCTP_INTERLEAVING_SUPPORTED, 0, 0), -EPERM);
    assert_int_equal(set_value(many, SCTP_INTERLEAVING_SUPPORTED, 12345, 1), -EINVAL);
    world_close(&world);
}

static int set_fragment_interleave(struct sctp_socket *socket, int level)
{
    return set(socket, SCTP_FRAGMENT_INTERLEAVE, &level, sizeof(level));
}

/* And while it is 1: then it takes SCTP_FRAGMENT_INTERLEAVE, which takes it away again. A long
 * message does not keep a short one of another stream waiting. */
static void test_interleaving_permitted(void **state)
{
    static const char large[60000];
    struct sctp_socket *sockets[2], *server;

    (void)state;
    for (unsigned int ends = 0; ends < 4; ends++) {
        struct channel_header header = {
            .type = CHANNEL_SEND, .flags = CHANNEL_HAS_INFO, .info = {.stream = 1}};

        world_open_with(&world, &(struct socket_table_config){.interleaving = true});
        sockets[0] = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
        sockets[1] = socket_make_listener(&world.hosts[1], SOCK_STREAM);
        for (unsigned int i = 0; i < 2; i++) {
            assert_int_equal(set_value(sockets[i], SCTP_INTERLEAVING_SUPPORTED, 0, 1), -EPERM);
            assert_int_equal(set_fragment_interleave(sockets[i], 2), 0);
            assert_int_equal(get_value(sockets[i], SCTP_INTERLEAVING_SUPPORTED), 0);
            assert_int_equal(set_value(sockets[i], SCTP_INTERLEAVING_SUPPORTED, 0, 7), 0);
            assert_int_equal(get_value(sockets[i], SCTP_INTERLEAVING_SUPPORTED), 1);
            if (!(ends >> i & 1))
                assert_int_equal(set_fragment_interleave(sockets[i], 0), 0);
            assert_int_equal(get_value(sockets[i], SCTP_INTERLEAVING_SUPPORTED), ends >> i & 1);
        }
        assert_int_equal(set_value(sockets[0], SCTP_STREAM_SCHEDULER, 0, SCTP_SS_RR), 0);
        assert_int_equal(socket_begin(sockets[0], &world.hosts[0], &world.hosts[1], PORT),
                         -EINPROGRESS);
        world_run(&world, SECOND);
        server = socket_take_accepted(sockets[1], &world);
        assert_int_equal(get_value(sockets[0], SCTP_INTERLEAVING_SUPPORTED), ends == 3);
        assert_int_equal(get_value(server, SCTP_INTERLEAVING_SUPPORTED), ends == 3);
        assert_int_equal(send_bytes(&world, sockets[0], large, sizeof(large), &header, NULL), 0);
        assert_int_equal(send_text(&world, sockets[0], "short", 0, 0, NULL), 0);
        world_run(&world, SECOND);
        if (ends < 3)
            assert_string_equal(next_text(&world, server), "");
        assert_string_equal(next_text(&world, server), "short");
        if (ends == 3)
            assert_string_equal(next_text(&world, server), "");
        world_close(&world);
    }
}

static int set_interval(struct sctp_socket *socket, const struct sockaddr_in *address,
                        uint32_t interval)
{
    struct sctp_probeinterval value = {.spi_interval = interval};

    if (address)
        memcpy(&value.spi_address, address, sizeof(*address));
    return set(socket, SCTP_PLPMTUD_PROBE_INTERVAL, &value, sizeof(value));
}

static int interval(struct sctp_socket *socket, const struct sockaddr_in *address)
{
    struct sctp_probeinterval value = {.spi_interval = 77};
    int error;

    if (address)
        memcpy(&value.spi_address, address, sizeof(*address));
    error = get(socket, SCTP_PLPMTUD_PROBE_INTERVAL, &value, sizeof(value));
    return error < 0 ? error : (int)value.spi_interval;
}

static void test_probe_interval(void **state)
{
    struct sctp_socket *listener, *client, *server;
    struct sctp_probeinterval value = {0};
    struct sockaddr_in peer, other;

    (void)state;
    world_open(&world);
    client = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    assert_int_equal(interval(client, NULL), 0);
    assert_int_equal(set_interval(client, NULL, 4999), -EINVAL);
    assert_int_equal(set(client, SCTP_PLPMTUD_PROBE_INTERVAL, &value, sizeof(value) - 1), -EINVAL);
    assert_int_equal(set_interval(client, NULL, 5000), 0);
    assert_int_equal(interval(client, NULL), 5000);
    sockets_join(&world, &client, &server, &listener);
    peer = host_address(&world.hosts[1], PORT);
    other = host_address(&world.hosts[0], PORT);
    assert_int_equal(interval(client, NULL), 0);
    assert_int_equal(set_interval(client, &other, 6000), -EINVAL);
    assert_int_equal(interval(client, &other), -EINVAL);
    assert_int_equal(set_interval(client, &peer, 6000), 0);
    assert_int_equal(interval(client, &peer), 6000);
    assert_int_equal(interval(client, NULL), 0);
    assert_int_equal(set_interval(client, NULL, 7000), 0);
    assert_int_equal(interval(client, &peer), 7000);
    assert_int_equal(interval(client, NULL), 7000);
    world_run(&world, 60 * SECOND);
    assert_int_equal(set_interval(client, NULL, 0), 0);
    assert_int_equal(interval(client, &peer), 0);
    world_close(&world);
}

static int encapsulation(struct sctp_socket *socket, const struct sockaddr_in *address, int port)
{
    struct sctp_udpencaps value = {.sue_port = htons((uint16_t)port)};
    int error;

    if (address)
        memcpy(&value.sue_address, address, sizeof(*address));
    error = port >= 0 ? set(socket, SCTP_REMOTE_UDP_ENCAPS_PORT, &value, sizeof(value))
                      : get(socket, SCTP_REMOTE_UDP_ENCAPS_PORT, &value, sizeof(value));
    return error < 0 || port >= 0 ? error : ntohs(value.sue_port);
}

/* Of a path it is what was said, until a packet comes another way. */
static void test_encapsulation(void **state)
{
    struct sctp_socket *listener, *client, *server;
    struct sockaddr_in peer;

    (void)state;
    world_open(&world);
    sockets_join(&world, &client, &server, &listener);
    peer = host_address(&world.hosts[1], PORT);
    assert_int_equal(encapsulation(client, &peer, 9900), 0);
    assert_int_equal(encapsulation(client, &peer, -1), 9900);
    assert_int_equal(encapsulation(client, NULL, 9901), 0);
    assert_int_equal(encapsulation(client, NULL, -1), 9901);
    assert_int_equal(encapsulation(client, &peer, -1), 9901);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scheduler),      cmocka_unit_test(test_ecn),
        cmocka_unit_test(test_interleaving),   cmocka_unit_test(test_interleaving_permitted),
        cmocka_unit_test(test_probe_interval), cmocka_unit_test(test_encapsulation),
    };

    return cmocka_run_group_tests_name("supported", tests, NULL, NULL);
}
