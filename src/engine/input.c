/*
 * A packet comes in: whose is it, may it be believed, and what do its chunks say?
 *
 * RFC 9260, section 8.5 (Verification Tag), section 8.4 (out of the blue), section 3.2 (unknown
 * chunks), section 6.10 (bundling). RFC 9653, section 5.3 (zero checksum).
 */
#include "engine/private.h"

/* ---- Out of the blue: 8.4 ---- */

static bool error_has_stale_cookie(const struct sctp_chunk *chunk)
{
    struct parameter_iterator iterator;
    struct sctp_parameter cause;
    struct sctp_error error;

    if (!error_read(chunk, &error))
        return false;
    parameter_iterator_init(&iterator, error.causes, error.causes_length);
    while (parameter_next(&iterator, &cause)) {
        if (cause.type == SCTP_CAUSE_STALE_COOKIE)
            return true;
    }
    return false;
}

static void send_shutdown_complete(struct braid_engine *engine, const struct arrival *arrival)
{
    struct sctp_common_header header = {arrival->header.destination_port,
                                        arrival->header.source_port,
                                        arrival->header.verification_tag};
    struct packet_writer writer;
    struct response *response = response_begin(engine, &writer, 32, &header);

    if (!response)
        return;
    shutdown_complete_write(&writer, true);
    response_send(engine, response, &writer, arrival);
}

/* The rules in their order; INIT and COOKIE ECHO in front were seen to (3, 4). */
static void out_of_the_blue(struct braid_engine *engine, const struct arrival *arrival)
{
    const struct braid_packet *packet = arrival->packet;
    bool shutdown_ack = false, silent = false;
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;

    engine->statistics.out_of_the_blue++;
    chunk_iterator_init(&iterator, packet->bytes, packet->length);
    while (chunk_next(&iterator, &chunk)) {
        if (chunk.type == SCTP_CHUNK_ABORT) /* 2 */
            return;
        if (chunk.type == SCTP_CHUNK_SHUTDOWN_ACK)
            shutdown_ack = true;
        silent |= chunk.type == SCTP_CHUNK_SHUTDOWN_COMPLETE ||
                  chunk.type == SCTP_CHUNK_COOKIE_ACK ||
                  (chunk.type == SCTP_CHUNK_ERROR && error_has_stale_cookie(&chunk));
    }
    if (shutdown_ack) /* 5 */
        send_shutdown_complete(engine, arrival);
    else if (!silent && !iterator.malformed) /* 6, 7, 8 */
        abort_statelessly(engine, arrival, arrival->header.verification_tag, true, NULL);
}

/* ---- The Verification Tag: 8.5 ---- */

static bool tag_is_good(const struct sctp_association *association, const struct arrival *arrival,
                        const struct sctp_chunk *first)
{
    uint32_t tag = arrival->header.verification_tag;

    if (first->type == SCTP_CHUNK_ABORT || first->type == SCTP_CHUNK_SHUTDOWN_COMPLETE) {
        if (first->flags & SCTP_FLAG_TAG_REFLECTED)
            return association->peer_tag != 0 && tag == association->peer_tag;
    }
    return tag == association->local_tag;
}

/* ---- Chunks ---- */

/* 3.2: reported as far as there is room. False: the rest of the packet is not to be looked at. */
static bool receive_unknown(struct braid_engine *engine, const struct sctp_chunk *chunk)
{
    struct sctp_unknown_action action = chunk_unknown_action(chunk->type);

    engine->statistics.unknown_chunks++;
    if (action.report) {
        size_t before = engine->errors.length;

        unrecognized_chunk_type_write(&engine->errors, chunk);
        errors_end(engine, before);
    }
    return !action.stop;
}

static void receive_error(struct sctp_association *association, struct arrival *arrival,
                          const struct sctp_chunk *chunk)
{
    struct parameter_iterator iterator;
    struct sctp_parameter cause;
    struct sctp_chunk unknown;
    struct sctp_error error;

    if (association->state < BRAID_COOKIE_ECHOED || !error_read(chunk, &error))
        return;
    parameter_iterator_init(&iterator, error.causes, error.causes_length);
    while (!association->down && parameter_next(&iterator, &cause)) {
        struct braid_event event = {
            .type = BRAID_EVENT_REMOTE_ERROR,
            .association = association->id,
            .endpoint = association->endpoint->id,
            .cause = cause.type,
        };
        uint32_t staleness;

        if (cause.type == SCTP_CAUSE_UNRECOGNIZED_CHUNK_TYPE &&
            unrecognized_chunk_type_read(&cause, &unknown) && unknown.type == SCTP_CHUNK_ASCONF)
            asconf_refused(association); /* RFC 5061, A9 */
        if (cause.type == SCTP_CAUSE_STALE_COOKIE) {
            if (stale_cookie_read(&cause, &staleness))
                setup_receive_stale_cookie(association, staleness);
        } else if (arrival->causes_told++ < CAUSES_TOLD_MAXIMUM) {
            event_add(association->engine, &event, cause.bytes, cause.length);
        }
    }
}

