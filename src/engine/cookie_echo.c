/*
 * A COOKIE ECHO makes an association, or meets one.
 *
 * RFC 9260, section 5.1.5 (authentication), section 5.2.4 (restart and collision), section 5.2.6
 * (stale cookie).
 */
#include "engine/private.h"

static void send_stale_cookie(struct braid_engine *engine, const struct arrival *arrival,
                              const struct cookie *cookie)
{
    struct sctp_common_header header = {cookie->local_port, cookie->peer_port, cookie->peer_tag};
    braid_time staleness = engine->now - cookie->created - milliseconds(cookie->life);
    struct packet_writer writer;
    struct response *response = response_begin(engine, &writer, 64, &header);
    size_t chunk;

    engine->statistics.stale_cookie++;
    if (!response)
        return;
    chunk = error_begin(&writer);
    stale_cookie_write(&writer, staleness > UINT32_MAX ? UINT32_MAX : (uint32_t)staleness);
    chunk_end(&writer, chunk);
    response_send(engine, response, &writer, arrival);
}

/* What the cookie says becomes the association's. */
static bool take_cookie(struct sctp_association *association, const struct cookie *cookie,
                        const struct arrival *arrival)
{
    struct sctp_path *path;

    association->local_tag = cookie->local_tag;
    association->peer_tag = cookie->peer_tag;
    association->local_initial_tsn = cookie->local_initial_tsn;
    association->outbound_streams = cookie->outbound_streams;
    association->inbound_streams = cookie->inbound_streams;
    association->peer_adaptation_given = cookie->adaptation_given;
    association->peer_adaptation = cookie->adaptation;
    association->partial_reliability = cookie->partial_reliability;
    association_set_interleaving(association, cookie->interleaving);
    association->accepts_zero_checksum = cookie->accepts_zero_checksum;
    association->peer_accepts_zero_checksum = cookie->peer_accepts_zero_checksum;
    association->ecn = (struct ecn){.capable = cookie->ecn};
    association->parameters.receive_buffer = cookie->local_rwnd;
    authentication_agree(association, &cookie->local_terms, &cookie->peer_terms);
    asconf_begin_association(association, cookie->asconf && authentication_is_capable(association),
                             cookie->local_initial_tsn, cookie->peer_initial_tsn);
    reconfig_begin_association(association, cookie->reconfig, cookie->local_initial_tsn,
                               cookie->peer_initial_tsn);
    sender_set_peer_rwnd(&association->sender, cookie->peer_rwnd);
    receiver_init(association, cookie->peer_initial_tsn);
    path = association_path_to(association, &cookie->addresses[0]);
    if (!path)
        path = association_add_path(association, &cookie->addresses[0],
                                    arrival->packet->encapsulation_port, BRAID_PATH_ACTIVE);
    if (!path)
        return false;
    /* With several paths the route says which address of ours belongs to which (6.4). A peer with
     * one address may see us through one alone: that which it called. */
    if (cookie->address_count == 1 || !path->source.family)
        path->source = cookie->local_address;
    path->state = BRAID_PATH_ACTIVE; /* 5.4, 2: our INIT ACK reached it */
    association->primary = association->setup_path = path->index;
    for (uint8_t i = 1; i < cookie->address_count; i++)
        setup_add_listed(association, &cookie->addresses[i], &cookie->local_address,
                         arrival->packet->encapsulation_port);
    return true;
}

/* RFC 4895, 6.3: by the association that there is, or by what has just come of the cookie. */
static bool cookie_echo_is_authentic(struct sctp_association *association, struct arrival *arrival)
{
    if (arrival->auth) {
        arrival->authenticated = authentication_receive(association, arrival, arrival->auth);
        return arrival->authenticated;
    }
    if (!authentication_expects(association, SCTP_CHUNK_COOKIE_ECHO))
        return true;
    association->engine->statistics.unauthenticated_chunks++;
    return false;
}

static struct sctp_association *accept_association(struct braid_engine *engine,
                                                   struct arrival *arrival,
                                                   const struct cookie *cookie)
{
    struct sctp_endpoint *listener =
        endpoint_find_listener(engine, cookie->local_port, &cookie->local_address, arrival->packet);
    struct sctp_association *association = NULL;

    if (listener && listener->unclaimed < listener->backlog)
        association = association_new(engine, listener, cookie->peer_port);
    if (!association) {
        engine->statistics.associations_refused++;
        abort_for_cause(engine, arrival, cookie->peer_tag, SCTP_CAUSE_OUT_OF_RESOURCE, NULL, 0);
        return NULL;
    }
    listener->unclaimed++;
    association->incoming = true;
    sender_init(&association->sender, cookie->local_initial_tsn);
    if (!take_cookie(association, cookie, arrival) ||
        !cookie_echo_is_authentic(association, arrival)) {
        association_free(association);
        return NULL;
    }
    association_established(association);
    return association;
}

/* 5.2.4, action A. */
static bool restart(struct sctp_association *association, const struct cookie *cookie,
                    struct arrival *arrival)
{
    struct braid_engine *engine = association->engine;

