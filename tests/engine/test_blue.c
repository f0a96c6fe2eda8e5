/*
 * Tests: packets "out of the blue", RFC 9260 section 8.4 in its order; Verification Tags, 8.5;
 * unknown chunks, 3.2; malformed packets and checksums, 6.8 and 6.10.
 */
#include "peer.h"

#include <string.h>

#include "link/link.h"

enum { SOME_TAG = 0x31415926 };

static struct braid_statistics statistics(struct peer *peer)
{
    struct braid_statistics numbers;

    braid_engine_statistics(peer->engine, &numbers);
    return numbers;
}

/* Sends a packet of one chunk without a value, of no association. */
static void send_blue(struct peer *peer, uint8_t type)
{
    peer_begin_tag(peer, SOME_TAG);
    chunk_write(&peer->writer, type, 0, NULL, 0);
    peer_send(peer);
}

/* The packet in the making is answered by an ABORT that reflects the tag. */
static void expect_abort_reflected(struct peer *peer)
{
    const struct sent *sent = expect(peer, "ABORT");

    assert_int_equal(sent->header.verification_tag, SOME_TAG);
    assert_int_equal(sent->header.source_port, ENGINE_PORT);
    assert_int_equal(sent->header.destination_port, PEER_PORT);
    assert_int_equal(sent_chunk(sent, SCTP_CHUNK_ABORT).flags, SCTP_FLAG_TAG_REFLECTED);
    expect(peer, NONE);
}

/* ---- 8.4 --------------------------------------------------------------------------------------
 */

/* 8: everything else: an ABORT with the T bit. */
static void test_blue_data(void **state)
{
    static const uint8_t types[] = {SCTP_CHUNK_SACK,     SCTP_CHUNK_HEARTBEAT,
                                    SCTP_CHUNK_SHUTDOWN, SCTP_CHUNK_HEARTBEAT_ACK,
                                    SCTP_CHUNK_INIT_ACK, SCTP_CHUNK_ERROR};
    struct peer *peer = *state;

    peer_begin_tag(peer, SOME_TAG);
    peer_write_data(peer, 1, 0, 0, WHOLE, 100);
    peer_send(peer);
    expect_abort_reflected(peer);
    for (size_t i = 0; i < sizeof(types); i++) {
        peer_begin_tag(peer, SOME_TAG);
        if (types[i] == SCTP_CHUNK_SACK)
            sack_write(&peer->writer, 1, 1, NULL, 0, NULL, 0);
        else if (types[i] == SCTP_CHUNK_SHUTDOWN)
            shutdown_write(&peer->writer, 1);
        else
            heartbeat_write(&peer->writer, types[i], "12345678", 8);
        peer_send(peer);
        if (types[i] == SCTP_CHUNK_INIT_ACK) { /* too short to be one: may be dropped */
            peer_skip(peer);
            continue;
        }
        expect_abort_reflected(peer);
    }
    assert_true(statistics(peer).out_of_the_blue >= 6);
    assert_int_equal(statistics(peer).associations_now, 0);
}

/* 1: to or from an address that is not one host's. */
static void test_blue_from_many(void **state)
{
    static const char *const addresses[] = {"\340\0\0\1", "\377\377\377\377", "\0\0\0\0"};
    struct peer *peer = *state;

    for (int i = 0; i < 6; i++) {
        struct braid_address address = braid_address_ipv4(addresses[i / 2]);

        peer_begin_tag(peer, SOME_TAG);
        peer_write_data(peer, 1, 0, 0, WHOLE, 100);
        if (i % 2)
            peer_send_from(peer, &address, &peer->here[0]);
        else
            peer_send_from(peer, &peer->there[0], &address);
        expect(peer, NONE);
    }
}

/* 2: with an ABORT in it, wherever it stands. */
static void test_blue_abort(void **state)
{
    struct peer *peer = *state;

    send_blue(peer, SCTP_CHUNK_ABORT);
    expect(peer, NONE);
    peer_begin_tag(peer, SOME_TAG);
    peer_write_data(peer, 1, 0, 0, WHOLE, 100);
    chunk_write(&peer->writer, SCTP_CHUNK_ABORT, 0, NULL, 0);
    peer_send(peer);
    expect(peer, NONE);
    peer_begin_tag(peer, SOME_TAG);
    shutdown_ack_write(&peer->writer);
    chunk_write(&peer->writer, SCTP_CHUNK_ABORT, 0, NULL, 0);
    peer_send(peer);
    expect(peer, NONE);
}

