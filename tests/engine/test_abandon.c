/*
 * Partial reliability (RFC 3758) and its policies (RFC 7496): who has it, what is abandoned and
 * when, what FORWARD TSN says, what it does to a receiver; and transfers with loss, in which what
 * is not delivered is reported, and nothing else.
 */
#include "peer.h"
#include "watcher.h"
#include "world.h"

enum { FULL = 1452, RTT = 100 }; /* user bytes that fill a packet; ms */

static struct peer *scene_with(void **state, const struct braid_parameters *parameters)
{
    struct peer *peer = peer_renew(state, &(struct peer_config){.parameters = parameters});

    peer->partial_reliability = true;
    peer->a_rwnd = 1000000;
    watcher_allow_skipped_tsns(peer->watcher);
    peer_accept(peer);
    return peer;
}

static struct peer *scene(void **state)
{
    struct braid_parameters parameters = peer_parameters();

    parameters.no_delay = true;
    return scene_with(state, &parameters);
}

static int send_with(struct peer *peer, struct braid_send send, size_t length)
{
    static const uint8_t bytes[100000];
    int result = braid_send(peer->engine, peer->association, &send, bytes, length, peer->now);

    peer_run(peer);
    return result;
}

static struct braid_send timed(uint16_t stream, uint32_t lifetime)
{
    return (struct braid_send){
        .stream = stream, .policy = BRAID_POLICY_LIFETIME, .lifetime = lifetime};
}

static struct braid_send counted(uint16_t stream, uint32_t limit)
{
    return (struct braid_send){
        .stream = stream, .policy = BRAID_POLICY_RETRANSMISSIONS, .limit = limit};
}

static struct braid_send ranked(uint32_t priority)
{
    return (struct braid_send){.policy = BRAID_POLICY_PRIORITY, .limit = priority};
}

static struct sctp_forward_tsn sent_forward_tsn(const struct sent *sent)
{
    struct sctp_chunk chunk = sent_chunk(sent, SCTP_CHUNK_FORWARD_TSN);
    struct sctp_forward_tsn forward;

    assert_true(forward_tsn_read(&chunk, &forward));
    return forward;
}

static void assert_skips(const struct sent *sent, uint32_t new_cumulative_tsn, size_t count,
                         const struct sctp_skipped_stream *skipped)
{
    struct sctp_forward_tsn forward = sent_forward_tsn(sent);

    assert_int_equal(forward.new_cumulative_tsn, new_cumulative_tsn);
    assert_int_equal(forward.skipped_stream_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(forward_tsn_skipped_stream(&forward, i).stream, skipped[i].stream);
        assert_int_equal(forward_tsn_skipped_stream(&forward, i).ssn, skipped[i].ssn);
    }
}

static void send_forward_tsn(struct peer *peer, uint32_t tsn, size_t count,
                             const struct sctp_skipped_stream *skipped)
{
    peer_begin(peer);
    forward_tsn_write(&peer->writer, tsn, skipped, count);
    peer_send(peer);
}

static struct braid_abandoned abandoned(struct peer *peer, uint32_t stream)
{
    struct braid_abandoned counters;

    assert_int_equal(
        braid_association_abandoned(peer->engine, peer->association, stream, &counters), 0);
    return counters;
}

static void expect_failed(struct peer *peer, bool unsent)
{
    assert_int_equal(expect_event(peer, BRAID_EVENT_SEND_FAILED)->unsent, unsent);
}

/* ---- 3.3: who has it ---- */

static void test_offered(void **state)
{
    struct peer *peer = peer_renew(state, NULL);
    struct sctp_parameter parameter;
    const struct sent *sent;

    peer->partial_reliability = true;
    peer_start_connect(peer);
    sent = expect(peer, "INIT");
    assert_true(sent_parameter(sent, SCTP_PARAMETER_FORWARD_TSN_SUPPORTED, &parameter));
    assert_int_equal(parameter.length, 4);
    peer_read_init(peer, sent);
    peer_send_init_ack(peer);
    expect(peer, "COOKIE_ECHO");
    peer_begin(peer);
    cookie_ack_write(&peer->writer);
    peer_send(peer);
    assert_true(peer_info(peer).partial_reliability);
}

/* The INIT ACK has the parameter if both have it, and in no other case. */
static void test_answered(void **state)
{
    for (int offer = 0; offer < 4; offer++) {
        struct braid_parameters parameters = peer_parameters();
        struct sctp_parameter parameter;
        struct peer *peer;
        const struct sent *sent;

        parameters.partial_reliability = offer & 1;
        peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
        peer->partial_reliability = offer & 2;
        assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
        peer_send_init(peer);
        sent = expect(peer, "INIT_ACK");
        assert_int_equal(sent_parameter(sent, SCTP_PARAMETER_FORWARD_TSN_SUPPORTED, &parameter),
                         offer == 3);
        peer_read_init(peer, sent);
        peer_send_cookie_echo(peer);
        expect(peer, "COOKIE_ACK");
        peer->association = expect_event(peer, BRAID_EVENT_UP)->association;
        assert_int_equal(peer_info(peer).partial_reliability, offer == 3);
        send_forward_tsn(peer, peer->initial_tsn, 0, NULL);
        if (offer == 3)
            expect(peer, "SACK"); /* as for the first DATA */
        else                      /* 3.3.1: not known */
            assert_true(sent_has_cause(expect(peer, "ERROR"), SCTP_CAUSE_UNRECOGNIZED_CHUNK_TYPE));
    }
}

