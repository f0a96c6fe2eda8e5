/*
 * Tests: the end of an association, RFC 9260 section 9, and ICMP, section 10.
 */
#include "peer.h"

static int shut_down(struct peer *peer)
{
    int result = braid_shutdown(peer->engine, peer->association, peer->now);

    peer_run(peer);
    return result;
}

static void expect_gone(struct peer *peer)
{
    struct braid_statistics statistics;

    assert_int_equal(peer_state(peer), BRAID_CLOSED);
    expect_silence(peer, 1000 * SECOND);
    expect_no_event(peer, BRAID_EVENT_DOWN);
    braid_association_release(peer->engine, peer->association, peer->now);
    braid_engine_statistics(peer->engine, &statistics);
    assert_int_equal(statistics.associations_now, 0);
    assert_int_equal(braid_association_next(peer->engine, 0, 0), 0);
}

/* ---- 9.1 --------------------------------------------------------------------------------------
 */

/* "a 'User-Initiated Abort' error cause SHOULD be present". */
static void test_abort(void **state)
{
    struct peer *peer = *state;
    struct sctp_parameter cause;
    const struct sent *sent;

    peer_accept(peer);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    expect(peer, "DATA");
    assert_int_equal(braid_abort(peer->engine, peer->association, "enough", 6, peer->now), 0);
    sent = expect(peer, "ABORT");
    assert_int_equal(sent->header.verification_tag, peer->tag);
    assert_int_equal(sent_chunk(sent, SCTP_CHUNK_ABORT).flags, 0);
    cause = sent_cause(sent, SCTP_CAUSE_USER_INITIATED_ABORT);
    assert_int_equal(cause.value_length, 6);
    assert_memory_equal(cause.value, "enough", 6);
    expect_event(peer, BRAID_EVENT_SEND_FAILED);
    expect_down(peer, BRAID_DOWN_ABORTED_BY_USER);
    expect_gone(peer);
}

/* A reason that does not fit a packet. */
static void test_abort_with_a_long_reason(void **state)
{
    static uint8_t reason[70000];
    struct peer *peer = *state;
    int result;

    peer_accept(peer);
    result = braid_abort(peer->engine, peer->association, reason, sizeof(reason), peer->now);
    if (result == 0) {
        expect(peer, "ABORT");
        expect_down(peer, BRAID_DOWN_ABORTED_BY_USER);
    } else {
        expect(peer, NONE);
        assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    }
}

/* "the Upper Layer Abort Reason SHOULD be made available", and nothing is answered. */
static void test_aborted_by_peer(void **state)
{
    struct peer *peer = *state;
    const struct braid_event *event;
    size_t start;

    peer_accept(peer);
    peer_send_data(peer, 1000, 0, 0, WHOLE, 100);
    expect(peer, "SACK");
    peer_begin(peer);
    start = abort_begin(&peer->writer, false);
    parameter_write(&peer->writer, SCTP_CAUSE_USER_INITIATED_ABORT, "enough", 6);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    expect(peer, NONE);
    event = expect_down(peer, BRAID_DOWN_ABORTED_BY_PEER);
    assert_int_equal(event->cause, SCTP_CAUSE_USER_INITIATED_ABORT);
    assert_true(event->length >= 10);
    assert_memory_equal(event->bytes + 4, "enough", 6);
    /* what came before can still be read, until the identifier is given back */
    expect_message(peer, 0, 1000, 100);
    expect_gone(peer);
}

/* 3.3.7: an ABORT with a format error is discarded: its causes make no sense. */
static void test_malformed_abort(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    peer_begin(peer);
    chunk_write(&peer->writer, SCTP_CHUNK_ABORT, 0, "\0\14\0\1", 4);
    peer_send(peer);
    expect(peer, NONE);
    peer_send_plain(peer, SCTP_CHUNK_ABORT, 0);
    expect_event(peer, BRAID_EVENT_DOWN);
    expect(peer, NONE);
}

