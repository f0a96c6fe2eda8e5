/*
 * What the tests of the links share: batches, waiting for packets, network namespaces.
 *
 * RFC 9260 section 3 (packets), RFC 6951 (over UDP).
 */
#include "helper.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct braid_address test_address(const char *text)
{
    uint8_t bytes[16];

    if (inet_pton(AF_INET, text, bytes) == 1)
        return braid_address_ipv4(bytes);
    assert_int_equal(inet_pton(AF_INET6, text, bytes), 1);
    return braid_address_ipv6(bytes, 0);
}

struct braid_batch test_batch(const char *source, const char *destination, uint16_t port,
                              size_t count, size_t size, size_t last)
{
    static uint8_t buffer[4 * TEST_BATCH_BYTES];
    struct braid_batch batch = {
        .bytes = buffer,
        .capacity = sizeof(buffer),
        .maximum_packets = count,
        .count = count,
        .segment_size = size,
        .length = (count - 1) * size + last,
        .destination = test_address(destination),
        .encapsulation_port = port,
        .dont_fragment = true,
    };

    assert_true(batch.length <= sizeof(buffer));
    if (source)
        batch.source = test_address(source);
    for (size_t i = 0; i < batch.length; i++)
        buffer[i] = (uint8_t)(i / size + i % size);
    return batch;
}

void test_assert_packet(const struct braid_packet *packet, size_t index, size_t size)
{
    const uint8_t *bytes = packet->bytes;

    assert_int_equal(packet->length, size);
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != (uint8_t)(index + i))
            fail_msg("packet %zu, byte %zu: %u", index, i, bytes[i]);
}

static void wait_for(struct link *link, short events)
{
    struct pollfd polls[LINK_SOCKET_MAXIMUM];

    for (int i = 0; i < LINK_SOCKET_MAXIMUM; i++)
        polls[i] = (struct pollfd){.fd = link->descriptors[i], .events = events};
    assert_true(poll(polls, LINK_SOCKET_MAXIMUM, 5000) > 0);
}

size_t test_receive(struct link *link, struct braid_packet *packets, size_t capacity)
{
    for (int tries = 0; tries < 10; tries++) {
        int count = link_receive(link, packets, capacity);

        assert_true(count >= 0);
        if (count > 0)
            return (size_t)count;
        wait_for(link, POLLIN);
    }
    return 0;
}

bool test_receive_error(struct link *link, struct link_error *error)
{
    for (int tries = 0; tries < 10; tries++) {
        if (link_receive_error(link, error))
            return true;
        wait_for(link, 0); /* POLLERR is always told */
    }
    return false;
}

void test_send(struct link *link, const struct braid_batch *batch)
{
    struct braid_batch rest = *batch;

    while (rest.count > 0) {
        int sent = link_send(link, &rest);

        if (sent < 0)
            fail_msg("link_send: %s", strerror(-sent));
        rest = link_batch_rest(&rest, (size_t)sent);
    }
}

/* ---- Namespaces --------------------------------------------------------------------------------
 */

bool test_run(const char *format, ...)
{
    char command[1024];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(command, sizeof(command), format, arguments);
    va_end(arguments);
    return system(command) == 0; /* NOLINT: the commands are our own */
}

bool test_enter_namespace(void)
{
    return unshare(CLONE_NEWNET) == 0 && test_run("ip link set lo up");
}

int test_router_start(void)
{
    int ready[2];
    char byte;
    pid_t router;

    if (pipe(ready) < 0 || (router = fork()) < 0)
        return -1;
    if (router == 0) {
        close(ready[0]);
        /* a failed test ends without test_router_stop() */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || unshare(CLONE_NEWNET) < 0 ||
            write(ready[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1) {
        close(ready[0]);
        return -1;
    }
    close(ready[0]);
    if (test_run("ip link add v0 type veth peer name v1 netns %d &&"
                 "ip addr add 10.1.1.1/24 dev v0 && ip addr add fd01::1/64 dev v0 nodad &&"
                 "ip link set v0 up",
                 router) &&
        test_run("nsenter -t %d -n sh -ec 'ip link set lo up;"
                 "ip addr add 10.1.1.2/24 dev v1; ip addr add fd01::2/64 dev v1 nodad;"
                 "ip link set v1 up; ip link add v2 mtu 1300 type veth peer name v3 mtu 1300;"
                 "ip addr add 10.9.9.1/24 dev v2; ip addr add fd09::1/64 dev v2 nodad;"
                 "ip link set v2 up; ip link set v3 up; ip route add unreachable 10.8.0.0/16;"
                 "echo 1 > /proc/sys/net/ipv4/ip_forward;"
                 "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding'",
                 router) &&
        test_run("ip route add default via 10.1.1.2 && ip route add default via fd01::2"))
        return router;
    test_router_stop(router);
    return -1;
}

void test_router_stop(int router)
{
    if (router <= 0)
        return;
    kill(router, SIGKILL);
    waitpid(router, NULL, 0);
}
