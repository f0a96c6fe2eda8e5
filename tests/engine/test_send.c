/*
 * Tests: sending user messages, RFC 9260 sections 6.1 (windows, probes), 6.5 (SSN), 6.9
 * (fragmentation), 6.10 (bundling), and what braid_send() promises.
 */
#include "peer.h"

/* User bytes that fill a packet of 1,500 bytes over IPv4: 1500 - 20 - 12 - 16. */
enum { FULL = 1452 };

static struct peer *begin_with(void **state, const struct braid_parameters *parameters,
                               uint32_t a_rwnd)
{
    struct peer *peer = peer_renew(state, &(struct peer_config){.parameters = parameters});

    peer->a_rwnd = a_rwnd;
    peer_accept(peer);
    return peer;
}

/* Acknowledges all that was sent until now; how many DATA chunks were. */
static unsigned int acknowledge_all(struct peer *peer, uint32_t *tsn)
{
    unsigned int count = 0;
    const struct sent *sent;

    while ((sent = peer_next(peer))) {
        unsigned int chunks = sent_count(sent, SCTP_CHUNK_DATA);

        count += chunks;
        if (chunks > 0)
            *tsn = sent_data(sent, chunks - 1).tsn;
    }
    if (count > 0)
        peer_send_sack(peer, *tsn);
    return count;
}

/* ---- 3.3.1, 6.5: one message ------------------------------------------------------------------
 */

static void test_message(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;
    struct sctp_data data;

    peer_accept(peer);
    assert_int_equal(peer_user_send(peer, 7, 101), 0);
    sent = expect(peer, "DATA");
    assert_int_equal(sent->header.verification_tag, peer->tag);
    data = sent_data(sent, 0);
    assert_int_equal(data.tsn, peer->engine_initial_tsn);
    assert_int_equal(data.stream, 7);
    assert_int_equal(data.ssn, 0);
    assert_int_equal(data.ppid, 51);
    assert_int_equal(data.flags & WHOLE, WHOLE);
    assert_int_equal(data.flags & SCTP_DATA_FLAG_UNORDERED, 0);
    assert_int_equal(data.payload_length, 101);
    expect_no_event(peer, BRAID_EVENT_DRY);
    assert_int_equal(peer_info(peer).outstanding_chunks, 1);
    assert_int_equal(peer_info(peer).outstanding_bytes, 101);
    assert_int_equal(peer_info(peer).queued_bytes, 101);
    peer_send_sack(peer, data.tsn);
    assert_int_equal(peer_info(peer).outstanding_chunks, 0);
    assert_int_equal(peer_info(peer).queued_bytes, 0);
    expect_event(peer, BRAID_EVENT_DRY);
    expect_silence(peer, 100 * SECOND);
}

/* SSNs count by stream, and only ordered messages. */
static void test_ssn(void **state)
{
    static const struct {
        uint16_t stream, flags;
        int ssn;
    } messages[] = {{0, 0, 0}, {1, 0, 0}, {0, 0, 1}, {0, BRAID_SEND_UNORDERED, -1},
                    {0, 0, 2}, {1, 0, 1}, {9, 0, 0}};
    struct peer *peer = *state;
    uint32_t tsn;

    peer_accept(peer);
    tsn = peer->engine_initial_tsn;
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        struct sctp_data data;

        assert_int_equal(peer_user_send_flags(peer, messages[i].stream, 10, messages[i].flags), 0);
        data = sent_data(expect(peer, "DATA"), 0);
        assert_int_equal(data.tsn, tsn++);
        assert_int_equal(data.stream, messages[i].stream);
        assert_int_equal((data.flags & SCTP_DATA_FLAG_UNORDERED) != 0, messages[i].ssn < 0);
        if (messages[i].ssn >= 0)
            assert_int_equal(data.ssn, messages[i].ssn);
        peer_send_sack(peer, data.tsn);
    }
}