/* Chunks behind an ABORT are nobody's any more. */
static void test_chunks_behind_an_abort(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    peer_begin(peer);
    chunk_write(&peer->writer, SCTP_CHUNK_ABORT, 0, NULL, 0);
    heartbeat_write(&peer->writer, SCTP_CHUNK_HEARTBEAT, "12345678", 8);
    peer_write_data(peer, 1000, 0, 0, WHOLE, 100);
    peer_send(peer);
    expect(peer, NONE);
    expect_down(peer, BRAID_DOWN_ABORTED_BY_PEER);
    expect_gone(peer);
}

/* ---- 9.2: we begin ----------------------------------------------------------------------------
 */

static void test_shutdown(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;
    uint32_t tsn;

    peer_accept(peer);
    peer_send_data(peer, 1000, 0, 0, WHOLE, 100);
    expect(peer, "SACK");
    assert_int_equal(shut_down(peer), 0);
    sent = expect(peer, "SHUTDOWN");
    assert_true(wire_get_u32(sent_chunk(sent, SCTP_CHUNK_SHUTDOWN).value) == 1000);
    assert_int_equal(peer_state(peer), BRAID_SHUTDOWN_SENT);
    assert_int_equal(peer_user_send(peer, 0, 10), -EPIPE);
    peer_send_plain(peer, SCTP_CHUNK_SHUTDOWN_ACK, 0);
    sent = expect(peer, "SHUTDOWN_COMPLETE");
    tsn = sent->header.verification_tag;
    assert_int_equal(tsn, peer->tag);
    assert_int_equal(sent_chunk(sent, SCTP_CHUNK_SHUTDOWN_COMPLETE).flags, 0);
    expect_down(peer, BRAID_DOWN_SHUTDOWN);
    expect_message(peer, 0, 1000, 100);
    expect_gone(peer);
}

/* SHUTDOWN-PENDING "until all outstanding data has been acknowledged", retransmitting if needed. */
static void test_shutdown_with_data_outstanding(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;

    peer_accept(peer);
    for (int i = 0; i < 3; i++)
        assert_int_equal(peer_user_send(peer, 0, 1452), 0);
    assert_int_equal(peer_skip(peer), 3);
    assert_int_equal(peer_user_send(peer, 0, 1452), 0);
    assert_int_equal(peer_user_send(peer, 0, 1452), 0);
    peer_skip(peer);
    assert_int_equal(shut_down(peer), 0);
    assert_int_equal(peer_state(peer), BRAID_SHUTDOWN_PENDING);
    assert_int_equal(peer_user_send(peer, 0, 10), -EPIPE);
    /* the peer's data is still taken */
    peer_send_data(peer, 1000, 0, 0, WHOLE, 100);
    expect(peer, "SACK");
    expect_message(peer, 0, 1000, 100);
    sent = expect_within(peer, 2 * SECOND, "DATA");
    assert_int_equal(sent_data(sent, 0).tsn, peer->engine_initial_tsn);
    for (uint32_t i = 1; i < 5; i++) {
        peer_send_sack(peer, peer->engine_initial_tsn + i - 1);
        while ((sent = peer_next(peer)))
            assert_int_equal(sent_count(sent, SCTP_CHUNK_SHUTDOWN), 0);
    }
    peer_send_sack(peer, peer->engine_initial_tsn + 4);
    expect(peer, "SHUTDOWN");
    assert_int_equal(peer_state(peer), BRAID_SHUTDOWN_SENT);
}

/* T2: doubling, Association.Max.Retrans, LOST. */
static void test_t2(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;

    parameters.association_max_retrans = 4;
    peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
    peer_accept(peer);
    assert_int_equal(shut_down(peer), 0);
    expect(peer, "SHUTDOWN");
    for (int i = 0; i < 4; i++)
        expect_after(peer, (1U << i) * SECOND, "SHUTDOWN");
    expect_no_event(peer, BRAID_EVENT_DOWN);
    peer_advance(peer, 17 * SECOND);
    expect_down(peer, BRAID_DOWN_LOST);
    peer_skip(peer);
    expect_gone(peer);
}

