/*
 * Authenticated chunks (RFC 4895) against a scripted peer, which computes its keys and MACs here,
 * on its own: with HMAC() over bytes that are put together by hand. And two engines that
 * authenticate everything over a bad network.
 */
#include "script.h"
#include "world.h"

static struct braid_statistics statistics(struct peer *peer)
{
    struct braid_statistics now;

    braid_engine_statistics(peer->engine, &now);
    return now;
}

static struct peer *renew(void **state, const struct braid_parameters *parameters)
{
    return peer_renew(state, &(struct peer_config){.parameters = parameters});
}

/* ---- What is offered ---- */

static void test_off(void **state)
{
    struct peer *peer = *state;
    struct script script = plain_script(1);
    struct sctp_parameter parameter;
    const struct sent *sent = accept_script(peer, &script);

    assert_false(sent_parameter(sent, SCTP_PARAMETER_RANDOM, &parameter));
    assert_false(sent_parameter(sent, SCTP_PARAMETER_SUPPORTED_EXTENSIONS, &parameter));
    peer_send_cookie_echo(peer);
    expect(peer, "COOKIE_ACK");
    assert_int_equal(expect_event(peer, BRAID_EVENT_AUTHENTICATION)->authentication,
                     BRAID_AUTHENTICATION_NONE);
}

static void test_offered(void **state)
{
    struct braid_parameters parameters = enabled();
    struct script script = plain_script(1);
    struct braid_authentication_info info;
    struct sctp_parameter parameter;
    const struct sent *sent;
    struct peer *peer;
    size_t count;

    require(&parameters, SCTP_CHUNK_DATA);
    require(&parameters, SCTP_CHUNK_ABORT);
    require(&parameters, SCTP_CHUNK_SACK);
    peer = renew(state, &parameters);
    script.chunks[0] = SCTP_CHUNK_HEARTBEAT;
    script.chunks[1] = SCTP_CHUNK_AUTH; /* which does not count */
    script.chunk_count = 2;
    sent = accept_script(peer, &script);
    assert_true(sent_parameter(sent, SCTP_PARAMETER_RANDOM, &parameter));
    assert_int_equal(parameter.length, 36);
    assert_true(sent_parameter(sent, SCTP_PARAMETER_CHUNK_LIST, &parameter));
    assert_int_equal(parameter.length, 7);
    assert_true(sent_parameter(sent, SCTP_PARAMETER_HMAC_ALGORITHM, &parameter));
    assert_true(hmac_algorithm_read(&parameter, &count));
    assert_int_equal(count, 2);
    assert_int_equal(hmac_algorithm_get(&parameter, 0), SHA1);
    assert_true(sent_parameter(sent, SCTP_PARAMETER_SUPPORTED_EXTENSIONS, &parameter));
    assert_true(chunk_types_contain(&parameter, SCTP_CHUNK_AUTH));
    peer_send_cookie_echo(peer);
    expect(peer, "COOKIE_ACK");
    expect_no_event(peer, BRAID_EVENT_AUTHENTICATION);
    peer->association = expect_event(peer, BRAID_EVENT_UP)->association;
    assert_int_equal(braid_association_authentication(peer->engine, peer->association, &info), 0);
    assert_true(info.capable);
    assert_int_equal(info.local_chunk_count, 3);
    assert_int_equal(info.peer_chunk_count, 2);
    assert_int_equal(info.peer_chunks[0], SCTP_CHUNK_HEARTBEAT);
    assert_int_equal(info.hmac, SHA1);
}

