/*
 * Options, ancillary data and notifications of authentication: RFC 6458, 8.1.17, 8.1.18, 8.2.3,
 * 8.2.4, 8.3.2 to 8.3.5, 5.3.8, 6.1.8, with Linux's sizes and errors.
 */
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

static int set_supported(struct sctp_socket *socket, uint32_t on)
{
    struct sctp_assoc_value value = {.assoc_value = on};

    return set(socket, SCTP_AUTH_SUPPORTED, &value, sizeof(value));
}

static uint32_t get_supported(struct sctp_socket *socket)
{
    struct sctp_assoc_value value = {.assoc_value = 7};
    size_t length = sizeof(value);

    assert_int_equal(get(socket, SCTP_AUTH_SUPPORTED, &value, &length), 0);
    assert_int_equal(length, sizeof(value));
    return value.assoc_value;
}

static int add_chunk(struct sctp_socket *socket, uint8_t type)
{
    struct sctp_authchunk chunk = {type};

    return set(socket, SCTP_AUTH_CHUNK, &chunk, sizeof(chunk));
}

static int set_key(struct sctp_socket *socket, uint16_t number, const char *text)
{
    union {
        struct sctp_authkey key;
        uint8_t bytes[sizeof(struct sctp_authkey) + 32];
    } value = {.key = {.sca_keynumber = number, .sca_keylength = (uint16_t)strlen(text)}};

    memcpy(value.bytes + sizeof(value.key), text, strlen(text));
    return set(socket, SCTP_AUTH_KEY, &value, sizeof(value.key) + strlen(text));
}

static int change_key(struct sctp_socket *socket, int option, uint16_t number)
{
    struct sctp_authkeyid key = {.scact_keynumber = number};

    return set(socket, option, &key, sizeof(key));
}

static int active_key(struct sctp_socket *socket)
{
    struct sctp_authkeyid key = {.scact_keynumber = 99};
    size_t length = sizeof(key);
    int error = get(socket, SCTP_AUTH_ACTIVE_KEY, &key, &length);

    return error < 0 ? error : key.scact_keynumber;
}

/* The types of a list of chunks, one digit each; negative: the error. */
static int chunk_list(struct sctp_socket *socket, int option, const char *types)
{
    uint8_t bytes[64] = {0};
    struct sctp_authchunks header;
    size_t length = sizeof(bytes);
    int error = get(socket, option, bytes, &length);

    if (error < 0)
        return error;
    memcpy(&header, bytes, sizeof(header));
    assert_int_equal(length, sizeof(header) + strlen(types));
    assert_int_equal(header.gauth_number_of_chunks, strlen(types));
    for (size_t i = 0; types[i]; i++)
        assert_int_equal(bytes[sizeof(header) + i], types[i] - '0');
    return 0;
}

/* All but SCTP_AUTH_SUPPORTED: EACCES before anything else, unless the size is wrong. */
static void test_off(void **state)
{
    struct sctp_socket *socket;
    uint8_t bytes[64] = {0};
    size_t length = sizeof(bytes);

    (void)state;
    world_open(&world);
    socket = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    assert_int_equal(get_supported(socket), 0);
    assert_int_equal(add_chunk(socket, 0), -EACCES);
    assert_int_equal(set(socket, SCTP_AUTH_CHUNK, bytes, 0), -EACCES);
    assert_int_equal(set(socket, SCTP_HMAC_IDENT, bytes, 0), -EACCES);
    assert_int_equal(get(socket, SCTP_HMAC_IDENT, bytes, &length), -EACCES);
    assert_int_equal(set_key(socket, 1, "key"), -EACCES);
    assert_int_equal(set(socket, SCTP_AUTH_KEY, bytes, sizeof(struct sctp_authkey)), -EINVAL);
    assert_int_equal(change_key(socket, SCTP_AUTH_ACTIVE_KEY, 0), -EACCES);
    assert_int_equal(change_key(socket, SCTP_AUTH_DELETE_KEY, 0), -EACCES);
    assert_int_equal(change_key(socket, SCTP_AUTH_DEACTIVATE_KEY, 0), -EACCES);
    assert_int_equal(set(socket, SCTP_AUTH_ACTIVE_KEY, bytes, 4), -EINVAL);
    assert_int_equal(active_key(socket), -EACCES);
    assert_int_equal(chunk_list(socket, SCTP_LOCAL_AUTH_CHUNKS, ""), -EACCES);
    assert_int_equal(chunk_list(socket, SCTP_PEER_AUTH_CHUNKS, ""), -EINVAL);
    world_close(&world);
}

