/* Options of one association, or of a socket's future ones.
 *
 * RFC 6458, section 8.1.1 (SCTP_RTOINFO), 8.1.2 (SCTP_ASSOCINFO), 8.1.13, 8.1.31 (defaults of
 * sending), 8.1.16 (SCTP_MAXSEG), 8.1.19 (SCTP_DELAYED_SACK), 8.1.24 (SCTP_MAX_BURST), 8.1.25
 * (SCTP_CONTEXT), 6.2.2 (SCTP_EVENT), 8.2.1 (SCTP_STATUS).
 */
#include "socket/options.h"

#define SACK_DELAY_MAXIMUM 500u /* RFC 9260, 6.2 */
#define DATA_CHUNK_HEADER 16u   /* RFC 9260, 3.3.1 */
#define SEGMENT_MINIMUM 512u    /* Linux's SCTP_DEFAULT_MINSEGMENT, of the whole packet */
#define CHUNK_MAXIMUM 65532u    /* Linux's SCTP_MAX_CHUNK_LEN */
#define COMMON_HEADER 12u
#define IPV4_HEADER 20u
#define IPV6_HEADER 40u

/* ---- Protocol parameters ---- */

static const struct braid_parameters *parameters_of(const struct sctp_socket *socket,
                                                    const struct socket_association *association)
{
    const struct braid_parameters *parameters =
        association ? socket_association_parameters(association) : NULL;

    return parameters ? parameters : &socket->parameters;
}

/* To be changed; socket_apply_parameters() afterwards. */
static struct braid_parameters *change_parameters(struct sctp_socket *socket,
                                                  struct socket_association *association)
{
    return (struct braid_parameters *)parameters_of(socket, association);
}

static int get_rtoinfo(struct option_call *call)
{
    struct socket_association *association = NULL;
    const struct braid_parameters *parameters;
    struct sctp_rtoinfo info;
    int error = option_read(call, &info, sizeof(info));

    if (error == 0)
        error = option_association(call, info.srto_assoc_id, &association);
    if (error < 0)
        return error;
    parameters = parameters_of(call->socket, association);
    info.srto_initial = parameters->rto_initial;
    info.srto_max = parameters->rto_max;
    info.srto_min = parameters->rto_min;
    return option_answer(call, &info, sizeof(info));
}

static int set_rtoinfo(struct option_call *call)
{
    struct socket_association *association = NULL;
    struct braid_parameters *parameters;
    struct sctp_rtoinfo info;
    int error = option_read_exactly(call, &info, sizeof(info));

    if (error == 0)
        error = option_association(call, info.srto_assoc_id, &association);
    if (error < 0)
        return error;
    parameters = change_parameters(call->socket, association);
    if (info.srto_max == 0)
        info.srto_max = parameters->rto_max;
    if (info.srto_min == 0)
        info.srto_min = parameters->rto_min;
    if (info.srto_min > info.srto_max)
        return -EINVAL;
    if (info.srto_initial != 0)
        parameters->rto_initial = info.srto_initial;
    parameters->rto_max = info.srto_max;
    parameters->rto_min = info.srto_min;
    socket_apply_parameters(call->socket);
    return 0;
}

static int get_associnfo(struct option_call *call)
{
    struct braid_association_info now = {0};
    struct socket_association *association = NULL;
    const struct braid_parameters *parameters;
    struct sctp_assocparams info;
    int error = option_read(call, &info, sizeof(info));

    if (error == 0)
        error = option_association(call, info.sasoc_assoc_id, &association);
    if (error < 0)
        return error;
    parameters = parameters_of(call->socket, association);
    if (association)
        braid_association_info(call->socket->table->engine, association->engine, &now);
    info.sasoc_asocmaxrxt = (uint16_t)parameters->association_max_retrans;
    info.sasoc_cookie_life = parameters->valid_cookie_life;
    info.sasoc_peer_rwnd = now.peer_rwnd;
    info.sasoc_local_rwnd = now.local_rwnd;
    info.sasoc_number_peer_destinations = (uint16_t)now.path_count;
    return option_answer(call, &info, sizeof(info));
}

