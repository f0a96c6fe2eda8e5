/*
 * The peer's addresses change: its ASCONF chunks, what is refused, and the ASCONF ACKs.
 *
 * RFC 5061, section 5.2 (reception), section 5.3 (rules F7 to F14), section 5.4 (primary).
 */
#include <stdlib.h>

#include "engine/private.h"

/* An ASCONF while it is acted upon. */
struct change {
    struct sctp_association *association;
    struct arrival *arrival;
    struct packet_writer *ack;
    bool failed;   /* one was refused: what succeeds after it is said too (A7) */
    bool refusing; /* F11 */
};

static void refuse(struct change *change, const struct sctp_parameter *parameter, uint16_t cause)
{
    size_t before = change->ack->length;
    uint32_t correlation_id = 0;
    size_t start;

    change->failed = true;
    change->association->engine->statistics.asconf_refused++;
    (void)correlation_id_read(parameter, &correlation_id);
    start = error_cause_indication_begin(change->ack, correlation_id); /* V3 */
    refused_request_write(change->ack, cause, parameter);
    parameter_end(change->ack, start);
    if (change->ack->overflowed)
        packet_writer_rewind(change->ack, before);
}

/* Where the ASCONF came from, as it is known now. */
static struct sctp_path *source_path(const struct change *change)
{
    return association_path_to(change->association, &change->arrival->source);
}

static bool family_is_ours(const struct change *change, const struct braid_address *address)
{
    const struct sctp_endpoint *endpoint = change->association->endpoint;

    return address->family == BRAID_IPV4 ? endpoint->ipv4 : endpoint->ipv6;
}

/* 0, or the cause of the refusal. */
static uint16_t add(struct change *change, const struct braid_address *address)
{
    struct sctp_association *association = change->association;
    const struct braid_packet *packet = change->arrival->packet;
    struct sctp_path *path;

    if (!family_is_ours(change, address) ||
        !endpoint_peer_may_have(association->engine, address, change->arrival))
        return SCTP_CAUSE_UNRESOLVABLE_ADDRESS;
    if (association_path_to(association, address))
        return 0;
    /* Another association's peer has it: packets could not be told apart. */
    if (path_hash_find(association->engine, NULL, &change->arrival->destination,
                       association->local_port, address, association->peer_port))
        return SCTP_CAUSE_NO_AUTHORIZATION;
    path = association_add_path(association, address, packet->encapsulation_port,
                                BRAID_PATH_UNCONFIRMED); /* F14 */
    if (!path)
        return SCTP_CAUSE_RESOURCE_SHORTAGE; /* F9 */
    path_tell(path, BRAID_PATH_ADDED);
    heartbeat_start(path);
    return 0;
}

static void delete_others(struct change *change, const struct sctp_path *source)
{
    struct sctp_association *association = change->association;

    for (unsigned int i = association->path_count; i-- > 0;) {
        if (association->paths[i] != source)
            association_remove_path(association->paths[i]);
    }
}

static uint16_t delete (struct change *change, const struct braid_address *address)
{
    struct sctp_association *association = change->association;
    struct sctp_path *path = association_path_to(association, address);
    struct sctp_path *source = source_path(change);

    if (braid_address_is_unspecified(address)) {
        if (!source)
            return SCTP_CAUSE_DELETE_LAST_ADDRESS;
        delete_others(change, source);
        return 0;
    }
    if (!path)
        return SCTP_CAUSE_UNRESOLVABLE_ADDRESS;
    if (association->path_count == 1) /* F7 */
        return SCTP_CAUSE_DELETE_LAST_ADDRESS;
    if (path == source) /* F8 */
        return SCTP_CAUSE_DELETE_SOURCE_ADDRESS;
    association_remove_path(path);
    return 0;
}

static uint16_t set_primary(const struct change *change, const struct braid_address *address)
{
    struct sctp_path *path = braid_address_is_unspecified(address)
                                 ? source_path(change)
                                 : association_path_to(change->association, address);

    if (!path)
        return SCTP_CAUSE_UNRESOLVABLE_ADDRESS;
    path_prefer(path);
    return 0;
}

static void act_upon(struct change *change, const struct sctp_parameter *parameter)
{
    struct sctp_address_request request;
    uint16_t cause = 0;

    if (!address_request_read(parameter, &request)) {
        refuse(change, parameter, SCTP_CAUSE_UNRESOLVABLE_ADDRESS);
        return;
    }
    request.address = braid_address_normalise(&request.address);
    if (parameter->type == SCTP_PARAMETER_SET_PRIMARY)
        cause = set_primary(change, &request.address);
    else if (change->refusing)
        cause = SCTP_CAUSE_RESOURCE_SHORTAGE;
    else if (parameter->type == SCTP_PARAMETER_DELETE_IP)
        cause = delete (change, &request.address);
    else
        cause =
            add(change, braid_address_is_unspecified(&request.address) ? &change->arrival->source
                                                                       : &request.address);
    change->refusing |= cause == SCTP_CAUSE_RESOURCE_SHORTAGE;
    if (cause)
        refuse(change, parameter, cause);
    else if (change->failed)
        success_indication_write(change->ack, request.correlation_id);
}

