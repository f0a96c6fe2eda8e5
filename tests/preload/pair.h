/* What tests of sockets begin with: a listener on loopback, a client, an association between two
 * sockets of one process. It is included after <cmocka.h>. */
#ifndef TESTS_PRELOAD_PAIR_H
#define TESTS_PRELOAD_PAIR_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

struct pair {
    int listener, client, server;
    struct sockaddr_in address; /* where `listener` is */
};

static int new_socket(int type)
{
    int descriptor = socket(AF_INET, type, IPPROTO_SCTP);

    assert_true(descriptor >= 0);
    return descriptor;
}

static int new_listener(struct sockaddr_in *address, int backlog)
{
    int listener = new_socket(SOCK_STREAM);
    socklen_t length = sizeof(*address);

    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(listener, (struct sockaddr *)address, sizeof(*address)), 0);
    assert_int_equal(listen(listener, backlog), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)address, &length), 0);
    assert_int_not_equal(address->sin_port, 0);
    return listener;
}

static int new_client(const struct sockaddr_in *address)
{
    int client = new_socket(SOCK_STREAM);

    assert_int_equal(connect(client, (const struct sockaddr *)address, sizeof(*address)), 0);
    return client;
}

static void open_pair(struct pair *pair)
{
    pair->listener = new_listener(&pair->address, 64);
    pair->client = new_client(&pair->address);
    pair->server = accept(pair->listener, NULL, NULL);
    assert_true(pair->server >= 0);
}

static void close_pair(struct pair *pair)
{
    close(pair->client);
    close(pair->server);
    close(pair->listener);
}

#endif
