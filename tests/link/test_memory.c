/*
 * The network in memory: what its wires do to packets, and that a seed repeats it.
 *
 * RFC 9260 section 1.3 (a packet network that may lose, duplicate and reorder), section 10 (ICMP).
 */
#include <errno.h>
#include <string.h>

#include "helper.h"
#include "link/memory.h"

enum { PORT = LINK_UDP_PORT, PACKET = 1000, IP_PACKET = PACKET + 28, MANY = 10000 };

static const char *const here_address = "192.0.2.1", *const there_address = "198.51.100.1";

/* Two hosts, and the wire that leads from the one to the other. */
struct pair {
    struct memory_network *network;
    struct link *here, *there;
    struct memory_wire *wire;
    struct memory_conditions *conditions;
    const struct memory_wire_statistics *statistics;
};

static struct link *attach(struct memory_network *network, const char *address, uint16_t port)
{
    struct braid_address braid = test_address(address);
    struct link *link = NULL;

    assert_int_equal(memory_network_attach(network, &braid, 1, port, &link), 0);
    return link;
}

static struct pair pair_make(uint64_t seed)
{
    struct pair pair = {.network = memory_network_new(seed)};
    struct braid_address here = test_address(here_address), there = test_address(there_address);

    assert_non_null(pair.network);
    pair.here = attach(pair.network, here_address, PORT);
    pair.there = attach(pair.network, there_address, PORT);
    pair.wire = memory_network_wire(pair.network, &here, &there);
    assert_non_null(pair.wire);
    pair.conditions = memory_wire_conditions(pair.wire);
    pair.statistics = memory_wire_statistics(pair.wire);
    return pair;
}

static void pair_free(struct pair *pair)
{
    link_close(pair->here);
    link_close(pair->there);
    memory_network_free(pair->network);
}

static struct braid_batch batch_there(size_t count)
{
    return test_batch(NULL, there_address, PORT, count, PACKET, PACKET);
}

static void send_packets(struct pair *pair, size_t count)
{
    while (count > 0) {
        size_t part = count < 50 ? count : 50;
        struct braid_batch batch = batch_there(part);

        test_send(pair->here, &batch);
        count -= part;
    }
}

/* Runs until nothing is under way. Returns how many packets came, and a digest of all of them. */
static size_t run(struct pair *pair, uint64_t *digest)
{
    size_t total = 0;

    for (braid_time now; (now = memory_network_next_arrival(pair->network)) != BRAID_TIME_NEVER;) {
        struct link *link;

        memory_network_advance(pair->network, now);
        while ((link = memory_network_next_ready(pair->network))) {
            struct braid_packet packets[16];
            struct link_error error;
            int count = link_receive(link, packets, 16);

            while (link_receive_error(link, &error))
                ;
            assert_true(count >= 0);
            total += (size_t)count;
            for (int i = 0; digest && i < count; i++) {
                const uint8_t *bytes = packets[i].bytes;

                *digest = (*digest ^ now) * 0x9e3779b97f4a7c15;
                for (size_t at = 0; at < packets[i].length; at++)
                    *digest = (*digest ^ bytes[at]) * 0x100000001b3;
            }
        }
    }
    return total;
}

static void assert_about(uint64_t count, double expected)
{
    if ((double)count < expected * 0.8 || (double)count > expected * 1.2)
        fail_msg("%lu, but about %.0f are expected", (unsigned long)count, expected);
}

/* ---- Tests ------------------------------------------------------------------------------------
 */

