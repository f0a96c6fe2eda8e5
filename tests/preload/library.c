/*
 * The functions of libsctp.so.1 (RFC 6458, section 9), on one-to-many sockets. It knows nothing of
 * Braid, runs with Braid's library and with Debian's, and under `braid run` and on Linux alike.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct sockaddr_in loopback(uint8_t last, in_port_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(0x7f000000u | last)};
}

/* A one-to-many socket that listens on 127.0.0.1. */
static int new_listener(struct sockaddr_in *address)
{
    int listener = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
    socklen_t length = sizeof(*address);

    *address = loopback(1, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)address, sizeof(*address)), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)address, &length), 0);
    assert_int_equal(listen(listener, 5), 0);
    return listener;
}

static void switch_on(int descriptor, int option)
{
    int one = 1;

    assert_int_equal(setsockopt(descriptor, IPPROTO_SCTP, option, &one, sizeof(one)), 0);
}

static void address_lengths(void **state)
{
    (void)state;
    assert_int_equal(sctp_getaddrlen(AF_INET), sizeof(struct sockaddr_in));
    assert_int_equal(sctp_getaddrlen(AF_INET6), sizeof(struct sockaddr_in6));
}

static void bind_several(void **state)
{
    int descriptor = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
    struct sockaddr_in some[3], unknown = {.sin_family = AF_UNIX};
    struct sockaddr *list;

    (void)state;
    assert_int_equal(sctp_getladdrs(descriptor, 0, &list), 0);
    some[0] = loopback(1, 0);
    assert_int_equal(sctp_bindx(descriptor, (struct sockaddr *)some, 1, SCTP_BINDX_ADD_ADDR), 0);
    assert_int_equal(sctp_getladdrs(descriptor, 0, &list), 1);
    some[0] = *(struct sockaddr_in *)(void *)list;
    assert_int_equal(sctp_freeladdrs(list), 0);
    assert_int_not_equal(some[0].sin_port, 0);
    some[1] = loopback(2, some[0].sin_port);
    some[2] = loopback(3, some[0].sin_port);
    assert_int_equal(sctp_bindx(descriptor, (struct sockaddr *)&some[1], 2, SCTP_BINDX_ADD_ADDR),
                     0);
    assert_int_equal(sctp_getladdrs(descriptor, 0, &list), 3);
    sctp_freeladdrs(list);
    assert_int_equal(sctp_bindx(descriptor, (struct sockaddr *)&some[1], 1, SCTP_BINDX_REM_ADDR),
                     0);
    assert_int_equal(sctp_getladdrs(descriptor, 0, &list), 2);
    sctp_freeladdrs(list);
    assert_int_equal(sctp_bindx(descriptor, (struct sockaddr *)some, 1, 77), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(sctp_bindx(descriptor, (struct sockaddr *)&unknown, 1, SCTP_BINDX_ADD_ADDR),
                     -1);
    assert_int_equal(errno, EINVAL);
    close(descriptor);
}

static void connect_and_list(void **state)
{
    struct sockaddr_in address;
    int listener = new_listener(&address);
    int client = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
    struct sctp_status status;
    socklen_t length = sizeof(status);
    struct sockaddr *list;
    sctp_assoc_t identifier = 0;

    (void)state;
    assert_int_equal(sctp_connectx(client, (struct sockaddr *)&address, 1, &identifier), 0);
    assert_int_not_equal(identifier, 0);
    assert_int_equal(sctp_getpaddrs(client, identifier, &list), 1);
    assert_memory_equal(&((struct sockaddr_in *)(void *)list)->sin_addr, &address.sin_addr, 4);
    assert_int_equal(((struct sockaddr_in *)(void *)list)->sin_port, address.sin_port);
    assert_int_equal(sctp_freepaddrs(list), 0);
    assert_true(sctp_getladdrs(client, identifier, &list) >= 1);
    sctp_freeladdrs(list);
    assert_int_equal(sctp_opt_info(client, identifier, SCTP_STATUS, &status, &length), 0);
    assert_int_equal(status.sstat_assoc_id, identifier);
    assert_int_equal(status.sstat_state, SCTP_ESTABLISHED);
    assert_int_equal(sctp_getpaddrs(client, identifier + 77, &list), -1);
    assert_int_equal(sctp_connectx(client, (struct sockaddr *)&address, 1, NULL), -1);
    assert_int_equal(errno, EISCONN);
    close(client);
    close(listener);
}

static void connect_without_waiting(void **state)
{
    struct sockaddr_in address;
    int listener = new_listener(&address);
    int client = socket(AF_INET, SOCK_SEQPACKET | SOCK_NONBLOCK, IPPROTO_SCTP);
    sctp_assoc_t identifier = 0;

    (void)state;
    assert_int_equal(sctp_connectx(client, (struct sockaddr *)&address, 1, &identifier), -1);
    assert_int_equal(errno, EINPROGRESS);
    assert_int_not_equal(identifier, 0);
    close(client);
    close(listener);
}

static void messages_with_sndrcvinfo(void **state)
{
    struct sockaddr_in address, from;
    int listener = new_listener(&address);
    int client = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
    struct sctp_event_subscribe events = {.sctp_data_io_event = 1};
    struct sctp_sndrcvinfo info = {0};
    socklen_t length = sizeof(from);
    char bytes[64];
    int flags = 0;

    (void)state;
    assert_int_equal(setsockopt(listener, IPPROTO_SCTP, SCTP_EVENTS, &events, sizeof(events)), 0);
    assert_int_equal(sctp_sendmsg(client, "first", 5, (struct sockaddr *)&address, sizeof(address),
                                  htonl(7), 0, 3, 0, 99),
                     5);
    assert_int_equal(sctp_recvmsg(listener, bytes, sizeof(bytes), (struct sockaddr *)&from, &length,
                                  &info, &flags),
                     5);
    assert_memory_equal(bytes, "first", 5);
    assert_true(flags & MSG_EOR);
    assert_int_equal(info.sinfo_stream, 3);
    assert_int_equal(info.sinfo_ppid, htonl(7));
    assert_int_equal(length, sizeof(from));
    assert_int_not_equal(info.sinfo_assoc_id, 0);

    info.sinfo_stream = 1;
    info.sinfo_flags = SCTP_UNORDERED;
    assert_int_equal(sctp_send(listener, "back", 4, &info, 0), 4);
    assert_int_equal(setsockopt(client, IPPROTO_SCTP, SCTP_EVENTS, &events, sizeof(events)), 0);
    flags = 0;
    assert_int_equal(sctp_recvmsg(client, bytes, sizeof(bytes), NULL, NULL, NULL, &flags), 4);
    close(client);
    close(listener);
}

static void messages_with_vectors(void **state)
{
    struct sockaddr_in address, from;
    int listener = new_listener(&address);
    int client = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
    struct iovec parts[2] = {{"ab", 2}, {"cde", 3}};
    struct sctp_sndinfo sndinfo = {.snd_sid = 2, .snd_ppid = htonl(9)};
    struct sctp_sendv_spa all = {.sendv_flags = SCTP_SEND_SNDINFO_VALID, .sendv_sndinfo = sndinfo};
    struct sctp_recvv_rn info;
    socklen_t size = sizeof(info), length = sizeof(from);
    unsigned int type = 0;
    char bytes[64];
    struct iovec room = {bytes, sizeof(bytes)};
    int flags = 0;

    (void)state;
    switch_on(listener, SCTP_RECVRCVINFO);
    assert_int_equal(sctp_sendv(client, parts, 2, (struct sockaddr *)&address, 1, &sndinfo,
                                sizeof(sndinfo), SCTP_SENDV_SNDINFO, 0),
                     5);
    assert_int_equal(sctp_recvv(listener, &room, 1, (struct sockaddr *)&from, &length, &info, &size,
                                &type, &flags),
                     5);
    assert_memory_equal(bytes, "abcde", 5);
    assert_int_equal(type, SCTP_RECVV_RCVINFO);
    assert_int_equal(size, sizeof(struct sctp_rcvinfo));
    assert_int_equal(info.recvv_rcvinfo.rcv_sid, 2);
    assert_int_equal(info.recvv_rcvinfo.rcv_ppid, htonl(9));

    switch_on(listener, SCTP_RECVNXTINFO);
    switch_on(client, SCTP_NODELAY);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sctp_sendv(client, parts, 2, (struct sockaddr *)&address, 1, &all,
                                    sizeof(all), SCTP_SENDV_SPA, 0),
                         5);
    usleep(100000); /* both are there, so that the first knows of the next */
    size = sizeof(info);
    flags = 0;
    assert_int_equal(sctp_recvv(listener, &room, 1, NULL, NULL, &info, &size, &type, &flags), 5);
    assert_int_equal(type, SCTP_RECVV_RN);
    assert_int_equal(info.recvv_nxtinfo.nxt_sid, 2);
    assert_int_equal(info.recvv_nxtinfo.nxt_length, 5);
    close(client);
    close(listener);
}

