/*
 * Tests: what include/braid/engine.h promises its user beyond the protocol: endpoints, limits,
 * owners, the order of events, and calls that make no sense.
 */
#include "peer.h"

enum { OTHER_PORT = 6001 };

static int open_endpoint(struct peer *peer, uint16_t port, bool share, uint32_t *endpoint)
{
    struct braid_endpoint_config config = {.port = port,
                                           .addresses = peer->here,
                                           .address_count = 1,
                                           .share_port = share,
                                           .user = peer};

    return braid_endpoint_open(peer->engine, &config, endpoint);
}

/* ---- Endpoints --------------------------------------------------------------------------------
 */

static void test_endpoints(void **state)
{
    struct peer *peer = *state;
    struct braid_address address, stranger = braid_address_ipv4("\300\0\2\143");
    struct braid_endpoint_config config = {
        .port = OTHER_PORT, .addresses = &stranger, .address_count = 1};
    uint32_t endpoint, another;
    uint16_t port;

    assert_int_equal(open_endpoint(peer, ENGINE_PORT, false, &endpoint), -EADDRINUSE);
    assert_int_equal(braid_endpoint_open(peer->engine, &config, &endpoint), -EADDRNOTAVAIL);
    assert_int_equal(open_endpoint(peer, OTHER_PORT, false, &endpoint), 0);
    assert_int_not_equal(endpoint, 0);
    assert_int_equal(braid_endpoint_port(peer->engine, endpoint), OTHER_PORT);
    assert_ptr_equal(braid_endpoint_user(peer->engine, endpoint), peer);
    assert_int_equal(braid_endpoint_addresses(peer->engine, endpoint, &address, 1), 1);
    assert_true(braid_address_equal(&address, &peer->here[0]));
    braid_endpoint_close(peer->engine, endpoint, peer->now);
    assert_int_equal(open_endpoint(peer, OTHER_PORT, false, &another), 0);
    assert_int_not_equal(another, endpoint);
    /* an unused port, and never the same twice */
    assert_int_equal(open_endpoint(peer, 0, false, &endpoint), 0);
    port = braid_endpoint_port(peer->engine, endpoint);
    assert_true(port >= 1024);
    assert_int_equal(open_endpoint(peer, 0, false, &another), 0);
    assert_int_not_equal(braid_endpoint_port(peer->engine, another), port);
}

/* What comes in by another interface is not for it, and all that it sends leaves by its own. */
static void test_bound_to_interface(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer_config config = {.parameters = &parameters};
    struct peer *peer;

    parameters.interface = 3;
    parameters.priority = 5;
    peer = peer_renew(state, &config);
    peer->interface = 4; /* another */
    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    peer_send_init(peer);
    expect(peer, "ABORT");
    peer->master = 3; /* it belongs to ours */
    peer_accept(peer);
    peer_send_data(peer, peer->initial_tsn, 0, 0, WHOLE, 100);
    peer_send_data(peer, peer->initial_tsn + 1, 0, 1, WHOLE, 100);
    expect(peer, "SACK");
    for (size_t i = 1; i < peer->sent_count; i++) {
        assert_int_equal(peer->sent[i]->interface, 3);
        assert_int_equal(peer->sent[i]->priority, 5);
    }
    peer->master =
        0; /* what comes in elsewhere is not answered, and does the association no harm */
    peer_send_data(peer, peer->initial_tsn + 2, 0, 2, WHOLE, 100);
    peer_send_init(peer);
    expect(peer, NONE);
    peer->interface = 3;
    peer_send_data(peer, peer->initial_tsn + 2, 0, 2, WHOLE, 100);
    peer_send_data(peer, peer->initial_tsn + 3, 0, 3, WHOLE, 100);
    expect(peer, "SACK");
}

/* Addresses that the host does not have are bound to if that is asked for. */
static void test_free_bind(void **state)
{
    struct peer *peer = *state;
    struct braid_address address = braid_address_ipv4("\313\0\161\7");
    struct braid_endpoint_config config = {.port = 7, .addresses = &address, .address_count = 1};
    uint32_t endpoint;

    assert_int_equal(braid_endpoint_open(peer->engine, &config, &endpoint), -EADDRNOTAVAIL);
    config.free_bind = true;
    assert_int_equal(braid_endpoint_open(peer->engine, &config, &endpoint), 0);
    braid_endpoint_close(peer->engine, endpoint, peer->now);
}

