/*
 * The link over UDP, on loopback and between two network namespaces.
 *
 * RFC 6951: section 5.1 (port), section 5.5 (ICMP); RFC 3168 (ECN).
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "helper.h"
#include "link/link.h"
#include "link/socket.h"

static struct link *open_udp(uint16_t port)
{
    struct link_config config = {.port = port};
    struct link *link = NULL;

    assert_int_equal(link_open_udp(&link, &config), 0);
    assert_true(link->port != 0);
    return link;
}

/* One batch there, whose packets must be the same and in order here. */
static void carry(struct link *from, struct link *to, struct braid_batch *batch, size_t capacity)
{
    struct braid_packet packets[256];
    size_t received = 0;

    assert_true(capacity <= 256);
    test_send(from, batch);
    while (received < batch->count) {
        size_t count = test_receive(to, packets, capacity);

        assert_true(count > 0);
        assert_true(received + count <= batch->count);
        for (size_t i = 0; i < count; i++) {
            size_t length = received == batch->count - 1
                                ? batch->length - received * batch->segment_size
                                : batch->segment_size;

            test_assert_packet(&packets[i], received++, length);
            assert_true(braid_address_equal(&packets[i].destination, &batch->destination));
            if (batch->source.family != 0)
                assert_true(braid_address_equal(&packets[i].source, &batch->source));
            assert_int_equal(packets[i].encapsulation_port, from->port);
            assert_int_equal(packets[i].congestion_experienced, (batch->traffic_class & 3) == 3);
            assert_false(packets[i].checksum_good);
        }
    }
    assert_int_equal(link_receive(to, packets, capacity), 0);
}

static void carry_all(const char *source, const char *destination)
{
    struct link *from = open_udp(0);
    struct link *to = open_udp(0);
    static const size_t counts[] = {1, 2, 40, 64, 65, 150};

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct braid_batch batch = test_batch(source, destination, to->port, counts[i], 1400, 1400);

        carry(from, to, &batch, 256);
        batch = test_batch(source, destination, to->port, counts[i], 1400, 12);
        carry(from, to, &batch, 7); /* the rest of a message waits for the next call */
        batch = test_batch(source, destination, to->port, counts[i], 12, 12);
        batch.traffic_class = 0x20 | 3;
        carry(from, to, &batch, 100);
    }
    assert_int_equal(from->statistics.packets_sent, 3 * (1 + 2 + 40 + 64 + 65 + 150));
    assert_int_equal(to->statistics.packets_received, from->statistics.packets_sent);
    assert_int_equal(to->statistics.bytes_received, from->statistics.bytes_sent);
    assert_true(from->statistics.send_calls < from->statistics.packets_sent / 8);
    link_close(from);
    link_close(to);
}

static void test_ipv4(void **state)
{
    (void)state;
    carry_all(NULL, "127.0.0.1");
    carry_all("127.0.0.2", "127.0.0.3"); /* a source that the host would not choose */
}

static void test_ipv6(void **state)
{
    (void)state;
    carry_all(NULL, "::1");
    carry_all("::1", "::1");
}

/* RFC 9260, 8.4: what was sent to a network's broadcast address can be known as such. */
static void test_broadcast(void **state)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7fffffff)};
    int sender = socket(AF_INET, SOCK_DGRAM, 0), on = 1;
    struct link *link = open_udp(0);
    struct braid_packet packet;

    (void)state;
    assert_true(sender >= 0);
    assert_int_equal(setsockopt(sender, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)), 0);
    to.sin_port = htons(link->port);
    assert_int_equal(sendto(sender, "0123456789012345", 16, 0, (struct sockaddr *)&to, sizeof(to)),
                     16);
    assert_int_equal(test_receive(link, &packet, 1), 1);
    assert_int_equal(packet.length, 16);
    assert_false(braid_address_is_unicast(&packet.destination));
    close(sender);
    link_close(link);
}

