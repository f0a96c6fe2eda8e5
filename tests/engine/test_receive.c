/*
 * Tests: receiving DATA, RFC 9260 sections 6.2 (acknowledgement, window), 6.5 to 6.7 (streams,
 * order, gaps) and 6.9 (reassembly).
 */
#include "peer.h"

enum {
    BEGIN = SCTP_DATA_FLAG_BEGINNING,
    MIDDLE = 0,
    END = SCTP_DATA_FLAG_ENDING,
    UNORDERED = SCTP_DATA_FLAG_UNORDERED,
};

/* An association of the peer's making, whose first DATA was acknowledged: the next TSN is 1001. */
static void begin(struct peer *peer)
{
    peer_accept(peer);
    peer_send_data(peer, 1000, 0, 0, WHOLE, 20);
    assert_sack(expect(peer, "SACK"), 1000, 0, 0);
    expect_message(peer, 0, 1000, 20);
}

static struct peer *renew_with(void **state, const struct braid_parameters *parameters)
{
    return peer_renew(state, &(struct peer_config){.parameters = parameters});
}

/* ---- 6.2: when a SACK is sent -----------------------------------------------------------------
 */

/* 5.1: "After the reception of the first DATA chunk ... MUST immediately respond with a SACK". */
static void test_first_data_is_acknowledged_at_once(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;

    peer_accept(peer);
    peer_send_data(peer, 1000, 0, 0, WHOLE, 20);
    sent = expect(peer, "SACK");
    assert_sack(sent, 1000, 0, 0);
    assert_int_equal(sent->header.verification_tag, peer->tag);
    peer = peer_renew(state, NULL);
    peer_connect(peer);
    peer_send_data(peer, 1000, 0, 0, WHOLE, 20);
    assert_sack(expect(peer, "SACK"), 1000, 0, 0);
}

/* "within 200 ms", and not before. */
static void test_sack_is_delayed(void **state)
{
    struct peer *peer = *state;

    begin(peer);
    peer_send_data(peer, 1001, 0, 1, WHOLE, 20);
    expect(peer, NONE);
    assert_sack(expect_after(peer, 200 * MS, "SACK"), 1001, 0, 0);
    expect_silence(peer, 10 * SECOND);
}

/* "at least every second packet (not every second DATA chunk)". */
static void test_sack_of_every_second_packet(void **state)
{
    struct peer *peer = *state;
    uint32_t tsn = 1001;
    uint16_t ssn = 1;

    begin(peer);
    for (int i = 0; i < 5; i++) {
        peer_begin(peer);
        for (int j = 0; j < 3; j++)
            peer_write_data(peer, tsn++, 0, ssn++, WHOLE, 20);
        peer_send(peer);
        expect(peer, NONE);
        peer_send_data(peer, tsn++, 0, ssn++, WHOLE, 20);
        assert_sack(expect(peer, "SACK"), tsn - 1, 0, 0);
    }
    expect_silence(peer, 1 * SECOND);
}

/* SACK.Delay and the frequency are parameters; the delay is never above 500 ms. */
static void test_sack_parameters(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;

    parameters.sack_delay = 400;
    parameters.sack_frequency = 4;
    peer = renew_with(state, &parameters);
    begin(peer);
    for (uint16_t i = 1; i < 4; i++) {
        peer_send_data(peer, 1000U + i, 0, i, WHOLE, 20);
        expect(peer, NONE);
    }
    peer_send_data(peer, 1004, 0, 4, WHOLE, 20);
    expect(peer, "SACK");
    peer_send_data(peer, 1005, 0, 5, WHOLE, 20);
    expect_after(peer, 400 * MS, "SACK");

    parameters.sack_delay = 0;
    peer = renew_with(state, &parameters);
    begin(peer);
    peer_send_data(peer, 1001, 0, 1, WHOLE, 20);
    expect(peer, "SACK");

    parameters.sack_delay = 5000;
    peer = renew_with(state, &parameters);
    begin(peer);
    peer_send_data(peer, 1001, 0, 1, WHOLE, 20);
    expect_within(peer, 500 * MS + SLACK, "SACK");
}

/* 6.1: a SACK that is due goes with DATA. */
static void test_sack_goes_with_data(void **state)
{
    struct peer *peer = *state;

    begin(peer);
    peer_send_data(peer, 1001, 0, 1, WHOLE, 20);
    expect(peer, NONE);
    assert_int_equal(peer_user_send(peer, 0, 30), 0);
    assert_sack(expect(peer, "SACK DATA"), 1001, 0, 0);
    peer_send_sack(peer, peer->engine_initial_tsn);
    expect_silence(peer, 1 * SECOND);
}

