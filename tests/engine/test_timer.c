/*
 * Tests: the retransmission timer, RFC 9260 section 6.3, and the failure of an endpoint, 8.1.
 */
#include "peer.h"

enum { FULL = 1452 };

/* A connection whose RTO may be small and whose small chunks do not wait. */
static struct peer *begin(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;

    parameters.rto_min = 10;
    parameters.no_delay = true;
    peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
    peer_accept(peer);
    return peer;
}

/* Sends a message, which is acknowledged after `rtt`. */
static void exchange(struct peer *peer, braid_time rtt)
{
    const struct sent *sent;

    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    sent = expect(peer, "DATA");
    peer_advance(peer, rtt);
    expect(peer, NONE);
    peer_send_sack(peer, sent_data(sent, 0).tsn);
}

static void assert_near(uint64_t value, uint64_t expected)
{
    if (value + 1000 < expected || value > expected + 1000)
        fail_msg("%llu us, not %llu", (unsigned long long)value, (unsigned long long)expected);
}

/* 6.3.1, C1 to C3. */
static void test_rto_calculation(void **state)
{
    struct peer *peer = begin(state);
    struct braid_path_info path = peer_path(peer, 0);

    assert_int_equal(path.rto, 1000000);
    exchange(peer, 200 * MS);
    path = peer_path(peer, 0);
    assert_near(path.srtt, 200000);
    assert_near(path.rttvar, 100000);
    assert_near(path.rto, 600000);
    exchange(peer, 100 * MS); /* RTTVAR = 3/4 100 + 1/4 100; SRTT = 7/8 200 + 1/8 100 */
    path = peer_path(peer, 0);
    assert_near(path.srtt, 187500);
    assert_near(path.rttvar, 100000);
    assert_near(path.rto, 587500);
    exchange(peer, 300 * MS); /* RTTVAR = 3/4 100 + 1/4 112.5; SRTT = 7/8 187.5 + 1/8 300 */
    path = peer_path(peer, 0);
    assert_near(path.srtt, 201562);
    assert_near(path.rttvar, 103125);
    assert_near(path.rto, 614062);
}

/* C6: never below RTO.Min; G1: RTTVAR does not become 0. */
static void test_rto_min(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    for (int i = 0; i < 50; i++)
        exchange(peer, 1 * MS);
    assert_int_equal(peer_path(peer, 0).rto, 1000000);
    assert_near(peer_path(peer, 0).srtt, 1000);
    peer = begin(state);
    for (int i = 0; i < 50; i++)
        exchange(peer, 0);
    assert_true(peer_path(peer, 0).rto >= 10000);
    assert_true(peer_path(peer, 0).rttvar > 0);
}

/* C7: not above RTO.Max. */
static void test_rto_max(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;

    parameters.rto_max = 3000;
    peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
    peer_accept(peer);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    expect(peer, "DATA");
    expect_after(peer, 1 * SECOND, "DATA");
    expect_after(peer, 2 * SECOND, "DATA");
    expect_after(peer, 3 * SECOND, "DATA");
    expect_after(peer, 3 * SECOND, "DATA");
}

/* C4: one measurement a round trip is enough; C5, Karn: none of what was sent again. */
static void test_karn(void **state)
{
    struct peer *peer = begin(state);
    struct braid_path_info before, after;

    exchange(peer, 200 * MS);
    before = peer_path(peer, 0);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    expect(peer, "DATA");
    expect_after(peer, 600 * MS, "DATA"); /* T3 */
    peer_advance(peer, 50 * MS);
    peer_send_sack(peer, peer->engine_initial_tsn + 1);
    after = peer_path(peer, 0);
    assert_int_equal(after.srtt, before.srtt);
    assert_int_equal(after.rttvar, before.rttvar);
    assert_near(after.rto, 1200000); /* E2: doubled until there is a new measurement */
    exchange(peer, 200 * MS);
    assert_true(peer_path(peer, 0).rto < 700000);
}

/* C5: nor of a TSN above one that was sent again. */
static void test_karn_and_later_chunks(void **state)
{
    struct peer *peer = begin(state);
    struct braid_path_info before, after;

    exchange(peer, 200 * MS);
    before = peer_path(peer, 0);
    assert_int_equal(peer_user_send(peer, 0, FULL), 0);
    assert_int_equal(peer_user_send(peer, 0, FULL), 0);
    assert_int_equal(peer_skip(peer), 2);
    expect_after(peer, 600 * MS, "DATA"); /* the first only: E3 */
    peer_advance(peer, 50 * MS);
    peer_send_sack(peer, peer->engine_initial_tsn + 2);
    after = peer_path(peer, 0);
    assert_int_equal(after.srtt, before.srtt);
    assert_int_equal(after.rttvar, before.rttvar);
}

