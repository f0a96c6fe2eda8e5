/* Options of the paths of an association, named by the peer's address.
 *
 * RFC 6458, section 8.1.9 (SCTP_PRIMARY_ADDR), 8.1.12 (SCTP_PEER_ADDR_PARAMS), 8.2.2
 * (SCTP_GET_PEER_ADDR_INFO); RFC 6951, section 6.1 (SCTP_REMOTE_UDP_ENCAPS_PORT); Linux's
 * SCTP_PLPMTUD_PROBE_INTERVAL.
 */
#include "socket/options.h"

#define SEGMENT_MINIMUM 512u /* Linux's SCTP_DEFAULT_MINSEGMENT */
#define SACK_DELAY_MAXIMUM 500u
#define PROBE_INTERVAL_MINIMUM 5000u /* ms: Linux's SCTP_PROBE_TIMER_MIN */
#define HEARTBEAT_AT_ONCE                                                                          \
    1 /* ms: SPP_HB_TIME_IS_ZERO, since 0 is "no heartbeats" to the engine                         \
       */
/* struct sctp_paddrparams before spp_ipv6_flowlabel came to it. */
#define PADDRPARAMS_OLD_SIZE ((offsetof(struct sctp_paddrparams, spp_ipv6_flowlabel) + 3) & ~3ul)

/* Finds the path that a sockaddr and an association identifier name. EINVAL. */
static int find_path(const struct option_call *call, const void *storage, sctp_assoc_t identifier,
                     struct option_path *path)
{
    struct sctp_socket *socket = call->socket;
    struct socket_association *named;
    struct braid_address address;
    uint16_t port;
    int index;

    if (address_from_user(socket, storage, sizeof(struct sockaddr_storage), &address, &port, NULL) <
        0)
        return -EINVAL;
    path->association = socket_find_peer(socket, &address, port);
    if (!path->association)
        return -EINVAL;
    named = socket_find_association(socket, identifier);
    if (named && named != path->association)
        return -EINVAL;
    index = braid_path_find(socket->table->engine, path->association->engine, &address);
    if (index < 0)
        return -EINVAL;
    path->index = (uint32_t)index;
    path->all = false;
    return 0;
}

int option_find_paths(const struct option_call *call, const void *storage, sctp_assoc_t identifier,
                      struct option_path *path)
{
    if (!address_is_any(storage)) {
        if (socket_is_one_to_many(call->socket) && identifier != SCTP_FUTURE_ASSOC &&
            !socket_find_association(call->socket, identifier))
            return -EINVAL;
        return find_path(call, storage, identifier, path);
    }
    path->all = true;
    return option_association(call, identifier, &path->association);
}

static int path_info(const struct option_path *path, struct braid_path_info *info)
{
    if (!path->association)
        return -EINVAL;
    return braid_path_info(path->association->socket->table->engine, path->association->engine,
                           path->index, info);
}

static int32_t spinfo_state(enum braid_path_state state)
{
    switch (state) {
    case BRAID_PATH_ACTIVE:
        return SCTP_ACTIVE;
    case BRAID_PATH_INACTIVE:
        return SCTP_INACTIVE;
    case BRAID_PATH_POTENTIALLY_FAILED:
        return SCTP_POTENTIALLY_FAILED;
    case BRAID_PATH_UNCONFIRMED:
        break;
    }
    return SCTP_UNCONFIRMED;
}

void option_fill_path(const struct socket_association *association,
                      const struct braid_path_info *path, struct sctp_paddrinfo *info)
{
    struct sockaddr_storage storage;

    memset(info, 0, sizeof(*info));
    address_to_storage(association->socket, &path->address, association->peer_port, &storage);
    memcpy(&info->spinfo_address, &storage, sizeof(storage));
    info->spinfo_assoc_id = association->identifier;
    info->spinfo_state = spinfo_state(path->state);
    info->spinfo_cwnd = path->cwnd;
    info->spinfo_srtt = path->srtt / 1000;
    info->spinfo_rto = path->rto / 1000;
    info->spinfo_mtu = path->mtu;
}

