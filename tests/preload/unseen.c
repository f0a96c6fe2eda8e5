/*
 * A program that closes SCTP sockets and opens others where the loaded library does not see it:
 * straight by system calls. What it sends and receives on the old numbers is the new sockets'.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "preload/direct.h"

/* A connected pair of SCTP sockets, of which messages went both ways. */
static void new_pair(int pair[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    char byte;

    assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    pair[0] = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    assert_int_equal(connect(pair[0], (struct sockaddr *)&address, length), 0);
    pair[1] = accept(listener, NULL, NULL);
    assert_true(pair[1] >= 0);
    close(listener);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(send(pair[i], "x", 1, 0), 1);
        assert_int_equal(recv(pair[1 - i], &byte, 1, 0), 1);
    }
}

/* Two connected sockets of another kind, by system calls alone. */
static void new_others(int domain, int type, int others[2])
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
    socklen_t length = sizeof(address);
    int listener;

    if (domain == AF_UNIX) {
        assert_int_equal(direct_call(SYS_socketpair, domain, type, 0, others), 0);
        return;
    }
    if (domain == AF_INET)
        *v4 =
            (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    listener = direct_socket(domain, type, 0);
    assert_int_equal(direct_call(SYS_bind, listener, &address, sizeof(address)), 0);
    assert_int_equal(direct_getsockname(listener, &address, &length), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(direct_call(SYS_listen, listener, 1), 0);
    others[0] = direct_socket(domain, type, 0);
    assert_int_equal(direct_connect(others[0], (struct sockaddr *)&address, length), 0);
    others[1] = listener;
    if (type == SOCK_STREAM) {
        others[1] = (int)direct_call(SYS_accept4, listener, NULL, NULL, 0);
        direct_close(listener);
    } else {
        length = sizeof(address);
        assert_int_equal(direct_getsockname(others[0], &address, &length), 0);
        assert_int_equal(direct_connect(others[1], (struct sockaddr *)&address, length), 0);
    }
}

/* Puts them where the pair was. */
static void replace(const int pair[2], int others[2])
{
    for (int i = 0; i < 2; i++) {
        assert_int_equal(direct_call(SYS_dup3, others[i], pair[i], 0), pair[i]);
        direct_close(others[i]);
    }
}

static void others_get_what_is_theirs(void **state)
{
    static const int kinds[][2] = {
        {AF_INET, SOCK_STREAM}, {AF_INET, SOCK_DGRAM},  {AF_INET6, SOCK_STREAM},
        {AF_INET6, SOCK_DGRAM}, {AF_UNIX, SOCK_STREAM}, {AF_UNIX, SOCK_DGRAM},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        int pair[2], others[2], kept;
        char bytes[64];

        new_pair(pair);
        kept = dup(pair[0]); /* the SCTP socket lives on */
        new_others(kinds[i][0], kinds[i][1], others);
        replace(pair, others);
        assert_int_equal(send(pair[0], "hello", 5, 0), 5);
        /* of AF_UNIX a receiver must have been seen to be another's */
        if (kinds[i][0] == AF_UNIX)
            assert_int_equal(send(pair[1], "back", 4, 0), 4);
        assert_int_equal(recv(pair[1], bytes, sizeof(bytes), 0), 5);
        assert_memory_equal(bytes, "hello", 5);
        close(kept);
        close(pair[0]);
        close(pair[1]);
    }
}

static void what_is_no_socket(void **state)
{
    int pair[2], pipe_ends[2];
    char bytes[8];

    (void)state;
    new_pair(pair);
    assert_int_equal(direct_call(SYS_pipe2, pipe_ends, 0), 0);
    replace(pair, pipe_ends);
    assert_int_equal(write(pair[1], "pipe", 4), 4);
    assert_int_equal(read(pair[0], bytes, sizeof(bytes)), 4);
    close(pair[0]);
    close(pair[1]);
}

/* Another of our own: each message goes where its number leads now. */
static void another_of_ours(void **state)
{
    int one[2], other[2];
    char bytes[8];

    (void)state;
    new_pair(one);
    new_pair(other);
    assert_int_equal(direct_call(SYS_dup3, other[0], one[0], 0), one[0]);
    assert_int_equal(send(one[0], "other", 5, 0), 5);
    assert_int_equal(recv(other[1], bytes, sizeof(bytes), 0), 5);
    assert_int_equal(recv(one[1], bytes, sizeof(bytes), 0), 0); /* nobody else had its peer */
    close(one[0]);
    close(one[1]);
    close(other[0]);
    close(other[1]);
}

/* What is written past the library is no message, whatever it looks like, and harms nobody. */
static void what_bypasses(void **state)
{
    static const char text[] = "written by somebody who does not know";
    static const uint8_t like_a_header[300] = {0xc1, 0xf5, 0xff, 0xff, 0xff, 0xff};
    int pair[2];
    char bytes[64];

    (void)state;
    new_pair(pair);
    assert_int_equal(direct_call(SYS_write, pair[0], text, sizeof(text)), sizeof(text));
    assert_int_equal(direct_call(SYS_write, pair[0], like_a_header, sizeof(like_a_header)),
                     sizeof(like_a_header));
    assert_int_equal(direct_call(SYS_write, pair[0], &like_a_header[6], 200), 200);
    assert_int_equal(send(pair[0], "hello", 5, 0), 5);
    assert_int_equal(recv(pair[1], bytes, sizeof(bytes), 0), 5);
    assert_memory_equal(bytes, "hello", 5);
    assert_int_equal(send(pair[1], "first", 5, 0), 5);
    assert_int_equal(send(pair[1], "second", 6, 0), 6);
    assert_true(direct_call(SYS_read, pair[0], bytes, sizeof(bytes)) > 0); /* is lost */
    assert_int_equal(recv(pair[0], bytes, sizeof(bytes), 0), 6);
    assert_memory_equal(bytes, "second", 6);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(others_get_what_is_theirs),
        cmocka_unit_test(what_is_no_socket),
        cmocka_unit_test(another_of_ours),
        cmocka_unit_test(what_bypasses),
    };

    alarm(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
