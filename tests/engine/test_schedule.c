/*
 * Stream schedulers (RFC 8260, section 3): in which order messages leave that had to wait.
 */
#include <stdio.h>

#include "peer.h"

enum { FULL = 1452, SMALL = 400 };

static struct peer *scene(void **state, enum braid_scheduler scheduler)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;

    parameters.no_delay = true;
    parameters.scheduler = (uint8_t)scheduler;
    peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
    peer->a_rwnd = 1000000;
    peer_accept(peer);
    assert_int_equal(braid_association_scheduler(peer->engine, peer->association), scheduler);
    return peer;
}

/* Closes the congestion window: what is sent from now on waits. Returns the next TSN. */
static uint32_t close_window(struct peer *peer)
{
    uint32_t tsn = peer->engine_initial_tsn;

    while (peer_info(peer).outstanding_bytes == peer_info(peer).queued_bytes) {
        assert_int_equal(peer_user_send(peer, 0, FULL), 0);
        tsn += (uint32_t)peer_skip(peer);
    }
    return tsn;
}

/* A message for each letter: 'a' is stream 0, 'b' stream 1, 'B' a long message of it. */
static void send_letters(struct peer *peer, const char *letters)
{
    for (; *letters; letters++) {
        bool large = *letters < 'a';

        assert_int_equal(
            peer_user_send(peer, (uint16_t)((*letters | 32) - 'a'), large ? 3 * FULL : SMALL), 0);
    }
}

/* What leaves, when all is acknowledged as it comes: the streams of first fragments as letters. */
static const char *drain(struct peer *peer, uint32_t tsn)
{
    static char text[128];
    size_t used = 0;

    while (peer_info(peer).queued_bytes > 0) {
        const struct sent *sent;

        peer_send_sack(peer, tsn - 1);
        while ((sent = peer_next(peer))) {
            for (unsigned int i = 0; i < sent_count(sent, SCTP_CHUNK_DATA); i++, tsn++) {
                struct sctp_data data = sent_data(sent, i);

                assert_int_equal(data.tsn, tsn);
                if (data.flags & SCTP_DATA_FLAG_BEGINNING)
                    text[used++] = (char)('a' + data.stream);
            }
        }
    }
    text[used] = 0;
    return text;
}

static void set_value(struct peer *peer, uint16_t stream, uint16_t value)
{
    uint16_t read = 77;

    assert_int_equal(
        braid_association_set_stream_value(peer->engine, peer->association, stream, value), 0);
    assert_int_equal(braid_association_stream_value(peer->engine, peer->association, stream, &read),
                     0);
    assert_int_equal(read, value);
}

/* The first letter is the message that closed the window. */
static void test_first_come(void **state)
{
    struct peer *peer = scene(state, BRAID_SCHEDULER_FIRST_COME);
    uint32_t tsn = close_window(peer);

    send_letters(peer, "cbbbcda");
    assert_string_equal(drain(peer, tsn), "acbbbcda");
}

static void test_round_robin(void **state)
{
    struct peer *peer = scene(state, BRAID_SCHEDULER_ROUND_ROBIN);
    uint32_t tsn = close_window(peer);

    send_letters(peer, "bbbbcccdad");
    assert_string_equal(drain(peer, tsn), "abcdabcdbcb");
}

/* A message is not interrupted: DATA has no numbers for that. */
static void test_long_messages(void **state)
{
    struct peer *peer = scene(state, BRAID_SCHEDULER_ROUND_ROBIN);
    uint32_t tsn = close_window(peer);

    send_letters(peer, "BcBc");
    assert_string_equal(drain(peer, tsn), "abcbc");
}

static void test_priority(void **state)
{
    struct peer *peer = scene(state, BRAID_SCHEDULER_PRIORITY);
    uint32_t tsn = close_window(peer);

    set_value(peer, 0, 5);
    set_value(peer, 1, 20);
    set_value(peer, 2, 10);
    set_value(peer, 3, 10);
    send_letters(peer, "bbccdeed"); /* 'e' has the value 0, before all others */
    assert_string_equal(drain(peer, tsn), "eeacdcdbb");
}

/* The scheduler changes while messages wait: none is lost, none twice. */
static void test_change(void **state)
{
    struct peer *peer = scene(state, BRAID_SCHEDULER_FIRST_COME);
    uint32_t tsn = close_window(peer);

    send_letters(peer, "bbbccd");
    assert_int_equal(
        braid_association_set_scheduler(peer->engine, peer->association, BRAID_SCHEDULER_PRIORITY),
        0);
    set_value(peer, 3, 0);
    set_value(peer, 1, 1);
    set_value(peer, 2, 2);
    set_value(peer, 0, 9);
    send_letters(peer, "cb");
    assert_string_equal(drain(peer, tsn), "dbbbbccca");
    assert_int_equal(braid_association_set_scheduler(peer->engine, peer->association,
                                                     BRAID_SCHEDULER_ROUND_ROBIN),
                     0);
    assert_int_equal(braid_association_set_scheduler(peer->engine, peer->association,
                                                     BRAID_SCHEDULER_FIRST_COME),
                     0);
    assert_int_equal(
        braid_association_set_scheduler(peer->engine, peer->association, (enum braid_scheduler)9),
        -EINVAL);
    assert_int_equal(braid_association_set_stream_value(peer->engine, peer->association, 10, 1),
                     -EINVAL);
    assert_int_equal(braid_association_set_scheduler(peer->engine, 0, BRAID_SCHEDULER_FIRST_COME),
                     -ENOENT);
}

/* What waits by stream is given back when the association ends, and by priority when the buffer is
 * full (RFC 7496). */
static void test_given_back(void **state)
{
    struct peer *peer = scene(state, BRAID_SCHEDULER_ROUND_ROBIN);

    (void)close_window(peer);
    send_letters(peer, "bbcd");
    assert_int_equal(braid_abort(peer->engine, peer->association, NULL, 0, peer->now), 0);
    peer_run(peer);
    expect(peer, "ABORT");
    for (int i = 0; i < 5; i++) {
        const struct braid_event *event = expect_event(peer, BRAID_EVENT_SEND_FAILED);

        while (!event->unsent)
            event = expect_event(peer, BRAID_EVENT_SEND_FAILED);
    }
}

static void test_yields(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;
    uint32_t tsn;

    parameters.no_delay = true;
    parameters.scheduler = BRAID_SCHEDULER_ROUND_ROBIN;
    parameters.send_buffer = 20000;
    peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
    peer->a_rwnd = 1000000;
    peer->partial_reliability = true;
    peer_accept(peer);
    tsn = close_window(peer);
    send_letters(peer, "cd");
    while (peer_info(peer).writable) {
        struct braid_send send = {.stream = 1, .policy = BRAID_POLICY_PRIORITY, .limit = 9};
        static const uint8_t bytes[SMALL];

        assert_int_equal(
            braid_send(peer->engine, peer->association, &send, bytes, SMALL, peer->now), 0);
    }
    send_letters(peer, "cdcd"); /* each takes the place of one that yields */
    assert_int_equal(expect_event(peer, BRAID_EVENT_SEND_FAILED)->send.stream, 1);
    assert_int_equal(strncmp(drain(peer, tsn), "acdbcdbcdbb", 11), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_first_come), peer_test(test_round_robin), peer_test(test_long_messages),
        peer_test(test_priority),   peer_test(test_change),      peer_test(test_given_back),
        peer_test(test_yields),
    };

    return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