/* The hop limit of the only packet in a batch, as who receives it sees it. */
static int hop_limit_seen(int family, const char *destination, uint8_t hop_limit)
{
    struct sockaddr_in6 address = {.sin6_family =
                                       (sa_family_t)family}; /* in front as sockaddr_in */
    socklen_t length = sizeof(address);
    int receiver = socket(family, SOCK_DGRAM, 0), on = 1, seen = 0;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    struct msghdr message = {.msg_control = control, .msg_controllen = sizeof(control)};
    struct link *link = open_udp(0);
    struct braid_batch batch;

    assert_int_equal(bind(receiver, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(receiver, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(family == AF_INET
                         ? setsockopt(receiver, IPPROTO_IP, IP_RECVTTL, &on, sizeof(on))
                         : setsockopt(receiver, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof(on)),
                     0);
    batch = test_batch(NULL, destination, ntohs(address.sin6_port), 1, 100, 100);
    batch.hop_limit = hop_limit;
    test_send(link, &batch);
    assert_true(recvmsg(receiver, &message, 0) >= 0);
    assert_non_null(CMSG_FIRSTHDR(&message));
    memcpy(&seen, CMSG_DATA((struct cmsghdr *)control), sizeof(seen));
    link_close(link);
    close(receiver);
    return seen;
}

static void test_hop_limit(void **state)
{
    (void)state;
    assert_int_equal(hop_limit_seen(AF_INET, "127.0.0.1", 7), 7);
    assert_int_equal(hop_limit_seen(AF_INET, "127.0.0.1", 255), 255);
    assert_int_equal(hop_limit_seen(AF_INET6, "::1", 7), 7);
    /* the host's own */
    assert_true(hop_limit_seen(AF_INET, "127.0.0.1", 0) > 7);
    assert_true(hop_limit_seen(AF_INET6, "::1", 0) > 7);
}

/* A priority keeps the traffic class, and holds for its own packets only. */
static void test_priority(void **state)
{
    struct link *from = open_udp(0);
    struct link *to = open_udp(0);
    struct braid_batch batch = test_batch(NULL, "127.0.0.1", to->port, 1, 100, 100);
    static const uint8_t priorities[] = {0, 5, 6, 0};
    struct braid_packet packet;

    (void)state;
    batch.traffic_class = 3; /* what of it is seen at the other end: congestion */
    for (size_t i = 0; i < sizeof(priorities); i++) {
        int set = -1;
        socklen_t length = sizeof(set);

        batch.priority = priorities[i];
        test_send(from, &batch);
        assert_int_equal(test_receive(to, &packet, 1), 1);
        assert_true(packet.congestion_experienced);
        assert_int_equal(packet.interface, 1);
        assert_int_equal(getsockopt(from->descriptors[0], SOL_SOCKET, SO_PRIORITY, &set, &length),
                         0);
        assert_int_equal(set, priorities[i]);
    }
    batch.traffic_class = 0;
    test_send(from, &batch);
    assert_int_equal(test_receive(to, &packet, 1), 1);
    assert_false(packet.congestion_experienced);
    link_close(from);
    link_close(to);
}

/* Without UDP_SEGMENT: each packet is a message. */
static void test_without_segments(void **state)
{
    struct link *from = open_udp(0);
    struct link *to = open_udp(0);
    struct braid_batch batch = test_batch(NULL, "127.0.0.1", to->port, 100, 1400, 100);

    (void)state;
    ((struct socket_link *)from)->sockets[0].segments = false;
    carry(from, to, &batch, 256);
    link_close(from);
    link_close(to);
}

static void test_both_families_at_once(void **state)
{
    struct link *from = open_udp(0);
    struct link *to = open_udp(0);
    struct braid_batch batch;

    (void)state;
    for (int i = 0; i < 4; i++) {
        batch = test_batch(NULL, i % 2 ? "::1" : "127.0.0.1", to->port, 3, 500, 500);
        carry(from, to, &batch, 64);
    }
    batch = test_batch(NULL, "::1", to->port, 3, 500, 500);
    test_send(from, &batch);
    batch = test_batch(NULL, "127.0.0.1", to->port, 3, 500, 500);
    test_send(from, &batch);
    for (size_t received = 0; received < 6;) {
        struct braid_packet packets[16];

        received += test_receive(to, packets, 16);
    }
    link_close(from);
    link_close(to);
}

/* Larger than a datagram of the device: in pieces without Don't Fragment, else too big. */
static void test_too_big_for_the_interface(void **state)
{
    struct link *from;
    struct link *to;
    struct braid_batch batch;
    struct link_error error;
    static const char *const destinations[] = {"127.0.0.1", "::1"};

    (void)state;
    if (!test_enter_namespace() || !test_run("ip link set lo mtu 1280"))
        skip();
    from = open_udp(0);
    to = open_udp(0);
    for (int i = 0; i < 2; i++) {
        batch = test_batch(NULL, destinations[i], to->port, 3, 1400, 1400);
        assert_int_equal(link_send(from, &batch), -EMSGSIZE);
        assert_true(link_receive_error(from, &error));
        assert_int_equal(error.kind, BRAID_ICMP_TOO_BIG);
        assert_int_equal(error.mtu, 1280);
        assert_true(braid_address_equal(&error.destination, &batch.destination));
        assert_int_equal(error.length, SOCKET_QUOTE_MAXIMUM);
        assert_memory_equal(error.quoted, batch.bytes, error.length);
        assert_false(link_receive_error(from, &error));

        batch.dont_fragment = false;
        carry(from, to, &batch, 64);
        batch = test_batch(NULL, destinations[i], to->port, 30, 1200, 1200);
        carry(from, to, &batch, 64);
    }
    assert_int_equal(from->statistics.send_too_big, 2);
    assert_int_equal(from->statistics.errors, 2);
    link_close(from);
    link_close(to);
}

static void test_port_unreachable(void **state)
{
    static const char *const destinations[] = {"127.0.0.1", "::1"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct link *from = open_udp(0);
        struct link *to = open_udp(0);
        struct braid_batch batch = test_batch(NULL, destinations[i], to->port, 1, 100, 100);
        struct link_error error;
        struct link *gone = open_udp(0);
        uint16_t closed = gone->port;

        link_close(gone);
        batch.encapsulation_port = closed;
        assert_int_equal(link_send(from, &batch), 1);
        assert_true(test_receive_error(from, &error));
        assert_int_equal(error.kind, BRAID_ICMP_PROTOCOL_UNREACHABLE); /* RFC 6951, 5.5 */
        assert_true(braid_address_equal(&error.destination, &batch.destination));
        assert_true(error.length > 0 && error.length <= 100);
        assert_memory_equal(error.quoted, batch.bytes, error.length);
        assert_false(link_receive_error(from, &error));

        /* the error that the host remembers does not spoil the next sends or receives */
        assert_int_equal(link_send(from, &batch), 1);
        assert_int_equal(link_send(from, &batch), 1);
        batch.encapsulation_port = to->port;
        carry(from, to, &batch, 1);
        batch.encapsulation_port = closed;
        assert_int_equal(link_send(from, &batch), 1);
        batch.encapsulation_port = from->port;
        carry(to, from, &batch, 1);
        link_close(from);
        link_close(to);
    }
}

/* The next error about a destination: those about earlier ones may still come. */
static void receive_error_from(struct link *link, const struct braid_batch *batch,
                               struct link_error *error)
{
    do
        assert_true(test_receive_error(link, error));
    while (!braid_address_equal(&error->destination, &batch->destination));
}

/* A router says that the packet is too big, or that there is no way. */
static void test_icmp_of_a_router(void **state)
{
    static const char *const destinations[] = {"10.9.9.2", "fd09::2"};
    struct link_error error;
    struct braid_batch batch;
    struct link *from;
    int router = -1;

    (void)state;
    if (!test_enter_namespace() || (router = test_router_start()) < 0)
        skip();
    from = open_udp(0);
    for (int i = 0; i < 2; i++) {
        batch = test_batch(NULL, destinations[i], LINK_UDP_PORT, 3, 1400, 1400);
        assert_int_equal(link_send(from, &batch), 3);
        receive_error_from(from, &batch, &error);
        assert_int_equal(error.kind, BRAID_ICMP_TOO_BIG);
        assert_int_equal(error.mtu, 1300);
        assert_true(error.length >= 8);
        assert_memory_equal(error.quoted, batch.bytes, error.length);
        /* what the host has learned does not stop larger packets: path MTU is the engine's */
        assert_int_equal(link_send(from, &batch), 3);
    }
    batch = test_batch(NULL, "10.8.0.1", LINK_UDP_PORT, 1, 400, 400);
    assert_int_equal(link_send(from, &batch), 1);
    receive_error_from(from, &batch, &error);
    assert_int_equal(error.kind, BRAID_ICMP_UNREACHABLE);
    link_close(from);
    test_router_stop(router);
}

static void test_errors(void **state)
{
    struct link_config config = {0};
    struct link *link = open_udp(0);
    struct link *other = NULL;
    struct braid_batch batch = test_batch("192.0.2.1", "127.0.0.1", 9, 2, 100, 100);

    (void)state;
    assert_true(link_send(link, &batch) < 0); /* a source that is not ours */
    assert_int_equal(link->statistics.send_failed, 1);
    batch.count = 0;
    assert_int_equal(link_send(link, &batch), 0);

    config.port = link->port;
    assert_int_equal(link_open_udp(&other, &config), -EADDRINUSE);
    assert_non_null(strstr(link_udp_error_text(-EADDRINUSE), "in use"));
    config = (struct link_config){.address = test_address("192.0.2.1")};
    assert_int_equal(link_open_udp(&other, &config), -EADDRNOTAVAIL);
    config = (struct link_config){.address = test_address("127.0.0.4"), .ipv6_only = true};
    assert_int_equal(link_open_udp(&other, &config), -EAFNOSUPPORT);
    config = (struct link_config){.address = test_address("127.0.0.4")};
    assert_int_equal(link_open_udp(&other, &config), 0);
    assert_true(other->ipv4 && !other->ipv6 && other->descriptors[1] == -1);
    batch = test_batch(NULL, "::1", 9, 2, 100, 100);
    assert_int_equal(link_send(other, &batch), -EAFNOSUPPORT);
    link_close(other);
    link_close(link);
    link_close(NULL);
}

/* More than the socket holds: the host drops it, and says how many. */
static void test_overflow(void **state)
{
    struct link_config config = {.socket_buffer = 65536};
    struct link *from = open_udp(0);
    struct link *to = NULL;
    struct braid_packet packets[64];
    uint64_t received = 0;
    struct braid_batch batch;

    (void)state;
    assert_int_equal(link_open_udp(&to, &config), 0);
    batch = test_batch(NULL, "127.0.0.1", to->port, 1, 1400, 1400);
    for (int i = 0; i < 1000; i++)
        test_send(from, &batch);
    for (int count; (count = link_receive(to, packets, 64)) > 0;)
        received += (uint64_t)count;
    assert_true(received > 0 && received < 1000);
    test_send(from, &batch); /* the count comes with a packet */
    assert_int_equal(test_receive(to, packets, 64), 1);
    assert_int_equal(received + to->statistics.receive_dropped, 1000);
    link_close(from);
    link_close(to);
}

/* An empty datagram is nothing, and one that is not ours does not stop those behind it. */
static void test_empty_datagram(void **state)
{
    struct link *from = open_udp(0);
    struct link *to = open_udp(0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(to->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct braid_batch batch = test_batch(NULL, "127.0.0.1", to->port, 2, 100, 1);

    (void)state;
    assert_int_equal(
        sendto(from->descriptors[0], "", 0, 0, (struct sockaddr *)&address, sizeof(address)), 0);
    carry(from, to, &batch, 8);
    assert_int_equal(to->statistics.receive_ignored, 1);
    link_close(from);
    link_close(to);
}

static void test_close_on_exec(void **state)
{
    struct link *link = open_udp(0);

    (void)state;
    for (int i = 0; i < LINK_SOCKET_MAXIMUM; i++) {
        assert_true(fcntl(link->descriptors[i], F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(link->descriptors[i], F_GETFL) & O_NONBLOCK);
    }
    link_close(link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ipv4),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_broadcast),
        cmocka_unit_test(test_hop_limit),
        cmocka_unit_test(test_priority),
        cmocka_unit_test(test_without_segments),
        cmocka_unit_test(test_both_families_at_once),
        cmocka_unit_test(test_port_unreachable),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_empty_datagram),
        cmocka_unit_test(test_close_on_exec),
        /* these move to a namespace of their own */
        cmocka_unit_test(test_icmp_of_a_router),
        cmocka_unit_test(test_too_big_for_the_interface),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