/* The retransmissions of all paths: an association cannot ask for more (RFC 9260, 8.1). */
static uint32_t path_retransmissions(const struct socket_association *association, uint32_t *count)
{
    struct braid_path_info path;
    uint32_t sum = 0;

    *count = 0;
    while (braid_path_info(association->socket->table->engine, association->engine, *count,
                           &path) == 0) {
        sum += path.path_max_retrans;
        (*count)++;
    }
    return sum;
}

static int set_associnfo(struct option_call *call)
{
    struct socket_association *association = NULL;
    struct braid_parameters *parameters;
    struct sctp_assocparams info;
    uint32_t paths;
    int error = option_read_exactly(call, &info, sizeof(info));

    if (error == 0)
        error = option_association(call, info.sasoc_assoc_id, &association);
    if (error < 0)
        return error;
    if (association && info.sasoc_asocmaxrxt != 0 &&
        info.sasoc_asocmaxrxt > path_retransmissions(association, &paths) && paths > 1)
        return -EINVAL;
    parameters = change_parameters(call->socket, association);
    if (info.sasoc_asocmaxrxt != 0)
        parameters->association_max_retrans = info.sasoc_asocmaxrxt;
    if (info.sasoc_cookie_life != 0)
        parameters->valid_cookie_life = info.sasoc_cookie_life;
    socket_apply_parameters(call->socket);
    return 0;
}

static int get_maxseg(struct option_call *call)
{
    struct braid_association_info now = {0};
    struct socket_association *association = NULL;
    struct sctp_assoc_value value = {0};
    int error = 0;

    if (call->length != sizeof(int))
        error = option_read(call, &value, sizeof(value));
    if (error == 0)
        error = option_association(call, value.assoc_id, &association);
    if (error < 0)
        return error;
    value.assoc_value = call->socket->parameters.maximum_segment;
    if (association) {
        braid_association_info(call->socket->table->engine, association->engine, &now);
        value.assoc_value = now.fragmentation_point;
    }
    if (call->length == sizeof(int))
        return option_answer(call, &value.assoc_value, sizeof(int));
    return option_answer(call, &value, sizeof(value));
}

static int set_maxseg(struct option_call *call)
{
    uint32_t ip = call->socket->domain == AF_INET6 ? IPV6_HEADER : IPV4_HEADER;
    uint32_t least = SEGMENT_MINIMUM - ip - COMMON_HEADER - DATA_CHUNK_HEADER;
    struct socket_association *association = NULL;
    struct sctp_assoc_value value = {0};
    int error;

    if (call->length == sizeof(int))
        error = option_read(call, &value.assoc_value, sizeof(int));
    else
        error = option_read_exactly(call, &value, sizeof(value));
    if (error == 0)
        error = option_association(call, value.assoc_id, &association);
    if (error < 0)
        return error;
    if (value.assoc_value != 0 &&
        (value.assoc_value < least || value.assoc_value > CHUNK_MAXIMUM - DATA_CHUNK_HEADER))
        return -EINVAL;
    change_parameters(call->socket, association)->maximum_segment = value.assoc_value;
    socket_apply_parameters(call->socket);
    return 0;
}

static int get_max_burst(struct option_call *call)
{
    struct socket_association *association = NULL;
    struct sctp_assoc_value value = {0};
    int error = 0;

    if (call->length != sizeof(int))
        error = option_read(call, &value, sizeof(value));
    if (error == 0)
        error = option_association(call, value.assoc_id, &association);
    if (error < 0)
        return error;
    value.assoc_value = parameters_of(call->socket, association)->max_burst;
    if (call->length == sizeof(int))
        return option_answer(call, &value.assoc_value, sizeof(int));
    memcpy(call->value, &value, sizeof(value)); /* Linux does not tell that it is shorter */
    return 0;
}

static void apply_max_burst(struct sctp_socket *socket, struct socket_association *association,
                            const void *value)
{
    change_parameters(socket, association)->max_burst = *(const uint32_t *)value;
}

static int set_max_burst(struct option_call *call)
{
    struct sctp_assoc_value value = {0};
    int error;

    if (call->length == sizeof(int))
        error = option_read(call, &value.assoc_value, sizeof(int));
    else
        error = option_read_exactly(call, &value, sizeof(value));
    if (error < 0)
        return error;
    return option_for_each(call, value.assoc_id, apply_max_burst, &value.assoc_value);
}

