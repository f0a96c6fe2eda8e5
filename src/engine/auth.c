/*
 * Authenticated chunks: what both sides agree on, keys, the AUTH chunk of what we send and of what
 * comes.
 *
 * RFC 4895, section 3 (what is offered), section 6.1 (keys), section 6.2 (sending), section 6.3
 * (receiving).
 *
 * Who writes a packet calls authentication_begin() where AUTH may have to stand, and
 * authentication_end() when the packet is complete: only then is it known whether something in it
 * needs AUTH, and with which key.
 */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <stdlib.h>

#include "engine/private.h"

static const struct {
    uint16_t identifier, length;
    const char *digest;
} hmacs[AUTH_HMACS] = {
    [AUTH_SHA1] = {1, 20, "SHA1"},
    [AUTH_SHA256] = {3, 32, "SHA256"},
};

static bool type_is_set(const uint8_t *types, uint8_t type)
{
    return types[type / 8] >> type % 8 & 1;
}

/* ---- What is offered: sections 3, 6.1 ---- */

void authentication_offer_read(struct authentication_offer *offer,
                               const struct sctp_parameter *parameter)
{
    struct sctp_parameter *place = NULL;

    if (parameter->type == SCTP_PARAMETER_RANDOM)
        place = &offer->random;
    else if (parameter->type == SCTP_PARAMETER_CHUNK_LIST)
        place = &offer->chunks;
    else if (parameter->type == SCTP_PARAMETER_HMAC_ALGORITHM)
        place = &offer->hmacs;
    if (place && !place->bytes) /* each comes once */
        *place = *parameter;
}

bool authentication_offer_take(const struct authentication_offer *offer,
                               struct authentication_terms *terms)
{
    const struct sctp_parameter *const parameters[] = {&offer->random, &offer->chunks,
                                                       &offer->hmacs};
    struct packet_writer writer;
    size_t count;

    terms->length = 0;
    if (offer->random.bytes && offer->random.value_length != AUTH_RANDOM_LENGTH)
        return false;
    if (!offer->random.bytes || !offer->hmacs.bytes || !hmac_algorithm_read(&offer->hmacs, &count))
        return true;
    packet_writer_init(&writer, terms->bytes, sizeof(terms->bytes));
    for (size_t i = 0; i < 3; i++) {
        if (parameters[i]->bytes)
            parameter_write(&writer, parameters[i]->type, parameters[i]->value,
                            parameters[i]->value_length);
    }
    if (!writer.overflowed)
        terms->length = (uint16_t)writer.length;
    return true;
}

void authentication_make_terms(struct braid_engine *engine,
                               const struct braid_parameters *parameters,
                               struct authentication_terms *terms)
{
    static const uint8_t asconf_types[] = {SCTP_CHUNK_ASCONF, SCTP_CHUNK_ASCONF_ACK};
    uint8_t random[AUTH_RANDOM_LENGTH], chunks[BRAID_AUTH_CHUNKS_MAXIMUM + 2];
    size_t count = minimum(parameters->auth_chunk_count, BRAID_AUTH_CHUNKS_MAXIMUM);
    struct packet_writer writer;

    memcpy(chunks, parameters->auth_chunks, count);
    for (size_t i = 0; parameters->asconf && i < 2; i++) { /* RFC 5061, 4.1.1, 4.1.2 */
        if (!memchr(chunks, asconf_types[i], count))
            chunks[count++] = asconf_types[i];
    }
    random_bytes(engine, random, sizeof(random));
    packet_writer_init(&writer, terms->bytes, sizeof(terms->bytes));
    parameter_write(&writer, SCTP_PARAMETER_RANDOM, random, sizeof(random));
    if (count > 0)
        parameter_write(&writer, SCTP_PARAMETER_CHUNK_LIST, chunks, count);
    hmac_algorithm_write(&writer, parameters->auth_hmacs, minimum(parameters->auth_hmac_count, 4));
    terms->length = (uint16_t)writer.length;
}

void authentication_write_terms(const struct authentication_terms *terms,
                                struct packet_writer *writer)
{
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;

    parameter_iterator_init(&iterator, terms->bytes, terms->length);
    while (parameter_next(&iterator, &parameter))
        parameter_write(writer, parameter.type, parameter.value, parameter.value_length);
}