/* The same for SHUTDOWN ACK. */
static void test_t2_of_shutdown_ack(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;

    parameters.association_max_retrans = 4;
    peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
    peer_accept(peer);
    peer_send_shutdown(peer, peer->engine_initial_tsn - 1);
    expect(peer, "SHUTDOWN_ACK");
    for (int i = 0; i < 4; i++)
        expect_after(peer, (1U << i) * SECOND, "SHUTDOWN_ACK");
    peer_advance(peer, 17 * SECOND);
    expect_down(peer, BRAID_DOWN_LOST);
    peer_skip(peer);
    expect_gone(peer);
}

/* T5 bounds it all, even if the peer keeps T2 at bay by sending. */
static void test_t5(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;
    bool aborted = false;
    braid_time start;
    const struct sent *sent;

    parameters.shutdown_guard = 10000;
    peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
    peer_accept(peer);
    start = peer->now;
    assert_int_equal(shut_down(peer), 0);
    for (uint16_t i = 0; i < 30 && peer_state(peer) != BRAID_CLOSED; i++) {
        peer_send_data(peer, 1000U + i, 0, i, WHOLE, 10);
        peer_advance(peer, 500 * MS);
    }
    while ((sent = peer_next(peer))) {
        if (sent_count(sent, SCTP_CHUNK_ABORT) > 0) {
            aborted = true;
            assert_in_range(sent->time - start, 10 * SECOND, 10 * SECOND + SLACK);
        }
    }
    assert_true(aborted);
    expect_event(peer, BRAID_EVENT_DOWN);
}

/* One SHUTDOWN and one SACK were sent, in one packet or in two. */
static void expect_shutdown_and_sack(struct peer *peer, uint32_t cumulative_tsn_ack,
                                     unsigned int gaps, unsigned int duplicates)
{
    unsigned int shutdowns = 0, sacks = 0;
    const struct sent *sent;

    while ((sent = peer_next(peer))) {
        shutdowns += sent_count(sent, SCTP_CHUNK_SHUTDOWN);
        if (sent_count(sent, SCTP_CHUNK_SACK) > 0) {
            assert_sack(sent, cumulative_tsn_ack, gaps, duplicates);
            sacks++;
        }
    }
    assert_int_equal(shutdowns, 1);
    assert_int_equal(sacks, 1);
}

/* "MUST immediately respond to each received packet containing one or more DATA chunks with a
 * SHUTDOWN"; gaps and duplicates need a SACK as well, and only a SACK has an a_rwnd. */
static void test_data_in_shutdown_sent(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;

    peer_accept(peer);
    assert_int_equal(shut_down(peer), 0);
    expect(peer, "SHUTDOWN");
    for (uint16_t i = 0; i < 3; i++) {
        peer_send_data(peer, 1000U + i, 0, i, WHOLE, 100);
        sent = peer_next(peer);
        assert_non_null(sent);
        assert_int_equal(sent_count(sent, SCTP_CHUNK_SHUTDOWN), 1);
        assert_int_equal(wire_get_u32(sent_chunk(sent, SCTP_CHUNK_SHUTDOWN).value), 1000 + i);
        expect(peer, NONE);
        expect_message(peer, 0, 1000U + i, 100);
    }
    peer_send_data(peer, 1004, 0, 4, WHOLE, 100);
    expect_shutdown_and_sack(peer, 1002, 1, 0);
    peer_send_data(peer, 1000, 0, 0, WHOLE, 100);
    expect_shutdown_and_sack(peer, 1002, 1, 1);
    /* T2 was restarted, and the count cleared */
    peer_advance(peer, 900 * MS);
    peer_send_data(peer, 1003, 0, 3, WHOLE, 100);
    expect(peer, "SACK SHUTDOWN");
    expect_silence(peer, 900 * MS);
}

