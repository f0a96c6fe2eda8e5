/*
 * Sockets with several addresses and paths: RFC 6458, sections 6.1.2, 8.1.9, 8.1.12, 8.2.2, 9.1 and
 * 9.9; RFC 7829, section 7; with the errors that Linux gives.
 */
#include <arpa/inet.h>

#include "world.h"

static int set(struct world *world, struct sctp_socket *socket, int name, const void *value,
               size_t length)
{
    int32_t association;

    return socket_set_option(socket, IPPROTO_SCTP, name, value, length, &user, world->now,
                             &association);
}

static int get(struct world *world, struct sctp_socket *socket, int name, void *value,
               size_t length)
{
    struct sctp_socket *peeled;

    return socket_get_option(socket, IPPROTO_SCTP, name, value, &length, &user, world->now,
                             &peeled);
}

static struct sockaddr_in address_of(const char *text, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

    assert_int_equal(inet_pton(AF_INET, text, &address.sin_addr), 1);
    return address;
}

static void put_address(struct sockaddr_storage *storage, const char *text, uint16_t port)
{
    struct sockaddr_in address = address_of(text, port);

    memset(storage, 0, sizeof(*storage));
    memcpy(storage, &address, sizeof(address));
}

/* Cuts or mends the wires between the hosts' first addresses (0) or second ones (1). */
static void cut(struct world *world, unsigned int path, bool cut)
{
    for (unsigned int i = 0; i < 2; i++) {
        const struct host *from = &world->hosts[i], *to = &world->hosts[1 - i];
        struct memory_wire *wire =
            memory_network_wire(world->network, path ? &from->second : &from->address,
                                path ? &to->second : &to->address);

        memory_wire_conditions(wire)->delay = 10 * MS;
        memory_wire_conditions(wire)->cut = cut;
    }
}

static void subscribe_to_paths(struct world *world, struct sctp_socket *socket)
{
    struct sctp_event event = {
        .se_assoc_id = SCTP_ALL_ASSOC, .se_type = SCTP_PEER_ADDR_CHANGE, .se_on = 1};

    assert_int_equal(set(world, socket, SCTP_EVENT, &event, sizeof(event)), 0);
}

/* Both bound to two addresses; the client calls both of the server's. */
static void join_both(struct world *world, struct sctp_socket **client, struct sctp_socket **server)
{
    struct sockaddr_in theirs[2] = {address_of("192.0.2.2", PORT),
                                    address_of("198.51.100.2", PORT)};
    struct sctp_socket *listener = socket_make(&world->hosts[1], AF_INET, SOCK_STREAM);

    assert_int_equal(set(world, listener, SCTP_SOCKOPT_BINDX_ADD, theirs, sizeof(theirs)), 0);
    assert_int_equal(socket_listen(listener, 8), 0);
    *client = socket_make(&world->hosts[0], AF_INET, SOCK_STREAM);
    subscribe_to_paths(world, *client);
    assert_int_equal(socket_connect(*client, theirs, sizeof(theirs), &user, world->now, NULL),
                     -EINPROGRESS);
    world_run(world, SECOND);
    *server = socket_take_accepted(listener, world);
    assert_non_null(*server);
    world_run(world, 5 * SECOND);
    while (strcmp(next_text(world, *client), "-") != 0)
        ;
}

static int path_state(struct world *world, struct sctp_socket *socket, const char *address)
{
    struct sctp_paddrinfo info = {0};
    struct sockaddr_storage storage;
    int error;

    put_address(&storage, address, PORT);
    memcpy(&info.spinfo_address, &storage, sizeof(storage));
    error = get(world, socket, SCTP_GET_PEER_ADDR_INFO, &info, sizeof(info));
    return error < 0 ? error : info.spinfo_state;
}

/* ---- 9.1: sctp_bindx() --------------------------------------------------------------------------
 */