static bool find_term(const struct authentication_terms *terms, uint16_t type,
                      struct sctp_parameter *parameter)
{
    struct parameter_iterator iterator;

    parameter_iterator_init(&iterator, terms->bytes, terms->length);
    while (parameter_next(&iterator, parameter)) {
        if (parameter->type == type)
            return true;
    }
    return false;
}

/* The first HMAC of the list that is ours too, as an index; AUTH_HMACS if there is none. */
static uint8_t choose_hmac(const struct authentication_terms *terms)
{
    struct sctp_parameter list;
    size_t count = 0;

    if (find_term(terms, SCTP_PARAMETER_HMAC_ALGORITHM, &list))
        hmac_algorithm_read(&list, &count);
    for (size_t i = 0; i < count; i++) {
        for (unsigned int hmac = 0; hmac < AUTH_HMACS; hmac++) {
            if (hmacs[hmac].identifier == hmac_algorithm_get(&list, i))
                return (uint8_t)hmac;
        }
    }
    return AUTH_HMACS;
}

/* Section 3.2: some types do not count, whatever the list says. */
static void read_chunk_types(const struct authentication_terms *terms, uint8_t *types)
{
    struct sctp_parameter list;

    memset(types, 0, 32);
    if (!find_term(terms, SCTP_PARAMETER_CHUNK_LIST, &list))
        return;
    for (uint16_t i = 0; i < list.value_length; i++) {
        uint8_t type = list.value[i];

        if (type != SCTP_CHUNK_INIT && type != SCTP_CHUNK_INIT_ACK &&
            type != SCTP_CHUNK_SHUTDOWN_COMPLETE && type != SCTP_CHUNK_AUTH)
            types[type / 8] |= (uint8_t)(1u << type % 8);
    }
}

/* ---- An association's authentication ---- */

struct authentication *authentication_new(struct sctp_association *association)
{
    struct authentication *authentication = calloc(1, sizeof(*authentication));

    if (!authentication)
        return NULL;
    authentication->keys = braid_keys_new(association->endpoint->keys);
    if (!authentication->keys) {
        free(authentication);
        return NULL;
    }
    authentication_make_terms(association->engine, &association->parameters,
                              &authentication->local);
    return authentication;
}

void authentication_free(struct authentication *authentication)
{
    if (!authentication)
        return;
    braid_keys_free(authentication->keys);
    free(authentication);
}

void authentication_agree(struct sctp_association *association,
                          const struct authentication_terms *local,
                          const struct authentication_terms *peer)
{
    struct authentication *authentication = association->authentication;

    if (!authentication)
        return;
    if (local != &authentication->local)
        authentication->local = *local;
    authentication->peer = *peer;
    authentication->hmac = choose_hmac(peer);
    authentication->capable =
        local->length > 0 && peer->length > 0 && authentication->hmac < AUTH_HMACS;
    authentication->bundled = false;
    read_chunk_types(local, authentication->local_chunks);
    read_chunk_types(peer, authentication->peer_chunks);
    for (unsigned int type = 0; type < 256; type++)
        authentication->bundled |= type != SCTP_CHUNK_ASCONF && type != SCTP_CHUNK_ASCONF_ACK &&
                                   type_is_set(authentication->peer_chunks, (uint8_t)type);
    authentication->peer_key = authentication->keys->active;
    keys_forget_contexts(authentication->keys);
}

bool authentication_is_capable(const struct sctp_association *association)
{
    return association->authentication && association->authentication->capable;
}

bool authentication_expects(const struct sctp_association *association, uint8_t chunk_type)
{
    const struct authentication *authentication = association->authentication;

    return authentication && authentication->capable &&
           type_is_set(authentication->local_chunks, chunk_type);
}

bool authentication_owes(const struct sctp_association *association, uint8_t chunk_type)
{
    const struct authentication *authentication = association->authentication;

    return authentication && authentication->capable &&
           type_is_set(authentication->peer_chunks, chunk_type);
}

