/*
 * Explicit Congestion Notification (RFC 4960, appendix A): what is offered, what a marked packet
 * brings about, and what an ECNE does.
 */
#include "peer.h"

enum { FULL = 1452, ECT_0 = 2 };

static struct peer *scene(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;

    parameters.ecn = true;
    parameters.no_delay = true;
    parameters.traffic_class = 0x40;
    peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
    peer->ecn = true;
    peer->a_rwnd = 1000000;
    peer_accept(peer);
    assert_true(peer_info(peer).ecn);
    return peer;
}

static uint32_t echoed(const struct sent *sent)
{
    struct sctp_chunk chunk = sent_chunk(sent, SCTP_CHUNK_ECNE);
    uint32_t tsn = 0;

    assert_true(ecne_read(&chunk, &tsn));
    return tsn;
}

static void send_ecne(struct peer *peer, uint32_t tsn)
{
    peer_begin(peer);
    ecne_write(&peer->writer, tsn);
    peer_send(peer);
}

static void send_cwr(struct peer *peer, uint32_t tsn)
{
    peer_begin(peer);
    cwr_write(&peer->writer, tsn);
    peer_send(peer);
}

/* The next packet says that the window was lowered, for this ECNE. */
static void expect_cwr(struct peer *peer, uint32_t tsn)
{
    struct sctp_chunk chunk = sent_chunk(expect(peer, "CWR"), SCTP_CHUNK_CWR);
    uint32_t told = 0;

    assert_true(cwr_read(&chunk, &told));
    assert_int_equal(told, tsn);
}

static void test_offered(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct sctp_parameter parameter;

    for (int offer = 0; offer < 2; offer++) {
        struct peer *peer;
        const struct sent *sent;

        parameters.ecn = offer;
        peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
        peer->ecn = true;
        peer_start_connect(peer);
        sent = expect(peer, "INIT");
        assert_int_equal(sent_parameter(sent, SCTP_PARAMETER_ECN, &parameter), offer);
        peer_read_init(peer, sent);
        peer_send_init_ack(peer);
        expect(peer, "COOKIE_ECHO");
        peer_begin(peer);
        cookie_ack_write(&peer->writer);
        peer_send(peer);
        assert_int_equal(peer_info(peer).ecn, offer);
    }
}

/* Without ECN on both sides no packet says that it may be marked, and a mark means nothing. */
static void test_not_offered(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;

    parameters.ecn = true;
    peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
    peer_accept(peer);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    assert_int_equal(expect(peer, "DATA")->traffic_class, 0);
    peer->marked = true;
    peer_send_data(peer, peer->initial_tsn, 0, 0, WHOLE, 10);
    expect_within(peer, 300 * MS, "SACK");
    send_ecne(peer, peer->engine_initial_tsn);
    expect(peer, NONE);
}

static void test_marked(void **state)
{
    struct peer *peer = scene(state);
    uint32_t tsn = peer->initial_tsn;
    const struct sent *sent;

    peer_send_data(peer, tsn, 0, 0, WHOLE, 10);
    expect_within(peer, 300 * MS, "SACK");
    /* at once, and with each SACK until the peer says that it has slowed down */
    peer->marked = true;
    peer_begin(peer);
    peer_write_data(peer, tsn + 2, 0, 2, WHOLE, 10);
    peer_write_data(peer, tsn + 1, 0, 1, WHOLE, 10);
    peer_send(peer);
    assert_int_equal(echoed(expect(peer, "SACK ECNE")), tsn + 1);
    peer->marked = false;
    peer_send_data(peer, tsn + 3, 0, 3, WHOLE, 10);
    assert_int_equal(echoed(expect_within(peer, 300 * MS, "SACK ECNE")), tsn + 1);
    peer_send_data(peer, tsn + 4, 0, 4, WHOLE, 10);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    sent = expect(peer, "SACK ECNE DATA");
    assert_int_equal(echoed(sent), tsn + 1);
    assert_int_equal(sent->traffic_class, 0x40 | ECT_0);
    send_cwr(peer, tsn); /* too old */
    peer_send_data(peer, tsn + 5, 0, 5, WHOLE, 10);
    expect_within(peer, 300 * MS, "SACK ECNE");
    send_cwr(peer, tsn + 1);
    peer_send_data(peer, tsn + 6, 0, 6, WHOLE, 10);
    assert_int_equal(expect_within(peer, 300 * MS, "SACK")->traffic_class, 0x40);
    /* a mark on what has no DATA says nothing */
    peer->marked = true;
    peer_send_sack(peer, peer->engine_initial_tsn);
    peer->marked = false;
    peer_send_data(peer, tsn + 7, 0, 7, WHOLE, 10);
    expect_within(peer, 300 * MS, "SACK");
}

/* The window is lowered once for what was on its way; each ECNE is answered. */
static void test_echoed(void **state)
{
    struct peer *peer = scene(state);
    uint32_t first = peer->engine_initial_tsn, cwnd, tsn = first;

    for (int i = 0; i < 60; i++)
        assert_int_equal(peer_user_send(peer, 0, FULL), 0);
    for (int i = 0; i < 3; i++) {
        tsn += (uint32_t)peer_skip(peer);
        peer_send_sack(peer, tsn - 1);
    }
    tsn += (uint32_t)peer_skip(peer);
    cwnd = peer_path(peer, 0).cwnd;
    assert_true(cwnd > 8 * 1480);
    send_ecne(peer, tsn - 2);
    expect_cwr(peer, tsn - 2);
    assert_int_equal(peer_path(peer, 0).cwnd,
                     cwnd / 2 > 4 * peer_pmdcs(peer) ? cwnd / 2 : 4 * peer_pmdcs(peer));
    assert_int_equal(peer_path(peer, 0).ssthresh, peer_path(peer, 0).cwnd);
    cwnd = peer_path(peer, 0).cwnd;
    send_ecne(peer, tsn - 1);
    expect_cwr(peer, tsn - 1);
    assert_int_equal(peer_path(peer, 0).cwnd, cwnd);
    assert_int_equal(peer_info(peer).ecn_reductions, 1);
    assert_int_equal(peer_info(peer).chunks_retransmitted, 0);
    /* of what was never sent it cannot be */
    send_ecne(peer, first + 1000);
    expect(peer, NONE);
    /* what was sent since counts anew */
    peer_send_sack(peer, tsn - 1);
    tsn += (uint32_t)peer_skip(peer);
    send_ecne(peer, tsn - 1);
    expect_cwr(peer, tsn - 1);
    assert_int_equal(peer_info(peer).ecn_reductions, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_offered),
        peer_test(test_not_offered),
        peer_test(test_marked),
        peer_test(test_echoed),
    };

    return cmocka_run_group_tests_name("ecn", tests, NULL, NULL);
}