static void test_bindx(void **state)
{
    struct world world;
    struct sctp_socket *socket;
    struct sockaddr_in both[2] = {address_of("192.0.2.1", PORT), address_of("198.51.100.1", PORT)};
    struct sockaddr_in other_port = address_of("198.51.100.1", PORT + 1);
    struct sockaddr_in not_ours = address_of("203.0.113.1", PORT);
    struct braid_address bound[4];

    (void)state;
    world_open(&world);
    socket = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    assert_int_equal(set(&world, socket, SCTP_SOCKOPT_BINDX_ADD, both, 0), -EINVAL);
    assert_int_equal(set(&world, socket, SCTP_SOCKOPT_BINDX_ADD, both, sizeof(both) - 1), -EINVAL);
    assert_int_equal(set(&world, socket, SCTP_SOCKOPT_BINDX_ADD, both, sizeof(both)), 0);
    assert_int_equal(socket_bound_addresses(socket, bound, 4), 2);
    assert_int_equal(set(&world, socket, SCTP_SOCKOPT_BINDX_ADD, &not_ours, sizeof(not_ours)),
                     -EADDRNOTAVAIL);
    assert_int_equal(set(&world, socket, SCTP_SOCKOPT_BINDX_ADD, &other_port, sizeof(other_port)),
                     -EINVAL);
    assert_int_equal(set(&world, socket, SCTP_SOCKOPT_BINDX_REM, &not_ours, sizeof(not_ours)),
                     -EINVAL);
    assert_int_equal(set(&world, socket, SCTP_SOCKOPT_BINDX_REM, &both[0], sizeof(both[0])), 0);
    assert_int_equal(socket_bound_addresses(socket, bound, 4), 1);
    assert_true(braid_address_equal(&bound[0], &world.hosts[0].second));
    /* the last one stays */
    assert_int_equal(set(&world, socket, SCTP_SOCKOPT_BINDX_REM, &both[1], sizeof(both[1])),
                     -EBUSY);
    /* all or nothing, */
    both[1] = not_ours;
    assert_int_equal(set(&world, socket, SCTP_SOCKOPT_BINDX_ADD, both, sizeof(both)),
                     -EADDRNOTAVAIL);
    assert_int_equal(socket_bound_addresses(socket, bound, 4), 1);
    /* but a socket that had no address stays bound to what came before the one that failed */
    socket = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    both[0].sin_port = both[1].sin_port = htons(PORT + 2);
    assert_int_equal(set(&world, socket, SCTP_SOCKOPT_BINDX_ADD, both, sizeof(both)),
                     -EADDRNOTAVAIL);
    assert_int_equal(socket_bound_addresses(socket, bound, 4), 1);
    assert_true(braid_address_equal(&bound[0], &world.hosts[0].address));
    assert_int_equal(socket_listen(socket, 5), 0);
    world_close(&world);
}

/* ---- 9.9: sctp_connectx() -----------------------------------------------------------------------
 */

/* The first address does not answer, the second does: it is the primary. */
static void test_connectx_tries_all(void **state)
{
    struct sockaddr_in both[2] = {address_of("192.0.2.2", PORT), address_of("198.51.100.2", PORT)};
    struct sctp_prim primary = {0};
    struct sctp_socket *client;
    struct sockaddr_in address;
    struct world world;

    (void)state;
    world_open(&world);
    cut(&world, 0, true);
    cut(&world, 1, false);
    client = socket_make(&world.hosts[1], AF_INET, SOCK_STREAM);
    assert_int_equal(set(&world, client, SCTP_SOCKOPT_BINDX_ADD, both, sizeof(both)), 0);
    assert_int_equal(socket_listen(client, 8), 0);
    client = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    assert_int_equal(socket_connect(client, both, sizeof(both), &user, world.now, NULL),
                     -EINPROGRESS);
    world_run(&world, 2900 * MS);
    assert_int_equal(world.hosts[0].outcome_count, 0);
    world_run(&world, SECOND);
    assert_int_equal(world.hosts[0].outcome_count, 1);
    assert_int_equal(world.hosts[0].outcomes[0].error, 0);
    assert_int_equal(get(&world, client, SCTP_PRIMARY_ADDR, &primary, sizeof(primary)), 0);
    memcpy(&address, &primary.ssp_addr, sizeof(address));
    assert_int_equal(address.sin_addr.s_addr, both[1].sin_addr.s_addr);
    world_close(&world);
}

/* An address to which there is no route is not even tried, though it comes first; the peer does not
 * list it, so it is forgotten. */