static int get_peer_addr_info(struct option_call *call)
{
    struct sctp_paddrinfo info;
    struct braid_path_info now;
    struct option_path path = {0};
    int error = option_read(call, &info, sizeof(info));

    if (error == 0)
        error = find_path(call, &info.spinfo_address, info.spinfo_assoc_id, &path);
    if (error < 0 || path_info(&path, &now) < 0)
        return -EINVAL;
    /* RFC 7829, section 7.3: a program that does not know of the state may be kept from it. */
    if (now.state == BRAID_PATH_POTENTIALLY_FAILED &&
        path.association->expose_potentially_failed == EXPOSE_DISABLED)
        return -EACCES;
    option_fill_path(path.association, &now, &info);
    return option_answer(call, &info, sizeof(info));
}

static int get_primary_addr(struct option_call *call)
{
    struct braid_engine *engine = call->socket->table->engine;
    struct braid_association_info info;
    struct sockaddr_storage storage;
    struct braid_path_info primary;
    struct option_path path = {0};
    struct sctp_prim prim;
    int error = option_read(call, &prim, sizeof(prim));

    if (error < 0)
        return error;
    path.association = socket_find_association(call->socket, prim.ssp_assoc_id);
    if (!path.association || braid_association_info(engine, path.association->engine, &info) < 0)
        return -EINVAL;
    path.index = info.primary_path;
    if (path_info(&path, &primary) < 0)
        return -ENOTCONN;
    address_to_storage(call->socket, &primary.address, path.association->peer_port, &storage);
    memcpy(&prim.ssp_addr, &storage, sizeof(storage));
    return option_answer(call, &prim, sizeof(prim));
}

static int set_primary_addr(struct option_call *call)
{
    struct sctp_prim prim;
    struct option_path path = {0};
    int error = option_read_exactly(call, &prim, sizeof(prim));

    if (error == 0)
        error = find_path(call, &prim.ssp_addr, prim.ssp_assoc_id, &path);
    if (error < 0 || !path.association)
        return error;
    return braid_path_set_primary(call->socket->table->engine, path.association->engine, path.index,
                                  call->now);
}

/* ---- SCTP_PEER_ADDR_PARAMS ---- */

static void fill_defaults(const struct socket_path_defaults *defaults,
                          const struct braid_parameters *parameters,
                          struct sctp_paddrparams *params)
{
    params->spp_hbinterval = defaults->hb_interval;
    params->spp_pathmaxrxt = (uint16_t)parameters->path_max_retrans;
    params->spp_pathmtu = parameters->path_mtu;
    params->spp_sackdelay = defaults->sack_delay;
    params->spp_flags = defaults->flags;
    if (parameters->traffic_class != 0) {
        params->spp_flags |= SPP_DSCP;
        params->spp_dscp = parameters->traffic_class & 0xfc;
    }
}

/* What is of one path alone. */
static void fill_path(const struct braid_path_info *info, struct sctp_paddrparams *params)
{
    params->spp_pathmaxrxt = (uint16_t)info->path_max_retrans;
    if (info->hb_interval != 0)
        params->spp_hbinterval = info->hb_interval;
    if (info->sack_delay != 0)
        params->spp_sackdelay = info->sack_delay;
    params->spp_flags = (info->hb_interval != 0 ? SPP_HB_ENABLE : SPP_HB_DISABLE) |
                        (info->path_mtu_discovery ? SPP_PMTUD_ENABLE : SPP_PMTUD_DISABLE) |
                        (info->sack_delay != 0 ? SPP_SACKDELAY_ENABLE : SPP_SACKDELAY_DISABLE);
    params->spp_dscp = info->traffic_class & 0xfc;
    if (params->spp_dscp != 0)
        params->spp_flags |= SPP_DSCP;
}

