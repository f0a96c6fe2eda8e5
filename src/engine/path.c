/*
 * A path: its timeout, its failures, its size.
 *
 * RFC 9260, section 6.3.1 (RTO), section 6.4 (which path), section 7.3 (PMTU), sections 8.1 and 8.2
 * (failures). RFC 7829: quick failover.
 */
#include "engine/private.h"

#define MTU_MINIMUM_IPV4 512u
#define MTU_MINIMUM_IPV6 1280u
#define UDP_HEADER_LENGTH 8u
#define PRIMARY_SWITCHOVER_NEVER UINT16_MAX /* RFC 7829, section 7.2, as Linux says it */

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

static void tell(struct sctp_path *path, enum braid_path_change change, uint32_t value)
{
    struct sctp_association *association = path->association;
    struct braid_event event = {
        .type = BRAID_EVENT_PATH,
        .association = association->id,
        .endpoint = association->endpoint->id,
        .address = path->address,
        .path_change = change,
        .value = value,
    };

    event_add(association->engine, &event, NULL, 0);
}

void path_tell(struct sctp_path *path, enum braid_path_change change)
{
    tell(path, change, 0);
}

/* As far as anything depends on it. */
static void count_error(struct sctp_path *path)
{
    uint32_t limit = path->path_max_retrans;

    if (path->primary_switchover_max_retrans < PRIMARY_SWITCHOVER_NEVER)
        limit = maximum(limit, path->primary_switchover_max_retrans);
    if (path->error_count <= limit)
        path->error_count++;
}

/* RFC 7829, section 5: the primary stays another until that one fails too. */
static void switch_primary(struct sctp_path *path)
{
    struct sctp_association *association = path->association;
    struct sctp_path *other = association_data_path(association);

    if (association->primary == path->index && other->state == BRAID_PATH_ACTIVE &&
        path->error_count > path->primary_switchover_max_retrans)
        path_prefer(other);
}

bool path_failed(struct sctp_path *path, bool counts_for_association)
{
    struct sctp_association *association = path->association;
    bool working = path->state == BRAID_PATH_ACTIVE || path->state == BRAID_PATH_POTENTIALLY_FAILED;

    count_error(path);
    if (!path->route_known) /* there may be one by now */
        path_look_up_route(path);
    if (working && path->error_count > path->path_max_retrans) {
        path->state = BRAID_PATH_INACTIVE;
        path_tell(path, BRAID_PATH_UNREACHABLE);
        plpmtud_stop(path);
    } else if (path->state == BRAID_PATH_ACTIVE &&
               path->error_count > path->potentially_failed_max_retrans) {
        path->state = BRAID_PATH_POTENTIALLY_FAILED; /* RFC 7829, section 3.2 */
        path_tell(path, BRAID_PATH_SUSPECTED);
        heartbeat_hurry(path);
    }
    switch_primary(path);
    if (counts_for_association &&
        ++association->error_count > association->parameters.association_max_retrans) {
        association_abort(association, BRAID_DOWN_LOST, NULL); /* it may be deaf one way only */
        return false;
    }
    return true;
}

void path_answered(struct sctp_path *path, enum path_answer answer)
{
    enum braid_path_change change =
        path->state == BRAID_PATH_INACTIVE ? BRAID_PATH_AVAILABLE : BRAID_PATH_RECOVERED;

    path->error_count = 0;
    if (path->state == BRAID_PATH_INACTIVE || path->state == BRAID_PATH_POTENTIALLY_FAILED) {
        path->state = BRAID_PATH_ACTIVE;
        tell(path, change, answer);
        plpmtud_recover(path);
        association_set_ready(path->association);
    }
}