/* 4: a COOKIE ECHO that is not ours: an endpoint says nothing (5.1.5); where there is none it is as
 * any packet. */
static void test_blue_cookie_echo(void **state)
{
    struct peer *peer = *state;

    for (int i = 0; i < 4; i++) {
        if (i == 2)
            assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
        peer_begin_tag(peer, SOME_TAG);
        cookie_echo_write(&peer->writer, "nonsense", i % 2 ? 8 : 0);
        peer_send(peer);
        if (i < 2)
            expect_abort_reflected(peer);
        else
            expect(peer, NONE);
    }
    assert_int_equal(statistics(peer).associations_now, 0);
}

/* 5: SHUTDOWN ACK: SHUTDOWN COMPLETE with the T bit. */
static void test_blue_shutdown_ack(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;

    send_blue(peer, SCTP_CHUNK_SHUTDOWN_ACK);
    sent = expect(peer, "SHUTDOWN_COMPLETE");
    assert_int_equal(sent->header.verification_tag, SOME_TAG);
    assert_int_equal(sent_chunk(sent, SCTP_CHUNK_SHUTDOWN_COMPLETE).flags, SCTP_FLAG_TAG_REFLECTED);
    expect(peer, NONE);
}

/* 6 and 7: SHUTDOWN COMPLETE, a Stale Cookie, COOKIE ACK: silent. */
static void test_blue_silence(void **state)
{
    struct peer *peer = *state;
    size_t start;

    send_blue(peer, SCTP_CHUNK_SHUTDOWN_COMPLETE);
    expect(peer, NONE);
    send_blue(peer, SCTP_CHUNK_COOKIE_ACK);
    expect(peer, NONE);
    peer_begin_tag(peer, SOME_TAG);
    start = error_begin(&peer->writer);
    stale_cookie_write(&peer->writer, 1000);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    expect(peer, NONE);
    /* COOKIE ACK with DATA behind it is still a packet with a COOKIE ACK */
    peer_begin_tag(peer, SOME_TAG);
    cookie_ack_write(&peer->writer);
    peer_write_data(peer, 1, 0, 0, WHOLE, 100);
    peer_send(peer);
    expect(peer, NONE);
}

/* 8.4 comes after the checksum (6.8). */
static void test_bad_checksum(void **state)
{
    struct peer *peer = *state;

    peer_begin_tag(peer, SOME_TAG);
    peer_write_data(peer, 1, 0, 0, WHOLE, 100);
    assert_true(packet_finish(&peer->writer));
    for (size_t i = 0; i < peer->writer.length; i++) {
        peer->packet[i] ^= 0x40;
        peer_send_bytes(peer, peer->packet, peer->writer.length);
        expect(peer, NONE);
        peer->packet[i] ^= 0x40;
    }
    assert_int_equal(statistics(peer).bad_checksum, peer->writer.length);
    peer_send_bytes(peer, peer->packet, peer->writer.length);
    expect_abort_reflected(peer);
}

/* 3.1: port 0 "MUST NOT be used"; an answer to it could not be either. */
static void test_port_zero(void **state)
{
    struct peer *peer = *state;

    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    peer->port = 0;
    peer_send_init(peer);
    expect(peer, NONE);
    peer_begin_tag(peer, SOME_TAG);
    peer_write_data(peer, 1, 0, 0, WHOLE, 100);
    peer_send(peer);
    expect(peer, NONE);
    peer->port = PEER_PORT;
    peer->engine_port = 0;
    peer_send_init(peer);
    expect(peer, NONE);
}

/* ---- 8.5 --------------------------------------------------------------------------------------
 */