/* A peer without AUTH can be talked to, without AUTH. */
static void test_peer_without(void **state)
{
    struct braid_parameters parameters = enabled();
    struct peer *peer;

    require(&parameters, SCTP_CHUNK_DATA);
    peer = renew(state, &parameters);
    peer_accept(peer);
    assert_int_equal(expect_event(peer, BRAID_EVENT_AUTHENTICATION)->authentication,
                     BRAID_AUTHENTICATION_NONE);
    peer_send_data(peer, 1000, 0, 0, WHOLE, 7);
    expect(peer, "SACK");
    expect_message(peer, 0, 1000, 7);
    assert_int_equal(braid_association_set_key(peer->engine, peer->association, 1, "k", 1),
                     -EACCES);
    /* and an AUTH chunk is an unknown one, which ends its packet (3.2) */
    peer_begin(peer);
    begin_auth(peer, 0, SHA1);
    peer_write_data(peer, 1001, 0, 1, WHOLE, 7);
    peer_send(peer);
    expect_no_message(peer);
}

static void test_random_of_wrong_length(void **state)
{
    struct braid_parameters parameters = enabled();
    struct peer *peer = renew(state, &parameters);
    struct script script = plain_script(1);
    size_t start;

    script.random_length = 31;
    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    start = peer_begin_init(peer, SCTP_CHUNK_INIT);
    write_terms(peer, &script);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    assert_true(sent_has_cause(expect(peer, "ABORT"), SCTP_CAUSE_PROTOCOL_VIOLATION));

    peer_start_connect(peer);
    peer_read_init(peer, expect(peer, "INIT"));
    start = peer_begin_init(peer, SCTP_CHUNK_INIT_ACK);
    parameter_write(&peer->writer, SCTP_PARAMETER_STATE_COOKIE, "biscuit", 7);
    write_terms(peer, &script);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    assert_true(sent_has_cause(expect(peer, "ABORT"), SCTP_CAUSE_PROTOCOL_VIOLATION));
    expect_down(peer, BRAID_DOWN_PROTOCOL);
}

/* ---- Receiving: 6.3 ---- */

static void test_receive(void **state)
{
    struct braid_parameters parameters = enabled();
    struct script script = plain_script(1);
    struct peer *peer;

    require(&parameters, SCTP_CHUNK_DATA);
    peer = renew(state, &parameters);
    accept_all(peer, &script);

    peer_send_data(peer, 1000, 0, 0, WHOLE, 7); /* not authenticated */
    expect(peer, NONE);
    assert_int_equal(statistics(peer).unauthenticated_chunks, 1);
    send_data_authentic(peer, &script, 1000, 0, SHA1);
    expect(peer, "SACK");
    expect_message(peer, 0, 1000, 7);
    send_data_authentic(peer, &script, 1001, 0, SHA256); /* it may choose */
    send_data_authentic(peer, &script, 1002, 0, SHA1);
    expect(peer, "SACK");
    expect_message(peer, 0, 1001, 7);
    expect_message(peer, 0, 1002, 7);
    assert_int_equal(statistics(peer).bad_authentication, 0);
    /* chunks in front of AUTH are not authenticated, those behind it are */
    peer_begin(peer);
    peer_write_data(peer, 1004, 0, 4, WHOLE, 7);
    fill_mac(peer, &script, begin_auth(peer, 0, SHA1), SHA1);
    peer_send(peer);
    expect(peer, NONE);
    assert_int_equal(statistics(peer).unauthenticated_chunks, 2);
}