void path_confirm(struct sctp_path *path)
{
    if (path->state != BRAID_PATH_UNCONFIRMED)
        return;
    path->state = BRAID_PATH_ACTIVE;
    path->error_count = 0;
    tell(path, BRAID_PATH_CONFIRMED, PATH_HEARTBEAT_ANSWERED);
    plpmtud_start(path);
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

uint32_t path_mtu_minimum(const struct sctp_path *path)
{
    return path->address.family == BRAID_IPV4 ? MTU_MINIMUM_IPV4 : MTU_MINIMUM_IPV6;
}

void path_set_mtu(struct sctp_path *path, uint32_t mtu)
{
    mtu = maximum(mtu, path_mtu_minimum(path));
    path->mtu = minimum(mtu, PACKET_MAXIMUM) & ~3u; /* chunks are multiples of four bytes */
}

void path_lower_mtu(struct sctp_path *path, uint32_t mtu)
{
    struct sctp_association *association = path->association;
    struct sctp_sender *sender = &association->sender;

    path_set_mtu(path, mtu);
    for (uint32_t tsn = sender->cumulative_tsn_ack + 1; tsn_before(tsn, sender->next_tsn); tsn++) {
        struct outstanding *entry = sender_entry(sender, tsn);

        if (entry->path == path->index && !entry->acknowledged && !entry->retransmit &&
            data_chunk_size(association, entry->length) > path_maximum_data_chunk_size(path))
            sender_mark(association, tsn, path);
    }
    association_set_ready(association);
}

/* The one that was as long as the route says what it said; then the route's if the peer knows it.
 */
static struct braid_address choose_source(const struct sctp_path *path,
                                          const struct braid_address *routed)
{
    const struct sctp_association *association = path->association;
    bool usable = path->source.family && association_may_send_from(association, &path->source) &&
                  engine_has_address(association->engine, &path->source);

    if (usable && braid_address_equal(routed, &path->route_source))
        return path->source;
    if (path->route_known && routed->family && association_may_send_from(association, routed))
        return *routed;
    return usable ? path->source : association_first_source(association, path->address.family);
}

void path_look_up_route(struct sctp_path *path)
{
    struct sctp_association *association = path->association;
    const struct braid_engine_config *config = &association->engine->config;
    uint32_t mtu = 0, before = path->route_mtu;
    struct braid_address source = {0}, source_before = path->source;

    path->route_known =
        !config->route || config->route(config->context, &path->address,
                                        association->parameters.interface, &source, &mtu);
    source = braid_address_normalise(&source);
    path->source = choose_source(path, &source);
    if (source_before.family && !braid_address_equal(&path->source, &source_before))
        congestion_init(path); /* 7.2.5.2 */
    path->route_source = source;
    if (!path->route_known && before)
        return;
    if (association->parameters.path_mtu)
        mtu = association->parameters.path_mtu;
    path->route_mtu = mtu ? mtu : 1500;
    if (path->mtu_fixed || path->route_mtu == before) /* what was discovered stays */
        return;
    if (path->route_mtu < path->mtu)
        path_lower_mtu(path, path->route_mtu);
    else
        path_set_mtu(path, path->route_mtu);
}

uint32_t association_fragmentation_point(const struct sctp_association *association)
{
    uint32_t point = PACKET_MAXIMUM;

    for (uint8_t i = 0; i < association->path_count; i++)
        point = minimum(point, path_maximum_data_chunk_size(association->paths[i]));
    point -= association->data_header_length;
    if (association->parameters.maximum_segment)
        point = minimum(point, association->parameters.maximum_segment);
    return point;
}

/* ---- What the user wants of it ---- */

uint32_t path_sack_delay(const struct sctp_path *path)
{
    return path->own.sack_delay < 0 ? path->association->parameters.sack_delay
                                    : (uint32_t)path->own.sack_delay;
}

uint8_t path_traffic_class(const struct sctp_path *path)
{
    return path->own.traffic_class < 0 ? path->association->parameters.traffic_class
                                       : (uint8_t)path->own.traffic_class;
}

uint8_t hop_limit_to(const struct braid_parameters *parameters, const struct braid_address *address)
{
    return address->family == BRAID_IPV4 ? parameters->time_to_live : parameters->hop_limit;
}

bool path_discovers_mtu(const struct sctp_path *path)
{
    return path->own.mtu_discovery < 0 ? path->association->parameters.path_mtu_discovery
                                       : path->own.mtu_discovery > 0;
}

/* ---- Choice ---- */

/* How little hope there is for data: by state, then by errors (RFC 7829, sections 3.2 and 4: when
 * no path is active, one of those with the fewest errors goes on). Unconfirmed ones come last. */
static uint64_t despair(const struct sctp_path *path)
{
    switch ((enum braid_path_state)path->state) {
    case BRAID_PATH_ACTIVE:
        return 0;
    case BRAID_PATH_POTENTIALLY_FAILED:
        return (uint64_t)1 << 32 | path->error_count;
    case BRAID_PATH_INACTIVE:
        return (uint64_t)2 << 32 | path->error_count;
    case BRAID_PATH_UNCONFIRMED:
        break;
    }
    return (uint64_t)3 << 32;
}

struct sctp_path *association_data_path(const struct sctp_association *association)
{
    struct sctp_path *best = association->paths[association->primary];

    for (uint8_t i = 0; i < association->path_count; i++) {
        if (despair(association->paths[i]) < despair(best))
            best = association->paths[i];
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

struct sctp_path *association_other_path(const struct sctp_association *association,
                                         const struct sctp_path *path)
{
    struct sctp_path *best = NULL;

    for (unsigned int i = 1; i < association->path_count; i++) {
        struct sctp_path *other = association->paths[(path->index + i) % association->path_count];

        if (other->state != BRAID_PATH_UNCONFIRMED && (!best || despair(other) < despair(best)))
            best = other;
    }
    return best ? best : association->paths[path->index];
}

struct sctp_path *association_alternate_path(const struct sctp_association *association,
                                             const struct sctp_path *path)
{
    struct sctp_path *other = association_other_path(association, path);

    /* As good is good enough: when all have failed, each has its turn. */
    return despair(other) <= despair(path) ? other : association->paths[path->index];
}