/* 6.5: the SSN after 65535 is 0. */
static void test_ssn_wraps_around(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;
    uint32_t tsn = 0;

    parameters.no_delay = true;
    peer = begin_with(state, &parameters, 131072);
    for (uint32_t i = 0; i < 65540; i++) {
        const struct sent *sent;

        assert_int_equal(peer_user_send(peer, 2, 1), 0);
        sent = peer_next(peer);
        assert_non_null(sent);
        tsn = sent_data(sent, 0).tsn;
        assert_int_equal(sent_data(sent, 0).ssn, i & 0xffff);
        peer_send_sack(peer, tsn);
    }
}

/* RFC 7053: the I bit on request. */
static void test_immediate_bit(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;

    parameters.no_delay = true;
    peer = begin_with(state, &parameters, 131072);
    assert_int_equal(peer_user_send_flags(peer, 0, 10, BRAID_SEND_SACK_IMMEDIATELY), 0);
    assert_true(sent_data(expect(peer, "DATA"), 0).flags & SCTP_DATA_FLAG_IMMEDIATE);
    assert_int_equal(peer_user_send(peer, 0, 10), 0);
    assert_false(sent_data(expect(peer, "DATA"), 0).flags & SCTP_DATA_FLAG_IMMEDIATE);
}

static void test_send_errors(void **state)
{
    struct peer *peer = *state;
    struct braid_send send = {.stream = 0};

    assert_true(braid_send(peer->engine, 12345, &send, "x", 1, peer->now) < 0);
    peer_accept(peer);
    assert_int_equal(peer_user_send(peer, 10, 10), -EINVAL); /* streams 0 to 9 */
    assert_int_equal(peer_user_send(peer, 0, 0), -EINVAL);
    assert_int_equal(peer_user_send_flags(peer, 0, 10, 0x8000), -EINVAL);
    expect(peer, NONE);
    peer_send_shutdown(peer, peer->engine_initial_tsn - 1);
    assert_int_equal(peer_user_send(peer, 0, 10), -EPIPE);
    peer_skip(peer);
}

/* ---- 6.9: fragmentation -----------------------------------------------------------------------
 */

/* Takes the fragments of one message of `length` bytes, acknowledging them. */
static void expect_fragmented(struct peer *peer, uint32_t tsn, uint16_t ssn, size_t length,
                              size_t most)
{
    static uint8_t bytes[1 << 20], original[1 << 20];
    size_t received = 0;
    bool ended = false;
    uint32_t last = tsn - 1;

    while (!ended) {
        const struct sent *sent = peer_next(peer);

        if (!sent) {
            peer_send_sack(peer, last);
            sent = peer_next(peer);
            if (!sent)
                fail_msg("%zu of %zu bytes were sent", received, length);
        }
        for (unsigned int i = 0; i < sent_count(sent, SCTP_CHUNK_DATA); i++) {
            struct sctp_data data = sent_data(sent, i);

            last++;
            assert_int_equal(data.tsn, last);
            assert_int_equal(data.ssn, ssn);
            assert_in_range(data.payload_length, 1, most);
            assert_int_equal((data.flags & SCTP_DATA_FLAG_BEGINNING) != 0, received == 0);
            memcpy(bytes + received, data.payload, data.payload_length);
            received += data.payload_length;
            ended = data.flags & SCTP_DATA_FLAG_ENDING;
        }
    }
    peer_send_sack(peer, last);
    assert_int_equal(received, length);
    for (size_t i = 0; i < length; i++) /* as peer_user_send() makes them */
        original[i] = (uint8_t)(length * 31 + i * 7 + (i >> 8));
    assert_memory_equal(bytes, original, length);
}

static void test_fragmentation(void **state)
{
    static const size_t lengths[] = {FULL,  FULL + 1, (size_t)2 * FULL, (size_t)2 * FULL + 1, 10000,
                                     65536, 100001};
    struct peer *peer;
    uint32_t tsn;

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        peer = peer_renew(state, NULL);
        peer_accept(peer);
        tsn = peer->engine_initial_tsn;
        assert_int_equal(peer_user_send(peer, 1, lengths[i]), 0);
        expect_fragmented(peer, tsn, 0, lengths[i], FULL);
        expect(peer, NONE);
    }
}

