/*
 * Tests: paths. RFC 9260 sections 5.4 (verification), 6.4 (multi-homing), 8.1 to 8.3 (failure and
 * heartbeats).
 */
#include "peer.h"

static struct peer *begin_with(void **state, const struct braid_parameters *parameters,
                               unsigned int paths, bool accept)
{
    struct peer *peer =
        peer_renew(state, &(struct peer_config){.parameters = parameters, .paths = paths});

    if (accept)
        peer_accept(peer);
    else
        peer_connect(peer);
    return peer;
}

/* RFC 9260 alone, without the state of RFC 7829 (tests/engine/test_failure.c). */
static struct braid_parameters without_potentially_failed(void)
{
    struct braid_parameters parameters = peer_parameters();

    parameters.potentially_failed_max_retrans = parameters.path_max_retrans;
    return parameters;
}

static unsigned int path_of(struct peer *peer, const struct sent *sent)
{
    for (unsigned int i = 0; sent && i < PATHS; i++) {
        if (braid_address_equal(&sent->destination, &peer->there[i]))
            return i;
    }
    fail_msg("a packet to nowhere");
    return 0;
}

/* The index that the engine gives to a path. */
static uint32_t path_index(struct peer *peer, unsigned int path)
{
    int index = braid_path_find(peer->engine, peer->association, &peer->there[path]);

    assert_true(index >= 0);
    return (uint32_t)index;
}

static struct braid_path_info path_info(struct peer *peer, unsigned int path)
{
    return peer_path(peer, path_index(peer, path));
}

/* Answers a HEARTBEAT over the path that it came on. */
static void acknowledge_heartbeat(struct peer *peer, const struct sent *sent)
{
    struct sctp_chunk chunk = sent_chunk(sent, SCTP_CHUNK_HEARTBEAT);

    peer_begin(peer);
    chunk_write(&peer->writer, SCTP_CHUNK_HEARTBEAT_ACK, 0, chunk.value, chunk.value_length);
    peer_send_over(peer, path_of(peer, sent));
}

/* ---- 8.3: heartbeats of the peer --------------------------------------------------------------
 */

/* "a HEARTBEAT ACK chunk that contains the Heartbeat Information TLV, together with any other
 * received TLVs, copied unchanged", to where it came from. */
static void test_heartbeat_is_acknowledged(void **state)
{
    struct peer *peer = begin_with(state, NULL, 2, false);
    struct sctp_chunk chunk;
    const struct sent *sent;
    size_t start;

    for (unsigned int path = 0; path < 2; path++) {
        peer_begin(peer);
        start = chunk_begin(&peer->writer, SCTP_CHUNK_HEARTBEAT, 0);
        parameter_write(&peer->writer, SCTP_PARAMETER_HEARTBEAT_INFO, "who knows", 9);
        parameter_write(&peer->writer, 0xbfff, "what", 4);
        chunk_end(&peer->writer, start);
        peer_send_over(peer, path);
        sent = expect(peer, "HEARTBEAT_ACK");
        assert_int_equal(path_of(peer, sent), path);
        chunk = sent_chunk(sent, SCTP_CHUNK_HEARTBEAT_ACK);
        assert_int_equal(chunk.value_length, 24);
        assert_memory_equal(
            chunk.value, peer->packet + SCTP_COMMON_HEADER_LENGTH + SCTP_CHUNK_HEADER_LENGTH, 24);
    }
}

/* As large as a packet can be. */
static void test_large_heartbeat(void **state)
{
    static uint8_t info[1400];
    struct peer *peer = *state;

    peer_accept(peer);
    memset(info, 0x77, sizeof(info));
    peer_begin(peer);
    heartbeat_write(&peer->writer, SCTP_CHUNK_HEARTBEAT, info, sizeof(info));
    peer_send(peer);
    assert_int_equal(sent_chunk(expect(peer, "HEARTBEAT_ACK"), SCTP_CHUNK_HEARTBEAT_ACK).length,
                     1408);
}

