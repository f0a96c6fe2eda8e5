/*
 * The host's addresses and routes change under associations that do not tell their peers: RFC 9260,
 * sections 6.4 and 7.3.
 */
#include "peer.h"

static struct peer *begin(void **state, const struct peer_config *config)
{
    struct peer *peer = peer_renew(state, config);

    peer_accept(peer);
    peer_skip(peer);
    return peer;
}

/* The routing table says so from now on, for all paths. */
static void set_route(struct peer *peer, unsigned int source, uint32_t mtu)
{
    struct braid_address swap = peer->here[0];

    peer->here[0] = peer->here[source];
    peer->here[source] = swap;
    peer->mtu = mtu;
    assert_int_equal(braid_engine_set_addresses(peer->engine, peer->here, PATHS, peer->now), 0);
    peer_run(peer);
}

static bool sends_from(struct peer *peer, uint32_t path, const struct braid_address *source)
{
    struct braid_path_info info = peer_path(peer, path);

    return braid_address_equal(&info.source, source);
}

/* A smaller MTU: what is on its way and does not fit is sent again. A larger one is used. */
static void test_mtu_of_route(void **state)
{
    struct peer *peer = begin(state, NULL);
    const struct sent *sent;

    assert_int_equal(peer_user_send(peer, 0, 1452), 0);
    expect(peer, "DATA");
    set_route(peer, 0, 900);
    assert_int_equal(peer_path(peer, 0).mtu, 900);
    sent = expect(peer, "DATA");
    assert_int_equal(sent_data(sent, 0).tsn, peer->engine_initial_tsn);
    assert_false(sent->dont_fragment);
    peer_send_sack(peer, peer->engine_initial_tsn);
    set_route(peer, 0, 4000);
    assert_int_equal(peer_path(peer, 0).mtu, 4000);
    assert_int_equal(peer_user_send(peer, 0, 3000), 0);
    assert_int_equal(sent_data(expect(peer, "DATA"), 0).payload_length, 3000);
}

/* 5.1.2: a peer with a global address is told of global addresses; of private ones if there are no
 * others. */
static void test_reach_of_addresses(void **state)
{
    for (unsigned int global = 0; global < 2; global++) {
        struct peer *peer =
            peer_renew(state, &(struct peer_config){.paths = 1, .any_address = true});
        struct sctp_init init;
        struct parameter_iterator iterator;
        struct sctp_parameter parameter;
        struct braid_address listed;
        unsigned int count = 0;

        peer->here[1] = braid_address_ipv4((uint8_t[]){10, 1, 0, 1});
        peer->here[2] = braid_address_ipv4((uint8_t[]){10, 2, 0, 1});
        if (!global)
            peer->here[0] = braid_address_ipv4((uint8_t[]){192, 168, 0, 1});
        assert_int_equal(braid_engine_set_addresses(peer->engine, peer->here, 3, peer->now), 0);
        peer_start_connect(peer);
        init = sent_init(expect(peer, "INIT"));
        parameter_iterator_init(&iterator, init.parameters, init.parameters_length);
        while (parameter_next(&iterator, &parameter))
            count += address_parameter_read(&parameter, &listed);
        assert_int_equal(count, global ? 0 : 3); /* one alone is known from the packet's source */
    }
}

/* An INIT that is longer than the path's packets goes out whole: IP fragments it. */
static void test_init_longer_than_the_path(void **state)
{
    struct braid_parameters parameters = peer_parameters();
    struct braid_endpoint_config config = {
        .parameters = &parameters, .port = ENGINE_PORT + 1, .ipv4 = true, .ipv6 = true};
    struct peer *peer = peer_renew(state, &(struct peer_config){.mtu = 576});
    struct braid_address addresses[32];
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;
    const struct sent *sent;
    unsigned int count = 0;

    addresses[0] = peer->here[0];
    for (uint8_t i = 1; i < 32; i++)
        addresses[i] = braid_address_ipv6((uint8_t[16]){0x20, 0x01, 0x0d, 0xb8, [15] = i}, 0);
    assert_int_equal(braid_engine_set_addresses(peer->engine, addresses, 32, peer->now), 0);
    assert_int_equal(braid_endpoint_open(peer->engine, &config, &peer->endpoint), 0);
    peer_start_connect(peer);
    sent = expect(peer, "INIT");
    assert_true(sent->length > 576);
    assert_false(sent->dont_fragment);
    parameter_iterator_init(&iterator, sent_init(sent).parameters,
                            sent_init(sent).parameters_length);
    while (parameter_next(&iterator, &parameter))
        count += parameter.type == SCTP_PARAMETER_IPV6_ADDRESS;
    assert_int_equal(count, 31);
    assert_false(iterator.malformed);
}