static void test_connectx_without_a_route(void **state)
{
    struct sockaddr_in6 nowhere = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
    struct sockaddr_in ipv4 = address_of("192.0.2.2", PORT);
    uint8_t both[sizeof(nowhere) + sizeof(ipv4)];
    struct braid_association_info info;
    struct sctp_socket *client;
    struct world world;

    (void)state;
    assert_int_equal(inet_pton(AF_INET6, "2001:db8::2", &nowhere.sin6_addr), 1);
    memcpy(both, &nowhere, sizeof(nowhere));
    memcpy(both + sizeof(nowhere), &ipv4, sizeof(ipv4));
    world_open(&world);
    socket_make_listener(&world.hosts[1], SOCK_STREAM);
    client = socket_make(&world.hosts[0], AF_INET6, SOCK_STREAM);
    assert_int_equal(socket_connect(client, &nowhere, sizeof(nowhere), &user, world.now, NULL),
                     -ENETUNREACH);
    assert_int_equal(socket_connect(client, both, sizeof(both), &user, world.now, NULL),
                     -EINPROGRESS);
    world_run(&world, 100 * MS);
    assert_int_equal(world.hosts[0].outcome_count, 1);
    assert_int_equal(world.hosts[0].outcomes[0].error, 0);
    assert_int_equal(braid_association_info(world.hosts[0].engine,
                                            braid_association_next(world.hosts[0].engine, 0, 0),
                                            &info),
                     0);
    assert_int_equal(info.path_count, 1);
    world_close(&world);
}

/* Packed addresses must be whole, and all of one port. */
static void test_connectx_refuses(void **state)
{
    struct sockaddr_in both[2] = {address_of("192.0.2.2", PORT),
                                  address_of("198.51.100.2", PORT + 1)};
    struct sctp_socket *client;
    struct world world;

    (void)state;
    world_open(&world);
    client = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    assert_int_equal(socket_connect(client, both, sizeof(both), &user, world.now, NULL), -EINVAL);
    both[1] = address_of("224.0.0.1", PORT);
    assert_int_equal(socket_connect(client, both, sizeof(both), &user, world.now, NULL), -EINVAL);
    both[1] = address_of("198.51.100.2", PORT);
    assert_int_equal(socket_connect(client, both, sizeof(both) - 1, &user, world.now, NULL),
                     -EINVAL);
    assert_int_equal(socket_connect(client, both, sizeof(both), &user, world.now, NULL),
                     -EINPROGRESS);
    world_close(&world);
}

/* ---- 6.1.2, and RFC 7829, 7.1, 7.3 --------------------------------------------------------------
 */

static void test_changes_are_told(void **state)
{
    struct sctp_assoc_value expose = {.assoc_value = 3};
    struct sctp_socket *client, *server;
    struct world world;

    (void)state;
    world_open(&world);
    join_both(&world, &client, &server);
    /* unset: the state can be read, but its changes are not told */
    assert_int_equal(set(&world, client, SCTP_EXPOSE_PF_STATE, &expose, sizeof(expose)), -EINVAL);
    cut(&world, 0, true);
    assert_int_equal(send_text(&world, client, "one", 0, 0, NULL), 0);
    world_run(&world, 2 * SECOND);
    assert_string_equal(next_text(&world, server), "one");
    assert_int_equal(path_state(&world, client, "192.0.2.2"), SCTP_POTENTIALLY_FAILED);
    assert_int_equal(path_state(&world, client, "198.51.100.2"), SCTP_ACTIVE);
    assert_string_equal(next_text(&world, client), "-");
    /* disabled: it cannot be read */
    expose.assoc_value = 1;
    assert_int_equal(set(&world, client, SCTP_EXPOSE_PF_STATE, &expose, sizeof(expose)), 0);
    assert_int_equal(path_state(&world, client, "192.0.2.2"), -EACCES);
    cut(&world, 0, false);
    world_run(&world, 10 * SECOND);
    assert_int_equal(path_state(&world, client, "192.0.2.2"), SCTP_ACTIVE);
    assert_string_equal(next_text(&world, client), "-");
    /* enabled: all is told */
    expose.assoc_value = 2;
    assert_int_equal(set(&world, client, SCTP_EXPOSE_PF_STATE, &expose, sizeof(expose)), 0);
    expose.assoc_value = 0;
    assert_int_equal(get(&world, client, SCTP_EXPOSE_PF_STATE, &expose, sizeof(expose)), 0);
    assert_int_equal(expose.assoc_value, 2);
    cut(&world, 0, true);
    assert_int_equal(send_text(&world, client, "two", 0, 0, NULL), 0);
    world_run(&world, 2 * SECOND);
    assert_string_equal(next_text(&world, client), "ADDR_PF 192.0.2.2");
    world_run(&world, 200 * SECOND);
    assert_string_equal(next_text(&world, client), "ADDR_UNREACHABLE 192.0.2.2");
    assert_int_equal(path_state(&world, client, "192.0.2.2"), SCTP_INACTIVE);
    cut(&world, 0, false);
    world_run(&world, 200 * SECOND);
    assert_string_equal(next_text(&world, client), "ADDR_AVAILABLE 192.0.2.2");
    assert_string_equal(next_text(&world, client), "-");
    world_close(&world);
}