static int get_peer_addr_params(struct option_call *call)
{
    const struct braid_parameters *parameters = NULL;
    struct sctp_paddrparams params = {0};
    struct braid_path_info info;
    size_t size = sizeof(params);
    struct option_path path = {0};
    int error;

    if (call->length < sizeof(params))
        size = PADDRPARAMS_OLD_SIZE;
    if (call->length < size)
        return -EINVAL;
    option_read(call, &params, size);
    error = option_find_paths(call, &params.spp_address, params.spp_assoc_id, &path);
    if (error < 0)
        return error;
    if (path.association)
        parameters = socket_association_parameters(path.association);
    if (!parameters) {
        fill_defaults(&call->socket->path, &call->socket->parameters, &params);
        return option_answer(call, &params, size);
    }
    fill_defaults(&path.association->path, parameters, &params);
    if (path.all)
        path.index = 0;
    if (path_info(&path, &info) == 0)
        params.spp_pathmtu = info.mtu;
    if (!path.all)
        fill_path(&info, &params);
    return option_answer(call, &params, size);
}

static int check_peer_addr_params(const struct sctp_paddrparams *params, size_t length)
{
    uint32_t flags = params->spp_flags;

    if (length != sizeof(*params) &&
        (length != PADDRPARAMS_OLD_SIZE || (flags & (SPP_DSCP | SPP_IPV6_FLOWLABEL))))
        return -EINVAL;
    if ((flags & SPP_HB) == SPP_HB || (flags & SPP_PMTUD) == SPP_PMTUD ||
        (flags & SPP_SACKDELAY) == SPP_SACKDELAY)
        return -EINVAL;
    if (params->spp_sackdelay > SACK_DELAY_MAXIMUM ||
        (params->spp_pathmtu != 0 && params->spp_pathmtu < SEGMENT_MINIMUM))
        return -EINVAL;
    return 0;
}

/* What the flags say, kept as the program will read it again. */
static void change_defaults(struct socket_path_defaults *defaults,
                            struct braid_parameters *parameters,
                            const struct sctp_paddrparams *params)
{
    uint32_t flags = params->spp_flags;

    if (flags & SPP_HB_ENABLE) {
        if (flags & SPP_HB_TIME_IS_ZERO)
            defaults->hb_interval = HEARTBEAT_AT_ONCE;
        else if (params->spp_hbinterval != 0)
            defaults->hb_interval = params->spp_hbinterval;
    }
    if ((flags & SPP_SACKDELAY_ENABLE) && params->spp_sackdelay != 0)
        defaults->sack_delay = params->spp_sackdelay;
    if (flags & SPP_HB)
        defaults->flags = (defaults->flags & ~(uint32_t)SPP_HB) | (flags & SPP_HB);
    if (flags & SPP_PMTUD)
        defaults->flags = (defaults->flags & ~(uint32_t)SPP_PMTUD) | (flags & SPP_PMTUD);
    if (flags & SPP_SACKDELAY)
        defaults->flags = (defaults->flags & ~(uint32_t)SPP_SACKDELAY) | (flags & SPP_SACKDELAY);
    parameters->hb_interval = defaults->flags & SPP_HB_ENABLE ? defaults->hb_interval : 0;
    parameters->sack_delay = defaults->flags & SPP_SACKDELAY_ENABLE ? defaults->sack_delay : 0;
    parameters->path_mtu_discovery = defaults->flags & SPP_PMTUD_ENABLE;
    if ((flags & SPP_PMTUD_DISABLE) && params->spp_pathmtu != 0)
        parameters->path_mtu = params->spp_pathmtu;
    if (params->spp_pathmaxrxt != 0)
        parameters->path_max_retrans = params->spp_pathmaxrxt;
    if (flags & SPP_DSCP)
        parameters->traffic_class = params->spp_dscp & 0xfc;
}

