/*
 * The link over IP, on the loopback of a network namespace and behind a router.
 *
 * RFC 9260 section 3 (packets over IP), section 10 (ICMP); RFC 3168 (ECN).
 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/capability.h>
#include <unistd.h>

#include "helper.h"
#include "link/link.h"

static struct link *open_raw(const char *address)
{
    struct link_config config = {0};
    struct link *link = NULL;

    if (address)
        config.address = test_address(address);
    assert_int_equal(link_open_raw(&link, &config), 0);
    assert_int_equal(link->port, 0);
    return link;
}

/* A raw socket receives all packets of its protocol to its address. */
static void carry(struct link *from, struct link *to, const struct braid_batch *batch)
{
    struct braid_packet packets[64];
    size_t received = 0;

    test_send(from, batch);
    while (received < batch->count) {
        size_t count = test_receive(to, packets, 64);

        assert_true(count > 0 && received + count <= batch->count);
        for (size_t i = 0; i < count; i++) {
            test_assert_packet(&packets[i], received++, batch->segment_size);
            assert_true(braid_address_equal(&packets[i].destination, &batch->destination));
            if (batch->source.family != 0)
                assert_true(braid_address_equal(&packets[i].source, &batch->source));
            assert_int_equal(packets[i].encapsulation_port, 0);
            assert_int_equal(packets[i].congestion_experienced, (batch->traffic_class & 3) == 3);
        }
    }
}

static void test_carry(void **state)
{
    static const char *const addresses[2][3] = {{"127.0.0.1", "127.0.0.2", "127.0.0.3"},
                                                {"fd00::1", "fd00::2", "fd00::3"}};

    (void)state;
    if (!test_enter_namespace() ||
        !test_run("for i in 1 2 3; do ip addr add fd00::$i/128 dev lo nodad; done"))
        skip();
    for (int i = 0; i < 2; i++) {
        struct link *from = open_raw(addresses[i][0]);
        struct link *to = open_raw(addresses[i][1]);
        struct link *all = open_raw(NULL);
        struct braid_batch batch = test_batch(addresses[i][0], addresses[i][1], 0, 1, 1400, 1400);

        assert_true(from->ipv4 == (i == 0) && from->ipv6 == (i == 1));
        carry(from, to, &batch);
        batch.count = 30;
        batch = test_batch(NULL, addresses[i][1], 0, 30, 1400, 1400);
        batch.traffic_class = 3;
        carry(from, to, &batch);
        batch = test_batch(NULL, addresses[i][1], 0, 3, 12, 12);
        carry(from, to, &batch);
        batch = test_batch(NULL, addresses[i][1], 0, 1, 9000, 9000);
        batch.dont_fragment = false;
        carry(from, to, &batch);
        for (struct braid_packet packets[64]; link_receive(all, packets, 64) > 0;)
            ; /* it saw them too */
        batch = test_batch(addresses[i][2], addresses[i][2], 0, 5, 700, 700);
        carry(all, all, &batch);
        link_close(from);
        link_close(to);
        link_close(all);
    }
}

static void test_icmp_of_a_router(void **state)
{
    static const char *const destinations[] = {"10.9.9.2", "fd09::2"};
    struct link_error error;
    struct braid_batch batch;
    struct link *link;
    int router = -1;

    (void)state;
    if (!test_enter_namespace() || (router = test_router_start()) < 0)
        skip();
    link = open_raw(NULL);
    for (int i = 0; i < 2; i++) {
        batch = test_batch(NULL, destinations[i], 0, 1, 1400, 1400);
        assert_int_equal(link_send(link, &batch), 1);
        assert_true(test_receive_error(link, &error));
        assert_int_equal(error.kind, BRAID_ICMP_TOO_BIG);
        assert_int_equal(error.mtu, 1300);
        assert_true(braid_address_equal(&error.destination, &batch.destination));
        assert_true(error.length >= 8);
        assert_memory_equal(error.quoted, batch.bytes, error.length);
    }
    batch = test_batch(NULL, "10.8.0.1", 0, 1, 400, 400);
    assert_int_equal(link_send(link, &batch), 1);
    assert_true(test_receive_error(link, &error));
    assert_int_equal(error.kind, BRAID_ICMP_UNREACHABLE);
    assert_true(braid_address_equal(&error.destination, &batch.destination));

    /* the router has no SCTP: Protocol Unreachable, which IPv6 calls a parameter problem */
    batch = test_batch(NULL, "10.1.1.2", 0, 1, 400, 400);
    assert_int_equal(link_send(link, &batch), 1);
    assert_true(test_receive_error(link, &error));
    assert_int_equal(error.kind, BRAID_ICMP_PROTOCOL_UNREACHABLE);
    batch = test_batch(NULL, "fd01::2", 0, 1, 400, 400);
    assert_int_equal(link_send(link, &batch), 1);
    assert_true(test_receive_error(link, &error));
    assert_int_equal(error.kind, BRAID_ICMP_PROTOCOL_UNREACHABLE);
    assert_true(braid_address_equal(&error.destination, &batch.destination));
    link_close(link);
    test_router_stop(router);
}

