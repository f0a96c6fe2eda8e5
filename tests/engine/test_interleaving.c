/*
 * User message interleaving (RFC 8260, section 2): who has it, which numbers I-DATA carries, what
 * stands between the chunks of a message, how messages grow from them in any order, and what
 * I-FORWARD-TSN says. (Transfers over a bad network: test_abandon.c.)
 */
#include <stdio.h>

#include "packet/reconfig.h"
#include "peer.h"
#include "watcher.h"

enum {
    FULL = 1448, /* user bytes that fill a packet */
    B = SCTP_DATA_FLAG_BEGINNING,
    E = SCTP_DATA_FLAG_ENDING,
    U = SCTP_DATA_FLAG_UNORDERED,
};

static struct braid_parameters interleaving_parameters(void)
{
    struct braid_parameters parameters = peer_parameters();

    parameters.no_delay = true;
    parameters.interleaving = true;
    return parameters;
}

static struct peer *scene_with(void **state, const struct braid_parameters *parameters)
{
    static const uint8_t extensions[] = {SCTP_CHUNK_I_DATA, SCTP_CHUNK_I_FORWARD_TSN,
                                         SCTP_CHUNK_RE_CONFIG};
    struct peer *peer = peer_renew(state, &(struct peer_config){.parameters = parameters});

    peer->partial_reliability = true;
    memcpy(peer->extensions, extensions, sizeof(extensions));
    peer->a_rwnd = 1000000;
    watcher_allow_skipped_tsns(peer->watcher);
    peer_accept(peer);
    assert_true(peer_info(peer).interleaving);
    return peer;
}

static struct peer *scene(void **state)
{
    struct braid_parameters parameters = interleaving_parameters();

    return scene_with(state, &parameters);
}

static void write_i_data(struct peer *peer, uint32_t tsn, uint16_t stream, uint32_t mid,
                         uint32_t fsn, uint8_t flags, size_t length)
{
    static uint8_t bytes[2000];

    peer_pattern(tsn, bytes, length);
    i_data_write(&peer->writer, &(struct sctp_data){.flags = flags,
                                                    .stream = stream,
                                                    .payload_length = (uint16_t)length,
                                                    .tsn = tsn,
                                                    .ppid = 7,
                                                    .payload = bytes,
                                                    .mid = mid,
                                                    .fsn = fsn});
}

static void send_i_data(struct peer *peer, uint32_t tsn, uint16_t stream, uint32_t mid,
                        uint32_t fsn, uint8_t flags, size_t length)
{
    peer_begin(peer);
    write_i_data(peer, tsn, stream, mid, fsn, flags, length);
    peer_send(peer);
    peer_forget(peer);
}

static void send_skipped(struct peer *peer, uint32_t tsn, uint16_t stream, bool unordered,
                         uint32_t mid)
{
    peer_begin(peer);
    i_forward_tsn_write(&peer->writer, tsn, &(struct sctp_skipped_messages){stream, unordered, mid},
                        1);
    peer_send(peer);
    peer_forget(peer);
}

/* What can be read next: the stream, the length, and B and E as flags. */
static void expect_piece(struct peer *peer, uint16_t stream, uint16_t ssn, uint8_t flags,
                         size_t length)
{
    struct braid_received received;

    assert_int_equal(braid_receive(peer->engine, peer->association, &received, peer->now), 1);
    assert_int_equal(received.stream, stream);
    assert_int_equal(received.ssn, ssn);
    assert_int_equal(received.ppid, 7);
    assert_int_equal(received.length, length);
    assert_int_equal(!!(received.flags & BRAID_RECEIVE_BEGIN), !!(flags & B));
    assert_int_equal(!!(received.flags & BRAID_RECEIVE_END), !!(flags & E));
    assert_int_equal(!!(received.flags & BRAID_RECEIVE_UNORDERED), !!(flags & U));
    braid_received_release(peer->engine, &received, peer->now);
    peer_run(peer);
}

/* ---- 2.2.1, 2.3.1: who has it ---- */

static bool lists(const struct sent *sent, uint8_t type)
{
    struct sctp_parameter parameter;

    return sent_parameter(sent, SCTP_PARAMETER_SUPPORTED_EXTENSIONS, &parameter) &&
           chunk_types_contain(&parameter, type);
}

static void test_offered(void **state)
{
    for (unsigned int kind = 0; kind < 8; kind++) {
        bool ours = kind & 1, partial = kind & 2, theirs = kind & 4;
        struct braid_parameters parameters = peer_parameters();
        const struct sent *sent;
        struct peer *peer;

        parameters.interleaving = ours;
        parameters.partial_reliability = partial;
        peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
        peer->partial_reliability = true;
        if (theirs) {
            peer->extensions[0] = SCTP_CHUNK_I_DATA;
            peer->extensions[1] = SCTP_CHUNK_I_FORWARD_TSN;
        }
        peer_start_connect(peer);
        sent = expect(peer, "INIT");
        peer_read_init(peer, sent);
        assert_int_equal(lists(sent, SCTP_CHUNK_I_DATA), ours);
        assert_int_equal(lists(sent, SCTP_CHUNK_I_FORWARD_TSN), ours && partial);
        peer_send_init_ack(peer);
        expect(peer, "COOKIE_ECHO");
        peer_send_plain(peer, SCTP_CHUNK_COOKIE_ACK, 0);
        assert_int_equal(peer_info(peer).interleaving, ours && theirs);
        assert_int_equal(peer_info(peer).partial_reliability, partial);
    }
}

