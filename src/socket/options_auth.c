/* Options of authentication (RFC 4895).
 *
 * RFC 6458, section 8.1.17, 8.1.18 (SCTP_HMAC_IDENT, SCTP_AUTH_ACTIVE_KEY), 8.2.3, 8.2.4 (lists of
 * chunks), 8.3.2 to 8.3.5 (SCTP_AUTH_CHUNK, keys). As on Linux everything but SCTP_AUTH_SUPPORTED
 * answers EACCES as long as that is off, or for an association that was set up without it.
 */
#include "socket/options.h"

#define HMACS_MAXIMUM 4u /* Linux's SCTP_AUTH_NUM_HMACS */

static int check_enabled(const struct option_call *call)
{
    return call->socket->parameters.authentication ? 0 : -EACCES;
}

bool option_add_auth_chunk(struct braid_parameters *parameters, uint8_t type)
{
    for (uint8_t i = 0; i < parameters->auth_chunk_count; i++) {
        if (parameters->auth_chunks[i] == type)
            return true;
    }
    if (parameters->auth_chunk_count == BRAID_AUTH_CHUNKS_MAXIMUM)
        return false;
    parameters->auth_chunks[parameters->auth_chunk_count++] = type;
    return true;
}

void option_require_asconf(struct sctp_socket *socket)
{
    struct braid_parameters *parameters = &socket->parameters;

    if (!parameters->asconf || !parameters->authentication)
        return;
    option_add_auth_chunk(parameters, 0xc1); /* ASCONF: RFC 5061, 4.1.1 */
    option_add_auth_chunk(parameters, 0x80); /* ASCONF ACK: 4.1.2 */
}

/* What setup agreed on with the peer of an association. */
static int agreed(const struct socket_association *association,
                  struct braid_authentication_info *info)
{
    int error = braid_association_authentication(association->socket->table->engine,
                                                 association->engine, info);

    return error < 0 || info->capable ? error : -EACCES;
}

static int get_supported(struct option_call *call)
{
    struct socket_association *association = NULL;
    struct braid_authentication_info info = {0};
    struct sctp_assoc_value value;
    int error = option_read_value(call, &value, &association);

    if (error < 0)
        return error;
    value.assoc_value = call->socket->parameters.authentication;
    if (association)
        value.assoc_value = agreed(association, &info) == 0;
    return option_answer(call, &value, sizeof(value));
}

static int set_supported(struct option_call *call)
{
    struct socket_association *association = NULL;
    struct sctp_assoc_value value;
    int error = option_read_value_exactly(call, &value, &association);

    if (error < 0)
        return error;
    call->socket->parameters.authentication = value.assoc_value != 0;
    option_require_asconf(call->socket);
    socket_apply_parameters(call->socket);
    return 0;
}

static int set_chunk(struct option_call *call)
{
    struct sctp_authchunk chunk;
    int error = check_enabled(call);

    if (error == 0)
        error = option_read_exactly(call, &chunk, sizeof(chunk));
    if (error < 0)
        return error;
    switch (chunk.sauth_chunk) {
    case 1:  /* INIT */
    case 2:  /* INIT ACK */
    case 14: /* SHUTDOWN COMPLETE */
    case 15: /* AUTH: RFC 4895, 3.2 */
        return -EINVAL;
    default:
        break;
    }
    if (!option_add_auth_chunk(&call->socket->parameters, chunk.sauth_chunk))
        return -EINVAL;
    socket_apply_parameters(call->socket);
    return 0;
}

static int get_hmac_ident(struct option_call *call)
{
    const struct braid_parameters *parameters = &call->socket->parameters;
    struct sctp_hmacalgo *answer = call->value;
    size_t length = sizeof(*answer) + parameters->auth_hmac_count * sizeof(uint16_t);

    if (check_enabled(call) < 0)
        return -EACCES;
    if (call->length < length)
        return -EINVAL;
    answer->shmac_num_idents = parameters->auth_hmac_count;
    memcpy(answer->shmac_idents, parameters->auth_hmacs,
           parameters->auth_hmac_count * sizeof(uint16_t));
    call->length = length;
    return 0;
}

