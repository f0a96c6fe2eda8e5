/*
 * Tests: setting up an association, RFC 9260 section 5.1, and what 3.2.1, 3.2.2, 3.3.2, 3.3.3 and
 * 5.4 say of INIT, INIT ACK and COOKIE ECHO.
 */
#include "peer.h"

static void listen_now(struct peer *peer)
{
    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
}

static uint64_t associations_now(struct peer *peer)
{
    struct braid_statistics statistics;

    braid_engine_statistics(peer->engine, &statistics);
    return statistics.associations_now;
}

/* ---- The side that is called ------------------------------------------------------------------
 */

/* 5.1 B: "Z" responds immediately, with Tag_A and a tag of its own, and keeps no state. */
static void test_init_is_answered(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;
    struct sctp_init init;

    listen_now(peer);
    peer_send_init(peer);
    sent = expect(peer, "INIT_ACK");
    assert_int_equal(sent->header.verification_tag, peer->tag);
    assert_int_equal(sent->header.source_port, ENGINE_PORT);
    assert_int_equal(sent->header.destination_port, PEER_PORT);
    assert_true(braid_address_equal(&sent->destination, &peer->there[0]));
    init = sent_init(sent);
    assert_int_not_equal(init.initiate_tag, 0);
    assert_int_equal(init.a_rwnd, peer_parameters().receive_buffer);
    assert_int_equal(init.outbound_streams, peer_parameters().outbound_streams);
    assert_int_equal(init.inbound_streams, peer_parameters().inbound_streams);
    assert_int_equal(associations_now(peer), 0);
    assert_int_equal(braid_association_next(peer->engine, 0, 0), 0);
    assert_true(braid_engine_next_timeout(peer->engine) >= peer->now + 60 * SECOND);
    expect_silence(peer, 30 * SECOND);
}

/* 5.3.1: tags are random; 3.3.2: so are initial TSNs. */
static void test_init_acks_differ(void **state)
{
    struct peer *peer = *state;
    struct sctp_init a, b;

    listen_now(peer);
    peer_send_init(peer);
    a = sent_init(expect(peer, "INIT_ACK"));
    peer_send_init(peer);
    b = sent_init(expect(peer, "INIT_ACK"));
    assert_int_not_equal(a.initiate_tag, b.initiate_tag);
    assert_int_not_equal(a.initial_tsn, b.initial_tsn);
}

/* 5.1.5: a valid cookie makes an association, and is answered by COOKIE ACK. */
static void test_cookie_echo_is_answered(void **state)
{
    struct peer *peer = *state;
    struct braid_association_info info;

    peer_accept(peer);
    info = peer_info(peer);
    assert_int_equal(info.local_tag, peer->engine_tag);
    assert_int_equal(info.peer_tag, peer->tag);
    assert_int_equal(info.local_port, ENGINE_PORT);
    assert_int_equal(info.peer_port, PEER_PORT);
    assert_int_equal(info.endpoint, peer->endpoint);
    assert_int_equal(info.peer_rwnd, peer->a_rwnd);
    assert_true(info.incoming);
    assert_int_equal(info.path_count, 1);
    assert_int_equal(peer_path(peer, 0).state, BRAID_PATH_ACTIVE);
    assert_int_equal(associations_now(peer), 1);
    assert_int_equal(
        braid_association_find(peer->engine, peer->endpoint, &peer->there[0], peer->port),
        peer->association);
}

/* 5.1: the answer goes to where the INIT came from, IPv6 and UDP (RFC 6951) included. */
static void test_init_over_ipv6_and_udp(void **state)
{
    struct peer *peer = peer_renew(state, &(struct peer_config){.ipv6 = true, .udp = 9899});

    peer_accept(peer);
    assert_int_equal(peer_path(peer, 0).encapsulation_port, 9899);
    peer_connect(peer_renew(state, &(struct peer_config){.ipv6 = true, .udp = 9899}));
}

/* 5.1.1: streams are min(local OS, remote MIS); 3.3.3: OS is not above the INIT's MIS. */
static void test_streams_are_the_least_of_both(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;

    braid_endpoint_parameters(peer->engine, peer->endpoint)->inbound_streams = 5;
    peer->inbound_streams = 3;
    listen_now(peer);
    peer_send_init(peer);
    sent = expect(peer, "INIT_ACK");
    assert_in_range(sent_init(sent).outbound_streams, 1, 3);
    assert_int_equal(sent_init(sent).inbound_streams, 5);
    peer_accept(peer);
    assert_int_equal(peer_info(peer).outbound_streams, 3);
    assert_int_equal(peer_info(peer).inbound_streams, 5);
    assert_int_equal(peer_user_send(peer, 2, 10), 0);
    assert_int_equal(peer_user_send(peer, 3, 10), -EINVAL);
}

static void test_streams_of_an_init_ack(void **state)
{
    struct peer *peer = *state;

    braid_endpoint_parameters(peer->engine, peer->endpoint)->inbound_streams = 5;
    peer->inbound_streams = 3;
    peer->outbound_streams = 2;
    peer_connect(peer);
    assert_int_equal(peer_info(peer).outbound_streams, 3);
    assert_int_equal(peer_info(peer).inbound_streams, 2);
}