static void test_answered(void **state)
{
    for (unsigned int kind = 0; kind < 4; kind++) {
        bool ours = kind & 1, theirs = kind & 2;
        struct braid_parameters parameters = peer_parameters();
        const struct sent *sent;
        struct peer *peer;

        parameters.interleaving = ours;
        peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
        peer->partial_reliability = true;
        if (theirs)
            peer->extensions[0] = SCTP_CHUNK_I_DATA;
        assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 10), 0);
        peer_send_init(peer);
        sent = expect(peer, "INIT_ACK");
        assert_int_equal(lists(sent, SCTP_CHUNK_I_DATA), ours && theirs);
        assert_false(lists(sent, SCTP_CHUNK_I_FORWARD_TSN));
        peer_read_init(peer, sent);
        peer_send_cookie_echo(peer);
        expect(peer, "COOKIE_ACK");
        peer->association = expect_event(peer, BRAID_EVENT_UP)->association;
        assert_int_equal(peer_info(peer).interleaving, ours && theirs);
        /* FORWARD TSN is not for I-DATA, and I-FORWARD-TSN it does not have */
        assert_int_equal(peer_info(peer).partial_reliability, !(ours && theirs));
    }
}

/* 2.2.3, 2.3.1: the chunks of the other kind. */
static void test_wrong_kind(void **state)
{
    struct peer *peer = scene(state);

    peer_send_data(peer, peer->initial_tsn, 0, 0, WHOLE, 10);
    sent_cause(expect(peer, "ABORT"), SCTP_CAUSE_PROTOCOL_VIOLATION);

    peer = scene(state);
    peer_begin(peer);
    forward_tsn_write(&peer->writer, peer->initial_tsn, NULL, 0);
    peer_send(peer);
    sent_cause(expect(peer, "ABORT"), SCTP_CAUSE_PROTOCOL_VIOLATION);

    for (unsigned int i = 0; i < 2; i++) { /* we never spoke of it */
        peer = peer_renew(state, NULL);
        peer->extensions[0] = SCTP_CHUNK_I_DATA;
        peer->partial_reliability = true;
        peer_accept(peer);
        peer_begin(peer);
        if (i == 0)
            write_i_data(peer, peer->initial_tsn, 0, 0, 0, WHOLE, 10);
        else
            i_forward_tsn_write(&peer->writer, peer->initial_tsn, NULL, 0);
        peer_send(peer);
        sent_cause(expect(peer, "ABORT"), SCTP_CAUSE_PROTOCOL_VIOLATION);
    }
}

/* RFC 3758, 3.3.1: I-FORWARD-TSN is unknown to who has no partial reliability, and where the peer
 * did not list it. */
static void test_not_listed(void **state)
{
    struct braid_parameters parameters = interleaving_parameters();
    struct peer *peer;

    for (unsigned int i = 0; i < 2; i++) {
        parameters.partial_reliability = i == 0;
        peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
        peer->extensions[0] = SCTP_CHUNK_I_DATA;
        peer->extensions[1] = i == 0 ? 0 : SCTP_CHUNK_I_FORWARD_TSN;
        peer_accept(peer);
        peer_begin(peer);
        i_forward_tsn_write(&peer->writer, peer->initial_tsn, NULL, 0);
        peer_send(peer);
        sent_cause(expect(peer, "ERROR"), SCTP_CAUSE_UNRECOGNIZED_CHUNK_TYPE);
        assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    }
}

/* We offered it, the peer did not. */
static void test_not_agreed(void **state)
{
    struct braid_parameters parameters = interleaving_parameters();
    struct peer *peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});

    peer_accept(peer);
    assert_int_equal(peer_user_send(peer, 0, 10), 0);
    expect(peer, "DATA");
    peer_begin(peer);
    write_i_data(peer, peer->initial_tsn, 0, 0, 0, WHOLE, 10);
    peer_send(peer);
    sent_cause(expect(peer, "ABORT"), SCTP_CAUSE_PROTOCOL_VIOLATION);
}

/* ---- 2.1, 2.2.2: the sender ---- */

static void assert_i_data(struct sctp_data data, uint16_t stream, uint32_t mid, uint32_t fsn,
                          uint8_t flags)
{
    assert_int_equal(data.stream, stream);
    assert_int_equal(data.mid, mid);
    assert_int_equal(data.fsn, fsn);
    assert_int_equal(data.flags & (B | E | U), flags);
}

