/*
 * Packetization Layer Path MTU Discovery (RFC 8899): what is tried, when it is believed, and what
 * follows when large packets vanish without a word.
 */
#include "peer.h"

enum { INTERVAL = 10000, IPV4_HEADER = 20 };

static struct peer *scene(void **state, uint32_t interval)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;

    parameters.probe_interval = interval;
    peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
    peer_accept(peer);
    return peer;
}

/* A probe of this size of the IP packet: HEARTBEAT and PAD, not to be fragmented. */
static const struct sent *assert_probe(const struct sent *sent, size_t size)
{
    assert_int_equal(sent->length + IPV4_HEADER, size);
    assert_true(sent->dont_fragment);
    return sent;
}

static void answer(struct peer *peer, const struct sent *sent)
{
    struct sctp_chunk chunk = sent_chunk(sent, SCTP_CHUNK_HEARTBEAT);

    peer_begin(peer);
    chunk_write(&peer->writer, SCTP_CHUNK_HEARTBEAT_ACK, 0, chunk.value, chunk.value_length);
    peer_send(peer);
}

static void test_off(void **state)
{
    struct peer *peer = scene(state, 0);

    expect_silence(peer, 60 * SECOND);
    assert_int_equal(peer_path(peer, 0).mtu, 1500);
}

/* The path takes what its route says: it is asked again each interval. */
static void test_confirmed(void **state)
{
    struct peer *peer = scene(state, INTERVAL);

    for (int i = 0; i < 5; i++) {
        const struct sent *sent = i == 0 ? expect(peer, "HEARTBEAT 0x84")
                                         : expect_after(peer, INTERVAL * MS, "HEARTBEAT 0x84");

        answer(peer, assert_probe(sent, 1500));
        answer(peer, sent); /* a second answer means nothing */
    }
    assert_int_equal(peer_path(peer, 0).mtu, 1500);
    assert_int_equal(peer_path(peer, 0).error_count, 0);
}

/* A path that takes 1400 bytes and says nothing of what is longer. */
static void test_black_hole(void **state)
{
    struct peer *peer = scene(state, INTERVAL);
    uint32_t mtu;

    for (int i = 0; i < 3; i++)
        assert_probe(expect_within(peer, 61 * SECOND, "HEARTBEAT 0x84"), 1500);
    assert_int_equal(peer_path(peer, 0).mtu, 1500);
    /* lost: a search between what any path takes and what did not pass */
    for (int i = 0; i < 30; i++) {
        const struct sent *sent = expect_within(peer, 61 * SECOND, "HEARTBEAT 0x84");

        mtu = peer_path(peer, 0).mtu;
        assert_in_range(mtu, 1280, 1400);
        if (sent->length + IPV4_HEADER == mtu)
            break; /* it is found, and only asked for */
        assert_in_range(sent->length + IPV4_HEADER, 1280, 1496);
        if (sent->length + IPV4_HEADER <= 1400)
            answer(peer, sent);
    }
    mtu = peer_path(peer, 0).mtu;
    assert_in_range(mtu, 1390, 1400);
    /* no failure of the path, and messages in packets that pass */
    assert_int_equal(peer_path(peer, 0).error_count, 0);
    assert_int_equal(peer_path(peer, 0).state, BRAID_PATH_ACTIVE);
    assert_int_equal(peer_user_send(peer, 0, 2000), 0);
    assert_in_range(expect(peer, "DATA")->length + IPV4_HEADER, mtu - 4, mtu);
}

/* It works no more: what is on its way goes again, smaller. */
static void test_shrinks(void **state)
{
    struct peer *peer = scene(state, INTERVAL);

    answer(peer, expect(peer, "HEARTBEAT 0x84"));
    peer_advance(peer, 5 * SECOND);
    assert_int_equal(peer_path(peer, 0).mtu, 1500);
    for (int i = 0; i < 3; i++)
        expect_within(peer, 61 * SECOND, "HEARTBEAT 0x84");
    expect_within(peer, 61 * SECOND, "HEARTBEAT 0x84");
    assert_int_equal(peer_path(peer, 0).mtu, 1280);
}

/* Turned on and off for a path. */
static void test_configured(void **state)
{
    struct braid_path_settings settings = BRAID_PATH_SETTINGS_UNCHANGED;
    struct peer *peer = scene(state, 0);

    settings.probe_interval = INTERVAL;
    assert_int_equal(braid_path_configure(peer->engine, peer->association, 0, &settings, peer->now),
                     0);
    answer(peer, assert_probe(expect(peer, "HEARTBEAT 0x84"), 1500));
    assert_int_equal(peer_path(peer, 0).probe_interval, INTERVAL);
    settings.probe_interval = 0;
    assert_int_equal(braid_path_configure(peer->engine, peer->association, 0, &settings, peer->now),
                     0);
    expect_silence(peer, 60 * SECOND);
    /* a fixed MTU is not asked for */
    settings.probe_interval = INTERVAL;
    settings.mtu = 1300;
    assert_int_equal(braid_path_configure(peer->engine, peer->association, 0, &settings, peer->now),
                     0);
    expect_silence(peer, 60 * SECOND);
    assert_int_equal(peer_path(peer, 0).mtu, 1300);
}

/* PAD is thrown away (RFC 4820). */
static void test_pad(void **state)
{
    static const uint8_t zeros[100];
    struct peer *peer = scene(state, 0);
    struct braid_statistics statistics;

    peer_begin(peer);
    chunk_write(&peer->writer, SCTP_CHUNK_PAD, 0, zeros, sizeof(zeros));
    peer_write_data(peer, peer->initial_tsn, 0, 0, WHOLE, 10);
    peer_send(peer);
    expect_within(peer, 300 * MS, "SACK");
    braid_engine_statistics(peer->engine, &statistics);
    assert_int_equal(statistics.unknown_chunks, 0);
}

/* An INIT that is filled with padding gets the same INIT ACK as one that is not (RFC 4820, 4). */
static void test_pad_parameter(void **state)
{
    static const uint8_t zeros[100];
    struct peer *peer = peer_renew(state, NULL);
    size_t lengths[2];

    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    for (int i = 0; i < 2; i++) {
        struct sctp_parameter parameter;
        const struct sent *sent;
        size_t start = peer_begin_init(peer, SCTP_CHUNK_INIT);

        if (i == 1)
            parameter_write(&peer->writer, SCTP_PARAMETER_PADDING, zeros, sizeof(zeros));
        chunk_end(&peer->writer, start);
        peer_send(peer);
        sent = expect(peer, "INIT_ACK");
        assert_false(sent_parameter(sent, SCTP_PARAMETER_UNRECOGNIZED, &parameter));
        assert_false(sent_parameter(sent, SCTP_PARAMETER_PADDING, &parameter));
        lengths[i] = sent->length;
    }
    assert_int_equal(lengths[0], lengths[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_off),           peer_test(test_confirmed),  peer_test(test_black_hole),
        peer_test(test_shrinks),       peer_test(test_configured), peer_test(test_pad),
        peer_test(test_pad_parameter),
    };

    return cmocka_run_group_tests_name("plpmtud", tests, NULL, NULL);
}
