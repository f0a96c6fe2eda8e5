/*
 * Association setup: INIT, INIT ACK, COOKIE ECHO, COOKIE ACK.
 *
 * RFC 9260, section 5.1 (normal establishment), section 5.2 (duplicate and unexpected chunks),
 * section 5.4 (which addresses are confirmed).
 */
#include <stdlib.h>

#include "engine/private.h"

#define UNRECOGNIZED_MAXIMUM 512 /* bytes that one answer spends on parameters it does not know */

/* ---- What INIT and INIT ACK carry ---- */

struct init_parameters {
    struct braid_address addresses[ADDRESSES_MAXIMUM]; /* the packet's source first */
    uint8_t address_count;
    bool supported_given, ipv4, ipv6;
    bool adaptation_given;
    uint32_t adaptation;
    bool partial_reliability;                  /* both sides offer it */
    bool lists_asconf, lists_auth;             /* in Supported Extensions */
    bool reconfig;                             /* both sides list RE-CONFIG */
    bool ecn;                                  /* both sides offer it */
    uint32_t cookie_preservative;              /* ms */
    bool has_cookie, has_host_name, malformed; /* state_cookie and host_name are valid */
    struct sctp_parameter state_cookie, host_name;
    uint8_t unrecognized[UNRECOGNIZED_MAXIMUM]; /* whole parameters, to be reported */
    size_t unrecognized_length;
    struct authentication_terms terms; /* of the peer; empty: none, or we do not offer it */
};

/* False: there are too many. */
static bool add_address(struct init_parameters *parameters, const struct braid_address *address)
{
    for (uint8_t i = 0; i < parameters->address_count; i++) {
        if (braid_address_equal(&parameters->addresses[i], address))
            return true;
    }
    if (parameters->address_count == ADDRESSES_MAXIMUM)
        return false;
    parameters->addresses[parameters->address_count++] = *address;
    return true;
}

static void read_address(struct braid_engine *engine, struct init_parameters *parameters,
                         const struct sctp_parameter *parameter,
                         const struct sctp_endpoint *endpoint, const struct arrival *arrival)
{
    struct braid_address address;

    if (!address_parameter_read(parameter, &address)) {
        parameters->malformed = true;
        return;
    }
    address = braid_address_normalise(&address);
    if (endpoint && (address.family == BRAID_IPV4 ? !endpoint->ipv4 : !endpoint->ipv6))
        return;
    if (!endpoint_peer_may_have(engine, &address, arrival) || !add_address(parameters, &address))
        engine->statistics.addresses_refused++;
}

static void report(struct init_parameters *parameters, const struct sctp_parameter *parameter)
{
    size_t padded = wire_padded(parameter->length);
    uint8_t *place = parameters->unrecognized + parameters->unrecognized_length;

    if (padded > sizeof(parameters->unrecognized) - parameters->unrecognized_length)
        return;
    memset(place, 0, padded);
    memcpy(place, parameter->bytes, parameter->length);
    parameters->unrecognized_length += padded;
}

static bool offers_asconf(const struct braid_parameters *own)
{
    return own->asconf && own->authentication;
}