/* C5, second half: nor when a lower one was, by fast retransmission. */
static void test_karn_and_earlier_chunks(void **state)
{
    static const struct sctp_gap_ack_block blocks[] = {{2, 2}, {4, 4}, {5, 5}};
    struct peer *peer = begin(state);
    uint32_t tsn = peer->engine_initial_tsn;
    struct braid_path_info before, after;

    for (int i = 0; i < 2; i++) {
        assert_int_equal(peer_user_send(peer, 0, 100), 0);
        expect(peer, "DATA");
    }
    peer_send_sack(peer, tsn); /* of the two the second is missing from now on */
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    expect(peer, "DATA");
    peer_send_sack_gaps(peer, tsn, 1, blocks);
    for (int i = 0; i < 3; i++) { /* the first of these is measured */
        assert_int_equal(peer_user_send(peer, 0, 100), 0);
        expect(peer, "DATA");
    }
    before = peer_path(peer, 0);
    peer_send_sack_gaps(peer, tsn, 2, blocks);
    peer_send_sack_gaps(peer, tsn, 3, blocks);
    assert_int_equal(sent_data(expect(peer, "DATA"), 0).tsn, tsn + 1);
    peer_advance(peer, 5 * MS);
    peer_send_sack(peer, tsn + 5);
    after = peer_path(peer, 0);
    assert_int_equal(after.srtt, before.srtt);
    assert_int_equal(after.rttvar, before.rttvar);
}

/* R1: new data does not restart the timer; E3: as many of the earliest as fit go again. */
static void test_t3_is_not_restarted_by_new_data(void **state)
{
    struct peer *peer = begin(state);
    const struct sent *sent;

    assert_int_equal(peer_user_send(peer, 0, 500), 0);
    expect(peer, "DATA");
    peer_advance(peer, 600 * MS);
    assert_int_equal(peer_user_send(peer, 0, 501), 0);
    expect(peer, "DATA");
    sent = expect_after(peer, 400 * MS, "DATA DATA");
    assert_int_equal(sent_data(sent, 0).tsn, peer->engine_initial_tsn);
    assert_int_equal(sent_data(sent, 1).tsn, peer->engine_initial_tsn + 1);
    expect_after(peer, 2 * SECOND, "DATA DATA");
    assert_int_equal(peer_info(peer).t3_expirations, 2);
    assert_int_equal(peer_info(peer).chunks_retransmitted, 4);
}

/* R2: nothing outstanding, no timer. */
static void test_t3_stops(void **state)
{
    struct peer *peer = begin(state);

    assert_int_equal(peer_user_send(peer, 0, 500), 0);
    expect(peer, "DATA");
    peer_advance(peer, 900 * MS);
    peer_send_sack(peer, peer->engine_initial_tsn);
    expect_silence(peer, 1000 * SECOND);
}

/* R3: a SACK of the earliest outstanding TSN restarts it, with the RTO of now. */
static void test_t3_is_restarted_by_progress(void **state)
{
    struct peer *peer = *state;

    braid_endpoint_parameters(peer->engine, peer->endpoint)->no_delay = true;
    peer_accept(peer);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(peer_user_send(peer, 0, 500), 0);
        expect(peer, "DATA");
    }
    peer_advance(peer, 600 * MS);
    peer_send_sack(peer, peer->engine_initial_tsn);
    /* srtt 600, rttvar 300: the RTO is now 1.8 s */
    expect_after(peer, 1800 * MS, "DATA DATA");
}

/* R3 the other way: a SACK that acknowledges others only leaves the timer alone. */
static void test_t3_is_not_restarted_by_gaps(void **state)
{
    struct peer *peer = begin(state);
    const struct sent *sent;

    for (int i = 0; i < 3; i++) {
        assert_int_equal(peer_user_send(peer, 0, 500), 0);
        expect(peer, "DATA");
    }
    peer_advance(peer, 300 * MS);
    peer_send_sack_gaps(peer, peer->engine_initial_tsn - 1, 1, &(struct sctp_gap_ack_block){2, 2});
    peer_advance(peer, 300 * MS);
    peer_send_sack_gaps(peer, peer->engine_initial_tsn - 1, 1, &(struct sctp_gap_ack_block){2, 3});
    expect(peer, NONE);
    sent = expect_after(peer, 400 * MS, "DATA");
    assert_int_equal(sent_data(sent, 0).tsn, peer->engine_initial_tsn);
}

/* R4 and 6.2.1 D iii: what the peer took and gave back is sent again. */
static void test_renege(void **state)
{
    struct peer *peer = begin(state);
    uint32_t tsn = peer->engine_initial_tsn;
    const struct sent *sent;

    for (int i = 0; i < 4; i++) {
        assert_int_equal(peer_user_send(peer, 0, 500), 0);
        expect(peer, "DATA");
    }
    peer_send_sack_gaps(peer, tsn - 1, 1, &(struct sctp_gap_ack_block){2, 4});
    peer_send_sack_gaps(peer, tsn, 1, &(struct sctp_gap_ack_block){2, 3});
    /* tsn + 1 was taken back */
    assert_int_equal(peer_info(peer).outstanding_chunks > 0, 1);
    sent = expect_within(peer, 61 * SECOND, "DATA");
    assert_int_equal(sent_data(sent, 0).tsn, tsn + 1);
    peer_send_sack(peer, tsn + 3);
    assert_int_equal(peer_info(peer).outstanding_chunks, 0);
    assert_int_equal(peer_path(peer, 0).flight, 0);
    expect_silence(peer, 100 * SECOND);
}

