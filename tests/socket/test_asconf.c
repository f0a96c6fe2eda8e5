/*
 * Addresses that come and go under a socket: RFC 5061 as RFC 6458, 8.1.23, 8.3.1 and 9.1 show it,
 * with Linux's sizes and errors.
 */
#include <stdio.h>

#include "world.h"

static struct world world;

static int set(struct sctp_socket *socket, int name, const void *value, size_t length)
{
    int32_t association;

    return socket_set_option(socket, IPPROTO_SCTP, name, value, length, &user, world.now,
                             &association);
}

static int get(struct sctp_socket *socket, int name, void *value, size_t *length)
{
    struct sctp_socket *peeled;

    return socket_get_option(socket, IPPROTO_SCTP, name, value, length, &user, world.now, &peeled);
}

static int switch_option(struct sctp_socket *socket, int name, uint32_t on)
{
    struct sctp_assoc_value value = {.assoc_value = on};

    return set(socket, name, &value, sizeof(value));
}

static uint32_t is_on(struct sctp_socket *socket, int name)
{
    struct sctp_assoc_value value = {.assoc_value = 7};
    size_t length = sizeof(value);

    assert_int_equal(get(socket, name, &value, &length), 0);
    return value.assoc_value;
}

static void enable(struct sctp_socket *socket)
{
    struct sctp_event event = {.se_type = SCTP_PEER_ADDR_CHANGE, .se_on = 1};

    assert_int_equal(switch_option(socket, SCTP_ASCONF_SUPPORTED, 1), 0);
    assert_int_equal(switch_option(socket, SCTP_AUTH_SUPPORTED, 1), 0);
    assert_int_equal(set(socket, SCTP_EVENT, &event, sizeof(event)), 0);
}

static int get_int(struct sctp_socket *socket, int name)
{
    size_t length = sizeof(int);
    int value = -1, error = get(socket, name, &value, &length);

    return error < 0 ? error : value;
}

static int set_int(struct sctp_socket *socket, int name, int value)
{
    return set(socket, name, &value, sizeof(value));
}

static struct sockaddr_in address_of(unsigned int host, unsigned int number, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

    memcpy(&address.sin_addr, world.hosts[host].addresses[number].bytes, 4);
    return address;
}

/* sctp_bindx() */
static int change(struct sctp_socket *socket, int name, unsigned int host, unsigned int number)
{
    struct sockaddr_in address = address_of(host, number, 0);

    return set(socket, name, &address, sizeof(address));
}

static int set_peer_primary(struct sctp_socket *socket, unsigned int host, unsigned int number,
                            uint16_t port)
{
    struct sctp_setpeerprim primary = {0};
    struct sockaddr_in address = address_of(host, number, port);

    memcpy(&primary.sspp_addr, &address, sizeof(address));
    return set(socket, SCTP_SET_PEER_PRIMARY_ADDR, &primary, sizeof(primary));
}

/* sctp_getladdrs(), sctp_getpaddrs(): the first byte of each address. */
static const char *addresses(struct sctp_socket *socket, int name, int32_t association)
{
    static char text[64];
    uint8_t bytes[256] = {0};
    struct sctp_getaddrs header = {.assoc_id = association};
    size_t length = sizeof(bytes), used = 0;

    memcpy(bytes, &header, sizeof(header));
    assert_int_equal(get(socket, name, bytes, &length), 0);
    memcpy(&header, bytes, sizeof(header));
    text[0] = 0;
    for (uint32_t i = 0; i < header.addr_num; i++) {
        struct sockaddr_in address;

        memcpy(&address, bytes + sizeof(header) + i * sizeof(address), sizeof(address));
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u", i > 0 ? " " : "",
                                 ntohl(address.sin_addr.s_addr) >> 24);
    }
    return text;
}

/* Whose engine counted it. */
static struct braid_statistics statistics(unsigned int host)
{
    struct braid_statistics now;

    braid_engine_statistics(world.hosts[host].engine, &now);
    return now;
}

struct pair {
    struct sctp_socket *client, *server, *listener;
};

/* Both hosts have three addresses; the listener is bound to the first, the client to what bind()
 * says (NULL: all). */
static struct pair join(const struct sockaddr_in *client_address, bool client_has, bool server_has)
{
    struct pair pair;

