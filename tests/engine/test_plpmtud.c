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

/* 6.2.1.3: the path takes what its route says, and is not asked again. */
static void test_confirmed(void **state)
{
    struct peer *peer = scene(state, INTERVAL);
    const struct sent *sent = expect(peer, "HEARTBEAT 0x84");

    answer(peer, assert_probe(sent, 1500));
    answer(peer, sent); /* a second answer means nothing */
    expect_silence(peer, 1000 * SECOND);
    assert_int_equal(peer_path(peer, 0).mtu, 1500);
    assert_int_equal(peer_path(peer, 0).error_count, 0);
}

/* 5.1.1: at least a second, also where the RTO is shorter; 3, 7: no congestion, no failure. */
static void test_probe_timer(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;
    uint32_t cwnd;

    parameters.probe_interval = INTERVAL;
    parameters.rto_initial = parameters.rto_min = 100;
    peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
    peer_accept(peer);
    cwnd = peer_path(peer, 0).cwnd;
    assert_probe(expect(peer, "HEARTBEAT 0x84"), 1500);
    assert_probe(expect_after(peer, SECOND, "HEARTBEAT 0x84"), 1500);
    assert_probe(expect_after(peer, SECOND, "HEARTBEAT 0x84"), 1500);
    answer(peer, assert_probe(expect_after(peer, SECOND, "HEARTBEAT 0x84"), 1388));
    assert_int_equal(peer_path(peer, 0).mtu, 1388);
    assert_int_equal(peer_path(peer, 0).cwnd, cwnd);
    assert_int_equal(peer_path(peer, 0).error_count, 0);
}

/* The path takes no more than this: all probes until the search is complete. */
static void find(struct peer *peer, uint32_t limit)
{
    const struct sent *sent;

    for (braid_time quiet = 0; quiet < 10 * SECOND; quiet += SECOND) {
        peer_advance(peer, SECOND);
        while ((sent = peer_next(peer))) {
            quiet = 0;
            if (sent->length + IPV4_HEADER <= limit)
                answer(peer, sent);
        }
    }
    assert_in_range(peer_path(peer, 0).mtu, limit - 8, limit);
}

/* A path that takes 1400 bytes and says nothing of what is longer. */
static void test_black_hole(void **state)
{
    struct peer *peer = scene(state, INTERVAL);
    uint32_t mtu;

    for (int i = 0; i < 3; i++)
        assert_probe(expect_within(peer, 4 * SECOND, "HEARTBEAT 0x84"), 1500);
    assert_int_equal(peer_path(peer, 0).mtu, 1500);
    /* lost: a search between what any path takes and what did not pass */
    find(peer, 1400);
    mtu = peer_path(peer, 0).mtu;
    /* no failure of the path, and messages in packets that pass */
    assert_int_equal(peer_path(peer, 0).error_count, 0);
    assert_int_equal(peer_path(peer, 0).state, BRAID_PATH_ACTIVE);
    assert_int_equal(peer_user_send(peer, 0, 2000), 0);
    assert_in_range(expect(peer, "DATA")->length + IPV4_HEADER, mtu - 4, mtu);
}

/* 5.1.1, PMTU_RAISE_TIMER: after thirty intervals the path may take more. */
static void test_raised(void **state)
{
    struct peer *peer = scene(state, INTERVAL);

    find(peer, 1400);
    expect_silence(peer, 28 * INTERVAL * MS);
    answer(peer, assert_probe(expect_within(peer, 2 * INTERVAL * MS, "HEARTBEAT 0x84"), 1500));
    assert_int_equal(peer_path(peer, 0).mtu, 1500);
    expect_silence(peer, 1000 * SECOND);
}

