/*
 * Tests: duplicate and unexpected INIT, INIT ACK, COOKIE ECHO and COOKIE ACK chunks, RFC 9260
 * section 5.2, row by row.
 */
#include "peer.h"

enum { OTHER_TAG = 0x11223344 };

/* The engine calls while it listens, and its INIT is read. */
static void call_while_listening(struct peer *peer)
{
    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    peer_start_connect(peer);
    peer_read_init(peer, expect(peer, "INIT"));
}

/* Answers the INIT that was read. */
static void reach_cookie_echoed(struct peer *peer)
{
    peer_send_init_ack(peer);
    expect(peer, "COOKIE_ECHO");
    assert_int_equal(peer_state(peer), BRAID_COOKIE_ECHOED);
}

/* ---- 5.2.1: INIT in COOKIE-WAIT or COOKIE-ECHOED ----------------------------------------------
 */

/* "an INIT ACK using the same parameters it sent in its original INIT", the state unchanged, T1
 * left running; then row (M, 0) of the table: action B. */
static void test_init_in_cookie_wait(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;
    uint32_t tag, tsn;

    call_while_listening(peer);
    tag = peer->engine_tag;
    tsn = peer->engine_initial_tsn;
    peer_send_init(peer);
    sent = expect(peer, "INIT_ACK");
    assert_int_equal(sent->header.verification_tag, peer->tag);
    peer_read_init(peer, sent);
    assert_int_equal(peer->engine_tag, tag);
    assert_int_equal(peer->engine_initial_tsn, tsn);
    assert_int_equal(peer_state(peer), BRAID_COOKIE_WAIT);
    expect_after(peer, 1 * SECOND, "INIT");

    peer_send_cookie_echo(peer);
    sent = expect(peer, "COOKIE_ACK");
    assert_int_equal(sent->header.verification_tag, peer->tag);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    assert_int_equal(expect_event(peer, BRAID_EVENT_UP)->association, peer->association);
    expect_silence(peer, 100 * SECOND); /* T1 is stopped */
    peer_send_data(peer, peer->initial_tsn, 0, 0, WHOLE, 50);
    expect(peer, "SACK");
    expect_message(peer, 0, peer->initial_tsn, 50);
}

/* The same in COOKIE-ECHOED, with the peer's same tag: row (M, M), action D. */
static void test_init_in_cookie_echoed(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;
    uint32_t tag;

    call_while_listening(peer);
    tag = peer->engine_tag;
    reach_cookie_echoed(peer);
    peer_send_init(peer);
    sent = expect(peer, "INIT_ACK");
    peer_read_init(peer, sent);
    assert_int_equal(peer->engine_tag, tag);
    assert_int_equal(peer_state(peer), BRAID_COOKIE_ECHOED);
    peer_send_cookie_echo(peer);
    expect(peer, "COOKIE_ACK");
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    expect_event(peer, BRAID_EVENT_UP);
    /* the COOKIE ACK to our own COOKIE ECHO changes nothing any more */
    peer_send_plain(peer, SCTP_CHUNK_COOKIE_ACK, 0);
    expect_no_event(peer, BRAID_EVENT_UP);
    expect_silence(peer, 100 * SECOND);
}

/* Row (M, X): the peer took another tag for its own INIT. Action B updates the peer's tag. */
static void test_collision_with_another_tag(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;

    call_while_listening(peer);
    peer->tag = OTHER_TAG;
    peer->initial_tsn = 5000;
    peer_send_init(peer);
    peer_read_init(peer, expect(peer, "INIT_ACK"));
    peer->tag = PEER_TAG;
    peer->initial_tsn = 1000;
    reach_cookie_echoed(peer);
    peer_send_cookie_echo(peer);
    sent = expect(peer, "COOKIE_ACK");
    assert_int_equal(sent->header.verification_tag, OTHER_TAG);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    assert_int_equal(peer_info(peer).peer_tag, OTHER_TAG);
    expect_event(peer, BRAID_EVENT_UP);
    /* the TSNs that count are those of the INIT in the cookie */
    peer_send_data(peer, 5000, 0, 0, WHOLE, 50);
    assert_sack(expect(peer, "SACK"), 5000, 0, 0);
    expect_silence(peer, 100 * SECOND);
}