static void test_perfect_wire(void **state)
{
    struct pair pair = pair_make(1);
    struct braid_batch batch = test_batch(NULL, there_address, PORT, 40, PACKET, 12);
    struct braid_packet packets[64];

    (void)state;
    assert_int_equal(memory_network_next_arrival(pair.network), BRAID_TIME_NEVER);
    assert_null(memory_network_next_ready(pair.network));
    assert_int_equal(link_receive(pair.there, packets, 64), 0);
    assert_int_equal(link_send(pair.here, &batch), 40);
    assert_int_equal(memory_network_next_arrival(pair.network), 0);
    assert_ptr_equal(memory_network_next_ready(pair.network), pair.there);
    assert_int_equal(link_receive(pair.there, packets, 30), 30);
    assert_int_equal(link_receive(pair.there, packets + 30, 34), 10);
    for (size_t i = 30; i < 40; i++) {
        test_assert_packet(&packets[i], i, i == 39 ? 12 : PACKET);
        assert_int_equal(packets[i].encapsulation_port, PORT);
        assert_true(braid_address_equal(&packets[i].destination, &batch.destination));
    }
    assert_null(memory_network_next_ready(pair.network));
    assert_int_equal(pair.statistics->packets, 40);
    assert_int_equal(pair.statistics->delivered, 40);
    assert_int_equal(pair.statistics->bytes, 39 * PACKET + 12 + 40 * 28);
    assert_int_equal(pair.there->statistics.packets_received, 40);
    pair_free(&pair);
}

/* The same seed and calls give the same packets at the same times; another seed does not. */
static void test_seed_repeats(void **state)
{
    uint64_t digests[3] = {0};
    size_t counts[3];
    static const uint64_t seeds[3] = {42, 42, 43};

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct pair pair = pair_make(seeds[i]);

        *pair.conditions = (struct memory_conditions){.delay = 20000,
                                                      .jitter = 5000,
                                                      .bandwidth = 100000000,
                                                      .loss = 0.05,
                                                      .burst_begin = 0.01,
                                                      .burst_end = 0.3,
                                                      .burst_loss = 0.9,
                                                      .reorder = 0.1,
                                                      .reorder_delay = 7000,
                                                      .duplicate = 0.05,
                                                      .corrupt = 0.05};
        send_packets(&pair, 2000);
        counts[i] = run(&pair, &digests[i]);
        assert_int_equal(counts[i], pair.statistics->delivered);
        assert_true(counts[i] > 1000);
        pair_free(&pair);
    }
    assert_int_equal(counts[0], counts[1]);
    assert_true(digests[0] == digests[1]);
    assert_true(digests[0] != digests[2]);
}

static void test_loss(void **state)
{
    struct pair pair = pair_make(2);

    (void)state;
    pair.conditions->loss = 0.1;
    send_packets(&pair, MANY);
    assert_int_equal(run(&pair, NULL), MANY - pair.statistics->lost);
    assert_about(pair.statistics->lost, MANY * 0.1);
    pair_free(&pair);
}

/* Bad one time in eleven, for ten packets on average: as many losses as above, but in a row. */
static void test_loss_in_bursts(void **state)
{
    struct pair pair = pair_make(3);
    uint64_t bursts = 0, before = 0;
    bool losing = false;

    (void)state;
    pair.conditions->burst_begin = 0.01;
    pair.conditions->burst_end = 0.1;
    pair.conditions->burst_loss = 1;
    for (int i = 0; i < 4 * MANY; i++) {
        bool lost;

        send_packets(&pair, 1);
        lost = pair.statistics->lost > before;
        bursts += lost && !losing;
        losing = lost;
        before = pair.statistics->lost;
    }
    assert_about(pair.statistics->lost, 4 * MANY / 11.0);
    assert_about(pair.statistics->lost / bursts, 10);
    pair_free(&pair);
}

static void test_duplicates(void **state)
{
    struct pair pair = pair_make(4);

    (void)state;
    pair.conditions->duplicate = 0.2;
    send_packets(&pair, MANY);
    assert_int_equal(run(&pair, NULL), MANY + pair.statistics->duplicated);
    assert_about(pair.statistics->duplicated, MANY * 0.2);
    pair_free(&pair);
}