void authentication_tell(struct sctp_association *association,
                         enum braid_authentication_indication indication, uint16_t key)
{
    struct braid_event event = {
        .type = BRAID_EVENT_AUTHENTICATION,
        .association = association->id,
        .endpoint = association->endpoint->id,
        .authentication = indication,
        .key = key,
    };

    event_add(association->engine, &event, NULL, 0);
}

/* ---- The MAC: section 6.1, 6.2 ---- */

/* A key vector: the terms without the padding between them. */
static size_t key_vector(const struct authentication_terms *terms, uint8_t *vector)
{
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;
    size_t length = 0;

    parameter_iterator_init(&iterator, terms->bytes, terms->length);
    while (parameter_next(&iterator, &parameter)) {
        memcpy(vector + length, parameter.bytes, parameter.length);
        length += parameter.length;
    }
    return length;
}

/* The shared key, the vector that is the smaller number, the larger one. A vector never begins with
 * a zero byte, so the shorter of two is the smaller. */
static uint8_t *association_shared_key(const struct authentication *authentication,
                                       const struct shared_key *key, size_t *length)
{
    uint8_t local[AUTH_TERMS_MAXIMUM], peer[AUTH_TERMS_MAXIMUM];
    size_t local_length = key_vector(&authentication->local, local);
    size_t peer_length = key_vector(&authentication->peer, peer);
    bool local_first = local_length != peer_length ? local_length < peer_length
                                                   : memcmp(local, peer, local_length) < 0;
    uint8_t *bytes = malloc(key->length + local_length + peer_length);

    *length = key->length + local_length + peer_length;
    if (!bytes)
        return NULL;
    memcpy(bytes, key->bytes, key->length);
    memcpy(bytes + key->length + (local_first ? 0 : peer_length), local, local_length);
    memcpy(bytes + key->length + (local_first ? local_length : 0), peer, peer_length);
    return bytes;
}

/* A context that has been given the association shared key. */
static EVP_MAC_CTX *make_context(const struct authentication *authentication,
                                 const struct shared_key *key, uint8_t hmac)
{
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)hmacs[hmac].digest, 0),
        OSSL_PARAM_construct_end()};
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(algorithm);
    size_t length;
    uint8_t *bytes = association_shared_key(authentication, key, &length);

    if (!context || !bytes || !EVP_MAC_init(context, bytes, length, parameters)) {
        EVP_MAC_CTX_free(context);
        context = NULL;
    }
    if (bytes)
        OPENSSL_cleanse(bytes, length);
    free(bytes); /* as it came from malloc() */
    EVP_MAC_free(algorithm);
    return context;
}

/* The MAC of an AUTH chunk and all that follows: its own place in there counts as zeros. */
static bool compute_mac(const struct authentication *authentication, struct shared_key *key,
                        uint8_t hmac, const uint8_t *bytes, size_t length, uint8_t *mac)
{
    static const uint8_t zeros[32];
    size_t mac_length = hmacs[hmac].length;
    EVP_MAC_CTX **context = &key->contexts[hmac];
    size_t behind = 8 + mac_length;

    if (!*context)
        *context = make_context(authentication, key, hmac);
    return *context && EVP_MAC_init(*context, NULL, 0, NULL) &&
           EVP_MAC_update(*context, bytes, 8) && EVP_MAC_update(*context, zeros, mac_length) &&
           EVP_MAC_update(*context, bytes + behind, length - behind) &&
           EVP_MAC_final(*context, mac, &mac_length, mac_length);
}

/* ---- Sending: section 6.2 ---- */

size_t authentication_overhead(const struct sctp_association *association)
{
    const struct authentication *authentication = association->authentication;

    if (!authentication || !authentication->capable || !authentication->bundled)
        return 0;
    return 8u + hmacs[authentication->hmac].length;
}

static void write_auth(const struct authentication *authentication, struct packet_writer *writer,
                       uint16_t key)
{
    auth_write(writer, &(struct sctp_auth){
                           .shared_key_identifier = key,
                           .hmac_identifier = hmacs[authentication->hmac].identifier,
                           .hmac_length = hmacs[authentication->hmac].length,
                       });
}

void authentication_begin(struct sctp_association *association, struct packet_writer *writer,
                          bool asconf)
{
    struct authentication *authentication = association->authentication;

    if (!authentication || !authentication->capable || (!authentication->bundled && !asconf))
        return;
    authentication->begun = true;
    authentication->packet_key = NULL;
    write_auth(authentication, writer, 0);
}

