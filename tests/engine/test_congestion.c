/*
 * Tests: congestion control, RFC 9260 section 7.2, seen through braid_path_info() and through what
 * is sent.
 */
#include "peer.h"

/* User bytes that fill a packet of 1,500 bytes over IPv4, and the DATA chunk that they make. */
enum { FULL = 1452, PMDCS = 1468, INITIAL_CWND = 4404 };

static struct peer *begin_with(void **state, const struct peer_config *config)
{
    struct peer *peer = peer_renew(state, config);

    peer->a_rwnd = 10000000;
    braid_endpoint_parameters(peer->engine, peer->endpoint)->send_buffer = 10000000;
    peer_accept(peer);
    return peer;
}

static void send_full(struct peer *peer, unsigned int count)
{
    for (unsigned int i = 0; i < count; i++)
        assert_int_equal(peer_user_send(peer, 0, FULL), 0);
}

/* Takes the packets that were sent, each with one chunk; how many. */
static unsigned int take(struct peer *peer, uint32_t *highest)
{
    unsigned int count = 0;
    const struct sent *sent;

    for (; (sent = peer_next(peer)); count++) {
        if (sent_count(sent, SCTP_CHUNK_DATA) > 0)
            *highest = sent_data(sent, sent_count(sent, SCTP_CHUNK_DATA) - 1).tsn;
    }
    return count;
}

/* A peer with `count` full packets in flight from `*first` on, cwnd as slow start made it. */
static struct peer *begin_in_flight(void **state, unsigned int count, uint32_t *first)
{
    struct peer *peer = begin_with(state, NULL);
    uint32_t highest = 0;

    braid_association_parameters(peer->engine, peer->association)->max_burst = 0;
    send_full(peer, 400);
    for (int i = 0; i < 100; i++) {
        take(peer, &highest);
        *first = highest - (peer_info(peer).outstanding_chunks - 1);
        if (peer_info(peer).outstanding_chunks >= count)
            return peer;
        peer_send_sack(peer, *first + 1);
    }
    fail_msg("cwnd does not grow");
    return peer;
}

/* ---- 7.2.1 ------------------------------------------------------------------------------------
 */

/* min(4 * PMDCS, max(2 * PMDCS, 4404)), and 4344 for IPv6. */
static void test_initial_cwnd(void **state)
{
    static const struct {
        struct peer_config config;
        uint32_t cwnd;
    } cases[] = {
        {{.mtu = 1500}, 4404},
        {{.mtu = 1500, .ipv6 = true}, 4344},
        {{.mtu = 576}, 4 * 544},
        {{.mtu = 9000}, 2 * 8968},
        {{.mtu = 1280, .ipv6 = true}, 4344},
        {{.mtu = 1500, .udp = 9899}, 4404},
        {{.mtu = 576, .udp = 9899}, 4 * 536},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer *peer = begin_with(state, &cases[i].config);

        assert_int_equal(peer_path(peer, 0).cwnd, cases[i].cwnd);
        assert_int_equal(peer_path(peer, 0).mtu, cases[i].config.mtu);
        assert_int_equal(peer_path(peer, 0).flight, 0);
        assert_true(peer_path(peer, 0).ssthresh >= 100000); /* "arbitrarily high" */
    }
}

/* 6.1 B: up to cwnd, over it by no more than PMDCS - 1. */
static void test_flight_is_limited(void **state)
{
    struct peer *peer = begin_with(state, NULL);
    uint32_t highest;

    send_full(peer, 20);
    assert_int_equal(take(peer, &highest), 3); /* 3 * 1468 = 4404, cwnd is reached */
    assert_int_equal(peer_path(peer, 0).flight, INITIAL_CWND);

    peer = begin_with(state, NULL);
    for (int i = 0; i < 20; i++)
        assert_int_equal(peer_user_send(peer, 0, 1400), 0);
    assert_int_equal(take(peer, &highest), 4); /* 3 * 1416 = 4248 is below it: one more */
    expect_silence(peer, 900 * MS);
}