/* Where the host permits it, nothing has to be asked for first. */
static void test_permitted(void **state)
{
    struct sctp_socket *socket;

    (void)state;
    world_open_with(&world, &(struct socket_table_config){.authentication = true});
    socket = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    assert_int_equal(get_supported(socket), 1);
    assert_int_equal(add_chunk(socket, 0), 0);
    assert_int_equal(set_key(socket, 1, "key"), 0);
    world_close(&world);
}

static void test_settings(void **state)
{
    struct sctp_socket *socket;
    uint8_t bytes[64] = {0};
    struct sctp_hmacalgo *hmacs = (void *)bytes;
    size_t length;

    (void)state;
    world_open(&world);
    socket = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    assert_int_equal(set(socket, SCTP_AUTH_SUPPORTED, bytes, 4), -EINVAL);
    assert_int_equal(set_supported(socket, 1), 0);
    assert_int_equal(get_supported(socket), 1);

    assert_int_equal(chunk_list(socket, SCTP_LOCAL_AUTH_CHUNKS, ""), 0);
    assert_int_equal(add_chunk(socket, 3), 0);
    assert_int_equal(add_chunk(socket, 0), 0);
    assert_int_equal(add_chunk(socket, 3), 0); /* once is enough */
    assert_int_equal(add_chunk(socket, 1), -EINVAL);
    assert_int_equal(add_chunk(socket, 2), -EINVAL);
    assert_int_equal(add_chunk(socket, 14), -EINVAL);
    assert_int_equal(add_chunk(socket, 15), -EINVAL);
    assert_int_equal(set(socket, SCTP_AUTH_CHUNK, bytes, 2), -EINVAL);
    assert_int_equal(chunk_list(socket, SCTP_LOCAL_AUTH_CHUNKS, "30"), 0);
    length = sizeof(struct sctp_authchunks) + 1;
    assert_int_equal(get(socket, SCTP_LOCAL_AUTH_CHUNKS, bytes, &length), -EINVAL);
    for (uint8_t type = 100; type < 118; type++)
        assert_int_equal(add_chunk(socket, type), 0);
    assert_int_equal(add_chunk(socket, 118), -EINVAL); /* the list is full */

    length = sizeof(bytes);
    assert_int_equal(get(socket, SCTP_HMAC_IDENT, bytes, &length), 0);
    assert_int_equal(length, 6);
    assert_int_equal(hmacs->shmac_num_idents, 1);
    assert_int_equal(hmacs->shmac_idents[0], SCTP_AUTH_HMAC_ID_SHA1);
    length = 5;
    assert_int_equal(get(socket, SCTP_HMAC_IDENT, bytes, &length), -EINVAL);
    hmacs->shmac_num_idents = 2;
    hmacs->shmac_idents[0] = SCTP_AUTH_HMAC_ID_SHA256;
    hmacs->shmac_idents[1] = SCTP_AUTH_HMAC_ID_SHA1;
    assert_int_equal(set(socket, SCTP_HMAC_IDENT, bytes, 6), -EINVAL);
    assert_int_equal(set(socket, SCTP_HMAC_IDENT, bytes, 8), 0);
    hmacs->shmac_num_idents = 1; /* SHA-1 must be among them */
    assert_int_equal(set(socket, SCTP_HMAC_IDENT, bytes, 8), -EINVAL);
    hmacs->shmac_idents[0] = 2;
    assert_int_equal(set(socket, SCTP_HMAC_IDENT, bytes, 8), -EOPNOTSUPP);
    hmacs->shmac_num_idents = 5;
    assert_int_equal(set(socket, SCTP_HMAC_IDENT, bytes, sizeof(bytes)), -EINVAL);
    length = sizeof(bytes);
    assert_int_equal(get(socket, SCTP_HMAC_IDENT, bytes, &length), 0);
    assert_int_equal(length, 8);
    assert_int_equal(hmacs->shmac_idents[0], SCTP_AUTH_HMAC_ID_SHA256);

    assert_int_equal(active_key(socket), 0);
    assert_int_equal(change_key(socket, SCTP_AUTH_ACTIVE_KEY, 1), -EINVAL);
    assert_int_equal(set_key(socket, 1, "one"), 0);
    assert_int_equal(change_key(socket, SCTP_AUTH_ACTIVE_KEY, 1), 0);
    assert_int_equal(active_key(socket), 1);
    assert_int_equal(change_key(socket, SCTP_AUTH_DELETE_KEY, 1), -EINVAL);
    assert_int_equal(change_key(socket, SCTP_AUTH_DEACTIVATE_KEY, 1), -EINVAL);
    assert_int_equal(change_key(socket, SCTP_AUTH_DEACTIVATE_KEY, 0), 0);
    assert_int_equal(change_key(socket, SCTP_AUTH_ACTIVE_KEY, 0), -EINVAL);
    assert_int_equal(change_key(socket, SCTP_AUTH_DELETE_KEY, 0), 0);
    assert_int_equal(change_key(socket, SCTP_AUTH_DELETE_KEY, 0), -EINVAL);
    world_close(&world);
}