/* All packets of an association have it: what answers others too. */
static void test_hop_limit(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct peer *peer;

    parameters.time_to_live = 7;
    parameters.hop_limit = 9; /* of IPv6, which this is not */
    peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
    peer_accept(peer);
    for (size_t i = 0; i < peer->sent_count; i++)
        assert_int_equal(peer->sent[i]->hop_limit, 7);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    assert_int_equal(expect(peer, "DATA")->hop_limit, 7);
    peer_send_data(peer, peer->initial_tsn, 0, 0, WHOLE, 10);
    assert_int_equal(expect_within(peer, 300 * MS, "SACK")->hop_limit, 7);
}

static void test_shared_port(void **state)
{
    struct peer *peer = *state;
    uint32_t a, b, c;

    assert_int_equal(open_endpoint(peer, OTHER_PORT, true, &a), 0);
    assert_int_equal(open_endpoint(peer, OTHER_PORT, true, &b), 0);
    assert_int_equal(open_endpoint(peer, OTHER_PORT, false, &c), -EADDRINUSE);
}

/* "Aborts the associations that are left." */
static void test_endpoint_close(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    braid_endpoint_close(peer->engine, peer->endpoint, peer->now);
    expect(peer, "ABORT");
    assert_int_equal(peer_state(peer), BRAID_CLOSED);
    peer_send_data(peer, 1000, 0, 0, WHOLE, 10);
    assert_int_equal(sent_chunk(expect(peer, "ABORT"), SCTP_CHUNK_ABORT).flags,
                     SCTP_FLAG_TAG_REFLECTED);
    expect_silence(peer, 100 * SECOND);
}

/* ---- Limits -----------------------------------------------------------------------------------
 */

/* Sets up an association from another port of the peer; false if it is refused. */
static bool call_from(struct peer *peer, uint16_t port)
{
    const struct sent *sent;
    bool accepted;

    peer->port = port;
    peer->tag++;
    peer_send_init(peer);
    sent = peer_next(peer);
    assert_non_null(sent);
    if (sent_count(sent, SCTP_CHUNK_ABORT) > 0) {
        assert_int_equal(sent->header.verification_tag, peer->tag);
        return false;
    }
    peer_read_init(peer, sent);
    peer_send_cookie_echo(peer);
    sent = peer_next(peer);
    assert_non_null(sent);
    accepted = sent_count(sent, SCTP_CHUNK_COOKIE_ACK) > 0;
    assert_true(accepted || sent_count(sent, SCTP_CHUNK_ABORT) > 0);
    if (accepted)
        peer->association = expect_event(peer, BRAID_EVENT_UP)->association;
    return accepted;
}

static void test_backlog(void **state)
{
    struct peer *peer = *state;
    uint32_t first;

    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 2), 0);
    assert_true(call_from(peer, 4001));
    first = peer->association;
    assert_true(call_from(peer, 4002));
    assert_false(call_from(peer, 4003));
    assert_int_equal(braid_association_claim(peer->engine, first), 0);
    assert_true(call_from(peer, 4003));
    assert_false(call_from(peer, 4004));
    /* claimed once is claimed */
    (void)braid_association_claim(peer->engine, first);
    assert_false(call_from(peer, 4004));
    /* one that ended and was given back no longer counts */
    assert_int_equal(braid_abort(peer->engine, peer->association, NULL, 0, peer->now), 0);
    braid_association_release(peer->engine, peer->association, peer->now);
    peer_skip(peer);
    assert_true(call_from(peer, 4004));
}

/* Cookies were given before the backlog was full: at COOKIE ECHO it is looked at again. */
static void test_backlog_at_cookie_echo(void **state)
{
    struct peer *peer = *state;

    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 1), 0);
    peer_send_init(peer);
    peer_read_init(peer, expect(peer, "INIT_ACK"));
    braid_endpoint_listen(peer->engine, peer->endpoint, 0);
    peer_send_cookie_echo(peer);
    expect(peer, "ABORT");
    expect_no_event(peer, BRAID_EVENT_UP);
}