/* The I bit: "the receiver SHOULD NOT delay the sending of the corresponding SACK". */
static void test_immediate_bit(void **state)
{
    struct peer *peer = *state;

    begin(peer);
    peer_send_data(peer, 1001, 0, 1, WHOLE | SCTP_DATA_FLAG_IMMEDIATE, 20);
    assert_sack(expect(peer, "SACK"), 1001, 0, 0);
    /* also if another chunk of the packet has it not */
    peer_begin(peer);
    peer_write_data(peer, 1002, 0, 2, WHOLE | SCTP_DATA_FLAG_IMMEDIATE, 20);
    peer_write_data(peer, 1003, 0, 3, WHOLE, 20);
    peer_send(peer);
    assert_sack(expect(peer, "SACK"), 1003, 0, 0);
}

/* Duplicates: "MUST immediately send a SACK chunk with no delay", and say which. */
static void test_duplicates(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;
    struct sctp_sack sack;

    begin(peer);
    peer_send_data(peer, 1000, 0, 0, WHOLE, 20);
    sent = expect(peer, "SACK");
    assert_sack(sent, 1000, 0, 1);
    sack = sent_sack(sent);
    assert_int_equal(sack_duplicate_tsn(&sack, 0), 1000);
    /* told once */
    peer_send_data(peer, 1002, 0, 2, WHOLE, 20);
    assert_sack(expect(peer, "SACK"), 1000, 1, 0);
    peer_send_data(peer, 1002, 0, 2, WHOLE, 20);
    assert_sack(expect(peer, "SACK"), 1000, 1, 1);
    peer_send_data(peer, 1001, 0, 1, WHOLE, 20);
    expect_message(peer, 0, 1001, 20);
    expect_message(peer, 0, 1002, 20);
    expect_no_message(peer);
    assert_true(peer_info(peer).chunks_duplicate >= 2);
}

/* A packet full of the same chunk: the SACK fits into a packet, and memory is bounded. */
static void test_many_duplicates(void **state)
{
    struct peer *peer = *state;

    begin(peer);
    for (int i = 0; i < 20; i++) {
        peer_begin(peer);
        for (int j = 0; j < 1000; j++)
            peer_write_data(peer, 1000, 0, 0, WHOLE, 1);
        peer_send(peer);
        expect(peer, "SACK");
    }
    expect_no_message(peer);
}

/* ---- 6.7: gaps --------------------------------------------------------------------------------
 */

static void test_gap(void **state)
{
    struct peer *peer = *state;
    struct sctp_sack sack;

    begin(peer);
    peer_send_data(peer, 1002, 0, 2, WHOLE, 20);
    sack = sent_sack(expect(peer, "SACK"));
    assert_int_equal(sack.cumulative_tsn_ack, 1000);
    assert_int_equal(sack.gap_ack_block_count, 1);
    assert_int_equal(sack_gap_ack_block(&sack, 0).start, 2);
    assert_int_equal(sack_gap_ack_block(&sack, 0).end, 2);
    /* "continues sending a SACK chunk after receipt of each SCTP packet that does not fill the gap"
     */
    peer_send_data(peer, 1003, 0, 3, WHOLE, 20);
    sack = sent_sack(expect(peer, "SACK"));
    assert_int_equal(sack_gap_ack_block(&sack, 0).end, 3);
    peer_send_data(peer, 1006, 0, 6, WHOLE, 20);
    sack = sent_sack(expect(peer, "SACK"));
    assert_int_equal(sack.gap_ack_block_count, 2);
    assert_int_equal(sack_gap_ack_block(&sack, 1).start, 6);
    assert_int_equal(sack_gap_ack_block(&sack, 1).end, 6);
    expect_no_message(peer);
    peer_send_data(peer, 1001, 0, 1, WHOLE, 20);
    assert_sack(expect(peer, "SACK"), 1003, 1, 0);
    peer_send_data(peer, 1005, 0, 5, WHOLE, 20);
    sack = sent_sack(expect(peer, "SACK"));
    assert_int_equal(sack_gap_ack_block(&sack, 0).start, 2);
    assert_int_equal(sack_gap_ack_block(&sack, 0).end, 3);
    peer_send_data(peer, 1004, 0, 4, WHOLE, 20);
    peer_advance(peer, 500 * MS);
    assert_sack(expect(peer, "SACK"), 1006, 0, 0);
    for (uint32_t tsn = 1001; tsn <= 1006; tsn++)
        expect_message(peer, 0, tsn, 20);
}