static void test_numbers(void **state)
{
    struct peer *peer = scene(state);
    const struct sent *sent;

    assert_int_equal(peer_user_send(peer, 3, 2 * FULL + 100), 0);
    sent = expect(peer, "I_DATA");
    assert_int_equal(sent->length, 1480); /* with the header, all that an IPv4 packet takes */
    assert_i_data(sent_i_data(sent, 0), 3, 0, 0, B);
    assert_i_data(sent_i_data(expect(peer, "I_DATA"), 0), 3, 0, 1, 0);
    assert_i_data(sent_i_data(expect(peer, "I_DATA"), 0), 3, 0, 2, E);
    peer_send_sack(peer, peer->engine_initial_tsn + 2);
    assert_int_equal(peer_path(peer, 0).flight, 0);
    /* each kind of message of each stream has numbers of its own */
    assert_int_equal(peer_user_send(peer, 3, 10), 0);
    assert_i_data(sent_i_data(expect(peer, "I_DATA"), 0), 3, 1, 0, B | E);
    assert_int_equal(peer_user_send_flags(peer, 3, 10, BRAID_SEND_UNORDERED), 0);
    assert_i_data(sent_i_data(expect(peer, "I_DATA"), 0), 3, 0, 0, B | E | U);
    assert_int_equal(peer_user_send_flags(peer, 3, 10, BRAID_SEND_UNORDERED), 0);
    assert_i_data(sent_i_data(expect(peer, "I_DATA"), 0), 3, 1, 0, B | E | U);
    peer_send_sack(peer, peer->engine_initial_tsn + 5);
    assert_int_equal(peer_user_send(peer, 4, 10), 0);
    assert_i_data(sent_i_data(expect(peer, "I_DATA"), 0), 4, 0, 0, B | E);
    /* and keeps them when it is sent again */
    assert_i_data(sent_i_data(expect_within(peer, 2 * SECOND, "I_DATA"), 0), 4, 0, 0, B | E);
}

/* What leaves when all is acknowledged as it comes: 'a' is a chunk of stream 0, 'A' the last of a
 * message. */
static const char *drain(struct peer *peer)
{
    static char text[128];
    uint32_t tsn = peer->engine_initial_tsn - 1;
    const struct sent *sent;
    size_t used = 0;

    while (peer_info(peer).queued_bytes > 0 && used < sizeof(text) - 20) {
        while ((sent = peer_next(peer))) {
            for (unsigned int i = 0; i < sent_count(sent, SCTP_CHUNK_I_DATA); i++) {
                struct sctp_data data = sent_i_data(sent, i);

                tsn = data.tsn;
                text[used++] = (char)((data.flags & E ? 'A' : 'a') + data.stream);
            }
        }
        peer_send_sack(peer, tsn);
    }
    text[used] = 0;
    return text;
}

/* Small windows, so that all of it waits for what was sent before. */
static struct peer *schedule_scene(void **state, enum braid_scheduler scheduler)
{
    struct braid_parameters parameters = interleaving_parameters();
    struct peer *peer;

    parameters.scheduler = (uint8_t)scheduler;
    peer = scene_with(state, &parameters);
    for (uint16_t stream = 0; stream < 4; stream++)
        assert_int_equal(braid_association_set_stream_value(peer->engine, peer->association, stream,
                                                            (uint16_t)(10 - stream)),
                         0);
    return peer;
}

/* The first three chunks leave when nothing else is there yet, and the fourth is chosen already. */
static void test_round_robin(void **state)
{
    struct peer *peer = schedule_scene(state, BRAID_SCHEDULER_ROUND_ROBIN);

    assert_int_equal(peer_user_send(peer, 0, 8 * FULL), 0);
    assert_int_equal(peer_user_send(peer, 1, 3 * FULL), 0);
    assert_int_equal(peer_user_send(peer, 0, FULL), 0);
    assert_int_equal(peer_user_send(peer, 2, 2 * FULL), 0);
    assert_string_equal(drain(peer), "aaaabacbaCBaAA");
}

static void test_first_come(void **state)
{
    struct peer *peer = schedule_scene(state, BRAID_SCHEDULER_FIRST_COME);

    assert_int_equal(peer_user_send(peer, 0, 6 * FULL), 0);
    assert_int_equal(peer_user_send(peer, 1, 2 * FULL), 0);
    assert_string_equal(drain(peer), "aaaaaAbB");
}

/* A message of a better priority need not wait for the end of one that has begun. (A chunk behind
 * it in its packet is a shorter one.) */
static void test_priority(void **state)
{
    struct peer *peer = schedule_scene(state, BRAID_SCHEDULER_PRIORITY);

    assert_int_equal(peer_user_send(peer, 0, 8 * FULL), 0);
    assert_int_equal(peer_user_send(peer, 1, 3 * FULL), 0);
    assert_int_equal(peer_user_send(peer, 2, 10), 0);
    assert_string_equal(drain(peer), "aaaCbbbBaaaaaA");
}