    world_open(&world);
    host_has(&world.hosts[0], 0, 3);
    host_has(&world.hosts[1], 0, 3);
    pair.listener = socket_make_listener(&world.hosts[1], SOCK_STREAM);
    pair.client = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    if (client_has)
        enable(pair.client);
    if (server_has)
        enable(pair.listener);
    if (client_address)
        assert_int_equal(socket_bind(pair.client, client_address, sizeof(*client_address), &user),
                         0);
    assert_int_equal(socket_begin(pair.client, &world.hosts[0], &world.hosts[1], PORT),
                     -EINPROGRESS);
    world_run(&world, SECOND);
    pair.server = socket_take_accepted(pair.listener, &world);
    assert_non_null(pair.server);
    return pair;
}

static struct pair join_bound(bool client_has, bool server_has)
{
    static const struct sockaddr_in first = {.sin_family = AF_INET,
                                             .sin_addr.s_addr = 0x010200c0}; /* 192.0.2.1 */

    return join(&first, client_has, server_has);
}

/* ---- Options ---- */

static void expect_chunks(struct sctp_socket *socket, size_t count)
{
    uint8_t bytes[64];
    struct sctp_authchunks header = {0};
    size_t length = sizeof(bytes);

    memcpy(bytes, &header, sizeof(header));
    assert_int_equal(get(socket, SCTP_LOCAL_AUTH_CHUNKS, bytes, &length), 0);
    assert_int_equal(length, sizeof(header) + count);
    if (count > 0) {
        assert_int_equal(bytes[sizeof(header)], 0xc1);
        assert_int_equal(bytes[sizeof(header) + 1], 0x80);
    }
}

static void test_supported(void **state)
{
    struct sctp_socket *one, *other;
    struct sctp_assoc_value value = {.assoc_id = 12345};

    (void)state;
    world_open(&world);
    one = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    other = socket_make(&world.hosts[0], AF_INET, SOCK_SEQPACKET);
    assert_int_equal(is_on(one, SCTP_ASCONF_SUPPORTED), 0);
    assert_int_equal(set(one, SCTP_ASCONF_SUPPORTED, &value, 4), -EINVAL);
    assert_int_equal(set(other, SCTP_ASCONF_SUPPORTED, &value, sizeof(value)), -EINVAL);
    /* with AUTH, in either order, the peer is to authenticate its ASCONFs */
    assert_int_equal(switch_option(one, SCTP_ASCONF_SUPPORTED, 1), 0);
    assert_int_equal(is_on(one, SCTP_ASCONF_SUPPORTED), 1);
    assert_int_equal(switch_option(one, SCTP_AUTH_SUPPORTED, 1), 0);
    expect_chunks(one, 2);
    assert_int_equal(switch_option(other, SCTP_AUTH_SUPPORTED, 1), 0);
    expect_chunks(other, 0);
    assert_int_equal(switch_option(other, SCTP_ASCONF_SUPPORTED, 9), 0);
    assert_int_equal(is_on(other, SCTP_ASCONF_SUPPORTED), 1);
    expect_chunks(other, 2);
    world_close(&world);
}

static void test_auto_option(void **state)
{
    struct sctp_socket *socket;
    struct sockaddr_in any = {.sin_family = AF_INET};
    size_t length = 2;
    int value = 1;

    (void)state;
    world_open(&world);
    socket = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    assert_int_equal(get_int(socket, SCTP_AUTO_ASCONF), 0);
    assert_int_equal(get(socket, SCTP_AUTO_ASCONF, &value, &length), -EINVAL);
    assert_int_equal(set(socket, SCTP_AUTO_ASCONF, &value, 2), -EINVAL);
    assert_int_equal(set_int(socket, SCTP_AUTO_ASCONF, 0), 0);
    assert_int_equal(set_int(socket, SCTP_AUTO_ASCONF, 1), -EINVAL); /* not bound */
    assert_int_equal(socket_bind(socket, &any, sizeof(any), &user), 0);
    assert_int_equal(set_int(socket, SCTP_AUTO_ASCONF, 1), 0);
    assert_int_equal(get_int(socket, SCTP_AUTO_ASCONF), 1);
    assert_int_equal(set_int(socket, SCTP_AUTO_ASCONF, 0), 0);
    assert_int_equal(get_int(socket, SCTP_AUTO_ASCONF), 0);
    /* "any" has all addresses already */
    assert_int_equal(set_int(socket, SCTP_AUTO_ASCONF, 1), 0);
    assert_int_equal(change(socket, SCTP_SOCKOPT_BINDX_ADD, 0, 0), -EINVAL);
    assert_int_equal(get_int(socket, SCTP_AUTO_ASCONF), 1);
    world_close(&world);
}