/* ---- 4.1: timed reliability ---- */

/* TR3: what was not sent needs no TSN, nor the extension. */
static void test_unsent_expires(void **state)
{
    for (int capable = 0; capable < 2; capable++) {
        struct peer *peer = peer_renew(state, NULL);
        uint32_t tsn;

        peer->partial_reliability = capable;
        peer->a_rwnd = 1500;
        peer_accept(peer);
        assert_int_equal(peer_user_send(peer, 0, FULL), 0);
        tsn = sent_data(expect(peer, "DATA"), 0).tsn;
        assert_int_equal(send_with(peer, timed(3, 50), 100), 0);
        expect(peer, NONE);
        peer_advance(peer, 60 * MS);
        peer->a_rwnd = 100000;
        peer_send_sack(peer, tsn);
        expect(peer, NONE);
        expect_failed(peer, true);
        assert_int_equal(abandoned(peer, 3).unsent[BRAID_POLICY_LIFETIME], 1);
        assert_int_equal(peer_user_send(peer, 3, 100), 0);
        assert_int_equal(sent_data(expect(peer, "DATA"), 0).tsn, tsn + 1);
    }
}

/* TR4: a FORWARD TSN in place of the retransmission. */
static void test_sent_expires(void **state)
{
    struct peer *peer = scene(state);
    const struct sent *sent;
    uint32_t tsn;

    assert_int_equal(send_with(peer, timed(3, 500), 100), 0);
    tsn = sent_data(expect(peer, "DATA"), 0).tsn;
    expect_no_event(peer, BRAID_EVENT_SEND_FAILED);
    sent = expect_after(peer, 1 * SECOND, "FORWARD_TSN");
    assert_skips(sent, tsn, 1, &(struct sctp_skipped_stream){3, 0});
    expect_failed(peer, false);
    expect_event(peer, BRAID_EVENT_DRY);
    assert_int_equal(peer_info(peer).outstanding_chunks, 0);
    assert_int_equal(peer_info(peer).queued_bytes, 0);
    assert_int_equal(abandoned(peer, 3).sent[BRAID_POLICY_LIFETIME], 1);
    assert_int_equal(abandoned(peer, 4).sent[BRAID_POLICY_LIFETIME], 0);
    assert_int_equal(abandoned(peer, BRAID_ALL_STREAMS).sent[BRAID_POLICY_LIFETIME], 1);
    peer_send_sack(peer, tsn);
    expect_silence(peer, 100 * SECOND);
    assert_int_equal(peer_info(peer).error_count, 0);
    assert_int_equal(peer_user_send(peer, 3, 10), 0);
    assert_int_equal(sent_data(expect(peer, "DATA"), 0).ssn, 1);
}

/* TR2: a message that has time left is retransmitted. */
static void test_not_yet_expired(void **state)
{
    struct peer *peer = scene(state);
    uint32_t tsn;

    assert_int_equal(send_with(peer, timed(0, 1500), 100), 0);
    tsn = sent_data(expect(peer, "DATA"), 0).tsn;
    assert_int_equal(sent_data(expect_after(peer, 1 * SECOND, "DATA"), 0).tsn, tsn);
    expect_after(peer, 2 * SECOND, "FORWARD_TSN");
}

/* 3.3.2: a peer without the extension gets all that was begun. */
static void test_peer_without(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    assert_int_equal(send_with(peer, timed(0, 500), 100), 0);
    assert_int_equal(send_with(peer, counted(0, 0), FULL), 0);
    peer_skip(peer);
    expect_after(peer, 1 * SECOND, "DATA");
    expect_no_event(peer, BRAID_EVENT_SEND_FAILED);
}

/* ---- RFC 7496, 3.1: limited retransmissions ---- */

static void test_retransmissions(void **state)
{
    for (uint32_t limit = 0; limit < 3; limit++) {
        struct peer *peer = scene(state);
        braid_time rto = 1 * SECOND;
        uint32_t tsn;

        assert_int_equal(send_with(peer, counted(0, limit), 100), 0);
        tsn = sent_data(expect(peer, "DATA"), 0).tsn;
        for (uint32_t i = 0; i < limit; i++, rto *= 2)
            assert_int_equal(sent_data(expect_after(peer, rto, "DATA"), 0).tsn, tsn);
        expect_after(peer, rto, "FORWARD_TSN");
        expect_failed(peer, false);
        assert_int_equal(abandoned(peer, 0).sent[BRAID_POLICY_RETRANSMISSIONS], 1);
    }
}

/* RFC 9260, 6.2.1, C: what is marked may be sent again whatever the window. What is given up
 * instead leaves no room for others in a window that the peer has closed. */