/* RFC 9653: the INIT whose tag counts from now on does not accept a checksum of zero, as the INIT
 * ACK did: no packet goes without CRC32c any more. */
static void test_collision_without_zero_checksum(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;
    const struct sent *sent;

    parameters.error_detection_method = 1;
    peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
    peer->error_detection_method = 1;
    call_while_listening(peer);
    reach_cookie_echoed(peer);
    peer->error_detection_method = 0;
    peer->tag = OTHER_TAG;
    peer_send_init(peer);
    peer_read_init(peer, expect(peer, "INIT_ACK"));
    peer_send_plain(peer, SCTP_CHUNK_COOKIE_ACK, 0);
    peer_send_data(peer, peer->initial_tsn, 0, 0, WHOLE, 50);
    expect(peer, "SACK");
    peer_send_cookie_echo(peer);
    sent = expect(peer, "COOKIE_ACK");
    assert_int_equal(sent->header.verification_tag, OTHER_TAG);
    assert_true(packet_verify_checksum(sent->bytes, sent->length));
}

/* "If the INIT chunk indicates that a new address has been added": ABORT, the state unchanged. */
static void test_init_in_cookie_echoed_with_new_address(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;
    size_t start;

    call_while_listening(peer);
    reach_cookie_echoed(peer);
    peer->tag = OTHER_TAG;
    start = peer_begin_init(peer, SCTP_CHUNK_INIT);
    address_parameter_write(&peer->writer, &peer->there[1]);
    chunk_end(&peer->writer, start);
    peer->tag = PEER_TAG;
    peer_send(peer);
    sent = expect(peer, "ABORT");
    assert_int_equal(sent->header.verification_tag, OTHER_TAG);
    assert_true(sent_has_cause(sent, SCTP_CAUSE_RESTART_WITH_NEW_ADDRESSES));
    assert_int_equal(peer_state(peer), BRAID_COOKIE_ECHOED);
    peer_send_plain(peer, SCTP_CHUNK_COOKIE_ACK, 0);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
}

/* ---- 5.2.2: INIT in other states --------------------------------------------------------------
 */

/* An INIT that adds an address is refused, and the address is told. */
static void test_restart_with_new_address(void **state)
{
    struct peer *peer = *state;
    struct braid_address address = {0};
    struct sctp_parameter cause, parameter;
    struct parameter_iterator iterator;
    const struct sent *sent;
    size_t start;

    peer_accept(peer);
    peer->tag = OTHER_TAG;
    start = peer_begin_init(peer, SCTP_CHUNK_INIT);
    address_parameter_write(&peer->writer, &peer->there[0]);
    address_parameter_write(&peer->writer, &peer->there[2]);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    peer->tag = PEER_TAG;
    sent = expect(peer, "ABORT");
    assert_int_equal(sent->header.verification_tag, OTHER_TAG);
    assert_int_equal(sent_chunk(sent, SCTP_CHUNK_ABORT).flags, 0);
    cause = sent_cause(sent, SCTP_CAUSE_RESTART_WITH_NEW_ADDRESSES);
    parameter_iterator_init(&iterator, cause.value, cause.value_length);
    assert_true(parameter_next(&iterator, &parameter));
    assert_true(address_parameter_read(&parameter, &address));
    assert_true(braid_address_equal(&address, &peer->there[2]));
    assert_false(parameter_next(&iterator, &parameter));
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    peer_send_data(peer, peer->initial_tsn, 0, 0, WHOLE, 50);
    expect(peer, "SACK");
    expect_message(peer, 0, peer->initial_tsn, 50);
}

/* 5.1.2, 4: an INIT from a new source belongs to the association if it lists a known address. */
static void test_restart_from_new_address(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;
    size_t start;

    peer_accept(peer);
    peer->tag = OTHER_TAG;
    start = peer_begin_init(peer, SCTP_CHUNK_INIT);
    address_parameter_write(&peer->writer, &peer->there[0]);
    chunk_end(&peer->writer, start);
    peer_send_from(peer, &peer->there[2], &peer->here[0]);
    peer->tag = PEER_TAG;
    sent = expect(peer, "ABORT");
    assert_int_equal(sent->header.verification_tag, OTHER_TAG);
    assert_true(braid_address_equal(&sent->destination, &peer->there[2]));
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
}