/* 3.3.2: an Initiate Tag of 0 is silently discarded. */
static void test_init_with_tag_zero(void **state)
{
    struct peer *peer = *state;

    listen_now(peer);
    peer->tag = 0;
    peer_send_init(peer);
    expect(peer, NONE);
}

/* An INIT that is wrong is answered by an ABORT with its Initiate Tag, T bit clear (8.4). */
static void expect_init_refused(struct peer *peer)
{
    const struct sent *sent;

    peer_send_init(peer);
    sent = expect(peer, "ABORT");
    assert_int_equal(sent->header.verification_tag, peer->tag);
    assert_int_equal(sent_chunk(sent, SCTP_CHUNK_ABORT).flags, 0);
    assert_int_equal(associations_now(peer), 0);
    expect(peer, NONE);
}

/* 3.3.2: OS or MIS of 0, and a_rwnd below 1500. */
static void test_init_with_invalid_values(void **state)
{
    struct peer *peer = *state;

    listen_now(peer);
    peer->outbound_streams = 0;
    expect_init_refused(peer);
    peer->outbound_streams = 1;
    peer->inbound_streams = 0;
    expect_init_refused(peer);
    peer->inbound_streams = 1;
    peer->a_rwnd = 1499;
    expect_init_refused(peer);
    peer->a_rwnd = 1500;
    peer_send_init(peer);
    expect(peer, "INIT_ACK");
}

/* 8.4: nobody listens, at this port or at all. */
static void test_init_where_nobody_listens(void **state)
{
    struct peer *peer = *state;

    expect_init_refused(peer);
    listen_now(peer);
    peer->engine_port = ENGINE_PORT + 1;
    expect_init_refused(peer);
    peer->engine_port = ENGINE_PORT;
    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 0), 0);
    expect_init_refused(peer);
}

/* 8.5.1 A: a packet with tag 0 holds only an INIT; 5.1: an INIT comes alone. */
static void test_init_in_company_is_discarded(void **state)
{
    struct peer *peer = *state;

    listen_now(peer);
    chunk_end(&peer->writer, peer_begin_init(peer, SCTP_CHUNK_INIT));
    peer_write_data(peer, 1000, 0, 0, WHOLE, 10);
    peer_send(peer);
    expect(peer, NONE);
    peer_begin_tag(peer, 0);
    peer_write_data(peer, 1000, 0, 0, WHOLE, 10);
    peer_send(peer);
    expect(peer, NONE);
    peer_begin_tag(peer, 0);
    cookie_ack_write(&peer->writer);
    peer_send(peer);
    expect(peer, NONE);
}

/* 8.5.1 A: "The sender MUST set the Verification Tag of the packet to 0": else it is no INIT. */
static void test_init_with_a_verification_tag(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;

    listen_now(peer);
    chunk_end(&peer->writer, peer_begin_init(peer, SCTP_CHUNK_INIT));
    wire_put_u32(peer->writer.bytes + 4, 77);
    peer_send(peer);
    sent = peer_next(peer);
    if (sent) {
        assert_int_equal(sent_count(sent, SCTP_CHUNK_ABORT), 1);
        assert_int_equal(sent->header.verification_tag, 77);
    }
    expect(peer, NONE);
}

/* Sends an INIT with parameters of these types, a byte each; returns the INIT ACK. */
static const struct sent *init_with_parameters(struct peer *peer, const uint16_t *types,
                                               unsigned int count)
{
    size_t start = peer_begin_init(peer, SCTP_CHUNK_INIT);

    for (unsigned int i = 0; i < count; i++)
        parameter_write(&peer->writer, types[i], "x", 1);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    return expect(peer, "INIT_ACK");
}

/* The INIT ACK reports exactly these types, each as it came. */
static void expect_reported(const struct sent *sent, const uint16_t *types, unsigned int count)
{
    struct sctp_init init = sent_init(sent);
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;
    unsigned int seen = 0;

    parameter_iterator_init(&iterator, init.parameters, init.parameters_length);
    while (parameter_next(&iterator, &parameter)) {
        if (parameter.type != SCTP_PARAMETER_UNRECOGNIZED)
            continue;
        if (seen >= count) {
            fail_msg("parameter %04x is reported", wire_get_u16(parameter.value));
            return;
        }
        assert_true(parameter.value_length >= 5);
        assert_int_equal(wire_get_u16(parameter.value), types[seen]);
        assert_int_equal(wire_get_u16(parameter.value + 2), 5);
        assert_int_equal(parameter.value[4], 'x');
        seen++;
    }
    assert_int_equal(seen, count);
}