/* Both begin: SHUTDOWN crosses SHUTDOWN, then SHUTDOWN ACK crosses SHUTDOWN ACK. */
static void test_shutdowns_cross(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    assert_int_equal(shut_down(peer), 0);
    expect(peer, "SHUTDOWN");
    peer_send_shutdown(peer, peer->engine_initial_tsn - 1);
    expect(peer, "SHUTDOWN_ACK");
    assert_int_equal(peer_state(peer), BRAID_SHUTDOWN_ACK_SENT);
    peer_send_plain(peer, SCTP_CHUNK_SHUTDOWN_ACK, 0);
    expect(peer, "SHUTDOWN_COMPLETE");
    expect_down(peer, BRAID_DOWN_SHUTDOWN);
    expect_gone(peer);
}

/* ---- 9.2: the peer begins ---------------------------------------------------------------------
 */

static void test_shutdown_by_peer(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    peer_send_shutdown(peer, peer->engine_initial_tsn - 1);
    expect(peer, "SHUTDOWN_ACK");
    expect_event(peer, BRAID_EVENT_PEER_SHUTDOWN);
    assert_int_equal(peer_state(peer), BRAID_SHUTDOWN_ACK_SENT);
    assert_int_equal(peer_user_send(peer, 0, 10), -EPIPE);
    expect_no_event(peer, BRAID_EVENT_DOWN);
    peer_send_plain(peer, SCTP_CHUNK_SHUTDOWN_COMPLETE, 0);
    expect_down(peer, BRAID_DOWN_SHUTDOWN);
    expect_gone(peer);
}

/* SHUTDOWN-RECEIVED: what was taken from the user is delivered; the SHUTDOWN acknowledges. */
static void test_shutdown_by_peer_with_data_outstanding(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;
    uint32_t first;

    peer_accept(peer);
    first = peer->engine_initial_tsn;
    for (int i = 0; i < 8; i++)
        assert_int_equal(peer_user_send(peer, 0, 1400), 0);
    assert_int_equal(peer_skip(peer), 4);
    peer_send_shutdown(peer, first + 1);
    assert_int_equal(peer_state(peer), BRAID_SHUTDOWN_RECEIVED);
    assert_int_equal(peer_info(peer).outstanding_chunks > 0, 1);
    assert_int_equal(peer_user_send(peer, 0, 10), -EPIPE);
    sent = peer_next(peer); /* the Cumulative TSN Ack opened the window */
    assert_non_null(sent);
    assert_int_equal(sent_data(sent, 0).tsn, first + 4);
    while ((sent = peer_next(peer)))
        assert_int_equal(sent_count(sent, SCTP_CHUNK_SHUTDOWN_ACK), 0);
    peer_send_sack(peer, first + 5);
    peer_send_shutdown(peer, first + 5);
    while ((sent = peer_next(peer)))
        assert_int_equal(sent_count(sent, SCTP_CHUNK_SHUTDOWN_ACK), 0);
    peer_send_shutdown(peer, first + 7);
    expect(peer, "SHUTDOWN_ACK");
    assert_int_equal(peer_state(peer), BRAID_SHUTDOWN_ACK_SENT);
}

/* A SHUTDOWN says nothing of the window; what it acknowledges opens it all the same. */
static void test_shutdown_acknowledges(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;
    uint32_t tsn;

    peer->a_rwnd = 3000;
    peer_accept(peer);
    tsn = peer->engine_initial_tsn - 1;
    for (int i = 0; i < 20; i++)
        assert_int_equal(peer_user_send(peer, 0, 1400), 0);
    for (int i = 0; i < 20 && peer_state(peer) != BRAID_SHUTDOWN_ACK_SENT; i++) {
        while ((sent = peer_next(peer)))
            tsn = sent_data(sent, sent_count(sent, SCTP_CHUNK_DATA) - 1).tsn;
        peer_send_shutdown(peer, tsn);
    }
    expect(peer, "SHUTDOWN_ACK");
    assert_int_equal(tsn, peer->engine_initial_tsn + 19);
}