/* What ICMP told stays as long as the route says what it said. */
static void test_discovered_mtu(void **state)
{
    struct peer *peer = begin(state, NULL);
    const struct sent *sent;

    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    sent = expect(peer, "DATA");
    braid_engine_icmp(peer->engine, BRAID_ICMP_TOO_BIG, 1000, &peer->there[0], sent->bytes, 8,
                      peer->now);
    assert_int_equal(peer_path(peer, 0).mtu, 1000);
    set_route(peer, 0, 1500);
    assert_int_equal(peer_path(peer, 0).mtu, 1000);
    set_route(peer, 0, 1400);
    assert_int_equal(peer_path(peer, 0).mtu, 1400);
}

/* Bound to all of the host, which gains an address that its routes prefer: the peer does not know
 * it, so that nothing may come from it. */
static void test_new_address_is_not_used(void **state)
{
    struct peer *peer = begin(state, &(struct peer_config){.any_address = true});
    struct braid_address known = peer->here[0];

    assert_int_equal(braid_engine_set_addresses(peer->engine, &known, 1, peer->now), 0);
    set_route(peer, 2, 1500);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    assert_true(braid_address_equal(&expect(peer, "DATA")->source, &known));
    expect(peer, NONE); /* no ASCONF */
}

/* The source of a path goes, another that the peer knows takes its place, and it comes back. */
static void test_source_goes(void **state)
{
    struct peer *peer = begin(state, &(struct peer_config){.any_address = true, .paths = 2});
    struct braid_address first = peer->here[0], second = peer->here[1];

    assert_true(sends_from(peer, 0, &first));
    peer->here[0] = second;
    assert_int_equal(braid_engine_set_addresses(peer->engine, &second, 1, peer->now), 0);
    assert_true(sends_from(peer, 0, &second));
    peer->here[0] = first;
    assert_int_equal(braid_engine_set_addresses(peer->engine, peer->here, 2, peer->now), 0);
    assert_true(sends_from(peer, 0, &first));
}

/* RFC 9260, 7.2.5.2: what was learnt of the way from one source is not true of another. */
static void test_congestion_from_a_new_source(void **state)
{
    struct peer *peer = begin(state, &(struct peer_config){.any_address = true, .paths = 2});
    struct braid_address second = peer->here[1];
    uint32_t initial = peer_path(peer, 0).cwnd;

    for (int i = 0; i < 4; i++)
        assert_int_equal(peer_user_send(peer, 0, 1452), 0);
    peer_send_sack(peer, peer->engine_initial_tsn + 1);
    assert_true(peer_path(peer, 0).cwnd > initial);
    peer->here[0] = second;
    assert_int_equal(braid_engine_set_addresses(peer->engine, &second, 1, peer->now), 0);
    assert_true(sends_from(peer, 0, &second));
    assert_int_equal(peer_path(peer, 0).cwnd, initial);
}

/* A peer with one address called another of ours than the route prefers, and may see us through
 * that alone: it stays as long as the route says the same. */
static void test_called_address_stays(void **state)
{
    struct peer *peer = peer_renew(state, &(struct peer_config){.any_address = true});
    struct braid_address called = peer->here[1], third = peer->here[2];

    assert_int_equal(braid_engine_set_addresses(peer->engine, peer->here, PATHS, peer->now), 0);
    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    chunk_end(&peer->writer, peer_begin_init(peer, SCTP_CHUNK_INIT));
    peer_send_from(peer, &peer->there[0], &called);
    peer_read_init(peer, expect(peer, "INIT_ACK"));
    peer_begin(peer);
    cookie_echo_write(&peer->writer, peer->cookie, peer->cookie_length);
    peer_send_from(peer, &peer->there[0], &called);
    peer->association = expect_event(peer, BRAID_EVENT_UP)->association;
    assert_true(sends_from(peer, 0, &called));
    set_route(peer, 0, 1400);
    assert_true(sends_from(peer, 0, &called));
    set_route(peer, 2, 1400);
    assert_true(sends_from(peer, 0, &third));
}

/* Bound to two addresses, the host loses one: its routes may say what they like. */
static void test_bound_address_goes(void **state)
{
    struct peer *peer = begin(state, &(struct peer_config){.paths = 2});
    struct braid_address second = peer->here[1];

    peer->here[0] = peer->here[2];
    assert_int_equal(braid_engine_set_addresses(peer->engine, peer->here + 1, 2, peer->now), 0);
    assert_true(sends_from(peer, 0, &second));
    assert_true(sends_from(peer, 1, &second));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_init_longer_than_the_path),
        peer_test(test_reach_of_addresses),
        peer_test(test_mtu_of_route),
        peer_test(test_discovered_mtu),
        peer_test(test_new_address_is_not_used),
        peer_test(test_source_goes),
        peer_test(test_congestion_from_a_new_source),
        peer_test(test_called_address_stays),
        peer_test(test_bound_address_goes),
    };

    return cmocka_run_group_tests_name("the host changes", tests, NULL, NULL);
}