/* Another tag than ours: silently discarded, and nothing of it is done. */
static void test_wrong_tag(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    peer->engine_tag ^= 1;
    peer_send_data(peer, 1000, 0, 0, WHOLE, 100);
    peer_begin(peer);
    heartbeat_write(&peer->writer, SCTP_CHUNK_HEARTBEAT, "12345678", 8);
    peer_send(peer);
    peer_send_shutdown(peer, peer->engine_initial_tsn - 1);
    peer_send_plain(peer, SCTP_CHUNK_SHUTDOWN_ACK, 0);
    peer_send_sack(peer, peer->engine_initial_tsn - 1);
    expect(peer, NONE);
    assert_true(statistics(peer).bad_tag >= 4);
    peer->engine_tag = 0;
    peer_send_data(peer, 1000, 0, 0, WHOLE, 100);
    peer->engine_tag = peer->tag;
    peer_send_data(peer, 1000, 0, 0, WHOLE, 100);
    expect(peer, NONE);
    expect_no_event(peer, BRAID_EVENT_READABLE);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
}

/* 8.5.1 B: our tag without the T bit, or the peer's with it. */
static void test_abort_tags(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    peer_send_plain(peer, SCTP_CHUNK_ABORT, SCTP_FLAG_TAG_REFLECTED);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    peer_begin_tag(peer, peer->tag);
    chunk_write(&peer->writer, SCTP_CHUNK_ABORT, 0, NULL, 0);
    peer_send(peer);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    peer_begin_tag(peer, SOME_TAG);
    chunk_write(&peer->writer, SCTP_CHUNK_ABORT, 0, NULL, 0);
    peer_send(peer);
    peer_begin_tag(peer, 0);
    chunk_write(&peer->writer, SCTP_CHUNK_ABORT, 0, NULL, 0);
    peer_send(peer);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    peer_begin_tag(peer, peer->tag);
    chunk_write(&peer->writer, SCTP_CHUNK_ABORT, SCTP_FLAG_TAG_REFLECTED, NULL, 0);
    peer_send(peer);
    expect_down(peer, BRAID_DOWN_ABORTED_BY_PEER);
    expect(peer, NONE);

    peer = peer_renew(state, NULL);
    peer_accept(peer);
    peer_send_plain(peer, SCTP_CHUNK_ABORT, 0xfe); /* reserved bits are not looked at */
    expect_down(peer, BRAID_DOWN_ABORTED_BY_PEER);
    expect(peer, NONE);
}

/* 8.5.1 C: the same for SHUTDOWN COMPLETE, and only in SHUTDOWN-ACK-SENT. */
static void test_shutdown_complete_tags(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    peer_send_plain(peer, SCTP_CHUNK_SHUTDOWN_COMPLETE, 0);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    peer_send_shutdown(peer, peer->engine_initial_tsn - 1);
    expect(peer, "SHUTDOWN_ACK");
    peer_send_plain(peer, SCTP_CHUNK_SHUTDOWN_COMPLETE, SCTP_FLAG_TAG_REFLECTED);
    assert_int_equal(peer_state(peer), BRAID_SHUTDOWN_ACK_SENT);
    peer_begin_tag(peer, peer->tag);
    shutdown_complete_write(&peer->writer, false);
    peer_send(peer);
    assert_int_equal(peer_state(peer), BRAID_SHUTDOWN_ACK_SENT);
    peer_begin_tag(peer, peer->tag);
    shutdown_complete_write(&peer->writer, true);
    peer_send(peer);
    expect_down(peer, BRAID_DOWN_SHUTDOWN);
}

/* 8.5.1 E and 9.2: a SHUTDOWN ACK while setting up is out of the blue. */
static void test_shutdown_ack_while_setting_up(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;

    peer_start_connect(peer);
    peer_read_init(peer, expect(peer, "INIT"));
    for (int i = 0; i < 2; i++) {
        send_blue(peer, SCTP_CHUNK_SHUTDOWN_ACK);
        sent = expect(peer, "SHUTDOWN_COMPLETE");
        assert_int_equal(sent->header.verification_tag, SOME_TAG);
        assert_int_equal(sent_chunk(sent, SCTP_CHUNK_SHUTDOWN_COMPLETE).flags,
                         SCTP_FLAG_TAG_REFLECTED);
        assert_int_equal(peer_state(peer), i ? BRAID_COOKIE_ECHOED : BRAID_COOKIE_WAIT);
        if (i == 0) {
            peer_send_init_ack(peer);
            expect(peer, "COOKIE_ECHO");
        }
    }
    expect_after(peer, 1 * SECOND, "COOKIE_ECHO"); /* T1 was left running */
}