/* ---- RFC 7829, 7.2 ------------------------------------------------------------------------------
 */

static void test_thresholds(void **state)
{
    struct sctp_paddrthlds_v2 all = {.spt_pathmaxrxt = 3, .spt_pathpfthld = 2, .spt_pathcpthld = 1};
    struct sctp_paddrthlds one = {.spt_pathpfthld = 1};
    struct sctp_paddrthlds_v2 now = {0};
    struct sctp_socket *client, *server;
    struct world world;

    (void)state;
    world_open(&world);
    client = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    assert_int_equal(get(&world, client, SCTP_PEER_ADDR_THLDS_V2, &now, sizeof(now)), 0);
    assert_int_equal(now.spt_pathmaxrxt, 5);
    assert_int_equal(now.spt_pathpfthld, 0);
    assert_int_equal(now.spt_pathcpthld, 65535);
    join_both(&world, &client, &server);
    /* to fail potentially comes before the primary is switched */
    assert_int_equal(set(&world, client, SCTP_PEER_ADDR_THLDS_V2, &all, sizeof(all)), -EINVAL);
    all.spt_pathcpthld = 4;
    assert_int_equal(set(&world, client, SCTP_PEER_ADDR_THLDS_V2, &all, sizeof(all) - 1), -EINVAL);
    assert_int_equal(set(&world, client, SCTP_PEER_ADDR_THLDS_V2, &all, sizeof(all)), 0);
    put_address(&one.spt_address, "203.0.113.9", PORT);
    assert_int_equal(set(&world, client, SCTP_PEER_ADDR_THLDS, &one, sizeof(one)), -ENOENT);
    assert_int_equal(get(&world, client, SCTP_PEER_ADDR_THLDS, &one, sizeof(one)), -ENOENT);
    put_address(&one.spt_address, "198.51.100.2", PORT);
    assert_int_equal(set(&world, client, SCTP_PEER_ADDR_THLDS, &one, sizeof(one)), 0);
    put_address(&now.spt_address, "198.51.100.2", PORT);
    assert_int_equal(get(&world, client, SCTP_PEER_ADDR_THLDS_V2, &now, sizeof(now)), 0);
    assert_int_equal(now.spt_pathmaxrxt, 3);
    assert_int_equal(now.spt_pathpfthld, 1);
    assert_int_equal(now.spt_pathcpthld, 4);
    memset(&now, 0, sizeof(now));
    assert_int_equal(get(&world, client, SCTP_PEER_ADDR_THLDS_V2, &now, sizeof(now)), 0);
    assert_int_equal(now.spt_pathpfthld, 2);
    world_close(&world);
}

/* ---- 8.1.12 -------------------------------------------------------------------------------------
 */

static uint64_t heartbeats(const struct world *world)
{
    uint32_t association = braid_association_next(world->hosts[0].engine, 0, 0);
    struct braid_association_info info;

    assert_int_equal(braid_association_info(world->hosts[0].engine, association, &info), 0);
    return info.heartbeats_sent;
}