/* "MUST report the Gap Ack Blocks from the lowest to highest TSNs, within the size limit". */
static void test_more_gaps_than_fit(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent = NULL;
    struct sctp_sack sack;

    begin(peer);
    for (uint16_t i = 0; i < 1000; i++) {
        peer_send_data(peer, 1002U + 2 * i, 0, (uint16_t)(2 + 2 * i), WHOLE, 4);
        sent = expect(peer, "SACK");
    }
    assert_non_null(sent);
    sack = sent_sack(sent);
    assert_in_range(sack.gap_ack_block_count, 300, 363);
    for (uint16_t i = 0; i < sack.gap_ack_block_count; i++) {
        assert_int_equal(sack_gap_ack_block(&sack, i).start, 2 + 2 * i);
        assert_int_equal(sack_gap_ack_block(&sack, i).end, 2 + 2 * i);
    }
    for (uint16_t i = 0; i < 1000; i++)
        peer_send_data(peer, 1001U + 2 * i, 0, (uint16_t)(1 + 2 * i), WHOLE, 4);
    for (uint32_t tsn = 1001; tsn <= 3000; tsn++)
        expect_message(peer, 0, tsn, 4);
}

/* A TSN that no honest sender has reached is not taken, and does no harm. */
static void test_tsn_far_away(void **state)
{
    static const uint32_t distances[] = {100000, 1000000, 0x7fffffff, 0x80000000, 0x80000001};
    struct peer *peer = *state;

    begin(peer);
    for (size_t i = 0; i < sizeof(distances) / sizeof(distances[0]); i++) {
        struct sctp_sack sack;
        const struct sent *sent;

        peer_send_data(peer, 1000 + distances[i], 0, 1, WHOLE, 20);
        sent = peer_next(peer);
        if (sent && sent_count(sent, SCTP_CHUNK_SACK) > 0) {
            sack = sent_sack(sent);
            assert_int_equal(sack.cumulative_tsn_ack, 1000);
            for (uint16_t j = 0; j < sack.gap_ack_block_count; j++)
                assert_true(sack_gap_ack_block(&sack, j).end >= 2);
        }
        peer_skip(peer);
        assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    }
    expect_no_message(peer);
    peer_send_data(peer, 1001, 0, 1, WHOLE, 20);
    peer_advance(peer, 500 * MS);
    expect_message(peer, 0, 1001, 20);
}

/* TSNs wrap around, with and without a gap on the seam. */
static void test_tsn_wraps_around(void **state)
{
    struct peer *peer = *state;
    uint32_t tsn = 0xfffffff0;

    peer->initial_tsn = tsn;
    peer_accept(peer);
    for (uint16_t i = 0; i < 40; i++) {
        peer_send_data(peer, tsn + i, 0, i, WHOLE, 20);
        expect_message(peer, 0, tsn + i, 20);
    }
    peer_advance(peer, 1 * SECOND);
    assert_true(peer_skip(peer) >= 20);

    peer = peer_renew(state, NULL);
    peer->initial_tsn = tsn;
    peer_accept(peer);
    for (uint16_t i = 40; i-- > 0;) {
        peer_send_data(peer, tsn + i, 0, i, WHOLE, 20);
        if (i > 0) {
            struct sctp_sack sack = sent_sack(expect(peer, "SACK"));

            assert_int_equal(sack.cumulative_tsn_ack, tsn - 1);
            assert_int_equal(sack.gap_ack_block_count, 1);
            assert_int_equal(sack_gap_ack_block(&sack, 0).start, i + 1);
            assert_int_equal(sack_gap_ack_block(&sack, 0).end, 40);
        }
    }
    for (uint16_t i = 0; i < 40; i++)
        expect_message(peer, 0, tsn + i, 20);
    peer_advance(peer, 1 * SECOND);
    assert_sack(expect(peer, "SACK"), tsn + 39, 0, 0);
}

/* ---- 6.5 and 6.6: streams and order -----------------------------------------------------------
 */

/* "acknowledge ..., immediately send an ERROR chunk ..., and discard the DATA chunk". */
static void test_invalid_stream(void **state)
{
    struct peer *peer = *state;
    bool acknowledged = false, told = false;
    struct sctp_parameter cause;
    const struct sent *sent;
    uint16_t stream;

    begin(peer);
    peer_send_data(peer, 1001, 20, 0, WHOLE, 20);
    while ((sent = peer_next(peer))) {
        if (sent_count(sent, SCTP_CHUNK_ERROR) > 0) {
            cause = sent_cause(sent, SCTP_CAUSE_INVALID_STREAM_IDENTIFIER);
            assert_true(invalid_stream_identifier_read(&cause, &stream));
            assert_int_equal(stream, 20);
            told = true;
        }
        if (sent_count(sent, SCTP_CHUNK_SACK) > 0)
            acknowledged = true;
    }
    assert_true(told);
    if (!acknowledged)
        assert_sack(expect_within(peer, 200 * MS + SLACK, "SACK"), 1001, 0, 0);
    expect_no_message(peer);
    peer_send_data(peer, 1002, 19, 0, WHOLE, 20);
    expect_message(peer, 19, 1002, 20);
    assert_int_equal(peer_info(peer).receive_chunks_waiting, 0);
}