/* A HEARTBEAT ACK that nobody asked for, or that was changed, does nothing. */
static void test_forged_heartbeat_ack(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    const struct sent *sent;
    struct sctp_chunk chunk;
    struct peer *peer;
    uint8_t value[256];

    peer = begin_with(state, &parameters, 2, true);
    sent = expect_within(peer, 2 * SECOND, "HEARTBEAT");
    assert_int_equal(path_of(peer, sent), 1);
    chunk = sent_chunk(sent, SCTP_CHUNK_HEARTBEAT);
    assert_in_range(chunk.value_length, 12, sizeof(value)); /* a nonce of 64 bits at least */
    for (int i = 0; i < 100; i++) {
        memcpy(value, chunk.value, 4);
        random_bytes(&peer->random, value + 4, chunk.value_length - 4U);
        peer_begin(peer);
        chunk_write(&peer->writer, SCTP_CHUNK_HEARTBEAT_ACK, 0, value, chunk.value_length);
        peer_send_over(peer, 1);
    }
    for (uint16_t length = 0; length < chunk.value_length; length++) {
        peer_begin(peer);
        chunk_write(&peer->writer, SCTP_CHUNK_HEARTBEAT_ACK, 0, chunk.value, length);
        peer_send_over(peer, 1);
    }
    peer_begin(peer);
    heartbeat_write(&peer->writer, SCTP_CHUNK_HEARTBEAT_ACK, "", 0);
    peer_send_over(peer, 1);
    assert_int_equal(path_info(peer, 1).state, BRAID_PATH_UNCONFIRMED);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    acknowledge_heartbeat(peer, sent);
    assert_int_equal(path_info(peer, 1).state, BRAID_PATH_ACTIVE);
}

/* Of what a HEARTBEAT carries, 64 bits at least cannot be guessed: each of them counts. */
static void test_nonce(void **state)
{
    struct peer *peer = begin_with(state, NULL, 2, true);
    const struct sent *sent = expect_within(peer, 2 * SECOND, "HEARTBEAT");
    struct sctp_chunk chunk = sent_chunk(sent, SCTP_CHUNK_HEARTBEAT);
    unsigned int counting = 0;

    for (uint16_t i = 4; i < chunk.value_length; i++) {
        struct peer *another = peer_new(&(struct peer_config){.paths = 2});

        peer_accept(another);
        sent = expect_within(another, 2 * SECOND, "HEARTBEAT");
        another->sent[another->sent_seen - 1]->bytes[SCTP_COMMON_HEADER_LENGTH + 4 + i] ^= 0x10;
        acknowledge_heartbeat(another, sent);
        counting += path_info(another, 1).state == BRAID_PATH_UNCONFIRMED;
        peer_free(another);
    }
    assert_true(counting >= 8);
}

/* ---- 8.3: our heartbeats ----------------------------------------------------------------------
 */

/* "once per RTO ... plus HB.interval, with jittering of +/- 50% of the RTO value". */
static void test_heartbeat_interval(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    const struct sent *sent;
    braid_time before;
    struct peer *peer;
    bool differs = false;
    braid_time first = 0;

    parameters.hb_interval = 30000;
    peer = begin_with(state, &parameters, 1, true);
    before = peer->now;
    for (int i = 0; i < 10; i++) {
        braid_time interval;

        sent = expect_within(peer, 40 * SECOND, "HEARTBEAT");
        interval = sent->time - before;
        assert_in_range(interval, 30500 * MS - SLACK, 31500 * MS + SLACK);
        differs |= i > 0 && interval / 10000 != first / 10000;
        first = interval;
        before = sent->time;
        acknowledge_heartbeat(peer, sent);
        assert_int_equal(path_info(peer, 0).error_count, 0);
    }
    assert_true(differs);
    assert_int_equal(peer_info(peer).heartbeats_sent, 10);
    assert_int_equal(peer_info(peer).heartbeats_acknowledged, 10);
}