/* ---- 3.2: unknown chunks ----------------------------------------------------------------------
 */

/* By the two highest bits: stop or skip, report or not. */
static void test_unknown_chunks(void **state)
{
    static const struct {
        uint8_t type;
        bool stop, report;
    } cases[] = {
        {0x3d, true, false}, {0x7d, true, true}, {0xbd, false, false}, {0xfd, false, true}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer *peer = peer_renew(state, NULL);
        bool reported = false, acknowledged = false;
        struct sctp_parameter cause;
        struct sctp_chunk chunk;
        const struct sent *sent;

        peer_accept(peer);
        peer_begin(peer);
        chunk_write(&peer->writer, cases[i].type, 0x5a, "strange", 7);
        peer_write_data(peer, 1000, 0, 0, WHOLE, 100);
        peer_send(peer);
        while ((sent = peer_next(peer))) {
            acknowledged |= sent_count(sent, SCTP_CHUNK_SACK) > 0;
            if (sent_count(sent, SCTP_CHUNK_ERROR) == 0)
                continue;
            reported = true;
            cause = sent_cause(sent, SCTP_CAUSE_UNRECOGNIZED_CHUNK_TYPE);
            assert_true(unrecognized_chunk_type_read(&cause, &chunk));
            assert_int_equal(chunk.type, cases[i].type);
            assert_int_equal(chunk.flags, 0x5a);
            assert_int_equal(chunk.length, 11);
            assert_memory_equal(chunk.value, "strange", 7);
        }
        assert_int_equal(reported, cases[i].report);
        assert_int_equal(acknowledged, !cases[i].stop);
        if (cases[i].stop)
            expect_no_event(peer, BRAID_EVENT_READABLE);
        else
            expect_message(peer, 0, 1000, 100);
        assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    }
}

/* It is reported whole, as long as the ERROR fits a packet. */
static void test_long_unknown_chunk(void **state)
{
    static const uint8_t bytes[1456];
    struct peer *peer = *state;
    struct sctp_parameter cause;
    struct sctp_chunk chunk;

    peer_accept(peer);
    peer_begin(peer);
    chunk_write(&peer->writer, 0xfd, 0, bytes, sizeof(bytes));
    peer_send(peer);
    cause = sent_cause(expect(peer, "ERROR"), SCTP_CAUSE_UNRECOGNIZED_CHUNK_TYPE);
    assert_true(unrecognized_chunk_type_read(&cause, &chunk));
    assert_int_equal(chunk.length, 4 + sizeof(bytes));
    /* one that does not leaves room for another */
    peer_begin(peer);
    chunk_write(&peer->writer, 0xfd, 0, bytes, sizeof(bytes));
    chunk_write(&peer->writer, 0xfd, 0, bytes, 4);
    chunk_write(&peer->writer, 0xfd, 0, bytes, 1);
    peer_send(peer);
    cause = sent_cause(expect(peer, "ERROR"), SCTP_CAUSE_UNRECOGNIZED_CHUNK_TYPE);
    assert_true(unrecognized_chunk_type_read(&cause, &chunk));
    assert_in_range(chunk.length, 5, 4 + sizeof(bytes));
}

/* Where the path takes no packet of its length, nothing is said of it, not even with an empty one.
 */
static void test_unknown_chunk_longer_than_the_path(void **state)
{
    static const uint8_t bytes[1000];
    struct peer *peer = peer_renew(state, &(struct peer_config){.mtu = 576});
    const struct sent *sent;

    peer_accept(peer);
    peer_begin(peer);
    chunk_write(&peer->writer, 0xfd, 0, bytes, sizeof(bytes));
    peer_send(peer);
    expect(peer, NONE);
    peer_begin(peer);
    chunk_write(&peer->writer, 0xfd, 0, bytes, sizeof(bytes));
    chunk_write(&peer->writer, 0xfe, 0, bytes, 1);
    peer_send(peer);
    sent = expect(peer, "ERROR");
    assert_int_equal(sent->length, 12 + 4 + 4 + 8);
}