static void peel_off(void **state)
{
    int (*with_flags)(int, sctp_assoc_t, unsigned int) =
        (int (*)(int, sctp_assoc_t, unsigned int))dlsym(RTLD_DEFAULT, "sctp_peeloff_flags");
    struct sockaddr_in address;
    int listener = new_listener(&address);
    struct sctp_rcvinfo received;
    socklen_t size = sizeof(received);
    unsigned int type;
    char bytes[16];
    struct iovec room = {bytes, sizeof(bytes)};

    (void)state;
    switch_on(listener, SCTP_RECVRCVINFO);
    for (int i = 0; i < (with_flags ? 2 : 1); i++) {
        int client = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP), flags = 0, own;

        assert_int_equal(sctp_sendmsg(client, "hello", 5, (struct sockaddr *)&address,
                                      sizeof(address), 0, 0, 0, 0, 0),
                         5);
        assert_int_equal(
            sctp_recvv(listener, &room, 1, NULL, NULL, &received, &size, &type, &flags), 5);
        if (i == 0) {
            own = sctp_peeloff(listener, received.rcv_assoc_id);
            assert_false(fcntl(own, F_GETFL) & O_NONBLOCK);
        } else {
            own = with_flags(listener, received.rcv_assoc_id, SOCK_NONBLOCK | SOCK_CLOEXEC);
            assert_true(fcntl(own, F_GETFL) & O_NONBLOCK);
            assert_true(fcntl(own, F_GETFD) & FD_CLOEXEC);
        }
        assert_true(own >= 0);
        assert_int_equal(send(own, "peeled", 6, 0), 6);
        assert_int_equal(recv(client, bytes, sizeof(bytes), 0), 6);
        assert_memory_equal(bytes, "peeled", 6);
        assert_int_equal(sctp_peeloff(listener, received.rcv_assoc_id), -1);
        assert_int_equal(errno, EINVAL);
        close(own);
        close(client);
    }
    close(listener);
}