/* 6.2: DATA without user data: ABORT with its TSN. */
static void test_no_user_data(void **state)
{
    struct peer *peer = *state;
    const struct braid_event *event;
    struct sctp_parameter cause;
    const struct sent *sent;
    uint32_t tsn;

    begin(peer);
    peer_send_data(peer, 1001, 0, 1, WHOLE, 0);
    sent = expect(peer, "ABORT");
    assert_int_equal(sent->header.verification_tag, peer->tag);
    cause = sent_cause(sent, SCTP_CAUSE_NO_USER_DATA);
    assert_true(no_user_data_read(&cause, &tsn));
    assert_int_equal(tsn, 1001);
    event = expect_down(peer, BRAID_DOWN_PROTOCOL);
    assert_int_equal(event->cause, SCTP_CAUSE_NO_USER_DATA);
    expect_no_message(peer);
}

/* Ordered messages wait for each other within a stream, not between streams. */
static void test_streams_do_not_wait(void **state)
{
    struct peer *peer = *state;

    begin(peer);
    peer_send_data(peer, 1002, 0, 2, WHOLE, 20);
    expect_no_message(peer);
    peer_send_data(peer, 1003, 1, 0, WHOLE, 30);
    expect_message(peer, 1, 1003, 30);
    peer_send_data(peer, 1004, 2, 1, WHOLE, 40);
    expect_no_message(peer);
    peer_send_data(peer, 1005, 2, 0, WHOLE, 50);
    expect_message(peer, 2, 1005, 50);
    expect_message(peer, 2, 1004, 40);
    peer_send_data(peer, 1001, 0, 1, WHOLE, 60);
    expect_message(peer, 0, 1001, 60);
    expect_message(peer, 0, 1002, 20);
    expect_no_message(peer);
}

/* 6.6: unordered messages overtake, and their SSN means nothing. */
static void test_unordered(void **state)
{
    struct peer *peer = *state;
    struct braid_received received;

    begin(peer);
    peer_send_data(peer, 1002, 0, 2, WHOLE, 20);
    peer_send_data(peer, 1003, 0, 999, WHOLE | UNORDERED, 30);
    assert_int_equal(braid_receive(peer->engine, peer->association, &received, peer->now), 1);
    assert_int_equal(received.tsn, 1003);
    assert_true(received.flags & BRAID_RECEIVE_UNORDERED);
    assert_true(received.flags & BRAID_RECEIVE_END);
    assert_int_equal(received.ssn, 0);
    braid_received_release(peer->engine, &received, peer->now);
    expect_no_message(peer);
    peer_send_data(peer, 1001, 0, 1, WHOLE, 20);
    expect_message(peer, 0, 1001, 20);
    expect_message(peer, 0, 1002, 20);
}

/* 6.5: "when the Stream Sequence Number reaches the value 65535, the next ... MUST be set to 0". */
static void test_ssn_wraps_around(void **state)
{
    struct peer *peer = *state;
    uint32_t tsn = 1001;

    begin(peer);
    for (uint32_t ssn = 1; ssn < 65530;) {
        peer_begin(peer);
        for (int i = 0; i < 60 && ssn < 65530; i++)
            peer_write_data(peer, tsn++, 0, (uint16_t)ssn++, WHOLE, 4);
        peer_send(peer);
        while (peer_info(peer).unread_messages > 0) {
            struct braid_received received;

            if (braid_receive(peer->engine, peer->association, &received, peer->now) != 1)
                break;
            braid_received_release(peer->engine, &received, peer->now);
        }
    }
    /* 65530 to 5, the last one first */
    for (uint16_t i = 12; i-- > 0;)
        peer_send_data(peer, tsn + i, 0, (uint16_t)(65530 + i), WHOLE, 20);
    for (uint16_t i = 0; i < 12; i++)
        expect_message(peer, 0, tsn + i, 20);
}

/* ---- 6.9: reassembly --------------------------------------------------------------------------
 */

/* Reads a message of several fragments, each with the bytes of its TSN. */
static void expect_fragments(struct peer *peer, uint16_t stream, uint32_t tsn, unsigned int count,
                             size_t length)
{
    struct braid_received received;

    assert_int_equal(braid_receive(peer->engine, peer->association, &received, peer->now), 1);
    assert_int_equal(received.stream, stream);
    assert_int_equal(received.tsn, tsn);
    assert_int_equal(received.length, count * length);
    assert_true(received.flags & BRAID_RECEIVE_BEGIN);
    assert_true(received.flags & BRAID_RECEIVE_END);
    for (unsigned int i = 0; i < count; i++) {
        peer_begin(peer);
        peer_write_data(peer, tsn + i, 0, 0, 0, length);
        assert_memory_equal(received.bytes + i * length,
                            peer->packet + SCTP_COMMON_HEADER_LENGTH + SCTP_DATA_HEADER_LENGTH,
                            length);
    }
    braid_received_release(peer->engine, &received, peer->now);
}