static void test_bad_mac(void **state)
{
    struct braid_parameters parameters = enabled();
    struct script script = plain_script(1), wrong;
    struct peer *peer;
    size_t at;

    require(&parameters, SCTP_CHUNK_DATA);
    peer = renew(state, &parameters);
    accept_all(peer, &script);
    wrong = script;
    wrong.key[50] ^= 1;
    send_data_authentic(peer, &wrong, 1000, 0, SHA1);
    expect(peer, NONE);
    send_data_authentic(peer, &script, 1000, 7, SHA1); /* a key that there is not */
    expect(peer, NONE);
    peer_begin(peer); /* a MAC that is too short */
    at = peer->writer.length;
    auth_write(&peer->writer, &(struct sctp_auth){.hmac_identifier = SHA1, .hmac_length = 16});
    peer_write_data(peer, 1000, 0, 0, WHOLE, 7);
    fill_mac(peer, &script, at, SHA1);
    peer_send(peer);
    expect(peer, NONE);
    peer_begin(peer); /* something was changed afterwards */
    at = begin_auth(peer, 0, SHA1);
    peer_write_data(peer, 1000, 0, 0, WHOLE, 7);
    fill_mac(peer, &script, at, SHA1);
    peer->packet[peer->writer.length - 3] ^= 1;
    peer_send(peer);
    expect(peer, NONE);
    peer_begin(peer); /* two of them: the second ends the packet */
    at = begin_auth(peer, 0, SHA1);
    begin_auth(peer, 0, SHA1);
    peer_write_data(peer, 1000, 0, 0, WHOLE, 7);
    fill_mac(peer, &script, at, SHA1);
    peer_send(peer);
    expect(peer, NONE);
    assert_int_equal(statistics(peer).bad_authentication, 5);
    expect_no_message(peer);
    send_data_authentic(peer, &script, 1000, 0, SHA1);
    expect(peer, "SACK");
    expect_message(peer, 0, 1000, 7);
}

static void test_unsupported_hmac(void **state)
{
    struct braid_parameters parameters = enabled();
    struct script script = plain_script(1);
    struct sctp_parameter cause;
    struct peer *peer;
    uint16_t identifier;

    require(&parameters, SCTP_CHUNK_DATA);
    parameters.auth_hmac_count = 1; /* SHA-1 only */
    peer = renew(state, &parameters);
    accept_all(peer, &script);
    send_data_authentic(peer, &script, 1000, 0, SHA256);
    cause = sent_cause(expect(peer, "ERROR"), SCTP_CAUSE_UNSUPPORTED_HMAC);
    assert_true(unsupported_hmac_read(&cause, &identifier));
    assert_int_equal(identifier, SHA256);
    expect_no_message(peer);
}

/* ---- Sending: 6.2 ---- */

/* Both orders of the key vectors; both HMACs; packets as full as they may be. */
static void test_send(void **state)
{
    static const uint8_t fills[] = {0x00, 0xff};

    for (unsigned int i = 0; i < 4; i++) {
        struct braid_parameters parameters = enabled();
        struct peer *peer = renew(state, &parameters);
        struct script script = plain_script(fills[i % 2]);
        const struct sent *sent;
        size_t fits = peer_pmdcs(peer) - 16 - (i < 2 ? 28 : 40);

        script.hmacs[0] = i < 2 ? SHA1 : SHA256;
        script.hmacs[1] = i < 2 ? SHA256 : SHA1;
        script.hmac_count = 2;
        script.chunks[0] = SCTP_CHUNK_DATA; /* its vector is longer by 5 bytes */
        script.chunk_count = 1;
        accept_all(peer, &script);
        assert_int_equal(peer_info(peer).fragmentation_point, fits);
        peer_association_parameters(peer)->no_delay = true;
        assert_int_equal(peer_user_send(peer, 0, fits), 0);
        sent = expect(peer, "AUTH DATA");
        assert_int_equal(assert_authentic(&script, sent).hmac_identifier, i < 2 ? SHA1 : SHA256);
        assert_int_equal(sent_data(sent, 0).payload_length, fits);
        assert_int_equal(peer_user_send(peer, 0, fits + 1), 0);
        assert_authentic(&script, expect(peer, "AUTH DATA"));
        assert_authentic(&script, expect(peer, "AUTH DATA"));
        /* what the peer does not ask for goes without */
        peer_send_data(peer, 1000, 0, 0, WHOLE, 7);
        expect(peer, "SACK");
    }
}