static void test_peer_primary_refused(void **state)
{
    struct pair pair = join_bound(true, false);
    struct sctp_socket *unconnected = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    struct sctp_setpeerprim primary = {0};
    size_t length = sizeof(primary);

    (void)state;
    assert_int_equal(is_on(pair.client, SCTP_ASCONF_SUPPORTED), 0); /* the peer does not have it */
    assert_int_equal(set_peer_primary(pair.server, 1, 0, PORT), -EPERM);
    assert_int_equal(set_peer_primary(pair.client, 0, 0, PORT), -EPERM);
    assert_int_equal(set(pair.client, SCTP_SET_PEER_PRIMARY_ADDR, &primary, 4), -EINVAL);
    enable(unconnected);
    assert_int_equal(set_peer_primary(unconnected, 0, 0, PORT), -EINVAL);
    assert_int_equal(get(unconnected, SCTP_SET_PEER_PRIMARY_ADDR, &primary, &length), -ENOPROTOOPT);
    world_close(&world);
}

/* ---- Changes ---- */

/* The server gains an address, wants to be sent to there, and drops the first. */
static void test_bindx(void **state)
{
    struct pair pair = join_bound(true, true);

    (void)state;
    assert_int_equal(is_on(pair.client, SCTP_ASCONF_SUPPORTED), 1);
    assert_string_equal(addresses(pair.client, SCTP_GET_PEER_ADDRS, 1), "192");
    assert_int_equal(set_peer_primary(pair.server, 1, 1, PORT), -EADDRNOTAVAIL);
    assert_int_equal(change(pair.server, SCTP_SOCKOPT_BINDX_ADD, 1, 1), 0);
    assert_string_equal(addresses(pair.server, SCTP_GET_LOCAL_ADDRS, 1), "192 198");
    world_run(&world, SECOND);
    assert_string_equal(next_text(&world, pair.client), "ADDR_ADDED 198.51.100.2");
    assert_string_equal(next_text(&world, pair.client), "ADDR_CONFIRMED 198.51.100.2");
    assert_string_equal(addresses(pair.client, SCTP_GET_PEER_ADDRS, 1), "192 198");

    assert_int_equal(set_peer_primary(pair.server, 1, 1, 7), -EADDRNOTAVAIL);
    assert_int_equal(set_peer_primary(pair.server, 1, 1, PORT), 0);
    world_run(&world, SECOND);
    assert_string_equal(next_text(&world, pair.client), "ADDR_MADE_PRIM 198.51.100.2");

    assert_int_equal(change(pair.server, SCTP_SOCKOPT_BINDX_REM, 1, 0), 0);
    world_run(&world, SECOND);
    assert_string_equal(next_text(&world, pair.client), "ADDR_REMOVED 192.0.2.2");
    assert_string_equal(addresses(pair.client, SCTP_GET_PEER_ADDRS, 1), "198");
    assert_string_equal(addresses(pair.server, SCTP_GET_LOCAL_ADDRS, 1), "198");
    assert_int_equal(change(pair.server, SCTP_SOCKOPT_BINDX_REM, 1, 1), -EBUSY);
    /* the listener is another socket */
    assert_string_equal(addresses(pair.listener, SCTP_GET_LOCAL_ADDRS, 0), "192");

    assert_int_equal(send_text(&world, pair.client, "hello", 0, 0, NULL), 0);
    assert_int_equal(send_text(&world, pair.server, "and back", 0, 0, NULL), 0);
    world_run(&world, SECOND);
    assert_string_equal(next_text(&world, pair.server), "hello");
    assert_string_equal(next_text(&world, pair.client), "and back");
    assert_string_equal(next_text(&world, pair.client), "-");
    assert_int_equal(statistics(0).asconf_refused, 0);
    world_close(&world);
}