/* ---- Delayed SACK ---- */

static struct socket_path_defaults *path_defaults(struct sctp_socket *socket,
                                                  struct socket_association *association)
{
    return association ? &association->path : &socket->path;
}

static int get_delayed_sack(struct option_call *call)
{
    struct socket_association *association = NULL;
    struct sctp_sack_info info = {0};
    const struct socket_path_defaults *path;
    size_t size = call->length >= sizeof(info) ? sizeof(info) : sizeof(struct sctp_assoc_value);
    int error;

    if (call->length < sizeof(info) && call->length != sizeof(struct sctp_assoc_value))
        return -EINVAL;
    option_read(call, &info, size);
    error = option_association(call, info.sack_assoc_id, &association);
    if (error < 0)
        return error;
    path = path_defaults(call->socket, association);
    info.sack_delay = 0;
    info.sack_freq = 1;
    if (path->flags & SPP_SACKDELAY_ENABLE) {
        info.sack_delay = path->sack_delay;
        info.sack_freq = parameters_of(call->socket, association)->sack_frequency;
    }
    return option_answer(call, &info, size);
}

static void apply_delayed_sack(struct sctp_socket *socket, struct socket_association *association,
                               const void *value)
{
    const struct sctp_sack_info *info = value;
    struct socket_path_defaults *path = path_defaults(socket, association);
    struct braid_parameters *parameters = change_parameters(socket, association);
    struct braid_path_settings settings = BRAID_PATH_SETTINGS_UNCHANGED;
    uint32_t index = 0;

    settings.sack_delay = BRAID_AS_ASSOCIATION;
    while (association && braid_path_configure(socket->table->engine, association->engine, index,
                                               &settings, 0) == 0)
        index++;
    if (info->sack_delay != 0) {
        path->sack_delay = info->sack_delay;
        path->flags = (path->flags & ~SPP_SACKDELAY) | SPP_SACKDELAY_ENABLE;
    }
    if (info->sack_freq > 1) {
        parameters->sack_frequency = info->sack_freq;
        path->flags = (path->flags & ~SPP_SACKDELAY) | SPP_SACKDELAY_ENABLE;
    }
    if (info->sack_freq == 1)
        path->flags = (path->flags & ~SPP_SACKDELAY) | SPP_SACKDELAY_DISABLE;
    parameters->sack_delay = path->flags & SPP_SACKDELAY_ENABLE ? path->sack_delay : 0;
}

static int set_delayed_sack(struct option_call *call)
{
    struct sctp_assoc_value old;
    struct sctp_sack_info info;

    if (option_read_exactly(call, &old, sizeof(old)) == 0)
        info = (struct sctp_sack_info){.sack_assoc_id = old.assoc_id,
                                       .sack_delay = old.assoc_value,
                                       .sack_freq = old.assoc_value ? 0 : 1};
    else if (option_read_exactly(call, &info, sizeof(info)) < 0)
        return -EINVAL;
    if (info.sack_delay == 0 && info.sack_freq == 0)
        return 0;
    if (info.sack_delay > SACK_DELAY_MAXIMUM)
        return -EINVAL;
    return option_for_each(call, info.sack_assoc_id, apply_delayed_sack, &info);
}

/* ---- Defaults of sending ---- */

#define DEFAULT_FLAGS_KNOWN (SCTP_UNORDERED | SCTP_ADDR_OVER | SCTP_ABORT | SCTP_EOF)

static struct socket_send_defaults *send_defaults(struct sctp_socket *socket,
                                                  struct socket_association *association)
{
    return association ? &association->send : &socket->send;
}

static int get_default_send_param(struct option_call *call)
{
    struct socket_association *association = NULL;
    const struct socket_send_defaults *send;
    struct sctp_sndrcvinfo info;
    int error = option_read(call, &info, sizeof(info));

    if (error == 0)
        error = option_association(call, info.sinfo_assoc_id, &association);
    if (error < 0)
        return error;
    send = send_defaults(call->socket, association);
    info.sinfo_stream = send->stream;
    info.sinfo_flags = send->flags;
    info.sinfo_ppid = send->ppid;
    info.sinfo_context = send->context;
    info.sinfo_timetolive = send->time_to_live;
    return option_answer(call, &info, sizeof(info));
}