/* Receives one packet of a batch of at most 256, and tells its number. */
static size_t receive_number(struct pair *pair)
{
    struct braid_packet packet;

    memory_network_advance(pair->network, memory_network_next_arrival(pair->network));
    assert_int_equal(link_receive(pair->there, &packet, 1), 1);
    return *(const uint8_t *)packet.bytes;
}

static void test_order(void **state)
{
    struct pair pair = pair_make(5);
    size_t late = 0;

    (void)state;
    pair.conditions->delay = 1000;
    pair.conditions->jitter = 800; /* does not change the order */
    send_packets(&pair, 50);
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(receive_number(&pair), i);

    pair.conditions->jitter = 0;
    pair.conditions->reorder = 0.2;
    pair.conditions->reorder_delay = 100;
    send_packets(&pair, 50);
    for (size_t i = 0, last = 0; i < 50; i++) {
        size_t number = receive_number(&pair);

        late += number < last;
        last = number;
    }
    assert_true(pair.statistics->reordered > 0);
    assert_true(late > 0);
    pair_free(&pair);
}

static void test_corruption(void **state)
{
    struct pair pair = pair_make(6);
    size_t wrong = 0;

    (void)state;
    pair.conditions->corrupt = 0.5;
    for (int i = 0; i < 200; i++) {
        struct braid_batch batch = batch_there(1);
        struct braid_packet packet;
        int bits = 0;

        test_send(pair.here, &batch);
        assert_int_equal(link_receive(pair.there, &packet, 1), 1);
        for (size_t at = 0; at < PACKET; at++)
            bits += __builtin_popcount(((const uint8_t *)packet.bytes)[at] ^ batch.bytes[at]);
        assert_true(bits <= 1);
        wrong += (size_t)bits;
    }
    assert_int_equal(wrong, pair.statistics->corrupted);
    assert_about(wrong, 100);

    /* a layer below finds it: as if it had been lost */
    pair.conditions->corrupt = 1;
    pair.conditions->guarded = true;
    for (int i = 0; i < 200; i++) {
        struct braid_batch batch = batch_there(1);
        struct braid_packet packet;

        test_send(pair.here, &batch);
        assert_int_equal(link_receive(pair.there, &packet, 1), 0);
    }
    assert_int_equal(pair.statistics->corrupted, wrong + 200);
    pair_free(&pair);
}

/* Only packets that say they are ECN-capable can be marked. */
static void test_marks(void **state)
{
    struct pair pair = pair_make(8);
    struct braid_packet packet;

    (void)state;
    pair.conditions->mark = 1;
    for (uint8_t traffic_class = 0; traffic_class < 8; traffic_class++) {
        struct braid_batch batch = batch_there(1);

        batch.traffic_class = traffic_class;
        test_send(pair.here, &batch);
        assert_int_equal(link_receive(pair.there, &packet, 1), 1);
        assert_int_equal(packet.congestion_experienced, (traffic_class & 3) != 0);
    }
    assert_int_equal(pair.statistics->marked, 6);
    pair_free(&pair);
}

/* At 8 Mb/s a byte takes a microsecond. */
static void test_bandwidth(void **state)
{
    struct pair pair = pair_make(7);
    struct braid_packet packet;

    (void)state;
    pair.conditions->bandwidth = 8000000;
    pair.conditions->delay = 500;
    send_packets(&pair, 10);
    for (braid_time i = 1; i <= 10; i++) {
        assert_int_equal(memory_network_next_arrival(pair.network), i * IP_PACKET + 500);
        memory_network_advance(pair.network, i * IP_PACKET + 499);
        assert_int_equal(link_receive(pair.there, &packet, 1), 0);
        memory_network_advance(pair.network, i * IP_PACKET + 500);
        assert_int_equal(link_receive(pair.there, &packet, 1), 1);
    }
    pair.conditions->queue = 4 * IP_PACKET;
    send_packets(&pair, 50);
    assert_int_equal(pair.statistics->queue_full, 50 - 4);
    assert_int_equal(run(&pair, NULL), 4);
    pair_free(&pair);
}