static int set_hmac_ident(struct option_call *call)
{
    struct braid_parameters *parameters = &call->socket->parameters;
    struct sctp_hmacalgo header;
    uint16_t identifiers[HMACS_MAXIMUM];
    bool has_sha1 = false;

    if (check_enabled(call) < 0)
        return -EACCES;
    if (option_read(call, &header, sizeof(header)) < 0 || header.shmac_num_idents == 0 ||
        header.shmac_num_idents > HMACS_MAXIMUM ||
        header.shmac_num_idents * sizeof(uint16_t) > call->length - sizeof(header))
        return -EINVAL;
    memcpy(identifiers, (const uint8_t *)call->value + sizeof(header),
           header.shmac_num_idents * sizeof(uint16_t));
    for (uint32_t i = 0; i < header.shmac_num_idents; i++) {
        if (identifiers[i] != SCTP_AUTH_HMAC_ID_SHA1 && identifiers[i] != SCTP_AUTH_HMAC_ID_SHA256)
            return -EOPNOTSUPP;
        has_sha1 |= identifiers[i] == SCTP_AUTH_HMAC_ID_SHA1;
    }
    if (!has_sha1)
        return -EINVAL;
    memcpy(parameters->auth_hmacs, identifiers, sizeof(identifiers));
    parameters->auth_hmac_count = (uint8_t)header.shmac_num_idents;
    socket_apply_parameters(call->socket);
    return 0;
}

/* ---- Keys ---- */

/* What is to be done with a key, in the socket's ring or an association's. */
struct key_change {
    enum { KEY_SET, KEY_CHANGE } kind;
    enum braid_key_change change;
    uint16_t identifier;
    const uint8_t *bytes;
    size_t length;
};

static int change_in_association(const struct socket_association *association,
                                 const struct key_change *change)
{
    struct braid_engine *engine = association->socket->table->engine;

    if (change->kind == KEY_SET)
        return braid_association_set_key(engine, association->engine, change->identifier,
                                         change->bytes, change->length);
    return braid_association_change_key(engine, association->engine, change->change,
                                        change->identifier);
}

static int change_in_socket(const struct sctp_socket *socket, const struct key_change *change)
{
    if (!socket->parameters.authentication)
        return -EACCES;
    if (change->kind == KEY_SET)
        return braid_keys_set(socket->keys, change->identifier, change->bytes, change->length);
    return braid_keys_change(socket->keys, change->change, change->identifier);
}

/* Which rings are meant, as for option_for_each(); the first error of several is told. */
static int change_keys(const struct option_call *call, sctp_assoc_t identifier,
                       const struct key_change *change)
{
    struct sctp_socket *socket = call->socket;
    const struct socket_association *association = socket_find_association(socket, identifier);
    int error = 0;

    if (association)
        return change_in_association(association, change);
    if (!socket_is_one_to_many(socket))
        identifier = SCTP_FUTURE_ASSOC;
    else if (identifier > SCTP_ALL_ASSOC)
        return -EINVAL;
    if (identifier == SCTP_FUTURE_ASSOC || identifier == SCTP_ALL_ASSOC)
        error = change_in_socket(socket, change);
    if (error < 0 || (identifier != SCTP_CURRENT_ASSOC && identifier != SCTP_ALL_ASSOC))
        return error;
    LIST_FOR_EACH(link, &socket->associations)
    {
        association = LIST_ENTRY(link, struct socket_association, link);
        if (!association->down) {
            int result = change_in_association(association, change);

            error = error < 0 ? error : result;
        }
    }
    return error;
}

static int set_key(struct option_call *call)
{
    struct key_change change = {.kind = KEY_SET};
    struct sctp_authkey key;

    if (call->length <= sizeof(key) || option_read(call, &key, sizeof(key)) < 0 ||
        key.sca_keylength > call->length - sizeof(key))
        return -EINVAL;
    change.identifier = key.sca_keynumber;
    change.bytes = (const uint8_t *)call->value + sizeof(key);
    change.length = key.sca_keylength;
    return change_keys(call, key.sca_assoc_id, &change);
}