/* Vectors of the same length are ordered by their bytes. */
static void test_order_of_vectors(void **state)
{
    static const uint8_t fills[] = {0x00, 0xff};

    for (unsigned int i = 0; i < 2; i++) {
        struct braid_parameters parameters = enabled();
        struct script script = plain_script(fills[i]);
        struct peer *peer;
        bool engine_first;

        require(&parameters, SCTP_CHUNK_DATA);
        parameters.auth_hmac_count = 1;
        peer = renew(state, &parameters);
        script.chunks[0] = SCTP_CHUNK_DATA;
        script.chunk_count = 1;
        engine_first = learn_key(&script, accept_script(peer, &script));
        assert_int_equal(engine_first, i == 1);
        peer_send_cookie_echo(peer);
        expect(peer, "COOKIE_ACK");
        peer->association = expect_event(peer, BRAID_EVENT_UP)->association;
        assert_int_equal(peer_user_send(peer, 0, 100), 0);
        assert_authentic(&script, expect(peer, "AUTH DATA"));
        send_data_authentic(peer, &script, 1000, 0, SHA1);
        expect_message(peer, 0, 1000, 7);
    }
}

/* Everything that can be asked for. */
static void test_send_everything(void **state)
{
    struct braid_parameters parameters = enabled();
    struct peer *peer = renew(state, &parameters);
    struct script script = plain_script(1);
    const struct sent *sent;

    for (uint8_t type = 0; type < 13; type++)
        script.chunks[script.chunk_count++] = type;
    accept_script(peer, &script);
    peer_send_cookie_echo(peer);
    assert_authentic(&script, expect(peer, "AUTH COOKIE_ACK"));
    peer->association = expect_event(peer, BRAID_EVENT_UP)->association;
    peer_send_data(peer, 1000, 0, 0, WHOLE, 7);
    assert_authentic(&script, expect(peer, "AUTH SACK"));
    peer_send_data(peer, 1001, 0, 1, WHOLE, 7);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    assert_authentic(&script, expect(peer, "AUTH SACK DATA"));
    peer_send_sack(peer, peer->engine_initial_tsn);
    peer_begin(peer);
    heartbeat_write(&peer->writer, SCTP_CHUNK_HEARTBEAT, "howdy", 5);
    peer_send(peer);
    assert_authentic(&script, expect(peer, "AUTH HEARTBEAT_ACK"));
    assert_int_equal(braid_path_request_heartbeat(peer->engine, peer->association, 0, peer->now),
                     0);
    assert_authentic(&script, expect(peer, "AUTH HEARTBEAT"));
    peer_send_plain(peer, 0x7f, 0); /* unknown, to be reported */
    assert_authentic(&script, expect(peer, "AUTH ERROR"));
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    sent = expect(peer, "AUTH DATA");
    assert_authentic(&script, expect_within(peer, 2 * SECOND, "AUTH DATA")); /* T3-rtx */
    peer_send_sack(peer, sent_data(sent, 0).tsn);
    assert_int_equal(braid_shutdown(peer->engine, peer->association, peer->now), 0);
    assert_authentic(&script, expect(peer, "AUTH SHUTDOWN"));
    assert_int_equal(braid_abort(peer->engine, peer->association, NULL, 0, peer->now), 0);
    assert_authentic(&script, expect(peer, "AUTH ABORT"));
}

/* ---- Setup: 6.3, 7 ---- */