/* The existing association "MUST NOT be changed" by an INIT. */
static void test_init_changes_nothing(void **state)
{
    struct peer *peer = *state;
    struct braid_association_info before, after;
    const struct sent *sent;
    uint32_t tag;

    peer_accept(peer);
    tag = peer->engine_tag;
    before = peer_info(peer);
    peer->tag = OTHER_TAG;
    peer_send_init(peer);
    sent = expect(peer, "INIT_ACK");
    assert_int_equal(sent->header.verification_tag, OTHER_TAG);
    assert_int_not_equal(sent_init(sent).initiate_tag, tag);
    peer->tag = PEER_TAG;
    after = peer_info(peer);
    assert_int_equal(after.state, BRAID_ESTABLISHED);
    assert_int_equal(after.local_tag, before.local_tag);
    assert_int_equal(after.peer_tag, before.peer_tag);
    peer_send_data(peer, peer->initial_tsn, 0, 0, WHOLE, 50);
    sent = expect(peer, "SACK");
    assert_int_equal(sent->header.verification_tag, PEER_TAG);
    expect_no_event(peer, BRAID_EVENT_RESTART);
}

/* 3.3.2: an INIT with invalid values "MUST NOT change the state of any existing association". */
static void test_invalid_init_changes_nothing(void **state)
{
    struct peer *peer = *state;
    size_t start;

    peer_accept(peer);
    peer->tag = OTHER_TAG;
    peer->outbound_streams = 0;
    peer_send_init(peer);
    assert_int_equal(expect(peer, "ABORT")->header.verification_tag, OTHER_TAG);
    peer->outbound_streams = 1;
    start = peer_begin_init(peer, SCTP_CHUNK_INIT);
    parameter_write(&peer->writer, SCTP_PARAMETER_HOST_NAME_ADDRESS, "example.org", 12);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    assert_int_equal(expect(peer, "ABORT")->header.verification_tag, OTHER_TAG);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    expect_no_event(peer, BRAID_EVENT_DOWN);
}

/* 9.2: an INIT in SHUTDOWN-ACK-SENT is discarded and the SHUTDOWN ACK is sent again. */
static void test_init_in_shutdown_ack_sent(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    peer_send_shutdown(peer, peer->engine_initial_tsn - 1);
    expect(peer, "SHUTDOWN_ACK");
    assert_int_equal(peer_state(peer), BRAID_SHUTDOWN_ACK_SENT);
    peer->tag = OTHER_TAG;
    peer_send_init(peer);
    assert_int_equal(expect(peer, "SHUTDOWN_ACK")->header.verification_tag, PEER_TAG);
    expect(peer, NONE);
    assert_int_equal(peer_state(peer), BRAID_SHUTDOWN_ACK_SENT);
}

/* ---- 5.2.3: INIT ACK ------------------------------------------------------------------------- */

static void test_unexpected_init_ack(void **state)
{
    struct peer *peer = *state;

    call_while_listening(peer);
    reach_cookie_echoed(peer);
    peer_send_init_ack(peer);
    expect(peer, NONE);
    assert_int_equal(peer_state(peer), BRAID_COOKIE_ECHOED);
    peer_send_plain(peer, SCTP_CHUNK_COOKIE_ACK, 0);
    peer_send_init_ack(peer);
    expect(peer, NONE);
    peer->outbound_streams = 0;
    peer_send_init_ack(peer);
    expect(peer, NONE);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
}

/* ---- 5.2.4: COOKIE ECHO -----------------------------------------------------------------------
 */

/* Asks for a cookie as a peer that restarted, with the tag OTHER_TAG. */
static void ask_for_restart(struct peer *peer)
{
    peer->tag = OTHER_TAG;
    peer->initial_tsn = 70000;
    peer_send_init(peer);
    peer_read_init(peer, expect(peer, "INIT_ACK"));
}