/* Before COOKIE ACK there is nowhere to report to: the peer's tag is not known, then nothing but
 * the setup's chunks may be sent (5.1 C). */
static void test_unknown_chunk_while_setting_up(void **state)
{
    struct peer *peer = *state;

    peer_start_connect(peer);
    peer_read_init(peer, expect(peer, "INIT"));
    for (int i = 0; i < 2; i++) {
        peer_begin(peer);
        chunk_write(&peer->writer, 0xfd, 0, "strange", 7);
        peer_send(peer);
        expect(peer, NONE);
        if (i == 0) {
            peer_send_init_ack(peer);
            expect(peer, "COOKIE_ECHO");
        }
    }
}

/* What stands before an unknown chunk that stops is done. */
static void test_chunks_before_an_unknown_one(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    peer_begin(peer);
    peer_write_data(peer, 1000, 0, 0, WHOLE, 100);
    chunk_write(&peer->writer, 0x3d, 0, "strange", 7);
    peer_send(peer);
    expect(peer, "SACK");
    expect_message(peer, 0, 1000, 100);
}

/* A packet full of chunks to report is answered by no more than a packet. */
static void test_many_unknown_chunks(void **state)
{
    static uint8_t value[1400];
    struct peer *peer = *state;

    peer_accept(peer);
    peer_begin(peer);
    for (int i = 0; i < 300; i++)
        chunk_write(&peer->writer, 0xfd, 0, NULL, 0);
    peer_send(peer);
    assert_in_range(peer_skip(peer), 1, 3);
    peer_begin(peer);
    for (int i = 0; i < 10; i++)
        chunk_write(&peer->writer, 0xfd, 0, value, sizeof(value));
    peer_send(peer);
    assert_in_range(peer_skip(peer), 0, 10);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
}

/* ERRORs are told to the user, causes as they are on the wire. */
static void test_error_is_told(void **state)
{
    struct peer *peer = *state;
    const struct braid_event *event;
    size_t start;

    peer_accept(peer);
    peer_begin(peer);
    start = error_begin(&peer->writer);
    invalid_stream_identifier_write(&peer->writer, 12);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    event = expect_event(peer, BRAID_EVENT_REMOTE_ERROR);
    assert_int_equal(event->cause, SCTP_CAUSE_INVALID_STREAM_IDENTIFIER);
    assert_int_equal(event->length, 8);
    assert_memory_equal(event->bytes, "\0\1\0\10\0\14\0\0", 8);
    expect(peer, NONE);
}

/* ---- 6.10: malformed packets ------------------------------------------------------------------
 */

/* "If the receiver detects a partial chunk, it MUST drop the chunk"; what came before stands. */
static void test_partial_chunk(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    peer_begin(peer);
    peer_write_data(peer, 1000, 0, 0, WHOLE, 100);
    peer_write_data(peer, 1001, 0, 1, WHOLE, 100);
    peer->writer.length -= 40;
    peer_send(peer);
    peer_skip(peer);
    peer_advance(peer, 1 * SECOND);
    peer_skip(peer);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    /* the second was not taken: it is new when it comes whole */
    peer_begin(peer);
    peer_write_data(peer, 1000, 0, 0, WHOLE, 100);
    peer_write_data(peer, 1001, 0, 1, WHOLE, 100);
    peer_send(peer);
    expect_message(peer, 0, 1000, 100);
    expect_message(peer, 0, 1001, 100);
    expect_no_message(peer);
}

/* Chunks whose length cannot be. */
static void test_impossible_lengths(void **state)
{
    static const uint16_t lengths[] = {0, 1, 2, 3, 5, 15, 65535, 121};
    struct peer *peer = *state;

    peer_accept(peer);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        peer_begin(peer);
        peer_write_data(peer, 1000, 0, 0, WHOLE, 100);
        wire_put_u16(peer->packet + SCTP_COMMON_HEADER_LENGTH + 2, lengths[i]);
        peer_send(peer);
        peer_skip(peer);
        expect_no_event(peer, BRAID_EVENT_READABLE);
    }
    for (size_t length = 0; length < 16; length++)
        peer_send_bytes(peer, peer->packet, length);
    peer_skip(peer);
    if (peer_state(peer) == BRAID_ESTABLISHED) {
        peer_send_data(peer, 1000, 0, 0, WHOLE, 100);
        expect_message(peer, 0, 1000, 100);
    }
}