/* Another scheduler while several messages have begun: none is lost, none twice. */
static void test_change(void **state)
{
    static const enum braid_scheduler to[] = {BRAID_SCHEDULER_FIRST_COME, BRAID_SCHEDULER_PRIORITY};

    for (unsigned int i = 0; i < 2; i++) {
        struct peer *peer = schedule_scene(state, BRAID_SCHEDULER_ROUND_ROBIN);
        uint32_t tsn = peer->engine_initial_tsn;
        unsigned int ends = 0;
        const char *text;

        for (uint16_t stream = 0; stream < 4; stream++)
            assert_int_equal(peer_user_send(peer, stream, 6 * FULL), 0);
        tsn += (uint32_t)peer_skip(peer);
        peer_send_sack(peer, tsn - 1);
        tsn += (uint32_t)peer_skip(peer);
        assert_int_equal(braid_association_set_scheduler(peer->engine, peer->association, to[i]),
                         0);
        peer_send_sack(peer, tsn - 1);
        text = drain(peer);
        for (const char *letter = text; *letter; letter++)
            ends += *letter < 'a';
        assert_int_equal(strlen(text) + (tsn - peer->engine_initial_tsn), 24);
        assert_int_equal(ends, 4);
    }
}

/* It is closed while messages have begun in several streams: each comes back once. */
static void test_given_back(void **state)
{
    struct peer *peer = schedule_scene(state, BRAID_SCHEDULER_ROUND_ROBIN);
    bool seen[4] = {false};
    uint32_t tsn = peer->engine_initial_tsn;

    for (uint16_t stream = 0; stream < 4; stream++)
        assert_int_equal(peer_user_send(peer, stream, 6 * FULL), 0);
    tsn += (uint32_t)peer_skip(peer);
    peer_send_sack(peer, tsn - 1);
    peer_skip(peer);
    assert_int_equal(braid_abort(peer->engine, peer->association, NULL, 0, peer->now), 0);
    peer_run(peer);
    for (unsigned int i = 0; i < 4; i++) {
        uint16_t stream = expect_event(peer, BRAID_EVENT_SEND_FAILED)->send.stream;

        assert_false(seen[stream]);
        seen[stream] = true;
    }
    expect_no_event(peer, BRAID_EVENT_SEND_FAILED);
}

/* ---- 2.3: messages that are given up ---- */

static void send_timed(struct peer *peer, uint16_t stream, uint16_t flags, size_t length)
{
    static const uint8_t bytes[20 * FULL];
    struct braid_send send = {
        .stream = stream, .flags = flags, .policy = BRAID_POLICY_LIFETIME, .lifetime = 500};

    assert_int_equal(braid_send(peer->engine, peer->association, &send, bytes, length, peer->now),
                     0);
    peer_run(peer);
}

static struct sctp_forward_tsn sent_i_forward_tsn(const struct sent *sent)
{
    struct sctp_chunk chunk = sent_chunk(sent, SCTP_CHUNK_I_FORWARD_TSN);
    struct sctp_forward_tsn forward;

    assert_true(i_forward_tsn_read(&chunk, &forward));
    return forward;
}

static void assert_skipped(struct sctp_skipped_messages skipped, uint16_t stream, bool unordered,
                           uint32_t mid)
{
    assert_int_equal(skipped.stream, stream);
    assert_int_equal(skipped.unordered, unordered);
    assert_int_equal(skipped.mid, mid);
}

static void test_forward_tsn(void **state)
{
    struct peer *peer = scene(state);
    struct sctp_forward_tsn forward;
    uint32_t tsn = peer->engine_initial_tsn;

    send_timed(peer, 1, 0, 10);
    send_timed(peer, 1, BRAID_SEND_UNORDERED, 10);
    send_timed(peer, 1, 0, 10);
    peer_skip(peer);
    forward = sent_i_forward_tsn(expect_within(peer, 2 * SECOND, "I_FORWARD_TSN"));
    assert_int_equal(forward.new_cumulative_tsn, tsn + 2);
    assert_int_equal(forward.skipped_stream_count, 2);
    assert_skipped(i_forward_tsn_skipped(&forward, 0), 1, false, 1);
    assert_skipped(i_forward_tsn_skipped(&forward, 1), 1, true, 0);
    peer_send_sack(peer, tsn + 2);
    assert_int_equal(peer_user_send(peer, 1, 10), 0);
    assert_i_data(sent_i_data(expect(peer, "I_DATA"), 0), 1, 2, 0, B | E);
}

/* Messages in several streams have begun, and others have not: their TSNs stand between each other,
 * and what was not sent of them gets one. */
