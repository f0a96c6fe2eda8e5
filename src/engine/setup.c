/*
 * Association setup by the side that begins: INIT, and what comes for it.
 *
 * RFC 9260, section 5.1 (normal establishment), sections 5.2.3, 5.2.5 and 5.2.6 (INIT ACK and
 * COOKIE ACK that are not expected, stale cookie), section 5.4 (which addresses are confirmed).
 */
#include <stdlib.h>

#include "engine/private.h"

static void start_t1(struct sctp_association *association)
{
    const struct sctp_path *path = association->paths[association->setup_path];
    braid_time wait = path->rto;

    if (association->parameters.max_init_timeout &&
        wait > milliseconds(association->parameters.max_init_timeout))
        wait = milliseconds(association->parameters.max_init_timeout);
    timer_start(&association->engine->wheel, &association->t1, association->engine->now + wait);
}

void setup_start(struct sctp_association *association)
{
    association->state = BRAID_COOKIE_WAIT;
    association->send_init = true;
    association->peer_accepts_zero_checksum = false;
    association->setup_resent = false;
    association->init_sent = association->engine->now;
    start_t1(association);
    association_set_ready(association);
}

void setup_write_init(struct sctp_association *association, struct packet_writer *writer)
{
    const struct sctp_endpoint *endpoint = association->endpoint;
    const struct sctp_path *path = association->paths[association->setup_path];
    const struct braid_parameters *own = &association->parameters;
    struct braid_address addresses[ADDRESSES_MAXIMUM];
    struct sctp_init init = {
        .initiate_tag = association->local_tag,
        .a_rwnd = maximum(own->receive_buffer, A_RWND_MINIMUM),
        .outbound_streams = own->outbound_streams,
        .inbound_streams = own->inbound_streams,
        .initial_tsn = association->local_initial_tsn,
    };
    size_t chunk = init_begin(writer, SCTP_CHUNK_INIT, &init);
    size_t count =
        endpoint_list_addresses(association->engine, endpoint, &path->address, endpoint->ipv4,
                                endpoint->ipv6, addresses, ADDRESSES_MAXIMUM);

    setup_write_addresses(writer, addresses, count, path->source.family ? &path->source : NULL);
    supported_address_types_write(writer, &(struct sctp_supported_address_types){
                                              .ipv4 = endpoint->ipv4, .ipv6 = endpoint->ipv6});
    if (association->cookie_life_increment)
        cookie_preservative_write(writer, association->cookie_life_increment);
    if (own->adaptation_given)
        adaptation_layer_indication_write(writer, own->adaptation_indication);
    if (own->ecn)
        parameter_write(writer, SCTP_PARAMETER_ECN, NULL, 0);
    if (own->partial_reliability)
        parameter_write(writer, SCTP_PARAMETER_FORWARD_TSN_SUPPORTED, NULL, 0);
    association->accepts_zero_checksum = own->error_detection_method != 0;
    if (association->accepts_zero_checksum)
        zero_checksum_write(writer, own->error_detection_method);
    setup_write_extensions(writer, &(struct setup_extensions){
                                       .authentication = association->authentication,
                                       .asconf = setup_offers_asconf(own),
                                       .reconfig = own->reconfig,
                                       .interleaving = own->interleaving,
                                       .partial_reliability = own->partial_reliability,
                                   });
    if (association->authentication)
        authentication_write_terms(&association->authentication->local, writer);
    chunk_end(writer, chunk);
}

static void mark_all(struct sctp_association *association)
{
    const struct sctp_sender *sender = &association->sender;

    for (uint32_t tsn = sender->cumulative_tsn_ack + 1; tsn_before(tsn, sender->next_tsn); tsn++)
        sender_mark(association, tsn, association->paths[association->setup_path]);
}

/* The next of the addresses that were called; those without a route are passed over. */
static uint8_t next_setup_path(const struct sctp_association *association)
{
    uint8_t count = association->path_count;

    for (uint8_t i = 1; i < count; i++) {
        uint8_t index = (uint8_t)((association->setup_path + i) % count);

        if (association->paths[index]->route_known)
            return index;
    }
    return association->setup_path;
}

void setup_timeout(struct sctp_association *association)
{
    struct sctp_path *path = association->paths[association->setup_path];

    if (association->setup_attempts++ >= association->parameters.max_init_retransmits) {
        association_down(association, BRAID_DOWN_CANNOT_START, NULL, 0);
        return;
    }
    path_back_off(path);
    if (association->state == BRAID_COOKIE_WAIT) {
        /* Another address may be reachable; it starts where this one has got to. */
        uint32_t rto = path->rto;

        association->setup_path = next_setup_path(association);
        path = association->paths[association->setup_path];
        path->rto = maximum(path->rto, rto);
        association->send_init = true;
    } else {
        association->setup_path = association_alternate_path(association, path)->index;
        mark_all(association); /* the DATA that went with the COOKIE ECHO */
        association->send_cookie_echo = true;
    }
    association->setup_resent = true;
    start_t1(association);
    association_set_ready(association);
}

