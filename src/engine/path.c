/*
 * A path: its timeout, its failures, its size.
 *
 * RFC 9260, section 6.3.1 (RTO), section 6.4 (which path), section 7.3 (PMTU), sections 8.1 and 8.2
 * (failures).
 */
#include "engine/private.h"

#define MTU_MINIMUM_IPV4 512u
#define MTU_MINIMUM_IPV6 1280u
#define UDP_HEADER_LENGTH 8u

/* ---- RTO ---- */

static uint32_t clamp_rto(const struct sctp_path *path, uint64_t rto)
{
    const struct braid_parameters *parameters = &path->association->parameters;

    if (rto < milliseconds(parameters->rto_min))
        rto = milliseconds(parameters->rto_min);
    if (rto > milliseconds(parameters->rto_max))
        rto = milliseconds(parameters->rto_max);
    return (uint32_t)rto;
}

void path_update_rtt(struct sctp_path *path, braid_time measured)
{
    const struct braid_parameters *parameters = &path->association->parameters;
    uint32_t rtt = measured > UINT32_MAX / 8 ? UINT32_MAX / 8 : (uint32_t)measured;

    if (!path->rtt_measured) { /* C2 */
        path->srtt = rtt;
        path->rttvar = rtt / 2;
        path->rtt_measured = true;
    } else { /* C3: SRTT stands still while RTTVAR is computed */
        uint32_t difference = path->srtt > rtt ? path->srtt - rtt : rtt - path->srtt;

        path->rttvar += (difference >> parameters->rto_beta_shift) -
                        (path->rttvar >> parameters->rto_beta_shift);
        path->srtt +=
            (rtt >> parameters->rto_alpha_shift) - (path->srtt >> parameters->rto_alpha_shift);
    }
    path->rttvar = maximum(path->rttvar, 1); /* G1 */
    path->rto = clamp_rto(path, (uint64_t)path->srtt + 4 * (uint64_t)path->rttvar);
}

void path_back_off(struct sctp_path *path) /* 6.3.3, E2 */
{
    path->rto = (uint32_t)clamp_rto(path, (uint64_t)path->rto * 2);
}

/* ---- Failures ---- */

void path_tell(struct sctp_path *path, enum braid_path_change change)
{
    struct sctp_association *association = path->association;
    struct braid_event event = {
        .type = BRAID_EVENT_PATH,
        .association = association->id,
        .endpoint = association->endpoint->id,
        .address = path->address,
        .path_change = change,
    };

    event_add(association->engine, &event, NULL, 0);
}

bool path_failed(struct sctp_path *path, bool counts_for_association)
{
    struct sctp_association *association = path->association;

    if (path->error_count <= path->path_max_retrans)
        path->error_count++;
    if (path->error_count > path->path_max_retrans && path->state == BRAID_PATH_ACTIVE) {
        path->state = BRAID_PATH_INACTIVE;
        path_tell(path, BRAID_PATH_UNREACHABLE);
    }
    if (counts_for_association &&
        ++association->error_count > association->parameters.association_max_retrans) {
        association_down(association, BRAID_DOWN_LOST, NULL, 0);
        return false;
    }
    return true;
}

void path_answered(struct sctp_path *path)
{
    path->error_count = 0;
    if (path->state == BRAID_PATH_INACTIVE) {
        path->state = BRAID_PATH_ACTIVE;
        path_tell(path, BRAID_PATH_AVAILABLE);
        association_set_ready(path->association);
    }
}

void path_confirm(struct sctp_path *path)
{
    if (path->state != BRAID_PATH_UNCONFIRMED)
        return;
    path->state = BRAID_PATH_ACTIVE;
    path->error_count = 0;
    path_tell(path, BRAID_PATH_CONFIRMED);
    if (path->preferred)
        path_prefer(path);
    association_set_ready(path->association); /* data may have waited for it (RFC 5061, F1) */
}

void path_prefer(struct sctp_path *path)
{
    struct sctp_association *association = path->association;

    for (uint8_t i = 0; i < association->path_count; i++)
        association->paths[i]->preferred = false;
    path->preferred = path->state == BRAID_PATH_UNCONFIRMED;
    if (path->preferred || association->primary == path->index)
        return;
    association->primary = path->index;
    path_tell(path, BRAID_PATH_MADE_PRIMARY);
    association_set_ready(association);
}

/* ---- Size ---- */

uint32_t path_packet_size(const struct sctp_path *path)
{
    uint32_t headers = path->address.family == BRAID_IPV4 ? 20 : 40;

    if (path->encapsulation_port)
        headers += UDP_HEADER_LENGTH;
    return (path->mtu - headers) & ~3u;
}

uint32_t path_maximum_data_chunk_size(const struct sctp_path *path)
{
    return path_packet_size(path) - SCTP_COMMON_HEADER_LENGTH -
           (uint32_t)authentication_overhead(path->association);
}

void path_set_mtu(struct sctp_path *path, uint32_t mtu)
{
    mtu = maximum(mtu, path->address.family == BRAID_IPV4 ? MTU_MINIMUM_IPV4 : MTU_MINIMUM_IPV6);
    path->mtu = minimum(mtu, PACKET_MAXIMUM);
}

void path_look_up_route(struct sctp_path *path)
{
    struct sctp_association *association = path->association;
    const struct braid_engine_config *config = &association->engine->config;
    struct braid_address source = {0};
    uint32_t mtu = 0;

    path->route_known =
        !config->route || config->route(config->context, &path->address, &source, &mtu);
    source = braid_address_normalise(&source);
    /* If the endpoint is bound, and not to that one: the first of its own that reaches. */
    if (!path->route_known || !source.family || !association_may_send_from(association, &source))
        source = association_first_source(association, path->address.family);
    path->source = source;
    if (association->parameters.path_mtu)
        mtu = association->parameters.path_mtu;
    if (!path->mtu_fixed)
        path_set_mtu(path, mtu ? mtu : 1500);
}

uint32_t association_fragmentation_point(const struct sctp_association *association)
{
    uint32_t point = PACKET_MAXIMUM;

    for (uint8_t i = 0; i < association->path_count; i++)
        point = minimum(point, path_maximum_data_chunk_size(association->paths[i]) -
                                   SCTP_DATA_HEADER_LENGTH);
    if (association->parameters.maximum_segment)
        point = minimum(point, association->parameters.maximum_segment);
    return point;
}

/* ---- Choice ---- */

struct sctp_path *association_data_path(const struct sctp_association *association)
{
    struct sctp_path *best = association->paths[association->primary];

    if (best->state == BRAID_PATH_ACTIVE)
        return best;
    /* None active: the confirmed one that failed least may still come back. */
    for (uint8_t i = 0; i < association->path_count; i++) {
        struct sctp_path *path = association->paths[i];

        if (path->state == BRAID_PATH_ACTIVE)
            return path;
        if (path->state == BRAID_PATH_INACTIVE &&
            (best->state == BRAID_PATH_UNCONFIRMED || path->error_count < best->error_count))
            best = path;
    }
    return best;
}

struct sctp_path *association_reply_path(const struct sctp_association *association,
                                         const struct arrival *arrival)
{
    if (arrival->path && arrival->path->state != BRAID_PATH_UNCONFIRMED)
        return arrival->path;
    return association_data_path(association);
}

struct sctp_path *association_alternate_path(const struct sctp_association *association,
                                             const struct sctp_path *path)
{
    for (unsigned int i = 1; i < association->path_count; i++) {
        struct sctp_path *other = association->paths[(path->index + i) % association->path_count];

        if (other->state == BRAID_PATH_ACTIVE)
            return other;
    }
    return association->paths[path->index];
}