/* "it MUST ignore ULP shutdown requests but MUST continue responding to SHUTDOWN chunks". */
static void test_repeated_shutdown_by_peer(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    peer_send_shutdown(peer, peer->engine_initial_tsn - 1);
    expect(peer, "SHUTDOWN_ACK");
    (void)shut_down(peer);
    expect(peer, NONE);
    peer_send_shutdown(peer, peer->engine_initial_tsn - 1);
    expect(peer, "SHUTDOWN_ACK");
    assert_int_equal(peer_state(peer), BRAID_SHUTDOWN_ACK_SENT);
}

/* SHUTDOWN in COOKIE-WAIT and COOKIE-ECHOED "SHOULD be silently discarded". */
static void test_shutdown_while_setting_up(void **state)
{
    struct peer *peer = *state;

    peer_start_connect(peer);
    peer_read_init(peer, expect(peer, "INIT"));
    peer_send_shutdown(peer, peer->engine_initial_tsn - 1);
    expect(peer, NONE);
    assert_int_equal(peer_state(peer), BRAID_COOKIE_WAIT);
    peer_send_init_ack(peer);
    expect(peer, "COOKIE_ECHO");
    peer_send_shutdown(peer, peer->engine_initial_tsn - 1);
    expect(peer, NONE);
    assert_int_equal(peer_state(peer), BRAID_COOKIE_ECHOED);
}

/* SHUTDOWN ACK where none was asked for: in ESTABLISHED it is nothing to obey. */
static void test_unexpected_shutdown_ack(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    peer_send_plain(peer, SCTP_CHUNK_SHUTDOWN_ACK, 0);
    peer_skip(peer);
    if (peer_state(peer) == BRAID_ESTABLISHED) {
        peer_send_data(peer, 1000, 0, 0, WHOLE, 100);
        expect_message(peer, 0, 1000, 100);
    } else {
        expect_event(peer, BRAID_EVENT_DOWN);
    }
}

/* 6.10: a SHUTDOWN COMPLETE goes alone, even if a COOKIE ACK is due. */
static void test_shutdown_ack_behind_a_cookie_echo(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    assert_int_equal(shut_down(peer), 0);
    expect(peer, "SHUTDOWN");
    peer_begin(peer);
    cookie_echo_write(&peer->writer, peer->cookie, peer->cookie_length);
    shutdown_ack_write(&peer->writer);
    peer_send(peer);
    expect(peer, "SHUTDOWN_COMPLETE");
    expect_down(peer, BRAID_DOWN_SHUTDOWN);
}

/* SHUTDOWN asked for while the association is being set up. */
static void test_shutdown_before_it_is_up(void **state)
{
    struct peer *peer = *state;

    peer_start_connect(peer);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    (void)shut_down(peer);
    if (peer_state(peer) == BRAID_CLOSED) {
        expect_event(peer, BRAID_EVENT_DOWN);
        return;
    }
    peer_answer_init(peer);
    expect(peer, "COOKIE_ECHO DATA");
    peer_begin(peer);
    cookie_ack_write(&peer->writer);
    sack_write(&peer->writer, peer->engine_initial_tsn, peer->a_rwnd, NULL, 0, NULL, 0);
    peer_send(peer);
    expect(peer, "SHUTDOWN");
}

/* autoclose: idle for so long, then SHUTDOWN. */
static void test_autoclose(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    peer_association_parameters(peer)->autoclose = 5000;
    peer_send_data(peer, 1000, 0, 0, WHOLE, 100);
    expect(peer, "SACK");
    expect_message(peer, 0, 1000, 100);
    peer_advance(peer, 3 * SECOND);
    peer_send_data(peer, 1001, 0, 1, WHOLE, 100);
    expect_message(peer, 0, 1001, 100);
    expect_within(peer, 300 * MS, "SACK");
    expect_silence(peer, 4600 * MS);
    expect_within(peer, 400 * MS, "SHUTDOWN");
}

