/*
 * Addresses that come and go (RFC 5061): a scripted peer's ASCONF chunks and what is refused of
 * them; ours and the answers to them; two engines that change addresses while they talk.
 */
#include "script.h"
#include "world.h"

/* A peer and an association with ASCONF on both sides. */
struct scene {
    struct peer *peer;
    struct script script;
    uint32_t serial; /* of the peer's next ASCONF */
};

/* The peer sets it up, with the first of its addresses; the engine has `paths`. */
static struct scene scene_open_with(void **state, const struct peer_config *config)
{
    struct scene scene = {.script = asconf_script()};

    scene.peer = peer_renew(state, config);
    scene.serial = scene.peer->initial_tsn;
    accept_all(scene.peer, &scene.script);
    return scene;
}

static struct scene scene_open(void **state, unsigned int paths)
{
    struct braid_parameters parameters = with_asconf();

    return scene_open_with(state, &(struct peer_config){.parameters = &parameters, .paths = paths});
}

static struct braid_statistics statistics(const struct peer *peer)
{
    struct braid_statistics now;

    braid_engine_statistics(peer->engine, &now);
    return now;
}

/* ---- The peer's ASCONF ---- */

struct request {
    uint16_t type;
    struct braid_address address;
};

static const struct braid_address wildcard = {.family = BRAID_IPV4};

static void write_asconf(struct scene *scene, uint32_t serial, const struct request *requests,
                         size_t count)
{
    struct packet_writer *writer = &scene->peer->writer;
    size_t start = asconf_begin(writer, serial, &scene->peer->there[0]);

    for (size_t i = 0; i < count; i++)
        address_request_write(
            writer, requests[i].type,
            &(struct sctp_address_request){(uint32_t)(100 + i), requests[i].address});
    chunk_end(writer, start);
}

static void send_asconf_from(struct scene *scene, uint32_t serial, const struct request *requests,
                             size_t count, unsigned int path)
{
    size_t at;

    peer_begin(scene->peer);
    at = begin_auth(scene->peer, 0, SHA1);
    write_asconf(scene, serial, requests, count);
    fill_mac(scene->peer, &scene->script, at, SHA1);
    peer_send_from(scene->peer, &scene->peer->there[path], &scene->peer->here[0]);
}

static void send_asconf(struct scene *scene, uint16_t type, const struct braid_address *address)
{
    send_asconf_from(scene, scene->serial++, &(struct request){type, *address}, 1, 0);
}

/* The next packet is an ASCONF ACK for the last ASCONF; `cause` of its only error, 0: none. */
static const struct sent *expect_ack(struct scene *scene, uint16_t cause)
{
    const struct sent *sent = expect(scene->peer, "AUTH ASCONF_ACK");
    struct sctp_chunk chunk = sent_chunk(sent, SCTP_CHUNK_ASCONF_ACK);
    struct sctp_error_cause_indication indication;
    struct parameter_iterator iterator, causes;
    struct sctp_parameter parameter;
    struct sctp_asconf ack;

    assert_authentic(&scene->script, sent);
    assert_true(asconf_ack_read(&chunk, &ack));
    assert_int_equal(ack.serial_number, scene->serial - 1);
    parameter_iterator_init(&iterator, ack.parameters, ack.parameters_length);
    if (cause == 0) {
        assert_int_equal(ack.parameters_length, 0);
        return sent;
    }
    assert_true(parameter_next(&iterator, &parameter));
    assert_int_equal(parameter.type, SCTP_PARAMETER_ERROR_CAUSE_INDICATION);
    assert_true(error_cause_indication_read(&parameter, &indication));
    assert_int_equal(indication.correlation_id, 100);
    parameter_iterator_init(&causes, indication.causes, indication.causes_length);
    assert_true(parameter_next(&causes, &parameter));
    assert_int_equal(parameter.type, cause);
    return sent;
}

/* A HEARTBEAT goes to this address of the peer, which answers. */
static void confirm(struct scene *scene, unsigned int path)
{
    const struct sent *sent = expect(scene->peer, "HEARTBEAT");
    struct sctp_chunk chunk = sent_chunk(sent, SCTP_CHUNK_HEARTBEAT);

    assert_true(braid_address_equal(&sent->destination, &scene->peer->there[path]));
    peer_begin(scene->peer);
    chunk_write(&scene->peer->writer, SCTP_CHUNK_HEARTBEAT_ACK, 0, chunk.value, chunk.value_length);
    peer_send_from(scene->peer, &scene->peer->there[path], &scene->peer->here[0]);
}

static void expect_path_event(struct scene *scene, enum braid_path_change change, unsigned int path)
{
    const struct braid_event *event = expect_event(scene->peer, BRAID_EVENT_PATH);

    assert_int_equal(event->path_change, change);
    assert_true(braid_address_equal(&event->address, &scene->peer->there[path]));
}

static void add_path(struct scene *scene, unsigned int path)
{
    send_asconf(scene, SCTP_PARAMETER_ADD_IP, &scene->peer->there[path]);
    expect_ack(scene, 0);
    expect_path_event(scene, BRAID_PATH_ADDED, path);
    confirm(scene, path);
    expect_path_event(scene, BRAID_PATH_CONFIRMED, path);
}

static void test_offered(void **state)
{
    struct scene scene = scene_open(state, 1);
    struct braid_authentication_info info;

    assert_int_equal(
        braid_association_authentication(scene.peer->engine, scene.peer->association, &info), 0);
    assert_true(info.asconf);
    assert_int_equal(info.local_chunk_count, 2);
    assert_int_equal(info.local_chunks[0], SCTP_CHUNK_ASCONF);
    assert_int_equal(info.local_chunks[1], SCTP_CHUNK_ASCONF_ACK);
}

