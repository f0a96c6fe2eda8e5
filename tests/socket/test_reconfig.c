/*
 * Options and notifications of stream reconfiguration: RFC 6525, section 6, with Linux's sizes,
 * defaults and errors.
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

static int set_value(struct sctp_socket *socket, int name, uint32_t number)
{
    struct sctp_assoc_value value = {.assoc_value = number};

    return set(socket, name, &value, sizeof(value));
}

static int get_value(struct sctp_socket *socket, int name)
{
    struct sctp_assoc_value value = {.assoc_value = 77};

    assert_int_equal(get(socket, name, &value, sizeof(value)), 0);
    return (int)value.assoc_value;
}

static int reset_streams(struct sctp_socket *socket, uint16_t flags, uint16_t count,
                         const uint16_t *streams)
{
    uint8_t bytes[64] = {0};
    struct sctp_reset_streams reset = {.srs_flags = flags, .srs_number_streams = count};

    memcpy(bytes, &reset, sizeof(reset));
    for (uint16_t i = 0; i < count; i++)
        memcpy(bytes + sizeof(reset) + i * sizeof(*streams), &streams[i], sizeof(*streams));
    return set(socket, SCTP_RESET_STREAMS, bytes, sizeof(reset) + count * sizeof(*streams));
}

static int reset_association(struct sctp_socket *socket)
{
    sctp_assoc_t any = 0;

    return set(socket, SCTP_RESET_ASSOC, &any, sizeof(any));
}

static int add_streams(struct sctp_socket *socket, uint16_t out, uint16_t in)
{
    struct sctp_add_streams add = {.sas_outstrms = out, .sas_instrms = in};

    return set(socket, SCTP_ADD_STREAMS, &add, sizeof(add));
}

static void subscribe_to_all(struct sctp_socket *socket)
{
    static const uint16_t types[] = {SCTP_STREAM_RESET_EVENT, SCTP_ASSOC_RESET_EVENT,
                                     SCTP_STREAM_CHANGE_EVENT};

    for (size_t i = 0; i < 3; i++) {
        struct sctp_event event = {.se_assoc_id = SCTP_ALL_ASSOC, .se_type = types[i], .se_on = 1};

        assert_int_equal(set(socket, SCTP_EVENT, &event, sizeof(event)), 0);
    }
}

/* The next thing to be read is a notification of so many bytes. */
static void next_notification(struct sctp_socket *socket, void *bytes, size_t length)
{
    struct socket_received received;

    assert_true(socket_receive(socket, &received, world.now));
    assert_int_equal(received.kind, SOCKET_NOTIFICATION);
    assert_int_equal(received.length, length);
    memcpy(bytes, received.bytes, length);
    socket_received_release(socket, &received, world.now);
    socket_hold(socket, 0, world.now);
}

static void expect_reset(struct sctp_socket *socket, uint16_t flags, uint16_t count,
                         const uint16_t *streams)
{
    struct sctp_stream_reset_event event;
    uint8_t bytes[64];
    size_t length = sizeof(event) + count * sizeof(*streams);

    next_notification(socket, bytes, length);
    memcpy(&event, bytes, sizeof(event));
    assert_int_equal(event.strreset_type, SCTP_STREAM_RESET_EVENT);
    assert_int_equal(event.strreset_flags, flags);
    assert_int_equal(event.strreset_length, length);
    assert_true(event.strreset_assoc_id != 0);
    assert_memory_equal(bytes + sizeof(event), streams, count * sizeof(*streams));
}

static void expect_change(struct sctp_socket *socket, uint16_t flags, uint16_t in, uint16_t out)
{
    struct sctp_stream_change_event event;

    next_notification(socket, &event, sizeof(event));
    assert_int_equal(event.strchange_type, SCTP_STREAM_CHANGE_EVENT);
    assert_int_equal(event.strchange_flags, flags);
    assert_int_equal(event.strchange_length, sizeof(event));
    assert_int_equal(event.strchange_instrms, in);
    assert_int_equal(event.strchange_outstrms, out);
}

static struct sctp_assoc_reset_event next_association_reset(struct sctp_socket *socket)
{
    struct sctp_assoc_reset_event event;

    next_notification(socket, &event, sizeof(event));
    assert_int_equal(event.assocreset_type, SCTP_ASSOC_RESET_EVENT);
    assert_int_equal(event.assocreset_length, sizeof(event));
    return event;
}

static void join(struct sctp_socket **client, struct sctp_socket **server, uint32_t supported,
                 uint32_t enabled)
{
    struct sctp_socket *listener;

    world_open(&world);
    listener = socket_make_listener(&world.hosts[1], SOCK_STREAM);
    *client = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(set_value(i ? listener : *client, SCTP_RECONFIG_SUPPORTED, supported), 0);
        assert_int_equal(set_value(i ? listener : *client, SCTP_ENABLE_STREAM_RESET, enabled), 0);
        subscribe_to_all(i ? listener : *client);
    }
    assert_int_equal(socket_begin(*client, &world.hosts[0], &world.hosts[1], PORT), -EINPROGRESS);
    world_run(&world, SECOND);
    *server = socket_take_accepted(listener, &world);
    assert_non_null(*server);
}