static int change_key(struct option_call *call, enum braid_key_change change)
{
    struct sctp_authkeyid key;

    if (option_read_exactly(call, &key, sizeof(key)) < 0)
        return -EINVAL;
    return change_keys(call, key.scact_assoc_id,
                       &(struct key_change){.kind = KEY_CHANGE,
                                            .change = change,
                                            .identifier = key.scact_keynumber});
}

static int set_active_key(struct option_call *call)
{
    return change_key(call, BRAID_KEY_ACTIVATE);
}

static int set_delete_key(struct option_call *call)
{
    return change_key(call, BRAID_KEY_DELETE);
}

static int set_deactivate_key(struct option_call *call)
{
    return change_key(call, BRAID_KEY_DEACTIVATE);
}

static int get_active_key(struct option_call *call)
{
    struct socket_association *association = NULL;
    struct braid_authentication_info info = {0};
    struct sctp_authkeyid key;
    int error = option_read(call, &key, sizeof(key));

    if (error == 0)
        error = option_association(call, key.scact_assoc_id, &association);
    if (error == 0)
        error = association ? agreed(association, &info) : check_enabled(call);
    if (error < 0)
        return error;
    key.scact_keynumber = association ? info.active_key : braid_keys_active(call->socket->keys);
    return option_answer(call, &key, sizeof(key));
}

/* ---- Lists of chunks ---- */

static int answer_chunks(struct option_call *call, const uint8_t *types, uint32_t count)
{
    struct sctp_authchunks header = {0};

    if (call->length < sizeof(header) + count)
        return -EINVAL;
    memcpy(&header, call->value, sizeof(header));
    header.gauth_number_of_chunks = count;
    memcpy(call->value, &header, sizeof(header));
    memcpy((uint8_t *)call->value + sizeof(header), types, count);
    call->length = sizeof(header) + count;
    return 0;
}

static int get_peer_chunks(struct option_call *call)
{
    const struct socket_association *association;
    struct braid_authentication_info info = {0};
    struct sctp_authchunks header;
    int error = option_read(call, &header, sizeof(header));

    if (error < 0)
        return error;
    association = socket_find_association(call->socket, header.gauth_assoc_id);
    if (!association)
        return -EINVAL;
    error = agreed(association, &info);
    return error < 0 ? error : answer_chunks(call, info.peer_chunks, info.peer_chunk_count);
}

static int get_local_chunks(struct option_call *call)
{
    const struct braid_parameters *parameters = &call->socket->parameters;
    struct socket_association *association = NULL;
    struct braid_authentication_info info = {0};
    struct sctp_authchunks header;
    int error = option_read(call, &header, sizeof(header));

    if (error == 0)
        error = option_association(call, header.gauth_assoc_id, &association);
    if (error == 0)
        error = association ? agreed(association, &info) : check_enabled(call);
    if (error < 0)
        return error;
    if (association)
        return answer_chunks(call, info.local_chunks, info.local_chunk_count);
    return answer_chunks(call, parameters->auth_chunks, parameters->auth_chunk_count);
}

const struct option options_of_auth[] = {
    {SOL_SCTP, SCTP_AUTH_SUPPORTED, get_supported, set_supported},
    {SOL_SCTP, SCTP_AUTH_CHUNK, option_get_refused, set_chunk},
    {SOL_SCTP, SCTP_HMAC_IDENT, get_hmac_ident, set_hmac_ident},
    {SOL_SCTP, SCTP_AUTH_KEY, option_get_refused, set_key},
    {SOL_SCTP, SCTP_AUTH_ACTIVE_KEY, get_active_key, set_active_key},
    {SOL_SCTP, SCTP_AUTH_DELETE_KEY, option_get_refused, set_delete_key},
    {SOL_SCTP, SCTP_AUTH_DEACTIVATE_KEY, option_get_refused, set_deactivate_key},
    {SOL_SCTP, SCTP_PEER_AUTH_CHUNKS, get_peer_chunks, NULL},
    {SOL_SCTP, SCTP_LOCAL_AUTH_CHUNKS, get_local_chunks, NULL},
    {0},
};