/* Section 6: ASCONF without AUTH is not to be had. */
static void test_without_auth(void **state)
{
    static const uint8_t extensions[] = {SCTP_CHUNK_ASCONF, SCTP_CHUNK_ASCONF_ACK};
    struct braid_parameters parameters = with_asconf();
    struct peer *peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
    size_t start;

    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    start = peer_begin_init(peer, SCTP_CHUNK_INIT);
    parameter_write(&peer->writer, SCTP_PARAMETER_SUPPORTED_EXTENSIONS, extensions, 2);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    expect(peer, "ABORT");
    peer_start_connect(peer);
    peer_read_init(peer, expect(peer, "INIT"));
    start = peer_begin_init(peer, SCTP_CHUNK_INIT_ACK);
    parameter_write(&peer->writer, SCTP_PARAMETER_STATE_COOKIE, "biscuit", 7);
    parameter_write(&peer->writer, SCTP_PARAMETER_SUPPORTED_EXTENSIONS, extensions, 2);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    expect(peer, "ABORT");
    expect_down(peer, BRAID_DOWN_PROTOCOL);
}

static void test_add(void **state)
{
    struct scene scene = scene_open(state, 1);
    struct peer *peer = scene.peer;

    send_asconf(&scene, SCTP_PARAMETER_ADD_IP, &peer->there[1]);
    assert_true(braid_address_equal(&expect_ack(&scene, 0)->destination, &peer->there[0]));
    expect_path_event(&scene, BRAID_PATH_ADDED, 1);
    assert_int_equal(peer_info(peer).path_count, 2);
    assert_int_equal(peer_path(peer, 1).state, BRAID_PATH_UNCONFIRMED);
    confirm(&scene, 1);
    expect_path_event(&scene, BRAID_PATH_CONFIRMED, 1);
    assert_int_equal(peer_path(peer, 1).state, BRAID_PATH_ACTIVE);
    /* once more: it is there already */
    send_asconf(&scene, SCTP_PARAMETER_ADD_IP, &peer->there[1]);
    expect_ack(&scene, 0);
    expect(peer, NONE);
    assert_int_equal(peer_info(peer).path_count, 2);
    /* the source of the packet */
    send_asconf_from(&scene, scene.serial++, &(struct request){SCTP_PARAMETER_ADD_IP, wildcard}, 1,
                     2);
    assert_true(braid_address_equal(&expect_ack(&scene, 0)->destination, &peer->there[2]));
    confirm(&scene, 2);
    assert_int_equal(peer_info(peer).path_count, 3);
}

static void test_delete(void **state)
{
    struct scene scene = scene_open(state, 1);
    struct peer *peer = scene.peer;
    const struct sent *sent;

    add_path(&scene, 1);
    add_path(&scene, 2);
    assert_int_equal(braid_path_set_primary(peer->engine, peer->association, 1, peer->now), 0);
    expect_path_event(&scene, BRAID_PATH_MADE_PRIMARY, 1);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    sent = expect(peer, "DATA");
    assert_true(braid_address_equal(&sent->destination, &peer->there[1]));
    /* what is on its way there goes another way */
    send_asconf(&scene, SCTP_PARAMETER_DELETE_IP, &peer->there[1]);
    expect_ack(&scene, 0);
    sent = expect(peer, "DATA");
    assert_false(braid_address_equal(&sent->destination, &peer->there[1]));
    assert_int_equal(sent_data(sent, 0).tsn, peer->engine_initial_tsn);
    expect_path_event(&scene, BRAID_PATH_REMOVED, 1);
    assert_int_equal(peer_info(peer).path_count, 2);
    assert_int_equal(braid_path_find(peer->engine, peer->association, &peer->there[2]), 1);
    peer_send_sack(peer, peer->engine_initial_tsn);
    expect_event(peer, BRAID_EVENT_DRY);
    /* packets from there are not of the association any more */
    peer_begin(peer);
    peer_write_data(peer, 1000, 0, 0, WHOLE, 7);
    peer_send_from(peer, &peer->there[1], &peer->here[0]);
    expect(peer, "ABORT");
    expect_no_message(peer);
    /* all but the source */
    send_asconf(&scene, SCTP_PARAMETER_DELETE_IP, &wildcard);
    expect_ack(&scene, 0);
    assert_int_equal(peer_info(peer).path_count, 1);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
}

/* ---- Refused ---- */

static void test_not_authenticated(void **state)
{
    struct scene scene = scene_open(state, 1);
    struct peer *peer = scene.peer;
    struct request request = {SCTP_PARAMETER_ADD_IP, peer->there[1]};

    peer_begin(peer);
    write_asconf(&scene, scene.serial, &request, 1);
    peer_write_data(peer, 1000, 0, 0, WHOLE, 7); /* the rest of the packet goes with it (D5) */
    peer_send(peer);
    expect(peer, NONE);
    expect_no_message(peer);
    assert_int_equal(statistics(peer).unauthenticated_chunks, 1);
    scene.script.key[60] ^= 1;
    send_asconf_from(&scene, scene.serial, &request, 1, 0);
    expect(peer, NONE);
    assert_int_equal(statistics(peer).bad_authentication, 1);
    assert_int_equal(peer_info(peer).path_count, 1);
    scene.script.key[60] ^= 1;
    send_asconf(&scene, SCTP_PARAMETER_ADD_IP, &peer->there[1]);
    expect_ack(&scene, 0);
}