static void apply_send_defaults(struct sctp_socket *socket, struct socket_association *association,
                                const void *value)
{
    *send_defaults(socket, association) = *(const struct socket_send_defaults *)value;
}

static int set_default_send_param(struct option_call *call)
{
    struct socket_send_defaults send;
    struct sctp_sndrcvinfo info;

    if (option_read_exactly(call, &info, sizeof(info)) < 0 ||
        (info.sinfo_flags & ~DEFAULT_FLAGS_KNOWN))
        return -EINVAL;
    send = (struct socket_send_defaults){
        .stream = info.sinfo_stream,
        .flags = info.sinfo_flags,
        .ppid = info.sinfo_ppid,
        .context = info.sinfo_context,
        .time_to_live = info.sinfo_timetolive,
    };
    return option_for_each(call, info.sinfo_assoc_id, apply_send_defaults, &send);
}

static int get_default_sndinfo(struct option_call *call)
{
    struct socket_association *association = NULL;
    const struct socket_send_defaults *send;
    struct sctp_sndinfo info;
    int error = option_read(call, &info, sizeof(info));

    if (error == 0)
        error = option_association(call, info.snd_assoc_id, &association);
    if (error < 0)
        return error;
    send = send_defaults(call->socket, association);
    info.snd_sid = send->stream;
    info.snd_flags = send->flags;
    info.snd_ppid = send->ppid;
    info.snd_context = send->context;
    return option_answer(call, &info, sizeof(info));
}

/* All but the time to live, which struct sctp_sndinfo does not have. */
static void apply_sndinfo(struct sctp_socket *socket, struct socket_association *association,
                          const void *value)
{
    struct socket_send_defaults *send = send_defaults(socket, association);
    uint32_t time_to_live = send->time_to_live;

    *send = *(const struct socket_send_defaults *)value;
    send->time_to_live = time_to_live;
}

static int set_default_sndinfo(struct option_call *call)
{
    struct socket_send_defaults send;
    struct sctp_sndinfo info;

    if (option_read_exactly(call, &info, sizeof(info)) < 0 ||
        (info.snd_flags & ~DEFAULT_FLAGS_KNOWN))
        return -EINVAL;
    send = (struct socket_send_defaults){
        .stream = info.snd_sid,
        .flags = info.snd_flags,
        .ppid = info.snd_ppid,
        .context = info.snd_context,
    };
    return option_for_each(call, info.snd_assoc_id, apply_sndinfo, &send);
}

/* ---- Context and notifications ---- */

static int get_context(struct option_call *call)
{
    struct socket_association *association = NULL;
    struct sctp_assoc_value value;
    int error = option_read_value(call, &value, &association);

    if (error < 0)
        return error;
    value.assoc_value = association ? association->receive_context : call->socket->receive_context;
    return option_answer(call, &value, sizeof(value));
}

static void apply_context(struct sctp_socket *socket, struct socket_association *association,
                          const void *value)
{
    *(association ? &association->receive_context : &socket->receive_context) =
        *(const uint32_t *)value;
}

static int set_context(struct option_call *call)
{
    struct sctp_assoc_value value;

    if (option_read_exactly(call, &value, sizeof(value)) < 0)
        return -EINVAL;
    return option_for_each(call, value.assoc_id, apply_context, &value.assoc_value);
}

static int get_event(struct option_call *call)
{
    struct socket_association *association = NULL;
    struct sctp_event event;
    int error = option_read(call, &event, sizeof(event));

    if (error < 0 || event.se_type < SCTP_SN_TYPE_BASE || event.se_type > SCTP_SN_TYPE_MAX)
        return -EINVAL;
    error = option_association(call, event.se_assoc_id, &association);
    if (error < 0)
        return error;
    event.se_on = socket_event_is_on(
        association ? association->subscribed : call->socket->subscribed, event.se_type);
    return option_answer(call, &event, sizeof(event));
}

static void apply_event(struct sctp_socket *socket, struct socket_association *association,
                        const void *value)
{
    const struct sctp_event *event = value;
    uint16_t *subscribed = association ? &association->subscribed : &socket->subscribed;
    uint16_t bit = (uint16_t)(1u << (event->se_type - SCTP_SN_TYPE_BASE));
    struct braid_association_info info;

    *subscribed = (uint16_t)(event->se_on ? *subscribed | bit : *subscribed & ~bit);
    if (!association || event->se_type != SCTP_SENDER_DRY_EVENT || !event->se_on)
        return;
    if (braid_association_info(socket->table->engine, association->engine, &info) == 0 &&
        info.queued_bytes == 0)
        notify_dry(association);
}