static int send_with_key(struct sctp_socket *socket, const char *text, uint16_t key)
{
    struct channel_header header = {
        .type = CHANNEL_SEND, .flags = CHANNEL_HAS_AUTH, .auth_key = key};

    return send_bytes(&world, socket, text, strlen(text), &header, NULL);
}

static void subscribe_to_authentication(struct sctp_socket *socket)
{
    struct sctp_event event = {.se_type = SCTP_AUTHENTICATION_EVENT, .se_on = 1};

    assert_int_equal(set(socket, SCTP_EVENT, &event, sizeof(event)), 0);
}

/* Both sides authenticate DATA; the accepted socket has its listener's settings and keys. */
static void test_association(void **state)
{
    struct sctp_socket *client, *server, *listener;

    (void)state;
    world_open(&world);
    listener = socket_make_listener(&world.hosts[1], SOCK_STREAM);
    client = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    assert_int_equal(set_supported(listener, 1), 0);
    assert_int_equal(set_supported(client, 1), 0);
    assert_int_equal(add_chunk(listener, 0), 0);
    assert_int_equal(set_key(listener, 1, "one"), 0);
    assert_int_equal(set_key(client, 1, "one"), 0);
    assert_int_equal(set_key(listener, 2, "right"), 0);
    assert_int_equal(set_key(client, 2, "wrong"), 0);
    subscribe_to_authentication(client);
    subscribe_to_authentication(listener);
    assert_int_equal(socket_begin(client, &world.hosts[0], &world.hosts[1], PORT), -EINPROGRESS);
    world_run(&world, SECOND);
    server = socket_take_accepted(listener, &world);
    assert_int_equal(get_supported(client), 1);
    assert_int_equal(get_supported(server), 1);
    assert_int_equal(chunk_list(client, SCTP_PEER_AUTH_CHUNKS, "0"), 0);
    assert_int_equal(chunk_list(server, SCTP_LOCAL_AUTH_CHUNKS, "0"), 0);
    assert_int_equal(chunk_list(server, SCTP_PEER_AUTH_CHUNKS, ""), 0);

    assert_int_equal(send_text(&world, client, "plain", 0, 0, NULL), 0);
    assert_int_equal(send_with_key(client, "with one", 1), 0);
    assert_int_equal(send_with_key(client, "with none", 9), -EINVAL);
    world_run(&world, SECOND);
    assert_string_equal(next_text(&world, server), "plain");
    assert_string_equal(next_text(&world, server), "with one");
    assert_string_equal(next_text(&world, server), "AUTH_NEW_KEY 1");
    assert_string_equal(next_text(&world, server), "-");
    assert_int_equal(change_key(client, SCTP_AUTH_DEACTIVATE_KEY, 1), 0);
    world_run(&world, SECOND);
    assert_string_equal(next_text(&world, client), "AUTH_FREE_KEY 1");
    assert_int_equal(send_with_key(client, "too late", 1), -EINVAL);
    assert_int_equal(send_with_key(client, "not believed", 2), 0);
    world_run(&world, SECOND);
    assert_string_equal(next_text(&world, server), "-");
    /* the server's own DATA need not be authenticated: no key is looked for */
    assert_int_equal(send_with_key(server, "whatever", 9), 0);
    world_run(&world, SECOND);
    assert_string_equal(next_text(&world, client), "whatever");
    world_close(&world);
}

