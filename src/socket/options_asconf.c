/* Options of dynamic addresses (RFC 5061).
 *
 * RFC 6458, section 8.1.23 (SCTP_AUTO_ASCONF), 8.3.1 (SCTP_SET_PEER_PRIMARY_ADDR), and Linux's
 * SCTP_ASCONF_SUPPORTED. What changes addresses is sctp_bindx(): bind.c.
 */
#include "socket/options.h"

static int get_supported(struct option_call *call)
{
    struct socket_association *association = NULL;
    struct braid_authentication_info info = {0};
    struct sctp_assoc_value value;
    int error = option_read_value(call, &value, &association);

    if (error < 0)
        return error;
    value.assoc_value = call->socket->parameters.asconf;
    if (association) {
        braid_association_authentication(call->socket->table->engine, association->engine, &info);
        value.assoc_value = info.asconf;
    }
    return option_answer(call, &value, sizeof(value));
}

static int set_supported(struct option_call *call)
{
    int error = option_set_supported(call, &call->socket->parameters.asconf);

    if (error < 0)
        return error;
    option_require_asconf(call->socket);
    socket_apply_parameters(call->socket);
    return 0;
}

static bool is_bound_to_all(const struct sctp_socket *socket)
{
    return socket->bound_count == 1 && socket_is_bound_to_any(socket);
}

static int get_auto_asconf(struct option_call *call)
{
    const struct sctp_socket *socket = call->socket;

    return option_answer_int(call, socket->parameters.auto_asconf && is_bound_to_all(socket));
}

static void apply_auto_asconf(struct sctp_socket *socket, struct braid_parameters *parameters)
{
    parameters->auto_asconf = socket->parameters.auto_asconf;
}

static int set_auto_asconf(struct option_call *call)
{
    int value;

    if (option_read_int(call, &value) < 0 || (value != 0 && !is_bound_to_all(call->socket)))
        return -EINVAL;
    call->socket->parameters.auto_asconf = value != 0;
    option_for_all(call->socket, apply_auto_asconf);
    return 0;
}

static int set_peer_primary(struct option_call *call)
{
    struct sctp_socket *socket = call->socket;
    struct braid_engine *engine = socket->table->engine;
    const struct socket_association *association;
    struct braid_authentication_info info;
    struct sctp_setpeerprim primary;
    struct braid_address address;
    uint16_t port;
    int error;

    if (!socket->parameters.asconf)
        return -EPERM;
    if (option_read_exactly(call, &primary, sizeof(primary)) < 0)
        return -EINVAL;
    association = socket_find_association(socket, primary.sspp_assoc_id);
    if (!association)
        return -EINVAL;
    if (braid_association_authentication(engine, association->engine, &info) < 0 || !info.asconf)
        return -EPERM;
    if (address_from_user(socket, &primary.sspp_addr, sizeof(primary.sspp_addr), &address, &port,
                          NULL) < 0)
        return -EINVAL;
    if (port != socket->port)
        return -EADDRNOTAVAIL;
    error = braid_association_set_peer_primary(engine, association->engine, &address, call->now);
    return error == -EOPNOTSUPP ? -EPERM : error;
}

const struct option options_of_asconf[] = {
    {SOL_SCTP, SCTP_ASCONF_SUPPORTED, get_supported, set_supported},
    {SOL_SCTP, SCTP_AUTO_ASCONF, get_auto_asconf, set_auto_asconf},
    {SOL_SCTP, SCTP_SET_PEER_PRIMARY_ADDR, NULL, set_peer_primary},
    {0},
};