/* 3.2.1: unknown parameters by their two highest bits; 3.2.2: reported in the INIT ACK. */
static void test_unknown_parameters_of_an_init(void **state)
{
    struct peer *peer = *state;

    listen_now(peer);
    expect_reported(init_with_parameters(peer, (uint16_t[]){0x3ff1, 0xfff2}, 2), NULL, 0);
    expect_reported(init_with_parameters(peer, (uint16_t[]){0x7ff1, 0xfff2}, 2),
                    (uint16_t[]){0x7ff1}, 1);
    expect_reported(init_with_parameters(peer, (uint16_t[]){0xbff1, 0xfff2}, 2),
                    (uint16_t[]){0xfff2}, 1);
    expect_reported(init_with_parameters(peer, (uint16_t[]){0xfff1, 0xfff2, 0x7ff3, 0xfff4}, 4),
                    (uint16_t[]){0xfff1, 0xfff2, 0x7ff3}, 3);
}

/* 3.2.1: "no processing already done is rolled back", what follows is cancelled. */
static void test_parameters_after_an_unknown_one(void **state)
{
    struct peer *peer = *state;
    size_t start;

    listen_now(peer);
    start = peer_begin_init(peer, SCTP_CHUNK_INIT);
    address_parameter_write(&peer->writer, &peer->there[1]);
    parameter_write(&peer->writer, 0x3ff1, "x", 1);
    address_parameter_write(&peer->writer, &peer->there[2]);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    peer_read_init(peer, expect(peer, "INIT_ACK"));
    peer_send_cookie_echo(peer);
    peer->association = expect_event(peer, BRAID_EVENT_UP)->association;
    assert_int_equal(peer_info(peer).path_count, 2);
    assert_true(braid_path_find(peer->engine, peer->association, &peer->there[1]) >= 0);
    assert_true(braid_path_find(peer->engine, peer->association, &peer->there[2]) < 0);
}

/* 3.3.2.1.4: "The receiver of an INIT chunk ... containing a Host Name Address ... MUST send
 * ABORT". */
static void test_host_name_in_an_init(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;
    size_t start;

    listen_now(peer);
    start = peer_begin_init(peer, SCTP_CHUNK_INIT);
    parameter_write(&peer->writer, SCTP_PARAMETER_HOST_NAME_ADDRESS, "example.org", 12);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    sent = expect(peer, "ABORT");
    assert_int_equal(sent->header.verification_tag, peer->tag);
    assert_true(sent_has_cause(sent, SCTP_CAUSE_UNRESOLVABLE_ADDRESS));
}

/* 5.1.2: a family that is not listed but used counts as supported; no error either way. */
static void test_supported_address_types(void **state)
{
    static const struct sctp_supported_address_types only6 = {.ipv6 = true}, only4 = {.ipv4 = true};
    struct peer *peer = *state;
    size_t start;

    listen_now(peer);
    start = peer_begin_init(peer, SCTP_CHUNK_INIT);
    supported_address_types_write(&peer->writer, &only4);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    expect(peer, "INIT_ACK");
    start = peer_begin_init(peer, SCTP_CHUNK_INIT);
    supported_address_types_write(&peer->writer, &only6);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    expect(peer, "INIT_ACK");
}

/* 5.1.2: addresses of a family that is not supported here may be ignored, without an error. */
static void test_addresses_of_another_family(void **state)
{
    struct peer *peer = *state;
    struct braid_address other = braid_address_ipv6("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x7", 0);
    size_t start;

    listen_now(peer);
    start = peer_begin_init(peer, SCTP_CHUNK_INIT);
    address_parameter_write(&peer->writer, &other);
    address_parameter_write(&peer->writer, &peer->there[1]);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    peer_read_init(peer, expect(peer, "INIT_ACK"));
    peer_send_cookie_echo(peer);
    peer->association = expect_event(peer, BRAID_EVENT_UP)->association;
    /* the listed address, and the source address, which was not listed */
    assert_true(braid_path_find(peer->engine, peer->association, &peer->there[0]) >= 0);
    assert_true(braid_path_find(peer->engine, peer->association, &peer->there[1]) >= 0);
}

/* 5.1.2: what a multi-homed host tells of itself. */
static void test_init_ack_lists_addresses(void **state)
{
    struct peer *peer = peer_renew(state, &(struct peer_config){.paths = 2, .any_address = true});
    unsigned int addresses = 0;
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;
    struct sctp_init init;

    listen_now(peer);
    peer_send_init(peer);
    init = sent_init(expect(peer, "INIT_ACK"));
    parameter_iterator_init(&iterator, init.parameters, init.parameters_length);
    while (parameter_next(&iterator, &parameter)) {
        struct braid_address address;

        if (parameter.type != SCTP_PARAMETER_IPV4_ADDRESS)
            continue;
        assert_true(address_parameter_read(&parameter, &address));
        assert_true(braid_address_equal(&address, &peer->here[0]) ||
                    braid_address_equal(&address, &peer->here[1]));
        addresses++;
    }
    assert_int_equal(addresses, 2);
}