/* Action A: the peer restarted. */
static void test_restart(void **state)
{
    struct peer *peer = *state;
    struct braid_association_info info;
    const struct sent *sent;
    uint32_t tag;

    peer_accept(peer);
    tag = peer->engine_tag;
    /* both sides have sent something, so that the numbers stand elsewhere than at the start */
    peer_send_data(peer, peer->initial_tsn, 0, 0, WHOLE, 50);
    expect(peer, "SACK");
    expect_message(peer, 0, peer->initial_tsn, 50);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(peer_user_send(peer, 0, 1400), 0);
        expect_within(peer, 1 * MS, "DATA");
        peer_send_sack(peer, peer->engine_initial_tsn + (uint32_t)i);
    }
    ask_for_restart(peer);
    assert_int_not_equal(peer->engine_tag, tag);
    peer_send_cookie_echo(peer);
    sent = expect(peer, "COOKIE_ACK");
    assert_int_equal(sent->header.verification_tag, OTHER_TAG);
    assert_int_equal(expect_event(peer, BRAID_EVENT_RESTART)->association, peer->association);
    expect_no_event(peer, BRAID_EVENT_DOWN);
    info = peer_info(peer);
    assert_int_equal(info.state, BRAID_ESTABLISHED);
    assert_int_equal(info.local_tag, peer->engine_tag);
    assert_int_equal(info.peer_tag, OTHER_TAG);
    assert_int_equal(info.outstanding_chunks, 0);
    /* 5.2.4 A: congestion control starts anew; TSNs and SSNs too */
    assert_int_equal(peer_path(peer, 0).cwnd, 4404);
    peer_send_data(peer, peer->initial_tsn, 0, 0, WHOLE, 60);
    assert_sack(expect(peer, "SACK"), peer->initial_tsn, 0, 0);
    expect_message(peer, 0, peer->initial_tsn, 60);
    assert_int_equal(peer_user_send(peer, 0, 10), 0);
    sent = expect(peer, "DATA");
    assert_int_equal(sent_data(sent, 0).tsn, peer->engine_initial_tsn);
    assert_int_equal(sent_data(sent, 0).ssn, 0);
}

/* Action A while data is outstanding: the old TSNs do not come back with the new tag. */
static void test_restart_with_data_outstanding(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;

    peer_accept(peer);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    expect(peer, "DATA");
    ask_for_restart(peer);
    peer_send_cookie_echo(peer);
    expect_event(peer, BRAID_EVENT_RESTART);
    sent = peer_next(peer);
    assert_int_equal(sent_count(sent, SCTP_CHUNK_COOKIE_ACK), 1);
    /* what was outstanding has failed, or goes again with the new numbers */
    if (sent_count(sent, SCTP_CHUNK_DATA) == 0)
        sent = peer_next(peer);
    if (sent)
        assert_int_equal(sent_data(sent, 0).tsn, peer->engine_initial_tsn);
    else
        assert_int_equal(expect_event(peer, BRAID_EVENT_SEND_FAILED)->length, 100);
    peer_send_sack(peer, peer->engine_initial_tsn - (sent ? 0 : 1));
    peer_skip(peer);
    expect_silence(peer, 100 * SECOND);
}

/* Half a message and one out of order, both of the old life, are not mixed with the new one. */
static void test_restart_forgets_fragments(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    peer_send_data(peer, 1000, 0, 0, SCTP_DATA_FLAG_BEGINNING, 50);
    peer_send_data(peer, 1002, 1, 1, WHOLE, 50);
    peer_skip(peer);
    ask_for_restart(peer);
    peer_send_cookie_echo(peer);
    expect(peer, "COOKIE_ACK");
    peer_send_data(peer, 70000, 1, 0, WHOLE, 60);
    assert_sack(expect(peer, "SACK"), 70000, 0, 0);
    peer_send_data(peer, 70001, 0, 0, WHOLE, 70);
    expect_message(peer, 1, 70000, 60);
    expect_message(peer, 0, 70001, 70);
    expect_no_message(peer);
    assert_int_equal(peer_info(peer).receive_chunks_waiting, 0);
}

/* A message is being delivered in pieces, and whole ones of other streams wait behind it, when the
 * peer begins anew: the reader, who had nothing more to read, is told that they can be read. */