static void test_forward_tsn_begun(void **state)
{
    struct peer *peer = schedule_scene(state, BRAID_SCHEDULER_ROUND_ROBIN);
    struct sctp_forward_tsn forward;
    uint32_t tsn = peer->engine_initial_tsn;
    const struct sent *sent;

    assert_int_equal(peer_user_send(peer, 0, 8 * FULL), 0);
    send_timed(peer, 1, 0, 8 * FULL);
    send_timed(peer, 2, 0, 8 * FULL);
    send_timed(peer, 2, 0, 8 * FULL);
    tsn += (uint32_t)peer_skip(peer);
    peer_send_sack(peer, tsn - 1);
    tsn += (uint32_t)peer_skip(peer);
    assert_int_equal(peer_info(peer).outstanding_bytes, 4 * FULL);
    peer_advance(peer, 600 * MS);
    peer_skip(peer);
    /* what is gone now: both of streams 1 and 2, and the message that had not begun */
    peer_send_sack(peer, tsn - 1);
    for (unsigned int i = 0; i < 3; i++)
        expect_event(peer, BRAID_EVENT_SEND_FAILED);
    expect_no_event(peer, BRAID_EVENT_SEND_FAILED);
    while ((sent = peer_next(peer)) && sent_count(sent, SCTP_CHUNK_I_FORWARD_TSN) == 0)
        ;
    assert_non_null(sent);
    forward = sent_i_forward_tsn(sent);
    assert_int_equal(forward.skipped_stream_count, 2);
    for (unsigned int i = 0; i < 2; i++) {
        struct sctp_skipped_messages skipped = i_forward_tsn_skipped(&forward, i);

        assert_true(skipped.stream == 1 || skipped.stream == 2);
        assert_skipped(skipped, skipped.stream, false, 0);
    }
}

/* ---- 2.2.3: the receiver ---- */

static void test_interleaved(void **state)
{
    struct peer *peer = scene(state);
    uint32_t tsn = peer->initial_tsn;

    send_i_data(peer, tsn, 1, 0, 0, B, 100);
    send_i_data(peer, tsn + 1, 2, 0, 0, B, 100);
    send_i_data(peer, tsn + 2, 1, 0, 1, 0, 100);
    send_i_data(peer, tsn + 3, 3, 0, 0, WHOLE, 10);
    expect_piece(peer, 3, 0, B | E, 10);
    expect_no_message(peer);
    send_i_data(peer, tsn + 4, 2, 0, 1, E, 50);
    expect_piece(peer, 2, 0, B | E, 150);
    send_i_data(peer, tsn + 5, 1, 0, 2, E, 1);
    expect_piece(peer, 1, 0, B | E, 201);
    assert_int_equal(peer_info(peer).receive_chunks_waiting, 0);
}

/* The FSN says where a chunk stands, not its TSN; messages of a stream wait for those before. */
static void test_any_order(void **state)
{
    struct peer *peer = scene(state);
    uint32_t tsn = peer->initial_tsn;

    send_i_data(peer, tsn + 5, 1, 1, 0, WHOLE, 20);
    send_i_data(peer, tsn + 1, 1, 0, 3, E, 4);
    send_i_data(peer, tsn + 3, 1, 0, 1, 0, 2);
    send_i_data(peer, tsn, 1, 0, 2, 0, 3);
    expect_no_message(peer);
    send_i_data(peer, tsn + 2, 1, 0, 0, B, 1);
    expect_piece(peer, 1, 0, B | E, 10);
    expect_piece(peer, 1, 1, B | E, 20);
    /* unordered ones wait for nothing, and their MIDs are others */
    send_i_data(peer, tsn + 6, 1, 9, 1, E | U, 4);
    send_i_data(peer, tsn + 8, 1, 3, 0, WHOLE, 30);
    send_i_data(peer, tsn + 7, 1, 9, 0, B | U, 3);
    expect_piece(peer, 1, 9, B | E | U, 7);
    expect_no_message(peer);
    send_i_data(peer, tsn + 4, 1, 2, 0, WHOLE, 5);
    expect_piece(peer, 1, 2, B | E, 5);
    expect_piece(peer, 1, 3, B | E, 30);
}

/* Chunks that cannot be of one message. */
static void test_violations(void **state)
{
    static const struct {
        uint32_t fsn;
        uint8_t flags;
    } pairs[][2] = {
        {{0, B}, {0, B}},     /* two first ones */
        {{2, E}, {3, E}},     /* two last ones */
        {{2, E}, {1, E}},     /* the same, the other way */
        {{2, E}, {3, 0}},     /* one behind the last */
        {{3, 0}, {2, E}},     /* the same, the other way */
        {{3, 0}, {3, 0}},     /* the same number twice, held */
        {{0, B}, {0, 0}},     /* or taken */
        {{0, B}, {0, B | E}}, /* a whole one */
        {{5, 0}, {0, B | E}}, {{0, B}, {0, E}},
    };

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        for (unsigned int kind = 0; kind < 2; kind++) {
            uint8_t unordered = kind ? U : 0;
            struct peer *peer = scene(state);

            send_i_data(peer, peer->initial_tsn, 1, 0, pairs[i][0].fsn,
                        (uint8_t)(pairs[i][0].flags | unordered), 10);
            assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
            peer_begin(peer);
            write_i_data(peer, peer->initial_tsn + 1, 1, 0, pairs[i][1].fsn,
                         (uint8_t)(pairs[i][1].flags | unordered), 10);
            peer_send(peer);
            sent_cause(expect(peer, "ABORT"), SCTP_CAUSE_PROTOCOL_VIOLATION);
        }
    }
}