/* ---- 10 ---------------------------------------------------------------------------------------
 */

static void icmp(struct peer *peer, enum braid_icmp kind, uint32_t mtu, const struct sent *quoted,
                 size_t length)
{
    braid_engine_icmp(peer->engine, kind, mtu, &peer->there[0], quoted->bytes,
                      length < quoted->length ? length : quoted->length, peer->now);
    peer_run(peer);
}

/* ICMP 6 and 7: the tag must fit; then the path MTU falls. */
static void test_icmp_too_big(void **state)
{
    struct peer *peer = *state;
    const struct sent *first;
    struct sent *quoted;
    const struct sent *sent;
    uint32_t bytes = 0;

    peer_accept(peer);
    assert_int_equal(peer_user_send(peer, 0, 1452), 0);
    first = expect(peer, "DATA");
    assert_true(first->dont_fragment);
    quoted = malloc(sizeof(*quoted) + first->length);
    assert_non_null(quoted);
    memcpy(quoted, first, sizeof(*quoted) + first->length);
    quoted->bytes[4] ^= 1;
    icmp(peer, BRAID_ICMP_TOO_BIG, 1000, quoted, 8);
    assert_int_equal(peer_path(peer, 0).mtu, 1500);
    quoted->bytes[4] ^= 1;
    icmp(peer, BRAID_ICMP_TOO_BIG, 1000, quoted, 4); /* too short to say */
    assert_int_equal(peer_path(peer, 0).mtu, 1500);
    icmp(peer, BRAID_ICMP_TOO_BIG, 2000, quoted, 8); /* larger than it is */
    assert_int_equal(peer_path(peer, 0).mtu, 1500);
    icmp(peer, BRAID_ICMP_TOO_BIG, 100, quoted, 8); /* smaller than any IPv4 link may say */
    assert_true(peer_path(peer, 0).mtu >= 500);
    if (peer_path(peer, 0).mtu == 1500)
        icmp(peer, BRAID_ICMP_TOO_BIG, 1000, quoted, 8);
    free(quoted);
    assert_in_range(peer_path(peer, 0).mtu, 500, 1000);
    /* it cannot be fragmented again: IP does it (6.9) */
    sent = peer_next(peer);
    if (!sent)
        sent = expect_within(peer, 2 * SECOND, "DATA");
    assert_int_equal(sent_data(sent, 0).payload_length, 1452);
    assert_false(sent->dont_fragment);
    peer_send_sack(peer, peer->engine_initial_tsn);
    /* new messages are of the new size */
    assert_int_equal(peer_user_send(peer, 0, 3000), 0);
    for (uint32_t tsn = peer->engine_initial_tsn + 1; bytes < 3000; tsn++) {
        sent = peer_next(peer);
        if (!sent) {
            peer_send_sack(peer, tsn - 1);
            sent = peer_next(peer);
        }
        assert_non_null(sent);
        assert_true(sent->length + 20 <= peer_path(peer, 0).mtu);
        bytes += sent_data(sent, 0).payload_length;
    }
}

/* ICMP 8: Protocol Unreachable is an ABORT; 6: but not with another tag. */
static void test_icmp_protocol_unreachable(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;

    peer_accept(peer);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    sent = expect(peer, "DATA");
    peer->sent[peer->sent_count - 1]->bytes[5] ^= 1;
    icmp(peer, BRAID_ICMP_PROTOCOL_UNREACHABLE, 0, sent, 8);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    peer->sent[peer->sent_count - 1]->bytes[5] ^= 1;
    icmp(peer, BRAID_ICMP_PROTOCOL_UNREACHABLE, 0, sent, 8);
    expect_event(peer, BRAID_EVENT_DOWN);
    expect(peer, NONE);
}