/* "increased by, at most, the lesser of the total size of ... acknowledged and L times PMDCS". */
static void test_slow_start(void **state)
{
    struct peer *peer = begin_with(state, NULL);
    uint32_t first = peer->engine_initial_tsn, highest = 0;

    send_full(peer, 100);
    assert_int_equal(take(peer, &highest), 3);
    peer_send_sack(peer, first); /* one packet */
    assert_int_equal(peer_path(peer, 0).cwnd, INITIAL_CWND + PMDCS);
    assert_int_equal(take(peer, &highest), 2);
    peer_send_sack(peer, first + 2); /* two at once count as one: L = 1 */
    assert_int_equal(peer_path(peer, 0).cwnd, INITIAL_CWND + 2 * PMDCS);
    assert_int_equal(take(peer, &highest), 3);
    assert_int_equal(peer_path(peer, 0).flight, 5 * PMDCS);
    /* a SACK that acknowledges nothing new */
    peer_send_sack(peer, first + 2);
    assert_int_equal(peer_path(peer, 0).cwnd, INITIAL_CWND + 2 * PMDCS);
    expect(peer, NONE);
}

/* A small chunk makes cwnd grow by its size only. */
static void test_slow_start_with_small_chunks(void **state)
{
    struct peer *peer = begin_with(state, NULL);
    uint32_t first = peer->engine_initial_tsn, highest = 0;

    assert_int_equal(peer_user_send(peer, 0, 81), 0);
    send_full(peer, 10);
    assert_int_equal(take(peer, &highest), 4);
    peer_send_sack(peer, first);
    /* 81 + 16, padded to 100 */
    assert_in_range(peer_path(peer, 0).cwnd, INITIAL_CWND + 81, INITIAL_CWND + 100);
}

/* "only if the current congestion window is being fully utilized". */
static void test_cwnd_that_is_not_used(void **state)
{
    struct peer *peer = begin_with(state, NULL);

    for (uint32_t i = 0; i < 10; i++) {
        send_full(peer, 1);
        expect(peer, "DATA");
        peer_send_sack(peer, peer->engine_initial_tsn + i);
        assert_int_equal(peer_path(peer, 0).cwnd, INITIAL_CWND);
    }
}

/* While nothing is sent, cwnd falls to max(cwnd / 2, 4 * PMDCS) once per RTO. */
static void test_idle(void **state)
{
    struct peer *peer;
    uint32_t first, cwnd;

    peer = begin_in_flight(state, 20, &first);
    for (int i = 0; i < 1000 && peer_info(peer).queued_bytes > 0; i++) {
        uint32_t highest = 0;

        peer_skip(peer);
        first += peer_info(peer).outstanding_chunks;
        highest = first - 1;
        peer_send_sack(peer, highest);
        first = highest + 1;
    }
    cwnd = peer_path(peer, 0).cwnd;
    assert_true(cwnd > 16 * PMDCS);
    peer_skip(peer);
    peer_advance(peer, 1 * SECOND + SLACK);
    send_full(peer, 1);
    assert_in_range(peer_path(peer, 0).cwnd, cwnd / 2 - 4, cwnd / 2 + 4);
    expect(peer, "DATA");
    assert_true(peer_path(peer, 0).ssthresh >= cwnd);
    peer_send_sack(peer, first);
    peer_advance(peer, 100 * SECOND);
    send_full(peer, 1);
    assert_int_equal(peer_path(peer, 0).cwnd, 4 * PMDCS);
}

/* ---- 6.1 D ------------------------------------------------------------------------------------
 */

/* What may leave at once after a pause, and for each SACK of two packets. */
static void test_max_burst(void **state)
{
    struct peer *peer;
    uint32_t first, highest = 0;
    unsigned int sent = 0;

    peer = begin_in_flight(state, 20, &first);
    while (peer_info(peer).queued_bytes > 0) {
        take(peer, &highest);
        peer_send_sack(peer, highest == 0 ? first + 19 : highest);
    }
    peer_skip(peer);
    assert_true(peer_path(peer, 0).cwnd >= 20 * PMDCS);
    first = highest + 1;
    braid_association_parameters(peer->engine, peer->association)->max_burst = 4;
    send_full(peer, 20);
    while (sent < 20) {
        unsigned int burst = take(peer, &highest);

        assert_in_range(burst, 1, 4);
        sent += burst;
        if (sent < 20)
            peer_send_sack(peer, first + 1);
        first += 2;
    }
    /* cwnd is not changed by it for good */
    assert_true(peer_path(peer, 0).cwnd >= 20 * PMDCS);
}