static uint8_t fragment_flags(unsigned int index, unsigned int count)
{
    return (uint8_t)((index == 0 ? BEGIN : 0) | (index == count - 1 ? END : 0));
}

/* Four fragments in all 24 orders, ordered and unordered. */
static void test_fragments_in_any_order(void **state)
{
    struct peer *peer = *state;
    uint32_t tsn = 1001;

    begin(peer);
    for (unsigned int round = 0; round < 48; round++) {
        uint8_t flag = round % 2 ? UNORDERED : 0;
        unsigned int order[4], taken = 0, code = round / 2;

        for (unsigned int i = 0; i < 4; i++) {
            unsigned int pick = code % (4 - i);

            code /= 4 - i;
            for (order[i] = 0; taken & 1U << order[i] || pick-- > 0; order[i]++)
                ;
            taken |= 1U << order[i];
        }
        for (unsigned int i = 0; i < 4; i++) {
            expect_no_message(peer);
            peer_send_data(peer, tsn + order[i], 3, round % 2 ? 0 : (uint16_t)(round / 2),
                           fragment_flags(order[i], 4) | flag, 33);
        }
        expect_fragments(peer, 3, tsn, 4, 33);
        expect_no_message(peer);
        tsn += 4;
    }
    assert_int_equal(peer_info(peer).receive_chunks_waiting, 0);
}

/* Fragments of two streams, and a whole unordered message, each complete in its own time. */
static void test_fragments_of_two_streams(void **state)
{
    struct peer *peer = *state;

    begin(peer);
    peer_send_data(peer, 1003, 2, 0, BEGIN, 40);
    peer_send_data(peer, 1004, 2, 0, END, 40);
    expect_fragments(peer, 2, 1003, 2, 40);
    peer_send_data(peer, 1005, 0, 0, WHOLE | UNORDERED, 40);
    expect_message(peer, 0, 1005, 40);
    peer_send_data(peer, 1001, 0, 1, BEGIN, 40);
    expect_no_message(peer);
    peer_send_data(peer, 1002, 0, 1, END, 40);
    expect_fragments(peer, 0, 1001, 2, 40);
}

/* A message of many fragments whose middle comes last, over the seam of the TSNs. */
static void test_long_message(void **state)
{
    struct peer *peer = *state;

    peer->initial_tsn = 0xffffffe0;
    peer_accept(peer);
    for (unsigned int i = 0; i < 64; i++) {
        unsigned int index = i % 2 ? 63 - i / 2 : i / 2;

        peer_send_data(peer, 0xffffffe0 + index, 5, 0, fragment_flags(index, 64), 1000);
    }
    expect_fragments(peer, 5, 0xffffffe0, 64, 1000);
}

/* Fragments that cannot be of one message are never given as one. */
static void test_fragments_that_do_not_fit(void **state)
{
    static const struct {
        uint8_t flags;
        uint16_t stream, ssn;
    } second[] = {
        {BEGIN, 0, 1},           /* another beginning */
        {END, 1, 1},             /* of another stream */
        {END, 0, 2},             /* of another message */
        {END | UNORDERED, 0, 1}, /* of another kind */
        {WHOLE, 0, 1},           /* whole */
    };

    for (size_t i = 0; i < 2 * sizeof(second) / sizeof(second[0]); i++) {
        size_t which = i / 2;
        struct peer *peer = peer_renew(state, NULL);
        struct braid_received received;

        begin(peer);
        if (i % 2 == 0)
            peer_send_data(peer, 1001, 0, 1, BEGIN, 40);
        peer_send_data(peer, 1002, second[which].stream, second[which].ssn, second[which].flags,
                       40);
        if (i % 2 != 0 && peer_state(peer) == BRAID_ESTABLISHED)
            peer_send_data(peer, 1001, 0, 1, BEGIN, 40);
        if (peer_state(peer) == BRAID_ESTABLISHED)
            peer_send_data(peer, 1003, 0, 1, END, 40);
        if (peer_state(peer) != BRAID_ESTABLISHED) {
            expect_event(peer, BRAID_EVENT_DOWN);
            continue;
        }
        while (braid_receive(peer->engine, peer->association, &received, peer->now) == 1) {
            assert_int_equal(received.length, 40);
            braid_received_release(peer->engine, &received, peer->now);
        }
    }
}

/* ---- 6.2: the window --------------------------------------------------------------------------
 */

static struct peer *begin_with_buffer(void **state, uint32_t bytes)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;

    parameters.receive_buffer = bytes;
    parameters.sack_delay = 0;
    peer = renew_with(state, &parameters);
    begin(peer);
    assert_int_equal(peer->engine_a_rwnd, bytes);
    return peer;
}