static void receive_sack(struct sctp_association *association, const struct sctp_chunk *chunk)
{
    struct sctp_sack sack;

    if (!sack_read(chunk, &sack))
        association->engine->statistics.bad_packet++;
    else if (association_may_send_data(association)) /* 6 */
        sender_receive_sack(association, &sack);
}

/* RFC 3758, 3.3.1: it is an unknown chunk where the extension was not agreed on. Of the kind that
 * does not go with the association's DATA it is a violation (RFC 8260, 2.3.1). */
static bool receive_forward_tsn(struct sctp_association *association, struct arrival *arrival,
                                const struct sctp_chunk *chunk)
{
    bool fits = (chunk->type == SCTP_CHUNK_I_FORWARD_TSN) == association->interleaving;

    if (!association->parameters.partial_reliability || (fits && !association->partial_reliability))
        return receive_unknown(association->engine, chunk);
    receiver_receive_forward_tsn(association, arrival, chunk);
    return true;
}

/* False: the rest of the packet is not to be looked at. */
static bool receive_chunk(struct sctp_association *association, struct arrival *arrival,
                          const struct sctp_chunk *chunk)
{
    if (!arrival->authenticated && authentication_expects(association, chunk->type)) {
        association->engine->statistics.unauthenticated_chunks++; /* RFC 4895, 6.3 */
        return chunk->type != SCTP_CHUNK_ASCONF;                  /* RFC 5061, D5 */
    }
    switch (chunk->type) {
    case SCTP_CHUNK_DATA:
    case SCTP_CHUNK_I_DATA: /* not agreed on: no unknown chunk, but a violation (RFC 8260, 2.2.3) */
        receiver_receive_data(association, arrival, chunk);
        return true;
    case SCTP_CHUNK_SACK:
        receive_sack(association, chunk);
        return true;
    case SCTP_CHUNK_HEARTBEAT:
        heartbeat_receive(association, arrival, chunk);
        return true;
    case SCTP_CHUNK_HEARTBEAT_ACK:
        heartbeat_receive_ack(association, chunk);
        return true;
    case SCTP_CHUNK_ABORT:
        teardown_receive_abort(association, arrival, chunk);
        return false;
    case SCTP_CHUNK_SHUTDOWN:
        teardown_receive_shutdown(association, arrival, chunk);
        return true;
    case SCTP_CHUNK_SHUTDOWN_ACK:
        teardown_receive_shutdown_ack(association, arrival);
        return true;
    case SCTP_CHUNK_ERROR:
        receive_error(association, arrival, chunk);
        return true;
    case SCTP_CHUNK_COOKIE_ACK:
        setup_receive_cookie_ack(association);
        return true;
    case SCTP_CHUNK_COOKIE_ECHO: /* it comes first in its packet (5.1) */
    case SCTP_CHUNK_INIT:        /* alone in theirs, and seen to */
    case SCTP_CHUNK_INIT_ACK:
    case SCTP_CHUNK_SHUTDOWN_COMPLETE:
        return false;
    case SCTP_CHUNK_ASCONF:
    case SCTP_CHUNK_ASCONF_ACK:
        if (!association->asconf || !association->asconf->capable)
            return receive_unknown(association->engine, chunk);
        if (chunk->type == SCTP_CHUNK_ASCONF)
            asconf_receive(association, arrival, chunk);
        else
            asconf_receive_ack(association, chunk);
        return true;
    case SCTP_CHUNK_PAD: /* RFC 4820 */
        return true;
    case SCTP_CHUNK_ECNE:
    case SCTP_CHUNK_CWR:
        if (!association->ecn.capable)
            return receive_unknown(association->engine, chunk);
        if (association->state >= BRAID_ESTABLISHED && chunk->type == SCTP_CHUNK_ECNE)
            ecn_receive_echo(association, chunk);
        else if (association->state >= BRAID_ESTABLISHED)
            ecn_receive_cwr(association, chunk);
        return true;
    case SCTP_CHUNK_RE_CONFIG:
        if (!association->reconfig)
            return receive_unknown(association->engine, chunk);
        reconfig_receive(association, arrival, chunk);
        return true;
    case SCTP_CHUNK_FORWARD_TSN:
    case SCTP_CHUNK_I_FORWARD_TSN:
        return receive_forward_tsn(association, arrival, chunk);
    case SCTP_CHUNK_AUTH:
        if (association->authentication && association->authentication->capable)
            return arrival->authenticated = authentication_receive(association, arrival, chunk);
        /* fall through */
    default:
        return receive_unknown(association->engine, chunk);
    }
}