static void test_repeated_and_out_of_order(void **state)
{
    struct scene scene = scene_open(state, 1);
    struct peer *peer = scene.peer;
    struct request add = {SCTP_PARAMETER_ADD_IP, peer->there[1]};

    add_path(&scene, 1);
    send_asconf(&scene, SCTP_PARAMETER_DELETE_IP, &peer->there[1]);
    expect_ack(&scene, 0);
    scene.serial--;
    send_asconf_from(&scene, scene.serial - 1, &add, 1, 0); /* a replay of the first */
    expect_ack(&scene, 0);                                  /* the answer of then */
    assert_int_equal(peer_info(peer).path_count, 1);
    scene.serial++;
    send_asconf_from(&scene, scene.serial + 3, &add, 1, 0); /* too early */
    send_asconf_from(&scene, scene.serial - 9, &add, 1, 0); /* before the first */
    expect(peer, NONE);
    assert_int_equal(peer_info(peer).path_count, 1);
    assert_int_equal(statistics(peer).asconf_ignored, 3);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
}

static void test_deletions_refused(void **state)
{
    struct scene scene = scene_open(state, 1);
    struct peer *peer = scene.peer;

    send_asconf(&scene, SCTP_PARAMETER_DELETE_IP, &peer->there[0]);
    expect_ack(&scene, SCTP_CAUSE_DELETE_LAST_ADDRESS);
    add_path(&scene, 1);
    send_asconf(&scene, SCTP_PARAMETER_DELETE_IP, &peer->there[0]);
    expect_ack(&scene, SCTP_CAUSE_DELETE_SOURCE_ADDRESS);
    send_asconf(&scene, SCTP_PARAMETER_DELETE_IP, &peer->there[2]);
    expect_ack(&scene, SCTP_CAUSE_UNRESOLVABLE_ADDRESS);
    assert_int_equal(peer_info(peer).path_count, 2);
    assert_int_equal(statistics(peer).asconf_refused, 3);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
}

static void test_additions_refused(void **state)
{
    static const char *const addresses[] = {"\377\377\377\377", "\340\0\0\1", "\177\0\0\1"};
    struct scene scene = scene_open(state, 1);
    struct peer *peer = scene.peer;
    struct braid_address ipv6 = braid_address_ipv6("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 0);

    for (int i = 0; i < 3; i++) {
        struct braid_address address = braid_address_ipv4(addresses[i]);

        send_asconf(&scene, SCTP_PARAMETER_ADD_IP, &address);
        expect_ack(&scene, SCTP_CAUSE_UNRESOLVABLE_ADDRESS);
    }
    send_asconf(&scene, SCTP_PARAMETER_ADD_IP, &ipv6); /* which the endpoint does not speak */
    expect_ack(&scene, SCTP_CAUSE_UNRESOLVABLE_ADDRESS);
    send_asconf(&scene, SCTP_PARAMETER_ADD_IP, &peer->here[0]); /* the engine's own */
    expect_ack(&scene, SCTP_CAUSE_UNRESOLVABLE_ADDRESS);
    send_asconf(&scene, SCTP_PARAMETER_SET_PRIMARY, &peer->there[1]);
    expect_ack(&scene, SCTP_CAUSE_UNRESOLVABLE_ADDRESS);
    send_asconf(&scene, 0xc099, &peer->there[1]);
    expect_ack(&scene, SCTP_CAUSE_UNRECOGNIZED_PARAMETERS);
    assert_int_equal(statistics(peer).asconf_refused, 7);
    assert_int_equal(peer_info(peer).path_count, 1);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
}

static void test_ipv6_additions_refused(void **state)
{
    static const char *const addresses[] = {
        "\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\1",       /* multicast */
        "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1",     /* of a link, but of which? */
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1",         /* loopback */
        "\0\0\0\0\0\0\0\0\0\0\xff\xff\xe0\0\0\1",   /* multicast, mapped */
        "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\x63", /* IPv4, not spoken */
    };
    struct braid_parameters parameters = with_asconf();
    struct scene scene =
        scene_open_with(state, &(struct peer_config){.parameters = &parameters, .ipv6 = true});
    struct peer *peer = scene.peer;

    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        struct braid_address address = braid_address_ipv6(addresses[i], 0);

        send_asconf(&scene, SCTP_PARAMETER_ADD_IP, &address);
        expect_ack(&scene, SCTP_CAUSE_UNRESOLVABLE_ADDRESS);
    }
    assert_int_equal(statistics(peer).asconf_refused, 5);
    add_path(&scene, 1);
}

/* From an address that is not known the Address Parameter tells whose it is; that alone is not
 * enough. */
static void test_from_unknown_address(void **state)
{
    struct scene scene = scene_open(state, 1);
    struct peer *peer = scene.peer;
    struct request request = {SCTP_PARAMETER_ADD_IP, wildcard};
    struct braid_address known = peer->there[0];

    scene.script.key[60] ^= 1; /* a bad MAC */
    send_asconf_from(&scene, scene.serial, &request, 1, 1);
    expect(peer, NONE);
    assert_int_equal(statistics(peer).bad_authentication, 1);
    scene.script.key[60] ^= 1;
    peer->engine_tag++; /* another Verification Tag */
    send_asconf_from(&scene, scene.serial, &request, 1, 1);
    expect(peer, NONE);
    assert_int_equal(statistics(peer).bad_tag, 1);
    peer->engine_tag--;
    peer->there[0] = peer->there[2]; /* an Address Parameter that nobody has */
    send_asconf_from(&scene, scene.serial, &request, 1, 1);
    peer->there[0] = known;
    expect(peer, "ABORT");
    assert_int_equal(statistics(peer).out_of_the_blue, 1);
    assert_int_equal(peer_info(peer).path_count, 1);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    send_asconf_from(&scene, scene.serial++, &request, 1, 1);
    expect_ack(&scene, 0);
    confirm(&scene, 1);
    assert_int_equal(peer_info(peer).path_count, 2);
}