/* Short, empty, of a stream that there is not, sent twice, of a message that was delivered. */
static void test_odd_chunks(void **state)
{
    static const uint8_t bytes[] = {0x40, 3, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0};
    struct peer *peer = scene(state);
    uint32_t tsn = peer->initial_tsn;
    struct braid_statistics statistics;

    peer_begin(peer);
    packet_write_bytes(&peer->writer, bytes, sizeof(bytes));
    peer_send(peer);
    braid_engine_statistics(peer->engine, &statistics);
    assert_int_equal(statistics.bad_packet, 1);
    peer_begin(peer);
    write_i_data(peer, tsn, 9999, 0, 0, WHOLE, 10);
    peer_send(peer);
    sent_cause(expect(peer, "SACK ERROR"), SCTP_CAUSE_INVALID_STREAM_IDENTIFIER);
    send_i_data(peer, tsn + 1, 1, 0, 0, WHOLE, 10);
    send_i_data(peer, tsn + 1, 1, 0, 0, WHOLE, 10);
    expect_piece(peer, 1, 0, B | E, 10);
    send_i_data(peer, tsn + 2, 1, 0, 1, 0, 10);
    send_i_data(peer, tsn + 3, 1, 0, 0, WHOLE, 10);
    expect_no_message(peer);
    assert_int_equal(peer_info(peer).receive_chunks_waiting, 0);
    peer_begin(peer);
    write_i_data(peer, tsn + 4, 1, 1, 0, WHOLE, 0);
    peer_send(peer);
    sent_cause(expect(peer, "ABORT"), SCTP_CAUSE_NO_USER_DATA);
}

/* Pieces of several messages, of each in its order, as they come. */
static void test_partial_delivery(void **state)
{
    struct braid_parameters parameters = interleaving_parameters();
    struct peer *peer;
    uint32_t tsn;

    parameters.partial_delivery_point = 150;
    peer = scene_with(state, &parameters);
    tsn = peer->initial_tsn;
    send_i_data(peer, tsn, 1, 0, 0, B, 100);
    send_i_data(peer, tsn + 1, 2, 0, 0, B, 100);
    expect_no_message(peer);
    send_i_data(peer, tsn + 2, 1, 0, 1, 0, 60);
    send_i_data(peer, tsn + 3, 2, 0, 1, 0, 70);
    send_i_data(peer, tsn + 4, 3, 0, 0, WHOLE, 5);
    send_i_data(peer, tsn + 5, 1, 0, 2, 0, 6);
    expect_piece(peer, 1, 0, B, 160);
    expect_piece(peer, 2, 0, B, 170);
    expect_piece(peer, 3, 0, B | E, 5);
    expect_piece(peer, 1, 0, 0, 6);
    send_i_data(peer, tsn + 6, 2, 0, 2, E, 7);
    send_i_data(peer, tsn + 8, 1, 1, 0, B, 200); /* must wait for the end of the one before */
    expect_piece(peer, 2, 0, E, 7);
    expect_no_message(peer);
    send_i_data(peer, tsn + 7, 1, 0, 3, E, 8);
    expect_piece(peer, 1, 0, E, 8);
    expect_piece(peer, 1, 1, B, 200);
}

/* The window is full of half messages: one is delivered in pieces, so that it opens. */
static void test_window_closes(void **state)
{
    struct braid_parameters parameters = interleaving_parameters();
    struct peer *peer;
    uint32_t tsn;

    parameters.receive_buffer = 7000;
    peer = scene_with(state, &parameters);
    tsn = peer->initial_tsn;
    for (uint16_t stream = 0; stream < 5; stream++)
        send_i_data(peer, tsn + stream, (uint16_t)(4 - stream), 0, 0, B, 1400);
    expect_piece(peer, 4, 0, B, 1400);
    expect_no_message(peer); /* there is room again */
    send_i_data(peer, tsn + 5, 3, 0, 1, E, 1);
    send_i_data(peer, tsn + 6, 2, 0, 1, E, 2);
    expect_piece(peer, 3, 0, B | E, 1401);
    expect_piece(peer, 2, 0, B | E, 1402);
}

/* A reader that keeps what it has read leaves the window closed: it is told at once of the next
 * half message, which takes the place of the first. */