static void test_restart_in_partial_delivery(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct braid_received piece;
    struct peer *peer;

    parameters.partial_delivery_point = 50;
    peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
    peer_accept(peer);
    peer_send_data(peer, 1000, 0, 0, SCTP_DATA_FLAG_BEGINNING, 50);
    peer_send_data(peer, 1002, 1, 0, WHOLE, 60);
    expect_event(peer, BRAID_EVENT_READABLE);
    assert_int_equal(braid_receive(peer->engine, peer->association, &piece, peer->now), 1);
    braid_received_release(peer->engine, &piece, peer->now);
    expect_no_message(peer);
    expect_no_event(peer, BRAID_EVENT_READABLE);
    peer_skip(peer);
    ask_for_restart(peer);
    peer_send_cookie_echo(peer);
    expect_event(peer, BRAID_EVENT_PARTIAL_DELIVERY_ABORTED);
    expect_event(peer, BRAID_EVENT_READABLE);
    expect_message(peer, 1, 1002, 60);
}

/* DATA comes over the third path; then the peer begins anew, with one address, and DATA of that
 * TSN. */
static void restart_after_data(struct peer *peer, uint32_t tsn)
{
    peer_begin(peer);
    peer_write_data(peer, 1000, 0, 0, WHOLE, 50);
    peer_send_over(peer, 2);
    expect(peer, "SACK");
    ask_for_restart(peer);
    peer_begin(peer);
    cookie_echo_write(&peer->writer, peer->cookie, peer->cookie_length);
    peer_write_data(peer, tsn, 0, 0, WHOLE, 60);
    peer_send(peer);
    expect_event(peer, BRAID_EVENT_RESTART);
}

/* Action A with fewer addresses, and the first DATA is known already: the SACK for it turns from no
 * path that is gone. */
static void test_restart_with_fewer_addresses_and_duplicate(void **state)
{
    struct peer *peer = peer_renew(state, &(struct peer_config){.paths = 3});
    struct sctp_heartbeat heartbeat = {0};
    struct sctp_chunk chunk;

    peer_connect(peer);
    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    assert_int_equal(braid_path_request_heartbeat(peer->engine, peer->association, 2, peer->now),
                     0);
    peer_run(peer);
    chunk = sent_chunk(expect(peer, "HEARTBEAT"), SCTP_CHUNK_HEARTBEAT);
    assert_true(heartbeat_read(&chunk, &heartbeat));
    peer_begin(peer);
    heartbeat_write(&peer->writer, SCTP_CHUNK_HEARTBEAT_ACK, heartbeat.info, heartbeat.info_length);
    peer_send_over(peer, 2);
    restart_after_data(peer, 69999);
    expect(peer, "COOKIE_ACK SACK");
}

/* Action A with fewer addresses than before: nothing points to those that are gone. */
static void test_restart_with_fewer_addresses(void **state)
{
    struct peer *peer = peer_renew(state, &(struct peer_config){.paths = 3});

    peer_connect(peer);
    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    assert_int_equal(braid_path_set_primary(peer->engine, peer->association, 2, peer->now), 0);
    restart_after_data(peer, 70000);
    peer_skip(peer);
    assert_int_equal(peer_info(peer).path_count, 1);
    assert_int_equal(peer_info(peer).primary_path, 0);
    expect_message(peer, 0, 1000, 50); /* it was ready before */
    expect_message(peer, 0, 70000, 60);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    assert_true(braid_address_equal(&expect(peer, "DATA")->destination, &peer->there[0]));
}

/* Action A in SHUTDOWN-ACK-SENT: SHUTDOWN ACK and an ERROR. */
static void test_restart_in_shutdown_ack_sent(void **state)
{
    struct peer *peer = *state;
    uint32_t old_tag, old_tsn, new_tag;
    const struct sent *sent;

    peer_accept(peer);
    old_tag = peer->engine_tag;
    old_tsn = peer->engine_initial_tsn;
    ask_for_restart(peer);
    new_tag = peer->engine_tag;
    peer->engine_tag = old_tag;
    peer_send_shutdown(peer, old_tsn - 1);
    expect(peer, "SHUTDOWN_ACK");
    assert_int_equal(peer_state(peer), BRAID_SHUTDOWN_ACK_SENT);
    peer->engine_tag = new_tag;
    peer_send_cookie_echo(peer);
    sent = peer_next(peer);
    assert_non_null(sent);
    assert_int_equal(sent_count(sent, SCTP_CHUNK_SHUTDOWN_ACK), 1);
    if (sent_count(sent, SCTP_CHUNK_ERROR) == 0)
        sent = expect(peer, "ERROR");
    assert_true(sent_has_cause(sent, SCTP_CAUSE_COOKIE_WHILE_SHUTTING_DOWN));
    expect(peer, NONE);
    assert_int_equal(peer_state(peer), BRAID_SHUTDOWN_ACK_SENT);
    expect_no_event(peer, BRAID_EVENT_RESTART);
}