/* One side has it, the other not. */
static void test_only_here(void **state)
{
    struct sctp_socket *client;

    (void)state;
    world_open(&world);
    socket_make_listener(&world.hosts[1], SOCK_STREAM);
    client = socket_make(&world.hosts[0], AF_INET, SOCK_STREAM);
    assert_int_equal(set_supported(client, 1), 0);
    subscribe_to_authentication(client);
    assert_int_equal(socket_begin(client, &world.hosts[0], &world.hosts[1], PORT), -EINPROGRESS);
    world_run(&world, SECOND);
    assert_string_equal(next_text(&world, client), "AUTH_NO_AUTH 0");
    assert_int_equal(get_supported(client), 0);
    assert_int_equal(set_key(client, 1, "key"), -EACCES);
    assert_int_equal(active_key(client), -EACCES);
    assert_int_equal(chunk_list(client, SCTP_PEER_AUTH_CHUNKS, ""), -EACCES);
    assert_int_equal(chunk_list(client, SCTP_LOCAL_AUTH_CHUNKS, ""), -EACCES);
    world_close(&world);
}

/* SCTP_CURRENT_ASSOC and SCTP_FUTURE_ASSOC of a one-to-many socket. */
static void test_which_associations(void **state)
{
    struct sctp_authkeyid key = {.scact_keynumber = 1};
    struct sctp_socket *client, *server;
    struct sockaddr_in to;

    (void)state;
    world_open(&world);
    server = socket_make_listener(&world.hosts[1], SOCK_SEQPACKET);
    client = socket_make(&world.hosts[0], AF_INET, SOCK_SEQPACKET);
    to = host_address(&world.hosts[1], PORT);
    assert_int_equal(set_supported(server, 1), 0);
    assert_int_equal(set_supported(client, 1), 0);
    assert_int_equal(send_text(&world, client, "hello", 0, 0, &to), 0);
    world_run(&world, SECOND);
    assert_int_equal(set_key(client, 1, "future"), 0);
    key.scact_assoc_id = SCTP_CURRENT_ASSOC;
    assert_int_equal(set(client, SCTP_AUTH_ACTIVE_KEY, &key, sizeof(key)), -EINVAL);
    key.scact_assoc_id = SCTP_FUTURE_ASSOC;
    assert_int_equal(set(client, SCTP_AUTH_ACTIVE_KEY, &key, sizeof(key)), 0);
    key.scact_assoc_id = SCTP_ALL_ASSOC;
    assert_int_equal(set(client, SCTP_AUTH_ACTIVE_KEY, &key, sizeof(key)), -EINVAL);
    key.scact_assoc_id = 12345;
    assert_int_equal(set(client, SCTP_AUTH_ACTIVE_KEY, &key, sizeof(key)), -EINVAL);
    assert_int_equal(active_key(client), 1);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_off),       cmocka_unit_test(test_permitted),
        cmocka_unit_test(test_settings),  cmocka_unit_test(test_association),
        cmocka_unit_test(test_only_here), cmocka_unit_test(test_which_associations),
    };

    return cmocka_run_group_tests_name("authentication", tests, NULL, NULL);
}