/* 5.1.5, 2: a cookie with any bit changed is silently discarded. */
static void test_altered_cookie(void **state)
{
    struct peer *peer = *state;
    struct braid_statistics statistics;

    listen_now(peer);
    peer_send_init(peer);
    peer_read_init(peer, expect(peer, "INIT_ACK"));
    for (size_t i = 0; i < peer->cookie_length; i++) {
        peer->cookie[i] ^= (uint8_t)(1 << (i % 8));
        peer_send_cookie_echo(peer);
        expect(peer, NONE);
        peer->cookie[i] ^= (uint8_t)(1 << (i % 8));
    }
    for (size_t length = peer->cookie_length; length-- > 0;) {
        size_t whole = peer->cookie_length;

        peer->cookie_length = length;
        peer_send_cookie_echo(peer);
        expect(peer, NONE);
        peer->cookie_length = whole;
    }
    assert_int_equal(associations_now(peer), 0);
    braid_engine_statistics(peer->engine, &statistics);
    assert_true(statistics.bad_cookie >= peer->cookie_length);
    peer_send_cookie_echo(peer);
    expect(peer, "COOKIE_ACK");
}

/* 5.1.5, 3: other ports or another Verification Tag than the cookie says. */
static void test_cookie_of_another(void **state)
{
    struct peer *peer = *state;

    listen_now(peer);
    peer_send_init(peer);
    peer_read_init(peer, expect(peer, "INIT_ACK"));
    peer->port++;
    peer_send_cookie_echo(peer);
    expect(peer, NONE);
    peer->port--;
    peer->engine_tag ^= 1;
    peer_send_cookie_echo(peer);
    expect(peer, NONE);
    peer->engine_tag ^= 1;
    assert_int_equal(associations_now(peer), 0);
    peer_send_cookie_echo(peer);
    expect(peer, "COOKIE_ACK");
}

/* 5.1.5, 4: an expired cookie is answered by an ERROR with "Stale Cookie". */
static void test_stale_cookie(void **state)
{
    struct peer *peer = *state;
    struct sctp_parameter cause;
    const struct sent *sent;
    uint32_t staleness;

    listen_now(peer);
    peer_send_init(peer);
    peer_read_init(peer, expect(peer, "INIT_ACK"));
    peer_advance(peer, 62 * SECOND);
    peer_begin(peer);
    cookie_echo_write(&peer->writer, peer->cookie, peer->cookie_length);
    peer_write_data(peer, peer->initial_tsn, 0, 0, WHOLE, 10);
    peer_send(peer);
    sent = expect(peer, "ERROR");
    assert_int_equal(sent->header.verification_tag, peer->tag);
    cause = sent_cause(sent, SCTP_CAUSE_STALE_COOKIE);
    assert_true(stale_cookie_read(&cause, &staleness));
    assert_in_range(staleness, 1900000, 2100000);
    assert_int_equal(associations_now(peer), 0);
    expect(peer, NONE);
}

/* 5.1.5, 4: it is not yet expired a moment before Valid.Cookie.Life. */
static void test_old_cookie(void **state)
{
    struct peer *peer = *state;

    listen_now(peer);
    peer_send_init(peer);
    peer_read_init(peer, expect(peer, "INIT_ACK"));
    peer_advance(peer, 59 * SECOND);
    peer_send_cookie_echo(peer);
    expect(peer, "COOKIE_ACK");
}

/* 5.1.3: the key changes now and then; a cookie outlives one change. */
static void test_cookie_outlives_its_key(void **state)
{
    struct peer *peer = *state;

    listen_now(peer);
    peer_advance(peer, 3600 * SECOND - 30 * SECOND);
    peer_send_init(peer);
    peer_read_init(peer, expect(peer, "INIT_ACK"));
    peer_advance(peer, 50 * SECOND);
    peer_send_init(peer);
    expect(peer, "INIT_ACK");
    peer_send_cookie_echo(peer);
    expect(peer, "COOKIE_ACK");
}

/* 5.1.5, 7: DATA with the COOKIE ECHO is acknowledged at once, after the COOKIE ACK. */
static void test_data_with_the_cookie_echo(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;

    listen_now(peer);
    peer_send_init(peer);
    peer_read_init(peer, expect(peer, "INIT_ACK"));
    peer_begin(peer);
    cookie_echo_write(&peer->writer, peer->cookie, peer->cookie_length);
    peer_write_data(peer, peer->initial_tsn, 4, 0, WHOLE, 100);
    peer_send(peer);
    sent = expect(peer, "COOKIE_ACK SACK");
    assert_sack(sent, peer->initial_tsn, 0, 0);
    peer->association = expect_event(peer, BRAID_EVENT_UP)->association;
    expect_message(peer, 4, peer->initial_tsn, 100);
}

/* 5.1: stateless, so that the peer may repeat itself as it likes. */
static void test_repeated_init_and_cookie_echo(void **state)
{
    struct peer *peer = *state;

    listen_now(peer);
    peer_send_init(peer);
    peer_read_init(peer, expect(peer, "INIT_ACK"));
    peer_send_init(peer);
    expect(peer, "INIT_ACK");
    peer_send_cookie_echo(peer);
    expect(peer, "COOKIE_ACK");
    peer_send_cookie_echo(peer);
    expect(peer, "COOKIE_ACK");
    assert_int_equal(associations_now(peer), 1);
    expect_event(peer, BRAID_EVENT_UP);
    expect_no_event(peer, BRAID_EVENT_UP);
}

/* ---- The side that calls ----------------------------------------------------------------------
 */