/* A HEARTBEAT measures the round trip. */
static void test_heartbeat_measures(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    const struct sent *sent;
    struct peer *peer;

    parameters.rto_min = 10;
    peer = begin_with(state, &parameters, 1, true);
    assert_int_equal(braid_path_request_heartbeat(peer->engine, peer->association, 0, peer->now),
                     0);
    sent = expect(peer, "HEARTBEAT"); /* 11.1: REQUESTHEARTBEAT: at once */
    peer_advance(peer, 80 * MS);
    acknowledge_heartbeat(peer, sent);
    assert_in_range(path_info(peer, 0).srtt, 79000, 81000);
    assert_in_range(path_info(peer, 0).rto, 239000, 241000);
    /* it counts once */
    peer_advance(peer, 50 * MS);
    acknowledge_heartbeat(peer, sent);
    assert_in_range(path_info(peer, 0).srtt, 79000, 81000);
}

/* Unanswered ones: the error counters, the path, and in the end the association. */
static void test_heartbeats_unanswered(void **state)
{
    struct braid_parameters parameters = without_potentially_failed();
    const struct braid_event *event;
    unsigned int heartbeats = 0;
    struct peer *peer;
    bool told = false;

    parameters.hb_interval = 5000;
    peer = begin_with(state, &parameters, 1, true);
    while (peer_state(peer) == BRAID_ESTABLISHED && heartbeats < 100) {
        peer_advance(peer, 1 * SECOND);
        heartbeats += (unsigned int)peer_skip(peer);
        if (peer_state(peer) != BRAID_ESTABLISHED)
            break;
        if (!told && path_info(peer, 0).state == BRAID_PATH_INACTIVE) {
            assert_true(path_info(peer, 0).error_count > 5); /* "exceeds Path.Max.Retrans" */
            event = expect_event(peer, BRAID_EVENT_PATH);
            assert_int_equal(event->path_change, BRAID_PATH_UNREACHABLE);
            assert_true(braid_address_equal(&event->address, &peer->there[0]));
            told = true;
        }
        assert_true(told || path_info(peer, 0).error_count <= 5);
    }
    assert_true(told);
    expect_down(peer, BRAID_DOWN_LOST);
    assert_in_range(heartbeats, 11, 13);
}

/* DATA that is acknowledged keeps a path from being idle. */
static void test_no_heartbeat_where_data_goes(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;

    parameters.hb_interval = 3000;
    peer = begin_with(state, &parameters, 1, true);
    for (uint32_t i = 0; i < 30; i++) {
        assert_int_equal(peer_user_send(peer, 0, 100), 0);
        expect(peer, "DATA");
        peer_send_sack(peer, peer->engine_initial_tsn + i);
        expect_silence(peer, 1 * SECOND);
    }
    expect_within(peer, 5 * SECOND, "HEARTBEAT");
}

static void test_heartbeat_settings(void **state)
{
    struct braid_path_settings settings = BRAID_PATH_SETTINGS_UNCHANGED;
    struct peer *peer = *state;
    const struct sent *sent;

    peer_accept(peer);
    expect_silence(peer, 300 * SECOND);
    settings.hb_interval = 2000;
    settings.path_max_retrans = 3;
    assert_int_equal(braid_path_configure(peer->engine, peer->association, 0, &settings, peer->now),
                     0);
    assert_int_equal(path_info(peer, 0).hb_interval, 2000);
    assert_int_equal(path_info(peer, 0).path_max_retrans, 3);
    assert_int_equal(path_info(peer, 0).mtu, 1500);
    sent = expect_within(peer, 4 * SECOND, "HEARTBEAT");
    acknowledge_heartbeat(peer, sent);
    settings.hb_interval = 0;
    settings.path_max_retrans = -1;
    assert_int_equal(braid_path_configure(peer->engine, peer->association, 0, &settings, peer->now),
                     0);
    assert_int_equal(path_info(peer, 0).path_max_retrans, 3);
    expect_silence(peer, 300 * SECOND);
}

/* That of the path which DATA comes over. */
static void test_sack_delay_of_a_path(void **state)
{
    struct braid_path_settings settings = BRAID_PATH_SETTINGS_UNCHANGED;
    struct peer *peer = peer_renew(state, &(struct peer_config){.paths = 2});

    peer_connect(peer);
    settings.sack_delay = 50;
    assert_int_equal(braid_path_configure(peer->engine, peer->association, 1, &settings, peer->now),
                     0);
    peer_send_data(peer, peer->initial_tsn, 0, 0, WHOLE, 100);
    expect(peer, "SACK"); /* the first, at once */
    peer_send_data(peer, peer->initial_tsn + 1, 0, 1, WHOLE, 100);
    expect_after(peer, 200 * MS, "SACK");
    peer_begin(peer);
    peer_write_data(peer, peer->initial_tsn + 2, 0, 2, WHOLE, 100);
    peer_send_over(peer, 1);
    expect_after(peer, 50 * MS, "SACK");
}