static void test_cookie_echo_required(void **state)
{
    struct braid_parameters parameters = enabled();
    struct script script = plain_script(1);
    struct peer *peer;
    size_t at;

    require(&parameters, SCTP_CHUNK_COOKIE_ECHO);
    peer = renew(state, &parameters);
    accept_script(peer, &script);
    peer_send_cookie_echo(peer);
    expect(peer, NONE);
    peer_begin(peer);
    at = begin_auth(peer, 0, SHA1);
    cookie_echo_write(&peer->writer, peer->cookie, peer->cookie_length);
    fill_mac(peer, &script, at, SHA1);
    peer->packet[at + 8] ^= 1;
    peer_send(peer);
    expect(peer, NONE);
    assert_int_equal(statistics(peer).bad_authentication, 1);
    assert_int_equal(statistics(peer).associations_now, 0);
    peer->packet[at + 8] ^= 1;
    peer_send(peer);
    expect(peer, "COOKIE_ACK");
    peer->association = expect_event(peer, BRAID_EVENT_UP)->association;
    /* once more, as if COOKIE ACK was lost */
    peer_send_cookie_echo(peer);
    expect(peer, NONE);
    peer_begin(peer);
    at = begin_auth(peer, 0, SHA1);
    cookie_echo_write(&peer->writer, peer->cookie, peer->cookie_length);
    fill_mac(peer, &script, at, SHA1);
    peer_send(peer);
    expect(peer, "COOKIE_ACK");
}

/* The peer's COOKIE ECHO has another key than ours: told, but after the association is. */
static void test_key_of_cookie_echo(void **state)
{
    struct braid_parameters parameters = enabled();
    struct braid_keys *keys = braid_keys_new(NULL);
    struct script script = plain_script(1);
    const struct braid_event *event;
    struct peer *peer;
    size_t at;

    require(&parameters, SCTP_CHUNK_COOKIE_ECHO);
    assert_non_null(keys);
    assert_int_equal(braid_keys_set(keys, 1, "one", 3), 0);
    peer = peer_renew(state, &(struct peer_config){.parameters = &parameters, .keys = keys});
    script.shared = "one";
    learn_key(&script, accept_script(peer, &script));
    peer_begin(peer);
    at = begin_auth(peer, 1, SHA1);
    cookie_echo_write(&peer->writer, peer->cookie, peer->cookie_length);
    fill_mac(peer, &script, at, SHA1);
    peer_send(peer);
    expect(peer, "COOKIE_ACK");
    assert_true(peer->happened_count >= 2);
    assert_int_equal(peer->happened[0]->event.type, BRAID_EVENT_UP);
    event = expect_event(peer, BRAID_EVENT_AUTHENTICATION);
    assert_int_equal(event->authentication, BRAID_AUTHENTICATION_NEW_KEY);
    assert_int_equal(event->key, 1);
    expect_no_event(peer, BRAID_EVENT_AUTHENTICATION);
    braid_keys_free(keys);
}

/* The peer answers the engine's INIT, on its own terms. */
static void answer_init(struct peer *peer, struct script *script, const struct sent *init)
{
    size_t start;

    peer_read_init(peer, init);
    learn_key(script, init);
    start = peer_begin_init(peer, SCTP_CHUNK_INIT_ACK);
    parameter_write(&peer->writer, SCTP_PARAMETER_STATE_COOKIE, "biscuit", 7);
    write_terms(peer, script);
    chunk_end(&peer->writer, start);
    peer_send(peer);
}

/* The engine begins, with DATA in the same packet. */
static void connect_with(void **state, uint8_t type, const char *packet)
{
    struct braid_parameters parameters = enabled();
    struct peer *peer = renew(state, &parameters);
    struct script script = plain_script(1);
    const struct sent *sent;

    script.chunks[0] = type;
    script.chunk_count = 1;
    peer_start_connect(peer);
    assert_int_equal(peer_user_send(peer, 0, 100), 0);
    sent = expect(peer, "INIT");
    answer_init(peer, &script, sent);
    assert_authentic(&script, expect(peer, packet));
    assert_authentic(&script, expect_within(peer, 4 * SECOND, packet)); /* T1-cookie */
    peer_send_plain(peer, SCTP_CHUNK_COOKIE_ACK, 0);
    expect_event(peer, BRAID_EVENT_UP);
}

static void test_cookie_echo_with_data(void **state)
{
    connect_with(state, SCTP_CHUNK_COOKIE_ECHO, "AUTH COOKIE_ECHO DATA");
    connect_with(state, SCTP_CHUNK_DATA, "COOKIE_ECHO AUTH DATA");
}

