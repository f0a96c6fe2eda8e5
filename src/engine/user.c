/*
 * What the user asks of an association, and may know of it.
 *
 * RFC 9260, section 11.1 (ULP-to-SCTP). braid_send() is in send.c, braid_receive() in
 * reassembly.c.
 */
#include "engine/private.h"

void braid_parameters_default(struct braid_parameters *parameters)
{
    *parameters = (struct braid_parameters){
        .rto_initial = 1000,
        .rto_min = 1000,
        .rto_max = 60000,
        .rto_alpha_shift = 3,
        .rto_beta_shift = 2,
        .max_burst = 4,
        .valid_cookie_life = 60000,
        .association_max_retrans = 10,
        .path_max_retrans = 5,
        .max_init_retransmits = 8,
        .potentially_failed_max_retrans = 0,
        .primary_switchover_max_retrans = UINT16_MAX,
        .hb_interval = 30000,
        .hb_max_burst = 1,
        .sack_delay = 200,
        .sack_frequency = 2,
        .receive_buffer = 212992,
        .send_buffer = 212992,
        .outbound_streams = 10,
        .inbound_streams = UINT16_MAX,
        .cookie_preservative = true,
        .path_mtu_discovery = true,
        .partial_reliability = true,
        .auth_hmac_count = 2,
        .auth_hmacs = {1, 3},
    };
}

const char *braid_state_name(enum braid_state state)
{
    static const char *const names[] = {
        "CLOSED",           "COOKIE-WAIT",   "COOKIE-ECHOED",     "ESTABLISHED",
        "SHUTDOWN-PENDING", "SHUTDOWN-SENT", "SHUTDOWN-RECEIVED", "SHUTDOWN-ACK-SENT",
    };

    return (size_t)state < sizeof(names) / sizeof(names[0]) ? names[state] : "?";
}

const char *braid_path_state_name(enum braid_path_state state)
{
    static const char *const names[] = {"UNCONFIRMED", "ACTIVE", "INACTIVE", "POTENTIALLY-FAILED"};

    return (size_t)state < sizeof(names) / sizeof(names[0]) ? names[state] : "?";
}

/* ---- What the user asks ---- */

static struct sctp_association *find_at(struct braid_engine *engine, uint32_t identifier,
                                        braid_time now)
{
    if (now > engine->now)
        engine->now = now;
    return association_find(engine, identifier);
}

int braid_connect(struct braid_engine *engine, uint32_t endpoint_identifier,
                  const struct braid_address *addresses, size_t count, uint16_t port,
                  uint16_t encapsulation_port, braid_time now, uint32_t *identifier)
{
    struct sctp_endpoint *endpoint = endpoint_find(engine, endpoint_identifier);
    struct sctp_association *association;

    if (now > engine->now)
        engine->now = now;
    if (!endpoint || count == 0 || count > ADDRESSES_MAXIMUM || port == 0 ||
        endpoint->parameters.outbound_streams == 0 || endpoint->parameters.inbound_streams == 0)
        return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        struct braid_address address = braid_address_normalise(&addresses[i]);
        struct sctp_path *other;

        if (!braid_address_is_unicast(&address))
            return -EINVAL;
        if (address.family == BRAID_IPV4 ? !endpoint->ipv4 : !endpoint->ipv6)
            return -EADDRNOTAVAIL;
        other = path_hash_find(engine, NULL, NULL, endpoint->port, &address, port);
        if (other && other->association->endpoint == endpoint)
            return -EISCONN;
        if (other) /* another endpoint of the port has it: packets could not be told apart */
            return -EADDRNOTAVAIL;
    }
    if (engine->associations.count >= engine->config.maximum_associations) {
        engine->statistics.associations_refused++;
        return -ENOBUFS;
    }
    association = association_new(engine, endpoint, port);
    if (!association)
        return -ENOMEM;
    association->claimed = true;
    for (size_t i = 0; i < count; i++) {
        struct braid_address address = braid_address_normalise(&addresses[i]);

        if (association_path_to(association, &address))
            continue;
        if (!association_add_path(association, &address, encapsulation_port, BRAID_PATH_ACTIVE)) {
            association_free(association);
            return -ENOMEM;
        }
    }
    while (association->setup_path < association->path_count &&
           !association->paths[association->setup_path]->route_known)
        association->setup_path++;
    if (association->setup_path == association->path_count) {
        association_free(association);
        return -ENETUNREACH;
    }
    association->primary = association->setup_path;
    association->outbound_streams = association->parameters.outbound_streams;
    setup_start(association);
    *identifier = association->id;
    return 0;
}