/* A burst is what leaves at once: who sends a packet now and then does not wait for a SACK. */
static void test_max_burst_of_a_steady_sender(void **state)
{
    struct peer *peer;
    uint32_t first, highest = 0;

    peer = begin_in_flight(state, 20, &first);
    while (peer_info(peer).queued_bytes > 0) {
        take(peer, &highest);
        peer_send_sack(peer, highest == 0 ? first + 19 : highest);
    }
    for (int i = 0; i < 30; i++) {
        send_full(peer, 1);
        take(peer, &highest);
        peer_advance(peer, 100 * MS);
        peer_send_sack(peer, highest);
    }
    assert_in_range(peer_path(peer, 0).srtt, 90 * MS, 110 * MS);
    assert_true(peer_path(peer, 0).cwnd >= 20 * PMDCS);
    braid_association_parameters(peer->engine, peer->association)->max_burst = 4;
    peer_association_parameters(peer)->no_delay = true;
    for (int i = 0; i < 12; i++) {
        send_full(peer, 1);
        expect(peer, "DATA");
        peer_advance(peer, 10 * MS);
    }
    send_full(peer, 8); /* at once */
    assert_in_range(take(peer, &highest), 1, 4);
}

/* ---- 7.2.2 ------------------------------------------------------------------------------------
 */

/* Above ssthresh, cwnd grows by PMDCS once cwnd bytes were acknowledged. */
static void test_congestion_avoidance(void **state)
{
    struct braid_path_info before, after;
    struct peer *peer;
    uint32_t first, highest = 0, acknowledged = 0;

    peer = begin_in_flight(state, 16, &first);
    /* a loss, to bring ssthresh down */
    for (uint16_t i = 2; i <= 4; i++)
        peer_send_sack_gaps(peer, first - 1, 1, &(struct sctp_gap_ack_block){2, i});
    take(peer, &highest);
    assert_true(peer_path(peer, 0).cwnd <= peer_path(peer, 0).ssthresh);
    take(peer, &highest);
    peer_send_sack(peer, highest); /* out of Fast Recovery */
    for (int round = 0; round < 4; round++) {
        /* to the first moment after cwnd grew */
        before = peer_path(peer, 0);
        acknowledged = 0;
        for (int i = 0; i < 100; i++) {
            take(peer, &highest);
            before = peer_path(peer, 0);
            if (before.flight < before.cwnd) { /* not full: nothing to learn */
                peer_send_sack(peer, highest);
                continue;
            }
            peer_send_sack(peer, highest - peer_info(peer).outstanding_chunks + 1);
            acknowledged += PMDCS;
            after = peer_path(peer, 0);
            if (before.cwnd > before.ssthresh)
                assert_true(after.cwnd == before.cwnd || after.cwnd == before.cwnd + PMDCS);
            if (after.cwnd != before.cwnd)
                break;
        }
        /* "MUST NOT increment cwnd by more than PMDCS per RTT" */
        if (round > 1)
            assert_true(acknowledged + 2 * PMDCS >= before.cwnd);
    }
}

/* ---- 7.2.3 and 6.3.3 --------------------------------------------------------------------------
 */