/* 5.1.2: the ABORT goes where the INIT ACK came from. Without a tag it has the one that came. */
static void refuse_init_ack(struct sctp_association *association, const struct arrival *arrival,
                            uint32_t tag, const struct packet_writer *causes)
{
    abort_statelessly(association->engine, arrival, tag ? tag : arrival->header.verification_tag,
                      tag == 0, causes);
    association_down(association, BRAID_DOWN_PROTOCOL, causes->bytes, causes->length);
}

/* 5.1.2: what the peer lists are its addresses; others that the user knew are not. */
static void remove_unlisted(struct sctp_association *association,
                            const struct init_parameters *parameters, const struct sctp_path *keep)
{
    for (uint8_t i = association->path_count; i-- > 0;) {
        struct sctp_path *path = association->paths[i];
        bool listed = path == keep;

        for (uint8_t j = 0; j < parameters->address_count && !listed; j++)
            listed = braid_address_equal(&parameters->addresses[j], &path->address);
        if (!listed)
            association_remove_path(path);
    }
}

/* Not if another association's peer has it: packets could not be
 * told apart, and that one may be the address's true owner. */
void setup_add_listed(struct sctp_association *association, const struct braid_address *address,
                      const struct braid_address *local, uint16_t encapsulation_port)
{
    struct braid_engine *engine = association->engine;

    if (association_path_to(association, address))
        return;
    if (path_hash_find(engine, NULL, local, association->local_port, address,
                       association->peer_port))
        engine->statistics.addresses_refused++;
    else
        association_add_path(association, address, encapsulation_port, BRAID_PATH_UNCONFIRMED);
}

void setup_receive_init_ack(struct sctp_association *association, struct arrival *arrival,
                            const struct sctp_chunk *chunk)
{
    struct braid_engine *engine = association->engine;
    struct init_parameters parameters;
    struct sctp_init init;
    struct packet_writer writer;
    uint8_t causes[CAUSES_MAXIMUM];

    if (association->state != BRAID_COOKIE_WAIT) /* 5.2.3 */
        return;
    if (!init_read(chunk, &init)) {
        engine->statistics.bad_packet++;
        return;
    }
    if (init.initiate_tag != 0 &&
        init.a_rwnd < A_RWND_MINIMUM) { /* the association stays as it is */
        abort_for_cause(engine, arrival, init.initiate_tag, SCTP_CAUSE_INVALID_MANDATORY_PARAMETER,
                        NULL, 0);
        return;
    }
    if (init.initiate_tag == 0 || init.outbound_streams == 0 || init.inbound_streams == 0) {
        cause_write(&writer, causes, SCTP_CAUSE_INVALID_MANDATORY_PARAMETER, NULL, 0);
        refuse_init_ack(association, arrival, init.initiate_tag, &writer);
        return;
    }
    setup_read_parameters(engine, &parameters, &init, association->endpoint, arrival,
                          &association->parameters);
    if (parameters.malformed) {
        engine->statistics.bad_packet++;
        cause_write(&writer, causes, SCTP_CAUSE_PROTOCOL_VIOLATION, NULL, 0);
        refuse_init_ack(association, arrival, init.initiate_tag, &writer);
        return;
    }
    if (parameters.has_host_name) {
        cause_write(&writer, causes, SCTP_CAUSE_UNRESOLVABLE_ADDRESS, parameters.host_name.bytes,
                    parameters.host_name.length);
        refuse_init_ack(association, arrival, init.initiate_tag, &writer);
        return;
    }
    if (!parameters.has_cookie) {
        static const uint16_t missing = SCTP_PARAMETER_STATE_COOKIE;

        packet_writer_init(&writer, causes, sizeof(causes));
        missing_mandatory_parameter_write(&writer, &missing, 1);
        refuse_init_ack(association, arrival, init.initiate_tag, &writer);
        return;
    }

    free(association->cookie);
    association->cookie =
        malloc(parameters.state_cookie.value_length + 2 * UNRECOGNIZED_MAXIMUM + 1u);
    if (!association->cookie)
        return; /* as if it had been lost */
    association->cookie_length = parameters.state_cookie.value_length;
    memcpy(association->cookie, parameters.state_cookie.value, association->cookie_length);
    packet_writer_init(&writer, association->cookie + association->cookie_length,
                       (size_t)2 * UNRECOGNIZED_MAXIMUM);
    if (parameters.unrecognized_length > 0)
        parameter_write(&writer, SCTP_CAUSE_UNRECOGNIZED_PARAMETERS, parameters.unrecognized,
                        parameters.unrecognized_length);
    association->setup_error_length = (uint16_t)writer.length;

    association->peer_tag = init.initiate_tag;
    association->outbound_streams =
        (uint16_t)minimum(association->parameters.outbound_streams, init.inbound_streams);
    association->inbound_streams =
        (uint16_t)minimum(association->parameters.inbound_streams, init.outbound_streams);
    association->peer_adaptation_given = parameters.adaptation_given;
    association->peer_adaptation = parameters.adaptation;
    association->partial_reliability = parameters.partial_reliability;
    association_set_interleaving(association, parameters.interleaving);
    association->peer_accepts_zero_checksum = parameters.accepts_zero_checksum;
    association->ecn = (struct ecn){.capable = parameters.ecn};
    if (association->authentication)
        authentication_agree(association, &association->authentication->local, &parameters.terms);
    asconf_begin_association(association,
                             parameters.lists_asconf && authentication_is_capable(association),
                             association->local_initial_tsn, init.initial_tsn);
    reconfig_begin_association(association, parameters.reconfig, association->local_initial_tsn,
                               init.initial_tsn);
    sender_set_peer_rwnd(&association->sender, init.a_rwnd);
    receiver_init(association, init.initial_tsn);
    for (uint8_t i = 0; i < parameters.address_count; i++)
        setup_add_listed(association, &parameters.addresses[i], &arrival->destination,
                         arrival->packet->encapsulation_port);
    if (arrival->path) /* RFC 6951, 5.4 */
        arrival->path->encapsulation_port = arrival->packet->encapsulation_port;
    if (!arrival->path || arrival->path->state == BRAID_PATH_UNCONFIRMED)
        arrival->path = association->paths[association->setup_path];
    remove_unlisted(association, &parameters, arrival->path);
    association->setup_path = association->primary = association->reply_path = arrival->path->index;
    if (!association->setup_resent)
        path_update_rtt(arrival->path, engine->now - association->init_sent);
    arrival->path->error_count = 0;

    association->state = BRAID_COOKIE_ECHOED;
    association->send_init = false;
    association->send_cookie_echo = true;
    association->cookie_echoed = engine->now;
    association->setup_resent = false;
    association->setup_attempts = 0;
    start_t1(association);
    association_set_ready(association);
}