/* 200 addresses, 20 at a time: what is too many is refused, and all behind it (F9, F11). */
static void test_two_hundred(void **state)
{
    struct scene scene = scene_open(state, 1);
    struct peer *peer = scene.peer;

    for (uint8_t i = 0; i < 10; i++) {
        struct request requests[20];

        for (uint8_t j = 0; j < 20; j++)
            requests[j] =
                (struct request){SCTP_PARAMETER_ADD_IP,
                                 braid_address_ipv4((uint8_t[]){198, 18, i, (uint8_t)(j + 1)})};
        send_asconf_from(&scene, scene.serial++, requests, 20, 0);
        assert_authentic(&scene.script, expect(peer, "AUTH ASCONF_ACK"));
        peer_skip(peer);
    }
    assert_int_equal(peer_info(peer).path_count, 32);
    assert_int_equal(statistics(peer).asconf_refused, 200 - 31);
    send_data_authentic(peer, &scene.script, 1000, 0, SHA1);
    expect_message(peer, 0, 1000, 7);
}

/* The same in one chunk, whose answer has no room for all refusals. */
static void test_two_hundred_at_once(void **state)
{
    struct scene scene = scene_open(state, 1);
    struct peer *peer = scene.peer;
    struct request requests[200];
    const struct sent *sent;

    for (uint8_t i = 0; i < 200; i++)
        requests[i] = (struct request){
            SCTP_PARAMETER_ADD_IP, braid_address_ipv4((uint8_t[]){198, 18, 0, (uint8_t)(i + 1)})};
    send_asconf_from(&scene, scene.serial++, requests, 200, 0);
    sent = expect(peer, "AUTH ASCONF_ACK");
    assert_true(sent->length <= 1280 - 40);
    assert_int_equal(peer_info(peer).path_count, 32);
    assert_true(statistics(peer).asconf_refused > 0);
    peer_skip(peer);
    send_data_authentic(peer, &scene.script, 1000, 0, SHA1);
    expect_message(peer, 0, 1000, 7);
}