static int change_path(const struct option_path *path, const struct sctp_paddrparams *params,
                       braid_time now)
{
    struct braid_engine *engine = path->association->socket->table->engine;
    struct braid_path_settings settings = BRAID_PATH_SETTINGS_UNCHANGED;
    uint32_t flags = params->spp_flags;

    if (flags & SPP_HB_DISABLE)
        settings.hb_interval = 0;
    if (flags & SPP_HB_ENABLE)
        settings.hb_interval = flags & SPP_HB_TIME_IS_ZERO   ? HEARTBEAT_AT_ONCE
                               : params->spp_hbinterval != 0 ? params->spp_hbinterval
                                                             : path->association->path.hb_interval;
    if (params->spp_pathmaxrxt != 0)
        settings.path_max_retrans = params->spp_pathmaxrxt;
    if ((flags & SPP_PMTUD_DISABLE) && params->spp_pathmtu != 0)
        settings.mtu = params->spp_pathmtu;
    if (flags & SPP_PMTUD_ENABLE)
        settings.mtu = 0;
    if (flags & SPP_PMTUD)
        settings.path_mtu_discovery = flags & SPP_PMTUD_ENABLE ? 1 : 0;
    if (flags & SPP_SACKDELAY_DISABLE)
        settings.sack_delay = 0;
    if (flags & SPP_SACKDELAY_ENABLE)
        settings.sack_delay =
            params->spp_sackdelay != 0 ? params->spp_sackdelay : path->association->path.sack_delay;
    if (flags & SPP_DSCP)
        settings.traffic_class = params->spp_dscp & 0xfc;
    if (path->all) { /* the association's own were changed */
        settings.path_mtu_discovery = flags & SPP_PMTUD ? BRAID_AS_ASSOCIATION : -1;
        settings.sack_delay = flags & SPP_SACKDELAY ? BRAID_AS_ASSOCIATION : -1;
        settings.traffic_class = flags & SPP_DSCP ? BRAID_AS_ASSOCIATION : -1;
    }
    braid_path_configure(engine, path->association->engine, path->index, &settings, now);
    if (flags & SPP_HB_DEMAND)
        return braid_path_request_heartbeat(engine, path->association->engine, path->index, now);
    return 0;
}

static int set_peer_addr_params(struct option_call *call)
{
    struct braid_parameters *parameters;
    struct sctp_paddrparams params = {0};
    struct braid_path_info info;
    struct option_path path = {0};
    int error;

    option_read(call, &params, call->length < sizeof(params) ? call->length : sizeof(params));
    error = check_peer_addr_params(&params, call->length);
    if (error == 0)
        error = option_find_paths(call, &params.spp_address, params.spp_assoc_id, &path);
    if (error < 0)
        return error;
    if (!path.association) {
        if (params.spp_flags & SPP_HB_DEMAND)
            return -EINVAL;
        change_defaults(&call->socket->path, &call->socket->parameters, &params);
        socket_apply_parameters(call->socket);
        return 0;
    }
    if (!path.all)
        return change_path(&path, &params, call->now);
    parameters = socket_association_parameters(path.association);
    if (!parameters)
        return -EINVAL;
    change_defaults(&path.association->path, parameters, &params);
    for (path.index = 0; error == 0 && path_info(&path, &info) == 0; path.index++)
        error = change_path(&path, &params, call->now);
    return error;
}

/* ---- UDP encapsulation ---- */

static int get_encapsulation_port(struct option_call *call)
{
    struct sctp_udpencaps encapsulation;
    struct braid_path_info info;
    struct option_path path = {0};
    int error = option_read(call, &encapsulation, sizeof(encapsulation));

    if (error == 0)
        error =
            option_find_paths(call, &encapsulation.sue_address, encapsulation.sue_assoc_id, &path);
    if (error < 0)
        return error;
    if (!path.association)
        encapsulation.sue_port = htons(call->socket->encapsulation_port);
    else if (path.all)
        encapsulation.sue_port = htons(path.association->encapsulation_port);
    else if (path_info(&path, &info) == 0)
        encapsulation.sue_port = htons(info.encapsulation_port);
    return option_answer(call, &encapsulation, sizeof(encapsulation));
}