/* 3.2: "expected to accept the chunk whether or not the final padding has been included". */
static void test_padding_counted_in_the_length(void **state)
{
    struct peer *peer = *state;
    size_t start;

    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    start = peer_begin_init(peer, SCTP_CHUNK_INIT);
    parameter_write(&peer->writer, SCTP_PARAMETER_SUPPORTED_ADDRESS_TYPES, "\0\5", 2);
    chunk_end(&peer->writer, start);
    wire_put_u16(peer->packet + SCTP_COMMON_HEADER_LENGTH + 2, 28);
    peer_send(peer);
    expect(peer, "INIT_ACK");
    /* and padding that is not zero is ignored */
    start = peer_begin_init(peer, SCTP_CHUNK_INIT);
    parameter_write(&peer->writer, SCTP_PARAMETER_SUPPORTED_ADDRESS_TYPES, "\0\5", 2);
    chunk_end(&peer->writer, start);
    peer->packet[peer->writer.length - 1] = 0xff;
    peer_send(peer);
    expect(peer, "INIT_ACK");
}

/* A link that vouches for a packet: its checksum is not looked at. */
static void test_checksum_of_the_link(void **state)
{
    struct peer *peer = *state;
    struct braid_packet packet;

    peer_begin_tag(peer, SOME_TAG);
    peer_write_data(peer, 1, 0, 0, WHOLE, 100);
    assert_true(packet_finish_without_checksum(&peer->writer));
    peer_send_bytes(peer, peer->packet, peer->writer.length);
    expect(peer, NONE);
    packet = (struct braid_packet){.bytes = peer->packet,
                                   .length = peer->writer.length,
                                   .source = peer->there[0],
                                   .destination = peer->here[0],
                                   .checksum_good = true};
    braid_engine_receive(peer->engine, &packet, 1, peer->now);
    expect_abort_reflected(peer);
}

/* Packets are built without checksums for who does not know yet where they go, and get them then:
 * each of its own. */
static void test_checksum_comes_later(void **state)
{
    static const uint8_t message[3000];
    static uint8_t bytes[65535];
    struct braid_send send = {0};
    struct peer *peer = *state;
    struct braid_batch batch = {
        .bytes = bytes, .capacity = sizeof(bytes), .maximum_packets = 16, .finish_later = true};
    size_t last;

    peer_accept(peer);
    assert_int_equal(
        braid_send(peer->engine, peer->association, &send, message, sizeof(message), peer->now), 0);
    assert_true(braid_engine_transmit(peer->engine, &batch, peer->now));
    assert_true(batch.count > 1);
    last = (batch.count - 1) * batch.segment_size;
    assert_int_equal(packet_read_checksum(bytes), 0);
    assert_int_equal(packet_read_checksum(bytes + last), 0);
    braid_batch_finish(&batch);
    assert_true(packet_verify_checksum(bytes, batch.segment_size));
    assert_true(packet_verify_checksum(bytes + last, batch.length - last));
}

/* ---- Packets that an engine sends to itself ---------------------------------------------------
 */

enum { LARGE = 50000, SMALL = 100, LARGE_MTU = 65535 };

/* Everything that is due goes from one association to the other; what was lent is not in the
 * packets. Returns how many bytes of payloads were lent. */
