/* When a path counts as failed, and who is told.
 *
 * RFC 7829, section 7.1 (SCTP_PEER_ADDR_CHANGE), 7.2 (SCTP_PEER_ADDR_THLDS), 7.3
 * (SCTP_EXPOSE_POTENTIALLY_FAILED_STATE), as Linux has them.
 */
#include "socket/options.h"

static int find_thresholds(const struct option_call *call,
                           const struct sctp_paddrthlds_v2 *thresholds, struct option_path *path)
{
    int error = option_find_paths(call, &thresholds->spt_address, thresholds->spt_assoc_id, path);

    return error < 0 && !address_is_any(&thresholds->spt_address) ? -ENOENT : error;
}

static int get_thresholds(struct option_call *call, size_t size)
{
    const struct braid_parameters *parameters = &call->socket->parameters;
    struct sctp_paddrthlds_v2 thresholds = {0};
    struct option_path path = {0};
    struct braid_path_info info;
    int error = option_read(call, &thresholds, size);

    if (error == 0)
        error = find_thresholds(call, &thresholds, &path);
    if (error < 0)
        return error;
    if (path.association && !path.all &&
        braid_path_info(call->socket->table->engine, path.association->engine, path.index, &info) ==
            0) {
        thresholds.spt_pathmaxrxt = (uint16_t)info.path_max_retrans;
        thresholds.spt_pathpfthld = (uint16_t)info.potentially_failed_max_retrans;
        thresholds.spt_pathcpthld = (uint16_t)info.primary_switchover_max_retrans;
        return option_answer(call, &thresholds, size);
    }
    if (path.association)
        parameters = socket_association_parameters(path.association);
    if (!parameters)
        return -EINVAL;
    thresholds.spt_pathmaxrxt = (uint16_t)parameters->path_max_retrans;
    thresholds.spt_pathpfthld = (uint16_t)parameters->potentially_failed_max_retrans;
    thresholds.spt_pathcpthld = (uint16_t)parameters->primary_switchover_max_retrans;
    return option_answer(call, &thresholds, size);
}

static void change_parameters(struct braid_parameters *parameters,
                              const struct sctp_paddrthlds_v2 *thresholds, bool switchover)
{
    if (thresholds->spt_pathmaxrxt != 0)
        parameters->path_max_retrans = thresholds->spt_pathmaxrxt;
    parameters->potentially_failed_max_retrans = thresholds->spt_pathpfthld;
    if (switchover)
        parameters->primary_switchover_max_retrans = thresholds->spt_pathcpthld;
}

static int set_thresholds(struct option_call *call, size_t size, bool switchover)
{
    struct braid_path_settings settings = BRAID_PATH_SETTINGS_UNCHANGED;
    struct sctp_paddrthlds_v2 thresholds = {0};
    struct braid_parameters *parameters;
    struct option_path path = {0};
    int error = option_read(call, &thresholds, size);

    if (error == 0 && switchover && thresholds.spt_pathpfthld > thresholds.spt_pathcpthld)
        error = -EINVAL;
    if (error == 0)
        error = find_thresholds(call, &thresholds, &path);
    if (error < 0)
        return error;
    if (!path.association) {
        change_parameters(&call->socket->parameters, &thresholds, switchover);
        socket_apply_parameters(call->socket);
        return 0;
    }
    if (thresholds.spt_pathmaxrxt != 0)
        settings.path_max_retrans = thresholds.spt_pathmaxrxt;
    settings.potentially_failed_max_retrans = thresholds.spt_pathpfthld;
    if (switchover)
        settings.primary_switchover_max_retrans = thresholds.spt_pathcpthld;
    if (!path.all)
        return braid_path_configure(call->socket->table->engine, path.association->engine,
                                    path.index, &settings, call->now);
    parameters = socket_association_parameters(path.association);
    if (!parameters)
        return -EINVAL;
    change_parameters(parameters, &thresholds, switchover);
    while (braid_path_configure(call->socket->table->engine, path.association->engine, path.index,
                                &settings, call->now) == 0)
        path.index++;
    return 0;
}

static int get_peer_addr_thlds(struct option_call *call)
{
    return get_thresholds(call, sizeof(struct sctp_paddrthlds));
}

static int set_peer_addr_thlds(struct option_call *call)
{
    return set_thresholds(call, sizeof(struct sctp_paddrthlds), false);
}

static int get_peer_addr_thlds_v2(struct option_call *call)
{
    return get_thresholds(call, sizeof(struct sctp_paddrthlds_v2));
}

static int set_peer_addr_thlds_v2(struct option_call *call)
{
    return set_thresholds(call, sizeof(struct sctp_paddrthlds_v2), true);
}

/* ---- SCTP_EXPOSE_POTENTIALLY_FAILED_STATE ---- */

static int get_expose(struct option_call *call)
{
    struct socket_association *association = NULL;
    struct sctp_assoc_value value;
    int error = option_read_value(call, &value, &association);

    if (error < 0)
        return error;
    value.assoc_value = association ? association->expose_potentially_failed
                                    : call->socket->expose_potentially_failed;
    return option_answer(call, &value, sizeof(value));
}

static int set_expose(struct option_call *call)
{
    struct socket_association *association = NULL;
    struct sctp_assoc_value value;
    int error = option_read_exactly(call, &value, sizeof(value));

    if (error == 0 && value.assoc_value > EXPOSE_ENABLED)
        error = -EINVAL;
    if (error == 0)
        error = option_association(call, value.assoc_id, &association);
    if (error < 0)
        return error;
    *(association ? &association->expose_potentially_failed
                  : &call->socket->expose_potentially_failed) = (uint8_t)value.assoc_value;
    return 0;
}

const struct option options_of_failure[] = {
    {SOL_SCTP, SCTP_PEER_ADDR_THLDS, get_peer_addr_thlds, set_peer_addr_thlds},
    {SOL_SCTP, SCTP_PEER_ADDR_THLDS_V2, get_peer_addr_thlds_v2, set_peer_addr_thlds_v2},
    {SOL_SCTP, SCTP_EXPOSE_POTENTIALLY_FAILED_STATE, get_expose, set_expose},
    {0},
};