/* A restart: the new keys count as soon as the cookie has been read. */
static void test_restart(void **state)
{
    struct braid_parameters parameters = enabled();
    struct script script = plain_script(1), again = plain_script(2);
    struct peer *peer;
    size_t at;

    require(&parameters, SCTP_CHUNK_DATA);
    peer = renew(state, &parameters);
    accept_all(peer, &script);
    peer->tag++;
    accept_script(peer, &again);
    send_data_authentic(peer, &again, 1000, 0, SHA1); /* too early */
    expect(peer, NONE);
    peer_begin(peer);
    cookie_echo_write(&peer->writer, peer->cookie, peer->cookie_length);
    at = begin_auth(peer, 0, SHA1);
    peer_write_data(peer, 1000, 0, 0, WHOLE, 7);
    fill_mac(peer, &again, at, SHA1);
    peer_send(peer);
    expect(peer, "COOKIE_ACK SACK");
    expect_event(peer, BRAID_EVENT_RESTART);
    expect_message(peer, 0, 1000, 7);
}

/* An INIT that crosses ours: our RANDOM stays what it was in our INIT. */
static void test_collision(void **state)
{
    struct braid_parameters parameters = enabled();
    struct script script = plain_script(1);
    uint8_t first[512], second[512];
    const struct sent *sent;
    struct peer *peer;
    size_t length, start;

    require(&parameters, SCTP_CHUNK_DATA);
    peer = renew(state, &parameters);
    peer_start_connect(peer);
    sent = expect(peer, "INIT");
    length = engine_vector(sent, first);
    start = peer_begin_init(peer, SCTP_CHUNK_INIT);
    write_terms(peer, &script);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    sent = expect(peer, "INIT_ACK");
    assert_int_equal(engine_vector(sent, second), length);
    assert_memory_equal(first, second, length);
    peer_read_init(peer, sent);
    learn_key(&script, sent);
    peer_send_cookie_echo(peer);
    expect(peer, "COOKIE_ACK");
    expect_event(peer, BRAID_EVENT_UP);
    send_data_authentic(peer, &script, 1000, 0, SHA1);
    expect_message(peer, 0, 1000, 7);
}

/* A cookie that we gave out before we called, with another RANDOM, does not touch the call. */
static void test_cookie_of_before(void **state)
{
    struct braid_parameters parameters = enabled();
    struct script script = plain_script(1);
    const struct sent *sent;
    struct peer *peer;
    uint32_t tag;

    require(&parameters, SCTP_CHUNK_DATA);
    peer = renew(state, &parameters);
    accept_script(peer, &script);
    tag = peer->engine_tag;
    peer_start_connect(peer);
    sent = expect(peer, "INIT");
    peer_begin_tag(peer, tag);
    cookie_echo_write(&peer->writer, peer->cookie, peer->cookie_length);
    peer_send(peer);
    expect(peer, NONE);
    answer_init(peer, &script, sent);
    expect(peer, "COOKIE_ECHO");
    peer_send_plain(peer, SCTP_CHUNK_COOKIE_ACK, 0);
    expect_event(peer, BRAID_EVENT_UP);
    send_data_authentic(peer, &script, 1000, 0, SHA1);
    expect_message(peer, 0, 1000, 7);
}

/* ---- Shared keys ---- */

static void send_with_key(struct peer *peer, uint16_t key, int result)
{
    struct braid_send send = {.flags = BRAID_SEND_KEY, .key = key};

    assert_int_equal(braid_send(peer->engine, peer->association, &send, "message", 7, peer->now),
                     result);
}