/* fragmentation_point says what fits; it is the whole packet. */
static void test_fragmentation_point(void **state)
{
    for (int i = 0; i < 4; i++) {
        struct peer *peer =
            peer_renew(state, &(struct peer_config){.ipv6 = i & 1, .udp = i & 2 ? 9899 : 0});
        uint32_t point;

        peer_accept(peer);
        point = peer_info(peer).fragmentation_point;
        assert_int_equal(point, peer_pmdcs(peer) - SCTP_DATA_HEADER_LENGTH);
        assert_int_equal(peer_user_send(peer, 0, point), 0);
        expect(peer, "DATA");
        peer_send_sack(peer, peer->engine_initial_tsn);
        assert_int_equal(peer_user_send(peer, 0, point + 1), 0);
        expect_fragmented(peer, peer->engine_initial_tsn + 1, 1, point + 1, point);
    }
}

/* 6.9 and RFC 6458: the user's own limit on a chunk. */
static void test_maximum_segment(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;

    parameters.maximum_segment = 100;
    peer = begin_with(state, &parameters, 131072);
    assert_int_equal(peer_info(peer).fragmentation_point, 100);
    assert_int_equal(peer_user_send(peer, 0, 950), 0);
    expect_fragmented(peer, peer->engine_initial_tsn, 0, 950, 100);
}

/* "When fragmentation ... is disabled, ... it rejects calls". */
static void test_fragmentation_disabled(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;

    parameters.disable_fragments = true;
    peer = begin_with(state, &parameters, 131072);
    assert_int_equal(peer_user_send(peer, 0, FULL + 1), -EMSGSIZE);
    assert_int_equal(peer_user_send(peer, 0, 100000), -EMSGSIZE);
    expect(peer, NONE);
    assert_int_equal(peer_user_send(peer, 0, FULL), 0);
    expect(peer, "DATA");
}

/* Unordered fragments all have the U bit. */
static void test_fragmentation_unordered(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;
    unsigned int chunks = 0;

    peer_accept(peer);
    assert_int_equal(peer_user_send_flags(peer, 0, 3000, BRAID_SEND_UNORDERED), 0);
    while ((sent = peer_next(peer))) {
        for (unsigned int i = 0; i < sent_count(sent, SCTP_CHUNK_DATA); i++, chunks++)
            assert_true(sent_data(sent, i).flags & SCTP_DATA_FLAG_UNORDERED);
    }
    assert_int_equal(chunks, 3);
}

/* ---- 6.1 and 6.10: bundling and Nagle ---------------------------------------------------------
 */

/* 6.1, as RFC 9260 has it: small chunks wait while others are outstanding; no_delay turns it off.
 */
static void test_nagle(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer = *state;
    const struct sent *sent;

    peer_accept(peer);
    assert_int_equal(peer_user_send(peer, 0, 10), 0);
    expect(peer, "DATA");
    assert_int_equal(peer_user_send(peer, 0, 11), 0);
    assert_int_equal(peer_user_send(peer, 1, 12), 0);
    assert_int_equal(peer_user_send(peer, 2, 13), 0);
    expect(peer, NONE);
    peer_send_sack(peer, peer->engine_initial_tsn);
    sent = expect(peer, "DATA DATA DATA");
    assert_int_equal(sent_data(sent, 2).payload_length, 13);
    /* a full packet does not wait */
    assert_int_equal(peer_user_send(peer, 0, FULL), 0);
    expect(peer, "DATA");

    parameters.no_delay = true;
    peer = begin_with(state, &parameters, 131072);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(peer_user_send(peer, 0, 10 + i), 0);
        expect(peer, "DATA");
    }
}

/* What the user says more will follow is not sent before it does, or a packet is full, or the end.
 */