static struct shared_key *active_key(const struct authentication *authentication)
{
    return keys_find(authentication->keys, authentication->keys->active);
}

bool authentication_permits(struct sctp_association *association,
                            const struct sent_message *message)
{
    struct authentication *authentication = association->authentication;
    struct shared_key *key;

    if (!authentication_owes(association, data_chunk_type(association)))
        return true;
    key = message->key ? message->key : active_key(authentication);
    if (!authentication->packet_key)
        authentication->packet_key = key;
    return authentication->packet_key == key;
}

void authentication_end(struct sctp_association *association, struct packet_writer *writer)
{
    struct authentication *authentication = association->authentication;
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;
    struct shared_key *key;
    struct packet_writer again;
    bool needed = false;
    size_t at = 0, behind;

    if (!authentication || !authentication->begun || writer->overflowed)
        return;
    authentication->begun = false;
    chunk_iterator_init(&iterator, writer->bytes, writer->length);
    while (!needed && chunk_next(&iterator, &chunk)) {
        if (chunk.type == SCTP_CHUNK_AUTH)
            at = (size_t)(chunk.bytes - writer->bytes);
        else if (at > 0)
            needed = type_is_set(authentication->peer_chunks, chunk.type);
    }
    if (at == 0)
        return;
    behind = at + 8 + hmacs[authentication->hmac].length;
    if (!needed) {
        memmove(writer->bytes + at, writer->bytes + behind, writer->length - behind);
        writer->length -= behind - at;
        return;
    }
    key = authentication->packet_key ? authentication->packet_key : active_key(authentication);
    packet_writer_init(&again, writer->bytes + at, behind - at);
    write_auth(authentication, &again, key->identifier);
    writer->overflowed = !compute_mac(authentication, key, authentication->hmac, writer->bytes + at,
                                      writer->length - at, writer->bytes + at + 8);
}

/* ---- Messages and their keys ---- */

int authentication_bind(struct sctp_association *association, struct sent_message *message)
{
    struct authentication *authentication = association->authentication;
    bool chosen = message->send.flags & BRAID_SEND_KEY;
    bool owed = authentication_owes(association, data_chunk_type(association));
    struct shared_key *key;

    if (!authentication || (!owed && (!chosen || association->state >= BRAID_COOKIE_ECHOED)))
        return 0;
    key =
        keys_find(authentication->keys, chosen ? message->send.key : authentication->keys->active);
    if (!key || key->deactivated)
        return owed ? -EINVAL : 0;
    key->references++;
    message->key = key;
    return 0;
}

void authentication_unbind(struct sctp_association *association, struct sent_message *message)
{
    struct shared_key *key = message->key;

    if (!key)
        return;
    message->key = NULL;
    if (key->deactivated && key->listed && key->references == 2)
        authentication_tell(association, BRAID_AUTHENTICATION_FREE_KEY, key->identifier);
    shared_key_release(key);
}

/* ---- Receiving: section 6.3 ---- */

/* The HMAC is one that we asked for; as an index, AUTH_HMACS if not. */
static uint8_t requested_hmac(const struct authentication *authentication, uint16_t identifier)
{
    struct sctp_parameter list;
    size_t count = 0;
    bool requested = false;
    uint8_t hmac = 0;

    if (find_term(&authentication->local, SCTP_PARAMETER_HMAC_ALGORITHM, &list))
        hmac_algorithm_read(&list, &count);
    for (size_t i = 0; i < count; i++)
        requested |= hmac_algorithm_get(&list, i) == identifier;
    while (hmac < AUTH_HMACS && (!requested || hmacs[hmac].identifier != identifier))
        hmac++;
    return hmac;
}