static void test_options(void **state)
{
    static const uint16_t streams[] = {1};
    struct sctp_assoc_value value = {.assoc_id = 12345, .assoc_value = 1};
    struct sctp_socket *one, *many;

    (void)state;
    world_open(&world);
    one = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    many = socket_make(&world.hosts[0], AF_INET, SOCK_SEQPACKET);
    /* off, as on Linux with net.sctp.reconf_enable=0 */
    assert_int_equal(get_value(one, SCTP_RECONFIG_SUPPORTED), 0);
    assert_int_equal(get_value(one, SCTP_ENABLE_STREAM_RESET), 0);
    assert_int_equal(set_value(one, SCTP_RECONFIG_SUPPORTED, 5), 0);
    assert_int_equal(get_value(one, SCTP_RECONFIG_SUPPORTED), 1);
    assert_int_equal(set_value(one, SCTP_ENABLE_STREAM_RESET, 7), 0);
    assert_int_equal(get_value(one, SCTP_ENABLE_STREAM_RESET), 7);
    assert_int_equal(set_value(one, SCTP_ENABLE_STREAM_RESET, 8), -EINVAL);
    assert_int_equal(set(many, SCTP_RECONFIG_SUPPORTED, &value, sizeof(value)), -EINVAL);
    assert_int_equal(set(many, SCTP_ENABLE_STREAM_RESET, &value, sizeof(value)), -EINVAL);
    assert_int_equal(get(many, SCTP_RECONFIG_SUPPORTED, &value, sizeof(value)), -EINVAL);
    assert_int_equal(get(many, SCTP_ENABLE_STREAM_RESET, &value, sizeof(value)), -EINVAL);
    assert_int_equal(set(one, SCTP_RECONFIG_SUPPORTED, &value, 4), -EINVAL);
    assert_int_equal(set(one, SCTP_ENABLE_STREAM_RESET, &value, 4), -EINVAL);
    assert_int_equal(get(one, SCTP_ENABLE_STREAM_RESET, &value, 4), -EINVAL);
    value.assoc_id = SCTP_ALL_ASSOC;
    assert_int_equal(set(many, SCTP_ENABLE_STREAM_RESET, &value, sizeof(value)), 0);
    assert_int_equal(get_value(many, SCTP_ENABLE_STREAM_RESET), 1);
    /* there is no association */
    assert_int_equal(reset_streams(one, SCTP_STREAM_RESET_OUTGOING, 1, streams), -EINVAL);
    assert_int_equal(reset_association(one), -EINVAL);
    assert_int_equal(add_streams(one, 1, 1), -EINVAL);
    assert_int_equal(get(one, SCTP_RESET_STREAMS, &value, sizeof(value)), -ENOPROTOOPT);
    assert_int_equal(get(one, SCTP_RESET_ASSOC, &value, sizeof(value)), -ENOPROTOOPT);
    assert_int_equal(get(one, SCTP_ADD_STREAMS, &value, sizeof(value)), -ENOPROTOOPT);
    world_close(&world);
}

static void test_not_supported(void **state)
{
    static const uint16_t streams[] = {1};

    (void)state;
    for (uint32_t i = 0; i < 2; i++) { /* neither without one nor without the other */
        struct sctp_socket *client, *server;

        join(&client, &server, i, i == 0 ? 7 : 0);
        assert_int_equal(get_value(client, SCTP_RECONFIG_SUPPORTED), i);
        assert_int_equal(get_value(server, SCTP_RECONFIG_SUPPORTED), i);
        assert_int_equal(reset_streams(client, SCTP_STREAM_RESET_OUTGOING, 1, streams),
                         -ENOPROTOOPT);
        assert_int_equal(reset_association(client), -ENOPROTOOPT);
        assert_int_equal(add_streams(client, 1, 1), -ENOPROTOOPT);
        world_close(&world);
    }
}