/* Only from ESTABLISHED until SHUTDOWN. */
static void test_no_heartbeats_while_shutting_down(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    const struct sent *sent;
    struct peer *peer;

    parameters.hb_interval = 1000;
    peer = begin_with(state, &parameters, 1, true);
    assert_int_equal(braid_shutdown(peer->engine, peer->association, peer->now), 0);
    expect(peer, "SHUTDOWN");
    peer_advance(peer, 100 * SECOND);
    while ((sent = peer_next(peer)))
        assert_int_equal(sent_count(sent, SCTP_CHUNK_HEARTBEAT), 0);
}

/* ---- 5.4: verification ------------------------------------------------------------------------
 */

/* "For the receiver of the COOKIE ECHO chunk, the only CONFIRMED address is the address to which
 * the packet containing the INIT ACK chunk was sent". */
static void test_verification(void **state)
{
    struct peer *peer = begin_with(state, NULL, 3, true);
    const struct braid_event *event;
    const struct sent *sent;
    bool confirmed[PATHS] = {true};

    assert_int_equal(peer_info(peer).path_count, 3);
    assert_int_equal(path_info(peer, 0).state, BRAID_PATH_ACTIVE);
    assert_true(path_info(peer, 0).primary);
    assert_int_equal(path_info(peer, 1).state, BRAID_PATH_UNCONFIRMED);
    assert_int_equal(path_info(peer, 2).state, BRAID_PATH_UNCONFIRMED);
    for (int i = 0; i < 2; i++) {
        sent = expect_within(peer, 5 * SECOND, "HEARTBEAT");
        assert_false(confirmed[path_of(peer, sent)]);
        confirmed[path_of(peer, sent)] = true;
        acknowledge_heartbeat(peer, sent);
        assert_int_equal(path_info(peer, path_of(peer, sent)).state, BRAID_PATH_ACTIVE);
        event = expect_event(peer, BRAID_EVENT_PATH);
        assert_int_equal(event->path_change, BRAID_PATH_CONFIRMED);
        assert_true(braid_address_equal(&event->address, &sent->destination));
    }
    expect_silence(peer, 100 * SECOND);
}

/* "Any addresses passed to the sender of the INIT chunk by its upper layer ... are CONFIRMED", and
 * those that it learns from the INIT ACK are not. */
static void test_addresses_of_the_user_are_confirmed(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;
    size_t start;

    peer_start_connect(peer);
    peer_read_init(peer, expect(peer, "INIT"));
    start = peer_begin_init(peer, SCTP_CHUNK_INIT_ACK);
    parameter_write(&peer->writer, SCTP_PARAMETER_STATE_COOKIE, "biscuit", 7);
    address_parameter_write(&peer->writer, &peer->there[1]);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    expect(peer, "COOKIE_ECHO");
    peer_send_plain(peer, SCTP_CHUNK_COOKIE_ACK, 0);
    assert_int_equal(path_info(peer, 0).state, BRAID_PATH_ACTIVE);
    assert_int_equal(path_info(peer, 1).state, BRAID_PATH_UNCONFIRMED);
    sent = expect_within(peer, 5 * SECOND, "HEARTBEAT");
    assert_int_equal(path_of(peer, sent), 1);
}

/* "An endpoint MUST NOT send any chunks to an UNCONFIRMED address" but these, however long it takes
 * and although all else is lost. */