static void test_maximum_associations(void **state)
{
    struct peer *peer = peer_renew(state, &(struct peer_config){.maximum_associations = 3});
    struct braid_statistics statistics;

    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 100), 0);
    for (uint16_t i = 0; i < 3; i++)
        assert_true(call_from(peer, (uint16_t)(4001 + i)));
    assert_false(call_from(peer, 4004));
    braid_engine_statistics(peer->engine, &statistics);
    assert_int_equal(statistics.associations_now, 3);
    assert_int_equal(statistics.associations_accepted, 3);
    assert_true(statistics.associations_refused >= 1);
    assert_int_equal(braid_connect(peer->engine, peer->endpoint, peer->there, 1, 4010, 0, peer->now,
                                   &peer->association),
                     -ENOBUFS);
}

/* ---- Associations and their owners ------------------------------------------------------------
 */

static void test_identifiers(void **state)
{
    struct peer *peer = *state;
    uint32_t seen[3], id = 0;

    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 100), 0);
    for (uint16_t i = 0; i < 3; i++) {
        assert_true(call_from(peer, (uint16_t)(4001 + i)));
        seen[i] = peer->association;
        assert_int_not_equal(seen[i], 0);
        assert_int_equal(braid_association_find(peer->engine, peer->endpoint, &peer->there[0],
                                                (uint16_t)(4001 + i)),
                         seen[i]);
    }
    for (int i = 0; i < 3; i++) {
        uint32_t next = braid_association_next(peer->engine, peer->endpoint, id);

        assert_true(next > id);
        assert_true(next == seen[0] || next == seen[1] || next == seen[2]);
        id = next;
    }
    assert_int_equal(braid_association_next(peer->engine, peer->endpoint, id), 0);
    assert_int_equal(braid_association_find(peer->engine, peer->endpoint, &peer->there[1], 4001),
                     0);
    /* not soon used again */
    braid_abort(peer->engine, seen[2], NULL, 0, peer->now);
    braid_association_release(peer->engine, seen[2], peer->now);
    peer_skip(peer);
    assert_true(call_from(peer, 4003));
    assert_int_not_equal(peer->association, seen[2]);
}

/* accept and peel-off: another endpoint of the same port becomes the owner. */
static void test_move(void **state)
{
    struct peer *peer = *state;
    uint32_t listener, owner, other;

    assert_int_equal(open_endpoint(peer, OTHER_PORT, true, &listener), 0);
    assert_int_equal(open_endpoint(peer, OTHER_PORT, true, &owner), 0);
    assert_int_equal(open_endpoint(peer, OTHER_PORT + 1, true, &other), 0);
    assert_int_equal(braid_endpoint_listen(peer->engine, listener, 1), 0);
    peer->engine_port = OTHER_PORT;
    assert_true(call_from(peer, 4001));
    assert_int_equal(peer_info(peer).endpoint, listener);
    assert_true(braid_association_move(peer->engine, peer->association, other) < 0);
    assert_int_equal(braid_association_move(peer->engine, peer->association, owner), 0);
    assert_int_equal(peer_info(peer).endpoint, owner);
    assert_int_equal(braid_association_find(peer->engine, owner, &peer->there[0], 4001),
                     peer->association);
    assert_int_equal(braid_association_find(peer->engine, listener, &peer->there[0], 4001), 0);
    /* its packets still find it, its events name the new owner, and the backlog is free */
    peer_send_data(peer, 1000, 0, 0, WHOLE, 20);
    expect(peer, "SACK");
    assert_int_equal(expect_event(peer, BRAID_EVENT_READABLE)->endpoint, owner);
    expect_message(peer, 0, 1000, 20);
    assert_true(call_from(peer, 4002));
    /* the listener's end is not its end */
    braid_endpoint_close(peer->engine, listener, peer->now);
    peer_skip(peer);
    peer->association = braid_association_next(peer->engine, owner, 0);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
}

static void test_user_pointer(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    assert_null(braid_association_user(peer->engine, peer->association));
    assert_int_equal(braid_association_set_user(peer->engine, peer->association, peer), 0);
    assert_ptr_equal(braid_association_user(peer->engine, peer->association), peer);
}

/* ---- Events -----------------------------------------------------------------------------------
 */