/* All is taken back, and nothing came instead: T3 runs. */
static void test_renege_of_all(void **state)
{
    struct peer *peer = begin(state);
    uint32_t tsn = peer->engine_initial_tsn;

    for (int i = 0; i < 3; i++) {
        assert_int_equal(peer_user_send(peer, 0, FULL), 0);
        expect(peer, "DATA");
    }
    peer_send_sack_gaps(peer, tsn, 1, &(struct sctp_gap_ack_block){2, 2});
    peer_send_sack(peer, tsn);
    for (uint32_t i = 1; i <= 2; i++) {
        const struct sent *sent = expect_within(peer, 61 * SECOND, "DATA");

        assert_int_equal(sent_data(sent, 0).tsn, tsn + i);
        peer_send_sack(peer, tsn + i);
    }
    expect_silence(peer, 100 * SECOND);
}

/* 8.1: the association is lost when Association.Max.Retrans is exceeded. */
static void test_association_is_lost(void **state)
{
    static const unsigned int seconds[] = {1, 2, 4, 8, 16, 32, 60, 60, 60, 60};
    struct peer *peer = *state;

    peer_accept(peer);
    assert_int_equal(peer_user_send(peer, 0, 500), 0);
    expect(peer, "DATA");
    for (unsigned int i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
        expect_after(peer, seconds[i] * SECOND, "DATA");
        assert_int_equal(peer_info(peer).error_count, i + 1);
    }
    peer_advance(peer, 59 * SECOND);
    expect_no_event(peer, BRAID_EVENT_DOWN);
    peer_advance(peer, 2 * SECOND);
    assert_int_equal(expect_event(peer, BRAID_EVENT_SEND_FAILED)->length, 500);
    expect_down(peer, BRAID_DOWN_LOST);
    peer_skip(peer); /* an ABORT is permitted */
    expect_silence(peer, 100 * SECOND);
}

/* "The counter ... MUST be reset each time a DATA chunk ... is acknowledged". */
static void test_error_counter_is_reset(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    for (uint32_t round = 0; round < 4; round++) {
        assert_int_equal(peer_user_send(peer, 0, 500), 0);
        expect(peer, "DATA");
        for (int i = 0; i < 4; i++)
            expect_within(peer, 61 * SECOND, "DATA");
        assert_int_equal(peer_info(peer).error_count, 4);
        assert_int_equal(peer_path(peer, 0).error_count, 4);
        peer_send_sack(peer, peer->engine_initial_tsn + round);
        assert_int_equal(peer_info(peer).error_count, 0);
        assert_int_equal(peer_path(peer, 0).error_count, 0);
    }
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
}

/* A HEARTBEAT from the peer, or its DATA, acknowledges nothing of ours. */
static void test_error_counter_is_not_reset_by_others(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    assert_int_equal(peer_user_send(peer, 0, 500), 0);
    expect(peer, "DATA");
    for (int i = 0; i < 4; i++)
        expect_within(peer, 61 * SECOND, "DATA");
    peer_begin(peer);
    heartbeat_write(&peer->writer, SCTP_CHUNK_HEARTBEAT, "12345678", 8);
    peer_send(peer);
    expect(peer, "HEARTBEAT_ACK");
    peer_send_sack(peer, peer->engine_initial_tsn - 1);
    assert_int_equal(peer_info(peer).error_count, 4);
}

/* The clock passes the ends of the numbers in which one might count it. */
static void test_clock_of_years(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    for (unsigned int bits = 31; bits < 63; bits++) {
        braid_time end = (braid_time)1 << bits;

        peer->now = end - 500 * MS;
        assert_int_equal(peer_user_send(peer, 0, 500), 0);
        expect(peer, "DATA");
        expect_within(peer, 61 * SECOND, "DATA"); /* it was backed off before */
        peer_send_sack(peer, peer->engine_initial_tsn + bits - 31);
        expect_silence(peer, 10 * SECOND);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_rto_calculation),
        peer_test(test_rto_min),
        peer_test(test_rto_max),
        peer_test(test_karn),
        peer_test(test_karn_and_later_chunks),
        peer_test(test_karn_and_earlier_chunks),
        peer_test(test_t3_is_not_restarted_by_new_data),
        peer_test(test_t3_stops),
        peer_test(test_t3_is_restarted_by_progress),
        peer_test(test_t3_is_not_restarted_by_gaps),
        peer_test(test_renege),
        peer_test(test_renege_of_all),
        peer_test(test_association_is_lost),
        peer_test(test_error_counter_is_reset),
        peer_test(test_error_counter_is_not_reset_by_others),
        peer_test(test_clock_of_years),
    };

    return cmocka_run_group_tests_name("RFC 9260, 6.3", tests, NULL, NULL);
}
