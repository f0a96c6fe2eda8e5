/*
 * Options, ancillary data and notifications of partial reliability: RFC 6458, 5.3.7, 8.1.32; RFC
 * 7496, 4.1 to 4.5, with Linux's sizes and errors.
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

static int set_supported(struct sctp_socket *socket, uint32_t on)
{
    struct sctp_assoc_value value = {.assoc_value = on};

    return set(socket, SCTP_PR_SUPPORTED, &value, sizeof(value));
}

static int get_supported(struct sctp_socket *socket)
{
    struct sctp_assoc_value value = {.assoc_value = 7};

    assert_int_equal(get(socket, SCTP_PR_SUPPORTED, &value, sizeof(value)), 0);
    return (int)value.assoc_value;
}

static int set_default(struct sctp_socket *socket, uint16_t policy, uint32_t pr_value)
{
    struct sctp_default_prinfo info = {.pr_policy = policy, .pr_value = pr_value};

    return set(socket, SCTP_DEFAULT_PRINFO, &info, sizeof(info));
}

/* The counters as unsent * 100 + sent, or the error. */
static int status(struct sctp_socket *socket, int option, uint16_t stream, uint16_t policy)
{
    struct sctp_prstatus now = {.sprstat_sid = stream, .sprstat_policy = policy};
    int error = get(socket, option, &now, sizeof(now));

    return error < 0 ? error
                     : (int)(now.sprstat_abandoned_unsent * 100 + now.sprstat_abandoned_sent);
}

static void test_options(void **state)
{
    struct sctp_socket *socket;
    struct sctp_default_prinfo info = {.pr_policy = 99};

    (void)state;
    world_open(&world);
    socket = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    assert_int_equal(get_supported(socket), 1); /* as on Linux */
    assert_int_equal(set_supported(socket, 0), 0);
    assert_int_equal(get_supported(socket), 0);
    assert_int_equal(get(socket, SCTP_DEFAULT_PRINFO, &info, sizeof(info)), 0);
    assert_int_equal(info.pr_policy, SCTP_PR_SCTP_NONE);
    assert_int_equal(set_default(socket, SCTP_PR_SCTP_RTX, 3), 0);
    assert_int_equal(get(socket, SCTP_DEFAULT_PRINFO, &info, sizeof(info)), 0);
    assert_int_equal(info.pr_policy, SCTP_PR_SCTP_RTX);
    assert_int_equal(info.pr_value, 3);
    assert_int_equal(set_default(socket, SCTP_PR_SCTP_NONE, 3), 0);
    assert_int_equal(get(socket, SCTP_DEFAULT_PRINFO, &info, sizeof(info)), 0);
    assert_int_equal(info.pr_value, 0);
    assert_int_equal(set_default(socket, 0x40, 3), -EINVAL);
    assert_int_equal(set(socket, SCTP_DEFAULT_PRINFO, &info, sizeof(info) - 1), -EINVAL);
    assert_int_equal(get(socket, SCTP_DEFAULT_PRINFO, &info, sizeof(info) - 1), -EINVAL);
    assert_int_equal(status(socket, SCTP_PR_ASSOC_STATUS, 0, SCTP_PR_SCTP_ALL), -EINVAL);
    world_close(&world);
}

/* Both must have it. */
static void test_association(void **state)
{
    for (uint32_t on = 0; on < 2; on++) {
        struct sctp_socket *listener, *client, *server;

        (void)state;
        world_open(&world);
        listener = socket_make_listener(&world.hosts[1], SOCK_STREAM);
        assert_int_equal(set_supported(listener, on), 0);
        client = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
        assert_int_equal(socket_begin(client, &world.hosts[0], &world.hosts[1], PORT),
                         -EINPROGRESS);
        world_run(&world, 1 * SECOND);
        server = socket_take_accepted(listener, &world);
        assert_int_equal(get_supported(client), on);
        assert_int_equal(get_supported(server), on);
        world_close(&world);
    }
}

static int send_with(struct sctp_socket *socket, const char *text, uint32_t flags,
                     const struct channel_info *info, uint16_t policy, uint32_t pr_value)
{
    struct channel_header header = {.type = CHANNEL_SEND,
                                    .flags = flags,
                                    .pr_policy = policy,
                                    .pr_value = pr_value,
                                    .time_to_live = flags & CHANNEL_HAS_PR ? pr_value : 0};

    if (info)
        header.info = *info;
    return send_bytes(&world, socket, text, strlen(text), &header, NULL);
}