/* 5.1 A and 3.3.2: what an INIT holds. */
static void test_init_is_sent(void **state)
{
    struct peer *peer = *state;
    struct sctp_parameter parameter;
    const struct sent *sent;
    struct sctp_init init;

    peer_start_connect(peer);
    assert_int_equal(peer_state(peer), BRAID_COOKIE_WAIT);
    sent = expect(peer, "INIT");
    assert_int_equal(sent->header.source_port, ENGINE_PORT);
    assert_true(braid_address_equal(&sent->destination, &peer->there[0]));
    init = sent_init(sent);
    assert_int_equal(init.a_rwnd, peer_parameters().receive_buffer);
    assert_int_equal(init.outbound_streams, peer_parameters().outbound_streams);
    assert_int_equal(init.inbound_streams, peer_parameters().inbound_streams);
    assert_false(sent_parameter(sent, SCTP_PARAMETER_COOKIE_PRESERVATIVE, &parameter));
    expect(peer, NONE);
}

/* 5.1 C to E: COOKIE-WAIT, COOKIE-ECHOED, ESTABLISHED. */
static void test_init_ack_is_answered(void **state)
{
    struct peer *peer = *state;

    peer_start_connect(peer);
    peer_answer_init(peer);
    assert_int_equal(peer_state(peer), BRAID_COOKIE_ECHOED);
    expect(peer, "COOKIE_ECHO");
    expect_no_event(peer, BRAID_EVENT_UP);
    peer_send_plain(peer, SCTP_CHUNK_COOKIE_ACK, 0);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    expect_event(peer, BRAID_EVENT_UP);
    expect_silence(peer, 100 * SECOND);
}

/* 5.1 C: DATA goes with the COOKIE ECHO, and nothing else before the COOKIE ACK. */
static void test_data_goes_with_the_cookie_echo(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;

    peer_start_connect(peer);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    expect(peer, "INIT");
    peer->sent_seen--;
    peer_answer_init(peer);
    sent = expect(peer, "COOKIE_ECHO DATA");
    assert_int_equal(sent_data(sent, 0).tsn, peer->engine_initial_tsn);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    expect(peer, NONE);
    peer_send_plain(peer, SCTP_CHUNK_COOKIE_ACK, 0);
    sent = peer_next(peer);
    if (!sent) { /* Nagle: it may wait for the SACK */
        peer_send_sack(peer, peer->engine_initial_tsn);
        sent = peer_next(peer);
    }
    assert_non_null(sent);
    assert_int_equal(sent_data(sent, 0).tsn, peer->engine_initial_tsn + 1);
}

/* 5.1.6 and 6.3.3: T1-init doubles up to RTO.Max; after Max.Init.Retransmits it is over. */
static void test_t1_init(void **state)
{
    static const unsigned int seconds[] = {1, 2, 4, 8, 16, 32, 60, 60};
    struct peer *peer = *state;
    const struct sent *first, *sent;

    peer_start_connect(peer);
    first = expect(peer, "INIT");
    for (unsigned int i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
        sent = expect_after(peer, seconds[i] * SECOND, "INIT");
        assert_int_equal(sent->length, first->length);
        assert_memory_equal(sent->bytes, first->bytes, first->length);
    }
    peer_advance(peer, 59 * SECOND);
    expect_no_event(peer, BRAID_EVENT_DOWN);
    peer_advance(peer, 2 * SECOND);
    expect_down(peer, BRAID_DOWN_CANNOT_START);
    expect(peer, NONE);
    assert_int_equal(peer_state(peer), BRAID_CLOSED);
    assert_int_equal(braid_engine_next_timeout(peer->engine) > peer->now + 1000 * SECOND, 1);
}

/* max_init_timeout limits the doubling while setting up. */
static void test_t1_init_with_a_limit(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;

    parameters.max_init_timeout = 3000;
    parameters.max_init_retransmits = 3;
    peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
    peer_start_connect(peer);
    expect(peer, "INIT");
    expect_after(peer, 1 * SECOND, "INIT");
    expect_after(peer, 2 * SECOND, "INIT");
    expect_after(peer, 3 * SECOND, "INIT");
    peer_advance(peer, 3 * SECOND + SLACK);
    expect_down(peer, BRAID_DOWN_CANNOT_START);
}

/* 5.1.4: T1-cookie the same. */
static void test_t1_cookie(void **state)
{
    static const unsigned int seconds[] = {1, 2, 4, 8, 16, 32, 60, 60};
    struct peer *peer = *state;

    peer_start_connect(peer);
    peer_answer_init(peer);
    expect(peer, "COOKIE_ECHO");
    for (unsigned int i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++)
        expect_after(peer, seconds[i] * SECOND, "COOKIE_ECHO");
    peer_advance(peer, 61 * SECOND);
    expect_down(peer, BRAID_DOWN_CANNOT_START);
    expect(peer, NONE);
}

/* 5.1: "Retransmissions of INIT chunks ... SHOULD use all addresses of the peer". */
static void test_init_tries_all_addresses(void **state)
{
    struct peer *peer = peer_renew(state, &(struct peer_config){.paths = 2});
    const struct sent *sent;
    bool seen[2] = {false};

    peer_start_connect(peer);
    for (int i = 0; i < 4; i++) {
        sent = expect_within(peer, 10 * SECOND, "INIT");
        seen[0] |= braid_address_equal(&sent->destination, &peer->there[0]);
        seen[1] |= braid_address_equal(&sent->destination, &peer->there[1]);
    }
    assert_true(seen[0] && seen[1]);
}