/* ICMP 6 and 8 for an INIT, whose tag is 0: the Initiate Tag must be quoted, and fit. */
static void test_icmp_about_an_init(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;

    peer_start_connect(peer);
    sent = expect(peer, "INIT");
    icmp(peer, BRAID_ICMP_PROTOCOL_UNREACHABLE, 0, sent, 8); /* too short */
    assert_int_equal(peer_state(peer), BRAID_COOKIE_WAIT);
    peer->sent[0]->bytes[16] ^= 1;
    icmp(peer, BRAID_ICMP_PROTOCOL_UNREACHABLE, 0, sent, 20);
    assert_int_equal(peer_state(peer), BRAID_COOKIE_WAIT);
    peer->sent[0]->bytes[16] ^= 1;
    icmp(peer, BRAID_ICMP_PROTOCOL_UNREACHABLE, 0, sent, 20);
    expect_event(peer, BRAID_EVENT_DOWN);
    expect(peer, NONE);
}

/* ICMP 9: Unreachable is at most a hint. */
static void test_icmp_unreachable(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;

    peer_accept(peer);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    sent = expect(peer, "DATA");
    icmp(peer, BRAID_ICMP_UNREACHABLE, 0, sent, 8);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    peer_send_sack(peer, peer->engine_initial_tsn);
    assert_int_equal(peer_path(peer, 0).state, BRAID_PATH_ACTIVE);
}

/* ICMP about nobody, and of any length. */
static void test_icmp_about_nobody(void **state)
{
    struct peer *peer = *state;
    struct braid_address stranger = braid_address_ipv4("\300\0\2\143");
    const struct sent *sent;

    peer_accept(peer);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    sent = expect(peer, "DATA");
    for (int kind = BRAID_ICMP_UNREACHABLE; kind <= BRAID_ICMP_TOO_BIG; kind++) {
        braid_engine_icmp(peer->engine, (enum braid_icmp)kind, 600, &stranger, sent->bytes, 8,
                          peer->now);
        for (size_t length = 0; length < 8; length++) {
            uint8_t *copy = malloc(length > 0 ? length : 1);

            assert_non_null(copy);
            memcpy(copy, sent->bytes, length);
            braid_engine_icmp(peer->engine, (enum braid_icmp)kind, 600, &peer->there[0], copy,
                              length, peer->now);
            free(copy);
        }
    }
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    assert_int_equal(peer_path(peer, 0).mtu, 1500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_abort),
        peer_test(test_abort_with_a_long_reason),
        peer_test(test_aborted_by_peer),
        peer_test(test_malformed_abort),
        peer_test(test_chunks_behind_an_abort),
        peer_test(test_shutdown),
        peer_test(test_shutdown_with_data_outstanding),
        peer_test(test_t2),
        peer_test(test_t2_of_shutdown_ack),
        peer_test(test_t5),
        peer_test(test_data_in_shutdown_sent),
        peer_test(test_shutdowns_cross),
        peer_test(test_shutdown_by_peer),
        peer_test(test_shutdown_by_peer_with_data_outstanding),
        peer_test(test_shutdown_acknowledges),
        peer_test(test_repeated_shutdown_by_peer),
        peer_test(test_shutdown_while_setting_up),
        peer_test(test_unexpected_shutdown_ack),
        peer_test(test_shutdown_ack_behind_a_cookie_echo),
        peer_test(test_shutdown_before_it_is_up),
        peer_test(test_autoclose),
        peer_test(test_icmp_too_big),
        peer_test(test_icmp_protocol_unreachable),
        peer_test(test_icmp_about_an_init),
        peer_test(test_icmp_unreachable),
        peer_test(test_icmp_about_nobody),
    };

    return cmocka_run_group_tests_name("RFC 9260, 9 and 10", tests, NULL, NULL);
}