/* UP comes first, DOWN last, and READABLE once until all was read. */
static void test_order_of_events(void **state)
{
    struct peer *peer = *state;

    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    peer_send_init(peer);
    peer_read_init(peer, expect(peer, "INIT_ACK"));
    peer_begin(peer);
    cookie_echo_write(&peer->writer, peer->cookie, peer->cookie_length);
    peer_write_data(peer, 1000, 0, 0, WHOLE, 20);
    peer_send(peer);
    peer_send_data(peer, 1001, 0, 1, WHOLE, 20);
    peer_send_plain(peer, SCTP_CHUNK_ABORT, 0);
    assert_int_equal(peer->happened_count, 4);
    assert_int_equal(peer->happened[0]->event.type, BRAID_EVENT_UP);
    assert_int_equal(peer->happened[1]->event.type, BRAID_EVENT_AUTHENTICATION);
    assert_int_equal(peer->happened[2]->event.type, BRAID_EVENT_READABLE);
    assert_int_equal(peer->happened[3]->event.type, BRAID_EVENT_DOWN);
    peer->association = peer->happened[0]->event.association;
    expect_message(peer, 0, 1000, 20);
    expect_message(peer, 0, 1001, 20);
    expect_no_message(peer);
}

/* "something, and had nothing" */
static void test_readable(void **state)
{
    struct peer *peer = *state;

    peer_accept(peer);
    peer_send_data(peer, 1000, 0, 0, WHOLE, 20);
    peer_send_data(peer, 1001, 0, 1, WHOLE, 20);
    expect_event(peer, BRAID_EVENT_READABLE);
    expect_no_event(peer, BRAID_EVENT_READABLE);
    assert_int_equal(peer_info(peer).unread_messages, 2);
    assert_int_equal(peer_info(peer).unread_bytes, 40);
    expect_message(peer, 0, 1000, 20);
    expect_message(peer, 0, 1001, 20);
    expect_no_message(peer);
    peer_send_data(peer, 1003, 0, 3, WHOLE, 20);
    expect_no_event(peer, BRAID_EVENT_READABLE); /* it waits for another */
    peer_send_data(peer, 1002, 0, 2, WHOLE, 20);
    expect_event(peer, BRAID_EVENT_READABLE);
    expect_no_event(peer, BRAID_EVENT_READABLE);
    assert_int_equal(peer_info(peer).unread_messages, 2);
}

/* RFC 5061, 4.2.6. */
static void test_adaptation(void **state)
{
    struct peer *peer = *state;
    struct braid_parameters *parameters = braid_endpoint_parameters(peer->engine, peer->endpoint);
    struct sctp_parameter parameter;
    const struct sent *sent;
    uint32_t code_point;
    size_t start;

    parameters->adaptation_given = true;
    parameters->adaptation_indication = 0x0badcafe;
    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    start = peer_begin_init(peer, SCTP_CHUNK_INIT);
    adaptation_layer_indication_write(&peer->writer, 77);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    sent = expect(peer, "INIT_ACK");
    assert_true(sent_parameter(sent, SCTP_PARAMETER_ADAPTATION_LAYER_INDICATION, &parameter));
    assert_true(adaptation_layer_indication_read(&parameter, &code_point));
    assert_int_equal(code_point, 0x0badcafe);
    peer_read_init(peer, sent);
    peer_send_cookie_echo(peer);
    peer->association = expect_event(peer, BRAID_EVENT_UP)->association;
    assert_int_equal(expect_event(peer, BRAID_EVENT_ADAPTATION)->value, 77);
    assert_true(peer_info(peer).peer_adaptation_given);
    assert_int_equal(peer_info(peer).peer_adaptation, 77);
}

/* ---- Calls that make no sense -----------------------------------------------------------------
 */

