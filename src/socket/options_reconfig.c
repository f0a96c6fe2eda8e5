/* Options of stream reconfiguration.
 *
 * RFC 6525, section 6.3 (SCTP_ENABLE_STREAM_RESET, SCTP_RESET_STREAMS, SCTP_RESET_ASSOC,
 * SCTP_ADD_STREAMS), and Linux's SCTP_RECONFIG_SUPPORTED, with Linux's sizes and errors.
 */
#include "socket/options.h"

#define PERMITTED_MASK SCTP_ENABLE_STRRESET_MASK

_Static_assert((int)SCTP_ENABLE_RESET_STREAM_REQ == BRAID_RECONFIG_STREAMS &&
                   (int)SCTP_ENABLE_RESET_ASSOC_REQ == BRAID_RECONFIG_ASSOCIATION &&
                   (int)SCTP_ENABLE_CHANGE_ASSOC_REQ == BRAID_RECONFIG_ADD_STREAMS &&
                   (int)SCTP_STREAM_RESET_INCOMING == BRAID_RESET_INCOMING &&
                   (int)SCTP_STREAM_RESET_OUTGOING == BRAID_RESET_OUTGOING,
               "Linux's bits are the engine's");

/* ---- Who has it ---- */

static bool has_reconfig(const struct braid_association_info *info)
{
    return info->reconfig;
}

static int get_supported(struct option_call *call)
{
    return option_get_supported(call, call->socket->parameters.reconfig, has_reconfig);
}

static int set_supported(struct option_call *call)
{
    return option_set_supported(call, &call->socket->parameters.reconfig);
}

/* ---- What is permitted ---- */

static struct braid_parameters *parameters_of(struct sctp_socket *socket,
                                              const struct socket_association *association)
{
    return association ? socket_association_parameters(association) : &socket->parameters;
}

static int get_enabled(struct option_call *call)
{
    struct socket_association *association = NULL;
    const struct braid_parameters *parameters;
    struct sctp_assoc_value value;
    int error = option_read_value(call, &value, &association);

    if (error < 0)
        return error;
    parameters = parameters_of(call->socket, association);
    value.assoc_value = parameters ? parameters->reconfig_permitted : 0;
    return option_answer(call, &value, sizeof(value));
}

static void apply_enabled(struct sctp_socket *socket, struct socket_association *association,
                          const void *value)
{
    struct braid_parameters *parameters = parameters_of(socket, association);

    if (parameters)
        parameters->reconfig_permitted = *(const uint8_t *)value;
}

static int set_enabled(struct option_call *call)
{
    struct sctp_assoc_value value;
    uint8_t permitted;

    if (option_read_exactly(call, &value, sizeof(value)) < 0 ||
        value.assoc_value & ~(uint32_t)PERMITTED_MASK)
        return -EINVAL;
    permitted = (uint8_t)value.assoc_value;
    return option_for_each(call, value.assoc_id, apply_enabled, &permitted);
}

/* ---- Requests ---- */

/* As Linux says it: what is not to be had is an option that is not there. */
static int linux_error(int error)
{
    return error == -EOPNOTSUPP || error == -ENOTCONN ? -ENOPROTOOPT : error;
}

static int set_reset_streams(struct option_call *call)
{
    const struct sctp_reset_streams *streams = call->value;
    const struct socket_association *association;
    struct sctp_reset_streams header;

    if (option_read(call, &header, sizeof(header)) < 0 ||
        header.srs_number_streams * sizeof(uint16_t) > call->length - sizeof(header))
        return -EINVAL;
    association = socket_find_association(call->socket, header.srs_assoc_id);
    if (!association)
        return -EINVAL;
    return linux_error(braid_reset_streams(
        call->socket->table->engine, association->engine,
        header.srs_flags & (SCTP_STREAM_RESET_INCOMING | SCTP_STREAM_RESET_OUTGOING),
        streams->srs_stream_list, header.srs_number_streams, call->now));
}

static int set_reset_association(struct option_call *call)
{
    const struct socket_association *association;
    sctp_assoc_t identifier;

    if (option_read_exactly(call, &identifier, sizeof(identifier)) < 0)
        return -EINVAL;
    association = socket_find_association(call->socket, identifier);
    if (!association)
        return -EINVAL;
    return linux_error(
        braid_reset_association(call->socket->table->engine, association->engine, call->now));
}

static int set_add_streams(struct option_call *call)
{
    struct socket_association *association;
    struct sctp_add_streams add;
    int error;

    if (option_read_exactly(call, &add, sizeof(add)) < 0)
        return -EINVAL;
    association = socket_find_association(call->socket, add.sas_assoc_id);
    if (!association)
        return -EINVAL;
    error = braid_add_streams(call->socket->table->engine, association->engine, add.sas_outstrms,
                              add.sas_instrms, call->now);
    if (error == 0) {
        socket_association_publish(association);
        socket_changed(call->socket, SOCKET_STATE);
    }
    return linux_error(error);
}

const struct option options_of_reconfig[] = {
    {SOL_SCTP, SCTP_RECONFIG_SUPPORTED, get_supported, set_supported},
    {SOL_SCTP, SCTP_ENABLE_STREAM_RESET, get_enabled, set_enabled},
    {SOL_SCTP, SCTP_RESET_STREAMS, NULL, set_reset_streams},
    {SOL_SCTP, SCTP_RESET_ASSOC, NULL, set_reset_association},
    {SOL_SCTP, SCTP_ADD_STREAMS, NULL, set_add_streams},
    {0},
};