void setup_receive_cookie_ack(struct sctp_association *association)
{
    struct sctp_path *path;

    if (association->state != BRAID_COOKIE_ECHOED) /* 5.2.5 */
        return;
    path = association->paths[association->setup_path];
    path->error_count = 0;
    if (!association->setup_resent)
        path_update_rtt(path, association->engine->now - association->cookie_echoed);
    association_established(association);
}

/* 5.2.6: a new INIT, and the wish for a cookie that lives longer. */
void setup_receive_stale_cookie(struct sctp_association *association, uint32_t staleness)
{
    braid_time rtt = association->engine->now - association->cookie_echoed;

    if (association->state != BRAID_COOKIE_ECHOED)
        return;
    if (association->stale_cookies++ >= association->parameters.max_init_retransmits) {
        association_down(association, BRAID_DOWN_CANNOT_START, NULL, 0);
        return;
    }
    if (association->parameters.cookie_preservative)
        association->cookie_life_increment =
            (uint32_t)((rtt + (staleness < 1000000 ? staleness : 1000000)) / 1000);
    association->send_cookie_echo = false;
    mark_all(association);
    setup_start(association);
}

/* 5.1.2, D; 8.4. */
struct sctp_association *setup_find_by_addresses(const struct braid_engine *engine,
                                                 const struct arrival *arrival,
                                                 const struct sctp_chunk *chunk)
{
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;
    struct sctp_init init;

    if (!init_read(chunk, &init))
        return NULL;
    parameter_iterator_init(&iterator, init.parameters, init.parameters_length);
    while (parameter_next(&iterator, &parameter)) {
        struct braid_address address;
        struct sctp_path *path;

        if ((parameter.type != SCTP_PARAMETER_IPV4_ADDRESS &&
             parameter.type != SCTP_PARAMETER_IPV6_ADDRESS) ||
            !address_parameter_read(&parameter, &address))
            continue;
        address = braid_address_normalise(&address);
        path = path_hash_find(engine, NULL, &arrival->destination, arrival->header.destination_port,
                              &address, arrival->header.source_port);
        if (path)
            return path->association;
    }
    return NULL;
}