/* Runs a check in a process of its own; what it returns must be 0. */
static void assert_in_child(int (*check)(void))
{
    int status = -1;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        _exit(check());
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WEXITSTATUS(status) == TEST_SKIPPED)
        skip();
    assert_int_equal(status, 0);
}

static int check_without_privilege(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    struct link_config config = {0};
    struct link *link = NULL;

    if (syscall(SYS_capset, &header, none) < 0)
        return 1;
    return link_open_raw(&link, &config) == -EPERM &&
                   strstr(link_raw_error_text(-EPERM), "CAP_NET_RAW")
               ? 0
               : 2;
}

static void test_without_privilege(void **state)
{
    (void)state;
    assert_in_child(check_without_privilege);
}

/* A kernel with SCTP says so in /proc/net, in whose place a mount of our own shows something else.
 */
static int check_kernel_sctp(void)
{
    static const char *const signs[] = {"mkdir sctp", "echo protocol >protocols",
                                        "printf 'protocol\\nSCTPv6 1\\nSCTP 1\\n' >protocols"};
    static const int expected[] = {-EBUSY, 0, -EBUSY};
    struct link_config config = {0};

    for (int i = 0; i < 3; i++) {
        struct link *link = NULL;

        if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            !test_run("mount -t tmpfs none /proc/%d/net && cd /proc/%d/net && %s", getpid(),
                      getpid(), signs[i]))
            return TEST_SKIPPED;
        if (link_open_raw(&link, &config) != expected[i])
            return i + 1;
        link_close(link);
    }
    return strstr(link_raw_error_text(-EBUSY), "rmmod sctp") ? 0 : 4;
}

static void test_kernel_sctp(void **state)
{
    (void)state;
    assert_in_child(check_kernel_sctp);
}

/* A raw socket whose buffer is full has a packet for it dropped; the kernel must not say that
 * nobody is there, which would end the sender's association (RFC 9260, section 10, 8). */
static void test_full_buffer(void **state)
{
    static const char *const addresses[2][2] = {{"127.0.0.1", "127.0.0.2"}, {"fd00::1", "fd00::2"}};

    (void)state;
    if (!test_enter_namespace() ||
        !test_run("for i in 1 2; do ip addr add fd00::$i/128 dev lo nodad; done"))
        skip();
    for (int i = 0; i < 2; i++) {
        struct link_config config = {.socket_buffer = 1, .address = test_address(addresses[i][1])};
        struct braid_batch batch = test_batch(addresses[i][0], addresses[i][1], 0, 1, 1400, 1400);
        struct link *from = open_raw(addresses[i][0]), *to = NULL;
        struct braid_packet packets[64];
        struct link_error error;
        int received = 0, count;

        assert_int_equal(link_open_raw(&to, &config), 0);
        for (int j = 0; j < 50; j++)
            assert_int_equal(link_send(from, &batch), 1);
        assert_false(link_receive_error(from, &error));
        while ((count = link_receive(to, packets, 64)) > 0)
            received += count;
        assert_in_range(received, 1, 49);
        link_close(from);
        link_close(to);
    }
}

static void test_errors(void **state)
{
    struct link_config config = {.address = test_address("192.0.2.1")};
    struct link *link = NULL;

    (void)state;
    if (!test_enter_namespace())
        skip();
    assert_int_equal(link_open_raw(&link, &config), -EADDRNOTAVAIL);
    config = (struct link_config){.ipv4_only = true};
    assert_int_equal(link_open_raw(&link, &config), 0);
    assert_true(link->ipv4 && !link->ipv6);
    link_close(link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_privilege),
        cmocka_unit_test(test_kernel_sctp),
        cmocka_unit_test(test_carry),
        cmocka_unit_test(test_icmp_of_a_router),
        cmocka_unit_test(test_full_buffer),
        cmocka_unit_test(test_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
