/*
 * SCTP in UDP (RFC 6951): which UDP port packets go to, and how large they are.
 */
#include "peer.h"

enum { PORT = 9899, OTHER_PORT = 40000 };

static struct peer *scene(void **state)
{
    struct peer *peer = peer_renew(state, &(struct peer_config){.udp = PORT});

    peer_accept(peer);
    return peer;
}

static void acknowledge(struct peer *peer, uint32_t count)
{
    peer_send_sack(peer, peer->engine_initial_tsn - 1 + count);
    peer_skip(peer);
}

/* 5.4: the port that the last good packet came from. */
static void test_port_follows_the_peer(void **state)
{
    struct peer *peer = scene(state);

    peer->udp = OTHER_PORT; /* a NAT in between has chosen another */
    peer_send_data(peer, peer->initial_tsn, 0, 0, WHOLE, 10);
    assert_int_equal(expect_within(peer, 300 * MS, "SACK")->encapsulation_port, OTHER_PORT);
    assert_int_equal(peer_path(peer, 0).encapsulation_port, OTHER_PORT);
}

/* 5.4: "which includes checking the verification tag". */
static void test_port_of_a_stranger(void **state)
{
    struct peer *peer = scene(state);

    peer->udp = OTHER_PORT;
    peer_begin_tag(peer, peer->engine_tag + 1);
    peer_write_data(peer, peer->initial_tsn, 0, 0, WHOLE, 10);
    peer_send(peer);
    expect(peer, NONE);
    assert_int_equal(peer_path(peer, 0).encapsulation_port, PORT);
}

/* 5.4, of a side that calls: COOKIE ECHO goes where the INIT ACK came from. */
static void test_port_of_an_init_ack(void **state)
{
    struct peer *peer = peer_renew(state, &(struct peer_config){.udp = PORT});

    peer_start_connect(peer);
    peer_read_init(peer, expect(peer, "INIT"));
    peer->udp = OTHER_PORT;
    peer_send_init_ack(peer);
    assert_int_equal(expect(peer, "COOKIE_ECHO")->encapsulation_port, OTHER_PORT);
}

/* 5.4: a packet without UDP ends it; 5.6: the 8 bytes are the packets'. */
static void test_without(void **state)
{
    struct peer *peer = scene(state);
    size_t before, after;

    assert_int_equal(peer_user_send(peer, 0, 1452), 0); /* more than fits */
    before = expect(peer, "DATA")->length;
    peer_skip(peer);
    peer->udp = 0;
    acknowledge(peer, 2);
    assert_int_equal(peer_path(peer, 0).encapsulation_port, 0);
    assert_int_equal(peer_user_send(peer, 0, 1452), 0);
    after = expect(peer, "DATA")->length;
    assert_int_equal(after, 12 + 16 + 1452);
    assert_true(before <= after - 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_port_follows_the_peer),
        peer_test(test_port_of_a_stranger),
        peer_test(test_port_of_an_init_ack),
        peer_test(test_without),
    };

    return cmocka_run_group_tests_name("UDP", tests, NULL, NULL);
}