int braid_shutdown(struct braid_engine *engine, uint32_t identifier, braid_time now)
{
    struct sctp_association *association = find_at(engine, identifier, now);

    if (!association || association->down)
        return -ENOTCONN;
    switch ((enum braid_state)association->state) {
    case BRAID_COOKIE_WAIT:
        /* 9.2 has no word for it; there is nothing to deliver to. */
        association_down(association, BRAID_DOWN_ABORTED_BY_USER, NULL, 0);
        return 0;
    case BRAID_COOKIE_ECHOED:
        association_abort_by_user(association, NULL, 0);
        return 0;
    case BRAID_ESTABLISHED:
        timer_stop(&engine->wheel, &association->autoclose);
        association->state = BRAID_SHUTDOWN_PENDING;
        teardown_continue(association);
        association_set_ready(association);
        return 0;
    default:
        return 0;
    }
}

int braid_abort(struct braid_engine *engine, uint32_t identifier, const void *reason, size_t length,
                braid_time now)
{
    struct sctp_association *association = find_at(engine, identifier, now);

    if (!association || association->down)
        return -ENOTCONN;
    association_abort_by_user(association, reason, length);
    return 0;
}

void braid_association_release(struct braid_engine *engine, uint32_t identifier, braid_time now)
{
    struct sctp_association *association = find_at(engine, identifier, now);

    if (!association)
        return;
    if (!association->down)
        braid_abort(engine, identifier, NULL, 0, now);
    association_free(association);
}

int braid_association_claim(struct braid_engine *engine, uint32_t identifier)
{
    struct sctp_association *association = association_find(engine, identifier);

    if (!association)
        return -ENOENT;
    if (!association->claimed)
        association->endpoint->unclaimed--;
    association->claimed = true;
    return 0;
}

int braid_association_move(struct braid_engine *engine, uint32_t identifier,
                           uint32_t endpoint_identifier)
{
    struct sctp_association *association = association_find(engine, identifier);
    struct sctp_endpoint *endpoint = endpoint_find(engine, endpoint_identifier);

    if (!association || !endpoint)
        return -ENOENT;
    if (endpoint->port != association->local_port)
        return -EINVAL;
    braid_association_claim(engine, identifier);
    list_remove(&association->endpoint_link);
    association->endpoint = endpoint;
    list_append(&endpoint->associations, &association->endpoint_link);
    return 0;
}

void *braid_association_user(const struct braid_engine *engine, uint32_t identifier)
{
    const struct sctp_association *association = association_find(engine, identifier);

    return association ? association->user : NULL;
}

int braid_association_set_user(struct braid_engine *engine, uint32_t identifier, void *user)
{
    struct sctp_association *association = association_find(engine, identifier);

    if (!association)
        return -ENOENT;
    association->user = user;
    return 0;
}

struct braid_parameters *braid_association_parameters(struct braid_engine *engine,
                                                      uint32_t identifier)
{
    struct sctp_association *association = association_find(engine, identifier);

    return association ? &association->parameters : NULL;
}

uint32_t braid_association_find(const struct braid_engine *engine, uint32_t endpoint_identifier,
                                const struct braid_address *peer, uint16_t port)
{
    const struct sctp_endpoint *endpoint = endpoint_find(engine, endpoint_identifier);
    struct braid_address address = braid_address_normalise(peer);
    const struct sctp_path *path;

    if (!endpoint)
        return 0;
    path = path_hash_find(engine, endpoint, NULL, endpoint->port, &address, port);
    return path ? path->association->id : 0;
}

uint32_t braid_association_next(const struct braid_engine *engine, uint32_t endpoint,
                                uint32_t after)
{
    struct sctp_association *association;

    while ((association = identifier_next(&engine->associations, after))) {
        if (endpoint == 0 || association->endpoint->id == endpoint)
            return association->id;
        after = association->id;
    }
    return 0;
}