static void test_heartbeat_flags(void **state)
{
    struct sctp_paddrparams params = {.spp_flags = SPP_HB_ENABLE | SPP_HB_DISABLE};
    struct sctp_socket *client, *server;
    struct sockaddr_storage storage;
    struct world world;
    uint64_t before;

    (void)state;
    world_open(&world);
    join_both(&world, &client, &server);
    put_address(&storage, "198.51.100.2", PORT);
    assert_int_equal(set(&world, client, SCTP_PEER_ADDR_PARAMS, &params, sizeof(params)), -EINVAL);
    params.spp_flags = SPP_PMTUD_ENABLE | SPP_PMTUD_DISABLE;
    assert_int_equal(set(&world, client, SCTP_PEER_ADDR_PARAMS, &params, sizeof(params)), -EINVAL);
    params.spp_flags = SPP_SACKDELAY_ENABLE | SPP_SACKDELAY_DISABLE;
    assert_int_equal(set(&world, client, SCTP_PEER_ADDR_PARAMS, &params, sizeof(params)), -EINVAL);
    /* on demand, on all paths or on one */
    before = heartbeats(&world);
    params.spp_flags = SPP_HB_DEMAND;
    assert_int_equal(set(&world, client, SCTP_PEER_ADDR_PARAMS, &params, sizeof(params)), 0);
    world_run(&world, 100 * MS);
    assert_int_equal(heartbeats(&world), before + 2);
    memcpy(&params.spp_address, &storage, sizeof(storage));
    assert_int_equal(set(&world, client, SCTP_PEER_ADDR_PARAMS, &params, sizeof(params)), 0);
    world_run(&world, 100 * MS);
    assert_int_equal(heartbeats(&world), before + 3);
    /* off on one, then on all */
    params.spp_flags = SPP_HB_DISABLE;
    assert_int_equal(set(&world, client, SCTP_PEER_ADDR_PARAMS, &params, sizeof(params)), 0);
    assert_int_equal(get(&world, client, SCTP_PEER_ADDR_PARAMS, &params, sizeof(params)), 0);
    assert_int_equal(params.spp_flags & SPP_HB, SPP_HB_DISABLE);
    before = heartbeats(&world);
    world_run(&world, 310 * SECOND);
    assert_in_range(heartbeats(&world) - before, 9, 11);
    memset(&params.spp_address, 0, sizeof(params.spp_address));
    params.spp_flags = SPP_HB_DISABLE;
    assert_int_equal(set(&world, client, SCTP_PEER_ADDR_PARAMS, &params, sizeof(params)), 0);
    before = heartbeats(&world);
    world_run(&world, 310 * SECOND);
    assert_int_equal(heartbeats(&world), before);
    /* on again, each RTO: no time between them */
    params.spp_flags = SPP_HB_ENABLE | SPP_HB_TIME_IS_ZERO;
    assert_int_equal(set(&world, client, SCTP_PEER_ADDR_PARAMS, &params, sizeof(params)), 0);
    before = heartbeats(&world);
    world_run(&world, 20 * SECOND);
    assert_in_range(heartbeats(&world) - before, 25, 45);
    /* each 5 seconds on future associations only */
    params.spp_flags = SPP_HB_ENABLE;
    params.spp_hbinterval = 5000;
    client = socket_make(&world.hosts[0], AF_INET, SOCK_SEQPACKET);
    params.spp_assoc_id = SCTP_FUTURE_ASSOC;
    assert_int_equal(set(&world, client, SCTP_PEER_ADDR_PARAMS, &params, sizeof(params)), 0);
    memset(&params, 0, sizeof(params));
    assert_int_equal(get(&world, client, SCTP_PEER_ADDR_PARAMS, &params, sizeof(params)), 0);
    assert_int_equal(params.spp_hbinterval, 5000);
    world_close(&world);
}