/* a_rwnd falls by what is kept, and rises when it was read and released. */
static void test_window_falls_and_rises(void **state)
{
    struct peer *peer = begin_with_buffer(state, 100000);
    struct braid_received received[10];
    uint32_t a_rwnd = 100000;

    for (uint16_t i = 0; i < 10; i++) {
        uint32_t before = a_rwnd;

        peer_send_data(peer, 1001U + i, 0, (uint16_t)(1 + i), WHOLE, 1400);
        a_rwnd = sent_sack(expect(peer, "SACK")).a_rwnd;
        assert_true(a_rwnd <= before - 1400 || before < 1400);
    }
    assert_true(a_rwnd <= 100000 - 14000);
    assert_true(a_rwnd >= 50000);
    /* read, but not released: the window stays */
    for (int i = 0; i < 10; i++)
        assert_int_equal(braid_receive(peer->engine, peer->association, &received[i], peer->now),
                         1);
    assert_true(peer_info(peer).local_rwnd <= a_rwnd);
    for (int i = 0; i < 10; i++)
        braid_received_release(peer->engine, &received[i], peer->now);
    assert_int_equal(peer_info(peer).local_rwnd, 100000);
    peer_skip(peer);
    peer_send_data(peer, 1011, 0, 11, WHOLE, 10);
    assert_true(sent_sack(expect(peer, "SACK")).a_rwnd >= 99000);
}

/* What the user holds in a queue of its own counts against the window. */
static void test_window_and_hold(void **state)
{
    struct peer *peer = begin_with_buffer(state, 100000);

    assert_int_equal(braid_association_hold(peer->engine, peer->association, 40000, peer->now), 0);
    assert_int_equal(braid_association_hold(peer->engine, peer->association, 60000, peer->now), 1);
    assert_int_equal(peer_info(peer).local_rwnd, 40000);
    peer_skip(peer);
    peer_send_data(peer, 1001, 0, 1, WHOLE, 10);
    assert_in_range(sent_sack(expect(peer, "SACK")).a_rwnd, 30000, 40000);
    expect_message(peer, 0, 1001, 10);
    assert_int_equal(braid_association_hold(peer->engine, peer->association, 0, peer->now), 0);
    peer_run(peer);
    assert_int_equal(peer_info(peer).local_rwnd, 100000);
    assert_true(sent_sack(expect(peer, "SACK")).a_rwnd >= 99000); /* the window opened */
    assert_int_equal(
        braid_association_hold(peer->engine, peer->association, 4000000000U, peer->now), 1);
    assert_int_equal(peer_info(peer).local_rwnd, 0);
}

/* The rest of a message has no room beside what is held. The engine asks how much of that was read
 * meanwhile; what is read later is told the peer, though it is little: it is all that will be. */
static void test_window_smaller_than_a_chunk(void **state)
{
    struct peer *peer = begin_with_buffer(state, 40000);
    struct braid_received none;

    expect_event(peer, BRAID_EVENT_READABLE);
    assert_int_equal(braid_receive(peer->engine, peer->association, &none, peer->now), 0);
    assert_int_equal(braid_association_hold(peer->engine, peer->association, 4000, peer->now), 0);
    for (uint32_t i = 0; i < 27; i++) {
        peer_send_data(peer, 1001 + i, 0, 1, i == 0 ? SCTP_DATA_FLAG_BEGINNING : 0, 1300);
        peer_skip(peer);
        if (i < 10)
            expect_no_event(peer, BRAID_EVENT_READABLE);
    }
    expect_event(peer, BRAID_EVENT_READABLE);
    assert_int_equal(braid_association_hold(peer->engine, peer->association, 3500, peer->now), 1);
    peer_run(peer);
    assert_int_equal(peer->sent_count, peer->sent_seen); /* some more may follow */
    assert_int_equal(braid_association_hold(peer->engine, peer->association, 0, peer->now), 0);
    peer_run(peer);
    assert_int_equal(sent_sack(expect(peer, "SACK")).a_rwnd, 40000 - 27 * 1300);
}

/* Fills the window with small steps until the engine says that it is closed; the next TSN. */
static uint32_t fill_window(struct peer *peer, uint32_t tsn)
{
    uint32_t a_rwnd = 1;

    for (int i = 0; i < 1000 && a_rwnd > 0; i++, tsn++) {
        uint16_t length = a_rwnd > 1000 || i == 0 ? 1000 : (uint16_t)a_rwnd;

        peer_send_data(peer, tsn, 0, (uint16_t)(tsn - 1000), WHOLE, length);
        a_rwnd = sent_sack(expect(peer, "SACK")).a_rwnd;
    }
    assert_int_equal(a_rwnd, 0);
    return tsn;
}