static void test_more_follows(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;

    parameters.no_delay = true;
    peer = begin_with(state, &parameters, 131072);
    assert_int_equal(peer_user_send_flags(peer, 0, 10, BRAID_SEND_MORE), 0);
    assert_int_equal(peer_user_send_flags(peer, 0, 11, BRAID_SEND_MORE), 0);
    expect(peer, NONE);
    assert_int_equal(peer_user_send(peer, 0, 12), 0);
    expect(peer, "DATA DATA DATA");

    assert_int_equal(peer_user_send_flags(peer, 0, FULL - 100, BRAID_SEND_MORE), 0);
    expect(peer, NONE);
    assert_int_equal(peer_user_send_flags(peer, 0, 80, BRAID_SEND_MORE), 0);
    expect(peer, NONE);
    assert_int_equal(peer_user_send_flags(peer, 0, 80, BRAID_SEND_MORE), 0);
    expect(peer, "DATA DATA");
    assert_int_equal(braid_shutdown(peer->engine, peer->association, peer->now), 0);
    expect(peer, "DATA");
}

/* "such that the size of the SCTP packet does not exceed the current PMTU": full, not over. */
static void test_bundling_fills_packets(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;
    unsigned int chunks = 0;

    peer_accept(peer);
    assert_int_equal(peer_user_send(peer, 0, 10), 0);
    expect(peer, "DATA");
    for (int i = 0; i < 29; i++)
        assert_int_equal(peer_user_send(peer, 0, 84), 0); /* chunks of 100 bytes */
    while ((sent = peer_next(peer))) {
        chunks += sent_count(sent, SCTP_CHUNK_DATA);
        assert_int_equal(sent_count(sent, SCTP_CHUNK_DATA), 14);
    }
    assert_int_equal(chunks, 28);
    peer_send_sack(peer, peer->engine_initial_tsn + 28);
    assert_int_equal(sent_count(expect(peer, "DATA"), SCTP_CHUNK_DATA), 1);
}

/* A message that is fragmented anyway begins in what the one before it has left of a packet; one
 * that fits a packet is not fragmented for that. */
static void test_fragments_fill_packets(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;
    unsigned int packets = 0, full = 0;
    uint32_t tsn;

    peer_accept(peer);
    tsn = peer->engine_initial_tsn - 1;
    peer->a_rwnd = 1 << 20;
    for (int i = 0; i < 20; i++)
        assert_int_equal(peer_user_send(peer, 0, 2000), 0);
    while (packets < 100 && (sent = peer_next(peer))) {
        do {
            tsn += sent_count(sent, SCTP_CHUNK_DATA);
            packets++;
            full += sent->length == FULL + 28;
        } while ((sent = peer_next(peer)));
        peer_send_sack(peer, tsn);
    }
    assert_int_equal(peer_info(peer).queued_bytes, 0);
    /* all but those that used the rest of the congestion window; two for each message without */
    assert_true(packets < 34);
    assert_true(full >= 24);
    for (int i = 0; i < 2; i++)
        assert_int_equal(peer_user_send(peer, 0, FULL - 100), 0);
    assert_int_equal(sent_count(expect(peer, "DATA"), SCTP_CHUNK_DATA), 1);
}

/* ---- The send buffer --------------------------------------------------------------------------
 */

static void test_send_buffer(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;
    uint32_t tsn;

    parameters.send_buffer = 5000;
    peer = begin_with(state, &parameters, 131072);
    tsn = peer->engine_initial_tsn;
    assert_int_equal(peer_user_send(peer, 0, 4999), 0);
    assert_true(peer_info(peer).writable);
    assert_int_equal(peer_user_send(peer, 0, 20000), 0); /* whole, even if it passes the limit */
    assert_false(peer_info(peer).writable);
    assert_int_equal(peer_user_send(peer, 0, 1), -EAGAIN);
    assert_int_equal(peer_info(peer).queued_bytes, 24999);
    expect_no_event(peer, BRAID_EVENT_WRITABLE);
    while (!peer_info(peer).writable)
        assert_true(acknowledge_all(peer, &tsn) > 0);
    expect_event(peer, BRAID_EVENT_WRITABLE);
    assert_int_equal(peer_user_send(peer, 0, 1), 0);
    while (acknowledge_all(peer, &tsn) > 0)
        ;
    expect_event(peer, BRAID_EVENT_DRY);
    expect_no_event(peer, BRAID_EVENT_WRITABLE); /* there was no EAGAIN since */
}