/* 9.1: "An endpoint MUST NOT respond to any received packet that contains an ABORT chunk". */
static bool has_abort(struct chunk_iterator iterator, const struct sctp_chunk *first)
{
    struct sctp_chunk chunk = *first;

    do {
        if (chunk.type == SCTP_CHUNK_ABORT)
            return true;
    } while (chunk_next(&iterator, &chunk));
    return false;
}

static void receive_chunks(struct sctp_association *association, struct arrival *arrival,
                           struct chunk_iterator *iterator, struct sctp_chunk *chunk, bool more)
{
    struct braid_engine *engine = association->engine;

    association->packets_received++;
    association->bytes_received += arrival->packet->length;
    /* RFC 6951, section 5.4: the peer's UDP port is where its last good packet came from. */
    if (arrival->path) {
        arrival->path->encapsulation_port = arrival->packet->encapsulation_port;
        arrival->path->packets_received++;
        arrival->path->bytes_received += arrival->packet->length;
    }
    packet_writer_init(&engine->errors, engine->error_bytes, sizeof(engine->error_bytes));
    engine->reply_forbidden = more && has_abort(*iterator, chunk);
    while (more && receive_chunk(association, arrival, chunk) && !association->down)
        more = chunk_next(iterator, chunk);
    engine->statistics.bad_packet += iterator->malformed;
    if (association->down) {
        reply_drop(engine);
    } else {
        if (association->state == BRAID_SHUTDOWN_SENT)
            association->error_count = 0; /* 9.2 */
        if (arrival->data_seen && arrival->packet->congestion_experienced)
            ecn_packet_marked(association, arrival);
        if (arrival->data_seen)
            receiver_packet_done(association, arrival);
        reconfig_packet_done(association, arrival);
        reply_end(association, arrival);
        asconf_packet_done(association, arrival);
    }
    engine->reply_forbidden = false;
}

/* ---- Packets ---- */

static bool is_alone(const struct sctp_chunk *chunk)
{
    return chunk->type == SCTP_CHUNK_INIT || chunk->type == SCTP_CHUNK_INIT_ACK ||
           chunk->type == SCTP_CHUNK_SHUTDOWN_COMPLETE;
}

/* RFC 5061, D2: an ASCONF from an address that is only being added says another that is known. All
 * of the packet stands behind AUTH. */
static struct sctp_association *find_by_asconf(const struct braid_engine *engine,
                                               const struct arrival *arrival,
                                               struct chunk_iterator iterator)
{
    struct sctp_asconf asconf;
    struct sctp_chunk chunk;

    while (chunk_next(&iterator, &chunk)) {
        struct braid_address address;
        struct sctp_path *path;

        if (chunk.type != SCTP_CHUNK_ASCONF || !asconf_read(&chunk, &asconf))
            continue;
        address = braid_address_normalise(&asconf.address);
        path = path_hash_find(engine, NULL, &arrival->destination, arrival->header.destination_port,
                              &address, arrival->header.source_port);
        if (path && path->association->asconf && path->association->asconf->capable)
            return path->association;
    }
    return NULL;
}

/* RFC 9653, 5.3: a checksum of zero may be wrong if the association accepts it. An INIT and a
 * COOKIE ECHO belong to none, and what is out of the blue does not either. */
static bool checksum_is_good(const struct arrival *arrival,
                             const struct sctp_association *association,
                             const struct sctp_chunk *first)
{
    bool accepted = association && association->accepts_zero_checksum &&
                    first->type != SCTP_CHUNK_INIT && first->type != SCTP_CHUNK_COOKIE_ECHO;

    return !arrival->checksum_zero || accepted ||
           packet_verify_checksum(arrival->packet->bytes, arrival->packet->length);
}