/* V1, V2. */
static void act_upon_all(struct change *change, const struct sctp_asconf *asconf)
{
    struct parameter_iterator iterator;
    struct sctp_parameter parameter;

    parameter_iterator_init(&iterator, asconf->parameters, asconf->parameters_length);
    while (parameter_next(&iterator, &parameter)) {
        struct sctp_unknown_action unknown = parameter_unknown_action(parameter.type);

        /* What is not answered after a refusal counts as refused too (A7). */
        if (packet_writer_room(change->ack) < 16u + parameter.length)
            break;
        if (parameter.type == SCTP_PARAMETER_ADD_IP || parameter.type == SCTP_PARAMETER_DELETE_IP ||
            parameter.type == SCTP_PARAMETER_SET_PRIMARY) {
            act_upon(change, &parameter);
            continue;
        }
        if (unknown.report)
            refuse(change, &parameter, SCTP_CAUSE_UNRECOGNIZED_PARAMETERS);
        if (unknown.stop)
            break;
    }
}

/* ---- ASCONF ACKs ---- */

static struct asconf_ack *find_ack(const struct asconf *asconf, uint32_t serial_number)
{
    for (uint32_t i = 0; asconf->acks && i < ASCONF_ACKS_MAXIMUM; i++) {
        if (asconf->acks[i].length > 0 && asconf->acks[i].serial_number == serial_number)
            return &asconf->acks[i];
    }
    return NULL;
}

/* The place of the oldest. */
static struct asconf_ack *new_ack(struct asconf *asconf, uint32_t serial_number)
{
    struct asconf_ack *ack;

    if (!asconf->acks)
        asconf->acks = calloc(ASCONF_ACKS_MAXIMUM, sizeof(*asconf->acks));
    if (!asconf->acks)
        return NULL;
    ack = &asconf->acks[asconf->next_ack++ % ASCONF_ACKS_MAXIMUM];
    ack->serial_number = serial_number;
    ack->length = 0;
    ack->send = true;
    return ack;
}

void asconf_receive(struct sctp_association *association, struct arrival *arrival,
                    const struct sctp_chunk *chunk)
{
    struct braid_engine *engine = association->engine;
    struct asconf *asconf = association->asconf;
    struct packet_writer writer;
    struct change change = {.association = association, .arrival = arrival, .ack = &writer};
    struct sctp_asconf received;
    struct asconf_ack *ack;
    size_t start;

    if (!asconf_read(chunk, &received)) {
        engine->statistics.bad_packet++;
        return;
    }
    if (association->state < BRAID_ESTABLISHED || association->state == BRAID_SHUTDOWN_ACK_SENT)
        return;                                              /* C4 */
    if (received.serial_number != asconf->peer_serial + 1) { /* E2, E5 */
        ack = find_ack(asconf, received.serial_number);
        if (ack)
            ack->send = true;
        engine->statistics.asconf_ignored++;
        return;
    }
    ack = new_ack(asconf, received.serial_number);
    if (!ack)
        return;                                   /* as if it had been lost */
    asconf->peer_serial = received.serial_number; /* V5 */
    packet_writer_init(&writer, ack->bytes, sizeof(ack->bytes));
    start = asconf_ack_begin(&writer, received.serial_number);
    act_upon_all(&change, &received);
    chunk_end(&writer, start);
    ack->length = (uint16_t)writer.length;
    arrival->path = source_path(&change); /* it may have come, or gone */
}

/* E6, E7: one packet, back to where the ASCONFs came from, in the order of their numbers. */
void asconf_packet_done(struct sctp_association *association, const struct arrival *arrival)
{
    struct asconf *asconf = association->asconf;
    struct sctp_common_header header = {association->local_port, association->peer_port,
                                        association->peer_tag};
    struct packet_writer writer;
    struct response *response = NULL;

    for (uint32_t i = 0; asconf && asconf->acks && i < ASCONF_ACKS_MAXIMUM; i++) {
        struct asconf_ack *ack =
            &asconf->acks[(asconf->next_ack + i) % ASCONF_ACKS_MAXIMUM]; /* the oldest first */

        if (ack->length == 0 || !ack->send)
            continue;
        ack->send = false;
        if (!response) {
            response = response_begin(association->engine, &writer, PACKET_MINIMUM - 60, &header);
            if (!response)
                return;
            authentication_begin(association, &writer, true);
        }
        if (ack->length <= packet_writer_room(&writer))
            packet_write_bytes(&writer, ack->bytes, ack->length);
    }
    if (!response)
        return;
    response_take_parameters(response, &association->parameters, arrival);
    response->checksum_zero = association->peer_accepts_zero_checksum;
    authentication_end(association, &writer);
    response_send(association->engine, response, &writer, arrival);
}