static void test_window_stays_closed(void **state)
{
    struct braid_parameters parameters = interleaving_parameters();
    struct braid_received first, second;
    struct peer *peer;

    parameters.receive_buffer = 7000;
    peer = scene_with(state, &parameters);
    for (uint16_t stream = 0; stream < 5; stream++)
        send_i_data(peer, peer->initial_tsn + stream, stream, 0, 0, B, 1400);
    assert_int_equal(braid_receive(peer->engine, peer->association, &first, peer->now), 1);
    assert_int_equal(braid_receive(peer->engine, peer->association, &second, peer->now), 1);
    assert_int_equal(first.stream, 0);
    assert_int_equal(second.stream, 1);
    braid_received_release(peer->engine, &first, peer->now);
    braid_received_release(peer->engine, &second, peer->now);
}

/* ---- 2.3: what will not come ---- */

static void test_skipped(void **state)
{
    struct peer *peer = scene(state);
    uint32_t tsn = peer->initial_tsn;

    /* of streams 1 and 2 each a half message, a whole one behind it, and half an unordered one */
    for (uint16_t stream = 1; stream <= 2; stream++) {
        send_i_data(peer, tsn++, stream, 0, 0, B, 10);
        send_i_data(peer, tsn++, stream, 1, 0, WHOLE, 20);
        send_i_data(peer, tsn++, stream, 0, 0, B | U, 30);
    }
    expect_no_message(peer);
    send_skipped(peer, tsn++, 1, false, 0);
    expect_piece(peer, 1, 1, B | E, 20);
    expect_no_message(peer);
    send_skipped(peer, tsn++, 2, true, 0);
    expect_no_message(peer);
    assert_int_equal(peer_info(peer).receive_chunks_waiting, 3);
    /* those that were not skipped go on */
    send_i_data(peer, tsn++, 2, 0, 1, E, 1);
    expect_piece(peer, 2, 0, B | E, 11);
    expect_piece(peer, 2, 1, B | E, 20);
    send_i_data(peer, tsn++, 1, 0, 1, E | U, 1);
    expect_piece(peer, 1, 0, B | E | U, 31);
    /* over MIDs of which nothing came, to one that is half there */
    send_i_data(peer, tsn++, 1, 7, 1, E, 5);
    send_skipped(peer, tsn++, 1, false, 6);
    send_i_data(peer, tsn++, 1, 7, 0, B, 5);
    expect_piece(peer, 1, 7, B | E, 10);
    assert_int_equal(peer_info(peer).receive_chunks_waiting, 0);
}

/* MIDs are serial numbers: they pass zero. */
static void test_mids_overflow(void **state)
{
    struct peer *peer = scene(state);
    uint32_t tsn = peer->initial_tsn;

    send_skipped(peer, tsn++, 1, false, 0x7fffffff);
    send_skipped(peer, tsn++, 1, false, 0xfffffffd);
    send_i_data(peer, tsn++, 1, 0xfffffffe, 0, B, 10);
    send_i_data(peer, tsn++, 1, 0xffffffff, 0, B, 10);
    send_i_data(peer, tsn++, 1, 0, 0, B, 10);
    send_i_data(peer, tsn++, 1, 1, 0, WHOLE, 10);
    send_skipped(peer, tsn++, 1, false, 0);
    expect_piece(peer, 1, 1, B | E, 10);
    assert_int_equal(peer_info(peer).receive_chunks_waiting, 0);
}

/* The user is told of a message whose beginning he has read, and gets nothing more of it. */
static void test_skipped_pieces(void **state)
{
    struct braid_parameters parameters = interleaving_parameters();

    parameters.partial_delivery_point = 15;
    for (unsigned int read = 0; read < 2; read++) {
        struct peer *peer = scene_with(state, &parameters);
        uint32_t tsn = peer->initial_tsn;

        send_i_data(peer, tsn++, 4, 0, 0, B, 20);
        if (read)
            expect_piece(peer, 4, 0, B, 20);
        send_i_data(peer, tsn++, 5, 0, 0, WHOLE, 10);
        send_i_data(peer, tsn++, 4, 0, 1, 0, 20);
        send_i_data(peer, tsn++, 5, 1, 0, WHOLE, 11);
        peer_begin(peer);
        i_forward_tsn_write(&peer->writer, tsn++, &(struct sctp_skipped_messages){4, false, 0}, 1);
        peer_send(peer);
        if (read) {
            const struct braid_event *event =
                expect_event(peer, BRAID_EVENT_PARTIAL_DELIVERY_ABORTED);

            assert_int_equal(event->value, 4);
            assert_int_equal(event->ssn, 0);
        }
        expect_no_event(peer, BRAID_EVENT_PARTIAL_DELIVERY_ABORTED);
        expect_piece(peer, 5, 0, B | E, 10);
        expect_piece(peer, 5, 1, B | E, 11);
        expect_no_message(peer);
        send_i_data(peer, tsn++, 4, 1, 0, WHOLE, 10);
        expect_piece(peer, 4, 1, B | E, 10);
        assert_int_equal(peer_info(peer).receive_chunks_waiting, 0);
    }
}