static void test_cut(void **state)
{
    struct pair pair = pair_make(8);

    (void)state;
    pair.conditions->delay = 1000;
    send_packets(&pair, 3); /* on the way already */
    pair.conditions->cut = true;
    send_packets(&pair, 5);
    assert_int_equal(run(&pair, NULL), 3);
    assert_int_equal(pair.statistics->lost, 5);
    pair.conditions->cut = false;
    send_packets(&pair, 2);
    assert_int_equal(run(&pair, NULL), 2);
    pair_free(&pair);
}

static void assert_icmp(struct pair *pair, enum braid_icmp kind, uint32_t mtu,
                        const struct braid_batch *batch)
{
    struct link_error error;

    assert_true(link_receive_error(pair->here, &error));
    assert_int_equal(error.kind, kind);
    assert_int_equal(error.mtu, mtu);
    assert_true(braid_address_equal(&error.destination, &batch->destination));
    assert_int_equal(error.length, batch->segment_size);
    assert_memory_equal(error.quoted, batch->bytes, error.length);
    assert_false(link_receive_error(pair->here, &error));
}

static void test_mtu(void **state)
{
    struct pair pair = pair_make(9);
    struct braid_batch batch = batch_there(3);
    struct link_error error;

    (void)state;
    pair.conditions->delay = 250;
    pair.conditions->mtu = IP_PACKET;
    send_packets(&pair, 3);
    assert_int_equal(run(&pair, NULL), 3);

    pair.conditions->mtu = IP_PACKET - 1;
    assert_int_equal(link_send(pair.here, &batch), 3);
    assert_int_equal(pair.statistics->too_big, 3);
    assert_int_equal(memory_network_next_arrival(pair.network),
                     BRAID_TIME_NEVER); /* a black hole */

    pair.conditions->icmp = true;
    assert_int_equal(link_send(pair.here, &batch), 3);
    assert_false(link_receive_error(pair.here, &error));
    memory_network_advance(pair.network, 250 + 500);
    assert_icmp(&pair, BRAID_ICMP_TOO_BIG, IP_PACKET - 1, &batch);
    batch.dont_fragment = false;
    assert_int_equal(link_send(pair.here, &batch), 3);
    assert_int_equal(run(&pair, NULL), 3);

    memory_host_set_mtu(pair.here, 500);
    batch = batch_there(3);
    assert_int_equal(link_send(pair.here, &batch), -EMSGSIZE);
    assert_icmp(&pair, BRAID_ICMP_TOO_BIG, 500, &batch);
    pair_free(&pair);
}

static void test_nobody_there(void **state)
{
    struct pair pair = pair_make(10);
    struct braid_batch batch = batch_there(2);

    (void)state;
    pair.conditions->icmp = true;
    batch.encapsulation_port = PORT + 1;
    assert_int_equal(link_send(pair.here, &batch), 2);
    assert_icmp(&pair, BRAID_ICMP_PROTOCOL_UNREACHABLE, 0, &batch);
    assert_int_equal(pair.statistics->unreachable, 2);

    memory_wire_conditions(memory_network_wire(pair.network, NULL, NULL))->icmp = true;
    batch = test_batch(NULL, "203.0.113.9", PORT, 1, PACKET, PACKET);
    assert_int_equal(link_send(pair.here, &batch), 1);
    assert_icmp(&pair, BRAID_ICMP_UNREACHABLE, 0, &batch);
    batch = test_batch(NULL, "2001:db8::1", PORT, 1, PACKET, PACKET);
    assert_int_equal(link_send(pair.here, &batch), -ENETUNREACH);
    pair_free(&pair);
}