static size_t carry(struct peer *peer, bool whole)
{
    static uint8_t bytes[65535];
    struct braid_loan loan;
    struct braid_batch batch = {.bytes = bytes,
                                .capacity = sizeof(bytes),
                                .maximum_packets = 16,
                                .finish_later = true,
                                .loan = &loan};
    size_t lent = 0;

    while (braid_engine_transmit(peer->engine, &batch, peer->now)) {
        struct braid_packet packets[16];
        size_t count = link_batch_packets(&batch, 0, packets, 16);

        for (size_t i = 0; i < loan.count; i++) {
            assert_true(loan.payloads[i].place >= bytes);
            assert_true(loan.payloads[i].place + loan.payloads[i].length <= bytes + batch.length);
            memset(loan.payloads[i].place, 0xee, loan.payloads[i].length);
            lent += loan.payloads[i].length;
        }
        if (whole) {
            braid_batch_finish(&batch);
            assert_true(packet_verify_checksum(bytes, packets[0].length));
            braid_engine_receive(peer->engine, packets, count, peer->now);
            continue;
        }
        for (size_t i = 0; i < count; i++)
            packets[i].checksum_good = true;
        braid_engine_receive_own(peer->engine, packets, count, &loan, peer->now);
    }
    return lent;
}

static uint32_t accepted(struct peer *peer)
{
    struct braid_event event;
    uint32_t association = 0;

    while (braid_engine_next_event(peer->engine, &event))
        if (event.type == BRAID_EVENT_UP && event.association != peer->association)
            association = event.association;
    return association;
}

static void expect_bytes(struct peer *peer, uint32_t association, const uint8_t *bytes,
                         size_t length)
{
    struct braid_received received;

    assert_int_equal(braid_receive(peer->engine, association, &received, peer->now), 1);
    assert_int_equal(received.length, length);
    assert_memory_equal(received.bytes, bytes, length);
    braid_received_release(peer->engine, &received, peer->now);
}

/* A large payload is copied from the message that it is sent from into the one that is read. */
static void test_payloads_are_lent(void **state)
{
    static uint8_t large[LARGE];
    struct peer *peer = *state;
    struct braid_endpoint_config config = {
        .addresses = peer->here, .address_count = 1, .ipv4 = true};
    struct braid_send send = {0};
    uint32_t endpoint, receiver;

    for (size_t i = 0; i < sizeof(large); i++)
        large[i] = (uint8_t)(i * 7 + i / 251);
    peer->mtu = LARGE_MTU;
    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 1), 0);
    assert_int_equal(braid_endpoint_open(peer->engine, &config, &endpoint), 0);
    assert_int_equal(braid_connect(peer->engine, endpoint, peer->here, 1, peer->engine_port, 0,
                                   peer->now, &peer->association),
                     0);
    assert_int_equal(carry(peer, false), 0);
    receiver = accepted(peer);
    assert_int_not_equal(receiver, 0);
    for (int whole = 0; whole < 2; whole++) {
        for (int i = 0; i < 2; i++) {
            assert_int_equal(
                braid_send(peer->engine, peer->association, &send, large, LARGE, peer->now), 0);
            assert_int_equal(
                braid_send(peer->engine, peer->association, &send, large, SMALL, peer->now), 0);
        }
        assert_in_range(carry(peer, whole), 2 * (LARGE - 5000), 2 * LARGE);
        for (int i = 0; i < 2; i++) {
            expect_bytes(peer, receiver, large, LARGE);
            expect_bytes(peer, receiver, large, SMALL);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_blue_data),
        peer_test(test_blue_from_many),
        peer_test(test_blue_abort),
        peer_test(test_blue_cookie_echo),
        peer_test(test_blue_shutdown_ack),
        peer_test(test_blue_silence),
        peer_test(test_bad_checksum),
        peer_test(test_port_zero),
        peer_test(test_wrong_tag),
        peer_test(test_abort_tags),
        peer_test(test_shutdown_complete_tags),
        peer_test(test_shutdown_ack_while_setting_up),
        peer_test(test_unknown_chunks),
        peer_test(test_long_unknown_chunk),
        peer_test(test_unknown_chunk_longer_than_the_path),
        peer_test(test_unknown_chunk_while_setting_up),
        peer_test(test_chunks_before_an_unknown_one),
        peer_test(test_many_unknown_chunks),
        peer_test(test_error_is_told),
        peer_test(test_partial_chunk),
        peer_test(test_impossible_lengths),
        peer_test(test_padding_counted_in_the_length),
        peer_test(test_payloads_are_lent),
        peer_test(test_checksum_of_the_link),
        peer_test(test_checksum_comes_later),
    };

    return cmocka_run_group_tests_name("RFC 9260, 3.2, 8.4 and 8.5", tests, NULL, NULL);
}