/* RFC 9260, section 3.3.2.1, 3.3.3.1, and 3.2.1 for what is not known. */
static void read_parameters(struct braid_engine *engine, struct init_parameters *parameters,
                            const struct sctp_init *init, const struct sctp_endpoint *endpoint,
                            const struct arrival *arrival, const struct braid_parameters *own)
{
    struct parameter_iterator iterator;
    struct authentication_offer offer = {0};
    struct sctp_parameter parameter;
    bool stop = false;

    memset(parameters, 0, offsetof(struct init_parameters, unrecognized));
    parameters->unrecognized_length = 0;
    add_address(parameters, &arrival->source);
    parameter_iterator_init(&iterator, init->parameters, init->parameters_length);
    while (!stop && parameter_next(&iterator, &parameter)) {
        switch (parameter.type) {
        case SCTP_PARAMETER_IPV4_ADDRESS:
        case SCTP_PARAMETER_IPV6_ADDRESS:
            read_address(engine, parameters, &parameter, endpoint, arrival);
            break;
        case SCTP_PARAMETER_STATE_COOKIE:
            parameters->has_cookie = parameter.value_length > 0;
            parameters->state_cookie = parameter;
            break;
        case SCTP_PARAMETER_COOKIE_PRESERVATIVE:
            cookie_preservative_read(&parameter, &parameters->cookie_preservative);
            break;
        case SCTP_PARAMETER_HOST_NAME_ADDRESS:
            parameters->has_host_name = true;
            parameters->host_name = parameter;
            break;
        case SCTP_PARAMETER_SUPPORTED_ADDRESS_TYPES: {
            struct sctp_supported_address_types types;

            if (supported_address_types_read(&parameter, &types)) {
                parameters->supported_given = true;
                parameters->ipv4 |= types.ipv4;
                parameters->ipv6 |= types.ipv6;
            }
            break;
        }
        case SCTP_PARAMETER_ADAPTATION_LAYER_INDICATION:
            parameters->adaptation_given |=
                adaptation_layer_indication_read(&parameter, &parameters->adaptation);
            break;
        case SCTP_PARAMETER_FORWARD_TSN_SUPPORTED:
            parameters->partial_reliability = true;
            break;
        case SCTP_PARAMETER_RANDOM:
        case SCTP_PARAMETER_CHUNK_LIST:
        case SCTP_PARAMETER_HMAC_ALGORITHM:
            authentication_offer_read(&offer, &parameter);
            break;
        case SCTP_PARAMETER_SUPPORTED_EXTENSIONS:
            parameters->partial_reliability |=
                chunk_types_contain(&parameter, SCTP_CHUNK_FORWARD_TSN);
            parameters->lists_auth |= chunk_types_contain(&parameter, SCTP_CHUNK_AUTH);
            parameters->reconfig |= chunk_types_contain(&parameter, SCTP_CHUNK_RE_CONFIG);
            parameters->lists_asconf |= chunk_types_contain(&parameter, SCTP_CHUNK_ASCONF) &&
                                        chunk_types_contain(&parameter, SCTP_CHUNK_ASCONF_ACK);
            break;
        case SCTP_PARAMETER_ECN:
            parameters->ecn = own->ecn;
            break;
        case SCTP_PARAMETER_UNRECOGNIZED: /* ours, come back */
            break;
        default: {
            struct sctp_unknown_action action = parameter_unknown_action(parameter.type);

            engine->statistics.unknown_parameters++;
            if (action.report)
                report(parameters, &parameter);
            stop = action.stop;
        }
        }
    }
    /* 5.1.2: what it uses it supports, listed or not. */
    for (uint8_t i = 0; i < parameters->address_count; i++) {
        parameters->ipv4 |= parameters->addresses[i].family == BRAID_IPV4;
        parameters->ipv6 |= parameters->addresses[i].family == BRAID_IPV6;
    }
    parameters->malformed |= iterator.malformed;
    parameters->terms.length = 0;
    if (own->authentication && !authentication_offer_take(&offer, &parameters->terms))
        parameters->malformed = true; /* RFC 4895, 6.1 */
    if (offers_asconf(own) && parameters->lists_asconf && !parameters->lists_auth)
        parameters->malformed = true; /* RFC 5061, 6 */
    parameters->lists_asconf &= offers_asconf(own);
    parameters->partial_reliability &= own->partial_reliability;
    parameters->reconfig &= own->reconfig;
}

static bool speaks(const struct init_parameters *parameters, enum braid_family family)
{
    return !parameters->supported_given ||
           (family == BRAID_IPV4 ? parameters->ipv4 : parameters->ipv6);
}

/* The addresses of ours that the peer is told, unless there is only the one it talks to. */
static void write_addresses(struct packet_writer *writer, const struct braid_address *addresses,
                            size_t count, const struct braid_address *talking)
{
    if (count == 1 && talking && braid_address_equal(&addresses[0], talking))
        return;
    for (size_t i = 0; i < count; i++)
        address_parameter_write(writer, &addresses[i]);
}

/* RFC 5061, 4.2.7: Linux believes in AUTH only if it is listed here too. */
static void write_extensions(struct packet_writer *writer, bool authentication, bool asconf,
                             bool reconfig)
{
    uint8_t types[8];
    size_t count = 0;

    if (authentication)
        types[count++] = SCTP_CHUNK_AUTH;
    if (authentication && asconf) {
        types[count++] = SCTP_CHUNK_ASCONF;
        types[count++] = SCTP_CHUNK_ASCONF_ACK;
    }
    if (reconfig)
        types[count++] = SCTP_CHUNK_RE_CONFIG;
    if (count > 0)
        parameter_write(writer, SCTP_PARAMETER_SUPPORTED_EXTENSIONS, types, count);
}

/* ---- Answers to nobody in particular ---- */