static uint32_t room(struct peer *peer)
{
    uint32_t room = 0;

    assert_int_equal(braid_association_room(peer->engine, peer->association, &room), 0);
    return room;
}

/* Who asks for the room is told of it as who has sent in vain. */
static void test_room(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;
    uint32_t tsn, none;

    parameters.send_buffer = 5000;
    peer = begin_with(state, &parameters, 131072);
    tsn = peer->engine_initial_tsn;
    assert_int_equal(room(peer), 5000);
    assert_int_equal(peer_user_send(peer, 0, 4999), 0);
    assert_int_equal(room(peer), 1);
    assert_int_equal(peer_user_send(peer, 0, 20000), 0);
    assert_int_equal(room(peer), 0);
    while (acknowledge_all(peer, &tsn) > 0)
        ;
    expect_event(peer, BRAID_EVENT_WRITABLE);
    assert_int_equal(room(peer), 5000);
    assert_int_equal(peer_user_send(peer, 0, 5000), 0);
    assert_int_equal(braid_shutdown(peer->engine, peer->association, peer->now), 0);
    assert_int_equal(peer_user_send(peer, 0, 1), -EPIPE); /* not EAGAIN */
    assert_true(room(peer) > 0);
    assert_int_equal(braid_association_room(peer->engine, peer->association + 1, &none), -ENOENT);
}

/* ---- The user's limits ------------------------------------------------------------------------
 */

/* A message whose time is over before it was begun is given back. */
static void test_lifetime(void **state)
{
    struct peer *peer = *state;
    struct braid_send send = {.stream = 3, .ppid = 5, .context = 77, .lifetime = 100};
    const struct braid_event *event;

    peer_accept(peer);
    peer->a_rwnd = 0;
    assert_int_equal(peer_user_send(peer, 0, 10), 0);
    expect(peer, "DATA");
    peer_send_sack(peer, peer->engine_initial_tsn);
    assert_int_equal(braid_send(peer->engine, peer->association, &send, "too late", 8, peer->now),
                     0);
    expect_silence(peer, 90 * MS);
    expect_no_event(peer, BRAID_EVENT_SEND_FAILED);
    peer_advance(peer, 2 * SECOND);
    event = expect_event(peer, BRAID_EVENT_SEND_FAILED);
    assert_true(event->unsent);
    assert_int_equal(event->send.context, 77);
    assert_int_equal(event->send.stream, 3);
    assert_int_equal(event->length, 8);
    assert_memory_equal(event->bytes, "too late", 8);
    expect(peer, NONE);
    assert_int_equal(peer_info(peer).queued_bytes, 0);
    /* the SSN was not used up */
    peer->a_rwnd = 10000;
    peer_send_sack(peer, peer->engine_initial_tsn);
    assert_int_equal(peer_user_send(peer, 3, 10), 0);
    assert_int_equal(sent_data(expect(peer, "DATA"), 0).ssn, 0);
}

/* What was not acknowledged when the association ends comes back, in order. */
static void test_send_failed(void **state)
{
    struct peer *peer = *state;
    const struct braid_event *event;

    peer_accept(peer);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    expect(peer, "DATA");
    assert_int_equal(peer_user_send(peer, 0, 200), 0);
    peer_send_plain(peer, SCTP_CHUNK_ABORT, 0);
    event = expect_event(peer, BRAID_EVENT_SEND_FAILED);
    assert_int_equal(event->length, 100);
    assert_false(event->unsent);
    assert_int_equal(event->send.context, 99);
    event = expect_event(peer, BRAID_EVENT_SEND_FAILED);
    assert_int_equal(event->length, 200);
    assert_true(event->unsent);
    expect_down(peer, BRAID_DOWN_ABORTED_BY_PEER);
    expect(peer, NONE);
}

/* ---- 6.1 A: the peer's window -----------------------------------------------------------------
 */