/* 4.6.2: what ICMP says is tried, and not more than tried. */
static void test_too_big(void **state)
{
    static const struct {
        uint32_t said, mtu, probe;
    } cases[] = {
        {1400, 1280, 1400}, /* smaller than what passed: the small one, and what it said is tried */
        {1000, 512, 1000},  /* smaller than the small one, too */
        {1500, 1500, 0},    /* what it is already */
        {300, 1500, 0},     /* what no path has */
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer *peer = scene(state, INTERVAL);
        const struct sent *sent = expect(peer, "HEARTBEAT 0x84");

        answer(peer, sent);
        braid_engine_icmp(peer->engine, BRAID_ICMP_TOO_BIG, cases[i].said, &peer->there[0],
                          sent->bytes, sent->length, peer->now);
        peer_run(peer);
        assert_int_equal(peer_path(peer, 0).mtu, cases[i].mtu);
        if (cases[i].probe == 0) {
            expect_silence(peer, 200 * SECOND);
            continue;
        }
        answer(peer, assert_probe(expect(peer, "HEARTBEAT 0x84"), cases[i].probe));
        assert_int_equal(peer_path(peer, 0).mtu, cases[i].probe);
        expect_silence(peer, 200 * SECOND);
    }
}

/* The same of a probe: what is there stays. */
static void test_probe_too_big(void **state)
{
    struct peer *peer = scene(state, INTERVAL);
    const struct sent *sent;

    find(peer, 1300);
    sent = expect_within(peer, 31 * INTERVAL * MS, "HEARTBEAT 0x84");
    assert_probe(sent, 1500);
    braid_engine_icmp(peer->engine, BRAID_ICMP_TOO_BIG, 1452, &peer->there[0], sent->bytes,
                      sent->length, peer->now);
    peer_run(peer);
    assert_in_range(peer_path(peer, 0).mtu, 1292, 1300);
    answer(peer, assert_probe(expect(peer, "HEARTBEAT 0x84"), 1452));
    assert_int_equal(peer_path(peer, 0).mtu, 1452);
    expect_silence(peer, 200 * SECOND);
}

/* 4.3: DATA gets no answer, though what is small does. What is on its way goes again, smaller. */
static void test_shrinks(void **state)
{
    struct peer *peer = scene(state, INTERVAL);
    const struct sent *sent;

    answer(peer, expect(peer, "HEARTBEAT 0x84"));
    expect_silence(peer, 5 * SECOND);
    assert_int_equal(peer_user_send(peer, 0, 1400), 0);
    expect(peer, "DATA");
    sent = expect_within(peer, 2 * SECOND, "HEARTBEAT 0x84");
    assert_probe(sent, 1500);
    for (int i = 0; i < 60 && peer_path(peer, 0).mtu == 1500; i++)
        peer_advance(peer, SECOND);
    assert_int_equal(peer_path(peer, 0).mtu, 1280);
    do {
        peer_advance(peer, SECOND);
        sent = peer_next(peer);
    } while (sent && sent->dont_fragment);
    assert_non_null(sent); /* the message, in fragments of IP */
    peer_send_sack(peer, peer->engine_initial_tsn);
    assert_int_equal(peer_path(peer, 0).state, BRAID_PATH_ACTIVE);
    assert_int_equal(peer_path(peer, 0).mtu, 1280);
}

/* Nothing was answered for a while, and then all is: the route is believed again. */
static void test_recovers(void **state)
{
    struct peer *peer = scene(state, INTERVAL);
    const struct sent *sent;

    answer(peer, expect(peer, "HEARTBEAT 0x84"));
    assert_int_equal(peer_user_send(peer, 0, 1400), 0);
    expect(peer, "DATA");
    peer_advance(peer, 15 * SECOND);
    assert_int_equal(peer_path(peer, 0).mtu, 1280);
    peer_skip(peer);
    peer_send_sack(peer, peer->engine_initial_tsn);
    for (int i = 0; i < 20 && peer_path(peer, 0).mtu < 1500; i++) {
        while ((sent = peer_next(peer)))
            answer(peer, sent);
        peer_advance(peer, SECOND);
    }
    assert_int_equal(peer_path(peer, 0).mtu, 1500);
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
        peer_test(test_probe_timer),   peer_test(test_raised),     peer_test(test_too_big),
        peer_test(test_probe_too_big), peer_test(test_recovers),   peer_test(test_off),
        peer_test(test_confirmed),     peer_test(test_black_hole), peer_test(test_shrinks),
        peer_test(test_configured),    peer_test(test_pad),        peer_test(test_pad_parameter),
    };

    return cmocka_run_group_tests_name("plpmtud", tests, NULL, NULL);
}