static void test_shared_keys(void **state)
{
    struct braid_parameters parameters = enabled();
    struct braid_keys *keys = braid_keys_new(NULL);
    struct script script = plain_script(1), one, two;
    const struct braid_event *event;
    const struct sent *init_ack, *sent;
    struct peer *peer;
    uint32_t tsn;

    require(&parameters, SCTP_CHUNK_DATA);
    parameters.no_delay = true;
    assert_non_null(keys);
    assert_int_equal(braid_keys_set(keys, 1, "overwritten", 11), 0);
    assert_int_equal(braid_keys_set(keys, 1, "secret one", 10), 0);
    assert_int_equal(braid_keys_change(keys, BRAID_KEY_ACTIVATE, 5), -EINVAL);
    assert_int_equal(braid_keys_change(keys, BRAID_KEY_ACTIVATE, 1), 0);
    assert_int_equal(braid_keys_change(keys, BRAID_KEY_DELETE, 1), -EINVAL);
    assert_int_equal(braid_keys_change(keys, BRAID_KEY_DEACTIVATE, 1), -EINVAL);
    peer = peer_renew(state, &(struct peer_config){.parameters = &parameters, .keys = keys});
    script.chunks[0] = SCTP_CHUNK_DATA;
    script.chunk_count = 1;
    init_ack = accept_script(peer, &script);
    one = two = script;
    one.shared = "secret one";
    learn_key(&one, init_ack);
    two.shared = "two";
    learn_key(&two, init_ack);
    peer_send_cookie_echo(peer);
    expect(peer, "COOKIE_ACK");
    peer->association = expect_event(peer, BRAID_EVENT_UP)->association;
    assert_int_equal(braid_association_set_key(peer->engine, peer->association, 2, "two", 3), 0);

    /* One packet has one key. */
    send_with_key(peer, 1, 0);
    send_with_key(peer, 1, 0);
    send_with_key(peer, 2, 0);
    send_with_key(peer, 9, -EINVAL);
    sent = expect(peer, "AUTH DATA DATA");
    assert_int_equal(assert_authentic(&one, sent).shared_key_identifier, 1);
    sent = expect(peer, "AUTH DATA");
    assert_int_equal(assert_authentic(&two, sent).shared_key_identifier, 2);
    tsn = sent_data(sent, 0).tsn;

    /* A key that is to go stays until what is bound to it was acknowledged. */
    assert_int_equal(
        braid_association_change_key(peer->engine, peer->association, BRAID_KEY_DEACTIVATE, 2), 0);
    send_with_key(peer, 2, -EINVAL);
    expect_no_event(peer, BRAID_EVENT_AUTHENTICATION);
    peer_send_sack(peer, tsn);
    event = expect_event(peer, BRAID_EVENT_AUTHENTICATION);
    assert_int_equal(event->authentication, BRAID_AUTHENTICATION_FREE_KEY);
    assert_int_equal(event->key, 2);

    /* The peer changes to another key. */
    send_data_authentic(peer, &one, 1000, 1, SHA1);
    expect_no_event(peer, BRAID_EVENT_AUTHENTICATION);
    send_data_authentic(peer, &two, 1001, 2, SHA1);
    event = expect_event(peer, BRAID_EVENT_AUTHENTICATION);
    assert_int_equal(event->authentication, BRAID_AUTHENTICATION_NEW_KEY);
    assert_int_equal(event->key, 2);
    send_data_authentic(peer, &script, 1002, 0, SHA1); /* the empty key is still there */
    expect_message(peer, 0, 1000, 7);
    expect_message(peer, 0, 1001, 7);
    expect_message(peer, 0, 1002, 7);
    assert_int_equal(
        braid_association_change_key(peer->engine, peer->association, BRAID_KEY_DELETE, 2), 0);
    send_data_authentic(peer, &two, 1003, 2, SHA1);
    expect_no_message(peer);
    braid_keys_free(keys);
}