/* All that can be said of one path, which is not said of the other. */
static void test_parameters_of_one_path(void **state)
{
    struct sctp_paddrparams params = {
        .spp_hbinterval = 5000,
        .spp_pathmaxrxt = 7,
        .spp_pathmtu = 1200,
        .spp_sackdelay = 100,
        .spp_flags = SPP_HB_ENABLE | SPP_PMTUD_DISABLE | SPP_SACKDELAY_ENABLE | SPP_DSCP,
        .spp_dscp = 0x28,
    };
    struct sctp_sack_info sack = {.sack_delay = 300};
    struct sctp_socket *client, *server;
    struct sockaddr_storage storage;
    struct world world;

    (void)state;
    world_open(&world);
    join_both(&world, &client, &server);
    put_address(&storage, "198.51.100.2", PORT);
    memcpy(&params.spp_address, &storage, sizeof(storage));
    assert_int_equal(set(&world, client, SCTP_PEER_ADDR_PARAMS, &params, sizeof(params)), 0);
    for (unsigned int i = 0; i < 3; i++) { /* the path, the other, the association */
        memset(&params, 0, sizeof(params));
        put_address(&storage, i == 0 ? "198.51.100.2" : "192.0.2.2", PORT);
        if (i < 2)
            memcpy(&params.spp_address, &storage, sizeof(storage));
        assert_int_equal(get(&world, client, SCTP_PEER_ADDR_PARAMS, &params, sizeof(params)), 0);
        assert_int_equal(params.spp_hbinterval, i == 0 ? 5000 : 30000);
        assert_int_equal(params.spp_pathmaxrxt, i == 0 ? 7 : 5);
        assert_int_equal(params.spp_sackdelay, i == 0 ? 100 : 200);
        assert_int_equal(params.spp_dscp, i == 0 ? 0x28 : 0);
        assert_int_equal(params.spp_flags,
                         SPP_HB_ENABLE | SPP_SACKDELAY_ENABLE |
                             (i == 0 ? SPP_PMTUD_DISABLE | SPP_DSCP : SPP_PMTUD_ENABLE));
        if (i == 0)
            assert_int_equal(params.spp_pathmtu, 1200);
        else if (i == 1)
            assert_int_equal(params.spp_pathmtu, 1500);
    }
    /* off, and found out again */
    put_address(&storage, "198.51.100.2", PORT);
    memset(&params, 0, sizeof(params));
    memcpy(&params.spp_address, &storage, sizeof(storage));
    params.spp_flags = SPP_PMTUD_ENABLE | SPP_SACKDELAY_DISABLE;
    assert_int_equal(set(&world, client, SCTP_PEER_ADDR_PARAMS, &params, sizeof(params)), 0);
    assert_int_equal(get(&world, client, SCTP_PEER_ADDR_PARAMS, &params, sizeof(params)), 0);
    assert_int_equal(params.spp_pathmtu, 1500);
    assert_int_equal(params.spp_flags,
                     SPP_HB_ENABLE | SPP_SACKDELAY_DISABLE | SPP_PMTUD_ENABLE | SPP_DSCP);
    /* what is said of the association holds for all its paths */
    assert_int_equal(set(&world, client, SCTP_DELAYED_SACK, &sack, sizeof(sack)), 0);
    assert_int_equal(get(&world, client, SCTP_PEER_ADDR_PARAMS, &params, sizeof(params)), 0);
    assert_int_equal(params.spp_sackdelay, 300);
    memset(&params.spp_address, 0, sizeof(params.spp_address));
    params.spp_flags = SPP_SACKDELAY_ENABLE;
    params.spp_sackdelay = 400;
    assert_int_equal(set(&world, client, SCTP_PEER_ADDR_PARAMS, &params, sizeof(params)), 0);
    sack.sack_delay = 350;
    assert_int_equal(set(&world, client, SCTP_DELAYED_SACK, &sack, sizeof(sack)), 0);
    memcpy(&params.spp_address, &storage, sizeof(storage));
    assert_int_equal(get(&world, client, SCTP_PEER_ADDR_PARAMS, &params, sizeof(params)), 0);
    assert_int_equal(params.spp_sackdelay, 350);
    world_close(&world);
}

/* ---- 8.1.9, 9.3, 9.5 ----------------------------------------------------------------------------
 */

static uint64_t bytes_over(const struct world *world, uint32_t path)
{
    uint32_t association = braid_association_next(world->hosts[0].engine, 0, 0);
    struct braid_path_info info;

    assert_int_equal(braid_path_info(world->hosts[0].engine, association, path, &info), 0);
    return info.bytes_sent;
}

static void test_primary(void **state)
{
    struct sctp_socket *client, *server;
    struct sockaddr_storage storage;
    struct sctp_prim primary = {0};
    struct world world;
    uint64_t before;

    (void)state;
    world_open(&world);
    join_both(&world, &client, &server);
    put_address(&storage, "203.0.113.9", PORT);
    memcpy(&primary.ssp_addr, &storage, sizeof(storage));
    assert_int_equal(set(&world, client, SCTP_PRIMARY_ADDR, &primary, sizeof(primary)), -EINVAL);
    put_address(&storage, "198.51.100.2", PORT);
    memcpy(&primary.ssp_addr, &storage, sizeof(storage));
    assert_int_equal(set(&world, client, SCTP_PRIMARY_ADDR, &primary, sizeof(primary)), 0);
    world_run(&world, 10 * MS);
    assert_string_equal(next_text(&world, client), "ADDR_MADE_PRIM 198.51.100.2");
    before = bytes_over(&world, 1);
    assert_int_equal(send_text(&world, client, "over the second", 0, 0, NULL), 0);
    world_run(&world, 100 * MS);
    assert_string_equal(next_text(&world, server), "over the second");
    assert_true(bytes_over(&world, 1) > before);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bindx),
        cmocka_unit_test(test_connectx_tries_all),
        cmocka_unit_test(test_connectx_without_a_route),
        cmocka_unit_test(test_connectx_refuses),
        cmocka_unit_test(test_changes_are_told),
        cmocka_unit_test(test_thresholds),
        cmocka_unit_test(test_heartbeat_flags),
        cmocka_unit_test(test_parameters_of_one_path),
        cmocka_unit_test(test_primary),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