/* "When the receiver's advertised window is 0, the receiver MUST drop any new incoming DATA". */
static void test_closed_window(void **state)
{
    struct peer *peer = begin_with_buffer(state, 10000);
    uint32_t tsn = fill_window(peer, 1001);
    struct sctp_sack sack;

    for (int i = 0; i < 3; i++) {
        peer_send_data(peer, tsn, 0, (uint16_t)(tsn - 1000), WHOLE, 1000);
        sack = sent_sack(expect(peer, "SACK"));
        assert_int_equal(sack.cumulative_tsn_ack, tsn - 1);
        assert_int_equal(sack.gap_ack_block_count, 0);
        assert_int_equal(sack.a_rwnd, 0);
    }
    peer_send_data(peer, tsn + 3, 0, (uint16_t)(tsn - 997), WHOLE, 1000);
    sack = sent_sack(expect(peer, "SACK"));
    assert_int_equal(sack.gap_ack_block_count, 0);
    assert_true(peer_info(peer).unread_bytes <= 12000);
}

/* "When the window opens up, an SCTP receiver SHOULD send additional SACK chunks", but not many. */
static void test_window_update(void **state)
{
    struct peer *peer = begin_with_buffer(state, 40000);
    uint32_t tsn = fill_window(peer, 1001);
    struct braid_received received;
    unsigned int messages = 0;
    size_t updates;

    while (braid_receive(peer->engine, peer->association, &received, peer->now) == 1) {
        braid_received_release(peer->engine, &received, peer->now);
        peer_run(peer);
        messages++;
    }
    updates = peer->sent_count - peer->sent_seen;
    assert_true(messages >= 30);
    assert_in_range(updates, 1, 5);
    assert_true(sent_sack(expect(peer, "SACK")).a_rwnd >= 10000 - 1500);
    peer_skip(peer);
    peer_send_data(peer, tsn, 0, (uint16_t)(tsn - 1000), WHOLE, 1000);
    assert_sack(expect(peer, "SACK"), tsn, 0, 0);
}

/* "if the new incoming DATA chunk holds a TSN value less than the largest TSN received so far, then
 * the receiver SHOULD drop the largest TSN held for reordering and accept the new": no deadlock. */
static void test_closed_window_with_a_gap(void **state)
{
    struct peer *peer = begin_with_buffer(state, 10000);
    struct sctp_sack sack = {.a_rwnd = 10000};
    uint32_t tsn = 1002;

    for (; sack.a_rwnd > 0 && tsn < 1100; tsn++) {
        uint16_t length = sack.a_rwnd > 1000 ? 1000 : (uint16_t)sack.a_rwnd;

        peer_send_data(peer, tsn, 0, (uint16_t)(tsn - 1000), WHOLE, length);
        sack = sent_sack(expect(peer, "SACK"));
    }
    assert_int_equal(sack.a_rwnd, 0);
    expect_no_message(peer);
    peer_send_data(peer, 1001, 0, 1, WHOLE, 1000);
    sack = sent_sack(expect(peer, "SACK"));
    assert_true((int32_t)(sack.cumulative_tsn_ack - 1001) >= 0);
    expect_message(peer, 0, 1001, 1000);
    expect_message(peer, 0, 1002, 1000);
}

/* 6.9: a message larger than the whole buffer comes in pieces. */
static void test_partial_delivery(void **state)
{
    struct peer *peer = begin_with_buffer(state, 16000);
    struct braid_received received;
    unsigned int pieces = 0, length = 0, begun = 0, ended = 0;

    for (uint32_t i = 0; i < 100; i++) {
        unsigned int tries = 0;

        for (;;) {
            peer_send_data(peer, 1001 + i, 4, 0, fragment_flags(i, 100), 1000);
            if ((int32_t)(sent_sack(expect(peer, "SACK")).cumulative_tsn_ack - (1001 + i)) >= 0)
                break;
            assert_true(++tries < 3); /* reading makes room */
            peer_skip(peer);
        }
        while (braid_receive(peer->engine, peer->association, &received, peer->now) == 1) {
            assert_int_equal(received.stream, 4);
            pieces++;
            for (uint32_t j = 0; j < received.length; j += 1000) {
                peer_begin(peer);
                peer_write_data(peer, 1001 + length / 1000, 0, 0, 0, 1000);
                assert_memory_equal(
                    received.bytes + j,
                    peer->packet + SCTP_COMMON_HEADER_LENGTH + SCTP_DATA_HEADER_LENGTH, 1000);
                length += 1000;
            }
            begun += (received.flags & BRAID_RECEIVE_BEGIN) != 0;
            ended += (received.flags & BRAID_RECEIVE_END) != 0;
            braid_received_release(peer->engine, &received, peer->now);
        }
        peer_run(peer);
        peer_skip(peer);
    }
    assert_int_equal(length, 100000);
    assert_int_equal(begun, 1);
    assert_int_equal(ended, 1);
    assert_true(pieces > 1);
}

/* The point where partial delivery begins is a parameter. While it lasts, no other ordered message
 * of the stream comes between. */