/* 3.3.10.2: an INIT ACK without a State Cookie. */
static void test_init_ack_without_a_cookie(void **state)
{
    struct peer *peer = *state;
    struct sctp_parameter cause;
    const struct sent *sent;
    size_t count, start;

    peer_start_connect(peer);
    peer_read_init(peer, expect(peer, "INIT"));
    start = peer_begin_init(peer, SCTP_CHUNK_INIT_ACK);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    sent = expect(peer, "ABORT");
    assert_int_equal(sent->header.verification_tag, peer->tag);
    cause = sent_cause(sent, SCTP_CAUSE_MISSING_MANDATORY_PARAMETER);
    assert_true(missing_mandatory_parameter_read(&cause, &count));
    assert_int_equal(count, 1);
    assert_int_equal(missing_mandatory_parameter_get(&cause, 0), SCTP_PARAMETER_STATE_COOKIE);
    expect_down(peer, BRAID_DOWN_PROTOCOL);
}

/* 3.3.3: OS or MIS of 0 destroys the TCB, with an ABORT. */
static void test_init_ack_without_streams(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct peer *peer = peer_renew(state, NULL);
        const struct sent *sent;

        if (i == 0)
            peer->outbound_streams = 0;
        else
            peer->inbound_streams = 0;
        peer_start_connect(peer);
        peer_read_init(peer, expect(peer, "INIT"));
        peer_send_init_ack(peer);
        sent = expect(peer, "ABORT");
        assert_int_equal(sent->header.verification_tag, peer->tag);
        expect_down(peer, BRAID_DOWN_PROTOCOL);
    }
}

/* 3.3.3: an Initiate Tag of 0 destroys the TCB, with an ABORT that reflects the tag. */
static void test_init_ack_with_tag_zero(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;

    peer_start_connect(peer);
    peer_read_init(peer, expect(peer, "INIT"));
    peer->tag = 0;
    peer_send_init_ack(peer);
    sent = expect(peer, "ABORT");
    assert_int_equal(sent->header.verification_tag, peer->engine_tag);
    assert_int_equal(sent_chunk(sent, SCTP_CHUNK_ABORT).flags, SCTP_FLAG_TAG_REFLECTED);
    expect_down(peer, BRAID_DOWN_PROTOCOL);
}

/* 3.3.3: an a_rwnd below 1500: the packet is discarded, the state does not change. */
static void test_init_ack_with_a_small_window(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;

    peer_start_connect(peer);
    peer_read_init(peer, expect(peer, "INIT"));
    peer->a_rwnd = 1499;
    peer_send_init_ack(peer);
    sent = expect(peer, "ABORT");
    assert_int_equal(sent->header.verification_tag, peer->tag);
    expect(peer, NONE);
}

/* 8.5: an INIT ACK with a Verification Tag that is not ours. */
static void test_init_ack_with_a_wrong_tag(void **state)
{
    struct peer *peer = *state;

    peer_start_connect(peer);
    peer_read_init(peer, expect(peer, "INIT"));
    peer->engine_tag++;
    peer_send_init_ack(peer);
    expect(peer, NONE);
    assert_int_equal(peer_state(peer), BRAID_COOKIE_WAIT);
    peer->engine_tag--;
    peer_send_init_ack(peer);
    expect(peer, "COOKIE_ECHO");
}

/* 6.10: an INIT ACK in company. */
static void test_init_ack_in_company(void **state)
{
    struct peer *peer = *state;
    size_t start;

    peer_start_connect(peer);
    peer_read_init(peer, expect(peer, "INIT"));
    start = peer_begin_init(peer, SCTP_CHUNK_INIT_ACK);
    parameter_write(&peer->writer, SCTP_PARAMETER_STATE_COOKIE, "biscuit", 7);
    chunk_end(&peer->writer, start);
    peer_write_data(peer, peer->initial_tsn, 0, 0, WHOLE, 10);
    peer_send(peer);
    /* it may be discarded whole or be read without the DATA: never is the DATA taken */
    expect_no_event(peer, BRAID_EVENT_READABLE);
}

/* 3.2.2: what is unknown in an INIT ACK is told in an ERROR with the COOKIE ECHO. */
static void test_unknown_parameters_of_an_init_ack(void **state)
{
    struct peer *peer = *state;
    struct sctp_parameter cause;
    const struct sent *sent;
    size_t start;

    peer_start_connect(peer);
    peer_read_init(peer, expect(peer, "INIT"));
    start = peer_begin_init(peer, SCTP_CHUNK_INIT_ACK);
    parameter_write(&peer->writer, 0xbff0, "x", 1);
    parameter_write(&peer->writer, 0xfff1, "x", 1);
    parameter_write(&peer->writer, SCTP_PARAMETER_STATE_COOKIE, "biscuit", 7);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    sent = expect(peer, "COOKIE_ECHO ERROR");
    cause = sent_cause(sent, SCTP_CAUSE_UNRECOGNIZED_PARAMETERS);
    assert_true(cause.value_length >= 5);
    assert_int_equal(wire_get_u16(cause.value), 0xfff1);
    assert_int_equal(wire_get_u16(cause.value + 2), 5);
}

