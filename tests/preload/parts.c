/*
 * A message that is read in parts (RFC 6458, 3.1.4): the rest stays for who reads next, through
 * whichever descriptor, in whichever process, and also if the association is peeled off meanwhile.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct ends {
    int listener, client;
    struct sockaddr_in address;
};

static void open_ends(struct ends *ends)
{
    socklen_t length = sizeof(ends->address);

    ends->address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ends->listener = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
    ends->client = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    assert_int_equal(bind(ends->listener, (struct sockaddr *)&ends->address, length), 0);
    assert_int_equal(getsockname(ends->listener, (struct sockaddr *)&ends->address, &length), 0);
    assert_int_equal(listen(ends->listener, 1), 0);
    assert_int_equal(connect(ends->client, (struct sockaddr *)&ends->address, length), 0);
}

static void close_ends(const struct ends *ends)
{
    close(ends->client);
    close(ends->listener);
}

static void assert_reads(int descriptor, size_t room, const char *text)
{
    char bytes[64];

    assert_int_equal(recv(descriptor, bytes, room, 0), strlen(text));
    assert_memory_equal(bytes, text, strlen(text));
}

static void assert_waiting(int descriptor, int length)
{
    int waiting = -1;

    assert_int_equal(ioctl(descriptor, FIONREAD, &waiting), 0);
    assert_int_equal(waiting, length);
}

static void copies_of_a_descriptor(void **state)
{
    struct ends ends;
    int copy;

    (void)state;
    open_ends(&ends);
    copy = dup(ends.listener);
    assert_int_equal(send(ends.client, "begin", 5, 0), 5);
    assert_reads(copy, 64, "begin"); /* both were used before */
    assert_int_equal(send(ends.client, "one two three", 13, 0), 13);
    assert_int_equal(send(ends.client, "four", 4, 0), 4);
    assert_reads(ends.listener, 4, "one ");
    assert_waiting(copy, 9);
    assert_reads(copy, 4, "two ");
    assert_waiting(ends.listener, 5);
    assert_reads(ends.listener, 64, "three");
    assert_reads(copy, 64, "four");
    close(copy);
    close_ends(&ends);
}

static void processes(void **state)
{
    struct ends ends;
    pid_t child;
    char bytes[64];
    int status;

    (void)state;
    open_ends(&ends);
    assert_int_equal(send(ends.client, "begin", 5, 0), 5);
    assert_reads(ends.listener, 64, "begin");
    assert_int_equal(send(ends.client, "one two three", 13, 0), 13);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(recv(ends.listener, bytes, 4, 0) == 4 && memcmp(bytes, "one ", 4) == 0 ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_reads(ends.listener, 4, "two ");
    assert_reads(ends.listener, 64, "three");
    close_ends(&ends);
}

/* What has begun stays in order: the rest goes on where the association does, or stays. */
static void peel_off(void **state)
{
    struct {
        uint32_t count;
        sctp_assoc_t id;
    } list = {0};
    socklen_t length = sizeof(list);
    struct ends ends;
    int own;

    (void)state;
    open_ends(&ends);
    assert_int_equal(send(ends.client, "one two three", 13, 0), 13);
    assert_reads(ends.listener, 4, "one ");
    assert_int_equal(
        getsockopt(ends.listener, IPPROTO_SCTP, SCTP_GET_ASSOC_ID_LIST, &list, &length), 0);
    own = sctp_peeloff(ends.listener, list.id);
    assert_true(own >= 0);
    assert_waiting(own, 9);
    assert_reads(own, 4, "two ");
    assert_reads(own, 64, "three");
    close(own);
    close_ends(&ends);
}

/* The one that was read stays, though another is peeled off. */
static void peel_off_another(void **state)
{
    struct {
        uint32_t count;
        sctp_assoc_t ids[2];
    } list = {0};
    socklen_t length = sizeof(list);
    struct ends ends;
    int other = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP), own;

    (void)state;
    open_ends(&ends);
    assert_int_equal(connect(other, (struct sockaddr *)&ends.address, sizeof(ends.address)), 0);
    assert_int_equal(
        getsockopt(ends.listener, IPPROTO_SCTP, SCTP_GET_ASSOC_ID_LIST, &list, &length), 0);
    assert_int_equal(list.count, 2);
    assert_int_equal(send(ends.client, "one two three", 13, 0), 13);
    assert_reads(ends.listener, 4, "one ");
    own = sctp_peeloff(ends.listener, list.ids[1]);
    assert_true(own >= 0);
    assert_waiting(ends.listener, 9);
    assert_reads(ends.listener, 64, "two three");
    close(own);
    close(other);
    close_ends(&ends);
}