/* Chunks with a good MAC and any bits: nothing but addresses changes. */
static void test_mutations(void **state)
{
    struct scene scene = scene_open(state, 1);
    struct peer *peer = scene.peer;
    struct random_generator random;
    struct request requests[] = {{SCTP_PARAMETER_ADD_IP, peer->there[1]},
                                 {SCTP_PARAMETER_DELETE_IP, peer->there[2]},
                                 {SCTP_PARAMETER_SET_PRIMARY, peer->there[1]},
                                 {SCTP_PARAMETER_DELETE_IP, peer->there[0]}};

    random_seed(&random, 5);
    for (int i = 0; i < 5000; i++) {
        size_t at, chunk;

        peer_begin(peer);
        at = begin_auth(peer, 0, SHA1);
        chunk = peer->writer.length;
        write_asconf(&scene, scene.serial, requests, 4);
        for (int bits = 0; bits < 1 + i % 5; bits++) {
            uint64_t bit = random_next(&random) % ((peer->writer.length - chunk - 8) * 8);

            peer->packet[chunk + 8 + bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        fill_mac(peer, &scene.script, at, SHA1);
        peer_send(peer);
        assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
        assert_in_range(peer_info(peer).path_count, 1, 32);
        for (const struct sent *sent; (sent = peer_next(peer)) != NULL;)
            scene.serial += sent_count(sent, SCTP_CHUNK_ASCONF_ACK);
        peer_forget(peer);
    }
    assert_true(scene.serial - peer->initial_tsn > 1000);
    assert_true(statistics(peer).asconf_refused > 1000);
    assert_true(statistics(peer).bad_packet > 10);
}

/* The address of another association's peer. */
static void test_of_another(void **state)
{
    struct scene scene = scene_open(state, 1);
    struct peer *peer = scene.peer;
    struct braid_address there = peer->there[0];
    struct script other = asconf_script();
    uint32_t tag = peer->engine_tag, association = peer->association;

    peer->there[0] = peer->there[1];
    peer->tag++;
    accept_all(peer, &other);
    peer->there[0] = there;
    peer->tag--;
    peer->engine_tag = tag;
    peer->association = association;
    send_asconf(&scene, SCTP_PARAMETER_ADD_IP, &peer->there[1]);
    expect_ack(&scene, SCTP_CAUSE_NO_AUTHORIZATION);
}

/* ---- Primary ---- */

static void test_set_primary(void **state)
{
    struct scene scene = scene_open(state, 1);
    struct peer *peer = scene.peer;
    struct request requests[] = {{SCTP_PARAMETER_ADD_IP, peer->there[1]},
                                 {SCTP_PARAMETER_SET_PRIMARY, peer->there[1]}};

    send_asconf_from(&scene, scene.serial++, requests, 2, 0);
    expect_ack(&scene, 0);
    assert_int_equal(peer_info(peer).primary_path, 0); /* not before it is confirmed */
    expect_path_event(&scene, BRAID_PATH_ADDED, 1);
    confirm(&scene, 1);
    expect_path_event(&scene, BRAID_PATH_CONFIRMED, 1);
    expect_path_event(&scene, BRAID_PATH_MADE_PRIMARY, 1);
    assert_int_equal(peer_info(peer).primary_path, 1);
    send_asconf(&scene, SCTP_PARAMETER_SET_PRIMARY, &wildcard);
    expect_ack(&scene, 0);
    assert_int_equal(peer_info(peer).primary_path, 0);
}

/* 5.3.2: the peer changes its only address, and says so from the new one. */
static void test_renumbered(void **state)
{
    struct scene scene = scene_open(state, 1);
    struct peer *peer = scene.peer;
    struct request requests[] = {{SCTP_PARAMETER_ADD_IP, peer->there[1]},
                                 {SCTP_PARAMETER_DELETE_IP, peer->there[0]}};

    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    expect(peer, "DATA");
    send_asconf_from(&scene, scene.serial++, requests, 2, 1);
    assert_true(braid_address_equal(&expect_ack(&scene, 0)->destination, &peer->there[1]));
    assert_int_equal(peer_info(peer).path_count, 1);
    confirm(&scene, 1); /* and nothing else before it (F1) */
    expect(peer, "DATA");
    peer_send_from(peer, &peer->there[1], &peer->here[0]);
}

/* ---- Our ASCONF ---- */

static int set_addresses(struct peer *peer, unsigned int first, unsigned int count)
{
    int result;

    assert_int_equal(braid_engine_set_addresses(peer->engine, peer->here, PATHS, peer->now), 0);
    result = braid_endpoint_set_addresses(peer->engine, peer->endpoint, peer->here + first, count,
                                          peer->now);
    peer_run(peer);
    return result;
}

/* The next packet is an ASCONF with these types of requests; returns its serial number. */
static uint32_t expect_asconf_packet(struct scene *scene, const struct sent *sent,
                                     const uint16_t *types, size_t count)
{
    struct sctp_chunk chunk = sent_chunk(sent, SCTP_CHUNK_ASCONF);
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;
    struct sctp_asconf asconf = {0};

    assert_authentic(&scene->script, sent);
    assert_true(asconf_read(&chunk, &asconf));
    parameter_iterator_init(&iterator, asconf.parameters, asconf.parameters_length);
    for (size_t i = 0; i < count; i++) {
        assert_true(parameter_next(&iterator, &parameter));
        assert_int_equal(parameter.type, types[i]);
    }
    assert_false(parameter_next(&iterator, &parameter));
    return asconf.serial_number;
}

static uint32_t expect_asconf(struct scene *scene, uint16_t type)
{
    return expect_asconf_packet(scene, expect(scene->peer, "AUTH ASCONF"), &type, 1);
}

/* The peer's answer, from its first address to one of the engine's. */
static void send_ack(struct scene *scene, uint32_t serial, unsigned int to)
{
    struct peer *peer = scene->peer;
    size_t at, start;

    peer_begin(peer);
    at = begin_auth(peer, 0, SHA1);
    start = asconf_ack_begin(&peer->writer, serial);
    chunk_end(&peer->writer, start);
    fill_mac(peer, &scene->script, at, SHA1);
    peer_send_from(peer, &peer->there[0], &peer->here[to]);
}

static void send_refusal(struct scene *scene, uint32_t serial, uint32_t id, uint16_t cause)
{
    struct peer *peer = scene->peer;
    size_t at, start, indication;

    peer_begin(peer);
    at = begin_auth(peer, 0, SHA1);
    start = asconf_ack_begin(&peer->writer, serial);
    indication = error_cause_indication_begin(&peer->writer, id);
    parameter_write(&peer->writer, cause, NULL, 0);
    parameter_end(&peer->writer, indication);
    chunk_end(&peer->writer, start);
    fill_mac(peer, &scene->script, at, SHA1);
    peer_send(peer);
}

/* The source of the first path. */
static bool sends_from(struct peer *peer, unsigned int here)
{
    struct braid_path_info path = peer_path(peer, 0);

    return braid_address_equal(&path.source, &peer->here[here]);
}

static void test_our_addition(void **state)
{
    struct scene scene = scene_open(state, 1);
    struct peer *peer = scene.peer;
    const struct sent *first, *second;
    uint32_t serial;

    assert_int_equal(set_addresses(peer, 0, 2), 0);
    first = expect(peer, "AUTH ASCONF");
    serial = expect_asconf_packet(&scene, first, (uint16_t[]){SCTP_PARAMETER_ADD_IP}, 1);
    assert_int_equal(serial, peer->engine_initial_tsn);
    assert_true(braid_address_equal(&first->source, &peer->here[0]));
    /* T4-rto: the same chunk again */
    second = expect_within(peer, 3 * SECOND, "AUTH ASCONF");
    assert_int_equal(first->length, second->length);
    assert_memory_equal(first->bytes + 12, second->bytes + 12, first->length - 12);
    /* what else there is waits (C1) */
    assert_int_equal(set_addresses(peer, 0, 3), 0);
    expect(peer, NONE);
    send_ack(&scene, serial, 0);
    assert_int_equal(expect_asconf(&scene, SCTP_PARAMETER_ADD_IP), serial + 1);
    send_ack(&scene, serial, 0); /* an old answer again */
    assert_int_equal(statistics(peer).asconf_ignored, 1);
    send_ack(&scene, serial + 1, 0);
    expect_silence(peer, 10 * SECOND);
    /* packets to the new ones are ours */
    peer_begin(peer);
    peer_write_data(peer, 1000, 0, 0, WHOLE, 7);
    peer_send_from(peer, &peer->there[0], &peer->here[2]);
    expect(peer, "SACK");
    expect_message(peer, 0, 1000, 7);
}

/* RFC 9653, 5.2: an ASCONF has its CRC32c also where all else goes without. */
static void test_our_asconf_has_a_checksum(void **state)
{
    struct braid_parameters parameters = with_asconf();
    struct scene scene = {.script = asconf_script()};
    struct peer *peer;
    const struct sent *sent;

    parameters.error_detection_method = 1;
    scene.peer = peer = peer_renew(state, &(struct peer_config){.parameters = &parameters});
    peer->error_detection_method = 1;
    accept_all(peer, &scene.script);
    assert_int_equal(peer_user_send(peer, 0, 10), 0);
    assert_int_equal(packet_read_checksum(expect(peer, "DATA")->bytes), 0);
    assert_int_equal(set_addresses(peer, 0, 2), 0);
    sent = expect(peer, "AUTH ASCONF");
    assert_true(packet_verify_checksum(sent->bytes, sent->length));
}

static void test_our_deletion(void **state)
{
    struct scene scene = scene_open(state, 2);
    struct peer *peer = scene.peer;
    const struct sent *sent;
    uint32_t serial;

    assert_true(sends_from(peer, 0));
    assert_int_equal(set_addresses(peer, 1, 1), 0);
    sent = expect(peer, "AUTH ASCONF");
    serial = expect_asconf_packet(&scene, sent, (uint16_t[]){SCTP_PARAMETER_DELETE_IP}, 1);
    assert_true(braid_address_equal(&sent->source, &peer->here[1])); /* F6 */
    assert_true(sends_from(peer, 1));
    /* until the answer comes packets to it are ours (F4), but not an ABORT (5.3.1) */
    peer_send_data(peer, 1000, 0, 0, WHOLE, 7);
    expect(peer, "SACK");
    expect_message(peer, 0, 1000, 7);
    peer_send_plain(peer, SCTP_CHUNK_ABORT, 0);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
    send_ack(&scene, serial, 1);
    peer_send_data(peer, 1001, 0, 1, WHOLE, 7);
    expect(peer, "ABORT"); /* out of the blue */
    expect_no_message(peer);
    assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
}

/* The only address is changed for another: nothing but ASCONF leaves until the peer knows. */
static void test_our_renumbering(void **state)
{
    struct scene scene = scene_open(state, 1);
    struct peer *peer = scene.peer;
    const struct sent *sent;
    struct sctp_chunk chunk;
    struct sctp_asconf asconf;
    uint32_t serial;

    assert_int_equal(set_addresses(peer, 1, 1), 0);
    sent = expect(peer, "AUTH ASCONF");
    serial = expect_asconf_packet(&scene, sent,
                                  (uint16_t[]){SCTP_PARAMETER_ADD_IP, SCTP_PARAMETER_DELETE_IP}, 2);
    assert_true(braid_address_equal(&sent->source, &peer->here[1]));
    chunk = sent_chunk(sent, SCTP_CHUNK_ASCONF);
    assert_true(asconf_read(&chunk, &asconf));
    assert_true(braid_address_equal(&asconf.address, &peer->here[0])); /* 5.3.2 */
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    expect(peer, NONE);
    send_ack(&scene, serial, 1);
    sent = expect(peer, "DATA");
    assert_true(braid_address_equal(&sent->source, &peer->here[1]));
}

static void test_our_request_refused(void **state)
{
    struct scene scene = scene_open(state, 1);
    struct peer *peer = scene.peer;
    uint32_t serial;

    assert_int_equal(set_addresses(peer, 0, 2), 0);
    serial = expect_asconf(&scene, SCTP_PARAMETER_ADD_IP);
    send_refusal(&scene, serial, 0, SCTP_CAUSE_RESOURCE_SHORTAGE);
    peer_begin(peer); /* it is not of the association (F10) */
    peer_write_data(peer, 1000, 0, 0, WHOLE, 7);
    peer_send_from(peer, &peer->there[0], &peer->here[1]);
    expect(peer, "ABORT");
    /* another one may fare better; then the peer turns out not to know such requests (F3) */
    assert_int_equal(set_addresses(peer, 0, 3), 0);
    serial = expect_asconf(&scene, SCTP_PARAMETER_ADD_IP);
    send_refusal(&scene, serial, 1, SCTP_CAUSE_UNRECOGNIZED_PARAMETERS);
    assert_int_equal(set_addresses(peer, 0, 1), 0);
    expect_silence(peer, 10 * SECOND);
    assert_int_equal(braid_association_set_peer_primary(peer->engine, peer->association,
                                                        &peer->here[0], peer->now),
                     0);
    expect_asconf(&scene, SCTP_PARAMETER_SET_PRIMARY);
}

/* A9: the peer does not know the chunk. */
static void test_our_asconf_unknown(void **state)
{
    struct scene scene = scene_open(state, 1);
    struct peer *peer = scene.peer;
    struct sctp_chunk chunk;
    size_t start;

    assert_int_equal(set_addresses(peer, 0, 2), 0);
    chunk = sent_chunk(expect(peer, "AUTH ASCONF"), SCTP_CHUNK_ASCONF);
    peer_begin(peer);
    start = error_begin(&peer->writer);
    unrecognized_chunk_type_write(&peer->writer, &chunk);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    expect_silence(peer, 30 * SECOND);
    assert_int_equal(braid_association_set_peer_primary(peer->engine, peer->association,
                                                        &peer->here[0], peer->now),
                     -EOPNOTSUPP);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    expect(peer, "DATA");
}

static void test_our_asconf_lost(void **state)
{
    struct braid_parameters parameters = with_asconf();
    struct scene scene;
    struct peer *peer;

    parameters.association_max_retrans = 3;
    scene = scene_open_with(state, &(struct peer_config){.parameters = &parameters});
    peer = scene.peer;
    assert_int_equal(set_addresses(peer, 0, 2), 0);
    for (int i = 0; i < 4; i++)
        expect_within(peer, 60 * SECOND, "AUTH ASCONF");
    peer_advance(peer, 60 * SECOND);
    expect_down(peer, BRAID_DOWN_LOST);
}

/* An answer that is not authenticated is none, whatever its number. */
static void test_forged_ack(void **state)
{
    struct scene scene = scene_open(state, 1);
    struct peer *peer = scene.peer;
    uint32_t serial;
    size_t start;

    for (int asked = 0; asked < 2; asked++) {
        peer_begin(peer);
        start = asconf_ack_begin(&peer->writer, peer->engine_initial_tsn);
        chunk_end(&peer->writer, start);
        peer_send(peer);
        expect(peer, NONE);
        assert_int_equal(statistics(peer).unauthenticated_chunks, asked + 1);
        assert_int_equal(peer_state(peer), BRAID_ESTABLISHED);
        if (asked)
            break;
        assert_int_equal(set_addresses(peer, 0, 2), 0);
        serial = expect_asconf(&scene, SCTP_PARAMETER_ADD_IP);
        assert_int_equal(serial, peer->engine_initial_tsn);
    }
    expect_within(peer, 3 * SECOND, "AUTH ASCONF"); /* it still waits for one */
    send_ack(&scene, peer->engine_initial_tsn, 0);
    expect_silence(peer, 10 * SECOND);
}

/* F0: an answer to what was never asked. */
static void test_illegal_ack(void **state)
{
    struct scene scene = scene_open(state, 1);
    struct peer *peer = scene.peer;

    send_ack(&scene, peer->engine_initial_tsn - 1, 0); /* an old one */
    expect(peer, NONE);
    send_ack(&scene, peer->engine_initial_tsn, 0);
    assert_true(sent_has_cause(expect(peer, "ABORT"), SCTP_CAUSE_ILLEGAL_ASCONF_ACK));
    expect_down(peer, BRAID_DOWN_PROTOCOL);
}

static void test_peer_primary(void **state)
{
    struct scene scene = scene_open(state, 2);
    struct peer *peer = scene.peer;

    assert_int_equal(braid_association_set_peer_primary(peer->engine, peer->association,
                                                        &peer->here[2], peer->now),
                     -EADDRNOTAVAIL);
    assert_int_equal(braid_association_set_peer_primary(peer->engine, peer->association,
                                                        &peer->here[1], peer->now),
                     0);
    send_ack(&scene, expect_asconf(&scene, SCTP_PARAMETER_SET_PRIMARY), 0);
    expect_silence(peer, 10 * SECOND);
}

/* Without ASCONF an association goes on with the addresses that it had. */
static void test_peer_without(void **state)
{
    struct peer *peer = peer_renew(state, &(struct peer_config){.paths = 2});

    peer_accept(peer);
    peer_skip(peer);
    assert_int_equal(set_addresses(peer, 1, 1), 0);
    expect(peer, NONE);
    peer_send_data(peer, 1000, 0, 0, WHOLE, 7); /* to here[0] */
    expect(peer, "SACK");
    expect_message(peer, 0, 1000, 7);
    assert_int_equal(set_addresses(peer, 0, 0), -EINVAL);
}

/* Bound to all of the host: what the host gains and loses is told. */
static void test_auto(void **state)
{
    struct braid_parameters parameters = with_asconf();
    struct scene scene;
    struct peer *peer;

    parameters.auto_asconf = true;
    scene = scene_open_with(state,
                            &(struct peer_config){.parameters = &parameters, .any_address = true});
    peer = scene.peer;
    assert_int_equal(braid_engine_set_addresses(peer->engine, peer->here, 2, peer->now), 0);
    send_ack(&scene, expect_asconf(&scene, SCTP_PARAMETER_ADD_IP), 0);
    assert_int_equal(braid_engine_set_addresses(peer->engine, peer->here + 1, 1, peer->now), 0);
    send_ack(&scene, expect_asconf(&scene, SCTP_PARAMETER_DELETE_IP), 1);
    /* the last one goes: nothing can be said before another comes */
    assert_int_equal(braid_engine_set_addresses(peer->engine, peer->here, 0, peer->now), 0);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    expect_silence(peer, 5 * SECOND);
    assert_int_equal(braid_engine_set_addresses(peer->engine, peer->here + 2, 1, peer->now), 0);
    expect_asconf_packet(&scene, expect(peer, "AUTH ASCONF"),
                         (uint16_t[]){SCTP_PARAMETER_ADD_IP, SCTP_PARAMETER_DELETE_IP}, 2);
    /* it comes back before the answer */
    assert_int_equal(braid_engine_set_addresses(peer->engine, peer->here + 1, 2, peer->now), 0);
    send_ack(&scene, peer->engine_initial_tsn + 2, 2);
    assert_true(braid_address_equal(&expect(peer, "AUTH ASCONF")->source, &peer->here[2]));
    expect(peer, "DATA");
}

/* ---- Two engines ---- */

static uint64_t received_bytes;
static unsigned int changes[BRAID_PATH_RECOVERED + 1];

static void take_event(struct host *host, const struct braid_event *event)
{
    struct braid_received received;

    if (event->type == BRAID_EVENT_PATH)
        changes[event->path_change]++;
    if (event->type != BRAID_EVENT_READABLE)
        return;
    while (braid_receive(host->engine, event->association, &received, host->world->now) > 0) {
        received_bytes += received.length;
        braid_received_release(host->engine, &received, host->world->now);
    }
}

/* Each host moves from one address to the other and back, over and over, in the midst of data that
 * goes both ways; loss makes ASCONFs and their answers be sent again. */
static void test_two_engines(void **state)
{
    static const uint8_t message[3000];
    struct braid_parameters parameters;
    struct world *world;
    uint64_t sent_bytes = 0;

    (void)state;
    received_bytes = 0;
    memset(changes, 0, sizeof(changes));
    braid_parameters_default(&parameters);
    parameters.authentication = parameters.asconf = true;
    parameters.rto_min = parameters.rto_initial = 200;
    world = world_new(&(struct world_config){.seed = 11,
                                             .parameters = &parameters,
                                             .addresses = 2,
                                             .bound = true,
                                             .capture = getenv("CAPTURE")});
    world->event = take_event;
    world_conditions(world)->loss = 0.01;
    world_connect(world, 0, 1);
    world_run(world, SECOND);
    for (unsigned int i = 0; i < 60; i++) {
        for (unsigned int j = 0; j < 2; j++) {
            struct host *host = &world->hosts[j];
            unsigned int first = (i / (2 + j)) % 3 == 1, count = (i / (2 + j)) % 3 == 2 ? 2 : 1;

            if (braid_send(host->engine, host->association, &(struct braid_send){.stream = 1},
                           message, sizeof(message), world->now) == 0)
                sent_bytes += sizeof(message);
            assert_int_equal(braid_endpoint_set_addresses(host->engine, host->endpoint,
                                                          host->addresses + first, count,
                                                          world->now),
                             0);
        }
        world_run(world, SECOND);
    }
    world_run(world, 60 * SECOND);
    assert_int_equal(sent_bytes, 120 * sizeof(message));
    assert_int_equal(received_bytes, sent_bytes);
    assert_true(changes[BRAID_PATH_ADDED] > 10);
    assert_true(changes[BRAID_PATH_REMOVED] > 10);
    for (unsigned int j = 0; j < 2; j++) {
        struct braid_association_info info;

        assert_int_equal(
            braid_association_info(world->hosts[j].engine, world->hosts[j].association, &info), 0);
        assert_int_equal(info.state, BRAID_ESTABLISHED);
    }
    world_free(world);
}

/* The only address that was confirmed goes. Nothing can be sent to the other one before it has
 * answered, so that it is asked again and again, though it was given up before. */
static void test_delete_all_that_was_confirmed(void **state)
{
    struct braid_parameters parameters = with_asconf();
    const struct sent *sent;
    struct scene scene;
    struct peer *peer;

    parameters.path_max_retrans = 1;
    scene = scene_open_with(state, &(struct peer_config){.parameters = &parameters});
    peer = scene.peer;
    send_asconf(&scene, SCTP_PARAMETER_ADD_IP, &peer->there[1]);
    expect_ack(&scene, 0);
    peer_advance(peer, 100 * SECOND);
    assert_int_equal(peer_skip(peer), 2); /* HEARTBEATs */
    send_asconf_from(&scene, scene.serial++,
                     &(struct request){SCTP_PARAMETER_DELETE_IP, peer->there[0]}, 1, 1);
    (void)peer_next(peer);
    assert_int_equal(peer_info(peer).path_count, 1);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    for (int i = 0; i < 5; i++)
        sent = expect_within(peer, 60 * SECOND, "HEARTBEAT");
    peer_begin(peer);
    chunk_write(&peer->writer, SCTP_CHUNK_HEARTBEAT_ACK, 0,
                sent_chunk(sent, SCTP_CHUNK_HEARTBEAT).value,
                sent_chunk(sent, SCTP_CHUNK_HEARTBEAT).value_length);
    peer_send_from(peer, &peer->there[1], &peer->here[0]);
    assert_true(braid_address_equal(&expect(peer, "DATA")->destination, &peer->there[1]));
}

/* And if it never answers, the association ends (8.1). */
static void test_delete_all_and_silence(void **state)
{
    struct scene scene = scene_open(state, 1);
    struct peer *peer = scene.peer;

    send_asconf(&scene, SCTP_PARAMETER_ADD_IP, &peer->there[1]);
    expect_ack(&scene, 0);
    send_asconf_from(&scene, scene.serial++,
                     &(struct request){SCTP_PARAMETER_DELETE_IP, peer->there[0]}, 1, 1);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    peer_advance(peer, 1000 * SECOND);
    expect_down(peer, BRAID_DOWN_LOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_offered),
        peer_test(test_without_auth),
        peer_test(test_add),
        peer_test(test_delete),
        peer_test(test_delete_all_that_was_confirmed),
        peer_test(test_delete_all_and_silence),
        peer_test(test_not_authenticated),
        peer_test(test_repeated_and_out_of_order),
        peer_test(test_deletions_refused),
        peer_test(test_additions_refused),
        peer_test(test_ipv6_additions_refused),
        peer_test(test_from_unknown_address),
        peer_test(test_two_hundred),
        peer_test(test_two_hundred_at_once),
        peer_test(test_mutations),
        peer_test(test_of_another),
        peer_test(test_set_primary),
        peer_test(test_renumbered),
        peer_test(test_our_addition),
        peer_test(test_our_asconf_has_a_checksum),
        peer_test(test_our_deletion),
        peer_test(test_our_renumbering),
        peer_test(test_our_request_refused),
        peer_test(test_our_asconf_unknown),
        peer_test(test_our_asconf_lost),
        peer_test(test_forged_ack),
        peer_test(test_illegal_ack),
        peer_test(test_peer_primary),
        peer_test(test_peer_without),
        peer_test(test_auto),
        cmocka_unit_test(test_two_engines),
    };

    return cmocka_run_group_tests_name("asconf", tests, NULL, NULL);
}