/* T3: ssthresh = max(cwnd / 2, 4 * PMDCS), cwnd = PMDCS, and one packet in flight. */
static void test_t3(void **state)
{
    struct braid_path_info path;
    struct peer *peer;
    uint32_t first, cwnd, highest = 0;
    const struct sent *sent;

    peer = begin_in_flight(state, 16, &first);
    cwnd = peer_path(peer, 0).cwnd;
    sent = expect_within(peer, 2 * SECOND, "DATA");
    assert_int_equal(sent_data(sent, 0).tsn, first);
    path = peer_path(peer, 0);
    assert_int_equal(path.cwnd, PMDCS);
    assert_in_range(path.ssthresh, cwnd / 2 - 4, cwnd / 2 + 4);
    assert_int_equal(path.partial_bytes_acked, 0);
    expect_silence(peer, 500 * MS); /* only one packet */
    peer_send_sack(peer, first);
    assert_in_range(take(peer, &highest), 1, 2);
    assert_int_equal(highest, first + 2);
    /* a second time: ssthresh has a floor */
    expect_within(peer, 61 * SECOND, "DATA");
    assert_int_equal(peer_path(peer, 0).ssthresh, 4 * PMDCS);
    assert_int_equal(peer_path(peer, 0).cwnd, PMDCS);
}

/* ---- 7.2.4 ------------------------------------------------------------------------------------
 */

/* Three miss indications: it goes again at once, cwnd is halved, and once only. */
static void test_fast_retransmit(void **state)
{
    struct peer *peer;
    uint32_t first, cwnd, highest = 0;
    const struct sent *sent;

    peer = begin_in_flight(state, 16, &first);
    cwnd = peer_path(peer, 0).cwnd;
    peer_send_sack_gaps(peer, first - 1, 1, &(struct sctp_gap_ack_block){2, 2});
    peer_send_sack_gaps(peer, first - 1, 1, &(struct sctp_gap_ack_block){2, 3});
    while ((sent = peer_next(peer)))
        assert_true((int32_t)(sent_data(sent, 0).tsn - first) > 3); /* only new data */
    assert_in_range(peer_path(peer, 0).cwnd, cwnd, cwnd + 2 * PMDCS);
    cwnd = peer_path(peer, 0).cwnd;
    peer_send_sack_gaps(peer, first - 1, 1, &(struct sctp_gap_ack_block){2, 4});
    sent = peer_next(peer);
    assert_non_null(sent);
    assert_int_equal(sent_data(sent, 0).tsn, first);
    assert_in_range(peer_path(peer, 0).ssthresh, cwnd / 2 - 4, cwnd / 2 + 4);
    assert_int_equal(peer_path(peer, 0).cwnd, peer_path(peer, 0).ssthresh);
    assert_int_equal(peer_info(peer).fast_retransmits, 1);
    cwnd = peer_path(peer, 0).cwnd;
    take(peer, &highest);
    /* more reports: it is "ineligible for a subsequent Fast Retransmit" */
    for (uint16_t i = 5; i < 12; i++) {
        peer_send_sack_gaps(peer, first - 1, 1, &(struct sctp_gap_ack_block){2, i});
        while ((sent = peer_next(peer)))
            assert_int_not_equal(sent_data(sent, 0).tsn, first);
    }
    assert_int_equal(peer_path(peer, 0).cwnd, cwnd);
}

/* "If not in Fast Recovery": a second loss within it does not cut cwnd again, and goes as cwnd
 * allows; partial acknowledgements count misses for all that is reported missing. */
static void test_fast_recovery(void **state)
{
    struct peer *peer;
    uint32_t first, cwnd;
    bool again = false;
    const struct sent *sent;

    peer = begin_in_flight(state, 16, &first);
    for (uint16_t i = 2; i <= 4; i++)
        peer_send_sack_gaps(peer, first - 1, 1, &(struct sctp_gap_ack_block){2, i});
    peer_skip(peer);
    cwnd = peer_path(peer, 0).cwnd;
    /* first + 5 is missing too */
    for (uint16_t i = 7; i <= 12; i++) {
        struct sctp_gap_ack_block blocks[] = {{2, 5}, {7, i}};

        peer_send_sack_gaps(peer, first - 1, 2, blocks);
        while ((sent = peer_next(peer)))
            again |= sent_data(sent, 0).tsn == first + 5;
    }
    assert_true(again);
    assert_true(peer_path(peer, 0).cwnd <= cwnd);
    assert_true(peer_path(peer, 0).cwnd >= cwnd - 4);
}