/* "the data sender MUST NOT transmit new data ... if ... rwnd is smaller than the next DATA". */
static void test_peer_window(void **state)
{
    struct peer *peer = begin_with(state, NULL, 2000);

    for (int i = 0; i < 4; i++)
        assert_int_equal(peer_user_send(peer, 0, 1000), 0);
    expect(peer, "DATA");
    assert_true(peer_info(peer).peer_rwnd <= 1000);
    peer_skip(peer); /* a second of 1,000 bytes may fit exactly */
    assert_true(peer_info(peer).outstanding_bytes <= 2000);
    peer->a_rwnd = 1000;
    peer_send_sack(peer, peer->engine_initial_tsn);
    assert_true(peer_info(peer).outstanding_bytes <= 1000);
}

/* "The sender SHOULD send the first zero window probe after 1 RTO", then ever less often; and it
 * goes on as long as SACKs come, "for an indefinite time". */
static void test_zero_window_probe(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;
    braid_time start, before = 0, interval = 0;

    peer_accept(peer);
    peer->a_rwnd = 0;
    assert_int_equal(peer_user_send(peer, 0, 1000), 0);
    expect(peer, "DATA");
    peer_send_sack(peer, peer->engine_initial_tsn);
    start = peer->now;
    for (int i = 0; i < 5; i++)
        assert_int_equal(peer_user_send(peer, 0, 1000), 0);
    for (int i = 0; i < 20; i++) {
        sent = expect_within(peer, 61 * SECOND, "DATA"); /* a single chunk */
        assert_int_equal(sent_data(sent, 0).tsn, peer->engine_initial_tsn + 1);
        if (i == 0)
            assert_in_range(sent->time - start, 1 * SECOND, 1 * SECOND + SLACK);
        else
            assert_true(sent->time - before + SLACK >= interval);
        if (i > 0)
            interval = sent->time - before;
        before = sent->time;
        peer_send_sack(peer, peer->engine_initial_tsn); /* the window is still closed */
        expect(peer, NONE);
        assert_int_equal(peer_info(peer).error_count, 0);
    }
    assert_true(interval >= 30 * SECOND);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    assert_int_equal(peer_path(peer, 0).state, BRAID_PATH_ACTIVE);
    peer->a_rwnd = 100000;
    peer_send_sack(peer, peer->engine_initial_tsn);
    /* the probe is outstanding still; all goes on at the latest with its SACK */
    sent = peer_next(peer);
    if (!sent)
        sent = expect_within(peer, 61 * SECOND, "DATA");
    peer_send_sack(peer, sent_data(sent, sent_count(sent, SCTP_CHUNK_DATA) - 1).tsn);
    assert_true(peer_skip(peer) > 0);
}

/* The probe turns out to be too large for the path just when its timer goes off: that is no time
 * for another. */
static void test_zero_window_probe_too_big(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;

    peer_accept(peer);
    assert_int_equal(peer_user_send(peer, 0, 1452), 0);
    expect(peer, "DATA");
    peer->a_rwnd = 0;
    peer_send_sack(peer, peer->engine_initial_tsn);
    assert_int_equal(peer_user_send(peer, 0, 1452), 0);
    assert_int_equal(peer_user_send(peer, 0, 1452), 0);
    sent = expect_within(peer, 61 * SECOND, "DATA");
    peer->now += peer_path(peer, 0).rto + SLACK;
    braid_engine_icmp(peer->engine, BRAID_ICMP_TOO_BIG, 1000, &sent->destination, sent->bytes, 8,
                      peer->now);
    assert_true(peer_path(peer, 0).mtu <= 1000);
    braid_engine_timeout(peer->engine, peer->now);
    sent = expect(peer, "DATA");
    assert_int_equal(sent_data(sent, 0).tsn, peer->engine_initial_tsn + 1);
    expect(peer, NONE);
    assert_int_equal(peer_info(peer).outstanding_chunks, 1);
}

/* SACKs that come all the time, as with DATA of the peer's, do not put the probe off. */
static void test_zero_window_probe_among_sacks(void **state)
{
    struct peer *peer = *state;
    unsigned int waited = 0;

    peer_accept(peer);
    peer->a_rwnd = 0;
    assert_int_equal(peer_user_send(peer, 0, 1000), 0);
    expect(peer, "DATA");
    peer_send_sack(peer, peer->engine_initial_tsn);
    assert_int_equal(peer_user_send(peer, 0, 1000), 0);
    while (peer->sent_seen == peer->sent_count && waited++ < 30) {
        peer_advance(peer, 100 * MS);
        peer_send_sack(peer, peer->engine_initial_tsn);
    }
    assert_in_range(waited, 9, 12);
    expect(peer, "DATA");
}