static bool verify(struct sctp_association *association, const struct arrival *arrival,
                   const struct sctp_chunk *chunk)
{
    const struct authentication *authentication = association->authentication;
    const uint8_t *packet = arrival->packet->bytes;
    struct packet_writer *errors = &association->engine->errors;
    size_t before = errors->length;
    struct sctp_auth auth;
    struct shared_key *key;
    uint8_t mac[32];
    uint8_t hmac;

    if (arrival->authenticated || !auth_read(chunk, &auth)) /* 5.1: once in a packet */
        return false;
    hmac = requested_hmac(authentication, auth.hmac_identifier);
    if (hmac == AUTH_HMACS) {
        unsupported_hmac_write(errors, auth.hmac_identifier);
        errors_end(association->engine, before);
        return false;
    }
    key = keys_find(authentication->keys, auth.shared_key_identifier);
    return key && auth.hmac_length == hmacs[hmac].length &&
           compute_mac(authentication, key, hmac, chunk->bytes,
                       (size_t)(packet + arrival->packet->length - chunk->bytes), mac) &&
           CRYPTO_memcmp(mac, auth.hmac, auth.hmac_length) == 0;
}

bool authentication_receive(struct sctp_association *association, const struct arrival *arrival,
                            const struct sctp_chunk *chunk)
{
    struct authentication *authentication = association->authentication;
    struct sctp_auth auth;

    if (!authentication || !authentication->capable)
        return false;
    if (!verify(association, arrival, chunk)) {
        association->engine->statistics.bad_authentication++;
        return false;
    }
    if (auth_read(chunk, &auth) && auth.shared_key_identifier != authentication->peer_key) {
        authentication->peer_key = auth.shared_key_identifier;
        authentication->peer_key_is_new = true;
        authentication_tell_new_key(association);
    }
    return true;
}

void authentication_tell_new_key(struct sctp_association *association)
{
    struct authentication *authentication = association->authentication;

    if (!association->was_up || !authentication->peer_key_is_new)
        return;
    authentication->peer_key_is_new = false;
    authentication_tell(association, BRAID_AUTHENTICATION_NEW_KEY, authentication->peer_key);
}

/* ---- The public functions ---- */

static struct authentication *find_capable(const struct braid_engine *engine, uint32_t identifier)
{
    const struct sctp_association *association = association_find(engine, identifier);

    if (!association || !association->authentication || !association->authentication->capable)
        return NULL;
    return association->authentication;
}

int braid_association_set_key(struct braid_engine *engine, uint32_t identifier, uint16_t key,
                              const void *bytes, size_t length)
{
    struct authentication *authentication = find_capable(engine, identifier);

    return authentication ? braid_keys_set(authentication->keys, key, bytes, length) : -EACCES;
}

int braid_association_change_key(struct braid_engine *engine, uint32_t identifier,
                                 enum braid_key_change change, uint16_t key_identifier)
{
    struct authentication *authentication = find_capable(engine, identifier);
    const struct shared_key *key;
    int error;

    if (!authentication)
        return -EACCES;
    error = braid_keys_change(authentication->keys, change, key_identifier);
    if (error == 0 && change == BRAID_KEY_DEACTIVATE) {
        key = keys_find(authentication->keys, key_identifier);
        if (key->references == 1)
            authentication_tell(association_find(engine, identifier), BRAID_AUTHENTICATION_FREE_KEY,
                                key_identifier);
    }
    return error;
}

static uint16_t list_chunks(const struct authentication_terms *terms, uint8_t *types)
{
    struct sctp_parameter list;

    if (!find_term(terms, SCTP_PARAMETER_CHUNK_LIST, &list))
        return 0;
    if (list.value_length > 256)
        return 0;
    memcpy(types, list.value, list.value_length);
    return list.value_length;
}

int braid_association_authentication(const struct braid_engine *engine, uint32_t identifier,
                                     struct braid_authentication_info *info)
{
    const struct authentication *authentication = find_capable(engine, identifier);

    if (!association_find(engine, identifier))
        return -ENOENT;
    *info = (struct braid_authentication_info){0};
    if (!authentication)
        return 0;
    info->capable = true;
    info->asconf = association_find(engine, identifier)->asconf &&
                   association_find(engine, identifier)->asconf->capable;
    info->active_key = authentication->keys->active;
    info->hmac = hmacs[authentication->hmac].identifier;
    info->local_chunk_count = list_chunks(&authentication->local, info->local_chunks);
    info->peer_chunk_count = list_chunks(&authentication->peer, info->peer_chunks);
    return 0;
}