void abort_statelessly(struct braid_engine *engine, const struct arrival *arrival, uint32_t tag,
                       bool tag_reflected, const struct packet_writer *causes)
{
    size_t length = causes ? causes->length : 0;
    struct sctp_common_header header = {arrival->header.destination_port,
                                        arrival->header.source_port, tag};
    struct packet_writer writer;
    struct response *response =
        response_begin(engine, &writer, 32 + wire_padded((uint32_t)length), &header);
    size_t chunk;

    if (!response)
        return;
    chunk = abort_begin(&writer, tag_reflected);
    if (causes)
        packet_write_bytes(&writer, causes->bytes, length);
    chunk_end(&writer, chunk);
    response_send(engine, response, &writer, arrival);
}

/* One cause, or none if it is too long. */
static void write_cause(struct packet_writer *causes, uint8_t bytes[CAUSES_MAXIMUM], uint16_t cause,
                        const void *value, size_t length)
{
    packet_writer_init(causes, bytes, CAUSES_MAXIMUM);
    parameter_write(causes, cause, value, length);
    if (causes->overflowed)
        packet_writer_rewind(causes, 0);
}

/* The same with a cause whose value is at hand. */
static void refuse(struct braid_engine *engine, const struct arrival *arrival, uint32_t tag,
                   uint16_t cause, const void *value, size_t length)
{
    uint8_t bytes[CAUSES_MAXIMUM];
    struct packet_writer causes;

    write_cause(&causes, bytes, cause, value, length);
    abort_statelessly(engine, arrival, tag, false, &causes);
}

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

/* ---- INIT ---- */

/* 5.2.1, 5.2.2: a restarting peer must not bring addresses along that it did not have. */
static bool has_new_address(struct braid_engine *engine, const struct sctp_association *association,
                            const struct init_parameters *parameters, const struct sctp_init *init,
                            const struct arrival *arrival)
{
    struct braid_address added[ADDRESSES_MAXIMUM];
    uint8_t bytes[CAUSES_MAXIMUM];
    struct packet_writer causes;
    size_t count = 0;

    for (uint8_t i = 0; i < parameters->address_count; i++) {
        if (!association_path_to(association, &parameters->addresses[i]))
            added[count++] = parameters->addresses[i];
    }
    if (count == 0)
        return false;
    packet_writer_init(&causes, bytes, sizeof(bytes));
    restart_with_new_addresses_write(&causes, added, count);
    abort_statelessly(engine, arrival, init->initiate_tag, false, &causes);
    return true;
}

/* 5.2.1: an INIT that crosses ours is answered to an address that the user called, and that it
 * lists. */
static bool answer_called_address(const struct sctp_association *association,
                                  struct init_parameters *parameters, struct arrival *arrival)
{
    for (uint8_t i = 0; i < parameters->address_count; i++) {
        struct braid_address address = parameters->addresses[i];

        if (!association_path_to(association, &address))
            continue;
        parameters->addresses[i] = parameters->addresses[0];
        parameters->addresses[0] = arrival->source = address;
        return true;
    }
    return false;
}