/* What waited for the window is given up meanwhile: there is nothing to probe with, and nothing has
 * failed to be answered. */
static void test_zero_window_and_nothing_to_send(void **state)
{
    static const struct braid_send send = {.lifetime = 100};
    struct peer *peer = *state;
    uint32_t rto;

    peer_accept(peer);
    peer->a_rwnd = 0;
    assert_int_equal(peer_user_send(peer, 0, 1000), 0);
    expect(peer, "DATA");
    peer_send_sack(peer, peer->engine_initial_tsn);
    assert_int_equal(braid_send(peer->engine, peer->association, &send, "too late", 8, peer->now),
                     0);
    peer_run(peer);
    rto = peer_path(peer, 0).rto;
    peer_advance(peer, 200 * MS);
    peer_send_data(peer, peer->initial_tsn, 0, 0, WHOLE, 1);
    expect(peer, "SACK");
    expect_event(peer, BRAID_EVENT_SEND_FAILED);
    expect_silence(peer, 10 * SECOND);
    assert_int_equal(peer_path(peer, 0).rto, rto);
}

/* A peer that closes its window and falls silent is dead, in the end. */
static void test_zero_window_and_silence(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    peer->a_rwnd = 0;
    assert_int_equal(peer_user_send(peer, 0, 1000), 0);
    expect(peer, "DATA");
    peer_send_sack(peer, peer->engine_initial_tsn);
    assert_int_equal(peer_user_send(peer, 0, 1000), 0);
    peer_advance(peer, 700 * SECOND);
    expect_down(peer, BRAID_DOWN_LOST);
}

/* 6.2.1 D ii: rwnd is a_rwnd less what is still outstanding; D i: an old SACK is dropped. */
static void test_peer_window_and_sacks(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;
    uint32_t tsn;

    parameters.no_delay = true;
    peer = begin_with(state, &parameters, 50000);
    tsn = peer->engine_initial_tsn;
    for (int i = 0; i < 4; i++)
        assert_int_equal(peer_user_send(peer, 0, 1000), 0);
    assert_int_equal(peer_skip(peer), 4);
    peer->a_rwnd = 40000;
    peer_send_sack(peer, tsn + 1);
    assert_in_range(peer_info(peer).peer_rwnd, 40000 - 2 * 1100, 40000 - 2 * 1000);
    peer->a_rwnd = 50000;
    peer_send_sack(peer, tsn); /* overtaken */
    assert_in_range(peer_info(peer).peer_rwnd, 40000 - 2 * 1100, 40000 - 2 * 1000);
    assert_int_equal(peer_info(peer).outstanding_chunks, 2);
    peer->a_rwnd = 30000;
    peer_send_sack_gaps(peer, tsn + 1, 1, &(struct sctp_gap_ack_block){2, 2});
    assert_in_range(peer_info(peer).peer_rwnd, 30000 - 1100, 30000 - 1000);
}

/* A window that opens by little is not filled with scraps (RFC 1122, 4.2.3.4). */
static void test_silly_window(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;

    peer_accept(peer);
    peer->a_rwnd = 0;
    assert_int_equal(peer_user_send(peer, 0, 1000), 0);
    expect(peer, "DATA");
    peer_send_sack(peer, peer->engine_initial_tsn);
    assert_int_equal(peer_user_send(peer, 0, 10000), 0);
    for (int i = 0; i < 10; i++) {
        peer->a_rwnd += 100;
        peer_send_sack(peer, peer->engine_initial_tsn);
        expect(peer, NONE);
    }
    peer->a_rwnd = 3000;
    peer_send_sack(peer, peer->engine_initial_tsn);
    sent = expect(peer, "DATA");
    assert_int_equal(sent_data(sent, 0).payload_length, FULL);
}