/* However long it is: one read has it, if there is room, also one that may not wait. */
static void long_message(void **state)
{
    static char sent[100000], got[150000];
    struct iovec parts[] = {{got, 70000}, {got + 70000, 10}, {got + 70010, sizeof(got) - 70010}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};
    struct pollfd entry = {.events = POLLIN};
    struct ends ends;

    (void)state;
    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = (char)(i * 31 + i / 255);
    open_ends(&ends);
    entry.fd = ends.listener;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(send(ends.client, sent, sizeof(sent), 0), sizeof(sent));
        assert_int_equal(poll(&entry, 1, 5000), 1);
        memset(got, 0, sizeof(got));
        if (i == 2) { /* in two parts */
            assert_int_equal(recv(ends.listener, got, 1000, 0), 1000);
            parts[0] = (struct iovec){got + 1000, sizeof(got) - 1000};
            message.msg_iovlen = 1;
        }
        assert_int_equal(recvmsg(ends.listener, &message, i == 1 ? MSG_DONTWAIT : 0),
                         i == 2 ? 99000 : 100000);
        assert_int_equal(message.msg_flags & MSG_EOR, MSG_EOR);
        assert_memory_equal(got, sent, sizeof(sent));
    }
    close_ends(&ends);
}

/* A long message may be the first to its peer, and may name him each time. */
static void long_message_to_an_address(void **state)
{
    static char sent[100000], got[150000];
    int client = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
    struct sockaddr_in nobody;
    struct ends ends;

    (void)state;
    memset(sent, 'x', sizeof(sent));
    open_ends(&ends);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sendto(client, sent, sizeof(sent), i == 1 ? MSG_DONTWAIT : 0,
                                (struct sockaddr *)&ends.address, sizeof(ends.address)),
                         sizeof(sent));
        assert_int_equal(recv(ends.listener, got, sizeof(got), 0), sizeof(sent));
    }
    assert_memory_equal(got, sent, sizeof(sent));
    nobody = ends.address;
    nobody.sin_addr.s_addr = htonl(INADDR_BROADCAST);
    assert_int_equal(
        sendto(client, sent, sizeof(sent), 0, (struct sockaddr *)&nobody, sizeof(nobody)), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(send(client, sent, sizeof(sent), MSG_NOSIGNAL), -1);
    assert_int_equal(errno, EPIPE);
    close(client);
    close_ends(&ends);
}

/* Who closes it has notifications before him, and no message: a graceful end. */
static void peeled_off_with_notifications(void **state)
{
    struct sctp_event_subscribe events = {.sctp_association_event = 1};
    struct {
        uint32_t count;
        sctp_assoc_t id;
    } list = {0};
    socklen_t length = sizeof(list);
    struct ends ends;
    int client = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP), accepted, own;
    char byte;

    (void)state;
    open_ends(&ends);
    close(ends.client);
    assert_int_equal(setsockopt(client, IPPROTO_SCTP, SCTP_EVENTS, &events, sizeof(events)), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&ends.address, sizeof(ends.address)), 0);
    assert_int_equal(getsockopt(client, IPPROTO_SCTP, SCTP_GET_ASSOC_ID_LIST, &list, &length), 0);
    own = sctp_peeloff(client, list.id);
    assert_true(own >= 0);
    do {
        usleep(1000);
        length = sizeof(list);
        assert_int_equal(
            getsockopt(ends.listener, IPPROTO_SCTP, SCTP_GET_ASSOC_ID_LIST, &list, &length), 0);
    } while (list.count != 1);
    accepted = sctp_peeloff(ends.listener, list.id);
    assert_true(accepted >= 0);
    close(own);
    assert_int_equal(recv(accepted, &byte, 1, 0), -1);
    assert_int_equal(errno, ENOTCONN); /* not ECONNRESET */
    close(accepted);
    close(client);
    close(ends.listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_of_a_descriptor),
        cmocka_unit_test(processes),
        cmocka_unit_test(peel_off),
        cmocka_unit_test(peel_off_another),
        cmocka_unit_test(long_message),
        cmocka_unit_test(long_message_to_an_address),
        cmocka_unit_test(peeled_off_with_notifications),
    };

    alarm(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