/* 3.2.1: "in all four cases ... a COOKIE ECHO chunk is sent in response", when it was before. */
static void test_stopping_parameter_of_an_init_ack(void **state)
{
    struct peer *peer = *state;
    size_t start;

    peer_start_connect(peer);
    peer_read_init(peer, expect(peer, "INIT"));
    start = peer_begin_init(peer, SCTP_CHUNK_INIT_ACK);
    parameter_write(&peer->writer, SCTP_PARAMETER_STATE_COOKIE, "biscuit", 7);
    parameter_write(&peer->writer, 0x3ff0, "x", 1);
    address_parameter_write(&peer->writer, &peer->there[1]);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    expect(peer, "COOKIE_ECHO");
    assert_int_equal(peer_info(peer).path_count, 1);
}

/* 3.3.3: a Host Name Address in an INIT ACK. */
static void test_host_name_in_an_init_ack(void **state)
{
    struct peer *peer = *state;
    const struct sent *sent;
    size_t start;

    peer_start_connect(peer);
    peer_read_init(peer, expect(peer, "INIT"));
    start = peer_begin_init(peer, SCTP_CHUNK_INIT_ACK);
    parameter_write(&peer->writer, SCTP_PARAMETER_STATE_COOKIE, "biscuit", 7);
    parameter_write(&peer->writer, SCTP_PARAMETER_HOST_NAME_ADDRESS, "example.org", 12);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    sent = expect(peer, "ABORT");
    assert_int_equal(sent->header.verification_tag, peer->tag);
    expect_down(peer, BRAID_DOWN_PROTOCOL);
}

/* 3.3.3: "MUST be prepared to receive an INIT ACK chunk that is quite large". */
static void test_large_cookie(void **state)
{
    static uint8_t cookie[3000];
    struct peer *peer = *state;
    const struct sent *sent;
    size_t start;

    memset(cookie, 0x5a, sizeof(cookie));
    peer_start_connect(peer);
    peer_read_init(peer, expect(peer, "INIT"));
    start = peer_begin_init(peer, SCTP_CHUNK_INIT_ACK);
    parameter_write(&peer->writer, SCTP_PARAMETER_STATE_COOKIE, cookie, sizeof(cookie));
    chunk_end(&peer->writer, start);
    peer_send(peer);
    sent = expect(peer, "COOKIE_ECHO");
    assert_int_equal(sent_chunk(sent, SCTP_CHUNK_COOKIE_ECHO).value_length, sizeof(cookie));
    assert_false(sent->dont_fragment);
}

/* 3.3.7, 8.5.1 B: an ABORT answers the INIT; only with our tag. */
static void test_init_is_refused(void **state)
{
    struct peer *peer = *state;
    const struct braid_event *event;

    peer_start_connect(peer);
    peer_read_init(peer, expect(peer, "INIT"));
    peer->engine_tag++;
    peer_send_plain(peer, SCTP_CHUNK_ABORT, 0);
    expect_no_event(peer, BRAID_EVENT_DOWN);
    peer->engine_tag--;
    peer_begin(peer);
    chunk_write(&peer->writer, SCTP_CHUNK_ABORT, 0, "\0\4\0\4", 4); /* Out of Resource */
    peer_send(peer);
    event = expect_down(peer, BRAID_DOWN_ABORTED_BY_PEER);
    assert_int_equal(event->cause, SCTP_CAUSE_OUT_OF_RESOURCE);
    expect(peer, NONE);
}

/* 5.2.6: a Stale Cookie while COOKIE-ECHOED: anew, with a Cookie Preservative if asked for. */
static void test_stale_cookie_error(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct sctp_parameter parameter;
    const struct sent *sent;
    struct peer *peer;
    uint32_t increment;
    size_t start;

    parameters.cookie_preservative = true;
    peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
    peer_start_connect(peer);
    peer_answer_init(peer);
    expect(peer, "COOKIE_ECHO");
    peer_advance(peer, 300 * MS);
    peer_begin(peer);
    start = error_begin(&peer->writer);
    stale_cookie_write(&peer->writer, 5000);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    sent = expect(peer, "INIT");
    assert_true(sent_parameter(sent, SCTP_PARAMETER_COOKIE_PRESERVATIVE, &parameter));
    assert_true(cookie_preservative_read(&parameter, &increment));
    /* "no more than 1 second beyond the measured RTT" */
    assert_in_range(increment, 1, 1300);
    assert_int_equal(peer_state(peer), BRAID_COOKIE_WAIT);
    peer->sent_seen--;
    peer_answer_init(peer);
    expect(peer, "COOKIE_ECHO");
    peer_send_plain(peer, SCTP_CHUNK_COOKIE_ACK, 0);
    expect_event(peer, BRAID_EVENT_UP);
}

