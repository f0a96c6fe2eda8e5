/*
 * What a scripted peer knows of RFC 4895. See script.h.
 */
#include "script.h"

#include <openssl/hmac.h>

struct script plain_script(uint8_t fill)
{
    struct script script = {.random_length = 32, .hmacs = {SHA1}, .hmac_count = 1, .shared = ""};

    memset(script.random, fill, sizeof(script.random));
    return script;
}

struct braid_parameters enabled(void)
{
    struct braid_parameters parameters = peer_parameters();

    parameters.authentication = true;
    return parameters;
}

struct braid_parameters with_asconf(void)
{
    struct braid_parameters parameters = enabled();

    parameters.asconf = true;
    return parameters;
}

struct script asconf_script(void)
{
    struct script script = plain_script(1);

    script.asconf = true;
    script.chunks[0] = SCTP_CHUNK_ASCONF;
    script.chunks[1] = SCTP_CHUNK_ASCONF_ACK;
    script.chunk_count = 2;
    return script;
}

void require(struct braid_parameters *parameters, uint8_t type)
{
    parameters->auth_chunks[parameters->auth_chunk_count++] = type;
}

void write_terms(struct peer *peer, const struct script *script)
{
    static const uint8_t extensions[] = {SCTP_CHUNK_AUTH, SCTP_CHUNK_ASCONF, SCTP_CHUNK_ASCONF_ACK};

    if (script->asconf)
        parameter_write(&peer->writer, SCTP_PARAMETER_SUPPORTED_EXTENSIONS, extensions,
                        sizeof(extensions));
    parameter_write(&peer->writer, SCTP_PARAMETER_RANDOM, script->random, script->random_length);
    if (script->chunk_count > 0)
        parameter_write(&peer->writer, SCTP_PARAMETER_CHUNK_LIST, script->chunks,
                        script->chunk_count);
    hmac_algorithm_write(&peer->writer, script->hmacs, script->hmac_count);
}

/* ---- Keys, by hand: 6.1 ---- */

static size_t put_parameter(uint8_t *bytes, uint16_t type, const void *value, size_t length)
{
    wire_put_u16(bytes, type);
    wire_put_u16(bytes + 2, (uint16_t)(4 + length));
    memcpy(bytes + 4, value, length);
    return 4 + length;
}

static size_t peer_vector(const struct script *script, uint8_t *vector)
{
    uint8_t hmacs[8];
    size_t at = put_parameter(vector, 0x8002, script->random, 32);

    for (size_t i = 0; i < script->hmac_count; i++)
        wire_put_u16(hmacs + 2 * i, script->hmacs[i]);
    if (script->chunk_count > 0)
        at += put_parameter(vector + at, 0x8003, script->chunks, script->chunk_count);
    return at + put_parameter(vector + at, 0x8004, hmacs, 2 * script->hmac_count);
}

size_t engine_vector(const struct sent *sent, uint8_t *vector)
{
    size_t length = 0;

    for (uint16_t type = 0x8002; type <= 0x8004; type++) {
        struct sctp_parameter parameter;

        if (!sent_parameter(sent, type, &parameter))
            continue;
        memcpy(vector + length, parameter.bytes, parameter.length);
        length += parameter.length;
    }
    return length;
}

/* From the INIT or INIT ACK of the engine. Returns true if the engine's vector is the smaller. */
bool learn_key(struct script *script, const struct sent *sent)
{
    uint8_t ours[512], theirs[512];
    size_t ours_length = peer_vector(script, ours);
    size_t theirs_length = engine_vector(sent, theirs);
    bool engine_first = theirs_length != ours_length ? theirs_length < ours_length
                                                     : memcmp(theirs, ours, ours_length) < 0;
    size_t at = strlen(script->shared);

    memcpy(script->key, script->shared, at);
    if (engine_first) {
        memcpy(script->key + at, theirs, theirs_length);
        memcpy(script->key + at + theirs_length, ours, ours_length);
    } else {
        memcpy(script->key + at, ours, ours_length);
        memcpy(script->key + at + ours_length, theirs, theirs_length);
    }
    script->key_length = at + ours_length + theirs_length;
    return engine_first;
}

static size_t mac_of(const struct script *script, uint16_t hmac, const uint8_t *bytes,
                     size_t length, uint8_t *mac)
{
    unsigned int mac_length = 0;

    assert_non_null(HMAC(hmac == SHA1 ? EVP_sha1() : EVP_sha256(), script->key,
                         (int)script->key_length, bytes, length, mac, &mac_length));
    return mac_length;
}

/* Begins a packet with AUTH; chunks follow; then send_authentic(). */
size_t begin_auth(struct peer *peer, uint16_t key, uint16_t hmac)
{
    size_t at = peer->writer.length;

    assert_non_null(
        auth_write(&peer->writer, &(struct sctp_auth){.shared_key_identifier = key,
                                                      .hmac_identifier = hmac,
                                                      .hmac_length = hmac == SHA1 ? 20 : 32}));
    return at;
}

void fill_mac(struct peer *peer, const struct script *script, size_t at, uint16_t hmac)
{
    uint8_t mac[32];
    size_t length = mac_of(script, hmac, peer->packet + at, peer->writer.length - at, mac);

    memcpy(peer->packet + at + 8, mac, length);
}

void send_data_authentic(struct peer *peer, const struct script *script, uint32_t tsn, uint16_t key,
                         uint16_t hmac)
{
    size_t at;

    peer_begin(peer);
    at = begin_auth(peer, key, hmac);
    peer_write_data(peer, tsn, 0, (uint16_t)(tsn - peer->initial_tsn), WHOLE, 7);
    fill_mac(peer, script, at, hmac);
    peer_send(peer);
}

/* The AUTH chunk of a packet of the engine is right. */
struct sctp_auth assert_authentic(const struct script *script, const struct sent *sent)
{
    struct sctp_chunk chunk = sent_chunk(sent, SCTP_CHUNK_AUTH);
    size_t at = (size_t)(chunk.bytes - sent->bytes);
    struct sctp_auth auth;
    uint8_t copy[2048], mac[32];

    assert_true(auth_read(&chunk, &auth));
    memcpy(copy, sent->bytes, sent->length);
    memset(copy + at + 8, 0, auth.hmac_length);
    assert_int_equal(mac_of(script, auth.hmac_identifier, copy + at, sent->length - at, mac),
                     auth.hmac_length);
    assert_memory_equal(mac, auth.hmac, auth.hmac_length);
    return auth;
}

/* The peer sets an association up, and both have AUTH. Returns the INIT ACK. */
const struct sent *accept_script(struct peer *peer, struct script *script)
{
    size_t start = peer_begin_init(peer, SCTP_CHUNK_INIT);
    const struct sent *sent;

    assert_int_equal(braid_endpoint_listen(peer->engine, peer->endpoint, 5), 0);
    write_terms(peer, script);
    chunk_end(&peer->writer, start);
    peer_send(peer);
    sent = expect(peer, "INIT_ACK");
    peer_read_init(peer, sent);
    learn_key(script, sent);
    return sent;
}

void accept_all(struct peer *peer, struct script *script)
{
    accept_script(peer, script);
    peer_send_cookie_echo(peer);
    (void)peer_next(peer);
    peer->association = expect_event(peer, BRAID_EVENT_UP)->association;
}
