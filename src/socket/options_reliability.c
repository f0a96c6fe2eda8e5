/* Options of partial reliability (RFC 3758, RFC 7496).
 *
 * RFC 6458, section 8.1.32 (SCTP_DEFAULT_PRINFO); RFC 7496, section 4.3 to 4.5
 * (SCTP_PR_STREAM_STATUS, SCTP_PR_ASSOC_STATUS, SCTP_PR_SUPPORTED), with Linux's sizes and errors.
 */
#include "socket/options.h"

static bool has_partial_reliability(const struct braid_association_info *info)
{
    return info->partial_reliability;
}

static int get_supported(struct option_call *call)
{
    return option_get_supported(call, call->socket->parameters.partial_reliability,
                                has_partial_reliability);
}

static int set_supported(struct option_call *call)
{
    return option_set_supported(call, &call->socket->parameters.partial_reliability);
}

static struct socket_send_defaults *send_defaults(struct sctp_socket *socket,
                                                  struct socket_association *association)
{
    return association ? &association->send : &socket->send;
}

static int get_default_prinfo(struct option_call *call)
{
    struct socket_association *association = NULL;
    const struct socket_send_defaults *send;
    struct sctp_default_prinfo info;
    int error = option_read(call, &info, sizeof(info));

    if (error == 0)
        error = option_association(call, info.pr_assoc_id, &association);
    if (error < 0)
        return error;
    send = send_defaults(call->socket, association);
    info.pr_value = send->time_to_live;
    info.pr_policy = SCTP_PR_POLICY(send->flags);
    return option_answer(call, &info, sizeof(info));
}

static void apply_default_prinfo(struct sctp_socket *socket, struct socket_association *association,
                                 const void *value)
{
    const struct sctp_default_prinfo *info = value;
    struct socket_send_defaults *send = send_defaults(socket, association);

    send->flags = (uint16_t)((send->flags & ~SCTP_PR_SCTP_MASK) | info->pr_policy);
    send->time_to_live = info->pr_policy == SCTP_PR_SCTP_NONE ? 0 : info->pr_value;
}

static int set_default_prinfo(struct option_call *call)
{
    struct sctp_default_prinfo info;

    if (option_read_exactly(call, &info, sizeof(info)) < 0 || info.pr_policy & ~SCTP_PR_SCTP_MASK)
        return -EINVAL;
    return option_for_each(call, info.pr_assoc_id, apply_default_prinfo, &info);
}

/* What was abandoned by one policy, or by all; of one stream, or of all. */
static int get_status(struct option_call *call, bool of_stream)
{
    const struct socket_association *association;
    struct braid_abandoned abandoned;
    struct sctp_prstatus status;
    uint16_t policy;
    int error = option_read(call, &status, sizeof(status));

    if (error < 0)
        return error;
    policy = status.sprstat_policy;
    if (policy == 0 || (policy != SCTP_PR_SCTP_ALL && policy & ~SCTP_PR_SCTP_MASK))
        return -EINVAL;
    association = socket_find_association(call->socket, status.sprstat_assoc_id);
    if (!association || braid_association_abandoned(
                            call->socket->table->engine, association->engine,
                            of_stream ? status.sprstat_sid : BRAID_ALL_STREAMS, &abandoned) < 0)
        return -EINVAL;
    status.sprstat_abandoned_unsent = status.sprstat_abandoned_sent = 0;
    for (unsigned int i = BRAID_POLICY_LIFETIME; i < BRAID_POLICY_COUNT; i++) {
        if (policy != SCTP_PR_SCTP_ALL && policy >> SOCKET_POLICY_SHIFT != i)
            continue;
        status.sprstat_abandoned_unsent += abandoned.unsent[i];
        status.sprstat_abandoned_sent += abandoned.sent[i];
    }
    return option_answer(call, &status, sizeof(status));
}

static int get_association_status(struct option_call *call)
{
    return get_status(call, false);
}

static int get_stream_status(struct option_call *call)
{
    return get_status(call, true);
}

const struct option options_of_reliability[] = {
    {SOL_SCTP, SCTP_PR_SUPPORTED, get_supported, set_supported},
    {SOL_SCTP, SCTP_DEFAULT_PRINFO, get_default_prinfo, set_default_prinfo},
    {SOL_SCTP, SCTP_PR_ASSOC_STATUS, get_association_status, NULL},
    {SOL_SCTP, SCTP_PR_STREAM_STATUS, get_stream_status, NULL},
    {0},
};