static void send_init_ack(struct braid_engine *engine, const struct sctp_endpoint *endpoint,
                          const struct arrival *arrival, const struct sctp_init *init,
                          const struct init_parameters *parameters,
                          const struct sctp_association *association)
{
    const struct braid_parameters *own =
        association ? &association->parameters : &endpoint->parameters;
    bool forming = association && (association->state == BRAID_COOKIE_WAIT ||
                                   association->state == BRAID_COOKIE_ECHOED);
    uint32_t extension = own->cookie_preservative ? parameters->cookie_preservative : 0;
    struct sctp_common_header header = {arrival->header.destination_port,
                                        arrival->header.source_port, init->initiate_tag};
    struct braid_address addresses[ADDRESSES_MAXIMUM];
    uint8_t cookie_bytes[COOKIE_LENGTH_MAXIMUM];
    struct cookie cookie;
    struct parameter_iterator iterator;
    struct sctp_parameter unrecognized;
    struct packet_writer writer;
    struct response *response;
    size_t cookie_length, count, chunk;

    memset(&cookie, 0, sizeof(cookie));
    cookie.created = engine->now;
    cookie.life = own->valid_cookie_life + minimum(extension, own->valid_cookie_life);
    cookie.local_tag = forming ? association->local_tag : random_tag(engine);
    cookie.peer_tag = init->initiate_tag;
    if (association && association->state != BRAID_COOKIE_WAIT) {
        cookie.local_tie_tag = association->local_tie_tag;
        cookie.peer_tie_tag = association->peer_tie_tag;
    }
    cookie.local_initial_tsn = forming ? association->local_initial_tsn : random_u32(engine);
    cookie.peer_initial_tsn = init->initial_tsn;
    cookie.peer_rwnd = init->a_rwnd;
    cookie.local_rwnd = own->receive_buffer;
    cookie.outbound_streams = (uint16_t)minimum(own->outbound_streams, init->inbound_streams);
    cookie.inbound_streams = (uint16_t)minimum(own->inbound_streams, init->outbound_streams);
    cookie.local_port = arrival->header.destination_port;
    cookie.peer_port = arrival->header.source_port;
    cookie.encapsulation_port = arrival->packet->encapsulation_port;
    cookie.adaptation_given = parameters->adaptation_given;
    cookie.adaptation = parameters->adaptation;
    cookie.partial_reliability = parameters->partial_reliability;
    cookie.reconfig = parameters->reconfig;
    cookie.ecn = parameters->ecn;
    cookie.local_address = arrival->destination;
    cookie.address_count = parameters->address_count;
    memcpy(cookie.addresses, parameters->addresses,
           parameters->address_count * sizeof(cookie.addresses[0]));
    if (parameters->terms.length > 0) {
        cookie.peer_terms = parameters->terms;
        cookie.asconf = parameters->lists_asconf;
        if (forming && association->authentication)
            cookie.local_terms = association->authentication->local;
        else
            authentication_make_terms(engine, own, &cookie.local_terms);
    }
    cookie_length = cookie_write(engine, &cookie, cookie_bytes);
    if (cookie_length == 0)
        return;

    response = response_begin(engine, &writer,
                              64 + wire_padded((uint32_t)cookie_length) + 20 * ADDRESSES_MAXIMUM +
                                  2 * UNRECOGNIZED_MAXIMUM + cookie.local_terms.length,
                              &header);
    if (!response)
        return;
    chunk = init_begin(&writer, SCTP_CHUNK_INIT_ACK,
                       &(struct sctp_init){
                           .initiate_tag = cookie.local_tag,
                           .a_rwnd = maximum(own->receive_buffer, A_RWND_MINIMUM),
                           .outbound_streams = cookie.outbound_streams,
                           .inbound_streams = own->inbound_streams,
                           .initial_tsn = cookie.local_initial_tsn,
                       });
    parameter_write(&writer, SCTP_PARAMETER_STATE_COOKIE, cookie_bytes, cookie_length);
    count =
        endpoint_list_addresses(engine, endpoint, &arrival->source, speaks(parameters, BRAID_IPV4),
                                speaks(parameters, BRAID_IPV6), addresses, ADDRESSES_MAXIMUM);
    write_addresses(&writer, addresses, count, &arrival->destination);
    if (own->adaptation_given)
        adaptation_layer_indication_write(&writer, own->adaptation_indication);
    if (cookie.ecn)
        parameter_write(&writer, SCTP_PARAMETER_ECN, NULL, 0);
    if (cookie.partial_reliability)
        parameter_write(&writer, SCTP_PARAMETER_FORWARD_TSN_SUPPORTED, NULL, 0);
    write_extensions(&writer, cookie.local_terms.length > 0, offers_asconf(own), cookie.reconfig);
    authentication_write_terms(&cookie.local_terms, &writer);
    parameter_iterator_init(&iterator, parameters->unrecognized, parameters->unrecognized_length);
    while (parameter_next(&iterator, &unrecognized))
        parameter_write(&writer, SCTP_PARAMETER_UNRECOGNIZED, unrecognized.bytes,
                        unrecognized.length);
    chunk_end(&writer, chunk);
    response_take_parameters(response, own, arrival);
    response_send(engine, response, &writer, arrival);
}