/* ---- RFC 6525: streams begin again ---- */

static struct peer *reset_scene(void **state)
{
    struct braid_parameters parameters = interleaving_parameters();

    parameters.reconfig = true;
    parameters.reconfig_permitted = 7;
    parameters.partial_delivery_point = 15;
    return scene_with(state, &parameters);
}

static void send_reset(struct peer *peer, uint16_t stream, uint32_t last_tsn)
{
    size_t chunk;

    peer_begin(peer);
    chunk = chunk_begin(&peer->writer, SCTP_CHUNK_RE_CONFIG, 0);
    ssn_reset_request_write(&peer->writer, SCTP_PARAMETER_OUTGOING_SSN_RESET_REQUEST,
                            &(struct sctp_ssn_reset_request){.request_number = peer->initial_tsn,
                                                             .last_tsn = last_tsn,
                                                             .stream_count = 1},
                            &stream);
    chunk_end(&peer->writer, chunk);
    peer_send(peer);
}

static void test_reset(void **state)
{
    struct peer *peer = reset_scene(state);
    uint32_t tsn = peer->initial_tsn;

    send_i_data(peer, tsn, 1, 0, 0, WHOLE, 10);
    send_i_data(peer, tsn + 1, 1, 0, 0, WHOLE | U, 10);
    expect_piece(peer, 1, 0, B | E, 10);
    expect_piece(peer, 1, 0, B | E | U, 10);
    send_reset(peer, 1, tsn + 1);
    expect(peer, "RE_CONFIG SACK");
    peer_forget(peer);
    send_i_data(peer, tsn + 2, 1, 0, 0, WHOLE, 11);
    expect_piece(peer, 1, 0, B | E, 11);
}

/* A message of before the reset that nobody has read yet stays when one of the same number, which
 * is delivered in pieces, does not become whole. */
static void test_reset_and_skipped(void **state)
{
    struct peer *peer = reset_scene(state);
    uint32_t tsn = peer->initial_tsn;

    send_i_data(peer, tsn, 1, 0, 0, WHOLE, 10);
    send_reset(peer, 1, tsn);
    send_i_data(peer, tsn + 1, 1, 0, 0, B, 20);
    send_skipped(peer, tsn + 2, 1, false, 0);
    expect_piece(peer, 1, 0, B | E, 10);
    expect_no_message(peer);
}

/* ---- RFC 9260, 5.2: the peer begins anew, perhaps without I-DATA ---- */

static void test_restart(void **state)
{
    for (unsigned int again = 0; again < 2; again++) {
        struct peer *peer = scene(state);
        uint32_t tsn = peer->initial_tsn;

        assert_int_equal(peer_user_send(peer, 0, 4 * FULL), 0);
        send_i_data(peer, tsn, 1, 0, 0, B, 100);
        send_i_data(peer, tsn + 1, 2, 0, 1, 0, 100);
        peer_skip(peer);
        if (!again)
            memset(peer->extensions, 0, sizeof(peer->extensions));
        peer->tag++;
        peer_handshake(peer);
        peer_skip(peer);
        expect_event(peer, BRAID_EVENT_RESTART);
        expect_event(peer, BRAID_EVENT_SEND_FAILED);
        assert_int_equal(peer_info(peer).interleaving, again);
        assert_int_equal(peer_info(peer).receive_chunks_waiting, 0);
        peer_forget(peer);
        assert_int_equal(peer_user_send(peer, 0, 10), 0);
        expect(peer, again ? "I_DATA" : "DATA");
        if (again)
            send_i_data(peer, tsn, 1, 0, 0, WHOLE, 10);
        else
            peer_send_data(peer, tsn, 1, 0, WHOLE, 10);
        expect_piece(peer, 1, 0, B | E, 10);
        assert_int_equal(peer_info(peer).local_rwnd, peer->engine_a_rwnd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_offered),           peer_test(test_answered),
        peer_test(test_wrong_kind),        peer_test(test_not_listed),
        peer_test(test_not_agreed),        peer_test(test_numbers),
        peer_test(test_round_robin),       peer_test(test_first_come),
        peer_test(test_priority),          peer_test(test_change),
        peer_test(test_given_back),        peer_test(test_forward_tsn),
        peer_test(test_forward_tsn_begun), peer_test(test_interleaved),
        peer_test(test_any_order),         peer_test(test_violations),
        peer_test(test_odd_chunks),        peer_test(test_partial_delivery),
        peer_test(test_window_closes),     peer_test(test_window_stays_closed),
        peer_test(test_skipped),           peer_test(test_mids_overflow),
        peer_test(test_skipped_pieces),    peer_test(test_reset),
        peer_test(test_reset_and_skipped), peer_test(test_restart),
    };

    return cmocka_run_group_tests_name("interleaving", tests, NULL, NULL);
}
