/*
 * An INIT is answered with an INIT ACK, and nothing is kept.
 *
 * RFC 9260, sections 5.1, 5.1.2, 5.1.3; 5.2.1 and 5.2.2 (there is an association already).
 */
#include "engine/private.h"

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
    cookie.interleaving = parameters->interleaving;
    cookie.reconfig = parameters->reconfig;
    cookie.ecn = parameters->ecn;
    cookie.accepts_zero_checksum = own->error_detection_method != 0;
    cookie.peer_accepts_zero_checksum = parameters->accepts_zero_checksum;
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
    count = endpoint_list_addresses(
        engine, endpoint, &arrival->source, setup_peer_speaks(parameters, BRAID_IPV4),
        setup_peer_speaks(parameters, BRAID_IPV6), addresses, ADDRESSES_MAXIMUM);
    setup_write_addresses(&writer, addresses, count, &arrival->destination);
    if (own->adaptation_given)
        adaptation_layer_indication_write(&writer, own->adaptation_indication);
    if (cookie.ecn)
        parameter_write(&writer, SCTP_PARAMETER_ECN, NULL, 0);
    if (cookie.partial_reliability)
        parameter_write(&writer, SCTP_PARAMETER_FORWARD_TSN_SUPPORTED, NULL, 0);
    if (cookie.accepts_zero_checksum)
        zero_checksum_write(&writer, own->error_detection_method);
    setup_write_extensions(&writer, &(struct setup_extensions){
                                        .authentication = cookie.local_terms.length > 0,
                                        .asconf = setup_offers_asconf(own),
                                        .reconfig = cookie.reconfig,
                                        .interleaving = cookie.interleaving,
                                        .partial_reliability = cookie.partial_reliability,
                                    });
    authentication_write_terms(&cookie.local_terms, &writer);
    parameter_iterator_init(&iterator, parameters->unrecognized, parameters->unrecognized_length);
    while (parameter_next(&iterator, &unrecognized))
        parameter_write(&writer, SCTP_PARAMETER_UNRECOGNIZED, unrecognized.bytes,
                        unrecognized.length);
    chunk_end(&writer, chunk);
    response_take_parameters(response, own, arrival);
    response->checksum_zero = cookie.peer_accepts_zero_checksum;
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
                                                    &arrival->destination, arrival->packet);
    if (!endpoint) {
        engine->statistics.out_of_the_blue++;
        abort_statelessly(engine, arrival, init.initiate_tag, false, NULL);
        return;
    }
    if (!association && endpoint->unclaimed >= endpoint->backlog) {
        engine->statistics.associations_refused++;
        abort_for_cause(engine, arrival, init.initiate_tag, SCTP_CAUSE_OUT_OF_RESOURCE, NULL, 0);
        return;
    }
    if (init.outbound_streams == 0 || init.inbound_streams == 0 || init.a_rwnd < A_RWND_MINIMUM) {
        abort_for_cause(engine, arrival, init.initiate_tag, SCTP_CAUSE_INVALID_MANDATORY_PARAMETER,
                        NULL, 0);
        return;
    }
    setup_read_parameters(engine, &parameters, &init, endpoint, arrival,
                          association ? &association->parameters : &endpoint->parameters);
    if (parameters.malformed) {
        engine->statistics.bad_packet++;
        abort_for_cause(engine, arrival, init.initiate_tag, SCTP_CAUSE_PROTOCOL_VIOLATION, NULL, 0);
        return;
    }
    if (parameters.has_host_name) {
        abort_for_cause(engine, arrival, init.initiate_tag, SCTP_CAUSE_UNRESOLVABLE_ADDRESS,
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
        abort_for_cause(engine, arrival, init.initiate_tag, SCTP_CAUSE_OUT_OF_RESOURCE, NULL, 0);
        return;
    }
    send_init_ack(engine, endpoint, arrival, &init, &parameters, association);
}