/* SACKs that lie: of TSNs that were not sent, with blocks upside down. They do no harm: ignored, or
 * the end. */
static void test_lying_sacks(void **state)
{
    static const struct sctp_gap_ack_block blocks[] = {{0, 0}, {0, 5},     {5, 2}, {65535, 65535},
                                                       {1, 1}, {2, 65535}, {3, 2}, {4, 4}};
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;

    parameters.no_delay = true;
    for (unsigned int i = 0; i < 12; i++) {
        peer = begin_with(state, &parameters, 50000);
        for (int j = 0; j < 4; j++)
            assert_int_equal(peer_user_send(peer, 0, 1000), 0);
        peer_skip(peer);
        if (i < 8)
            peer_send_sack_gaps(peer, peer->engine_initial_tsn - 1, 1, &blocks[i]);
        else if (i == 8)
            peer_send_sack_gaps(peer, peer->engine_initial_tsn - 1, 8, blocks);
        else if (i == 9)
            peer_send_sack(peer, peer->engine_initial_tsn + 4);
        else if (i == 10)
            peer_send_sack(peer, peer->engine_initial_tsn + 0x7ffffff0);
        else
            peer_send_sack(peer, peer->engine_initial_tsn - 1000);
        if (peer_state(peer) != BRAID_ESTABLISHED) {
            assert_int_equal(expect_event(peer, BRAID_EVENT_DOWN)->reason, BRAID_DOWN_PROTOCOL);
            continue;
        }
        peer_skip(peer);
        peer_send_sack(peer, peer->engine_initial_tsn + 3);
        assert_int_equal(peer_info(peer).outstanding_chunks, 0);
        assert_int_equal(peer_path(peer, 0).flight, 0);
        peer_skip(peer);
        assert_int_equal(peer_user_send(peer, 0, 1000), 0);
        expect(peer, "DATA");
    }
}

/* What is acknowledged by a gap ack block alone may still be discarded by the peer (6.2.1), and is
 * when the association ends: the user is told. */
static void test_failed_behind_a_gap(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    peer_association_parameters(peer)->no_delay = true;
    for (int i = 0; i < 3; i++)
        assert_int_equal(peer_user_send(peer, 0, 1000), 0);
    assert_int_equal(peer_skip(peer), 3);
    peer_send_sack_gaps(peer, peer->engine_initial_tsn - 1, 1, &(struct sctp_gap_ack_block){2, 3});
    peer_send_plain(peer, SCTP_CHUNK_ABORT, 0);
    for (int i = 0; i < 3; i++)
        assert_false(expect_event(peer, BRAID_EVENT_SEND_FAILED)->unsent);
    expect_no_event(peer, BRAID_EVENT_SEND_FAILED);
    expect_down(peer, BRAID_DOWN_ABORTED_BY_PEER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_message),
        peer_test(test_failed_behind_a_gap),
        peer_test(test_ssn),
        peer_test(test_ssn_wraps_around),
        peer_test(test_immediate_bit),
        peer_test(test_send_errors),
        peer_test(test_fragmentation),
        peer_test(test_fragmentation_point),
        peer_test(test_maximum_segment),
        peer_test(test_fragmentation_disabled),
        peer_test(test_fragmentation_unordered),
        peer_test(test_nagle),
        peer_test(test_more_follows),
        peer_test(test_bundling_fills_packets),
        peer_test(test_fragments_fill_packets),
        peer_test(test_send_buffer),
        peer_test(test_room),
        peer_test(test_lifetime),
        peer_test(test_send_failed),
        peer_test(test_peer_window),
        peer_test(test_zero_window_probe),
        peer_test(test_zero_window_probe_too_big),
        peer_test(test_zero_window_probe_among_sacks),
        peer_test(test_zero_window_and_nothing_to_send),
        peer_test(test_zero_window_and_silence),
        peer_test(test_peer_window_and_sacks),
        peer_test(test_silly_window),
        peer_test(test_lying_sacks),
    };

    return cmocka_run_group_tests_name("RFC 9260, 6.1 to 6.10", tests, NULL, NULL);
}
