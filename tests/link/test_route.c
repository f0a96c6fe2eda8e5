/*
 * What the host knows about addresses, in a network namespace with known ones.
 *
 * RFC 9260 section 6.4 (the source address of packets), section 7.3 (path MTU).
 */
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "helper.h"
#include "link/route.h"

static void assert_route(struct routes *routes, const char *destination, const char *source,
                         uint32_t mtu)
{
    struct braid_address to = test_address(destination), expected = test_address(source);
    struct braid_address found;
    uint32_t found_mtu = 0;

    assert_int_equal(route_lookup(routes, &to, 0, &found, &found_mtu), 0);
    assert_true(braid_address_equal(&found, &expected));
    assert_int_equal(found_mtu, mtu);
}

/* Where an address stands in the list of the host, or -1. */
static int find_address(const char *text, uint32_t scope)
{
    struct braid_address wanted = test_address(text);
    struct braid_address *addresses = NULL;
    size_t count = 0;
    int place = -1;

    wanted.scope = scope;
    assert_int_equal(addresses_list(&addresses, &count), 0);
    for (size_t i = 0; i < count; i++)
        if (braid_address_equal(&addresses[i], &wanted))
            place = (int)i;
    free(addresses);
    return place;
}

static void test_without_network(void **state)
{
    struct braid_address nowhere = test_address("192.0.2.1"), none = {0};
    struct braid_address source;
    struct routes routes;

    (void)state;
    if (!test_enter_namespace())
        skip();
    assert_int_equal(routes_open(&routes), 0);
    assert_int_equal(route_lookup(&routes, &nowhere, 0, &source, NULL), -ENETUNREACH);
    assert_int_equal(route_lookup(&routes, &none, 0, &source, NULL), -EAFNOSUPPORT);
    assert_route(&routes, "127.0.0.1", "127.0.0.1", 65535); /* it has 65,536 */
    assert_route(&routes, "::1", "::1", 65535);
    assert_true(find_address("127.0.0.1", 0) >= 0);
    assert_true(find_address("::1", 0) >= 0);
    routes_close(&routes);
}

static void test_routes(void **state)
{
    struct braid_address unreachable = test_address("203.0.113.1");
    struct routes routes;

    (void)state;
    if (!test_enter_namespace() ||
        !test_run("ip link add d0 mtu 1400 type veth peer name d1 && ip link set d1 up && ip addr "
                  "add 192.0.2.1/24 dev d0 &&"
                  "ip addr add 192.0.2.9/24 dev d0 && ip addr add 2001:db8::1/64 dev d0 nodad &&"
                  "ip link set d0 up &&"
                  "ip route add 198.51.100.0/24 via 192.0.2.2 src 192.0.2.9 mtu 1300 &&"
                  "ip route add unreachable 203.0.113.0/24"))
        skip();
    assert_int_equal(routes_open(&routes), 0);
    assert_route(&routes, "192.0.2.7", "192.0.2.1", 1400);
    assert_route(&routes, "198.51.100.1", "192.0.2.9", 1300); /* each as if it were the first */
    assert_route(&routes, "192.0.2.7", "192.0.2.1", 1400);
    assert_route(&routes, "2001:db8::7", "2001:db8::1", 1400);
    assert_route(&routes, "192.0.2.1", "192.0.2.1", 65535); /* ourselves, through loopback */
    assert_int_equal(route_lookup(&routes, &unreachable, 0, NULL, NULL), -EHOSTUNREACH);
    routes_close(&routes);
}