static void test_nothing_goes_to_an_unconfirmed_address(void **state)
{
    struct peer *peer = begin_with(state, NULL, 2, true);
    const struct sent *sent;

    assert_int_equal(peer_user_send(peer, 0, 1000), 0);
    /* it may be refused, or wait until the address is confirmed */
    (void)braid_path_set_primary(peer->engine, peer->association, path_index(peer, 1), peer->now);
    for (int i = 0; i < 60 && peer_state(peer) == BRAID_ESTABLISHED; i++) {
        peer_advance(peer, 2 * SECOND);
        while ((sent = peer_next(peer))) {
            if (path_of(peer, sent) == 0)
                continue;
            if (sent_count(sent, SCTP_CHUNK_HEARTBEAT) != 1 ||
                sent->length != SCTP_COMMON_HEADER_LENGTH +
                                    wire_padded(sent_chunk(sent, SCTP_CHUNK_HEARTBEAT).length)) {
                fail_msg("%zu bytes to an unconfirmed address", sent->length);
            }
        }
    }
    /* probing does not count against the association */
    assert_in_range(peer_info(peer).error_count, 1, 8);
}

/* Nor do answers: a SACK, an ERROR, a SHUTDOWN ACK, for what comes from there. */
static void test_answers_to_an_unconfirmed_address(void **state)
{
    struct peer *peer = begin_with(state, NULL, 2, true);
    const struct sent *sent;

    peer_skip(peer);
    peer_begin(peer);
    peer_write_data(peer, 1000, 0, 0, WHOLE, 20);
    peer_send_over(peer, 1);
    sent = expect(peer, "SACK");
    assert_int_equal(path_of(peer, sent), 0);
    peer_begin(peer);
    chunk_write(&peer->writer, 0xfd, 0, "strange", 7);
    peer_send_over(peer, 1);
    sent = expect(peer, "ERROR");
    assert_int_equal(path_of(peer, sent), 0);
    peer_begin(peer);
    heartbeat_write(&peer->writer, SCTP_CHUNK_HEARTBEAT, "12345678", 8);
    peer_send_over(peer, 1);
    sent = expect(peer, "HEARTBEAT_ACK");
    assert_int_equal(path_of(peer, sent), 1);
    peer_begin(peer);
    shutdown_write(&peer->writer, peer->engine_initial_tsn - 1);
    peer_send_over(peer, 1);
    sent = expect(peer, "SHUTDOWN_ACK");
    assert_int_equal(path_of(peer, sent), 0);
}

/* The COOKIE ECHO comes from another address than the INIT: "A COOKIE ACK chunk MAY be sent to an
 * UNCONFIRMED address, but it MUST be bundled with a HEARTBEAT". */
static void test_cookie_echo_from_another_address(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;
    size_t start;

    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    start = peer_begin_init(peer, SCTP_CHUNK_INIT);
    address_parameter_write(&peer->writer, &peer->there[0]);
    address_parameter_write(&peer->writer, &peer->there[1]);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    peer_read_init(peer, expect(peer, "INIT_ACK"));
    peer_begin(peer);
    cookie_echo_write(&peer->writer, peer->cookie, peer->cookie_length);
    peer_send_from(peer, &peer->there[1], &peer->here[0]);
    sent = peer_next(peer);
    assert_non_null(sent);
    assert_int_equal(sent_count(sent, SCTP_CHUNK_COOKIE_ACK), 1);
    if (path_of(peer, sent) == 1)
        assert_int_equal(sent_count(sent, SCTP_CHUNK_HEARTBEAT), 1);
    peer->association = expect_event(peer, BRAID_EVENT_UP)->association;
    assert_int_equal(path_info(peer, 0).state, BRAID_PATH_ACTIVE);
    assert_int_equal(path_info(peer, 1).state, BRAID_PATH_UNCONFIRMED);
}

/* 5.1.2: the INIT ACK comes from an address that we did not call, and lists the one that we did. */
static void test_init_ack_from_another_address(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;
    size_t start;

    peer_start_connect(peer);
    peer_read_init(peer, expect(peer, "INIT"));
    start = peer_begin_init(peer, SCTP_CHUNK_INIT_ACK);
    parameter_write(&peer->writer, SCTP_PARAMETER_STATE_COOKIE, "biscuit", 7);
    address_parameter_write(&peer->writer, &peer->there[0]);
    chunk_end(&peer->writer, start);
    peer_send_from(peer, &peer->there[1], &peer->here[0]);
    sent = expect(peer, "COOKIE_ECHO");
    assert_int_equal(path_of(peer, sent), 0); /* the other one is not confirmed */
    assert_int_equal(path_info(peer, 1).state, BRAID_PATH_UNCONFIRMED);
}