/* (source, destination), else (any, destination), else (source, any), else (any, any). */
static void test_closest_wire(void **state)
{
    struct pair pair = pair_make(11);
    struct braid_address here = test_address(here_address), there = test_address(there_address);
    struct link *third = attach(pair.network, "203.0.113.1", PORT);
    struct braid_batch batch = test_batch("203.0.113.1", there_address, PORT, 1, PACKET, PACKET);
    struct memory_wire *any = memory_network_wire(pair.network, NULL, NULL);
    struct memory_wire *to_there, *from_here;

    (void)state;
    test_send(third, &batch);
    assert_int_equal(memory_wire_statistics(any)->packets, 1);
    to_there = memory_network_wire(pair.network, NULL, &there);
    from_here = memory_network_wire(pair.network, &here, NULL);
    test_send(third, &batch);
    assert_int_equal(memory_wire_statistics(to_there)->packets, 1);
    send_packets(&pair, 1);
    assert_int_equal(pair.statistics->packets, 1);
    batch = test_batch(here_address, "203.0.113.1", PORT, 1, PACKET, PACKET);
    test_send(pair.here, &batch);
    assert_int_equal(memory_wire_statistics(from_here)->packets, 1);
    batch = test_batch("192.0.2.77", there_address, PORT, 1, PACKET, PACKET);
    test_send(pair.here, &batch);
    assert_int_equal(memory_wire_statistics(to_there)->packets, 2);
    assert_ptr_equal(memory_network_wire(pair.network, NULL, &there), to_there);
    link_close(third);
    pair_free(&pair);
}

static void test_hosts(void **state)
{
    struct memory_network *network = memory_network_new(12);
    struct braid_address addresses[2] = {test_address("192.0.2.1"), test_address("2001:db8::1")};
    struct braid_address source, destination = test_address("2001:db8::2");
    struct link *link = NULL, *other = NULL;
    uint32_t mtu = 0;

    (void)state;
    assert_int_equal(memory_network_attach(network, addresses, 0, PORT, &link), -EINVAL);
    assert_int_equal(memory_network_attach(network, addresses, 2, 0, &link), 0);
    assert_true(link->ipv4 && link->ipv6 && link->port == 0);
    assert_int_equal(memory_network_attach(network, addresses + 1, 1, 0, &other), -EADDRINUSE);
    assert_true(memory_host_route(link, &destination, &source, &mtu));
    assert_true(braid_address_equal(&source, &addresses[1]));
    assert_int_equal(mtu, 1500);
    link_close(link);
    assert_int_equal(memory_network_attach(network, addresses + 1, 1, 0, &other), 0);
    destination = test_address("192.0.2.2");
    assert_false(memory_host_route(other, &destination, &source, &mtu));
    link_close(other);
    memory_network_free(network);
}

/* A host goes while packets are on the way to it, and after some arrived. */
static void test_close(void **state)
{
    struct pair pair = pair_make(13);
    struct braid_packet packet;

    (void)state;
    send_packets(&pair, 5);
    assert_int_equal(link_receive(pair.there, &packet, 1), 1);
    pair.conditions->delay = 100;
    send_packets(&pair, 5);
    link_close(pair.there);
    memory_network_advance(pair.network, 200);
    assert_null(memory_network_next_ready(pair.network));
    assert_int_equal(memory_network_next_arrival(pair.network), BRAID_TIME_NEVER);
    send_packets(&pair, 1);
    assert_int_equal(pair.statistics->unreachable, 1);
    pair.there = attach(pair.network, there_address, PORT);
    send_packets(&pair, 3); /* left under way */
    pair_free(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_perfect_wire), cmocka_unit_test(test_seed_repeats),
        cmocka_unit_test(test_loss),         cmocka_unit_test(test_loss_in_bursts),
        cmocka_unit_test(test_duplicates),   cmocka_unit_test(test_order),
        cmocka_unit_test(test_corruption),   cmocka_unit_test(test_bandwidth),
        cmocka_unit_test(test_marks),        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_mtu),          cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_closest_wire), cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