static int set_event(struct option_call *call)
{
    struct sctp_event event;
    int error = option_read(call, &event, sizeof(event));

    if (error < 0 || event.se_type < SCTP_SN_TYPE_BASE || event.se_type > SCTP_SN_TYPE_MAX)
        return -EINVAL;
    error = option_for_each(call, event.se_assoc_id, apply_event, &event);
    socket_changed(call->socket, SOCKET_STATE);
    return error;
}

/* ---- What there is to know ---- */

static int get_status(struct option_call *call)
{
    struct braid_engine *engine = call->socket->table->engine;
    struct socket_association *association = NULL;
    struct braid_association_info info;
    struct braid_path_info path;
    struct sctp_status status;
    int error = option_read(call, &status, sizeof(status));

    if (error < 0)
        return error;
    association = socket_find_association(call->socket, status.sstat_assoc_id);
    if (!association || braid_association_info(engine, association->engine, &info) < 0 ||
        braid_path_info(engine, association->engine, info.primary_path, &path) < 0)
        return -EINVAL;
    status = (struct sctp_status){
        .sstat_assoc_id = association->identifier,
        .sstat_state = (int)info.state + 1, /* after SCTP_EMPTY */
        .sstat_rwnd = info.peer_rwnd,
        .sstat_unackdata = (uint16_t)info.outstanding_chunks,
        .sstat_penddata = (uint16_t)info.receive_chunks_waiting,
        .sstat_instrms = info.inbound_streams,
        .sstat_outstrms = info.outbound_streams,
        .sstat_fragmentation_point = info.fragmentation_point,
    };
    option_fill_path(association, &path, &status.sstat_primary);
    return option_answer(call, &status, sizeof(status));
}

static int get_assoc_stats(struct option_call *call)
{
    struct socket_association *association = NULL;
    struct braid_association_info info;
    struct sctp_assoc_stats stats = {0};
    size_t size = call->length < sizeof(stats) ? call->length : sizeof(stats);

    if (size < sizeof(stats.sas_assoc_id))
        return -EINVAL;
    option_read(call, &stats, size);
    association = socket_find_association(call->socket, stats.sas_assoc_id);
    if (!association ||
        braid_association_info(call->socket->table->engine, association->engine, &info) < 0)
        return -EINVAL;
    stats = (struct sctp_assoc_stats){
        .sas_assoc_id = stats.sas_assoc_id,
        .sas_isacks = info.sacks_received,
        .sas_osacks = info.sacks_sent,
        .sas_opackets = info.packets_sent,
        .sas_ipackets = info.packets_received,
        .sas_rtxchunks = info.chunks_retransmitted,
        .sas_idupchunks = info.chunks_duplicate,
    };
    return option_answer(call, &stats, size);
}

const struct option options_of_association[] = {
    {SOL_SCTP, SCTP_RTOINFO, get_rtoinfo, set_rtoinfo},
    {SOL_SCTP, SCTP_ASSOCINFO, get_associnfo, set_associnfo},
    {SOL_SCTP, SCTP_MAXSEG, get_maxseg, set_maxseg},
    {SOL_SCTP, SCTP_MAX_BURST, get_max_burst, set_max_burst},
    {SOL_SCTP, SCTP_DELAYED_SACK, get_delayed_sack, set_delayed_sack},
    {SOL_SCTP, SCTP_DEFAULT_SEND_PARAM, get_default_send_param, set_default_send_param},
    {SOL_SCTP, SCTP_DEFAULT_SNDINFO, get_default_sndinfo, set_default_sndinfo},
    {SOL_SCTP, SCTP_CONTEXT, get_context, set_context},
    {SOL_SCTP, SCTP_EVENT, get_event, set_event},
    {SOL_SCTP, SCTP_STATUS, get_status, NULL},
    {SOL_SCTP, SCTP_GET_ASSOC_STATS, get_assoc_stats, NULL},
    {0},
};