void setup_receive_init(struct braid_engine *engine, struct arrival *arrival,
                        const struct sctp_chunk *chunk, struct sctp_association *association)
{
    const struct sctp_endpoint *endpoint;
    struct init_parameters parameters;
    struct sctp_init init;

    if (!init_read(chunk, &init) || init.initiate_tag == 0) {
        engine->statistics.bad_packet++;
        return;
    }
    if (!association)
        association = setup_find_by_addresses(engine, arrival, chunk);
    endpoint = association ? association->endpoint
                           : endpoint_find_listener(engine, arrival->header.destination_port,
                                                    &arrival->destination);
    if (!endpoint) {
        engine->statistics.out_of_the_blue++;
        abort_statelessly(engine, arrival, init.initiate_tag, false, NULL);
        return;
    }
    if (!association && endpoint->unclaimed >= endpoint->backlog) {
        engine->statistics.associations_refused++;
        refuse(engine, arrival, init.initiate_tag, SCTP_CAUSE_OUT_OF_RESOURCE, NULL, 0);
        return;
    }
    if (init.outbound_streams == 0 || init.inbound_streams == 0 || init.a_rwnd < A_RWND_MINIMUM) {
        refuse(engine, arrival, init.initiate_tag, SCTP_CAUSE_INVALID_MANDATORY_PARAMETER, NULL, 0);
        return;
    }
    read_parameters(engine, &parameters, &init, endpoint, arrival,
                    association ? &association->parameters : &endpoint->parameters);
    if (parameters.malformed) {
        engine->statistics.bad_packet++;
        refuse(engine, arrival, init.initiate_tag, SCTP_CAUSE_PROTOCOL_VIOLATION, NULL, 0);
        return;
    }
    if (parameters.has_host_name) {
        refuse(engine, arrival, init.initiate_tag, SCTP_CAUSE_UNRESOLVABLE_ADDRESS,
               parameters.host_name.bytes, parameters.host_name.length);
        return;
    }
    if (association && association->state == BRAID_SHUTDOWN_ACK_SENT) { /* 9.2 */
        association->send_shutdown_ack = true;
        association_set_ready(association);
        return;
    }
    if (association && association->state == BRAID_COOKIE_WAIT &&
        !answer_called_address(association, &parameters, arrival))
        return;
    if (association && association->state != BRAID_COOKIE_WAIT &&
        has_new_address(engine, association, &parameters, &init, arrival))
        return;
    if (!association && engine->associations.count >= engine->config.maximum_associations) {
        engine->statistics.associations_refused++;
        refuse(engine, arrival, init.initiate_tag, SCTP_CAUSE_OUT_OF_RESOURCE, NULL, 0);
        return;
    }
    send_init_ack(engine, endpoint, arrival, &init, &parameters, association);
}

/* ---- The side that begins ---- */

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

    write_addresses(writer, addresses, count, path->source.family ? &path->source : NULL);
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
    write_extensions(writer, association->authentication, offers_asconf(own), own->reconfig);
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

/* An address that the peer lists. Not if another association's peer has it: packets could not be
 * told apart, and that one may be the address's true owner. */
static void add_listed(struct sctp_association *association, const struct braid_address *address,
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
        refuse(engine, arrival, init.initiate_tag, SCTP_CAUSE_INVALID_MANDATORY_PARAMETER, NULL, 0);
        return;
    }
    if (init.initiate_tag == 0 || init.outbound_streams == 0 || init.inbound_streams == 0) {
        write_cause(&writer, causes, SCTP_CAUSE_INVALID_MANDATORY_PARAMETER, NULL, 0);
        refuse_init_ack(association, arrival, init.initiate_tag, &writer);
        return;
    }
    read_parameters(engine, &parameters, &init, association->endpoint, arrival,
                    &association->parameters);
    if (parameters.malformed) {
        engine->statistics.bad_packet++;
        write_cause(&writer, causes, SCTP_CAUSE_PROTOCOL_VIOLATION, NULL, 0);
        refuse_init_ack(association, arrival, init.initiate_tag, &writer);
        return;
    }
    if (parameters.has_host_name) {
        write_cause(&writer, causes, SCTP_CAUSE_UNRESOLVABLE_ADDRESS, parameters.host_name.bytes,
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
        add_listed(association, &parameters.addresses[i], &arrival->destination,
                   arrival->packet->encapsulation_port);
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

/* ---- COOKIE ECHO ---- */

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
        add_listed(association, &cookie->addresses[i], &cookie->local_address,
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
        endpoint_find_listener(engine, cookie->local_port, &cookie->local_address);
    struct sctp_association *association = NULL;

    if (listener && listener->unclaimed < listener->backlog)
        association = association_new(engine, listener, cookie->peer_port);
    if (!association) {
        engine->statistics.associations_refused++;
        refuse(engine, arrival, cookie->peer_tag, SCTP_CAUSE_OUT_OF_RESOURCE, NULL, 0);
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
    if (forming || !association->receiver.any_data) {
        receiver_free(association, true);
        take_cookie(association, cookie, arrival);
    }
    if (forming)
        association_established(association);
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
        return NULL;
    }
    if (cookie.local_port != arrival->header.destination_port ||
        cookie.peer_port != arrival->header.source_port ||
        cookie.local_tag != arrival->header.verification_tag) {
        engine->statistics.bad_tag++;
        return NULL;
    }
    if (!association) { /* it may come from another of the peer's addresses */
        struct sctp_path *path =
            path_hash_find(engine, NULL, &cookie.local_address, cookie.local_port,
                           &cookie.addresses[0], cookie.peer_port);

        association = path ? path->association : NULL;
    }
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
        /* In COOKIE-WAIT only the cookie knows what the peer said. */
        if (association->state == BRAID_COOKIE_WAIT)
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