/* 5.2.6: and it does not go on for ever. */
static void test_stale_cookies_without_end(void **state)
{
    struct peer *peer = *state;
    unsigned int inits = 0;

    peer_start_connect(peer);
    for (int i = 0; i < 100 && peer_state(peer) == BRAID_COOKIE_WAIT; i++) {
        size_t start;

        peer_answer_init(peer);
        expect(peer, "COOKIE_ECHO");
        inits++;
        peer_begin(peer);
        start = error_begin(&peer->writer);
        stale_cookie_write(&peer->writer, 5000);
        chunk_end(&peer->writer, start);
        peer_send(peer);
    }
    assert_in_range(inits, 1, 20);
    expect_down(peer, BRAID_DOWN_CANNOT_START);
}

/* braid_connect() says what is wrong before it sends anything. */
static void test_connect_errors(void **state)
{
    struct peer *peer = *state;
    struct braid_address ipv6 = braid_address_ipv6("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x7", 0);
    struct braid_address any = braid_address_ipv4("\0\0\0\0");
    struct braid_address group = braid_address_ipv4("\340\0\0\1");
    uint32_t association;

    assert_int_equal(braid_connect(peer->engine, peer->endpoint, peer->there, 0, PEER_PORT, 0,
                                   peer->now, &association),
                     -EINVAL);
    assert_int_equal(
        braid_connect(peer->engine, peer->endpoint, peer->there, 1, 0, 0, peer->now, &association),
        -EINVAL);
    assert_int_equal(
        braid_connect(peer->engine, 999999, peer->there, 1, PEER_PORT, 0, peer->now, &association),
        -EINVAL);
    assert_true(braid_connect(peer->engine, peer->endpoint, &any, 1, PEER_PORT, 0, peer->now,
                              &association) < 0);
    assert_true(braid_connect(peer->engine, peer->endpoint, &group, 1, PEER_PORT, 0, peer->now,
                              &association) < 0);
    assert_true(braid_connect(peer->engine, peer->endpoint, &ipv6, 1, PEER_PORT, 0, peer->now,
                              &association) < 0);
    expect(peer, NONE);
    peer_connect(peer);
    assert_int_equal(braid_connect(peer->engine, peer->endpoint, peer->there, 1, PEER_PORT, 0,
                                   peer->now, &association),
                     -EISCONN);
    assert_int_equal(associations_now(peer), 1);
}

/* The user gives up before there is an answer. */
static void test_abort_while_setting_up(void **state)
{
    struct peer *peer = *state;

    peer_start_connect(peer);
    expect(peer, "INIT");
    assert_int_equal(braid_abort(peer->engine, peer->association, NULL, 0, peer->now), 0);
    expect_down(peer, BRAID_DOWN_ABORTED_BY_USER);
    expect_silence(peer, 10 * SECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_init_is_answered),
        peer_test(test_init_acks_differ),
        peer_test(test_cookie_echo_is_answered),
        peer_test(test_init_over_ipv6_and_udp),
        peer_test(test_streams_are_the_least_of_both),
        peer_test(test_streams_of_an_init_ack),
        peer_test(test_init_with_tag_zero),
        peer_test(test_init_with_invalid_values),
        peer_test(test_init_where_nobody_listens),
        peer_test(test_init_in_company_is_discarded),
        peer_test(test_init_with_a_verification_tag),
        peer_test(test_unknown_parameters_of_an_init),
        peer_test(test_parameters_after_an_unknown_one),
        peer_test(test_host_name_in_an_init),
        peer_test(test_supported_address_types),
        peer_test(test_addresses_of_another_family),
        peer_test(test_init_ack_lists_addresses),
        peer_test(test_altered_cookie),
        peer_test(test_cookie_of_another),
        peer_test(test_stale_cookie),
        peer_test(test_old_cookie),
        peer_test(test_cookie_outlives_its_key),
        peer_test(test_data_with_the_cookie_echo),
        peer_test(test_repeated_init_and_cookie_echo),
        peer_test(test_init_is_sent),
        peer_test(test_init_ack_is_answered),
        peer_test(test_data_goes_with_the_cookie_echo),
        peer_test(test_t1_init),
        peer_test(test_t1_init_with_a_limit),
        peer_test(test_t1_cookie),
        peer_test(test_init_tries_all_addresses),
        peer_test(test_init_ack_without_a_cookie),
        peer_test(test_init_ack_without_streams),
        peer_test(test_init_ack_with_tag_zero),
        peer_test(test_init_ack_with_a_small_window),
        peer_test(test_init_ack_with_a_wrong_tag),
        peer_test(test_init_ack_in_company),
        peer_test(test_unknown_parameters_of_an_init_ack),
        peer_test(test_stopping_parameter_of_an_init_ack),
        peer_test(test_host_name_in_an_init_ack),
        peer_test(test_large_cookie),
        peer_test(test_init_is_refused),
        peer_test(test_stale_cookie_error),
        peer_test(test_stale_cookies_without_end),
        peer_test(test_connect_errors),
        peer_test(test_abort_while_setting_up),
    };

    return cmocka_run_group_tests_name("RFC 9260, 5.1", tests, NULL, NULL);
}