/* The same setting for the path that is meant, or for all of the association. */
static void configure(const struct option_call *call, const struct option_path *path,
                      const struct braid_path_settings *settings)
{
    struct braid_engine *engine = call->socket->table->engine;
    uint32_t identifier = path->association->engine;

    for (uint32_t i = path->all ? 0 : path->index;
         braid_path_configure(engine, identifier, i, settings, call->now) == 0 && path->all; i++) {
    }
}

/* An association that is there answers the way that packets come: it holds until one comes. */
static int set_encapsulation_port(struct option_call *call)
{
    struct sctp_udpencaps encapsulation;
    struct option_path path = {0};
    int error = option_read_exactly(call, &encapsulation, sizeof(encapsulation));

    if (error == 0)
        error =
            option_find_paths(call, &encapsulation.sue_address, encapsulation.sue_assoc_id, &path);
    if (error < 0)
        return error;
    if (path.association) {
        struct braid_path_settings settings = BRAID_PATH_SETTINGS_UNCHANGED;

        settings.encapsulation_port = ntohs(encapsulation.sue_port);
        configure(call, &path, &settings);
    }
    if (path.association && path.all)
        path.association->encapsulation_port = ntohs(encapsulation.sue_port);
    if (!path.association)
        call->socket->encapsulation_port = ntohs(encapsulation.sue_port);
    return 0;
}

/* ---- PLPMTUD: RFC 8899 ---- */

/* Those of the association, or of future ones. */
static struct braid_parameters *parameters_of(struct option_call *call,
                                              const struct option_path *path)
{
    return path->association ? socket_association_parameters(path->association)
                             : &call->socket->parameters;
}

static int get_probe_interval(struct option_call *call)
{
    const struct braid_parameters *parameters;
    struct sctp_probeinterval interval;
    struct braid_path_info info;
    struct option_path path = {0};
    int error = option_read(call, &interval, sizeof(interval));

    if (error == 0)
        error = option_find_paths(call, &interval.spi_address, interval.spi_assoc_id, &path);
    if (error < 0)
        return error;
    parameters = parameters_of(call, &path);
    interval.spi_interval = parameters ? parameters->probe_interval : 0;
    if (!path.all && path_info(&path, &info) == 0)
        interval.spi_interval = info.probe_interval;
    return option_answer(call, &interval, sizeof(interval));
}

static int set_probe_interval(struct option_call *call)
{
    struct braid_path_settings settings = BRAID_PATH_SETTINGS_UNCHANGED;
    struct braid_parameters *parameters;
    struct sctp_probeinterval interval;
    struct option_path path = {0};
    int error = option_read_exactly(call, &interval, sizeof(interval));

    if (error == 0 && interval.spi_interval > 0 && interval.spi_interval < PROBE_INTERVAL_MINIMUM)
        error = -EINVAL;
    if (error == 0)
        error = option_find_paths(call, &interval.spi_address, interval.spi_assoc_id, &path);
    if (error < 0)
        return error;
    parameters = path.all ? parameters_of(call, &path) : NULL;
    if (parameters)
        parameters->probe_interval = interval.spi_interval;
    settings.probe_interval = interval.spi_interval;
    if (path.association)
        configure(call, &path, &settings);
    else
        socket_apply_parameters(call->socket);
    return 0;
}

const struct option options_of_path[] = {
    {SOL_SCTP, SCTP_PRIMARY_ADDR, get_primary_addr, set_primary_addr},
    {SOL_SCTP, SCTP_GET_PEER_ADDR_INFO, get_peer_addr_info, NULL},
    {SOL_SCTP, SCTP_PEER_ADDR_PARAMS, get_peer_addr_params, set_peer_addr_params},
    {SOL_SCTP, SCTP_REMOTE_UDP_ENCAPS_PORT, get_encapsulation_port, set_encapsulation_port},
    {SOL_SCTP, SCTP_PLPMTUD_PROBE_INTERVAL, get_probe_interval, set_probe_interval},
    {0},
};