static void test_nonsense(void **state)
{
    struct peer *peer = *state;
    struct braid_association_info info;
    struct braid_path_info path;
    struct braid_received received;
    struct braid_address address;

    assert_true(braid_shutdown(peer->engine, 99, peer->now) < 0);
    assert_true(braid_abort(peer->engine, 99, NULL, 0, peer->now) < 0);
    assert_true(braid_association_info(peer->engine, 99, &info) < 0);
    assert_true(braid_path_info(peer->engine, 99, 0, &path) < 0);
    assert_true(braid_receive(peer->engine, 99, &received, peer->now) <= 0);
    assert_true(braid_association_claim(peer->engine, 99) < 0);
    assert_true(braid_association_move(peer->engine, 99, peer->endpoint) < 0);
    assert_null(braid_association_parameters(peer->engine, 99));
    assert_null(braid_association_user(peer->engine, 99));
    assert_true(braid_endpoint_listen(peer->engine, 99, 1) < 0);
    assert_int_equal(braid_endpoint_addresses(peer->engine, 99, &address, 1), 0);
    braid_association_release(peer->engine, 99, peer->now);
    braid_endpoint_close(peer->engine, 99, peer->now);
    peer_accept(peer);
    assert_true(braid_path_info(peer->engine, peer->association, 1, &path) < 0);
    assert_true(braid_path_request_heartbeat(peer->engine, peer->association, 7, peer->now) < 0);
    assert_true(braid_path_find(peer->engine, peer->association, &peer->there[1]) < 0);
    /* time may be told too early or too late */
    braid_engine_timeout(peer->engine, peer->now);
    braid_engine_timeout(peer->engine, peer->now - 1 * SECOND);
    expect(peer, NONE);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    assert_int_equal(braid_shutdown(peer->engine, peer->association, peer->now), 0);
    (void)braid_shutdown(peer->engine, peer->association, peer->now);
    expect(peer, "SHUTDOWN");
    expect(peer, NONE);
}

static void test_state_names(void **state)
{
    (void)state;
    assert_string_equal(braid_state_name(BRAID_COOKIE_WAIT), "COOKIE-WAIT");
    assert_string_equal(braid_state_name(BRAID_ESTABLISHED), "ESTABLISHED");
    assert_string_equal(braid_state_name(BRAID_SHUTDOWN_ACK_SENT), "SHUTDOWN-ACK-SENT");
}

/* RFC 9260, 16. */
static void test_defaults(void **state)
{
    struct braid_parameters parameters;

    (void)state;
    braid_parameters_default(&parameters);
    assert_int_equal(parameters.rto_initial, 1000);
    assert_int_equal(parameters.rto_min, 1000);
    assert_int_equal(parameters.rto_max, 60000);
    assert_int_equal(parameters.max_burst, 4);
    assert_int_equal(parameters.rto_alpha_shift, 3);
    assert_int_equal(parameters.rto_beta_shift, 2);
    assert_int_equal(parameters.valid_cookie_life, 60000);
    assert_int_equal(parameters.association_max_retrans, 10);
    assert_int_equal(parameters.path_max_retrans, 5);
    assert_int_equal(parameters.max_init_retransmits, 8);
    assert_int_equal(parameters.hb_interval, 30000);
    assert_int_equal(parameters.hb_max_burst, 1);
    assert_int_equal(parameters.sack_delay, 200);
}

/* Packets that arrive together: one SACK, for all of them. */
static void test_packets_together(void **state)
{
    enum { COUNT = 10 };
    static uint8_t bytes[COUNT][256];
    struct braid_packet packets[COUNT];
    struct peer *peer = *state;

    peer_accept(peer);
    for (uint32_t i = 0; i < COUNT; i++) {
        peer_begin(peer);
        peer_write_data(peer, 1000 + i, 0, (uint16_t)i, WHOLE, 100);
        assert_true(packet_finish(&peer->writer));
        memcpy(bytes[i], peer->packet, peer->writer.length);
        packets[i] = (struct braid_packet){.bytes = bytes[i],
                                           .length = peer->writer.length,
                                           .source = peer->there[0],
                                           .destination = peer->here[0]};
    }
    braid_engine_receive(peer->engine, packets, COUNT, peer->now);
    assert_sack(expect(peer, "SACK"), 1000 + COUNT - 1, 0, 0);
    expect(peer, NONE);
    for (uint32_t i = 0; i < COUNT; i++)
        expect_message(peer, 0, 1000 + i, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_endpoints),
        peer_test(test_hop_limit),
        peer_test(test_bound_to_interface),
        peer_test(test_free_bind),
        peer_test(test_shared_port),
        peer_test(test_endpoint_close),
        peer_test(test_backlog),
        peer_test(test_backlog_at_cookie_echo),
        peer_test(test_maximum_associations),
        peer_test(test_identifiers),
        peer_test(test_move),
        peer_test(test_user_pointer),
        peer_test(test_order_of_events),
        peer_test(test_readable),
        peer_test(test_adaptation),
        peer_test(test_nonsense),
        peer_test(test_state_names),
        peer_test(test_defaults),
        peer_test(test_packets_together),
    };

    return cmocka_run_group_tests_name("engine.h", tests, NULL, NULL);
}