/* A key that was deleted or replaced serves the messages that it was given for. */
static void test_deleted_key(void **state)
{
    struct braid_parameters parameters = enabled();
    struct peer *peer = renew(state, &parameters);
    struct script script = plain_script(1), two;

    script.chunks[0] = SCTP_CHUNK_DATA;
    script.chunk_count = 1;
    two = script;
    two.shared = "two";
    learn_key(&two, accept_script(peer, &script));
    peer_send_cookie_echo(peer);
    expect(peer, "COOKIE_ACK");
    peer->association = expect_event(peer, BRAID_EVENT_UP)->association;
    assert_int_equal(braid_association_set_key(peer->engine, peer->association, 2, "two", 3), 0);
    send_with_key(peer, 2, 0);
    assert_authentic(&two, expect(peer, "AUTH DATA"));
    assert_int_equal(
        braid_association_change_key(peer->engine, peer->association, BRAID_KEY_DELETE, 2), 0);
    assert_authentic(&two, expect_within(peer, 2 * SECOND, "AUTH DATA"));
    peer_send_sack(peer, peer->engine_initial_tsn);
    expect_no_event(peer, BRAID_EVENT_AUTHENTICATION);
}

/* ---- Two engines ---- */

static uint64_t received_bytes;

static void take_messages(struct host *host, const struct braid_event *event)
{
    struct braid_received received;

    if (event->type != BRAID_EVENT_READABLE)
        return;
    while (braid_receive(host->engine, event->association, &received, host->world->now) > 0) {
        received_bytes += received.length;
        braid_received_release(host->engine, &received, host->world->now);
    }
}

static void test_two_engines(void **state)
{
    struct braid_parameters parameters;
    struct braid_statistics counted;
    struct world *world;
    static const uint8_t message[30000];
    uint64_t sent_bytes = 0;

    (void)state;
    received_bytes = 0;
    braid_parameters_default(&parameters);
    parameters.authentication = true;
    for (uint8_t type = 0; type < 14; type++) {
        if (type != SCTP_CHUNK_INIT && type != SCTP_CHUNK_INIT_ACK)
            require(&parameters, type);
    }
    world = world_new(&(struct world_config){
        .seed = 7, .parameters = &parameters, .addresses = 2, .capture = getenv("CAPTURE")});
    world->event = take_messages;
    world_conditions(world)->loss = 0.02;
    world_connect(world, 0, 1);
    for (int i = 0; i < 40; i++) {
        struct host *host = &world->hosts[0];

        if (braid_send(host->engine, host->association, &(struct braid_send){.stream = 1}, message,
                       sizeof(message), world->now) == 0)
            sent_bytes += sizeof(message);
        world_run(world, SECOND);
    }
    world_run(world, 60 * SECOND);
    assert_int_equal(received_bytes, sent_bytes);
    assert_true(sent_bytes > 20 * sizeof(message));
    assert_int_equal(
        braid_shutdown(world->hosts[0].engine, world->hosts[0].association, world->now), 0);
    world_run(world, 60 * SECOND);
    braid_engine_statistics(world->hosts[1].engine, &counted);
    assert_int_equal(counted.associations_shut_down, 1);
    assert_int_equal(counted.bad_authentication, 0);
    assert_int_equal(counted.unauthenticated_chunks, 0);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        peer_test(test_off),
        peer_test(test_offered),
        peer_test(test_peer_without),
        peer_test(test_random_of_wrong_length),
        peer_test(test_receive),
        peer_test(test_bad_mac),
        peer_test(test_unsupported_hmac),
        peer_test(test_send),
        peer_test(test_order_of_vectors),
        peer_test(test_send_everything),
        peer_test(test_cookie_echo_required),
        peer_test(test_key_of_cookie_echo),
        peer_test(test_cookie_echo_with_data),
        peer_test(test_restart),
        peer_test(test_collision),
        peer_test(test_cookie_of_before),
        peer_test(test_shared_keys),
        peer_test(test_deleted_key),
        cmocka_unit_test(test_two_engines),
    };

    return cmocka_run_group_tests_name("auth", tests, NULL, NULL);
}