static void receive_packet(struct braid_engine *engine, struct arrival *arrival,
                           struct sctp_association *association)
{
    uint32_t tag = arrival->header.verification_tag;
    struct chunk_iterator iterator;
    struct sctp_chunk first, next, auth;

    chunk_iterator_init(&iterator, arrival->packet->bytes, arrival->packet->length);
    if (!chunk_next(&iterator, &first)) {
        engine->statistics.bad_packet++;
        return;
    }
    /* 6.10, and 8.5.1 A, 12.3: with a tag of zero there is an INIT and nothing else. */
    if ((is_alone(&first) && chunk_next(&iterator, &next)) ||
        (tag == 0) != (first.type == SCTP_CHUNK_INIT)) {
        engine->statistics.bad_packet++;
        return;
    }
    if (first.type == SCTP_CHUNK_AUTH) { /* RFC 4895, 6.3 */
        struct chunk_iterator ahead = iterator;

        if (chunk_next(&ahead, &next) && next.type == SCTP_CHUNK_COOKIE_ECHO) {
            auth = first;
            arrival->auth = &auth;
            first = next;
            iterator = ahead;
        }
    }
    if (!association && first.type == SCTP_CHUNK_INIT_ACK)
        association = setup_find_by_addresses(engine, arrival, &first);
    if (!checksum_is_good(arrival, association, &first)) {
        engine->statistics.bad_checksum++;
        return;
    }
    if (first.type == SCTP_CHUNK_INIT) {
        setup_receive_init(engine, arrival, &first, association);
        return;
    }
    if (first.type == SCTP_CHUNK_COOKIE_ECHO) {
        if (!association && has_abort(iterator, &first)) {
            arrival->auth = NULL;
            out_of_the_blue(engine, arrival); /* rule 2 goes before rule 4 */
            return;
        }
        association = setup_receive_cookie_echo(engine, arrival, &first, association);
        if (association)
            receive_chunks(association, arrival, &iterator, &next, chunk_next(&iterator, &next));
        return;
    }
    if (!association && first.type == SCTP_CHUNK_AUTH)
        association = find_by_asconf(engine, arrival, iterator);
    if (!association ||
        !packet_is_of_interface(arrival->packet, association->parameters.interface)) {
        out_of_the_blue(engine, arrival);
        return;
    }
    if (first.type == SCTP_CHUNK_SHUTDOWN_ACK &&
        (association->state == BRAID_COOKIE_WAIT || association->state == BRAID_COOKIE_ECHOED)) {
        out_of_the_blue(engine, arrival); /* 8.5.1 E */
        return;
    }
    if (!tag_is_good(association, arrival, &first)) {
        engine->statistics.bad_tag++;
        return;
    }
    if (first.type == SCTP_CHUNK_INIT_ACK)
        setup_receive_init_ack(association, arrival, &first);
    else if (first.type == SCTP_CHUNK_SHUTDOWN_COMPLETE)
        teardown_receive_shutdown_complete(association);
    else
        receive_chunks(association, arrival, &iterator, &first, true);
}

void packet_arrived(struct braid_engine *engine, const struct braid_packet *packet)
{
    struct arrival arrival = {.packet = packet};

    engine->statistics.packets_received++;
    engine->statistics.bytes_received += packet->length;
    if (!packet_read_common_header(packet->bytes, packet->length, &arrival.header)) {
        engine->statistics.bad_packet++;
        return;
    }
    arrival.checksum_zero = !packet->checksum_good && packet_read_checksum(packet->bytes) == 0;
    if (!packet->checksum_good && !arrival.checksum_zero &&
        !packet_verify_checksum(packet->bytes, packet->length)) {
        engine->statistics.bad_checksum++;
        return;
    }
    arrival.source = braid_address_normalise(&packet->source);
    arrival.destination = braid_address_normalise(&packet->destination);
    if (arrival.header.source_port == 0 || arrival.header.destination_port == 0 ||
        !braid_address_is_unicast(&arrival.source) ||
        !braid_address_is_unicast(&arrival.destination)) {
        engine->statistics.bad_packet++;
        return;
    }
    arrival.path =
        path_hash_find(engine, NULL, &arrival.destination, arrival.header.destination_port,
                       &arrival.source, arrival.header.source_port);
    if (arrival.path &&
        !packet_is_of_interface(packet, arrival.path->association->parameters.interface)) {
        engine->statistics.out_of_the_blue++; /* an ABORT would end what goes on elsewhere */
        return;
    }
    receive_packet(engine, &arrival, arrival.path ? arrival.path->association : NULL);
}