/* A peer without ASCONF: as on Linux the socket changes, the association does not. */
static void test_bindx_without(void **state)
{
    struct pair pair = join_bound(false, true);

    (void)state;
    assert_int_equal(change(pair.server, SCTP_SOCKOPT_BINDX_ADD, 1, 1), 0);
    assert_int_equal(change(pair.server, SCTP_SOCKOPT_BINDX_REM, 1, 0), 0);
    world_run(&world, SECOND);
    assert_string_equal(addresses(pair.server, SCTP_GET_LOCAL_ADDRS, 0), "198");
    assert_string_equal(addresses(pair.server, SCTP_GET_LOCAL_ADDRS, 1), "192");
    assert_string_equal(addresses(pair.client, SCTP_GET_PEER_ADDRS, 1), "192");
    assert_int_equal(send_text(&world, pair.client, "hello", 0, 0, NULL), 0);
    world_run(&world, SECOND);
    assert_string_equal(next_text(&world, pair.server), "hello");
    world_close(&world);
}

/* All associations of a one-to-many socket are told. */
static void test_one_to_many(void **state)
{
    struct sctp_socket *server, *clients[2];
    struct sockaddr_in to;

    (void)state;
    world_open(&world);
    host_has(&world.hosts[1], 0, 3);
    server = socket_make_listener(&world.hosts[1], SOCK_SEQPACKET);
    enable(server);
    to = host_address(&world.hosts[1], PORT);
    for (int i = 0; i < 2; i++) {
        clients[i] = socket_make(&world.hosts[0], AF_INET, SOCK_SEQPACKET);
        enable(clients[i]);
        assert_int_equal(send_text(&world, clients[i], "hello", 0, 0, &to), 0);
    }
    world_run(&world, SECOND);
    assert_int_equal(change(server, SCTP_SOCKOPT_BINDX_ADD, 1, 2), 0);
    world_run(&world, SECOND);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(next_text(&world, clients[i]), "ADDR_ADDED 203.0.113.2");
        assert_string_equal(next_text(&world, clients[i]), "ADDR_CONFIRMED 203.0.113.2");
    }
    world_close(&world);
}

/* SCTP_AUTO_ASCONF: the host moves from one network to another. Without, nothing is said. */
static void test_auto(void **state)
{
    struct sockaddr_in any = {.sin_family = AF_INET};

    (void)state;
    for (int on = 0; on < 2; on++) {
        struct pair pair = join(&any, true, true);

        assert_string_equal(addresses(pair.server, SCTP_GET_PEER_ADDRS, 1), "192 198 203");
        assert_int_equal(set_int(pair.client, SCTP_AUTO_ASCONF, on), 0);
        world_run(&world, 10 * SECOND); /* all paths are confirmed */
        while (strcmp(next_text(&world, pair.server), "-") != 0)
            ;
        host_has(&world.hosts[0], 0, 2);
        world_run(&world, SECOND);
        assert_string_equal(next_text(&world, pair.server), on ? "ADDR_REMOVED 203.0.113.1" : "-");
        host_has(&world.hosts[0], 0, 3);
        world_run(&world, SECOND);
        assert_string_equal(next_text(&world, pair.server), on ? "ADDR_ADDED 203.0.113.1" : "-");
        assert_string_equal(next_text(&world, pair.server),
                            on ? "ADDR_CONFIRMED 203.0.113.1" : "-");
        assert_string_equal(addresses(pair.client, SCTP_GET_LOCAL_ADDRS, 1), "192 198 203");
        assert_int_equal(send_text(&world, pair.client, "hello", 0, 0, NULL), 0);
        world_run(&world, SECOND);
        assert_string_equal(next_text(&world, pair.server), "hello");
        world_close(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_supported),
        cmocka_unit_test(test_auto_option),
        cmocka_unit_test(test_peer_primary_refused),
        cmocka_unit_test(test_bindx),
        cmocka_unit_test(test_bindx_without),
        cmocka_unit_test(test_one_to_many),
        cmocka_unit_test(test_auto),
    };

    return cmocka_run_group_tests_name("dynamic addresses", tests, NULL, NULL);
}