/* ---- What the user may know ---- */

int braid_association_info(const struct braid_engine *engine, uint32_t identifier,
                           struct braid_association_info *info)
{
    const struct sctp_association *association = association_find(engine, identifier);

    if (!association)
        return -ENOENT;

    const struct sctp_sender *sender = &association->sender;
    const struct sctp_receiver *receiver = &association->receiver;

    *info = (struct braid_association_info){
        .endpoint = association->endpoint->id,
        .state = association->state,
        .local_port = association->local_port,
        .peer_port = association->peer_port,
        .inbound_streams = association->inbound_streams,
        .outbound_streams = association->outbound_streams,
        .local_tag = association->local_tag,
        .peer_tag = association->peer_tag,
        .peer_rwnd = sender->peer_rwnd,
        .local_rwnd = association_local_rwnd(association),
        .outstanding_chunks = sender->outstanding_chunks,
        .outstanding_bytes = sender->outstanding_bytes,
        .queued_bytes = sender->queued_bytes,
        .unread_messages = receiver->ready_messages,
        .unread_bytes = receiver->ready_bytes,
        .receive_chunks_waiting = receiver->waiting_chunks,
        .fragmentation_point =
            association->path_count ? association_fragmentation_point(association) : 0,
        .path_count = association->path_count,
        .primary_path = association->primary,
        .error_count = association->error_count,
        .incoming = association->incoming,
        .writable = sender->queued_bytes < association->parameters.send_buffer,
        .peer_adaptation_given = association->peer_adaptation_given,
        .peer_adaptation = association->peer_adaptation,
        .partial_reliability = association->partial_reliability,
        .interleaving = association->interleaving,
        .reconfig = association->reconfig != NULL,
        .ecn = association->ecn.capable,
        .accepts_zero_checksum = association->accepts_zero_checksum,
        .peer_accepts_zero_checksum = association->peer_accepts_zero_checksum,
        .packets_sent = association->packets_sent,
        .packets_received = association->packets_received,
        .bytes_sent = association->bytes_sent,
        .bytes_received = association->bytes_received,
        .messages_sent = association->messages_sent,
        .messages_received = association->messages_received,
        .chunks_retransmitted = association->chunks_retransmitted,
        .chunks_duplicate = association->chunks_duplicate,
        .sacks_sent = association->sacks_sent,
        .sacks_received = association->sacks_received,
        .fast_retransmits = association->fast_retransmits,
        .t3_expirations = association->t3_expirations,
        .heartbeats_sent = association->heartbeats_sent,
        .heartbeats_acknowledged = association->heartbeats_acknowledged,
        .forward_tsns_sent = association->forward_tsns_sent,
        .forward_tsns_received = association->forward_tsns_received,
        .ecn_reductions = association->ecn_reductions,
    };
    return 0;
}

static struct sctp_path *find_path(const struct braid_engine *engine, uint32_t identifier,
                                   uint32_t index)
{
    const struct sctp_association *association = association_find(engine, identifier);

    return association && index < association->path_count ? association->paths[index] : NULL;
}

int braid_path_info(const struct braid_engine *engine, uint32_t identifier, uint32_t index,
                    struct braid_path_info *info)
{
    const struct sctp_path *path = find_path(engine, identifier, index);

    if (!path)
        return -ENOENT;
    *info = (struct braid_path_info){
        .address = path->address,
        .source = path->source,
        .encapsulation_port = path->encapsulation_port,
        .state = path->state,
        .primary = path->index == path->association->primary,
        .srtt = path->srtt,
        .rttvar = path->rttvar,
        .rto = path->rto,
        .cwnd = path->cwnd,
        .ssthresh = path->ssthresh,
        .flight = path->flight,
        .partial_bytes_acked = path->partial_bytes_acked,
        .mtu = path->mtu,
        .probe_interval = path->plpmtud.interval,
        .error_count = path->error_count,
        .hb_interval = path->hb_interval,
        .path_max_retrans = path->path_max_retrans,
        .potentially_failed_max_retrans = path->potentially_failed_max_retrans,
        .primary_switchover_max_retrans = path->primary_switchover_max_retrans,
        .sack_delay = path_sack_delay(path),
        .path_mtu_discovery = path_discovers_mtu(path),
        .traffic_class = path_traffic_class(path),
        .packets_sent = path->packets_sent,
        .bytes_sent = path->bytes_sent,
        .packets_received = path->packets_received,
        .bytes_received = path->bytes_received,
    };
    return 0;
}