static void test_partial_delivery_point(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct braid_received received;
    struct peer *peer;

    parameters.partial_delivery_point = 3000;
    peer = renew_with(state, &parameters);
    begin(peer);
    peer_send_data(peer, 1001, 0, 1, BEGIN, 1000);
    peer_send_data(peer, 1002, 0, 1, MIDDLE, 1000);
    expect_no_message(peer);
    peer_send_data(peer, 1003, 0, 1, MIDDLE, 1000);
    assert_int_equal(braid_receive(peer->engine, peer->association, &received, peer->now), 1);
    assert_int_equal(received.length, 3000);
    assert_true(received.flags & BRAID_RECEIVE_BEGIN);
    assert_false(received.flags & BRAID_RECEIVE_END);
    braid_received_release(peer->engine, &received, peer->now);
    peer_send_data(peer, 1005, 0, 2, WHOLE, 1000);
    expect_no_message(peer);
    peer_send_data(peer, 1004, 0, 1, END, 1000);
    assert_int_equal(braid_receive(peer->engine, peer->association, &received, peer->now), 1);
    assert_int_equal(received.length, 1000);
    assert_true(received.flags & BRAID_RECEIVE_END);
    assert_false(received.flags & BRAID_RECEIVE_BEGIN);
    braid_received_release(peer->engine, &received, peer->now);
    expect_message(peer, 0, 1005, 1000);
}

/* An endpoint that is aborted in the midst of it says that the rest will not come. */
static void test_partial_delivery_aborted(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct braid_received received;
    struct peer *peer;

    parameters.partial_delivery_point = 1000;
    peer = renew_with(state, &parameters);
    begin(peer);
    peer_send_data(peer, 1001, 6, 0, BEGIN, 1000);
    peer_send_data(peer, 1002, 6, 0, MIDDLE, 1000);
    assert_int_equal(braid_receive(peer->engine, peer->association, &received, peer->now), 1);
    braid_received_release(peer->engine, &received, peer->now);
    peer_send_plain(peer, SCTP_CHUNK_ABORT, 0);
    assert_int_equal(expect_event(peer, BRAID_EVENT_PARTIAL_DELIVERY_ABORTED)->value, 6);
    expect_down(peer, BRAID_DOWN_ABORTED_BY_PEER);
}

/* 6.4: the SACK goes to where the last DATA came from. */
static void test_sack_to_the_source_of_the_data(void **state)
{
    struct peer *peer = peer_renew(state, &(struct peer_config){.paths = 2});

    peer_connect(peer);
    for (uint16_t i = 0; i < 4; i++) {
        peer_begin(peer);
        peer_write_data(peer, 1000U + i, 0, i, WHOLE | SCTP_DATA_FLAG_IMMEDIATE, 20);
        peer_send_over(peer, i % 2);
        assert_true(braid_address_equal(&expect(peer, "SACK")->destination, &peer->there[i % 2]));
    }
}

/* 6: DATA in a state that does not take it is discarded. */
static void test_data_before_it_is_up(void **state)
{
    struct peer *peer = *state;

    peer_start_connect(peer);
    peer_read_init(peer, expect(peer, "INIT"));
    peer_send_data(peer, 1000, 0, 0, WHOLE, 20);
    expect(peer, NONE);
    expect_no_event(peer, BRAID_EVENT_READABLE);
    assert_int_equal(peer_state(peer), BRAID_COOKIE_WAIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_first_data_is_acknowledged_at_once),
        peer_test(test_sack_is_delayed),
        peer_test(test_sack_of_every_second_packet),
        peer_test(test_sack_parameters),
        peer_test(test_sack_goes_with_data),
        peer_test(test_immediate_bit),
        peer_test(test_duplicates),
        peer_test(test_many_duplicates),
        peer_test(test_gap),
        peer_test(test_more_gaps_than_fit),
        peer_test(test_tsn_far_away),
        peer_test(test_tsn_wraps_around),
        peer_test(test_invalid_stream),
        peer_test(test_no_user_data),
        peer_test(test_streams_do_not_wait),
        peer_test(test_unordered),
        peer_test(test_ssn_wraps_around),
        peer_test(test_fragments_in_any_order),
        peer_test(test_fragments_of_two_streams),
        peer_test(test_long_message),
        peer_test(test_fragments_that_do_not_fit),
        peer_test(test_window_falls_and_rises),
        peer_test(test_window_and_hold),
        peer_test(test_window_smaller_than_a_chunk),
        peer_test(test_closed_window),
        peer_test(test_window_update),
        peer_test(test_closed_window_with_a_gap),
        peer_test(test_partial_delivery),
        peer_test(test_partial_delivery_point),
        peer_test(test_partial_delivery_aborted),
        peer_test(test_sack_to_the_source_of_the_data),
        peer_test(test_data_before_it_is_up),
    };

    return cmocka_run_group_tests_name("RFC 9260, 6.2 to 6.9", tests, NULL, NULL);
}
