/*
 * A one-to-many socket whose peer does not read. As on Linux, unless net.sctp.sndbuf_policy is set,
 * all associations of a socket share its send buffer (RFC 6458, 8.1.7 leaves it open): what is full
 * for one is full for all, send() and poll() agree on that, and nothing that was taken gets lost.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { LENGTH = 1000, BUFFER = 32768, PATIENCE = 400 /* ms, until nothing moves any more */ };

/* A peer with a socket of its own, and the client's name for it. */
struct peer {
    struct sockaddr_in address;
    int descriptor;
    sctp_assoc_t association;
};

static void open_peer(struct peer *peer, int client)
{
    socklen_t length = sizeof(peer->address);
    int listener = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP), buffer = BUFFER;
    struct sctp_paddrinfo info = {0};

    peer->address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer)), 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&peer->address, length), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&peer->address, &length), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&peer->address, length), 0);
    peer->descriptor = accept(listener, NULL, NULL);
    assert_true(peer->descriptor >= 0);
    close(listener);
    memcpy(&info.spinfo_address, &peer->address, sizeof(peer->address));
    length = sizeof(info);
    assert_int_equal(getsockopt(client, IPPROTO_SCTP, SCTP_GET_PEER_ADDR_INFO, &info, &length), 0);
    peer->association = info.spinfo_assoc_id;
}

static int open_client(void)
{
    int client = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP), buffer = BUFFER;

    assert_true(client >= 0);
    assert_int_equal(setsockopt(client, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)), 0);
    return client;
}

static ssize_t send_with(int client, const struct peer *peer, struct iovec part,
                         uint16_t send_flags, int flags)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(struct sctp_sndinfo))];
    } control;
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    struct sctp_sndinfo info = {.snd_assoc_id = peer->association, .snd_flags = send_flags};

    memset(&control, 0, sizeof(control));
    control.header.cmsg_level = IPPROTO_SCTP;
    control.header.cmsg_type = SCTP_SNDINFO;
    control.header.cmsg_len = CMSG_LEN(sizeof(info));
    memcpy(CMSG_DATA(&control.header), &info, sizeof(info));
    return sendmsg(client, &message, flags);
}

static ssize_t send_to(int client, const struct peer *peer, uint32_t number, int flags)
{
    uint8_t bytes[LENGTH] = {0};

    memcpy(bytes, &number, sizeof(number));
    return send_with(client, peer, (struct iovec){bytes, sizeof(bytes)}, 0, flags);
}

static bool is_writable(int descriptor, int patience)
{
    struct pollfd entry = {.fd = descriptor, .events = POLLOUT};

    return poll(&entry, 1, patience) > 0 && entry.revents & POLLOUT;
}

/* Until no more is taken for good. Returns how many messages were. */
static uint32_t fill(int client, const struct peer *peer)
{
    uint32_t count = 0;
    bool waited = false;

    for (;;) {
        if (send_to(client, peer, count, MSG_DONTWAIT) == LENGTH) {
            count++;
            waited = false;
            continue;
        }
        assert_int_equal(errno, EAGAIN);
        if (waited)
            return count;
        waited = !is_writable(client, PATIENCE);
    }
}

static void expect(const struct peer *peer, uint32_t number)
{
    uint8_t bytes[LENGTH];
    uint32_t found;

    assert_int_equal(recv(peer->descriptor, bytes, sizeof(bytes), 0), LENGTH);
    memcpy(&found, bytes, sizeof(found));
    assert_int_equal(found, number);
}

static void one_buffer_for_all(void **state)
{
    struct timeval patience = {.tv_usec = 100000};
    int client = open_client();
    struct peer slow, fast;
    uint32_t count;

    (void)state;
    open_peer(&slow, client);
    open_peer(&fast, client);
    assert_int_equal(send_to(client, &fast, 7, 0), LENGTH);
    expect(&fast, 7);
    count = fill(client, &slow);
    assert_true(count > 10);
    assert_int_equal(send_to(client, &fast, 8, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(send_to(client, &fast, 8, 0), -1);
    assert_int_equal(errno, EAGAIN);
    for (uint32_t i = 0; i < count; i++)
        expect(&slow, i);
    assert_true(is_writable(client, 10000));
    assert_int_equal(send_to(client, &fast, 9, 0), LENGTH);
    expect(&fast, 9); /* those that were refused did not come */
    close(slow.descriptor);
    close(fast.descriptor);
    close(client);
}

/* The peer that does not read goes away: what it held up goes on. */
static void peer_that_goes_away(void **state)
{
    int client = open_client();
    struct peer slow, fast;

    (void)state;
    open_peer(&slow, client);
    open_peer(&fast, client);
    assert_true(fill(client, &slow) > 10);
    close(slow.descriptor); /* with messages unread: an ABORT */
    assert_true(is_writable(client, 10000));
    assert_int_equal(send_to(client, &fast, 1, 0), LENGTH);
    expect(&fast, 1);
    close(fast.descriptor);
    close(client);
}

/* The graceful end of an association comes after all that was taken before it. */
static void end_comes_last(void **state)
{
    int client = open_client();
    struct peer slow;
    uint32_t count;
    char byte;

    (void)state;
    open_peer(&slow, client);
    count = fill(client, &slow);
    assert_int_equal(send_with(client, &slow, (struct iovec){NULL, 0}, SCTP_EOF, MSG_DONTWAIT), 0);
    for (uint32_t i = 0; i < count; i++)
        expect(&slow, i);
    assert_int_equal(recv(slow.descriptor, &byte, 1, 0), 0);
    close(slow.descriptor);
    close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_buffer_for_all),
        cmocka_unit_test(peer_that_goes_away),
        cmocka_unit_test(end_comes_last),
    };

    alarm(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