/* "When probing UNCONFIRMED addresses, ... the association overall error count is not
 * incremented"; the path becomes inactive. */
static void test_address_that_is_not_the_peers(void **state)
{
    struct peer *peer = begin_with(state, NULL, 2, true);

    peer_advance(peer, 1000 * SECOND);
    assert_true(peer_skip(peer) >= 5);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    assert_int_equal(peer_info(peer).error_count, 0);
    assert_int_not_equal(path_info(peer, 1).state, BRAID_PATH_ACTIVE);
    assert_true(path_info(peer, 1).error_count > 0);
}

/* ---- 6.4: multi-homing ------------------------------------------------------------------------
 */

/* "try to retransmit a chunk that timed out to an active destination ... different from the last".
 */
static void test_retransmission_takes_the_other_path(void **state)
{
    struct braid_parameters parameters = without_potentially_failed();
    struct peer *peer = begin_with(state, &parameters, 2, false);
    const struct sent *sent;

    assert_int_equal(peer_user_send(peer, 0, 1000), 0);
    sent = expect(peer, "DATA");
    assert_int_equal(path_of(peer, sent), 0);
    assert_true(braid_address_equal(&sent->source, &peer->here[0]));
    sent = expect_after(peer, 1 * SECOND, "DATA");
    assert_int_equal(path_of(peer, sent), 1);
    assert_true(braid_address_equal(&sent->source, &peer->here[1]));
    assert_int_equal(path_info(peer, 0).error_count, 1);
    assert_int_equal(path_info(peer, 0).flight, 0);
    assert_int_equal(path_info(peer, 1).flight, 1016);
    peer_send_sack(peer, peer->engine_initial_tsn);
    assert_int_equal(path_info(peer, 1).flight, 0);
    assert_int_equal(peer_user_send(peer, 0, 1000), 0);
    assert_int_equal(path_of(peer, expect(peer, "DATA")), 0); /* the primary still */
}

/* "SHOULD send fast retransmissions to the same destination". */
static void test_fast_retransmission_keeps_the_path(void **state)
{
    struct peer *peer = begin_with(state, NULL, 2, false);
    const struct sent *sent;

    peer_association_parameters(peer)->no_delay = true;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(peer_user_send(peer, 0, 500), 0);
        expect(peer, "DATA");
    }
    for (uint16_t i = 2; i <= 4; i++)
        peer_send_sack_gaps(peer, peer->engine_initial_tsn - 1, 1,
                            &(struct sctp_gap_ack_block){2, i});
    sent = expect(peer, "DATA");
    assert_int_equal(sent_data(sent, 0).tsn, peer->engine_initial_tsn);
    assert_int_equal(path_of(peer, sent), 0);
}

/* Acknowledges what goes over the second path; what goes over the first is lost. */
static void carry_on(struct peer *peer, uint32_t *tsn, unsigned int *over_first)
{
    const struct sent *sent;

    while ((sent = peer_next(peer))) {
        if (path_of(peer, sent) == 0) {
            (*over_first)++;
            continue;
        }
        if (sent_count(sent, SCTP_CHUNK_HEARTBEAT) > 0)
            acknowledge_heartbeat(peer, sent);
        if (sent_count(sent, SCTP_CHUNK_DATA) > 0) {
            *tsn = sent_data(sent, sent_count(sent, SCTP_CHUNK_DATA) - 1).tsn;
            peer_begin(peer);
            sack_write(&peer->writer, *tsn, peer->a_rwnd, NULL, 0, NULL, 0);
            peer_send_over(peer, 1);
        }
    }
}