/* Its association ends while somebody waits for a message. */
static void wait_for_peeled_off(void **state)
{
    struct sockaddr_in address;
    int listener = new_listener(&address), client = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
    struct sctp_rcvinfo received;
    socklen_t size = sizeof(received);
    unsigned int type;
    char bytes[16];
    struct iovec room = {bytes, sizeof(bytes)};
    int flags = 0, status, own;
    pid_t child;

    (void)state;
    switch_on(listener, SCTP_RECVRCVINFO);
    assert_int_equal(sctp_sendmsg(client, "hello", 5, (struct sockaddr *)&address, sizeof(address),
                                  0, 0, 0, 0, 0),
                     5);
    assert_int_equal(sctp_recvv(listener, &room, 1, NULL, NULL, &received, &size, &type, &flags),
                     5);
    own = sctp_peeloff(listener, received.rcv_assoc_id);
    assert_true(own >= 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        usleep(200000);
        _exit(sctp_sendmsg(client, NULL, 0, (struct sockaddr *)&address, sizeof(address), 0,
                           SCTP_EOF, 0, 0, 0) == 0
                  ? 0
                  : 1);
    }
    assert_int_equal(recv(own, bytes, sizeof(bytes), 0), -1);
    assert_int_equal(errno, ENOTCONN);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    /* once more, and without waiting */
    assert_int_equal(recv(own, bytes, sizeof(bytes), 0), -1);
    assert_int_equal(errno, ENOTCONN);
    assert_int_equal(recv(own, bytes, sizeof(bytes), MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    close(own);
    close(client);
    close(listener);
}

/* Deprecated, and not in Debian's library. */
static void send_to_several(void **state)
{
    int (*sendx)(int, const void *, size_t, struct sockaddr *, int, const struct sctp_sndrcvinfo *,
                 int) =
        (int (*)(int, const void *, size_t, struct sockaddr *, int, const struct sctp_sndrcvinfo *,
                 int))dlsym(RTLD_DEFAULT, "sctp_sendx");
    struct sctp_sndrcvinfo info = {.sinfo_stream = 4};
    struct sockaddr_in addresses[2];
    int listener, client;
    char bytes[8];

    (void)state;
    if (!sendx) {
        skip();
        return;
    }
    listener = new_listener(&addresses[0]);
    client = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
    addresses[1] = loopback(2, addresses[0].sin_port);
    assert_int_equal(sendx(client, "two", 3, (struct sockaddr *)addresses, 2, &info, 0), 3);
    assert_int_equal(recv(listener, bytes, sizeof(bytes), 0), 3);
    addresses[1].sin_family = AF_UNIX;
    assert_int_equal(sendx(client, "two", 3, (struct sockaddr *)addresses, 2, &info, 0), -1);
    assert_int_equal(errno, EINVAL);
    close(client);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(address_lengths),
        cmocka_unit_test(bind_several),
        cmocka_unit_test(connect_and_list),
        cmocka_unit_test(connect_without_waiting),
        cmocka_unit_test(messages_with_sndrcvinfo),
        cmocka_unit_test(messages_with_vectors),
        cmocka_unit_test(peel_off),
        cmocka_unit_test(wait_for_peeled_off),
        cmocka_unit_test(send_to_several),
    };

    alarm(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
