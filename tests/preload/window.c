/*
 * What stands unread closes the peer's window (RFC 9260, 6.2); what is read opens it, at once: a
 * message that is longer than what is left of the window waits for the reader, and for no timer.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    SHORT = 20000,
    LONG = 90000,    /* two chunks; beside a short one the second does not fit */
    SLOWLY = 300000, /* us, in which all has come that may come */
    RTO = 20000,     /* ms, and */
    AT_ONCE = 10000, /* much less */
};

struct ends {
    int client, server;
};

static struct ends connected(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sctp_rtoinfo times = {.srto_initial = RTO, .srto_min = RTO, .srto_max = RTO};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    struct ends ends = {.client = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP)};

    assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(setsockopt(ends.client, IPPROTO_SCTP, SCTP_RTOINFO, &times, sizeof(times)), 0);
    assert_int_equal(connect(ends.client, (struct sockaddr *)&address, length), 0);
    ends.server = accept(listener, NULL, NULL);
    assert_true(ends.server >= 0);
    close(listener);
    return ends;
}

static void disconnect(const struct ends *ends)
{
    close(ends->client);
    close(ends->server);
}

static void say(const struct ends *ends, size_t length)
{
    static const uint8_t bytes[LONG];

    assert_int_equal(send(ends->client, bytes, length, 0), length);
}

static void hear(const struct ends *ends, size_t length)
{
    static uint8_t bytes[LONG];
    size_t got = 0;

    while (got < length) {
        ssize_t received = recv(ends->server, bytes, sizeof(bytes), 0);

        assert_true(received > 0);
        got += (size_t)received;
    }
    assert_int_equal(got, length);
}

static void hear_at_once(const struct ends *ends, size_t length)
{
    struct pollfd entry = {.fd = ends->server, .events = POLLIN};

    assert_int_equal(poll(&entry, 1, AT_ONCE), 1);
    hear(ends, length);
}

static void read_before_it_comes(void **state)
{
    struct ends ends = connected();

    (void)state;
    say(&ends, SHORT);
    usleep(SLOWLY);
    hear(&ends, SHORT);
    say(&ends, LONG);
    hear_at_once(&ends, LONG);
    disconnect(&ends);
}

static void read_while_it_waits(void **state)
{
    struct ends ends = connected();

    (void)state;
    say(&ends, SHORT);
    say(&ends, LONG);
    usleep(SLOWLY);
    hear(&ends, SHORT);
    hear_at_once(&ends, LONG);
    disconnect(&ends);
}

/* By many small steps, each of which is too little to be told. */
static void read_bit_by_bit(void **state)
{
    struct ends ends = connected();

    (void)state;
    for (int i = 0; i < 20; i++)
        say(&ends, SHORT / 20);
    say(&ends, LONG);
    usleep(SLOWLY);
    for (int i = 0; i < 20; i++)
        hear(&ends, SHORT / 20);
    hear_at_once(&ends, LONG);
    disconnect(&ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_before_it_comes),
        cmocka_unit_test(read_while_it_waits),
        cmocka_unit_test(read_bit_by_bit),
    };

    alarm(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