/* 6.4.1 and 8.2: the primary fails, data goes over the other; it comes back. */
static void test_failover(void **state)
{
    struct braid_parameters parameters = without_potentially_failed();
    const struct braid_event *event;
    const struct sent *sent;
    unsigned int over_first = 0, before;
    struct peer *peer;
    uint32_t tsn = 0;

    parameters.hb_interval = 5000;
    peer = begin_with(state, &parameters, 2, false);
    for (int i = 0; i < 200 && path_info(peer, 0).state == BRAID_PATH_ACTIVE; i++) {
        assert_int_equal(peer_user_send(peer, 0, 100), 0);
        peer_advance(peer, 1 * SECOND);
        carry_on(peer, &tsn, &over_first);
    }
    assert_int_equal(path_info(peer, 0).state, BRAID_PATH_INACTIVE);
    event = expect_event(peer, BRAID_EVENT_PATH);
    while (event->path_change != BRAID_PATH_UNREACHABLE)
        event = expect_event(peer, BRAID_EVENT_PATH);
    assert_true(braid_address_equal(&event->address, &peer->there[0]));
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    peer_advance(peer, 1 * SECOND);
    carry_on(peer, &tsn, &over_first);
    /* now all goes over the second, without delay */
    for (int i = 0; i < 5; i++) {
        assert_int_equal(peer_user_send(peer, 0, 100), 0);
        sent = peer_next(peer);
        while (sent && sent_count(sent, SCTP_CHUNK_DATA) == 0)
            sent = peer_next(peer);
        assert_non_null(sent);
        assert_int_equal(path_of(peer, sent), 1);
        peer_send_sack(peer, sent_data(sent, 0).tsn);
    }
    /* HEARTBEATs go on over the first; their counter does not */
    before = path_info(peer, 0).error_count;
    for (int i = 0; i < 10; i++) {
        peer_advance(peer, 10 * SECOND);
        carry_on(peer, &tsn, &over_first);
    }
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    assert_true(path_info(peer, 0).error_count <= before + 1);
    /* one is answered: it is active again, and the primary */
    do {
        sent = expect_within(peer, 100 * SECOND, "HEARTBEAT");
        acknowledge_heartbeat(peer, sent);
    } while (path_of(peer, sent) != 0);
    assert_int_equal(path_info(peer, 0).state, BRAID_PATH_ACTIVE);
    assert_int_equal(path_info(peer, 0).error_count, 0);
    event = expect_event(peer, BRAID_EVENT_PATH);
    assert_int_equal(event->path_change, BRAID_PATH_AVAILABLE);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    assert_int_equal(path_of(peer, expect(peer, "DATA")), 0);
}

/* 11.1: SETPRIMARY, and SEND over a path of the user's choice. */
static void test_set_primary(void **state)
{
    struct peer *peer = begin_with(state, NULL, 2, false);
    struct braid_send send = {.flags = BRAID_SEND_OVER_PATH};

    peer_association_parameters(peer)->no_delay = true;
    assert_int_equal(
        braid_path_set_primary(peer->engine, peer->association, path_index(peer, 1), peer->now), 0);
    assert_true(path_info(peer, 1).primary);
    assert_false(path_info(peer, 0).primary);
    assert_int_equal(peer_info(peer).primary_path, path_index(peer, 1));
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    assert_int_equal(path_of(peer, expect(peer, "DATA")), 1);
    send.path = path_index(peer, 0);
    assert_int_equal(braid_send(peer->engine, peer->association, &send, "x", 1, peer->now), 0);
    assert_int_equal(path_of(peer, expect(peer, "DATA")), 0);
    assert_true(braid_path_set_primary(peer->engine, peer->association, 99, peer->now) < 0);
}

/* 7.2: cwnd is each path's own. */
static void test_congestion_is_of_each_path(void **state)
{
    struct peer *peer = begin_with(state, NULL, 2, false);

    for (int i = 0; i < 20; i++)
        assert_int_equal(peer_user_send(peer, 0, 1452), 0);
    assert_int_equal(peer_skip(peer), 3);
    assert_int_equal(path_info(peer, 0).flight, 4404);
    assert_int_equal(path_info(peer, 1).flight, 0);
    expect_within(peer, 2 * SECOND, "DATA"); /* T3 */
    assert_int_equal(path_info(peer, 0).cwnd, 1468);
    assert_int_equal(path_info(peer, 1).cwnd, 4404);
}