/* HTNA: only TSNs below the highest one newly acknowledged have missed. */
static void test_highest_tsn_newly_acknowledged(void **state)
{
    struct peer *peer;
    uint32_t first;
    bool again = false;
    const struct sent *sent;

    peer = begin_in_flight(state, 16, &first);
    /* the one at offset 10 is acknowledged first; then, one a SACK, those at 2 to 5 */
    peer_send_sack_gaps(peer, first - 1, 1, &(struct sctp_gap_ack_block){10, 10});
    for (uint16_t i = 2; i <= 5; i++) {
        struct sctp_gap_ack_block blocks[] = {{2, i}, {10, 10}};

        peer_send_sack_gaps(peer, first - 1, 2, blocks);
    }
    /* the one at 1 has missed five times, those at 6 to 9 once */
    while ((sent = peer_next(peer))) {
        uint32_t offset = sent_data(sent, 0).tsn - (first - 1);

        assert_true(offset == 1 || offset > 10);
        again |= offset == 1;
    }
    assert_true(again);
    again = false;
    for (uint16_t i = 11; i <= 16; i++) {
        struct sctp_gap_ack_block blocks[] = {{2, 5}, {10, i}};

        peer_send_sack_gaps(peer, first - 1, 2, blocks);
        while ((sent = peer_next(peer)))
            again |= sent_data(sent, 0).tsn == first + 5;
    }
    assert_true(again);
    assert_int_equal(peer_info(peer).t3_expirations, 0);
}

/* "Mark the DATA chunk(s) ... as many as fit": a whole packet of small chunks at once, although
 * cwnd is full. */
static void test_fast_retransmit_ignores_cwnd(void **state)
{
    struct peer *peer = begin_with(state, NULL);
    uint32_t first = peer->engine_initial_tsn, highest = 0;
    const struct sent *sent;

    peer_association_parameters(peer)->no_delay = true;
    peer_association_parameters(peer)->max_burst = 0;
    for (int i = 0; i < 40; i++)
        assert_int_equal(peer_user_send(peer, 0, 100), 0);
    take(peer, &highest);
    for (uint16_t i = 20; i <= 22; i++)
        peer_send_sack_gaps(peer, first - 1, 1, &(struct sctp_gap_ack_block){20, i});
    sent = peer_next(peer);
    while (sent && sent_data(sent, 0).tsn != first)
        sent = peer_next(peer);
    assert_non_null(sent);
    /* 1468 / 116 = 12 */
    assert_int_equal(sent_count(sent, SCTP_CHUNK_DATA), 12);
}

/* A chunk that was sent again by Fast Retransmit and is lost again is a matter of T3. */
static void test_fast_retransmit_lost(void **state)
{
    struct peer *peer;
    uint32_t first;
    const struct sent *sent;

    peer = begin_in_flight(state, 8, &first);
    for (uint16_t i = 2; i <= 4; i++)
        peer_send_sack_gaps(peer, first - 1, 1, &(struct sctp_gap_ack_block){2, i});
    peer_skip(peer);
    peer_advance(peer, 900 * MS);
    peer_skip(peer);
    sent = expect_within(peer, 1 * SECOND, "DATA");
    assert_int_equal(sent_data(sent, 0).tsn, first);
    assert_int_equal(peer_path(peer, 0).cwnd, PMDCS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_initial_cwnd),
        peer_test(test_flight_is_limited),
        peer_test(test_slow_start),
        peer_test(test_slow_start_with_small_chunks),
        peer_test(test_cwnd_that_is_not_used),
        peer_test(test_idle),
        peer_test(test_max_burst),
        peer_test(test_max_burst_of_a_steady_sender),
        peer_test(test_congestion_avoidance),
        peer_test(test_t3),
        peer_test(test_fast_retransmit),
        peer_test(test_fast_recovery),
        peer_test(test_highest_tsn_newly_acknowledged),
        peer_test(test_fast_retransmit_ignores_cwnd),
        peer_test(test_fast_retransmit_lost),
    };

    return cmocka_run_group_tests_name("RFC 9260, 7.2", tests, NULL, NULL);
}