static void test_reset_streams(void **state)
{
    static const uint16_t streams[] = {1, 3}, far[] = {10};
    struct sctp_reset_streams reset = {.srs_flags = 2, .srs_number_streams = 1};
    struct sctp_socket *client, *server;

    (void)state;
    join(&client, &server, 1, 7);
    assert_int_equal(reset_streams(client, 0, 2, streams), -EINVAL);
    assert_int_equal(reset_streams(client, SCTP_STREAM_RESET_OUTGOING, 1, far), -EINVAL);
    assert_int_equal(set(client, SCTP_RESET_STREAMS, &reset, sizeof(reset)), -EINVAL);
    assert_int_equal(set(client, SCTP_RESET_STREAMS, &reset, 4), -EINVAL);
    assert_int_equal(reset_streams(client, SCTP_STREAM_RESET_OUTGOING, 2, streams), 0);
    assert_int_equal(reset_association(client), -EINPROGRESS);
    world_run(&world, SECOND);
    expect_reset(client, SCTP_STREAM_RESET_OUTGOING_SSN, 2, streams);
    expect_reset(server, SCTP_STREAM_RESET_INCOMING_SSN, 2, streams);
    /* both directions, all streams */
    assert_int_equal(
        reset_streams(server, SCTP_STREAM_RESET_OUTGOING | SCTP_STREAM_RESET_INCOMING, 0, NULL), 0);
    world_run(&world, SECOND);
    expect_reset(server, SCTP_STREAM_RESET_OUTGOING_SSN, 0, streams);
    expect_reset(server, SCTP_STREAM_RESET_INCOMING_SSN, 0, streams);
    expect_reset(client, SCTP_STREAM_RESET_INCOMING_SSN, 0, streams);
    expect_reset(client, SCTP_STREAM_RESET_OUTGOING_SSN, 0, streams);
    /* the server does not permit it any more */
    assert_int_equal(set_value(server, SCTP_ENABLE_STREAM_RESET, 0), 0);
    assert_int_equal(reset_streams(client, SCTP_STREAM_RESET_OUTGOING, 2, streams), 0);
    world_run(&world, SECOND);
    expect_reset(client, SCTP_STREAM_RESET_OUTGOING_SSN | SCTP_STREAM_RESET_DENIED, 2, streams);
    assert_string_equal(next_text(&world, server), "-");
    world_close(&world);
}

static void test_reset_association(void **state)
{
    struct sctp_assoc_reset_event ours, theirs;
    struct sctp_socket *client, *server;
    uint32_t wrong = 0;

    (void)state;
    join(&client, &server, 1, 7);
    assert_int_equal(set(client, SCTP_RESET_ASSOC, &wrong, 2), -EINVAL);
    assert_int_equal(send_text(&world, client, "before", 0, 0, NULL), 0);
    assert_int_equal(reset_association(client), -EAGAIN);
    world_run(&world, SECOND);
    assert_int_equal(reset_association(client), 0);
    world_run(&world, SECOND);
    ours = next_association_reset(client);
    assert_int_equal(ours.assocreset_flags, 0);
    assert_string_equal(next_text(&world, server), "before");
    theirs = next_association_reset(server);
    assert_int_equal(ours.assocreset_local_tsn, theirs.assocreset_remote_tsn);
    assert_int_equal(ours.assocreset_remote_tsn, theirs.assocreset_local_tsn);
    assert_int_equal(send_text(&world, client, "after", 0, 0, NULL), 0);
    assert_int_equal(send_text(&world, server, "as well", 0, 0, NULL), 0);
    world_run(&world, SECOND);
    assert_string_equal(next_text(&world, server), "after");
    assert_string_equal(next_text(&world, client), "as well");
    assert_int_equal(set_value(server, SCTP_ENABLE_STREAM_RESET, 0), 0);
    assert_int_equal(reset_association(client), 0);
    world_run(&world, SECOND);
    ours = next_association_reset(client);
    assert_int_equal(ours.assocreset_flags, SCTP_ASSOC_RESET_DENIED);
    world_close(&world);
}

static int send_on(struct sctp_socket *socket, uint16_t stream)
{
    struct channel_header header = {
        .type = CHANNEL_SEND, .flags = CHANNEL_HAS_INFO, .info = {.stream = stream}};

    return send_bytes(&world, socket, "far", 3, &header, NULL);
}

static void test_add_streams(void **state)
{
    struct sctp_socket *client, *server;
    struct sctp_add_streams add = {.sas_outstrms = 1};
    struct socket_description description;

    (void)state;
    join(&client, &server, 1, 7);
    assert_int_equal(set(client, SCTP_ADD_STREAMS, &add, sizeof(add) - 1), -EINVAL);
    assert_int_equal(add_streams(client, 0, 0), -EINVAL);
    assert_int_equal(add_streams(client, 65530, 0), -EINVAL);
    assert_int_equal(send_on(client, 11), -EINVAL);
    assert_int_equal(add_streams(client, 2, 3), 0);
    socket_describe(client, &description);
    assert_int_equal(description.outbound_streams, 12);
    assert_int_equal(send_on(client, 11), 0); /* it waits for the answer */
    world_run(&world, SECOND);
    expect_change(client, 0, 0, 2);
    expect_change(client, 0, 3, 0);
    expect_change(server, 0, 2, 0);
    assert_string_equal(next_text(&world, server), "far");
    expect_change(server, 0, 0, 3);
    socket_describe(server, &description);
    assert_int_equal(description.outbound_streams, 13);
    assert_int_equal(set_value(server, SCTP_ENABLE_STREAM_RESET, 3), 0);
    assert_int_equal(add_streams(client, 1, 0), 0);
    world_run(&world, SECOND);
    expect_change(client, SCTP_STREAM_CHANGE_DENIED, 0, 1);
    socket_describe(client, &description);
    assert_int_equal(description.outbound_streams, 12);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),       cmocka_unit_test(test_not_supported),
        cmocka_unit_test(test_reset_streams), cmocka_unit_test(test_reset_association),
        cmocka_unit_test(test_add_streams),
    };

    return cmocka_run_group_tests_name("reconfig", tests, NULL, NULL);
}