/* 7.2.5.1: one path gets another DSCP, and it alone starts anew. */
static void test_dscp_of_a_path(void **state)
{
    struct braid_path_settings settings = BRAID_PATH_SETTINGS_UNCHANGED;
    struct peer *peer = begin_with(state, NULL, 2, false);

    peer_association_parameters(peer)->no_delay = true;
    for (int i = 0; i < 4; i++)
        assert_int_equal(peer_user_send(peer, 0, 1452), 0);
    assert_int_equal(peer_skip(peer), 3);
    peer_send_sack(peer, peer->engine_initial_tsn + 1);
    assert_int_equal(peer_skip(peer), 1);
    assert_int_equal(path_info(peer, 0).cwnd, 4404 + 1468);
    settings.traffic_class = 0xb8;
    assert_int_equal(braid_path_configure(peer->engine, peer->association, path_index(peer, 1),
                                          &settings, peer->now),
                     0);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    assert_int_equal(expect(peer, "DATA")->traffic_class, 0);
    assert_int_equal(path_info(peer, 0).cwnd, 4404 + 1468);
    assert_int_equal(braid_path_configure(peer->engine, peer->association, path_index(peer, 0),
                                          &settings, peer->now),
                     0);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    assert_int_equal(expect(peer, "DATA")->traffic_class, 0xb8);
    assert_int_equal(path_info(peer, 0).cwnd, 4404);
}

/* 6.1, A and C: what is to be retransmitted over another path has its part of the peer's window,
 * also while a SACK has room for new data. */
static void test_window_of_retransmissions(void **state)
{
    struct braid_parameters parameters = without_potentially_failed();
    const struct sent *sent;
    struct peer *peer;

    parameters.no_delay = true;
    peer = begin_with(state, &parameters, 2, true);
    acknowledge_heartbeat(peer, expect_within(peer, 2 * SECOND, "HEARTBEAT"));
    peer_send_data(peer, peer->initial_tsn, 0, 0, WHOLE, 10);
    expect(peer, "SACK");
    peer->a_rwnd = 1500;
    assert_int_equal(peer_user_send(peer, 0, 10), 0);
    expect(peer, "DATA");
    peer_send_sack(peer, peer->engine_initial_tsn);
    assert_int_equal(peer_user_send(peer, 0, 1000), 0);
    assert_int_equal(peer_user_send(peer, 0, 1000), 0);
    expect(peer, "DATA");
    expect_silence(peer, 800 * MS);
    peer_send_data(peer, peer->initial_tsn + 1, 0, 1, WHOLE, 10);
    /* T3-rtx goes off, and the SACK's timer with it */
    expect_within(peer, 300 * MS, "SACK");
    sent = expect_within(peer, 100 * MS, "DATA");
    assert_int_equal(sent_data(sent, 0).tsn, peer->engine_initial_tsn + 1);
    assert_int_equal(path_of(peer, sent), 1);
    expect(peer, NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_window_of_retransmissions),
        peer_test(test_heartbeat_is_acknowledged),
        peer_test(test_large_heartbeat),
        peer_test(test_forged_heartbeat_ack),
        peer_test(test_nonce),
        peer_test(test_heartbeat_interval),
        peer_test(test_heartbeat_measures),
        peer_test(test_heartbeats_unanswered),
        peer_test(test_no_heartbeat_where_data_goes),
        peer_test(test_heartbeat_settings),
        peer_test(test_sack_delay_of_a_path),
        peer_test(test_no_heartbeats_while_shutting_down),
        peer_test(test_verification),
        peer_test(test_addresses_of_the_user_are_confirmed),
        peer_test(test_nothing_goes_to_an_unconfirmed_address),
        peer_test(test_answers_to_an_unconfirmed_address),
        peer_test(test_cookie_echo_from_another_address),
        peer_test(test_init_ack_from_another_address),
        peer_test(test_address_that_is_not_the_peers),
        peer_test(test_retransmission_takes_the_other_path),
        peer_test(test_fast_retransmission_keeps_the_path),
        peer_test(test_failover),
        peer_test(test_set_primary),
        peer_test(test_congestion_is_of_each_path),
        peer_test(test_dscp_of_a_path),
    };

    return cmocka_run_group_tests_name("RFC 9260, 5.4, 6.4, 8.1 to 8.3", tests, NULL, NULL);
}