static void test_window_stays_closed(void **state)
{
    struct peer *peer = scene(state);
    uint32_t tsn = peer->engine_initial_tsn;

    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    assert_int_equal(send_with(peer, counted(1, 0), 500), 0);
    assert_int_equal(send_with(peer, counted(1, 0), 500), 0);
    for (int i = 0; i < 3; i++)
        expect(peer, "DATA");
    peer->a_rwnd = 0;
    peer_send_sack(peer, tsn);
    assert_int_equal(peer_user_send(peer, 0, 300), 0);
    expect_within(peer, 2 * SECOND, "FORWARD_TSN");
    expect(peer, NONE);
    peer_send_sack(peer, tsn + 2);
    expect_within(peer, 5 * SECOND, "DATA"); /* a probe */
}

/* F5: the loss counts for the window, though nothing is retransmitted. A2: what was abandoned does
 * not. */
static void test_fast_retransmit(void **state)
{
    struct sctp_gap_ack_block block = {2, 2};
    struct peer *peer = scene(state);
    uint32_t tsn = peer->engine_initial_tsn, cwnd;

    assert_int_equal(send_with(peer, counted(1, 0), FULL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(peer_user_send(peer, 2, 500), 0);
    assert_int_equal(peer_skip(peer), 4);
    cwnd = peer_path(peer, 0).cwnd;
    for (; block.end < 5; block.end++) {
        expect(peer, NONE);
        peer_send_sack_gaps(peer, tsn - 1, 1, &block);
    }
    assert_skips(expect(peer, "FORWARD_TSN"), tsn, 1, &(struct sctp_skipped_stream){1, 0});
    expect_failed(peer, false);
    assert_int_equal(peer_path(peer, 0).flight, 0);
    assert_int_equal(peer_path(peer, 0).ssthresh, 4 * peer_pmdcs(peer));
    assert_int_not_equal(peer_path(peer, 0).ssthresh, cwnd);
    cwnd = peer_path(peer, 0).cwnd;
    peer_send_sack(peer, tsn + 3);
    assert_int_equal(peer_path(peer, 0).cwnd, cwnd);
    expect_silence(peer, 100 * SECOND);
}

/* ---- 3.5 ---- */

/* A3: a message in pieces, of which one was acknowledged, and some were not sent. The peer must
 * miss the end of it: that has a TSN. */
static void test_fragments(void **state)
{
    struct sctp_gap_ack_block block = {2, 2};
    struct peer *peer = scene(state);
    uint32_t tsn = peer->engine_initial_tsn;
    size_t chunks;

    assert_int_equal(send_with(peer, timed(1, 500), (size_t)20 * FULL), 0);
    chunks = peer_skip(peer);
    assert_in_range(chunks, 2, 10);
    peer_send_sack_gaps(peer, tsn - 1, 1, &block);
    chunks += peer_skip(peer);
    assert_skips(expect_within(peer, 2 * SECOND, "FORWARD_TSN"), tsn + (uint32_t)chunks, 1,
                 &(struct sctp_skipped_stream){1, 0});
    expect_failed(peer, false);
    assert_int_equal(peer_info(peer).queued_bytes, 0);
    assert_int_equal(peer_user_send(peer, 1, 10), 0);
    assert_int_equal(sent_data(expect(peer, "DATA"), 0).tsn, tsn + chunks + 1);
    peer_send_sack(peer, tsn + (uint32_t)chunks + 1);
    expect_silence(peer, 100 * SECOND);
}

/* The same, when all that was sent is acknowledged. */
static void test_fragments_acknowledged(void **state)
{
    struct peer *peer = scene(state);
    uint32_t tsn = peer->engine_initial_tsn, chunks;

    peer->a_rwnd = 0;
    assert_int_equal(send_with(peer, timed(1, 500), (size_t)20 * FULL), 0);
    chunks = (uint32_t)peer_skip(peer);
    peer_send_sack(peer, tsn + chunks - 1);
    expect(peer, NONE);
    peer_advance(peer, 600 * MS);
    peer->a_rwnd = 100000;
    peer_send_sack(peer, tsn + chunks - 1);
    assert_skips(expect(peer, "FORWARD_TSN"), tsn + chunks, 1, &(struct sctp_skipped_stream){1, 0});
    expect_failed(peer, false);
    peer_send_sack(peer, tsn + chunks);
    expect_silence(peer, 100 * SECOND);
}

/* C2: Advanced.Peer.Ack.Point goes as far as what is abandoned, and not over what is outstanding.
 */
static void test_advance(void **state)
{
    struct peer *peer = scene(state);
    uint32_t tsn = peer->engine_initial_tsn;
    const struct sent *sent;

    assert_int_equal(send_with(peer, counted(1, 0), 100), 0);
    assert_int_equal(send_with(peer, counted(1, 0), 100), 0);
    assert_int_equal(send_with(peer, counted(2, 1), 100), 0);
    assert_int_equal(send_with(peer, counted(3, 0), 100), 0);
    assert_int_equal(peer_skip(peer), 4);
    sent = expect_within(peer, 2 * SECOND, "FORWARD_TSN DATA"); /* F2: bundled */
    assert_skips(sent, tsn + 1, 1, &(struct sctp_skipped_stream){1, 1});
    assert_int_equal(sent_data(sent, 0).tsn, tsn + 2);
    peer_send_sack(peer, tsn + 2);
    assert_skips(expect(peer, "FORWARD_TSN"), tsn + 3, 1, &(struct sctp_skipped_stream){3, 0});
    peer_send_sack(peer, tsn + 3);
    expect_silence(peer, 100 * SECOND);
}

/* C3, C5, A5: again for a SACK that does not know of it, but not within a round trip; and by
 * T3-rtx. */
static void test_forward_tsn_lost(void **state)
{
    struct peer *peer = scene(state);
    uint32_t tsn = peer->engine_initial_tsn;

    assert_int_equal(peer_user_send(peer, 0, 100), 0); /* so that there is an RTT */
    expect(peer, "DATA");
    peer_advance(peer, RTT * MS);
    peer_send_sack(peer, tsn++);
    assert_int_equal(send_with(peer, counted(1, 0), 100), 0);
    expect(peer, "DATA");
    expect_after(peer, 1 * SECOND, "FORWARD_TSN");
    peer_send_sack(peer, tsn - 1);
    expect(peer, NONE);
    peer_advance(peer, RTT * MS);
    peer_send_sack(peer, tsn - 1);
    expect(peer, "FORWARD_TSN");
    assert_int_equal(
        sent_forward_tsn(expect_within(peer, 3 * SECOND, "FORWARD_TSN")).new_cumulative_tsn, tsn);
    assert_int_equal(
        sent_forward_tsn(expect_within(peer, 5 * SECOND, "FORWARD_TSN")).new_cumulative_tsn, tsn);
    peer_send_sack(peer, tsn);
    expect_silence(peer, 100 * SECOND);
}

/* A peer that is gone is found out by FORWARD TSN too. */
static void test_forward_tsn_never_answered(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;
    unsigned int count = 0;
    const struct sent *sent;

    parameters.association_max_retrans = 3;
    peer = scene_with(state, &parameters);
    assert_int_equal(send_with(peer, counted(1, 0), 100), 0);
    expect(peer, "DATA");
    peer_advance(peer, 60 * SECOND);
    while ((sent = peer_next(peer)))
        count += sent_count(sent, SCTP_CHUNK_FORWARD_TSN);
    assert_int_equal(count, 3);
    expect_down(peer, BRAID_DOWN_LOST);
}

/* C4: each stream once, with its highest SSN; nothing of unordered messages. */
static void test_streams(void **state)
{
    static const struct sctp_skipped_stream skipped[] = {{1, 2}, {4, 1}};
    static const struct {
        uint16_t stream, flags;
    } messages[] = {{1, 0}, {4, 0}, {1, 0}, {2, BRAID_SEND_UNORDERED}, {1, 0}, {4, 0}};
    struct peer *peer = scene(state);
    uint32_t tsn = peer->engine_initial_tsn;

    for (size_t i = 0; i < 6; i++) {
        struct braid_send send = counted(messages[i].stream, 0);

        send.flags = messages[i].flags;
        assert_int_equal(send_with(peer, send, 50), 0);
    }
    assert_int_equal(peer_skip(peer), 6);
    assert_skips(expect_within(peer, 2 * SECOND, "FORWARD_TSN"), tsn + 5, 2, skipped);
}

/* C4: more streams than a packet tells of. */
static void test_too_many_streams(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;
    struct sctp_forward_tsn forward;
    uint32_t tsn;

    parameters.no_delay = true;
    parameters.outbound_streams = 1000;
    parameters.send_buffer = 1000000;
    parameters.max_burst = 0;
    peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
    peer->partial_reliability = true;
    peer->a_rwnd = 1000000;
    peer->inbound_streams = 1000;
    peer_accept(peer);
    tsn = peer->engine_initial_tsn;
    assert_int_equal(peer_user_send(peer, 0, (size_t)60 * FULL), 0);
    for (size_t count; (count = peer_skip(peer)) > 0;) { /* the window grows */
        tsn += (uint32_t)count;
        peer_send_sack(peer, tsn - 1);
    }
    for (uint16_t stream = 0; stream < 400; stream++)
        assert_int_equal(send_with(peer, counted(stream, 0), 1), 0);
    assert_int_equal(peer_skip(peer), 400);
    forward = sent_forward_tsn(expect_within(peer, 3 * SECOND, "FORWARD_TSN"));
    assert_int_equal(forward.skipped_stream_count, (1500 - 20 - 12 - 8) / 4);
    assert_int_equal(forward.new_cumulative_tsn, tsn + (1500 - 20 - 12 - 8) / 4 - 1);
    expect(peer, NONE);
    peer_send_sack(peer, forward.new_cumulative_tsn);
    forward = sent_forward_tsn(expect(peer, "FORWARD_TSN"));
    assert_int_equal(forward.new_cumulative_tsn, tsn + 399);
    peer_send_sack(peer, forward.new_cumulative_tsn);
    expect_silence(peer, 100 * SECOND);
}

/* RFC 7496, 3.2: what comes before others has their room; of those that were sent, too. */
static void test_priority(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;
    uint32_t tsn;

    parameters.send_buffer = 3000;
    peer = scene_with(state, &parameters);
    peer->a_rwnd = 0;
    tsn = peer->engine_initial_tsn;
    assert_int_equal(send_with(peer, ranked(7), 1000), 0);
    expect(peer, "DATA");
    peer_send_sack(peer, tsn - 1); /* the window is closed */
    assert_int_equal(send_with(peer, ranked(5), 1000), 0);
    assert_int_equal(send_with(peer, ranked(6), 1000), 0);
    assert_int_equal(send_with(peer, ranked(7), 1000), -EAGAIN);
    expect_no_event(peer, BRAID_EVENT_SEND_FAILED);
    assert_int_equal(send_with(peer, ranked(5), 1000), 0); /* 7, which was sent, goes */
    assert_skips(expect(peer, "FORWARD_TSN"), tsn, 1, &(struct sctp_skipped_stream){0, 0});
    expect_failed(peer, false);
    assert_int_equal(send_with(peer, ranked(5), 1000), 0); /* 6, which was not */
    expect_failed(peer, true);
    assert_int_equal(send_with(peer, ranked(5), 1000), -EAGAIN);
    assert_int_equal(peer_user_send(peer, 0, 1000), 0); /* without a policy: before all others */
    expect_failed(peer, true);
    assert_int_equal(peer_info(peer).queued_bytes, 3000);
    assert_int_equal(abandoned(peer, 0).sent[BRAID_POLICY_PRIORITY], 1);
    assert_int_equal(abandoned(peer, 0).unsent[BRAID_POLICY_PRIORITY], 2);
}

/* A shutdown waits for the FORWARD TSN, and does not wait for what has expired unsent. */
static void test_shutdown(void **state)
{
    struct peer *peer = scene(state);
    uint32_t tsn = peer->engine_initial_tsn;

    assert_int_equal(send_with(peer, counted(0, 0), 100), 0);
    expect(peer, "DATA");
    assert_int_equal(braid_shutdown(peer->engine, peer->association, peer->now), 0);
    expect_within(peer, 2 * SECOND, "FORWARD_TSN");
    peer_send_sack(peer, tsn);
    expect(peer, "SHUTDOWN");

    peer = scene(state);
    tsn = peer->engine_initial_tsn;
    peer->a_rwnd = 0;
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    expect(peer, "DATA");
    peer_send_sack(peer, tsn);
    assert_int_equal(send_with(peer, timed(0, 100), 100), 0);
    assert_int_equal(braid_shutdown(peer->engine, peer->association, peer->now), 0);
    expect_within(peer, 2 * SECOND, "SHUTDOWN");
    expect_failed(peer, true);
}

/* ---- 3.6: the receiver ---- */

/* The RFC's example: 102, 104, 105 and 107 are there, a FORWARD TSN says 103. */
static void test_receive(void **state)
{
    struct peer *peer = scene(state);
    uint32_t tsn = peer->initial_tsn;

    peer_send_data(peer, tsn, 0, 0, WHOLE, 10);
    peer_send_data(peer, tsn + 2, 0, 2, WHOLE, 10);
    peer_send_data(peer, tsn + 3, 1, 0, WHOLE, 10);
    peer_send_data(peer, tsn + 5, 0, 4, WHOLE, 10);
    peer_skip(peer);
    expect_message(peer, 0, tsn, 10);
    expect_message(peer, 1, tsn + 3, 10);
    expect_no_message(peer);
    send_forward_tsn(peer, tsn + 1, 1, &(struct sctp_skipped_stream){0, 1});
    assert_sack(expect(peer, "SACK"), tsn + 3, 1, 0);
    expect_message(peer, 0, tsn + 2, 10); /* it was stranded */
    expect_no_message(peer);
    /* it comes after all: a duplicate */
    peer_send_data(peer, tsn + 1, 0, 1, WHOLE, 10);
    assert_sack(expect(peer, "SACK"), tsn + 3, 1, 1);
    expect_no_message(peer);
    /* out of date: answered at once, nothing changes */
    send_forward_tsn(peer, tsn + 1, 1, &(struct sctp_skipped_stream){0, 1});
    assert_sack(expect(peer, "SACK"), tsn + 3, 1, 0);
    peer_send_data(peer, tsn + 4, 0, 3, WHOLE, 10);
    assert_sack(expect(peer, "SACK"), tsn + 5, 0, 0);
    expect_message(peer, 0, tsn + 4, 10);
    expect_message(peer, 0, tsn + 5, 10);
}

/* SACKs as for DATA: delayed, for every second packet. */
static void test_receive_delayed(void **state)
{
    struct peer *peer = scene(state);
    uint32_t tsn = peer->initial_tsn;

    peer_send_data(peer, tsn, 0, 0, WHOLE, 10);
    expect(peer, "SACK");
    send_forward_tsn(peer, tsn + 7, 0, NULL); /* nothing has come beyond */
    expect(peer, NONE);
    assert_sack(expect_after(peer, 200 * MS, "SACK"), tsn + 7, 0, 0);
    send_forward_tsn(peer, tsn + 8, 0, NULL);
    expect(peer, NONE);
    peer_send_data(peer, tsn + 9, 0, 1, WHOLE, 10);
    assert_sack(expect(peer, "SACK"), tsn + 9, 0, 0);
}

/* What is stranded on several streams, up to the SSN that is told; and beyond it, if nothing is
 * missing. */
static void test_receive_stranded(void **state)
{
    static const struct sctp_skipped_stream skipped[] = {{2, 4}, {3, 0}, {9999, 7}};
    struct peer *peer = scene(state);
    uint32_t tsn = peer->initial_tsn;

    peer_send_data(peer, tsn + 1, 2, 2, WHOLE, 10);
    peer_send_data(peer, tsn + 3, 2, 4, WHOLE, 10);
    peer_send_data(peer, tsn + 5, 2, 5, WHOLE, 10);
    peer_send_data(peer, tsn + 6, 2, 7, WHOLE, 10);
    peer_send_data(peer, tsn + 7, 3, 1, WHOLE, 10);
    peer_skip(peer);
    expect_no_message(peer);
    send_forward_tsn(peer, tsn + 4, 3, skipped);
    assert_sack(expect(peer, "SACK"), tsn + 7, 0, 0);
    expect_message(peer, 2, tsn + 1, 10);
    expect_message(peer, 2, tsn + 3, 10);
    expect_message(peer, 2, tsn + 5, 10);
    expect_message(peer, 3, tsn + 7, 10);
    expect_no_message(peer); /* SSN 6 is still missing */
    peer_send_data(peer, tsn + 8, 2, 6, WHOLE, 10);
    expect_message(peer, 2, tsn + 8, 10);
    expect_message(peer, 2, tsn + 6, 10);
}

/* Partially reassembled messages go, from before the gap and from behind it. */
static void test_receive_fragments(void **state)
{
    struct peer *peer = scene(state);
    uint32_t tsn = peer->initial_tsn;

    /* 0 1 - of one message, - - 5 of another, 6 whole, 7 - of a third */
    peer_send_data(peer, tsn, 0, 0, SCTP_DATA_FLAG_BEGINNING, 10);
    peer_send_data(peer, tsn + 1, 0, 0, 0, 10);
    peer_send_data(peer, tsn + 5, 0, 1, SCTP_DATA_FLAG_ENDING, 10);
    peer_send_data(peer, tsn + 6, 0, 2, WHOLE, 10);
    peer_send_data(peer, tsn + 7, 0, 3, SCTP_DATA_FLAG_BEGINNING, 10);
    peer_skip(peer);
    send_forward_tsn(peer, tsn + 4, 1, &(struct sctp_skipped_stream){0, 1});
    assert_sack(expect(peer, "SACK"), tsn + 7, 0, 0);
    expect_message(peer, 0, tsn + 6, 10);
    expect_no_message(peer);
    /* the third is whole up to what is forwarded: it stays, and ends */
    peer_send_data(peer, tsn + 8, 0, 3, SCTP_DATA_FLAG_ENDING, 10);
    {
        struct braid_received received;

        assert_int_equal(braid_receive(peer->engine, peer->association, &received, peer->now), 1);
        assert_int_equal(received.length, 20);
        braid_received_release(peer->engine, &received, peer->now);
    }
    /* the end of a message whose beginning was skipped is not taken for a violation */
    peer_skip(peer);
    send_forward_tsn(peer, tsn + 9, 1, &(struct sctp_skipped_stream){0, 4});
    peer_send_data(peer, tsn + 10, 0, 4, 0, 10);
    peer_send_data(peer, tsn + 11, 0, 4, SCTP_DATA_FLAG_ENDING, 10);
    peer_send_data(peer, tsn + 12, 0, 5, WHOLE, 10);
    expect_message(peer, 0, tsn + 12, 10);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    assert_int_equal(peer_info(peer).receive_chunks_waiting, 0);
}

/* A message that is being delivered in parts will not be completed: the user is told. */
static void test_receive_partial_delivery(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct braid_received received;
    struct peer *peer;
    uint32_t tsn;

    parameters.partial_delivery_point = 15;
    peer = scene_with(state, &parameters);
    tsn = peer->initial_tsn;
    peer_send_data(peer, tsn, 4, 0, SCTP_DATA_FLAG_BEGINNING, 10);
    peer_send_data(peer, tsn + 1, 4, 0, 0, 10);
    assert_int_equal(braid_receive(peer->engine, peer->association, &received, peer->now), 1);
    assert_false(received.flags & BRAID_RECEIVE_END);
    braid_received_release(peer->engine, &received, peer->now);
    peer_send_data(peer, tsn + 3, 4, 1, WHOLE, 10);
    expect_no_message(peer);
    send_forward_tsn(peer, tsn + 2, 1, &(struct sctp_skipped_stream){4, 0});
    assert_int_equal(expect_event(peer, BRAID_EVENT_PARTIAL_DELIVERY_ABORTED)->value, 4);
    expect_message(peer, 4, tsn + 3, 10);
}

/* Nothing of it comes after that; and if he has read nothing of it, there is nothing to tell. */
static void receive_partial_delivery_unread(void **state, bool read)
{
    struct braid_parameters parameters = peer_parameters();
    struct braid_received received;
    struct peer *peer;
    uint32_t tsn;

    parameters.partial_delivery_point = 15;
    peer = scene_with(state, &parameters);
    tsn = peer->initial_tsn;
    peer_send_data(peer, tsn, 4, 0, SCTP_DATA_FLAG_BEGINNING, 10);
    peer_send_data(peer, tsn + 1, 4, 0, 0, 10);
    if (read) {
        assert_int_equal(braid_receive(peer->engine, peer->association, &received, peer->now), 1);
        braid_received_release(peer->engine, &received, peer->now);
    }
    peer_send_data(peer, tsn + 2, 4, 0, 0, 10);
    send_forward_tsn(peer, tsn + 3, 1, &(struct sctp_skipped_stream){4, 0});
    if (read)
        expect_event(peer, BRAID_EVENT_PARTIAL_DELIVERY_ABORTED);
    expect_no_event(peer, BRAID_EVENT_PARTIAL_DELIVERY_ABORTED);
    peer_send_data(peer, tsn + 4, 4, 1, WHOLE, 10);
    expect_message(peer, 4, tsn + 4, 10);
    expect_no_message(peer);
}

static void test_receive_partial_delivery_unread(void **state)
{
    receive_partial_delivery_unread(state, true);
    receive_partial_delivery_unread(state, false);
}

static void test_receive_malformed(void **state)
{
    static const uint8_t chunk[] = {0xc0, 0, 0, 6, 1, 2, 0, 0};
    struct braid_statistics statistics;
    struct peer *peer = scene(state);

    peer_begin(peer);
    packet_write_bytes(&peer->writer, chunk, sizeof(chunk));
    peer_send(peer);
    expect(peer, NONE);
    braid_engine_statistics(peer->engine, &statistics);
    assert_int_equal(statistics.bad_packet, 1);
}

/* ---- Two engines and a bad network ---- */

enum {
    MESSAGES = 400,
    TRANSFER_STREAMS = 5,
    PPID = 0x42000000, /* and the number of the message; no protocol that tshark would look into */
};

static struct transfer {
    unsigned int sent, delivered;
    bool seen[MESSAGES], failed[MESSAGES], unsent[MESSAGES];
    size_t length[MESSAGES];          /* of what came of it */
    uint32_t last[TRANSFER_STREAMS];  /* the number of the last ordered message, plus 1 */
    struct braid_abandoned abandoned; /* as the events say */
    bool down[2];
} now;

static struct braid_send plan(uint32_t number)
{
    struct braid_send send = {.ppid = PPID + number,
                              .stream = (uint16_t)(number % TRANSFER_STREAMS),
                              .flags = number % 7 == 0 ? BRAID_SEND_UNORDERED : 0,
                              .policy = (uint16_t)(number % BRAID_POLICY_COUNT)};

    if (send.policy == BRAID_POLICY_LIFETIME)
        send.lifetime = 50 + number % 400;
    else if (send.policy == BRAID_POLICY_RETRANSMISSIONS)
        send.limit = number % 2;
    else
        send.limit = number % 9;
    return send;
}

static size_t plan_length(uint32_t number)
{
    return number % 5 == 0 ? 8000 : 100 + number % 300;
}

static void send_more(struct host *host)
{
    static const uint8_t bytes[8000];

    while (now.sent < MESSAGES) {
        struct braid_send send = plan(now.sent);
        int result = braid_send(host->engine, host->association, &send, bytes,
                                plan_length(now.sent), host->world->now);

        if (result == -EAGAIN)
            return;
        assert_int_equal(result, 0);
        if (++now.sent == MESSAGES)
            braid_shutdown(host->engine, host->association, host->world->now);
    }
}

static void take_message(const struct braid_received *received)
{
    uint32_t number = received->ppid - PPID;
    struct braid_send send = plan(number);

    assert_true(number < MESSAGES && !now.seen[number]);
    assert_int_equal(received->stream, send.stream);
    now.seen[number] = true;
    now.delivered++;
    if (send.flags & BRAID_SEND_UNORDERED)
        return;
    assert_true(number + 1 > now.last[received->stream]); /* in order, with holes */
    now.last[received->stream] = number + 1;
}

static void transfer_event(struct host *host, const struct braid_event *event)
{
    struct braid_received received;

    switch (event->type) {
    case BRAID_EVENT_UP:
    case BRAID_EVENT_WRITABLE:
        if (host->number == 0)
            send_more(host);
        break;
    case BRAID_EVENT_READABLE:
        while (braid_receive(host->engine, event->association, &received, host->world->now) == 1) {
            uint32_t number = received.ppid - PPID;

            assert_true(number < MESSAGES);
            if (received.flags & BRAID_RECEIVE_BEGIN)
                now.length[number] = 0;
            now.length[number] += received.length;
            if (received.flags & BRAID_RECEIVE_END) {
                assert_int_equal(now.length[number], plan_length(number));
                take_message(&received);
            }
            braid_received_release(host->engine, &received, host->world->now);
        }
        break;
    case BRAID_EVENT_SEND_FAILED:
        assert_false(now.failed[event->send.ppid - PPID]);
        now.failed[event->send.ppid - PPID] = true;
        now.unsent[event->send.ppid - PPID] = event->unsent;
        if (event->unsent)
            now.abandoned.unsent[event->send.policy]++;
        else
            now.abandoned.sent[event->send.policy]++;
        break;
    case BRAID_EVENT_DOWN:
        now.down[host->number] = true;
        assert_int_equal(event->reason, BRAID_DOWN_SHUTDOWN);
        break;
    default:
        break;
    }
}

/* Each message is delivered once, or reported. (A message that was sent, and whose SACK is lost,
 * may be both.) The counters say what was reported. */
static void transfer_check(struct world *world, uint64_t seed)
{
    struct braid_abandoned counters;
    unsigned int both = 0, failed = 0;

    assert_int_equal(now.sent, MESSAGES);
    for (uint32_t i = 0; i < MESSAGES; i++) {
        if (!now.seen[i] && !now.failed[i])
            fail_msg("seed %llu: message %u is gone", (unsigned long long)seed, i);
        if (now.seen[i] && now.unsent[i])
            fail_msg("seed %llu: message %u came unsent", (unsigned long long)seed, i);
        if (now.failed[i] && plan(i).policy == BRAID_POLICY_NONE)
            fail_msg("seed %llu: message %u is reliable", (unsigned long long)seed, i);
        both += now.seen[i] && now.failed[i];
        failed += now.failed[i];
    }
    assert_int_equal(now.delivered + failed, MESSAGES + both);
    assert_int_equal(braid_association_abandoned(world->hosts[0].engine,
                                                 world->hosts[0].association, BRAID_ALL_STREAMS,
                                                 &counters),
                     0);
    assert_memory_equal(&counters, &now.abandoned, sizeof(counters));
}

static uint64_t run_transfer(uint64_t seed, bool interleaving, const char *capture)
{
    struct braid_parameters parameters;
    struct world *world;
    uint64_t count = 0;

    memset(&now, 0, sizeof(now));
    braid_parameters_default(&parameters);
    parameters.send_buffer = 60000;
    parameters.association_max_retrans = 100;
    parameters.path_max_retrans = 100;
    parameters.rto_max = 2000;
    parameters.shutdown_guard = 10000000;
    parameters.partial_delivery_point = seed % 2 ? 3000 : 0;
    parameters.interleaving = interleaving;
    parameters.scheduler = interleaving ? (uint8_t)(seed % 3) : BRAID_SCHEDULER_FIRST_COME;
    world = world_new(&(struct world_config){
        .seed = seed, .parameters = &parameters, .addresses = 1 + seed % 2, .capture = capture});
    watcher_allow_skipped_tsns(world->watcher);
    world->event = transfer_event;
    *world_conditions(world) = (struct memory_conditions){.delay = 20000,
                                                          .jitter = 5000,
                                                          .loss = 0.02 * (double)(seed % 8),
                                                          .reorder = 0.02,
                                                          .reorder_delay = 30000,
                                                          .duplicate = 0.01,
                                                          .bandwidth = 4000000,
                                                          .queue = 60000};
    world_connect(world, 0, 1);
    for (int i = 0; i < 1000 && !(now.down[0] && now.down[1]); i++)
        world_run(world, 1 * SECOND);
    assert_true(now.down[0] && now.down[1]);
    transfer_check(world, seed);
    for (int policy = 0; policy < BRAID_POLICY_COUNT; policy++)
        count += now.abandoned.sent[policy];
    if (world->capture)
        (void)capture_flush(world->capture);
    world_free(world);
    return count;
}

static void test_transfers(void **state)
{
    uint64_t count = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++)
        count += run_transfer(seed, false, NULL);
    assert_true(count > 100);
    run_transfer(7, getenv("INTERLEAVING"), getenv("CAPTURE"));
}

/* The same with I-DATA and all schedulers (RFC 8260). */
static void test_interleaved_transfers(void **state)
{
    uint64_t count = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++)
        count += run_transfer(seed, true, NULL);
    assert_true(count > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_offered),
        peer_test(test_answered),
        peer_test(test_unsent_expires),
        peer_test(test_sent_expires),
        peer_test(test_not_yet_expired),
        peer_test(test_peer_without),
        peer_test(test_retransmissions),
        peer_test(test_window_stays_closed),
        peer_test(test_fast_retransmit),
        peer_test(test_fragments),
        peer_test(test_fragments_acknowledged),
        peer_test(test_advance),
        peer_test(test_forward_tsn_lost),
        peer_test(test_forward_tsn_never_answered),
        peer_test(test_streams),
        peer_test(test_too_many_streams),
        peer_test(test_priority),
        peer_test(test_shutdown),
        peer_test(test_receive),
        peer_test(test_receive_delayed),
        peer_test(test_receive_stranded),
        peer_test(test_receive_fragments),
        peer_test(test_receive_partial_delivery),
        peer_test(test_receive_partial_delivery_unread),
        peer_test(test_receive_malformed),
        cmocka_unit_test(test_transfers),
        cmocka_unit_test(test_interleaved_transfers),
    };

    return cmocka_run_group_tests_name("abandon", tests, NULL, NULL);
}