/* Row (X, M, 0, 0), action C: our own cookie arrived late. */
static void test_late_cookie(void **state)
{
    struct peer *peer = *state;
    uint32_t late_tag, tag;

    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    peer_send_init(peer);
    peer_read_init(peer, expect(peer, "INIT_ACK"));
    late_tag = peer->engine_tag;
    peer_start_connect(peer);
    peer_read_init(peer, expect(peer, "INIT"));
    tag = peer->engine_tag;
    reach_cookie_echoed(peer);
    peer->engine_tag = late_tag;
    peer_send_cookie_echo(peer);
    expect(peer, NONE);
    assert_int_equal(peer_state(peer), BRAID_COOKIE_ECHOED);
    peer->engine_tag = tag;
    expect_after(peer, 1 * SECOND, "COOKIE_ECHO"); /* timers are left running */
    peer_send_plain(peer, SCTP_CHUNK_COOKIE_ACK, 0);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
}

/* Action D: a duplicate COOKIE ECHO, even after its time. */
static void test_duplicate_cookie_echo(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    peer_send_data(peer, peer->initial_tsn, 0, 0, WHOLE, 50);
    expect(peer, "SACK");
    peer_send_cookie_echo(peer);
    expect(peer, "COOKIE_ACK");
    peer_advance(peer, 100 * SECOND);
    peer_send_cookie_echo(peer);
    expect(peer, "COOKIE_ACK");
    expect(peer, NONE);
    expect_no_event(peer, BRAID_EVENT_UP);
    expect_no_event(peer, BRAID_EVENT_RESTART);
    /* the TSNs go on where they were */
    peer_send_data(peer, peer->initial_tsn + 1, 0, 1, WHOLE, 50);
    peer_advance(peer, 500 * MS);
    assert_sack(expect(peer, "SACK"), peer->initial_tsn + 1, 0, 0);
}

/* 5.2.4, 3: an expired cookie whose tags do not match: ERROR. */
static void test_stale_restart(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    ask_for_restart(peer);
    peer_advance(peer, 70 * SECOND);
    peer_send_cookie_echo(peer);
    assert_true(sent_has_cause(expect(peer, "ERROR"), SCTP_CAUSE_STALE_COOKIE));
    expect_no_event(peer, BRAID_EVENT_RESTART);
    assert_int_equal(peer_info(peer).peer_tag, PEER_TAG);
}

/* A cookie of a time before the association, with other tags and no Tie-Tags: not in the table. */
static void test_cookie_of_no_row(void **state)
{
    struct peer *peer = *state;
    static uint8_t cookie[4096];
    size_t length;
    uint32_t tag;

    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    ask_for_restart(peer);
    length = peer->cookie_length;
    memcpy(cookie, peer->cookie, length);
    tag = peer->engine_tag;
    peer->tag = PEER_TAG;
    peer_accept(peer);
    peer->engine_tag = tag;
    memcpy(peer->cookie, cookie, length);
    peer_send_cookie_echo(peer);
    expect(peer, NONE);
    expect_no_event(peer, BRAID_EVENT_RESTART);
    assert_int_equal(peer_info(peer).peer_tag, PEER_TAG);
}

/* The same, from an address that the user did not call: the cookie lists the one that he did, so it
 * makes no second association with the same peer. */