    if (association->state == BRAID_SHUTDOWN_ACK_SENT) {
        struct packet_writer writer;
        struct sctp_common_header header = {association->local_port, association->peer_port,
                                            cookie->peer_tag};
        struct response *response = response_begin(engine, &writer, 64, &header);

        if (response) {
            size_t chunk;

            shutdown_ack_write(&writer);
            chunk = error_begin(&writer);
            parameter_write(&writer, SCTP_CAUSE_COOKIE_WHILE_SHUTTING_DOWN, NULL, 0);
            chunk_end(&writer, chunk);
            response_send(engine, response, &writer, arrival);
        }
        return false;
    }
    association_stop_timers(association);
    cookie_spend(association);
    sender_free(association, true);
    receiver_free(association, true);
    association_free_paths(association);
    sender_init(&association->sender, cookie->local_initial_tsn);
    association->local_tie_tag = random_tag(engine);
    association->peer_tie_tag = random_tag(engine);
    association->send_sack = association->send_shutdown = association->send_shutdown_ack = false;
    arrival->path = NULL;
    if (!take_cookie(association, cookie, arrival)) {
        association_down(association, BRAID_DOWN_LOST, NULL, 0);
        return false;
    }
    association_established(association);
    return true;
}

/* 5.2.4, action B: the peer's INIT crossed ours, and it now has another tag. */
static void collide(struct sctp_association *association, const struct cookie *cookie,
                    const struct arrival *arrival)
{
    bool forming = association->state < BRAID_ESTABLISHED;

    association->peer_tag = cookie->peer_tag;
    association->peer_accepts_zero_checksum &= cookie->peer_accepts_zero_checksum;
    if (forming || !association->receiver.any_data) {
        bool agreed = association->state != BRAID_COOKIE_WAIT;
        bool interleaving = association->interleaving;

        receiver_free(association, true);
        take_cookie(association, cookie, arrival);
        if (agreed) /* by INIT ACK: user data may be on its way (5.1, D) */
            association_set_interleaving(association, interleaving);
    }
    if (forming)
        association_established(association);
}

/* Whose it is by the address to which the INIT ACK went, or by one that the peer lists and that we
 * are calling just now. That it lists another's address is no word on an association that is up. */
static struct sctp_association *find_by_cookie(const struct braid_engine *engine,
                                               const struct cookie *cookie)
{
    for (uint8_t i = 0; i < cookie->address_count; i++) {
        const struct sctp_path *path =
            path_hash_find(engine, NULL, &cookie->local_address, cookie->local_port,
                           &cookie->addresses[i], cookie->peer_port);

        if (path && (i == 0 || path->association->state < BRAID_ESTABLISHED))
            return path->association;
    }
    return NULL;
}

struct sctp_association *setup_receive_cookie_echo(struct braid_engine *engine,
                                                   struct arrival *arrival,
                                                   const struct sctp_chunk *chunk,
                                                   struct sctp_association *association)
{
    struct sctp_cookie_echo echo;
    struct cookie cookie;
    bool local_same = false, peer_same = false, stale;

    if (!cookie_echo_read(chunk, &echo) ||
        !cookie_read(engine, echo.cookie, echo.cookie_length, &cookie)) {
        engine->statistics.bad_cookie++;
        /* Where nobody listens there is no endpoint that 5.1.5 could speak of: 8.4, rule 8. */
        if (!association && !endpoint_find_listener(engine, arrival->header.destination_port,
                                                    &arrival->destination, arrival->packet))
            abort_statelessly(engine, arrival, arrival->header.verification_tag, true, NULL);
        return NULL;
    }
    if (cookie.local_port != arrival->header.destination_port ||
        cookie.peer_port != arrival->header.source_port ||
        cookie.local_tag != arrival->header.verification_tag) {
        engine->statistics.bad_tag++;
        return NULL;
    }
    if (!association) /* it may come from another of the peer's addresses */
        association = find_by_cookie(engine, &cookie);
    if (association) {
        local_same = cookie.local_tag == association->local_tag;
        peer_same = cookie.peer_tag == association->peer_tag;
    }
    stale = engine->now - cookie.created > milliseconds(cookie.life);
    if (stale && !(local_same && peer_same)) {
        send_stale_cookie(engine, arrival, &cookie);
        return NULL;
    }

    if (association) {
        /* In COOKIE-WAIT only the cookie knows what the peer said, if it is for our INIT. */
        if (association->state == BRAID_COOKIE_WAIT && local_same)
            authentication_agree(association, &cookie.local_terms, &cookie.peer_terms);
        if (!cookie_echo_is_authentic(association, arrival))
            return NULL;
    }
    if (!association && cookie_is_spent(engine, cookie.local_tag)) {
        engine->statistics.bad_cookie++;
        abort_statelessly(engine, arrival, cookie.local_tag, true, NULL);
        return NULL;
    }
    if (!association) {
        association = accept_association(engine, arrival, &cookie);
        if (!association)
            return NULL;
    } else if (local_same && peer_same) { /* D */
        if (association->state == BRAID_COOKIE_ECHOED)
            association_established(association);
    } else if (local_same) { /* B */
        collide(association, &cookie, arrival);
    } else if (!peer_same && cookie.local_tie_tag == association->local_tie_tag &&
               cookie.peer_tie_tag == association->peer_tie_tag) { /* A */
        if (!restart(association, &cookie, arrival))
            return NULL;
    } else { /* C, and what the table does not have */
        return NULL;
    }
    arrival->path = association_path_to(association, &arrival->source);
    association->reply_path = association_reply_path(association, arrival)->index;
    association->send_cookie_ack = true;
    association_set_ready(association);
    return association;
}