int braid_path_find(const struct braid_engine *engine, uint32_t identifier,
                    const struct braid_address *peer)
{
    const struct sctp_association *association = association_find(engine, identifier);
    struct braid_address address = braid_address_normalise(peer);
    const struct sctp_path *path = association ? association_path_to(association, &address) : NULL;

    return path ? path->index : -ENOENT;
}

int braid_path_set_primary(struct braid_engine *engine, uint32_t identifier, uint32_t index,
                           braid_time now)
{
    struct sctp_association *association = find_at(engine, identifier, now);
    struct sctp_path *path = find_path(engine, identifier, index);

    if (!path)
        return -ENOENT;
    for (uint8_t i = 0; i < association->path_count; i++)
        association->paths[i]->preferred = false;
    if (association->primary != index) {
        association->primary = (uint8_t)index;
        path_tell(path, BRAID_PATH_MADE_PRIMARY);
    }
    association_set_ready(association);
    return 0;
}

int braid_path_request_heartbeat(struct braid_engine *engine, uint32_t identifier, uint32_t index,
                                 braid_time now)
{
    struct sctp_association *association = find_at(engine, identifier, now);
    struct sctp_path *path = find_path(engine, identifier, index);

    if (!path)
        return -ENOENT;
    if (association->state < BRAID_ESTABLISHED || association->state == BRAID_SHUTDOWN_SENT ||
        association->state == BRAID_SHUTDOWN_ACK_SENT)
        return -ENOTCONN;
    path->heartbeat_wanted = true;
    association_set_ready(association);
    return 0;
}

int braid_path_configure(struct braid_engine *engine, uint32_t identifier, uint32_t index,
                         const struct braid_path_settings *settings, braid_time now)
{
    struct sctp_association *association = find_at(engine, identifier, now);
    struct sctp_path *path = find_path(engine, identifier, index);

    if (!path)
        return -ENOENT;
    if (settings->path_max_retrans >= 0)
        path->path_max_retrans = (uint32_t)settings->path_max_retrans;
    if (settings->potentially_failed_max_retrans >= 0)
        path->potentially_failed_max_retrans = (uint32_t)settings->potentially_failed_max_retrans;
    if (settings->primary_switchover_max_retrans >= 0)
        path->primary_switchover_max_retrans = (uint32_t)settings->primary_switchover_max_retrans;
    if (settings->sack_delay != -1)
        path->own.sack_delay = (int32_t)settings->sack_delay;
    if (settings->traffic_class != -1)
        path->own.traffic_class = (int16_t)settings->traffic_class;
    if (settings->path_mtu_discovery != -1)
        path->own.mtu_discovery = (int8_t)settings->path_mtu_discovery;
    if (settings->mtu >= 0) {
        path->mtu_fixed = settings->mtu > 0;
        if (settings->mtu > 0)
            path_set_mtu(path, minimum((uint32_t)settings->mtu, PACKET_MAXIMUM));
        path->route_mtu = 0; /* to be believed again */
        path_look_up_route(path);
    }
    if (settings->encapsulation_port >= 0)
        path->encapsulation_port = (uint16_t)settings->encapsulation_port;
    if (settings->probe_interval >= 0)
        path->plpmtud.interval = (uint32_t)settings->probe_interval;
    if (settings->probe_interval >= 0 || settings->mtu >= 0)
        plpmtud_start(path);
    if (settings->hb_interval >= 0) {
        path->hb_interval = (uint32_t)settings->hb_interval;
        if (association->state >= BRAID_ESTABLISHED && association->state != BRAID_SHUTDOWN_SENT &&
            association->state != BRAID_SHUTDOWN_ACK_SENT && !path->heartbeat_outstanding)
            heartbeat_start(path);
    }
    return 0;
}