static void test_cookie_of_no_row_from_another_address(void **state)
{
    struct peer *peer = *state;
    uint32_t cookie_tag;
    size_t start;

    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    start = peer_begin_init(peer, SCTP_CHUNK_INIT);
    address_parameter_write(&peer->writer, &peer->there[0]);
    address_parameter_write(&peer->writer, &peer->there[1]);
    chunk_end(&peer->writer, start);
    peer_send_from(peer, &peer->there[1], &peer->here[0]);
    peer_read_init(peer, expect(peer, "INIT_ACK"));
    cookie_tag = peer->engine_tag;

    peer_start_connect(peer); /* there[0] */
    peer_read_init(peer, expect(peer, "INIT"));
    peer_begin_tag(peer, cookie_tag);
    cookie_echo_write(&peer->writer, peer->cookie, peer->cookie_length);
    peer_send_from(peer, &peer->there[1], &peer->here[0]);
    expect(peer, NONE);
    assert_int_equal(peer_state(peer), BRAID_COOKIE_WAIT);
    reach_cookie_echoed(peer);
    peer_begin_tag(peer, cookie_tag);
    cookie_echo_write(&peer->writer, peer->cookie, peer->cookie_length);
    peer_send_from(peer, &peer->there[1], &peer->here[0]);
    expect(peer, NONE);
    peer_send_plain(peer, SCTP_CHUNK_COOKIE_ACK, 0);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    assert_int_equal(braid_association_next(peer->engine, 0, peer->association), 0);
}

/* 5.2.4, 2: a cookie that we did not make, for an association that is there. */
static void test_forged_restart(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    ask_for_restart(peer);
    peer->cookie[peer->cookie_length / 2] ^= 1;
    peer_send_cookie_echo(peer);
    expect(peer, NONE);
    expect_no_event(peer, BRAID_EVENT_RESTART);
    assert_int_equal(peer_info(peer).peer_tag, PEER_TAG);
}

/* ---- 5.2.5 and 5.2.6 --------------------------------------------------------------------------
 */

static void test_unexpected_cookie_ack(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    peer_send_plain(peer, SCTP_CHUNK_COOKIE_ACK, 0);
    expect(peer, NONE);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    expect_no_event(peer, BRAID_EVENT_UP);

    peer = peer_renew(state, NULL);
    peer_start_connect(peer);
    peer_read_init(peer, expect(peer, "INIT"));
    peer_send_plain(peer, SCTP_CHUNK_COOKIE_ACK, 0);
    expect(peer, NONE);
    assert_int_equal(peer_state(peer), BRAID_COOKIE_WAIT);
}

static void test_unexpected_stale_cookie_error(void **state)
{
    struct peer *peer = *state;
    size_t start;

    peer_accept(peer);
    peer_begin(peer);
    start = error_begin(&peer->writer);
    stale_cookie_write(&peer->writer, 5000);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    expect(peer, NONE);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    expect_no_event(peer, BRAID_EVENT_DOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_init_in_cookie_wait),
        peer_test(test_init_in_cookie_echoed),
        peer_test(test_collision_with_another_tag),
        peer_test(test_collision_without_zero_checksum),
        peer_test(test_init_in_cookie_echoed_with_new_address),
        peer_test(test_restart_with_new_address),
        peer_test(test_restart_from_new_address),
        peer_test(test_init_changes_nothing),
        peer_test(test_invalid_init_changes_nothing),
        peer_test(test_init_in_shutdown_ack_sent),
        peer_test(test_unexpected_init_ack),
        peer_test(test_restart),
        peer_test(test_restart_with_data_outstanding),
        peer_test(test_restart_forgets_fragments),
        peer_test(test_restart_in_partial_delivery),
        peer_test(test_restart_with_fewer_addresses),
        peer_test(test_restart_with_fewer_addresses_and_duplicate),
        peer_test(test_restart_in_shutdown_ack_sent),
        peer_test(test_late_cookie),
        peer_test(test_duplicate_cookie_echo),
        peer_test(test_stale_restart),
        peer_test(test_cookie_of_no_row),
        peer_test(test_cookie_of_no_row_from_another_address),
        peer_test(test_forged_restart),
        peer_test(test_unexpected_cookie_ack),
        peer_test(test_unexpected_stale_cookie_error),
    };

    return cmocka_run_group_tests_name("RFC 9260, 5.2", tests, NULL, NULL);
}