/* The next SCTP_SEND_FAILED and SCTP_SEND_FAILED_EVENT say this. */
static void expect_failed(struct sctp_socket *socket, const char *text, uint32_t unsent,
                          uint32_t pr_value)
{
    struct socket_received received;
    struct sctp_send_failed failed;
    struct sctp_send_failed_event event;

    assert_true(socket_receive(socket, &received, world.now));
    assert_int_equal(received.kind, SOCKET_NOTIFICATION);
    assert_int_equal(received.length, sizeof(failed) + strlen(text));
    memcpy(&failed, received.bytes, sizeof(failed));
    assert_int_equal(failed.ssf_type, SCTP_SEND_FAILED);
    assert_int_equal(failed.ssf_flags, unsent ? SCTP_DATA_UNSENT : SCTP_DATA_SENT);
    assert_int_equal(failed.ssf_error, 0);
    assert_int_equal(failed.ssf_info.sinfo_flags, 3); /* of the chunk, as on Linux */
    assert_int_equal(failed.ssf_info.sinfo_timetolive, pr_value);
    assert_memory_equal(received.bytes + sizeof(failed), text, strlen(text));
    socket_received_release(socket, &received, world.now);
    assert_true(socket_receive(socket, &received, world.now));
    assert_int_equal(received.length, sizeof(event) + strlen(text));
    memcpy(&event, received.bytes, sizeof(event));
    assert_int_equal(event.ssf_type, SCTP_SEND_FAILED_EVENT);
    assert_int_equal(event.ssf_flags, unsent ? SCTP_DATA_UNSENT : SCTP_DATA_SENT);
    assert_int_equal(event.ssfe_info.snd_flags, 3);
    socket_received_release(socket, &received, world.now);
    socket_hold(socket, 0, world.now);
}

/* Messages into a cut wire: what is abandoned, by which policy, what the sender hears, and what the
 * peer gets when the wire is whole again. */
static void test_abandoned(void **state)
{
    static const struct channel_info on_stream_2 = {.stream = 2};
    struct sctp_event event = {.se_assoc_id = SCTP_ALL_ASSOC, .se_on = 1};
    struct sctp_socket *listener, *client, *server;

    (void)state;
    world_open(&world);
    sockets_join(&world, &client, &server, &listener);
    event.se_type = SCTP_SEND_FAILED;
    assert_int_equal(set(client, SCTP_EVENT, &event, sizeof(event)), 0);
    event.se_type = SCTP_SEND_FAILED_EVENT;
    assert_int_equal(set(client, SCTP_EVENT, &event, sizeof(event)), 0);

    world_wire(&world)->cut = true;
    /* the default; ancillary data that does not say otherwise keeps it, SCTP_PRINFO does not */
    assert_int_equal(set_default(client, SCTP_PR_SCTP_RTX, 0), 0);
    assert_int_equal(send_with(client, "one", 0, NULL, 0, 0), 0);
    assert_int_equal(send_with(client, "two", CHANNEL_HAS_INFO, &on_stream_2, 0, 0), 0);
    assert_int_equal(send_with(client, "three", CHANNEL_HAS_PR, NULL, SCTP_PR_SCTP_TTL, 500), 0);
    assert_int_equal(send_with(client, "four", CHANNEL_HAS_PR, NULL, SCTP_PR_SCTP_NONE, 0), 0);
    world_run(&world, 4 * SECOND);
    expect_failed(client, "one", 0, 0);
    expect_failed(client, "two", 0, 0);
    expect_failed(client, "three", 0, 500);
    assert_string_equal(next_text(&world, client), "-");
    world_wire(&world)->cut = false;
    world_run(&world, 20 * SECOND);
    assert_int_equal(status(client, SCTP_PR_ASSOC_STATUS, 0, SCTP_PR_SCTP_RTX), 2);
    assert_int_equal(status(client, SCTP_PR_ASSOC_STATUS, 0, SCTP_PR_SCTP_TTL), 1);
    assert_int_equal(status(client, SCTP_PR_ASSOC_STATUS, 0, SCTP_PR_SCTP_ALL), 3);
    assert_int_equal(status(client, SCTP_PR_STREAM_STATUS, 2, SCTP_PR_SCTP_RTX), 1);
    assert_int_equal(status(client, SCTP_PR_STREAM_STATUS, 3, SCTP_PR_SCTP_ALL), 0);
    assert_int_equal(status(client, SCTP_PR_STREAM_STATUS, 9999, SCTP_PR_SCTP_ALL), -EINVAL);
    assert_int_equal(status(client, SCTP_PR_ASSOC_STATUS, 0, 0), -EINVAL);
    assert_int_equal(status(client, SCTP_PR_ASSOC_STATUS, 0, SCTP_PR_SCTP_ALL | SCTP_PR_SCTP_TTL),
                     -EINVAL);
    assert_string_equal(next_text(&world, server), "four");
    assert_string_equal(next_text(&world, server), "-");
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_association),
        cmocka_unit_test(test_abandoned),
    };

    return cmocka_run_group_tests_name("reliability", tests, NULL, NULL);
}