/* A route by another interface than the host would choose; and who is enslaved to whom. */
static void test_interfaces(void **state)
{
    struct braid_address to = test_address("192.0.2.7"), source;
    struct braid_address expected[] = {test_address("192.0.2.1"), test_address("198.51.100.1")};
    struct interface_master *masters = NULL;
    struct routes routes;
    size_t count = 0;
    uint32_t mtu = 0;

    (void)state;
    if (!test_enter_namespace() ||
        !test_run("ip link add d0 mtu 1400 type veth peer name d1 && ip link add d2 mtu 1300 type "
                  "veth peer name d3 && ip addr add 192.0.2.1/24 dev d0 && ip addr add "
                  "198.51.100.1/24 dev d2 && ip link set d0 up && ip link set d2 up && ip link set "
                  "d1 up && ip link set d3 up && ip link add b0 type bridge && ip link set d3 "
                  "master b0"))
        skip();
    assert_int_equal(routes_open(&routes), 0);
    for (int i = 0; i < 4; i++) {
        uint32_t interface = i % 2 == 0 ? 0 : if_nametoindex("d2");

        assert_int_equal(route_lookup(&routes, &to, interface, &source, &mtu), 0);
        assert_true(braid_address_equal(&source, &expected[i % 2]));
        assert_int_equal(mtu, i % 2 == 0 ? 1400 : 1300);
    }
    routes_close(&routes);
    assert_int_equal(masters_list(&masters, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(masters[0].interface, if_nametoindex("d3"));
    assert_int_equal(masters[0].master, if_nametoindex("b0"));
    free(masters);
}

static bool is_readable(int descriptor)
{
    struct pollfd poll_descriptor = {.fd = descriptor, .events = POLLIN};

    return poll(&poll_descriptor, 1, 0) == 1;
}

/* Those of interfaces that are up; deprecated ones last; link-local ones with their scope. */
static void test_addresses(void **state)
{
    int watch;

    (void)state;
    if (!test_enter_namespace() ||
        !test_run("ip link add d0 index 77 type veth peer name d1 && ip link set d1 up && ip addr "
                  "add 192.0.2.1/24 dev d0 &&"
                  "ip addr add 2001:db8::1/64 dev d0 nodad preferred_lft 0 &&"
                  "ip addr add 2001:db8::2/64 dev d0 nodad &&"
                  "ip addr add fe80::5/64 dev d0 nodad"))
        skip();
    watch = host_watch();
    assert_true(watch >= 0);
    assert_false(host_changed(watch));
    assert_int_equal(find_address("192.0.2.1", 0), -1);

    assert_true(test_run("ip link set d0 up"));
    assert_true(is_readable(watch));
    assert_true(host_changed(watch));
    assert_false(is_readable(watch));
    assert_true(find_address("192.0.2.1", 0) >= 0);
    assert_true(find_address("2001:db8::2", 0) >= 0);
    assert_true(find_address("2001:db8::1", 0) > find_address("2001:db8::2", 0));
    assert_true(find_address("2001:db8::1", 0) > find_address("192.0.2.1", 0));
    assert_true(find_address("fe80::5", 77) >= 0);
    assert_int_equal(find_address("fe80::5", 0), -1);

    assert_true(test_run("ip addr del 192.0.2.1/24 dev d0"));
    assert_true(host_changed(watch));
    assert_int_equal(find_address("192.0.2.1", 0), -1);
    close(watch);
}

static void test_watch_routes(void **state)
{
    static const char *const changes[] = {
        "ip route add 198.51.100.0/24 via 192.0.2.2",
        "ip route change 198.51.100.0/24 via 192.0.2.2 mtu 1300",
        "ip route del 198.51.100.0/24",
        "ip -6 route add 2001:db8:1::/48 dev d0",
        "ip rule add from 192.0.2.1 table 77",
        "ip link set d0 down",
    };
    int watch;

    (void)state;
    if (!test_enter_namespace() ||
        !test_run("ip link add d0 type veth peer name d1 && ip link set d1 up &&"
                  "ip addr add 192.0.2.1/24 dev d0 && ip link set d0 up"))
        skip();
    watch = host_watch();
    assert_true(watch >= 0);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        host_changed(watch);
        assert_true(test_run("%s", changes[i]));
        assert_true(is_readable(watch));
        assert_true(host_changed(watch));
    }
    close(watch);
}

static int watch_with_little_room(void)
{
    int watch = host_watch(), room = 1;

    assert_true(watch >= 0);
    assert_int_equal(setsockopt(watch, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)), 0);
    return watch;
}

/* More changes than the kernel keeps: that some were lost is a change, and what follows is seen. */
static void test_overrun(void **state)
{
    int watch, witness;
    char byte;

    (void)state;
    if (!test_enter_namespace())
        skip();
    watch = watch_with_little_room();
    witness = watch_with_little_room();
    assert_true(test_run("for i in $(seq 1 100); do echo addr add 10.0.$i.1/32 dev lo;"
                         "done | ip -batch -"));
    assert_int_equal(recv(witness, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, ENOBUFS);
    assert_true(host_changed(watch));
    assert_false(host_changed(watch));
    assert_true(find_address("10.0.100.1", 0) >= 0);
    assert_true(test_run("ip addr del 10.0.100.1/32 dev lo"));
    assert_true(host_changed(watch));
    assert_int_equal(find_address("10.0.100.1", 0), -1);
    close(watch);
    close(witness);
}

/* More than the kernel tells in one message. */
static void test_many_addresses(void **state)
{
    struct braid_address *addresses = NULL;
    size_t count = 0;

    (void)state;
    if (!test_enter_namespace() ||
        !test_run("for i in $(seq 1 250); do echo addr add 10.0.$i.1/32 dev lo;"
                  "echo addr add 10.1.$i.1/32 dev lo; done | ip -batch -"))
        skip();
    assert_int_equal(addresses_list(&addresses, &count), 0);
    assert_int_equal(count, 502); /* with 127.0.0.1 and ::1 */
    free(addresses);
    assert_true(find_address("10.1.250.1", 0) >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_network), cmocka_unit_test(test_routes),
        cmocka_unit_test(test_interfaces),      cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_watch_routes),    cmocka_unit_test(test_overrun),
        cmocka_unit_test(test_many_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
